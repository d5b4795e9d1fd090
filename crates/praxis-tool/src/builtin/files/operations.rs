//! What is done with the files of a workspace, and the words for what goes wrong.

use std::io;
use std::path::{Path, PathBuf};

use globset::Glob;
use praxis_core::{CallError, ErrorCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Limits;
use crate::builtin::workspace::{TRASH, Workspace, path_of, path_to_change};
use crate::work::{invalid, read};

/// Entries of one list, and how deep it goes.
const MOST_ENTRIES: usize = 500;
const MOST_DEPTH: usize = 8;

/// Lines of a text that are read where the caller does not say, and the most.
const LINES: usize = 400;
const MOST_LINES: usize = 5000;

/// The most bytes of a text that one read gives.
const MOST_READ: usize = 100_000;

/// Names that are tried in the trash.
const MOST_NAMES: usize = 1000;

/// An operation on files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    List,
    Read,
    Write,
    Append,
    Edit,
    Delete,
}

/// All inputs of all operations; which of them one has, its schema says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    path: String,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    depth: Option<usize>,
    #[serde(default)]
    from_line: Option<usize>,
    #[serde(default)]
    lines: Option<usize>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    replace: bool,
    #[serde(default)]
    old: String,
    #[serde(default)]
    new: String,
    #[serde(default)]
    all: bool,
}

impl Operation {
    pub const ALL: [Self; 6] = [
        Self::List,
        Self::Read,
        Self::Write,
        Self::Append,
        Self::Edit,
        Self::Delete,
    ];

    /// Its name behind that of the tool file.
    pub fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write",
            Self::Append => "append",
            Self::Edit => "edit",
            Self::Delete => "delete",
        }
    }

    pub fn only_reads(self) -> bool {
        matches!(self, Self::List | Self::Read)
    }

    pub fn description(self, folder: &str) -> String {
        match self {
            Self::List => format!("Lists the files and folders of the workspace `{folder}`."),
            Self::Read => format!("Reads lines of a text file of the workspace `{folder}`."),
            Self::Write => format!(
                "Writes a text file of the workspace `{folder}`; one that is there is replaced only with replace=true."
            ),
            Self::Append => format!("Adds text to the end of a file of the workspace `{folder}`."),
            Self::Edit => format!(
                "Replaces a piece of text in a file of the workspace `{folder}`. The piece must be there exactly once, \
                 letter by letter."
            ),
            Self::Delete => format!("Moves a file of the workspace `{folder}` to its trash."),
        }
    }

    /// Properties of its input, and those that are required.
    pub fn inputs(self) -> (Value, Value) {
        let path = json!({ "type": "string", "description": "relative to the workspace, such as notes/today.md" });
        let text = json!({ "type": "string" });
        match self {
            Self::List => (
                json!({
                    "path": { "type": "string", "description": "a folder; all of the workspace if left out" },
                    "pattern": { "type": "string", "description": "such as *.md or **/*.csv" },
                    "depth": { "type": "integer", "minimum": 1, "maximum": MOST_DEPTH },
                }),
                json!([]),
            ),
            Self::Read => (
                json!({
                    "path": path,
                    "from_line": { "type": "integer", "minimum": 1 },
                    "lines": { "type": "integer", "minimum": 1, "maximum": MOST_LINES },
                }),
                json!(["path"]),
            ),
            Self::Write => (
                json!({ "path": path, "text": text, "replace": { "type": "boolean" } }),
                json!(["path", "text"]),
            ),
            Self::Append => (
                json!({ "path": path, "text": text }),
                json!(["path", "text"]),
            ),
            Self::Edit => (
                json!({
                    "path": path,
                    "old": { "type": "string", "minLength": 1, "description": "the text that is there" },
                    "new": { "type": "string", "description": "the text in its place" },
                    "all": { "type": "boolean", "description": "replace it wherever it is" },
                }),
                json!(["path", "old", "new"]),
            ),
            Self::Delete => (json!({ "path": path }), json!(["path"])),
        }
    }

    /// Does it. `name` is the function's, for errors; `clock` tells seconds since the Unix epoch.
    pub fn run(
        self,
        input: Value,
        name: &str,
        workspace: &Workspace,
        limits: &Limits,
        clock: fn() -> i64,
    ) -> Result<Value, CallError> {
        let input: Input = read(name, input)?;
        let path = match self.only_reads() {
            true => path_of(&input.path),
            false => path_to_change(&input.path),
        };
        let path = path.map_err(|what| invalid(name, what))?;
        if path.as_os_str().is_empty() && self != Self::List {
            return Err(invalid(name, "`path` names no file"));
        }
        let place = Place {
            name,
            path: &path,
            workspace,
            limits,
        };
        match self {
            Self::List => place.list(&input),
            Self::Read => place.read(&input),
            Self::Write => place.write(&input),
            Self::Append => place.append(&input),
            Self::Edit => place.edit(&input),
            Self::Delete => place.delete(clock()),
        }
    }
}

