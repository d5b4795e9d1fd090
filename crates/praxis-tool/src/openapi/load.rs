//! Where documents come from: files, URLs, and `ai-plugin.json`, which leads to one.
//!
//! What a URL gave last and could be read is kept below the state folder with its `ETag`, so that a service that is
//! down takes no function away. Credentials are never sent for a document. Left out: what documents say.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, Problem};
use reqwest::header::{
    ACCEPT, ETAG, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Method, Request, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{Config, is_url, problem};
use super::document::{Document, LARGEST, tree};
use super::host;
use crate::disk;
use crate::egress::{Egress, EgressConfig, Limits};
use crate::text::plain;

/// The longest wait for a document; a manifest and its document take twice as long.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
const MOST_REDIRECTS: usize = 5;

/// The folder of copies below the state folder.
const FOLDER: &str = "openapi";

/// What is liked as a document.
const LIKED: &str = "application/json, application/yaml, text/yaml;q=0.9, */*;q=0.5";

/// A document that was found.
pub(super) struct Loaded {
    pub document: Document,
    /// Where it is, if it is at a URL.
    pub base: Option<Url>,
    /// What the manifest that led to it says of credentials.
    pub manifest: Option<Manifest>,
    pub warnings: Vec<Problem>,
}

/// Why there is no document.
#[derive(Debug)]
pub(super) enum Missing {
    /// Mend the file.
    Mistake(Problem),
    /// Nobody gives it just now, and there is no copy.
    Away(Problem),
}

/// An `ai-plugin.json` (OpenAI, "Plugin manifest"), as far as it is of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Where the document is.
    url: String,
    /// The kind of `[auth]` that the service wants; none where it wants none.
    pub wants: Option<&'static str>,
}

/// A file or a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Url(Url),
}

/// What is in it.
enum Paper {
    Document(Document),
    Manifest(Manifest),
}

/// Loads the document of a file.
///
/// # Errors
/// [`Missing`]: what the file has wrong, or that a service is away.
pub(super) async fn load(config: &Config, root: &Path, state: &Path) -> Result<Loaded, Missing> {
    let mut warnings = Vec::new();
    let source = Source::of(&config.document, root).map_err(Missing::Mistake)?;
    let ask = |source: Source| open(source, state.to_owned(), config.allow_private);
    let paper = ask(source.clone()).await?.told(&mut warnings);
    let (document, source, manifest) = match paper {
        Paper::Document(document) => (document, source, None),
        Paper::Manifest(manifest) => {
            let next = source.beside(&manifest.url).map_err(Missing::Mistake)?;
            match ask(next.clone()).await?.told(&mut warnings) {
                Paper::Document(document) => (document, next, Some(manifest)),
                Paper::Manifest(_) => return Err(Missing::Mistake(round())),
            }
        }
    };
    Ok(Loaded {
        document,
        base: source.url(),
        manifest,
        warnings,
    })
}

/// The document of a file as far as it is here: a file, or the copy of what a URL gave.
///
/// # Errors
/// What is wrong with a file. What a URL gave may be mended there by now.
pub(super) fn load_here(
    config: &Config,
    root: &Path,
    state: &Path,
) -> Result<Option<Document>, Problem> {
    let here = |source: &Source| match source {
        Source::File(path) => paper_of(path).map(Some).map_err(|why| unread(&why)),
        Source::Url(url) => {
            let copy = Kept::read(&Kept::path(state, url));
            Ok(copy.and_then(|copy| paper(&copy.bytes).ok()))
        }
    };
    let source = Source::of(&config.document, root)?;
    let manifest = match here(&source)? {
        Some(Paper::Manifest(manifest)) => manifest,
        Some(Paper::Document(document)) => return Ok(Some(document)),
        None => return Ok(None),
    };
    let next = source.beside(&manifest.url)?;
    match (here(&next)?, next) {
        (Some(Paper::Document(document)), _) => Ok(Some(document)),
        (Some(Paper::Manifest(_)), Source::File(_)) => Err(round()),
        (Some(Paper::Manifest(_)) | None, _) => Ok(None),
    }
}

/// That a file gives no document.
fn unread(why: &str) -> Problem {
    let help = "`document` is a file below the application's folder, or a URL";
    problem("document", why, help)
}

fn round() -> Problem {
    let help = "its `api.url` must lead to an OpenAPI document";
    problem("document", "the manifest leads to a manifest", help)
}

impl Source {
    fn of(text: &str, root: &Path) -> Result<Self, Problem> {
        if !is_url(text) {
            return Ok(Self::File(root.join(text)));
        }
        let url = Url::parse(text).map_err(|_| {
            problem(
                "document",
                &format!("`{text}` is no URL"),
                "write it in full: `https://...`",
            )
        })?;
        Ok(Self::Url(url))
    }

