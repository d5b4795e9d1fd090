//! A `.prompt` file: front matter and template, read with a diagnostic for each mistake.

use jsonschema::error::ValidationErrorKind;
use praxis_core::suggest::nearest;
use praxis_core::{Diagnostic, Sampling, Severity, SourceSpan, plain};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::dotprompt::{self, Document, FrontFlaw, FrontMatter, to_json_schema};
use crate::extension::Extension;
use crate::function::OUTPUT_PLACE;
use crate::schemas::Schemas;
use crate::structured::locals;
use crate::structured::repair::OutputFormat;
use crate::tools::Tools;

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

/// The namespace of our keys.
const OURS: &str = "praxis";

/// Keys of `input` and of `output`.
const INPUT_KEYS: &[&str] = &["schema", "default"];
const OUTPUT_KEYS: &[&str] = &["format", "schema"];

/// Values of `output.format`.
const FORMATS: [&str; 2] = ["text", "json"];

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
    /// How the model writes the output.
    pub output_format: OutputFormat,
    /// JSON Schema of the output, where it has one; what is JSON has.
    pub output_schema: Option<Value>,
    /// Functions that the model may call.
    pub tools: Tools,
    /// What our own keys say.
    pub ours: Extension,
    /// Handlebars template.
    pub template: String,
    /// Byte of the file at which it begins.
    pub template_start: usize,
    /// What is likely not as meant.
    pub warnings: Vec<Diagnostic>,
}

/// `config`, in the names of Dotprompt and of the OpenAI API.
#[derive(Deserialize, Default)]
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

/// Reads a file; `name` is how diagnostics call it, `schemas` are those that it may name.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn parse(
    name: &str,
    source: &str,
    schemas: &Schemas,
) -> Result<Prompt, Vec<Diagnostic>> {
    let file = File { name, source };
    let document = dotprompt::parse(source).map_err(|flaw| vec![file.front_flaw(&flaw)])?;
    let mut problems: Vec<Diagnostic> = document.flaws.iter().map(|f| file.front_flaw(f)).collect();
    if document.front.raw.is_empty() && document.template.starts_with("---") {
        let message = "the front matter has no end";
        problems.push(file.at_line(1, message).help("end it with a line `---`"));
    }
    let mut prompt = file.interpret(document, schemas, &mut problems);
    if problems.iter().any(|p| p.severity == Severity::Error) {
        return Err(problems);
    }
    prompt.warnings = problems;
    Ok(prompt)
}

/// A file under examination, for diagnostics that point into it.
pub(crate) struct File<'a> {
    name: &'a str,
    source: &'a str,
}

