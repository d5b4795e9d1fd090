//! A GGUF file (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3,
//! little-endian), opened: typed metadata and tensors, each failure naming the file and the key.
//!
//! The file is mapped, tensors are slices of the map: opening a model of a gigabyte costs
//! milliseconds and its pages are shared between processes. Every length in the header is checked
//! against the bytes that are there before anything is allocated, so that a damaged or hostile
//! file is an error and never a crash.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::{Mmap, MmapMut};

use crate::dtype::Dtype;
use crate::error::EngineError;

/// The most dimensions that ggml knows.
const MAX_DIMS: u32 = 4;
/// How deep arrays of arrays may nest.
const MAX_DEPTH: usize = 4;
/// The most array elements of all metadata; the largest vocabularies have a few hundred thousand
/// tokens and as many merges.
const MAX_ELEMENTS: usize = 1 << 23;

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Flag(bool),
    Text(String),
    Array(Vec<Value>),
}

/// Where a tensor lies in the file.
#[derive(Debug, Clone)]
struct TensorInfo {
    /// Outermost first.
    shape: Vec<usize>,
    dtype: Dtype,
    start: usize,
    len: usize,
}

/// An open GGUF file.
#[derive(Debug)]
pub(crate) struct Gguf {
    path: PathBuf,
    map: Arc<Mmap>,
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, TensorInfo>,
}

/// A tensor where it lies in the file, which stays mapped as long as this lives; or, in the same
/// shape, one in memory of its own.
#[derive(Debug, Clone)]
pub(crate) struct MappedTensor {
    map: Arc<Mmap>,
    info: TensorInfo,
    /// Whether the system can fetch the bytes again.
    of_file: bool,
}

impl MappedTensor {
    /// A matrix of `rows` by `columns` from its bytes, which are whole blocks of `dtype`. Fails
    /// where the system gives no memory.
    pub(crate) fn in_memory(
        dtype: Dtype,
        (rows, columns): (usize, usize),
        bytes: &[u8],
    ) -> Result<Self, EngineError> {
        assert_eq!(
            dtype.bytes_for(columns).map(|row| row * rows),
            Some(bytes.len()),
            "bytes of a matrix"
        );
        let map = MmapMut::map_anon(bytes.len()).and_then(|mut map| {
            map.copy_from_slice(bytes);
            map.make_read_only()
        });
        let map = map.map_err(|error| EngineError::Resource(format!("no memory: {error}")))?;
        Ok(Self {
            map: Arc::new(map),
            info: TensorInfo {
                shape: vec![rows, columns],
                dtype,
                start: 0,
                len: bytes.len(),
            },
            of_file: false,
        })
    }

    /// A matrix of `rows` by `columns` whose bytes, whole blocks of `dtype`, begin at `start` of a mapped
    /// file. `None` where they are not all there.
    pub(crate) fn in_file(
        map: &Arc<Mmap>,
        dtype: Dtype,
        (rows, columns): (usize, usize),
        start: usize,
    ) -> Option<Self> {
        let len = dtype.bytes_for(columns)?.checked_mul(rows)?;
        map.get(start..start.checked_add(len)?)?;
        Some(Self {
            map: Arc::clone(map),
            info: TensorInfo {
                shape: vec![rows, columns],
                dtype,
                start,
                len,
            },
            of_file: true,
        })
    }

