//! Where the token of a login is kept: a file that only its owner reads, with the URL that it is for and whose it is.
//! Left out: what the token opens.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use praxis_core::CallError;
use rmcp::transport::auth::{AuthError, CredentialStore, StoredCredentials, WWWAuthenticateParams};
use serde::{Deserialize, Serialize};

use super::super::list;
use super::authority::{Authority, Bond};
use crate::disk;

/// The largest file.
const LARGEST: u64 = 1 << 20;

/// The file of a login.
#[derive(Debug, Clone)]
pub(super) struct Store {
    path: PathBuf,
    url: String,
    /// Whose tokens are handed out and renewed; where it is not said, all are.
    authority: Option<Authority>,
}

/// What is known of logins at a server.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Stored {
    /// The server's URL: its token is shown to nobody else.
    url: String,
    /// Token, and who got it.
    #[serde(default)]
    pub credentials: Option<StoredCredentials>,
    /// What the server said when it last wanted a login.
    #[serde(default)]
    pub challenge: Option<String>,
    /// Scopes that the next login must be for.
    #[serde(default)]
    pub wanted: Vec<String>,
    /// Where the server's metadata are (RFC 9728), as far as it ever said so.
    #[serde(default)]
    pub metadata: Option<String>,
    /// Whose login was forgotten, because the server names another authorization server since.
    #[serde(default)]
    pub left: Option<Authority>,
    /// The client of the server's file, and who knows it.
    #[serde(default)]
    pub client: Option<Client>,
}

/// A client that an authorization server knew before the first login.
#[derive(Serialize, Deserialize)]
pub(super) struct Client {
    pub id: String,
    pub authority: Authority,
}

impl Stored {
    /// Whether there is a token.
    pub(super) fn has_token(&self) -> bool {
        let credentials = self.credentials.as_ref();
        credentials.is_some_and(|credentials| credentials.token_response.is_some())
    }

    /// The scopes of the token.
    pub(super) fn granted(&self) -> Vec<String> {
        let credentials = self.credentials.as_ref();
        credentials.map_or_else(Vec::new, |credentials| credentials.granted_scopes.clone())
    }

    /// Whether the login is of this authorization server, which the server names now.
    fn bond(&self, named: &Authority) -> Bond {
        let credentials = self.credentials.as_ref();
        credentials.map_or(Bond::Same, |credentials| {
            Authority::of(credentials).bond(named)
        })
    }

    /// Notes where the server's metadata are, if it says so.
    pub(super) fn hear(&mut self, said: &WWWAuthenticateParams) {
        if let Some(place) = &said.resource_metadata_url {
            self.metadata = Some(place.to_string());
        }
    }

    /// What the server said, with the place of its metadata, which it may have told before only. What a challenge says
    /// itself comes first.
    pub(super) fn pointing(&self, challenge: &str) -> String {
        match &self.metadata {
            None => challenge.to_owned(),
            Some(place) if challenge.is_empty() => format!("Bearer resource_metadata=\"{place}\""),
            Some(place) => format!("{challenge}, resource_metadata=\"{place}\""),
        }
    }
}

impl Store {
    /// The login of this server at this URL.
    pub(super) fn of(state: &Path, name: &str, url: &str) -> Self {
        Self {
            path: list::folder(state)
                .join("logins")
                .join(format!("{name}.json")),
            url: url.to_owned(),
            authority: None,
        }
    }

    /// The same, with what this authorization server gave only.
    pub(super) fn of_authority(&self, authority: Authority) -> Self {
        Self {
            authority: Some(authority),
            ..self.clone()
        }
    }

    /// Whether it hands out this login.
    fn hands_out(&self, stored: &Stored) -> bool {
        let is_theirs = |authority| stored.has_token() && stored.bond(authority) == Bond::Same;
        self.authority.as_ref().is_none_or(is_theirs)
    }

    /// What is known; nothing where there was no login, or one at another URL.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub(super) async fn read(&self) -> Result<Stored, CallError> {
        let path = self.path.clone();
        let read = move || match std::fs::metadata(&path) {
            Ok(found) if found.len() <= LARGEST => std::fs::read(&path),
            Ok(_) => Err(std::io::Error::other("it is too large")),
            Err(error) => Err(error),
        };
        let bytes = match blocking(read).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Stored::default());
            }
            Err(error) => return Err(self.failed("read", &error)),
        };
        let stored: Stored = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(if stored.url == self.url {
            stored
        } else {
            Stored::default()
        })
    }

    /// Keeps it.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub(super) async fn write(&self, mut stored: Stored) -> Result<(), CallError> {
        stored.url.clone_from(&self.url);
        let path = self.path.clone();
        let written =
            blocking(move || disk::replace(&path, &[&serde_json::to_vec(&stored)?])).await;
        written.map_err(|error| self.failed("written", &error))
    }

    /// Forgets a login that is not of this authorization server, which the server names now; where the server names
    /// none, the login waits for it to do so again. Says which of that was so.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub(super) async fn hold_to(&self, named: &Authority) -> Result<Bond, CallError> {
        let mut stored = self.read().await?;
        let bond = stored.bond(named);
        if bond == Bond::Other {
            stored.left = stored.credentials.take().as_ref().map(Authority::of);
            stored.wanted = Vec::new();
            self.write(stored).await?;
        }
        Ok(bond)
    }

    /// Forgets it, and says whether there was anything.
    ///
    /// # Errors
    /// Where the file cannot be removed.
    pub(super) async fn remove(&self) -> Result<bool, CallError> {
        let path = self.path.clone();
        match blocking(move || std::fs::remove_file(path)).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed("removed", &error)),
        }
    }

    fn failed(&self, done: &str, error: &std::io::Error) -> CallError {
        CallError::failure(format!(
            "`{}` cannot be {done}: {error}",
            self.path.display()
        ))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

fn kept(error: &CallError) -> AuthError {
    AuthError::CredentialStoreError(error.message.clone())
}

#[async_trait]
impl CredentialStore for Store {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        let stored = self.read().await.map_err(|error| kept(&error))?;
        let there = self.hands_out(&stored);
        Ok(stored.credentials.filter(|_| there))
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        let mut stored = self.read().await.map_err(|error| kept(&error))?;
        // What was renewed replaces neither a login that came meanwhile nor one that was forgotten.
        if !self.hands_out(&stored) {
            return Ok(());
        }
        stored.credentials = Some(credentials);
        self.write(stored).await.map_err(|error| kept(&error))
    }

    async fn clear(&self) -> Result<(), AuthError> {
        let mut stored = self.read().await.map_err(|error| kept(&error))?;
        stored.credentials = None;
        self.write(stored).await.map_err(|error| kept(&error))
    }
}
