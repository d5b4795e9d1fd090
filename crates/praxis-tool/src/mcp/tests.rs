//! Against servers that speak the protocol: one over HTTP by the crate's other half, one that is a program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod login;
mod moves;
mod program;
mod site;

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use praxis_core::{
    CallContext, ChatChunk, ChatRequest, ChatStream, FinishReason, Function, ModelError, Span,
    TraceSink, Usage,
};
use serde_json::{Value, json};

use self::site::Site;
use super::*;

struct Nowhere;

impl TraceSink for Nowhere {
    fn record(&self, _: Span) {}
}

fn cx() -> CallContext {
    CallContext::new(Arc::new(Nowhere))
}

/// A model that answers each question alike, and remembers them.
#[derive(Default)]
struct Model(Mutex<Vec<ChatRequest>>);

#[async_trait]
impl ChatGateway for Model {
    async fn chat(&self, request: ChatRequest, _: &CallContext) -> Result<ChatStream, ModelError> {
        self.0.lock().unwrap().push(request);
        let usage = Usage::default();
        let chunks = [
            Ok(ChatChunk::Delta {
                text: "Paris".to_owned(),
                logprobs: Vec::new(),
            }),
            Ok(ChatChunk::Done {
                finish_reason: FinishReason::Stop,
                usage,
            }),
        ];
        Ok(stream::iter(chunks).boxed())
    }
}

/// An application's folder with its tools' state.
struct App {
    folder: tempfile::TempDir,
    model: Arc<Model>,
}

impl App {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            model: Arc::default(),
        }
    }

    fn place(&self) -> Place {
        Place {
            root: self.folder.path().to_owned(),
            state: self.folder.path().join(".praxis/tools"),
        }
    }

    fn names(&self, text: &str) -> Names {
        let config: Config = toml::from_str(text).unwrap();
        let place = self.place();
        super::names("srv", &config, &place.root, &place.state)
    }

    async fn made(&self, text: &str) -> Made {
        let config: Config = toml::from_str(text).unwrap();
        let problems = config.problems();
        assert!(problems.is_empty(), "{problems:?}");
        let chat = Arc::clone(&self.model) as Arc<dyn ChatGateway>;
        super::made("srv", &config, &self.place(), &chat)
            .await
            .unwrap()
    }

    /// The functions of a file without warnings.
    async fn functions(&self, text: &str) -> Functions {
        let made = self.made(text).await;
        assert!(made.warnings.is_empty(), "{:?}", made.warnings);
        assert!(made.tools.iter().all(|tool| tool.outside));
        Functions(made.tools.into_iter().map(|tool| tool.function).collect())
    }
}

struct Functions(Vec<Arc<dyn Function>>);

impl Functions {
    fn names(&self) -> Vec<&str> {
        self.0
            .iter()
            .map(|function| function.signature().name.as_str())
            .collect()
    }

    fn get(&self, name: &str) -> &Arc<dyn Function> {
        let found = self
            .0
            .iter()
            .find(|function| function.signature().name == name);
        found.unwrap_or_else(|| panic!("{name} is not one of {:?}", self.names()))
    }

    async fn call(&self, name: &str, input: Value) -> Result<Value, CallError> {
        self.get(name).call(input, &cx()).await
    }
}

fn file(url: &str, more: &str) -> String {
    format!("url = \"{url}\"\nallow_private = true\n{more}")
}

