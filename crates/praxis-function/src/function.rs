//! A prompt as a function: validate, retrieve, render, run its technique, cite.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use futures::future::{Either, select};
use praxis_core::filter::is_unknown_key;
use praxis_core::trace::{SpanKind, SpanStatus};
use praxis_core::{
    CallContext, CallError, CallEvent, Citation, Constraint, ErrorCode, Filter, Function, Message,
    Passage, Query, Retrieval, Role, Sampling, Signature,
};
use serde_json::{Map, Value, json};

use crate::answer::AnswerFilter;
use crate::ask::Asking;
use crate::choice;
use crate::dotprompt::Templates;
use crate::examples::ExampleSet;
use crate::extension::{FirstCall, KnowledgeUse};
use crate::held::Unheld;
use crate::history::Asked;
use crate::library::Deps;
use crate::moderation::Before;
use crate::moderation::guard::{Guarding, Watch};
use crate::moderation::policy::Rules;
use crate::moderation::veil::Veil;
use crate::output::Output;
use crate::passages;
use crate::prompt::Prompt;
use crate::refusal::{self, Reason, SENTINEL};
use crate::reuse::{Looked, Reuse};
use crate::run;
use crate::scope::Gate;
use crate::structured::repair::{OutputFormat, OutputSpec};
use crate::technique::{Conclusion, Steps, written};
use crate::template;
use crate::tools::prompt_tokens;
use crate::version::Sources;

/// The section of a template that the instructions about the output fill, as in Genkit.
pub(crate) const OUTPUT_PLACE: &str = "output";

/// A function made of a prompt file.
pub struct PromptFunction {
    pub(crate) signature: Signature,
    pub(crate) prompt: Prompt,
    /// Hash of its sources.
    pub(crate) version: String,
    /// The prompt and all that was written for it.
    pub(crate) sources: Sources,
    pub(crate) templates: Arc<Templates>,
    /// Whether the template says where the passages go.
    pub(crate) places_passages: bool,
    /// Whether it says where the instructions about the output go.
    pub(crate) places_output: bool,
    pub(crate) validator: jsonschema::Validator,
    pub(crate) output: OutputSpec,
    /// What the model is held to while it writes the output.
    pub(crate) constraint: Option<Constraint>,
    /// What it is held to at the last try to mend an output that it wrote freely.
    pub(crate) last_constraint: Option<Constraint>,
    /// Whether it can be held.
    pub(crate) outputs: Unheld,
    pub(crate) instructions: String,
    pub(crate) examples: Option<ExampleSet>,
    pub(crate) gate: Gate,
    /// The answers that are kept, where its prompt wants some to be.
    pub(crate) reuse: Option<Reuse>,
    pub(crate) deps: Deps,
}

/// The most events of a call that wait to be judged.
const WAITING: usize = 64;

/// What a call has beside its input: what its caller may add, and what it reaches the world through.
pub(crate) struct Extras {
    pub past: Vec<Message>,
    pub sampling: Sampling,
    pub top_logprobs: Option<u8>,
    /// Tokens that models have written for this call.
    pub written: AtomicU64,
    /// Whether its answer is none to be given again: cut off, withheld, mended, or about more than text.
    pub unfit: AtomicBool,
    /// The function's, with personal data masked where its guard says so.
    pub deps: Deps,
    /// What masks it.
    pub veil: Option<Arc<Veil>>,
}

#[async_trait]
impl Function for PromptFunction {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn call(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        self.traced(input, self.extras(Vec::new()), cx).await
    }
}

impl PromptFunction {
    /// Hash of what a person wrote for it, which its traces name ([`crate::version`]).
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its prompt file, and the partials, schemas and data files that it uses: name and text.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The model that it names; empty for the application's default.
    pub fn model(&self) -> &str {
        &self.prompt.model
    }

    /// Whether [`PromptFunction::render`] gives its messages. It does not where a guard or a scene judges what comes
    /// in: who has the messages can ask any model past them.
    pub fn can_be_rendered(&self) -> bool {
        let ours = &self.prompt.ours;
        ours.guard.is_none() && ours.scene.is_none()
    }

