//! A page's content without the pictures that stand in it, as stretches between them. hayro-syntax looks for the end of a
//! picture by reading what follows as content, in which the next picture begins, and so on: some hundred kilobytes of
//! pictures that do not end would overflow the stack. Content also ends where arrays and dictionaries nest too deep.
//! Left out: what the operators of a stretch do.

use super::lexer::{is_regular, is_space, line_end, regular_end, unescaped};
use super::nesting::MOST;

/// Bytes behind the end of a picture that have to be text: the data of a picture has `EI` in it by chance.
const LOOK_AHEAD: usize = 16;

/// The content between pictures, from the first byte on.
pub(super) struct Stretches<'a> {
    content: &'a [u8],
    at: usize,
    /// Pictures so far.
    pub pictures: usize,
    /// Whether the content went on to its end so far.
    pub whole: bool,
}

impl<'a> Stretches<'a> {
    pub fn new(content: &'a [u8]) -> Self {
        Self {
            content,
            at: 0,
            pictures: 0,
            whole: true,
        }
    }

    /// Passes over a picture whose `BI` is behind, and over all that follows if it has no data or no end; whether it has.
    fn picture(&mut self) -> bool {
        let end = self.data().and_then(|data| {
            let rest = self.content.get(data..)?;
            let mut ends = memchr::memmem::find_iter(rest, b"EI").map(|end| data + end);
            ends.find(|end| self.is_end(*end))
        });
        self.at = end.map_or(self.content.len(), |end| end + 2);
        end.is_some()
    }

    /// Where the data of a picture begins: behind `ID` and a space, which follow on its properties.
    fn data(&self) -> Option<usize> {
        let mut at = self.at;
        loop {
            let byte = *self.content.get(at)?;
            at = match byte {
                b'(' => string_end(self.content, at),
                b'%' => line_end(self.content, at),
                b'/' => regular_end(self.content, at + 1),
                byte if is_regular(byte) => {
                    let end = regular_end(self.content, at);
                    if self.content.get(at..end) == Some(b"ID") {
                        return Some(end + 1);
                    }
                    end
                }
                _ => at + 1,
            };
        }
    }

    /// Whether `EI` at a place ends a picture: a word by itself, before text. Behind data in letters there is a mark or
    /// a space; some programs put none behind other data.
    fn is_end(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|at| self.content.get(at));
        let after = self.content.get(at + 2..).unwrap_or_default();
        let is_text = |byte: &u8| byte.is_ascii_graphic() || is_space(*byte);
        before.is_some_and(|byte| *byte == b'>' || !byte.is_ascii_graphic())
            && after.first().is_none_or(|byte| !is_regular(*byte))
            && after.iter().take(LOOK_AHEAD).all(is_text)
    }
}

impl<'a> Iterator for Stretches<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let begin = self.at;
        let mut depth = 0usize;
        while let Some(byte) = self.content.get(self.at) {
            let at = self.at;
            let doubled = self.content.get(at + 1) == Some(byte);
            self.at = match byte {
                b'(' => string_end(self.content, at),
                b'%' => line_end(self.content, at),
                b'/' => regular_end(self.content, at + 1),
                b'<' | b'>' if doubled => at + 2,
                byte if is_regular(*byte) => regular_end(self.content, at),
                _ => at + 1,
            };
            match byte {
                b'[' => depth += 1,
                b'<' if doubled => depth += 1,
                b']' => depth = depth.saturating_sub(1),
                b'>' if doubled => depth = depth.saturating_sub(1),
                b'B' | b'#' | b'+' | b'-' | b'.'
                    if depth == 0 && begins_picture(&self.content[at..self.at]) =>
                {
                    self.pictures += 1;
                    self.whole &= self.picture();
                    return Some(&self.content[begin..at]);
                }
                _ => {}
            }
            if depth > MOST {
                self.at = self.content.len();
                self.whole = false;
                return Some(&self.content[begin..at]);
            }
        }
        (begin < self.at).then(|| &self.content[begin..self.at.min(self.content.len())])
    }
}

/// Whether a word is the operator that begins a picture. A sign or a point before it is a number to hayro-syntax.
fn begins_picture(word: &[u8]) -> bool {
    let signs = word
        .iter()
        .take_while(|byte| matches!(byte, b'+' | b'-' | b'.'));
    let word = &word[signs.count()..];
    // Each of its characters may be an escape.
    word.len() <= 6 && *unescaped(word) == *b"BI"
}

/// The end of the string that begins at a place.
fn string_end(content: &[u8], begin: usize) -> usize {
    let (mut at, mut open) = (begin + 1, 1usize);
    while open > 0 {
        let rest = content.get(at..).unwrap_or_default();
        let Some(next) = memchr::memchr3(b'\\', b'(', b')', rest) else {
            return content.len();
        };
        at += next + 1;
        match content[at - 1] {
            b'\\' => at += 1,
            b'(' => open += 1,
            _ => open -= 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_passed_over() {
        for (content, expected, pictures) in [
            (
                &b"q 1 0 0 1 0 0 cm Q"[..],
                &[&b"q 1 0 0 1 0 0 cm Q"[..]][..],
                0,
            ),
            (
                b"q BI /W 1 /H 1 ID \x80EI\xff EI Q (BI) Tj",
                &[b"q ", b" Q (BI) Tj"],
                1,
            ),
            (b"q B#49/F(ID)/X[/ID]ID x\nEI\n", &[b"q ", b"\n"], 1),
            (b"-BI ID x EI Q", &[b"", b" Q"], 1),
            (
                b"/BI [BI] <</A BI>> BDC BIG",
                &[b"/BI [BI] <</A BI>> BDC BIG"],
                0,
            ),
            (b"BI ID x EI BI ID y EI BT", &[b"", b" ", b" BT"], 2),
            (b"% BI\nq", &[b"% BI\nq"], 0),
        ] {
            let mut stretches = Stretches::new(content);
            let all: Vec<&[u8]> = stretches.by_ref().collect();
            assert_eq!(all, expected, "{}", content.escape_ascii());
            assert_eq!((stretches.pictures, stretches.whole), (pictures, true));
        }
    }

    #[test]
    fn content_ends_with_a_picture_that_does_not() {
        for content in [&b"q BI ID x EI\x80 Q"[..], b"q BI /W 1 Q", b"q BI ID xEI Q"] {
            let mut stretches = Stretches::new(content);
            assert_eq!(stretches.by_ref().next(), Some(&b"q "[..]));
            assert_eq!(stretches.next(), None, "{}", content.escape_ascii());
            assert!(!stretches.whole);
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
            let mut stretches = Stretches::new(content.as_bytes());
            let kept: usize = stretches.by_ref().map(<[u8]>::len).sum();
            let begins: String = content.chars().take(20).collect();
            assert_eq!(stretches.whole, whole, "{begins}");
            assert_eq!(kept == content.len(), whole, "{begins}");
        }
    }
}