    /// Its shape, outermost dimension first: `[rows, columns]` for a matrix.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.info.shape
    }

    /// How its values are stored.
    pub(crate) fn dtype(&self) -> Dtype {
        self.info.dtype
    }

    /// Its bytes: whole blocks of its type. Those of GGUF files and of memory are aligned to four.
    pub(crate) fn bytes(&self) -> &[u8] {
        // The range was checked when the header was read.
        &self.map[self.info.start..self.info.start + self.info.len]
    }

    /// Says that the bytes will not be read soon again: the system may use their memory for other
    /// things, and fetches them from the file where they are. A tensor in memory stays: drop it, see [`Self::kept`].
    pub(crate) fn release(&self) {
        if !self.of_file {
            return;
        }
        // Only a hint; and only whole pages of this tensor.
        #[cfg(target_os = "linux")]
        {
            const PAGE: usize = 4096;
            let start = self.info.start.next_multiple_of(PAGE);
            let end = (self.info.start + self.info.len) / PAGE * PAGE;
            if start < end {
                // SAFETY: the map is of a file and read-only: pages that were given up are read
                // from it again, with the same content.
                let _ = unsafe {
                    self.map.unchecked_advise_range(
                        memmap2::UncheckedAdvice::DontNeed,
                        start,
                        end - start,
                    )
                };
            }
        }
    }

    /// The tensor for those who need single rows later; `None` where its bytes are in memory of their own, which then
    /// would be taken twice.
    pub(crate) fn kept(&self) -> Option<Self> {
        self.of_file.then(|| self.clone())
    }

    /// The bytes of one row of a matrix.
    pub(crate) fn row_bytes(&self, index: usize) -> &[u8] {
        let bytes = self.bytes();
        let len = bytes.len() / self.info.shape[0];
        &bytes[index * len..(index + 1) * len]
    }
}

