//! Plain text in any encoding.

use std::borrow::Cow;

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE};

use super::LoadError;
use crate::document::{BlockKind, Builder, LoadedDocument};

/// Bytes looked at to guess an encoding.
const SAMPLE: usize = 1 << 20;

/// Bytes as text: by byte order mark, as UTF-8, else by what its statistics suggest (chardetng, the
/// detector of Firefox).
///
/// # Errors
/// [`LoadError::Unsupported`] for what looks like binary data.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, LoadError> {
    let binary = || LoadError::Unsupported("binary data, not text".to_owned());
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        return Ok(encoding.decode_without_bom_handling(&bytes[mark..]).0);
    }
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let zeros = sample.iter().filter(|b| **b == 0).count();
    if zeros > 0 {
        // UTF-16 without a mark has zeros in every other place only.
        let odd = sample
            .iter()
            .skip(1)
            .step_by(2)
            .filter(|b| **b == 0)
            .count();
        let encoding = match (odd, zeros - odd) {
            (n, 0) if n * 5 > sample.len() => UTF_16LE,
            (0, n) if n * 5 > sample.len() => UTF_16BE,
            _ => return Err(binary()),
        };
        return Ok(encoding.decode_without_bom_handling(bytes).0);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return if is_noise(text) {
            Err(binary())
        } else {
            Ok(Cow::Borrowed(text))
        };
    }
    // A UTF-8 text with a few bad bytes is still UTF-8.
    let lossy = String::from_utf8_lossy(bytes);
    let bad = lossy.matches('\u{fffd}').count();
    let wide = lossy
        .chars()
        .filter(|c| !c.is_ascii() && *c != '\u{fffd}')
        .count();
    if bad * 10 <= wide || (wide > 0 && bad * 1000 <= lossy.len()) {
        return Ok(lossy);
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(sample, sample.len() == bytes.len());
    let encoding = detector.guess(None, chardetng::Utf8Detection::Allow);
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    if is_noise(&text) || (encoding == UTF_8 && bad * 20 > lossy.chars().count()) {
        return Err(binary());
    }
    Ok(text)
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

/// Paragraphs at blank lines; a text without any has one paragraph a line.
pub(super) fn load(text: &str, name: &str) -> LoadedDocument {
    let mut builder = Builder::default();
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let blank = text.lines().any(|l| l.trim().is_empty()) && text.trim().contains("\n\n");
    if blank {
        let mut paragraph = String::new();
        for line in text.lines().chain([""]) {
            if line.trim().is_empty() {
                builder.push(BlockKind::Paragraph, &paragraph, None);
                paragraph.clear();
            } else {
                if !paragraph.is_empty() {
                    paragraph.push('\n');
                }
                paragraph.push_str(line.trim_end());
            }
        }
    } else {
        for line in text.lines() {
            builder.push(BlockKind::Paragraph, line, None);
        }
    }
    builder.finish(None, name)
}
