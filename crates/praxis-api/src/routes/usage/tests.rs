//! What reports say of calls that the store has counted, and what they refuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::extract::FromRequestParts;
use axum::http::Request;
use praxis_core::{Claim, Ledger, Limit, Money, Payer, Spent, Usage};
use proptest::prelude::*;

use super::*;

/// 2026-03-31, 09:06:40 UTC, and the beginning of that day.
const NOW: i64 = 1_774_948_000;
const TODAY: i64 = 1_774_915_200;

/// Calls: how many days ago, key, user, tag, model, tokens that were read, and millionths of a dollar.
type Call = (
    i64,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    u64,
    i64,
);

const CALLS: [Call; 5] = [
    (3, "hr", "li", "search", "qwen", 100, 1_000_000),
    (0, "hr", "li", "search", "qwen", 10, 60_000),
    (0, "hr", "mo", "", "gpt", 20, 200_000),
    (0, "it", "li", "search", "gpt", 40, 400_000),
    (0, "", "", "", "qwen", 80, 0),
];

/// A store that has counted these calls.
async fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    let time = Arc::new(AtomicI64::new(0));
    let shown = Arc::clone(&time);
    let clock = Arc::new(move || shown.load(Ordering::SeqCst));
    let ledger = store.ledger(clock).await.unwrap();
    for (ago, key, user, tag, model, tokens, micros) in CALLS {
        time.store((NOW - ago * DAY_S) * 1_000_000, Ordering::SeqCst);
        let payer = Payer {
            key: Some(key.to_owned()),
            user: Some(user.to_owned()),
            tags: vec![tag.to_owned()],
        };
        let none: [Limit; 0] = [];
        let reserved = ledger.reserve(Claim::new(&payer, &none)).await.unwrap();
        let spent = Spent {
            kind: UsageKind::Completion,
            model: model.to_owned(),
            usage: Usage {
                input_tokens: tokens,
                cached_tokens: tokens / 10,
                output_tokens: 1,
                ..Usage::default()
            },
            money: Money(micros),
            failed: false,
        };
        ledger.settle(reserved.ticket, spent).await;
        ledger.flush().await;
    }
    ledger.close().await;
    (dir, store)
}

/// Notes calls of other kinds than answers, of today: tokens and money of each.
async fn note_others(store: &Store) {
    let ledger = store.ledger(Arc::new(|| NOW * 1_000_000)).await.unwrap();
    for (kind, tokens, micros) in [
        (UsageKind::Embedding, 1000, 500_000),
        (UsageKind::Embedding, 3000, 500_000),
        (UsageKind::Moderation, 7, 0),
        (UsageKind::Tool, 0, 2_000_000),
        (UsageKind::Transcription, 0, 6_000),
    ] {
        let is_audio = kind == UsageKind::Transcription;
        let spent = Spent {
            kind,
            model: "e5".to_owned(),
            usage: Usage {
                input_tokens: tokens,
                audio_seconds: if is_audio { 60 } else { 0 },
                ..Usage::default()
            },
            money: Money(micros),
            failed: false,
        };
        ledger.note(Vec::new(), spent).await;
    }
    ledger.close().await;
}

/// Who has a key of that name, and may not read everything.
fn holder(name: &str) -> Caller {
    Caller {
        name: Some(name.to_owned()),
        ..Caller::default()
    }
}

async fn ask(what: Report, store: &Store, caller: &Caller, query: &str) -> Result<Value, ApiError> {
    let request = Request::builder().uri(format!("/?{query}")).body(());
    let (mut parts, ()) = request.unwrap().into_parts();
    let params = Params::from_request_parts(&mut parts, &()).await?;
    report(what, store, caller, &params, NOW).await
}

/// The groups of today, and the tokens that they read.
async fn groups(store: &Store, caller: &Caller, query: &str) -> Result<Vec<(String, u64)>, Value> {
    let query = format!("start_time={TODAY}&{query}");
    let page = ask(Report::Completions, store, caller, &query).await;
    let page = page.map_err(|error| error.body()["error"].clone())?;
    let results = page["data"][0]["results"].as_array().unwrap().clone();
    let group = |result: &Value| {
        let fields = ["model", "api_key_id", "user_id", "project_id"];
        let name = fields.iter().find_map(|field| result[*field].as_str());
        (
            name.unwrap_or_default().to_owned(),
            result["input_tokens"].as_u64().unwrap(),
        )
    };
    Ok(results.iter().map(group).collect())
}

