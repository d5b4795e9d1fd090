//! Where a repository is: what may be written as its URL. Left out: asking it.

use std::path::{Component, Path, PathBuf};

/// A repository's address, fit to be an argument of `git`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    url: String,
    protocol: &'static str,
}

impl Remote {
    /// The address as `git` gets it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The one protocol that it may be fetched by, as `GIT_ALLOW_PROTOCOL` has it.
    pub fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// The same, a folder being relative to `dir`.
    pub fn at(self, dir: &Path) -> Self {
        if self.protocol != "file" {
            return self;
        }
        let path = dir.join(&self.url);
        Self {
            url: plain(&std::path::absolute(&path).unwrap_or(path))
                .to_string_lossy()
                .into_owned(),
            protocol: self.protocol,
        }
    }
}

/// A path without `..`: the folder before one need not be there.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Reads an address: `https://`, `ssh://`, `user@host:path`, or a folder.
///
/// # Errors
/// What is wrong and the fix. The address is not repeated: it may hold a password.
pub(crate) fn parse(text: &str) -> Result<Remote, (&'static str, &'static str)> {
    let remote = |protocol| {
        Ok(Remote {
            url: text.to_owned(),
            protocol,
        })
    };
    if text.is_empty() {
        return Err((
            "there is no `url`",
            "name the repository: https://example.com/team/handbook.git",
        ));
    }
    if text.starts_with(['-', ':']) || text.contains(char::is_control) {
        return Err((
            "`url` is no address of a repository",
            "name it as `git clone` takes it",
        ));
    }
    let word = |t: &str| {
        t.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_+.".contains(c))
    };
    if text
        .split_once("::")
        .is_some_and(|(helper, _)| word(helper))
    {
        return Err((
            "`url` names a remote helper, which could run any program",
            "use https://, ssh:// or a folder",
        ));
    }
    if let Some((scheme, _)) = text.split_once("://") {
        let url = url::Url::parse(text).map_err(|_| {
            (
                "`url` is no URL",
                "write it whole: https://example.com/team/handbook.git",
            )
        })?;
        if url.password().is_some() {
            return Err((
                "the URL holds a password",
                "remove it and write `token = \"env:NAME\"`: secrets do not belong into files",
            ));
        }
        // `ssh` would take such a host or user for an option.
        if url
            .host_str()
            .is_none_or(|h| h.is_empty() || h.starts_with('-'))
            || url.username().starts_with('-')
        {
            return Err((
                "`url` names no host",
                "write it whole: https://example.com/team/handbook.git",
            ));
        }
        return match scheme {
            "https" if !url.username().is_empty() => Err((
                "the URL holds a user or a token",
                "remove it and write `token = \"env:NAME\"`: secrets do not belong into files",
            )),
            "https" => remote("https"),
            "ssh" => remote("ssh"),
            _ => Err((
                "repositories are read over https:// and ssh:// only",
                "change the URL, or name a folder",
            )),
        };
    }
    // `user@host:path`, but not `C:\` or a path with a colon behind a slash.
    let before = text.split('/').next().unwrap_or_default();
    if let Some((host, path)) = before.split_once(':')
        && host.len() > 1
    {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        if !host.chars().all(plain) || host.contains("@-") || path.starts_with('-') {
            return Err((
                "`url` is no address of a repository",
                "name it as `git clone` takes it",
            ));
        }
        return remote("ssh");
    }
    remote("file")
}

/// Whether a text may be given to `git fetch` as a branch, tag or commit.
pub(crate) fn is_reference(text: &str) -> bool {
    let plain = |c: char| {
        c.is_ascii_alphanumeric() || "-_./+@#".contains(c) || !c.is_ascii() && !c.is_control()
    };
    !text.is_empty()
        && text.len() <= 200
        && !text.starts_with(['-', '/', '.', '+'])
        && !text.contains("..")
        && !text.contains("@{")
        && text.chars().all(plain)
}
