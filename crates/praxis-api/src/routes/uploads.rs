//! `/v1/uploads` (OpenAI API reference, "Uploads"): files that come in parts. A part goes to the disk while it arrives.

use axum::Json;
use axum::extract::multipart::MultipartError;
use axum::extract::{Path, Request, State};
use praxis_knowledge::{Files, NewFile, NewUpload, UploadError};
use praxis_store::{StoredFile, StoredUpload};
use serde::Deserialize;
use serde_json::{Value, json};

use super::files::{self, LIFETIMES, PURPOSES};
use super::form::{Most, base_name};
use crate::error::{ApiError, JsonBody};
use crate::guard::Admitted;
use crate::state::ApiState;

/// Parts that one file may be put together of.
pub(crate) const MOST_PARTS: usize = 10_000;

/// Bytes of a MIME type, at most.
pub(crate) const MAX_TYPE: usize = 255;

/// Hexadecimal digits of an MD5.
const MD5_DIGITS: usize = 32;

/// When a file goes by itself.
#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FileLifetime")]
pub(super) struct Lifetime {
    anchor: Anchor,
    seconds: i64,
}

#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FileLifetimeAnchor")]
enum Anchor {
    CreatedAt,
}

impl Lifetime {
    /// How many seconds after it was made; `param` is the field that says so.
    ///
    /// # Errors
    /// A time that is too short or too long.
    pub fn seconds(self, param: &str) -> Result<i64, ApiError> {
        let Anchor::CreatedAt = self.anchor;
        if LIFETIMES.contains(&self.seconds) {
            return Ok(self.seconds);
        }
        let (least, most) = (LIFETIMES.start(), LIFETIMES.end());
        let message = format!("`{param}.seconds` must be between {least} and {most}");
        Err(ApiError::invalid(&format!("{param}.seconds"), message))
    }
}

/// An upload to be begun.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UploadRequest")]
pub(crate) struct Create {
    filename: String,
    purpose: String,
    bytes: u64,
    /// It says nothing that the bytes do not, and is not kept.
    mime_type: String,
    expires_after: Option<Lifetime>,
}

impl Create {
    fn upload(self) -> Result<NewUpload, ApiError> {
        let filename = base_name(&self.filename);
        if filename.is_empty() {
            let message = "`filename` must be the name of a file";
            return Err(ApiError::invalid("filename", message));
        }
        if !PURPOSES.contains(&self.purpose.as_str()) {
            let message = format!("`purpose` must be one of {}", PURPOSES.join(", "));
            return Err(ApiError::invalid("purpose", message));
        }
        if self.mime_type.is_empty() || self.mime_type.len() > MAX_TYPE {
            let message = format!("`mime_type` must have 1 to {MAX_TYPE} bytes");
            return Err(ApiError::invalid("mime_type", message));
        }
        let expires = self.expires_after;
        let expires = expires.map(|expires| expires.seconds("expires_after"));
        Ok(NewUpload {
            bytes: self.bytes,
            file: NewFile {
                filename,
                purpose: self.purpose,
                expires_after: expires.transpose()?,
            },
        })
    }
}

/// Begins an upload.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    JsonBody(body): JsonBody<Create>,
) -> Result<Json<Value>, ApiError> {
    let begun = state.files.begin_upload(body.upload()?, &caller).await;
    Ok(Json(shape(&begun.map_err(told)?, None)))
}

/// Takes a part.
pub(crate) async fn add_part(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let most = Most {
        bytes: Files::MAX_PART,
        fix: "cut the file into smaller parts",
    };
    let form = most.open(request, "`data`").await;
    let mut form = form.map_err(|error| error.about("data"))?;
    let broken = |error: MultipartError| most.broken(&error).about("data");
    let mut arrived = None;
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name != "data" || arrived.is_some() {
            let message = format!("`{name}` is too much: the form has one field, `data`");
            return Err(ApiError::invalid(&name, message));
        }
        // What is refused is read to its end: a client that is still sending does not hear an answer.
        let mut part = state.files.receive_part(&id, &caller).await;
        while let Some(piece) = field.chunk().await.map_err(broken)? {
            let written = match &mut part {
                Ok(part) => part.write(&piece).await,
                Err(_) => Ok(()),
            };
            if let Err(error) = written {
                part = Err(error);
            }
        }
        arrived = Some(part.map_err(ApiError::from)?);
    }
    let Some(arrived) = arrived else {
        return Err(ApiError::invalid("data", "the form has no `data`"));
    };
    let part = state.files.keep_part(&id, arrived, &caller).await?;
    Ok(Json(json!({
        "id": part.id,
        "object": "upload.part",
        "created_at": part.created,
        "upload_id": part.upload,
    })))
}

