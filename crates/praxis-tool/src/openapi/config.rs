//! `tools/NAME.openapi.toml`: which document, which of its operations, with which credentials, and what is kept of
//! answers. Left out: all that takes the document itself or the network to tell.

use std::collections::BTreeMap;
use std::time::Duration;

use praxis_core::{KeyReference, Period, Problem};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::keep::{Keep, KeepConfig};
use crate::safety::PolicyConfig;
use crate::text::identifier;

/// Tokens of an answer where nothing else is said: as many as a prompt reads of one result at most.
const TOKENS: usize = 4000;

/// The fewest and the most tokens of an answer that may be asked for.
const LEAST_TOKENS: usize = 32;
const MOST_TOKENS: usize = 200_000;

/// The longest that one request takes where nothing else is said, and the longest that may be asked for.
const TIMEOUT: Duration = Duration::from_secs(30);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(600);

/// Characters of a description, and examples of an operation.
const LONGEST_DESCRIPTION: usize = 4000;
const MOST_EXAMPLES: usize = 8;

/// Characters of a function's name that an operation has.
const LONGEST_NAME: usize = 48;

/// A file of the kind `openapi`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The document, or an `ai-plugin.json` that leads to it: a file, relative to the application's folder, or a URL.
    pub document: String,
    /// Where requests go, instead of the servers that the document names.
    #[serde(default)]
    pub server: Option<String>,
    /// Values of the variables in the document's servers.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// The operations that become functions: ids, `METHOD /path`, or either with `*`; default: all that only read.
    #[serde(default)]
    pub operations: Vec<String>,
    /// What the service knows its caller by.
    #[serde(default)]
    pub auth: Option<AuthConfig>,
    /// `[operation.ID]`: what is said of single operations.
    #[serde(default, rename = "operation")]
    pub settings: BTreeMap<String, OperationConfig>,
    /// Tokens of an answer that a caller gets at most.
    #[serde(default)]
    pub max_tokens: Option<usize>,
    /// The longest that one request may take.
    #[serde(default)]
    pub timeout: Option<Period>,
    /// Whether addresses of private networks and of this machine may be asked.
    #[serde(default)]
    pub allow_private: bool,
    /// What calls need before they are made.
    #[serde(default)]
    pub policy: PolicyConfig,
}

/// `[auth]`
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum AuthConfig {
    /// A key in a header, in the query or in a cookie.
    Key {
        /// `env:NAME`
        key: KeyReference,
        /// Where; default: what the document says of its only API key.
        #[serde(rename = "in", default)]
        place: Option<KeyPlace>,
        /// Name of the header, the parameter or the cookie; default: what the document says.
        #[serde(default)]
        name: Option<String>,
        /// Written before the key, such as `Token `.
        #[serde(default)]
        prefix: Option<String>,
    },
    /// `Authorization: Bearer ...` (RFC 6750).
    Bearer {
        /// `env:NAME`
        token: KeyReference,
    },
    /// `Authorization: Basic ...` (RFC 7617).
    Basic {
        /// The user's name, or `env:NAME`.
        user: KeyReference,
        /// `env:NAME`
        password: KeyReference,
    },
    /// A token for this application (RFC 6749, 4.4: client credentials).
    Oauth2 {
        /// The application's name at the service, or `env:NAME`.
        client_id: KeyReference,
        /// `env:NAME`
        client_secret: KeyReference,
        /// Where tokens are given; default: what the document says.
        #[serde(default)]
        token_url: Option<String>,
        /// What the token shall be good for.
        #[serde(default)]
        scopes: Vec<String>,
        /// More fields of the request for a token, such as `audience`.
        #[serde(default)]
        parameters: BTreeMap<String, String>,
        /// How the application says who it is.
        #[serde(default)]
        client: ClientAuth,
    },
}

/// Where a key is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyPlace {
    Header,
    Query,
    Cookie,
}

/// How an application says who it is when it asks for a token (RFC 6749, 2.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientAuth {
    /// By HTTP Basic authentication, which each server has to understand.
    #[default]
    Basic,
    /// In the body of the request.
    Body,
}

/// `[operation.ID]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OperationConfig {
    /// What the function is called behind `NAME/`.
    pub name: Option<String>,
    /// What it does, instead of the document's words.
    pub description: Option<String>,
    /// Inputs, which models are shown with the description.
    pub examples: Vec<Value>,
    /// What is kept of an answer: a JSONPath, or several by name.
    pub keep: Option<KeepConfig>,
    /// Tokens of an answer that a caller gets at most.
    pub max_tokens: Option<usize>,
}

