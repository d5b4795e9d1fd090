//! `tools/NAME.sql.toml`: which database or files, what of them may be seen and by whom, and how much a query may take.
//! Left out: all that takes the database itself to tell.

use std::collections::BTreeMap;
use std::time::Duration;

use globset::Glob;
use praxis_core::{KeyReference, Period, Problem, access};
use serde::Deserialize;

use super::access::{Globs, read};
use super::ask;
use super::schema::Dialect;
use super::target;
use crate::safety::PolicyConfig;
use crate::toolbox::Ties;

/// The most that limits may say.
const MOST_ROWS: u64 = 100_000;
const MOST_BYTES: u64 = 256 << 20;
const LONGEST: Duration = Duration::from_secs(600);
const MOST_CONNECTIONS: u32 = 64;
const MOST_FILE_BYTES: u64 = 4 << 30;
const MOST_CELL_BYTES: u64 = 16 << 20;

/// A file of the kind `sql`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the database is about, for those who choose among tools.
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// `env:NAME` of a URL, or a URL without a password: `sqlite:shop.db`, `postgres://…`, `mysql://…`.
    #[serde(default)]
    pub(crate) url: Option<KeyReference>,
    /// Files that are tables: globs of CSV, XLSX and Parquet, relative to the application's folder.
    #[serde(default)]
    pub(crate) files: Vec<String>,
    /// Whether files of rows begin with the names of their columns; default: what the first row looks like.
    #[serde(default)]
    pub(crate) header: Option<bool>,
    /// Schemas of PostgreSQL, `public` where nothing is said. Tables of the first go by their name alone.
    #[serde(default)]
    pub(crate) schemas: Vec<String>,
    /// Globs of tables that are there; default: all.
    #[serde(default)]
    pub(crate) include: Vec<String>,
    /// Globs of tables, and `TABLE.COLUMN`, that are not there for anybody.
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
    /// What tables and columns mean.
    #[serde(default)]
    pub(crate) tables: BTreeMap<String, TableConfig>,
    /// Functions that may be called beside those that are known: of extensions, and of the database's own that only
    /// read.
    #[serde(default)]
    pub(crate) functions: Vec<String>,
    /// The role of PostgreSQL that queries have.
    #[serde(default)]
    pub(crate) role: Option<String>,
    /// Whether the role may be a superuser of PostgreSQL.
    #[serde(default)]
    pub(crate) allow_superuser: bool,
    /// Whether a user of the database that may do more than read is refused, and not only warned of.
    #[serde(default)]
    pub(crate) require_read_only: bool,
    /// Whether some values of columns are shown with the schema.
    #[serde(default = "yes")]
    pub(crate) samples: bool,
    /// How long a schema is taken for granted.
    #[serde(default = "ten_minutes")]
    pub(crate) refresh: Period,
    /// How much a query may take.
    #[serde(default)]
    pub(crate) limits: LimitsConfig,
    /// Who may see what. Where there is one, what none of them gives is hidden.
    #[serde(default)]
    pub(crate) permissions: Vec<PermissionConfig>,
    /// How questions are answered.
    #[serde(default)]
    pub(crate) ask: ask::Config,
    /// What calls need before they are made.
    #[serde(default)]
    pub(crate) policy: PolicyConfig,
}

/// `[tables.NAME]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TableConfig {
    /// What the table holds.
    pub description: Option<String>,
    /// What its columns hold.
    pub columns: BTreeMap<String, String>,
}

/// `[limits]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsConfig {
    /// Rows that a query gives.
    pub rows: u64,
    /// Bytes of all its values.
    pub bytes: u64,
    /// How long it may take.
    pub time: Period,
    /// What it may cost, in the units of PostgreSQL's planner.
    pub cost: Option<f64>,
    /// Rows that it may look at, as PostgreSQL, MySQL and MariaDB estimate before it runs.
    pub scan: Option<f64>,
    /// Connections to the database at a time.
    pub connections: u32,
    /// Bytes of one file that is read as a table.
    pub file_bytes: u64,
    /// Rows of one file that is read as a table.
    pub file_rows: u64,
    /// Bytes of one value in a file that is read as a table.
    pub cell_bytes: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            rows: super::ROWS,
            bytes: 1 << 20,
            time: Period(Duration::from_secs(10)),
            cost: None,
            scan: None,
            connections: 4,
            file_bytes: 128 << 20,
            file_rows: 1_000_000,
            cell_bytes: 1 << 20,
        }
    }
}

