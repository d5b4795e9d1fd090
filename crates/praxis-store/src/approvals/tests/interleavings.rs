//! Whatever people, callers and kills do in whatever order, a call is begun no more often than it was approved.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::*;

/// What happens next to one call.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// It is wanted in one of some scopes, and made if it is approved.
    Call(u8),
    /// A run that was told to begin takes the approval of a record that was seen before, if it can.
    Consume(u8),
    Decide(Decision),
    /// The oldest run that is under way ends.
    End(bool),
    /// It is killed.
    Kill,
    /// So many minutes pass.
    Wait(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_u8).prop_map(Step::Call),
        2 => (0..3_u8).prop_map(Step::Consume),
        4 => prop_oneof![
            3 => Just(Decision::Approve),
            1 => Just(Decision::ApproveAgain),
            1 => Just(Decision::Deny),
        ]
        .prop_map(Step::Decide),
        2 => any::<bool>().prop_map(Step::End),
        1 => Just(Step::Kill),
        1 => (1..50_u8).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..40)
}

/// What is known of a record.
#[derive(Debug, Default)]
struct Seen {
    approved: usize,
    approved_again: usize,
    begun: usize,
}

struct Play<'a> {
    store: &'a Store,
    amount: i64,
    now: i64,
    last: Option<String>,
    seen: BTreeMap<String, Seen>,
    /// Runs under way: record, run and scope.
    running: Vec<(String, String, String)>,
    /// Scopes in which a run ended well.
    done: Vec<String>,
    runs: usize,
}

impl Play<'_> {
    async fn step(&mut self, step: Step) {
        match step {
            Step::Call(scope) => {
                let scope = format!("t{scope}");
                let found = reserve(self.store, &wanted(self.amount, &scope), self.now).await;
                self.last = Some(found.id.clone());
                match found.state {
                    ApprovalState::Done => assert!(self.done.contains(&scope), "{found:?}"),
                    ApprovalState::Approved => self.consume(found.id, scope).await,
                    ApprovalState::Pending | ApprovalState::Denied | ApprovalState::Consumed => {}
                    ApprovalState::Failed | ApprovalState::Expired => panic!("{found:?}"),
                }
            }
            Step::Consume(scope) => {
                if let Some(id) = self.last.clone() {
                    self.consume(id, format!("t{scope}")).await;
                }
            }
            Step::Decide(decision) => self.decide(decision).await,
            Step::End(is_good) => {
                if self.running.is_empty() {
                    return;
                }
                let (id, run, scope) = self.running.remove(0);
                let result = match is_good {
                    true => Ok(json!(run)),
                    false => Err("failed".to_owned()),
                };
                ended(self.store, &id, &run, result, self.now).await;
                if is_good {
                    self.done.push(scope);
                }
            }
            Step::Kill => {
                if !self.running.is_empty() {
                    self.running.remove(0);
                }
            }
            Step::Wait(minutes) => self.now += i64::from(minutes) * 60_000,
        }
        for (id, seen) in &self.seen {
            assert!(
                seen.begun <= seen.approved + seen.approved_again,
                "{id}: {seen:?}"
            );
            assert!(seen.begun <= 1 + seen.approved_again, "{id}: {seen:?}");
        }
    }

    async fn consume(&mut self, id: String, scope: String) {
        self.runs += 1;
        let attempt = run(&format!("r{}", self.runs), &scope);
        let taken = self.store.consume_approval(&id, &attempt, self.now).await;
        if taken.unwrap() {
            self.seen.entry(id.clone()).or_default().begun += 1;
            self.running.push((id, attempt.id, scope));
        }
    }

    async fn decide(&mut self, decision: Decision) {
        let Some(id) = self.last.clone() else {
            return;
        };
        let before = self.store.approval(&id, self.now).await.unwrap().unwrap();
        let after = decide(self.store, &id, decision, self.now).await;
        if after == ApprovalState::Approved && before.state != ApprovalState::Approved {
            let seen = self.seen.entry(id).or_default();
            match before.state {
                ApprovalState::Consumed => seen.approved_again += 1,
                _ => seen.approved += 1,
            }
        }
    }
}

#[test]
fn a_call_is_begun_no_more_often_than_it_was_approved() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (_dir, store) = runtime.block_on(store());
    let (cases, begun) = (AtomicU32::new(0), AtomicU32::new(0));
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::with_cases(64), random);
    let played = runner.run(&steps(), |steps| {
        let case = i64::from(cases.fetch_add(1, Ordering::Relaxed));
        let mut play = Play {
            store: &store,
            amount: case,
            // Each case has a time of its own, so that those before it wait no more.
            now: NOW + case * DAY,
            last: None,
            seen: BTreeMap::new(),
            running: Vec::new(),
            done: Vec::new(),
            runs: 0,
        };
        runtime.block_on(async {
            for step in steps {
                play.step(step).await;
            }
        });
        let runs: usize = play.seen.values().map(|seen| seen.begun).sum();
        begun.fetch_add(u32::try_from(runs).unwrap(), Ordering::Relaxed);
        Ok(())
    });
    played.unwrap();
    assert!(begun.into_inner() > 5, "the cases begin calls at all");
}
