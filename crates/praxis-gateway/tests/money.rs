//! What calls cost that did not end well: whoever was asked is paid, once, also where nobody waited for the answer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use praxis_core::chat::{ReasoningEffort, collect};
use praxis_core::{
    CallContext, ChatGateway, ChatRequest, Claim, EmbedKind, Ledger, LedgerError, Limit, Message,
    ModelError, Money, Payer, Refusal, Remaining, Reserved, Sampling, Spent, Subject, Ticket,
};
use praxis_gateway::Gateway;
use serde_json::{Value, json};
use support::{Spans, gateway};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const STREAM: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
const HI: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
const END: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\
    \"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

/// What a provider does with a question.
#[derive(Clone)]
enum Step {
    Say(&'static str),
    Wait(Duration),
    /// Nothing more, until the other side goes.
    Hang,
}

/// What it does for each of its models; for others, it closes the connection.
type Script = Vec<(&'static str, Vec<Step>)>;

struct Provider {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Provider {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (script, seen) = (Arc::new(script), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Self { url, asked }
    }

    /// The models that were asked, in order.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until so many questions have come.
    async fn has(&self, questions: usize) {
        for _ in 0..500 {
            if self.asked().len() >= questions {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("only {:?} were asked", self.asked());
    }
}

async fn answer(mut stream: TcpStream, script: Arc<Script>, seen: Arc<Mutex<Vec<String>>>) {
    let Some(body) = read(&mut stream).await else {
        return;
    };
    let model = body["model"].as_str().unwrap().to_owned();
    seen.lock().unwrap().push(model.clone());
    let found = script.iter().find(|(name, _)| *name == model);
    for step in found.map(|(_, steps)| steps.clone()).unwrap_or_default() {
        match step {
            Step::Say(text) => {
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Step::Wait(pause) => tokio::time::sleep(pause).await,
            Step::Hang => {
                let mut rest = [0; 64];
                while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {}
            }
        }
    }
}

/// The body of a request.
async fn read(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        let mut more = [0; 4096];
        match stream.read(&mut more).await.ok()? {
            0 => return None,
            n => bytes.extend_from_slice(&more[..n]),
        }
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
            continue;
        };
        // The body is whole once it is JSON.
        if let Ok(body) = serde_json::from_slice(&bytes[end + 4..]) {
            return Some(body);
        }
    }
}

/// What a ledger was asked, in order.
#[derive(Debug, PartialEq)]
enum Asked {
    Reserved { requests: u64, tokens: u64 },
    Settled(Spent),
    GivenBack,
}

/// A ledger that admits so many claims.
struct Book {
    left: Mutex<usize>,
    asked: Mutex<Vec<Asked>>,
}

impl Book {
    fn with_room_for(claims: usize) -> Arc<Self> {
        Arc::new(Self {
            left: Mutex::new(claims),
            asked: Mutex::default(),
        })
    }

    fn write(&self, asked: Asked) {
        self.asked.lock().unwrap().push(asked);
    }

    /// The only settlement.
    fn settled(&self) -> Spent {
        let asked = self.asked.lock().unwrap();
        let mut all = asked.iter().filter_map(|one| match one {
            Asked::Settled(spent) => Some(spent.clone()),
            _ => None,
        });
        let spent = all.next().expect("nothing was settled");
        assert!(all.next().is_none(), "{asked:?}");
        spent
    }
}

#[async_trait]
impl Ledger for Book {
    async fn reserve(&self, claim: Claim) -> Result<Reserved, LedgerError> {
        let mut left = self.left.lock().unwrap();
        let Some(less) = left.checked_sub(1) else {
            let (subject, limit) = claim.limits[0].clone();
            return Err(LedgerError::Refused(Refusal {
                limit,
                subject,
                asked: 1,
                left: 0,
                retry_after: None,
                remaining: Remaining::default(),
            }));
        };
        *left = less;
        self.write(Asked::Reserved {
            requests: claim.requests,
            tokens: claim.tokens,
        });
        Ok(Reserved {
            ticket: Ticket::new(()),
            remaining: Remaining::default(),
        })
    }

    async fn settle(&self, _: Ticket, spent: Spent) {
        self.write(Asked::Settled(spent));
    }

    async fn give_back(&self, _: Ticket) {
        self.write(Asked::GivenBack);
    }

    async fn note(&self, _: Vec<Subject>, spent: Spent) {
        self.write(Asked::Settled(spent));
    }
}

/// Somebody with a limit.
fn payer(spans: &Arc<Spans>) -> CallContext {
    let payer = Payer {
        key: Some("hr".to_owned()),
        ..Payer::default()
    };
    let limits: [Limit; 1] = ["100 usd/day".parse().unwrap()];
    spans.context().with_payer(payer, Arc::new(limits))
}

/// A model by its name at the provider, with a price.
fn model(name: &str, price: u32, more: &str) -> String {
    format!(
        "[models.{name}]\nprovider = \"openai\"\nmodel = \"{name}\"\nbase_url = \"URL\"\n\
         price = {{ input = {price}, output = {price} }}\n{more}\n"
    )
}

fn request(model: &str) -> ChatRequest {
    ChatRequest {
        model: model.to_owned(),
        messages: vec![Message::user("How are you on this fine day?")],
        sampling: Sampling {
            max_tokens: Some(500),
            ..Sampling::default()
        },
        ..ChatRequest::default()
    }
}

/// A gateway that counts here.
fn counting(toml: &str, provider: &Provider, book: &Arc<Book>) -> Gateway {
    let gateway = gateway(toml, &provider.url);
    gateway.counts_in(Arc::clone(book) as Arc<dyn Ledger>);
    gateway
}

/// Tokens of the prompt as they are counted here.
async fn prompt(gateway: &Gateway, model: &str) -> u64 {
    let messages = request(model).messages;
    let counted = gateway.count_tokens(model, &messages);
    counted.await.unwrap().total() as u64
}

#[tokio::test]
async fn a_prompt_is_paid_though_its_caller_left_before_the_first_token() {
    let mut paid = Vec::new();
    for with_tools in [false, true] {
        let provider = Provider::start(vec![("a", vec![Step::Hang])]).await;
        let (book, spans) = (Book::with_room_for(1), Arc::new(Spans::default()));
        let gateway = counting(&model("a", 1000, ""), &provider, &book);
        let cx = payer(&spans);
        let mut request = request("a");
        if with_tools {
            let tool = json!({ "name": "weather", "description": "How the weather is in a city." });
            request.tools = vec![serde_json::from_value(tool).unwrap()];
        }
        let asking = gateway.chat(request, &cx);
        let leaving = async {
            provider.has(1).await;
            cx.cancel().cancel();
        };
        let (begun, ()) = tokio::join!(asking, leaving);
        assert!(matches!(begun.err(), Some(ModelError::Cancelled)));
        let spent = book.settled();
        let tokens = spent.usage.input_tokens;
        let least = prompt(&gateway, "a").await;
        assert!(
            tokens >= least && spent.usage.output_tokens == 0,
            "{spent:?}"
        );
        assert_eq!(spent.money, Money(i64::try_from(tokens * 1000).unwrap()));
        assert!(spent.failed);
        assert_eq!(spans.only().cost, spent.money);
        paid.push(tokens);
    }
    assert!(
        paid[1] > paid[0] + 10,
        "tools are part of a prompt: {paid:?}"
    );
}

#[tokio::test]
async fn a_dropped_call_is_settled_once() {
    let provider = Provider::start(vec![("a", vec![Step::Hang])]).await;
    let (book, spans) = (Book::with_room_for(1), Arc::new(Spans::default()));
    let gateway = Arc::new(counting(&model("a", 1000, ""), &provider, &book));
    let cx = payer(&spans);
    let asking = tokio::spawn({
        let gateway = Arc::clone(&gateway);
        async move { gateway.chat(request("a"), &cx).await.map(|_| ()) }
    });
    provider.has(1).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    assert_eq!(
        book.settled().usage.input_tokens,
        prompt(&gateway, "a").await
    );
}

#[tokio::test]
async fn a_time_out_is_charged_and_the_same_model_is_not_asked_again() {
    let provider = Provider::start(vec![
        ("a", vec![Step::Say(STREAM), Step::Hang]),
        ("b", vec![Step::Say(STREAM), Step::Say(HI), Step::Say(END)]),
    ])
    .await;
    let (book, spans) = (Book::with_room_for(2), Arc::new(Spans::default()));
    let more = "max_retries = 2\nfirst_token_timeout = \"200ms\"\nfallback = [\"b\"]";
    let toml = format!("{}{}", model("a", 1000, more), model("b", 10, ""));
    let gateway = counting(&toml, &provider, &book);
    let stream = gateway.chat(request("a"), &payer(&spans)).await.unwrap();
    let answer = collect(stream).await.unwrap();
    assert_eq!(provider.asked(), ["a", "b"]);
    // The answer tells what it took itself.
    assert_eq!(
        (answer.usage.input_tokens, answer.usage.output_tokens),
        (10, 2)
    );
    let lost = prompt(&gateway, "a").await;
    let spent = book.settled();
    assert_eq!((spent.model.as_str(), spent.failed), ("b", false));
    assert_eq!(spent.usage.input_tokens, 10 + lost);
    assert_eq!(
        spent.money,
        Money(i64::try_from(12 * 10 + lost * 1000).unwrap())
    );
    let others = &spans.only().output["charged_attempts"];
    assert_eq!(others[0]["model"], "a");
}

#[tokio::test]
async fn the_loser_of_a_hedge_is_paid_at_its_own_price() {
    let provider = Provider::start(vec![
        ("a", vec![Step::Hang]),
        ("b", vec![Step::Say(STREAM), Step::Say(HI), Step::Say(END)]),
    ])
    .await;
    let (book, spans) = (Book::with_room_for(1), Arc::new(Spans::default()));
    let toml = format!(
        "{}{}[routes.main]\ntargets = [\"a\", \"b\"]\nhedge_after = \"100ms\"\n",
        model("a", 1000, ""),
        model("b", 10, "")
    );
    let gateway = counting(&toml, &provider, &book);
    let stream = gateway.chat(request("main"), &payer(&spans)).await.unwrap();
    collect(stream).await.unwrap();
    let lost = prompt(&gateway, "a").await;
    let spent = book.settled();
    assert_eq!(
        spent.money,
        Money(i64::try_from(12 * 10 + lost * 1000).unwrap())
    );
    assert_eq!(spent.tokens(), 12 + lost);
}

#[tokio::test]
async fn thoughts_that_nobody_sees_are_charged_up_to_what_was_reserved() {
    let steps = vec![Step::Say(STREAM), Step::Say(HI), Step::Hang];
    let provider = Provider::start(vec![("o3", steps.clone()), ("plain", steps)]).await;
    for (name, effort, expected) in [
        ("o3", None, 500),
        ("plain", Some(ReasoningEffort::High), 500),
        ("plain", None, 1),
        ("o3", Some(ReasoningEffort::None), 1),
    ] {
        let (book, spans) = (Book::with_room_for(1), Arc::new(Spans::default()));
        let gateway = counting(&model(name, 10, ""), &provider, &book);
        let asked = ChatRequest {
            reasoning_effort: effort,
            ..request(name)
        };
        let mut stream = gateway.chat(asked, &payer(&spans)).await.unwrap();
        stream.next().await.unwrap().unwrap();
        drop(stream);
        let spent = book.settled();
        assert_eq!(spent.usage.output_tokens, expected, "{name} {effort:?}");
    }
}

#[tokio::test]
async fn what_is_asked_again_is_reserved_again_and_refused_without_room() {
    // It closes the connection, and may have read the prompt.
    let provider = Provider::start(Vec::new()).await;
    let (book, spans) = (Book::with_room_for(2), Arc::new(Spans::default()));
    let gateway = counting(&model("a", 10, "max_retries = 5"), &provider, &book);
    let begun = gateway.chat(request("a"), &payer(&spans)).await;
    let error = begun.err().unwrap();
    assert_eq!(error.code().as_str(), "quota_exceeded", "{error}");
    assert_eq!(provider.asked(), ["a", "a"]);
    let lost = prompt(&gateway, "a").await;
    assert_eq!(book.settled().usage.input_tokens, 2 * lost);
    let asked = book.asked.lock().unwrap();
    let [
        Asked::Reserved {
            requests: 1,
            tokens: first,
        },
        Asked::Reserved {
            requests: 0,
            tokens: more,
        },
        Asked::Settled(_),
        Asked::GivenBack,
    ] = asked.as_slice()
    else {
        panic!("{asked:?}");
    };
    assert_eq!(first, more);
}

#[tokio::test]
async fn vectors_that_are_asked_for_again_are_reserved_again() {
    // It closes the connection, and may have read the texts.
    let provider = Provider::start(Vec::new()).await;
    let (book, spans) = (Book::with_room_for(2), Arc::new(Spans::default()));
    let embedding = "task = \"embedding\"\nmax_retries = 5";
    let gateway = counting(&model("a", 10, embedding), &provider, &book);
    let embedder = gateway.embedder_for(Some("a"), &payer(&spans)).unwrap();
    let texts = vec!["How are you on this fine day?".to_owned()];
    let error = embedder.embed(EmbedKind::Raw, texts).await.unwrap_err();
    assert_eq!(error.code().as_str(), "quota_exceeded", "{error}");
    assert_eq!(provider.asked(), ["a", "a"]);
    let asked = book.asked.lock().unwrap();
    let [
        Asked::Reserved {
            requests: 1,
            tokens: first,
        },
        Asked::Reserved {
            requests: 0,
            tokens: more,
        },
        Asked::Settled(spent),
        Asked::GivenBack,
    ] = asked.as_slice()
    else {
        panic!("{asked:?}");
    };
    assert_eq!(first, more);
    let tokens = spent.usage.input_tokens;
    assert!(tokens > 0 && tokens <= first + more, "{spent:?}");
}

#[tokio::test]
async fn signs_of_work_are_waited_for() {
    const CREATED: &str =
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{}}\n\n";
    const WORKS: &str = "event: response.in_progress\ndata: {\"type\":\"response.in_progress\",\"response\":{}}\n\n";
    const TEXT: &str = "event: response.output_text.delta\n\
        data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n\
        event: response.completed\n\
        data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\
        \"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n";
    // One pause is shorter than the limit, all together are longer.
    let pause = Step::Wait(Duration::from_millis(1000));
    let steps = vec![
        Step::Say(STREAM),
        Step::Say(CREATED),
        pause.clone(),
        Step::Say(WORKS),
        pause.clone(),
        Step::Say(WORKS),
        pause,
        Step::Say(TEXT),
    ];
    let provider = Provider::start(vec![("a", steps)]).await;
    let more = "max_retries = 0\nfirst_token_timeout = \"2500ms\"";
    let toml = model("a", 10, more).replace("\"openai\"", "\"openai-responses\"");
    let gateway = gateway(&toml, &provider.url);
    let spans = Arc::new(Spans::default());
    let stream = gateway.chat(request("a"), &spans.context()).await.unwrap();
    assert_eq!(collect(stream).await.unwrap().text, "Hi");
}

#[tokio::test]
async fn vectors_are_charged_as_the_provider_counts_and_though_nobody_waits() {
    const VECTORS: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n\
        {\"data\":[{\"index\":0,\"embedding\":[1.0,0.0]}],\"usage\":{\"prompt_tokens\":70,\"total_tokens\":70}}";
    let provider = Provider::start(vec![
        ("a", vec![Step::Say(VECTORS)]),
        ("b", vec![Step::Hang]),
    ])
    .await;
    let embedding = "task = \"embedding\"\nmax_retries = 0";
    let texts = || vec!["How are you on this fine day?".to_owned()];
    let (book, spans) = (Book::with_room_for(1), Arc::new(Spans::default()));
    let gateway = counting(&model("a", 10, embedding), &provider, &book);
    let embedder = gateway.embedder_for(Some("a"), &payer(&spans)).unwrap();
    let counted = embedder.embed_sized(EmbedKind::Raw, texts(), None).await;
    assert_eq!(counted.unwrap().1, 70);
    let spent = book.settled();
    assert_eq!((spent.usage.input_tokens, spent.money), (70, Money(700)));

    let (book, spans) = (Book::with_room_for(1), Arc::new(Spans::default()));
    let gateway = counting(&model("b", 10, embedding), &provider, &book);
    let embedder = gateway.embedder_for(Some("b"), &payer(&spans)).unwrap();
    let asking = tokio::spawn(async move { embedder.embed(EmbedKind::Raw, texts()).await });
    provider.has(2).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    let spent = book.settled();
    assert!(spent.failed && spent.usage.input_tokens >= 5, "{spent:?}");
}
