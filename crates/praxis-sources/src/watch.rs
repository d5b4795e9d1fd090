//! Changes of files on this machine, as the system tells them, also of files and folders that are replaced by others of
//! their name, as editors, exports and deployments do. Left out: which bases they concern, and what is done about
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::SourceConfig;
use crate::folder::split;

/// Changes belong together if no more than this lies between them: a copied folder is one change.
const QUIET: Duration = Duration::from_millis(500);

/// The longest that a change is held back for others.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether folders are still those that are watched: of what is replaced far above them, or
/// where a link leads to, the system tells nothing.
const LOOK: Duration = Duration::from_secs(30);

/// Tells of changes below some folders.
pub struct Changes {
    events: mpsc::Receiver<()>,
    eyes: Arc<Mutex<Eyes>>,
    /// Whether a change was told of that nobody has heard of yet.
    waiting: bool,
    /// When the folders are looked at next.
    look_at: Instant,
}

impl Changes {
    /// Watches the paths of sources, which are relative to `dir`. Sources without any are passed over. What is in
    /// a folder of the name `ignored` is no change.
    ///
    /// # Errors
    /// Why the system tells of no changes at all; then they have to be looked for.
    pub fn watch<'a>(
        dir: &Path,
        sources: impl IntoIterator<Item = &'a SourceConfig>,
        ignored: &'static str,
    ) -> Result<Self, String> {
        let patterns = sources.into_iter().flat_map(SourceConfig::local_paths);
        let paths: BTreeSet<PathBuf> = patterns.map(|p| plain(&split(dir, p).0)).collect();
        let (tell, mut events) = mpsc::channel(1);
        let mut eyes = Eyes::new(paths, ignored, tell).map_err(|e| e.to_string())?;
        eyes.look();
        // What is watched first is no change.
        while events.try_recv().is_ok() {}
        Ok(Self {
            events,
            eyes: Arc::new(Mutex::new(eyes)),
            waiting: false,
            look_at: Instant::now() + LOOK,
        })
    }

    /// Paths that the system tells nothing of now, with its reason: they have to be looked at.
    pub fn blind(&self) -> Vec<(PathBuf, String)> {
        locked(&self.eyes).blind()
    }

    /// Waits until something changed and then stayed as it is for a moment. Where nobody waits to the end, the change
    /// is told the next time.
    pub async fn next(&mut self) {
        while !self.waiting {
            match tokio::time::timeout_at(self.look_at, self.events.recv()).await {
                Ok(Some(())) => self.waiting = true,
                // Nobody tells any more, which is not to make this loop spin.
                Ok(None) => tokio::time::sleep(LOOK).await,
                Err(_) => self.look().await,
            }
        }
        let settled = async {
            while let Ok(Some(())) = tokio::time::timeout(QUIET, self.events.recv()).await {}
        };
        let _ = tokio::time::timeout(PATIENCE, settled).await;
        self.look().await;
        // What was told up to here is this change.
        while self.events.try_recv().is_ok() {}
        self.waiting = false;
    }

    /// Looks whether folders were replaced; if so, that is told. On a thread that may wait: a folder is walked
    /// through to be watched.
    async fn look(&mut self) {
        self.look_at = Instant::now() + LOOK;
        let eyes = Arc::clone(&self.eyes);
        let looked = tokio::task::spawn_blocking(move || locked(&eyes).look());
        // Where it failed, the next one finds the same.
        let _ = looked.await;
    }
}

/// What the system is asked to tell. It watches a folder, not a name: what takes the name afterwards is not watched, and
/// a file is not after it was replaced. So each path is watched twice, by what is below it and by what is in the folder
/// around it, and a folder is watched anew when another one has its name.
struct Eyes {
    /// The paths that are folders, with all that is below them.
    below: Eye,
    /// The folders that the paths are in.
    around: Eye,
    paths: BTreeSet<PathBuf>,
    news: Arc<News>,
}

/// What the system told.
struct News {
    tell: mpsc::Sender<()>,
    /// Names of paths that were replaced since the last look.
    replaced: Mutex<BTreeSet<OsString>>,
    /// Why the system does not tell of everything.
    lost: Mutex<Option<(PathBuf, String)>>,
}

impl Eyes {
    fn new(
        paths: BTreeSet<PathBuf>,
        ignored: &'static str,
        tell: mpsc::Sender<()>,
    ) -> notify::Result<Self> {
        let news = Arc::new(News {
            tell,
            replaced: Mutex::default(),
            lost: Mutex::default(),
        });
        let name = |path: &PathBuf| path.file_name().map(OsString::from);
        let names: BTreeSet<OsString> = paths.iter().filter_map(name).collect();
        let folders = paths.iter().filter_map(|path| path.parent());
        let folders: Vec<PathBuf> = folders.map(Path::to_owned).collect();
        let (of_below, of_around) = (Arc::clone(&news), Arc::clone(&news));
        let below = notify::recommended_watcher(move |event: notify::Result<Event>| {
            of_below.hear(event, |event| is_outside(event, ignored));
        })?;
        let around = notify::recommended_watcher(move |event: notify::Result<Event>| {
            of_around.hear(event, |event| of_around.is_of(event, &names));
        })?;
        Ok(Self {
            below: Eye::new(below, RecursiveMode::Recursive, paths.iter().cloned()),
            around: Eye::new(around, RecursiveMode::NonRecursive, folders),
            paths,
            news,
        })
    }

