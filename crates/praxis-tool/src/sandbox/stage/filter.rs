//! Which system calls a program may make: those that Python, its library and numerical packages need, and no others.
//! What is not listed fails with `EPERM`: sockets, namespaces, mounts, tracing, keys, modules, io_uring, BPF, and what
//! kernels learn after this was written.
//!
//! Left out: what a call may reach, which is for the root folder, Landlock and the limits.

use std::collections::BTreeMap;

use nix::libc;
use nix::unistd::Pid;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use super::{Failed, step};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Calls whatever their arguments.
#[rustfmt::skip]
const CALLS: &[i64] = &[
    // Files that are open.
    libc::SYS_read, libc::SYS_write, libc::SYS_close, libc::SYS_fstat, libc::SYS_lseek, libc::SYS_pread64,
    libc::SYS_pwrite64, libc::SYS_readv, libc::SYS_writev, libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_preadv2,
    libc::SYS_pwritev2, libc::SYS_dup, libc::SYS_dup3, libc::SYS_pipe2, libc::SYS_flock, libc::SYS_fsync,
    libc::SYS_fdatasync, libc::SYS_ftruncate, libc::SYS_fallocate, libc::SYS_fadvise64, libc::SYS_readahead,
    libc::SYS_copy_file_range, libc::SYS_sendfile, libc::SYS_close_range, libc::SYS_getdents64,
    // Files by their names.
    libc::SYS_openat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_faccessat, libc::SYS_faccessat2,
    libc::SYS_readlinkat, libc::SYS_renameat2, libc::SYS_mkdirat, libc::SYS_linkat, libc::SYS_unlinkat,
    libc::SYS_symlinkat, libc::SYS_truncate, libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_getcwd, libc::SYS_chdir,
    libc::SYS_fchdir, libc::SYS_umask, libc::SYS_getxattr, libc::SYS_lgetxattr, libc::SYS_fgetxattr,
    libc::SYS_listxattr, libc::SYS_llistxattr, libc::SYS_flistxattr,
    // Memory.
    libc::SYS_brk, libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise,
    libc::SYS_msync, libc::SYS_mincore,
    // Time, and waiting.
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep, libc::SYS_nanosleep,
    libc::SYS_gettimeofday, libc::SYS_times, libc::SYS_getitimer, libc::SYS_setitimer, libc::SYS_timer_create,
    libc::SYS_timer_settime, libc::SYS_timer_gettime, libc::SYS_timer_getoverrun, libc::SYS_timer_delete,
    libc::SYS_timerfd_create, libc::SYS_timerfd_settime, libc::SYS_timerfd_gettime, libc::SYS_pselect6,
    libc::SYS_ppoll, libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2, libc::SYS_restart_syscall,
    // Signals to itself.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait, libc::SYS_rt_sigpending, libc::SYS_sigaltstack,
    // Threads and the process.
    libc::SYS_futex, libc::SYS_futex_waitv, libc::SYS_set_robust_list, libc::SYS_get_robust_list,
    libc::SYS_set_tid_address, libc::SYS_rseq, libc::SYS_membarrier, libc::SYS_getcpu, libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity, libc::SYS_sched_getparam, libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max, libc::SYS_sched_get_priority_min, libc::SYS_getpriority, libc::SYS_exit,
    libc::SYS_exit_group, libc::SYS_wait4, libc::SYS_waitid, libc::SYS_execve, libc::SYS_setsid, libc::SYS_setpgid,
    // What it is, and where.
    libc::SYS_getpid, libc::SYS_gettid, libc::SYS_getppid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid,
    libc::SYS_getegid, libc::SYS_getgroups, libc::SYS_getresuid, libc::SYS_getresgid, libc::SYS_getpgid,
    libc::SYS_getsid, libc::SYS_capget, libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrusage, libc::SYS_getrandom,
    // Its own pairs of sockets, and its channel.
    libc::SYS_sendto, libc::SYS_recvfrom, libc::SYS_sendmsg, libc::SYS_recvmsg, libc::SYS_shutdown,
    libc::SYS_getsockname, libc::SYS_getpeername, libc::SYS_getsockopt, libc::SYS_setsockopt,
    // The C library takes another way where these are absent.
    libc::SYS_clone3, libc::SYS_openat2, libc::SYS_memfd_create, libc::SYS_pidfd_open,
];

