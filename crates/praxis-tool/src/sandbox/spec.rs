//! What a sandbox is to be, as the program that wants one tells its first stage: what runs, what it sees, what it
//! may use. Left out: how that is brought about (`stage`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the program finds its scratch folder in a namespace of its own: where models expect it.
pub(crate) const SCRATCH: &str = "/mnt/data";

/// What keeps a program in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Isolation {
    /// Namespaces of its own (users, mounts, processes, network, IPC, host name) with a root folder that holds what
    /// it may see and nothing else; Landlock and seccomp within.
    #[default]
    Namespaces,
    /// Landlock and seccomp alone, for machines that allow no namespaces, such as most containers: one process, a
    /// scratch folder on the disk whose size is looked at twenty times a second. Files elsewhere cannot be opened,
    /// but that they are there can be found out.
    Landlock,
}

/// A program and its sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// What keeps it in.
    pub isolation: Isolation,
    /// The program: an absolute path without links.
    pub program: PathBuf,
    /// Its arguments but for its name. `{channel}` in one is the number of the descriptor on which it is talked to.
    pub arguments: Vec<String>,
    /// Its environment; nothing is inherited.
    pub environment: BTreeMap<String, String>,
    /// Files and folders that it may read, and run programs and libraries from. Absolute, without links, none below
    /// another.
    pub views: Vec<PathBuf>,
    /// Links that are there beside them: where, and to what.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Folders below the views that look empty.
    pub hidden: Vec<PathBuf>,
    /// A folder, with nothing in it, on which the new root is mounted.
    pub anchor: PathBuf,
    /// The scratch folder, where there is no namespace for one.
    pub folder: Option<PathBuf>,
    /// What it may use.
    pub bounds: Bounds,
}

/// What a sandbox may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    /// Bytes of memory of all its processes together.
    pub memory: u64,
    /// Seconds of processor time of each process, in all its life.
    pub cpu: u64,
    /// Bytes of the scratch folder.
    pub scratch: u64,
    /// Files and folders in it.
    pub files: u64,
    /// Bytes of one file.
    pub file: u64,
    /// Processes.
    pub processes: u64,
    /// Threads, those of all processes together.
    pub threads: u64,
    /// Open files of a process.
    pub handles: u64,
}

impl Bounds {
    /// Whether the program may start no other process.
    pub fn is_alone(&self) -> bool {
        self.processes <= 1
    }
}
