//! `praxis prompts try`: each case through each variant, several calls at a time, and what came of it.
//!
//! It is about the working copy: a pin changes what is served, not what is tried.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use futures::StreamExt;
use praxis_core::suggest::nearest;
use praxis_core::{
    CallContext, CallError, Caller, ChatGateway, ChatRequest, ChatStream, ErrorCode, Function,
    Message, ModelError, Money, Span, SpanKind, TokenCount, TraceSink, Usage,
};
use praxis_function::{Deps, Library, PromptFunction, REPAIR, Sources, version};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::beside;
use super::cases::{self, Case};
use super::checks;
use super::prefix;
use super::results::{Asked, Outcome, Results};
use super::summary::{self, Row, seconds};
use crate::app::{self, App};
use crate::cli::{Check, Global, Try};
use crate::ui::{self, BOLD, DIM, Failure};
use crate::versions;

/// Width where there is no terminal to ask.
const WIDTH: usize = 100;

/// The name of the prompt itself among its variants.
const BASE: &str = "base";

/// A function that takes part.
struct Variant {
    name: String,
    function: Arc<PromptFunction>,
    /// Keeps what it calls.
    _around: Arc<Library>,
}

/// Runs what is not in the results file yet, and prints the comparison.
///
/// # Errors
/// Unknown functions and variants, cases that are none, a file that cannot be written; interruption.
pub async fn run(app: &App, args: Try, global: &Global) -> Result<(), Failure> {
    let deps = deps(app, args.model.as_deref())?;
    let (name, files) = prompt(app, &args.function)?;
    let variants = compare(app, &name, &files, &args.compare, &deps).await?;
    let Some(schema) = variants
        .first()
        .map(|v| &v.function.signature().input_schema)
    else {
        return Err(Failure::message("nothing to compare"));
    };
    let cases = cases::read(&args.data, schema, args.limit)?;
    let (mut file, known) = match &args.out {
        Some(path) => {
            let (file, known) = Results::open(path)?;
            (Some(file), known)
        }
        None => (None, Vec::new()),
    };
    load(app, &variants, args.model.as_deref()).await;
    let began = Instant::now();
    let cancel = crate::commands::cancel_on_ctrl_c();
    let trial = Trial {
        app,
        args: &args,
        cancel: cancel.clone(),
    };
    // Of each case, all variants: what is stopped half-way can be compared as far as it went.
    let mut pairs = Vec::new();
    for case in &cases {
        for variant in &variants {
            let found = known
                .iter()
                .rev()
                .find(|o| o.answers(&trial.asked(case, variant)));
            pairs.push((case, variant, found.map(|o| trial.judged(o.clone(), case))));
        }
    }
    let progress = ui::count_bar(&ui::progress_group(), "calls", pairs.len() as u64);
    let waiting: Vec<usize> = (0..pairs.len()).filter(|i| pairs[*i].2.is_none()).collect();
    progress.inc((pairs.len() - waiting.len()) as u64);
    {
        let jobs: Vec<_> = waiting
            .into_iter()
            .map(|i| (i, pairs[i].0, pairs[i].1))
            .collect();
        let mut done = futures::stream::iter(jobs)
            .map(|(i, case, variant)| {
                let trial = &trial;
                async move { (i, trial.call(case, variant).await) }
            })
            .buffer_unordered(args.concurrency.max(1));
        while let Some((i, outcome)) = done.next().await {
            let Some(outcome) = outcome else {
                continue;
            };
            if let Some(file) = &mut file {
                file.add(&outcome)?;
            }
            pairs[i].2 = Some(outcome);
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    let wall_ms = began.elapsed().as_secs_f64() * 1e3;
    let rows: Vec<Row> = variants
        .iter()
        .map(|variant| {
            let of = |pair: &&(&Case, &Variant, Option<Outcome>)| pair.1.name == variant.name;
            let outcomes: Vec<&Outcome> = pairs
                .iter()
                .filter(of)
                .filter_map(|p| p.2.as_ref())
                .collect();
            Row::of(&variant.name, variant.function.version(), &outcomes)
        })
        .collect();
    let functions: Vec<(&str, &PromptFunction)> = variants
        .iter()
        .map(|variant| (variant.name.as_str(), variant.function.as_ref()))
        .collect();
    let prefixes = prefix::of(&functions, &cases).await;
    let missing = pairs.iter().filter(|p| p.2.is_none()).count();
    let stopped = missing > 0 && cancel.is_cancelled();
    if stopped && global.json {
        // One JSON document is printed, and it is the error's.
    } else if global.json {
        let results: Vec<&Outcome> = pairs.iter().filter_map(|p| p.2.as_ref()).collect();
        let results = args.out.is_none().then(|| json!(results));
        ui::out_json(&json!({
            "function": name,
            "cases": cases.len(),
            "variants": rows,
            "prefixes": prefix::shown(&prefixes),
            "wall_ms": wall_ms,
            "results": results,
        }));
    } else {
        for case in cases.iter().take(args.show) {
            show(case, &pairs);
        }
        ui::out(summary::table(&rows));
        for (variant, prefix) in &prefixes {
            ui::note(ui::paint(DIM, prefix::note(variant, prefix)));
        }
        ui::note(ui::paint(
            DIM,
            format_args!(
                "\n{} cases, {} calls at a time, {} in all",
                cases.len(),
                args.concurrency.max(1),
                seconds(wall_ms)
            ),
        ));
    }
    if stopped {
        let failure = Failure::message(format!("stopped: {missing} calls were not made"));
        return Err(match &args.out {
            Some(_) => failure.with_help("the same command goes on where it stopped"),
            None => failure.with_help("with --out FILE, a run can go on where it stopped"),
        });
    }
    Ok(())
}

/// Loads the local models, so that no call's time is that of loading. What cannot be loaded is told by
/// the calls.
async fn load(app: &App, variants: &[Variant], model: Option<&str>) {
    for variant in variants {
        let name = model.unwrap_or_else(|| app.model_of(&variant.function));
        let _ = app.gateway.preload(name).await;
    }
}

/// One case, its answers side by side.
fn show(case: &Case, pairs: &[(&Case, &Variant, Option<Outcome>)]) {
    let input = match case.input.values().next() {
        Some(only) if case.input.len() == 1 => checks::text(only),
        _ => json!(case.input).to_string(),
    };
    let width = terminal_size::terminal_size().map_or(WIDTH, |(w, _)| usize::from(w.0));
    ui::out(ui::paint(BOLD, format_args!("Case {}", case.id)));
    for line in beside::wrap(&input, width) {
        ui::out(line);
    }
    if let Some(expect) = &case.expect {
        let expect = crate::commands::call::excerpt(&checks::text(expect), 300);
        for line in beside::wrap(&format!("expected: {expect}"), width) {
            ui::out(ui::paint(DIM, line));
        }
    }
    let outcomes: Vec<(&str, Option<&Outcome>)> = pairs
        .iter()
        .filter(|pair| pair.0.id == case.id)
        .map(|pair| (pair.1.name.as_str(), pair.2.as_ref()))
        .collect();
    ui::out(format!("\n{}\n", beside::view(&outcomes, width)));
}

/// What all calls share.
struct Trial<'a> {
    app: &'a App,
    args: &'a Try,
    cancel: CancellationToken,
}

impl Trial<'_> {
    fn asked<'a>(&'a self, case: &'a Case, variant: &'a Variant) -> Asked<'a> {
        Asked {
            case: &case.id,
            variant: &variant.name,
            version: variant.function.version(),
            model: self.args.model.as_deref(),
            input: &case.input,
        }
    }

    /// Makes a call; nothing where it was stopped.
    async fn call(&self, case: &Case, variant: &Variant) -> Option<Outcome> {
        if self.cancel.is_cancelled() {
            return None;
        }
        let spans = Arc::new(Collector {
            inner: self.app.sink(),
            spans: Mutex::default(),
        });
        let cx = CallContext::new(spans.clone())
            .with_caller(Caller::full())
            .with_cancel(self.cancel.child_token());
        let trace_id = cx.trace_id().to_string();
        let began = Instant::now();
        let input = Value::Object(case.input.clone());
        let answer = tokio::select! {
            answer = variant.function.call(input, &cx) => answer,
            () = self.cancel.cancelled() => return None,
        };
        let latency_ms = began.elapsed().as_secs_f64() * 1e3;
        let (output, error) = match answer {
            Ok(output) => (output, None),
            Err(CallError {
                code: ErrorCode::Cancelled,
                ..
            }) => return None,
            Err(error) => (Value::Null, Some(error.to_string())),
        };
        let spent = spans.spent();
        let outcome = Outcome {
            case: case.id.clone(),
            variant: variant.name.clone(),
            version: variant.function.version().to_owned(),
            asked: self.args.model.clone(),
            models: spent.models,
            input: case.input.clone(),
            output,
            expect: None,
            passed: None,
            error,
            input_tokens: spent.usage.input_tokens,
            cached_tokens: spent.usage.cached_tokens,
            output_tokens: spent.usage.output_tokens,
            repairs: spent.repairs,
            cost_usd: spent.cost.0 as f64 / 1e6,
            latency_ms,
            trace_id,
        };
        Some(self.judged(outcome, case))
    }

    /// The outcome with what is expected now: a result of an earlier run is judged anew.
    fn judged(&self, mut outcome: Outcome, case: &Case) -> Outcome {
        outcome.expect.clone_from(&case.expect);
        outcome.passed = None;
        if !outcome.output.is_null() {
            outcome.error = None;
        }
        let Some(expect) = &case.expect else {
            return outcome;
        };
        outcome.passed = Some(false);
        if outcome.error.is_none() {
            let check = self.args.check.unwrap_or(Check::Exact);
            match checks::passes(check, checks::answer(&outcome.output), expect) {
                Ok(passed) => outcome.passed = Some(passed),
                Err(problem) => {
                    outcome.passed = None;
                    outcome.error = Some(format!("cannot be judged: {problem}"));
                }
            }
        }
        outcome
    }
}

