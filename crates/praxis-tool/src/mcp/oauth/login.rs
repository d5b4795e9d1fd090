//! Logging in at a server, and out again. Left out: opening the browser, which is the person's.

use std::sync::Arc;

use praxis_core::{CallError, ErrorCode};
use rmcp::transport::auth::{AuthorizationRequest, AuthorizationSession, WWWAuthenticateParams};
use url::Url;

use super::super::config::Config;
use super::super::connect::{self, Link, Refusal};
use super::super::handler::Handler;
use super::super::{Place, failure, list};
use super::authority::{self, Authority};
use super::browser::Browser;
use super::store::{Client, Store, Stored};
use super::{failed, fresh, secret, told};

/// Logs in at the authorization server that the server names now, where Praxis registers anew, and keeps what the
/// server then offers. `show` is given the link that the person follows.
///
/// # Errors
/// Where the server wants no login, does not say how, names another authorization server than the one that knows the
/// client of its file, or the person does not finish it.
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
    let challenge = match store.read().await?.challenge {
        Some(challenge) => challenge,
        None => challenge_of(name, config, place).await?,
    };
    let mut manager = fresh(name, url, config, &store).await?;
    let pointing = store.read().await?.pointing(&challenge);
    let authority = authority::named(name, &mut manager, &pointing).await?;
    store.hold_to(&authority).await?;
    let stored = store.read().await?;
    is_known(name, config, &stored, &authority)?;
    let browser = Browser::open(config.oauth.redirect_port).await?;
    let request = request(config, &browser, &stored.wanted)?;
    let session = AuthorizationSession::new(manager, request).await;
    let session = session.map_err(|(_, error)| failed(name, &error))?;
    let link = session.get_authorization_url();
    let sent_with =
        state_of(link).ok_or_else(|| failure::upstream(name, "gave no link to log in"))?;
    show(link);
    let back = browser.comes_back(&sent_with).await?;
    let result = match back.value("error") {
        Some(error) => {
            let why = back.value("error_description").unwrap_or_default();
            let why = failure::cut(&format!("{error} {why}"));
            let message = format!("the login at the MCP server `{name}` was refused: {why}");
            Err(CallError::new(ErrorCode::Unauthorized, message))
        }
        None => {
            let done = session.handle_callback_url(back.url.as_str()).await;
            done.map(|_| ()).map_err(|error| failed(name, &error))
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
    stored.left = None;
    if let Ok(base) = Url::parse(url) {
        stored.hear(&WWWAuthenticateParams::parse(&challenge, &base));
    }
    let id = config.oauth.client_id.clone();
    stored.client = id.map(|id| Client { id, authority });
    store.write(stored).await?;
    offer(name, config, place).await
}

/// Refuses to show the client of the file, and its secret, to another authorization server than the one that knows it:
/// the one of the first login with it.
fn is_known(
    name: &str,
    config: &Config,
    stored: &Stored,
    named: &Authority,
) -> Result<(), CallError> {
    let client = stored
        .client
        .as_ref()
        .filter(|client| config.oauth.client_id.as_ref() == Some(&client.id));
    let Some(knows) = client.map(|client| &client.authority) else {
        return Ok(());
    };
    if knows == named {
        return Ok(());
    }
    let message = format!(
        "the MCP server `{name}` names {named} to log in at now, and the `client_id` of its file is of {knows}"
    );
    let hint = format!(
        "write a `client_id` that {named} knows; where it knows this one, run `praxis tools logout {name}` first"
    );
    Err(CallError::new(ErrorCode::InvalidRequest, message).with_hint(hint))
}

/// What a login asks for.
fn request(
    config: &Config,
    browser: &Browser,
    wanted: &[String],
) -> Result<AuthorizationRequest, CallError> {
    let mut request = AuthorizationRequest::new(browser.url())
        .with_client_name("Praxis")
        .with_initial_scope_selection();
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
        let link = connect::connect(name, config, place, &handler).await;
        match answers(name, link).await {
            // A token that cannot be renewed keeps nobody from a new one.
            Err(Refusal::Other(error)) if error.code == ErrorCode::Unauthorized => {
                let link = connect::connect_unknown(name, config, place, &handler).await;
                answers(name, link).await
            }
            answered => answered,
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

/// Whether a server answers over this connection: some greet everybody, and want a login for what follows.
async fn answers(name: &str, link: Result<Link, Refusal>) -> Result<(), Refusal> {
    let link = link?;
    let told = link.peer().list_tools(None).await;
    told.map(|_| ())
        .map_err(|error| connect::unanswered(name, &error))
}

/// Asks what the server offers now, and keeps it. A server whose authorization server has become another one meanwhile
/// wants a login still.
async fn offer(name: &str, config: &Config, place: &Place) -> Result<(), CallError> {
    let handler = Arc::new(Handler::new(name, config, &place.root, None));
    let asked = async {
        let link = connect::connect(name, config, place, &handler).await?;
        let offer = list::fetch(link.peer(), config).await;
        offer.map_err(|error| connect::unanswered(name, &error))
    };
    match asked.await {
        Ok(offer) => list::keep(&place.state, name, &offer).map_err(CallError::failure),
        Err(refusal) => Err(told(name, config, place, refusal).await),
    }
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
