//! hannoy: an HNSW graph and its vectors in LMDB. Links and construction are those of `Hnswlib` in
//! `scripts/bench/vectors.py`.

use std::fmt;
use std::path::Path;
use std::time::Instant;

use hannoy::distances::Cosine;
use hannoy::internals::{KeyCodec, NodeCodec};
use hannoy::{Reader, Writer};
use heed::{CommitOrAbort, Env, EnvOpenOptions};
use rand::SeedableRng;
use rand::rngs::StdRng;
use roaring::RoaringBitmap;

use crate::Result;
use crate::measure::{
    Engine, FILTER_WIDTHS, K, Questions, THREADS, WIDTHS, measure, memory, passes,
};
use crate::npy::Npy;

/// Links of a node, above the lowest layer and in it.
const LINKS: usize = 16;
const LOWEST_LINKS: usize = 32;
/// Candidates for the links of a new node.
const CONSTRUCTION: usize = 200;
/// Vectors of a transaction. LMDB keeps in memory what one has written.
const TRANSACTION: usize = 50_000;
/// Address space of the database: more than any set needs.
const MAP: usize = 1 << 38;

/// Builds an index in a folder, and prints how long that took. In the end all of it is on the disk.
pub fn build(vectors: &Path, folder: &Path) -> Result<()> {
    let vectors = Npy::<f32>::open(vectors)?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build_global()?;
    let start = Instant::now();
    let env = open(folder)?;
    let txn = env.write_txn()?;
    let database: hannoy::Database<'_, Cosine> = env
        .create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
            opener
                .create_database::<KeyCodec, NodeCodec<Cosine>>(txn, None)
                .map(CommitOrAbort::<_, ()>::Commit)
        })?
        .unwrap_commit();
    let writer = Writer::new(database, 0, vectors.columns());
    for first in (0..vectors.rows()).step_by(TRANSACTION) {
        let mut txn = env.write_txn()?;
        for row in first..vectors.rows().min(first + TRANSACTION) {
            writer.add_item(&mut txn, u32::try_from(row)?, vectors.row(row))?;
        }
        txn.commit()?;
    }
    let mut txn = env.write_txn()?;
    let mut random = StdRng::seed_from_u64(1);
    writer
        .builder(&mut random)
        .ef_construction(CONSTRUCTION)
        .build::<LINKS, LOWEST_LINKS>(&mut txn)?;
    txn.commit()?;
    println!(
        r#"{{"build_s": {:.2}, "disk_mb": {}}}"#,
        start.elapsed().as_secs_f64(),
        env.real_disk_size()? >> 20
    );
    Ok(())
}

/// Searches the index in a folder in all ways, and prints what was found and how fast.
pub fn search(folder: &Path, questions: &Questions) -> Result<()> {
    let env = open(folder)?;
    let txn = env.read_txn()?;
    let database: hannoy::Database<'_, Cosine> = env
        .open_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
            opener
                .open_database::<KeyCodec, NodeCodec<Cosine>>(txn, None)
                .map(CommitOrAbort::<_, ()>::Commit)
        })?
        .unwrap_commit()
        .ok_or_else(|| format!("{} has no index", folder.display()))?;
    let txn = env.read_txn()?;
    let reader = Reader::open(&txn, 0, database)?;
    drop(txn);
    let few = reader.item_ids().iter().filter(|id| passes(*id)).collect();
    measure(
        &Hannoy {
            env: &env,
            reader,
            few,
        },
        questions,
    )?;
    println!(
        r#"{{"anonymous_mb": {:.0}, "rss_mb": {:.0}}}"#,
        memory("RssAnon")?,
        memory("VmRSS")?
    );
    Ok(())
}

fn open(folder: &Path) -> Result<Env> {
    // SAFETY: the folder is on this machine, and no one else's while the benchmark runs.
    Ok(unsafe { EnvOpenOptions::new().map_size(MAP).open(folder)? })
}

struct Hannoy<'e> {
    env: &'e Env,
    reader: Reader<'e, Cosine>,
    /// Ids that pass the filter.
    few: RoaringBitmap,
}

#[derive(Clone, Copy)]
enum Setting {
    /// All vectors, by the graph.
    All(usize),
    /// Those that pass the filter, as hannoy does by itself: by the graph, or one by one if they are fewer than 1,000.
    Few(usize),
    /// Those that pass the filter, one by one.
    Each,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(width) | Self::Few(width) => write!(f, "{width}"),
            Self::Each => write!(f, "one by one"),
        }
    }
}

impl Engine for Hannoy<'_> {
    type Setting = Setting;

    fn settings(&self) -> Vec<Setting> {
        WIDTHS.map(Setting::All).to_vec()
    }

    fn filter_settings(&self) -> Vec<Vec<Setting>> {
        vec![
            FILTER_WIDTHS.map(Setting::Few).to_vec(),
            vec![Setting::Each],
        ]
    }

    fn search(&self, setting: Setting, queries: &[&[f32]]) -> Result<Vec<Vec<u32>>> {
        let txn = self.env.read_txn()?;
        let mut found = Vec::with_capacity(queries.len());
        for query in queries {
            let mut search = self.reader.nns(K);
            match setting {
                Setting::All(width) => search.ef_search(width),
                Setting::Few(width) => search.candidates(&self.few).ef_search(width),
                Setting::Each => search.candidates(&self.few).linear_below(usize::MAX),
            };
            let nearest = search.by_vector(&txn, query)?.into_nns();
            found.push(nearest.into_iter().map(|(id, _)| id).collect());
        }
        Ok(found)
    }
}
