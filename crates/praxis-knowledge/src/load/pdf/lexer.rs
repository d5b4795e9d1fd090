//! Where the objects of a PDF end: names, strings, arrays, dictionaries, and the white space and comments between them.
//! As lenient as hayro-syntax, which reads the file after this, so that nothing is passed over that it finds; and with
//! fuel, so that bytes which lie in many objects are not walked through without end. Left out: what objects mean, but
//! for the few entries of dictionaries that tell how a stream is packed.

use std::borrow::Cow;

/// Objects inside each other that are followed; hayro-syntax follows 512.
const DEEPEST: usize = 520;

/// Entries of dictionaries that are looked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    BitsPerComponent,
    Colors,
    Columns,
    DecodeParms,
    /// `DecodeParms`, for short.
    Dp,
    EarlyChange,
    Encrypt,
    /// `Filter`, for short.
    F,
    Filter,
    Id,
    Index,
    Length,
    N,
    Predictor,
    Root,
    Size,
    Type,
    W,
}

/// Their names, in the same order.
const NAMES: [&[u8]; 18] = [
    b"BitsPerComponent",
    b"Colors",
    b"Columns",
    b"DecodeParms",
    b"DP",
    b"EarlyChange",
    b"Encrypt",
    b"F",
    b"Filter",
    b"ID",
    b"Index",
    b"Length",
    b"N",
    b"Predictor",
    b"Root",
    b"Size",
    b"Type",
    b"W",
];

/// A dictionary.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    /// The place after it.
    pub end: usize,
    /// Where the values begin of what is looked for.
    values: [Option<usize>; NAMES.len()],
}

impl Dictionary {
    /// Where the value of an entry begins; of one that is there twice, the last.
    pub fn get(&self, key: Key) -> Option<usize> {
        self.values[key as usize]
    }
}

/// A file that is walked through, and the bytes that may still be.
pub(super) struct Lexer<'a> {
    file: &'a [u8],
    fuel: u64,
}

impl<'a> Lexer<'a> {
    /// A walk of at most so many bytes.
    pub fn new(file: &'a [u8], fuel: u64) -> Self {
        Self { file, fuel }
    }

    /// Whether no more bytes may be walked through.
    pub fn is_spent(&self) -> bool {
        self.fuel == 0
    }

    /// Takes fuel for bytes; `None` where there is none left.
    pub fn spend(&mut self, bytes: usize) -> Option<()> {
        self.fuel = self.fuel.saturating_sub(bytes as u64);
        (self.fuel > 0).then_some(())
    }

    /// A byte.
    pub fn byte(&self, at: usize) -> Option<u8> {
        self.file.get(at).copied()
    }

    /// Whether the bytes from a place on begin so.
    pub fn begins(&self, at: usize, with: &[u8]) -> bool {
        rest(self.file, at).starts_with(with)
    }

    /// The place after white space and comments.
    pub fn space(&mut self, begin: usize) -> Option<usize> {
        let at = blank_end(self.file, begin);
        self.spend(at - begin + 1)?;
        Some(at)
    }

    /// The place after an object. References are numbers and a word here, which end where they end.
    pub fn object(&mut self, at: usize, depth: usize) -> Option<usize> {
        let end = match self.byte(at)? {
            b'<' if self.byte(at + 1) == Some(b'<') => {
                return self.dictionary(at, depth).map(|dictionary| dictionary.end);
            }
            b'[' => return self.array(at, depth),
            b'(' => return self.string(at),
            b'<' => return self.hexadecimal(at),
            b'/' => regular_end(self.file, at + 1),
            _ => regular_end(self.file, at),
        };
        self.spend(end - at)?;
        (end > at).then_some(end)
    }

    /// The dictionary that begins at a place.
    pub fn dictionary(&mut self, at: usize, depth: usize) -> Option<Dictionary> {
        if depth >= DEEPEST {
            return None;
        }
        let mut dictionary = Dictionary::default();
        let mut at = at + 2;
        loop {
            at = self.space(at)?;
            if self.begins(at, b">>") {
                dictionary.end = at + 2;
                return Some(dictionary);
            }
            if self.byte(at)? == b'/' {
                let end = regular_end(self.file, at + 1);
                self.spend(end - at)?;
                let value = self.space(end)?;
                let name = unescaped(self.file.get(at + 1..end)?);
                if let Some(key) = NAMES.iter().position(|known| **known == *name) {
                    dictionary.values[key] = Some(value);
                }
                at = value;
            }
            // Something else in place of a key is passed over.
            at = self.object(at, depth + 1)?;
        }
    }

    fn array(&mut self, at: usize, depth: usize) -> Option<usize> {
        if depth >= DEEPEST {
            return None;
        }
        let mut at = at + 1;
        loop {
            at = self.space(at)?;
            if self.byte(at)? == b']' {
                return Some(at + 1);
            }
            at = self.object(at, depth + 1)?;
        }
    }

    fn string(&mut self, begin: usize) -> Option<usize> {
        let (mut at, mut open) = (begin + 1, 1usize);
        while open > 0 {
            let Some(next) = memchr::memchr3(b'\\', b'(', b')', rest(self.file, at)) else {
                self.spend(self.file.len() - begin)?;
                return None;
            };
            at += next + 1;
            match self.file[at - 1] {
                b'\\' => at += 1,
                b'(' => open += 1,
                _ => open -= 1,
            }
        }
        self.spend(at - begin)?;
        Some(at)
    }

