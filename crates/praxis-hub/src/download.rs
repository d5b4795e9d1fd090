//! One file over HTTP: resumed from its `.part` by a range request, retried on passing trouble,
//! hashed while it streams. What it leaves out: which file, and what to do with it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use praxis_core::Secret;
use reqwest::header::{CONTENT_RANGE, RANGE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use sha2::{Digest, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio_util::sync::CancellationToken;

use crate::files::{self, blocking};
use crate::{HubError, Progress};

/// Attempts after the first that may pass without a byte of progress.
const RETRIES: usize = 4;
/// The same where not even a connection came about: the next source is likely quicker.
const CONNECT_RETRIES: usize = 1;
/// The longest wait that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Bytes between two reports of progress.
const REPORT_EVERY: u64 = 256 * 1024;

/// Makes the HTTP client.
pub(crate) fn client() -> Result<Client, HubError> {
    // Whoever comes first installs it; an error means that someone did.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("praxis/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(15))
        .read_timeout(Duration::from_secs(60))
        .build()
        .map_err(|e| HubError::Source(format!("no HTTP client: {}", chain(&e))))
}

/// Counts bytes towards a total and reports them.
pub(crate) struct Meter<'a> {
    done: AtomicU64,
    reported: AtomicU64,
    total: AtomicU64,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl<'a> Meter<'a> {
    pub(crate) fn new(total: u64, progress: &'a (dyn Fn(Progress) + Send + Sync)) -> Self {
        Self {
            done: 0.into(),
            reported: 0.into(),
            total: total.into(),
            progress,
        }
    }

    pub(crate) fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let total = self.total.load(Ordering::Relaxed);
        if done >= self.reported.load(Ordering::Relaxed) + REPORT_EVERY || done == total {
            self.reported.store(done, Ordering::Relaxed);
            (self.progress)(Progress::Bytes {
                done,
                total: total.max(done),
            });
        }
    }

    /// Takes bytes back that must be fetched again.
    fn take_back(&self, bytes: u64) {
        let done = self
            .done
            .fetch_sub(bytes, Ordering::Relaxed)
            .saturating_sub(bytes);
        self.reported.store(done, Ordering::Relaxed);
        (self.progress)(Progress::Bytes {
            done,
            total: self.total.load(Ordering::Relaxed),
        });
    }
}

/// What is downloaded, and to where.
pub(crate) struct Download<'a> {
    /// Where it is.
    pub url: Url,
    /// The source's name for messages: URLs may carry credentials.
    pub origin: String,
    /// Sent as a bearer token.
    pub token: Option<&'a Secret>,
    /// Bytes, where known.
    pub size: Option<u64>,
    /// SHA-256, where known.
    pub sha256: Option<String>,
    /// The unfinished file.
    pub part: &'a Path,
}

/// How downloads are done.
pub(crate) struct Downloader<'a> {
    pub client: &'a Client,
    pub meter: &'a Meter<'a>,
    pub cancel: &'a CancellationToken,
}

/// The state of a download between attempts.
struct Written {
    hash: Sha256,
    len: u64,
}

enum Failure {
    Passing {
        message: String,
        wait: Option<Duration>,
        connected: bool,
    },
    Final(HubError),
}