/// One of `[[permissions]]`. For a table the first one counts that names it and fits the caller.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PermissionConfig {
    /// It is for callers with one of these labels; without any, for all.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Globs of tables that they may see.
    pub tables: Vec<String>,
    /// Globs of columns, or of `TABLE.COLUMN`, that they may not see.
    #[serde(default)]
    pub hidden: Vec<String>,
    /// Conditions that rows of a table have to fulfil, with `{caller.name}` and `{caller.labels}`.
    #[serde(default, rename = "where")]
    pub filters: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

fn ten_minutes() -> Period {
    Period(Duration::from_secs(600))
}

impl Config {
    /// What is wrong with it, as far as that shows without the database.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut found = Found(Vec::new());
        match (&self.url, self.files.is_empty()) {
            (None, true) => found.add(
                "url",
                "there is neither a `url` nor `files`",
                "name a database as `url = \"env:SHOP_DB\"`, or files as `files = [\"data/*.csv\"]`",
            ),
            (Some(_), false) => found.add(
                "files",
                "`url` and `files` exclude each other",
                "make a tool file of its own for the files",
            ),
            (Some(url), true) => {
                if let Err((message, help)) = target::check(url) {
                    found.add("url", message, help);
                }
            }
            (None, false) => {}
        }
        found.globs("files", &self.files);
        found.globs("include", &self.include);
        found.globs("exclude", &self.exclude);
        for (i, schema) in self.schemas.iter().enumerate() {
            let plain = !schema.is_empty() && !schema.contains(['.', '"', '\0']);
            let system = schema.starts_with("pg_") || schema == "information_schema";
            if !plain || system {
                found.add(
                    &format!("schemas.{i}"),
                    format!("`{schema}` is no schema whose tables may be read"),
                    "name schemas of your own, such as \"public\"",
                );
            }
        }
        for (i, function) in self.functions.iter().enumerate() {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if function.is_empty() || !function.chars().all(plain) {
                found.add(
                    &format!("functions.{i}"),
                    format!("`{function}` is no name of a function"),
                    "write it in small letters, without arguments: \"st_area\"",
                );
            }
        }
        found.limits(&self.limits);
        found.permissions(&self.permissions, &self.dialects());
        found.0.extend(self.ask.problems());
        found.0
    }

    /// What is likely not as meant, as far as it shows without the database.
    pub(crate) fn ties(&self) -> Ties {
        Ties {
            warnings: self
                .unset()
                .into_iter()
                .map(|(_, problem)| problem)
                .collect(),
            ..Ties::default()
        }
    }

    /// The environment variable of the URL where it is not set, and what is said of it.
    pub(crate) fn unset(&self) -> Option<(&str, Problem)> {
        let variable = self.url.as_ref().and_then(target::unset)?;
        let problem = Problem {
            path: "url".to_owned(),
            message: format!(
                "the environment variable {variable} is not set: calls fail until it is"
            ),
            help: Some(format!("export {variable}=...")),
        };
        Some((variable, problem))
    }

    /// The SQL that the database may speak, as far as it is known.
    fn dialects(&self) -> Vec<Dialect> {
        self.url
            .as_ref()
            .map_or_else(|| vec![Dialect::Sqlite], target::dialects)
    }
}

struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.0.push(Problem {
            path: path.to_owned(),
            message: message.into(),
            help: Some(help.into()),
        });
    }

    fn globs(&mut self, path: &str, globs: &[String]) {
        for (i, glob) in globs.iter().enumerate() {
            if let Err(error) = Glob::new(glob) {
                self.add(
                    &format!("{path}.{i}"),
                    format!("`{glob}` is not a glob: {error}"),
                    "`*`, `?`, `[ab]` and `{a,b}` are understood",
                );
            }
        }
    }

    fn limits(&mut self, limits: &LimitsConfig) {
        let numbers = [
            ("rows", limits.rows, MOST_ROWS),
            ("bytes", limits.bytes, MOST_BYTES),
            (
                "connections",
                u64::from(limits.connections),
                u64::from(MOST_CONNECTIONS),
            ),
            ("file_bytes", limits.file_bytes, MOST_FILE_BYTES),
            ("file_rows", limits.file_rows, u64::from(u32::MAX)),
            ("cell_bytes", limits.cell_bytes, MOST_CELL_BYTES),
        ];
        for (key, value, most) in numbers {
            if !(1..=most).contains(&value) {
                self.add(
                    &format!("limits.{key}"),
                    format!("`{key}` is {value}"),
                    format!("choose a number between 1 and {most}"),
                );
            }
        }
        if limits.time.0 > LONGEST {
            self.add(
                "limits.time",
                format!("a query may not take {}", limits.time),
                format!("choose at most {} s", LONGEST.as_secs()),
            );
        }
        for (key, value) in [("cost", limits.cost), ("scan", limits.scan)] {
            if value.is_some_and(|v| !v.is_finite() || v <= 0.0) {
                self.add(
                    &format!("limits.{key}"),
                    format!("`{key}` has to be more than 0"),
                    "leave it out where nothing shall be limited",
                );
            }
        }
    }

    fn permissions(&mut self, permissions: &[PermissionConfig], dialects: &[Dialect]) {
        for (i, permission) in permissions.iter().enumerate() {
            let path = format!("permissions.{i}");
            for label in &permission.labels {
                if !access::is_label(label) {
                    self.add(
                        &format!("{path}.labels"),
                        format!("`{label}` is no label"),
                        "labels are those of keys: letters, digits and `-_.:/`",
                    );
                }
            }
            if permission.tables.is_empty() {
                self.add(
                    &format!("{path}.tables"),
                    "it gives no table",
                    "name tables, or write `tables = [\"*\"]`",
                );
            }
            self.globs(&format!("{path}.tables"), &permission.tables);
            self.globs(&format!("{path}.hidden"), &permission.hidden);
            for (table, filter) in &permission.filters {
                let path = format!("{path}.where.{table}");
                let wrong = dialects.iter().filter_map(|d| read(filter, *d).err());
                let mut wrong: Vec<(String, &str)> = wrong.collect();
                // Where it is not known yet which SQL is spoken, one that has such conditions is enough.
                if wrong.len() == dialects.len()
                    && let Some((message, help)) = wrong.pop()
                {
                    self.add(&path, message, help);
                }
                if !is_given(table, &permission.tables) {
                    self.add(
                        &path,
                        format!(
                            "`tables` does not name `{table}`, so that its condition would never count"
                        ),
                        "add it to `tables`, or move the condition to the entry that names it",
                    );
                }
            }
        }
    }
}

