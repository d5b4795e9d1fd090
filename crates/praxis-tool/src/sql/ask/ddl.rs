//! Tables as a model reads them: `CREATE TABLE` with keys, comments and values that are there.
//!
//! Models have read most SQL in this form (Rajkumar et al. 2022, "Evaluating the Text-to-SQL Capabilities of Large
//! Language Models"; values and comments after Li et al. 2024, "CodeS"). Left out: which tables are shown (`link`).

use std::fmt::Write;

use crate::sql::{Column, Dialect, Table};

/// The longest comment that is shown, in characters.
const LONGEST_COMMENT: usize = 160;

/// A column with at most so many values in the rows that were looked at has all of them shown; the longest of these
/// in characters.
const VALUES: usize = 4;
const LONGEST_VALUE: usize = 24;

/// What is shown of tables beside their columns, types and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(crate) enum Detail {
    /// Nothing.
    Bare,
    /// Comments.
    Comments,
    /// Comments, and the values of columns that have few.
    Values,
}

/// Words that no dialect of the three takes for a name without quotes, or not everywhere.
const RESERVED: &[&str] = &[
    "all",
    "and",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "check",
    "collate",
    "column",
    "condition",
    "create",
    "cross",
    "current_date",
    "current_user",
    "default",
    "delete",
    "desc",
    "distinct",
    "drop",
    "else",
    "end",
    "except",
    "exists",
    "false",
    "for",
    "foreign",
    "from",
    "full",
    "grant",
    "group",
    "groups",
    "having",
    "in",
    "index",
    "inner",
    "insert",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "key",
    "keys",
    "left",
    "like",
    "limit",
    "natural",
    "not",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "primary",
    "range",
    "rank",
    "read",
    "references",
    "right",
    "row",
    "rows",
    "select",
    "set",
    "system",
    "table",
    "then",
    "to",
    "true",
    "union",
    "unique",
    "update",
    "usage",
    "user",
    "using",
    "values",
    "when",
    "where",
    "window",
    "with",
];

/// Whether a name needs no quotes: lower-case letters, digits and `_`, and no word of the language. In MySQL and
/// SQLite the case of a column's name says nothing.
pub(super) fn is_plain(name: &str, dialect: Dialect) -> bool {
    let case_free = !matches!(dialect, Dialect::Postgres);
    let fits = |c: char| {
        c == '_'
            || c.is_ascii_lowercase()
            || c.is_ascii_digit()
            || (case_free && c.is_ascii_uppercase())
    };
    name.chars().next().is_some_and(|c| !c.is_ascii_digit())
        && name.chars().all(fits)
        && RESERVED
            .binary_search(&name.to_ascii_lowercase().as_str())
            .is_err()
}

/// A name in the dialect's quotes.
pub(super) fn quoted(name: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Mysql => format!("`{}`", name.replace('`', "``")),
        _ => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// A name as it is written in SQL.
pub(super) fn ident(name: &str, dialect: Dialect) -> String {
    if is_plain(name, dialect) {
        name.to_owned()
    } else {
        quoted(name, dialect)
    }
}

/// The ways to write a table's name, the usual one first. In PostgreSQL those outside of the first schema have two parts.
pub(super) fn table_forms(name: &str, dialect: Dialect) -> Vec<String> {
    let parts: Vec<&str> = match dialect {
        Dialect::Postgres => name.splitn(2, '.').collect(),
        _ => vec![name],
    };
    let whole = |form: fn(&str, Dialect) -> String| {
        let parts: Vec<String> = parts.iter().map(|part| form(part, dialect)).collect();
        parts.join(".")
    };
    let (usual, quoted) = (whole(ident), whole(quoted));
    if usual == quoted {
        vec![usual]
    } else {
        vec![usual, quoted]
    }
}

/// A table's name as it is written in SQL.
pub(super) fn table_ident(name: &str, dialect: Dialect) -> String {
    table_forms(name, dialect).swap_remove(0)
}

/// A text as SQL's literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The tables, one after the other.
pub(crate) fn schema<'t>(
    dialect: Dialect,
    tables: impl Iterator<Item = &'t Table>,
    detail: Detail,
) -> String {
    let all: Vec<String> = tables.map(|table| create(table, dialect, detail)).collect();
    all.join("")
}