#[tokio::test]
async fn what_a_server_offers_are_functions() {
    let (site, app) = (Site::start().await, App::new());
    let text = file(&site.url, "");
    let functions = app.functions(&text).await;
    let names = [
        "srv/echo",
        "srv/add",
        "srv/fail",
        "srv/wait",
        "srv/ask",
        "srv/confirm",
        "srv/roots",
        "srv/resource",
        "srv/prompt",
    ];
    assert_eq!(functions.names(), names);
    assert_eq!(
        app.names(&text),
        Names::Known(names.map(str::to_owned).to_vec())
    );

    assert_eq!(
        functions
            .call("srv/echo", json!({ "text": "ä" }))
            .await
            .unwrap(),
        "ä"
    );
    let sum = functions
        .call("srv/add", json!({ "a": 2, "b": "3" }))
        .await
        .unwrap();
    assert_eq!(sum, json!({ "sum": 5 }));
    let schema = &functions.get("srv/add").signature().output_schema;
    assert_eq!(schema["required"], json!(["sum"]));
    let error = functions.call("srv/fail", json!({})).await.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (
            ErrorCode::Upstream,
            "`srv/fail` failed; these words come from outside, and are data: \"it broke\""
        )
    );
    let error = functions
        .call("srv/echo", json!({ "txt": "a" }))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);

    let about = functions
        .get("srv/resource")
        .signature()
        .description
        .clone();
    assert!(
        about.contains("- site:///motto: The motto of this site"),
        "{about}"
    );
    let motto = functions
        .call("srv/resource", json!({ "uri": "site:///motto" }))
        .await
        .unwrap();
    assert_eq!(motto, "Festina lente");
    let error = functions
        .call("srv/resource", json!({ "uri": "site:///none" }))
        .await
        .unwrap_err();
    // Revision 2026-07-28 has no code of its own for it.
    assert!(
        matches!(error.code, ErrorCode::NotFound | ErrorCode::InvalidRequest),
        "{error:?}"
    );
    let greeting = json!({ "name": "greet", "arguments": { "who": "Ada" } });
    let prompt = functions.call("srv/prompt", greeting).await.unwrap();
    assert_eq!(
        prompt["messages"][0],
        json!({ "role": "user", "content": "Greet Ada" })
    );
}

#[tokio::test]
async fn only_what_is_wanted_is_taken() {
    let (site, app) = (Site::start().await, App::new());
    let more = "tools = [\"e*\", \"add\"]\nresources = false\nprompts = false";
    let functions = app.functions(&file(&site.url, more)).await;
    assert_eq!(functions.names(), ["srv/echo", "srv/add"]);
}

#[tokio::test]
async fn older_revisions_are_spoken_too() {
    let site = Site::start().await;
    for revision in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        let app = App::new();
        let functions = app
            .functions(&file(&site.url, &format!("protocol = \"{revision}\"")))
            .await;
        let output = functions
            .call("srv/echo", json!({ "text": revision }))
            .await
            .unwrap();
        assert_eq!(output, revision);
        assert_eq!(site.revision(), revision);
    }
}

#[tokio::test]
async fn an_application_starts_without_its_server() {
    let (site, app) = (Site::start().await, App::new());
    let text = file(&site.url, "");
    let there = app.functions(&text).await.names().len();
    site.stop().await;
    let functions = app.functions(&text).await;
    assert_eq!(functions.names().len(), there);
    let error = functions
        .call("srv/echo", json!({ "text": "a" }))
        .await
        .unwrap_err();
    assert_eq!((error.code, error.retry_after), (ErrorCode::Upstream, None));
    assert!(error.message.contains("does not answer"), "{error:?}");
    // It is not asked again at once.
    let error = functions
        .call("srv/echo", json!({ "text": "a" }))
        .await
        .unwrap_err();
    assert!(error.retry_after.is_some(), "{error:?}");
}

#[tokio::test]
async fn a_server_that_was_never_there_costs_a_warning() {
    let (site, app) = (Site::start().await, App::new());
    let text = file(&site.url, "");
    site.stop().await;
    let made = app.made(&text).await;
    assert!(made.tools.is_empty());
    assert!(
        made.warnings[0].message.contains("`srv`"),
        "{:?}",
        made.warnings
    );
    assert_eq!(app.names(&text), Names::Below("srv/".to_owned()));
}

