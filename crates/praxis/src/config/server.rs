//! `[server]` of `praxis.toml`: where the server listens, who may ask it, and what connections may take.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use praxis_api::{Bounds, Cors};
use praxis_core::access::{MAX_LABEL, is_label};
use praxis_core::{Limit, Period, Problem};
use praxis_gateway::KeyReference;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// `max_connections` is between these: below, the listeners themselves would have no place, above, no system has the
/// file descriptors.
const CONNECTIONS: std::ops::RangeInclusive<usize> = 16..=65_536;

/// `[server]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address to listen on; default 127.0.0.1: this machine only.
    #[serde(deserialize_with = "host")]
    pub host: Option<IpAddr>,
    /// Port; default 8787, or the next free one.
    pub port: Option<u16>,
    /// Key that clients must send, as `env:NAME`; who has it may read everything. Default: none, which only a
    /// loopback address may have, unless there are `keys`.
    pub api_key: Option<String>,
    /// Keys of callers who may not read everything: `[[server.keys]]`.
    pub keys: Vec<KeyConfig>,
    /// What callers may use, such as `60 requests/minute for key:*`; each key may have limits of its own beside.
    pub limits: Vec<Limit>,
    /// Whether the server goes without keys although there were some in the store; without it, once a key was made,
    /// keys are needed for good.
    pub open: bool,
    /// Certificate and key of HTTPS: `[server.tls]`.
    pub tls: Option<TlsConfig>,
    /// A Unix socket to listen at, for programs of this user; without `host`, `port` and `tls`, instead of a port.
    pub socket: Option<PathBuf>,
    /// Origins of other sites whose pages may call the API, such as `https://app.example`.
    pub cors_origins: Vec<String>,
    /// The most connections at a time; default 1024.
    pub max_connections: Option<usize>,
    /// The most connections of one address at a time, where it is not this machine's; default 256.
    pub max_connections_per_address: Option<usize>,
    /// How long a connection may wait for its next request; default 75 s.
    pub keep_alive: Option<Period>,
    /// How long a client may take nothing of its answer; default 60 s.
    pub write_timeout: Option<Period>,
    /// How long running answers may go on after the server was asked to stop; default 20 s.
    pub drain: Option<Period>,
}

/// `[[server.keys]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// What traces call who has it.
    pub name: String,
    /// The key, as `env:NAME`.
    pub key: String,
    /// Access labels of which a document with labels must have one.
    #[serde(default)]
    pub labels: Vec<String>,
    /// What it may use, such as `60 requests/minute`.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// `[server.tls]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file of the server's certificate, followed by those that lead to a known authority; relative to the
    /// application's folder.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
}

/// An address to listen on, as people write it.
///
/// # Errors
/// What to write instead.
pub fn address(text: &str) -> Result<IpAddr, String> {
    match text {
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        other => other.parse::<IpAddr>().map_err(|_| {
            format!("`{other}` is no IP address: write 127.0.0.1, or 0.0.0.0 for all")
        }),
    }
}

fn host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    address(&text).map(Some).map_err(D::Error::custom)
}

impl ServerConfig {
    /// What connections may take, with what is usual where nothing is said.
    pub fn bounds(&self) -> Bounds {
        let usual = Bounds::default();
        let or = |period: Option<Period>, usual| period.map_or(usual, |period| period.0);
        Bounds {
            connections: self.max_connections.unwrap_or(usual.connections),
            per_address: self
                .max_connections_per_address
                .unwrap_or(usual.per_address),
            headers: usual.headers,
            keep_alive: or(self.keep_alive, usual.keep_alive),
            write: or(self.write_timeout, usual.write),
            drain: or(self.drain, usual.drain),
        }
    }

    /// What is wrong with it.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.problems_of_keys();
        let mut report = |path: &str, message: String, help: &str| {
            problems.push(Problem {
                path: path.to_owned(),
                message,
                help: Some(help.to_owned()),
            });
        };
        for origin in &self.cors_origins {
            if let Err(wrong) = Cors::new(&[origin]) {
                report("server.cors_origins", wrong.to_string(), &wrong.help);
            }
        }
        if let Some(most) = self.max_connections.filter(|n| !CONNECTIONS.contains(n)) {
            report(
                "server.max_connections",
                format!("{most} connections at a time are too few or too many"),
                "choose a number from 16 to 65536, or leave it out for the usual 1024",
            );
        }
        if self.max_connections_per_address == Some(0) {
            report(
                "server.max_connections_per_address",
                "`max_connections_per_address` is 0, which lets nobody in".to_owned(),
                "choose a number, or leave it out for the usual 256",
            );
        }
        problems
    }

    fn problems_of_keys(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut report = |path: &str, message: String, help: &str| {
            problems.push(Problem {
                path: path.to_owned(),
                message,
                help: Some(help.to_owned()),
            });
        };
        let reference = self.api_key.as_ref().map(KeyReference::new);
        // A key that was written into the file must not be printed.
        if reference.is_some_and(|reference| reference.variable().is_none()) {
            report(
                "server.api_key",
                "`api_key` must name an environment variable".to_owned(),
                "write `api_key = \"env:PRAXIS_API_KEY\"`: keys do not belong into files",
            );
        }
        if self.open && (self.api_key.is_some() || !self.keys.is_empty()) {
            report(
                "server.open",
                "`open = true` says that there are no keys, and `api_key` or `keys` names one"
                    .to_owned(),
                "leave out `open`, or the keys",
            );
        }
        if self.open && !self.limits.is_empty() {
            report(
                "server.limits",
                "`limits` hold for keys, and `open = true` says that there are none".to_owned(),
                "leave out `open`, or the limits",
            );
        }
        for (at, key) in self.keys.iter().enumerate() {
            if key.name.trim().is_empty() || key.name.chars().count() > MAX_LABEL {
                report(
                    "server",
                    format!("key {} of `server.keys` has no name", at + 1),
                    "name it after who has it: name = \"hr\"",
                );
            }
            if self.keys[..at].iter().any(|other| other.name == key.name) {
                report(
                    "server",
                    format!("two of `server.keys` are called `{}`", key.name),
                    "give each a name of its own: callers see the traces of their name",
                );
            }
            if KeyReference::new(&key.key).variable().is_none() {
                report(
                    &format!("server.keys.{at}.key"),
                    format!("the key `{}` must name an environment variable", key.name),
                    "write `key = \"env:HR_KEY\"`: keys do not belong into files",
                );
            }
            for label in key.labels.iter().filter(|label| !is_label(label)) {
                report(
                    "server",
                    format!("`{label}` of the key `{}` is no label", key.name),
                    "labels have up to 64 letters, digits and `-_.:/`",
                );
            }
        }
        problems
    }
}
