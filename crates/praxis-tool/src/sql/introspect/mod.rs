//! What is in a database: tables, columns, keys, comments, how many rows, and some values. Each dialect looks into its
//! own catalogue; what the file says is added here. Left out: who may see it (`access`).

mod mysql;
mod postgres;
mod sqlite;

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use super::access::Globs;
use super::config::TableConfig;
use super::files::Left;
use super::named::Named;
use super::run::Session;
use super::schema::{Column, Dialect, ForeignKey, Schema, Table, find};
use super::{Fault, check};

/// The most tables and columns of a database that are known.
const MAX_TABLES: usize = 5000;
const MAX_COLUMNS: usize = 100_000;

/// Rows of a table that are looked at for values, values that are kept of a column, and their characters.
const SAMPLED: usize = 200;
const MAX_SAMPLES: usize = 5;
const LONGEST_SAMPLE: usize = 40;

/// Columns of a table of which values are looked at, and how long all tables may take.
const SAMPLED_COLUMNS: usize = 60;
const SAMPLING: Duration = Duration::from_secs(10);

/// What is wanted of a database.
pub(super) struct Wanted<'a> {
    pub dialect: Dialect,
    /// `main`, the schemas of PostgreSQL, or the database of MySQL.
    pub places: &'a [String],
    pub include: &'a Globs,
    /// Whether all tables are there but for those that are excluded.
    pub all: bool,
    pub exclude: &'a Globs,
    /// The names of the file, which have to be those of something.
    pub named: &'a Named,
    pub described: &'a BTreeMap<String, TableConfig>,
    /// Whether values are looked at.
    pub samples: bool,
}

/// What was found in a database.
pub(super) struct Looked {
    pub schema: Schema,
    /// What its tables lack of the files that they are made of.
    pub left: Left,
    /// What is likely not as meant in the file, for whoever runs the server.
    pub notes: Vec<String>,
}

/// Looks into a database.
///
/// # Errors
/// What the database says, and a name of the file that is that of nothing.
pub(super) async fn look(session: &mut Session, wanted: &Wanted<'_>) -> Result<Looked, Fault> {
    let (mut tables, left) = match wanted.dialect {
        Dialect::Sqlite => sqlite::tables(session).await?,
        Dialect::Postgres => (
            postgres::tables(session, wanted.places).await?,
            Left::default(),
        ),
        Dialect::Mysql => (mysql::tables(session).await?, Left::default()),
    };
    let notes = wanted.named.check(&tables).map_err(Fault::Call)?;
    tables.retain(|table| {
        let here = wanted.all || wanted.include.table(&table.name);
        let names = wanted.named.spellings(&table.name);
        here && !wanted.exclude.any_table(&names) && !table.columns.is_empty()
    });
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    tables.truncate(MAX_TABLES);
    let mut columns = 0;
    tables.retain(|table| {
        columns += table.columns.len();
        columns <= MAX_COLUMNS
    });
    let names: HashSet<String> = tables.iter().map(|t| t.name.clone()).collect();
    for table in &mut tables {
        table.foreign_keys.retain(|key| names.contains(&key.table));
        describe(table, wanted.described);
    }
    if wanted.samples {
        samples(session, wanted, &mut tables).await;
    }
    Ok(Looked {
        schema: Schema {
            dialect: wanted.dialect,
            tables,
        },
        left,
        notes,
    })
}

/// What the file says goes before what the database says.
fn describe(table: &mut Table, described: &BTreeMap<String, TableConfig>) {
    let Some(name) = find(&table.name, described.keys().map(String::as_str)) else {
        return;
    };
    let Some(config) = described.get(name) else {
        return;
    };
    if let Some(description) = &config.description {
        table.comment = Some(description.clone());
    }
    for column in &mut table.columns {
        let name = find(&column.name, config.columns.keys().map(String::as_str));
        if let Some(text) = name.and_then(|name| config.columns.get(name)) {
            column.comment = Some(text.clone());
        }
    }
}

