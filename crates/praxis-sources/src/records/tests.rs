//! Records as documents: names, texts, titles, times, limits.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn collected(
    mapping: Mapping,
    limits: Limits,
    records: &[Value],
) -> Result<(Listing, Spool), SourceError> {
    let dir = tempfile::tempdir().unwrap();
    let place = Place {
        state: dir.path().to_owned(),
        ..Place::default()
    };
    let mut collector = Collector::new(mapping, limits, &place)?;
    for (i, record) in records.iter().enumerate() {
        if !collector.add("t:", Some(format!("line {i}")), record.as_object().unwrap())? {
            break;
        }
    }
    let spool = Spool::default();
    Ok((collector.finish(&spool)?, spool))
}

const LIMITS: Limits = Limits {
    rows: 10,
    record: 100,
    all: 1000,
};

fn named(field: &str) -> Option<String> {
    Some(field.to_owned())
}

#[test]
fn fields_become_name_text_title_and_time() {
    let mapping = Mapping {
        id: named("key"),
        template: Some(Template::parse("# {{ head.line }}\n\n{{body}}").unwrap()),
        title: named("head.line"),
        modified: named("at"),
        ..Mapping::default()
    };
    let records = [
        json!({"key": 7, "head": {"line": "Lamp"}, "body": "It shines.", "at": "2026-01-02T03:04:05Z"}),
        json!({"key": "b/c", "head": {"line": null}, "body": 3.5, "at": 1_700_000_000}),
        json!({"key": "b/c", "head": {"line": "again"}, "body": "", "at": "never"}),
    ];
    let (listing, spool) = collected(mapping, LIMITS, &records).unwrap();
    let uris: Vec<&str> = listing.entries.iter().map(|e| e.uri.as_str()).collect();
    assert_eq!(uris, ["t:7", "t:b/c"]);
    assert!(
        listing.complete && listing.notes[0].contains("more than once"),
        "{listing:?}"
    );
    assert_eq!(listing.entries[0].modified, 1_767_323_045_000_000_000);
    assert_eq!(listing.entries[1].modified, 1_700_000_000_000_000_000);
    let content = spool.read(&listing.entries[0]).unwrap();
    assert_eq!(
        (
            content.name.as_str(),
            content.title.as_deref(),
            content.bytes.as_slice()
        ),
        ("7.md", Some("Lamp"), b"# Lamp\n\nIt shines.".as_slice())
    );
    let content = spool.read(&listing.entries[1]).unwrap();
    assert_eq!(
        (content.name.as_str(), content.title, content.bytes),
        ("b-c.md", None, b"# \n\n3.5".to_vec())
    );
}

#[test]
fn without_a_text_all_fields_are_read() {
    let (listing, spool) =
        collected(Mapping::default(), LIMITS, &[json!({"a": 1, "b": "x"})]).unwrap();
    let content = spool.read(&listing.entries[0]).unwrap();
    assert_eq!(
        (content.name.as_str(), content.bytes),
        ("line 0.json", br#"{"a":1,"b":"x"}"#.to_vec())
    );
}

#[test]
fn a_field_that_nobody_has_is_a_mistake_with_the_nearest_name() {
    let mapping = Mapping {
        id: named("id"),
        text: named("boby"),
        ..Mapping::default()
    };
    let error = collected(mapping, LIMITS, &[json!({"id": 1, "body": "x"})])
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("boby") && error.hint().contains("`body`"),
        "{error:?}"
    );
}

#[test]
fn limits_are_told_and_remove_nothing() {
    let many: Vec<Value> = (0..12).map(|i| json!({"id": i, "text": "x"})).collect();
    let mapping = Mapping {
        id: named("id"),
        text: named("text"),
        ..Mapping::default()
    };
    let (listing, _) = collected(mapping.clone(), LIMITS, &many).unwrap();
    assert_eq!((listing.entries.len(), listing.complete), (10, false));
    assert!(listing.notes[0].contains("max_rows"), "{listing:?}");

    let large = [
        json!({"id": 1, "text": "x".repeat(200)}),
        json!({"id": 2, "text": "y"}),
    ];
    let (listing, spool) = collected(mapping.clone(), LIMITS, &large).unwrap();
    assert_eq!((listing.entries[0].size, listing.complete), (200, true));
    assert_eq!(spool.read(&listing.entries[1]).unwrap().bytes, b"y");

    let nameless = [json!({"id": null, "text": "x"})];
    let dir = tempfile::tempdir().unwrap();
    let place = Place {
        state: dir.path().to_owned(),
        ..Place::default()
    };
    let mut collector = Collector::new(mapping, LIMITS, &place).unwrap();
    assert!(
        collector
            .add("t:", None, nameless[0].as_object().unwrap())
            .unwrap()
    );
    assert!(!collector.finish(&Spool::default()).unwrap().complete);
}

proptest! {
    #[test]
    fn a_template_never_fails_on_what_it_accepted(text in ".{0,60}", value in ".{0,20}") {
        if let Ok(template) = Template::parse(&text) {
            let record = json!({ "a": value });
            if let Ok(filled) = template.fill(record.as_object().unwrap(), Fields::Same) {
                prop_assert!(filled.len() <= text.len() + value.len() * text.len());
            }
        }
    }

    #[test]
    fn what_has_no_place_for_fields_stays(text in "[^{]{0,60}") {
        let filled = Template::parse(&text).unwrap().fill(&Map::new(), Fields::Same);
        prop_assert_eq!(filled.as_deref(), Ok(text.as_str()));
    }
}
