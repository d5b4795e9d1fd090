//! `praxis.guard`: what is looked for in what goes into a function and comes out of it, and what is done then.
//!
//! Each side is a step or a list of them. Left out: whether the models and the application's own categories that steps
//! name are there (`library`), and carrying it out (`crate::moderation`).

use praxis_core::Diagnostic;
use praxis_core::suggest::nearest;
use serde_json::{Map, Value};

use crate::moderation::CATEGORIES;
use crate::moderation::policy::{Action, Guard, OnError, Step, Wanted, What};
use crate::personal::{Kind, Kinds};
use crate::prompt::File;

/// Keys below `praxis.guard`.
const KEYS: &[&str] = &["input", "output", "on_error"];

/// Keys of a step.
const STEP_KEYS: &[&str] = &["rules", "categories", "threshold", "judge", "action"];

/// Names for several kinds, and another one for one.
const GROUPS: [(&str, Kinds); 4] = [
    ("all", Kinds::ALL),
    ("personal", Kinds::PERSONAL),
    ("secrets", Kinds::SECRETS),
    ("cn_id", Kinds::of(&[Kind::ResidentId])),
];

/// How a step is written.
const FORM: &str = "write a step, `{rules: [email], action: mask}` or `{categories: [hate], action: block}`, or a list of them";

/// Where a mistake is.
type Place<'a> = [&'a str; 3];

