//! How deep arrays and dictionaries lie in each other. A parser tries each opening anew after one that it gave up at
//! its own limit, which takes a hostile file of a few megabytes minutes: so a file whose dictionaries nest deeper than
//! any document's is refused, and a page's content ends where it does. Left out: whether it is right in any other way.

/// Deeper than this nothing is meant. Pictures inside of content are bytes of any kind, in which openings come up by
/// chance, and chance does not reach so deep.
const MOST: usize = 400;

/// Whether dictionaries of a file nest too deep. Only openings with a key behind them count: others no parser follows,
/// and they are common in what is no dictionary, such as source code in an attachment.
pub(super) fn is_abyss(file: &[u8]) -> bool {
    let (mut depth, mut at) = (0usize, 0usize);
    while let Some(pair) = file.get(at..at + 2) {
        match pair {
            b"<<" => {
                let rest = file.get(at + 2..).unwrap_or_default();
                let key = rest.iter().find(|b| !b.is_ascii_whitespace());
                depth += usize::from(key == Some(&b'/'));
                at += 2;
            }
            b">>" => {
                depth = depth.saturating_sub(1);
                at += 2;
            }
            _ => at += 1,
        }
        if depth > MOST {
            return true;
        }
    }
    false
}

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
    fn a_file_of_dictionaries_within_dictionaries_is_told() {
        for (file, deep) in [
            (String::new(), false),
            ("<</A <</B 1>> /C <</D 2>>>>".repeat(10_000), false),
            ("std::cout << a << b;\n".repeat(10_000), false),
            ("<<".repeat(10_000), false),
            ("<</A ".repeat(MOST), false),
            ("<</A ".repeat(MOST + 1), true),
            ("<< \n/A 1 /B [2]".repeat(MOST + 1), true),
        ] {
            let begins: String = file.chars().take(20).collect();
            assert_eq!(is_abyss(file.as_bytes()), deep, "{begins}");
        }
    }

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
