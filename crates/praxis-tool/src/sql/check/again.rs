//! The second look at a query: what was written is parsed once more and its whole tree is walked by the parser's own
//! visitor. Each table, function and value that it comes by has to be one that was written; where one is not, what was
//! written means something else than what was meant, and nothing is sent.
//!
//! Left out: what a query may say (the writer knows it alone).

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, ObjectName, Query, Select, Statement, Value, ValueWithSpan, Visit, Visitor,
};
use sqlparser::dialect::Dialect as Grammar;
use sqlparser::parser::Parser;

use super::Seen;

/// Deeper than what was read: what a caller may see takes the places of tables.
const MAX_DEPTH: usize = 160;

/// What is said where the second look finds what the first did not.
const STRANGE: &str =
    "the query cannot be written so that it is read in one way only; write it more simply";

/// Looks at a query that was written.
///
/// # Errors
/// It is not what was meant.
pub(super) fn look(
    sql: &str,
    binds: usize,
    grammar: &dyn Grammar,
    seen: &Seen,
) -> Result<(), String> {
    let strange = |what: String| {
        tracing::warn!(%what, "a query was refused at the second look");
        STRANGE.to_owned()
    };
    let statements = Parser::new(grammar)
        .with_recursion_limit(MAX_DEPTH)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| strange(error.to_string()))?;
    if !matches!(statements.as_slice(), [Statement::Query(_)]) {
        return Err(strange("it is not one query".to_owned()));
    }
    let mut walk = Walk {
        seen,
        statements: 0,
        places: 0,
    };
    if let ControlFlow::Break(what) = statements.visit(&mut walk) {
        return Err(strange(what));
    }
    if walk.statements != 1 || walk.places != binds {
        return Err(strange(format!(
            "it has {} statements and {} places for {binds} values",
            walk.statements, walk.places
        )));
    }
    Ok(())
}

struct Walk<'s> {
    seen: &'s Seen,
    statements: usize,
    places: usize,
}

impl Walk<'_> {
    fn stop(what: impl Into<String>) -> ControlFlow<String> {
        ControlFlow::Break(what.into())
    }
}

impl Visitor for Walk<'_> {
    type Break = String;

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<Self::Break> {
        self.statements += 1;
        match statement {
            Statement::Query(_) => ControlFlow::Continue(()),
            _ => Self::stop("a statement that is no query"),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        if query.locks.is_empty() && query.for_clause.is_none() && query.pipe_operators.is_empty() {
            ControlFlow::Continue(())
        } else {
            Self::stop("a query that locks")
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        if select.into.is_none() {
            ControlFlow::Continue(())
        } else {
            Self::stop("a SELECT that writes")
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Self::Break> {
        let name = relation.to_string();
        if self.seen.relations.contains(&name) {
            ControlFlow::Continue(())
        } else {
            Self::stop(format!("the relation {name}"))
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        match expr {
            Expr::Function(function) => {
                let name = function.name.to_string().to_lowercase();
                if self.seen.functions.contains(&name) || super::functions::is_bare(&name) {
                    ControlFlow::Continue(())
                } else {
                    Self::stop(format!("the function {name}"))
                }
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<Self::Break> {
        if matches!(value.value, Value::Placeholder(_)) {
            self.places += 1;
        }
        ControlFlow::Continue(())
    }
}