/// Where something is done.
struct Place<'a> {
    name: &'a str,
    path: &'a Path,
    workspace: &'a Workspace,
    limits: &'a Limits,
}

impl Place<'_> {
    fn shown(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    /// What a system's error means to a caller.
    fn failed(&self, error: &io::Error) -> CallError {
        let path = self.shown();
        match error.kind() {
            io::ErrorKind::NotFound => {
                let message = format!("there is no `{path}` in the workspace");
                CallError::new(ErrorCode::NotFound, message).with_hint("list what is there")
            }
            io::ErrorKind::AlreadyExists => {
                invalid(self.name, format!("`{path}` is there already"))
                    .with_hint("read it first; then edit it, or write it with replace=true")
            }
            io::ErrorKind::PermissionDenied => {
                invalid(self.name, format!("`{path}` may not be used: {error}"))
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => CallError::failure(error),
            _ => invalid(self.name, format!("`{path}`: {error}")),
        }
    }

    /// Whether there is room for so many more bytes.
    fn has_room(&self, more: u64) -> Result<(), CallError> {
        let limits = self.limits;
        let too_large = |message: String, hint: &str| {
            Err(CallError::new(ErrorCode::TooLarge, message).with_hint(hint))
        };
        let size = self.workspace.size(limits.count);
        let (count, bytes) = size.map_err(|error| self.failed(&error))?;
        if count >= limits.count {
            let message = format!(
                "the workspace has {} files, and may have no more",
                limits.count
            );
            return too_large(message, "delete some, and have a person empty the trash");
        }
        if bytes.saturating_add(more) > limits.total {
            let message = format!(
                "the workspace may have {} bytes, and has {bytes}",
                limits.total
            );
            return too_large(message, "delete files, and have a person empty the trash");
        }
        Ok(())
    }

    fn fits(&self, text: &str) -> Result<(), CallError> {
        if text.len() as u64 > self.limits.file {
            let message = format!(
                "a file may have {} bytes, not {}",
                self.limits.file,
                text.len()
            );
            return Err(CallError::new(ErrorCode::TooLarge, message)
                .with_hint("write several files, or less"));
        }
        self.has_room(text.len() as u64)
    }

    fn list(&self, input: &Input) -> Result<Value, CallError> {
        let pattern = input.pattern.as_deref().map(Glob::new).transpose();
        let pattern = pattern.map_err(|error| invalid(self.name, format!("`pattern`: {error}")))?;
        let pattern = pattern.map(|glob| glob.compile_matcher());
        let depth = input
            .depth
            .unwrap_or(if pattern.is_some() { MOST_DEPTH } else { 1 });
        let (mut entries, mut cut) = (Vec::new(), false);
        let mut folders = vec![(self.path.to_owned(), 1)];
        let mut seen = 0;
        while let Some((folder, level)) = folders.pop() {
            let mut here: Vec<(PathBuf, bool, u64)> = Vec::new();
            let listed = if folder.as_os_str().is_empty() {
                self.workspace.dir().entries()
            } else {
                self.workspace.dir().read_dir(&folder)
            };
            for entry in listed.map_err(|error| self.failed(&error))? {
                seen += 1;
                if seen > self.limits.count {
                    cut = true;
                    break;
                }
                let entry = entry.map_err(|error| self.failed(&error))?;
                let path = folder.join(entry.file_name());
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                let is_ours = path == Path::new(TRASH);
                if is_ours || !(kind.is_dir() || kind.is_file()) {
                    continue;
                }
                let bytes = entry.metadata().map_or(0, |found| found.len());
                here.push((path, kind.is_dir(), bytes));
            }
            here.sort();
            for (path, is_folder, bytes) in here {
                let fits = pattern
                    .as_ref()
                    .is_none_or(|p| p.is_match(path.strip_prefix(self.path).unwrap_or(&path)));
                if fits && entries.len() == MOST_ENTRIES {
                    cut = true;
                } else if fits && is_folder {
                    entries.push(json!({ "path": path.to_string_lossy(), "folder": true }));
                } else if fits {
                    entries.push(json!({ "path": path.to_string_lossy(), "bytes": bytes }));
                }
                if is_folder && level < depth {
                    folders.push((path, level + 1));
                }
            }
        }
        Ok(json!({ "entries": entries, "cut": cut }))
    }

    fn read(&self, input: &Input) -> Result<Value, CallError> {
        let text = self.text()?;
        let from = input.from_line.unwrap_or(1).max(1);
        let most = input.lines.unwrap_or(LINES).min(MOST_LINES);
        let all = text.lines().count();
        if from > all.max(1) {
            let what = format!(
                "`from_line` is {from}, and `{}` has {all} lines",
                self.shown()
            );
            return Err(invalid(self.name, what));
        }
        let (mut piece, mut taken) = (String::new(), 0);
        for line in text.split_inclusive('\n').skip(from - 1).take(most) {
            if taken > 0 && piece.len() + line.len() > MOST_READ {
                break;
            }
            piece.push_str(line);
            taken += 1;
        }
        // One line may be longer than what is given.
        let is_long = piece.len() > MOST_READ;
        if is_long {
            let mut end = MOST_READ;
            while !piece.is_char_boundary(end) {
                end -= 1;
            }
            piece.truncate(end);
        }
        let last = from - 1 + taken;
        Ok(json!({
            "text": piece,
            "from_line": from,
            "to_line": last,
            "lines": all,
            "cut": is_long || last < all,
        }))
    }

    fn text(&self) -> Result<String, CallError> {
        let text = self.workspace.text(self.path, self.limits.file);
        text.map_err(|error| self.failed(&error))
    }

    fn write(&self, input: &Input) -> Result<Value, CallError> {
        self.fits(&input.text)?;
        let written = self
            .workspace
            .write(self.path, input.text.as_bytes(), input.replace);
        written.map_err(|error| self.failed(&error))?;
        Ok(json!({ "path": self.shown(), "bytes": input.text.len() }))
    }

    fn append(&self, input: &Input) -> Result<Value, CallError> {
        self.fits(&input.text)?;
        let appended = self
            .workspace
            .append(self.path, input.text.as_bytes(), self.limits.file);
        let bytes = appended.map_err(|error| self.failed(&error))?;
        Ok(json!({ "path": self.shown(), "bytes": bytes }))
    }

    fn edit(&self, input: &Input) -> Result<Value, CallError> {
        let text = self.text()?;
        let wrong = |what: String, hint: &str| Err(invalid(self.name, what).with_hint(hint));
        let count = text.matches(&input.old).count();
        if count == 0 {
            let what = format!("`old` is not in `{}`", self.shown());
            return wrong(
                what,
                "read the file, and copy the piece letter by letter, spaces and line ends too",
            );
        }
        if count > 1 && !input.all {
            let what = format!("`old` is {count} times in `{}`", self.shown());
            return wrong(what, "give more of the lines around it, or say all=true");
        }
        let edited = text.replace(&input.old, &input.new);
        self.fits(&edited)?;
        let written = self.workspace.write(self.path, edited.as_bytes(), true);
        written.map_err(|error| self.failed(&error))?;
        Ok(json!({ "path": self.shown(), "replaced": count, "bytes": edited.len() }))
    }

    fn delete(&self, seconds: i64) -> Result<Value, CallError> {
        let dir = self.workspace.dir();
        let found = dir
            .symlink_metadata(self.path)
            .map_err(|error| self.failed(&error))?;
        if found.is_dir() {
            return Err(
                invalid(self.name, format!("`{}` is a folder", self.shown()))
                    .with_hint("delete its files one by one"),
            );
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let moved = dir.create_dir_all(TRASH).and_then(|()| {
            for number in 0..MOST_NAMES {
                let to = Path::new(TRASH).join(format!("{seconds}-{number}-{name}"));
                if dir.symlink_metadata(&to).is_err() {
                    dir.rename(self.path, dir, &to)?;
                    return Ok(to);
                }
            }
            Err(io::Error::other("the trash is full"))
        });
        let to = moved.map_err(|error| self.failed(&error))?;
        Ok(json!({ "path": self.shown(), "moved_to": to.to_string_lossy() }))
    }
}
