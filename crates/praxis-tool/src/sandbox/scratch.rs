//! A scratch folder on the disk, for sandboxes without a file system of their own. What was in it is hostile: it is
//! removed without following a link, and however deep it is, with one folder open at a time.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Entries that are removed in one go; what is left then stays for the next start of the machine.
const MOST: usize = 1_000_000;

/// What the names of scratch folders begin with; the number of the process that they are of follows.
const NAME: &str = "praxis-sandbox-";

/// A folder that goes with its owner.
pub(super) struct Scratch {
    /// What everybody may pass through, and nobody but this process's user change.
    outer: PathBuf,
    /// What the program gets.
    inner: PathBuf,
}

impl Scratch {
    /// A new one, where temporary files are: its user has to be able to reach it.
    pub fn make() -> std::io::Result<Self> {
        let prefix = format!("{NAME}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711))?;
        let inner = folder.path().join("data");
        fs::DirBuilder::new().mode(0o700).create(&inner)?;
        let outer = folder.keep();
        Ok(Self { outer, inner })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.inner
    }

    /// Removes those that processes of this user left which were killed.
    pub fn sweep() {
        let own = nix::unistd::geteuid().as_raw();
        let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten();
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let process = name
                .to_str()
                .and_then(|name| name.strip_prefix(NAME)?.split('-').next());
            let process = process.and_then(|process| process.parse::<u32>().ok());
            // The entry itself, not where it leads: anybody may put a link there.
            let is_own = |kind: fs::Metadata| kind.is_dir() && kind.uid() == own;
            let is_left =
                process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists());
            if is_left && entry.metadata().is_ok_and(is_own) {
                let outer = entry.path();
                let inner = outer.join("data");
                drop(Self { outer, inner });
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.outer) {
            let folder = self.outer.display();
            tracing::warn!(%error, %folder, "a scratch folder was not removed");
        }
    }
}

/// Removes a folder. What is in a folder of it is moved up before that folder goes, so that no path gets long.
fn remove(folder: &Path) -> std::io::Result<()> {
    let mut moved = 0;
    for _ in 0..MOST {
        let Some(entry) = fs::read_dir(folder)?.next() else {
            return fs::remove_dir(folder);
        };
        let entry = entry?;
        let path = entry.path();
        if !entry.file_type()?.is_dir() {
            fs::remove_file(&path)?;
            continue;
        }
        // Who owned it may have closed it.
        fs::set_permissions(&path, PermissionsExt::from_mode(0o700))?;
        for below in fs::read_dir(&path)? {
            let below = below?;
            // A folder that is moved changes its parent, which takes a right to it.
            if below.file_type()?.is_dir() {
                fs::set_permissions(below.path(), PermissionsExt::from_mode(0o700))?;
            }
            // No name in a scratch folder is as long.
            moved += 1;
            let name = format!("{}{moved}", "x".repeat(240));
            fs::rename(below.path(), folder.join(name))?;
        }
        match fs::remove_dir(&path) {
            // A listing need not have all of a folder that changes: it comes again.
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            removed => removed?,
        }
    }
    Err(std::io::Error::other("there is too much in it"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_deep_linked_and_closed_is_removed_and_nothing_else() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let scratch = Scratch::make().unwrap();
        let root = scratch.path().to_owned();
        let mut deep = root.clone();
        for _ in 0..200 {
            deep.push("deeper");
        }
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("file"), "x").unwrap();
        symlink(outside.path(), deep.join("out")).unwrap();
        symlink(outside.path(), root.join("out")).unwrap();
        let closed = root.join("closed");
        fs::create_dir_all(closed.join("below")).unwrap();
        fs::write(closed.join("below/file"), "x").unwrap();
        fs::set_permissions(closed.join("below"), PermissionsExt::from_mode(0o000)).unwrap();
        fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
        Scratch::sweep();
        assert!(root.exists(), "its process runs");
        drop(scratch);
        assert!(!root.exists() && !root.parent().unwrap().exists());
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn what_a_process_left_that_is_gone_is_removed() {
        let prefix = format!("{NAME}{}-", u32::MAX);
        let left = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir()
            .unwrap()
            .keep();
        fs::write(left.join("file"), "x").unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let planted = std::env::temp_dir().join(format!("{prefix}planted"));
        symlink(outside.path(), &planted).unwrap();
        Scratch::sweep();
        assert!(!left.exists() && outside.path().join("kept").exists());
        fs::remove_file(planted).unwrap();
    }
}
