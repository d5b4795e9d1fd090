//! The document against the router, against itself, and as it is served.

pub(crate) mod server;

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use self::server::{Server, ask};
use super::*;

/// Methods by path.
type Methods = BTreeMap<String, BTreeSet<String>>;

/// Each operation of a document, with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    all.collect()
}

/// A path whatever its parameters are called.
fn shape(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.starts_with('{') {
        true => "{}",
        false => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Calls `look` with each object of a document and where it is.
fn each(value: &Value, place: &str, look: &mut impl FnMut(&str, &Value)) {
    look(place, value);
    match value {
        Value::Array(all) => {
            for (i, inner) in all.iter().enumerate() {
                each(inner, &format!("{place}/{i}"), look);
            }
        }
        Value::Object(map) => {
            for (name, inner) in map {
                let name = name.replace('~', "~0").replace('/', "~1");
                each(inner, &format!("{place}/{name}"), look);
            }
        }
        _ => {}
    }
}

/// The router says itself which methods a path has: in the header `allow` of a 405.
#[tokio::test]
async fn each_route_is_described_with_its_methods_and_nothing_else_is() {
    let server = Server::start(None).await;
    let mut served = Methods::new();
    for path in crate::all_routes(&server.state).paths() {
        let filled = path.replace(['{', '}'], "");
        let method = Method::from_bytes(b"NOTHING").unwrap();
        let request = Request::builder().method(method).uri(filled);
        let (status, headers, _) = ask(&server.router(), request).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = headers[header::ALLOW].to_str().unwrap().split(',');
        let allowed = allowed.map(str::to_lowercase).filter(|m| m != "head");
        served.entry(shape(path)).or_default().extend(allowed);
    }
    let mut described = Methods::new();
    for (path, methods) in document()["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys().cloned();
        described.insert(shape(path), methods.collect());
    }
    assert_eq!(described, served);
}

#[tokio::test]
async fn parts_that_come_later_say_so() {
    let server = Server::start(None).await;
    for path in ["/v1/evals", "/v1/evals/e-1/runs", "/v1/fine_tuning/jobs"] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let request = Request::builder().method(method).uri(path);
            let (status, _, body) = ask(&server.router(), request).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            let error = &body["error"];
            assert_eq!(error["code"], "not_found", "{path}: {body}");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("does not have"), "{path}: {message}");
        }
    }
}

#[test]
fn nothing_is_said_of_what_is_not_there() {
    assert_eq!(written().1, [""; 0]);
}

#[test]
fn each_reference_leads_somewhere() {
    let document = document();
    each(document, "", &mut |place, value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#');
            let target = target.and_then(|pointer| document.pointer(pointer));
            assert!(target.is_some(), "{place}: {reference}");
        }
    });
}

#[test]
fn each_field_parameter_and_operation_says_what_it_is() {
    let document = document();
    let is_told = |value: &Value| {
        let about = value["description"].as_str();
        about.is_some_and(|about| about.len() > 2)
    };
    let mut silent = Vec::new();
    each(
        &document["components"]["schemas"],
        "",
        &mut |place, value| {
            let Some(Value::Object(fields)) = value.get("properties") else {
                return;
            };
            // Of an object of one field that says what it is, the field is all there is.
            if fields.len() == 1 && is_told(value) {
                return;
            }
            for (name, field) in fields.iter().filter(|(_, field)| field.is_object()) {
                // What a tag such as `type` says is said by its one value.
                if !is_told(field) && field.get("const").is_none() {
                    silent.push(format!("{place}/{name}"));
                }
            }
        },
    );
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(document) {
        assert!(ids.insert(operation["operationId"].to_string()), "{name}");
        let summary = operation["summary"].as_str().unwrap();
        assert!(
            !summary.is_empty() && !summary.ends_with('.'),
            "{name}: {summary}"
        );
        let good = &operation["responses"]["200"];
        if !is_told(operation) || !is_told(good) || good["content"].as_object().unwrap().is_empty()
        {
            silent.push(name.clone());
        }
        let tags = operation["tags"].as_array().unwrap();
        for tag in tags {
            let known = tags::ALL.iter().any(|(known, _)| tag == known);
            assert!(known, "{name}: {tag}");
        }
        assert_eq!(
            name.contains(" /v1/"),
            tags.contains(&json!(OPENAI)),
            "{name}"
        );
        let parameters = operation["parameters"].as_array();
        let parameters = parameters.map(Vec::as_slice).unwrap_or_default();
        silent.extend(
            parameters
                .iter()
                .filter(|p| !is_told(p))
                .map(|p| format!("{name}: {p}")),
        );
        let of_path = parameters.iter().filter(|p| p["in"] == "path");
        let of_path: Vec<&str> = of_path.map(|p| p["name"].as_str().unwrap()).collect();
        let wanted: Vec<&str> = name
            .split('{')
            .skip(1)
            .filter_map(|p| p.split('}').next())
            .collect();
        assert_eq!(of_path, wanted, "{name}");
    }
    assert_eq!(silent, [""; 0]);
}

