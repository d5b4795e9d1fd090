//! PostgreSQL and MariaDB as databases: every good query runs, values are exact, callers see what they may, and what
//! takes too long or would write is ended by the server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they skip"
)]

#[path = "support/database.rs"]
mod database;
#[path = "../../praxis-sources/tests/support/servers.rs"]
mod servers;
#[path = "support/shop.rs"]
mod shop;

use std::path::Path;
use std::time::Duration;

use praxis_core::{Caller, ErrorCode};
use praxis_tool::sql::{Database, Fault};
use serde_json::json;
use sqlx::{AssertSqlSafe, MySqlConnection, PgConnection};

use self::database::{asked, call, caller, open, rows};
use self::servers::{MariaDb, Postgres};

/// How often a server is looked at until something has happened there.
const LOOKS: usize = 500;

/// Runs all good queries of a dialect.
async fn runs_all(database: &Database, own: &[&str]) {
    for sql in shop::COMMON.iter().chain(own) {
        let found = rows(database, &Caller::full(), sql).await;
        assert!(!found.columns.is_empty(), "{sql}");
        assert!(
            found.rows.iter().all(|r| r.len() == found.columns.len()),
            "{sql}: {found:?}"
        );
    }
}

async fn refused(database: &Database, who: &Caller, queries: &[&str]) {
    for sql in queries {
        let found = asked(database, who, sql).await;
        assert!(matches!(found, Err(Fault::Refused(_))), "{sql}: {found:?}");
    }
}

async fn takes_too_much(database: &Database, sql: &str, told: &str) {
    match asked(database, &Caller::full(), sql).await {
        Err(Fault::TooMuch(why)) => assert!(why.contains(told), "{sql}: {why}"),
        other => panic!("{sql}: {other:?}"),
    }
}

