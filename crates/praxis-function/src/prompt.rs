//! A `.prompt` file: front matter and template, read with a diagnostic for each mistake.

use praxis_core::suggest::nearest;
use praxis_core::{Diagnostic, Sampling, SourceSpan};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::picoschema::to_json_schema;

/// Keys of the front matter (Dotprompt reference), and the one that holds ours.
const KEYS: &[&str] = &[
    "name",
    "description",
    "model",
    "variant",
    "version",
    "config",
    "input",
    "output",
    "metadata",
    "tools",
    "toolDefs",
    "maxTurns",
    "raw",
    "praxis",
];

/// Keys below `praxis`.
const PRAXIS_KEYS: &[&str] = &["knowledge", "scope", "query", "refusal", "limit"];

/// Passages that a prompt gets where it says nothing: a model on a CPU reads some tens of tokens a
/// second.
const DEFAULT_LIMIT: usize = 4;

/// A prompt file, parsed.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    /// What it does, in a sentence.
    pub description: String,
    /// Model to ask; empty for the default.
    pub model: String,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// JSON Schema of the input.
    pub input_schema: Value,
    /// Input values where the caller gives none.
    pub defaults: Map<String, Value>,
    /// JSON Schema of the output, where it is JSON.
    pub output_schema: Option<Value>,
    /// Retrieval before the call.
    pub knowledge: Option<KnowledgeUse>,
    /// Handlebars template.
    pub template: String,
}

/// What a prompt wants from knowledge bases.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KnowledgeUse {
    /// The bases.
    pub bases: Vec<String>,
    /// How many passages.
    pub limit: usize,
    /// The input that is searched for.
    pub query: String,
    /// Whether questions outside of the documents are declined.
    pub scoped: bool,
    /// The words of the refusal, by language code.
    pub refusal: Map<String, Value>,
}

/// `config`, in the names of Dotprompt and of the OpenAI API.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Config {
    temperature: Option<f32>,
    #[serde(alias = "max_tokens", alias = "maxTokens")]
    max_output_tokens: Option<u32>,
    #[serde(alias = "top_k")]
    top_k: Option<u32>,
    #[serde(alias = "top_p")]
    top_p: Option<f32>,
    #[serde(alias = "min_p")]
    min_p: Option<f32>,
    #[serde(alias = "repetition_penalty")]
    repetition_penalty: Option<f32>,
    #[serde(alias = "frequency_penalty")]
    frequency_penalty: Option<f32>,
    #[serde(alias = "presence_penalty")]
    presence_penalty: Option<f32>,
    seed: Option<u64>,
    #[serde(alias = "stop", default)]
    stop_sequences: Vec<String>,
}

/// Reads a file; `name` is how diagnostics call it.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn parse(name: &str, source: &str) -> Result<Prompt, Vec<Diagnostic>> {
    let file = File { name, source };
    let (front, template) = split(source);
    let mut problems = Vec::new();
    let front: Map<String, Value> = if front.trim().is_empty() {
        Map::new()
    } else {
        match serde_saphyr::from_str::<Value>(front) {
            Ok(Value::Object(map)) => map,
            Ok(Value::Null) => Map::new(),
            Ok(_) => {
                return Err(vec![
                    file.at_line(2, "the front matter is not a mapping")
                        .help("write `key: value` lines between the two `---`"),
                ]);
            }
            Err(error) => return Err(vec![file.yaml(&error)]),
        }
    };
    let prompt = file.interpret(&front, template, &mut problems);
    match prompt {
        Some(prompt) if problems.is_empty() => Ok(prompt),
        _ => Err(problems),
    }
}

/// Front matter (without its fences) and template.
fn split(source: &str) -> (&str, &str) {
    let body = source.trim_start_matches('\u{feff}');
    let Some(rest) = body
        .strip_prefix("---")
        .and_then(|r| r.strip_prefix("\r\n").or_else(|| r.strip_prefix('\n')))
    else {
        return ("", body);
    };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return (&rest[..at], &rest[at + line.len()..]);
        }
        at += line.len();
    }
    (rest, "")
}

struct File<'a> {
    name: &'a str,
    source: &'a str,
}

