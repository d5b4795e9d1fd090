//! The grammar that holds a model to one SELECT over the tables that it was shown, in llguidance's dialect of Lark
//! (the notation of [`praxis_core::Constraint::Grammar`]).
//!
//! A name must be one of the schema's: a column behind its table's name is one of that table's, one behind a
//! short alias is one of any table's. Names that the query itself makes (`AS total`, `WITH best AS`) are free: they
//! may be sorted by, and behind a `WITH` or a query in `FROM` all names are, since what they refer to is the query's
//! own. What the grammar lets through is still checked: it is a guide for small models and no guard.
//!
//! Rules of expressions are flat: what is grouped how says nothing of which texts there are. No lexeme is the
//! beginning of another one that could fail later, because the lexer never goes back. Left out: window frames, arrays
//! and JSON operators, comments.

use super::ddl::{is_plain, quoted, table_forms};
use crate::sql::{Dialect, Table};

/// The most names of tables and columns: each is a text of the lexer.
const MOST_NAMES: usize = 2_000;

/// What begins the answer to a question that the data do not answer.
pub(super) const REFUSAL: &str = "-- unanswerable:";

/// What does not depend on the schema. `@` stands for `s_` and `l_`: names of the schema, and names of any kind.
const RULES: &str = r##"
start: query ";"? | REFUSAL
REFUSAL: /-- unanswerable: [^\n]{1,200}/
query: s_query | "WITH"i WS first (COMMA more)* WS l_query | "WITH"i WS "RECURSIVE"i WS more (COMMA more)* WS l_query
first: NAME WS "AS"i WS? "(" WS? s_query WS? ")"
more: NAME (WS? "(" NAME (COMMA NAME)* ")")? WS "AS"i WS? "(" WS? l_query WS? ")"

sets: "UNION"i (WS "ALL"i)? | "INTERSECT"i | "EXCEPT"i

s_core: s_head (WS "FROM"i WS s_source s_join*)? (WS "WHERE"i WS s_expr)? (WS s_group)?
      | s_outer WS "FROM"i WS derived l_join* (WS "WHERE"i WS l_expr)? (WS l_group)?
s_outer: "SELECT"i WS ("DISTINCT"i WS)? s_over_item (COMMA s_over_item)*
s_over_item: s_item | AVERAGE MADE ")" (WS "AS"i WS NAME)?
derived: "(" WS? s_query WS? ")" WS ("AS"i WS)? NAME
s_source: table (WS ("AS"i WS NAME | SHORT))? | derived
l_core: l_head (WS "FROM"i WS l_source l_join*)? (WS "WHERE"i WS l_expr)? (WS l_group)?
l_source: l_word (WS ("AS"i WS NAME | SHORT))? | "(" WS? l_query WS? ")" WS ("AS"i WS)? NAME

@query: @core (WS sets WS @core)* (WS "ORDER"i WS "BY"i WS @sort (COMMA @sort)*)? (WS "LIMIT"i WS INT (WS "OFFSET"i WS INT)?)?
@head: "SELECT"i WS ("DISTINCT"i WS)? @item (COMMA @item)*
@item: "*" | @star | @expr (WS "AS"i WS NAME)?
@join: COMMA @source | WS JOINS WS @source (WS "ON"i WS @expr | WS "USING"i WS? "(" @word ")")?
@group: "GROUP"i WS "BY"i WS @key (COMMA @key)* (WS "HAVING"i WS @key)?
@sort: @key (WS ("ASC"i | "DESC"i))? (WS "NULLS"i WS ("FIRST"i | "LAST"i))?
@key: @expr | NAME @tail*
@expr: @operand @tail*
@operand: ("NOT"i WS | "-")* @term
@tail: SIGN @operand | WS ("AND"i | "OR"i) WS @operand | WS ("NOT"i WS)? ("LIKE"i | "BETWEEN"i | "ILIKE"i) WS @operand | WS "IS"i WS ("NOT"i WS)? "NULL"i | WS ("NOT"i WS)? "IN"i WS? "(" WS? (@query | @list) WS? ")"{CAST}
@list: @expr (COMMA @expr)*
@term: NUMBER | STRING | CONSTANT | @name | @call | @case | "(" WS? (@query | @list) WS? ")" | "EXISTS"i WS? "(" WS? @query WS? ")" | "CAST("i @expr WS "AS"i WS KIND ")"{PART}
@call: FUNCTION (("DISTINCT"i WS)? ("*" | @list) (WS "ORDER"i WS "BY"i WS @sort)?)? ")" (WS "OVER"i WS? "(" (("PARTITION"i WS "BY"i WS @list) (WS "ORDER"i WS "BY"i WS @sort (COMMA @sort)*)? | "ORDER"i WS "BY"i WS @sort (COMMA @sort)*)? ")")?
@case: "CASE"i (WS @expr)? (WS "WHEN"i WS @expr WS "THEN"i WS @expr)+ (WS "ELSE"i WS @expr)? WS "END"i

