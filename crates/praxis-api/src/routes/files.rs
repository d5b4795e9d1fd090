//! `/v1/files`: files that clients send, as OpenAI's API has them. A file goes to the disk while it arrives.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::multipart::Field;
use axum::extract::{Path, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use praxis_core::ErrorCode;
use praxis_knowledge::{NewFile, Upload};
use praxis_store::StoredFile;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::form::{Most, file_name};
use super::paging::{LONG, ListParams, listed};
use crate::error::ApiError;
use crate::guard::Admitted;
use crate::state::ApiState;

/// What files are sent for.
pub(crate) const PURPOSES: &[&str] = &[
    "assistants",
    "batch",
    "fine-tune",
    "vision",
    "user_data",
    "evals",
];

/// Bytes of a field that is no file, at most.
const MAX_FIELD: usize = 4096;

/// Fields of a form, at most.
const MAX_FIELDS: usize = 16;

/// How long a file may be kept, in seconds.
pub(crate) const LIFETIMES: std::ops::RangeInclusive<i64> = 3600..=2_592_000;

/// Bytes that are read from the disk in one go.
const PIECE: usize = 64 << 10;

/// Takes a file.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let most = Most {
        bytes: state.files.limits().max_file_bytes,
        fix: "raise `max_file_bytes` under [files] in praxis.toml",
    };
    let mut form = most.open(request, "`file` and `purpose`").await?;
    let mut upload: Option<(Upload, String)> = None;
    let mut form_fields = Form::default();
    let mut fields = 0;
    while let Some(field) = form.next_field().await.map_err(|e| most.broken(&e))? {
        fields += 1;
        if fields > MAX_FIELDS {
            let message = format!("the form has more than {MAX_FIELDS} fields");
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            if upload.is_some() {
                return Err(ApiError::invalid(
                    "file",
                    "the form has more than one `file`",
                ));
            }
            upload = Some(receive(&state, field, most).await?);
        } else {
            form_fields.take(&name, text(field, &name, most).await?)?;
        }
    }
    let Some((upload, filename)) = upload else {
        return Err(ApiError::invalid("file", "the form has no `file`"));
    };
    let (purpose, expires_after) = form_fields.finish()?;
    let new = NewFile {
        filename,
        purpose,
        expires_after,
    };
    let file = state.files.keep(upload, new, &caller).await?;
    Ok(Json(shape(&file)))
}

/// What a form says beside its file.
#[derive(Debug, Default)]
struct Form {
    purpose: Option<String>,
    anchor: Option<String>,
    seconds: Option<String>,
}

impl Form {
    fn take(&mut self, name: &str, value: String) -> Result<(), ApiError> {
        let place = match name {
            "purpose" => &mut self.purpose,
            "expires_after[anchor]" => &mut self.anchor,
            "expires_after[seconds]" => &mut self.seconds,
            _ => {
                let message = format!(
                    "`{name}` is no field of a file: there are `file`, `purpose` and `expires_after`"
                );
                return Err(ApiError::invalid(name, message));
            }
        };
        *place = Some(value);
        Ok(())
    }

    /// What the file is for, and seconds after which it goes.
    fn finish(self) -> Result<(String, Option<i64>), ApiError> {
        let purpose = self.purpose.unwrap_or_default();
        if !PURPOSES.contains(&purpose.as_str()) {
            let message = format!("`purpose` must be one of {}", PURPOSES.join(", "));
            return Err(ApiError::invalid("purpose", message));
        }
        let expires = match (self.anchor.as_deref(), self.seconds) {
            (None, None) => None,
            (Some("created_at"), Some(seconds)) => {
                let seconds = seconds
                    .parse::<i64>()
                    .ok()
                    .filter(|s| LIFETIMES.contains(s));
                let message = format!(
                    "`expires_after.seconds` must be between {} and {}",
                    LIFETIMES.start(),
                    LIFETIMES.end()
                );
                let wrong = || ApiError::invalid("expires_after.seconds", message);
                Some(seconds.ok_or_else(wrong)?)
            }
            _ => {
                let message =
                    "`expires_after` needs `anchor`, which is `created_at`, and `seconds`";
                return Err(ApiError::invalid("expires_after", message));
            }
        };
        Ok((purpose, expires))
    }
}

