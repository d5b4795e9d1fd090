//! Lost and damaged files of an index, and errors that say nothing of its files.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::{KeywordEntry, Mark};
use super::*;

/// A folder with an index of a few texts, some of which were replaced.
fn made() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for generation in [10, 20] {
        let index = KeywordIndex::open(dir.path()).unwrap();
        let writer = index.writer().unwrap();
        writer.remove(10);
        for number in 0..4 {
            let entry = KeywordEntry {
                id: &number.to_string(),
                generation: generation + number,
                text: "the heron stands in the reeds",
            };
            writer.add(&entry).unwrap();
        }
        writer.commit(&Mark::default()).unwrap();
    }
    dir
}

/// The files of its segments, and those that list them.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind != "lock"));
    files.sort();
    files
}

fn damage(dir: &Path) -> Option<String> {
    KeywordIndex::damage_in(dir).unwrap()
}

fn is_listing(file: &Path) -> bool {
    file.extension().is_some_and(|kind| kind == "json")
}

#[test]
fn a_file_that_is_lost_or_cut_is_damage_whichever_it_is() {
    let dir = made();
    let files = files(dir.path());
    let kinds = |kind: &str| files.iter().any(|f| f.to_string_lossy().ends_with(kind));
    for kind in [
        ".pos",
        ".idx",
        ".term",
        ".store",
        ".fast",
        ".fieldnorm",
        "meta.json",
    ] {
        assert!(kinds(kind), "{kind}: {files:?}");
    }
    for file in &files {
        let bytes = fs::read(file).unwrap();
        let lengths = [0, 1, 5, 8, bytes.len() / 2, bytes.len() - 1];
        for keep in lengths.map(Some).into_iter().chain([None]) {
            match keep {
                Some(keep) => fs::write(file, &bytes[..keep]).unwrap(),
                None => fs::remove_file(file).unwrap(),
            }
            let name = file.file_name().unwrap().to_string_lossy();
            // Without a list there is no index; without the other one there is nothing to remove.
            if keep.is_none() && is_listing(file) {
                assert!(KeywordIndex::mark_in(dir.path()).is_ok(), "{name}");
                fs::write(file, &bytes).unwrap();
                continue;
            }
            let opened = KeywordIndex::open(dir.path());
            // What a list lacks at its end may be a line's end.
            if keep == Some(bytes.len() - 1) && is_listing(file) && opened.is_ok() {
                fs::write(file, &bytes).unwrap();
                continue;
            }
            let error = opened.err().unwrap();
            assert!(is_damage(&error), "{keep:?} bytes of {name}: {error}");
            assert!(damage(dir.path()).is_some(), "{name}");
            fs::write(file, &bytes).unwrap();
        }
    }
    assert_eq!(damage(dir.path()), None);
    assert_eq!(
        KeywordIndex::open(dir.path()).unwrap().ids().unwrap().len(),
        7
    );
}

#[test]
fn a_changed_byte_is_found_by_checksums() {
    let dir = made();
    for file in files(dir.path()).iter().filter(|file| !is_listing(file)) {
        let bytes = fs::read(file).unwrap();
        let mut changed = bytes.clone();
        changed[0] ^= 1;
        fs::write(file, changed).unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        assert!(damage(dir.path()).unwrap().contains(&*name), "{name}");
        fs::write(file, &bytes).unwrap();
    }
    assert_eq!(damage(dir.path()), None);
}

#[test]
fn what_a_search_meets_is_noted() {
    let dir = made();
    let index = KeywordIndex::open(dir.path()).unwrap();
    let fails = || Err::<(), _>(DataCorruption::comment_only("lost").into());
    assert!(index.noted(fails).is_err() && index.is_suspect());

    let other = KeywordIndex::open(dir.path()).unwrap();
    assert!(
        other
            .noted(|| Err::<(), _>(TantivyError::Poisoned))
            .is_err()
    );
    assert!(!other.is_suspect());
    let panics = || -> tantivy::Result<()> { panic!("range end out of bounds") };
    assert!(other.noted(panics).is_err() && other.is_suspect());
}

#[test]
fn errors_of_the_system_say_nothing_of_the_files() {
    let system = |code: i32| Arc::new(Error::from_raw_os_error(code));
    let read = |io_error: Arc<Error>| {
        TantivyError::OpenReadError(OpenReadError::IoError {
            io_error,
            filepath: PathBuf::from("a.idx"),
        })
    };
    // An input or output error, too many open files, no space left.
    for code in [5, 24, 28] {
        assert!(!is_damage(&TantivyError::IoError(system(code))), "{code}");
        assert!(!is_damage(&read(system(code))), "{code}");
    }
    let data = Arc::new(Error::new(ErrorKind::InvalidData, "footer"));
    assert!(is_damage(&read(data)));
    assert!(!is_damage(&TantivyError::ErrorInThread(String::new())));
    let busy = tantivy::directory::error::LockError::LockBusy;
    assert!(!is_damage(&TantivyError::LockFailure(busy, None)));
}
