//! Sessions of clients of older revisions: so many at a time, each its key's own, closed when nobody has used it for a
//! while. Clients since 2026-07-28 have none. Left out: what happens in a session.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::request::Parts;
use futures::Stream;
use praxis_core::taint::Taint;
use praxis_store::Maker;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, GetExtensions, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::session::{
    EventStore, RestoreOutcome, ServerSseMessage, SessionId, SessionManager,
};

use crate::guard::Paying;

/// The most sessions of a key, and of all.
const MOST_OF_ONE: usize = 64;
const MOST: usize = 1024;

/// How long a session lasts that nobody uses.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 60);

/// The sessions that there are.
pub(super) struct Sessions {
    local: LocalSessionManager,
    known: Mutex<HashMap<SessionId, Known>>,
    bounds: (usize, usize),
}

struct Known {
    /// Whose it is; none until it has begun.
    owner: Option<Maker>,
    used: Instant,
    /// What its requests have read from outside.
    taint: Taint,
}

impl Default for Sessions {
    fn default() -> Self {
        Self::within(MOST_OF_ONE, MOST)
    }
}

impl Sessions {
    /// At most so many of one key, and in all.
    pub(super) fn within(of_one: usize, all: usize) -> Self {
        let mut local = LocalSessionManager::default();
        local.session_config.keep_alive = Some(LONGEST_PAUSE);
        Self {
            local,
            known: Mutex::default(),
            bounds: (of_one, all),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a session is this key's, or nobody's; it counts as used then.
    pub(super) fn is_of(&self, id: &str, owner: &Maker) -> bool {
        match self.known().get_mut(id) {
            Some(known) if known.owner.as_ref().is_none_or(|known| known == owner) => {
                known.used = Instant::now();
                true
            }
            // One that is not there is told of by whoever answers.
            found => found.is_none(),
        }
    }

    /// What the requests of a session have read from outside; none where this key has no such session.
    pub(super) fn taint(&self, id: &str, owner: &Maker) -> Option<Taint> {
        let known = self.known();
        let session = known.get(id)?;
        let is_own = session.owner.as_ref() == Some(owner);
        is_own.then(|| session.taint.clone())
    }

    /// The session that was not used for longest, where there are too many of this key, or in all.
    fn superfluous(&self, owner: Option<&Maker>) -> Option<SessionId> {
        let known = self.known();
        let (of_one, all) = self.bounds;
        let oldest = |own: bool| {
            let fits = |known: &Known| !own || known.owner.as_ref() == owner;
            let mut found: Vec<_> = known.iter().filter(|(_, known)| fits(known)).collect();
            found.sort_by_key(|(_, known)| known.used);
            let too_many = found.len() > if own { of_one } else { all };
            found
                .first()
                .filter(|_| too_many)
                .map(|(id, _)| (*id).clone())
        };
        oldest(true).or_else(|| oldest(false))
    }
}

/// Whose request began a session.
fn owner(message: &ClientJsonRpcMessage) -> Option<Maker> {
    let ClientJsonRpcMessage::Request(request) = message else {
        return None;
    };
    let ClientRequest::InitializeRequest(request) = &request.request else {
        return None;
    };
    let parts = request.extensions().get::<Parts>()?;
    Some(parts.extensions.get::<Paying>()?.holder().maker())
}

impl SessionManager for Sessions {
    type Error = <LocalSessionManager as SessionManager>::Error;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let (id, transport) = self.local.create_session().await?;
        let begun = Known {
            owner: None,
            used: Instant::now(),
            taint: Taint::default(),
        };
        self.known().insert(id.clone(), begun);
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        let owner = owner(&message);
        if let Some(known) = self.known().get_mut(id) {
            known.owner.clone_from(&owner);
        }
        while let Some(superfluous) = self.superfluous(owner.as_ref()) {
            self.close_session(&superfluous).await?;
        }
        self.local.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.local.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.known().remove(id);
        self.local.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.create_stream(id, message).await
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        self.local.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.local.resume(id, last_event_id).await
    }

    async fn restore_session(
        &self,
        _: SessionId,
    ) -> Result<RestoreOutcome<Self::Transport>, Self::Error> {
        Ok(RestoreOutcome::NotSupported)
    }

    fn event_store(&self) -> Option<std::sync::Arc<dyn EventStore>> {
        self.local.event_store()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn maker(name: &str) -> Maker {
        Maker::Configured(Some(name.to_owned()))
    }

    type Begun = (SessionId, <Sessions as SessionManager>::Transport);

    /// A session of the key of that name; it lasts as long as its transport.
    async fn begun(sessions: &Sessions, name: &str) -> Begun {
        let (id, transport) = sessions.create_session().await.unwrap();
        sessions.known().get_mut(&id).unwrap().owner = Some(maker(name));
        (id, transport)
    }

    #[tokio::test]
    async fn a_session_is_its_keys_own() {
        let sessions = Sessions::default();
        let (id, _transport) = begun(&sessions, "a").await;
        assert!(sessions.is_of(&id, &maker("a")));
        assert!(!sessions.is_of(&id, &maker("b")));
        assert!(sessions.is_of("no such session", &maker("b")));
        sessions.close_session(&id).await.unwrap();
        assert!(!sessions.has_session(&id).await.unwrap());
        assert!(sessions.known().is_empty());
    }

    #[tokio::test]
    async fn what_its_requests_have_read_goes_with_a_session() {
        let sessions = Sessions::default();
        let (id, _transport) = begun(&sessions, "a").await;
        let of = |id: &str, name: &str| sessions.taint(id, &maker(name));
        of(&id, "a").unwrap().mark("web/page");
        assert_eq!(of(&id, "a").unwrap().source(), Some("web/page"));
        let (other, _other) = begun(&sessions, "a").await;
        assert!(!of(&other, "a").unwrap().is_tainted());
        // Another key has no such session, and a name that a client makes up is none.
        assert!(of(&id, "b").is_none() && of("made up", "a").is_none());
        sessions.close_session(&id).await.unwrap();
        assert!(of(&id, "a").is_none());
    }

    #[tokio::test]
    async fn the_one_that_was_not_used_for_longest_gives_way() {
        let sessions = Sessions::within(2, 3);
        let (first, _one) = begun(&sessions, "a").await;
        let (second, _two) = begun(&sessions, "a").await;
        assert_eq!(sessions.superfluous(Some(&maker("a"))), None);
        let (third, _three) = begun(&sessions, "a").await;
        assert!(sessions.is_of(&first, &maker("a")));
        assert_eq!(
            sessions.superfluous(Some(&maker("a"))),
            Some(second.clone())
        );
        // Those of another key count for all only.
        assert_eq!(sessions.superfluous(Some(&maker("b"))), None);
        let (_, _four) = begun(&sessions, "b").await;
        assert_eq!(sessions.superfluous(Some(&maker("b"))), Some(second));
        assert!(sessions.has_session(&third).await.unwrap());
    }
}
