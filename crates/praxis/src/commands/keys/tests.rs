//! When keys end, and limits that could never hold.

use super::*;

const NOW: i64 = 1_774_948_000_000;

#[test]
fn a_key_ends_after_a_time_or_as_a_day_begins() {
    for (text, wanted) in [
        ("90d", Some(NOW + 90 * DAY_MS)),
        (" 12 h ", Some(NOW + 12 * HOUR_MS)),
        ("2027-01-31", Some(1_801_353_600_000)),
        ("36525d", Some(NOW + LONGEST_MS)),
        ("36526d", None),
        ("4294967295d", None),
        ("9998-12-31", None),
        ("0d", None),
        ("-1d", None),
        ("2026-03-31", None),
        ("1969-12-31", None),
        ("2027-02-30", None),
        ("2027-1-31", None),
        ("90", None),
        ("d", None),
        ("90 weeks", None),
        ("99999999999999999999d", None),
        ("", None),
    ] {
        assert_eq!(end(text, NOW).ok(), wanted, "{text}");
    }
}

#[test]
fn limits_that_could_never_hold_are_told_apart() {
    for (text, name, holds) in [
        ("1 usd", "hr", true),
        ("1 usd for key:hr", "hr", true),
        ("1 usd for key:h*", "hr", true),
        ("1 usd for key:it", "hr", false),
        ("1 usd for user:*", "hr", true),
        ("1 usd for user:hr/*", "hr", true),
        ("1 usd for user:hr/li", "hr", true),
        ("1 usd for user:*/li", "hr", true),
        ("1 usd for user:h*", "hr", true),
        ("1 usd for user:h", "hr", false),
        ("1 usd for user:it/*", "hr", false),
        ("1 usd for user:a/b/*", "a/b", false),
        ("1 usd for user:a%2Fb/*", "a/b", true),
        ("1 usd for tag:night", "hr", true),
    ] {
        let limit: Limit = text.parse().unwrap();
        assert_eq!(can_hold(&limit, name), holds, "{text} of {name}");
        let limits = limits(&[text.to_owned()], name);
        assert_eq!(limits.is_ok(), holds, "{text} of {name}");
    }
}
