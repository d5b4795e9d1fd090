//! The first stage of a sandbox as a program of its own: what programs start that cannot be started so themselves, such
//! as tests. `praxis` is its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    praxis_tool::sandbox::enter();
    ExitCode::FAILURE
}
