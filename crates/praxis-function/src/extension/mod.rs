//! What the front matter's extension keys, `praxis.*`, mean.
//!
//! Left out: the keys of Dotprompt itself, which `prompt` reads.

mod cache;
mod constraint;
mod filter;
mod guard;
mod knowledge;
mod scope;

use praxis_core::suggest::nearest;
use praxis_core::{Constraint, Diagnostic, plain};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::choice::ToolUse;
use crate::history::{History, HistoryKeys};
use crate::moderation::policy::Guard;
use crate::prompt::File;
use crate::run::Budget;
use crate::structured::checks::Checks;
use crate::technique::Technique;

pub(crate) use cache::CacheUse;
pub(crate) use knowledge::KnowledgeUse;
pub(crate) use scope::{Judge, Scene};

/// Keys below `praxis`.
const KEYS: &[&str] = &[
    "knowledge",
    "scope",
    "query",
    "refusal",
    "limit",
    "filter",
    "technique",
    "checks",
    "constraint",
    "constrained",
    "budget",
    "history",
    "tool_choice",
    "parallel_tool_calls",
    "tools",
    "guard",
    "cache",
];

/// `praxis.tool_choice`: what the model does first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FirstCall {
    /// As it sees fit.
    #[default]
    Auto,
    /// It calls a tool.
    Required,
}

/// What a prompt says in our keys.
#[derive(Debug, Clone)]
pub(crate) struct Extension {
    /// Retrieval before the call.
    pub knowledge: Option<KnowledgeUse>,
    /// What the function is for; other questions are declined.
    pub scene: Option<Scene>,
    /// The words of a refusal, by language code.
    pub refusal: Map<String, Value>,
    /// How the question becomes one or several to the model.
    pub technique: Technique,
    /// What an output must be beside its schema.
    pub checks: Checks,
    /// What a text must be from its first character to its last.
    pub constraint: Option<Constraint>,
    /// Whether the model is held to the output's schema while it writes; if not, or if it cannot be,
    /// what it wrote is checked and repaired.
    pub constrained: bool,
    /// What a call may use.
    pub budget: Budget,
    /// How much of a conversation the prompt sees.
    pub history: History,
    /// Whether the model has to call a tool before it answers.
    pub tool_choice: FirstCall,
    /// Whether it may call several tools in one turn.
    pub parallel_tool_calls: bool,
    /// Which of its tools a turn is given.
    pub tools: ToolUse,
    /// What is done about what goes in and what comes out.
    pub guard: Option<Guard>,
    /// Which answers are kept.
    pub cache: Option<CacheUse>,
}

/// `praxis.budget`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetKeys {
    questions: Option<usize>,
    repairs: Option<u32>,
    tokens: Option<u64>,
}

/// The extension keys of a front matter, without their namespace.
pub(crate) fn ours(front: &Map<String, Value>) -> Map<String, Value> {
    let mut ours: Map<String, Value> = front
        .iter()
        .filter_map(|(k, v)| Some((k.strip_prefix("praxis.")?.to_owned(), v.clone())))
        .collect();
    if let Some(Value::Object(nested)) = front.get("praxis") {
        ours.extend(nested.clone());
    }
    ours
}