/// Adds values to columns, as long as that is quick. Nothing depends on them, so that what fails ends it.
async fn samples(session: &mut Session, wanted: &Wanted<'_>, tables: &mut [Table]) {
    let begun = Instant::now();
    for table in tables {
        if begun.elapsed() > SAMPLING {
            return;
        }
        if table.view {
            continue;
        }
        let indexes: Vec<usize> = (0..table.columns.len())
            .filter(|i| table.columns.get(*i).is_some_and(|c| is_telling(&c.kind)))
            .take(SAMPLED_COLUMNS)
            .collect();
        if indexes.is_empty() {
            continue;
        }
        let values: Vec<String> = indexes
            .iter()
            .filter_map(|i| table.columns.get(*i))
            .map(|column| start(wanted.dialect, &check::quoted(wanted.dialect, &column.name)))
            .collect();
        let place = check::placed(wanted.dialect, wanted.places, &table.name);
        let sql = format!("SELECT {} FROM {place} LIMIT {SAMPLED}", values.join(", "));
        let rows = match session.texts(sql, &[]).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::debug!(table = %table.name, %error, "values of a table are not looked at");
                return;
            }
        };
        for (at, i) in indexes.into_iter().enumerate() {
            let Some(column) = table.columns.get_mut(i) else {
                continue;
            };
            for value in rows.iter().filter_map(|row| row.get(at)?.as_deref()) {
                let fits = !value.trim().is_empty()
                    && value.chars().count() <= LONGEST_SAMPLE
                    && !value.chars().any(char::is_control);
                if fits && !column.samples.iter().any(|s| s == value) {
                    column.samples.push(value.to_owned());
                }
                if column.samples.len() == MAX_SAMPLES {
                    break;
                }
            }
        }
    }
}

/// The beginning of a value as text, a character longer than what is kept.
pub(super) fn start(dialect: Dialect, column: &str) -> String {
    let most = LONGEST_SAMPLE + 1;
    match dialect {
        Dialect::Sqlite => format!("substr(CAST({column} AS TEXT), 1, {most})"),
        Dialect::Postgres => format!("left({column}::text, {most})"),
        Dialect::Mysql => format!("LEFT(CAST({column} AS CHAR), {most})"),
    }
}

/// Whether values of a type tell something: texts, dates and words of a list do, numbers and bytes do not.
pub(super) fn is_telling(kind: &str) -> bool {
    const TELLING: [&str; 9] = [
        "char", "text", "clob", "string", "enum", "set", "date", "time", "bool",
    ];
    let lower = kind.to_lowercase();
    // Types of PostgreSQL's own making are mostly enumerations, and columns of SQLite may have none.
    let known = [
        "int", "num", "dec", "real", "double", "float", "blob", "binary", "bytea", "json", "bit",
        "uuid", "xml",
    ];
    TELLING.iter().any(|word| lower.contains(word))
        || !known.iter().any(|word| lower.contains(word))
}

/// A table without anything yet.
fn bare(name: String, comment: Option<String>, rows: Option<u64>, view: bool) -> Table {
    Table {
        name,
        comment: comment.filter(|text| !text.trim().is_empty()),
        columns: Vec::new(),
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        rows,
        view,
    }
}

fn column(name: String, kind: String, nullable: bool, comment: Option<String>) -> Column {
    Column {
        name,
        kind,
        nullable,
        comment: comment.filter(|text| !text.trim().is_empty()),
        samples: Vec::new(),
    }
}

/// Adds a column to the foreign key that it belongs to; keys come one after the other.
fn link(
    keys: &mut Vec<(String, ForeignKey)>,
    id: &str,
    table: String,
    column: String,
    reference: String,
) {
    match keys.last_mut() {
        Some((last, key)) if last == id => {
            key.columns.push(column);
            key.references.push(reference);
        }
        _ => keys.push((
            id.to_owned(),
            ForeignKey {
                columns: vec![column],
                table,
                references: vec![reference],
            },
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_dates_and_lists_tell_something() {
        for (kind, telling) in [
            ("varchar(40)", true),
            ("TEXT", true),
            ("timestamp with time zone", true),
            ("enum('a','b')", true),
            ("mood", true),
            ("", true),
            ("INTEGER", false),
            ("numeric(9,2)", false),
            ("bytea", false),
            ("jsonb", false),
        ] {
            assert_eq!(is_telling(kind), telling, "{kind}");
        }
    }

    #[test]
    fn columns_of_one_key_are_one_key() {
        let mut keys = Vec::new();
        link(&mut keys, "1", "a".into(), "x".into(), "y".into());
        link(&mut keys, "1", "a".into(), "p".into(), "q".into());
        link(&mut keys, "2", "b".into(), "z".into(), "id".into());
        let keys: Vec<ForeignKey> = keys.into_iter().map(|(_, key)| key).collect();
        assert_eq!(keys.len(), 2);
        assert_eq!(
            (keys[0].columns.len(), keys[0].references[1].as_str()),
            (2, "q")
        );
    }
}
