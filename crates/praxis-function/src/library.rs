//! All functions of an application: `prompts/*.prompt`, loaded and checked together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use praxis_core::select::{FirstTools, ToolSelector};
use praxis_core::suggest::nearest;
use praxis_core::{
    CallError, ChatGateway, Constraint, Diagnostic, Embedder, ErrorCode, Function, Retriever,
    Severity, Signature, SourceSpan, VECTOR_STORE, plain,
};
use serde_json::{Value, json};

use crate::ask;
use crate::dotprompt::{Flaw, Templates};
use crate::examples::ExampleSet;
use crate::function::PromptFunction;
use crate::held::Unheld;
use crate::moderation::{self, ApplicationGuard, CATEGORIES, ModelGuard, Moderator};
use crate::passages;
use crate::prompt::{Prompt, parse, places_output, places_passages};
use crate::reuse::{self, Reuse};
use crate::schemas::Schemas;
use crate::scope::Gate;
use crate::structured::instructions::instructions;
use crate::structured::locals;
use crate::structured::repair::{OutputFormat, OutputSpec};
use crate::structured::schema::OutputSchema;
use crate::version::{self, Sources, data};

/// What functions reach the world through.
#[derive(Clone)]
pub struct Deps {
    /// Chat models.
    pub chat: Arc<dyn ChatGateway>,
    /// Knowledge bases.
    pub retriever: Arc<dyn Retriever>,
    /// The application's embedder, for examples and votes by meaning.
    pub embedder: Arc<dyn Embedder>,
    /// The functions that are loaded: those that call others find them here.
    pub functions: Functions,
    /// What texts are judged by.
    pub moderator: Arc<Moderator>,
}

/// The functions of an application, as they call each other by name. Cloning gives the same ones; a
/// library that is loaded with it puts its functions in, in the place of others of their names.
#[derive(Clone, Default)]
pub struct Functions {
    prompts: Arc<RwLock<BTreeMap<String, Weak<PromptFunction>>>>,
    /// Those that are there without a file.
    built_in: Arc<BTreeMap<String, Arc<dyn Function>>>,
    /// Who chooses where a prompt has more tools than a turn is given.
    selector: Option<Arc<dyn ToolSelector>>,
}

impl Functions {
    /// The function of that name.
    ///
    /// # Errors
    /// `not_found`, naming the nearest.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<dyn Function>, CallError> {
        let all = self.prompts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(prompt) = all.get(name).and_then(Weak::upgrade) {
            return Ok(prompt);
        }
        let found = self.built_in.get(name).cloned();
        found.ok_or_else(|| not_found(name, all.keys().chain(self.built_in.keys())))
    }

    /// The same functions, but what a library puts in is its own: to load old versions beside those that are
    /// served.
    #[must_use]
    pub fn beside(&self) -> Self {
        let all = self.prompts.read().unwrap_or_else(PoisonError::into_inner);
        Self {
            prompts: Arc::new(RwLock::new(all.clone())),
            built_in: Arc::clone(&self.built_in),
            selector: self.selector.clone(),
        }
    }

    /// The same functions, with who chooses among them where a prompt has many as tools.
    #[must_use]
    pub fn with_selector(self, selector: Arc<dyn ToolSelector>) -> Self {
        Self {
            selector: Some(selector),
            ..self
        }
    }

    /// Who chooses among many tools; without anybody, the first are taken.
    pub(crate) fn selector(&self) -> Arc<dyn ToolSelector> {
        self.selector
            .clone()
            .unwrap_or_else(|| Arc::new(FirstTools))
    }

    /// Names of all functions that begin so.
    pub(crate) fn below(&self, start: &str) -> Vec<String> {
        let all = self.prompts.read().unwrap_or_else(PoisonError::into_inner);
        let prompts = all.iter().filter(|(_, prompt)| prompt.strong_count() > 0);
        let names = prompts.map(|(name, _)| name).chain(self.built_in.keys());
        names
            .filter(|name| name.starts_with(start))
            .cloned()
            .collect()
    }

    /// Functions that are there without a file, beside those of the prompts that will be loaded.
    pub fn with_built_in(functions: impl IntoIterator<Item = Arc<dyn Function>>) -> Self {
        let named = |f: Arc<dyn Function>| (f.signature().name.clone(), f);
        Self {
            prompts: Arc::default(),
            built_in: Arc::new(functions.into_iter().map(named).collect()),
            selector: None,
        }
    }

    fn put(&self, functions: &BTreeMap<String, Arc<PromptFunction>>) {
        let mut all = self.prompts.write().unwrap_or_else(PoisonError::into_inner);
        let weak = functions
            .iter()
            .map(|(name, f)| (name.clone(), Arc::downgrade(f)));
        all.extend(weak);
    }
}

