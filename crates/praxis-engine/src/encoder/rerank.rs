//! Cross-encoders: a query and a passage are read together, and one number says how well they fit
//! (Nogueira and Cho 2019). Heads are those of Hugging Face's `BertForSequenceClassification` and
//! `XLMRobertaForSequenceClassification`; the score is the sigmoid of the only logit, as
//! sentence-transformers' `CrossEncoder` has it by default.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use praxis_core::{ModelError, Priority, Relevance, RerankRequest, Reranker};
use rayon::prelude::*;

use super::config::EncoderConfig;
use super::forward::Encoder;
use super::tensors::{Part, Safetensors, Tensors};
use super::text::TextTokenizer;
use super::worker::Worker;
use super::{BYTES_OF_TOKEN, check_vocabulary, token_limit, tokenizer_failed};
use crate::EngineError;
use crate::compute::math::dot;

/// What a cross-encoder's files do not say.
#[derive(Debug, Clone, Default)]
pub struct RerankOptions {
    /// Name of the model.
    pub name: String,
    /// Revision of its weights, e.g. the start of a SHA-256.
    pub revision: String,
    /// Cuts pairs earlier than the model's positions do.
    pub max_tokens: Option<usize>,
    /// Threads that compute; `None`: those that all encoders share, one for each processor.
    pub threads: Option<usize>,
}

/// A cross-encoder that is ready to score. Clones share the weights and the thread that computes.
#[derive(Clone)]
pub struct RerankEngine {
    shared: Arc<Shared>,
}

struct Shared {
    identity: String,
    weight_bytes: usize,
    /// What tests compare tokens with.
    #[cfg(test)]
    max_tokens: usize,
    #[cfg(test)]
    tokenizer: Arc<TextTokenizer>,
    worker: Worker<Pair, f32>,
}

/// A query and a passage.
struct Pair {
    query: Arc<Query>,
    passage: String,
}

/// A query, and its tokens once they are needed: they are made where all is computed, as those of passages are, and not
/// where the caller waits.
struct Query {
    text: String,
    tokens: OnceLock<Result<Vec<u32>, String>>,
}

impl Query {
    fn tokens(&self, tokenizer: &TextTokenizer, limit: usize) -> Result<&[u32], ModelError> {
        let tokens = self.tokens.get_or_init(|| {
            let tokens = tokenizer.half(&self.text, limit);
            tokens.map_err(|error| error.to_string())
        });
        tokens.as_deref().map_err(tokenizer_failed)
    }
}

impl RerankEngine {
    /// Loads a folder with `model.safetensors`, `tokenizer.json` and `config.json`. Takes a part of
    /// a second: call it off the async runtime.
    pub fn load(folder: &Path, options: RerankOptions) -> Result<Self, EngineError> {
        let config = EncoderConfig::from_folder(folder)?;
        let tokenizer = TextTokenizer::from_file(&folder.join("tokenizer.json"))?;
        let path = folder.join("model.safetensors");
        let tensors = Tensors::Safetensors(Safetensors::open(&path)?);
        let encoder = Encoder::load(&tensors, &config)?;
        let head = Head::load(&tensors, encoder.hidden())?;
        check_vocabulary(&path, &tokenizer, &encoder)?;
        let specials = tokenizer.pair_specials().ok_or_else(|| {
            let problem = "its post-processor does not put two texts one after the other";
            EngineError::unsupported(&folder.join("tokenizer.json"), problem)
        })?;
        let max_tokens = token_limit(&path, options.max_tokens, &encoder, specials)?;
        let weight_bytes = encoder.weight_bytes() + head.bytes();
        let tokenizer = Arc::new(tokenizer);
        let tokens_of = tokenizer.clone();
        let size = move |pair: &Pair| {
            let bytes = pair.query.text.len() + pair.passage.len();
            bytes.min(max_tokens * BYTES_OF_TOKEN)
        };
        let compute = move |pairs: &[Pair]| -> Result<Vec<f32>, ModelError> {
            let tokens = pairs.par_iter().map(|pair| {
                let query = pair.query.tokens(&tokens_of, max_tokens)?;
                let passage = tokens_of.half(&pair.passage, max_tokens);
                let passage = passage.map_err(tokenizer_failed)?;
                let mut tokens = tokens_of.pair(query, &passage, max_tokens);
                if !config.token_types {
                    tokens.first = tokens.ids.len();
                }
                Ok(tokens)
            });
            let tokens = tokens.collect::<Result<Vec<_>, ModelError>>()?;
            Ok(encoder.encode(&tokens, |rows| head.score(rows)))
        };
        let worker = Worker::start("praxis-rerank", options.threads, size, compute)?;
        Ok(Self {
            shared: Arc::new(Shared {
                identity: format!("{}@{}", options.name, options.revision),
                weight_bytes,
                #[cfg(test)]
                max_tokens,
                #[cfg(test)]
                tokenizer,
                worker,
            }),
        })
    }

