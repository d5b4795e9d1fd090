//! `[source]` and `[[sources]]` of a knowledge base: what each kind of source may be told. What is wrong with it is found
//! in `check`.

mod check;

use praxis_core::{KeyReference, Period};
use serde::Deserialize;

pub use check::problems;

/// The most pages, objects, rows or records of one source.
pub(crate) const MAX_DOCUMENTS: usize = 1_000_000;

/// The largest file where nothing else is said.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// One of `[[sources]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SourceConfig {
    /// Files and folders of this machine.
    Folder(FolderConfig),
    /// Pages of a web site.
    Web(WebConfig),
    /// Files of a Git repository.
    Git(GitConfig),
    /// Objects of a bucket that speaks the S3 API.
    S3(S3Config),
    /// Rows of a database.
    Sql(SqlConfig),
    /// Files with a document on each line.
    Jsonl(JsonlConfig),
}

/// `[source]`, or `type = "folder"`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FolderConfig {
    /// What it is called in reports.
    pub name: Option<String>,
    /// Folders, files and globs, relative to the file's folder; `..` is allowed.
    pub paths: Vec<String>,
    /// Globs of paths to leave out.
    pub exclude: Vec<String>,
    /// Larger files are reported and skipped.
    pub max_file_bytes: u64,
    /// How often it is looked at while it is watched, where the system does not tell of changes.
    pub every: Option<Period>,
    /// Whether all of its documents may go at once; otherwise that is taken for a fault, and they stay.
    pub may_empty: bool,
}

impl Default for FolderConfig {
    fn default() -> Self {
        Self {
            name: None,
            paths: vec![".".to_owned()],
            exclude: Vec::new(),
            max_file_bytes: MAX_FILE_BYTES,
            every: None,
            may_empty: false,
        }
    }
}

/// Which links of a page are followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Within {
    /// Those to the host of a start page, below its folder.
    #[default]
    Path,
    /// Those to the host of a start page.
    Host,
}

/// `type = "web"`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebConfig {
    /// What it is called in reports; default: its host.
    pub name: Option<String>,
    /// Pages to start from; their links are followed.
    pub urls: Vec<String>,
    /// A site map, or an index of site maps: its pages are read, their links are not followed.
    pub sitemap: Option<String>,
    /// Which links are followed.
    pub within: Within,
    /// More hosts whose pages may be read.
    pub hosts: Vec<String>,
    /// Globs of the paths, or of the whole URLs, to read alone; their `*` crosses `/`.
    pub include: Vec<String>,
    /// Globs of the paths, or of the whole URLs, to leave out; their `*` crosses `/`.
    pub exclude: Vec<String>,
    /// The most pages that are asked for in one pass.
    pub max_pages: usize,
    /// How many links away from a start page.
    pub max_depth: usize,
    /// Larger pages are reported and skipped.
    pub max_file_bytes: u64,
    /// Requests at a time.
    pub parallel: usize,
    /// The least time between the beginnings of two requests; `Crawl-delay` of a robots.txt may lengthen it.
    pub delay: Option<Period>,
    /// The longest that one request may take.
    pub timeout: Period,
    /// The longest that one pass may take.
    pub max_time: Period,
    /// Whether addresses of private networks and of this machine may be asked.
    pub allow_private: bool,
    /// How often it is looked at while it is watched.
    pub every: Option<Period>,
    /// Whether all of its documents may go at once; otherwise that is taken for a fault, and they stay.
    pub may_empty: bool,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            name: None,
            urls: Vec::new(),
            sitemap: None,
            within: Within::Path,
            hosts: Vec::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            max_pages: 1000,
            max_depth: 5,
            max_file_bytes: MAX_FILE_BYTES,
            parallel: 4,
            delay: None,
            timeout: Period(std::time::Duration::from_secs(30)),
            max_time: Period(std::time::Duration::from_secs(2 * 3600)),
            allow_private: false,
            every: None,
            may_empty: false,
        }
    }
}

