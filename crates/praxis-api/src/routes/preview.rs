//! `/praxis/v1/knowledge/{base}/preview`: what a file would become in a base. The file is read in memory, and nothing
//! of it is kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Path, Request, State};
use axum::http::StatusCode;
use praxis_core::{CallError, ErrorCode};
use praxis_knowledge::Preview;
use tokio::sync::Semaphore;

use super::files::{MAX_REST, base_name, declared};
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
    let most = Most {
        bytes: own.min(state.files.limits().max_file_bytes),
        is_of_base: own <= state.files.limits().max_file_bytes,
    };
    // A body that is far too large is not read to its end before its sender is told.
    let far = most.bytes.saturating_mul(2).saturating_add(MAX_REST);
    if declared(request.headers()).is_some_and(|bytes| bytes > far) {
        return Err(most.exceeded());
    }
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|rejection| {
        let message = format!(
            "send the file as `multipart/form-data` with `file`: {}",
            rejection.body_text()
        );
        ApiError::new(ErrorCode::InvalidRequest, message)
    })?;
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

/// The most bytes of a file.
#[derive(Clone, Copy)]
struct Most {
    bytes: u64,
    /// Whether the base says so, and not the server.
    is_of_base: bool,
}

impl Most {
    fn exceeded(self) -> ApiError {
        let place = match self.is_of_base {
            true => "under [source] of the base",
            false => "under [files] in praxis.toml",
        };
        let message = format!(
            "the file is larger than {} bytes (split it, or raise `max_file_bytes` {place})",
            self.bytes
        );
        ApiError::new(ErrorCode::TooLarge, message).about("file")
    }

    /// The error of a form that cannot be read.
    fn broken(self, error: &MultipartError) -> ApiError {
        match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => self.exceeded(),
            _ => {
                let message = format!("the form cannot be read: {}", error.body_text());
                ApiError::new(ErrorCode::InvalidRequest, message)
            }
        }
    }
}

/// The name and the bytes of a file. What is over the limit is read to its end, and not kept: a client that is still
/// sending does not hear an answer.
async fn receive(mut field: Field<'_>, most: Most) -> Result<(String, Vec<u8>), ApiError> {
    let name = base_name(field.file_name().unwrap_or_default());
    if name.is_empty() {
        let message = "`file` has no file name: send one in its `content-disposition`";
        return Err(ApiError::invalid("file", message));
    }
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
