//! Values of files, what type a column of them has, which row names the columns, and what tables and columns are
//! called. Left out: where the values come from (`delimited`, `workbook`, `parquet`).

use std::collections::HashSet;

/// Rows at the beginning that are looked at to find the names of columns.
pub(super) const HEAD: usize = 10;

/// The most columns of a table: those of SQLite.
pub(super) const MAX_COLUMNS: usize = 2000;

/// The longest name, in bytes.
const MAX_NAME: usize = 60;

/// Words for a value that is missing, in columns of numbers and dates.
const MISSING: [&str; 8] = ["na", "n/a", "null", "none", "nan", "-", "--", "#n/a"];

/// A value of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Empty,
    Bool(bool),
    Int(i64),
    Real(f64),
    /// `YYYY-MM-DD`
    Date(String),
    /// `YYYY-MM-DD HH:MM:SS`
    Moment(String),
    Text(String),
}

impl Cell {
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// Bytes of its text, or of its number.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Bool(_) => 1,
            Self::Int(_) | Self::Real(_) => 8,
            Self::Date(text) | Self::Moment(text) | Self::Text(text) => text.len(),
        }
    }
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    Real,
    Date,
    Datetime,
    Text,
}

impl Kind {
    /// As SQLite is told.
    pub fn declared(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Integer => "INTEGER",
            Self::Real => "REAL",
            Self::Date => "DATE",
            Self::Datetime => "DATETIME",
            Self::Text => "TEXT",
        }
    }
}

/// What texts of a file without types may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Empty,
    Missing,
    Known(Kind),
}

/// What a value is. `typed`: texts are texts whatever they look like.
fn class(cell: &Cell, typed: bool) -> Class {
    match cell {
        Cell::Empty => Class::Empty,
        Cell::Bool(_) => Class::Known(Kind::Boolean),
        Cell::Int(_) => Class::Known(Kind::Integer),
        Cell::Real(_) => Class::Known(Kind::Real),
        Cell::Date(_) => Class::Known(Kind::Date),
        Cell::Moment(_) => Class::Known(Kind::Datetime),
        Cell::Text(text) => {
            let text = text.trim();
            if text.is_empty() {
                Class::Empty
            } else if typed {
                Class::Known(Kind::Text)
            } else if integer(text).is_some() {
                Class::Known(Kind::Integer)
            } else if real(text).is_some() {
                Class::Known(Kind::Real)
            } else if date(text).is_some() {
                Class::Known(Kind::Date)
            } else if moment(text).is_some() {
                Class::Known(Kind::Datetime)
            } else if MISSING.contains(&text.to_lowercase().as_str()) {
                Class::Missing
            } else {
                Class::Known(Kind::Text)
            }
        }
    }
}

/// Which types the values of a column have had.
#[derive(Debug, Clone, Copy, Default)]
struct Guess {
    boolean: bool,
    integer: bool,
    real: bool,
    date: bool,
    datetime: bool,
    text: bool,
}

impl Guess {
    fn see(&mut self, class: Class) {
        match class {
            Class::Empty | Class::Missing => {}
            Class::Known(Kind::Boolean) => self.boolean = true,
            Class::Known(Kind::Integer) => self.integer = true,
            Class::Known(Kind::Real) => self.real = true,
            Class::Known(Kind::Date) => self.date = true,
            Class::Known(Kind::Datetime) => self.datetime = true,
            Class::Known(Kind::Text) => self.text = true,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self {
                integer: true,
                real: false,
                boolean: false,
                date: false,
                datetime: false,
                text: false,
            } => Kind::Integer,
            Self {
                real: true,
                boolean: false,
                date: false,
                datetime: false,
                text: false,
                ..
            } => Kind::Real,
            Self {
                date: true,
                integer: false,
                real: false,
                boolean: false,
                datetime: false,
                text: false,
            } => Kind::Date,
            Self {
                datetime: true,
                integer: false,
                real: false,
                boolean: false,
                text: false,
                ..
            } => Kind::Datetime,
            Self {
                boolean: true,
                integer: false,
                real: false,
                date: false,
                datetime: false,
                text: false,
            } => Kind::Boolean,
            _ => Kind::Text,
        }
    }
}

/// What a table of a file is: found in a first pass over its rows.
pub(super) struct Survey {
    typed: bool,
    header: Option<bool>,
    /// Names that the file has apart from its rows.
    names: Option<Vec<String>>,
    first: Vec<Vec<Cell>>,
    layout: Option<Layout>,
    guesses: Vec<Guess>,
    rows: u64,
}

