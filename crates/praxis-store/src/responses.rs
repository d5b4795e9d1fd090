//! Responses of OpenAI's API: what was asked, what came of it, and the events of those that are followed from afar. Who
//! made one sees it, and who may read everything. Left out: what items and events say, which is JSON here.

use praxis_core::Caller;
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

use crate::conversations::{StoredItem, append, body, digits, whose};
use crate::page::{Page, Paged};
use crate::{Store, StoreError};

/// What has become of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseStatus {
    /// It waits for its turn.
    Queued,
    /// It is being written.
    InProgress,
    /// It is whole.
    Completed,
    /// It was cut off.
    Incomplete,
    /// It came to nothing.
    Failed,
    /// It was called off.
    Cancelled,
}

impl ResponseStatus {
    const ALL: [Self; 6] = [
        Self::Queued,
        Self::InProgress,
        Self::Completed,
        Self::Incomplete,
        Self::Failed,
        Self::Cancelled,
    ];

    /// As it is stored, which is as OpenAI's API has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether there is an answer, be it cut off.
    pub fn has_answer(self) -> bool {
        matches!(self, Self::Completed | Self::Incomplete)
    }
}

/// A response without its items. Times are seconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredResponse {
    /// Its id.
    pub id: String,
    /// The response that it goes on from.
    pub previous: Option<String>,
    /// The conversation that it is of.
    pub conversation: Option<String>,
    /// What has become of it.
    pub status: ResponseStatus,
    /// Whether nobody waits for it.
    pub background: bool,
    /// Whether its events were asked for.
    pub streamed: bool,
    /// When it was made.
    pub created: i64,
    /// When it ended; none as long as it is queued or in progress.
    pub ended: Option<i64>,
    /// When it goes.
    pub expires: i64,
    /// What the answer repeats of the request.
    pub body: Value,
    /// Errors, tokens and the like.
    pub outcome: Value,
}

/// The items of a response.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResponseItems<'a> {
    /// What the model was given in this turn.
    pub input: &'a [StoredItem],
    /// What it made.
    pub output: &'a [StoredItem],
}

/// Events of a response, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvents {
    /// The number of the last of them.
    pub last: u64,
    /// Each as a line of JSON.
    pub lines: String,
}

/// How a response ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponseEnd {
    /// What has become of it.
    pub status: ResponseStatus,
    /// When, in seconds since the epoch.
    pub ended: i64,
    /// Errors, tokens and the like.
    pub outcome: Value,
    /// The conversation that it is of.
    pub conversation: Option<String>,
    /// Its events, if they were asked for.
    pub events: Vec<StoredEvents>,
    /// The process that ends it: what another has taken over, it does not.
    pub owner: Option<String>,
}

/// Which process makes a response that has not ended, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held<'a> {
    /// The process.
    pub owner: &'a str,
    /// Until when it counts as alive, in seconds since the epoch.
    pub until: i64,
    /// What another can make it by, as long as it is not begun.
    pub request: &'a str,
}

/// A response that waited for a process that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftResponse {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created: i64,
    /// What it is made by.
    pub request: String,
}

/// What came before a response.
#[derive(Debug, Clone, PartialEq)]
pub enum Chain {
    /// All items of the responses that it goes on from, oldest first.
    Items(Vec<Value>),
    /// There is no response of that id.
    Missing,
    /// The response of that id has no answer.
    Unanswered(ResponseStatus),
    /// The response of that id is of a conversation, which has what came before.
    OfConversation(String),
    /// The responses are more, or larger, than they may be.
    TooLong,
}

/// How much may come before a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainBounds {
    /// The most responses.
    pub links: u32,
    /// The most bytes of items.
    pub bytes: usize,
}

const COLUMNS: &str = "id, previous, conversation, status, background, streamed, created, ended, expires, body, outcome";

/// The response `?1` and those that it goes on from, one more than `?2` at most, as far as they have not expired at `?3`
/// and are of `?4`.
const CHAIN: &str = "WITH RECURSIVE chain (id, previous, bytes, depth) AS ( \
     SELECT id, previous, bytes, 1 FROM responses WHERE id = ?1 \
     UNION ALL \
     SELECT r.id, r.previous, r.bytes, c.depth + 1 FROM chain c JOIN responses r ON r.id = c.previous \
     WHERE c.depth <= ?2 AND r.expires > ?3 AND (?4 IS NULL OR r.caller = ?4))";

