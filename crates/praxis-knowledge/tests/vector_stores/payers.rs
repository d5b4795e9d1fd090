//! Who pays for what is embedded for vector stores: who attached a file, also after a restart, and who searches. What a
//! call costs is the gateway's to say.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use praxis_core::embed::{EmbedKind, TokenCounter};
use praxis_core::ledger::{PaidBy, What};
use praxis_core::trace::NoTrace;
use praxis_core::{
    CallContext, CallError, Caller, Embedder, ErrorCode, Limit, ModelError, Payer, now_s,
};
use praxis_knowledge::{FileRequest, Knowledge};
use praxis_store::{MemberStatus, StoredFile};
use serde_json::json;

use crate::support::{Counts, Process, process_with, query, request};

/// What was embedded: at whose cost, what it is, and how many limits of money held.
type Bill = Arc<Mutex<Vec<(String, EmbedKind, usize)>>>;

/// An embedder that writes down who pays, and refuses who has nothing left.
struct Paid {
    cx: CallContext,
    bill: Bill,
}

#[async_trait]
impl Embedder for Paid {
    fn identity(&self) -> String {
        Counts.identity()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Counts.dimension().await
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Counts.max_tokens().await
    }

    async fn embed(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let key = self.cx.payer().key.clone().unwrap_or_default();
        if key == "broke" {
            let error = CallError::new(ErrorCode::QuotaExceeded, "`key:broke` may use 1 usd");
            return Err(ModelError::Limited(Box::new(error)));
        }
        let limits = self.cx.limits().iter();
        let money = limits.filter(|l| l.what == What::Money).count();
        assert_eq!(money, self.cx.limits().len(), "no rate is left");
        self.bill.lock().unwrap().push((key, kind, money));
        Counts.embed(kind, texts).await
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Counts.token_counter().await
    }
}

async fn process(dir: &Path, bill: &Bill) -> Process {
    let bill = Arc::clone(bill);
    let paid = move |_: Option<&str>, cx: &CallContext| {
        let (cx, bill) = (cx.clone(), Arc::clone(&bill));
        Ok(Arc::new(Paid { cx, bill }) as Arc<dyn Embedder>)
    };
    let made = |knowledge: Knowledge| knowledge.with_paid_embedders(Arc::new(paid));
    process_with(dir, now_s, made).await
}

fn payer(key: &str) -> Payer {
    Payer {
        key: Some(key.to_owned()),
        ..Payer::default()
    }
}

/// A file that is attached by a key with these limits.
fn by(file: &StoredFile, key: &str, limits: &[&str]) -> FileRequest {
    let limits: Vec<Limit> = limits.iter().map(|limit| limit.parse().unwrap()).collect();
    FileRequest {
        paid_by: Some(PaidBy::new(payer(key), &limits)),
        ..request(&file.id, json!({}))
    }
}

fn taken(bill: &Bill) -> Vec<(String, EmbedKind, usize)> {
    let mut taken = std::mem::take(&mut *bill.lock().unwrap());
    taken.sort_by(|a, b| a.0.cmp(&b.0));
    taken
}

#[tokio::test]
async fn who_attached_a_file_pays_for_it_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let bill = Bill::default();
    let first = process(dir.path(), &bill).await;
    let otter = first.send("otter.md", "An otter eats fish.").await;
    let heron = first.send("heron.md", "A heron stands in the reeds.").await;
    let lynx = first.send("lynx.md", "A lynx hunts at night.").await;
    let full = Caller::full();
    let store = first.store_by(&full, &[&lynx]).await;
    let limits = ["5 usd/month", "9 requests/minute", "100 tokens/hour"];
    for request in [by(&otter, "ann", &limits), by(&heron, "bob", &[])] {
        first.stores.add_file(&store, request, &full).await.unwrap();
    }
    drop(first);
    let second = process(dir.path(), &bill).await;
    second.work().await;
    for file in [&otter, &heron, &lynx] {
        let status = second.status(&store, &file.id).await;
        assert_eq!(status, MemberStatus::Completed);
    }
    let passages = EmbedKind::Passage;
    let wanted = [("ann", 1), ("bob", 0)].map(|(key, n)| (key.to_owned(), passages, n));
    assert_eq!(taken(&bill), wanted, "nobody pays for what nobody attached");
    // Whoever attaches it anew pays for it anew.
    let again = by(&otter, "bob", &[]);
    second.stores.add_file(&store, again, &full).await.unwrap();
    second.work().await;
    assert_eq!(taken(&bill), [("bob".to_owned(), passages, 0)]);
}

#[tokio::test]
async fn who_searches_pays_for_the_question() {
    let dir = tempfile::tempdir().unwrap();
    let bill = Bill::default();
    let process = process(dir.path(), &bill).await;
    let otter = process.send("otter.md", "An otter eats fish.").await;
    let store = process.store_by(&Caller::full(), &[&otter]).await;
    process.work().await;
    let cx = CallContext::new(Arc::new(NoTrace))
        .with_caller(Caller::full())
        .with_payer(payer("ann"), Arc::default());
    let found = process.stores.search(&store, query("otter"), &cx).await;
    assert_eq!(found.unwrap().hits[0].file, otter.id);
    assert_eq!(taken(&bill), [("ann".to_owned(), EmbedKind::Query, 0)]);
}

#[tokio::test]
async fn a_file_fails_where_its_payer_has_nothing_left_and_no_other_does() {
    let dir = tempfile::tempdir().unwrap();
    let bill = Bill::default();
    let process = process(dir.path(), &bill).await;
    let otter = process.send("otter.md", "An otter eats fish.").await;
    let heron = process
        .send("heron.md", "A heron stands in the reeds.")
        .await;
    let full = Caller::full();
    let store = process.store_by(&full, &[]).await;
    let requests = vec![by(&otter, "broke", &[]), by(&heron, "ann", &[])];
    let batch = process.stores.add_batch(&store, requests, &full).await;
    assert!(batch.is_ok());
    process.work().await;
    let file = process
        .stores
        .file(&store, &otter.id, &full.clearance)
        .await;
    let (_, why) = file.unwrap().error.unwrap();
    assert!(why.contains("may use 1 usd"), "{why}");
    let status = process.status(&store, &heron.id).await;
    assert_eq!(status, MemberStatus::Completed);
}
