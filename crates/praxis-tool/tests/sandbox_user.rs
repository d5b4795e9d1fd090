//! Hostile code in the sandboxes of a user who is not root, which are built in another way. Run by root, the first
//! stage is started as nobody; run by anybody else, `tests/sandbox.rs` has done all of this.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they skip"
)]

#[path = "support/escapes.rs"]
mod escapes;
#[path = "support/nobody.rs"]
mod nobody;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use praxis_tool::sandbox;

/// What starts a program as another user.
const SETPRIV: &str = "/usr/bin/setpriv";

/// The number of nobody.
const NOBODY: u32 = 65_534;

#[tokio::test]
async fn hostile_code_is_contained_whoever_runs_the_server() {
    let folder = tempfile::tempdir().unwrap();
    if folder.path().metadata().unwrap().uid() != 0 || !Path::new(SETPRIV).exists() {
        eprintln!("SKIPPED: needs root, and {SETPRIV}");
        return;
    }
    // Where nobody may go and the program can be run by all.
    let open =
        |path: &Path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    open(folder.path());
    let stage = folder.path().join("stage");
    std::fs::copy(env!("CARGO_BIN_EXE_praxis-sandbox"), &stage).unwrap();
    open(&stage);
    let launcher = folder.path().join("launcher");
    let script = format!(
        "#!/bin/sh\nexec {SETPRIV} --reuid={NOBODY} --regid={NOBODY} --clear-groups {} \"$@\"\n",
        stage.display()
    );
    std::fs::write(&launcher, script).unwrap();
    open(&launcher);
    sandbox::use_launcher(launcher);
    escapes::contained("isolation = \"namespaces\"", false).await;
}
