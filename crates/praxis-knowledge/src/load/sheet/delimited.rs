//! CSV and its kin: values between commas, semicolons, tabs or bars. The first row counts as header.

use csv::{ReaderBuilder, StringRecord};

use super::{Tables, Wanted};
use crate::document::LoadedDocument;
use crate::load::{LoadError, LoadLimits};

/// What separates values, the likeliest first.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// Rows that are looked at to find what separates values.
const SAMPLE: usize = 50;

/// The document of a table in text.
///
/// # Errors
/// [`LoadError::TooLarge`] for more text than the limit.
pub(in crate::load) fn load(
    text: &str,
    name: &str,
    limits: LoadLimits,
) -> Result<LoadedDocument, LoadError> {
    // Excel says on a line of its own what separates values.
    let (told, text) = match text.split_once('\n') {
        Some((first, rest)) if first.len() <= 6 => match first.trim_end().strip_prefix("sep=") {
            Some(mark) if mark.len() == 1 => (mark.bytes().next(), rest),
            _ => (None, text),
        },
        _ => (None, text),
    };
    let delimiter = told.unwrap_or_else(|| sniff(text));
    let mut tables = Tables::new(limits);
    'rows: for (number, record) in (0u32..).zip(records(text, delimiter)) {
        for (column, text) in (0u32..).zip(&record) {
            if tables.cell(number, column, text)? == Wanted::Enough {
                break 'rows;
            }
        }
    }
    let (builder, notes) = tables.finish()?;
    let mut document = builder.finish(None, name);
    document.notes = notes;
    Ok(document)
}

fn records(text: &str, delimiter: u8) -> impl Iterator<Item = StringRecord> + '_ {
    ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
        .into_records()
        .map_while(Result::ok)
}

/// The delimiter by which most rows have the same number of values.
fn sniff(text: &str) -> u8 {
    let score = |delimiter: u8| {
        let lengths: Vec<usize> = records(text, delimiter)
            .take(SAMPLE)
            .map(|record| record.len())
            .collect();
        let alike = |n: usize| lengths.iter().filter(|l| **l == n).count();
        let best = lengths.iter().copied().max_by_key(|n| (alike(*n), *n));
        // Rows of one value say nothing of what separates values.
        best.filter(|n| *n > 1).map_or((0, 0), |n| (alike(n), n))
    };
    let mut best = (DELIMITERS[0], score(DELIMITERS[0]));
    for delimiter in &DELIMITERS[1..] {
        let found = score(*delimiter);
        if found > best.1 {
            best = (*delimiter, found);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_the_one_that_makes_rows_alike() {
        for (text, expected) in [
            ("a,b\n1,2\n", b','),
            ("a;b\n1,5;2,5\n3,1;4\n", b';'),
            ("a\tb, c\n1\t2\n", b'\t'),
            ("a|b|c\n1|2|3\n", b'|'),
            ("\"x;y\",b\n\"p;q\",2\n", b','),
            ("alone\n", b','),
        ] {
            assert_eq!(sniff(text), expected, "{text}");
        }
    }
}
