//! `[guard]` of `praxis.toml`: what holds for every function and, by choice, for models that are asked past all functions.
//! Left out: carrying it out (`guard`, `models`).

use praxis_core::Problem;
use praxis_core::suggest::nearest;
use serde_json::Value;

use super::policy::Guard;
use super::written::{self, Flaw, MODELS, Place};
use crate::personal::Kind;

/// The guard of an application.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApplicationGuard {
    guard: Guard,
    /// Whether it holds for models that are asked past all functions.
    models: bool,
}

impl ApplicationGuard {
    /// Reads the table `[guard]`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut flaws = Vec::new();
        let guard = written::guard(value, Place::Application, &mut flaws);
        let models = value
            .as_object()
            .is_some_and(|keys| written::truth(keys, MODELS, false, &mut flaws));
        match guard {
            Some(guard) if flaws.is_empty() => Ok(Self { guard, models }),
            _ => Err(flaws.into_iter().map(problem).collect()),
        }
    }

    /// What it names and is not there, among these models and these categories of classifiers.
    #[must_use]
    pub fn unknown(&self, models: &[String], categories: &[String]) -> Vec<Problem> {
        let judges = self.guard.judges().map(|name| ("model", name, models));
        let classified = self.guard.classified();
        let named = judges.chain(classified.map(|name| ("category", name, categories)));
        named
            .filter(|(_, name, among)| !among.iter().any(|known| known == name))
            .map(|(kind, name, among)| Problem {
                path: "guard".to_owned(),
                message: format!("`[guard]`: no {kind} `{name}`"),
                help: Some(match nearest(name, among.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are: {}", among.join(", ")),
                }),
            })
            .collect()
    }

    /// Whether it holds for models that are asked past all functions.
    #[must_use]
    pub fn holds_for_models(&self) -> bool {
        self.models
    }

    /// The policy.
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The guard of a function that has this one of its own, or none.
    pub(crate) fn of_function(&self, own: Option<Guard>) -> Option<Guard> {
        Some(self.guard.with(own)).filter(|guard| !guard.is_empty())
    }

    /// By side, the kinds of which a function's own guard says less, so that its word counts for nothing.
    pub(crate) fn overrules(&self, own: &Guard) -> [(&'static str, Vec<Kind>); 2] {
        self.guard.overrules(own)
    }
}

/// A flaw at its place in the file.
fn problem(flaw: Flaw) -> Problem {
    let mut path = "guard".to_owned();
    for key in &flaw.keys {
        path.push('.');
        path.push_str(key);
    }
    Problem {
        path,
        message: flaw.message,
        help: match flaw.near {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None => flaw.help,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_read_as_front_matter_is() {
        for (value, models) in [
            (
                json!({ "input": { "rules": "secrets", "action": "block" } }),
                false,
            ),
            (
                json!({
                    "models": true,
                    "on_error": "pass",
                    "output": [
                        { "rules": ["personal"], "action": "mask" },
                        { "categories": { "hate": 0.8 }, "action": "block" },
                    ],
                }),
                true,
            ),
        ] {
            let guard = ApplicationGuard::read(&value).unwrap();
            assert_eq!(guard.holds_for_models(), models, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_told_with_its_place_and_the_fix() {
        for (value, path, part) in [
            (json!({}), "guard", "`[guard]` guards nothing"),
            (json!({ "models": true }), "guard", "guards nothing"),
            (
                json!({ "model": true, "input": { "rules": "all", "action": "flag" } }),
                "guard.model",
                "did you mean `models`?",
            ),
            (
                json!({ "models": "yes", "input": { "rules": "all", "action": "flag" } }),
                "guard.models",
                "must be true or false",
            ),
            (
                json!({ "inherit": false, "input": { "rules": "all", "action": "flag" } }),
                "guard.inherit",
                "unknown key",
            ),
            (
                json!({ "input": [
                    { "rules": "all", "action": "flag" },
                    { "rules": "emial", "action": "mask" },
                ]}),
                "guard.input.1.rules",
                "did you mean `email`?",
            ),
        ] {
            let problems = ApplicationGuard::read(&value).unwrap_err();
            let found = problems.iter().find(|problem| problem.path == path);
            let shown = found.map(ToString::to_string).unwrap_or_default();
            assert!(shown.contains(part), "{value}: {problems:?}");
        }
    }

    #[test]
    fn names_that_are_not_there_are_told() {
        let written = json!({ "input": [
            { "categories": ["hate", "rival"], "action": "block" },
            { "categories": ["anything"], "judge": "qwem", "action": "flag" },
        ]});
        let guard = ApplicationGuard::read(&written).unwrap();
        let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let (models, categories) = (names(&["qwen"]), names(&["hate", "rivals"]));
        let unknown = guard.unknown(&models, &categories);
        let shown: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown[0].contains("no model `qwem`") && shown[0].contains("`qwen`?"));
        assert!(shown[1].contains("no category `rival`") && shown[1].contains("`rivals`?"));
    }
}
