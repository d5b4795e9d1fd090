//! Files as tables: CSV, XLSX and Parquet in a SQLite database of their own, below the folder where tools keep caches.
//! It is made anew when a file changed, whole or not at all, and opened read-only like any other database.
//!
//! Left out: what values and names become (`cell`), and the formats (`delimited`, `workbook`, `columnar`).

mod build;
mod cell;
#[cfg(feature = "parquet")]
mod columnar;
mod delimited;
mod read;
mod walk;
mod workbook;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use praxis_core::{CallError, ErrorCode};

use self::cell::Cell;
use super::config::LimitsConfig;

/// The table that tells where the others come from, and what their columns were called.
pub(in crate::sql) const NOTES: &str = "praxis_notes";

/// The table that tells what of the files is in no table.
pub(in crate::sql) const LEFT: &str = "praxis_left";

/// What changes when databases are made in another way.
const FORMAT: u32 = 2;

/// The most files of one tool.
const MAX_FILES: usize = 200;

/// Files of which something is said with an answer.
const TOLD: usize = 5;

/// What of the files is in no table, so that answers lack it.
#[derive(Debug, Clone, Default)]
pub(in crate::sql) struct Left {
    /// What is said of whole files.
    pub files: Vec<String>,
    /// What is said of files whose tables are not whole, by table.
    pub tables: BTreeMap<String, Vec<String>>,
}

impl Left {
    /// What has to be said with an answer from some tables. A caller who may not see everything is told of whole files
    /// that they are missing, and not which.
    pub fn of<'t>(&self, tables: impl Iterator<Item = &'t str>, everything: bool) -> Vec<String> {
        let of_tables = tables.filter_map(|table| self.tables.get(table));
        let mut said: Vec<String> = of_tables.flatten().cloned().collect();
        match self.files.len() {
            0 => {}
            count if !everything => said.push(format!("files that are left out: {count}")),
            count => {
                said.extend(self.files.iter().take(TOLD).cloned());
                if count > TOLD {
                    said.push(format!(
                        "files that are left out beside these: {}",
                        count - TOLD
                    ));
                }
            }
        }
        said
    }
}

/// Something wrong with a file.
#[derive(Debug)]
struct Wrong(String);

impl Wrong {
    fn new(error: &dyn std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Why the reading of a file ends.
#[derive(Debug)]
enum Stop {
    Wrong(Wrong),
    /// There is no room for more rows.
    Full,
    /// Nobody waits any more.
    Gone,
}

impl From<Wrong> for Stop {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

/// A file that is a table, or several.
#[derive(Debug, Clone)]
struct Input {
    path: PathBuf,
    /// Its path from the application's folder.
    shown: String,
    size: u64,
    modified: u128,
}

/// How files are read.
#[derive(Debug, Clone, Copy)]
struct Options {
    header: Option<bool>,
    file_bytes: u64,
    file_rows: u64,
    cell_bytes: u64,
}

impl Options {
    /// A value that is not longer than one may be; `place` names its row and its column.
    fn fitting(self, cell: Cell, place: impl FnOnce() -> String) -> Result<Cell, Wrong> {
        let bytes = cell.bytes();
        if bytes as u64 <= self.cell_bytes {
            return Ok(cell);
        }
        Err(Wrong(format!(
            "{} has {bytes} bytes, and a value may have {}: raise `limits.cell_bytes`",
            place(),
            self.cell_bytes
        )))
    }
}

/// The files of a tool.
pub(in crate::sql) struct Files {
    globs: Arc<[String]>,
    options: Options,
    root: PathBuf,
    folder: PathBuf,
    building: tokio::sync::Mutex<()>,
}

impl Files {
    /// Files by globs below `root`, whose databases are kept in `folder`.
    pub fn new(
        globs: &[String],
        header: Option<bool>,
        limits: &LimitsConfig,
        root: &Path,
        folder: PathBuf,
    ) -> Self {
        Self {
            globs: globs.into(),
            options: Options {
                header,
                file_bytes: limits.file_bytes,
                file_rows: limits.file_rows,
                cell_bytes: limits.cell_bytes,
            },
            root: root.to_owned(),
            folder,
            building: tokio::sync::Mutex::new(()),
        }
    }

    /// What changes with the files, and with how they are read.
    ///
    /// # Errors
    /// There are no files, or too many.
    pub async fn version(&self) -> Result<String, CallError> {
        Ok(version(&self.inputs().await?, self.options))
    }

    /// The database of the files as they are now.
    ///
    /// # Errors
    /// There are no files, none of them can be read, or there is no room for the database.
    pub async fn ready(&self) -> Result<PathBuf, CallError> {
        let inputs = self.inputs().await?;
        let path = self
            .folder
            .join(format!("{}.db", version(&inputs, self.options)));
        if path.is_file() {
            return Ok(path);
        }
        let _turn = self.building.lock().await;
        if path.is_file() {
            return Ok(path);
        }
        build::build(inputs, self.options, &self.folder, &path).await?;
        Ok(path)
    }

    async fn inputs(&self) -> Result<Vec<Input>, CallError> {
        let (root, globs) = (self.root.clone(), Arc::clone(&self.globs));
        let found = tokio::task::spawn_blocking(move || walk::walk(&root, &globs))
            .await
            .map_err(CallError::failure)?;
        if found.is_empty() {
            let message = format!("no file is named by {}", self.globs.join(", "));
            return Err(CallError::new(ErrorCode::NotFound, message).with_hint(
                "globs are relative to the application's folder: files = [\"data/*.csv\"]",
            ));
        }
        if found.len() > MAX_FILES {
            let message = format!("there are more than {MAX_FILES} files");
            return Err(CallError::new(ErrorCode::TooLarge, message)
                .with_hint("name fewer, or put their rows into a database"));
        }
        Ok(found)
    }
}

/// One state of files as a word.
fn version(inputs: &[Input], options: Options) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(
        format!(
            "{FORMAT} {:?} {} {} {}",
            options.header, options.file_bytes, options.file_rows, options.cell_bytes
        )
        .as_bytes(),
    );
    for input in inputs {
        hasher.update(format!("\n{}\0{} {}", input.shown, input.size, input.modified).as_bytes());
    }
    let hash = hasher.finalize().to_hex();
    hash.as_str().chars().take(32).collect()
}

/// Size and time of a file, as far as the system tells.
fn described(path: &Path) -> std::io::Result<(u64, u128)> {
    let metadata = std::fs::metadata(path)?;
    let modified = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok((metadata.len(), modified.map_or(0, |since| since.as_nanos())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_see_everything_is_told_that_files_are_missing_and_not_which() {
        let left = Left {
            files: (0..7)
                .map(|i| format!("`pay{i}.csv` is left out"))
                .collect(),
            tables: BTreeMap::from([("sales".to_owned(), vec!["`sales.csv` is cut".to_owned()])]),
        };
        let some = left.of(["sales", "orders"].into_iter(), false);
        assert_eq!(some, ["`sales.csv` is cut", "files that are left out: 7"]);
        let all = left.of(["orders"].into_iter(), true);
        assert_eq!(all.len(), TOLD + 1, "{all:?}");
        assert!(all[0].contains("pay0.csv") && all[TOLD].ends_with(": 2"));
        assert!(Left::default().of(std::iter::empty(), true).is_empty());
    }
}
