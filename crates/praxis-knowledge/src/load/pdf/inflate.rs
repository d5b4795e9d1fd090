//! Damaged deflate, unpacked as hayro-syntax does it, and with a bound: what cannot be is left out, and what follows is
//! read on. So it is known what hayro-syntax makes of a stream. After its `filter/lzw_flate.rs`, which is after pdf.js.
//! Left out: sound deflate, which a library undoes.

/// Lengths of copies: bits that follow, and the shortest one.
#[rustfmt::skip]
const LENGTHS: [(u8, usize); 29] = [
    (0, 3), (0, 4), (0, 5), (0, 6), (0, 7), (0, 8), (0, 9), (0, 10), (1, 11), (1, 13), (1, 15),
    (1, 17), (2, 19), (2, 23), (2, 27), (2, 31), (3, 35), (3, 43), (3, 51), (3, 59), (4, 67),
    (4, 83), (4, 99), (4, 115), (5, 131), (5, 163), (5, 195), (5, 227), (0, 258),
];

/// Distances of copies: bits that follow, and the shortest one.
#[rustfmt::skip]
const DISTANCES: [(u8, usize); 30] = [
    (0, 1), (0, 2), (0, 3), (0, 4), (1, 5), (1, 7), (2, 9), (2, 13), (3, 17), (3, 25), (4, 33),
    (4, 49), (5, 65), (5, 97), (6, 129), (6, 193), (7, 257), (7, 385), (8, 513), (8, 769),
    (9, 1025), (9, 1537), (10, 2049), (10, 3073), (11, 4097), (11, 6145), (12, 8193), (12, 12289),
    (13, 16385), (13, 24577),
];

/// The order in which lengths of codes for lengths are written.
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// Entries of tables that are made whatever the bound is.
const WORK: usize = 16 << 20;

/// What damaged data unpacks to; `None` for more than `most` bytes, or more work than they are worth.
pub(super) fn mend(data: &[u8], most: usize) -> Option<Vec<u8>> {
    let has_head = super::unpack::has_zlib_head(data);
    let mut inflate = Inflate {
        bits: Bits {
            data: if has_head { &data[2..] } else { data },
            at: 0,
            buffer: 0,
            held: 0,
        },
        out: Vec::new(),
        most,
        work: most.saturating_mul(8).saturating_add(WORK),
    };
    loop {
        if inflate.bits.at >= inflate.bits.data.len() {
            return Some(inflate.out);
        }
        let end = inflate.block();
        if inflate.out.len() > most || inflate.work == 0 {
            return None;
        }
        if end == End::Data {
            return Some(inflate.out);
        }
    }
}

/// What ended.
#[derive(Debug, PartialEq)]
enum End {
    Block,
    /// All that is read.
    Data,
}

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    buffer: u32,
    held: u8,
}

impl Bits<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.data.get(self.at)?;
        self.at += 1;
        Some(*byte)
    }

    /// Fills the buffer; whether there were so many bits.
    fn fill(&mut self, bits: u8) -> bool {
        while self.held < bits {
            let Some(byte) = self.byte() else {
                return false;
            };
            self.buffer |= u32::from(byte) << self.held;
            self.held += 8;
        }
        true
    }

    fn take(&mut self, bits: u8) -> Option<usize> {
        if !self.fill(bits) {
            return None;
        }
        let value = self.buffer & ((1 << bits) - 1);
        self.buffer >>= bits;
        self.held -= bits;
        Some(value as usize)
    }

    fn code(&mut self, table: &Table) -> Option<usize> {
        // At the end, a code may be shorter than the longest one.
        self.fill(table.longest);
        let index = self.buffer & ((1 << table.longest) - 1);
        let (length, value) = *table.codes.get(index as usize)?;
        if length < 1 || self.held < length {
            return None;
        }
        self.buffer >>= length;
        self.held -= length;
        Some(usize::from(value))
    }
}

/// Codes of Huffman by the bits that begin with them: their length and what they stand for.
struct Table {
    codes: Vec<(u8, u16)>,
    longest: u8,
}

impl Table {
    fn of(lengths: &[u8]) -> Self {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        if longest == 0 {
            return Self {
                codes: vec![(0, 0)],
                longest: 1,
            };
        }
        let mut codes = vec![(0, 0); 1 << longest];
        let mut code = 0u32;
        for length in 1..=longest {
            for (value, _) in (0..).zip(lengths).filter(|(_, own)| **own == length) {
                let first = code.reverse_bits() >> (32 - u32::from(length));
                let all = codes.iter_mut().skip(first as usize);
                for place in all.step_by(1 << length) {
                    *place = (length, value);
                }
                code += 1;
            }
            code <<= 1;
        }
        Self { codes, longest }
    }

    fn fixed() -> (Self, Self) {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        (Self::of(&lengths), Self::of(&[5; 30]))
    }
}

struct Inflate<'a> {
    bits: Bits<'a>,
    out: Vec<u8>,
    most: usize,
    /// Entries of tables that may still be made.
    work: usize,
}

