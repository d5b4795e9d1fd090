//! The log: what was done since the last segment was made, record by record. A record has its
//! length and checksum before it; what a crash left half written at the end is cut off. What was
//! committed cannot be half written: where that does not read, the log is damaged.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::{read_at, write_at};
use crate::segment::Slot;

const MAGIC: &[u8; 8] = b"PRXVLG\x00\x01";
/// Magic, and the dimension.
const HEAD: u64 = 16;
/// Length and checksum.
const PREFIX: usize = 8;
const INSERT: u8 = 1;
const DELETE: u8 = 2;
const DEAD: u8 = 3;
/// Slots in one record.
const SLOTS: usize = 1 << 16;
/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 20;

/// What was done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record<'a> {
    /// A vector was added, or took the place of another.
    Insert { id: u64, vector: &'a [f32] },
    /// A vector was deleted.
    Delete { id: u64 },
    /// These vectors of a segment were dead before the log began.
    Dead { segment: u64, slots: &'a [Slot] },
}

/// A log that is written.
#[derive(Debug)]
pub(crate) struct Log {
    pub number: u64,
    file: File,
    path: PathBuf,
    /// Where the next record goes. After an error it is where the failed one began.
    len: u64,
    buffer: Vec<u8>,
}

/// The file of a log.
pub(crate) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.log"))
}

impl Log {
    pub fn create(folder: &Path, number: u64, dimension: usize) -> Result<Self> {
        let path = path(folder, number);
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&(dimension as u64).to_le_bytes());
        write_at(&file, &head, 0).map_err(Error::io("write", &path))?;
        Ok(Self {
            number,
            file,
            path,
            len: HEAD,
            buffer: Vec::new(),
        })
    }

    /// Opens a log, calls `replay` with its records in order, and cuts off a torn end. One that ends before
    /// its first `committed` bytes is [`Error::Corrupt`].
    pub fn open(
        folder: &Path,
        number: u64,
        dimension: usize,
        committed: u64,
        mut replay: impl FnMut(Record<'_>) -> Result<()>,
    ) -> Result<Self> {
        let path = path(folder, number);
        let open = OpenOptions::new().read(true).write(true).open(&path);
        let file = open.map_err(Error::named(&path))?;
        let size = file.metadata().map_err(Error::io("read", &path))?.len();
        let read = |buffer: &mut [u8], at: u64| {
            read_at(&file, buffer, at).map_err(Error::io("read", &path))
        };
        let mut head = [0; HEAD as usize];
        if size < HEAD {
            return Err(Error::corrupt(&path, "it is too short"));
        }
        read(&mut head, 0)?;
        if head[..8] != *MAGIC || head[8..] != (dimension as u64).to_le_bytes() {
            return Err(Error::corrupt(&path, "it is no log of this index"));
        }
        let longest = (9 + 4 * dimension).max(9 + 4 * SLOTS) as u64;
        let (mut len, mut body, mut numbers) = (HEAD, Vec::new(), Vec::new());
        while size - len >= PREFIX as u64 {
            let mut prefix = [0; PREFIX];
            read(&mut prefix, len)?;
            let word = |at: usize| {
                u32::from_le_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]])
            };
            let (body_len, checksum) = (u64::from(word(0)), word(4));
            if body_len > longest || size - len - (PREFIX as u64) < body_len {
                break;
            }
            body.resize(body_len as usize, 0);
            read(&mut body, len + PREFIX as u64)?;
            if crc32fast::hash(&body) != checksum {
                break;
            }
            let Some(record) = parse(&body, dimension, &mut numbers) else {
                return Err(Error::corrupt(
                    &path,
                    format!("the record at {len} is unknown"),
                ));
            };
            replay(record)?;
            len += PREFIX as u64 + body_len;
        }
        if len < committed {
            // Nothing is cut: whoever looks into it finds all that there is.
            return Err(Error::corrupt(
                &path,
                format!("it reads up to byte {len}, and {committed} bytes were committed"),
            ));
        }
        if len < size {
            file.set_len(len).map_err(Error::io("cut", &path))?;
        }
        Ok(Self {
            number,
            file,
            path,
            len,
            buffer: Vec::new(),
        })
    }

    /// Bytes that were handed to the operating system; after [`Log::sync`], all of them are on the disk.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Adds a record, which is written by the next `flush` at the latest.
    pub fn push(&mut self, record: &Record<'_>) -> Result<()> {
        let start = self.buffer.len();
        self.buffer.resize(start + PREFIX, 0);
        let put = |buffer: &mut Vec<u8>, kind: u8, number: u64| {
            buffer.push(kind);
            buffer.extend_from_slice(&number.to_le_bytes());
        };
        match record {
            Record::Insert { id, vector } => {
                put(&mut self.buffer, INSERT, *id);
                self.buffer.extend_from_slice(crate::files::bytes(vector));
            }
            Record::Delete { id } => put(&mut self.buffer, DELETE, *id),
            Record::Dead { segment, slots } => {
                if slots.len() > SLOTS {
                    self.buffer.truncate(start);
                    return slots.chunks(SLOTS).try_for_each(|slots| {
                        self.push(&Record::Dead {
                            segment: *segment,
                            slots,
                        })
                    });
                }
                put(&mut self.buffer, DEAD, *segment);
                self.buffer.extend_from_slice(crate::files::bytes(slots));
            }
        }
        let body = &self.buffer[start + PREFIX..];
        let (len, sum) = (body.len() as u32, crc32fast::hash(body));
        self.buffer[start..start + 4].copy_from_slice(&len.to_le_bytes());
        self.buffer[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
        if self.buffer.len() >= BUFFER {
            return self.flush();
        }
        Ok(())
    }

    /// Hands all records to the operating system. After an error those since the last flush are
    /// dropped, and the next flush writes over what may have got into the file.
    pub fn flush(&mut self) -> Result<()> {
        let written = write_at(&self.file, &self.buffer, self.len);
        let count = self.buffer.len() as u64;
        self.buffer.clear();
        written.map_err(Error::io("write", &self.path))?;
        self.len += count;
        Ok(())
    }

    /// Puts all records on the disk.
    pub fn sync(&mut self) -> Result<()> {
        self.flush()?;
        self.file.sync_data().map_err(Error::io("sync", &self.path))
    }
}

