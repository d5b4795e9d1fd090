//! Embeddings as a tool, through the real binary and a real model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use serde_json::Value;
use support::{Sandbox, has_model};

const MODEL: &str = "all-minilm-l6-v2";

const LINES: &str = r#"{"id": "late", "text": "My parcel has not arrived yet", "label": "delivery"}
{"id": "lost", "text": "The package was never delivered", "label": "delivery"}
{"id": "lost2", "text": "The package was never delivered!", "label": "delivery"}
{"id": "twice", "text": "You charged my credit card twice", "label": "billing"}
{"id": "refund", "text": "I want my money back on my card", "label": "billing"}
{"id": "crash", "text": "The app crashes when I open it", "label": "bug"}
{"id": "blank", "text": "The program shows a blank screen", "label": "bug"}
"#;

/// A folder with the texts, and no application in it.
fn folder() -> Option<Sandbox> {
    if !has_model(MODEL) {
        return None;
    }
    let sandbox = Sandbox::empty();
    sandbox.write("texts.jsonl", LINES);
    Some(sandbox)
}

fn ids(found: &Value) -> Vec<&str> {
    let found = found.as_array().unwrap().iter();
    found.map(|f| f["id"].as_str().unwrap()).collect()
}

#[test]
fn near_texts_and_twins_are_found_without_an_application() {
    let Some(folder) = folder() else { return };
    let ask =
        |args: &[&str]| folder.json(&[args, &["--data", "texts.jsonl", "--model", MODEL]].concat());
    let near = ask(&["similar", "where is my package?", "-n", "3"]);
    let mut near = ids(&near);
    near.sort_unstable();
    assert_eq!(near, ["late", "lost", "lost2"]);
    let twins = ask(&["similar", "--duplicates", "0.9"]);
    assert_eq!(twins, serde_json::json!([["lost", "lost2"]]));
    let liked = ask(&["recommend", "--like", "twice", "-n", "1"]);
    assert_eq!(ids(&liked), ["refund"]);
    let topics = ask(&["cluster", "--topics", "3"]);
    let topics = topics["topics"].as_array().unwrap().iter();
    let ids: Vec<Vec<&str>> = topics
        .map(|t| {
            t["ids"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect()
        })
        .collect();
    assert_eq!((ids.len(), ids.concat().len()), (3, 7), "{ids:?}");
    let of = |id: &str| ids.iter().position(|topic| topic.contains(&id));
    assert_eq!(of("lost"), of("lost2"), "{ids:?}");
    assert_eq!(of("twice"), of("refund"), "{ids:?}");
    assert_ne!(of("lost"), of("twice"), "{ids:?}");
}

#[test]
fn classes_are_told_by_descriptions_and_measured_by_labels() {
    let Some(folder) = folder() else { return };
    let told = folder.json(&[
        "classify",
        "--data",
        "texts.jsonl",
        "--model",
        MODEL,
        "--label",
        "delivery=where is my parcel, it has not been delivered",
        "--label",
        "billing=a wrong charge, money, my credit card",
        "--label",
        "bug=the software does not work, it crashes",
    ]);
    assert_eq!(told["accuracy"], 1.0, "{told}");
    let first = &told["data"][0]["classes"];
    let shares: f64 = first
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["share"].as_f64().unwrap())
        .sum();
    assert!((shares - 1.0).abs() < 1e-4, "{first}");
    let by_example = folder.json(&[
        "classify",
        "--train",
        "texts.jsonl",
        "--model",
        MODEL,
        "it freezes at start",
    ]);
    assert_eq!(by_example["data"][0]["classes"][0]["label"], "bug");
}

#[test]
fn vectors_are_written_for_numpy_and_as_lines() {
    let Some(folder) = folder() else { return };
    let embed = |out: &str| {
        folder.json(&[
            "embed",
            "--data",
            "texts.jsonl",
            "--model",
            MODEL,
            "--out",
            out,
        ]);
        std::fs::read(folder.path(out)).unwrap()
    };
    let array = embed("texts.npy");
    assert!(array.starts_with(b"\x93NUMPY\x01\x00"));
    let header = usize::from(u16::from_le_bytes([array[8], array[9]])) + 10;
    assert_eq!((header % 64, array.len() - header), (0, 7 * 384 * 4));
    let lines = String::from_utf8(embed("texts.jsonl.out")).unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let number = f32::from_le_bytes(array[header..header + 4].try_into().unwrap());
    assert!((first["embedding"][0].as_f64().unwrap() - f64::from(number)).abs() < 1e-6);
}

#[test]
fn mistakes_are_named_with_their_fix() {
    let folder = Sandbox::empty();
    folder.write("texts.jsonl", "{\"text\": \"a\"}\n{\"body\": \"b\"}\n");
    folder.write("labels.jsonl", "{\"text\": \"a\"}\n");
    for (args, message) in [
        (
            vec!["similar", "x", "--data", "texts.jsonl"],
            "texts.jsonl:2: there is no `text`",
        ),
        (
            vec!["similar", "x", "--data", "absent.txt"],
            "cannot read `absent.txt`",
        ),
        (
            vec!["similar", "--data", "labels.jsonl"],
            "nothing to compare with",
        ),
        (vec!["embed"], "nothing to embed"),
        (
            vec!["classify", "a", "--labels", "one"],
            "two labels or more",
        ),
        (
            vec!["classify", "a", "--train", "labels.jsonl"],
            "has no `label`",
        ),
        (
            vec!["recommend", "--data", "labels.jsonl", "--like", "9"],
            "has the id `9`",
        ),
    ] {
        let run = folder.praxis(&args);
        assert!(!run.ok && run.stderr.contains(message), "{args:?}: {run:?}");
    }
}
