//! Speech models behind a name: of the engine, loaded with their first use, and as a caller has them: each transcript is
//! traced, counted by the seconds of its audio, and held to the caller's limits. Left out: models behind an endpoint.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use praxis_core::function::OpenSpan;
use praxis_core::ledger::UsageKind;
use praxis_core::speech::{Transcriber, TranscriptChunk, TranscriptStream, TranscriptionRequest};
use praxis_core::trace::SpanStatus;
use praxis_core::{CallContext, Ledger, ModelError, SpanKind, Spent, Usage};
use praxis_engine::{SpeechEngine, SpeechOptions};
use praxis_hub::Cache;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::account;
use crate::claims::{Bill, Held};
use crate::config::ModelConfig;
use crate::local::{Place, load, revision};
use crate::price::Price;

/// A speech model of the engine.
pub(crate) struct Local {
    place: Place,
    cache: Cache,
    options: SpeechOptions,
    engine: OnceCell<SpeechEngine>,
}

impl Local {
    pub(crate) fn new(
        name: &str,
        place: Place,
        cache: Cache,
        config: Option<&ModelConfig>,
    ) -> Self {
        let (name, revision) = match &place {
            Place::Catalogue(entry) => (entry.name.clone(), entry.revision().to_owned()),
            Place::Path(path) => (name.to_owned(), revision(&path.join("model.bin"))),
        };
        let options = SpeechOptions {
            name,
            revision,
            threads: config.and_then(|c| c.threads),
            max_seconds: None,
        };
        Self {
            place,
            cache,
            options,
            engine: OnceCell::new(),
        }
    }

    async fn engine(&self) -> Result<&SpeechEngine, ModelError> {
        self.engine
            .get_or_try_init(|| async {
                let path = self.place.path(&self.cache)?;
                let options = self.options.clone();
                load(move || SpeechEngine::load(&path, options)).await
            })
            .await
    }
}

#[async_trait]
impl Transcriber for Local {
    fn identity(&self) -> String {
        format!("{}@{}", self.options.name, self.options.revision)
    }

    async fn transcribe(
        &self,
        request: TranscriptionRequest,
        cancel: CancellationToken,
    ) -> Result<TranscriptStream, ModelError> {
        self.engine().await?.transcribe(request, cancel).await
    }
}

/// A speech model for one caller: each transcript leaves a span and is counted.
pub(crate) struct Counted {
    pub transcriber: Arc<dyn Transcriber>,
    /// Its name in requests.
    pub name: String,
    pub price: Price,
    pub ledger: Option<Arc<dyn Ledger>>,
    pub cx: CallContext,
}

#[async_trait]
impl Transcriber for Counted {
    fn identity(&self) -> String {
        self.transcriber.identity()
    }

    async fn transcribe(
        &self,
        mut request: TranscriptionRequest,
        cancel: CancellationToken,
    ) -> Result<TranscriptStream, ModelError> {
        request.caller.clone_from(&self.cx.payer().key);
        let input = json!({ "task": request.task, "language": request.language });
        let (span, _) = self.cx.span(SpanKind::Transcription, &self.name, input);
        let mut account = Listening::new(self, span);
        let begun = self.begin(request, cancel, &mut account).await;
        let (first, rest) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                account.fail(&error);
                return Err(error);
            }
        };
        let stream = stream::iter(first).chain(rest);
        Ok(stream.inspect(move |chunk| account.take(chunk)).boxed())
    }
}

impl Counted {
    /// The stream of a transcript, and its first chunk where that was waited for: how long audio is that costs something
    /// is known with it, and nothing of the transcript is told before there is room for what it costs.
    async fn begin(
        &self,
        request: TranscriptionRequest,
        cancel: CancellationToken,
        account: &mut Listening,
    ) -> Result<(Option<Chunk>, TranscriptStream), ModelError> {
        if let Some(ledger) = &self.ledger {
            account.bill = Some(Bill::for_audio(ledger, &self.cx).await?);
        }
        let mut rest = self.transcriber.transcribe(request, cancel).await?;
        let Some(bill) = account
            .bill
            .as_ref()
            .filter(|_| self.price.audio_minute > 0.0)
        else {
            return Ok((None, rest));
        };
        let first = rest.next().await;
        if let Some(Ok(TranscriptChunk::Begun { duration, .. })) = &first {
            let money = self.price.cost(seconds(*duration));
            account.held = bill.hold(money, &self.cx).await?;
        }
        Ok((first, rest))
    }
}

type Chunk = Result<TranscriptChunk, ModelError>;

/// So many seconds of audio, begun ones too.
fn seconds(duration: f64) -> Usage {
    Usage {
        audio_seconds: duration.max(0.0).ceil() as u64,
        ..Usage::default()
    }
}

/// The account of a transcript, which is closed once: with its end, or where it is dropped before.
struct Listening {
    span: Option<OpenSpan>,
    /// What is owed for it.
    bill: Option<Bill>,
    /// What is held of limits in money until that is paid.
    held: Option<Held>,
    model: String,
    price: Price,
    kind: UsageKind,
    began: Instant,
    output: Value,
    segments: u64,
    /// Seconds of the audio, and of what of it was written down.
    duration: f64,
    written: f64,
}

impl Listening {
    fn new(model: &Counted, span: OpenSpan) -> Self {
        Self {
            span: Some(span),
            bill: None,
            held: None,
            model: model.name.clone(),
            price: model.price,
            kind: model.cx.kind().unwrap_or(UsageKind::Transcription),
            began: Instant::now(),
            output: json!({ "model": model.name }),
            segments: 0,
            duration: 0.0,
            written: 0.0,
        }
    }

    fn take(&mut self, chunk: &Chunk) {
        match chunk {
            Ok(TranscriptChunk::Begun { language, duration }) => {
                self.output["language"] = json!(language);
                self.output["seconds"] = json!(duration);
                self.duration = *duration;
            }
            Ok(TranscriptChunk::Segment(segment)) => {
                self.segments += 1;
                self.written = segment.end;
            }
            Ok(TranscriptChunk::Done) => {
                self.output["segments"] = json!(self.segments);
                self.close(self.duration, SpanStatus::Ok, "ok");
            }
            Err(error) => self.fail(error),
        }
    }

    /// Closes it with an error. What was listened to before counts.
    fn fail(&mut self, error: &ModelError) {
        let (status, outcome) = match error {
            ModelError::Cancelled => (SpanStatus::Cancelled, "cancelled"),
            other => (SpanStatus::Error(other.to_string()), other.code().as_str()),
        };
        self.close(self.written, status, outcome);
    }

    fn close(&mut self, listened: f64, status: SpanStatus, outcome: &str) {
        let Some(mut span) = self.span.take() else {
            return;
        };
        let usage = seconds(listened);
        let money = self.price.cost(usage);
        if let Some(bill) = self.bill.take() {
            bill.pay(Spent {
                kind: self.kind,
                model: self.model.clone(),
                usage,
                money,
                failed: status != SpanStatus::Ok,
            });
        }
        // Only now: what is paid is counted before what was held for it is there again.
        if let Some(held) = self.held.take() {
            held.give_back();
        }
        span.charge(usage, money);
        span.close(self.output.take(), status);
        account::count(&self.model, outcome, usage, self.began);
    }
}

impl Drop for Listening {
    /// The caller went away.
    fn drop(&mut self) {
        self.fail(&ModelError::Cancelled);
    }
}

#[cfg(test)]
mod tests;
