//! Character codes of simple fonts to Unicode, by the encodings that PDF names, the differences that
//! a font lists, and the names of its glyphs. Left out: composite fonts and `ToUnicode` (see `font`).

use std::collections::HashMap;
use std::sync::LazyLock;

use hayro_syntax::object::{Array, Dict, Name, Object, Stream};
use ttf_parser::cff;

use super::streams::Budget;

/// Bytes of a glyph's name, which tells no more characters than there are in a ligature.
const MOST_OF_A_NAME: usize = 128;

/// Bytes of a font program in which its encoding is looked for, which stands before all outlines.
const MOST_OF_CLEAR_TEXT: usize = 1 << 20;

/// The glyph list, by name. Some names stand for two characters.
static GLYPHS: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    include_str!("glyphs.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .filter_map(|entry| {
            let (name, codes) = entry.split_once('=')?;
            let text: Option<String> = codes.split('+').map(from_hex).collect();
            Some((name, text?))
        })
        .collect()
});

/// `StandardEncoding` from 0xA1 to 0xFB; below, it is ASCII with curly quotes.
const STANDARD_HIGH: &str = "¡¢£⁄¥ƒ§¤'“«‹›ﬁﬂ\0–†‡·\0¶•‚„”»…‰\0¿\0`´ˆ˜¯˘˙¨\0˚¸\0˝˛ˇ—\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0Æ\0ª\0\0\0\0ŁØŒº\0\0\0\0\0æ\0\0\0ı\0\0łøœß";

/// The font Symbol from 0x20 to 0xFE; parts of large brackets stand for nothing.
const SYMBOL: &str = " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧ∆ΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_\0αβχδεφγηιϕκλµνοπθρστυϖωξψζ{|}∼\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…\0\0↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑\0\0\0\0\0\0\0\0\0\0\0〉∫⌠\0⌡\0\0\0\0\0\0\0\0\0";

/// What each of the 256 codes of a simple font stands for; empty where that is unknown.
pub(super) struct SimpleEncoding(Vec<String>);

impl SimpleEncoding {
    /// The encoding of a font dictionary. `name` is the font's name.
    pub fn new(font: &Dict<'_>, name: &str, budget: &mut Budget) -> Self {
        let described = font.get::<Object<'_>>("Encoding");
        let (base, differences) = match &described {
            Some(Object::Name(base)) => (Some(base.as_str().to_owned()), None),
            Some(Object::Dict(dict)) => (
                dict.get::<Name<'_>>("BaseEncoding")
                    .map(|n| n.as_str().to_owned()),
                dict.get::<Array<'_>>("Differences"),
            ),
            _ => (None, None),
        };
        let mut table = match base.as_deref() {
            Some("WinAnsiEncoding") => win_ansi(),
            Some("MacRomanEncoding") => single_bytes(encoding_rs::MACINTOSH),
            Some("StandardEncoding") => standard(),
            _ => builtin(font, budget).unwrap_or_else(|| by_font_name(name)),
        };
        if let Some(differences) = differences {
            let mut code = 0usize;
            for item in differences.iter::<Object<'_>>() {
                match item {
                    Object::Number(number) => {
                        code = usize::try_from(number.as_i64()).unwrap_or(256);
                    }
                    Object::Name(glyph) => {
                        if let Some(place) = table.get_mut(code) {
                            *place = glyph_text(glyph.as_str());
                        }
                        code = code.saturating_add(1);
                    }
                    _ => {}
                }
            }
        }
        Self(table)
    }

    /// The text of a code; empty if it is not known.
    pub fn text(&self, code: u8) -> &str {
        self.0.get(usize::from(code)).map_or("", String::as_str)
    }
}

/// What a glyph name stands for, by the glyph list and its rules for names such as `uni4E00`, `u1F600`
/// and `f_i.alt`; empty for a name that says nothing.
pub(super) fn glyph_text(name: &str) -> String {
    let name = Some(name).filter(|name| name.len() <= MOST_OF_A_NAME);
    let base = name.and_then(|name| name.split('.').next());
    let base = base.unwrap_or_default();
    base.split('_').map(component_text).collect()
}

fn component_text(name: &str) -> String {
    if let Some(text) = GLYPHS.get(name) {
        return text.clone();
    }
    let hex = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(digits) = name.strip_prefix("uni").filter(|d| d.len() >= 4 && hex(d)) {
        let units: Vec<u16> = digits
            .as_bytes()
            .chunks_exact(4)
            .filter_map(|four| u16::from_str_radix(std::str::from_utf8(four).ok()?, 16).ok())
            .collect();
        return String::from_utf16_lossy(&units);
    }
    if let Some(digits) = name.strip_prefix('u')
        && (4..=6).contains(&digits.len())
        && hex(digits)
    {
        return from_hex(digits).map(String::from).unwrap_or_default();
    }
    String::new()
}

fn from_hex(digits: &str) -> Option<char> {
    u32::from_str_radix(digits, 16)
        .ok()
        .and_then(char::from_u32)
}

