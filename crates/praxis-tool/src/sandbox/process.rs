//! A program in a sandbox, as the server sees it: a channel, two outputs, and an end. Left out: what is said on the
//! channel (`python`), and how the sandbox is built (`stage`).

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::group::{self, Group};
use super::output::Output;
use super::scratch::Scratch;
use super::spec::{Isolation, Spec};
use super::wire::{HEAD, NOT_BUILT, OUTGREW, frame};
use super::{End, Ended, Exchange, Message, NoSandbox, Room, STAGE, START, launcher};

/// How long a program that nobody wants any more has to be gone.
const LAST: Duration = Duration::from_secs(5);

/// What is taken of the first message, which says that the program is there.
const HELLO: Room = Room {
    json: 4096,
    blobs: 0,
    bytes: 0,
};

/// Status of a process that a signal ended, from here on.
const SIGNALLED: i32 = 128;

/// A program that runs in a sandbox. It ends with its owner.
pub(crate) struct Process {
    // In the order in which they go: a program whose channel is closed is ended, and then its folder and group are
    // not needed any more.
    channel: UnixStream,
    child: Child,
    outputs: [Output; 2],
    group: Option<Group>,
    scratch: Option<Scratch>,
}

impl Process {
    /// Starts a program, and waits until it says that it is there. Of each of its outputs `room` bytes are kept in an
    /// exchange.
    ///
    /// # Errors
    /// Why there is no sandbox.
    pub async fn start(
        spec: &Spec,
        room: usize,
        cancel: &CancellationToken,
    ) -> Result<Self, NoSandbox> {
        let Some(launcher) = launcher() else {
            let why = "this program cannot start itself as the first stage of a sandbox";
            return Err(NoSandbox(why.to_owned()));
        };
        let mut spec = spec.clone();
        let scratch = match spec.isolation {
            Isolation::Namespaces => None,
            Isolation::Landlock => Some(Scratch::make().map_err(no_sandbox)?),
        };
        spec.folder = scratch.as_ref().map(|scratch| scratch.path().to_owned());
        let folder = spec.folder.as_deref().unwrap_or(Path::new(super::SCRATCH));
        for value in spec.environment.values_mut() {
            *value = value.replace("{scratch}", &folder.to_string_lossy());
        }
        let mut started = spawned(launcher, room, scratch).map_err(no_sandbox)?;
        started.group = group::parent().and_then(|parent| grouped(parent, &spec, &started.child));
        let json = serde_json::to_vec(&spec).map_err(no_sandbox)?;
        let told = frame(&json).unwrap_or_default();
        let exchange = started.exchange(&told, HELLO, START, cancel).await;
        match exchange.answer {
            Ok(_) => Ok(started),
            Err(End::Gone) => {
                let complaint = exchange.stderr.text;
                Err(match started.end().await {
                    Ended::Status(NOT_BUILT) if !complaint.is_empty() => NoSandbox(complaint),
                    ended => NoSandbox(format!("it ended at once ({ended:?}) {complaint}")),
                })
            }
            Err(End::Cancelled) => Err(NoSandbox("the call was cancelled".to_owned())),
            Err(_) => Err(NoSandbox("it did not say that it is there".to_owned())),
        }
    }

    /// Sends a request and waits for its answer, for `time` at most.
    pub async fn exchange(
        &mut self,
        request: &[u8],
        room: Room,
        time: Duration,
        cancel: &CancellationToken,
    ) -> Exchange {
        let [stdout, stderr] = &mut self.outputs;
        let answer = {
            let (mut reader, mut writer) = self.channel.split();
            let send = async {
                // Where it is not taken, no answer comes either, and that is noticed.
                let _ = writer.write_all(request).await;
                std::future::pending::<()>().await;
            };
            let flood = async {
                tokio::select! {
                    () = stdout.flood() => {}
                    () = stderr.flood() => {}
                }
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(End::Cancelled),
                answer = receive(&mut reader, room) => answer,
                () = flood => Err(End::Flood),
                () = sleep(time) => Err(End::Late),
                () = send => Err(End::Gone),
            }
        };
        Exchange {
            answer,
            stdout: stdout.take(),
            stderr: stderr.take(),
        }
    }

    /// Ends it, and waits until nothing is left of it.
    pub async fn end(self) -> Ended {
        let Self {
            channel,
            mut child,
            outputs,
            group,
            scratch,
        } = self;
        // Who watches it ends it when the channel closes.
        drop(channel);
        drop(outputs);
        let status = match timeout(LAST, child.wait()).await {
            Ok(status) => status.ok(),
            Err(_) => {
                // It is killed, and all that it started with it.
                let _ = child.kill().await;
                None
            }
        };
        drop(group);
        // As long as it takes to remove a few thousand files.
        let _ = tokio::task::spawn_blocking(move || drop(scratch)).await;
        status.map_or(Ended::Unknown, ended)
    }
}

