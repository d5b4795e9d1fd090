//! Tokens of a login (MCP specification, "Authorization": OAuth 2.1 with protected resource metadata, RFC 9728). A
//! person logs in by `praxis tools login NAME`; calls use the token, which is renewed without them, and say when a
//! login is needed. Left out: logging in by itself, which would open browsers on servers.

mod authority;
mod browser;
mod http;
mod login;
mod store;

use std::sync::Arc;
use std::time::Duration;

use praxis_core::{CallError, ErrorCode};
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, OAuthClientConfig, WWWAuthenticateParams,
};
use url::Url;

use self::authority::Bond;
use self::http::Http;
use self::store::Store;
use super::Place;
use super::config::Config;
use super::connect::Refusal;
use super::failure;
use crate::egress::secret;

pub(super) use self::login::{login, logout};

/// Where a browser comes back to; the port is that of the login.
const REDIRECT: &str = "http://127.0.0.1/callback";

/// How long it is looked whose a token is that the server does not take.
const LONGEST: Duration = Duration::from_secs(10);

/// What hands out the token of a login; none where nobody has logged in at this server, or by way of another
/// authorization server than it names now.
///
/// # Errors
/// Where the login cannot be read, or its server cannot be asked.
pub(super) async fn manager(
    name: &str,
    url: &str,
    config: &Config,
    place: &Place,
) -> Result<Option<AuthorizationManager>, CallError> {
    let store = Store::of(&place.state, name, url);
    let stored = store.read().await?;
    if !stored.has_token() {
        return Ok(None);
    }
    let mut manager = fresh(name, url, config, &store).await?;
    let authority = authority::named(name, &mut manager, &stored.pointing("")).await?;
    if store.hold_to(&authority).await? != Bond::Same {
        tracing::debug!(server = %name, "it names {authority} now, of which no login is");
        return Ok(None);
    }
    manager.set_credential_store(store.of_authority(authority));
    match manager.initialize_from_store().await {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(error) => return Err(failed(name, &error)),
    }
    if let Some(id) = &config.oauth.client_id
        && let Some(key) = &config.oauth.client_secret
    {
        let key = secret("oauth.client_secret", key)?;
        let client = OAuthClientConfig::new(id, REDIRECT).with_client_secret(key.expose());
        let configured = manager.configure_client(client);
        configured.map_err(|error| failed(name, &error))?;
    }
    Ok(Some(manager))
}

/// A manager of tokens that are kept in `store`.
async fn fresh(
    name: &str,
    url: &str,
    config: &Config,
    store: &Store,
) -> Result<AuthorizationManager, CallError> {
    let http = Arc::new(Http::new(config)?);
    let manager = AuthorizationManager::new_with_oauth_http_client(url, http).await;
    let mut manager = manager.map_err(|error| failed(name, &error))?;
    manager.set_credential_store(store.clone());
    Ok(manager)
}

/// Why a server does not answer, as a caller is told it. A login that it wants is noted.
pub(super) async fn told(
    name: &str,
    config: &Config,
    place: &Place,
    refusal: Refusal,
) -> CallError {
    match refusal {
        Refusal::Login(challenge) => wanted(name, config, place, &challenge).await,
        Refusal::Other(error) => error,
    }
}

/// Notes that the server wants a login, and says so. `challenge` is its header `WWW-Authenticate`, RFC 6750.
async fn wanted(name: &str, config: &Config, place: &Place, challenge: &str) -> CallError {
    let base = config.url.as_deref().and_then(|url| Url::parse(url).ok());
    let (Some(base), Some(url), true) = (base, &config.url, config.may_log_in()) else {
        let message = format!("the MCP server `{name}` does not take the token of its file");
        return CallError::new(ErrorCode::Unauthorized, message)
            .with_hint("does the variable that the file names hold a token that is valid?");
    };
    let said = WWWAuthenticateParams::parse(challenge, &base);
    let asked: Vec<String> = said
        .scope
        .iter()
        .flat_map(|s| s.split_whitespace())
        .map(str::to_owned)
        .collect();
    let store = Store::of(&place.state, name, url);
    if !said.is_insufficient_scope() {
        look(name, url, config, &store, challenge).await;
    }
    let mut stored = match store.read().await {
        Ok(stored) => stored,
        Err(error) => return error,
    };
    let granted = stored.granted();
    let names = asked.join(" ");
    if said.is_insufficient_scope()
        && !asked.is_empty()
        && asked.iter().all(|scope| granted.contains(scope))
    {
        let message = format!(
            "the MCP server `{name}` refuses this although its token is for all that it names: {names}"
        );
        return CallError::new(ErrorCode::Forbidden, message)
            .with_hint("ask who runs the server what this login may do");
    }
    stored.hear(&said);
    stored.challenge = (!challenge.is_empty()).then(|| challenge.to_owned());
    stored.wanted = Vec::new();
    if said.is_insufficient_scope() {
        stored.wanted.clone_from(&granted);
        stored
            .wanted
            .extend(asked.into_iter().filter(|scope| !granted.contains(scope)));
    }
    let left = stored.left.clone();
    if let Err(error) = store.write(stored).await {
        return error;
    }
    let what = match left {
        _ if said.is_insufficient_scope() && !names.is_empty() => {
            format!("a login that is also for: {names}")
        }
        Some(left) => format!("a new login: its authorization server is no longer {left}"),
        None => "a login".to_owned(),
    };
    let message = format!("the MCP server `{name}` wants {what}");
    CallError::new(ErrorCode::Unauthorized, message).with_hint(failure::login_hint(name))
}

/// Looks whether a token that the server does not take is of the authorization server that it names now, and forgets
/// one of another. Where that cannot be seen now, the next connection looks again.
async fn look(name: &str, url: &str, config: &Config, store: &Store, challenge: &str) {
    let looked = async {
        let stored = store.read().await?;
        if stored.has_token() {
            let mut manager = fresh(name, url, config, store).await?;
            let challenge = stored.pointing(challenge);
            let authority = authority::named(name, &mut manager, &challenge).await?;
            store.hold_to(&authority).await?;
        }
        Ok::<(), CallError>(())
    };
    match tokio::time::timeout(LONGEST, looked).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(server = %name, "{}", error.message),
        Err(_) => tracing::debug!(server = %name, "its metadata did not come within {LONGEST:?}"),
    }
}

/// Why there is no token.
fn failed(name: &str, error: &AuthError) -> CallError {
    let code = match error {
        AuthError::DiscoveryRequestFailed { .. }
        | AuthError::HttpError(_)
        | AuthError::MetadataError(_)
        | AuthError::ProtectedResourceMetadataInvalid { .. }
        | AuthError::AuthorizationServersUnavailable { .. } => ErrorCode::Upstream,
        AuthError::CredentialStoreError(_) => ErrorCode::Internal,
        _ => ErrorCode::Unauthorized,
    };
    let message = format!(
        "no login at the MCP server `{name}`; {}",
        crate::text::said(&error.to_string())
    );
    CallError::new(code, message).with_hint(failure::login_hint(name))
}

#[cfg(test)]
mod tests;
