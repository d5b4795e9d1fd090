//! Responses that are made with a scripted model and a scripted search: what is asked, told and kept.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use futures::future::BoxFuture;
use praxis_core::trace::NoTrace;
use praxis_core::{
    CallError, Caller, ChatChunk, ChatStream, FinishReason, ToolCallDelta, Usage, ids,
};
use praxis_knowledge::{StoreHit, StoreHits, StoreQuery};
use praxis_store::{Conversation, Store};
use serde_json::Map;

use super::*;
use crate::responses::interpreter::tests::Scripted as Interpreter;
use crate::responses::item::{Said, Speaker};
use crate::responses::prompt::prompt;
use crate::responses::record::Outcome;

const NOW: i64 = 1_774_948_000;

/// A model that says what it was told to.
struct Scripted {
    rounds: Mutex<VecDeque<Vec<Result<ChatChunk, ModelError>>>>,
    asked: Mutex<Vec<ChatRequest>>,
}

#[async_trait]
impl ChatGateway for Scripted {
    async fn chat(&self, request: ChatRequest, _: &CallContext) -> Result<ChatStream, ModelError> {
        self.asked.lock().unwrap().push(request);
        let round = self.rounds.lock().unwrap().pop_front();
        let missing = || ModelError::Unavailable("nothing is left to say".to_owned());
        Ok(futures::stream::iter(round.ok_or_else(missing)?).boxed())
    }
}

