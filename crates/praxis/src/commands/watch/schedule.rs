//! When which source of which base is looked at: as often as it says, when files changed, and soon again after
//! a look that failed. A table that is asked and told, without a clock of its own. Left out: looking, and who tells of
//! files.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use praxis_knowledge::BaseConfig;
use tokio::time::Instant;

/// The pause after a first failure and the longest one, for files of this machine: each failure doubles it.
const OWN_PAUSES: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));

/// The same for sources of others, whose servers are not to be asked in vain again and again.
const THEIR_PAUSES: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// Looks again at what was missing after a look that went through. What is missing after all of them is left to the
/// next change: it may be damaged for good.
const MORE_LOOKS: u32 = 5;

/// Sources by their base.
pub(super) type Due = BTreeMap<String, BTreeSet<String>>;

/// What a look missed that may be had soon, by source: URIs of documents, and what stands for the source as a whole.
pub(super) type Missing = BTreeMap<String, BTreeSet<String>>;

/// When which source is to be looked at.
#[derive(Debug)]
pub(super) struct Schedule {
    sources: Vec<Timed>,
}

#[derive(Debug)]
struct Timed {
    base: String,
    source: String,
    /// Its files are of this machine.
    local: bool,
    every: Option<Duration>,
    due: Option<Instant>,
    /// When it is looked at again because a look failed, or missed something.
    again: Option<Instant>,
    /// Looks in a row that failed.
    failures: u32,
    /// Looks in a row that missed something new.
    looks: u32,
    /// What stayed missing in all of these.
    given_up: BTreeSet<String>,
}

impl Schedule {
    /// All sources are looked at now.
    pub fn new(bases: &[(String, BaseConfig)], now: Instant) -> Self {
        let mut sources = Vec::new();
        for (base, config) in bases {
            for (source, config) in config.named_sources() {
                let every = config.every();
                sources.push(Timed {
                    base: base.clone(),
                    source,
                    local: !config.local_paths().is_empty(),
                    every,
                    due: every.map(|every| now + every),
                    again: None,
                    failures: 0,
                    looks: 0,
                    given_up: BTreeSet::new(),
                });
            }
        }
        Self { sources }
    }

    /// Files are looked at so often from now on, as nobody tells of all their changes; those of sources that say how
    /// often they are, as often as that.
    pub fn poll(&mut self, every: Duration, now: Instant) {
        let silent = |source: &&mut Timed| source.local && source.every.is_none();
        for source in self.sources.iter_mut().filter(silent) {
            source.every = Some(every);
            source.due = Some(now + every);
        }
    }

    /// When the next source is due; far away where none ever is.
    pub fn next(&self) -> Instant {
        let far = || Instant::now() + Duration::from_secs(24 * 3600);
        let due = self.sources.iter().filter_map(Timed::due);
        due.min().unwrap_or_else(far)
    }

    /// What is due now; it is due again after its time.
    pub fn take_due(&mut self, now: Instant) -> Due {
        let mut found = Due::new();
        for source in &mut self.sources {
            if source.due().is_some_and(|due| due <= now) {
                source.rest(now);
                source.name(&mut found);
            }
        }
        found
    }

    /// What may have changed when files did.
    pub fn local(&self) -> Due {
        let mut found = Due::new();
        for source in self.sources.iter().filter(|source| source.local) {
            source.name(&mut found);
        }
        found
    }

    /// A look at these sources of a base failed, or at all of them: it is taken again, after longer and longer pauses.
    /// How long the first of them waits for that.
    pub fn failed(
        &mut self,
        base: &str,
        only: Option<&BTreeSet<String>>,
        now: Instant,
    ) -> Duration {
        let mut least = THEIR_PAUSES.1;
        for source in self.asked(base, only) {
            source.rest(now);
            source.failures = source.failures.saturating_add(1);
            let pause = source.pause(source.failures);
            source.again = Some(now + pause);
            least = least.min(pause);
        }
        least
    }

    /// A look at these sources of a base went through, or at all of them, and missed that.
    pub fn looked(
        &mut self,
        base: &str,
        only: Option<&BTreeSet<String>>,
        mut missing: Missing,
        now: Instant,
    ) {
        for source in self.asked(base, only) {
            source.rest(now);
            source.failures = 0;
            let missing = missing.remove(&source.source).unwrap_or_default();
            if missing.is_subset(&source.given_up) || source.looks >= MORE_LOOKS {
                source.looks = 0;
                source.given_up = missing;
            } else {
                source.looks += 1;
                source.again = Some(now + source.pause(source.looks));
            }
        }
    }

    fn asked<'s>(
        &'s mut self,
        base: &'s str,
        only: Option<&'s BTreeSet<String>>,
    ) -> impl Iterator<Item = &'s mut Timed> {
        let sources = self.sources.iter_mut();
        sources.filter(move |source| {
            source.base == base && only.is_none_or(|only| only.contains(&source.source))
        })
    }
}

impl Timed {
    /// When it is looked at next.
    fn due(&self) -> Option<Instant> {
        self.due.into_iter().chain(self.again).min()
    }

    /// It is looked at now, and then after its time.
    fn rest(&mut self, now: Instant) {
        self.due = self.every.map(|every| now + every);
        self.again = None;
    }

    /// The pause after so many looks in a row that failed.
    fn pause(&self, looks: u32) -> Duration {
        let (first, longest) = if self.local { OWN_PAUSES } else { THEIR_PAUSES };
        let doublings = looks.saturating_sub(1).min(16);
        first.saturating_mul(1 << doublings).min(longest)
    }

    fn name(&self, due: &mut Due) {
        let names = due.entry(self.base.clone()).or_default();
        names.insert(self.source.clone());
    }
}
