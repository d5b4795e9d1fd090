//! Small random LoRA adapters, written as GGUF files and as PEFT's folders.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    dead_code,
    reason = "support of tests, not all of which use all of it"
)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, TensorView};

/// The sizes of a model that its adapters depend on.
pub struct Shape {
    pub layers: usize,
    pub hidden: usize,
    pub feed_forward: usize,
    pub queries: usize,
    pub keys: usize,
}

pub const SMOLLM2: Shape = Shape {
    layers: 30,
    hidden: 576,
    feed_forward: 1536,
    queries: 576,
    keys: 192,
};

/// What can be adapted of a layer, as GGUF and Hugging Face call it.
pub const TARGETS: [(&str, &str); 7] = [
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

impl Shape {
    /// Outputs and inputs of a target.
    pub fn of(&self, target: usize) -> (usize, usize) {
        [
            (self.queries, self.hidden),
            (self.keys, self.hidden),
            (self.keys, self.hidden),
            (self.hidden, self.queries),
            (self.feed_forward, self.hidden),
            (self.feed_forward, self.hidden),
            (self.hidden, self.feed_forward),
        ][target]
    }
}

/// The two matrices of one target: `rank` rows of inputs, and a row of `rank` for each output.
#[derive(Clone)]
pub struct Pair {
    pub layer: usize,
    pub target: usize,
    pub rank: usize,
    pub a: Vec<f32>,
    pub b: Vec<f32>,
}

/// Pairs for all targets of all layers, of numbers that half precision holds.
pub fn random(shape: &Shape, rank: usize, seed: u64) -> Vec<Pair> {
    let mut state = seed.wrapping_mul(2) + 1;
    let mut numbers = |count: usize, size: f32| -> Vec<f32> {
        (0..count)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                f32::from((state >> 56) as i8) / 128.0 * size
            })
            .collect()
    };
    let mut pairs = Vec::new();
    for layer in 0..shape.layers {
        for target in 0..TARGETS.len() {
            let (outputs, inputs) = shape.of(target);
            // Products of about a tenth of what the model's own are.
            let size = (1.0 / (inputs as f32).sqrt()).log2().round().exp2();
            pairs.push(Pair {
                layer,
                target,
                rank,
                a: numbers(rank * inputs, size),
                b: numbers(outputs * rank, 0.125),
            });
        }
    }
    pairs
}

/// Writes a file as llama.cpp does.
pub fn write_gguf(path: &Path, architecture: &str, alpha: f32, pairs: &[Pair]) {
    let text = |text: &str| Value::String(text.to_owned());
    let metadata = [
        ("general.type", text("adapter")),
        ("general.architecture", text(architecture)),
        ("adapter.type", text("lora")),
        ("adapter.lora.alpha", Value::F32(alpha)),
    ];
    let mut tensors = Vec::new();
    for pair in pairs {
        let name = format!("blk.{}.{}.weight", pair.layer, TARGETS[pair.target].0);
        for (suffix, values, rows) in [
            ("lora_a", &pair.a, pair.rank),
            ("lora_b", &pair.b, pair.b.len() / pair.rank),
        ] {
            let shape = (rows, values.len() / rows);
            let tensor = Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
            let tensor = QTensor::quantize(&tensor, GgmlDType::F32).unwrap();
            tensors.push((format!("{name}.{suffix}"), tensor));
        }
    }
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(k, v)| (*k, v)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(k, t)| (k.as_str(), t)).collect();
    let mut file = std::fs::File::create(path).unwrap();
    gguf_file::write(&mut file, &metadata, &tensors).unwrap();
}

/// The tensors of a PEFT folder: name, shape, numbers.
pub type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

/// The tensors as PEFT names them.
pub fn peft_tensors(pairs: &[Pair]) -> Tensors {
    let mut tensors = Vec::new();
    for pair in pairs {
        let target = TARGETS[pair.target].1;
        let name = format!("base_model.model.model.layers.{}.{target}", pair.layer);
        for (suffix, values, rows) in [
            ("lora_A", &pair.a, pair.rank),
            ("lora_B", &pair.b, pair.b.len() / pair.rank),
        ] {
            let shape = vec![rows, values.len() / rows];
            tensors.push((format!("{name}.{suffix}.weight"), shape, values.clone()));
        }
    }
    tensors
}

/// Writes a folder as PEFT does; gives it back.
pub fn write_peft(folder: &Path, config: &serde_json::Value, tensors: &Tensors) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    let data: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let views: HashMap<&str, TensorView<'_>> = tensors
        .iter()
        .zip(&data)
        .map(|((name, shape, _), data)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), data).unwrap();
            (name.as_str(), view)
        })
        .collect();
    let path = folder.join("adapter_model.safetensors");
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    folder.to_owned()
}

/// What PEFT writes for a plain adapter of a rank.
pub fn peft_config(rank: usize, alpha: f64) -> serde_json::Value {
    serde_json::json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.05,
        "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        "bias": "none",
        "use_dora": false,
        "use_rslora": false,
        "fan_in_fan_out": false,
        "modules_to_save": null,
        "alpha_pattern": {},
        "rank_pattern": {},
        "init_lora_weights": true,
    })
}
