//! Bodies that come whole, no larger than they may be.

use praxis_core::ModelError;
use reqwest::Response;

use super::failure;

/// The largest answer that comes whole: a batch of the longest vectors, as JSON, has about 10 MB.
const LARGEST: usize = 256 << 20;

/// The largest body of an error that is read; what is told of it is shorter still.
const LARGEST_ERROR: usize = 64 << 10;

/// The whole body.
pub(super) async fn whole(name: &str, response: Response) -> Result<Vec<u8>, ModelError> {
    let (bytes, is_all) = up_to(response, LARGEST)
        .await
        .map_err(|e| failure::of_transport(name, &e))?;
    if is_all {
        return Ok(bytes);
    }
    Err(ModelError::Broken(format!(
        "the answer of `{name}` is larger than {} MiB",
        LARGEST >> 20
    )))
}

/// The beginning of an error's body, as text.
pub(super) async fn of_error(response: Response) -> String {
    let bytes = up_to(response, LARGEST_ERROR).await;
    let bytes = bytes.map(|(bytes, _)| bytes).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// At most `most` bytes, and whether they are all.
async fn up_to(mut response: Response, most: usize) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = most - bytes.len();
        if chunk.len() > room {
            bytes.extend_from_slice(&chunk[..room]);
            return Ok((bytes, false));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes, true))
}