/// A vector store that holds one passage, or none at all.
struct Shelf(Option<&'static str>);

impl Searcher for Shelf {
    fn search<'a>(
        &'a self,
        store: &'a str,
        query: StoreQuery,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<StoreHits, CallError>> {
        let found = self.0.ok_or_else(|| {
            CallError::new(ErrorCode::NotFound, format!("no vector store `{store}`"))
        });
        let hit = |text: &str| StoreHit {
            file: "file-1".to_owned(),
            filename: "otter.md".to_owned(),
            attributes: Map::new(),
            score: 0.5,
            text: text.to_owned(),
        };
        let found = found.map(|text| StoreHits {
            queries: query.queries,
            hits: vec![hit(text)],
        });
        Box::pin(std::future::ready(found))
    }
}

struct Stage {
    model: Arc<Scripted>,
    world: World,
    _dir: tempfile::TempDir,
}

impl Stage {
    async fn new(rounds: Vec<Vec<Result<ChatChunk, ModelError>>>) -> Self {
        Self::with(rounds, Some("An otter eats fish.")).await
    }

    async fn with(
        rounds: Vec<Vec<Result<ChatChunk, ModelError>>>,
        passage: Option<&'static str>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
        let model = Arc::new(Scripted {
            rounds: Mutex::new(rounds.into()),
            asked: Mutex::default(),
        });
        let world = World {
            chat: Arc::clone(&model) as Arc<dyn ChatGateway>,
            searcher: Arc::new(Shelf(passage)),
            coder: None,
            responses: Arc::new(Responses::new(store, || NOW)),
            guard: None,
        };
        Self {
            model,
            world,
            _dir: dir,
        }
    }

    async fn perform(&self, job: Job) -> Result<Response, ApiError> {
        perform(job, &self.world, Teller::nobody()).await
    }

    /// What came of it, how it began, and the events that a client heard.
    async fn heard(
        &self,
        job: Job,
    ) -> (
        Result<Response, ApiError>,
        Result<(), ApiError>,
        Vec<(String, Value)>,
    ) {
        let (teller, heard) = Teller::client();
        let lines = heard.lines.collect::<Vec<_>>();
        let (made, lines) = tokio::join!(perform(job, &self.world, teller), lines);
        let read = |data: &str| serde_json::from_str(data).unwrap();
        let lines = lines
            .iter()
            .map(|line| (line.kind.to_string(), read(&line.data)));
        let lines = lines.collect();
        (made, heard.begun.await.unwrap(), lines)
    }

    fn asked(&self) -> Vec<ChatRequest> {
        self.model.asked.lock().unwrap().clone()
    }
}

fn job() -> Job {
    let input = vec![Item::Message(Said::text(
        "msg_in".to_owned(),
        Speaker::User,
        "What does an otter eat?".to_owned(),
    ))];
    Job {
        prompt: prompt(None, &input, 1000).unwrap(),
        input,
        response: Response {
            id: ids::generate("resp_"),
            status: ResponseStatus::InProgress,
            created: NOW,
            ended: None,
            background: false,
            streamed: false,
            previous: None,
            conversation: None,
            echo: Map::new(),
            outcome: Outcome::default(),
            output: Vec::new(),
        },
        ask: Ask {
            target: Target::Model,
            model: "m".to_owned(),
            sampling: Sampling::default(),
            top_logprobs: None,
            constraint: None,
            tools: Vec::new(),
            search: None,
            container: None,
            choice: ToolChoice::Auto,
            parallel: None,
            effort: None,
            cache_key: None,
            extras: Extras::default(),
            priority: Priority::Interactive,
            max_tool_calls: None,
            truncates: false,
            summary: false,
            include: Include::default(),
            origin: String::new(),
        },
        kept: true,
        cx: CallContext::new(Arc::new(NoTrace)).with_caller(Caller::full()),
    }
}

fn searching() -> Job {
    let mut job = job();
    job.ask.search = Some(FileSearch {
        stores: vec!["vs_1".to_owned()],
        query: StoreQuery {
            limit: 5,
            ..StoreQuery::default()
        },
    });
    job.ask.choice = ToolChoice::Named(search::TOOL.to_owned());
    job
}

fn text(text: &str) -> Result<ChatChunk, ModelError> {
    Ok(ChatChunk::Delta {
        text: text.to_owned(),
        logprobs: Vec::new(),
    })
}

fn wish(name: &str, arguments: &str) -> Result<ChatChunk, ModelError> {
    Ok(ChatChunk::ToolCall(ToolCallDelta {
        index: 0,
        id: Some("call_1".to_owned()),
        name: Some(name.to_owned()),
        arguments: arguments.to_owned(),
    }))
}

fn done(finish_reason: FinishReason) -> Result<ChatChunk, ModelError> {
    Ok(ChatChunk::Done {
        finish_reason,
        usage: Usage {
            input_tokens: 10,
            output_tokens: 5,
            ..Usage::default()
        },
    })
}

fn failure() -> Result<ChatChunk, ModelError> {
    Err(ModelError::Unavailable("it broke".to_owned()))
}

fn search_round() -> Vec<Result<ChatChunk, ModelError>> {
    let arguments = r#"{"queries": ["food of otters"]}"#;
    vec![wish(search::TOOL, arguments), done(FinishReason::ToolCalls)]
}

#[tokio::test]
async fn an_answer_is_kept_and_told_in_order() {
    let answer = || vec![text("Fi"), text("sh."), done(FinishReason::Stop)];
    let stage = Stage::new(vec![answer(), answer()]).await;
    let whole = stage.perform(job()).await.unwrap();
    assert_eq!(whole.status, ResponseStatus::Completed);
    let (made, begun, lines) = stage.heard(job()).await;
    let made = made.unwrap();
    assert!(begun.is_ok());
    let kinds: Vec<&str> = lines.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    for (number, (kind, line)) in lines.iter().enumerate() {
        assert_eq!(
            (&line["sequence_number"], &line["type"]),
            (&json!(number), &json!(kind))
        );
    }
    assert_eq!(lines[0].1["response"]["status"], "in_progress");
    assert_eq!(
        lines[9].1["response"]["output"][0]["content"][0]["text"],
        "Fish."
    );
    for response in [whole, made] {
        let kept = stage
            .world
            .responses
            .get(&response.id, &Caller::full())
            .await;
        assert_eq!(kept.unwrap(), response);
    }
}

#[tokio::test]
async fn code_is_run_and_the_model_goes_on_from_what_came_out() {
    let code = |code: &str| {
        let arguments = json!({ "code": code }).to_string();
        vec![
            wish(interpreter::TOOL, &arguments),
            done(FinishReason::ToolCalls),
        ]
    };
    let rounds = vec![
        code("x = 6"),
        code("x * 7"),
        vec![text("It is 42."), done(FinishReason::Stop)],
    ];
    let mut stage = Stage::new(rounds).await;
    let gave = |result: Value| {
        Ok(json!({
            "stdout": "",
            "stderr": "",
            "result": result,
            "error": null,
            "files": [],
            "session": "cntr_1",
        }))
    };
    let run = Interpreter::new(vec![gave(json!("42")), gave(Value::Null)]);
    stage.world.coder = Some(Coder {
        run: Arc::clone(&run) as Arc<dyn praxis_core::Function>,
        file: Interpreter::new(Vec::new()),
    });
    let mut job = job();
    job.ask.container = Some(Container::default());
    job.ask.include.outputs = true;
    let (made, _, lines) = stage.heard(job).await;
    let made = made.unwrap();
    let kinds: Vec<&str> = lines.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds[2..9],
        [
            "response.output_item.added",
            "response.code_interpreter_call.in_progress",
            "response.code_interpreter_call_code.delta",
            "response.code_interpreter_call_code.done",
            "response.code_interpreter_call.interpreting",
            "response.code_interpreter_call.completed",
            "response.output_item.done",
        ]
    );
    let include = Include {
        outputs: true,
        ..Include::default()
    };
    let shown: Vec<Value> = made.output.iter().map(|i| i.shown(include)).collect();
    assert_eq!(shown[0]["type"], "code_interpreter_call");
    assert_eq!(
        (&shown[0]["code"], &shown[0]["outputs"]),
        (&json!("x = 6"), &json!([]))
    );
    assert_eq!(
        shown[1]["outputs"],
        json!([{ "type": "logs", "logs": "42" }])
    );
    assert_eq!(shown[1]["container_id"], "cntr_1");
    // The second run goes on where the first one was.
    let sessions: Vec<Value> = run
        .taken
        .lock()
        .unwrap()
        .iter()
        .map(|input| input["session"].clone())
        .collect();
    assert_eq!(sessions, [json!("new"), json!("cntr_1")]);
    let asked = stage.asked();
    assert_eq!(asked[0].tools[0].name, interpreter::TOOL);
    let told = asked[2].messages.last().unwrap();
    assert!(told.text().contains("42"), "{told:?}");
    // The next turn reads what came out.
    let again = prompt(None, &made.output, 1000).unwrap();
    assert!(
        again
            .messages
            .iter()
            .any(|message| message.text().contains("42"))
    );
}

