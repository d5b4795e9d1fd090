//! Pages without text, drawn and recognized. What a page may cost is bounded before it is drawn: pixels of the page,
//! pixels and bytes of the pictures in the file. Left out: recognition itself (`load::ocr`).

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use flate2::read::{DeflateDecoder, ZlibDecoder};
use hayro::hayro_interpret::InterpreterSettings;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings, render};
use hayro_syntax::object::{Dict, Name, Object, Stream};
use hayro_syntax::page::Page;
use hayro_syntax::{Filter, Pdf};

use super::recognized::Recognized;
use super::{inflate, page_list, streams};
use crate::load::ocr::{MAX_PIXELS, Pixels, Reader};
use crate::load::{Pulse, few};

/// The most pixels of a picture in a file, which is unpacked whole: an A3 page with 600 dots per inch and more.
const MAX_PICTURE: u64 = 150_000_000;

/// The most bytes that a picture's data may unpack to.
const MAX_BYTES: u64 = 3 * MAX_PICTURE;

/// Packed bytes of the old filters whose expansion is not measured ahead: some 2,600 times as many.
const UNMEASURED: usize = 128 << 10;

/// The most bytes that anything else on a page may unpack to, and all of that.
const MAX_DRAWING: usize = 64 << 20;
const MAX_DRAWINGS: usize = 1 << 30;

/// Pages that take too long before no other one is tried.
const MAX_SLOW: usize = 3;

/// The longest side of a drawn page, by the renderer's own limit.
const MAX_SIDE: f64 = 30_000.0;

/// What became of pages without text.
#[derive(Default)]
pub(super) struct Scans {
    /// Pages with something on them.
    pub pages: Vec<Recognized>,
    /// Pages that were recognized and have no text.
    pub empty: Vec<u32>,
    /// What else is missing, for the document's owner.
    pub notes: Vec<String>,
}

/// Recognizes pages of a file, by their numbers.
pub(super) fn recognize(pdf: &Pdf, numbers: &[u32], reader: &Reader, pulse: &Pulse) -> Scans {
    let mut scans = Scans::default();
    if let Some(reason) = too_much(pdf) {
        scans.notes.push(format!(
            "{} without text cannot be recognized: {reason}",
            page_list(numbers)
        ));
        return scans;
    }
    let (tried, beyond) = numbers.split_at(numbers.len().min(reader.config.max_pages));
    let (mut failures, mut left) = (Vec::new(), Vec::new());
    let mut slow = 0;
    for number in tried {
        if slow >= MAX_SLOW {
            left.push(*number);
            continue;
        }
        let page = (*number as usize)
            .checked_sub(1)
            .and_then(|index| pdf.pages().get(index));
        let Some(page) = page else { continue };
        let drawn = catch_unwind(AssertUnwindSafe(|| draw(page, reader.config.dpi)));
        let Some((pixels, dpi)) = drawn.ok().flatten() else {
            failures.push(format!(
                "page {number} cannot be drawn, so its text is not recognized"
            ));
            continue;
        };
        match reader.read(&pixels) {
            Ok(areas) if areas.is_empty() => scans.empty.push(*number),
            Ok(areas) => scans.pages.push(Recognized {
                number: *number,
                areas,
                height: pixels.height(),
                dpi,
            }),
            Err(error) => {
                slow += usize::from(error.is_slow());
                failures.push(format!("page {number} {error}"));
            }
        }
        pulse.beat();
    }
    scans.notes.extend(few(failures.into_iter()));
    if !left.is_empty() {
        scans.notes.push(format!(
            "{} without text: not recognized, after {MAX_SLOW} others took too long",
            page_list(&left)
        ));
    }
    if !beyond.is_empty() {
        scans.notes.push(format!(
            "{} without text: not recognized, because `max_pages` under [ocr] is {}",
            page_list(beyond),
            reader.config.max_pages
        ));
    }
    scans
}

/// A page in shades of gray, and the dots per inch that it has: fewer than wanted where it is large.
fn draw<'a>(page: &'a Page<'a>, dpi: u32) -> Option<(Pixels, f64)> {
    let (width, height) = page.render_dimensions();
    let (width, height) = (f64::from(width), f64::from(height));
    if !(width >= 1.0 && height >= 1.0) {
        return None;
    }
    let most = (MAX_PIXELS as f64 / (width * height)).sqrt();
    let scale = (f64::from(dpi) / 72.0)
        .min(most)
        .min(MAX_SIDE / width.max(height));
    let settings = PixmapSettings {
        x_scale: scale as f32,
        y_scale: scale as f32,
        bg_color: WHITE,
    };
    let drawn = render(
        page,
        &RenderCache::new(),
        &InterpreterSettings::default(),
        &RenderSettings::default(),
        &settings,
    );
    // The paper is opaque, so colours are not premultiplied by anything.
    let gray = drawn.data().iter().map(|p| {
        let sum = 299 * u32::from(p.r) + 587 * u32::from(p.g) + 114 * u32::from(p.b);
        (sum / 1000) as u8
    });
    let dpi = scale * 72.0;
    let pixels = Pixels::new(
        usize::from(drawn.width()),
        usize::from(drawn.height()),
        gray.collect(),
        Some(dpi.round() as u32),
    )?;
    Some((pixels, dpi))
}

