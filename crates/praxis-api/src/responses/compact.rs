//! Conversations that are made shorter: what was said becomes a summary by the model, sealed in an item that goes on
//! standing for it. The item's content is the id of a row here, which is read for who made it and nobody else, so that
//! there is nothing in it to read, to change or to forge. What the user said last stays as it was, as far as there is
//! room. Left out: the words in which a model is asked (`praxis_function::summary`), and the request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use praxis_core::chat::collect;
use praxis_core::tokens::{cut, estimate};
use praxis_core::{CallContext, ChatGateway, ErrorCode, Message, Priority, TokenCount, Usage, ids};
use praxis_function::summary;

use super::item::{Compacted, Item, Said, Speaker};
use super::prompt::{message, prompt};
use crate::error::ApiError;

/// What ids of compaction items begin with.
const PREFIX: &str = "cmp_";

/// What their content is, before it is packed.
const SEAL: &str = "praxis-compaction-1:";

/// Tokens of a summary: a share of the model's window.
const SUMMARY: std::ops::RangeInclusive<usize> = 64..=512;
const SHARE: usize = 8;

/// Tokens that are taken for the window of a model that does not tell.
const WINDOW: usize = 8192;

/// Tokens around what is summarized.
const AROUND: usize = 96;

/// The fewest tokens of a conversation that are summarized at a time.
const LEAST: usize = 128;

/// Tokens of a text by which it is measured how many the model makes of one.
const SAMPLE: usize = 1024;

/// How often a model is asked, at most: a conversation that it does not read at once is read piece by piece, each with
/// the summary of those before.
const MOST_PIECES: usize = 16;

/// The share of the window that messages of the user may have that stay as they were, and that the passages of an
/// earlier search may have.
const QUARTER: usize = 4;

/// Who summarizes.
pub(crate) struct Summarizer<'a> {
    pub chat: &'a dyn ChatGateway,
    /// The model's name.
    pub model: &'a str,
    /// What else the model is told.
    pub instructions: Option<&'a str>,
    pub cache_key: Option<&'a str>,
    pub priority: Priority,
    pub cx: &'a CallContext,
}

/// A new item that stands for a summary.
fn sealed(summary: String) -> Item {
    let id = ids::generate(PREFIX);
    Item::Compaction(Compacted {
        encrypted_content: STANDARD.encode(format!("{SEAL}{id}")),
        id,
        summary: Some(summary),
    })
}

/// The id of the item that has this content.
pub(crate) fn opened(content: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(content).ok()?).ok()?;
    let id = text.strip_prefix(SEAL)?;
    id.starts_with(PREFIX).then(|| id.to_owned())
}

