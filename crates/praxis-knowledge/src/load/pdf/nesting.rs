//! How deep arrays and dictionaries lie in each other. A parser tries each opening anew after one that it gave up at
//! its own limit, which takes a hostile file of a few megabytes minutes: so a file whose dictionaries nest deeper than
//! any document's is refused (here), and a page's content ends where it does (`stretches`). Left out: whether it is right
//! in any other way.

use super::LoadError;

/// Deeper than this nothing is meant. Pictures inside of content are bytes of any kind, in which openings come up by
/// chance, and chance does not reach so deep.
pub(super) const MOST: usize = 400;

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

/// The error of such a file.
pub(super) fn too_deep() -> LoadError {
    LoadError::Damaged("its dictionaries nest deeper than any document's".to_owned())
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
}
