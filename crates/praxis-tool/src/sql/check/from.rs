//! FROM: tables with what the caller may see in their place, subqueries, functions and joins. Left out: what conditions
//! say (`expr`).

use std::ops::ControlFlow;

use praxis_core::suggest::nearest;
use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, Ident, Join, JoinConstraint, JoinOperator, ObjectName,
    TableAlias, TableFactor, TableFunctionArgs, TableWithJoins, visit_expressions,
};

use super::query::{Place, renamed};
use super::scope::{At, Env, Out, Relation, Scope, fold, given, placed, split};
use super::{Writer, functions};
use crate::sql::access::Sight;
use crate::sql::schema::{Dialect, Schema, Table};

/// Names that are told where one is not known.
const TOLD: usize = 30;

/// What names of tables and schemas of the database's own catalogue begin with.
const CATALOGUES: [&str; 6] = [
    "pg_",
    "information_schema",
    "sqlite_",
    "performance_schema",
    "pragma_",
    "dbstat",
];

/// Schemas of MySQL's own.
const OWN_SCHEMAS: [&str; 2] = ["mysql", "sys"];

/// A FROM clause in the making.
pub(super) struct Clause<'f, 's> {
    env: Env<'s>,
    scope: &'f mut Scope<'s>,
    links: &'f mut Links,
    out: &'f mut Out,
}