impl Summarizer<'_> {
    /// A conversation made shorter, and what the model used: what the application said, the latest messages of the
    /// user, and an item that stands for all else. `read` are the items with what files say in the place of files.
    ///
    /// # Errors
    /// A conversation that is too long for the model, one that it writes no summary of, or what asking it fails with.
    pub async fn compact(
        &self,
        items: &[Item],
        read: &[Item],
    ) -> Result<(Vec<Item>, Usage), ApiError> {
        let is_talk = |item: &&Item| !matches!(said(item), Some(said) if is_application(said));
        let talk: Vec<Item> = read.iter().filter(is_talk).cloned().collect();
        let talk = prompt(None, &talk, self.window() / QUARTER);
        let talk = talk.map_err(|what| ApiError::invalid("input", what))?;
        let (summary, usage) = self.summary(&talk.messages).await?;
        let mut shorter = self.kept(items, read);
        shorter.push(sealed(summary));
        Ok((shorter, usage))
    }

    fn window(&self) -> usize {
        self.chat.window(self.model).unwrap_or(WINDOW)
    }

    async fn summary(&self, messages: &[Message]) -> Result<(String, Usage), ApiError> {
        let window = self.window();
        let tokens = (window / SHARE).clamp(*SUMMARY.start(), *SUMMARY.end());
        let told = self.instructions.map_or(0, estimate);
        // Beside a piece there are the summary of those before it and the new one. Sizes are estimates.
        let room = window.saturating_sub(2 * tokens + told + AROUND) * 3 / 4;
        let text = summary::transcript(messages, usize::MAX);
        let room = self.measured(&text, room).await?;
        let pieces = pieces(&text, room.max(LEAST));
        if room < LEAST || pieces.len() > MOST_PIECES {
            let message = format!(
                "the conversation has about {} tokens and the instructions {told}: with its window of {window}, `{}` \
                 reads about {} of a conversation. Compact it earlier, or by a model with a longer window",
                estimate(&text),
                self.model,
                room.saturating_mul(MOST_PIECES),
            );
            let error = ApiError::new(ErrorCode::ContextLengthExceeded, message);
            return Err(error.about("input"));
        }
        let (mut short, mut usage) = (String::new(), Usage::default());
        for piece in pieces {
            let text = match short.is_empty() {
                true => piece.to_owned(),
                false => format!("{}\n{piece}", summary::told(&short).text()),
            };
            let mut request = summary::question(self.model, text, tokens);
            if let Some(instructions) = self.instructions {
                request.messages.insert(0, Message::system(instructions));
            }
            request.cache_key = self.cache_key.map(str::to_owned);
            request.priority = self.priority;
            let answer = collect(self.chat.chat(request, self.cx).await?).await?;
            usage += answer.usage;
            answer.text.trim().clone_into(&mut short);
        }
        if short.is_empty() {
            let message = format!("`{}` wrote no summary: name another model", self.model);
            return Err(ApiError::new(ErrorCode::OutputInvalid, message));
        }
        Ok((short, usage))
    }

    /// A room in tokens as they are estimated, less where the model makes more of such a text.
    async fn measured(&self, text: &str, room: usize) -> Result<usize, ApiError> {
        let sample = cut(text, room.min(SAMPLE));
        let estimated = estimate(sample);
        let message = Message::user(sample);
        let count = self.chat.count_tokens(self.model, &[message]).await?;
        let tokens: usize = count.messages.iter().sum();
        match tokens > estimated + AROUND {
            true => Ok(room.saturating_mul(estimated) / tokens),
            false => Ok(room),
        }
    }

    /// What stays as it was said.
    fn kept(&self, items: &[Item], read: &[Item]) -> Vec<Item> {
        let mut left = self.window() / QUARTER;
        let mut kept = Vec::new();
        for (item, read) in items.iter().zip(read).rev() {
            let Some(said) = said(read) else { continue };
            let stays = match said.role {
                Speaker::Assistant => false,
                Speaker::System | Speaker::Developer => true,
                Speaker::User => {
                    // What is older than a message without room goes too, so that nothing is missing in between.
                    left = left.saturating_sub(TokenCount::estimate(&[message(said)]).total());
                    left > 0
                }
            };
            if stays {
                kept.push(item.clone());
            }
        }
        kept.reverse();
        kept
    }
}

/// A message.
fn said(item: &Item) -> Option<&Said> {
    match item {
        Item::Message(said) => Some(said),
        _ => None,
    }
}

/// Whether it is the application's.
fn is_application(said: &Said) -> bool {
    matches!(said.role, Speaker::System | Speaker::Developer)
}