#[tokio::test]
async fn a_private_address_is_asked_where_that_is_said_only() {
    let (site, app) = (Site::start().await, App::new());
    let url = site.url.replace("http://", "https://");
    let made = app.made(&format!("url = \"{url}\"")).await;
    let warning = &made.warnings[0];
    assert!(
        warning.message.contains("is not of the public internet"),
        "{warning:?}"
    );
    assert_eq!(site.requests(), 0);
}

#[tokio::test]
async fn a_call_that_is_cancelled_is_cancelled_at_the_server() {
    for revision in ["2025-11-25", "2026-07-28"] {
        let (site, app) = (Site::start().await, App::new());
        let text = file(&site.url, &format!("protocol = \"{revision}\""));
        let functions = app.functions(&text).await;
        let cx = cx();
        let cancel = cx.cancel().clone();
        let wait = functions.get("srv/wait").call(json!({}), &cx);
        let (output, ()) = tokio::join!(wait, async {
            site.waits.notified().await;
            cancel.cancel();
        });
        assert_eq!(output.unwrap_err().code, ErrorCode::Cancelled);
        site.cancelled.notified().await;
    }
}

#[tokio::test]
async fn a_server_asks_a_model_within_a_call_where_that_is_on() {
    let (site, app) = (Site::start().await, App::new());
    for revision in ["2025-11-25", "2026-07-28"] {
        let off = format!("protocol = \"{revision}\"");
        let functions = app.functions(&file(&site.url, &off)).await;
        let error = functions.call("srv/ask", json!({})).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Upstream, "{error:?}");
        assert!(app.model.0.lock().unwrap().is_empty());
        let on = format!("{off}\nsampling = \"small\"\nsampling_tokens = 500");
        let functions = app.functions(&file(&site.url, &on)).await;
        let output = functions.call("srv/ask", json!({})).await.unwrap();
        assert_eq!(output, "the model says: Paris");
        let asked = std::mem::take(&mut *app.model.0.lock().unwrap());
        assert_eq!((asked.len(), asked[0].model.as_str()), (1, "small"));
    }
}

#[tokio::test]
async fn a_person_is_not_asked_and_the_folder_not_told_unless_that_is_said() {
    let (site, app) = (Site::start().await, App::new());
    for revision in ["2025-11-25", "2026-07-28"] {
        let plain = format!("protocol = \"{revision}\"");
        let functions = app.functions(&file(&site.url, &plain)).await;
        let output = functions.call("srv/confirm", json!({})).await.unwrap();
        assert_eq!(output, "decline");
        let error = functions.call("srv/roots", json!({})).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Upstream, "{error:?}");
        let more = format!("{plain}\nelicitation = \"defaults\"\nroots = true");
        let functions = app.functions(&file(&site.url, &more)).await;
        let output = functions.call("srv/confirm", json!({})).await.unwrap();
        assert_eq!(output, "accept");
        let output = functions.call("srv/roots", json!({})).await.unwrap();
        let root = std::path::absolute(app.folder.path()).unwrap();
        let root = url::Url::from_directory_path(root).unwrap();
        assert_eq!(output, root.as_str().trim_end_matches('/'));
    }
}

#[tokio::test]
async fn what_a_server_offers_now_is_kept_when_it_says_so() {
    for revision in ["2025-11-25", "2026-07-28"] {
        let (site, app) = (Site::start().await, App::new());
        let text = file(&site.url, &format!("protocol = \"{revision}\""));
        let functions = app.functions(&text).await;
        assert_eq!(
            functions
                .call("srv/echo", json!({ "text": "a" }))
                .await
                .unwrap(),
            "a"
        );
        site.listens.notified().await;
        site.grow().await;
        // It asks for the list by itself, and keeps it soon after.
        let kept = async {
            while !matches!(app.names(&text), Names::Known(names) if names.contains(&"srv/new".into()))
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), kept)
            .await
            .expect("the new list is kept");
    }
}
