//! Filters without keys that no file has, and attributes. Left out: whole vector stores (`tests/vector_stores/`).

use praxis_core::Filter;
use praxis_core::metadata::Attribute;
use praxis_store::StoredFile;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::attributes::{check, file_of, metadata, uri};
use super::known::{Reduced, without};

fn filter(json: &Value) -> Filter {
    Filter::parse(json).unwrap()
}

fn eq(key: &str) -> Value {
    json!({ "type": "eq", "key": key, "value": 1 })
}

fn ne(key: &str) -> Value {
    json!({ "type": "ne", "key": key, "value": 1 })
}

#[test]
fn a_key_that_no_file_has_holds_of_nothing_or_of_all() {
    let and = |filters: &[Value]| json!({ "type": "and", "filters": filters });
    let or = |filters: &[Value]| json!({ "type": "or", "filters": filters });
    let rest = |json: Value| Reduced::Rest(filter(&json));
    for (asked, want) in [
        (eq("no"), Reduced::None),
        (ne("no"), Reduced::All),
        (eq("a"), rest(eq("a"))),
        (and(&[eq("a"), eq("no")]), Reduced::None),
        (and(&[eq("a"), ne("no")]), rest(and(&[eq("a")]))),
        (and(&[ne("no"), ne("no")]), Reduced::All),
        (or(&[eq("a"), eq("no")]), rest(or(&[eq("a")]))),
        (or(&[eq("a"), ne("no")]), Reduced::All),
        (or(&[eq("no"), eq("no")]), Reduced::None),
        (
            and(&[eq("a"), or(&[eq("no"), eq("b")])]),
            rest(and(&[eq("a"), or(&[eq("b")])])),
        ),
    ] {
        assert_eq!(without(filter(&asked), "no"), want, "{asked}");
    }
}

fn file() -> StoredFile {
    StoredFile {
        id: "file-1".to_owned(),
        hash: "00".to_owned(),
        bytes: 7,
        filename: "a/b.md".to_owned(),
        purpose: "assistants".to_owned(),
        created: 0,
        expires: None,
        owner: None,
        labels: Vec::new(),
    }
}

fn map(json: Value) -> Map<String, Value> {
    json.as_object().unwrap().clone()
}

#[test]
fn attributes_outrank_what_a_file_says_and_what_all_documents_have() {
    let own = [("title", "Own"), ("author", "Own")];
    let own = own.map(|(k, v)| (k.to_owned(), Attribute::Text(v.to_owned())));
    let attributes =
        json!({ "size": "large", "title": "", "day": "2026-01-02", "n": 3, "on": true });
    let found = metadata(&own.into_iter().collect(), &file(), &map(attributes));
    let text = |text: &str| Some(Attribute::Text(text.to_owned()));
    for (key, want) in [
        ("author", text("Own")),
        ("title", None),
        ("size", text("large")),
        ("filename", text("a/b.md")),
        ("day", Some(Attribute::Date("2026-01-02".to_owned()))),
        ("n", Some(Attribute::Number(3.0))),
        ("on", Some(Attribute::Bool(true))),
    ] {
        assert_eq!(found.get(key).cloned(), want, "{key}");
    }
    assert_eq!(file_of(&uri(&file())), "file-1");
}

#[test]
fn attributes_that_cannot_be_searched_by_are_refused() {
    let many: Map<String, Value> = (0..17).map(|n| (format!("k{n}"), json!(n))).collect();
    assert!(check(&many).is_err());
    assert!(check(&map(json!({ "a": "x".repeat(512), "b": 1.5, "c": false }))).is_ok());
    for wrong in [
        json!({ "a": null }),
        json!({ "a": [1] }),
        json!({ "a": {} }),
        json!({ "a=b": 1 }),
        json!({ "a": "x".repeat(513) }),
    ] {
        assert!(check(&map(wrong.clone())).is_err(), "{wrong}");
    }
}

proptest! {
    /// Whatever attributes pass the check become metadata; of each key, the client's value or none.
    #[test]
    fn any_attributes_are_metadata_or_refused(
        texts in prop::collection::btree_map("\\PC{0,70}", "\\PC{0,520}", 0..18),
        number in any::<f64>(),
    ) {
        let mut attributes: Map<String, Value> =
            texts.into_iter().map(|(k, v)| (k, Value::from(v))).collect();
        attributes.insert("number".to_owned(), json!(number));
        if check(&attributes).is_ok() {
            let found = metadata(&praxis_core::Metadata::new(), &file(), &attributes);
            for (key, value) in &attributes {
                let empty = value.as_str().is_some_and(|text| text.trim().is_empty());
                prop_assert_eq!(found.contains_key(key), !empty, "{}", key);
            }
        }
    }
}
