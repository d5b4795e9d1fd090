//! A SQLite file as a database: who sees what, and how much a query may take. Left out: files of rows (`sql_files`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "support/database.rs"]
mod database;
#[path = "support/nobody.rs"]
mod nobody;
#[path = "support/shop.rs"]
mod shop;

use std::path::Path;
use std::time::{Duration, Instant};

use praxis_core::{Caller, ErrorCode};
use praxis_tool::sql::{Database, Fault};
use serde_json::{Value, json};

use self::database::{asked, call, caller, fill, open, rows};
use self::nobody::Functions;

/// People whose pay is nobody's business, and who belong to regions.
const STAFF: &str = "\
    CREATE TABLE staff (id INTEGER PRIMARY KEY, name TEXT, salary INTEGER, region TEXT);\
    INSERT INTO staff VALUES (1, 'Ann', 771001, 'north'), (2, 'Bohdan', 771002, 'south'), (3, 'Cem', 771003, 'north');\
    CREATE TABLE wages (staff_id INTEGER, salary INTEGER);\
    INSERT INTO wages SELECT id, salary FROM staff;\
    CREATE TABLE notes (id INTEGER PRIMARY KEY, owner TEXT, words TEXT);\
    INSERT INTO notes VALUES (1, 'ann', 'hello'), (2, 'bo', 'about 771009');\
    CREATE VIEW everything AS SELECT * FROM staff;";

const PERMISSIONS: &str = "url = \"sqlite:staff.db\"\n\
    [[permissions]]\nlabels = [\"hr\"]\ntables = [\"*\"]\n\
    [[permissions]]\ntables = [\"staff\", \"notes\"]\nhidden = [\"salary\"]\n\
    where = { staff = \"region IN ({caller.labels})\", notes = \"owner = {caller.name}\" }\n";

/// What nobody but `hr` may come by.
const SECRETS: [&str; 2] = ["7710", "Bohdan"];

fn hides_secrets(what: &str) -> bool {
    !SECRETS.iter().any(|secret| what.contains(secret))
}

async fn staff(dir: &Path) -> Database {
    fill(&dir.join("staff.db"), STAFF).await;
    open(dir, PERMISSIONS)
}

#[tokio::test]
async fn what_is_hidden_does_not_come_out_of_queries_that_work() {
    let dir = tempfile::tempdir().unwrap();
    let staff = staff(dir.path()).await;
    let ann = caller("ann", &["north"]);
    for (sql, expected) in [
        (
            "SELECT * FROM staff",
            json!([[1, "Ann", "north"], [3, "Cem", "north"]]),
        ),
        (
            "SELECT s.* FROM staff s",
            json!([[1, "Ann", "north"], [3, "Cem", "north"]]),
        ),
        (
            "SELECT * FROM main.STAFF WHERE region = 'south' OR 1 = 1 ORDER BY id DESC",
            json!([[3, "Cem", "north"], [1, "Ann", "north"]]),
        ),
        (
            "SELECT * FROM staff NATURAL JOIN notes",
            json!([[1, "Ann", "north", "ann", "hello"]]),
        ),
        (
            "SELECT * FROM staff NATURAL JOIN staff AS t ORDER BY id",
            json!([[1, "Ann", "north"], [3, "Cem", "north"]]),
        ),
        (
            "SELECT * FROM staff JOIN staff t USING (name) WHERE staff.id = 1",
            json!([[1, "Ann", "north", 1, "north"]]),
        ),
        (
            "SELECT a.id, b.name FROM staff a LEFT JOIN staff b ON a.id <> b.id ORDER BY a.id",
            json!([[1, "Cem"], [3, "Ann"]]),
        ),
        (
            "WITH staff AS (SELECT * FROM staff) SELECT * FROM staff",
            json!([[1, "Ann", "north"], [3, "Cem", "north"]]),
        ),
        (
            "WITH wages AS (SELECT id AS salary FROM staff) SELECT salary FROM wages",
            json!([[1], [3]]),
        ),
        (
            "SELECT * FROM (SELECT * FROM staff) AS everything",
            json!([[1, "Ann", "north"], [3, "Cem", "north"]]),
        ),
        ("SELECT COUNT(*), MAX(id) FROM staff", json!([[2, 3]])),
        (
            "SELECT name, RANK() OVER (ORDER BY id) AS place FROM staff",
            json!([["Ann", 1], ["Cem", 2]]),
        ),
        (
            "SELECT 'x' AS salary FROM staff ORDER BY salary",
            json!([["x"], ["x"]]),
        ),
        (
            "SELECT j.value FROM json_each((SELECT json_group_array(name) FROM staff)) AS j",
            json!([["Ann"], ["Cem"]]),
        ),
        ("SELECT GROUP_CONCAT(words) FROM notes", json!([["hello"]])),
        (
            "SELECT name FROM staff WHERE EXISTS (SELECT 1 FROM notes WHERE owner = 'bo')",
            json!([]),
        ),
        (
            "SELECT id FROM staff UNION SELECT id FROM notes",
            json!([[1], [3]]),
        ),
    ] {
        let found = rows(&staff, &ann, sql).await;
        assert_eq!(json!(found.rows), expected, "{sql}");
        assert!(
            !found.columns.contains(&"salary".to_owned()) || sql.contains("AS salary"),
            "{sql}: {found:?}"
        );
    }
}

