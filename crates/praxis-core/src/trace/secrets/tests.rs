//! What spans are recorded with where tools are given secrets, and where something repeats them.

use serde_json::json;

use super::*;
use crate::ErrorCode;
use crate::function::{CallContext, CallError};
use crate::message::Message;
use crate::tool::ToolCall;
use crate::trace::TraceSink;

const CARD: &str = "4111 1111 1111 1111";

#[derive(Default)]
struct Spans(Mutex<Vec<Span>>);

impl TraceSink for Spans {
    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

impl Spans {
    /// The newest span.
    fn last(&self) -> Span {
        self.0.lock().unwrap().last().unwrap().clone()
    }
}

fn tree() -> (Arc<Spans>, CallContext) {
    let spans = Arc::new(Spans::default());
    (Arc::clone(&spans), CallContext::new(spans))
}

fn card() -> Vec<Steps> {
    vec![vec!["card".to_owned(), "number".to_owned()]]
}

fn payment() -> ToolCall {
    ToolCall {
        id: "call_1".to_owned(),
        name: "shop_pay".to_owned(),
        arguments: json!({ "card": { "number": CARD, "name": "Li" }, "password": "hunter2" })
            .to_string(),
    }
}

const MASKED: &str = r#"{"card":{"number":"***","name":"Li"},"password":"***"}"#;

/// The whole of a span, as a store has it.
fn stored(span: &Span) -> String {
    json!(span).to_string()
}

#[test]
fn the_message_that_wants_a_call_is_masked_and_so_is_all_that_repeats_it() {
    let (spans, cx) = tree();
    cx.secrets().of_tool("shop_pay", &card());
    let (chat, _) = cx.span(
        SpanKind::Chat,
        "m",
        json!({ "messages": [Message::user("Pay")] }),
    );
    chat.finish(json!({ "text": "", "tool_calls": [payment()] }));
    assert_eq!(
        spans.last().output["tool_calls"][0]["arguments"],
        json!(MASKED)
    );

    let (tool, _) = cx.span(SpanKind::Tool, "shop_pay", json!(payment()));
    tool.fail(&CallError::new(
        ErrorCode::Upstream,
        format!("the bank does not know `{CARD}`"),
    ));
    let span = spans.last();
    assert_eq!(span.input["arguments"], json!(MASKED));
    assert_eq!(
        span.status,
        SpanStatus::Error("the bank does not know `***`".to_owned())
    );

    let wants = Message {
        tool_calls: vec![payment()],
        ..Message::assistant("I pay.")
    };
    let asked = format!("Pay with {CARD}, password hunter2.");
    let messages = [
        Message::user(asked),
        wants,
        Message::tool("call_1", "paid with hunter2"),
    ];
    let (chat, _) = cx.span(SpanKind::Chat, "m", json!({ "messages": messages }));
    chat.finish(json!({ "text": format!("{CARD} it was.") }));
    let span = spans.last();
    let texts = |place: usize| span.input["messages"][place]["content"].clone();
    assert_eq!(texts(0), "Pay with ***, password ***.");
    assert_eq!(texts(2), "paid with ***");
    assert_eq!(span.input["messages"][1]["tool_calls"][0]["id"], "call_1");
    assert_eq!(span.output["text"], "*** it was.");
}

#[test]
fn results_are_masked_by_names_and_places_also_in_messages_and_where_they_were_cut() {
    let content = json!({ "card": { "number": CARD }, "session_token": "tok", "paid": 5 });
    let masked = json!({ "card": { "number": "***" }, "session_token": "***", "paid": 5 });
    let framed = json!({ "from": "shop/pay", "content": content });
    let (spans, cx) = tree();
    cx.secrets().of_tool("shop_pay", &card());
    cx.secrets().of_tool("shop/pay", &card());
    let input = json!({ "input": { "card": { "number": CARD }, "password": "hunter2" } });
    let (function, _) = cx.span(SpanKind::Function, "shop/pay", input);
    function.finish(content.clone());
    assert_eq!(spans.last().output, masked);
    assert_eq!(
        spans.last().input,
        json!({ "input": { "card": { "number": "***" }, "password": "***" } })
    );
    let (tool, _) = cx.span(SpanKind::Tool, "shop_pay", json!(payment()));
    tool.finish(framed.clone());
    assert_eq!(spans.last().output["content"], masked);

    // In another request of the conversation nothing is known but what its messages say.
    let whole = framed.to_string();
    let cut = format!(
        "{}\n[cut: about 9 of 20 tokens]",
        &whole[..whole.len() - 20]
    );
    let shown = json!({ "from": "shop/pay", "content": masked }).to_string();
    for (result, expected) in [
        (whole.clone(), shown.clone()),
        (
            format!("{whole}\nNow answer."),
            format!("{shown}\nNow answer."),
        ),
        (
            cut,
            r#"{"from":"shop/pay","content":{"card":{"number":***"#.to_owned(),
        ),
        (
            "It is done: {\"a\": 1}".to_owned(),
            "It is done: {\"a\": 1}".to_owned(),
        ),
        ("{\"total\": 5}".to_owned(), "{\"total\": 5}".to_owned()),
    ] {
        let (spans, cx) = tree();
        cx.secrets().of_tool("shop_pay", &card());
        let wants = Message {
            tool_calls: vec![payment()],
            ..Message::assistant("")
        };
        let messages = json!([wants, Message::tool("call_1", result)]);
        let (chat, _) = cx.span(SpanKind::Chat, "m", json!({ "messages": messages }));
        chat.finish(Value::Null);
        let span = spans.last();
        assert_eq!(span.input["messages"][1]["content"], json!(expected));
    }
}

#[test]
fn items_of_responses_are_masked_as_messages_are() {
    let (spans, cx) = tree();
    cx.secrets().of_tool("shop_pay", &card());
    let arguments = payment().arguments;
    let items = json!([
        { "type": "function_call", "call_id": "c", "name": "shop_pay", "arguments": arguments },
        { "type": "function_call_output", "call_id": "c", "output": "{\"secret\": \"abc\"}" },
    ]);
    let (span, _) = cx.span(SpanKind::Function, "responses", json!({ "input": items }));
    span.finish(Value::Null);
    let shown = spans.last().input["input"].clone();
    assert_eq!(shown[0]["arguments"], json!(MASKED));
    assert_eq!(shown[1]["output"], json!(r#"{"secret":"***"}"#));
}

#[test]
fn arguments_that_are_no_json_end_before_their_first_secret() {
    let (spans, cx) = tree();
    for (arguments, expected) in [
        (
            r#"{"user": "li", "password": "hunter2"#,
            r#"{"user": "li", "password":***"#,
        ),
        (
            r#"{"password": "one", "password": "two"}"#,
            r#"{"password":"***"}"#,
        ),
        ("password", "password"),
    ] {
        let call = json!({ "id": "c", "name": "login", "arguments": arguments });
        let (span, _) = cx.span(SpanKind::Tool, "login", call);
        span.finish(Value::Null);
        assert_eq!(spans.last().input["arguments"], json!(expected));
    }
}

#[test]
fn a_short_value_counts_as_a_word_and_a_very_short_one_where_it_stands() {
    let secrets = Secrets::default();
    let hidden: Vec<Steps> = ["pin", "code", "key", "lines"]
        .map(|name| vec![name.to_owned()])
        .to_vec();
    let value = json!({ "pin": 1234, "code": "123", "key": "0123456789", "lines": "a \"b\"\nc" });
    secrets.note(&value, &hidden);
    for (text, shown) in [
        ("pin 1234.", "pin ***."),
        ("12345 and 51234", "12345 and 51234"),
        ("code 123", "code 123"),
        ("bot0123456789x", "bot***x"),
        ("a \"b\"\nc", "***"),
        (r#"{"text":"a \"b\"\nc"}"#, r#"{"text":"***"}"#),
    ] {
        assert_eq!(secrets.shown(text), shown);
    }
    let (spans, cx) = tree();
    cx.secrets().note(&value, &hidden);
    let about = json!({ "number": 1234, "other": 12345 });
    let (span, _) = cx.span(SpanKind::Step, "s", about);
    span.finish(Value::Null);
    assert_eq!(
        spans.last().input,
        json!({ "number": "***", "other": 12345 })
    );
}

#[test]
fn what_is_no_tool_stays_as_it_is() {
    let (spans, cx) = tree();
    let input = json!({ "input": { "token": "abcdefgh" }, "sampling": { "max_tokens": 5 } });
    let (span, _) = cx.span(SpanKind::Function, "ask", input.clone());
    span.finish(json!({ "secret": "abcdefgh" }));
    assert_eq!(spans.last().input, input);
    assert_eq!(spans.last().output, json!({ "secret": "abcdefgh" }));
}

#[test]
fn what_is_remembered_has_an_end() {
    let secrets = Secrets::default();
    for number in 0..2 * MOST_VALUES {
        secrets.note(&json!({ "password": format!("secret-{number:04}") }), &[]);
    }
    secrets.note(&json!({ "password": "x".repeat(LONGEST + 1) }), &[]);
    assert_eq!(secrets.lock().values.len(), MOST_VALUES);
    for number in 0..2 * MOST_TOOLS {
        secrets.of_tool(&format!("tool-{number}"), &[]);
    }
    assert_eq!(secrets.lock().tools.len(), MOST_TOOLS);
    // A tool that is known may still be told anew.
    secrets.of_tool("tool-0", &card());
    assert_eq!(secrets.lock().tools["tool-0"], card());
    // What is not remembered is masked where it stands.
    let (spans, cx) = tree();
    let call = json!({ "name": "login", "arguments": { "password": "y".repeat(LONGEST + 1) } });
    let (span, _) = cx.span(SpanKind::Tool, "login", call);
    span.finish(Value::Null);
    assert!(stored(&spans.last()).contains(r#""password":"***""#));
}
