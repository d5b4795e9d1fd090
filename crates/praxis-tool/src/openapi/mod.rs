//! Plugins: operations of a service that an OpenAPI document describes, as functions.
//!
//! A file `tools/NAME.openapi.toml` names the document, chooses operations and says what the service knows its caller
//! by (`config`). The document is found (`load`), read without trust (`document`) and its operations chosen
//! (`choose`); a call makes a request of its input (`request`, `style`, `reach`), gives it credentials (`auth`,
//! `tokens`), sends it (`function`) and cuts the answer to what is wanted (`answer`, `keep`, `trim`).
//!
//! A document is a stranger's text. Its servers are all that may be reached, its descriptions are cut and cleaned, and
//! an operation that cannot be read is left out with a warning and costs nothing else. Left out: version 2 of OpenAPI
//! (Swagger), documents in several files, callbacks and webhooks, and log-ins of persons.

mod answer;
mod auth;
mod choose;
mod config;
mod document;
mod function;
mod load;
mod reach;
mod request;
mod style;
mod tokens;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use praxis_core::{Problem, Signature};
use reqwest::Url;
use serde_json::Value;

use self::auth::{Around, Credentials, Environment};
use self::choose::{choose, names_without_document};
use self::config::{OperationConfig, is_url, problem};
use self::document::{Described, Setting, read};
use self::function::{Call, Service, effects};
use self::load::{Loaded, Missing, load, load_here};
use self::request::Place;
use crate::deps::ToolDeps;
use crate::egress::{Egress, EgressConfig};
use crate::keep::Keep;
use crate::toolbox::{Looked, Made, Names, Tool};
use crate::work::tool;

pub(crate) use self::config::Config;

/// Reasons for which operations are left out that are told one by one, and operations that are named with each.
const SHOWN: usize = 8;
const NAMED: usize = 4;

/// Characters of the examples in a description.
const LONGEST_EXAMPLE: usize = 400;

/// The functions of the file `name`.
///
/// # Errors
/// What the file has wrong. A service that is away is a warning, with the functions of the last copy of its document.
pub(crate) async fn make(name: &str, config: &Config, deps: &ToolDeps) -> Result<Made, Problem> {
    let environment = |variable: &str| std::env::var(variable).ok();
    make_in(name, config, &deps.root, &deps.state, &environment).await
}

/// The same, in this environment.
async fn make_in(
    name: &str,
    config: &Config,
    root: &Path,
    state: &Path,
    environment: Environment<'_>,
) -> Result<Made, Problem> {
    let loaded = match load(config, root, state).await {
        Ok(loaded) => loaded,
        Err(Missing::Mistake(problem)) => return Err(problem),
        Err(Missing::Away(warning)) => {
            return Ok(Made {
                tools: Vec::new(),
                warnings: vec![warning],
            });
        }
    };
    let (file, settings) = (name.to_owned(), config.clone());
    let planned = tokio::task::spawn_blocking(move || {
        let plan = plan(&file, &settings, &loaded);
        (loaded, plan)
    });
    let planned = planned.await.map_err(|_| {
        let help = "leave out operations until it can be, and report the document";
        problem("document", "the document could not be read", help)
    });
    let (loaded, plan) = planned?;
    let mut plan = plan?;
    let mut warnings = loaded.warnings;
    warnings.append(&mut plan.warnings);
    if plan.functions.is_empty() {
        let tools = Vec::new();
        return Ok(Made { tools, warnings });
    }
    let around = Around {
        document: &loaded.document,
        base: loaded.base.as_ref(),
        server: config.server.as_deref(),
        allow_private: config.allow_private,
        environment,
    };
    let credentials = match &config.auth {
        Some(auth) => Some(Credentials::new(auth, plan.filled, &around)?),
        None => None,
    };
    warnings.extend(credentials.iter().flat_map(Credentials::missing));
    let service = service(config, &plan.functions, credentials, &mut warnings)?;
    let mut tools = Vec::new();
    let mut failed = Vec::new();
    for planned in plan.functions {
        let shown = planned.shown.clone();
        match planned.function(config, &service, &mut warnings) {
            Ok(tool) => tools.push(tool),
            Err(why) => failed.push((shown, Why::from(why))),
        }
    }
    warnings.append(&mut left_out(failed));
    Ok(Made { tools, warnings })
}

