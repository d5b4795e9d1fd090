//! Who may see which tables, columns and rows. The first permission that names a table and fits the caller counts for
//! it; where there are permissions, what none of them gives is hidden. A caller who may read everything sees
//! everything but what the file excludes.
//!
//! Left out: how it is written into a query (`check`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use praxis_core::{Caller, Clearance, Problem};
use sqlparser::ast::Expr;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::check::grammar;
use super::config::{Config, PermissionConfig};
use super::schema::{Dialect, Schema};

/// What stands for the caller's name and labels in a condition while it is read. A query that names it names an unknown
/// column: only conditions of the file are written with them.
pub(crate) const CALLER_NAME: &str = "praxis_caller_name";
pub(crate) const CALLER_LABELS: &str = "praxis_caller_labels";

/// A condition with names for what stands in braces.
///
/// # Errors
/// Message and help: braces that mean nothing, or that are in quotes, where they would be text.
pub(crate) fn unmarked(filter: &str) -> Result<String, (String, &'static str)> {
    const HELP: &str =
        "write {caller.name} or {caller.labels}, without quotes: region IN ({caller.labels})";
    let mut text = String::with_capacity(filter.len());
    let mut rest = filter;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| (format!("`{{{after}` is not closed"), HELP))?;
        if text.matches('\'').count() % 2 == 1 || text.matches('"').count() % 2 == 1 {
            return Err((format!("`{{{name}}}` is in quotes"), HELP));
        }
        text.push_str(match name.trim() {
            "caller.name" => CALLER_NAME,
            "caller.labels" => CALLER_LABELS,
            _ => {
                return Err((
                    format!("`{{{name}}}` is nothing that is known of a caller"),
                    HELP,
                ));
            }
        });
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// What a caller sees of one table.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    /// The columns; all of them where there is no list.
    pub columns: Option<Vec<String>>,
    /// What its rows have to fulfil.
    pub filter: Option<Arc<Expr>>,
}

/// What a caller sees.
#[derive(Debug)]
pub(crate) struct Access {
    /// All there is, for conditions of the file.
    pub full: Arc<Schema>,
    /// What the caller sees of it.
    pub schema: Arc<Schema>,
    sights: HashMap<String, Sight>,
}

impl Access {
    /// All of a schema.
    pub fn open(full: Arc<Schema>) -> Self {
        let all = |table: &super::schema::Table| {
            let sight = Sight {
                columns: None,
                filter: None,
            };
            (table.name.clone(), sight)
        };
        Self {
            schema: Arc::clone(&full),
            sights: full.tables.iter().map(all).collect(),
            full,
        }
    }

    /// What the caller sees of a table, by the name that the schema gives it.
    pub fn sight(&self, table: &str) -> Option<&Sight> {
        self.sights.get(table)
    }
}

/// Names of tables or columns, as globs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Globs(Vec<(GlobMatcher, bool)>);

impl Globs {
    /// Globs that are right, which the file's check has seen to.
    pub fn new(globs: &[String]) -> Self {
        let one = |glob: &String| {
            let built = GlobBuilder::new(glob).case_insensitive(true).build().ok()?;
            Some((built.compile_matcher(), glob.contains('.')))
        };
        Self(globs.iter().filter_map(one).collect())
    }

    /// Whether a table is named.
    pub fn table(&self, name: &str) -> bool {
        self.0.iter().any(|(glob, _)| glob.is_match(name))
    }

    /// Whether a column is named, alone or as `TABLE.COLUMN`.
    pub fn column(&self, table: &str, column: &str) -> bool {
        let whole = format!("{table}.{column}");
        self.0
            .iter()
            .any(|(glob, dotted)| glob.is_match(&whole) || (!dotted && glob.is_match(column)))
    }
}

/// One of `[[permissions]]`, ready to be applied.
struct Permission {
    labels: Vec<String>,
    tables: Globs,
    hidden: Globs,
    filters: BTreeMap<String, Arc<Expr>>,
}

/// All permissions of a file.
pub(crate) struct Permissions {
    excluded: Globs,
    given: Vec<Permission>,
    filtered: Vec<String>,
}

