//! Who may see which tables, columns and rows. The first permission that names a table and fits the caller counts for
//! it; where there are permissions, what none of them gives is hidden. A caller who may read everything sees
//! everything but what the file excludes.
//!
//! A view shows what its query reads, whatever is hidden there, so that a caller from whom something is hidden sees
//! those views alone that the file names in full. Left out: how it is written into a query (`check`), and whether what
//! is named is there (`named`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use praxis_core::{Caller, Clearance, Problem};
use sqlparser::ast::Expr;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::check::grammar;
use super::config::{Config, PermissionConfig};
use super::named::{self, is_open, spellings};
use super::schema::{Dialect, Schema, Table};

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
    /// Whether nothing is hidden from this caller but what is hidden from all.
    pub everything: bool,
    sights: HashMap<String, Sight>,
}

impl Access {
    /// All of a schema.
    pub fn open(full: Arc<Schema>) -> Self {
        let all = |table: &Table| {
            let sight = Sight {
                columns: None,
                filter: None,
            };
            (table.name.clone(), sight)
        };
        Self {
            schema: Arc::clone(&full),
            everything: true,
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

    /// Whether a table is named by one of all its names.
    pub fn any_table(&self, names: &[String]) -> bool {
        names.iter().any(|name| self.table(name))
    }

    /// Whether a column is named, alone or as `TABLE.COLUMN`.
    fn column(&self, table: &str, column: &str) -> bool {
        let whole = format!("{table}.{column}");
        self.0
            .iter()
            .any(|(glob, dotted)| glob.is_match(&whole) || (!dotted && glob.is_match(column)))
    }

    /// Whether a column is named, alone or with one of all names of its table.
    pub fn any_column(&self, tables: &[String], column: &str) -> bool {
        tables.iter().any(|table| self.column(table, column))
    }
}

/// Those of some names that are written out, in small letters.
fn in_full(globs: &[String]) -> Vec<String> {
    let full = globs.iter().filter(|glob| !is_open(glob));
    full.map(|name| name.to_lowercase()).collect()
}

/// One of `[[permissions]]`, ready to be applied.
struct Permission {
    labels: Vec<String>,
    tables: Globs,
    /// Tables that are named in full.
    named: Vec<String>,
    hidden: Globs,
    filters: BTreeMap<String, Arc<Expr>>,
}

/// All permissions of a file.
pub(crate) struct Permissions {
    excluded: Globs,
    /// Whether `exclude` names tables, which are there for nobody.
    lacks_tables: bool,
    /// Tables that `include` names in full.
    included: Vec<String>,
    given: Vec<Permission>,
    filtered: Vec<String>,
    /// The schemas that tables may be named with.
    places: Vec<String>,
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
        // In PostgreSQL, what has a dot may also be a table of another schema.
        let may_be_table = |glob: &String| dialect == Dialect::Postgres || !glob.contains('.');
        let mut given = Vec::new();
        let mut filtered = Vec::new();
        for (i, permission) in config.permissions.iter().enumerate() {
            filtered.extend(permission.filters.keys().map(|t| t.to_lowercase()));
            given.push(Permission::new(permission, i, dialect)?);
        }
        Ok(Self {
            excluded: Globs::new(&columns),
            lacks_tables: config.exclude.iter().any(may_be_table),
            included: in_full(&config.include),
            given,
            filtered,
            places: named::places(config, dialect),
        })
    }

    /// Whether rows of a table are hidden from anybody.
    pub fn filters(&self, table: &str) -> bool {
        let names = spellings(&self.places, table);
        names
            .iter()
            .any(|name| self.filtered.contains(&name.to_lowercase()))
    }

    /// What a caller sees.
    pub fn access(&self, full: &Arc<Schema>, clearance: &Clearance) -> Access {
        let everything = clearance.is_full() || self.given.is_empty();
        let mut sights = HashMap::new();
        let (views, tables): (Vec<&Table>, Vec<&Table>) =
            full.tables.iter().partition(|table| table.view);
        let mut all_seen = !self.lacks_tables;
        for table in tables {
            let sight = self.sight(table, clearance, everything);
            let all = |s: &Sight| {
                let columns = s.columns.as_ref();
                s.filter.is_none() && columns.is_none_or(|c| c.len() == table.columns.len())
            };
            all_seen &= sight.as_ref().is_some_and(all);
            sights.extend(sight.map(|sight| (table.name.clone(), sight)));
        }
        for view in views {
            if all_seen || self.names(view, clearance, everything) {
                let sight = self.sight(view, clearance, everything);
                sights.extend(sight.map(|sight| (view.name.clone(), sight)));
            }
        }
        Access {
            schema: Arc::new(visible(full, &sights)),
            everything,
            full: Arc::clone(full),
            sights,
        }
    }

    /// The permission that counts for a table and a caller.
    fn permission(&self, table: &Table, clearance: &Clearance) -> Option<&Permission> {
        let mut given = self.given.iter();
        given.find(|p| p.tables.table(&table.name) && p.fits(clearance))
    }

    /// Whether a table is named in full, by `include` or by the permission that counts.
    fn names(&self, table: &Table, clearance: &Clearance, everything: bool) -> bool {
        let is_named = |named: &[String]| {
            let mut own = spellings(&self.places, &table.name).into_iter();
            own.any(|name| named.contains(&name.to_lowercase()))
        };
        let permission = self.permission(table, clearance);
        is_named(&self.included) || permission.is_some_and(|p| !everything && is_named(&p.named))
    }

    /// What a caller sees of one table, if anything.
    fn sight(&self, table: &Table, clearance: &Clearance, everything: bool) -> Option<Sight> {
        let permission = self.permission(table, clearance);
        if permission.is_none() && !everything {
            return None;
        }
        let permission = permission.filter(|_| !everything);
        let names = spellings(&self.places, &table.name);
        let seen = |column: &&super::schema::Column| {
            !self.excluded.any_column(&names, &column.name)
                && permission.is_none_or(|p| !p.hidden.any_column(&names, &column.name))
        };
        let columns: Vec<String> = table
            .columns
            .iter()
            .filter(seen)
            .map(|column| column.name.clone())
            .collect();
        if columns.is_empty() {
            return None;
        }
        let filter = permission.and_then(|p| {
            let mut own = names.iter().map(|name| name.to_lowercase());
            own.find_map(|name| p.filters.get(&name))
        });
        let all = columns.len() == table.columns.len();
        Some(Sight {
            // With a list, a column that was added since is not seen either.
            columns: (!all || !everything).then_some(columns),
            filter: filter.map(Arc::clone),
        })
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
            let expr = read(filter, dialect).map_err(|(message, help)| wrong(message, help))?;
            filters.insert(table.to_lowercase(), Arc::new(expr));
        }
        Ok(Self {
            labels: config.labels.clone(),
            tables: Globs::new(&config.tables),
            named: in_full(&config.tables),
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

/// A condition as the file writes it.
///
/// # Errors
/// Message and help.
pub(crate) fn read(filter: &str, dialect: Dialect) -> Result<Expr, (String, &'static str)> {
    let text = unmarked(filter)?;
    condition(&text, dialect).map_err(|error| {
        (
            format!("`{filter}` is no condition: {error}"),
            "write what may stand behind WHERE: \"owner = {caller.name}\"",
        )
    })
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

    /// A schema in which everything but the customers' last names is also a view.
    fn with_view() -> Arc<Schema> {
        let mut full = music(Dialect::Sqlite);
        let customer = full.table("customer").unwrap().clone();
        full.tables.push(Table {
            name: "people".to_owned(),
            view: true,
            ..customer
        });
        Arc::new(full)
    }

    #[test]
    fn a_view_is_no_way_around_what_is_hidden_unless_it_is_named() {
        let full = with_view();
        let hidden = "[[permissions]]\nlabels = [\"hr\"]\ntables = [\"*\"]\n[[permissions]]\n";
        for (toml, labels, is_seen) in [
            ("", None, true),
            ("exclude = [\"customer.last_name\"]", None, false),
            (
                "exclude = [\"customer.last_name\"]\ninclude = [\"*\", \"People\"]",
                None,
                true,
            ),
            // A table that is there for nobody may be what it reads.
            ("exclude = [\"audit_*\"]", None, false),
            (
                "exclude = [\"audit_*\"]\ninclude = [\"*\", \"people\"]",
                None,
                true,
            ),
            ("tables = [\"*\"]", Some("x"), true),
            (
                "tables = [\"*\"]\nhidden = [\"customer.last_name\"]",
                Some("x"),
                false,
            ),
            (
                "tables = [\"*\"]\nhidden = [\"last_name\"]",
                Some("x"),
                false,
            ),
            (
                "tables = [\"*\"]\nwhere = { customer = \"1 = 0\" }",
                Some("x"),
                false,
            ),
            (
                "tables = [\"*\"]\nwhere = { customer = \"1 = 0\" }",
                Some("hr"),
                true,
            ),
            // A table that is not seen at all may be what the view reads.
            ("tables = [\"artist\", \"peop*\"]", Some("x"), false),
            ("tables = [\"artist\", \"people\"]", Some("x"), true),
            (
                "tables = [\"*\", \"PEOPLE\"]\nhidden = [\"customer.last_name\"]",
                Some("x"),
                true,
            ),
        ] {
            let text = labels.map_or_else(|| toml.to_owned(), |_| format!("{hidden}{toml}"));
            let access = permissions(&text).access(&full, &Clearance::of(labels));
            assert_eq!(access.schema.table("people").is_some(), is_seen, "{toml}");
            assert_eq!(access.sight("people").is_some(), is_seen, "{toml}");
        }
    }

    #[test]
    fn a_name_without_its_schema_is_that_of_the_table_in_it() {
        let toml = "url = \"env:A\"\nschemas = [\"public\", \"sales\"]\n[[permissions]]\ntables = [\"*\"]\n\
                    hidden = [\"customer.last_name\", \"public.artist.name\"]\n\
                    where = { customer = \"country = {caller.name}\" }\n";
        let config: Config = toml::from_str(toml).unwrap();
        let permissions = Permissions::new(&config, Dialect::Postgres).unwrap();
        let mut full = music(Dialect::Postgres);
        for table in full.tables.iter_mut().filter(|t| t.name == "customer") {
            table.name = "sales.customer".to_owned();
        }
        let access = permissions.access(&Arc::new(full), &Clearance::default());
        let customer = access.sight("sales.customer").unwrap();
        assert!(customer.filter.is_some());
        let columns = customer.columns.as_ref().unwrap();
        assert!(!columns.contains(&"last_name".to_owned()), "{columns:?}");
        let artist = access.sight("artist").unwrap();
        assert_eq!(artist.columns.as_ref().unwrap(), &["artist_id"]);
        assert!(permissions.filters("sales.customer") && !permissions.filters("artist"));
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