/// Calls of x86-64 that newer machines have in other forms only.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLD_CALLS: &[i64] = &[
    libc::SYS_open, libc::SYS_creat, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink,
    libc::SYS_rename, libc::SYS_renameat, libc::SYS_mkdir, libc::SYS_rmdir, libc::SYS_link, libc::SYS_unlink,
    libc::SYS_symlink, libc::SYS_getdents, libc::SYS_pipe, libc::SYS_dup2, libc::SYS_poll, libc::SYS_select,
    libc::SYS_epoll_create, libc::SYS_epoll_wait, libc::SYS_eventfd, libc::SYS_alarm, libc::SYS_pause, libc::SYS_time,
    libc::SYS_getpgrp, libc::SYS_getrlimit, libc::SYS_arch_prctl,
];

/// `renameat` and `getrlimit`, for which there are no names.
#[cfg(target_arch = "aarch64")]
const OLD_CALLS: &[i64] = &[38, 163];

/// Calls that change what a file is, and not what is in it. Landlock does not bound them.
const FCHMODAT2: i64 = 452;
#[rustfmt::skip]
const MODES: &[i64] = &[libc::SYS_fchmod, libc::SYS_fchmodat, FCHMODAT2, libc::SYS_utimensat];
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLD_MODES: &[i64] = &[libc::SYS_chmod, libc::SYS_utime, libc::SYS_utimes, libc::SYS_futimesat];
#[cfg(target_arch = "aarch64")]
const OLD_MODES: &[i64] = &[];

/// Calls that this kernel does not have, as far as the program can tell.
#[rustfmt::skip]
const ABSENT: &[i64] = &[
    libc::SYS_clone3, libc::SYS_openat2, libc::SYS_memfd_create, libc::SYS_pidfd_open,
];

/// Calls that start a process.
#[cfg(target_arch = "x86_64")]
const FORKS: &[i64] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(target_arch = "aarch64")]
const FORKS: &[i64] = &[];

/// What `fcntl` may be asked for: not who gets signals of a file, leases, seals and sizes of pipes.
#[rustfmt::skip]
const FCNTL: &[i32] = &[
    libc::F_DUPFD, libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL, libc::F_GETLK,
    libc::F_SETLK, libc::F_SETLKW, libc::F_OFD_GETLK, libc::F_OFD_SETLK, libc::F_OFD_SETLKW, libc::F_GETPIPE_SZ,
];

/// What `ioctl` may be asked for (asm-generic/ioctls.h): whether it is a terminal, how much can be read, and the flags
/// that `fcntl` has too.
const IOCTL: &[u32] = &[
    0x5401,      // TCGETS
    0x802c_542a, // TCGETS2
    0x5413,      // TIOCGWINSZ
    0x541b,      // FIONREAD
    0x5421,      // FIONBIO
    0x5450,      // FIONCLEX
    0x5451,      // FIOCLEX
];

/// What `prctl` may be asked for: names of threads and of memory, and questions.
#[rustfmt::skip]
const PRCTL: &[i32] = &[
    libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA, libc::PR_GET_DUMPABLE, libc::PR_CAPBSET_READ,
    libc::PR_GET_NO_NEW_PRIVS, libc::PR_GET_SECCOMP,
];

/// Flags of `clone` that make namespaces.
const NEW: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;
const THREAD: u64 = libc::CLONE_THREAD as u64;

/// Puts the filters on, for good. `alone` is a program that starts no other process; `pid` is its own.
///
/// # Errors
/// A kernel without seccomp.
pub(super) fn install(alone: bool, bare: bool, pid: Pid) -> Result<(), Failed> {
    for filter in filters(alone, bare, pid)? {
        step("filter system calls", apply_filter(&filter))?;
    }
    Ok(())
}

/// The filters, in the order in which they are put on: the last one forbids that more are.
fn filters(alone: bool, bare: bool, pid: Pid) -> Result<Vec<BpfProgram>, Failed> {
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let whatever =
        |calls: &[i64]| -> Rules { calls.iter().map(|call| (*call, Vec::new())).collect() };
    let absent = compiled(whatever(ABSENT), SeccompAction::Allow, errno(libc::ENOSYS))?;
    let mut filters = vec![absent];
    if bare {
        // Said to have been done, and not done: copying a file sets its mode, and needs to go on.
        let modes = whatever(&[MODES, OLD_MODES].concat());
        filters.push(compiled(modes, SeccompAction::Allow, errno(0))?);
    }
    let allowed = allowed(alone, pid)?;
    filters.push(compiled(allowed, errno(libc::EPERM), SeccompAction::Allow)?);
    Ok(filters)
}

