//! What names mean at a place of a query, and the text that is written. Left out: what is written where (`query`,
//! `from`, `expr`, `call`).

use sqlparser::ast::Ident;

use super::text::is_forbidden;
use crate::sql::schema::{Dialect, find};

/// Stands where a value is bound until all of the text is there. No query can hold it: controls are refused.
const MARK: char = '\u{1}';

/// The longest name that a query gives something: what PostgreSQL keeps of one.
const MAX_NAME: usize = 63;

/// A text in the making, with the values that are bound in it.
#[derive(Debug, Default)]
pub(super) struct Out {
    text: String,
    binds: Vec<Option<String>>,
}

impl Out {
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub fn append(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.binds.extend(other.binds);
    }

    /// A place for a value.
    pub fn bind(&mut self, value: Option<String>) {
        self.text.push(MARK);
        self.binds.push(value);
    }

    /// Whether it begins with a sign, before which another sign would begin a comment.
    pub fn begins_with_minus(&self) -> bool {
        self.text.starts_with('-')
    }

    /// The text with the dialect's placeholders, and the values in their order.
    pub fn finish(self, dialect: Dialect) -> (String, Vec<Option<String>>) {
        let mut text = String::with_capacity(self.text.len() + 16 * self.binds.len());
        let mut number = 0;
        for c in self.text.chars() {
            if c != MARK {
                text.push(c);
                continue;
            }
            number += 1;
            match dialect {
                Dialect::Sqlite => text.push_str(&format!("?{number}")),
                Dialect::Postgres => text.push_str(&format!("CAST(${number} AS text)")),
                Dialect::Mysql => text.push('?'),
            }
        }
        (text, self.binds)
    }
}

/// A relation of a FROM clause.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    /// Its name, as it is written.
    pub name: String,
    /// Its columns; those without a name cannot be named.
    pub columns: Vec<Option<String>>,
    /// Whether its name alone is its only column, as that of a function in PostgreSQL is.
    pub scalar: bool,
}

impl Relation {
    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&str> {
        find(name, self.columns.iter().filter_map(Option::as_deref))
    }
}

/// What names of columns mean.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// What FROM names.
    pub relations: Vec<Relation>,
    /// Columns that joins have made one of several.
    pub merged: Vec<String>,
    /// Names of the select list, where the clause may use them.
    pub aliases: Vec<String>,
    /// Names of windows.
    pub windows: Vec<String>,
    /// The query around.
    pub parent: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    /// A scope without relations.
    pub fn within(parent: Option<&'a Scope<'a>>) -> Self {
        Self {
            relations: Vec::new(),
            merged: Vec::new(),
            aliases: Vec::new(),
            windows: Vec::new(),
            parent,
        }
    }

    /// This scope, and those around it, from the inside out.
    pub fn outwards(&self) -> impl Iterator<Item = &Scope<'a>> {
        std::iter::successors(Some(self), |here| here.parent)
    }

    /// A relation by its name.
    pub fn relation(&self, name: &str) -> Option<&Relation> {
        let found = find(name, self.relations.iter().map(|r| r.name.as_str()))?;
        self.relations.iter().find(|r| r.name == found)
    }
}

/// A common table expression.
#[derive(Debug)]
pub(super) struct Named {
    pub name: String,
    pub columns: Vec<Option<String>>,
}

/// Common table expressions, the nearest first.
#[derive(Debug)]
pub(super) struct Ctes<'a> {
    pub names: Vec<Named>,
    pub parent: Option<&'a Ctes<'a>>,
}

impl Ctes<'_> {
    /// One by its name.
    pub fn get(&self, name: &str) -> Option<&Named> {
        let found = find(name, self.names.iter().map(|n| n.name.as_str()));
        match found {
            Some(found) => self.names.iter().rev().find(|n| n.name == found),
            None => self.parent.and_then(|parent| parent.get(name)),
        }
    }
}

/// Where a query stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Env<'a> {
    pub ctes: Option<&'a Ctes<'a>>,
    pub outer: Option<&'a Scope<'a>>,
    /// Whether it is a condition of the file's, which sees all tables and knows of the caller.
    pub own: bool,
}

impl<'a> Env<'a> {
    /// Where an expression of the query stands.
    pub fn at<'s>(&self, scope: &'s Scope<'s>) -> At<'s>
    where
        'a: 's,
    {
        At {
            scope,
            ctes: self.ctes,
            own: self.own,
        }
    }
}

/// Where an expression stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub scope: &'a Scope<'a>,
    pub ctes: Option<&'a Ctes<'a>>,
    pub own: bool,
}

impl<'a> At<'a> {
    /// Where a query inside of the expression stands.
    pub fn inner(&self) -> Env<'a> {
        Env {
            ctes: self.ctes,
            outer: Some(self.scope),
            own: self.own,
        }
    }
}

