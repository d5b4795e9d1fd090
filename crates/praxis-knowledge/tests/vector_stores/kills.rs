//! Any sequence of what clients do and of kills leaves a vector store that is what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use praxis_core::{Caller, Clearance};
use praxis_store::MemberStatus;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{Process, page, process, request};

/// What a client may do, and what may happen to the server.
#[derive(Debug, Clone)]
enum Step {
    Send,
    Add(usize, i64),
    Update(usize, i64),
    Remove(usize),
    Delete(usize),
    Work,
    /// The server works for so many microseconds, and is killed.
    Kill(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let file = 0..6usize;
    prop_oneof![
        2 => Just(Step::Send),
        4 => (file.clone(), 0..5i64).prop_map(|(f, n)| Step::Add(f, n)),
        2 => (file.clone(), 0..5i64).prop_map(|(f, n)| Step::Update(f, n)),
        1 => file.clone().prop_map(Step::Remove),
        1 => file.prop_map(Step::Delete),
        2 => Just(Step::Work),
        3 => (0..60_000u64).prop_map(Step::Kill),
    ]
}

/// What was acknowledged: files in the order in which they were sent, and those in the store, each with the
/// value of its attribute.
#[derive(Default)]
struct Acknowledged {
    sent: Vec<Option<String>>,
    members: BTreeMap<String, i64>,
}

fn value(n: i64) -> Map<String, Value> {
    json!({ "n": n }).as_object().unwrap().clone()
}

/// A runtime of its own is a process of its own: what it still does when it is killed is waited for, since
/// threads cannot be killed.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

impl Acknowledged {
    fn file(&self, at: usize) -> Option<String> {
        self.sent.get(at).cloned().flatten()
    }

    async fn take(&mut self, process: &Process, store: &str, step: &Step) {
        let full = Caller::full();
        match step {
            Step::Send => {
                let n = self.sent.len();
                let text = format!("The word{n} lives in the reserve.\n\nIt is a word{n}.");
                let file = process.send(&format!("{n}.md"), &text).await;
                self.sent.push(Some(file.id));
            }
            Step::Add(at, n) => {
                if let Some(file) = self.file(*at) {
                    let request = request(&file, json!({ "n": n }));
                    process
                        .stores
                        .add_file(store, request, &full)
                        .await
                        .unwrap();
                    self.members.insert(file, *n);
                }
            }
            Step::Update(at, n) => {
                if let Some(file) = self.file(*at).filter(|f| self.members.contains_key(f)) {
                    let attributes = value(*n);
                    let set = process
                        .stores
                        .set_attributes(store, &file, &attributes, &full);
                    set.await.unwrap();
                    self.members.insert(file, *n);
                }
            }
            Step::Remove(at) => {
                if let Some(file) = self.file(*at).filter(|f| self.members.contains_key(f)) {
                    process
                        .stores
                        .remove_file(store, &file, &full)
                        .await
                        .unwrap();
                    self.members.remove(&file);
                }
            }
            Step::Delete(at) => {
                if let Some(file) = self.file(*at) {
                    process.files.delete(&file, &full).await.unwrap();
                    self.members.remove(&file);
                    self.sent[*at] = None;
                }
            }
            Step::Work => process.work().await,
            Step::Kill(micros) => {
                let mut last = String::new();
                let work = process.stores.step(&mut last);
                let _ = tokio::time::timeout(Duration::from_micros(*micros), work).await;
                // Nobody asks a killed process.
                return;
            }
        }
        // Whatever was taken out is not found, from the moment on that this was acknowledged.
        let found = process.found(store, "the reserve", None).await;
        for file in found {
            assert!(self.members.contains_key(&file), "{file} was taken out");
        }
    }

    /// After all work is done, the store is what was acknowledged.
    async fn check(&self, process: &Process, store: &str) {
        process.work().await;
        process.check(store).await;
        let listed = process
            .stores
            .files(store, None, &page(100), &Clearance::Full)
            .await;
        let listed: BTreeMap<String, i64> = listed
            .unwrap()
            .items
            .into_iter()
            .map(|member| {
                assert_eq!(member.status, MemberStatus::Completed, "{:?}", member.error);
                (member.file, member.attributes["n"].as_i64().unwrap())
            })
            .collect();
        assert_eq!(listed, self.members);
        let all: BTreeSet<String> = process
            .found(store, "the reserve", None)
            .await
            .into_iter()
            .collect();
        assert_eq!(all, self.members.keys().cloned().collect());
        for n in 0..5 {
            let filter = json!({ "type": "eq", "key": "n", "value": n });
            let found = process.found(store, "the reserve", Some(filter)).await;
            let found: BTreeSet<String> = found.into_iter().collect();
            let wanted = self.members.iter().filter(|(_, value)| **value == n);
            assert_eq!(found, wanted.map(|(file, _)| file.clone()).collect());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_killed_the_store_is_what_was_acknowledged(steps in prop::collection::vec(step(), 1..14)) {
        let dir = tempfile::tempdir().unwrap();
        let mut life = runtime();
        let mut process = life.block_on(process(dir.path()));
        let mut acknowledged = Acknowledged::default();
        let store = life.block_on(process.store_by(&Caller::full(), &[]));
        let mut kills = 0;
        for step in &steps {
            let kills_now = matches!(step, Step::Kill(_));
            // A file that is begun five times counts as one that kills.
            if kills_now && kills == 4 {
                continue;
            }
            life.block_on(acknowledged.take(&process, &store, step));
            if kills_now {
                kills += 1;
                drop(process);
                life.shutdown_timeout(Duration::from_secs(20));
                life = runtime();
                process = life.block_on(crate::support::process(dir.path()));
            }
        }
        life.block_on(acknowledged.check(&process, &store));
    }
}
