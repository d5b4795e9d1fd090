//! An embedder as a caller has it: its use is traced, counted and held to the caller's limits. Left out: what an
//! application embeds for itself, which is nobody's call.

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::embed::TokenCounter;
use praxis_core::ledger::UsageKind;
use praxis_core::trace::SpanStatus;
use praxis_core::{CallContext, EmbedKind, Embedder, Ledger, ModelError, SpanKind, Spent, Usage};
use serde_json::json;

use crate::claims::Bill;
use crate::config::Price;

/// An embedder for one caller.
pub(crate) struct Charged {
    pub embedder: Arc<dyn Embedder>,
    /// Its name in requests.
    pub name: String,
    /// What it costs; `None`: nobody knows.
    pub price: Option<Price>,
    pub ledger: Option<Arc<dyn Ledger>>,
    pub cx: CallContext,
}

#[async_trait]
impl Embedder for Charged {
    fn identity(&self) -> String {
        self.embedder.identity()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        self.embedder.dimension().await
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        self.embedder.max_tokens().await
    }

    async fn embed(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let counter = self.embedder.token_counter().await?;
        let input = json!({ "texts": texts.len(), "kind": kind });
        let (mut span, _) = self.cx.span(SpanKind::Embedding, &self.name, input);
        // Every token has a byte, and two are around each text.
        let most: usize = texts.iter().map(|text| text.len() + 2).sum();
        let bill = match &self.ledger {
            Some(ledger) => {
                Some(Bill::for_texts(ledger, most as u64, self.price, &self.name, &self.cx).await)
            }
            None => None,
        };
        let bill = match bill.transpose() {
            Ok(bill) => bill,
            Err(error) => {
                span.fail(&error);
                return Err(error);
            }
        };
        let tokens: usize = texts.iter().map(|text| counter(text)).sum();
        let vectors = self.embedder.embed(kind, texts).await;
        let usage = Usage {
            input_tokens: if vectors.is_ok() { tokens as u64 } else { 0 },
            ..Usage::default()
        };
        let money = self.price.unwrap_or_default().cost(usage);
        if let Some(bill) = bill {
            bill.pay(Spent {
                kind: self.cx.kind().unwrap_or(UsageKind::Embedding),
                model: self.name.clone(),
                usage,
                money,
                failed: vectors.is_err(),
            });
        }
        span.charge(usage, money);
        match &vectors {
            Ok(_) => span.finish(json!({ "model": self.name })),
            Err(error) => span.close(json!({}), SpanStatus::Error(error.to_string())),
        }
        vectors
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        self.embedder.token_counter().await
    }
}