impl Writer<'_> {
    /// Writes FROM and notes what it names. `condition` is that of WHERE, which may join what FROM only lists.
    pub(super) fn from<'s>(
        &mut self,
        items: &[TableWithJoins],
        env: Env<'s>,
        condition: Option<&Expr>,
        scope: &mut Scope<'s>,
        out: &mut Out,
    ) -> Result<(), String> {
        let mut links = Links::default();
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push(", ");
            }
            let mut clause = Clause {
                env,
                scope: &mut *scope,
                links: &mut links,
                out: &mut *out,
            };
            self.joined(item, &mut clause)?;
        }
        if let Some(condition) = condition {
            links.connect(condition, scope, self.dialect);
        }
        if let Some((one, other)) = links.apart() {
            let name = |i: usize| scope.relations.get(i).map_or("", |r| r.name.as_str());
            let note = format!(
                "no condition joins `{}` and `{}`: every row of the one meets every row of the other",
                name(one),
                name(other)
            );
            self.note(note);
        }
        Ok(())
    }

    fn joined(&mut self, item: &TableWithJoins, clause: &mut Clause<'_, '_>) -> Result<(), String> {
        let TableWithJoins { relation, joins } = item;
        let first = clause.scope.relations.len();
        self.factor(relation, clause)?;
        for join in joins {
            self.join(join, first, clause)?;
        }
        Ok(())
    }

    fn join(
        &mut self,
        join: &Join,
        first: usize,
        clause: &mut Clause<'_, '_>,
    ) -> Result<(), String> {
        let Join {
            relation,
            global,
            join_operator,
        } = join;
        let (word, constraint) = match join_operator {
            JoinOperator::Join(constraint) => ("JOIN", constraint),
            JoinOperator::Inner(constraint) => ("INNER JOIN", constraint),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                ("LEFT JOIN", constraint)
            }
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                ("RIGHT JOIN", constraint)
            }
            JoinOperator::FullOuter(constraint) => ("FULL JOIN", constraint),
            JoinOperator::CrossJoin(constraint) => ("CROSS JOIN", constraint),
            _ => {
                return Err(
                    "this kind of join is not allowed; write JOIN, LEFT JOIN or CROSS JOIN"
                        .to_owned(),
                );
            }
        };
        if *global {
            return Err("GLOBAL is not allowed; leave it out".to_owned());
        }
        let natural = if matches!(constraint, JoinConstraint::Natural) {
            "NATURAL "
        } else {
            ""
        };
        clause.out.push(&format!(" {natural}{word} "));
        let start = clause.scope.relations.len();
        self.factor(relation, clause)?;
        match constraint {
            JoinConstraint::None => {
                if word == "CROSS JOIN" {
                    clause.links.join(first, start);
                }
            }
            JoinConstraint::On(condition) => {
                clause.out.push(" ON ");
                self.expr(condition, &clause.env.at(clause.scope), clause.out)?;
                clause.links.connect(condition, clause.scope, self.dialect);
            }
            JoinConstraint::Using(names) => {
                let mut written = Vec::new();
                for name in names {
                    let name = self.shared(name, first, start, clause.scope)?;
                    written.push(self.quote(&name));
                    clause.scope.merged.push(name);
                }
                clause.out.push(&format!(" USING ({})", written.join(", ")));
                clause.links.join(first, start);
            }
            JoinConstraint::Natural => {
                let common = common(first, start, clause.scope);
                if !common.is_empty() {
                    clause.links.join(first, start);
                }
                clause.scope.merged.extend(common);
            }
            JoinConstraint::UsingAlias(..) => {
                return Err("USING (…) AS is not allowed; leave the name out".to_owned());
            }
        }
        Ok(())
    }

    /// A column of USING, which both sides have to have.
    fn shared(
        &self,
        name: &ObjectName,
        first: usize,
        start: usize,
        scope: &Scope<'_>,
    ) -> Result<String, String> {
        let [part] = name.0.as_slice() else {
            return Err("USING takes names of columns alone".to_owned());
        };
        let ident = part
            .as_ident()
            .ok_or("USING takes names of columns alone")?;
        let wanted = fold(self.dialect, ident);
        let (left, right) = sides(first, start, scope);
        let found = right.iter().find_map(|r| r.column(&wanted));
        match found {
            Some(found) if left.iter().any(|r| r.column(&wanted).is_some()) => Ok(found.to_owned()),
            _ => Err(format!(
                "USING names `{wanted}`, which is no column of both sides; write ON"
            )),
        }
    }

    /// One thing that FROM names.
    fn factor(&mut self, factor: &TableFactor, clause: &mut Clause<'_, '_>) -> Result<(), String> {
        self.deeper(|writer| match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_directives,
                inheritance,
            } => {
                let odd = !with_hints.is_empty()
                    || version.is_some()
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || sample.is_some()
                    || !index_directives.is_empty()
                    || inheritance.is_some();
                if odd {
                    return Err("a table is only named: no hints, samples or partitions".to_owned());
                }
                match args {
                    Some(TableFunctionArgs {
                        args,
                        settings: None,
                    }) => {
                        writer.table_function(name, args, *with_ordinality, alias.as_ref(), clause)
                    }
                    Some(_) => Err("SETTINGS are not allowed".to_owned()),
                    None if *with_ordinality => {
                        Err("only a function has WITH ORDINALITY".to_owned())
                    }
                    None => writer.named(name, alias.as_ref(), clause),
                }
            }
            TableFactor::Function {
                lateral: _,
                name,
                args,
                with_ordinality,
                alias,
            } => writer.table_function(name, args, *with_ordinality, alias.as_ref(), clause),
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality,
            } if writer.dialect == Dialect::Postgres => {
                let mut text = Out::default();
                text.push("unnest(");
                let at = clause.env.at(clause.scope);
                writer.commas(array_exprs, &mut text, |writer, expr, out| {
                    writer.expr(expr, &at, out)
                })?;
                text.push(")");
                let mentioned = array_exprs.iter().collect();
                writer.function_relation(
                    "unnest",
                    &[],
                    text,
                    *with_ordinality,
                    alias.as_ref(),
                    mentioned,
                    clause,
                )
            }
            TableFactor::Derived {
                lateral,
                subquery,
                alias,
                sample: None,
            } => {
                let outer = if *lateral {
                    Some(&*clause.scope)
                } else {
                    clause.env.outer
                };
                let env = Env {
                    outer,
                    ..clause.env
                };
                let written = writer.query(subquery, env, Place::Inside)?;
                clause.out.push(if *lateral { "LATERAL (" } else { "(" });
                clause.out.append(written.out);
                clause.out.push(")");
                let name = match alias {
                    Some(alias) => given(writer.dialect, &alias.name)?,
                    None => writer.fresh(),
                };
                let relation = Relation {
                    name,
                    columns: written.columns,
                    scalar: false,
                };
                writer.alias(relation, alias.as_ref(), clause)
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => {
                clause.out.push("(");
                writer.joined(table_with_joins, clause)?;
                clause.out.push(")");
                Ok(())
            }
            _ => Err("FROM takes tables, subqueries in brackets, and joins".to_owned()),
        })
    }

    /// Writes a relation's name behind it and lets the query know it.
    fn alias(
        &mut self,
        relation: Relation,
        alias: Option<&TableAlias>,
        clause: &mut Clause<'_, '_>,
    ) -> Result<(), String> {
        let names = match alias {
            Some(TableAlias {
                explicit: _,
                name: _,
                columns,
                at: None,
            }) => self.column_names(columns)?,
            Some(_) => {
                return Err("an alias is a name, with names of columns in brackets".to_owned());
            }
            None => Vec::new(),
        };
        let taken = |r: &Relation| r.name.eq_ignore_ascii_case(&relation.name);
        if clause.scope.relations.iter().any(taken) {
            return Err(format!(
                "FROM has two relations called `{}`; give one of them an alias",
                relation.name
            ));
        }
        clause
            .out
            .push(&format!(" AS {}", self.quote(&relation.name)));
        if !names.is_empty() {
            let written: Vec<String> = names.iter().map(|name| self.quote(name)).collect();
            clause.out.push(&format!(" ({})", written.join(", ")));
        }
        clause.links.add();
        clause.scope.relations.push(Relation {
            columns: renamed(relation.columns, &names),
            ..relation
        });
        Ok(())
    }

    /// A table, or a query of WITH.
    fn named(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        clause: &mut Clause<'_, '_>,
    ) -> Result<(), String> {
        let idents: Option<Vec<&Ident>> = name.0.iter().map(|part| part.as_ident()).collect();
        let idents = idents.ok_or("a table has a plain name")?;
        let parts: Vec<String> = idents
            .iter()
            .map(|ident| fold(self.dialect, ident))
            .collect();
        let called = match alias {
            Some(alias) => Some(given(self.dialect, &alias.name)?),
            None => None,
        };
        if let [one] = parts.as_slice()
            && let Some(cte) = clause.env.ctes.and_then(|ctes| ctes.get(one))
        {
            clause.out.push(&self.quote(&cte.name));
            let relation = Relation {
                name: called.unwrap_or_else(|| cte.name.clone()),
                columns: cte.columns.clone(),
                scalar: false,
            };
            return self.alias(relation, alias, clause);
        }
        let rules = self.rules;
        let schema: &Schema = if clause.env.own {
            rules.access.full.as_ref()
        } else {
            rules.schema
        };
        let table = self.table(&parts, schema)?;
        let base = self.base_name(&table.name);
        let mut columns: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
        if clause.env.own {
            let place = self.placed(&table.name);
            clause.out.push(&place);
        } else {
            let sight = rules
                .access
                .sight(&table.name)
                .ok_or_else(|| unknown(&parts, schema))?;
            if let Some(seen) = &sight.columns {
                columns.retain(|column| seen.contains(column));
            }
            self.tables.insert(table.name.clone());
            self.seen_part(table, &base, &columns, sight, clause.out)?;
        }
        let relation = Relation {
            name: called.unwrap_or(base),
            columns: columns.into_iter().map(Some).collect(),
            scalar: false,
        };
        self.alias(relation, alias, clause)
    }

    /// What a caller may see of a table, in its place: the table, or a query for its columns and rows.
    fn seen_part(
        &mut self,
        table: &Table,
        base: &str,
        columns: &[String],
        sight: &Sight,
        out: &mut Out,
    ) -> Result<(), String> {
        let place = self.placed(&table.name);
        if sight.columns.is_none() && sight.filter.is_none() {
            out.push(&place);
            return Ok(());
        }
        if columns.is_empty() {
            return Err(format!("`{}` has no column that may be seen", table.name));
        }
        let names: Vec<String> = columns.iter().map(|column| self.quote(column)).collect();
        out.push(&format!(
            "(SELECT {} FROM {place} AS {}",
            names.join(", "),
            self.quote(base)
        ));
        if let Some(filter) = &sight.filter {
            let mut scope = Scope::within(None);
            let full = self.rules.access.full.table(&table.name).unwrap_or(table);
            scope.relations.push(Relation {
                name: base.to_owned(),
                columns: full.columns.iter().map(|c| Some(c.name.clone())).collect(),
                scalar: false,
            });
            let at = At {
                scope: &scope,
                ctes: None,
                own: true,
            };
            out.push(" WHERE (");
            self.expr(filter, &at, out).map_err(|error| {
                tracing::error!(table = %table.name, %error, "a condition of [[permissions]] does not fit its table");
                format!("the tool's own condition for `{}` does not fit the table", table.name)
            })?;
            // Nothing of the query around is computed of rows that are not seen: an error would tell of them.
            out.push(match self.dialect {
                Dialect::Sqlite => ") LIMIT -1",
                Dialect::Postgres => ") OFFSET 0",
                Dialect::Mysql => ") LIMIT 18446744073709551615",
            });
        }
        out.push(")");
        Ok(())
    }

    /// A table of the schema by the parts of its name.
    fn table<'t>(&self, parts: &[String], schema: &'t Schema) -> Result<&'t Table, String> {
        let home = self.rules.places.first().map_or("", String::as_str);
        let wanted = match parts {
            [name] => name.clone(),
            [place, name] if place.eq_ignore_ascii_case(home) => name.clone(),
            parts => parts.join("."),
        };
        schema.table(&wanted).ok_or_else(|| unknown(parts, schema))
    }

    /// A table's name without its schema.
    fn base_name(&self, table: &str) -> String {
        match split(self.dialect, self.rules.places, table) {
            Some((_, name)) => name.to_owned(),
            None => table.to_owned(),
        }
    }

    fn placed(&mut self, table: &str) -> String {
        let text = placed(self.dialect, self.rules.places, table);
        self.seen.relations.insert(text.clone());
        text
    }

    /// A function in FROM.
    fn table_function(
        &mut self,
        name: &ObjectName,
        args: &[FunctionArg],
        ordinality: bool,
        alias: Option<&TableAlias>,
        clause: &mut Clause<'_, '_>,
    ) -> Result<(), String> {
        let function = self.function_name(name)?;
        let Some(columns) = functions::table(self.dialect, &function) else {
            return Err(format!(
                "`{function}` is no function that may stand in FROM"
            ));
        };
        let mut text = Out::default();
        text.push(&format!("{function}("));
        self.arguments(&function, args, &clause.env.at(clause.scope), &mut text)?;
        text.push(")");
        self.seen.relations.insert(function.clone());
        let mentioned = args.iter().filter_map(super::call::argument).collect();
        self.function_relation(
            &function, columns, text, ordinality, alias, mentioned, clause,
        )
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "two callers, and each part is one of SQL's"
    )]
    fn function_relation(
        &mut self,
        function: &str,
        columns: &[&str],
        text: Out,
        ordinality: bool,
        alias: Option<&TableAlias>,
        mentioned: Vec<&Expr>,
        clause: &mut Clause<'_, '_>,
    ) -> Result<(), String> {
        let name = match alias {
            Some(alias) => given(self.dialect, &alias.name)?,
            None => function.to_owned(),
        };
        let mut columns: Vec<Option<String>> =
            columns.iter().map(|c| Some((*c).to_owned())).collect();
        if columns.is_empty() {
            columns.push(Some(name.clone()));
        }
        let scalar = self.dialect == Dialect::Postgres && columns.len() == 1;
        clause.out.append(text);
        if ordinality {
            if self.dialect != Dialect::Postgres {
                return Err("WITH ORDINALITY is PostgreSQL's alone".to_owned());
            }
            clause.out.push(" WITH ORDINALITY");
            columns.push(Some("ordinality".to_owned()));
        }
        let index = clause.scope.relations.len();
        let near: Vec<usize> = mentioned
            .iter()
            .flat_map(|expr| mentions(expr, &*clause.scope, self.dialect))
            .collect();
        let relation = Relation {
            name,
            columns,
            scalar,
        };
        self.alias(relation, alias, clause)?;
        if near.is_empty() {
            // It makes its rows of nothing: that it meets every row is what it is for.
            clause.links.join(0, index);
        }
        for other in near {
            clause.links.join(other, index);
        }
        Ok(())
    }
}

