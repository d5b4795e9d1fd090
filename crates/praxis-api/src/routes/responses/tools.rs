//! Tools of a request: functions of the client's, and those that are built in. Left out: what becomes of their calls.

use praxis_core::tool::no_parameters;
use praxis_core::{ToolChoice, ToolSpec};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::responses::interpreter::{self, Container};
use crate::responses::search::{self, FileSearch};
use crate::routes::vector_stores::search::Search;

/// Tools of a request, at most.
const MOST_TOOLS: usize = 128;

/// Vector stores of a search, at most.
const MOST_STORES: usize = 8;

/// Files of a container, at most.
const MOST_FILES: usize = 16;

/// The memory that OpenAI's containers have where nothing is said; what there is here says the tool's file.
const MEMORY: &str = "1g";

/// Reads a tool at a place of the request.
type Read = fn(&Value, &str, &mut Offered) -> Result<(), ApiError>;

/// The types of tools that there are, each with what reads it.
const TYPES: &[(&str, Read)] = &[
    ("function", function),
    (search::TOOL, file_search),
    (interpreter::TOOL, code_interpreter),
];

/// What a request offers.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Offered {
    /// Functions of the client's that the model may call.
    pub functions: Vec<ToolSpec>,
    /// What it may search.
    pub search: Option<FileSearch>,
    /// Where it may have code run.
    pub container: Option<Asked>,
    /// Whether and which it has to call.
    pub choice: ToolChoice,
    /// The names of those functions whose arguments the client wants held to their schemas.
    pub strict: Vec<String>,
    /// The tools as the answer repeats them.
    pub echo: Vec<Value>,
    /// The choice as the answer repeats it.
    pub choice_echo: Value,
}

/// A container that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// One that is there.
    pub id: Option<String>,
    /// Files of the client's that its code finds.
    pub files: Vec<String>,
}

