//! Streams of a PDF, unpacked within bounds: a small file may unpack to more than memory holds.
//! Left out: images, and filters that no text is packed with.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, ZlibDecoder};
use hayro_syntax::Filter;
use hayro_syntax::object::{Dict, Stream};

use super::LoadError;

/// Packed bytes of the old filters whose expansion cannot be measured ahead.
const UNMEASURED: usize = 256 << 10;

/// Bytes that may still be unpacked for one document.
pub(super) struct Budget {
    left: u64,
    /// Whether something was left out because of it.
    exhausted: bool,
}

impl Budget {
    /// A budget of that many bytes.
    pub fn new(bytes: u64) -> Self {
        Self {
            left: bytes,
            exhausted: false,
        }
    }

    /// Whether the document holds more than was allowed to be unpacked.
    pub fn exhausted(&self) -> bool {
        self.exhausted
    }

    /// The content of a stream; none if it is an image, is damaged from its first byte on, or is over
    /// the budget.
    pub fn decode(&mut self, stream: &Stream<'_>) -> Option<Vec<u8>> {
        let filters = stream.filters();
        let plain = !stream.dict().contains_key("DecodeParms") && !stream.dict().contains_key("DP");
        let raw = stream.raw_data();
        let data = match filters.as_slice() {
            [] => raw.into_owned(),
            [Filter::FlateDecode] => {
                let data = self.inflate(&raw)?;
                if plain || data.len() as u64 > self.left {
                    data
                } else {
                    // A predictor is undone by the library, now that the size is known.
                    stream.decoded_data().ok()?.into_owned()
                }
            }
            [Filter::Ascii85Decode, Filter::FlateDecode] if plain => {
                self.inflate(&ascii85(&raw))?
            }
            filters => {
                let unpacking = filters
                    .iter()
                    .filter(|f| !matches!(f, Filter::AsciiHexDecode | Filter::Ascii85Decode))
                    .count();
                if unpacking > 1 || raw.len() > UNMEASURED {
                    self.exhausted |= unpacking == 1;
                    return None;
                }
                stream.decoded_data().ok()?.into_owned()
            }
        };
        self.spend(data.len() as u64).then_some(data)
    }

    fn spend(&mut self, bytes: u64) -> bool {
        let enough = bytes <= self.left;
        self.exhausted |= !enough;
        self.left = self.left.saturating_sub(bytes);
        enough
    }

    /// What zlib data unpacks to: as much of it as is sound, for a page cut short is still of use.
    fn inflate(&self, packed: &[u8]) -> Option<Vec<u8>> {
        let whole = |reader: &mut dyn Read| {
            let mut data = Vec::new();
            let _ = reader.take(self.left + 1).read_to_end(&mut data);
            data
        };
        let mut data = whole(&mut ZlibDecoder::new(packed));
        if data.is_empty() {
            data = whole(&mut DeflateDecoder::new(packed));
        }
        (!data.is_empty() || packed.is_empty()).then_some(data)
    }
}

/// Refuses a file whose object streams, which are unpacked as soon as it is opened, are over a limit.
///
/// # Errors
/// [`LoadError::TooLarge`].
pub(super) fn check_object_streams(file: &[u8], limit: u64) -> Result<(), LoadError> {
    let mut total = 0u64;
    for at in memchr::memmem::find_iter(file, b"stream") {
        let start = at + b"stream".len();
        if file[..at].ends_with(b"end") {
            continue;
        }
        let dictionary = &file[at.saturating_sub(600)..at];
        let dictionary = memchr::memmem::rfind(dictionary, b" obj")
            .map_or(dictionary, |begin| &dictionary[begin..]);
        let has = |key: &[u8]| memchr::memmem::find_iter(dictionary, key).count();
        if has(b"/ObjStm") + has(b"/XRef") == 0 {
            continue;
        }
        let skip = file[start..]
            .iter()
            .take(2)
            .take_while(|b| b.is_ascii_whitespace())
            .count();
        let left = limit.saturating_sub(total);
        let mut reader = ZlibDecoder::new(&file[start + skip..]).take(left + 1);
        total += copied(&mut reader);
        if total > limit || has(b"/FlateDecode") > 1 {
            return Err(LoadError::TooLarge {
                size: total.max(limit + 1),
                limit,
            });
        }
    }
    Ok(())
}

/// Bytes that a reader gives before its end or an error.
fn copied(reader: &mut impl Read) -> u64 {
    let mut buffer = [0u8; 16 << 10];
    let mut total = 0;
    while let Ok(some @ 1..) = reader.read(&mut buffer) {
        total += some as u64;
    }
    total
}

fn ascii85(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 5 * 4);
    let (mut group, mut filled) = (0u32, 0usize);
    for byte in text {
        match byte {
            b'z' if filled == 0 => bytes.extend([0; 4]),
            b'!'..=b'u' => {
                group = group.wrapping_mul(85).wrapping_add(u32::from(byte - b'!'));
                filled += 1;
                if filled == 5 {
                    bytes.extend(group.to_be_bytes());
                    (group, filled) = (0, 0);
                }
            }
            b'~' => break,
            _ => {}
        }
    }
    if filled > 1 {
        for _ in filled..5 {
            group = group.wrapping_mul(85).wrapping_add(84);
        }
        bytes.extend(&group.to_be_bytes()[..filled - 1]);
    }
    bytes
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

/// A text string in a dictionary.
pub(super) fn text_entry(dict: &Dict<'_>, key: &str) -> Option<String> {
    let value = dict.get::<hayro_syntax::object::String<'_>>(key)?;
    Some(text_string(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii85_is_undone() {
        assert_eq!(ascii85(b"87cURD]i,\"Ebo80~>"), b"Hello World!");
        assert_eq!(ascii85(b"87cUR DZ~>"), b"Hello");
        assert_eq!(ascii85(b"z~>"), [0; 4]);
        assert!(ascii85(b"!").is_empty());
    }

    #[test]
    fn text_strings_are_read_in_both_encodings() {
        assert_eq!(text_string(b"\xfe\xff\x4e\x2d\x65\x87"), "中文");
        assert_eq!(text_string(b"caf\xe9"), "café");
    }
}
