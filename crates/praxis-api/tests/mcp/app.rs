//! An application without models whose functions and documents a server of MCP offers, for tests and for the example
//! that the protocol's conformance suite is run against.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use metrics_exporter_prometheus::PrometheusBuilder;
use praxis_api::{Access, ApiState, AppInfo, Batches, Cors, Reach, Responses};
use praxis_core::embed::TokenCounter;
use praxis_core::function::now_ms;
use praxis_core::trace::NoTrace;
use praxis_core::{
    CallContext, CallError, CallEvent, Caller, ChatGateway, ChatRequest, ChatStream, Clearance,
    DocumentId, Effect, Effects, EmbedKind, Embedder, ErrorCode, Function, Metadata, ModelError,
    Retriever, Secret, Signature, now_s,
};
use praxis_function::{Deps, Functions, Known, Library, Moderator};
use praxis_knowledge::{BaseConfig, FileLimits, Files, Knowledge, VectorStores};
use praxis_store::{NewDocument, NewKey, Origin, Scopes, Store};
use serde_json::{Value, json};
use tokio::sync::Notify;

const GREET: &str = "---\ndescription: Greets somebody.\ninput:\n  schema:\n    name: string, who is greeted\n    \
     tone?(enum): [warm, cool]\n    times?: integer\n---\n{{role \"system\"}}\nBe {{tone}}.\n\
     {{role \"user\"}}\nGreet {{name}}.\n";

/// Documents of the base `handbook`: id, title, text and labels.
const DOCUMENTS: [(&str, &str, &str, &[&str]); 3] = [
    ("d-open", "Holidays", "Thirty days a year.", &[]),
    ("d-hr", "Salaries", "Ask the board.", &["hr"]),
    ("d-board", "Mergers", "None is planned.", &["board"]),
];

