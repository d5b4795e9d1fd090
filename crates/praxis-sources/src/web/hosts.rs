//! What hosts tell beside their pages: robots.txt, once each, and site maps with all that they name. Left out: the
//! pages, and how the answers are read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::Mutex;
use url::Url;

use super::address::{Scope, host, origin, resolved};
use super::fetch::{Answer, Fetcher, Validators};
use super::robots::{self, Robots};
use super::sitemap;
use crate::{Run, SourceError};

/// Redirects of one file that are followed.
pub(super) const MAX_HOPS: usize = 5;

/// Site maps of one index, and of all below it.
const MAX_MAPS: usize = 1000;

/// Indexes inside each other.
const MAP_DEPTH: usize = 3;

/// A host's robots.txt, or why it is not known.
pub(super) struct Asked {
    pub robots: Robots,
    pub failure: Option<String>,
}

/// The hosts of a crawl.
pub(super) struct Hosts<'a> {
    scope: &'a Scope,
    fetcher: &'a Fetcher,
    robots: Mutex<HashMap<String, Arc<Asked>>>,
}

/// What site maps list, all together.
#[derive(Default)]
pub(super) struct Mapped {
    /// Pages that are to be read.
    pub pages: Vec<Url>,
    /// How many pages they list, whether they are to be read or not.
    pub listed: usize,
    /// What could not be read of them, and what nobody left out by choice, with the fix. Without notes, what they do
    /// not list is gone.
    pub notes: Vec<String>,
    /// Pages at hosts that the source does not read.
    pages_elsewhere: BTreeMap<String, usize>,
    /// Maps there.
    maps_elsewhere: BTreeMap<String, usize>,
    /// Maps that are read, or will be.
    seen: HashSet<String>,
    /// Those that will be, with the number of indexes that they lie in.
    waiting: Vec<(Url, usize)>,
    /// Maps beyond the bounds.
    left_out: usize,
}

impl From<Url> for Mapped {
    /// Of a map that is to be read.
    fn from(map: Url) -> Self {
        Self {
            seen: HashSet::from([map.to_string()]),
            waiting: vec![(map, 0)],
            ..Self::default()
        }
    }
}

impl Mapped {
    fn take_pages(&mut self, scope: &Scope, map: &Url, pages: &[String]) {
        self.listed += pages.len();
        // What is not asked for is no document: `include` saves the requests here.
        let pages = pages.iter().filter_map(|page| resolved(map, page));
        for page in pages.filter(|page| scope.includes(page)) {
            if scope.knows(&page) {
                self.pages.push(page);
            } else {
                *self.pages_elsewhere.entry(host(&page)).or_default() += 1;
            }
        }
    }

    /// Takes up the maps of an index, so that the first is read first.
    fn take_maps(&mut self, scope: &Scope, index: &Url, depth: usize, maps: &[String]) {
        for map in maps.iter().rev().filter_map(|map| resolved(index, map)) {
            if self.seen.contains(map.as_str()) {
                continue;
            }
            if !scope.knows(&map) {
                if !scope.excludes(&map) {
                    *self.maps_elsewhere.entry(host(&map)).or_default() += 1;
                }
            } else if depth >= MAP_DEPTH || self.seen.len() >= MAX_MAPS {
                self.left_out += 1;
            } else {
                self.seen.insert(map.to_string());
                self.waiting.push((map, depth + 1));
            }
        }
    }

    /// Notes what nobody left out by choice.
    fn tell(&mut self) {
        for (host, pages) in std::mem::take(&mut self.pages_elsewhere) {
            self.notes
                .push(elsewhere("the site map lists pages at", &host, pages));
        }
        for (host, maps) in std::mem::take(&mut self.maps_elsewhere) {
            self.notes
                .push(elsewhere("the site map names maps at", &host, maps));
        }
        if self.left_out > 0 {
            self.notes.push(format!(
                "more than {MAX_MAPS} site maps belong together, or their indexes lie more than {MAP_DEPTH} deep, so \
                 that {} are not read: name one that lists less as `sitemap`",
                self.left_out
            ));
        }
    }
}

/// What is told of places at a host that the source does not read: whether they are what became of its documents,
/// nobody knows.
pub(super) fn elsewhere(what: &str, host: &str, count: usize) -> String {
    format!(
        "{what} `{host}` ({count}), which this source does not read, so that none is taken for gone: add it with \
         `hosts = [\"{host}\"]`, or leave it out with `exclude = [\"*://{host}/**\"]`"
    )
}

