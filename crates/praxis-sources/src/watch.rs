//! Changes of files on this machine, as the system tells them. Left out: which bases they concern, and what is done
//! about them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::SourceConfig;
use crate::folder::split;

/// Changes belong together if no more than this lies between them: a copied folder is one change.
const QUIET: Duration = Duration::from_millis(500);

/// The longest that a change is held back for others.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells of changes below some folders.
pub struct Changes {
    events: mpsc::Receiver<()>,
    /// Ends with this.
    _watcher: RecommendedWatcher,
    /// Folders that the system tells nothing of, with its reason.
    pub blind: Vec<(PathBuf, String)>,
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
        let (tell, events) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // One event that waits says enough.
            if event.is_ok_and(|e| concerns(&e, ignored)) {
                let _ = tell.try_send(());
            }
        })
        .map_err(|e| e.to_string())?;
        let mut blind = Vec::new();
        for source in sources {
            for pattern in source.local_paths() {
                let (root, _) = split(dir, pattern);
                if let Err(error) = watcher.watch(&root, RecursiveMode::Recursive) {
                    blind.push((root, error.to_string()));
                }
            }
        }
        Ok(Self {
            events,
            _watcher: watcher,
            blind,
        })
    }

    /// Waits until something changed and then stayed as it is for a moment.
    pub async fn next(&mut self) {
        if self.events.recv().await.is_none() {
            // The watcher is gone: there is nothing to wait for.
            return std::future::pending().await;
        }
        let settled = async {
            while let Ok(Some(())) = tokio::time::timeout(QUIET, self.events.recv()).await {}
        };
        let _ = tokio::time::timeout(PATIENCE, settled).await;
    }
}

/// Whether an event may change a document: reading one does not, nor does what lies in an ignored folder.
fn concerns(event: &Event, ignored: &str) -> bool {
    let inside = |path: &PathBuf| path.components().any(|c| c.as_os_str() == ignored);
    let elsewhere = event.paths.is_empty() || !event.paths.iter().all(inside);
    elsewhere && !matches!(event.kind, EventKind::Access(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FolderConfig;

    #[tokio::test]
    async fn changes_are_told_once_for_many_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("docs")).unwrap();
        let config = |path: &str| {
            SourceConfig::Folder(FolderConfig {
                paths: vec![path.to_owned()],
                ..FolderConfig::default()
            })
        };
        let sources = [config("docs"), config("missing")];
        let mut changes = Changes::watch(dir.path(), &sources, ".praxis").unwrap();
        assert_eq!(changes.blind.len(), 1);
        for i in 0..5 {
            std::fs::write(dir.path().join(format!("docs/{i}.md")), "x").unwrap();
        }
        let second = Duration::from_secs(10);
        tokio::time::timeout(second, changes.next()).await.unwrap();
        assert!(
            tokio::time::timeout(QUIET, changes.next()).await.is_err(),
            "one change is told twice"
        );
        std::fs::create_dir(dir.path().join("docs/.praxis")).unwrap();
        std::fs::write(dir.path().join("docs/.praxis/db"), "x").unwrap();
        std::fs::remove_file(dir.path().join("docs/1.md")).unwrap();
        tokio::time::timeout(second, changes.next()).await.unwrap();
    }
}
