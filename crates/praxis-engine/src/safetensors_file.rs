//! A safetensors file (<https://huggingface.co/docs/safetensors>), opened: mapped, its directory
//! read and checked, its float tensors found by name.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use safetensors::SafeTensors;

use crate::dtype::Dtype;
use crate::error::EngineError;
use crate::mapped::MappedFile;

/// An open file.
pub(crate) struct SafetensorsFile {
    file: Arc<MappedFile>,
    directory: BTreeMap<String, Entry>,
}

/// Where a tensor lies.
#[derive(Clone)]
pub(crate) struct Entry {
    /// How its numbers are stored.
    pub(crate) dtype: Dtype,
    /// Outermost first.
    pub(crate) shape: Vec<usize>,
    /// Its bytes in the file.
    pub(crate) range: Range<usize>,
}

impl SafetensorsFile {
    /// Maps `path` and reads its directory. Tensors of other than floating-point numbers are left out.
    ///
    /// # Errors
    /// [`EngineError`] where it cannot be read or its directory does not fit its data.
    pub(crate) fn open(path: &Path) -> Result<Self, EngineError> {
        let file = MappedFile::open(path)?;
        let (header_bytes, metadata) = SafeTensors::read_metadata(file.bytes())
            .map_err(|error| EngineError::damaged(path, format!("its header: {error}")))?;
        let base = 8 + header_bytes;
        let mut directory = BTreeMap::new();
        for (name, info) in metadata.tensors() {
            // Integer buffers (`position_ids`) are saved along with some models.
            let Some(dtype) = Dtype::from_safetensors(info.dtype) else {
                continue;
            };
            let (start, end) = info.data_offsets;
            let entry = Entry {
                dtype,
                shape: info.shape.clone(),
                range: base + start..base + end,
            };
            directory.insert(name, entry);
        }
        Ok(Self {
            file: Arc::new(file),
            directory,
        })
    }

    /// The mapped file.
    pub(crate) fn file(&self) -> &Arc<MappedFile> {
        &self.file
    }

    /// Whether the tensor is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.directory.contains_key(name)
    }

    /// The names of all tensors, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.directory.keys().map(String::as_str)
    }

    /// A tensor's entry.
    pub(crate) fn entry(&self, name: &str) -> Result<&Entry, EngineError> {
        self.directory.get(name).ok_or_else(|| {
            EngineError::damaged(self.file.path(), format!("the tensor `{name}` is missing"))
        })
    }

    /// A tensor's shape.
    pub(crate) fn shape(&self, name: &str) -> Result<&[usize], EngineError> {
        Ok(&self.entry(name)?.shape)
    }

    /// A tensor of this shape as plain floats.
    pub(crate) fn f32s(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        let entry = self.entry(name)?;
        if entry.shape != shape {
            return Err(EngineError::damaged(
                self.file.path(),
                format!(
                    "the tensor `{name}` has shape {:?}, the configuration wants {shape:?}",
                    entry.shape
                ),
            ));
        }
        let mut out = vec![0.0; shape.iter().product()];
        entry.dtype.decode(self.file.slice(&entry.range), &mut out);
        Ok(out)
    }
}