#[tokio::test]
async fn what_a_model_wants_searched_is_searched_and_it_is_asked_again() {
    let rounds = vec![
        search_round(),
        vec![text("Fish [1]."), done(FinishReason::Stop)],
    ];
    let stage = Stage::new(rounds).await;
    let mut job = searching();
    job.ask.include.results = true;
    job.ask.sampling.max_tokens = Some(100);
    let made = stage.perform(job).await.unwrap();
    let shown: Vec<Value> = made
        .output
        .iter()
        .map(|i| {
            i.shown(Include {
                results: true,
                ..Include::default()
            })
        })
        .collect();
    assert_eq!(shown[0]["queries"], json!(["food of otters"]));
    assert_eq!(shown[0]["results"][0]["text"], "An otter eats fish.");
    let annotation = &shown[1]["content"][0]["annotations"][0];
    assert_eq!(
        (&annotation["file_id"], &annotation["index"]),
        (&json!("file-1"), &json!(5))
    );
    let usage = made.outcome.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (20, 10));
    let asked = stage.asked();
    assert_eq!(asked[0].tools, [search::spec()]);
    let choices: Vec<&ToolChoice> = asked.iter().map(|a| &a.tool_choice).collect();
    assert_eq!(
        choices,
        [
            &ToolChoice::Named(search::TOOL.to_owned()),
            &ToolChoice::Auto
        ]
    );
    let rooms: Vec<Option<u32>> = asked.iter().map(|a| a.sampling.max_tokens).collect();
    assert_eq!(rooms, [Some(100), Some(95)]);
    let [_, said, told] = &asked[1].messages[..] else {
        panic!("{:?}", asked[1].messages);
    };
    assert_eq!(said.tool_calls[0].id, "call_1");
    assert_eq!(told.tool_call_id.as_deref(), Some("call_1"));
    let told: Value = serde_json::from_str(&told.text()).unwrap();
    assert_eq!(told["passages"][0]["mark"], "[1]");
}

#[tokio::test]
async fn a_search_that_fails_is_told_to_the_model() {
    let rounds = vec![
        search_round(),
        vec![text("I do not know."), done(FinishReason::Stop)],
    ];
    let stage = Stage::with(rounds, None).await;
    let made = stage.perform(searching()).await.unwrap();
    let shown = made.output[0].shown(Include::default());
    assert_eq!(
        (&shown["status"], &shown["results"]),
        (&json!("failed"), &Value::Null)
    );
    let told = stage.asked()[1].messages[2].text().into_owned();
    assert!(told.starts_with("error: no vector store `vs_1`"), "{told}");
}

