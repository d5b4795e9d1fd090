//! Plain text in any encoding.

use std::borrow::Cow;

use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE};

use super::{LoadError, table};
use crate::document::{BlockKind, Builder, LoadedDocument};

/// Bytes looked at to guess an encoding.
const SAMPLE: usize = 1 << 20;

/// Bytes as text.
pub(super) struct Decoded<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// What its owner must know of it, if anything.
    pub note: Option<String>,
}

/// Bytes as text: by byte order mark, as UTF-8, as the page itself declares, else by what its
/// statistics suggest (chardetng, the detector of Firefox). A few bytes that are wrong in UTF-8 become
/// replacement characters, which the note tells.
///
/// # Errors
/// [`LoadError::Unsupported`] for what looks like binary data.
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    declared: Option<&'static Encoding>,
) -> Result<Decoded<'a>, LoadError> {
    let checked = |text: Cow<'a, str>| {
        if is_noise(&text) {
            Err(LoadError::Unsupported("binary data, not text".to_owned()))
        } else {
            Ok(Decoded { text, note: None })
        }
    };
    if let Some(text) = utf32(bytes) {
        return checked(Cow::Owned(text));
    }
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return checked(encoding.decode_without_bom_handling(&bytes[mark..]).0);
    }
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    if sample.contains(&0) {
        let encoding = unmarked_utf16(sample)
            .ok_or_else(|| LoadError::Unsupported("binary data, not text".to_owned()))?;
        return checked(encoding.decode_without_bom_handling(bytes).0);
    }
    // Bytes that happen to be valid UTF-8 are UTF-8, whatever a page declares.
    if let Ok(text) = std::str::from_utf8(bytes) {
        let escapes = declared.filter(|d| *d == ISO_2022_JP);
        return checked(escapes.map_or(Cow::Borrowed(text), |d| {
            d.decode_without_bom_handling(bytes).0
        }));
    }
    if let Some(encoding) = declared.filter(|d| *d != UTF_8) {
        return checked(encoding.decode_without_bom_handling(bytes).0);
    }
    // A UTF-8 text with a few bad bytes is still UTF-8.
    let lossy = String::from_utf8_lossy(bytes);
    let bad = lossy.matches('\u{fffd}').count();
    let wide = lossy
        .chars()
        .filter(|c| !c.is_ascii() && *c != '\u{fffd}')
        .count();
    if bad * 10 <= wide || (wide > 0 && bad * 1000 <= lossy.len()) {
        let note = match bad {
            1 => "its UTF-8 is broken in 1 place, shown as \u{fffd}".to_owned(),
            n => format!("its UTF-8 is broken in {n} places, shown as \u{fffd}"),
        };
        return Ok(Decoded {
            text: lossy,
            note: Some(note),
        });
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(sample, sample.len() == bytes.len());
    let encoding = detector.guess(None, chardetng::Utf8Detection::Allow);
    if encoding == UTF_8 && bad * 20 > lossy.chars().count() {
        return Err(LoadError::Unsupported("binary data, not text".to_owned()));
    }
    checked(encoding.decode_without_bom_handling(bytes).0)
}

/// Text in UTF-32 with its byte order mark.
fn utf32(bytes: &[u8]) -> Option<String> {
    let read: fn([u8; 4]) -> u32 = match bytes.get(..4)? {
        [0xff, 0xfe, 0, 0] => u32::from_le_bytes,
        [0, 0, 0xfe, 0xff] => u32::from_be_bytes,
        _ => return None,
    };
    let units = bytes[4..]
        .chunks(4)
        .map(|four| <[u8; 4]>::try_from(four).map(read));
    Some(
        units
            .map(|unit| unit.ok().and_then(char::from_u32).unwrap_or('\u{fffd}'))
            .collect(),
    )
}

/// UTF-16 without a mark: in Latin script it has zeros in every other place only; in others, one order of
/// its bytes makes characters that people write, and the other does not.
fn unmarked_utf16(sample: &[u8]) -> Option<&'static Encoding> {
    let zeros = |first: usize| {
        sample
            .iter()
            .skip(first)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    match (zeros(1), zeros(0)) {
        (n, 0) if n * 5 > sample.len() => return Some(UTF_16LE),
        (0, n) if n * 5 > sample.len() => return Some(UTF_16BE),
        _ => {}
    }
    let ascii = sample.iter().filter(|b| matches!(b, b' '..=b'~')).count();
    if ascii * 20 > sample.len() * 17 || sample.len() < 16 {
        return None;
    }
    let sample = &sample[..sample.len() & !1];
    [UTF_16LE, UTF_16BE].into_iter().find(|encoding| {
        let (text, _) = encoding.decode_without_bom_handling(sample);
        let (common, all) = text.chars().fold((0usize, 0usize), |(common, all), c| {
            (common + usize::from(is_common(c)), all + 1)
        });
        common * 100 >= all * 97
    })
}

/// Whether a character is of a script that many people write.
fn is_common(c: char) -> bool {
    matches!(c,
        '\n' | '\r' | '\t' | ' '..='~' | '\u{a0}'..='\u{17f}' | '\u{370}'..='\u{52f}'
        | '\u{590}'..='\u{6ff}' | '\u{e00}'..='\u{e7f}' | '\u{2010}'..='\u{2044}'
        | '\u{3000}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{ff00}'..='\u{ffef}')
}

/// Whether a text has more control and replacement characters than any text written by people.
fn is_noise(text: &str) -> bool {
    let (mut odd, mut all) = (0usize, 0usize);
    for c in text.chars().take(SAMPLE) {
        all += 1;
        let control = c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}');
        odd += usize::from(control || c == '\u{fffd}');
    }
    odd * 50 > all
}

/// Paragraphs at blank lines; a text without any has one paragraph a line. Tables are told by their bars.
pub(super) fn load(text: &str, name: &str) -> LoadedDocument {
    let mut builder = Builder::default();
    paragraphs(text, &mut builder);
    builder.finish(None, name)
}

/// Adds the paragraphs and tables of a text.
pub(super) fn paragraphs(text: &str, builder: &mut Builder) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let blank = text.lines().any(|l| l.trim().is_empty()) && text.trim().contains("\n\n");
    let mut paragraph = String::new();
    for piece in table::pieces(&text) {
        if piece.columns.is_some() {
            builder.push(BlockKind::Paragraph, &std::mem::take(&mut paragraph), None);
            builder.push(BlockKind::Table, &table::markdown(piece.lines), None);
            continue;
        }
        for line in piece.lines.lines() {
            if !line.trim().is_empty() {
                if !paragraph.is_empty() {
                    paragraph.push('\n');
                }
                paragraph.push_str(line.trim_end());
            }
            if !blank || line.trim().is_empty() {
                builder.push(BlockKind::Paragraph, &std::mem::take(&mut paragraph), None);
            }
        }
    }
    builder.push(BlockKind::Paragraph, &paragraph, None);
}
