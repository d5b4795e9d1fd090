//! Who may ask a server that has keys: clients that send a key with each request, and browsers,
//! which cannot: they show it once on the login page and get a pass, a random cookie. A key says who its
//! caller is, which documents that caller may read, what it is for and what it may use. Keys stand in `praxis.toml`,
//! by the environment variable that holds them, or in the store, by their hash.
//!
//! Passes live in memory, so a restart ends them. Left out: accounts, and how reading is restricted.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use blake3::Hash;
use praxis_core::function::now_ms;
use praxis_core::{Caller, Limit, Secret};
use praxis_store::{ApiKey, Maker, Scope, Scopes, Store, StoreError, hash_of};

/// How long a pass holds.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Passes held at once; one more takes the place of the oldest.
const MOST_PASSES: usize = 256;

/// Wrong keys that the login page takes within [`WINDOW`]; then it takes no key at all for a while,
/// so that keys cannot be tried out.
const WRONG_KEYS: usize = 10;

/// See [`WRONG_KEYS`].
const WINDOW: Duration = Duration::from_secs(60);

/// For how long the store's word about a key is believed: so long a revoked key may still be used.
const BELIEVED: Duration = Duration::from_secs(1);

/// Keys whose answers are remembered, wrong ones among them.
const MOST_SEEN: usize = 4096;

/// Name of the cookie that carries a pass.
const COOKIE: &str = "praxis-pass";

/// Who has a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    /// Who that is, and which documents they may read.
    pub caller: Caller,
    /// What the key is for.
    pub scopes: Scopes,
    /// What it may use.
    pub limits: Arc<[Limit]>,
    /// Its id in the store, and when it expires; none for a key of `praxis.toml`.
    stored: Option<(String, Option<i64>)>,
}

impl Holder {
    /// Who has a key of `praxis.toml`, which is for everything.
    pub fn configured(caller: Caller, limits: Vec<Limit>) -> Self {
        Self {
            caller,
            scopes: Scopes::all(),
            limits: limits.into(),
            stored: None,
        }
    }

    fn is_valid(&self, now_ms: i64) -> bool {
        let expires = self.stored.as_ref().and_then(|(_, expires)| *expires);
        expires.is_none_or(|expires| now_ms < expires)
    }

    /// Which key it has, to find it again by: [`Access::holder_again`].
    pub fn maker(&self) -> Maker {
        match &self.stored {
            Some((id, _)) => Maker::Stored(id.clone()),
            None => Maker::Configured(self.caller.name.clone()),
        }
    }

    /// Whether the key is for something.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.allow(scope)
    }
}

impl From<Caller> for Holder {
    fn from(caller: Caller) -> Self {
        Self::configured(caller, Vec::new())
    }
}

/// The server's keys, and the passes given for them.
pub struct Access {
    /// Hashes compare in constant time, and tell nothing of a key's length.
    configured: Vec<(Hash, Arc<Holder>)>,
    store: Option<Store>,
    /// Limits that hold for all keys, beside their own.
    limits: Vec<Limit>,
    passes: Mutex<Passes>,
    /// What the store said of keys, by their hashes there.
    seen: Mutex<HashMap<String, Seen>>,
    /// When keys of the store were last used, by id.
    used: Mutex<HashMap<String, i64>>,
}

/// What the store said of a key.
#[derive(Clone)]
struct Seen {
    at: Instant,
    holder: Option<Arc<Holder>>,
}

#[derive(Default)]
struct Passes {
    /// When each pass ends, and which key it was given for.
    given: HashMap<Hash, (Instant, Key)>,
    /// The latest wrong keys, oldest first.
    wrong: VecDeque<Instant>,
}

/// A key that a pass was given for.
#[derive(Clone)]
enum Key {
    /// One of `praxis.toml`.
    Configured(usize),
    /// One of the store, by its hash there: it may be revoked.
    Stored(String),
}