impl Downloader<'_> {
    /// Downloads to `part`, continuing what is there, and checks it. Leftovers that turn out wrong
    /// are thrown away and fetched once more.
    pub(crate) async fn fetch(&self, download: &Download<'_>) -> Result<(), HubError> {
        loop {
            let (resumed, actual) = self.stream(download).await?;
            let expected = match &download.sha256 {
                Some(expected) if *expected != actual => expected.clone(),
                _ => return Ok(()),
            };
            files::remove_if_there(download.part)?;
            if !resumed {
                let (origin, file) = (download.origin.clone(), file_name(download.part));
                return Err(HubError::Checksum {
                    origin,
                    file,
                    expected,
                    actual,
                });
            }
            self.meter.take_back(download.size.unwrap_or(0));
        }
    }

    /// Streams to the end; gives whether it continued an old file, and the SHA-256.
    async fn stream(&self, download: &Download<'_>) -> Result<(bool, String), HubError> {
        let mut written = self.left_over(download).await?;
        let resumed = written.len > 0;
        self.meter.add(written.len);
        let mut pauses = pauses(RETRIES);
        let mut unconnected = 0;
        while download.size != Some(written.len) {
            let before = written.len;
            let failure = match self.attempt(download, &mut written).await {
                Ok(()) => break,
                Err(failure) => failure,
            };
            let (message, wait) = match failure {
                Failure::Final(error) => return Err(error),
                Failure::Passing {
                    message,
                    wait,
                    connected,
                } => {
                    unconnected += usize::from(!connected);
                    if unconnected > CONNECT_RETRIES {
                        return Err(HubError::Source(message));
                    }
                    (message, wait)
                }
            };
            if written.len > before {
                pauses = self::pauses(RETRIES);
                unconnected = 0;
            }
            let Some(pause) = pauses.next() else {
                return Err(HubError::Source(message));
            };
            let pause = wait.map_or(pause, |w| w.min(LONGEST_PAUSE).max(pause));
            tracing::debug!(%message, ?pause, "download interrupted");
            tokio::select! {
                () = self.cancel.cancelled() => return Err(HubError::Cancelled),
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok((resumed, hex::encode(written.hash.finalize())))
    }

    async fn left_over(&self, download: &Download<'_>) -> Result<Written, HubError> {
        let part = download.part.to_owned();
        let size = download.size;
        blocking(move || {
            let len = std::fs::metadata(&part).map_or(0, |m| m.len());
            // Longer than the whole cannot be its beginning.
            let len = if size.is_some_and(|size| len > size) {
                0
            } else {
                len
            };
            Ok(Written {
                hash: files::hash_prefix(&part, len)?,
                len,
            })
        })
        .await
    }

    /// Asks for the rest and appends it.
    async fn attempt(&self, download: &Download<'_>, written: &mut Written) -> Result<(), Failure> {
        let origin = &download.origin;
        let mut request = self.client.get(download.url.clone());
        if let Some(token) = download.token {
            request = request.bearer_auth(token.expose());
        }
        if written.len > 0 {
            request = request.header(RANGE, format!("bytes={}-", written.len));
        }
        let sent = tokio::select! {
            () = self.cancel.cancelled() => return Err(Failure::Final(HubError::Cancelled)),
            sent = request.send() => sent,
        };
        let mut response = sent.map_err(|e| Failure::Passing {
            message: format!("{origin}: {}", chain(&e)),
            wait: None,
            connected: !e.is_connect(),
        })?;
        check_status(origin, &response)?;
        if written.len > 0 && !continues(&response, written.len) {
            self.meter.take_back(written.len);
            *written = Written {
                hash: Sha256::new(),
                len: 0,
            };
            if response.status() != StatusCode::OK {
                return Err(passing(
                    format!("{origin}: the server cannot continue the download"),
                    None,
                ));
            }
        }
        let failed = |e| Failure::Final(HubError::io("cannot write", download.part, e));
        let file = open_at(download.part, written.len).await.map_err(failed)?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let end = loop {
            let chunk = tokio::select! {
                () = self.cancel.cancelled() => break Err(Failure::Final(HubError::Cancelled)),
                chunk = response.chunk() => chunk,
            };
            match chunk {
                Ok(Some(bytes)) => {
                    file.write_all(&bytes).await.map_err(failed)?;
                    written.hash.update(&bytes);
                    written.len += bytes.len() as u64;
                    self.meter.add(bytes.len() as u64);
                }
                Ok(None) => break Ok(()),
                Err(e) => break Err(passing(format!("{origin}: {}", chain(&e)), None)),
            }
        };
        file.flush().await.map_err(failed)?;
        end?;
        match download.size {
            Some(size) if written.len < size => Err(passing(
                format!("{origin}: the connection closed early"),
                None,
            )),
            _ => Ok(()),
        }
    }
}

fn passing(message: String, wait: Option<Duration>) -> Failure {
    Failure::Passing {
        message,
        wait,
        connected: true,
    }
}

fn pauses(retries: usize) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(300))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(retries)
        .with_jitter()
        .build()
}

fn check_status(origin: &str, response: &Response) -> Result<(), Failure> {
    let status = response.status();
    if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE {
        return Ok(());
    }
    let message = format!("{origin}: the server answered {status}");
    let may_pass = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        );
    if !may_pass {
        return Err(Failure::Final(HubError::Source(message)));
    }
    let header = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|v| v.to_str().ok());
    let seconds = header.and_then(|v| v.trim().parse().ok());
    Err(passing(message, seconds.map(Duration::from_secs)))
}

/// Whether a response carries the bytes from `start` on.
fn continues(response: &Response, start: u64) -> bool {
    let range = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|v| v.to_str().ok());
    response.status() == StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|r| r.starts_with(&format!("bytes {start}-")))
}

/// Opens a file for writing at `len`, cut there.
async fn open_at(path: &Path, len: u64) -> std::io::Result<File> {
    use tokio::io::AsyncSeekExt;
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(path)
        .await?;
    file.set_len(len).await?;
    file.seek(std::io::SeekFrom::Start(len)).await?;
    Ok(file)
}

/// An error with its causes, without the URL, which may carry credentials.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "the server did not answer in time".to_owned()
    } else if error.is_connect() {
        "cannot connect".to_owned()
    } else {
        "the connection broke".to_owned()
    };
    // The outer causes repeat the URL; the innermost one says what happened.
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    if let Some(cause) = cause {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    text
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|n| n.to_string_lossy().trim_end_matches(".part").to_owned())
        .unwrap_or_default()
}
