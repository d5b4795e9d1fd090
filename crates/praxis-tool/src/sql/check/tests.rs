//! What the check lets through, and what is sent for it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use praxis_core::{Caller, Clearance};

use super::*;
use crate::sql::access::Permissions;
use crate::sql::ask::fixtures::music;
use crate::sql::{Config, checked};

fn written(sql: &str, dialect: Dialect) -> String {
    match checked(sql, &music(dialect), "shop") {
        Ok(query) => query.sql().to_owned(),
        Err(fault) => format!("refused: {fault}"),
    }
}

#[test]
fn a_query_is_written_anew_with_quotes_places_and_a_limit() {
    use Dialect::{Mysql, Postgres, Sqlite};
    for (dialect, sql, expected) in [
        (
            Sqlite,
            "select Name from ARTIST where artist_id=1;",
            "SELECT `name` FROM `main`.`artist` AS `artist` WHERE `artist_id` = 1 LIMIT 1001",
        ),
        (
            Postgres,
            "SELECT a.Name AS Singer FROM artist a ORDER BY singer DESC LIMIT 5",
            "SELECT \"a\".\"name\" AS \"singer\" FROM \"shop\".\"artist\" AS \"a\" ORDER BY \"singer\" DESC LIMIT 5",
        ),
        (
            Mysql,
            "SELECT COUNT(*) FROM album WHERE title LIKE \"It\\'s%\"",
            "SELECT count(*) AS `COUNT(*)` FROM `shop`.`album` AS `album` WHERE `title` LIKE 'It''s%' LIMIT 1001",
        ),
        (
            Sqlite,
            "WITH t AS (SELECT artist_id, count(*) AS n FROM album GROUP BY artist_id) \
             SELECT name, n FROM artist JOIN t USING (artist_id) LIMIT 2000 OFFSET 3",
            "WITH `t` AS (SELECT `artist_id`, count(*) AS `n` FROM `main`.`album` AS `album` GROUP BY `artist_id`) \
             SELECT `name`, `n` FROM `main`.`artist` AS `artist` JOIN `t` AS `t` USING (`artist_id`) \
             LIMIT 1001 OFFSET 3",
        ),
        (
            Postgres,
            "SELECT name FROM artist UNION SELECT title FROM album ORDER BY 1",
            "SELECT \"name\" FROM \"shop\".\"artist\" AS \"artist\" UNION SELECT \"title\" FROM \"shop\".\"album\" AS \
             \"album\" ORDER BY 1 LIMIT 1001",
        ),
        (
            // A printer that takes a quote behind a backslash for escaped would let the rest out of the text.
            Postgres,
            "SELECT '\\''' AS a, E'x\\'y' AS b, -(-1) AS c, 1 - -1 AS d",
            "SELECT '\\''' AS \"a\", 'x''y' AS \"b\", -(-1) AS \"c\", 1 - -1 AS \"d\" LIMIT 1001",
        ),
        (
            Mysql,
            "SELECT '\\\\' AS a, 'it\\'s' AS b",
            "SELECT _utf8mb4 X'5C' AS `a`, 'it''s' AS `b` LIMIT 1001",
        ),
        (Sqlite, "(SELECT 1 AS a)", "SELECT 1 AS `a` LIMIT 1001"),
        (
            Sqlite,
            "VALUES (1), (2)",
            "SELECT * FROM (VALUES (1), (2)) AS `q1` LIMIT 1001",
        ),
        (
            Postgres,
            "SELECT '5'::int AS a",
            "SELECT CAST('5' AS INT) AS \"a\" LIMIT 1001",
        ),
        (
            Sqlite,
            "SELECT name, rank() OVER (PARTITION BY name ORDER BY artist_id DESC \
             ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS r FROM artist",
            "SELECT `name`, rank() OVER (PARTITION BY `name` ORDER BY `artist_id` DESC ROWS BETWEEN 1 PRECEDING AND \
             CURRENT ROW) AS `r` FROM `main`.`artist` AS `artist` LIMIT 1001",
        ),
    ] {
        assert_eq!(written(sql, dialect), expected);
    }
}

