//! The tools of an application: the files of `tools/`, each read by the module of its kind, and what is there
//! without a file.
//!
//! A file is `tools/NAME.KIND.toml`. Its functions are called `NAME`, or `NAME/OPERATION`. Left out: what the kinds
//! mean, which is in their modules; a new one is a line of [`KINDS`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use praxis_core::suggest::nearest;
use praxis_core::toml_file::TomlFile;
use praxis_core::{Diagnostic, Function, Problem, Severity, plain};

use crate::builtin;
use crate::deps::ToolDeps;
use crate::safety::{self, Guarded, PolicyConfig};

/// The folder of tool files in an application's.
const FOLDER: &str = "tools";

/// Files that are made into tools at a time, and how long one may take.
const AT_ONCE: usize = 8;
const LONGEST: Duration = Duration::from_secs(60);

/// The largest tool file, and the most that are read.
const LARGEST: u64 = 1 << 20;
const MOST_FILES: usize = 1000;

/// The longest name of a tool file: models take 64 characters, and an operation comes behind it.
const LONGEST_NAME: usize = 40;

/// Prompts that are looked at for names that clash.
const MOST_PROMPTS: usize = 10_000;

/// What a tool file makes.
pub(crate) struct Made {
    /// Its tools.
    pub tools: Vec<Tool>,
    /// What is likely not as meant, or could not be had just now.
    pub warnings: Vec<Problem>,
}

/// A function of a tool file.
pub(crate) struct Tool {
    /// The function.
    pub function: Arc<dyn Function>,
    /// Whether what it gives comes from people or places that are not trusted.
    pub outside: bool,
}

/// Names of the functions of a tool file, as far as they are known without a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// These.
    Known(Vec<String>),
    /// Any that begins so, such as `files/`, may be there.
    Below(String),
}

/// What is told of a tool file without making its tools.
pub(crate) struct Looked {
    pub names: Names,
    /// What is wrong with a file that it names.
    pub mistake: Option<Problem>,
}

impl From<Names> for Looked {
    fn from(names: Names) -> Self {
        Self {
            names,
            mistake: None,
        }
    }
}

/// What ties a tool file to others of the application, as far as it can be told without making its tools.
#[derive(Default)]
pub(crate) struct Ties {
    /// The folder that it works in, below the application's.
    pub folder: Option<String>,
    /// Whether a model may write there what it likes.
    pub writes: bool,
    /// Whether programs run there that no person lets through one by one.
    pub runs: bool,
    /// The `python` tool file whose policy holds where it has none of its own.
    pub policy_of: Option<String>,
    /// What is likely not as meant in the file itself.
    pub warnings: Vec<Problem>,
}

impl Names {
    /// Whether a function of this name is one of them, or may be.
    pub fn may_have(&self, name: &str) -> bool {
        match self {
            Self::Known(names) => names.iter().any(|n| n == name),
            Self::Below(start) => name.starts_with(start.as_str()),
        }
    }
}

/// The tools that were made, and what is wrong with their files.
pub struct Loaded {
    /// The functions, by name, with those that are there without a file.
    pub functions: Vec<Arc<dyn Function>>,
    /// What is wrong: an error for a file that makes no tools.
    pub diagnostics: Vec<Diagnostic>,
}

/// The tools of an application: its tool files, read once. What is wrong with them and what they make are of the same
/// texts, whatever becomes of the files meanwhile.
#[derive(Default)]
pub struct Toolbox {
    root: PathBuf,
    /// Those without mistakes, by name.
    files: Vec<ToolFile>,
    /// What is wrong with the others.
    mistakes: Vec<Diagnostic>,
    /// Names of the functions of the application's prompts.
    prompts: Vec<String>,
}

impl Toolbox {
    /// Reads the tool files of the application in `root`. What is wrong with one is told by what follows.
    pub fn read(root: &Path) -> Self {
        let (files, mistakes) = read(root);
        Self {
            root: root.to_owned(),
            files,
            mistakes,
            prompts: prompts(root),
        }
    }

