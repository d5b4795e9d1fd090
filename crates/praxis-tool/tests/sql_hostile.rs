//! What is never sent to a database, what is, and that what is sent changes nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "support/database.rs"]
mod database;
#[path = "support/hostile.rs"]
mod hostile;
#[path = "support/shop.rs"]
mod shop;

use std::collections::BTreeSet;
use std::path::Path;

use praxis_core::Caller;
use praxis_tool::sql::{Column, Database, Dialect, Fault, Schema, Table, checked};
use proptest::prelude::*;

use self::database::{call, fill, open};

const DIALECTS: [(&str, Dialect); 3] = [
    ("sqlite", Dialect::Sqlite),
    ("postgres", Dialect::Postgres),
    ("mysql", Dialect::Mysql),
];

/// The shop's tables, as a database would tell them.
fn schema(dialect: Dialect) -> Schema {
    let table = |name: &str, columns: &[&str]| Table {
        name: name.to_owned(),
        comment: None,
        columns: columns
            .iter()
            .map(|column| Column {
                name: (*column).to_owned(),
                kind: "TEXT".to_owned(),
                nullable: true,
                comment: None,
                samples: Vec::new(),
            })
            .collect(),
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        rows: None,
        view: false,
    };
    Schema {
        dialect,
        tables: vec![
            table("customers", &["id", "name", "email", "country", "meta"]),
            table("items", &["id", "order_id", "sku", "quantity", "price"]),
            table(
                "orders",
                &["id", "customer_id", "status", "total", "ordered_at", "note"],
            ),
            table("products", &["sku", "title", "category"]),
        ],
    }
}

fn place(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "public",
        Dialect::Sqlite | Dialect::Mysql => "shop",
    }
}

#[test]
fn hostile_texts_are_refused_before_any_database_sees_them() {
    let all = hostile::all();
    let distinct: BTreeSet<&str> = all.iter().map(|(_, sql)| sql.as_str()).collect();
    assert!(distinct.len() >= 500, "there are {} texts", distinct.len());
    let mut through = Vec::new();
    for (of, sql) in &all {
        for (name, dialect) in DIALECTS {
            if !of.is_empty() && *of != name {
                continue;
            }
            match checked(sql, &schema(dialect), place(dialect)) {
                Err(Fault::Refused(_)) => {}
                other => through.push(format!("{name}: {sql:?}: {other:?}")),
            }
        }
    }
    assert!(
        through.is_empty(),
        "{} got through:\n{}",
        through.len(),
        through.join("\n")
    );
}

#[test]
fn good_queries_are_let_through() {
    let mut count = BTreeSet::new();
    for (name, dialect) in DIALECTS {
        let own = match dialect {
            Dialect::Sqlite => shop::SQLITE,
            Dialect::Postgres => shop::POSTGRES,
            Dialect::Mysql => shop::MYSQL,
        };
        for sql in shop::COMMON.iter().chain(own) {
            count.insert(*sql);
            let query = checked(sql, &schema(dialect), place(dialect));
            let query = query.unwrap_or_else(|fault| panic!("{name}: {sql}: {fault}"));
            assert!(query.sql().contains(" LIMIT "), "{sql}: {}", query.sql());
            // What is sent is let through itself, but for texts in digits, which no caller has to write.
            let again = checked(query.sql(), &schema(dialect), place(dialect));
            let digits = query.sql().contains("_utf8mb4 X'");
            assert!(
                digits || again.is_ok(),
                "{name}: {}: {again:?}",
                query.sql()
            );
        }
    }
    assert!(count.len() >= 120, "there are {} queries", count.len());
}

/// The shop in a file.
async fn shop(dir: &Path, toml: &str) -> Database {
    let rows = format!("{}{}", shop::SQLITE_SHOP, shop::ROWS);
    fill(&dir.join("shop.db"), &rows).await;
    open(dir, &format!("url = \"sqlite:shop.db\"\n{toml}"))
}

