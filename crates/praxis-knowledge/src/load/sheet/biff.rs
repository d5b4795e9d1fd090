//! BIFF8, the records that XLS is made of: numbers, texts, and the table of texts that cells share. Left
//! out: what the records mean.

/// The records of a stream: their kind and data.
pub(super) fn records(data: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (kind, length) = (short(rest, 0)?, short(rest, 2)?);
        let record = rest.get(4..4 + usize::from(length))?;
        rest = &rest[4 + record.len()..];
        Some((kind, record))
    })
}

/// A number in four bytes: the upper ones of a float, or an integer, perhaps in hundredths.
pub(super) fn unpack(rk: u32) -> f64 {
    let value = match rk & 2 {
        0 => f64::from_bits(u64::from(rk & !3) << 32),
        _ => f64::from((rk as i32) >> 2),
    };
    if rk & 1 == 1 { value / 100.0 } else { value }
}

/// Two bytes as a number.
pub(super) fn short(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

/// Four bytes as a number.
pub(super) fn long(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

/// Eight bytes as a number.
pub(super) fn double(data: &[u8], at: usize) -> Option<f64> {
    Some(f64::from_le_bytes(data.get(at..at + 8)?.try_into().ok()?))
}

/// A text with two bytes of length and one of flags before it.
pub(super) fn long_text(data: &[u8]) -> Option<String> {
    let (length, flags) = (short(data, 0)?, data.get(2)?);
    Some(characters(&data[3..], usize::from(length), flags & 1 == 1).0)
}

/// So many characters, in two bytes each or in one; and how many there were.
pub(super) fn characters(data: &[u8], length: usize, wide: bool) -> (String, usize) {
    if wide {
        let units: Vec<u16> = data
            .chunks_exact(2)
            .take(length)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        (String::from_utf16_lossy(&units), units.len())
    } else {
        let bytes = &data[..data.len().min(length)];
        (bytes.iter().map(|b| char::from(*b)).collect(), bytes.len())
    }
}

/// The table of shared texts, which goes on from record to record.
pub(super) struct Strings<'a> {
    parts: Vec<&'a [u8]>,
    part: usize,
    at: usize,
}

impl<'a> Strings<'a> {
    /// The table in these records.
    pub fn new(parts: Vec<&'a [u8]>) -> Self {
        Self {
            parts,
            part: 0,
            at: 0,
        }
    }

    /// All of its texts.
    pub fn read(mut self) -> Vec<String> {
        self.skip(8);
        let mut all = Vec::new();
        while let Some(text) = self.next() {
            all.push(text);
        }
        all
    }

    fn next(&mut self) -> Option<String> {
        let length = usize::from(self.bytes::<2>().map(u16::from_le_bytes)?);
        let [mut flags] = self.bytes::<1>()?;
        let runs = match flags & 8 {
            0 => 0,
            _ => usize::from(self.bytes::<2>().map(u16::from_le_bytes)?) * 4,
        };
        let extra = match flags & 4 {
            0 => 0,
            _ => self.bytes::<4>().map(u32::from_le_bytes)? as usize,
        };
        let mut text = String::new();
        let mut left = length;
        while left > 0 {
            let rest = self.parts.get(self.part)?.get(self.at..)?;
            let (piece, count) = characters(rest, left, flags & 1 == 1);
            text.push_str(&piece);
            left -= count;
            self.at += count * if flags & 1 == 1 { 2 } else { 1 };
            if left > 0 {
                // The rest is in the next record, and may be of another width.
                self.part += 1;
                flags = *self.parts.get(self.part)?.first()?;
                self.at = 1;
            }
        }
        self.skip(runs.saturating_add(extra));
        Some(text)
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        if self.at >= self.parts.get(self.part)?.len() {
            self.part += 1;
            self.at = 0;
        }
        let found = self.parts.get(self.part)?.get(self.at..self.at + N)?;
        self.at += N;
        found.try_into().ok()
    }

    fn skip(&mut self, mut count: usize) {
        while let Some(part) = self.parts.get(self.part) {
            let here = part.len().saturating_sub(self.at);
            if count <= here {
                self.at += count;
                return;
            }
            count -= here;
            self.part += 1;
            self.at = 0;
        }
    }
}

/// The formats that need no record of their own.
pub(super) fn built_in(id: u16) -> &'static str {
    match id {
        1 => "0",
        2 => "0.00",
        3 | 37 | 38 => "#,##0",
        4 | 39 | 40 => "#,##0.00",
        9 => "0%",
        10 => "0.00%",
        14..=17 | 27..=31 | 34..=36 | 50..=58 => "yyyy-mm-dd",
        18..=21 | 32 | 33 | 45 => "h:mm",
        22 => "yyyy-mm-dd h:mm",
        46 => "[h]:mm:ss",
        _ => "",
    }
}
