//! Server-sent events (WHATWG HTML, "Server-sent events"), as they arrive. Each byte is looked at once, and an event
//! has a bound: a crate that reads its whole buffer again with each chunk takes minutes for an event that an upstream
//! does not end. Left out: ids and times to reconnect, which no provider needs.

use std::collections::VecDeque;

use super::frames::{Broken, Event, LARGEST_EVENT, too_large};

/// The state between chunks.
#[derive(Default)]
pub(super) struct Decoder {
    /// The line that has not ended.
    line: Vec<u8>,
    /// Whether the last byte was a carriage return, of which a line feed may be the other half.
    returned: bool,
    /// Whether the first line has ended.
    begun: bool,
    kind: String,
    /// The lines of data, each with its end.
    data: String,
}

impl Decoder {
    /// Takes more bytes, and adds the events that end in them.
    pub(super) fn push(&mut self, mut bytes: &[u8], events: &mut VecDeque<Result<Event, Broken>>) {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.returned)
                && let Some(rest) = bytes.strip_prefix(b"\n")
            {
                bytes = rest;
                continue;
            }
            let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r'));
            let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + self.data.len() + line.len() > LARGEST_EVENT {
                events.push_back(Err(too_large()));
                return;
            }
            self.line.extend_from_slice(line);
            bytes = rest;
            if let Some((end, rest)) = rest.split_first() {
                self.returned = *end == b'\r';
                bytes = rest;
                events.extend(self.end_of_line().map(Ok));
            }
        }
    }

    /// Takes the line that has ended; gives the event that it ends.
    fn end_of_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = match std::mem::replace(&mut self.begun, true) {
            // The mark of byte order.
            false => line.strip_prefix('\u{feff}').unwrap_or(&line),
            true => &line,
        };
        if line.is_empty() {
            let (kind, mut data) = (
                std::mem::take(&mut self.kind),
                std::mem::take(&mut self.data),
            );
            // The last line's own end.
            data.pop()?;
            return Some(Event { kind, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "event" => value.clone_into(&mut self.kind),
            // A comment has an empty name.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, String)> {
        let (mut decoder, mut events) = (Decoder::default(), VecDeque::new());
        for chunk in chunks {
            decoder.push(chunk, &mut events);
        }
        let events = events.into_iter().map(|event| event.unwrap());
        events.map(|event| (event.kind, event.data)).collect()
    }

    #[test]
    fn events_are_read_as_the_standard_has_them() {
        for (text, expected) in [
            ("data: a\n\n", vec![("", "a")]),
            (
                "data:a\r\n\r\ndata:  b\r\rdata\n\n",
                vec![("", "a"), ("", " b"), ("", "")],
            ),
            (
                "\u{feff}event: e\ndata: 1\ndata: 2\n\n",
                vec![("e", "1\n2")],
            ),
            (": comment\nid: 7\nretry: 5\n\ndata: x\n\n", vec![("", "x")]),
            // An event without data is none, and its name is not the next one's.
            ("event: e\n\ndata: x\n\n", vec![("", "x")]),
            ("data: cut\n", vec![]),
            ("data: \u{feff}\n\n", vec![("", "\u{feff}")]),
            (
                "data: {\"a\": \"b: c\"}\nother: d\n\n",
                vec![("", "{\"a\": \"b: c\"}")],
            ),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(kind, data)| (kind.to_owned(), data.to_owned()))
                .collect();
            assert_eq!(read([text.as_bytes()]), expected, "{text:?}");
            // However it is cut.
            assert_eq!(read(text.as_bytes().chunks(1)), expected, "{text:?}");
        }
        assert_eq!(
            read([&b"data: \xff\n\n"[..]]),
            [(String::new(), "\u{fffd}".to_owned())]
        );
    }

    #[test]
    fn an_event_has_a_bound_however_it_comes() {
        for line in [
            "x".repeat(1 << 20),
            format!("data: {}\n", "x".repeat(1 << 10)),
        ] {
            let (mut decoder, mut events) = (Decoder::default(), VecDeque::new());
            decoder.push(b"data: ", &mut events);
            let mut sent = 0;
            while events.is_empty() {
                decoder.push(line.as_bytes(), &mut events);
                sent += line.len();
                assert!(sent < 2 * LARGEST_EVENT);
            }
            assert!(matches!(events.pop_front(), Some(Err(Broken::Garbled(_)))));
        }
    }

    proptest! {
        #[test]
        fn nothing_depends_on_how_bytes_are_cut(
            lines in proptest::collection::vec("(data|event|id|:)?(: ?[a-z\u{e9}:]{0,6})?(\n|\r\n|\r)", 0..12),
            cuts in proptest::collection::vec(1..9_usize, 0..40),
        ) {
            let text = lines.concat();
            let mut rest = text.as_bytes();
            let mut chunks = Vec::new();
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            chunks.push(rest);
            prop_assert_eq!(read(chunks), read([text.as_bytes()]));
        }

        #[test]
        fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let (mut decoder, mut events) = (Decoder::default(), VecDeque::new());
            decoder.push(&bytes, &mut events);
            prop_assert!(events.iter().all(Result::is_ok));
        }
    }
}