/// Which rows are which.
#[derive(Debug, Clone, Default, PartialEq)]
struct Layout {
    /// Rows before those of values.
    skip: usize,
    header: Vec<String>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// Rows at the beginning that are no values.
    pub skip: usize,
    /// Name, type, and the name in the file where that is another.
    pub columns: Vec<(String, Kind, Option<String>)>,
    /// Rows of values.
    pub rows: u64,
}

impl Survey {
    /// `header`: whether the file begins with names; `names`: those that it has anyway.
    pub fn new(typed: bool, header: Option<bool>, names: Option<Vec<String>>) -> Self {
        Self {
            typed,
            header,
            names,
            first: Vec::new(),
            layout: None,
            guesses: Vec::new(),
            rows: 0,
        }
    }

    pub fn row(&mut self, row: Vec<Cell>) {
        if self.layout.is_some() {
            return self.values(&row);
        }
        self.first.push(row);
        if self.first.len() == HEAD {
            self.lay_out();
        }
    }

    pub fn finish(mut self) -> Found {
        if self.layout.is_none() {
            self.lay_out();
        }
        let layout = self.layout.unwrap_or_default();
        let width = self.guesses.len().max(layout.header.len()).min(MAX_COLUMNS);
        let mut taken = HashSet::new();
        let columns = (0..width)
            .map(|i| {
                let original = layout.header.get(i).map_or("", |name| name.trim());
                let name = unique(&plain(original, &format!("column_{}", i + 1)), &mut taken);
                let kind = self.guesses.get(i).map_or(Kind::Text, |guess| guess.kind());
                let told = (!original.is_empty() && original != name).then(|| original.to_owned());
                (name, kind, told)
            })
            .collect();
        Found {
            skip: layout.skip,
            columns,
            rows: self.rows,
        }
    }

    fn values(&mut self, row: &[Cell]) {
        if row.iter().all(Cell::is_empty) {
            return;
        }
        self.rows += 1;
        let width = row.len().min(MAX_COLUMNS);
        if self.guesses.len() < width {
            self.guesses.resize(width, Guess::default());
        }
        for (guess, cell) in self.guesses.iter_mut().zip(row) {
            guess.see(class(cell, self.typed));
        }
    }

    fn lay_out(&mut self) {
        let first = std::mem::take(&mut self.first);
        let layout = match &self.names {
            Some(names) => Layout {
                skip: 0,
                header: names.clone(),
            },
            None => layout(&first, self.header),
        };
        let skip = layout.skip;
        self.layout = Some(layout);
        for row in first.iter().skip(skip) {
            self.values(row);
        }
    }
}

/// Titles above a table, of one cell each, are skipped, and the first row then names the columns if it is told to, or
/// if all of its cells are texts and no two are the same.
fn layout(rows: &[Vec<Cell>], header: Option<bool>) -> Layout {
    let filled = |row: &[Cell]| row.iter().filter(|cell| !cell.is_empty()).count();
    let widest = rows.iter().map(|row| filled(row)).max().unwrap_or(0);
    let title = |row: &&Vec<Cell>| widest > 1 && filled(row) <= 1;
    let skip = rows.iter().take_while(title).count();
    let Some(row) = rows.get(skip) else {
        return Layout {
            skip,
            header: Vec::new(),
        };
    };
    let names: Vec<String> = row.iter().map(shown).collect();
    let mut seen = HashSet::new();
    let alike = row
        .iter()
        .zip(&names)
        .filter(|(cell, _)| !cell.is_empty())
        .all(|(cell, name)| {
            matches!(class(cell, false), Class::Known(Kind::Text))
                && seen.insert(name.trim().to_lowercase())
        });
    let named = header.unwrap_or(alike && filled(row) > 0 && rows.len() > skip + 1);
    Layout {
        skip: skip + usize::from(named),
        header: if named { names } else { Vec::new() },
    }
}

/// A value as text.
fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::Real(value) => value.to_string(),
        Cell::Date(text) | Cell::Moment(text) | Cell::Text(text) => text.clone(),
    }
}

