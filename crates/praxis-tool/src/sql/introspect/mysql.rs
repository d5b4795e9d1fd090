//! The catalogue of MySQL and MariaDB, `information_schema` (MySQL 8.4, chapter 28). Left out: databases other than
//! that of the URL.

use std::collections::HashMap;

use super::{bare, column, link};
use crate::sql::Fault;
use crate::sql::run::Session;
use crate::sql::schema::{ForeignKey, Table};

pub(super) async fn tables(session: &mut Session) -> Result<Vec<Table>, Fault> {
    let sql = "SELECT CAST(TABLE_NAME AS CHAR), CAST(TABLE_TYPE AS CHAR), CAST(TABLE_ROWS AS CHAR), \
               CAST(TABLE_COMMENT AS CHAR) FROM information_schema.TABLES \
               WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME";
    let mut tables: Vec<Table> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for row in session.texts(sql.to_owned(), &[]).await? {
        let [Some(name), kind, rows, comment] = row.as_slice() else {
            continue;
        };
        let view = kind.as_deref().is_some_and(|kind| kind.contains("VIEW"));
        // A view's comment is always the word VIEW.
        let comment = comment.clone().filter(|_| !view);
        let rows = rows.as_deref().and_then(|rows| rows.parse().ok());
        index.insert(name.clone(), tables.len());
        tables.push(bare(name.clone(), comment, rows, view));
    }
    let sql = "SELECT CAST(TABLE_NAME AS CHAR), CAST(COLUMN_NAME AS CHAR), CAST(COLUMN_TYPE AS CHAR), \
               CAST(IS_NULLABLE AS CHAR), CAST(COLUMN_COMMENT AS CHAR) FROM information_schema.COLUMNS \
               WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION";
    for row in session.texts(sql.to_owned(), &[]).await? {
        let [Some(table), Some(name), kind, nullable, comment] = row.as_slice() else {
            continue;
        };
        if let Some(table) = index.get(table).and_then(|i| tables.get_mut(*i)) {
            let nullable = nullable.as_deref() != Some("NO");
            table.columns.push(column(
                name.clone(),
                kind.clone().unwrap_or_default(),
                nullable,
                comment.clone(),
            ));
        }
    }
    keys(session, &mut tables, &index).await?;
    Ok(tables)
}

async fn keys(
    session: &mut Session,
    tables: &mut [Table],
    index: &HashMap<String, usize>,
) -> Result<(), Fault> {
    let sql = "SELECT CAST(CONSTRAINT_NAME AS CHAR), CAST(TABLE_NAME AS CHAR), CAST(COLUMN_NAME AS CHAR), \
               CAST(REFERENCED_TABLE_NAME AS CHAR), CAST(REFERENCED_COLUMN_NAME AS CHAR) \
               FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = DATABASE() \
               AND (CONSTRAINT_NAME = 'PRIMARY' OR REFERENCED_TABLE_SCHEMA = DATABASE()) \
               ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION";
    let mut found: Vec<(String, ForeignKey)> = Vec::new();
    for row in session.texts(sql.to_owned(), &[]).await? {
        let [Some(constraint), Some(name), Some(of), other, reference] = row.as_slice() else {
            continue;
        };
        let Some(table) = index.get(name).and_then(|i| tables.get_mut(*i)) else {
            continue;
        };
        match (other, reference) {
            (Some(other), Some(reference)) => {
                let id = format!("{name}\n{constraint}");
                link(
                    &mut found,
                    &id,
                    other.clone(),
                    of.clone(),
                    reference.clone(),
                );
            }
            _ if constraint == "PRIMARY" => table.primary_key.push(of.clone()),
            _ => {}
        }
    }
    for (id, key) in found {
        let name = id.split('\n').next().unwrap_or_default();
        if let Some(table) = index.get(name).and_then(|i| tables.get_mut(*i)) {
            table.foreign_keys.push(key);
        }
    }
    Ok(())
}
