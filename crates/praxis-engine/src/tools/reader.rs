//! Calls in a model's text as it comes: JSON objects that name a tool and its arguments become calls, all
//! else is text.
//!
//! Between the marks of a call any name counts; without them, or in a fence of Markdown, as Qwen's coders
//! write it, only that of a tool that there is. Text is held back only as long as it may belong to a call. A
//! call that is cut off stays text: nothing that the model wrote is lost.

use praxis_core::tool::{CALL, MAX_TOOL_CALLS};
use praxis_core::{ToolCallDelta, ids};
use serde_json::Value;

use super::{CLOSE, OPEN, head};

/// What may stand before a call, and belongs to it; and what then stands behind it.
const AROUND: [(&str, &str); 3] = [(OPEN, CLOSE), ("```json", "```"), ("```", "```")];

/// Keys under which models write arguments.
const ARGUMENTS: [&str; 2] = ["arguments", "parameters"];

/// What a piece of text turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Read {
    /// Text of the answer.
    Text(String),
    /// A call, whole.
    Call(ToolCallDelta),
}

/// Reads one answer.
#[derive(Debug)]
pub(crate) struct CallReader {
    /// Names of the tools that there are.
    names: Vec<String>,
    /// Text that is not decided yet.
    held: String,
    /// A call that has begun in it.
    object: Option<Object>,
    /// What belongs to the last call if it comes next.
    closing: Option<&'static str>,
    calls: usize,
}

/// A JSON object that is being read, and how far.
#[derive(Debug, Clone, Copy)]
struct Object {
    /// Where what belongs to it begins in the held text.
    from: usize,
    /// Where it begins itself.
    start: usize,
    scanned: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
    closing: Option<&'static str>,
}

/// Whether a text begins as a call.
#[derive(Debug, PartialEq)]
enum Opening {
    Yes,
    No,
    /// It is too short to tell.
    Maybe,
}

impl CallReader {
    /// A reader of calls of these tools.
    pub(crate) fn new(names: Vec<String>) -> Self {
        Self {
            names,
            held: String::new(),
            object: None,
            closing: None,
            calls: 0,
        }
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    /// Takes more text.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Read> {
        self.held.push_str(text);
        let mut read = Vec::new();
        while self.step(&mut read) {}
        read
    }

    /// The end: what was held back.
    pub(crate) fn finish(&mut self) -> Vec<Read> {
        let held = std::mem::take(&mut self.held);
        self.object = None;
        let mut read = Vec::new();
        self.text(held, &mut read);
        read
    }

    /// Decides about some of what is held; `false` where more text is needed for it.
    fn step(&mut self, read: &mut Vec<Read>) -> bool {
        if let Some(object) = self.object.take() {
            return self.scan(object, read);
        }
        if let Some(closing) = self.closing {
            let rest = self.held.trim_start();
            if closing.starts_with(rest) && rest.len() < closing.len() {
                return false;
            }
            self.closing = None;
            if let Some(after) = rest.strip_prefix(closing) {
                self.held = after.to_owned();
            }
            return true;
        }
        let Some(start) = self.held.find('{') else {
            let ready = self.held.len() - undecided(&self.held);
            let text: String = self.held.drain(..ready).collect();
            self.text(text, read);
            return false;
        };
        let before = self.held[..start].trim_end();
        let around = AROUND.iter().find(|(open, _)| before.ends_with(open));
        let from = match around {
            Some((open, _)) => before[..before.len() - open.len()].trim_end().len(),
            None => before.len(),
        };
        let tagged = around.is_some_and(|(open, _)| *open == OPEN);
        let names = if tagged { None } else { Some(&self.names[..]) };
        match opening(&self.held[start..], names) {
            Opening::Maybe => {
                let text: String = self.held.drain(..from).collect();
                self.text(text, read);
                false
            }
            Opening::No => {
                let text: String = self.held.drain(..=start).collect();
                self.text(text, read);
                true
            }
            Opening::Yes => {
                self.object = Some(Object {
                    from,
                    start,
                    scanned: start,
                    depth: 0,
                    in_text: false,
                    escaped: false,
                    closing: around.map(|(_, close)| *close),
                });
                true
            }
        }
    }