impl Permissions {
    /// Those of a file.
    ///
    /// # Errors
    /// A condition that is none.
    pub fn new(config: &Config, dialect: Dialect) -> Result<Self, Problem> {
        let columns: Vec<String> = config
            .exclude
            .iter()
            .filter(|g| g.contains('.'))
            .cloned()
            .collect();
        let mut given = Vec::new();
        let mut filtered = Vec::new();
        for (i, permission) in config.permissions.iter().enumerate() {
            filtered.extend(permission.filters.keys().map(|t| t.to_lowercase()));
            given.push(Permission::new(permission, i, dialect)?);
        }
        Ok(Self {
            excluded: Globs::new(&columns),
            given,
            filtered,
        })
    }

    /// Whether rows of a table are hidden from anybody.
    pub fn filters(&self, table: &str) -> bool {
        self.filtered.contains(&table.to_lowercase())
    }

    /// What a caller sees.
    pub fn access(&self, full: &Arc<Schema>, clearance: &Clearance) -> Access {
        let everything = clearance.is_full() || self.given.is_empty();
        let mut sights = HashMap::new();
        for table in &full.tables {
            let permission = self
                .given
                .iter()
                .find(|p| p.tables.table(&table.name) && p.fits(clearance));
            if permission.is_none() && !everything {
                continue;
            }
            let permission = permission.filter(|_| !everything);
            let seen = |column: &&super::schema::Column| {
                !self.excluded.column(&table.name, &column.name)
                    && permission.is_none_or(|p| !p.hidden.column(&table.name, &column.name))
            };
            let columns: Vec<String> = table
                .columns
                .iter()
                .filter(seen)
                .map(|column| column.name.clone())
                .collect();
            if columns.is_empty() {
                continue;
            }
            let filter = permission.and_then(|p| p.filters.get(&table.name.to_lowercase()));
            let all = columns.len() == table.columns.len();
            let sight = Sight {
                // With a list, a column that was added since is not seen either.
                columns: (!all || !everything).then_some(columns),
                filter: filter.map(Arc::clone),
            };
            sights.insert(table.name.clone(), sight);
        }
        Access {
            schema: Arc::new(visible(full, &sights)),
            full: Arc::clone(full),
            sights,
        }
    }
}

impl Permission {
    fn new(config: &PermissionConfig, i: usize, dialect: Dialect) -> Result<Self, Problem> {
        let mut filters = BTreeMap::new();
        for (table, filter) in &config.filters {
            let wrong = |message: String, help: &str| Problem {
                path: format!("permissions.{i}.where.{table}"),
                message,
                help: Some(help.to_owned()),
            };
            let text = unmarked(filter).map_err(|(message, help)| wrong(message, help))?;
            let expr = condition(&text, dialect).map_err(|error| {
                let message = format!("`{filter}` is no condition: {error}");
                wrong(
                    message,
                    "write what may stand behind WHERE: \"owner = {caller.name}\"",
                )
            })?;
            filters.insert(table.to_lowercase(), Arc::new(expr));
        }
        Ok(Self {
            labels: config.labels.clone(),
            tables: Globs::new(&config.tables),
            hidden: Globs::new(&config.hidden),
            filters,
        })
    }

    fn fits(&self, clearance: &Clearance) -> bool {
        match clearance {
            Clearance::Full => true,
            Clearance::Labels(own) => {
                self.labels.is_empty() || self.labels.iter().any(|label| own.contains(label))
            }
        }
    }
}

/// A condition, whole.
fn condition(text: &str, dialect: Dialect) -> Result<Expr, String> {
    let grammar = grammar(dialect);
    let mut parser = Parser::new(&*grammar)
        .try_with_sql(text)
        .map_err(|error| error.to_string())?;
    let expr = parser.parse_expr().map_err(|error| error.to_string())?;
    match &parser.peek_token_ref().token {
        Token::EOF => Ok(expr),
        other => Err(format!("it goes on with `{other}`")),
    }
}

/// What of a schema is seen. Of a table whose rows are filtered nothing is told that all rows say.
fn visible(full: &Schema, sights: &HashMap<String, Sight>) -> Schema {
    let sees = |table: &str, column: &String| {
        sights
            .get(table)
            .is_some_and(|sight| sight.columns.as_ref().is_none_or(|c| c.contains(column)))
    };
    let mut tables = Vec::new();
    for table in &full.tables {
        let Some(sight) = sights.get(&table.name) else {
            continue;
        };
        let mut table = table.clone();
        let name = table.name.clone();
        table.columns.retain(|column| sees(&name, &column.name));
        if !table.primary_key.iter().all(|column| sees(&name, column)) {
            table.primary_key.clear();
        }
        table.foreign_keys.retain(|key| {
            key.columns.iter().all(|column| sees(&name, column))
                && key.references.iter().all(|column| sees(&key.table, column))
        });
        if sight.filter.is_some() {
            table.rows = None;
            for column in &mut table.columns {
                column.samples.clear();
            }
        }
        tables.push(table);
    }
    Schema {
        dialect: full.dialect,
        tables,
    }
}