/// Starts the first stage. It waits for what it is told.
fn spawned(launcher: &Path, room: usize, scratch: Option<Scratch>) -> std::io::Result<Process> {
    let (ours, theirs) = Pair::pair()?;
    ours.set_nonblocking(true)?;
    let (stdout, their_stdout) = std::io::pipe()?;
    let (stderr, their_stderr) = std::io::pipe()?;
    let child = Command::new(launcher)
        .arg(STAGE)
        .env_clear()
        .current_dir("/")
        // A key that ends this program in a terminal is not for it.
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(OwnedFd::from(their_stdout)))
        .stderr(Stdio::from(OwnedFd::from(their_stderr)))
        .kill_on_drop(true)
        .spawn()?;
    Ok(Process {
        channel: UnixStream::from_std(ours)?,
        child,
        outputs: [Output::new(stdout, room)?, Output::new(stderr, room)?],
        group: None,
        scratch,
    })
}

/// A group with this process in it. Without one, the limits of each process hold all the same.
fn grouped(parent: &Path, spec: &Spec, child: &Child) -> Option<Group> {
    let grouped = Group::make(parent, &spec.bounds).and_then(|group| {
        child.id().map_or(Ok(()), |process| group.take(process))?;
        Ok(group)
    });
    match grouped {
        Ok(group) => Some(group),
        Err(error) => {
            tracing::warn!(%error, parent = %parent.display(), "a sandbox has no control group");
            None
        }
    }
}

fn no_sandbox(error: impl std::fmt::Display) -> NoSandbox {
    NoSandbox(error.to_string())
}

/// Reads an answer.
async fn receive(reader: &mut (impl AsyncRead + Unpin), room: Room) -> Result<Message, End> {
    let length = number(reader).await?;
    let json = bytes(reader, length, room.json).await?;
    let count = number(reader).await?;
    if count > room.blobs {
        return Err(End::Broken("it sent more files than it may"));
    }
    let mut left = room.bytes;
    let mut blobs = Vec::with_capacity(count);
    for _ in 0..count {
        let length = number(reader).await?;
        let blob = bytes(reader, length, left).await?;
        left -= blob.len();
        blobs.push(blob);
    }
    Ok(Message { json, blobs })
}

async fn number(reader: &mut (impl AsyncRead + Unpin)) -> Result<usize, End> {
    let mut head = [0; HEAD];
    let read = reader.read_exact(&mut head).await;
    read.map_err(|_| End::Gone)?;
    usize::try_from(u32::from_be_bytes(head)).map_err(|_| End::Broken("its answer is too long"))
}

/// Reads so many bytes, if they are not too many. Memory is taken as they come.
async fn bytes(
    reader: &mut (impl AsyncRead + Unpin),
    length: usize,
    most: usize,
) -> Result<Vec<u8>, End> {
    if length > most {
        return Err(End::Broken("its answer is too long"));
    }
    let mut bytes = Vec::new();
    let read = reader.take(length as u64).read_to_end(&mut bytes).await;
    match read {
        Ok(read) if read == length => Ok(bytes),
        _ => Err(End::Gone),
    }
}

/// How a first stage tells that its program ended.
fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(OUTGREW), _) => Ended::Outgrew,
        (Some(code), _) if code > SIGNALLED => Ended::Signal(code - SIGNALLED),
        (Some(code), _) => Ended::Status(code),
        (None, Some(signal)) => Ended::Signal(signal),
        (None, None) => Ended::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::message;

    const ROOM: Room = Room {
        json: 8,
        blobs: 2,
        bytes: 4,
    };

    #[tokio::test]
    async fn an_answer_is_read_with_its_blobs_and_within_its_room() {
        let read = async |json: &[u8], blobs: Vec<&[u8]>| {
            let sent = message(json, blobs.into_iter()).unwrap();
            receive(&mut sent.as_slice(), ROOM).await
        };
        let whole = read(b"{}", vec![b"abc", b"d"]).await.unwrap();
        assert_eq!(
            (whole.json, whole.blobs),
            (b"{}".to_vec(), vec![b"abc".to_vec(), b"d".to_vec()])
        );
        for (json, blobs) in [
            (&b"123456789"[..], vec![]),
            (b"{}", vec![&b"a"[..], b"b", b"c"]),
            (b"{}", vec![b"abc", b"de"]),
        ] {
            assert!(matches!(read(json, blobs).await, Err(End::Broken(_))));
        }
    }

    #[tokio::test]
    async fn what_ends_early_is_no_answer() {
        let sent = message(b"{}", [&b"abc"[..]].into_iter()).unwrap();
        for length in 0..sent.len() {
            let found = receive(&mut sent.get(..length).unwrap(), ROOM).await;
            assert_eq!(found, Err(End::Gone), "{length}");
        }
        // A length that nobody could hold takes no memory.
        let found = receive(&mut [255; 8].as_slice(), ROOM).await;
        assert!(matches!(found, Err(End::Broken(_))));
    }

    #[test]
    fn ends_are_told_apart() {
        for (raw, wanted) in [
            (3 << 8, Ended::Status(3)),
            (OUTGREW << 8, Ended::Outgrew),
            ((128 + 11) << 8, Ended::Signal(11)),
            (9, Ended::Signal(9)),
        ] {
            assert_eq!(ended(ExitStatus::from_raw(raw)), wanted);
        }
    }
}
