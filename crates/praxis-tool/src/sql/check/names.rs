//! What a name of a column means, looked for from the inside out, and what is said of one that means nothing. Left
//! out: names of tables (`from`).

use praxis_core::suggest::nearest;
use sqlparser::ast::Ident;

use super::Writer;
use super::scope::{At, Out, Relation, Scope, fold};
use crate::sql::access::CALLER_NAME;
use crate::sql::schema::{Dialect, find};

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
                    .ok_or_else(|| no_column(relation, &name))?;
                let text = format!("{}.{}", self.quote(&relation.name), self.quote(found));
                out.push(&text);
                Ok(())
            }
            _ => Err("a column is named as `column` or `table.column`".to_owned()),
        }
    }

    fn unqualified(&self, name: &str, at: &At<'_>) -> Result<String, String> {
        let mut scope = Some(at.scope);
        while let Some(here) = scope {
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
            scope = here.parent;
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
        let mut around = Some(scope);
        while let Some(here) = around {
            names.extend(
                here.relations
                    .iter()
                    .flat_map(|r| r.columns.iter().flatten())
                    .map(String::as_str),
            );
            names.extend(here.aliases.iter().map(String::as_str));
            around = here.parent;
        }
        names.sort_unstable();
        names.dedup();
        if let Some(near) = nearest(name, names.iter().copied()) {
            return format!("there is no column `{name}`; did you mean `{near}`?");
        }
        let home = self
            .rules
            .schema
            .tables
            .iter()
            .find(|t| t.column(name).is_some());
        if let Some(table) = home {
            return format!(
                "there is no column `{name}` in the tables of FROM; `{}` has one, join it",
                table.name
            );
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
}

fn find_relation<'s>(name: &str, scope: &'s Scope<'s>) -> Option<&'s Relation> {
    let mut around = Some(scope);
    while let Some(here) = around {
        if let Some(found) = here.relation(name) {
            return Some(found);
        }
        around = here.parent;
    }
    None
}

fn no_relation(relation: &str, column: &str, scope: &Scope<'_>) -> String {
    let mut names: Vec<&str> = Vec::new();
    let mut around = Some(scope);
    while let Some(here) = around {
        names.extend(here.relations.iter().map(|r| r.name.as_str()));
        around = here.parent;
    }
    let near = nearest(relation, names.iter().copied())
        .map(|near| format!("; did you mean `{near}.{column}`?"));
    let there = || format!("; FROM names: {}", names.join(", "));
    format!(
        "`{relation}.{column}` names no table of FROM{}",
        near.unwrap_or_else(there)
    )
}

fn no_column(relation: &Relation, column: &str) -> String {
    let names = || relation.columns.iter().flatten().map(String::as_str);
    if let Some(near) = nearest(column, names()) {
        return format!(
            "`{}` has no column `{column}`; did you mean `{near}`?",
            relation.name
        );
    }
    let told: Vec<&str> = names().take(TOLD).collect();
    format!(
        "`{}` has no column `{column}`; it has: {}",
        relation.name,
        told.join(", ")
    )
}
