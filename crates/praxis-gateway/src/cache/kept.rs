//! A whole answer as it is kept: gathered from the pieces of a stream, and given again as a stream of a few pieces.

use std::sync::Arc;

use futures::{StreamExt, stream};
use praxis_core::{FinishReason, TokenLogprob, Usage};

use crate::wire::{Piece, Pieces};

/// The most characters of a piece of text that is given again. A piece with logprobs comes as it came: it goes with its
/// tokens.
pub(super) const PIECE: usize = 64;

/// An answer while it comes.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pieces: Vec<Piece>,
    /// About what they take.
    bytes: usize,
}

impl Gathered {
    /// Adds a piece; `false` where it would be more than so many bytes.
    pub(super) fn push(&mut self, piece: &Piece, most: usize) -> bool {
        if says_nothing(piece) {
            return true;
        }
        if self.bytes.saturating_add(beyond(piece)) > most {
            return false;
        }
        self.bytes += match merged(self.pieces.last_mut(), piece) {
            Some(more) => more,
            None => {
                self.pieces.push(piece.clone());
                size_of::<Piece>() + beyond(piece)
            }
        };
        true
    }

    /// The whole answer, of this model.
    pub(super) fn whole(mut self, model: &str, finish_reason: FinishReason, usage: Usage) -> Kept {
        for piece in &mut self.pieces {
            match piece {
                Piece::Delta { text, .. } | Piece::Reasoning(text) => text.shrink_to_fit(),
                Piece::ToolCall(call) => call.arguments.shrink_to_fit(),
                Piece::Done { .. } => {}
            }
        }
        self.pieces.shrink_to_fit();
        Kept {
            model: model.to_owned(),
            pieces: self.pieces,
            finish_reason,
            usage,
        }
    }
}

/// The end is kept apart, and nothing is not kept.
fn says_nothing(piece: &Piece) -> bool {
    match piece {
        Piece::Delta { text, logprobs } => text.is_empty() && logprobs.is_empty(),
        Piece::Reasoning(text) => text.is_empty(),
        Piece::ToolCall(_) => false,
        Piece::Done { .. } => true,
    }
}

/// Puts a piece to the one before it where they are one; gives how much longer that is.
fn merged(last: Option<&mut Piece>, piece: &Piece) -> Option<usize> {
    match (last?, piece) {
        (
            Piece::Delta { text, logprobs },
            Piece::Delta {
                text: more,
                logprobs: others,
            },
        ) if logprobs.is_empty() && others.is_empty() => {
            text.push_str(more);
            Some(more.len())
        }
        (Piece::Reasoning(text), Piece::Reasoning(more)) => {
            text.push_str(more);
            Some(more.len())
        }
        (Piece::ToolCall(call), Piece::ToolCall(delta)) if call.index == delta.index => {
            if delta.id.is_some() {
                call.id.clone_from(&delta.id);
            }
            if delta.name.is_some() {
                call.name.clone_from(&delta.name);
            }
            call.arguments.push_str(&delta.arguments);
            let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
            Some(length(&delta.id) + length(&delta.name) + delta.arguments.len())
        }
        _ => None,
    }
}

/// What so many bytes take of memory, with what an allocator needs for itself.
fn block(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        bytes => bytes.saturating_add(31) & !15,
    }
}

/// What a piece takes beyond itself.
fn beyond(piece: &Piece) -> usize {
    match piece {
        Piece::Delta { text, logprobs } => block(text.len()) + of_tokens(logprobs),
        Piece::Reasoning(text) => block(text.len()),
        Piece::ToolCall(call) => {
            let texts = [&call.id, &call.name].into_iter().flatten();
            let texts: usize = texts.map(|text| block(text.len())).sum();
            texts + block(call.arguments.len())
        }
        Piece::Done { .. } => 0,
    }
}

fn of_tokens(tokens: &[TokenLogprob]) -> usize {
    let each = tokens.iter().map(|token| {
        let bytes = token.bytes.as_ref().map_or(0, Vec::len);
        block(token.token.len()) + block(bytes) + of_tokens(&token.top_logprobs)
    });
    block(size_of_val(tokens)) + each.sum::<usize>()
}

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    model: String,
    /// Without the end.
    pieces: Vec<Piece>,
    finish_reason: FinishReason,
    usage: Usage,
}

impl Kept {
    /// Who gave it.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// About what it takes of memory.
    pub(super) fn bytes(&self) -> usize {
        let pieces = block(size_of_val(self.pieces.as_slice()));
        let beyond: usize = self.pieces.iter().map(beyond).sum();
        size_of::<Self>() + block(self.model.len()) + pieces + beyond
    }

    /// The answer again: its first piece and the rest. All of its prompt counts as read from a cache.
    pub(crate) fn again(self: &Arc<Self>) -> (Piece, Pieces) {
        let mut pieces = Again {
            kept: Arc::clone(self),
            at: 0,
            from: 0,
            ended: false,
        };
        let first = pieces.next().unwrap_or_else(|| self.end());
        (first, stream::iter(pieces.map(Ok)).boxed())
    }

    fn end(&self) -> Piece {
        Piece::Done {
            finish_reason: self.finish_reason,
            usage: Some(Usage {
                cached_tokens: self.usage.input_tokens,
                cache_write_tokens: 0,
                ..self.usage
            }),
        }
    }
}

/// The pieces of an answer as they are given again.
struct Again {
    kept: Arc<Kept>,
    /// The piece to go on with.
    at: usize,
    /// From which byte of it.
    from: usize,
    ended: bool,
}

impl Iterator for Again {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.ended {
            return None;
        }
        let Some(piece) = self.kept.pieces.get(self.at) else {
            self.ended = true;
            return Some(self.kept.end());
        };
        let (text, is_thought) = match piece {
            Piece::Delta { text, logprobs } if logprobs.is_empty() => (text.as_str(), false),
            Piece::Reasoning(text) => (text.as_str(), true),
            whole => {
                self.at += 1;
                return Some(whole.clone());
            }
        };
        let rest = text.get(self.from..).unwrap_or_default();
        let end = rest.char_indices().nth(PIECE).map(|(at, _)| at);
        match end {
            Some(end) => self.from += end,
            None => {
                self.at += 1;
                self.from = 0;
            }
        }
        let text = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let text = text.to_owned();
        Some(match is_thought {
            true => Piece::Reasoning(text),
            false => Piece::Delta {
                text,
                logprobs: Vec::new(),
            },
        })
    }
}
