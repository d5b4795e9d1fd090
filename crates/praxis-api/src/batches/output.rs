//! The files that a batch ends with, in the order of its input: one of what was answered well, one of all else. They
//! are written from the rows of the store and noted there together with the batch's end, in one transaction: whoever
//! is killed, there are no two of them, and none of a batch that goes on.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use praxis_core::{CallError, Usage, ids};
use praxis_knowledge::{NewFile, Owned, Upload};
use praxis_store::{Batch, BatchAnswer, BatchFiles, BatchStatus, Ended, LineOutcome, StoredFile};
use serde_json::json;

use super::Batches;
use super::lines::{self, START};

/// What ids of results begin with.
pub(super) const RESULT: &str = "batch_req_";

/// What the files are for.
const PURPOSE: &str = "batch_output";

/// Results that are read in one go; each may be large.
const PAGE: usize = 16;

/// Requests that are given up in one transaction.
const GROUP: usize = 500;

/// Ends a batch of whose requests no more are made.
///
/// # Errors
/// `too_large` where all files together would be, or a store or a disk that fails; then the batch is as it was.
pub(super) async fn finish(batches: &Batches, batch: &Batch) -> Result<(), CallError> {
    let ending = batch.ending.unwrap_or(BatchStatus::Completed);
    if batch.times.begun.is_some()
        && let Some((code, message)) = unmade(ending)
    {
        give_up(batches, batch, code, message).await?;
    }
    deliver(batches, batch).await?;
    batches.files.release(&batch.hash).await
}

/// Why requests of a batch that ends so were not made: a stable code, OpenAI's where there is one, and for people.
fn unmade(ending: BatchStatus) -> Option<(&'static str, &'static str)> {
    match ending {
        BatchStatus::Expired => Some((
            "batch_expired",
            "the batch's time was over before this request was made",
        )),
        BatchStatus::Cancelled => Some((
            "batch_cancelled",
            "the batch was called off before this request was made",
        )),
        BatchStatus::Failed => Some((
            "batch_failed",
            "the batch ended before this request was made: see its errors",
        )),
        _ => None,
    }
}

/// Notes of all requests that have no result that they have none.
async fn give_up(
    batches: &Batches,
    batch: &Batch,
    code: &str,
    message: &str,
) -> Result<(), CallError> {
    let answered = batches.store.answered_lines(&batch.id).await;
    let answered: HashSet<u64> = answered.map_err(CallError::failure)?.into_iter().collect();
    let answered = Arc::new(answered);
    let mut at = START;
    loop {
        let (path, skipped) = (batches.files.path(&batch.hash), Arc::clone(&answered));
        let endpoint = batch.endpoint.clone();
        let read = tokio::task::spawn_blocking(move || {
            lines::names_from(&path, at, &skipped, &endpoint, GROUP)
        });
        let (names, behind) = match read.await.map_err(CallError::failure)? {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::warn!(
                    batch = batch.id,
                    "the input is gone: its requests are not listed"
                );
                return Ok(());
            }
            Err(error) => return Err(CallError::failure(error)),
        };
        if names.is_empty() {
            return Ok(());
        }
        let row = |(line, custom_id)| {
            let outcome = LineOutcome::Unanswered {
                code: code.to_owned(),
                message: message.to_owned(),
            };
            let id = ids::generate(RESULT);
            let answer = BatchAnswer {
                line,
                id,
                custom_id,
                outcome,
            };
            (answer, Usage::default())
        };
        let rows: Vec<_> = names.into_iter().map(row).collect();
        let put = batches.store.put_batch_answers(&batch.id, &rows).await;
        put.map_err(CallError::failure)?;
        at = behind;
    }
}