/// The function that is tried, and the prompts around it: the folder's, with a file from elsewhere
/// among them if one is named.
fn prompt(app: &App, named: &str) -> Result<(String, Sources), Failure> {
    let folder = app.project.root.join("prompts");
    let mut files = version::read_sources(&folder);
    let path = Path::new(named);
    if !named.ends_with(".prompt") {
        return Ok((named.to_owned(), files));
    }
    let cannot =
        |e: &dyn std::fmt::Display| Failure::message(format!("cannot read `{named}`: {e}"));
    let text = std::fs::read_to_string(path).map_err(|e| cannot(&e))?;
    let file = name_in(&folder, path).ok_or_else(|| cannot(&"it has no name"))?;
    let name = file.strip_suffix(".prompt").unwrap_or(&file).to_owned();
    files.insert(file, text);
    version::data::add(&mut files, &app.project.root);
    Ok((name, files))
}

/// The name of a prompt file in the folder of prompts, `support/greet.prompt`; of one from elsewhere, its own.
fn name_in(folder: &Path, path: &Path) -> Option<String> {
    let inside = || {
        let (folder, path) = (folder.canonicalize().ok()?, path.canonicalize().ok()?);
        let names: Vec<String> = path
            .strip_prefix(&folder)
            .ok()?
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        Some(names.join("/"))
    };
    let own = || Some(path.file_name()?.to_string_lossy().into_owned());
    inside().or_else(own)
}

