//! A small schema for tests. Left out: rows, which those that need them fill in themselves.

use crate::sql::{Column, Dialect, ForeignKey, Schema, Table};

/// A column with some of its values.
pub(crate) fn column(name: &str, kind: &str, comment: Option<&str>, samples: &[&str]) -> Column {
    Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        nullable: true,
        comment: comment.map(str::to_owned),
        samples: samples.iter().map(|s| (*s).to_owned()).collect(),
    }
}

/// A table whose first column is its key; `links` are columns with the tables whose keys they hold.
pub(crate) fn table(
    name: &str,
    comment: Option<&str>,
    columns: Vec<Column>,
    links: &[(&str, &str, &str)],
) -> Table {
    let key = columns.first().map(|c| c.name.clone());
    let foreign_keys = links
        .iter()
        .map(|(column, table, references)| ForeignKey {
            columns: vec![(*column).to_owned()],
            table: (*table).to_owned(),
            references: vec![(*references).to_owned()],
        })
        .collect();
    Table {
        name: name.to_owned(),
        comment: comment.map(str::to_owned),
        columns,
        primary_key: key.into_iter().collect(),
        foreign_keys,
        rows: Some(10),
        view: false,
    }
}

/// Artists, their albums and tracks, and who bought them.
pub(crate) fn music(dialect: Dialect) -> Schema {
    let id = |name: &str| column(name, "INTEGER", None, &[]);
    Schema {
        dialect,
        tables: vec![
            table(
                "artist",
                None,
                vec![
                    id("artist_id"),
                    column("name", "TEXT", Some("歌手姓名"), &["Joni", "Miles"]),
                ],
                &[],
            ),
            table(
                "album",
                Some("records that artists made"),
                vec![
                    id("album_id"),
                    column("title", "TEXT", None, &["Blue", "It's late"]),
                    id("artist_id"),
                    column("order", "INTEGER", Some("place in the shelf"), &[]),
                ],
                &[("artist_id", "artist", "artist_id")],
            ),
            table(
                "track",
                None,
                vec![
                    id("track_id"),
                    column("name", "TEXT", None, &[]),
                    id("album_id"),
                    column(
                        "milliseconds",
                        "INTEGER",
                        Some("length of the song"),
                        &["200000"],
                    ),
                ],
                &[("album_id", "album", "album_id")],
            ),
            table(
                "customer",
                None,
                vec![
                    id("customer_id"),
                    column("last_name", "TEXT", None, &[]),
                    column("country", "TEXT", None, &["Brazil", "中国"]),
                ],
                &[],
            ),
            table(
                "invoice",
                Some("what customers paid"),
                vec![
                    id("invoice_id"),
                    id("customer_id"),
                    column("invoice_date", "DATE", None, &["2023-01-05"]),
                    column("total", "NUMERIC", Some("amount, 金额"), &["3.96"]),
                ],
                &[("customer_id", "customer", "customer_id")],
            ),
            table(
                "invoice_line",
                None,
                vec![
                    id("invoice_line_id"),
                    id("invoice_id"),
                    id("track_id"),
                    column("quantity", "INTEGER", None, &["1"]),
                ],
                &[
                    ("invoice_id", "invoice", "invoice_id"),
                    ("track_id", "track", "track_id"),
                ],
            ),
        ],
    }
}
