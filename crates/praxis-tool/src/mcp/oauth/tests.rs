//! Logins at MCP servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::path::Path;

use rmcp::transport::auth::{CredentialStore, StoredCredentials};
use serde_json::json;

use super::authority::Authority;
use super::browser::Browser;
use super::*;

const URL: &str = "https://example.org/mcp";

fn config(more: &str) -> Config {
    toml::from_str(&format!("url = \"{URL}\"\n{more}")).unwrap()
}

fn place(folder: &Path) -> Place {
    Place {
        root: folder.to_owned(),
        state: folder.to_owned(),
    }
}

fn credentials(scopes: &[&str]) -> StoredCredentials {
    let token = json!({ "access_token": "a", "token_type": "bearer" });
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let token = serde_json::from_value(token).unwrap();
    StoredCredentials::new("client".to_owned(), Some(token), scopes, None)
}

#[tokio::test]
async fn a_token_is_shown_to_the_server_that_it_is_for_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::of(folder.path(), "s", URL);
    assert!(!store.read().await.unwrap().has_token());
    store.save(credentials(&["a"])).await.unwrap();
    assert!(store.read().await.unwrap().has_token());
    let other = Store::of(folder.path(), "s", "https://evil.example/mcp");
    assert!(!other.read().await.unwrap().has_token());
    assert!(CredentialStore::load(&other).await.unwrap().is_none());
    store.clear().await.unwrap();
    assert!(!store.read().await.unwrap().has_token());
}

#[tokio::test]
async fn a_login_is_of_the_authorization_server_that_gave_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::of(folder.path(), "s", URL);
    let [a, b] = ["https://a.example", "https://b.example"].map(|at| Authority::Issuer(at.into()));
    let of_a = credentials(&["x"]).with_issuer(Some("https://a.example".to_owned()));
    store.save(of_a.clone()).await.unwrap();
    assert_eq!(store.hold_to(&a).await.unwrap(), Bond::Same);
    let renewing = store.of_authority(a.clone());
    assert!(CredentialStore::load(&renewing).await.unwrap().is_some());

    // A server that says nothing for a while gets nothing, and does not end the login.
    assert_eq!(store.hold_to(&Authority::Own).await.unwrap(), Bond::Untold);
    for other in [Authority::Own, b.clone()] {
        let other = store.of_authority(other);
        assert!(CredentialStore::load(&other).await.unwrap().is_none());
    }
    assert!(store.read().await.unwrap().has_token());

    assert_eq!(store.hold_to(&b).await.unwrap(), Bond::Other);
    let stored = store.read().await.unwrap();
    assert!(stored.credentials.is_none());
    assert_eq!(stored.left, Some(a));
    // A connection that renews its token late brings nothing back, and replaces no new login.
    renewing.save(of_a.clone()).await.unwrap();
    assert!(!store.read().await.unwrap().has_token());
    let of_b = credentials(&["y"]).with_issuer(Some("https://b.example".to_owned()));
    store.save(of_b).await.unwrap();
    renewing.save(of_a).await.unwrap();
    assert_eq!(store.read().await.unwrap().granted(), ["y"]);

    // One of which it is not known who gave it is of nobody who has a name.
    store.save(credentials(&["z"])).await.unwrap();
    assert_eq!(store.hold_to(&b).await.unwrap(), Bond::Other);
}

#[tokio::test]
async fn where_metadata_are_is_kept_from_challenge_to_challenge() {
    let folder = tempfile::tempdir().unwrap();
    let (place, config) = (place(folder.path()), config(""));
    let store = Store::of(folder.path(), "s", URL);
    assert_eq!(store.read().await.unwrap().pointing(""), "");
    let at = "https://example.org/who.json";
    let told = format!("Bearer resource_metadata=\"{at}\", scope=\"a\"");
    wanted("s", &config, &place, &told).await;
    wanted("s", &config, &place, "Bearer scope=\"b\"").await;
    let stored = store.read().await.unwrap();
    let base = Url::parse(URL).unwrap();
    for challenge in ["", stored.challenge.as_deref().unwrap()] {
        let said = WWWAuthenticateParams::parse(&stored.pointing(challenge), &base);
        assert_eq!(said.resource_metadata_url.unwrap().as_str(), at);
    }
    // The newest word counts.
    let newer = "Bearer resource_metadata=\"https://example.org/new.json\"";
    let said = WWWAuthenticateParams::parse(&stored.pointing(newer), &base);
    let place = said.resource_metadata_url.unwrap();
    assert_eq!(place.path(), "/new.json");
}

#[tokio::test]
async fn the_next_login_is_for_what_the_server_wants_and_what_there_was() {
    let folder = tempfile::tempdir().unwrap();
    let (place, config) = (place(folder.path()), config(""));
    let store = Store::of(folder.path(), "s", URL);
    let first = wanted("s", &config, &place, "Bearer scope=\"a\"").await;
    assert_eq!(first.code, ErrorCode::Unauthorized);
    let stored = store.read().await.unwrap();
    assert_eq!(stored.challenge.as_deref(), Some("Bearer scope=\"a\""));
    assert!(stored.wanted.is_empty());
    store.save(credentials(&["a"])).await.unwrap();

    let more = "Bearer error=\"insufficient_scope\", scope=\"a b\"";
    let second = wanted("s", &config, &place, more).await;
    assert_eq!(second.code, ErrorCode::Unauthorized);
    assert!(second.message.contains("a b") && second.hint.unwrap().contains("login s"));
    assert_eq!(store.read().await.unwrap().wanted, ["a", "b"]);

    // A token that has all of it is no reason for a login.
    store.save(credentials(&["a", "b"])).await.unwrap();
    let third = wanted("s", &config, &place, more).await;
    assert_eq!(third.code, ErrorCode::Forbidden);
}

#[tokio::test]
async fn a_token_of_the_file_is_not_replaced_by_a_login() {
    let folder = tempfile::tempdir().unwrap();
    let error = wanted(
        "s",
        &config("bearer = \"env:A\""),
        &place(folder.path()),
        "Bearer",
    )
    .await;
    assert_eq!(error.code, ErrorCode::Unauthorized);
    assert!(error.message.contains("token of its file"), "{error:?}");
    assert!(!folder.path().join("mcp").exists());
}

#[tokio::test]
async fn only_the_browser_that_was_sent_comes_back() {
    let browser = Browser::open(None).await.unwrap();
    let url = browser.url();
    let ask = async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let get = |url: String| client.get(url).send();
        let status = |query: &str| get(format!("{url}{query}"));
        assert_eq!(status("?state=other&code=1").await.unwrap().status(), 404);
        assert_eq!(status("x?state=mine&code=1").await.unwrap().status(), 404);
        let answer = status("?code=a%20b&state=mine").await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().await.unwrap(), "Done.");
    };
    let come = async {
        let back = browser.comes_back("mine").await.unwrap();
        assert_eq!(back.value("code").as_deref(), Some("a b"));
        assert_eq!(back.value("error"), None);
        back.tell("Done.").await;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::join!(ask, come);
    let taken = Browser::open(
        url.split(':')
            .next_back()
            .unwrap()
            .split('/')
            .next()
            .unwrap()
            .parse()
            .ok(),
    )
    .await;
    assert!(taken.is_err());
}
