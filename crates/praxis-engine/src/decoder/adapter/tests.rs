//! Adapters against the same weights merged into the model, against llama.cpp, and beside each other;
//! and files that are not what they should be.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Adapter;
use crate::compute::Disjoint;
use crate::compute::linear::{Input, Matrix, tests::EXACT};
use crate::decoder::rope::{Rope, RopeLayout};
use crate::decoder::tests::adapters::{
    self as files, Pair, Shape, TARGETS, peft_config, peft_tensors, random, write_gguf, write_peft,
};
use crate::decoder::tests::model;
use crate::decoder::{BlockPool, Decoder, KvCache, Layer, Linear, Memory, Piece};
use crate::error::EngineError;
use crate::gguf::Gguf;

const TINY: Shape = Shape {
    layers: 5,
    hidden: 32,
    feed_forward: 48,
    queries: 32,
    keys: 16,
};
/// Values of a head of `tiny-llama`.
const HEAD: usize = 8;

fn fixture(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(name)
}

fn tiny(architecture: &str) -> Decoder {
    let path = fixture(&format!("tiny-{architecture}.gguf"));
    Decoder::open(&Gguf::open(&path).unwrap()).unwrap()
}

fn exact(path: &Path) -> Decoder {
    EXACT.set(true);
    let decoder = Decoder::open(&Gguf::open(path).unwrap()).unwrap();
    EXACT.set(false);
    decoder
}

/// The logits of all sequences after their last token, computed together in passes of `step` tokens;
/// `reads`: as prompts, which a matrix unit may round.
fn together(
    decoder: &Decoder,
    sequences: &[(&[u32], Option<&Adapter>)],
    step: usize,
    reads: bool,
) -> Vec<Vec<f32>> {
    let pool = BlockPool::new(decoder.cache_shape(), usize::MAX);
    let mut caches: Vec<KvCache> = sequences
        .iter()
        .map(|_| KvCache::new(decoder.cache_shape()))
        .collect();
    let mut memory = Memory::default();
    let mut results = vec![Vec::new(); sequences.len()];
    let longest = sequences
        .iter()
        .map(|(tokens, _)| tokens.len())
        .max()
        .unwrap();
    for start in (0..longest).step_by(step) {
        let mut pieces = Vec::new();
        let mut ending = Vec::new();
        for (i, ((tokens, adapter), cache)) in sequences.iter().zip(&mut caches).enumerate() {
            let end = tokens.len().min(start + step);
            if start >= end {
                continue;
            }
            cache.reserve(end - start, &pool);
            let last = end == tokens.len();
            if last {
                ending.push(i);
            }
            pieces.push(Piece {
                tokens: &tokens[start..end],
                cache,
                logits: usize::from(last),
                reads,
                adapter: *adapter,
            });
        }
        let logits = decoder
            .forward(&mut pieces, &mut memory, &|| false)
            .unwrap();
        for (i, logits) in ending.into_iter().zip(logits) {
            results[i] = logits;
        }
    }
    results
}

