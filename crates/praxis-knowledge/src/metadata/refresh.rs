//! Documents whose files did not change, described anew: rules of the base and files beside documents may
//! have changed. Nothing is read of the documents themselves and nothing is embedded.

use std::sync::Arc;

use praxis_core::CallError;
use praxis_store::{DocumentHead, NewAttributes};

use super::{Describer, Sidecar};
use crate::ingest::{IngestReport, Warning};
use crate::knowledge::{Knowledge, internal};
use crate::walk::SourceFile;

/// Documents that are described in one go.
const PIECE: usize = 1000;

/// What came of a piece: what is to be written, and what could not be read.
type Found = (Vec<NewAttributes>, Vec<Warning>);

impl Knowledge {
    /// Describes these documents of a base anew, and writes what is not as it was.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) async fn describe_anew(
        &self,
        name: &str,
        describer: &Arc<Describer>,
        documents: Vec<(SourceFile, DocumentHead)>,
        report: &mut IngestReport,
    ) -> Result<(), CallError> {
        let mut documents = documents.into_iter().peekable();
        while documents.peek().is_some() {
            let piece: Vec<_> = documents.by_ref().take(PIECE).collect();
            let describer = Arc::clone(describer);
            let found = tokio::task::spawn_blocking(move || describe(&describer, piece));
            let (changed, warnings) = found.await.map_err(internal)?;
            let written = self.store().set_attributes(name, &changed).await;
            written.map_err(internal)?;
            report.described += changed.len();
            report.warnings.extend(warnings);
        }
        Ok(())
    }
}

fn describe(describer: &Describer, documents: Vec<(SourceFile, DocumentHead)>) -> Found {
    let (mut changed, mut warnings) = Found::default();
    for (file, head) in documents {
        let own = head.own.unwrap_or_default();
        let sidecar = Sidecar::beside(&file.path);
        let described = describer.describe(&file, &own, &sidecar);
        let is_new = described.metadata != head.metadata || described.labels != head.labels;
        let mut notes = described.sidecar_notes;
        if is_new {
            notes.extend(described.notes);
            changed.push(NewAttributes {
                document: head.id,
                modified: file.modified,
                own,
                metadata: described.metadata,
                labels: described.labels,
            });
        }
        warnings.extend(notes.into_iter().map(|reason| Warning {
            uri: file.uri.clone(),
            reason,
        }));
    }
    (changed, warnings)
}
