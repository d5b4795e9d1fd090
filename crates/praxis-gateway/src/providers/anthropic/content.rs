//! Parts of a message as the API has them (Claude documentation, "Vision", "PDF support"). Left out: files that are
//! kept at the provider.

use praxis_core::{Message, ModelError, Part};
use serde_json::{Value, json};

use crate::wire;

/// Images that the API takes.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// The blocks of a message. Blank texts are left out: the API refuses them.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for media that the API has no word for.
pub(super) fn said(name: &str, message: &Message) -> Result<Vec<Value>, ModelError> {
    let parts = message.content.iter();
    parts
        .filter_map(|part| block(name, part).transpose())
        .collect()
}

fn block(name: &str, part: &Part) -> Result<Option<Value>, ModelError> {
    let url = match part {
        Part::Text(text) if text.trim().is_empty() => return Ok(None),
        Part::Text(text) => return Ok(Some(json!({ "type": "text", "text": text }))),
        Part::Media { url, .. } => url,
    };
    let (kind, media) = match part.media_type() {
        Some("image/jpg") => ("image", "image/jpeg"),
        Some(media) if IMAGES.contains(&media) => ("image", media),
        Some(media @ "application/pdf") => ("document", media),
        // What has no type is an image: by far the most of what is sent, and the API will say.
        None if !url.starts_with("data:") => ("image", ""),
        None => {
            let what =
                "has to be told what a `data:` URL holds; begin it like `data:image/png;base64,`";
            return Err(refused(name, what));
        }
        Some(media) if media.starts_with("image/") => {
            let what = format!("takes images as JPEG, PNG, GIF or WebP, not `{media}`; convert it");
            return Err(refused(name, &what));
        }
        Some(media) => {
            let what = format!("takes images and PDF, not `{media}`; send one of those, or text");
            return Err(refused(name, &what));
        }
    };
    let source = match (url.starts_with("data:"), url.split_once(";base64,")) {
        (false, _) => json!({ "type": "url", "url": url }),
        (true, Some((_, data))) => {
            json!({ "type": "base64", "media_type": media, "data": data })
        }
        (true, None) => {
            let what =
                "takes what is in a message itself only as base64; write `;base64,` and encode it";
            return Err(refused(name, what));
        }
    };
    Ok(Some(json!({ "type": kind, "source": source })))
}

/// Why a message cannot be sent.
pub(super) fn refused(name: &str, what: &str) -> ModelError {
    wire::refused("messages", name, "Anthropic's API", what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(url: &str, content_type: Option<&str>) -> Part {
        Part::Media {
            url: url.to_owned(),
            content_type: content_type.map(str::to_owned),
            detail: None,
        }
    }

    #[test]
    fn media_are_blocks_or_refused_with_the_fix() {
        let url = |url: &str| json!({"type": "url", "url": url});
        let data = |media: &str| json!({"type": "base64", "media_type": media, "data": "AA=="});
        for (part, expected) in [
            (
                media("https://a/b", None),
                json!({"type": "image", "source": url("https://a/b")}),
            ),
            (
                media("data:image/jpg;base64,AA==", None),
                json!({"type": "image", "source": data("image/jpeg")}),
            ),
            (
                media("data:application/pdf;base64,AA==", None),
                json!({"type": "document", "source": data("application/pdf")}),
            ),
            (
                media("https://a/b.pdf", Some("application/pdf")),
                json!({"type": "document", "source": url("https://a/b.pdf")}),
            ),
        ] {
            assert_eq!(block("m", &part).unwrap(), Some(expected));
        }
        for (part, said) in [
            (media("data:image/bmp;base64,AA==", None), "JPEG"),
            (media("https://a/b.wav", Some("audio/wav")), "`audio/wav`"),
            (media("data:image/png,AA", None), "`;base64,`"),
            (media("data:;base64,AA==", None), "data:image/png"),
        ] {
            let error = block("m", &part).unwrap_err().to_string();
            assert!(error.starts_with("messages: `m`"), "{error}");
            assert!(error.contains(said), "{error}");
        }
    }
}
