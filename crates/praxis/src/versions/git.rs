//! The prompts of an application, and the data files that they name, as git's history has them. The `git` program
//! is asked, as its user has set it up; three processes read the whole history, however long it is. Left out: what
//! a version is, and all writing.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use praxis_function::Sources;
use praxis_function::version::{data, is_source};

/// A commit that touched the prompts or their data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its whole id.
    pub id: String,
    /// Who wrote it.
    pub author: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The first line of its message.
    pub subject: String,
}

impl Commit {
    /// The beginning of its id, as git shows it.
    pub fn short(&self) -> &str {
        self.id.get(..7).unwrap_or(&self.id)
    }
}

/// Which commits are looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those that led to the present one.
    Head,
    /// Those of all branches and tags.
    Everything,
}

/// Gives `visit` each commit that touched the prompts of the application in `root` or their data files, newest
/// first, with its prompts and their data, until it answers `false`. Does nothing where there is no repository, no
/// commit or no `git`.
pub fn walk(root: &Path, reach: Reach, visit: &mut dyn FnMut(&Commit, &Sources) -> bool) {
    let Some(prefix) = ask(root, &["rev-parse", "--show-prefix"]) else {
        return;
    };
    let prefix = prefix.trim_end_matches(['\r', '\n']);
    let commits: &[&str] = match reach {
        Reach::Head => &["HEAD"],
        Reach::Everything => &["--all", "--full-history"],
    };
    let list = [&["rev-list", "--objects"][..], commits, &["--", "prompts"]].concat();
    let Some(listed) = ask(root, &list) else {
        return;
    };
    let Some(mut objects) = Objects::open(root) else {
        return;
    };
    // Which data files belong to the history, only its prompts tell.
    let Some(paths) = objects.note_data(&listed, prefix) else {
        return;
    };
    let mut log = vec![
        "log",
        "--no-show-signature",
        "--format=%H%x00%an%x00%at%x00%s",
    ];
    log.extend(commits);
    log.extend(["--", "prompts"]);
    log.extend(paths.iter().map(String::as_str));
    let Some(log) = ask(root, &log) else {
        return;
    };
    for commit in log.lines().filter_map(commit) {
        let Some(files) = objects.prompts(&commit.id, prefix) else {
            return;
        };
        if !visit(&commit, &files) {
            return;
        }
    }
}

