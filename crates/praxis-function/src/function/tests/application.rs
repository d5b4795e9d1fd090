//! The application's guard: around functions, whatever their prompts say, and around models that are asked past them.
//!
//! Of the scripted embedder's words, `cat` is violence, `dog` is hate and `hen` is a category of the application's own.

use praxis_core::chat::{ChatAnswer, Layout, collect};
use praxis_core::{Severity, ToolSpec};

use super::*;
use crate::library::check_sources;
use crate::moderation::ApplicationGuard;
use crate::moderation::classifier::tests::of_axes;

const MAIL: &str = "ann@example.com";

/// An application with a guard, and a function `f`.
struct App {
    library: Library,
    chat: Arc<Scripted>,
    spans: Arc<Spans>,
}

fn known(guard: Value) -> Known {
    Known {
        models: vec!["judge".to_owned()],
        guard: Some(Arc::new(ApplicationGuard::read(&guard).unwrap())),
        ..Known::default()
    }
}

impl App {
    /// With these keys in the front matter of the function.
    fn new(
        guard: Value,
        front: &str,
        script: impl Fn(&ChatRequest, usize) -> Result<String, ModelError> + Send + Sync + 'static,
    ) -> Self {
        let chat = Arc::new(Scripted {
            script: Box::new(script),
            asked: Mutex::default(),
        });
        let moderator = Moderator::new(Some(of_axes("words", &["violence", "hate", "brand"], 3)));
        let deps = Deps {
            chat: chat.clone(),
            retriever: Arc::new(NoDocuments),
            embedder: Arc::new(Words),
            functions: Functions::default(),
            moderator: Arc::new(moderator),
        };
        let sources = [("f.prompt".to_owned(), prompt(front))].into();
        let library = Library::from_sources(&sources, "prompts", &known(guard), &deps);
        Self {
            library: library.map_err(|found| format!("{found:?}")).unwrap(),
            chat,
            spans: Arc::default(),
        }
    }

    fn context(&self) -> CallContext {
        CallContext::new(self.spans.clone())
    }

    async fn call(&self, text: &str) -> Result<Value, CallError> {
        let function = self.library.get("f").unwrap();
        function.call(json!({ "q": text }), &self.context()).await
    }

    /// What a client hears of a model, and how the answer ends.
    async fn ask(&self, request: ChatRequest) -> (Vec<ChatChunk>, Result<(), ModelError>) {
        let chat = self.library.guarded(self.chat.clone());
        let mut stream = match chat.chat(request, &self.context()).await {
            Ok(stream) => stream,
            Err(error) => return (Vec::new(), Err(error)),
        };
        let mut heard = Vec::new();
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => heard.push(chunk),
                Err(error) => return (heard, Err(error)),
            }
        }
        (heard, Ok(()))
    }

    async fn answer(&self, request: ChatRequest) -> Result<ChatAnswer, ModelError> {
        let chat = self.library.guarded(self.chat.clone());
        collect(chat.chat(request, &self.context()).await?).await
    }

    fn asked(&self) -> Vec<ChatRequest> {
        self.chat.asked.lock().unwrap().clone()
    }

    /// The steps of guards: side, whose, and what came of it.
    fn steps(&self) -> Vec<(String, String, Value)> {
        let spans = self.spans.0.lock().unwrap();
        let steps = spans.iter().filter(|span| span.name == "guard");
        let step = |span: &Span| {
            let word = |key: &str| span.input[key].as_str().unwrap().to_owned();
            (word("side"), word("guard"), span.output.clone())
        };
        steps.map(step).collect()
    }
}

fn said(text: &str) -> ChatRequest {
    ChatRequest {
        messages: vec![Message::user(text)],
        ..ChatRequest::default()
    }
}