/// What is compared.
async fn compare(
    app: &App,
    name: &str,
    files: &Sources,
    wanted: &[String],
    deps: &Deps,
) -> Result<Vec<Variant>, Failure> {
    let known = app.project.known();
    let library = Library::from_sources(files, "prompts", &known, deps).map_err(app::errors)?;
    let library = Arc::new(library);
    let base = library.get(name)?;
    let names: Vec<String> = version::functions(files)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let own = library.variants(name);
    let wanted: Vec<String> = if wanted.is_empty() {
        let all = std::iter::once(BASE).chain(own.iter().copied());
        all.map(str::to_owned).collect()
    } else {
        wanted.to_vec()
    };
    let mut found: Vec<Variant> = Vec::new();
    for wanted in wanted {
        if found.iter().any(|v| v.name == wanted) {
            continue;
        }
        let function = if wanted == BASE {
            Arc::clone(&base)
        } else if own.contains(&wanted.as_str()) {
            library.get(&format!("{name}.{wanted}"))?
        } else if names.contains(&wanted) {
            library.get(&wanted)?
        } else {
            of_version(app, name, &wanted, &names, deps)
                .await?
                .ok_or_else(|| {
                    let failure = Failure::message(format!(
                        "`{wanted}` is no variant or version of `{name}`, and no other function"
                    ));
                    let among = own.iter().copied().chain(names.iter().map(String::as_str));
                    match nearest(&wanted, among) {
                    Some(near) => failure.with_help(format!("did you mean `{near}`?")),
                    None => failure.with_help(format!(
                        "a variant is a file prompts/{name}.{wanted}.prompt; `praxis prompts log \
                         {name}` lists versions"
                    )),
                }
                })?
        };
        found.push(Variant {
            name: wanted,
            function,
            _around: Arc::clone(&library),
        });
    }
    Ok(found)
}

