//! What the filters of a PDF's streams undo, each within a bound, which hayro-syntax has not. Left out: pictures.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, ZlibDecoder};

use super::inflate;

/// Filters that may be put one over the other.
pub(super) const MOST_FILTERS: usize = 8;

/// Codes of LZW, and those of them that mean something else than the byte that they are.
const LZW_CODES: usize = 4096;
const LZW_FIRST: usize = 258;
const LZW_CLEAR: usize = 256;
const LZW_END: usize = 257;

/// A filter of text and data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Packing {
    Hexadecimal,
    Ascii85,
    Lzw,
    Flate,
    RunLength,
}

/// What a filter's name stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Named {
    Packing(Packing),
    /// What pictures are packed with.
    Picture,
    /// Encryption, undone before.
    Crypt,
    Unknown,
}

impl Named {
    /// The filter of a name, or of its abbreviation.
    pub fn of(name: &[u8]) -> Self {
        Self::Packing(match name {
            b"ASCIIHexDecode" | b"AHx" => Packing::Hexadecimal,
            b"ASCII85Decode" | b"A85" => Packing::Ascii85,
            b"LZWDecode" | b"LZW" => Packing::Lzw,
            b"FlateDecode" | b"Fl" => Packing::Flate,
            b"RunLengthDecode" | b"RL" => Packing::RunLength,
            b"CCITTFaxDecode" | b"CCF" | b"DCTDecode" | b"DCT" | b"JBIG2Decode" | b"JPXDecode" => {
                return Self::Picture;
            }
            b"Crypt" => return Self::Crypt,
            _ => return Self::Unknown,
        })
    }
}

/// How a filter was told to work (ISO 32000-1, tables 8 and 9).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Parameters {
    pub predictor: u64,
    pub colors: u64,
    pub bits: u64,
    pub columns: u64,
    pub early_change: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            predictor: 1,
            colors: 1,
            bits: 8,
            columns: 1,
            early_change: true,
        }
    }
}

/// A filter with its parameters.
pub(super) type Step = (Packing, Parameters);

/// What came of unpacking.
#[derive(Debug, PartialEq)]
pub(super) enum Unpacked<'a> {
    /// All of it.
    Whole(Cow<'a, [u8]>),
    /// What stands before the damage.
    Cut(Vec<u8>),
    /// It is over the bound.
    TooMuch,
}

/// Undoes filters, from the first on; none of the steps gives more than `most` bytes. Calls `spent` with the bytes of
/// each.
pub(super) fn unpack<'a>(
    packed: Cow<'a, [u8]>,
    steps: &[Step],
    most: usize,
    mut spent: impl FnMut(usize),
) -> Unpacked<'a> {
    let (mut data, mut whole) = (packed, true);
    for (packing, parameters) in steps {
        let (unpacked, sound) = match undo(*packing, parameters, &data, most) {
            Unpacked::TooMuch => return Unpacked::TooMuch,
            Unpacked::Whole(unpacked) => (unpacked.into_owned(), true),
            Unpacked::Cut(unpacked) => (unpacked, false),
        };
        spent(unpacked.len());
        whole &= sound;
        data = Cow::Owned(unpacked);
    }
    if data.len() > most {
        Unpacked::TooMuch
    } else if whole {
        Unpacked::Whole(data)
    } else {
        Unpacked::Cut(data.into_owned())
    }
}

fn undo(packing: Packing, parameters: &Parameters, data: &[u8], most: usize) -> Unpacked<'static> {
    let unpacked = match packing {
        Packing::Hexadecimal => Unpacked::Whole(Cow::Owned(hexadecimal(data))),
        Packing::Ascii85 => ascii85(data, most),
        Packing::RunLength => run_length(data, most),
        Packing::Lzw => lzw(data, parameters.early_change, most),
        Packing::Flate => flate(data, most),
    };
    match unpacked {
        Unpacked::Whole(data) => match predicted(data.into_owned(), packing, parameters) {
            Some(data) => Unpacked::Whole(Cow::Owned(data)),
            None => Unpacked::Cut(Vec::new()),
        },
        Unpacked::Cut(data) => {
            Unpacked::Cut(predicted(data, packing, parameters).unwrap_or_default())
        }
        Unpacked::TooMuch => Unpacked::TooMuch,
    }
}

