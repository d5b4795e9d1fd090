//! A function behind its policy. In this order: the arguments fit, no rule denies the call, a person let it through
//! where one has to, its limits have room, it is called, and the log has what became of it. What comes from outside is
//! framed, and the call tree knows from then on that it was read.
//!
//! Left out: what the policy says (`policy`), and where approvals, limits and the log are kept (the port).

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::approval::{ApprovalState, End, Entry, Outcome, Run, Wanted, digest};
use praxis_core::function::OpenSpan;
use praxis_core::trace::redact::{MASK, Steps, sealed};
use praxis_core::{
    Approval, Approvals, CallContext, CallError, Function, LedgerError, ModelError, Problem,
    Signature, SpanKind, ids, json_schema,
};
use serde_json::{Value, json};

use super::config::PolicyConfig;
use super::excerpt::{cut, excerpt};
use super::frame::{announce, framed};
use super::hidden;
use super::policy::{Judged, Policy, Verdict, subject};
use super::told;
use crate::deps::ToolDeps;
use crate::mend::mended;
use crate::text::paragraphs;
use crate::toolbox::Tool;
use crate::work::invalid;

/// The most mistakes of one input that are told.
const MOST_MISTAKES: usize = 3;

/// The longest message of an error that may have words from outside, in characters, and the most bytes of what comes
/// with it for programs.
const LONGEST_ERROR: usize = 1000;
const MOST_DETAILS: usize = 4096;

/// A function behind its policy.
pub(crate) struct Guarded {
    inner: Arc<dyn Function>,
    signature: Signature,
    /// What checks the arguments; none where the schema is no JSON Schema.
    validator: Option<jsonschema::Validator>,
    /// The name of the tool, whose limits all its functions share.
    tool: String,
    policy: Policy,
    /// Why the policy cannot be carried out.
    broken: Option<Problem>,
    /// Whether what the function gives comes from outside.
    is_outside: bool,
    /// The steps to those of its arguments that nobody is shown: what the policy says, and what its schema declares.
    hidden: Vec<Steps>,
    approvals: Arc<dyn Approvals>,
}

/// A call.
struct Call<'a> {
    id: String,
    digest: String,
    input: &'a Value,
    /// The arguments as people see them.
    shown: Value,
    /// The approval that it is made under, where it is made by that.
    approval: Option<&'a Approval>,
    cx: &'a CallContext,
}

/// How a call goes on that is not refused.
enum Pass {
    /// It is made, for this reason; by a run of an approval, where it has one.
    Run(String, Option<Taken>),
    /// It was made before, and what it gave is given again.
    Repeat(Box<Approval>),
}

/// An approval that was consumed.
struct Taken {
    approval: String,
    run: String,
}

/// Why a call is not made.
struct Stop {
    outcome: Outcome,
    /// Why, for the log.
    decision: String,
    approval: Option<String>,
    error: Box<CallError>,
}

impl Stop {
    fn new(outcome: Outcome, decision: &str, error: CallError) -> Self {
        Self {
            outcome,
            decision: decision.to_owned(),
            approval: None,
            error: Box::new(error),
        }
    }

    fn of(mut self, approval: &Approval) -> Self {
        self.approval = Some(approval.id.clone());
        self
    }
}

/// What the log says of a call beside the call.
struct Word {
    decision: String,
    approval: Option<String>,
    outcome: Outcome,
    message: Option<String>,
}

impl Guarded {
    /// The function of a tool behind the policy of its file.
    pub(crate) fn wrap(tool: Tool, config: &PolicyConfig, deps: &ToolDeps) -> Arc<Self> {
        Arc::new(Self::new(tool, config, Arc::clone(&deps.approvals)))
    }

    fn new(tool: Tool, config: &PolicyConfig, approvals: Arc<dyn Approvals>) -> Self {
        let Tool { function, outside } = tool;
        let (policy, problems) = Policy::read(config);
        let mut signature = function.signature().clone();
        signature.effects = policy.effects_of(&signature.name, signature.effects);
        let is_outside = policy.outside.unwrap_or(outside);
        if is_outside {
            announce(&mut signature);
        }
        let schema = &signature.input_schema;
        let ends = json_schema::ends(schema).is_ok();
        let validator = ends.then(|| jsonschema::validator_for(schema).ok());
        let mut hidden = policy.redact.clone();
        if ends {
            hidden.extend(hidden::declared(schema));
        }
        let name = signature.name.split('/').next().unwrap_or_default();
        Self {
            tool: name.to_owned(),
            inner: function,
            validator: validator.flatten(),
            signature,
            policy,
            broken: problems.into_iter().next(),
            is_outside,
            hidden,
            approvals,
        }
    }

