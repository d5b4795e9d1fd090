//! What a name of a column means, looked for from the inside out, and what is said of one that means nothing. Left
//! out: names of tables (`from`).

use praxis_core::suggest::nearest;
use sqlparser::ast::Ident;

use super::Writer;
use super::scope::{At, Out, Relation, Scope, fold};
use crate::sql::access::CALLER_NAME;
use crate::sql::schema::{Dialect, Table, find};

/// Names of columns that are told where one is not known.
const TOLD: usize = 40;

impl Writer<'_> {
    /// A column by its name, which is looked for from the inside out.
    pub(super) fn column(
        &mut self,
        parts: &[Ident],
        at: &At<'_>,
        out: &mut Out,
    ) -> Result<(), String> {
        match parts {
            [name] => {
                if at.own && name.value == CALLER_NAME {
                    out.bind(self.rules.known.name.clone());
                    return Ok(());
                }
                let found = self.unqualified(&fold(self.dialect, name), at)?;
                out.push(&self.quote(&found));
                Ok(())
            }
            [places @ .., relation, name] if places.len() <= 1 => {
                let (wanted, name) = (fold(self.dialect, relation), fold(self.dialect, name));
                let relation = find_relation(&wanted, at.scope)
                    .ok_or_else(|| no_relation(&wanted, &name, at.scope))?;
                let found = relation
                    .column(&name)
                    .ok_or_else(|| self.no_column(relation, &name, at.scope))?;
                let text = format!("{}.{}", self.quote(&relation.name), self.quote(found));
                out.push(&text);
                Ok(())
            }
            _ => Err("a column is named as `column` or `table.column`".to_owned()),
        }
    }

    fn unqualified(&self, name: &str, at: &At<'_>) -> Result<String, String> {
        for here in at.scope.outwards() {
            let having: Vec<&Relation> = here
                .relations
                .iter()
                .filter(|r| r.column(name).is_some())
                .collect();
            match having.as_slice() {
                [] => {}
                [one] => return Ok(one.column(name).unwrap_or(name).to_owned()),
                [one, ..] => {
                    let found = one.column(name).unwrap_or(name);
                    if here.merged.iter().any(|m| m == found) {
                        return Ok(found.to_owned());
                    }
                    let names: Vec<String> = having
                        .iter()
                        .map(|r| format!("`{}.{found}`", r.name))
                        .collect();
                    return Err(format!("`{name}` may be {}; say which", names.join(" or ")));
                }
            }
            if let Some(alias) = find(name, here.aliases.iter().map(String::as_str)) {
                return Ok(alias.to_owned());
            }
            if let Some(relation) = here.relation(name).filter(|r| r.scalar) {
                return Ok(relation.name.clone());
            }
        }
        Err(self.no_name(name, at.scope))
    }

    /// What is said of a name that means nothing.
    fn no_name(&self, name: &str, scope: &Scope<'_>) -> String {
        if find_relation(name, scope).is_some() {
            return format!(
                "`{name}` is a table, not a column; name its columns, as in `{name}.column`"
            );
        }
        let mut names: Vec<&str> = Vec::new();
        for here in scope.outwards() {
            names.extend(
                here.relations
                    .iter()
                    .flat_map(|r| r.columns.iter().flatten())
                    .map(String::as_str),
            );
            names.extend(here.aliases.iter().map(String::as_str));
        }
        names.sort_unstable();
        names.dedup();
        if let Some(home) = self.home(name, scope) {
            return format!("there is no column `{name}` in the tables of FROM; {home}");
        }
        if let Some(near) = nearest(name, names.iter().copied()) {
            return format!("there is no column `{name}`; did you mean `{near}`?");
        }
        names.truncate(TOLD);
        let quotes = if self.dialect == Dialect::Mysql {
            ""
        } else {
            " Texts are written in single quotes."
        };
        format!(
            "there is no column `{name}`; there are: {}.{quotes}",
            names.join(", ")
        )
    }

    /// What is said of a column that its table does not have: who else has it, or what was meant.
    fn no_column(&self, relation: &Relation, column: &str, scope: &Scope<'_>) -> String {
        let lacks = format!("`{}` has no column `{column}`", relation.name);
        let mut relations = scope.outwards().flat_map(|here| &here.relations);
        if let Some(other) = relations.find(|r| r.column(column).is_some()) {
            let name = &other.name;
            return format!("{lacks}; `{name}` has one: write `{name}.{column}`");
        }
        if let Some(home) = self.home(column, scope) {
            return format!("{lacks}; {home}");
        }
        let names = || relation.columns.iter().flatten().map(String::as_str);
        if let Some(near) = nearest(column, names()) {
            return format!("{lacks}; did you mean `{near}`?");
        }
        let told: Vec<&str> = names().take(TOLD).collect();
        format!("{lacks}; it has: {}", told.join(", "))
    }

    /// The table outside of FROM that has a column of this name, and how it is joined.
    fn home(&self, column: &str, scope: &Scope<'_>) -> Option<String> {
        let tables = &self.rules.schema.tables;
        let home = tables.iter().find(|t| t.column(column).is_some())?;
        let joined = scope.relations.iter().find_map(|relation| {
            let own = |t: &&Table| {
                let names = t.columns.iter().map(|c| Some(c.name.as_str()));
                names.eq(relation.columns.iter().map(Option::as_deref))
            };
            let table = tables.iter().find(own)?;
            let to = |from: &Table, to: &Table| {
                let key = from.foreign_keys.iter().find(|key| key.table == to.name)?;
                Some((
                    key.columns.first()?.clone(),
                    key.references.first()?.clone(),
                ))
            };
            let (here, there) =
                to(table, home).or_else(|| to(home, table).map(|(there, here)| (here, there)))?;
            let (home, relation) = (&home.name, &relation.name);
            Some(format!(
                ": JOIN {home} ON {home}.{there} = {relation}.{here}"
            ))
        });
        let joined = joined.unwrap_or_default();
        Some(format!("`{}` has one, join it{joined}", home.name))
    }
}

fn find_relation<'s>(name: &str, scope: &'s Scope<'s>) -> Option<&'s Relation> {
    scope.outwards().find_map(|here| here.relation(name))
}

fn no_relation(relation: &str, column: &str, scope: &Scope<'_>) -> String {
    let relations = scope.outwards().flat_map(|here| &here.relations);
    let names: Vec<&str> = relations.map(|r| r.name.as_str()).collect();
    let near = nearest(relation, names.iter().copied())
        .map(|near| format!("; did you mean `{near}.{column}`?"));
    let there = || format!("; FROM names: {}", names.join(", "));
    format!(
        "`{relation}.{column}` names no table of FROM{}",
        near.unwrap_or_else(there)
    )
}
