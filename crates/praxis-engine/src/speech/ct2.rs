//! A model file of CTranslate2 (`python/ctranslate2/specs/model_spec.py` of
//! <https://github.com/OpenNMT/CTranslate2>, binary versions 4 to 6, little-endian), opened: mapped, its
//! variables found by name. Every length is checked against the bytes that are there before anything is
//! allocated, so that a damaged or hostile file is an error and never a crash.
//!
//! Left out: weights of whole numbers, which need scales beside them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::linear::{Dtype, EngineError, MappedFile, MappedTensor};

/// Binary versions that are laid out as it is read here.
const VERSIONS: std::ops::RangeInclusive<u32> = 4..=6;
/// The most variables of a file; the largest Whisper has 1,300.
const MAX_VARIABLES: usize = 1 << 16;
/// The most dimensions of one.
const MAX_RANK: usize = 4;

/// An open file.
pub(super) struct Ct2File {
    file: MappedFile,
    spec: String,
    variables: BTreeMap<String, Variable>,
}

/// Where a variable lies.
#[derive(Debug, Clone, PartialEq)]
struct Variable {
    /// Outermost dimension first; empty for a single number.
    shape: Vec<usize>,
    kind: Kind,
    range: Range<usize>,
}

/// What a variable's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Float(Dtype),
    I8,
    I16,
    I32,
}

impl Kind {
    /// From the type codes of the file.
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Float(Dtype::F32),
            1 => Self::I8,
            2 => Self::I16,
            3 => Self::I32,
            4 => Self::Float(Dtype::F16),
            5 => Self::Float(Dtype::Bf16),
            _ => return None,
        })
    }

    /// Bytes of so many numbers.
    fn bytes_for(self, count: usize) -> Option<usize> {
        match self {
            Self::Float(dtype) => dtype.bytes_for(count),
            Self::I8 => Some(count),
            Self::I16 => count.checked_mul(2),
            Self::I32 => count.checked_mul(4),
        }
    }
}

impl Ct2File {
    /// Maps `path` and reads its directory.
    ///
    /// # Errors
    /// [`EngineError`] where it cannot be read, or is not laid out as it should be.
    pub(super) fn open(path: &Path) -> Result<Self, EngineError> {
        let file = MappedFile::open(path)?;
        let read = Reader::new(file.bytes()).directory();
        let (spec, variables) = read.map_err(|problem| match problem {
            Problem::Damaged(what) => EngineError::damaged(path, what),
            Problem::Unsupported(what) => EngineError::unsupported(path, what),
        })?;
        Ok(Self {
            file,
            spec,
            variables,
        })
    }

    /// Where it came from.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// What kind of model it says that it is, e.g. `WhisperSpec`.
    pub(super) fn spec(&self) -> &str {
        &self.spec
    }

    /// Whether a variable is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.variables.contains_key(name)
    }

    fn variable(&self, name: &str) -> Result<&Variable, EngineError> {
        self.variables.get(name).ok_or_else(|| {
            EngineError::damaged(self.path(), format!("the variable `{name}` is missing"))
        })
    }

    /// The shape of a variable.
    pub(super) fn shape(&self, name: &str) -> Result<&[usize], EngineError> {
        Ok(&self.variable(name)?.shape)
    }

    /// A variable of this shape, and how its numbers are stored.
    fn floats(&self, name: &str, shape: &[usize]) -> Result<(&Variable, Dtype), EngineError> {
        let variable = self.variable(name)?;
        if variable.shape != shape {
            let found = &variable.shape;
            let problem = format!("the variable `{name}` has shape {found:?}, not {shape:?}");
            return Err(EngineError::damaged(self.path(), problem));
        }
        match variable.kind {
            Kind::Float(dtype) => Ok((variable, dtype)),
            _ => {
                let problem = format!(
                    "the variable `{name}` is of whole numbers: convert the model with `--quantization float16`"
                );
                Err(EngineError::unsupported(self.path(), problem))
            }
        }
    }

    /// A variable of this shape as plain floats.
    pub(super) fn f32s(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EngineError> {
        let (variable, dtype) = self.floats(name, shape)?;
        let bytes = self.file.slice(&variable.range);
        let mut out = vec![0.0; shape.iter().product()];
        dtype.decode(bytes, &mut out);
        Ok(out)
    }

    /// Some rows of a variable as a matrix, where they lie. What follows the first dimension of `shape`
    /// makes the columns.
    pub(super) fn matrix(
        &self,
        name: &str,
        shape: &[usize],
        rows: Range<usize>,
    ) -> Result<MappedTensor, EngineError> {
        let (variable, dtype) = self.floats(name, shape)?;
        let columns: usize = shape.iter().skip(1).product();
        let matrix = (|| {
            let before = dtype.bytes_for(columns)?.checked_mul(rows.start)?;
            let start = variable.range.start.checked_add(before)?;
            let within = rows.end <= *shape.first()? && !rows.is_empty() && columns > 0;
            let map: &Arc<_> = self.file.map();
            let tensor = MappedTensor::in_file(map, dtype, (rows.len(), columns), start);
            tensor.filter(|_| within)
        })();
        matrix.ok_or_else(|| {
            let problem = format!("the variable `{name}` has no rows {rows:?}");
            EngineError::damaged(self.path(), problem)
        })
    }

    /// A variable that is one whole number.
    pub(super) fn number(&self, name: &str) -> Result<i64, EngineError> {
        let variable = self.variable(name)?;
        let bytes = self.file.slice(&variable.range);
        let number = match (variable.kind, bytes) {
            (Kind::I8, [a]) => Some(i64::from(i8::from_le_bytes([*a]))),
            (Kind::I16, [a, b]) => Some(i64::from(i16::from_le_bytes([*a, *b]))),
            (Kind::I32, [a, b, c, d]) => Some(i64::from(i32::from_le_bytes([*a, *b, *c, *d]))),
            _ => None,
        };
        number.ok_or_else(|| {
            let problem = format!("the variable `{name}` is not one whole number");
            EngineError::damaged(self.path(), problem)
        })
    }
}