    /// Its messages for an input, with passages in their places, for who asks a model of its own (MCP specification,
    /// "Prompts"). Examples, and what a technique adds, are left out.
    ///
    /// # Errors
    /// `invalid_request` for input that does not fit, `forbidden` where a guard or a scene stands before it, and what
    /// the search fails with.
    pub async fn render(&self, input: Value, cx: &CallContext) -> Result<Vec<Message>, CallError> {
        if !self.can_be_rendered() {
            let name = &self.signature.name;
            let message = format!("`{name}` has a guard or a scene, so it is called as a whole");
            return Err(CallError::new(ErrorCode::Forbidden, message));
        }
        let shown = json!({ "input": input, "version": self.version, "rendered": true });
        let (span, inner) = cx.span(SpanKind::Function, &self.signature.name, shown);
        match self.filled(input, &inner).await {
            Ok(messages) => {
                span.finish(json!(messages));
                Ok(messages)
            }
            Err(error) => {
                span.fail(&error);
                Err(error)
            }
        }
    }

    async fn filled(&self, input: Value, cx: &CallContext) -> Result<Vec<Message>, CallError> {
        let input = self.validated(input)?;
        let Some(knowledge) = &self.prompt.ours.knowledge else {
            return self.rendered(&input, &[], &[], cx);
        };
        let question = text_input(&input, &knowledge.query);
        let filter = knowledge.filter.as_ref();
        let filter = filter.map_or(Ok(None), |filter| filter.fill(&input))?;
        let extras = self.extras(Vec::new());
        let found = self
            .retrieve(knowledge, &question, filter, &extras, cx)
            .await?;
        self.rendered(&input, &found.passages, &[], cx)
    }

    /// Calls it as a chat: the last message of the user is the input that is searched for (or the
    /// only text input), what comes before is history. Sampling that is given outranks the prompt's.
    ///
    /// # Errors
    /// As [`Function::call`]; `invalid_request` where the last message is not the user's.
    pub async fn call_chat(
        &self,
        mut messages: Vec<Message>,
        sampling: Sampling,
        top_logprobs: Option<u8>,
        cx: &CallContext,
    ) -> Result<Value, CallError> {
        let last = messages
            .pop()
            .filter(|m| m.role == Role::User)
            .ok_or_else(|| {
                CallError::new(
                    ErrorCode::InvalidRequest,
                    "the last of `messages` must be the user's",
                )
            })?;
        if last.has_media() {
            let message = format!("`{}` takes the last message as a text", self.signature.name);
            return Err(CallError::new(ErrorCode::InvalidRequest, message)
                .with_hint("call it by its inputs, and give the image as one that the prompt places by `{{media url=...}}`"));
        }
        let key = self.question_input().ok_or_else(|| {
            CallError::new(
                ErrorCode::InvalidRequest,
                format!(
                    "`{}` has no input that a chat message could be",
                    self.signature.name
                ),
            )
            .with_hint("call it with `praxis call` or POST /praxis/v1/functions/NAME/call")
        })?;
        messages.retain(|m| m.role != Role::System);
        let extras = Extras {
            sampling,
            top_logprobs,
            ..self.extras(messages)
        };
        self.traced(json!({ key: last.text() }), extras, cx).await
    }

    /// The input that a question is, where one of them is.
    pub(crate) fn question_input(&self) -> Option<String> {
        let ours = &self.prompt.ours;
        if let Some(knowledge) = &ours.knowledge {
            return Some(knowledge.query.clone());
        }
        if let Some(scene) = &ours.scene {
            return Some(scene.query.clone());
        }
        let properties = self.prompt.input_schema.get("properties")?.as_object()?;
        let mut texts = properties.iter().filter(|(_, s)| s["type"] == "string");
        match (
            properties.contains_key("question"),
            texts.next(),
            texts.next(),
        ) {
            (true, ..) => Some("question".to_owned()),
            (false, Some((name, _)), None) => Some(name.clone()),
            _ => None,
        }
    }

    /// What a call has beside its input, after what was said before.
    pub(crate) fn extras(&self, past: Vec<Message>) -> Extras {
        let guard = self.prompt.ours.guard.as_ref();
        let json = self.output.format == OutputFormat::Json;
        let veil = guard.and_then(|guard| Veil::of(Rules::of(&guard.input), json));
        let deps = veil.as_ref().map(|veil| veil.over(&self.deps));
        Extras {
            past,
            sampling: Sampling::default(),
            top_logprobs: None,
            written: AtomicU64::new(0),
            unfit: AtomicBool::new(false),
            deps: deps.unwrap_or_else(|| self.deps.clone()),
            veil,
        }
    }

