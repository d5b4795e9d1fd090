//! Who asks, and which documents that caller may read. A document has labels; a caller has labels too,
//! from the key that it sent, never from an input and never from a model. Left out: keys (the edge), and
//! how a search keeps to it (knowledge).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The label of a document whose own labels could not be read: no caller can have it.
pub const UNREADABLE: &str = "?";

/// The most characters of a label.
pub const MAX_LABEL: usize = 64;

/// Whether a text can be an access label: up to [`MAX_LABEL`] letters, digits and `-`, `_`, `.`, `:`, `/`.
pub fn is_label(text: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || "-_.:/".contains(c);
    !text.is_empty() && text.chars().count() <= MAX_LABEL && text.chars().all(fits)
}

/// Which documents a caller may read. A document without labels is for every caller, one with labels for
/// those that have at least one of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(into = "Option<BTreeSet<String>>", from = "Option<BTreeSet<String>>")]
pub enum Clearance {
    /// All documents, whatever their labels.
    Full,
    /// Documents without labels, and those with one of these.
    Labels(Arc<BTreeSet<String>>),
}

/// Documents without labels, and no others.
impl Default for Clearance {
    fn default() -> Self {
        Self::Labels(Arc::default())
    }
}

impl From<Clearance> for Option<BTreeSet<String>> {
    fn from(clearance: Clearance) -> Self {
        match clearance {
            Clearance::Full => None,
            Clearance::Labels(labels) => Some(Arc::unwrap_or_clone(labels)),
        }
    }
}

impl From<Option<BTreeSet<String>>> for Clearance {
    fn from(labels: Option<BTreeSet<String>>) -> Self {
        labels.map_or(Self::Full, |labels| Self::Labels(Arc::new(labels)))
    }
}

impl Clearance {
    /// That of a caller with these labels.
    pub fn of<T: Into<String>>(labels: impl IntoIterator<Item = T>) -> Self {
        Self::Labels(Arc::new(labels.into_iter().map(Into::into).collect()))
    }

    /// Whether all documents may be read.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }

    /// Whether a document with these labels may be read.
    pub fn permits<T: AsRef<str>>(&self, labels: &[T]) -> bool {
        match self {
            Self::Full => true,
            Self::Labels(own) => {
                labels.is_empty() || labels.iter().any(|label| own.contains(label.as_ref()))
            }
        }
    }

    /// The labels that what this caller makes gets: its own, in order.
    pub fn labels(&self) -> Vec<String> {
        match self {
            Self::Full => Vec::new(),
            Self::Labels(own) => own.iter().cloned().collect(),
        }
    }

    /// Those of a document's labels that the caller may know of: its own, or all.
    pub fn shown(&self, labels: Vec<String>) -> Vec<String> {
        match self {
            Self::Full => labels,
            Self::Labels(own) => labels.into_iter().filter(|l| own.contains(l)).collect(),
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Caller {
    /// What its key is called, for traces.
    pub name: Option<String>,
    /// Which documents it may read.
    #[serde(rename = "labels")]
    pub clearance: Clearance,
}

impl Caller {
    /// A caller who may read everything: the command line, and who has the server's one key.
    pub fn full() -> Self {
        Self {
            name: None,
            clearance: Clearance::Full,
        }
    }

    /// Whether it may change what has this owner (the name of the key that made it, none for one that may
    /// read everything) and these labels: as its owner, by a label in common, or as one that may read
    /// everything. What has no label is for all to read, not to change.
    pub fn may_change<T: AsRef<str>>(&self, owner: Option<&str>, labels: &[T]) -> bool {
        self.clearance.is_full()
            || (owner.is_some() && owner == self.name.as_deref())
            || (!labels.is_empty() && self.clearance.permits(labels))
    }

    /// Whether it may see what another caller's call left: its own, where neither name nor labels changed
    /// since, and everything where it may read all documents.
    pub fn sees_traces_of(&self, other: Option<&Self>) -> bool {
        self.clearance.is_full() || other == Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_may_read_is_changed_by_its_owner_alone() {
        let named = |name: &str, labels: &[&str]| Caller {
            name: Some(name.to_owned()),
            clearance: Clearance::of(labels.iter().copied()),
        };
        let none: &[&str] = &[];
        for (caller, owner, labels, allowed) in [
            (Caller::full(), Some("hr"), &["hr"][..], true),
            (named("hr", &["hr"]), None, &["hr"], true),
            (named("guest", &[]), None, none, false),
            (named("guest", &[]), Some("guest"), none, true),
            (named("guest", &[]), Some("other"), none, false),
            (named("guest", &[]), Some("hr"), &["hr"], false),
            (Caller::default(), None, none, false),
        ] {
            let found = caller.may_change(owner, labels);
            assert_eq!(found, allowed, "{caller:?} {owner:?} {labels:?}");
        }
        assert_eq!(named("a", &["y", "x"]).clearance.labels(), ["x", "y"]);
        assert!(Clearance::Full.labels().is_empty());
    }

    #[test]
    fn one_label_in_common_opens_a_document() {
        let hr = Clearance::of(["hr", "legal"]);
        for (clearance, labels, permitted) in [
            (Clearance::Full, &["board"][..], true),
            (Clearance::Full, &[UNREADABLE], true),
            (Clearance::default(), &[], true),
            (Clearance::default(), &["hr"], false),
            (hr.clone(), &[], true),
            (hr.clone(), &["board", "hr"], true),
            (hr.clone(), &["board"], false),
            (hr.clone(), &[UNREADABLE], false),
        ] {
            assert_eq!(
                clearance.permits(labels),
                permitted,
                "{clearance:?} {labels:?}"
            );
        }
        assert_eq!(
            hr.shown(vec!["board".into(), "hr".into()]),
            ["hr".to_owned()]
        );
    }

    #[test]
    fn no_key_can_have_the_label_of_unreadable_labels() {
        assert!(!is_label(UNREADABLE) && !is_label("") && !is_label("a b"));
        assert!(is_label("hr") && is_label("人事") && is_label("team:a/b-2"));
    }

    #[test]
    fn traces_are_for_the_caller_as_it_was_and_for_who_sees_all() {
        let hr = |labels: &[&str]| Caller {
            name: Some("hr".to_owned()),
            clearance: Clearance::of(labels.iter().copied()),
        };
        assert!(hr(&["hr"]).sees_traces_of(Some(&hr(&["hr"]))));
        assert!(!hr(&["hr"]).sees_traces_of(Some(&hr(&["hr", "board"]))));
        assert!(!hr(&["hr"]).sees_traces_of(None));
        assert!(Caller::full().sees_traces_of(Some(&hr(&["hr"]))));
        let written = serde_json::to_string(&hr(&["hr"])).unwrap();
        assert_eq!(written, r#"{"name":"hr","labels":["hr"]}"#);
        let read: Caller = serde_json::from_str(&written).unwrap();
        assert_eq!(read, hr(&["hr"]));
    }
}
