//! Calls in a model's text as it comes: what stands between the marks becomes a call, all else is text.
//!
//! Text is held back only as long as it may be the beginning of a mark, or white space before one. A call
//! that is cut off, or is none, stays text: nothing that the model wrote is lost.

use praxis_core::ToolCallDelta;
use praxis_core::tool::MAX_TOOL_CALLS;
use serde_json::Value;

use super::{CLOSE, OPEN, head};

/// What a piece of text turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Read {
    /// Text of the answer.
    Text(String),
    /// A call, whole.
    Call(ToolCallDelta),
}

/// Reads one answer.
#[derive(Debug, Default)]
pub(crate) struct CallReader {
    /// Text that is not decided yet; behind a mark where `inside`.
    held: String,
    inside: bool,
    calls: usize,
}

impl CallReader {
    /// How many calls there were.
    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    /// Takes more text.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Read> {
        self.held.push_str(text);
        let mut read = Vec::new();
        loop {
            let mark = if self.inside { CLOSE } else { OPEN };
            let Some(at) = self.held.find(mark) else {
                break;
            };
            let before = self.held[..at].to_owned();
            self.held.drain(..at + mark.len());
            if self.inside {
                match self.call(&before) {
                    Some(call) => read.push(Read::Call(call)),
                    None => self.text(format!("{OPEN}{before}{CLOSE}"), &mut read),
                }
            } else {
                self.text(before.trim_end().to_owned(), &mut read);
            }
            self.inside = !self.inside;
        }
        if !self.inside {
            let ready = self.held.len() - undecided(&self.held);
            let text: String = self.held.drain(..ready).collect();
            self.text(text, &mut read);
        }
        read
    }

    /// The end: what was held back.
    pub(crate) fn finish(&mut self) -> Vec<Read> {
        let held = std::mem::take(&mut self.held);
        let mut read = Vec::new();
        if std::mem::take(&mut self.inside) {
            self.text(format!("{OPEN}{held}"), &mut read);
        } else if self.calls == 0 || !held.trim().is_empty() {
            self.text(held, &mut read);
        }
        read
    }

    fn text(&self, text: String, read: &mut Vec<Read>) {
        // White space between calls is layout.
        if !text.is_empty() && (self.calls == 0 || !text.trim().is_empty()) {
            read.push(Read::Text(text));
        }
    }

    fn call(&mut self, written: &str) -> Option<ToolCallDelta> {
        let written = written.trim();
        let value: Value = serde_json::from_str(written).ok()?;
        let name = value
            .get("name")?
            .as_str()
            .filter(|name| !name.is_empty())?;
        if self.calls == MAX_TOOL_CALLS {
            return None;
        }
        let text = written.strip_prefix(&head(name));
        let arguments = match (
            text.and_then(|t| t.strip_suffix('}')),
            value.get("arguments"),
        ) {
            // As the model wrote them: a value would lose digits of long numbers.
            (Some(text), Some(_)) => text.to_owned(),
            (None, Some(arguments)) => arguments.to_string(),
            (_, None) => "{}".to_owned(),
        };
        let index = self.calls;
        self.calls += 1;
        Some(ToolCallDelta {
            index,
            id: Some(id(index)),
            name: Some(name.to_owned()),
            arguments,
        })
    }
}

/// An id that no other call of a conversation has, so far as chance goes.
fn id(index: usize) -> String {
    format!("call_{:016x}{index:x}", rand::random::<u64>())
}

/// Bytes at the end of a text that may belong to a call: the beginning of a mark, and white space.
fn undecided(text: &str) -> usize {
    let mark = (1..OPEN.len())
        .rev()
        .find(|cut| text.ends_with(&OPEN[..*cut]))
        .unwrap_or(0);
    let before = &text[..text.len() - mark];
    text.len() - before.trim_end().len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is read of a text in pieces: its text, and its calls' names and arguments.
    fn read(pieces: &[&str]) -> (String, Vec<(String, String)>) {
        let mut reader = CallReader::default();
        let mut read: Vec<Read> = pieces.iter().flat_map(|p| reader.push(p)).collect();
        read.extend(reader.finish());
        let (mut text, mut calls) = (String::new(), Vec::new());
        for piece in read {
            match piece {
                Read::Text(more) => text.push_str(&more),
                Read::Call(call) => {
                    assert_eq!(call.index, calls.len());
                    calls.push((call.name.unwrap(), call.arguments));
                }
            }
        }
        assert_eq!(calls.len(), reader.calls());
        (text, calls)
    }

    fn call(name: &str, arguments: &str) -> (String, String) {
        (name.to_owned(), arguments.to_owned())
    }

    #[test]
    fn calls_are_told_from_text() {
        let one = "<tool_call>\n{\"name\": \"a\", \"arguments\": {\"x\": 1.50}}\n</tool_call>";
        let two = "<tool_call>{\"arguments\": {}, \"name\": \"b\"}</tool_call>";
        let a = call("a", "{\"x\": 1.50}");
        for (written, text, calls) in [
            ("just text ", "just text ", vec![]),
            (one, "", vec![a.clone()]),
            (
                &format!("Let me see. \n\n{one}"),
                "Let me see.",
                vec![a.clone()],
            ),
            (
                &format!("{one}\n{two}\n"),
                "",
                vec![a.clone(), call("b", "{}")],
            ),
            (&format!("{one}\nDone. "), "\nDone. ", vec![a.clone()]),
            // What is no call stays what it is.
            (
                "<tool_call>nothing</tool_call>",
                "<tool_call>nothing</tool_call>",
                vec![],
            ),
            (
                "<tool_call>\n{\"name\": \"a\", ",
                "<tool_call>\n{\"name\": \"a\", ",
                vec![],
            ),
            ("a <tool", "a <tool", vec![]),
            (
                "<tool_call>{\"name\": \"a\"}</tool_call>",
                "",
                vec![call("a", "{}")],
            ),
        ] {
            assert_eq!(read(&[written]), (text.to_owned(), calls), "{written}");
        }
    }

    #[test]
    fn text_is_shown_as_soon_as_it_cannot_be_a_call() {
        let mut reader = CallReader::default();
        for (piece, shown) in [
            ("Well", Some("Well")),
            (" ", None),
            ("<", None),
            ("b>", Some(" <b>")),
            ("<tool_call", None),
            ("s>", Some("<tool_calls>")),
        ] {
            let shown: Vec<Read> = shown.iter().map(|t| Read::Text((*t).to_owned())).collect();
            assert_eq!(reader.push(piece), shown, "{piece}");
        }
    }

    proptest! {
        #[test]
        fn how_a_text_is_cut_changes_nothing(
            parts in prop::collection::vec(prop_oneof![
                Just("<tool_call>"), Just("</tool_call>"), Just("\n"), Just("{\"name\": \"a\", \"arguments\": {}}"),
                Just("<tool"), Just("é"), Just(" "), Just("{"), Just("text"),
            ], 0..12),
            cuts in prop::collection::vec(0usize..200, 0..8),
        ) {
            let whole = parts.concat();
            let mut at: Vec<usize> = cuts.into_iter().filter(|c| whole.is_char_boundary(*c)).collect();
            at.extend([0, whole.len()]);
            at.sort_unstable();
            let pieces: Vec<&str> = at.windows(2).map(|w| &whole[w[0]..w[1]]).collect();
            let (text, calls) = read(&[&whole]);
            prop_assert_eq!((text.clone(), calls.clone()), read(&pieces));
            // Nothing is lost but white space around calls and the calls' own text.
            if calls.is_empty() && !whole.contains("<tool_call>") {
                prop_assert_eq!(text, whole);
            }
        }
    }
}
