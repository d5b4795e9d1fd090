//! The memory that the control group of this process may take, as a container's limit is kept: versions 1 and 2 of Linux'
//! control groups, and what of it is in use. Elsewhere there is no limit.

use std::fs::read_to_string;
use std::path::Path;

/// Larger limits are none: version 1 writes so that there is none.
const NONE: u64 = 1 << 60;

/// Bytes that this process may still take; `None` where nothing limits it but the machine.
pub(super) fn room() -> Option<u64> {
    let own = read_to_string("/proc/self/cgroup").ok()?;
    let limit = limit(&own, Path::new("/sys/fs/cgroup"))?;
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    Some(limit.saturating_sub(anonymous(&status)))
}

/// The limit of a process whose `/proc/self/cgroup` is `own`, where the groups are mounted at `mount`.
fn limit(own: &str, mount: &Path) -> Option<u64> {
    let limits = own.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?);
        if controllers.is_empty() {
            return least(mount, group, "memory.max");
        }
        let is_memory = controllers.split(',').any(|name| name == "memory");
        let limit = || least(&mount.join("memory"), group, "memory.limit_in_bytes");
        is_memory.then(limit).flatten()
    });
    limits.min()
}

/// The least limit of a group and of those that it is in. A group that is not there, as a container sees those of the
/// machine, counts as the root, which is the container's own.
fn least(mount: &Path, group: &str, file: &str) -> Option<u64> {
    let group = mount.join(group.trim_start_matches('/'));
    let within = group.ancestors().take_while(|path| path.starts_with(mount));
    let limits = within.filter_map(|path| {
        let text = read_to_string(path.join(file)).ok()?;
        text.trim().parse::<u64>().ok()
    });
    limits.filter(|limit| *limit < NONE).min()
}

/// Bytes that a process has taken for itself, by its `/proc/self/status`; pages of files can be fetched again and do not
/// count.
fn anonymous(status: &str) -> u64 {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: Option<u64> = number.and_then(|number| number.parse().ok());
    kilobytes.unwrap_or(0).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(mount: &Path, file: &str, text: &str) {
        let path = mount.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn the_least_limit_of_a_group_and_of_those_around_it_counts() {
        let mount = tempfile::tempdir().unwrap();
        let mount = mount.path();
        write(mount, "app/memory.max", "3000\n");
        write(mount, "app/one/memory.max", "max\n");
        write(mount, "app/two/memory.max", "2000\n");
        write(mount, "memory/docker/memory.limit_in_bytes", "7000\n");
        write(
            mount,
            "memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        for (own, wanted) in [
            ("0::/app/one\n", Some(3000)),
            ("0::/app/two\n", Some(2000)),
            ("0::/elsewhere\n", None),
            ("0::/\n", None),
            ("4:cpu,cpuacct:/docker\n3:memory:/docker\n", Some(7000)),
            ("3:memory:/\n", None),
            ("3:memory:/docker\n0::/app/two\n", Some(2000)),
            ("nonsense\n", None),
        ] {
            assert_eq!(limit(own, mount), wanted, "{own:?}");
        }
        // A container that sees itself as the root, under a name of the machine.
        write(mount, "memory.max", "1000\n");
        assert_eq!(
            limit("0::/system.slice/docker-1.scope\n", mount),
            Some(1000)
        );
    }

    #[test]
    fn what_the_process_took_for_itself_is_read_in_kilobytes() {
        let status = "Name:\tpraxis\nVmRSS:\t  900 kB\nRssAnon:\t     700 kB\nRssFile:\t  200 kB\n";
        assert_eq!(anonymous(status), 700 * 1024);
        assert_eq!(anonymous("Name:\tpraxis\n"), 0);
    }
}
