//! PostgreSQL's catalogue, as far as the role may read it (PostgreSQL 17, chapter "System Catalogs"). Left out:
//! partitions, whose rows are those of their table.

use std::collections::HashMap;

use super::{bare, column};
use crate::sql::Fault;
use crate::sql::run::Session;
use crate::sql::schema::{ForeignKey, Table};

/// A list of names as SQL.
fn list(places: &[String]) -> String {
    let names: Vec<String> = places
        .iter()
        .map(|place| format!("'{}'", place.replace('\'', "''")))
        .collect();
    names.join(", ")
}

/// What a table is called: alone in the first schema, with its schema elsewhere.
fn name(places: &[String], schema: &str, table: &str) -> Option<String> {
    if places.first().is_some_and(|first| first == schema) {
        // One that looks like a table of another schema cannot be told from it.
        let other = table
            .split_once('.')
            .is_some_and(|(begin, _)| places.iter().any(|place| place == begin));
        return (!other).then(|| table.to_owned());
    }
    Some(format!("{schema}.{table}"))
}

pub(super) async fn tables(session: &mut Session, places: &[String]) -> Result<Vec<Table>, Fault> {
    let from = format!(
        "FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname IN ({}) AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND NOT c.relispartition \
         AND has_schema_privilege(n.oid, 'USAGE')",
        list(places)
    );
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, c.relkind::text, c.reltuples::bigint::text, \
         obj_description(c.oid, 'pg_class') {from} ORDER BY 1, 2"
    );
    let mut tables: Vec<Table> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for row in session.texts(sql, &[]).await? {
        let [Some(schema), Some(table), Some(kind), rows, comment] = row.as_slice() else {
            continue;
        };
        let Some(name) = name(places, schema, table) else {
            continue;
        };
        // -1 means that it was never counted.
        let rows = rows.as_deref().and_then(|r| r.parse::<u64>().ok());
        index.insert(name.clone(), tables.len());
        // A materialized view shows what its query read, as a view does.
        let view = kind == "v" || kind == "m";
        tables.push(bare(name, comment.clone(), rows, view));
    }
    columns(session, places, &mut tables, &index).await?;
    keys(session, places, &mut tables, &index).await?;
    Ok(tables)
}

async fn columns(
    session: &mut Session,
    places: &[String],
    tables: &mut [Table],
    index: &HashMap<String, usize>,
) -> Result<(), Fault> {
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), \
         a.attnotnull::text, col_description(c.oid, a.attnum) \
         FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname IN ({}) AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped \
         AND has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY 1, 2, a.attnum",
        list(places)
    );
    for row in session.texts(sql, &[]).await? {
        let [Some(schema), Some(table), Some(of), kind, not_null, comment] = row.as_slice() else {
            continue;
        };
        let table = name(places, schema, table).and_then(|name| index.get(&name).copied());
        if let Some(table) = table.and_then(|i| tables.get_mut(i)) {
            let nullable = not_null.as_deref() != Some("true");
            table.columns.push(column(
                of.clone(),
                kind.clone().unwrap_or_default(),
                nullable,
                comment.clone(),
            ));
        }
    }
    Ok(())
}

async fn keys(
    session: &mut Session,
    places: &[String],
    tables: &mut [Table],
    index: &HashMap<String, usize>,
) -> Result<(), Fault> {
    let names = |of: &str, numbers: &str| {
        format!(
            "(SELECT array_to_json(array_agg(a.attname ORDER BY x.n))::text \
             FROM unnest({numbers}) WITH ORDINALITY AS x(number, n) \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = {of} AND a.attnum = x.number)"
        )
    };
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, k.contype::text, {}, fn.nspname::text, fc.relname::text, {} \
         FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_class AS fc ON fc.oid = k.confrelid \
         LEFT JOIN pg_catalog.pg_namespace AS fn ON fn.oid = fc.relnamespace \
         WHERE k.contype IN ('p', 'f') AND n.nspname IN ({}) ORDER BY 1, 2, k.conname",
        names("k.conrelid", "k.conkey"),
        names("k.confrelid", "k.confkey"),
        list(places)
    );
    for row in session.texts(sql, &[]).await? {
        let [
            Some(schema),
            Some(table),
            Some(kind),
            Some(own),
            other_schema,
            other_table,
            references,
        ] = row.as_slice()
        else {
            continue;
        };
        let table = name(places, schema, table).and_then(|name| index.get(&name).copied());
        let Some(table) = table.and_then(|i| tables.get_mut(i)) else {
            continue;
        };
        let own = columns_of(own);
        if kind == "p" {
            table.primary_key = own;
        } else if let (Some(schema), Some(other), Some(references)) =
            (other_schema, other_table, references)
            && let Some(other) = name(places, schema, other)
        {
            table.foreign_keys.push(ForeignKey {
                columns: own,
                table: other,
                references: columns_of(references),
            });
        }
    }
    Ok(())
}

fn columns_of(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_first_schema_go_by_their_name_alone() {
        let places = ["public".to_owned(), "sales".to_owned()];
        assert_eq!(name(&places, "public", "orders").as_deref(), Some("orders"));
        assert_eq!(
            name(&places, "sales", "orders").as_deref(),
            Some("sales.orders")
        );
        assert_eq!(name(&places, "public", "sales.orders"), None);
        assert_eq!(name(&places, "public", "a.b").as_deref(), Some("a.b"));
        assert_eq!(list(&["it's".to_owned(), "b".to_owned()]), "'it''s', 'b'");
    }
}
