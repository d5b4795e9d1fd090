//! An application, composed: its configuration, store, models, knowledge and functions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use praxis_core::function::{now_ms, now_s};
use praxis_core::{
    CallContext, Caller, Diagnostic, Function, Problem, Retriever, Severity, TraceSink,
    VECTOR_STORE,
};
use praxis_function::{Deps, Functions, Known, Library, Moderator, PromptFunction};
use praxis_gateway::{Gateway, GatewayConfig, Task};
use praxis_hub::Cache;
use praxis_knowledge::{
    BaseConfig, Files, Knowledge, ModelUse, VectorStores, function_names, functions, is_sidecar,
};
use praxis_store::{PromptVersion, Store, StoreApprovals, TraceWriter};
use praxis_tool::{Loaded, Names, Selector, ToolDeps, Toolbox};
use tokio::task::JoinHandle;

use crate::config::toml_file;
use crate::config::{AppConfig, FILE_NAME};
use crate::ui::{self, Failure};
use crate::versions;

/// Local state of an application: never committed, rebuildable but for traces.
pub const STATE_DIR: &str = ".praxis";

/// Where the tools of the application in `root` keep what they know.
pub fn tool_state(root: &Path) -> PathBuf {
    root.join(STATE_DIR).join("tools")
}

/// An application's files, read and checked, before anything is opened.
pub struct Project {
    /// Its folder.
    pub root: PathBuf,
    /// Its `praxis.toml`.
    pub config: AppConfig,
    /// Its knowledge bases: name and configuration.
    pub bases: Vec<(String, BaseConfig)>,
    /// Its tool files.
    pub toolbox: Toolbox,
    /// Names of the functions of its tools.
    pub tools: Vec<Names>,
    /// What is likely not as meant.
    pub warnings: Vec<Diagnostic>,
    /// What texts are judged by.
    pub moderator: Arc<Moderator>,
}

/// A running application.
pub struct App {
    /// Its files.
    pub project: Project,
    /// The store.
    pub store: Store,
    /// Models.
    pub gateway: Arc<Gateway>,
    /// Knowledge bases.
    pub knowledge: Arc<Knowledge>,
    /// Files that clients sent.
    pub files: Arc<Files>,
    /// Vector stores.
    pub vector_stores: Arc<VectorStores>,
    /// Functions.
    pub library: Arc<Library>,
    /// Where traces go; must be closed for the last of them to be stored.
    pub traces: Arc<TraceWriter>,
    deps: Deps,
    tool_deps: ToolDeps,
    /// Notes the versions of the functions in the store, beside the command.
    noting: JoinHandle<()>,
}

/// Whether an application is opened with the functions of its tools.
enum Tools {
    Made,
    LeftOut,
}

/// The application's folder: `given`, or the nearest one upwards from here with a `praxis.toml`.
///
/// # Errors
/// A failure that says how to make one.
pub fn find_root(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(given) = given {
        let dir = folder(given);
        if dir.join(FILE_NAME).is_file() {
            return Ok(dir.to_owned());
        }
        return Err(
            Failure::message(format!("`{}` has no {FILE_NAME}", dir.display())).with_help(
                "name an application's folder with --app, or create one: praxis new my-app",
            ),
        );
    }
    let here = std::env::current_dir()
        .map_err(|e| Failure::message(format!("cannot read the current folder: {e}")))?;
    here.ancestors()
        .find(|dir| dir.join(FILE_NAME).is_file())
        .map(Path::to_owned)
        .ok_or_else(|| {
            Failure::message(format!("no {FILE_NAME} here or in a folder above"))
                .with_help("create an application with `praxis new my-app`, or name one with --app")
        })
}

/// The folder that is meant: that of a `praxis.toml` which is named itself.
fn folder(given: &Path) -> &Path {
    let is_file = given.ends_with(FILE_NAME) && given.is_file();
    match given.parent().filter(|_| is_file) {
        None => given,
        Some(here) if here.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
    }
}

