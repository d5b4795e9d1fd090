//! An OpenAPI document of version 3.0 or 3.1, read as it comes: each operation for itself, so that one that is wrong
//! costs nothing but itself.
//!
//! The types are narrow and our own. `oas3` reads 3.1 alone and `openapiv3` 3.0 alone, each the whole document or
//! none of it, and a document is a stranger's: what is read here is a tree with bounds on its size, its depth and what
//! its references may lead to. Left out: references to other documents, callbacks, links and webhooks.

mod operation;
mod parameter;
mod schema;
mod server;
mod settle;

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Map, Value};

use crate::text::{Names, identifier, plain};

pub(super) use operation::{Described, Setting, read};

/// The largest document, in bytes; the largest that are published are of this order.
pub(super) const LARGEST: u64 = 16 << 20;

/// How deep a document may be nested, and how many parts a YAML document may have, aliases followed.
const MOST_DEPTH: usize = 96;
const MOST_PARTS: usize = 1_000_000;

/// The most operations that are looked at.
const MOST_OPERATIONS: usize = 20_000;

/// References of references that are followed.
const MOST_HOPS: usize = 16;

/// Characters of an operation's id.
const LONGEST_ID: usize = 64;

/// A document.
#[derive(Debug)]
pub(super) struct Document {
    root: Value,
    /// Version 3.0, whose schemas are not yet those of JSON Schema 2020-12.
    old: bool,
    /// What the service is called.
    pub title: String,
    /// Its operations, in its order.
    pub listed: Arc<[Listed]>,
    /// Whether there are more than were looked at.
    pub more: bool,
}

/// An operation as a document lists it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// Its id, or one made of its method and path: letters, digits, `_` and `-`, and unique.
    pub id: String,
    /// Its id as the document has it.
    pub written: Option<String>,
    pub method: Method,
    pub path: String,
    pub deprecated: bool,
}

impl Listed {
    /// `GET /users/{id}`
    pub fn label(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether somebody means it by this id or this label.
    pub fn is_called(&self, name: &str) -> bool {
        let by_path = || {
            let (method, path) = name.split_once(' ')?;
            let same = method.eq_ignore_ascii_case(self.method.as_str());
            (same && path.trim() == self.path).then_some(())
        };
        self.id == name || self.written.as_deref() == Some(name) || by_path().is_some()
    }
}

/// A text as a tree, from JSON or YAML.
///
/// # Errors
/// Why it is neither.
pub(super) fn tree(bytes: &[u8]) -> Result<Value, String> {
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it has more than {LARGEST} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text in UTF-8".to_owned())?;
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        // What begins so may be YAML's way with braces, which is rare: JSON's complaint is the better one.
        return serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MOST_DEPTH,
            max_nodes: MOST_PARTS,
            max_events: 3 * MOST_PARTS,
        },
        strict_booleans: true,
        underscored_numbers_as_strings: true,
    };
    serde_saphyr::from_str_with_options::<Value>(text, options).map_err(|error| {
        let said = error.to_string();
        let first = plain(said.lines().next().unwrap_or_default(), 200);
        match error.location() {
            Some(place) => format!("line {}: it is not YAML: {first}", place.line()),
            None => format!("it is not YAML: {first}"),
        }
    })
}

impl Document {
    /// The document of a tree.
    ///
    /// # Errors
    /// It is no OpenAPI document of a version that is read.
    pub fn new(root: Value) -> Result<Self, String> {
        if root.get("swagger").is_some() {
            return Err(
                "it is of version 2 (Swagger): have it converted to OpenAPI 3 first".to_owned(),
            );
        }
        // YAML without quotes makes a number of `3.1`.
        let version = match root.get("openapi") {
            Some(Value::String(version)) => version.clone(),
            Some(Value::Number(version)) => version.to_string(),
            _ => return Err("it is no OpenAPI document: there is no `openapi: 3.1.0`".to_owned()),
        };
        if version != "3" && !version.starts_with("3.") {
            let version = plain(&version, 20);
            return Err(format!("it is of version {version}; 3.0 and 3.1 are read"));
        }
        let title = root.pointer("/info/title").and_then(Value::as_str);
        let mut document = Self {
            old: version == "3.0" || version.starts_with("3.0."),
            title: plain(title.unwrap_or("the service"), 80),
            root,
            listed: Arc::default(),
            more: false,
        };
        document.list();
        Ok(document)
    }

