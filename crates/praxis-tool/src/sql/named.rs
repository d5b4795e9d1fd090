//! The names that a file gives to tables and columns: what a table may be called, and whether each name is that of
//! something.
//!
//! A condition for a table that is not there, or a column to hide that is called otherwise, would never count, and
//! everybody would see what the file means to hide. So the tool gives nothing until the name is right. Left out: what
//! the names are for (`access`, `introspect`).

use praxis_core::suggest::nearest;
use praxis_core::{CallError, ErrorCode, Problem};

use super::access::Globs;
use super::config::Config;
use super::schema::{Dialect, Table};

/// Names that are listed where one of them was meant.
const LISTED: usize = 20;

/// The schemas that tables of a file may be named with: PostgreSQL's.
pub(super) fn places(config: &Config, dialect: Dialect) -> Vec<String> {
    match dialect {
        Dialect::Postgres if config.schemas.is_empty() => vec!["public".to_owned()],
        Dialect::Postgres => config.schemas.clone(),
        Dialect::Sqlite | Dialect::Mysql => Vec::new(),
    }
}

/// All that a table may be called, its own name first: where there are schemas, with its schema and without.
pub(super) fn spellings(places: &[String], name: &str) -> Vec<String> {
    let Some(first) = places.first() else {
        return vec![name.to_owned()];
    };
    let bare = places
        .iter()
        .skip(1)
        .find_map(|place| name.strip_prefix(place.as_str())?.strip_prefix('.'));
    let other = bare.map_or_else(|| format!("{first}.{name}"), str::to_owned);
    vec![name.to_owned(), other]
}

/// The names of a file that have to be those of something.
pub(super) struct Named {
    tool: String,
    dialect: Dialect,
    places: Vec<String>,
    include: Vec<String>,
    exclude: Vec<String>,
    given: Vec<Given>,
}

/// The names of one of `[[permissions]]`.
struct Given {
    tables: Vec<String>,
    hidden: Vec<String>,
    filters: Vec<String>,
}

/// A table that is there, whether or not somebody may see it.
struct Known<'t> {
    names: Vec<String>,
    table: &'t Table,
}

impl Known<'_> {
    fn is(&self, name: &str) -> bool {
        let lower = name.to_lowercase();
        self.names.iter().any(|own| own.to_lowercase() == lower)
    }

    fn columns(&self) -> impl Iterator<Item = &str> {
        self.table.columns.iter().map(|column| column.name.as_str())
    }
}

/// What a name that fits nothing comes to.
enum Lack {
    /// It is written out, so that it is wrong.
    Wrong(Problem),
    /// It has wildcards, which may come to fit something.
    Open(String),
}

impl Named {
    /// The names of the file of the tool `tool`.
    pub fn new(tool: &str, config: &Config, dialect: Dialect) -> Self {
        let given = config.permissions.iter().map(|permission| Given {
            tables: permission.tables.clone(),
            hidden: permission.hidden.clone(),
            filters: permission.filters.keys().cloned().collect(),
        });
        Self {
            tool: tool.to_owned(),
            dialect,
            places: places(config, dialect),
            include: config.include.clone(),
            exclude: config.exclude.clone(),
            given: given.collect(),
        }
    }

    /// All that a table may be called.
    pub fn spellings(&self, name: &str) -> Vec<String> {
        spellings(&self.places, name)
    }

    /// Whether each name is that of one of all `tables` of the database, excluded ones among them. Gives what is said
    /// of patterns that fit nothing, which hide nothing yet.
    ///
    /// # Errors
    /// `forbidden` with the file, the key and, as a hint, the names that there are.
    pub fn check(&self, tables: &[Table]) -> Result<Vec<String>, CallError> {
        let known: Vec<Known<'_>> = tables
            .iter()
            .map(|table| Known {
                names: self.spellings(&table.name),
                table,
            })
            .collect();
        let mut notes = Vec::new();
        let mut lack = |lack: Option<Lack>| match lack {
            None => Ok(()),
            Some(Lack::Open(note)) => {
                notes.push(note);
                Ok(())
            }
            Some(Lack::Wrong(problem)) => Err(self.refusal(problem)),
        };
        for (i, glob) in self.exclude.iter().enumerate() {
            lack(self.excluded(&format!("exclude.{i}"), glob, &known))?;
        }
        for (i, given) in self.given.iter().enumerate() {
            for (j, glob) in given.hidden.iter().enumerate() {
                lack(self.hidden(&format!("permissions.{i}.hidden.{j}"), glob, &known))?;
            }
            for table in &given.filters {
                lack(filtered(
                    &format!("permissions.{i}.where.{table}"),
                    table,
                    given,
                    &known,
                ))?;
            }
        }
        let shown = self
            .include
            .iter()
            .chain(self.given.iter().flat_map(|g| &g.tables));
        for glob in shown {
            let globs = Globs::new(std::slice::from_ref(glob));
            if !tables.iter().any(|table| globs.table(&table.name)) {
                notes.push(format!("`{glob}` gives no table: there is none that fits"));
            }
        }
        Ok(notes)
    }

