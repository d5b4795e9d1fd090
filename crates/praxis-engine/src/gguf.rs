//! A GGUF file (ggml's `docs/gguf.md`), opened: typed metadata and tensors, each failure naming
//! the file and the key.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use memmap2::Mmap;

use crate::error::EngineError;

/// An open GGUF file.
pub(crate) struct Gguf {
    path: PathBuf,
    map: Mmap,
    content: Content,
}

impl Gguf {
    /// Maps and parses `path`.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let file = std::fs::File::open(path).map_err(|e| EngineError::read(path, e))?;
        // SAFETY: the cache replaces model files by rename and never writes into one, so the
        // mapped pages do not change while the map lives.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| EngineError::read(path, e))?;
        let content = Content::read(&mut Cursor::new(&map[..]))
            .map_err(|e| EngineError::damaged(path, format!("its GGUF header: {e}")))?;
        Ok(Self { path: path.to_owned(), map, content })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn value(&self, key: &str) -> Result<&Value, EngineError> {
        self.content
            .metadata
            .get(key)
            .ok_or_else(|| EngineError::damaged(&self.path, format!("the key `{key}` is missing")))
    }

    fn mistyped(&self, key: &str, wanted: &str) -> EngineError {
        EngineError::damaged(&self.path, format!("the key `{key}` is not {wanted}"))
    }

    /// A text value.
    pub fn text(&self, key: &str) -> Result<&str, EngineError> {
        match self.value(key)? {
            Value::String(text) => Ok(text),
            _ => Err(self.mistyped(key, "a string")),
        }
    }

    /// A whole number.
    pub fn number(&self, key: &str) -> Result<usize, EngineError> {
        let number = match self.value(key)? {
            Value::U8(n) => Some(u64::from(*n)),
            Value::U16(n) => Some(u64::from(*n)),
            Value::U32(n) => Some(u64::from(*n)),
            Value::U64(n) => Some(*n),
            Value::I32(n) => u64::try_from(*n).ok(),
            Value::I64(n) => u64::try_from(*n).ok(),
            _ => None,
        };
        number
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| self.mistyped(key, "a whole number"))
    }

    /// A floating-point number.
    pub fn float(&self, key: &str) -> Result<f64, EngineError> {
        match self.value(key)? {
            Value::F32(n) => Ok(f64::from(*n)),
            Value::F64(n) => Ok(*n),
            _ => Err(self.mistyped(key, "a floating-point number")),
        }
    }

    /// A truth value.
    pub fn flag(&self, key: &str) -> Result<bool, EngineError> {
        match self.value(key)? {
            Value::Bool(flag) => Ok(*flag),
            _ => Err(self.mistyped(key, "a truth value")),
        }
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.content.metadata.contains_key(key)
    }

    fn array(&self, key: &str) -> Result<&[Value], EngineError> {
        match self.value(key)? {
            Value::Array(values) => Ok(values),
            _ => Err(self.mistyped(key, "an array")),
        }
    }

    /// An array of texts.
    pub fn texts(&self, key: &str) -> Result<Vec<&str>, EngineError> {
        self.array(key)?
            .iter()
            .map(|v| match v {
                Value::String(text) => Ok(text.as_str()),
                _ => Err(self.mistyped(key, "an array of strings")),
            })
            .collect()
    }

    /// An array of floats.
    pub fn floats(&self, key: &str) -> Result<Vec<f32>, EngineError> {
        self.array(key)?
            .iter()
            .map(|v| match v {
                Value::F32(n) => Ok(*n),
                _ => Err(self.mistyped(key, "an array of floating-point numbers")),
            })
            .collect()
    }

    /// An array of small whole numbers.
    pub fn integers(&self, key: &str) -> Result<Vec<i64>, EngineError> {
        self.array(key)?
            .iter()
            .map(|v| match v {
                Value::I32(n) => Ok(i64::from(*n)),
                Value::U32(n) => Ok(i64::from(*n)),
                _ => Err(self.mistyped(key, "an array of whole numbers")),
            })
            .collect()
    }

    /// Whether the tensor is there.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// A tensor of this shape (rows first), as it is stored.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<QTensor, EngineError> {
        let info = self.content.tensor_infos.get(name).ok_or_else(|| {
            EngineError::damaged(&self.path, format!("the tensor `{name}` is missing"))
        })?;
        if info.shape.dims() != shape {
            return Err(EngineError::damaged(
                &self.path,
                format!(
                    "the tensor `{name}` has shape {:?}, the metadata wants {shape:?}",
                    info.shape.dims()
                ),
            ));
        }
        info.read(
            &mut Cursor::new(&self.map[..]),
            self.content.tensor_data_offset,
            &Device::Cpu,
        )
        .map_err(|e| EngineError::damaged(&self.path, format!("the tensor `{name}`: {e}")))
    }

    /// A tensor as plain floats.
    pub fn f32s(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        Ok(self.tensor(name, shape)?.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()?)
    }

    /// A weight matrix, ready to multiply.
    ///
    /// candle multiplies the 4- and 5-bit legacy formats without vector instructions; as `Q8_0`,
    /// which represents their values within 0.4 % of a block's largest, they run several times faster.
    pub fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<QMatMul, EngineError> {
        let mut tensor = self.tensor(name, &[rows, columns])?;
        if matches!(
            tensor.dtype(),
            GgmlDType::Q4_0 | GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1
        ) {
            tensor = QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)?;
        }
        Ok(QMatMul::from_arc(Arc::new(tensor))?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn open(bytes: &[u8]) -> Result<Gguf, EngineError> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), bytes).expect("written");
        Gguf::open(file.path())
    }

    fn small_file() -> Vec<u8> {
        let architecture = Value::String("llama".to_owned());
        let blocks = Value::U32(2);
        let tensor = QTensor::quantize(
            &candle_core::Tensor::ones((2, 32), candle_core::DType::F32, &Device::Cpu).unwrap(),
            GgmlDType::Q8_0,
        )
        .unwrap();
        let mut bytes = Cursor::new(Vec::new());
        candle_core::quantized::gguf_file::write(
            &mut bytes,
            &[("general.architecture", &architecture), ("llama.block_count", &blocks)],
            &[("output.weight", &tensor)],
        )
        .unwrap();
        bytes.into_inner()
    }

    #[test]
    fn what_is_missing_or_mistyped_is_named() {
        let gguf = open(&small_file()).unwrap();
        assert_eq!(gguf.text("general.architecture").unwrap(), "llama");
        assert_eq!(gguf.number("llama.block_count").unwrap(), 2);
        for (error, named) in [
            (gguf.text("tokenizer.chat_template").unwrap_err(), "tokenizer.chat_template"),
            (gguf.number("general.architecture").unwrap_err(), "general.architecture"),
            (gguf.tensor("blk.0.attn_q.weight", &[1]).unwrap_err(), "blk.0.attn_q.weight"),
            (gguf.tensor("output.weight", &[32, 2]).unwrap_err(), "[2, 32]"),
        ] {
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_damaged_file_is_an_error_and_never_a_panic(
            cut in 0usize..400,
            flips in proptest::collection::vec((0usize..400, any::<u8>()), 0..6),
        ) {
            let mut bytes = small_file();
            for (at, with) in flips {
                let at = at % bytes.len();
                bytes[at] ^= with;
            }
            bytes.truncate(bytes.len().saturating_sub(cut % 64));
            if let Ok(gguf) = open(&bytes) {
                let _ = gguf.f32s("output.weight", &[2, 32]);
            }
        }
    }
}