#[tokio::test]
async fn what_would_show_what_is_hidden_is_never_sent() {
    let dir = tempfile::tempdir().unwrap();
    let staff = staff(dir.path()).await;
    let ann = caller("ann", &["north"]);
    for sql in [
        "SELECT salary FROM staff",
        "SELECT SALARY FROM staff",
        "SELECT s.salary FROM staff AS s",
        "SELECT staff.salary FROM staff",
        "SELECT main.staff.salary FROM main.staff",
        "SELECT `salary` FROM staff",
        "SELECT [salary] FROM staff",
        "SELECT \"salary\" FROM staff",
        "SELECT * FROM wages",
        "SELECT * FROM main.wages",
        "SELECT * FROM everything",
        "SELECT * FROM staff JOIN wages USING (salary)",
        "SELECT * FROM staff s JOIN staff t USING (salary)",
        "SELECT * FROM staff a JOIN notes b ON a.salary = b.id",
        "SELECT x.salary FROM staff x, (SELECT 1 AS salary) y",
        "WITH staff AS (SELECT * FROM main.staff) SELECT salary FROM staff",
        "WITH wages AS (SELECT id AS salary FROM staff) SELECT salary FROM main.wages",
        "WITH x AS (SELECT salary FROM staff) SELECT 1",
        "SELECT (SELECT salary FROM staff LIMIT 1)",
        "SELECT name FROM staff WHERE salary > 1",
        "SELECT name FROM staff ORDER BY salary",
        "SELECT name FROM staff GROUP BY salary",
        "SELECT COUNT(*) FROM staff GROUP BY name HAVING MAX(salary) > 1",
        "SELECT SUM(salary) OVER () FROM staff",
        "SELECT RANK() OVER (ORDER BY salary) FROM staff",
        "SELECT RANK() OVER w FROM staff WINDOW w AS (PARTITION BY salary)",
        "SELECT COUNT(*) FILTER (WHERE salary > 1) FROM staff",
        "SELECT CASE WHEN salary > 1 THEN 1 END FROM staff",
        "SELECT MAX(salary, 1) FROM staff",
        "SELECT staff FROM staff",
        "SELECT json_object('s', staff) FROM staff",
        "SELECT rowid FROM staff",
        "SELECT _rowid_ FROM staff",
        "SELECT oid FROM staff",
        "SELECT id FROM staff UNION SELECT salary FROM wages",
        "SELECT id FROM staff WHERE EXISTS (SELECT 1 FROM wages w WHERE w.staff_id = staff.id)",
        "SELECT id FROM staff WHERE id IN (SELECT staff_id FROM wages)",
        "SELECT id FROM staff WHERE id IN wages",
        "SELECT name FROM staff LIMIT (SELECT MAX(salary) FROM wages)",
        "VALUES ((SELECT salary FROM wages))",
        "DELETE FROM staff RETURNING *",
        "SELECT * FROM staff RETURNING salary",
        "SELECT praxis_caller_name FROM staff",
        "SELECT * FROM staff WHERE region IN (praxis_caller_labels)",
        "SELECT sql FROM sqlite_master",
        "SELECT * FROM pragma_table_info('staff')",
        "SELECT * FROM loot.staff",
        "SELECT * FROM temp.staff",
    ] {
        match asked(&staff, &ann, sql).await {
            Err(Fault::Refused(why)) => assert!(hides_secrets(&why), "{sql}: {why}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_schema_tells_no_more_than_queries_do() {
    let dir = tempfile::tempdir().unwrap();
    let staff = staff(dir.path()).await;
    let ann = caller("ann", &["north"]);
    let schema = staff.schema(&ann).await.unwrap();
    let told = format!("{schema:?}");
    assert!(hides_secrets(&told), "{told}");
    for hidden in ["salary", "wages", "everything", "hello"] {
        assert!(!told.contains(hidden), "{hidden}: {told}");
    }
    assert!(told.contains("region") && schema.tables.len() == 2);
    let words = ["Bohdan".to_owned(), "Ann".to_owned(), "hello".to_owned()];
    assert!(staff.values(&schema, "", &words).await.unwrap().is_empty());

    let hr = caller("eve", &["hr"]);
    let whole = staff.schema(&hr).await.unwrap();
    assert_eq!(whole.tables.len(), 4);
    assert_eq!(whole.table("staff").unwrap().rows, Some(3));
    let pay =
        "SELECT s.name, w.salary FROM staff s JOIN wages w ON w.staff_id = s.id WHERE s.id = 2";
    assert_eq!(
        json!(rows(&staff, &hr, pay).await.rows),
        json!([["Bohdan", 771_002]])
    );
    let full = rows(&staff, &Caller::full(), "SELECT * FROM wages").await;
    assert_eq!(full.rows.len(), 3);
}

#[tokio::test]
async fn a_name_or_a_label_is_a_value_and_no_part_of_a_condition() {
    let dir = tempfile::tempdir().unwrap();
    let staff = staff(dir.path()).await;
    for (who, of_staff, of_notes) in [
        (caller("ann", &["north"]), 2, 1),
        (caller("ann", &["north", "south"]), 3, 1),
        (caller("Ann", &["North"]), 0, 0),
        (caller("ann", &[]), 0, 1),
        (Caller::default(), 0, 0),
        (
            caller("x' OR '1'='1", &["north') OR ('1'='1", "', 'south"]),
            0,
            0,
        ),
        (caller("' --", &["?1", "\\"]), 0, 0),
    ] {
        let seen = rows(&staff, &who, "SELECT * FROM staff").await;
        assert_eq!(seen.rows.len(), of_staff, "{who:?}");
        let seen = rows(&staff, &who, "SELECT * FROM notes").await;
        assert_eq!(seen.rows.len(), of_notes, "{who:?}");
    }
}

#[tokio::test]
async fn rows_and_bytes_have_an_end_and_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("staff.db"), STAFF).await;
    let small = open(
        dir.path(),
        "url = \"sqlite:staff.db\"\nlimits = { rows = 2, bytes = 1000 }\n",
    );
    let all = Caller::full();
    let found = rows(&small, &all, "SELECT id FROM staff ORDER BY id").await;
    assert_eq!((json!(found.rows), found.cut), (json!([[1], [2]]), true));
    let found = rows(&small, &all, "SELECT id FROM staff ORDER BY id LIMIT 2").await;
    assert_eq!((found.rows.len(), found.cut), (2, false));
    let long = format!(
        "SELECT '{}' AS t UNION ALL SELECT '{}'",
        "x".repeat(600),
        "y".repeat(600)
    );
    let found = rows(&small, &all, &long).await;
    assert_eq!((found.rows.len(), found.cut), (1, true));
    let value = format!("SELECT '{}' AS t", "字".repeat(400));
    let found = rows(&small, &all, &value).await;
    assert!(found.cut && found.rows.is_empty(), "{found:?}");
}

/// A query that SQLite would not end in a lifetime.
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
    SELECT COUNT(*) FROM n a, n b, n c WHERE a.i + b.i + c.i = 7";

#[tokio::test]
async fn a_query_without_an_end_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("staff.db"), STAFF).await;
    let all = Caller::full();
    let hasty = open(
        dir.path(),
        "url = \"sqlite:staff.db\"\nlimits = { time = \"300ms\" }\n",
    );
    match asked(&hasty, &all, ENDLESS).await {
        Err(Fault::TooMuch(why)) => assert!(why.contains("longer than 300ms"), "{why}"),
        other => panic!("{other:?}"),
    }
    let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
    let patient = open(
        dir.path(),
        "url = \"sqlite:staff.db\"\nlimits = { time = \"10m\" }\n",
    );
    let counted = rows(&patient, &all, endless).await;
    assert_eq!(json!(counted.rows), json!([[100_000]]));

    let schema = patient.schema(&all).await.unwrap();
    let query = patient.check(ENDLESS, &schema, &all).unwrap();
    let cx = call(&all);
    let cancel = cx.cancel().clone();
    let (found, ()) = tokio::join!(patient.run(&query, &cx), async {
        tokio::task::yield_now().await;
        cancel.cancel();
    });
    match found {
        Err(Fault::Call(error)) => assert_eq!(error.code, ErrorCode::Cancelled),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_instruction_with_long_texts_takes_no_longer_than_a_query_may() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("staff.db"), STAFF).await;
    let all = Caller::full();
    let hasty = open(
        dir.path(),
        "url = \"sqlite:staff.db\"\nlimits = { time = \"1s\", connections = 1 }\n",
    );
    for sql in [
        "SELECT instr(printf('%.40000000c', 'a'), printf('%.20000000c', 'a') || 'b')",
        "SELECT format('%*d', 100000000, 1)",
        "SELECT printf(name) FROM staff",
        "SELECT json_patch('{}', '{}')",
    ] {
        let found = asked(&hasty, &all, sql).await;
        assert!(matches!(found, Err(Fault::Refused(_))), "{sql}: {found:?}");
    }
    // A million letters, and half of them with another one behind.
    let thousand = "a".repeat(1000);
    let long = format!("replace('{thousand}', 'a', '{thousand}')");
    let half = format!("replace('{}', 'a', '{thousand}') || 'b'", "a".repeat(500));
    for sql in [
        format!("SELECT instr({long}, {half}) IS NULL"),
        format!("SELECT length(replace({long}, {half}, '')) IS NULL"),
        format!("SELECT length(trim({long}, {half})) IS NULL"),
        format!("SELECT length(ltrim({long}, 'b' || {half})) IS NULL"),
        format!("SELECT length(rtrim({long}, 'b' || {half})) IS NULL"),
    ] {
        let begun = Instant::now();
        let found = asked(&hasty, &all, &sql).await;
        let shown: String = sql.chars().take(20).collect();
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "{shown}: {found:?}"
        );
        let good = matches!(found, Ok(_) | Err(Fault::TooMuch(_)));
        assert!(good, "{shown}: {found:?}");
    }
    let longer = format!("SELECT length(replace({long}, 'a', '{thousand}'))");
    match asked(&hasty, &all, &longer).await {
        Err(Fault::TooMuch(why)) => assert!(why.contains("a value is longer than"), "{why}"),
        other => panic!("{other:?}"),
    }
    let found = rows(&hasty, &all, "SELECT trim('xxaxx', 'x'), instr('abc', 'c')").await;
    assert_eq!(json!(found.rows), json!([["a", 3]]));
}