/// A value as its column has it.
pub(super) fn fitted(cell: Cell, kind: Kind) -> Cell {
    match (kind, cell) {
        (_, cell) if cell.is_empty() => Cell::Empty,
        (Kind::Integer, Cell::Text(text)) => integer(text.trim()).map_or(Cell::Empty, Cell::Int),
        (Kind::Real, Cell::Text(text)) => {
            let text = text.trim();
            let whole = || integer(text).map(|number| number as f64);
            real(text).or_else(whole).map_or(Cell::Empty, Cell::Real)
        }
        (Kind::Real, Cell::Int(value)) => Cell::Real(value as f64),
        (Kind::Date, Cell::Text(text)) => date(text.trim()).map_or(Cell::Empty, Cell::Date),
        (Kind::Datetime, Cell::Date(day)) => Cell::Moment(format!("{day} 00:00:00")),
        (Kind::Datetime, Cell::Text(text)) => {
            let text = text.trim();
            let day = || date(text).map(|day| format!("{day} 00:00:00"));
            moment(text).or_else(day).map_or(Cell::Empty, Cell::Moment)
        }
        (Kind::Text, Cell::Text(text)) => Cell::Text(text),
        (Kind::Text, cell) => Cell::Text(shown(&cell)),
        (_, cell) => cell,
    }
}

/// A whole number. One with zeros before it is a code, and one of more digits than a column of numbers takes is a text.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain =
        !digits.is_empty() && digits.len() <= 18 && digits.bytes().all(|b| b.is_ascii_digit());
    let code = digits.len() > 1 && digits.starts_with('0');
    if plain && !code {
        text.parse().ok()
    } else {
        None
    }
}

/// A number with a decimal point.
fn real(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.')?;
    let all = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let code = whole.len() > 1 && whole.starts_with('0');
    let plain = all(whole) && all(part) && !part.is_empty() && digits.len() <= 40;
    if plain && !code {
        text.parse().ok()
    } else {
        None
    }
}

/// A day as ISO 8601 writes it, also with slashes.
fn date(text: &str) -> Option<String> {
    let mut parts = text.split(['-', '/']);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let all = |text: &str, length: std::ops::RangeInclusive<usize>| {
        length.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    if parts.next().is_some() || !all(year, 4..=4) || !all(month, 1..=2) || !all(day, 1..=2) {
        return None;
    }
    let date =
        jiff::civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    Some(format!(
        "{:04}-{:02}-{:02}",
        date.year(),
        date.month(),
        date.day()
    ))
}

/// A day and a time of it, as SQLite's functions read them; what is behind the seconds stays.
fn moment(text: &str) -> Option<String> {
    let (day, time) = text.split_once(['T', ' '])?;
    let day = date(day)?;
    let (clock, rest) = time.split_at(
        time.find(|c: char| !c.is_ascii_digit() && c != ':')
            .unwrap_or(time.len()),
    );
    let parts: Vec<&str> = clock.split(':').collect();
    let below =
        |text: &str, most: u32| text.len() == 2 && text.parse::<u32>().is_ok_and(|n| n < most);
    let seconds = match parts.as_slice() {
        [hours, minutes] if below(hours, 24) && below(minutes, 60) => "00",
        [hours, minutes, seconds]
            if below(hours, 24) && below(minutes, 60) && below(seconds, 60) =>
        {
            *seconds
        }
        _ => return None,
    };
    let zone = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'Z' | '+' | '-' | ':');
    if !rest.chars().all(zone) || rest.len() > 16 {
        return None;
    }
    let (hours, minutes) = (parts.first()?, parts.get(1)?);
    Some(format!("{day} {hours}:{minutes}:{seconds}{rest}"))
}

/// A name of small letters, digits and `_`, in any script.
pub(super) fn plain(name: &str, otherwise: &str) -> String {
    let mut plain = String::new();
    for c in name.trim().chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            plain.push(c);
        } else if !plain.ends_with('_') && !plain.is_empty() {
            plain.push('_');
        }
    }
    let mut end = plain.len().min(MAX_NAME);
    while !plain.is_char_boundary(end) {
        end -= 1;
    }
    plain.truncate(end);
    let plain = plain.trim_end_matches('_');
    if plain.is_empty() {
        return otherwise.to_owned();
    }
    if plain.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("c_{plain}");
    }
    plain.to_owned()
}

