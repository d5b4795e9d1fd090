//! A folder of the application in which tools work, and which no path leaves: not by `..`, not by an absolute path, not
//! by a link, whoever makes one meanwhile. The walls are `cap-std`'s, which the kernel holds (`openat2` on Linux).
//!
//! Left out: what is done in it (`files`, `mail`, `shell`).

use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions};
use praxis_core::Problem;

/// Folders of an application that say what it does and who may do it. No tool works there.
const OURS: [&str; 4] = [".praxis", ".git", "prompts", "tools"];

/// Names that programs obey wherever they find them, in small letters, beside those that begin with a point: `HEAD`
/// makes a folder a repository of git's, whose settings name programs to run; `git~1` is what some file systems call
/// `.git`.
const OBEYED: [&str; 2] = ["head", "git~1"];

/// Where what was deleted lies, in the workspace.
pub(super) const TRASH: &str = ".trash";

/// The longest path, in characters, and its most parts.
const LONGEST: usize = 400;
const MOST_PARTS: usize = 20;

/// Names that are tried for a temporary file.
const MOST_NAMES: usize = 100;

/// Tells temporary files of this process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A folder that no path leaves.
pub(super) struct Workspace {
    dir: Dir,
    path: PathBuf,
}

/// What is wrong with the folder of a tool file, whose key it is.
pub(super) fn folder_problems(key: &str, folder: &str) -> Vec<Problem> {
    let problem = |message: String, help: &str| {
        vec![Problem {
            path: key.to_owned(),
            message,
            help: Some(help.to_owned()),
        }]
    };
    let parts: Vec<Component<'_>> = Path::new(folder).components().collect();
    let plain = |part: &Component<'_>| matches!(part, Component::Normal(_));
    if parts.is_empty() || !parts.iter().all(plain) {
        let message = format!("`{folder}` is no folder below the application's");
        return problem(
            message,
            "write a relative path without `..`, such as \"workspace\"",
        );
    }
    let named = |part: &Component<'_>| part.as_os_str().to_string_lossy().to_lowercase();
    if OURS.contains(&named(&parts[0]).as_str()) || parts.iter().any(|part| named(part) == ".git") {
        let message =
            format!("`{folder}` says what the application does, and is no place for tools");
        return problem(message, "name a folder of its own, such as \"workspace\"");
    }
    Vec::new()
}

impl Workspace {
    /// The folder `folder` of the application in `root`, made if need be.
    ///
    /// # Errors
    /// A folder that cannot be made or opened, or that leads out of the application's.
    pub fn open(root: &Path, folder: &str) -> Result<Self, Problem> {
        let opened = Dir::open_ambient_dir(root, ambient_authority()).and_then(|root| {
            root.create_dir_all(folder)?;
            root.open_dir(folder)
        });
        let dir = opened.map_err(|error| Problem {
            path: "folder".to_owned(),
            message: format!("`{folder}` cannot be opened: {error}"),
            help: Some("is it a folder below the application's, and may it be read?".to_owned()),
        })?;
        let path = root.join(folder);
        let path = std::path::absolute(&path).unwrap_or(path);
        Ok(Self { dir, path })
    }

    /// Where it is, for programs that run in it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder itself.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The text of a file of at most `most` bytes.
    ///
    /// # Errors
    /// A path that is no file, leads out, or holds more, or no text.
    pub fn text(&self, path: &Path, most: u64) -> io::Result<String> {
        let bytes = self.bytes(path, most)?;
        String::from_utf8(bytes).map_err(|_| io::Error::other("it is no text in UTF-8"))
    }