    fn refusal(&self, problem: Problem) -> CallError {
        let message = format!(
            "tools/{}.sql.toml: {}: {}; nothing is read until it is mended",
            self.tool, problem.path, problem.message
        );
        let error = CallError::new(ErrorCode::Forbidden, message);
        match problem.help {
            Some(help) => error.with_hint(help),
            None => error,
        }
    }

    fn excluded(&self, path: &str, glob: &str, known: &[Known<'_>]) -> Option<Lack> {
        let globs = Globs::new(&[glob.to_owned()]);
        let dotted = glob.contains('.');
        let tables = !dotted || self.dialect == Dialect::Postgres;
        let fits = known.iter().any(|table| {
            (tables && globs.any_table(&table.names)) || (dotted && has_column(&globs, table))
        });
        if fits {
            return None;
        }
        Some(match glob.rsplit_once('.') {
            Some((table, column)) => self.no_column(path, glob, table, column, known),
            None if is_open(glob) => Lack::Open(format!("`{path}`: `{glob}` fits no table")),
            None => no_table(path, glob, known),
        })
    }

    fn hidden(&self, path: &str, glob: &str, known: &[Known<'_>]) -> Option<Lack> {
        let globs = Globs::new(&[glob.to_owned()]);
        if known.iter().any(|table| has_column(&globs, table)) {
            return None;
        }
        Some(match glob.rsplit_once('.') {
            Some((table, column)) => self.no_column(path, glob, table, column, known),
            None if is_open(glob) => Lack::Open(format!("`{path}`: `{glob}` fits no column")),
            None => lacks(
                path,
                format!("there is no column `{glob}`"),
                glob,
                "columns",
                known.iter().flat_map(Known::columns).collect(),
            ),
        })
    }

    /// What is said of `TABLE.COLUMN`: what is written out of it has to be there.
    fn no_column(
        &self,
        path: &str,
        glob: &str,
        table: &str,
        column: &str,
        known: &[Known<'_>],
    ) -> Lack {
        let open = || Lack::Open(format!("`{path}`: `{glob}` fits nothing"));
        if is_open(table) {
            return open();
        }
        let Some(found) = known.iter().find(|known| known.is(table)) else {
            let place = self
                .places
                .iter()
                .any(|place| place.eq_ignore_ascii_case(table));
            return if place && is_open(column) {
                open()
            } else {
                no_table(path, if place { glob } else { table }, known)
            };
        };
        if is_open(column) {
            return open();
        }
        let message = format!("`{table}` has no column `{column}`");
        lacks(path, message, column, "columns", found.columns().collect())
    }
}

/// What is said of a condition for a table.
fn filtered(path: &str, table: &str, given: &Given, known: &[Known<'_>]) -> Option<Lack> {
    let found: Vec<&Known<'_>> = known.iter().filter(|known| known.is(table)).collect();
    let Some(first) = found.first() else {
        return Some(no_table(path, table, known));
    };
    let lower = |known: &Known<'_>| known.table.name.to_lowercase();
    if found.iter().any(|other| lower(other) != lower(first)) {
        let full: Vec<&str> = found
            .iter()
            .filter_map(|known| known.names.iter().find(|name| name.contains('.')))
            .map(String::as_str)
            .collect();
        return Some(Lack::Wrong(Problem {
            path: path.to_owned(),
            message: format!("`{table}` may be a table of several schemas"),
            help: Some(format!("write which one: {}", full.join(" or "))),
        }));
    }
    let tables = Globs::new(&given.tables);
    if found.iter().all(|known| tables.table(&known.table.name)) {
        return None;
    }
    Some(Lack::Wrong(Problem {
        path: path.to_owned(),
        message: format!(
            "`tables` of the same entry does not name `{}`, so that the condition would never count",
            first.table.name
        ),
        help: Some(
            "add it to `tables`, or move the condition to the entry that names it".to_owned(),
        ),
    }))
}

fn has_column(globs: &Globs, known: &Known<'_>) -> bool {
    known
        .columns()
        .any(|column| globs.any_column(&known.names, column))
}

/// Whether a pattern is more than a name.
pub(super) fn is_open(glob: &str) -> bool {
    glob.contains(['*', '?', '[', '{'])
}

fn no_table(path: &str, table: &str, known: &[Known<'_>]) -> Lack {
    let names = known.iter().map(|known| known.table.name.as_str());
    let message = format!("there is no table `{table}`");
    lacks(path, message, table, "tables", names.collect())
}

/// A name that is not among those that there are.
fn lacks(path: &str, message: String, name: &str, what: &str, mut names: Vec<&str>) -> Lack {
    let near = nearest(name, names.iter().copied());
    let near = near.map(|near| format!("did you mean `{near}`? "));
    names.sort_unstable();
    names.dedup();
    let more = if names.len() > LISTED { ", …" } else { "" };
    names.truncate(LISTED);
    Lack::Wrong(Problem {
        path: path.to_owned(),
        message,
        help: Some(format!(
            "{}the {what} are {}{more}",
            near.unwrap_or_default(),
            names.join(", ")
        )),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::sql::ask::fixtures::music;

    fn check(toml: &str, tables: &[Table], dialect: Dialect) -> Result<Vec<String>, CallError> {
        let config: Config = toml::from_str(&format!("url = \"env:A\"\n{toml}")).unwrap();
        Named::new("shop", &config, dialect).check(tables)
    }

    fn entry(more: &str) -> String {
        format!("[[permissions]]\ntables = [\"*\"]\n{more}")
    }

    #[test]
    fn a_name_that_is_that_of_nothing_ends_it_with_the_key_and_the_names_that_there_are() {
        let tables = music(Dialect::Sqlite).tables;
        for (toml, told, hint) in [
            (
                "exclude = [\"artist\", \"payrol\"]".to_owned(),
                "exclude.1: there is no table `payrol`",
                "the tables are album, artist",
            ),
            (
                "exclude = [\"customer.lst_name\"]".to_owned(),
                "exclude.0: `customer` has no column `lst_name`",
                "did you mean `last_name`? the columns are ",
            ),
            (
                "exclude = [\"custmer.*\"]".to_owned(),
                "exclude.0: there is no table `custmer`",
                "did you mean `customer`?",
            ),
            (
                entry("hidden = [\"lst_name\"]"),
                "permissions.0.hidden.0: there is no column `lst_name`",
                "did you mean `last_name`?",
            ),
            (
                entry("hidden = [\"custmer.last_*\"]"),
                "permissions.0.hidden.0: there is no table `custmer`",
                "did you mean `customer`?",
            ),
            (
                entry("where = { custmer = \"country = 'DE'\" }"),
                "permissions.0.where.custmer: there is no table `custmer`",
                "did you mean `customer`?",
            ),
            (
                "[[permissions]]\ntables = [\"art*\"]\nwhere = { customer = \"1 = 1\" }".to_owned(),
                "permissions.0.where.customer: `tables` of the same entry does not name `customer`",
                "add it to `tables`",
            ),
        ] {
            let error = check(&toml, &tables, Dialect::Sqlite).unwrap_err();
            assert_eq!(error.code, ErrorCode::Forbidden, "{toml}");
            let named = error.message.starts_with("tools/shop.sql.toml: ");
            assert!(named && error.message.contains(told), "{toml}: {error:?}");
            let given = error.hint.unwrap_or_default();
            assert!(given.contains(hint), "{toml}: {given}");
        }
    }

    #[test]
    fn a_pattern_that_fits_nothing_yet_is_told_and_ends_nothing() {
        let tables = music(Dialect::Sqlite).tables;
        let toml = format!(
            "include = [\"*\"]\nexclude = [\"audit_*\", \"*.password\"]\n{}",
            entry(
                "hidden = [\"*_secret\", \"customer.pass*\", \"Last_Name\"]\nwhere = { CUSTOMER = \"1 = 1\" }"
            )
        );
        let notes = check(&toml, &tables, Dialect::Sqlite).unwrap();
        assert_eq!(notes.len(), 4, "{notes:?}");
        assert!(notes[0].contains("`exclude.0`: `audit_*` fits no table"));
    }

    #[test]
    fn a_table_is_named_with_its_schema_and_without_where_that_is_not_ambiguous() {
        let table = |name: &str| Table {
            name: name.to_owned(),
            ..music(Dialect::Postgres).tables.remove(0)
        };
        let tables = [
            table("orders"),
            table("targets"),
            table("sales.targets"),
            table("sales.pay"),
        ];
        let given = |filter: &str| {
            let toml = format!(
                "schemas = [\"public\", \"sales\"]\n{}",
                entry(&format!("where = {{ {filter} = \"1 = 1\" }}"))
            );
            check(&toml, &tables, Dialect::Postgres)
        };
        for good in [
            "orders",
            "\"public.orders\"",
            "\"sales.targets\"",
            "\"public.targets\"",
            "pay",
        ] {
            assert!(given(good).is_ok(), "{good}");
        }
        let error = given("targets").unwrap_err();
        assert!(error.message.contains("several schemas"), "{error:?}");
        let hint = error.hint.unwrap_or_default();
        assert!(hint.contains("public.targets or sales.targets"), "{hint}");
        assert!(given("\"sales.orders\"").is_err());
        let places = ["public".to_owned(), "sales".to_owned()];
        assert_eq!(spellings(&places, "pay"), ["pay", "public.pay"]);
        assert_eq!(spellings(&places, "sales.pay"), ["sales.pay", "pay"]);
        assert_eq!(spellings(&[], "a.b"), ["a.b"]);
    }
}
