//! The kind `http`: a request to a service as a function. `tools/NAME.http.toml` is one request with places for values,
//! or, with `request = true`, any request to a list of hosts.
//!
//! What a model gives fills places and is never structure: neither a host, nor a path, nor a field of a body. Left
//! out: services that describe themselves (`openapi`), and pages for people (`web`).

mod answer;
mod fixed;
mod general;
mod headers;
mod parameters;
pub(crate) mod template;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use praxis_core::{Effect, Effects, KeyReference, Period, Problem};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use self::fixed::Fixed;
use self::general::General;
use crate::deps::ToolDeps;
use crate::egress::{Egress, EgressConfig, Limits};
use crate::keep::{Keep, KeepConfig};
use crate::safety::PolicyConfig;
use crate::toolbox::{Made, Names, Tool};
use crate::work::tool;

pub(crate) use self::answer::{as_text, failed};
pub(crate) use self::headers::{Said, warnings};

/// The longest time and the largest answer that a file may ask for.
const LONGEST: Duration = Duration::from_secs(600);
const LARGEST: u64 = 32 << 20;

/// Tokens of an answer where the file does not say: what a prompt reads of one result.
const TOKENS: usize = 4000;
const MOST_TOKENS: usize = 200_000;

/// Methods that a file may name.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// A file of the kind `http`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What the function does; models choose by it.
    #[serde(default)]
    pub description: Option<String>,
    /// Where the request goes, with places such as `{city}` in its path and its query.
    #[serde(default)]
    pub url: Option<String>,
    /// The method; default: GET, or POST where there is a body.
    #[serde(default)]
    pub method: Option<String>,
    /// Values of the path that may have slashes, which many services take for further steps.
    #[serde(default)]
    pub slashes: Vec<String>,
    /// More parameters of the query: texts with places, or `env:NAME`.
    #[serde(default)]
    pub query: Map<String, Value>,
    /// Headers: texts with places, or `env:NAME`, also behind a word such as `Bearer env:NAME`.
    #[serde(default)]
    pub headers: BTreeMap<String, KeyReference>,
    /// A JSON body with places in its texts.
    #[serde(default)]
    pub body: Option<Value>,
    /// Fields of a body as HTML forms send it, instead of `body`.
    #[serde(default)]
    pub form: Map<String, Value>,
    /// What a call takes: a line for each value, or a JSON Schema.
    #[serde(default)]
    pub input: Option<Value>,
    /// JSON Schema of `data`, where it is known.
    #[serde(default)]
    pub output: Option<Value>,
    /// What is kept of an answer: a JSONPath, or several by name.
    #[serde(default)]
    pub keep: Option<KeepConfig>,
    /// What a call does to the world; default: what its method says.
    #[serde(default)]
    pub effects: Option<Effects>,
    /// Whether calls say method, URL, headers and body themselves, within `allow` and `methods`.
    #[serde(default)]
    pub request: bool,
    /// Methods of `request`; default: GET and HEAD.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Hosts: those of `request`, or more that redirects may lead to.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Whether these hosts may be at private addresses.
    #[serde(default)]
    pub allow_private: bool,
    /// The longest time until the whole answer is there.
    #[serde(default)]
    pub timeout: Option<Period>,
    /// The most bytes of an answer.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// Tokens of an answer that a caller gets at most.
    #[serde(default)]
    pub max_tokens: Option<usize>,
    /// What calls need before they are made.
    #[serde(default)]
    pub policy: PolicyConfig,
}

/// What is wrong at a key.
pub(crate) fn problem(path: &str, message: impl Into<String>, help: &str) -> Problem {
    Problem {
        path: path.to_owned(),
        message: message.into(),
        help: Some(help.to_owned()),
    }
}