    fn list(&mut self) {
        let (mut listed, mut more) = (Vec::new(), false);
        let mut names = Names::default();
        let paths = self.root.get("paths").and_then(Value::as_object);
        'paths: for (path, item) in paths.into_iter().flatten() {
            let Ok(item) = self.resolved(item) else {
                continue;
            };
            let methods = item.as_object().into_iter().flatten();
            for (word, operation) in methods {
                let Some(method) = method(word).filter(|_| path.starts_with('/')) else {
                    continue;
                };
                if !operation.is_object() {
                    continue;
                }
                if listed.len() >= MOST_OPERATIONS {
                    more = true;
                    break 'paths;
                }
                let written = operation.get("operationId").and_then(Value::as_str);
                let mut id = identifier(written.unwrap_or_default(), LONGEST_ID);
                if id.is_empty() {
                    id = identifier(&format!("{word} {path}"), LONGEST_ID);
                }
                listed.push(Listed {
                    id: names.give(&id, LONGEST_ID),
                    written: written.map(str::to_owned),
                    method,
                    path: path.clone(),
                    deprecated: is(operation, "deprecated"),
                });
            }
        }
        self.listed = listed.into();
        self.more = more;
    }

    /// The path's item and the operation itself.
    fn operation(&self, listed: &Listed) -> Option<(&Value, &Value)> {
        let item = self.root.get("paths")?.get(&listed.path)?;
        let item = self.resolved(item).ok()?;
        let word = listed.method.as_str().to_ascii_lowercase();
        Some((item, item.get(word.as_str())?))
    }

    /// What stands for a value: what its `$ref` leads to, or itself.
    ///
    /// # Errors
    /// A reference that leads nowhere, out of the document, or in a circle.
    fn resolved<'d>(&'d self, value: &'d Value) -> Result<&'d Value, String> {
        let mut here = value;
        for _ in 0..MOST_HOPS {
            match here.get("$ref").and_then(Value::as_str) {
                Some(target) => here = self.at(target)?,
                None => return Ok(here),
            }
        }
        Err("a reference of it leads to references without end".to_owned())
    }

    /// What a reference leads to.
    fn at(&self, target: &str) -> Result<&Value, String> {
        let shown = plain(target, 100);
        let Some(pointer) = target.strip_prefix('#') else {
            return Err(format!(
                "it refers to `{shown}`, outside of the document: bundle the document into one file"
            ));
        };
        let found = match decoded(pointer) {
            Some(pointer) => self.root.pointer(&pointer),
            None => self.root.pointer(pointer),
        };
        found.ok_or_else(|| format!("it refers to `{shown}`, which is not there"))
    }

    /// The security schemes of a type, such as `apiKey`.
    pub fn schemes<'d>(&'d self, kind: &'d str) -> impl Iterator<Item = &'d Map<String, Value>> {
        let all = self.root.pointer("/components/securitySchemes");
        let all = all.and_then(Value::as_object).into_iter().flatten();
        all.filter_map(move |(_, scheme)| self.resolved(scheme).ok()?.as_object())
            .filter(move |scheme| scheme.get("type").and_then(Value::as_str) == Some(kind))
    }
}

/// Methods that become functions; `options` and `trace` say nothing to a model.
fn method(word: &str) -> Option<Method> {
    Some(match word {
        "get" => Method::GET,
        "head" => Method::HEAD,
        "post" => Method::POST,
        "put" => Method::PUT,
        "patch" => Method::PATCH,
        "delete" => Method::DELETE,
        _ => return None,
    })
}

