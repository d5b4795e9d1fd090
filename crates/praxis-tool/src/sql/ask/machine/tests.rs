//! The machine as tables: what models write, what databases say, what it comes to.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn plan(samples: usize, repairs: u32) -> Plan {
    Plan {
        samples,
        repairs,
        temperature: 0.7,
        doubts: true,
        words: false,
    }
}

/// What a query gives: `rows` a JSON array of rows, anything else a fault.
fn outcome(sample: usize, rows: &Value) -> Event {
    match rows {
        Value::Array(rows) => Event::Gave {
            sample,
            grid: Grid {
                columns: vec!["c".to_owned()],
                rows: rows.iter().map(|row| vec![row.clone()]).collect(),
                cut: false,
            },
        },
        fault => Event::Faulted {
            sample,
            fault: fault.as_str().unwrap_or("no such query").to_owned(),
        },
    }
}

/// Runs a machine: `says[sample]` are the texts that the model writes, one after the other; `database` says what
/// queries give. The machine goes through JSON before each event, as one that is stored does.
fn run(plan: Plan, says: &[&[&str]], database: &Value) -> (Command, Vec<Command>) {
    let mut machine = Machine::new(plan);
    let mut queue: VecDeque<Command> = machine.start().into();
    let mut log = Vec::new();
    let mut written: BTreeMap<usize, usize> = BTreeMap::new();
    for _ in 0..1000 {
        let command = queue
            .pop_front()
            .expect("a machine that waits for nothing has ended");
        log.push(command.clone());
        let event = match command {
            Command::Link => Event::Linked,
            Command::Write { sample, .. } => {
                let at = written.entry(sample).or_default();
                let text = says.get(sample).and_then(|texts| texts.get(*at));
                *at += 1;
                match text {
                    Some(text) => Event::Wrote {
                        sample,
                        text: (*text).to_owned(),
                    },
                    None => Event::Failed { sample },
                }
            }
            Command::Try { sample, sql } => outcome(sample, &database[&sql]),
            Command::Tell { .. } => Event::Told(Some("words".to_owned())),
            Command::Cancel(sample) => {
                queue.retain(|c| !matches!(c, Command::Write { sample: s, .. } | Command::Try { sample: s, .. } if *s == sample));
                continue;
            }
            end @ (Command::Done(_) | Command::GiveUp(_)) => {
                assert!(queue.is_empty(), "something comes after the end");
                return (end, log);
            }
        };
        let stored = serde_json::to_string(&machine).unwrap();
        machine = serde_json::from_str(&stored).unwrap();
        queue.extend(machine.on(event));
    }
    panic!("no end");
}

fn found(end: Command) -> Conclusion {
    match end {
        Command::Done(conclusion) => conclusion,
        other => panic!("{other:?}"),
    }
}

fn sql(conclusion: &Conclusion) -> &str {
    &conclusion.found.as_ref().unwrap().sql
}

#[test]
fn one_sample_is_tried_and_told() {
    let plan = Plan {
        words: true,
        ..plan(1, 0)
    };
    let (end, log) = run(plan, &[&["SELECT 1;"]], &json!({"SELECT 1": [1]}));
    let end = found(end);
    assert_eq!(
        (sql(&end), end.words.as_deref(), end.confidence),
        ("SELECT 1", Some("words"), None)
    );
    assert_eq!(log.len(), 5, "{log:?}");
    assert!(
        matches!(&log[1], Command::Write { temperature, mended, .. } if *temperature == 0.0 && mended.is_empty())
    );
}

#[test]
fn a_query_is_mended_by_what_the_database_says() {
    let database = json!({"SELECT b": "no column `b`", "SELECT a": [7]});
    let (end, log) = run(plan(1, 2), &[&["SELECT b", "SELECT a"]], &database);
    let end = found(end);
    assert_eq!(sql(&end), "SELECT a");
    let attempts: Vec<Option<&str>> = end.attempts.iter().map(|a| a.fault.as_deref()).collect();
    assert_eq!(attempts, [Some("no column `b`"), None]);
    let mends: Vec<&Vec<Mend>> = log
        .iter()
        .filter_map(|c| match c {
            Command::Write { mended, .. } => Some(mended),
            _ => None,
        })
        .collect();
    let mend = Mend {
        wrote: "SELECT b".to_owned(),
        fault: Doubt::Fault("no column `b`".to_owned()),
    };
    assert_eq!(mends[1], &vec![mend]);
}

#[test]
fn repairs_have_a_budget_and_the_attempts_are_told() {
    let says: &[&[&str]] = &[&["SELECT b", "I do not know", "SELECT c", "SELECT d"]];
    let (end, log) = run(plan(1, 2), says, &json!({}));
    let Command::GiveUp(attempts) = end else {
        panic!("{end:?}");
    };
    assert_eq!(attempts.len(), 3);
    assert!(attempts.iter().all(|a| a.fault.is_some()));
    let temperatures: Vec<f32> = log
        .iter()
        .filter_map(|c| match c {
            Command::Write { temperature, .. } => Some(*temperature),
            _ => None,
        })
        .collect();
    assert_eq!(temperatures, [0.0, 0.0, 0.2]);
}