impl Gguf {
    /// Maps a file and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self, EngineError> {
        let file = File::open(path).map_err(|e| EngineError::read(path, e))?;
        // SAFETY: the map is read-only. Model files are put in place by a rename and not written
        // afterwards; a file cut short by another program while it is in use would end this
        // process, which every reader of mapped files accepts.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| EngineError::read(path, e))?;
        // Only a hint: reading ahead saves page faults, and without it all works as well.
        #[cfg(unix)]
        let _ = map.advise(memmap2::Advice::WillNeed);
        let header = Header {
            path,
            bytes: &map,
            at: 0,
            elements: 0,
        };
        let (metadata, tensors) = header.read()?;
        Ok(Self {
            path: path.to_owned(),
            map: Arc::new(map),
            metadata,
            tensors,
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.metadata.contains_key(key)
    }

    /// A text.
    pub(crate) fn text(&self, key: &str) -> Result<&str, EngineError> {
        self.required(key, self.optional_text(key)?)
    }

    /// A text, if the key is there.
    pub(crate) fn optional_text(&self, key: &str) -> Result<Option<&str>, EngineError> {
        self.typed(key, "a string", |v| match v {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A whole number.
    pub(crate) fn number(&self, key: &str) -> Result<usize, EngineError> {
        self.required(key, self.optional_number(key)?)
    }

    /// A whole number, if the key is there.
    pub(crate) fn optional_number(&self, key: &str) -> Result<Option<usize>, EngineError> {
        self.typed(key, "a whole number", |v| match v {
            Value::Unsigned(n) => usize::try_from(*n).ok(),
            Value::Signed(n) => usize::try_from(*n).ok(),
            _ => None,
        })
    }

    /// A floating-point number.
    pub(crate) fn float(&self, key: &str) -> Result<f64, EngineError> {
        self.required(key, self.optional_float(key)?)
    }

    /// A floating-point number, if the key is there.
    pub(crate) fn optional_float(&self, key: &str) -> Result<Option<f64>, EngineError> {
        self.typed(key, "a floating-point number", |v| match v {
            Value::Float(x) => Some(*x),
            _ => None,
        })
    }

    /// A truth value, if the key is there.
    pub(crate) fn optional_flag(&self, key: &str) -> Result<Option<bool>, EngineError> {
        self.typed(key, "a truth value", |v| match v {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        })
    }

    /// An array of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<&str>, EngineError> {
        self.array(key, "an array of strings", |v| match v {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// An array of floats.
    pub(crate) fn floats(&self, key: &str) -> Result<Vec<f32>, EngineError> {
        self.array(key, "an array of floating-point numbers", |v| match v {
            Value::Float(x) => Some(*x as f32),
            _ => None,
        })
    }

    /// An array of whole numbers.
    pub(crate) fn integers(&self, key: &str) -> Result<Vec<i64>, EngineError> {
        self.array(key, "an array of whole numbers", |v| match v {
            Value::Signed(n) => Some(*n),
            Value::Unsigned(n) => i64::try_from(*n).ok(),
            _ => None,
        })
    }

    /// An array of bytes.
    pub(crate) fn bytes(&self, key: &str) -> Result<Vec<u8>, EngineError> {
        self.array(key, "an array of bytes", |v| match v {
            Value::Unsigned(n) => u8::try_from(*n).ok(),
            Value::Signed(n) => i8::try_from(*n).ok().map(i8::cast_unsigned),
            _ => None,
        })
    }

    /// The shape of a tensor, rows first; empty where there is none of that name.
    pub(crate) fn shape(&self, name: &str) -> &[usize] {
        self.tensors.get(name).map_or(&[], |info| &info.shape)
    }

    /// The names of all tensors.
    pub(crate) fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether the tensor is there.
    pub(crate) fn has_tensor(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor of this shape (rows first), where it lies in the file.
    pub(crate) fn mapped(&self, name: &str, shape: &[usize]) -> Result<MappedTensor, EngineError> {
        let info = self
            .tensors
            .get(name)
            .ok_or_else(|| self.damaged(format!("the tensor `{name}` is missing")))?;
        if info.shape != shape {
            return Err(self.damaged(format!(
                "the tensor `{name}` has shape {:?}, the metadata wants {shape:?}",
                info.shape
            )));
        }
        Ok(MappedTensor {
            map: Arc::clone(&self.map),
            info: info.clone(),
            of_file: true,
        })
    }

    /// A tensor as plain floats.
    pub(crate) fn f32s(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        let tensor = self.mapped(name, shape)?;
        let mut out = vec![0.0; shape.iter().product()];
        tensor.dtype().decode(tensor.bytes(), &mut out);
        Ok(out)
    }

    /// An error about this file's content.
    pub(crate) fn damaged(&self, problem: impl Into<String>) -> EngineError {
        EngineError::damaged(&self.path, problem)
    }

    /// An error about what this engine cannot do with this file.
    pub(crate) fn unsupported(&self, problem: impl Into<String>) -> EngineError {
        EngineError::unsupported(&self.path, problem)
    }

    fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, EngineError> {
        value.ok_or_else(|| self.damaged(format!("the key `{key}` is missing")))
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        wanted: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, EngineError> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(value) => convert(value)
                .map(Some)
                .ok_or_else(|| self.damaged(format!("the key `{key}` is not {wanted}"))),
        }
    }

    fn array<'a, T>(
        &'a self,
        key: &str,
        wanted: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Vec<T>, EngineError> {
        let items = self.typed(key, wanted, |v| match v {
            Value::Array(items) => items.iter().map(&convert).collect::<Option<Vec<T>>>(),
            _ => None,
        })?;
        self.required(key, items)
    }
}

/// The reader of a header: a cursor that never passes the end.
struct Header<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
    /// Array elements so far.
    elements: usize,
}

type Parts = (HashMap<String, Value>, HashMap<String, TensorInfo>);

impl<'a> Header<'a> {
    fn read(mut self) -> Result<Parts, EngineError> {
        if self.take(4, "the magic number")? != b"GGUF" {
            return Err(self.damaged("it does not begin with `GGUF`"));
        }
        let version = self.u32("the version")?;
        if !(2..=3).contains(&version) {
            let problem = format!("it is of GGUF version {version}, not 2 or 3");
            return Err(EngineError::unsupported(self.path, problem));
        }
        // A tensor's entry has at least 24 bytes, one of the metadata 13.
        let tensor_count = self.count(24, "the number of tensors")?;
        let metadata_count = self.count(13, "the number of metadata entries")?;
        let mut metadata = HashMap::new();
        for _ in 0..metadata_count {
            let key = self.string("a metadata key")?;
            let kind = self.u32(&key)?;
            let value = self.value(kind, 0, &key)?;
            metadata.insert(key, value);
        }
        let mut entries = Vec::new();
        for _ in 0..tensor_count {
            entries.push(self.tensor()?);
        }
        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(Value::Unsigned(n)) if n.is_power_of_two() && (4..=1 << 20).contains(n) => {
                *n as usize
            }
            Some(other) => {
                return Err(self.damaged(format!("the key `general.alignment` is {other:?}")));
            }
        };
        let data = self.at.next_multiple_of(alignment);
        let mut tensors = HashMap::new();
        for entry in entries {
            let info = self.place(&entry, data)?;
            tensors.insert(entry.name, info);
        }
        Ok((metadata, tensors))
    }

    fn tensor(&mut self) -> Result<Entry, EngineError> {
        let name = self.string("a tensor's name")?;
        let rank = self.u32(&name)?;
        if rank == 0 || rank > MAX_DIMS {
            return Err(self.damaged(format!("the tensor `{name}` has {rank} dimensions")));
        }
        let mut shape = Vec::new();
        for _ in 0..rank {
            shape.push(self.u64(&name)?);
        }
        // The file has the innermost dimension first.
        shape.reverse();
        let code = self.u32(&name)?;
        let dtype = Dtype::from_ggml(code).ok_or_else(|| {
            let problem = format!("the tensor `{name}` is of ggml type {code}, which is not known");
            EngineError::unsupported(self.path, problem)
        })?;
        let offset = self.u64(&name)?;
        Ok(Entry {
            name,
            shape,
            dtype,
            offset,
        })
    }

    fn place(&self, entry: &Entry, data: usize) -> Result<TensorInfo, EngineError> {
        let Entry { name, dtype, .. } = entry;
        let whole = |n: u64| usize::try_from(n).ok();
        let (block, block_bytes) = dtype.block();
        let range = || {
            let shape: Vec<usize> = entry
                .shape
                .iter()
                .map(|d| whole(*d))
                .collect::<Option<_>>()?;
            let values = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
            let len = (values / block).checked_mul(block_bytes)?;
            let start = data.checked_add(whole(entry.offset)?)?;
            let end = start.checked_add(len)?;
            (end <= self.bytes.len()).then_some((shape, start, len))
        };
        let (shape, start, len) = range().ok_or_else(|| {
            self.damaged(format!(
                "the tensor `{name}` of shape {:?} does not end within its {} bytes; the download \
                 may be incomplete",
                entry.shape,
                self.bytes.len()
            ))
        })?;
        let row = shape.last().copied().unwrap_or(0);
        if row % block != 0 {
            return Err(self.damaged(format!(
                "the tensor `{name}` has rows of {row} values, which is no multiple of {block}"
            )));
        }
        if start % 4 != 0 {
            return Err(self.damaged(format!("the tensor `{name}` is not aligned")));
        }
        Ok(TensorInfo {
            shape,
            dtype: *dtype,
            start,
            len,
        })
    }

    fn value(&mut self, kind: u32, depth: usize, key: &str) -> Result<Value, EngineError> {
        Ok(match kind {
            0 => Value::Unsigned(self.fixed::<1>(key)?[0].into()),
            1 => Value::Signed(i8::from_le_bytes(self.fixed(key)?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.fixed(key)?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.fixed(key)?).into()),
            4 => Value::Unsigned(self.u32(key)?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.fixed(key)?).into()),
            6 => Value::Float(f32::from_le_bytes(self.fixed(key)?).into()),
            7 => Value::Flag(self.fixed::<1>(key)?[0] != 0),
            8 => Value::Text(self.string(key)?),
            9 => self.items(depth, key)?,
            10 => Value::Unsigned(self.u64(key)?),
            11 => Value::Signed(i64::from_le_bytes(self.fixed(key)?)),
            12 => Value::Float(f64::from_le_bytes(self.fixed(key)?)),
            _ => return Err(self.damaged(format!("the key `{key}` has the value type {kind}"))),
        })
    }

    fn items(&mut self, depth: usize, key: &str) -> Result<Value, EngineError> {
        if depth >= MAX_DEPTH {
            return Err(self.damaged(format!("the key `{key}` nests arrays too deeply")));
        }
        let kind = self.u32(key)?;
        let smallest = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            9 => 12,
            _ => 8,
        };
        let len = self.count(smallest, key)?;
        self.elements = self.elements.saturating_add(len);
        if self.elements > MAX_ELEMENTS {
            return Err(self.damaged(format!("the key `{key}` has {len} elements")));
        }
        let mut items = Vec::new();
        for _ in 0..len {
            items.push(self.value(kind, depth + 1, key)?);
        }
        Ok(Value::Array(items))
    }

    fn take(&mut self, len: usize, what: &str) -> Result<&'a [u8], EngineError> {
        let found = self
            .at
            .checked_add(len)
            .and_then(|end| self.bytes.get(self.at..end));
        let slice = found.ok_or_else(|| {
            self.damaged(format!(
                "it ends after {} bytes, inside `{what}`",
                self.bytes.len()
            ))
        })?;
        self.at += len;
        Ok(slice)
    }

    fn fixed<const N: usize>(&mut self, what: &str) -> Result<[u8; N], EngineError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, what)?);
        Ok(out)
    }

    fn u32(&mut self, what: &str) -> Result<u32, EngineError> {
        Ok(u32::from_le_bytes(self.fixed(what)?))
    }

    fn u64(&mut self, what: &str) -> Result<u64, EngineError> {
        Ok(u64::from_le_bytes(self.fixed(what)?))
    }

    /// A number of things that take at least `smallest` bytes each: one that cannot fit into the
    /// rest of the file is refused here.
    fn count(&mut self, smallest: usize, what: &str) -> Result<usize, EngineError> {
        let count = self.u64(what)?;
        let rest = self.bytes.len() - self.at;
        usize::try_from(count)
            .ok()
            .filter(|n| *n <= rest / smallest)
            .ok_or_else(|| {
                self.damaged(format!(
                    "`{what}` counts {count}, more than {rest} bytes can hold"
                ))
            })
    }

    /// A text; what is not UTF-8 in it is replaced, as files in the wild have it.
    fn string(&mut self, what: &str) -> Result<String, EngineError> {
        let len = self.count(1, what)?;
        Ok(String::from_utf8_lossy(self.take(len, what)?).into_owned())
    }

    fn damaged(&self, problem: impl Into<String>) -> EngineError {
        EngineError::damaged(self.path, problem)
    }
}

