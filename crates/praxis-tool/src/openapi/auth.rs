//! What a service knows its caller by: a key, a token, a user, or a token that is asked for.
//!
//! Secrets come from the environment, are sent to the hosts of the service alone, and stand in headers that are marked
//! as such, so that they are neither shown nor taken along to another origin. Left out: how tokens are kept
//! (`tokens`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use praxis_core::{CallContext, CallError, ErrorCode, KeyReference, Problem, Secret};
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use reqwest::{Request, Url};
use serde_json::Value;

use super::config::{AuthConfig, KeyPlace, problem};
use super::document::Document;
use super::host;
use super::request::Place;
use super::style::encode;
use super::tokens::Tokens;
use crate::egress::{Egress, EgressConfig};

/// The environment: what a variable holds.
pub(super) type Environment<'a> = &'a (dyn Fn(&str) -> Option<String> + Send + Sync);

/// A secret, or the variable that should hold it.
#[derive(Debug)]
pub(super) enum Held {
    Given(Secret),
    Absent(String),
}

impl Held {
    /// What a reference stands for; a name that is no reference stands for itself.
    fn of(reference: &KeyReference, environment: Environment<'_>) -> Self {
        let Some(variable) = reference.variable() else {
            return Self::Given(Secret::new(reference.written()));
        };
        match environment(variable) {
            Some(value) if !value.trim().is_empty() => Self::Given(Secret::new(value.trim())),
            _ => Self::Absent(variable.to_owned()),
        }
    }

    /// The secret.
    ///
    /// # Errors
    /// `unauthorized` where its variable is not set.
    pub fn get(&self) -> Result<&Secret, CallError> {
        match self {
            Self::Given(secret) => Ok(secret),
            Self::Absent(variable) => {
                let message = format!("the environment variable {variable} is not set");
                let error = CallError::new(ErrorCode::Unauthorized, message);
                Err(error.with_hint(format!("export {variable}=... and start again")))
            }
        }
    }
}

/// What requests are sent with.
pub(super) enum Credentials {
    Key {
        place: Place,
        name: String,
        prefix: String,
        key: Held,
    },
    Bearer(Held),
    Basic {
        user: Held,
        password: Held,
    },
    Token(Box<Tokens>),
}

/// The parameter that a key fills.
///
/// # Errors
/// Neither the file nor the document says where the key belongs.
pub(super) fn filled(
    auth: Option<&AuthConfig>,
    document: &Document,
) -> Result<Option<(Place, String)>, Problem> {
    let Some(AuthConfig::Key { place, name, .. }) = auth else {
        return Ok(None);
    };
    let of_file = |place: KeyPlace| match place {
        KeyPlace::Header => Place::Header,
        KeyPlace::Query => Place::Query,
        KeyPlace::Cookie => Place::Cookie,
    };
    if let (Some(place), Some(name)) = (place, name) {
        return Ok(Some((of_file(*place), name.clone())));
    }
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let known = document.schemes("apiKey").filter_map(|scheme| {
        let at = match scheme.get("in")?.as_str()? {
            "header" => Place::Header,
            "query" => Place::Query,
            "cookie" => Place::Cookie,
            _ => return None,
        };
        Some((at, text(scheme.get("name"))?))
    });
    let fits = |(at, called): &(Place, String)| {
        place.is_none_or(|place| of_file(place) == *at) && name.as_ref().is_none_or(|n| n == called)
    };
    let mut known: Vec<(Place, String)> = known.filter(fits).collect();
    known.dedup();
    match known.pop() {
        Some((at, called)) if known.is_empty() && is_name(at, &called) => Ok(Some((at, called))),
        _ => {
            let message = "the document does not say in one way where the key belongs";
            let help = "write it as the service's documentation has it: `in = \"header\"` and `name = \"X-Api-Key\"`";
            Err(problem("auth.name", message, help))
        }
    }
}

fn is_name(place: Place, name: &str) -> bool {
    match place {
        Place::Query | Place::Path => !name.is_empty(),
        Place::Header | Place::Cookie => HeaderName::from_bytes(name.as_bytes()).is_ok(),
    }
}

