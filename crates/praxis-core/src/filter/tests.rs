//! What a filter may be, what each mistake is told as, and that no text breaks the reader.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn the_language_is_that_of_openais_vector_stores() {
    let value = json!({ "type": "and", "filters": [
        { "type": "eq", "key": "department", "value": "hr" },
        { "type": "or", "filters": [
            { "type": "gte", "key": "date", "value": 1_767_225_600.0 },
            { "type": "in", "key": "tags", "value": ["a", "b"] },
            { "type": "ne", "key": "draft", "value": true },
        ]},
    ]});
    let filter: Filter = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(&filter).unwrap(), value);
    let Filter::And(parts) = filter else {
        panic!("an and")
    };
    assert_eq!(
        parts[0],
        Filter::Compare(Comparison {
            key: "department".into(),
            operator: Operator::Equal,
            values: vec![Scalar::Text("hr".into())],
        })
    );
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let mut deep = json!({ "type": "eq", "key": "a", "value": 1 });
    for _ in 0..MAX_DEPTH {
        deep = json!({ "type": "and", "filters": [deep] });
    }
    let many: Vec<usize> = (0..=MAX_VALUES).collect();
    for (value, path, part) in [
        (json!("x"), "", "an object"),
        (json!({}), "", "needs `type`"),
        (
            json!({ "type": "like", "key": "a", "value": "b" }),
            "type",
            "`like` is no type",
        ),
        (json!({ "type": "eq", "value": 1 }), "", "needs `key`"),
        (
            json!({ "type": "eq", "key": "a=b", "value": 1 }),
            "key",
            "not a key",
        ),
        (json!({ "type": "eq", "key": "a" }), "", "needs `value`"),
        (
            json!({ "type": "eq", "key": "a", "value": [1] }),
            "value",
            "a text, a number",
        ),
        (
            json!({ "type": "eq", "key": "a", "value": null }),
            "value",
            "a text, a number",
        ),
        (
            json!({ "type": "in", "key": "a", "value": "b" }),
            "value",
            "a list",
        ),
        (
            json!({ "type": "in", "key": "a", "value": [] }),
            "value",
            "no values",
        ),
        (
            json!({ "type": "in", "key": "a", "value": many }),
            "value",
            "256",
        ),
        (
            json!({ "type": "eq", "key": "a", "value": 1, "boost": 2 }),
            "boost",
            "unknown",
        ),
        (
            json!({ "type": "and", "filters": [] }),
            "filters",
            "no filters",
        ),
        (json!({ "type": "or" }), "filters", "a list of filters"),
        (
            json!({ "type": "or", "filters": [{ "type": "eq", "key": "a", "value": 1 }, 2] }),
            "filters[1]",
            "an object",
        ),
    ] {
        let error = Filter::parse(&value).unwrap_err();
        assert_eq!(error.path, path, "{value}: {error}");
        assert!(error.message.contains(part), "{value}: {error}");
    }
    let error = Filter::parse(&deep).unwrap_err();
    assert!(error.message.contains("8 deep"), "{error}");
}

#[test]
fn the_short_form_says_the_same() {
    for (text, operator, key, value) in [
        ("department=hr", "eq", "department", "hr"),
        ("department == hr", "eq", "department", "hr"),
        ("year!=2024", "ne", "year", "2024"),
        ("date>=2026-01-01", "gte", "date", "2026-01-01"),
        ("size<10", "lt", "size", "10"),
        (
            "date created <= 2026-01-01",
            "lte",
            "date created",
            "2026-01-01",
        ),
        ("title=a=b", "eq", "title", "a=b"),
        ("code=\" 7\"", "eq", "code", " 7"),
    ] {
        let want = json!({ "type": operator, "key": key, "value": value });
        let filter = Filter::parse_short(text).unwrap();
        assert_eq!(serde_json::to_value(filter).unwrap(), want, "{text}");
    }
    let json = r#"{"type": "in", "key": "a", "value": [1, 2]}"#;
    assert!(matches!(
        Filter::parse_short(json).unwrap(),
        Filter::Compare(c) if c.values.len() == 2
    ));
    for text in ["", "department", "=hr", "a!b", "{", "{}"] {
        assert!(Filter::parse_short(text).is_err(), "{text}");
    }
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        "\\PC{0,12}".prop_map(Value::from),
        (-9000i32..9000).prop_map(|n| Value::from(f64::from(n) / 4.0)),
        any::<bool>().prop_map(Value::from),
    ]
}

fn filters() -> impl Strategy<Value = Value> {
    let comparison = (
        prop_oneof!["eq", "ne", "gt", "gte", "lt", "lte"],
        "[a-z]{1,6}",
        scalars(),
    )
        .prop_map(|(kind, key, value)| json!({ "type": kind, "key": key, "value": value }));
    let list = ("[a-z]{1,6}", proptest::collection::vec(scalars(), 1..4))
        .prop_map(|(key, values)| json!({ "type": "nin", "key": key, "value": values }));
    prop_oneof![comparison, list].prop_recursive(4, 24, 3, |inner| {
        (
            prop_oneof!["and", "or"],
            proptest::collection::vec(inner, 1..4),
        )
            .prop_map(|(kind, filters)| json!({ "type": kind, "filters": filters }))
    })
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        scalars(),
        prop_oneof!["and", "or", "in", "eq", "type", "filters"].prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let key = prop_oneof!["type", "key", "value", "filters", "[a-z]{1,3}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_read_is_written_alike(value in filters()) {
        let filter = Filter::parse(&value).unwrap();
        prop_assert_eq!(Value::from(filter.clone()), value);
        let text = serde_json::to_string(&filter).unwrap();
        prop_assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
    }

    #[test]
    fn no_value_and_no_text_break_the_reader(value in anything(), text in "\\PC{0,40}") {
        let _ = Filter::parse(&value);
        if let Ok(filter) = Filter::parse_short(&text) {
            prop_assert!(Filter::parse(&Value::from(filter)).is_ok());
        }
    }
}