fn not_found<'a>(name: &str, names: impl Iterator<Item = &'a String> + Clone) -> CallError {
    let error = CallError::new(ErrorCode::NotFound, format!("no function `{name}`"));
    let names = names.map(String::as_str);
    match nearest(name, names.clone()) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!(
            "a function is a file `prompts/NAME.prompt`; there are: {}",
            names.collect::<Vec<_>>().join(", ")
        )),
    }
}

/// Names that prompts may refer to, and what else holds for them.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Models of the application and the catalogue.
    pub models: Vec<String>,
    /// Knowledge bases.
    pub knowledge: Vec<String>,
    /// Functions that are there beside those of the prompts that are loaded. A name that ends with `/` stands for any
    /// below it, as of a server that cannot be asked now.
    pub functions: Vec<String>,
    /// Categories of the application's own classifier, beside those of the OpenAI API.
    pub categories: Vec<String>,
    /// What holds for every function whose prompt does not do without it.
    pub guard: Option<Arc<ApplicationGuard>>,
    /// The application's folder: data files that prompts name are relative to it.
    pub root: PathBuf,
}

/// The functions of an application, by name.
pub struct Library {
    functions: BTreeMap<String, Arc<PromptFunction>>,
    /// The same and those without a file, by name.
    all: Functions,
    moderator: Arc<Moderator>,
    /// What stands around models that are asked past all functions.
    models: Option<ModelGuard>,
}

/// A prompt file, or another one of a version, that has been read.
struct Source {
    /// Its path in the folder.
    file: String,
    /// The same without the ending.
    name: String,
    /// The name by which others include it, if it is a partial.
    partial: Option<String>,
    shown: String,
    text: String,
}

/// What is wrong with the prompts in `dir`; nothing if there is no such folder.
pub fn check(dir: &Path, known: &Known) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let sources = sources(dir, &known.root, &mut problems);
    read(sources, known, problems).1
}

/// What is wrong with prompts that are not files, or not yet; diagnostics call their folder `place`.
pub fn check_sources(files: &Sources, place: &str, known: &Known) -> Vec<Diagnostic> {
    read(in_memory(files, place), known, Vec::new()).1
}