    fn hexadecimal(&mut self, begin: usize) -> Option<usize> {
        let digits = rest(self.file, begin + 1).iter();
        let length = digits
            .take_while(|byte| byte.is_ascii_hexdigit() || is_space(**byte))
            .count();
        self.spend(length + 1)?;
        let end = begin + 1 + length;
        (self.byte(end)? == b'>').then_some(end + 1)
    }

    /// The number at a place, and the place after it: a whole one, or the whole part of one.
    pub fn number(&self, at: usize) -> Option<(u64, usize)> {
        let begin = at + usize::from(self.byte(at) == Some(b'+'));
        let digits = digits(rest(self.file, begin));
        let mut end = begin + digits;
        let text = std::str::from_utf8(self.file.get(begin..end)?).ok()?;
        let number = text.parse().ok()?;
        if self.byte(end) == Some(b'.') {
            end += 1;
            end += self::digits(rest(self.file, end));
        }
        Some((number, end))
    }

    /// The object that a value refers to, if it is a reference, or looks like one.
    pub fn reference(&mut self, at: usize) -> Option<u64> {
        let (number, end) = self.number(at)?;
        let next = self.space(end)?;
        let (_, end) = self.number(next)?;
        let next = self.space(end)?;
        (self.byte(next)? == b'R').then_some(number)
    }

    /// The name at a place, and the place after it.
    pub fn name(&self, at: usize) -> Option<(Cow<'a, [u8]>, usize)> {
        if self.byte(at)? != b'/' {
            return None;
        }
        let end = regular_end(self.file, at + 1);
        Some((unescaped(self.file.get(at + 1..end)?), end))
    }
}

/// The bytes from a place on.
fn rest(file: &[u8], at: usize) -> &[u8] {
    file.get(at..).unwrap_or_default()
}

fn digits(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

/// The end of the line that a place is on.
pub(super) fn line_end(file: &[u8], at: usize) -> usize {
    memchr::memchr2(b'\n', b'\r', rest(file, at)).map_or(file.len(), |length| at + length)
}

/// The end of the white space and comments from a place on.
pub(super) fn blank_end(file: &[u8], begin: usize) -> usize {
    let mut at = begin;
    while let Some(byte) = file.get(at) {
        at = match byte {
            b'%' => line_end(file, at),
            byte if is_space(*byte) => at + 1,
            _ => break,
        };
    }
    at
}

/// The end of the characters of a name or a word.
pub(super) fn regular_end(file: &[u8], at: usize) -> usize {
    let length = rest(file, at).iter().take_while(|byte| is_regular(**byte));
    at + length.count()
}

/// White space, as PDF has it.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

/// What is neither white space nor begins or ends an object.
pub(super) fn is_regular(byte: u8) -> bool {
    !is_space(byte)
        && !matches!(
            byte,
            b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%'
        )
}

/// A name or a word with its escapes undone: `#46` is `F`.
pub(super) fn unescaped(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.contains(&b'#') {
        return Cow::Borrowed(name);
    }
    let mut out = Vec::with_capacity(name.len());
    let mut at = 0;
    while let Some(byte) = name.get(at) {
        let hex = name.get(at + 1..at + 3).filter(|_| *byte == b'#');
        let hex = hex.filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let code = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(code.unwrap_or(*byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexer(file: &str) -> Lexer<'_> {
        Lexer::new(file.as_bytes(), 1 << 20)
    }

    #[test]
    fn objects_end_where_hayro_ends_them() {
        for (file, end) in [
            ("/Name ", Some(5)),
            ("12 0 R", Some(2)),
            ("(a(b)\\)c) d", Some(9)),
            ("(a", None),
            ("(a\\", None),
            ("<41 42> x", Some(7)),
            ("<4G>", None),
            ("[1 [2] (]) % ]\n 3]x", Some(18)),
            ("[1", None),
            ("<</A 1 0 R/B<</C[/D]>>>>x", Some(24)),
            ("<<1 2/A>>", None),
            ("<</A 1", None),
            ("]", None),
            ("", None),
        ] {
            assert_eq!(lexer(file).object(0, 0), end, "{file}");
        }
    }

    #[test]
    fn entries_are_found_however_their_names_are_written() {
        let file = "<< /F#69lter /A /X (/Length 1) % /W [1]\n /Length 7 /Length 12.5 >>";
        let mut lexer = lexer(file);
        let dictionary = lexer.dictionary(0, 0).unwrap();
        assert_eq!(dictionary.end, file.len());
        let filter = dictionary.get(Key::Filter).unwrap();
        assert_eq!(&*lexer.name(filter).unwrap().0, b"A");
        let length = dictionary.get(Key::Length).unwrap();
        assert_eq!(lexer.number(length), Some((12, length + 4)));
        assert!(dictionary.get(Key::W).is_none());
        // The names are in the order of the keys.
        for (key, name) in [(Key::BitsPerComponent, "BitsPerComponent"), (Key::W, "W")] {
            assert_eq!(NAMES[key as usize], name.as_bytes());
        }
    }

    #[test]
    fn references_are_told_from_numbers() {
        for (value, number) in [
            ("12 0 R", Some(12)),
            ("12 %c\n 0 R", Some(12)),
            ("12 0", None),
            ("12", None),
            ("/R", None),
        ] {
            assert_eq!(lexer(value).reference(0), number, "{value}");
        }
    }

    #[test]
    fn a_walk_ends_with_its_fuel() {
        let file = "1 0 obj(".repeat(1000);
        let mut lexer = Lexer::new(file.as_bytes(), 100_000);
        let begins = memchr::memchr_iter(b'(', file.as_bytes());
        let walked = begins.take_while(|at| {
            assert_eq!(lexer.object(*at, 0), None);
            !lexer.is_spent()
        });
        assert!(walked.count() < 20);
    }
}