/// A table as the statement that would make it. Foreign keys stand at their columns where they have one.
pub(crate) fn create(table: &Table, dialect: Dialect, detail: Detail) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    for column in &table.columns {
        let mut line = format!("  {}", ident(&column.name, dialect));
        // SQLite has columns without a type.
        if !column.kind.is_empty() {
            line.push(' ');
            line.push_str(&column.kind);
        }
        if table.primary_key.len() == 1 && table.primary_key[0] == column.name {
            line.push_str(" PRIMARY KEY");
        }
        for key in &table.foreign_keys {
            if key.columns.len() == 1 && key.columns[0] == column.name && key.references.len() == 1
            {
                let _ = write!(
                    line,
                    " REFERENCES {}({})",
                    table_ident(&key.table, dialect),
                    ident(&key.references[0], dialect)
                );
            }
        }
        lines.push((line, note(column, detail)));
    }
    if table.primary_key.len() > 1 {
        let columns = names(&table.primary_key, dialect);
        lines.push((format!("  PRIMARY KEY ({columns})"), String::new()));
    }
    for key in table.foreign_keys.iter().filter(|k| k.columns.len() > 1) {
        let line = format!(
            "  FOREIGN KEY ({}) REFERENCES {}({})",
            names(&key.columns, dialect),
            table_ident(&key.table, dialect),
            names(&key.references, dialect)
        );
        lines.push((line, String::new()));
    }
    let kind = if table.view { "VIEW" } else { "TABLE" };
    let about = table.comment.as_deref().filter(|_| detail > Detail::Bare);
    let about = about.map(one_line).filter(|c| !c.is_empty());
    let about = about.map_or_else(String::new, |comment| format!(" -- {comment}"));
    let mut text = format!(
        "CREATE {kind} {} ({about}\n",
        table_ident(&table.name, dialect)
    );
    let last = lines.len().saturating_sub(1);
    for (i, (line, note)) in lines.iter().enumerate() {
        let comma = if i < last { "," } else { "" };
        let _ = writeln!(text, "{line}{comma}{note}");
    }
    text.push_str(");\n");
    text
}

/// What stands behind a column: its comment, and its values where it has few.
fn note(column: &Column, detail: Detail) -> String {
    let comment = column.comment.as_deref().filter(|_| detail > Detail::Bare);
    let comment = comment.map(one_line).filter(|c| !c.is_empty());
    let is_short = |value: &String| (1..=LONGEST_VALUE).contains(&value.chars().count());
    let is_list = detail == Detail::Values
        && (1..=VALUES).contains(&column.samples.len())
        && column.samples.iter().all(is_short)
        && !is_numeric(&column.kind);
    let values = is_list.then(|| {
        let all: Vec<String> = column
            .samples
            .iter()
            .map(|value| literal(&one_line(value)))
            .collect();
        format!("one of {}", all.join(", "))
    });
    let all: Vec<String> = comment.into_iter().chain(values).collect();
    if all.is_empty() {
        String::new()
    } else {
        format!(" -- {}", all.join("; "))
    }
}

/// Whether a column of this type holds numbers.
fn is_numeric(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    let known = [
        "int", "num", "dec", "real", "doub", "float", "serial", "money",
    ];
    known.iter().any(|known| kind.contains(known))
        && !kind.contains("interval")
        && !kind.contains("point")
}

fn names(names: &[String], dialect: Dialect) -> String {
    let all: Vec<String> = names.iter().map(|name| ident(name, dialect)).collect();
    all.join(", ")
}

/// A text on one line, without what would end a comment or begin a message of its own.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let end = line.char_indices().nth(LONGEST_COMMENT);
    match end {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::music;
    use super::*;

    #[test]
    fn tables_are_written_with_keys_comments_and_values() {
        let music = music(Dialect::Sqlite);
        let text = |detail| create(&music.tables[1], Dialect::Sqlite, detail);
        let whole = "CREATE TABLE album ( -- records that artists made\n  \
             album_id INTEGER PRIMARY KEY,\n  \
             title TEXT, -- one of 'Blue', 'It''s late'\n  \
             artist_id INTEGER REFERENCES artist(artist_id),\n  \
             \"order\" INTEGER -- place in the shelf\n);\n";
        assert_eq!(text(Detail::Values), whole);
        let comments = whole.replace(" -- one of 'Blue', 'It''s late'", "");
        assert_eq!(text(Detail::Comments), comments);
        let bare = comments.replace("( -- records that artists made", "(");
        assert_eq!(
            text(Detail::Bare),
            bare.replace(" -- place in the shelf", "")
        );
    }

    #[test]
    fn names_are_quoted_where_they_must_be() {
        for (name, dialect, written) in [
            ("total", Dialect::Sqlite, "total"),
            ("Total", Dialect::Sqlite, "Total"),
            ("Total", Dialect::Postgres, "\"Total\""),
            ("order", Dialect::Postgres, "\"order\""),
            ("Order", Dialect::Mysql, "`Order`"),
            ("order details", Dialect::Mysql, "`order details`"),
            ("a\"b", Dialect::Sqlite, "\"a\"\"b\""),
            ("2nd", Dialect::Sqlite, "\"2nd\""),
            ("数量", Dialect::Sqlite, "\"数量\""),
            ("", Dialect::Sqlite, "\"\""),
        ] {
            assert_eq!(ident(name, dialect), written);
        }
        assert!(RESERVED.is_sorted());
        assert_eq!(
            table_ident("sales.order", Dialect::Postgres),
            "sales.\"order\""
        );
        assert_eq!(
            table_forms("sales.rep", Dialect::Postgres),
            ["sales.rep", "\"sales\".\"rep\""]
        );
        assert_eq!(table_ident("a.b", Dialect::Mysql), "`a.b`");
    }

    #[test]
    fn a_comment_stays_on_its_line_and_is_bounded() {
        assert_eq!(one_line("a\n);\nDROP"), "a ); DROP");
        assert!(one_line(&"数".repeat(500)).chars().count() < 170);
    }
}
