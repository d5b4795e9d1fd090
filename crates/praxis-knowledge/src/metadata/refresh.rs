//! Documents whose files did not change, described anew: rules of the base and files beside documents may
//! have changed. Of documents that are to be read again, who may read them. Nothing is read of the documents themselves
//! and nothing is embedded.

use std::sync::Arc;

use praxis_core::CallError;
use praxis_store::{DocumentHead, NewAttributes};

use super::{Describer, Subject};
use crate::ingest::{IngestReport, Warning};
use crate::knowledge::{Knowledge, internal};
use crate::listing::Unlisted;

/// Documents that are described in one go.
const PIECE: usize = 1000;

/// What came of a piece.
#[derive(Default)]
struct Found {
    /// What is to be written.
    changed: Vec<NewAttributes>,
    /// How many of these are described otherwise than before; of others, only the source changed.
    described: usize,
    /// What could not be read.
    warnings: Vec<Warning>,
}

impl Knowledge {
    /// Describes these documents of a base anew, and writes what is not as it was.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) async fn describe_anew(
        &self,
        name: &str,
        describer: &Arc<Describer>,
        documents: Vec<(Subject, DocumentHead)>,
        report: &mut IngestReport,
    ) -> Result<(), CallError> {
        let mut documents = documents.into_iter().peekable();
        while documents.peek().is_some() {
            let piece: Vec<_> = documents.by_ref().take(PIECE).collect();
            let describer = Arc::clone(describer);
            let found = tokio::task::spawn_blocking(move || describe(&describer, piece));
            let found = found.await.map_err(internal)?;
            let written = self.store().set_attributes(name, &found.changed).await;
            written.map_err(internal)?;
            report.described += found.described;
            report.warnings.extend(found.warnings);
        }
        Ok(())
    }

    /// Gives documents that are to be read again the labels that they will have, where these let fewer read them: what
    /// the store has of them is found until then, which may be hours, or for as long as reading fails. What will let
    /// more read them is of what they will be.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) async fn narrow(
        &self,
        name: &str,
        describer: &Arc<Describer>,
        documents: Vec<(Subject, DocumentHead)>,
    ) -> Result<(), CallError> {
        let mut documents = documents.into_iter().peekable();
        while documents.peek().is_some() {
            let piece: Vec<_> = documents.by_ref().take(PIECE).collect();
            let describer = Arc::clone(describer);
            let narrower = tokio::task::spawn_blocking(move || narrower(&describer, piece));
            let narrower = narrower.await.map_err(internal)?;
            let written = self.store().set_attributes(name, &narrower).await;
            written.map_err(internal)?;
        }
        Ok(())
    }

    /// Gives documents that no source lists now, as of one that failed, the labels that rules of the base ask for.
    /// Nothing is loosened: where rules ask for none, labels stay. So do those that a file beside a document may
    /// have set, which cannot be asked.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) async fn hide_anew(
        &self,
        name: &str,
        describer: &Describer,
        documents: Vec<Unlisted>,
        report: &mut IngestReport,
    ) -> Result<(), CallError> {
        let hidden: Vec<NewAttributes> = documents
            .into_iter()
            .filter(|document| !document.has_neighbours || document.head.labels.is_empty())
            .filter_map(|Unlisted { head, .. }| {
                let labels = describer.labels(&head.uri);
                (!labels.is_empty() && labels != head.labels).then(|| NewAttributes {
                    document: head.id,
                    origin: head.origin,
                    modified: head.modified,
                    own: head.own.unwrap_or_default(),
                    metadata: head.metadata,
                    labels,
                })
            })
            .collect();
        for piece in hidden.chunks(PIECE) {
            let written = self.store().set_attributes(name, piece).await;
            written.map_err(internal)?;
        }
        report.described += hidden.len();
        Ok(())
    }
}

/// Documents whose labels let fewer read them than those that they have, with all else as it is.
fn narrower(describer: &Describer, documents: Vec<(Subject, DocumentHead)>) -> Vec<NewAttributes> {
    let narrower = |(file, head): (Subject, DocumentHead)| {
        // One that was never asked what it says of itself is not noted as asked.
        let own = head.own?;
        let labels = describer.describe(&file, &own, &file.sidecar()).labels;
        let are_some = head.labels.is_empty() || labels.iter().all(|l| head.labels.contains(l));
        let is_narrower = are_some && !labels.is_empty() && labels != head.labels;
        is_narrower.then_some(NewAttributes {
            document: head.id,
            origin: head.origin,
            modified: head.modified,
            own,
            metadata: head.metadata,
            labels,
        })
    };
    documents.into_iter().filter_map(narrower).collect()
}

fn describe(describer: &Describer, documents: Vec<(Subject, DocumentHead)>) -> Found {
    let mut found = Found::default();
    for (file, head) in documents {
        let own = head.own.unwrap_or_default();
        let sidecar = file.sidecar();
        let described = describer.describe(&file, &own, &sidecar);
        let is_new = described.metadata != head.metadata || described.labels != head.labels;
        let mut notes = described.sidecar_notes;
        if is_new {
            notes.extend(described.notes);
            found.described += 1;
        }
        if is_new || file.origin != head.origin {
            found.changed.push(NewAttributes {
                document: head.id,
                origin: file.origin,
                modified: file.modified,
                own,
                metadata: described.metadata,
                labels: described.labels,
            });
        }
        found
            .warnings
            .extend(notes.into_iter().map(|reason| Warning {
                uri: file.uri.clone(),
                reason,
            }));
    }
    found
}