impl Config {
    /// What is wrong with it, as far as the file alone tells; what is wrong with its policy is told elsewhere.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut all = Vec::new();
        if self.document.trim().is_empty() {
            let help = "name a file or a URL: `document = \"crm.openapi.yaml\"`";
            all.push(problem("document", "there is no `document`", help));
        } else if is_url(&self.document) {
            all.extend(address("document", &self.document, true));
        }
        if let Some(server) = &self.server {
            all.extend(address("server", server, false));
        }
        if self.operations.iter().any(|o| o.trim().is_empty()) {
            let help = "write `listUsers`, `GET /users/{id}` or `list*`";
            all.push(problem("operations", "an operation without a name", help));
        }
        all.extend(tokens("max_tokens", self.max_tokens));
        if self.timeout.is_some_and(|t| t.0 > LONGEST_TIMEOUT) {
            let help = "10m is the longest";
            all.push(problem("timeout", "`timeout` is too long", help));
        }
        if let Some(auth) = &self.auth {
            all.extend(auth.problems());
        }
        for (id, settings) in &self.settings {
            all.extend(settings.problems(&format!("operation.{id}")));
        }
        all
    }

    /// The longest that one request may take.
    pub(super) fn longest(&self) -> Duration {
        self.timeout.map_or(TIMEOUT, |t| t.0)
    }

    /// Tokens of an answer of an operation.
    pub(super) fn room(&self, settings: Option<&OperationConfig>) -> usize {
        let own = settings.and_then(|s| s.max_tokens);
        own.or(self.max_tokens).unwrap_or(TOKENS)
    }
}

impl AuthConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut all = Vec::new();
        let mut secret = |key: &str, reference: &KeyReference| {
            if reference.variable().is_none() {
                all.push(Problem {
                    path: format!("auth.{key}"),
                    message: format!("`{key}` must name an environment variable"),
                    help: Some(format!(
                        "write `{key} = \"env:NAME\"`: secrets do not belong into files"
                    )),
                });
            }
        };
        match self {
            Self::Key { key, .. } => secret("key", key),
            Self::Bearer { token } => secret("token", token),
            Self::Basic { password, .. } => secret("password", password),
            Self::Oauth2 { client_secret, .. } => secret("client_secret", client_secret),
        }
        let named = match self {
            Self::Basic { user, .. } => Some(("user", user)),
            Self::Oauth2 { client_id, .. } => Some(("client_id", client_id)),
            Self::Key { .. } | Self::Bearer { .. } => None,
        };
        if let Some((key, reference)) = named
            && reference.written().starts_with("env:")
            && reference.variable().is_none()
        {
            let message = format!("`{key}` names no environment variable");
            let help = "write `env:NAME`, or the name itself";
            all.push(problem(&format!("auth.{key}"), &message, help));
        }
        if let Self::Key { name, place, .. } = self {
            all.extend(key_name(name.as_deref(), *place));
        }
        if let Self::Oauth2 {
            token_url: Some(url),
            ..
        } = self
        {
            all.extend(address("auth.token_url", url, false));
        }
        all
    }
}

/// What is wrong with the name of a key.
fn key_name(name: Option<&str>, place: Option<KeyPlace>) -> Option<Problem> {
    let name = name?;
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let fits = place == Some(KeyPlace::Query) || name.chars().all(is_token);
    if !name.is_empty() && fits {
        return None;
    }
    let message = format!("`{name}` cannot be the name of a header or a cookie");
    let help = "write it as the service's documentation has it, such as `X-Api-Key`";
    Some(problem("auth.name", &message, help))
}

impl OperationConfig {
    fn problems(&self, path: &str) -> Vec<Problem> {
        let mut all = Vec::new();
        if let Some(name) = &self.name
            && (name.is_empty() || identifier(name, LONGEST_NAME) != *name)
        {
            let help = format!(
                "letters, digits, `_` and `-`, {LONGEST_NAME} of them at most: `find_user`"
            );
            let message = format!("`{name}` cannot be the name of a function");
            all.push(problem(&format!("{path}.name"), &message, &help));
        }
        let described = self.description.as_deref().unwrap_or("-");
        if described.trim().is_empty() || described.chars().count() > LONGEST_DESCRIPTION {
            let message = "`description` is empty or too long";
            let help =
                format!("say in a sentence what it does; {LONGEST_DESCRIPTION} characters at most");
            all.push(problem(&format!("{path}.description"), message, &help));
        }
        if self.examples.len() > MOST_EXAMPLES || self.examples.iter().any(|e| !e.is_object()) {
            let message = format!("`examples` are inputs, {MOST_EXAMPLES} at most");
            let help = "write each as a table: `examples = [{ id = \"7\" }]`";
            all.push(problem(&format!("{path}.examples"), &message, help));
        }
        if let Some(keep) = &self.keep
            && let Err(message) = Keep::compile(keep)
        {
            let help = "write it as RFC 9535 has it: `$.items[*].name`";
            all.push(problem(&format!("{path}.keep"), &message, help));
        }
        all.extend(tokens(&format!("{path}.max_tokens"), self.max_tokens));
        all
    }
}

