//! Looks now and then whether resources have changed that a client has subscribed to. Left out: how it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use praxis_core::CallContext;

use super::server::{Listed, Server};

/// The pause between two looks.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// The most resources that a client subscribes to.
pub(super) const MOST: usize = 100;

/// What a client has subscribed to, as it was when it was last looked at.
pub(super) struct Watch {
    server: Arc<Server>,
    cx: CallContext,
    resources: BTreeMap<String, Option<String>>,
    /// Of each part of the list; none where the list is not watched.
    lists: Option<Vec<Option<Listed>>>,
}

impl Watch {
    /// Watches these resources, and the list where that is wanted, as they are now.
    pub(super) async fn new(
        server: Arc<Server>,
        cx: CallContext,
        uris: impl IntoIterator<Item = String>,
        list: bool,
    ) -> Self {
        let uris = uris.into_iter().take(MOST).map(|uri| (uri, None));
        let mut watch = Self {
            lists: list.then(|| vec![None; server.resources.len()]),
            resources: uris.collect(),
            server,
            cx,
        };
        watch.changed().await;
        watch
    }

    /// Watches one more; `false` where there are too many.
    pub(super) async fn add(&mut self, uri: &str) -> bool {
        if self.resources.contains_key(uri) {
            return true;
        }
        if self.resources.len() >= MOST {
            return false;
        }
        let version = self.version(uri).await;
        self.resources.insert(uri.to_owned(), version);
        true
    }

    /// Watches one less.
    pub(super) fn remove(&mut self, uri: &str) {
        self.resources.remove(uri);
    }

    /// Those that have changed since the last look, and whether the list has.
    pub(super) async fn changed(&mut self) -> (Vec<String>, bool) {
        let mut changed = Vec::new();
        let uris: Vec<String> = self.resources.keys().cloned().collect();
        for uri in uris {
            let now = self.version(&uri).await;
            if self.resources.get(&uri) != Some(&now) {
                self.resources.insert(uri.clone(), now);
                changed.push(uri);
            }
        }
        let mut list_changed = false;
        if let Some(lists) = &mut self.lists {
            for (before, resources) in lists.iter_mut().zip(&self.server.resources) {
                // What cannot be told just now is told later.
                let Ok(now) = resources.listed(before.as_ref(), &self.cx).await else {
                    continue;
                };
                list_changed |= before
                    .as_ref()
                    .is_some_and(|before| before.seen != now.seen);
                *before = Some(now);
            }
        }
        (changed, list_changed)
    }

    async fn version(&self, uri: &str) -> Option<String> {
        for resources in &self.server.resources {
            if let Ok(Some(version)) = resources.version(uri, &self.cx).await {
                return Some(version);
            }
        }
        None
    }
}