/// What a query that is allowed by its file, but writes, is told by the server.
async fn writes_nothing(dir: &Path, url: &str) {
    let trusting = open(dir, &format!("url = \"{url}\"\nfunctions = [\"evil\"]\n"));
    let sql = "SELECT evil() AS x";
    match asked(&trusting, &Caller::full(), sql).await {
        Err(Fault::Failed(why)) => {
            assert!(
                why.to_lowercase().contains("read-only") || why.contains("READ ONLY"),
                "{why}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// Runs a query that takes long, cancels it when the server is at it, and waits until the server is not any more.
macro_rules! is_ended_at_the_server {
    ($database:expr, $sql:expr, $connection:expr, $at_it:expr) => {{
        let all = Caller::full();
        let schema = $database.schema(&all).await.unwrap();
        let query = $database.check($sql, &schema, &all).unwrap();
        let cx = call(&all);
        let cancel = cx.cancel().clone();
        let watch = async {
            wait_until!($connection, $at_it, 1);
            cancel.cancel();
        };
        let (found, ()) = tokio::join!($database.run(&query, &cx), watch);
        match found {
            Err(Fault::Call(error)) => assert_eq!(error.code, ErrorCode::Cancelled),
            other => panic!("{other:?}"),
        }
        wait_until!($connection, $at_it, 0);
    }};
}

/// Looks at a server until a count is what it shall be.
macro_rules! wait_until {
    ($connection:expr, $sql:expr, $wanted:expr) => {{
        let mut count = -1;
        for _ in 0..LOOKS {
            count = sqlx::query_scalar::<_, i64>($sql)
                .fetch_one(&mut *$connection)
                .await
                .unwrap();
            if count == $wanted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(count, $wanted, "{}", $sql);
    }};
}

async fn count(connection: &mut PgConnection, table: &str) -> i64 {
    let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

const POSTGRES_EXTRA: &str = r#"
COMMENT ON TABLE orders IS 'What was bought.';
COMMENT ON COLUMN orders.status IS 'new or paid';
CREATE VIEW paid AS SELECT * FROM orders WHERE status = 'paid';
CREATE SCHEMA sales;
CREATE TABLE sales.targets (region text PRIMARY KEY, amount numeric);
INSERT INTO sales.targets VALUES ('north', 10);
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE exact (big bigint, huge numeric, small numeric(10, 2), day date, at timestamptz, clock time,
    span interval, raw bytea, tags text[], doc jsonb, feeling mood, yes boolean, odd double precision, id uuid);
INSERT INTO exact VALUES (9007199254740993, 12345678901234567890.12345, 1.10, '2026-01-02',
    '2026-01-02 03:04:05+00', '03:04:05', '1 day 2 hours', '\x00ff', '{a,b}', '{"a": [1]}', 'glad', true, 'NaN',
    '00000000-0000-0000-0000-000000000007');
CREATE FUNCTION evil() RETURNS int LANGUAGE sql AS 'DELETE FROM items RETURNING 1';
CREATE ROLE reader LOGIN;
GRANT USAGE ON SCHEMA sales TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public, sales TO reader;
GRANT DELETE ON items TO reader;
CREATE ROLE writer;
GRANT INSERT ON orders TO writer;
CREATE ROLE careful LOGIN NOINHERIT;
GRANT writer TO careful;
CREATE ROLE modest LOGIN NOINHERIT;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO careful, modest;
CREATE ROLE looker;
GRANT SELECT ON sales.targets TO looker;
GRANT looker TO modest;
"#;

#[tokio::test]
async fn postgresql_is_read_exactly_and_no_further_than_it_may_be() {
    let Some(server) = Postgres::start() else {
        eprintln!("SKIPPED: needs PostgreSQL's initdb and pg_ctl");
        return;
    };
    let mut admin = server.connect().await;
    let fill = format!("{}{}{POSTGRES_EXTRA}", shop::POSTGRES_SHOP, shop::ROWS);
    sqlx::raw_sql(AssertSqlSafe(fill))
        .execute(&mut admin)
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let url = server.url("reader");
    let with = |more: &str| open(dir.path(), &format!("url = \"{url}\"\n{more}"));
    let plain = with("");
    runs_all(&plain, shop::POSTGRES).await;
    postgres_tells_its_schema(&plain).await;
    postgres_is_exact(&plain).await;
    postgres_hides(&with(
        "[[permissions]]\ntables = [\"customers\"]\nhidden = [\"email\"]\n\
         where = { customers = \"lower(upper(lower(country))) IN ({caller.labels})\" }\n",
    ))
    .await;

    // The role may delete, which is warned of, or refused.
    let strict = with("require_read_only = true\n");
    let error = strict.schema(&Caller::full()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
    assert!(error.message.contains("change public.items"), "{error:?}");
    // So may one that would have to take on another role first, where that is one that may.
    let strict = |user: &str| {
        let toml = format!("url = \"{}\"\nrequire_read_only = true\n", server.url(user));
        open(dir.path(), &toml)
    };
    let careful = strict("careful");
    let error = careful.schema(&Caller::full()).await.unwrap_err();
    let told = "be writer, who may change public.orders";
    assert!(error.message.contains(told), "{error:?}");
    let modest = strict("modest").schema(&Caller::full()).await.unwrap();
    assert!(modest.table("orders").is_some());

    // Another schema is there when it is named.
    let all = Caller::full();
    refused(&plain, &all, &["SELECT * FROM sales.targets"]).await;
    let both = with("schemas = [\"public\", \"sales\"]\n");
    let found = rows(
        &both,
        &all,
        "SELECT amount FROM sales.targets AS t WHERE t.region = 'north'",
    )
    .await;
    assert_eq!(json!(found.rows), json!([[10]]));

    // A superuser may do more than read.
    let url_of_all = server.url("praxis");
    let of_all = |more: &str| open(dir.path(), &format!("url = \"{url_of_all}\"\n{more}"));
    let error = of_all("").schema(&all).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
    for more in ["allow_superuser = true\n", "role = \"reader\"\n"] {
        let found = rows(&of_all(more), &all, "SELECT COUNT(*) FROM orders").await;
        assert_eq!(json!(found.rows), json!([[3]]), "{more}");
    }

    // What a query may take.
    let joined = "SELECT COUNT(*) FROM orders a, orders b, orders c";
    takes_too_much(&with("limits = { cost = 10.0 }\n"), joined, "would cost").await;
    takes_too_much(&with("limits = { scan = 10.0 }\n"), joined, "would look at").await;
    // A scan looks at all rows, also where its filter gives none of them.
    let filtered = "SELECT COUNT(*) FROM orders WHERE status = 'nothing'";
    takes_too_much(
        &with("limits = { scan = 50.0 }\n"),
        filtered,
        "would look at",
    )
    .await;
    let few = rows(&with("limits = { scan = 1e6 }\n"), &all, filtered).await;
    assert_eq!(json!(few.rows), json!([[0]]));
    let endless =
        "SELECT COUNT(*) FROM generate_series(1, 100000) AS a, generate_series(1, 100000) AS b";
    takes_too_much(
        &with("limits = { time = \"300ms\" }\n"),
        endless,
        "longer than 300ms",
    )
    .await;
    let at_it = "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() \
                 AND query LIKE '%generate_series%'";
    let patient = with("limits = { time = \"5m\" }\n");
    is_ended_at_the_server!(patient, endless, &mut admin, at_it);

    writes_nothing(dir.path(), &url).await;
    assert_eq!(count(&mut admin, "items").await, 3);
    assert_eq!(count(&mut admin, "orders").await, 3);
}

async fn postgres_tells_its_schema(database: &Database) {
    let schema = database.schema(&Caller::full()).await.unwrap();
    let names: Vec<&str> = schema.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(
        names,
        ["customers", "exact", "items", "orders", "paid", "products"]
    );
    let orders = schema.table("orders").unwrap();
    assert_eq!(orders.comment.as_deref(), Some("What was bought."));
    assert_eq!(orders.primary_key, ["id"]);
    assert_eq!(orders.foreign_keys[0].columns, ["customer_id"]);
    assert_eq!(orders.foreign_keys[0].table, "customers");
    assert_eq!(orders.foreign_keys[0].references, ["id"]);
    let status = orders.column("status").unwrap();
    assert_eq!(status.comment.as_deref(), Some("new or paid"));
    assert_eq!(status.samples, ["paid", "new"]);
    assert_eq!(orders.column("total").unwrap().kind, "numeric(10,2)");
    assert!(
        !schema
            .table("customers")
            .unwrap()
            .column("name")
            .unwrap()
            .nullable
    );
    assert!(schema.table("paid").unwrap().view);
    let words = ["green".to_owned(), "an_".to_owned()];
    let found = database.values(&schema, "", &words).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].column.as_str(), found[0].value.as_str()),
        ("title", "Green tea")
    );
}

async fn postgres_is_exact(database: &Database) {
    let all = Caller::full();
    let found = rows(database, &all, "SELECT * FROM exact").await;
    assert_eq!(
        json!(found.rows),
        json!([[
            "9007199254740993",
            "12345678901234567890.12345",
            1.1,
            "2026-01-02",
            "2026-01-02T03:04:05+00:00",
            "03:04:05",
            "P1DT2H",
            "<2 bytes>",
            ["a", "b"],
            { "a": [1] },
            "glad",
            true,
            "NaN",
            "00000000-0000-0000-0000-000000000007"
        ]])
    );
    assert_eq!(found.columns[0], "big");
    let cast =
        "SELECT COUNT(*) FROM exact WHERE feeling = CAST('glad' AS mood) AND tags @> ARRAY['a']";
    assert_eq!(json!(rows(database, &all, cast).await.rows), json!([[1]]));
    let long = rows(
        database,
        &all,
        "SELECT repeat('字', 10000) || repeat('x', 9000) AS t",
    )
    .await;
    let text = long.rows[0][0].as_str().unwrap();
    assert!(long.cut && text.ends_with('…'));
    assert_eq!(text.chars().count(), 16_385);
    match asked(database, &all, "SELECT 1 / (id - id) AS x FROM orders").await {
        Err(Fault::Failed(why)) => assert!(why.contains("division by zero"), "{why}"),
        other => panic!("{other:?}"),
    }
}

async fn postgres_hides(database: &Database) {
    let who = caller("ann", &["de"]);
    let found = rows(database, &who, "SELECT * FROM customers").await;
    assert_eq!(found.columns, ["id", "name", "country", "meta"]);
    assert_eq!(found.rows.len(), 1);
    // An error of a row that is not seen would tell of it.
    let divided = "SELECT name FROM customers WHERE 1 / (id - 2) <> 0";
    let found = rows(database, &who, divided).await;
    assert_eq!(json!(found.rows), json!([["Ann"]]));
    refused(
        database,
        &who,
        &[
            "SELECT email FROM customers",
            "SELECT c.email FROM customers c",
            "SELECT (c).email FROM customers c",
            "SELECT customers FROM customers",
            "SELECT c FROM customers c",
            "SELECT c.* FROM customers",
            "SELECT c::text FROM customers c",
            "SELECT row_to_json(c) FROM customers c",
            "SELECT row_to_json(customers) FROM customers",
            "SELECT to_jsonb(c) FROM customers c",
            "SELECT json_agg(c) FROM customers c",
            "SELECT array_agg(c) FROM customers c",
            "SELECT COUNT(DISTINCT c) FROM customers c",
            "SELECT row_to_json(t) FROM (SELECT * FROM customers) AS t",
            "SELECT ctid FROM customers",
            "SELECT xmin, tableoid FROM customers",
            "SELECT * FROM customers NATURAL JOIN orders",
            "SELECT * FROM customers c JOIN customers d USING (email)",
            "SELECT name FROM customers ORDER BY email",
            "SELECT name FROM customers GROUP BY name, email",
            "SELECT MAX(email) OVER () FROM customers",
            "SELECT DISTINCT ON (email) name FROM customers",
            "SELECT * FROM orders",
            "SELECT * FROM public.orders",
            "SELECT * FROM paid",
            "TABLE customers",
            "WITH x AS (SELECT * FROM orders) SELECT 1",
            "WITH x AS (DELETE FROM customers RETURNING *) SELECT * FROM x",
            "SELECT * FROM pg_stats",
            "SELECT * FROM information_schema.columns",
        ],
    )
    .await;
    let nobody = rows(
        database,
        &caller("x", &["de') OR ('' = '"]),
        "SELECT * FROM customers",
    )
    .await;
    assert!(nobody.rows.is_empty());
}

const MARIADB_EXTRA: &str = r#"
CREATE VIEW paid AS SELECT * FROM orders WHERE status = 'paid';
ALTER TABLE orders COMMENT 'What was bought.', MODIFY status VARCHAR(10) COMMENT 'new or paid';
CREATE TABLE exact (big BIGINT UNSIGNED, huge DECIMAL(40, 10), small DECIMAL(10, 2), day DATE, at DATETIME(3),
    clock TIME, yr YEAR, raw BLOB, feeling ENUM('sad', 'glad'), yes BOOLEAN, odd DOUBLE, single FLOAT, bits BIT(8),
    txt TEXT, gone TEXT);
INSERT INTO exact VALUES (18446744073709551615, 12345678901234567890.12345, 1.10, '2026-01-02',
    '2026-01-02 03:04:05.250', '-26:03:04', 2026, X'00FF', 'glad', TRUE, 1.5, 1.1, b'101', '灯', NULL);
"#;

const MARIADB_FUNCTION: &str =
    "CREATE FUNCTION evil() RETURNS INT MODIFIES SQL DATA BEGIN DELETE FROM items; RETURN 1; END";

#[tokio::test]
async fn mariadb_is_read_exactly_and_no_further_than_it_may_be() {
    let Some(server) = MariaDb::start() else {
        eprintln!("SKIPPED: needs MariaDB's mariadb-install-db and mariadbd");
        return;
    };
    let mut admin = server.connect().await;
    let fill = format!(
        "CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;{}{}{MARIADB_EXTRA}",
        shop::MYSQL_SHOP,
        shop::ROWS
    );
    for sql in [fill.as_str(), MARIADB_FUNCTION] {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut admin)
            .await
            .unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let url = server.url("shop");
    let with = |more: &str| open(dir.path(), &format!("url = \"{url}\"\n{more}"));
    let plain = with("");
    runs_all(&plain, shop::MYSQL).await;
    mariadb_tells_its_schema(&plain).await;
    mariadb_is_exact(&plain).await;
    mariadb_hides(&with(
        "[[permissions]]\ntables = [\"customers\"]\nhidden = [\"email\"]\n\
         where = { customers = \"country IN ({caller.labels}) OR name = {caller.name}\" }\n",
    ))
    .await;

    let strict = with("require_read_only = true\n");
    let error = strict.schema(&Caller::full()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
    assert!(error.message.contains("may do more than read"), "{error:?}");
    mariadb_looks_into_roles(dir.path(), &url, &mut admin).await;

    let joined = "SELECT COUNT(*) FROM orders a, orders b";
    takes_too_much(&with("limits = { scan = 5.0 }\n"), joined, "would look at").await;
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
                   SELECT COUNT(*) FROM n a, n b, n c, n d WHERE a.i + b.i + c.i + d.i = 5";
    takes_too_much(
        &with("limits = { time = \"300ms\" }\n"),
        endless,
        "longer than 300ms",
    )
    .await;
    let at_it = "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
                 WHERE INFO LIKE '%RECURSIVE%' AND ID <> CONNECTION_ID()";
    let patient = with("limits = { time = \"5m\" }\n");
    is_ended_at_the_server!(patient, endless, &mut admin, at_it);

    writes_nothing(dir.path(), &url).await;
    assert_eq!(rows_of(&mut admin, "items").await, 3);
    assert_eq!(rows_of(&mut admin, "orders").await, 3);
}

const MARIADB_ROLES: &str = "
CREATE ROLE writer, nested, looker;
GRANT DELETE ON shop.items TO nested;
GRANT INSERT ON shop.orders TO writer;
GRANT nested TO writer;
GRANT SELECT ON shop.items TO looker;
CREATE USER careful@localhost, careful@'127.0.0.1', modest@localhost, modest@'127.0.0.1';
GRANT SELECT ON shop.orders TO careful@localhost, careful@'127.0.0.1', modest@localhost, modest@'127.0.0.1';
GRANT writer TO careful@localhost, careful@'127.0.0.1';
GRANT looker TO modest@localhost, modest@'127.0.0.1';
";

/// A role that the user may take on counts, with the roles that it has itself; looking into it leaves nothing behind.
async fn mariadb_looks_into_roles(dir: &Path, url: &str, admin: &mut MySqlConnection) {
    sqlx::raw_sql(MARIADB_ROLES).execute(admin).await.unwrap();
    let strict = |user: &str| {
        let url = url.replace("root@", &format!("{user}@"));
        let more = "require_read_only = true\nrefresh = \"1ms\"\nlimits = { connections = 1 }";
        open(dir, &format!("url = \"{url}\"\n{more}\n"))
    };
    let error = strict("careful").schema(&Caller::full()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
    for told in [
        "INSERT on `shop`.`orders` as `writer`",
        "DELETE on `shop`.`items` as `writer`",
    ] {
        assert!(error.message.contains(told), "{error:?}");
    }
    let modest = strict("modest");
    for _ in 0..2 {
        let schema = modest.schema(&Caller::full()).await.unwrap();
        let names: Vec<&str> = schema.tables.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["orders"]);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn rows_of(connection: &mut MySqlConnection, table: &str) -> i64 {
    let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM shop.{table}"));
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

async fn mariadb_tells_its_schema(database: &Database) {
    let schema = database.schema(&Caller::full()).await.unwrap();
    let names: Vec<&str> = schema.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(
        names,
        ["customers", "exact", "items", "orders", "paid", "products"]
    );
    let orders = schema.table("orders").unwrap();
    assert_eq!(orders.comment.as_deref(), Some("What was bought."));
    assert_eq!(orders.primary_key, ["id"]);
    assert_eq!(orders.foreign_keys[0].columns, ["customer_id"]);
    assert_eq!(orders.foreign_keys[0].table, "customers");
    assert_eq!(orders.foreign_keys[0].references, ["id"]);
    let status = orders.column("status").unwrap();
    assert_eq!(status.comment.as_deref(), Some("new or paid"));
    assert_eq!(status.samples, ["paid", "new"]);
    assert!(schema.table("paid").unwrap().view);
    let words = ["green".to_owned(), "an_".to_owned()];
    let found = database.values(&schema, "", &words).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].column.as_str(), found[0].value.as_str()),
        ("title", "Green tea")
    );
}

async fn mariadb_is_exact(database: &Database) {
    let all = Caller::full();
    let found = rows(database, &all, "SELECT * FROM exact").await;
    assert_eq!(
        json!(found.rows),
        json!([[
            "18446744073709551615",
            "12345678901234567890.1234500000",
            1.1,
            "2026-01-02",
            "2026-01-02T03:04:05.250000",
            "-26:03:04",
            2026,
            "<2 bytes>",
            "glad",
            1,
            1.5,
            1.1,
            5,
            "灯",
            null
        ]])
    );
    let text = r#"SELECT 'a\\b' AS a, "it's" AS b, CONCAT('x', '%', '_') AS c"#;
    let found = rows(database, &all, text).await;
    assert_eq!(json!(found.rows), json!([["a\\b", "it's", "x%_"]]));
    match asked(database, &all, "SELECT ST_AREA(id) FROM orders").await {
        Err(Fault::Refused(_)) => {}
        other => panic!("{other:?}"),
    }
}

async fn mariadb_hides(database: &Database) {
    let who = caller("Bo", &["DE"]);
    let found = rows(database, &who, "SELECT * FROM customers ORDER BY id").await;
    assert_eq!(found.columns, ["id", "name", "country", "meta"]);
    let names: Vec<&str> = found.rows.iter().map(|r| r[1].as_str().unwrap()).collect();
    assert_eq!(names, ["Ann", "Bo"]);
    refused(
        database,
        &who,
        &[
            "SELECT email FROM customers",
            "SELECT c.email FROM customers c",
            "SELECT shop.customers.email FROM shop.customers",
            "SELECT `email` FROM customers",
            "SELECT * FROM customers c JOIN customers d USING (email)",
            "SELECT name FROM customers ORDER BY email",
            "SELECT GROUP_CONCAT(email) FROM customers",
            "SELECT * FROM orders",
            "SELECT * FROM shop.orders",
            "SELECT * FROM paid",
            "SELECT * FROM mysql.user",
            "SELECT * FROM information_schema.columns",
            "SELECT name FROM customers WHERE name = @name",
        ],
    )
    .await;
    let nobody = caller("' OR '1' = '1", &["\\", "DE') -- "]);
    let found = rows(database, &nobody, "SELECT * FROM customers").await;
    assert!(found.rows.is_empty(), "{found:?}");
}
