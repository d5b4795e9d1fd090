//! One pass over a site: level by level from the start, each page once, in an order that does not depend on who
//! answers first. Left out: how one page is asked for, and which of the pages are documents.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::StreamExt;
use futures::stream;
use tokio::time::Instant;
use url::Url;

use super::address::{Scope, host, start};
use super::fetch::{Answer, Fetcher, Validators};
use super::hosts::{Hosts, MAX_HOPS, elsewhere};
use super::mirror::{Known, Mirror, Page, What};
use super::page::read;
use crate::config::WebConfig;
use crate::{Run, SourceError};

/// Pages between two reports of progress.
const REPORT_EVERY: usize = 10;

/// What a crawl saw.
pub(crate) struct Found {
    /// What is at each URL that was asked for.
    pub seen: HashMap<String, Known>,
    /// Whether what was not seen is gone.
    pub complete: bool,
    /// Whether it ran out of time: the next one goes on from here.
    pub late: bool,
    /// URLs where nothing is to be read any more.
    pub gone: Vec<String>,
    /// What could not be seen, and why.
    pub notes: Vec<String>,
    /// Pages of site maps that moved to hosts that the source does not read, by host.
    moved_away: BTreeMap<String, usize>,
}

impl Found {
    /// Something could not be looked at, and nobody knows what it would have led to.
    fn lacks(&mut self, note: String) {
        self.complete = false;
        self.notes.push(note);
    }

    /// Notes which pages moved away: a site that moved as a whole is not one without pages.
    fn tell_of_moves(&mut self) {
        for (host, pages) in std::mem::take(&mut self.moved_away) {
            let what = "pages that the site map lists redirect to";
            self.lacks(elsewhere(what, &host, pages));
        }
    }
}

/// A pass in progress.
pub(crate) struct Crawl<'a> {
    config: &'a WebConfig,
    scope: &'a Scope,
    mirror: &'a Mirror,
    fetcher: &'a Fetcher,
    hosts: Hosts<'a>,
    /// What this crawl is called in the mirror.
    name: u64,
    deadline: Instant,
}

/// A page to be visited.
#[derive(Clone)]
struct Visit {
    url: Url,
    /// Links from a start page; `None` where links are not followed.
    depth: Option<usize>,
    hops: usize,
    /// It was named by a person: if nothing is there, that is told, and no page is taken for gone because of it.
    named: bool,
}

/// What came of a visit.
enum Outcome {
    /// This is there.
    Known(Known),
    /// It could not be asked; what was there before counts.
    Failed(String, Option<Known>),
    /// Nothing is there.
    Gone,
    /// It does not want to be read.
    Closed,
    /// There is no time left.
    Late,
}

