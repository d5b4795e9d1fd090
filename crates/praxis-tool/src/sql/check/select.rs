//! SELECT: its list, WHERE, GROUP BY, HAVING and windows, and the ORDER BY behind it, which knows of its relations.
//! Left out: FROM (`from`), and what queries are made of (`query`).

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, GroupByWithModifier, NamedWindowExpr, OrderBy, Select,
    SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};

use super::Writer;
use super::scope::{At, Env, Out, Scope, Written, fold, given};
use crate::sql::schema::Dialect;

/// Bytes of the name that an expression without one gets.
const LONGEST_LABEL: usize = 48;

impl Writer<'_> {
    /// A SELECT with the ORDER BY behind it.
    pub(super) fn select(
        &mut self,
        select: &Select,
        env: Env<'_>,
        top: bool,
        order: Option<&OrderBy>,
    ) -> Result<Written, String> {
        let Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers,
            top: mssql_top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        if into.is_some() {
            return Err("INTO writes; leave it out".to_owned());
        }
        if mssql_top.is_some() {
            return Err("TOP is not allowed; write LIMIT at the end".to_owned());
        }
        let odd = !optimizer_hints.is_empty()
            || select_modifiers.as_ref().is_some_and(|m| m.is_any_set())
            || exclude.is_some()
            || !lateral_views.is_empty()
            || prewhere.is_some()
            || !connect_by.is_empty()
            || !cluster_by.is_empty()
            || !distribute_by.is_empty()
            || !sort_by.is_empty()
            || qualify.is_some()
            || value_table_mode.is_some()
            || *flavor != SelectFlavor::Standard;
        if odd {
            return Err(
                "the SELECT has a part that is not allowed; write SELECT … FROM … WHERE … GROUP BY … HAVING … ORDER BY"
                    .to_owned(),
            );
        }
        let mut scope = Scope::within(env.outer);
        let mut tables = Out::default();
        self.from(from, env, selection.as_ref(), &mut scope, &mut tables)?;
        for window in named_window {
            scope.windows.push(given(self.dialect, &window.0)?);
        }

        let mut out = Out::default();
        out.push("SELECT ");
        self.distinct(distinct.as_ref(), &env.at(&scope), &mut out)?;
        let (columns, aliases) = self.projection(projection, &env.at(&scope), top, &mut out)?;
        if !from.is_empty() {
            out.push(" FROM ");
            out.append(tables);
        }
        if let Some(condition) = selection {
            // Only SQLite knows names of the select list here.
            if self.dialect == Dialect::Sqlite {
                scope.aliases.clone_from(&aliases);
            }
            out.push(" WHERE ");
            self.expr(condition, &env.at(&scope), &mut out)?;
        }
        scope.aliases.clone_from(&aliases);
        self.group_by(group_by, &env.at(&scope), &mut out)?;
        if let Some(condition) = having {
            if self.dialect == Dialect::Postgres {
                scope.aliases.clear();
            }
            out.push(" HAVING ");
            self.expr(condition, &env.at(&scope), &mut out)?;
        }
        scope.aliases.clear();
        for (i, window) in named_window.iter().enumerate() {
            out.push(if i > 0 { ", " } else { " WINDOW " });
            out.push(&format!(
                "{} AS (",
                self.quote(&given(self.dialect, &window.0)?)
            ));
            let NamedWindowExpr::WindowSpec(spec) = &window.1 else {
                return Err("a WINDOW is written in brackets".to_owned());
            };
            self.window(spec, &env.at(&scope), &mut out)?;
            out.push(")");
        }
        if let Some(order) = order {
            scope.aliases = aliases;
            self.order_by(order, &env.at(&scope), &mut out)?;
        }
        Ok(Written { out, columns })
    }

    fn distinct(
        &mut self,
        distinct: Option<&Distinct>,
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        match distinct {
            None | Some(Distinct::All) => {}
            Some(Distinct::Distinct) => out.push("DISTINCT "),
            Some(Distinct::On(exprs)) => {
                if self.dialect != Dialect::Postgres {
                    return Err(format!(
                        "{} has no DISTINCT ON; use GROUP BY or ROW_NUMBER()",
                        self.dialect.name()
                    ));
                }
                out.push("DISTINCT ON (");
                self.commas(exprs, out, |writer, expr, out| writer.expr(expr, at, out))?;
                out.push(") ");
            }
        }
        Ok(())
    }

    /// The select list: names of all columns, and the names that it gives.
    fn projection(
        &mut self,
        items: &[SelectItem],
        at: &At<'_>,
        top: bool,
        out: &mut Out,
    ) -> Result<(Vec<Option<String>>, Vec<String>), String> {
        if items.is_empty() {
            return Err("the select list is empty".to_owned());
        }
        let (mut columns, mut aliases) = (Vec::new(), Vec::new());
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push(", ");
            }
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    self.expr(expr, at, out)?;
                    let name = self.name_of(expr, at);
                    if top && !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                        out.push(&format!(" AS {}", self.quote(&label(expr))));
                    }
                    columns.push(name);
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.expr(expr, at, out)?;
                    let name = given(self.dialect, alias)?;
                    out.push(&format!(" AS {}", self.quote(&name)));
                    aliases.push(name.clone());
                    columns.push(Some(name));
                }
                SelectItem::Wildcard(options) => {
                    plain(options)?;
                    if at.scope.relations.is_empty() {
                        return Err("`*` stands without a table; write FROM".to_owned());
                    }
                    out.push("*");
                    columns.extend(all_columns(at.scope));
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    options,
                ) => {
                    plain(options)?;
                    let ident = name.0.last().and_then(|part| part.as_ident());
                    let wanted = ident
                        .map(|ident| fold(self.dialect, ident))
                        .unwrap_or_default();
                    let relation = at.scope.relation(&wanted).ok_or_else(|| {
                        format!("there is no `{wanted}` in FROM, of which `{wanted}.*` could be all columns")
                    })?;
                    out.push(&format!("{}.*", self.quote(&relation.name)));
                    columns.extend(relation.columns.iter().cloned());
                }
                SelectItem::QualifiedWildcard(..) | SelectItem::ExprWithAliases { .. } => {
                    return Err(
                        "the select list has a part that is not allowed; name columns one by one"
                            .to_owned(),
                    );
                }
            }
        }
        Ok((columns, aliases))
    }

    /// What an expression without a name is called by queries around it.
    fn name_of(&self, expr: &Expr, at: &At<'_>) -> Option<String> {
        match expr {
            Expr::Identifier(ident) => {
                let name = fold(self.dialect, ident);
                let known = at.scope.relations.iter().find_map(|r| r.column(&name));
                Some(known.map_or(name.clone(), str::to_owned))
            }
            Expr::CompoundIdentifier(parts) => {
                let name = fold(self.dialect, parts.last()?);
                let known = at.scope.relations.iter().find_map(|r| r.column(&name));
                Some(known.map_or(name.clone(), str::to_owned))
            }
            Expr::Function(function) if self.dialect == Dialect::Postgres => {
                let ident = function.name.0.last()?.as_ident()?;
                Some(ident.value.to_lowercase())
            }
            Expr::Nested(inner) => self.name_of(inner, at),
            Expr::Cast { expr, .. } if self.dialect == Dialect::Postgres => self.name_of(expr, at),
            _ => None,
        }
    }

    fn group_by(&mut self, group: &GroupByExpr, at: &At<'_>, out: &mut Out) -> Result<(), String> {
        let GroupByExpr::Expressions(exprs, modifiers) = group else {
            return Err("GROUP BY ALL is not allowed; name the columns".to_owned());
        };
        if exprs.is_empty() {
            return if modifiers.is_empty() {
                Ok(())
            } else {
                Err("GROUP BY names no column".to_owned())
            };
        }
        out.push(" GROUP BY ");
        self.commas(exprs, out, |writer, expr, out| match expr {
            Expr::Rollup(sets) => writer.grouping("ROLLUP", sets, at, out),
            Expr::Cube(sets) => writer.grouping("CUBE", sets, at, out),
            Expr::GroupingSets(sets) => writer.grouping("GROUPING SETS", sets, at, out),
            expr => writer.expr(expr, at, out),
        })?;
        for modifier in modifiers {
            match (modifier, self.dialect) {
                (GroupByWithModifier::Rollup, Dialect::Mysql) => out.push(" WITH ROLLUP"),
                _ => return Err("GROUP BY has a part that is not allowed".to_owned()),
            }
        }
        Ok(())
    }

    fn grouping(
        &mut self,
        word: &str,
        sets: &[Vec<Expr>],
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        if self.dialect != Dialect::Postgres {
            return Err(format!("{} has no {word}", self.dialect.name()));
        }
        out.push(word);
        out.push(" (");
        self.commas(sets, out, |writer, set, out| {
            out.push("(");
            writer.commas(set, out, |writer, expr, out| writer.expr(expr, at, out))?;
            out.push(")");
            Ok(())
        })?;
        out.push(")");
        Ok(())
    }
}

