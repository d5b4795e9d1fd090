//! Calls that a person lets through before they are made: a call is reserved, approved or denied, and consumed by the
//! one run that it was approved for. Also the port that keeps these records, counts calls against their limits, and
//! writes the log. Left out: which calls need it (`praxis-tool`), and where records are kept (the store).
//!
//! A record is bound to a digest of who calls what with which arguments, so that a changed argument is another call. A
//! record that was consumed and whose end nobody noted stays consumed: the call may have been made, and only a person
//! who has looked lets it run again.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::access::{Caller, Clearance};
use crate::effect::Effects;
use crate::function::CallError;
use crate::ids::TraceId;
use crate::ledger::{Claim, LedgerError};

/// Where calls wait for a person, are counted and are logged. Contract:
///
/// - [`reserve`](Self::reserve) gives the record that stands for a call: of those with its digest the one that was done
///   in the same scope, else the one that is pending, approved or consumed, else one that was denied, as long as they
///   hold; else a new one that is pending. A digest has one record at most that is pending, approved or consumed.
/// - [`consume`](Self::consume) takes an approved record for one run. Of any number that try at a time, in any number
///   of processes, one is told `true`; and a record is consumed no more often than it was approved.
/// - Nothing but [`decide`](Self::decide) approves, and nobody calls it but for a person: never for what a model, a
///   document or a tool says.
/// - What [`consume`](Self::consume) and [`note`](Self::note) were told survives the end of the process.
/// - Where it cannot tell, it fails, and no call is made that needs its word.
#[async_trait]
pub trait Approvals: Send + Sync {
    /// The record that stands for a call.
    ///
    /// # Errors
    /// `too_large` for arguments that cannot be kept, `quota_exceeded` where too many calls of the caller wait, and
    /// where the records cannot be read or written.
    async fn reserve(&self, wanted: Wanted) -> Result<Approval, CallError>;

    /// The record of this id; whether the reader may see it is for the caller to ask.
    ///
    /// # Errors
    /// Where the records cannot be read.
    async fn find(&self, id: &str) -> Result<Option<Approval>, CallError>;

    /// The record with this digest that was approved and is not used up, as long as it holds, or that was consumed
    /// and whose end nobody noted; none where there is none.
    ///
    /// # Errors
    /// Where the records cannot be read.
    async fn standing(&self, digest: &str) -> Result<Option<Approval>, CallError>;

    /// Decides, and gives the record as it is then: in the state that was decided on, or in the one that stands against
    /// it. To decide again what was decided changes nothing. `None` where there is no such record.
    ///
    /// # Errors
    /// Where the records cannot be written; then nothing has changed.
    async fn decide(&self, id: &str, ruling: &Ruling) -> Result<Option<Approval>, CallError>;

    /// Takes an approved record for this run; `false` where it is not approved, or not any more.
    ///
    /// # Errors
    /// Where the records cannot be written; then it is not taken.
    async fn consume(&self, id: &str, run: &Run) -> Result<bool, CallError>;

    /// Adds to the log, and notes how the run of a consumed record ended, both or neither.
    ///
    /// # Errors
    /// Where they cannot be written.
    async fn note(&self, entry: Entry, end: Option<End>) -> Result<(), CallError>;

    /// Counts a call of a tool against limits before it is made, across all processes. What it takes is not given
    /// back: it is the rate at which calls are begun, and a price that each has.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] where a limit has no room, [`LedgerError::Failed`] where that cannot be told.
    async fn admit(&self, claim: Claim, tool: &str) -> Result<(), LedgerError>;
}

/// Where a call stands that needs an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// It waits for a person.
    Pending,
    /// It may be made once.
    Approved,
    /// A person refused it, or took the approval back.
    Denied,
    /// It was begun. As long as its end is not noted, it runs or may have run.
    Consumed,
    /// It was made, and its result is kept.
    Done,
    /// It was begun and failed, which does not say that nothing happened.
    Failed,
    /// Nobody decided in time, or nobody made the call in time.
    Expired,
}

impl ApprovalState {
    /// All of them, as they are declared.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Approved,
        Self::Denied,
        Self::Consumed,
        Self::Done,
        Self::Failed,
        Self::Expired,
    ];

    /// As it is written and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Consumed => "consumed",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A call that needs an approval.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The function.
    pub function: String,
    /// What it does.
    pub effects: Effects,
    /// What it is called with.
    pub arguments: Value,
    /// The same as people may see it.
    pub shown: Value,
    /// What the call is known by: see [`digest`].
    pub digest: String,
    /// Who calls.
    pub caller: Caller,
    /// The user of that caller, as the client says.
    pub user: Option<String>,
    /// Why it needs an approval.
    pub reason: String,
    /// Within which a repeated call is the same one: a call tree, or what the client says is one request.
    pub scope: String,
    /// The call tree that it is made in.
    pub trace_id: TraceId,
    /// How long it may wait, and how long an approval of it holds.
    pub valid: Duration,
}