impl<'a> Hosts<'a> {
    pub fn new(scope: &'a Scope, fetcher: &'a Fetcher) -> Self {
        Self {
            scope,
            fetcher,
            robots: Mutex::default(),
        }
    }

    /// The robots.txt of a URL's host, asked for once.
    pub async fn robots_of(&self, url: &Url) -> Arc<Asked> {
        let origin = origin(url);
        // Others wait meanwhile: nobody is to be asked before it is known what it allows.
        let mut all = self.robots.lock().await;
        if let Some(asked) = all.get(&origin) {
            return Arc::clone(asked);
        }
        let asked = Arc::new(self.ask_robots(&origin).await);
        self.fetcher.slow_down(url, asked.robots.delay).await;
        all.insert(origin, Arc::clone(&asked));
        asked
    }

    async fn ask_robots(&self, origin: &str) -> Asked {
        let open = |robots| Asked {
            robots,
            failure: None,
        };
        let failed = |why: String| Asked {
            robots: Robots::closed(),
            failure: Some(format!("its robots.txt cannot be read: {why}")),
        };
        let Ok(mut url) = Url::parse(&format!("{origin}/robots.txt")) else {
            return open(Robots::default());
        };
        for _ in 0..=MAX_HOPS {
            match self
                .fetcher
                .get(&url, &Validators::default(), robots::MAX_BYTES)
                .await
            {
                Ok(Answer::Body(body)) => {
                    return open(Robots::parse(&String::from_utf8_lossy(&body.bytes)));
                }
                Ok(Answer::Moved { to, .. }) => url = to,
                Ok(Answer::TooLarge(_)) => return failed("it is too large".to_owned()),
                // None is there, or it is nobody's business: then nothing is forbidden.
                Ok(Answer::Gone | Answer::NotModified) => return open(Robots::default()),
                Err(failure) if failure.is_refusal() => return open(Robots::default()),
                Err(failure) => return failed(failure.why),
            }
        }
        open(Robots::default())
    }

    /// The pages of a site map and of those that it names.
    ///
    /// # Errors
    /// That somebody stopped it.
    pub async fn pages_of_map(&self, map: Url, run: &Run<'_>) -> Result<Mapped, SourceError> {
        let mut mapped = Mapped::from(map);
        while let Some((url, depth)) = mapped.waiting.pop() {
            run.check()?;
            let read = match tokio::select! {
                map = self.map(url.clone()) => map,
                () = run.cancel.cancelled() => return Err(SourceError::Cancelled),
            } {
                Ok(read) => read,
                Err(why) => {
                    mapped.notes.push(format!("the site map {url}: {why}"));
                    continue;
                }
            };
            if read.left_out > 0 {
                mapped.notes.push(format!(
                    "the site map {url} lists more than {} places, as no map may: the last {} are not read",
                    sitemap::MAX_PLACES,
                    read.left_out
                ));
            }
            mapped.take_pages(self.scope, &url, &read.pages);
            mapped.take_maps(self.scope, &url, depth, &read.maps);
            if mapped.pages.len() > crate::config::MAX_DOCUMENTS {
                break;
            }
        }
        mapped.tell();
        Ok(mapped)
    }

    async fn map(&self, mut url: Url) -> Result<sitemap::SiteMap, String> {
        for _ in 0..=MAX_HOPS {
            match self
                .fetcher
                .get(&url, &Validators::default(), sitemap::MAX_BYTES)
                .await
            {
                Ok(Answer::Body(body)) => return sitemap::parse(&body.bytes),
                Ok(Answer::Moved { to, .. }) if self.scope.knows(&to) => url = to,
                Ok(Answer::Moved { to, .. }) => {
                    return Err(format!(
                        "it redirects to {to}, which is outside: add its host to `hosts`"
                    ));
                }
                Ok(Answer::TooLarge(size)) => return Err(format!("it is {size} bytes large")),
                Ok(Answer::Gone | Answer::NotModified) => {
                    return Err("there is nothing at this URL (404)".to_owned());
                }
                Err(failure) => return Err(failure.why),
            }
        }
        Err("it redirects too often".to_owned())
    }
}