/// Whether a table that is named with its schema or without may be one of those that globs give.
fn is_given(table: &str, globs: &[String]) -> bool {
    fn bare(name: &str) -> &str {
        name.rsplit_once('.').map_or(name, |(_, bare)| bare)
    }
    let given = Globs::new(globs);
    given.table(table)
        || given.table(bare(table))
        || globs
            .iter()
            .any(|glob| bare(glob).eq_ignore_ascii_case(bare(table)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn problems(toml: &str) -> Vec<String> {
        let config: Config = toml::from_str(toml).unwrap();
        config.problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_key() {
        for (toml, named) in [
            ("", "url: there is neither"),
            (
                "url = \"env:A\"\nfiles = [\"a.csv\"]",
                "files: `url` and `files`",
            ),
            (
                "url = \"postgres://u:secret@h/d\"",
                "url: the URL holds a password",
            ),
            ("url = \"oracle://h/d\"", "url: `oracle` databases"),
            (
                "url = \"env:1A\"",
                "url: `url` names no environment variable",
            ),
            (
                "url = \"sqlite:a.db\"\ninclude = [\"[\"]",
                "include.0: `[` is not a glob",
            ),
            (
                "url = \"sqlite:a.db\"\nfunctions = [\"Foo()\"]",
                "functions.0",
            ),
            ("url = \"env:A\"\nschemas = [\"pg_catalog\"]", "schemas.0"),
            (
                "url = \"sqlite:a.db\"\n[limits]\nrows = 0",
                "limits.rows: `rows` is 0",
            ),
            (
                "url = \"sqlite:a.db\"\n[limits]\ncost = -1.0",
                "limits.cost",
            ),
            (
                "url = \"sqlite:a.db\"\n[[permissions]]\ntables = [\"a\"]\nlabels = [\"a b\"]",
                "permissions.0.labels: `a b` is no label",
            ),
            (
                "url = \"sqlite:a.db\"\n[[permissions]]\ntables = [\"a\"]\nwhere = { a = \"x = '{caller.name}'\" }",
                "permissions.0.where.a: `{caller.name}` is in quotes",
            ),
            (
                "url = \"sqlite:a.db\"\n[[permissions]]\ntables = [\"a\"]\nwhere = { a = \"x = {caller.nme}\" }",
                "permissions.0.where.a: `{caller.nme}` is nothing",
            ),
            (
                "url = \"env:A\"\n[[permissions]]\ntables = [\"a\"]\nwhere = { a = \"x =\" }",
                "permissions.0.where.a: `x =` is no condition",
            ),
            (
                "url = \"sqlite:a.db\"\n[[permissions]]\ntables = [\"orders\", \"cust*\"]\nwhere = { staf = \"x = 1\" }",
                "permissions.0.where.staf: `tables` does not name `staf`",
            ),
        ] {
            let found = problems(toml);
            assert!(found.iter().any(|p| p.contains(named)), "{toml}: {found:?}");
        }
        let secret = problems("url = \"postgres://u:secret@h/d\"");
        assert!(!secret.concat().contains("secret@"), "{secret:?}");
    }

    #[test]
    fn a_file_with_everything_has_nothing_wrong() {
        let found = problems(
            "url = \"env:SHOP_DB\"\ndescription = \"The shop.\"\nschemas = [\"public\", \"sales\"]\ninclude = [\"*\"]\n\
             exclude = [\"audit_*\", \"users.password\"]\nfunctions = [\"st_area\"]\nrole = \"reader\"\n\
             refresh = \"5m\"\n\
             [tables.orders]\ndescription = \"What was bought.\"\n\
             [tables.orders.columns]\nstatus = \"new, paid or sent\"\n\
             [limits]\nrows = 200\ntime = \"5s\"\ncost = 1e6\nscan = 1e7\n\
             [[permissions]]\nlabels = [\"sales\"]\ntables = [\"*\"]\nhidden = [\"email\"]\n\
             where = { orders = \"owner = {caller.name} OR region IN ({caller.labels})\" }\n\
             [[permissions]]\ntables = [\"sales.targets\"]\nwhere = { targets = \"region ILIKE 'n%'\" }\n",
        );
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_variable_that_is_not_set_is_told_and_what_is_written_out_is_not_asked_for() {
        let config = |url: &str| -> Config { toml::from_str(&format!("url = \"{url}\"")).unwrap() };
        let absent = config("env:PRAXIS_TEST_NO_SUCH_VARIABLE");
        assert!(absent.problems().is_empty());
        let (variable, problem) = absent.unset().unwrap();
        assert_eq!(variable, "PRAXIS_TEST_NO_SUCH_VARIABLE");
        assert!(
            problem.to_string().contains("calls fail until it is"),
            "{problem}"
        );
        assert_eq!(absent.ties().warnings, [problem]);
        // A variable that every machine has.
        for there in ["env:PATH", "sqlite:a.db"] {
            assert!(config(there).unset().is_none(), "{there}");
        }
    }
}
