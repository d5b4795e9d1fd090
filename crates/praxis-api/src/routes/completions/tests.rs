//! What becomes of a request's fields, and what clients see of answers.

use praxis_core::{ChatChunk, FinishReason, ModelError, TokenLogprob, Usage};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::shape::Sent;
use super::*;

/// A request for `m` to go on with `Once`, with these fields beside.
fn check(fields: &Value) -> Result<Asked, ApiError> {
    let mut body = json!({ "model": "m", "prompt": "Once" });
    let fields = fields.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    serde_json::from_value::<Request>(body).unwrap().check()
}

fn asked(fields: &Value) -> Asked {
    check(fields).unwrap()
}

#[test]
fn fields_are_read_as_openai_has_them() {
    let plain = asked(&json!({}));
    assert_eq!(plain.sampling.max_tokens, Some(16));
    assert_eq!((plain.n, plain.best_of, plain.logprobs), (1, 1, None));
    assert_eq!((plain.layout, plain.echo), (Layout::Raw, false));
    for (fields, prompts) in [
        (json!({ "prompt": "a" }), &["a"][..]),
        (json!({ "prompt": ["a", "b"] }), &["a", "b"]),
        (json!({ "prompt": null }), &[""]),
        (json!({ "prompt": "" }), &[""]),
    ] {
        assert_eq!(asked(&fields).prompts, prompts, "{fields}");
    }
    let gap = Layout::Infill {
        suffix: "end".to_owned(),
    };
    for (suffix, layout) in [("end", gap), ("", Layout::Raw)] {
        assert_eq!(asked(&json!({ "suffix": suffix })).layout, layout);
    }
    let all = asked(&json!({
        "max_tokens": 3, "temperature": 0, "top_p": 0.5, "frequency_penalty": -2, "presence_penalty": 2,
        "seed": -1, "stop": "x", "n": 2, "best_of": 4, "logprobs": 5, "logit_bias": { "5": -100 },
        "stream": false,
    }));
    assert_eq!((all.n, all.best_of, all.logprobs), (2, 4, Some(5)));
    let wanted = Sampling {
        temperature: Some(0.0),
        top_p: Some(0.5),
        frequency_penalty: Some(-2.0),
        presence_penalty: Some(2.0),
        seed: Some(u64::MAX),
        max_tokens: Some(3),
        stop: vec!["x".to_owned()],
        logit_bias: [(5, -100.0)].into(),
        ..Sampling::default()
    };
    assert_eq!(all.sampling, wanted);
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    for (fields, param) in [
        (json!({ "model": "function:answer" }), "model"),
        (json!({ "prompt": [] }), "prompt"),
        (json!({ "prompt": [1, 2] }), "prompt"),
        (json!({ "prompt": [[1, 2], [3]] }), "prompt"),
        (json!({ "prompt": ["a", 1] }), "prompt"),
        (json!({ "prompt": { "text": "a" } }), "prompt"),
        (json!({ "prompt": vec!["a"; 129] }), "prompt"),
        (json!({ "prompt": ["a", "b"], "n": 128 }), "prompt"),
        (json!({ "n": 0 }), "n"),
        (json!({ "n": 129 }), "n"),
        (json!({ "best_of": 0 }), "best_of"),
        (json!({ "n": 3, "best_of": 2 }), "best_of"),
        (json!({ "best_of": 2, "stream": true }), "best_of"),
        (json!({ "logprobs": 6 }), "logprobs"),
        (json!({ "logprobs": 0, "echo": true }), "logprobs"),
        (json!({ "echo": true, "suffix": "x" }), "echo"),
        (json!({ "logit_bias": { "5": 101 } }), "logit_bias"),
        (json!({ "logit_bias": { "the": 1 } }), "logit_bias"),
        (json!({ "max_tokens": 0 }), "max_tokens"),
        (json!({ "temperature": 2.5 }), "temperature"),
        (json!({ "top_p": -0.1 }), "top_p"),
        (json!({ "frequency_penalty": 2.1 }), "frequency_penalty"),
        (json!({ "presence_penalty": -2.1 }), "presence_penalty"),
    ] {
        let error = check(&fields).unwrap_err().body();
        assert_eq!(error["error"]["param"], param, "{fields}: {error}");
        assert_eq!(error["error"]["code"], "invalid_request", "{fields}");
    }
}

