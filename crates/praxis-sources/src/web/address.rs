//! URLs as names of pages: one spelling for each page, and which of them belong to a source. Left out: asking them.

use globset::GlobSet;
use url::Url;

use crate::SourceError;
use crate::config::{WebConfig, Within};
use crate::glob::address_globs;

/// Characters of a URL beyond which it names no page but a trap.
const MAX_URL: usize = 2048;

/// Parameters that tell where a visitor came from and change nothing of the page.
const TRACKING: &[&str] = &[
    "gclid", "fbclid", "msclkid", "dclid", "mc_cid", "mc_eid", "igshid", "yclid", "_hsenc", "_hsmi",
];

/// The one spelling of a page's URL: without fragment and tracking parameters, percent-encoded where needed alone.
/// `None` for what names no page of the web.
pub(crate) fn normal(url: &Url) -> Option<Url> {
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let mut url = url.clone();
    url.set_fragment(None);
    let path = unescaped(url.path());
    url.set_path(&path);
    let query = url.query().map(|query| {
        let kept = query.split('&').filter(|pair| {
            let key = pair
                .split('=')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            !pair.is_empty() && !key.starts_with("utm_") && !TRACKING.contains(&key.as_str())
        });
        kept.collect::<Vec<_>>().join("&")
    });
    url.set_query(query.filter(|q| !q.is_empty()).as_deref());
    (url.as_str().len() <= MAX_URL).then_some(url)
}

/// The page that a link on a page leads to.
pub(crate) fn resolved(base: &Url, link: &str) -> Option<Url> {
    normal(&base.join(link.trim()).ok()?)
}

