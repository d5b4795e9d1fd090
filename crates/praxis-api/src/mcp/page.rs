//! Pages of lists, and the cursors between them. A cursor is where the page before ended, which stays right when the
//! list changes. Left out: what is listed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rmcp::ErrorData;

/// Entries of a page.
pub(super) const PAGE: usize = 100;

/// The longest cursor that is read.
const LONGEST: usize = 16 << 10;

/// The cursor behind an entry.
pub(super) fn cursor(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(last)
}

/// The entry that a cursor is behind.
///
/// # Errors
/// A cursor that is none.
pub(super) fn read(cursor: &str) -> Result<String, ErrorData> {
    let none = || ErrorData::invalid_params("the cursor is none of this server", None);
    if cursor.len() > LONGEST {
        return Err(none());
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| none())?;
    String::from_utf8(bytes).map_err(|_| none())
}

/// The entries behind a cursor that are a page, and the cursor behind them, where more follow. The entries come with
/// their names, by which they are sorted.
///
/// # Errors
/// A cursor that is none.
pub(super) fn page<'a, T: 'a>(
    all: impl Iterator<Item = (&'a String, &'a T)>,
    at: Option<&str>,
) -> Result<(Vec<&'a T>, Option<String>), ErrorData> {
    let after = at.map(read).transpose()?;
    let is_behind = |name: &String| after.as_ref().is_none_or(|after| name > after);
    let mut rest = all.filter(|(name, _)| is_behind(name));
    let mut entries = Vec::new();
    let mut last = None;
    for (name, entry) in rest.by_ref().take(PAGE) {
        entries.push(entry);
        last = Some(name);
    }
    let more = rest.next().is_some();
    Ok((entries, last.filter(|_| more).map(|name| cursor(name))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_that_is_none_is_refused() {
        for text in ["%", "a", "_w", "/w=="] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&"A".repeat(LONGEST + 1)).is_err());
    }

    proptest! {
        #[test]
        fn pages_together_are_the_list(names in prop::collection::btree_set(".{0,12}", 0..350)) {
            let all: BTreeMap<String, usize> = names.into_iter().zip(0..).collect();
            let (mut seen, mut at) = (Vec::new(), None::<String>);
            loop {
                let (entries, next) = page(all.iter(), at.as_deref()).unwrap();
                prop_assert!(entries.len() <= PAGE);
                seen.extend(entries.into_iter().copied());
                match next {
                    Some(next) => at = Some(next),
                    None => break,
                }
            }
            let whole: Vec<usize> = all.into_values().collect();
            prop_assert_eq!(seen, whole);
        }
    }
}
