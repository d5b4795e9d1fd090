//! Control groups (cgroup v2) for sandboxes: memory and processes of all that is in one, counted together. Used where
//! a part of the tree is delegated to this process, as systemd does for a service with `Delegate=yes` and
//! `DelegateSubgroup=`. Left out: what holds without them, which is limits of each process (`stage::walls`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::spec::Bounds;

/// Where the tree is.
const TREE: &str = "/sys/fs/cgroup";

/// What a group has to have.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];

/// Ends of the names of units that can be delegated.
const UNITS: [&str; 2] = [".service", ".scope"];

/// Processes that a sandbox has beside its program's.
const OWN: u64 = 2;

/// Numbers of groups of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The group of one sandbox. It goes with its owner, if nothing is left in it.
pub(super) struct Group(PathBuf);

/// Where this process may make groups; looked up once.
pub(super) fn parent() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        delegated(Path::new(TREE), &own)
    };
    FOUND.get_or_init(find).as_deref()
}

/// The group above this process's own, where that is a unit's which is delegated: who is in a part of a unit was given
/// all of it. In its own group, which has processes, there can be no others.
fn delegated(tree: &Path, own: &str) -> Option<PathBuf> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let above = Path::new(own).parent()?;
    let name = above.file_name()?.to_str()?;
    if !UNITS.iter().any(|kind| name.ends_with(kind)) {
        return None;
    }
    let group = tree.join(above);
    let passed_on = group.join("cgroup.subtree_control");
    let is_passed_on = || {
        let controllers = fs::read_to_string(&passed_on).unwrap_or_default();
        let has = |name: &&str| controllers.split_whitespace().any(|one| one == *name);
        CONTROLLERS.iter().all(has)
    };
    if !is_passed_on() {
        fs::write(
            &passed_on,
            CONTROLLERS.map(|name| format!("+{name}")).join(" "),
        )
        .ok()?;
    }
    // Whoever may move processes in it was given it.
    let procs = fs::OpenOptions::new()
        .write(true)
        .open(group.join("cgroup.procs"));
    (is_passed_on() && procs.is_ok()).then_some(group)
}

impl Group {
    /// Makes one.
    ///
    /// # Errors
    /// What the kernel does not take.
    pub fn make(parent: &Path, bounds: &Bounds) -> io::Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("praxis-sandbox-{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        let group = Self(path);
        let tasks = bounds.threads.max(bounds.processes) + OWN;
        // The scratch folder is memory too.
        group.write("memory.max", bounds.memory.saturating_add(bounds.scratch))?;
        group.write("pids.max", tasks)?;
        // Not every kernel swaps, nor ends a group as one.
        let _ = group.write("memory.swap.max", 0);
        let _ = group.write("memory.oom.group", 1);
        Ok(group)
    }

    /// Moves a process into it; what it starts will be in it too.
    ///
    /// # Errors
    /// What the kernel does not take.
    pub fn take(&self, process: u32) -> io::Result<()> {
        self.write("cgroup.procs", u64::from(process))
    }

    fn write(&self, file: &str, number: u64) -> io::Result<()> {
        fs::write(self.0.join(file), number.to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What still runs is ended; the kernel keeps the group until it is gone.
        let _ = self.write("cgroup.kill", 1);
        if let Err(error) = fs::remove_dir(&self.0) {
            let group = self.0.display();
            tracing::debug!(%error, %group, "a control group was not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree that looks like the kernel's.
    fn tree(controllers: &str) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        let group = tree.path().join("system.slice/praxis.service");
        fs::create_dir_all(group.join("main")).unwrap();
        fs::write(group.join("cgroup.subtree_control"), controllers).unwrap();
        fs::write(group.join("cgroup.procs"), "").unwrap();
        tree
    }

    #[test]
    fn a_delegated_group_is_found_above_the_own_one() {
        let own = "0::/system.slice/praxis.service/main\n";
        let tree = |controllers| (tree(controllers), own);
        let (with, own) = tree("cpu memory pids\n");
        let found = delegated(with.path(), own);
        assert_eq!(found, Some(with.path().join("system.slice/praxis.service")));
        let (without, own) = tree("cpu pids\n");
        assert_eq!(delegated(without.path(), own), None);
        for other in [
            "0::/\n",
            "0::/main\n",
            "0::/system.slice/praxis.service\n",
            "4:memory:/x\n",
            "",
        ] {
            assert_eq!(delegated(with.path(), other), None, "{other}");
        }
    }

    #[test]
    fn a_group_gets_its_bounds_and_its_processes() {
        let parent = tempfile::tempdir().unwrap();
        let bounds = Bounds {
            memory: 100,
            cpu: 1,
            scratch: 50,
            files: 1,
            file: 1,
            processes: 1,
            threads: 32,
            handles: 16,
        };
        let group = Group::make(parent.path(), &bounds).unwrap();
        group.take(77).unwrap();
        let read = |file: &str| fs::read_to_string(group.0.join(file)).unwrap();
        assert_eq!(
            (read("memory.max"), read("pids.max"), read("cgroup.procs")),
            ("150".into(), "34".into(), "77".into())
        );
    }
}