impl File<'_> {
    fn at_line(&self, line: usize, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(SourceSpan::at(self.name, self.source, line, 1))
    }

    fn yaml(&self, error: &serde_saphyr::Error) -> Diagnostic {
        let (line, column) = error
            .location()
            .map_or((1, 1), |l| (l.line() as usize, l.column() as usize));
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default();
        // The front matter begins on the file's second line.
        Diagnostic::error(format!("the front matter is not YAML: {message}")).at(SourceSpan::at(
            self.name,
            self.source,
            line + 1,
            column,
        ))
    }

    /// A diagnostic at a key of the front matter, wherever it first stands.
    fn at_key(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        let diagnostic = Diagnostic::error(message);
        let mut offset = 0;
        for line in self.source.split_inclusive('\n') {
            let indent = line.len() - line.trim_start().len();
            let rest = line.trim_start().trim_start_matches(['"', '\'']);
            let quoted = line.trim_start().len() - rest.len();
            if rest.starts_with(key)
                && rest[key.len()..]
                    .trim_start_matches(['"', '\''])
                    .starts_with(':')
            {
                let start = offset + indent + quoted;
                return diagnostic.at(SourceSpan::new(
                    self.name,
                    self.source,
                    start..start + key.len(),
                ));
            }
            offset += line.len();
        }
        diagnostic.at(SourceSpan::at(self.name, self.source, 1, 1))
    }

    fn unknown(&self, key: &str, known: &[&str]) -> Diagnostic {
        let diagnostic = self.at_key(key, format!("unknown key `{key}`"));
        match nearest(key, known.iter().copied()) {
            Some(near) => diagnostic.label(format!("did you mean `{near}`?")),
            None => diagnostic,
        }
        .help(format!(
            "keys here: {}; keys of other tools carry a namespace, as in `tool.key`",
            known.join(", ")
        ))
    }

    fn interpret(
        &self,
        front: &Map<String, Value>,
        template: &str,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Prompt> {
        for key in front
            .keys()
            .filter(|k| !k.contains('.') && !KEYS.contains(&k.as_str()))
        {
            problems.push(self.unknown(key, KEYS));
        }
        let text = |key: &str| {
            front
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let mut schema = |section: &str| {
            let source = front.get(section)?.get("schema")?;
            match to_json_schema(source) {
                Ok(schema) => Some(schema),
                Err(error) => {
                    problems.push(self.at_key("schema", format!("in `{section}.schema`: {error}")));
                    None
                }
            }
        };
        let (input, output) = (schema("input"), schema("output"));
        let input_schema = input.unwrap_or_else(|| serde_json::json!({"type": "object"}));
        let sampling = self.sampling(front.get("config"), problems);
        let defaults = front
            .get("input")
            .and_then(|i| i.get("default"))
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let knowledge = self.knowledge(front, &input_schema, problems);
        Some(Prompt {
            description: text("description"),
            model: text("model"),
            sampling,
            input_schema,
            defaults,
            output_schema: output.or_else(|| {
                let json = front.get("output")?.get("format")? == "json";
                json.then(|| serde_json::json!({}))
            }),
            knowledge,
            template: template.to_owned(),
        })
    }

    fn sampling(&self, config: Option<&Value>, problems: &mut Vec<Diagnostic>) -> Sampling {
        let Some(config) = config else {
            return Sampling::default();
        };
        match serde_json::from_value::<Config>(config.clone()) {
            Ok(c) => Sampling {
                temperature: c.temperature,
                top_k: c.top_k,
                top_p: c.top_p,
                min_p: c.min_p,
                repetition_penalty: c.repetition_penalty,
                frequency_penalty: c.frequency_penalty,
                presence_penalty: c.presence_penalty,
                seed: c.seed,
                max_tokens: c.max_output_tokens,
                stop: c.stop_sequences,
            },
            Err(error) => {
                let message = error.to_string();
                let named: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
                let key = named.first().copied().unwrap_or("config");
                let diagnostic = self.at_key(key, format!("in `config`: {message}"));
                problems.push(match nearest(key, named.iter().skip(1).copied()) {
                    Some(near) => diagnostic.label(format!("did you mean `{near}`?")),
                    None => diagnostic,
                });
                Sampling::default()
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

    fn knowledge(
        &self,
        front: &Map<String, Value>,
        input_schema: &Value,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<KnowledgeUse> {
        let mut ours: Map<String, Value> = front
            .iter()
            .filter_map(|(k, v)| Some((k.strip_prefix("praxis.")?.to_owned(), v.clone())))
            .collect();
        if let Some(Value::Object(nested)) = front.get("praxis") {
            ours.extend(nested.clone());
        }
        for key in ours.keys().filter(|k| !PRAXIS_KEYS.contains(&k.as_str())) {
            problems.push(self.unknown(key, PRAXIS_KEYS));
        }
        let scoped = match ours.get("scope").map(|v| v.as_str()) {
            None => false,
            Some(Some("knowledge")) => true,
            Some(_) => {
                problems
                    .push(self.at_key("praxis.scope", "`praxis.scope` can only be `knowledge`"));
                false
            }
        };
        let names = |value: &Value| -> Vec<String> {
            match value {
                Value::String(name) => vec![name.clone()],
                Value::Array(all) => all
                    .iter()
                    .filter_map(|v| v.as_str().map(str::to_owned))
                    .collect(),
                _ => Vec::new(),
            }
        };
        let Some(wanted) = ours.get("knowledge") else {
            if scoped {
                problems.push(
                    self.at_key(
                        "praxis.scope",
                        "`praxis.scope: knowledge` needs `praxis.knowledge`",
                    )
                    .help("name a base: `praxis.knowledge: docs`"),
                );
            }
            return None;
        };
        let (bases, limit) = match wanted {
            Value::Object(map) => (
                map.get("base").map(names).unwrap_or_default(),
                map.get("limit").and_then(Value::as_u64),
            ),
            other => (names(other), None),
        };
        if bases.is_empty() {
            problems.push(
                self.at_key("praxis.knowledge", "`praxis.knowledge` names no base")
                    .help("write a name, a list of names, or {base: NAME, limit: 4}"),
            );
        }
        let limit = limit.or_else(|| ours.get("limit").and_then(Value::as_u64));
        let query = ours.get("query").and_then(Value::as_str).map(str::to_owned);
        let query = query
            .or_else(|| query_input(input_schema))
            .unwrap_or_else(|| {
                problems.push(
                    self.at_key("praxis.knowledge", "which input is searched for?")
                        .help("name it: `praxis.query: INPUT`, or call it `question`"),
                );
                String::new()
            });
        Some(KnowledgeUse {
            bases,
            limit: limit.map_or(DEFAULT_LIMIT, |l| l.clamp(1, 50) as usize),
            query,
            scoped,
            refusal: self.refusal(ours.get("refusal"), problems),
        })
    }
}

/// Whether a template, or a partial that it may include, says where the passages go.
pub(crate) fn places_passages(template: &str) -> bool {
    template.split("{{").skip(1).any(|rest| {
        rest.split("}}")
            .next()
            .is_some_and(|tag| tag.contains("passages"))
    })
}

/// The input that a search is made with: `question` or `query`, or the only text there is.
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
