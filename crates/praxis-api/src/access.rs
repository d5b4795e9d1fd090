//! Who may ask a server that has a key: clients that send the key with each request, and browsers,
//! which cannot: they show it once on the login page and get a pass, a random cookie.
//!
//! Passes live in memory, so a restart ends them. Left out: accounts and rights; who has the key may
//! do everything.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use blake3::Hash;
use praxis_core::Secret;

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

/// The server's key, and the passes given for it.
pub struct Access {
    /// Hashes compare in constant time, and tell nothing of a key's length.
    key: Hash,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    /// When each pass ends.
    passes: HashMap<Hash, Instant>,
    /// The latest wrong keys, oldest first.
    wrong: VecDeque<Instant>,
}

/// Why no pass was given.
#[derive(Debug, PartialEq, Eq)]
pub enum LoginError {
    /// It is not the server's key.
    WrongKey,
    /// Too many wrong ones of late; no key is taken for so long.
    TooManyTries(Duration),
    /// The operating system gives no random numbers.
    NoRandomness,
}

impl Access {
    /// Access by this key.
    pub fn new(key: &Secret) -> Self {
        Self {
            key: blake3::hash(key.expose().as_bytes()),
            ledger: Mutex::default(),
        }
    }

    /// Whether this is the server's key.
    pub fn is_key(&self, sent: &str) -> bool {
        blake3::hash(sent.as_bytes()) == self.key
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
        if !self.is_key(key) {
            ledger.wrong.push_back(now);
            return Err(LoginError::WrongKey);
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| LoginError::NoRandomness)?;
        let pass = Hash::from_bytes(random).to_hex().to_string();
        ledger.passes.retain(|_, end| *end > now);
        if ledger.passes.len() >= MOST_PASSES {
            let oldest = ledger.passes.iter().min_by_key(|(_, end)| **end);
            if let Some(oldest) = oldest.map(|(pass, _)| *pass) {
                ledger.passes.remove(&oldest);
            }
        }
        ledger.passes.insert(hash(&pass), now + LIFETIME);
        Ok(pass)
    }

    /// Whether a request carries a pass that holds.
    pub fn admits(&self, headers: &HeaderMap, now: Instant) -> bool {
        let Some(pass) = pass_of(headers) else {
            return false;
        };
        let ends = self.ledger().passes.get(&hash(pass)).copied();
        ends.is_some_and(|end| end > now)
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

fn hash(pass: &str) -> Hash {
    blake3::hash(pass.as_bytes())
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

    use super::*;

    fn access() -> (Access, Instant) {
        (Access::new(&Secret::new("right")), Instant::now())
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
            assert_eq!(access.is_key(sent), is_key, "{sent:?}");
        }
    }

    #[test]
    fn a_pass_holds_until_it_ends_or_is_given_back() {
        let (access, now) = access();
        let pass = access.log_in("right", now).unwrap();
        let other = access.log_in("right", now).unwrap();
        assert!(pass != other && !pass.contains("right") && pass.len() == 64);
        assert!(access.admits(&with(&pass), now));
        assert!(!access.admits(&with(&pass), now + LIFETIME));
        assert!(!access.admits(&with(&pass[1..]), now) && !access.admits(&with(""), now));
        assert!(!access.admits(&HeaderMap::new(), now));
        access.log_out(&with(&pass));
        assert!(!access.admits(&with(&pass), now));
        assert!(access.admits(&with(&other), now));
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
        assert!(!access.admits(&with(&passes[0]), now));
        assert!(access.admits(&with(&passes[1]), now));
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