/// Something wrong at a key, and the fix.
pub(super) fn problem(path: &str, message: &str, help: &str) -> Problem {
    Problem {
        path: path.to_owned(),
        message: message.to_owned(),
        help: Some(help.to_owned()),
    }
}

/// Whether a document is named by a URL.
pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// What is wrong with an address; only that of a document has a query.
fn address(path: &str, text: &str, may_ask: bool) -> Option<Problem> {
    let help = "write it in full: `https://api.example.com/v1`";
    let Ok(url) = Url::parse(text) else {
        return Some(problem(path, &format!("`{text}` is no URL"), help));
    };
    if !url.username().is_empty() || url.password().is_some() {
        let help = "credentials belong into `[auth]`";
        return Some(problem(path, "the URL has a user in it", help));
    }
    let plain = may_ask || url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
        return Some(problem(
            path,
            &format!("`{text}` is no address of a server"),
            help,
        ));
    }
    None
}

fn tokens(path: &str, value: Option<usize>) -> Option<Problem> {
    let value = value?;
    if (LEAST_TOKENS..=MOST_TOKENS).contains(&value) {
        return None;
    }
    let message = format!("`max_tokens` must be between {LEAST_TOKENS} and {MOST_TOKENS}");
    Some(problem(
        path,
        &message,
        "4000 is what a prompt reads of one result",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_whole_file_is_read() {
        let config = config(
            r#"
            document = "https://api.example.com/openapi.json"
            server = "https://api.example.com/v2"
            operations = ["listUsers", "GET /users/{id}", "find*"]
            max_tokens = 500
            timeout = "5s"
            [variables]
            region = "eu"
            [auth]
            kind = "key"
            in = "header"
            name = "X-Api-Key"
            key = "env:CRM_KEY"
            [operation.listUsers]
            name = "users"
            description = "Lists people."
            examples = [{ role = "admin" }]
            keep = { names = "$.items[*].name", total = "$.total" }
            [operation."GET /users/{id}"]
            keep = "$.name"
            max_tokens = 100
            "#,
        );
        assert!(config.problems().is_empty(), "{:?}", config.problems());
        assert_eq!(config.longest(), Duration::from_secs(5));
        assert_eq!(config.room(config.settings.get("GET /users/{id}")), 100);
        assert_eq!(config.room(config.settings.get("listUsers")), 500);
    }

    #[test]
    fn what_is_wrong_is_told_at_its_key() {
        for (text, path, part) in [
            ("document = ''", "document", "no `document`"),
            ("document = 'https://u:p@a.b/x'", "document", "a user in it"),
            ("document = 'a'\nserver = '/v1'", "server", "is no URL"),
            (
                "document = 'a'\nserver = 'ftp://a.b'",
                "server",
                "no address",
            ),
            (
                "document = 'a'\nserver = 'https://a.b/?x=1'",
                "server",
                "no address",
            ),
            (
                "document = 'a'\noperations = ['']",
                "operations",
                "without a name",
            ),
            ("document = 'a'\nmax_tokens = 1", "max_tokens", "between"),
            ("document = 'a'\ntimeout = '1h'", "timeout", "too long"),
            (
                "document = 'a'\nauth = { kind = 'bearer', token = 'secret' }",
                "auth.token",
                "environment variable",
            ),
            (
                "document = 'a'\nauth = { kind = 'key', key = 'env:K', in = 'header', name = 'a b' }",
                "auth.name",
                "`a b`",
            ),
            (
                "document = 'a'\nauth = { kind = 'basic', user = 'env:', password = 'env:P' }",
                "auth.user",
                "no environment variable",
            ),
            (
                "document = 'a'\n[auth]\nkind = 'oauth2'\nclient_id = 'a'\nclient_secret = 'env:S'\ntoken_url = 'x'",
                "auth.token_url",
                "is no URL",
            ),
            (
                "document = 'a'\n[operation.x]\nname = 'a b'",
                "operation.x.name",
                "`a b`",
            ),
            (
                "document = 'a'\n[operation.x]\nkeep = 'items'",
                "operation.x.keep",
                "`items`",
            ),
            (
                "document = 'a'\n[operation.x]\nexamples = ['a']",
                "operation.x.examples",
                "are inputs",
            ),
        ] {
            let found = config(text).problems();
            let [one] = &found[..] else {
                panic!("{text}: {found:?}");
            };
            assert_eq!(one.path, path, "{text}");
            assert!(one.message.contains(part), "{one}");
        }
    }

    #[test]
    fn unknown_keys_and_kinds_are_refused() {
        for text in [
            "document = 'a'\noperation_ids = []",
            "document = 'a'\nauth = { kind = 'magic' }",
            "document = 'a'\nauth = { kind = 'bearer', token = 'env:T', user = 'x' }",
            "document = 'a'\n[operation.x]\nkept = '$'",
        ] {
            assert!(toml::from_str::<Config>(text).is_err(), "{text}");
        }
    }
}
