//! Carries out a guard around one call: judges what goes in before anything else is done, and what comes out before
//! anybody sees it.
//!
//! An answer that streams is judged window by window and held back until then ([`super::gate`]); JSON, and what a chat
//! model judges, is held back to its end. The whole output is judged by the same windows, so that a caller who does not
//! stream gets the same verdict. Each side leaves a step `guard` in the trace. Left out: masking what goes to models
//! ([`super::veil`]).

use std::collections::{HashMap, HashSet};

use praxis_core::function::OpenSpan;
use praxis_core::{
    CallContext, CallError, CallEvent, ErrorCode, Message, SpanKind, SpanStatus, ToolCall,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::decision::{Before, Decisions, Found, Side};
use super::gate::{Gate, Window};
use super::policy::{Action, Guard, OnError, Rules, Step, Wanted, What};
use super::windows::windows;
use super::{Score, judge};
use crate::library::Deps;
use crate::personal::{Finding, Masked, find};
use crate::technique::written;

/// A guard at its work.
pub(crate) struct Guarding<'a> {
    guard: &'a Guard,
    /// What is called.
    before: Before<'a>,
    /// What the call reaches the world through, personal data masked.
    deps: &'a Deps,
    rules: Rules,
    /// Values of the caller's own texts, which an answer may repeat.
    own: HashSet<String>,
}

impl<'a> Guarding<'a> {
    /// The guard of a call of a function or a model.
    pub fn new(guard: &'a Guard, before: Before<'a>, deps: &'a Deps) -> Self {
        Self {
            guard,
            before,
            deps,
            rules: Rules::of(&guard.output),
            own: HashSet::new(),
        }
    }

    /// The same for the output of a call whose input another one let in: with what that found to be the caller's own.
    pub(super) fn knowing(self, own: HashSet<String>) -> Self {
        Self { own, ..self }
    }

    /// What of the input is the caller's own, and may come back.
    pub(super) fn into_own(self) -> HashSet<String> {
        self.own
    }

    /// Opens the step of a side.
    fn begin(&self, side: Side, cx: &CallContext) -> (OpenSpan, CallContext) {
        let about = json!({ "side": side.name(), "guard": self.guard.whose.name() });
        cx.span(SpanKind::Step, "guard", about)
    }

    /// Opens the step of the output, which [`Watch::end`] ends.
    pub fn begin_output(&self, cx: &CallContext) -> (OpenSpan, CallContext) {
        self.begin(Side::Output, cx)
    }

    /// Judges what the caller gave: inputs, state and what was said before.
    ///
    /// # Errors
    /// `content_blocked`; what kept it from being judged, unless the guard lets that pass.
    pub async fn let_in(
        &mut self,
        input: &Value,
        past: &[Message],
        cx: &CallContext,
    ) -> Result<(), CallError> {
        let mut given = Texts::default();
        given.add(input);
        for (name, value) in cx.data() {
            // That is the caller's name and labels.
            if name != "auth" {
                given.add(value);
            }
        }
        let mut texts = given.values;
        texts.extend(past.iter().map(|message| message.text().into_owned()));
        let calls = past.iter().flat_map(|message| &message.tool_calls);
        texts.extend(calls.map(|call| call.arguments.clone()));
        texts.push(given.keys.join("\n"));
        let kinds = self.rules.all();
        if !kinds.is_empty() {
            let values = texts.iter().flat_map(|text| {
                let found = find(text, &kinds).into_iter();
                found.filter_map(move |f| text.get(f.range).map(str::to_owned))
            });
            self.own = values.collect();
        }
        if self.guard.input.is_empty() {
            return Ok(());
        }
        let (span, inner) = self.begin(Side::Input, cx);
        let mut decisions = Decisions::default();
        let outcome = self.judge_input(&texts, &mut decisions, &inner).await;
        let outcome = outcome.and_then(|()| self.verdict(&decisions, Side::Input));
        self.end(span, &decisions, Side::Input, outcome)
    }