WS: / |\n {0,12}/
COMMA: /,( |\n {0,12})?/
SIGN: / ?(=|<>|!=|<=|>=|<|>) ?| (\+|-|\*|\/|%|\|\|) /
NUMBER: /[0-9]{1,15}(\.[0-9]{1,12})?/
INT: /[0-9]{1,9}/
STRING: /'([^'\\\n]|''){0,200}'/
CONSTANT: "NULL"i | "TRUE"i | "FALSE"i | "CURRENT_DATE"i | "CURRENT_TIMESTAMP"i
NAME: /[A-Za-z_一-鿿][A-Za-z0-9_一-鿿]{0,40}/
SHORT: /[A-Za-z]{1,2}[0-9]{0,2}/ & ~/as|on|in|or|is|by|if/i
MADE: /(n|cnt|count|num|total|subtotal|(num|count|total)_[a-z_]{1,30}|[a-z_]{1,30}_(cnt|count|total|num))/i
AVERAGE: ("AVG"i | "MAX"i | "MIN"i) "("
JOINS: /((inner|cross|(left|right|full)( outer)?) )?join/i
"##;

/// Functions that every dialect has.
const FUNCTIONS: &[&str] = &[
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "round",
    "abs",
    "coalesce",
    "nullif",
    "lower",
    "upper",
    "length",
    "substr",
    "trim",
    "replace",
    "row_number",
    "rank",
    "dense_rank",
    "lag",
    "lead",
    "first_value",
    "ntile",
];

const SQLITE: &[&str] = &[
    "strftime",
    "date",
    "datetime",
    "julianday",
    "ifnull",
    "iif",
    "instr",
    "group_concat",
    "total",
];

const POSTGRES: &[&str] = &[
    "date_trunc",
    "to_char",
    "date_part",
    "age",
    "concat",
    "string_agg",
    "position",
    "left",
    "right",
    "ceil",
    "floor",
    "power",
    "substring",
    "split_part",
    "greatest",
    "least",
    "stddev",
    "bool_or",
    "bool_and",
    "percent_rank",
];

const MYSQL: &[&str] = &[
    "year",
    "month",
    "day",
    "date",
    "date_format",
    "datediff",
    "date_add",
    "date_sub",
    "quarter",
    "ifnull",
    "if",
    "concat",
    "group_concat",
    "left",
    "right",
    "ceil",
    "floor",
    "power",
    "substring",
    "instr",
    "greatest",
    "least",
    "stddev",
    "dayofweek",
    "hour",
];

/// The grammar of one SELECT over these tables; none where there are no tables, or too many names.
pub(super) fn lark(dialect: Dialect, tables: &[&Table]) -> Option<String> {
    let names: usize = tables.iter().map(|table| table.columns.len() + 1).sum();
    if tables.iter().all(|table| table.columns.is_empty()) || names > MOST_NAMES {
        return None;
    }
    let (cast, part) = extras(dialect);
    let rules = RULES.replace("{CAST}", cast).replace("{PART}", part);
    let mut lark = String::new();
    for line in rules.lines() {
        if line.starts_with('@') {
            for prefix in ["s_", "l_"] {
                lark.push_str(&line.replace('@', prefix));
                lark.push('\n');
            }
        } else {
            lark.push_str(line);
            lark.push('\n');
        }
    }
    schema(dialect, tables, &mut lark);
    words(dialect, &mut lark);
    Some(lark)
}

/// Rules for the names of the schema.
fn schema(dialect: Dialect, tables: &[&Table], lark: &mut String) {
    let mut own = Vec::new();
    let mut stars = Vec::new();
    for (i, table) in tables.iter().enumerate() {
        let columns = table.columns.iter().flat_map(|c| forms(&c.name, dialect));
        let written = table_forms(&table.name, dialect).into_iter();
        lark.push_str(&format!("TABLE_{i}: {}\n", texts(written)));
        if !table.columns.is_empty() {
            lark.push_str(&format!("COLUMN_{i}: {}\n", texts(columns)));
            own.push(format!("TABLE_{i} \".\" COLUMN_{i}"));
        }
        stars.push(format!("TABLE_{i} \".*\""));
    }
    let all: Vec<String> = (0..tables.len()).map(|i| format!("TABLE_{i}")).collect();
    let columns = tables.iter().flat_map(|t| t.columns.iter());
    let columns = columns.flat_map(|c| forms(&c.name, dialect));
    lark.push_str(&format!("COLUMN: {}\n", texts(columns)));
    lark.push_str(&format!("table: {}\n", all.join(" | ")));
    lark.push_str(&format!(
        "s_name: {} | SHORT \".\" COLUMN | COLUMN\n",
        own.join(" | ")
    ));
    lark.push_str(&format!("s_star: {} | SHORT \".*\"\n", stars.join(" | ")));
    lark.push_str("s_word: COLUMN\n");
    let quotes = match dialect {
        Dialect::Mysql => "/`[^`\\n]{1,64}`/",
        _ => "/\"[^\"\\n]{1,64}\"/",
    };
    lark.push_str(&format!("QUOTED: {quotes}\nl_word: NAME | QUOTED\n"));
    lark.push_str("l_name: l_word (\".\" l_word)?\nl_star: l_word \".*\"\n");
}

