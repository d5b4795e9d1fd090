//! Speed and recall of the index on vectors in .npy files (single precision, two dimensions):
//! `bench_vectors VECTORS QUERIES TRUTH FILTERED_TRUTH [FOLDER]` prints JSON lines, and
//! `bench_vectors VECTORS FOLDER` the first of them, after it built an index in FOLDER.
//!
//! First `{build_s, commit_s, ...}`: inserting and merging, then putting all on the disk. Then, with
//! one thread and with two, `{filter, lists, target, threads, recall, qps, p50_ms, p99_ms}` for 10
//! results: for numbers of lists over all queries, with a filter that lets every hundredth id pass,
//! and for recall targets over the second half of the queries, after the index has learned from the
//! first. The best of five passes counts. TRUTH and FILTERED_TRUTH hold the ids of the true ten for
//! each query (.npy, int32). If FOLDER has an index, it is searched, and none is built to be searched.
//! `scripts/bench/vectors.py` runs this beside the peers.

use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use praxis_vectors::{Filter, IdSet, Index, SearchOptions};

const K: usize = 10;
/// Passes over all queries, of which the fastest counts.
const PASSES: usize = 5;
const TARGETS: [f32; 5] = [0.9, 0.95, 0.97, 0.99, 1.0];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [vectors, folder] => build(vectors, Path::new(folder)),
        [vectors, queries, truth, filtered] => {
            let folder = tempfile::tempdir_in(".")?;
            build(vectors, folder.path())?;
            measure(folder.path(), queries, truth, filtered)
        }
        [vectors, queries, truth, filtered, folder] => {
            let folder = Path::new(folder);
            if Index::open(folder, open(vectors)?.1[1])?.is_empty() {
                build(vectors, folder)?;
            }
            measure(folder, queries, truth, filtered)
        }
        _ => Err("usage: bench_vectors VECTORS [QUERIES TRUTH FILTERED_TRUTH] [FOLDER]".into()),
    }
}

/// Builds an index of a file's vectors, and prints how long that took.
#[expect(
    clippy::print_stdout,
    reason = "the lines are what the benchmark is for"
)]
fn build(vectors: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let dimension = open(vectors)?.1[1];
    let index = Index::open(folder, dimension)?;
    if !index.is_empty() {
        return Err(format!("{} has an index already", folder.display()).into());
    }
    let start = Instant::now();
    let count = fill(&index, vectors, dimension)?;
    let insert_s = start.elapsed().as_secs_f64();
    index.merge()?;
    let build_s = start.elapsed().as_secs_f64();
    index.commit(1)?;
    let commit_s = start.elapsed().as_secs_f64() - build_s;
    println!(
        r#"{{"count": {count}, "insert_s": {insert_s:.2}, "build_s": {build_s:.2}, "commit_s": {commit_s:.2}, "peak_mb": {:.0}, "disk_mb": {}}}"#,
        memory("VmHWM")?,
        disk(folder)? >> 20
    );
    Ok(())
}

