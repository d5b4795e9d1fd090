//! Ingesting again what changes: files when the system tells of it, other sources as often as they say; and what failed,
//! after a while. One ingest runs at a time. Left out: what an ingest is, and who asked for it.

mod schedule;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use praxis_core::{CallContext, CallError, Caller, Clearance, ErrorCode, TraceSink};
use praxis_knowledge::{BaseConfig, IngestEvent, IngestReport, Knowledge};
use praxis_sources::watch::Changes;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::schedule::{Missing, Schedule};
use super::ingest;
use crate::app::{App, STATE_DIR};
use crate::ui;

/// How often files are looked at where the system does not tell of changes.
const POLL: Duration = Duration::from_secs(10);

/// What stands for what is missing of a source as a whole.
const WHOLE: &str = "";

/// What stands for contexts of chunks that no model wrote.
const CONTEXTS: &str = " contexts";

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

/// Ingests everything, and then what changes, until it is cancelled. An ingest that fails is told, and tried again after
/// longer and longer pauses.
///
/// # Errors
/// What stops the first ingest for as long as nobody mends it, such as an embedder that is not there, where a person or
/// a program waits for it. Beside a server that is tried again, too.
pub async fn run(
    watched: Watched,
    voice: Voice,
    cancel: CancellationToken,
) -> Result<(), CallError> {
    let mut watch = Watch::begin(&watched, voice);
    for (base, _) in &watched.bases {
        match watch.look(base, None, &cancel).await {
            Looked::Done => {}
            Looked::Stopped => return Ok(()),
            Looked::Failed(error, _) if voice != Voice::Log && !may_pass(&error) => {
                return Err(error);
            }
            Looked::Failed(error, pause) => watch.teller.fail(base, &error, pause),
        }
    }
    if voice != Voice::Log {
        ui::note("Watching; Ctrl-C stops.");
    }
    loop {
        let due = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = changed(watch.changes.as_mut()) => watch.schedule.local(),
            () = tokio::time::sleep_until(watch.schedule.next()) => {
                watch.schedule.take_due(Instant::now())
            }
        };
        watch.tell_blind();
        for (base, only) in &due {
            match watch.look(base, Some(only), &cancel).await {
                Looked::Done => {}
                Looked::Stopped => return Ok(()),
                Looked::Failed(error, pause) => watch.teller.fail(base, &error, pause),
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

/// Whether an error may be gone by itself after a while. One that is not is the user's to mend: a model that was never
/// pulled, a key that is refused.
fn may_pass(error: &CallError) -> bool {
    matches!(
        error.code,
        ErrorCode::RateLimited
            | ErrorCode::Timeout
            | ErrorCode::Upstream
            | ErrorCode::StorageFull
            | ErrorCode::Internal
    )
}

/// Bases that are watched.
struct Watch<'a> {
    watched: &'a Watched,
    /// `None` where the system tells of nothing at all.
    changes: Option<Changes>,
    /// Paths that were told to be unwatched.
    blind: BTreeSet<PathBuf>,
    schedule: Schedule,
    teller: Teller,
}

/// What came of a look.
enum Looked {
    Done,
    /// It is looked again after a pause.
    Failed(CallError, Duration),
    /// Somebody stopped it.
    Stopped,
}

impl<'a> Watch<'a> {
    /// Begins to watch. Before the first ingest, so that what changes meanwhile is not missed.
    fn begin(watched: &'a Watched, voice: Voice) -> Self {
        let sources: Vec<_> = watched
            .bases
            .iter()
            .flat_map(|(_, config)| config.named_sources())
            .map(|(_, source)| source)
            .collect();
        let now = Instant::now();
        let mut schedule = Schedule::new(&watched.bases, now);
        let changes = match Changes::watch(&watched.dir, &sources, STATE_DIR) {
            Ok(changes) => Some(changes),
            Err(error) => {
                ui::warn(format!(
                    "files cannot be watched ({error}): they are looked at every {POLL:?}"
                ));
                schedule.poll(POLL, now);
                None
            }
        };
        let mut watch = Self {
            watched,
            changes,
            blind: BTreeSet::new(),
            schedule,
            teller: Teller::new(voice),
        };
        watch.tell_blind();
        watch
    }

    /// Tells of paths that are not watched any more, and has them looked at instead.
    fn tell_blind(&mut self) {
        for (path, error) in self.changes.iter().flat_map(Changes::blind) {
            if self.blind.insert(path.clone()) {
                ui::warn(format!(
                    "`{}` cannot be watched ({error}): it is looked at every {POLL:?}",
                    path.display()
                ));
                self.schedule.poll(POLL, Instant::now());
            }
        }
    }

    /// Ingests a base, or some of its sources, and tells what is new. What failed is on the schedule again.
    async fn look(
        &mut self,
        base: &str,
        only: Option<&BTreeSet<String>>,
        cancel: &CancellationToken,
    ) -> Looked {
        match once(self.watched, base, only, self.teller.voice, cancel).await {
            Ok(Some(report)) => {
                self.teller.tell(base, only, &report);
                let missing = missing(self.watched, base, only, &report).await;
                self.schedule.looked(base, only, missing, Instant::now());
                Looked::Done
            }
            Ok(None) => Looked::Stopped,
            Err(error) => {
                let pause = self.schedule.failed(base, only, Instant::now());
                Looked::Failed(error, pause)
            }
        }
    }
}

/// What an ingest missed that may be had soon, by source: documents that could not be read, sources that told nothing,
/// contexts that no model wrote.
async fn missing(
    watched: &Watched,
    base: &str,
    only: Option<&BTreeSet<String>>,
    report: &IngestReport,
) -> Missing {
    let mut missing = Missing::new();
    let mut miss = |source: &str, what: &str| {
        let of_source = missing.entry(source.to_owned()).or_default();
        of_source.insert(what.to_owned());
    };
    for source in &report.unheard {
        miss(source, WHOLE);
    }
    if !report.failed.is_empty() {
        let all = Clearance::Full;
        let heads = watched.knowledge.documents(base, &all).await;
        // Where the store does not answer, the next look finds what is missing.
        let heads = heads.unwrap_or_default().into_iter();
        let sources: HashMap<String, String> =
            heads.map(|head| (head.uri, head.origin.source)).collect();
        for failed in &report.failed {
            if let Some(source) = sources.get(&failed.uri) {
                miss(source, &failed.uri);
            }
        }
    }
    if report.contexts.as_ref().is_some_and(|c| c.missing > 0) {
        let config = watched.bases.iter().find(|(name, _)| name == base);
        let sources = config.map(|(_, config)| config.named_sources());
        for (source, _) in sources.unwrap_or_default() {
            if only.is_none_or(|only| only.contains(&source)) {
                miss(&source, CONTEXTS);
            }
        }
    }
    missing
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
        Voice::Log => {
            let told = |event: IngestEvent| {
                if event == IngestEvent::Waiting {
                    ui::note(ingest::waiting(base));
                }
            };
            knowledge.ingest_sources(base, only, &told, &cx).await
        }
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
    /// Bases that were told of.
    told: BTreeSet<String>,
    /// What was told of the sources that have problems, by base and source.
    problems: BTreeMap<(String, String), Vec<String>>,
    /// What was told of bases whose last ingest failed.
    failures: BTreeMap<String, String>,
}

impl Teller {
    fn new(voice: Voice) -> Self {
        Self {
            voice,
            told: BTreeSet::new(),
            problems: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

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

    /// Tells that an ingest failed and is tried again after a pause; once, as long as it fails in the same way.
    fn fail(&mut self, base: &str, error: &CallError, pause: Duration) {
        let reason = error.to_string();
        if self.failures.get(base) == Some(&reason) {
            return;
        }
        ui::warn(format!("{base}: {reason}"));
        if let Some(hint) = &error.hint {
            ui::hint(hint);
        }
        ui::hint(format!(
            "it is tried again in {pause:?}, then after longer and longer pauses"
        ));
        self.failures.insert(base.to_owned(), reason);
    }

    /// Whether something changed: documents, what is wrong with the sources that were looked at, or that an ingest
    /// works again. The first one that works is always news.
    fn is_news(
        &mut self,
        base: &str,
        only: Option<&BTreeSet<String>>,
        report: &IngestReport,
    ) -> bool {
        let is_first = self.told.insert(base.to_owned());
        let is_back = self.failures.remove(base).is_some();
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
        let changed = report.added + report.updated + report.removed > 0;
        is_first || is_back || changed || old != found
    }
}

#[cfg(test)]
mod tests;
