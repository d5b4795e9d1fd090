//! Object streams of an encrypted file, decrypted and not unpacked: what they unpack to can be measured only then. Left
//! out: decryption itself, which hayro-syntax does for a file of nothing else.

use hayro_syntax::Pdf;
use hayro_syntax::object::{ObjectIdentifier, Stream};

/// The encryption of a file, as its trailer has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seal<'a> {
    /// Its dictionary.
    pub dictionary: &'a [u8],
    /// The first of the file's identifiers, which keys are made of; empty if it has none.
    pub id: &'a [u8],
}

/// The decrypted bytes of streams, each with its number, no two of which are the same. `None` where the encryption is
/// none that an empty password opens.
pub(super) fn open(seal: Seal<'_>, streams: &[(u32, &[u8])]) -> Option<Vec<Vec<u8>>> {
    let pdf = Pdf::new(file(seal, streams)?).ok()?;
    let decrypted = streams.iter().map(|(number, _)| {
        let id = ObjectIdentifier::new(*number, 0);
        let stream = pdf.xref().get::<Stream<'_>>(id)?;
        Some(stream.raw_data().into_owned())
    });
    decrypted.collect()
}

/// A file of these streams, without filters. Its table of objects is whole, so that nothing is looked for in the bytes
/// of the streams.
fn file(seal: Seal<'_>, streams: &[(u32, &[u8])]) -> Option<Vec<u8>> {
    let last = streams.iter().map(|(number, _)| *number).max()?;
    let (catalog, pages) = (last.checked_add(1)?, last.checked_add(2)?);
    let mut file = b"%PDF-1.7\n".to_vec();
    let mut places = Vec::with_capacity(streams.len() + 2);
    let mut add = |file: &mut Vec<u8>, number: u32, parts: &[&[u8]]| {
        places.push((number, file.len()));
        file.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        for part in parts {
            file.extend_from_slice(part);
        }
        file.extend_from_slice(b"\nendobj\n");
    };
    for (number, data) in streams {
        let head = format!("<</Length {}>>\nstream\n", data.len());
        add(&mut file, *number, &[head.as_bytes(), data, b"\nendstream"]);
    }
    let root = format!("<</Type/Catalog/Pages {pages} 0 R>>");
    add(&mut file, catalog, &[root.as_bytes()]);
    add(&mut file, pages, &[b"<</Type/Pages/Count 0/Kids[]>>"]);
    let table = file.len();
    file.extend_from_slice(b"xref\n");
    for (number, place) in places {
        file.extend_from_slice(format!("{number} 1\n{place:010} 00000 n \n").as_bytes());
    }
    let size = pages.checked_add(1)?;
    let head = format!("trailer\n<</Size {size}/Root {catalog} 0 R/Encrypt ");
    file.extend_from_slice(head.as_bytes());
    file.extend_from_slice(seal.dictionary);
    if !seal.id.is_empty() {
        file.extend_from_slice(b"/ID[");
        file.extend_from_slice(seal.id);
        file.extend_from_slice(b"]");
    }
    file.extend_from_slice(format!(">>\nstartxref\n{table}\n%%EOF\n").as_bytes());
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_streams_is_read_by_its_table() {
        let streams: [(u32, &[u8]); 2] = [
            (
                7,
                b"9 0 obj<</Type/ObjStm>>stream\nstartxref 0 trailer<</Root 9 0 R>>",
            ),
            (3, b"three"),
        ];
        let open_file = Seal {
            dictionary: b"null",
            id: b"",
        };
        let read = open(open_file, &streams).unwrap();
        assert!(
            read.iter()
                .zip(streams)
                .all(|(read, (_, data))| read == data)
        );
        let closed = Seal {
            dictionary: b"<</Filter/Standard/V 9>>",
            id: b"",
        };
        assert_eq!(open(closed, &streams), None);
    }
}