impl Library {
    /// Loads the prompts in `dir`.
    ///
    /// # Errors
    /// All diagnostics, if one of them is an error.
    pub fn load(dir: &Path, known: &Known, deps: &Deps) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let sources = sources(dir, &known.root, &mut problems);
        Self::compose(sources, known, deps, problems)
    }

    /// The same of prompts that are not files, such as those of another version; diagnostics call their
    /// folder `place`.
    ///
    /// # Errors
    /// As [`Library::load`].
    pub fn from_sources(
        files: &Sources,
        place: &str,
        known: &Known,
        deps: &Deps,
    ) -> Result<Self, Vec<Diagnostic>> {
        Self::compose(in_memory(files, place), known, deps, Vec::new())
    }

    /// Puts another version of a function in the place of the one of its name.
    pub fn replace(&mut self, function: Arc<PromptFunction>) {
        self.functions
            .insert(function.signature.name.clone(), function);
    }

    /// All functions, by name.
    pub fn functions(&self) -> impl Iterator<Item = &Arc<PromptFunction>> {
        self.functions.values()
    }

    fn compose(
        sources: Vec<Source>,
        known: &Known,
        deps: &Deps,
        problems: Vec<Diagnostic>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let (loaded, problems) = read(sources, known, problems);
        if problems.iter().any(|p| p.severity == Severity::Error) {
            return Err(problems);
        }
        let templates = Arc::new(loaded.templates);
        let functions: BTreeMap<String, Arc<PromptFunction>> = loaded
            .prompts
            .into_iter()
            .filter_map(|loaded| {
                let LoadedPrompt {
                    name,
                    prompt,
                    sources,
                    examples,
                    validator,
                    schema,
                    places_passages,
                    places_output,
                } = loaded;
                // Without one there was a problem, and nothing is composed.
                let validator = validator?;
                let mut prompt = prompt;
                if let Some(application) = &known.guard {
                    prompt.ours.guard = application.of_function(prompt.ours.guard.take());
                }
                let output = OutputSpec {
                    schema,
                    checks: prompt.ours.checks.clone(),
                    format: prompt.output_format,
                };
                let is_json = prompt.output_format == OutputFormat::Json;
                let promised = prompt.output_schema.as_ref().filter(|_| is_json);
                let schema_held = match promised {
                    Some(schema) => Some(Constraint::JsonSchema(schema.clone())),
                    None => prompt.output_schema.as_ref().and_then(choices),
                };
                let reuse = prompt.ours.cache.as_ref().map(|wanted| {
                    let embedder = deps.embedder.identity();
                    Reuse::new(wanted, &name, embedder)
                });
                let own = prompt.ours.constraint.clone();
                let held = schema_held.clone().filter(|_| prompt.ours.constrained);
                let function = PromptFunction {
                    constraint: own.or(held),
                    last_constraint: schema_held,
                    outputs: Unheld::default(),
                    instructions: promised.map_or_else(String::new, |schema| {
                        format!("\n\n{}", instructions(schema))
                    }),
                    output,
                    examples,
                    gate: Gate::default(),
                    reuse,
                    signature: signature(&name, &prompt),
                    places_passages,
                    places_output,
                    prompt,
                    version: version::version(&name, &sources),
                    sources,
                    templates: Arc::clone(&templates),
                    validator,
                    deps: deps.clone(),
                };
                Some((name, Arc::new(function)))
            })
            .collect();
        deps.functions.put(&functions);
        ask::describe_metrics();
        moderation::describe_metrics();
        reuse::describe_metrics();
        Ok(Self {
            functions,
            all: deps.functions.clone(),
            moderator: Arc::clone(&deps.moderator),
            models: of_models(known, deps),
        })
    }

    /// The function of that name, of a prompt or not.
    ///
    /// # Errors
    /// `not_found`, naming the nearest.
    pub fn function(&self, name: &str) -> Result<Arc<dyn Function>, CallError> {
        match self.functions.get(name) {
            Some(prompt) => Ok(Arc::clone(prompt) as Arc<dyn Function>),
            None => self.all.get(name),
        }
    }

    /// What texts are judged by, here and at `/v1/moderations`.
    pub fn moderator(&self) -> &Moderator {
        &self.moderator
    }

    /// What stands around models that are asked past all functions, where the application's guard holds for them.
    pub fn model_guard(&self) -> Option<&ModelGuard> {
        self.models.as_ref()
    }

    /// Models as those have them who ask past all functions: within the application's guard, where it holds for them.
    pub fn guarded(&self, chat: Arc<dyn ChatGateway>) -> Arc<dyn ChatGateway> {
        match &self.models {
            Some(guard) => guard.over(chat),
            None => chat,
        }
    }

    /// Signatures of the functions that are there without a file, by name.
    pub fn built_in(&self) -> Vec<Signature> {
        let all = self.all.built_in.values();
        all.map(|f| f.signature().clone()).collect()
    }

    /// The function of that prompt.
    ///
    /// # Errors
    /// `not_found`, naming the nearest.
    pub fn get(&self, name: &str) -> Result<Arc<PromptFunction>, CallError> {
        let found = self.functions.get(name).cloned();
        found.ok_or_else(|| not_found(name, self.functions.keys()))
    }

    /// The variants of a function: `concise` where there is `answer.concise` beside `answer`. Each is
    /// a function of its own, by its whole name.
    pub fn variants(&self, name: &str) -> Vec<&str> {
        let prefix = format!("{name}.");
        let names = self.functions.keys();
        names
            .filter_map(|whole| whole.strip_prefix(prefix.as_str()))
            .filter(|variant| !variant.contains('/'))
            .collect()
    }

    /// Signatures of all functions of prompts, by name.
    pub fn list(&self) -> Vec<Signature> {
        self.functions
            .values()
            .map(|f| f.signature.clone())
            .collect()
    }
}