    async fn judge_input(
        &self,
        texts: &[String],
        decisions: &mut Decisions,
        cx: &CallContext,
    ) -> Result<(), CallError> {
        let rules = Rules::of(&self.guard.input);
        for text in texts {
            for found in find(text, &rules.all()) {
                if let Some(action) = rules.action(found.kind) {
                    decisions.note(Found::Kind(found.kind, 1), action);
                }
            }
        }
        let steps = &self.guard.input;
        if decisions.blocked().is_none() && classifies(steps) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let (moderator, embedder) = (&self.deps.moderator, self.deps.embedder.as_ref());
            let noted = match moderator.scores(embedder, &texts).await {
                Ok(scores) => {
                    let mut scores = scores.iter();
                    scores.try_for_each(|scores| note_scores(steps, scores, decisions))
                }
                Err(error) => Err(error),
            };
            if let Err(error) = noted {
                self.not_judged(error, of_classifier(steps), Side::Input, decisions)?;
            }
        }
        if decisions.blocked().is_none() {
            let text = texts.join("\n");
            self.ask_judges(steps, &text, Side::Input, decisions, cx)
                .await?;
        }
        Ok(())
    }

    /// Asks the chat models that some steps name.
    async fn ask_judges(
        &self,
        steps: &[Step],
        text: &str,
        side: Side,
        decisions: &mut Decisions,
        cx: &CallContext,
    ) -> Result<(), CallError> {
        for step in steps {
            let What::Categories {
                wanted,
                judge: Some(model),
            } = &step.what
            else {
                continue;
            };
            let names: Vec<&str> = wanted.iter().map(|w| w.category.as_str()).collect();
            let chat = self.deps.chat.as_ref();
            // What a judge writes is none of the caller's events.
            match judge::judged(chat, model, &names, text, &cx.quiet()).await {
                Ok(found) => {
                    for category in found {
                        let model = model.clone();
                        decisions.note(Found::Judged { category, model }, step.action);
                    }
                }
                Err(error) => self.not_judged(error, step.on_error, side, decisions)?,
            }
        }
        Ok(())
    }

    /// What becomes of a failure to judge.
    fn not_judged(
        &self,
        mut error: CallError,
        on_error: OnError,
        side: Side,
        decisions: &mut Decisions,
    ) -> Result<(), CallError> {
        decisions.failed(&error);
        if on_error == OnError::Pass && error.code != ErrorCode::Cancelled {
            return Ok(());
        }
        if side == Side::Output && error.code == ErrorCode::InvalidRequest {
            // Nothing that the caller could correct.
            error.code = ErrorCode::Upstream;
        }
        let (before, side) = (self.before.shown(), side.name());
        let about = format!("{before}: the {side} could not be judged: ");
        error.message.insert_str(0, &about);
        Err(error)
    }

    fn verdict(&self, decisions: &Decisions, side: Side) -> Result<(), CallError> {
        match decisions.blocked() {
            None => Ok(()),
            Some(_) => Err(decisions.error(self.before, self.guard.whose, side)),
        }
    }

    /// Closes a side's step with what was decided.
    fn end(
        &self,
        span: OpenSpan,
        decisions: &Decisions,
        side: Side,
        outcome: Result<(), CallError>,
    ) -> Result<(), CallError> {
        decisions.count(self.before, side);
        let status = match &outcome {
            Ok(()) => SpanStatus::Ok,
            Err(error) if error.code == ErrorCode::Cancelled => SpanStatus::Cancelled,
            Err(error) => SpanStatus::Error(error.message.clone()),
        };
        span.close(decisions.traced(), status);
        outcome
    }

    /// Begins to watch the output of the call; `json` where it is no text.
    pub fn watch(&'a self, json: bool) -> Watch<'a> {
        Watch {
            guarding: self,
            waits: json || self.guard.waits_for_the_end(),
            json,
            decisions: Decisions::default(),
            masked: Masked::default(),
            passed: HashMap::new(),
            answer: Gate::new(self.rules.all()),
            thought: Gate::new(self.rules.all()),
            reasoning: String::new(),
            early: Vec::new(),
            later: Vec::new(),
        }
    }
}

