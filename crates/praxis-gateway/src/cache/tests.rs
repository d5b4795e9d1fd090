//! Which answers are kept, and until when; the requests and the answers themselves have files of their own.

mod answers;
mod requests;

use std::collections::BTreeMap;

use futures::{FutureExt, StreamExt};
use praxis_core::{Message, TokenLogprob, ToolCall, ToolCalls};

use super::*;

const ASKED: Asked<'static> = Asked {
    name: "gpt",
    provider: "openai",
    model: "gpt-there",
    base_url: "https://example.com/v1",
    reasoning_effort: None,
};

const HOUR: CachePolicy = CachePolicy {
    ttl: Period(Duration::from_secs(3600)),
    any: false,
};

const USAGE: Usage = Usage {
    input_tokens: 100,
    cached_tokens: 7,
    cache_write_tokens: 50,
    output_tokens: 20,
    forced_tokens: 1,
    reasoning_tokens: 2,
    audio_seconds: 0,
};

fn request() -> ChatRequest {
    ChatRequest {
        model: "gpt".to_owned(),
        messages: vec![Message::system("Be short."), Message::user("Why?")],
        sampling: Sampling {
            seed: Some(7),
            ..Sampling::default()
        },
        ..ChatRequest::default()
    }
}

fn delta(text: &str) -> Piece {
    Piece::Delta {
        text: text.to_owned(),
        logprobs: Vec::new(),
    }
}

/// All pieces of an answer that is given again.
fn again(kept: &Arc<Kept>) -> Vec<Piece> {
    let (first, rest) = kept.again();
    let rest = rest.collect::<Vec<_>>().now_or_never().unwrap();
    let rest = rest.into_iter().map(Result::unwrap);
    std::iter::once(first).chain(rest).collect()
}

/// What a caller has of an answer in the end.
type Whole = (
    String,
    String,
    Vec<TokenLogprob>,
    Vec<ToolCall>,
    Option<(FinishReason, Option<Usage>)>,
);

fn whole(pieces: &[Piece]) -> Whole {
    let (mut whole, mut calls) = (Whole::default(), ToolCalls::default());
    for piece in pieces {
        match piece {
            Piece::Delta { text, logprobs } => {
                whole.0.push_str(text);
                whole.2.extend(logprobs.iter().cloned());
            }
            Piece::Reasoning(text) => whole.1.push_str(text),
            Piece::ToolCall(delta) => calls.push(delta),
            Piece::Done {
                finish_reason,
                usage,
            } => whole.4 = Some((*finish_reason, *usage)),
        }
    }
    whole.3 = calls.finish();
    whole
}

