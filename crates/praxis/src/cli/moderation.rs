//! `praxis moderation`, declared.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum Moderation {
    /// Make a classifier of labelled texts, for `moderation.classifier` in praxis.toml.
    Train(TrainModeration),
    /// Measure a classifier by labelled texts: precision, recall, F1 and AUC by category and language.
    Eval(EvalModeration),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Each line of the data is {\"text\": ..., \"labels\": {\"CATEGORY\": true or false}}; what `labels` leaves out is\nnot known. A list, {\"labels\": [\"CATEGORY\"]}, names all that the text is. `split` may be train, valid or test;\nwithout it, a text's part follows from what it says. Thresholds are chosen on `valid`, and `test` is for `eval`.\n\nExamples:\n  praxis moderation train rivals.jsonl --out moderation.bin\n  praxis moderation eval rivals.jsonl --classifier moderation.bin"
)]
pub struct TrainModeration {
    /// The labelled texts, one JSON object a line; `-` is standard input.
    pub data: PathBuf,
    /// The embedding model (default: the application's).
    #[arg(long, value_name = "NAME")]
    pub embedder: Option<String>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Only texts in these languages, by their `lang`.
    #[arg(long, value_name = "LANGS", value_delimiter = ',')]
    pub lang: Vec<String>,
    /// How strongly weights are held back: more where lines are few.
    #[arg(long, value_name = "NUMBER")]
    pub l2: Option<f64>,
}

#[derive(Debug, Args)]
pub struct EvalModeration {
    /// The labelled texts, one JSON object a line; `-` is standard input.
    pub data: PathBuf,
    /// The embedding model (default: the application's).
    #[arg(long, value_name = "NAME")]
    pub embedder: Option<String>,
    /// The classifier's file (default: what comes with the program for the embedder).
    #[arg(long, value_name = "FILE")]
    pub classifier: Option<PathBuf>,
    /// Which part of the texts.
    #[arg(long, value_enum, default_value_t = Split::Test)]
    pub split: Split,
    /// Only texts of these sources, by their `source`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub source: Vec<String>,
    /// Only texts in these languages, by their `lang`.
    #[arg(long, value_name = "LANGS", value_delimiter = ',')]
    pub lang: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Split {
    /// What classifiers were fitted to.
    Train,
    /// What thresholds were chosen on.
    Valid,
    /// What neither has seen.
    Test,
}
