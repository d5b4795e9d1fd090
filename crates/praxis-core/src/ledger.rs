//! Who pays for a call, what it may take, and the port that keeps count: a call reserves the most that it can
//! take before it begins, and settles what it took when it has ended. Left out: where the counts are kept (the
//! store), and what a call can cost (the gateway).

mod calendar;
mod limit;
mod refusal;
mod told;

use std::any::Any;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::function::CallContext;
use crate::trace::TraceSink;
use crate::usage::{Money, Usage};

pub use calendar::{Day, DayError, Window};
pub use limit::{Limit, LimitError, MAX_AMOUNT, Pattern, Per, What};
pub use refusal::{Figures, LedgerError, Refusal, Remaining};
pub use told::Told;

/// Where reservations are kept. Contract:
///
/// - [`reserve`](Self::reserve) takes from all limits of a claim or from none, and what it has admitted counts at
///   once, for every process that shares the ledger: concurrent calls cannot overrun a budget.
/// - A ticket that is never settled, because its process was killed or forgot it, stays counted in full.
/// - [`settle`](Self::settle) counts a ticket once, however often it is called for it. What was reserved and not
///   spent is given back; what was spent beyond is counted and reported. It takes its time only where the ledger
///   has no room, and what it was given is kept when the future is dropped after its first poll.
/// - Where a ledger cannot tell, it refuses.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Takes what a call may need, or says which limit has no room for it.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] where a limit has no room, [`LedgerError::Failed`] where that cannot be told. Nothing
    /// is counted then.
    async fn reserve(&self, claim: Claim) -> Result<Reserved, LedgerError>;

    /// Counts what a call took in the place of what was reserved for it.
    async fn settle(&self, ticket: Ticket, spent: Spent);

    /// Gives back all that was reserved: no call was begun for it, or another ticket counts it. It works once and keeps
    /// what it was given as [`settle`](Self::settle) does; reports have none of it.
    async fn give_back(&self, ticket: Ticket);

    /// Notes what a call took for which nothing was reserved, for reports: no limit holds for these. It keeps what it
    /// was given as [`settle`](Self::settle) does.
    async fn note(&self, subjects: Vec<Subject>, spent: Spent);
}

/// The most characters of a name within a [`Subject`]; what is longer is cut.
pub const MAX_NAME: usize = 256;

/// The most tags of a [`Payer`] that count.
pub const MAX_TAGS: usize = 64;

/// Who pays for a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Payer {
    /// Name of the key that came with the request.
    pub key: Option<String>,
    /// The user of that key, as the client says.
    pub user: Option<String>,
    /// What else the call is counted under: a team, a project. Those that the server sets come first.
    pub tags: Vec<String>,
}

impl Payer {
    /// Whose limits hold for its calls: its key, the user of that key, and its tags, each once.
    pub fn subjects(&self) -> Vec<Subject> {
        let filled = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        let key = filled(&self.key);
        let mut subjects: Vec<Subject> = key.iter().map(|name| Subject::key(name)).collect();
        if let Some(user) = filled(&self.user) {
            subjects.push(Subject::user(key.as_deref(), &user));
        }
        for tag in self
            .tags
            .iter()
            .filter(|tag| !tag.is_empty())
            .take(MAX_TAGS)
        {
            let subject = Subject::tag(tag);
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        subjects
    }
}

/// Who pays for work that is done later, when nobody waits for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidBy {
    /// Who brought the work.
    pub payer: Payer,
    /// The limits that hold for it, as they were then: those of money. How fast requests and tokens come is no matter
    /// where nobody waits.
    pub limits: Vec<Limit>,
}

impl PaidBy {
    /// This payer, whose calls these limits hold for.
    pub fn new(payer: Payer, limits: &[Limit]) -> Self {
        let limits = limits.iter().filter(|limit| limit.what == What::Money);
        Self {
            payer,
            limits: limits.cloned().collect(),
        }
    }

    /// A context whose calls are paid so.
    pub fn context(&self, sink: Arc<dyn TraceSink>) -> CallContext {
        CallContext::new(sink).with_payer(self.payer.clone(), self.limits.clone().into())
    }
}

/// What kind of payer a [`Subject`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// An API key.
    Key,
    /// A user of a key.
    User,
    /// A tag.
    Tag,
}

impl SubjectKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Key, Self::User, Self::Tag];

    /// As a subject begins.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Tag => "tag",
        }
    }

    fn begins(text: &str) -> Option<(Self, &str)> {
        let (kind, name) = text.split_once(':')?;
        let kind = Self::ALL.into_iter().find(|k| k.as_str() == kind)?;
        (!name.is_empty()).then_some((kind, name))
    }
}

/// One who has limits: `key:NAME`, `user:KEY/USER` or `tag:NAME`. A user is one of a key: the users of two keys
/// are two, whatever they are called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(String);

impl Subject {
    /// A key.
    pub fn key(name: &str) -> Self {
        Self(format!("key:{}", cut(name)))
    }

