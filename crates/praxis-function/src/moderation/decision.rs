//! What a guard found and did: for traces, metrics and errors. None of it repeats a text.

use std::collections::BTreeMap;

use praxis_core::{CallError, ErrorCode};
use serde_json::{Map, Value, json};

use super::policy::{Action, Whose};
use crate::personal::Kind;

/// Which side of a function a guard stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Input,
    Output,
}

impl Side {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// What a guard stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before<'a> {
    /// The function of this name.
    Function(&'a str),
    /// Any model that is asked past all functions: clients name them as they like, so that none is told by its name.
    Models,
}

impl Before<'_> {
    /// In a sentence.
    pub(super) fn shown(self) -> String {
        match self {
            Self::Function(name) => format!("`{name}`"),
            Self::Models => "the model".to_owned(),
        }
    }

    /// Among what is counted; no function has the name of models.
    fn label(self) -> String {
        match self {
            Self::Function(name) => name.to_owned(),
            Self::Models => "models/*".to_owned(),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    /// So many values of a kind.
    Kind(Kind, usize),
    /// A category that the classifier gave a score.
    Category {
        category: String,
        score: f32,
        threshold: f32,
    },
    /// A category that a chat model named.
    Judged { category: String, model: String },
}

impl Found {
    /// What it is: the same of two findings that are one decision.
    fn key(&self) -> (&str, &str) {
        match self {
            Self::Kind(kind, _) => (kind.name(), ""),
            Self::Category { category, .. } => (category, "classifier"),
            Self::Judged { category, model } => (category, model),
        }
    }

    fn shown(&self, action: Action) -> Value {
        let action = action.name();
        match self {
            Self::Kind(kind, count) => {
                json!({ "kind": kind.name(), "count": count, "action": action })
            }
            Self::Category {
                category,
                score,
                threshold,
            } => json!({
                "category": category,
                "score": rounded(*score),
                "threshold": rounded(*threshold),
                "action": action,
            }),
            Self::Judged { category, model } => {
                json!({ "category": category, "judge": model, "action": action })
            }
        }
    }

    /// In a sentence, behind "it has" or "it is".
    fn phrase(&self) -> String {
        match self {
            Self::Kind(kind, _) => format!("it has {}", kind.phrase()),
            Self::Category { category, .. } | Self::Judged { category, .. } => {
                format!("it is judged as `{category}`")
            }
        }
    }
}

/// All that a guard decided on one side of a call.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    all: Vec<(Found, Action)>,
    /// The highest score of each category that was asked for.
    highest: BTreeMap<String, f32>,
    /// Failures to judge.
    failures: Vec<String>,
}

impl Decisions {
    /// Notes what was found; what was found before counts once, with its highest score.
    pub fn note(&mut self, found: Found, action: Action) {
        let same = |(other, a): &(Found, Action)| *a == action && other.key() == found.key();
        let at = self.all.iter().position(same);
        let Some((before, _)) = at.and_then(|at| self.all.get_mut(at)) else {
            self.all.push((found, action));
            return;
        };
        match (before, found) {
            (Found::Kind(_, count), Found::Kind(_, more)) => *count += more,
            (
                Found::Category {
                    score, threshold, ..
                },
                Found::Category {
                    score: new,
                    threshold: bound,
                    ..
                },
            ) if new > *score => (*score, *threshold) = (new, bound),
            _ => {}
        }
    }

    /// Notes a score, whatever comes of it.
    pub fn score(&mut self, category: &str, score: f32) {
        match self.highest.get_mut(category) {
            Some(highest) => *highest = highest.max(score),
            None => {
                self.highest.insert(category.to_owned(), score);
            }
        }
    }

    /// Notes a failure to judge.
    pub fn failed(&mut self, error: &CallError) {
        self.failures.push(error.code.as_str().to_owned());
    }

    /// The first thing that ends the call.
    pub fn blocked(&self) -> Option<&Found> {
        let found = self.all.iter().find(|(_, a)| *a == Action::Block);
        found.map(|(found, _)| found)
    }

    /// For the trace.
    pub fn traced(&self) -> Value {
        let mut shown = Map::new();
        shown.insert("decisions".to_owned(), self.shown());
        if !self.highest.is_empty() {
            let scores = self.highest.iter();
            let scores: Map<String, Value> = scores
                .map(|(name, score)| (name.clone(), rounded(*score)))
                .collect();
            shown.insert("scores".to_owned(), Value::Object(scores));
        }
        if !self.failures.is_empty() {
            shown.insert("not_judged".to_owned(), json!(self.failures));
        }
        Value::Object(shown)
    }

