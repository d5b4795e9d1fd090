//! The tokenizers of models that others run, where they are published and small enough to carry: those of OpenAI
//! (`tiktoken`). For what a provider does not count itself: an answer that was cut off before its usage came, and the
//! size of a conversation before it is sent.
//!
//! Left out: models of other makers, whose tokens are estimated (`tokens`), and what a call reserves, which has to be
//! the most that it can be and is asked at each call (`praxis_core::tokens::most`).

use praxis_core::tokens::{TokenCount, estimate};
use praxis_core::{Message, Part};
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

/// Bytes of a text that are cut into tokens in one go: the cutting is quadratic in the worst case, and a text that goes
/// on for megabytes without a space is one. A cut adds a token at most.
const PIECE: usize = 8 << 10;

/// Tokens around a message: its begin, its role, its end (OpenAI Cookbook, "How to count tokens with tiktoken").
const PER_MESSAGE: usize = 3;

/// Tokens that the beginning of the answer takes in the prompt (the same).
const PRIMING: usize = 3;

/// Tokens of a model whose tokenizer is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vocabulary(Tokenizer);

impl Vocabulary {
    /// That of a model by its provider's name for it: `gpt-4o-mini`, `openai/gpt-5`, `ft:gpt-4o:acme::1`.
    pub(crate) fn of(model: &str) -> Option<Self> {
        let name = model.rsplit('/').next().unwrap_or(model);
        let is_openai = [
            "gpt-",
            "chatgpt-",
            "ft:gpt-",
            "o1",
            "o3",
            "o4",
            "text-embedding-",
        ];
        if !is_openai.iter().any(|begin| name.starts_with(begin)) {
            return None;
        }
        get_tokenizer(name).map(Self)
    }

    /// How many tokens a text has.
    pub(crate) fn count(self, text: &str) -> usize {
        let Ok(encoder) = tiktoken_rs::bpe_for_tokenizer(self.0) else {
            return estimate(text);
        };
        pieces(text)
            .map(|piece| encoder.count_ordinary(piece))
            .sum()
    }

    /// How many tokens a conversation has as a prompt. Media and calls of tools are estimated, as nobody publishes how
    /// they are laid out.
    pub(crate) fn count_prompt(self, messages: &[Message]) -> TokenCount {
        let estimated = TokenCount::estimate(messages);
        let counted = messages
            .iter()
            .zip(estimated.messages)
            .map(|(m, about)| match is_text(m) {
                true => self.count(&m.text()) + self.count(m.role.as_str()) + PER_MESSAGE,
                false => about,
            });
        TokenCount {
            messages: counted.collect(),
            frame: PRIMING,
            exact: messages.iter().all(is_text),
        }
    }
}

fn is_text(message: &Message) -> bool {
    let is_text = |part: &Part| matches!(part, Part::Text(_));
    message.content.iter().all(is_text)
        && message.tool_calls.is_empty()
        && message.tool_call_id.is_none()
}

/// A text in pieces of a bounded size, cut between words where there are any.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let (piece, rest) = text.split_at(end_of_piece(text));
        text = rest;
        Some(piece)
    })
}

fn end_of_piece(text: &str) -> usize {
    if text.len() <= PIECE {
        return text.len();
    }
    let most = text.floor_char_boundary(PIECE);
    let word = text.get(..most).and_then(|piece| piece.rfind(' '));
    // The space belongs to the word behind it.
    word.filter(|at| *at > 0).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openais_models_are_known_by_their_names_wherever_they_run() {
        for (model, known) in [
            ("gpt-4o-mini", Some(Tokenizer::O200kBase)),
            ("gpt-4.1", Some(Tokenizer::O200kBase)),
            ("openai/gpt-5-mini", Some(Tokenizer::O200kBase)),
            ("o3-mini", Some(Tokenizer::O200kBase)),
            ("ft:gpt-4o:acme::1", Some(Tokenizer::O200kBase)),
            ("openai/gpt-oss-20b", Some(Tokenizer::O200kHarmony)),
            ("gpt-4-turbo", Some(Tokenizer::Cl100kBase)),
            ("text-embedding-3-small", Some(Tokenizer::Cl100kBase)),
            ("claude-sonnet-4-5", None),
            ("qwen-max", None),
            ("davinci-of-ours", None),
            ("", None),
        ] {
            assert_eq!(Vocabulary::of(model).map(|v| v.0), known, "{model}");
        }
    }

    /// The counts are those of OpenAI's tiktoken 0.12.
    #[test]
    fn texts_have_the_tokens_of_tiktoken() {
        for (model, text, tokens) in [
            ("gpt-4o", "hello world", 2),
            ("gpt-4o", "tiktoken is great!", 6),
            ("gpt-4", "tiktoken is great!", 6),
            ("gpt-4", "", 0),
        ] {
            let vocabulary = Vocabulary::of(model).unwrap();
            assert_eq!(vocabulary.count(text), tokens, "{model}: {text}");
        }
    }

    #[test]
    fn a_text_without_an_end_is_counted_in_pieces_that_make_it_up() {
        for text in [
            " ".repeat(300_000),
            "a".repeat(300_000),
            "藤".repeat(100_000),
            "a word ".repeat(40_000),
        ] {
            assert_eq!(pieces(&text).collect::<String>(), text);
            assert!(pieces(&text).all(|piece| piece.len() <= PIECE));
        }
        let vocabulary = Vocabulary::of("gpt-4o").unwrap();
        let whole = vocabulary.count(&"a word ".repeat(40_000));
        assert!((80_000..80_050).contains(&whole), "{whole}");
        assert!(vocabulary.count(&"a".repeat(300_000)) > 10_000);
    }

    #[test]
    fn a_conversation_counts_what_is_around_its_messages() {
        let vocabulary = Vocabulary::of("gpt-4o").unwrap();
        let messages = [Message::system("hello world"), Message::user("hello world")];
        let count = vocabulary.count_prompt(&messages);
        assert_eq!(count.total(), 2 * (2 + 1 + 3) + 3);
        assert!(count.exact);
        let picture = Message::of_parts(
            praxis_core::Role::User,
            vec![Part::image("https://a.example/b.png")],
        );
        assert!(!vocabulary.count_prompt(&[picture]).exact);
    }
}