fn text(heard: &[ChatChunk]) -> String {
    let texts = heard.iter().filter_map(|chunk| match chunk {
        ChatChunk::Delta { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn call_error(error: ModelError) -> CallError {
    error.into()
}

#[tokio::test]
async fn it_holds_for_a_function_that_says_nothing_of_guards() {
    let guard = json!({ "input": { "rules": "secrets", "action": "block" } });
    let app = App::new(guard, "", |_, _| Ok("fine".into()));
    assert_eq!(app.call("hello").await.unwrap(), "fine");
    let error = app.call("my key is AKIAIOSFODNN7EXAMPLE").await;
    let error = error.unwrap_err();
    assert_eq!(error.code, ErrorCode::ContentBlocked);
    assert!(
        error.hint.unwrap().contains("`[guard]` in praxis.toml"),
        "{}",
        error.message
    );
    assert_eq!(app.asked().len(), 1);
    let steps = app.steps();
    assert!(steps.iter().all(|(_, whose, _)| whose == "application"));
    // Who has the messages could ask any model past it.
    assert!(!app.library.get("f").unwrap().can_be_rendered());
}

#[tokio::test]
async fn a_function_can_be_stricter_and_never_laxer_unless_it_says_so() {
    let guard = json!({ "input": [
        { "rules": "email", "action": "block" },
        { "rules": "phone", "action": "flag" },
    ]});
    let mail = "write to ann@example.com";
    let phone = "call 13800138000";
    for (front, mail_passes, phone_passes) in [
        ("", false, true),
        (
            "praxis.guard:\n  input: {rules: [email], action: flag}\n",
            false,
            true,
        ),
        (
            "praxis.guard:\n  input: {rules: [phone], action: block}\n",
            false,
            false,
        ),
        ("praxis.guard: {inherit: false}\n", true, true),
        (
            "praxis.guard:\n  inherit: false\n  input: {rules: [phone], action: block}\n",
            true,
            false,
        ),
    ] {
        let app = App::new(guard.clone(), front, |_, _| Ok("fine".into()));
        assert_eq!(app.call(mail).await.is_ok(), mail_passes, "{front}");
        assert_eq!(app.call(phone).await.is_ok(), phone_passes, "{front}");
    }
}

#[test]
fn what_a_function_leaves_out_is_told_when_prompts_are_checked() {
    let guard = json!({ "input": { "rules": ["email", "phone"], "action": "mask" } });
    for (front, said) in [
        ("", None),
        (
            "praxis.guard:\n  input: {rules: [email], action: block}\n",
            None,
        ),
        (
            "praxis.guard: {inherit: false}\n",
            Some("`f` does without the application's guard"),
        ),
        (
            "praxis.guard:\n  input: {rules: [personal], action: flag}\n",
            Some("`guard.input` says less of `email`, `phone` than the application's guard"),
        ),
    ] {
        let sources = [("f.prompt".to_owned(), prompt(front))].into();
        let found = check_sources(&sources, "prompts", &known(guard.clone()));
        let messages: Vec<&str> = found.iter().map(|d| d.message.as_str()).collect();
        match said {
            None => assert!(found.is_empty(), "{front}: {messages:?}"),
            Some(said) => {
                assert_eq!(found.len(), 1, "{front}: {messages:?}");
                assert!(messages[0].starts_with(said), "{messages:?}");
                assert_eq!(found[0].severity, Severity::Warning);
            }
        }
    }
    // Without a guard of the application there is nothing to do without.
    let sources = [(
        "f.prompt".to_owned(),
        prompt("praxis.guard: {inherit: false}\n"),
    )]
    .into();
    assert!(check_sources(&sources, "prompts", &Known::default()).is_empty());
}

#[tokio::test]
async fn models_are_as_they_are_unless_it_is_said_to_hold_for_them() {
    let input = json!({ "rules": "email", "action": "block" });
    for (models, passes) in [(false, true), (true, false)] {
        let guard = json!({ "models": models, "input": input });
        let app = App::new(guard, "", |_, _| Ok("fine".into()));
        assert_eq!(app.answer(said(MAIL)).await.is_ok(), passes);
        assert_eq!(app.asked().len(), usize::from(passes));
        assert_eq!(app.library.model_guard().is_some(), models);
    }
}

#[tokio::test]
async fn whatever_a_client_sends_to_a_model_is_judged() {
    let guard = json!({ "models": true, "input": { "rules": "email", "action": "block" } });
    let told = |request: ChatRequest| ChatRequest {
        messages: vec![Message::user("hello")],
        ..request
    };
    let tool = ToolSpec {
        name: "mail".to_owned(),
        description: String::new(),
        parameters: json!({ "type": "object", "description": MAIL }),
    };
    let mut called = Message::assistant("");
    called.tool_calls.push(praxis_core::ToolCall {
        id: "c".to_owned(),
        name: "mail".to_owned(),
        arguments: json!({ "to": MAIL }).to_string(),
    });
    for request in [
        said(MAIL),
        ChatRequest {
            messages: vec![Message::system(MAIL), Message::user("hello")],
            ..ChatRequest::default()
        },
        ChatRequest {
            messages: vec![called, Message::tool("c", "sent")],
            ..ChatRequest::default()
        },
        told(ChatRequest {
            tools: vec![tool],
            ..ChatRequest::default()
        }),
        told(ChatRequest {
            constraint: Some(Constraint::Choice(vec![MAIL.to_owned()])),
            ..ChatRequest::default()
        }),
        told(ChatRequest {
            layout: Layout::Infill {
                suffix: MAIL.to_owned(),
            },
            ..ChatRequest::default()
        }),
    ] {
        let app = App::new(guard.clone(), "", |_, _| Ok("never".into()));
        let error = call_error(app.answer(request.clone()).await.unwrap_err());
        assert_eq!(error.code, ErrorCode::ContentBlocked, "{request:?}");
        assert_eq!(
            error.message,
            "the model does not take this input: it has an e-mail address"
        );
        assert_eq!(error.details.as_deref().unwrap()["side"], "input");
        assert!(app.asked().is_empty());
    }
}

#[tokio::test]
async fn models_read_placeholders_and_their_callers_values() {
    let guard = json!({ "models": true, "input": { "rules": "personal", "action": "mask" } });
    let app = App::new(guard, "", |request, _| {
        let all = serde_json::to_string(request).unwrap();
        assert!(!all.contains(MAIL), "{all}");
        Ok("I wrote to <EMAIL_1>.\n@mail {\"to\": \"<EMAIL_1>\"}".into())
    });
    let mut request = said("Write to ann@example.com, please.");
    request.tools = vec![ToolSpec {
        name: "mail".to_owned(),
        description: "Writes, to ann@example.com for one.".to_owned(),
        parameters: json!({ "type": "object" }),
    }];
    let answer = app.answer(request).await.unwrap();
    assert_eq!(answer.text, "I wrote to ann@example.com.");
    assert_eq!(
        answer.tool_calls[0].arguments,
        r#"{"to": "ann@example.com"}"#
    );
    let guard = app.library.model_guard().unwrap();
    assert_eq!(
        guard.hidden(json!({ "input": MAIL })),
        json!({ "input": "<EMAIL_1>" })
    );
}

#[tokio::test]
async fn what_a_model_says_is_heard_when_it_is_judged() {
    let guard = json!({ "models": true, "output": [
        { "rules": "email", "action": "mask" },
        { "categories": ["violence"], "action": "block" },
    ]});
    let calm =
        "Here is a quiet sentence about nothing much, which is long enough to be judged alone. ";
    let masked = App::new(guard.clone(), "", move |_, _| {
        Ok(format!(
            "{calm}Bob is bob@example.com.\n@mail {{\"to\": \"bob@example.com\"}}"
        ))
    });
    let (heard, end) = masked.ask(said("hello")).await;
    assert!(end.is_ok());
    assert_eq!(text(&heard), format!("{calm}Bob is <EMAIL_1>."));
    let [.., ChatChunk::ToolCall(call), ChatChunk::Done { usage, .. }] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert_eq!(call.name.as_deref(), Some("mail"));
    assert_eq!(call.arguments, r#"{"to": "<EMAIL_1>"}"#);
    assert_eq!(usage.output_tokens, 10);
    let (side, whose, output) = masked.steps().pop().unwrap();
    assert_eq!((side.as_str(), whose.as_str()), ("output", "application"));
    assert_eq!(output["decisions"][0]["action"], "mask");

    let bad =
        "Then came the cat, and what it did is not to be told to anybody who did not ask for it.";
    let blocked = App::new(guard.clone(), "", move |_, _| {
        Ok(format!("{}{bad} {calm}", calm.repeat(3)))
    });
    let (heard, end) = blocked.ask(said("hello")).await;
    let error = call_error(end.unwrap_err());
    assert_eq!(error.code, ErrorCode::ContentBlocked);
    assert_eq!(
        error.message,
        "the answer of the model is withheld: it is judged as `violence`"
    );
    let heard = text(&heard);
    assert!(heard.starts_with("Here is a quiet") && heard.len() > 200);
    assert!(
        !heard.contains("cat") && !heard.contains("anybody"),
        "{heard}"
    );

    // What it wants called is judged too, and so is JSON, as what it is.
    let calls = App::new(guard.clone(), "", |_, _| {
        Ok("@look {\"for\": \"a cat\"}".into())
    });
    let error = call_error(calls.answer(said("hello")).await.unwrap_err());
    assert_eq!(error.code, ErrorCode::ContentBlocked);
    let json = App::new(guard, "", |_, _| {
        Ok(r#"{"name": "bob@example.com", "people": 3}"#.into())
    });
    let mut request = said("hello");
    request.constraint = Some(Constraint::JsonSchema(json!({ "type": "object" })));
    let answer = json.answer(request).await.unwrap();
    let value: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(value, json!({ "name": "<EMAIL_1>", "people": 3 }));
}

#[tokio::test]
async fn a_guard_that_only_flags_holds_nothing_back() {
    let guard = json!({ "models": true, "output": { "categories": "all", "action": "flag" } });
    let app = App::new(guard, "", |_, _| Ok("a cat".into()));
    let (heard, end) = app.ask(said("hello")).await;
    assert!(end.is_ok());
    // Character by character, as it came, and then its end.
    assert_eq!((text(&heard).as_str(), heard.len()), ("a cat", 6));
    let (_, _, output) = app.steps().pop().unwrap();
    assert_eq!(output["decisions"][0]["category"], "violence");
}

#[tokio::test]
async fn an_error_of_the_model_stays_what_it_was() {
    let guard = json!({ "models": true, "output": { "rules": "email", "action": "mask" } });
    let app = App::new(guard, "", |_, n| match n {
        0 => Err(ModelError::NotFound("no such model".into())),
        _ => Ok("some words\n!it broke".into()),
    });
    let error = app.answer(said("hello")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
    let (heard, end) = app.ask(said("hello")).await;
    assert_eq!(end.unwrap_err().code(), ErrorCode::InvalidRequest);
    // What was not judged yet is not heard.
    assert_eq!(text(&heard), "");
}
