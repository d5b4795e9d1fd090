//! Pages in a folder of the application, under URLs of their own: for closed networks, for examples and for tests. Left
//! out: finding them (`search`) and reading them (`pages`).

use std::path::{Component, Path, PathBuf};

use praxis_core::{CallError, ErrorCode, Problem};
use serde::Deserialize;
use url::Url;

use crate::http::problem;
use crate::http::template::encoded;

/// What URLs of a folder begin with where its file does not say.
const LOCAL: &str = "local:";

/// The largest page of a folder.
const LARGEST: u64 = 4 << 20;

/// Files of a folder that are pages, at most, and how deep folders are looked at.
const MOST: usize = 5000;
const DEEPEST: usize = 16;

/// A folder with pages.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CorpusConfig {
    /// The folder, relative to the application's.
    pub folder: String,
    /// What its URLs begin with: `https://weather.example/`; default: `local:`.
    #[serde(default)]
    pub base: Option<String>,
}

/// The pages of a folder.
#[derive(Debug, Clone)]
pub(crate) struct Corpus {
    /// The folder, without links in its path.
    folder: PathBuf,
    base: String,
}

/// Types of pages by the endings of their files.
fn kind(path: &Path) -> Option<&'static str> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    match ending.as_str() {
        "html" | "htm" => Some("text/html"),
        "md" => Some("text/markdown"),
        "txt" => Some("text/plain"),
        _ => None,
    }
}

impl CorpusConfig {
    /// What is wrong with it; `path` is the key that it stands at, empty for the file itself.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let at = |key: &str| match path {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        let mut all = Vec::new();
        if !is_below(Path::new(&self.folder)) {
            let help = "name a folder of the application: `folder = \"pages\"`";
            let message = format!("`{}` is no folder below the application's", self.folder);
            all.push(problem(&at("folder"), message, help));
        }
        if let Some(base) = &self.base {
            let good = Url::parse(base)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.as_str() == base);
            if !good || !base.ends_with('/') {
                let help = "write a URL that ends in `/`: `base = \"https://weather.example/\"`";
                all.push(problem(
                    &at("base"),
                    format!("`{base}` is no such URL"),
                    help,
                ));
            }
        }
        all
    }
}

/// Whether a path is one below its folder by its words: without `..` and without a root.
fn is_below(path: &Path) -> bool {
    path.components().next().is_some()
        && path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

impl Corpus {
    /// The pages of a folder below `root`.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn open(root: &Path, config: &CorpusConfig) -> Result<Self, Problem> {
        let path = root.join(&config.folder);
        let folder = path.canonicalize().ok().filter(|folder| folder.is_dir());
        let folder = folder.ok_or_else(|| {
            let message = format!("there is no folder `{}`", config.folder);
            problem(
                "folder",
                message,
                "make it, with .html, .md or .txt files in it",
            )
        })?;
        Ok(Self {
            folder,
            base: config.base.clone().unwrap_or_else(|| LOCAL.to_owned()),
        })
    }

    /// The URL of a file of the folder.
    fn url(&self, relative: &Path) -> Option<String> {
        let parts: Option<Vec<&str>> = relative
            .components()
            .map(|part| part.as_os_str().to_str())
            .collect();
        let parts: Vec<String> = parts?.into_iter().map(encoded).collect();
        Some(format!("{}{}", self.base, parts.join("/")))
    }

    /// The file of a URL, if the URL is one of the folder's: relative to it, and not looked at yet.
    fn relative(&self, url: &Url) -> Option<PathBuf> {
        let path = url.as_str().strip_prefix(&self.base)?;
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let mut relative = PathBuf::new();
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            relative.push(decoded(segment));
        }
        Some(relative)
    }

    /// Whether a URL is one of the folder's.
    pub fn has(&self, url: &Url) -> bool {
        self.relative(url).is_some()
    }

    /// The type and the bytes of a page.
    ///
    /// # Errors
    /// `not_found` where there is no such page, and for what is not below the folder.
    pub async fn read(&self, url: &Url) -> Result<(&'static str, Vec<u8>), CallError> {
        let none = || {
            let message = format!("there is no page `{url}`");
            CallError::new(ErrorCode::NotFound, message).with_hint("search for its URL")
        };
        let relative = self.relative(url).ok_or_else(none)?;
        let path = match relative.as_os_str().is_empty() {
            true => self.folder.join("index.html"),
            false if is_below(&relative) => self.folder.join(relative),
            false => return Err(none()),
        };
        // A link may lead out of the folder, whatever the path says.
        let path = tokio::fs::canonicalize(path).await.map_err(|_| none())?;
        let kind = kind(&path).filter(|_| path.starts_with(&self.folder));
        let kind = kind.ok_or_else(none)?;
        let size = tokio::fs::metadata(&path).await.map_err(|_| none())?.len();
        if size > LARGEST {
            let message = format!("`{url}` has more than {LARGEST} bytes");
            return Err(CallError::new(ErrorCode::TooLarge, message));
        }
        let bytes = tokio::fs::read(&path).await.map_err(|_| none())?;
        Ok((kind, bytes))
    }

    /// URLs of all pages of the folder, in order, and whether there are more than are looked at.
    pub fn urls(&self) -> (Vec<Url>, bool) {
        let (mut urls, mut more) = (Vec::new(), false);
        let mut folders = vec![(PathBuf::new(), 0)];
        while let Some((relative, depth)) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(self.folder.join(&relative)) else {
                continue;
            };
            for entry in entries.filter_map(Result::ok) {
                let Ok(sort) = entry.file_type() else {
                    continue;
                };
                let path = relative.join(entry.file_name());
                // A link is not followed: it may lead out of the folder, or in a circle.
                if sort.is_dir() && depth < DEEPEST {
                    folders.push((path, depth + 1));
                } else if sort.is_file() && kind(&path).is_some() {
                    let full = urls.len() == MOST;
                    more |= full;
                    let url = self.url(&path).and_then(|url| Url::parse(&url).ok());
                    urls.extend(url.filter(|_| !full));
                }
            }
            if more {
                break;
            }
        }
        urls.sort();
        (urls, more)
    }
}