/// An old version of the function, where the name looks like one.
async fn of_version(
    app: &App,
    name: &str,
    wanted: &str,
    others: &[String],
    deps: &Deps,
) -> Result<Option<Arc<PromptFunction>>, Failure> {
    let hex = wanted.len() >= 4 && wanted.bytes().all(|b| b.is_ascii_hexdigit());
    if !hex && wanted != "pinned" {
        return Ok(None);
    }
    let found = versions::find(&app.project, Some(&app.store), name, wanted).await?;
    let place = format!("prompts@{}", found.hash);
    let mut known = app.project.known();
    known.functions.extend(others.iter().cloned());
    // What it calls is what is served; what calls it stays with what is served too.
    let deps = Deps {
        functions: deps.functions.beside(),
        ..deps.clone()
    };
    let library = Library::from_sources(&found.sources, &place, &known, &deps);
    let library = library.map_err(app::errors)?;
    Ok(Some(library.get(name)?))
}

/// The application's ports, with all questions turned to one model where one is named.
fn deps(app: &App, model: Option<&str>) -> Result<Deps, Failure> {
    let mut deps = app.deps();
    if let Some(model) = model {
        let known = app.project.known().models;
        if !known.iter().any(|k| k == model) {
            let failure = Failure::message(format!("no model `{model}`"));
            return Err(match nearest(model, known.iter().map(String::as_str)) {
                Some(near) => failure.with_help(format!("did you mean `{near}`?")),
                None => failure.with_help("praxis models list"),
            });
        }
        deps.chat = Arc::new(OneModel {
            model: model.to_owned(),
            inner: deps.chat,
        });
    }
    Ok(deps)
}

/// A gateway that asks one model whatever the prompt names.
struct OneModel {
    model: String,
    inner: Arc<dyn ChatGateway>,
}

#[async_trait]
impl ChatGateway for OneModel {
    async fn chat(
        &self,
        mut request: ChatRequest,
        cx: &CallContext,
    ) -> Result<ChatStream, ModelError> {
        request.model.clone_from(&self.model);
        self.inner.chat(request, cx).await
    }

    fn window(&self, _: &str) -> Option<usize> {
        self.inner.window(&self.model)
    }

    async fn count_tokens(&self, _: &str, messages: &[Message]) -> Result<TokenCount, ModelError> {
        self.inner.count_tokens(&self.model, messages).await
    }
}

/// A sink that keeps the spans of one call, and passes them on.
struct Collector {
    inner: Arc<dyn TraceSink>,
    spans: Mutex<Vec<Span>>,
}

/// What a call's models took.
#[derive(Default)]
struct Spent {
    repairs: u64,
    models: Vec<String>,
    usage: Usage,
    cost: Money,
}

impl TraceSink for Collector {
    fn record(&self, span: Span) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.push(span.clone());
        drop(spans);
        self.inner.record(span);
    }
}

impl Collector {
    fn spent(&self) -> Spent {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spent = Spent::default();
        for span in spans.iter() {
            spent.cost = spent.cost + span.cost;
            spent.repairs += u64::from(span.kind == SpanKind::Step && span.name == REPAIR);
            if span.kind != SpanKind::Chat {
                continue;
            }
            spent.usage += span.usage;
            let model = span.output["model"].as_str().unwrap_or(&span.name);
            if spent.models.iter().all(|m| m != model) {
                spent.models.push(model.to_owned());
            }
        }
        spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_folder_keeps_its_name_and_one_from_elsewhere_has_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("prompts");
        std::fs::create_dir_all(folder.join("support")).unwrap();
        for (file, name) in [
            ("prompts/answer.prompt", "answer.prompt"),
            ("prompts/support/greet.prompt", "support/greet.prompt"),
            ("prompts/support/../answer.prompt", "answer.prompt"),
            ("mine.prompt", "mine.prompt"),
        ] {
            let path = dir.path().join(file);
            std::fs::write(&path, "x").unwrap();
            assert_eq!(name_in(&folder, &path).as_deref(), Some(name), "{file}");
        }
    }
}
