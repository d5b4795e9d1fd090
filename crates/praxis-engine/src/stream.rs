//! From tokens to text that can be shown: characters are never split, stop strings never shown.

/// Collects an answer's bytes and gives out text as soon as it is certain.
pub(crate) struct TextStream {
    stop: Vec<String>,
    bytes: Vec<u8>,
    text: String,
}

/// What a piece of input released.
#[derive(Debug, PartialEq)]
pub(crate) struct Released {
    /// Text to show.
    pub text: String,
    /// Whether a stop string came; nothing follows.
    pub stopped: bool,
}

impl TextStream {
    pub fn new(stop: Vec<String>) -> Self {
        Self { stop, bytes: Vec::new(), text: String::new() }
    }

    /// Adds a token's bytes; gives what is now certain.
    pub fn push(&mut self, bytes: &[u8]) -> Released {
        self.bytes.extend_from_slice(bytes);
        self.decode(false);
        self.release(false)
    }

    /// Ends the answer: gives all that was held back.
    pub fn finish(&mut self) -> Released {
        self.decode(true);
        self.release(true)
    }

    /// Moves complete characters to `text`; bytes that can never become one are replaced.
    fn decode(&mut self, last: bool) {
        loop {
            match std::str::from_utf8(&self.bytes) {
                Ok(text) => {
                    self.text.push_str(text);
                    self.bytes.clear();
                    return;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    self.text.push_str(&String::from_utf8_lossy(&self.bytes[..valid]));
                    let bad = match error.error_len() {
                        Some(length) => length,
                        None if last => self.bytes.len() - valid,
                        None => {
                            self.bytes.drain(..valid);
                            return;
                        }
                    };
                    self.text.push('\u{fffd}');
                    self.bytes.drain(..valid + bad);
                }
            }
        }
    }

    fn release(&mut self, last: bool) -> Released {
        let found = self.stop.iter().filter_map(|s| self.text.find(s.as_str())).min();
        if let Some(at) = found {
            self.text.truncate(at);
            return Released { text: std::mem::take(&mut self.text), stopped: true };
        }
        let held = if last { 0 } else { self.held() };
        let keep = self.text.split_off(self.text.len() - held);
        Released { text: std::mem::replace(&mut self.text, keep), stopped: false }
    }

    /// Bytes at the end that may be the beginning of a stop string.
    fn held(&self) -> usize {
        self.stop
            .iter()
            .flat_map(|stop| {
                stop.char_indices()
                    .map(|(i, _)| i)
                    .filter(|i| *i > 0 && self.text.ends_with(&stop[..*i]))
            })
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stop: &[&str], pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let mut stream = TextStream::new(stop.iter().map(|s| (*s).to_owned()).collect());
        let mut shown = Vec::new();
        for piece in pieces {
            let released = stream.push(piece);
            shown.push(released.text);
            if released.stopped {
                return (shown, true);
            }
        }
        let released = stream.finish();
        shown.push(released.text);
        (shown, released.stopped)
    }

    #[test]
    fn a_character_is_shown_whole() {
        let hao = "好".as_bytes();
        assert_eq!(run(&[], &[&hao[..1], &hao[1..], b"!"]).0, ["", "好", "!", ""]);
        assert_eq!(run(&[], &[b"a\xff", b"b", &hao[..2]]).0, ["a\u{fffd}", "b", "", "\u{fffd}"]);
    }

    #[test]
    fn a_stop_string_over_several_tokens_is_never_shown() {
        assert_eq!(run(&["END"], &[b"x E", b"N", b"D y"]), (vec!["x ".into(), String::new(), String::new()], true));
        assert_eq!(run(&["END"], &[b"x E", b"Nd"]), (vec!["x ".into(), "ENd".into(), String::new()], false));
        assert_eq!(run(&["\n\n"], &[b"a\n", b"b"]), (vec!["a".into(), "\nb".into(), String::new()], false));
    }

    proptest! {
        #[test]
        fn any_split_shows_the_same_text(text in "[a-c好\u{1f600}]{0,30}", cuts in proptest::collection::vec(1usize..5, 0..40), stop in "[a-c]{1,3}") {
            let bytes = text.as_bytes();
            let mut pieces = Vec::new();
            let mut at = 0;
            for cut in cuts {
                let end = (at + cut).min(bytes.len());
                pieces.push(&bytes[at..end]);
                at = end;
            }
            pieces.push(&bytes[at..]);
            let want = text.split(stop.as_str()).next().unwrap_or_default();
            prop_assert_eq!(run(&[&stop], &pieces).0.concat(), want);
        }
    }
}
