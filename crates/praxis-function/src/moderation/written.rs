//! How a guard is written, in a prompt's front matter and in `praxis.toml` alike: each side is a step or a list of them.
//! Pure. Left out: where in a file a mistake is (`extension::guard`, [`super::application`]), and whether the models and
//! the application's own categories that steps name are there.

use praxis_core::suggest::nearest;
use serde_json::{Map, Value};

use super::CATEGORIES;
use super::policy::{Action, Guard, OnError, Step, Wanted, What, Whose};
use crate::personal::{Kind, Kinds};

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

/// Where a guard is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a prompt's front matter.
    Prompt,
    /// In `praxis.toml`.
    Application,
}

/// A key that only a prompt's guard has: whether the application's holds too.
const INHERIT: &str = "inherit";

/// A key that only the application's guard has: whether it holds for models that are asked past all functions.
pub(super) const MODELS: &str = "models";

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Prompt => "`praxis.guard`",
            Self::Application => "`[guard]`",
        }
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Prompt => &["input", "output", "on_error", INHERIT],
            Self::Application => &["input", "output", "on_error", MODELS],
        }
    }

    fn whose(self) -> Whose {
        match self {
            Self::Prompt => Whose::Function,
            Self::Application => Whose::Application,
        }
    }
}

/// Something wrong with a guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// The key, below those above it; none for the guard itself. A step of a list is a number.
    pub keys: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What may have been meant.
    pub near: Option<String>,
    /// The fix.
    pub help: Option<String>,
}

impl Flaw {
    fn new(keys: Vec<String>, message: impl Into<String>) -> Self {
        Self {
            keys,
            message: message.into(),
            near: None,
            help: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// One of some names that is none of them.
    fn among(mut self, written: &str, names: &[&str]) -> Self {
        self.near = nearest(written, names.iter().copied()).map(str::to_owned);
        self.help(format!("write one of: {}", names.join(", ")))
    }
}

/// A side of a guard, and which of its steps, where there is a list of them.
#[derive(Debug, Clone, Copy)]
struct At<'a> {
    side: &'a str,
    number: Option<usize>,
}

impl At<'_> {
    fn keys(self) -> Vec<String> {
        let number = self.number.map(|number| number.to_string());
        [Some(self.side.to_owned()), number]
            .into_iter()
            .flatten()
            .collect()
    }

    fn key(self, key: &str) -> Vec<String> {
        let mut keys = self.keys();
        keys.push(key.to_owned());
        keys
    }
}

/// Reads a guard; what is wrong goes to `flaws`.
pub(crate) fn guard(value: &Value, place: Place, flaws: &mut Vec<Flaw>) -> Option<Guard> {
    let name = place.name();
    let Value::Object(keys) = value else {
        let message = format!("{name} must be a mapping with `input` or `output`");
        flaws.push(Flaw::new(Vec::new(), message).help(FORM));
        return None;
    };
    for key in keys.keys().filter(|k| !place.keys().contains(&k.as_str())) {
        let flaw = Flaw::new(vec![key.clone()], format!("unknown key `guard.{key}`"));
        flaws.push(flaw.among(key, place.keys()));
    }
    let mut reader = Reader {
        on_error: OnError::default(),
        flaws: &mut *flaws,
    };
    if let Some(value) = keys.get("on_error") {
        let words = OnError::ALL.map(|e| (e.name(), e));
        let word = reader.word(value, &words, vec!["on_error".to_owned()]);
        reader.on_error = word.unwrap_or_default();
    }
    let guard = Guard {
        input: reader.steps("input", keys.get("input")),
        output: reader.steps("output", keys.get("output")),
        whose: place.whose(),
        alone: place == Place::Prompt && !truth(keys, INHERIT, true, reader.flaws),
    };
    if !guard.alone && !keys.contains_key("input") && !keys.contains_key("output") {
        let message = format!("{name} guards nothing: it has neither `input` nor `output`");
        flaws.push(Flaw::new(Vec::new(), message).help(FORM));
    }
    Some(guard)
}

