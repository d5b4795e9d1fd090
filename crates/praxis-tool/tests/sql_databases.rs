//! A SQLite file and files of rows as databases: who sees what, how much a query may take, and what files become.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "support/database.rs"]
mod database;
#[path = "support/nobody.rs"]
mod nobody;
#[path = "support/shop.rs"]
mod shop;

use std::io::Write;
use std::path::Path;

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

#[tokio::test]
async fn delimited_files_are_tables_that_follow_them() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let sales =
        "Region,Unit Price,Sold At,Zip\nnorth,1.50,2026-01-02,01234\nsouth,20,2026-02-03,56789\n";
    std::fs::write(data.join("sales.csv"), sales).unwrap();
    let (chinese, _, _) =
        encoding_rs::GB18030.encode("姓名,城市\n李雷今天去了北京,中华人民共和国北京市\n");
    std::fs::write(data.join("客户.csv"), chinese).unwrap();
    std::fs::write(data.join("empty.csv"), "\n").unwrap();
    std::fs::write(data.join("broken.xlsx"), "this is no workbook").unwrap();
    std::fs::write(data.join("readme.md"), "not a table").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/passwd", data.join("passwd.csv")).unwrap();
    let files = open(dir.path(), "files = [\"data/*\"]\n");
    let all = Caller::full();
    let schema = files.schema(&all).await.unwrap();
    let names: Vec<&str> = schema.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["sales", "客户"]);
    let table = schema.table("sales").unwrap();
    assert_eq!(table.comment.as_deref(), Some("file data/sales.csv"));
    assert_eq!(table.rows, Some(2));
    let columns: Vec<(&str, &str, Option<&str>)> = table
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.kind.as_str(), c.comment.as_deref()))
        .collect();
    assert_eq!(
        columns,
        [
            ("region", "TEXT", Some("Region")),
            ("unit_price", "REAL", Some("Unit Price")),
            ("sold_at", "DATE", Some("Sold At")),
            ("zip", "TEXT", Some("Zip")),
        ]
    );
    let sums =
        "SELECT zip, unit_price + 0.5, strftime('%Y', sold_at) FROM sales ORDER BY unit_price";
    assert_eq!(
        json!(rows(&files, &all, sums).await.rows),
        json!([["01234", 2.0, "2026"], ["56789", 20.5, "2026"]])
    );
    let city = rows(
        &files,
        &all,
        "SELECT 城市 FROM 客户 WHERE 姓名 LIKE '李雷%'",
    )
    .await;
    assert_eq!(json!(city.rows), json!([["中华人民共和国北京市"]]));

    // A file that changes is read anew, also where its columns are others.
    std::fs::write(data.join("sales.csv"), "Area\nwest\neast\nmid\n").unwrap();
    let area = rows(&files, &all, "SELECT area FROM sales ORDER BY area").await;
    assert_eq!(json!(area.rows), json!([["east"], ["mid"], ["west"]]));
    assert!(matches!(
        asked(&files, &all, "SELECT region FROM sales").await,
        Err(Fault::Refused(_))
    ));
    let kept = std::fs::read_dir(dir.path().join(".praxis/tools/sql/shop/files")).unwrap();
    assert_eq!(kept.count(), 1, "what is old is taken away");
}

#[tokio::test]
async fn files_have_limits_and_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let all = Caller::full();
    std::fs::write(dir.path().join("a.csv"), "x,y\n1,2\n3,4\n5,6\n").unwrap();
    std::fs::write(dir.path().join("b.tsv"), "2024\t2025\n1\t2\n").unwrap();
    let few = open(
        dir.path(),
        "files = [\"*.csv\"]\nlimits = { file_rows = 2 }\n",
    );
    let found = rows(&few, &all, "SELECT x, y FROM a").await;
    assert_eq!(json!(found.rows), json!([[1, 2], [3, 4]]));
    let small = open(
        dir.path(),
        "files = [\"*.csv\"]\nlimits = { file_bytes = 5 }\n",
    );
    let error = small.schema(&all).await.unwrap_err();
    assert!(error.message.contains("limits.file_bytes"), "{error:?}");
    let none = open(dir.path(), "files = [\"*.parquet\"]\n");
    let error = none.schema(&all).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    let told = open(dir.path(), "files = [\"*.tsv\"]\nheader = true\n");
    let found = rows(&told, &all, "SELECT * FROM b").await;
    assert_eq!(found.columns, ["c_2024", "c_2025"]);
    let other = open(dir.path(), "files = [\"b.tsv\"]\nheader = false\n");
    let found = rows(&other, &all, "SELECT * FROM b").await;
    assert_eq!(found.columns, ["column_1", "column_2"]);
    assert_eq!(json!(found.rows), json!([[2024, 2025], [1, 2]]));
}