impl Project {
    /// Reads configuration and knowledge bases.
    ///
    /// # Errors
    /// All diagnostics of all files.
    pub fn load(root: PathBuf) -> Result<Project, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let config = AppConfig::load(&root).unwrap_or_else(|mut found| {
            problems.append(&mut found);
            AppConfig::default()
        });
        // Without a sound praxis.toml nobody knows which models there are.
        let models = problems.is_empty().then(|| config.gateway());
        let bases = load_bases(&root, models.as_ref(), &mut problems);
        let moderator = config.moderation.moderator(&root);
        let moderator = moderator.unwrap_or_else(|problem| {
            problems.push(problem);
            Moderator::new(None)
        });
        // What is wrong with the guard by itself was told.
        let guard = config.guard().unwrap_or_default();
        if let (Some(guard), Some(models)) = (&guard, &models) {
            let unknown = guard.unknown(&models.known_models(), &moderator.categories());
            if !unknown.is_empty() {
                problems.extend(versions::at_toml(&root, unknown));
            }
        }
        let toolbox = Toolbox::read(&root);
        let (tools, found) = toolbox.check(&tool_state(&root));
        let is_error = |found: &Diagnostic| found.severity == Severity::Error;
        let (mistakes, warnings): (Vec<_>, Vec<_>) = found.into_iter().partition(is_error);
        problems.extend(mistakes);
        if problems.is_empty() {
            Ok(Project {
                root,
                config,
                bases,
                toolbox,
                tools,
                warnings,
                moderator: Arc::new(moderator),
            })
        } else {
            Err(problems)
        }
    }

    /// The application's name.
    pub fn name(&self) -> String {
        self.config.app.name.clone().unwrap_or_else(|| {
            self.root
                .canonicalize()
                .ok()
                .and_then(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()))
                .unwrap_or_else(|| "praxis".to_owned())
        })
    }

    /// Names that prompts may refer to.
    pub fn known(&self) -> Known {
        let mut built_in = function_names(self.bases.iter().map(|(name, _)| name.as_str()));
        for names in &self.tools {
            match names {
                Names::Known(names) => built_in.extend(names.iter().cloned()),
                Names::Below(start) => built_in.push(start.clone()),
            }
        }
        Known {
            models: self.config.gateway().known_models(),
            knowledge: self.bases.iter().map(|(name, _)| name.clone()).collect(),
            functions: built_in,
            categories: self.moderator.categories(),
            guard: self.config.guard().ok().flatten().map(Arc::new),
            root: self.root.clone(),
        }
    }

    /// What is wrong with the prompts.
    pub fn check_prompts(&self) -> Vec<Diagnostic> {
        praxis_function::check(&self.root.join("prompts"), &self.known())
    }
}

