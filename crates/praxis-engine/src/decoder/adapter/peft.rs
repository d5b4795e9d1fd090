//! Adapters as PEFT saves them (<https://huggingface.co/docs/peft/developer_guides/checkpoint>): a
//! folder with `adapter_config.json` and `adapter_model.safetensors`. Tensors have Hugging Face's
//! names and order: where the model's GGUF file has the rows of queries and keys permuted for its
//! rotation, those of `lora_B` are permuted here likewise.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Adapter, Side, Target, Thin};
use crate::decoder::config::Config;
use crate::decoder::rope::RopeLayout;
use crate::error::EngineError;
use crate::safetensors_file::SafetensorsFile;

const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";
const PICKLE: &str = "adapter_model.bin";

/// What `adapter_config.json` tells of the computation.
#[derive(Deserialize)]
struct AdapterConfig {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: Option<bool>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What is refused where it is anything but null, false, empty or `none`, and what it means.
const REFUSED: [(&str, &str); 10] = [
    ("use_dora", "a DoRA adapter"),
    ("modules_to_save", "whole modules beside the adapter"),
    ("bias", "changed biases"),
    ("lora_bias", "biases of its own"),
    ("alpha_pattern", "an alpha of its own for some modules"),
    ("fan_in_fan_out", "transposed weights"),
    ("layer_replication", "repeated layers"),
    ("trainable_token_indices", "changed embeddings"),
    (
        "alora_invocation_tokens",
        "an adapter for a part of the prompt",
    ),
    ("target_parameters", "changed bare parameters"),
];

/// Ways to begin a training that change the model itself.
const CHANGING: [&str; 4] = ["pissa", "olora", "corda", "loftq"];

impl AdapterConfig {
    fn read(path: &Path) -> Result<Self, EngineError> {
        let text = std::fs::read(path).map_err(|e| EngineError::read(path, e))?;
        let config: Self =
            serde_json::from_slice(&text).map_err(|e| EngineError::damaged(path, e.to_string()))?;
        let unsupported = |problem: String| Err(EngineError::unsupported(path, problem));
        if config.peft_type != "LORA" {
            return unsupported(format!(
                "`peft_type` is `{}`; adapters of type `LORA` can be used",
                config.peft_type
            ));
        }
        for (key, meaning) in REFUSED {
            if config.rest.get(key).is_some_and(is_set) {
                return unsupported(format!(
                    "`{key}` says that it has {meaning}: merge it into the model \
                     (PEFT's `merge_and_unload`), or train it without"
                ));
            }
        }
        let start = config.rest.get("init_lora_weights").and_then(Value::as_str);
        if let Some(start) = start
            && CHANGING.iter().any(|way| start.starts_with(way))
        {
            return unsupported(format!(
                "`init_lora_weights` is `{start}`, which changes the model itself: save the adapter \
                 with PEFT's `path_initial_model_for_weight_conversion`"
            ));
        }
        if !config.lora_alpha.is_finite() {
            let problem = format!("`lora_alpha` is {}", config.lora_alpha);
            return Err(EngineError::damaged(path, problem));
        }
        Ok(config)
    }

    /// What products are multiplied by: alpha / r, or with rank stabilization alpha / sqrt(r)
    /// (Kalajdzievski 2023).
    fn scale(&self, rank: usize) -> f64 {
        let rank = rank as f64;
        let divisor = if self.use_rslora == Some(true) {
            rank.sqrt()
        } else {
            rank
        };
        self.lora_alpha / divisor
    }
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty() && text != "none",
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    }
}

/// Opens a folder.
pub(super) fn open(folder: &Path, model: &Config) -> Result<Adapter, EngineError> {
    let config_path = folder.join(CONFIG);
    let config = AdapterConfig::read(&config_path)?;
    let path = folder.join(TENSORS);
    if !path.exists() && folder.join(PICKLE).exists() {
        return Err(EngineError::unsupported(
            &folder.join(PICKLE),
            format!("it may run code when it is opened: save the adapter as `{TENSORS}`"),
        ));
    }
    let file = SafetensorsFile::open(&path)?;
    let own_ranks = config.rest.get("rank_pattern").is_some_and(is_set);
    let mut thins = Vec::new();
    for name in file.names() {
        let (layer, target, side) =
            parse(name).ok_or_else(|| EngineError::unsupported(&path, refusal(name)))?;
        let shape = file.shape(name)?.to_vec();
        let rank = match (side, shape.as_slice()) {
            (Side::A, [rank, _]) | (Side::B, [_, rank]) => *rank,
            _ => 0,
        };
        if rank == 0 || (rank != config.r && !own_ranks) {
            return Err(EngineError::damaged(
                &path,
                format!(
                    "the tensor `{name}` of shape {shape:?} is not of the rank {} that `{CONFIG}` says",
                    config.r
                ),
            ));
        }
        let mut values = file.f32s(name, &shape)?;
        if side == Side::B && shape[0] == target.shape(model).0 {
            values = permuted(values, rank, target, model);
        }
        thins.push(Thin {
            name: name.to_owned(),
            layer,
            target,
            side,
            shape,
            values,
        });
    }
    Adapter::assemble(&path, thins, model, &|rank| config.scale(rank))
}

/// `base_model.model.model.layers.LAYER.TARGET.lora_A.weight` or `.lora_B.weight`; the second `model.`
/// is that of models with a head.
fn parse(name: &str) -> Option<(usize, Target, Side)> {
    let name = name.strip_prefix("base_model.model.")?;
    let name = name.strip_prefix("model.").unwrap_or(name);
    let (layer, rest) = name.strip_prefix("layers.")?.split_once('.')?;
    let (target, side) = if let Some(target) = rest.strip_suffix(".lora_A.weight") {
        (target, Side::A)
    } else {
        (rest.strip_suffix(".lora_B.weight")?, Side::B)
    };
    let target = Target::ALL
        .into_iter()
        .find(|t| t.hugging_face() == target)?;
    Some((layer.parse().ok()?, target, side))
}

fn refusal(name: &str) -> String {
    let known = Target::ALL.map(|t| {
        let name = t.hugging_face();
        format!("`{}`", name.split_once('.').map_or(name, |(_, last)| last))
    });
    format!(
        "the tensor `{name}` is none of LoRA's for {}: train the adapter with these \
         `target_modules` only, or merge it into the model (PEFT's `merge_and_unload`)",
        known.join(", ")
    )
}

/// The rows of `lora_B` in the order of the model's file: those that rotate together are halves of a
/// head with Hugging Face, and neighbours in `llama` files (`permute` of llama.cpp's converter).
fn permuted(values: Vec<f32>, rank: usize, target: Target, model: &Config) -> Vec<f32> {
    let rotated = matches!(target, Target::Query | Target::Key);
    if !rotated || model.rope.layout() != RopeLayout::Neighbours {
        return values;
    }
    let half = model.head_dim / 2;
    let mut out = Vec::with_capacity(values.len());
    for head in values.chunks_exact(model.head_dim * rank) {
        for pair in 0..half {
            for row in [pair, pair + half] {
                out.extend_from_slice(&head[row * rank..(row + 1) * rank]);
            }
        }
    }
    out
}