    /// Makes the call of an approval, which is used up by it, whatever the policy asks for by now. One that was made
    /// before is not made again: its result is given.
    pub(crate) async fn make(
        &self,
        approval: &Approval,
        cx: &CallContext,
    ) -> Result<Value, CallError> {
        self.made(approval.arguments.clone(), Some(approval), cx)
            .await
    }

    async fn made(
        &self,
        input: Value,
        approval: Option<&Approval>,
        cx: &CallContext,
    ) -> Result<Value, CallError> {
        // What the function would mend is mended before, so that a digest is of what is called.
        let (input, _) = mended(&self.signature.input_schema, input);
        let (caller, user) = (cx.caller(), cx.payer().user.as_deref());
        cx.secrets().of_tool(&self.signature.name, &self.hidden);
        cx.secrets().note(&input, &self.hidden);
        let call = Call {
            id: ids::generate("call-"),
            digest: digest(&self.signature.name, &input, caller, user),
            shown: sealed(&input, &self.hidden),
            approval,
            input: &input,
            cx,
        };
        match self.judged(&call).await {
            Ok(Pass::Run(decision, taken)) => self.run(&call, decision, taken).await,
            Ok(Pass::Repeat(approval)) => self.repeat(&call, *approval).await,
            Err(stop) => Err(self.stop(&call, stop).await),
        }
    }

    /// Whether and how a call goes on.
    async fn judged(&self, call: &Call<'_>) -> Result<Pass, Stop> {
        self.fits(call)
            .map_err(|error| Stop::new(Outcome::Refused, "it cannot be checked", error))?;
        let verdict = self.policy.judge(&Judged {
            function: &self.signature.name,
            effects: self.signature.effects,
            schema: &self.signature.input_schema,
            arguments: call.input,
            taint: call.cx.taint(),
            kept_here: self.inner.kept_here(),
        });
        let (reason, asks) = match verdict {
            Verdict::Deny(why) => {
                let error = told::denied(&self.signature.name, &why);
                return Err(Stop::new(Outcome::Denied, &why, error));
            }
            Verdict::Pass(why) => (why, false),
            Verdict::Ask(reason) => (reason, true),
        };
        let found = match call.approval {
            Some(own) if own.digest == call.digest => Ok(Some(own.clone())),
            Some(own) => Err(told::of_another_call(own)),
            None if asks => {
                let reserved = self.approvals.reserve(self.wanted(call, &reason)).await;
                reserved.map(Some)
            }
            None => self.standing(call).await,
        };
        let found = found.map_err(|error| Stop::new(Outcome::Refused, &reason, error))?;
        let Some(approval) = found else {
            self.admit(call.cx, &reason).await?;
            return Ok(Pass::Run(reason, None));
        };
        match approval.state {
            ApprovalState::Done => Ok(Pass::Repeat(Box::new(approval))),
            ApprovalState::Approved => self.take(call, approval, &reason).await,
            ApprovalState::Pending | ApprovalState::Consumed => {
                let error = told::waits(&approval);
                Err(Stop::new(Outcome::Waits, &reason, error).of(&approval))
            }
            ApprovalState::Denied => {
                let error = told::refused(&approval);
                Err(Stop::new(Outcome::Denied, &reason, error).of(&approval))
            }
            ApprovalState::Failed | ApprovalState::Expired => {
                let error = told::over(&approval);
                Err(Stop::new(Outcome::Refused, &reason, error).of(&approval))
            }
        }
    }

    /// The approval that counts for a call which the policy lets through by itself: one that was given is used up by
    /// it, or it would let the same call through once more, later; one that was begun may have made this very call.
    async fn standing(&self, call: &Call<'_>) -> Result<Option<Approval>, CallError> {
        match self.signature.effects.only_reads() {
            true => Ok(None),
            false => self.approvals.standing(&call.digest).await,
        }
    }