fn alone(decoder: &Decoder, tokens: &[u32], adapter: Option<&Adapter>) -> Vec<f32> {
    together(decoder, &[(tokens, adapter)], usize::MAX, false).remove(0)
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

fn tokens(count: u32, vocabulary: usize) -> Vec<u32> {
    (0..count)
        .map(|i| (i * 7919 + 3) % vocabulary as u32)
        .collect()
}

/// Rows of a matrix in another order, with a product of thin matrices added.
struct Changed {
    base: Box<dyn Matrix>,
    order: fn(usize) -> usize,
    added: Option<(Pair, f32)>,
}

impl Matrix for Changed {
    fn tasks(&self, _: usize) -> usize {
        self.rows()
    }

    fn run(&self, task: usize, x: &Input<'_>, out: &Disjoint<'_>) {
        let mut weights = vec![0.0; self.columns()];
        self.row(task, &mut weights);
        for row in 0..x.rows() {
            let x = x.row(row);
            let products = x
                .iter()
                .zip(&weights)
                .map(|(x, w)| f64::from(*x) * f64::from(*w));
            let sum = products.sum::<f64>() as f32;
            // SAFETY: each task writes its own column.
            unsafe { out.write(row * self.rows() + task, &[sum]) };
        }
    }

    fn row(&self, index: usize, out: &mut [f32]) {
        self.base.row((self.order)(index), out);
        let Some((pair, scale)) = &self.added else {
            return;
        };
        for (r, a) in pair.a.chunks_exact(out.len()).enumerate() {
            let b = pair.b[index * pair.rank + r] * scale;
            out.iter_mut().zip(a).for_each(|(out, a)| *out += a * b);
        }
    }

    fn bytes(&self) -> usize {
        0
    }

    fn rows(&self) -> usize {
        self.base.rows()
    }

    fn columns(&self) -> usize {
        self.base.columns()
    }
}

fn projections(layer: &mut Layer) -> [&mut Linear; 7] {
    [
        &mut layer.query,
        &mut layer.key,
        &mut layer.value,
        &mut layer.output,
        &mut layer.gate,
        &mut layer.up,
        &mut layer.down,
    ]
}

fn change(linear: &mut Linear, order: fn(usize) -> usize, added: Option<(Pair, f32)>) {
    struct Nothing;
    impl Matrix for Nothing {
        fn tasks(&self, _: usize) -> usize {
            0
        }
        fn run(&self, _: usize, _: &Input<'_>, _: &Disjoint<'_>) {}
        fn row(&self, _: usize, _: &mut [f32]) {}
        fn bytes(&self) -> usize {
            0
        }
        fn rows(&self) -> usize {
            0
        }
        fn columns(&self) -> usize {
            0
        }
    }
    let base = std::mem::replace(&mut linear.weight, Box::new(Nothing));
    linear.weight = Box::new(Changed { base, order, added });
}

fn merge(decoder: &mut Decoder, pairs: &[Pair], scale: f32) {
    for pair in pairs {
        let linear = &mut *projections(&mut decoder.layers[pair.layer])[pair.target];
        change(linear, |row| row, Some((pair.clone(), scale)));
    }
}

/// Compares an adapter in `f32` arithmetic with merged weights.
fn agrees_with_merged(path: &Path, architecture: &str, shape: &Shape, length: u32) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("adapter.gguf");
    let pairs = random(shape, 4, 11);
    write_gguf(&file, architecture, 6.0, &pairs);
    let decoder = exact(path);
    let adapter = decoder.adapter(&file).unwrap();
    let tokens = tokens(length, decoder.vocabulary());
    let ours = alone(&decoder, &tokens, Some(&adapter));
    let mut merged = exact(path);
    merge(&mut merged, &pairs, 6.0 / 4.0);
    let truth = alone(&merged, &tokens, None);
    let error = difference(&ours, &truth);
    let effect = difference(&alone(&decoder, &tokens, None), &truth);
    eprintln!("{architecture}: {error} off merged weights, {effect} off the model without");
    // Keys and values are cached in half precision, which magnifies the last bit of a sum.
    assert!(effect > 0.5 && error < 0.005 * effect, "{architecture}");
}

#[test]
fn an_adapter_gives_what_merged_weights_give() {
    for architecture in ["llama", "qwen2", "smollm3"] {
        let path = fixture(&format!("tiny-{architecture}.gguf"));
        agrees_with_merged(&path, architecture, &TINY, 40);
    }
    if let Some(path) = model("smollm2-135m-instruct") {
        agrees_with_merged(&path, "llama", &files::SMOLLM2, 24);
    }
}

