//! Who the processes of a sandbox are: nobody that is anybody on this machine, without any capability. Left out: what
//! nobody may do (`walls`).

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Gid, Uid, getegid, geteuid, getpid, setgroups, setresgid, setresuid};

use super::{Failed, step};

/// Its numbers in a user namespace.
pub(super) const INSIDE: u32 = 1000;

/// Where the numbers begin that root gives to its sandboxes, one for each so that limits of processes are of one
/// sandbox; and how many there are. Nobody has numbers that high.
const FIRST: u32 = 1_879_048_192;
const NUMBERS: u32 = 4_194_304;

/// The same where only 65,536 numbers are mapped into a container; people and services have lower ones.
const FIRST_OF_FEW: u32 = 61_184;
const NUMBERS_OF_FEW: u32 = 4_096;

/// Who builds the sandbox.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rank {
    /// Root; the number that its sandbox gets.
    Root(u32),
    /// A user, who stays it.
    User {
        /// Its number.
        uid: Uid,
        /// Its group's.
        gid: Gid,
    },
}

/// Who this process is.
pub(super) fn rank() -> Rank {
    let uid = geteuid();
    if !uid.is_root() {
        let gid = getegid();
        return Rank::User { uid, gid };
    }
    let own = u32::try_from(getpid().as_raw()).unwrap_or_default();
    let few = std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !maps(&map, FIRST));
    Rank::Root(match few {
        true => FIRST_OF_FEW + own % NUMBERS_OF_FEW,
        false => FIRST + own % NUMBERS,
    })
}

/// Whether a map of user numbers has one for `number`.
fn maps(map: &str, number: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line
            .split_whitespace()
            .map(|n| n.parse::<u64>().unwrap_or(0));
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        let (first, count) = (first.unwrap_or(0), count.unwrap_or(0));
        (first..first.saturating_add(count)).contains(&u64::from(number))
    })
}

/// Says which user outside of a new user namespace is [`INSIDE`].
pub(super) fn map(uid: Uid, gid: Gid) -> Result<(), Failed> {
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{INSIDE} {uid} 1")),
        ("gid_map", format!("{INSIDE} {gid} 1")),
    ] {
        let path = format!("/proc/self/{file}");
        step("map its user", std::fs::write(path, text))?;
    }
    Ok(())
}

/// Gives up root. Capabilities go with it.
pub(super) fn become_nobody(id: u32) -> Result<(), Failed> {
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    step("leave root's groups", setgroups(&[]))?;
    step("leave root's group", setresgid(gid, gid, gid))?;
    step("stop being root", setresuid(uid, uid, uid))
}

/// Takes from this process, and from what it will start, every capability that it could ever get.
pub(super) fn no_more_capabilities() -> Result<(), Failed> {
    for capability in 0..64 {
        // SAFETY: the call takes numbers only.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match Errno::result(dropped) {
            Ok(_) => {}
            // There are no more, or it may not: then it has none, and no program gives it any, for it can get no new
            // privileges.
            Err(Errno::EINVAL | Errno::EPERM) => break,
            Err(error) => return step("give up capabilities", Err(error)),
        }
    }
    Ok(())
}

/// Drops all capabilities that this process has.
pub(super) fn no_capabilities() -> Result<(), Failed> {
    /// `struct __user_cap_header_struct` of linux/capability.h.
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    /// `_LINUX_CAPABILITY_VERSION_3`, which takes two words of each set: effective, permitted, inheritable.
    const VERSION: u32 = 0x2008_0522;
    let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL;
    // SAFETY: the call takes numbers only.
    let cleared = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, clear, 0, 0, 0) };
    step("give up ambient capabilities", Errno::result(cleared))?;
    let header = Header {
        version: VERSION,
        pid: 0,
    };
    let none = [[0_u32; 3]; 2];
    // SAFETY: both pointers are to values that live until the call has ended, of the layout that version 3 has.
    let set = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    step("give up capabilities", Errno::result(set)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_says_which_numbers_there_are() {
        let whole = "         0          0 4294967295\n";
        let container = "         0     100000      65536\n";
        assert!(maps(whole, FIRST) && maps(container, FIRST_OF_FEW + NUMBERS_OF_FEW - 1));
        assert!(!maps(container, FIRST) && !maps("", 0));
    }
}
