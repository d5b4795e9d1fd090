//! What has to be equal for a kept answer to be one of this call: a hash over all but the question's wording. Each
//! thing is written with its length or its kind before it, so that no two calls are written alike. What is taken apart
//! here is taken apart whole: a field that is added does not compile until it is decided what it changes.
//!
//! Left out: the function's version and model. A shelf is one function's, which is of one version while it lives.

use praxis_core::{CallContext, Caller, Clearance, Payer, Sampling};
use serde_json::{Map, Value, json};

/// A call, but for its question's wording.
pub(super) type Key = [u8; 32];

/// What a call is made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    /// Whose vectors are compared.
    pub embedder: &'a str,
    /// Its input.
    pub input: &'a Map<String, Value>,
    /// The input that the question is.
    pub query: Option<&'a str>,
    /// What decides of the question, whatever its order; the question itself where nothing does.
    pub words: &'a [&'a str],
    /// What the caller says about how tokens are chosen.
    pub sampling: &'a Sampling,
}

/// The key of a call; `None` where nobody knows whose it is, and therefore who else may get its answer.
pub(super) fn of(given: &Given<'_>, cx: &CallContext) -> Option<Key> {
    let mut writer = Writer(blake3::Hasher::new());
    writer.caller(cx.caller())?;
    writer.payer(cx.payer());
    let Given {
        embedder,
        input,
        query,
        words,
        sampling,
    } = *given;
    writer.text(embedder);
    writer.json(&json!(sampling));
    writer.values(input, query);
    writer.values(cx.data(), None);
    writer.number(words.len() as u64);
    for word in words {
        writer.text(word);
    }
    Some(*writer.0.finalize().as_bytes())
}

struct Writer(blake3::Hasher);

impl Writer {
    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn json(&mut self, value: &Value) {
        self.text(&value.to_string());
    }

    /// Templates reach inputs and state by their names; what is within is read as it is written. The value of one name
    /// is left out.
    fn values(&mut self, values: &Map<String, Value>, left_out: Option<&str>) {
        let mut entries: Vec<(&String, &Value)> = values.iter().collect();
        entries.sort_by_key(|(name, _)| *name);
        self.number(entries.len() as u64);
        for (name, value) in entries {
            self.text(name);
            let is_left_out = left_out == Some(name.as_str());
            self.number(u64::from(is_left_out));
            if !is_left_out {
                self.json(value);
            }
        }
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.number(u64::from(text.is_some()));
        if let Some(text) = text {
            self.text(text);
        }
    }

    /// Whose answers it may get: those of the same key with the same labels, and, of who may read everything, those of
    /// such a caller with the same name.
    fn caller(&mut self, caller: &Caller) -> Option<()> {
        let Caller { name, clearance } = caller;
        match clearance {
            Clearance::Full => self.number(0),
            Clearance::Labels(labels) => {
                name.as_deref().filter(|name| !name.is_empty())?;
                self.number(1);
                self.number(labels.len() as u64);
                for label in labels.iter() {
                    self.text(label);
                }
            }
        }
        // Prompts read it as `@auth.name`.
        self.maybe(name.as_deref());
        Some(())
    }

    fn payer(&mut self, payer: &Payer) {
        let Payer { key, user, tags } = payer;
        self.maybe(key.as_deref());
        self.maybe(user.as_deref());
        self.number(tags.len() as u64);
        for tag in tags {
            self.text(tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use praxis_core::trace::NoTrace;

    use super::*;

    fn caller(name: &str, labels: &[&str]) -> Caller {
        Caller {
            name: Some(name.to_owned()),
            clearance: Clearance::of(labels.iter().copied()),
        }
    }

    fn cx() -> CallContext {
        CallContext::new(Arc::new(NoTrace)).with_caller(caller("desk", &["a"]))
    }

    fn input(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn key(input: &Map<String, Value>, sampling: &Sampling, cx: &CallContext) -> Option<Key> {
        let given = Given {
            embedder: "words",
            input,
            query: Some("q"),
            words: &["?when", "open"],
            sampling,
        };
        of(&given, cx)
    }

    #[test]
    fn the_wording_of_the_question_and_the_order_of_inputs_are_no_part_of_it() {
        let plain = Sampling::default();
        let one = key(&input(json!({"q": "a", "n": 1})), &plain, &cx());
        assert!(one.is_some());
        for other in [json!({"q": "b", "n": 1}), json!({"n": 1, "q": "c"})] {
            assert_eq!(key(&input(other), &plain, &cx()), one);
        }
    }

    #[test]
    fn all_else_is() {
        let plain = Sampling::default();
        let given = input(json!({"q": "a", "n": 1}));
        let mut seen = vec![key(&given, &plain, &cx()).unwrap()];
        let seeded = Sampling {
            seed: Some(1),
            ..Sampling::default()
        };
        let payer = |key: Option<&str>, user: Option<&str>, tags: &[&str]| {
            let payer = Payer {
                key: key.map(str::to_owned),
                user: user.map(str::to_owned),
                tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            };
            cx().with_payer(payer, Arc::default())
        };
        let keys = [
            key(&input(json!({"q": "a", "n": 2})), &plain, &cx()),
            key(&input(json!({"q": "a"})), &plain, &cx()),
            key(&input(json!({"q": "a", "n": 1, "m": null})), &plain, &cx()),
            key(&given, &seeded, &cx()),
            key(&given, &plain, &cx().with_caller(caller("hr", &["a"]))),
            key(
                &given,
                &plain,
                &cx().with_caller(caller("desk", &["a", "b"])),
            ),
            key(&given, &plain, &cx().with_caller(caller("desk", &[]))),
            key(&given, &plain, &cx().with_caller(Caller::full())),
            key(&given, &plain, &payer(Some("k"), None, &[])),
            key(&given, &plain, &payer(None, Some("k"), &[])),
            key(&given, &plain, &payer(None, None, &["k"])),
            key(
                &given,
                &plain,
                &cx().with_data("state", json!({"user": "Ann"})),
            ),
            // What is state is no input of its name.
            key(&given, &plain, &cx().with_data("q", json!("a"))),
            of(
                &Given {
                    embedder: "other",
                    input: &given,
                    query: Some("q"),
                    words: &["?when", "open"],
                    sampling: &plain,
                },
                &cx(),
            ),
            of(
                &Given {
                    embedder: "words",
                    input: &given,
                    query: Some("q"),
                    words: &["?when", "shut"],
                    sampling: &plain,
                },
                &cx(),
            ),
        ];
        for (number, key) in keys.into_iter().enumerate() {
            let key = key.unwrap();
            assert!(!seen.contains(&key), "{number}");
            seen.push(key);
        }
    }

    #[test]
    fn who_is_nobody_has_none() {
        let nobody = CallContext::new(Arc::new(NoTrace));
        let given = input(json!({"q": "a"}));
        assert_eq!(key(&given, &Sampling::default(), &nobody), None);
        let full = nobody.with_caller(Caller::full());
        assert!(key(&given, &Sampling::default(), &full).is_some());
    }
}