/// What a client says when all parts are there.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UploadCompletion")]
pub(crate) struct Complete {
    part_ids: Vec<String>,
    md5: Option<String>,
}

impl Complete {
    fn check(&self) -> Result<(), ApiError> {
        if self.part_ids.is_empty() || self.part_ids.len() > MOST_PARTS {
            let message = format!("`part_ids` must have 1 to {MOST_PARTS} ids");
            return Err(ApiError::invalid("part_ids", message));
        }
        let is_md5 = |text: &String| {
            text.len() == MD5_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit())
        };
        if self.md5.as_ref().is_some_and(|md5| !is_md5(md5)) {
            let message = format!("`md5` must have {MD5_DIGITS} hexadecimal digits");
            return Err(ApiError::invalid("md5", message));
        }
        Ok(())
    }
}

/// Makes the parts a file.
pub(crate) async fn complete(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<Complete>,
) -> Result<Json<Value>, ApiError> {
    body.check()?;
    let md5 = body.md5.as_deref();
    let completed = state
        .files
        .complete_upload(&id, &body.part_ids, md5, &caller)
        .await;
    let (upload, file) = completed.map_err(told)?;
    Ok(Json(shape(&upload, Some(&file))))
}

/// Calls an upload off.
pub(crate) async fn cancel(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let upload = state.files.cancel_upload(&id, &caller).await?;
    Ok(Json(shape(&upload, None)))
}

/// An error with the field that it is about.
fn told(refused: UploadError) -> ApiError {
    let error = ApiError::from(refused.error);
    match refused.param {
        Some(param) => error.about(param),
        None => error,
    }
}

/// An upload as it is answered.
fn shape(upload: &StoredUpload, file: Option<&StoredFile>) -> Value {
    let mut shown = json!({
        "id": upload.id,
        "object": "upload",
        "bytes": upload.bytes,
        "created_at": upload.created,
        "expires_at": upload.expires,
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": upload.status.as_str(),
    });
    if let Some(file) = file {
        shown["file"] = files::shape(file);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(error: &ApiError) -> String {
        let body = error.body();
        body["error"]["param"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    #[test]
    fn what_is_wrong_with_an_upload_is_named() {
        let create = |field: &str, value: Value| {
            let mut body = json!({
                "filename": "dir/in.jsonl",
                "purpose": "batch",
                "bytes": 7,
                "mime_type": "application/jsonl",
            });
            body[field] = value;
            let create: Create = serde_json::from_value(body).unwrap();
            create.upload()
        };
        let hour = json!({ "anchor": "created_at", "seconds": 3600 });
        let new = create("expires_after", hour).unwrap();
        assert_eq!((new.bytes, new.file.expires_after), (7, Some(3600)));
        assert_eq!(new.file.filename, "in.jsonl");
        for (field, value, wrong) in [
            ("filename", json!("../"), "filename"),
            ("purpose", json!("batch_output"), "purpose"),
            ("mime_type", json!(""), "mime_type"),
            (
                "expires_after",
                json!({ "anchor": "created_at", "seconds": 60 }),
                "expires_after.seconds",
            ),
        ] {
            let error = create(field, value).unwrap_err();
            assert_eq!(param(&error), wrong);
        }
    }

    #[test]
    fn what_is_wrong_with_the_end_is_named() {
        let md5 = "0123456789abcdef0123456789ABCDEF";
        for (body, wrong) in [
            (json!({ "part_ids": ["a"] }), None),
            (json!({ "part_ids": ["a"], "md5": null }), None),
            (json!({ "part_ids": ["a"], "md5": md5 }), None),
            (json!({ "part_ids": ["a"], "md5": &md5[1..] }), Some("md5")),
            (
                json!({ "part_ids": ["a"], "md5": "x".repeat(32) }),
                Some("md5"),
            ),
            (json!({ "part_ids": [] }), Some("part_ids")),
        ] {
            let complete: Complete = serde_json::from_value(body.clone()).unwrap();
            let found = complete.check().err().map(|error| param(&error));
            assert_eq!(found.as_deref(), wrong, "{body}");
        }
    }
}