    /// Makes the tools. A service that is far away and down costs a warning, as long as a copy of what it said is
    /// there.
    pub async fn load(&self, deps: &ToolDeps) -> Loaded {
        let mut diagnostics = self.mistakes.clone();
        let mut functions: Vec<Arc<dyn Function>> = Vec::new();
        let mut guarded: Vec<Arc<Guarded>> = Vec::new();
        for function in builtin::functions() {
            match function {
                Ok(function) => functions.push(function),
                Err(problem) => diagnostics.push(Diagnostic::error(problem.message)),
            }
        }
        let makes = self.files.iter().map(|file| made(file, deps));
        let makes: Vec<_> = makes.collect();
        let mut made = futures::stream::iter(makes).buffered(AT_ONCE);
        while let Some((mut tools, mut found)) = made.next().await {
            guarded.append(&mut tools);
            diagnostics.append(&mut found);
        }
        let of_files = guarded.iter().map(Arc::clone);
        functions.extend(of_files.map(|function| function as Arc<dyn Function>));
        diagnostics.extend(self.armed());
        functions.push(safety::approved(&guarded, deps));
        let known = functions.iter().map(|f| f.signature().name.clone());
        diagnostics.extend(clashes(&Names::Known(known.collect()), &self.prompts));
        functions.sort_by(|a, b| a.signature().name.cmp(&b.signature().name));
        Loaded {
            functions,
            diagnostics,
        }
    }

    /// The same, but servers whose offer is kept are asked anew: those of `name`'s file, or all. What one offered
    /// before stays where it does not answer.
    ///
    /// # Errors
    /// A diagnostic where there is no tool file of that name.
    pub async fn refresh(&self, deps: &ToolDeps, name: Option<&str>) -> Result<Loaded, Diagnostic> {
        let is_meant = |file: &&ToolFile| name.is_none_or(|name| file.name == name);
        let meant: Vec<&ToolFile> = self.files.iter().filter(is_meant).collect();
        if let Some(name) = name.filter(|_| meant.is_empty()) {
            let near = nearest(name, self.files.iter().map(|file| file.name.as_str()));
            let found =
                Diagnostic::error(format!("there is no tool file `{name}` without mistakes"));
            return Err(found.suggest(near, "`praxis check` tells what is wrong with a file"));
        }
        let copies: Vec<(PathBuf, PathBuf)> = meant
            .iter()
            .map(|file| {
                let copy = file.copy(&deps.state);
                (copy.clone(), copy.with_extension("before"))
            })
            .collect();
        for (copy, before) in &copies {
            // Without a copy there is nothing to keep.
            let _ = std::fs::rename(copy, before);
        }
        let loaded = self.load(deps).await;
        for (copy, before) in &copies {
            let _ = match copy.exists() {
                true => std::fs::remove_file(before),
                false => std::fs::rename(before, copy),
            };
        }
        Ok(loaded)
    }

    /// Names of the functions of the application, and what is wrong with its tool files, without asking anybody.
    /// `state` is the folder of [`ToolDeps::state`].
    pub fn check(&self, state: &Path) -> (Vec<Names>, Vec<Diagnostic>) {
        let mut diagnostics = self.mistakes.clone();
        let mut built_in = builtin::names();
        built_in.push(safety::APPROVED.to_owned());
        let mut all = vec![Names::Known(built_in)];
        for file in &self.files {
            let Looked { names, mistake } = file.declared.names(&file.name, &self.root, state);
            diagnostics.extend(mistake.map(|problem| file.text.diagnose(problem)));
            diagnostics.extend(clashes(&names, &self.prompts));
            all.push(names);
            let warnings = file.declared.ties().warnings.into_iter();
            diagnostics.extend(warnings.map(|problem| file.warning(problem)));
        }
        diagnostics.extend(self.armed());
        (all, diagnostics)
    }

