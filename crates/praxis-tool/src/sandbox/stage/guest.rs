//! The last steps: a forked process puts on what it cannot take off, and becomes the program. Left out: the world
//! around it (`contained`, `bare`).

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::libc;
use nix::sys::prctl;
use nix::unistd::{chdir, dup, dup2_stdin, execve, getpid, setsid};

use super::{Failed, channel, filter, step, walls, watch};
use crate::sandbox::spec::Spec;

/// How much less urgent the program is than what the machine does otherwise.
const NICE: i32 = 10;

/// Where the program finds itself.
pub(super) struct Place {
    /// Folders that it may write. The first is the one in which it begins.
    pub scratch: Vec<PathBuf>,
    /// Whether there is nothing but Landlock and seccomp around it.
    pub is_bare: bool,
    /// Processes and threads that its user may have, where they can be counted.
    pub tasks: Option<u64>,
}

/// Becomes the program. It returns only if it cannot.
pub(super) fn become_program(spec: &Spec, place: &Place) -> Failed {
    match try_to(spec, place) {
        Ok(never) => match never {},
        Err(failed) => failed,
    }
}

fn try_to(spec: &Spec, place: &Place) -> Result<Infallible, Failed> {
    watch::unblock()?;
    step("make a session", setsid())?;
    // SAFETY: the call takes a number. That it fails costs nothing but urgency.
    let _ = unsafe { libc::nice(NICE) };
    if let Some(scratch) = place.scratch.first() {
        step("enter the scratch folder", chdir(scratch))?;
    }
    // A copy survives the start of the program, and is of a number that it is told.
    let channel = step("keep the channel", dup(channel()))?;
    let null = step("open `/dev/null`", File::open("/dev/null"))?;
    step("take standard input away", dup2_stdin(null))?;
    let number = channel.as_raw_fd().to_string();

    let program = text("program", spec.program.as_os_str().as_bytes())?;
    let mut arguments = vec![program.clone()];
    for argument in &spec.arguments {
        let argument = argument.replace("{channel}", &number);
        arguments.push(text("argument", argument.as_bytes())?);
    }
    let mut environment = Vec::with_capacity(spec.environment.len());
    for (name, value) in &spec.environment {
        environment.push(text("variable", format!("{name}={value}").as_bytes())?);
    }

    walls::limit(&spec.bounds, place.tasks)?;
    step("give up new privileges", prctl::set_no_new_privs())?;
    walls::landlock(&spec.views, &place.scratch, place.is_bare)?;
    filter::install(spec.bounds.is_alone(), place.is_bare, getpid())?;
    let what = format!("start `{}`", spec.program.display());
    step(what, execve(&program, &arguments, &environment))
}

fn text(what: &str, bytes: &[u8]) -> Result<CString, Failed> {
    step(format!("take a {what}"), CString::new(bytes))
}