/// What would be sorted on the disk, where it fills that, takes memory, and not without an end.
#[tokio::test]
async fn what_a_query_remembers_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let texts = "CREATE TABLE texts (id INTEGER PRIMARY KEY, words TEXT);\
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70)\
        INSERT INTO texts SELECT i, hex(zeroblob(50000)) FROM n;";
    fill(&dir.path().join("texts.db"), texts).await;
    let all = Caller::full();
    let patient = open(
        dir.path(),
        "url = \"sqlite:texts.db\"\nlimits = { time = \"2m\" }\n",
    );
    // 490 MB of texts that are all different.
    let many = "SELECT COUNT(*) FROM (SELECT DISTINCT a.id || '-' || b.id || a.words AS w \
                FROM texts a, texts b) AS t";
    match asked(&patient, &all, many).await {
        Err(Fault::TooMuch(why)) => assert!(why.contains("256 MiB of memory"), "{why}"),
        other => panic!("{other:?}"),
    }
    // Its memory is free again.
    let few = "SELECT COUNT(*) FROM (SELECT DISTINCT a.id || '-' || b.id || a.words AS w \
               FROM texts a, texts b WHERE a.id <= 20) AS t";
    let found = rows(&patient, &all, few).await;
    assert_eq!(json!(found.rows), json!([[1400]]));
}

