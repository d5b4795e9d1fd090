//! What makes two calls one, and who may see and decide.

use proptest::prelude::*;

use super::*;

fn caller(name: &str, labels: &[&str]) -> Caller {
    Caller {
        name: Some(name.to_owned()),
        clearance: Clearance::of(labels.iter().copied()),
    }
}

#[test]
fn equal_values_are_written_alike() {
    for (text, written) in [
        (
            r#"{ "b": 1, "a": [ true, null ] }"#,
            r#"{"a":[true,null],"b":1}"#,
        ),
        ("[1.0, 1, -0.0, 1.5, 1e3]", "[1,1,0,1.5,1000]"),
        (
            r#"{"人": "\u85e4", "a\"": "/"}"#,
            r#"{"a\"":"/","人":"藤"}"#,
        ),
        (
            "[9007199254740993, 18446744073709551615]",
            "[9007199254740993,18446744073709551615]",
        ),
    ] {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(canonical(&value), written, "{text}");
    }
}

#[test]
fn a_call_is_another_one_where_anything_differs() {
    let hr = caller("hr", &["hr"]);
    let of = |function: &str, arguments: &str, caller: &Caller, user: Option<&str>| {
        let arguments = serde_json::from_str(arguments).unwrap();
        digest(function, &arguments, caller, user)
    };
    let one = of("pay", r#"{"to": "li", "amount": 5}"#, &hr, None);
    assert_eq!(one.len(), 64);
    assert_eq!(of("pay", r#"{"amount": 5.0, "to": "li"}"#, &hr, None), one);
    for other in [
        of("pay", r#"{"to": "li", "amount": 6}"#, &hr, None),
        of("pay", r#"{"to": "li", "amount": "5"}"#, &hr, None),
        of("pay", r#"{"to": "li", "amount": 5, "x": null}"#, &hr, None),
        of("pay/now", r#"{"to": "li", "amount": 5}"#, &hr, None),
        of("pay", r#"{"to": "li", "amount": 5}"#, &hr, Some("mo")),
        of(
            "pay",
            r#"{"to": "li", "amount": 5}"#,
            &caller("hr", &[]),
            None,
        ),
        of("pay", r#"{"to": "li", "amount": 5}"#, &Caller::full(), None),
    ] {
        assert_ne!(other, one);
    }
}

#[test]
fn who_may_read_as_much_sees_it_and_nobody_decides_on_its_own() {
    let approval = |caller: Caller| Approval {
        id: "approval-1".to_owned(),
        state: ApprovalState::Pending,
        function: "pay".to_owned(),
        effects: Effects::default(),
        arguments: json!({ "pin": "1234" }),
        shown: json!({ "pin": "***" }),
        digest: String::new(),
        reason: String::new(),
        caller,
        user: None,
        trace_id: TraceId::from_string("t"),
        scope: None,
        created_ms: 0,
        expires_ms: 0,
        decided_ms: None,
        decided_by: None,
        note: None,
        consumed_ms: None,
        ended_ms: None,
        result: None,
        error: None,
    };
    for (asked, reader, sees, own) in [
        (caller("hr", &["hr"]), Caller::full(), true, false),
        (caller("hr", &["hr"]), caller("hr", &["hr"]), true, true),
        (caller("hr", &["hr"]), caller("hr", &[]), false, true),
        (
            caller("hr", &["hr"]),
            caller("boss", &["hr", "it"]),
            true,
            false,
        ),
        (caller("hr", &["hr"]), caller("it", &["it"]), false, false),
        (caller("web", &[]), caller("it", &["it"]), true, false),
        (Caller::full(), caller("boss", &["hr", "it"]), false, false),
        (Caller::full(), Caller::full(), true, false),
    ] {
        let approval = approval(asked.clone());
        assert_eq!(approval.is_seen_by(&reader), sees, "{asked:?} {reader:?}");
        assert_eq!(approval.was_asked_by(&reader), own, "{asked:?} {reader:?}");
    }
    let told = serde_json::to_value(approval(Caller::full())).unwrap();
    assert_eq!(told["arguments"], json!({ "pin": "***" }));
    assert!(!told.to_string().contains("1234"), "{told}");
}

#[test]
fn states_and_outcomes_are_read_as_they_are_written() {
    for state in ApprovalState::ALL {
        assert_eq!(ApprovalState::parse(state.as_str()), Some(state));
        assert_eq!(json!(state), state.as_str());
    }
    for outcome in Outcome::ALL {
        assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        assert_eq!(json!(outcome), outcome.as_str());
    }
    assert_eq!(ApprovalState::parse("open"), None);
}

/// Values of any shape, of few leaves, so that some are equal.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        (-9_i32..10).prop_map(|n| Value::from(f64::from(n) / 4.0)),
        "[a\"\\\\1]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[ab,:]{0,2}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The same value with the fields of its objects the other way round.
fn turned(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(turned).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().rev();
            Value::Object(fields.map(|(k, v)| (k.clone(), turned(v))).collect())
        }
        other => other.clone(),
    }
}

/// The same value with whole numbers as such.
fn whole(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(whole).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            Value::Object(fields.map(|(k, v)| (k.clone(), whole(v))).collect())
        }
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 => Value::from(float as i64),
            _ => value.clone(),
        },
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn the_text_says_the_value_and_nothing_of_its_order(value in values()) {
        let text = canonical(&value);
        prop_assert_eq!(&canonical(&turned(&value)), &text);
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(whole(&read), whole(&value));
        prop_assert_eq!(canonical(&read), text);
    }

    #[test]
    fn two_values_have_one_text_where_they_are_equal_alone(one in values(), other in values()) {
        let is_equal = whole(&one) == whole(&other);
        prop_assert_eq!(canonical(&one) == canonical(&other), is_equal);
    }
}
