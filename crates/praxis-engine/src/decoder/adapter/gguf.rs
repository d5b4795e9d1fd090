//! Adapters in GGUF, as llama.cpp's `convert_lora_to_gguf.py` writes them and `llama-adapter.cpp`
//! reads them: `general.type` is `adapter`, `adapter.type` is `lora`, and beside the name of each
//! changed tensor stand `.lora_a` (rank by inputs) and `.lora_b` (outputs by rank). Queries and keys
//! are permuted as the model's are.

use std::path::Path;

use super::{Adapter, Side, Target, Thin};
use crate::decoder::config::Config;
use crate::error::EngineError;
use crate::gguf::Gguf;

/// Opens a file.
pub(super) fn open(path: &Path, config: &Config) -> Result<Adapter, EngineError> {
    let file = Gguf::open(path)?;
    for (key, wanted) in [("general.type", "adapter"), ("adapter.type", "lora")] {
        match file.optional_text(key)? {
            Some(found) if found == wanted => {}
            Some(found) => {
                let problem = format!("`{key}` is `{found}`; a LoRA adapter has `{wanted}`");
                return Err(file.unsupported(problem));
            }
            None => {
                return Err(file.unsupported(format!(
                    "it has no `{key}`, which is `{wanted}` in a LoRA adapter: is it a model?"
                )));
            }
        }
    }
    let architecture = file.text("general.architecture")?;
    if architecture != config.architecture {
        return Err(file.unsupported(format!(
            "it was made for a model of the architecture `{architecture}`, this one's is `{}`",
            config.architecture
        )));
    }
    let invocation = "adapter.alora.invocation_tokens";
    if file.has(invocation) {
        return Err(file.unsupported(format!(
            "it is an activated LoRA (`{invocation}`), which acts on a part of the prompt only"
        )));
    }
    // llama.cpp takes an absent or zero alpha as the rank.
    let alpha = file
        .optional_float("adapter.lora.alpha")?
        .filter(|a| *a != 0.0);
    let mut thins = Vec::new();
    for name in file.tensor_names() {
        let (layer, target, side) = parse(name).ok_or_else(|| {
            let known = Target::ALL.map(|target| format!("`{}`", target.gguf()));
            file.unsupported(format!(
                "the tensor `{name}` changes a part of the model that adapters cannot change here \
                 ({} of each layer can be): train the adapter without it, or merge it into the model",
                known.join(", ")
            ))
        })?;
        let shape = file.shape(name).to_vec();
        thins.push(Thin {
            name: name.to_owned(),
            layer,
            target,
            side,
            values: file.f32s(name, &shape)?,
            shape,
        });
    }
    let scale = |rank: usize| alpha.map_or(1.0, |alpha| alpha / rank as f64);
    Adapter::assemble(path, thins, config, &scale)
}

/// `blk.LAYER.TARGET.weight.lora_a` or `.lora_b`.
fn parse(name: &str) -> Option<(usize, Target, Side)> {
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    let (target, side) = rest.split_once(".weight.lora_")?;
    let side = match side {
        "a" => Side::A,
        "b" => Side::B,
        _ => return None,
    };
    let target = Target::ALL.into_iter().find(|t| t.gguf() == target)?;
    Some((layer.parse().ok()?, target, side))
}
