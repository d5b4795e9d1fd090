//! Interpreters that stay between calls, by ids that nobody can guess, each for the caller who opened it. Left out:
//! what they do (`interpreter`).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use praxis_core::taint::Taint;
use praxis_core::{CallError, Caller, ErrorCode};
use tokio::time::Instant;

use crate::sandbox::Process;

/// What ids begin with: what OpenAI calls such a thing is a container.
pub(super) const CONTAINER: &str = "cntr_";

/// Sessions that ended of which it is remembered why.
const REMEMBERED: usize = 256;

/// Names of variables that are told of one that ended.
const TOLD: usize = 20;

/// An interpreter that stays.
pub(super) struct Session {
    owner: Caller,
    /// What the first call tree that fed it with content from outside had read.
    outside: OnceLock<String>,
    /// What runs; nothing while a call has it, and when it has ended. Who waits here waits for the call before.
    pub running: tokio::sync::Mutex<Option<Running>>,
}

impl Session {
    /// Mixes what a call tree has read with what the session was given: what is once in a session comes out of it
    /// again, in another call tree too.
    pub fn mix(&self, taint: &Taint) {
        if let Some(source) = taint.source() {
            let _ = self.outside.set(source.to_owned());
        }
        if let Some(source) = self.outside.get() {
            taint.mark(source);
        }
    }
}

/// The interpreter of a session.
pub(super) struct Running {
    /// It.
    pub process: Process,
    /// Calls so far.
    pub calls: u64,
    /// Its variables.
    pub names: Vec<String>,
    /// When the last call ended.
    pub used: Instant,
}

/// All of a tool file.
pub(super) struct Table {
    most: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    open: HashMap<String, Arc<Session>>,
    /// Those that ended, the oldest first: id, whose it was, and why.
    ended: VecDeque<(String, Caller, String)>,
}

impl Table {
    /// A table of `most` sessions.
    pub fn new(most: u64) -> Self {
        Self {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            entries: Mutex::default(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a session of this caller.
    ///
    /// # Errors
    /// `rate_limited` where all places are taken, `invalid_request` where there are none.
    pub fn open(&self, owner: &Caller) -> Result<(String, Arc<Session>), CallError> {
        if self.most == 0 {
            let message = "this interpreter keeps no sessions: leave out `session`";
            return Err(CallError::new(ErrorCode::InvalidRequest, message));
        }
        let mut entries = self.entries();
        if entries.open.len() >= self.most {
            let message = format!("all {} sessions of the interpreter are open", self.most);
            return Err(CallError::new(ErrorCode::RateLimited, message).with_hint(
                "go on in one that is open, reset one, call without `session`, or try it later",
            ));
        }
        let id = praxis_core::ids::generate(CONTAINER);
        let session = Arc::new(Session {
            owner: owner.clone(),
            outside: OnceLock::new(),
            running: tokio::sync::Mutex::new(None),
        });
        entries.open.insert(id.clone(), Arc::clone(&session));
        Ok((id, session))
    }

    /// A session of this caller that is open.
    ///
    /// # Errors
    /// `not_found`, with why it ended if that is known.
    pub fn find(&self, id: &str, owner: &Caller) -> Result<Arc<Session>, CallError> {
        let entries = self.entries();
        if let Some(session) = entries.open.get(id).filter(|one| one.owner == *owner) {
            return Ok(Arc::clone(session));
        }
        let mut ended = entries.ended.iter();
        let why = ended.find(|(of, whose, _)| of == id && whose == owner);
        let message = match why {
            Some((_, _, why)) => format!("the session `{id}` has ended: {why}"),
            None => format!("no session `{id}` is open"),
        };
        Err(CallError::new(ErrorCode::NotFound, message)
            .with_hint("open another one with `session: \"new\"`, and define again what is needed"))
    }

    /// A session that is open, whoever it is of.
    pub fn get(&self, id: &str) -> Option<Arc<Session>> {
        self.entries().open.get(id).map(Arc::clone)
    }

    /// Takes a session out, and remembers why it ended.
    pub fn close(&self, id: &str, why: String) {
        let mut entries = self.entries();
        let Some(session) = entries.open.remove(id) else {
            return;
        };
        if entries.ended.len() == REMEMBERED {
            entries.ended.pop_front();
        }
        let owner = session.owner.clone();
        entries.ended.push_back((id.to_owned(), owner, why));
    }
}

/// What is lost with an interpreter that had these variables.
pub(super) fn lost(names: &[String]) -> String {
    let told: Vec<String> = names
        .iter()
        .take(TOLD)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = match names.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match told.is_empty() {
        true => "its files are gone".to_owned(),
        false => format!(
            "its files and variables are gone: {}{more}",
            told.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use praxis_core::Clearance;

    use super::*;

    fn caller(name: &str) -> Caller {
        Caller {
            name: Some(name.to_owned()),
            clearance: Clearance::default(),
        }
    }

    #[test]
    fn a_session_is_for_who_opened_it_and_for_nobody_who_guesses() {
        let table = Table::new(2);
        let (id, _) = table.open(&caller("a")).unwrap();
        assert!(table.find(&id, &caller("a")).is_ok());
        for (id, who) in [(id.as_str(), "b"), ("cntr_1", "a")] {
            let error = table.find(id, &caller(who)).err().unwrap();
            assert_eq!(error.code, ErrorCode::NotFound);
            assert!(error.message.contains("no session"), "{error}");
        }
        assert_ne!(id, table.open(&caller("a")).unwrap().0);
        let full = table.open(&caller("a")).err().unwrap();
        assert_eq!(full.code, ErrorCode::RateLimited);
    }

    #[test]
    fn what_a_session_was_fed_with_taints_who_goes_on_in_it() {
        let table = Table::new(2);
        let (id, session) = table.open(&caller("a")).unwrap();
        let clean = Taint::default();
        session.mix(&clean);
        assert!(!clean.is_tainted());
        let read = Taint::default();
        read.mark("web/page");
        session.mix(&read);
        // Another request, which has read nothing itself.
        let later = Taint::default();
        table.find(&id, &caller("a")).unwrap().mix(&later);
        assert_eq!(later.source(), Some("web/page"));
        let other = Taint::default();
        table.open(&caller("a")).unwrap().1.mix(&other);
        assert!(!other.is_tainted());
    }

    #[test]
    fn what_became_of_a_session_is_told_to_its_owner() {
        let table = Table::new(1);
        let (id, _) = table.open(&caller("a")).unwrap();
        table.close(&id, "the machine was tired".to_owned());
        table.close(&id, "twice".to_owned());
        let told = table.find(&id, &caller("a")).err().unwrap();
        assert!(told.message.ends_with("the machine was tired"), "{told}");
        let other = table.find(&id, &caller("b")).err().unwrap();
        assert!(!other.message.contains("tired"));
        for _ in 0..2 * REMEMBERED {
            let (next, _) = table.open(&caller("a")).unwrap();
            table.close(&next, "x".to_owned());
        }
        assert_eq!(table.entries().ended.len(), REMEMBERED);
        assert!(Table::new(0).open(&caller("a")).is_err());
    }

    #[test]
    fn what_is_lost_is_named_and_not_without_end() {
        let names = |count: usize| (0..count).map(|n| format!("v{n}")).collect::<Vec<_>>();
        assert_eq!(lost(&[]), "its files are gone");
        assert!(lost(&names(2)).ends_with("gone: `v0`, `v1`"));
        assert!(lost(&names(TOLD + 3)).ends_with(" and 3 more"));
    }
}
