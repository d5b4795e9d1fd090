//! What a model thought and said before its calls. It has to come back with them, and no client carries it; without it
//! a model goes on too, but thinks again.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::providers::recall;

/// The most bytes that are remembered of one answer.
const MOST_REMEMBERED: usize = 256 << 10;

/// What came before a call and has to come back before it, as an item of the input. Ids of items are left out:
/// with them the provider looks for what it was told not to store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Before {
    /// What the model thought; only the provider can read it.
    Reasoning {
        summary: Vec<Value>,
        encrypted_content: String,
    },
    /// Where the model's text was, which comes back with the client's message.
    Message {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phase: Option<String>,
    },
}

/// What is remembered under a call's id.
#[derive(Serialize, Deserialize)]
struct Remembered {
    /// The name of the model that called: no other can read it.
    by: String,
    items: Vec<Before>,
}

/// What came before the call of that id, where this model made it.
pub(super) fn before(by: &str, call: &str) -> Vec<Before> {
    let remembered = recall::of(call).and_then(|value| Remembered::deserialize(value).ok());
    let own = remembered.filter(|remembered| remembered.by == by);
    own.map(|own| own.items).unwrap_or_default()
}

/// What has come of an answer since its last call.
#[derive(Debug, Default)]
pub(super) struct Since {
    items: Vec<Before>,
    /// Bytes of the whole answer so far.
    bytes: usize,
}

impl Since {
    pub(super) fn push(&mut self, item: Before) {
        self.bytes = self.bytes.saturating_add(json!(item).to_string().len());
        match self.bytes <= MOST_REMEMBERED {
            true => self.items.push(item),
            false => self.items.clear(),
        }
    }

    /// What has to be remembered with the call that comes now: nothing, where the client's message says all.
    pub(super) fn take(&mut self, by: &str) -> Option<Value> {
        let items = std::mem::take(&mut self.items);
        let says_more = |item: &Before| !matches!(item, Before::Message { phase: None });
        items.iter().any(says_more).then(|| {
            json!(Remembered {
                by: by.to_owned(),
                items,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thought(encrypted: &str) -> Before {
        Before::Reasoning {
            summary: Vec::new(),
            encrypted_content: encrypted.to_owned(),
        }
    }

    fn text(phase: Option<&str>) -> Before {
        Before::Message {
            phase: phase.map(str::to_owned),
        }
    }

    #[test]
    fn what_came_before_a_call_is_remembered_where_it_says_more_than_the_client_does() {
        for (items, remembered) in [
            (vec![], false),
            (vec![text(None)], false),
            (vec![text(Some("commentary"))], true),
            (vec![thought("gAAA"), text(None), thought("gBBB")], true),
        ] {
            let mut since = Since::default();
            for item in &items {
                since.push(item.clone());
            }
            let taken = since.take("m");
            assert_eq!(taken.is_some(), remembered, "{items:?}");
            assert!(since.items.is_empty());
            if let Some(taken) = taken {
                let back = Remembered::deserialize(taken).unwrap();
                assert_eq!((back.by.as_str(), back.items), ("m", items));
            }
        }
    }

    #[test]
    fn an_answer_is_remembered_up_to_a_limit() {
        let mut since = Since::default();
        since.push(thought("gAAA"));
        since.push(thought(&"x".repeat(MOST_REMEMBERED)));
        since.push(thought("gBBB"));
        assert_eq!(since.take("m"), None);
    }
}