fn pairs(all: &[(&str, u64)]) -> Vec<(String, u64)> {
    let pair = |(name, tokens): &(&str, u64)| ((*name).to_owned(), *tokens);
    all.iter().map(pair).collect()
}

#[tokio::test]
async fn a_page_is_as_openai_has_it() {
    let (_dir, store) = store().await;
    let query = format!("start_time={TODAY}&bucket_width=1d&models=qwen&batch=false");
    let wanted = |result: Option<Value>| {
        let results: Vec<Value> = result.into_iter().collect();
        let (start, end) = (TODAY, TODAY + DAY_S);
        json!({
            "object": "page",
            "data": [
                { "object": "bucket", "start_time": start, "end_time": end, "results": results },
            ],
            "has_more": false,
            "next_page": null,
        })
    };
    let completions = json!({
        "object": "organization.usage.completions.result",
        "input_tokens": 90,
        "input_cached_tokens": 9,
        "output_tokens": 2,
        "num_model_requests": 2,
        "project_id": null,
        "user_id": null,
        "api_key_id": null,
        "model": null,
        "batch": null,
        "service_tier": null,
    });
    let costs = json!({
        "object": "organization.costs.result",
        "amount": { "value": 0.06, "currency": "usd" },
        "line_item": null,
        "project_id": null,
        "api_key_id": null,
        "quantity": null,
        "quantity_unit": null,
    });
    for (what, result) in [
        (Report::Completions, Some(completions)),
        (Report::Embeddings, None),
        (Report::Costs, Some(costs)),
    ] {
        let page = ask(what, &store, &Caller::full(), &query).await.unwrap();
        assert_eq!(page, wanted(result), "{what:?}");
    }
}

#[tokio::test]
async fn each_report_has_what_was_used_for_its_thing_and_costs_have_all() {
    let (_dir, store) = store().await;
    note_others(&store).await;
    let query = format!("start_time={TODAY}");
    for (what, kind, tokens, requests) in [
        (Report::Completions, "completions", 150, 4),
        (Report::Embeddings, "embeddings", 4000, 2),
        (Report::Moderations, "moderations", 7, 1),
    ] {
        let page = ask(what, &store, &Caller::full(), &query).await.unwrap();
        let result = &page["data"][0]["results"][0];
        let object = format!("organization.usage.{kind}.result");
        assert_eq!(result["object"], object);
        assert_eq!(result["input_tokens"], tokens, "{what:?}");
        assert_eq!(result["num_model_requests"], requests, "{what:?}");
    }
    let what = Report::Transcriptions;
    let heard = ask(what, &store, &Caller::full(), &query).await.unwrap();
    let wanted = json!({
        "object": "organization.usage.audio_transcriptions.result",
        "seconds": 60,
        "num_model_requests": 1,
        "project_id": null,
        "user_id": null,
        "api_key_id": null,
        "model": null,
    });
    assert_eq!(heard["data"][0]["results"], json!([wanted]));
    let costs = ask(Report::Costs, &store, &Caller::full(), &query)
        .await
        .unwrap();
    let amount = &costs["data"][0]["results"][0]["amount"]["value"];
    assert_eq!(amount.as_f64(), Some(3.666));
}