/// The output of a call on its way to the caller.
pub(crate) struct Watch<'a> {
    guarding: &'a Guarding<'a>,
    /// Whether answers are held back to their end.
    waits: bool,
    json: bool,
    decisions: Decisions,
    /// What takes the place of what is masked.
    masked: Masked,
    /// What became of the windows so far: by all that was judged, and where the window begins in it.
    passed: HashMap<(String, usize), String>,
    answer: Gate,
    thought: Gate,
    /// What the model thought, where it is held back to the end.
    reasoning: String,
    /// Events of tools that a chat model judges with the answer.
    early: Vec<CallEvent>,
    /// Events that come behind the answer.
    later: Vec<CallEvent>,
}

impl Watch<'_> {
    /// Whether what happens in the call is held back until it is judged.
    pub fn holds_back(&self) -> bool {
        self.guarding.guard.holds_back()
    }

    /// Hands on what happens in the call, as far as it was judged.
    ///
    /// # Errors
    /// `content_blocked`; what kept it from being judged.
    pub async fn relay(
        &mut self,
        mut events: mpsc::Receiver<CallEvent>,
        cx: &CallContext,
    ) -> Result<(), CallError> {
        while let Some(event) = events.recv().await {
            self.take(event, cx).await?;
        }
        self.say_rest(cx).await
    }

    /// Says what was held back of an answer that has ended.
    pub(super) async fn say_rest(&mut self, cx: &CallContext) -> Result<(), CallError> {
        self.say_thought(true, cx).await?;
        self.say(true, cx).await
    }

    /// Hands on one event, or what is judged by now.
    pub(super) async fn take(
        &mut self,
        event: CallEvent,
        cx: &CallContext,
    ) -> Result<(), CallError> {
        match event {
            CallEvent::Retrieved(_) | CallEvent::Finished { .. } => cx.emit(event).await,
            // Both come anew at the end.
            CallEvent::Delta { .. } | CallEvent::Partial(_) if self.waits => {}
            // Their tokens would tell what is held back; so they are left out.
            CallEvent::Delta { text, .. } => {
                self.say_thought(true, cx).await?;
                self.answer.push(&text);
                self.say(false, cx).await?;
            }
            CallEvent::Reasoning { text } if self.waits => self.reasoning.push_str(&text),
            CallEvent::Reasoning { text } => {
                self.thought.push(&text);
                self.say_thought(false, cx).await?;
            }
            CallEvent::ToolCalled(_) | CallEvent::ToolAnswered { .. }
                if self.guarding.guard.waits_for_the_end() =>
            {
                self.early.push(event);
            }
            event @ (CallEvent::ToolCalled(_) | CallEvent::ToolAnswered { .. }) => {
                let event = self.last(event).await?;
                cx.emit(event).await;
            }
            CallEvent::Concluded { .. } | CallEvent::Cited { .. } if self.waits => {
                self.later.push(event);
            }
            CallEvent::Concluded { .. } | CallEvent::Cited { .. } => {
                self.say_rest(cx).await?;
                let event = self.last(event).await?;
                cx.emit(event).await;
            }
            // One that is not held back: the output is no JSON.
            CallEvent::Partial(_) => {}
        }
        Ok(())
    }

    /// An event with a whole text, as it may be shown.
    async fn last(&mut self, event: CallEvent) -> Result<CallEvent, CallError> {
        Ok(match event {
            CallEvent::Concluded {
                reasoning: Some(text),
                confidence,
            } => CallEvent::Concluded {
                reasoning: Some(self.whole(&text).await?),
                confidence,
            },
            CallEvent::Cited { text, citations } => CallEvent::Cited {
                text: self.whole(&text).await?,
                citations,
            },
            CallEvent::ToolCalled(call) => CallEvent::ToolCalled(ToolCall {
                arguments: self.whole(&call.arguments).await?,
                ..call
            }),
            CallEvent::ToolAnswered { id, text, failed } => CallEvent::ToolAnswered {
                id,
                text: self.whole(&text).await?,
                failed,
            },
            other => other,
        })
    }

    /// Says what of the answer is judged by now.
    async fn say(&mut self, ended: bool, cx: &CallContext) -> Result<(), CallError> {
        while let Some(window) = self.answer.next(ended) {
            let text = self.window(window).await?;
            let logprobs = Vec::new();
            cx.emit(CallEvent::Delta { text, logprobs }).await;
        }
        Ok(())
    }

    async fn say_thought(&mut self, ended: bool, cx: &CallContext) -> Result<(), CallError> {
        while let Some(window) = self.thought.next(ended) {
            let text = self.window(window).await?;
            cx.emit(CallEvent::Reasoning { text }).await;
        }
        Ok(())
    }

    /// Judges the whole output: as it may be given. With `heard`, what was held back to the end is said now.
    ///
    /// # Errors
    /// `content_blocked`; what kept it from being judged.
    pub async fn settle(
        &mut self,
        output: Value,
        reasoning: &mut Option<String>,
        heard: Option<&CallContext>,
        cx: &CallContext,
    ) -> Result<Value, CallError> {
        let output = match output {
            Value::String(text) => Value::String(self.whole(&text).await?),
            other => self.structured(other).await?,
        };
        if let Some(thought) = reasoning {
            *thought = self.whole(thought).await?;
        }
        let held = std::mem::take(&mut self.reasoning);
        let said = self.whole(&held).await?;
        let guard = self.guarding.guard;
        let mut text = String::new();
        for event in &self.early {
            match event {
                CallEvent::ToolCalled(call) => text.push_str(&call.arguments),
                CallEvent::ToolAnswered { text: given, .. } => text.push_str(given),
                _ => {}
            }
            text.push('\n');
        }
        text.push_str(&format!("{said}\n{}", written(&output)));
        let asked = self.guarding.ask_judges(
            &guard.output,
            text.trim_start(),
            Side::Output,
            &mut self.decisions,
            cx,
        );
        asked.await?;
        self.guarding.verdict(&self.decisions, Side::Output)?;
        if let Some(cx) = heard.filter(|_| self.waits) {
            self.say_all(said, &output, cx).await?;
        }
        Ok(output)
    }

    /// A value that is no text, as it may be given.
    async fn structured(&mut self, value: Value) -> Result<Value, CallError> {
        let mut texts = Texts::default();
        texts.add(&value);
        // What is harmless piece by piece need not be so as a whole.
        let all: Vec<&str> = texts
            .values
            .iter()
            .chain(&texts.keys)
            .map(String::as_str)
            .collect();
        self.categories(&all.join("\n")).await?;
        let mut ruled = |all: &[String]| -> Vec<String> {
            all.iter()
                .map(|text| self.by_rules(text, text, 0))
                .collect()
        };
        let passed = Texts {
            values: ruled(&texts.values),
            keys: ruled(&texts.keys),
        };
        self.guarding.verdict(&self.decisions, Side::Output)?;
        if passed == texts {
            return Ok(value);
        }
        let (mut values, mut keys) = (passed.values.into_iter(), passed.keys.into_iter());
        Ok(replaced(value, &mut values, &mut keys))
    }

    /// Says what was held back to the end.
    async fn say_all(
        &mut self,
        reasoning: String,
        output: &Value,
        cx: &CallContext,
    ) -> Result<(), CallError> {
        for event in std::mem::take(&mut self.early) {
            let event = self.last(event).await?;
            cx.emit(event).await;
        }
        if !reasoning.is_empty() {
            cx.emit(CallEvent::Reasoning { text: reasoning }).await;
        }
        if self.json {
            cx.emit(CallEvent::Partial(output.clone())).await;
        }
        let (text, logprobs) = (written(output), Vec::new());
        cx.emit(CallEvent::Delta { text, logprobs }).await;
        for event in std::mem::take(&mut self.later) {
            let event = self.last(event).await?;
            cx.emit(event).await;
        }
        Ok(())
    }

    /// Ends the watch: `outcome` is the call's, or what ended it.
    pub fn end<T>(self, span: OpenSpan, outcome: Result<T, CallError>) -> Result<T, CallError> {
        // A call that failed by itself is told of by its own span.
        let judged = match &outcome {
            Err(error) if error.code == ErrorCode::ContentBlocked => Err(error.clone()),
            Err(error) if error.code == ErrorCode::Cancelled => Err(error.clone()),
            _ => Ok(()),
        };
        let _ = self
            .guarding
            .end(span, &self.decisions, Side::Output, judged);
        outcome
    }

    /// A whole text as it may be shown.
    async fn whole(&mut self, text: &str) -> Result<String, CallError> {
        let mut gate = Gate::new(self.guarding.rules.all());
        gate.push(text);
        let mut shown = String::with_capacity(text.len());
        while let Some(window) = gate.next(true) {
            shown.push_str(&self.window(window).await?);
        }
        Ok(shown)
    }

    /// A window as it may be shown.
    async fn window(&mut self, window: Window) -> Result<String, CallError> {
        let from = window.before.len();
        let whole = window.whole();
        let key = (whole, from);
        if let Some(shown) = self.passed.get(&key) {
            return Ok(shown.clone());
        }
        let (whole, from) = key;
        let shown = self.by_rules(&whole, &window.text, from);
        self.guarding.verdict(&self.decisions, Side::Output)?;
        self.categories(&whole).await?;
        self.passed.insert((whole, from), shown.clone());
        Ok(shown)
    }

    /// What rules find in a window is noted and masked; `whole` has it from a byte on.
    fn by_rules(&mut self, whole: &str, text: &str, from: usize) -> String {
        let guarding = self.guarding;
        let rules = guarding.rules;
        let mut masks = Vec::new();
        for found in find(whole, &rules.all()) {
            let value = whole.get(found.range.clone()).unwrap_or_default();
            let Some(action) = rules.action(found.kind) else {
                continue;
            };
            if found.range.end <= from || guarding.own.contains(value) {
                continue;
            }
            self.decisions.note(Found::Kind(found.kind, 1), action);
            if action == Action::Mask {
                let range = found.range.start.saturating_sub(from)..found.range.end - from;
                masks.push(Finding { range, ..found });
            }
        }
        match masks.is_empty() {
            true => text.to_owned(),
            false => self.masked.mask(text, &masks),
        }
    }

    /// Has the classifier look at a text.
    async fn categories(&mut self, text: &str) -> Result<(), CallError> {
        let guarding = self.guarding;
        let steps = &guarding.guard.output;
        if !classifies(steps) {
            return Ok(());
        }
        let pieces = windows(text);
        if pieces.is_empty() {
            return Ok(());
        }
        let (moderator, embedder) = (&guarding.deps.moderator, guarding.deps.embedder.as_ref());
        let noted = match moderator.of_windows(embedder, pieces).await {
            Ok(scores) => {
                let mut scores = scores.iter();
                scores.try_for_each(|scores| note_scores(steps, scores, &mut self.decisions))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            let on_error = of_classifier(steps);
            guarding.not_judged(error, on_error, Side::Output, &mut self.decisions)?;
        }
        guarding.verdict(&self.decisions, Side::Output)
    }
}

