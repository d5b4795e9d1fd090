//! Limits of resources, and Landlock: what a program may use and which files it may open, whatever else goes wrong.
//! Left out: which system calls it may make (`filter`).

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use nix::sys::resource::{Resource, setrlimit};

use super::{Failed, step};
use crate::sandbox::spec::Bounds;

/// Bytes of the stack of the first thread.
const STACK: u64 = 8 << 20;

/// Signals that may wait, which bounds timers too.
const SIGNALS: u64 = 64;

/// The most that a core may have. Not 0: a program that takes cores from a pipe is started for those, and not for 1.
const CORE: u64 = 1;

/// What Landlock is asked for: as much of this as the kernel has.
const KNOWN: ABI = ABI::V6;

/// Without it files can be cut off that cannot be opened.
const LEAST: ABI = ABI::V3;

/// Sets the limits, of which none can be raised again.
pub(super) fn limit(bounds: &Bounds, tasks: Option<u64>) -> Result<(), Failed> {
    let each = bounds.memory / bounds.processes.max(1);
    let limits = [
        ("memory", Resource::RLIMIT_AS, Some(each)),
        ("core", Resource::RLIMIT_CORE, Some(CORE)),
        ("processor", Resource::RLIMIT_CPU, Some(bounds.cpu)),
        ("file", Resource::RLIMIT_FSIZE, Some(bounds.file)),
        ("locked memory", Resource::RLIMIT_MEMLOCK, Some(0)),
        ("queue", Resource::RLIMIT_MSGQUEUE, Some(0)),
        ("open file", Resource::RLIMIT_NOFILE, Some(bounds.handles)),
        ("process", Resource::RLIMIT_NPROC, tasks),
        ("priority", Resource::RLIMIT_RTPRIO, Some(0)),
        ("signal", Resource::RLIMIT_SIGPENDING, Some(SIGNALS)),
        ("stack", Resource::RLIMIT_STACK, Some(STACK)),
    ];
    for (name, resource, most) in limits {
        if let Some(most) = most {
            step(
                format!("set the {name} limit"),
                setrlimit(resource, most, most),
            )?;
        }
    }
    Ok(())
}

/// Lets the program open what it may see for reading, what it may write for writing, and nothing else. Within a root
/// folder of its own this is a second wall, and a kernel without Landlock is no obstacle; `is_only` makes it one.
pub(super) fn landlock(
    views: &[PathBuf],
    scratch: &[PathBuf],
    is_only: bool,
) -> Result<(), Failed> {
    let what = "put up Landlock";
    let ruleset = step(
        what,
        Ruleset::default().handle_access(AccessFs::from_all(KNOWN)),
    )?;
    let ruleset = step(what, ruleset.handle_access(AccessNet::from_all(KNOWN)))?;
    let ruleset = step(what, ruleset.scope(Scope::from_all(KNOWN)))?;
    let mut ruleset = step(what, ruleset.create())?;
    let below = |path: &Path, folder: BitFlags<AccessFs>, file: BitFlags<AccessFs>| {
        let access = match path.is_dir() {
            true => folder,
            false => file,
        };
        let path = step(format!("open `{}`", path.display()), PathFd::new(path))?;
        Ok::<_, Failed>(PathBeneath::new(path, access))
    };
    let read = AccessFs::ReadFile | AccessFs::Execute;
    for view in views {
        ruleset = step(
            what,
            ruleset.add_rule(below(view, read | AccessFs::ReadDir, read)?),
        )?;
    }
    let never = AccessFs::Execute
        | AccessFs::MakeChar
        | AccessFs::MakeBlock
        | AccessFs::MakeSock
        | AccessFs::IoctlDev;
    let write = AccessFs::from_all(KNOWN) & !never;
    for folder in scratch {
        ruleset = step(
            what,
            ruleset.add_rule(below(folder, write, BitFlags::EMPTY)?),
        )?;
    }
    let (read, both) = (
        BitFlags::from(AccessFs::ReadFile),
        AccessFs::ReadFile | AccessFs::WriteFile,
    );
    for (device, access) in [
        ("/dev/null", both),
        ("/dev/zero", both),
        ("/dev/random", read),
        ("/dev/urandom", read),
    ] {
        let rule = below(Path::new(device), BitFlags::EMPTY, access)?;
        ruleset = step(what, ruleset.add_rule(rule))?;
    }
    let status = step(what, ruleset.restrict_self())?;
    let holds = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi >= LEAST,
        _ => false,
    };
    let is_up = holds && status.ruleset != RulesetStatus::NotEnforced;
    if is_only && !is_up {
        let why = "this kernel has no Landlock that bounds all of writing: it needs Linux 6.2 or later, with \
                   `landlock` among its security modules";
        return Err(Failed(why.to_owned()));
    }
    Ok(())
}