    /// Goes on in an object; at its end it is a call, or text after all.
    fn scan(&mut self, mut object: Object, read: &mut Vec<Read>) -> bool {
        let mut end = None;
        for (i, byte) in self.held.bytes().enumerate().skip(object.scanned) {
            match byte {
                _ if object.escaped => object.escaped = false,
                b'\\' if object.in_text => object.escaped = true,
                b'"' => object.in_text = !object.in_text,
                _ if object.in_text => {}
                b'{' | b'[' => object.depth += 1,
                b'}' | b']' => {
                    object.depth = object.depth.saturating_sub(1);
                    if object.depth == 0 {
                        end = Some(i + 1);
                        break;
                    }
                }
                _ => {}
            }
        }
        let Some(end) = end else {
            object.scanned = self.held.len();
            // What stands before it is decided.
            let text: String = self.held.drain(..object.from).collect();
            object.start -= object.from;
            object.scanned -= object.from;
            object.from = 0;
            self.object = Some(object);
            self.text(text, read);
            return false;
        };
        let written = self.held[object.start..end].to_owned();
        match self.call(&written) {
            Some(call) => {
                let text = self.held[..object.from].to_owned();
                self.held.drain(..end);
                // Before the first call: what a call is told from is no text of the answer.
                if !text.is_empty() && (call.index == 0 || !text.trim().is_empty()) {
                    read.push(Read::Text(text));
                }
                read.push(Read::Call(call));
                self.closing = object.closing;
            }
            None => {
                let text: String = self.held.drain(..end).collect();
                self.text(text, read);
            }
        }
        true
    }

    fn text(&self, text: String, read: &mut Vec<Read>) {
        // White space around calls is layout.
        if !text.is_empty() && (self.calls == 0 || !text.trim().is_empty()) {
            read.push(Read::Text(text));
        }
    }

    fn call(&mut self, written: &str) -> Option<ToolCallDelta> {
        let value: Value = serde_json::from_str(written).ok()?;
        let name = value
            .get("name")?
            .as_str()
            .filter(|name| !name.is_empty())?;
        if self.calls == MAX_TOOL_CALLS {
            return None;
        }
        let given = ARGUMENTS.iter().find_map(|key| value.get(*key));
        let arguments = match written.strip_prefix(&head(name)) {
            // As the model wrote them: a value would lose digits of long numbers.
            Some(rest) if value.as_object().is_some_and(|map| map.len() == 2) => {
                rest.strip_suffix('}').unwrap_or(rest).trim().to_owned()
            }
            _ => given.map_or_else(|| "{}".to_owned(), Value::to_string),
        };
        let index = self.calls;
        self.calls += 1;
        Some(ToolCallDelta {
            index,
            id: Some(ids::generate(CALL)),
            name: Some(name.to_owned()),
            arguments,
        })
    }
}

/// Whether a text that begins with `{` begins as a call of one of these tools, or of any.
fn opening(text: &str, names: Option<&[String]>) -> Opening {
    // Each token of the beginning, until one is not there, or the text ends.
    let mut rest = &text[1..];
    let mut take = |wanted: &str| {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(wanted) {
            rest = after;
            return Opening::Yes;
        }
        if wanted.starts_with(rest) {
            Opening::Maybe
        } else {
            Opening::No
        }
    };
    for wanted in ["\"name\"", ":", "\""] {
        match take(wanted) {
            Opening::Yes => {}
            other => return other,
        }
    }
    let Some(names) = names else {
        return Opening::Yes;
    };
    let Some((name, after)) = rest.split_once('"') else {
        let may = names.iter().any(|known| known.starts_with(rest));
        return if may { Opening::Maybe } else { Opening::No };
    };
    if !names.iter().any(|known| known == name) {
        return Opening::No;
    }
    let mut rest = after.trim_start();
    for wanted in [",", "\""] {
        match rest.strip_prefix(wanted) {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => return Opening::Maybe,
            None => return Opening::No,
        }
    }
    let key = |key: &&str| rest.starts_with(*key);
    if ARGUMENTS.iter().any(key) {
        return Opening::Yes;
    }
    let may = ARGUMENTS.iter().any(|key| key.starts_with(rest));
    if may { Opening::Maybe } else { Opening::No }
}

