//! A sandbox of namespaces: a world with one network that leads nowhere, no other processes, and a root folder of its
//! own. Left out: what the root folder holds (`root`), and what the program cannot take off (`guest`).

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, fork, sethostname};

use super::guest::{self, Place};
use super::identity::{self, Rank};
use super::{Failed, failed, root, step, watch};
use crate::sandbox::spec::{SCRATCH, Spec};

/// What a new world is made of, but for its users.
const WORLD: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWCGROUP);

/// How the new world is called.
const HOST: &str = "sandbox";

/// The oldest Linux on which a limit of processes is one of the sandbox and not of the user, and mounts are made
/// read-only with all that is below them.
const OLDEST: (u32, u32) = (5, 14);

/// Builds the sandbox and runs the program in it.
///
/// # Errors
/// The step that this machine does not allow.
pub(super) fn run(spec: &Spec) -> Result<i32, Failed> {
    is_new_enough()?;
    let rank = identity::rank();
    match rank {
        // Root needs no users of its own world: it mounts as itself, and nothing in the sandbox can undo what was
        // mounted by somebody else.
        Rank::Root(_) => step("leave this machine's namespaces", unshare(WORLD))?,
        Rank::User { uid, gid } => {
            let all = WORLD.union(CloneFlags::CLONE_NEWUSER);
            step("make a user namespace", unshare(all))?;
            identity::map(uid, gid)?;
        }
    }
    root::build(spec, rank)?;
    step("name the sandbox", sethostname(HOST))?;
    // SAFETY: this process has one thread.
    match step("start the sandbox's first process", unsafe { fork() })? {
        ForkResult::Parent { child } => Ok(watch::last(child)),
        ForkResult::Child => {
            let status = first(spec, rank).unwrap_or_else(|Failed(why)| failed(&why));
            std::process::exit(status)
        }
    }
}

/// The first process of the new world: starts the program, and ends the world with it.
fn first(spec: &Spec, rank: Rank) -> Result<i32, Failed> {
    identity::no_more_capabilities()?;
    if let Rank::Root(id) = rank {
        identity::become_nobody(id)?;
    }
    identity::no_capabilities()?;
    // From here on nobody in the sandbox can look into this process.
    step("hide the first process", prctl::set_dumpable(false))?;
    // After the change of user, which would undo it. A parent that ended before is noticed by its closed channel.
    step("die with the parent", prctl::set_pdeathsig(Signal::SIGKILL))?;
    let signals = watch::Signals::block()?;
    // SAFETY: this process has one thread.
    match step("start the program", unsafe { fork() })? {
        ForkResult::Parent { child } => watch::until_ended(child, &signals, &mut || None),
        ForkResult::Child => {
            let bounds = &spec.bounds;
            // Beside the program's own: this process, and where there is a world of users, the one that left for it.
            let others = match rank {
                Rank::Root(_) => 1,
                Rank::User { .. } => 2,
            };
            let own = match bounds.is_alone() {
                true => bounds.threads,
                false => bounds.processes,
            };
            let place = Place {
                scratch: vec![SCRATCH.into(), "/tmp".into(), "/dev/shm".into()],
                is_bare: false,
                tasks: Some(others + own),
            };
            let Failed(why) = guest::become_program(spec, &place);
            std::process::exit(failed(&why))
        }
    }
}

fn is_new_enough() -> Result<(), Failed> {
    let uname = step("ask for the kernel's version", nix::sys::utsname::uname())?;
    let release = uname.release().to_string_lossy().into_owned();
    match version(&release) {
        Some(version) if version < OLDEST => {
            let (major, minor) = OLDEST;
            let why = format!("Linux {major}.{minor} or later is needed, and this is {release}");
            Err(Failed(why))
        }
        _ => Ok(()),
    }
}

/// Major and minor number of a kernel's release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_compared() {
        for (release, wanted) in [
            ("6.18.44-fc-v657", Some((6, 18))),
            ("5.10.0-28-amd64", Some((5, 10))),
            ("5.15", Some((5, 15))),
            ("next", None),
        ] {
            assert_eq!(version(release), wanted, "{release}");
        }
        assert!(version("5.10.0").unwrap() < OLDEST && version("5.14.1").unwrap() >= OLDEST);
    }
}
