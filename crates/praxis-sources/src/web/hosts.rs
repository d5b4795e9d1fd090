//! What hosts tell beside their pages: robots.txt, once each, and site maps with all that they name. Left out: the
//! pages, and how the answers are read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::Mutex;
use url::Url;

use super::address::{Scope, origin, resolved};
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

    /// The pages of a site map and of those that it names, and what of them could not be read.
    ///
    /// # Errors
    /// That somebody stopped it.
    pub async fn pages_of_map(
        &self,
        map: Url,
        run: &Run<'_>,
    ) -> Result<(Vec<Url>, Vec<String>), SourceError> {
        let (mut pages, mut notes) = (Vec::new(), Vec::new());
        let mut seen = HashSet::from([map.to_string()]);
        let mut waiting = vec![(map, 0)];
        while let Some((url, depth)) = waiting.pop() {
            run.check()?;
            let read = match tokio::select! {
                map = self.map(url.clone()) => map,
                () = run.cancel.cancelled() => return Err(SourceError::Cancelled),
            } {
                Ok(read) => read,
                Err(why) => {
                    notes.push(format!("the site map {url}: {why}"));
                    continue;
                }
            };
            let inside = |text: &String| resolved(&url, text).filter(|u| self.scope.knows(u));
            // What is not asked for is no document: `include` saves the requests here.
            pages.extend(
                read.pages
                    .iter()
                    .filter_map(inside)
                    .filter(|u| self.scope.includes(u)),
            );
            for map in read.maps.iter().rev().filter_map(inside) {
                if depth < MAP_DEPTH && seen.len() < MAX_MAPS && seen.insert(map.to_string()) {
                    waiting.push((map, depth + 1));
                }
            }
            if pages.len() > crate::config::MAX_DOCUMENTS {
                break;
            }
        }
        Ok((pages, notes))
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
