//! What handlers reach.

use std::ops::Deref;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use praxis_core::speech::Transcriber;
use praxis_core::{CallContext, Caller, ChatGateway, Embedder, ModelError, TraceSink};
use praxis_function::Library;
use praxis_knowledge::{Files, Knowledge, VectorStores};
use praxis_store::Store;
use serde::Serialize;

use crate::access::Access;
use crate::batches::Batches;
use crate::cors::Cors;
use crate::guard::Paying;
use crate::responses::Responses;

/// Gives the embedder of a name, or the application's default, for a call.
pub type EmbedderSource =
    Arc<dyn Fn(Option<&str>, &CallContext) -> Result<Arc<dyn Embedder>, ModelError> + Send + Sync>;

/// Gives the speech model of a name, or the default one, for a call.
pub type TranscriberSource = Arc<
    dyn Fn(Option<&str>, &CallContext) -> Result<Arc<dyn Transcriber>, ModelError> + Send + Sync,
>;

/// Gives the models of the application.
pub type ModelList = Arc<dyn Fn() -> Vec<ModelInfo> + Send + Sync>;

/// A model, as `/v1/models` lists it.
#[derive(Debug, Clone, Serialize)]
pub struct ModelInfo {
    /// Its name.
    pub id: String,
    /// Who runs it: `local`, or the provider.
    pub owned_by: String,
    /// What it does: `chat` or `embedding`.
    pub task: String,
    /// Whether it can be called now.
    pub available: bool,
    /// Whether the application names it, or has it as a default.
    pub declared: bool,
}

/// What an application says of itself.
#[derive(Debug, Clone, Default)]
pub struct AppInfo {
    /// Title of the console.
    pub title: String,
    /// One sentence about it.
    pub description: String,
    /// Questions to offer to a newcomer.
    pub suggestions: Vec<String>,
}

/// What handlers reach. Each request has copies of it, and they are cheap.
#[derive(Clone)]
pub struct ApiState(Arc<Reach>);

/// What an [`ApiState`] is made of.
#[derive(Clone)]
pub struct Reach {
    /// The application.
    pub app: Arc<AppInfo>,
    /// Chat models.
    pub chat: Arc<dyn ChatGateway>,
    /// Embedding models.
    pub embedders: EmbedderSource,
    /// Speech models.
    pub transcribers: TranscriberSource,
    /// All models.
    pub models: ModelList,
    /// Functions.
    pub library: Arc<Library>,
    /// Knowledge bases.
    pub knowledge: Arc<Knowledge>,
    /// Files that clients sent.
    pub files: Arc<Files>,
    /// Vector stores, whose work in the background is the server's to run.
    pub vector_stores: Arc<VectorStores>,
    /// Responses and conversations, whose work in the background is the server's to end.
    pub responses: Arc<Responses>,
    /// Batches, whose work in the background is the server's to run.
    pub batches: Arc<Batches>,
    /// The store, for traces.
    pub store: Store,
    /// Where spans go.
    pub sink: Arc<dyn TraceSink>,
    /// Who may ask, where the application has keys.
    pub access: Option<Arc<Access>>,
    /// Which pages of other sites may ask.
    pub cors: Cors,
    /// The metrics of this process.
    pub metrics: PrometheusHandle,
}

impl From<Reach> for ApiState {
    fn from(reach: Reach) -> Self {
        Self(Arc::new(reach))
    }
}

impl Deref for ApiState {
    type Target = Reach;

    fn deref(&self) -> &Reach {
        &self.0
    }
}

impl ApiState {
    /// A context for a new call of this caller, and of who pays for it.
    pub(crate) fn context(&self, caller: Caller, paying: Paying) -> CallContext {
        let cx = CallContext::new(Arc::clone(&self.sink)).with_caller(caller);
        paying.pays_in(cx)
    }
}