fn of_models(known: &Known, deps: &Deps) -> Option<ModelGuard> {
    let guard = known.guard.as_ref()?;
    let holds = guard.holds_for_models();
    holds.then(|| ModelGuard::new(guard.guard().clone(), deps.clone()))
}

fn signature(name: &str, prompt: &Prompt) -> Signature {
    let own = prompt.output_schema.clone();
    let own = own.unwrap_or_else(|| json!({ "type": "string" }));
    let output_schema = if prompt.ours.knowledge.is_some() {
        json!({
            "type": "object",
            "properties": {
                "answer": own,
                "citations": { "type": "array", "items": { "type": "object" } },
                "refused": { "type": "boolean" },
            },
            "required": ["answer", "citations", "refused"],
        })
    } else {
        own
    };
    Signature {
        name: name.to_owned(),
        description: prompt.description.clone(),
        input_schema: prompt.input_schema.clone(),
        output_schema,
        // Its tools stand behind policies of their own.
        effects: praxis_core::Effects::default(),
    }
}

struct Loaded {
    templates: Templates,
    prompts: Vec<LoadedPrompt>,
}

struct LoadedPrompt {
    name: String,
    prompt: Prompt,
    /// The texts that make its version.
    sources: Sources,
    examples: Option<ExampleSet>,
    /// Of the input; none where its schema is broken.
    validator: Option<jsonschema::Validator>,
    /// Of an output that is JSON.
    schema: Option<OutputSchema>,
    places_passages: bool,
    places_output: bool,
}