    /// A value of a call of it as traces have it: without what its guard masks or blocks.
    pub fn hidden(&self, value: Value) -> Value {
        match self.extras(Vec::new()).veil {
            Some(veil) => veil.traced(&value),
            None => value,
        }
    }

    async fn traced(
        &self,
        input: Value,
        extras: Extras,
        cx: &CallContext,
    ) -> Result<Value, CallError> {
        let veil = extras.veil.clone();
        let hidden = |value: Value| match &veil {
            Some(veil) => veil.traced(&value),
            None => value,
        };
        let mut shown = json!({ "input": hidden(input.clone()), "version": self.version });
        if !cx.data().is_empty() {
            shown["context"] = hidden(json!(cx.data()));
        }
        let (span, inner) = cx.span(SpanKind::Function, &self.signature.name, shown);
        match self.guarded(input, extras, &inner).await {
            Ok(mut output) => {
                span.finish(hidden(output.traced()));
                if let Some(keeping) = output.keeping.take() {
                    self.keep(keeping);
                }
                Ok(output.value)
            }
            Err(error) => {
                let told = veil.as_ref().map(|veil| veil.traced_text(&error.message));
                let status = match error.code {
                    ErrorCode::Cancelled => SpanStatus::Cancelled,
                    _ => SpanStatus::Error(told.unwrap_or_else(|| error.message.clone())),
                };
                span.close(Value::Null, status);
                Err(error)
            }
        }
    }

    /// Runs it within its guard, if it has one.
    async fn guarded(
        &self,
        input: Value,
        extras: Extras,
        cx: &CallContext,
    ) -> Result<Output, CallError> {
        let Some(guard) = &self.prompt.ours.guard else {
            return self.run(input, &extras, cx).await;
        };
        let before = Before::Function(&self.signature.name);
        let mut guarding = Guarding::new(guard, before, &extras.deps);
        guarding.let_in(&input, &extras.past, cx).await?;
        if guard.output.is_empty() {
            return self.run(input, &extras, cx).await;
        }
        let (span, judging) = guarding.begin_output(cx);
        let mut watch = guarding.watch(self.output.format == OutputFormat::Json);
        let outcome = self.watched(input, &extras, &mut watch, (cx, &judging));
        let outcome = outcome.await;
        watch.end(span, outcome)
    }

    /// Runs it under the eyes of its guard, which is the second to get its events: what a caller hears is judged.
    async fn watched(
        &self,
        input: Value,
        extras: &Extras,
        watch: &mut Watch<'_>,
        (cx, judging): (&CallContext, &CallContext),
    ) -> Result<Output, CallError> {
        let relayed = watch.holds_back() && cx.is_heard();
        let mut output = if relayed {
            let (send, events) = tokio::sync::mpsc::channel(WAITING);
            let heard = cx.clone().with_events(send);
            let run = pin!(async move {
                // Dropped when the call is done, which ends the events.
                let heard = heard;
                self.run(input, extras, &heard).await
            });
            let relay = pin!(watch.relay(events, cx));
            match select(run, relay).await {
                Either::Left((output, relay)) => {
                    relay.await?;
                    output?
                }
                // What still runs is dropped, which stops the model.
                Either::Right((Err(blocked), _)) => return Err(blocked),
                Either::Right((Ok(()), run)) => run.await?,
            }
        } else {
            self.run(input, extras, cx).await?
        };
        // Citations are of documents, not of the model.
        let answer = match self.prompt.ours.knowledge {
            Some(_) => output.value.get_mut("answer"),
            None => Some(&mut output.value),
        };
        if let Some(answer) = answer {
            let heard = relayed.then_some(cx);
            let whole = answer.take();
            *answer = watch
                .settle(whole, &mut output.reasoning, heard, judging)
                .await?;
        }
        Ok(output)
    }

