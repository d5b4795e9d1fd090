//! The calendar by a clock that stands at Thursday, 5 March 2026, 14:03:07 UTC.

use praxis_core::ErrorCode;
use praxis_core::trace::NoTrace;
use proptest::prelude::*;

use super::*;

fn clock() -> Timestamp {
    "2026-03-05T14:03:07Z".parse().unwrap()
}

fn ask(input: Value) -> Outcome<Value> {
    answer(&serde_json::from_value(input).unwrap(), clock())
}

#[test]
fn phrases_mean_days() {
    for (text, wanted) in [
        ("today", "2026-03-05"),
        ("tomorrow", "2026-03-06"),
        ("yesterday", "2026-03-04"),
        ("the day after tomorrow", "2026-03-07"),
        ("后天", "2026-03-07"),
        ("thursday", "2026-03-05"),
        ("friday", "2026-03-06"),
        ("next thursday", "2026-03-12"),
        ("Next Friday", "2026-03-06"),
        ("last thursday", "2026-02-26"),
        ("this monday", "2026-03-02"),
        ("周五", "2026-03-06"),
        ("下周一", "2026-03-09"),
        ("上周日", "2026-03-01"),
        ("in 3 days", "2026-03-08"),
        ("2 weeks ago", "2026-02-19"),
        ("a month from now", "2026-04-05"),
        ("in 5 business days", "2026-03-12"),
        ("2 working days ago", "2026-03-03"),
        ("end of month", "2026-03-31"),
        ("end of next quarter", "2026-06-30"),
        ("start of next year", "2027-01-01"),
        ("first monday of next month", "2026-04-06"),
        ("last friday of 2026", "2026-12-25"),
        ("third thursday of november 2026", "2026-11-19"),
        ("2024-02-29", "2024-02-29"),
        ("20240229", "2024-02-29"),
        ("March 5th, 2026", "2026-03-05"),
        ("5 Mar 2026", "2026-03-05"),
        ("Thursday, March 5, 2026", "2026-03-05"),
        ("2026/3/5", "2026-03-05"),
        ("5.3.2026", "2026-03-05"),
        ("2026年3月5日", "2026-03-05"),
        ("25/12/2026", "2026-12-25"),
        ("12/25/2026", "2026-12-25"),
    ] {
        let found = ask(json!({"when": text})).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(found["date"], wanted, "{text}");
        assert_eq!(found.get("time"), None, "{text}");
    }
}

#[test]
fn phrases_mean_ranges() {
    for (text, first, last, days) in [
        ("this week", "2026-03-02", "2026-03-08", 7),
        ("next week", "2026-03-09", "2026-03-15", 7),
        ("this weekend", "2026-03-07", "2026-03-08", 2),
        ("next month", "2026-04-01", "2026-04-30", 30),
        ("last month", "2026-02-01", "2026-02-28", 28),
        ("上个月", "2026-02-01", "2026-02-28", 28),
        ("this quarter", "2026-01-01", "2026-03-31", 90),
        ("last quarter", "2025-10-01", "2025-12-31", 92),
        ("last year", "2025-01-01", "2025-12-31", 365),
        ("2024", "2024-01-01", "2024-12-31", 366),
        ("2024-02", "2024-02-01", "2024-02-29", 29),
        ("February 2024", "2024-02-01", "2024-02-29", 29),
        ("2026年4月", "2026-04-01", "2026-04-30", 30),
        ("2026-Q2", "2026-04-01", "2026-06-30", 91),
        ("Q4 2025", "2025-10-01", "2025-12-31", 92),
        ("2026-W01", "2025-12-29", "2026-01-04", 7),
        ("2026-W53", "2026-12-28", "2027-01-03", 7),
    ] {
        let found = ask(json!({"when": text})).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(
            found["range"],
            json!({"first": first, "last": last, "days": days}),
            "{text}"
        );
        assert_eq!(found["date"], first, "{text}");
    }
}

#[test]
fn moments_are_told_in_the_zone_that_is_asked_for() {
    for (when, zone, wanted) in [
        ("now", "UTC", "2026-03-05T14:03:07+00:00"),
        ("now", "Asia/Shanghai", "2026-03-05T22:03:07+08:00"),
        ("现在", "北京", "2026-03-05T22:03:07+08:00"),
        ("now", "New York", "2026-03-05T09:03:07-05:00"),
        ("now", "tokyo", "2026-03-05T23:03:07+09:00"),
        ("now", "UTC+5:30", "2026-03-05T19:33:07+05:30"),
        (
            "2026-07-01T12:00",
            "Europe/Berlin",
            "2026-07-01T12:00:00+02:00",
        ),
        (
            "2026-07-01T12:00:00Z",
            "Europe/Berlin",
            "2026-07-01T14:00:00+02:00",
        ),
        (
            "2026-07-01 12:00:00+02:00",
            "America/Los_Angeles",
            "2026-07-01T03:00:00-07:00",
        ),
        ("@0", "UTC", "1970-01-01T00:00:00+00:00"),
        (
            "tomorrow at 9:30am",
            "Europe/Paris",
            "2026-03-06T09:30:00+01:00",
        ),
        (
            "next monday 17:00",
            "Europe/Paris",
            "2026-03-09T17:00:00+01:00",
        ),
        ("in 2 hours", "UTC", "2026-03-05T16:03:07+00:00"),
        (
            "Thu, 5 Mar 2026 14:00:00 +0100",
            "UTC",
            "2026-03-05T13:00:00+00:00",
        ),
    ] {
        let found = ask(json!({"when": when, "zone": zone}));
        let found = found.unwrap_or_else(|e| panic!("{when} in {zone}: {e}"));
        assert_eq!(found["datetime"], wanted, "{when} in {zone}");
    }
    // There is no half past two on the day on which clocks go forward.
    let found = ask(json!({"when": "2026-03-29T02:30", "zone": "Europe/Berlin"})).unwrap();
    assert_eq!(found["datetime"], "2026-03-29T03:30:00+02:00");
}