/// Why the pictures of a file, and what else is drawn, are not unpacked, if there is a reason.
fn too_much(pdf: &Pdf) -> Option<String> {
    let mut drawings = 0usize;
    pdf.objects().into_iter().find_map(|object| match object {
        Object::Stream(stream) if is_picture(stream.dict()) => picture_too_large(&stream),
        // Of one that has no text and is no picture by its type, such as an attachment, nothing is drawn.
        Object::Stream(stream) if stream.filters().iter().any(is_of_pictures) => None,
        Object::Stream(stream) => {
            let size = streams::size(&stream, MAX_DRAWING);
            drawings = drawings.saturating_add(size.unwrap_or(MAX_DRAWINGS));
            (drawings > MAX_DRAWINGS || size.is_none())
                .then(|| "what is drawn unpacks to too many bytes".to_owned())
        }
        _ => None,
    })
}

fn is_of_pictures(filter: &Filter) -> bool {
    use Filter::{CcittFaxDecode, DctDecode, Jbig2Decode, JpxDecode};
    matches!(filter, CcittFaxDecode | DctDecode | Jbig2Decode | JpxDecode)
}

fn is_picture(dict: &Dict<'_>) -> bool {
    let kind = dict.get::<Name<'_>>("Subtype");
    kind.is_some_and(|kind| kind.as_str() == "Image")
}

fn picture_too_large(stream: &Stream<'_>) -> Option<String> {
    let side = |key: &str| stream.dict().get::<f64>(key).unwrap_or(0.0).max(0.0);
    let filters = stream.filters();
    let raw = stream.raw_data();
    let mut sizes = vec![(side("Width"), side("Height"))];
    // What a picture says of itself counts when it is unpacked.
    sizes.extend(match filters.last() {
        Some(Filter::DctDecode) => jpeg_size(&raw),
        Some(Filter::JpxDecode) => jpeg2000_size(&raw),
        Some(Filter::Jbig2Decode) => jbig2_size(&raw),
        _ => None,
    });
    let (width, height) = sizes
        .into_iter()
        .max_by(|a, b| (a.0 * a.1).total_cmp(&(b.0 * b.1)))?;
    if width * height > MAX_PICTURE as f64 {
        return Some(format!(
            "a picture of {width} x {height} pixels is over the limit"
        ));
    }
    let unpacking = filters.iter().filter(|f| {
        matches!(
            f,
            Filter::FlateDecode | Filter::LzwDecode | Filter::RunLengthDecode
        )
    });
    let bomb = match unpacking.count() {
        0 => false,
        1 if filters.first() == Some(&Filter::FlateDecode) => is_bomb(&raw),
        1 => raw.len() > UNMEASURED,
        _ => true,
    };
    let wide = streams::widest_row(stream.dict()) > MAX_BYTES;
    (bomb || wide).then(|| "a picture unpacks to too many bytes".to_owned())
}

/// Whether deflate, with zlib's head or without, unpacks to more than any picture has, also where it is damaged.
fn is_bomb(packed: &[u8]) -> bool {
    let whole = [
        is_whole(&mut ZlibDecoder::new(packed)),
        is_whole(&mut DeflateDecoder::new(packed)),
    ];
    let too_much = whole.contains(&None);
    let most = usize::try_from(MAX_BYTES).unwrap_or(usize::MAX);
    too_much || !whole.contains(&Some(true)) && inflate::mend(packed, most).is_none()
}

/// Whether what a reader gives is sound to its end; `None` for more than any picture has.
fn is_whole(reader: &mut impl Read) -> Option<bool> {
    let mut buffer = [0u8; 16 << 10];
    let mut total = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Some(true),
            Ok(some) => total += some as u64,
            Err(_) => return Some(false),
        }
        if total > MAX_BYTES {
            return None;
        }
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<f64> {
    let two = bytes.get(at..at + 2)?;
    Some(f64::from(u16::from_be_bytes([two[0], two[1]])))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

/// Width and height of a JPEG, from the header of its frame.
fn jpeg_size(bytes: &[u8]) -> Option<(f64, f64)> {
    let mut at = 2;
    loop {
        while *bytes.get(at)? != 0xff {
            at += 1;
        }
        let marker = *bytes.get(at + 1)?;
        match marker {
            // A frame begins; these four are tables.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((be16(bytes, at + 7)?, be16(bytes, at + 5)?));
            }
            0xff => at += 1,
            0x00 | 0x01 | 0xd0..=0xd9 => at += 2,
            _ => at += 2 + be16(bytes, at + 2)? as usize,
        }
    }
}

