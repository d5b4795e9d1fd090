//! Who is let in: keys of `praxis.toml` and of the store, passes, and keys that are tried out.

use axum::http::HeaderValue;
use praxis_core::Clearance;

use super::*;

fn access() -> (Access, Instant) {
    let hr = Caller {
        name: Some("hr".to_owned()),
        clearance: Clearance::of(["hr"]),
    };
    let keys = vec![
        (Secret::new("right"), Caller::full()),
        (Secret::new("also right"), hr),
    ];
    (Access::new(keys), Instant::now())
}

fn with(pass: &str) -> HeaderMap {
    let cookies = format!("theme=dark; {COOKIE}={pass}; other=1");
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::from_str(&cookies).unwrap());
    headers
}

#[tokio::test]
async fn keys_are_equal_only_whole() {
    let (access, _) = access();
    for (sent, is_key) in [
        ("right", true),
        ("righ", false),
        ("rightt", false),
        ("", false),
    ] {
        let holder = access.holder_of(sent).await.unwrap();
        assert_eq!(holder.is_some(), is_key, "{sent:?}");
    }
}

#[tokio::test]
async fn a_pass_is_for_who_has_the_key_that_it_was_given_for() {
    let (access, now) = access();
    for key in ["right", "also right"] {
        let pass = access.log_in(key, now).await.unwrap();
        let holder = access.admits(&with(&pass), now).await.unwrap();
        assert_eq!(holder, access.holder_of(key).await.unwrap());
        assert_eq!(
            holder.unwrap().caller.clearance.permits(&["board"]),
            key == "right"
        );
    }
}

#[tokio::test]
async fn a_pass_holds_until_it_ends_or_is_given_back() {
    let (access, now) = access();
    let pass = access.log_in("right", now).await.unwrap();
    let other = access.log_in("right", now).await.unwrap();
    assert!(pass != other && !pass.contains("right") && pass.len() == 64);
    assert!(access.admits(&with(&pass), now).await.unwrap().is_some());
    assert!(
        access
            .admits(&with(&pass), now + LIFETIME)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        access
            .admits(&with(&pass[1..]), now)
            .await
            .unwrap()
            .is_none()
    );
    assert!(access.admits(&with(""), now).await.unwrap().is_none());
    assert!(
        access
            .admits(&HeaderMap::new(), now)
            .await
            .unwrap()
            .is_none()
    );
    access.log_out(&with(&pass));
    assert!(access.admits(&with(&pass), now).await.unwrap().is_none());
    assert!(access.admits(&with(&other), now).await.unwrap().is_some());
}

#[tokio::test]
async fn the_oldest_pass_makes_room() {
    let (access, now) = access();
    let mut passes = Vec::new();
    for n in 0..=MOST_PASSES as u64 {
        let at = now + Duration::from_secs(n);
        passes.push(access.log_in("right", at).await.unwrap());
    }
    assert!(
        access
            .admits(&with(&passes[0]), now)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        access
            .admits(&with(&passes[1]), now)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn keys_cannot_be_tried_out() {
    let (access, now) = access();
    for _ in 0..WRONG_KEYS {
        let refused = access.log_in("wrong", now).await;
        assert!(matches!(refused, Err(LoginError::WrongKey)));
    }
    let later = now + Duration::from_secs(20);
    match access.log_in("right", later).await {
        Err(LoginError::TooManyTries(wait)) => assert_eq!(wait, Duration::from_secs(40)),
        other => panic!("{other:?}"),
    }
    assert!(access.log_in("right", now + WINDOW).await.is_ok());
}

#[test]
fn a_cookie_is_out_of_reach_of_scripts_and_other_sites() {
    let mut headers = HeaderMap::new();
    let plain = cookie("p", &headers);
    for part in ["praxis-pass=p", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(plain.contains(part), "{plain}");
    }
    assert!(!plain.contains("Secure"));
    headers.insert(
        header::ORIGIN,
        HeaderValue::from_static("https://kb.example"),
    );
    assert!(cookie("p", &headers).contains("; Secure"));
}

#[tokio::test]
async fn keys_of_the_store_open_until_they_are_revoked_or_expire() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    let new = |name: &str, expires_ms| praxis_store::NewKey {
        name: name.to_owned(),
        scopes: Scopes::from_iter([Scope::Chat]),
        clearance: Clearance::of(["hr"]),
        limits: vec!["60 requests/minute".parse().unwrap()],
        expires_ms,
    };
    let now = now_ms();
    let made = store.create_key(new("desk", None), now).await.unwrap();
    let (_, secret) = made.unwrap();
    let made = store.create_key(new("old", Some(now)), now).await.unwrap();
    let (_, expired) = made.unwrap();
    let access = Access::new::<Holder>(Vec::new()).with_store(store.clone());
    let holder = access.holder_of(secret.expose()).await.unwrap().unwrap();
    assert_eq!(holder.caller.name.as_deref(), Some("desk"));
    assert!(holder.may(Scope::Chat) && !holder.may(Scope::Files));
    assert_eq!(holder.limits.len(), 1);
    assert_eq!(access.holder_of(expired.expose()).await.unwrap(), None);
    assert_eq!(access.holder_of("sk-praxis-00").await.unwrap(), None);
    let pass = access
        .log_in(secret.expose(), Instant::now())
        .await
        .unwrap();
    access.note_uses().await.unwrap();
    let keys = store.api_keys().await.unwrap();
    assert!(
        keys.iter()
            .any(|k| k.name == "desk" && k.last_used_ms >= Some(now))
    );
    assert!(store.revoke_key("desk", now_ms()).await.unwrap());
    tokio::time::sleep(BELIEVED).await;
    assert_eq!(access.holder_of(secret.expose()).await.unwrap(), None);
    assert_eq!(
        access.admits(&with(&pass), Instant::now()).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn who_made_something_is_found_again_until_the_key_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    let new = |name: &str, expires_ms| praxis_store::NewKey {
        name: name.to_owned(),
        scopes: Scopes::from_iter([Scope::Batches]),
        clearance: Clearance::of(["hr"]),
        limits: Vec::new(),
        expires_ms,
    };
    let now = now_ms();
    let desk = store.create_key(new("desk", None), now).await.unwrap();
    let (desk, secret) = desk.unwrap();
    let old = store.create_key(new("old", Some(now)), now).await.unwrap();
    let (old, _) = old.unwrap();
    let (mut access, _) = access();
    access = access
        .with_store(store.clone())
        .with_limits(vec!["9 requests/minute".parse().unwrap()]);
    for key in ["right", "also right", secret.expose()] {
        let holder = access.holder_of(key).await.unwrap();
        let maker = holder.as_ref().unwrap().maker();
        assert_eq!(access.holder_again(&maker).await.unwrap(), holder, "{key}");
    }
    let stored = |id: &str| Maker::Stored(id.to_owned());
    for gone in [
        Maker::Nobody,
        Maker::Configured(Some("else".to_owned())),
        stored(&old.id),
        stored("key-none"),
    ] {
        assert_eq!(access.holder_again(&gone).await.unwrap(), None, "{gone:?}");
    }
    // At once: nothing of it is remembered.
    assert!(store.revoke_key("desk", now_ms()).await.unwrap());
    let again = access.holder_again(&stored(&desk.id)).await.unwrap();
    assert_eq!(again, None);
}
