//! SentencePiece's `precompiled_charsmap`: character rewriting compiled to a double-array trie.
//!
//! Layout: the trie's size in bytes, its 32-bit units, then the replacements, each ended by a zero
//! byte; a trie value is an offset into the replacements. A unit holds its label in the lowest
//! byte, whether a value follows in bit 8, and the offset to its children from bit 9 upwards.

use std::borrow::Cow;

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
        for (index, byte) in text.iter().enumerate() {
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
        let mut out: Option<String> = None;
        let mut at = 0;
        while let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let rest = &text[at..];
            let plain = character.len_utf8();
            match self.longest(rest.as_bytes()) {
                // A damaged map may match half a character, which is then left alone.
                Some((length, replacement)) if rest.is_char_boundary(length) => {
                    out.get_or_insert_with(|| text[..at].to_owned())
                        .push_str(replacement);
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
