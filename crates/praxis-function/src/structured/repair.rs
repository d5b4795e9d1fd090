//! The loop that makes an output keep its promise, as a state machine without I/O: each answer of the
//! model is judged, and the verdict is the value, the functions to ask, the next request, or the end.
//! It always ends: tries and tokens are bounded. Who asks the model and keeps the trace is elsewhere.

use std::fmt;

use praxis_core::{CallError, ErrorCode, FinishReason, Message};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::checks::{Checks, FunctionCheck};
use super::schema::OutputSchema;
use super::violation::{Violation, cut};
use super::{Want, lenient};

/// Characters of an output that a model is shown again.
const SHOWN: usize = 16_000;

/// Characters of an output that a trace keeps.
const TRACED: usize = 2_000;

/// What an output must be.
#[derive(Debug, Default)]
pub(crate) struct OutputSpec {
    /// The schema of a JSON output, where there is one.
    pub schema: Option<OutputSchema>,
    /// What else must hold.
    pub checks: Checks,
    /// How the model writes it.
    pub format: OutputFormat,
}

/// How a model writes its output (Dotprompt's `output.format`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OutputFormat {
    /// As text, which is the value.
    #[default]
    Text,
    /// As JSON.
    Json,
}

/// How much may be spent on one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RepairBudget {
    /// Answers that are judged, the first one included; at least one is.
    pub attempts: u32,
    /// Tokens of all answers together, after which no other is asked for.
    pub tokens: u64,
}

impl Default for RepairBudget {
    fn default() -> Self {
        Self {
            attempts: 3,
            tokens: 8192,
        }
    }
}

/// An answer of the model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'t> {
    /// Its text.
    pub text: &'t str,
    /// Why it ended.
    pub finish: FinishReason,
    /// What it cost.
    pub tokens: u64,
    /// Passages that it could cite.
    pub passages: usize,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// The value keeps its promise; what was mended in it.
    Valid(Value, Vec<String>),
    /// All that can be said here is well: these functions are to be asked, and what they say goes to
    /// [`Repair::on_checked`].
    Pending(Vec<FunctionCheck>),
    /// The model is to be asked again.
    Ask(RepairRequest),
    /// The budget is spent.
    Failed(RepairFailure),
}

/// How the model is asked again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RepairRequest {
    /// What follows the conversation as it was first asked, in place of earlier repairs.
    pub messages: Vec<Message>,
    /// The least temperature to ask with, where the model repeats itself.
    pub temperature: Option<f32>,
}

/// One try, as traces and metrics keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The model's text, cut.
    pub text: String,
    /// The value, where there was one.
    pub value: Option<Value>,
    /// What was mended in it.
    pub mended: Vec<String>,
    /// What is wrong with it.
    pub violations: Vec<Violation>,
    /// What it cost.
    pub tokens: u64,
    /// The hash of the whole text, to know it again.
    fingerprint: String,
}

/// Why no other answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exhausted {
    /// The tries are used up.
    Attempts,
    /// The tokens are.
    Tokens,
}

/// No output kept its promise within the budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RepairFailure {
    /// What ended.
    pub exhausted: Exhausted,
    /// Tries that were made.
    pub attempts: u32,
    /// Tokens that they cost.
    pub tokens: u64,
    /// The try that broke least.
    pub best: Attempt,
}

/// The state of the loop; it can be stored between answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Repair {
    budget: RepairBudget,
    attempts: Vec<Attempt>,
    tokens: u64,
    /// Times that the model gave an output it had given before.
    repeats: u32,
    /// The last answer was cut off by its length.
    cut: bool,
}

impl Repair {
    /// A loop that begins.
    pub fn new(budget: RepairBudget) -> Self {
        Self {
            budget,
            attempts: Vec::new(),
            tokens: 0,
            repeats: 0,
            cut: false,
        }
    }

