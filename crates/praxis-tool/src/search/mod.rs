//! The kind `search`: a search of the web as a tool. `tools/NAME.search.toml` makes the function `NAME`, over a service
//! that answers in JSON, or over a folder of the application without any network.
//!
//! Left out: reading what was found, which `NAME/page` of the kind `web` does.

mod dialect;
pub(crate) mod index;
mod local;
mod remote;

use std::path::Path;

use async_trait::async_trait;
use praxis_core::{
    CallContext, CallError, Effect, Effects, KeyReference, Period, Problem, Signature,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::dialect::Dialect;
use self::local::Local;
use self::remote::Service;
use crate::deps::ToolDeps;
use crate::egress::{Egress, EgressConfig, Limits};
use crate::http::{bounds, host_and_port, limits, problem, warnings};
use crate::safety::PolicyConfig;
use crate::toolbox::{Made, Names, Tool};
use crate::web::{Corpus, CorpusConfig};
use crate::work::{Work, invalid, read, tool};

/// Results of a search where nobody says how many, and the most.
const COUNT: usize = 5;
const MOST: usize = 20;

/// Characters of a question.
const LONGEST_QUESTION: usize = 400;

/// The engines that are no services.
const LOCAL: &str = "local";
const CUSTOM: &str = "custom";

/// A file of the kind `search`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What the function does; models choose by it.
    #[serde(default)]
    pub description: Option<String>,
    /// `local`, the name of a service, or `custom`.
    pub engine: String,
    /// Where the service is; default: its own address.
    #[serde(default)]
    pub url: Option<String>,
    /// The service's key, as `env:NAME`.
    #[serde(default)]
    pub key: Option<KeyReference>,
    /// More parameters of the query that the service takes, such as `cx` and `language`.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// How a `custom` service is asked, and where its results are.
    #[serde(default)]
    pub dialect: Option<Dialect>,
    /// Results where a call does not say how many.
    #[serde(default)]
    pub count: Option<usize>,
    /// The folder of `local`.
    #[serde(default)]
    pub folder: Option<String>,
    /// What URLs of its pages begin with.
    #[serde(default)]
    pub base: Option<String>,
    /// Whether the service may be at a private address.
    #[serde(default)]
    pub allow_private: bool,
    /// The longest time until an answer is there.
    #[serde(default)]
    pub timeout: Option<Period>,
    /// What calls need before they are made.
    #[serde(default)]
    pub policy: PolicyConfig,
}

/// A result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Found {
    title: String,
    url: String,
    snippet: String,
}

impl Config {
    /// What is wrong with it, as far as the file alone tells.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut all = bounds(self.timeout, None);
        if self.count.is_some_and(|count| count == 0 || count > MOST) {
            let help = format!("write a number from 1 to {MOST}");
            all.push(problem("count", "`count` is out of range", &help));
        }
        if self.engine == LOCAL {
            all.extend(self.local_problems());
        } else {
            all.extend(self.service().err());
            for (key, there) in [
                ("folder", self.folder.is_some()),
                ("base", self.base.is_some()),
            ] {
                if there {
                    let message = format!("`{key}` is for `engine = \"local\"`");
                    all.push(problem(key, message, "leave it out"));
                }
            }
        }
        all
    }

    fn local_problems(&self) -> Vec<Problem> {
        let mut all = match self.corpus() {
            Some(corpus) => corpus.problems(""),
            None => {
                let help = "name a folder of the application: `folder = \"pages\"`";
                vec![problem(
                    "folder",
                    "`engine = \"local\"` needs a `folder`",
                    help,
                )]
            }
        };
        for (key, there) in [
            ("url", self.url.is_some()),
            ("key", self.key.is_some()),
            ("parameters", !self.parameters.is_empty()),
            ("dialect", self.dialect.is_some()),
        ] {
            if there {
                let message = format!("`{key}` is for services, and `local` asks none");
                all.push(problem(key, message, "leave it out"));
            }
        }
        all
    }

    fn corpus(&self) -> Option<CorpusConfig> {
        Some(CorpusConfig {
            folder: self.folder.clone()?,
            base: self.base.clone(),
        })
    }

    /// The service of the file.
    fn service(&self) -> Result<Service, Problem> {
        let mut dialect = match (self.engine.as_str(), &self.dialect) {
            (CUSTOM, Some(dialect)) => dialect.clone(),
            (CUSTOM, None) => {
                let help = "write a table `[dialect]` with `url`, `query`, `results` and `link`";
                return Err(problem("dialect", "`custom` needs a `dialect`", help));
            }
            (_, Some(_)) => {
                let help = "write `engine = \"custom\"`, or leave out `dialect`";
                return Err(problem("dialect", "`dialect` is for `custom`", help));
            }
            (name, None) => dialect::named(name).ok_or_else(|| {
                let known: Vec<&str> = dialect::names().collect();
                let help = format!("there are {LOCAL}, {}, and {CUSTOM}", known.join(", "));
                problem("engine", format!("there is no engine `{name}`"), &help)
            })?,
        };
        if let Some(url) = &self.url {
            dialect.url.clone_from(url);
        }
        for (name, value) in &self.parameters {
            // What a file says itself has no places.
            let value = match value {
                Value::String(text) => Value::from(text.replace('{', "{{").replace('}', "}}")),
                other => other.clone(),
            };
            dialect.query.insert(name.clone(), value);
        }
        if dialect.url.is_empty() {
            let help = "write where it is: `url = \"https://search.example.org/search\"`";
            return Err(problem("url", "the service has no `url`", help));
        }
        Service::new(&dialect, self.key.as_ref()).map_err(|(path, message)| {
            let help = match path.as_str() {
                "key" => "write `key = \"env:NAME\"`, as the service asks for one or not",
                _ => "look at the examples of docs/tools-web.md",
            };
            problem(&path, message, help)
        })
    }

    /// The service's own host and port.
    fn egress(&self) -> EgressConfig {
        let of_dialect = self.dialect.as_ref().map(|d| d.url.clone());
        let of_table = || Some(dialect::named(&self.engine)?.url);
        let url = self.url.clone().or(of_dialect).or_else(of_table);
        let url = url.and_then(|url| url::Url::parse(&url).ok());
        EgressConfig {
            allow: url.as_ref().and_then(host_and_port).into_iter().collect(),
            allow_private: self.allow_private,
        }
    }
}

