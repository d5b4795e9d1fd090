//! Each kind of `[auth]` at the service, and tokens that are asked for, kept and renewed.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use praxis_core::ErrorCode;
use serde_json::json;

use super::*;

/// A document with one operation, and the token's address if there is one.
fn document(token_url: &str) -> String {
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Shop", "version": "1" },
        "paths": { "/things": {
            "get": { "operationId": "list" },
            "post": { "operationId": "add" },
            "put": { "operationId": "open", "security": [] },
        } },
        "components": { "securitySchemes": {
            "o": { "type": "oauth2", "flows": { "clientCredentials": { "tokenUrl": token_url, "scopes": {} } } },
        } },
    })
    .to_string()
}

async fn shop(server: &str, auth: &str, document: &str) -> Made {
    let folder = folder(document);
    let text = format!(
        "document = 'crm.openapi.yaml'\nserver = '{server}'\nallow_private = true\noperations = ['*']\n[auth]\n{auth}"
    );
    made(&text, folder.path()).await
}

#[tokio::test]
async fn keys_tokens_and_users_arrive_where_they_belong() {
    let server = Told::start(|_| json_reply(200, &json!([]))).await;
    let basic = format!("Basic {}", STANDARD.encode("ada:password-secret"));
    for (auth, header, value, target) in [
        (
            "kind = 'key'\nkey = 'env:KEY'\nin = 'header'\nname = 'X-Key'",
            "x-key",
            "key-secret",
            "/things",
        ),
        (
            "kind = 'key'\nkey = 'env:KEY'\nin = 'query'\nname = 'k'",
            "x-key",
            "",
            "/things?k=key-secret",
        ),
        (
            "kind = 'key'\nkey = 'env:KEY'\nin = 'cookie'\nname = 'sid'",
            "cookie",
            "sid=key-secret",
            "/things",
        ),
        (
            "kind = 'bearer'\ntoken = 'env:TOKEN'",
            "authorization",
            "Bearer token-secret",
            "/things",
        ),
        (
            "kind = 'basic'\nuser = 'ada'\npassword = 'env:PASSWORD'",
            "authorization",
            basic.as_str(),
            "/things",
        ),
    ] {
        let made = shop(&server.url, auth, &document("")).await;
        call(&function(&made, "crm/list"), json!({})).await.unwrap();
        let asked = server.asked().remove(0);
        assert_eq!(
            (asked.header(header), asked.target.as_str()),
            (value, target),
            "{auth}"
        );
        // An operation that takes no credentials gets none.
        call(&function(&made, "crm/open"), json!({})).await.unwrap();
        let asked = server.asked().remove(0);
        assert_eq!(
            (asked.header(header), asked.target.as_str()),
            ("", "/things"),
            "{auth}"
        );
    }
}

#[tokio::test]
async fn a_secret_that_is_not_set_is_told_when_the_file_is_read_and_at_each_call() {
    let server = Told::start(|_| json_reply(200, &json!([]))).await;
    let made = shop(
        &server.url,
        "kind = 'bearer'\ntoken = 'env:NOBODY'",
        &document(""),
    )
    .await;
    assert!(
        warnings(&made)[0].contains("NOBODY is not set"),
        "{:?}",
        warnings(&made)
    );
    let error = call(&function(&made, "crm/list"), json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unauthorized);
    assert!(error.message.contains("NOBODY") && server.asked().is_empty());
}

/// A service that gives tokens `t1`, `t2` and so on, which last so many seconds, and takes those that `takes` takes.
async fn tokens(life: u64, takes: impl Fn(&str) -> bool + Send + Sync + 'static) -> Told {
    let count = AtomicUsize::new(0);
    Told::start(move |asked| match asked.target.as_str() {
        "/token" => {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let token = format!("t{number}");
            json_reply(
                200,
                &json!({ "access_token": token, "token_type": "bearer", "expires_in": life }),
            )
        }
        _ if takes(asked.header("authorization")) => json_reply(200, &json!("in")),
        _ => json_reply(401, &json!({ "error": "invalid_token" })),
    })
    .await
}

const OAUTH: &str = "kind = 'oauth2'\nclient_id = 'app 1'\nclient_secret = 'env:SECRET'\n";