/// A workbook with some sheets: name, state and rows.
fn workbook(path: &Path, sheets: &[(&str, &str, &str)]) {
    let file = std::fs::File::create(path).unwrap();
    let mut zip = zip::ZipWriter::new(file);
    let mut add = |name: &str, text: &str| {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    };
    let relationships = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let (mut names, mut targets) = (String::new(), String::new());
    for (i, (name, state, rows)) in sheets.iter().enumerate() {
        names.push_str(&format!(
            "<sheet name=\"{name}\" sheetId=\"{}\" {state} r:id=\"r{i}\"/>",
            i + 1
        ));
        targets.push_str(&format!(
            "<Relationship Id=\"r{i}\" Type=\"{relationships}/worksheet\" Target=\"worksheets/sheet{i}.xml\"/>"
        ));
        let sheet = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
        add(&format!("xl/worksheets/sheet{i}.xml"), &sheet);
    }
    add(
        "_rels/.rels",
        &format!(
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
             <Relationship Id=\"r1\" Type=\"{relationships}/officeDocument\" Target=\"xl/workbook.xml\"/>\
             </Relationships>"
        ),
    );
    add(
        "xl/workbook.xml",
        &format!("<workbook xmlns:r=\"{relationships}\"><sheets>{names}</sheets></workbook>"),
    );
    add(
        "xl/_rels/workbook.xml.rels",
        &format!("<Relationships>{targets}</Relationships>"),
    );
    add(
        "xl/styles.xml",
        "<styleSheet><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>",
    );
    zip.finish().unwrap();
}

#[tokio::test]
async fn each_sheet_of_a_workbook_is_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let orders = "<row r=\"1\"><c r=\"A1\" t=\"str\"><v>Order No</v></c><c r=\"B1\" t=\"str\"><v>Amount</v></c>\
         <c r=\"C1\" t=\"str\"><v>Day</v></c><c r=\"D1\" t=\"str\"><v>Paid</v></c></row>\
         <row r=\"2\"><c r=\"A2\"><v>1</v></c><c r=\"B2\"><v>10.5</v></c><c r=\"C2\" s=\"1\"><v>46024</v></c>\
         <c r=\"D2\" t=\"b\"><v>1</v></c></row>\
         <row r=\"3\"><c r=\"A3\"><v>2</v></c><c r=\"B3\"><v>7</v></c><c r=\"C3\" s=\"1\"><v>46025</v></c>\
         <c r=\"D3\" t=\"b\"><v>0</v></c></row>";
    let words = "<row r=\"1\"><c r=\"A1\" t=\"str\"><v>word</v></c></row>\
         <row r=\"2\"><c r=\"A2\" t=\"str\"><v>007</v></c></row>";
    workbook(
        &dir.path().join("book.xlsx"),
        &[
            ("Orders", "", orders),
            ("Secret", "state=\"hidden\"", words),
            ("Notes 2026", "", words),
        ],
    );
    let book = open(dir.path(), "files = [\"book.xlsx\"]\n");
    let all = Caller::full();
    let schema = book.schema(&all).await.unwrap();
    let names: Vec<&str> = schema.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["book_notes_2026", "book_orders"]);
    let kinds: Vec<&str> = schema.tables[1]
        .columns
        .iter()
        .map(|c| c.kind.as_str())
        .collect();
    assert_eq!(kinds, ["INTEGER", "REAL", "DATE", "BOOLEAN"]);
    let found = rows(
        &book,
        &all,
        "SELECT order_no, amount, day, paid FROM book_orders ORDER BY order_no",
    )
    .await;
    assert_eq!(
        json!(found.rows),
        json!([[1, 10.5, "2026-01-02", 1], [2, 7.0, "2026-01-03", 0]])
    );
    let found = rows(&book, &all, "SELECT word FROM book_notes_2026").await;
    assert_eq!(json!(found.rows), json!([["007"]]));
}

#[cfg(feature = "parquet")]
#[tokio::test]
async fn a_parquet_file_is_a_table() {
    use std::sync::Arc;

    use parquet::data_type::{
        BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type,
    };
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    let dir = tempfile::tempdir().unwrap();
    let schema = "message m { REQUIRED INT64 Id; OPTIONAL BYTE_ARRAY name (UTF8); REQUIRED DOUBLE price; \
        REQUIRED INT32 day (DATE); REQUIRED BOOLEAN ok; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = std::fs::File::create(dir.path().join("goods.parquet")).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let ids = column.typed::<Int64Type>();
    ids.write_batch(&[1, 2], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let names = column.typed::<ByteArrayType>();
    let ann = [ByteArray::from("Ann")];
    names.write_batch(&ann, Some(&[1, 0]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let prices = column.typed::<DoubleType>();
    prices.write_batch(&[1.5, 2.0], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let days = column.typed::<Int32Type>();
    days.write_batch(&[20_455, 20_456], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let oks = column.typed::<BoolType>();
    oks.write_batch(&[true, false], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();

    let goods = open(dir.path(), "files = [\"goods.parquet\"]\n");
    let all = Caller::full();
    let schema = goods.schema(&all).await.unwrap();
    let kinds: Vec<(&str, &str)> = schema.tables[0]
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.kind.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("id", "INTEGER"),
            ("name", "TEXT"),
            ("price", "REAL"),
            ("day", "DATE"),
            ("ok", "BOOLEAN")
        ]
    );
    let found = rows(&goods, &all, "SELECT * FROM goods ORDER BY id").await;
    assert_eq!(
        json!(found.rows),
        json!([
            [1, "Ann", 1.5, "2026-01-02", 1],
            [2, null, 2.0, "2026-01-03", 0]
        ])
    );
}
