//! What a key is for: a closed list of scopes. Left out: which request needs which.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use praxis_core::suggest::nearest;
use serde::{Deserialize, Serialize};

/// One thing that keys are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Chats and completions.
    Chat,
    /// Vectors of texts, and the order of passages.
    Embeddings,
    /// Calling functions of the application.
    Functions,
    /// Letting calls of tools through, and the log of all calls.
    Approvals,
    /// Searching knowledge bases.
    Knowledge,
    /// Files.
    Files,
    /// Vector stores.
    VectorStores,
    /// Responses.
    Responses,
    /// Batches.
    Batches,
    /// Speech and transcriptions.
    Audio,
    /// Moderations.
    Moderations,
    /// Which models there are.
    Models,
    /// Traces.
    Traces,
    /// Reports of use.
    Usage,
    /// Making and revoking keys: who has it can give itself everything.
    Keys,
}

impl Scope {
    /// All of them, as they are declared.
    pub const ALL: [Self; 15] = [
        Self::Chat,
        Self::Embeddings,
        Self::Functions,
        Self::Approvals,
        Self::Knowledge,
        Self::Files,
        Self::VectorStores,
        Self::Responses,
        Self::Batches,
        Self::Audio,
        Self::Moderations,
        Self::Models,
        Self::Traces,
        Self::Usage,
        Self::Keys,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::Functions => "functions",
            Self::Approvals => "approvals",
            Self::Knowledge => "knowledge",
            Self::Files => "files",
            Self::VectorStores => "vector_stores",
            Self::Responses => "responses",
            Self::Batches => "batches",
            Self::Audio => "audio",
            Self::Moderations => "moderations",
            Self::Models => "models",
            Self::Traces => "traces",
            Self::Usage => "usage",
            Self::Keys => "keys",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a set of all scopes is written.
const ALL: &str = "all";

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.into_iter().map(Self::as_str);
            ScopeError {
                name: text.chars().take(40).collect(),
                near: nearest(text, names.chain([ALL])),
            }
        })
    }
}

/// A name that is none of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeError {
    name: String,
    near: Option<&'static str>,
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no scope `{}`; ", self.name)?;
        match self.near {
            Some(near) => write!(f, "did you mean `{near}`?"),
            None => {
                let names: Vec<&str> = Scope::ALL.into_iter().map(Scope::as_str).collect();
                write!(f, "there are {} and {ALL}", names.join(", "))
            }
        }
    }
}

impl std::error::Error for ScopeError {}

/// What a key is for; nothing, unless it is said. Written as a list of names, `["all"]` for all that there are and
/// all that may come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Scopes {
    is_all: bool,
    some: BTreeSet<Scope>,
}

impl Scopes {
    /// All that there are, and all that may come.
    pub fn all() -> Self {
        Self {
            is_all: true,
            some: BTreeSet::new(),
        }
    }

    /// Those of a list of names.
    ///
    /// # Errors
    /// Where one is unknown.
    pub fn parse<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Result<Self, ScopeError> {
        let mut scopes = Self::default();
        for name in names {
            match name.as_ref().trim() {
                ALL => scopes.is_all = true,
                name => {
                    scopes.some.insert(name.parse()?);
                }
            }
        }
        Ok(match scopes.is_all {
            true => Self::all(),
            false => scopes,
        })
    }

    /// Whether a key with these is for that.
    pub fn allow(&self, scope: Scope) -> bool {
        self.is_all || self.some.contains(&scope)
    }

    /// Their names.
    pub fn names(&self) -> Vec<&'static str> {
        match self.is_all {
            true => vec![ALL],
            false => self.some.iter().map(|scope| scope.as_str()).collect(),
        }
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self {
            is_all: false,
            some: scopes.into_iter().collect(),
        }
    }
}

impl TryFrom<Vec<String>> for Scopes {
    type Error = ScopeError;

    fn try_from(names: Vec<String>) -> Result<Self, ScopeError> {
        Self::parse(names)
    }
}

impl From<Scopes> for Vec<String> {
    fn from(scopes: Scopes) -> Self {
        scopes.names().into_iter().map(str::to_owned).collect()
    }
}
