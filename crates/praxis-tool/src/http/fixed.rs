//! One request with places for values. Left out: requests that a caller writes itself (`general`).

use std::collections::BTreeSet;

use async_trait::async_trait;
use praxis_core::{CallContext, CallError, Effects, Problem, Signature};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::answer::{data, failed, told};
use super::headers::Said;
use super::parameters::Parameters;
use super::template::{Address, Body, Template, Values};
use super::{Config, METHODS, effects_of, method, problem};
use crate::egress::{Egress, Limits};
use crate::keep::Keep;
use crate::work::{Work, invalid};

/// What answers may be in, best first.
const ACCEPTED: &str = "application/json, text/plain;q=0.9, */*;q=0.5";

/// A function of a request.
pub(super) struct Fixed {
    signature: Signature,
    plan: Plan,
    keep: Option<Keep>,
    egress: Egress,
    limits: Limits,
    room: usize,
}

/// A file that has been read.
pub(super) struct Plan {
    method: Method,
    address: Address,
    query: Vec<(String, Said)>,
    headers: Vec<(HeaderName, Said)>,
    payload: Option<Payload>,
    parameters: Parameters,
    effects: Effects,
}

/// A body.
enum Payload {
    Json(Body),
    Form(Vec<(String, Template)>),
}

impl Payload {
    fn names(&self) -> Vec<&str> {
        match self {
            Self::Json(body) => body.names(),
            Self::Form(fields) => fields.iter().flat_map(|(_, t)| t.names()).collect(),
        }
    }

    fn filled(&self, values: &Values) -> (&'static str, Vec<u8>) {
        match self {
            Self::Json(body) => {
                let body = body.fill(values).unwrap_or(Value::Null);
                ("application/json", body.to_string().into_bytes())
            }
            Self::Form(fields) => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                for (key, template) in fields {
                    for value in template.texts(values) {
                        form.append_pair(key, &value);
                    }
                }
                let body = form.finish().into_bytes();
                ("application/x-www-form-urlencoded", body)
            }
        }
    }
}

/// A value of a table that is written in a text.
fn line(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

impl Fixed {
    /// Reads a file.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn plan(config: &Config) -> Result<Plan, Problem> {
        let Some(url) = &config.url else {
            let help =
                "write where the request goes: `url = \"https://api.example.org/v1/{city}\"`";
            return Err(problem("url", "there is no `url`", help));
        };
        let address = Address::parse(url)
            .map_err(|error| problem("url", error, "values have places such as {city}"))?
            .with_slashes(&config.slashes);
        let is_there = |name: &String| address.in_path().any(|other| other == name);
        if let Some(name) = config.slashes.iter().find(|name| !is_there(name)) {
            let message = format!("`{name}` has no place in the path of `url`");
            return Err(problem("slashes", message, "name values of the path"));
        }
        let payload = payload(config)?;
        let method = match &config.method {
            None if payload.is_some() => Method::POST,
            None => Method::GET,
            Some(name) => method(name).ok_or_else(|| {
                let help = format!("there are {}", METHODS.join(", "));
                problem("method", format!("`{name}` is no method"), &help)
            })?,
        };
        if payload.is_some() && matches!(method, Method::GET | Method::HEAD) {
            let message = format!("{method} has no body");
            return Err(problem("method", message, "write `method = \"POST\"`"));
        }
        if !config.methods.is_empty() {
            let message = "`methods` is for `request = true`";
            return Err(problem("methods", message, "write `method`"));
        }
        let mut query = Vec::new();
        for (key, value) in &config.query {
            let path = format!("query.{key}");
            let help = "write a text with {places}, a number, or \"env:NAME\"";
            let text =
                line(value).ok_or_else(|| problem(&path, format!("`{key}` is no text"), help))?;
            let said = Said::parse(&path, &text).map_err(|e| problem(&path, e, help))?;
            query.push((key.clone(), said));
        }
        let mut headers = Vec::new();
        for (key, value) in &config.headers {
            let path = format!("headers.{key}");
            let said = Said::parse(&path, value.written());
            let said = said.map_err(|e| problem(&path, e, "write a text with {places}"))?;
            let name = HeaderName::from_bytes(key.as_bytes())
                .map_err(|_| problem(&path, format!("`{key}` is no header"), "mend it"))?;
            headers.push((name, said));
        }
        let parameters = Parameters::parse(config.input.as_ref()).map_err(|error| {
            let help = "write a line for each value: `city = \"string, the city's name\"`";
            problem("input", error, help)
        })?;
        let plan = Plan {
            effects: config.effects.unwrap_or_else(|| effects_of(&method)),
            method,
            address,
            query,
            headers,
            payload,
            parameters,
        };
        plan.check_names()?;
        Ok(plan)
    }

    /// The function of a file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn new(name: &str, config: &Config, egress: Egress) -> Result<Self, Problem> {
        let plan = Self::plan(config)?;
        let keep = config.keep.as_ref().map(Keep::compile).transpose();
        let keep = keep.map_err(|error| problem("keep", error, "write a JSONPath"))?;
        // Services do not always say what they should, and a long answer is cut.
        let data = match &config.output {
            Some(output) => json!({ "anyOf": [output, { "description": "what else it says" }] }),
            None => json!({}),
        };
        let host = plan.address.base().host_str().unwrap_or_default();
        let about = config.description.clone();
        let about = about.unwrap_or_else(|| format!("Asks {host} ({}).", plan.method));
        Ok(Self {
            signature: Signature {
                name: name.to_owned(),
                description: about,
                input_schema: plan.parameters.schema.clone(),
                output_schema: json!({
                    "type": "object",
                    "properties": {
                        "data": data,
                        "note": { "type": "string", "description": "What of the answer is missing." },
                    },
                    "required": ["data"],
                }),
                effects: plan.effects,
            },
            keep,
            egress,
            limits: config.limits(),
            room: config.room(),
            plan,
        })
    }
}

