//! Whether a server asks for keys.

use praxis_core::Clearance;
use praxis_store::Scopes;

use super::*;

/// A key that ends or was revoked at such a time.
fn key(name: &str, expires_ms: Option<i64>, revoked_ms: Option<i64>) -> ApiKey {
    ApiKey {
        id: format!("key-{name}"),
        name: name.to_owned(),
        hint: "0000".to_owned(),
        scopes: Scopes::all(),
        clearance: Clearance::Full,
        limits: Vec::new(),
        created_ms: 0,
        expires_ms,
        revoked_ms,
        last_used_ms: None,
    }
}

fn door(is_configured: bool, stored: &[ApiKey], says_open: bool) -> Option<Door> {
    let valid = valid_names(stored, 10);
    wanted(is_configured, stored, &valid, says_open).ok()
}

#[test]
fn a_server_that_had_keys_does_not_open_when_the_last_one_ends() {
    let none: &[ApiKey] = &[];
    let valid = &[key("desk", Some(11), None)][..];
    let expired = &[key("site", Some(10), None)][..];
    let revoked = &[key("old", None, Some(5))][..];
    for (is_configured, stored, says_open, wanted) in [
        (false, none, false, Some(Door::Open)),
        (false, none, true, Some(Door::Open)),
        (true, none, false, Some(Door::Keyed)),
        (true, expired, false, Some(Door::Keyed)),
        (false, valid, false, Some(Door::Keyed)),
        (false, expired, false, Some(Door::Shut)),
        (false, revoked, false, Some(Door::Shut)),
        (false, expired, true, Some(Door::Open)),
        (false, revoked, true, Some(Door::Open)),
        (false, valid, true, None),
    ] {
        let found = door(is_configured, stored, says_open);
        assert_eq!(found, wanted, "{is_configured} {stored:?} {says_open}");
    }
}