/// Windows-1252, in which every code that is not used is a bullet (ISO 32000-1, table D.2).
fn win_ansi() -> Vec<String> {
    let mut table = single_bytes(encoding_rs::WINDOWS_1252);
    for place in table.iter_mut().skip(0x7f).filter(|t| t.is_empty()) {
        place.push('•');
    }
    table
}

fn single_bytes(encoding: &'static encoding_rs::Encoding) -> Vec<String> {
    (0..=255u8)
        .map(|code| {
            let bytes = [code];
            let (text, _) = encoding.decode_without_bom_handling(&bytes);
            text.chars().filter(|c| !c.is_control()).collect()
        })
        .collect()
}

fn standard() -> Vec<String> {
    let mut table = from_chars(STANDARD_HIGH, 0xa1);
    for code in 0x20..0x7fu8 {
        table[usize::from(code)] = match code {
            b'\'' => '’',
            b'`' => '‘',
            other => char::from(other),
        }
        .to_string();
    }
    table
}

fn from_chars(chars: &str, first: usize) -> Vec<String> {
    let mut table = vec![String::new(); 256];
    for (place, c) in table.iter_mut().skip(first).zip(chars.chars()) {
        if c != '\0' {
            place.push(c);
        }
    }
    table
}

/// The encoding that a font without any has by its name.
fn by_font_name(name: &str) -> Vec<String> {
    if name.contains("Symbol") {
        return from_chars(SYMBOL, 0x20);
    }
    if name.contains("Dingbats") {
        // Ornaments: those that are used as bullets, and nothing for the rest.
        let mut table = vec![String::new(); 256];
        for code in *b"lmnoqrstuvwx" {
            table[usize::from(code)] = "•".to_owned();
        }
        return table;
    }
    standard()
}

/// The encoding inside an embedded font program: of Type 1 in its clear text, of CFF in a table.
fn builtin(font: &Dict<'_>, budget: &mut Budget) -> Option<Vec<String>> {
    let descriptor = font.get::<Dict<'_>>("FontDescriptor")?;
    if let Some(program) = descriptor.get::<Stream<'_>>("FontFile") {
        return type1(&budget.decode(&program)?);
    }
    let program = descriptor.get::<Stream<'_>>("FontFile3")?;
    let data = budget.decode(&program)?;
    let table = cff::Table::parse(&data)?;
    let texts = (0..=255u8).map(|code| {
        let glyph = table.glyph_index(code).filter(|g| g.0 != 0);
        glyph
            .and_then(|g| table.glyph_name(g))
            .map(glyph_text)
            .unwrap_or_default()
    });
    Some(texts.collect())
}

/// Entries like `dup 65 /A put` of a Type 1 font's `/Encoding`.
fn type1(data: &[u8]) -> Option<Vec<String>> {
    let data = &data[..data.len().min(MOST_OF_CLEAR_TEXT)];
    let end = memchr::memmem::find(data, b"eexec").unwrap_or(data.len());
    let clear = String::from_utf8_lossy(&data[..end]);
    let (_, encoding) = clear.split_once("/Encoding")?;
    if encoding.trim_start().starts_with("StandardEncoding") {
        return Some(standard());
    }
    let mut table = vec![String::new(); 256];
    let mut words = encoding.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "def" | "readonly" => break,
            "dup" => {}
            _ => continue,
        }
        // The loop that fills the table with `.notdef` has a `dup` of its own, without a number.
        let Some(code) = words.next().and_then(|w| w.parse::<usize>().ok()) else {
            continue;
        };
        if let (Some(name), Some(place)) = (
            words.next().and_then(|w| w.strip_prefix('/')),
            table.get_mut(code),
        ) {
            *place = glyph_text(name);
        }
    }
    table.iter().any(|t| !t.is_empty()).then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyph_names_are_read_by_the_rules_of_the_glyph_list() {
        for (name, text) in [
            ("A", "A"),
            ("eacute", "é"),
            ("fi", "ﬁ"),
            ("f_i", "fi"),
            ("uni4E00", "一"),
            ("uni4E004E8C", "一二"),
            ("u1F600", "😀"),
            ("hyphen.case", "-"),
            ("Asmall", "A"),
            ("g123", ""),
            (".notdef", ""),
            ("uni4E00".repeat(99).as_str(), ""),
        ] {
            assert_eq!(glyph_text(name), text, "{name}");
        }
    }

    #[test]
    fn the_encoding_inside_a_type_1_font_is_read() {
        let program = b"%!PS-AdobeFont-1.0: X\n/Encoding 256 array\n0 1 255 {1 index exch /.notdef put} for\ndup 11 /ff put\ndup 65 /A put\nreadonly def\neexec \x80";
        let table = type1(program).unwrap();
        assert_eq!((table[65].as_str(), table[11].as_str()), ("A", "ﬀ"));
        assert_eq!(table[66], "");
    }

    #[test]
    fn the_standard_encoding_ends_where_its_table_does() {
        let table = standard();
        assert_eq!(table[0xfb], "ß");
        assert_eq!(table[0xe1], "Æ");
        assert_eq!(table[0x27], "’");
        assert_eq!(from_chars(SYMBOL, 0x20)[0x61], "α");
        assert_eq!(from_chars(SYMBOL, 0x20)[0xb7], "•");
    }
}