#[test]
fn what_is_not_known_is_named_with_what_was_meant() {
    for (sql, told) in [
        (
            "SELECT * FROM artists",
            "there is no table `artists`; did you mean `artist`?",
        ),
        (
            "SELECT nme FROM artist",
            "there is no column `nme`; did you mean `name`?",
        ),
        (
            "SELECT a.nme FROM artist a",
            "`a` has no column `nme`; did you mean `name`?",
        ),
        (
            "SELECT b.name FROM artist a",
            "`b.name` names no table of FROM",
        ),
        (
            "SELECT title FROM artist",
            "there is no column `title` in the tables of FROM; `album` has one, join it: JOIN album ON album.artist_id = \
             artist.artist_id",
        ),
        (
            "SELECT T2.title FROM album AS T1 JOIN artist AS T2 ON T1.artist_id = T2.artist_id",
            "`T2` has no column `title`; `T1` has one: write `T1.title`",
        ),
        (
            "SELECT t.title FROM track AS t",
            "`t` has no column `title`; `album` has one, join it: JOIN album ON album.album_id = t.album_id",
        ),
        (
            "SELECT name FROM artist, track",
            "`name` may be `artist.name` or `track.name`; say which",
        ),
        (
            "SELECT artist FROM artist",
            "`artist` is a table, not a column",
        ),
        (
            "SELECT name FROM artist WHERE name = \"Joni\"",
            "there is no column `Joni`",
        ),
        (
            "SELECT strftim('%Y', 'now')",
            "the function `strftim` is not allowed in SQLite; did you mean `strftime`?",
        ),
        ("SELECT sql FROM sqlite_master", "catalogue"),
        ("SELECT * FROM main.sqlite_schema", "catalogue"),
        ("SELECT rowid FROM artist", "there is no column `rowid`"),
        ("SELECT a.* FROM artist", "there is no `a` in FROM"),
        (
            "SELECT * FROM artist a JOIN album a ON 1 = 1",
            "two relations called `a`",
        ),
        (
            "SELECT name FROM artist WHERE",
            "this is no SQLite that can be read",
        ),
    ] {
        let found = written(sql, Dialect::Sqlite);
        assert!(
            found.starts_with("refused: ") && found.contains(told),
            "{sql}: {found}"
        );
    }
}

#[test]
fn joins_without_a_condition_are_noted() {
    for (sql, noted) in [
        ("SELECT a.name FROM artist a, album b", true),
        ("SELECT a.name FROM artist a JOIN album b", true),
        (
            "SELECT a.name FROM artist a, album b, track t WHERE a.artist_id = b.artist_id",
            true,
        ),
        (
            "SELECT a.name FROM artist a, album b WHERE a.artist_id = b.artist_id",
            false,
        ),
        (
            "SELECT a.name FROM artist a JOIN album b ON a.artist_id = b.artist_id",
            false,
        ),
        (
            "SELECT a.name FROM artist a JOIN album b USING (artist_id)",
            false,
        ),
        ("SELECT a.name FROM artist a NATURAL JOIN album b", false),
        ("SELECT a.name FROM artist a CROSS JOIN album b", false),
        (
            "SELECT a.name, j.value FROM artist a, json_each(a.name) j",
            false,
        ),
    ] {
        let query = checked(sql, &music(Dialect::Sqlite), "").unwrap();
        assert_eq!(
            !query.notes().is_empty(),
            noted,
            "{sql}: {:?}",
            query.notes()
        );
    }
}

/// What a caller with some labels gets of a query.
fn seen(toml: &str, labels: &[&str], sql: &str) -> Result<(String, Vec<Option<String>>), String> {
    let config: Config = toml::from_str(&format!("url = \"sqlite:a.db\"\n{toml}")).unwrap();
    let full = Arc::new(music(Dialect::Sqlite));
    let permissions = Permissions::new(&config, Dialect::Sqlite).unwrap();
    let caller = Caller {
        name: Some("ann".to_owned()),
        clearance: Clearance::of(labels.iter().copied()),
    };
    let access = permissions.access(&full, &caller.clearance);
    let rules = Rules {
        dialect: Dialect::Sqlite,
        schema: &access.schema,
        access: &access,
        known: &Known::from(&caller),
        places: &["main".to_owned()],
        functions: &[],
        rows: 10,
    };
    match check(sql, &rules) {
        Ok(query) => Ok((query.sql, query.binds)),
        Err(fault) => Err(fault.to_string()),
    }
}

