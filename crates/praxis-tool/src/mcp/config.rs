//! What `tools/NAME.mcp.toml` says. Left out: doing it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use globset::{Glob, GlobSet, GlobSetBuilder};
use praxis_core::{KeyReference, Period, Problem};
use reqwest::header::HeaderName;
use rmcp::model::ProtocolVersion;
use serde::Deserialize;
use url::Url;

use crate::egress::EgressConfig;
use crate::safety::PolicyConfig;

/// How long a request waits for an answer, or for word of its progress, and how long it takes at most.
const TIMEOUT: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(600);

/// Tokens that a server may have of a model within one call, and answers.
const SAMPLING_TOKENS: u64 = 10_000;

/// Headers that the protocol itself writes (MCP specification 2025-11-25 and 2026-07-28, "Transports").
const OWN_HEADERS: [&str; 7] = [
    "accept",
    "content-type",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
];

/// A server of MCP, and what is taken from it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// A program and its arguments, for a server that talks over its standard input and output.
    #[serde(default)]
    pub command: Vec<String>,
    /// What its environment has beside `PATH` and `HOME`: texts, or `env:NAME`.
    #[serde(default)]
    pub env: BTreeMap<String, KeyReference>,
    /// The folder that it runs in; what is not absolute is below the application's, which it is unless it is said.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// The URL of a server that talks over HTTP.
    #[serde(default)]
    pub url: Option<String>,
    /// Headers of requests to it: texts, or `env:NAME`.
    #[serde(default)]
    pub headers: BTreeMap<String, KeyReference>,
    /// A token that it is shown, `env:NAME`.
    #[serde(default)]
    pub bearer: Option<KeyReference>,
    /// What a person's browser is sent to instead, by `praxis tools login NAME`.
    #[serde(default)]
    pub oauth: OauthConfig,
    /// Whether it may be at a private address: this machine, an intranet.
    #[serde(default)]
    pub allow_private: bool,
    /// Which of its tools are taken: globs, those that begin with `!` take away. None: all.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Whether its resources are read by a function `NAME/resource`.
    #[serde(default = "yes")]
    pub resources: bool,
    /// Whether its prompts are had by a function `NAME/prompt`.
    #[serde(default = "yes")]
    pub prompts: bool,
    /// How long a request waits for an answer; word of its progress begins the time anew.
    #[serde(default)]
    pub timeout: Option<Period>,
    /// How long a request takes at most, whatever word comes of it.
    #[serde(default)]
    pub longest: Option<Period>,
    /// The revision of the protocol; unless it is said, the newest that the server speaks.
    #[serde(default)]
    pub protocol: Option<String>,
    /// Whether the server's word counts that a tool only reads.
    #[serde(default)]
    pub trust_hints: bool,
    /// Whether the server is told where the application's folder is.
    #[serde(default)]
    pub roots: bool,
    /// The model that the server may ask; unless it is said, none.
    #[serde(default)]
    pub sampling: Option<String>,
    /// Tokens, of questions and answers together, that it may have of that model within one call.
    #[serde(default = "sampling_tokens")]
    pub sampling_tokens: u64,
    /// What the server is told when it wants to ask a person.
    #[serde(default)]
    pub elicitation: Elicitation,
    /// What becomes of images, sound and files in results.
    #[serde(default)]
    pub media: Media,
    /// What calls need.
    #[serde(default)]
    pub policy: PolicyConfig,
}

/// How `praxis tools login` gets a token (OAuth 2.1, as the MCP specification's "Authorization" has it).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OauthConfig {
    /// Scopes that are asked for; unless they are said, those that the server names.
    pub scopes: Vec<String>,
    /// The client's id, where the authorization server knows it already.
    pub client_id: Option<String>,
    /// Its secret, `env:NAME`.
    pub client_secret: Option<KeyReference>,
    /// The URL of a document that describes the client, which then is its id.
    pub client_metadata_url: Option<String>,
    /// The port of this machine that the browser comes back to; unless it is said, any that is free.
    pub redirect_port: Option<u16>,
}

/// What the server is told when it wants to ask a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Elicitation {
    /// That nobody answers.
    #[default]
    Decline,
    /// The defaults of its form, where each field that it needs has one; else that nobody answers.
    Defaults,
}

/// What becomes of images, sound and files in results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Media {
    /// They are told of, with type and size.
    #[default]
    Describe,
    /// They are handed on whole, in base64.
    Inline,
}

fn yes() -> bool {
    true
}

fn sampling_tokens() -> u64 {
    SAMPLING_TOKENS
}