#[tokio::test]
async fn days_come_page_by_page_and_whole() {
    let (_dir, store) = store().await;
    let start = TODAY - 3 * DAY_S;
    // Within the first day, and after today.
    let times = format!("start_time={}&end_time={}", start + 5, TODAY + 9 * DAY_S);
    let page = async |rest: &str| {
        let query = format!("{times}&limit=3{rest}");
        let page = ask(Report::Completions, &store, &Caller::full(), &query).await;
        let page = page.unwrap();
        let bucket = |bucket: &Value| {
            let results = bucket["results"].as_array().unwrap();
            let tokens = results.first().map(|r| r["input_tokens"].clone());
            (bucket["start_time"].as_i64().unwrap(), tokens)
        };
        let buckets = page["data"].as_array().unwrap().iter().map(bucket);
        let buckets: Vec<(i64, Option<Value>)> = buckets.collect();
        (buckets, page["has_more"] == true, page["next_page"].clone())
    };
    let (buckets, has_more, next) = page("").await;
    let wanted = [
        (start, Some(json!(100))),
        (start + DAY_S, None),
        (start + 2 * DAY_S, None),
    ];
    assert_eq!((buckets.as_slice(), has_more), (&wanted[..], true));
    let rest = format!("&page={}", next.as_str().unwrap());
    let (buckets, has_more, next) = page(rest.as_str()).await;
    assert_eq!(buckets, [(TODAY, Some(json!(150)))]);
    assert_eq!((has_more, next), (false, Value::Null));
}

#[tokio::test]
async fn use_is_grouped_and_filtered() {
    let (_dir, store) = store().await;
    let full = Caller::full();
    for (query, wanted) in [
        ("", &[("", 150)][..]),
        ("group_by=model", &[("gpt", 60), ("qwen", 90)]),
        ("group_by%5B%5D=api_key_id", &[("hr", 30), ("it", 40)]),
        (
            "group_by[]=user_id",
            &[("hr/li", 10), ("hr/mo", 20), ("it/li", 40)],
        ),
        ("group_by=project_id", &[("search", 50)]),
        ("models=gpt", &[("", 60)]),
        ("models=gpt&models=qwen&models=gpt", &[("", 150)]),
        (
            "models[]=gpt&group_by=api_key_id",
            &[("hr", 20), ("it", 40)],
        ),
        ("models=gpt&group_by=model", &[("gpt", 60)]),
        ("api_key_ids=hr", &[("", 30)]),
        ("api_key_ids=hr&api_key_ids=it", &[("", 70)]),
        (
            "api_key_ids=hr&group_by=model",
            &[("gpt", 20), ("qwen", 10)],
        ),
        (
            "api_key_ids=hr&group_by=user_id",
            &[("hr/li", 10), ("hr/mo", 20)],
        ),
        ("api_key_ids=hr&group_by=api_key_id", &[("hr", 30)]),
        ("api_key_ids=nobody", &[]),
        ("user_ids=hr/li&user_ids=it/li", &[("", 50)]),
        ("user_ids=hr/li&user_ids=it/li&api_key_ids=it", &[("", 40)]),
        ("project_ids=search", &[("", 50)]),
        (
            "project_ids=search&group_by=model",
            &[("gpt", 40), ("qwen", 10)],
        ),
        (
            "project_ids=search&project_ids=x&group_by=project_id",
            &[("search", 50)],
        ),
    ] {
        let found = groups(&store, &full, query).await;
        assert_eq!(found.unwrap(), pairs(wanted), "{query}");
    }
}

#[tokio::test]
async fn who_may_not_read_everything_sees_the_use_of_its_own_key() {
    let (_dir, store) = store().await;
    for (key, query, wanted) in [
        ("hr", "", &[("", 30)][..]),
        ("hr", "group_by=model", &[("gpt", 20), ("qwen", 10)]),
        ("hr", "group_by=api_key_id", &[("hr", 30)]),
        ("hr", "group_by=user_id", &[("hr/li", 10), ("hr/mo", 20)]),
        ("hr", "api_key_ids=it&api_key_ids=hr", &[("", 30)]),
        ("hr", "api_key_ids=it", &[]),
        ("hr", "api_key_ids=it&group_by=user_id", &[]),
        ("hr", "api_key_ids=it&user_ids=it/li", &[]),
        ("hr", "user_ids=it/li", &[]),
        ("hr", "user_ids=it/li&user_ids=hr/li", &[("", 10)]),
        ("hr", "user_ids=it/li&group_by=user_id", &[]),
        // The beginning of another's name is nobody's.
        ("h", "", &[]),
        ("h", "group_by=user_id", &[]),
    ] {
        let found = groups(&store, &holder(key), query).await;
        assert_eq!(found.unwrap(), pairs(wanted), "{key} {query}");
    }
    let nameless = Caller::default();
    for (caller, query) in [
        (&holder("hr"), "group_by=project_id"),
        (&holder("hr"), "project_ids=search"),
        (&holder("hr"), "project_ids=search&api_key_ids=hr"),
        (&nameless, ""),
        (&nameless, "api_key_ids=hr"),
    ] {
        let error = groups(&store, caller, query).await.unwrap_err();
        assert_eq!(error["code"], "forbidden", "{query}: {error}");
    }
}