/// Where tokens are given, from the file or the document. What a document from a URL says is believed as long as it
/// leads to the document's own host, or to the file's `server`: a secret is sent there.
///
/// # Errors
/// Nobody says it, or the document leads elsewhere.
fn token_url(
    written: Option<&str>,
    document: &Document,
    base: Option<&Url>,
    server: Option<&str>,
) -> Result<Url, Problem> {
    let help = "write it as the service's documentation has it: `token_url = \"https://...\"`";
    let wrong = |message: &str| problem("auth.token_url", message, help);
    if let Some(written) = written {
        return Url::parse(written).map_err(|_| wrong("`token_url` is no URL"));
    }
    let found = document.schemes("oauth2").find_map(|scheme| {
        let flow = scheme.get("flows")?.get("clientCredentials")?;
        flow.get("tokenUrl")?.as_str()
    });
    let found = found.ok_or_else(|| wrong("the document does not say where tokens are given"))?;
    let url = match base {
        Some(base) => base.join(found),
        None => Url::parse(found),
    };
    let url = url.map_err(|_| wrong("the document has no URL where tokens are given"))?;
    let server = server.and_then(|server| Url::parse(server).ok());
    let mut hosts = [base, server.as_ref()].into_iter().flatten();
    if base.is_some() && !hosts.any(|known| known.host_str() == url.host_str()) {
        let host = url.host_str().unwrap_or_default();
        let message = format!("the document would have the secret sent to `{host}`");
        return Err(wrong(&message));
    }
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(wrong("the document has no URL where tokens are given")),
    }
}

/// What credentials are made with beside the file's `[auth]`.
pub(super) struct Around<'a> {
    pub document: &'a Document,
    pub base: Option<&'a Url>,
    pub server: Option<&'a str>,
    pub allow_private: bool,
    pub environment: Environment<'a>,
}

impl Credentials {
    /// Those of a file; `filled` is where a key goes.
    ///
    /// # Errors
    /// What the file has to say and does not.
    pub fn new(
        auth: &AuthConfig,
        filled: Option<(Place, String)>,
        around: &Around<'_>,
    ) -> Result<Self, Problem> {
        let held = |reference: &KeyReference| Held::of(reference, around.environment);
        Ok(match auth {
            AuthConfig::Key { key, prefix, .. } => {
                let (place, name) = filled.unwrap_or((Place::Header, String::new()));
                Self::Key {
                    place,
                    name,
                    prefix: prefix.clone().unwrap_or_default(),
                    key: held(key),
                }
            }
            AuthConfig::Bearer { token } => Self::Bearer(held(token)),
            AuthConfig::Basic { user, password } => Self::Basic {
                user: held(user),
                password: held(password),
            },
            AuthConfig::Oauth2 {
                client_id,
                client_secret,
                token_url: written,
                scopes,
                parameters,
                client,
            } => {
                let (document, base) = (around.document, around.base);
                let url = token_url(written.as_deref(), document, base, around.server)?;
                if url.scheme() == "http" && !around.allow_private {
                    let message = "`token_url` is not encrypted, and a secret is sent there";
                    let help = "write `https://`; in a network of your own, `allow_private = true`";
                    return Err(problem("auth.token_url", message, help));
                }
                let egress = EgressConfig {
                    allow: vec![host(&url)],
                    allow_private: around.allow_private,
                };
                Self::Token(Box::new(Tokens {
                    url,
                    id: held(client_id),
                    secret: held(client_secret),
                    scopes: scopes.clone(),
                    parameters: parameters.clone(),
                    client: *client,
                    egress: Egress::new(&egress)?,
                    state: tokio::sync::Mutex::default(),
                }))
            }
        })
    }

    /// The variables that should hold secrets and are not set, by the keys that name them.
    pub fn missing(&self) -> Vec<Problem> {
        let all: Vec<(&str, &Held)> = match self {
            Self::Key { key, .. } => vec![("auth.key", key)],
            Self::Bearer(token) => vec![("auth.token", token)],
            Self::Basic { user, password } => {
                vec![("auth.user", user), ("auth.password", password)]
            }
            Self::Token(tokens) => vec![
                ("auth.client_id", &tokens.id),
                ("auth.client_secret", &tokens.secret),
            ],
        };
        let missing = |(path, held): (&str, &Held)| match held {
            Held::Given(_) => None,
            Held::Absent(variable) => {
                let message = format!(
                    "the environment variable {variable} is not set: calls fail until it is"
                );
                Some(problem(path, &message, &format!("export {variable}=...")))
            }
        };
        all.into_iter().filter_map(missing).collect()
    }