fn parse<'a>(body: &[u8], dimension: usize, numbers: &'a mut Vec<u32>) -> Option<Record<'a>> {
    let (kind, rest) = body.split_first()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let number = u64::from_le_bytes(*number);
    let four = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    numbers.clear();
    numbers.extend(rest.chunks_exact(4).map(four));
    match *kind {
        INSERT if rest.len() == 4 * dimension => Some(Record::Insert {
            id: number,
            vector: crate::files::numbers(crate::files::bytes(numbers.as_slice())),
        }),
        DELETE if rest.is_empty() => Some(Record::Delete { id: number }),
        DEAD if rest.len() % 4 == 0 => Some(Record::Dead {
            segment: number,
            slots: numbers,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replayed(folder: &Path, committed: u64) -> Result<(Vec<String>, u64)> {
        let mut seen = Vec::new();
        let log = Log::open(folder, 1, 2, committed, |record| {
            seen.push(format!("{record:?}"));
            Ok(())
        })?;
        Ok((seen, log.len))
    }

    const RECORDS: [Record<'static>; 3] = [
        Record::Insert {
            id: 5,
            vector: &[1.0, 2.0],
        },
        Record::Delete { id: 5 },
        Record::Dead {
            segment: 3,
            slots: &[1, 9],
        },
    ];

    /// A log of these, and where each begins and the last ends.
    fn written(folder: &Path) -> (Log, Vec<u64>) {
        let mut log = Log::create(folder, 1, 2).unwrap();
        let mut ends = vec![HEAD];
        for record in &RECORDS {
            log.push(record).unwrap();
            log.sync().unwrap();
            ends.push(log.len());
        }
        (log, ends)
    }

    #[test]
    fn a_torn_end_is_cut_off_wherever_it_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let (log, ends) = written(folder.path());
        let path = path(folder.path(), 1);
        let whole = std::fs::read(&path).unwrap();
        for cut in HEAD..=log.len {
            std::fs::write(&path, &whole[..cut as usize]).unwrap();
            let (seen, len) = replayed(folder.path(), 0).unwrap();
            let count = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!(len, ends[count]);
            let expected: Vec<String> = RECORDS[..count].iter().map(|r| format!("{r:?}")).collect();
            assert_eq!(seen, expected);
        }
        std::fs::write(&path, &whole[..7]).unwrap();
        assert!(matches!(
            replayed(folder.path(), 0),
            Err(Error::Corrupt { .. })
        ));
    }

    #[test]
    fn what_was_committed_is_never_taken_for_a_torn_end() {
        let folder = tempfile::tempdir().unwrap();
        let (_log, ends) = written(folder.path());
        let path = path(folder.path(), 1);
        let whole = std::fs::read(&path).unwrap();
        for (count, committed) in ends.iter().copied().enumerate() {
            for at in HEAD..whole.len() as u64 {
                let mut bytes = whole.clone();
                bytes[at as usize] ^= 1;
                std::fs::write(&path, &bytes).unwrap();
                let read = replayed(folder.path(), committed);
                if at < committed {
                    let error = read.unwrap_err();
                    assert!(matches!(error, Error::Corrupt { .. }), "byte {at}: {error}");
                    assert!(error.to_string().contains("00000001.log"), "{error}");
                    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing is cut");
                } else {
                    assert!(read.unwrap().0.len() >= count, "byte {at}");
                }
            }
            for cut in HEAD..whole.len() as u64 {
                std::fs::write(&path, &whole[..cut as usize]).unwrap();
                assert_eq!(replayed(folder.path(), committed).is_ok(), cut >= committed);
            }
        }
    }

    #[test]
    fn many_slots_are_several_records() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::create(folder.path(), 1, 2).unwrap();
        let slots: Vec<Slot> = (0..SLOTS as u32 + 5).collect();
        log.push(&Record::Dead {
            segment: 1,
            slots: &slots,
        })
        .unwrap();
        log.flush().unwrap();
        assert_eq!(replayed(folder.path(), 0).unwrap().0.len(), 2);
    }
}
