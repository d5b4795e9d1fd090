//! A model's answer while it is written: apart into reasoning and output, filtered, and shown as far as
//! it may be.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use praxis_core::{CallContext, CallEvent, FinishReason, Message, TokenLogprob, Usage};
use serde_json::Value;

use crate::answer::AnswerFilter;
use crate::ask::Asking;
use crate::structured::Want;
use crate::structured::partial::PartialJson;
use crate::structured::repair::OutputFormat;
use crate::technique::{Form, Reasoned};

/// Pieces that a model may write after the refusal before it is stopped. Most models end there, and say
/// what it cost.
const AFTER_REFUSAL: usize = 8;

/// What of an answer goes to the reader while it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// Nothing of it.
    Nothing,
    /// The reasoning, and a structured output in parts.
    Thought,
    /// The reasoning and the output.
    Output,
}

/// A whole answer.
pub(crate) struct Reply {
    /// What stands before the mark of a reasoned answer; all of a free one.
    pub reasoning: String,
    /// The output's text; none for a free answer, and for reasoning without a mark.
    pub text: Option<String>,
    /// Whether the model said that the passages hold no answer.
    pub refused: bool,
    /// Why it ended.
    pub finish: FinishReason,
    /// Tokens written.
    pub tokens: u64,
    /// Calls of tools before the answer, and what they gave.
    pub turns: Vec<Message>,
}

impl Reply {
    /// The same, where all of it is the output if it has no mark: who is asked to mend an output often writes
    /// it alone.
    pub fn or_whole(mut self, asking: &Asking<'_>) -> Self {
        if self.text.is_none() {
            let (text, refused) = filtered(asking, std::mem::take(&mut self.reasoning));
            self.text = Some(text);
            self.refused |= refused;
        }
        self
    }
}

/// The filter of an output; none where it cites nothing, and for JSON.
fn filter(asking: &Asking<'_>) -> Option<AnswerFilter> {
    if !asking.cites || asking.output.format == OutputFormat::Json {
        return None;
    }
    let filter = AnswerFilter::new(asking.passages);
    Some(match asking.constraint {
        Some(_) => filter.of_form(),
        None => filter,
    })
}

/// An output that comes as a whole, as readers may see it, and whether the model said by it that the passages hold
/// no answer.
fn filtered(asking: &Asking<'_>, output: String) -> (String, bool) {
    let Some(mut filter) = filter(asking) else {
        return (output, false);
    };
    let mut text = filter.push(&output);
    text.push_str(&filter.finish());
    let refused = filter.refused() || text.trim().is_empty();
    (text, refused)
}

/// Takes one answer apart.
pub(crate) struct Sink<'a> {
    asking: &'a Asking<'a>,
    form: Form,
    show: Show,
    /// Whether all of it is reasoning.
    free: bool,
    reasoned: Option<Reasoned>,
    filter: Option<AnswerFilter>,
    partial: Option<PartialJson<'a>>,
    thought: String,
    text: String,
    finish: FinishReason,
    tokens: u64,
    patience: usize,
}

impl<'a> Sink<'a> {
    pub fn new(asking: &'a Asking<'a>, form: &Form, show: Show) -> Self {
        let free = matches!(form, Form::Free | Form::Choice(_));
        let json = asking.output.format == OutputFormat::Json;
        Self {
            asking,
            form: form.clone(),
            show,
            free,
            reasoned: (*form == Form::Reasoned).then(Reasoned::default),
            filter: if free { None } else { filter(asking) },
            partial: (json && !free && show != Show::Nothing && asking.cx.is_heard()).then(|| {
                match &asking.output.schema {
                    Some(schema) => PartialJson::new(schema.want()).with_schema(schema.source()),
                    None => PartialJson::new(Want::Any),
                }
            }),
            thought: String::new(),
            text: String::new(),
            finish: FinishReason::Stop,
            tokens: 0,
            patience: AFTER_REFUSAL,
        }
    }