#[test]
fn what_is_kept_is_said_in_one_word_or_in_a_table() {
    let read = |toml: &str| {
        let read: Result<BTreeMap<String, CachePolicy>, _> = toml::from_str(toml);
        read.map(|mut read| read.remove("cache").unwrap())
            .map_err(|e| e.to_string())
    };
    assert_eq!(read("cache = \"1h\""), Ok(HOUR));
    assert_eq!(read("cache = { ttl = \"60m\" }"), Ok(HOUR));
    let any = CachePolicy { any: true, ..HOUR };
    assert_eq!(read("[cache]\nttl = \"1h\"\nany = true"), Ok(any));
    for (toml, said) in [
        ("cache = \"long\"", "span of time"),
        ("cache = true", "a span of time such as \"1h\""),
        ("cache = { any = true }", "ttl"),
        ("cache = { ttl = \"1h\", all = true }", "all"),
    ] {
        let error = read(toml).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    let config: CacheConfig = toml::from_str("max_bytes = 9").unwrap();
    let expected = CacheConfig {
        max_bytes: 9,
        ..CacheConfig::default()
    };
    assert_eq!(config, expected);
    assert!(toml::from_str::<CacheConfig>("max_entries = 9").is_err());
}

fn answers(max_bytes: usize, max_answer_bytes: usize) -> Arc<Answers> {
    Answers::new(CacheConfig {
        max_bytes,
        max_answer_bytes,
    })
}

fn look(answers: &Arc<Answers>, policy: CachePolicy, request: &ChatRequest, at: Instant) -> Looked {
    answers.look(policy, &ASKED, request, &Caller::full(), at)
}

fn miss(looked: Looked) -> Storing {
    match looked {
        Looked::Miss(storing) => storing,
        Looked::Hit(_) => panic!("an answer was kept"),
        Looked::Nothing => panic!("none may be kept"),
    }
}

fn hit(looked: Looked) -> Arc<Kept> {
    match looked {
        Looked::Hit(kept) => kept,
        _ => panic!("no answer was kept"),
    }
}

#[test]
fn requests_that_would_be_answered_the_same_have_kept_answers() {
    let answers = answers(1 << 20, 1 << 20);
    let any = CachePolicy { any: true, ..HOUR };
    for (seed, temperature, policy, cacheable) in [
        (None, None, HOUR, false),
        (None, Some(0.7), HOUR, false),
        (None, Some(0.0), HOUR, true),
        (None, Some(-0.0), HOUR, true),
        (Some(1), None, HOUR, true),
        (Some(1), Some(0.7), HOUR, true),
        (None, Some(0.7), any, true),
    ] {
        let sampling = Sampling {
            seed,
            temperature,
            ..Sampling::default()
        };
        let request = ChatRequest {
            sampling,
            ..request()
        };
        let looked = look(&answers, policy, &request, Instant::now());
        assert_eq!(
            matches!(looked, Looked::Miss(_)),
            cacheable,
            "{:?}",
            request.sampling
        );
    }
    let nobody = answers.look(any, &ASKED, &request(), &Caller::default(), Instant::now());
    assert!(matches!(nobody, Looked::Nothing));
}

#[test]
fn an_answer_is_kept_of_the_model_that_was_looked_for_and_told_all() {
    let answers = answers(1 << 20, 1 << 20);
    let greedy = ChatRequest {
        sampling: Sampling {
            temperature: Some(0.0),
            ..request().sampling
        },
        ..request()
    };
    let any = CachePolicy { any: true, ..HOUR };
    for (request, policy, model, left_out, kept) in [
        (request(), HOUR, "gpt", &["min_p"][..], true),
        (request(), HOUR, "gpt", &[], true),
        (request(), HOUR, "fallback", &[], false),
        (request(), HOUR, "gpt", &["seed"], false),
        (request(), any, "gpt", &["seed"], true),
        (request(), any, "fallback", &[], false),
        (greedy.clone(), HOUR, "gpt", &["seed"], true),
        (greedy.clone(), HOUR, "gpt", &["temperature"], true),
        (greedy, HOUR, "gpt", &["temperature", "seed"], false),
    ] {
        let storing = miss(look(&answers, policy, &request, Instant::now()));
        let is_kept = storing.of(model, left_out).is_some();
        assert_eq!(is_kept, kept, "{model} {left_out:?}");
    }
}

#[test]
fn whole_answers_are_kept_until_their_end() {
    let answers = answers(1 << 20, 4096);
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let pieces = [delta("Because"), delta(" of it.")];
    let end = |finish_reason, text: &str| {
        let mut storing = miss(look(&answers, HOUR, &request(), start));
        for piece in &pieces {
            storing.push(piece);
        }
        storing.push(&delta(text));
        storing.finish(finish_reason, USAGE, start)
    };
    assert!(!end(FinishReason::ContentFilter, ""));
    // Too long at once, and too long in the end.
    assert!(!end(FinishReason::Stop, &"x".repeat(5000)));
    assert!(!end(FinishReason::Stop, &"x".repeat(3900)));
    // Dropped before its end.
    let mut dropped = miss(look(&answers, HOUR, &request(), start));
    dropped.push(&pieces[0]);
    drop(dropped);
    let late = miss(look(&answers, HOUR, &request(), start));
    assert!(end(FinishReason::Length, ""));
    let kept = hit(look(&answers, HOUR, &request(), at(3599)));
    assert_eq!(whole(&again(&kept)).0, "Because of it.");
    let done = whole(&again(&kept)).4.unwrap();
    assert_eq!(done.0, FinishReason::Length);
    // The last of several that were under way stays.
    assert!(late.finish(FinishReason::Stop, USAGE, at(10)));
    let kept = hit(look(&answers, HOUR, &request(), at(3609)));
    assert_eq!(whole(&again(&kept)).0, "");
    miss(look(&answers, HOUR, &request(), at(3610)));
}

#[test]
fn no_time_is_too_long_to_be_counted() {
    let answers = answers(1 << 20, 4096);
    let forever = CachePolicy {
        ttl: Period(Duration::MAX),
        any: false,
    };
    let now = Instant::now();
    let storing = miss(look(&answers, forever, &request(), now));
    assert!(storing.finish(FinishReason::Stop, USAGE, now));
    hit(look(&answers, forever, &request(), now));
}