fn read(
    sources: Vec<Source>,
    known: &Known,
    mut problems: Vec<Diagnostic>,
) -> (Loaded, Vec<Diagnostic>) {
    let files: Sources = sources
        .iter()
        .map(|s| (s.file.clone(), s.text.clone()))
        .collect();
    let folder = |s: &Source| {
        s.shown
            .strip_suffix(&format!("/{}", s.file))
            .map(str::to_owned)
    };
    let place = sources.iter().find_map(folder).unwrap_or_default();
    let schemas = Schemas::read(&files, &place, &mut problems);
    let sources: Vec<Source> = sources
        .into_iter()
        .filter(|s| version::is_prompt(&s.file))
        .collect();
    let mut templates = Templates::new();
    // The text behind each name that a template may include.
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    // The built-in partial is valid; a file of its name takes its place.
    if let Err(flaw) = templates.add(passages::PARTIAL_NAME, passages::PARTIAL) {
        problems.push(Diagnostic::error(flaw.to_string()));
    }
    texts.insert(
        passages::PARTIAL_NAME.to_owned(),
        passages::PARTIAL.to_owned(),
    );
    for source in sources.iter().filter(|s| s.partial.is_some()) {
        // Dotprompt calls the file `_rules.prompt` by `{{>rules}}`; both names work.
        for name in source.partial.iter().chain([&source.name]) {
            if let Err(flaw) = templates.add(name, &source.text) {
                problems.push(template_problem(source, 0, &flaw));
                break;
            }
            texts.insert(name.clone(), source.text.clone());
        }
    }
    let mut parsed = Vec::new();
    for source in sources.iter().filter(|s| s.partial.is_none()) {
        let prompt = match parse(&source.shown, &source.text, &schemas) {
            Ok(mut prompt) => {
                problems.append(&mut prompt.warnings);
                prompt
            }
            Err(mut found) => {
                problems.append(&mut found);
                continue;
            }
        };
        references(source, &prompt, known, &mut problems);
        beside_application(source, &prompt, known, &mut problems);
        vector_stores(source, &prompt, &mut problems);
        callees(source, &prompt, &files, known, &mut problems);
        let declared = prompt.ours.technique.examples.as_ref();
        let examples = declared
            .map(|e| ExampleSet::load(e, &files, &known.root))
            .transpose();
        let examples = examples.unwrap_or_else(|error| {
            problems.push(at_text(source, "technique", error));
            None
        });
        // That a text is a text needs no proof, which would keep it back until it is whole.
        let promised = prompt.output_schema.as_ref();
        let promised = promised.filter(|schema| {
            prompt.output_format == OutputFormat::Json || says_more_than_text(schema)
        });
        let schema = promised.map(OutputSchema::compile);
        let schema = schema.transpose().unwrap_or_else(|error| {
            let message = format!("`output.schema` is no JSON Schema: {error}");
            problems.push(at_text(source, "output", message));
            None
        });
        // One that does not end would bring the validator down.
        let validator = locals::ends(&prompt.input_schema).and_then(|()| {
            let validator = jsonschema::validator_for(&prompt.input_schema);
            validator.map_err(|error| error.to_string())
        });
        let validator = validator.map_err(|error| {
            let message = format!("`input.schema` is no JSON Schema: {error}");
            problems.push(at_text(source, "schema", message));
        });
        if let Err(flaw) = templates.add(&source.name, &prompt.template) {
            problems.push(template_problem(source, prompt.template_start, &flaw));
        }
        texts.insert(source.name.clone(), prompt.template.clone());
        parsed.push((source, prompt, examples, validator.ok(), schema));
    }
    // Only now all partials are known.
    let prompts = parsed
        .into_iter()
        .map(|(source, prompt, examples, validator, schema)| {
            for partial in templates.missing(&source.name) {
                problems.push(no_partial(source, &partial, texts.keys()));
            }
            let included = templates.partials_of(&source.name);
            let partials = included.iter().filter_map(|name| texts.get(name));
            let all: Vec<&String> = partials.chain([&prompt.template]).collect();
            let any = |places: fn(&str) -> bool| all.iter().any(|text| places(text));
            LoadedPrompt {
                name: source.name.clone(),
                places_passages: any(places_passages),
                places_output: any(places_output),
                sources: version::sources(&files, &source.name).unwrap_or_default(),
                examples,
                validator,
                schema,
                prompt,
            }
        })
        .collect();
    (Loaded { templates, prompts }, problems)
}

/// Whether the schema of a text says more than that it is one.
fn says_more_than_text(schema: &Value) -> bool {
    let says_nothing = |key: &String| matches!(key.as_str(), "type" | "description" | "title");
    let keys = schema.as_object();
    keys.is_none_or(|keys| !keys.keys().all(says_nothing))
}

/// What a text is held to whose schema lists all that it may be.
fn choices(schema: &Value) -> Option<Constraint> {
    let texts = schema.get("enum")?.as_array()?.iter();
    let texts: Option<Vec<String>> = texts.map(|v| v.as_str().map(str::to_owned)).collect();
    texts.map(Constraint::Choice)
}

/// Prompts that are not files, as if they were.
fn in_memory(files: &Sources, place: &str) -> Vec<Source> {
    let source = |(file, text): (&String, &String)| {
        Source::new(file.clone(), format!("{place}/{file}"), text.clone())
    };
    files.iter().map(source).collect()
}