/// What may be called.
fn allowed(alone: bool, pid: Pid) -> Result<Rules, Failed> {
    let all = [CALLS, OLD_CALLS, MODES, OLD_MODES].concat();
    let mut rules: Rules = all.into_iter().map(|call| (call, Vec::new())).collect();
    let words = |words: &[i32]| {
        words
            .iter()
            .map(|word| u64::from(word.cast_unsigned()))
            .collect::<Vec<_>>()
    };
    let own = u64::from(pid.as_raw().unsigned_abs());
    rules.insert(libc::SYS_fcntl, one_of(1, &words(FCNTL))?);
    rules.insert(
        libc::SYS_ioctl,
        one_of(
            1,
            &IOCTL
                .iter()
                .map(|word| u64::from(*word))
                .collect::<Vec<_>>(),
        )?,
    );
    rules.insert(libc::SYS_prctl, one_of(0, &words(PRCTL))?);
    rules.insert(libc::SYS_socketpair, one_of(0, &words(&[libc::AF_UNIX]))?);
    rules.insert(libc::SYS_prlimit64, one_of(0, &[0, own])?);
    if alone {
        rules.insert(libc::SYS_clone, masked(0, NEW | THREAD, THREAD)?);
        rules.insert(libc::SYS_kill, one_of(0, &[own])?);
        rules.insert(libc::SYS_tgkill, one_of(0, &[own])?);
    } else {
        // Processes are those of its own world.
        rules.insert(libc::SYS_clone, masked(0, NEW, 0)?);
        for call in [libc::SYS_kill, libc::SYS_tgkill].iter().chain(FORKS) {
            rules.insert(*call, Vec::new());
        }
    }
    Ok(rules)
}

/// An argument that is one of these words.
fn one_of(argument: u8, words: &[u64]) -> Result<Vec<SeccompRule>, Failed> {
    let rule = |word: &u64| rule(argument, SeccompCmpOp::Eq, *word);
    words.iter().map(rule).collect()
}

/// An argument of which the bits of `mask` are `value`.
fn masked(argument: u8, mask: u64, value: u64) -> Result<Vec<SeccompRule>, Failed> {
    Ok(vec![rule(argument, SeccompCmpOp::MaskedEq(mask), value)?])
}

fn rule(argument: u8, compare: SeccompCmpOp, word: u64) -> Result<SeccompRule, Failed> {
    let what = "make a filter of system calls";
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, compare, word);
    let condition = step(what, condition)?;
    step(what, SeccompRule::new(vec![condition]))
}

fn compiled(
    rules: Rules,
    other: SeccompAction,
    these: SeccompAction,
) -> Result<BpfProgram, Failed> {
    let what = "make a filter of system calls";
    let arch = step(what, TargetArch::try_from(std::env::consts::ARCH))?;
    let filter = step(what, SeccompFilter::new(rules, other, these, arch))?;
    step(what, BpfProgram::try_from(filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_fit_into_a_kernel_and_begin_with_what_is_absent() {
        let pid = Pid::from_raw(7);
        for (alone, bare, count) in [(true, true, 3), (true, false, 2), (false, false, 2)] {
            let filters = filters(alone, bare, pid).unwrap();
            assert_eq!(filters.len(), count);
            assert!(filters.iter().all(|filter| filter.len() < 4096));
        }
    }

    #[test]
    fn nothing_that_leads_out_is_allowed() {
        let rules = allowed(false, Pid::from_raw(7)).unwrap();
        for call in [
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_chroot,
            libc::SYS_pivot_root,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_io_uring_setup,
            libc::SYS_userfaultfd,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_kexec_load,
            libc::SYS_init_module,
            libc::SYS_reboot,
            libc::SYS_setuid,
            libc::SYS_setresuid,
            libc::SYS_capset,
            libc::SYS_seccomp,
            libc::SYS_mknodat,
            libc::SYS_fchownat,
            libc::SYS_open_by_handle_at,
            libc::SYS_shmget,
            libc::SYS_memfd_secret,
            libc::SYS_vmsplice,
            libc::SYS_personality,
        ] {
            assert!(!rules.contains_key(&call), "system call {call} is allowed");
        }
    }

    #[test]
    fn a_program_that_is_alone_has_threads_and_no_processes() {
        let alone = allowed(true, Pid::from_raw(7)).unwrap();
        let others = allowed(false, Pid::from_raw(7)).unwrap();
        for call in FORKS {
            assert!(!alone.contains_key(call) && others.contains_key(call));
        }
        assert_eq!(alone[&libc::SYS_clone].len(), 1);
        assert!(others[&libc::SYS_kill].is_empty() && !alone[&libc::SYS_kill].is_empty());
    }
}
