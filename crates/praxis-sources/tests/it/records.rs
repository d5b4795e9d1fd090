//! Rows and lines as documents: a SQLite file, files of JSON lines, and PostgreSQL and MariaDB where their
//! programs are.

use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::servers::{MariaDb, Postgres};
use super::*;

async fn sqlite(path: &Path, sql: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn rows_of_sqlite_come_change_and_go() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("knowledge")).unwrap();
    let path = dir.path().join("knowledge/shop.db");
    sqlite(
        &path,
        "CREATE TABLE goods (sku TEXT, name TEXT, price REAL, note TEXT, changed INTEGER, raw BLOB);\
         INSERT INTO goods VALUES ('a-1', 'Lamp', 9.5, 'It shines.', 1700000000, x'00ff'),\
         ('a-2', 'Chair', 20, NULL, 1700000001, x'6869'), (NULL, 'nameless', 1, 'x', 0, NULL);",
    )
    .await;
    let toml = "type = \"sql\"\nname = \"shop\"\ndatabase = \"shop.db\"\nid = \"sku\"\ntitle = \"name\"\nmodified = \"changed\"\n\
                query = \"SELECT * FROM goods WHERE sku IS NOT NULL -- all\\n;\"\ntemplate = \"# {{name}}\\n\\nCosts {{price}}. {{note}}\"\n";
    let shop = source(dir.path(), toml, &[]).unwrap();
    let listing = list(&*shop).await.unwrap();
    assert_eq!(uris(&listing), ["shop:a-1", "shop:a-2"]);
    assert!(listing.complete && listing.notes.is_empty(), "{listing:?}");
    let lamp = content(&*shop, &listing, "shop:a-1").await;
    assert_eq!(
        (lamp.title.as_deref(), text(&lamp)),
        (Some("Lamp"), "# Lamp\n\nCosts 9.5. It shines.")
    );
    assert_eq!(listing.entries[0].modified, 1_700_000_000_000_000_000);
    assert_eq!(
        text(&content(&*shop, &listing, "shop:a-2").await),
        "# Chair\n\nCosts 20.0. "
    );

    sqlite(
        &path,
        "UPDATE goods SET price = 8 WHERE sku = 'a-1'; DELETE FROM goods WHERE sku = 'a-2';",
    )
    .await;
    let later = list(&*shop).await.unwrap();
    assert_eq!(uris(&later), ["shop:a-1"]);
    assert_ne!(later.entries[0].version, listing.entries[0].version);
}

#[tokio::test]
async fn a_query_reads_and_does_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("knowledge")).unwrap();
    let path = dir.path().join("knowledge/a.db");
    sqlite(&path, "CREATE TABLE t (id INTEGER, text TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z');").await;
    let with = |query: &str, more: &str| {
        let toml = format!("type = \"sql\"\ndatabase = \"env:SHOP\"\nquery = \"{query}\"\n{more}");
        source(dir.path(), &toml, &[("SHOP", path.to_str().unwrap())]).unwrap()
    };
    for query in [
        "DELETE FROM t RETURNING *",
        "DROP TABLE t",
        "SELECT 1 AS id) AS x; DELETE FROM t; SELECT * FROM (SELECT 1",
    ] {
        let error = list(&*with(query, "")).await;
        assert!(error.is_err(), "{query}: {error:?}");
    }
    let all = with(
        "WITH a AS (SELECT * FROM t) SELECT * FROM a ORDER BY id",
        "text = \"text\"\n",
    );
    let listing = list(&*all).await.unwrap();
    assert_eq!(
        uris(&listing),
        ["sql:1", "sql:2", "sql:3"],
        "nothing was written"
    );
    let few = list(&*with("SELECT * FROM t", "max_rows = 2\n"))
        .await
        .unwrap();
    assert_eq!((few.entries.len(), few.complete), (2, false));
    let wrong = list(&*with("SELECT * FROM t", "text = \"txt\"\n"))
        .await
        .unwrap_err();
    assert!(
        wrong.hint().contains("did you mean `text`?"),
        "{wrong} {}",
        wrong.hint()
    );
    let error = list(&*with("SELECT * FROM nowhere", "")).await.unwrap_err();
    assert!(error.to_string().contains("no such table"), "{error}");
    let slow = with(
        "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n WHERE id < 0",
        "timeout = \"300ms\"\n",
    );
    let begun = std::time::Instant::now();
    let error = list(&*slow).await.unwrap_err();
    assert!(
        error.to_string().contains("longer than") && begun.elapsed().as_secs() < 20,
        "{error}"
    );
    let nowhere = source(
        dir.path(),
        "type = \"sql\"\ndatabase = \"none.db\"\nquery = \"SELECT 1 AS id\"",
        &[],
    )
    .unwrap();
    assert!(list(&*nowhere).await.is_err());
    assert!(
        !dir.path().join("knowledge/none.db").exists(),
        "a database was made"
    );
}