/// Rules for what the dialects do differently.
fn words(dialect: Dialect, lark: &mut String) {
    let (functions, kinds) = match dialect {
        Dialect::Sqlite => (SQLITE, "integer|real|text|numeric|float"),
        Dialect::Postgres => (
            POSTGRES,
            "integer|int|bigint|numeric(\\([0-9]{1,2}, ?[0-9]{1,2}\\))?|real|double precision|float|text|varchar|date|timestamp",
        ),
        Dialect::Mysql => (
            MYSQL,
            "signed|unsigned|char|date|datetime|double|float|decimal(\\([0-9]{1,2}, ?[0-9]{1,2}\\))?",
        ),
    };
    let functions: Vec<String> = FUNCTIONS
        .iter()
        .chain(functions)
        .map(|f| format!("\"{f}\"i"))
        .collect();
    lark.push_str(&format!(
        "FUNCTION: ({}) \"(\"\nKIND: /{kinds}/i\n",
        functions.join(" | ")
    ));
    lark.push_str("UNIT: /year|quarter|month|week|day|hour|minute|second/i\n");
}

/// What casts a value behind it, and other terms than all dialects have; `@` as in [`RULES`].
fn extras(dialect: Dialect) -> (&'static str, &'static str) {
    match dialect {
        Dialect::Sqlite => ("", ""),
        Dialect::Postgres => (
            " | \"::\" KIND",
            " | \"EXTRACT(\"i UNIT WS \"FROM\"i WS @expr \")\" | (\"DATE\"i | \"TIMESTAMP\"i | \"INTERVAL\"i) WS STRING",
        ),
        Dialect::Mysql => (
            "",
            " | \"EXTRACT(\"i UNIT WS \"FROM\"i WS @expr \")\" | \"INTERVAL\"i WS (NUMBER | STRING) WS UNIT \
             | \"TIMESTAMPDIFF(\"i UNIT COMMA @expr COMMA @expr \")\"",
        ),
    }
}

/// The ways to write a column's name: as it is, where it needs no quotes, and in quotes.
fn forms(name: &str, dialect: Dialect) -> Vec<String> {
    let mut forms = vec![quoted(name, dialect)];
    if is_plain(name, dialect) {
        forms.insert(0, name.to_owned());
    }
    forms
}

