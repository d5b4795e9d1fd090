//! Which authorization server a server names, and whose a login is: what one of them gave is of no use to another, and
//! is not shown to it (MCP specification 2026-07-28, "Client Registration", "Authorization Server Binding"). Left out:
//! what is kept of a login (`store`).

use std::fmt;

use praxis_core::CallError;
use rmcp::transport::auth::{AuthorizationManager, StoredCredentials};
use serde::{Deserialize, Serialize};

use super::super::failure;
use super::failed;

/// An authorization server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Authority {
    /// The one with this `issuer` (RFC 8414).
    Issuer(String),
    /// The server itself, where nothing names another one (revision 2025-03-26).
    Own,
}

/// Whether a login is of the authorization server that the server names now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bond {
    /// It is.
    Same,
    /// The server names none just now.
    Untold,
    /// It is of another one.
    Other,
}

impl Authority {
    /// The one that gave this.
    pub(super) fn of(credentials: &StoredCredentials) -> Self {
        match &credentials.issuer {
            Some(issuer) => Self::Issuer(issuer.clone()),
            None => Self::Own,
        }
    }

    /// Whether what it gave is of the one that the server names now.
    pub(super) fn bond(&self, named: &Self) -> Bond {
        match named {
            named if self == named => Bond::Same,
            Self::Own => Bond::Untold,
            Self::Issuer(_) => Bond::Other,
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer(issuer) => write!(f, "`{}`", failure::cut(issuer)),
            Self::Own => f.write_str("the server itself"),
        }
    }
}

/// Asks a server which authorization server it names now, and readies the manager for that one. `challenge` is what
/// the server said when it wanted a login; empty where it said nothing.
///
/// # Errors
/// Where that cannot be found out.
pub(super) async fn named(
    name: &str,
    manager: &mut AuthorizationManager,
    challenge: &str,
) -> Result<Authority, CallError> {
    let challenge = Some(challenge).filter(|challenge| !challenge.is_empty());
    let found = manager.resolve_metadata_from_challenge(challenge).await;
    let found = found.map_err(|error| failed(name, &error))?;
    let authority = match &found.metadata.issuer {
        Some(issuer) => Authority::Issuer(issuer.clone()),
        // One that cannot be told from another one cannot be held to anything.
        None if found.source.is_discovered() => {
            let what = "has an authorization server that does not say its `issuer`";
            return Err(failure::upstream(name, what));
        }
        None => Authority::Own,
    };
    manager.set_metadata(found.metadata);
    Ok(authority)
}
