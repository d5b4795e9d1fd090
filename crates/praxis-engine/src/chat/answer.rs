//! The text of an answer as its tokens come: whole characters only, nothing that may be the
//! beginning of a stop string, and each token's log probability with the text it belongs to.

use std::collections::VecDeque;

use praxis_core::TokenLogprob;

use crate::tokenizer::Detokenizer;

/// Text that can be sent.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) logprobs: Vec<TokenLogprob>,
    /// Whether a stop string ended the answer here.
    pub(super) stopped: bool,
}

struct Waiting {
    start: usize,
    end: usize,
    logprob: TokenLogprob,
}

/// An answer in the making.
pub(super) struct Answer {
    detokenizer: Detokenizer,
    stops: Vec<String>,
    /// Text that is complete but not sent.
    held: String,
    /// Bytes of text that were sent.
    sent: usize,
    waiting: VecDeque<Waiting>,
}

impl Answer {
    /// An answer that ends before any of `stops`.
    pub(super) fn new(stops: Vec<String>) -> Self {
        Self {
            detokenizer: Detokenizer::default(),
            stops,
            held: String::new(),
            sent: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Adds a token.
    pub(super) fn push(&mut self, bytes: &[u8], logprob: Option<TokenLogprob>) -> Piece {
        let start = self.received();
        self.held.push_str(&self.detokenizer.push(bytes));
        if let Some(logprob) = logprob {
            let end = self.received();
            self.waiting.push_back(Waiting {
                start,
                end,
                logprob,
            });
        }
        if let Some(at) = self
            .stops
            .iter()
            .filter_map(|s| self.held.find(s.as_str()))
            .min()
        {
            self.held.truncate(at);
            let text = std::mem::take(&mut self.held);
            self.sent += text.len();
            let sent = self.sent;
            return Piece {
                text,
                logprobs: self.release(|w| w.start < sent),
                stopped: true,
            };
        }
        let ready = self.held.len() - self.possible_stop();
        let text: String = self.held.drain(..ready).collect();
        self.sent += text.len();
        let sent = self.sent;
        Piece {
            text,
            logprobs: self.release(|w| w.end <= sent),
            stopped: false,
        }
    }

    /// The end: all that was held back.
    pub(super) fn finish(&mut self) -> Piece {
        let mut text = std::mem::take(&mut self.held);
        text.push_str(&self.detokenizer.finish());
        self.sent += text.len();
        Piece {
            text,
            logprobs: self.release(|_| true),
            stopped: false,
        }
    }

    /// Bytes of text so far, with those of an incomplete character.
    fn received(&self) -> usize {
        self.sent + self.held.len() + self.detokenizer.pending()
    }

    /// Bytes at the end of the held text that may be the beginning of a stop string.
    fn possible_stop(&self) -> usize {
        let beginning = |stop: &str| {
            // What is held is short; a stop string may be long.
            stop.char_indices()
                .map(|(cut, _)| cut)
                .skip(1)
                .take_while(|cut| *cut <= self.held.len())
                .filter(|cut| self.held.ends_with(&stop[..*cut]))
                .last()
        };
        self.stops
            .iter()
            .filter_map(|s| beginning(s))
            .max()
            .unwrap_or(0)
    }

    fn release(&mut self, ready: impl Fn(&Waiting) -> bool) -> Vec<TokenLogprob> {
        let mut out = Vec::new();
        while self.waiting.front().is_some_and(&ready) {
            out.extend(self.waiting.pop_front().map(|w| w.logprob));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], tokens: &[&[u8]]) -> (Vec<String>, Vec<String>, bool) {
        let mut answer = Answer::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let (mut texts, mut logprobs) = (Vec::new(), Vec::new());
        for bytes in tokens {
            let token = String::from_utf8_lossy(bytes).into_owned();
            let logprob = TokenLogprob {
                token,
                logprob: 0.0,
                bytes: None,
                top_logprobs: vec![],
            };
            let piece = answer.push(bytes, Some(logprob));
            texts.push(piece.text);
            logprobs.extend(piece.logprobs.into_iter().map(|l| l.token));
            if piece.stopped {
                return (texts, logprobs, true);
            }
        }
        let piece = answer.finish();
        texts.push(piece.text);
        logprobs.extend(piece.logprobs.into_iter().map(|l| l.token));
        (texts, logprobs, false)
    }

    #[test]
    fn stop_strings_are_found_across_tokens_and_never_shown() {
        for (stops, tokens, texts, stopped) in [
            (
                &["END"][..],
                &[&b"a E"[..], b"N", b"D b"][..],
                &["a ", "", ""][..],
                true,
            ),
            (
                &["END"],
                &[b"a E", b"N", b"x"],
                &["a ", "", "ENx", ""],
                false,
            ),
            (&["END"], &[b"a EN"], &["a ", "EN"], false),
            (&["\n\n"], &[b"x\n", b"\ny"], &["x", ""], true),
            (&["bc", "abcd"], &[b"abc"], &["a"], true),
            (
                &["。"],
                &["好".as_bytes(), b"\xe3\x80", b"\x82x"],
                &["好", "", ""],
                true,
            ),
        ] {
            let (got, _, got_stopped) = run(stops, tokens);
            assert_eq!(
                (got.as_slice(), got_stopped),
                (texts.map_owned().as_slice(), stopped)
            );
        }
    }

    trait MapOwned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl MapOwned for &[&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|s| (*s).to_owned()).collect()
        }
    }

    #[test]
    fn every_token_behind_the_text_has_one_log_probability() {
        let (_, logprobs, _) = run(&[], &[b"a", b"\xe8\x97", b"\xa4", b"b"]);
        assert_eq!(logprobs.len(), 4);
        let (_, logprobs, _) = run(&["STOP"], &[b"a", b"bST", b"O", b"P c", b"never"]);
        assert_eq!(
            logprobs,
            ["a", "bST"],
            "tokens of the stop string alone are not counted"
        );
    }
}
