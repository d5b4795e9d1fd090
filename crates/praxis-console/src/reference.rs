//! The API to be read: a list of all operations, and a page for each, from the same document that `/openapi.json`
//! serves to this caller. Left out: trying operations out, which is what the `curl` lines are for.

mod fields;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use praxis_api::ApiState;
use praxis_api::openapi::Document;
use praxis_core::{CallError, ErrorCode};
use serde_json::Value;

use self::fields::{Field, Piece, fields, followed, kind, one, prose, text};
use crate::pages::{Frame, encoded, failed, render};

/// The name of the page in the navigation.
const TAB: &str = "reference";

/// Characters of an example that are shown.
const MOST_EXAMPLE: usize = 8000;

#[derive(Template)]
#[template(path = "reference.html")]
struct IndexPage {
    frame: Frame,
    version: String,
    about: Vec<Vec<Piece>>,
    groups: Vec<Group>,
}

struct Group {
    name: String,
    about: String,
    operations: Vec<Link>,
}

struct Link {
    href: String,
    method: String,
    path: String,
    summary: String,
}

#[derive(Template)]
#[template(path = "reference-operation.html")]
struct OperationPage {
    frame: Frame,
    summary: String,
    method: String,
    path: String,
    about: Vec<Vec<Piece>>,
    /// Where OpenAI describes it; empty where it is Praxis's own.
    reference: String,
    parameters: Vec<Field>,
    bodies: Vec<Content>,
    answers: Vec<Answer>,
    curl: String,
}

/// A body of one type.
struct Content {
    media_type: String,
    kind: String,
    fields: Vec<Field>,
    examples: Vec<Example>,
}

struct Example {
    about: String,
    text: String,
}

/// What a status says.
struct Answer {
    status: String,
    about: Vec<Vec<Piece>>,
    contents: Vec<Content>,
}

/// An operation of the document.
#[derive(Clone, Copy)]
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    value: &'a Value,
}

/// All operations by what they are of.
pub(crate) async fn index(State(state): State<ApiState>, Document(document): Document) -> Response {
    let all = operations(&document);
    let groups = document["tags"].as_array().into_iter().flatten();
    let groups = groups.filter_map(|tag| {
        let name = text(tag, "name");
        let of_it = all.iter().filter(|o| o.value["tags"][0] == name);
        let operations: Vec<Link> = of_it.map(link).collect();
        (!operations.is_empty()).then(|| Group {
            name: name.to_owned(),
            about: text(tag, "description").to_owned(),
            operations,
        })
    });
    let groups: Vec<Group> = groups.collect();
    render(&IndexPage {
        frame: Frame::new(&state, TAB, "API"),
        version: text(&document["info"], "version").to_owned(),
        about: paragraphs(text(&document["info"], "description")),
        groups,
    })
}

/// One of them.
pub(crate) async fn show(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Document(document): Document,
) -> Response {
    let all = operations(&document);
    let found = all.iter().find(|o| o.value["operationId"] == id.as_str());
    let Some(operation) = found else {
        let error = CallError::new(ErrorCode::NotFound, format!("no operation `{id}`"))
            .with_hint("All that there are stand at /reference.");
        return failed(&state, &error);
    };
    let value = operation.value;
    let parameters = value["parameters"].as_array().into_iter().flatten();
    let body = &value["requestBody"]["content"];
    let answers = value["responses"].as_object().into_iter().flatten();
    render(&OperationPage {
        frame: Frame::new(&state, TAB, text(value, "summary")),
        summary: text(value, "summary").to_owned(),
        method: operation.method.to_uppercase(),
        path: operation.path.to_owned(),
        about: paragraphs(text(value, "description")),
        reference: text(&value["externalDocs"], "url").to_owned(),
        parameters: parameters.map(|p| parameter(&document, p)).collect(),
        bodies: contents(&document, body),
        answers: answers
            .map(|(status, answer)| self::answer(&document, status, answer))
            .collect(),
        curl: curl(*operation, &address(&headers), state.access.is_some()),
    })
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, value)| Operation {
            path: path.as_str(),
            method: method.as_str(),
            value,
        })
    });
    all.collect()
}

fn link(operation: &Operation<'_>) -> Link {
    Link {
        href: format!(
            "/reference/{}",
            encoded(text(operation.value, "operationId"))
        ),
        method: operation.method.to_uppercase(),
        path: operation.path.to_owned(),
        summary: text(operation.value, "summary").to_owned(),
    }
}

fn paragraphs(about: &str) -> Vec<Vec<Piece>> {
    about.split("\n\n").map(prose).collect()
}

fn parameter(document: &Value, parameter: &Value) -> Field {
    let mut field = one(document, text(parameter, "name"), &parameter["schema"]);
    field.about = prose(text(parameter, "description"));
    field.required = parameter["required"] == true;
    let place = text(parameter, "in");
    field.kind = format!("{}, in the {place}", field.kind);
    field
}

fn answer(document: &Value, status: &str, answer: &Value) -> Answer {
    let answer = followed(document, answer);
    // Errors have one shape, which is not worth telling each time.
    let is_good = status.starts_with('2');
    Answer {
        status: status.to_owned(),
        about: paragraphs(text(answer, "description")),
        contents: match is_good {
            true => contents(document, &answer["content"]),
            false => Vec::new(),
        },
    }
}

