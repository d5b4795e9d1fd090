//! Forms that carry a file (`multipart/form-data`): how large it may be, what it is called, and what is wrong with a
//! form. Left out: where the bytes of the file go.

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, StatusCode, header};
use praxis_core::ErrorCode;

use crate::error::ApiError;

/// Bytes of a form beside its file.
const MAX_REST: u64 = 64 << 10;

/// Characters of a file's name, at most.
const MAX_NAME: usize = 255;

/// The most bytes of a file.
#[derive(Clone, Copy)]
pub(super) struct Most {
    pub bytes: u64,
    /// What can be done about a larger one.
    pub fix: &'static str,
}

impl Most {
    /// The form of a request, which has these fields.
    ///
    /// # Errors
    /// A body that is no form, or that is far too large, whose sender is told before it is read to its end.
    pub async fn open(self, request: Request, fields: &str) -> Result<Multipart, ApiError> {
        let far = self.bytes.saturating_mul(2).saturating_add(MAX_REST);
        if declared(request.headers()).is_some_and(|bytes| bytes > far) {
            return Err(self.exceeded());
        }
        let form = Multipart::from_request(request, &()).await;
        form.map_err(|rejection| {
            let message = format!(
                "send the file as `multipart/form-data` with {fields}: {}",
                rejection.body_text()
            );
            ApiError::new(ErrorCode::InvalidRequest, message)
        })
    }

    /// The error of a file that is larger.
    pub fn exceeded(self) -> ApiError {
        let message = format!(
            "the file is larger than {} bytes ({})",
            self.bytes, self.fix
        );
        ApiError::new(ErrorCode::TooLarge, message).about("file")
    }

    /// The error of a form that cannot be read.
    pub fn broken(self, error: &MultipartError) -> ApiError {
        match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => self.exceeded(),
            _ => {
                let message = format!("the form cannot be read: {}", error.body_text());
                ApiError::new(ErrorCode::InvalidRequest, message)
            }
        }
    }
}

/// What the file of a field is called.
///
/// # Errors
/// One without a name.
pub(super) fn file_name(field: &Field<'_>) -> Result<String, ApiError> {
    let name = base_name(field.file_name().unwrap_or_default());
    if name.is_empty() {
        let message = "`file` has no file name: send one in its `content-disposition`";
        return Err(ApiError::invalid("file", message));
    }
    Ok(name)
}

/// The last part of a path, without what would not show.
pub(super) fn base_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown = last.chars().filter(|c| !c.is_control());
    let name: String = shown.take(MAX_NAME).collect();
    name.trim().to_owned()
}

/// Bytes of the body, as its sender declares them.
fn declared(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_files_are_no_paths() {
        for (name, want) in [
            ("notes.md", "notes.md"),
            ("/etc/passwd", "passwd"),
            ("C:\\docs\\a b.pdf", "a b.pdf"),
            ("../", ""),
            (" a\n.txt ", "a.txt"),
            ("", ""),
        ] {
            assert_eq!(base_name(name), want, "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn any_name_becomes_a_short_one_without_a_path(name in "\\PC{0,300}|[/\\\\.a\n]{0,40}") {
            let name = base_name(&name);
            prop_assert!(name.chars().count() <= MAX_NAME);
            prop_assert!(!name.contains(['/', '\\', '\n']));
        }
    }
}
