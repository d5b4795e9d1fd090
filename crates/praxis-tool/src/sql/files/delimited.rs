//! CSV and its kin as a table: values between commas, semicolons, tabs or bars, in UTF-8 or what the bytes look like.
//! Left out: types (`cell`).

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use super::cell::Cell;
use super::{Options, Stop, Wrong};

/// What separates values, the likeliest first.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// Rows that are looked at to find what separates values.
const SAMPLE: usize = 50;

/// The text of a file, ready to be read as rows.
pub(super) struct Delimited {
    text: String,
    delimiter: u8,
    options: Options,
}

impl Delimited {
    /// # Errors
    /// A file that cannot be read.
    pub fn open(path: &Path, options: Options) -> Result<Self, Wrong> {
        let bytes = std::fs::read(path).map_err(|error| Wrong::new(&error))?;
        Ok(Self::new(decoded(bytes), options))
    }

    fn new(text: String, options: Options) -> Self {
        // Excel says on a line of its own what separates values.
        let told = match text.split_once('\n') {
            Some((first, _)) if first.len() <= 6 => match first.trim_end().strip_prefix("sep=") {
                Some(mark) if mark.len() == 1 => {
                    mark.bytes().next().map(|mark| (mark, first.len() + 1))
                }
                _ => None,
            },
            _ => None,
        };
        match told {
            Some((delimiter, begin)) => Self {
                text: text.get(begin..).unwrap_or_default().to_owned(),
                delimiter,
                options,
            },
            None => Self {
                delimiter: sniff(&text),
                text,
                options,
            },
        }
    }

    /// Gives all rows.
    ///
    /// # Errors
    /// A value that is too long, or what `take` fails with.
    pub fn each(&self, take: &mut dyn FnMut(Vec<Cell>) -> Result<(), Stop>) -> Result<(), Stop> {
        for (number, record) in records(&self.text, self.delimiter).enumerate() {
            let cells = record.iter().enumerate().map(|(column, cell)| {
                let cell = match cell {
                    "" => Cell::Empty,
                    text => Cell::Text(text.to_owned()),
                };
                let place = || format!("column {} of row {}", column + 1, number + 1);
                self.options.fitting(cell, place)
            });
            take(cells.collect::<Result<Vec<Cell>, Wrong>>()?)?;
        }
        Ok(())
    }
}

/// Bytes as text: UTF-8, or what they look like (chardetng, the detector of Firefox).
fn decoded(bytes: Vec<u8>) -> String {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => {
            let text = text
                .strip_prefix('\u{feff}')
                .map(str::to_owned)
                .unwrap_or(text);
            return text;
        }
        Err(error) => error.into_bytes(),
    };
    if let Some((encoding, length)) = encoding_rs::Encoding::for_bom(&bytes) {
        let rest = bytes.get(length..).unwrap_or_default();
        return encoding.decode_without_bom_handling(rest).0.into_owned();
    }
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(&bytes, true);
    let encoding = detector.guess(None, chardetng::Utf8Detection::Allow);
    encoding.decode_without_bom_handling(&bytes).0.into_owned()
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
    let mut best = (b',', score(b','));
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
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn rows(bytes: &[u8]) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        let options = Options {
            header: None,
            file_bytes: 1000,
            file_rows: 1000,
            cell_bytes: 1000,
        };
        let table = Delimited::new(decoded(bytes.to_vec()), options);
        table
            .each(&mut |row| {
                let text = |cell: Cell| match cell {
                    Cell::Text(text) => text,
                    _ => String::new(),
                };
                rows.push(row.into_iter().map(text).collect());
                Ok(())
            })
            .unwrap();
        rows
    }

    #[test]
    fn separators_and_charsets_are_found() {
        for bytes in [
            &b"name,city\nAnn,Bonn\n"[..],
            b"\xef\xbb\xbfname;city\r\nAnn;Bonn\r\n",
            b"name\tcity\nAnn\tBonn\n",
            b"sep=|\nname|city\nAnn|Bonn\n",
        ] {
            assert_eq!(
                rows(bytes),
                [["name", "city"], ["Ann", "Bonn"]],
                "{bytes:?}"
            );
        }
        let quoted = rows(b"a,b\n\"x, \"\"y\"\"\",\"two\nlines\"\n");
        assert_eq!(quoted[1], ["x, \"y\"", "two\nlines"]);
        let (chinese, _, _) =
            encoding_rs::GB18030.encode("姓名,城市\n李雷今天去了北京,中华人民共和国北京市\n");
        assert_eq!(rows(&chinese)[0], ["姓名", "城市"]);
    }
}