impl Store {
    /// Adds a response with its items. Where it has an answer, its conversation gets them too.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn put_response(
        &self,
        new: &StoredResponse,
        maker: &Caller,
        items: ResponseItems<'_>,
    ) -> Result<(), StoreError> {
        self.put_held_response(new, maker, items, None).await
    }

    /// The same of one that a process is to make.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn put_held_response(
        &self,
        new: &StoredResponse,
        maker: &Caller,
        items: ResponseItems<'_>,
        held: Option<Held<'_>>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "INSERT INTO responses (id, caller, previous, conversation, status, background, streamed, created, \
             ended, expires, body, outcome, bytes, owner, lease, request) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)",
        )
        .bind(&new.id)
        .bind(whose(maker)?)
        .bind(&new.previous)
        .bind(&new.conversation)
        .bind(new.status.as_str())
        .bind(i64::from(new.background))
        .bind(i64::from(new.streamed))
        .bind(new.created)
        .bind(new.ended)
        .bind(new.expires)
        .bind(new.body.to_string())
        .bind(new.outcome.to_string())
        .bind(held.map(|held| held.owner))
        .bind(held.map_or(0, |held| held.until))
        .bind(held.map(|held| held.request))
        .execute(&mut *tx)
        .await?;
        write_items(&mut tx, &new.id, false, items.input).await?;
        write_items(&mut tx, &new.id, true, items.output).await?;
        if let (Some(conversation), true) = (&new.conversation, new.status.has_answer()) {
            let now = new.ended.unwrap_or(new.created);
            append(&mut tx, conversation, items.input, now).await?;
            append(&mut tx, conversation, items.output, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Notes that a response has begun. Returns whether it waited for this process.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn begin_response(&self, id: &str, owner: &str) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE responses SET status = 'in_progress', request = NULL \
             WHERE id = ? AND status = 'queued' AND (owner IS NULL OR owner = ?)",
        )
        .bind(id)
        .bind(owner)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Leaves a response that waits to the next process that looks for some. Returns whether it can be left.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn leave_response(&self, id: &str, owner: &str) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE responses SET lease = 0 \
             WHERE id = ? AND owner = ? AND status = 'queued' AND request IS NOT NULL",
        )
        .bind(id)
        .bind(owner)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes that a process is alive. Returns the responses that are still its own to make: those that were cancelled,
    /// deleted or taken over are not among them.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn renew_responses(
        &self,
        owner: &str,
        until: i64,
    ) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(
            "UPDATE responses SET lease = ? WHERE ended IS NULL AND owner = ? RETURNING id",
        )
        .bind(until)
        .bind(owner)
        .fetch_all(&self.pool)
        .await?;
        let ids = rows
            .iter()
            .map(|row| row.try_get(0).map_err(StoreError::from));
        ids.collect()
    }

    /// Takes over the oldest response that waits and whose process is gone at `now`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn take_over_response(
        &self,
        owner: &str,
        until: i64,
        now: i64,
    ) -> Result<Option<LeftResponse>, StoreError> {
        let row = sqlx::query(
            "UPDATE responses SET owner = ?1, lease = ?2 WHERE id = (SELECT id FROM responses \
             WHERE ended IS NULL AND status = 'queued' AND request IS NOT NULL AND lease <= ?3 \
             ORDER BY id LIMIT 1) RETURNING id, created, request",
        )
        .bind(owner)
        .bind(until)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(LeftResponse {
                id: row.try_get("id")?,
                created: row.try_get("created")?,
                request: row.try_get("request")?,
            })
        })
        .transpose()
    }

    /// Notes how a response ended, with what it made and its events. Where it has an answer, its conversation gets all
    /// items. Returns whether it had not ended before, or is gone.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn end_response(
        &self,
        id: &str,
        end: &ResponseEnd,
        items: ResponseItems<'_>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let done = sqlx::query(
            "UPDATE responses SET status = ?1, ended = ?2, outcome = ?3, request = NULL \
             WHERE id = ?4 AND ended IS NULL AND (?5 IS NULL OR owner IS NULL OR owner = ?5)",
        )
        .bind(end.status.as_str())
        .bind(end.ended)
        .bind(end.outcome.to_string())
        .bind(id)
        .bind(&end.owner)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        write_items(&mut tx, id, true, items.output).await?;
        for events in &end.events {
            sqlx::query("INSERT INTO response_events (response, last, body) VALUES (?, ?, ?)")
                .bind(id)
                .bind(i64::try_from(events.last).unwrap_or(i64::MAX))
                .bind(&events.lines)
                .execute(&mut *tx)
                .await?;
        }
        if let (Some(conversation), true) = (&end.conversation, end.status.has_answer()) {
            append(&mut tx, conversation, items.input, end.ended).await?;
            append(&mut tx, conversation, items.output, end.ended).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Calls off a response that the caller sees and that has not ended. Returns whether there was one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn cancel_response(
        &self,
        id: &str,
        caller: &Caller,
        now: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE responses SET status = 'cancelled', ended = ?1, request = NULL \
             WHERE id = ?2 AND ended IS NULL AND (?3 IS NULL OR caller = ?3)",
        )
        .bind(now)
        .bind(id)
        .bind(whose(caller)?)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Notes of responses that have not ended and whose process is gone at `now` that they failed; those that wait and
    /// can be made by another are left to it. Returns how many.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn fail_unfinished_responses(
        &self,
        outcome: &Value,
        now: i64,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "UPDATE responses SET status = 'failed', ended = ?1, outcome = ?2, request = NULL \
             WHERE ended IS NULL AND lease <= ?1 AND NOT (status = 'queued' AND request IS NOT NULL)",
        )
        .bind(now)
        .bind(outcome.to_string())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// A response that has not expired at `now` with what the model made, if the reader may see it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn response(
        &self,
        id: &str,
        reader: &Caller,
        now: i64,
    ) -> Result<Option<(StoredResponse, Vec<Value>)>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM responses \
             WHERE id = ?1 AND expires > ?2 AND (?3 IS NULL OR caller = ?3)"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .bind(now)
            .bind(whose(reader)?)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let rows = sqlx::query(
            "SELECT body FROM response_items WHERE response = ? AND output = 1 ORDER BY place",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await?;
        let output = rows.iter().map(body).collect::<Result<_, _>>()?;
        Ok(Some((read(&row)?, output)))
    }

    /// A page of what a response was given; `None` where the page begins or ends at an item that it has not. Whether
    /// the reader sees the response is for the caller to ask.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn response_input(
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
                "SELECT place FROM response_items WHERE response = ? AND output = 0 AND id = ?",
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
            "SELECT body FROM response_items WHERE output = 0 AND response = ",
        );
        query.push_bind(id.to_owned());
        by_place.push(&mut query, "place");
        let rows = query.build().fetch(&self.pool);
        let items = by_place.collect(rows, |row| body(row).map(Some)).await?;
        Ok(Some(items))
    }

    /// What came up to a response and with it, as far back as its predecessors are there.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn response_chain(
        &self,
        id: &str,
        reader: &Caller,
        bounds: ChainBounds,
        now: i64,
    ) -> Result<Chain, StoreError> {
        let Some((last, _)) = self.response(id, reader, now).await? else {
            return Ok(Chain::Missing);
        };
        if !last.status.has_answer() {
            return Ok(Chain::Unanswered(last.status));
        }
        if let Some(conversation) = last.conversation {
            return Ok(Chain::OfConversation(conversation));
        }
        let links = sqlx::AssertSqlSafe(format!(
            "{CHAIN} SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM chain"
        ));
        let own = whose(reader)?;
        let row = sqlx::query(links)
            .bind(id)
            .bind(i64::from(bounds.links))
            .bind(now)
            .bind(&own)
            .fetch_one(&self.pool)
            .await?;
        let bytes = usize::try_from(row.try_get::<i64, _>(1)?).unwrap_or(usize::MAX);
        if bytes > bounds.bytes || row.try_get::<i64, _>(0)? > i64::from(bounds.links) {
            return Ok(Chain::TooLong);
        }
        let items = sqlx::AssertSqlSafe(format!(
            "{CHAIN} SELECT i.body FROM chain c JOIN response_items i ON i.response = c.id \
             ORDER BY c.depth DESC, i.output, i.place"
        ));
        let rows = sqlx::query(items)
            .bind(id)
            .bind(i64::from(bounds.links))
            .bind(now)
            .bind(&own)
            .fetch_all(&self.pool)
            .await?;
        let items = rows.iter().map(body).collect::<Result<_, _>>()?;
        Ok(Chain::Items(items))
    }

    /// The item of that id in any response or conversation that the reader sees; what a model made before what
    /// clients sent.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn stored_item(
        &self,
        id: &str,
        reader: &Caller,
        now: i64,
    ) -> Result<Option<Value>, StoreError> {
        let row = sqlx::query(
            "SELECT body FROM ( \
             SELECT i.body AS body, i.output AS made FROM response_items i \
             JOIN responses r ON r.id = i.response \
             WHERE i.id = ?1 AND r.expires > ?2 AND (?3 IS NULL OR r.caller = ?3) \
             UNION ALL \
             SELECT i.body AS body, 0 AS made FROM conversation_items i \
             JOIN conversations c ON c.id = i.conversation \
             WHERE i.id = ?1 AND i.body <> '' AND (?3 IS NULL OR c.caller = ?3)) AS found \
             ORDER BY made DESC LIMIT 1",
        )
        .bind(id)
        .bind(now)
        .bind(whose(reader)?)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(body).transpose()
    }

    /// The next events of a response that are not all up to the number `after`. Whether the reader sees the response is
    /// for the caller to ask.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn response_events(
        &self,
        id: &str,
        after: Option<u64>,
    ) -> Result<Option<StoredEvents>, StoreError> {
        let after = after.map_or(-1, |number| i64::try_from(number).unwrap_or(i64::MAX));
        let row = sqlx::query(
            "SELECT last, body FROM response_events WHERE response = ? AND last > ? ORDER BY last LIMIT 1",
        )
        .bind(id)
        .bind(after)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(StoredEvents {
                last: row.try_get::<i64, _>(0)? as u64,
                lines: row.try_get(1)?,
            })
        })
        .transpose()
    }

    /// Deletes a response. Returns whether the caller saw one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn delete_response(
        &self,
        id: &str,
        caller: &Caller,
        now: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "DELETE FROM responses WHERE id = ?1 AND expires > ?2 AND (?3 IS NULL OR caller = ?3)",
        )
        .bind(id)
        .bind(now)
        .bind(whose(caller)?)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Deletes up to `limit` responses that have expired at `now`. Returns how many.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn sweep_responses(&self, now: i64, limit: usize) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "DELETE FROM responses WHERE id IN \
             (SELECT id FROM responses WHERE expires <= ? ORDER BY expires LIMIT ?)",
        )
        .bind(now)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