#[test]
fn each_answer_is_a_request_with_a_seed_of_its_own() {
    let asked = asked(&json!({ "prompt": ["a", "b"], "n": 1, "best_of": 2, "seed": 7 }));
    let requests = asked.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|r| (r.messages[0].text().into_owned(), r.sampling.seed.unwrap()))
        .collect();
    let texts = [("a", 7), ("a", 8), ("b", 7), ("b", 8)];
    assert_eq!(seen, texts.map(|(text, seed)| (text.to_owned(), seed)));
    for request in requests {
        assert_eq!(request.layout, Layout::Raw);
        assert_eq!(request.top_logprobs, Some(0), "the best is to be told");
        assert_eq!(request.sampling.max_tokens, Some(16));
    }
}

fn token(text: &str, logprob: f32) -> TokenLogprob {
    of_bytes(text.as_bytes(), logprob)
}

fn of_bytes(bytes: &[u8], logprob: f32) -> TokenLogprob {
    TokenLogprob {
        token: String::from_utf8_lossy(bytes).into_owned(),
        logprob,
        bytes: Some(bytes.to_vec()),
        top_logprobs: Vec::new(),
    }
}

fn used(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage {
        input_tokens,
        output_tokens,
        ..Usage::default()
    }
}

/// An answer whose tokens are its letters, all as probable.
fn answer(text: &str, logprob: f32) -> ChatAnswer {
    let letters = text
        .chars()
        .map(|letter| token(&letter.to_string(), logprob));
    ChatAnswer {
        text: text.to_owned(),
        reasoning: String::new(),
        logprobs: letters.collect(),
        tool_calls: Vec::new(),
        finish_reason: FinishReason::Stop,
        usage: used(5, text.len() as u64),
    }
}

fn envelope() -> Envelope {
    Envelope {
        id: "cmpl-1".to_owned(),
        trace: "1".to_owned(),
        model: "m".to_owned(),
        created: 7,
    }
}