impl Asked {
    /// It, without the bytes of its files.
    pub(super) fn container(&self) -> Container {
        Container {
            id: self.id.clone(),
            is_named: self.id.is_some(),
            files: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct InFunction {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
    /// For providers, where it is said: arguments are always held to the schema where a local model writes them.
    strict: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InFileSearch {
    #[serde(rename = "type")]
    _kind: String,
    vector_store_ids: Vec<String>,
    max_num_results: Option<Value>,
    filters: Option<Value>,
    ranking_options: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InInterpreter {
    #[serde(rename = "type")]
    _kind: String,
    container: InContainer,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "must be the id of a container or {\"type\": \"auto\", ...}"
)]
enum InContainer {
    Id(String),
    Auto(InAuto),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InAuto {
    #[serde(rename = "type")]
    kind: String,
    file_ids: Option<Vec<String>>,
    memory_limit: Option<String>,
    network_policy: Option<Value>,
}

/// Reads tools, and which of them has to be called.
///
/// # Errors
/// What is wrong with them, and where.
pub(super) fn offered(
    tools: Option<&[Value]>,
    choice: Option<&Value>,
) -> Result<Offered, ApiError> {
    let tools = tools.unwrap_or_default();
    if tools.len() > MOST_TOOLS {
        let message = format!("a request has at most {MOST_TOOLS} tools");
        return Err(ApiError::invalid("tools", message));
    }
    let mut offered = Offered::default();
    for (i, tool) in tools.iter().enumerate() {
        let place = format!("tools[{i}]");
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or_default();
        let known = TYPES.iter().find(|(name, _)| *name == kind);
        let Some((_, read)) = known else {
            let names: Vec<String> = TYPES.iter().map(|(name, _)| format!("`{name}`")).collect();
            let names = names.join(", ");
            let message = format!("tools of type `{kind}` are not supported; there are {names}");
            return Err(ApiError::invalid(&format!("{place}.type"), message));
        };
        read(tool, &place, &mut offered)?;
    }
    let built_in = [
        (search::TOOL, offered.search.is_some()),
        (interpreter::TOOL, offered.container.is_some()),
    ];
    for (name, is_offered) in built_in {
        if is_offered && offered.functions.iter().any(|tool| tool.name == name) {
            let message = format!("`{name}` is the name of a tool that is built in");
            return Err(ApiError::invalid("tools", message));
        }
    }
    offered.choose(choice)?;
    Ok(offered)
}

fn read<T: DeserializeOwned>(value: Value, place: &str) -> Result<T, ApiError> {
    let read = serde_json::from_value(value);
    read.map_err(|error| ApiError::invalid(place, format!("`{place}`: {error}")))
}

fn function(tool: &Value, place: &str, offered: &mut Offered) -> Result<(), ApiError> {
    let function: InFunction = read(tool.clone(), place)?;
    let mut echo = json!({
        "type": "function",
        "name": function.name,
        "parameters": function.parameters,
        "strict": function.strict.unwrap_or(true),
    });
    if let Some(description) = &function.description {
        echo["description"] = json!(description);
    }
    let spec = ToolSpec {
        name: function.name,
        description: function.description.unwrap_or_default(),
        parameters: function.parameters.unwrap_or_else(no_parameters),
    };
    if let Some(problem) = spec.problem() {
        return Err(ApiError::invalid(place, problem));
    }
    if offered
        .functions
        .iter()
        .any(|other| other.name == spec.name)
    {
        let message = format!("two functions are called `{}`", spec.name);
        return Err(ApiError::invalid(&format!("{place}.name"), message));
    }
    if function.strict == Some(true) {
        offered.strict.push(spec.name.clone());
    }
    offered.functions.push(spec);
    offered.echo.push(echo);
    Ok(())
}

fn file_search(tool: &Value, place: &str, offered: &mut Offered) -> Result<(), ApiError> {
    if offered.search.is_some() {
        let message = "a request has one tool `file_search`: name all vector stores in it";
        return Err(ApiError::invalid(place, message));
    }
    let asked: InFileSearch = read(tool.clone(), place)?;
    let stores = asked.vector_store_ids;
    if stores.is_empty() || stores.len() > MOST_STORES {
        let message = format!("`vector_store_ids` has 1 to {MOST_STORES} vector stores");
        return Err(ApiError::invalid(
            &format!("{place}.vector_store_ids"),
            message,
        ));
    }
    // What a search may ask for is what the search of a vector store may; the question is the model's.
    let search: Search = read(
        json!({
            "query": "x",
            "max_num_results": asked.max_num_results,
            "filters": asked.filters,
            "ranking_options": asked.ranking_options,
        }),
        place,
    )?;
    let query = search.query().map_err(|error| error.about(place))?;
    offered.search = Some(FileSearch { stores, query });
    offered.echo.push(tool.clone());
    Ok(())
}

fn code_interpreter(tool: &Value, place: &str, offered: &mut Offered) -> Result<(), ApiError> {
    let at = |name: &str| format!("{place}.container{name}");
    if offered.container.is_some() {
        let message = "a request has one tool `code_interpreter`";
        return Err(ApiError::invalid(place, message));
    }
    let asked: InInterpreter = read(tool.clone(), place)?;
    let asked = match asked.container {
        InContainer::Id(id) => Asked {
            id: Some(id),
            files: Vec::new(),
        },
        InContainer::Auto(auto) => {
            if auto.kind != "auto" {
                let message = format!(
                    "a container is an id or of type `auto`, not `{}`",
                    auto.kind
                );
                return Err(ApiError::invalid(&at(".type"), message));
            }
            if auto.memory_limit.is_some_and(|memory| memory != MEMORY) {
                let message = "the memory of a container is `limits.memory` of the file \
                               `tools/code_interpreter.python.toml`";
                return Err(ApiError::invalid(&at(".memory_limit"), message));
            }
            let policy = auto.network_policy.as_ref().map(|policy| &policy["type"]);
            if policy.is_some_and(|kind| kind != "disabled") {
                let message = "a container has no network: its policy is `disabled`";
                return Err(ApiError::invalid(&at(".network_policy"), message));
            }
            let files = auto.file_ids.unwrap_or_default();
            if files.len() > MOST_FILES {
                let message = format!("a container is given at most {MOST_FILES} files");
                return Err(ApiError::invalid(&at(".file_ids"), message));
            }
            Asked { id: None, files }
        }
    };
    offered.container = Some(asked);
    offered.echo.push(tool.clone());
    Ok(())
}

impl Offered {
    /// Takes the client's choice among the tools.
    fn choose(&mut self, choice: Option<&Value>) -> Result<(), ApiError> {
        let wrong = |message: String| Err(ApiError::invalid("tool_choice", message));
        let choice = choice.filter(|choice| !choice.is_null());
        self.choice_echo = choice.cloned().unwrap_or_else(|| json!("auto"));
        let text = |name: &str| {
            let text = choice.and_then(|choice| choice.get(name));
            text.and_then(Value::as_str).unwrap_or_default()
        };
        self.choice = match (choice.and_then(Value::as_str), text("type")) {
            (Some("auto"), _) => ToolChoice::Auto,
            (Some("none"), _) => ToolChoice::None,
            (Some("required"), _) => ToolChoice::Required,
            (None, "function") => ToolChoice::Named(text("name").to_owned()),
            (None, search::TOOL) => ToolChoice::Named(search::TOOL.to_owned()),
            (None, interpreter::TOOL) => ToolChoice::Named(interpreter::TOOL.to_owned()),
            (None, "allowed_tools") => {
                let tools = choice.and_then(|choice| choice.get("tools"));
                let tools = tools.and_then(Value::as_array).map(Vec::as_slice);
                self.allow(tools.unwrap_or_default())?;
                match text("mode") {
                    "auto" => ToolChoice::Auto,
                    "required" => ToolChoice::Required,
                    _ => {
                        return wrong(
                            "the `mode` of `allowed_tools` is `auto` or `required`".to_owned(),
                        );
                    }
                }
            }
            (None, "") if choice.is_none() => ToolChoice::Auto,
            _ => {
                return wrong(
                    "`tool_choice` must be \"auto\", \"none\", \"required\", {\"type\": \"function\", \"name\": ...}, \
                     {\"type\": \"file_search\"}, {\"type\": \"code_interpreter\"} or \
                     {\"type\": \"allowed_tools\", ...}"
                        .to_owned(),
                );
            }
        };
        match &self.choice {
            ToolChoice::Named(name) if !self.has(name) => {
                wrong(format!("there is no tool `{name}`"))
            }
            ToolChoice::Required
                if self.functions.is_empty()
                    && self.search.is_none()
                    && self.container.is_none() =>
            {
                wrong("a call is required, and there are no tools".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn has(&self, name: &str) -> bool {
        let is_search = name == search::TOOL && self.search.is_some();
        let is_code = name == interpreter::TOOL && self.container.is_some();
        is_search || is_code || self.functions.iter().any(|tool| tool.name == name)
    }

    /// Keeps the tools that the client allows. They stay in the answer.
    fn allow(&mut self, allowed: &[Value]) -> Result<(), ApiError> {
        let mut names = Vec::with_capacity(allowed.len());
        for tool in allowed {
            let text = |name: &str| tool.get(name).and_then(Value::as_str).unwrap_or_default();
            let name = match text("type") {
                "function" => text("name"),
                kind => kind,
            };
            if !self.has(name) {
                let message = format!("there is no tool `{name}` that could be allowed");
                return Err(ApiError::invalid("tool_choice.tools", message));
            }
            names.push(name);
        }
        self.functions
            .retain(|tool| names.contains(&tool.name.as_str()));
        self.search = self.search.take().filter(|_| names.contains(&search::TOOL));
        let code = self.container.take();
        self.container = code.filter(|_| names.contains(&interpreter::TOOL));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Value {
        json!({ "type": "function", "name": name, "parameters": { "type": "object" } })
    }

    fn files(stores: &[&str]) -> Value {
        json!({ "type": "file_search", "vector_store_ids": stores })
    }

    #[test]
    fn tools_and_choices_are_read_in_all_their_forms() {
        let tools = [named("f"), named("g"), files(&["vs_1"])];
        let auto = ToolChoice::Auto;
        for (choice, wanted, functions, searches) in [
            (Value::Null, auto.clone(), 2, true),
            (json!("auto"), auto.clone(), 2, true),
            (json!("none"), ToolChoice::None, 2, true),
            (json!("required"), ToolChoice::Required, 2, true),
            (
                json!({ "type": "function", "name": "g" }),
                ToolChoice::Named("g".into()),
                2,
                true,
            ),
            (
                json!({ "type": "file_search" }),
                ToolChoice::Named("file_search".into()),
                2,
                true,
            ),
            (
                json!({ "type": "allowed_tools", "mode": "auto", "tools": [{ "type": "function", "name": "f" }] }),
                auto,
                1,
                false,
            ),
            (
                json!({ "type": "allowed_tools", "mode": "required", "tools": [{ "type": "file_search" }] }),
                ToolChoice::Required,
                0,
                true,
            ),
        ] {
            let found = offered(Some(&tools), Some(&choice)).unwrap();
            assert_eq!(found.choice, wanted);
            assert_eq!(
                (found.functions.len(), found.search.is_some()),
                (functions, searches)
            );
            assert_eq!(found.echo.len(), 3);
        }
        assert_eq!(offered(None, None).unwrap().choice_echo, "auto");
        let echo = &offered(Some(&tools), None).unwrap().echo;
        assert_eq!(
            (&echo[0]["strict"], &echo[2]),
            (&json!(true), &files(&["vs_1"]))
        );
    }

    #[test]
    fn a_search_asks_for_what_the_search_of_a_vector_store_may() {
        let tool = json!({
            "type": "file_search",
            "vector_store_ids": ["vs_1", "vs_2"],
            "max_num_results": 3,
            "filters": { "type": "eq", "key": "year", "value": 2026 },
            "ranking_options": { "ranker": "auto", "score_threshold": 0.5 },
        });
        let search = offered(Some(&[tool]), None).unwrap().search.unwrap();
        assert_eq!(search.stores, ["vs_1", "vs_2"]);
        assert_eq!((search.query.limit, search.query.threshold), (3, 0.5));
        assert!(search.query.filter.is_some());
    }

    #[test]
    fn a_container_is_named_or_made() {
        for (container, wanted) in [
            (
                json!("cntr_1"),
                Asked {
                    id: Some("cntr_1".to_owned()),
                    files: Vec::new(),
                },
            ),
            (json!({ "type": "auto" }), Asked::default()),
            (
                json!({ "type": "auto", "file_ids": ["file-1"], "memory_limit": "1g",
                    "network_policy": { "type": "disabled" } }),
                Asked {
                    id: None,
                    files: vec!["file-1".to_owned()],
                },
            ),
        ] {
            let tool = json!({ "type": "code_interpreter", "container": container });
            let choice = json!({ "type": "code_interpreter" });
            let found = offered(Some(std::slice::from_ref(&tool)), Some(&choice)).unwrap();
            assert_eq!(found.container, Some(wanted));
            assert_eq!(found.choice, ToolChoice::Named("code_interpreter".into()));
            assert_eq!(found.echo, [tool]);
        }
        for (container, said) in [
            (
                json!({ "type": "auto", "memory_limit": "64g" }),
                "limits.memory",
            ),
            (
                json!({ "type": "auto", "network_policy": { "type": "allowlist" } }),
                "no network",
            ),
            (
                json!({ "type": "auto", "file_ids": vec!["f"; 17] }),
                "at most 16",
            ),
            (json!({ "type": "own" }), "`own`"),
            (json!(3), "id of a container"),
        ] {
            let tool = json!({ "type": "code_interpreter", "container": container });
            let body = offered(Some(&[tool]), None).unwrap_err().body().to_string();
            assert!(body.contains(said), "{body}");
        }
    }

    #[test]
    fn what_is_wrong_with_tools_is_named() {
        let with = |mut tool: Value, name: &str, value: Value| {
            tool[name] = value;
            tool
        };
        let chosen = |choice: Value| (vec![named("f")], choice, "tool_choice");
        for (tools, choice, said) in [
            (
                vec![json!({ "type": "computer" })],
                Value::Null,
                "`function`, `file_search`, `code_interpreter`",
            ),
            (vec![json!({})], Value::Null, "tools of type ``"),
            (vec![json!({ "type": "function" })], Value::Null, "name"),
            (vec![named("a b")], Value::Null, "`a b`"),
            (vec![named("f"), named("f")], Value::Null, "two functions"),
            (vec![files(&[])], Value::Null, "vector_store_ids"),
            (vec![files(&["a"]), files(&["b"])], Value::Null, "one tool"),
            (
                vec![files(&["a"]), named("file_search")],
                Value::Null,
                "built in",
            ),
            (
                vec![with(files(&["a"]), "max_num_results", json!(51))],
                Value::Null,
                "max_num_results",
            ),
            (
                vec![with(files(&["a"]), "top_k", json!(5))],
                Value::Null,
                "top_k",
            ),
            (
                vec![with(files(&["a"]), "filters", json!({ "type": "like" }))],
                Value::Null,
                "tools[0]",
            ),
            (vec![], json!("required"), "no tools"),
            chosen(json!("any")),
            chosen(json!({ "type": "function", "name": "g" })),
            chosen(json!({ "type": "file_search" })),
            chosen(json!({ "type": "web_search_preview" })),
            chosen(
                json!({ "type": "allowed_tools", "mode": "auto", "tools": [{ "type": "function", "name": "g" }] }),
            ),
            chosen(json!({ "type": "allowed_tools", "tools": [] })),
        ] {
            let error = offered(Some(&tools), Some(&choice)).unwrap_err();
            let body = error.body().to_string();
            assert!(body.contains(said), "{body}");
        }
    }
}