/// A name that no other has.
pub(super) fn unique(name: &str, taken: &mut HashSet<String>) -> String {
    let mut found = name.to_owned();
    for i in 2.. {
        if taken.insert(found.clone()) {
            break;
        }
        found = format!("{name}_{i}");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Vec<Cell>> {
        let cells = |line: &str| {
            line.split(',')
                .map(|cell| Cell::Text(cell.to_owned()))
                .collect()
        };
        text.lines().map(cells).collect()
    }

    fn found(text: &str, header: Option<bool>) -> Found {
        let mut survey = Survey::new(false, header, None);
        for row in rows(text) {
            survey.row(row);
        }
        survey.finish()
    }

    fn columns(text: &str) -> Vec<(String, &'static str)> {
        let columns = found(text, None).columns.into_iter();
        columns
            .map(|(name, kind, _)| (name, kind.declared()))
            .collect()
    }

    #[test]
    fn types_are_those_that_all_values_have() {
        let text = "Id,Price,Zip,Day,At,Name,Mixed,Gone\n1,1.50,01234,2026-01-02,2026-01-02T03:04,Ann,1,\n\
                    2,2,56789,2026/1/3,2026-01-03 04:05:06Z,Bo,x,\n-3,NA,00001,,2026-01-04,,2.5,";
        let expected = [
            ("id", "INTEGER"),
            ("price", "REAL"),
            ("zip", "TEXT"),
            ("day", "DATE"),
            ("at", "DATETIME"),
            ("name", "TEXT"),
            ("mixed", "TEXT"),
            ("gone", "TEXT"),
        ];
        let expected: Vec<(String, &str)> = expected
            .iter()
            .map(|(n, k)| ((*n).to_owned(), *k))
            .collect();
        assert_eq!(columns(text), expected);
    }

    #[test]
    fn the_row_of_names_is_found_or_told() {
        assert_eq!(found("a,b\n1,2", None).skip, 1);
        assert_eq!(found("1,2\n3,4", None).skip, 0);
        assert_eq!(found("1,2\n3,4", None).columns[1].0, "column_2");
        // Two columns of one name, and a row of texts alone.
        assert_eq!(found("a,a\n1,2", None).skip, 0);
        assert_eq!(found("a,b", None).skip, 0);
        assert_eq!(found("a,b\nc,d", Some(false)).skip, 0);
        assert_eq!(found("2024,2025\n1,2", Some(true)).columns[0].0, "c_2024");
        // Titles above a table.
        let titled = found(
            "Sales of 2025,,\n,,\nregion,amount,day\nn,1,2026-01-01",
            None,
        );
        assert_eq!((titled.skip, titled.rows), (3, 1));
        assert_eq!(
            titled.columns[1],
            ("amount".to_owned(), Kind::Integer, None)
        );
    }

    #[test]
    fn names_are_plain_and_their_own() {
        for (name, expected) in [
            ("Unit Price (€)", "unit_price"),
            ("  客户 姓名 ", "客户_姓名"),
            ("2024", "c_2024"),
            ("%", "column_1"),
            ("DROP TABLE x; --", "drop_table_x"),
        ] {
            assert_eq!(plain(name, "column_1"), expected, "{name}");
        }
        let mut taken = HashSet::new();
        let names: Vec<String> = ["a", "a", "a_2", "a"]
            .iter()
            .map(|n| unique(n, &mut taken))
            .collect();
        assert_eq!(names, ["a", "a_2", "a_2_2", "a_3"]);
        let original = found("Unit Price,b\n1,2", None).columns.remove(0);
        assert_eq!(original.2.as_deref(), Some("Unit Price"));
    }

    #[test]
    fn values_become_what_their_column_is() {
        for (text, kind, expected) in [
            ("7", Kind::Real, Cell::Real(7.0)),
            ("7.5", Kind::Real, Cell::Real(7.5)),
            ("NA", Kind::Real, Cell::Empty),
            ("NA", Kind::Integer, Cell::Empty),
            ("2026/1/2", Kind::Date, Cell::Date("2026-01-02".to_owned())),
            (
                "2026-01-02",
                Kind::Datetime,
                Cell::Moment("2026-01-02 00:00:00".to_owned()),
            ),
            (
                "2026-01-02T03:04:05.5Z",
                Kind::Datetime,
                Cell::Moment("2026-01-02 03:04:05.5Z".to_owned()),
            ),
            (" ", Kind::Text, Cell::Empty),
            ("NA", Kind::Text, Cell::Text("NA".to_owned())),
        ] {
            let value = Cell::Text(text.to_owned());
            assert_eq!(fitted(value, kind), expected, "{text}");
        }
        assert_eq!(fitted(Cell::Int(7), Kind::Text), Cell::Text("7".to_owned()));
        assert_eq!(fitted(Cell::Int(7), Kind::Real), Cell::Real(7.0));
        for text in [
            "2026-13-01",
            "26-01-01",
            "2026-01-01-01",
            "1/2/2026",
            "x",
            "",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
        for text in [
            "2026-01-01 25:00",
            "2026-01-01 1:00",
            "2026-01-01 10:00 Uhr",
            "2026-01-01",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