#[test]
fn rows_that_say_nothing_are_asked_about_once() {
    for (says, given, kept) in [
        // A better query.
        (
            &["SELECT a", "SELECT b"][..],
            json!({"SELECT a": [], "SELECT b": [1]}),
            "SELECT b",
        ),
        (
            &["SELECT a", "SELECT b"],
            json!({"SELECT a": [null], "SELECT b": [1]}),
            "SELECT b",
        ),
        // The model stands by it, or does no better.
        (
            &["SELECT a", "SELECT a"],
            json!({"SELECT a": []}),
            "SELECT a",
        ),
        (
            &["SELECT a", "SELECT b"],
            json!({"SELECT a": [], "SELECT b": []}),
            "SELECT a",
        ),
        (
            &["SELECT a", "SELECT b"],
            json!({"SELECT a": []}),
            "SELECT a",
        ),
        (
            &["SELECT a", "-- unanswerable: none"],
            json!({"SELECT a": []}),
            "SELECT a",
        ),
        (&["SELECT a"], json!({"SELECT a": []}), "SELECT a"),
        // Zero is something.
        (&["SELECT a"], json!({"SELECT a": [0]}), "SELECT a"),
    ] {
        let (end, _) = run(plan(1, 0), &[says], &given);
        assert_eq!(sql(&found(end)), kept, "{says:?} {given}");
    }
}

#[test]
fn most_samples_decide_and_no_more_are_taken_than_it_needs() {
    let same = json!({"SELECT a": [1, 2], "SELECT b": [2, 1], "SELECT c": [3], "SELECT d": [4]});
    // The first three agree, whatever they wrote.
    let says: &[&[&str]] = &[
        &["SELECT a"],
        &["SELECT b"],
        &["SELECT a"],
        &["SELECT c"],
        &["SELECT c"],
    ];
    let (end, log) = run(plan(5, 0), says, &same);
    let end = found(end);
    assert_eq!((sql(&end), end.confidence), ("SELECT a", Some(1.0)));
    assert_eq!(
        log.iter()
            .filter(|c| matches!(c, Command::Write { .. }))
            .count(),
        3
    );
    // They do not: the others are asked.
    let says: &[&[&str]] = &[
        &["SELECT c"],
        &["SELECT b"],
        &["SELECT d"],
        &["SELECT a"],
        &["SELECT c"],
    ];
    let (end, _) = run(plan(5, 0), says, &same);
    let end = found(end);
    assert_eq!(end.confidence, Some(0.4));
    // A tie goes to the earlier sample.
    assert_eq!(sql(&end), "SELECT c");
    // Rows that say something win a tie.
    let says: &[&[&str]] = &[&["SELECT e", "SELECT e"], &["SELECT a"]];
    let (end, _) = run(plan(2, 0), says, &json!({"SELECT e": [], "SELECT a": [1]}));
    assert_eq!(sql(&found(end)), "SELECT a");
}

#[test]
fn samples_that_fail_have_no_vote() {
    let says: &[&[&str]] = &[&[], &["SELECT x"], &["SELECT a"]];
    let (end, _) = run(plan(3, 0), says, &json!({"SELECT a": [1]}));
    let end = found(end);
    assert_eq!(sql(&end), "SELECT a");
    assert_eq!(end.confidence, Some(1.0 / 3.0));
    let (end, _) = run(plan(3, 1), &[&[], &[], &[]], &json!({}));
    assert_eq!(end, Command::GiveUp(Vec::new()));
}

#[test]
fn a_question_outside_of_the_data_is_refused() {
    let no = "-- unanswerable: there is no weather";
    let plan = Plan {
        words: true,
        ..plan(3, 1)
    };
    let (end, _) = run(plan, &[&[no], &[no]], &json!({}));
    assert_eq!(found(end).found, Err("there is no weather".to_owned()));
    // One doubter does not stop the others.
    let (end, _) = run(
        plan,
        &[&[no], &["SELECT a"], &["SELECT a"]],
        &json!({"SELECT a": [1]}),
    );
    assert_eq!(sql(&found(end)), "SELECT a");
}

#[test]
fn what_comes_late_changes_nothing() {
    let mut machine = Machine::new(plan(1, 0));
    assert_eq!(machine.start(), [Command::Link]);
    machine.on(Event::Linked);
    assert!(machine.on(outcome(4, &json!([1]))).is_empty());
    machine.on(Event::Wrote {
        sample: 0,
        text: "SELECT a".to_owned(),
    });
    let end = machine.on(outcome(0, &json!([1])));
    assert!(matches!(&end[..], [Command::Done(_)]));
    assert!(machine.on(outcome(0, &json!([2]))).is_empty());
    assert!(machine.on(Event::Told(None)).is_empty());
}

proptest! {
    /// Whatever models and databases do, a machine ends within its budget.
    #[test]
    fn every_machine_ends(
        samples in 1usize..6,
        repairs in 0u32..4,
        texts in proptest::collection::vec(proptest::collection::vec(0usize..6, 0..8), 6),
    ) {
        const WRITTEN: [&str; 6] = ["SELECT a", "SELECT b", "SELECT c", "SELECT d", "nothing", "-- unanswerable: no"];
        let says: Vec<Vec<&str>> = texts.iter().map(|t| t.iter().map(|i| WRITTEN[*i]).collect()).collect();
        let says: Vec<&[&str]> = says.iter().map(Vec::as_slice).collect();
        let database = json!({"SELECT a": [1], "SELECT b": [], "SELECT c": "wrong"});
        let (_, log) = run(plan(samples, repairs), &says, &database);
        let written = log.iter().filter(|c| matches!(c, Command::Write { .. })).count();
        // Each sample writes once, mends as often as it may, and once more for rows that say nothing.
        prop_assert!(written <= samples * (repairs as usize + 2));
    }
}
