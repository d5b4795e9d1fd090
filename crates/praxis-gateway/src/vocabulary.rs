//! The tokenizers of models that others run, where they are published and small enough to carry: those of OpenAI
//! (`tiktoken`). For what a provider does not count itself: an answer that was cut off before its usage came, and the
//! size of a conversation before it is sent. Chat models of other makers are counted by OpenAI's latest, which is nearer
//! to theirs than any rule by characters; docs/providers.md has what was measured.
//!
//! Left out: embedders of other makers, by whose counts texts are cut and stored (`tokens`), and what a call reserves,
//! which has to be the most that it can be and is asked at each call (`praxis_core::tokens::most`).

use praxis_core::tokens::{TokenCount, estimate};
use praxis_core::{Message, Part};
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

/// Bytes of a text that are cut into tokens in one go: the cutting is quadratic in the worst case, and a text that goes
/// on for megabytes without a space is one. A cut adds a token at most.
const PIECE: usize = 8 << 10;

/// Bytes of a text from which on it is counted by its beginning where the tokenizer is not the model's own: exact it
/// would not be anyway.
const SAMPLE: usize = 64 << 10;

/// Tokens around a message: its begin, its role, its end (OpenAI Cookbook, "How to count tokens with tiktoken").
const PER_MESSAGE: usize = 3;

/// Tokens that the beginning of the answer takes in the prompt (the same).
const PRIMING: usize = 3;

/// Tokens of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vocabulary {
    tokenizer: Tokenizer,
    kin: Kin,
}

/// What a tokenizer is to the model that is counted by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kin {
    /// Its own.
    Own,
    /// One like its own.
    Alike,
    /// One like its own but for numbers, of which each digit is a token: Qwen's.
    AlikeByDigits,
}

impl Vocabulary {
    /// That of a model by its provider's name for it, where it is known: `gpt-4o-mini`, `openai/gpt-5`,
    /// `ft:gpt-4o:acme::1`.
    pub(crate) fn of(model: &str) -> Option<Self> {
        let name = last(model);
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
        get_tokenizer(name).map(|tokenizer| Self {
            tokenizer,
            kin: Kin::Own,
        })
    }

    /// That of a model, or one like it.
    pub(crate) fn like(model: &str) -> Self {
        let name = last(model).to_ascii_lowercase();
        let is_qwen = name.contains("qwen") || name.starts_with("qwq");
        Self::of(model).unwrap_or(Self {
            tokenizer: Tokenizer::O200kBase,
            kin: match is_qwen {
                true => Kin::AlikeByDigits,
                false => Kin::Alike,
            },
        })
    }

    /// The same, which counts a long text by its beginning though it is the model's own: for where nobody can wait.
    pub(crate) fn quick(self) -> Self {
        Self {
            kin: match self.kin {
                Kin::Own => Kin::Alike,
                other => other,
            },
            ..self
        }
    }

    /// The text that tokens spell; what is no text in it, as where a character was cut apart, becomes a mark of that.
    /// `None` where one of them is no token.
    pub(crate) fn decode(self, tokens: &[u32]) -> Option<String> {
        let encoder = tiktoken_rs::bpe_for_tokenizer(self.tokenizer).ok()?;
        let bytes = encoder.decode_bytes(tokens).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// How many tokens a text has; about, where the tokenizer is not the model's own.
    pub(crate) fn count(self, text: &str) -> usize {
        let Ok(encoder) = tiktoken_rs::bpe_for_tokenizer(self.tokenizer) else {
            return estimate(text);
        };
        let counted = |text: &str| -> usize {
            let tokens = pieces(text).map(|piece| encoder.count_ordinary(piece));
            tokens.sum()
        };
        if self.kin == Kin::Own {
            return counted(text);
        }
        let sample = text.get(..text.floor_char_boundary(SAMPLE)).unwrap_or(text);
        let mut tokens = counted(sample);
        if self.kin == Kin::AlikeByDigits {
            tokens += more_by_digits(sample);
        }
        match sample.len() < text.len() {
            true => tokens.saturating_mul(text.len()) / sample.len().max(1),
            false => tokens,
        }
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
            exact: self.kin == Kin::Own && messages.iter().all(is_text),
        }
    }
}

/// A model's name without who it is from.
fn last(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// How many more tokens numbers are of which each digit is one, and not up to three together.
fn more_by_digits(text: &str) -> usize {
    let numbers = text.split(|c: char| !c.is_numeric());
    let more = numbers.map(|number| {
        let digits = number.chars().count();
        digits - digits.div_ceil(3)
    });
    more.sum()
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
            let own = Vocabulary::of(model);
            assert_eq!(own.map(|v| v.tokenizer), known, "{model}");
            let like = Vocabulary::like(model);
            assert_eq!(like.kin == Kin::Own, known.is_some(), "{model}");
        }
    }

    #[test]
    fn tokens_spell_the_text_that_they_were_made_of() {
        let vocabulary = Vocabulary::of("text-embedding-3-small").unwrap();
        // "tiktoken is great!" (OpenAI Cookbook, "How to count tokens with tiktoken").
        let tokens = [83, 1609, 5963, 374, 2294, 0];
        assert_eq!(
            vocabulary.decode(&tokens).as_deref(),
            Some("tiktoken is great!")
        );
        assert_eq!(vocabulary.decode(&[u32::MAX]), None);
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

    /// Qwen's own tokenizer has 5 tokens for a number of five digits.
    #[test]
    fn models_of_other_makers_are_counted_by_a_tokenizer_like_theirs() {
        for (model, text, tokens) in [
            ("llama-3.3-70b", "hello world", 2),
            ("claude-sonnet-4-5", "12345", 2),
            ("Qwen/Qwen3-8B", "hello world", 2),
            ("Qwen/Qwen3-8B", "12345", 5),
            ("qwen-plus", "1 and 22 and 333", 10),
            ("QwQ-32B", "", 0),
        ] {
            let vocabulary = Vocabulary::like(model);
            assert_eq!(vocabulary.count(text), tokens, "{model}: {text}");
            let count = vocabulary.count_prompt(&[Message::user("hello world")]);
            assert_eq!((count.total(), count.exact), (2 + 1 + 3 + 3, false));
        }
        // A long one by its beginning.
        let long = Vocabulary::like("m").count(&"a word ".repeat(40_000));
        assert!((79_000..81_000).contains(&long), "{long}");
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
