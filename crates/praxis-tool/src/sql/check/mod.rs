//! The check of a query before any database sees it, and the query that is sent instead of it.
//!
//! A text is looked at letter by letter (`text`), parsed, and written anew from its tree, node by node (`query`,
//! `from`, `expr`, `call`). A node, a field or a function that the writer does not know is refused; what it knows it
//! writes with its own quotes, with tables by their full names, with what the caller may see in the place of tables,
//! and with a limit. So nothing of the text reaches the database but what was understood. What was written is then
//! parsed once more and walked as a whole (`again`). Left out: what the database makes of it (`run`).

mod again;
mod call;
mod expr;
mod from;
mod functions;
mod kinds;
mod names;
mod query;
mod scope;
mod select;
mod special;
mod text;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use praxis_core::{CallError, ErrorCode};
use sqlparser::ast::Statement;
use sqlparser::dialect::{Dialect as Grammar, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::{Parser, ParserError};

pub(in crate::sql) use self::scope::{placed, quoted};

use self::query::Place;
use self::scope::{Env, Out};
use super::access::{Access, Known};
use super::schema::{Dialect, Schema};
use super::{Fault, Query};

/// How deep brackets and subqueries may be in each other.
const MAX_DEPTH: usize = 48;

/// The stack of a check: the tree of a query is walked, and dropped, as deep as it is.
const STACK: usize = 64 << 20;

/// Characters that are said of what a parser did not understand.
const LONGEST_MESSAGE: usize = 300;

/// What a query is checked against.
pub(crate) struct Rules<'a> {
    /// The SQL that it has to be.
    pub dialect: Dialect,
    /// The tables and columns that it may name.
    pub schema: &'a Schema,
    /// What of them the caller may see.
    pub access: &'a Access,
    /// What conditions know of the caller.
    pub known: &'a Known,
    /// Where tables are: `main` in SQLite, the schemas of PostgreSQL, the database of MySQL.
    pub places: &'a [String],
    /// Functions that are allowed beside those that are known.
    pub functions: &'a [String],
    /// Rows that may be given.
    pub rows: u64,
}

/// The parser's grammar of a dialect.
pub(crate) fn grammar(dialect: Dialect) -> Box<dyn Grammar> {
    match dialect {
        Dialect::Sqlite => Box::new(SQLiteDialect {}),
        Dialect::Postgres => Box::new(PostgreSqlDialect {}),
        Dialect::Mysql => Box::new(MySqlDialect {}),
    }
}

/// Checks a query and writes what is sent instead of it.
///
/// # Errors
/// [`Fault::Refused`] with what is wrong and, where it can be told, what was likely meant.
pub(crate) fn check(sql: &str, rules: &Rules<'_>) -> Result<Query, Fault> {
    // A tree may be as deep as a text is long, and callers' stacks are small.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("sql-check".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || checked(sql, rules).map_err(Fault::Refused));
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(Fault::Refused("the query cannot be read".to_owned())),
            Err(error) => {
                let message = format!("a query cannot be checked: {error}");
                Err(Fault::Call(CallError::new(ErrorCode::Internal, message)))
            }
        }
    })
}

fn checked(sql: &str, rules: &Rules<'_>) -> Result<Query, String> {
    let grammar = grammar(rules.dialect);
    let tokens = text::tokens(sql, rules.dialect, &*grammar)?;
    let statements = Parser::new(&*grammar)
        .with_recursion_limit(MAX_DEPTH)
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|error| unread(&error, rules.dialect))?;
    let query = match statements.as_slice() {
        [Statement::Query(query)] => query,
        [_] => return Err("only queries are allowed: SELECT, WITH … SELECT, VALUES".to_owned()),
        [] => return Err("there is no query".to_owned()),
        _ => return Err("there is more than one statement; write one query".to_owned()),
    };
    let mut writer = Writer::new(rules);
    let env = Env {
        ctes: None,
        outer: None,
        own: false,
    };
    let written = writer.query(query, env, Place::Top)?;
    let (text, binds) = written.out.finish(rules.dialect);
    again::look(&text, binds.len(), &*grammar, &writer.seen)?;
    Ok(Query {
        sql: text,
        binds,
        tables: writer.tables.into_iter().collect(),
        notes: writer.notes,
        left: Vec::new(),
        rows: rules.rows,
        planned: AtomicBool::new(false),
    })
}

/// What the parser said.
fn unread(error: &ParserError, dialect: Dialect) -> String {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            message.as_str()
        }
        ParserError::RecursionLimitExceeded => {
            return format!("the query is more than {MAX_DEPTH} levels deep; write a flatter one");
        }
    };
    let message: String = message.chars().take(LONGEST_MESSAGE).collect();
    format!("this is no {} that can be read: {message}", dialect.name())
}

/// Names that were written, for the second look.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Tables, with their places and quotes.
    pub relations: BTreeSet<String>,
    /// Functions.
    pub functions: BTreeSet<String>,
}

/// Writes a query from its tree. Its parts are in the modules beside.
pub(super) struct Writer<'r> {
    rules: &'r Rules<'r>,
    dialect: Dialect,
    seen: Seen,
    tables: BTreeSet<String>,
    notes: Vec<String>,
    depth: usize,
    fresh: usize,
}

impl<'r> Writer<'r> {
    fn new(rules: &'r Rules<'r>) -> Self {
        Self {
            rules,
            dialect: rules.dialect,
            seen: Seen::default(),
            tables: BTreeSet::new(),
            notes: Vec::new(),
            depth: 0,
            fresh: 0,
        }
    }

    /// A name in quotes.
    fn quote(&self, name: &str) -> String {
        scope::quoted(self.dialect, name)
    }

    /// A name for what has none.
    fn fresh(&mut self) -> String {
        self.fresh += 1;
        format!("q{}", self.fresh)
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Does something one level deeper.
    fn deeper<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        const DEEPEST: usize = 600;
        if self.depth == DEEPEST {
            return Err("the query is too deep; write a flatter one".to_owned());
        }
        self.depth += 1;
        let done = work(self);
        self.depth -= 1;
        done
    }

    /// Parts with commas between.
    fn commas<T>(
        &mut self,
        items: &[T],
        out: &mut Out,
        mut write: impl FnMut(&mut Self, &T, &mut Out) -> Result<(), String>,
    ) -> Result<(), String> {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push(", ");
            }
            write(self, item, out)?;
        }
        Ok(())
    }
}

/// What a node of the tree is called, for messages.
fn node(value: &impl std::fmt::Debug) -> String {
    let debug = format!("{value:?}");
    let name: String = debug
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric())
        .take(40)
        .collect();
    format!("`{name}` is a kind of expression that is not allowed")
}

#[cfg(test)]
mod tests;