    async fn run(
        &self,
        input: Value,
        extras: &Extras,
        cx: &CallContext,
    ) -> Result<Output, CallError> {
        let input = self.validated(input)?;
        if let Some(scene) = &self.prompt.ours.scene {
            let question = text_input(&input, &scene.query);
            let verdict = self.judged(&question, extras, cx).await?;
            if verdict.is_some_and(|verdict| !verdict.inside) {
                let value = self.declined(&question, cx).await?;
                return Ok(Output {
                    value,
                    ..Output::default()
                });
            }
        }
        let Some(knowledge) = &self.prompt.ours.knowledge else {
            let looked = self.look(&input, &[], extras, cx).await;
            return self.answered(&input, &[], extras, looked, cx).await;
        };
        let question = text_input(&input, &knowledge.query);
        let filter = knowledge.filter.as_ref();
        let filter = filter.map_or(Ok(None), |filter| filter.fill(&input))?;
        let mut retrieval = self
            .retrieve(knowledge, &question, filter, extras, cx)
            .await?;
        let declines = knowledge.scoped && !retrieval.is_relevant();
        let looked = match declines {
            true => Looked::Nothing,
            false => self.look(&input, &retrieval.passages, extras, cx).await,
        };
        if let Looked::Hit(kept) = &looked {
            // The numbers in its text are those of the passages.
            let passages = std::mem::take(&mut retrieval.passages);
            retrieval.passages = kept.arranged(passages);
        }
        cx.emit(CallEvent::Retrieved(retrieval.clone())).await;
        let passages = &retrieval.passages;
        let mut output = match declines {
            true => Output::default(),
            false => self.answered(&input, passages, extras, looked, cx).await?,
        };
        let refused = output.value.is_null() || output.value == SENTINEL;
        if refused {
            let text = refusal::text(&question, Reason::NotInDocuments, &self.prompt.ours.refusal);
            cx.emit(CallEvent::Delta {
                text: text.clone(),
                logprobs: Vec::new(),
            })
            .await;
            output.value = Value::String(text);
        }
        let text = written(&output.value);
        let citations = match &output.again {
            _ if refused => Vec::new(),
            Some(kept) => kept.citations(passages),
            None => citations(&text, passages),
        };
        let keeping = output.keeping.take();
        output.keeping = keeping.and_then(|keeping| keeping.citing(&citations, passages));
        cx.emit(CallEvent::Cited {
            text,
            citations: citations.clone(),
        })
        .await;
        output.value = json!({
            "answer": output.value,
            "citations": citations,
            "refused": refused,
        });
        Ok(output)
    }

    /// What the prompt's technique comes to.
    pub(crate) async fn conclude(
        &self,
        input: &Map<String, Value>,
        passages: &[Passage],
        extras: &Extras,
        cx: &CallContext,
    ) -> Result<Conclusion, CallError> {
        let ours = &self.prompt.ours;
        let given = Value::Object(input.clone());
        let sampling = merged(&self.prompt.sampling, &extras.sampling);
        let asked = choice::question(input, self.question_input().as_deref(), &extras.past);
        let asked = match &extras.veil {
            Some(veil) => veil.handed(&Value::String(asked)),
            None => Value::String(asked),
        };
        let (tools, specs) = choice::given(
            &self.prompt.tools,
            &ours.tools,
            &self.signature.name,
            &self.deps.functions,
            asked.as_str().unwrap_or_default(),
            cx,
        )
        .await?;
        let beside = prompt_tokens(&specs);
        let messages = self
            .messages(input, passages, extras, (sampling.max_tokens, beside), cx)
            .await?;
        if messages.iter().any(Message::has_media) {
            extras.unfit.store(true, Ordering::Relaxed);
        }
        let asking = Asking {
            deps: &extras.deps,
            veil: extras.veil.as_deref(),
            cx,
            name: &self.signature.name,
            model: &self.prompt.model,
            messages,
            sampling,
            top_logprobs: extras.top_logprobs,
            passages,
            cites: ours.knowledge.is_some(),
            output: &self.output,
            constraint: self.constraint.as_ref(),
            last_constraint: self.last_constraint.as_ref(),
            outputs: &self.outputs,
            choices: &self.gate.choices,
            instructions: if self.places_output {
                ""
            } else {
                &self.instructions
            },
            budget: ours.budget,
            input: &given,
            version: &self.version,
            written: &extras.written,
            unfit: &extras.unfit,
            tools: &tools,
            specs,
            calls_first: ours.tool_choice == FirstCall::Required,
            calls_many: ours.parallel_tool_calls,
            shown: AtomicBool::new(false),
        };
        let machine = ours.technique.machine(self.leaves_no_room_to_think());
        let conclusion = run::conclude(machine, &asking).await?;
        if !asking.shown.load(Ordering::Relaxed) {
            asking.show_output(&conclusion.output, cx).await;
        }
        if !ours.technique.is_direct() {
            cx.emit(CallEvent::Concluded {
                reasoning: conclusion.reasoning.clone(),
                confidence: conclusion.confidence,
            })
            .await;
        }
        Ok(conclusion)
    }

