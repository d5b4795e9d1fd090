//! What a program in a sandbox writes: the beginning is kept, more is counted and thrown away, and far too much is
//! noticed. Left out: what becomes of it.

use std::io::PipeReader;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::Written;

/// Bytes that are read in one go.
const PIECE: usize = 64 << 10;

/// How much more than is kept a program may write, and what it may write in any case, in bytes.
const TIMES: u64 = 16;
const LEAST: u64 = 1 << 20;

/// Pieces that are taken behind an answer: a pipe holds one, and what is written into it all the time never ends.
const MOST_PIECES: usize = 16;

/// One of the outputs of a program.
pub(super) struct Output {
    pipe: pipe::Receiver,
    /// Bytes that are kept.
    room: usize,
    kept: Vec<u8>,
    seen: u64,
}

impl Output {
    /// The output behind a pipe, of which `room` bytes are kept of each exchange.
    pub fn new(pipe: PipeReader, room: usize) -> std::io::Result<Self> {
        Ok(Self {
            pipe: pipe::Receiver::from_owned_fd(OwnedFd::from(pipe))?,
            room,
            kept: Vec::new(),
            seen: 0,
        })
    }

    /// Takes what is written, until it is far too much. It can be dropped at any time, and nothing is lost.
    pub async fn flood(&mut self) {
        let mut piece = vec![0; PIECE];
        while !self.is_flood() {
            match self.pipe.read(&mut piece).await {
                Ok(0) | Err(_) => std::future::pending().await,
                Ok(read) => self.keep(piece.get(..read).unwrap_or_default()),
            }
        }
    }

    /// Takes what is in the pipe at this moment, and gives all that was written since the last time.
    pub fn take(&mut self) -> Written {
        let mut piece = vec![0; PIECE];
        for _ in 0..MOST_PIECES {
            // Past the runtime, which may not have heard yet of what is there.
            match nix::unistd::read(&self.pipe, &mut piece) {
                Ok(0) => break,
                Ok(read) => self.keep(piece.get(..read).unwrap_or_default()),
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        let cut = self.seen > self.kept.len() as u64;
        self.seen = 0;
        Written {
            text: String::from_utf8_lossy(&std::mem::take(&mut self.kept)).into_owned(),
            cut,
        }
    }

    fn is_flood(&self) -> bool {
        self.seen > (self.room as u64).saturating_mul(TIMES).max(LEAST)
    }

    fn keep(&mut self, piece: &[u8]) {
        self.seen += piece.len() as u64;
        let room = self.room.saturating_sub(self.kept.len());
        let kept = piece.get(..room.min(piece.len())).unwrap_or_default();
        self.kept.extend_from_slice(kept);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn the_beginning_is_kept_and_the_rest_is_noticed() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut output = Output::new(reader, 4).unwrap();
        writer.write_all(b"ab\xffdef").unwrap();
        let written = output.take();
        assert_eq!((written.text.as_str(), written.cut), ("ab\u{fffd}d", true));
        writer.write_all(b"next").unwrap();
        let written = output.take();
        assert_eq!((written.text.as_str(), written.cut), ("next", false));
        assert_eq!(output.take(), Written::default());
    }

    #[tokio::test]
    async fn a_flood_ends_and_a_closed_pipe_does_not() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut output = Output::new(reader, 4).unwrap();
        let writing = std::thread::spawn(move || {
            let piece = [b'x'; 1024];
            while writer.write_all(&piece).is_ok() {}
        });
        output.flood().await;
        assert_eq!(output.take().text, "xxxx");
        drop(output);
        writing.join().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let mut output = Output::new(reader, 4).unwrap();
        drop(writer);
        tokio::select! {
            biased;
            () = output.flood() => unreachable!("nothing was written"),
            () = tokio::task::yield_now() => {}
        }
    }
}