/// Why no pass was given.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// It is none of the server's keys.
    #[error("that is not the key")]
    WrongKey,
    /// Too many wrong ones of late; no key is taken for so long.
    #[error("too many wrong keys")]
    TooManyTries(Duration),
    /// The operating system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// The store does not say whose key it is.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Access {
    /// Access by these keys, each with who has it; of equal ones the first counts.
    pub fn new<H: Into<Holder>>(keys: Vec<(Secret, H)>) -> Self {
        let keys = keys.into_iter();
        let hashed = |(key, holder): (Secret, H)| (hash(key.expose()), Arc::new(holder.into()));
        Self {
            configured: keys.map(hashed).collect(),
            store: None,
            limits: Vec::new(),
            passes: Mutex::default(),
            seen: Mutex::default(),
            used: Mutex::default(),
        }
    }

    /// The same, and by the keys of the store.
    #[must_use]
    pub fn with_store(mut self, store: Store) -> Self {
        self.store = Some(store);
        self
    }

    /// The same with limits that hold for all keys, and their users and tags, beside the keys' own.
    #[must_use]
    pub fn with_limits(mut self, limits: Vec<Limit>) -> Self {
        for (_, holder) in &mut self.configured {
            let own = holder.limits.iter().chain(&limits).cloned();
            let limits = own.collect();
            *holder = Arc::new(Holder {
                limits,
                ..Holder::clone(holder)
            });
        }
        self.limits = limits;
        self
    }

    /// Who has this key, if it is one of the server's and has not expired.
    ///
    /// # Errors
    /// Where the store does not say.
    pub async fn holder_of(&self, sent: &str) -> Result<Option<Arc<Holder>>, StoreError> {
        match self.configured(sent) {
            Some(at) => Ok(self
                .configured
                .get(at)
                .map(|(_, holder)| Arc::clone(holder))),
            None => self.stored(&hash_of(&Secret::new(sent))).await,
        }
    }

    /// Which of the keys of `praxis.toml` this is. All are compared, so that the time tells nothing.
    fn configured(&self, sent: &str) -> Option<usize> {
        let sent = hash(sent);
        let mut found = None;
        for (at, (key, _)) in self.configured.iter().enumerate() {
            if *key == sent && found.is_none() {
                found = Some(at);
            }
        }
        found
    }

    /// Who has the key of the store with this hash.
    async fn stored(&self, hash: &str) -> Result<Option<Arc<Holder>>, StoreError> {
        let Some(store) = &self.store else {
            return Ok(None);
        };
        let seen = lock(&self.seen).get(hash).cloned();
        let holder = match seen.filter(|seen| seen.at.elapsed() < BELIEVED) {
            Some(seen) => seen.holder,
            None => {
                let key = store.key_by_hash(hash).await?;
                let holder = key.map(|key| Arc::new(self.has(key)));
                let mut seen = lock(&self.seen);
                if seen.len() >= MOST_SEEN {
                    seen.clear();
                }
                let said = Seen {
                    at: Instant::now(),
                    holder: holder.clone(),
                };
                seen.insert(hash.to_owned(), said);
                holder
            }
        };
        Ok(self.used_now(holder))
    }

    /// Who has a key of the store.
    fn has(&self, key: ApiKey) -> Holder {
        Holder {
            caller: Caller {
                name: Some(key.name),
                clearance: key.clearance,
            },
            scopes: key.scopes,
            limits: key.limits.iter().chain(&self.limits).cloned().collect(),
            stored: Some((key.id, key.expires_ms)),
        }
    }

    /// Whoever has a key that has not expired, which counts as a use of it.
    fn used_now(&self, holder: Option<Arc<Holder>>) -> Option<Arc<Holder>> {
        let now = now_ms();
        let holder = holder.filter(|holder| holder.is_valid(now));
        if let Some((id, _)) = holder.as_ref().and_then(|h| h.stored.as_ref()) {
            lock(&self.used).insert(id.clone(), now);
        }
        holder
    }

    /// Who has a key by now that made something earlier; nothing where it is a key no more.
    ///
    /// # Errors
    /// Where the store does not say.
    pub async fn holder_again(&self, maker: &Maker) -> Result<Option<Arc<Holder>>, StoreError> {
        match (maker, &self.store) {
            (Maker::Configured(name), _) => {
                let mut holders = self.configured.iter().map(|(_, holder)| holder);
                Ok(holders.find(|holder| holder.caller.name == *name).cloned())
            }
            (Maker::Stored(id), Some(store)) => {
                let key = store.key_by_id(id).await?;
                Ok(self.used_now(key.map(|key| Arc::new(self.has(key)))))
            }
            (Maker::Nobody, _) | (Maker::Stored(_), None) => Ok(None),
        }
    }

    /// Notes in the store which of its keys were used since it was done last. It is for now and then.
    ///
    /// # Errors
    /// Where the store fails; then it is noted the next time.
    pub async fn note_uses(&self) -> Result<(), StoreError> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        let uses: Vec<(String, i64)> = lock(&self.used).drain().collect();
        if uses.is_empty() {
            return Ok(());
        }
        let noted = store.touch_keys(&uses).await;
        if noted.is_err() {
            let mut used = lock(&self.used);
            for (id, at) in uses {
                used.entry(id).or_insert(at);
            }
        }
        noted
    }

    /// Gives a pass for the key.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn log_in(&self, key: &str, now: Instant) -> Result<String, LoginError> {
        {
            let mut passes = lock(&self.passes);
            while passes.wrong.front().is_some_and(|t| now - *t >= WINDOW) {
                passes.wrong.pop_front();
            }
            if passes.wrong.len() >= WRONG_KEYS
                && let Some(oldest) = passes.wrong.front()
            {
                return Err(LoginError::TooManyTries(WINDOW - (now - *oldest)));
            }
            // Counted before it is looked at, so that many at a time are counted too.
            passes.wrong.push_back(now);
        }
        let key = match self.configured(key) {
            Some(at) => Some(Key::Configured(at)),
            None => {
                let hash = hash_of(&Secret::new(key));
                self.stored(&hash).await?.map(|_| Key::Stored(hash))
            }
        };
        let mut passes = lock(&self.passes);
        let Some(key) = key else {
            return Err(LoginError::WrongKey);
        };
        passes.wrong.pop_back();
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| LoginError::NoRandomness)?;
        let pass = Hash::from_bytes(random).to_hex().to_string();
        passes.given.retain(|_, (end, _)| *end > now);
        if passes.given.len() >= MOST_PASSES {
            let oldest = passes.given.iter().min_by_key(|(_, (end, _))| *end);
            if let Some(oldest) = oldest.map(|(pass, _)| *pass) {
                passes.given.remove(&oldest);
            }
        }
        passes.given.insert(hash(&pass), (now + LIFETIME, key));
        Ok(pass)
    }

    /// Who was given the pass that a request carries, if it holds.
    ///
    /// # Errors
    /// Where the store does not say.
    pub async fn admits(
        &self,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Option<Arc<Holder>>, StoreError> {
        let Some(pass) = pass_of(headers).map(hash) else {
            return Ok(None);
        };
        let given = lock(&self.passes).given.get(&pass).cloned();
        match given.filter(|(end, _)| *end > now) {
            None => Ok(None),
            Some((_, Key::Configured(at))) => Ok(self
                .configured
                .get(at)
                .map(|(_, holder)| Arc::clone(holder))),
            Some((_, Key::Stored(hash))) => self.stored(&hash).await,
        }
    }

    /// Ends the pass that a request carries.
    pub fn log_out(&self, headers: &HeaderMap) {
        if let Some(pass) = pass_of(headers) {
            lock(&self.passes).given.remove(&hash(pass));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
mod tests;