/// Undoes filters as hayro-syntax does, for streams that it unpacks itself: damaged deflate is read on behind the damage.
/// Gives the bytes, and how many there may be where the data ends earlier than it does here; `None` for more than `most`
/// in any step.
pub(super) fn unpack_leniently<'a>(
    packed: Cow<'a, [u8]>,
    steps: &[Step],
    most: usize,
) -> Option<(Cow<'a, [u8]>, usize)> {
    let (mut data, mut largest) = (packed, 0);
    for (packing, parameters) in steps {
        let unpacked = if *packing == Packing::Flate {
            let (unpacked, size) = flate_leniently(&data, most)?;
            largest = largest.max(size);
            // The parameters of containers are sound.
            predicted(unpacked, *packing, parameters).unwrap_or_default()
        } else {
            match undo(*packing, parameters, &data, most) {
                Unpacked::Whole(unpacked) => unpacked.into_owned(),
                Unpacked::Cut(unpacked) => unpacked,
                Unpacked::TooMuch => return None,
            }
        };
        largest = largest.max(unpacked.len());
        data = Cow::Owned(unpacked);
    }
    largest = largest.max(data.len());
    (largest <= most).then_some((data, largest))
}

/// What hayro-syntax takes for the data: zlib, else deflate, else what can be had of either.
fn flate_leniently(data: &[u8], most: usize) -> Option<(Vec<u8>, usize)> {
    let length = |unpacked: &Unpacked<'_>| match unpacked {
        Unpacked::Whole(data) => Some(data.len()),
        Unpacked::Cut(data) => Some(data.len()),
        Unpacked::TooMuch => None,
    };
    let bare = inflated(&mut DeflateDecoder::new(data), most);
    let mut largest = length(&bare)?;
    let bare = match bare {
        Unpacked::Whole(bare) => Some(bare.into_owned()),
        Unpacked::Cut(_) | Unpacked::TooMuch => None,
    };
    let zlib = inflated(&mut ZlibDecoder::new(data), most);
    largest = largest.max(length(&zlib)?);
    match zlib {
        Unpacked::Whole(zlib) => return Some((zlib.into_owned(), largest)),
        // Not kept beside what is made of it next.
        damaged => drop(damaged),
    }
    let mended = inflate::mend(data, most)?;
    largest = largest.max(mended.len());
    Some((bare.unwrap_or(mended), largest))
}

/// Whether data begins as zlib's does.
pub(super) fn has_zlib_head(data: &[u8]) -> bool {
    let [method, flags, ..] = data else {
        return false;
    };
    let check = u16::from_be_bytes([*method, *flags]);
    method & 0x0f == 8 && flags & 0x20 == 0 && check.is_multiple_of(31)
}

/// Zlib data, or deflate without zlib's head; it is whole if that is sound up to its own end, whatever zlib's checksum
/// says. What stands behind the end is nothing.
fn flate(data: &[u8], most: usize) -> Unpacked<'static> {
    if !has_zlib_head(data) {
        return inflated(&mut DeflateDecoder::new(data), most);
    }
    match inflated(&mut ZlibDecoder::new(data), most) {
        Unpacked::Cut(begin) => match inflated(&mut DeflateDecoder::new(&data[2..]), most) {
            Unpacked::Cut(body) if body.len() < begin.len() => Unpacked::Cut(begin),
            body => body,
        },
        zlib => zlib,
    }
}

fn inflated(reader: &mut impl Read, most: usize) -> Unpacked<'static> {
    let mut data = Vec::new();
    let end = reader.take(most as u64 + 1).read_to_end(&mut data);
    match end {
        _ if data.len() > most => Unpacked::TooMuch,
        Ok(_) => Unpacked::Whole(Cow::Owned(data)),
        Err(_) => Unpacked::Cut(data),
    }
}