    /// The tries so far.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Judges an answer.
    pub fn on_answer(&mut self, spec: &OutputSpec, answer: Answer<'_>) -> Verdict {
        if let Some(failure) = self.ended() {
            return Verdict::Failed(failure);
        }
        let fingerprint = blake3::hash(answer.text.trim().as_bytes())
            .to_hex()
            .to_string();
        if self.attempts.iter().any(|a| a.fingerprint == fingerprint) {
            self.repeats = self.repeats.saturating_add(1);
        }
        self.tokens = self.tokens.saturating_add(answer.tokens);
        let mut attempt = Attempt {
            text: cut(answer.text, TRACED),
            value: None,
            mended: Vec::new(),
            violations: Vec::new(),
            tokens: answer.tokens,
            fingerprint,
        };
        self.cut = answer.finish == FinishReason::Length;
        let pending = spec.judge(answer, &mut attempt);
        self.attempts.push(attempt);
        self.decide(spec, answer.text, pending)
    }

    /// Goes on after the functions of [`Verdict::Pending`] were asked: `text` is the same answer,
    /// `violations` what they found.
    pub fn on_checked(
        &mut self,
        spec: &OutputSpec,
        text: &str,
        violations: Vec<Violation>,
    ) -> Verdict {
        if let Some(last) = self.attempts.last_mut() {
            last.violations.extend(violations);
        }
        self.decide(spec, text, Vec::new())
    }

    fn decide(&mut self, spec: &OutputSpec, text: &str, pending: Vec<FunctionCheck>) -> Verdict {
        if let Some(Attempt {
            value: Some(value),
            mended,
            violations,
            ..
        }) = self.attempts.last()
            && violations.is_empty()
        {
            return match pending.is_empty() {
                true => Verdict::Valid(value.clone(), mended.clone()),
                false => Verdict::Pending(pending),
            };
        }
        match self.ended() {
            Some(failure) => Verdict::Failed(failure),
            None => Verdict::Ask(self.request(spec, text)),
        }
    }

    /// The failure, where the budget is spent.
    fn ended(&self) -> Option<RepairFailure> {
        let made = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        let exhausted = if made >= self.budget.attempts.max(1) {
            Exhausted::Attempts
        } else if self.tokens >= self.budget.tokens {
            Exhausted::Tokens
        } else {
            return None;
        };
        Some(RepairFailure {
            exhausted,
            attempts: made,
            tokens: self.tokens,
            best: self.best()?.clone(),
        })
    }

    /// The try that broke least; the latest of equals, which has seen what was wrong with those before it.
    fn best(&self) -> Option<&Attempt> {
        let broken = |a: &&Attempt| (a.value.is_none(), a.violations.len());
        self.attempts.iter().rev().min_by_key(broken)
    }

    /// An error that ended the loop before its budget did, with the best try among its details; what details it
    /// has itself are `cause` there.
    pub fn beside(&self, error: CallError) -> CallError {
        let Some(best) = self.best() else {
            return error;
        };
        let mut details = json!({
            "attempts": self.attempts.len(),
            "tokens": self.tokens,
            "best": best.shown(),
        });
        if let Some(cause) = &error.details {
            details["cause"] = (**cause).clone();
        }
        error.with_details(details)
    }

    fn request(&self, spec: &OutputSpec, text: &str) -> RepairRequest {
        let violations = self
            .attempts
            .last()
            .map(|a| a.violations.as_slice())
            .unwrap_or_default();
        let mut words = match self.repeats {
            0 => "Your output is not valid yet. What is wrong:".to_owned(),
            _ => "You gave an output again that is not valid. Do not copy it: start anew from the \
                  first request. What was wrong:"
                .to_owned(),
        };
        for violation in violations {
            words.push_str(&format!("\n- {violation}"));
        }
        if self.cut {
            words
                .push_str("\nThe output was cut off because it was too long: write a shorter one.");
        }
        if let Some(schema) = &spec.schema {
            words.push_str(&format!(
                "\n\nThe form that is wanted:\n{}",
                schema.fragment(violations)
            ));
        }
        words.push_str("\n\nWrite the whole corrected output, nothing else.");
        // Many chat templates want the roles to alternate, and no message to be empty.
        let shown = match text.trim() {
            "" => "(no output)".to_owned(),
            text => cut(text, SHOWN),
        };
        let temperature = match self.repeats {
            0 => None,
            1 => Some(0.5),
            2 => Some(0.8),
            _ => Some(1.0),
        };
        RepairRequest {
            messages: vec![Message::assistant(shown), Message::user(words)],
            temperature,
        }
    }
}

