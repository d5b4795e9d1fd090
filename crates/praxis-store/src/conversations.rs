//! Conversations of OpenAI's API: lists of items that responses go on from and add to. Who made one sees it, and who
//! may read everything. Left out: what an item says, which is JSON here.

use std::collections::BTreeMap;

use praxis_core::Caller;
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

use crate::attributes::write_caller;
use crate::page::{Page, Paged};
use crate::vector_stores::write_texts;
use crate::{Store, StoreError};

/// A conversation, without its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// What its maker notes of it.
    pub metadata: BTreeMap<String, String>,
    /// When it was made, in seconds since the epoch.
    pub created: i64,
    /// When it was last changed, in seconds since the epoch.
    pub active: i64,
    /// How many items it has.
    pub items: u64,
    /// Bytes of its items.
    pub bytes: u64,
}

/// An item of a conversation or of a response.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredItem {
    /// Its id.
    pub id: String,
    /// All of it.
    pub body: Value,
}

/// How large a conversation may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationBounds {
    /// The most items.
    pub items: u64,
    /// The most bytes of items.
    pub bytes: u64,
}

/// What came of adding items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemsAdded {
    /// All of them are there.
    All,
    /// None: there is no such conversation.
    Gone,
    /// None: the conversation would be too large.
    Full,
    /// None: it has, or had, an item of this id.
    Taken(String),
}

const COLUMNS: &str = "id, metadata, created, active, items, bytes";

impl Store {
    /// Makes a conversation with its first items; of those with one id the first counts. What `new` says of their
    /// number is not read.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn put_conversation(
        &self,
        new: &Conversation,
        maker: &Caller,
        items: &[StoredItem],
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "INSERT INTO conversations (id, caller, metadata, created, active, items, bytes) \
             VALUES (?, ?, ?, ?, ?, 0, 0)",
        )
        .bind(&new.id)
        .bind(whose(maker)?)
        .bind(write_texts(&new.metadata)?)
        .bind(new.created)
        .bind(new.active)
        .execute(&mut *tx)
        .await?;
        append(&mut tx, &new.id, items, new.active).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A conversation, if the reader may see it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn conversation(
        &self,
        id: &str,
        reader: &Caller,
    ) -> Result<Option<Conversation>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM conversations WHERE id = ?1 AND (?2 IS NULL OR caller = ?2)"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(whose(reader)?)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Replaces what is noted of a conversation and gives it as it is then; `None` where the caller sees none.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn set_conversation_metadata(
        &self,
        id: &str,
        caller: &Caller,
        metadata: &BTreeMap<String, String>,
        now: i64,
    ) -> Result<Option<Conversation>, StoreError> {
        let sql = format!(
            "UPDATE conversations SET metadata = ?1, active = ?2 \
             WHERE id = ?3 AND (?4 IS NULL OR caller = ?4) RETURNING {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(write_texts(metadata)?)
            .bind(now)
            .bind(id)
            .bind(whose(caller)?)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Deletes a conversation with its items. Returns whether the caller saw one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn delete_conversation(&self, id: &str, caller: &Caller) -> Result<bool, StoreError> {
        let done =
            sqlx::query("DELETE FROM conversations WHERE id = ?1 AND (?2 IS NULL OR caller = ?2)")
                .bind(id)
                .bind(whose(caller)?)
                .execute(&self.pool)
                .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Adds items to the end of a conversation that the caller sees, all or none.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn add_conversation_items(
        &self,
        id: &str,
        caller: &Caller,
        items: &[StoredItem],
        bounds: ConversationBounds,
        now: i64,
    ) -> Result<ItemsAdded, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let row = sqlx::query(
            "SELECT items, bytes FROM conversations WHERE id = ?1 AND (?2 IS NULL OR caller = ?2)",
        )
        .bind(id)
        .bind(whose(caller)?)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else {
            return Ok(ItemsAdded::Gone);
        };
        let held = row.try_get::<i64, _>(0)? as u64 + items.len() as u64;
        let bytes = row.try_get::<i64, _>(1)? as u64 + size_of_all(items);
        if held > bounds.items || bytes > bounds.bytes {
            return Ok(ItemsAdded::Full);
        }
        for item in items {
            let taken =
                sqlx::query("SELECT 1 FROM conversation_items WHERE conversation = ? AND id = ?")
                    .bind(id)
                    .bind(&item.id)
                    .fetch_optional(&mut *tx)
                    .await?;
            if taken.is_some() {
                return Ok(ItemsAdded::Taken(item.id.clone()));
            }
        }
        append(&mut tx, id, items, now).await?;
        tx.commit().await?;
        Ok(ItemsAdded::All)
    }

    /// Adds what was said to a conversation in the turn that has ended. What it has already is not added again, and
    /// nothing where it is gone.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn extend_conversation(
        &self,
        id: &str,
        items: &[StoredItem],
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        append(&mut tx, id, items, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A page of a conversation's items, in the order in which they were added; `None` where the page begins or ends
    /// at an item that never was. Whether the reader sees the conversation is for the caller to ask.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn conversation_items(
        &self,
        id: &str,
        page: &Page,
    ) -> Result<Option<Paged<Value>>, StoreError> {
        let mut by_place = page.clone();
        for cursor in [&mut by_place.after, &mut by_place.before] {
            let Some(item) = cursor.as_deref() else {
                continue;
            };
            let row = sqlx::query(
                "SELECT place FROM conversation_items WHERE conversation = ? AND id = ?",
            )
            .bind(id)
            .bind(item)
            .fetch_optional(&self.pool)
            .await?;
            let Some(row) = row else {
                return Ok(None);
            };
            *cursor = Some(row.try_get(0)?);
        }
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT body FROM conversation_items WHERE body <> '' AND conversation = ",
        );
        query.push_bind(id.to_owned());
        by_place.push(&mut query, "place");
        let rows = query.build().fetch(&self.pool);
        let items = by_place.collect(rows, |row| body(row).map(Some)).await?;
        Ok(Some(items))
    }

    /// All items of a conversation, oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn all_conversation_items(&self, id: &str) -> Result<Vec<Value>, StoreError> {
        let rows = sqlx::query(
            "SELECT body FROM conversation_items WHERE conversation = ? AND body <> '' ORDER BY place",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(body).collect()
    }

    /// An item of a conversation. Whether the reader sees the conversation is for the caller to ask.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn conversation_item(
        &self,
        id: &str,
        item: &str,
    ) -> Result<Option<Value>, StoreError> {
        let row = sqlx::query(
            "SELECT body FROM conversation_items WHERE conversation = ? AND id = ? AND body <> ''",
        )
        .bind(id)
        .bind(item)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(body).transpose()
    }

    /// Deletes an item of a conversation. Returns whether it was there.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn delete_conversation_item(
        &self,
        id: &str,
        item: &str,
        now: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let row = sqlx::query(
            "SELECT body FROM conversation_items WHERE conversation = ? AND id = ? AND body <> ''",
        )
        .bind(id)
        .bind(item)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else {
            return Ok(false);
        };
        let bytes = row.try_get::<String, _>(0)?.len() as i64;
        sqlx::query("UPDATE conversation_items SET body = '' WHERE conversation = ? AND id = ?")
            .bind(id)
            .bind(item)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "UPDATE conversations SET items = items - 1, bytes = bytes - ?, active = ? WHERE id = ?",
        )
        .bind(bytes)
        .bind(now)
        .bind(id)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Deletes up to `limit` conversations that nobody changed since a time. Returns how many.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn sweep_conversations(&self, since: i64, limit: usize) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM conversations WHERE id IN \
             (SELECT id FROM conversations WHERE active <= ? ORDER BY active LIMIT ?)",
        )
        .bind(since)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