/// LZW. An entry of its table is a text that was given before, with the character after it: so the table holds places.
fn lzw(data: &[u8], early_change: bool, most: usize) -> Unpacked<'static> {
    let mut out: Vec<u8> = Vec::new();
    let mut entries: Vec<(usize, usize)> = Vec::new();
    let mut last: Option<(usize, usize)> = None;
    let mut bit = 0;
    loop {
        let width = match LZW_FIRST + entries.len() + usize::from(early_change) {
            0..512 => 9,
            512..1024 => 10,
            1024..2048 => 11,
            _ => 12,
        };
        let Some(code) = bits(data, bit, width) else {
            return Unpacked::Whole(Cow::Owned(out));
        };
        bit += width;
        let begin = out.len();
        match code {
            LZW_CLEAR => {
                entries.clear();
                last = None;
                continue;
            }
            LZW_END => return Unpacked::Whole(Cow::Owned(out)),
            0..LZW_CLEAR => out.push(code as u8),
            code => match (entries.get(code - LZW_FIRST), last) {
                (Some((from, length)), _) => out.extend_from_within(*from..from + length),
                // The entry that is made by this very code: the last text, with its first character again.
                (None, Some((from, length))) if code - LZW_FIRST == entries.len() => {
                    out.extend_from_within(from..from + length);
                    out.extend_from_within(from..from + 1);
                }
                _ => return Unpacked::Cut(out),
            },
        }
        if out.len() > most {
            return Unpacked::TooMuch;
        }
        if let Some((from, length)) = last
            && entries.len() < LZW_CODES - LZW_FIRST
        {
            entries.push((from, length + 1));
        }
        last = Some((begin, out.len() - begin));
    }
}

/// So many bits from a place on, the highest first.
fn bits(data: &[u8], at: usize, width: usize) -> Option<usize> {
    let first = at / 8;
    let last = (at + width - 1) / 8;
    let bytes = data.get(first..=last)?;
    let all = bytes
        .iter()
        .fold(0usize, |all, byte| all << 8 | usize::from(*byte));
    let below = (last + 1) * 8 - at - width;
    Some(all >> below & ((1 << width) - 1))
}

fn run_length(data: &[u8], most: usize) -> Unpacked<'static> {
    let mut out = Vec::new();
    let mut rest = data;
    while let [length, after @ ..] = rest {
        let length = usize::from(*length);
        match (length, after) {
            (128, _) | (_, []) => break,
            (0..128, after) => {
                let (run, after) = after.split_at(after.len().min(length + 1));
                out.extend_from_slice(run);
                rest = after;
            }
            (_, [byte, after @ ..]) => {
                out.extend(std::iter::repeat_n(*byte, 257 - length));
                rest = after;
            }
        }
        if out.len() > most {
            return Unpacked::TooMuch;
        }
    }
    Unpacked::Whole(Cow::Owned(out))
}

fn hexadecimal(text: &[u8]) -> Vec<u8> {
    let digits = text.iter().take_while(|byte| **byte != b'>');
    let digits = digits.filter_map(|byte| char::from(*byte).to_digit(16));
    let (mut bytes, mut half) = (Vec::new(), None);
    for digit in digits {
        half = match half {
            Some(high) => {
                bytes.push((high << 4 | digit) as u8);
                None
            }
            None => Some(digit),
        };
    }
    bytes.extend(half.map(|high| (high << 4) as u8));
    bytes
}

fn ascii85(text: &[u8], most: usize) -> Unpacked<'static> {
    let mut bytes = Vec::new();
    let (mut group, mut filled) = (0u32, 0usize);
    for byte in text {
        match byte {
            b'z' if filled == 0 => bytes.extend([0; 4]),
            b'!'..=b'u' => {
                group = group.wrapping_mul(85).wrapping_add(u32::from(byte - b'!'));
                filled += 1;
                if filled == 5 {
                    bytes.extend(group.to_be_bytes());
                    (group, filled) = (0, 0);
                }
            }
            b'~' => break,
            _ => {}
        }
        if bytes.len() > most {
            return Unpacked::TooMuch;
        }
    }
    if filled > 1 {
        for _ in filled..5 {
            group = group.wrapping_mul(85).wrapping_add(84);
        }
        bytes.extend(&group.to_be_bytes()[..filled - 1]);
    }
    Unpacked::Whole(Cow::Owned(bytes))
}

/// Undoes a predictor; `None` for one that no text is packed with.
fn predicted(data: Vec<u8>, packing: Packing, parameters: &Parameters) -> Option<Vec<u8>> {
    let has_one = matches!(packing, Packing::Flate | Packing::Lzw);
    if parameters.predictor < 2 || !has_one || data.is_empty() {
        return Some(data);
    }
    let bits = parameters.colors.saturating_mul(parameters.bits);
    let row = bits.saturating_mul(parameters.columns).div_ceil(8);
    // A row that is longer than all there is needs no more room than that.
    let row = usize::try_from(row).unwrap_or(usize::MAX).min(data.len());
    let pixel = usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX);
    match parameters.predictor {
        _ if row == 0 || pixel == 0 => None,
        10.. => Some(undo_png(&data, row, pixel)),
        2 if parameters.bits == 8 => Some(undo_tiff(data, row, pixel)),
        _ => None,
    }
}

