//! How deep arrays and dictionaries of a content stream lie in each other. A parser tries each opening anew after one
//! that it gave up at its own limit, which takes a hostile page of a few megabytes minutes: so content ends where it
//! nests deeper than any page does. Left out: whether it is right in any other way.

/// Deeper than this nothing is meant. Pictures inside of content are bytes of any kind, in which openings come up by
/// chance, and chance does not reach so deep.
const MOST: usize = 400;

/// The beginning of the content that nests no deeper, and whether it is all of it.
pub(super) fn shallow(content: &[u8]) -> (&[u8], bool) {
    let (mut depth, mut strings, mut at) = (0usize, 0usize, 0usize);
    while let Some(byte) = content.get(at) {
        let doubled = content.get(at + 1) == Some(byte);
        match byte {
            // An escaped character is none of these.
            b'\\' if strings > 0 => at += 1,
            b'(' => strings += 1,
            b')' => strings = strings.saturating_sub(1),
            _ if strings > 0 => {}
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b'<' if doubled => {
                depth += 1;
                at += 1;
            }
            b'>' if doubled => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ => {}
        }
        if depth > MOST {
            return (&content[..at.min(content.len())], false);
        }
        at += 1;
    }
    (content, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ends_where_it_nests_too_deep() {
        for (content, whole) in [
            (String::new(), true),
            ("BT [(a) -20 (b)] TJ ET ".repeat(10_000), true),
            ("/P <</MCID 0 /B [1 2]>> BDC EMC ".repeat(10_000), true),
            // What is in a string opens nothing, and neither does a hexadecimal string.
            (format!("({}) Tj", "<<[".repeat(1_000)), true),
            (format!("({}) Tj", r"\)\(".repeat(1_000)), true),
            ("<6162> Tj ".repeat(1_000), true),
            ("[".repeat(MOST), true),
            ("[".repeat(MOST + 1), false),
            ("/A ".to_owned() + &"<</B ".repeat(MOST + 1) + "BDC", false),
            ("[<<".repeat(MOST), false),
            ("(".repeat(1_000_000), true),
        ] {
            let (kept, all) = shallow(content.as_bytes());
            let begins: String = content.chars().take(20).collect();
            assert_eq!(all, whole, "{begins}");
            assert_eq!(kept.len() == content.len(), whole, "{begins}");
        }
    }
}
