//! Which names are one entity: their vectors, the pairs that a build found, and those that a person named.
//! Left out: how near is near enough.

use praxis_core::EntityId;
use sqlx::{Row, Sqlite, Transaction};

use crate::documents::{decode_vector, encode_vector};
use crate::{Store, StoreError};

/// A name without a vector of the embedder in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnembeddedEntity {
    /// The name's id.
    pub id: EntityId,
    /// Its type.
    pub kind: String,
    /// As it is written most often.
    pub name: String,
}

/// A name with its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityVector {
    /// The name's id.
    pub id: EntityId,
    /// Its type.
    pub kind: String,
    /// The name, normalized.
    pub key: String,
    /// Chunks that have it.
    pub mentions: u64,
    /// Embedding of name and type.
    pub vector: Vec<f32>,
}

/// Two names of one type that a person said are one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandMerge {
    /// The type.
    pub kind: String,
    /// One name, normalized.
    pub one: String,
    /// The other.
    pub other: String,
}

impl HandMerge {
    /// Both names in the order in which they are kept.
    fn sorted(&self) -> (&str, &str) {
        let (one, other) = (self.one.as_str(), self.other.as_str());
        if one <= other {
            (one, other)
        } else {
            (other, one)
        }
    }
}

impl Store {
    /// Up to `limit` names of a base that are mentioned and have no vector of this embedder.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn unembedded_entities(
        &self,
        base: &str,
        embedder: &str,
        limit: usize,
    ) -> Result<Vec<UnembeddedEntity>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.id, e.kind, (SELECT m.name FROM graph_mentions m WHERE m.entity = e.id \
             GROUP BY m.name ORDER BY COUNT(*) DESC, m.name LIMIT 1) AS name \
             FROM graph_entities e WHERE e.base = ? AND (e.embedder IS NULL OR e.embedder <> ?) \
             AND EXISTS (SELECT 1 FROM graph_mentions m WHERE m.entity = e.id) ORDER BY e.id LIMIT ?",
        )
        .bind(base)
        .bind(embedder)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(UnembeddedEntity {
                    id: EntityId::from_string(row.try_get::<String, _>(0)?),
                    kind: row.try_get(1)?,
                    name: row.try_get(2)?,
                })
            })
            .collect()
    }

    /// Writes vectors of names; those of names that went meanwhile are left out.
    ///
    /// # Errors
    /// Where the database fails; then none is written.
    pub async fn put_entity_vectors(
        &self,
        embedder: &str,
        vectors: &[(EntityId, Vec<f32>)],
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (id, vector) in vectors {
            sqlx::query("UPDATE graph_entities SET embedder = ?, vector = ? WHERE id = ?")
                .bind(embedder)
                .bind(encode_vector(vector))
                .bind(id.as_str())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The names of a base that are mentioned and have a vector of this embedder, by type and name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn entity_vectors(
        &self,
        base: &str,
        embedder: &str,
    ) -> Result<Vec<EntityVector>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.id, e.kind, e.name, COUNT(*), e.vector FROM graph_entities e \
             JOIN graph_mentions m ON m.entity = e.id \
             WHERE e.base = ? AND e.embedder = ? GROUP BY e.id ORDER BY e.kind, e.name",
        )
        .bind(base)
        .bind(embedder)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(EntityVector {
                    id: EntityId::from_string(row.try_get::<String, _>(0)?),
                    kind: row.try_get(1)?,
                    key: row.try_get(2)?,
                    mentions: row.try_get::<i64, _>(3)? as u64,
                    vector: decode_vector(row.try_get(4)?)?,
                })
            })
            .collect()
    }

    /// Ends a build: names that nothing mentions any more go, these pairs take the place of those that were
    /// found before, and readers are told to look again.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn publish_graph(
        &self,
        base: &str,
        aliases: &[(EntityId, EntityId, f32)],
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for delete in [
            "DELETE FROM graph_aliases WHERE one IN (SELECT id FROM graph_entities WHERE base = ?)",
            "DELETE FROM graph_entities WHERE base = ? \
             AND NOT EXISTS (SELECT 1 FROM graph_mentions m WHERE m.entity = graph_entities.id)",
        ] {
            sqlx::query(delete).bind(base).execute(&mut *tx).await?;
        }
        for (one, other, cosine) in aliases {
            sqlx::query(
                "INSERT INTO graph_aliases (one, other, cosine) SELECT a.id, b.id, ? \
                 FROM graph_entities a, graph_entities b WHERE a.id = ? AND b.id = ? ON CONFLICT DO NOTHING",
            )
            .bind(f64::from(*cosine))
            .bind(one.as_str())
            .bind(other.as_str())
            .execute(&mut *tx)
            .await?;
        }
        next_revision(&mut tx, base).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps that two names of one type are one entity, over all builds to come. Returns whether that is new.
    ///
    /// # Errors
    /// Where the database fails, or the base was never ingested.
    pub async fn put_merge(&self, base: &str, merge: &HandMerge) -> Result<bool, StoreError> {
        self.change_merge(
            base,
            merge,
            "INSERT INTO graph_merges (base, kind, one, other) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .await
    }

    /// Takes back what [`Store::put_merge`] kept. Returns whether there was something to take back.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn remove_merge(&self, base: &str, merge: &HandMerge) -> Result<bool, StoreError> {
        self.change_merge(
            base,
            merge,
            "DELETE FROM graph_merges WHERE base = ? AND kind = ? AND one = ? AND other = ?",
        )
        .await
    }

    async fn change_merge(
        &self,
        base: &str,
        merge: &HandMerge,
        statement: &'static str,
    ) -> Result<bool, StoreError> {
        let (one, other) = merge.sorted();
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let changed = sqlx::query(statement)
            .bind(base)
            .bind(&merge.kind)
            .bind(one)
            .bind(other)
            .execute(&mut *tx)
            .await?
            .rows_affected()
            > 0;
        if changed {
            next_revision(&mut tx, base).await?;
        }
        tx.commit().await?;
        Ok(changed)
    }
}

/// Tells readers to look again.
async fn next_revision(tx: &mut Transaction<'_, Sqlite>, base: &str) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO graphs (base, revision) VALUES (?, 1) \
         ON CONFLICT (base) DO UPDATE SET revision = graphs.revision + 1",
    )
    .bind(base)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
