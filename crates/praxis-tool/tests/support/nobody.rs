//! An application without models, for tools that ask none. Left out: what is in it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, say what they skip, and share support that not each of them uses"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::approval::NoApprovals;
use praxis_core::embed::TokenCounter;
use praxis_core::trace::NoTrace;
use praxis_core::{
    CallContext, CallError, Caller, ChatGateway, ChatRequest, ChatStream, EmbedKind, Embedder,
    Function, ModelError,
};
use praxis_tool::{ToolDeps, Toolbox};
use serde_json::Value;

/// Models that are not there.
struct Nobody;

fn nobody<T>() -> Result<T, ModelError> {
    Err(ModelError::NotFound("there are no models here".to_owned()))
}

#[async_trait]
impl ChatGateway for Nobody {
    async fn chat(&self, _: ChatRequest, _: &CallContext) -> Result<ChatStream, ModelError> {
        nobody()
    }
}

#[async_trait]
impl Embedder for Nobody {
    fn identity(&self) -> String {
        "nobody".to_owned()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        nobody()
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        nobody()
    }

    async fn embed(&self, _: EmbedKind, _: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
        nobody()
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        nobody()
    }
}

/// What tools of the application in `root` reach the world through.
pub fn deps(root: &Path) -> ToolDeps {
    ToolDeps {
        chat: Arc::new(Nobody),
        embedder: Arc::new(Nobody),
        approvals: Arc::new(NoApprovals),
        root: root.to_owned(),
        state: root.join(".praxis/tools"),
    }
}

/// The functions of an application, by name, and what was said when they were made.
pub struct Functions {
    by_name: BTreeMap<String, Arc<dyn Function>>,
    /// Mistakes and warnings.
    pub said: Vec<String>,
}

impl Functions {
    /// Those of the application in `root`.
    pub async fn load(root: &Path) -> Self {
        let loaded = Toolbox::read(root).load(&deps(root)).await;
        let named = loaded
            .functions
            .into_iter()
            .map(|f| (f.signature().name.clone(), f));
        let said = loaded.diagnostics.iter();
        Self {
            by_name: named.collect(),
            said: said
                .map(|one| format!("{}: {:?}", one.message, one.help))
                .collect(),
        }
    }

    /// Whether this machine has no sandbox, or no Python, which is said then. All else that is wrong is a mistake.
    pub fn is_skipped(&self) -> bool {
        let Some(why) = self.said.first() else {
            return false;
        };
        let is_machine = why.contains("there is no sandbox") || why.contains("cannot run `");
        assert!(is_machine, "{:?}", self.said);
        eprintln!("SKIPPED: {why}");
        true
    }

    /// Their names.
    pub fn names(&self) -> Vec<&str> {
        self.by_name.keys().map(String::as_str).collect()
    }

    /// Calls one, in the name of the owner.
    pub async fn call(&self, name: &str, input: Value) -> Result<Value, CallError> {
        self.call_as(Caller::full(), name, input).await
    }

    /// Calls one, in somebody's name.
    pub async fn call_as(
        &self,
        caller: Caller,
        name: &str,
        input: Value,
    ) -> Result<Value, CallError> {
        let cx = CallContext::new(Arc::new(NoTrace)).with_caller(caller);
        let function = self.by_name.get(name);
        function
            .unwrap_or_else(|| panic!("there is no `{name}`"))
            .call(input, &cx)
            .await
    }
}
