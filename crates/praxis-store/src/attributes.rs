//! Metadata and access labels as sets of documents: which documents have a value, and which labels.
//! A document is known here by the generation that wrote it. Left out: what a filter makes of the sets.

use std::ops::Bound;

use praxis_core::metadata::{self, Attribute, Kind, Metadata};
use praxis_core::{Caller, DocumentId};
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

use crate::documents::Origin;
use crate::{Store, StoreError};

/// Rows that one statement writes: each binds six values.
const ROWS: usize = 500;

/// Values between two bounds.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueRange {
    /// All values of the type.
    All(Kind),
    /// Texts by their bytes.
    Text(Bound<String>, Bound<String>),
    /// Numbers, truth values (0 and 1) or dates (seconds since the epoch).
    Number(Kind, Bound<f64>, Bound<f64>),
}

/// A document's metadata and labels, to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAttributes {
    /// The document.
    pub document: DocumentId,
    /// Where it comes from.
    pub origin: Origin,
    /// Time of last modification of its file, nanoseconds since the epoch.
    pub modified: i64,
    /// What the file itself says.
    pub own: Metadata,
    /// All values.
    pub metadata: Metadata,
    /// Its access labels.
    pub labels: Vec<String>,
}

impl Store {
    /// The documents of a base by their labels: each set of labels that a document has, with the generations
    /// of all that have just it. An empty set is one of them.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn documents_by_labels(
        &self,
        base: &str,
    ) -> Result<Vec<(Vec<String>, Vec<u64>)>, StoreError> {
        // One row for many documents: rows cost more than numbers.
        let rows = sqlx::query(
            "SELECT labels, group_concat(generation) FROM documents WHERE base = ? GROUP BY labels",
        )
        .bind(base)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let labels: String = row.try_get(0)?;
                Ok((read_labels(&labels)?, numbers(row.try_get(1)?)?))
            })
            .collect()
    }

    /// Whether any document of a base has labels.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn has_labels(&self, base: &str) -> Result<bool, StoreError> {
        let row =
            sqlx::query("SELECT EXISTS (SELECT 1 FROM documents WHERE base = ? AND labels > '')")
                .bind(base)
                .fetch_one(&self.pool)
                .await?;
        Ok(row.try_get::<i64, _>(0)? != 0)
    }

    /// Types that a key's values have in a base.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn kinds_of(&self, base: &str, key: &str) -> Result<Vec<Kind>, StoreError> {
        let mut kinds = Vec::new();
        for kind in Kind::ALL {
            let row = sqlx::query(
                "SELECT EXISTS (SELECT 1 FROM attributes WHERE base = ? AND key = ? AND kind = ?)",
            )
            .bind(base)
            .bind(key)
            .bind(kind.as_str())
            .fetch_one(&self.pool)
            .await?;
            if row.try_get::<i64, _>(0)? != 0 {
                kinds.push(kind);
            }
        }
        Ok(kinds)
    }

    /// The first `limit` keys of a base after `after`, by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn keys(&self, base: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        // Each key is one step in the index; a plain DISTINCT would read all of it.
        let mut keys: Vec<String> = Vec::new();
        while keys.len() < limit {
            let last = keys.last().map_or("", String::as_str);
            let row = sqlx::query("SELECT MIN(key) FROM attributes WHERE base = ? AND key > ?")
                .bind(base)
                .bind(last)
                .fetch_one(&self.pool)
                .await?;
            match row.try_get::<Option<String>, _>(0)? {
                Some(key) => keys.push(key),
                None => break,
            }
        }
        Ok(keys)
    }

    /// Generations of the documents of a base that have a value of `key` in `range`, in no order, perhaps
    /// some more than once.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn documents_with(
        &self,
        base: &str,
        key: &str,
        range: &ValueRange,
    ) -> Result<Vec<u64>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT group_concat(document) FROM attributes WHERE base = ",
        );
        query.push_bind(base.to_owned());
        query.push(" AND key = ").push_bind(key.to_owned());
        match range {
            ValueRange::All(Kind::Text) => {
                query.push(" AND text IS NOT NULL");
            }
            ValueRange::All(kind) => {
                query.push(" AND kind = ").push_bind(kind.as_str());
                query.push(" AND number IS NOT NULL");
            }
            ValueRange::Text(low, high) => {
                query.push(" AND text IS NOT NULL");
                bound(&mut query, low, " AND text >= ", " AND text > ");
                bound(&mut query, high, " AND text <= ", " AND text < ");
            }
            ValueRange::Number(kind, low, high) => {
                query.push(" AND kind = ").push_bind(kind.as_str());
                query.push(" AND number IS NOT NULL");
                bound(&mut query, low, " AND number >= ", " AND number > ");
                bound(&mut query, high, " AND number <= ", " AND number < ");
            }
        }
        let row = query.build().fetch_one(&self.pool).await?;
        numbers(row.try_get(0)?)
    }

    /// Replaces metadata and labels of documents of a base, all in one transaction; texts and vectors
    /// stay, and so does the base's generation.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn set_attributes(
        &self,
        base: &str,
        all: &[NewAttributes],
    ) -> Result<(), StoreError> {
        if all.is_empty() {
            return Ok(());
        }
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        Self::write_all_attributes(&mut tx, base, all).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Replaces metadata and labels of documents as part of a transaction.
    pub(crate) async fn write_all_attributes(
        tx: &mut Transaction<'_, Sqlite>,
        base: &str,
        all: &[NewAttributes],
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE bases SET revision = revision + 1 WHERE name = ?")
            .bind(base)
            .execute(&mut **tx)
            .await?;
        for new in all {
            let row = sqlx::query(
                "UPDATE documents SET modified = ?, source = ?, version = ?, own = ?, metadata = ?, labels = ? \
                 WHERE id = ? AND base = ? RETURNING generation",
            )
            .bind(new.modified)
            .bind(&new.origin.source)
            .bind(&new.origin.version)
            .bind(write_metadata(&new.own)?)
            .bind(write_metadata(&new.metadata)?)
            .bind(write_labels(&new.labels)?)
            .bind(new.document.as_str())
            .bind(base)
            .fetch_optional(&mut **tx)
            .await?;
            let Some(row) = row else {
                continue;
            };
            let generation: i64 = row.try_get(0)?;
            sqlx::query("DELETE FROM attributes WHERE base = ? AND document = ?")
                .bind(base)
                .bind(generation)
                .execute(&mut **tx)
                .await?;
            write_attributes(tx, base, generation, &new.metadata).await?;
        }
        Ok(())
    }
}

