//! Who may ask a server that has keys: clients that send a key with each request, and browsers,
//! which cannot: they show it once on the login page and get a pass, a random cookie. A key says who its
//! caller is, and which documents that caller may read.
//!
//! Passes live in memory, so a restart ends them. Left out: accounts, and how reading is restricted.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use blake3::Hash;
use praxis_core::{Caller, Secret};

/// How long a pass holds.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Passes held at once; one more takes the place of the oldest.
const MOST_PASSES: usize = 256;

/// Wrong keys that the login page takes within [`WINDOW`]; then it takes no key at all for a while,
/// so that keys cannot be tried out.
const WRONG_KEYS: usize = 10;

/// See [`WRONG_KEYS`].
const WINDOW: Duration = Duration::from_secs(60);

/// Name of the cookie that carries a pass.
const COOKIE: &str = "praxis-pass";

/// The server's keys, and the passes given for them.
pub struct Access {
    /// Hashes compare in constant time, and tell nothing of a key's length.
    keys: Vec<(Hash, Caller)>,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    /// When each pass ends, and which of the keys it was given for.
    passes: HashMap<Hash, (Instant, usize)>,
    /// The latest wrong keys, oldest first.
    wrong: VecDeque<Instant>,
}

/// Why no pass was given.
#[derive(Debug, PartialEq, Eq)]
pub enum LoginError {
    /// It is none of the server's keys.
    WrongKey,
    /// Too many wrong ones of late; no key is taken for so long.
    TooManyTries(Duration),
    /// The operating system gives no random numbers.
    NoRandomness,
}

impl Access {
    /// Access by these keys, each with who has it; of equal ones the first counts.
    pub fn new(keys: Vec<(Secret, Caller)>) -> Self {
        let keys = keys.into_iter();
        let hashed = |(key, caller): (Secret, Caller)| (hash(key.expose()), caller);
        Self {
            keys: keys.map(hashed).collect(),
            ledger: Mutex::default(),
        }
    }

    /// Who has this key, if it is one of the server's.
    pub fn caller_of(&self, sent: &str) -> Option<&Caller> {
        self.keys.get(self.key(sent)?).map(|(_, caller)| caller)
    }

    /// Which of the keys this is. All are compared, so that the time tells nothing.
    fn key(&self, sent: &str) -> Option<usize> {
        let sent = hash(sent);
        let mut found = None;
        for (at, (key, _)) in self.keys.iter().enumerate() {
            if *key == sent && found.is_none() {
                found = Some(at);
            }
        }
        found
    }

    /// Gives a pass for the key.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub fn log_in(&self, key: &str, now: Instant) -> Result<String, LoginError> {
        let mut ledger = self.ledger();
        while ledger.wrong.front().is_some_and(|t| now - *t >= WINDOW) {
            ledger.wrong.pop_front();
        }
        if ledger.wrong.len() >= WRONG_KEYS
            && let Some(oldest) = ledger.wrong.front()
        {
            return Err(LoginError::TooManyTries(WINDOW - (now - *oldest)));
        }
        let Some(key) = self.key(key) else {
            ledger.wrong.push_back(now);
            return Err(LoginError::WrongKey);
        };
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| LoginError::NoRandomness)?;
        let pass = Hash::from_bytes(random).to_hex().to_string();
        ledger.passes.retain(|_, (end, _)| *end > now);
        if ledger.passes.len() >= MOST_PASSES {
            let oldest = ledger.passes.iter().min_by_key(|(_, (end, _))| *end);
            if let Some(oldest) = oldest.map(|(pass, _)| *pass) {
                ledger.passes.remove(&oldest);
            }
        }
        ledger.passes.insert(hash(&pass), (now + LIFETIME, key));
        Ok(pass)
    }

    /// Who was given the pass that a request carries, if it holds.
    pub fn admits(&self, headers: &HeaderMap, now: Instant) -> Option<&Caller> {
        let pass = hash(pass_of(headers)?);
        let given = self.ledger().passes.get(&pass).copied();
        let (_, key) = given.filter(|(end, _)| *end > now)?;
        self.keys.get(key).map(|(_, caller)| caller)
    }

    /// Ends the pass that a request carries.
    pub fn log_out(&self, headers: &HeaderMap) {
        if let Some(pass) = pass_of(headers) {
            self.ledger().passes.remove(&hash(pass));
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `set-cookie` for a pass. It never leaves over plain HTTP where it was given over HTTPS.
pub fn cookie(pass: &str, headers: &HeaderMap) -> String {
    let https = headers
        .get(header::ORIGIN)
        .is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    format!(
        "{COOKIE}={pass}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{}",
        LIFETIME.as_secs(),
        if https { "; Secure" } else { "" }
    )
}

/// `set-cookie` that makes a browser forget its pass.
pub fn no_cookie() -> String {
    format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
}

fn hash(secret: &str) -> Hash {
    blake3::hash(secret.as_bytes())
}

fn pass_of(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|one| one.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn keys_are_equal_only_whole() {
        let (access, _) = access();
        for (sent, is_key) in [
            ("right", true),
            ("righ", false),
            ("rightt", false),
            ("", false),
        ] {
            assert_eq!(access.caller_of(sent).is_some(), is_key, "{sent:?}");
        }
    }

    #[test]
    fn a_pass_is_for_who_has_the_key_that_it_was_given_for() {
        let (access, now) = access();
        for key in ["right", "also right"] {
            let pass = access.log_in(key, now).unwrap();
            let caller = access.admits(&with(&pass), now);
            assert_eq!(caller, access.caller_of(key));
            assert_eq!(
                caller.unwrap().clearance.permits(&["board"]),
                key == "right"
            );
        }
    }

    #[test]
    fn a_pass_holds_until_it_ends_or_is_given_back() {
        let (access, now) = access();
        let pass = access.log_in("right", now).unwrap();
        let other = access.log_in("right", now).unwrap();
        assert!(pass != other && !pass.contains("right") && pass.len() == 64);
        assert!(access.admits(&with(&pass), now).is_some());
        assert!(access.admits(&with(&pass), now + LIFETIME).is_none());
        assert!(access.admits(&with(&pass[1..]), now).is_none());
        assert!(access.admits(&with(""), now).is_none());
        assert!(access.admits(&HeaderMap::new(), now).is_none());
        access.log_out(&with(&pass));
        assert!(access.admits(&with(&pass), now).is_none());
        assert!(access.admits(&with(&other), now).is_some());
    }

    #[test]
    fn the_oldest_pass_makes_room() {
        let (access, now) = access();
        let passes: Vec<String> = (0..=MOST_PASSES as u64)
            .map(|n| {
                access
                    .log_in("right", now + Duration::from_secs(n))
                    .unwrap()
            })
            .collect();
        assert!(access.admits(&with(&passes[0]), now).is_none());
        assert!(access.admits(&with(&passes[1]), now).is_some());
    }

    #[test]
    fn keys_cannot_be_tried_out() {
        let (access, now) = access();
        for _ in 0..WRONG_KEYS {
            assert_eq!(access.log_in("wrong", now), Err(LoginError::WrongKey));
        }
        let later = now + Duration::from_secs(20);
        let refused = access.log_in("right", later);
        assert_eq!(
            refused,
            Err(LoginError::TooManyTries(Duration::from_secs(40)))
        );
        assert!(access.log_in("right", now + WINDOW).is_ok());
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
}
