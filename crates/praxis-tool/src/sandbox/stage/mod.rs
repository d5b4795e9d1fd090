//! The first stage of a sandbox: this program, started again with a clean environment, builds the sandbox around
//! itself and becomes the program in it. It has one thread until then, which a forked server does not: what allocates
//! and locks is safe here.
//!
//! Two shapes. With namespaces: `contained` leaves the world, builds a root folder, and forks the first process of the
//! new world, which forks the program, watches it and reaps what it leaves. Without: `bare` forks the program and
//! watches it. In both, `guest` puts on what the program cannot take off: limits, no capabilities, Landlock, seccomp.
//!
//! Left out: what runs, and who wants it (`process`).

mod bare;
mod contained;
mod filter;
mod guest;
mod identity;
mod root;
mod walls;
mod watch;

use std::fmt::Display;
use std::io::Write;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use super::spec::{Isolation, Spec};
use super::wire::{HEAD, LARGEST_SPEC, NOT_BUILT};

/// Why a sandbox was not built: a sentence.
#[derive(Debug)]
struct Failed(String);

/// Says of a step that failed what it was.
fn step<T, E: Display>(what: impl Display, result: Result<T, E>) -> Result<T, Failed> {
    result.map_err(|error| Failed(format!("cannot {what}: {error}")))
}

/// The descriptor on which this program is told what to do, and the program in the sandbox is talked to.
fn channel() -> BorrowedFd<'static> {
    // SAFETY: descriptor 0 is open from the start of the process: `process` gives a socket there, and nothing here
    // closes it before the end.
    unsafe { BorrowedFd::borrow_raw(0) }
}

/// Builds the sandbox that is asked for on standard input, and runs the program in it. Its exit status becomes this
/// one's: 128 and more for a signal, [`NOT_BUILT`] where there was no sandbox.
pub(super) fn main() -> ! {
    let status = match run() {
        Ok(status) => status,
        Err(Failed(why)) => failed(&why),
    };
    std::process::exit(status)
}

/// Tells the program that wanted the sandbox why there is none.
fn failed(why: &str) -> i32 {
    // Who does not hear it finds the status.
    let _ = std::io::stderr().write_all(why.as_bytes());
    NOT_BUILT
}

fn run() -> Result<i32, Failed> {
    // SAFETY: the call takes numbers only. Nothing of this process has a descriptor above 2 yet that it would miss.
    let closed = unsafe { nix::libc::syscall(nix::libc::SYS_close_range, 3, u32::MAX, 0) };
    step("close what was inherited", Errno::result(closed))?;
    let spec = spec()?;
    match spec.isolation {
        Isolation::Namespaces => contained::run(&spec),
        Isolation::Landlock => bare::run(&spec),
    }
}

/// Reads what to do, and not one byte of what comes behind it.
fn spec() -> Result<Spec, Failed> {
    let mut head = [0; HEAD];
    fill(&mut head)?;
    let length = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
    if length > LARGEST_SPEC {
        return Err(Failed("what to do is too long".to_owned()));
    }
    let mut json = vec![0; length];
    fill(&mut json)?;
    step("read what to do", serde_json::from_slice(&json))
}

fn fill(mut buffer: &mut [u8]) -> Result<(), Failed> {
    while !buffer.is_empty() {
        match nix::unistd::read(channel(), buffer) {
            Ok(0) => return Err(Failed("nobody said what to do".to_owned())),
            Ok(read) => buffer = buffer.get_mut(read..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(error) => return step("read what to do", Err(error)),
        }
    }
    Ok(())
}