#[tokio::test]
async fn costs_have_models_as_line_items() {
    let (_dir, store) = store().await;
    for field in ["line_item", "model"] {
        let query = format!("start_time={TODAY}&group_by={field}");
        let page = ask(Report::Costs, &store, &Caller::full(), &query).await;
        let page = page.unwrap();
        let results = page["data"][0]["results"].as_array().unwrap();
        let costs: Vec<(&str, f64)> = results
            .iter()
            .map(|r| {
                (
                    r[field].as_str().unwrap(),
                    r["amount"]["value"].as_f64().unwrap(),
                )
            })
            .collect();
        assert_eq!(costs, [("gpt", 0.6), ("qwen", 0.06)]);
    }
}

#[tokio::test]
async fn what_cannot_be_told_is_refused_and_named() {
    let (_dir, store) = store().await;
    let start = format!("start_time={TODAY}");
    let tomorrow = cursor(Day::from_number(TODAY / DAY_S + 1));
    let many: String = (0..101).map(|n| format!("&api_key_ids=k{n}")).collect();
    for (query, param) in [
        (String::new(), json!("start_time")),
        ("start_time=today".to_owned(), json!("start_time")),
        (format!("{start}&end_time={TODAY}"), json!("end_time")),
        (format!("{start}&end_time=1e9"), json!("end_time")),
        (format!("{start}&bucket_width=1h"), json!("bucket_width")),
        (format!("{start}&limit=0"), json!("limit")),
        (format!("{start}&limit=181"), json!("limit")),
        (format!("{start}&page=2"), json!("page")),
        (format!("{start}&page=page_AAAA"), json!("page")),
        (format!("{start}&page={tomorrow}"), json!("page")),
        (format!("{start}&group_by=batch"), json!("group_by")),
        (
            format!("{start}&group_by=model&group_by=user_id"),
            json!("group_by"),
        ),
        (format!("{start}&batch=true"), json!("batch")),
        (format!("{start}&user_ids=li"), json!("user_ids")),
        (
            format!("{start}&project_ids=a&project_ids=b"),
            json!("project_ids"),
        ),
        (
            format!("{start}&project_ids=a&api_key_ids=hr"),
            json!("project_ids"),
        ),
        (
            format!("{start}&group_by=project_id&api_key_ids=hr"),
            json!("group_by"),
        ),
        (format!("{start}{many}"), Value::Null),
    ] {
        let asked = ask(Report::Completions, &store, &Caller::full(), &query).await;
        let error = asked.unwrap_err().body()["error"].clone();
        assert_eq!(error["code"], "invalid_request", "{query}: {error}");
        assert_eq!(error["param"], param, "{query}: {error}");
    }
}

proptest! {
    #[test]
    fn any_times_are_a_page_of_days_that_have_begun(
        start in any::<i64>(),
        end in proptest::option::of(any::<i64>()),
        limit in 1usize..=180,
        page in "(page_)?\\PC{0,12}",
    ) {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let mut all = vec![pair("start_time", start.to_string()), pair("limit", limit.to_string())];
        all.extend(end.map(|end| pair("end_time", end.to_string())));
        let days = Params(all.clone()).days(NOW);
        prop_assert_eq!(days.is_ok(), end.is_none_or(|end| start < end));
        if let Ok(days) = days {
            prop_assert!(days.shown.len() <= limit);
            prop_assert!(days.shown.iter().all(|day| day.number() <= TODAY / DAY_S));
        }
        all.push(pair("page", page));
        let _ = Params(all).days(NOW);
    }
}
