//! Small questions to chat models, on the way of a search or of an ingest: held to a form where the model can be, given
//! up after a while, and those of searches remembered, because the same question comes again and again. Left out: what
//! is asked (`prompts`), and what is made of the answers.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use praxis_core::chat::{ChatAnswer, collect};
use praxis_core::{
    CallContext, ChatGateway, ChatRequest, Constraint, ErrorCode, ModelError, Priority, Sampling,
};

use super::prompts::{Prompt, harmless};

/// Answers that are remembered; the longest have a few kilobytes.
const REMEMBERED: usize = 1024;

/// Questions of a batch in a row that a model may leave without an answer: after them it is away.
pub(crate) const MOST_UNANSWERED: u64 = 3;

/// What a question is remembered by: model, messages and form.
type Key = [u8; 32];

/// The chat models of the application, as searches ask them.
#[derive(Default)]
pub(crate) struct Assistant {
    chat: Option<Arc<dyn ChatGateway>>,
    answers: Mutex<Answers>,
    /// Models that refused to be held to a form.
    unheld: Mutex<HashSet<String>>,
    /// How many questions of batches each model has answered.
    answered: Mutex<HashMap<String, u64>>,
}

/// What a model said, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said<T> {
    pub value: T,
    /// Whether it was said before, and nothing was asked now.
    pub remembered: bool,
}

/// What came of one of many questions that nobody waits for.
#[derive(Debug)]
pub(crate) enum Answered {
    /// An answer.
    Text(ChatAnswer),
    /// The model has none for this question, or refuses it; the next one may do better.
    Unfit(ModelError),
    /// The model did not answer; another time it may.
    Not(ModelError),
}

impl Assistant {
    /// Asks these models.
    pub fn new(chat: Arc<dyn ChatGateway>) -> Self {
        Self {
            chat: Some(chat),
            ..Self::default()
        }
    }

    /// What `model` (empty: the application's default) answers, as `read` reads it.
    ///
    /// # Errors
    /// The model's; [`ModelError::Timeout`] after `limit`; [`ModelError::Broken`] for an answer that cannot
    /// be read.
    pub async fn ask<T>(
        &self,
        model: &str,
        prompt: &Prompt,
        limit: Duration,
        cx: &CallContext,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Said<T>, ModelError> {
        let key = key(model, prompt);
        let known = self.answers.lock().ok().and_then(|mut a| a.get(&key));
        if let Some(value) = known.and_then(|text| read(&text)) {
            return Ok(Said {
                value,
                remembered: true,
            });
        }
        let answer = self.answer(model, prompt, limit, Priority::Interactive, cx);
        let answer = tokio::time::timeout(limit, answer).await;
        let text = answer.unwrap_or(Err(ModelError::Timeout(limit)))?.text;
        let Some(value) = read(&text) else {
            return Err(ModelError::Broken(unusable(&text)));
        };
        if let Ok(mut answers) = self.answers.lock() {
            answers.put(key, text);
        }
        Ok(Said {
            value,
            remembered: false,
        })
    }

    /// What `model` (empty: the application's default) answers, asked anew and not remembered. Only the local
    /// engine keeps to the `limit`.
    ///
    /// # Errors
    /// The model's.
    pub async fn answer(
        &self,
        model: &str,
        prompt: &Prompt,
        limit: Duration,
        priority: Priority,
        cx: &CallContext,
    ) -> Result<ChatAnswer, ModelError> {
        let Some(chat) = &self.chat else {
            return Err(ModelError::NotFound("no chat model is at hand".to_owned()));
        };
        let mut request = ChatRequest {
            model: model.to_owned(),
            messages: prompt.messages.clone(),
            sampling: Sampling {
                temperature: Some(0.0),
                max_tokens: Some(prompt.max_tokens),
                ..Sampling::default()
            },
            constraint: Some(Constraint::JsonSchema(prompt.schema.clone())),
            timeout: Some(limit),
            priority,
            ..ChatRequest::default()
        };
        if self.unheld.lock().is_ok_and(|u| u.contains(model)) {
            request.constraint = None;
        }
        let begun = match chat.chat(request.clone(), cx).await {
            // Providers differ in the schemas they know, and say so with this code alone. What the model
            // writes freely is read as leniently as what was cut off.
            Err(ModelError::InvalidRequest(reason)) if request.constraint.is_some() => {
                request.constraint = None;
                let begun = chat.chat(request, cx).await?;
                tracing::warn!(model, reason, "the model is asked without a constraint");
                if let Ok(mut unheld) = self.unheld.lock() {
                    unheld.insert(model.to_owned());
                }
                begun
            }
            other => other?,
        };
        collect(begun).await
    }

    /// What `model` (empty: the application's default) answers to one of many questions, within `limit`, after
    /// those that somebody waits for.
    ///
    /// # Errors
    /// The model's, where no other question would fare better: it is unknown, not here, refuses whatever it is asked,
    /// or the call was cancelled.
    pub async fn answer_in_batch(
        &self,
        model: &str,
        prompt: &Prompt,
        limit: Duration,
        cx: &CallContext,
    ) -> Result<Answered, ModelError> {
        let before = self.answers_of(model);
        match self.one_of_batch(model, prompt, limit, cx).await {
            Ok(answer) => Ok(Answered::Text(answer)),
            Err(error @ (ModelError::Broken(_) | ModelError::ContextLengthExceeded { .. })) => {
                Ok(Answered::Unfit(error))
            }
            Err(error) if is_refusal(&error) && self.answers_of(model) > before => {
                Ok(Answered::Unfit(error))
            }
            Err(error) if is_refusal(&error) => {
                // Of the question, or of any? A setting that a provider does not know, or an account without money,
                // is told by the same code.
                match self.one_of_batch(model, &harmless(), limit, cx).await {
                    Ok(_) | Err(ModelError::Broken(_)) => Ok(Answered::Unfit(error)),
                    Err(other) if other.is_retryable() => Ok(Answered::Not(other)),
                    Err(other) if is_refusal(&other) => Err(error),
                    Err(other) => Err(other),
                }
            }
            Err(error) if error.is_retryable() => Ok(Answered::Not(error)),
            Err(error) => Err(error),
        }
    }

    /// What a model answers to one question of a batch, and counts.
    async fn one_of_batch(
        &self,
        model: &str,
        prompt: &Prompt,
        limit: Duration,
        cx: &CallContext,
    ) -> Result<ChatAnswer, ModelError> {
        let asked = self.answer(model, prompt, limit, Priority::Batch, cx);
        let answered = tokio::time::timeout(limit, asked).await;
        let answer = answered.unwrap_or(Err(ModelError::Timeout(limit)))?;
        if let Ok(mut answered) = self.answered.lock() {
            *answered.entry(model.to_owned()).or_default() += 1;
        }
        Ok(answer)
    }

    /// How many questions of batches a model has answered.
    fn answers_of(&self, model: &str) -> u64 {
        let answered = self.answered.lock();
        answered.map_or(0, |answered| answered.get(model).copied().unwrap_or(0))
    }
}

/// Whether a model, or a filter before it, does not take what it was asked.
fn is_refusal(error: &ModelError) -> bool {
    matches!(
        error.code(),
        ErrorCode::InvalidRequest | ErrorCode::ContentBlocked
    )
}

/// What is said of an answer that cannot be used.
pub(crate) fn unusable(answer: &str) -> String {
    let said: String = answer.chars().take(120).collect();
    format!("the model's answer cannot be used: {said}")
}

/// Digest of all that a model is asked, in hexadecimal.
pub(crate) fn digest(model: &str, prompt: &Prompt) -> String {
    blake3::Hash::from_bytes(key(model, prompt))
        .to_hex()
        .to_string()
}

fn key(model: &str, prompt: &Prompt) -> Key {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &str| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    };
    add(model);
    for message in &prompt.messages {
        add(message.role.as_str());
        add(&message.text());
    }
    add(&prompt.schema.to_string());
    *hasher.finalize().as_bytes()
}

