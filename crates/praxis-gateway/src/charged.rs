//! An embedder as a caller has it: its use is traced, counted and held to the caller's limits, whichever way a call ends.
//! Left out: what an application embeds for itself, which is nobody's call.

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::embed::TokenCounter;
use praxis_core::function::OpenSpan;
use praxis_core::ledger::UsageKind;
use praxis_core::trace::SpanStatus;
use praxis_core::{CallContext, EmbedKind, Embedder, Ledger, ModelError, SpanKind, Spent, Usage};
use serde_json::{Value, json};

use crate::claims::Bill;
use crate::embedder::Metered;
use crate::meter::Meter;
use crate::price::Price;

/// An embedder for one caller.
pub(crate) struct Charged {
    pub embedder: Arc<dyn Metered>,
    /// Its name in requests.
    pub name: String,
    /// What it costs; `None`: nobody knows.
    pub price: Option<Price>,
    pub ledger: Option<Arc<dyn Ledger>>,
    pub cx: CallContext,
}

/// A call's account: closed exactly once, also where its caller goes away.
struct Account<'a> {
    of: &'a Charged,
    span: Option<OpenSpan>,
    bill: Option<Bill>,
    meter: Meter,
}

impl Account<'_> {
    /// Pays what was used; gives its tokens.
    fn close(&mut self, output: Value, status: SpanStatus) -> u64 {
        let Some(mut span) = self.span.take() else {
            return 0;
        };
        let usage = Usage {
            input_tokens: self.meter.tokens(),
            ..Usage::default()
        };
        let money = self.of.price.unwrap_or_default().cost(usage);
        if let Some(bill) = self.bill.take() {
            bill.pay(Spent {
                kind: self.of.cx.kind().unwrap_or(UsageKind::Embedding),
                model: self.of.name.clone(),
                usage,
                money,
                failed: status != SpanStatus::Ok,
            });
        }
        span.charge(usage, money);
        span.close(output, status);
        usage.input_tokens
    }

    fn fail(&mut self, error: &ModelError) {
        self.close(json!({}), SpanStatus::Error(error.to_string()));
    }
}

impl Drop for Account<'_> {
    /// The caller went away: what was sent until then is paid.
    fn drop(&mut self) {
        self.close(json!({}), SpanStatus::Cancelled);
    }
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
        let (vectors, _) = self.embed_sized(kind, texts, None).await?;
        Ok(vectors)
    }

    async fn embed_sized(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
        dimension: Option<usize>,
    ) -> Result<(Vec<Vec<f32>>, u64), ModelError> {
        let input = json!({ "texts": texts.len(), "kind": kind });
        let (span, _) = self.cx.span(SpanKind::Embedding, &self.name, input);
        let mut account = Account {
            of: self,
            span: Some(span),
            bill: None,
            meter: Meter::default(),
        };
        if let Some(ledger) = &self.ledger {
            // Every token has a byte, and two are around each text.
            let most: usize = texts.iter().map(|text| text.len() + 2).sum();
            let bill = Bill::for_texts(ledger, most as u64, self.price, &self.name, &self.cx);
            match bill.await {
                Ok(bill) => {
                    account.meter = Meter::paid_from(bill.purse());
                    account.bill = Some(bill);
                }
                Err(error) => {
                    account.fail(&error);
                    return Err(error);
                }
            }
        }
        let embedder = &self.embedder;
        let vectors = embedder.embed_metered(kind, texts, dimension, &account.meter);
        match vectors.await {
            Ok(vectors) => {
                let tokens = account.close(json!({ "model": self.name }), SpanStatus::Ok);
                Ok((vectors, tokens))
            }
            Err(error) => {
                account.fail(&error);
                Err(error)
            }
        }
    }

    fn detokenize(&self, tokens: &[u32]) -> Result<String, ModelError> {
        self.embedder.detokenize(tokens)
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        self.embedder.token_counter().await
    }
}