/// A query that has been written.
#[derive(Debug)]
pub(super) struct Written {
    pub out: Out,
    /// Names of its columns.
    pub columns: Vec<Option<String>>,
}

/// A name as the database reads it.
pub(super) fn fold(dialect: Dialect, ident: &Ident) -> String {
    if dialect == Dialect::Postgres && ident.quote_style.is_none() {
        ident.value.to_lowercase()
    } else {
        ident.value.clone()
    }
}

/// A name that a query gives something.
///
/// # Errors
/// One that could be read as something else, or that a database would cut.
pub(super) fn given(dialect: Dialect, ident: &Ident) -> Result<String, String> {
    let name = fold(dialect, ident);
    let odd = |c: char| is_forbidden(c) || c.is_control() || "\"'`[]\\".contains(c);
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(format!(
            "the name `{name}` does not have 1 to {MAX_NAME} bytes; choose another"
        ));
    }
    if name.chars().any(odd) {
        return Err(format!(
            "the name `{name}` has quotes or brackets in it; leave them out"
        ));
    }
    Ok(name)
}

/// A name in the dialect's quotes, which no database takes for a text.
pub(in crate::sql) fn quoted(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        // SQLite takes "name" for a text where there is no such column.
        Dialect::Sqlite | Dialect::Mysql => format!("`{}`", name.replace('`', "``")),
    }
}

/// Schema and name of a table of PostgreSQL that is not in the first schema.
pub(super) fn split<'t>(
    dialect: Dialect,
    places: &[String],
    table: &'t str,
) -> Option<(&'t str, &'t str)> {
    if dialect != Dialect::Postgres {
        return None;
    }
    let (schema, name) = table.split_once('.')?;
    let listed = places.iter().skip(1).any(|place| place == schema);
    listed.then_some((schema, name))
}

/// A table by its full name, which no query of WITH can have.
pub(in crate::sql) fn placed(dialect: Dialect, places: &[String], table: &str) -> String {
    let home = places.first().map_or("", String::as_str);
    let (place, name) = split(dialect, places, table).unwrap_or((home, table));
    format!("{}.{}", quoted(dialect, place), quoted(dialect, name))
}

/// A text, as a literal that means the same in every mode of the server.
///
/// # Errors
/// Characters that no text may have.
pub(super) fn literal(dialect: Dialect, text: &str) -> Result<String, String> {
    if let Some(strange) = text.chars().find(|c| is_forbidden(*c)) {
        return Err(format!(
            "a text holds the invisible character U+{:04X}; leave it out",
            u32::from(strange)
        ));
    }
    if dialect == Dialect::Mysql && text.contains('\\') {
        // Whether a backslash escapes depends on the server's mode; digits do not.
        let digits: String = text.bytes().map(|b| format!("{b:02X}")).collect();
        return Ok(format!("_utf8mb4 X'{digits}'"));
    }
    Ok(format!("'{}'", text.replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn texts_and_names_cannot_leave_their_quotes() {
        assert_eq!(literal(Dialect::Sqlite, "it's \\").unwrap(), "'it''s \\'");
        assert_eq!(
            literal(Dialect::Postgres, "\\' OR 1=1 --").unwrap(),
            "'\\'' OR 1=1 --'"
        );
        assert_eq!(
            literal(Dialect::Mysql, "a\\' OR").unwrap(),
            "_utf8mb4 X'615C27204F52'"
        );
        assert!(literal(Dialect::Mysql, "a\u{0}").is_err());
        assert_eq!(quoted(Dialect::Mysql, "a`b"), "`a``b`");
        assert_eq!(quoted(Dialect::Postgres, "a\"b"), "\"a\"\"b\"");
        for name in ["a\"b", "a`b", "a'b", "a]b", "", "a\u{7}", &"x".repeat(64)] {
            assert!(
                given(Dialect::Sqlite, &Ident::new(name)).is_err(),
                "{name:?}"
            );
        }
        assert_eq!(
            given(Dialect::Postgres, &Ident::new("Total")).unwrap(),
            "total"
        );
    }

    #[test]
    fn values_are_bound_in_the_order_of_the_text() {
        let made = || {
            let mut list = Out::default();
            list.push("SELECT ");
            list.bind(Some("a".to_owned()));
            let mut from = Out::default();
            from.push(" FROM t WHERE x = ");
            from.bind(None);
            list.append(from);
            list
        };
        let values = vec![Some("a".to_owned()), None];
        assert_eq!(
            made().finish(Dialect::Sqlite),
            ("SELECT ?1 FROM t WHERE x = ?2".to_owned(), values.clone())
        );
        assert_eq!(
            made().finish(Dialect::Postgres).0,
            "SELECT CAST($1 AS text) FROM t WHERE x = CAST($2 AS text)"
        );
        assert_eq!(
            made().finish(Dialect::Mysql),
            ("SELECT ? FROM t WHERE x = ?".to_owned(), values)
        );
    }
}
