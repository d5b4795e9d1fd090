//! Routes that can be told: a `Router` answers requests and does not say which.

use axum::Router;
use axum::routing::MethodRouter;

use crate::state::ApiState;

/// A router, and the paths of its routes.
pub(crate) struct Routes {
    router: Router<ApiState>,
    paths: Vec<String>,
}

impl Routes {
    /// No routes.
    pub fn new() -> Self {
        Self {
            router: Router::new(),
            paths: Vec::new(),
        }
    }

    /// The same with one more.
    pub fn route(self, path: &str, methods: MethodRouter<ApiState>) -> Self {
        let Self { router, mut paths } = self;
        paths.push(path.to_owned());
        Self {
            router: router.route(path, methods),
            paths,
        }
    }

    /// The same with those of another.
    pub fn merge(self, other: Self) -> Self {
        let Self { router, mut paths } = self;
        paths.extend(other.paths);
        Self {
            router: router.merge(other.router),
            paths,
        }
    }

    /// The router.
    pub fn into_router(self) -> Router<ApiState> {
        self.router
    }

    /// The paths, for the test that compares them with the document.
    #[cfg(test)]
    pub fn paths(&self) -> &[String] {
        &self.paths
    }
}
