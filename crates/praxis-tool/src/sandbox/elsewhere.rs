//! Sandboxes on systems that are not Linux: there are none, and nothing runs without one.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Ended, Exchange, NoSandbox, Room, Spec};

/// A program that runs in a sandbox: none ever does.
pub(crate) enum Process {}

impl Process {
    /// Says why there is no sandbox.
    ///
    /// # Errors
    /// Always.
    pub async fn start(
        _spec: &Spec,
        _room: usize,
        _cancel: &CancellationToken,
    ) -> Result<Self, NoSandbox> {
        let why = format!(
            "programs run in a sandbox of Linux only, and this is {}: run Praxis on Linux, or in a Linux container",
            std::env::consts::OS
        );
        Err(NoSandbox(why))
    }

    /// Nobody calls it.
    pub async fn exchange(
        &mut self,
        _request: &[u8],
        _room: Room,
        _time: Duration,
        _cancel: &CancellationToken,
    ) -> Exchange {
        match *self {}
    }

    /// Nobody calls it.
    pub async fn end(self) -> Ended {
        match self {}
    }
}