impl Config {
    /// How long a request waits for an answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout.map_or(TIMEOUT, |period| period.0)
    }

    /// How long a request takes at most.
    pub(super) fn longest(&self) -> Duration {
        let longest = self.longest.map_or(LONGEST, |period| period.0);
        longest.max(self.timeout())
    }

    /// Which hosts the server's URL may lead to.
    pub(super) fn egress(&self) -> EgressConfig {
        EgressConfig {
            allow: vec!["*:*".to_owned()],
            allow_private: self.allow_private,
        }
    }

    /// The revision that the file names.
    pub(super) fn version(&self) -> Option<ProtocolVersion> {
        let wanted = self.protocol.as_deref()?;
        let mut known = ProtocolVersion::KNOWN_VERSIONS.iter();
        known.find(|version| version.as_str() == wanted).cloned()
    }

    /// Whether a token comes from a login.
    pub(super) fn may_log_in(&self) -> bool {
        let authorization = |name: &String| name.eq_ignore_ascii_case("authorization");
        self.url.is_some() && self.bearer.is_none() && !self.headers.keys().any(authorization)
    }

    /// What is wrong with it, as far as that can be told without asking anybody.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut all = Vec::new();
        match (&self.url, self.command.first()) {
            (None, None) => all.push(problem(
                "",
                "it names no server",
                "write `command = [\"npx\", \"-y\", \"PACKAGE\"]`, or `url = \"https://…\"`",
            )),
            (Some(_), Some(_)) => all.push(problem(
                "url",
                "it names two servers",
                "write either `command` or `url`",
            )),
            (Some(url), None) => {
                self.for_http_only(&mut all);
                self.url_problems(url, &mut all);
            }
            (None, Some(program)) => self.command_problems(program, &mut all),
        }
        all.extend(self.values(&self.env, "env"));
        all.extend(self.values(&self.headers, "headers"));
        all.extend(self.secrets());
        if let Err(found) = Wanted::new(&self.tools) {
            all.push(found);
        }
        if let Some(protocol) = &self.protocol
            && self.version().is_none()
        {
            let known = ProtocolVersion::KNOWN_VERSIONS.iter();
            let known: Vec<&str> = known.map(ProtocolVersion::as_str).collect();
            all.push(problem(
                "protocol",
                &format!("`{protocol}` is no revision of MCP that is known here"),
                &format!("one of: {}", known.join(", ")),
            ));
        }
        if self.timeout.is_some() && self.longest.is_some() && self.longest() > self.given_longest()
        {
            all.push(problem(
                "longest",
                "a request may take less than it waits for an answer",
                "write a `longest` of at least `timeout`",
            ));
        }
        if self.sampling.as_deref() == Some("") {
            all.push(problem(
                "sampling",
                "it names no model",
                "write a model's name of `praxis.toml`, or leave it out",
            ));
        }
        if self.sampling_tokens == 0 {
            all.push(problem(
                "sampling_tokens",
                "no answer has no tokens",
                "write how many tokens the server may have, or leave out `sampling`",
            ));
        }
        all
    }

    fn given_longest(&self) -> Duration {
        self.longest.map_or(LONGEST, |period| period.0)
    }

    /// Keys of programs in the file of a server of HTTP.
    fn for_http_only(&self, all: &mut Vec<Problem>) {
        for (key, given) in [("env", !self.env.is_empty()), ("cwd", self.cwd.is_some())] {
            if given {
                all.push(problem(
                    key,
                    &format!("`{key}` is for programs"),
                    "leave it out beside `url`",
                ));
            }
        }
    }

    fn url_problems(&self, text: &str, all: &mut Vec<Problem>) {
        let url = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
            _ => {
                all.push(problem(
                    "url",
                    "it is no URL of the web",
                    "write it whole: https://example.org/mcp",
                ));
                return;
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            all.push(problem(
                "url",
                "it has a name or a password in it",
                "leave out what stands before the `@`; write a token as `bearer = \"env:NAME\"`",
            ));
        }
        if url.scheme() == "http" && !self.allow_private {
            all.push(problem(
                "url",
                "what is said over http:// can be read and changed on its way",
                "write https://; for a server of your own network write `allow_private = true` too",
            ));
        }
    }

    fn command_problems(&self, program: &str, all: &mut Vec<Problem>) {
        if program.is_empty() || self.command.iter().any(|part| part.contains('\0')) {
            all.push(problem(
                "command",
                "it names no program",
                "write the program first, then each of its arguments",
            ));
        }
        let given = [
            ("headers", !self.headers.is_empty()),
            ("bearer", self.bearer.is_some()),
            ("oauth", self.oauth != OauthConfig::default()),
            ("allow_private", self.allow_private),
        ];
        for (key, given) in given {
            if given {
                all.push(problem(
                    key,
                    &format!("`{key}` is for servers of HTTP"),
                    "leave it out beside `command`; a program reads its secrets from `env`",
                ));
            }
        }
    }

    /// What is wrong with names in a table of texts.
    fn values(&self, table: &BTreeMap<String, KeyReference>, key: &str) -> Vec<Problem> {
        let mut all = Vec::new();
        for (name, value) in table {
            let path = format!("{key}.{name}");
            let is_name = match key {
                "headers" => HeaderName::from_bytes(name.as_bytes()).is_ok(),
                _ => !name.is_empty() && !name.contains(['=', '\0']),
            };
            let own = || OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str());
            let (what, help) = if !is_name {
                (
                    format!("`{name}` is no name"),
                    "letters, digits, `-` and `_`",
                )
            } else if key == "headers" && own() {
                (
                    format!("the protocol writes `{name}` itself"),
                    "leave it out",
                )
            } else if value.written().starts_with("env:") && value.variable().is_none() {
                (
                    "it names no environment variable".to_owned(),
                    "write \"env:NAME\" with letters, digits and `_`",
                )
            } else if value.written().contains(['\0', '\n', '\r']) {
                ("it has a line break in it".to_owned(), "write one line")
            } else {
                continue;
            };
            all.push(problem(&path, &what, help));
        }
        all
    }

    /// What must be a reference, and what excludes what.
    fn secrets(&self) -> Vec<Problem> {
        let mut all = Vec::new();
        let secrets = [
            ("bearer", &self.bearer),
            ("oauth.client_secret", &self.oauth.client_secret),
        ];
        for (key, value) in secrets {
            if value
                .as_ref()
                .is_some_and(|value| value.variable().is_none())
            {
                all.push(problem(
                    key,
                    "a secret does not belong into a file",
                    "write \"env:NAME\", and set that variable",
                ));
            }
        }
        if self.oauth != OauthConfig::default() && self.url.is_some() && !self.may_log_in() {
            all.push(problem(
                "oauth",
                "a token comes either from a login or from the file",
                "leave out `[oauth]`, or `bearer` and the header `Authorization`",
            ));
        }
        if self.oauth.client_secret.is_some() && self.oauth.client_id.is_none() {
            all.push(problem(
                "oauth.client_secret",
                "a secret without the client that it belongs to",
                "write `client_id` too",
            ));
        }
        if let Some(text) = &self.oauth.client_metadata_url
            && !Url::parse(text).is_ok_and(|url| url.scheme() == "https" && url.path() != "/")
        {
            all.push(problem(
                "oauth.client_metadata_url",
                "it is no https:// URL of a document",
                "write it whole: https://example.org/client.json",
            ));
        }
        all
    }
}