impl Inflate<'_> {
    fn block(&mut self) -> End {
        let Some(head) = self.bits.take(3) else {
            return End::Data;
        };
        let end = match head >> 1 {
            0 => self.stored(),
            1 => self.copies(&Table::fixed()),
            2 => match self.tables() {
                Some(tables) => self.copies(&tables),
                None => End::Data,
            },
            _ => End::Data,
        };
        if head & 1 == 1 { End::Data } else { end }
    }

    fn stored(&mut self) -> End {
        (self.bits.buffer, self.bits.held) = (0, 0);
        let head = [(); 4].map(|()| self.bits.byte());
        let [Some(low), Some(high), Some(_), Some(_)] = head else {
            return End::Data;
        };
        let length = usize::from(u16::from_le_bytes([low, high]));
        let rest = &self.bits.data[self.bits.at..];
        self.out.extend_from_slice(&rest[..rest.len().min(length)]);
        self.bits.at += rest.len().min(length);
        if rest.len() < length || rest.is_empty() {
            End::Data
        } else {
            End::Block
        }
    }

    fn copies(&mut self, (codes, distances): &(Table, Table)) -> End {
        let size = codes.codes.len() + distances.codes.len();
        self.work = self.work.saturating_sub(size);
        while self.out.len() <= self.most {
            match self.bits.code(codes) {
                None => return End::Data,
                Some(256) => return End::Block,
                Some(byte @ 0..256) => self.out.push(byte as u8),
                Some(code) => {
                    // What stands for no length is one of nothing.
                    let (bits, least) = LENGTHS.get(code - 257).copied().unwrap_or((0, 0));
                    if self.copy(bits, least, distances).is_none() {
                        return End::Data;
                    }
                }
            }
        }
        End::Data
    }

    fn copy(&mut self, bits: u8, least: usize, distances: &Table) -> Option<()> {
        let length = least + self.bits.take(bits)?;
        let (bits, nearest) = *DISTANCES.get(self.bits.code(distances)?)?;
        let distance = nearest + self.bits.take(bits)?;
        // A copy of what is not there is left out.
        if distance <= self.out.len() {
            for _ in 0..length {
                let byte = self.out[self.out.len() - distance];
                self.out.push(byte);
            }
        }
        Some(())
    }

    /// The tables that a block has itself.
    fn tables(&mut self) -> Option<(Table, Table)> {
        let codes = self.bits.take(5)? + 257;
        let distances = self.bits.take(5)? + 1;
        let order = self.bits.take(4)? + 4;
        let mut lengths = [0; 19];
        for place in &ORDER[..order] {
            lengths[*place] = self.bits.take(3)? as u8;
        }
        let table = Table::of(&lengths);
        let mut lengths: Vec<u8> = Vec::with_capacity(codes + distances);
        while lengths.len() < codes + distances {
            let (length, times) = match self.bits.code(&table)? {
                16 => {
                    let last = lengths.last().copied().unwrap_or(0);
                    (last, self.bits.take(2)? + 3)
                }
                17 => (0, self.bits.take(3)? + 3),
                18 => (0, self.bits.take(7)? + 11),
                length => (length as u8, 1),
            };
            lengths.extend(std::iter::repeat_n(length, times));
        }
        lengths.truncate(codes + distances);
        let (codes, distances) = lengths.split_at(codes);
        Some((Table::of(codes), Table::of(distances)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, ZlibEncoder};

    use super::*;

    fn text() -> Vec<u8> {
        let words = (0..3000u32).map(|i| format!("word {} ", i.wrapping_mul(2_654_435_761) >> 20));
        words.collect::<String>().into_bytes()
    }

    #[test]
    fn sound_data_is_unpacked_as_by_a_library() {
        for text in [text(), b"aaaaaaaaaaaaaaaaaaaaaa".to_vec(), Vec::new()] {
            for level in [
                Compression::none(),
                Compression::fast(),
                Compression::best(),
            ] {
                let mut packed = ZlibEncoder::new(Vec::new(), level);
                packed.write_all(&text).unwrap();
                let zlib = packed.finish().unwrap();
                assert_eq!(mend(&zlib, text.len()), Some(text.clone()));
                let mut packed = DeflateEncoder::new(Vec::new(), level);
                packed.write_all(&text).unwrap();
                let bare = packed.finish().unwrap();
                assert_eq!(mend(&bare, text.len()), Some(text.clone()));
                if !text.is_empty() {
                    assert_eq!(mend(&zlib, text.len() - 1), None);
                }
            }
        }
    }

    #[test]
    fn damage_costs_what_it_damages_and_a_bomb_behind_it_is_bounded() {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&text()).unwrap();
        let zlib = packed.finish().unwrap();
        let begin = mend(&zlib[..zlib.len() / 2], 1 << 20).unwrap();
        assert!(text().starts_with(&begin[..begin.len() - 300]));
        // A copy from before the beginning, at which a library stops, and a block of nothing, which ends with a byte.
        let damage = [2, 2, 0, 0, 0, 0, 0xff, 0xff];
        let mut bomb = DeflateEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(&vec![0; 1 << 22]).unwrap();
        let bomb = [&damage[..], &bomb.finish().unwrap()].concat();
        assert_eq!(mend(&bomb, (1 << 22) - 1), None);
        assert_eq!(mend(&bomb, 1 << 22).map(|data| data.len()), Some(1 << 22));
    }
}
