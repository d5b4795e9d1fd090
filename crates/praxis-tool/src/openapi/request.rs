//! An operation as it is called: which argument goes where, and the request that comes of them.
//!
//! A value never leaves its place: it is encoded, and a path that a URL or the service would read as another one is
//! refused. Left out: credentials (`auth`), and whom requests may reach, which is `egress`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use praxis_core::CallError;
use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::{Map, Value};

use super::document::Listed;
use super::reach::{instead, read};
use super::style::{Writing, form, scalar};
use crate::http::template::climbs;
use crate::work::invalid;

/// What is liked as an answer.
const LIKED: &str = "application/json, text/*;q=0.8, */*;q=0.5";

/// Where a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

impl Place {
    /// As documents write it, and as it stands before names that collide.
    pub fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }
}

/// A parameter and the argument that fills it.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub argument: String,
    pub name: String,
    pub place: Place,
    pub writing: Writing,
    /// Whether its value is written as JSON.
    pub json: bool,
}

/// A piece of a path.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// As it stands, encoded.
    Text(String),
    /// The value of the parameter at this place in the list.
    Parameter(usize),
}

/// What a body is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `multipart/form-data` (RFC 7578)
    Multipart,
    Text,
}

/// Which arguments make the body.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// This one is all of it.
    Whole(String),
    /// Each of these is a field of it: the argument, and the field's name.
    Fields(Vec<(String, String)>),
}

/// The body of requests.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub kind: Kind,
    /// `Content-Type`; that of `multipart/form-data` gets a boundary.
    pub media: String,
    pub required: bool,
    pub shape: Shape,
    /// How fields of a form are written that are not written as usual.
    pub written: BTreeMap<String, Writing>,
    /// Fields of a form that are files.
    pub files: BTreeSet<String>,
}

/// An operation, ready to be called.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub method: Method,
    pub server: Url,
    pub path: Vec<Piece>,
    /// The path as the document has it.
    pub template: String,
    /// All operations of the document.
    pub listed: Arc<[Listed]>,
    pub parameters: Vec<Parameter>,
    pub body: Option<Body>,
    /// Whether credentials are sent with it.
    pub secured: bool,
}

impl Operation {
    /// Whether it may be sent again: twice is as once (RFC 9110, 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        [Method::GET, Method::HEAD, Method::PUT, Method::DELETE].contains(&self.method)
    }

    /// The request of an input; `name` is the function's.
    ///
    /// # Errors
    /// `invalid_request` for values that have no place in a request.
    pub fn request(&self, name: &str, input: &Map<String, Value>) -> Result<Request, CallError> {
        let mut request = Request::new(self.method.clone(), self.url(name, input)?);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static(LIKED));
        let mut cookies = Vec::new();
        for parameter in &self.parameters {
            let Some(value) = parameter.value(input) else {
                continue;
            };
            match parameter.place {
                Place::Path | Place::Query => {}
                Place::Cookie => {
                    cookies.extend(parameter.writing.pairs(&parameter.name, &value));
                }
                Place::Header => {
                    let argument = &parameter.argument;
                    let text = parameter.writing.header(&value);
                    let value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
                        invalid(
                            name,
                            format!("`{argument}` has characters that no header takes"),
                        )
                    })?;
                    let header =
                        HeaderName::from_bytes(parameter.name.as_bytes()).map_err(|_| {
                            invalid(
                                name,
                                format!("`{argument}` belongs to no header that there is"),
                            )
                        })?;
                    headers.insert(header, value);
                }
            }
        }
        if !cookies.is_empty() {
            let line = HeaderValue::from_str(&cookies.join("; "))
                .map_err(|_| invalid(name, "its cookies cannot be written"))?;
            headers.insert(COOKIE, line);
        }
        if let Some(body) = &self.body
            && let Some(value) = body.value(name, input)?
        {
            let (media, bytes) = body.bytes(name, value)?;
            let media = HeaderValue::from_str(&media)
                .map_err(|_| invalid(name, "its body has a type that no header takes"))?;
            headers.insert(CONTENT_TYPE, media);
            *request.body_mut() = Some(bytes.into());
        }
        Ok(request)
    }

    fn url(&self, name: &str, input: &Map<String, Value>) -> Result<Url, CallError> {
        let mut path = String::new();
        for piece in &self.path {
            match piece {
                Piece::Text(text) => path.push_str(text),
                Piece::Parameter(at) => {
                    let Some(parameter) = self.parameters.get(*at) else {
                        continue;
                    };
                    let argument = &parameter.argument;
                    let value = parameter.value(input);
                    let text = value.map(|value| parameter.writing.path(&parameter.name, &value));
                    let text = text.unwrap_or_default();
                    if text.is_empty() {
                        // `/users/` is not one of `/users/{id}`.
                        return Err(invalid(name, format!("`{argument}` must not be empty")));
                    }
                    path.push_str(&text);
                }
            }
        }
        let seen = read(&path);
        if let Some(other) = instead(&self.listed, &self.method, &self.template, &seen) {
            let what = format!(
                "{} makes it the path of `{}`, another operation",
                self.in_path(),
                other.label()
            );
            return Err(invalid(name, what));
        }
        let whole = format!("{}{path}", self.server.path().trim_end_matches('/'));
        let mut url = self.server.clone();
        url.set_path(&whole);
        if climbs(&seen) || url.path() != whole && !(whole.is_empty() && url.path() == "/") {
            let what = "a part of the path is `.` or `..`, which leads to another one";
            return Err(invalid(name, what));
        }
        let mut pairs = Vec::new();
        for parameter in self.parameters.iter().filter(|p| p.place == Place::Query) {
            if let Some(value) = parameter.value(input) {
                pairs.extend(parameter.writing.pairs(&parameter.name, &value));
            }
        }
        let query = pairs.join("&");
        url.set_query((!query.is_empty()).then_some(query.as_str()));
        Ok(url)
    }

    /// The arguments of its path: `a`, `b`.
    fn in_path(&self) -> String {
        let parameters = self.parameters.iter().filter(|p| p.place == Place::Path);
        let names: Vec<String> = parameters.map(|p| format!("`{}`", p.argument)).collect();
        names.join(", ")
    }
}