/// A query to a database by name and URL.
fn queried(dir: &Path, (name, url): (&str, &str), query: &str, more: &str) -> Box<dyn Source> {
    let toml = format!(
        "type = \"sql\"\nname = \"{name}\"\ndatabase = \"env:DB\"\nquery = \"{query}\"\n{more}"
    );
    source(dir, &toml, &[("DB", url)]).unwrap()
}

#[tokio::test]
async fn rows_of_postgresql_are_read_with_all_their_types() {
    let Some(server) = Postgres::start() else {
        eprintln!("SKIPPED: needs PostgreSQL's initdb and pg_ctl");
        return;
    };
    let url = server.url("praxis");
    let mut connection = server.connect().await;
    let fill = "CREATE TABLE notes (id uuid PRIMARY KEY, title text, body jsonb, at timestamptz, tags text[], cost numeric);\
        INSERT INTO notes VALUES ('00000000-0000-0000-0000-000000000007', '灯', '{\"text\": \"It shines.\"}', '2026-01-02 03:04:05+00', '{a,b}', 1.25)";
    sqlx::raw_sql(fill).execute(&mut connection).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let with = |query: &str, more: &str| queried(dir.path(), ("pg", &url), query, more);
    let notes = with(
        "SELECT * FROM notes",
        "title = \"title\"\nmodified = \"at\"\ntemplate = \"{{body.text}} {{tags}} {{cost}}\"\n",
    );
    let listing = list(&*notes).await.unwrap();
    assert_eq!(uris(&listing), ["pg:00000000-0000-0000-0000-000000000007"]);
    assert_eq!(listing.entries[0].modified, 1_767_323_045_000_000_000);
    let note = content(&*notes, &listing, uris(&listing)[0]).await;
    assert_eq!(
        (note.title.as_deref(), text(&note)),
        (Some("灯"), "It shines. [\"a\",\"b\"] 1.25")
    );
    let whole = with("SELECT id, title FROM notes", "");
    let listing = list(&*whole).await.unwrap();
    assert!(
        text(&content(&*whole, &listing, uris(&listing)[0]).await).contains("\"title\":\"灯\"")
    );
    for query in [
        "DELETE FROM notes RETURNING id",
        "SELECT nextval('s') AS id",
    ] {
        assert!(list(&*with(query, "")).await.is_err(), "{query}");
    }
    let slow = with("SELECT pg_sleep(20)::text AS id", "timeout = \"300ms\"\n");
    assert!(list(&*slow).await.is_err());
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM notes")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn rows_of_mysql_are_read_with_all_their_types() {
    let Some(server) = MariaDb::start() else {
        eprintln!("SKIPPED: needs MariaDB's mariadb-install-db and mariadbd");
        return;
    };
    let mut connection = server.connect().await;
    let fill = "CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;\
        CREATE TABLE notes (id BIGINT UNSIGNED PRIMARY KEY, title VARCHAR(40), body TEXT, at DATETIME, cost DECIMAL(9,2),\
            ready BOOLEAN, code INT(5) ZEROFILL, picture BLOB, kind ENUM('a', 'b'), gone TEXT);\
        INSERT INTO notes VALUES (18446744073709551615, '灯', 'It shines.', '2026-01-02 03:04:05', 1.25, TRUE, 42, X'FF00', 'b', NULL)";
    sqlx::raw_sql(fill).execute(&mut connection).await.unwrap();
    let url = server.url("shop");
    let dir = tempfile::tempdir().unwrap();
    let with = |query: &str, more: &str| queried(dir.path(), ("shop", &url), query, more);
    let notes = with(
        "SELECT * FROM notes;",
        "title = \"title\"\nmodified = \"at\"\ntemplate = \"{{body}} {{cost}} {{ready}} {{code}} {{picture}}{{kind}}{{gone}}\"\n",
    );
    let listing = list(&*notes).await.unwrap();
    assert_eq!(uris(&listing), ["shop:18446744073709551615"]);
    assert_eq!(listing.entries[0].modified, 1_767_323_045_000_000_000);
    let note = content(&*notes, &listing, uris(&listing)[0]).await;
    assert_eq!(
        (note.title.as_deref(), text(&note)),
        (Some("灯"), "It shines. 1.25 1 00042 b")
    );
    for query in [
        "DELETE FROM notes",
        "SELECT 1 AS id) AS document; COMMIT; DROP TABLE notes; SELECT * FROM (SELECT 2 AS id",
        "SELECT id FROM nothing",
    ] {
        let error = list(&*with(query, "")).await.unwrap_err().to_string();
        assert!(error.contains("the query failed"), "{query}: {error}");
    }
    let slow = with("SELECT SLEEP(20) AS id", "timeout = \"300ms\"\n");
    assert!(list(&*slow).await.is_err());
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM notes")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn lines_are_documents_and_a_broken_one_removes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write(
        &dir.path().join("knowledge/tickets/a.jsonl"),
        "\u{feff}{\"key\": 1, \"subject\": \"Lamp\", \"body\": \"It shines.\"}\n\n{\"key\": 2, \"body\": \"文\"}\n",
    );
    write(
        &dir.path().join("knowledge/tickets/b.jsonl"),
        "{\"key\": 1, \"body\": \"another\"}",
    );
    let toml = "type = \"jsonl\"\npaths = [\"tickets/*.jsonl\"]\nid = \"key\"\ntext = \"body\"\ntitle = \"subject\"\n";
    let tickets = source(dir.path(), toml, &[]).unwrap();
    let listing = list(&*tickets).await.unwrap();
    assert_eq!(
        uris(&listing),
        [
            "tickets/a.jsonl#1",
            "tickets/a.jsonl#2",
            "tickets/b.jsonl#1"
        ]
    );
    assert!(listing.complete, "{listing:?}");
    let lamp = content(&*tickets, &listing, "tickets/a.jsonl#1").await;
    assert_eq!(
        (lamp.title.as_deref(), lamp.name.as_str(), text(&lamp)),
        (Some("Lamp"), "1.md", "It shines.")
    );
    write(
        &dir.path().join("knowledge/tickets/b.jsonl"),
        "{\"key\": 1, \"body\":",
    );
    let cut = list(&*tickets).await.unwrap();
    assert_eq!((cut.entries.len(), cut.complete), (2, false));
    assert!(cut.notes[0].contains("b.jsonl: line 1"), "{cut:?}");
    assert!(cut.empty.is_empty(), "{cut:?}");
    // One without any record is told: it may be about to be written.
    write(&dir.path().join("knowledge/tickets/b.jsonl"), "\n");
    let emptied = list(&*tickets).await.unwrap();
    assert_eq!(
        (emptied.empty.as_slice(), emptied.complete),
        (["tickets/b.jsonl".to_owned()].as_slice(), true),
        "{emptied:?}"
    );

    let lines = source(
        dir.path(),
        "type = \"jsonl\"\nname = \"lines\"\npaths = [\"tickets/a.jsonl\"]\n",
        &[],
    )
    .unwrap();
    let listing = list(&*lines).await.unwrap();
    assert_eq!(uris(&listing), ["tickets/a.jsonl#1", "tickets/a.jsonl#3"]);
    assert_eq!(
        content(&*lines, &listing, "tickets/a.jsonl#3").await.name,
        "3.json"
    );
}
