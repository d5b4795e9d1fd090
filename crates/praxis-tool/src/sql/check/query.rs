//! Queries: WITH, VALUES, UNION and their kin, ORDER BY and LIMIT. Left out: SELECT (`select`), FROM (`from`),
//! expressions (`expr`).

use sqlparser::ast::{
    Cte, CteAsMaterialized, Expr, Fetch, LimitClause, Offset, OrderBy, OrderByExpr, OrderByKind,
    OrderByOptions, OrderBySort, Query, SetExpr, SetOperator, SetQuantifier, TableAliasColumnDef,
    UnaryOperator, Value, Values, With,
};

use super::Writer;
use super::scope::{At, Ctes, Env, Named, Out, Relation, Scope, Written, given};
use crate::sql::schema::Dialect;

/// Rows that a recursive query of SQLite may make.
const MAX_RECURSION: u64 = 100_000;

/// Where a query stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the whole.
    Top,
    /// It is a part of another one.
    Inside,
    /// It may name itself.
    Recursive,
}

impl Writer<'_> {
    /// A query with its WITH, ORDER BY and LIMIT.
    pub(super) fn query(
        &mut self,
        query: &Query,
        env: Env<'_>,
        place: Place,
    ) -> Result<Written, String> {
        self.deeper(|writer| writer.whole(query, env, place))
    }

    fn whole(&mut self, query: &Query, env: Env<'_>, place: Place) -> Result<Written, String> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if !locks.is_empty() {
            return Err("FOR UPDATE and FOR SHARE lock rows; leave them out".to_owned());
        }
        if for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty()
        {
            return Err(
                "FOR, SETTINGS, FORMAT and |> are not allowed; write a plain SELECT".to_owned(),
            );
        }
        let mut out = Out::default();
        let mut ctes = Ctes {
            names: Vec::new(),
            parent: env.ctes,
        };
        if let Some(with) = with {
            self.with(with, env, &mut ctes, &mut out)?;
        }
        let env = Env {
            ctes: Some(&ctes),
            ..env
        };
        let (limit, offset) = limits(limit_clause.as_ref(), fetch.as_ref())?;
        let bare = order_by.is_none() && limit.is_none() && offset.is_none();
        // A query in brackets alone is that query, with the limit that it gets.
        let inner = match &**body {
            SetExpr::Query(inner) if bare && with.is_none() => Some(inner),
            _ => None,
        };
        let written = match (&**body, inner) {
            (_, Some(inner)) => self.query(inner, env, place)?,
            (SetExpr::Select(select), _) => {
                self.select(select, env, place == Place::Top, order_by.as_ref())?
            }
            (other, _) => self.set(
                other,
                env,
                place,
                order_by.as_ref(),
                bare && place != Place::Top,
            )?,
        };
        out.append(written.out);
        if inner.is_none() {
            let limit = match place {
                Place::Top => Some(
                    limit
                        .unwrap_or(u64::MAX)
                        .min(self.rules.rows.saturating_add(1)),
                ),
                Place::Recursive if self.dialect == Dialect::Sqlite => {
                    Some(limit.unwrap_or(u64::MAX).min(MAX_RECURSION))
                }
                _ => limit,
            };
            self.limit(limit, offset, &mut out);
        }
        Ok(Written {
            out,
            columns: written.columns,
        })
    }

    fn limit(&self, limit: Option<u64>, offset: Option<u64>, out: &mut Out) {
        match (limit, offset, self.dialect) {
            (Some(limit), _, _) => out.push(&format!(" LIMIT {limit}")),
            (None, Some(_), Dialect::Sqlite) => out.push(" LIMIT -1"),
            (None, Some(_), Dialect::Mysql) => out.push(" LIMIT 18446744073709551615"),
            _ => {}
        }
        if let Some(offset) = offset {
            out.push(&format!(" OFFSET {offset}"));
        }
    }

    fn with(
        &mut self,
        with: &With,
        env: Env<'_>,
        ctes: &mut Ctes<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        let With {
            with_token: _,
            recursive,
            cte_tables,
        } = with;
        out.push(if *recursive {
            "WITH RECURSIVE "
        } else {
            "WITH "
        });
        for (i, cte) in cte_tables.iter().enumerate() {
            if i > 0 {
                out.push(", ");
            }
            let named = self.cte(cte, *recursive, env, ctes, out)?;
            if let Some(named) = named {
                ctes.names.push(named);
            }
        }
        out.push(" ");
        Ok(())
    }

    /// One common table expression; what it is called, unless that is known already because it names itself.
    fn cte(
        &mut self,
        cte: &Cte,
        recursive: bool,
        env: Env<'_>,
        ctes: &mut Ctes<'_>,
        out: &mut Out,
    ) -> Result<Option<Named>, String> {
        let Cte {
            alias,
            query,
            from,
            materialized,
            closing_paren_token: _,
        } = cte;
        if from.is_some() || alias.at.is_some() {
            return Err("a WITH query has a name and a SELECT, and nothing else".to_owned());
        }
        let name = given(self.dialect, &alias.name)?;
        if ctes
            .names
            .iter()
            .any(|n| n.name.eq_ignore_ascii_case(&name))
        {
            return Err(format!("there are two WITH queries called `{name}`"));
        }
        let columns = self.column_names(&alias.columns)?;
        self.seen.relations.insert(self.quote(&name));
        let mut itself = false;
        if recursive && let Some(first) = anchor(query) {
            // Its columns are those of what it begins with.
            let begin = self.anchor_columns(first, env, ctes)?;
            ctes.names.push(Named {
                name: name.clone(),
                columns: renamed(begin, &columns),
            });
            itself = true;
        }
        let inner = Env {
            ctes: Some(&*ctes),
            ..env
        };
        let place = if itself {
            Place::Recursive
        } else {
            Place::Inside
        };
        let written = self.query(query, inner, place)?;
        out.push(&self.quote(&name));
        if !columns.is_empty() {
            let names: Vec<String> = columns.iter().map(|c| self.quote(c)).collect();
            out.push(&format!(" ({})", names.join(", ")));
        }
        out.push(match (materialized, self.dialect) {
            (Some(CteAsMaterialized::Materialized), Dialect::Postgres | Dialect::Sqlite) => {
                " AS MATERIALIZED ("
            }
            (Some(CteAsMaterialized::NotMaterialized), Dialect::Postgres | Dialect::Sqlite) => {
                " AS NOT MATERIALIZED ("
            }
            _ => " AS (",
        });
        out.append(written.out);
        out.push(")");
        let found = Named {
            name,
            columns: renamed(written.columns, &columns),
        };
        Ok((!itself).then_some(found))
    }

    /// Columns of what a recursive query begins with. What is written on the way is thrown away.
    fn anchor_columns(
        &mut self,
        first: &SetExpr,
        env: Env<'_>,
        ctes: &Ctes<'_>,
    ) -> Result<Vec<Option<String>>, String> {
        let inner = Env {
            ctes: Some(ctes),
            ..env
        };
        let written = match first {
            SetExpr::Select(select) => self.select(select, inner, false, None)?,
            other => self.set(other, inner, Place::Inside, None, false)?,
        };
        Ok(written.columns)
    }

    pub(super) fn column_names(
        &self,
        columns: &[TableAliasColumnDef],
    ) -> Result<Vec<String>, String> {
        columns
            .iter()
            .map(|column| match column.data_type {
                Some(_) => Err("columns of an alias have no types here; leave them out".to_owned()),
                None => given(self.dialect, &column.name),
            })
            .collect()
    }

    /// Anything but a SELECT alone, with its ORDER BY. `plain`: nothing comes behind it.
    fn set(
        &mut self,
        body: &SetExpr,
        env: Env<'_>,
        place: Place,
        order: Option<&OrderBy>,
        plain: bool,
    ) -> Result<Written, String> {
        let mut written = self.operand(body, env, place == Place::Top)?;
        if matches!(body, SetExpr::Values(_)) && !plain && self.dialect != Dialect::Postgres {
            // SQLite has no LIMIT behind VALUES.
            let name = self.fresh();
            let mut out = Out::default();
            out.push("SELECT * FROM (");
            out.append(written.out);
            out.push(&format!(") AS {}", self.quote(&name)));
            written.out = out;
        }
        if let Some(order) = order {
            let mut scope = Scope::within(env.outer);
            scope.relations.push(Relation {
                name: String::new(),
                columns: written.columns.clone(),
                scalar: false,
            });
            self.order_by(order, &env.at(&scope), &mut written.out)?;
        }
        Ok(written)
    }

    /// A side of UNION, or what stands alone.
    fn operand(&mut self, body: &SetExpr, env: Env<'_>, top: bool) -> Result<Written, String> {
        self.deeper(|writer| match body {
            SetExpr::Select(select) => writer.select(select, env, top, None),
            SetExpr::Query(query) => {
                let inner = writer.query(query, env, Place::Inside)?;
                let mut out = Out::default();
                if writer.dialect == Dialect::Sqlite {
                    let name = writer.fresh();
                    out.push("SELECT * FROM (");
                    out.append(inner.out);
                    out.push(&format!(") AS {}", writer.quote(&name)));
                } else {
                    out.push("(");
                    out.append(inner.out);
                    out.push(")");
                }
                Ok(Written {
                    out,
                    columns: inner.columns,
                })
            }
            SetExpr::Values(values) => writer.values(values, env),
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => {
                let mut written = writer.operand(left, env, top)?;
                let right = writer.operand(right, env, false)?;
                written.out.push(match op {
                    SetOperator::Union => " UNION ",
                    SetOperator::Except => " EXCEPT ",
                    SetOperator::Intersect => " INTERSECT ",
                    SetOperator::Minus => return Err("MINUS is not allowed; write EXCEPT".to_owned()),
                });
                match set_quantifier {
                    SetQuantifier::None => {}
                    SetQuantifier::All => written.out.push("ALL "),
                    SetQuantifier::Distinct if writer.dialect == Dialect::Sqlite => {}
                    SetQuantifier::Distinct => written.out.push("DISTINCT "),
                    SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName => {
                        return Err("BY NAME is not allowed; name the columns in one order".to_owned());
                    }
                }
                written.out.append(right.out);
                Ok(written)
            }
            SetExpr::Table(_) => Err("TABLE is not allowed; write SELECT * FROM".to_owned()),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err("INSERT, UPDATE, DELETE and MERGE are not allowed, not in WITH either; only queries are".to_owned())
            }
        })
    }

    fn values(&mut self, values: &Values, env: Env<'_>) -> Result<Written, String> {
        let Values {
            explicit_row,
            value_keyword,
            rows,
        } = values;
        if *value_keyword || rows.is_empty() || rows.iter().any(|row| row.content.is_empty()) {
            return Err("write VALUES (…), (…)".to_owned());
        }
        let scope = Scope::within(env.outer);
        let at = env.at(&scope);
        let mut out = Out::default();
        out.push("VALUES ");
        // MySQL wants the word, MariaDB does not know it.
        let begin = if *explicit_row { "ROW(" } else { "(" };
        for (i, row) in rows.iter().enumerate() {
            out.push(if i > 0 { ", " } else { "" });
            out.push(begin);
            self.commas(&row.content, &mut out, |writer, value, out| {
                writer.expr(value, &at, out)
            })?;
            out.push(")");
        }
        let width = rows.first().map_or(0, |row| row.content.len());
        let name = |i: usize| match self.dialect {
            Dialect::Mysql => format!("column_{i}"),
            _ => format!("column{}", i + 1),
        };
        Ok(Written {
            out,
            columns: (0..width).map(|i| Some(name(i))).collect(),
        })
    }

    pub(super) fn order_by(
        &mut self,
        order: &OrderBy,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        let OrderBy { kind, interpolate } = order;
        let (OrderByKind::Expressions(exprs), None) = (kind, interpolate) else {
            return Err(
                "ORDER BY ALL and INTERPOLATE are not allowed; name the columns".to_owned(),
            );
        };
        out.push(" ORDER BY ");
        self.order(exprs, at, out)
    }

    /// What something is ordered by.
    pub(super) fn order(
        &mut self,
        exprs: &[OrderByExpr],
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        self.commas(exprs, out, |writer, item, out| {
            let OrderByExpr {
                expr,
                options,
                with_fill,
            } = item;
            if with_fill.is_some() {
                return Err("WITH FILL is not allowed".to_owned());
            }
            let OrderByOptions { sort, nulls_first } = options;
            writer.expr(expr, at, out)?;
            match sort {
                None => {}
                Some(OrderBySort::Asc) => out.push(" ASC"),
                Some(OrderBySort::Desc) => out.push(" DESC"),
                Some(OrderBySort::Using(_)) => {
                    return Err("ORDER BY … USING is not allowed; write ASC or DESC".to_owned());
                }
            }
            match nulls_first {
                None => {}
                Some(_) if writer.dialect == Dialect::Mysql => {
                    return Err(
                        "MySQL has no NULLS FIRST; order by `x IS NULL` before `x`".to_owned()
                    );
                }
                Some(true) => out.push(" NULLS FIRST"),
                Some(false) => out.push(" NULLS LAST"),
            }
            Ok(())
        })
    }
}

