//! Writing GGUF version 3: metadata in the order it was set, tensors in the order they were added.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::EngineError;

/// Where tensors start: the format's default.
const ALIGNMENT: usize = 32;

/// A metadata value.
pub(super) enum Value<'a> {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(Cow<'a, str>),
    Texts(Vec<Cow<'a, str>>),
    F32s(Vec<f32>),
    I32s(Vec<i32>),
    Bytes(Vec<u8>),
}

/// The number formats that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TensorType {
    F32,
    Q4_0,
}

impl TensorType {
    fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::Q4_0 => 2,
        }
    }

    /// Bytes of a tensor, rows being whole blocks.
    pub(super) fn bytes_for(self, shape: &[usize]) -> Option<usize> {
        let elements = shape
            .iter()
            .try_fold(1usize, |product, size| product.checked_mul(*size))?;
        match self {
            Self::F32 => elements.checked_mul(4),
            Self::Q4_0 => shape
                .last()
                .is_some_and(|row| row.is_multiple_of(32))
                .then_some(elements / 32)?
                .checked_mul(18),
        }
    }
}

struct Tensor<'a> {
    name: String,
    kind: TensorType,
    shape: Vec<usize>,
    data: &'a [u8],
}

/// Collects a file's contents; tensor data is borrowed until it is written.
#[derive(Default)]
pub(super) struct GgufWriter<'a> {
    metadata: Vec<(String, Value<'a>)>,
    tensors: Vec<Tensor<'a>>,
}

impl<'a> GgufWriter<'a> {
    /// Appends a metadata entry.
    pub(super) fn set(&mut self, key: &str, value: Value<'a>) {
        self.metadata.push((key.to_owned(), value));
    }

    /// Appends a tensor; `shape` has its slowest-running dimension first.
    pub(super) fn tensor(
        &mut self,
        name: String,
        kind: TensorType,
        shape: &[usize],
        data: &'a [u8],
    ) {
        self.tensors.push(Tensor {
            name,
            kind,
            shape: shape.to_vec(),
            data,
        });
    }

    /// Writes the file beside `target` and renames it into place once it is on the disk.
    pub(super) fn write(&self, target: &Path) -> Result<(), EngineError> {
        let error = |source| EngineError::Write {
            path: target.to_path_buf(),
            source,
        };
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = target.with_file_name(name);
        let written = self
            .write_to(&partial)
            .and_then(|()| std::fs::rename(&partial, target));
        written.map_err(|source| {
            // The first error is the one to tell; the partial file may not even exist.
            let _ = std::fs::remove_file(&partial);
            error(source)
        })
    }

    fn write_to(&self, path: &Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        let mut header = Vec::new();
        header.extend(b"GGUF");
        header.extend(3u32.to_le_bytes());
        header.extend((self.tensors.len() as u64).to_le_bytes());
        header.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            put_text(&mut header, key);
            put_value(&mut header, value);
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            put_text(&mut header, &tensor.name);
            header.extend((tensor.shape.len() as u32).to_le_bytes());
            for size in tensor.shape.iter().rev() {
                header.extend((*size as u64).to_le_bytes());
            }
            header.extend(tensor.kind.number().to_le_bytes());
            header.extend((offset as u64).to_le_bytes());
            offset = (offset + tensor.data.len()).next_multiple_of(ALIGNMENT);
        }
        header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
        out.write_all(&header)?;
        for tensor in &self.tensors {
            out.write_all(tensor.data)?;
            let padding = tensor.data.len().next_multiple_of(ALIGNMENT) - tensor.data.len();
            out.write_all(&[0; ALIGNMENT][..padding])?;
        }
        out.into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value<'_>) {
    let array = |out: &mut Vec<u8>, element: u32, count: usize| {
        out.extend(9u32.to_le_bytes());
        out.extend(element.to_le_bytes());
        out.extend((count as u64).to_le_bytes());
    };
    match value {
        Value::U32(number) => {
            out.extend(4u32.to_le_bytes());
            out.extend(number.to_le_bytes());
        }
        Value::F32(number) => {
            out.extend(6u32.to_le_bytes());
            out.extend(number.to_le_bytes());
        }
        Value::Bool(truth) => {
            out.extend(7u32.to_le_bytes());
            out.push(u8::from(*truth));
        }
        Value::Text(text) => {
            out.extend(8u32.to_le_bytes());
            put_text(out, text);
        }
        Value::Texts(texts) => {
            array(out, 8, texts.len());
            texts.iter().for_each(|text| put_text(out, text));
        }
        Value::F32s(numbers) => {
            array(out, 6, numbers.len());
            out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
        Value::I32s(numbers) => {
            array(out, 5, numbers.len());
            out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
        Value::Bytes(bytes) => {
            array(out, 0, bytes.len());
            out.extend(bytes);
        }
    }
}
