//! Expressions: values, conditions and what is made of them. Left out: names of columns (`names`), what has a syntax of
//! its own (`special`), calls of functions (`call`), and which operators and types there are (`kinds`).

use sqlparser::ast::{BinaryOperator, CaseWhen, Expr, InTarget, UnaryOperator, Value};

use super::query::Place;
use super::scope::{At, Out, literal};
use super::{Writer, kinds};
use crate::sql::access::CALLER_LABELS;
use crate::sql::schema::Dialect;

impl Writer<'_> {
    /// Writes an expression.
    pub(super) fn expr(&mut self, expr: &Expr, at: &At<'_>, out: &mut Out) -> Result<(), String> {
        self.deeper(|writer| writer.any(expr, at, out))
    }

    fn any(&mut self, expr: &Expr, at: &At<'_>, out: &mut Out) -> Result<(), String> {
        match expr {
            Expr::Identifier(ident) => self.column(std::slice::from_ref(ident), at, out),
            Expr::CompoundIdentifier(parts) => self.column(parts, at, out),
            Expr::Value(value) => self.value(&value.value, out),
            Expr::Nested(inner) => self.within("(", inner, ")", at, out),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, at, out),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr, at, out),
            Expr::IsFalse(inner) => self.within("", inner, " IS FALSE", at, out),
            Expr::IsNotFalse(inner) => self.within("", inner, " IS NOT FALSE", at, out),
            Expr::IsTrue(inner) => self.within("", inner, " IS TRUE", at, out),
            Expr::IsNotTrue(inner) => self.within("", inner, " IS NOT TRUE", at, out),
            Expr::IsNull(inner) => self.within("", inner, " IS NULL", at, out),
            Expr::IsNotNull(inner) => self.within("", inner, " IS NOT NULL", at, out),
            Expr::IsUnknown(inner) => self.within("", inner, " IS UNKNOWN", at, out),
            Expr::IsNotUnknown(inner) => self.within("", inner, " IS NOT UNKNOWN", at, out),
            Expr::IsDistinctFrom(left, right) => {
                self.between(left, " IS DISTINCT FROM ", right, at, out)
            }
            Expr::IsNotDistinctFrom(left, right) => {
                self.between(left, " IS NOT DISTINCT FROM ", right, at, out)
            }
            Expr::In {
                expr,
                target,
                negated,
                global: false,
            } => {
                self.expr(expr, at, out)?;
                out.push(if *negated { " NOT IN (" } else { " IN (" });
                self.target(target, at, out)?;
                out.push(")");
                Ok(())
            }
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => {
                self.expr(expr, at, out)?;
                out.push(if *negated {
                    " NOT BETWEEN "
                } else {
                    " BETWEEN "
                });
                self.between(low, " AND ", high, at, out)
            }
            Expr::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => self.like(
                "LIKE",
                *negated,
                [&**expr, &**pattern],
                escape_char.as_deref(),
                at,
                out,
            ),
            Expr::ILike {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } if self.dialect == Dialect::Postgres => self.like(
                "ILIKE",
                *negated,
                [&**expr, &**pattern],
                escape_char.as_deref(),
                at,
                out,
            ),
            Expr::ILike { .. } => Err(format!(
                "{} has no ILIKE; LIKE does not mind the case of letters, or write LOWER(…) LIKE",
                self.dialect.name()
            )),
            Expr::SimilarTo {
                negated,
                expr,
                pattern,
                escape_char,
            } if self.dialect == Dialect::Postgres => self.like(
                "SIMILAR TO",
                *negated,
                [&**expr, &**pattern],
                escape_char.as_deref(),
                at,
                out,
            ),
            Expr::RLike {
                negated,
                expr,
                pattern,
                regexp: _,
            } if self.dialect == Dialect::Mysql => {
                self.like("REGEXP", *negated, [&**expr, &**pattern], None, at, out)
            }
            Expr::AnyOp {
                left,
                compare_op,
                right,
                is_some: _,
            } => self.quantified("ANY", left, compare_op, right, at, out),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => self.quantified("ALL", left, compare_op, right, at, out),
            Expr::Exists { subquery, negated } => {
                let written = self.query(subquery, at.inner(), Place::Inside)?;
                out.push(if *negated { "NOT EXISTS (" } else { "EXISTS (" });
                out.append(written.out);
                out.push(")");
                Ok(())
            }
            Expr::Subquery(query) => {
                let written = self.query(query, at.inner(), Place::Inside)?;
                out.push("(");
                out.append(written.out);
                out.push(")");
                Ok(())
            }
            Expr::Tuple(items) => {
                out.push("(");
                self.commas(items, out, |writer, item, out| writer.expr(item, at, out))?;
                out.push(")");
                Ok(())
            }
            Expr::Case {
                case_token: _,
                end_token: _,
                operand,
                conditions,
                else_result,
            } => self.case(
                operand.as_deref(),
                conditions,
                else_result.as_deref(),
                at,
                out,
            ),
            Expr::Function(function) => self.function(function, at, out),
            other => self.special(other, at, out),
        }
    }

    /// An expression between two texts.
    pub(super) fn within(
        &mut self,
        before: &str,
        expr: &Expr,
        after: &str,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        out.push(before);
        self.expr(expr, at, out)?;
        out.push(after);
        Ok(())
    }

    /// Two expressions with a text between.
    pub(super) fn between(
        &mut self,
        left: &Expr,
        word: &str,
        right: &Expr,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        self.expr(left, at, out)?;
        out.push(word);
        self.expr(right, at, out)
    }

    fn binary(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        let Some(op) = kinds::binary(op, self.dialect) else {
            return Err(format!(
                "the operator `{op}` is not allowed in {}",
                self.dialect.name()
            ));
        };
        self.between(left, &format!(" {op} "), right, at, out)
    }

    fn unary(
        &mut self,
        op: UnaryOperator,
        expr: &Expr,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        let Some(op) = kinds::unary(op) else {
            return Err(format!("the operator `{op}` is not allowed before a value"));
        };
        let mut inner = Out::default();
        self.expr(expr, at, &mut inner)?;
        out.push(op);
        // Two signs would begin a comment.
        if inner.begins_with_minus() {
            out.push(" ");
        }
        out.append(inner);
        Ok(())
    }

    fn target(&mut self, target: &InTarget, at: &At<'_>, out: &mut Out) -> Result<(), String> {
        match target {
            InTarget::List(items) => self.commas(items, out, |writer, item, out| {
                let labels = matches!(item, Expr::Identifier(ident) if at.own && ident.value == CALLER_LABELS);
                if !labels {
                    return writer.expr(item, at, out);
                }
                let labels = &writer.rules.known.labels;
                if labels.is_empty() {
                    out.push("NULL");
                }
                for (i, label) in labels.iter().enumerate() {
                    out.push(if i > 0 { ", " } else { "" });
                    out.bind(Some(label.clone()));
                }
                Ok(())
            }),
            InTarget::Subquery(query) => {
                let written = self.query(query, at.inner(), Place::Inside)?;
                out.append(written.out);
                Ok(())
            }
            InTarget::Unnest(_) | InTarget::Table { .. } => {
                Err("IN takes values or a SELECT in brackets".to_owned())
            }
        }
    }

    fn like(
        &mut self,
        word: &str,
        negated: bool,
        [expr, pattern]: [&Expr; 2],
        escape: Option<&Expr>,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        let not = if negated { "NOT " } else { "" };
        self.between(expr, &format!(" {not}{word} "), pattern, at, out)?;
        let Some(escape) = escape else {
            return Ok(());
        };
        let text = match escape {
            Expr::Value(value) => text_of(&value.value),
            _ => None,
        };
        match text {
            Some(text) if text.chars().count() <= 1 => {
                out.push(" ESCAPE ");
                out.push(&literal(self.dialect, text)?);
                Ok(())
            }
            _ => Err("ESCAPE takes one character".to_owned()),
        }
    }

    fn quantified(
        &mut self,
        word: &str,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        let Some(op) = kinds::binary(op, self.dialect) else {
            return Err(format!(
                "the operator `{op}` is not allowed in {}",
                self.dialect.name()
            ));
        };
        self.within("", left, &format!(" {op} {word} "), at, out)?;
        // A query has its brackets already.
        if matches!(right, Expr::Subquery(_) | Expr::Nested(_)) {
            self.expr(right, at, out)
        } else {
            self.within("(", right, ")", at, out)
        }
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        out.push("CASE");
        if let Some(operand) = operand {
            self.within(" ", operand, "", at, out)?;
        }
        for CaseWhen { condition, result } in conditions {
            out.push(" WHEN ");
            self.between(condition, " THEN ", result, at, out)?;
        }
        if let Some(otherwise) = otherwise {
            self.within(" ELSE ", otherwise, "", at, out)?;
        }
        out.push(" END");
        Ok(())
    }

    /// A literal.
    pub(super) fn value(&self, value: &Value, out: &mut Out) -> Result<(), String> {
        match value {
            Value::Number(digits, false) if is_number(digits) => out.push(digits),
            Value::Boolean(true) => out.push("TRUE"),
            Value::Boolean(false) => out.push("FALSE"),
            Value::Null => out.push("NULL"),
            Value::DoubleQuotedString(_) if self.dialect != Dialect::Mysql => {
                return Err("texts are written in single quotes".to_owned());
            }
            other => match text_of(other) {
                Some(text) => out.push(&literal(self.dialect, text)?),
                None => {
                    return Err(
                        "a literal is a number, TRUE, FALSE, NULL or a text in single quotes"
                            .to_owned(),
                    );
                }
            },
        }
        Ok(())
    }
}

/// The text of a literal.
pub(super) fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::SingleQuotedString(text)
        | Value::DoubleQuotedString(text)
        | Value::EscapedStringLiteral(text) => Some(text.as_str()),
        _ => None,
    }
}

/// Whether digits are a number that all databases read alike.
fn is_number(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let all = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.is_none_or(|e| {
        let digits = e.strip_prefix(['+', '-']).unwrap_or(e);
        all(digits) && digits.len() <= 3
    });
    exponent
        && digits.len() <= 100
        && (all(whole) || all(part))
        && (whole.is_empty() || all(whole))
        && (part.is_empty() || all(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_all_databases_read_alike() {
        for (digits, good) in [
            ("1", true),
            ("1.5", true),
            (".5", true),
            ("1.", true),
            ("1e10", true),
            ("1.5E-3", true),
            ("1e9999", false),
            (".", false),
            ("1_000", false),
            ("0x10", false),
            ("1e", false),
            ("", false),
        ] {
            assert_eq!(is_number(digits), good, "{digits}");
        }
    }
}
