//! A PDF font as a reader of text needs it: bytes to characters and widths. Left out: outlines.
//!
//! Characters come from `ToUnicode`, else from the predefined CMaps (their code is Unicode, or leads
//! to one through the character collection), else from the encoding of a simple font, else from the
//! character map of an embedded TrueType font. What none of them knows is counted as unknown.

use std::collections::HashMap;
use std::rc::Rc;

use hayro_cmap::{BfString, CMap, CMapName, CidFamily, WritingMode, load_embedded};
use hayro_syntax::object::{
    Array, Dict, Name, Object, ObjectIdentifier, Stream, String as PdfString,
};
use ttf_parser::cmap::Format;

use super::encoding::SimpleEncoding;
use super::metrics::standard_width;
use super::streams::Budget;

/// Bytes that fonts take in memory before the oldest are forgotten; one of them may take more.
const MOST_OF_FONTS: usize = 64 << 20;

/// Bytes that a font takes, whatever is in it, and its widths, its characters, and what a byte of its CMaps becomes.
const FONT_BYTES: usize = 16 << 10;
const WIDTH_BYTES: usize = 40;
const CHARACTER_BYTES: usize = 24;
const MAP_FACTOR: usize = 8;

/// Bytes of a CMap: one of all characters takes less.
const MOST_OF_A_MAP: usize = 4 << 20;

/// CMaps that one may be based on; each is read anew.
const MOST_BASES: usize = 4;

/// Bytes of a string in a CMap, which is decoded for each character that is shown.
const MOST_OF_A_STRING: usize = 1024;

/// Widths of one font: each of its characters has one, and those of whole ranges may be written over.
const MOST_WIDTHS: usize = 1 << 17;

/// Characters of a font, and bytes of the table that leads to them.
const MOST_CHARACTERS: usize = 1 << 16;
const MOST_OF_GLYPH_IDS: usize = 2 * MOST_CHARACTERS;

/// Tables of an embedded font that are looked at.
const MOST_TABLES: usize = 4;

/// Bytes of the text that one code stands for. Ligatures take a dozen.
const MOST_OF_A_TEXT: usize = 256;

/// Fonts of a document by their object, so that each is read once. Those that are many are forgotten and read again.
#[derive(Default)]
pub(super) struct Fonts {
    known: HashMap<ObjectIdentifier, Rc<Font>>,
    /// Bytes that these take.
    bytes: usize,
    maps: Maps,
}

impl Fonts {
    /// The font of an object, if it was read.
    pub fn get(&self, id: ObjectIdentifier) -> Option<Rc<Font>> {
        self.known.get(&id).cloned()
    }

    /// The font of a dictionary, which is an object's if that is given.
    pub fn read(
        &mut self,
        id: Option<ObjectIdentifier>,
        dict: &Dict<'_>,
        budget: &mut Budget,
    ) -> Rc<Font> {
        let font = Rc::new(Font::new(dict, budget, &mut self.maps));
        if let Some(id) = id {
            if self.bytes > MOST_OF_FONTS {
                self.known.clear();
                self.bytes = 0;
            }
            self.bytes += font.bytes();
            self.known.insert(id, font.clone());
        }
        font
    }
}

/// The CMaps that every reader knows, as far as fonts have named them.
#[derive(Default)]
struct Maps(HashMap<Vec<u8>, Option<Rc<CMap>>>);

impl Maps {
    fn get(&mut self, name: CMapName<'_>) -> Option<Rc<CMap>> {
        if matches!(name, CMapName::Custom(_)) {
            return None;
        }
        let map = self.0.entry(name.to_bytes().to_vec());
        let map = map.or_insert_with(|| match name {
            CMapName::IdentityH => Some(Rc::new(CMap::identity_h())),
            CMapName::IdentityV => Some(Rc::new(CMap::identity_v())),
            name => CMap::parse(load_embedded(name)?, load_embedded).map(Rc::new),
        });
        map.clone()
    }
}

/// A character of a shown string.
pub(super) struct Shown {
    /// Its text: several characters for a ligature, empty where the font does not tell.
    pub text: String,
    /// How far it moves on, in units of the font size; down, in a vertical font.
    pub advance: f64,
    /// Whether it is the code 32 of one byte, which word spacing applies to.
    pub is_space: bool,
    /// What reading it took: 1, and the bytes of its text.
    pub weight: usize,
}

