//! The first results, ranked anew by a model that reads them with the question: a cross-encoder, or a chat model
//! that sees several at once. It changes their order and nothing else: relevance stays what it was, because no
//! reranker's number is calibrated here. A model that fails leaves the order as it was, and the step of the trace
//! says why.

mod listwise;
mod mixing;

use std::sync::Arc;
use std::time::Duration;

use praxis_core::tokens::cut;
use praxis_core::trace::SpanKind;
use praxis_core::{CallContext, CallError, ModelError, RerankRequest, Reranker};
use serde_json::json;
use tokio::time::Instant;

use super::assistant::Assistant;
use super::fusion::Ranked;
use super::question::gone_on;
use super::{prompts, reading};
use crate::config::RerankConfig;
use crate::knowledge::RerankerSource;
use listwise::Sliding;

/// What an opinion counts where the base does not say: a cross-encoder is trained for this, a chat model, and a
/// small one more so, is not.
const CROSS_ENCODER_WEIGHT: f32 = 0.5;
const CHAT_WEIGHT: f32 = 0.3;

/// The models that rerank.
pub(crate) struct Judges<'a> {
    pub assistant: &'a Assistant,
    pub rerankers: Option<&'a RerankerSource>,
}

/// What a model thinks of the candidates.
struct Opinion {
    /// In 0..=1, of each.
    of_each: Vec<f32>,
    /// What it counts where the base does not say.
    weight: f32,
    /// Questions that it took.
    questions: usize,
}

/// `ranked` with its first results in the order that the base's model and their scores agree on. `texts` are
/// those of the first results, as many as are to be reranked.
///
/// # Errors
/// A model that is unknown, not here or of another kind, or a search that was cancelled.
pub(crate) async fn reranked<Id>(
    judges: &Judges<'_>,
    question: &str,
    mut ranked: Ranked<Id>,
    texts: Vec<String>,
    settings: &RerankConfig,
    cx: &CallContext,
) -> Result<Ranked<Id>, CallError> {
    let Some(model) = settings.model.as_deref() else {
        return Ok(ranked);
    };
    // Whatever was found: a name that is wrong is wrong at each search.
    let reranker = match judges.rerankers {
        Some(source) => source(model)?,
        None => None,
    };
    let depth = texts.len().min(ranked.len());
    if depth < 2 {
        return Ok(ranked);
    }
    let input = json!({ "question": question, "model": model, "candidates": depth });
    let (span, inner) = cx.span(SpanKind::Step, "rerank", input);
    let opinion = judges.opinion(model, reranker, question, texts, settings, &inner);
    let opinion = match opinion.await {
        Ok(opinion) => opinion,
        Err(error) => {
            gone_on(span, error, json!({ "kept": "the order by scores" }))?;
            return Ok(ranked);
        }
    };
    let weight = settings.weight.unwrap_or(opinion.weight);
    let tail = ranked.split_off(depth);
    // Places from 1, as a person counts them.
    let head: Ranked<(usize, Id)> = (1..)
        .zip(ranked)
        .map(|(place, (id, score))| ((place, id), score))
        .collect();
    let head = mixing::mixed(head, &opinion.of_each, weight);
    let order: Vec<usize> = head.iter().map(|((place, _), _)| *place).collect();
    span.finish(json!({
        "order": order,
        "weight": weight,
        "questions": opinion.questions,
    }));
    let head = head.into_iter().map(|((_, id), score)| (id, score));
    Ok(head.chain(tail).collect())
}

impl Judges<'_> {
    async fn opinion(
        &self,
        model: &str,
        reranker: Option<Arc<dyn Reranker>>,
        question: &str,
        texts: Vec<String>,
        settings: &RerankConfig,
        cx: &CallContext,
    ) -> Result<Opinion, ModelError> {
        let limit = settings.timeout();
        match reranker {
            Some(reranker) => {
                let scores = scores(reranker.as_ref(), question, texts);
                let scores = tokio::select! {
                    () = cx.cancel().cancelled() => return Err(ModelError::Cancelled),
                    scores = tokio::time::timeout(limit, scores) => scores,
                };
                Ok(Opinion {
                    of_each: mixing::by_score(&scores.unwrap_or(Err(ModelError::Timeout(limit)))?),
                    weight: CROSS_ENCODER_WEIGHT,
                    questions: 1,
                })
            }
            None => self.listwise(model, question, &texts, settings, cx).await,
        }
    }

    /// What a chat model says to one window of passages after the other.
    async fn listwise(
        &self,
        model: &str,
        question: &str,
        texts: &[String],
        settings: &RerankConfig,
        cx: &CallContext,
    ) -> Result<Opinion, ModelError> {
        let texts: Vec<&str> = texts
            .iter()
            .map(|text| cut(text, settings.passage_tokens))
            .collect();
        let read = |answer: &str| {
            let said = reading::numbers(answer, "ranking");
            (!said.is_empty()).then_some(said)
        };
        let limit = settings.timeout();
        let end = Instant::now() + limit;
        let mut sliding = Sliding::new(texts.len());
        let mut questions = 0;
        while let Some((window, best)) = sliding.window() {
            let passages: Vec<&str> = window.iter().map(|candidate| texts[*candidate]).collect();
            let prompt = prompts::ranking(question, &passages, best);
            let left = end.saturating_duration_since(Instant::now());
            if left < Duration::from_millis(1) {
                return Err(ModelError::Timeout(limit));
            }
            let said = self.assistant.ask(model, &prompt, left, cx, read).await?;
            sliding.take(&said.value);
            questions += 1;
        }
        Ok(Opinion {
            of_each: mixing::by_rank(sliding.order()),
            weight: CHAT_WEIGHT,
            questions,
        })
    }
}

/// A cross-encoder's score of each text, in the texts' order; one that it leaves out has none.
async fn scores(
    reranker: &dyn Reranker,
    question: &str,
    texts: Vec<String>,
) -> Result<Vec<f32>, ModelError> {
    let mut scores = vec![0.0; texts.len()];
    let request = RerankRequest {
        query: question.to_owned(),
        documents: texts,
        top_n: None,
    };
    for one in reranker.rerank(request).await? {
        if let Some(score) = scores.get_mut(one.index) {
            *score = one.relevance_score;
        }
    }
    Ok(scores)
}
