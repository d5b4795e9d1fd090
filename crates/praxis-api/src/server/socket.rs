//! A Unix socket: a way in for programs of this machine that run as the user whom the server runs as.
//!
//! The file is there as long as the server accepts connections. One that a killed server left behind is replaced, one
//! that is served is not. Left out: other users of the machine, for whom the port is.

use std::fs::{File, Metadata, Permissions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Its owner alone may connect.
const MODE: u32 = 0o600;

/// How long a server has to show that it lives.
const ALIVE: Duration = Duration::from_secs(2);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Stop the other server, or choose another path.
    #[error("another server listens at `{}`", .0.display())]
    Served(PathBuf),
    /// Choose another path, or move the file away.
    #[error("`{}` is there and no socket", .0.display())]
    NoSocket(PathBuf),
    /// Correct the path, or who may write to its folder.
    #[error("cannot listen at `{}`: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// A socket that is listened at. Its file goes with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: Own,
}

impl Socket {
    /// Listens at `path`, which its owner alone may connect to.
    ///
    /// # Errors
    /// A path where another server listens, where something else is, or where no file can be made.
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io {
            path: path.to_owned(),
            source,
        };
        // Of two servers that begin at once, one looks, clears and listens before the other.
        let _turn = turn(path)?;
        let found = match std::fs::symlink_metadata(path) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        if let Some(found) = found {
            if !found.file_type().is_socket() {
                return Err(SocketError::NoSocket(path.to_owned()));
            }
            if is_served(path).await {
                return Err(SocketError::Served(path.to_owned()));
            }
            std::fs::remove_file(path).map_err(failed)?;
        }
        let socket = UnixSocket::new_stream().map_err(failed)?;
        socket.bind(path).map_err(failed)?;
        let found = std::fs::symlink_metadata(path).map_err(failed)?;
        let file = Own::new(path, &found);
        // Nobody can connect before it is listened at.
        std::fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(failed)?;
        let listener = socket.listen(BACKLOG).map_err(failed)?;
        Ok(Self { listener, file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The next connection.
    ///
    /// # Errors
    /// Those of the system, such as want of file descriptors.
    pub(super) async fn accept(&self) -> std::io::Result<UnixStream> {
        let (stream, _) = self.listener.accept().await?;
        Ok(stream)
    }
}

/// The right to make or replace a socket in the path's folder, as long as the value lives. Where the file system has no
/// locks, everybody has it.
fn turn(path: &Path) -> Result<Option<File>, SocketError> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) else {
        return Ok(None);
    };
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => Err(SocketError::Served(path.to_owned())),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(folder)),
    }
}

/// Whether somebody listens there. Whoever does not refuse a connection is taken to be alive.
async fn is_served(path: &Path) -> bool {
    match tokio::time::timeout(ALIVE, UnixStream::connect(path)).await {
        Ok(Err(error)) => !matches!(
            error.kind(),
            ErrorKind::ConnectionRefused | ErrorKind::NotFound
        ),
        Ok(Ok(_)) | Err(_) => true,
    }
}

/// The socket's file, removed at the end unless another one has taken its place.
#[derive(Debug)]
struct Own {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Own {
    fn new(path: &Path, found: &Metadata) -> Self {
        Self {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let found = std::fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode)) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_its_owner_may_connect_and_the_file_goes_with_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("praxis.sock");
        let socket = Socket::bind(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        UnixStream::connect(&path).await.unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_dead_servers_socket_is_replaced_and_a_living_ones_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("praxis.sock");
        // A listener of the standard library leaves its file behind, as a killed server does.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let socket = Socket::bind(&path).await.unwrap();

        let error = Socket::bind(&path).await.unwrap_err();
        assert!(matches!(error, SocketError::Served(_)), "{error}");
        UnixStream::connect(&path).await.unwrap();
        drop(socket);
    }

    #[tokio::test]
    async fn what_is_no_socket_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.md");
        std::fs::write(&path, "kept").unwrap();
        let error = Socket::bind(&path).await.unwrap_err();
        assert!(matches!(error, SocketError::NoSocket(_)), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");

        let nowhere = dir.path().join("none/praxis.sock");
        let error = Socket::bind(&nowhere).await.unwrap_err();
        assert!(error.to_string().contains("none/praxis.sock"), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_took_the_sockets_place_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("praxis.sock");
        let old = Socket::bind(&path).await.unwrap();
        std::fs::rename(&path, dir.path().join("away.sock")).unwrap();
        let new = Socket::bind(&path).await.unwrap();
        drop(old);
        assert!(path.exists());
        drop(new);
        assert!(!path.exists());
    }
}
