//! diskann: the Vamana graph of `diskann-inmem`, over vectors in single precision, or over codes of 4 bits a dimension
//! with the vectors in half precision to rank the candidates again. All of it is in memory and cannot be saved.
//!
//! The vectors have unit length, so the order by distance is that by cosine.

use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::Instant;

use diskann::graph::ext::labeled::{Filtered, QueryLabelProvider};
use diskann::graph::glue::PruneStrategy;
use diskann::graph::search::{InlineFilterSearch, Knn, MultihopFilterSearch};
use diskann::graph::{Config, DiskANNIndex, SearchOutputBuffer, config};
use diskann::neighbor::{BackInserter, Neighbor};
use diskann::provider::DataProvider;
use diskann_inmem::num::{Capacity, MaxDegree};
use diskann_inmem::repr::quantized::spherical::Spherical;
use diskann_inmem::repr::quantized::{self, Backend, Rerank};
use diskann_inmem::repr::{Full, Quantized};
use diskann_inmem::{Context, Provider, Strategy};
use diskann_quantization::algorithms::transforms::{TargetDim, TransformKind};
use diskann_quantization::alloc::GlobalAllocator;
use diskann_quantization::spherical::{PreScale, SphericalQuantizer, SupportedMetric};
use diskann_utils::sampling::medoid::ComputeMedoid;
use diskann_utils::views::rowmajor;
use diskann_vector::distance::Metric;
use rand_09::SeedableRng;
use rand_09::rngs::StdRng;

use crate::Result;
use crate::measure::{
    Engine, FILTER_WIDTHS, K, Questions, THREADS, WIDTHS, measure, memory, passes,
};
use crate::npy::Npy;

/// Links of a node, and candidates for them: about what DiskANN's papers build with. The slack of the links and alpha
/// are the crate's own.
const LINKS: usize = 64;
const CONSTRUCTION: usize = 100;
/// Bits of a dimension's code.
const BITS: usize = 4;

/// Builds and searches an index, and prints what it takes.
pub fn run(codes: &str, vectors: &Path, questions: &Questions) -> Result<()> {
    let vectors = Npy::<f32>::open(vectors)?;
    match codes {
        "f32" => build_and_measure(&vectors, questions, precise),
        "4bit" => build_and_measure(&vectors, questions, coded),
        _ => Err(format!("there are no codes {codes}; there are: f32, 4bit").into()),
    }
}

/// `make` makes an index without vectors; what it learns from them counts as building.
fn build_and_measure<G: Graph>(
    vectors: &Npy<f32>,
    questions: &Questions,
    make: fn(&Npy<f32>) -> Result<G>,
) -> Result<()> {
    let (before, start) = (memory("RssAnon")?, Instant::now());
    let graph = make(vectors)?;
    fill(&graph, vectors)?;
    let build_s = start.elapsed().as_secs_f64();
    let memory_mb = memory("RssAnon")? - before;
    let rows = u32::try_from(vectors.rows())?;
    // The start point lies behind all vectors.
    let unreachable = vectors.rows() + 1 - graph.reachable(rows)?;
    println!(
        r#"{{"build_s": {build_s:.2}, "memory_mb": {memory_mb:.0}, "unreachable": {unreachable}}}"#
    );
    let mut few = Few(vec![0; vectors.rows().div_ceil(64)]);
    for id in (0..rows).filter(|id| passes(*id)) {
        let slot = graph.slot(id)?;
        few.0[slot as usize / 64] |= 1 << (slot % 64);
    }
    measure(&Diskann { graph, few }, questions)
}

/// An index of the vectors themselves.
fn precise(vectors: &Npy<f32>) -> Result<DiskANNIndex<Provider<Full<f32>, u32>>> {
    let config = links()?;
    let precise = Full::<f32>::config(
        Capacity::new(vectors.rows()),
        MaxDegree::new(config.max_degree().get()),
        Metric::L2,
        start_point(vectors)?,
    )?;
    Ok(DiskANNIndex::new(config, Provider::new(precise)?, None))
}

/// An index of codes.
fn coded(vectors: &Npy<f32>) -> Result<DiskANNIndex<Provider<Quantized, u32>>> {
    let config = links()?;
    let quantizer = SphericalQuantizer::train(
        view(vectors)?,
        TransformKind::DoubleHadamard {
            target_dim: TargetDim::Same,
        },
        SupportedMetric::SquaredL2,
        PreScale::ReciprocalMeanNorm,
        &mut StdRng::seed_from_u64(1),
        GlobalAllocator,
    )?;
    let codes = quantized::Config::new(
        Backend::new(Spherical::new(quantizer.as_quantizer_impl::<BITS>()?)),
        Capacity::new(vectors.rows()),
        MaxDegree::new(config.max_degree().get()),
        start_point(vectors)?,
        Rerank::F16 {
            metric: quantized::Metric::SquaredL2,
        },
    )?;
    Ok(DiskANNIndex::new(config, Provider::new(codes)?, None))
}

fn links() -> Result<Config> {
    let slack = config::MaxDegree::default_slack();
    Ok(config::Builder::new(LINKS, slack, CONSTRUCTION, Metric::L2.into()).build()?)
}

