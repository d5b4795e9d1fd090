//! What kind of encoder a file holds: sizes, positions, pooling, prefixes.

use std::path::Path;

use serde::Deserialize;

use crate::EngineError;
use crate::gguf::Gguf;

/// How token vectors become the vector of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over all tokens.
    Mean,
    /// The first token's vector.
    Cls,
}

/// The shape of an encoder.
#[derive(Debug, Clone)]
pub(crate) struct EncoderConfig {
    /// Numbers in a token's vector.
    pub(crate) hidden: usize,
    /// Transformer layers.
    pub(crate) layers: usize,
    /// Attention heads.
    pub(crate) heads: usize,
    /// Numbers between the two feed-forward matrices.
    pub(crate) feed_forward: usize,
    /// What keeps the layer norm from dividing by zero.
    pub(crate) epsilon: f32,
    /// Whether tokens have types: XLM-R's are all of the first.
    pub(crate) token_types: bool,
    /// Rows of the position table that come before position 0: XLM-R's padding rows.
    pub(crate) position_offset: usize,
    /// Pooling, where the file says it.
    pub(crate) pooling: Option<Pooling>,
    /// Written before a query, where the file says it.
    pub(crate) query_prefix: Option<String>,
    /// Written before a passage, where the file says it.
    pub(crate) passage_prefix: Option<String>,
}

/// The keys of `config.json` that matter.
#[derive(Deserialize)]
struct HuggingFaceConfig {
    model_type: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    layer_norm_eps: f64,
    #[serde(default)]
    hidden_act: Option<String>,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    pad_token_id: Option<usize>,
}

/// The keys of sentence-transformers' `1_Pooling/config.json` that matter.
#[derive(Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

impl EncoderConfig {
    /// From the metadata of a GGUF file.
    pub(crate) fn from_gguf(gguf: &Gguf) -> Result<Self, EngineError> {
        let architecture = gguf.text("general.architecture")?;
        if architecture != "bert" {
            let problem = format!("its architecture is `{architecture}`, an encoder's is `bert`");
            return Err(EngineError::unsupported(gguf.path(), problem));
        }
        let pooling = if gguf.has("bert.pooling_type") {
            match gguf.number("bert.pooling_type")? {
                1 => Some(Pooling::Mean),
                2 => Some(Pooling::Cls),
                other => {
                    let problem =
                        format!("`bert.pooling_type` is {other}; 1 (mean) and 2 (CLS) are known");
                    return Err(EngineError::unsupported(gguf.path(), problem));
                }
            }
        } else {
            None
        };
        let text = |key: &str| gguf.text(key).ok().map(str::to_owned);
        let config = Self {
            hidden: gguf.number("bert.embedding_length")?,
            layers: gguf.number("bert.block_count")?,
            heads: gguf.number("bert.attention.head_count")?,
            feed_forward: gguf.number("bert.feed_forward_length")?,
            epsilon: gguf.float("bert.attention.layer_norm_epsilon")? as f32,
            token_types: true,
            // GGUF files come without the padding rows.
            position_offset: 0,
            pooling,
            query_prefix: text(crate::convert::QUERY_PREFIX_KEY),
            passage_prefix: text(crate::convert::PASSAGE_PREFIX_KEY),
        };
        config.checked(gguf.path())
    }

    /// From `config.json`, and `1_Pooling/config.json` where there is one.
    pub(crate) fn from_folder(folder: &Path) -> Result<Self, EngineError> {
        let path = folder.join("config.json");
        let config: HuggingFaceConfig = read_json(&path)?;
        let position_offset = match config.model_type.as_str() {
            "bert" => 0,
            "xlm-roberta" | "roberta" => config.pad_token_id.unwrap_or(1).saturating_add(1),
            other => {
                let problem = format!("`model_type` is `{other}`; `bert` and `xlm-roberta` run");
                return Err(EngineError::unsupported(&path, problem));
            }
        };
        if let Some(other) = config.hidden_act.as_deref().filter(|name| *name != "gelu") {
            let problem = format!("`hidden_act` is `{other}`; only `gelu` is known");
            return Err(EngineError::unsupported(&path, problem));
        }
        if let Some(other) = config
            .position_embedding_type
            .as_deref()
            .filter(|name| *name != "absolute")
        {
            let problem = format!("`position_embedding_type` is `{other}`, not `absolute`");
            return Err(EngineError::unsupported(&path, problem));
        }
        let pooling_path = folder.join("1_Pooling").join("config.json");
        let pooling = if pooling_path.exists() {
            let modes: PoolingConfig = read_json(&pooling_path)?;
            match (modes.pooling_mode_mean_tokens, modes.pooling_mode_cls_token) {
                (true, false) => Some(Pooling::Mean),
                (false, true) => Some(Pooling::Cls),
                _ => {
                    let problem = "its pooling mode is neither mean nor CLS alone";
                    return Err(EngineError::unsupported(&pooling_path, problem));
                }
            }
        } else {
            None
        };
        let config = Self {
            hidden: config.hidden_size,
            layers: config.num_hidden_layers,
            heads: config.num_attention_heads,
            feed_forward: config.intermediate_size,
            epsilon: config.layer_norm_eps as f32,
            token_types: config.model_type == "bert",
            position_offset,
            pooling,
            query_prefix: None,
            passage_prefix: None,
        };
        config.checked(&path)
    }

    /// Refuses sizes that cannot be meant, before anything is allocated by them.
    fn checked(self, path: &Path) -> Result<Self, EngineError> {
        let limits = [
            ("hidden size", self.hidden, 16_384),
            ("number of layers", self.layers, 512),
            ("number of heads", self.heads, self.hidden),
            ("feed-forward size", self.feed_forward, 131_072),
        ];
        for (what, value, limit) in limits {
            if !(1..=limit).contains(&value) {
                let problem = format!("the {what} is {value}, not between 1 and {limit}");
                return Err(EngineError::damaged(path, problem));
            }
        }
        if !self.hidden.is_multiple_of(self.heads) {
            let problem = format!(
                "{} heads do not divide a hidden size of {}",
                self.heads, self.hidden
            );
            return Err(EngineError::damaged(path, problem));
        }
        if !(self.epsilon >= 0.0 && self.epsilon < 1.0) {
            let problem = format!("the layer norm epsilon is {}", self.epsilon);
            return Err(EngineError::damaged(path, problem));
        }
        Ok(self)
    }
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, EngineError> {
    let bytes = std::fs::read(path).map_err(|error| EngineError::read(path, error))?;
    serde_json::from_slice(&bytes).map_err(|error| EngineError::damaged(path, error.to_string()))
}
