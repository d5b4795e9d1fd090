//! A classifier's file: what it is for, then the numbers, then a checksum. Everything is little endian.
//!
//! ```text
//! 8 bytes   PRXMODER
//! u16       version, 1
//! u16       length of the embedder's identity, then its bytes (UTF-8)
//! u32       dimension
//! u16       number of categories, then for each:
//!   u16       length of the name, then its bytes (UTF-8)
//!   f32       threshold, 0 to 1
//!   f32       bias
//!   f32 ...   weights, as many as the dimension
//! 32 bytes  BLAKE3 of all before
//! ```

use std::collections::BTreeSet;

use super::{Classifier, Scorer};
use crate::moderation::category::is_name;

const MAGIC: &[u8; 8] = b"PRXMODER";
const VERSION: u16 = 1;
const CHECKSUM: usize = 32;

/// The most bytes of an identity, dimensions and categories.
const MAX_IDENTITY: usize = 512;
const MAX_DIMENSION: usize = 16_384;
pub(super) const MAX_CATEGORIES: usize = 256;

/// Why bytes are no classifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It is something else.
    #[error("it does not begin as a classifier of the moderation does")]
    Magic,
    /// Another build wrote it.
    #[error("its version is {0}, and this build reads {VERSION}")]
    Version(u16),
    /// Something is missing, or too much.
    #[error("it ends too early or too late, at its {0}")]
    Length(&'static str),
    /// A part is not what it may be.
    #[error("its {0} is not what it may be")]
    Field(&'static str),
    /// A bit was changed.
    #[error("it is damaged: its checksum is another one")]
    Checksum,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Classifier, FormatError> {
    if !bytes.starts_with(MAGIC) {
        return Err(FormatError::Magic);
    }
    let at = bytes
        .len()
        .checked_sub(CHECKSUM)
        .ok_or(FormatError::Length("checksum"))?;
    let (content, checksum) = bytes.split_at(at);
    let mut reader = Reader(content.get(MAGIC.len()..).unwrap_or_default());
    let version = reader.u16("version")?;
    if version != VERSION {
        return Err(FormatError::Version(version));
    }
    if blake3::hash(content).as_bytes().as_slice() != checksum {
        return Err(FormatError::Checksum);
    }
    let identity = reader.text("identity", MAX_IDENTITY)?;
    let dimension = reader.u32("dimension")?;
    let dimension = usize::try_from(dimension)
        .ok()
        .filter(|d| (1..=MAX_DIMENSION).contains(d))
        .ok_or(FormatError::Field("dimension"))?;
    let count = usize::from(reader.u16("categories")?);
    if !(1..=MAX_CATEGORIES).contains(&count) {
        return Err(FormatError::Field("number of categories"));
    }
    let mut categories = Vec::with_capacity(count);
    let mut names = BTreeSet::new();
    for _ in 0..count {
        let scorer = reader.scorer(dimension)?;
        if !names.insert(scorer.name.clone()) {
            return Err(FormatError::Field("list of categories"));
        }
        categories.push(scorer);
    }
    if !reader.0.is_empty() {
        return Err(FormatError::Length("end"));
    }
    Ok(Classifier {
        identity,
        dimension,
        categories,
    })
}

pub(super) fn written(classifier: &Classifier) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    put_text(&mut bytes, &classifier.identity);
    let dimension = u32::try_from(classifier.dimension).unwrap_or(u32::MAX);
    bytes.extend(dimension.to_le_bytes());
    let count = u16::try_from(classifier.categories.len()).unwrap_or(u16::MAX);
    bytes.extend(count.to_le_bytes());
    for scorer in &classifier.categories {
        put_text(&mut bytes, &scorer.name);
        for number in [scorer.threshold, scorer.bias]
            .iter()
            .chain(&scorer.weights)
        {
            bytes.extend(number.to_le_bytes());
        }
    }
    let checksum = blake3::hash(&bytes);
    bytes.extend(checksum.as_bytes());
    bytes
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], FormatError> {
        let taken = self.0.split_at_checked(count);
        let (taken, rest) = taken.ok_or(FormatError::Length(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], FormatError> {
        let taken = self.take(N, what)?;
        taken.try_into().map_err(|_| FormatError::Length(what))
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, FormatError> {
        self.array(what).map(u16::from_le_bytes)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, FormatError> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn f32(&mut self, what: &'static str) -> Result<f32, FormatError> {
        let number = self.array(what).map(f32::from_le_bytes)?;
        if number.is_finite() {
            Ok(number)
        } else {
            Err(FormatError::Field(what))
        }
    }

    fn text(&mut self, what: &'static str, most: usize) -> Result<String, FormatError> {
        let length = usize::from(self.u16(what)?);
        let text = std::str::from_utf8(self.take(length, what)?);
        let text = text.map_err(|_| FormatError::Field(what))?;
        if text.is_empty() || text.len() > most {
            return Err(FormatError::Field(what));
        }
        Ok(text.to_owned())
    }

    fn scorer(&mut self, dimension: usize) -> Result<Scorer, FormatError> {
        let name = self.text("name of a category", MAX_IDENTITY)?;
        if !is_name(&name) {
            return Err(FormatError::Field("name of a category"));
        }
        let threshold = self.f32("threshold")?;
        if !(0.0..=1.0).contains(&threshold) {
            return Err(FormatError::Field("threshold"));
        }
        let bias = self.f32("bias")?;
        // Checked before anything is allocated for it.
        if self.0.len() / 4 < dimension {
            return Err(FormatError::Length("weights"));
        }
        let weights: Result<Vec<f32>, FormatError> =
            (0..dimension).map(|_| self.f32("weights")).collect();
        Ok(Scorer {
            name,
            threshold,
            bias,
            weights: weights?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::of_axes;
    use super::*;

    /// The same bytes with another content and the checksum that fits.
    fn resealed(bytes: &[u8], change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut content = bytes[..bytes.len() - CHECKSUM].to_vec();
        change(&mut content);
        let checksum = blake3::hash(&content);
        content.extend(checksum.as_bytes());
        content
    }

    #[test]
    fn a_broken_file_says_what_is_broken() {
        let bytes = of_axes("words@1", &["a", "b"], 3).to_bytes();
        // Where things are: 8 magic, 2 version, 2 + 7 identity, 4 dimension, 2 count, 2 + 1 name, 4 threshold.
        let (dimension, count, name, threshold) = (19, 23, 25, 28);
        let put = |at: usize, new: &'static [u8]| {
            resealed(&bytes, move |content| {
                content[at..at + new.len()].copy_from_slice(new);
            })
        };
        let mut flipped = bytes.clone();
        flipped[40] ^= 1;
        let cases = [
            (b"GGUF".to_vec(), FormatError::Magic),
            (Vec::new(), FormatError::Magic),
            (MAGIC.to_vec(), FormatError::Length("checksum")),
            (put(8, &[2, 0]), FormatError::Version(2)),
            (flipped, FormatError::Checksum),
            (bytes[..bytes.len() - 1].to_vec(), FormatError::Checksum),
            (put(12, &[0xff]), FormatError::Field("identity")),
            (put(dimension, &[0, 0]), FormatError::Field("dimension")),
            (
                put(dimension, &[0xff, 0xff, 0xff]),
                FormatError::Field("dimension"),
            ),
            (put(dimension, &[200]), FormatError::Length("weights")),
            (put(count, &[0]), FormatError::Field("number of categories")),
            (
                put(name + 2, b" "),
                FormatError::Field("name of a category"),
            ),
            (
                put(threshold, &[0, 0, 0, 0x40]),
                FormatError::Field("threshold"),
            ),
            (
                put(threshold + 8, &[0, 0, 0xc0, 0x7f]),
                FormatError::Field("weights"),
            ),
            (
                resealed(&bytes, |content| content.push(0)),
                FormatError::Length("end"),
            ),
            (
                of_axes("words@1", &["a", "a"], 3).to_bytes(),
                FormatError::Field("list of categories"),
            ),
        ];
        for (i, (broken, error)) in cases.into_iter().enumerate() {
            assert_eq!(parse(&broken), Err(error), "case {i}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            identity in "[a-z@]{1,20}",
            numbers in prop::collection::vec(-1e6f32..1e6, 1..40),
            threshold in 0f32..=1.0,
        ) {
            let classifier = Classifier {
                identity,
                dimension: numbers.len(),
                categories: vec![Scorer {
                    name: "hate/threatening".to_owned(),
                    threshold,
                    bias: 0.5,
                    weights: numbers,
                }],
            };
            prop_assert_eq!(parse(&classifier.to_bytes()), Ok(classifier));
        }

        #[test]
        fn any_bytes_are_a_classifier_or_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            at in 0usize..200,
            with in any::<u8>(),
        ) {
            let _ = parse(&bytes);
            let _ = parse(&resealed(&of_axes("w", &["a", "b"], 9).to_bytes(), |content| {
                let at = at % content.len();
                content[at] = with;
            }));
            let mut begun = MAGIC.to_vec();
            begun.extend([1, 0]);
            begun.extend(bytes);
            begun.extend(*blake3::hash(&begun.clone()).as_bytes());
            let _ = parse(&begun);
        }
    }
}