/// Where results come from.
enum Engine {
    Local(Local),
    Service {
        service: Box<Service>,
        egress: Egress,
        limits: Limits,
    },
}

/// A function that searches.
struct Search {
    signature: Signature,
    engine: Engine,
    count: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    query: String,
    #[serde(default)]
    count: Option<usize>,
}

impl Search {
    fn new(name: &str, config: &Config, engine: Engine) -> Self {
        let (about, effects) = match &engine {
            Engine::Local(_) => (
                "Searches a collection of pages for words; gives titles, URLs and snippets.",
                Effects::READ,
            ),
            Engine::Service { .. } => (
                "Searches the web for words; gives titles, URLs and snippets.",
                Effects::of(&[Effect::Read, Effect::External]),
            ),
        };
        let result = json!({
            "type": "object",
            "properties": {
                "title": { "type": "string" },
                "url": { "type": "string" },
                "snippet": { "type": "string" },
            },
            "required": ["title", "url", "snippet"],
        });
        Self {
            signature: Signature {
                name: name.to_owned(),
                description: config
                    .description
                    .clone()
                    .unwrap_or_else(|| about.to_owned()),
                input_schema: json!({
                    "type": "object",
                    "properties": {
                        "query": { "type": "string", "minLength": 1, "maxLength": LONGEST_QUESTION },
                        "count": { "type": "integer", "minimum": 1, "maximum": MOST },
                    },
                    "required": ["query"],
                    "additionalProperties": false,
                }),
                output_schema: json!({
                    "type": "object",
                    "properties": { "results": { "type": "array", "items": result } },
                    "required": ["results"],
                }),
                effects,
            },
            engine,
            count: config.count.unwrap_or(COUNT),
        }
    }
}

#[async_trait]
impl Work for Search {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let name = &self.signature.name;
        let input: Input = read(name, input)?;
        let question = input.query.trim();
        if question.is_empty() {
            return Err(invalid(name, "`query` is empty"));
        }
        let count = input.count.unwrap_or(self.count).clamp(1, MOST);
        let results = match &self.engine {
            Engine::Local(local) => local.search(question, count),
            Engine::Service {
                service,
                egress,
                limits,
            } => {
                service
                    .search(egress, limits, (question, count), cx)
                    .await?
            }
        };
        Ok(json!({ "results": results }))
    }
}

/// The function of a file.
///
/// # Errors
/// What is wrong with the file.
pub(crate) async fn make(name: &str, config: &Config, deps: &ToolDeps) -> Result<Made, Problem> {
    let (engine, found) = match config.corpus().filter(|_| config.engine == LOCAL) {
        Some(corpus) => {
            let corpus = Corpus::open(&deps.root, &corpus)?;
            let (local, found) = Local::open(&corpus).await;
            (Engine::Local(local), found)
        }
        None => {
            let engine = Engine::Service {
                service: Box::new(config.service()?),
                egress: Egress::new(&config.egress())?,
                limits: limits(config.timeout, None),
            };
            let key = config.key.iter().map(|key| ("key".to_owned(), key.clone()));
            (engine, warnings(key))
        }
    };
    Ok(Made {
        tools: vec![Tool {
            function: tool(Search::new(name, config, engine))?,
            outside: true,
        }],
        warnings: found,
    })
}

/// The name of the function of a file.
pub(crate) fn names(name: &str, _: &Config, _: &Path, _: &Path) -> Names {
    Names::Known(vec![name.to_owned()])
}

#[cfg(test)]
mod tests;