/// `type = "git"`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GitConfig {
    /// What it is called in reports and before its paths; default: the last part of its URL.
    pub name: Option<String>,
    /// Where it is: `https://`, `ssh://`, `user@host:path`, or a folder relative to the file's folder.
    pub url: String,
    /// A branch, a tag or a commit; default: the one that the repository shows first.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Globs of paths to read; default: all that may be documents.
    pub paths: Vec<String>,
    /// Globs of paths to leave out.
    pub exclude: Vec<String>,
    /// Larger files are reported and skipped.
    pub max_file_bytes: u64,
    /// A token for `https://`, as `env:NAME`.
    pub token: Option<KeyReference>,
    /// The user that belongs to the token.
    pub user: String,
    /// The longest that one fetch may take.
    pub timeout: Period,
    /// How often it is looked at while it is watched.
    pub every: Option<Period>,
    /// Whether all of its documents may go at once; otherwise that is taken for a fault, and they stay.
    pub may_empty: bool,
}

impl Default for GitConfig {
    fn default() -> Self {
        Self {
            name: None,
            url: String::new(),
            reference: None,
            paths: Vec::new(),
            exclude: Vec::new(),
            max_file_bytes: MAX_FILE_BYTES,
            token: None,
            user: "x-access-token".to_owned(),
            timeout: Period(std::time::Duration::from_secs(600)),
            every: None,
            may_empty: false,
        }
    }
}

/// `type = "s3"`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Config {
    /// What it is called in reports; default: the bucket.
    pub name: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// What the names of its objects begin with.
    pub prefix: String,
    /// The server, where it is not Amazon's: `https://minio.example.com`.
    pub endpoint: Option<String>,
    /// The region.
    pub region: String,
    /// The access key, as `env:NAME`.
    pub access_key: Option<KeyReference>,
    /// The secret key, as `env:NAME`; without both keys, the bucket is read as anybody may.
    pub secret_key: Option<KeyReference>,
    /// Globs of names to read; default: all that may be documents.
    pub paths: Vec<String>,
    /// Globs of names to leave out.
    pub exclude: Vec<String>,
    /// The most objects.
    pub max_objects: usize,
    /// Larger objects are reported and skipped.
    pub max_file_bytes: u64,
    /// The longest that one request may take.
    pub timeout: Period,
    /// How often it is looked at while it is watched.
    pub every: Option<Period>,
    /// Whether all of its documents may go at once; otherwise that is taken for a fault, and they stay.
    pub may_empty: bool,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            name: None,
            bucket: String::new(),
            prefix: String::new(),
            endpoint: None,
            region: "us-east-1".to_owned(),
            access_key: None,
            secret_key: None,
            paths: Vec::new(),
            exclude: Vec::new(),
            max_objects: 100_000,
            max_file_bytes: MAX_FILE_BYTES,
            timeout: Period(std::time::Duration::from_secs(60)),
            every: None,
            may_empty: false,
        }
    }
}

/// `type = "sql"`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqlConfig {
    /// What it is called in reports and before its rows' ids.
    pub name: Option<String>,
    /// `env:NAME` of a URL (`postgres://`, `mysql://`, `sqlite://`), or the path of a SQLite file.
    pub database: Option<KeyReference>,
    /// A query that gives one row a document.
    pub query: String,
    /// The column that names a row.
    pub id: String,
    /// The column with the text; default: all columns.
    pub text: Option<String>,
    /// Markdown with `{{column}}`, instead of `text`.
    pub template: Option<String>,
    /// The column with the title.
    pub title: Option<String>,
    /// The column with the time of the last change: a date, or seconds since 1970.
    pub modified: Option<String>,
    /// The most rows.
    pub max_rows: usize,
    /// Larger rows are reported and skipped.
    pub max_file_bytes: u64,
    /// The most bytes of all rows together.
    pub max_bytes: u64,
    /// The longest that the query may take.
    pub timeout: Period,
    /// How often it is looked at while it is watched.
    pub every: Option<Period>,
    /// Whether all of its documents may go at once; otherwise that is taken for a fault, and they stay.
    pub may_empty: bool,
}

impl Default for SqlConfig {
    fn default() -> Self {
        Self {
            name: None,
            database: None,
            query: String::new(),
            id: "id".to_owned(),
            text: None,
            template: None,
            title: None,
            modified: None,
            max_rows: 100_000,
            max_file_bytes: 1 << 20,
            max_bytes: 1 << 30,
            timeout: Period(std::time::Duration::from_secs(300)),
            every: None,
            may_empty: false,
        }
    }
}