    /// Puts them on a request; gives the number of the token, where it is one that can be had anew.
    ///
    /// # Errors
    /// A secret that is not there, that no header takes, or that its server does not give.
    pub async fn apply(
        &self,
        request: &mut Request,
        cx: &CallContext,
    ) -> Result<Option<u64>, CallError> {
        match self {
            Self::Key {
                place,
                name,
                prefix,
                key,
            } => {
                let value = format!("{prefix}{}", key.get()?.expose());
                put_key(request, *place, name, &value)?;
            }
            Self::Bearer(token) => {
                let line = secret_header(&format!("Bearer {}", token.get()?.expose()))?;
                request.headers_mut().insert(AUTHORIZATION, line);
            }
            Self::Basic { user, password } => {
                let pair = format!("{}:{}", user.get()?.expose(), password.get()?.expose());
                let line = secret_header(&format!("Basic {}", STANDARD.encode(pair)))?;
                request.headers_mut().insert(AUTHORIZATION, line);
            }
            Self::Token(tokens) => {
                let (line, number) = tokens.current(cx).await?;
                request.headers_mut().insert(AUTHORIZATION, line);
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// Forgets a token that the service refused.
    pub async fn forget(&self, number: u64) {
        if let Self::Token(tokens) = self {
            tokens.drop_token(number).await;
        }
    }
}

fn put_key(request: &mut Request, place: Place, name: &str, value: &str) -> Result<(), CallError> {
    match place {
        Place::Query | Place::Path => {
            request.url_mut().query_pairs_mut().append_pair(name, value);
        }
        Place::Header => {
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| no_header())?;
            request.headers_mut().insert(header, secret_header(value)?);
        }
        Place::Cookie => {
            let before = request
                .headers()
                .get(COOKIE)
                .and_then(|line| line.to_str().ok());
            let before = before.map(|line| format!("{line}; ")).unwrap_or_default();
            let line = format!("{before}{name}={}", encode(value, false));
            request.headers_mut().insert(COOKIE, secret_header(&line)?);
        }
    }
    Ok(())
}

/// The value of a header that is not shown where headers are, and not taken along to another origin.
pub(super) fn secret_header(value: &str) -> Result<HeaderValue, CallError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| no_header())?;
    value.set_sensitive(true);
    Ok(value)
}

fn no_header() -> CallError {
    let message = "the secret of the tool's `[auth]` has characters that no header takes";
    CallError::new(ErrorCode::Unauthorized, message).with_hint("set the environment variable anew")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(schemes: Value) -> Document {
        let components = json!({ "securitySchemes": schemes });
        Document::new(json!({ "openapi": "3.0.0", "components": components })).unwrap()
    }

    fn auth(text: &str) -> AuthConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_document_says_where_its_only_key_belongs() {
        let one = document(json!({
            "key": { "type": "apiKey", "in": "query", "name": "api_key" },
            "other": { "type": "http", "scheme": "bearer" },
        }));
        let two = document(json!({
            "a": { "type": "apiKey", "in": "query", "name": "api_key" },
            "b": { "type": "apiKey", "in": "header", "name": "X-Key" },
        }));
        let plain = auth("kind = 'key'\nkey = 'env:K'");
        let header = auth("kind = 'key'\nkey = 'env:K'\nin = 'header'");
        let own = auth("kind = 'key'\nkey = 'env:K'\nin = 'cookie'\nname = 'k'");
        let query = Some((Place::Query, "api_key".to_owned()));
        assert_eq!(filled(Some(&plain), &one).unwrap(), query);
        assert!(filled(Some(&plain), &two).is_err());
        let x_key = Some((Place::Header, "X-Key".to_owned()));
        assert_eq!(filled(Some(&header), &two).unwrap(), x_key);
        assert!(filled(Some(&header), &one).is_err());
        assert_eq!(
            filled(Some(&own), &one).unwrap(),
            Some((Place::Cookie, "k".to_owned()))
        );
        assert_eq!(filled(None, &one).unwrap(), None);
    }

    #[test]
    fn a_document_from_a_url_sends_secrets_to_its_own_host_only() {
        let document = document(json!({ "o": { "type": "oauth2", "flows": {
            "clientCredentials": { "tokenUrl": "https://login.example/token", "scopes": {} },
        } } }));
        let near = Url::parse("https://login.example/openapi.json").unwrap();
        let far = Url::parse("https://docs.example/openapi.json").unwrap();
        let url =
            |base: Option<&Url>, server: Option<&str>| token_url(None, &document, base, server);
        assert!(url(Some(&near), None).is_ok() && url(None, None).is_ok());
        assert!(url(Some(&far), Some("https://login.example/v1")).is_ok());
        let problem = url(Some(&far), None).unwrap_err();
        assert!(problem.message.contains("`login.example`"), "{problem}");
        let own = token_url(Some("https://else.example/t"), &document, Some(&far), None);
        assert_eq!(own.unwrap().as_str(), "https://else.example/t");
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let held = Held::of(&KeyReference::new("env:CRM_KEY"), &|_| None);
        let error = held.get().unwrap_err();
        assert_eq!(error.code, ErrorCode::Unauthorized);
        assert!(error.message.contains("CRM_KEY"), "{error}");
        let held = Held::of(&KeyReference::new("env:K"), &|name| {
            Some(format!("{name}-secret "))
        });
        assert_eq!(held.get().unwrap().expose(), "K-secret");
        assert!(!format!("{held:?}").contains("K-secret"));
        let plain = Held::of(&KeyReference::new("ada"), &|_| None);
        assert_eq!(plain.get().unwrap().expose(), "ada");
    }
}
