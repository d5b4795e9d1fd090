//! Programs behind walls: one is started in a sandbox, talked to over a channel, and ended. Linux only; elsewhere
//! there is no sandbox, and what needs one says so.
//!
//! A server has many threads and cannot become something else after a fork. So the program starts itself again:
//! `main` calls [`enter`] first, and where it was started as the first stage of a sandbox, that does not return. Left
//! out: what runs in a sandbox (`python`).

#![cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "nothing is sent to a sandbox that is never there")
)]

mod spec;
mod wire;

#[cfg(target_os = "linux")]
mod group;
#[cfg(target_os = "linux")]
mod output;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod scratch;
#[cfg(target_os = "linux")]
mod stage;

#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod process;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

pub(crate) use self::process::Process;
pub(crate) use self::spec::{Bounds, Isolation, SCRATCH, Spec};
pub(crate) use self::wire::message;

/// The argument with which a program is started as the first stage of a sandbox.
pub const STAGE: &str = "sandbox-init";

/// The program that can be started as the first stage.
static LAUNCHER: OnceLock<PathBuf> = OnceLock::new();

/// Where a process finds its own program, also after its file was replaced.
const OWN: &str = "/proc/self/exe";

/// For the first line of `main`: if this process was started as the first stage of a sandbox, builds it and never
/// returns. Else notes that this program can be started so.
pub fn enter() {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == STAGE)
    {
        #[cfg(target_os = "linux")]
        stage::main();
        #[cfg(not(target_os = "linux"))]
        std::process::exit(wire::NOT_BUILT);
    }
    use_launcher(OWN);
}

/// Names the program that is started as the first stage, for a program whose `main` does not call [`enter`]. The
/// first that is named counts.
pub fn use_launcher(program: impl Into<PathBuf>) {
    // A second one changes nothing.
    let _ = LAUNCHER.set(program.into());
}

/// The program that is started as the first stage.
pub(crate) fn launcher() -> Option<&'static Path> {
    LAUNCHER.get().map(PathBuf::as_path)
}

/// Removes what processes left on the disk that were killed.
pub(crate) fn sweep() {
    #[cfg(target_os = "linux")]
    scratch::Scratch::sweep();
}

/// Why there is no sandbox: a sentence that says what this machine does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoSandbox(pub String);

/// What is taken of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Bytes of its JSON.
    pub json: usize,
    /// Blobs that come with it.
    pub blobs: usize,
    /// Bytes of all blobs.
    pub bytes: usize,
}

/// What came back for a request.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The answer; or why the program has to be ended.
    pub answer: Result<Message, End>,
    /// What it wrote meanwhile.
    pub stdout: Written,
    /// What it complained of meanwhile.
    pub stderr: Written,
}

/// A request or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// What is said.
    pub json: Vec<u8>,
    /// Bytes that come with it.
    pub blobs: Vec<Vec<u8>>,
}

/// What a program wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Its beginning; what is no UTF-8 is replaced.
    pub text: String,
    /// Whether there was more.
    pub cut: bool,
}

/// Why a program is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It did not answer in time.
    Late,
    /// It wrote more than anybody would read.
    Flood,
    /// The caller went away.
    Cancelled,
    /// It ended.
    Gone,
    /// What it said is no answer.
    Broken(&'static str),
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// Because its scratch folder or its threads were more than they may be.
    Outgrew,
    /// Nobody knows.
    Unknown,
}

/// How long a sandbox may take to be there: a fraction of a second, but much longer where a hundred start at once on
/// a busy machine.
pub(crate) const START: Duration = Duration::from_secs(60);
