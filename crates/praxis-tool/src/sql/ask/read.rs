//! The query in what a model wrote: bare, in a fence, or with words around it; or its word that there is none.
//!
//! Left out: whether it is a query that may run (`check`).

use serde::{Deserialize, Serialize};

use super::ddl::one_line;
use super::grammar::REFUSAL;

/// The longest query that is looked at, in bytes.
const LONGEST: usize = 20_000;

/// What a model's text comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Written {
    /// A query, not checked.
    Sql(String),
    /// The data do not answer the question, and why.
    Refused(String),
    /// Neither.
    Nothing,
}

/// Reads a model's answer.
pub(crate) fn read(text: &str) -> Written {
    let text = text.trim();
    let body = fenced(text).unwrap_or(text).trim();
    if let Some(reason) = refusal(body).or_else(|| refusal(text)) {
        return Written::Refused(reason);
    }
    let Some(at) = beginning(body) else {
        return Written::Nothing;
    };
    let mut sql = &body[at..];
    // What is said behind the query is on lines of its own.
    if let Some(end) = sql.find("\n\n") {
        let rest = sql[end..].trim_start();
        let goes_on = rest.starts_with(|c: char| c.is_ascii_uppercase() || c == '(')
            && rest.split_whitespace().next().is_some_and(is_clause);
        if !goes_on {
            sql = &sql[..end];
        }
    }
    let sql = sql.trim().trim_end_matches(';').trim_end();
    if sql.is_empty() || sql.len() > LONGEST {
        return Written::Nothing;
    }
    Written::Sql(sql.to_owned())
}

/// The text of the first fence; of one that never closes, all that follows.
fn fenced(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("```")?;
    let (head, body) = rest.split_once('\n').unwrap_or(("", rest));
    // A fence on one line has no language.
    let body = if head.trim().chars().all(char::is_alphanumeric) {
        body
    } else {
        rest
    };
    Some(body.split_once("```").map_or(body, |(inside, _)| inside))
}

/// Why the question is not answered, where a text says so.
fn refusal(text: &str) -> Option<String> {
    let mark = REFUSAL.trim_start_matches("--").trim();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let said = line.trim_start_matches("--").trim_start();
    let said = said
        .get(..mark.len())
        .filter(|begin| begin.eq_ignore_ascii_case(mark))
        .and_then(|_| said.get(mark.len()..))?;
    Some(one_line(said))
}

/// Where the query begins: at the first `SELECT` or `WITH` that begins a line, else at any statement's first word,
/// which the check refuses by its name.
fn beginning(text: &str) -> Option<usize> {
    let mut offset = 0;
    let mut other = None;
    for line in text.split_inclusive('\n') {
        let start = offset + (line.len() - line.trim_start().len());
        offset += line.len();
        let word: String = line
            .trim_start()
            .chars()
            .take_while(|c| c.is_alphabetic() || *c == '(')
            .collect();
        match word.trim_start_matches('(').to_ascii_uppercase().as_str() {
            "SELECT" => return Some(other.unwrap_or(start)),
            // A sentence may begin with it as well.
            "WITH" if line.to_ascii_uppercase().contains(" AS") => {
                return Some(other.unwrap_or(start));
            }
            "INSERT" | "UPDATE" | "DELETE" | "DROP" | "CREATE" | "ALTER" | "TRUNCATE"
            | "PRAGMA" | "COPY" | "ATTACH" | "GRANT" | "REPLACE" | "MERGE" | "CALL" | "EXEC"
            | "EXECUTE" | "SET" | "SHOW" | "EXPLAIN" | "VALUES" | "TABLE" | "LOAD" | "VACUUM"
            | "BEGIN" | "LOCK" | "DO" => {
                other.get_or_insert(start);
            }
            _ => {}
        }
    }
    other.or_else(|| {
        // In the middle of a line: `The query is SELECT 1`.
        let upper = text.to_ascii_uppercase();
        let found = ["SELECT ", "WITH "]
            .iter()
            .filter_map(|word| upper.find(word));
        found.min()
    })
}

/// Whether a word begins a clause, so that a query goes on behind an empty line.
fn is_clause(word: &str) -> bool {
    let word = word.trim_start_matches('(').to_ascii_uppercase();
    matches!(
        word.as_str(),
        "SELECT"
            | "FROM"
            | "WHERE"
            | "GROUP"
            | "ORDER"
            | "HAVING"
            | "LIMIT"
            | "JOIN"
            | "LEFT"
            | "INNER"
            | "UNION"
            | "EXCEPT"
            | "INTERSECT"
            | "WITH"
            | "AND"
            | "OR"
            | "ON"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_query_is_found_in_what_models_write() {
        for (text, sql) in [
            ("SELECT 1", "SELECT 1"),
            ("SELECT a\nFROM t;\n", "SELECT a\nFROM t"),
            (
                "```sql\nSELECT a FROM t;\n```\nThis counts.",
                "SELECT a FROM t",
            ),
            (
                "Sure:\n```\nWITH x AS (SELECT 1) SELECT * FROM x\n```",
                "WITH x AS (SELECT 1) SELECT * FROM x",
            ),
            ("```sql\nSELECT a FROM t", "SELECT a FROM t"),
            (
                "The query is:\nSELECT a FROM t\n\nIt gives all.",
                "SELECT a FROM t",
            ),
            ("SELECT a\n\nFROM t", "SELECT a\n\nFROM t"),
            ("The query is select a from t", "select a from t"),
            ("With that in mind:\nSELECT a FROM t", "SELECT a FROM t"),
            ("-- all of them\nSELECT a FROM t", "SELECT a FROM t"),
            // The check has to see what is wrong with these.
            ("DELETE FROM t", "DELETE FROM t"),
            ("SELECT 1; DROP TABLE t", "SELECT 1; DROP TABLE t"),
            ("DROP TABLE t;\nSELECT 1", "DROP TABLE t;\nSELECT 1"),
        ] {
            assert_eq!(read(text), Written::Sql(sql.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_refusal_says_why() {
        for text in [
            "-- unanswerable: there is no weather here",
            "```sql\n-- Unanswerable: there is no weather here\n```",
            "unanswerable: there is no weather here",
        ] {
            let reason = "there is no weather here".to_owned();
            assert_eq!(read(text), Written::Refused(reason), "{text}");
        }
        assert_eq!(read("I cannot say."), Written::Nothing);
        assert_eq!(read(""), Written::Nothing);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = read(&text);
            let _ = read(&format!("```{text}"));
            let _ = read(&format!("-- unanswerable{text}"));
        }
    }
}
