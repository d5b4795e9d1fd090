//! API keys: who may call, what for, which documents they may read, and how much they may use. Left out: requests
//! that bring them, and counting what they use (`ledger`).
//!
//! A secret is 32 random bytes and kept as its SHA-256 only. Nobody guesses 256 random bits, and no table has their
//! hashes, so that neither a salt nor a slow hash would add anything; one hash in each request costs nothing, and the
//! row is found by it without comparing secrets.

mod scopes;

use praxis_core::{Clearance, Limit, Secret, ids};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::{Store, StoreError};

pub use scopes::{Scope, ScopeError, Scopes};

/// What all secrets begin with, so that scanners for leaked ones know them.
const PREFIX: &str = "sk-praxis-";

/// Random bytes of a secret.
const BYTES: usize = 32;

/// Characters of a secret that are kept, to tell keys apart by.
const HINT: usize = 4;

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What it is called: see [`praxis_core::access::is_label`]. Limits and reports go by it, also of keys that had it
    /// before: who makes a key anew does not begin its budgets anew.
    pub name: String,
    /// What it is for.
    pub scopes: Scopes,
    /// Which documents it opens.
    pub clearance: Clearance,
    /// How much it may use.
    pub limits: Vec<Limit>,
    /// From when on it opens nothing, in milliseconds since the epoch.
    pub expires_ms: Option<i64>,
}

/// A key without its secret, which nobody has but who was given it. Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: String,
    /// What it is called; no other key that is not revoked is.
    pub name: String,
    /// The end of its secret.
    pub hint: String,
    /// What it is for.
    pub scopes: Scopes,
    /// Which documents it opens.
    pub clearance: Clearance,
    /// How much it may use.
    pub limits: Vec<Limit>,
    /// When it was made.
    pub created_ms: i64,
    /// From when on it opens nothing.
    pub expires_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
    /// When it was last used, as far as that was noted.
    pub last_used_ms: Option<i64>,
}

impl ApiKey {
    /// Whether it opens anything at this time.
    pub fn is_valid(&self, now_ms: i64) -> bool {
        self.revoked_ms.is_none() && self.expires_ms.is_none_or(|expires| now_ms < expires)
    }
}

/// What is to be another than it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// What the key is for.
    pub scopes: Option<Scopes>,
    /// How much it may use.
    pub limits: Option<Vec<Limit>>,
    /// From when on it opens nothing; within it, none is never.
    pub expires_ms: Option<Option<i64>>,
}

/// What a secret is known by: its SHA-256, in hexadecimal.
pub fn hash_of(secret: &Secret) -> String {
    hex::encode(Sha256::digest(secret.expose().as_bytes()))
}

const COLUMNS: &str =
    "id, name, hint, scopes, labels, limits, created_ms, expires_ms, revoked_ms, last_used_ms";

impl Store {
    /// Makes a key and its secret, which is told this once; `None` where a key that is not revoked has its name.
    ///
    /// # Errors
    /// Where the database fails, or the system has no random bytes.
    pub async fn create_key(
        &self,
        new: NewKey,
        now_ms: i64,
    ) -> Result<Option<(ApiKey, Secret)>, StoreError> {
        let mut bytes = [0_u8; BYTES];
        getrandom::fill(&mut bytes).map_err(StoreError::Random)?;
        let written = format!("{PREFIX}{}", hex::encode(bytes));
        let key = ApiKey {
            id: ids::generate("key-"),
            name: new.name,
            hint: written[written.len() - HINT..].to_owned(),
            scopes: new.scopes,
            clearance: new.clearance,
            limits: new.limits,
            created_ms: now_ms,
            expires_ms: new.expires_ms,
            revoked_ms: None,
            last_used_ms: None,
        };
        let secret = Secret::new(written);
        let done = sqlx::query(
            "INSERT INTO api_keys (id, name, hash, hint, scopes, labels, limits, created_ms, expires_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(&key.id)
        .bind(&key.name)
        .bind(hash_of(&secret))
        .bind(&key.hint)
        .bind(write(&key.scopes)?)
        .bind(write(&key.clearance)?)
        .bind(write(&key.limits)?)
        .bind(key.created_ms)
        .bind(key.expires_ms)
        .execute(&self.pool)
        .await?;
        Ok((done.rows_affected() > 0).then_some((key, secret)))
    }

    /// All keys by name, those that are revoked too.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM api_keys ORDER BY name, created_ms, id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read).collect()
    }

    /// The key whose secret has this hash, unless it is revoked. Whether it has expired is for the caller to ask, at
    /// each request that brings it: [`ApiKey::is_valid`].
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn key_by_hash(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE hash = ? AND revoked_ms IS NULL");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(hash)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The key of this id, unless it is revoked. As [`Store::key_by_hash`], it does not ask whether it has expired.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn key_by_id(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE id = ? AND revoked_ms IS NULL");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Revokes the key of this name for good. Returns whether there was one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn revoke_key(&self, name: &str, now_ms: i64) -> Result<bool, StoreError> {
        let done =
            sqlx::query("UPDATE api_keys SET revoked_ms = ? WHERE name = ? AND revoked_ms IS NULL")
                .bind(now_ms)
                .bind(name)
                .execute(&self.pool)
                .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Changes the key of this name and gives it as it is then; `None` where no key that is not revoked has the name.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn update_key(
        &self,
        name: &str,
        change: &KeyChange,
    ) -> Result<Option<ApiKey>, StoreError> {
        let scopes = change.scopes.as_ref().map(write).transpose()?;
        let limits = change.limits.as_ref().map(write).transpose()?;
        let sql = format!(
            "UPDATE api_keys SET scopes = COALESCE(?1, scopes), limits = COALESCE(?2, limits), \
             expires_ms = CASE WHEN ?3 THEN ?4 ELSE expires_ms END \
             WHERE name = ?5 AND revoked_ms IS NULL RETURNING {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(scopes)
            .bind(limits)
            .bind(change.expires_ms.is_some())
            .bind(change.expires_ms.flatten())
            .bind(name)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Notes when keys, by their ids, were last used. It is for many requests at once, now and then.
    ///
    /// # Errors
    /// Where the database fails; then none is noted.
    pub async fn touch_keys(&self, uses: &[(String, i64)]) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (id, used_ms) in uses {
            sqlx::query(
                "UPDATE api_keys SET last_used_ms = ?1 \
                 WHERE id = ?2 AND (last_used_ms IS NULL OR last_used_ms < ?1)",
            )
            .bind(used_ms)
            .bind(id)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

fn write(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Damaged(e.to_string()))
}

fn read(row: &SqliteRow) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        hint: row.try_get("hint")?,
        scopes: json(row, "scopes")?,
        clearance: json(row, "labels")?,
        limits: json(row, "limits")?,
        created_ms: row.try_get("created_ms")?,
        expires_ms: row.try_get("expires_ms")?,
        revoked_ms: row.try_get("revoked_ms")?,
        last_used_ms: row.try_get("last_used_ms")?,
    })
}

fn json<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, StoreError> {
    serde_json::from_str(&row.try_get::<String, _>(column)?)
        .map_err(|e| StoreError::Damaged(format!("a key's {column}: {e}")))
}

#[cfg(test)]
mod tests;
