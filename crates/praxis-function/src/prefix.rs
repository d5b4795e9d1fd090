//! How much of a prompt is the same in each call: its beginning, which providers keep and bill at a lower price, and
//! which the engine does not read again. What an input changes ends it, however much comes behind.
//!
//! Left out: tools, of which models read before the messages, and what a technique adds.

use praxis_core::tokens::estimate;
use praxis_core::{CallContext, CallError, ChunkId, DocumentId, Message, Part, Passage};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::function::PromptFunction;

/// Inputs that are looked at: each is a prompt more to lay out.
const MOST_INPUTS: usize = 32;

/// What the prompts of two calls have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StablePrefix {
    /// About how many tokens they begin with are the same.
    pub tokens: usize,
    /// About how many the first of them has.
    pub total: usize,
    /// What changes first: the name of an input, or `passages`; nothing where the prompts are the same.
    pub breaks_at: Option<String>,
}

impl PromptFunction {
    /// Compares the prompts for two inputs, and says which of the inputs changes first. Passages stand for those of a
    /// search, which other questions change.
    ///
    /// # Errors
    /// What the template asks for and the inputs do not give; the embedder's, where examples are chosen by it.
    pub async fn stable_prefix(
        &self,
        one: &Map<String, Value>,
        other: &Map<String, Value>,
        cx: &CallContext,
    ) -> Result<StablePrefix, CallError> {
        let first = self.laid_out(one, "one", cx).await?;
        let second = self.laid_out(other, "other", cx).await?;
        let (mut earliest, mut breaks_at) = (first.len(), None);
        let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| one.get(*name) != other.get(*name));
        for name in names.into_iter().take(MOST_INPUTS) {
            let mut mixed = one.clone();
            match other.get(name) {
                Some(value) => mixed.insert(name.clone(), value.clone()),
                None => mixed.remove(name),
            };
            let place = common(&first, &self.laid_out(&mixed, "one", cx).await?);
            if place < earliest {
                (earliest, breaks_at) = (place, Some(name.clone()));
            }
        }
        if self.prompt.ours.knowledge.is_some() {
            let place = common(&first, &self.laid_out(one, "other", cx).await?);
            if place < earliest {
                (earliest, breaks_at) = (place, Some("passages".to_owned()));
            }
        }
        let same = common(&first, &second).min(earliest);
        Ok(StablePrefix {
            tokens: estimate(first.get(..same).unwrap_or_default()),
            total: estimate(&first),
            breaks_at,
        })
    }

    /// The messages as one text, with a passage that says `found`.
    async fn laid_out(
        &self,
        input: &Map<String, Value>,
        found: &str,
        cx: &CallContext,
    ) -> Result<String, CallError> {
        let mut data = self.prompt.defaults.clone();
        data.extend(input.clone());
        let passages = match self.prompt.ours.knowledge {
            Some(_) => vec![passage(found)],
            None => Vec::new(),
        };
        let extras = self.extras(Vec::new());
        let messages = self.messages(&data, &passages, &extras, (None, 0), cx);
        Ok(text_of(&messages.await?))
    }
}

/// The place, in bytes, where two texts part.
fn common(one: &str, other: &str) -> usize {
    let pairs = one.char_indices().zip(other.chars());
    let mut apart = pairs.filter(|((_, a), b)| a != b);
    match apart.next() {
        Some(((at, _), _)) => at,
        None => one.len().min(other.len()),
    }
}

fn text_of(messages: &[Message]) -> String {
    let mut text = String::new();
    for message in messages {
        text.push_str(&format!("\n{}\n", message.role.as_str()));
        for part in &message.content {
            match part {
                Part::Text(more) => text.push_str(more),
                Part::Media { url, .. } => text.push_str(url),
            }
        }
    }
    text
}

fn passage(text: &str) -> Passage {
    Passage {
        chunk: ChunkId::from_string("chunk"),
        document: DocumentId::from_string("document"),
        title: text.to_owned(),
        uri: text.to_owned(),
        headings: Vec::new(),
        page: None,
        start: 0,
        end: text.len(),
        text: text.to_owned(),
        score: 1.0,
        relevance: 1.0,
    }
}