impl File<'_> {
    fn at_line(&self, line: usize, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(SourceSpan::at(self.name, self.source, line, 1))
    }

    fn front_flaw(&self, flaw: &FrontFlaw) -> Diagnostic {
        match flaw.place {
            Some((line, column)) => Diagnostic::error(&flaw.message)
                .at(SourceSpan::at(self.name, self.source, line, column))
                .help("write `key: value` lines between the two `---`"),
            None => self.at_key_below(&flaw.key.split('.').collect::<Vec<_>>(), &flaw.message),
        }
    }

    /// A diagnostic at a key of the front matter, wherever it first stands.
    pub(crate) fn at_key(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        // A key below `praxis:` stands there without its namespace.
        let begins = |line: &str| {
            line.trim_start()
                .trim_start_matches(['"', '\''])
                .starts_with(key)
        };
        match key.strip_prefix("praxis.") {
            Some(nested) if !self.source.lines().any(begins) => {
                self.at_key_below(&[nested], message)
            }
            _ => self.at_key_below(&[key], message),
        }
    }

    /// A diagnostic at the last of the keys, each of which stands below the one before; at the last
    /// that begins a line, where the others do not.
    pub(crate) fn at_key_below(&self, keys: &[&str], message: impl Into<String>) -> Diagnostic {
        let mut keys = keys.iter();
        let mut wanted = keys.next();
        let mut found = None;
        let mut offset = 0;
        for line in self.source.split_inclusive('\n') {
            let Some(key) = wanted else {
                break;
            };
            let text = line.trim_start().trim_start_matches(['"', '\'']);
            // A key of ours may stand with its namespace.
            let text = match text.strip_prefix("praxis.") {
                Some(rest) if rest.starts_with(key) => rest,
                _ => text,
            };
            let after = text.strip_prefix(key);
            if after.is_some_and(|a| a.trim_start_matches(['"', '\'']).starts_with(':')) {
                let start = offset + line.len() - text.len();
                found = Some(start..start + key.len());
                wanted = keys.next();
            }
            offset += line.len();
        }
        let span = match found {
            Some(range) => SourceSpan::new(self.name, self.source, range),
            None => SourceSpan::at(self.name, self.source, 1, 1),
        };
        Diagnostic::error(message).at(span)
    }

    pub(crate) fn unknown(&self, key: &str, known: &[&str]) -> Diagnostic {
        self.unknown_below(&[], key, known)
    }

    pub(crate) fn unknown_below(&self, above: &[&str], key: &str, known: &[&str]) -> Diagnostic {
        let path: Vec<&str> = above.iter().copied().chain([key]).collect();
        let diagnostic = self.at_key_below(&path, format!("unknown key `{}`", path.join(".")));
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
        document: Document,
        schemas: &Schemas,
        problems: &mut Vec<Diagnostic>,
    ) -> Prompt {
        let front = document.front;
        let raw = &front.raw;
        let strange = |k: &&String| !k.contains('.') && !KEYS.contains(&k.as_str());
        for key in raw.keys().filter(strange) {
            problems.push(self.unknown(key, KEYS));
        }
        for (section, known) in [("input", INPUT_KEYS), ("output", OUTPUT_KEYS)] {
            let keys = raw.get(section).and_then(Value::as_object);
            for key in keys.into_iter().flat_map(Map::keys) {
                if !known.contains(&key.as_str()) {
                    problems.push(self.unknown_below(&[section], key, known));
                }
            }
        }
        let resolve = |name: &str| schemas.within(name);
        let mut schema = |section: &str, source: Option<&Value>| {
            if let Some(whole) = schemas.whole(source?) {
                return Some(whole.clone());
            }
            match to_json_schema(source?, &resolve) {
                Ok(schema) => Some(schema),
                Err(error) => {
                    let message = format!("in `{section}.schema`: {error}");
                    let diagnostic = self.at_key_below(&[section, "schema"], message);
                    problems.push(schemas.help(diagnostic));
                    None
                }
            }
        };
        let input = schema("input", front.input.schema.as_ref());
        let output = schema("output", front.output.schema.as_ref());
        let input_schema = input.unwrap_or_else(|| serde_json::json!({"type": "object"}));
        self.nearly_ours(raw, problems);
        self.defaults(&front.input.default, &input_schema, problems);
        let sampling = self.sampling(&front.config, problems);
        let ours = self.extension(raw, &input_schema, problems);
        let tools = self.tools(&front, problems);
        let output_format = self.output_format(&front, output.as_ref(), problems);
        Prompt {
            description: front.description.unwrap_or_default(),
            model: front.model.unwrap_or_default(),
            sampling,
            input_schema,
            defaults: front.input.default,
            output_format,
            output_schema: output.or_else(|| {
                let json = output_format == OutputFormat::Json;
                json.then(|| serde_json::json!({}))
            }),
            tools,
            ours,
            template: document.template,
            template_start: document.template_start,
            warnings: Vec::new(),
        }
    }

    /// Keys of other namespaces are others' business, but one that is nearly ours was meant for us.
    fn nearly_ours(&self, raw: &Map<String, Value>, problems: &mut Vec<Diagnostic>) {
        for key in raw.keys() {
            let Some((namespace, rest)) = key.split_once('.') else {
                continue;
            };
            if namespace == OURS || nearest(namespace, [OURS]).is_none() {
                continue;
            }
            let message = format!("`{key}` is a key of another tool, and does nothing here");
            let found = self.at_key(key, message);
            problems.push(Diagnostic {
                severity: Severity::Warning,
                ..found.label(format!("did you mean `{OURS}.{rest}`?"))
            });
        }
    }

    /// Values of `input.default` that the input's schema does not let in, and those of no input.
    fn defaults(
        &self,
        defaults: &Map<String, Value>,
        input_schema: &Value,
        problems: &mut Vec<Diagnostic>,
    ) {
        // What is wrong with the schema itself is told elsewhere.
        if defaults.is_empty() || locals::ends(input_schema).is_err() {
            return;
        }
        let Ok(validator) = jsonschema::validator_for(input_schema) else {
            return;
        };
        let inputs = locals::properties(input_schema);
        let value = Value::Object(defaults.clone());
        for error in validator.iter_errors(&value) {
            if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
                for name in unexpected
                    .iter()
                    .filter(|name| defaults.contains_key(*name))
                {
                    let message = format!("`input.default`: there is no input `{name}`");
                    let found = self.at_key_below(&["input", "default", name], message);
                    let names = inputs.into_iter().flat_map(Map::keys);
                    let near = nearest(name, names.map(String::as_str));
                    let otherwise = "declare it in `input.schema`, or leave it out";
                    problems.push(found.suggest(near, otherwise));
                }
                continue;
            }
            // That other inputs are missing is right: callers give them.
            let place = error.instance_path().to_string();
            let Some(name) = place.split('/').nth(1) else {
                continue;
            };
            let message = format!("`input.default` at `{place}` breaks `input.schema`: {error}");
            problems.push(self.at_key_below(&["input", "default", name], message));
        }
    }

    /// As `output.format` says, or else by the schema: what is not just a text is JSON.
    fn output_format(
        &self,
        front: &FrontMatter,
        schema: Option<&Value>,
        problems: &mut Vec<Diagnostic>,
    ) -> OutputFormat {
        let is_text =
            |schema: &Value| locals::types(locals::resolved(schema, schema)) == ["string"];
        let by_schema = match schema {
            Some(schema) if !is_text(schema) => OutputFormat::Json,
            _ => OutputFormat::Text,
        };
        match front.output.format.as_deref() {
            None => by_schema,
            Some("json") => OutputFormat::Json,
            Some("text") => {
                if by_schema == OutputFormat::Json {
                    let message = "`output.format: text` has a schema that is not a string";
                    let found = self.at_key_below(&["output", "format"], message);
                    problems.push(found.help("leave the format out, or the schema"));
                }
                OutputFormat::Text
            }
            Some(other) => {
                let message = format!("there is no output format `{other}`");
                let found = self.at_key_below(&["output", "format"], message);
                problems.push(found.suggest(nearest(other, FORMATS), "there are: text, json"));
                by_schema
            }
        }
    }

    fn tools(&self, front: &FrontMatter, problems: &mut Vec<Diagnostic>) -> Tools {
        if !front.tool_defs.is_empty() {
            let message = "`toolDefs` define tools that somebody else runs, and nobody does here";
            problems.push(self.at_key("toolDefs", message).help(
                "write a function `prompts/NAME.prompt` and name it in `tools`; clients with tools \
                 of their own ask the model itself, by `/v1/chat/completions`",
            ));
        }
        Tools::new(&front.tools, front.max_turns).unwrap_or_else(|message| {
            problems.push(self.at_key("tools", message));
            Tools::default()
        })
    }

    fn sampling(&self, config: &Map<String, Value>, problems: &mut Vec<Diagnostic>) -> Sampling {
        // One by one, so that each mistake is found, and found at its key.
        let mut right = Map::new();
        for (key, value) in config {
            let alone = Map::from_iter([(key.clone(), value.clone())]);
            match serde_json::from_value::<Config>(Value::Object(alone)) {
                Ok(_) => {
                    right.insert(key.clone(), value.clone());
                }
                Err(error) => problems.push(self.wrong_config(key, &error.to_string())),
            }
        }
        let config: Config = match serde_json::from_value(Value::Object(right)) {
            Ok(config) => config,
            // Only two names of the same key are left to go wrong.
            Err(error) => {
                problems.push(self.at_key("config", format!("in `config`: {error}")));
                Config::default()
            }
        };
        Sampling {
            temperature: config.temperature,
            top_k: config.top_k,
            top_p: config.top_p,
            min_p: config.min_p,
            repetition_penalty: config.repetition_penalty,
            frequency_penalty: config.frequency_penalty,
            presence_penalty: config.presence_penalty,
            seed: config.seed,
            max_tokens: config.max_output_tokens,
            stop: config.stop_sequences,
            ..Sampling::default()
        }
    }

    fn wrong_config(&self, key: &str, error: &str) -> Diagnostic {
        let path = ["config", key];
        if !error.contains("unknown field") {
            let message = format!("in `config.{key}`: {}", plain::complaint(error));
            return self.at_key_below(&path, message);
        }
        // Serde names the stranger first, then all that it knows.
        let known = error.split('`').skip(3).step_by(2);
        let message = format!("unknown key `config.{key}`");
        let diagnostic = self.at_key_below(&path, message);
        let keys = known.clone().collect::<Vec<_>>().join(", ");
        diagnostic.suggest(nearest(key, known), format!("keys here: {keys}"))
    }
}

/// Whether a template, or a partial that it may include, says where the passages go.
pub(crate) fn places_passages(template: &str) -> bool {
    tags(template).any(|tag| tag.contains("passages"))
}

/// Whether it says where the instructions about the output go: `{{section "output"}}`.
pub(crate) fn places_output(template: &str) -> bool {
    tags(template).any(|tag| tag.contains("section") && tag.contains(OUTPUT_PLACE))
}

fn tags(template: &str) -> impl Iterator<Item = &str> {
    let tag = |rest: &'_ str| rest.split("}}").next().map(str::len);
    template
        .split("{{")
        .skip(1)
        .filter_map(move |rest| rest.get(..tag(rest)?))
}