#[test]
fn a_peft_folder_is_applied_to_the_model_as_hugging_face_has_it() {
    let folder = TempDir::new().unwrap();
    let pairs = random(&TINY, 3, 5);
    let peft = write_peft(folder.path(), &peft_config(3, 6.0), &peft_tensors(&pairs));
    let path = fixture("tiny-llama.gguf");
    let decoder = exact(&path);
    let tokens = tokens(40, decoder.vocabulary());
    let ours = alone(&decoder, &tokens, Some(&decoder.adapter(&peft).unwrap()));
    // The same model as Hugging Face stores it: halves of a head rotate together, and the rows of
    // queries and keys are where that needs them.
    let mut original = exact(&path);
    original.config.rope = Rope::new(RopeLayout::Halves, HEAD, 10_000.0, 1.0, None);
    for layer in &mut original.layers {
        for linear in [&mut layer.query, &mut layer.key] {
            let order = |row: usize| {
                let (head, value) = (row / HEAD, row % HEAD);
                head * HEAD + 2 * (value % (HEAD / 2)) + value / (HEAD / 2)
            };
            change(linear, order, None);
        }
    }
    merge(&mut original, &pairs, 2.0);
    let truth = alone(&original, &tokens, None);
    let error = difference(&ours, &truth);
    assert!(error < 0.002, "{error}");

    let mut stabilized = peft_config(3, 6.0);
    stabilized["use_rslora"] = json!(true);
    let peft = write_peft(folder.path(), &stabilized, &peft_tensors(&pairs));
    let ours = alone(&original, &tokens, Some(&original.adapter(&peft).unwrap()));
    let base = tiny("llama");
    assert!(difference(&ours, &alone(&base, &tokens, None)) > 0.1);
}

/// `scripts/reference/tiny_models.py` wrote adapters with llama.cpp's logits.
#[test]
fn adapters_agree_with_llama_cpp() {
    for architecture in ["llama", "qwen2", "qwen3", "smollm3"] {
        let reference = std::fs::read(fixture(&format!("tiny-{architecture}.json"))).unwrap();
        let reference: Value = serde_json::from_slice(&reference).unwrap();
        let tokens: Vec<u32> = serde_json::from_value(reference["tokens"].clone()).unwrap();
        let theirs: Vec<Vec<f32>> =
            serde_json::from_value(reference["adapted_logits"].clone()).unwrap();
        let decoder = tiny(architecture);
        let adapter = decoder
            .adapter(&fixture(&format!("tiny-{architecture}-lora.gguf")))
            .unwrap();
        let ours = alone(&decoder, &tokens, Some(&adapter));
        let error = difference(&ours, theirs.last().unwrap());
        let effect = difference(&alone(&decoder, &tokens, None), theirs.last().unwrap());
        eprintln!("{architecture}: {error} off llama.cpp, {effect} without the adapter");
        assert!(
            error < 0.05 && effect > 10.0 * error,
            "{architecture}: {error} {effect}"
        );
    }
}

#[test]
fn adapters_beside_each_other_give_what_they_give_alone() {
    let folder = TempDir::new().unwrap();
    let decoder = tiny("llama");
    let adapters: Vec<Adapter> = [(1, 4), (2, 7)]
        .into_iter()
        .map(|(seed, rank)| {
            let file = folder.path().join("adapter.gguf");
            // The second one leaves some targets and layers as they are.
            let mut pairs = random(&TINY, rank, seed);
            pairs.retain(|pair| seed == 1 || (pair.target % 2 == 0 && pair.layer != 3));
            write_gguf(&file, "llama", 8.0, &pairs);
            decoder.adapter(&file).unwrap()
        })
        .collect();
    let text = tokens(50, decoder.vocabulary());
    let sequences: Vec<(&[u32], Option<&Adapter>)> = vec![
        (&text[..40], Some(&adapters[0])),
        (&text[3..33], None),
        (&text[..40], Some(&adapters[1])),
        (&text[5..50], Some(&adapters[0])),
        (&text[..40], None),
    ];
    for reads in [false, true] {
        let together = |sequences: &[_], step| together(&decoder, sequences, step, reads);
        let expected: Vec<Vec<f32>> = sequences
            .iter()
            .map(|sequence| together(&[*sequence], usize::MAX).remove(0))
            .collect();
        assert!(difference(&expected[0], &expected[2]) > 0.1);
        for step in [1, 16, 50] {
            let results = together(&sequences, step);
            for (result, expected) in results.iter().zip(&expected) {
                let same = result
                    .iter()
                    .zip(expected)
                    .all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "in steps of {step}");
            }
        }
    }
}

