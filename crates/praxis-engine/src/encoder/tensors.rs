//! The tensors of a model file under the names that the encoder asks for.
//!
//! GGUF and Hugging Face name the same parts differently; [`Part`] is the table of both.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::EngineError;
use crate::compute::linear::{self, Matrix};
use crate::dtype::Dtype;
use crate::gguf::{Gguf, MappedTensor};
use crate::mapped::MappedFile;
use crate::safetensors_file::SafetensorsFile;

/// A part of the model, with its names in both worlds. `{}` is the layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    gguf: &'static str,
    hugging_face: &'static str,
}

/// What Hugging Face's names of parts outside of the encoder begin with: no prefix goes before them.
const HEAD: &str = "classifier";

macro_rules! parts {
    ($($name:ident: $gguf:literal, $hugging_face:literal;)*) => {
        impl Part {
            $(pub(crate) const $name: Part =
                Part { gguf: $gguf, hugging_face: $hugging_face };)*
        }
    };
}

parts! {
    WORD: "token_embd", "embeddings.word_embeddings";
    POSITION: "position_embd", "embeddings.position_embeddings";
    TOKEN_TYPE: "token_types", "embeddings.token_type_embeddings";
    EMBEDDING_NORM: "token_embd_norm", "embeddings.LayerNorm";
    QUERY: "blk.{}.attn_q", "encoder.layer.{}.attention.self.query";
    KEY: "blk.{}.attn_k", "encoder.layer.{}.attention.self.key";
    VALUE: "blk.{}.attn_v", "encoder.layer.{}.attention.self.value";
    ATTENTION_OUT: "blk.{}.attn_output", "encoder.layer.{}.attention.output.dense";
    ATTENTION_NORM: "blk.{}.attn_output_norm", "encoder.layer.{}.attention.output.LayerNorm";
    UP: "blk.{}.ffn_up", "encoder.layer.{}.intermediate.dense";
    DOWN: "blk.{}.ffn_down", "encoder.layer.{}.output.dense";
    OUT_NORM: "blk.{}.layer_output_norm", "encoder.layer.{}.output.LayerNorm";
    POOLER: "cls", "pooler.dense";
    CLASSIFIER: "cls.output", "classifier";
    CLASSIFIER_DENSE: "cls", "classifier.dense";
    CLASSIFIER_OUT: "cls.output", "classifier.out_proj";
}

/// The tensors of one model file.
pub(crate) enum Tensors<'a> {
    /// Of a GGUF file.
    Gguf(&'a Gguf),
    /// Of a safetensors file.
    Safetensors(Safetensors),
}

/// A safetensors file of an encoder.
pub(crate) struct Safetensors {
    file: SafetensorsFile,
    /// What stands before the encoder's own names: nothing, `bert.` or `roberta.`.
    prefix: &'static str,
}

impl Safetensors {
    /// Maps `path` and reads its directory.
    pub(crate) fn open(path: &Path) -> Result<Self, EngineError> {
        let file = SafetensorsFile::open(path)?;
        let word = Part::WORD.hugging_face;
        let prefix = ["", "bert.", "roberta."]
            .into_iter()
            .find(|prefix| file.has(&format!("{prefix}{word}.weight")))
            .ok_or_else(|| {
                EngineError::damaged(path, format!("the tensor `{word}.weight` is missing"))
            })?;
        Ok(Self { file, prefix })
    }
}