/// A page of files.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    params: ListParams,
) -> Result<Json<Value>, ApiError> {
    let page = params.page(LONG)?;
    let purpose = params.text("purpose");
    let found = state.files.list(purpose, &page, &caller.clearance).await?;
    Ok(Json(listed(found, shape)))
}

/// One of them.
pub(crate) async fn retrieve(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(shape(&state.files.get(&id, &caller.clearance).await?)))
}

/// Deletes a file, also from vector stores.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    state.files.delete(&id, &caller).await?;
    Ok(Json(json!({ "id": id, "object": "file", "deleted": true })))
}

/// The bytes of a file.
pub(crate) async fn content(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let file = state.files.get(&id, &caller.clearance).await?;
    let bytes = state.files.content(&file).await?;
    let pieces = futures::stream::try_unfold(bytes, |mut bytes| async move {
        let mut piece = vec![0; PIECE];
        let read = bytes.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), bytes)))
    });
    // Never a type that a browser would run.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, file.bytes.to_string()),
        (header::CONTENT_DISPOSITION, "attachment".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// A file as it is answered.
pub(super) fn shape(file: &StoredFile) -> Value {
    let mut shown = json!({
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
    });
    if let Some(expires) = file.expires {
        shown["expires_at"] = json!(expires);
    }
    shown
}

/// A file on its way to the disk, and its name. What is over the limit is read to its end, and not kept: a
/// client that is still sending does not hear an answer.
async fn receive(
    state: &ApiState,
    mut field: Field<'_>,
    most: Most,
) -> Result<(Upload, String), ApiError> {
    let name = file_name(&field)?;
    let mut upload = state.files.receive().await?;
    let mut refused = None;
    while let Some(piece) = field.chunk().await.map_err(|e| most.broken(&e))? {
        if refused.is_none()
            && let Err(error) = upload.write(&piece).await
        {
            refused = Some(error);
        }
    }
    match refused {
        None => Ok((upload, name)),
        Some(error) => Err(ApiError::from(error).about("file")),
    }
}

/// A field that is a short text.
async fn text(mut field: Field<'_>, name: &str, most: Most) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|e| most.broken(&e))? {
        if bytes.len() + piece.len() > MAX_FIELD {
            let message = format!("`{name}` is longer than {MAX_FIELD} bytes");
            return Err(ApiError::invalid(name, message));
        }
        bytes.extend_from_slice(&piece);
    }
    let message = format!("`{name}` is not UTF-8");
    String::from_utf8(bytes).map_err(|_| ApiError::invalid(name, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_lacks_is_named() {
        let form = |fields: &[(&str, &str)]| {
            let mut form = Form::default();
            for (name, value) in fields {
                form.take(name, (*value).to_owned())?;
            }
            form.finish()
        };
        let anchor = ("expires_after[anchor]", "created_at");
        let day = ("expires_after[seconds]", "86400");
        let purpose = ("purpose", "user_data");
        let found = form(&[purpose, anchor, day]).unwrap();
        assert_eq!(found, ("user_data".to_owned(), Some(86_400)));
        assert_eq!(form(&[purpose]).unwrap().1, None);
        for wrong in [
            &[][..],
            &[("purpose", "fun")],
            &[purpose, anchor],
            &[purpose, day],
            &[purpose, anchor, ("expires_after[seconds]", "60")],
            &[purpose, ("expires_after[anchor]", "now"), day],
            &[purpose, ("color", "red")],
        ] {
            assert!(form(wrong).is_err(), "{wrong:?}");
        }
    }
}