/// Names of the functions of the file `name`, and what is wrong with a document that is a file, without asking anybody.
pub(crate) fn names(name: &str, config: &Config, root: &Path, state: &Path) -> Looked {
    let is_away = is_url(&config.document);
    let named = names_without_document(name, config).map(Names::Known);
    if let (true, Some(named)) = (is_away, &named) {
        return named.clone().into();
    }
    let (here, mistake) = match load_here(config, root, state) {
        Ok(here) => (here, None),
        Err(mistake) => (None, (!is_away).then_some(mistake)),
    };
    let names = named.unwrap_or_else(|| match here {
        Some(document) => {
            let (chosen, _) = choose(name, config, &document);
            Names::Known(chosen.into_iter().map(|chosen| chosen.name).collect())
        }
        None if is_away => Names::Below(format!("{name}/")),
        None => Names::Known(Vec::new()),
    });
    Looked { names, mistake }
}

/// What becomes of a document.
struct Plan {
    functions: Vec<Planned>,
    /// The parameter that a key fills.
    filled: Option<(Place, String)>,
    warnings: Vec<Problem>,
}

/// A function before it has credentials.
struct Planned {
    name: String,
    /// The operation, as a person knows it.
    shown: String,
    described: Described,
    settings: Option<OperationConfig>,
}

fn plan(file: &str, config: &Config, loaded: &Loaded) -> Result<Plan, Problem> {
    let filled = auth::filled(config.auth.as_ref(), &loaded.document)?;
    let (chosen, mut warnings) = choose(file, config, &loaded.document);
    let setting = Setting {
        server: config.server.as_deref(),
        variables: &config.variables,
        base: loaded.base.as_ref(),
        filled: filled.as_ref(),
    };
    let (mut functions, mut failed) = (Vec::new(), Vec::new());
    for chosen in chosen {
        let shown = chosen.listed.label();
        let described = read(&loaded.document, chosen.listed, &setting);
        let described = described.map_err(Why::from).and_then(|described| {
            may_send(config, loaded.base.as_ref(), &described)?;
            Ok(described)
        });
        match described {
            Ok(described) => functions.push(Planned {
                name: chosen.name,
                shown,
                described,
                settings: chosen.settings.cloned(),
            }),
            Err(why) => failed.push((shown, why)),
        }
    }
    warnings.append(&mut left_out(failed));
    warnings.extend(credentials_missing(config, loaded, &functions));
    Ok(Plan {
        functions,
        filled,
        warnings,
    })
}

/// Whether the credentials of a file may be sent where an operation goes. A document from a URL sends them to its own
/// host, or where the file says; and nobody sends them in the clear, but in a network of his own.
fn may_send(config: &Config, base: Option<&Url>, described: &Described) -> Result<(), Why> {
    let server = &described.operation.server;
    if config.auth.is_none() || !described.operation.secured {
        return Ok(());
    }
    if server.scheme() == "http" && !config.allow_private {
        return Err(Why {
            key: "auth",
            wrong: format!(
                "the credentials of `[auth]` would be sent to `{server}` in the clear: write `server = \
                 \"https://...\"`"
            ),
            help: "or `allow_private = true`, if the service is in a network of your own"
                .to_owned(),
        });
    }
    match base {
        Some(base) if config.server.is_none() && base.host_str() != server.host_str() => Err(Why {
            key: "auth",
            wrong: format!(
                "the document would have the credentials of `[auth]` sent to `{server}`: write `server = \
                     \"{server}\"` if that is meant"
            ),
            help: format!(
                "or `server = \"{}\"`, if the service is where its document is",
                beside(base, server)
            ),
        }),
        _ => Ok(()),
    }
}

/// A server's address at the host that a document is from.
fn beside(base: &Url, server: &Url) -> Url {
    let mut url = base.clone();
    url.set_path(server.path());
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// That the service wants credentials, and the file has none of that kind.
fn credentials_missing(config: &Config, loaded: &Loaded, functions: &[Planned]) -> Option<Problem> {
    let wants = loaded.manifest.as_ref().and_then(|manifest| manifest.wants);
    let locked = functions.iter().find(|planned| planned.described.locked);
    if config.auth.is_some() || wants.is_none() && locked.is_none() {
        return None;
    }
    let message = match (wants, locked) {
        (Some(wants), _) => {
            format!("the manifest says that the service wants credentials ({wants})")
        }
        (None, Some(planned)) => {
            format!("the document says that {} needs credentials", planned.shown)
        }
        (None, None) => return None,
    };
    let kind = wants.unwrap_or("bearer");
    let help =
        format!("give it some: `[auth]` with `kind = \"{kind}\"`, `key`, `basic` or `oauth2`");
    Some(problem("auth", &message, &help))
}

/// Why an operation is left out.
#[derive(PartialEq, Eq)]
struct Why {
    /// The key of the file that is to be looked at.
    key: &'static str,
    wrong: String,
    help: String,
}

impl From<String> for Why {
    fn from(wrong: String) -> Self {
        Self {
            key: "operations",
            wrong,
            help: "take it out of `operations`, or mend the document".to_owned(),
        }
    }
}

/// That operations are left out, and why: together where it is for one reason, a few reasons one by one, the rest as a
/// number.
fn left_out(failed: Vec<(String, Why)>) -> Vec<Problem> {
    let mut reasons: Vec<(Why, Vec<String>)> = Vec::new();
    for (shown, why) in failed {
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, operations)) => operations.push(shown),
            None => reasons.push((why, vec![shown])),
        }
    }
    let rest = reasons.split_off(reasons.len().min(SHOWN));
    let one = |(why, operations): (Why, Vec<String>)| {
        let what = match operations.as_slice() {
            [one] => format!("{one} is left out"),
            all => {
                let more = if all.len() > NAMED { ", ..." } else { "" };
                let named: Vec<&str> = all.iter().take(NAMED).map(String::as_str).collect();
                let named = named.join(", ");
                format!("{} operations are left out ({named}{more})", all.len())
            }
        };
        problem(why.key, &format!("{what}: {}", why.wrong), &why.help)
    };
    let mut all: Vec<Problem> = reasons.into_iter().map(one).collect();
    let more: usize = rest.iter().map(|(_, operations)| operations.len()).sum();
    if more > 0 {
        let message = format!("{more} more operations are left out, for other reasons");
        let help = "mend the first ones: the rest is mostly alike";
        all.push(problem("operations", &message, help));
    }
    all
}