/// The body of a file.
fn payload(config: &Config) -> Result<Option<Payload>, Problem> {
    if config.body.is_some() && !config.form.is_empty() {
        let help = "leave out one of them";
        return Err(problem("form", "there are both `body` and `form`", help));
    }
    if let Some(body) = &config.body {
        let body = Body::parse(body).map_err(|error| {
            problem(
                "body",
                error,
                "write JSON with {places} in its texts, and dates in quotes",
            )
        })?;
        return Ok(Some(Payload::Json(body)));
    }
    let mut fields = Vec::new();
    for (key, value) in &config.form {
        let path = format!("form.{key}");
        let help = "write a text with {places}, or a number";
        let text =
            line(value).ok_or_else(|| problem(&path, format!("`{key}` is no text"), help))?;
        let template = Template::parse(&text).map_err(|e| problem(&path, e, help))?;
        fields.push((key.clone(), template));
    }
    Ok((!fields.is_empty()).then_some(Payload::Form(fields)))
}

impl Plan {
    /// Whether each place has its value, and each value its place.
    fn check_names(&self) -> Result<(), Problem> {
        let known: BTreeSet<&str> = self.parameters.names().collect();
        let of_query = self.query.iter().flat_map(|(_, said)| said.names());
        let of_headers = self.headers.iter().flat_map(|(_, said)| said.names());
        let of_body = self.payload.iter().flat_map(Payload::names);
        let places = [
            ("url", self.address.in_path().collect::<Vec<_>>()),
            ("url", self.address.in_query().collect()),
            ("query", of_query.collect()),
            ("headers", of_headers.collect()),
            ("body", of_body.collect()),
        ];
        let mut used = BTreeSet::new();
        for (path, names) in &places {
            for name in names {
                if !known.contains(name) {
                    let message = format!("`{{{name}}}` has no value");
                    let help = format!("say what it is: `{name} = \"string\"` under `[input]`");
                    return Err(problem(path, message, &help));
                }
                used.insert(*name);
            }
        }
        if let Some(name) = self
            .address
            .in_path()
            .find(|n| !self.parameters.is_always_there(n))
        {
            let message = format!("`{name}` may be left out, and the path needs it");
            return Err(problem(
                "input",
                message,
                "make it required, or give it a `default`",
            ));
        }
        if let Some(name) = known.difference(&used).next() {
            let message = format!("`{name}` goes nowhere");
            let help = format!("write `{{{name}}}` where it belongs, or leave it out");
            return Err(problem("input", message, &help));
        }
        Ok(())
    }

    /// The request of a call.
    ///
    /// # Errors
    /// A value that cannot stand where it would, or a secret that is not there.
    fn request(&self, name: &str, input: &Value) -> Result<Request, CallError> {
        let values = self.parameters.values(input);
        let url = self.address.fill(&values);
        let mut url = url.map_err(|error| invalid(name, error))?;
        for (key, said) in &self.query {
            for value in said.texts(&values)? {
                url.query_pairs_mut().append_pair(key, &value);
            }
        }
        let mut request = Request::new(self.method.clone(), url);
        for (header, said) in &self.headers {
            if let Some(value) = said.header(header.as_str(), &values)? {
                request.headers_mut().insert(header, value);
            }
        }
        let headers = request.headers_mut();
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static(ACCEPTED));
        if let Some(payload) = &self.payload {
            let (kind, body) = payload.filled(&values);
            headers
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static(kind));
            *request.body_mut() = Some(body.into());
        }
        Ok(request)
    }
}

#[async_trait]
impl Work for Fixed {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let request = self.plan.request(&self.signature.name, &input)?;
        let answer = self.egress.send(request, &self.limits, cx).await?;
        if let Some(error) = failed(&answer) {
            return Err(error);
        }
        let data = data(&answer)?;
        Ok(told(data, self.keep.as_ref(), self.room, answer.cut))
    }
}