/// What conditions know of a caller.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Its name.
    pub name: Option<String>,
    /// Its labels, in order.
    pub labels: Vec<String>,
}

impl From<&Caller> for Known {
    fn from(caller: &Caller) -> Self {
        Self {
            name: caller.name.clone(),
            labels: caller.clearance.labels(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::sql::ask::fixtures::music;

    fn permissions(toml: &str) -> Permissions {
        let config: Config = toml::from_str(&format!("url = \"sqlite:a.db\"\n{toml}")).unwrap();
        assert!(config.problems().is_empty(), "{:?}", config.problems());
        Permissions::new(&config, Dialect::Sqlite).unwrap()
    }

    fn seen(permissions: &Permissions, labels: &[&str]) -> Vec<String> {
        let full = Arc::new(music(Dialect::Sqlite));
        let access = permissions.access(&full, &Clearance::of(labels.iter().copied()));
        let names = access.schema.tables.iter().map(|table| {
            let columns: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
            format!("{}({})", table.name, columns.join(","))
        });
        names.collect()
    }

    #[test]
    fn without_permissions_everybody_sees_all_but_what_is_excluded() {
        let none = permissions("exclude = [\"customer.last_*\"]");
        let seen = seen(&none, &[]);
        assert_eq!(seen.len(), 6);
        assert!(
            seen.contains(&"customer(customer_id,country)".to_owned()),
            "{seen:?}"
        );
    }

    #[test]
    fn with_permissions_the_first_that_fits_counts_and_the_rest_is_hidden() {
        let given = permissions(
            "[[permissions]]\nlabels = [\"sales\"]\ntables = [\"customer\"]\n\
             [[permissions]]\ntables = [\"customer\", \"art*\"]\nhidden = [\"*name\"]\n",
        );
        assert_eq!(
            seen(&given, &[]),
            ["artist(artist_id)", "customer(customer_id,country)"]
        );
        assert_eq!(
            seen(&given, &["sales"]),
            [
                "artist(artist_id)",
                "customer(customer_id,last_name,country)"
            ]
        );
        let full = Arc::new(music(Dialect::Sqlite));
        let all = given.access(&full, &Clearance::Full);
        assert_eq!(all.schema.tables.len(), 6);
    }

    #[test]
    fn keys_that_lead_to_what_is_hidden_are_not_told() {
        let given = permissions(
            "[[permissions]]\ntables = [\"album\", \"track\"]\nhidden = [\"track.album_id\"]\n",
        );
        let full = Arc::new(music(Dialect::Sqlite));
        let access = given.access(&full, &Clearance::default());
        assert!(
            access
                .schema
                .tables
                .iter()
                .all(|t| t.foreign_keys.is_empty()),
            "{access:?}"
        );
    }

    #[test]
    fn of_a_table_whose_rows_are_filtered_no_values_are_told() {
        let given = permissions(
            "[[permissions]]\ntables = [\"*\"]\nwhere = { Customer = \"country IN ({caller.labels})\" }\n",
        );
        assert!(given.filters("customer") && !given.filters("artist"));
        let full = Arc::new(music(Dialect::Sqlite));
        let access = given.access(&full, &Clearance::of(["Brazil"]));
        let customer = access.schema.table("customer").unwrap();
        assert!(customer.rows.is_none() && customer.columns.iter().all(|c| c.samples.is_empty()));
        assert!(access.sight("customer").unwrap().filter.is_some());
        assert!(access.schema.table("artist").unwrap().rows.is_some());
    }

    #[test]
    fn a_condition_that_is_none_is_named() {
        let config: Config = toml::from_str(
            "url = \"sqlite:a.db\"\n[[permissions]]\ntables = [\"a\"]\nwhere = { a = \"x = 1; DROP TABLE a\" }",
        )
        .unwrap();
        let problem = Permissions::new(&config, Dialect::Sqlite).err().unwrap();
        assert_eq!(problem.path, "permissions.0.where.a");
        assert!(problem.message.contains("it goes on with `;`"), "{problem}");
    }
}
