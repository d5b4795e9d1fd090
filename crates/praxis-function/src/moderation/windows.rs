//! Long texts in pieces that an embedder reads as a whole, cut where sentences end. A text is what its worst piece is.

/// The most characters of a piece: some 150 tokens of English, 450 of Chinese.
pub(crate) const WINDOW: usize = 600;

/// The pieces of a text, trimmed; none where nothing is in it.
pub(crate) fn windows(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.trim().chars().collect();
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < chars.len() {
        let rest = chars.get(start..).unwrap_or_default();
        let length = if rest.len() <= WINDOW {
            rest.len()
        } else {
            cut(rest)
        };
        let piece: String = rest.iter().take(length).collect();
        let piece = piece.trim();
        if !piece.is_empty() {
            pieces.push(piece.to_owned());
        }
        start += length;
    }
    pieces
}

/// The characters of the first piece of a text that is longer: to the last end of a sentence in its second half, else
/// to the last space there, else as many as fit.
fn cut(chars: &[char]) -> usize {
    let mut space = None;
    for length in (WINDOW / 2 + 1..=WINDOW).rev() {
        let (Some(last), next) = (chars.get(length - 1), chars.get(length)) else {
            continue;
        };
        if ends_sentence(*last, next.copied()) {
            return length;
        }
        if space.is_none() && last.is_whitespace() {
            space = Some(length);
        }
    }
    space.unwrap_or(WINDOW)
}

/// Whether a sentence, a clause or a line ends with `last`, which `next` follows.
pub(crate) fn ends_sentence(last: char, next: Option<char>) -> bool {
    match last {
        '。' | '！' | '？' | '!' | '?' | '…' | '；' | ';' | '\n' => true,
        '.' => next.is_none_or(char::is_whitespace),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_end_where_sentences_do() {
        assert!(windows(" \n ").is_empty());
        assert_eq!(windows(" One. Two. "), ["One. Two."]);
        let sentence = format!("{}. ", "word ".repeat(80).trim_end());
        let pieces = windows(&sentence.repeat(4));
        assert_eq!(pieces, vec![sentence.trim().to_owned(); 4]);
        let han = format!("{}。", "字".repeat(350));
        assert_eq!(windows(&han.repeat(3)), vec![han; 3]);
        // Nothing to cut at.
        let long = "x".repeat(WINDOW + 1);
        let lengths: Vec<usize> = windows(&long).iter().map(String::len).collect();
        assert_eq!(lengths, [WINDOW, 1]);
        // The point of a number ends nothing.
        let numbers = "3.14 ".repeat(200);
        assert!(
            windows(&numbers)
                .iter()
                .all(|piece| piece.ends_with("3.14"))
        );
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_long(text in "[a-z。.!\n ]{0,2500}") {
            let pieces = windows(&text);
            let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(bare(&pieces.concat()), bare(&text));
            prop_assert!(pieces.iter().all(|p| !p.is_empty() && p.chars().count() <= WINDOW));
        }
    }
}