/// A font, ready to decode.
pub(super) struct Font {
    kind: Kind,
    to_unicode: Option<CMap>,
    /// Bytes of the CMaps that it has itself.
    map_bytes: usize,
    widths: HashMap<u32, f64>,
    default_width: Width,
    /// Units of a width to units of the font size: 1/1000, but for Type 3.
    scale: f64,
    name: String,
    /// Whether lines go down the page.
    pub vertical: bool,
    /// Whether its strokes are heavy.
    pub bold: bool,
}

enum Kind {
    Simple(SimpleEncoding),
    Composite(Box<Composite>),
}

struct Composite {
    encoding: Rc<CMap>,
    /// Whether character codes are UTF-16 themselves.
    codes_are_unicode: bool,
    /// Whether codes of one byte are ASCII, as in all the predefined CMaps that have such codes.
    ascii: bool,
    /// Bytes of a code where the encoding does not know it.
    fallback_bytes: usize,
    /// Character identifiers to Unicode.
    collection: Option<Rc<CMap>>,
    /// Glyphs of an embedded TrueType font to Unicode.
    glyphs: HashMap<u32, char>,
}

enum Width {
    Fixed(f64),
    /// A standard font, whose widths are known to every reader.
    Standard,
}

impl Font {
    /// The font of a dictionary. A damaged one gives as much as it can.
    fn new(dict: &Dict<'_>, budget: &mut Budget, maps: &mut Maps) -> Self {
        let name = name(dict, "BaseFont").unwrap_or_default();
        let descendant = dict
            .get::<Array<'_>>("DescendantFonts")
            .and_then(|fonts| fonts.iter::<Dict<'_>>().next());
        let detail = descendant.as_ref().unwrap_or(dict);
        let descriptor = detail.get::<Dict<'_>>("FontDescriptor").unwrap_or_default();
        // Some producers name `Identity-H` here, which says nothing.
        let to_unicode = dict.get::<Stream<'_>>("ToUnicode");
        let to_unicode = to_unicode.and_then(|stream| own_map(&stream, budget));
        let (to_unicode, map_bytes) = to_unicode.unzip();
        let mut font = Self {
            kind: Kind::Simple(SimpleEncoding::new(dict, &name, budget)),
            to_unicode,
            map_bytes: map_bytes.unwrap_or(0),
            widths: HashMap::new(),
            default_width: Width::Fixed(0.0),
            scale: 0.001,
            bold: is_bold(&name, &descriptor),
            vertical: false,
            name,
        };
        match descendant {
            Some(descendant) => {
                font.set_composite(dict, &descendant, &descriptor, budget, maps);
            }
            None => font.set_simple_widths(dict, &descriptor),
        }
        font
    }

    fn set_simple_widths(&mut self, dict: &Dict<'_>, descriptor: &Dict<'_>) {
        let first = dict.get::<u32>("FirstChar").unwrap_or(0);
        if let Some(widths) = dict.get::<Array<'_>>("Widths") {
            for (code, width) in (first..).zip(widths.iter::<f64>()).take(256) {
                self.widths.insert(code, width);
            }
        }
        self.default_width = match descriptor.get::<f64>("MissingWidth") {
            Some(width) if !self.widths.is_empty() => Width::Fixed(width),
            _ if self.widths.is_empty() => Width::Standard,
            _ => Width::Fixed(0.0),
        };
        if name(dict, "Subtype").as_deref() == Some("Type3") {
            let matrix = dict.get::<[f64; 6]>("FontMatrix");
            self.scale = matrix.map_or(0.001, |m| m[0].abs());
        }
    }

