//! The text of a query before it is parsed: its size, its letters and its tokens. What databases and parsers may read
//! in different ways is refused here: comments, invisible letters, letters that look like others, quotes that are
//! none.
//!
//! Left out: what the tokens mean.

use sqlparser::dialect::Dialect as Grammar;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace, Word};
use unicode_normalization::is_nfc;

use crate::sql::schema::Dialect;

/// The most bytes of a query, and the most of its tokens.
const MAX_BYTES: usize = 32 << 10;
const MAX_TOKENS: usize = 4000;

/// The most operators of a query: each may make its tree a level deeper.
const MAX_OPERATORS: usize = 256;

/// What queries begin with.
const BEGINNINGS: [&str; 3] = ["SELECT", "WITH", "VALUES"];

/// Words that make a tree deeper, as operators do.
const DEEPENING: [&str; 21] = [
    "AND",
    "OR",
    "XOR",
    "NOT",
    "IS",
    "ISNULL",
    "NOTNULL",
    "LIKE",
    "ILIKE",
    "RLIKE",
    "REGEXP",
    "GLOB",
    "SIMILAR",
    "BETWEEN",
    "COLLATE",
    "DIV",
    "AT",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "BINARY",
];

/// The tokens of a query, all of which a query may have.
///
/// # Errors
/// What is wrong with the text, and the fix.
pub(super) fn tokens(
    sql: &str,
    dialect: Dialect,
    grammar: &dyn Grammar,
) -> Result<Vec<TokenWithSpan>, String> {
    if sql.len() > MAX_BYTES {
        return Err(format!(
            "the query has more than {MAX_BYTES} bytes; write a shorter one"
        ));
    }
    if sql.trim().is_empty() {
        return Err("there is no query".to_owned());
    }
    if let Some(strange) = sql.chars().find(|c| is_forbidden(*c)) {
        return Err(format!(
            "the query holds the invisible character U+{:04X}; leave it out",
            u32::from(strange)
        ));
    }
    // MySQL runs what is in some comments, and tokenizers differ about which.
    if ["/*!", "/*M!", "/*+", "/*m!"]
        .iter()
        .any(|mark| sql.contains(mark))
    {
        return Err("comments that a database may run are not allowed; leave them out".to_owned());
    }
    let tokens = Tokenizer::new(grammar, sql)
        .tokenize_with_location()
        .map_err(|error| format!("the query cannot be read: {error}"))?;
    let mut look = Look {
        dialect,
        words: 0,
        operators: 0,
        begun: false,
        ended: false,
    };
    for token in &tokens {
        look.at(&token.token).map_err(|error| {
            let place = token.span.start;
            format!("{error} (line {}, column {})", place.line, place.column)
        })?;
    }
    Ok(tokens)
}

/// What has been seen of the tokens.
struct Look {
    dialect: Dialect,
    words: usize,
    operators: usize,
    begun: bool,
    ended: bool,
}

impl Look {
    fn at(&mut self, token: &Token) -> Result<(), String> {
        match token {
            Token::Whitespace(space) => {
                return match space {
                    Whitespace::Space | Whitespace::Newline | Whitespace::Tab => Ok(()),
                    _ => Err("comments are not allowed; leave them out".to_owned()),
                };
            }
            Token::SemiColon | Token::EOF => {
                self.ended |= *token == Token::SemiColon;
                return Ok(());
            }
            _ if self.ended => {
                return Err("there is more than one statement; write one query".to_owned());
            }
            _ => {}
        }
        self.words += 1;
        if self.words > MAX_TOKENS {
            return Err(format!(
                "the query has more than {MAX_TOKENS} words; write a shorter one"
            ));
        }
        self.begin(token)?;
        match token {
            Token::Word(word) => self.word(word)?,
            Token::Number(_, false) | Token::SingleQuotedString(_) => {}
            Token::DoubleQuotedString(_) if self.dialect == Dialect::Mysql => {}
            Token::EscapedStringLiteral(_) if self.dialect == Dialect::Postgres => {}
            Token::Comma | Token::LParen | Token::RParen | Token::Period => {}
            Token::RBracket => {}
            // Of a part of an array.
            Token::Colon if self.dialect == Dialect::Postgres => {}
            Token::Placeholder(_) | Token::Colon | Token::AtSign | Token::Assignment => {
                return Err(format!(
                    "`{token}` stands for a value that nobody gives; write the value itself"
                ));
            }
            token if is_operator(token, self.dialect) => self.deepen()?,
            Token::Char(c) => return Err(stray(*c)),
            other => {
                let shown: String = other.to_string().chars().take(40).collect();
                return Err(format!("`{shown}` is not allowed in a query"));
            }
        }
        Ok(())
    }

