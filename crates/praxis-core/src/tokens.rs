//! How many tokens a conversation takes: the count that the chat port gives, and the estimate where
//! no tokenizer is at hand. Estimates are within some 35 % for prose and code (docs/providers.md has what was
//! measured). Left out: what to do about a conversation that is too long.

use crate::language::is_han;
use crate::message::{Message, Part};

/// Tokens around each message of a chat: role and separators.
const PER_MESSAGE: usize = 4;

/// Tokens around a call of a tool.
const PER_CALL: usize = 12;

/// Tokens of an image or recording: about what OpenAI counts for a picture of 512 by 512.
const PER_MEDIA: usize = 255;

/// The most tokens of a picture: providers bill no more for the largest that they look at.
const MOST_OF_PICTURE: usize = 6_000;

/// Tokens of a conversation as a model reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenCount {
    /// Of each message, with the marks that the chat template puts around it.
    pub messages: Vec<usize>,
    /// What the template adds beside the messages: the beginning of the answer, a system message of
    /// its own. Subtract it from the window before fitting messages into it.
    pub frame: usize,
    /// Whether the model's own tokenizer and template were asked. Then the sum is exact for this
    /// conversation, and within a few tokens for a part of it.
    pub exact: bool,
}

impl TokenCount {
    /// About how many tokens a conversation has.
    pub fn estimate(messages: &[Message]) -> Self {
        Self {
            messages: messages
                .iter()
                .map(|m| {
                    let media = m.content.iter().filter(|p| matches!(p, Part::Media { .. }));
                    let calls: usize = m
                        .tool_calls
                        .iter()
                        .map(|call| estimate(&call.name) + estimate(&call.arguments) + PER_CALL)
                        .sum();
                    estimate(&m.text()) + calls + PER_MESSAGE + PER_MEDIA * media.count()
                })
                .collect(),
            frame: 0,
            exact: false,
        }
    }

    /// Tokens of the whole prompt.
    pub fn total(&self) -> usize {
        self.messages.iter().sum::<usize>() + self.frame
    }
}

/// About how many tokens a text has.
pub fn estimate(text: &str) -> usize {
    text.chars().map(quarters).sum::<usize>().div_ceil(4)
}

/// The most tokens that a conversation can have as a prompt, whatever the tokenizer: one for each byte of its texts, and
/// generous ones for what is around them. A medium counts as a large picture, or by its length, as a document does.
pub fn most(messages: &[Message]) -> usize {
    let of_message = |message: &Message| {
        let calls = message.tool_calls.iter();
        let calls: usize = calls
            .map(|call| call.name.len() + call.arguments.len() + 4 * PER_CALL)
            .sum();
        let media = message.content.iter().map(|part| match part {
            Part::Text(_) => 0,
            Part::Media { url, .. } => MOST_OF_PICTURE.max(url.len() / 4),
        });
        message.text().len() + calls + 4 * PER_MESSAGE + media.sum::<usize>()
    };
    messages.iter().map(of_message).sum()
}

/// The beginning of a text that has at most about `tokens`.
pub fn cut(text: &str, tokens: usize) -> &str {
    let mut left = tokens.saturating_mul(4);
    for (i, c) in text.char_indices() {
        match left.checked_sub(quarters(c)) {
            Some(rest) => left = rest,
            None => return &text[..i],
        }
    }
    text
}

/// Quarter tokens of a character: a Han character is about one token, four others are.
fn quarters(c: char) -> usize {
    if is_han(c) { 4 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_and_cuts_agree() {
        for (text, tokens) in [
            ("", 0),
            ("word", 1),
            ("words", 2),
            ("藤野先生", 4),
            ("a藤", 2),
        ] {
            assert_eq!(estimate(text), tokens, "{text}");
            assert_eq!(cut(text, tokens), text);
        }
        assert_eq!(cut("藤野先生 is his name", 4), "藤野先生");
        assert_eq!(cut("藤野先生", 0), "");
    }

    #[test]
    fn no_prompt_has_more_tokens_than_the_most() {
        let picture = Part::image("https://a/b.png");
        let document = Part::Media {
            url: format!("data:application/pdf;base64,{}", "A".repeat(400_000)),
            content_type: None,
            detail: None,
        };
        let with = |part| Message::of_parts(crate::Role::User, vec![part]);
        let messages = [Message::system("Be brief."), Message::user("藤野先生")];
        assert_eq!(most(&messages), 9 + 12 + 2 * 4 * PER_MESSAGE);
        assert!(most(&messages) > TokenCount::estimate(&messages).total());
        assert!(most(&[with(picture)]) > 6_000);
        assert!(most(&[with(document)]) > 100_000);
    }
}