#[test]
fn spans_are_added_as_calendars_do() {
    for (when, add, wanted) in [
        ("2026-01-31", "1 month", "2026-02-28"),
        ("2024-02-29", "1 year", "2025-02-28"),
        ("2026-03-05", "-10 days", "2026-02-23"),
        ("2026-03-05", "1 month 2 weeks", "2026-04-19"),
        ("2026-03-05", "P1M", "2026-04-05"),
        ("2026-03-06", "1 business day", "2026-03-09"),
        ("2026-12-23", "2 business days", "2026-12-28"),
        ("next month", "1 week", "2026-04-08"),
    ] {
        let found = ask(json!({"when": when, "add": add, "holidays": ["2026-12-25"]})).unwrap();
        assert_eq!(found["date"], wanted, "{when} {add}");
    }
    let found = ask(json!({"when": "2026-03-05", "add": "36 hours"})).unwrap();
    assert_eq!(found["datetime"], "2026-03-06T12:00:00+00:00");
}

#[test]
fn differences_are_told_in_days_and_in_the_calendar() {
    let found = ask(json!({"when": "2024-01-31", "until": "2026-03-05"})).unwrap();
    assert_eq!(found["difference"]["days"], 764);
    assert_eq!(
        found["difference"]["calendar"],
        json!({"years": 2, "months": 1, "days": 5})
    );
    let found = ask(json!({"when": "2026-03-06", "until": "2026-03-02"})).unwrap();
    assert_eq!(found["difference"]["days"], -4);
    assert_eq!(found["difference"]["business_days"], -4);
    let found = ask(json!({"until": "2026-03-06T15:00:00Z"})).unwrap();
    assert_eq!(found["difference"]["seconds"], 89_813);
    assert_eq!(found["difference"]["clock"], "1 d 56 min 53 s");
}

#[test]
fn what_is_no_time_is_told_with_what_is() {
    for (input, wanted) in [
        (json!({"when": "someday"}), "is no time: write"),
        (json!({"when": "03/04/2026"}), "is 2026-03-04 or 2026-04-03"),
        (json!({"when": "2026-02-30"}), "is no time"),
        (json!({"when": "tomorrow at 25:00"}), "no time of day"),
        (json!({"when": "in a bit"}), "no span"),
        (
            json!({"when": "fifth monday of april 2026"}),
            "no fifth monday",
        ),
        (json!({"zone": "CST"}), "several places"),
        (
            json!({"zone": "Europe/Berln"}),
            "did you mean `Europe/Berlin`?",
        ),
        (json!({"zone": "Nowhere"}), "no time zone"),
        (json!({"add": "three moons"}), "no span"),
        (json!({"add": "999999 business days"}), "at most"),
        (json!({"holidays": ["next month"]}), "no date of a holiday"),
    ] {
        let error = ask(input.clone())
            .err()
            .unwrap_or_else(|| panic!("{input}"));
        assert!(error.contains(wanted), "{input}: {error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_time_or_words(text in "\\PC{0,40}") {
        let _ = ask(json!({"when": text, "add": text, "until": text}));
    }

    /// Adding working days and counting them are one thing.
    #[test]
    fn working_days_are_counted_as_they_are_added(
        start in 0i64..20_000,
        days in 1i64..400,
        off in prop::collection::btree_set(0i64..20_400, 0..30),
    ) {
        let origin = jiff::civil::date(1990, 1, 1);
        let at = |days: i64| origin.checked_add(jiff::Span::new().days(days)).unwrap();
        let holidays: BTreeSet<Date> = off.into_iter().map(at).collect();
        let from = at(start);
        let to = business::plus(from, days, &holidays).unwrap();
        prop_assert_eq!(business::between(from, to, &holidays).unwrap(), days);
        prop_assert_eq!(business::between(to, from, &holidays).unwrap(), -days);
    }
}

#[tokio::test]
async fn a_call_without_input_tells_the_time() {
    let function = function(clock).unwrap();
    let schema = jsonschema::validator_for(&function.signature().output_schema).unwrap();
    let cx = CallContext::new(Arc::new(NoTrace));
    let output = function.call(json!({}), &cx).await.unwrap();
    assert!(schema.is_valid(&output));
    assert_eq!(
        output,
        json!({
            "date": "2026-03-05", "weekday": "Thursday", "day_of_year": 64, "iso_week": "2026-W10",
            "time": "14:03:07", "zone": "UTC", "datetime": "2026-03-05T14:03:07+00:00", "unix": 1_772_719_387,
        })
    );
    let error = function
        .call(json!({"when": "never"}), &cx)
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
}
