//! Calls of functions, aggregates and windows. Left out: which functions there are (`functions`).

use sqlparser::ast::{
    BinaryOperator, DataType, DateTimeField, DuplicateTreatment, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgOperator, FunctionArgumentClause, FunctionArgumentList,
    FunctionArguments, Interval, ObjectName, UnaryOperator, Value, WindowFrame, WindowFrameBound,
    WindowFrameUnits, WindowSpec, WindowType,
};

use super::expr::text_of;
use super::functions::{self, MAX_LENGTH, MAX_SOUGHT};
use super::query::Place;
use super::scope::{At, Out, fold};
use super::{Writer, kinds};
use crate::sql::schema::{Dialect, find};

/// The most rows of a series.
const MAX_SERIES: i128 = 100_000;

/// Functions of MySQL whose first argument is a unit.
const UNIT_FIRST: [&str; 2] = ["timestampdiff", "timestampadd"];

/// An argument that is an expression.
pub(super) fn argument(argument: &FunctionArg) -> Option<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
        | FunctionArg::Named {
            arg: FunctionArgExpr::Expr(expr),
            ..
        } => Some(expr),
        _ => None,
    }
}

impl Writer<'_> {
    /// The name of a function, which is one word.
    pub(super) fn function_name(&self, name: &ObjectName) -> Result<String, String> {
        let parts: Option<Vec<&str>> = name
            .0
            .iter()
            .map(|part| part.as_ident().map(|ident| ident.value.as_str()))
            .collect();
        let function = match parts.as_deref() {
            Some([function]) => (*function).to_lowercase(),
            Some([schema, function])
                if self.dialect == Dialect::Postgres && *schema == "pg_catalog" =>
            {
                (*function).to_lowercase()
            }
            _ => {
                return Err(format!(
                    "the function `{name}` is not allowed; functions have plain names"
                ));
            }
        };
        Ok(function)
    }

    /// A call of a function.
    pub(super) fn function(
        &mut self,
        function: &Function,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        let Function {
            name,
            uses_odbc_syntax,
            parameters,
            args,
            within_group,
            filter,
            null_treatment,
            over,
        } = function;
        if *uses_odbc_syntax || *parameters != FunctionArguments::None || null_treatment.is_some() {
            return Err(format!(
                "the call of `{name}` has a part that is not allowed"
            ));
        }
        match args {
            FunctionArguments::None => return bare(name, out),
            FunctionArguments::Subquery(query) => {
                if self.dialect != Dialect::Postgres
                    || !name.to_string().eq_ignore_ascii_case("array")
                {
                    return Err(format!("`{name}` takes values, not a query"));
                }
                let written = self.query(query, at.inner(), Place::Inside)?;
                self.seen.functions.insert("array".to_owned());
                out.push("ARRAY(");
                out.append(written.out);
                out.push(")");
                return Ok(());
            }
            FunctionArguments::List(list) => {
                let called = self.function_name(name)?;
                functions::check(self.dialect, &called, self.rules.functions)?;
                self.seen.functions.insert(called.clone());
                out.push(&called);
                out.push("(");
                self.list(&called, list, at, out)?;
                out.push(")");
            }
        }
        if !within_group.is_empty() {
            out.push(" WITHIN GROUP (ORDER BY ");
            self.order(within_group, at, out)?;
            out.push(")");
        }
        if let Some(condition) = filter {
            if self.dialect == Dialect::Mysql {
                return Err("MySQL has no FILTER; write SUM(CASE WHEN … THEN … END)".to_owned());
            }
            out.push(" FILTER (WHERE ");
            self.expr(condition, at, out)?;
            out.push(")");
        }
        match over {
            None => {}
            Some(WindowType::NamedWindow(ident)) => {
                let name = self.window_name(&fold(self.dialect, ident), at)?;
                out.push(&format!(" OVER {name}"));
            }
            Some(WindowType::WindowSpec(spec)) => {
                out.push(" OVER (");
                self.window(spec, at, out)?;
                out.push(")");
            }
        }
        Ok(())
    }

    fn list(
        &mut self,
        function: &str,
        list: &FunctionArgumentList,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        let FunctionArgumentList {
            duplicate_treatment,
            args,
            clauses,
        } = list;
        match duplicate_treatment {
            None => {}
            Some(DuplicateTreatment::Distinct) => out.push("DISTINCT "),
            Some(DuplicateTreatment::All) => out.push("ALL "),
        }
        self.arguments(function, args, at, out)?;
        for clause in clauses {
            match clause {
                FunctionArgumentClause::OrderBy(exprs) => {
                    out.push(" ORDER BY ");
                    self.order(exprs, at, out)?;
                }
                FunctionArgumentClause::Separator(text) if self.dialect == Dialect::Mysql => {
                    out.push(" SEPARATOR ");
                    self.value(&text.value, out)?;
                }
                _ => {
                    return Err(format!(
                        "the call of `{function}` has a part that is not allowed"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The arguments of a function, with bounds on what they make.
    pub(super) fn arguments(
        &mut self,
        function: &str,
        args: &[FunctionArg],
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        if let Some(place) = functions::length(function) {
            let length = args.get(place).and_then(argument).and_then(integer);
            if length.is_none_or(|n| n > i128::from(MAX_LENGTH)) {
                return Err(format!(
                    "the length that `{function}` makes has to be a number up to {MAX_LENGTH}"
                ));
            }
        }
        if function == "generate_series" {
            series(args)?;
        }
        if functions::formats(self.dialect, function) {
            let format = args.first().and_then(argument).and_then(text);
            if !format.is_some_and(functions::is_narrow) {
                return Err(format!(
                    "the format of `{function}` has to be a text in quotes, without `*` and without large widths"
                ));
            }
        }
        let sought = functions::sought(self.dialect, function);
        let mut place = 0;
        let unit_first = self.dialect == Dialect::Mysql && UNIT_FIRST.contains(&function);
        let mut first = true;
        self.commas(args, out, |writer, arg, out| {
            let is_first = std::mem::replace(&mut first, false);
            let is_sought = sought == Some(place);
            place += 1;
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) if is_sought => {
                    writer.sought(expr, at, out)
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(ident)))
                    if unit_first && is_first =>
                {
                    let unit = kinds::unit(&ident.value)
                        .ok_or_else(|| format!("`{}` is no unit of time", ident.value))?;
                    out.push(&unit);
                    Ok(())
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => writer.expr(expr, at, out),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if function == "count" => {
                    out.push("*");
                    Ok(())
                }
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(expr),
                    operator: FunctionArgOperator::RightArrow,
                } if writer.dialect == Dialect::Postgres => {
                    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
                    if !name.value.chars().all(plain) {
                        return Err(format!("`{}` is no name of an argument", name.value));
                    }
                    out.push(&format!("{} => ", name.value));
                    writer.expr(expr, at, out)
                }
                _ => Err(format!("`{function}` takes values, separated by commas")),
            }
        })
    }

    /// What SQLite looks for at each place of a text: what is not written out is cut, so that one call cannot take
    /// for ever.
    pub(super) fn sought(&mut self, expr: &Expr, at: &At<'_>, out: &mut Out) -> Result<(), String> {
        if text(expr).is_some_and(|text| text.chars().count() <= MAX_SOUGHT) {
            return self.expr(expr, at, out);
        }
        self.seen.functions.insert("substr".to_owned());
        self.within("substr(", expr, &format!(", 1, {MAX_SOUGHT})"), at, out)
    }

    fn window_name(&self, name: &str, at: &At<'_>) -> Result<String, String> {
        let known = find(name, at.scope.windows.iter().map(String::as_str));
        let known = known.ok_or_else(|| format!("there is no WINDOW `{name}`"))?;
        Ok(self.quote(known))
    }

    /// What is between the brackets of a window.
    pub(super) fn window(
        &mut self,
        spec: &WindowSpec,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        let WindowSpec {
            window_name,
            partition_by,
            order_by,
            window_frame,
        } = spec;
        let mut space = "";
        if let Some(ident) = window_name {
            let name = self.window_name(&fold(self.dialect, ident), at)?;
            out.push(&name);
            space = " ";
        }
        if !partition_by.is_empty() {
            out.push(&format!("{space}PARTITION BY "));
            self.commas(partition_by, out, |writer, expr, out| {
                writer.expr(expr, at, out)
            })?;
            space = " ";
        }
        if !order_by.is_empty() {
            out.push(&format!("{space}ORDER BY "));
            self.order(order_by, at, out)?;
            space = " ";
        }
        if let Some(frame) = window_frame {
            out.push(space);
            self.frame(frame, at, out)?;
        }
        Ok(())
    }

    fn frame(&mut self, frame: &WindowFrame, at: &At<'_>, out: &mut Out) -> Result<(), String> {
        let WindowFrame {
            units,
            start_bound,
            end_bound,
        } = frame;
        out.push(match units {
            WindowFrameUnits::Rows => "ROWS ",
            WindowFrameUnits::Range => "RANGE ",
            WindowFrameUnits::Groups => "GROUPS ",
        });
        let Some(end) = end_bound else {
            return self.bound(start_bound, at, out);
        };
        out.push("BETWEEN ");
        self.bound(start_bound, at, out)?;
        out.push(" AND ");
        self.bound(end, at, out)
    }

    fn bound(
        &mut self,
        bound: &WindowFrameBound,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        let (distance, word) = match bound {
            WindowFrameBound::CurrentRow => {
                out.push("CURRENT ROW");
                return Ok(());
            }
            WindowFrameBound::Preceding(distance) => (distance, " PRECEDING"),
            WindowFrameBound::Following(distance) => (distance, " FOLLOWING"),
        };
        match distance {
            None => out.push("UNBOUNDED"),
            Some(distance) => self.expr(distance, at, out)?,
        }
        out.push(word);
        Ok(())
    }
}

/// What is called without brackets, such as CURRENT_DATE.
fn bare(name: &ObjectName, out: &mut Out) -> Result<(), String> {
    let lower = name.to_string().to_lowercase();
    if functions::is_bare(&lower) {
        out.push(&lower.to_uppercase());
        return Ok(());
    }
    Err(format!("`{name}` is not allowed"))
}

/// A text that is written as one.
fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => text_of(&value.value),
        Expr::Nested(inner) => text(inner),
        _ => None,
    }
}