/// Whether a flag is set.
fn is(value: &Value, flag: &str) -> bool {
    value.get(flag).and_then(Value::as_bool) == Some(true)
}

/// A field's text.
fn text<'d>(value: &'d Value, field: &str) -> Option<&'d str> {
    value.get(field).and_then(Value::as_str)
}

/// A part of a URL, such as a JSON pointer in its fragment (RFC 6901, 6), where percent signs make it another text.
pub(super) fn decoded(pointer: &str) -> Option<String> {
    if !pointer.contains('%') {
        return None;
    }
    let bytes = pointer.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = pointer.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_yaml_are_one_tree() {
        let yaml = "openapi: 3.0.3\npaths:\n  /a:\n    get:\n      responses:\n        200: {description: no}\n";
        let json = r#"{"openapi":"3.0.3","paths":{"/a":{"get":{"responses":{"200":{"description":"no"}}}}}}"#;
        assert_eq!(tree(yaml.as_bytes()), tree(json.as_bytes()));
        for (text, part) in [
            ("{\"openapi\": ", "not JSON"),
            ("a: [1, 2\nb: c", "not YAML"),
        ] {
            let error = tree(text.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(tree(&[0xff, 0xfe]).unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            let list = vec![format!("*a{}", i - 1); 10].join(", ");
            bomb.push_str(&format!("a{i}: &a{i} [{list}]\n"));
        }
        assert!(tree(bomb.as_bytes()).is_err());
    }

    #[test]
    fn versions_that_are_not_read_say_what_to_do() {
        for (root, part) in [
            (json!({ "swagger": "2.0" }), "converted"),
            (json!({ "openapi": "4.0.0" }), "version 4.0.0"),
            (json!({ "info": {} }), "no OpenAPI document"),
            (json!([]), "no OpenAPI document"),
        ] {
            let error = Document::new(root).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(Document::new(json!({ "openapi": 3.1 })).is_ok());
    }

    #[test]
    fn operations_are_listed_with_ids_of_their_own() {
        let document = Document::new(json!({
            "openapi": "3.1.0",
            "info": { "title": "A\nshop" },
            "paths": {
                "/users": { "get": { "operationId": "list users" }, "post": {}, "trace": {}, "parameters": [] },
                "/people": { "$ref": "#/paths/~1users" },
                "/old": { "get": { "deprecated": true } },
                "no-slash": { "get": {} },
                "/lost": { "$ref": "#/paths/~1nowhere" },
                "/round": { "$ref": "#/paths/~1round" },
                "/odd": { "get": 7 },
            },
        }))
        .unwrap();
        let ids: Vec<(String, &str)> = document
            .listed
            .iter()
            .map(|o| (o.label(), o.id.as_str()))
            .collect();
        assert_eq!(
            ids,
            [
                ("GET /users".to_owned(), "list_users"),
                ("POST /users".to_owned(), "post_users"),
                ("GET /people".to_owned(), "list_users_2"),
                ("POST /people".to_owned(), "post_people"),
                ("GET /old".to_owned(), "get_old"),
            ]
        );
        assert_eq!(document.title, "A shop");
        let first = &document.listed[0];
        for name in ["list users", "list_users", "GET /users", "get /users"] {
            assert!(first.is_called(name), "{name}");
        }
        assert!(!first.is_called("POST /users") && document.listed[4].deprecated);
    }

    #[test]
    fn pointers_are_read_as_fragments() {
        assert_eq!(decoded("/a/b"), None);
        assert_eq!(
            decoded("/paths/~1x%7Bid%7D/%E8%97%A4").as_deref(),
            Some("/paths/~1x{id}/藤")
        );
        assert_eq!(decoded("/a%zz").as_deref(), Some("/a%zz"));
        assert_eq!(decoded("/a%ff"), None);
    }
}
