//! Files whose sizes cannot be meant.

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use super::*;

/// The shape of a file with these keys instead of those of a small decoder.
fn read(keys: &[(&str, Value)]) -> Result<Config, EngineError> {
    let architecture = Value::String("llama".to_owned());
    let number = Value::U32;
    let usual = [
        ("embedding_length", number(32)),
        ("attention.head_count", number(2)),
        ("attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("block_count", number(1)),
        ("feed_forward_length", number(64)),
        ("context_length", number(128)),
    ];
    let own = |name: &str| keys.iter().any(|(key, _)| *key == name);
    let all = usual.iter().filter(|(name, _)| !own(name)).chain(keys);
    let all: Vec<(String, &Value)> = all
        .map(|(name, value)| (format!("llama.{name}"), value))
        .collect();
    let mut metadata = vec![("general.architecture", &architecture)];
    metadata.extend(all.iter().map(|(name, value)| (name.as_str(), *value)));
    let embedding = Tensor::ones((4, 32), candle_core::DType::F32, &Device::Cpu).unwrap();
    let embedding = QTensor::quantize(&embedding, GgmlDType::F32).unwrap();
    let mut bytes = std::io::Cursor::new(Vec::new());
    let tensors = [("token_embd.weight", &embedding)];
    gguf_file::write(&mut bytes, &metadata, &tensors).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes.into_inner()).unwrap();
    Config::read(&Gguf::open(file.path()).unwrap())
}

#[test]
fn sizes_whose_products_would_overflow_are_refused_by_their_key() {
    let config = read(&[]).unwrap();
    assert_eq!((config.query_heads, config.head_dim), (2, 16));
    let (wide, huge) = (Value::U32(1 << 16), Value::U64(1 << 62));
    for (keys, named) in [
        (
            vec![
                ("attention.head_count", huge.clone()),
                ("attention.head_count_kv", Value::U32(1)),
                ("attention.key_length", wide.clone()),
            ],
            "llama.attention.head_count",
        ),
        (
            vec![("attention.key_length", huge.clone())],
            "llama.attention.key_length",
        ),
        (
            vec![("attention.head_count_kv", Value::U32(0))],
            "llama.attention.head_count_kv",
        ),
        (
            vec![("feed_forward_length", huge.clone())],
            "llama.feed_forward_length",
        ),
        (vec![("block_count", huge.clone())], "llama.block_count"),
        (vec![("context_length", huge)], "llama.context_length"),
    ] {
        let error = read(&keys).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}