/// What is said of a table that is not known.
fn unknown(parts: &[String], schema: &Schema) -> String {
    let wanted = parts.join(".");
    let own = |part: &String| {
        let lower = part.to_lowercase();
        CATALOGUES.iter().any(|begin| lower.starts_with(begin))
            || (parts.len() > 1 && OWN_SCHEMAS.contains(&lower.as_str()))
    };
    if parts.iter().any(own) {
        return format!("`{wanted}` is of the database's own catalogue, which is not for queries");
    }
    let names = || schema.tables.iter().map(|table| table.name.as_str());
    let last = parts.last().map_or("", String::as_str);
    if let Some(near) = nearest(&wanted, names()).or_else(|| nearest(last, names())) {
        return format!("there is no table `{wanted}`; did you mean `{near}`?");
    }
    let told: Vec<&str> = names().take(TOLD).collect();
    format!(
        "there is no table `{wanted}`; there are: {}",
        told.join(", ")
    )
}

/// The relations left and right of a join.
fn sides<'s>(first: usize, start: usize, scope: &'s Scope<'_>) -> (&'s [Relation], &'s [Relation]) {
    let (left, right) = scope.relations.split_at(start.min(scope.relations.len()));
    (left.get(first..).unwrap_or_default(), right)
}

/// Columns that both sides of a join have.
fn common(first: usize, start: usize, scope: &Scope<'_>) -> Vec<String> {
    let (left, right) = sides(first, start, scope);
    let mut found: Vec<String> = Vec::new();
    for column in right.iter().flat_map(|r| r.columns.iter().flatten()) {
        if left.iter().any(|r| r.column(column).is_some()) && !found.contains(column) {
            found.push(column.clone());
        }
    }
    found
}