/// A truth value of a guard.
pub(super) fn truth(
    keys: &Map<String, Value>,
    key: &str,
    otherwise: bool,
    flaws: &mut Vec<Flaw>,
) -> bool {
    match keys.get(key) {
        None => otherwise,
        Some(Value::Bool(truth)) => *truth,
        Some(other) => {
            let message = format!("`guard.{key}` is {other}, and must be true or false");
            flaws.push(Flaw::new(vec![key.to_owned()], message));
            otherwise
        }
    }
}

/// Reads the steps of a guard.
struct Reader<'a> {
    /// What becomes of a call that they cannot judge.
    on_error: OnError,
    flaws: &'a mut Vec<Flaw>,
}

impl Reader<'_> {
    fn report(&mut self, flaw: Flaw) {
        self.flaws.push(flaw);
    }

    fn steps(&mut self, side: &str, value: Option<&Value>) -> Vec<Step> {
        let (written, is_list): (&[Value], bool) = match value {
            None => return Vec::new(),
            Some(Value::Array(all)) => (all.as_slice(), true),
            Some(one) => (std::slice::from_ref(one), false),
        };
        let mut steps = Vec::new();
        for (number, step) in written.iter().enumerate() {
            let number = is_list.then_some(number);
            let at = At { side, number };
            match step {
                Value::Object(keys) => steps.extend(self.step(at, keys)),
                other => {
                    let message = format!("`guard.{side}`: {other} is no step");
                    self.report(Flaw::new(at.keys(), message).help(FORM));
                }
            }
        }
        if written.is_empty() {
            let message = format!("`guard.{side}` has no step");
            self.report(Flaw::new(vec![side.to_owned()], message).help(FORM));
        }
        steps
    }

    /// A step: one with rules and categories does the same about both.
    fn step(&mut self, at: At<'_>, keys: &Map<String, Value>) -> Vec<Step> {
        let side = at.side;
        for key in keys.keys().filter(|key| !STEP_KEYS.contains(&key.as_str())) {
            let flaw = Flaw::new(at.key(key), format!("unknown key `guard.{side}.{key}`"));
            self.report(flaw.among(key, STEP_KEYS));
        }
        let actions = Action::ALL.map(|action| (action.name(), action));
        let Some(action) = keys.get("action") else {
            let message = format!("a step of `guard.{side}` does nothing: it has no `action`");
            let flaw = Flaw::new(at.keys(), message);
            self.report(flaw.help("write `action: mask`, `block` or `flag`"));
            return Vec::new();
        };
        let Some(action) = self.word(action, &actions, at.key("action")) else {
            return Vec::new();
        };
        let mut steps = Vec::new();
        let on_error = self.on_error;
        let step = |what: What| Step {
            what,
            action,
            on_error,
        };
        if let Some(rules) = keys.get("rules") {
            steps.push(step(What::Rules(self.rules(rules, action, at))));
        }
        match keys.get("categories") {
            Some(categories) => {
                if action == Action::Mask {
                    let message =
                        format!("`guard.{side}`: a text cannot be masked for its category");
                    self.report(Flaw::new(at.key("action"), message).help(
                        "give `categories` a step of their own with `action: block` or `flag`",
                    ));
                }
                steps.push(step(What::Categories {
                    wanted: self.wanted(categories, keys.get("threshold"), at),
                    judge: self.judge(keys.get("judge"), at),
                }));
            }
            None => {
                for key in ["threshold", "judge"]
                    .into_iter()
                    .filter(|k| keys.contains_key(*k))
                {
                    let message = format!("`guard.{side}`: `{key}` goes with `categories`");
                    self.report(Flaw::new(at.key(key), message));
                }
                if steps.is_empty() {
                    let message = format!(
                        "a step of `guard.{side}` looks for nothing: it has neither `rules` nor `categories`"
                    );
                    self.report(Flaw::new(at.keys(), message).help(FORM));
                }
            }
        }
        if keys.contains_key("threshold") && keys.contains_key("judge") {
            let message = format!(
                "`guard.{side}`: a judge gives no scores, so that `threshold` means nothing beside `judge`"
            );
            self.report(Flaw::new(at.key("threshold"), message));
        }
        steps
    }

    /// One of some words, which is the value of the last of these keys.
    fn word<T: Copy>(
        &mut self,
        value: &Value,
        words: &[(&str, T)],
        keys: Vec<String>,
    ) -> Option<T> {
        let written = value.as_str().unwrap_or_default();
        let found = words.iter().find(|(word, _)| *word == written);
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let key = keys.last().map_or("", String::as_str);
            let message = format!("`{key}` is {value}, which is none of: {}", names.join(", "));
            let flaw = Flaw::new(keys, message);
            self.report(flaw.among(written, &names));
        }
        found.map(|(_, meant)| *meant)
    }

    /// Kinds of personal data and secrets, or groups of them.
    fn rules(&mut self, value: &Value, action: Action, at: At<'_>) -> Kinds {
        let known = Kind::ALL
            .iter()
            .map(|kind| (kind.name(), Kinds::of(&[*kind])));
        let known: Vec<(&str, Kinds)> = GROUPS.into_iter().chain(known).collect();
        let names: &[Value] = match value {
            Value::Array(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        let side = at.side;
        let mut kinds = Kinds::default();
        for name in names {
            if let Some(named) = self.word(name, &known, at.key("rules")) {
                kinds = kinds.with(named);
            }
            let host = Kind::IpAddress;
            if name.as_str() == Some(host.name()) && action != Action::Flag {
                let what = host.name();
                let message = format!(
                    "`guard.{side}`: `{what}` can only be flagged: most addresses of hosts are nobody's"
                );
                let flaw = Flaw::new(at.key("rules"), message);
                self.report(flaw.help("give it a step of its own with `action: flag`"));
            }
        }
        if names.is_empty() {
            let message = format!("`guard.{side}.rules` names nothing");
            self.report(Flaw::new(at.key("rules"), message));
        }
        kinds
    }

    /// A score.
    fn number(&mut self, value: &Value, key: &str, at: At<'_>) -> Option<f32> {
        let number = value.as_f64().filter(|n| (0.0..=1.0).contains(n));
        if number.is_none() {
            let side = at.side;
            let message =
                format!("`guard.{side}`: `{key}` must be a number from 0 to 1, not {value}");
            self.report(Flaw::new(at.key(key), message));
        }
        number.map(|number| number as f32)
    }

    /// Categories: `all`, a list, or thresholds by their names.
    fn wanted(&mut self, value: &Value, threshold: Option<&Value>, at: At<'_>) -> Vec<Wanted> {
        let of_all = threshold.and_then(|value| self.number(value, "threshold", at));
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
                .map(|(name, threshold)| one(name, self.number(threshold, name, at)))
                .collect(),
            _ => Vec::new(),
        };
        let written = match value {
            Value::Array(names) => names.len(),
            _ => wanted.len(),
        };
        if wanted.is_empty() || wanted.len() != written {
            let side = at.side;
            let message = format!("`guard.{side}.categories` must be a list of categories");
            self.report(Flaw::new(at.key("categories"), message).help(
                "write `all`, names such as `[hate, violence]`, or thresholds such as `{hate: 0.8}`",
            ));
        }
        wanted
    }

    fn judge(&mut self, value: Option<&Value>, at: At<'_>) -> Option<String> {
        let value = value?;
        let name = value.as_str().filter(|name| !name.is_empty());
        if name.is_none() {
            let side = at.side;
            let message = format!("`guard.{side}.judge` must be the name of a chat model");
            self.report(Flaw::new(at.key("judge"), message));
        }
        name.map(str::to_owned)
    }
}
