//! The root folder of a sandbox: an empty file system in memory, the views bound read-only into it, and a scratch
//! folder of a fixed size. There is no /proc, no /sys, and of /dev four files. Left out: who may do what in it
//! (`walls`).

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{Gid, Uid, chdir, chown, pivot_root};

use super::identity::{INSIDE, Rank};
use super::{Failed, step};
use crate::sandbox::spec::{SCRATCH, Spec};

/// Files of /dev that are there.
pub(super) const DEVICES: [&str; 4] = ["null", "zero", "random", "urandom"];

/// Attributes of mounts (linux/mount.h).
const READ_ONLY: u64 = 0x1;
const NO_SUID: u64 = 0x2;
const NO_DEVICES: u64 = 0x4;
const NO_EXEC: u64 = 0x8;

/// Folders that views below scratch folders may take.
const PLACES: u64 = 16;

/// Where the scratch file system is while its folders are bound to their places.
const FLOOR: &str = ".scratch";

/// Where the scratch folder's parts are seen.
const PARTS: [(&str, &str, u32); 3] = [
    ("data", SCRATCH, 0o700),
    ("tmp", "/tmp", 0o700),
    ("shm", "/dev/shm", 0o700),
];

/// Builds the root folder and moves into it; the old one is gone.
///
/// # Errors
/// The step that failed.
pub(super) fn build(spec: &Spec, rank: Rank) -> Result<(), Failed> {
    let none = None::<&str>;
    let apart = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    step("keep its mounts apart", mount(none, "/", none, apart, none))?;
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let data = Some("mode=0755,size=1m,nr_inodes=4k");
    let made = mount(Some("tmpfs"), &spec.anchor, Some("tmpfs"), plain, data);
    step("mount its root folder", made)?;
    let new = New {
        root: &spec.anchor,
        owner: match rank {
            Rank::Root(id) => id,
            Rank::User { .. } => INSIDE,
        },
    };
    // First: a view may lie below one of its folders, such as /tmp.
    new.scratch(spec.bounds.scratch, spec.bounds.files)?;
    for view in &spec.views {
        new.view(view)?;
    }
    for hidden in &spec.hidden {
        new.hide(hidden)?;
    }
    for (link, target) in &spec.links {
        new.folder(link.parent().unwrap_or(Path::new("/")))?;
        step(
            format!("link `{}`", link.display()),
            symlink(target, new.at(link)),
        )?;
    }
    new.devices()?;
    new.enter()
}

struct New<'a> {
    root: &'a Path,
    owner: u32,
}

impl New<'_> {
    /// Where a path of the sandbox is now.
    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn folder(&self, path: &Path) -> Result<PathBuf, Failed> {
        let at = self.at(path);
        step(
            format!("make the folder `{}`", path.display()),
            fs::create_dir_all(&at),
        )?;
        Ok(at)
    }

    fn file(&self, path: &Path) -> Result<PathBuf, Failed> {
        self.folder(path.parent().unwrap_or(Path::new("/")))?;
        let at = self.at(path);
        step(
            format!("make the file `{}`", path.display()),
            fs::write(&at, ""),
        )?;
        Ok(at)
    }

    /// Shows a file or folder of this machine at its own place, for reading.
    fn view(&self, path: &Path) -> Result<(), Failed> {
        let kind = step(format!("look at `{}`", path.display()), fs::metadata(path))?;
        let at = match kind.is_dir() {
            true => self.folder(path)?,
            false => self.file(path)?,
        };
        bind(path, &at)?;
        limit(&at, READ_ONLY | NO_SUID | NO_DEVICES, true)
    }

    /// Lays nothing over a folder.
    fn hide(&self, path: &Path) -> Result<(), Failed> {
        let at = self.at(path);
        if !at.is_dir() {
            return Ok(());
        }
        let flags =
            MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let data = Some("mode=0555,size=4k,nr_inodes=2");
        let hidden = mount(Some("tmpfs"), &at, Some("tmpfs"), flags, data);
        step(format!("hide `{}`", path.display()), hidden)
    }

    fn devices(&self) -> Result<(), Failed> {
        for name in DEVICES {
            let path = Path::new("/dev").join(name);
            let at = self.file(&path)?;
            bind(&path, &at)?;
            limit(&at, NO_SUID | NO_EXEC, false)?;
        }
        Ok(())
    }

    /// Makes the scratch folders: one file system, so that one size holds for all.
    fn scratch(&self, bytes: u64, files: u64) -> Result<(), Failed> {
        let floor = self.folder(&Path::new("/").join(FLOOR))?;
        // Its root, the folders of its parts, and places of views count as files.
        let inodes = files.saturating_add(1 + PARTS.len() as u64 + PLACES);
        let data = format!("mode=0711,size={bytes},nr_inodes={inodes}");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let made = mount(
            Some("tmpfs"),
            &floor,
            Some("tmpfs"),
            flags,
            Some(data.as_str()),
        );
        step("mount its scratch folder", made)?;
        for (name, place, mode) in PARTS {
            let part = floor.join(name);
            step("make its scratch folder", fs::create_dir(&part))?;
            let (uid, gid) = (Uid::from_raw(self.owner), Gid::from_raw(self.owner));
            step(
                "give away its scratch folder",
                chown(&part, Some(uid), Some(gid)),
            )?;
            step(
                "open its scratch folder",
                fs::set_permissions(&part, PermissionsExt::from_mode(mode)),
            )?;
            let at = self.folder(Path::new(place))?;
            bind(&part, &at)?;
            limit(&at, NO_SUID | NO_DEVICES | NO_EXEC, false)?;
        }
        step(
            "put its scratch folder in place",
            umount2(&floor, MntFlags::MNT_DETACH),
        )?;
        step("tidy up its root folder", fs::remove_dir(&floor))
    }

    /// Makes it the root folder, for good.
    fn enter(&self) -> Result<(), Failed> {
        step("enter its root folder", chdir(self.root))?;
        step("change its root folder", pivot_root(".", "."))?;
        step(
            "leave the old root folder",
            umount2(".", MntFlags::MNT_DETACH),
        )?;
        step("enter its root folder", chdir("/"))?;
        limit(Path::new("/"), READ_ONLY | NO_SUID | NO_DEVICES, false)
    }
}

fn bind(from: &Path, at: &Path) -> Result<(), Failed> {
    let none = None::<&str>;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    let bound = mount(Some(from), at, none, flags, none);
    step(format!("show `{}`", from.display()), bound)
}

/// Adds attributes to a mount, and to all below it.
fn limit(at: &Path, attributes: u64, below: bool) -> Result<(), Failed> {
    /// `struct mount_attr` of linux/mount.h.
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let what = format!("protect `{}`", at.display());
    let path = step(&what, CString::new(at.as_os_str().as_bytes()))?;
    let attributes = Attributes {
        set: attributes,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    let flags = match below {
        true => libc::AT_RECURSIVE,
        false => 0,
    };
    // SAFETY: both pointers are to values that live until the call has ended; the size is that of the structure.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    };
    step(what, Errno::result(set)).map(drop)
}
