//! Embedders behind their names: of the engine or of an endpoint, counted the same way.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use praxis_core::embed::{TokenCounter, normalize, only_own_length};
use praxis_core::{EmbedKind, Embedder, ModelError, Usage};
use tokio::sync::OnceCell;

use crate::account;
use crate::attempts::Attempts;
use crate::local::{LocalEmbedder, prefixes};
use crate::meter::{self, Meter};
use crate::tokens;
use crate::vocabulary::Vocabulary;
use crate::wire::Endpoint;

/// Tokens of a text where neither the provider nor the configuration says (OpenAI's limit).
const DEFAULT_MAX_TOKENS: usize = 8191;

/// An embedder whose use is counted while it works.
#[async_trait]
pub(crate) trait Metered: Embedder {
    /// As [`Embedder::embed_sized`]; the meter knows at any time what was used until then.
    async fn embed_metered(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
        dimension: Option<usize>,
        meter: &Meter,
    ) -> Result<Vec<Vec<f32>>, ModelError>;
}

/// A local embedder, with metrics.
pub(crate) struct Local {
    pub name: String,
    pub model: LocalEmbedder,
}

#[async_trait]
impl Embedder for Local {
    fn identity(&self) -> String {
        self.model.identity()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        self.model.engine().await?.dimension().await
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        self.model.engine().await?.max_tokens().await
    }

    async fn embed(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let began = Instant::now();
        let result = async { self.model.engine().await?.embed(kind, texts).await }.await;
        account::count(&self.name, outcome(&result), Usage::default(), began);
        result
    }

    /// Counts where no connections are served.
    async fn embed_sized(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
        dimension: Option<usize>,
    ) -> Result<(Vec<Vec<f32>>, u64), ModelError> {
        only_own_length(self, dimension).await?;
        let counter = self.token_counter().await?;
        let counted = tokens::counted(move || {
            let tokens: u64 = texts.iter().map(|text| counter(text) as u64).sum();
            (texts, tokens)
        });
        let (texts, tokens) = counted.await?;
        Ok((self.embed(kind, texts).await?, tokens))
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        self.model.engine().await?.token_counter().await
    }
}

#[async_trait]
impl Metered for Local {
    async fn embed_metered(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
        dimension: Option<usize>,
        meter: &Meter,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let (vectors, tokens) = self.embed_sized(kind, texts, dimension).await?;
        meter.read(tokens);
        Ok(vectors)
    }
}

/// An embedder behind an endpoint.
pub(crate) struct Remote {
    pub endpoint: Endpoint,
    pub max_retries: u32,
    /// Length of the vectors to ask for.
    pub wanted: Option<usize>,
    pub max_tokens: Option<usize>,
    pub query_prefix: String,
    pub passage_prefix: String,
    /// Length of the vectors that came.
    pub dimension: OnceCell<usize>,
}

impl Remote {
    /// One request, sent again as the policy says.
    async fn request(
        &self,
        texts: Vec<String>,
        dimension: Option<usize>,
        meter: &Meter,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let texts = Arc::new(texts);
        let vocabulary = Vocabulary::like(&self.endpoint.model);
        let mut attempts = Attempts::new(self.max_retries);
        loop {
            let began = Instant::now();
            let tally = meter.asks(&texts, vocabulary);
            let error = match self.endpoint.embed(&texts, dimension, &tally).await {
                Ok((vectors, usage)) => {
                    let estimate = || Usage {
                        input_tokens: meter::count(&texts, vocabulary),
                        ..Usage::default()
                    };
                    account::count(
                        &self.endpoint.name,
                        "ok",
                        usage.unwrap_or_else(estimate),
                        began,
                    );
                    return Ok(vectors);
                }
                Err(error) => error,
            };
            let outcome = error.code().as_str();
            account::count(&self.endpoint.name, outcome, Usage::default(), began);
            // What a provider works at is billed: it is not asked for twice.
            let works = matches!(error, ModelError::Timeout(_)) && tally.due().is_some();
            let next = attempts.next(&error, rand::random());
            let Some(pause) = next.pause().filter(|_| !works) else {
                return Err(error);
            };
            meter.covers_again(&tally).await?;
            count_retry(&self.endpoint.name);
            tokio::time::sleep(pause).await;
        }
    }

    /// The length to ask for: that of the request, unless the model has it anyway, for many know no word for it.
    fn length(&self, asked: Option<usize>) -> Option<usize> {
        let own = self.dimension.get().copied();
        asked.filter(|_| asked != own).or(self.wanted)
    }

    /// Checks lengths, and normalizes as the port demands. `asked`: what the request wants of them.
    fn accept(&self, vectors: &mut [Vec<f32>], asked: Option<usize>) -> Result<(), ModelError> {
        for vector in vectors {
            let expected = asked
                .or(self.wanted)
                .or(self.dimension.get().copied())
                .unwrap_or(vector.len());
            if vector.is_empty() || vector.len() != expected {
                let message = format!(
                    "`{}` gave a vector of {} dimensions, not {expected}",
                    self.endpoint.name,
                    vector.len()
                );
                return Err(match asked {
                    Some(_) => ModelError::InvalidRequest(format!("dimensions: {message}")),
                    None => ModelError::Broken(message),
                });
            }
            if asked.is_none() {
                // A race of two first calls sets the same length twice; the loser's error says nothing.
                let _ = self.dimension.set(vector.len());
            }
            normalize(vector);
        }
        Ok(())
    }

