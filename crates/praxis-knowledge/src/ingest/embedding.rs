//! Documents on their way from the cut to a step: embedded some at a time, and counted. Where an embedder refuses texts,
//! the documents that they are of are found, told and left out, and the others go on. Left out: writing them (`steps`).

use praxis_core::{CallError, Clearance, EmbedKind, Embedder, ErrorCode};
use praxis_store::NewAttributes;

use super::prepare::Prepared;
use super::settings::{is_outdated, is_refused};
use super::steps::Run;
use super::{FailedDocument, IngestEvent, IngestReport, Warning, embedded, named, one_length};
use crate::knowledge::internal;

/// A text that no embedder has a reason to refuse.
const HARMLESS: &str = "The library opens at nine.";

/// Characters of a refused text that are shown.
const SHOWN: usize = 60;

/// What to do about an embedder that refuses every text.
pub(crate) const REFUSES_ALL: &str =
    "the embedder refuses every text: look at its model, account and settings in praxis.toml";

/// What to do about a text that an embedder refuses.
const REFUSED_HINT: &str = "change the document; or, where its passages are too long for the embedder, \
     lower `max_tokens` under [segment] of the base, or set that of the embedder in praxis.toml; `praxis ingest` then \
     tries again";

/// A text that an embedder does not take.
pub(crate) struct Refused {
    pub text: String,
    pub error: CallError,
}

/// Texts that are embedded, in order. Those that are refused together are tried in halves: too many may have been sent
/// at once, and if not, the one that is refused is found.
pub(crate) struct Sieve<'a> {
    embedder: &'a dyn Embedder,
    /// The next ones are the last.
    waiting: Vec<Vec<String>>,
}

impl<'a> Sieve<'a> {
    pub fn new(embedder: &'a dyn Embedder, texts: Vec<String>) -> Self {
        Self {
            embedder,
            waiting: vec![texts],
        }
    }

    /// Vectors of some of the next texts, or the next text and why there is none; nothing after the last.
    pub async fn next(&mut self) -> Option<Result<Vec<Vec<f32>>, Refused>> {
        loop {
            let mut texts = self.waiting.pop()?;
            match embedded(self.embedder, texts.clone()).await {
                Ok(vectors) => return Some(Ok(vectors)),
                Err(error) if is_refusal(error.code) && texts.len() > 1 => {
                    let rest = texts.split_off(texts.len() / 2);
                    self.waiting.extend([rest, texts]);
                }
                Err(error) => {
                    let text = texts.into_iter().next().unwrap_or_default();
                    return Some(Err(Refused { text, error }));
                }
            }
        }
    }
}