    fn bytes(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        // A pipe that nobody writes to would be waited for.
        if !self.dir.metadata(path)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let file = self.dir.open(path)?;
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::Error::other(format!("it has more than {most} bytes")));
        }
        Ok(bytes)
    }

    /// Writes a file whole: it has its old content or its new one, whenever this process is killed. Without `replace`,
    /// there must be no such file yet.
    ///
    /// # Errors
    /// The system's, and `AlreadyExists`.
    pub fn write(&self, path: &Path, content: &[u8], replace: bool) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let folder = if parent.as_os_str().is_empty() {
            self.dir.try_clone()?
        } else {
            self.dir.create_dir_all(parent)?;
            self.dir.open_dir(parent)?
        };
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::other("it names no file"))?;
        if folder.symlink_metadata(name).is_ok() {
            if !replace {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            if !folder.metadata(name)?.is_file() {
                return Err(io::Error::other("it is no file"));
            }
        }
        let (temporary, mut file) = temporary(&folder)?;
        let written = file.write_all(content).and_then(|()| file.sync_all());
        drop(file);
        let moved = written.and_then(|()| {
            if replace {
                return folder.rename(&temporary, &folder, name);
            }
            // A link fails where a file came to be meanwhile; a rename would replace it.
            match folder.hard_link(&temporary, &folder, name) {
                Ok(()) => folder.remove_file(&temporary),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
                // Not all file systems have links.
                Err(_) => folder.rename(&temporary, &folder, name),
            }
        });
        if let Err(error) = moved {
            // What is left over is only litter.
            let _ = folder.remove_file(&temporary);
            return Err(error);
        }
        // Without it, a power cut may bring the old name back; not all file systems can.
        let _ = folder.into_std_file().sync_all();
        Ok(())
    }

    /// Adds to the end of a file, which is made if need be, and which then has at most `most` bytes.
    ///
    /// # Errors
    /// The system's, and a file that would have more.
    pub fn append(&self, path: &Path, content: &[u8], most: u64) -> io::Result<u64> {
        if let Ok(found) = self.dir.metadata(path)
            && !found.is_file()
        {
            return Err(io::Error::other("it is no file"));
        }
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            self.dir.create_dir_all(parent)?;
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        let mut file = self.dir.open_with(path, &options)?;
        let whole = file.metadata()?.len() + content.len() as u64;
        if whole > most {
            return Err(io::Error::other(format!(
                "it would have more than {most} bytes"
            )));
        }
        file.write_all(content)?;
        file.sync_all()?;
        Ok(whole)
    }

    /// Files and bytes of all of it; counting ends where there are more than `most` of them.
    ///
    /// # Errors
    /// The system's.
    pub fn size(&self, most: usize) -> io::Result<(usize, u64)> {
        let (mut count, mut bytes) = (0, 0);
        let mut folders = vec![self.dir.try_clone()?];
        while let Some(folder) = folders.pop() {
            for entry in folder.entries()? {
                let entry = entry?;
                count += 1;
                if count > most {
                    return Ok((count, bytes));
                }
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(entry.open_dir()?);
                } else if kind.is_file() {
                    bytes += entry.metadata()?.len();
                }
            }
        }
        Ok((count, bytes))
    }
}

