//! Nearest vectors by cosine, in a folder of files: for a few hundred vectors and for millions.
//!
//! An [`Index`] maps ids, which are the caller's numbers, to vectors of one dimension. It knows
//! nothing of what they stand for, and does no input or output but in its own folder.
//!
//! ```
//! use praxis_vectors::{Filter, IdSet, Index, SearchOptions};
//!
//! let folder = tempfile::tempdir()?;
//! let index = Index::open(folder.path(), 3)?;
//! index.insert([(1, [1.0, 0.0, 0.0].as_slice()), (2, &[0.0, 2.0, 0.0])])?;
//! index.commit(17)?;
//! let hits = index.search(&[0.6, 0.8, 0.0], 1, &SearchOptions::default())?;
//! assert_eq!(hits[0].id, 2);
//!
//! let only: IdSet = [1].into_iter().collect();
//! let options = SearchOptions { filter: Some(Filter::Only(&only)), ..Default::default() };
//! assert_eq!(index.search(&[0.6, 0.8, 0.0], 1, &options)?[0].id, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Durability
//! What is inserted or deleted counts at once, and survives a crash from the next
//! [`Index::commit`] on, which first puts the index on the disk and then moves the watermark. After
//! a crash the caller does again what it did since [`Index::watermark`]; doing it twice is harmless.
//!
//! # Where to begin
//! `index.rs` is the whole; `segment/` the files and the search in them, `code.rs` how a vector
//! becomes codes, `simd/` the inner loops, `merge.rs` how segments come and go.

mod best;
mod check;
mod code;
mod delta;
mod error;
mod files;
mod ids;
mod index;
mod kmeans;
mod log;
mod manifest;
mod merge;
mod query;
mod random;
mod recovery;
mod rotation;
mod search;
mod segment;
mod simd;

pub use check::Report;
pub use error::{Error, Result};
pub use ids::{Filter, IdSet};
pub use index::{Index, Options, has_direction};
pub use merge::Merged;
pub use search::{Hit, SearchOptions};
