//! The weather example through the real binary: a search, a page, a record, and all of it by a model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Sandbox, has_model};

/// The example, as it is, but for the model that it asks.
fn example(model: &str) -> Sandbox {
    let sandbox = Sandbox::empty();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/weather");
    for folder in ["", "tools", "pages", "prompts"] {
        for entry in std::fs::read_dir(from.join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let path = Path::new(folder).join(entry.file_name());
                let content = std::fs::read(entry.path()).unwrap();
                sandbox.write(path.to_str().unwrap(), content);
            }
        }
    }
    let config = std::fs::read_to_string(sandbox.path("praxis.toml")).unwrap();
    sandbox.write(
        "praxis.toml",
        config.replace("qwen2.5-coder-1.5b-instruct", model),
    );
    sandbox
}

/// What a tool gives, out of the frame of content from outside.
fn given(app: &Sandbox, args: &[&str]) -> Value {
    let output = app.json(&[&["call"], args].concat());
    let framed = &output["output"];
    assert!(framed["from"].is_string(), "{output}");
    framed["content"].clone()
}

#[test]
fn pages_are_found_and_read_without_a_network() {
    let app = example("smollm2-135m-instruct");
    let run = app.praxis(&["check"]);
    assert!(run.ok, "{run:?}");
    for (query, page) in [
        ("weather in Oslo", "oslo.html"),
        ("Paris weather today", "paris.html"),
        ("上海的天气", "%E4%B8%8A%E6%B5%B7.html"),
        ("how are forecasts made", "about.html"),
    ] {
        let found = given(&app, &["find", &format!("query={query}")]);
        let first = &found["results"][0];
        assert_eq!(
            first["url"],
            format!("https://weather.example/{page}"),
            "{found}"
        );
    }
    let page = given(&app, &["web/page", "url=https://weather.example/oslo.html"]);
    let text = page["markdown"].as_str().unwrap();
    assert!(
        text.starts_with("# Weather in Oslo\n\nOvercast with rain in Oslo today."),
        "{text}"
    );
    assert!(
        text.contains("| Thursday | sunny | 14 °C | 4 °C | 5 % |"),
        "{text}"
    );
    assert!(
        text.contains("[Paris](https://weather.example/paris.html)"),
        "{text}"
    );
    for around in ["cookies", "Imprint", "All cities", "document.title"] {
        assert!(!text.contains(around), "{text}");
    }
}

#[test]
fn a_page_becomes_a_record() {
    // A smaller model copies what it likes, and may not come to an end.
    let model = "qwen2.5-coder-1.5b-instruct";
    if !has_model(model) {
        return;
    }
    let app = example(model);
    let made = given(
        &app,
        &["web/extract", "url=https://weather.example/oslo.html"],
    );
    let record = made["record"].as_object().unwrap();
    let mut names: Vec<&str> = record.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["celsius", "city", "rain_percent", "sky", "wind"],
        "{made}"
    );
    assert!(
        made["unfounded"].is_array() && made["title"] == "Weather in Oslo",
        "{made}"
    );
    assert_eq!(record["city"], "Oslo", "{made}");
    assert_eq!(record["celsius"].as_f64(), Some(9.0), "{made}");
}

#[test]
fn a_model_finds_its_way_from_a_question_to_a_record() {
    let model = "qwen2.5-coder-1.5b-instruct";
    if !has_model(model) {
        return;
    }
    let app = example(model);
    let question = "question=How cold is it in Oslo now, and does it rain?";
    let called = app.json(&["call", "weather", question]);
    let output = &called["output"];
    assert!(
        output["city"].is_string() && output["source"].is_string(),
        "{called}"
    );
    // It looked the weather up before it answered.
    let trace = called["trace_id"].as_str().unwrap();
    let trace = app.json(&["traces", "show", trace]);
    let spans = trace["spans"].as_array().unwrap();
    assert!(spans.iter().any(|span| span["kind"] == "tool"), "{trace}");
}
