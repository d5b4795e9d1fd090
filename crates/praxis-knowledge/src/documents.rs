//! The documents of a base as a list in pages, for consoles and the API. Left out: finding them (`retrieve`).

use praxis_core::{CallError, Clearance};
use praxis_store::{DocumentCounts, DocumentHead, Paged};

use crate::knowledge::{Knowledge, internal};

/// A base in a list of documents.
pub struct BaseDocuments {
    /// The base.
    pub base: String,
    /// How many documents of it the caller may read.
    pub counts: DocumentCounts,
    /// Some of them, by URI.
    pub documents: Paged<DocumentHead>,
}

impl Knowledge {
    /// Documents that a caller may read, up to `limit` in all: those of one base after the URI `after`, or the first
    /// of each base that the caller may know of.
    ///
    /// # Errors
    /// Those of [`Knowledge::document_counts`].
    pub async fn list(
        &self,
        base: Option<&str>,
        after: Option<&str>,
        mut limit: usize,
        clearance: &Clearance,
    ) -> Result<Vec<BaseDocuments>, CallError> {
        let bases = match base {
            Some(base) => vec![base.to_owned()],
            None => self.names(clearance),
        };
        let mut listings = Vec::with_capacity(bases.len());
        for base in bases {
            let counts = self.document_counts(&base, clearance).await?;
            let documents = self.document_page(&base, after, limit, clearance).await?;
            limit -= documents.items.len();
            listings.push(BaseDocuments {
                base,
                counts,
                documents,
            });
        }
        Ok(listings)
    }

    /// Up to `limit` documents of a base that a caller may read, by URI, from the first after `after` on.
    ///
    /// # Errors
    /// Those of [`Knowledge::document_counts`].
    pub async fn document_page(
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
    /// A base that is unknown or not for the caller to know of, which is told alike; or a store that fails.
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