/// A call that needs a person's approval, and what became of it. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Approval {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub state: ApprovalState,
    /// The function that is to be called.
    pub function: String,
    /// What the function does.
    pub effects: Effects,
    /// What it is called with.
    #[serde(skip)]
    pub arguments: Value,
    /// What it is to be called with; values that look like secrets are `***`.
    #[serde(rename = "arguments")]
    pub shown: Value,
    /// SHA-256 of the function, the arguments and who calls, in hexadecimal: the approval is for this call alone.
    pub digest: String,
    /// Why it needs an approval.
    pub reason: String,
    /// Who calls.
    pub caller: Caller,
    /// The user of that caller, as the client says.
    pub user: Option<String>,
    /// The trace of the call that asked for it, or that made it.
    pub trace_id: TraceId,
    /// The request within which it was made: see [`Wanted::scope`].
    #[serde(skip)]
    pub scope: Option<String>,
    /// When it was asked for.
    pub created_ms: i64,
    /// Until when its state holds.
    pub expires_ms: i64,
    /// When somebody decided.
    pub decided_ms: Option<i64>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// What was said about it.
    pub note: Option<String>,
    /// When the call was begun.
    pub consumed_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// What it gave; none where it gave nothing yet, or more than is kept.
    pub result: Option<Value>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Approval {
    /// Whether it is this caller's own, on behalf of the same user.
    pub fn is_of(&self, caller: &Caller, user: Option<&str>) -> bool {
        self.caller == *caller && self.user.as_deref() == user
    }

    /// Whether this caller may see it: its own, and those of callers who may read no more than it may.
    pub fn is_seen_by(&self, caller: &Caller) -> bool {
        oversees(caller, &self.caller)
    }

    /// Whether this caller asked for it in its own name. Nobody approves what it asked for itself; who has no name is
    /// the owner of the server, who may.
    pub fn was_asked_by(&self, caller: &Caller) -> bool {
        asked(caller, &self.caller)
    }
}

/// Whether a caller may see what another one wanted: its own, and what is wanted by those who may read no more.
pub fn oversees(caller: &Caller, other: &Caller) -> bool {
    match (&caller.clearance, &other.clearance) {
        _ if caller == other => true,
        (Clearance::Full, _) => true,
        (Clearance::Labels(_), Clearance::Full) => false,
        (Clearance::Labels(own), Clearance::Labels(theirs)) => theirs.is_subset(own),
    }
}

/// Whether a caller may decide on what another one wanted: it may see it, and did not ask for it in its own name.
pub fn may_decide(caller: &Caller, other: &Caller) -> bool {
    oversees(caller, other) && !asked(caller, other)
}

fn asked(caller: &Caller, other: &Caller) -> bool {
    caller.name.is_some() && caller.name == other.name
}

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A pending call may be made once.
    Approve,
    /// The same, also of a call that was begun and whose end nobody knows: the person has looked.
    ApproveAgain,
    /// The call is not made; an approval that was not used yet is taken back.
    Deny,
}

impl Decision {
    /// The state that it leads to.
    pub fn state(self) -> ApprovalState {
        match self {
            Self::Approve | Self::ApproveAgain => ApprovalState::Approved,
            Self::Deny => ApprovalState::Denied,
        }
    }
}

/// A decision, and who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// What was decided.
    pub decision: Decision,
    /// By whom, for those who read of it.
    pub by: String,
    /// What was said about it.
    pub note: Option<String>,
}

/// One attempt to make an approved call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id: no two attempts have the same.
    pub id: String,
    /// As [`Wanted::scope`].
    pub scope: String,
    /// The call tree that it is made in.
    pub trace_id: TraceId,
}

/// How an approved call ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// The record.
    pub approval: String,
    /// The run that consumed it.
    pub run: String,
    /// What the call gave, or why it failed.
    pub result: Result<Value, String>,
}