/// Which relations are joined by conditions: for each, one that it is joined to, itself at first.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<usize>);

impl Links {
    fn add(&mut self) {
        self.0.push(self.0.len());
    }

    fn root(&self, mut i: usize) -> usize {
        while let Some(next) = self.0.get(i).copied()
            && next != i
        {
            i = next;
        }
        i
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        if let Some(slot) = self.0.get_mut(one.max(other)) {
            *slot = one.min(other);
        }
    }

    /// Joins what each part of a condition mentions.
    fn connect(&mut self, condition: &Expr, scope: &Scope<'_>, dialect: Dialect) {
        let mut parts = Vec::new();
        conjuncts(condition, &mut parts);
        for part in parts {
            let mentioned = mentions(part, scope, dialect);
            for pair in mentioned.windows(2) {
                if let [one, other] = pair {
                    self.join(*one, *other);
                }
            }
        }
    }

    /// Two relations that nothing joins.
    fn apart(&self) -> Option<(usize, usize)> {
        (1..self.0.len())
            .find(|i| self.root(*i) != self.root(0))
            .map(|i| (0, i))
    }
}

/// What has to be true for a condition to be.
fn conjuncts<'e>(condition: &'e Expr, found: &mut Vec<&'e Expr>) {
    match condition {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            conjuncts(left, found);
            conjuncts(right, found);
        }
        Expr::Nested(inner) => conjuncts(inner, found),
        other => found.push(other),
    }
}

/// The relations that an expression mentions, each once.
fn mentions(expr: &Expr, scope: &Scope<'_>, dialect: Dialect) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    let mut add = |wanted: &dyn Fn(&Relation) -> bool| {
        if let Some(i) = scope.relations.iter().position(wanted)
            && !found.contains(&i)
        {
            found.push(i);
        }
    };
    let _ = visit_expressions(expr, |part| {
        match part {
            Expr::Identifier(ident) => {
                let name = fold(dialect, ident);
                add(&|r: &Relation| {
                    r.column(&name).is_some() || r.name.eq_ignore_ascii_case(&name)
                });
            }
            Expr::CompoundIdentifier(parts) => {
                if let [.., table, _] = parts.as_slice() {
                    let name = fold(dialect, table);
                    add(&|r: &Relation| r.name.eq_ignore_ascii_case(&name));
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    found
}