fn texts(whole: &Value) -> Vec<(u64, &str)> {
    let choices = whole["choices"].as_array().unwrap().iter();
    choices
        .map(|c| (c["index"].as_u64().unwrap(), c["text"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_whole_answer_has_a_choice_for_each_prompt_and_each_of_n() {
    let asked = asked(&json!({ "prompt": ["p", "q"], "n": 2, "echo": true }));
    let answers = ["a", "b", "c", "d"].map(|text| answer(text, -1.0));
    let whole = envelope().whole(&asked, &answers).unwrap();
    assert_eq!(texts(&whole), [(0, "pa"), (1, "pb"), (2, "qc"), (3, "qd")]);
    assert_eq!(whole["object"], "text_completion");
    assert_eq!(
        whole["choices"][0],
        json!({ "text": "pa", "index": 0, "logprobs": null, "finish_reason": "stop" })
    );
    let usage = &whole["usage"];
    let counted = (
        &usage["prompt_tokens"],
        &usage["completion_tokens"],
        &usage["total_tokens"],
    );
    assert_eq!(
        counted,
        (&json!(10), &json!(4), &json!(14)),
        "a prompt counts once"
    );
}

#[test]
fn the_best_answers_are_those_of_the_most_probable_tokens() {
    let asked = asked(&json!({ "n": 2, "best_of": 4 }));
    let some = [("long but sure", -0.1), ("x", -2.0), ("", 0.0), ("y", -0.5)];
    let answers = some.map(|(text, logprob)| answer(text, logprob));
    let whole = envelope().whole(&asked, &answers).unwrap();
    assert_eq!(texts(&whole), [(0, "long but sure"), (1, "y")]);
    assert_eq!(whole["choices"][0]["logprobs"], Value::Null, "nobody asked");
    assert_eq!(
        whole["usage"]["completion_tokens"], 15,
        "all that were made"
    );
    // Without probabilities nobody knows which.
    let mut untold = answers;
    untold[0].logprobs.clear();
    let error = envelope().whole(&asked, &untold).unwrap_err();
    assert_eq!(error.body()["error"]["param"], "best_of");
}

#[test]
fn log_probabilities_stand_side_by_side_with_their_places_in_the_text() {
    let asked = asked(&json!({ "logprobs": 1 }));
    let mut first = token(" a", -0.5);
    first.top_logprobs = vec![token(" the", -0.25)];
    let mut answer = answer("", 0.0);
    answer.text = " a\u{85e4}!".to_owned();
    answer.logprobs = vec![
        first,
        of_bytes(b"\xe8\x97", -1.0),
        of_bytes(b"\xa4", f32::NEG_INFINITY),
        token("!", -0.125),
    ];
    let whole = envelope().whole(&asked, &[answer]).unwrap();
    assert_eq!(
        whole["choices"][0]["logprobs"],
        json!({
            "tokens": [" a", "bytes:\\xe8\\x97", "bytes:\\xa4", "!"],
            "token_logprobs": [-0.5, -1.0, -9999.0, -0.125],
            "top_logprobs": [
                { " the": -0.25, " a": -0.5 },
                { "bytes:\\xe8\\x97": -1.0 },
                { "bytes:\\xa4": -9999.0 },
                { "!": -0.125 },
            ],
            "text_offset": [0, 2, 2, 3],
        })
    );
}

fn delta(text: &str, logprobs: Vec<TokenLogprob>) -> Result<ChatChunk, ApiError> {
    let text = text.to_owned();
    Ok(ChatChunk::Delta { text, logprobs })
}

fn done(finish_reason: FinishReason, usage: Usage) -> Result<ChatChunk, ApiError> {
    Ok(ChatChunk::Done {
        finish_reason,
        usage,
    })
}

/// All that is sent of these pieces: choices as they are, `usage` of a last one, and the end.
fn streamed(
    asked: Asked,
    pieces: Vec<(usize, Result<ChatChunk, ApiError>)>,
    cancel: &CancellationToken,
) -> Vec<Value> {
    let mut streaming = Streaming::new(envelope(), asked, true, cancel.clone());
    let sent = pieces
        .into_iter()
        .flat_map(|(at, piece)| streaming.take(at, piece));
    sent.map(|sent| match sent {
        Sent::Done => json!("[DONE]"),
        Sent::Data(value) => match value["choices"].as_array().map(Vec::as_slice) {
            Some([]) => value["usage"]["completion_tokens"].clone(),
            Some([choice]) => choice.clone(),
            _ => value,
        },
    })
    .collect()
}

#[test]
fn answers_are_streamed_side_by_side_and_end_together() {
    let asked = asked(&json!({ "prompt": ["p", "q"], "echo": true, "stream": true }));
    let pieces = vec![
        (1, delta("a", Vec::new())),
        (0, delta("b", Vec::new())),
        (1, delta("", Vec::new())),
        (1, done(FinishReason::Length, used(1, 1))),
        (0, delta("c", Vec::new())),
        (0, done(FinishReason::ToolCalls, used(1, 2))),
    ];
    let choice = |at: u64, text: &str, reason: Option<&str>| json!({ "text": text, "index": at, "logprobs": null, "finish_reason": reason });
    let cancel = CancellationToken::new();
    assert_eq!(
        streamed(asked, pieces, &cancel),
        [
            choice(1, "qa", None),
            choice(0, "pb", None),
            choice(1, "", Some("length")),
            choice(0, "c", None),
            choice(0, "", Some("stop")),
            json!(3),
            json!("[DONE]"),
        ]
    );
    assert!(!cancel.is_cancelled());
}

#[test]
fn places_of_tokens_go_on_from_piece_to_piece() {
    let asked = asked(&json!({ "logprobs": 0, "stream": true }));
    let pieces = vec![
        (0, delta("ab", vec![token("ab", -1.0)])),
        (0, delta("c", vec![token("c", -1.0)])),
    ];
    let sent = streamed(asked, pieces, &CancellationToken::new());
    let offsets: Vec<&Value> = sent.iter().map(|c| &c["logprobs"]["text_offset"]).collect();
    assert_eq!(offsets, [&json!([0]), &json!([2])]);
}

#[test]
fn an_error_ends_a_stream_and_stops_the_other_answers() {
    let asked = asked(&json!({ "n": 2, "stream": true }));
    let pieces = vec![
        (0, delta("a", Vec::new())),
        (1, Err(ModelError::Broken("it broke".into()).into())),
        (0, delta("b", Vec::new())),
        (0, done(FinishReason::Stop, used(1, 2))),
    ];
    let cancel = CancellationToken::new();
    let sent = streamed(asked, pieces, &cancel);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(sent[1]["error"]["code"], "upstream_error");
    assert!(cancel.is_cancelled());
}