/// Adds items to the end of a conversation, those that it has already left out; to one that is gone, nothing.
pub(crate) async fn append(
    tx: &mut Transaction<'_, Sqlite>,
    conversation: &str,
    items: &[StoredItem],
    now: i64,
) -> Result<(), StoreError> {
    let used = sqlx::query("UPDATE conversations SET active = ? WHERE id = ?")
        .bind(now)
        .bind(conversation)
        .execute(&mut **tx)
        .await?;
    if used.rows_affected() == 0 {
        return Ok(());
    }
    let row = sqlx::query("SELECT MAX(place) FROM conversation_items WHERE conversation = ?")
        .bind(conversation)
        .fetch_one(&mut **tx)
        .await?;
    let last: Option<String> = row.try_get(0)?;
    let damaged = |place: &str| StoreError::Damaged(format!("a place of an item: `{place}`"));
    let mut place = match last {
        Some(last) => last.parse::<usize>().map_err(|_| damaged(&last))? + 1,
        None => 0,
    };
    let (mut added, mut bytes) = (0_i64, 0_i64);
    for item in items {
        let text = item.body.to_string();
        let done = sqlx::query(
            "INSERT INTO conversation_items (conversation, place, id, body) VALUES (?, ?, ?, ?) \
             ON CONFLICT (conversation, id) DO NOTHING",
        )
        .bind(conversation)
        .bind(digits(place))
        .bind(&item.id)
        .bind(&text)
        .execute(&mut **tx)
        .await?;
        if done.rows_affected() > 0 {
            place += 1;
            added += 1;
            bytes += text.len() as i64;
        }
    }
    sqlx::query("UPDATE conversations SET items = items + ?, bytes = bytes + ? WHERE id = ?")
        .bind(added)
        .bind(bytes)
        .bind(conversation)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Who made something, or asks for it, as a row has it; nothing for one who may read everything.
pub(crate) fn whose(caller: &Caller) -> Result<Option<String>, StoreError> {
    match caller.clearance.is_full() {
        true => Ok(None),
        false => write_caller(Some(caller)),
    }
}

/// A place as it is stored: texts that sort as the numbers do.
pub(crate) fn digits(place: usize) -> String {
    format!("{place:010}")
}

/// The body of a row that has one.
pub(crate) fn body(row: &SqliteRow) -> Result<Value, StoreError> {
    let text: String = row.try_get("body")?;
    serde_json::from_str(&text).map_err(|e| StoreError::Damaged(format!("an item: {e}")))
}

fn size_of_all(items: &[StoredItem]) -> u64 {
    let sizes = items.iter().map(|item| item.body.to_string().len() as u64);
    sizes.sum()
}

fn read(row: &SqliteRow) -> Result<Conversation, StoreError> {
    let metadata: String = row.try_get("metadata")?;
    let metadata = serde_json::from_str(&metadata)
        .map_err(|e| StoreError::Damaged(format!("a conversation's metadata: {e}")))?;
    Ok(Conversation {
        id: row.try_get("id")?,
        metadata,
        created: row.try_get("created")?,
        active: row.try_get("active")?,
        items: row.try_get::<i64, _>("items")? as u64,
        bytes: row.try_get::<i64, _>("bytes")? as u64,
    })
}

#[cfg(test)]
pub(crate) mod tests;