#[tokio::test]
async fn connections_to_a_file_take_turns_and_give_them_back() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("staff.db"), STAFF).await;
    let all = Caller::full();
    let with = |time: &str| {
        let limits = format!("limits = {{ time = \"{time}\", connections = 1 }}");
        open(
            dir.path(),
            &format!("url = \"sqlite:staff.db\"\n{limits}\n"),
        )
    };
    let hasty = with("300ms");
    let begun = Instant::now();
    let both = tokio::join!(asked(&hasty, &all, ENDLESS), asked(&hasty, &all, ENDLESS));
    for found in [both.0, both.1] {
        assert!(matches!(found, Err(Fault::TooMuch(_))), "{found:?}");
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(600),
        "one after the other"
    );
    // One that nobody waits for any more gives its turn back when it has ended.
    let patient = with("10m");
    let waited = tokio::time::timeout(Duration::from_millis(200), asked(&patient, &all, ENDLESS));
    assert!(waited.await.is_err());
    let found = rows(&patient, &all, "SELECT COUNT(*) FROM staff").await;
    assert_eq!(json!(found.rows), json!([[3]]));
}

#[tokio::test]
async fn a_name_that_hides_nothing_ends_all_reading() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("staff.db"), STAFF).await;
    for (more, key) in [
        (
            "exclude = [\"wage\"]\n",
            "exclude.0: there is no table `wage`",
        ),
        (
            "[[permissions]]\ntables = [\"*\"]\nhidden = [\"salery\"]\n",
            "permissions.0.hidden.0: there is no column `salery`",
        ),
        (
            "[[permissions]]\ntables = [\"*\"]\nwhere = { staf = \"region IN ({caller.labels})\" }\n",
            "permissions.0.where.staf: there is no table `staf`",
        ),
    ] {
        let wrong = open(dir.path(), &format!("url = \"sqlite:staff.db\"\n{more}"));
        let error = wrong.schema(&caller("ann", &["north"])).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Forbidden, "{more}");
        assert!(error.message.contains(key), "{error:?}");
        // Which names there are is told to those who may see them.
        assert!(error.hint.is_none(), "{error:?}");
        let error = wrong.schema(&Caller::full()).await.unwrap_err();
        assert!(
            error.hint.unwrap_or_default().contains("did you mean"),
            "{key}"
        );
    }
    // The name may come to be wrong later.
    let right = "url = \"sqlite:staff.db\"\nrefresh = \"1ms\"\nexclude = [\"wages\"]\n";
    let database = open(dir.path(), right);
    let all = Caller::full();
    // Two tables: a view may show what nobody is to see.
    assert_eq!(database.schema(&all).await.unwrap().tables.len(), 2);
    fill(
        &dir.path().join("staff.db"),
        "ALTER TABLE wages RENAME TO pay",
    )
    .await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(database.schema(&all).await.is_err());
}

