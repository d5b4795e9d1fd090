//! What policies say of calls, as a table.

use std::sync::Arc;

use praxis_core::trace::NoTrace;
use praxis_core::{Caller, Payer};
use serde_json::json;

use super::*;

const WRITES: Effects = Effects::of(&[Effect::Write]);
const FINAL: Effects = Effects::of(&[Effect::Write, Effect::Irreversible]);
const ASKS_OUTSIDE: Effects = Effects::of(&[Effect::Read, Effect::External]);

fn policy(text: &str) -> Policy {
    let config: PolicyConfig = toml::from_str(text).unwrap();
    let (policy, problems) = Policy::read(&config);
    assert!(problems.is_empty(), "{problems:?}");
    policy
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "url": { "type": "string" },
            "method": { "enum": ["GET", "HEAD"] },
            "pages": { "type": "array", "items": { "$ref": "#/$defs/page" } },
            "amount": { "type": "number" },
            "note": { "type": "string" },
        },
        "$defs": { "page": {
            "type": "object",
            "properties": { "number": { "type": "integer" }, "name": { "type": "string" } },
        } },
    })
}

/// What is said of a call; the tree has read from outside where `is_tainted`.
fn judge(policy: &Policy, effects: Effects, arguments: &Value, is_tainted: bool) -> Verdict {
    let taint = Taint::default();
    if is_tainted {
        taint.mark("web/fetch");
        taint.note_links(&json!("more at https://a.example/rules"));
    }
    policy.judge(&Judged {
        function: "shop/order",
        effects,
        schema: &schema(),
        arguments,
        taint: &taint,
        kept_here: &["note"],
    })
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass(_) => "pass",
        Verdict::Ask(_) => "ask",
        Verdict::Deny(_) => "deny",
    }
}

#[test]
fn effects_decide_where_no_rule_does() {
    for (approval, reads, asks_outside, writes, is_final) in [
        ("never", "pass", "pass", "pass", "pass"),
        ("irreversible", "pass", "pass", "pass", "ask"),
        ("writes", "pass", "pass", "ask", "ask"),
        ("always", "ask", "ask", "ask", "ask"),
    ] {
        let policy = policy(&format!("approval = \"{approval}\""));
        for (effects, wanted) in [
            (Effects::default(), reads),
            (ASKS_OUTSIDE, asks_outside),
            (WRITES, writes),
            (FINAL, is_final),
        ] {
            let verdict = judge(&policy, effects, &json!({ "url": "x" }), false);
            assert_eq!(word(&verdict), wanted, "{approval} {effects}: {verdict:?}");
        }
    }
    let careful = judge(&Policy::default(), WRITES, &json!({}), false);
    assert_eq!(careful, Verdict::Ask("it changes something".to_owned()));
}

#[test]
fn what_was_read_from_outside_asks_whatever_the_policy_says() {
    let link = json!({ "url": "https://a.example/rules", "method": "GET" });
    let other = json!({ "url": "https://a.example/rules?secret=7" });
    let none = json!({ "amount": 5, "method": "HEAD", "pages": [{ "number": 3 }] });
    let hidden = json!({ "pages": [{ "number": 3, "name": "the secret" }] });
    let strange = json!({ "amount": 5, "the secret": 1 });
    let kept = json!({ "url": "https://a.example/rules", "note": "for a model of ours" });
    for (when, effects, arguments, wanted) in [
        ("approve", Effects::READ, &other, "pass"),
        ("approve", WRITES, &none, "ask"),
        ("approve", FINAL, &none, "ask"),
        ("approve", ASKS_OUTSIDE, &other, "ask"),
        ("approve", ASKS_OUTSIDE, &hidden, "ask"),
        ("approve", ASKS_OUTSIDE, &strange, "ask"),
        // Nothing goes out with these but one of few words, numbers, or a link that came from there.
        ("approve", ASKS_OUTSIDE, &link, "pass"),
        ("approve", ASKS_OUTSIDE, &none, "pass"),
        ("approve", ASKS_OUTSIDE, &kept, "pass"),
        ("writes", ASKS_OUTSIDE, &other, "pass"),
        ("writes", WRITES, &none, "ask"),
        ("writes", FINAL, &none, "ask"),
        ("allow", ASKS_OUTSIDE, &other, "pass"),
        ("allow", FINAL, &other, "pass"),
    ] {
        for more in ["", "[[rules]]\napproval = \"never\""] {
            let policy = policy(&format!(
                "approval = \"never\"\nwhen_tainted = \"{when}\"\n{more}"
            ));
            let verdict = judge(&policy, effects, arguments, true);
            assert_eq!(
                word(&verdict),
                wanted,
                "{when} {effects} {arguments}: {verdict:?}"
            );
            let before = judge(&policy, effects, arguments, false);
            assert_eq!(word(&before), "pass", "{when} {effects} {arguments}");
        }
    }
    let policy = policy("approval = \"never\"");
    let Verdict::Ask(reason) = judge(&policy, WRITES, &none, true) else {
        panic!("it has to ask");
    };
    assert!(reason.contains("`web/fetch`"), "{reason}");
}