/// What a query that may name itself begins with: the left side of its UNION.
fn anchor(query: &Query) -> Option<&SetExpr> {
    let mut body = match &*query.body {
        SetExpr::SetOperation { left, .. } => &**left,
        _ => return None,
    };
    while let SetExpr::SetOperation { left, .. } = body {
        body = left;
    }
    Some(body)
}

/// Columns with the names that an alias gives them.
pub(super) fn renamed(mut columns: Vec<Option<String>>, names: &[String]) -> Vec<Option<String>> {
    for (i, name) in names.iter().enumerate() {
        match columns.get_mut(i) {
            Some(column) => *column = Some(name.clone()),
            None => columns.push(Some(name.clone())),
        }
    }
    columns
}

/// LIMIT and OFFSET as numbers.
fn limits(
    clause: Option<&LimitClause>,
    fetch: Option<&Fetch>,
) -> Result<(Option<u64>, Option<u64>), String> {
    let (limit, offset) = match clause {
        None => (None, None),
        Some(LimitClause::LimitOffset {
            limit,
            offset,
            limit_by,
        }) => {
            if !limit_by.is_empty() {
                return Err("LIMIT … BY is not allowed; use ROW_NUMBER()".to_owned());
            }
            let offset = offset.as_ref().map(|Offset { value, rows: _ }| value);
            (limit.as_ref(), offset)
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
    };
    let limit = limit.map(number).transpose()?;
    let offset = offset.map(number).transpose()?;
    let Some(Fetch {
        with_ties,
        percent,
        quantity,
    }) = fetch
    else {
        return Ok((limit, offset));
    };
    if *with_ties || *percent || limit.is_some() {
        return Err("FETCH takes a number of rows and nothing else; write LIMIT".to_owned());
    }
    let rows = quantity.as_ref().map_or(Ok(1), number)?;
    Ok((Some(rows), offset))
}

/// A number of rows.
fn number(expr: &Expr) -> Result<u64, String> {
    let wrong = || "LIMIT and OFFSET take a number, such as LIMIT 10".to_owned();
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, false) => digits.parse().map_err(|_| wrong()),
            _ => Err(wrong()),
        },
        Expr::Nested(inner) => number(inner),
        Expr::UnaryOp {
            op: UnaryOperator::Plus,
            expr,
        } => number(expr),
        _ => Err(wrong()),
    }
}
