//! Damaged files are an error that names the file, or do no harm; never a panic.

use std::fs;
use std::path::{Path, PathBuf};

use praxis_vectors::{Hit, SearchOptions};

use super::{Dice, SMALL, open};

const DIMENSION: usize = 16;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap() != "lock")
        .collect();
    files.sort();
    files
}

/// A folder with a segment, dead vectors, and a log.
fn made() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), DIMENSION);
    let mut dice = Dice(3);
    for id in 0..700 {
        index
            .insert([(id, dice.unit(DIMENSION).as_slice())])
            .unwrap();
    }
    index.merge().unwrap();
    index.delete(20..30).unwrap();
    index
        .insert([(1000, dice.unit(DIMENSION).as_slice())])
        .unwrap();
    index.commit(5).unwrap();
    folder
}

fn searched(index: &praxis_vectors::Index) -> Result<Vec<Hit>, praxis_vectors::Error> {
    let mut dice = Dice(8);
    let mut all = Vec::new();
    for _ in 0..8 {
        all.extend(index.search(&dice.unit(DIMENSION), 20, &SearchOptions::default())?);
    }
    Ok(all)
}

/// Opens a damaged index and does everything with it; whether the damage is noticed.
fn is_noticed(folder: &Path, damaged: &Path, expected: &[Hit]) -> bool {
    let index = match praxis_vectors::Index::open_with(folder, DIMENSION, SMALL) {
        Ok(index) => index,
        Err(error) => {
            let name = damaged.file_name().unwrap().to_str().unwrap();
            assert!(
                error.to_string().contains(name),
                "{error} does not name {name}"
            );
            return true;
        }
    };
    let found = searched(&index);
    let report = index.check(50).unwrap();
    let _ = (
        index.vector(3),
        index.contains(u64::MAX),
        index.delete([3, 4]),
    );
    let _ = (
        index.insert([(3, [1.0; DIMENSION].as_slice())]),
        index.merge(),
    );
    !report.is_sound() || found.is_ok_and(|found| found != expected)
}

fn with_damage(
    folder: &Path,
    file: &Path,
    damage: impl FnOnce(&mut Vec<u8>),
    expected: &[Hit],
) -> (bool, bool) {
    let copy = tempfile::tempdir().unwrap();
    for path in files(folder) {
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = copy.path().join(file.file_name().unwrap());
    let mut bytes = fs::read(&path).unwrap();
    damage(&mut bytes);
    fs::write(&path, bytes).unwrap();
    let opened = praxis_vectors::Index::open_with(copy.path(), DIMENSION, SMALL).is_ok();
    (is_noticed(copy.path(), file, expected), opened)
}

#[test]
fn a_changed_byte_is_noticed_or_harmless() {
    let folder = made();
    let expected = searched(&open(folder.path(), DIMENSION)).unwrap();
    let mut dice = Dice(4);
    for file in files(folder.path()) {
        let (len, kind) = (fs::metadata(&file).unwrap().len(), file.extension());
        let kind = kind
            .map(|kind| kind.to_str().unwrap().to_owned())
            .unwrap_or_default();
        for _ in 0..40 {
            let at = dice.below(len) as usize;
            let bit = 1 << dice.below(8);
            let (noticed, _) =
                with_damage(folder.path(), &file, |bytes| bytes[at] ^= bit, &expected);
            // Between the sections of the codes are a few bytes of nothing.
            assert!(noticed || kind == "codes", "byte {at} of {file:?}");
        }
        // The head, and most of the rest, are sure to be noticed.
        if kind == "codes" {
            let caught = (0..40)
                .filter(|i| {
                    let at = if i % 2 == 0 {
                        i * 100
                    } else {
                        len as usize / 2 + i * 101
                    };
                    with_damage(folder.path(), &file, |bytes| bytes[at] ^= 1, &expected).0
                })
                .count();
            assert!(caught >= 36, "{caught} of 40");
        }
    }
}

#[test]
fn a_shortened_file_is_noticed() {
    let folder = made();
    let expected = searched(&open(folder.path(), DIMENSION)).unwrap();
    let mut dice = Dice(5);
    for file in files(folder.path()) {
        let len = fs::metadata(&file).unwrap().len();
        for keep in [0, 1, 8, dice.below(len), dice.below(len), len - 1] {
            let cut = |bytes: &mut Vec<u8>| bytes.truncate(keep as usize);
            let (noticed, opened) = with_damage(folder.path(), &file, cut, &expected);
            assert!(noticed && !opened, "{keep} bytes of {file:?}");
        }
    }
}

/// The log of a folder's index.
fn log(folder: &Path) -> PathBuf {
    let is_log = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "log");
    files(folder).into_iter().find(is_log).unwrap()
}

#[test]
fn of_a_log_only_what_was_not_committed_may_be_lost() {
    let folder = made();
    let file = log(folder.path());
    let committed = fs::metadata(&file).unwrap().len() as usize;
    let index = open(folder.path(), DIMENSION);
    let vector = Dice(6).unit(DIMENSION);
    index.insert([(2000, vector.as_slice())]).unwrap();
    drop(index);
    let written = fs::read(&file).unwrap();
    assert!(written.len() > committed);
    for (at, is_lost) in [
        (committed - 1, true),
        (committed / 2, true),
        (committed, false),
        (written.len() - 1, false),
    ] {
        let mut bytes = written.clone();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
        let opened = praxis_vectors::Index::open_with(folder.path(), DIMENSION, SMALL);
        if is_lost {
            let error = opened.unwrap_err();
            assert!(
                matches!(error, praxis_vectors::Error::Corrupt { .. }),
                "byte {at}: {error}"
            );
            continue;
        }
        // Its caller takes over again what came after the watermark.
        let index = opened.unwrap();
        assert_eq!(index.watermark(), 5, "byte {at}");
        assert!(index.contains(1000) && !index.contains(2000), "byte {at}");
    }
}

#[test]
fn an_index_whose_manifest_does_not_tell_its_logs_length_is_opened() {
    let folder = made();
    let path = folder.path().join("manifest");
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| format!("{line}\n"));
    let kept = |line: &String| !line.starts_with("committed ") && !line.starts_with("checksum ");
    let mut before: String = lines.filter(kept).collect();
    let sum = crc32fast::hash(before.as_bytes());
    before.push_str(&format!("checksum {sum:08x}\n"));
    assert!(before.len() < text.len());
    fs::write(&path, before).unwrap();
    let index = open(folder.path(), DIMENSION);
    assert!(index.contains(1000));
    // The next commit tells it.
    index.commit(6).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("\ncommitted "));
}

#[test]
fn a_lost_file_is_named() {
    let folder = made();
    for file in files(folder.path()) {
        let bytes = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let error = praxis_vectors::Index::open_with(folder.path(), DIMENSION, SMALL).unwrap_err();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(error.to_string().contains(name), "{error}");
        // It is gone for good: the index must be built anew.
        assert!(
            matches!(error, praxis_vectors::Error::Corrupt { .. }),
            "{error:?}"
        );
        fs::write(&file, bytes).unwrap();
    }
}