/// The `git` program in `root`. It neither asks a person nor the network.
fn git(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(root)
        .args(["--no-pager", "--no-optional-locks"])
        .args(args)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// What git says; nothing where it fails.
fn ask(root: &Path, args: &[&str]) -> Option<String> {
    let output = git(root, args).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn commit(line: &str) -> Option<Commit> {
    let mut fields = line.splitn(4, '\0');
    Some(Commit {
        id: fields.next()?.to_owned(),
        author: fields.next()?.to_owned(),
        at_ms: fields.next()?.parse::<i64>().ok()? * 1000,
        subject: fields.next()?.to_owned(),
    })
}

/// A running `git cat-file --batch`, which gives any object for its name.
struct Objects {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Texts by their blob's id: most commits change one file.
    texts: HashMap<String, Option<String>>,
    /// The data files that prompts name, by the prompt's blob.
    data: HashMap<String, Vec<DataFile>>,
}

/// A data file that a prompt names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DataFile {
    /// What versions call it.
    name: String,
    /// Its path in the repository.
    path: String,
}

impl Drop for Objects {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Objects {
    fn open(root: &Path) -> Option<Self> {
        let mut process = git(root, &["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (ask, answers) = (process.stdin.take()?, process.stdout.take()?);
        Some(Self {
            process,
            ask,
            answers: BufReader::new(answers),
            texts: HashMap::new(),
            data: HashMap::new(),
        })
    }

    /// Notes the data files that prompts among the listed objects name, and gives git's names for them, which are
    /// whole paths. None where git is gone.
    fn note_data(&mut self, listed: &str, prefix: &str) -> Option<BTreeSet<String>> {
        let mut paths = BTreeSet::new();
        for (id, object) in listed.lines().filter_map(|line| line.split_once(' ')) {
            if !object.ends_with(".prompt") {
                continue;
            }
            let text = self.text(id.to_owned(), |text| text)?.unwrap_or_default();
            let in_repository = |name: String| {
                let path = repository_path(prefix, &data::path(&name))?;
                Some(DataFile { name, path })
            };
            let named = data::named(&text);
            let files: Vec<DataFile> = named.into_iter().filter_map(in_repository).collect();
            paths.extend(files.iter().map(|f| format!(":(top,literal){}", f.path)));
            self.data.insert(id.to_owned(), files);
        }
        Some(paths)
    }

    /// The prompt files of a commit and the data files that they name; none where it has no such folder.
    fn prompts(&mut self, commit: &str, prefix: &str) -> Option<Sources> {
        let (mut files, mut named) = (Sources::new(), Vec::new());
        let mut folders = vec![(String::new(), format!("{commit}:{prefix}prompts"))];
        while let Some((folder, tree)) = folders.pop() {
            let tree = self.get(&tree)?.unwrap_or_default();
            for Entry {
                name,
                id,
                is_folder,
            } in entries(&tree, commit.len() / 2)
            {
                let name = format!("{folder}{name}");
                if is_folder {
                    folders.push((format!("{name}/"), id));
                } else if is_source(&name) {
                    named.extend(self.data.get(&id).into_iter().flatten().cloned());
                    if let Some(text) = self.text(id, |text| text)? {
                        files.insert(name, text);
                    }
                }
            }
        }
        for DataFile { name, path } in named {
            if !files.contains_key(&name)
                && let Some(id) = self.blob(commit, &path)?
                && let Some(text) = self.text(id, data::kept)?
            {
                files.insert(name, text);
            }
        }
        Some(files)
    }

    /// The blob at a path of a commit; the inner `None` where there is none.
    fn blob(&mut self, commit: &str, path: &str) -> Option<Option<String>> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let tree = self.get(&format!("{commit}:{folder}"))?;
        let entries = entries(&tree.unwrap_or_default(), commit.len() / 2);
        let mut files = entries.into_iter().filter(|entry| !entry.is_folder);
        Some(files.find(|file| file.name == name).map(|file| file.id))
    }

    /// What is kept of a blob's text; the inner `None` where it is none.
    fn text(&mut self, id: String, kept: fn(String) -> String) -> Option<Option<String>> {
        if let Some(known) = self.texts.get(&id) {
            return Some(known.clone());
        }
        let text = self.get(&id)?.and_then(|b| String::from_utf8(b).ok());
        let text = text.map(kept);
        self.texts.insert(id, text.clone());
        Some(text)
    }

    /// An object's bytes; the inner `None` where it does not exist, the outer where git is gone.
    fn get(&mut self, name: &str) -> Option<Option<Vec<u8>>> {
        writeln!(self.ask, "{name}").ok()?;
        self.ask.flush().ok()?;
        let mut head = String::new();
        self.answers.read_line(&mut head).ok()?;
        let mut fields = head.trim_end().rsplitn(3, ' ');
        let (last, _kind, id) = (fields.next()?, fields.next(), fields.next());
        let Some(size) = id.and_then(|_| last.parse::<usize>().ok()) else {
            // `NAME missing`
            return head.ends_with('\n').then_some(None);
        };
        let mut bytes = vec![0; size + 1];
        self.answers.read_exact(&mut bytes).ok()?;
        bytes.pop();
        Some(Some(bytes))
    }
}

/// The path in its repository of a file of the application, whose folder is `prefix` there; none outside of the
/// repository.
fn repository_path(prefix: &str, path: &str) -> Option<String> {
    if Path::new(path).is_absolute() {
        return None;
    }
    let mut folders: Vec<&str> = prefix.split('/').filter(|name| !name.is_empty()).collect();
    let mut rest = path;
    while let Some(above) = rest.strip_prefix("../") {
        folders.pop()?;
        rest = above;
    }
    folders.push(rest);
    Some(folders.join("/"))
}

/// A file or folder of a tree object.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    id: String,
    is_folder: bool,
}

/// The regular files and folders of a tree object, which is `MODE NAME\0` and the id's bytes, again and
/// again. Links and submodules are no prompts.
fn entries(tree: &[u8], id_bytes: usize) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut rest = tree;
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        let (head, after) = (&rest[..end], &rest[end + 1..]);
        let Some((id, after)) = after.split_at_checked(id_bytes) else {
            break;
        };
        rest = after;
        let Some(space) = head.iter().position(|b| *b == b' ') else {
            break;
        };
        let is_folder = head.starts_with(b"40000 ");
        if (is_folder || head.starts_with(b"100"))
            && let Ok(name) = std::str::from_utf8(&head[space + 1..])
        {
            found.push(Entry {
                name: name.to_owned(),
                id: id.iter().map(|b| format!("{b:02x}")).collect(),
                is_folder,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_its_files_and_folders() {
        let mut tree = Vec::new();
        for (head, byte) in [
            ("100644 a b.prompt", 0xab),
            ("40000 sub", 1),
            ("120000 link", 2),
            ("100755 c", 0),
        ] {
            tree.extend(head.as_bytes());
            tree.push(0);
            tree.extend([byte; 20]);
        }
        let seen: Vec<(String, bool)> = entries(&tree, 20)
            .into_iter()
            .map(|e| (e.name, e.is_folder))
            .collect();
        let expected = [("a b.prompt", false), ("sub", true), ("c", false)];
        assert_eq!(
            seen,
            expected.map(|(name, folder)| (name.to_owned(), folder))
        );
        assert_eq!(entries(&tree, 20)[0].id, "ab".repeat(20));
        assert_eq!(entries(&tree[..30], 20), []);
    }

    #[test]
    fn a_path_of_the_application_is_one_of_its_repository() {
        for (prefix, path, expected) in [
            ("", "data/e.jsonl", Some("data/e.jsonl")),
            ("apps/one/", "data/e.jsonl", Some("apps/one/data/e.jsonl")),
            ("apps/one/", "../../e.jsonl", Some("e.jsonl")),
            ("apps/one/", "../two/e.jsonl", Some("apps/two/e.jsonl")),
            ("apps/one/", "../../../e.jsonl", None),
            ("", "../e.jsonl", None),
        ] {
            let found = repository_path(prefix, path);
            assert_eq!(found.as_deref(), expected, "{prefix} {path}");
        }
        if cfg!(unix) {
            assert_eq!(repository_path("apps/", "/data/e.jsonl"), None);
        }
    }
}