/// Width and height of a JPEG 2000 picture, times what its components take beyond three.
fn jpeg2000_size(bytes: &[u8]) -> Option<(f64, f64)> {
    let siz = memchr::memmem::find(bytes, &[0xff, 0x4f, 0xff, 0x51])? + 4;
    let side = |end: usize, begin: usize| {
        Some(f64::from(
            be32(bytes, siz + end)?.saturating_sub(be32(bytes, siz + begin)?),
        ))
    };
    let components = be16(bytes, siz + 36)?;
    Some((side(4, 12)? * (components / 4.0).max(1.0), side(8, 16)?))
}

/// Width and height of the largest page or region of a JBIG2 picture, as PDF has them: segments side by side.
fn jbig2_size(bytes: &[u8]) -> Option<(f64, f64)> {
    const PAGE: u8 = 48;
    let mut largest: Option<(f64, f64)> = None;
    let mut at = 0;
    while let Some((kind, data, next)) = jbig2_segment(bytes, at) {
        // Regions of text, halftones and pictures begin with their sides; a symbol's size is bound by them.
        if matches!(kind, PAGE | 4..=7 | 20..=23 | 36..=43)
            && let (Some(width), Some(height)) = (be32(bytes, data), be32(bytes, data + 4))
        {
            // A page may leave its height open.
            let height = if height == u32::MAX { 0 } else { height };
            let size = (f64::from(width), f64::from(height));
            if largest.is_none_or(|l| l.0 * l.1 < size.0 * size.1) {
                largest = Some(size);
            }
        }
        at = next;
    }
    largest
}

/// Kind of the segment at a place, where its data begins and where it ends.
fn jbig2_segment(bytes: &[u8], at: usize) -> Option<(u8, usize, usize)> {
    let number = be32(bytes, at)?;
    let flags = *bytes.get(at + 4)?;
    let referred = *bytes.get(at + 5)?;
    let (count, mut next) = match referred >> 5 {
        7 => {
            let count = (be32(bytes, at + 5)? & 0x1fff_ffff) as usize;
            (count, at + 9 + (count + 8) / 8)
        }
        few => (usize::from(few), at + 6),
    };
    let width = match number {
        0..=256 => 1,
        257..=65_536 => 2,
        _ => 4,
    };
    next = next.checked_add(count.checked_mul(width)?)?;
    next += if flags & 0x40 == 0 { 1 } else { 4 };
    let length = be32(bytes, next)?;
    let data = next + 4;
    let end = if length == u32::MAX {
        bytes.len()
    } else {
        data + length as usize
    };
    Some((flags & 0x3f, data, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_tell_their_size_before_they_are_unpacked() {
        let jpeg =
            b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc4\0\x03x\xff\xc2\0\x0b\x08\x10\x00\x20\x00\x01";
        assert_eq!(jpeg_size(jpeg), Some((8192.0, 4096.0)));
        let mut jpx = b"box\xff\x4f\xff\x51\0\x29\0\0\0\0\x20\0\0\0\x10\0".to_vec();
        jpx.extend([0; 20]);
        jpx.extend([0, 0, 0, 0]);
        assert_eq!(jpeg2000_size(&jpx), None, "its components are missing");
        let siz = [
            &b"\xff\x4f\xff\x51\0\x29\0\0"[..],
            &8192u32.to_be_bytes(),
            &4096u32.to_be_bytes(),
            &[0; 8],
            &[0; 16],
            &8u16.to_be_bytes(),
        ]
        .concat();
        assert_eq!(jpeg2000_size(&siz), Some((16384.0, 4096.0)));
        let segment = |number: u32, kind: u8, width: u32, height: u32| {
            [
                &number.to_be_bytes()[..],
                &[kind, 0, 1],
                &8u32.to_be_bytes(),
                &width.to_be_bytes(),
                &height.to_be_bytes(),
            ]
            .concat()
        };
        let jbig2 = [segment(0, 48, 1000, u32::MAX), segment(1, 38, 1000, 2000)].concat();
        assert_eq!(jbig2_size(&jbig2), Some((1000.0, 2000.0)));
        for bytes in [jpeg.as_slice(), &jpx, &siz, &jbig2] {
            for end in 0..bytes.len() {
                let cut = &bytes[..end];
                let _ = (jpeg_size(cut), jpeg2000_size(cut), jbig2_size(cut));
            }
        }
    }
}