/// Rows of which each begins with the kind of its differences (PNG, 9.2).
fn undo_png(data: &[u8], row: usize, pixel: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut above = vec![0; row];
    let mut done = Vec::with_capacity(row);
    for line in data.chunks(row + 1) {
        let Some((kind, line)) = line.split_first() else {
            break;
        };
        done.clear();
        for (i, byte) in line.iter().enumerate() {
            let before = i.checked_sub(pixel);
            let left = before.map_or(0, |i| done[i]);
            let corner = before.map_or(0, |i| above[i]);
            let up: u8 = above[i];
            let expected = match *kind {
                1 => left,
                2 => up,
                3 => u8::midpoint(left, up),
                4 => paeth(left, up, corner),
                _ => 0,
            };
            done.push(byte.wrapping_add(expected));
        }
        out.extend_from_slice(&done);
        above[..done.len()].copy_from_slice(&done);
    }
    out
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let guess = i16::from(left) + i16::from(up) - i16::from(corner);
    let far = |byte: u8| (guess - i16::from(byte)).abs();
    if far(left) <= far(up) && far(left) <= far(corner) {
        left
    } else if far(up) <= far(corner) {
        up
    } else {
        corner
    }
}

/// Rows of which each value is the difference to the one before it (TIFF 6.0, section 14).
fn undo_tiff(mut data: Vec<u8>, row: usize, pixel: usize) -> Vec<u8> {
    for line in data.chunks_mut(row) {
        for i in pixel..line.len() {
            line[i] = line[i].wrapping_add(line[i - pixel]);
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tests::packing::{deflate, zlib};

    /// LZW of codes of nine bits, which is all that short data has.
    fn lzw_codes(codes: &[usize]) -> Vec<u8> {
        let bits = codes
            .iter()
            .flat_map(|code| (0..9).rev().map(move |bit| code >> bit & 1));
        let bits: Vec<usize> = bits.collect();
        let byte = |bits: &[usize]| (0..8).fold(0, |byte, i| byte << 1 | bits.get(i).unwrap_or(&0));
        bits.chunks(8).map(|bits| byte(bits) as u8).collect()
    }

    fn undone(packing: Packing, data: &[u8], most: usize) -> Unpacked<'static> {
        undo(packing, &Parameters::default(), data, most)
    }

    fn whole(data: &[u8]) -> Unpacked<'static> {
        Unpacked::Whole(Cow::Owned(data.to_vec()))
    }

    #[test]
    fn each_filter_is_undone_and_bounded() {
        let text = b"-----A---B";
        for (packing, packed) in [
            (Packing::Flate, zlib(text)),
            (Packing::Flate, deflate(text)),
            (Packing::Flate, [&zlib(text), &b"\nendstream"[..]].concat()),
            (Packing::Hexadecimal, b"2d2D2d 2d2d412d2d2d42>00".to_vec()),
            // The example of ISO 32000-1, 7.4.4.2.
            (
                Packing::Lzw,
                lzw_codes(&[256, 45, 258, 258, 65, 259, 66, 257]),
            ),
            (Packing::RunLength, b"\xfc-\x00A\xfe-\x00B\x80rest".to_vec()),
        ] {
            assert_eq!(undone(packing, &packed, 10), whole(text), "{packing:?}");
            if packing != Packing::Hexadecimal {
                assert_eq!(
                    undone(packing, &packed, 9),
                    Unpacked::TooMuch,
                    "{packing:?}"
                );
            }
        }
        for (packed, expected) in [
            (&b"87cURD]i,\"Ebo80~>"[..], &b"Hello World!"[..]),
            (b"87cUR DZ~>", b"Hello"),
            (b"z~>", &[0; 4]),
            (b"!", b""),
        ] {
            assert_eq!(undone(Packing::Ascii85, packed, 99), whole(expected));
        }
        assert_eq!(undone(Packing::Ascii85, &[b'z'; 99], 9), Unpacked::TooMuch);
    }

    #[test]
    fn an_entry_of_lzw_may_be_made_by_the_code_that_names_it() {
        assert_eq!(
            undone(Packing::Lzw, &lzw_codes(&[97, 258, 259]), 9),
            whole(b"aaaaaa")
        );
        assert_eq!(
            undone(Packing::Lzw, &lzw_codes(&[97, 300]), 9),
            Unpacked::Cut(b"a".to_vec())
        );
        assert_eq!(
            undone(Packing::Lzw, &lzw_codes(&[258]), 9),
            Unpacked::Cut(Vec::new())
        );
    }

    #[test]
    fn damaged_deflate_is_told_and_its_checksum_is_not_asked_for() {
        let sound = zlib(b"some text that goes on, some text that goes on");
        let mut unchecked = sound.clone();
        *unchecked.last_mut().unwrap() ^= 1;
        let text = b"some text that goes on, some text that goes on";
        assert_eq!(undone(Packing::Flate, &unchecked, 99), whole(text));
        let cut = undone(Packing::Flate, &sound[..sound.len() / 2], 99);
        assert!(matches!(cut, Unpacked::Cut(_)), "{cut:?}");
        assert!(matches!(
            undone(Packing::Flate, b"\x78\x9cno", 99),
            Unpacked::Cut(_)
        ));
    }

    #[test]
    fn layers_are_bounded_one_by_one() {
        let bomb = zlib(&zlib(&vec![b' '; 1 << 20]));
        let twice = [(Packing::Flate, Parameters::default()); 2];
        let mut spent = Vec::new();
        let unpacked = unpack(Cow::Borrowed(&bomb), &twice, 1 << 16, |bytes| {
            spent.push(bytes);
        });
        assert_eq!(unpacked, Unpacked::TooMuch);
        assert!(spent.iter().sum::<usize>() < 1 << 16, "{spent:?}");
        let unpacked = unpack(Cow::Borrowed(&bomb), &twice, 1 << 20, |_| {});
        assert!(matches!(unpacked, Unpacked::Whole(data) if data.len() == 1 << 20));
        let plain = unpack(Cow::Borrowed(&bomb), &[], 9, |_| {});
        assert_eq!(plain, Unpacked::TooMuch);
    }

    #[test]
    fn what_is_made_of_damaged_data_is_bounded_too() {
        let flate = [(Packing::Flate, Parameters::default())];
        let text = b"some text that goes on, some text that goes on";
        let lenient = |data: &[u8], most| {
            let unpacked = unpack_leniently(Cow::Borrowed(data), &flate, most);
            unpacked.map(|(data, largest)| (data.into_owned(), largest))
        };
        for packed in [zlib(text), deflate(text)] {
            assert_eq!(lenient(&packed, 46).unwrap().0, text);
            assert_eq!(lenient(&packed, 45), None);
            let (begin, largest) = lenient(&packed[..packed.len() - 6], 99).unwrap();
            assert!(begin.len() <= largest && largest <= 99);
        }
        let plain = unpack_leniently(Cow::Borrowed(text), &[], 46);
        assert_eq!(plain.map(|(_, largest)| largest), Some(46));
    }

    #[test]
    fn predictors_are_undone_whatever_columns_they_claim() {
        let parameters = |predictor, columns| Parameters {
            predictor,
            columns,
            ..Parameters::default()
        };
        let of = |predictor, columns, data: &[u8]| {
            predicted(
                data.to_vec(),
                Packing::Flate,
                &parameters(predictor, columns),
            )
        };
        let rows = [0, 1, 2, 3, 1, 1, 1, 1, 2, 1, 1, 1, 3, 2, 2, 2, 4, 1, 1, 1];
        let undone = [1, 2, 3, 1, 2, 3, 2, 3, 4, 3, 5, 6, 4, 6, 7];
        assert_eq!(of(12, 3, &rows), Some(undone.to_vec()));
        assert_eq!(of(2, 3, &[1, 1, 1, 2, 2, 2]), Some(vec![1, 2, 3, 2, 4, 6]));
        assert_eq!(of(1, 0, b"a"), Some(b"a".to_vec()));
        assert_eq!(of(12, 0, b"a"), None);
        assert_eq!(of(12, u64::MAX, &[1, 1, 1]).map(|data| data.len()), Some(2));
        assert_eq!(of(3, 1, b"a"), None);
    }
}