impl Config {
    /// What is wrong with it, as far as the file alone tells.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut all = self.egress().problems("");
        all.extend(bounds(self.timeout, self.max_bytes));
        if self.max_tokens.is_some_and(|t| t == 0 || t > MOST_TOKENS) {
            let help = format!("write a number from 1 to {MOST_TOKENS}");
            all.push(problem("max_tokens", "`max_tokens` is out of range", &help));
        }
        if let Some(keep) = &self.keep
            && let Err(error) = Keep::compile(keep)
        {
            let help = "write a JSONPath (RFC 9535), such as \"$.items[*].name\"";
            all.push(problem("keep", error, help));
        }
        if let Some(output) = &self.output
            && let Err(error) = jsonschema::validator_for(output)
        {
            let message = format!("`output` is no JSON Schema: {error}");
            all.push(problem(
                "output",
                message,
                "leave it out where it is not known",
            ));
        }
        all.extend(self.headers_problems());
        match self.request {
            true => all.extend(self.general_problems()),
            false => all.extend(Fixed::plan(self).err()),
        }
        all
    }

    fn headers_problems(&self) -> Vec<Problem> {
        let wrong = self.headers.iter().filter_map(|(name, value)| {
            let (message, help) = headers::mistake(name, value)?;
            Some(problem(&format!("headers.{name}"), message, help))
        });
        wrong.collect()
    }

    fn general_problems(&self) -> Vec<Problem> {
        let mut all = Vec::new();
        if self.allow.is_empty() {
            let help = "list the hosts that may be asked: `allow = [\"api.example.org\"]`";
            all.push(problem("allow", "`request = true` needs `allow`", help));
        }
        for (key, there) in [
            ("url", self.url.is_some()),
            ("method", self.method.is_some()),
            ("query", !self.query.is_empty()),
            ("body", self.body.is_some()),
            ("form", !self.form.is_empty()),
            ("input", self.input.is_some()),
            ("output", self.output.is_some()),
            ("keep", self.keep.is_some()),
        ] {
            if there {
                let message =
                    format!("`{key}` says what each call of `request = true` says itself");
                let help = format!("leave out `{key}`, or `request`");
                all.push(problem(key, message, &help));
            }
        }
        for name in &self.methods {
            if method(name).is_none() {
                let help = format!("there are {}", METHODS.join(", "));
                all.push(problem("methods", format!("`{name}` is no method"), &help));
            }
        }
        let wide = self.allow.iter().any(|host| host.starts_with('*'));
        let secret = self
            .headers
            .iter()
            .find(|(_, value)| headers::is_secret(value));
        if let Some((name, _)) = secret.filter(|_| wide) {
            let message = format!("`{name}` is a secret, and goes to each host of `allow`");
            let help = "name the hosts, without `*`";
            all.push(problem("allow", message, help));
        }
        all
    }

    /// What may be asked: a request's own host and port, and what the file allows besides.
    fn egress(&self) -> EgressConfig {
        let own = self.url.as_deref().filter(|_| !self.request);
        let own = own.and_then(|url| template::Address::parse(url).ok());
        let own = own
            .as_ref()
            .and_then(|address| host_and_port(address.base()));
        EgressConfig {
            allow: own.into_iter().chain(self.allow.iter().cloned()).collect(),
            allow_private: self.allow_private,
        }
    }

    fn limits(&self) -> Limits {
        limits(self.timeout, self.max_bytes)
    }

    /// Tokens of an answer.
    fn room(&self) -> usize {
        self.max_tokens.unwrap_or(TOKENS)
    }
}

/// Host and port of a URL, as a list of hosts has them.
pub(crate) fn host_and_port(url: &url::Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// Bounds of a file that are out of range.
pub(crate) fn bounds(timeout: Option<Period>, max_bytes: Option<u64>) -> Vec<Problem> {
    let mut all = Vec::new();
    if timeout.is_some_and(|t| t.0 > LONGEST) {
        all.push(problem(
            "timeout",
            "`timeout` is too long",
            "10m is the longest",
        ));
    }
    if max_bytes.is_some_and(|bytes| bytes == 0 || bytes > LARGEST) {
        let help = format!("write a number from 1 to {LARGEST}");
        all.push(problem("max_bytes", "`max_bytes` is out of range", &help));
    }
    all
}

/// Bounds of a request, those of a file where it has some.
pub(crate) fn limits(timeout: Option<Period>, max_bytes: Option<u64>) -> Limits {
    let usual = Limits::default();
    Limits {
        bytes: max_bytes.unwrap_or(usual.bytes),
        time: timeout.map_or(usual.time, |t| t.0),
        ..usual
    }
}

/// A method by its name.
fn method(name: &str) -> Option<Method> {
    let name = name.to_ascii_uppercase();
    METHODS
        .contains(&name.as_str())
        .then(|| Method::from_bytes(name.as_bytes()).ok())
        .flatten()
}

/// What a method does to the world (RFC 9110, "Safe methods"): what it is given leaves this machine in any case.
fn effects_of(method: &Method) -> Effects {
    match *method {
        Method::GET | Method::HEAD => Effects::of(&[Effect::Read, Effect::External]),
        Method::DELETE => Effects::of(&[Effect::Write, Effect::External, Effect::Irreversible]),
        _ => Effects::of(&[Effect::Write, Effect::External]),
    }
}

/// The function of a file.
///
/// # Errors
/// What is wrong with the file.
pub(crate) async fn make(name: &str, config: &Config, _: &ToolDeps) -> Result<Made, Problem> {
    let egress = Egress::new(&config.egress())?;
    let function = match config.request {
        true => tool(General::new(name, config, egress))?,
        false => tool(Fixed::new(name, config, egress)?)?,
    };
    let query = config.query.iter().filter_map(|(key, value)| {
        let text = value.as_str()?;
        Some((format!("query.{key}"), KeyReference::new(text)))
    });
    let headers = config.headers.iter();
    let headers = headers.map(|(key, value)| (format!("headers.{key}"), value.clone()));
    Ok(Made {
        tools: vec![Tool {
            function,
            outside: true,
        }],
        warnings: warnings(query.chain(headers)),
    })
}

/// The name of the function of a file.
pub(crate) fn names(name: &str, _: &Config, _: &Path, _: &Path) -> Names {
    Names::Known(vec![name.to_owned()])
}

#[cfg(test)]
mod tests;
