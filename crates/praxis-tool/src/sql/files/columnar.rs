//! Parquet as a table, row by row (<https://parquet.apache.org/docs/>). Left out: rows in rows, which are texts here.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::cell::Cell;
use super::{Options, Stop, Wrong};

/// A file, with the names of its columns.
pub(super) struct Parquet {
    reader: SerializedFileReader<File>,
    options: Options,
}

impl Parquet {
    /// # Errors
    /// A file that is no Parquet.
    pub fn open(path: &Path, options: Options) -> Result<Self, Wrong> {
        let file = File::open(path).map_err(|error| Wrong::new(&error))?;
        let open = AssertUnwindSafe(|| SerializedFileReader::new(file));
        let opened = catch_unwind(open).map_err(|_| Wrong::new(&"its footer is damaged"))?;
        let reader = opened.map_err(|error| Wrong::new(&error))?;
        Ok(Self { reader, options })
    }

    /// Names of its columns.
    pub fn names(&self) -> Vec<String> {
        let schema = self.reader.metadata().file_metadata().schema();
        schema
            .get_fields()
            .iter()
            .map(|field| field.name().to_owned())
            .collect()
    }

    /// Gives all rows.
    ///
    /// # Errors
    /// Rows that cannot be read, a value that is too long, or what `take` fails with.
    pub fn each(&self, take: &mut dyn FnMut(Vec<Cell>) -> Result<(), Stop>) -> Result<(), Stop> {
        // The library panics at some values that are out of bounds.
        let work = AssertUnwindSafe(|| {
            let rows = self
                .reader
                .get_row_iter(None)
                .map_err(|error| Stop::Wrong(Wrong::new(&error)))?;
            for (number, row) in rows.enumerate() {
                let row = row.map_err(|error| Stop::Wrong(Wrong::new(&error)))?;
                let cells = row.into_columns().into_iter().map(|(name, field)| {
                    let place = || format!("column `{name}` of row {}", number + 1);
                    self.options.fitting(value(field), place)
                });
                take(cells.collect::<Result<Vec<Cell>, Wrong>>()?)?;
            }
            Ok(())
        });
        catch_unwind(work)
            .unwrap_or_else(|_| Err(Stop::Wrong(Wrong::new(&"a value of it is out of bounds"))))
    }
}

fn value(field: Field) -> Cell {
    match field {
        Field::Null => Cell::Empty,
        Field::Bool(value) => Cell::Bool(value),
        Field::Byte(value) => Cell::Int(value.into()),
        Field::Short(value) => Cell::Int(value.into()),
        Field::Int(value) => Cell::Int(value.into()),
        Field::Long(value) => Cell::Int(value),
        Field::UByte(value) => Cell::Int(value.into()),
        Field::UShort(value) => Cell::Int(value.into()),
        Field::UInt(value) => Cell::Int(value.into()),
        Field::ULong(value) => {
            i64::try_from(value).map_or_else(|_| Cell::Text(value.to_string()), Cell::Int)
        }
        Field::Float16(value) => Cell::Real(value.to_f64()),
        // By the digits of its own width, so that 1.1 stays 1.1.
        Field::Float(value) => value.to_string().parse().map_or(Cell::Empty, Cell::Real),
        Field::Double(value) => Cell::Real(value),
        Field::Decimal(_) => {
            let digits = field.to_string();
            digits.parse().map_or(Cell::Text(digits), Cell::Real)
        }
        Field::Str(text) => Cell::Text(text),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => Cell::Text(format!("<{} bytes>", bytes.len())),
        },
        Field::Date(_) => Cell::Date(field.to_string()),
        Field::TimestampMillis(_) | Field::TimestampMicros(_) => {
            // The library writes them in UTC, with the zone behind.
            let text = field.to_string();
            let text = text.strip_suffix(" +00:00").unwrap_or(&text);
            let text = text
                .strip_suffix(".000")
                .or_else(|| text.strip_suffix(".000000"))
                .unwrap_or(text);
            Cell::Moment(text.to_owned())
        }
        Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::Group(_)
        | Field::ListInternal(_)
        | Field::MapInternal(_) => Cell::Text(field.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_file() {
        for (field, expected) in [
            (Field::Null, Cell::Empty),
            (Field::Long(7), Cell::Int(7)),
            (
                Field::ULong(u64::MAX),
                Cell::Text("18446744073709551615".to_owned()),
            ),
            (Field::Float(1.1), Cell::Real(1.1)),
            (Field::Str("x".to_owned()), Cell::Text("x".to_owned())),
            (Field::Date(20_455), Cell::Date("2026-01-02".to_owned())),
            (
                Field::TimestampMillis(1_767_323_045_000),
                Cell::Moment("2026-01-02 03:04:05".to_owned()),
            ),
            (
                Field::TimestampMicros(1_767_323_045_500_000),
                Cell::Moment("2026-01-02 03:04:05.500000".to_owned()),
            ),
        ] {
            assert_eq!(value(field.clone()), expected, "{field}");
        }
    }
}
