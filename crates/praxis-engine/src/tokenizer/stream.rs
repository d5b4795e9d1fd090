//! The way back from tokens to text as they stream.

/// Turns the bytes of streamed tokens into text: a character that is spread over several tokens is
/// held back until it is whole, bytes that can become none are shown as U+FFFD.
#[derive(Debug, Default)]
pub(crate) struct Detokenizer {
    pending: Vec<u8>,
}

impl Detokenizer {
    /// Adds a token's bytes; returns the text that is complete now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut done = 0;
        loop {
            let rest = &self.pending[done..];
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    done = self.pending.len();
                    break;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&rest[..valid]));
                    done += valid;
                    match error.error_len() {
                        Some(invalid) => {
                            text.push(char::REPLACEMENT_CHARACTER);
                            done += invalid;
                        }
                        None => break,
                    }
                }
            }
        }
        self.pending.drain(..done);
        text
    }

    /// Bytes that wait for the rest of their character.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The end: what is incomplete stays incomplete.
    pub(crate) fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_never_split_whatever_the_chunks() {
        let text = "Grüße 藤野先生 👩‍👩‍👧 naïve";
        for size in 1..7 {
            let mut detokenizer = Detokenizer::default();
            let mut out = String::new();
            for chunk in text.as_bytes().chunks(size) {
                let piece = detokenizer.push(chunk);
                assert!(!piece.contains(char::REPLACEMENT_CHARACTER), "{size}");
                out.push_str(&piece);
            }
            out.push_str(&detokenizer.finish());
            assert_eq!(out, text, "{size}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_do_not_hold_back_the_rest() {
        let mut detokenizer = Detokenizer::default();
        assert_eq!(detokenizer.push(b"a\xffb\xe8\x97"), "a\u{fffd}b");
        assert_eq!(detokenizer.pending(), 2);
        assert_eq!(detokenizer.push(b"c"), "\u{fffd}c");
        detokenizer.push(b"\xf0\x9f");
        assert_eq!(detokenizer.finish(), "\u{fffd}");
    }
}