#[test]
fn what_a_caller_sees_stands_in_the_place_of_tables() {
    let toml = "[[permissions]]\ntables = [\"customer\", \"invoice\"]\nhidden = [\"last_name\"]\n\
                where = { customer = \"country IN ({caller.labels}) OR last_name = {caller.name}\", \
                invoice = \"customer_id IN (SELECT customer_id FROM customer WHERE country = {caller.name})\" }\n";
    let (sql, binds) = seen(
        toml,
        &["Brazil", "Chile"],
        "WITH x AS (SELECT * FROM customer) SELECT * FROM x",
    )
    .unwrap();
    assert_eq!(
        sql,
        "WITH `x` AS (SELECT * FROM (SELECT `customer_id`, `country` FROM `main`.`customer` AS `customer` \
         WHERE (`country` IN (?1, ?2) OR `last_name` = ?3) LIMIT -1) AS `customer`) SELECT * FROM `x` AS `x` LIMIT 11"
    );
    let expected: Vec<Option<String>> = ["Brazil", "Chile", "ann"]
        .iter()
        .map(|v| Some((*v).to_owned()))
        .collect();
    assert_eq!(binds, expected);
    let (sql, binds) = seen(toml, &[], "SELECT total FROM invoice i").unwrap();
    assert!(
        sql.contains(
            "WHERE (`customer_id` IN (SELECT `customer_id` FROM `main`.`customer` AS `customer` \
             WHERE `country` = ?1)) LIMIT -1) AS `i`"
        ),
        "{sql}"
    );
    assert_eq!(binds.len(), 1);
    let nobody = seen(toml, &[], "SELECT * FROM customer").unwrap().0;
    assert!(nobody.contains("`country` IN (NULL)"), "{nobody}");
    for sql in [
        "SELECT last_name FROM customer",
        "SELECT c.last_name FROM customer c",
        "SELECT customer FROM customer",
        "SELECT * FROM track",
        "SELECT praxis_caller_name FROM customer",
        "SELECT 1 FROM customer WHERE country = praxis_caller_labels",
        "WITH customer AS (SELECT last_name FROM main.customer) SELECT * FROM customer",
    ] {
        assert!(seen(toml, &["Brazil"], sql).is_err(), "{sql}");
    }
}

#[test]
fn a_condition_that_does_not_fit_hides_everything_and_tells_nothing() {
    let toml = "[[permissions]]\ntables = [\"*\"]\nwhere = { customer = \"no_such_secret = 1\" }\n";
    let told = seen(toml, &[], "SELECT * FROM customer").unwrap_err();
    assert!(
        !told.contains("no_such_secret") && told.contains("`customer`"),
        "{told}"
    );
}

#[test]
fn a_check_has_room_for_the_deepest_query_that_may_be() {
    let chain = format!("SELECT {}", vec!["1"; 250].join(" + "));
    assert!(!written(&chain, Dialect::Sqlite).starts_with("refused"));
    let nested = format!("SELECT {}1{}", "(".repeat(200), ")".repeat(200));
    assert!(written(&nested, Dialect::Sqlite).starts_with("refused"));
    let signs = format!("SELECT {}1", "- ".repeat(200));
    assert!(written(&signs, Dialect::Sqlite).starts_with("refused"));
}

#[test]
fn what_sqlite_looks_for_at_each_place_of_a_text_is_short() {
    for (sql, expected) in [
        (
            "SELECT instr(name, 'x') AS a FROM artist",
            "instr(`name`, 'x')",
        ),
        (
            "SELECT instr('x', name) AS a FROM artist",
            "instr('x', substr(`name`, 1, 1000))",
        ),
        (
            "SELECT replace(name, name || 'b', name) AS a FROM artist",
            "replace(`name`, substr(`name` || 'b', 1, 1000), `name`)",
        ),
        (
            "SELECT ltrim(name, name) AS a FROM artist",
            "ltrim(`name`, substr(`name`, 1, 1000))",
        ),
        (
            "SELECT TRIM(name, name) AS a FROM artist",
            "TRIM(`name`, substr(`name`, 1, 1000))",
        ),
        ("SELECT trim(name) AS a FROM artist", "TRIM(`name`)"),
    ] {
        let found = written(sql, Dialect::Sqlite);
        assert!(found.contains(expected), "{sql}: {found}");
    }
    // Elsewhere the server ends what takes long.
    let found = written(
        "SELECT replace(name, name, 'x') AS a FROM artist",
        Dialect::Mysql,
    );
    assert!(found.contains("replace(`name`, `name`, 'x')"), "{found}");
    for sql in [
        "SELECT printf('%.40000000c', 'a')",
        "SELECT format('%*d', 9, 9)",
        "SELECT printf(name, 1) FROM artist",
        "SELECT printf()",
    ] {
        let found = written(sql, Dialect::Sqlite);
        assert!(found.contains("the format of"), "{sql}: {found}");
    }
}