/// A new file beside the one that it becomes.
fn temporary(folder: &Dir) -> io::Result<(String, File)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    for _ in 0..MOST_NAMES {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".new-{}-{number}", std::process::id());
        match folder.open_with(&name, &options) {
            Ok(file) => return Ok((name, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no name is free for a new file"))
}

/// A path that a caller wrote, if it can be one of a workspace. The walls hold without this; it says what is wrong in
/// words, and keeps names that look like others out.
///
/// # Errors
/// What is wrong with it.
pub(super) fn path_of(text: &str) -> Result<PathBuf, String> {
    let text = text.trim_end_matches('/');
    if text.chars().count() > LONGEST {
        return Err(format!("a path has {LONGEST} characters at most"));
    }
    if text.chars().any(is_invisible) {
        return Err(format!(
            "`{}` has characters that nobody sees",
            text.escape_debug()
        ));
    }
    if text.contains('\\') {
        return Err(format!("`{text}`: folders are divided by `/`"));
    }
    let path: PathBuf = Path::new(text)
        .components()
        .filter(|c| *c != Component::CurDir)
        .collect();
    let is_inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !is_inside {
        return Err(format!(
            "`{text}` leads out of the workspace: write a relative path without `..`"
        ));
    }
    if path.components().count() > MOST_PARTS {
        return Err(format!("a path has {MOST_PARTS} parts at most"));
    }
    let first = path.components().next();
    if first.is_some_and(|part| part.as_os_str().to_string_lossy().to_lowercase() == TRASH) {
        return Err(format!(
            "`{TRASH}` holds what was deleted; only a person takes something from there"
        ));
    }
    Ok(path)
}

/// A path at which a caller wants to change something, if it can be one of a workspace. Programs read their settings
/// from files that begin with a point (`.gitconfig`, `.git/config`, `.envrc`, `.npmrc`), and settings name programs to
/// run: who may write notes must not write those.
///
/// # Errors
/// What is wrong with it.
pub(super) fn path_to_change(text: &str) -> Result<PathBuf, String> {
    let path = path_of(text)?;
    let names = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    for name in names {
        if name.starts_with('.') || OBEYED.contains(&name.to_lowercase().as_str()) {
            return Err(format!(
                "`{name}` is a name of settings, which programs obey; only a person changes such files: choose \
                 another name"
            ));
        }
    }
    Ok(path)
}

/// Controls, and characters that change how others are shown (Unicode TR36).
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> (tempfile::TempDir, Workspace) {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("secret.txt"), "secret").unwrap();
        let workspace = Workspace::open(root.path(), "space").unwrap();
        (root, workspace)
    }

    #[test]
    fn folders_of_the_application_are_no_workspaces() {
        for (folder, good) in [
            ("workspace", true),
            ("data/files", true),
            ("", false),
            (".", false),
            ("..", false),
            ("a/../..", false),
            ("/tmp", false),
            (".praxis", false),
            (".PRAXIS/x", false),
            ("prompts", false),
            ("tools/x", false),
            ("code/.Git", false),
            ("code/git", true),
        ] {
            assert_eq!(
                folder_problems("folder", folder).is_empty(),
                good,
                "{folder}"
            );
        }
    }

    #[test]
    fn paths_that_lead_out_are_told() {
        for (path, good) in [
            ("notes.txt", true),
            ("a/b/c.md", true),
            ("./a//b/", true),
            ("笔记/今天.md", true),
            ("", true),
            ("../secret.txt", false),
            ("a/../../secret.txt", false),
            ("/etc/passwd", false),
            ("a\\..\\b", false),
            ("a\0b", false),
            ("\u{202e}txt.exe", false),
            (".trash/x", false),
            (".Trash", false),
        ] {
            assert_eq!(path_of(path).is_ok(), good, "{path:?}");
        }
    }

    #[test]
    fn what_programs_obey_is_read_and_not_changed() {
        for (path, good) in [
            ("notes/today.md", true),
            ("a.b/c..d", true),
            ("config", true),
            ("headline.md", true),
            (".gitconfig", false),
            (".git/config", false),
            ("sub/.Git/hooks/pre-commit", false),
            (".gitattributes", false),
            (".envrc", false),
            ("a/.npmrc", false),
            ("GIT~1/config", false),
            ("bare/HEAD", false),
        ] {
            assert!(path_of(path).is_ok(), "{path}");
            assert_eq!(path_to_change(path).is_ok(), good, "{path}");
        }
        assert!(path_to_change("../x").is_err());
    }

    /// The walls hold also for paths that were not looked at.
    #[cfg(unix)]
    #[test]
    fn no_path_and_no_link_leaves_the_folder() {
        let (root, workspace) = workspace();
        let link = |to: &Path, name: &str| {
            std::os::unix::fs::symlink(to, root.path().join("space").join(name)).unwrap();
        };
        link(&root.path().join("secret.txt"), "absolute");
        link(Path::new("../secret.txt"), "relative");
        link(root.path(), "folder");
        link(Path::new("/proc/self/root"), "proc");
        for path in [
            "../secret.txt",
            "absolute",
            "relative",
            "folder/secret.txt",
            "proc/etc/passwd",
            "/etc/passwd",
            "x/../../secret.txt",
        ] {
            let path = Path::new(path);
            assert!(workspace.text(path, 1000).is_err(), "{path:?}");
            assert!(workspace.append(path, b"x", 1000).is_err(), "{path:?}");
            // A link itself may be replaced, but nothing is written through it.
            let _ = workspace.write(path, b"x", true);
        }
        let secret = std::fs::read_to_string(root.path().join("secret.txt")).unwrap();
        assert_eq!(secret, "secret");
        assert!(!root.path().join("x").exists());
    }

    #[test]
    fn files_are_written_whole_or_not_at_all() {
        let (root, workspace) = workspace();
        let path = Path::new("a/b.txt");
        workspace.write(path, b"one", false).unwrap();
        let again = workspace.write(path, b"two", false).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(workspace.text(path, 10).unwrap(), "one");
        workspace.write(path, b"two", true).unwrap();
        assert_eq!(workspace.append(path, b"+", 10).unwrap(), 4);
        assert_eq!(workspace.text(path, 10).unwrap(), "two+");
        assert!(workspace.append(path, b"0123456789", 10).is_err());
        assert!(workspace.text(path, 3).is_err());
        assert!(workspace.text(Path::new("a"), 10).is_err());
        assert!(workspace.write(Path::new("a"), b"x", true).is_err());
        assert_eq!(workspace.size(100).unwrap(), (2, 4));
        assert_eq!(workspace.size(0).unwrap().0, 1);
        let left: Vec<_> = std::fs::read_dir(root.path().join("space/a"))
            .unwrap()
            .collect();
        assert_eq!(left.len(), 1, "no temporary file stays");
    }
}
