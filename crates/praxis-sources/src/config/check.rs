//! What is wrong with the settings of sources beyond their shape: key, message and fix. Left out: what only shows when
//! a source is asked.

use praxis_core::Problem;

use super::{GitConfig, MAX_DOCUMENTS, S3Config, SourceConfig, SqlConfig, WebConfig};
use crate::glob::path_glob;

/// What is wrong with a base's sources: `path` is the key of the first, such as `sources.0`, `key` that of each.
pub fn problems<'a>(sources: impl IntoIterator<Item = (String, &'a SourceConfig)>) -> Vec<Problem> {
    let mut found = Found::default();
    let mut names = Vec::new();
    for (path, source) in sources {
        let name = source.name();
        found.path = path;
        found.name(&name);
        if names.contains(&name) {
            found.add(
                "name",
                format!("two sources are called `{name}`"),
                "give one of them a `name` of its own",
            );
        }
        names.push(name);
        match source {
            SourceConfig::Folder(c) => {
                found.paths(&c.paths, "name at least one folder or glob");
                found.globs("exclude", &c.exclude);
            }
            SourceConfig::Web(c) => found.web(c),
            SourceConfig::Git(c) => found.git(c),
            SourceConfig::S3(c) => found.s3(c),
            SourceConfig::Sql(c) => found.sql(c),
            SourceConfig::Jsonl(c) => {
                found.paths(
                    &c.paths,
                    "name at least one file or glob, such as \"tickets/*.jsonl\"",
                );
                found.globs("exclude", &c.exclude);
                found.one_text(c.text.as_ref(), c.template.as_ref());
                found.range("max_rows", c.max_rows, 1, MAX_DOCUMENTS);
            }
        }
    }
    found.problems
}

#[derive(Default)]
struct Found {
    path: String,
    problems: Vec<Problem>,
}

impl Found {
    fn add(&mut self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem {
            path: format!("{}.{key}", self.path),
            message: message.into(),
            help: Some(help.into()),
        });
    }

    fn name(&mut self, name: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
            self.add(
                "name",
                format!("`{name}` is no name of a source"),
                "use up to 64 letters, digits, `-`, `_` and `.`, without a dot at the beginning",
            );
        }
    }

    fn paths(&mut self, paths: &[String], help: &str) {
        if paths.is_empty() {
            self.add("paths", "`paths` is empty", help);
        }
        self.globs("paths", paths);
    }

    fn globs(&mut self, key: &str, globs: &[String]) {
        for glob in globs {
            if let Err(error) = path_glob(glob) {
                self.add(
                    key,
                    format!("`{glob}` is not a glob: {error}"),
                    "a glob may hold `*`, `**`, `?`, `[a-z]` and `{a,b}`",
                );
            }
        }
    }

    fn range(&mut self, key: &str, value: usize, least: usize, most: usize) {
        if !(least..=most).contains(&value) {
            self.add(
                key,
                format!("`{key}` is {value}"),
                format!("choose a number between {least} and {most}"),
            );
        }
    }

    fn one_text(&mut self, text: Option<&String>, template: Option<&String>) {
        if text.is_some() && template.is_some() {
            self.add(
                "template",
                "`text` and `template` exclude each other",
                "remove one of them",
            );
        }
        if let Some(Err(problem)) = template.map(|t| crate::records::Template::parse(t)) {
            self.add("template", problem, "write columns as `{{column}}`");
        }
    }

    fn url(&mut self, key: &str, text: &str) {
        if text
            .split(['?', '#'])
            .next()
            .is_some_and(|t| t.contains('@'))
        {
            return self.add(
                key,
                "the URL holds a user or a password",
                "remove it: secrets do not belong into files",
            );
        }
        match url::Url::parse(text) {
            Err(error) => self.add(
                key,
                format!("`{text}` is no URL: {error}"),
                "write it whole: https://example.com/docs/",
            ),
            Ok(url) if !matches!(url.scheme(), "http" | "https") => self.add(
                key,
                format!("`{text}` is neither http nor https"),
                "other kinds of sources have a `type` of their own",
            ),
            Ok(_) => {}
        }
    }

    fn web(&mut self, c: &WebConfig) {
        if c.urls.is_empty() && c.sitemap.is_none() {
            self.add(
                "urls",
                "there is nothing to start from",
                "name pages as `urls`, or a `sitemap`",
            );
        }
        for url in &c.urls {
            self.url("urls", url);
        }
        if let Some(url) = &c.sitemap {
            self.url("sitemap", url);
        }
        self.globs("include", &c.include);
        self.globs("exclude", &c.exclude);
        self.range("max_pages", c.max_pages, 1, 100_000);
        self.range("max_depth", c.max_depth, 0, 100);
        self.range("parallel", c.parallel, 1, 16);
    }

    fn git(&mut self, c: &GitConfig) {
        if let Err((message, help)) = crate::git::remote::parse(&c.url) {
            self.add("url", message, help);
        }
        if c.reference
            .as_deref()
            .is_some_and(|r| !crate::git::remote::is_reference(r))
        {
            self.add(
                "ref",
                "`ref` is no branch, tag or commit",
                "write it as in `git fetch`: main, v1.2, or a commit's id",
            );
        }
        if c.token.as_ref().is_some_and(|t| t.variable().is_none()) {
            self.add(
                "token",
                "`token` must name an environment variable",
                "write `token = \"env:NAME\"`: secrets do not belong into files",
            );
        }
        if c.token.is_some() && !c.url.starts_with("https://") {
            self.add(
                "token",
                "a `token` is sent over https:// only",
                "change the URL, or remove the token",
            );
        }
        self.globs("paths", &c.paths);
        self.globs("exclude", &c.exclude);
    }

    fn s3(&mut self, c: &S3Config) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if c.bucket.is_empty() || !c.bucket.chars().all(plain) {
            self.add(
                "bucket",
                format!("`{}` is no name of a bucket", c.bucket),
                "write the name alone; folders go into `prefix`",
            );
        }
        if let Some(url) = &c.endpoint {
            self.url("endpoint", url);
        }
        for (key, reference) in [("access_key", &c.access_key), ("secret_key", &c.secret_key)] {
            if reference.as_ref().is_some_and(|r| r.variable().is_none()) {
                self.add(
                    key,
                    format!("`{key}` must name an environment variable"),
                    format!("write `{key} = \"env:NAME\"`: secrets do not belong into files"),
                );
            }
        }
        if c.access_key.is_some() != c.secret_key.is_some() {
            self.add(
                "secret_key",
                "`access_key` and `secret_key` belong together",
                "name both, or neither for a public bucket",
            );
        }
        self.globs("paths", &c.paths);
        self.globs("exclude", &c.exclude);
        self.range("max_objects", c.max_objects, 1, MAX_DOCUMENTS);
    }

    fn sql(&mut self, c: &SqlConfig) {
        match &c.database {
            None => self.add(
                "database",
                "there is no `database`",
                "name a SQLite file, or `env:NAME` of a URL",
            ),
            Some(reference) => {
                if let Err((message, help)) = crate::records::sql::Target::check(reference) {
                    self.add("database", message, help);
                }
            }
        }
        if c.query.trim().is_empty() {
            self.add(
                "query",
                "there is no `query`",
                "write a SELECT that gives one row a document",
            );
        }
        if c.id.is_empty() {
            self.add("id", "`id` is empty", "name the column that names a row");
        }
        self.one_text(c.text.as_ref(), c.template.as_ref());
        self.range("max_rows", c.max_rows, 1, MAX_DOCUMENTS);
    }
}
