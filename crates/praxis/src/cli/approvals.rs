//! The arguments of `praxis approvals`. Left out: what is decided, which the command does.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use praxis_core::approval::{ApprovalState, Outcome};

use super::some;

/// What `--state` takes for approvals in any state.
const ANY_STATE: &str = "all";

#[derive(Debug, Subcommand)]
#[command(
    after_help = "A call of a tool that writes, or whose policy says so, waits until somebody lets it through. It is then\nmade once: by the same call again, or by `praxis call praxis/approved approval=ID`.\n\nExamples:\n  praxis approvals list\n  praxis approvals approve approval-0193cb1c9c0a7d3e8f6b2a4c5d6e7f80 --note \"as agreed\"\n  praxis approvals audit -n 20"
)]
pub enum Approvals {
    /// List calls that wait, or those in another state, the newest first.
    List {
        /// Those that stand so.
        #[arg(long, value_name = "STATE", default_value = "pending", value_parser = states())]
        state: String,
        /// How many at most.
        #[arg(long, short = 'n', default_value_t = 50, value_parser = some)]
        limit: usize,
    },
    /// Show a call with its arguments, and what became of it.
    Show {
        /// The approval's id.
        id: String,
        /// Show secrets among the arguments too, which else stand as `***`. Look who reads along.
        #[arg(long)]
        reveal: bool,
    },
    /// Let a call be made once.
    Approve {
        /// The approval's id.
        id: String,
        /// What is said about it; who asked reads it.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Also where the call was begun and its end is not known. It may have been made: look first.
        #[arg(long)]
        again: bool,
    },
    /// Refuse a call, or take an approval back that was not used yet.
    Deny {
        /// The approval's id.
        id: String,
        /// What is said about it; who asked reads it.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Show the log of all calls of tools, the newest first.
    Audit(Audit),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  praxis approvals audit --function shop/refund --since 7d\n  praxis approvals audit --outcome denied --since 2027-01-31"
)]
pub struct Audit {
    /// Those after the entry of this number, the oldest first.
    #[arg(long, value_name = "NUMBER")]
    pub after: Option<i64>,
    /// Those of this function (`shop/refund`), or of all functions of a tool (`shop`).
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Those that ended so.
    #[arg(long, value_name = "OUTCOME", value_parser = outcomes())]
    pub outcome: Option<String>,
    /// Those of the last days or hours (`7d`, `12h`), or since a day of UTC began (`2027-01-31`).
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// How many at most.
    #[arg(long, short = 'n', default_value_t = 50, value_parser = some)]
    pub limit: usize,
}

/// What `--outcome` takes.
fn outcomes() -> PossibleValuesParser {
    PossibleValuesParser::new(Outcome::ALL.into_iter().map(Outcome::as_str))
}

/// What `--state` takes.
fn states() -> PossibleValuesParser {
    let names = ApprovalState::ALL.into_iter().map(ApprovalState::as_str);
    PossibleValuesParser::new(names.chain([ANY_STATE]))
}