#[test]
fn an_adapter_says_how_much_memory_it_takes() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("adapter.gguf");
    write_gguf(&file, "llama", 8.0, &random(&TINY, 4, 1));
    let adapter = tiny("llama").adapter(&file).unwrap();
    let numbers: usize = (0..7)
        .map(|target| TINY.of(target))
        .map(|(rows, columns)| 4 * (rows + columns))
        .sum();
    assert_eq!(adapter.bytes(), 2 * 5 * numbers);
}

/// What loading a PEFT folder says.
fn peft_error(config: &Value, tensors: &files::Tensors) -> String {
    let folder = TempDir::new().unwrap();
    let path = write_peft(folder.path(), config, tensors);
    tiny("llama").adapter(&path).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_applied_is_named_with_the_way_out() {
    let pairs = random(&TINY, 4, 1);
    for (key, value, parts) in [
        ("peft_type", json!("IA3"), ["IA3", "LORA"]),
        ("use_dora", json!(true), ["DoRA", "merge_and_unload"]),
        (
            "modules_to_save",
            json!(["lm_head"]),
            ["modules_to_save", "merge_and_unload"],
        ),
        ("bias", json!("all"), ["biases", "merge_and_unload"]),
        (
            "alpha_pattern",
            json!({"q_proj": 3}),
            ["alpha", "merge_and_unload"],
        ),
        (
            "init_lora_weights",
            json!("pissa_niter_16"),
            ["pissa_niter_16", "path_initial_model_for_weight_conversion"],
        ),
        ("r", json!("four"), ["adapter_config.json", "invalid type"]),
        ("r", json!(8), ["rank 8", "[4, 48]"]),
    ] {
        let mut config = peft_config(4, 8.0);
        config[key] = value;
        let error = peft_error(&config, &peft_tensors(&pairs));
        for part in parts {
            assert!(
                error.contains(part),
                "{key}: {error:?} should name {part:?}"
            );
        }
    }
    let config = peft_config(4, 8.0);
    let prefix = "base_model.model.model";
    for (from, to) in [
        (
            "layers.2.mlp.up_proj.lora_A.weight",
            "layers.2.block_sparse_moe.gate.lora_A.weight",
        ),
        (
            "layers.2.mlp.up_proj.lora_A.weight",
            "layers.2.mlp.up_proj.lora_magnitude_vector",
        ),
        (
            "layers.0.self_attn.q_proj.lora_B.weight",
            "embed_tokens.lora_embedding_B",
        ),
        (
            "layers.0.self_attn.q_proj.lora_B.weight",
            "layers.9.self_attn.q_proj.lora_B.weight",
        ),
        (
            "layers.0.self_attn.q_proj.lora_B.weight",
            "layers.0.self_attn.k_proj.lora_B.weight",
        ),
    ] {
        let mut tensors = peft_tensors(&pairs);
        let to = format!("{prefix}.{to}");
        tensors.retain(|(name, ..)| *name != to);
        for (name, ..) in &mut tensors {
            if *name == format!("{prefix}.{from}") {
                name.clone_from(&to);
            }
        }
        let error = peft_error(&config, &tensors);
        assert!(error.contains("adapter_model.safetensors"), "{error}");
        assert!(
            error.contains(&to) || error.contains("q_proj.lora_A"),
            "{error}"
        );
    }
    let mut tensors = peft_tensors(&pairs);
    tensors[3].2[0] = f32::INFINITY;
    let error = peft_error(&config, &tensors);
    assert!(
        error.contains("layers.0.self_attn.k_proj.lora_B"),
        "{error}"
    );
    assert!(peft_error(&config, &Vec::new()).contains("no LoRA tensors"));
}

#[test]
fn a_folder_or_file_that_is_no_adapter_says_so() {
    let folder = TempDir::new().unwrap();
    let decoder = tiny("llama");
    let error = |path: &Path| decoder.adapter(path).unwrap_err();
    assert!(matches!(
        error(&folder.path().join("absent.gguf")),
        EngineError::Read { .. }
    ));
    let text = error(folder.path()).to_string();
    assert!(text.contains("adapter_config.json"), "{text}");
    let config = peft_config(4, 8.0).to_string();
    std::fs::write(folder.path().join("adapter_config.json"), config).unwrap();
    std::fs::write(folder.path().join("adapter_model.bin"), b"pickle").unwrap();
    let text = error(folder.path()).to_string();
    assert!(
        text.contains("adapter_model.bin") && text.contains("safetensors"),
        "{text}"
    );
    let text = error(&fixture("tiny-llama.gguf")).to_string();
    assert!(text.contains("is it a model?"), "{text}");

    let file = folder.path().join("adapter.gguf");
    let mut pairs = random(&TINY, 4, 1);
    write_gguf(&file, "gemma", 8.0, &pairs);
    let text = error(&file).to_string();
    assert!(
        text.contains("`gemma`") && text.contains("`llama`"),
        "{text}"
    );
    pairs[8].a.truncate(4 * 16);
    write_gguf(&file, "llama", 8.0, &pairs);
    let text = error(&file).to_string();
    assert!(
        text.contains("blk.1.attn_k.weight.lora_a") && text.contains("[4, 16]"),
        "{text}"
    );
    pairs.truncate(7);
    write_gguf(&file, "llama", 8.0, &pairs);
    let mut bytes = std::fs::read(&file).unwrap();
    let name = b"blk.0.ffn_up.weight.lora_b";
    let at = bytes.windows(name.len()).position(|w| w == name).unwrap();
    bytes[at..at + name.len()].copy_from_slice(b"blk.0.ffn_up.weight.lora_c");
    std::fs::write(&file, &bytes).unwrap();
    let text = error(&file).to_string();
    assert!(
        text.contains("lora_c") && text.contains(TARGETS[6].0),
        "{text}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_adapters_are_errors_or_finite_and_never_panics(
        flips in proptest::collection::vec((0usize..6000, any::<u8>()), 0..6),
        cut in 0usize..200,
        safetensors in any::<bool>(),
    ) {
        let folder = TempDir::new().unwrap();
        let mut pairs = random(&TINY, 2, 1);
        pairs.truncate(7);
        let (path, file) = if safetensors {
            let path = write_peft(folder.path(), &peft_config(2, 8.0), &peft_tensors(&pairs));
            let file = path.join("adapter_model.safetensors");
            (path, file)
        } else {
            let path = folder.path().join("adapter.gguf");
            write_gguf(&path, "llama", 8.0, &pairs);
            (path.clone(), path)
        };
        let mut bytes = std::fs::read(&file).unwrap();
        for (at, with) in flips {
            let at = at % bytes.len();
            bytes[at] ^= with;
        }
        bytes.truncate(bytes.len() - cut % bytes.len());
        std::fs::write(&file, &bytes).unwrap();
        if let Err(error) = tiny("llama").adapter(&path) {
            prop_assert!(error.to_string().contains("adapter"), "{}", error);
        }
    }

    #[test]
    fn a_lying_configuration_is_an_error_and_never_a_panic(
        key in prop_oneof![Just("r"), Just("lora_alpha"), Just("rank_pattern"), Just("peft_type")],
        value in prop_oneof![
            any::<i64>().prop_map(|x| json!(x)),
            Just(json!(0)),
            Just(json!(1e308)),
            Just(json!({"q_proj": 2})),
            Just(Value::Null),
        ],
    ) {
        let folder = TempDir::new().unwrap();
        let mut config = peft_config(2, 8.0);
        config[key] = value;
        let path = write_peft(folder.path(), &config, &peft_tensors(&random(&TINY, 2, 1)));
        let _ = tiny("llama").adapter(&path);
    }
}
