//! Objects of a repository by their ids: what a tree lists, and one running `git cat-file` that gives sizes and
//! bytes. Left out: which of them are wanted.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::program::{Program, missing};
use crate::SourceError;

/// The longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A regular file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob {
    /// Its path from the root.
    pub path: String,
    /// The id of its content.
    pub id: String,
}

/// The regular files in what `git ls-tree -r -z` prints: `MODE blob ID\tPATH\0`, again and again. Links and
/// submodules are no documents; nor is what is not named in UTF-8.
pub(crate) fn blobs(listing: &[u8]) -> Vec<Blob> {
    let line = |line: &[u8]| {
        let line = std::str::from_utf8(line).ok()?;
        let (head, path) = line.split_once('\t')?;
        let mut fields = head.split(' ');
        let (mode, kind, id) = (fields.next()?, fields.next()?, fields.next()?);
        let regular = matches!(mode, "100644" | "100755" | "100664") && kind == "blob";
        let whole = matches!(id.len(), 40 | 64) && id.bytes().all(|b| b.is_ascii_hexdigit());
        (regular && whole && !path.is_empty()).then(|| Blob {
            path: path.to_owned(),
            id: id.to_owned(),
        })
    };
    listing.split(|b| *b == 0).filter_map(line).collect()
}

/// Two running `git cat-file`: one tells sizes, so that what is too large is not read by the other.
pub(crate) struct Objects {
    sizes: Process,
    bytes: Process,
}

struct Process {
    _child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn open(program: &Program, mode: &str) -> Result<Self, SourceError> {
        let mut child = program
            .command(&["cat-file", mode])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(missing)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(ask), Some(answers)) => Ok(Self {
                _child: child,
                ask,
                answers: BufReader::new(answers),
            }),
            _ => Err(SourceError::unavailable("`git cat-file` has no pipes")),
        }
    }

    /// The size that it tells of an object.
    async fn head(&mut self, id: &str) -> Result<u64, SourceError> {
        let talk = async {
            self.ask.write_all(format!("{id}\n").as_bytes()).await?;
            self.ask.flush().await?;
            let mut head = String::new();
            self.answers.read_line(&mut head).await?;
            Ok::<String, std::io::Error>(head)
        };
        let head = in_time(talk).await?;
        let mut fields = head.trim_end().split(' ');
        match (
            fields.next(),
            fields.next(),
            fields.next().and_then(|s| s.parse().ok()),
        ) {
            (Some(name), Some("blob"), Some(size)) if name == id => Ok(size),
            _ => Err(SourceError::Unavailable(format!(
                "`git cat-file` failed: missing blob {id}"
            ))),
        }
    }
}

async fn in_time<T>(talk: impl Future<Output = std::io::Result<T>>) -> Result<T, SourceError> {
    tokio::time::timeout(PATIENCE, talk)
        .await
        .map_err(|_| {
            SourceError::Unavailable(format!("`git cat-file` took longer than {PATIENCE:?}"))
        })?
        .map_err(SourceError::unavailable)
}

impl Objects {
    /// Starts it.
    pub fn open(program: &Program) -> Result<Self, SourceError> {
        Ok(Self {
            sizes: Process::open(program, "--batch-check")?,
            bytes: Process::open(program, "--batch")?,
        })
    }

    /// How many bytes an object has.
    pub async fn size(&mut self, id: &str) -> Result<u64, SourceError> {
        self.sizes.head(id).await
    }

    /// An object's bytes, up to a limit.
    pub async fn get(&mut self, id: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
        let size = self.size(id).await?;
        if size > limit {
            return Err(SourceError::TooLarge { size, limit });
        }
        self.read(id).await
    }

    /// An object's bytes, whatever its size.
    pub async fn read(&mut self, id: &str) -> Result<Vec<u8>, SourceError> {
        let size = self.bytes.head(id).await?;
        let answers = &mut self.bytes.answers;
        in_time(async move {
            let mut bytes = Vec::new();
            answers.take(size + 1).read_to_end(&mut bytes).await?;
            if bytes.len() as u64 != size + 1 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            bytes.pop();
            Ok(bytes)
        })
        .await
    }
}
