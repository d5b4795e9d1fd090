//! Ingesting again what changes: files when the system tells of it, other sources as often as they say. One ingest
//! runs at a time. Left out: what an ingest is, and who asked for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use praxis_core::{CallContext, CallError, Caller, ErrorCode, TraceSink};
use praxis_knowledge::{BaseConfig, IngestReport, Knowledge};
use praxis_sources::watch::Changes;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ingest;
use crate::app::{App, STATE_DIR};
use crate::ui;

/// How often files are looked at where the system does not tell of changes.
const POLL: Duration = Duration::from_secs(10);

/// How what happens is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// To a person who waits for it.
    Terminal,
    /// To a program: a line of JSON for each ingest that tells something new.
    Json,
    /// To whoever reads along with a server: what changed, and what went wrong.
    Log,
}

/// Bases to be kept up to date.
pub struct Watched {
    knowledge: Arc<Knowledge>,
    bases: Vec<(String, BaseConfig)>,
    /// What paths of sources are relative to.
    dir: PathBuf,
    /// Where traces go.
    sink: Arc<dyn TraceSink>,
}

impl Watched {
    /// The context of one ingest, which is a trace of its own.
    fn context(&self, cancel: &CancellationToken) -> CallContext {
        CallContext::new(Arc::clone(&self.sink))
            .with_caller(Caller::full())
            .with_cancel(cancel.clone())
    }
}

/// The bases of an application by those names.
pub fn watched(app: &App, names: &[String]) -> Watched {
    let bases = app.project.bases.iter();
    Watched {
        knowledge: Arc::clone(&app.knowledge),
        bases: bases
            .filter(|(name, _)| names.contains(name))
            .cloned()
            .collect(),
        dir: app.project.root.join("knowledge"),
        sink: app.sink(),
    }
}

/// Ingests everything, and then what changes, until it is cancelled.
///
/// # Errors
/// What stops the first ingest, such as a missing embedder. A later one that fails is told, and tried again.
pub async fn run(
    watched: Watched,
    voice: Voice,
    cancel: CancellationToken,
) -> Result<(), CallError> {
    let sources: Vec<_> = watched
        .bases
        .iter()
        .flat_map(|(_, config)| config.named_sources())
        .map(|(_, source)| source)
        .collect();
    // Before the first ingest, so that what changes meanwhile is not missed.
    let mut changes = match Changes::watch(&watched.dir, &sources, STATE_DIR) {
        Ok(changes) => Some(changes),
        Err(error) => {
            ui::warn(format!(
                "files cannot be watched ({error}): they are looked at every {POLL:?}"
            ));
            None
        }
    };
    for (folder, error) in changes.iter().flat_map(|c| &c.blind) {
        ui::warn(format!(
            "`{}` cannot be watched ({error}): it is looked at every {POLL:?}",
            folder.display()
        ));
    }
    let blind = changes.as_ref().is_none_or(|c| !c.blind.is_empty());
    let mut teller = Teller {
        voice,
        problems: BTreeMap::new(),
    };
    for (base, _) in &watched.bases {
        match once(&watched, base, None, voice, &cancel).await? {
            Some(report) => teller.tell(base, None, &report),
            None => return Ok(()),
        }
    }
    let mut schedule = Schedule::new(&watched.bases, blind.then_some(POLL), Instant::now());
    if voice != Voice::Log {
        ui::note("Watching; Ctrl-C stops.");
    }
    loop {
        let due = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = changed(changes.as_mut()) => schedule.local(),
            () = tokio::time::sleep_until(schedule.next()) => schedule.take_due(Instant::now()),
        };
        for (base, only) in &due {
            match once(&watched, base, Some(only), voice, &cancel).await {
                Ok(Some(report)) => teller.tell(base, Some(only), &report),
                Ok(None) => return Ok(()),
                Err(error) => ui::warn(format!("{base}: {error}")),
            }
        }
    }
}

async fn changed(changes: Option<&mut Changes>) {
    match changes {
        Some(changes) => changes.next().await,
        None => std::future::pending().await,
    }
}

/// Ingests; `None` where it was cancelled.
async fn once(
    watched: &Watched,
    base: &str,
    only: Option<&BTreeSet<String>>,
    voice: Voice,
    cancel: &CancellationToken,
) -> Result<Option<IngestReport>, CallError> {
    let (knowledge, cx) = (&watched.knowledge, watched.context(cancel));
    let ingested = match voice {
        Voice::Log => knowledge.ingest_sources(base, only, &|_| {}, &cx).await,
        Voice::Terminal | Voice::Json => ingest::one(knowledge, base, only, &cx).await,
    };
    match ingested {
        Err(_) if cancel.is_cancelled() => Ok(None),
        Err(error) if error.code == ErrorCode::Cancelled => Ok(None),
        other => other.map(Some),
    }
}

/// Tells what is new, once.
struct Teller {
    voice: Voice,
    /// What was told of the sources that have problems, by base and source.
    problems: BTreeMap<(String, String), Vec<String>>,
}

impl Teller {
    fn tell(&mut self, base: &str, only: Option<&BTreeSet<String>>, report: &IngestReport) {
        let news = self.is_news(base, only, report);
        match self.voice {
            _ if !news => {}
            Voice::Json => ui::out(json!({ "base": base, "report": report }).to_string()),
            Voice::Terminal => ingest::print(base, report),
            Voice::Log => {
                ingest::print_problems(base, report);
                ui::note(ingest::summary(base, report));
            }
        }
    }