    /// Watches what is there now, and tells if it is not what was there.
    fn look(&mut self) {
        let replaced = std::mem::take(&mut *locked(&self.news.replaced));
        let around = self.around.look(&BTreeSet::new());
        if self.below.look(&replaced) || around {
            self.news.tell();
        }
    }

    fn blind(&self) -> Vec<(PathBuf, String)> {
        let blind = self.paths.iter().filter_map(|path| {
            let why = match self.below.folders.get(path) {
                Some(Watched { here: Some(_), why }) => why.clone(),
                // A file, or nothing yet: the folder around it tells.
                _ => match path.parent().and_then(|f| self.around.folders.get(f)) {
                    Some(Watched { here: Some(_), why }) => why.clone(),
                    _ => Some("it is not there, nor is its folder".to_owned()),
                },
            };
            Some((path.clone(), why?))
        });
        blind.chain(locked(&self.news.lost).clone()).collect()
    }
}

impl News {
    /// Tells of an event that counts.
    fn hear(&self, event: notify::Result<Event>, counts: impl Fn(&Event) -> bool) {
        match event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) || !counts(&event) => return,
            Ok(_) => {}
            Err(error) => {
                let path = error.paths.first().cloned().unwrap_or_default();
                locked(&self.lost).get_or_insert((path, error.to_string()));
            }
        }
        self.tell();
    }

    /// One change that waits says enough.
    fn tell(&self) {
        let _ = self.tell.try_send(());
    }

    /// Whether an event of a folder is about one of these names. Notes those whose file or folder may be another now.
    fn is_of(&self, event: &Event, names: &BTreeSet<OsString>) -> bool {
        let told = event.paths.iter().filter_map(|path| path.file_name());
        let told: Vec<OsString> = told
            .filter(|name| names.contains(*name))
            .map(OsString::from)
            .collect();
        let is_of = event.paths.is_empty() || !told.is_empty();
        let is_same = matches!(
            event.kind,
            EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_))
        );
        if !is_same {
            locked(&self.replaced).extend(told);
        }
        is_of
    }
}

/// Folders that are watched in one way.
struct Eye {
    watcher: RecommendedWatcher,
    mode: RecursiveMode,
    folders: BTreeMap<PathBuf, Watched>,
}

/// A path that is watched while a folder is there.
#[derive(Default)]
struct Watched {
    here: Option<Identity>,
    /// Why it cannot be watched.
    why: Option<String>,
}

impl Eye {
    fn new(
        watcher: RecommendedWatcher,
        mode: RecursiveMode,
        folders: impl IntoIterator<Item = PathBuf>,
    ) -> Self {
        let folders = folders.into_iter().map(|path| (path, Watched::default()));
        Self {
            watcher,
            mode,
            folders: folders.collect(),
        }
    }

    /// Watches the folders that are there now instead of those that were, and anew those of the names in `replaced`.
    /// Whether any is another one.
    fn look(&mut self, replaced: &BTreeSet<OsString>) -> bool {
        let mut changed = false;
        for (path, watched) in &mut self.folders {
            let here = identity(path);
            let is_replaced = path.file_name().is_some_and(|name| replaced.contains(name));
            if here == watched.here && !(is_replaced && here.is_some()) {
                continue;
            }
            changed |= here != watched.here;
            if watched.here.is_some() {
                // It may be gone, and with it what watched it.
                let _ = self.watcher.unwatch(path);
            }
            let watching = here.map(|_| self.watcher.watch(path, self.mode));
            watched.why = watching.and_then(Result::err).map(|e| e.to_string());
            watched.here = here;
        }
        changed
    }
}

/// Whether an event is of something that lies in no folder of a name.
fn is_outside(event: &Event, ignored: &str) -> bool {
    let inside = |path: &PathBuf| path.components().any(|c| c.as_os_str() == ignored);
    event.paths.is_empty() || !event.paths.iter().all(inside)
}

/// What tells a folder from another one of its name: where it is on its disk, and when it was made, since places are
/// used again.
type Identity = ((u64, u64), Option<SystemTime>);

/// The folder at a path, which may be a link to it.
fn identity(path: &Path) -> Option<Identity> {
    let found = std::fs::metadata(path).ok().filter(|m| m.is_dir())?;
    #[cfg(unix)]
    let place = {
        use std::os::unix::fs::MetadataExt;
        (found.dev(), found.ino())
    };
    #[cfg(not(unix))]
    let place = (0, 0);
    Some((place, found.created().ok()))
}

/// A path without `.` and `..`, so that its last part is its name.
fn plain(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// What is behind a lock: whole at any moment, whoever failed while holding it.
fn locked<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