#[test]
fn a_rule_that_denies_counts_first_and_then_the_first_that_fits() {
    let policy = policy(
        "[[rules]]\napproval = \"never\"\nwhen = [{ argument = \"amount\", below = 10 }]\n\
         [[rules]]\nfunction = \"shop/*\"\napproval = \"always\"\nwhen = [{ argument = \"amount\", below = 100 }]\n\
         [[rules]]\napproval = \"deny\"\nwhen = [{ argument = \"amount\", below = 0 }]\n\
         [[rules]]\nfunction = \"bank/*\"\napproval = \"deny\"",
    );
    for (amount, effects, wanted, number) in [
        (5, FINAL, "pass", "rule 1"),
        (50, Effects::READ, "ask", "rule 2"),
        (-5, Effects::READ, "deny", "rule 3"),
        (500, FINAL, "ask", "undone"),
        (500, Effects::READ, "pass", "changes nothing"),
    ] {
        let verdict = judge(&policy, effects, &json!({ "amount": amount }), false);
        assert_eq!(word(&verdict), wanted, "{amount}: {verdict:?}");
        let said = format!("{verdict:?}");
        assert!(said.contains(number), "{amount}: {said}");
    }
}

#[test]
fn effects_are_what_the_policy_says_by_name_before_globs() {
    let policy = policy(
        "[effects]\n\"shop/*\" = [\"read\"]\n\"shop/zap\" = [\"write\", \"irreversible\"]\n",
    );
    for (function, wanted) in [
        ("shop/order", Effects::READ),
        ("shop/zap", FINAL),
        ("bank/pay", WRITES),
    ] {
        assert_eq!(policy.effects_of(function, WRITES), wanted, "{function}");
    }
}

#[test]
fn limits_are_those_of_the_tool_and_of_who_pays() {
    let limits: Vec<Limit> = ["10 usd/month", "60 requests/minute", "1 usd for user:*"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let payer = Payer {
        key: Some("hr".to_owned()),
        ..Payer::default()
    };
    let cx = CallContext::new(Arc::new(NoTrace))
        .with_caller(Caller {
            name: Some("hr".to_owned()),
            ..Caller::default()
        })
        .with_payer(payer, limits.into());
    let told = |text: &str| {
        let claim = policy(text).claim("shop", &cx)?;
        let limits = claim.limits.iter();
        let limits = limits.map(|(subject, limit)| format!("{subject}: {limit}"));
        Some((limits.collect::<Vec<_>>(), claim.money.0))
    };
    assert_eq!(told(""), None);
    let rate = "user:tool shop/hr: 30 requests/minute";
    assert_eq!(told("rate = \"30/min\""), Some((vec![rate.to_owned()], 0)));
    let all = ["key:hr: 10 usd/month", rate, "user:tool shop/hr: 5 usd/day"];
    let text = "rate = \"30 requests/minute\"\nprice = \"0.002 usd\"\nspend = \"5 usd/day\"";
    assert_eq!(told(text), Some((all.map(str::to_owned).to_vec(), 2_000)));
    assert_eq!(
        told("price = \"1 usd\"").unwrap().0,
        ["key:hr: 10 usd/month"]
    );
    // Without a limit, too, a price is counted.
    let cx = CallContext::new(Arc::new(NoTrace));
    let claim = policy("price = \"1 usd\"").claim("shop", &cx).unwrap();
    assert_eq!((claim.limits.len(), claim.money), (0, Money(1_000_000)));
}