    /// The prompt's messages, with passages and examples in their places; room is kept for `answer` tokens and
    /// those of its tools.
    pub(crate) async fn messages(
        &self,
        input: &Map<String, Value>,
        passages: &[Passage],
        extras: &Extras,
        (answer, tools): (Option<u32>, usize),
        cx: &CallContext,
    ) -> Result<Vec<Message>, CallError> {
        let history = &self.prompt.ours.history;
        let asked = Asked {
            chat: extras.deps.chat.as_ref(),
            model: &self.prompt.model,
            written: &extras.written,
            tools,
            veil: extras.veil.as_deref(),
            cx,
        };
        let past = history.latest(extras.past.clone(), &asked).await?;
        let mut messages = self.rendered(input, passages, &past, cx)?;
        let scene = self.prompt.ours.scene.as_ref();
        if let Some(scene) = scene.filter(|scene| !scene.role.is_empty())
            && messages.iter().all(|m| m.role != Role::System)
        {
            messages.insert(0, Message::system(scene.role.clone()));
        }
        let turns = self.example_turns(input, &extras.deps, cx).await?;
        let last = messages.iter().rposition(|m| m.role == Role::User);
        let at = last.unwrap_or(messages.len());
        messages.splice(at..at, turns);
        history.fitting(messages, answer, &asked).await
    }

    /// Whether the output comes in an answer of its own, behind one that reasons.
    fn leaves_no_room_to_think(&self) -> bool {
        self.output.format == OutputFormat::Json || self.constraint.is_some()
    }

    /// The examples for an input, as turns.
    async fn example_turns(
        &self,
        input: &Map<String, Value>,
        deps: &Deps,
        cx: &CallContext,
    ) -> Result<Vec<Message>, CallError> {
        let Some(examples) = &self.examples else {
            return Ok(Vec::new());
        };
        let steps = Steps::new(self.leaves_no_room_to_think());
        let mut turns = Vec::new();
        for example in examples.choose(input, deps.embedder.as_ref()).await? {
            let given = match &example.input {
                Value::Object(map) => map.clone(),
                one => Map::from_iter([(self.question_input().unwrap_or_default(), one.clone())]),
            };
            let mut data = self.prompt.defaults.clone();
            data.extend(given);
            let rendered = self.rendered(&data, &[], &[], cx)?;
            turns.extend(rendered.into_iter().rfind(|m| m.role == Role::User));
            let output = written(&example.output);
            let reasoning = example.reasoning.as_deref().map(str::trim_end);
            match reasoning.filter(|_| examples.are_reasoned()) {
                Some(reasoning) => turns.extend(steps.example(reasoning, output)),
                None => turns.push(Message::assistant(output)),
            }
        }
        Ok(turns)
    }

    fn rendered(
        &self,
        input: &Map<String, Value>,
        passages: &[Passage],
        past: &[Message],
        cx: &CallContext,
    ) -> Result<Vec<Message>, CallError> {
        let mut data = input.clone();
        if self.prompt.ours.knowledge.is_some() {
            data.insert("passages".to_owned(), passages::template_value(passages));
        }
        // Who calls is told by who called, whatever the call says.
        let mut context = cx.data().clone();
        context.insert("auth".to_owned(), json!(cx.caller()));
        let render = |name: &str, past: &[Message]| {
            let rendered = template::render(&self.templates, name, data.clone(), &context, past);
            rendered.map_err(|e| {
                CallError::new(
                    ErrorCode::InvalidRequest,
                    format!("`{}`: {e}", self.signature.name),
                )
            })
        };
        let mut rendered = render(&self.signature.name, past)?;
        rendered.fill(OUTPUT_PLACE, &self.instructions);
        let mut messages = rendered.into_messages();
        if self.prompt.ours.knowledge.is_some() && !self.places_passages {
            let passages = render(passages::PARTIAL_NAME, &[])?.into_messages();
            passages::put_before_question(&mut messages, &passages);
        }
        Ok(messages)
    }

