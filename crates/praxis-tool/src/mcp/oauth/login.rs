//! Logging in at a server, and out again. Left out: opening the browser, which is the person's.

use std::sync::Arc;

use praxis_core::{CallError, ErrorCode};
use rmcp::transport::auth::{AuthorizationRequest, OAuthState};
use url::Url;

use super::super::config::Config;
use super::super::connect::{self, Refusal};
use super::super::handler::Handler;
use super::super::{Place, failure, list};
use super::browser::Browser;
use super::store::Store;
use super::{failed, fresh, secret};

/// Logs in, and keeps what the server then offers. `show` is given the link that the person follows.
///
/// # Errors
/// Where the server wants no login, does not say how, or the person does not finish it.
pub(in super::super) async fn login(
    name: &str,
    config: &Config,
    place: &Place,
    show: impl FnOnce(&str) + Send,
) -> Result<(), CallError> {
    let Some(url) = config.url.as_deref().filter(|_| config.may_log_in()) else {
        let message = format!("nobody logs in at the MCP server `{name}`");
        return Err(CallError::new(ErrorCode::InvalidRequest, message)
            .with_hint("a login is for a server with `url`, and without a token in its file"));
    };
    let store = Store::of(&place.state, name, url);
    let stored = store.read().await?;
    let (challenge, wanted) = match stored.challenge {
        Some(challenge) => (challenge, stored.wanted),
        None => (challenge_of(name, config, place).await?, stored.wanted),
    };
    let browser = Browser::open(config.oauth.redirect_port).await?;
    let manager = fresh(name, url, config, &store).await?;
    let mut state = OAuthState::Unauthorized(manager);
    let request = request(config, &browser, &challenge, &wanted)?;
    let started = state.start_authorization(request).await;
    started.map_err(|error| failed(name, &error))?;
    let link = state.get_authorization_url().await;
    let link = link.map_err(|error| failed(name, &error))?;
    let sent_with =
        state_of(&link).ok_or_else(|| failure::upstream(name, "gave no link to log in"))?;
    show(&link);
    let back = browser.comes_back(&sent_with).await?;
    let result = match back.value("error") {
        Some(error) => {
            let why = back.value("error_description").unwrap_or_default();
            let why = failure::cut(&format!("{error} {why}"));
            let message = format!("the login at the MCP server `{name}` was refused: {why}");
            Err(CallError::new(ErrorCode::Unauthorized, message))
        }
        None => {
            let done = state.handle_callback_url(back.url.as_str()).await;
            done.map_err(|error| failed(name, &error))
        }
    };
    back.tell(match &result {
        Ok(()) => "You are logged in. This window can be closed.",
        Err(_) => "The login failed. The terminal says why.",
    })
    .await;
    result?;
    let mut stored = store.read().await?;
    stored.challenge = None;
    stored.wanted = Vec::new();
    store.write(stored).await?;
    offer(name, config, place).await
}

/// What a login asks for.
fn request(
    config: &Config,
    browser: &Browser,
    challenge: &str,
    wanted: &[String],
) -> Result<AuthorizationRequest, CallError> {
    let mut request = AuthorizationRequest::new(browser.url())
        .with_client_name("Praxis")
        .with_initial_scope_selection();
    if !challenge.is_empty() {
        request = request.with_challenge(challenge);
    }
    let oauth = &config.oauth;
    let mut scopes = oauth.scopes.clone();
    scopes.extend(
        wanted
            .iter()
            .filter(|scope| !oauth.scopes.contains(scope))
            .cloned(),
    );
    if !scopes.is_empty() {
        request = request.with_scopes(scopes);
    }
    if let Some(id) = &oauth.client_id {
        request = request.with_preregistered_client(id);
        if let Some(key) = &oauth.client_secret {
            let key = secret("oauth.client_secret", key)?;
            request = request.with_client_secret(key.expose());
        }
    }
    if let Some(url) = &oauth.client_metadata_url {
        request = request.with_client_metadata_url(url);
    }
    Ok(request)
}

/// What the server says when it is asked without a login that it takes.
async fn challenge_of(name: &str, config: &Config, place: &Place) -> Result<String, CallError> {
    let handler = Arc::new(Handler::new(name, config, &place.root, None));
    let asked = async {
        let link = connect::connect(name, config, place, &handler).await?;
        // Some servers greet everybody, and want a login for what follows.
        let told = link.peer().list_tools(None).await;
        match &told {
            Err(error) => match error.auth_challenge() {
                Some(challenge) => Err(Refusal::Login(challenge.to_owned())),
                None => Err(Refusal::Other(failure::of_service(name, error))),
            },
            Ok(_) => Ok(()),
        }
    };
    match tokio::time::timeout(config.timeout(), asked).await {
        Ok(Err(Refusal::Login(challenge))) => Ok(challenge),
        Ok(Err(Refusal::Other(error))) => Err(error),
        Ok(Ok(())) => {
            let message = format!("the MCP server `{name}` answers without a new login");
            Err(
                CallError::new(ErrorCode::InvalidRequest, message).with_hint(format!(
                    "`praxis tools logout {name}` forgets the one that is there"
                )),
            )
        }
        Err(_) => {
            let message = format!("the MCP server `{name}` did not answer");
            Err(CallError::new(ErrorCode::Timeout, message))
        }
    }
}

/// Asks what the server offers now, and keeps it.
async fn offer(name: &str, config: &Config, place: &Place) -> Result<(), CallError> {
    let handler = Arc::new(Handler::new(name, config, &place.root, None));
    let link = match connect::connect(name, config, place, &handler).await {
        Ok(link) => link,
        Err(Refusal::Login(challenge)) => {
            return Err(super::wanted(name, config, place, &challenge).await);
        }
        Err(Refusal::Other(error)) => return Err(error),
    };
    let offer = list::fetch(link.peer(), config).await;
    let offer = offer.map_err(|error| failure::of_service(name, &error))?;
    list::keep(&place.state, name, &offer).map_err(CallError::failure)
}

/// The `state` of a link, which comes back with the browser.
fn state_of(link: &str) -> Option<String> {
    let url = Url::parse(link).ok()?;
    let mut pairs = url.query_pairs();
    pairs
        .find(|(key, _)| key == "state")
        .map(|(_, value)| value.into_owned())
}

/// Forgets the login, and says whether there was one.
///
/// # Errors
/// Where it cannot be forgotten.
pub(in super::super) async fn logout(
    name: &str,
    config: &Config,
    place: &Place,
) -> Result<bool, CallError> {
    let url = config.url.as_deref().unwrap_or_default();
    Store::of(&place.state, name, url).remove().await
}