impl File<'_> {
    /// Reads the extension keys; problems go to `problems`.
    pub(crate) fn extension(
        &self,
        front: &Map<String, Value>,
        input_schema: &Value,
        problems: &mut Vec<Diagnostic>,
    ) -> Extension {
        let ours = ours(front);
        for key in ours.keys().filter(|k| !KEYS.contains(&k.as_str())) {
            problems.push(self.unknown(key, KEYS));
        }
        let technique = ours.get("technique").map(Technique::parse);
        let technique = technique.unwrap_or_else(|| Ok(Technique::default()));
        let checks = ours.get("checks").map(Checks::parse);
        let checks = checks.unwrap_or_else(|| Ok(Checks::default()));
        if checks.as_ref().is_ok_and(Checks::cites) && !ours.contains_key("knowledge") {
            let what = "`must_cite` needs passages to cite: `praxis.knowledge` is missing";
            problems.push(self.at_key("praxis.checks", what));
        }
        let budget = self.budget(&ours, problems);
        let history = self.read::<HistoryKeys>("history", &ours, problems);
        let history = history.map_or(Ok(History::default()), History::try_from);
        let query = self.query(&ours, input_schema, problems);
        let query = query.as_deref();
        let scope = self.scope(&ours, query, input_schema, problems);
        Extension {
            knowledge: self.knowledge(&ours, (scope.knowledge, query), input_schema, problems),
            scene: scope.scene,
            refusal: self.refusal(ours.get("refusal"), problems),
            technique: technique.unwrap_or_else(|found| {
                let at = |problem| self.at_key("praxis.technique", problem);
                problems.extend(found.into_iter().map(at));
                Technique::default()
            }),
            checks: checks.unwrap_or_else(|found| {
                let at =
                    |(path, problem)| self.at_key("praxis.checks", format!("`{path}`: {problem}"));
                problems.extend(found.into_iter().map(at));
                Checks::default()
            }),
            history: history.unwrap_or_else(|problem| {
                problems.push(self.at_key("praxis.history", problem));
                History::default()
            }),
            tool_choice: self.first_call(front, &ours, problems),
            parallel_tool_calls: self.parallel_tool_calls(front, &ours, problems),
            tools: self.tool_use(front, &ours, problems),
            guard: self.guard(&ours, problems),
            cache: self.cache(front, &ours, query, input_schema, problems),
            constraint: self.constraint(&ours, problems),
            constrained: self.read("constrained", &ours, problems).unwrap_or(true),
            budget,
        }
    }

    /// `praxis.budget`. A call without a question or a token is none.
    fn budget(&self, ours: &Map<String, Value>, problems: &mut Vec<Diagnostic>) -> Budget {
        let defaults = Budget::default();
        let Some(given) = self.read::<BudgetKeys>("budget", ours, problems) else {
            return defaults;
        };
        for (key, nothing) in [
            ("questions", given.questions == Some(0)),
            ("tokens", given.tokens == Some(0)),
        ] {
            if nothing {
                let message = format!("`praxis.budget`: `{key}` must be at least 1");
                let help = format!("say how many a call may have, or leave `{key}` out");
                let found = self.at_key_below(&["budget", key], message);
                problems.push(found.help(help));
            }
        }
        Budget {
            questions: given.questions.unwrap_or(defaults.questions),
            repairs: given.repairs.unwrap_or(defaults.repairs),
            tokens: given.tokens.unwrap_or(defaults.tokens),
        }
    }

    /// `praxis.query`: the name of an input.
    fn query(
        &self,
        ours: &Map<String, Value>,
        input_schema: &Value,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<String> {
        let query = ours.get("query")?;
        let Some(name) = query.as_str() else {
            let message = "`query` must be the name of an input";
            problems.push(self.at_key("praxis.query", message));
            return Some(String::new());
        };
        let inputs = input_schema.get("properties").and_then(Value::as_object);
        // A schema that lets other inputs in says nothing of their names.
        let others = input_schema.get("additionalProperties");
        let is_open = others.is_some_and(|others| *others != Value::Bool(false));
        if let Some(inputs) = inputs.filter(|inputs| !is_open && !inputs.contains_key(name)) {
            let names: Vec<&str> = inputs.keys().map(String::as_str).collect();
            let found = self.at_key(
                "praxis.query",
                format!("`query`: there is no input `{name}`"),
            );
            let near = nearest(name, names.iter().copied());
            problems.push(found.suggest(near, format!("inputs: {}", names.join(", "))));
        }
        Some(name.to_owned())
    }

    fn first_call(
        &self,
        front: &Map<String, Value>,
        ours: &Map<String, Value>,
        problems: &mut Vec<Diagnostic>,
    ) -> FirstCall {
        let choice: FirstCall = self.read("tool_choice", ours, problems).unwrap_or_default();
        if choice == FirstCall::Required {
            problems.extend(self.lacks_tools("tool_choice", front));
        }
        choice
    }

    /// That one of our keys is about calls of tools, and there are none to call.
    fn lacks_tools(&self, key: &str, front: &Map<String, Value>) -> Option<Diagnostic> {
        let key = format!("praxis.{key}");
        let what = format!("`{key}` needs tools to call: `tools` is missing");
        (!front.contains_key("tools")).then(|| self.at_key(&key, what))
    }

    fn parallel_tool_calls(
        &self,
        front: &Map<String, Value>,
        ours: &Map<String, Value>,
        problems: &mut Vec<Diagnostic>,
    ) -> bool {
        let key = "parallel_tool_calls";
        if ours.contains_key(key) {
            problems.extend(self.lacks_tools(key, front));
        }
        self.read(key, ours, problems).unwrap_or(true)
    }

    fn tool_use(
        &self,
        front: &Map<String, Value>,
        ours: &Map<String, Value>,
        problems: &mut Vec<Diagnostic>,
    ) -> ToolUse {
        let uses: ToolUse = self.read("tools", ours, problems).unwrap_or_default();
        if let Some(problem) = uses.problem() {
            let message = format!("`praxis.tools`: {problem}");
            problems.push(self.at_key("praxis.tools", message));
        }
        if ours.contains_key("tools") && !front.contains_key("tools") {
            let what = "`praxis.tools` needs tools to choose from: `tools` is missing";
            problems.push(self.at_key("praxis.tools", what));
        }
        uses
    }

    /// The value of a key, if it is there and is what it must be.
    fn read<T: DeserializeOwned>(
        &self,
        key: &str,
        ours: &Map<String, Value>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let value = ours.get(key)?;
        match serde_json::from_value(value.clone()) {
            Ok(value) => Some(value),
            Err(error) => {
                let key = format!("praxis.{key}");
                let error = plain::complaint(&error.to_string());
                problems.push(self.at_key(&key, format!("`{key}`: {error}")));
                None
            }
        }
    }

    /// `praxis.refusal`: one text for all languages, or `en` and `zh`.
    fn refusal(&self, value: Option<&Value>, problems: &mut Vec<Diagnostic>) -> Map<String, Value> {
        let all = |text: &str| {
            let entry = |code: &str| (code.to_owned(), Value::from(text));
            ["en", "zh"].map(entry).into_iter().collect()
        };
        match value {
            None => Map::new(),
            Some(Value::String(text)) => all(text),
            Some(Value::Object(map))
                if map
                    .iter()
                    .all(|(k, v)| matches!(k.as_str(), "en" | "zh") && v.is_string()) =>
            {
                map.clone()
            }
            Some(_) => {
                let what = "`praxis.refusal` must be a text, or texts for `en` and `zh`";
                problems.push(self.at_key("praxis.refusal", what));
                Map::new()
            }
        }
    }
}

/// The input that is searched for and judged: `question` or `query`, or the only text there is.
fn query_input(schema: &Value) -> Option<String> {
    let properties = schema.get("properties")?.as_object()?;
    for name in ["question", "query"] {
        if properties.contains_key(name) {
            return Some(name.to_owned());
        }
    }
    let mut texts = properties.iter().filter(|(_, s)| s["type"] == "string");
    match (texts.next(), texts.next()) {
        (Some((name, _)), None) => Some(name.clone()),
        _ => None,
    }
}
