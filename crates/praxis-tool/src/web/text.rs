//! Bytes of a page as text, in whatever encoding it is (Encoding standard, and the HTML standard's "determining the
//! character encoding"). Left out: what the text means.

use encoding_rs::{Encoding, ISO_2022_JP, UTF_8};

/// Bytes that are looked at for a guess, and characters for whether it is a text at all.
const SAMPLE: usize = 1 << 20;

/// Bytes as text: by byte order mark, as UTF-8 where they are that, else as the server says, as the page itself says,
/// or as its statistics suggest. None for what is no text. A character that was cut at the end is left out.
pub(crate) fn decode(content_type: &str, bytes: &[u8], html: bool) -> Option<String> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return checked(&encoding.decode_without_bom_handling(&bytes[mark..]).0);
    }
    if bytes[..bytes.len().min(SAMPLE)].contains(&0) {
        return None;
    }
    let of_page = || {
        html.then(|| praxis_sources::html::declared(bytes))
            .flatten()
    };
    let told = label(content_type).or_else(of_page);
    if let Some(text) = utf8(bytes)
        && told != Some(ISO_2022_JP)
    {
        return checked(text);
    }
    let encoding = told.filter(|told| *told != UTF_8).unwrap_or_else(|| {
        let sample = &bytes[..bytes.len().min(SAMPLE)];
        let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
        detector.feed(sample, sample.len() == bytes.len());
        detector.guess(None, chardetng::Utf8Detection::Allow)
    });
    checked(&encoding.decode_without_bom_handling(bytes).0)
}

/// Bytes as UTF-8, but for a character that was cut at their end.
fn utf8(bytes: &[u8]) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

/// The encoding that a `Content-Type` names.
fn label(content_type: &str) -> Option<&'static Encoding> {
    let label = content_type.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let is_charset = key.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"'))
    })?;
    Encoding::for_label(label.as_bytes())
}

/// A text, unless it has more characters that nobody writes than any text.
fn checked(text: &str) -> Option<String> {
    let (mut odd, mut all) = (0_usize, 0_usize);
    for c in text.chars().take(SAMPLE) {
        let control = c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}');
        odd += usize::from(control || c == '\u{fffd}');
        all += 1;
    }
    (odd * 20 <= all).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_in_their_encoding() {
        let weather = "今天天气晴朗，气温二十一度。明天有雨，请带伞出门。".repeat(3);
        let (gbk, _, _) = encoding_rs::GBK.encode(&weather);
        let (latin, _, _) = encoding_rs::WINDOWS_1252.encode("Café à côté, déjà vu: été");
        let declared = [b"<meta charset=gbk>".as_slice(), gbk.as_ref()].concat();
        for (kind, bytes, html, part) in [
            ("text/html", "天气".as_bytes(), true, Some("天气")),
            ("text/html; charset=gbk", gbk.as_ref(), true, Some("天气")),
            (
                "text/html; Charset=\"GBK\"",
                gbk.as_ref(),
                true,
                Some("天气"),
            ),
            ("text/html", declared.as_slice(), true, Some("天气")),
            // Neither the server nor the page tells.
            ("text/plain", gbk.as_ref(), false, Some("天气")),
            (
                "text/plain; charset=iso-8859-1",
                latin.as_ref(),
                false,
                Some("déjà"),
            ),
            // What is UTF-8 is that, whatever is said.
            (
                "text/html; charset=iso-8859-1",
                "天气".as_bytes(),
                true,
                Some("天气"),
            ),
            ("text/html", b"\xef\xbb\xbfmark", true, Some("mark")),
            ("text/html", b"\xff\xfem\x00a\x00", true, Some("ma")),
            // Cut in a character.
            ("text/plain", &"a天".as_bytes()[..3], false, Some("a")),
            ("text/plain", b"PNG\x00\x00\x01", false, None),
            ("text/plain", b"\x01\x02\x03\x04\x05\x06", false, None),
        ] {
            let text = decode(kind, bytes, html);
            match part {
                Some(part) => assert!(text.is_some_and(|t| t.contains(part)), "{kind} {part}"),
                None => assert_eq!(text, None, "{kind}"),
            }
        }
    }
}