    /// Takes more of it; breaks where the rest is not worth waiting for.
    pub async fn take(
        &mut self,
        more: &str,
        logprobs: Vec<TokenLogprob>,
        cx: &CallContext,
    ) -> ControlFlow<()> {
        let (thought, output) = match &mut self.reasoned {
            Some(reasoned) => {
                let pieces = reasoned.push(more);
                (pieces.reasoning, pieces.answer)
            }
            None if self.free => (more.to_owned(), String::new()),
            None => (String::new(), more.to_owned()),
        };
        self.think(thought, cx).await;
        self.write(&output, logprobs, cx).await;
        if self.filter.as_ref().is_some_and(AnswerFilter::refused) {
            self.patience = self.patience.saturating_sub(1);
            if self.patience == 0 {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Shows what a model thinks that does so of itself. It is no part of what the technique asked for.
    pub async fn thought(&self, text: String, cx: &CallContext) {
        if self.show != Show::Nothing && !text.is_empty() {
            cx.emit(CallEvent::Reasoning { text }).await;
        }
    }

    /// Whether the reader is told of what happens meanwhile.
    pub fn is_heard(&self) -> bool {
        self.show != Show::Nothing
    }

    /// The answer so far was no answer but what the model said before it called tools. What the reader
    /// has seen of it stays, as a paragraph of its own; all else begins anew.
    pub async fn called(&mut self, cx: &CallContext) {
        if self.show == Show::Output && self.reasoned.is_none() && !self.text.trim().is_empty() {
            self.write("\n\n", Vec::new(), cx).await;
            return;
        }
        let tokens = self.tokens;
        *self = Self::new(self.asking, &self.form.clone(), self.show);
        self.tokens = tokens;
    }

    /// Notes how it ended.
    pub async fn ended(&mut self, finish_reason: FinishReason, usage: Usage, cx: &CallContext) {
        self.finish = finish_reason;
        self.tokens += usage.output_tokens;
        if matches!(
            finish_reason,
            FinishReason::Length | FinishReason::ContentFilter
        ) {
            self.asking.unfit.store(true, Ordering::Relaxed);
        }
        cx.emit(CallEvent::Finished {
            finish_reason,
            usage,
        })
        .await;
    }

    /// The whole answer.
    pub async fn finish(mut self, cx: &CallContext) -> Reply {
        let mut text = None;
        if let Some(filter) = &mut self.filter {
            let rest = filter.finish();
            self.text.push_str(&rest);
            self.emit(rest, Vec::new(), cx).await;
        }
        if let Some(value) = self.partial.as_mut().and_then(PartialJson::finish) {
            cx.emit(CallEvent::Partial(value.clone())).await;
        }
        let mut thought = std::mem::take(&mut self.thought);
        let mut refused = self.filter.as_ref().is_some_and(AnswerFilter::refused);
        match self.reasoned.take() {
            Some(reasoned) => {
                let (reasoning, answer) = reasoned.finish();
                thought = reasoning;
                // What the filter let through is the answer; without a mark at the beginning of a line
                // it has seen nothing.
                text = answer.map(|answer| match (&self.filter, self.text.trim()) {
                    (None, _) => answer,
                    (Some(_), "") => {
                        let (text, says_so) = filtered(self.asking, answer);
                        refused |= says_so;
                        text
                    }
                    (Some(_), seen) => seen.trim_end_matches("**").trim_end().to_owned(),
                });
            }
            None if !self.free => {
                refused |= self.filter.is_some() && self.text.trim().is_empty();
                text = Some(std::mem::take(&mut self.text));
            }
            None => {}
        }
        Reply {
            reasoning: thought,
            text,
            refused,
            finish: self.finish,
            tokens: self.tokens,
            turns: Vec::new(),
        }
    }

    async fn think(&mut self, text: String, cx: &CallContext) {
        if text.is_empty() {
            return;
        }
        self.thought.push_str(&text);
        if self.show != Show::Nothing {
            cx.emit(CallEvent::Reasoning { text }).await;
        }
    }

    async fn write(&mut self, more: &str, logprobs: Vec<TokenLogprob>, cx: &CallContext) {
        let text = match &mut self.filter {
            Some(filter) => filter.push(more),
            None => more.to_owned(),
        };
        self.text.push_str(&text);
        if let Some(value) = self.partial.as_mut().and_then(|p| p.push(more)) {
            let value: Value = value.clone();
            cx.emit(CallEvent::Partial(value)).await;
        }
        self.emit(text, logprobs, cx).await;
    }

    async fn emit(&self, text: String, logprobs: Vec<TokenLogprob>, cx: &CallContext) {
        if self.show == Show::Output && (!text.is_empty() || !logprobs.is_empty()) {
            self.asking.shown.store(true, Ordering::Relaxed);
            cx.emit(CallEvent::Delta { text, logprobs }).await;
        }
    }
}
