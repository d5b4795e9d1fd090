//! Globs of paths as their users know them from elsewhere: `*` and `?` stay within a folder, `**` crosses folders.
//! Left out: what is compared with them.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// What is written for a `**` that is not the whole name of a folder, as in `manual:**`. `globset` takes such a one
/// for two `*`, which would stay within a folder.
const ANYTHING: &str = "{*,*/**/*}";

/// A glob of paths: `*` and `?` fit no `/`, `**` fits everything wherever it stands.
///
/// # Errors
/// What is wrong with it.
pub fn path_glob(text: &str) -> Result<Glob, globset::Error> {
    // What is wrong is told of what its owner wrote.
    Glob::new(text)?;
    GlobBuilder::new(&crossing(text))
        .literal_separator(true)
        .build()
}

/// A set of globs of paths.
pub(crate) fn path_globs(globs: &[String]) -> Result<GlobSet, globset::Error> {
    set(globs.iter().map(|glob| path_glob(glob)))
}

/// A set of globs of web addresses. Their `*` crosses `/`, which is part of many a query.
pub(crate) fn address_globs(globs: &[String]) -> Result<GlobSet, globset::Error> {
    set(globs.iter().map(|glob| Glob::new(glob)))
}

fn set(
    globs: impl Iterator<Item = Result<Glob, globset::Error>>,
) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(glob?);
    }
    set.build()
}

/// A glob whose every `**` crosses folders for `globset` too.
fn crossing(text: &str) -> String {
    let glob: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let (mut at, mut braces) = (0, 0usize);
    while let Some(&c) = glob.get(at) {
        let end = match c {
            // What is escaped stands for itself.
            '\\' => at + 2,
            '[' => class_end(&glob, at),
            '*' => at + glob[at..].iter().take_while(|c| **c == '*').count(),
            _ => at + 1,
        };
        let end = end.min(glob.len());
        match c {
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            _ => {}
        }
        if c == '*' && end - at > 1 && !is_folders(&glob, at, end, braces > 0) {
            out.push_str(ANYTHING);
        } else {
            out.extend(&glob[at..end]);
        }
        at = end;
    }
    out
}

/// Whether the stars of a place are one `**` that stands for whole folders, as `globset` sees it.
fn is_folders(glob: &[char], at: usize, end: usize, inside: bool) -> bool {
    let before = at.checked_sub(1).map(|i| glob[i]);
    let after = glob.get(end).copied();
    let begins = match before {
        None => true,
        Some(c) => inside && matches!(c, '{' | ','),
    };
    let is_name = if begins {
        matches!(after, None | Some('/'))
    } else {
        before == Some('/')
            && (matches!(after, None | Some('/')) || inside && matches!(after, Some(',' | '}')))
    };
    end - at == 2 && is_name
}

/// Where a class ends that begins at a place: behind its `]`, which is one of its characters where it comes first.
fn class_end(glob: &[char], at: usize) -> usize {
    let negated = matches!(glob.get(at + 1), Some('!' | '^'));
    let second = at + 2 + usize::from(negated);
    let rest = glob.get(second..).unwrap_or_default();
    let closing = rest.iter().position(|c| *c == ']');
    closing.map_or(glob.len(), |found| second + found + 1)
}

#[cfg(test)]
mod tests;
