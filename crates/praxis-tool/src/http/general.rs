//! Any request to the hosts of a list, as a caller writes it: method, URL, headers, body. Left out: which hosts these
//! are, which the file says.

use std::collections::BTreeMap;

use async_trait::async_trait;
use praxis_core::{CallContext, CallError, Effects, Signature};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::answer::{data, told};
use super::headers::{Said, is_free};
use super::template::Values;
use super::{Config, effects_of, method};
use crate::egress::{Egress, Limits};
use crate::work::{Work, invalid, read};

/// The most headers of a call.
const MOST_HEADERS: usize = 32;

/// Headers of an answer that a caller is told.
const TOLD: [&str; 5] = [
    "content-type",
    "etag",
    "last-modified",
    "link",
    "retry-after",
];

/// A function that makes requests.
pub(super) struct General {
    signature: Signature,
    methods: Vec<Method>,
    headers: Vec<(HeaderName, Said)>,
    egress: Egress,
    limits: Limits,
    room: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    url: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
}

impl General {
    /// The function of a file without mistakes.
    pub fn new(name: &str, config: &Config, egress: Egress) -> Self {
        let mut methods: Vec<Method> = config.methods.iter().filter_map(|m| method(m)).collect();
        if methods.is_empty() {
            methods = vec![Method::GET, Method::HEAD];
        }
        let effects = methods
            .iter()
            .map(effects_of)
            .fold(Effects::default(), Effects::union);
        let headers = config.headers.iter().filter_map(|(key, value)| {
            let said = Said::parse(&format!("headers.{key}"), value.written()).ok()?;
            Some((HeaderName::from_bytes(key.as_bytes()).ok()?, said))
        });
        let words: Vec<&str> = methods.iter().map(Method::as_str).collect();
        let about = config.description.clone().unwrap_or_else(|| {
            let hosts = config.allow.join(", ");
            format!("Makes an HTTP request ({}) to {hosts}.", words.join(", "))
        });
        let mut properties = json!({
            "url": { "type": "string", "description": "The whole URL, with its query." },
            "method": { "enum": words, "default": words[0] },
            "headers": { "type": "object", "additionalProperties": { "type": "string" } },
        });
        if methods.iter().any(has_body) {
            properties["body"] =
                json!({ "description": "A text, or a value that is sent as JSON." });
        }
        Self {
            signature: Signature {
                name: name.to_owned(),
                description: about,
                input_schema: json!({
                    "type": "object",
                    "properties": properties,
                    "required": ["url"],
                    "additionalProperties": false,
                }),
                output_schema: json!({
                    "type": "object",
                    "properties": {
                        "status": { "type": "integer" },
                        "headers": { "type": "object" },
                        "data": {},
                        "note": { "type": "string", "description": "What of the answer is missing." },
                    },
                    "required": ["status", "headers", "data"],
                }),
                effects: config.effects.unwrap_or(effects),
            },
            methods,
            headers: headers.collect(),
            egress,
            limits: config.limits(),
            room: config.room(),
        }
    }

    fn request(&self, input: Input) -> Result<Request, CallError> {
        let name = &self.signature.name;
        let url = Url::parse(&input.url)
            .map_err(|error| invalid(name, format!("`url` is no URL: {error}")))?;
        let verb = match &input.method {
            None => self.methods.first().cloned().unwrap_or_default(),
            Some(verb) => method(verb)
                .filter(|verb| self.methods.contains(verb))
                .ok_or_else(|| invalid(name, format!("`{verb}` is no method of this tool")))?,
        };
        let with_body = has_body(&verb);
        let mut request = Request::new(verb, url);
        let headers = request.headers_mut();
        for (key, said) in &self.headers {
            if let Some(value) = said.header(key.as_str(), &Values::new())? {
                headers.insert(key, value);
            }
        }
        if input.headers.len() > MOST_HEADERS {
            return Err(invalid(name, format!("more than {MOST_HEADERS} headers")));
        }
        for (key, value) in &input.headers {
            let header = HeaderName::from_bytes(key.as_bytes());
            let header = header.map_err(|_| invalid(name, format!("`{key}` is no header")))?;
            if !is_free(key) || headers.contains_key(&header) {
                let message = format!("the header `{key}` is set by the tool's file alone");
                return Err(invalid(name, message));
            }
            let value = HeaderValue::from_str(value)
                .map_err(|_| invalid(name, format!("`{key}` has a value that none may have")))?;
            headers.insert(header, value);
        }
        match input.body {
            None | Some(Value::Null) => {}
            Some(_) if !with_body => {
                return Err(invalid(name, format!("{} has no body", request.method())));
            }
            Some(body) => {
                let (kind, bytes) = match body {
                    Value::String(text) => ("text/plain; charset=utf-8", text.into_bytes()),
                    value => ("application/json", value.to_string().into_bytes()),
                };
                headers
                    .entry(CONTENT_TYPE)
                    .or_insert(HeaderValue::from_static(kind));
                *request.body_mut() = Some(bytes.into());
            }
        }
        Ok(request)
    }
}

/// Whether a method has a body.
fn has_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

#[async_trait]
impl Work for General {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let request = self.request(read(&self.signature.name, input)?)?;
        let answer = self.egress.send(request, &self.limits, cx).await?;
        // Any status is an answer here: who writes requests knows what they mean.
        let mut out = told(data(&answer)?, None, self.room, answer.cut);
        let headers = TOLD.iter().filter_map(|name| {
            let value = answer.header(*name)?;
            Some(((*name).to_owned(), json!(value)))
        });
        out["headers"] = Value::Object(headers.collect());
        out["status"] = json!(answer.status.as_u16());
        Ok(out)
    }
}