    fn shown(&self) -> Value {
        self.all
            .iter()
            .map(|(found, action)| found.shown(*action))
            .collect()
    }

    /// The error of a call that ends here, by whoever's guard it is.
    pub fn error(&self, before: Before<'_>, whose: Whose, side: Side) -> CallError {
        let why = self.blocked().map_or_else(String::new, Found::phrase);
        let before = before.shown();
        let message = match side {
            Side::Input => format!("{before} does not take this input: {why}"),
            Side::Output => format!("the answer of {before} is withheld: {why}"),
        };
        let blocked = self.all.iter().filter(|(_, a)| *a == Action::Block);
        let blocked: Value = blocked.map(|(found, a)| found.shown(*a)).collect();
        CallError::new(ErrorCode::ContentBlocked, message)
            .with_hint(whose.place())
            .with_details(json!({ "side": side.name(), "found": blocked }))
    }

    /// Counts what was decided.
    pub fn count(&self, before: Before<'_>, side: Side) {
        let counted = |found: &str, action: &'static str| {
            let labels = [
                ("function", before.label()),
                ("side", side.name().to_owned()),
                ("found", found.to_owned()),
                ("action", action.to_owned()),
            ];
            metrics::counter!("praxis_guard_decisions_total", &labels).increment(1);
        };
        for (found, action) in &self.all {
            counted(found.key().0, action.name());
        }
        for _ in &self.failures {
            counted("", "not_judged");
        }
    }
}

/// Four digits say all there is to say of a score.
fn rounded(score: f32) -> Value {
    json!((f64::from(score) * 1e4).round() / 1e4)
}

/// Describes the metrics, for exporters that show descriptions.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(
        "praxis_guard_decisions_total",
        "What guards of functions and models found, by what was done about it"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category(score: f32) -> Found {
        Found::Category {
            category: "violence".to_owned(),
            score,
            threshold: 0.5,
        }
    }

    #[test]
    fn one_decision_is_noted_once() {
        let mut decisions = Decisions::default();
        assert_eq!(decisions.blocked(), None);
        decisions.note(Found::Kind(Kind::Email, 2), Action::Mask);
        decisions.note(Found::Kind(Kind::Email, 1), Action::Mask);
        decisions.note(category(0.6), Action::Flag);
        decisions.note(category(0.91234567), Action::Flag);
        decisions.note(category(0.7), Action::Flag);
        decisions.note(category(0.9), Action::Block);
        decisions.score("violence", 0.2);
        decisions.score("violence", 0.9);
        decisions.score("violence", 0.1);
        assert_eq!(
            decisions.traced(),
            json!({
                "decisions": [
                    {"kind": "email", "count": 3, "action": "mask"},
                    {"category": "violence", "score": 0.9123, "threshold": 0.5, "action": "flag"},
                    {"category": "violence", "score": 0.9, "threshold": 0.5, "action": "block"},
                ],
                "scores": {"violence": 0.9},
            })
        );
        let error = decisions.error(Before::Function("f"), Whose::Function, Side::Output);
        assert_eq!(error.code, ErrorCode::ContentBlocked);
        assert_eq!(
            error.message,
            "the answer of `f` is withheld: it is judged as `violence`"
        );
        assert_eq!(
            *error.details.unwrap(),
            json!({
                "side": "output",
                "found": [{"category": "violence", "score": 0.9, "threshold": 0.5, "action": "block"}],
            })
        );
    }

    #[test]
    fn an_error_names_what_was_found_and_not_the_text() {
        for (found, words) in [
            (Found::Kind(Kind::ApiKey, 1), "it has an API key"),
            (
                Found::Judged {
                    category: "hate".to_owned(),
                    model: "m".to_owned(),
                },
                "it is judged as `hate`",
            ),
        ] {
            let mut decisions = Decisions::default();
            decisions.note(found, Action::Block);
            for (before, name, whose, place) in [
                (
                    Before::Function("f"),
                    "`f`",
                    Whose::Function,
                    "its prompt file",
                ),
                (
                    Before::Models,
                    "the model",
                    Whose::Application,
                    "praxis.toml",
                ),
            ] {
                let error = decisions.error(before, whose, Side::Input);
                assert_eq!(
                    error.message,
                    format!("{name} does not take this input: {words}")
                );
                assert!(error.hint.unwrap().contains(place));
            }
        }
    }
}