/// The steps that ask the classifier.
fn classifying(steps: &[Step]) -> impl Iterator<Item = &Step> {
    let asks = |step: &&Step| matches!(&step.what, What::Categories { judge: None, .. });
    steps.iter().filter(asks)
}

/// Whether some steps ask the classifier.
fn classifies(steps: &[Step]) -> bool {
    classifying(steps).next().is_some()
}

/// What becomes of a call that the classifier cannot judge: it is asked once for all steps, and one is enough that does
/// not let that pass.
fn of_classifier(steps: &[Step]) -> OnError {
    let may_pass = |step: &Step| step.on_error == OnError::Pass;
    match classifying(steps).all(may_pass) {
        true => OnError::Pass,
        false => OnError::Block,
    }
}

/// What the scores of a text mean to some steps.
///
/// # Errors
/// `invalid_request` for a category that nothing scores: a guard must not look away.
fn note_scores(
    steps: &[Step],
    scores: &[Score],
    decisions: &mut Decisions,
) -> Result<(), CallError> {
    for step in steps {
        let What::Categories {
            wanted,
            judge: None,
        } = &step.what
        else {
            continue;
        };
        for Wanted {
            category,
            threshold,
            optional,
        } in wanted
        {
            let Some(score) = scores.iter().find(|score| score.category == *category) else {
                if *optional {
                    continue;
                }
                let message = format!("no classifier for this embedder scores `{category}`");
                return Err(
                    CallError::new(ErrorCode::InvalidRequest, message).with_hint(
                        "train one that does with `praxis moderation train`, or name a `judge`",
                    ),
                );
            };
            decisions.score(category, score.score);
            let threshold = threshold.unwrap_or(score.threshold);
            if score.score >= threshold {
                let found = Found::Category {
                    category: category.clone(),
                    score: score.score,
                    threshold,
                };
                decisions.note(found, step.action);
            }
        }
    }
    Ok(())
}