#[tokio::test]
async fn searches_end_and_the_last_round_has_to_answer() {
    let mut rounds: Vec<_> = (0..MAX_ROUNDS).map(|_| search_round()).collect();
    rounds.push(vec![text("Fish."), done(FinishReason::Stop)]);
    let stage = Stage::new(rounds).await;
    let made = stage.perform(searching()).await.unwrap();
    assert_eq!(made.status, ResponseStatus::Completed);
    assert_eq!(made.output.len(), 6);
    assert_eq!(stage.asked()[5].tool_choice, ToolChoice::None);
    // Also where a model goes on wanting searches.
    let rounds: Vec<_> = (0..=MAX_ROUNDS).map(|_| search_round()).collect();
    let stage = Stage::new(rounds).await;
    let mut job = searching();
    job.ask.max_tool_calls = Some(2);
    let made = stage.perform(job).await.unwrap();
    assert_eq!(made.output.len(), 3, "two searches and an empty message");
    let told = stage.asked()[4]
        .messages
        .last()
        .unwrap()
        .text()
        .into_owned();
    assert_eq!(told, NO_MORE);
}

#[tokio::test]
async fn all_rounds_together_keep_to_the_most_tokens() {
    let stage = Stage::new(vec![search_round()]).await;
    let mut job = searching();
    job.ask.sampling.max_tokens = Some(5);
    let made = stage.perform(job).await.unwrap();
    assert_eq!(made.status, ResponseStatus::Incomplete);
    assert_eq!(stage.asked().len(), 1);
}

#[tokio::test]
async fn an_error_before_the_first_piece_is_the_answer_and_nothing_is_kept() {
    for rounds in [vec![], vec![vec![failure()]], vec![vec![]]] {
        let stage = Stage::new(rounds).await;
        let job = job();
        let id = job.response.id.clone();
        let (made, begun, _) = stage.heard(job).await;
        assert_eq!(made.unwrap_err().code(), ErrorCode::Upstream);
        assert_eq!(begun.unwrap_err().code(), ErrorCode::Upstream);
        let kept = stage.world.responses.get(&id, &Caller::full()).await;
        assert_eq!(kept.unwrap_err().code(), ErrorCode::NotFound);
    }
}

#[tokio::test]
async fn an_error_behind_the_first_piece_fails_the_response() {
    let stage = Stage::new(vec![vec![text("Fi"), failure()]]).await;
    let (made, begun, lines) = stage.heard(job()).await;
    let made = made.unwrap();
    assert!(begun.is_ok());
    let (kind, last) = lines.last().unwrap();
    assert_eq!(kind, "response.failed");
    assert_eq!(last["response"]["error"]["code"], "server_error");
    assert_eq!(last["response"]["output"][0]["status"], "incomplete");
    let kept = stage.world.responses.get(&made.id, &Caller::full()).await;
    assert_eq!(kept.unwrap().status, ResponseStatus::Failed);
}

#[tokio::test]
async fn a_conversation_gets_the_turn_also_where_the_response_is_not_kept() {
    let answer = || vec![text("Fish."), done(FinishReason::Stop)];
    let stage = Stage::new(vec![answer(), answer(), vec![failure()]]).await;
    let responses = &stage.world.responses;
    let conversation = Conversation {
        id: "conv_1".to_owned(),
        metadata: BTreeMap::new(),
        created: NOW,
        active: NOW,
        items: 0,
        bytes: 0,
    };
    let store = responses.store();
    store
        .put_conversation(&conversation, &Caller::full(), &[])
        .await
        .unwrap();
    for (kept, items) in [(true, 2), (false, 4), (true, 4)] {
        let mut job = job();
        job.kept = kept;
        job.response.conversation = Some("conv_1".to_owned());
        // Each is another message.
        if let Some(Item::Message(said)) = job.input.first_mut() {
            said.id = ids::generate("msg_");
        }
        let id = job.response.id.clone();
        let made = stage.perform(job).await;
        let found = responses.get(&id, &Caller::full()).await;
        assert_eq!(found.is_ok(), kept && made.is_ok());
        let said = responses.said_in("conv_1", &Caller::full()).await.unwrap();
        assert_eq!(said.len(), items);
    }
}

