//! Every case of Dotprompt's own test suite, which lies in `../shared/conformance/dotprompt` (it is not
//! part of this repository: its licence is another).
//!
//! `KNOWN` lists cases that cannot pass, each with its reason; a case in it that passes fails the test.

use std::path::PathBuf;

use praxis_function::dotprompt::{Data, FrontMatter, Message, Templates, parse, to_json_schema};
use serde_json::{Map, Value, json};

/// `file/suite/case` and why it cannot pass.
const KNOWN: &[(&str, &str)] = &[];

#[test]
fn all_cases_of_dotprompt_pass() {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/dotprompt");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: needs ../shared/conformance/dotprompt");
        return;
    };
    let mut files: Vec<PathBuf> = entries
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    let (mut passed, mut failures) = (0, Vec::new());
    for file in &files {
        let stem = file.file_stem().unwrap().to_string_lossy();
        let text = std::fs::read_to_string(file).unwrap();
        let suites: Vec<Value> = serde_saphyr::from_str(&text).unwrap();
        for suite in &suites {
            for case in suite["tests"].as_array().unwrap() {
                let name = format!(
                    "{stem}/{}/{}",
                    str_of(&suite["name"]),
                    str_of(&case["desc"])
                );
                let known = KNOWN.iter().find(|(n, _)| *n == name);
                match (check(suite, case), known) {
                    (Ok(()), None) => passed += 1,
                    (Err(why), None) => failures.push(format!("{name}\n{why}")),
                    (Ok(()), Some((_, why))) => {
                        failures.push(format!("{name} passes; it was listed because {why}"));
                    }
                    (Err(_), Some(_)) => {}
                }
            }
        }
    }
    println!(
        "{passed} cases of {} files passed, {} are known not to",
        files.len(),
        KNOWN.len()
    );
    assert!(passed > 0, "there are no cases in {}", folder.display());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn str_of(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn map_of(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn check(suite: &Value, case: &Value) -> Result<(), String> {
    let document = parse(str_of(&suite["template"])).map_err(|e| e.message)?;
    if let Some(flaw) = document.flaws.first() {
        return Err(flaw.message.clone());
    }
    let mut data = map_of(&suite["data"]);
    data.extend(map_of(&case["data"]));
    let options = &case["options"];
    let default = match &options["input"]["default"] {
        Value::Object(given) => given.clone(),
        _ => document.front.input.default.clone(),
    };
    let mut input = default;
    input.extend(data.get("input").map(map_of).unwrap_or_default());
    let history: Vec<Message> = match data.get("messages") {
        Some(messages) => serde_json::from_value(messages.clone()).map_err(|e| e.to_string())?,
        None => Vec::new(),
    };
    let mut templates = Templates::new();
    for (name, source) in map_of(&suite["partials"]) {
        templates
            .add(&name, str_of(&source))
            .map_err(|e| e.to_string())?;
    }
    templates
        .add("main", &document.template)
        .map_err(|e| e.to_string())?;
    templates
        .resolve("main", &|name| {
            suite["resolverPartials"][name].as_str().map(str::to_owned)
        })
        .map_err(|(name, flaw)| format!("{name}: {flaw}"))?;
    let messages = templates
        .render(
            "main",
            &Data {
                input,
                context: data.get("context").map(map_of).unwrap_or_default(),
                messages: history,
            },
        )
        .map_err(|e| e.to_string())?;

    let mut seen = metadata(&document.front, &suite["schemas"])?;
    seen.extend(map_of(options));
    seen.insert("messages".to_owned(), json!(messages));
    let mut expected = map_of(&case["expect"]);
    if let Some(raw) = expected.remove("raw") {
        equal(&json!(document.front.raw), &raw)?;
    }
    for key in ["ext", "config", "metadata"] {
        expected.entry(key).or_insert_with(|| json!({}));
    }
    equal(&Value::Object(seen), &Value::Object(expected))
}

/// The front matter as the reference gives it: schemas are JSON Schema, what is absent is left out.
fn metadata(front: &FrontMatter, schemas: &Value) -> Result<Map<String, Value>, String> {
    let schema = |source: &Option<Value>| {
        let convert = |s| to_json_schema(s, &|name| schemas.get(name).cloned());
        source
            .as_ref()
            .map(convert)
            .transpose()
            .map_err(|e| e.to_string())
    };
    let mut all = Map::new();
    for (key, value) in [
        ("name", json!(front.name)),
        ("variant", json!(front.variant)),
        ("version", json!(front.version)),
        ("description", json!(front.description)),
        ("model", json!(front.model)),
        ("config", json!(front.config)),
        ("metadata", json!(front.metadata)),
        ("ext", json!(front.ext)),
        (
            "input",
            json!({ "schema": schema(&front.input.schema)?, "default": front.input.default }),
        ),
        (
            "output",
            json!({ "schema": schema(&front.output.schema)?, "format": front.output.format }),
        ),
    ] {
        let value = match value {
            Value::Object(mut map) if ["input", "output"].contains(&key) => {
                map.retain(|_, v| !v.is_null() && v != &json!({}));
                if map.is_empty() {
                    continue;
                }
                Value::Object(map)
            }
            Value::Null => continue,
            other => other,
        };
        all.insert(key.to_owned(), value);
    }
    Ok(all)
}

fn equal(seen: &Value, expected: &Value) -> Result<(), String> {
    if seen == expected {
        return Ok(());
    }
    Err(format!("  seen     {seen}\n  expected {expected}"))
}