fn contents(document: &Value, content: &Value) -> Vec<Content> {
    let all = content.as_object().into_iter().flatten();
    let read = |(media_type, content): (&String, &Value)| {
        let examples = content["examples"].as_object().into_iter().flatten();
        let examples = examples.map(|(_, example)| Example {
            about: text(example, "summary").to_owned(),
            text: shown(&example["value"]),
        });
        Content {
            media_type: media_type.clone(),
            kind: kind(document, &content["schema"]),
            fields: fields(document, &content["schema"]),
            examples: examples.collect(),
        }
    };
    all.map(read).collect()
}

/// A value as it is read: JSON with line breaks, a text as it is.
fn shown(value: &Value) -> String {
    let whole = match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    whole.chars().take(MOST_EXAMPLE).collect()
}

/// This server as the client calls it.
fn address(headers: &HeaderMap) -> String {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = said("x-forwarded-proto").filter(|scheme| *scheme == "https");
    let host = said(header::HOST.as_str()).unwrap_or("127.0.0.1:8787");
    format!("{}://{host}", scheme.unwrap_or("http"))
}

/// The operation as a line for a shell.
fn curl(operation: Operation<'_>, address: &str, keyed: bool) -> String {
    let Operation {
        path,
        method,
        value,
    } = operation;
    let asked = value["parameters"].as_array().into_iter().flatten();
    let needed = asked.filter(|p| p["in"] == "query" && p["required"] == true);
    let needed = needed.map(|p| {
        let name = text(p, "name");
        format!("{name}={}", name.to_uppercase())
    });
    let needed: Vec<String> = needed.collect();
    let query = match needed.is_empty() {
        true => String::new(),
        false => format!("?{}", needed.join("&")),
    };
    let url = format!("{address}{}{query}", filled(path));
    let mut line = vec![format!("curl {}", quoted(&url))];
    let content = &value["requestBody"]["content"];
    let has_body = content.is_object();
    if method != "get" && !(method == "post" && has_body) {
        line.push(format!("-X {}", method.to_uppercase()));
    }
    if keyed && value["security"].is_null() {
        line.push("-H 'authorization: Bearer KEY'".to_owned());
    }
    if let Some(json) = content.get("application/json") {
        line.push("-H 'content-type: application/json'".to_owned());
        let examples = json["examples"].as_object();
        let example = examples.and_then(|examples| examples.values().next());
        let body = example.map_or_else(|| "{}".to_owned(), |e| e["value"].to_string());
        line.push(format!("-d {}", quoted(&body)));
    }
    if let Some(form) = content.get("multipart/form-data") {
        let schema = &form["schema"];
        let required = schema["required"].as_array().into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            let sent = match schema["properties"][name]["format"] == "binary" {
                true => format!("{name}=@FILE"),
                false => format!("{name}={}", name.to_uppercase()),
            };
            line.push(format!("-F {sent}"));
        }
    }
    line.join(" \\\n  ")
}

/// A path whose parameters are words that stand out.
fn filled(path: &str) -> String {
    let mut out = String::new();
    for (i, part) in path.split(['{', '}']).enumerate() {
        match i % 2 {
            0 => out.push_str(part),
            _ => out.push_str(&part.to_uppercase()),
        }
    }
    out
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use praxis_api::openapi::document;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_for_a_shell_says_all_that_is_needed() {
        let all = operations(document());
        let line = |id: &str, keyed| {
            let found = all.iter().find(|o| o.value["operationId"] == id).unwrap();
            curl(*found, "http://h:1", keyed)
        };
        for (id, keyed, want) in [
            ("health", true, "curl 'http://h:1/healthz'"),
            (
                "listFunctions",
                true,
                "curl 'http://h:1/praxis/v1/functions' \\\n  -H 'authorization: Bearer KEY'",
            ),
            (
                "deleteFile",
                false,
                "curl 'http://h:1/v1/files/FILE' \\\n  -X DELETE",
            ),
            (
                "getCosts",
                false,
                "curl 'http://h:1/v1/organization/costs?start_time=START_TIME'",
            ),
            (
                "previewFile",
                false,
                "curl 'http://h:1/praxis/v1/knowledge/BASE/preview' \\\n  -F file=@FILE",
            ),
            (
                "createFile",
                false,
                "curl 'http://h:1/v1/files' \\\n  -F file=@FILE \\\n  -F purpose=PURPOSE",
            ),
            (
                "callFunction",
                false,
                "curl 'http://h:1/praxis/v1/functions/NAME/call' \\\n  -H 'content-type: application/json' \\\n  \
                 -d '{\"input\":{\"question\":\"Who may borrow books?\"}}'",
            ),
        ] {
            assert_eq!(line(id, keyed), want);
        }
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }

    #[test]
    fn every_operation_has_a_page_that_is_not_too_long() {
        let document = document();
        for operation in operations(document) {
            let body = contents(document, &operation.value["requestBody"]["content"]);
            let good = answer(document, "200", &operation.value["responses"]["200"]);
            for content in body.iter().chain(&good.contents) {
                let fields = content.fields.len();
                assert!(
                    fields <= fields::MOST_FIELDS,
                    "{}: {fields}",
                    operation.path
                );
                assert!(!content.kind.is_empty(), "{}", operation.path);
            }
        }
    }

    #[test]
    fn the_address_is_the_one_that_the_client_called() {
        let mut headers = HeaderMap::new();
        assert_eq!(address(&headers), "http://127.0.0.1:8787");
        headers.insert(header::HOST, "praxis.example".parse().unwrap());
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        assert_eq!(address(&headers), "https://praxis.example");
        assert_eq!(shown(&json!("a\nb")), "a\nb");
    }
}