    fn set_composite(
        &mut self,
        dict: &Dict<'_>,
        descendant: &Dict<'_>,
        descriptor: &Dict<'_>,
        budget: &mut Budget,
        maps: &mut Maps,
    ) {
        let described = dict.get::<Object<'_>>("Encoding");
        let encoding_name = match &described {
            Some(Object::Name(name)) => name.as_str().to_owned(),
            Some(Object::Stream(stream)) => name(stream.dict(), "UseCMap").unwrap_or_default(),
            _ => String::new(),
        };
        let encoding = match &described {
            Some(Object::Stream(stream)) => own_map(stream, budget).map(|(map, bytes)| {
                self.map_bytes += bytes;
                Rc::new(map)
            }),
            _ => maps.get(CMapName::from_bytes(encoding_name.as_bytes())),
        };
        let encoding = encoding.unwrap_or_else(|| Rc::new(CMap::identity_h()));
        let family = encoding
            .metadata()
            .character_collection
            .as_ref()
            .map(|c| c.family.clone())
            .filter(|f| *f != CidFamily::AdobeIdentity)
            .or_else(|| collection_of(descendant));
        self.vertical = encoding.metadata().writing_mode == Some(WritingMode::Vertical)
            || encoding_name.ends_with("-V");
        self.default_width = Width::Fixed(if self.vertical {
            descendant
                .get::<[f64; 2]>("DW2")
                .map_or(1000.0, |v| v[1].abs())
        } else {
            descendant.get::<f64>("DW").unwrap_or(1000.0)
        });
        // The vertical advances of single glyphs (W2) all but never differ from the default.
        if let Some(widths) = descendant.get::<Array<'_>>("W").filter(|_| !self.vertical) {
            self.widths = composite_widths(&widths);
        }
        let collection = family.as_ref().and_then(CidFamily::ucs2_cmap);
        let needs_glyphs = self.to_unicode.is_none() && collection.is_none();
        self.kind = Kind::Composite(Box::new(Composite {
            codes_are_unicode: encoding_name.contains("UCS2") || encoding_name.contains("UTF16"),
            ascii: matches!(described, Some(Object::Name(_))),
            fallback_bytes: if encoding_name.contains("EUC")
                || encoding_name.contains("RKSJ")
                || encoding_name.contains("B5")
                || encoding_name.contains("UHC")
            {
                1
            } else {
                2
            },
            collection: collection.and_then(|name| maps.get(name)),
            glyphs: if needs_glyphs {
                embedded_characters(descendant, descriptor, budget)
            } else {
                HashMap::new()
            },
            encoding,
        }));
    }

    /// The characters of a shown string, in order: one by one, for a string may be as long as all that is unpacked.
    pub fn decode<'f>(&'f self, bytes: &'f [u8]) -> impl Iterator<Item = Shown> + 'f {
        let mut rest = bytes;
        std::iter::from_fn(move || {
            let first = rest.first()?;
            let (code, length, key, own) = match &self.kind {
                Kind::Simple(encoding) => {
                    let code = u32::from(*first);
                    (code, 1, code, encoding.text(*first).to_owned())
                }
                Kind::Composite(composite) => composite.next(rest),
            };
            rest = &rest[length.min(rest.len())..];
            Some(self.shown(code, length, key, own))
        })
    }

    fn shown(&self, code: u32, length: usize, key: u32, own: String) -> Shown {
        let mapped = self.to_unicode.as_ref();
        let mapped = mapped.and_then(|map| map.lookup_bf_string(code));
        let mapped = mapped.map(|text| match text {
            BfString::Char(c) => c.to_string(),
            BfString::String(s) => s,
        });
        let weight = 1 + own.len() + mapped.as_ref().map_or(0, String::len);
        let mut text = mapped.filter(|text| is_useful(text)).unwrap_or(own);
        if text.len() > MOST_OF_A_TEXT {
            text.clear();
        }
        let advance = match self.widths.get(&key) {
            Some(width) => *width,
            None => match self.default_width {
                Width::Fixed(width) => width,
                Width::Standard => standard_width(&self.name, text.chars().next().unwrap_or(' ')),
            },
        };
        Shown {
            advance: advance * self.scale,
            is_space: length == 1 && code == 32,
            text,
            weight,
        }
    }

    /// Bytes that it takes.
    fn bytes(&self) -> usize {
        let characters = match &self.kind {
            Kind::Simple(_) => 0,
            Kind::Composite(composite) => composite.glyphs.len(),
        };
        FONT_BYTES
            + self.widths.len() * WIDTH_BYTES
            + characters * CHARACTER_BYTES
            + self.map_bytes * MAP_FACTOR
    }
}

/// Whether what `ToUnicode` says of a code says anything.
fn is_useful(text: &str) -> bool {
    let useful = |c: char| c != '\0' && c != '\u{fffd}' && !is_private(c);
    !text.is_empty() && text.chars().all(useful)
}