/// Keys: their names, what they are for, and the label that they have beside none, if it is not all.
pub type Keys<'k> = &'k [(&'k str, &'k [&'k str], Option<&'k str>)];

/// Neither chats nor embeds.
struct NoModel;

fn none<T>() -> Result<T, ModelError> {
    Err(ModelError::NotFound("there is no model".to_owned()))
}

#[async_trait]
impl ChatGateway for NoModel {
    async fn chat(&self, _: ChatRequest, _: &CallContext) -> Result<ChatStream, ModelError> {
        none()
    }
}

#[async_trait]
impl Embedder for NoModel {
    fn identity(&self) -> String {
        "none@1".to_owned()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        none()
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        none()
    }

    async fn embed(&self, _: EmbedKind, _: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
        none()
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        none()
    }
}

/// What the functions of the application are about.
#[derive(Clone, Copy)]
enum Work {
    /// Doubles a number.
    Double,
    /// Fails.
    Fail,
    /// Writes a text in pieces.
    Tell,
    /// Waits until it is cancelled.
    Wait,
    /// Gives what its schema does not allow.
    Decline,
}

/// Told when `wait` has begun, and when it was cancelled.
#[derive(Clone, Default)]
pub struct Waiting {
    pub begun: Arc<Notify>,
    pub cancelled: Arc<Notify>,
}

struct Own {
    work: Work,
    signature: Signature,
    waiting: Waiting,
}

impl Own {
    fn all(waiting: &Waiting) -> Vec<Arc<dyn Function>> {
        let of_integer = |name: &str| {
            json!({
                "type": "object",
                "properties": { name: { "type": "integer" } },
                "required": [name],
            })
        };
        let (number, doubled) = (of_integer("number"), of_integer("doubled"));
        let none = json!({ "type": "object", "properties": {} });
        let text = json!({ "type": "string" });
        let writes = Effects::of(&[Effect::Write, Effect::Irreversible]);
        let all = [
            (
                Work::Double,
                "math/double",
                number,
                doubled.clone(),
                Effects::READ,
            ),
            (Work::Fail, "fail", none.clone(), text.clone(), writes),
            (
                Work::Tell,
                "tell",
                none.clone(),
                text.clone(),
                Effects::READ,
            ),
            (Work::Wait, "wait", none.clone(), text, Effects::READ),
            (Work::Decline, "decline", none, doubled, Effects::READ),
        ];
        let function =
            |(work, name, input_schema, output_schema, effects): (Work, &str, _, _, _)| {
                Arc::new(Self {
                    work,
                    signature: Signature {
                        name: name.to_owned(),
                        description: format!("Does {name}."),
                        input_schema,
                        output_schema,
                        effects,
                    },
                    waiting: waiting.clone(),
                }) as Arc<dyn Function>
            };
        all.into_iter().map(function).collect()
    }
}

#[async_trait]
impl Function for Own {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn call(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        match self.work {
            Work::Double => match input["number"].as_i64() {
                Some(number) => Ok(json!({ "doubled": number * 2 })),
                None => Err(
                    CallError::new(ErrorCode::InvalidRequest, "`number` is no integer")
                        .with_hint("write a whole number"),
                ),
            },
            Work::Fail => {
                let error = CallError::new(ErrorCode::Upstream, "the service is down");
                Err(error.with_details(json!({ "since": "today" })))
            }
            Work::Tell => {
                for piece in ["Once ", "upon ", "a time."] {
                    let text = piece.to_owned();
                    cx.emit(CallEvent::Delta {
                        text,
                        logprobs: Vec::new(),
                    })
                    .await;
                }
                let call = praxis_core::ToolCall {
                    name: "look".to_owned(),
                    ..Default::default()
                };
                cx.emit(CallEvent::ToolCalled(call)).await;
                Ok(json!("Once upon a time."))
            }
            Work::Wait => {
                self.waiting.begun.notify_one();
                cx.cancel().cancelled().await;
                self.waiting.cancelled.notify_one();
                Err(CallError::new(
                    ErrorCode::Cancelled,
                    "the call was cancelled",
                ))
            }
            Work::Decline => Ok(json!("I may not say.")),
        }
    }
}

/// An application.
pub struct Application {
    /// What handlers reach.
    pub state: ApiState,
    /// Its keys by name.
    #[allow(dead_code, reason = "the example has no keys")]
    pub keys: BTreeMap<String, String>,
    /// Told of the function `wait`.
    #[allow(dead_code, reason = "the example has no such test")]
    pub waiting: Waiting,
    _folder: tempfile::TempDir,
}

impl Application {
    /// An application with keys of these names, each with scopes and labels, or without keys.
    pub async fn start(keys: Option<Keys<'_>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let waiting = Waiting::default();
        let base = (
            "handbook".to_owned(),
            folder.path().join("state/handbook"),
            BaseConfig::default(),
        );
        let app = AppInfo {
            title: "Handbook".to_owned(),
            description: "Answers questions about the handbook.".to_owned(),
            suggestions: Vec::new(),
        };
        let key = |(name, scopes, label): &(&str, &[&str], Option<&str>)| NewKey {
            name: (*name).to_owned(),
            scopes: Scopes::parse(scopes.iter().copied()).unwrap(),
            clearance: label.map_or(Clearance::Full, |label| Clearance::of([label])),
            limits: Vec::new(),
            expires_ms: None,
        };
        let content = Content {
            app,
            prompt: GREET,
            bases: vec![base],
            functions: Own::all(&waiting),
            keys: keys.map(|keys| keys.iter().map(key).collect()),
        };
        let (state, keys) = assemble(folder.path(), content).await;
        fill(&state.store).await;
        Self {
            state,
            keys,
            waiting,
            _folder: folder,
        }
    }
}

/// What an application has.
pub struct Content {
    pub app: AppInfo,
    /// Its prompt `greet`.
    pub prompt: &'static str,
    pub bases: Vec<(String, PathBuf, BaseConfig)>,
    pub functions: Vec<Arc<dyn Function>>,
    /// Those that may call it; none: everybody.
    pub keys: Option<Vec<NewKey>>,
}

/// What handlers reach of an application without models, and its keys by name.
pub async fn assemble(folder: &Path, content: Content) -> (ApiState, BTreeMap<String, String>) {
    let prompts = folder.join("prompts");
    std::fs::create_dir(&prompts).unwrap();
    std::fs::write(prompts.join("greet.prompt"), content.prompt).unwrap();
    let store = Store::open(&folder.join("praxis.db")).await.unwrap();
    let embedder: Arc<dyn Embedder> = Arc::new(NoModel);
    let source = {
        let embedder = Arc::clone(&embedder);
        Arc::new(move |_: Option<&str>| Ok(Arc::clone(&embedder)))
    };
    let place = folder.join("state");
    let knowledge = Knowledge::open(place, store.clone(), content.bases, source.clone());
    let knowledge = Arc::new(knowledge);
    let retriever: Arc<dyn Retriever> = knowledge.clone();
    let deps = Deps {
        chat: Arc::new(NoModel),
        retriever,
        embedder,
        functions: Functions::with_built_in(content.functions),
        moderator: Arc::new(Moderator::new(None)),
    };
    let library = Library::load(&prompts, &Known::default(), &deps).unwrap();
    let limits = FileLimits::default();
    let files = Files::new(folder.join("files"), store.clone(), limits, now_s);
    let files = Arc::new(files);
    let vector_stores = VectorStores::open(knowledge.clone(), files.clone(), now_s);
    let vector_stores = Arc::new(vector_stores.await.unwrap());
    let access = content.keys.as_ref().map(|_| {
        let nobody = Access::new(Vec::<(Secret, Caller)>::new());
        Arc::new(nobody.with_store(store.clone()))
    });
    let mut secrets = BTreeMap::new();
    for new in content.keys.unwrap_or_default() {
        let name = new.name.clone();
        let made = store.create_key(new, now_ms()).await.unwrap();
        let (_, secret) = made.unwrap();
        secrets.insert(name, secret.expose().to_owned());
    }
    let batches = Batches::new(store.clone(), files.clone(), access.clone(), now_s);
    let state = ApiState::from(Reach {
        app: Arc::new(content.app),
        chat: Arc::new(NoModel),
        transcribers: Arc::new(|_, _| none()),
        embedders: Arc::new(move |name, _| source(name)),
        models: Arc::new(Vec::new),
        library: Arc::new(library),
        knowledge,
        files,
        vector_stores,
        batches: Arc::new(batches),
        responses: Arc::new(Responses::new(store.clone(), now_s)),
        cors: Cors::default(),
        store,
        sink: Arc::new(NoTrace),
        access,
        metrics: PrometheusBuilder::new().build_recorder().handle(),
    });
    (state, secrets)
}

async fn fill(store: &Store) {
    store.prepare_base("handbook", "none@1", "s").await.unwrap();
    for (id, title, text, labels) in DOCUMENTS {
        let new = NewDocument {
            id: DocumentId::from_string(id),
            uri: format!("{title}.md"),
            origin: Origin::default(),
            title: title.to_owned(),
            text: text.to_owned(),
            hash: id.to_owned(),
            size: 1,
            modified: 1_700_000_000_000_000_000,
            error: None,
            hint: None,
            vector: Vec::new(),
            own: Metadata::new(),
            metadata: Metadata::new(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            settings: "s".to_owned(),
            chunks: Vec::new(),
        };
        store.put_document("handbook", &new).await.unwrap();
    }
}
