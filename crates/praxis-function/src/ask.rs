//! One question to the model: put, answered, checked, and put again until the answer keeps its promise.
//!
//! What may be shown while it is written is shown: a text that nothing checks, and JSON that is
//! constrained to its schema, piece by piece; any other output when it is valid, since what readers have
//! seen is never taken back. Left out: which questions are asked (`technique`).

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::StreamExt;
use praxis_core::language::is_han;
use praxis_core::{
    CallContext, CallError, CallEvent, ChatChunk, ChatRequest, Constraint, ErrorCode, FinishReason,
    Message, Passage, Role, Sampling, SpanKind, ToolCall, ToolCalls, ToolChoice, ToolSpec,
};
use regex::Regex;
use serde_json::{Value, json};

use crate::held::Unheld;
use crate::library::Deps;
use crate::moderation::veil::Veil;
use crate::refusal::SENTINEL;
use crate::run::Budget;
use crate::stream::{Reply, Show, Sink};
use crate::structured::checks::FunctionCheck;
use crate::structured::repair::{
    Answer as Try, OutputFormat, OutputSpec, Repair, RepairBudget, Verdict,
};
use crate::structured::violation::{Violation, alternatives, shown};
use crate::technique::{Answer, Ask, Form, written};
use crate::tools::Tools;

/// Seeds of the samples of one question are this far apart, so that those of questions with seeds
/// beside each other differ too.
const SEEDS: u64 = 0x9e37_79b9_7f4a_7c15;

/// The name of the step in which an output is asked for again.
pub const REPAIR: &str = "repair";

/// What the model reads behind the last result that it gets.
const NO_MORE_TOOLS: &str = "\n\n[No more tools can be called. Answer with what is known by now.]";

/// What all questions of one call have in common.
pub(crate) struct Asking<'a> {
    pub deps: &'a Deps,
    /// What keeps personal data from models, traces and the functions that are called.
    pub veil: Option<&'a Veil>,
    pub cx: &'a CallContext,
    /// The function's name.
    pub name: &'a str,
    pub model: &'a str,
    /// The prompt's messages.
    pub messages: Vec<Message>,
    pub sampling: Sampling,
    pub top_logprobs: Option<u8>,
    pub passages: &'a [Passage],
    /// Whether answers cite passages.
    pub cites: bool,
    pub output: &'a OutputSpec,
    /// What the model is held to while it writes an output.
    pub constraint: Option<&'a Constraint>,
    /// What it is held to at the last try, where it writes freely before.
    pub last_constraint: Option<&'a Constraint>,
    /// Whether it can be held.
    pub outputs: &'a Unheld,
    /// Whether it can be held to one of some words.
    pub choices: &'a Unheld,
    /// What the prompt says of its output, for outputs that are JSON.
    pub instructions: &'a str,
    pub budget: Budget,
    /// The call's input.
    pub input: &'a Value,
    /// The function's version: its prompts begin alike.
    pub version: &'a str,
    /// Tokens that models have written for the call.
    pub written: &'a AtomicU64,
    /// Whether an answer was cut off, withheld or mended.
    pub unfit: &'a AtomicBool,
    /// What the model may call meanwhile.
    pub tools: &'a Tools,
    /// The same as models are told of it.
    pub specs: Vec<ToolSpec>,
    /// Whether one of them is called before the first answer.
    pub calls_first: bool,
    /// Whether several may be called in one turn.
    pub calls_many: bool,
    /// Whether the reader has seen the output's text.
    pub shown: AtomicBool,
}