impl Composite {
    /// The code at the start of some bytes, its length, its character identifier and its text.
    fn next(&self, bytes: &[u8]) -> (u32, usize, u32, String) {
        let mut code = 0u32;
        for (length, byte) in (1u8..=4).zip(bytes) {
            code = code << 8 | u32::from(*byte);
            if let Some(cid) = self.encoding.lookup_cid_code(code, length) {
                let length = usize::from(length);
                return (code, length, cid, self.text(&bytes[..length], cid));
            }
        }
        let length = self.fallback_bytes.min(bytes.len());
        let code = bytes[..length]
            .iter()
            .fold(0u32, |code, byte| code << 8 | u32::from(*byte));
        (code, length, 0, self.text(&bytes[..length], 0))
    }

    fn text(&self, code: &[u8], cid: u32) -> String {
        if self.codes_are_unicode {
            let units = code
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            return char::decode_utf16(units).filter_map(Result::ok).collect();
        }
        if let ([byte @ 0x20..0x7f], true) = (code, self.ascii) {
            return char::from(*byte).to_string();
        }
        match self.collection.as_ref().map(|c| c.lookup_bf_string(cid)) {
            Some(Some(BfString::Char(c))) => c.to_string(),
            Some(Some(BfString::String(s))) => s,
            _ => self
                .glyphs
                .get(&cid)
                .map(char::to_string)
                .unwrap_or_default(),
        }
    }
}

fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

fn name(dict: &Dict<'_>, key: &str) -> Option<String> {
    Some(dict.get::<Name<'_>>(key)?.as_str().to_owned())
}

/// A CMap that a font has itself, and its bytes.
fn own_map(stream: &Stream<'_>, budget: &mut Budget) -> Option<(CMap, usize)> {
    let data = budget.decode_up_to(stream, MOST_OF_A_MAP)?;
    let bases = memchr::memmem::find_iter(&data, b"usecmap").count();
    // The library's own format is packed once more.
    if bases > MOST_BASES || longest_string(&data) > MOST_OF_A_STRING || data.starts_with(b"bcmap")
    {
        return None;
    }
    Some((CMap::parse(&data, load_embedded)?, data.len()))
}

/// Bytes of the longest string of a CMap, be it in letters or in digits.
fn longest_string(data: &[u8]) -> usize {
    let (mut longest, mut begin, mut open) = (0, 0, 0usize);
    let mut bytes = data.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if open > 0 => {
                bytes.next();
            }
            b'(' => {
                begin = if open == 0 { at } else { begin };
                open += 1;
            }
            b')' if open > 0 => open -= 1,
            b'<' if open == 0 => begin = at,
            b'>' if open == 0 => {}
            _ if open > 0 => {}
            // Digits outside of any string are few.
            byte if byte.is_ascii_hexdigit() || byte.is_ascii_whitespace() => {}
            _ => begin = at,
        }
        longest = longest.max(at - begin);
    }
    longest
}

fn collection_of(descendant: &Dict<'_>) -> Option<CidFamily> {
    let info = descendant.get::<Dict<'_>>("CIDSystemInfo")?;
    let registry = info.get::<PdfString<'_>>("Registry")?;
    let ordering = info.get::<PdfString<'_>>("Ordering")?;
    Some(CidFamily::from_registry_ordering(
        registry.as_bytes(),
        ordering.as_bytes(),
    ))
}

/// The array `W`: `first [w w w]` or `first last w`, any number of times (ISO 32000-1, 9.7.4.3), as far as it is no longer
/// than a font needs: ten bytes may give all characters their widths, and the next ten again.
fn composite_widths(array: &Array<'_>) -> HashMap<u32, f64> {
    let mut widths = HashMap::new();
    let mut pending: Vec<u32> = Vec::new();
    let mut left = MOST_WIDTHS;
    let mut set = |cid: u32, width: f64, left: &mut usize| {
        widths.insert(cid, width);
        *left = left.saturating_sub(1);
    };
    for item in array.iter::<Object<'_>>() {
        match item {
            _ if left == 0 => break,
            Object::Array(list) => {
                let first = pending.pop().unwrap_or(0);
                pending.clear();
                for (cid, width) in (first..=0xffff).zip(list.iter::<f64>()).take(left) {
                    set(cid, width, &mut left);
                }
            }
            Object::Number(number) => match pending.as_slice() {
                [first, last] => {
                    let width = number.as_f64();
                    for cid in (*first..=(*last).min(0xffff)).take(left) {
                        set(cid, width, &mut left);
                    }
                    pending.clear();
                }
                _ => pending.push(u32::try_from(number.as_i64()).unwrap_or(0)),
            },
            _ => pending.clear(),
        }
        left = left.saturating_sub(1);
    }
    widths
}