/// Writes the rows of a document's metadata.
pub(crate) async fn write_attributes(
    tx: &mut Transaction<'_, Sqlite>,
    base: &str,
    generation: i64,
    metadata: &Metadata,
) -> Result<(), StoreError> {
    let rows: Vec<(&str, Kind, Option<&str>, Option<f64>)> = metadata
        .iter()
        .flat_map(|(key, value)| {
            let row = |text, number| (key.as_str(), value.kind(), text, number);
            match value {
                Attribute::Text(text) => vec![row(Some(text.as_str()), None)],
                Attribute::Texts(texts) => texts.iter().map(|t| row(Some(t), None)).collect(),
                Attribute::Number(number) => vec![row(None, Some(*number))],
                Attribute::Bool(value) => vec![row(None, Some(f64::from(u8::from(*value))))],
                Attribute::Date(text) => metadata::interval(text)
                    .map(|(start, _)| row(None, Some(start)))
                    .into_iter()
                    .collect(),
            }
        })
        .collect();
    for rows in rows.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO attributes (base, document, key, kind, text, number) ",
        );
        query.push_values(rows, |mut values, (key, kind, text, number)| {
            values
                .push_bind(base.to_owned())
                .push_bind(generation)
                .push_bind((*key).to_owned())
                .push_bind(kind.as_str())
                .push_bind(text.map(str::to_owned))
                .push_bind(*number);
        });
        query.build().execute(&mut **tx).await?;
    }
    Ok(())
}

fn bound<T>(
    query: &mut QueryBuilder<Sqlite>,
    bound: &Bound<T>,
    included: &'static str,
    excluded: &'static str,
) where
    T: Clone + Send + 'static,
    T: sqlx::Type<Sqlite> + for<'q> sqlx::Encode<'q, Sqlite>,
{
    let (sign, value) = match bound {
        Bound::Unbounded => return,
        Bound::Included(value) => (included, value),
        Bound::Excluded(value) => (excluded, value),
    };
    query.push(sign).push_bind(value.clone());
}

/// Numbers that the database wrote one after the other.
pub(crate) fn numbers(list: Option<String>) -> Result<Vec<u64>, StoreError> {
    let list = list.unwrap_or_default();
    let number = |text: &str| {
        text.parse()
            .map_err(|_| StoreError::Damaged(format!("a document's generation `{text}`")))
    };
    list.split(',')
        .filter(|text| !text.is_empty())
        .map(number)
        .collect()
}

pub(crate) fn write_metadata(metadata: &Metadata) -> Result<String, StoreError> {
    serde_json::to_string(metadata).map_err(|e| StoreError::Damaged(e.to_string()))
}

pub(crate) fn read_metadata(json: &str) -> Result<Metadata, StoreError> {
    serde_json::from_str(json)
        .map_err(|e| StoreError::Damaged(format!("a document's metadata: {e}")))
}

pub(crate) fn write_labels(labels: &[String]) -> Result<String, StoreError> {
    if labels.is_empty() {
        return Ok(String::new());
    }
    serde_json::to_string(labels).map_err(|e| StoreError::Damaged(e.to_string()))
}

pub(crate) fn read_labels(json: &str) -> Result<Vec<String>, StoreError> {
    if json.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(json).map_err(|e| StoreError::Damaged(format!("a document's labels: {e}")))
}

/// A caller as a row has it; nothing for one who may read everything.
pub(crate) fn write_caller(caller: Option<&Caller>) -> Result<Option<String>, StoreError> {
    caller
        .map(|caller| serde_json::to_string(caller).map_err(|e| StoreError::Damaged(e.to_string())))
        .transpose()
}
