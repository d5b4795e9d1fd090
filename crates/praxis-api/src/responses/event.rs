//! Events of a response (OpenAI API reference, "Streaming events"), before and after they have a number. Left out: in
//! which order they come (`turn`), and who hears of them (`tell`).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::item::{Annotation, Include, Item, Logprob, Status};

/// An event without its number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// Its type.
    pub kind: &'static str,
    /// What it says beside type and number.
    pub body: Map<String, Value>,
}

/// An event as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its number.
    pub number: u64,
    /// Its type.
    pub kind: Arc<str>,
    /// All of it, as JSON.
    pub data: Arc<str>,
}

/// Where in a response something happens: its item, and that item's place among all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    pub item: &'a str,
    pub index: usize,
}

impl At<'_> {
    /// An event there, with more that it says.
    fn event(self, kind: &'static str, more: Value) -> Event {
        let mut body = Map::new();
        body.insert("item_id".to_owned(), json!(self.item));
        body.insert("output_index".to_owned(), json!(self.index));
        if let Value::Object(more) = more {
            body.extend(more);
        }
        Event { kind, body }
    }

    /// A part of the item's content begins.
    pub fn part_added(self, part: Value) -> Event {
        let more = json!({ "content_index": 0, "part": part });
        self.event("response.content_part.added", more)
    }

    /// A part of the item's content is whole.
    pub fn part_done(self, part: Value) -> Event {
        let more = json!({ "content_index": 0, "part": part });
        self.event("response.content_part.done", more)
    }

    /// More text.
    pub fn text_delta(self, delta: &str, logprobs: &[Logprob]) -> Event {
        let more = json!({ "content_index": 0, "delta": delta, "logprobs": logprobs });
        self.event("response.output_text.delta", more)
    }

    /// What a place of the text refers to.
    pub fn annotated(self, number: usize, annotation: &Annotation) -> Event {
        let more = json!({
            "content_index": 0,
            "annotation_index": number,
            "annotation": annotation,
        });
        self.event("response.output_text.annotation.added", more)
    }

    /// All text.
    pub fn text_done(self, text: &str, logprobs: &[Logprob]) -> Event {
        let more = json!({ "content_index": 0, "text": text, "logprobs": logprobs });
        self.event("response.output_text.done", more)
    }

    /// More of what the model thinks.
    pub fn thought_delta(self, delta: &str) -> Event {
        let more = json!({ "content_index": 0, "delta": delta });
        self.event("response.reasoning_text.delta", more)
    }

    /// All that it thought.
    pub fn thought_done(self, text: &str) -> Event {
        let more = json!({ "content_index": 0, "text": text });
        self.event("response.reasoning_text.done", more)
    }

    /// A part of the summary of what the model thinks begins.
    pub fn summary_part_added(self) -> Event {
        let more = json!({ "summary_index": 0, "part": { "type": "summary_text", "text": "" } });
        self.event("response.reasoning_summary_part.added", more)
    }

    /// More of the summary.
    pub fn summary_delta(self, delta: &str) -> Event {
        let more = json!({ "summary_index": 0, "delta": delta });
        self.event("response.reasoning_summary_text.delta", more)
    }

    /// All of the summary.
    pub fn summary_done(self, text: &str) -> Event {
        let more = json!({ "summary_index": 0, "text": text });
        self.event("response.reasoning_summary_text.done", more)
    }

    /// A part of the summary is whole, or was cut off.
    pub fn summary_part_done(self, text: &str, status: Status) -> Event {
        let part = json!({ "type": "summary_text", "text": text });
        let mut more = json!({ "summary_index": 0, "part": part });
        if status == Status::Incomplete {
            more["status"] = json!(status);
        }
        self.event("response.reasoning_summary_part.done", more)
    }

    /// More of a call's arguments.
    pub fn arguments_delta(self, delta: &str) -> Event {
        let more = json!({ "delta": delta });
        self.event("response.function_call_arguments.delta", more)
    }

    /// All arguments of a call.
    pub fn arguments_done(self, name: &str, arguments: &str) -> Event {
        let more = json!({ "name": name, "arguments": arguments });
        self.event("response.function_call_arguments.done", more)
    }

    /// The model wants a search made.
    pub fn search_begun(self) -> Event {
        self.event("response.file_search_call.in_progress", Value::Null)
    }

    /// It is being made.
    pub fn searching(self) -> Event {
        self.event("response.file_search_call.searching", Value::Null)
    }

    /// It was made.
    pub fn searched(self) -> Event {
        self.event("response.file_search_call.completed", Value::Null)
    }

    /// The model wants code run.
    pub fn code_begun(self) -> Event {
        self.event("response.code_interpreter_call.in_progress", Value::Null)
    }

    /// More of the code.
    pub fn code_delta(self, delta: &str) -> Event {
        let more = json!({ "delta": delta });
        self.event("response.code_interpreter_call_code.delta", more)
    }

    /// All of the code.
    pub fn code_done(self, code: &str) -> Event {
        let more = json!({ "code": code });
        self.event("response.code_interpreter_call_code.done", more)
    }

    /// It runs.
    pub fn interpreting(self) -> Event {
        self.event("response.code_interpreter_call.interpreting", Value::Null)
    }

    /// It ran.
    pub fn interpreted(self) -> Event {
        self.event("response.code_interpreter_call.completed", Value::Null)
    }
}