#[tokio::test]
async fn a_view_shows_no_rows_that_its_table_hides() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("staff.db"), STAFF).await;
    let ann = caller("ann", &["north"]);
    let with = |tables: &str| {
        let permission = format!(
            "[[permissions]]\ntables = {tables}\nwhere = {{ staff = \"region IN ({{caller.labels}})\" }}\n"
        );
        open(
            dir.path(),
            &format!("url = \"sqlite:staff.db\"\n{permission}"),
        )
    };
    let all = with("[\"*\"]");
    let found = asked(&all, &ann, "SELECT * FROM everything").await;
    assert!(matches!(found, Err(Fault::Refused(_))), "{found:?}");
    assert_eq!(rows(&all, &ann, "SELECT * FROM staff").await.rows.len(), 2);
    let named = with("[\"*\", \"everything\"]");
    assert_eq!(
        rows(&named, &ann, "SELECT * FROM everything")
            .await
            .rows
            .len(),
        3
    );
}

#[tokio::test]
async fn a_variable_that_is_not_set_costs_its_own_tool_alone() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("staff.db"), STAFF).await;
    std::fs::create_dir(dir.path().join("tools")).unwrap();
    for (name, url) in [
        ("there", "sqlite:staff.db"),
        ("gone", "env:PRAXIS_TEST_NO_SUCH_VARIABLE"),
    ] {
        let path = dir.path().join(format!("tools/{name}.sql.toml"));
        std::fs::write(path, format!("url = \"{url}\"\n")).unwrap();
    }
    let functions = Functions::load(dir.path()).await;
    assert_eq!(functions.said.len(), 1, "{:?}", functions.said);
    assert!(functions.said[0].contains("PRAXIS_TEST_NO_SUCH_VARIABLE is not set"));
    for (name, input) in [
        ("gone/ask", json!({ "question": "Who is there?" })),
        ("gone/query", json!({ "sql": "SELECT 1" })),
        ("gone/schema", json!({})),
    ] {
        let error = functions.call(name, input).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unauthorized, "{name}");
        let hint = error.hint.unwrap_or_default();
        assert!(
            hint.contains("export PRAXIS_TEST_NO_SUCH_VARIABLE"),
            "{hint}"
        );
    }
    assert!(functions.call("there/schema", json!({})).await.is_ok());
}

