//! The arguments of `praxis keys` and `praxis usage`. Left out: what the texts among them mean, which the commands
//! read.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use praxis_core::ledger::UsageKind;
use praxis_store::{Scope, Scopes};

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key; its secret is shown this once.
    Create(CreateKey),
    /// List keys, without their secrets.
    List {
        /// Also those that are revoked or have expired.
        #[arg(long)]
        all: bool,
    },
    /// Change a key; what is not named stays as it is.
    ///
    /// Which documents it reads cannot be changed: make another key for that.
    Update(UpdateKey),
    /// Revoke a key for good.
    Revoke {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Args)]
#[command(
    after_help = "A limit is a number of requests, tokens or usd in a time: second, minute, hour or so many of them\n(a rate), day or month (a budget, by UTC), or no time (a budget for ever). It is the key's own, or\nwith `for user:*` one of each of its users, with `for tag:NAME` one of a tag.\n\nExamples:\n  praxis keys create website --scope chat --limit \"60 requests/minute\" --limit \"20 usd/month\"\n  praxis keys create hr --label hr --expires 90d --limit \"0.50 usd/day for user:*\""
)]
pub struct CreateKey {
    /// What it is called: up to 64 letters, digits and `-_.:/`. Limits and reports go by it.
    pub name: String,
    /// What it is for; may be given several times (default: all, and what may come).
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', value_parser = scopes())]
    pub scopes: Vec<String>,
    /// It reads documents with this access label too; may be given several times (default: those
    /// without labels only).
    #[arg(
        long = "label",
        value_name = "LABEL",
        value_delimiter = ',',
        conflicts_with = "all_documents"
    )]
    pub labels: Vec<String>,
    /// It reads all documents, whatever their labels.
    #[arg(long)]
    pub all_documents: bool,
    /// How much it may use; may be given several times (default: no limit).
    #[arg(long = "limit", value_name = "LIMIT")]
    pub limits: Vec<String>,
    /// When it ends: so many days or hours from now (`90d`, `12h`), or as a day of UTC begins
    /// (`2027-01-31`; default: never).
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<String>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  praxis keys update website --limit \"120 requests/minute\" --limit \"50 usd/month\"\n  praxis keys update hr --expires 2027-01-31"
)]
pub struct UpdateKey {
    /// Its name.
    pub name: String,
    /// What it is for instead; may be given several times.
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', value_parser = scopes())]
    pub scopes: Vec<String>,
    /// How much it may use instead; may be given several times.
    #[arg(long = "limit", value_name = "LIMIT", conflicts_with = "no_limits")]
    pub limits: Vec<String>,
    /// It has no limits any more.
    #[arg(long)]
    pub no_limits: bool,
    /// When it ends instead, as `praxis keys create` takes it.
    #[arg(long, value_name = "WHEN", conflicts_with = "never_expires")]
    pub expires: Option<String>,
    /// It does not end any more.
    #[arg(long)]
    pub never_expires: bool,
}

/// What `--scope` takes.
fn scopes() -> PossibleValuesParser {
    let names = Scope::ALL.into_iter().map(Scope::as_str);
    PossibleValuesParser::new(names.chain(Scopes::all().names()))
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  praxis usage --by model\n  praxis usage --by user --key hr --days 7\n  praxis usage --by model --user hr/li\n  praxis usage --kind embedding --days 7"
)]
pub struct Usage {
    /// How many days of UTC, today and those before it.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=36_500)
    )]
    pub days: u32,
    /// What is summed up.
    #[arg(long, value_enum, default_value_t = By::Day)]
    pub by: By,
    /// Only what this key used.
    #[arg(long, value_name = "NAME")]
    pub key: Option<String>,
    /// Only what this user used: KEY/USER, or USER with --key.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Only what was used under this tag.
    #[arg(long, value_name = "NAME")]
    pub tag: Option<String>,
    /// Only what this model answered.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Only what was used for this.
    #[arg(long, value_parser = PossibleValuesParser::new(UsageKind::ALL.map(UsageKind::as_str)))]
    pub kind: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Each day on which something was used.
    Day,
    /// Each model that answered.
    Model,
    /// Each key.
    Key,
    /// Each user of each key.
    User,
    /// Each tag; a request with two counts under both.
    Tag,
}

impl By {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Model => "model",
            Self::Key => "key",
            Self::User => "user",
            Self::Tag => "tag",
        }
    }
}