    /// A warning for each folder in which a model may write and programs run. Programs obey files that they find: a
    /// `Makefile`, a `package.json`, what a pattern lets a command name. Who may write them has code run.
    fn armed(&self) -> Vec<Diagnostic> {
        let files = self.files.iter();
        let tied = files.map(|file| (file, file.declared.ties()));
        let tied: Vec<(&ToolFile, Ties)> = tied.collect();
        let mut found = Vec::new();
        for (runs, there) in tied.iter().filter(|(_, ties)| ties.runs) {
            let Some(folder) = &there.folder else {
                continue;
            };
            let writes = tied.iter().find(|(_, ties)| {
                let own = ties.folder.as_ref().filter(|_| ties.writes);
                let (own, folder) = (own.map(Path::new), Path::new(folder));
                own.is_some_and(|own| own.starts_with(folder) || folder.starts_with(own))
            });
            let Some((writes, _)) = writes else {
                continue;
            };
            found.push(runs.warning(Problem {
                path: "folder".to_owned(),
                message: format!(
                    "a model that writes by `{FOLDER}/{}.{}.toml` in `{}` may write what these programs obey, and so \
                     have code run",
                    writes.name, writes.kind, folder
                ),
                help: Some(
                    "give each a folder of its own, write `read_only = true` for the files, or have a person see each \
                     command: `[policy]` with `approval = \"always\"`"
                        .to_owned(),
                ),
            }));
        }
        found
    }
}

/// What a tool file says, whatever its kind.
#[async_trait]
trait Declared: Send + Sync {
    fn problems(&self) -> Vec<Problem>;

    fn policy(&self) -> &PolicyConfig;

    fn names(&self, name: &str, root: &Path, state: &Path) -> Looked;

    /// What ties it to other files.
    fn ties(&self) -> Ties {
        Ties::default()
    }

    async fn make(&self, name: &str, deps: &ToolDeps) -> Result<Made, Problem>;
}

/// A kind of tool files.
struct Kind {
    /// As files name it.
    word: &'static str,
    /// Reads one.
    read: fn(&TomlFile) -> Result<Box<dyn Declared>, Diagnostic>,
}

/// The table of kinds: the word of each, and its module; `[ties]` where its files have to do with others.
macro_rules! kinds {
    ($($word:literal => $($part:ident)::+ $([$ties:ident])?,)*) => {
        const KINDS: &[Kind] = &[$(Kind {
            word: $word,
            read: |file| Ok(Box::new(file.parse::<crate::$($part)::+::Config>()?)),
        },)*];

        $(#[async_trait]
        impl Declared for crate::$($part)::+::Config {
            fn problems(&self) -> Vec<Problem> {
                let mut all = crate::$($part)::+::Config::problems(self);
                all.extend(self.policy.problems());
                all
            }

            fn policy(&self) -> &PolicyConfig {
                &self.policy
            }

            fn names(&self, name: &str, root: &Path, state: &Path) -> Looked {
                crate::$($part)::+::names(name, self, root, state).into()
            }

            // The type's own function goes before that of the trait.
            $(fn $ties(&self) -> Ties {
                Self::$ties(self)
            })?

            async fn make(&self, name: &str, deps: &ToolDeps) -> Result<Made, Problem> {
                crate::$($part)::+::make(name, self, deps).await
            }
        })*
    };
}

kinds! {
    "files" => builtin::files [ties],
    "http" => http,
    "mail" => builtin::mail,
    "mcp" => mcp,
    "openapi" => openapi,
    "python" => python,
    "pytool" => python::made [ties],
    "search" => search,
    "shell" => builtin::shell [ties],
    "sql" => sql [ties],
    "web" => web,
}

/// A tool file that has been read and has no mistakes.
struct ToolFile {
    name: String,
    kind: &'static str,
    text: TomlFile,
    /// What its functions are held to.
    policy: PolicyConfig,
    declared: Box<dyn Declared>,
}

impl ToolFile {
    /// Where a kind keeps what a server offers, if it does not ask at each start.
    fn copy(&self, state: &Path) -> PathBuf {
        state.join(self.kind).join(format!("{}.json", self.name))
    }

    /// A problem of it as a warning.
    fn warning(&self, problem: Problem) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..self.text.diagnose(problem)
        }
    }
}