impl Event {
    /// An event that says these fields.
    fn saying<const N: usize>(kind: &'static str, fields: [(&str, Value); N]) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Self {
            kind,
            body: fields.collect(),
        }
    }

    /// What has become of the response.
    pub fn of_response(kind: &'static str, response: Value) -> Self {
        Self::saying(kind, [("response", response)])
    }

    /// An item begins.
    pub fn item_added(index: usize, item: &Item, include: Include) -> Self {
        let fields = [
            ("output_index", json!(index)),
            ("item", item.shown(include)),
        ];
        Self::saying("response.output_item.added", fields)
    }

    /// An item is whole, or was cut off.
    pub fn item_done(index: usize, item: &Item, include: Include) -> Self {
        let fields = [
            ("output_index", json!(index)),
            ("item", item.shown(include)),
        ];
        Self::saying("response.output_item.done", fields)
    }

    /// Something went wrong that no state of the response tells of.
    pub fn error(code: &str, message: &str) -> Self {
        let fields = [
            ("code", json!(code)),
            ("message", json!(message)),
            ("param", Value::Null),
        ];
        Self::saying("error", fields)
    }

    /// The event as it is sent.
    pub fn numbered(self, number: u64) -> Line {
        let mut whole = Map::new();
        whole.insert("type".to_owned(), json!(self.kind));
        whole.insert("sequence_number".to_owned(), json!(number));
        whole.extend(self.body);
        Line {
            number,
            kind: self.kind.into(),
            data: Value::Object(whole).to_string().into(),
        }
    }
}

impl Line {
    /// A line as it was kept; nothing where it is no event.
    pub fn kept(data: &str) -> Option<Self> {
        let whole: Value = serde_json::from_str(data).ok()?;
        Some(Self {
            number: whole.get("sequence_number")?.as_u64()?,
            kind: whole.get("type")?.as_str()?.into(),
            data: data.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_event_with_its_type_and_number() {
        let at = At {
            item: "msg_1",
            index: 2,
        };
        let line = at.text_delta("Hi", &[]).numbered(7);
        let whole: Value = serde_json::from_str(&line.data).unwrap();
        assert_eq!(
            whole,
            json!({
                "type": "response.output_text.delta",
                "sequence_number": 7,
                "item_id": "msg_1",
                "output_index": 2,
                "content_index": 0,
                "delta": "Hi",
                "logprobs": [],
            })
        );
        assert_eq!(
            (line.number, &*line.kind),
            (7, "response.output_text.delta")
        );
        assert_eq!(Line::kept(&line.data), Some(line));
        let search: Value = serde_json::from_str(&at.searching().numbered(0).data).unwrap();
        assert_eq!(search.as_object().unwrap().len(), 4);
        for wrong in ["", "{}", "[1]", r#"{"type": "x"}"#] {
            assert_eq!(Line::kept(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_summary_says_only_of_what_was_cut_off_that_it_was() {
        let at = At {
            item: "rs_1",
            index: 0,
        };
        for (status, said) in [
            (Status::Completed, None),
            (Status::Incomplete, Some(json!("incomplete"))),
        ] {
            let event = at.summary_part_done("Hm.", status);
            assert_eq!(event.body.get("status"), said.as_ref());
        }
    }
}
