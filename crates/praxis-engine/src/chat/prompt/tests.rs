//! Prompts of raw texts and of gaps, over a vocabulary of SentencePiece that is small enough to be read.

use std::sync::Arc;

use candle_core::quantized::gguf_file::{self, Value};
use praxis_core::tool::no_parameters;

use super::*;
use crate::constraint::Constraints;
use crate::gguf::Gguf;
use crate::tokenizer::TextTokenizer;

/// Its tokens with their kinds and scores; a token's place is its number.
const TOKENS: [(&str, i32, f32); 12] = [
    ("<unk>", 2, 0.0),
    ("<s>", 3, 0.0),
    ("</s>", 3, 0.0),
    ("\u{2581}Hi", 1, -2.0),
    ("\u{2581}", 1, -3.0),
    ("H", 1, -4.0),
    ("i", 1, -5.0),
    ("Hi", 1, -1.0),
    ("<0x21>", 6, 0.0),
    ("<fim_prefix>", 3, 0.0),
    ("<fim_suffix>", 3, 0.0),
    ("<fim_middle>", 3, 0.0),
];

/// A base model of the first `count` tokens.
fn model(count: usize, add_bos: bool, has_bos: bool) -> Model {
    let some = TOKENS.iter().take(count);
    let texts = some
        .clone()
        .map(|(text, ..)| Value::String((*text).to_owned()));
    let kinds = some.clone().map(|(_, kind, _)| Value::I32(*kind));
    let scores = some.map(|(.., score)| Value::F32(*score));
    let (texts, kinds, scores) = (
        Value::Array(texts.collect()),
        Value::Array(kinds.collect()),
        Value::Array(scores.collect()),
    );
    let (name, bos, eos) = (Value::String("llama".into()), Value::U32(1), Value::U32(2));
    let add_bos = Value::Bool(add_bos);
    let mut metadata = vec![
        ("tokenizer.ggml.model", &name),
        ("tokenizer.ggml.tokens", &texts),
        ("tokenizer.ggml.token_type", &kinds),
        ("tokenizer.ggml.scores", &scores),
        ("tokenizer.ggml.eos_token_id", &eos),
        ("tokenizer.ggml.add_bos_token", &add_bos),
    ];
    if has_bos {
        metadata.push(("tokenizer.ggml.bos_token_id", &bos));
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    gguf_file::write(&mut bytes, &metadata, &[]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes.into_inner()).unwrap();
    let tokenizer = TextTokenizer::open(&Gguf::open(file.path()).unwrap()).unwrap();
    let tokenizer = Arc::new(tokenizer);
    Model {
        constraints: Constraints::new(Arc::clone(&tokenizer), 1),
        tokenizer,
        template: None,
        context: 64,
    }
}

fn prompt(model: &Model, layout: &Layout, texts: &[&str]) -> Result<Vec<u32>, ModelError> {
    let messages: Vec<Message> = texts.iter().map(|text| Message::user(*text)).collect();
    model.prompt_of(layout, &messages, &[])
}

#[test]
fn a_raw_text_is_its_tokens_behind_the_one_that_begins_a_text_where_the_model_wants_that() {
    for (add_bos, texts, wanted) in [
        (true, &["Hi"][..], vec![1, 3]),
        (false, &["Hi"], vec![3]),
        (true, &["<s>Hi"], vec![1, 3]),
        (true, &["Hi</s>Hi!"], vec![1, 3, 2, 3, 8]),
        (true, &["H", "i"], vec![1, 3]),
        (true, &[""], vec![1]),
        (false, &[""], vec![1]),
        (false, &[], vec![1]),
    ] {
        let model = model(TOKENS.len(), add_bos, true);
        let found = prompt(&model, &Layout::Raw, texts).unwrap();
        assert_eq!(found, wanted, "{texts:?}, {add_bos}");
    }
    let error = prompt(&model(TOKENS.len(), false, false), &Layout::Raw, &[""]);
    assert!(error.unwrap_err().to_string().starts_with("prompt: "));
}

#[test]
fn a_gap_is_marked_as_the_model_was_taught() {
    let gap = |suffix: &str| Layout::Infill {
        suffix: suffix.to_owned(),
    };
    let all = TOKENS.len();
    for (add_bos, text, suffix, wanted) in [
        (true, "Hi", "i", vec![1, 9, 7, 10, 6, 11]),
        (false, "Hi", "i", vec![9, 7, 10, 6, 11]),
        (false, "", "", vec![9, 10, 11]),
    ] {
        let found = prompt(&model(all, add_bos, true), &gap(suffix), &[text]).unwrap();
        assert_eq!(found, wanted, "{text:?} {suffix:?}");
    }
    // What a text spells is text: only the marks that were put there are some.
    let found = prompt(
        &model(all, false, true),
        &gap("<fim_middle>"),
        &["<s><fim_suffix>"],
    );
    let marks: Vec<u32> = found
        .unwrap()
        .into_iter()
        .filter(|t| *t >= 9 || *t == 1)
        .collect();
    assert_eq!(marks, [9, 10, 11]);
    // Two of the three are no way to mark one.
    for count in [9, all - 1] {
        let error = prompt(&model(count, true, true), &gap("i"), &["Hi"]).unwrap_err();
        assert!(error.to_string().starts_with("suffix: "), "{error}");
    }
}

#[test]
fn what_a_base_model_is_not_for_is_refused_with_the_way_out() {
    let model = model(TOKENS.len(), true, true);
    let error = prompt(&model, &Layout::Chat, &["Hi"]).unwrap_err();
    assert!(error.to_string().contains("/v1/completions"), "{error}");
    let tool = ToolSpec {
        name: "f".to_owned(),
        description: String::new(),
        parameters: no_parameters(),
    };
    let messages = [Message::user("Hi")];
    let error = model.prompt_of(&Layout::Raw, &messages, &[tool]);
    assert!(error.unwrap_err().to_string().starts_with("tools: "));
}