/// A segment of a URL without its percent-encoding.
fn decoded(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(root: &Path, base: Option<&str>) -> Corpus {
        let config = CorpusConfig {
            folder: "pages".to_owned(),
            base: base.map(str::to_owned),
        };
        assert!(config.problems("").is_empty());
        Corpus::open(root, &config).unwrap()
    }

    #[tokio::test]
    async fn pages_are_read_by_their_urls_and_nothing_else_of_the_machine_is() {
        let root = tempfile::tempdir().unwrap();
        let pages = root.path().join("pages");
        std::fs::create_dir_all(pages.join("zh")).unwrap();
        for (name, text) in [
            ("index.html", "<p>home"),
            ("a b.html", "<p>a"),
            ("zh/上海.md", "# 上海"),
            ("n.txt", "text"),
            ("x.pdf", "%PDF"),
        ] {
            std::fs::write(pages.join(name), text).unwrap();
        }
        std::fs::write(root.path().join("secret.txt"), "secret").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.path().join("secret.txt"), pages.join("link.txt")).unwrap();
        for base in [None, Some("https://weather.example/")] {
            let corpus = corpus(root.path(), base);
            let start = base.unwrap_or("local:");
            let (urls, more) = corpus.urls();
            let urls: Vec<String> = urls.iter().map(Url::to_string).collect();
            let expected = [
                "a%20b.html",
                "index.html",
                "n.txt",
                "zh/%E4%B8%8A%E6%B5%B7.md",
            ];
            assert_eq!(urls, expected.map(|path| format!("{start}{path}")));
            assert!(!more);
            let read = async |path: &str| {
                let url = Url::parse(&format!("{start}{path}")).unwrap();
                corpus.read(&url).await
            };
            for (path, text) in [
                ("", "<p>home"),
                ("a%20b.html", "<p>a"),
                ("zh/上海.md", "# 上海"),
                ("n.txt?x=1#y", "text"),
            ] {
                assert_eq!(read(path).await.unwrap().1, text.as_bytes(), "{path}");
            }
            for path in [
                "x.pdf",
                "none.html",
                "../secret.txt",
                "%2e%2e/secret.txt",
                "..%2fsecret.txt",
                "zh/..%2f..%2fsecret.txt",
                "%2fetc%2fpasswd.txt",
                "link.txt",
                "zh",
            ] {
                let error = read(path).await.unwrap_err();
                assert_eq!(error.code, ErrorCode::NotFound, "{path}");
            }
            assert!(!corpus.has(&Url::parse("https://other.example/n.txt").unwrap()));
        }
    }

    #[test]
    fn folders_elsewhere_and_bases_that_are_none_are_refused() {
        for (folder, base, path) in [
            ("../pages", None, "pages.folder"),
            ("/etc", None, "pages.folder"),
            ("", None, "pages.folder"),
            ("a", Some("https://weather.example"), "pages.base"),
            ("a", Some("weather/"), "pages.base"),
            ("a", Some("file:///etc/"), "pages.base"),
        ] {
            let config = CorpusConfig {
                folder: folder.to_owned(),
                base: base.map(str::to_owned),
            };
            let problems = config.problems("pages");
            assert_eq!(problems.len(), 1, "{folder} {base:?}");
            assert_eq!(problems[0].path, path);
        }
        let none = CorpusConfig {
            folder: "none".to_owned(),
            base: None,
        };
        let root = tempfile::tempdir().unwrap();
        assert!(Corpus::open(root.path(), &none).is_err());
    }
}
