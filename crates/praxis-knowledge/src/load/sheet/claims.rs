//! What a workbook claims of itself, looked at before calamine is told to believe it: how many texts its cells share, for
//! which room is made at once, and its styles, each of which gets a copy of its font and its format. Left out: what the
//! parts say otherwise.

use crate::load::package::Package;
use crate::load::{LoadError, LoadLimits};

/// The least bytes of a shared text: `<si/>`.
const LEAST_TEXT: usize = 5;

/// Styles beyond which a workbook is none: Excel allows about 64,000.
const MOST_STYLES: usize = 200_000;

/// Bytes that the names of fonts and formats may take in all styles together, whatever the limit is: those of the most
/// styles and the longest format that Excel allows.
const MOST_NAMES: u64 = 32 << 20;

/// Refuses a workbook whose claims are larger than it is.
///
/// # Errors
/// [`LoadError::Damaged`], [`LoadError::TooLarge`].
pub(super) fn check(package: &mut Package<'_>, limits: LoadLimits) -> Result<(), LoadError> {
    let ends_with = |name: &str, end: &str| name.to_ascii_lowercase().ends_with(end);
    let names: Vec<String> = package.names().collect();
    for name in &names {
        if ends_with(name, "sharedstrings.xml") {
            texts(name, &part(package, name)?)?;
        } else if ends_with(name, "styles.xml") {
            styles(name, &part(package, name)?, limits)?;
        }
    }
    Ok(())
}

/// A part as the text that calamine reads, too: one in an encoding of its own could say something else to it.
fn part(package: &mut Package<'_>, name: &str) -> Result<String, LoadError> {
    let text = package.part(name)?.unwrap_or_default();
    if text.contains('\0') {
        return Err(LoadError::Damaged(format!("{name} is not UTF-8")));
    }
    Ok(text)
}

fn texts(name: &str, part: &str) -> Result<(), LoadError> {
    const COUNT: &str = "uniqueCount";
    for (at, _) in part.match_indices(COUNT) {
        let value = part[at + COUNT.len()..].trim_start_matches(|c: char| {
            c.is_ascii_whitespace() || matches!(c, '=' | '"' | '\'' | '+')
        });
        let digits = value.bytes().take_while(u8::is_ascii_digit).count();
        // One that is no number, or too large for one, is no claim.
        let claimed: usize = value[..digits].parse().unwrap_or(0);
        if claimed > part.len() / LEAST_TEXT {
            return Err(LoadError::Damaged(format!(
                "{name} says that it has {claimed} texts, more than it has room for"
            )));
        }
    }
    Ok(())
}

fn styles(name: &str, part: &str, limits: LoadLimits) -> Result<(), LoadError> {
    let names = part.match_indices("xf").map(|(at, _)| &part[..at]);
    let count = names.filter(|before| before.ends_with(['<', ':'])).count();
    if count > MOST_STYLES {
        return Err(LoadError::Damaged(format!(
            "{name} has more than {MOST_STYLES} styles"
        )));
    }
    let copied = (count as u64).saturating_mul(longest_value(part) as u64);
    let limit = limits.max_bytes.max(MOST_NAMES);
    if copied > limit {
        return Err(LoadError::TooLarge {
            size: copied,
            limit,
        });
    }
    Ok(())
}

/// Bytes of the longest attribute.
fn longest_value(part: &str) -> usize {
    let (mut longest, mut open) = (0, None);
    for (at, byte) in part.bytes().enumerate() {
        match (open, byte) {
            (None, b'"' | b'\'') => open = Some((byte, at)),
            (Some((quote, begin)), byte) if quote == byte => {
                longest = longest.max(at - begin);
                open = None;
            }
            // Quotes between elements are text.
            (Some(_), b'<') => open = None,
            _ => {}
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_texts_that_the_part_has_no_room_for_is_refused() {
        for (part, sound) in [
            ("<sst count=\"9\" uniqueCount=\"1\"><si/></sst>", true),
            ("<sst><si><t>uniqueCount</t></si></sst>", true),
            ("<sst uniqueCount=\"10000000000\"><si/></sst>", false),
            ("<sst uniqueCount = '500'/>", false),
        ] {
            assert_eq!(texts("s.xml", part).is_ok(), sound, "{part}");
        }
    }

    #[test]
    fn styles_that_copy_a_long_name_are_refused() {
        let limits = LoadLimits::default();
        let long = "n".repeat(1 << 20);
        let part = |xfs: usize, name: &str| {
            format!(
                "<fonts><name val=\"{name}\"/></fonts>{}",
                "<xf/>".repeat(xfs)
            )
        };
        assert_eq!(styles("s.xml", &part(60_000, "Calibri"), limits), Ok(()));
        assert_eq!(styles("s.xml", &part(9, &long), limits), Ok(()));
        for many in [part(1000, &long), part(MOST_STYLES + 1, "")] {
            assert!(styles("s.xml", &many, limits).is_err());
        }
    }
}