impl File<'_> {
    /// Reads `praxis.guard`; problems go to `problems`.
    pub(super) fn guard(
        &self,
        ours: &Map<String, Value>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Guard> {
        let Value::Object(keys) = ours.get("guard")? else {
            let message = "`praxis.guard` must be a mapping with `input` or `output`";
            problems.push(self.at_key("praxis.guard", message).help(FORM));
            return None;
        };
        for key in keys.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            problems.push(self.unknown_below(&["guard"], key, KEYS));
        }
        let on_error = keys.get("on_error").map(|value| {
            let place = ["guard", "on_error", "on_error"];
            self.word(value, &OnError::ALL.map(|e| (e.name(), e)), place, problems)
        });
        let guard = Guard {
            input: self.steps("input", keys.get("input"), problems),
            output: self.steps("output", keys.get("output"), problems),
            on_error: on_error.flatten().unwrap_or_default(),
        };
        if !keys.contains_key("input") && !keys.contains_key("output") {
            let message = "`praxis.guard` guards nothing: it has neither `input` nor `output`";
            problems.push(self.at_key("praxis.guard", message).help(FORM));
        }
        Some(guard)
    }

    fn steps(
        &self,
        side: &str,
        value: Option<&Value>,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<Step> {
        let written: &[Value] = match value {
            None => return Vec::new(),
            Some(Value::Array(all)) => all.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        let mut steps = Vec::new();
        for step in written {
            match step {
                Value::Object(keys) => steps.extend(self.step(side, keys, problems)),
                other => {
                    let message = format!("`guard.{side}`: {other} is no step");
                    let found = self.at_key_below(&["guard", side], message);
                    problems.push(found.help(FORM));
                }
            }
        }
        if written.is_empty() {
            let message = format!("`guard.{side}` has no step");
            problems.push(self.at_key_below(&["guard", side], message).help(FORM));
        }
        steps
    }

    /// A step: one with rules and categories does the same about both.
    fn step(
        &self,
        side: &str,
        keys: &Map<String, Value>,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<Step> {
        for key in keys.keys().filter(|key| !STEP_KEYS.contains(&key.as_str())) {
            problems.push(self.unknown_below(&["guard", side], key, STEP_KEYS));
        }
        let actions = Action::ALL.map(|action| (action.name(), action));
        let Some(action) = keys.get("action") else {
            let message = format!("a step of `guard.{side}` does nothing: it has no `action`");
            let found = self.at_key_below(&["guard", side], message);
            problems.push(found.help("write `action: mask`, `block` or `flag`"));
            return Vec::new();
        };
        let place = ["guard", side, "action"];
        let Some(action) = self.word(action, &actions, place, problems) else {
            return Vec::new();
        };
        let mut steps = Vec::new();
        if let Some(rules) = keys.get("rules") {
            let what = What::Rules(self.rules(rules, action, side, problems));
            steps.push(Step { what, action });
        }
        match keys.get("categories") {
            Some(categories) => {
                let what = What::Categories {
                    wanted: self.wanted(categories, keys.get("threshold"), side, problems),
                    judge: self.judge(keys.get("judge"), side, problems),
                };
                if action == Action::Mask {
                    let message =
                        format!("`guard.{side}`: a text cannot be masked for its category");
                    let found = self.at_key_below(&place, message);
                    problems.push(found.help(
                        "give `categories` a step of their own with `action: block` or `flag`",
                    ));
                }
                steps.push(Step { what, action });
            }
            None => {
                for key in ["threshold", "judge"]
                    .into_iter()
                    .filter(|k| keys.contains_key(*k))
                {
                    let message = format!("`guard.{side}`: `{key}` goes with `categories`");
                    problems.push(self.at_key_below(&["guard", side, key], message));
                }
                if steps.is_empty() {
                    let message = format!(
                        "a step of `guard.{side}` looks for nothing: it has neither `rules` nor `categories`"
                    );
                    let found = self.at_key_below(&["guard", side], message);
                    problems.push(found.help(FORM));
                }
            }
        }
        if keys.contains_key("threshold") && keys.contains_key("judge") {
            let message = format!(
                "`guard.{side}`: a judge gives no scores, so that `threshold` means nothing beside `judge`"
            );
            problems.push(self.at_key_below(&["guard", side, "threshold"], message));
        }
        steps
    }

    /// One of some words.
    fn word<T: Copy>(
        &self,
        value: &Value,
        words: &[(&str, T)],
        place: Place<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let written = value.as_str().unwrap_or_default();
        let found = words.iter().find(|(word, _)| *word == written);
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let [.., key] = place;
            let message = format!("`{key}` is {value}, which is none of: {}", names.join(", "));
            let near = nearest(written, names.iter().copied());
            let otherwise = format!("write one of: {}", names.join(", "));
            problems.push(self.at_key_below(&place, message).suggest(near, otherwise));
        }
        found.map(|(_, meant)| *meant)
    }

    /// Kinds of personal data and secrets, or groups of them.
    fn rules(
        &self,
        value: &Value,
        action: Action,
        side: &str,
        problems: &mut Vec<Diagnostic>,
    ) -> Kinds {
        let known = Kind::ALL
            .iter()
            .map(|kind| (kind.name(), Kinds::of(&[*kind])));
        let known: Vec<(&str, Kinds)> = GROUPS.into_iter().chain(known).collect();
        let names: &[Value] = match value {
            Value::Array(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        let place = ["guard", side, "rules"];
        let mut kinds = Kinds::default();
        for name in names {
            if let Some(named) = self.word(name, &known, place, problems) {
                kinds = kinds.with(named);
            }
            let host = Kind::IpAddress;
            if name.as_str() == Some(host.name()) && action != Action::Flag {
                let what = host.name();
                let message = format!(
                    "`guard.{side}`: `{what}` can only be flagged: most addresses of hosts are nobody's"
                );
                let found = self.at_key_below(&place, message);
                problems.push(found.help("give it a step of its own with `action: flag`"));
            }
        }
        if names.is_empty() {
            let message = format!("`guard.{side}.rules` names nothing");
            problems.push(self.at_key_below(&place, message));
        }
        kinds
    }

    /// Categories: `all`, a list, or thresholds by their names.
    fn wanted(
        &self,
        value: &Value,
        threshold: Option<&Value>,
        side: &str,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<Wanted> {
        let mut number = |value: &Value, key: &str| {
            let number = value.as_f64().filter(|n| (0.0..=1.0).contains(n));
            if number.is_none() {
                let message =
                    format!("`guard.{side}`: `{key}` must be a number from 0 to 1, not {value}");
                problems.push(self.at_key_below(&["guard", side, key], message));
            }
            number.map(|number| number as f32)
        };
        let of_all = threshold.and_then(|value| number(value, "threshold"));
        let one = |name: &str, threshold: Option<f32>| Wanted {
            category: name.to_owned(),
            threshold: threshold.or(of_all),
            optional: false,
        };
        let wanted: Vec<Wanted> = match value {
            Value::String(word) if word == "all" => {
                let optional = |name: &&str| Wanted {
                    optional: true,
                    ..one(name, None)
                };
                CATEGORIES.iter().map(optional).collect()
            }
            Value::String(name) => vec![one(name, None)],
            Value::Array(names) => {
                let names = names.iter().filter_map(Value::as_str);
                names.map(|name| one(name, None)).collect()
            }
            Value::Object(map) => map
                .iter()
                .map(|(name, threshold)| one(name, number(threshold, name)))
                .collect(),
            _ => Vec::new(),
        };
        let written = match value {
            Value::Array(names) => names.len(),
            _ => wanted.len(),
        };
        if wanted.is_empty() || wanted.len() != written {
            let message = format!("`guard.{side}.categories` must be a list of categories");
            let found = self.at_key_below(&["guard", side, "categories"], message);
            problems.push(found.help(
                "write `all`, names such as `[hate, violence]`, or thresholds such as `{hate: 0.8}`",
            ));
        }
        wanted
    }

    fn judge(
        &self,
        value: Option<&Value>,
        side: &str,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<String> {
        let value = value?;
        let name = value.as_str().filter(|name| !name.is_empty());
        if name.is_none() {
            let message = format!("`guard.{side}.judge` must be the name of a chat model");
            problems.push(self.at_key_below(&["guard", side, "judge"], message));
        }
        name.map(str::to_owned)
    }
}