/// What the functions of a file share. It reaches the hosts of their servers and no others.
fn service(
    config: &Config,
    functions: &[Planned],
    credentials: Option<Credentials>,
    warnings: &mut Vec<Problem>,
) -> Result<Arc<Service>, Problem> {
    let servers: BTreeSet<&Url> = functions
        .iter()
        .map(|p| &p.described.operation.server)
        .collect();
    let hosts: BTreeSet<String> = servers.iter().map(|server| host(server)).collect();
    let egress = Egress::new(&EgressConfig {
        allow: hosts.into_iter().collect(),
        allow_private: config.allow_private,
    })?;
    for server in servers.into_iter().take(SHOWN) {
        if let Err(error) = egress.check(server) {
            let message = format!("`{server}` will not be reached: {}", error.message);
            let help = error
                .hint
                .unwrap_or_else(|| "write another `server`".to_owned());
            warnings.push(problem("server", &message, &help));
        }
    }
    Ok(Arc::new(Service {
        egress,
        credentials,
        longest: config.longest(),
    }))
}

/// The host of a URL as `egress` wants it, with its port where that is not the usual one.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

impl Planned {
    /// The function.
    ///
    /// # Errors
    /// Why it cannot be one.
    fn function(
        self,
        config: &Config,
        service: &Arc<Service>,
        warnings: &mut Vec<Problem>,
    ) -> Result<Tool, String> {
        let settings = self.settings.as_ref();
        let keep = settings.and_then(|settings| settings.keep.as_ref());
        let keep = keep.map(Keep::compile).transpose()?;
        let Described {
            operation,
            description,
            input_schema,
            output,
            ..
        } = self.described;
        let validator = jsonschema::validator_for(&input_schema)
            .map_err(|error| format!("what it takes is no JSON Schema: {error}"))?;
        let examples = settings.map(|s| s.examples.as_slice()).unwrap_or_default();
        let (examples, wrong): (Vec<&Value>, Vec<&Value>) = examples
            .iter()
            .partition(|example| validator.is_valid(example));
        for example in wrong {
            let message = format!("`{}` does not take its example {example}", self.name);
            let help = "correct it: models follow examples, and it is left out until then";
            warnings.push(problem("operation", &message, help));
        }
        let own = settings.and_then(|settings| settings.description.clone());
        let mut output_schema = answer::schema(output, keep.is_some());
        if jsonschema::validator_for(&output_schema).is_err() {
            output_schema = answer::schema(Value::Object(serde_json::Map::new()), true);
        }
        let signature = Signature {
            name: self.name,
            description: with_examples(own.unwrap_or(description), &examples),
            input_schema,
            output_schema,
            effects: effects(&operation.method),
        };
        let call = Call {
            signature,
            operation,
            service: Arc::clone(service),
            keep,
            room: config.room(settings),
        };
        let function = tool(call).map_err(|problem| problem.message)?;
        Ok(Tool {
            function,
            outside: true,
        })
    }
}

/// A description with examples behind it, as far as there is room.
fn with_examples(description: String, examples: &[&Value]) -> String {
    let mut whole = description;
    let mut room = LONGEST_EXAMPLE;
    for (i, example) in examples.iter().enumerate() {
        let text = example.to_string();
        let Some(left) = room.checked_sub(text.chars().count()) else {
            break;
        };
        room = left;
        whole.push_str(if i == 0 { " Examples: " } else { "; " });
        whole.push_str(&text);
    }
    whole
}

#[cfg(test)]
mod tests;