impl<'a> Crawl<'a> {
    pub fn begin(
        config: &'a WebConfig,
        scope: &'a Scope,
        mirror: &'a Mirror,
        fetcher: &'a Fetcher,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            config,
            scope,
            mirror,
            fetcher,
            hosts: Hosts::new(scope, fetcher),
            name: mirror.begin()?,
            deadline: Instant::now() + config.max_time.0,
        })
    }

    /// Visits all pages that belong to the source.
    ///
    /// # Errors
    /// That somebody stopped it, a disk that fails, or that not one page could be had.
    pub async fn run(self, run: &Run<'_>) -> Result<Found, SourceError> {
        let mut found = Found {
            seen: HashMap::new(),
            complete: true,
            late: false,
            gone: Vec::new(),
            notes: Vec::new(),
            moved_away: BTreeMap::new(),
        };
        let mut level = Vec::new();
        for url in &self.config.urls {
            level.push(Visit {
                url: start(url)?,
                depth: Some(0),
                hops: 0,
                named: true,
            });
        }
        if let Some(map) = &self.config.sitemap {
            let mapped = self.hosts.pages_of_map(start(map)?, run).await?;
            if mapped.listed == 0 && mapped.notes.is_empty() && !self.config.may_empty {
                found.lacks(format!(
                    "the site map {map} lists no page, so that none is taken for gone: mend it, or set \
                     `may_empty = true`"
                ));
            }
            for note in mapped.notes {
                found.lacks(note);
            }
            level.extend(mapped.pages.into_iter().map(|url| Visit {
                url,
                depth: None,
                hops: 0,
                named: false,
            }));
        }
        let mut queued = HashSet::new();
        level.retain(|visit| queued.insert(visit.url.to_string()));
        let (mut asked, mut answered) = (0, 0);
        while !level.is_empty() {
            let room = self.config.max_pages.saturating_sub(asked);
            let is_full = level.len() > room;
            if is_full {
                found.lacks(format!(
                    "there are more than {} pages, so that none is taken for gone: raise `max_pages`, or choose \
                     with `include` and `exclude`",
                    self.config.max_pages
                ));
                level.truncate(room);
            }
            asked += level.len();
            let mut next = Vec::new();
            let this = &self;
            let mut visits = stream::iter(level)
                .map(|visit| async move {
                    let outcome = this.visit(&visit.url).await;
                    (visit, outcome)
                })
                .buffered(self.config.parallel);
            while let Some((visit, outcome)) = tokio::select! {
                outcome = visits.next() => outcome,
                () = run.cancel.cancelled() => return Err(SourceError::Cancelled),
            } {
                answered += 1;
                if answered % REPORT_EVERY == 0 {
                    (run.progress)(answered);
                }
                self.note(visit, outcome?, &mut found, &mut next);
            }
            drop(visits);
            if is_full {
                break;
            }
            next.retain(|visit: &Visit| queued.insert(visit.url.to_string()));
            level = next;
        }
        (run.progress)(answered);
        found.tell_of_moves();
        let pages = found.seen.values().filter(|k| k.page().is_some()).count();
        if pages == 0 && !found.complete {
            let why = found.notes.first().cloned().unwrap_or_default();
            return Err(SourceError::Unavailable(format!(
                "no page could be read: {why}"
            )));
        }
        Ok(found)
    }

    /// Takes down what came of a visit, and where it leads.
    fn note(&self, visit: Visit, outcome: Outcome, found: &mut Found, next: &mut Vec<Visit>) {
        let url = visit.url.to_string();
        let known = match outcome {
            Outcome::Known(known) => known,
            Outcome::Failed(why, known) => {
                found.notes.push(format!("{url}: {why}"));
                match known {
                    Some(known) => known,
                    // Nobody knows what it would have led to.
                    None => {
                        found.complete = false;
                        return;
                    }
                }
            }
            Outcome::Gone => {
                if visit.named {
                    found.lacks(format!(
                        "{url}: there is nothing at this URL (404): mend it, or take it out of `urls` to remove \
                         its documents"
                    ));
                } else {
                    found.gone.push(url);
                }
                return;
            }
            Outcome::Closed => {
                if visit.named {
                    found.lacks(format!(
                        "{url}: robots.txt asks not to read it: take it out of `urls` to remove its documents"
                    ));
                } else {
                    found.gone.push(url);
                }
                return;
            }
            Outcome::Late => {
                if !std::mem::replace(&mut found.late, true) {
                    found.complete = false;
                    found.notes.push(format!(
                        "not all pages were read within {:?}: the next ingest goes on, or raise `max_time`",
                        self.config.max_time.0
                    ));
                }
                return;
            }
        };
        match &known.what {
            What::Moved(to) => self.note_moved(&visit, to, found, next),
            What::Page(page) => {
                let depth = visit.depth.filter(|d| *d < self.config.max_depth);
                if let Some(depth) = depth {
                    next.extend(self.follow(page.links.iter(), Some(depth + 1)));
                }
                // The address that a page has by its own account is where it is read.
                let canonical = page.canonical.iter().filter(|c| **c != url);
                next.extend(self.follow(canonical, visit.depth));
            }
            What::Other => {}
        }
        found.seen.insert(url, known);
    }

    fn note_moved(&self, visit: &Visit, to: &str, found: &mut Found, next: &mut Vec<Visit>) {
        let Ok(target) = Url::parse(to) else { return };
        // What a person named, or a map, may lie outside of the folder of the start pages.
        let inside = match visit.depth {
            Some(_) if !visit.named => self.scope.follows(&target),
            _ => self.scope.knows(&target) && !self.scope.excludes(&target),
        };
        if !inside {
            if visit.named {
                found.lacks(format!(
                    "{}: it redirects to {target}, which is outside: write that instead, or add its host to `hosts`",
                    visit.url
                ));
            } else if visit.depth.is_none()
                && !self.scope.knows(&target)
                && !self.scope.excludes(&target)
            {
                *found.moved_away.entry(host(&target)).or_default() += 1;
            }
        } else if visit.hops >= MAX_HOPS {
            let note = format!("{}: it redirects too often", visit.url);
            if visit.named {
                found.lacks(note);
            } else {
                found.notes.push(note);
            }
        } else {
            next.push(Visit {
                url: target,
                depth: visit.depth,
                hops: visit.hops + 1,
                named: visit.named,
            });
        }
    }

    fn follow<'l>(
        &'l self,
        links: impl Iterator<Item = &'l String> + 'l,
        depth: Option<usize>,
    ) -> impl Iterator<Item = Visit> + 'l {
        let urls = links.filter_map(|link| Url::parse(link).ok());
        let inside = urls.filter(move |url| match depth {
            Some(_) => self.scope.follows(url),
            None => self.scope.knows(url) && !self.scope.excludes(url),
        });
        inside.map(move |url| Visit {
            url,
            depth,
            hops: 0,
            named: false,
        })
    }

    /// Asks for a page, unless this crawl did before it was killed.
    async fn visit(&self, url: &Url) -> Result<Outcome, SourceError> {
        let known = self.mirror.get(url.as_str());
        if let Some(known) = known.as_ref().filter(|k| k.crawl == self.name) {
            return Ok(Outcome::Known(known.clone()));
        }
        if Instant::now() >= self.deadline {
            return Ok(Outcome::Late);
        }
        let asked = self.hosts.robots_of(url).await;
        if let Some(why) = &asked.failure {
            return Ok(Outcome::Failed(why.clone(), known));
        }
        if !asked.robots.allows(&path_of(url)) {
            self.mirror.remove(url.as_str());
            return Ok(Outcome::Closed);
        }
        let validators = known.as_ref().map(Known::validators).unwrap_or_default();
        let answer = match self
            .fetcher
            .get(url, &validators, self.config.max_file_bytes)
            .await
        {
            Ok(answer) => answer,
            Err(failure) => return Ok(Outcome::Failed(failure.why, known)),
        };
        let fresh = |what, validators: Validators| Known {
            url: url.to_string(),
            crawl: self.name,
            etag: validators.etag,
            last_modified: validators.last_modified,
            what,
        };
        let (known, bytes) = match (answer, known) {
            (Answer::NotModified, Some(known)) => {
                let crawl = self.name;
                (Known { crawl, ..known }, None)
            }
            (Answer::NotModified, None) => {
                return Ok(Outcome::Failed(
                    "the server says that it is as it never was (304)".to_owned(),
                    None,
                ));
            }
            (Answer::Gone, _) => {
                self.mirror.remove(url.as_str());
                return Ok(Outcome::Gone);
            }
            // A host that sends everybody away for a while, or to a log-in, is not without its pages.
            (Answer::Moved { to, lasting: false }, Some(known)) if known.page().is_some() => {
                return Ok(Outcome::Failed(
                    format!("it redirects to {to} for the time being: what was read of it stays"),
                    Some(known),
                ));
            }
            (Answer::Moved { to, .. }, _) => {
                (fresh(What::Moved(to.into()), Validators::default()), None)
            }
            (Answer::TooLarge(size), _) => {
                let page = Page {
                    hash: format!("size:{size}"),
                    size,
                    ..Page::default()
                };
                (fresh(What::Page(page), Validators::default()), None)
            }
            (Answer::Body(body), _) => match read(url, &body) {
                Some((page, bytes)) => (fresh(What::Page(page), body.validators), Some(bytes)),
                None => (fresh(What::Other, Validators::default()), None),
            },
        };
        self.mirror.put(&known, bytes.as_deref())?;
        Ok(Outcome::Known(known))
    }
}

fn path_of(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}
