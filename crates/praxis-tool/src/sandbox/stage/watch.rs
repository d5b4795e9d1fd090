//! Watching over the program of a sandbox: its end is told on, what it leaves is reaped, and when nobody holds the
//! other end of the channel any more, it ends too. Left out: killing, which the kernel does when the first process of
//! a world ends.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::{Failed, channel, step};
use crate::sandbox::wire::OUTGREW;

/// How often `look` looks, in milliseconds.
const LOOK: u16 = 50;

/// Notice of processes that ended.
pub(super) struct Signals(SignalFd);

impl Signals {
    /// Asks for notice from now on. What is started later has to [`unblock`] the signal.
    pub fn block() -> Result<Self, Failed> {
        let signals = children();
        step("block signals", signals.thread_block())?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        step("take signals", SignalFd::with_flags(&signals, flags)).map(Self)
    }
}

/// Lets through what [`Signals::block`] holds back.
pub(super) fn unblock() -> Result<(), Failed> {
    step("unblock signals", children().thread_unblock())
}

fn children() -> SigSet {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals
}

/// Waits for the end of the program, reaping whatever else ends here. `look` looks at it now and then, where there is
/// something to look at.
///
/// # Errors
/// A wait that fails.
pub(super) fn until_ended(
    program: Pid,
    signals: &Signals,
    look: &mut dyn FnMut() -> Option<Looked>,
) -> Result<i32, Failed> {
    loop {
        if let Some(status) = reap(program) {
            return Ok(status);
        }
        let timeout = match look() {
            None => PollTimeout::NONE,
            Some(Looked::Fine) => PollTimeout::from(LOOK),
            Some(Looked::TooMuch) => return Ok(ended(program, OUTGREW)),
        };
        let hung_up = {
            let nothing = PollFlags::empty();
            let mut wait = [
                PollFd::new(signals.0.as_fd(), PollFlags::POLLIN),
                PollFd::new(channel(), nothing),
            ];
            match poll(&mut wait, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return step("wait for the program", Err(error)),
            }
            wait[1].any().unwrap_or(true)
        };
        if hung_up {
            return Ok(ended(program, 128 + libc::SIGHUP));
        }
        while let Ok(Some(_)) = signals.0.read_signal() {}
    }
}

/// Ends the program, and waits until it is gone: nothing writes into its scratch folder then.
fn ended(program: Pid, status: i32) -> i32 {
    let _ = kill(program, Signal::SIGKILL);
    last(program);
    status
}

/// What was seen of a program that runs.
pub(super) enum Looked {
    /// Nothing that should not be.
    Fine,
    /// That it uses more than it may.
    TooMuch,
}

/// Reaps all that has ended; the status of the program, if it is among them.
fn reap(program: Pid) -> Option<i32> {
    loop {
        match wait(-1, libc::WNOHANG) {
            Ok((pid, status)) if pid == program.as_raw() => return Some(status),
            Ok((0, _)) => return None,
            Ok(_) | Err(Errno::EINTR) => {}
            // There is nothing left to wait for, so the program is gone too.
            Err(_) => return Some(128 + libc::SIGKILL),
        }
    }
}

/// Waits for the first process of a world that this process has left to it.
pub(super) fn last(first: Pid) -> i32 {
    loop {
        match wait(first.as_raw(), 0) {
            Ok((_, status)) => return status,
            Err(Errno::EINTR) => {}
            Err(_) => return 128 + libc::SIGKILL,
        }
    }
}

/// A process that ended, 0 for none, and its exit status, 128 and more for a signal. Not `nix`'s, which knows no
/// real-time signals and would lose a process that ended by one.
fn wait(pid: i32, options: i32) -> Result<(i32, i32), Errno> {
    let mut status = 0;
    // SAFETY: the pointer is to a number that lives until the call has ended.
    let pid = Errno::result(unsafe { libc::waitpid(pid, &raw mut status, options) })?;
    let status = match libc::WIFEXITED(status) {
        true => libc::WEXITSTATUS(status),
        false => 128 + libc::WTERMSIG(status),
    };
    Ok((pid, status))
}
