//! A PDF font as a reader of text needs it: bytes to characters and widths. Left out: outlines.
//!
//! Characters come from `ToUnicode`, else from the predefined CMaps (their code is Unicode, or leads
//! to one through the character collection), else from the encoding of a simple font, else from the
//! character map of an embedded TrueType font. What none of them knows is counted as unknown.

use std::collections::HashMap;

use hayro_cmap::{BfString, CMap, CMapName, CidFamily, WritingMode, load_embedded};
use hayro_syntax::object::{Array, Dict, Name, Object, Stream, String as PdfString};

use super::encoding::SimpleEncoding;
use super::metrics::standard_width;
use super::streams::Budget;

/// A character of a shown string.
pub(super) struct Shown {
    /// Its text: several characters for a ligature, empty where the font does not tell.
    pub text: String,
    /// How far it moves on, in units of the font size; down, in a vertical font.
    pub advance: f64,
    /// Whether it is the code 32 of one byte, which word spacing applies to.
    pub is_space: bool,
}

/// A font, ready to decode.
pub(super) struct Font {
    kind: Kind,
    to_unicode: Option<CMap>,
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
    encoding: CMap,
    /// Whether character codes are UTF-16 themselves.
    codes_are_unicode: bool,
    /// Whether codes of one byte are ASCII, as in all the predefined CMaps that have such codes.
    ascii: bool,
    /// Bytes of a code where the encoding does not know it.
    fallback_bytes: usize,
    /// Character identifiers to Unicode.
    collection: Option<CMap>,
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
    pub fn new(dict: &Dict<'_>, budget: &mut Budget) -> Self {
        let name = name(dict, "BaseFont").unwrap_or_default();
        let descendant = dict
            .get::<Array<'_>>("DescendantFonts")
            .and_then(|fonts| fonts.iter::<Dict<'_>>().next());
        let detail = descendant.as_ref().unwrap_or(dict);
        let descriptor = detail.get::<Dict<'_>>("FontDescriptor").unwrap_or_default();
        let to_unicode = to_unicode(dict, budget);
        let mut font = Self {
            kind: Kind::Simple(SimpleEncoding::new(dict, &name, budget)),
            to_unicode,
            widths: HashMap::new(),
            default_width: Width::Fixed(0.0),
            scale: 0.001,
            bold: is_bold(&name, &descriptor),
            vertical: false,
            name,
        };
        match descendant {
            Some(descendant) => font.set_composite(dict, &descendant, &descriptor, budget),
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
    ) {
        let described = dict.get::<Object<'_>>("Encoding");
        let encoding_name = match &described {
            Some(Object::Name(name)) => name.as_str().to_owned(),
            Some(Object::Stream(stream)) => name(stream.dict(), "UseCMap").unwrap_or_default(),
            _ => String::new(),
        };
        let encoding = match &described {
            Some(Object::Stream(stream)) => budget
                .decode(stream)
                .and_then(|data| CMap::parse(&data, load_embedded)),
            _ => predefined(&encoding_name),
        };
        let encoding = encoding.unwrap_or_else(CMap::identity_h);
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
            collection: collection
                .and_then(load_embedded)
                .and_then(|data| CMap::parse(data, load_embedded)),
            glyphs: if needs_glyphs {
                embedded_characters(descendant, descriptor, budget)
            } else {
                HashMap::new()
            },
            encoding,
        }));
    }

    /// The characters of a shown string, in order.
    pub fn decode(&self, bytes: &[u8]) -> Vec<Shown> {
        let mut all = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            let (code, length, key, own) = match &self.kind {
                Kind::Simple(encoding) => {
                    let code = u32::from(*first);
                    (code, 1, code, encoding.text(*first).to_owned())
                }
                Kind::Composite(composite) => composite.next(rest),
            };
            let text = self.mapped(code).unwrap_or(own);
            let advance = match self.widths.get(&key) {
                Some(width) => *width,
                None => match self.default_width {
                    Width::Fixed(width) => width,
                    Width::Standard => {
                        standard_width(&self.name, text.chars().next().unwrap_or(' '))
                    }
                },
            };
            all.push(Shown {
                advance: advance * self.scale,
                is_space: length == 1 && code == 32,
                text,
            });
            rest = &rest[length.min(rest.len())..];
        }
        all
    }

    /// What `ToUnicode` says of a code, unless it says nothing of use.
    fn mapped(&self, code: u32) -> Option<String> {
        let text = match self.to_unicode.as_ref()?.lookup_bf_string(code)? {
            BfString::Char(c) => c.to_string(),
            BfString::String(s) => s,
        };
        let useful = |c: char| c != '\0' && c != '\u{fffd}' && !is_private(c);
        (!text.is_empty() && text.chars().all(useful)).then_some(text)
    }
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

fn predefined(name: &str) -> Option<CMap> {
    match name {
        "Identity-H" => Some(CMap::identity_h()),
        "Identity-V" => Some(CMap::identity_v()),
        other => CMap::parse(
            load_embedded(CMapName::from_bytes(other.as_bytes()))?,
            load_embedded,
        ),
    }
}

fn to_unicode(dict: &Dict<'_>, budget: &mut Budget) -> Option<CMap> {
    // Some producers name `Identity-H` here, which says nothing.
    let stream = dict.get::<Stream<'_>>("ToUnicode")?;
    CMap::parse(&budget.decode(&stream)?, load_embedded)
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

/// The array `W`: `first [w w w]` or `first last w`, any number of times (ISO 32000-1, 9.7.4.3).
fn composite_widths(array: &Array<'_>) -> HashMap<u32, f64> {
    let mut widths = HashMap::new();
    let mut pending: Vec<u32> = Vec::new();
    for item in array.iter::<Object<'_>>() {
        match item {
            Object::Array(list) => {
                let first = pending.pop().unwrap_or(0);
                pending.clear();
                widths.extend((first..=0xffff).zip(list.iter::<f64>()));
            }
            Object::Number(number) => match pending.as_slice() {
                [first, last] => {
                    let width = number.as_f64();
                    widths.extend((*first..=(*last).min(0xffff)).map(|cid| (cid, width)));
                    pending.clear();
                }
                _ => pending.push(u32::try_from(number.as_i64()).unwrap_or(0)),
            },
            _ => pending.clear(),
        }
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
        .and_then(|map| budget.decode(&map));
    for table in face.tables().cmap.iter().flat_map(|c| c.subtables) {
        if !table.is_unicode() {
            continue;
        }
        table.codepoints(|code| {
            if let (Some(c), Some(glyph)) = (char::from_u32(code), table.glyph_index(code)) {
                characters.entry(u32::from(glyph.0)).or_insert(c);
            }
        });
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