    /// Whether the arguments can be checked and fit.
    fn fits(&self, call: &Call<'_>) -> Result<(), CallError> {
        let name = &self.signature.name;
        if let Some(problem) = &self.broken {
            return Err(told::broken(name, problem));
        }
        let Some(validator) = &self.validator else {
            return Err(told::without_schema(name));
        };
        let mistakes = validator.iter_errors(call.input).take(MOST_MISTAKES);
        let mistakes: Vec<String> = mistakes
            .map(|mistake| {
                let at = mistake.instance_path().to_string();
                // What is wrong is told with the value, which may be one that nobody is shown.
                let what = match call.input.pointer(&at) == call.shown.pointer(&at) {
                    true => mistake.to_string(),
                    false => mistake.masked_with(MASK).to_string(),
                };
                let what = cut(&what);
                match at.is_empty() {
                    true => what,
                    false => format!("at `{at}`: {what}"),
                }
            })
            .collect();
        match mistakes.is_empty() {
            true => Ok(()),
            false => Err(invalid(name, mistakes.join("; "))),
        }
    }

    fn wanted(&self, call: &Call<'_>, reason: &str) -> Wanted {
        Wanted {
            function: self.signature.name.clone(),
            effects: self.signature.effects,
            arguments: call.input.clone(),
            shown: call.shown.clone(),
            digest: call.digest.clone(),
            caller: call.cx.caller().clone(),
            user: call.cx.payer().user.clone(),
            reason: reason.to_owned(),
            scope: call.cx.scope().to_owned(),
            trace_id: call.cx.trace_id().clone(),
            valid: self.policy.valid(),
        }
    }

    /// Takes an approval for this run. What has no room in its limits, or nobody waits for any more, leaves it.
    async fn take(
        &self,
        call: &Call<'_>,
        mut approval: Approval,
        reason: &str,
    ) -> Result<Pass, Stop> {
        if call.cx.cancel().is_cancelled() {
            let error = ModelError::Cancelled.into();
            return Err(Stop::new(Outcome::Refused, reason, error).of(&approval));
        }
        let admitted = self.admit(call.cx, reason).await;
        admitted.map_err(|stop| stop.of(&approval))?;
        let run = Run {
            id: call.id.clone(),
            scope: call.cx.scope().to_owned(),
            trace_id: call.cx.trace_id().clone(),
        };
        match self.approvals.consume(&approval.id, &run).await {
            Ok(true) => {
                let by = approval.decided_by.as_deref().unwrap_or("a person");
                let taken = Taken {
                    approval: approval.id.clone(),
                    run: run.id,
                };
                Ok(Pass::Run(
                    format!("{reason}, and {by} approved it"),
                    Some(taken),
                ))
            }
            // Another call was faster.
            Ok(false) => {
                approval.state = ApprovalState::Consumed;
                let error = told::waits(&approval);
                Err(Stop::new(Outcome::Waits, reason, error).of(&approval))
            }
            Err(error) => Err(Stop::new(Outcome::Refused, reason, error).of(&approval)),
        }
    }

    /// Counts the call against the limits of the tool, and what it costs against those of who pays.
    async fn admit(&self, cx: &CallContext, reason: &str) -> Result<(), Stop> {
        let Some(claim) = self.policy.claim(&self.tool, cx) else {
            return Ok(());
        };
        let error = match self.approvals.admit(claim, &self.tool).await {
            Ok(()) => return Ok(()),
            Err(LedgerError::Refused(refusal)) if refusal.subject == subject(&self.tool, cx) => {
                told::limited(&self.tool, &refusal)
            }
            Err(error) => error.into(),
        };
        Err(Stop::new(Outcome::Limited, reason, error))
    }

    /// Makes the call.
    async fn run(
        &self,
        call: &Call<'_>,
        decision: String,
        taken: Option<Taken>,
    ) -> Result<Value, CallError> {
        let mut word = Word {
            decision,
            approval: taken.as_ref().map(|taken| taken.approval.clone()),
            outcome: Outcome::Began,
            message: None,
        };
        // The record of an approval says already that it was begun.
        if taken.is_none() && !self.signature.effects.only_reads() {
            self.approvals.note(self.entry(call, &word), None).await?;
        }
        let output = self.inner.call(call.input.clone(), call.cx).await;
        self.taint(call.cx, output.as_ref().ok());
        if let Ok(content) = &output {
            call.cx.secrets().note(content, &self.hidden);
        }
        let output = output.map_err(|error| self.bounded(error));
        let said = |error: &CallError| cut(&call.cx.secrets().shown(&error.message));
        word.message = output.as_ref().err().map(said);
        word.outcome = match output.is_ok() {
            true => Outcome::Done,
            false => Outcome::Failed,
        };
        let end = taken.map(|taken| End {
            approval: taken.approval,
            run: taken.run,
            result: match &output {
                Ok(content) => Ok(content.clone()),
                Err(error) => Err(said(error)),
            },
        });
        // It has been made: that it cannot be noted takes nothing back.
        if let Err(error) = self.approvals.note(self.entry(call, &word), end).await {
            let function = &self.signature.name;
            tracing::error!(%error, %function, call = %call.id, "the end of a call cannot be noted");
        }
        output.map(|content| self.shown_as_data(content))
    }