async fn write_items(
    tx: &mut Transaction<'_, Sqlite>,
    response: &str,
    made: bool,
    items: &[StoredItem],
) -> Result<(), StoreError> {
    let mut bytes = 0_i64;
    for (place, item) in items.iter().enumerate() {
        let text = item.body.to_string();
        bytes += text.len() as i64;
        sqlx::query(
            "INSERT INTO response_items (response, output, place, id, body) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(response)
        .bind(i64::from(made))
        .bind(digits(place))
        .bind(&item.id)
        .bind(text)
        .execute(&mut **tx)
        .await?;
    }
    sqlx::query("UPDATE responses SET bytes = bytes + ? WHERE id = ?")
        .bind(bytes)
        .bind(response)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn read(row: &SqliteRow) -> Result<StoredResponse, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("a response: {what}"));
    let status: String = row.try_get("status")?;
    let json = |column: &str| {
        let text: String = row.try_get(column)?;
        serde_json::from_str::<Value>(&text).map_err(|e| damaged(format!("its {column}: {e}")))
    };
    Ok(StoredResponse {
        id: row.try_get("id")?,
        previous: row.try_get("previous")?,
        conversation: row.try_get("conversation")?,
        status: ResponseStatus::parse(&status).ok_or_else(|| damaged(format!("`{status}`")))?,
        background: row.try_get::<i64, _>("background")? != 0,
        streamed: row.try_get::<i64, _>("streamed")? != 0,
        created: row.try_get("created")?,
        ended: row.try_get("ended")?,
        expires: row.try_get("expires")?,
        body: json("body")?,
        outcome: json("outcome")?,
    })
}

#[cfg(test)]
mod tests;
