//! `/praxis/v1/knowledge/{base}/preview`: what a file would become in a base. The file is read in memory, and nothing
//! of it is kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::Field;
use axum::extract::{Path, Request, State};
use praxis_core::CallError;
use praxis_knowledge::Preview;
use tokio::sync::Semaphore;

use super::form::{Most, file_name};
use crate::error::ApiError;
use crate::guard::Admitted;
use crate::state::ApiState;

/// Files that are read at a time: each may take a processor, and some times its size in memory.
static READING: Semaphore = Semaphore::const_new(2);

/// Shows how a file would be cut.
pub(crate) async fn preview(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(base): Path<String>,
    request: Request,
) -> Result<Json<Preview>, ApiError> {
    let own = state.knowledge.preview_limit(&base, &caller.clearance)?;
    let of_server = state.files.limits().max_file_bytes;
    let most = Most {
        bytes: own.min(of_server),
        fix: match own <= of_server {
            true => "split it, or raise `max_file_bytes` under [source] of the base",
            false => "split it, or raise `max_file_bytes` under [files] in praxis.toml",
        },
    };
    let mut form = most.open(request, "`file`").await?;
    let mut file = None;
    while let Some(field) = form.next_field().await.map_err(|e| most.broken(&e))? {
        let name = field.name().unwrap_or_default();
        if name != "file" {
            let message = format!("`{name}` is no field of a preview: there is `file`");
            return Err(ApiError::invalid(name, message));
        }
        if file.is_some() {
            let message = "the form has more than one `file`";
            return Err(ApiError::invalid("file", message));
        }
        file = Some(receive(field, most).await?);
    }
    let Some((name, bytes)) = file else {
        return Err(ApiError::invalid("file", "the form has no `file`"));
    };
    let knowledge = Arc::clone(&state.knowledge);
    // On a task of its own, so that a file counts until it is read, also where its sender has gone.
    let read = tokio::spawn(async move {
        let _turn = READING.acquire().await.map_err(CallError::failure)?;
        let read = knowledge.preview_bytes(&base, name, bytes, &caller.clearance);
        read.await
    });
    Ok(Json(read.await.map_err(CallError::failure)??))
}

/// The name and the bytes of a file. What is over the limit is read to its end, and not kept: a client that is still
/// sending does not hear an answer.
async fn receive(mut field: Field<'_>, most: Most) -> Result<(String, Vec<u8>), ApiError> {
    let name = file_name(&field)?;
    let mut bytes = Vec::new();
    let mut size = 0;
    while let Some(piece) = field.chunk().await.map_err(|e| most.broken(&e))? {
        size += piece.len() as u64;
        if size <= most.bytes {
            bytes.extend_from_slice(&piece);
        } else {
            bytes = Vec::new();
        }
    }
    if size > most.bytes {
        return Err(most.exceeded());
    }
    Ok((name, bytes))
}