/// A terminal that is one of these texts, each once. What has no quotes may be written in any case.
fn texts(written: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = Vec::new();
    for text in written {
        let is_quoted = text.contains(['"', '`']);
        // Lark's texts are written as JSON's.
        let text = serde_json::json!(text).to_string();
        let text = if is_quoted { text } else { format!("{text}i") };
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all.join(" | ")
}

#[cfg(test)]
mod tests {
    use llguidance::api::TopLevelGrammar;
    use llguidance::toktrie::ApproximateTokEnv;
    use llguidance::{Matcher, ParserFactory};

    use super::super::fixtures::music;
    use super::*;

    /// The grammar of the music shop as the engine follows it, over bytes instead of a model's tokens.
    fn matcher(dialect: Dialect) -> Matcher {
        let schema = music(dialect);
        let tables: Vec<&Table> = schema.tables.iter().collect();
        let env = ApproximateTokEnv::single_byte_env();
        let factory = ParserFactory::new_simple(&env).unwrap();
        let grammar = TopLevelGrammar::from_lark(lark(dialect, &tables).unwrap());
        let matcher = Matcher::new(factory.create_parser(grammar));
        assert!(!matcher.is_error(), "{:?}", matcher.get_error());
        matcher
    }

    /// How much of a text is of the grammar, and whether it is whole.
    fn follows(matcher: &Matcher, text: &str) -> (usize, bool) {
        let mut matcher = matcher.deep_clone();
        let tokens: Vec<u32> = text.bytes().map(u32::from).collect();
        let fits = matcher.validate_tokens(&tokens).unwrap();
        if fits < tokens.len() {
            return (fits, false);
        }
        matcher.consume_tokens(&tokens).unwrap();
        (fits, matcher.is_accepting().unwrap())
    }

    #[test]
    fn queries_over_the_schema_are_of_the_grammar() {
        let all = [
            "SELECT COUNT(*) FROM customer",
            "SELECT name FROM artist;",
            "select Country from CUSTOMER where country in ('Brazil', '中国')",
            "SELECT artist.name, COUNT(*) AS albums FROM album JOIN artist ON album.artist_id = artist.artist_id \
             GROUP BY artist.artist_id, artist.name ORDER BY albums DESC LIMIT 3",
            "SELECT a.name\nFROM artist a\nLEFT JOIN album AS b ON a.artist_id = b.artist_id\nWHERE b.title \
             LIKE '%it''s%' AND NOT EXISTS (SELECT 1 FROM invoice)",
            "SELECT AVG(cnt) FROM (SELECT COUNT(*) AS cnt FROM invoice GROUP BY customer_id) AS x",
            "WITH best AS (SELECT customer_id, SUM(total) AS spent FROM invoice GROUP BY customer_id) SELECT \
             customer.last_name, best.spent FROM best JOIN customer ON best.customer_id = customer.customer_id \
             WHERE spent > (SELECT AVG(spent) FROM best)",
            "SELECT country, CASE WHEN COUNT(*) > 5 THEN 'many' ELSE 'few' END AS size FROM customer GROUP BY country",
            "SELECT (SELECT COUNT(*) FROM customer WHERE country = 'USA') * 100.0 / COUNT(*) FROM customer",
            "SELECT customer_id, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY total DESC) AS rn FROM invoice",
            "SELECT country AS 国家, COUNT(*) AS 数量 FROM customer GROUP BY country HAVING COUNT(*) >= 2 ORDER BY 数量 DESC",
            "SELECT country FROM customer UNION SELECT name FROM artist UNION ALL SELECT title FROM album",
            "SELECT MAX(total) - MIN(total) FROM invoice WHERE total BETWEEN 1 AND 2.5 OR total IS NOT NULL",
            "SELECT name FROM track WHERE album_id NOT IN (\n  SELECT album_id\n  FROM album\n)",
            "SELECT CAST(SUM(total) AS REAL) / COUNT(DISTINCT customer_id) FROM invoice",
            "-- unanswerable: there is no weather here",
        ];
        for (dialect, own) in [
            (
                Dialect::Sqlite,
                "SELECT strftime('%Y', invoice_date), \"order\" FROM invoice, album WHERE last_name || ' ' = ''",
            ),
            (
                Dialect::Postgres,
                "SELECT EXTRACT(YEAR FROM invoice_date) AS y, ROUND(SUM(total)::numeric, 2) FROM invoice WHERE \
                 invoice_date >= DATE '2023-01-01' GROUP BY 1",
            ),
            (
                Dialect::Mysql,
                "SELECT YEAR(invoice_date), `order` FROM invoice, album WHERE invoice_date < CURRENT_DATE - \
                INTERVAL 3 MONTH",
            ),
        ] {
            let matcher = matcher(dialect);
            for text in all.iter().chain([&own]) {
                let (fits, whole) = follows(&matcher, text);
                let is_dialects = *text == all[14] && dialect == Dialect::Mysql;
                assert!(
                    whole || is_dialects,
                    "{dialect:?}: {} | {}",
                    &text[..fits],
                    &text[fits..]
                );
            }
        }
    }

    #[test]
    fn what_the_schema_does_not_have_is_not() {
        let matcher = matcher(Dialect::Sqlite);
        for (text, fits) in [
            ("DELETE FROM artist", ""),
            ("SELECT 1; DROP TABLE artist", "SELECT 1;"),
            ("SELECT nam FROM artist", "SELECT nam"),
            ("SELECT artist.title FROM artist", "SELECT artist."),
            ("SELECT * FROM artists", "SELECT * FROM artist"),
            ("SELECT name FROM sqlite_master", "SELECT name FROM "),
            ("SELECT load_extension('x')", "SELECT lo"),
            ("SELECT AVG(cnt) FROM invoice", "SELECT AVG(cnt) FROM "),
            ("SELECT name FROM artist -- x", "SELECT name FROM artist "),
            ("PRAGMA table_info(artist)", ""),
        ] {
            let (found, whole) = follows(&matcher, text);
            assert!(!whole, "{text}");
            assert_eq!(&text[..found], fits, "{text}");
        }
    }

    #[test]
    fn too_many_names_have_no_grammar() {
        let schema = music(Dialect::Sqlite);
        let many: Vec<&Table> = schema.tables.iter().cycle().take(1_000).collect();
        assert_eq!(lark(Dialect::Sqlite, &many), None);
        assert_eq!(lark(Dialect::Sqlite, &[]), None);
    }
}
