//! SQLite's catalogue, by its table-valued pragmas (<https://www.sqlite.org/pragma.html>). Left out: comments, which
//! SQLite does not keep; those of files that were made tables are in a table of their own.

use std::collections::HashMap;

use super::{bare, column, link};
use crate::sql::files::{LEFT, Left, NOTES};
use crate::sql::run::{Session, Texts};
use crate::sql::schema::{ForeignKey, Table};
use crate::sql::{Dialect, Fault, check};

/// Rows that are counted.
const MAX_COUNT: u64 = 1_000_000;

/// The tables, and what files that were made tables lack.
pub(super) async fn tables(session: &mut Session) -> Result<(Vec<Table>, Left), Fault> {
    let sql = "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') \
               AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    let mut tables = Vec::new();
    let (mut noted, mut lacking) = (false, false);
    for row in session.texts(sql.to_owned(), &[]).await? {
        let [Some(name), kind] = row.as_slice() else {
            continue;
        };
        if name == NOTES {
            noted = true;
            continue;
        }
        if name == LEFT {
            lacking = true;
            continue;
        }
        let view = kind.as_deref() == Some("view");
        let mut table = bare(name.clone(), None, None, view);
        // A view of a table that is gone has no columns, and is no table to ask.
        if columns(session, &mut table).await.is_err() {
            continue;
        }
        if !view {
            let place = check::quoted(Dialect::Sqlite, name);
            let count = format!(
                "SELECT CAST(count(*) AS TEXT) FROM (SELECT 1 FROM main.{place} LIMIT {})",
                MAX_COUNT + 1
            );
            let counted = session.texts(count, &[]).await.unwrap_or_default();
            let rows = counted
                .first()
                .and_then(|row| row.first()?.as_deref()?.parse::<u64>().ok());
            table.rows = rows.filter(|rows| *rows <= MAX_COUNT);
        }
        tables.push(table);
    }
    complete(&mut tables);
    if noted {
        notes(session, &mut tables).await?;
    }
    // A table of that name in a database of somebody's own is no more than a table that is not shown.
    let left = match noted && lacking {
        true => left(session).await?,
        false => Left::default(),
    };
    Ok((tables, left))
}

async fn columns(session: &mut Session, table: &mut Table) -> Result<(), Fault> {
    let name = [table.name.clone()];
    let sql = "SELECT name, type, CAST(\"notnull\" AS TEXT), CAST(pk AS TEXT) FROM pragma_table_xinfo(?1) \
               WHERE hidden <> 1";
    let mut keys: Vec<(u32, String)> = Vec::new();
    for row in session.texts(sql.to_owned(), &name).await? {
        let [Some(name), kind, not_null, place] = row.as_slice() else {
            continue;
        };
        let nullable = not_null.as_deref() != Some("1");
        if let Some(place) = place
            .as_deref()
            .and_then(|p| p.parse::<u32>().ok())
            .filter(|p| *p > 0)
        {
            keys.push((place, name.clone()));
        }
        table.columns.push(column(
            name.clone(),
            kind.clone().unwrap_or_default(),
            nullable,
            None,
        ));
    }
    keys.sort();
    table.primary_key = keys.into_iter().map(|(_, name)| name).collect();
    let sql = "SELECT CAST(id AS TEXT), \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id, seq";
    let mut found: Vec<(String, ForeignKey)> = Vec::new();
    for row in session.texts(sql.to_owned(), &name).await? {
        if let [Some(id), Some(other), Some(from), to] = row.as_slice() {
            link(
                &mut found,
                id,
                other.clone(),
                from.clone(),
                to.clone().unwrap_or_default(),
            );
        }
    }
    table.foreign_keys = found.into_iter().map(|(_, key)| key).collect();
    Ok(())
}

/// A key that names no columns means the other table's primary key, and tables are named in any case.
fn complete(tables: &mut [Table]) {
    let known: HashMap<String, (String, Vec<String>)> = tables
        .iter()
        .map(|t| {
            (
                t.name.to_lowercase(),
                (t.name.clone(), t.primary_key.clone()),
            )
        })
        .collect();
    for key in tables.iter_mut().flat_map(|t| &mut t.foreign_keys) {
        let Some((name, primary)) = known.get(&key.table.to_lowercase()) else {
            continue;
        };
        key.table.clone_from(name);
        if key.references.iter().any(String::is_empty) {
            key.references.clone_from(primary);
        }
    }
}

/// What is known of the columns of files.
async fn notes(session: &mut Session, tables: &mut [Table]) -> Result<(), Fault> {
    let sql = format!("SELECT \"table\", \"column\", comment FROM main.{NOTES}");
    let rows: Vec<Texts> = session.texts(sql, &[]).await?;
    for row in rows {
        let [Some(table), of, Some(comment)] = row.as_slice() else {
            continue;
        };
        let Some(table) = tables.iter_mut().find(|t| t.name == *table) else {
            continue;
        };
        match of {
            None => table.comment = Some(comment.clone()),
            Some(of) => {
                if let Some(column) = table.columns.iter_mut().find(|c| c.name == *of) {
                    column.comment = Some(comment.clone());
                }
            }
        }
    }
    Ok(())
}

/// What of the files is in no table.
async fn left(session: &mut Session) -> Result<Left, Fault> {
    let sql = format!("SELECT \"table\", note FROM main.{LEFT}");
    let rows: Vec<Texts> = session.texts(sql, &[]).await?;
    let mut left = Left::default();
    for row in rows {
        match row.as_slice() {
            [Some(table), Some(note)] => {
                let notes = left.tables.entry(table.clone()).or_default();
                notes.push(note.clone());
            }
            [None, Some(note)] => left.files.push(note.clone()),
            _ => {}
        }
    }
    Ok(left)
}
