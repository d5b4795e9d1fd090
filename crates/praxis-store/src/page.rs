//! Pages of lists that grow while they are read: a page begins after a key, or ends before one, whether or not
//! that is still there. Left out: what the lists are of.

use futures::TryStreamExt;
use futures::stream::BoxStream;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use crate::StoreError;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The most items.
    pub limit: usize,
    /// Whether the newest come first.
    pub descending: bool,
    /// The item before the first.
    pub after: Option<String>,
    /// The item after the last.
    pub before: Option<String>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    /// Its items, in the order of the list.
    pub items: Vec<T>,
    /// Whether the list goes on.
    pub has_more: bool,
}

impl Page {
    /// Whether the page is the last before a key, and so is read from its end.
    fn is_backward(&self) -> bool {
        self.after.is_none() && self.before.is_some()
    }

    /// Adds the page's bounds to a query that has a condition already, and its order.
    pub(crate) fn push(&self, query: &mut QueryBuilder<Sqlite>, key: &'static str) {
        let (after, before) = match self.descending {
            true => (" < ", " > "),
            false => (" > ", " < "),
        };
        for (cursor, sign) in [(&self.after, after), (&self.before, before)] {
            if let Some(cursor) = cursor {
                query.push(" AND ").push(key).push(sign);
                query.push_bind(cursor.clone());
            }
        }
        query.push(" ORDER BY ").push(key);
        if self.descending != self.is_backward() {
            query.push(" DESC");
        }
    }

    /// Reads the page from rows in its order; those that `read` gives nothing for are passed over.
    pub(crate) async fn collect<T>(
        &self,
        mut rows: BoxStream<'_, Result<SqliteRow, sqlx::Error>>,
        read: impl Fn(&SqliteRow) -> Result<Option<T>, StoreError>,
    ) -> Result<Paged<T>, StoreError> {
        let mut items = Vec::new();
        let mut has_more = false;
        while let Some(row) = rows.try_next().await? {
            let Some(item) = read(&row)? else {
                continue;
            };
            if items.len() == self.limit {
                has_more = true;
                break;
            }
            items.push(item);
        }
        if self.is_backward() {
            items.reverse();
        }
        Ok(Paged { items, has_more })
    }
}