    /// Whether something changed: documents, or what is wrong with the sources that were looked at. The first
    /// look is always news.
    fn is_news(
        &mut self,
        base: &str,
        only: Option<&BTreeSet<String>>,
        report: &IngestReport,
    ) -> bool {
        let mut found = BTreeMap::<(String, String), Vec<String>>::new();
        for problem in &report.problems {
            let key = (base.to_owned(), problem.source.clone());
            found.entry(key).or_default().push(problem.reason.clone());
        }
        let looked_at = |(of, source): &(String, String)| {
            of == base && only.is_none_or(|only| only.contains(source))
        };
        let mut before = std::mem::take(&mut self.problems);
        let old: BTreeMap<_, _> = before
            .iter()
            .filter(|(key, _)| looked_at(key))
            .map(|(key, reasons)| (key.clone(), reasons.clone()))
            .collect();
        before.retain(|key, _| !looked_at(key));
        before.extend(found.clone());
        self.problems = before;
        only.is_none() || report.added + report.updated + report.removed > 0 || old != found
    }
}

/// When which source is to be looked at.
#[derive(Debug)]
struct Schedule {
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
}

/// Sources by their base.
type Due = BTreeMap<String, BTreeSet<String>>;

impl Schedule {
    /// All sources were just looked at. `poll` is how often files are looked at that nobody tells of.
    fn new(bases: &[(String, BaseConfig)], poll: Option<Duration>, now: Instant) -> Self {
        let mut sources = Vec::new();
        for (base, config) in bases {
            for (source, config) in config.named_sources() {
                let local = !config.local_paths().is_empty();
                let every = config.every().or(poll.filter(|_| local));
                sources.push(Timed {
                    base: base.clone(),
                    source,
                    local,
                    every,
                    due: every.map(|every| now + every),
                });
            }
        }
        Self { sources }
    }

    /// When the next source is due; far away where none ever is.
    fn next(&self) -> Instant {
        let far = || Instant::now() + Duration::from_secs(24 * 3600);
        self.sources
            .iter()
            .filter_map(|s| s.due)
            .min()
            .unwrap_or_else(far)
    }

    /// What is due now; it is due again after its time.
    fn take_due(&mut self, now: Instant) -> Due {
        let mut found = Due::new();
        for source in &mut self.sources {
            if source.due.is_some_and(|due| due <= now) {
                source.due = source.every.map(|every| now + every);
                let names = found.entry(source.base.clone()).or_default();
                names.insert(source.source.clone());
            }
        }
        found
    }

    /// What may have changed when files did.
    fn local(&self) -> Due {
        let mut found = Due::new();
        for source in self.sources.iter().filter(|s| s.local) {
            let names = found.entry(source.base.clone()).or_default();
            names.insert(source.source.clone());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> BaseConfig {
        toml::from_str(text).unwrap()
    }

    fn named(due: &Due) -> Vec<String> {
        due.iter()
            .flat_map(|(base, names)| names.iter().map(move |n| format!("{base}/{n}")))
            .collect()
    }

    #[test]
    fn a_problem_is_told_once_as_long_as_it_lasts() {
        let with = |reason: Option<&str>| IngestReport {
            problems: reason
                .map(|reason| praxis_knowledge::SourceProblem {
                    source: "w".to_owned(),
                    reason: reason.to_owned(),
                    hint: None,
                })
                .into_iter()
                .collect(),
            ..IngestReport::default()
        };
        let mut teller = Teller {
            voice: Voice::Log,
            problems: BTreeMap::new(),
        };
        let web = BTreeSet::from(["w".to_owned()]);
        let other = BTreeSet::from(["g".to_owned()]);
        for (only, reason, news) in [
            (None, None, true),
            (Some(&web), None, false),
            (Some(&web), Some("down"), true),
            (Some(&web), Some("down"), false),
            (Some(&other), None, false),
            (Some(&web), Some("slow"), true),
            (Some(&web), None, true),
            (Some(&web), None, false),
        ] {
            let found = teller.is_news("a", only, &with(reason));
            assert_eq!(found, news, "{only:?} {reason:?}");
        }
    }

    #[test]
    fn sources_are_due_after_their_time_and_files_when_they_change() {
        let bases = [
            (
                "a".to_owned(),
                base(
                    "[source]\n[[sources]]\ntype = \"web\"\nname = \"w\"\nurls = [\"https://e.com/\"]\nevery = \"1h\"",
                ),
            ),
            (
                "b".to_owned(),
                base(
                    "[[sources]]\ntype = \"git\"\nname = \"g\"\nurl = \"../x\"\nevery = \"10m\"\n\
                     [[sources]]\ntype = \"sql\"\ndatabase = \"a.db\"\nquery = \"SELECT 1 AS id\"",
                ),
            ),
        ];
        let now = Instant::now();
        let minutes = |n: u64| now + Duration::from_secs(60 * n);
        let mut schedule = Schedule::new(&bases, None, now);
        assert_eq!(schedule.next(), minutes(10));
        assert_eq!(named(&schedule.take_due(minutes(9))), Vec::<String>::new());
        assert_eq!(named(&schedule.take_due(minutes(10))), ["b/g"]);
        assert_eq!(schedule.next(), minutes(20));
        assert_eq!(named(&schedule.take_due(minutes(70))), ["a/w", "b/g"]);
        assert_eq!(named(&schedule.local()), ["a/"]);

        let polled = Schedule::new(&bases[..1], Some(POLL), now);
        assert_eq!(polled.next(), now + POLL);
        let idle = Schedule::new(&[("c".to_owned(), base(""))], None, now);
        assert!(idle.next() > minutes(60));
    }
}
