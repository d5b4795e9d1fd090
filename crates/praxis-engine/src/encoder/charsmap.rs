//! SentencePiece's `precompiled_charsmap`: character rewriting compiled to a double-array trie.
//!
//! Layout: the trie's size in bytes, its 32-bit units, then the replacements, each ended by a zero
//! byte; a trie value is an offset into the replacements. A unit holds its label in the lowest
//! byte, whether a value follows in bit 8, and the offset to its children from bit 9 upwards.

use std::borrow::Cow;

/// Bytes of the longest text that is replaced as one: maps in use have up to 20.
const KEY: usize = 128;

/// Bytes of the longest replacement: Unicode's longest has 33.
const REPLACEMENT: usize = 256;

/// How many times longer a rewritten text may be: of Unicode's it is 11 times at most. What lies beyond is not read.
const LONGER: usize = 16;

/// Rewrites text by the longest match at each position.
#[derive(Debug, Default)]
pub(crate) struct Charsmap {
    units: Vec<u32>,
    replacements: String,
}

impl Charsmap {
    /// From the bytes of the metadata value; the error says what is wrong with them.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let Some((size, rest)) = bytes.split_first_chunk::<4>() else {
            return Err("it is shorter than its own header");
        };
        let size = u32::from_le_bytes(*size) as usize;
        let Some((trie, replacements)) = rest.split_at_checked(size) else {
            return Err("its trie is longer than itself");
        };
        let (units, odd) = trie.as_chunks::<4>();
        if units.is_empty() || !odd.is_empty() {
            return Err("its trie is not a sequence of 32-bit units");
        }
        let replacements =
            std::str::from_utf8(replacements).map_err(|_| "its replacements are not UTF-8")?;
        if replacements.split('\0').any(|one| one.len() > REPLACEMENT) {
            return Err("one of its replacements has more than 256 bytes");
        }
        Ok(Self {
            units: units.iter().map(|raw| u32::from_le_bytes(*raw)).collect(),
            replacements: replacements.to_owned(),
        })
    }

    /// The length of the longest key that `text` starts with, and what replaces it.
    fn longest(&self, text: &[u8]) -> Option<(usize, &str)> {
        let children = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
        let mut at = children(*self.units.first()?);
        let mut found = None;
        for (index, byte) in text.iter().take(KEY).enumerate() {
            at ^= usize::from(*byte);
            let Some(unit) = self.units.get(at).copied() else {
                break;
            };
            // A value unit has bit 31 set and so matches no label; zero is no label either.
            if *byte == 0 || unit & 0x8000_00FF != u32::from(*byte) {
                break;
            }
            at ^= children(unit);
            if unit & (1 << 8) != 0 {
                let value = self.units.get(at).map_or(0, |value| value & 0x7FFF_FFFF) as usize;
                let replacement = self.replacements.get(value..).unwrap_or_default();
                let end = replacement.find('\0').unwrap_or(replacement.len());
                found = Some((index + 1, &replacement[..end]));
            }
        }
        found
    }

    /// The text with every match replaced.
    pub(crate) fn rewrite<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let most = text.len().saturating_mul(LONGER) + REPLACEMENT;
        let mut out: Option<String> = None;
        let mut at = 0;
        while let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let rest = &text[at..];
            let plain = character.len_utf8();
            match self.longest(rest.as_bytes()) {
                // A damaged map may match half a character, which is then left alone.
                Some((length, replacement)) if rest.is_char_boundary(length) => {
                    let out = out.get_or_insert_with(|| text[..at].to_owned());
                    if out.len() + replacement.len() > most {
                        break;
                    }
                    out.push_str(replacement);
                    at += length;
                }
                _ => {
                    if let Some(out) = &mut out {
                        out.push(character);
                    }
                    at += plain;
                }
            }
        }
        out.map_or(Cow::Borrowed(text), Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units of a map that replaces the byte `a` by what is at the beginning of the replacements.
    fn units() -> Vec<u32> {
        let label = u32::from(b'a');
        let mut units = vec![0; 256];
        // The root's children begin at 1, those of `a` at the place of its unit with the lowest bit turned.
        units[0] = 1 << 10;
        units[1 ^ label as usize] = label | (1 << 8) | (1 << 10);
        let value = (1 ^ label as usize) ^ 1;
        units[value] = 0x8000_0000;
        units
    }

    fn map(units: &[u32], replacements: &[u8]) -> Result<Charsmap, &'static str> {
        let mut bytes = ((units.len() * 4) as u32).to_le_bytes().to_vec();
        bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        bytes.extend(replacements);
        Charsmap::parse(&bytes)
    }

    #[test]
    fn a_map_of_long_replacements_is_refused_and_one_of_shorter_ones_does_not_fill_the_memory() {
        let map_of = |length: usize| {
            let mut replacement = vec![b'x'; length];
            replacement.push(0);
            map(&units(), &replacement)
        };
        assert!(map_of(REPLACEMENT + 1).unwrap_err().contains("256 bytes"));
        let map = map_of(REPLACEMENT).unwrap();
        assert_eq!(map.rewrite("bab"), format!("b{}b", "x".repeat(REPLACEMENT)));
        let rewritten = map.rewrite(&"a".repeat(10_000)).len();
        assert!((100_000..=160_256).contains(&rewritten), "{rewritten}");
    }

    #[test]
    fn a_map_whose_tree_leads_back_into_itself_is_left_after_the_longest_key() {
        let label = u32::from(b'a');
        // Whatever comes, the next unit is that of `a` again, and a key may end there.
        let mut units = vec![label | (1 << 8) | (label << 10); 256];
        units[0] = 1 << 10;
        let map = map(&units, b"x\0").unwrap();
        let found = map.longest(&[b'a'; 10 * KEY]);
        assert_eq!(found.map(|(length, _)| length), Some(KEY));
    }
}
