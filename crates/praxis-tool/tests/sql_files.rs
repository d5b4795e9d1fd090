//! Files of rows as tables of a database: what becomes of delimited files, workbooks and Parquet, and what is left out.
//! Left out: databases that are there already (`sql_databases`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "support/database.rs"]
mod database;

use std::io::Write;
use std::path::Path;

use praxis_core::{Caller, ErrorCode};
use praxis_tool::sql::Fault;
use serde_json::json;

use self::database::{asked, open, rows};

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
    // What an answer lacks is said with it.
    let left = files.left_out(&schema, &all);
    assert!(
        left.len() == 1 && left[0].contains("`data/broken.xlsx` is left out"),
        "{left:?}"
    );
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
    let schema = few.schema(&all).await.unwrap();
    let sum = few
        .check("SELECT SUM(x) AS s FROM a", &schema, &all)
        .unwrap();
    let left = sum.left_out();
    assert!(
        left.len() == 1 && left[0].contains("`a.csv` is cut after 2 rows"),
        "{left:?}"
    );
    let other = few.check("SELECT 1 AS one", &schema, &all).unwrap();
    assert!(other.left_out().is_empty());
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

/// One value without an end, such as all that follows a quote which nobody closed, is named and costs its file alone.
#[tokio::test]
async fn a_value_that_is_too_long_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let all = Caller::full();
    let long = "x".repeat(200);
    let notes = format!("sep=;\nid;words\n1;short\n2;\"{long}\n3;lost");
    std::fs::write(dir.path().join("notes.csv"), notes).unwrap();
    std::fs::write(dir.path().join("good.csv"), "id,words\n1,short\n").unwrap();
    let words = format!(
        "<row r=\"3\"><c r=\"A3\" t=\"str\"><v>a</v></c><c r=\"AB3\" t=\"str\"><v>{long}</v></c></row>"
    );
    workbook(&dir.path().join("book.xlsx"), &[("Notes", "", &words)]);
    let with = |bytes: u32| {
        let limits = format!("limits = {{ cell_bytes = {bytes} }}");
        open(dir.path(), &format!("files = [\"*\"]\n{limits}\n"))
    };
    let small = with(100);
    let schema = small.schema(&all).await.unwrap();
    let names: Vec<&str> = schema.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["good"]);
    assert_eq!(
        small.left_out(&schema, &all),
        [
            "`book.xlsx` is left out: cell AB3 of sheet Notes has 200 bytes, and a value may have 100: raise \
             `limits.cell_bytes`",
            "`notes.csv` is left out: column 2 of row 3 has 207 bytes, and a value may have 100: raise \
             `limits.cell_bytes`",
        ]
    );
    let large = with(300);
    let found = rows(&large, &all, "SELECT words FROM notes WHERE id = 1").await;
    assert_eq!(json!(found.rows), json!([["short"]]));
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

    let tight = "files = [\"goods.parquet\"]\nlimits = { cell_bytes = 9 }\n";
    let error = open(dir.path(), tight).schema(&Caller::full()).await;
    let message = error.unwrap_err().message;
    let told =
        "`goods.parquet` is left out: column `day` of row 1 has 10 bytes, and a value may have 9";
    assert!(message.contains(told), "{message}");

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
