//! What came of a batch's requests: a row for each until the output files have it. Then the files and the batch's
//! end are noted in one transaction, and the rows go.

use praxis_core::Usage;
use sqlx::{Row, Sqlite, Transaction};

use super::read::answer;
use super::{BatchAnswer, BatchFiles, Ended, LineOutcome, signed, unsigned};
use crate::files::{StoredFile, add_file};
use crate::{Store, StoreError};

impl Store {
    /// Keeps what came of requests, with the tokens of each. One that is done with already stays as it is, and so
    /// does a batch that has ended.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn put_batch_answers(
        &self,
        batch: &str,
        answers: &[(BatchAnswer, Usage)],
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let open = sqlx::query("SELECT 1 FROM batches WHERE id = ? AND ended IS NULL")
            .bind(batch)
            .fetch_optional(&mut *tx)
            .await?;
        if open.is_none() {
            return Ok(());
        }
        let (mut completed, mut failed, mut usage) = (0_u64, 0_u64, Usage::default());
        for (answer, tokens) in answers {
            if !insert(&mut tx, batch, answer).await? {
                continue;
            }
            match answer.is_success() {
                true => completed += 1,
                false => failed += 1,
            }
            usage += *tokens;
        }
        sqlx::query(
            "UPDATE batches SET completed = completed + ?, failed = failed + ?, \
             input_tokens = input_tokens + ?, cached_tokens = cached_tokens + ?, \
             output_tokens = output_tokens + ?, reasoning_tokens = reasoning_tokens + ? WHERE id = ?",
        )
        .bind(signed(completed))
        .bind(signed(failed))
        .bind(signed(usage.input_tokens))
        .bind(signed(usage.cached_tokens))
        .bind(signed(usage.output_tokens))
        .bind(signed(usage.reasoning_tokens))
        .bind(batch)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Lines of a batch that are done with.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn answered_lines(&self, batch: &str) -> Result<Vec<u64>, StoreError> {
        let rows = sqlx::query("SELECT line FROM batch_answers WHERE batch = ?")
            .bind(batch)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| Ok(unsigned(row.try_get(0)?)))
            .collect()
    }

    /// Up to `limit` of a batch's requests that are done with, in the order of their lines, from the one after
    /// `after` on.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn batch_answers(
        &self,
        batch: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<BatchAnswer>, StoreError> {
        let rows = sqlx::query(
            "SELECT line, id, custom_id, status, request, body FROM batch_answers \
             WHERE batch = ? AND line > ? ORDER BY line LIMIT ?",
        )
        .bind(batch)
        .bind(signed(after))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(answer).collect()
    }

    /// Ends a batch that is about to: notes its files, unless all files together would then have more than `most`
    /// bytes, and drops the rows that they were made of.
    ///
    /// # Errors
    /// Where the database fails; then nothing has changed.
    pub async fn finish_batch(
        &self,
        id: &str,
        files: BatchFiles<'_>,
        most: u64,
        now: i64,
    ) -> Result<Ended, StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let file = |file: Option<&StoredFile>| file.map(|file| file.id.clone());
        let done = sqlx::query(
            "UPDATE batches SET status = ending, output_file = ?, error_file = ?, ended = ? \
             WHERE id = ? AND status IN ('finalizing', 'cancelling')",
        )
        .bind(file(files.output))
        .bind(file(files.error))
        .bind(now)
        .bind(id)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(Ended::NotNow);
        }
        for file in [files.output, files.error].into_iter().flatten() {
            if !add_file(&mut tx, file, most).await? {
                return Ok(Ended::NoRoom);
            }
        }
        sqlx::query("DELETE FROM batch_answers WHERE batch = ?")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Ended::Noted)
    }
}

/// Adds a row, unless its line has one.
async fn insert(
    tx: &mut Transaction<'_, Sqlite>,
    batch: &str,
    answer: &BatchAnswer,
) -> Result<bool, StoreError> {
    let (status, request, body) = match &answer.outcome {
        LineOutcome::Answered {
            status,
            request,
            body,
        } => (Some(i64::from(*status)), request, body),
        LineOutcome::Unanswered { code, message } => (None, code, message),
    };
    let done = sqlx::query(
        "INSERT INTO batch_answers (batch, line, id, custom_id, status, request, body) \
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(batch)
    .bind(signed(answer.line))
    .bind(&answer.id)
    .bind(&answer.custom_id)
    .bind(status)
    .bind(request)
    .bind(body)
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}