    /// The first word tells what kind of statement it is.
    fn begin(&mut self, token: &Token) -> Result<(), String> {
        if self.begun || *token == Token::LParen {
            return Ok(());
        }
        self.begun = true;
        match token {
            Token::Word(word) if word.quote_style.is_none() => {
                let upper = word.value.to_uppercase();
                if BEGINNINGS.contains(&upper.as_str()) {
                    return Ok(());
                }
                if let Some(strange) = upper.chars().find(|c| !c.is_ascii() && !is_letter(*c)) {
                    return Err(stray(strange));
                }
                let shown: String = upper.chars().take(40).collect();
                Err(format!(
                    "only queries are allowed, which begin with SELECT, WITH or VALUES; this one begins with `{shown}`"
                ))
            }
            _ => {
                Err("only queries are allowed, which begin with SELECT, WITH or VALUES".to_owned())
            }
        }
    }

    fn word(&mut self, word: &Word) -> Result<(), String> {
        if word.quote_style.is_some() {
            return Ok(());
        }
        if DEEPENING.iter().any(|w| word.value.eq_ignore_ascii_case(w)) {
            self.deepen()?;
        }
        if word.value.starts_with('@') {
            return Err(format!(
                "`{}` is a variable; variables are not allowed",
                word.value
            ));
        }
        if word.value.is_ascii() {
            return Ok(());
        }
        if let Some(strange) = word.value.chars().find(|c| !c.is_ascii() && !is_letter(*c)) {
            return Err(stray(strange));
        }
        if !is_nfc(&word.value) {
            return Err(format!(
                "`{}` is written with combined letters; write it in normal form (NFC), or in quotes",
                word.value
            ));
        }
        let latin = word.value.chars().any(|c| c.is_ascii_alphabetic());
        if latin && let Some(c) = word.value.chars().find(|c| looks_latin(*c)) {
            return Err(format!(
                "`{}` mixes letters of two alphabets: `{c}` is U+{:04X}, which only looks like a Latin letter",
                word.value,
                u32::from(c)
            ));
        }
        Ok(())
    }

    fn deepen(&mut self) -> Result<(), String> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return Err(format!(
                "the query has more than {MAX_OPERATORS} operators; write a shorter one, with IN (…) for values"
            ));
        }
        Ok(())
    }
}

/// What is said of a character that is no part of SQL.
fn stray(c: char) -> String {
    let plain = match c {
        '‘' | '’' | '‚' | '′' | '＇' | 'ʼ' | '´' | '‛' => Some('\''),
        '“' | '”' | '„' | '″' | '＂' | '«' | '»' => Some('"'),
        '，' | '、' => Some(','),
        '；' | '\u{37e}' => Some(';'),
        '。' | '．' => Some('.'),
        '＊' | '×' => Some('*'),
        '−' | '–' | '—' | '－' => Some('-'),
        '\u{a0}' | '\u{3000}' => Some(' '),
        c @ '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        c if c.is_whitespace() => Some(' '),
        _ => None,
    };
    let code = u32::from(c);
    match plain {
        Some(plain) => format!("`{c}` (U+{code:04X}) is no character of SQL; write `{plain}`"),
        None => format!(
            "`{c}` (U+{code:04X}) is no character of SQL; names that have it are written in quotes"
        ),
    }
}

/// Letters that names may have without quotes, beyond ASCII. Wide and narrow forms of ASCII are none.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric()
        && !('\u{ff00}'..='\u{ffef}').contains(&c)
        && !('\u{1d400}'..='\u{1d7ff}').contains(&c)
}

