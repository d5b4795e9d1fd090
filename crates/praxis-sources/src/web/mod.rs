//! Pages of web sites: from start pages along their links, or from site maps. robots.txt is obeyed, private
//! addresses are refused, and what did not change is not fetched again. Left out: scripts of pages, log-ins, and the
//! text of pages, which is the loaders'.

mod address;
mod crawl;
mod fetch;
pub(crate) mod guard;
mod hosts;
mod mirror;
mod page;
pub(crate) mod robots;
mod sitemap;

use std::collections::HashMap;

use async_trait::async_trait;

use self::address::Scope;
use self::crawl::Crawl;
use self::fetch::Fetcher;
use self::guard::Guard;
use self::mirror::{Known, Mirror, Page};
use crate::config::WebConfig;
use crate::{Content, Entry, Listing, Locator, Place, Run, Source, SourceError};

/// Steps from a page to the address that it has by its own account, and on from there, that are looked at.
const MAX_CANONICAL: usize = 16;

/// Web sites.
pub(crate) struct Web {
    config: WebConfig,
    place: Place,
    scope: Scope,
    guard: Guard,
}

impl Web {
    /// # Errors
    /// A URL or a glob that is none.
    pub fn new(config: WebConfig, place: Place) -> Result<Self, SourceError> {
        let guard = Guard::new(config.allow_private);
        Self::guarded(config, place, guard)
    }

    fn guarded(config: WebConfig, place: Place, guard: Guard) -> Result<Self, SourceError> {
        Ok(Self {
            scope: Scope::new(&config)?,
            config,
            place,
            guard,
        })
    }

    fn mirror(&self) -> Result<Mirror, SourceError> {
        Mirror::open(self.place.state()?.join("pages"))
    }

    /// The documents among the pages that a crawl saw.
    fn entries(&self, seen: &HashMap<String, Known>) -> Vec<Entry> {
        let mut entries = Vec::new();
        for known in seen.values() {
            let Some(page) = self.document(known) else {
                continue;
            };
            if self.is_elsewhere(&known.url, page, seen) {
                continue;
            }
            let modified = known
                .last_modified
                .as_deref()
                .and_then(|t| jiff::fmt::rfc2822::parse(t).ok());
            entries.push(Entry {
                uri: known.url.clone(),
                version: Some(page.hash.clone()),
                size: page.size,
                modified: modified
                    .and_then(|t| i64::try_from(t.timestamp().as_nanosecond()).ok())
                    .unwrap_or_default(),
                locator: Locator::Name(page.ending.clone()),
            });
        }
        entries
    }

    /// A page that may be a document.
    fn document<'k>(&self, known: &'k Known) -> Option<&'k Page> {
        let page = known.page().filter(|page| !page.noindex)?;
        let url = url::Url::parse(&known.url).ok()?;
        self.scope.includes(&url).then_some(page)
    }

    /// Whether a page is read at the address that it has by its own account: where a document is there. Of pages
    /// that name each other in a circle, the first by its address is read where it is.
    fn is_elsewhere(&self, url: &str, page: &Page, seen: &HashMap<String, Known>) -> bool {
        let mut passed: Vec<&str> = Vec::new();
        let mut next = self.canonical(url, page, seen);
        while passed.len() < MAX_CANONICAL {
            let Some((name, page)) = next else {
                return !passed.is_empty();
            };
            if name == url {
                return passed.iter().any(|other| *other < url);
            }
            if passed.contains(&name) {
                return true;
            }
            passed.push(name);
            next = self.canonical(name, page, seen);
        }
        // Rather twice than not at all.
        false
    }

    /// The document that a page says it is, if that is another one.
    fn canonical<'s>(
        &self,
        url: &str,
        page: &Page,
        seen: &'s HashMap<String, Known>,
    ) -> Option<(&'s str, &'s Page)> {
        let canonical = page.canonical.as_deref().filter(|c| *c != url)?;
        let known = seen.get(canonical)?;
        Some((known.url.as_str(), self.document(known)?))
    }
}

#[async_trait]
impl Source for Web {
    async fn list(&self, run: &Run<'_>) -> Result<Listing, SourceError> {
        run.check()?;
        let mirror = self.mirror()?;
        let fetcher = Fetcher::new(&self.config, self.guard.clone())?;
        self.crawl(mirror, fetcher, run).await
    }

    async fn fetch(&self, entry: &Entry) -> Result<Content, SourceError> {
        let gone = || SourceError::Gone("it changed while it was read".to_owned());
        let (Locator::Name(ending), Some(version)) = (&entry.locator, &entry.version) else {
            return Err(gone());
        };
        let bytes = self.mirror()?.bytes(&entry.uri, version).ok_or_else(gone)?;
        let url = url::Url::parse(&entry.uri).map_err(|_| gone())?;
        let last = url
            .path_segments()
            .and_then(|mut s| s.rfind(|s| !s.is_empty()).map(str::to_owned));
        let last = last
            .or_else(|| url.host_str().map(str::to_owned))
            .unwrap_or_default();
        let stem = match last.rsplit_once('.') {
            Some((stem, old)) if old.len() <= 5 && !stem.is_empty() => stem,
            _ => last.as_str(),
        };
        Ok(Content {
            name: format!("{stem}.{ending}"),
            bytes,
            title: None,
        })
    }
}

impl Web {
    async fn crawl(
        &self,
        mirror: Mirror,
        fetcher: Fetcher,
        run: &Run<'_>,
    ) -> Result<Listing, SourceError> {
        let crawl = Crawl::begin(&self.config, &self.scope, &mirror, &fetcher)?;
        let found = match crawl.run(run).await {
            Ok(found) => found,
            // One that was stopped goes on the next time.
            Err(SourceError::Cancelled) => return Err(SourceError::Cancelled),
            Err(error) => {
                mirror.end(None);
                return Err(error);
            }
        };
        let entries = self.entries(&found.seen);
        let visited = found.seen.into_keys().collect();
        // A site that shows nothing for once is not fetched anew the next time.
        let is_whole = found.complete && !entries.is_empty();
        if !found.late {
            mirror.end(is_whole.then_some(&visited));
        }
        Ok(Listing {
            gone: found.gone,
            ..Listing::new(entries, found.complete, found.notes)
        })
    }
}

#[cfg(test)]
mod tests;