    /// Gives again what a call gave that was made before.
    async fn repeat(&self, call: &Call<'_>, approval: Approval) -> Result<Value, CallError> {
        self.taint(call.cx, approval.result.as_ref());
        if let Some(result) = &approval.result {
            call.cx.secrets().note(result, &self.hidden);
        }
        let content = approval
            .result
            .unwrap_or_else(|| json!("done before; what it gave was larger than what is kept"));
        let word = Word {
            decision: "it was made before".to_owned(),
            approval: Some(approval.id),
            outcome: Outcome::Repeated,
            message: None,
        };
        self.approvals.note(self.entry(call, &word), None).await?;
        let (span, _) = self.span(call);
        span.finish(content.clone());
        Ok(self.shown_as_data(content))
    }

    /// Notes why a call is not made.
    async fn stop(&self, call: &Call<'_>, stop: Stop) -> CallError {
        let word = Word {
            decision: stop.decision,
            approval: stop.approval,
            outcome: stop.outcome,
            message: Some(cut(&call.cx.secrets().shown(&stop.error.message))),
        };
        if let Err(error) = self.approvals.note(self.entry(call, &word), None).await {
            let function = &self.signature.name;
            tracing::error!(%error, %function, call = %call.id, "a call that is not made cannot be noted");
        }
        let (span, _) = self.span(call);
        span.fail(&stop.error);
        *stop.error
    }

    /// The span of a call that does not reach the function, which leaves its own.
    fn span(&self, call: &Call<'_>) -> (OpenSpan, CallContext) {
        let input = json!({ "input": call.shown });
        call.cx
            .span(SpanKind::Function, &self.signature.name, input)
    }

    /// Notes that something from outside was read: what was given, or, with an error, its words.
    fn taint(&self, cx: &CallContext, content: Option<&Value>) {
        if !self.is_outside {
            return;
        }
        if let Some(content) = content {
            cx.taint().note_links(content);
        }
        cx.taint().mark(&self.signature.name);
    }

    /// An error that may have words from outside, no longer than a person reads and without characters that nobody
    /// sees. Whose the words are is said where they are put into it (`crate::text::said`).
    fn bounded(&self, mut error: CallError) -> CallError {
        if !self.is_outside {
            return error;
        }
        error.message = paragraphs(&error.message, LONGEST_ERROR);
        let is_long = |details: &Value| details.to_string().len() > MOST_DETAILS;
        if error.details.as_deref().is_some_and(is_long) {
            error.details = Some(Box::new(json!({
                "note": format!("what came with the error has more than {MOST_DETAILS} bytes, and is left out"),
            })));
        }
        error
    }

    fn shown_as_data(&self, content: Value) -> Value {
        match self.is_outside {
            true => framed(&self.signature.name, content),
            false => content,
        }
    }

    fn entry(&self, call: &Call<'_>, word: &Word) -> Entry {
        Entry {
            call: call.id.clone(),
            function: self.signature.name.clone(),
            effects: self.signature.effects,
            digest: call.digest.clone(),
            arguments: excerpt(&call.shown),
            caller: call.cx.caller().clone(),
            user: call.cx.payer().user.clone(),
            trace_id: call.cx.trace_id().clone(),
            tainted_by: call.cx.taint().source().map(str::to_owned),
            decision: word.decision.clone(),
            approval: word.approval.clone(),
            outcome: word.outcome,
            message: word.message.clone(),
        }
    }
}

#[async_trait]
impl Function for Guarded {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn call(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        self.made(input, None, cx).await
    }

    fn secrets(&self) -> &[Steps] {
        &self.hidden
    }

    fn kept_here(&self) -> &'static [&'static str] {
        self.inner.kept_here()
    }
}

#[cfg(test)]
pub(crate) mod tests;
