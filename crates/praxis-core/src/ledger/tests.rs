//! How limits are written, who has them, and what is said where there is no room.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::error::ErrorCode;
use crate::function::CallError;

fn limit(text: &str) -> Limit {
    text.parse().unwrap()
}

#[test]
fn limits_are_written_as_they_are_said() {
    let minute = Per::Every(Duration::from_secs(60));
    for (text, what, amount, per, written) in [
        ("60 requests/minute", What::Requests, 60, minute, ""),
        (
            "1 request / second",
            What::Requests,
            1,
            Per::Every(Duration::from_secs(1)),
            "1 request/second",
        ),
        (
            "100_000 tokens/hour",
            What::Tokens,
            100_000,
            Per::Every(Duration::from_secs(3600)),
            "100000 tokens/hour",
        ),
        ("5 usd/day", What::Money, 5_000_000, Per::Day, ""),
        (
            "20.5 usd/1 month",
            What::Money,
            20_500_000,
            Per::Month,
            "20.50 usd/month",
        ),
        ("0.000001 usd", What::Money, 1, Per::Ever, ""),
        ("100 usd", What::Money, 100_000_000, Per::Ever, ""),
        (
            "9 tokens/60 seconds",
            What::Tokens,
            9,
            minute,
            "9 tokens/minute",
        ),
        (
            "9 tokens/90 seconds",
            What::Tokens,
            9,
            Per::Every(Duration::from_secs(90)),
            "",
        ),
        (
            "0 usd/24 hours",
            What::Money,
            0,
            Per::Every(Duration::from_secs(86_400)),
            "",
        ),
    ] {
        let read = limit(text);
        assert_eq!(
            (read.what, read.amount, read.per),
            (what, amount, per),
            "{text}"
        );
        assert_eq!(read.subject, Pattern::default());
        let written = if written.is_empty() { text } else { written };
        assert_eq!(read.to_string(), written);
    }
    let each = limit("3 requests/minute for user:hr/*");
    assert_eq!(each.subject.as_str(), "user:hr/*");
    assert_eq!(each.to_string(), "3 requests/minute for user:hr/*");
}

