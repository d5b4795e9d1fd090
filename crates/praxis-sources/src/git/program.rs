//! The `git` program: how it is started, what it may do, and how long. Left out: what it is asked.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use praxis_core::Secret;
use tokio::process::Command;

use super::remote::Remote;
use crate::SourceError;
use crate::config::GitConfig;

/// Characters of what `git` complains that are shown.
const SHOWN: usize = 400;

/// Settings of every call: what could run other programs, or go on after it, is off.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("gc.autoDetach", "false"),
    ("maintenance.autoDetach", "false"),
    ("http.lowSpeedLimit", "100"),
    ("http.lowSpeedTime", "60"),
    ("protocol.version", "2"),
];

/// Settings of calls with a token: no server sends it on to another one.
const WITH_TOKEN: &[(&str, &str)] = &[("http.followRedirects", "false")];

/// Variables of a `git` that may have started this process, as in a hook.
const FOREIGN: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_PROXY_COMMAND",
    "GIT_EXTERNAL_DIFF",
];

/// `git` in a repository of ours.
pub(crate) struct Program {
    dir: PathBuf,
    protocol: &'static str,
    /// The header that proves who asks.
    authorization: Option<Secret>,
    timeout: Duration,
}

impl Program {
    pub fn new(dir: PathBuf, remote: &Remote, token: Option<&Secret>, config: &GitConfig) -> Self {
        let header = token.map(|token| {
            let pair = format!("{}:{}", config.user, token.expose());
            let coded = base64::engine::general_purpose::STANDARD.encode(pair);
            Secret::new(format!("Authorization: Basic {coded}"))
        });
        Self {
            dir,
            protocol: remote.protocol(),
            authorization: header,
            timeout: config.timeout.0,
        }
    }

    /// The program with its arguments. It asks nobody, and what it is not told here stays its user's choice.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .arg("--git-dir")
            .arg(&self.dir)
            .args(["--no-pager", "--no-optional-locks"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("SSH_ASKPASS_REQUIRE", "never")
            .env("GIT_ALLOW_PROTOCOL", self.protocol)
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("LC_ALL", "C");
        if std::env::var_os("GIT_SSH_COMMAND").is_none() {
            command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=30");
        }
        // Settings go through the environment: arguments can be read by everybody on the machine.
        let mut settings = SETTINGS.to_vec();
        if let Some(header) = &self.authorization {
            settings.extend_from_slice(WITH_TOKEN);
            settings.push(("http.extraHeader", header.expose()));
        }
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (i, (key, value)) in settings.into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{i}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{i}"), value);
        }
        command
    }

    /// What it prints.
    ///
    /// # Errors
    /// That it is not there, complains, or takes too long.
    pub async fn run(&self, args: &[&str]) -> Result<Vec<u8>, SourceError> {
        let what = args.first().copied().unwrap_or_default();
        let child = self.command(args).spawn().map_err(missing)?;
        let output = tokio::time::timeout(self.timeout, child.wait_with_output())
            .await
            .map_err(|_| {
                SourceError::Unavailable(format!(
                    "`git {what}` took longer than {:?}",
                    self.timeout
                ))
            })?
            .map_err(SourceError::unavailable)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(complaint(what, &String::from_utf8_lossy(&output.stderr)))
    }
}

/// `git` does not start.
pub(super) fn missing(error: std::io::Error) -> SourceError {
    if error.kind() == std::io::ErrorKind::NotFound {
        return SourceError::settings(
            "the program `git` is not installed",
            "install git, for example `apt install git`",
        );
    }
    SourceError::unavailable(format!("`git` does not start: {error}"))
}

fn complaint(what: &str, stderr: &str) -> SourceError {
    let lines: Vec<&str> = stderr
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let text: String = lines.join("; ").chars().take(SHOWN).collect();
    let message = format!("`git {what}` failed: {text}");
    let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    if has(&["couldn't find remote ref"]) {
        return SourceError::settings(
            message,
            "set `ref` to a branch, tag or commit that the repository has",
        );
    }
    if has(&[
        "could not read Username",
        "Authentication failed",
        "Permission denied",
        "error: 403",
        "error: 401",
    ]) {
        return SourceError::settings(
            message,
            "set `token = \"env:NAME\"` for https://, or give this machine an SSH key",
        );
    }
    if has(&[
        "does not appear to be a git repository",
        "repository not found",
        "' not found",
    ]) {
        return SourceError::settings(
            message,
            "check `url`, and that this machine may read the repository",
        );
    }
    if has(&[
        "error: 301",
        "error: 302",
        "error: 303",
        "error: 307",
        "error: 308",
    ]) {
        return SourceError::settings(
            message,
            "set `url` to where the server redirects to: a token is sent to no other address",
        );
    }
    if has(&["dubious ownership"]) {
        return SourceError::settings(
            message,
            "the folder belongs to another user: git config --global --add safe.directory PATH",
        );
    }
    SourceError::Unavailable(message)
}