/// What is wrong with a file.
#[derive(Debug, PartialEq)]
enum Problem {
    Damaged(String),
    Unsupported(String),
}

fn damaged<T>(what: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Damaged(what.into()))
}

/// Reads the bytes of a file from front to back.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next bytes.
    fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8], Problem> {
        let end = self.at.checked_add(count);
        match end.and_then(|end| Some((end, self.bytes.get(self.at..end)?))) {
            Some((end, bytes)) => {
                self.at = end;
                Ok(bytes)
            }
            None => damaged(format!("it ends within {what}, at byte {}", self.at)),
        }
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Problem> {
        let bytes = self.take(N, what)?;
        bytes
            .try_into()
            .or_else(|_| damaged(format!("it ends within {what}")))
    }

    fn u8(&mut self, what: &str) -> Result<u8, Problem> {
        Ok(u8::from_le_bytes(self.array(what)?))
    }

    fn u32(&mut self, what: &str) -> Result<u32, Problem> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn count(&mut self, most: usize, what: &str) -> Result<usize, Problem> {
        let count = usize::try_from(self.u32(what)?).unwrap_or(usize::MAX);
        if count > most {
            return damaged(format!("{what} is {count}, more than {most}"));
        }
        Ok(count)
    }

    /// A text with its length before it and a zero behind it.
    fn text(&mut self, what: &str) -> Result<String, Problem> {
        let len = u16::from_le_bytes(self.array(what)?);
        let bytes = self.take(usize::from(len), what)?;
        let text = bytes
            .strip_suffix(&[0])
            .and_then(|text| std::str::from_utf8(text).ok());
        match text {
            Some(text) => Ok(text.to_owned()),
            None => damaged(format!("{what} before byte {} is no text", self.at)),
        }
    }

    fn directory(mut self) -> Result<(String, BTreeMap<String, Variable>), Problem> {
        let version = self.u32("the binary version")?;
        if !VERSIONS.contains(&version) {
            let problem = format!(
                "its binary version is {version}, not {} to {}",
                VERSIONS.start(),
                VERSIONS.end()
            );
            return Err(Problem::Unsupported(problem));
        }
        let spec = self.text("the model's kind")?;
        self.u32("the kind's revision")?;
        let count = self.count(MAX_VARIABLES, "the number of variables")?;
        let mut variables = BTreeMap::new();
        for _ in 0..count {
            let name = self.text("a variable's name")?;
            let variable = self.variable(&name)?;
            variables.insert(name, variable);
        }
        let count = self.count(MAX_VARIABLES, "the number of other names")?;
        for _ in 0..count {
            let (alias, name) = (self.text("another name")?, self.text("a variable's name")?);
            let Some(variable) = variables.get(&name) else {
                return damaged(format!("`{alias}` stands for `{name}`, which is missing"));
            };
            variables.insert(alias, variable.clone());
        }
        Ok((spec, variables))
    }

    fn variable(&mut self, name: &str) -> Result<Variable, Problem> {
        let rank = usize::from(self.u8("a variable's rank")?);
        if rank > MAX_RANK {
            return damaged(format!("the variable `{name}` has {rank} dimensions"));
        }
        let mut shape = Vec::with_capacity(rank);
        for _ in 0..rank {
            shape.push(self.count(usize::MAX, "a dimension")?);
        }
        let code = self.u8("a variable's type")?;
        let Some(kind) = Kind::from_code(code) else {
            return damaged(format!("the variable `{name}` has the unknown type {code}"));
        };
        let len = self.count(usize::MAX, "a variable's length")?;
        let numbers = shape.iter().try_fold(1usize, |n, dim| n.checked_mul(*dim));
        if numbers.and_then(|n| kind.bytes_for(n)) != Some(len) {
            return damaged(format!(
                "the length of the variable `{name}` does not fit its shape"
            ));
        }
        let start = self.at;
        self.take(len, &format!("the variable `{name}`"))?;
        Ok(Variable {
            shape,
            kind,
            range: start..self.at,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use half::f16;
    use proptest::prelude::*;

    use super::*;

    /// Writes a file as CTranslate2 does.
    pub(in crate::speech) struct Writer {
        variables: Vec<u8>,
        count: u32,
    }

    impl Writer {
        pub(in crate::speech) fn new() -> Self {
            Self {
                variables: Vec::new(),
                count: 0,
            }
        }

        fn text(out: &mut Vec<u8>, text: &str) {
            let len = u16::try_from(text.len() + 1).unwrap();
            out.extend(len.to_le_bytes());
            out.extend(text.as_bytes());
            out.push(0);
        }

        fn put(&mut self, name: &str, shape: &[usize], code: u8, bytes: &[u8]) {
            Self::text(&mut self.variables, name);
            self.variables.push(u8::try_from(shape.len()).unwrap());
            for dim in shape {
                let dim = u32::try_from(*dim).unwrap();
                self.variables.extend(dim.to_le_bytes());
            }
            self.variables.push(code);
            let len = u32::try_from(bytes.len()).unwrap();
            self.variables.extend(len.to_le_bytes());
            self.variables.extend(bytes);
            self.count += 1;
        }

        pub(in crate::speech) fn halves(&mut self, name: &str, shape: &[usize], values: &[f32]) {
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|x| f16::from_f32(*x).to_le_bytes())
                .collect();
            self.put(name, shape, 4, &bytes);
        }

        pub(in crate::speech) fn number(&mut self, name: &str, number: i16) {
            self.put(name, &[], 2, &number.to_le_bytes());
        }

        pub(in crate::speech) fn finish(self, aliases: &[(&str, &str)]) -> Vec<u8> {
            let mut out = 6u32.to_le_bytes().to_vec();
            Self::text(&mut out, "WhisperSpec");
            out.extend(3u32.to_le_bytes());
            out.extend(self.count.to_le_bytes());
            out.extend(self.variables);
            let count = u32::try_from(aliases.len()).unwrap();
            out.extend(count.to_le_bytes());
            for (alias, name) in aliases {
                Self::text(&mut out, alias);
                Self::text(&mut out, name);
            }
            out
        }
    }

    fn sample() -> Vec<u8> {
        let mut writer = Writer::new();
        writer.halves("a/weight", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        writer.number("heads", 8);
        writer.put("flag", &[], 1, &[1]);
        writer.finish(&[("b/weight", "a/weight")])
    }

    fn open(bytes: &[u8]) -> Result<Ct2File, EngineError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Ct2File::open(file.path())
    }

    #[test]
    fn variables_are_found_by_their_names_and_by_others() {
        let file = open(&sample()).unwrap();
        assert_eq!(file.spec(), "WhisperSpec");
        for name in ["a/weight", "b/weight"] {
            let values = file.f32s(name, &[3, 2]).unwrap();
            assert_eq!(values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{name}");
            let rows = file.matrix(name, &[3, 2], 1..3).unwrap();
            assert_eq!(rows.shape(), [2, 2]);
            let mut last = [0.0; 2];
            rows.dtype().decode(rows.row_bytes(1), &mut last);
            assert_eq!(last, [5.0, 6.0]);
        }
        assert_eq!(
            (file.number("heads").unwrap(), file.number("flag").unwrap()),
            (8, 1)
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let file = open(&sample()).unwrap();
        for (problem, name) in [
            (file.f32s("a/weight", &[2, 3]).err(), "[3, 2]"),
            (file.f32s("c", &[1]).err(), "`c`"),
            (file.f32s("heads", &[]).err(), "float16"),
            (file.matrix("a/weight", &[3, 2], 2..4).err(), "2..4"),
            (file.matrix("a/weight", &[3, 2], 1..1).err(), "1..1"),
            (file.number("a/weight").err(), "a/weight"),
            (open(b"").err(), "empty"),
            (open(&[7, 0, 0, 0]).err(), "version is 7"),
            (open(&sample()[..40]).err(), "ends within"),
        ] {
            let problem = problem.map(|error| error.to_string()).unwrap_or_default();
            assert!(problem.contains(name), "{name}: {problem}");
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            at in 0usize..200,
            cut in 0usize..200,
        ) {
            let _ = Reader::new(&bytes).directory();
            let mut file = sample();
            for (place, byte) in file.iter_mut().skip(at).zip(&bytes) {
                *place = *byte;
            }
            file.truncate(file.len().saturating_sub(cut));
            if let Ok((_, variables)) = Reader::new(&file).directory() {
                for variable in variables.values() {
                    prop_assert!(file.get(variable.range.clone()).is_some());
                }
            }
        }
    }
}
