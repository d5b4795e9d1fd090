//! Tables, columns and keys of a database, as a caller may see them. Left out: how they are found (`introspect`), and
//! who may see what (`access`).

use serde::{Deserialize, Serialize};

/// The kind of SQL that a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// SQLite, and files that are read as tables.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
}

impl Dialect {
    /// What it is called in prompts and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL",
        }
    }
}

/// What a caller may see of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// The kind of SQL that it speaks.
    pub dialect: Dialect,
    /// Its tables and views, by name.
    pub tables: Vec<Table>,
}

/// A table or a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name; `SCHEMA.NAME` in PostgreSQL for all but the first schema.
    pub name: String,
    /// What it holds.
    pub comment: Option<String>,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Columns of the primary key, in order.
    pub primary_key: Vec<String>,
    /// Columns that point to other tables.
    pub foreign_keys: Vec<ForeignKey>,
    /// Rows, as the database estimates them.
    pub rows: Option<u64>,
    /// Whether it is a view.
    pub view: bool,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as the database writes it; may be empty in SQLite.
    pub kind: String,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// What it holds.
    pub comment: Option<String>,
    /// At most five of its values, short and distinct.
    pub samples: Vec<String>,
}

/// Columns that hold the key of another table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// The columns.
    pub columns: Vec<String>,
    /// The other table, as [`Table::name`] has it.
    pub table: String,
    /// The columns there, in the same order.
    pub references: Vec<String>,
}

impl Schema {
    /// A table by its name, whatever the case of its letters if that is not ambiguous.
    pub fn table(&self, name: &str) -> Option<&Table> {
        let found = find(name, self.tables.iter().map(|t| t.name.as_str()))?;
        self.tables.iter().find(|t| t.name == found)
    }
}

impl Table {
    /// A column by its name, whatever the case of its letters if that is not ambiguous.
    pub fn column(&self, name: &str) -> Option<&Column> {
        let found = find(name, self.columns.iter().map(|c| c.name.as_str()))?;
        self.columns.iter().find(|c| c.name == found)
    }
}

/// A name among others: as it is written, or else the one that differs in the case of letters alone.
pub(crate) fn find<'n>(
    name: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Option<&'n str> {
    if let Some(same) = names.clone().find(|n| *n == name) {
        return Some(same);
    }
    let lower = name.to_lowercase();
    let mut alike = names.filter(|n| n.to_lowercase() == lower);
    let first = alike.next()?;
    alike.next().is_none().then_some(first)
}
