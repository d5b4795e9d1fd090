//! The arguments of `praxis tools`. Left out: those of a call, which are `praxis call`'s.

use clap::Subcommand;

use super::Call;

#[derive(Debug, Subcommand)]
#[command(
    after_help = "Tools are functions that files tools/NAME.KIND.toml make; prompts name them in `tools:`.\n\nExamples:\n  praxis tools list\n  praxis tools show praxis/convert\n  praxis tools call praxis/calculate expression=\"(1 + 5%)^10 * 2500\"\n  praxis tools refresh crm"
)]
pub enum Tools {
    /// List all functions that are there without a prompt, with what they do to the world.
    List {
        /// Only those whose names begin so.
        start: Option<String>,
    },
    /// Show what a tool does, takes and gives.
    Show {
        /// The tool's name.
        name: String,
    },
    /// Call a tool once.
    Call(Call),
    /// Ask servers anew what they offer, in the place of the copies that are kept.
    Refresh {
        /// The tool file, by the NAME of tools/NAME.KIND.toml (default: all).
        name: Option<String>,
    },
    /// Log in at the MCP server of a tool file, in a browser of this machine.
    Login {
        /// The tool file, by the NAME of tools/NAME.mcp.toml.
        name: String,
    },
    /// List the tools that models proposed, or show one: its code, and what its tests gave.
    Proposed {
        /// The proposed tool (default: a list of all).
        name: Option<String>,
    },
    /// Make a proposed tool one of this application, after reading it.
    Approve {
        /// The proposed tool.
        name: String,
        /// What was read, as `praxis tools proposed` shows it; without it, the tool is shown and you are asked.
        #[arg(long)]
        digest: Option<String>,
    },
    /// Remove a proposed tool.
    Discard {
        /// The proposed tool.
        name: String,
    },
    /// Forget the login at an MCP server.
    Logout {
        /// The tool file, by the NAME of tools/NAME.mcp.toml.
        name: String,
    },
}