    /// What a manifest leads to: beside itself, where it names no host.
    fn beside(&self, written: &str) -> Result<Self, Problem> {
        let wrong = || {
            let message = format!(
                "the manifest's `api.url` is `{}`, which leads nowhere",
                plain(written, 120)
            );
            problem("document", &message, "name the document itself")
        };
        match self {
            // A manifest from a URL leads to no file of this machine.
            Self::Url(base) => match base.join(written) {
                Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Self::Url(url)),
                _ => Err(wrong()),
            },
            Self::File(_) if is_url(written) => {
                Url::parse(written).map(Self::Url).map_err(|_| wrong())
            }
            Self::File(path) => {
                let folder = path.parent().unwrap_or(Path::new(""));
                Ok(Self::File(folder.join(written)))
            }
        }
    }

    fn url(self) -> Option<Url> {
        match self {
            Self::File(_) => None,
            Self::Url(url) => Some(url),
        }
    }
}

/// A paper, and what its owner has to know.
struct Opened {
    paper: Paper,
    warning: Option<Problem>,
}

impl Opened {
    fn told(self, warnings: &mut Vec<Problem>) -> Paper {
        warnings.extend(self.warning);
        self.paper
    }
}

async fn open(source: Source, state: PathBuf, allow_private: bool) -> Result<Opened, Missing> {
    let url = match source {
        Source::Url(url) => url,
        Source::File(path) => {
            let read = aside(move || paper_of(&path)).await;
            return Ok(Opened {
                paper: read.map_err(|why| Missing::Mistake(unread(&why)))?,
                warning: None,
            });
        }
    };
    let path = Kept::path(&state, &url);
    let there = path.clone();
    let copy = aside(move || Ok(Kept::read(&there)))
        .await
        .unwrap_or_default();
    let why = match ask(&url, copy.as_ref(), allow_private).await {
        Ok(None) => String::new(),
        Ok(Some(fresh)) => {
            let read = aside(move || {
                let paper = paper(&fresh.bytes)?;
                // A copy that cannot be written is missed another day, not now.
                let written = fresh.write(&path).err();
                Ok((paper, written.map(|error| (path, error))))
            });
            match read.await {
                Ok((paper, written)) => {
                    let warning = written.map(|(path, error)| {
                        let message = format!(
                            "no copy of it could be kept at `{}`: {error}",
                            path.display()
                        );
                        problem(
                            "document",
                            &message,
                            "without one, its functions are gone when it is away",
                        )
                    });
                    return Ok(Opened { paper, warning });
                }
                Err(why) => why,
            }
        }
        Err(why) => why,
    };
    let Some(copy) = copy else {
        let message = format!("`{}` gives no document: {why}", shown(&url));
        let help = "its functions are there when it answers again; or save the document as a file";
        return Err(Missing::Away(problem("document", &message, help)));
    };
    let paper = aside(move || paper(&copy.bytes)).await.map_err(|why| {
        let message = format!("the copy of `{}` cannot be read: {why}", shown(&url));
        Missing::Away(problem(
            "document",
            &message,
            "it is fetched anew when it answers",
        ))
    })?;
    let warning = (!why.is_empty()).then(|| {
        let message = format!("`{}` gives no document: {why}", shown(&url));
        problem(
            "document",
            &message,
            "its functions are made of the copy that it gave before",
        )
    });
    Ok(Opened { paper, warning })
}

/// A URL without its query, which may hold a secret.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    plain(url.as_str(), 200)
}

/// Asks for a document; none where the copy is what is there.
async fn ask(url: &Url, copy: Option<&Kept>, allow_private: bool) -> Result<Option<Kept>, String> {
    let egress = Egress::new(&EgressConfig {
        allow: vec![host(url)],
        allow_private,
    });
    let egress = egress.map_err(|problem| problem.message)?;
    let mut request = Request::new(Method::GET, url.clone());
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static(LIKED));
    let known = copy.map(|copy| &copy.head);
    let validators = [
        (IF_NONE_MATCH, known.and_then(|head| head.etag.as_deref())),
        (
            IF_MODIFIED_SINCE,
            known.and_then(|head| head.modified.as_deref()),
        ),
    ];
    for (name, value) in validators {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    let limits = Limits {
        bytes: LARGEST,
        time: LONGEST_WAIT,
        redirects: MOST_REDIRECTS,
    };
    let cx = CallContext::new(Arc::new(NoTrace));
    let answer = egress
        .send(request, &limits, &cx)
        .await
        .map_err(|error| error.message)?;
    if answer.status == StatusCode::NOT_MODIFIED && copy.is_some() {
        return Ok(None);
    }
    if !answer.status.is_success() {
        return Err(format!("the server answers {}", answer.status));
    }
    if answer.cut {
        return Err(format!("it has more than {LARGEST} bytes"));
    }
    let header = |name: HeaderName| {
        let value = answer.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let head = Head {
        etag: header(ETAG),
        modified: header(LAST_MODIFIED),
    };
    Ok(Some(Kept {
        head,
        bytes: answer.body,
    }))
}

/// What a URL gave.
struct Kept {
    head: Head,
    bytes: Vec<u8>,
}

/// How to ask whether it changed; the first line of a copy.
#[derive(Default, Serialize, Deserialize)]
struct Head {
    etag: Option<String>,
    modified: Option<String>,
}

impl Kept {
    fn path(state: &Path, url: &Url) -> PathBuf {
        let hash = blake3::hash(url.as_str().as_bytes()).to_hex();
        state.join(FOLDER).join(format!("{hash}.copy"))
    }

    fn read(path: &Path) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        let line = bytes.iter().position(|byte| *byte == b'\n')?;
        let head = serde_json::from_slice(&bytes[..line]).ok()?;
        Some(Self {
            head,
            bytes: bytes[line + 1..].to_vec(),
        })
    }

    /// Writes it: whole or not at all, whenever the process ends.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let head = serde_json::to_vec(&self.head)?;
        disk::replace(path, &[&head, b"\n", &self.bytes])
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let said = |error: std::io::Error| error.to_string();
    if std::fs::metadata(path).map_err(said)?.len() > LARGEST {
        return Err(format!("it has more than {LARGEST} bytes"));
    }
    std::fs::read(path).map_err(said)
}