/// A path with escapes for what needs them alone, and their digits in upper case.
pub(super) fn unescaped(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = String::with_capacity(path.len());
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|r| !r.is_empty()) {
        let hex = |i: usize| rest.get(i).and_then(|b| char::from(*b).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (rest[0], hex(1), hex(2)) {
            match char::from_u32(high * 16 + low) {
                Some(c) if c.is_ascii_alphanumeric() || "-_~".contains(c) => out.push(c),
                _ => out.push_str(&path[at..at + 3].to_ascii_uppercase()),
            }
            at += 3;
        } else if rest[0] == b'%' {
            // No escape at all: as it stands, it could become one.
            out.push_str("%25");
            at += 1;
        } else {
            let c = path[at..].chars().next().unwrap_or_default();
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

/// Which pages belong to a source.
pub(crate) struct Scope {
    /// Hosts (with their ports) and the folder below which links are followed.
    roots: Vec<(String, String)>,
    /// All hosts that may be asked for pages.
    hosts: Vec<String>,
    within: Within,
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Scope {
    /// # Errors
    /// A start page or a glob that is none.
    pub fn new(config: &WebConfig) -> Result<Self, SourceError> {
        let wrong = |e: globset::Error| SourceError::settings(e.to_string(), "mend the glob");
        let mut roots = Vec::new();
        for url in &config.urls {
            let url = start(url)?;
            let folder = url.path().rfind('/').map_or("/", |end| &url.path()[..=end]);
            roots.push((host(&url), folder.to_owned()));
        }
        let mut hosts: Vec<String> = roots.iter().map(|(host, _)| host.clone()).collect();
        if let Some(map) = &config.sitemap {
            hosts.push(host(&start(map)?));
        }
        hosts.extend(config.hosts.iter().map(|h| h.to_lowercase()));
        Ok(Self {
            roots,
            hosts,
            within: config.within,
            include: (!config.include.is_empty())
                .then(|| address_globs(&config.include))
                .transpose()
                .map_err(wrong)?,
            exclude: address_globs(&config.exclude).map_err(wrong)?,
        })
    }

    /// Whether the host may be asked at all.
    pub fn knows(&self, url: &Url) -> bool {
        self.hosts.contains(&host(url))
    }

    /// Whether a link to it is followed.
    pub fn follows(&self, url: &Url) -> bool {
        let here = host(url);
        let below = |(root, folder): &(String, String)| {
            *root == here
                && (self.within == Within::Host || url.path().starts_with(folder.as_str()))
        };
        let extra = !self.roots.iter().any(|(root, _)| *root == here) && self.knows(url);
        !self.excludes(url) && (extra || self.roots.iter().any(below))
    }

    /// Whether it is left out.
    pub fn excludes(&self, url: &Url) -> bool {
        matches(&self.exclude, url)
    }

    /// Whether it is a document, if it is a page.
    pub fn includes(&self, url: &Url) -> bool {
        self.include
            .as_ref()
            .is_none_or(|include| matches(include, url))
            && !self.excludes(url)
    }
}

/// Globs are of paths, or of whole URLs.
fn matches(globs: &GlobSet, url: &Url) -> bool {
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    globs.is_match(url.path()) || globs.is_match(&path) || globs.is_match(url.as_str())
}

/// A URL that the configuration names.
pub(crate) fn start(text: &str) -> Result<Url, SourceError> {
    Url::parse(text)
        .ok()
        .and_then(|url| normal(&url))
        .ok_or_else(|| {
            SourceError::settings(
                "a URL of the source is none that can be read",
                "write it whole: https://example.com/docs/",
            )
        })
}

/// The host of a URL, with its port where that is not the scheme's own: as `hosts` names it.
pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Scheme, host and port: what a robots.txt is for.
pub(crate) fn origin(url: &Url) -> String {
    format!("{}://{}", url.scheme(), host(url))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spelled(text: &str) -> Option<String> {
        normal(&Url::parse(text).ok()?).map(|u| u.to_string())
    }

    #[test]
    fn a_page_has_one_spelling() {
        for (text, expected) in [
            (
                "HTTPS://Example.COM:443/a/../b#part",
                Some("https://example.com/b"),
            ),
            ("http://example.com", Some("http://example.com/")),
            (
                "https://e.com/%7euser/%e6%96%87?utm_source=x&b=2&a=1",
                Some("https://e.com/~user/%E6%96%87?b=2&a=1"),
            ),
            ("https://e.com/a?gclid=1", Some("https://e.com/a")),
            ("https://e.com/a?", Some("https://e.com/a")),
            ("https://e.com/a%2Fb", Some("https://e.com/a%2Fb")),
            ("https://e.com/%%341", Some("https://e.com/%2541")),
            ("https://user@e.com/", None),
            ("mailto:a@e.com", None),
            ("javascript:void(0)", None),
        ] {
            assert_eq!(spelled(text).as_deref(), expected, "{text}");
        }
        let base = Url::parse("https://e.com/docs/a.html").unwrap();
        assert_eq!(
            resolved(&base, " ../x#y ").unwrap().as_str(),
            "https://e.com/x"
        );
    }

    #[test]
    fn links_are_followed_within_the_folder_of_a_start_page() {
        let mut config = WebConfig {
            urls: vec!["https://e.com/docs/index.html".to_owned()],
            exclude: vec!["/docs/old/**".to_owned(), "**?print=*".to_owned()],
            include: vec!["**/*.html".to_owned()],
            hosts: vec!["files.e.com".to_owned()],
            ..WebConfig::default()
        };
        let url = |text: &str| Url::parse(text).unwrap();
        let scope = Scope::new(&config).unwrap();
        for (text, follows, includes) in [
            ("https://e.com/docs/a.html", true, true),
            ("https://e.com/docs/a", true, false),
            ("https://e.com/docsx/a.html", false, true),
            ("https://e.com/docs/old/a.html", false, false),
            ("https://e.com/docs/a.html?print=1", false, false),
            ("https://files.e.com/any.html", true, true),
            ("https://other.com/docs/a.html", false, true),
        ] {
            let found = (scope.follows(&url(text)), scope.includes(&url(text)));
            assert_eq!(found, (follows, includes), "{text}");
        }
        config.within = Within::Host;
        assert!(
            Scope::new(&config)
                .unwrap()
                .follows(&url("https://e.com/blog/a.html"))
        );
    }

    proptest! {
        #[test]
        fn the_one_spelling_of_a_spelling_is_itself(
            path in "[a-zA-Z0-9/%._~ \\-文é]{0,40}",
            query in proptest::option::of("[a-z0-9=&%_+]{0,20}"),
            fragment in proptest::option::of("[a-z]{0,5}"),
        ) {
            let query = query.map(|q| format!("?{q}")).unwrap_or_default();
            let fragment = fragment.map(|f| format!("#{f}")).unwrap_or_default();
            let text = format!("https://Example.com/{path}{query}{fragment}");
            if let Some(once) = spelled(&text) {
                prop_assert_eq!(spelled(&once), Some(once.clone()));
                prop_assert!(!once.contains('#') && once.is_ascii());
            }
        }

        #[test]
        fn no_link_makes_it_fail(link in "\\PC{0,60}") {
            let base = Url::parse("https://e.com/docs/").unwrap();
            if let Some(url) = resolved(&base, &link) {
                prop_assert!(matches!(url.scheme(), "http" | "https") && url.fragment().is_none());
            }
        }
    }
}
