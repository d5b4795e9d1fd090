//! Speech models behind a name: of the engine, loaded with their first use, and as a caller has them, with a span. Left
//! out: models behind an endpoint.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures::StreamExt;
use praxis_core::speech::{Transcriber, TranscriptChunk, TranscriptStream, TranscriptionRequest};
use praxis_core::trace::SpanStatus;
use praxis_core::{CallContext, ModelError, SpanKind, Usage};
use praxis_engine::{SpeechEngine, SpeechOptions};
use praxis_hub::Cache;
use serde_json::json;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::account;
use crate::config::ModelConfig;
use crate::local::{Place, load, revision};

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
pub(crate) struct Traced {
    pub transcriber: Arc<dyn Transcriber>,
    /// Its name in requests.
    pub name: String,
    pub cx: CallContext,
}

#[async_trait]
impl Transcriber for Traced {
    fn identity(&self) -> String {
        self.transcriber.identity()
    }

    async fn transcribe(
        &self,
        request: TranscriptionRequest,
        cancel: CancellationToken,
    ) -> Result<TranscriptStream, ModelError> {
        let began = Instant::now();
        let input = json!({ "task": request.task, "language": request.language });
        let (span, _) = self.cx.span(SpanKind::Transcription, &self.name, input);
        let count = {
            let name = self.name.clone();
            move |outcome: &str| account::count(&name, outcome, Usage::default(), began)
        };
        let stream = match self.transcriber.transcribe(request, cancel).await {
            Ok(stream) => stream,
            Err(error) => {
                count(error.code().as_str());
                span.fail(&error);
                return Err(error);
            }
        };
        let (mut output, mut segments) = (json!({ "model": self.name }), 0u64);
        // The span is closed once, with the last chunk; a stream that is dropped before leaves it as cancelled.
        let mut span = Some(span);
        let watched = stream.inspect(move |chunk| match chunk {
            Ok(TranscriptChunk::Begun { language, duration }) => {
                output["language"] = json!(language);
                output["seconds"] = json!(duration);
            }
            Ok(TranscriptChunk::Segment(_)) => segments += 1,
            Ok(TranscriptChunk::Done) => {
                output["segments"] = json!(segments);
                if let Some(span) = span.take() {
                    span.finish(output.take());
                    count("ok");
                }
            }
            Err(error) => {
                if let Some(span) = span.take() {
                    span.close(output.take(), SpanStatus::Error(error.to_string()));
                    count(error.code().as_str());
                }
            }
        });
        Ok(watched.boxed())
    }
}
