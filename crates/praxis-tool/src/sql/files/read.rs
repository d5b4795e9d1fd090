//! Reads files twice: once to see what their tables are, once for their rows. It runs on a thread that may wait for the
//! disk, and what it reads goes to who writes the database. Left out: that (`build`).

use std::collections::HashSet;

use tokio::sync::mpsc::Sender;

use super::cell::{Cell, Found, Kind, Survey, fitted, plain, unique};
#[cfg(feature = "parquet")]
use super::columnar::Parquet;
use super::delimited::Delimited;
use super::walk::ending;
use super::workbook::Workbook;
use super::{Input, Options, Stop, Wrong};

/// Rows that are sent together, and bytes of them beyond which no more are waited for.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 1 << 20;

/// What a reader sends.
pub(super) enum Message {
    /// A table begins.
    Table(Table),
    /// Rows of the table that began last.
    Rows(Vec<Vec<Cell>>),
    /// Something that concerns no answer.
    Note(String),
    /// A file, or the rest of the one that is a table, is left out, so that answers lack it.
    Left { table: Option<String>, note: String },
}

/// A table that begins.
pub(super) struct Table {
    pub name: String,
    /// Where it comes from.
    pub comment: String,
    /// Name, type, and the name in the file where that is another.
    pub columns: Vec<(String, Kind, Option<String>)>,
}

/// What takes rows, and may end it.
type Take<'t> = &'t mut dyn FnMut(Vec<Cell>) -> Result<(), Stop>;

/// Reads all files. A file that cannot be read is noted, and the others are read.
pub(super) fn read(inputs: &[Input], options: Options, sender: &Sender<Message>) {
    let mut taken = HashSet::new();
    for input in inputs {
        match file(input, options, &mut taken, sender) {
            Ok(()) | Err(Stop::Full) => {}
            Err(Stop::Gone) => return,
            Err(Stop::Wrong(Wrong(reason))) => {
                let left = Message::Left {
                    table: None,
                    note: format!("`{}` is left out: {reason}", input.shown),
                };
                if sender.blocking_send(left).is_err() {
                    return;
                }
            }
        }
    }
}

fn file(
    input: &Input,
    options: Options,
    taken: &mut HashSet<String>,
    sender: &Sender<Message>,
) -> Result<(), Stop> {
    if input.size > options.file_bytes {
        let reason = format!(
            "it has {} bytes, and may have {}: raise `limits.file_bytes`",
            input.size, options.file_bytes
        );
        return Err(Stop::Wrong(Wrong(reason)));
    }
    let stem = input
        .path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or("file");
    let mut begin = Begin {
        input,
        options,
        taken,
        sender,
    };
    match ending(&input.path) {
        Some("xlsx" | "xlsm") => {
            let mut book = Workbook::open(&input.path, options)?;
            let sheets = book.sheets();
            for sheet in &sheets {
                let name = if sheets.len() == 1 {
                    stem.to_owned()
                } else {
                    format!("{stem}_{sheet}")
                };
                let survey = Survey::new(true, options.header, None);
                begin.table(&name, &format!(", sheet {sheet}"), survey, &mut |take| {
                    book.each(sheet, take)
                })?;
            }
            Ok(())
        }
        #[cfg(feature = "parquet")]
        Some("parquet") => {
            let file = Parquet::open(&input.path, options)?;
            let survey = Survey::new(true, None, Some(file.names()));
            begin.table(stem, "", survey, &mut |take| file.each(take))
        }
        #[cfg(not(feature = "parquet"))]
        Some("parquet") => Err(Stop::Wrong(Wrong(
            "this build reads no Parquet; build it with the feature `parquet`".to_owned(),
        ))),
        _ => {
            let file = Delimited::open(&input.path, options)?;
            let survey = Survey::new(false, options.header, None);
            begin.table(stem, "", survey, &mut |take| file.each(take))
        }
    }
}

/// What tables of one file begin with.
struct Begin<'b> {
    input: &'b Input,
    options: Options,
    taken: &'b mut HashSet<String>,
    sender: &'b Sender<Message>,
}

impl Begin<'_> {
    /// One table: `each` gives its rows, as often as it is asked.
    fn table(
        &mut self,
        name: &str,
        place: &str,
        mut survey: Survey,
        each: &mut dyn FnMut(Take<'_>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let most = self.options.file_rows;
        let mut rows = 0;
        let whole = each(&mut |row| {
            if rows > most {
                return Err(Stop::Full);
            }
            rows += 1;
            survey.row(row);
            Ok(())
        });
        match whole {
            Ok(()) | Err(Stop::Full) => {}
            Err(stop) => return Err(stop),
        }
        let Found {
            skip,
            columns,
            rows,
        } = survey.finish();
        if columns.is_empty() || rows == 0 {
            return self.send(Message::Note(format!(
                "`{}`{place} has no rows",
                self.input.shown
            )));
        }
        let name = unique(&plain(name, "file"), self.taken);
        let kinds: Vec<Kind> = columns.iter().map(|(_, kind, _)| *kind).collect();
        self.send(Message::Table(Table {
            name: name.clone(),
            comment: format!("file {}{place}", self.input.shown),
            columns,
        }))?;
        let mut passed = 0;
        let mut sent = 0;
        let (mut batch, mut bytes) = (Vec::with_capacity(BATCH), 0);
        let ended = each(&mut |row| {
            passed += 1;
            if passed <= skip || row.iter().all(Cell::is_empty) {
                return Ok(());
            }
            if sent == most {
                return Err(Stop::Full);
            }
            sent += 1;
            let mut cells = row.into_iter();
            let fit = |kind: &Kind| fitted(cells.next().unwrap_or(Cell::Empty), *kind);
            let row: Vec<Cell> = kinds.iter().map(fit).collect();
            bytes += row.iter().map(Cell::bytes).sum::<usize>();
            batch.push(row);
            if batch.len() == BATCH || bytes >= BATCH_BYTES {
                bytes = 0;
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                return send(self.sender, Message::Rows(full));
            }
            Ok(())
        });
        self.send(Message::Rows(batch))?;
        match ended {
            Ok(()) => Ok(()),
            Err(Stop::Full) => {
                let note = format!(
                    "`{}`{place} is cut after {most} rows: raise `limits.file_rows`",
                    self.input.shown
                );
                let table = Some(name);
                self.send(Message::Left { table, note })
            }
            Err(Stop::Wrong(Wrong(reason))) => {
                let note = format!("`{}`{place} is cut: {reason}", self.input.shown);
                let table = Some(name);
                self.send(Message::Left { table, note })
            }
            Err(Stop::Gone) => Err(Stop::Gone),
        }
    }

    fn send(&self, message: Message) -> Result<(), Stop> {
        send(self.sender, message)
    }
}

fn send(sender: &Sender<Message>, message: Message) -> Result<(), Stop> {
    sender.blocking_send(message).map_err(|_| Stop::Gone)
}
