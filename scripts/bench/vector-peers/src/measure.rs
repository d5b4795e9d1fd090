//! Recall and queries a second of an engine. The counterpart of `timed` and `sweep` in `scripts/bench/vectors.py`: the
//! same widths, passes and ends of a sweep.

use std::fmt::Display;
use std::path::Path;
use std::time::Instant;

use crate::Result;
use crate::npy::Npy;

/// How many neighbours are asked for.
pub const K: usize = 10;
/// Threads that build, and the most that search.
pub const THREADS: usize = 2;
/// How many candidates a search through a graph keeps, from the fastest to the most careful.
pub const WIDTHS: [usize; 13] = [10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 640, 1280];
/// The same for searches with a filter.
pub const FILTER_WIDTHS: [usize; 4] = [10, 100, 1000, 4000];

/// Passes over all queries, of which the fastest counts.
const PASSES: usize = 5;
/// A pass of so many seconds is the last one.
const LONG: f64 = 5.0;
/// A recall beyond which no further setting is tried.
const ENOUGH: f64 = 0.995;
/// How many queries are asked with a filter.
const FILTERED_QUERIES: usize = 100;

/// What is measured.
pub trait Engine: Sync {
    /// How a search is done.
    type Setting: Copy + Display + Send + Sync;

    /// Settings without a filter, from the fastest to the most careful.
    fn settings(&self) -> Vec<Self::Setting>;

    /// Settings with one that lets the ids pass of which [`passes`] is true. Each row begins with the fastest.
    fn filter_settings(&self) -> Vec<Vec<Self::Setting>>;

    /// Ids of the [`K`] nearest of each query. Called by several threads at once.
    fn search(&self, setting: Self::Setting, queries: &[&[f32]]) -> Result<Vec<Vec<u32>>>;
}

/// Whether the filter lets an id pass.
pub fn passes(id: u32) -> bool {
    id % 100 == 7
}

/// Queries, and the ids that should be found.
pub struct Questions {
    queries: Npy<f32>,
    truth: Npy<i32>,
    filtered: Npy<i32>,
}

impl Questions {
    /// Opens the files of queries, of the true neighbours, and of those that pass the filter.
    pub fn open(queries: &str, truth: &str, filtered: &str) -> Result<Self> {
        let questions = Self {
            queries: Npy::open(Path::new(queries))?,
            truth: Npy::open(Path::new(truth))?,
            filtered: Npy::open(Path::new(filtered))?,
        };
        let rows = questions.queries.rows();
        for (name, ids) in [(truth, &questions.truth), (filtered, &questions.filtered)] {
            if rows == 0 || ids.rows() != rows || ids.columns() != K {
                return Err(format!("{name} has not {K} ids for each query of {queries}").into());
            }
        }
        Ok(questions)
    }
}

/// Measures an engine with all of its settings, and prints a line for each.
pub fn measure<E: Engine>(engine: &E, questions: &Questions) -> Result<()> {
    let queries: Vec<&[f32]> = (0..questions.queries.rows())
        .map(|row| questions.queries.row(row))
        .collect();
    for threads in 1..=THREADS {
        sweep(
            engine,
            &engine.settings(),
            &queries,
            &questions.truth,
            threads,
            "none",
        )?;
    }
    let few = &queries[..queries.len().min(FILTERED_QUERIES)];
    for settings in engine.filter_settings() {
        sweep(engine, &settings, few, &questions.filtered, 1, "1 %")?;
    }
    Ok(())
}

/// Prints a line for each setting, until one finds enough or no more than the one before.
fn sweep<E: Engine>(
    engine: &E,
    settings: &[E::Setting],
    queries: &[&[f32]],
    truth: &Npy<i32>,
    threads: usize,
    filter: &str,
) -> Result<()> {
    let mut before = -1.0;
    for &setting in settings {
        let (mut best, mut found) = (f64::INFINITY, Vec::new());
        for _ in 0..PASSES {
            let start = Instant::now();
            found = pass(engine, setting, queries, threads)?;
            best = best.min(start.elapsed().as_secs_f64());
            if best > LONG {
                break;
            }
        }
        let recall = recall(&found, truth);
        println!(
            r#"{{"filter": "{filter}", "setting": "{setting}", "threads": {threads}, "recall": {recall:.4}, "qps": {:.0}}}"#,
            queries.len() as f64 / best
        );
        if recall > ENOUGH || (recall > 0.0 && recall <= before) {
            return Ok(());
        }
        before = recall;
    }
    Ok(())
}

/// Asks all queries once, in equal shares.
fn pass<E: Engine>(
    engine: &E,
    setting: E::Setting,
    queries: &[&[f32]],
    threads: usize,
) -> Result<Vec<Vec<u32>>> {
    let share = queries.len().div_ceil(threads);
    std::thread::scope(|scope| -> Result<Vec<Vec<u32>>> {
        let searches: Vec<_> = queries
            .chunks(share)
            .map(|part| scope.spawn(move || engine.search(setting, part)))
            .collect();
        let mut found = Vec::with_capacity(queries.len());
        for search in searches {
            found.extend(search.join().map_err(|_| "a search panicked")??);
        }
        Ok(found)
    })
}

fn recall(found: &[Vec<u32>], truth: &Npy<i32>) -> f64 {
    let right: usize = found
        .iter()
        .enumerate()
        .map(|(row, ids)| {
            let expected = truth.row(row);
            expected
                .iter()
                .filter(|id| ids.contains(&id.cast_unsigned()))
                .count()
        })
        .sum();
    right as f64 / (found.len() * K) as f64
}

/// A line of /proc/self/status, in MB.
pub fn memory(name: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kb = line.and_then(|line| line.split_whitespace().next());
    let kb = kb.ok_or_else(|| format!("/proc/self/status has no {name}"))?;
    Ok(kb.parse::<f64>()? / 1024.0)
}