/// The knowledge bases of `knowledge/*.toml`, by file name.
fn load_bases(
    root: &Path,
    models: Option<&GatewayConfig>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<(String, BaseConfig)> {
    let dir = root.join("knowledge");
    let Ok(entries) = std::fs::read_dir(&dir) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| {
            let name = p.file_name().and_then(|name| name.to_str());
            p.extension().is_some_and(|e| e == "toml") && !name.is_some_and(is_sidecar)
        })
        .collect();
    paths.sort();
    let mut bases = Vec::new();
    for path in paths {
        let Some(stem) = path.file_stem().map(|s| s.to_string_lossy().into_owned()) else {
            continue;
        };
        let file = match toml_file::read(&path, format!("knowledge/{stem}.toml")) {
            Ok(file) => file,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        match file.parse::<BaseConfig>() {
            Ok(config) => {
                let of_models = models.map(|models| wrong_models(&config, models));
                let of_models = of_models.unwrap_or_default();
                for problem in config.problems().into_iter().chain(of_models) {
                    problems.push(file.diagnose(problem));
                }
                if stem.starts_with(VECTOR_STORE) {
                    let message = format!("`{stem}` cannot be the name of a knowledge base");
                    let help = format!(
                        "rename the file: `{VECTOR_STORE}` begins the names of vector stores"
                    );
                    problems.push(Diagnostic::error(message).help(help));
                }
                bases.push((stem, config));
            }
            Err(problem) => problems.push(problem),
        }
    }
    bases
}

/// What is wrong with the models that a base names.
fn wrong_models(base: &BaseConfig, models: &GatewayConfig) -> Vec<Problem> {
    let problem = |(path, name, used): (&str, &str, ModelUse)| {
        let tasks = match used {
            ModelUse::Embedding => &[Task::Embedding][..],
            ModelUse::Chat => &[Task::Chat],
            ModelUse::Reranking => &[Task::Reranking, Task::Chat],
        };
        let (message, help) = models.unfit(name, tasks)?;
        Some(Problem {
            path: path.to_owned(),
            message,
            help: Some(help),
        })
    };
    base.models().into_iter().filter_map(problem).collect()
}

impl App {
    /// Opens the application in `root`: checks all files, then opens the store.
    ///
    /// # Errors
    /// Every diagnostic of every file, or why the store does not open. Warnings do not stop it.
    pub async fn open(root: PathBuf) -> Result<App, Failure> {
        Self::opened(root, Tools::Made).await
    }

    /// The same without the functions of its tools, for what calls none: nobody waits for servers.
    ///
    /// # Errors
    /// As [`App::open`].
    pub async fn open_bare(root: PathBuf) -> Result<App, Failure> {
        Self::opened(root, Tools::LeftOut).await
    }

    async fn opened(root: PathBuf, tools: Tools) -> Result<App, Failure> {
        let project = Project::load(root)?;
        let state = project.root.join(STATE_DIR);
        std::fs::create_dir_all(&state).map_err(|e| {
            Failure::message(format!("cannot create `{}`: {e}", state.display()))
                .with_help("check the folder's permissions and the free space")
        })?;
        let store = Store::open(&state.join("praxis.db")).await?;
        let traces = Arc::new(TraceWriter::start(&store)?);
        let cache = Cache::open(None).map_err(|e| Failure::message(e.to_string()))?;
        let gateway = Arc::new(
            Gateway::new(project.config.gateway().rooted(&project.root), cache)
                .map_err(|e| Failure::message(e.to_string()))?,
        );
        let files = Files::new(
            state.join("files"),
            store.clone(),
            project.config.files.limits(),
            now_s,
        );
        let files = Arc::new(files);
        let (embedders, rerankers) = (Arc::clone(&gateway), Arc::clone(&gateway));
        let paid = Arc::clone(&gateway);
        let approvals = StoreApprovals::new(store.clone(), Arc::new(|| now_ms() * 1000));
        let knowledge = Knowledge::open(
            state,
            store.clone(),
            project
                .bases
                .iter()
                .map(|(name, base)| (name.clone(), project.root.join("knowledge"), base.clone()))
                .collect(),
            Arc::new(move |name: Option<&str>| embedders.embedder(name)),
        )
        .with_models(
            gateway.clone(),
            Arc::new(move |name: &str| rerankers.reranker(name)),
        )
        .with_paid_embedders(Arc::new(move |name, cx| paid.embedder_for(name, cx)));
        let knowledge = Arc::new(knowledge);
        let vector_stores =
            VectorStores::open(Arc::clone(&knowledge), Arc::clone(&files), now_s).await?;
        let retriever: Arc<dyn Retriever> = knowledge.clone();
        let embedder = gateway
            .embedder(None)
            .map_err(|e| Failure::message(e.to_string()))?;
        let bases = project.bases.iter();
        let described = bases.map(|(name, base)| (name.as_str(), base.description.as_deref()));
        let mut built_in = functions(described, &retriever, &embedder);
        let tool_deps = ToolDeps {
            chat: gateway.clone(),
            embedder: Arc::clone(&embedder),
            approvals: Arc::new(approvals),
            root: project.root.clone(),
            state: tool_state(&project.root),
        };
        let mut tools = match tools {
            Tools::Made => project.toolbox.load(&tool_deps).await,
            Tools::LeftOut => Loaded {
                functions: Vec::new(),
                diagnostics: Vec::new(),
            },
        };
        if tools
            .diagnostics
            .iter()
            .any(|d| d.severity == Severity::Error)
        {
            return Err(errors(tools.diagnostics));
        }
        tools.diagnostics.iter().for_each(ui::diagnostic);
        built_in.append(&mut tools.functions);
        let selector = Selector::new(Arc::clone(&embedder), &tool_deps.state);
        let deps = Deps {
            chat: gateway.clone(),
            retriever,
            embedder,
            functions: Functions::with_built_in(built_in).with_selector(Arc::new(selector)),
            moderator: Arc::clone(&project.moderator),
        };
        let known = project.known();
        let mut library =
            Library::load(&project.root.join("prompts"), &known, &deps).map_err(errors)?;
        for (name, pinned, _) in versions::pinned(&project, Some(&store)).await? {
            let place = format!("prompts@{}", pinned.hash);
            let mut known = known.clone();
            let names = library.functions().map(|f| f.signature().name.clone());
            known.functions.extend(names);
            let there = Library::from_sources(&pinned.sources, &place, &known, &deps);
            library.replace(there.map_err(errors)?.get(&name)?);
        }
        let noting = tokio::spawn(note_versions(store.clone(), versions_of(&library)));
        Ok(App {
            project,
            store,
            gateway,
            knowledge,
            files,
            vector_stores: Arc::new(vector_stores),
            library: Arc::new(library),
            traces,
            deps,
            tool_deps,
            noting,
        })
    }

    /// The chat model that a function asks: its own, or the application's default.
    pub fn model_of<'a>(&'a self, function: &'a PromptFunction) -> &'a str {
        match function.model() {
            "" => self.gateway.config().chat_default(),
            own => own,
        }
    }

    /// What functions reach the world through.
    pub fn deps(&self) -> Deps {
        self.deps.clone()
    }

    /// What tools reach the world through.
    pub fn tool_deps(&self) -> &ToolDeps {
        &self.tool_deps
    }

    /// Where spans go.
    pub fn sink(&self) -> Arc<dyn TraceSink> {
        self.traces.clone()
    }

    /// A context for a call of the command line, which may read all documents.
    pub fn context(&self) -> CallContext {
        CallContext::new(self.sink()).with_caller(Caller::full())
    }

    /// Stores the last traces.
    pub async fn close(self) {
        let _ = self.noting.await;
        self.traces.flush().await;
    }
}

/// The errors among what a library's loading found.
pub fn errors(found: Vec<Diagnostic>) -> Failure {
    let errors = found.into_iter().filter(|d| d.severity == Severity::Error);
    errors.collect::<Vec<_>>().into()
}

fn versions_of(library: &Library) -> Vec<PromptVersion> {
    let version = |function: &Arc<praxis_function::PromptFunction>| PromptVersion {
        function: function.signature().name.clone(),
        version: function.version().to_owned(),
        sources: function.sources().clone(),
        first_seen_ms: now_ms(),
    };
    library.functions().map(version).collect()
}

/// Keeps the sources of what is served, so that its traces can be understood and it can be pinned. No
/// call depends on it.
async fn note_versions(store: Store, versions: Vec<PromptVersion>) {
    if let Err(error) = store.note_prompt_versions(&versions).await {
        ui::warn(format!(
            "the versions of the prompts were not noted: {error}"
        ));
    }
}