impl Asking<'_> {
    /// Puts the question.
    ///
    /// # Errors
    /// The model's, or `output_invalid` with the best attempt where no answer keeps its promise.
    pub async fn ask(&self, ask: &Ask) -> Result<Answer, CallError> {
        // A call of one question is its own step.
        if ask.step == "answer" && ask.shown {
            return self.answer(ask, self.cx).await;
        }
        let about = json!({ "sample": ask.sample });
        let (span, cx) = self.cx.span(SpanKind::Step, &ask.step, about);
        let answer = self.answer(ask, &cx).await;
        match &answer {
            Ok(answer) => {
                span.finish(self.traced(json!({ "text": answer.text, "output": answer.output })));
            }
            Err(error) => span.fail(error),
        }
        answer
    }

    async fn answer(&self, ask: &Ask, cx: &CallContext) -> Result<Answer, CallError> {
        match &ask.form {
            Form::Free => {
                let show = if ask.shown {
                    Show::Thought
                } else {
                    Show::Nothing
                };
                let sink = Sink::new(self, &ask.form, show);
                let rounds = AtomicU64::new(0);
                let reply = self.reply(self.request(ask), sink, &rounds, cx).await?;
                Ok(Answer {
                    text: reply.reasoning,
                    output: None,
                })
            }
            Form::Choice(words) => {
                let mut request = self.request(ask);
                request.constraint = Some(Constraint::Choice(words.clone()));
                request.tools.clear();
                let sink = || Sink::new(self, &Form::Free, Show::Nothing);
                let rounds = AtomicU64::new(0);
                let reply = |request| self.reply(request, sink(), &rounds, cx);
                let reply = self.choices.ask(self.name, request, reply).await?;
                let chosen = chosen(words, &reply.reasoning).cloned();
                Ok(Answer {
                    text: chosen.unwrap_or(reply.reasoning),
                    output: None,
                })
            }
            Form::Output | Form::Reasoned => self.output(ask, cx).await,
        }
    }

    /// Asks until the output is what the function promises.
    async fn output(&self, ask: &Ask, cx: &CallContext) -> Result<Answer, CallError> {
        let mut repair = Repair::new(RepairBudget {
            attempts: self.budget.repairs.saturating_add(1),
            tokens: self.budget.tokens,
        });
        let mut repairs = 0;
        let answer = self.kept(ask, &mut repair, &mut repairs, cx).await;
        // A repair that ends in another error has failed as one has that the tries did not suffice for.
        let end = if answer.is_ok() { "valid" } else { "failed" };
        self.count_repairs(repairs, end);
        answer
    }

    /// The same; `repairs` counts how often it is asked again.
    async fn kept(
        &self,
        ask: &Ask,
        repair: &mut Repair,
        repairs: &mut u64,
        cx: &CallContext,
    ) -> Result<Answer, CallError> {
        let mut request = self.request(ask);
        // What is constrained to its output cannot reason before it.
        let reasoned = ask.form == Form::Reasoned;
        request.constraint = self.constraint.filter(|_| !reasoned).cloned();
        let asked = request.messages.len();
        let rounds = AtomicU64::new(0);
        let first = |request: ChatRequest| {
            let show = self.show(ask, request.constraint.is_some());
            self.reply(request, Sink::new(self, &ask.form, show), &rounds, cx)
        };
        let mut reply = self.outputs.ask(self.name, request.clone(), first).await?;
        let reasoning = std::mem::take(&mut reply.reasoning);
        // What tools were called and gave, in all tries.
        let mut turns = Vec::new();
        let mut is_as_written = true;
        let output = loop {
            if reply.refused {
                break json!(SENTINEL);
            }
            let Some(text) = reply.text.take() else {
                // Reasoning that never came to its mark: the technique asks for the answer.
                return Ok(Answer {
                    text: reasoning,
                    output: None,
                });
            };
            let again = match self.judged(&text, &reply, repair).await? {
                Verdict::Valid(output, mended) => {
                    if !mended.is_empty() {
                        is_as_written = false;
                        let (span, _) = cx.span(SpanKind::Step, "mend", self.traced(json!(text)));
                        span.finish(self.traced(json!({ "output": output, "mended": mended })));
                    }
                    break output;
                }
                Verdict::Ask(again) => again,
                Verdict::Failed(failure) => {
                    let mut error = CallError::from(failure);
                    error.message.insert_str(0, &format!("`{}`: ", self.name));
                    return Err(error);
                }
                Verdict::Pending(_) => {
                    let message = "a check is pending twice";
                    return Err(CallError::new(ErrorCode::Internal, message));
                }
            };
            *repairs += 1;
            is_as_written = false;
            if *repairs == u64::from(self.budget.repairs) && request.constraint.is_none() {
                request.constraint = self.last_constraint.cloned();
            }
            turns.append(&mut reply.turns);
            request.messages.truncate(asked);
            request.messages.extend(turns.iter().cloned());
            request.messages.extend(again.messages);
            if let Some(least) = again.temperature {
                let temperature = &mut request.sampling.temperature;
                *temperature = Some(temperature.unwrap_or(least).max(least));
            }
            let violations = repair.attempts().last().map(|a| &a.violations);
            let (span, inner) = cx.span(
                SpanKind::Step,
                REPAIR,
                self.traced(json!({ "attempt": repairs, "violations": violations })),
            );
            // Who was asked to reason may do so again before what is mended.
            let sink = || Sink::new(self, &ask.form, Show::Nothing);
            let again = |request| self.reply(request, sink(), &rounds, &inner);
            let answer = self.outputs.ask(self.name, request.clone(), again).await;
            let answer = answer.map(|reply| reply.or_whole(self));
            match &answer {
                Ok(answer) => span.finish(self.traced(json!(answer.text))),
                Err(error) => span.fail(error),
            }
            reply = answer.map_err(|error| repair.beside(error))?;
        };
        if !is_as_written {
            self.unfit.store(true, Ordering::Relaxed);
        }
        if ask.shown {
            if self.output.format == OutputFormat::Json && !is_as_written {
                // The parts that were shown are those of what did not keep its promise.
                cx.emit(CallEvent::Partial(output.clone())).await;
            }
            if !self.shown.load(Ordering::Relaxed) {
                self.show_output(&output, cx).await;
            }
        }
        Ok(Answer {
            text: reasoning,
            output: Some(output),
        })
    }

    /// What is to become of an answer with this text.
    async fn judged(
        &self,
        text: &str,
        reply: &Reply,
        repair: &mut Repair,
    ) -> Result<Verdict, CallError> {
        let answer = Try {
            text,
            finish: reply.finish,
            tokens: reply.tokens,
            passages: self.passages.len(),
        };
        let mut verdict = repair.on_answer(self.output, answer);
        if let Verdict::Pending(checks) = verdict {
            let mut found = Vec::new();
            for check in &checks {
                let checked = self.checked(check).await;
                found.extend(checked.map_err(|error| repair.beside(error))?);
            }
            verdict = repair.on_checked(self.output, text, found);
        }
        // Also of a model that is held: what is cut off by its length is in no form.
        if let Verdict::Valid(output, _) = &verdict
            && let Some(found) = self.constraint.and_then(|c| broken(c, output))
        {
            verdict = repair.on_checked(self.output, text, vec![found]);
        }
        Ok(verdict)
    }

    /// What a function of the application says of an output.
    async fn checked(&self, check: &FunctionCheck) -> Result<Option<Violation>, CallError> {
        let input = json!({ "input": self.input, "output": check.output });
        let result = self.call(&check.function, input).await?;
        check
            .judged(&result)
            .map_err(|message| CallError::new(ErrorCode::Upstream, message))
    }

    /// Gives the reader an output that was not shown while it was written.
    pub async fn show_output(&self, output: &Value, cx: &CallContext) {
        if self.cites && output == SENTINEL {
            // The call says it in words of its own.
            return;
        }
        self.shown.store(true, Ordering::Relaxed);
        let text = written(output);
        cx.emit(CallEvent::Delta {
            text,
            logprobs: Vec::new(),
        })
        .await;
    }

    /// Whether the models have written all that they may for the call.
    pub fn is_spent(&self) -> bool {
        self.written.load(Ordering::Relaxed) >= self.budget.tokens
    }

    fn count_repairs(&self, repairs: u64, end: &'static str) {
        if repairs > 0 {
            let name = self.name.to_owned();
            metrics::counter!("praxis_output_repairs_total", "function" => name, "end" => end)
                .increment(repairs);
        }
    }

    /// What of an output may be shown while it is written: only what nothing can prove wrong later.
    fn show(&self, ask: &Ask, held: bool) -> Show {
        let is_free = self.output.format == OutputFormat::Text
            && self.output.schema.is_none()
            && self.constraint.is_none();
        let is_certain =
            // A model that is held may write its output, call tools all the same, and write it again.
            self.output.checks.is_empty()
                && ask.form == Form::Output
                && (is_free || (held && self.specs.is_empty()));
        match (ask.shown, is_certain) {
            (false, _) => Show::Nothing,
            (true, true) => Show::Output,
            (true, false) => Show::Thought,
        }
    }

    fn request(&self, ask: &Ask) -> ChatRequest {
        let mut messages = self.messages.clone();
        let mut suffix = ask.suffix.clone();
        let mut turns = ask.turns.clone();
        if ask.form == Form::Output && !self.instructions.is_empty() {
            match turns.last_mut() {
                Some(last) => last.append(self.instructions),
                None => suffix.push_str(self.instructions),
            }
        }
        if !suffix.is_empty() {
            match messages.iter_mut().rfind(|m| m.role == Role::User) {
                Some(last) => last.append(&suffix),
                None => messages.push(Message::user(suffix.trim_start())),
            }
        }
        let last = messages.iter().rposition(|m| m.role == Role::User);
        let at = last.unwrap_or(messages.len());
        messages.splice(at..at, ask.before.iter().cloned());
        messages.append(&mut turns);
        let mut sampling = self.sampling.clone();
        sampling.temperature = ask.temperature.or(sampling.temperature);
        sampling.seed = sampling
            .seed
            .map(|seed| seed.wrapping_add(ask.sample.wrapping_mul(SEEDS)));
        ChatRequest {
            model: self.model.to_owned(),
            messages,
            sampling,
            top_logprobs: self.top_logprobs,
            tools: self.specs.clone(),
            parallel_tool_calls: (!self.specs.is_empty() && !self.calls_many).then_some(false),
            cache_key: Some(self.version.to_owned()),
            ..ChatRequest::default()
        }
    }

    /// Asks, and makes the calls that the model wants until it answers. After the last of the rounds
    /// that it may have, which are counted in `rounds`, it has to answer with what it knows.
    async fn reply(
        &self,
        mut request: ChatRequest,
        mut sink: Sink<'_>,
        rounds: &AtomicU64,
        cx: &CallContext,
    ) -> Result<Reply, CallError> {
        let asked = request.messages.len();
        let done = rounds.load(Ordering::Relaxed);
        if done >= self.tools.max_turns {
            request.tool_choice = ToolChoice::None;
        } else if done == 0 && self.calls_first && !request.tools.is_empty() {
            request.tool_choice = ToolChoice::Required;
        }
        loop {
            let round = self.round(request.clone(), &mut sink, cx).await;
            let Round { text, calls } = round.map_err(|error| match request.messages.len() {
                more if more > asked => begun(error),
                _ => error,
            })?;
            if calls.is_empty() {
                break;
            }
            sink.called(cx).await;
            let results = self.run_tools(&calls, sink.is_heard(), cx).await?;
            request.messages.push(Message {
                tool_calls: calls,
                ..Message::assistant(text)
            });
            request.messages.extend(results);
            let done = rounds.fetch_add(1, Ordering::Relaxed) + 1;
            request.tool_choice = ToolChoice::Auto;
            if done >= self.tools.max_turns {
                if let Some(last) = request.messages.last_mut() {
                    last.append(NO_MORE_TOOLS);
                }
                let about = json!({ "rounds": done });
                let (span, _) = cx.span(SpanKind::Step, "no_more_tools", about);
                span.finish(Value::Null);
                request.tool_choice = ToolChoice::None;
            }
        }
        let mut reply = sink.finish(cx).await;
        reply.turns = request.messages.split_off(asked);
        Ok(reply)
    }

    /// Asks once.
    async fn round(
        &self,
        mut request: ChatRequest,
        sink: &mut Sink<'_>,
        cx: &CallContext,
    ) -> Result<Round, CallError> {
        let written = self.written.load(Ordering::Relaxed);
        let left = self.budget.tokens.saturating_sub(written);
        if left == 0 {
            return Err(Budget::exceeded("tokens", self.budget.tokens));
        }
        let most = &mut request.sampling.max_tokens;
        let is_held = most.is_none_or(|most| left < u64::from(most));
        if let Ok(left) = u32::try_from(left) {
            *most = Some(most.unwrap_or(left).min(left));
        }
        let may_call = !request.tools.is_empty() && request.tool_choice != ToolChoice::None;
        let (mut text, mut calls) = (String::new(), ToolCalls::default());
        let mut stream = self.deps.chat.chat(request, cx).await?;
        let (mut is_begun, mut is_cut) = (false, false);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| match is_begun {
                true => begun(error.into()),
                false => CallError::from(error),
            })?;
            is_begun = true;
            match chunk {
                ChatChunk::Delta {
                    text: more,
                    logprobs,
                } => {
                    if may_call {
                        text.push_str(&more);
                    }
                    if sink.take(&more, logprobs, cx).await.is_break() {
                        break;
                    }
                }
                ChatChunk::Reasoning(text) => sink.thought(text, cx).await,
                ChatChunk::ToolCall(delta) => calls.push(&delta),
                ChatChunk::Done {
                    finish_reason,
                    usage,
                } => {
                    sink.ended(finish_reason, usage, cx).await;
                    self.written
                        .fetch_add(usage.output_tokens, Ordering::Relaxed);
                    // What the prompt's own `maxOutputTokens` ends is as long as it was to be.
                    is_cut = is_held
                        && finish_reason == FinishReason::Length
                        && usage.output_tokens >= left;
                }
            }
        }
        if is_cut {
            return Err(Budget::exceeded("tokens", self.budget.tokens));
        }
        let calls = if may_call { calls.finish() } else { Vec::new() };
        Ok(Round { text, calls })
    }

    /// Calls another function of the application.
    ///
    /// # Errors
    /// `not_found`, and the function's own.
    pub async fn call(&self, function: &str, input: Value) -> Result<Value, CallError> {
        let function = self.deps.functions.get(function)?;
        let input = match self.veil {
            Some(veil) => veil.handed(&input),
            None => input,
        };
        // Boxed: a function may call others that call others.
        let given = Box::pin(function.call(input, &self.cx.nested()?)).await?;
        Ok(self.restored(given))
    }

    /// What another function gave, as this one works on it.
    pub fn restored(&self, value: Value) -> Value {
        match self.veil {
            Some(veil) => veil.restored(&value),
            None => value,
        }
    }

    /// A value as traces have it.
    pub fn traced(&self, value: Value) -> Value {
        match self.veil {
            Some(veil) => veil.traced(&value),
            None => value,
        }
    }
}