    /// The input with defaults, checked against the schema.
    fn validated(&self, input: Value) -> Result<Map<String, Value>, CallError> {
        let invalid = |message: String| CallError::new(ErrorCode::InvalidRequest, message);
        let Value::Object(given) = input else {
            return Err(invalid(format!(
                "the input of `{}` must be a JSON object",
                self.signature.name
            )));
        };
        let mut all = self.prompt.defaults.clone();
        all.extend(given);
        let value = Value::Object(all);
        if let Some(error) = self.validator.iter_errors(&value).next() {
            let at = error.instance_path().to_string();
            let place = if at.is_empty() {
                String::new()
            } else {
                format!(" at `{at}`")
            };
            let inputs: Vec<&str> = self.prompt.input_schema["properties"]
                .as_object()
                .map(|p| p.keys().map(String::as_str).collect())
                .unwrap_or_default();
            return Err(invalid(format!(
                "input of `{}`{place}: {error}",
                self.signature.name
            ))
            .with_hint(format!("inputs: {}", inputs.join(", "))));
        }
        match value {
            Value::Object(map) => Ok(map),
            _ => Ok(Map::new()),
        }
    }

    /// Searches all bases; a question that finds nothing by itself is tried once more together with
    /// the one before it, which it may lean on, unless the bases have read the conversation into it.
    async fn retrieve(
        &self,
        knowledge: &KnowledgeUse,
        question: &str,
        filter: Option<Filter>,
        extras: &Extras,
        cx: &CallContext,
    ) -> Result<Retrieval, CallError> {
        let past = extras.past.as_slice();
        let deps = &extras.deps;
        let mut query = Query {
            text: question.to_owned(),
            limit: knowledge.limit,
            history: past.to_vec(),
            filter,
            ..Query::default()
        };
        let found = search(deps, knowledge, &query, cx).await?;
        let before = past.iter().rev().find(|m| m.role == Role::User);
        if let Some(before) = before
            && found.question.is_none()
            && !found.is_relevant()
        {
            query.text = format!("{}\n{question}", before.text());
            query.history = Vec::new();
            let wider = search(deps, knowledge, &query, cx).await?;
            if wider.is_relevant() {
                return Ok(wider);
            }
        }
        Ok(found)
    }
}

/// Searches all bases.
async fn search(
    deps: &Deps,
    knowledge: &KnowledgeUse,
    query: &Query,
    cx: &CallContext,
) -> Result<Retrieval, CallError> {
    let mut all = Retrieval {
        threshold: 1.0,
        ..Retrieval::default()
    };
    let mut questions = Vec::new();
    let mut without_key = Vec::new();
    for base in &knowledge.bases {
        let found = match deps.retriever.search(base, query, cx).await {
            // Nothing of this base fits; another one may have what is filtered by.
            Err(error) if is_unknown_key(&error) => {
                without_key.push(error);
                continue;
            }
            found => found?,
        };
        questions.extend(found.question);
        all.threshold = all.threshold.min(found.threshold);
        all.passages.extend(found.passages);
    }
    if without_key.len() == knowledge.bases.len()
        && let Some(error) = without_key.pop()
    {
        return Err(error);
    }
    if knowledge.bases.len() > 1 {
        all.passages
            .sort_by(|a, b| b.relevance.total_cmp(&a.relevance));
        all.passages.truncate(knowledge.limit);
    }
    if questions.len() == knowledge.bases.len() {
        all.question = questions.pop();
    }
    Ok(all)
}

/// An input that is a text; empty where it is none.
fn text_input(input: &Map<String, Value>, name: &str) -> String {
    let text = input.get(name).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// The passages that a final text cites.
fn citations(text: &str, passages: &[Passage]) -> Vec<Citation> {
    let mut filter = AnswerFilter::new(passages);
    filter.push(text);
    filter.finish();
    filter.citations(passages)
}

/// The prompt's sampling with what the caller gives over it.
fn merged(base: &Sampling, over: &Sampling) -> Sampling {
    Sampling {
        temperature: over.temperature.or(base.temperature),
        top_k: over.top_k.or(base.top_k),
        top_p: over.top_p.or(base.top_p),
        min_p: over.min_p.or(base.min_p),
        repetition_penalty: over.repetition_penalty.or(base.repetition_penalty),
        frequency_penalty: over.frequency_penalty.or(base.frequency_penalty),
        presence_penalty: over.presence_penalty.or(base.presence_penalty),
        seed: over.seed.or(base.seed),
        max_tokens: over.max_tokens.or(base.max_tokens),
        stop: if over.stop.is_empty() {
            base.stop.clone()
        } else {
            over.stop.clone()
        },
        logit_bias: if over.logit_bias.is_empty() {
            base.logit_bias.clone()
        } else {
            over.logit_bias.clone()
        },
    }
}

#[cfg(test)]
pub(crate) mod tests;