impl Run<'_> {
    /// Embeds documents, and gathers them for the next step. Those whose texts are refused are reported.
    ///
    /// # Errors
    /// An embedder that fails, or refuses any text, and vectors that do not fit the base.
    pub async fn take(
        &mut self,
        mut batch: Vec<Prepared>,
        report: &mut IngestReport,
    ) -> Result<(), CallError> {
        self.leave_same(&mut batch).await?;
        let texts = batch.iter().flat_map(Prepared::embedded_texts).collect();
        match embedded(self.embedder, texts).await {
            Ok(vectors) => {
                self.fit(&vectors)?;
                let mut vectors = vectors.into_iter();
                for prepared in batch {
                    self.gather(prepared, &mut vectors, report);
                }
                Ok(())
            }
            Err(error) if is_refusal(error.code) => self.take_each(batch, report).await,
            Err(error) => Err(of_batch(error, &batch)),
        }
    }

    /// Leaves alone what an older revision had read too and the same way: its vectors are those of the same texts.
    async fn leave_same(&self, batch: &mut [Prepared]) -> Result<(), CallError> {
        let store = self.knowledge.store();
        for prepared in batch.iter_mut().filter(|p| !p.unchanged) {
            let head = self.known.get(&prepared.from.entry.uri);
            let Some(head) = head.filter(|h| h.error.is_none() && may_stay(&h.settings)) else {
                continue;
            };
            let stored = store.document(&head.id, &Clearance::Full).await;
            let stored = stored.map_err(internal)?;
            if stored.is_some_and(|stored| prepared.is_as(&stored)) {
                prepared.stay();
            }
        }
        Ok(())
    }

    /// Embeds each document alone.
    async fn take_each(
        &mut self,
        batch: Vec<Prepared>,
        report: &mut IngestReport,
    ) -> Result<(), CallError> {
        let mut refused = Vec::new();
        for prepared in batch {
            match sifted(self.embedder, prepared.embedded_texts()).await {
                Ok(vectors) => {
                    self.fit(&vectors)?;
                    self.gather(prepared, &mut vectors.into_iter(), report);
                }
                Err(one) if is_refusal(one.error.code) => refused.push((prepared, one)),
                Err(one) => return Err(of_batch(one.error, &[prepared])),
            }
        }
        let first = refused.first();
        let first = first.map(|(of, one)| named(one.error.clone(), &of.from.entry.uri));
        if let Some(error) = first
            && refuses_all(self.embedder).await?
        {
            return Err(error.with_hint(REFUSES_ALL));
        }
        for (mut prepared, one) in refused {
            let reason = format!(
                "the embedder refuses a text of it, which begins with {:?}: {}",
                beginning(&one.text),
                one.error.message
            );
            let before = self.known.get(&prepared.from.entry.uri);
            prepared.refuse(reason, REFUSED_HINT, &self.refused, before);
            self.gather(prepared, &mut std::iter::empty(), report);
        }
        Ok(())
    }

    /// Checks that vectors are as long as all others of the base.
    fn fit(&mut self, vectors: &[Vec<f32>]) -> Result<(), CallError> {
        one_length(self.name, self.embedder, self.length, vectors)?;
        self.length = self.length.or(vectors.first().map(Vec::len));
        Ok(())
    }

    /// Counts a document, and keeps it for the next step.
    fn gather(
        &mut self,
        prepared: Prepared,
        vectors: &mut impl Iterator<Item = Vec<f32>>,
        report: &mut IngestReport,
    ) {
        let uri = prepared.from.entry.uri.clone();
        let known = self.known;
        let before = known.get(&uri);
        let notes = prepared.document.iter().flat_map(|d| &d.notes);
        let notes = notes.chain(&prepared.described.notes);
        let notes = notes.chain(&prepared.described.sidecar_notes);
        report.warnings.extend(notes.map(|reason| Warning {
            uri: uri.clone(),
            reason: reason.clone(),
        }));
        if prepared.unchanged {
            if let Some(head) = before {
                report.keep(head);
                if head.settings != prepared.settings {
                    let settings = prepared.settings.clone();
                    self.gathered.recut(head.id.clone(), settings);
                }
                let described = prepared.described;
                let is_new = described.metadata != head.metadata || described.labels != head.labels;
                report.described += usize::from(is_new);
                self.gathered.describe(NewAttributes {
                    document: head.id.clone(),
                    origin: prepared.from.origin(),
                    modified: prepared.from.entry.modified,
                    own: prepared.own,
                    metadata: described.metadata,
                    labels: described.labels,
                });
            }
        } else if let Some(failure) = prepared.missing(before) {
            // What was read before is better than nothing; who may read it may have changed.
            report.failed.push(failure);
            if let Some(head) = before {
                self.gathered.describe(NewAttributes {
                    document: head.id.clone(),
                    origin: head.origin.clone(),
                    modified: head.modified,
                    own: prepared.own,
                    metadata: prepared.described.metadata,
                    labels: prepared.described.labels,
                });
            }
        } else {
            let document = prepared.into_document(self.name, vectors);
            report.chunks += document.chunks.len();
            match (&document.error, before) {
                (Some(reason), _) => report.failed.push(FailedDocument {
                    uri: uri.clone(),
                    reason: reason.clone(),
                    hint: document.hint.clone(),
                }),
                (None, Some(head)) if head.error.is_none() => report.updated += 1,
                (None, _) => report.added += 1,
            }
            self.gathered.add(document);
        }
        (self.progress)(IngestEvent::Finished { uri });
    }
}

/// What is shown of a refused text.
pub(crate) fn beginning(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// Whether a model refuses what it was given, and may take something else.
pub(crate) fn is_refusal(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::InvalidRequest | ErrorCode::ContextLengthExceeded | ErrorCode::ContentBlocked
    )
}

/// Vectors of the texts of a document, or the first one that is refused.
async fn sifted(embedder: &dyn Embedder, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Refused> {
    let mut vectors = Vec::with_capacity(texts.len());
    let mut sieve = Sieve::new(embedder, texts);
    while let Some(some) = sieve.next().await {
        vectors.extend(some?);
    }
    Ok(vectors)
}

/// Whether a document that was cut with these settings may have the vectors that it would get: one with texts that were
/// refused has not.
fn may_stay(settings: &str) -> bool {
    is_outdated(settings) && !is_refused(settings)
}

/// Whether an embedder refuses any text: then it is its settings that are wrong, and no document.
pub(crate) async fn refuses_all(embedder: &dyn Embedder) -> Result<bool, CallError> {
    let asked = embedder.embed(EmbedKind::Passage, vec![HARMLESS.to_owned()]);
    match asked.await {
        Ok(_) => Ok(false),
        Err(error) if is_refusal(error.code()) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// An error of documents that were embedded together, with their names.
fn of_batch(error: CallError, batch: &[Prepared]) -> CallError {
    let mut embedded = batch.iter().filter(|p| !p.segments.is_empty());
    match (embedded.next(), embedded.count()) {
        (None, _) => error,
        (Some(first), 0) => named(error, &first.from.entry.uri),
        (Some(first), more) => {
            let first = &first.from.entry.uri;
            let message = format!("`{first}` and {more} more: {}", error.message);
            CallError { message, ..error }
        }
    }
}