    /// Bytes of memory that the model's weights take beside its file.
    pub fn weight_bytes(&self) -> usize {
        self.shared.weight_bytes
    }

    /// How well each passage fits the query, between 0 and 1, in the passages' order.
    pub async fn score(&self, query: &str, passages: Vec<String>) -> Result<Vec<f32>, ModelError> {
        let query = Arc::new(Query {
            text: query.to_owned(),
            tokens: OnceLock::new(),
        });
        let pairs = passages.into_iter().map(|passage| Pair {
            query: query.clone(),
            passage,
        });
        self.shared
            .worker
            .compute(Priority::Interactive, pairs)
            .await
    }
}

#[async_trait]
impl Reranker for RerankEngine {
    fn identity(&self) -> String {
        self.shared.identity.clone()
    }

    async fn rerank(&self, request: RerankRequest) -> Result<Vec<Relevance>, ModelError> {
        let scores = self.score(&request.query, request.documents).await?;
        Ok(Relevance::best_first(scores, request.top_n))
    }
}

/// The head of a sequence classifier with one label, in single precision: it is small.
struct Head {
    /// Square, its rows one after the other.
    dense: Vec<f32>,
    dense_bias: Vec<f32>,
    out: Vec<f32>,
    out_bias: f32,
}

impl Head {
    fn load(tensors: &Tensors<'_>, hidden: usize) -> Result<Self, EngineError> {
        let (dense, out) = if tensors.has(Part::CLASSIFIER_OUT) {
            (Part::CLASSIFIER_DENSE, Part::CLASSIFIER_OUT)
        } else if tensors.has(Part::CLASSIFIER) {
            (Part::POOLER, Part::CLASSIFIER)
        } else {
            let problem = "it has no `classifier`: only cross-encoders for sequence classification \
                           rerank";
            return Err(EngineError::unsupported(tensors.path(), problem));
        };
        let weights = tensors.table(out, hidden)?;
        if weights.rows() != 1 {
            let problem = format!("it has {} labels, a reranker has one", weights.rows());
            return Err(EngineError::unsupported(tensors.path(), problem));
        }
        Ok(Self {
            dense: tensors.values(dense, hidden, hidden)?,
            dense_bias: tensors.vector(dense, 0, "bias", hidden)?,
            out: weights.decode(),
            out_bias: tensors.vector(out, 0, "bias", 1)?[0],
        })
    }

    /// Bytes of memory that it takes.
    fn bytes(&self) -> usize {
        let values = self.dense.len() + self.dense_bias.len() + self.out.len() + 1;
        values * size_of::<f32>()
    }

    /// The score of a pair by its first token's row.
    fn score(&self, rows: &[f32]) -> f32 {
        let first = &rows[..self.out.len()];
        let pooled = self
            .dense
            .chunks_exact(first.len())
            .zip(&self.dense_bias)
            .map(|(row, bias)| (dot(row, first) + bias).tanh());
        let pooled = pooled.collect::<Vec<_>>();
        let logit = dot(&self.out, &pooled) + self.out_bias;
        1.0 / (1.0 + (-logit).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::linear::tests::EXACT;

    #[derive(serde::Deserialize)]
    struct Case {
        query: String,
        passage: String,
        ids: Vec<u32>,
        types: Vec<u32>,
        score: f32,
    }

    /// Without rounding, to be sure of everything else.
    #[tokio::test]
    async fn exact_scores_are_those_of_transformers() {
        for name in ["tiny-bert-reranker", "tiny-xlmr-reranker"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
            let folder = folder.join(name);
            EXACT.set(true);
            let engine = RerankEngine::load(&folder, RerankOptions::default()).unwrap();
            EXACT.set(false);
            let cases = std::fs::read(folder.join("scores.json")).unwrap();
            let cases: Vec<Case> = serde_json::from_slice(&cases).unwrap();
            for case in cases {
                let (tokenizer, limit) = (&engine.shared.tokenizer, engine.shared.max_tokens);
                let half = |text: &str| tokenizer.half(text, limit).unwrap();
                let pair = tokenizer.pair(&half(&case.query), &half(&case.passage), limit);
                assert_eq!(pair.ids, case.ids, "{name}: {}", case.query);
                let second = case.types.iter().filter(|kind| **kind == 1).count();
                assert_eq!(pair.first, case.ids.len() - second);
                let scores = engine.score(&case.query, vec![case.passage]).await;
                let difference = (scores.unwrap()[0] - case.score).abs();
                assert!(difference < 1e-5, "{name}: {difference} off {}", case.score);
            }
        }
    }
}