#[tokio::test]
async fn the_end_of_a_response_that_was_cancelled_is_not_kept() {
    for cancelled in [false, true] {
        let answer = vec![text("Fish."), done(FinishReason::Stop)];
        let stage = Stage::new(vec![answer]).await;
        let responses = &stage.world.responses;
        let mut job = job();
        job.response.background = true;
        job.response.streamed = true;
        let caller = Caller::full();
        responses
            .put(&job.response, &job.input, true, &caller)
            .await
            .unwrap();
        let id = job.response.id.clone();
        if cancelled {
            let found = responses.cancel(&id, &caller).await.unwrap();
            assert_eq!(found.status, ResponseStatus::Cancelled);
        }
        let log = Arc::new(crate::responses::tell::Log::default());
        let teller = Teller::log(Arc::clone(&log));
        perform(job, &stage.world, teller).await.unwrap();
        let heard: Vec<_> = log.follow(None).collect().await;
        let kept = responses.get(&id, &caller).await.unwrap();
        let followed: Vec<_> = responses
            .follow(&id, Some(1), &caller)
            .await
            .unwrap()
            .collect()
            .await;
        let (status, last, kinds) = match cancelled {
            true => (ResponseStatus::Cancelled, "error", vec!["error"]),
            false => (
                ResponseStatus::Completed,
                "response.completed",
                heard[2..].iter().map(|line| &*line.kind).collect(),
            ),
        };
        assert_eq!(kept.status, status);
        assert_eq!(&*heard.last().unwrap().kind, last);
        let found: Vec<&str> = followed.iter().map(|line| &*line.kind).collect();
        assert_eq!(found, kinds);
    }
}

#[tokio::test]
async fn a_response_that_waits_is_made_when_its_turn_comes_and_fails_when_it_never_does() {
    for (chance, cancelled, status) in [
        (Chance::Comes, false, ResponseStatus::Completed),
        (Chance::Comes, true, ResponseStatus::Cancelled),
        (Chance::Never, false, ResponseStatus::Failed),
        (Chance::Never, true, ResponseStatus::Cancelled),
    ] {
        let answer = vec![text("Fish."), done(FinishReason::Stop)];
        let stage = Stage::new(vec![answer]).await;
        let responses = &stage.world.responses;
        let (mut job, caller) = (job(), Caller::full());
        job.response.background = true;
        job.response.status = ResponseStatus::Queued;
        let id = job.response.id.clone();
        let put = responses.put(&job.response, &job.input, true, &caller);
        put.await.unwrap();
        if cancelled {
            responses.cancel(&id, &caller).await.unwrap();
        }
        perform_in_turn(job, &stage.world, Teller::nobody(), chance).await;
        let found = responses.get(&id, &caller).await.unwrap();
        assert_eq!(found.status, status, "{chance:?} {cancelled}");
        let is_asked = chance == Chance::Comes && !cancelled;
        assert_eq!(stage.asked().len(), usize::from(is_asked));
    }
}

#[tokio::test]
async fn what_was_left_unfinished_has_failed_at_the_next_start() {
    let stage = Stage::new(vec![]).await;
    let responses = &stage.world.responses;
    let mut job = job();
    job.response.background = true;
    let caller = Caller::full();
    responses
        .put(&job.response, &job.input, true, &caller)
        .await
        .unwrap();
    assert_eq!(responses.recover().await.unwrap(), 1);
    let found = responses.get(&job.response.id, &caller).await.unwrap();
    assert_eq!(found.status, ResponseStatus::Failed);
    assert_eq!(found.outcome.error.unwrap().code, "server_error");
}

#[tokio::test]
async fn a_call_that_is_cancelled_stops_and_leaves_nothing() {
    let stage = Stage::new(vec![vec![text("Fish."), done(FinishReason::Stop)]]).await;
    let job = job();
    let id = job.response.id.clone();
    job.cx.cancel().cancel();
    let made = stage.perform(job).await;
    assert_eq!(made.unwrap_err().code(), ErrorCode::Cancelled);
    assert!(stage.asked().is_empty());
    assert!(
        stage
            .world
            .responses
            .get(&id, &Caller::full())
            .await
            .is_err()
    );
}