/// A text in pieces of about `room` tokens, cut behind lines where they are not too short for that.
fn pieces(text: &str, room: usize) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        let piece = cut(rest, room.max(1));
        let is_last = piece.len() == rest.len();
        let line = piece.rfind('\n').filter(|at| *at > piece.len() / 2);
        let end = line.filter(|_| !is_last).unwrap_or(piece.len());
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after.trim_start();
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use futures::StreamExt;
    use praxis_core::trace::NoTrace;
    use praxis_core::{ChatChunk, ChatRequest, ChatStream, FinishReason, ModelError};
    use proptest::prelude::*;

    use super::*;
    use crate::responses::item::{Call, CallOutput, Content, Given, OutputText, Status};

    /// A model that says the same of all it is asked.
    struct Model {
        window: usize,
        says: &'static str,
        asked: Mutex<Vec<ChatRequest>>,
    }

    #[async_trait]
    impl ChatGateway for Model {
        async fn chat(
            &self,
            request: ChatRequest,
            _: &CallContext,
        ) -> Result<ChatStream, ModelError> {
            self.asked.lock().unwrap().push(request);
            let chunks = [
                ChatChunk::Delta {
                    text: self.says.to_owned(),
                    logprobs: Vec::new(),
                },
                ChatChunk::Done {
                    finish_reason: FinishReason::Stop,
                    usage: Usage {
                        input_tokens: 5,
                        output_tokens: 7,
                        ..Usage::default()
                    },
                },
            ];
            Ok(futures::stream::iter(chunks.map(Ok)).boxed())
        }

        fn window(&self, _: &str) -> Option<usize> {
            Some(self.window)
        }
    }

    fn model(window: usize, says: &'static str) -> Model {
        Model {
            window,
            says,
            asked: Mutex::default(),
        }
    }

    async fn compact(model: &Model, items: &[Item]) -> Result<(Vec<Item>, Usage), ApiError> {
        let cx = CallContext::new(Arc::new(NoTrace));
        let summarizer = Summarizer {
            chat: model,
            model: "m",
            instructions: Some("Be kind."),
            cache_key: None,
            priority: Priority::Batch,
            cx: &cx,
        };
        summarizer.compact(items, items).await
    }

    fn message(id: &str, role: Speaker, text: &str) -> Item {
        let text = text.to_owned();
        let content = match role {
            Speaker::Assistant => Content::OutputText(OutputText {
                text,
                ..OutputText::default()
            }),
            _ => Content::InputText { text },
        };
        Item::Message(Said {
            id: id.to_owned(),
            status: Status::Completed,
            role,
            content: vec![content],
        })
    }

    fn call() -> Item {
        Item::FunctionCall(Call {
            id: "fc_1".to_owned(),
            status: Status::Completed,
            call_id: "c".to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
        })
    }

    fn output() -> Item {
        Item::FunctionCallOutput(CallOutput {
            id: "fco_1".to_owned(),
            status: Status::Completed,
            call_id: "c".to_owned(),
            output: Given::Text("Snow.".to_owned()),
        })
    }

    fn ids(items: &[Item]) -> Vec<&str> {
        items.iter().map(Item::id).collect()
    }

    #[tokio::test]
    async fn what_was_said_becomes_a_summary_and_what_the_user_said_last_stays() {
        let model = model(4000, " Ada lives in Oslo. ");
        let items = [
            message("rules", Speaker::Developer, "Answer in one word."),
            message("old", Speaker::User, &"My name is Ada. ".repeat(300)),
            message("hello", Speaker::Assistant, "Hello Ada."),
            message("asked", Speaker::User, "Weather in Oslo?"),
            call(),
            output(),
            message("told", Speaker::Assistant, "Snow."),
        ];
        let (shorter, usage) = compact(&model, &items).await.unwrap();
        let (last, kept) = shorter.split_last().unwrap();
        assert_eq!(ids(kept), ["rules", "asked"]);
        let Item::Compaction(sealed) = last else {
            panic!("{last:?}");
        };
        assert_eq!(sealed.summary.as_deref(), Some("Ada lives in Oslo."));
        assert_eq!(
            opened(&sealed.encrypted_content).as_deref(),
            Some(last.id())
        );
        assert_eq!((usage.input_tokens, usage.output_tokens), (5, 7));
        let asked = model.asked.lock().unwrap();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].messages[0], Message::system("Be kind."));
        assert_eq!(asked[0].priority, Priority::Batch);
        let text = asked[0].messages[2].text();
        assert!(text.contains("Tool: Snow.") && text.contains("User: Weather in Oslo?"));
        assert!(!text.contains("in one word"), "{text}");
    }

    #[tokio::test]
    async fn a_long_conversation_is_read_piece_by_piece_and_what_is_too_long_is_told() {
        let long = |n: usize| [message("u", Speaker::User, &"word ".repeat(n))];
        let read = model(1000, "Short.");
        let (shorter, usage) = compact(&read, &long(2000)).await.unwrap();
        assert_eq!(shorter.len(), 1, "it has no room to stay");
        let asked = read.asked.lock().unwrap().clone();
        assert!((3..=8).contains(&asked.len()), "{}", asked.len());
        assert_eq!(usage.output_tokens, 7 * asked.len() as u64);
        for request in &asked[1..] {
            let text = request.messages[2].text();
            assert!(text.starts_with("What was said before, in short: Short."));
        }
        for (window, n) in [(1000, 20_000), (200, 10)] {
            let error = compact(&model(window, "Short."), &long(n)).await;
            let error = error.unwrap_err();
            assert_eq!(error.code(), ErrorCode::ContextLengthExceeded);
            assert!(error.message().contains(&window.to_string()));
        }
    }

    #[tokio::test]
    async fn what_cannot_be_summarized_is_told() {
        for (says, items, code) in [
            (
                " ",
                vec![message("u", Speaker::User, "Hi")],
                ErrorCode::OutputInvalid,
            ),
            ("Short.", vec![call()], ErrorCode::InvalidRequest),
        ] {
            let error = compact(&model(4000, says), &items).await.unwrap_err();
            assert_eq!(error.code(), code);
        }
    }

    #[test]
    fn only_what_was_sealed_here_is_opened() {
        let packed = |text: &str| STANDARD.encode(text);
        for (content, id) in [
            (packed("praxis-compaction-1:cmp_1"), Some("cmp_1")),
            (packed("praxis-compaction-1:msg_1"), None),
            (packed("cmp_1"), None),
            ("gAAAAABpM0Yj-...=".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(opened(&content).as_deref(), id, "{content}");
        }
    }

    proptest! {
        #[test]
        fn pieces_have_room_and_nothing_is_lost(text in "[a-z藤 \n]{0,400}", room in LEAST..LEAST + 40) {
            let pieces = pieces(&text, room);
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(letters(&pieces.concat()), letters(&text));
            for piece in pieces {
                prop_assert!(!piece.is_empty() && estimate(piece) <= room);
            }
        }
    }
}
