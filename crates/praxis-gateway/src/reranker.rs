//! Rerankers behind a name: cross-encoders of the engine, and `/rerank` of an endpoint. Left out: chat models that
//! are asked to rank, which is the searcher's art.

use std::time::Instant;

use async_trait::async_trait;
use praxis_core::{ModelError, Relevance, RerankRequest, Reranker, Usage};
use praxis_engine::{RerankEngine, RerankOptions};
use praxis_hub::Cache;
use tokio::sync::OnceCell;

use crate::account;
use crate::attempts::{Attempts, Next};
use crate::config::ModelConfig;
use crate::embedder::count_retry;
use crate::local::{Place, load, revision};
use crate::tokens;
use crate::wire::Endpoint;

/// A cross-encoder of the engine, loaded with its first use.
pub(crate) struct Local {
    name: String,
    place: Place,
    cache: Cache,
    options: RerankOptions,
    engine: OnceCell<RerankEngine>,
}

impl Local {
    pub(crate) fn new(
        name: &str,
        place: Place,
        cache: Cache,
        config: Option<&ModelConfig>,
    ) -> Self {
        let mut options = match &place {
            Place::Catalogue(entry) => RerankOptions {
                name: entry.name.clone(),
                revision: entry.revision().to_owned(),
                max_tokens: Some(entry.context),
                threads: None,
            },
            Place::Path(path) => RerankOptions {
                name: name.to_owned(),
                revision: revision(&path.join("model.safetensors")),
                max_tokens: None,
                threads: None,
            },
        };
        options.threads = config.and_then(|c| c.threads);
        options.max_tokens = config.and_then(|c| c.context_length).or(options.max_tokens);
        Self {
            name: name.to_owned(),
            place,
            cache,
            options,
            engine: OnceCell::new(),
        }
    }

    async fn engine(&self) -> Result<&RerankEngine, ModelError> {
        self.engine
            .get_or_try_init(|| async {
                let path = self.place.path(&self.cache)?;
                let options = self.options.clone();
                let engine = load(move || RerankEngine::load(&path, options)).await?;
                account::show_memory(&self.name, &[("weights", engine.weight_bytes())]);
                Ok(engine)
            })
            .await
    }
}

#[async_trait]
impl Reranker for Local {
    fn identity(&self) -> String {
        format!("{}@{}", self.options.name, self.options.revision)
    }

    async fn rerank(&self, request: RerankRequest) -> Result<Vec<Relevance>, ModelError> {
        let began = Instant::now();
        let result = async { self.engine().await?.rerank(request).await }.await;
        account::count(&self.name, outcome(&result), Usage::default(), began);
        result
    }
}

/// A reranker behind an endpoint.
pub(crate) struct Remote {
    pub endpoint: Endpoint,
    pub max_retries: u32,
}

#[async_trait]
impl Reranker for Remote {
    fn identity(&self) -> String {
        let host = self.endpoint.base_url.host_str().unwrap_or_default();
        format!("{}@{host}", self.endpoint.model)
    }

    async fn rerank(&self, request: RerankRequest) -> Result<Vec<Relevance>, ModelError> {
        if request.documents.is_empty() {
            return Ok(Vec::new());
        }
        let mut attempts = Attempts::new(self.max_retries);
        loop {
            let began = Instant::now();
            let error = match self.endpoint.rerank(&request).await {
                Ok(ranked) => {
                    // Providers bill searches rather than tokens; an estimate shows the work.
                    let documents = request.documents.iter().map(|d| tokens::estimate(d));
                    let usage = Usage {
                        input_tokens: documents.sum(),
                        ..Usage::default()
                    };
                    account::count(&self.endpoint.name, "ok", usage, began);
                    return accepted(&self.endpoint.name, ranked, &request);
                }
                Err(error) => error,
            };
            let outcome = error.code().as_str();
            account::count(&self.endpoint.name, outcome, Usage::default(), began);
            let Next::Retry(pause) = attempts.next(&error, rand::random()) else {
                return Err(error);
            };
            count_retry(&self.endpoint.name);
            tokio::time::sleep(pause).await;
        }
    }
}

/// What an endpoint answered, as the port promises it: places of the request, each once, scores in 0..=1, best
/// first.
fn accepted(
    name: &str,
    mut ranked: Vec<Relevance>,
    request: &RerankRequest,
) -> Result<Vec<Relevance>, ModelError> {
    // Some servers answer with the model's logits.
    if ranked
        .iter()
        .any(|one| !(0.0..=1.0).contains(&one.relevance_score))
    {
        for one in &mut ranked {
            one.relevance_score = 1.0 / (1.0 + (-one.relevance_score).exp());
        }
    }
    let mut seen = vec![false; request.documents.len()];
    for one in &mut ranked {
        match seen.get_mut(one.index) {
            Some(seen) if !*seen && one.relevance_score.is_finite() => *seen = true,
            _ => {
                return Err(ModelError::Broken(format!(
                    "`{name}` ranked document {} of {} wrongly or twice",
                    one.index,
                    request.documents.len()
                )));
            }
        }
        one.relevance_score = one.relevance_score.clamp(0.0, 1.0);
    }
    ranked.sort_by(|a, b| b.relevance_score.total_cmp(&a.relevance_score));
    ranked.truncate(request.top_n.unwrap_or(usize::MAX));
    Ok(ranked)
}

fn outcome<T>(result: &Result<T, ModelError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.code().as_str(),
    }
}
