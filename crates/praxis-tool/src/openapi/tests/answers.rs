//! What comes of answers: trimmed, cut, failed, tried again, and redirected.

use std::sync::atomic::{AtomicUsize, Ordering};

use praxis_core::{CallContext, ErrorCode};
use serde_json::json;

use super::*;

fn document(server: &str) -> String {
    json!({
        "openapi": "3.1.0",
        "servers": [{ "url": server }],
        "paths": { "/things": {
            "get": { "operationId": "list" },
            "post": { "operationId": "add" },
            "put": { "operationId": "set" },
            "delete": { "operationId": "drop" },
        } },
    })
    .to_string()
}

/// The functions of a service whose document names the service itself.
async fn things(server: &str, more: &str) -> Made {
    let folder = folder(&document(server));
    let text =
        format!("document = 'crm.openapi.yaml'\noperations = ['*']\nallow_private = true\n{more}");
    made(&text, folder.path()).await
}

#[tokio::test]
async fn an_answer_is_trimmed_to_its_tokens() {
    let items: Vec<Value> = (0..2000)
        .map(|i| json!({ "id": i, "text": "word ".repeat(40) }))
        .collect();
    let whole = json!({ "items": items });
    let server = Told::start(move |_| json_reply(200, &whole)).await;
    let made = things(&server.url, "max_tokens = 300").await;
    let output = call(&function(&made, "crm/list"), json!({})).await.unwrap();
    let kept = output["data"]["items"].as_array().unwrap();
    assert!((2..20).contains(&kept.len()), "{}", kept.len());
    assert!(praxis_core::tokens::estimate(&output["data"].to_string()) <= 300);
    assert!(
        output["note"].as_str().unwrap().contains("lists have"),
        "{}",
        output["note"]
    );
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let server =
        Told::start(|_| reply(200, &[("content-type", "text/plain")], "x".repeat(3 << 20))).await;
    let made = things(&server.url, "").await;
    let output = call(&function(&made, "crm/list"), json!({})).await.unwrap();
    assert!(output["data"].as_str().unwrap().len() <= 4 * 4000);
    assert!(output["note"].as_str().unwrap().contains("ask for less"));
}

/// A service that is busy so often before it answers.
async fn busy(times: usize, status: u16, after: &'static str) -> Told {
    let count = AtomicUsize::new(0);
    Told::start(
        move |_| match count.fetch_add(1, Ordering::SeqCst) < times {
            true => reply(status, &[("retry-after", after)], ""),
            false => json_reply(200, &json!("at last")),
        },
    )
    .await
}

#[tokio::test]
async fn what_may_be_sent_twice_is_sent_again_when_the_service_is_busy() {
    for (name, times, status, after, tries, outcome) in [
        ("crm/list", 2, 503, "0", 3, Ok("at last")),
        ("crm/set", 1, 429, "0", 2, Ok("at last")),
        ("crm/drop", 1, 503, "0", 2, Ok("at last")),
        ("crm/list", 9, 429, "0", 3, Err(ErrorCode::RateLimited)),
        ("crm/list", 1, 503, "3600", 1, Err(ErrorCode::Upstream)),
        ("crm/list", 1, 500, "0", 1, Err(ErrorCode::Upstream)),
        ("crm/add", 1, 503, "0", 1, Err(ErrorCode::Upstream)),
        ("crm/add", 1, 429, "0", 1, Err(ErrorCode::RateLimited)),
    ] {
        let server = busy(times, status, after).await;
        let made = things(&server.url, "").await;
        let output = call(&function(&made, name), json!({})).await;
        let found = output.as_ref().map(|o| o["data"].as_str().unwrap());
        assert_eq!(
            found.map_err(|error| error.code),
            outcome,
            "{name} {status} {after}"
        );
        assert_eq!(server.asked().len(), tries, "{name} {status} {after}");
        if let Err(error) = output {
            let waits = error.retry_after.map(|wait| wait.as_secs().to_string());
            assert_eq!(waits.as_deref(), Some(after));
        }
    }
}

#[tokio::test]
async fn a_call_that_is_cancelled_waits_for_nobody() {
    let asked = Arc::new(tokio::sync::Notify::new());
    let came = Arc::clone(&asked);
    let server = Told::start(move |_| {
        came.notify_one();
        reply(503, &[("retry-after", "20")], "")
    })
    .await;
    let made = things(&server.url, "").await;
    let list = function(&made, "crm/list");
    let cx = CallContext::new(Arc::new(NoTrace));
    let mut call = list.call(json!({}), &cx);
    tokio::select! {
        output = &mut call => panic!("it waits for the service: {output:?}"),
        () = asked.notified() => {}
    }
    cx.cancel().cancel();
    assert_eq!(call.await.unwrap_err().code, ErrorCode::Cancelled);
}

#[tokio::test]
async fn redirects_stay_with_the_service() {
    let other = Told::start(|_| json_reply(200, &json!("stolen"))).await;
    let elsewhere = other.url.clone();
    let server = Told::start(move |asked| match asked.target.as_str() {
        "/things?to=near" => reply(302, &[("location", "/near")], ""),
        "/things?to=private" => reply(302, &[("location", "http://10.0.0.1/")], ""),
        "/things?to=metadata" => reply(302, &[("location", "http://169.254.169.254/latest")], ""),
        "/things?to=port" => reply(307, &[("location", elsewhere.as_str())], ""),
        "/things?to=file" => reply(302, &[("location", "file:///etc/passwd")], ""),
        _ => json_reply(200, &json!("here")),
    })
    .await;
    let document = json!({
        "openapi": "3.1.0",
        "servers": [{ "url": server.url }],
        "paths": { "/things": { "get": {
            "operationId": "list",
            "parameters": [{ "name": "to", "in": "query", "schema": { "type": "string" } }],
        } } },
    });
    let folder = folder(&document.to_string());
    let text = "document = 'crm.openapi.yaml'\nallow_private = true\n\
                auth = { kind = 'bearer', token = 'env:TOKEN' }";
    let made = made(text, folder.path()).await;
    let list = function(&made, "crm/list");
    let near = call(&list, json!({ "to": "near" })).await.unwrap();
    assert_eq!(near["data"], "here");
    // Another port of this machine is another service.
    for to in ["private", "metadata", "port", "file"] {
        assert!(call(&list, json!({ "to": to })).await.is_err(), "{to}");
    }
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn a_private_address_needs_the_files_word() {
    let server = Told::start(|_| json_reply(200, &json!("in"))).await;
    let folder = folder(&document(&server.url));
    let text = "document = 'crm.openapi.yaml'\noperations = ['*']";
    let made = made(text, folder.path()).await;
    assert!(
        warnings(&made)[0].contains("will not be reached"),
        "{:?}",
        warnings(&made)
    );
    let error = call(&function(&made, "crm/list"), json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert!(server.asked().is_empty());
}