/// The columns of `*`: those that joins have merged once.
fn all_columns(scope: &Scope<'_>) -> Vec<Option<String>> {
    let mut columns: Vec<Option<String>> = scope.merged.iter().cloned().map(Some).collect();
    for relation in &scope.relations {
        let rest = relation.columns.iter().filter(|column| {
            column
                .as_ref()
                .is_none_or(|name| !scope.merged.contains(name))
        });
        columns.extend(rest.cloned());
    }
    columns
}

/// A `*` is nothing but that.
fn plain(options: &WildcardAdditionalOptions) -> Result<(), String> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike: None,
        opt_exclude: None,
        opt_except: None,
        opt_replace: None,
        opt_rename: None,
        opt_alias: None,
    } = options
    else {
        return Err("`*` stands alone; name the columns that are wanted".to_owned());
    };
    Ok(())
}

/// What a column is called that has no name: how it was written.
fn label(expr: &Expr) -> String {
    let written = expr.to_string();
    let keep = |c: char| {
        if c.is_control() || "\"'`[]\\".contains(c) {
            None
        } else {
            Some(c)
        }
    };
    let mut label = String::new();
    for c in written.chars().filter_map(keep) {
        if label.len() + c.len_utf8() > LONGEST_LABEL {
            break;
        }
        label.push(c);
    }
    let label = label.trim();
    if label.is_empty() {
        "value".to_owned()
    } else {
        label.to_owned()
    }
}