/// The tools of one file, guarded by its policy, and what is wrong with it.
async fn made(file: &ToolFile, deps: &ToolDeps) -> (Vec<Arc<Guarded>>, Vec<Diagnostic>) {
    let made = tokio::time::timeout(LONGEST, file.declared.make(&file.name, deps)).await;
    let made = made.unwrap_or_else(|_| {
        let seconds = LONGEST.as_secs();
        Err(Problem {
            path: String::new(),
            message: format!("the tools of `{}` were not there in {seconds} s", file.name),
            help: Some("is what it connects to there? `praxis tools refresh` tries again".into()),
        })
    });
    let Made { tools, warnings } = match made {
        Ok(made) => made,
        Err(problem) => return (Vec::new(), vec![file.text.diagnose(problem)]),
    };
    let warnings = warnings.into_iter().map(|problem| file.warning(problem));
    let mut found: Vec<Diagnostic> = warnings.collect();
    let mut names = BTreeSet::new();
    let mut functions: Vec<Arc<Guarded>> = Vec::new();
    for tool in tools {
        let name = tool.function.signature().name.clone();
        if !is_below(&name, &file.name) || !names.insert(name.clone()) {
            let message = format!("`{name}` cannot be a tool of `{}`", file.name);
            let help = "a tool is called by its file, or below it, and only once";
            found.push(Diagnostic::error(message).help(help));
            continue;
        }
        functions.push(Guarded::wrap(tool, &file.policy, deps));
    }
    (functions, found)
}

/// Whether a function's name belongs to a file of that name.
fn is_below(function: &str, file: &str) -> bool {
    match function.strip_prefix(file) {
        Some("") => true,
        Some(rest) => rest.starts_with('/') && rest.len() > 1,
        None => false,
    }
}

/// The files of `tools/`, by name, and what is wrong with them; those with mistakes are left out.
fn read(root: &Path) -> (Vec<ToolFile>, Vec<Diagnostic>) {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    let folder = root.join(FOLDER);
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for file in file_names(&folder, &mut problems) {
        let shown = format!("{FOLDER}/{file}");
        let (name, kind) = match parts(&file) {
            Ok(parts) => parts,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        if let Some(other) = taken.insert(name.clone(), shown.clone()) {
            let message = format!("`{other}` and `{shown}` are both called `{name}`");
            let help = "rename one of them: tools are called by the names of their files";
            problems.push(Diagnostic::error(message).help(help));
            continue;
        }
        let text = match text(&folder.join(&file)) {
            Ok(text) => TomlFile::new(shown, text),
            Err(error) => {
                problems.push(Diagnostic::error(format!("cannot read `{shown}`: {error}")));
                continue;
            }
        };
        match (kind.read)(&text) {
            Ok(declared) => {
                let found = declared.problems();
                if found.is_empty() {
                    files.push(ToolFile {
                        name,
                        kind: kind.word,
                        text,
                        policy: declared.policy().clone(),
                        declared,
                    });
                } else {
                    problems.extend(found.into_iter().map(|problem| text.diagnose(problem)));
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    inherit(&mut files);
    (files, problems)
}

/// Holds files that say nothing of a policy to that of the file whose interpreter they have: a tool that was made there
/// is no way around what the interpreter's own functions are held to.
fn inherit(files: &mut [ToolFile]) {
    let lenders = files.iter().filter(|file| file.kind == "python");
    let lent: BTreeMap<String, PolicyConfig> = lenders
        .map(|file| (file.name.clone(), file.policy.clone()))
        .collect();
    for file in files {
        let of = file.declared.ties().policy_of;
        if let Some(policy) = of.and_then(|of| lent.get(&of))
            && file.policy == PolicyConfig::default()
        {
            file.policy = policy.clone();
        }
    }
}

/// Names of the files of a folder that may be tool files; none where there is no such folder.
fn file_names(folder: &Path, problems: &mut Vec<Diagnostic>) -> Vec<String> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                let message = format!("cannot read the folder `{FOLDER}/`: {error}");
                problems.push(Diagnostic::error(message));
            }
            return Vec::new();
        }
    };
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok().filter(|e| e.path().is_file())?;
        entry.file_name().into_string().ok()
    };
    let mut names: Vec<String> = entries
        .filter_map(name)
        .filter(|name| name.ends_with(".toml") && !name.starts_with('.'))
        .collect();
    names.sort();
    if names.len() > MOST_FILES {
        let message = format!("`{FOLDER}/` has more than {MOST_FILES} tool files");
        problems.push(Diagnostic::error(message).help("take some out"));
        names.truncate(MOST_FILES);
    }
    names
}