/// Writes the files of a batch, and notes them and its end.
async fn deliver(batches: &Batches, batch: &Batch) -> Result<(), CallError> {
    let (output, error) = written(batches, batch).await?;
    let new = |name: &str| NewFile {
        filename: format!("{}_{name}.jsonl", batch.id),
        purpose: PURPOSE.to_owned(),
        expires_after: batch.output_expires,
    };
    let has_output = output.is_some();
    let output = output.map(|upload| (upload, new("output")));
    let error = error.map(|upload| (upload, new("error")));
    let owned = Owned {
        owner: batch.owner.clone(),
        labels: batch.labels.clone(),
    };
    let files = &batches.files;
    let whole: Vec<_> = [output, error].into_iter().flatten().collect();
    let placed = files.place(whole, &owned).await?;
    let noted = {
        let mut each = placed.files().iter();
        let output: Option<&StoredFile> = if has_output { each.next() } else { None };
        let error = each.next();
        let (most, now) = (files.limits().max_total_bytes, (batches.clock)());
        let ends = BatchFiles { output, error };
        batches.store.finish_batch(&batch.id, ends, most, now).await
    };
    match noted {
        Ok(Ended::Noted) => Ok(()),
        refused => {
            files.withdraw(placed).await;
            match refused.map_err(CallError::failure)? {
                Ended::NoRoom => Err(files.no_room()),
                // Another process has noted it.
                Ended::Noted | Ended::NotNow => Ok(()),
            }
        }
    }
}

/// The bytes of both files, as far as there are any.
async fn written(
    batches: &Batches,
    batch: &Batch,
) -> Result<(Option<Upload>, Option<Upload>), CallError> {
    let (mut output, mut error) = (None, None);
    let mut after = 0;
    loop {
        let page = batches.store.batch_answers(&batch.id, after, PAGE).await;
        let page = page.map_err(CallError::failure)?;
        let Some(last) = page.last() else {
            return Ok((output, error));
        };
        after = last.line;
        let (mut good, mut bad) = (String::new(), String::new());
        for answer in &page {
            let text = match answer.is_success() {
                true => &mut good,
                false => &mut bad,
            };
            text.push_str(&line(answer));
            text.push('\n');
        }
        append(batches, &mut output, &good).await?;
        append(batches, &mut error, &bad).await?;
    }
}

/// Writes to a file that is made when it is needed.
async fn append(batches: &Batches, file: &mut Option<Upload>, text: &str) -> Result<(), CallError> {
    if text.is_empty() {
        return Ok(());
    }
    if file.is_none() {
        *file = Some(batches.files.write_own().await?);
    }
    match file {
        Some(upload) => upload.write(text.as_bytes()).await,
        None => Ok(()),
    }
}

/// A result as the files have it.
fn line(answer: &BatchAnswer) -> String {
    let (id, custom_id) = (json!(answer.id), json!(answer.custom_id));
    match &answer.outcome {
        // The body is JSON already, and may be large.
        LineOutcome::Answered {
            status,
            request,
            body,
        } => format!(
            r#"{{"id":{id},"custom_id":{custom_id},"response":{{"status_code":{status},"request_id":{},"body":{body}}},"error":null}}"#,
            json!(request)
        ),
        LineOutcome::Unanswered { code, message } => json!({
            "id": id,
            "custom_id": custom_id,
            "response": null,
            "error": { "code": code, "message": message },
        })
        .to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_result_is_one_line_of_json_as_openai_has_it() {
        let answer = |outcome| BatchAnswer {
            line: 3,
            id: "batch_req_1".to_owned(),
            custom_id: "a \"b\"\n".to_owned(),
            outcome,
        };
        let answered = answer(LineOutcome::Answered {
            status: 200,
            request: "r\\1".to_owned(),
            body: json!({ "text": "x\ny" }).to_string(),
        });
        let unanswered = answer(LineOutcome::Unanswered {
            code: "batch_expired".to_owned(),
            message: "late".to_owned(),
        });
        for (answer, response, error) in [
            (
                answered,
                json!({ "status_code": 200, "request_id": "r\\1", "body": { "text": "x\ny" } }),
                Value::Null,
            ),
            (
                unanswered,
                Value::Null,
                json!({ "code": "batch_expired", "message": "late" }),
            ),
        ] {
            let line = line(&answer);
            assert!(!line.contains('\n'), "{line}");
            let read: Value = serde_json::from_str(&line).unwrap();
            let wanted = json!({
                "id": "batch_req_1",
                "custom_id": "a \"b\"\n",
                "response": response,
                "error": error,
            });
            assert_eq!(read, wanted);
        }
    }
}