fn paths(asked: &[Asked]) -> Vec<String> {
    asked
        .iter()
        .map(|asked| format!("{} {}", asked.method, asked.target))
        .collect()
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_kept() {
    let server = tokens(3600, |line| line == "Bearer t1").await;
    let auth = format!("{OAUTH}scopes = ['read', 'write']\nparameters = {{ audience = 'shop' }}");
    let made = shop(
        &server.url,
        &auth,
        &document(&format!("{}/token", server.url)),
    )
    .await;
    let list = function(&made, "crm/list");
    // Many at once, and one of them asks.
    let calls: Vec<_> = (0..10).map(|_| call(&list, json!({}))).collect();
    for output in futures::future::join_all(calls).await {
        assert_eq!(output.unwrap()["data"], "in");
    }
    call(&function(&made, "crm/add"), json!({})).await.unwrap();
    let asked = server.asked();
    let of_tokens: Vec<&Asked> = asked.iter().filter(|a| a.target == "/token").collect();
    let [one] = of_tokens[..] else {
        panic!("{:?}", paths(&asked));
    };
    assert_eq!(asked.len(), 12);
    assert_eq!(
        one.body,
        "grant_type=client_credentials&scope=read+write&audience=shop"
    );
    let basic = format!("Basic {}", STANDARD.encode("app+1:secret-secret"));
    assert_eq!(one.header("authorization"), basic);
    assert!(!one.body.contains("secret-secret"));
}

#[tokio::test]
async fn a_token_that_ends_is_renewed_before_the_call() {
    let server = tokens(0, |line| line.starts_with("Bearer t")).await;
    let auth = format!("{OAUTH}token_url = '{}/token'\nclient = 'body'", server.url);
    let made = shop(&server.url, &auth, &document("")).await;
    let list = function(&made, "crm/list");
    for _ in 0..2 {
        call(&list, json!({})).await.unwrap();
    }
    let asked = server.asked();
    assert_eq!(
        paths(&asked),
        ["POST /token", "GET /things", "POST /token", "GET /things"]
    );
    assert_eq!(asked[3].header("authorization"), "Bearer t2");
    assert_eq!(
        asked[0].body,
        "grant_type=client_credentials&client_id=app+1&client_secret=secret-secret"
    );
}

#[tokio::test]
async fn a_token_that_is_refused_is_asked_for_anew_once() {
    let server = tokens(3600, |line| line == "Bearer t2").await;
    let auth = format!("{OAUTH}token_url = '{}/token'", server.url);
    let made = shop(&server.url, &auth, &document("")).await;
    // Nothing was done with a refused token, so a POST is sent again as well.
    let output = call(&function(&made, "crm/add"), json!({})).await.unwrap();
    assert_eq!(output["data"], "in");
    assert_eq!(
        paths(&server.asked()),
        ["POST /token", "POST /things", "POST /token", "POST /things"]
    );
    let never = tokens(3600, |_| false).await;
    let auth = format!("{OAUTH}token_url = '{}/token'", never.url);
    let made = shop(&never.url, &auth, &document("")).await;
    let error = call(&function(&made, "crm/list"), json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unauthorized);
    assert_eq!(never.asked().len(), 4);
}

#[tokio::test]
async fn a_server_that_gives_no_token_says_why() {
    let server = Told::start(|asked| match asked.target.as_str() {
        "/token" => json_reply(
            401,
            &json!({ "error": "invalid_client", "error_description": "Who is that?" }),
        ),
        _ => json_reply(200, &json!("in")),
    })
    .await;
    let auth = format!("{OAUTH}token_url = '{}/token'", server.url);
    let made = shop(&server.url, &auth, &document("")).await;
    let error = call(&function(&made, "crm/list"), json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unauthorized);
    assert!(
        error.message.contains("invalid_client Who is that?"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("secret-secret"));
    assert_eq!(paths(&server.asked()), ["POST /token"]);
}

#[tokio::test]
async fn credentials_are_not_sent_where_nobody_said_so() {
    let server = Told::start(|_| json_reply(200, &json!([]))).await;
    let folder = folder(&document(""));
    // In the clear, out of one's own network.
    let text = "document = 'crm.openapi.yaml'\nserver = 'http://shop.example'\noperations = ['*']\n\
                auth = { kind = 'bearer', token = 'env:TOKEN' }";
    let made = made(text, folder.path()).await;
    assert_eq!(names_of(&made), ["crm/open"]);
    assert!(
        warnings(&made)[0].contains("in the clear"),
        "{:?}",
        warnings(&made)
    );
    assert!(server.asked().is_empty());
}
