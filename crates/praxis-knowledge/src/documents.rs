//! The documents of a base as a list in pages, for consoles and the API. Left out: finding them (`retrieve`).

use praxis_core::{CallError, Clearance};
use praxis_store::{DocumentCounts, DocumentHead, Paged};

use crate::knowledge::{Knowledge, internal};

impl Knowledge {
    /// Up to `limit` documents of a base that a caller may read, by URI, from the first after the URI `after` on.
    ///
    /// # Errors
    /// A base that is unknown or not for the caller to know of, which is told alike; or a store that fails.
    pub async fn documents_page(
        &self,
        name: &str,
        after: Option<&str>,
        limit: usize,
        clearance: &Clearance,
    ) -> Result<Paged<DocumentHead>, CallError> {
        self.known_base(name, clearance)?;
        let page = self.store().documents_page(name, after, limit, clearance);
        page.await.map_err(internal)
    }

    /// How many documents of a base a caller may read.
    ///
    /// # Errors
    /// Those of [`Knowledge::documents_page`].
    pub async fn document_counts(
        &self,
        name: &str,
        clearance: &Clearance,
    ) -> Result<DocumentCounts, CallError> {
        self.known_base(name, clearance)?;
        let counts = self.store().document_counts(name, clearance).await;
        counts.map_err(internal)
    }
}