/// Letters of the Greek, Cyrillic, Armenian and Cherokee alphabets, some of which look like Latin ones.
fn looks_latin(c: char) -> bool {
    matches!(
        c,
        '\u{370}'..='\u{58f}' | '\u{13a0}'..='\u{13ff}' | '\u{1c80}'..='\u{1c8f}' | '\u{2de0}'..='\u{2dff}'
            | '\u{a640}'..='\u{a69f}'
    )
}

/// Characters that nothing in a query may have, not even a text: controls, and those that change the direction of what
/// is read, or are no characters.
pub(super) fn is_forbidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
        || matches!(
            c,
            '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{115f}' | '\u{1160}'
                | '\u{3164}' | '\u{ffa0}' | '\u{fff9}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Operators that a query may have.
fn is_operator(token: &Token, dialect: Dialect) -> bool {
    match token {
        Token::Eq
        | Token::DoubleEq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::StringConcat
        | Token::Ampersand
        | Token::Pipe
        | Token::Caret
        | Token::Tilde
        | Token::ShiftLeft
        | Token::ShiftRight
        | Token::Arrow
        | Token::LongArrow => true,
        Token::Spaceship | Token::ExclamationMark => dialect == Dialect::Mysql,
        Token::Overlap => dialect != Dialect::Sqlite,
        Token::DoubleColon
        | Token::LBracket
        | Token::RArrow
        | Token::Sharp
        | Token::TildeAsterisk
        | Token::ExclamationMarkTilde
        | Token::ExclamationMarkTildeAsterisk
        | Token::DoubleTilde
        | Token::DoubleTildeAsterisk
        | Token::ExclamationMarkDoubleTilde
        | Token::ExclamationMarkDoubleTildeAsterisk
        | Token::CaretAt
        | Token::HashArrow
        | Token::HashLongArrow
        | Token::AtArrow
        | Token::ArrowAt
        | Token::AtQuestion
        | Token::AtAt
        | Token::Question
        | Token::QuestionAnd
        | Token::QuestionPipe => dialect == Dialect::Postgres,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::grammar;
    use super::*;

    fn refused(sql: &str, dialect: Dialect) -> String {
        tokens(sql, dialect, &*grammar(dialect))
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn what_hides_in_a_text_is_named() {
        for (sql, named) in [
            ("", "there is no query"),
            ("SELECT\u{0} 1", "U+0000"),
            ("SEL\u{200b}ECT 1", "U+200B"),
            ("SELECT \u{202e}1", "U+202E"),
            ("SELECT 1 -- x", "comments are not allowed"),
            ("SELECT /* x */ 1", "comments are not allowed"),
            ("SELECT /*!50000 1 */", "may run"),
            ("SELECT 1; SELECT 2", "more than one statement"),
            ("DELETE FROM t", "begins with `DELETE`"),
            ("\"SELECT\" 1", "only queries"),
            ("SELECT ‘a’", "write `'`"),
            ("SELECT a，b FROM t", "write `,`"),
            ("SELECT\u{3000}1", "write ` `"),
            ("SELECT ａ FROM t", "write `a`"),
            ("SELECT pаy FROM t", "U+0430"),
            ("SELECT ?", "stands for a value"),
        ] {
            let found = refused(sql, Dialect::Sqlite);
            assert!(found.contains(named), "{sql:?}: {found}");
        }
    }

    #[test]
    fn size_and_depth_have_an_end() {
        let long = format!("SELECT {}", vec!["1"; 3000].join(","));
        assert!(refused(&long, Dialect::Sqlite).contains("more than 4000 words"));
        let deep = format!("SELECT {}", vec!["1"; 400].join("+"));
        assert!(refused(&deep, Dialect::Sqlite).contains("more than 256 operators"));
        let large = format!("SELECT '{}'", "x".repeat(MAX_BYTES));
        assert!(refused(&large, Dialect::Sqlite).contains("bytes"));
    }

    #[test]
    fn texts_and_names_of_all_languages_are_read() {
        for sql in [
            "SELECT '“quoted”，它的' FROM t;",
            "SELECT 金额 FROM 订单 WHERE größe > 1",
            "SELECT `a b` FROM t ;; ",
            "SELECT '👨\u{200d}👩' AS x",
        ] {
            assert_eq!(refused(sql, Dialect::Sqlite), "", "{sql}");
        }
    }
}