#[tokio::test]
async fn sqlite_runs_every_good_query_and_keeps_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let database = shop(dir.path(), "").await;
    let before = std::fs::read(dir.path().join("shop.db")).unwrap();
    let schema = database.schema(&Caller::full()).await.unwrap();
    for sql in shop::COMMON.iter().chain(shop::SQLITE) {
        let query = database.check(sql, &schema, &Caller::full());
        let query = query.unwrap_or_else(|fault| panic!("{sql}: {fault}"));
        let rows = database.run(&query, &call(&Caller::full())).await;
        let rows = rows.unwrap_or_else(|fault| panic!("{sql}\n{}\n{fault}", query.sql()));
        assert!(!rows.columns.is_empty(), "{sql}");
        assert!(
            rows.rows.iter().all(|row| row.len() == rows.columns.len()),
            "{sql}"
        );
    }
    assert_eq!(std::fs::read(dir.path().join("shop.db")).unwrap(), before);
    let names: Vec<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        names,
        ["shop.db"],
        "something was written beside the database"
    );
}

/// Pieces that texts are put together of: parts of queries, of statements that write, and of neither.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "SELECT",
            "*",
            "id",
            "name",
            "total",
            "FROM",
            "orders",
            "customers",
            "o",
            "WHERE",
            "=",
            "1",
            "'x'",
            "AND",
            "(",
            ")",
            ",",
            "JOIN",
            "ON",
            "GROUP BY",
            "ORDER BY",
            "LIMIT",
            "WITH",
            "AS",
            "UNION",
            "count(*)",
            "x",
            "CASE WHEN",
            "THEN",
            "END",
            "IN",
            "NOT",
            "IS NULL",
            "OVER",
            "PARTITION BY",
            "DISTINCT",
            "EXISTS",
            "VALUES",
            "RECURSIVE",
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            ";",
            "DELETE FROM orders",
            "DROP TABLE orders",
            "UPDATE orders SET total = 0",
            "INSERT INTO orders (id)",
            "RETURNING *",
            "PRAGMA query_only = OFF",
            "ATTACH 'x.db' AS x",
            "INTO loot",
            "FOR UPDATE",
            "--",
            "/*",
            "*/",
            "load_extension('x')",
            "writefile('x', 'y')",
            "sqlite_master",
            "VACUUM",
            "REPLACE INTO orders VALUES (1)",
            "\\'",
            "'",
            "\"",
            "`",
            "[",
            "]",
            "CREATE TABLE t (x)",
            "ALTER TABLE orders RENAME TO x",
            "BEGIN",
            "COMMIT",
            "\u{200b}",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9 ,()='*]{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Whatever passes the check is one query to SQLite too, and leaves every byte of the database as it was.
    #[test]
    fn what_is_sent_changes_nothing(pieces in prop::collection::vec(piece(), 1..14), whole in any::<bool>()) {
        let mut sql = pieces.join(" ");
        if whole {
            sql = format!("SELECT id FROM orders WHERE {sql}");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let database = shop(dir.path(), "limits = { time = \"2s\" }").await;
            let path = dir.path().join("shop.db");
            let before = std::fs::read(&path).unwrap();
            let schema = database.schema(&Caller::full()).await.unwrap();
            if let Ok(query) = database.check(&sql, &schema, &Caller::full()) {
                let _ = database.run(&query, &call(&Caller::full())).await;
            }
            assert_eq!(std::fs::read(&path).unwrap(), before, "{sql}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{sql}");
        });
    }

    /// A text of a query comes back as it was, whatever is in it.
    #[test]
    fn texts_come_back_as_they_were(text in "[ -~ä-ü一-龥'\\\\\"`%_;]{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let database = shop(dir.path(), "").await;
            let schema = database.schema(&Caller::full()).await.unwrap();
            let sql = format!("SELECT '{}' AS t", text.replace('\'', "''"));
            match database.check(&sql, &schema, &Caller::full()) {
                Ok(query) => {
                    let rows = database.run(&query, &call(&Caller::full())).await.unwrap();
                    assert_eq!(rows.rows[0][0].as_str(), Some(text.as_str()), "{sql}");
                }
                // Marks of comments that MySQL would run are refused wherever they are.
                Err(fault) => assert!(fault.to_string().contains("may run"), "{sql}: {fault}"),
            }
        });
    }
}