impl Source {
    fn new(file: String, shown: String, text: String) -> Self {
        let name = without_suffix(&file);
        let partial = match name.rsplit_once('/') {
            Some((folder, file)) => file.strip_prefix('_').map(|f| format!("{folder}/{f}")),
            None => name.strip_prefix('_').map(str::to_owned),
        };
        Self {
            file,
            name,
            partial,
            shown,
            text,
        }
    }
}

/// The prompts of a folder, and the data files that they name in the application's folder, `root`.
fn sources(dir: &Path, root: &Path, problems: &mut Vec<Diagnostic>) -> Vec<Source> {
    let folder = dir
        .file_name()
        .map_or_else(|| "prompts".into(), |n| n.to_string_lossy());
    let (mut files, mut unread) = (Sources::new(), Vec::new());
    for (file, path) in version::files(dir, &mut unread) {
        let bytes = std::fs::read(&path).map_err(|error| error.to_string());
        match bytes.and_then(plain::utf8) {
            Ok(text) => {
                files.insert(file, text);
            }
            Err(why) => {
                let message = format!("cannot read `{folder}/{file}`: {why}");
                problems.push(Diagnostic::error(message));
            }
        }
    }
    problems.extend(unread.into_iter().map(|(below, error)| {
        Diagnostic::error(format!(
            "cannot read the folder `{folder}/{below}`: {error}"
        ))
    }));
    data::add(&mut files, root);
    in_memory(&files, &folder)
}

/// The name of a prompt file's function or partial.
fn without_suffix(file: &str) -> String {
    file.strip_suffix(".prompt").unwrap_or(file).to_owned()
}

/// Models and bases that the prompt names and nobody knows.
fn references(source: &Source, prompt: &Prompt, known: &Known, problems: &mut Vec<Diagnostic>) {
    let mut check = |kind: &str, name: &str, among: &[String]| {
        if among.iter().any(|k| k == name) {
            return;
        }
        let diagnostic = at_text(source, name, format!("no {kind} `{name}`"));
        let near = nearest(name, among.iter().map(String::as_str));
        let all = match among {
            // Models and categories there always are.
            [] => format!("there is no {kind} yet; a base is a file `knowledge/NAME.toml`"),
            all => format!("there are: {}", all.join(", ")),
        };
        problems.push(diagnostic.suggest(near, all));
    };
    if !prompt.model.is_empty() {
        check("model", &prompt.model, &known.models);
    }
    if let Some(guard) = &prompt.ours.guard {
        for judge in guard.judges() {
            check("model", judge, &known.models);
        }
        let named = CATEGORIES.iter().map(|c| (*c).to_owned());
        let categories: Vec<String> = named.chain(known.categories.iter().cloned()).collect();
        for category in guard.classified() {
            check("category", category, &categories);
        }
    }
    if let Some(knowledge) = &prompt.ours.knowledge {
        for base in &knowledge.bases {
            // Vector stores come and go while the server runs.
            if base.starts_with(VECTOR_STORE) {
                continue;
            }
            check("knowledge base", base, &known.knowledge);
        }
    }
}

/// Where a prompt leaves the application's guard out, or says less of something than that does.
fn beside_application(
    source: &Source,
    prompt: &Prompt,
    known: &Known,
    problems: &mut Vec<Diagnostic>,
) {
    let (Some(application), Some(own)) = (&known.guard, &prompt.ours.guard) else {
        return;
    };
    let mut warn = |at: &str, message: String, help: &str| {
        problems.push(Diagnostic {
            severity: Severity::Warning,
            ..at_text(source, at, message).help(help)
        });
    };
    if own.alone {
        let name = &source.name;
        let message = format!("`{name}` does without the application's guard");
        warn(
            "inherit",
            message,
            "leave `inherit` out, unless `[guard]` in praxis.toml is not to hold here",
        );
        return;
    }
    for (side, kinds) in application.overrules(own) {
        let names: Vec<String> = kinds.iter().map(|k| format!("`{}`", k.name())).collect();
        if !names.is_empty() {
            let names = names.join(", ");
            let message = format!(
                "`guard.{side}` says less of {names} than the application's guard, which holds here too"
            );
            warn(
                "guard",
                message,
                "leave them out, or say `inherit: false` to do without `[guard]` in praxis.toml",
            );
        }
    }
}