/// The texts of values, and the names of their fields.
#[derive(Debug, Default, PartialEq)]
struct Texts {
    values: Vec<String>,
    keys: Vec<String>,
}

impl Texts {
    /// Adds those of a value, numbers as they are written.
    fn add(&mut self, value: &Value) {
        match value {
            Value::String(text) if is_binary(text) => {}
            Value::String(text) => self.values.push(text.clone()),
            Value::Number(number) => self.values.push(number.to_string()),
            Value::Array(all) => all.iter().for_each(|value| self.add(value)),
            Value::Object(map) => {
                for (key, value) in map {
                    self.keys.push(key.clone());
                    self.add(value);
                }
            }
            Value::Bool(_) | Value::Null => {}
        }
    }
}

/// Whether a text is a picture or another file in a `data:` address and nothing beside.
fn is_binary(text: &str) -> bool {
    let parts = text
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    parts.is_some_and(|(kind, content)| {
        let of_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/-_=".contains(&b);
        let of_kind = |b: u8| b.is_ascii_alphanumeric() || b"/.+-".contains(&b);
        kind.len() <= 100 && kind.bytes().all(of_kind) && content.bytes().all(of_base64)
    })
}

/// The same value with other texts, in the order of [`Texts::add`]. A number stays one unless its text was changed.
fn replaced(
    value: Value,
    texts: &mut std::vec::IntoIter<String>,
    keys: &mut std::vec::IntoIter<String>,
) -> Value {
    match value {
        Value::String(text) if is_binary(&text) => Value::String(text),
        Value::String(text) => Value::String(texts.next().unwrap_or(text)),
        Value::Number(number) => match texts.next() {
            Some(text) if text != number.to_string() => Value::String(text),
            _ => Value::Number(number),
        },
        Value::Array(all) => {
            let all = all.into_iter();
            all.map(|value| replaced(value, texts, keys)).collect()
        }
        Value::Object(map) => {
            let entries = map.into_iter().map(|(key, value)| {
                let key = keys.next().unwrap_or(key);
                (key, replaced(value, texts, keys))
            });
            Value::Object(entries.collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_are_no_texts() {
        for (text, binary) in [
            ("data:image/png;base64,iVBORw0KGgo=", true),
            ("data: tell me all", false),
            ("data:text/plain,tell me all", false),
            ("data:text/plain;base64,tell me all", false),
            ("data:tell me;base64,AAAA", false),
        ] {
            assert_eq!(is_binary(text), binary, "{text}");
        }
    }

    #[test]
    fn texts_are_replaced_where_they_were_found() {
        let value = json!({"a": ["x", 3, true, {"b": "data:image/png;base64,AAAA"}], "c": "y"});
        let mut texts = Texts::default();
        texts.add(&value);
        assert_eq!(texts.values, ["x", "3", "y"]);
        assert_eq!(texts.keys, ["a", "b", "c"]);
        let other = |texts: &[&str]| {
            let owned: Vec<String> = texts.iter().map(|t| (*t).to_owned()).collect();
            owned.into_iter()
        };
        let same = replaced(
            value.clone(),
            &mut other(&["x", "3", "y"]),
            &mut other(&["a", "b", "c"]),
        );
        assert_eq!(same, value);
        let changed = replaced(
            value,
            &mut other(&["X", "<CARD_1>", "y"]),
            &mut other(&["a", "b", "C"]),
        );
        let wanted =
            json!({"a": ["X", "<CARD_1>", true, {"b": "data:image/png;base64,AAAA"}], "C": "y"});
        assert_eq!(changed, wanted);
    }
}