/// A tensor's entry in the header.
struct Entry {
    name: String,
    shape: Vec<u64>,
    dtype: Dtype,
    offset: u64,
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use candle_core::Device;
    use candle_core::quantized::{QTensor, gguf_file};
    use proptest::prelude::*;

    use super::*;

    fn open(bytes: &[u8]) -> Result<Gguf, EngineError> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), bytes).expect("written");
        Gguf::open(file.path())
    }

    fn small_file() -> Vec<u8> {
        let architecture = gguf_file::Value::String("llama".to_owned());
        let blocks = gguf_file::Value::U32(2);
        let tensor = QTensor::quantize(
            &candle_core::Tensor::ones((2, 32), candle_core::DType::F32, &Device::Cpu).unwrap(),
            candle_core::quantized::GgmlDType::Q8_0,
        )
        .unwrap();
        let mut bytes = Cursor::new(Vec::new());
        gguf_file::write(
            &mut bytes,
            &[
                ("general.architecture", &architecture),
                ("llama.block_count", &blocks),
            ],
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
            (
                gguf.text("tokenizer.chat_template").unwrap_err(),
                "tokenizer.chat_template",
            ),
            (
                gguf.number("general.architecture").unwrap_err(),
                "general.architecture",
            ),
            (
                gguf.f32s("blk.0.attn_q.weight", &[1]).unwrap_err(),
                "blk.0.attn_q.weight",
            ),
            (gguf.f32s("output.weight", &[32, 2]).unwrap_err(), "[2, 32]"),
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