impl Tensors<'_> {
    /// The path, for messages.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Gguf(gguf) => gguf.path(),
            Self::Safetensors(tensors) => tensors.file.file().path(),
        }
    }

    fn name(&self, part: Part, layer: usize, suffix: &str) -> String {
        let (prefix, pattern) = match self {
            Self::Gguf(_) => ("", part.gguf),
            Self::Safetensors(tensors) if !part.hugging_face.starts_with(HEAD) => {
                (tensors.prefix, part.hugging_face)
            }
            Self::Safetensors(_) => ("", part.hugging_face),
        };
        format!(
            "{prefix}{}.{suffix}",
            pattern.replace("{}", &layer.to_string())
        )
    }

    /// Whether the file has the part.
    pub(crate) fn has(&self, part: Part) -> bool {
        let name = self.name(part, 0, "weight");
        match self {
            Self::Gguf(gguf) => gguf.has_tensor(&name),
            Self::Safetensors(tensors) => tensors.file.has(&name),
        }
    }

    /// A matrix of any number of rows of `columns` numbers, decoded row by row as needed.
    pub(crate) fn table(&self, part: Part, columns: usize) -> Result<Table, EngineError> {
        let name = self.name(part, 0, "weight");
        let shape = match self {
            Self::Gguf(gguf) => gguf.shape(&name),
            Self::Safetensors(tensors) => tensors.file.shape(&name)?,
        };
        let rows = match *shape {
            [] => {
                let problem = format!("the tensor `{name}` is missing");
                return Err(EngineError::damaged(self.path(), problem));
            }
            [rows, width] if rows > 0 && width == columns => rows,
            _ => {
                let problem = format!(
                    "the tensor `{name}` has shape {shape:?}, rows of {columns} are wanted"
                );
                return Err(EngineError::damaged(self.path(), problem));
            }
        };
        let (dtype, data) = match self {
            Self::Gguf(gguf) => {
                let tensor = gguf.mapped(&name, &[rows, columns])?;
                (tensor.dtype(), Data::Gguf(tensor))
            }
            Self::Safetensors(tensors) => {
                let entry = tensors.file.entry(&name)?;
                let file = Arc::clone(tensors.file.file());
                (entry.dtype, Data::Mapped(file, entry.range.clone()))
            }
        };
        let row_bytes = dtype.bytes_for(columns).unwrap_or_default();
        if row_bytes == 0 || row_bytes.checked_mul(rows) != Some(data.bytes().len()) {
            let problem = format!("the data of the tensor `{name}` does not fit its shape");
            return Err(EngineError::damaged(self.path(), problem));
        }
        Ok(Table {
            dtype,
            data,
            rows,
            columns,
            row_bytes,
        })
    }

    /// A matrix of exactly `rows` by `columns` for products. Quantized ones stay as they are, floats
    /// are rounded as [`linear::from_values`] has it.
    pub(crate) fn matrix(
        &self,
        part: Part,
        layer: usize,
        rows: usize,
        columns: usize,
    ) -> Result<Box<dyn Matrix>, EngineError> {
        let name = self.name(part, layer, "weight");
        if let Self::Gguf(gguf) = self
            && !gguf.mapped(&name, &[rows, columns])?.dtype().is_float()
        {
            return linear::matrix(gguf, &name, rows, columns);
        }
        linear::from_values(&self.decode(&name, &[rows, columns])?, rows, columns)
    }

    /// The values of a matrix outside of layers, of exactly `rows` by `columns`.
    pub(crate) fn values(
        &self,
        part: Part,
        rows: usize,
        columns: usize,
    ) -> Result<Vec<f32>, EngineError> {
        self.decode(&self.name(part, 0, "weight"), &[rows, columns])
    }

    /// A vector of exactly `length` numbers, `suffix` being `weight` or `bias`.
    pub(crate) fn vector(
        &self,
        part: Part,
        layer: usize,
        suffix: &str,
        length: usize,
    ) -> Result<Vec<f32>, EngineError> {
        self.decode(&self.name(part, layer, suffix), &[length])
    }

    fn decode(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        match self {
            Self::Gguf(gguf) => gguf.f32s(name, shape),
            Self::Safetensors(tensors) => tensors.file.f32s(name, shape),
        }
    }
}

/// A matrix whose rows are looked up: it stays as small as it is stored.
pub(crate) struct Table {
    dtype: Dtype,
    data: Data,
    rows: usize,
    columns: usize,
    row_bytes: usize,
}

enum Data {
    Gguf(MappedTensor),
    Mapped(Arc<MappedFile>, Range<usize>),
}

impl Data {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Gguf(tensor) => tensor.bytes(),
            Self::Mapped(file, range) => file.slice(range),
        }
    }
}

impl Table {
    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Decodes row `row` into `out`; a row that is not there leaves `out` as it is.
    pub(crate) fn read(&self, row: usize, out: &mut [f32]) {
        let start = row * self.row_bytes;
        if let Some(bytes) = self.data.bytes().get(start..start + self.row_bytes) {
            self.dtype.decode(bytes, out);
        }
    }

    /// All rows.
    pub(crate) fn decode(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.rows * self.columns];
        self.dtype.decode(self.data.bytes(), &mut out);
        out
    }
}
