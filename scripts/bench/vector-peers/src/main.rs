//! Vector search of other crates, measured as `scripts/bench/vectors.py` measures its peers, which runs this.
//!
//! `peer hannoy build VECTORS FOLDER` prints `{build_s, disk_mb}`; `peer hannoy search FOLDER QUERIES TRUTH
//! FILTERED_TRUTH`, in a process of its own, a line for each setting and then `{anonymous_mb, rss_mb}`.
//! `peer diskann f32|4bit VECTORS QUERIES TRUTH FILTERED_TRUTH` does both, since that index cannot be saved, and prints
//! `{build_s, memory_mb, unreachable}` first.
//!
//! A line of a setting is `{filter, setting, threads, recall, qps}`. All files are .npy; TRUTH and FILTERED_TRUTH hold
//! the ids of the true ten for each query, FILTERED_TRUTH among each hundredth vector.

mod graph;
mod lmdb;
mod measure;
mod npy;

use std::error::Error;
use std::path::Path;

use measure::Questions;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["hannoy", "build", vectors, folder] => lmdb::build(Path::new(vectors), Path::new(folder)),
        ["hannoy", "search", folder, queries, truth, filtered] => lmdb::search(
            Path::new(folder),
            &Questions::open(queries, truth, filtered)?,
        ),
        ["diskann", codes, vectors, queries, truth, filtered] => graph::run(
            codes,
            Path::new(vectors),
            &Questions::open(queries, truth, filtered)?,
        ),
        _ => Err("usage: peer hannoy build VECTORS FOLDER, \
                  peer hannoy search FOLDER QUERIES TRUTH FILTERED_TRUTH or \
                  peer diskann f32|4bit VECTORS QUERIES TRUTH FILTERED_TRUTH"
            .into()),
    }
}