/// A whole number that is written as one.
fn integer(expr: &Expr) -> Option<i128> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, false) => digits.parse::<i64>().ok().map(i128::from),
            _ => None,
        },
        Expr::Nested(inner) => integer(inner),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => integer(expr).map(|n| -n),
        _ => None,
    }
}

/// Whether a series has an end that can be told: numbers, or steps of an hour and more.
fn series(args: &[FunctionArg]) -> Result<(), String> {
    let wrong = || {
        format!(
            "generate_series takes numbers that make at most {MAX_SERIES} rows, or dates with a step of an hour or more"
        )
    };
    let exprs: Vec<&Expr> = args.iter().filter_map(argument).collect();
    let numbers: Vec<Option<i128>> = exprs.iter().map(|expr| integer(expr)).collect();
    match numbers.as_slice() {
        [Some(from), Some(to)] if to - from < MAX_SERIES => Ok(()),
        [Some(from), Some(to), Some(step)] if *step != 0 && (to - from) / step < MAX_SERIES => {
            Ok(())
        }
        [None, None, None] | [None, None, None, None] => {
            let step = exprs.get(2).copied().and_then(hours).ok_or_else(wrong)?;
            if step { Ok(()) } else { Err(wrong()) }
        }
        _ => Err(wrong()),
    }
}