/// Searches the index in a folder in all ways, and prints what was found and how fast.
#[expect(
    clippy::print_stdout,
    reason = "the lines are what the benchmark is for"
)]
fn measure(
    folder: &Path,
    queries: &str,
    truth: &str,
    filtered: &str,
) -> Result<(), Box<dyn Error>> {
    let (queries, dimension) = read(queries)?;
    let queries: Vec<f32> = queries.iter().map(|bits| f32::from_bits(*bits)).collect();
    let queries: Vec<&[f32]> = queries.chunks_exact(dimension).collect();
    let (truth, filtered) = (read(truth)?.0, read(filtered)?.0);
    let index = Index::open(folder, dimension)?;
    for threads in [1, 2] {
        for lists in (0..9).map(|power| 1 << power) {
            let options = SearchOptions {
                lists: Some(lists),
                ..Default::default()
            };
            report(&index, &queries, &truth, &options, threads, "none")?;
        }
        let only: IdSet = (0..index.len() as u64).filter(|id| id % 100 == 7).collect();
        let options = SearchOptions {
            filter: Some(Filter::Only(&only)),
            ..Default::default()
        };
        report(&index, &queries, &filtered, &options, threads, "1 %")?;
        if threads == 1 {
            println!(
                r#"{{"anonymous_mb": {:.0}, "rss_mb": {:.0}}}"#,
                memory("RssAnon")?,
                memory("VmRSS")?
            );
        }
    }
    let (taught, asked) = queries.split_at(queries.len() / 2);
    let truth = &truth[taught.len() * K..];
    let start = Instant::now();
    index.calibrate(taught)?;
    println!(r#"{{"calibrate_s": {:.2}}}"#, start.elapsed().as_secs_f64());
    for recall in TARGETS {
        let options = SearchOptions {
            recall,
            ..Default::default()
        };
        // Looking at everything is slow.
        let asked = if recall < 1.0 {
            asked
        } else {
            &asked[..asked.len().min(50)]
        };
        report(&index, asked, truth, &options, 1, "none")?;
    }
    Ok(())
}

/// Inserts the vectors of a file piece by piece.
fn fill(index: &Index, path: &str, dimension: usize) -> Result<usize, Box<dyn Error>> {
    let (mut file, shape) = open(path)?;
    let mut piece = vec![0u8; 4096 * dimension * 4];
    let mut next = 0;
    while next < shape[0] {
        let count = (shape[0] - next).min(4096);
        let bytes = &mut piece[..count * dimension * 4];
        file.read_exact(bytes)?;
        let values: Vec<f32> = bytes
            .chunks_exact(4)
            .map(number)
            .map(f32::from_bits)
            .collect();
        let rows = values.chunks_exact(dimension).zip(next as u64..);
        index.insert(rows.map(|(vector, id)| (id, vector)))?;
        next += count;
    }
    Ok(next)
}

#[expect(
    clippy::print_stdout,
    reason = "the lines are what the benchmark is for"
)]
fn report(
    index: &Index,
    queries: &[&[f32]],
    truth: &[u32],
    options: &SearchOptions<'_>,
    threads: usize,
    filter: &str,
) -> Result<(), Box<dyn Error>> {
    let run = |first: usize| -> praxis_vectors::Result<(usize, Vec<f64>)> {
        let (mut right, mut times) = (0, Vec::new());
        for (query, truth) in queries
            .iter()
            .zip(truth.chunks_exact(K))
            .skip(first)
            .step_by(threads)
        {
            let start = Instant::now();
            let hits = index.search(query, K, options)?;
            times.push(start.elapsed().as_secs_f64());
            right += hits
                .iter()
                .filter(|hit| truth.contains(&(hit.id as u32)))
                .count();
        }
        Ok((right, times))
    };
    let (mut wall, mut right, mut times) = (f64::INFINITY, 0, Vec::new());
    for _ in 0..PASSES {
        let start = Instant::now();
        let runs: Vec<_> = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads)
                .map(|first| scope.spawn(move || run(first)))
                .collect();
            handles.into_iter().map(|handle| handle.join()).collect()
        });
        let took = start.elapsed().as_secs_f64();
        let (mut some, mut all) = (0, Vec::new());
        for run in runs {
            let (found, mut took) = run.map_err(|_| "a search panicked")??;
            some += found;
            all.append(&mut took);
        }
        if took < wall {
            (wall, right, times) = (took, some, all);
        }
    }
    times.sort_unstable_by(f64::total_cmp);
    let count = times.len();
    println!(
        r#"{{"filter": "{filter}", "target": {}, "lists": {}, "threads": {threads}, "recall": {:.4}, "qps": {:.0}, "p50_ms": {:.3}, "p99_ms": {:.3}}}"#,
        options.recall,
        options.lists.unwrap_or(0),
        right as f64 / (count * K) as f64,
        count as f64 / wall,
        times[count / 2] * 1e3,
        times[count * 99 / 100] * 1e3
    );
    Ok(())
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// A .npy file after its head, and its shape.
fn open(path: &str) -> Result<(std::fs::File, [usize; 2]), Box<dyn Error>> {
    let mut file = std::fs::File::open(path)?;
    let mut start = [0; 10];
    file.read_exact(&mut start)?;
    let mut head = vec![0; usize::from(u16::from_le_bytes([start[8], start[9]]))];
    file.read_exact(&mut head)?;
    let head = String::from_utf8(head)?;
    let shape = head
        .split_once("'shape': (")
        .and_then(|(_, rest)| rest.split_once(')'));
    let numbers: Vec<usize> = shape
        .ok_or("a .npy file without a shape")?
        .0
        .split(',')
        .map(|n| n.trim().parse())
        .collect::<Result<_, _>>()?;
    Ok((
        file,
        numbers
            .try_into()
            .map_err(|_| "a shape of other than two dimensions")?,
    ))
}

/// All numbers of a file as bits, and how many a row has.
fn read(path: &str) -> Result<(Vec<u32>, usize), Box<dyn Error>> {
    let (mut file, shape) = open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((bytes.chunks_exact(4).map(number).collect(), shape[1]))
}

/// A line of /proc/self/status, in MB.
fn memory(name: &str) -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kb = line.and_then(|line| line.split_whitespace().next());
    Ok(kb.ok_or("no such line")?.parse::<f64>()? / 1024.0)
}

fn disk(folder: &Path) -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}