#[test]
fn examples_are_what_they_are_examples_of() {
    let document = document();
    let mut seen = 0;
    for (name, operation) in operations(document) {
        let body = operation["requestBody"]["content"].as_object();
        let answer = operation["responses"]["200"]["content"].as_object();
        for (kind, content) in body.into_iter().chain(answer).flatten() {
            let mut whole = json!({ "components": document["components"] });
            whole["allOf"] = json!([content["schema"]]);
            // Streams are texts of which each event has the schema.
            let streamed = kind == "text/event-stream";
            let validator = jsonschema::validator_for(&whole).unwrap();
            for example in content["examples"]
                .as_object()
                .into_iter()
                .flat_map(|all| all.values())
            {
                seen += 1;
                let values = match streamed {
                    true => events(example["value"].as_str().unwrap()),
                    false => vec![example["value"].clone()],
                };
                for value in values {
                    let errors = validator.iter_errors(&value).map(|e| e.to_string());
                    let errors: Vec<String> = errors.collect();
                    assert_eq!(errors, [""; 0], "{name}: {value}");
                }
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

/// The events of a stream as schemas see them.
fn events(stream: &str) -> Vec<Value> {
    let event = |text: &str| {
        let mut event = json!({});
        for line in text.lines() {
            let (field, value) = line.split_once(": ").unwrap();
            event[field] = json!(value);
        }
        event
    };
    stream.split_terminator("\n\n").map(event).collect()
}

#[test]
fn filters_of_the_examples_are_read() {
    let search = &document()["paths"]["/praxis/v1/knowledge/{base}/search"]["post"];
    let examples = &search["requestBody"]["content"]["application/json"]["examples"];
    let filter = &examples["a_filter"]["value"]["filters"];
    praxis_core::Filter::parse(filter).unwrap();
}

#[tokio::test]
async fn functions_are_told_to_keys_that_are_for_them() {
    let with_keys = Server::start(Some(&[("all", "all"), ("chats", "chat")])).await;
    let without = Server::start(None).await;
    for (server, key, status, tells) in [
        (&without, None, StatusCode::OK, true),
        (&with_keys, None, StatusCode::UNAUTHORIZED, false),
        (&with_keys, Some("wrong"), StatusCode::UNAUTHORIZED, false),
        (&with_keys, Some("all"), StatusCode::OK, true),
        (&with_keys, Some("chats"), StatusCode::OK, false),
    ] {
        let mut request = Request::builder().uri("/openapi.json");
        if let Some(key) = key {
            let key = server.keys.get(key).map_or(key, String::as_str);
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let (got, _, body) = ask(&server.router(), request).await;
        assert_eq!(got, status, "{key:?}");
        let path = "/praxis/v1/functions/greet/call";
        assert_eq!(body["paths"][path].is_object(), tells, "{key:?}");
        assert_eq!(body.to_string().contains("greet"), tells, "{key:?}");
        if status == StatusCode::OK {
            assert_eq!(body["openapi"], "3.1.0");
            assert_eq!(body["servers"][0]["url"], "/");
        }
    }
}
