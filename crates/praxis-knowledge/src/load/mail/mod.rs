//! E-mail (RFC 5322 and MIME, by mail-parser) and mailboxes in the mbox format: each message a section
//! with its head, its text and its attachments. Left out: pictures, signatures, and headers of transport.

mod body;
mod message;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{LoadError, Loading};
use crate::document::LoadedDocument;
use message::Reader;

/// Messages inside of each other that are read.
const MAX_DEPTH: usize = 3;

/// The document of one message.
///
/// # Errors
/// [`LoadError::Damaged`] for what has no head of a message.
pub(super) fn load(
    bytes: &[u8],
    name: &str,
    how: &Loading,
    depth: usize,
) -> Result<LoadedDocument, LoadError> {
    if depth > MAX_DEPTH {
        return Err(LoadError::Unsupported(
            "a message too deep inside of others".to_owned(),
        ));
    }
    let mut reader = Reader::new(how, depth);
    reader.message(bytes)?;
    Ok(reader.finish_one(name))
}

/// The document of a mailbox.
///
/// # Errors
/// [`LoadError::Damaged`] if no message of it can be read.
pub(super) fn load_mbox(
    bytes: &[u8],
    name: &str,
    how: &Loading,
    depth: usize,
) -> Result<LoadedDocument, LoadError> {
    if depth > MAX_DEPTH {
        return Err(LoadError::Unsupported(
            "a mailbox too deep inside of messages".to_owned(),
        ));
    }
    let mut reader = Reader::new(how, depth);
    let mut read = 0usize;
    for (number, message) in (1usize..).zip(messages(bytes)) {
        // A message that a parser gives up on costs itself only.
        let outcome = catch_unwind(AssertUnwindSafe(|| reader.message(&message)));
        match outcome {
            Ok(Ok(())) => read += 1,
            Ok(Err(error @ LoadError::TooLarge { .. })) => return Err(error),
            Ok(Err(error)) => reader.note(format!("message {number} {error}")),
            Err(_) => reader.note(format!("message {number} cannot be read")),
        }
    }
    if read == 0 {
        return Err(LoadError::Damaged("it holds no message".to_owned()));
    }
    Ok(reader.finish(Some(name.to_owned()), name))
}

/// The messages of a mailbox, without the lines between them and with lines that begin with `From `
/// as they were written.
fn messages(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let mut lines = bytes.split_inclusive(|b| *b == b'\n').peekable();
    let mut blank = true;
    std::iter::from_fn(move || {
        let mut message = Vec::new();
        lines.next_if(|line| line.starts_with(b"From "))?;
        while let Some(line) = lines.next_if(|line| !(blank && line.starts_with(b"From "))) {
            blank = line.iter().all(u8::is_ascii_whitespace);
            let marks = line.iter().take_while(|b| **b == b'>').count();
            let quoted = marks > 0 && line[marks..].starts_with(b"From ");
            message.extend_from_slice(if quoted { &line[1..] } else { line });
        }
        Some(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_cut_at_its_separators() {
        let mailbox = b"From a@b Tue\nSubject: 1\n\n>From here\nFrom the text\n\nFrom c@d Wed\nSubject: 2\n\n>>From there\n";
        let all: Vec<_> = messages(mailbox).collect();
        assert_eq!(
            all,
            [
                b"Subject: 1\n\nFrom here\nFrom the text\n\n".to_vec(),
                b"Subject: 2\n\n>From there\n".to_vec()
            ]
        );
        assert_eq!(messages(b"no mailbox").count(), 0);
    }
}
