//! Messages on the channel to a sandbox: four bytes of length, the most significant first, then JSON, then four bytes
//! that count blobs, and each blob behind its length. Left out: who speaks when (`process`).

/// Bytes of a length, and of a count.
pub(crate) const HEAD: usize = 4;

/// Bytes of the JSON in which the first stage is told what to do, at most.
pub(crate) const LARGEST_SPEC: usize = 1 << 20;

/// Exit status of a first stage that could not build the sandbox; what went wrong is on its standard error.
pub(crate) const NOT_BUILT: i32 = 125;

/// Exit status of one that ended the program for its scratch folder or its threads, where only looking helps.
pub(crate) const OUTGREW: i32 = 124;

/// Some JSON behind its length; nothing where it is too long to have one.
pub(crate) fn frame(json: &[u8]) -> Option<Vec<u8>> {
    let mut frame = Vec::with_capacity(HEAD + json.len());
    append(&mut frame, json)?;
    Some(frame)
}

/// Some JSON with blobs; nothing where it is too long to be sent.
pub(crate) fn message<'a>(
    json: &[u8],
    blobs: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Option<Vec<u8>> {
    let mut message = frame(json)?;
    message.extend_from_slice(&u32::try_from(blobs.len()).ok()?.to_be_bytes());
    for blob in blobs {
        append(&mut message, blob)?;
    }
    Some(message)
}

fn append(to: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    to.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_be_bytes());
    to.extend_from_slice(bytes);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_begins_with_its_length() {
        assert_eq!(frame(b"{}").unwrap(), [0, 0, 0, 2, b'{', b'}']);
        assert_eq!(frame(&[b'x'; 300]).unwrap()[..HEAD], [0, 0, 1, 44]);
    }

    #[test]
    fn blobs_are_counted_and_measured() {
        let blobs: [&[u8]; 2] = [b"ab", b""];
        let wanted = [
            0, 0, 0, 1, b'1', 0, 0, 0, 2, 0, 0, 0, 2, b'a', b'b', 0, 0, 0, 0,
        ];
        assert_eq!(message(b"1", blobs.into_iter()).unwrap(), wanted);
    }
}