impl OutputSpec {
    /// Reads and checks an answer; gives the functions that are still to be asked.
    fn judge(&self, answer: Answer<'_>, attempt: &mut Attempt) -> Vec<FunctionCheck> {
        let value = match self.format {
            OutputFormat::Text => Value::String(answer.text.to_owned()),
            OutputFormat::Json => match self.read(answer, attempt) {
                Some(value) => value,
                None => return Vec::new(),
            },
        };
        if let Some(schema) = &self.schema {
            attempt.violations.extend(schema.violations(&value));
        }
        let evaluation = self.checks.evaluate(&value, answer.passages);
        attempt.violations.extend(evaluation.violations);
        attempt.value = Some(value);
        match attempt.violations.is_empty() {
            true => evaluation.pending,
            // A function may cost much: it is not asked about an output that changes anyway.
            false => Vec::new(),
        }
    }

    fn read(&self, answer: Answer<'_>, attempt: &mut Attempt) -> Option<Value> {
        let want = self.schema.as_ref().map_or(Want::Any, OutputSchema::want);
        let was_cut = answer.finish == FinishReason::Length;
        match lenient::parse(answer.text, want) {
            Ok(read) => {
                attempt.mended = read.mended;
                // What is missing at the end could be anything; a value that only looks whole would be
                // taken for the answer.
                if read.cut && was_cut {
                    attempt.violations.push(Violation::new(
                        "",
                        "an output that was cut off before its end",
                        "a shorter output that is complete",
                    ));
                }
                let Some(schema) = &self.schema else {
                    return Some(read.value);
                };
                let value = match read.value {
                    // As a number it would lose zeros at its end, and digits beyond 64 bits.
                    Value::Number(_) if want == Want::Scalar && schema.wants_text() => {
                        let note = "took the text as a string".to_owned();
                        attempt.mended.push(note);
                        Value::String(lenient::written(answer.text).to_owned())
                    }
                    value => value,
                };
                let (value, notes) = schema.coerce(value);
                attempt.mended.extend(notes);
                Some(value)
            }
            Err(found) => {
                let wanted = match want {
                    Want::Object => "one JSON object",
                    Want::Array => "one JSON array",
                    Want::Scalar => "one JSON value",
                    Want::Any => "one JSON object or array",
                };
                attempt.violations.push(Violation::new("", found, wanted));
                None
            }
        }
    }
}

impl RepairFailure {
    /// The failure as data: what clients get beside the message.
    pub fn details(&self) -> Value {
        json!({
            "attempts": self.attempts,
            "tokens": self.tokens,
            "exhausted": self.exhausted,
            "best": self.best.shown(),
        })
    }
}

impl Attempt {
    /// The try as clients see it.
    fn shown(&self) -> Value {
        json!({
            "text": self.text,
            "value": self.value,
            "mended": self.mended,
            "violations": self.violations,
        })
    }
}

impl fmt::Display for RepairFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tries = match self.attempts {
            1 => "the only try".to_owned(),
            n => format!("the best of {n} tries"),
        };
        write!(f, "the model's output does not keep its promise; {tries}: ")?;
        let first: Vec<String> = self
            .best
            .violations
            .iter()
            .take(3)
            .map(Violation::to_string)
            .collect();
        f.write_str(&first.join("; "))?;
        match self.best.violations.len().saturating_sub(3) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for RepairFailure {}

impl From<RepairFailure> for CallError {
    fn from(failure: RepairFailure) -> Self {
        CallError::new(ErrorCode::OutputInvalid, failure.to_string())
            .with_details(failure.details())
    }
}
