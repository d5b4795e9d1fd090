//! Streams of a PDF, unpacked within bounds: a small file may unpack to more than memory holds. Left out: images, and the
//! streams that hayro-syntax unpacks itself (`survey`).

use std::borrow::Cow;

use hayro_syntax::object::{Array, Dict, Name, Object, Stream};

use super::unpack::{MOST_FILTERS, Named, Parameters, Step, Unpacked, unpack};

/// What a stream costs, be it empty: so many of them are not unpacked for nothing.
const EACH: u64 = 256;

/// What may still be read of one document.
pub(super) struct Budget {
    /// Bytes that streams may unpack to, all together, and one of them.
    left: u64,
    one: usize,
    /// Characters that may be shown, and the bytes of their texts.
    shown: u64,
    /// Whether something was left out because of it.
    exhausted: bool,
}

impl Budget {
    /// A budget of that many bytes, and that many in one stream, and that many characters.
    pub fn new(bytes: u64, one: u64, shown: u64) -> Self {
        Self {
            left: bytes,
            one: usize::try_from(one).unwrap_or(usize::MAX),
            shown,
            exhausted: false,
        }
    }

    /// Whether the document holds more than was allowed to be read.
    pub fn exhausted(&self) -> bool {
        self.exhausted
    }

    /// Notes that a part of the document is left out.
    pub fn exhaust(&mut self) {
        self.exhausted = true;
    }

    /// The most bytes that one stream may unpack to.
    pub fn one(&self) -> usize {
        self.one
    }

    /// The content of a stream; none if it is an image, is damaged from its first byte on, or is over
    /// the budget.
    pub fn decode(&mut self, stream: &Stream<'_>) -> Option<Vec<u8>> {
        self.decode_up_to(stream, self.one)
    }

    /// The same of a stream that is of no use if it is larger than `most`.
    pub fn decode_up_to(&mut self, stream: &Stream<'_>, most: usize) -> Option<Vec<u8>> {
        let steps = steps(stream.dict())?;
        if !self.spend(EACH) {
            return None;
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(self.one).min(left);
        let raw = stream.raw_data();
        let is_empty = raw.is_empty();
        let mut spent = 0;
        let unpacked = unpack(raw, &steps, most, |bytes| spent += bytes);
        let (data, cost) = match unpacked {
            Unpacked::Whole(data) => {
                let cost = spent.max(data.len());
                (Some(data.into_owned()), cost)
            }
            // As much of it as is sound, for a page cut short is still of use.
            Unpacked::Cut(data) => {
                let cost = spent.max(data.len());
                ((!data.is_empty() || is_empty).then_some(data), cost)
            }
            Unpacked::TooMuch => {
                self.exhausted = true;
                (None, spent.saturating_add(most))
            }
        };
        self.left = self.left.saturating_sub(cost as u64);
        data
    }

    /// Takes characters that are shown, or bytes of their texts, from the budget; whether there were enough.
    pub fn show(&mut self, characters: usize) -> bool {
        let enough = characters as u64 <= self.shown;
        self.shown = self.shown.saturating_sub(characters as u64);
        self.exhausted |= !enough;
        enough
    }

    fn spend(&mut self, bytes: u64) -> bool {
        let enough = bytes <= self.left;
        self.exhausted |= !enough;
        self.left = self.left.saturating_sub(bytes);
        enough
    }
}

/// The most bytes that hayro-syntax unpacks a stream to, which is no picture; `None` for more than `most`, and for what
/// cannot be told.
#[cfg(feature = "ocr")]
pub(super) fn size(stream: &Stream<'_>, most: usize) -> Option<usize> {
    if widest_row(stream.dict()) > most as u64 {
        return None;
    }
    let steps = steps(stream.dict())?;
    let (_, size) = super::unpack::unpack_leniently(stream.raw_data(), &steps, most)?;
    Some(size)
}

/// Bytes of the widest row that a predictor of a stream is told of, for which room is made.
#[cfg(feature = "ocr")]
pub(super) fn widest_row(dict: &Dict<'_>) -> u64 {
    let all = ["DP", "DecodeParms"].map(|key| match dict.get::<Object<'_>>(key) {
        Some(Object::Dict(dict)) => vec![parameters(&dict)],
        Some(Object::Array(all)) => each_parameters(&all),
        _ => Vec::new(),
    });
    let rows = all.iter().flatten().map(|found| {
        let bits = found.colors.saturating_mul(found.bits);
        bits.saturating_mul(found.columns).div_ceil(8)
    });
    rows.max().unwrap_or(0)
}