/// Whether an interval is written out and is an hour or more.
fn hours(expr: &Expr) -> Option<bool> {
    match expr {
        Expr::Interval(Interval {
            value,
            leading_field,
            ..
        }) => {
            let text = match &**value {
                Expr::Value(value) => text_of(&value.value)?.to_owned(),
                _ => return None,
            };
            let field = leading_field
                .as_ref()
                .map(DateTimeField::to_string)
                .unwrap_or_default();
            Some(is_long(&format!("{text} {field}")))
        }
        Expr::Value(value) => text_of(&value.value).map(is_long),
        Expr::Cast {
            expr,
            data_type: DataType::Interval { .. },
            ..
        } => hours(expr),
        Expr::Nested(inner) => hours(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Multiply,
            right,
        } => match (integer(left), integer(right)) {
            (Some(n), None) if n >= 1 => hours(right),
            (None, Some(n)) if n >= 1 => hours(left),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a text is a whole number of hours, days, weeks, months or years, not 0.
fn is_long(text: &str) -> bool {
    const UNITS: [&str; 7] = ["hour", "day", "week", "month", "mon", "quarter", "year"];
    let lower = text.trim().to_lowercase();
    let lower = lower.strip_prefix(['-', '+']).unwrap_or(&lower);
    let Some((number, unit)) = lower.split_once(' ') else {
        return false;
    };
    let unit = unit.trim();
    let unit = unit.strip_suffix('s').unwrap_or(unit);
    let number: Option<u32> = number.parse().ok();
    number.is_some_and(|n| n >= 1) && UNITS.contains(&unit)
}
