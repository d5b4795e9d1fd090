//! The `praxis` command: parses the command line, composes the application, prints the outcome.
//! What a command does lives in [`commands`]; nothing here knows how a model or a search works.

mod app;
mod cli;
mod commands;
mod config;
mod cpu;
mod ui;
mod versions;

use std::process::ExitCode;

use mimalloc::MiMalloc;

use crate::cli::Cli;
use crate::ui::Failure;

/// The C library's allocator keeps what many threads took and gave back: in an hour of mixed load the server grew by a
/// quarter, to twice the memory that it takes with this one.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // This program is also the first stage of its sandboxes: then it does not return.
    praxis_tool::sandbox::enter();
    if let Some(missing) = cpu::missing_features() {
        return ui::fail(
            &Failure::message(format!(
                "this processor lacks {missing}, which Praxis needs"
            ))
            .with_help("use an x86-64 processor of 2015 or later (AVX2, FMA and F16C)"),
            false,
        );
    }
    let cli = Cli::read();
    ui::init(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return ui::fail(
                &Failure::message(format!("cannot start the async runtime: {error}")),
                cli.global.json,
            );
        }
    };
    let json = cli.global.json;
    let outcome = runtime.block_on(commands::run(cli));
    // A model's worker threads may still be in a matrix product: do not wait for them.
    runtime.shutdown_background();
    match outcome {
        // What a command did is of no use to whom it could not be told.
        Ok(()) if ui::is_unwritten() => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ui::fail(&failure, json),
    }
}