/// The filters of a stream, from the first to be undone on; none for pictures, for data in another file, and for what
/// nobody knows.
fn steps(dict: &Dict<'_>) -> Option<Vec<Step>> {
    let either = |short: &str, long: &str| {
        let short = dict.get::<Object<'_>>(short);
        short.or_else(|| dict.get::<Object<'_>>(long))
    };
    let names: Vec<Name<'_>> = match either("F", "Filter") {
        Some(Object::Name(name)) => vec![name],
        Some(Object::Array(names)) => {
            let names = names.iter::<Name<'_>>();
            names.take(MOST_FILTERS + 1).collect()
        }
        Some(Object::String(_) | Object::Dict(_)) => return None,
        _ => Vec::new(),
    };
    if names.len() > MOST_FILTERS {
        return None;
    }
    let described = match either("DP", "DecodeParms") {
        Some(Object::Dict(dict)) if names.len() == 1 => vec![parameters(&dict)],
        Some(Object::Array(all)) => each_parameters(&all),
        _ => Vec::new(),
    };
    let mut steps = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        match Named::of(name) {
            Named::Packing(packing) => {
                steps.push((packing, described.get(index).copied().unwrap_or_default()));
            }
            // Undone with the encryption of the file.
            Named::Crypt if index == 0 => {}
            Named::Crypt | Named::Picture | Named::Unknown => return None,
        }
    }
    Some(steps)
}

fn each_parameters(all: &Array<'_>) -> Vec<Parameters> {
    let each = all.iter::<Object<'_>>().take(MOST_FILTERS);
    let each = each.map(|object| match object {
        Object::Dict(dict) => parameters(&dict),
        _ => Parameters::default(),
    });
    each.collect()
}

fn parameters(dict: &Dict<'_>) -> Parameters {
    let usual = Parameters::default();
    let number = |key: &str, usual: u64| {
        let number = dict.get::<u32>(key);
        number.map_or(usual, u64::from)
    };
    Parameters {
        predictor: number("Predictor", usual.predictor),
        colors: number("Colors", usual.colors),
        bits: number("BitsPerComponent", usual.bits),
        columns: number("Columns", usual.columns),
        early_change: number("EarlyChange", 1) != 0,
    }
}

/// A text string of a dictionary (ISO 32000-1, 7.9.2.2): UTF-16 or UTF-8 by its mark, else
/// PDFDocEncoding, which is taken for Windows-1252.
pub(super) fn text_string(bytes: &[u8]) -> String {
    let text: Cow<'_, str> = match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, mark)) => encoding.decode_without_bom_handling(&bytes[mark..]).0,
        None => {
            encoding_rs::WINDOWS_1252
                .decode_without_bom_handling(bytes)
                .0
        }
    };
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A text string in a dictionary, unless it is longer than `most` bytes.
pub(super) fn text_entry(dict: &Dict<'_>, key: &str, most: usize) -> Option<String> {
    let value = dict.get::<hayro_syntax::object::String<'_>>(key)?;
    (value.as_bytes().len() <= most).then(|| text_string(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_strings_are_read_in_both_encodings() {
        assert_eq!(text_string(b"\xfe\xff\x4e\x2d\x65\x87"), "中文");
        assert_eq!(text_string(b"caf\xe9"), "café");
    }

    #[test]
    fn characters_are_shown_as_long_as_there_are_any_left() {
        let mut budget = Budget::new(0, 0, 10);
        assert!(budget.show(6) && budget.show(4) && !budget.exhausted());
        assert!(!budget.show(1) && budget.exhausted());
    }
}