/// The text of a tool file.
fn text(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > LARGEST {
        let message = format!("it has more than {LARGEST} bytes");
        return Err(std::io::Error::other(message));
    }
    plain::utf8(std::fs::read(path)?).map_err(std::io::Error::other)
}

/// Name and kind of a tool file, from `NAME.KIND.toml`.
fn parts(file: &str) -> Result<(String, &'static Kind), Diagnostic> {
    let words = || KINDS.iter().map(|kind| kind.word);
    let kinds = || words().collect::<Vec<_>>().join(", ");
    let stem = file.strip_suffix(".toml").unwrap_or(file);
    let Some((name, word)) = stem.rsplit_once('.') else {
        let message = format!("`{FOLDER}/{file}` does not say what kind of tool it is");
        let help = format!(
            "call it `{stem}.KIND.toml`, with one of these kinds: {}",
            kinds()
        );
        return Err(Diagnostic::error(message).help(help));
    };
    let Some(kind) = KINDS.iter().find(|kind| kind.word == word) else {
        let message = format!("`{FOLDER}/{file}`: there is no kind of tools `{word}`");
        let near = nearest(word, words()).map(|near| format!("did you mean `{near}`? "));
        let help = format!("{}there are: {}", near.unwrap_or_default(), kinds());
        return Err(Diagnostic::error(message).help(help));
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts || !name.chars().all(plain) || name.len() > LONGEST_NAME {
        let message = format!("`{FOLDER}/{file}`: `{name}` cannot be the name of a tool");
        let help = format!(
            "begin it with a letter; letters, digits, `_` and `-` may follow, {LONGEST_NAME} at most"
        );
        return Err(Diagnostic::error(message).help(help));
    }
    if name == builtin::NAMESPACE {
        let message = format!("`{FOLDER}/{file}`: `{name}/` begins the names of what is built in");
        return Err(Diagnostic::error(message).help("rename the file"));
    }
    Ok((name.to_owned(), kind))
}

/// Prompts that are called like a tool. A prompt takes the tool's place, which nobody means; what is built in may be
/// replaced so on purpose.
fn clashes(names: &Names, prompts: &[String]) -> Vec<Diagnostic> {
    let is_built_in = |prompt: &str| is_below(prompt, builtin::NAMESPACE);
    let clash = |prompt: &&String| names.may_have(prompt) && !is_built_in(prompt);
    prompts
        .iter()
        .filter(clash)
        .map(|prompt| {
            let help = "rename the prompt or the tool file";
            match names {
                Names::Known(_) => {
                    let message =
                        format!("a tool and `prompts/{prompt}.prompt` are both `{prompt}`");
                    Diagnostic::error(message).help(help)
                }
                Names::Below(start) => {
                    let message = format!(
                        "`prompts/{prompt}.prompt` takes the place of a tool, if there is one: \
                         names below `{start}` are those of a tool file"
                    );
                    Diagnostic::warning(message).help(help)
                }
            }
        })
        .collect()
}

/// Names of the functions of the prompts in `root`.
fn prompts(root: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![(root.join("prompts"), String::new())];
    let mut seen = 0;
    while let Some((folder, before)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            seen += 1;
            if seen > MOST_PROMPTS {
                return names;
            }
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // A link is not followed: it may lead in a circle.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder {
                folders.push((entry.path(), format!("{before}{name}/")));
            } else if let Some(stem) = name.strip_suffix(".prompt")
                && !stem.starts_with('_')
            {
                names.push(format!("{before}{stem}"));
            }
        }
    }
    names.sort();
    names
}

#[cfg(test)]
mod tests;