/// What became of a call, as the log has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ToolOutcome")]
pub enum Outcome {
    /// It was begun; another entry of the same call says how it ended, unless the process was killed.
    Began,
    /// It was made.
    Done,
    /// It was made and failed.
    Failed,
    /// It was not made again: the result of the first time was given.
    Repeated,
    /// It was not made: a person has to decide.
    Waits,
    /// It was not made: the policy or a person refuses it.
    Denied,
    /// It was not made: a limit has no room.
    Limited,
    /// It was not made: its arguments do not fit, or it could not be decided on.
    Refused,
}

impl Outcome {
    /// All of them, as they are declared.
    pub const ALL: [Self; 8] = [
        Self::Began,
        Self::Done,
        Self::Failed,
        Self::Repeated,
        Self::Waits,
        Self::Denied,
        Self::Limited,
        Self::Refused,
    ];

    /// As it is written and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Repeated => "repeated",
            Self::Waits => "waits",
            Self::Denied => "denied",
            Self::Limited => "limited",
            Self::Refused => "refused",
        }
    }

    /// The outcome of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|outcome| outcome.as_str() == name)
    }
}

/// What the log says of a call of a tool. It is written once and never changed.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ToolCallEntry")]
pub struct Entry {
    /// The call; all that is logged of it has the same.
    pub call: String,
    /// The function.
    pub function: String,
    /// What the function does.
    pub effects: Effects,
    /// SHA-256 of the function, the arguments and who calls, in hexadecimal.
    pub digest: String,
    /// What it was called with: without values that look like secrets, and cut where it is long.
    pub arguments: Value,
    /// Who called.
    pub caller: Caller,
    /// The user of that caller, as the client says.
    pub user: Option<String>,
    /// The trace that it is of.
    pub trace_id: TraceId,
    /// What was read from outside before, if anything was.
    pub tainted_by: Option<String>,
    /// Why it was let through, or not.
    pub decision: String,
    /// The approval that it waits for, or that was used.
    pub approval: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was not made, or failed.
    pub message: Option<String>,
}

/// What a call is known by: SHA-256, in hexadecimal, of the function's name, the arguments, who calls, and on behalf of
/// which user. Arguments that are equal as JSON values have an equal digest, however they are written.
pub fn digest(function: &str, arguments: &Value, caller: &Caller, user: Option<&str>) -> String {
    let call = json!({
        "function": function,
        "arguments": arguments,
        "caller": caller,
        "user": user,
    });
    hex::encode(Sha256::digest(canonical(&call).as_bytes()))
}

/// A value as text that is the same for equal values: without blanks, names of fields in the order of their bytes,
/// whole numbers without a point. As RFC 8785 ("JSON Canonicalization Scheme") but for the order of names beyond the
/// basic plane, and for whole numbers beyond 2^53, which stay exact.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

/// Whole numbers of a float up to here are exact: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (i, (name, field)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                text.push_str(&Value::String(name.clone()).to_string());
                text.push(':');
                write(field, text);
            }
            text.push('}');
        }
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT => {
                text.push_str(&(float as i64).to_string());
            }
            _ => text.push_str(&number.to_string()),
        },
        Value::Null | Value::Bool(_) | Value::String(_) => text.push_str(&value.to_string()),
    }
}

/// Where nothing is kept: what needs an approval is not made, what has a limit is not made, and nothing is logged. For
/// tools and tests that need neither.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoApprovals;

fn nobody() -> CallError {
    let code = crate::error::ErrorCode::Denied;
    CallError::new(code, "nobody can approve calls here, and none is counted").with_hint(
        "call it where there is a store: in an application, with `praxis call` or `praxis serve`",
    )
}

#[async_trait]
impl Approvals for NoApprovals {
    async fn reserve(&self, _: Wanted) -> Result<Approval, CallError> {
        Err(nobody())
    }

    async fn find(&self, _: &str) -> Result<Option<Approval>, CallError> {
        Ok(None)
    }

    async fn standing(&self, _: &str) -> Result<Option<Approval>, CallError> {
        Ok(None)
    }

    async fn decide(&self, _: &str, _: &Ruling) -> Result<Option<Approval>, CallError> {
        Ok(None)
    }

    async fn consume(&self, _: &str, _: &Run) -> Result<bool, CallError> {
        Ok(false)
    }

    async fn note(&self, _: Entry, _: Option<End>) -> Result<(), CallError> {
        Ok(())
    }

    async fn admit(&self, claim: Claim, _: &str) -> Result<(), LedgerError> {
        match claim.limits.is_empty() {
            true => Ok(()),
            false => Err(LedgerError::Failed(nobody())),
        }
    }
}

#[cfg(test)]
mod tests;
