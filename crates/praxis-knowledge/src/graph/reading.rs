//! Reading what a chat model wrote of a chunk: entities and triples, as far as they are whole. Words around the
//! JSON, an answer that was cut off, and objects of another shape are passed over; nothing here fails but by
//! finding nothing. Left out: whether the chunk bears any of it out (`ground`).

use serde_json::{Deserializer, Value};

/// Bytes of an answer that are looked at.
const MAX_ANSWER: usize = 64 << 10;

/// Entities and triples that are read.
const MAX_ITEMS: usize = 256;

/// What a model wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    pub entities: Vec<ClaimedEntity>,
    pub triples: Vec<ClaimedTriple>,
    /// Whether it is an answer in the form that was asked for, though it may be an empty one.
    pub is_answer: bool,
}

/// An entity as a model names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedEntity {
    pub name: String,
    pub kind: String,
}

/// A triple as a model states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedTriple {
    pub quote: String,
    pub subject: String,
    pub relation: String,
    pub object: String,
}

/// Reads an answer.
pub(crate) fn read(answer: &str) -> Claims {
    let mut end = answer.len().min(MAX_ANSWER);
    while !answer.is_char_boundary(end) {
        end -= 1;
    }
    let mut rest = &answer[..end];
    let mut claims = Claims {
        is_answer: rest.contains("\"entities\"") || rest.contains("\"triples\""),
        ..Claims::default()
    };
    while let Some(at) = rest.find('{') {
        rest = &rest[at..];
        if claims.entities.len() + claims.triples.len() >= MAX_ITEMS {
            break;
        }
        let mut values = Deserializer::from_str(rest).into_iter::<Value>();
        let value = values.next().and_then(Result::ok);
        let read = values.byte_offset();
        // What holds items is no item: they are looked for inside of it.
        let taken = value.is_some_and(|value| claims.take(&value));
        rest = &rest[if taken { read.max(1) } else { 1 }..];
    }
    claims
}

impl Claims {
    /// Takes an object that is an entity or a triple.
    fn take(&mut self, value: &Value) -> bool {
        let text = |key: &str| Some(value.get(key)?.as_str()?.trim().to_owned());
        if let (Some(subject), Some(relation), Some(object)) =
            (text("subject"), text("relation"), text("object"))
        {
            self.triples.push(ClaimedTriple {
                quote: text("quote").unwrap_or_default(),
                subject,
                relation,
                object,
            });
            return true;
        }
        if let (Some(name), Some(kind)) = (text("name"), text("type")) {
            self.entities.push(ClaimedEntity { name, kind });
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn answer() -> Value {
        json!({
            "entities": [
                { "name": "Lu Xun", "type": "person" },
                { "name": "仙台 \"{\"", "type": "place" },
            ],
            "triples": [
                { "quote": "Lu Xun went to 仙台", "subject": "Lu Xun", "relation": "went_to", "object": "仙台" },
            ],
        })
    }

    #[test]
    fn whole_answers_are_read_whatever_is_around_them() {
        let pretty = serde_json::to_string_pretty(&answer()).unwrap();
        for text in [
            answer().to_string(),
            format!("Sure! {{ here }}\n```json\n{pretty}\n```"),
        ] {
            let claims = read(&text);
            assert_eq!(
                (claims.entities.len(), claims.triples.len()),
                (2, 1),
                "{text}"
            );
            assert_eq!(claims.entities[1].name, "仙台 \"{\"");
            assert_eq!(claims.triples[0].object, "仙台");
            assert!(claims.is_answer);
        }
        assert!(read(r#"{"entities": [], "triples": []}"#).is_answer);
        assert!(!read("I cannot do that.").is_answer);
    }

    #[test]
    fn items_of_another_shape_are_passed_over() {
        let claims = read(
            r#"{"entities": [{"name": 3, "type": "a"}, {"name": "b", "type": "c", "x": {}}, "d"]}"#,
        );
        assert_eq!(claims.entities.len(), 1);
        let claims = read(r#"{"subject": "a", "relation": "b", "object": "c"}"#);
        assert_eq!(claims.triples[0].quote, "");
    }

    proptest! {
        #[test]
        fn a_cut_answer_gives_its_beginning(share in 0.0f64..1.0) {
            let text = answer().to_string();
            let mut end = (text.len() as f64 * share) as usize;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let (whole, part) = (read(&text), read(&text[..end]));
            prop_assert_eq!(&whole.entities[..part.entities.len()], &part.entities[..]);
            prop_assert_eq!(&whole.triples[..part.triples.len()], &part.triples[..]);
        }

        #[test]
        fn any_answer_is_read_without_a_panic_and_within_bounds(
            text in "[\\PC\\n]{0,200}",
            noise in "[\\[\\]{}:,\"a{\"name\"type 0-9é]{0,120}",
            many in 0usize..600,
        ) {
            for text in [text.as_str(), &noise, &"{\"name\": \"a\", \"type\": \"b\"}".repeat(many), &"{".repeat(many)] {
                let claims = read(text);
                prop_assert!(claims.entities.len() + claims.triples.len() <= MAX_ITEMS);
            }
        }
    }
}