    /// A user of a key, or of no key. `/` and `%` of the key's name are escaped, so that where the user begins is
    /// never in doubt.
    pub fn user(key: Option<&str>, user: &str) -> Self {
        let key = user_prefix(key.unwrap_or_default());
        Self(format!("user:{key}{}", cut(user)))
    }

    /// A tag.
    pub fn tag(name: &str) -> Self {
        Self(format!("tag:{}", cut(name)))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its kind, and its name within that.
    pub fn parts(&self) -> (SubjectKind, &str) {
        SubjectKind::begins(&self.0).unwrap_or((SubjectKind::Tag, &self.0))
    }
}

/// What the names of a key's users begin with.
pub fn user_prefix(key: &str) -> String {
    format!("{}/", cut(key).replace('%', "%25").replace('/', "%2F"))
}

fn cut(name: &str) -> &str {
    let end = name.char_indices().nth(MAX_NAME).map(|(at, _)| at);
    &name[..end.unwrap_or(name.len())]
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0
    }
}

impl FromStr for Subject {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        match SubjectKind::begins(text) {
            Some((SubjectKind::User, name)) if !name.contains('/') => Err(LimitError::new(
                text,
                "does not say whose user that is; write `user:KEY/USER`",
            )),
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(LimitError::new(
                text,
                "is nobody who pays; write `key:NAME`, `user:KEY/USER` or `tag:NAME`",
            )),
        }
    }
}

impl TryFrom<String> for Subject {
    type Error = LimitError;

    fn try_from(text: String) -> Result<Self, LimitError> {
        text.parse()
    }
}

/// What a call may take, and from whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// Whose use it counts as.
    pub subjects: Vec<Subject>,
    /// The limits that hold, each with who has it.
    pub limits: Vec<(Subject, Limit)>,
    /// Requests: one.
    pub requests: u64,
    /// The most tokens: those of the prompt, and of the longest answer.
    pub tokens: u64,
    /// The most that it can cost.
    pub money: Money,
}

impl Claim {
    /// A claim for one request of a payer under those of these limits that hold for it. The caller sets `tokens`
    /// and `money`.
    pub fn new<'a>(payer: &Payer, limits: impl IntoIterator<Item = &'a Limit>) -> Self {
        let mut claim = Self {
            subjects: payer.subjects(),
            requests: 1,
            ..Self::default()
        };
        for limit in limits {
            for subject in claim.subjects.iter().filter(|s| limit.subject.matches(s)) {
                let pair = (subject.clone(), limit.clone());
                if !claim.limits.contains(&pair) {
                    claim.limits.push(pair);
                }
            }
        }
        claim
    }

    /// How much of something it may take.
    pub fn asks(&self, what: What) -> u64 {
        match what {
            What::Requests => self.requests,
            What::Tokens => self.tokens,
            What::Money => u64::try_from(self.money.0).unwrap_or(0),
        }
    }
}

/// A reservation, to be settled once the call has ended. What it holds is the ledger's that gave it.
#[derive(Clone)]
pub struct Ticket(Arc<dyn Any + Send + Sync>);

impl Ticket {
    /// For ledgers: a ticket that holds what its reservation is known by.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self(Arc::new(held))
    }

    /// For ledgers: what it holds, if it is one of theirs.
    pub fn held<T: Any + Send + Sync>(&self) -> Option<&T> {
        (*self.0).downcast_ref()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

/// What a call was for, as reports tell use apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum UsageKind {
    /// An answer of a chat model.
    #[default]
    Completion,
    /// Vectors of texts.
    Embedding,
    /// A judgement of texts.
    Moderation,
    /// A call of a tool that costs something, or has limits.
    Tool,
    /// A transcript or a translation of audio.
    Transcription,
}

impl UsageKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Completion,
        Self::Embedding,
        Self::Moderation,
        Self::Tool,
        Self::Transcription,
    ];

    /// As it is written and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completion => "completion",
            Self::Embedding => "embedding",
            Self::Moderation => "moderation",
            Self::Tool => "tool",
            Self::Transcription => "transcription",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What a call took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spent {
    /// What it was for.
    pub kind: UsageKind,
    /// The model that answered, for reports; empty where none did.
    pub model: String,
    /// Tokens, by kind, and seconds of audio.
    pub usage: Usage,
    /// What they cost.
    pub money: Money,
    /// Whether the call failed.
    pub failed: bool,
}

impl Spent {
    /// Tokens as limits count them: read and written.
    pub fn tokens(&self) -> u64 {
        let usage = &self.usage;
        usage.input_tokens.saturating_add(usage.output_tokens)
    }
}

/// A reservation that was admitted.
#[derive(Debug, Clone)]
pub struct Reserved {
    /// To settle it with.
    pub ticket: Ticket,
    /// What is left after it.
    pub remaining: Remaining,
}

#[cfg(test)]
mod tests;