fn problem(path: &str, message: &str, help: &str) -> Problem {
    Problem {
        path: path.to_owned(),
        message: message.to_owned(),
        help: Some(help.to_owned()),
    }
}

/// Which tools are taken.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// None: all.
    these: Option<GlobSet>,
    but: GlobSet,
}

impl Wanted {
    /// Those that these globs name.
    ///
    /// # Errors
    /// A glob that is none.
    pub(super) fn new(globs: &[String]) -> Result<Self, Problem> {
        let (mut these, mut but) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let mut some = false;
        for (i, text) in globs.iter().enumerate() {
            let (glob, set) = match text.strip_prefix('!') {
                Some(rest) => (rest, &mut but),
                None => {
                    some = true;
                    (text.as_str(), &mut these)
                }
            };
            let glob = Glob::new(glob).map_err(|error| {
                problem(
                    &format!("tools.{i}"),
                    &format!("`{text}` is no glob: {error}"),
                    "write a tool's name, with `*` for what may be anything",
                )
            })?;
            set.add(glob);
        }
        let built = |set: GlobSetBuilder| {
            set.build().map_err(|error| {
                let message = format!("the globs cannot be read: {error}");
                problem("tools", &message, "write fewer or shorter ones")
            })
        };
        Ok(Self {
            these: if some { Some(built(these)?) } else { None },
            but: built(but)?,
        })
    }

    /// Whether a tool is one of them.
    pub(super) fn has(&self, tool: &str) -> bool {
        self.these.as_ref().is_none_or(|set| set.is_match(tool)) && !self.but.is_match(tool)
    }
}

#[cfg(test)]
mod tests;