/// Describes the metrics, for exporters that show descriptions.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(
        "praxis_output_repairs_total",
        "Outputs that were asked for again because they broke their promise, by whether a valid one came of it"
    );
}

/// One answer of a model that may call tools.
struct Round {
    text: String,
    calls: Vec<ToolCall>,
}

/// The error of an answer that has begun: what readers have seen of it, and what tools have done for it,
/// is not asked for again without a constraint.
fn begun(mut error: CallError) -> CallError {
    if error.code == ErrorCode::InvalidRequest {
        error.code = ErrorCode::Upstream;
    }
    error
}

/// The word that a text means which may say more than it was asked to: itself, or the first that it mentions.
fn chosen<'w>(words: &'w [String], text: &str) -> Option<&'w String> {
    let text = text.trim();
    let goes_on = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && !is_han(c));
    let mention = |word: &'w String| {
        let alone = |at: &usize| {
            let (before, after) = (&text[..*at], &text[*at + word.len()..]);
            !goes_on(before.chars().next_back()) && !goes_on(after.chars().next())
        };
        let mut places = text.match_indices(word.as_str()).map(|(at, _)| at);
        Some((places.find(alone)?, word))
    };
    let exact = words.iter().find(|word| word.as_str() == text);
    exact.or_else(|| {
        let mentions = words.iter().filter_map(mention);
        // Of two that begin in one place, the longer is meant: `no` is the beginning of `no idea`.
        let first = mentions.min_by_key(|(at, word)| (*at, Reverse(word.len())));
        first.map(|(_, word)| word)
    })
}

/// How a text breaks what the model was to be held to. A schema is checked anyway; what a grammar admits,
/// nobody but the model's engine knows.
fn broken(constraint: &Constraint, output: &Value) -> Option<Violation> {
    let text = output.as_str()?;
    let wanted = match constraint {
        Constraint::Choice(choices) if !choices.iter().any(|c| c == text) => {
            format!("exactly {}", alternatives(choices))
        }
        Constraint::Regex(pattern) => {
            let whole = Regex::new(&format!("^(?:{pattern})$")).ok()?;
            if whole.is_match(text) {
                return None;
            }
            format!("a text that matches {pattern} as a whole")
        }
        _ => return None,
    };
    Some(Violation::new("", shown(output), wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_itself_or_what_is_mentioned_first() {
        let words = ["1", "2", "3", "12"].map(str::to_owned);
        for (text, wanted) in [
            (" 12\n", Some("12")),
            ("2, not 3", Some("2")),
            ("I take [12].", Some("12")),
            ("选2号", Some("2")),
            ("112 or x3", None),
            ("none", None),
        ] {
            let found = chosen(&words, text).map(String::as_str);
            assert_eq!(found, wanted, "{text}");
        }
    }
}