#[tokio::test]
async fn values_that_words_are_like_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let all = format!("{}{}", shop::SQLITE_SHOP, shop::ROWS);
    fill(&dir.path().join("shop.db"), &all).await;
    let shop = open(dir.path(), "url = \"sqlite:shop.db\"\n");
    let schema = shop.schema(&Caller::full()).await.unwrap();
    let words = ["green", "李雷", "%", "x' OR 1=1"].map(str::to_owned);
    let found = shop.values(&schema, "", &words).await.unwrap();
    let found: Vec<(&str, &str, &str)> = found
        .iter()
        .map(|f| (f.table.as_str(), f.column.as_str(), f.value.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("customers", "name", "李雷"),
            ("products", "title", "Green tea")
        ]
    );
    // Those that a question holds as they are need no words.
    for (question, value, is_held) in [
        ("How much green tea has 李雷 drunk?", "Green tea", true),
        ("How much green tea has 李雷 drunk?", "李雷", true),
        ("How much green paint is there?", "Green tea", false),
        ("", "李雷", false),
    ] {
        let held = shop.values(&schema, question, &[]).await.unwrap();
        let found = held.iter().any(|f| f.value == value);
        assert_eq!(found, is_held, "{question}: {held:?}");
    }
    let orders = schema.table("orders").unwrap();
    assert_eq!(orders.foreign_keys[0].table, "customers");
    assert_eq!(orders.primary_key, ["id"]);
    let status = orders.column("status").unwrap();
    assert_eq!(status.samples, ["paid", "new"]);
}

#[tokio::test]
async fn a_tool_file_makes_functions_that_say_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let all = format!("{}{}", shop::SQLITE_SHOP, shop::ROWS);
    fill(&dir.path().join("shop.db"), &all).await;
    std::fs::create_dir(dir.path().join("tools")).unwrap();
    std::fs::write(
        dir.path().join("tools/shop.sql.toml"),
        "url = \"sqlite:shop.db\"\ndescription = \"What the shop sold.\"\nexclude = [\"customers.email\"]\n\
         [tables.orders]\ndescription = \"What was bought.\"\ncolumns = { status = \"new or paid\" }\n",
    )
    .unwrap();
    let functions = Functions::load(dir.path()).await;
    assert!(functions.said.is_empty(), "{:?}", functions.said);
    let names = functions.names();
    for name in ["shop/ask", "shop/query", "shop/schema"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let content = |output: Value| output["content"].clone();
    let query = |sql: &str| functions.call("shop/query", json!({ "sql": sql }));
    let output = query("SELECT name FROM customers, orders ORDER BY customers.id LIMIT 1")
        .await
        .map(content)
        .unwrap();
    assert_eq!(output["columns"], json!(["name"]));
    assert_eq!(output["rows"], json!([["Ann"]]));
    assert_eq!(output["cut"], json!(false));
    let note = output["notes"][0].as_str().unwrap();
    assert!(note.contains("no condition joins"), "{note}");

    for (sql, told) in [
        (
            "SELECT nme FROM customers",
            "there is no column `nme`; did you mean `name`?",
        ),
        ("SELECT email FROM customers", "there is no column `email`"),
        ("DROP TABLE customers", "begins with `DROP`"),
    ] {
        let error = query(sql).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{sql}");
        assert!(error.message.contains(told), "{sql}: {error:?}");
    }
    let schema = functions.call("shop/schema", json!({})).await;
    let schema = schema.map(content).unwrap();
    assert_eq!(schema["dialect"], json!("SQLite"));
    assert_eq!(schema["tables"].as_array().unwrap().len(), 4);
    let orders = functions
        .call("shop/schema", json!({ "table": "Orders" }))
        .await;
    let orders = orders.map(content).unwrap();
    assert_eq!(orders["tables"][0]["comment"], json!("What was bought."));
    assert_eq!(
        orders["tables"][0]["columns"][2]["comment"],
        json!("new or paid")
    );
    let error = functions
        .call("shop/schema", json!({ "table": "order" }))
        .await
        .unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean `orders`?"));
}