/// Answers by their questions, of which the least recently used is forgotten first.
#[derive(Default)]
struct Answers {
    texts: HashMap<Key, (String, u64)>,
    /// Counts uses.
    clock: u64,
}

impl Answers {
    fn get(&mut self, key: &Key) -> Option<String> {
        self.clock += 1;
        let (text, used) = self.texts.get_mut(key)?;
        *used = self.clock;
        Some(text.clone())
    }

    fn put(&mut self, key: Key, text: String) {
        self.clock += 1;
        if self.texts.len() >= REMEMBERED && !self.texts.contains_key(&key) {
            let oldest = self.texts.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                self.texts.remove(&oldest);
            }
        }
        self.texts.insert(key, (text, self.clock));
    }
}

#[cfg(test)]
mod tests {
    use super::super::prompts;
    use super::*;

    #[test]
    fn the_least_recently_used_answer_is_forgotten_first() {
        let mut answers = Answers::default();
        let key = |n: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_le_bytes());
            key
        };
        for n in 0..REMEMBERED {
            answers.put(key(n), n.to_string());
        }
        assert_eq!(answers.get(&key(0)).as_deref(), Some("0"));
        answers.put(key(REMEMBERED), "new".to_owned());
        assert_eq!(answers.texts.len(), REMEMBERED);
        assert_eq!(answers.get(&key(1)), None);
        assert_eq!(answers.get(&key(0)).as_deref(), Some("0"));
        assert_eq!(answers.get(&key(REMEMBERED)).as_deref(), Some("new"));
    }

    #[test]
    fn a_question_is_remembered_by_model_messages_and_form() {
        let one = prompts::wordings("Who?", 2);
        assert_eq!(key("a", &one), key("a", &one.clone()));
        assert_ne!(key("a", &one), key("b", &one));
        assert_ne!(key("a", &one), key("a", &prompts::wordings("Who?", 3)));
        assert_ne!(key("a", &one), key("a", &prompts::wordings("Why?", 2)));
    }

    #[tokio::test]
    async fn without_models_the_error_says_so() {
        let cx = CallContext::new(Arc::new(praxis_core::trace::NoTrace));
        let prompt = prompts::passage("Who?");
        let limit = Duration::from_secs(1);
        let said = Assistant::default()
            .ask("m", &prompt, limit, &cx, |t| Some(t.to_owned()))
            .await;
        assert!(matches!(said, Err(ModelError::NotFound(_))), "{said:?}");
    }
}