/// Bytes at the end of a text that may belong to a call: the beginning of what stands before one, and white
/// space.
fn undecided(text: &str) -> usize {
    let trimmed = text.trim_end();
    let mut from = trimmed.len();
    for (open, _) in AROUND {
        let whole = trimmed.strip_suffix(open);
        let part = || {
            let cuts = (1..open.len()).rev();
            let ends =
                |cut: &usize| trimmed.len() == text.len() && trimmed.ends_with(&open[..*cut]);
            let cut = cuts.clone().find(ends)?;
            Some(&trimmed[..trimmed.len() - cut])
        };
        if let Some(before) = whole.or_else(part) {
            from = from.min(before.trim_end().len());
        }
    }
    text.len() - from
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reader() -> CallReader {
        CallReader::new(vec!["a".to_owned(), "b".to_owned()])
    }

    /// What is read of a text in pieces: its text, and its calls' names and arguments.
    fn read(pieces: &[&str]) -> (String, Vec<(String, String)>) {
        let mut reader = reader();
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
        let two = "<tool_call>{\"name\": \"b\", \"arguments\": {}}</tool_call>";
        let fenced = "```json\n{\n  \"name\": \"a\",\n  \"arguments\": {\n    \"x\": \"}\\\"{\"\n  }\n}\n```";
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
            (&format!("{one}\nDone."), "\nDone.", vec![a.clone()]),
            // As models write it that were trained on code.
            (fenced, "", vec![call("a", "{\"x\":\"}\\\"{\"}")]),
            (
                &format!("So:\n\n{fenced}\nOK"),
                "So:\nOK",
                vec![call("a", "{\"x\":\"}\\\"{\"}")],
            ),
            (
                "{\"name\": \"b\", \"parameters\": {\"y\": []}}",
                "",
                vec![call("b", "{\"y\":[]}")],
            ),
            // Between marks, any name is one.
            (
                "<tool_call>{\"name\": \"c\"}</tool_call>",
                "",
                vec![call("c", "{}")],
            ),
            // What is no call stays what it is.
            (
                "{\"name\": \"c\", \"arguments\": {}}",
                "{\"name\": \"c\", \"arguments\": {}}",
                vec![],
            ),
            (
                "{\"name\": \"a\", \"age\": 3}",
                "{\"name\": \"a\", \"age\": 3}",
                vec![],
            ),
            (
                "```json\n{\"x\": {}}\n```",
                "```json\n{\"x\": {}}\n```",
                vec![],
            ),
            (
                "```python\nprint({})\n```",
                "```python\nprint({})\n```",
                vec![],
            ),
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
        ] {
            assert_eq!(read(&[written]), (text.to_owned(), calls), "{written}");
        }
    }

    #[test]
    fn text_is_shown_as_soon_as_it_cannot_be_a_call() {
        let mut reader = reader();
        for (piece, shown) in [
            ("Well", Some("Well")),
            (" ", None),
            ("<", None),
            ("b>", Some(" <b>")),
            ("<tool_call", None),
            ("s>", Some("<tool_calls>")),
            ("```", None),
            ("rust", Some("```rust")),
            ("{", None),
            ("\"n", None),
            ("o\"", Some("{\"no\"")),
        ] {
            let shown: Vec<Read> = shown.iter().map(|t| Read::Text((*t).to_owned())).collect();
            let read: Vec<Read> = match &reader.push(piece)[..] {
                [Read::Text(a), Read::Text(b)] => vec![Read::Text(format!("{a}{b}"))],
                other => other.to_vec(),
            };
            assert_eq!(read, shown, "{piece}");
        }
    }

    proptest! {
        #[test]
        fn how_a_text_is_cut_changes_nothing(
            parts in prop::collection::vec(prop_oneof![
                Just("<tool_call>"), Just("</tool_call>"), Just("\n"), Just("{\"name\": \"a\", \"arguments\": {}}"),
                Just("<tool"), Just("é"), Just(" "), Just("{"), Just("text"), Just("```json"), Just("```"),
                Just("{\"name\": \"b\","), Just("\"arguments\": {\"x\": \"}\"}}"), Just("}"), Just("\""),
            ], 0..12),
            cuts in prop::collection::vec(0usize..200, 0..8),
        ) {
            let whole = parts.concat();
            let mut at: Vec<usize> = cuts.into_iter().filter(|c| whole.is_char_boundary(*c)).collect();
            at.extend([0, whole.len()]);
            at.retain(|c| *c <= whole.len());
            at.sort_unstable();
            let pieces: Vec<&str> = at.windows(2).map(|w| &whole[w[0]..w[1]]).collect();
            let (text, calls) = read(&[&whole]);
            prop_assert_eq!((text.clone(), calls.clone()), read(&pieces));
            // Without calls nothing is lost.
            if calls.is_empty() {
                prop_assert_eq!(text, whole);
            }
        }
    }
}