/// What a file is.
fn paper_of(path: &Path) -> Result<Paper, String> {
    let shown = path.display();
    let bytes = read_file(path).map_err(|why| format!("cannot read `{shown}`: {why}"))?;
    paper(&bytes).map_err(|why| format!("`{shown}`: {why}"))
}

/// What bytes are: a document or a manifest.
fn paper(bytes: &[u8]) -> Result<Paper, String> {
    let tree = tree(bytes)?;
    let api = tree
        .get("api")
        .and_then(|api| api.get("url"))
        .and_then(Value::as_str);
    match api {
        Some(url) if tree.get("openapi").is_none() => Ok(Paper::Manifest(Manifest {
            url: url.to_owned(),
            wants: wants(tree.get("auth")),
        })),
        _ => Ok(Paper::Document(Document::new(tree)?)),
    }
}

/// The kind of `[auth]` that a manifest's `auth` means.
fn wants(auth: Option<&Value>) -> Option<&'static str> {
    let text = |field: &str| {
        auth.and_then(|auth| auth.get(field))
            .and_then(Value::as_str)
    };
    match (text("type")?, text("authorization_type")) {
        ("service_http" | "user_http", Some("basic")) => Some("basic"),
        ("service_http" | "user_http", _) => Some("bearer"),
        ("oauth", _) => Some("oauth2"),
        _ => None,
    }
}

/// Work with files and large texts, where it holds up nobody else.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err("it could not be read".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_manifest_leads_to_its_document() {
        let manifest = |auth: Value| {
            let text = json!({
                "schema_version": "v1",
                "name_for_model": "todo",
                "auth": auth,
                "api": { "type": "openapi", "url": "/openapi.yaml" },
            });
            match paper(text.to_string().as_bytes()) {
                Ok(Paper::Manifest(manifest)) => manifest,
                _ => panic!("{text}"),
            }
        };
        for (auth, wants) in [
            (json!({ "type": "none" }), None),
            (
                json!({ "type": "service_http", "authorization_type": "bearer" }),
                Some("bearer"),
            ),
            (
                json!({ "type": "user_http", "authorization_type": "basic" }),
                Some("basic"),
            ),
            (json!({ "type": "oauth" }), Some("oauth2")),
            (json!(null), None),
        ] {
            assert_eq!(manifest(auth.clone()).wants, wants, "{auth}");
        }
        let base = Source::Url(Url::parse("https://a.example/.well-known/ai-plugin.json").unwrap());
        let next = base
            .beside(&manifest(json!(null)).url)
            .unwrap()
            .url()
            .unwrap();
        assert_eq!(next.as_str(), "https://a.example/openapi.yaml");
        assert!(base.beside("file:///etc/passwd").is_err());
        let file = Source::File("app/ai-plugin.json".into());
        assert_eq!(
            file.beside("api.yaml").unwrap(),
            Source::File("app/api.yaml".into())
        );
        let url = file.beside("https://b.example/x").unwrap().url().unwrap();
        assert_eq!(url.as_str(), "https://b.example/x");
    }

    #[test]
    fn copies_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::parse("https://a.example/openapi.json").unwrap();
        let path = Kept::path(folder.path(), &url);
        assert!(Kept::read(&path).is_none());
        let copy = Kept {
            head: Head {
                etag: Some("\"1\"".to_owned()),
                modified: None,
            },
            bytes: b"{\n}\n".to_vec(),
        };
        copy.write(&path).unwrap();
        let read = Kept::read(&path).unwrap();
        assert_eq!((read.head.etag, read.bytes), (copy.head.etag, copy.bytes));
        std::fs::write(&path, b"no head\n{}").unwrap();
        assert!(Kept::read(&path).is_none());
    }
}
