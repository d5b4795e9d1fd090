//! What becomes of keys, and what the store knows of their secrets.

use super::*;
use crate::tests::store;

const NOW: i64 = 1_774_948_000_000;

fn new(name: &str) -> NewKey {
    NewKey {
        name: name.to_owned(),
        scopes: Scopes::parse(["chat", "vector_stores"]).unwrap(),
        clearance: Clearance::of(["hr", "legal"]),
        limits: vec![
            "60 requests/minute".parse().unwrap(),
            "5 usd/day for user:*".parse().unwrap(),
        ],
        expires_ms: Some(NOW + 1000),
    }
}

#[tokio::test]
async fn a_key_is_found_by_its_secret_and_the_secret_is_nowhere() {
    let (dir, store) = store().await;
    let (key, secret) = store.create_key(new("hr"), NOW).await.unwrap().unwrap();
    let written = secret.expose();
    assert!(written.starts_with("sk-praxis-") && written.len() == 10 + 64);
    assert!(written.ends_with(&key.hint) && key.hint.len() == 4);
    let found = store.key_by_hash(&hash_of(&secret)).await.unwrap();
    assert_eq!(found.as_ref(), Some(&key));
    assert_eq!(key.clearance, Clearance::of(["hr", "legal"]));
    assert!(key.scopes.allow(Scope::Chat) && !key.scopes.allow(Scope::Keys));
    let other = Secret::new(format!("{written}0"));
    assert_eq!(store.key_by_hash(&hash_of(&other)).await.unwrap(), None);
    assert_eq!(store.key_by_hash(written).await.unwrap(), None);
    let (_, another) = store.create_key(new("it"), NOW).await.unwrap().unwrap();
    assert_ne!(written, another.expose());
    // Nor in any file of the database.
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let part = &written.as_bytes()[10..40];
        assert!(!bytes.windows(part.len()).any(|window| window == part));
    }
}

#[test]
fn the_hash_is_sha_256() {
    // The example `abc` of FIPS 180-4.
    assert_eq!(
        hash_of(&Secret::new("abc")),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[tokio::test]
async fn a_name_is_of_one_key_until_that_is_revoked() {
    let (_dir, store) = store().await;
    let (first, secret) = store.create_key(new("hr"), NOW).await.unwrap().unwrap();
    assert!(store.create_key(new("hr"), NOW).await.unwrap().is_none());
    assert!(store.revoke_key("hr", NOW + 1).await.unwrap());
    assert!(!store.revoke_key("hr", NOW + 2).await.unwrap());
    assert!(!store.revoke_key("nobody", NOW).await.unwrap());
    let found = store.key_by_hash(&hash_of(&secret)).await.unwrap();
    assert_eq!(found, None);
    let (second, _) = store.create_key(new("hr"), NOW + 3).await.unwrap().unwrap();
    let keys = store.api_keys().await.unwrap();
    let seen: Vec<_> = keys.iter().map(|k| (&k.id, k.revoked_ms)).collect();
    assert_eq!(seen, [(&first.id, Some(NOW + 1)), (&second.id, None)]);
    assert!(!keys[0].is_valid(NOW) && keys[1].is_valid(NOW));
}

#[tokio::test]
async fn a_change_leaves_what_it_does_not_name() {
    let (_dir, store) = store().await;
    let (mut key, _) = store.create_key(new("hr"), NOW).await.unwrap().unwrap();
    let nothing = KeyChange::default();
    let found = store.update_key("hr", &nothing).await.unwrap();
    assert_eq!(found.as_ref(), Some(&key));
    let change = KeyChange {
        scopes: Some(Scopes::all()),
        expires_ms: Some(None),
        ..KeyChange::default()
    };
    (key.scopes, key.expires_ms) = (Scopes::all(), None);
    let found = store.update_key("hr", &change).await.unwrap();
    assert_eq!(found.as_ref(), Some(&key));
    let change = KeyChange {
        limits: Some(vec!["1 usd".parse().unwrap()]),
        expires_ms: Some(Some(NOW)),
        ..KeyChange::default()
    };
    key.limits = vec!["1 usd".parse().unwrap()];
    key.expires_ms = Some(NOW);
    let found = store.update_key("hr", &change).await.unwrap();
    assert_eq!(found.as_ref(), Some(&key));
    assert_eq!(store.api_keys().await.unwrap(), [key]);
    assert_eq!(store.update_key("it", &change).await.unwrap(), None);
    store.revoke_key("hr", NOW).await.unwrap();
    assert_eq!(store.update_key("hr", &change).await.unwrap(), None);
}

#[tokio::test]
async fn a_key_opens_nothing_from_the_moment_on_that_it_expires() {
    let (_dir, store) = store().await;
    let (key, _) = store.create_key(new("hr"), NOW).await.unwrap().unwrap();
    for (now, is_valid) in [(NOW, true), (NOW + 999, true), (NOW + 1000, false)] {
        assert_eq!(key.is_valid(now), is_valid, "{now}");
    }
    let everything = NewKey {
        clearance: Clearance::Full,
        expires_ms: None,
        ..new("it")
    };
    let (key, _) = store.create_key(everything, NOW).await.unwrap().unwrap();
    assert!(key.is_valid(i64::MAX));
    assert!(store.api_keys().await.unwrap()[1].clearance.is_full());
}

#[tokio::test]
async fn the_last_use_only_moves_on() {
    let (_dir, store) = store().await;
    let (key, _) = store.create_key(new("hr"), NOW).await.unwrap().unwrap();
    for (used, noted) in [(NOW + 5, NOW + 5), (NOW + 3, NOW + 5), (NOW + 9, NOW + 9)] {
        let uses = [(key.id.clone(), used), ("key-gone".to_owned(), used)];
        store.touch_keys(&uses).await.unwrap();
        let keys = store.api_keys().await.unwrap();
        assert_eq!(keys[0].last_used_ms, Some(noted));
    }
}

#[test]
fn scopes_are_a_closed_list() {
    let all: Vec<&str> = Scope::ALL.into_iter().map(Scope::as_str).collect();
    let scopes = Scopes::parse(&all).unwrap();
    assert!(Scope::ALL.into_iter().all(|scope| scopes.allow(scope)));
    for (names, written) in [
        (&["chat", "audio", "chat"][..], r#"["chat","audio"]"#),
        (&["keys", "all"], r#"["all"]"#),
        (&[], "[]"),
    ] {
        let scopes = Scopes::parse(names).unwrap();
        assert_eq!(serde_json::to_string(&scopes).unwrap(), written);
        let read: Scopes = serde_json::from_str(written).unwrap();
        assert_eq!(read, scopes);
    }
    assert!(!Scopes::default().allow(Scope::Models));
    assert!(Scopes::all().allow(Scope::Keys));
    for (name, part) in [
        ("chats", "did you mean `chat`?"),
        ("vector-stores", "did you mean `vector_stores`?"),
        ("al", "did you mean `all`?"),
        ("Chat", "did you mean `chat`?"),
        ("everything", "there are chat, embeddings"),
        ("", "there is no scope ``"),
    ] {
        let error = Scopes::parse([name]).unwrap_err().to_string();
        assert!(error.contains(part), "{name}: {error}");
    }
    let error = serde_json::from_str::<Scopes>(r#"["trace"]"#).unwrap_err();
    assert!(error.to_string().contains("`traces`"), "{error}");
}