/// Vector stores that the prompt names: whether they are there is known when it is called.
fn vector_stores(source: &Source, prompt: &Prompt, problems: &mut Vec<Diagnostic>) {
    let bases = prompt.ours.knowledge.iter().flat_map(|k| &k.bases);
    for base in bases.filter(|base| base.starts_with(VECTOR_STORE)) {
        let message =
            format!("`{base}` is a vector store, which the application's files do not have");
        let at = source.text.find(base.as_str()).unwrap_or(0);
        let span = SourceSpan::new(&source.shown, &source.text, at..at + base.len());
        problems.push(
            Diagnostic::warning(message)
                .at(span)
                .help("make sure that it is there where the prompt is called, and does not expire"),
        );
    }
}

/// Functions that the prompt calls and that are not there.
fn callees(
    source: &Source,
    prompt: &Prompt,
    files: &Sources,
    known: &Known,
    problems: &mut Vec<Diagnostic>,
) {
    let ours = &prompt.ours;
    let built_in = || known.functions.iter().map(String::as_str);
    let names = || version::functions(files).into_iter().chain(built_in());
    let callees = ours.checks.functions().chain(ours.technique.functions());
    let may_be = |name: &str, callee: &str| name.ends_with('/') && callee.starts_with(name);
    for start in prompt.tools.starts() {
        if !names().any(|name| name.starts_with(start) || may_be(name, start)) {
            let diagnostic = at_text(source, start, format!("no function begins with `{start}`"));
            let near = nearest(start, names());
            let otherwise = "`praxis tools list` shows what is there";
            problems.push(diagnostic.suggest(near, otherwise));
        }
    }
    for callee in callees.chain(prompt.tools.functions()) {
        if names().any(|name| name == callee || may_be(name, callee)) {
            continue;
        }
        let diagnostic = at_text(source, callee, format!("no function `{callee}`"));
        let near = nearest(callee, names());
        problems.push(diagnostic.suggest(near, "a function is a file `prompts/NAME.prompt`"));
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

/// A flaw of a template that begins at a byte of the file.
fn template_problem(source: &Source, start: usize, flaw: &Flaw) -> Diagnostic {
    let before = &source.text[..start];
    let column = match (flaw.line, before.rfind('\n')) {
        // On the template's first line, what stands before it counts.
        (1, Some(line)) => before[line + 1..].chars().count() + flaw.column,
        (1, None) => before.chars().count() + flaw.column,
        _ => flaw.column,
    };
    let line = before.matches('\n').count() + flaw.line;
    let span = SourceSpan::at(&source.shown, &source.text, line, column);
    Diagnostic::error(format!("the template: {}", flaw.message))
        .at(span)
        .help(&flaw.help)
}

fn no_partial<'a>(
    source: &Source,
    name: &str,
    known: impl Iterator<Item = &'a String> + Clone,
) -> Diagnostic {
    let message = format!("no partial `{name}`");
    // In the file itself, or in a partial that it includes.
    let diagnostic = match source.text.contains(name) {
        true => at_text(source, name, message),
        false => Diagnostic::error(format!("`{}`: {message}", source.shown)),
    };
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let slash = if folder.is_empty() { "" } else { "/" };
    let otherwise = format!("it would be `{folder}{slash}_{file}.prompt`");
    diagnostic.suggest(nearest(name, known.map(String::as_str)), otherwise)
}

#[cfg(test)]
mod tests;