/// `type = "jsonl"`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JsonlConfig {
    /// What it is called in reports.
    pub name: Option<String>,
    /// Files and globs, relative to the file's folder.
    pub paths: Vec<String>,
    /// Globs of paths to leave out.
    pub exclude: Vec<String>,
    /// The field that names a record; default: its line.
    pub id: Option<String>,
    /// The field with the text; default: all fields.
    pub text: Option<String>,
    /// Markdown with `{{field}}`, instead of `text`.
    pub template: Option<String>,
    /// The field with the title.
    pub title: Option<String>,
    /// The field with the time of the last change: a date, or seconds since 1970.
    pub modified: Option<String>,
    /// The most records.
    pub max_rows: usize,
    /// Larger records are reported and skipped.
    pub max_file_bytes: u64,
    /// The most bytes of all records together.
    pub max_bytes: u64,
    /// How often it is looked at while it is watched, where the system does not tell of changes.
    pub every: Option<Period>,
    /// Whether all of its documents may go at once; otherwise that is taken for a fault, and they stay.
    pub may_empty: bool,
}

impl Default for JsonlConfig {
    fn default() -> Self {
        Self {
            name: None,
            paths: Vec::new(),
            exclude: Vec::new(),
            id: None,
            text: None,
            template: None,
            title: None,
            modified: None,
            max_rows: MAX_DOCUMENTS,
            max_file_bytes: 1 << 20,
            max_bytes: 4 << 30,
            every: None,
            may_empty: false,
        }
    }
}

impl SourceConfig {
    /// What it is called: as given, or after what it reads.
    pub fn name(&self) -> String {
        let (given, derived) = match self {
            Self::Folder(c) => (&c.name, "folder".to_owned()),
            Self::Web(c) => {
                let first = c.urls.first().or(c.sitemap.as_ref());
                let host =
                    first.and_then(|u| url::Url::parse(u).ok()?.host_str().map(str::to_owned));
                (&c.name, host.unwrap_or_default())
            }
            Self::Git(c) => {
                let last = c
                    .url
                    .trim_end_matches('/')
                    .rsplit(['/', ':'])
                    .next()
                    .unwrap_or_default();
                (
                    &c.name,
                    last.strip_suffix(".git").unwrap_or(last).to_owned(),
                )
            }
            Self::S3(c) => (&c.name, c.bucket.clone()),
            Self::Sql(c) => (&c.name, "sql".to_owned()),
            Self::Jsonl(c) => (&c.name, "jsonl".to_owned()),
        };
        given.clone().unwrap_or_else(|| {
            let plain = |c: char| {
                if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                    c
                } else {
                    '-'
                }
            };
            let name: String = derived
                .trim_start_matches('.')
                .chars()
                .take(64)
                .map(plain)
                .collect();
            if name.is_empty() {
                "source".to_owned()
            } else {
                name
            }
        })
    }

    /// The most bytes of one of its documents.
    pub fn max_file_bytes(&self) -> u64 {
        match self {
            Self::Folder(c) => c.max_file_bytes,
            Self::Web(c) => c.max_file_bytes,
            Self::Git(c) => c.max_file_bytes,
            Self::S3(c) => c.max_file_bytes,
            Self::Sql(c) => c.max_file_bytes,
            Self::Jsonl(c) => c.max_file_bytes,
        }
    }

    /// How often it is to be looked at while it is watched.
    pub fn every(&self) -> Option<std::time::Duration> {
        match self {
            Self::Folder(c) => c.every,
            Self::Web(c) => c.every,
            Self::Git(c) => c.every,
            Self::S3(c) => c.every,
            Self::Sql(c) => c.every,
            Self::Jsonl(c) => c.every,
        }
        .map(|p| p.0)
    }

    /// Whether all of its documents may go at once.
    pub fn may_empty(&self) -> bool {
        match self {
            Self::Folder(c) => c.may_empty,
            Self::Web(c) => c.may_empty,
            Self::Git(c) => c.may_empty,
            Self::S3(c) => c.may_empty,
            Self::Sql(c) => c.may_empty,
            Self::Jsonl(c) => c.may_empty,
        }
    }

    /// Its paths on this machine, where the system can tell of changes.
    pub fn local_paths(&self) -> &[String] {
        match self {
            Self::Folder(c) => &c.paths,
            Self::Jsonl(c) => &c.paths,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests;
