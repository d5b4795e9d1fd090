//! All functions of an application: `prompts/*.prompt`, loaded and checked together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use praxis_core::suggest::nearest;
use praxis_core::{
    CallError, ChatGateway, Diagnostic, ErrorCode, Retriever, Severity, Signature, SourceSpan,
};
use serde_json::json;

use crate::function::PromptFunction;
use crate::passages;
use crate::prompt::{Prompt, parse, places_passages};
use crate::template::Templates;

/// What functions reach the world through.
#[derive(Clone)]
pub struct Deps {
    /// Chat models.
    pub chat: Arc<dyn ChatGateway>,
    /// Knowledge bases.
    pub retriever: Arc<dyn Retriever>,
}

/// Names that prompts may refer to.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Models of the application and the catalogue.
    pub models: Vec<String>,
    /// Knowledge bases.
    pub knowledge: Vec<String>,
}

/// The functions of an application, by name.
pub struct Library {
    functions: BTreeMap<String, Arc<PromptFunction>>,
}

/// A prompt file that has been read.
struct Source {
    name: String,
    shown: String,
    text: String,
}

/// What is wrong with the prompts in `dir`; nothing if there is no such folder.
pub fn check(dir: &Path, known: &Known) -> Vec<Diagnostic> {
    read(dir, known).1
}

impl Library {
    /// Loads the prompts in `dir`.
    ///
    /// # Errors
    /// All diagnostics, if one of them is an error.
    pub fn load(dir: &Path, known: &Known, deps: &Deps) -> Result<Self, Vec<Diagnostic>> {
        let (loaded, problems) = read(dir, known);
        if problems.iter().any(|p| p.severity == Severity::Error) {
            return Err(problems);
        }
        let templates = Arc::new(loaded.templates);
        let partials_place = loaded.partials_place;
        let functions = loaded
            .prompts
            .into_iter()
            .filter_map(|(name, version, prompt)| {
                // The schema has been compiled once by `read`: it compiles again.
                let validator = jsonschema::validator_for(&prompt.input_schema).ok()?;
                let function = PromptFunction {
                    signature: signature(&name, &prompt),
                    places_passages: partials_place || places_passages(&prompt.template),
                    prompt,
                    version,
                    templates: Arc::clone(&templates),
                    validator,
                    deps: deps.clone(),
                };
                Some((name, Arc::new(function)))
            })
            .collect();
        Ok(Self { functions })
    }

    /// The function of that name.
    ///
    /// # Errors
    /// `not_found`, naming the nearest.
    pub fn get(&self, name: &str) -> Result<Arc<PromptFunction>, CallError> {
        self.functions.get(name).cloned().ok_or_else(|| {
            let error = CallError::new(ErrorCode::NotFound, format!("no function `{name}`"));
            let names = self.functions.keys().map(String::as_str);
            match nearest(name, names.clone()) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint(format!(
                    "a function is a file `prompts/NAME.prompt`; there are: {}",
                    names.collect::<Vec<_>>().join(", ")
                )),
            }
        })
    }

    /// Signatures of all functions, by name.
    pub fn list(&self) -> Vec<Signature> {
        self.functions
            .values()
            .map(|f| f.signature.clone())
            .collect()
    }
}

fn signature(name: &str, prompt: &Prompt) -> Signature {
    let output_schema = if prompt.knowledge.is_some() {
        json!({
            "type": "object",
            "properties": {
                "answer": { "type": "string" },
                "citations": { "type": "array", "items": { "type": "object" } },
                "refused": { "type": "boolean" },
            },
            "required": ["answer", "citations", "refused"],
        })
    } else {
        prompt
            .output_schema
            .clone()
            .unwrap_or_else(|| json!({ "type": "string" }))
    };
    Signature {
        name: name.to_owned(),
        description: prompt.description.clone(),
        input_schema: prompt.input_schema.clone(),
        output_schema,
    }
}

struct Loaded {
    templates: Templates,
    /// Whether a partial says where the passages go.
    partials_place: bool,
    prompts: Vec<(String, String, Prompt)>,
}