    /// Texts as the provider takes them. Long ones are counted where no connections are served.
    async fn prepared(&self, kind: EmbedKind, texts: &[String]) -> Result<Vec<String>, ModelError> {
        let prefix = match kind {
            EmbedKind::Query => self.query_prefix.as_str(),
            EmbedKind::Passage => self.passage_prefix.as_str(),
            EmbedKind::Raw => "",
        };
        let whole = texts.iter().map(|text| format!("{prefix}{text}"));
        let whole: Vec<String> = whole.collect();
        let room = Room {
            tokens: self.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
            own: Vocabulary::of(&self.endpoint.model),
        };
        let is_long = whole.iter().any(|text| !room.is_surely_for(text));
        let fitted = move || -> Vec<String> {
            let all = whole.iter().map(|text| room.fitted(text));
            all.collect()
        };
        match is_long {
            true => tokens::counted(fitted).await,
            false => Ok(fitted()),
        }
    }
}

/// How much of a text a provider takes: it refuses one that is too long, where the port promises to cut it, and an
/// empty one, where it promises a vector.
#[derive(Clone, Copy)]
struct Room {
    tokens: usize,
    /// The model's own tokenizer, where that is known.
    own: Option<Vocabulary>,
}

impl Room {
    /// Whether it is enough for a text, whatever its tokens are: every token has a byte.
    fn is_surely_for(self, text: &str) -> bool {
        text.len() <= self.tokens
    }

    /// What of a text is sent: all, where the model's own tokenizer says that it fits.
    fn fitted(self, text: &str) -> String {
        let fits =
            self.is_surely_for(text) || self.own.is_some_and(|own| own.count(text) <= self.tokens);
        let sent = match fits {
            true => text,
            false => tokens::cut(text, self.tokens as u64),
        };
        match sent {
            "" => " ".to_owned(),
            sent => sent.to_owned(),
        }
    }
}

#[async_trait]
impl Embedder for Remote {
    fn identity(&self) -> String {
        let host = self.endpoint.base_url.host_str().unwrap_or_default();
        let dimension = self.wanted.map(|d| format!("#{d}")).unwrap_or_default();
        let query = Some(self.query_prefix.as_str()).filter(|prefix| !prefix.is_empty());
        let passage = Some(self.passage_prefix.as_str()).filter(|prefix| !prefix.is_empty());
        let prefixes = prefixes(query, passage);
        format!("{}{dimension}@{host}{prefixes}", self.endpoint.model)
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        if let Some(known) = self.wanted.or(self.dimension.get().copied()) {
            return Ok(known);
        }
        let vectors = self
            .embed(EmbedKind::Raw, vec!["dimension".to_owned()])
            .await?;
        Ok(vectors.first().map_or(0, Vec::len))
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Ok(self.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS))
    }

    async fn embed(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let meter = Meter::default();
        self.embed_metered(kind, texts, None, &meter).await
    }

    async fn embed_sized(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
        dimension: Option<usize>,
    ) -> Result<(Vec<Vec<f32>>, u64), ModelError> {
        let meter = Meter::default();
        let vectors = self.embed_metered(kind, texts, dimension, &meter).await?;
        Ok((vectors, meter.tokens()))
    }

    fn detokenize(&self, tokens: &[u32]) -> Result<String, ModelError> {
        let model = &self.endpoint.model;
        let Some(vocabulary) = Vocabulary::of(model) else {
            return Err(ModelError::InvalidRequest(format!(
                "input: the tokenizer of `{model}` is not known here; send texts instead of tokens"
            )));
        };
        let text = vocabulary.decode(tokens);
        text.ok_or_else(|| {
            ModelError::InvalidRequest(format!(
                "input: the tokenizer of `{model}` has no such tokens; send texts instead"
            ))
        })
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        let counter: TokenCounter = match Vocabulary::of(&self.endpoint.model) {
            Some(vocabulary) => Arc::new(move |text| vocabulary.count(text)),
            None => Arc::new(|text| usize::try_from(tokens::estimate(text)).unwrap_or(usize::MAX)),
        };
        Ok(counter)
    }
}

#[async_trait]
impl Metered for Remote {
    async fn embed_metered(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
        dimension: Option<usize>,
        meter: &Meter,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let length = self.length(dimension);
        let mut all = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.endpoint.dialect.facts().texts_at_once) {
            let batch = self.prepared(kind, batch).await?;
            let mut vectors = self.request(batch, length, meter).await?;
            self.accept(&mut vectors, dimension)?;
            all.append(&mut vectors);
        }
        Ok(all)
    }
}

fn outcome<T>(result: &Result<T, ModelError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.code().as_str(),
    }
}

/// Counts a request that is sent again.
pub(crate) fn count_retry(model: &str) {
    metrics::counter!("praxis_model_retries_total", "model" => model.to_owned()).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_sent_as_far_as_there_is_room_for_it() {
        let own = Vocabulary::of("text-embedding-3-small");
        let room = |own| Room { tokens: 10, own };
        // Nine tokens of forty bytes.
        let words = "word ".repeat(8);
        assert_eq!(room(own).fitted(&words), words);
        let long = "word ".repeat(1000);
        for own in [own, None] {
            let sent = room(own).fitted(&long);
            assert!(!sent.is_empty() && sent.len() < 200, "{sent}");
            assert!(long.starts_with(&sent), "{sent}");
            assert_eq!(room(own).fitted(""), " ");
        }
    }
}
