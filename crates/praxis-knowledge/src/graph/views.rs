//! Graphs as callers see them, kept while they are current: a search must not read a graph from the store each
//! time. Left out: what a view is (`view`).

use std::sync::{Arc, Mutex, PoisonError};

use praxis_core::CallError;
use praxis_store::{GraphRows, Store};

use super::view::View;
use crate::knowledge::internal;
use crate::scope::Scope;

/// Views that are kept: those of the callers and filters that were asked for last.
const MOST_VIEWS: usize = 16;

/// The graph of a base.
#[derive(Default)]
pub(crate) struct Views(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// The snapshot's generation, and the revision of the graph.
    moment: (i64, i64),
    rows: Option<Arc<GraphRows>>,
    /// The last used are last.
    views: Vec<(Scope, Arc<View>)>,
}

impl Views {
    /// The graph of `base` as `scope` lets it be seen, beside a snapshot of this generation.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn view(
        &self,
        store: &Store,
        base: &str,
        generation: i64,
        scope: &Scope,
    ) -> Result<Arc<View>, CallError> {
        let revision = store.graph_revision(base).await.map_err(internal)?;
        let moment = (generation, revision);
        let (rows, known) = self.kept(moment, |kept| {
            let at = kept.views.iter().position(|(of, _)| of.is_same(scope));
            let known = at.and_then(|at| {
                kept.views[at..].rotate_left(1);
                kept.views.last().map(|(_, view)| Arc::clone(view))
            });
            (kept.rows.clone(), known)
        });
        if let Some(view) = known {
            return Ok(view);
        }
        let rows = match rows {
            Some(rows) => rows,
            None => Arc::new(store.graph(base).await.map_err(internal)?),
        };
        let (seen, allowed) = (Arc::clone(&rows), scope.clone());
        let made = tokio::task::spawn_blocking(move || View::of(seen, |g| allowed.has_document(g)));
        let view = Arc::new(made.await.map_err(internal)?);
        self.kept(moment, |kept| {
            kept.rows = Some(rows);
            if kept.views.len() >= MOST_VIEWS {
                kept.views.remove(0);
            }
            kept.views.push((scope.clone(), Arc::clone(&view)));
        });
        Ok(view)
    }

    /// Looks something up, after whatever is of another moment is forgotten.
    fn kept<T>(&self, moment: (i64, i64), look: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.moment != moment {
            *kept = Kept {
                moment,
                ..Kept::default()
            };
        }
        look(&mut kept)
    }
}
