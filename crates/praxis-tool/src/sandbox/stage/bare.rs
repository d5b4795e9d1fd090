//! A sandbox without namespaces, for machines that allow none: one process behind Landlock and seccomp, and somebody
//! who looks at what they cannot count. Left out: what the program cannot take off (`guest`).

use std::fs::{self, read_dir};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Gid, Pid, Uid, chown, fork, getpid, getppid};

use super::guest::{self, Place};
use super::identity::{self, Rank};
use super::watch::{self, Looked, Signals};
use super::{Failed, failed, step};
use crate::sandbox::spec::{Bounds, Spec};

/// Bytes of a block, as the kernel counts them for a file.
const BLOCK: u64 = 512;

/// Builds the sandbox and runs the program in it.
///
/// # Errors
/// The step that this machine does not allow.
pub(super) fn run(spec: &Spec) -> Result<i32, Failed> {
    if !spec.bounds.is_alone() {
        let why = "without namespaces a program can have one process only";
        return Err(Failed(why.to_owned()));
    }
    let Some(folder) = &spec.folder else {
        return Err(Failed("there is no scratch folder".to_owned()));
    };
    let rank = identity::rank();
    if let Rank::Root(id) = rank {
        let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
        step(
            "give away the scratch folder",
            chown(folder, Some(uid), Some(gid)),
        )?;
    }
    let parent = getpid();
    let signals = Signals::block()?;
    // SAFETY: this process has one thread.
    match step("start the program", unsafe { fork() })? {
        ForkResult::Parent { child } => watch::until_ended(child, &signals, &mut || {
            Some(look(child, folder, &spec.bounds))
        }),
        ForkResult::Child => {
            let Err(Failed(why)) = inside(spec, folder, rank, parent);
            std::process::exit(failed(&why))
        }
    }
}

fn inside(
    spec: &Spec,
    folder: &Path,
    rank: Rank,
    parent: Pid,
) -> Result<std::convert::Infallible, Failed> {
    identity::no_more_capabilities()?;
    let tasks = match rank {
        Rank::Root(id) => {
            identity::become_nobody(id)?;
            Some(spec.bounds.threads)
        }
        // The limit would count what else the user runs, this server among it.
        Rank::User { .. } => None,
    };
    identity::no_capabilities()?;
    step("die with the parent", prctl::set_pdeathsig(Signal::SIGKILL))?;
    if getppid() != parent {
        return Err(Failed("the parent is gone".to_owned()));
    }
    let place = Place {
        scratch: vec![folder.to_owned()],
        is_bare: true,
        tasks,
    };
    Err(guest::become_program(spec, &place))
}

/// Looks at how much a program uses of what no limit holds.
fn look(program: Pid, folder: &Path, bounds: &Bounds) -> Looked {
    match threads(program) > bounds.threads || outgrows(folder, bounds) {
        true => Looked::TooMuch,
        false => Looked::Fine,
    }
}

/// How many threads a process has; none if it has ended.
fn threads(program: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{program}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

/// Whether there is more in a folder than may be. What cannot be looked at is.
fn outgrows(folder: &Path, bounds: &Bounds) -> bool {
    let (mut files, mut bytes) = (0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match read_dir(&folder) {
            Ok(entries) => entries,
            // It went while it was looked for, or it was closed, which keeps nothing from being counted for long.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::PermissionDenied
                ) =>
            {
                continue;
            }
            Err(_) => return true,
        };
        for entry in entries {
            let Ok(entry) = entry else { return true };
            // The entry itself: links are not followed.
            let Ok(kind) = entry.metadata() else { continue };
            files += 1;
            bytes += kind.blocks() * BLOCK;
            if files > bounds.files || bytes > bounds.scratch {
                return true;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_outgrows_its_bounds_by_files_and_by_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let bounds = Bounds {
            memory: 0,
            cpu: 0,
            scratch: 64 << 10,
            files: 3,
            file: 0,
            processes: 1,
            threads: 1,
            handles: 0,
        };
        let below = folder.path().join("below");
        fs::create_dir(&below).unwrap();
        std::os::unix::fs::symlink("/", below.join("out")).unwrap();
        assert!(!outgrows(folder.path(), &bounds));
        fs::write(below.join("a"), vec![1; 100 << 10]).unwrap();
        assert!(outgrows(folder.path(), &bounds));
        fs::write(below.join("a"), "small").unwrap();
        fs::write(below.join("b"), "small").unwrap();
        assert!(outgrows(folder.path(), &bounds));
    }

    #[test]
    fn threads_of_a_process_are_counted() {
        assert!(threads(getpid()) >= 1);
        assert_eq!(threads(Pid::from_raw(i32::MAX)), 0);
    }
}