/// Glyphs of an embedded TrueType font by its own character map, as character identifiers.
fn embedded_characters(
    descendant: &Dict<'_>,
    descriptor: &Dict<'_>,
    budget: &mut Budget,
) -> HashMap<u32, char> {
    let mut characters = HashMap::new();
    let program = descriptor
        .get::<Stream<'_>>("FontFile2")
        .or_else(|| descriptor.get::<Stream<'_>>("FontFile3"));
    let Some(data) = program.and_then(|p| budget.decode(&p)) else {
        return characters;
    };
    let Ok(face) = ttf_parser::Face::parse(&data, 0) else {
        return characters;
    };
    let cids = descendant
        .get::<Stream<'_>>("CIDToGIDMap")
        .and_then(|map| budget.decode_up_to(&map, MOST_OF_GLYPH_IDS));
    let tables = face.tables().cmap.iter().flat_map(|c| c.subtables);
    for table in tables.filter(|t| t.is_unicode()).take(MOST_TABLES) {
        // Each character is asked for: a table may claim any number of them.
        let codes = match table.format {
            Format::SegmentedCoverage(_) => 0..0x3_0000,
            // Which has one glyph for many characters.
            Format::ManyToOneRangeMappings(_) => continue,
            _ => 0..0x1_0000,
        };
        for code in codes {
            if let (Some(c), Some(glyph)) = (char::from_u32(code), table.glyph_index(code)) {
                characters.entry(u32::from(glyph.0)).or_insert(c);
            }
        }
    }
    let Some(cids) = cids else {
        return characters;
    };
    (0u32..)
        .zip(cids.chunks_exact(2))
        .filter_map(|(cid, glyph)| {
            let glyph = u32::from(u16::from_be_bytes([glyph[0], glyph[1]]));
            Some((cid, *characters.get(&glyph)?))
        })
        .collect()
}

fn is_bold(name: &str, descriptor: &Dict<'_>) -> bool {
    /// Bit 19 of a descriptor's flags (ISO 32000-1, table 123).
    const FORCE_BOLD: u32 = 1 << 18;
    let name = name.to_lowercase();
    ["bold", "black", "heavy"].iter().any(|w| name.contains(w))
        || descriptor.get::<u32>("Flags").unwrap_or(0) & FORCE_BOLD != 0
        || descriptor.get::<f64>("FontWeight").unwrap_or(0.0) >= 600.0
}

#[cfg(test)]
mod tests {
    use hayro_syntax::object::FromBytes;

    use super::*;

    fn widths(array: &str) -> HashMap<u32, f64> {
        composite_widths(&Array::from_bytes(array.as_bytes()).unwrap())
    }

    #[test]
    fn widths_are_read_one_by_one_and_by_ranges() {
        let widths = widths("[3 [500 600] 10 12 700 11 [1] 65535 70000 9]");
        for (cid, width) in [
            (3, 500.0),
            (4, 600.0),
            (10, 700.0),
            (11, 1.0),
            (65_535, 9.0),
        ] {
            assert_eq!(widths.get(&cid), Some(&width), "{cid}");
        }
        assert_eq!(widths.len(), 6);
    }

    #[test]
    fn widths_that_are_given_again_and_again_are_not_read_to_their_end() {
        let all = "0 65535 1 ".repeat(100_000);
        let read = widths(&format!("[{all} 0 0 2]"));
        assert_eq!((read.len(), read[&0]), (65_536, 1.0));
        assert_eq!(
            widths(&format!("[0 [{}]]", "1 ".repeat(100_000))).len(),
            65_536
        );
    }

    #[test]
    fn a_string_is_as_long_as_it_is_decoded() {
        let hex = |digits: usize| format!("<01> <{}> <02> <0041>", "0".repeat(digits));
        let letters = format!("<01> ({})", "a\\)(b)".repeat(100));
        for (map, longest) in [
            (hex(8), 20),
            (letters, 620),
            ("1 2 beginbfchar".to_owned(), 20),
        ] {
            assert!(longest_string(map.as_bytes()) <= longest, "{map}");
        }
        assert!(longest_string(hex(2000).as_bytes()) >= 2000);
        assert!(longest_string(format!("({})", "\\)".repeat(1000)).as_bytes()) >= 2000);
        assert!(longest_string("<00 ".repeat(500).as_bytes()) < 10);
    }
}