impl Parameter {
    /// Its value, where it has one.
    fn value(&self, input: &Map<String, Value>) -> Option<Value> {
        let value = input.get(&self.argument).filter(|v| !v.is_null())?;
        Some(match self.json {
            true => Value::String(value.to_string()),
            false => value.clone(),
        })
    }
}

impl Body {
    /// The value that is sent; none where the body may be missing and nothing of it was given.
    fn value(&self, name: &str, input: &Map<String, Value>) -> Result<Option<Value>, CallError> {
        let value = match &self.shape {
            Shape::Whole(argument) => input.get(argument).cloned(),
            Shape::Fields(fields) => {
                let given = fields.iter().filter_map(|(argument, field)| {
                    Some((field.clone(), input.get(argument)?.clone()))
                });
                let map: Map<String, Value> = given.collect();
                (self.required || !map.is_empty()).then_some(Value::Object(map))
            }
        };
        match value {
            None if self.required => Err(invalid(name, "it needs a `body`")),
            value => Ok(value),
        }
    }

    /// Its type and its bytes.
    fn bytes(&self, name: &str, value: Value) -> Result<(String, Vec<u8>), CallError> {
        let fields = |value: Value| match value {
            Value::Object(fields) => Ok(fields),
            _ => Err(invalid(
                name,
                "its body must be an object, which a form is made of",
            )),
        };
        Ok(match self.kind {
            Kind::Json => (self.media.clone(), value.to_string().into_bytes()),
            Kind::Text => (self.media.clone(), scalar(&value).into_bytes()),
            Kind::Form => {
                let mut fields = fields(value)?;
                for (field, value) in fields.iter_mut() {
                    // What is no list and no single value is JSON, where the document does not say otherwise.
                    if value.is_object() && !self.written.contains_key(field) {
                        *value = Value::String(value.to_string());
                    }
                }
                let usual = |field: &str| self.written.get(field).copied().unwrap_or(Writing::FORM);
                (self.media.clone(), form(&fields, &usual).into_bytes())
            }
            Kind::Multipart => self.multipart(&fields(value)?),
        })
    }

    fn multipart(&self, fields: &Map<String, Value>) -> (String, Vec<u8>) {
        // No text holds the hash of itself.
        let whole = serde_json::to_vec(fields).unwrap_or_default();
        let hash = blake3::hash(&whole).to_hex();
        // At most 70 characters (RFC 2046, 5.1.1).
        let boundary = format!("praxis-{}", hash.as_str().get(..32).unwrap_or_default());
        let mut bytes = Vec::with_capacity(whole.len() + 256);
        let mut part = |field: &str, value: &Value| {
            let name = quoted(field);
            let is_file = self.files.contains(field);
            let mut head =
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"");
            if is_file {
                head.push_str(&format!(
                    "; filename=\"{name}.txt\"\r\nContent-Type: text/plain; charset=utf-8"
                ));
            } else if value.is_object() || value.is_array() {
                head.push_str("\r\nContent-Type: application/json");
            }
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(b"\r\n\r\n");
            bytes.extend_from_slice(scalar(value).as_bytes());
            bytes.extend_from_slice(b"\r\n");
        };
        for (field, value) in fields {
            match value {
                Value::Null => {}
                // Items are parts of one name (RFC 7578, 4.3).
                Value::Array(items) if !items.iter().any(Value::is_array) => {
                    for item in items.iter().filter(|item| !item.is_null()) {
                        part(field, item);
                    }
                }
                value => part(field, value),
            }
        }
        bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        (format!("{}; boundary={boundary}", self.media), bytes)
    }
}

/// A name inside of quotes of a part's head (HTML, "multipart/form-data encoding algorithm").
fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '"' => out.push_str("%22"),
            '\r' => out.push_str("%0D"),
            '\n' => out.push_str("%0A"),
            c => out.push(c),
        }
    }
    out
}