#[test]
fn a_mistake_is_told_with_what_to_write() {
    for (text, part) in [
        ("", "it needs a number"),
        ("60", "it needs a number"),
        ("sixty requests/minute", "`sixty` is not a number"),
        ("-1 usd", "`-1` is not a number"),
        ("1. usd", "`1.` is not a number"),
        ("1.5 requests/minute", "requests are whole ones"),
        ("0.0000001 usd", "usd have 6 decimals at most"),
        ("5 eur/day", "there is no unit `eur`"),
        ("5 tokns/day", "is it `tokens`?"),
        ("5 tokens/minut", "is it `minute`?"),
        ("5 tokens/2 days", "single ones of the calendar"),
        ("5 tokens/0 hours", "its time is none"),
        ("5 tokens/9000 hours", "8784 hours are the longest time"),
        ("5 tokens/99999999999999999999 hours", "is not a number"),
        (
            "99999999999999999999 tokens",
            "1000000000000000 tokens is the most",
        ),
        ("99999999999 usd", "1000000000 usd is the most"),
        ("5 usd for hr", "`hr` is nobody who could have a limit"),
        ("5 usd for user:", "`user:` is nobody"),
    ] {
        let error = text.parse::<Limit>().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
        assert!(error.contains("write "), "{error}");
    }
    let list: Vec<Limit> = serde_json::from_str(r#"["5 usd/day", "1 request/hour"]"#).unwrap();
    let written = serde_json::to_string(&list).unwrap();
    assert_eq!(written, r#"["5 usd/day","1 request/hour"]"#);
    let error = serde_json::from_str::<Limit>(r#""5 usd/decade""#).unwrap_err();
    assert!(error.to_string().contains("no unit `decade`"), "{error}");
}

#[test]
fn a_payer_is_its_key_the_keys_user_and_its_tags() {
    let payer = |key: Option<&str>, user: Option<&str>, tags: &[&str]| Payer {
        key: key.map(str::to_owned),
        user: user.map(str::to_owned),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    for (payer, subjects) in [
        (payer(Some("hr"), None, &[]), &["key:hr"][..]),
        (payer(None, None, &[]), &[]),
        (payer(Some(""), Some(""), &[""]), &[]),
        (
            payer(Some("hr"), Some("li"), &["a", "b", "a"]),
            &["key:hr", "user:hr/li", "tag:a", "tag:b"],
        ),
        (payer(None, Some("li"), &[]), &["user:/li"]),
        // Where the key ends cannot be forged.
        (
            payer(Some("a/b"), Some("c"), &[]),
            &["key:a/b", "user:a%2Fb/c"],
        ),
        (payer(Some("a"), Some("b/c"), &[]), &["key:a", "user:a/b/c"]),
        (
            payer(Some("a%2Fb"), Some("c"), &[]),
            &["key:a%2Fb", "user:a%252Fb/c"],
        ),
    ] {
        let found = payer.subjects();
        let found: Vec<&str> = found.iter().map(Subject::as_str).collect();
        assert_eq!(found, subjects);
    }
    let many: Vec<String> = (0..200)
        .map(|n| format!("{n}-{}", "文".repeat(500)))
        .collect();
    let subjects = Payer {
        tags: many,
        ..Payer::default()
    }
    .subjects();
    assert_eq!(subjects.len(), MAX_TAGS);
    assert_eq!(subjects[0].parts().1.chars().count(), MAX_NAME);
}

#[test]
fn a_subject_is_read_as_it_is_written() {
    for (text, kind, name) in [
        ("key:hr", SubjectKind::Key, "hr"),
        ("user:hr/li:1", SubjectKind::User, "hr/li:1"),
        ("tag:a b", SubjectKind::Tag, "a b"),
    ] {
        let subject: Subject = serde_json::from_value(text.into()).unwrap();
        assert_eq!(
            (subject.parts(), subject.to_string().as_str()),
            ((kind, name), text)
        );
    }
    for text in ["", "key:", "hr", "team:hr", "user:li"] {
        assert!(text.parse::<Subject>().is_err(), "{text}");
    }
}

#[test]
fn a_limit_holds_for_each_who_matches_it() {
    for (pattern, subject, has) in [
        ("key:*", "key:hr", true),
        ("key:*", "user:hr/li", false),
        ("key:hr", "key:hr", true),
        ("key:hr", "key:hr2", false),
        ("user:*", "user:hr/li", true),
        ("user:hr/*", "user:hr/li", true),
        ("user:hr/*", "user:it/li", false),
        ("user:*/li", "user:hr/li", true),
        ("user:*/li", "user:hr/ali", false),
        ("tag:a*b*c", "tag:abc", true),
        ("tag:a*b*c", "tag:a-b-b-c", true),
        ("tag:a*b*c", "tag:acb", false),
        ("tag:ab*ba", "tag:aba", false),
        ("tag:*文*", "tag:中文", true),
    ] {
        let pattern: Pattern = pattern.parse().unwrap();
        let subject: Subject = subject.parse().unwrap();
        assert_eq!(pattern.matches(&subject), has, "{pattern} {subject}");
        assert!(Pattern::from(&subject).matches(&subject));
    }
    let payer = Payer {
        key: Some("hr".to_owned()),
        user: Some("li".to_owned()),
        tags: vec!["a".to_owned(), "b".to_owned()],
    };
    let limits = [
        limit("60 requests/minute"),
        limit("60 requests/minute for key:hr"),
        limit("60 requests/minute"),
        limit("5 usd/day for tag:*"),
        limit("5 usd/day for user:it/*"),
    ];
    let claim = Claim::new(&payer, &limits);
    let held: Vec<String> = claim
        .limits
        .iter()
        .map(|(s, l)| format!("{s} {l}"))
        .collect();
    let expected = [
        "key:hr 60 requests/minute",
        "key:hr 60 requests/minute for key:hr",
        "tag:a 5 usd/day for tag:*",
        "tag:b 5 usd/day for tag:*",
    ];
    assert_eq!(
        (held, claim.requests),
        (expected.map(str::to_owned).to_vec(), 1)
    );
}

#[test]
fn a_refusal_names_the_limit_who_has_it_what_is_left_and_when_it_is_free() {
    let refusal = |text: &str, asked, left, retry_after| Refusal {
        limit: limit(text),
        subject: Subject::key("hr"),
        asked,
        left,
        retry_after,
        remaining: Remaining::default(),
    };
    let wait = |micros| Some(Duration::from_micros(micros));
    for (refusal, code, message) in [
        (
            refusal("60 requests/minute", 1, 0, wait(350_001)),
            ErrorCode::RateLimited,
            "`key:hr` may use 60 requests/minute; 0 requests left, and this call may need 1 request: there is room \
             in 351 ms",
        ),
        (
            refusal("5 usd/day", 250_000, 100_000, wait(7_201_000_000)),
            ErrorCode::QuotaExceeded,
            "`key:hr` may use 5 usd/day; 0.10 usd left, and this call may need 0.25 usd: there is room in 3 hours",
        ),
        (
            refusal("5 usd", 250_000, 0, None),
            ErrorCode::QuotaExceeded,
            "`key:hr` may use 5 usd; 0 usd left, and this call may need 0.25 usd: this limit does not renew itself, \
             have it raised",
        ),
        (
            refusal("100 tokens/minute", 101, 100, None),
            ErrorCode::QuotaExceeded,
            "`key:hr` may use 100 tokens/minute, and this call may need 101 tokens at once: ask for less, or have \
             the limit raised",
        ),
    ] {
        let retry_after = refusal.retry_after;
        let error = CallError::from(LedgerError::Refused(refusal));
        assert_eq!((error.code, error.message.as_str()), (code, message));
        assert_eq!(error.retry_after, retry_after);
    }
}

#[test]
fn windows_are_the_calendars() {
    let day = |text: &str| text.parse::<Day>().unwrap().number() * 86_400_000_000;
    for (now, per, start, end) in [
        (day("2026-03-31"), Per::Day, "2026-03-31", "2026-04-01"),
        (day("2026-04-01") - 1, Per::Day, "2026-03-31", "2026-04-01"),
        (
            day("2026-04-01") - 1,
            Per::Month,
            "2026-03-01",
            "2026-04-01",
        ),
        (day("2026-04-01"), Per::Month, "2026-04-01", "2026-05-01"),
        (
            day("2024-02-29") + 5,
            Per::Month,
            "2024-02-01",
            "2024-03-01",
        ),
        (
            day("2025-12-31") + 5,
            Per::Month,
            "2025-12-01",
            "2026-01-01",
        ),
        (-5, Per::Month, "1970-01-01", "1970-02-01"),
    ] {
        let window = per.window(now).unwrap();
        assert_eq!(window.start_us, day(start), "{now}");
        assert_eq!(window.end_us, Some(day(end)), "{now}");
    }
    let last = Per::Day.window(i64::MAX).unwrap();
    assert_eq!(last.start_us, day("9999-01-01"));
    let ever = Window {
        start_us: 0,
        end_us: None,
    };
    assert_eq!(Per::Ever.window(7), Some(ever));
    assert_eq!(Per::Every(Duration::from_secs(1)).window(7), None);
    for text in [
        "",
        "2026-02-30",
        "2026-3-31",
        "20260331",
        "1969-12-31",
        "-026-03-31",
        "2026-03-3文",
    ] {
        assert!(text.parse::<Day>().is_err(), "{text}");
    }
    assert_eq!(
        serde_json::to_string(&Day::of(day("2026-03-31"))).unwrap(),
        r#""2026-03-31""#
    );
}

#[test]
fn a_ticket_opens_for_what_it_holds_only() {
    let ticket = Ticket::new(7_u32);
    assert_eq!(ticket.clone().held::<u32>(), Some(&7));
    assert_eq!(ticket.held::<u64>(), None);
}

fn limits() -> impl Strategy<Value = Limit> {
    let per = prop_oneof![
        (1_u64..31_622_400).prop_map(|s| Per::Every(Duration::from_secs(s))),
        (1_u64..8_784).prop_map(|hours| Per::Every(Duration::from_secs(hours * 3_600))),
        Just(Per::Day),
        Just(Per::Month),
        Just(Per::Ever),
    ];
    let what = proptest::sample::select(What::ALL.to_vec());
    let amount = prop_oneof![
        0..=MAX_AMOUNT,
        0_u64..3,
        (0_u64..9_999).prop_map(|usd| usd * 10_000)
    ];
    let subject = prop_oneof![
        "key:\\*",
        "(key|tag):[a-z*/ 文]{0,8}x",
        "user:[a-z*]{1,4}/[a-z*]{0,4}"
    ];
    (what, amount, per, subject).prop_map(|(what, amount, per, subject)| Limit {
        subject: subject.parse().unwrap(),
        what,
        amount,
        per,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_alike(limit in limits()) {
        prop_assert_eq!(limit.to_string().parse::<Limit>().unwrap(), limit);
    }

    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,40}", number in "[0-9_.]{0,25}", per in "[a-z0-9 /]{0,12}") {
        for text in [text, format!("{number} usd/{per}"), format!("{number} tokens/{number} hours")] {
            if let Ok(limit) = text.parse::<Limit>() {
                prop_assert_eq!(limit.to_string().parse::<Limit>().unwrap(), limit);
            }
        }
    }
}