/// The vector from which each search starts: the one in the middle.
fn start_point(vectors: &Npy<f32>) -> Result<rowmajor::Owned<f32>> {
    let medoid = f32::compute_medoid(view(vectors)?);
    Ok(rowmajor::Owned::row_vector(medoid.into_boxed_slice()))
}

fn view(vectors: &Npy<f32>) -> Result<rowmajor::Ref<'_, f32>> {
    rowmajor::Ref::try_from_data(vectors.values(), vectors.rows(), vectors.columns())
        .map_err(|error| error.to_string().into())
}

/// Inserts all vectors, by several threads.
fn fill<G: Graph>(graph: &G, vectors: &Npy<f32>) -> Result<()> {
    let next = AtomicUsize::new(0);
    let insert = || -> Result<()> {
        loop {
            let row = next.fetch_add(1, Ordering::Relaxed);
            if row >= vectors.rows() {
                return Ok(());
            }
            graph.add(u32::try_from(row)?, vectors.row(row))?;
        }
    };
    std::thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(&insert)).collect();
        for thread in threads {
            thread.join().map_err(|_| "an insertion panicked")??;
        }
        Ok(())
    })
}

/// An index, whatever it is made of.
trait Graph: Sync {
    fn add(&self, id: u32, vector: &[f32]) -> Result<()>;

    /// Ids of the nearest, the nearest first.
    fn nearest(&self, query: &[f32], setting: Setting, few: &Few) -> Result<Vec<u32>>;

    /// The index's own number of a vector.
    fn slot(&self, id: u32) -> Result<u32>;

    /// How many nodes can be reached from one of them, itself included.
    fn reachable(&self, slot: u32) -> Result<usize>;
}

// The strategies of searching and inserting are implemented for each representation, so this is, too.
macro_rules! graph {
    ($representation:ty) => {
        impl Graph for DiskANNIndex<Provider<$representation, u32>> {
            fn add(&self, id: u32, vector: &[f32]) -> Result<()> {
                Ok(now(self.insert(&Strategy, &Context, &id, vector))??)
            }

            fn nearest(&self, query: &[f32], setting: Setting, few: &Few) -> Result<Vec<u32>> {
                let mut found: [Neighbor<u32>; K] = Default::default();
                let mut output = BackInserter::new(&mut found);
                let filtered: Filtered<'_, Strategy, u32> = Filtered::new(Strategy, few);
                match setting {
                    Setting::All(width) => {
                        let search = Knn::new(width, None)?;
                        now(self.search(search, &Strategy, &Context, query, &mut output))??
                    }
                    Setting::Inline(width) => {
                        let search = InlineFilterSearch::new(Knn::new(width, None)?, None);
                        now(self.search(search, &filtered, &Context, query, &mut output))??
                    }
                    Setting::Multihop(width) => {
                        let search = MultihopFilterSearch::new(Knn::new(width, None)?);
                        now(self.search(search, &filtered, &Context, query, &mut output))??
                    }
                };
                let count = output.current_len();
                Ok(found[..count]
                    .iter()
                    .map(|neighbor| *neighbor.id())
                    .collect())
            }

            fn slot(&self, id: u32) -> Result<u32> {
                Ok(self.provider().to_internal_id(&Context, &id)?)
            }

            fn reachable(&self, slot: u32) -> Result<usize> {
                let strategy = Strategy;
                let mut links = strategy.prune_accessor(self.provider(), &Context, 0)?;
                Ok(now(self.count_reachable_nodes(&[slot], &mut links))??)
            }
        }
    };
}

graph!(Full<f32>);
graph!(Quantized);

/// What a future gives that waits for nothing, as those of an index in memory do.
fn now<F: Future>(future: F) -> Result<F::Output> {
    let mut context = std::task::Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err("an index in memory waits for something".into()),
    }
}

struct Diskann<G> {
    graph: G,
    few: Few,
}

/// The index's own numbers of the vectors that pass the filter, a bit each.
#[derive(Debug)]
struct Few(Vec<u64>);

impl QueryLabelProvider<u32> for Few {
    fn is_match(&self, slot: u32) -> bool {
        self.0
            .get(slot as usize / 64)
            .is_some_and(|bits| bits >> (slot % 64) & 1 == 1)
    }
}

#[derive(Clone, Copy)]
enum Setting {
    /// All vectors.
    All(usize),
    /// Those that pass the filter: a search of all that notes them.
    Inline(usize),
    /// Those that pass the filter: a search that goes two links at a time where one does not lead to any.
    Multihop(usize),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(width) => write!(f, "{width}"),
            Self::Inline(width) => write!(f, "inline {width}"),
            Self::Multihop(width) => write!(f, "multihop {width}"),
        }
    }
}

impl<G: Graph> Engine for Diskann<G> {
    type Setting = Setting;

    fn settings(&self) -> Vec<Setting> {
        WIDTHS.map(Setting::All).to_vec()
    }

    fn filter_settings(&self) -> Vec<Vec<Setting>> {
        vec![
            FILTER_WIDTHS.map(Setting::Inline).to_vec(),
            FILTER_WIDTHS.map(Setting::Multihop).to_vec(),
        ]
    }

    fn search(&self, setting: Setting, queries: &[&[f32]]) -> Result<Vec<Vec<u32>>> {
        queries
            .iter()
            .map(|query| self.graph.nearest(query, setting, &self.few))
            .collect()
    }
}