fn read(dir: &Path, known: &Known) -> (Loaded, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let sources = sources(dir, &mut problems);
    let mut templates = Templates::new();
    let mut prompts = Vec::new();
    let mut partials = blake3::Hasher::new();
    let mut partials_place = false;
    // The built-in partial is valid; a file of its name takes its place.
    if let Err(error) = templates.add(passages::PARTIAL_NAME, passages::PARTIAL) {
        problems.push(Diagnostic::error(error.to_string()));
    }
    let is_partial = |s: &&Source| s.name.starts_with('_');
    for source in sources.iter().filter(is_partial) {
        partials.update(source.text.as_bytes());
        partials_place |= places_passages(&source.text);
        // Dotprompt calls the file `_rules.prompt` by `{{>rules}}`; both names work.
        for name in [source.name.as_str(), &source.name[1..]] {
            if let Err(error) = templates.add(name, &source.text) {
                problems.push(template_problem(source, &source.text, &error));
                break;
            }
        }
    }
    let partials = partials.finalize();
    for source in sources.iter().filter(|s| !is_partial(s)) {
        let prompt = match parse(&source.shown, &source.text) {
            Ok(prompt) => prompt,
            Err(mut found) => {
                problems.append(&mut found);
                continue;
            }
        };
        references(source, &prompt, known, &mut problems);
        if let Err(error) = jsonschema::validator_for(&prompt.input_schema) {
            problems.push(at_text(
                source,
                "schema",
                format!("`input.schema` is no JSON Schema: {error}"),
            ));
        }
        if let Err(error) = templates.add(&source.name, &prompt.template) {
            problems.push(template_problem(source, &prompt.template, &error));
        }
        let mut version = blake3::Hasher::new();
        version
            .update(source.text.as_bytes())
            .update(partials.as_bytes());
        prompts.push((
            source.name.clone(),
            version.finalize().to_hex()[..12].to_owned(),
            prompt,
        ));
    }
    let loaded = Loaded {
        templates,
        partials_place,
        prompts,
    };
    (loaded, problems)
}

fn sources(dir: &Path, problems: &mut Vec<Diagnostic>) -> Vec<Source> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "prompt"))
        .collect();
    paths.sort();
    let folder = dir
        .file_name()
        .map_or_else(|| "prompts".into(), |n| n.to_string_lossy());
    paths
        .into_iter()
        .filter_map(|path| {
            let name = path.file_stem()?.to_string_lossy().into_owned();
            let shown = format!("{folder}/{name}.prompt");
            match std::fs::read_to_string(&path) {
                Ok(text) => Some(Source { name, shown, text }),
                Err(error) => {
                    problems.push(Diagnostic::error(format!("cannot read `{shown}`: {error}")));
                    None
                }
            }
        })
        .collect()
}

/// Models and bases that the prompt names and nobody knows.
fn references(source: &Source, prompt: &Prompt, known: &Known, problems: &mut Vec<Diagnostic>) {
    let mut check = |kind: &str, name: &str, among: &[String]| {
        if among.iter().any(|k| k == name) {
            return;
        }
        let diagnostic = at_text(source, name, format!("no {kind} `{name}`"));
        problems.push(match nearest(name, among.iter().map(String::as_str)) {
            Some(near) => diagnostic.label(format!("did you mean `{near}`?")),
            None => diagnostic.help(format!("there are: {}", among.join(", "))),
        });
    };
    if !prompt.model.is_empty() {
        check("model", &prompt.model, &known.models);
    }
    if let Some(knowledge) = &prompt.knowledge {
        for base in &knowledge.bases {
            check("knowledge base", base, &known.knowledge);
        }
    }
}

fn at_text(source: &Source, text: &str, message: String) -> Diagnostic {
    let at = source.text.find(text).unwrap_or(0);
    Diagnostic::error(message).at(SourceSpan::new(
        &source.shown,
        &source.text,
        at..at + text.len(),
    ))
}

fn template_problem(
    source: &Source,
    template: &str,
    error: &handlebars::TemplateError,
) -> Diagnostic {
    let before = source.text.len().saturating_sub(template.len());
    let first = source.text[..before].matches('\n').count();
    let (line, column) = error.pos().unwrap_or((1, 1));
    let message = format!("the template is not Handlebars: {}", error.reason());
    Diagnostic::error(message)
        .at(SourceSpan::at(
            &source.shown,
            &source.text,
            first + line.max(1),
            column.max(1),
        ))
        .help("every `{{` needs its `}}`, every `{{#name}}` its `{{/name}}`")
}

#[cfg(test)]
mod tests;
