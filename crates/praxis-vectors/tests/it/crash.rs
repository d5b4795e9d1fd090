//! `kill -9` at random moments: what was committed is there, and what was done later can be done
//! again. `PRAXIS_CRASH_ROUNDS` sets the number of rounds.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use praxis_vectors::Index;

use super::{Dice, open};

const DIMENSION: usize = 20;
const FOLDER: &str = "PRAXIS_VECTORS_CRASH_FOLDER";
const FIRST: &str = "PRAXIS_VECTORS_CRASH_FIRST";
const IDS: u64 = 600;

/// The `n`th operation: ids, and their vectors, or none for a deletion. Later ones delete and replace
/// what earlier ones inserted.
fn operation(n: u64) -> (Vec<u64>, Option<Vec<Vec<f32>>>) {
    let mut dice = Dice(n * 7919);
    if dice.below(4) == 0 {
        return ((0..6).map(|_| dice.below(IDS)).collect(), None);
    }
    let ids: Vec<u64> = (0..1 + dice.below(12)).map(|_| dice.below(IDS)).collect();
    let vectors = ids.iter().map(|_| dice.unit(DIMENSION)).collect();
    (ids, Some(vectors))
}

fn apply(index: &Index, n: u64) {
    match operation(n) {
        (ids, None) => {
            index.delete(ids).unwrap();
        }
        (ids, Some(vectors)) => {
            let batch = ids.iter().copied().zip(vectors.iter().map(Vec::as_slice));
            index.insert(batch).unwrap();
        }
    }
}

/// What the child does until it is killed; a test only in name.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let folder = Path::new(&folder);
    let index = open(&folder.join("index"), DIMENSION);
    let mut begun = fs::OpenOptions::new()
        .append(true)
        .open(folder.join("begun"))
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                index.merge().unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for n in first.. {
            begun.write_all(&n.to_le_bytes()).unwrap();
            apply(&index, n);
            if n % 5 == 0 {
                index.commit(n + 1).unwrap();
            }
        }
    });
}

#[test]
fn what_was_committed_survives_a_kill() {
    let rounds = std::env::var("PRAXIS_CRASH_ROUNDS").map_or(6, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("begun"), b"").unwrap();
    let mut model: BTreeMap<u64, Vec<f32>> = BTreeMap::new();
    let (mut next, mut dice) = (1, Dice(99));
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(FIRST, next.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(20 + dice.below(250)));
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "round {round}: the child ended by itself"
        );
        child.kill().unwrap();
        child.wait().unwrap();

        let begun = fs::read(folder.path().join("begun")).unwrap();
        let last = begun
            .chunks_exact(8)
            .next_back()
            .map(|n| u64::from_le_bytes(n.try_into().unwrap()));
        let last = last.unwrap_or(0).max(next - 1);
        let index = open(&folder.path().join("index"), DIMENSION);
        let watermark = index.watermark();
        assert!(
            watermark <= last + 1 && watermark + 5 >= next.min(last),
            "round {round}"
        );
        assert!(index.check(0).unwrap().problems.is_empty());
        for n in watermark.max(1)..=last {
            apply(&index, n);
        }
        for n in next..=last {
            match operation(n) {
                (ids, None) => ids.iter().for_each(|id| {
                    model.remove(id);
                }),
                (ids, Some(vectors)) => model.extend(ids.into_iter().zip(vectors)),
            }
        }
        assert_eq!(index.len(), model.len(), "round {round}");
        for (id, vector) in &model {
            let stored = index.vector(*id).unwrap().unwrap();
            let same = stored.iter().zip(vector).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(same, "round {round}: {id}");
        }
        let report = index.check(40).unwrap();
        assert!(report.is_sound(), "round {round}: {report:?}");
        index.commit(last + 1).unwrap();
        next = last + 1;
    }
}
