//! What clients of a real port and a real socket get, and that connections end where they should.

use std::convert::Infallible;
use std::path::Path;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures::stream;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

const FIRST: (&str, &str) = (
    include_str!("../../tests/fixtures/tls/first.pem"),
    include_str!("../../tests/fixtures/tls/first.key"),
);
const SECOND: (&str, &str) = (
    include_str!("../../tests/fixtures/tls/second.pem"),
    include_str!("../../tests/fixtures/tls/second.key"),
);

/// What the endless answer is made of.
static PIECE: [u8; 64 << 10] = [0; 64 << 10];

/// A server, and what its answers tell of themselves.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    /// `/slow` has begun.
    begun: Arc<Notify>,
    /// Lets `/slow` end.
    go: Arc<Notify>,
    /// An answer of `/endless` was given up.
    gone: mpsc::UnboundedReceiver<()>,
}

impl Running {
    /// Stops the server.
    fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// Tells that it is dropped.
struct Told(mpsc::UnboundedSender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

async fn start(mut listening: Listening) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    listening.network = Some(listener);
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, gone) = mpsc::unbounded_channel();
    let (begins, goes) = (Arc::clone(&begun), Arc::clone(&go));
    let router = Router::new()
        .route(
            "/peer",
            get(|Extension(peer): Extension<Peer>| async move { format!("{peer:?}") }),
        )
        .route(
            "/slow",
            get(move || {
                let (begins, goes) = (Arc::clone(&begins), Arc::clone(&goes));
                async move {
                    begins.notify_one();
                    goes.notified().await;
                    "whole"
                }
            }),
        )
        .route(
            "/endless",
            get(move || {
                let told = Told(tell.clone());
                async move {
                    Body::from_stream(stream::repeat_with(move || {
                        let _ = &told;
                        Ok::<_, Infallible>(Bytes::from_static(&PIECE))
                    }))
                }
            }),
        );
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let stop = async move { drop(stopped.await) };
        serve(listening, router, stop).await.unwrap();
    });
    Running {
        address,
        stop: Some(stop),
        task,
        begun,
        go,
        gone,
    }
}

/// Bounds that a test does not wait for, but the one that it is about.
fn bounds() -> Bounds {
    let hour = Duration::from_secs(3600);
    Bounds {
        headers: hour,
        keep_alive: hour,
        write: hour,
        drain: hour,
        ..Bounds::default()
    }
}

fn bounded(bounds: Bounds) -> Listening {
    Listening {
        bounds,
        ..Listening::default()
    }
}

const SOON: Duration = Duration::from_millis(200);

async fn ends<T>(future: impl Future<Output = T>) -> T {
    let most = Duration::from_secs(20);
    tokio::time::timeout(most, future)
        .await
        .expect("it does not end")
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), head: &str) {
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// All that comes until the connection ends, however it ends.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    let _ = ends(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The answer to a request that is the only one of its connection.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nhost: praxis\r\nconnection: close\r\n\r\n");
    send(stream, &head).await;
    rest(stream).await
}

#[tokio::test]
async fn a_client_that_never_ends_its_headers_is_cut_off() {
    let soon = Bounds {
        headers: SOON,
        ..bounds()
    };
    let server = start(bounded(soon)).await;
    let mut slow = server.connect().await;
    send(&mut slow, "GET /peer HTTP/1.1\r\nhost: x\r\nx-").await;
    assert_eq!(rest(&mut slow).await, "");
}

#[tokio::test]
async fn a_connection_that_idles_is_closed() {
    let soon = Bounds {
        keep_alive: SOON,
        ..bounds()
    };
    let server = start(bounded(soon)).await;
    let mut client = server.connect().await;
    send(&mut client, "GET /peer HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("Network(127.0.0.1:"), "{answer}");
}

#[tokio::test]
async fn headers_have_a_bound() {
    let server = start(bounded(bounds())).await;
    let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    // As many bytes as are read: what nobody reads would tear down the connection with its answer.
    let begin = "GET /peer HTTP/1.1\r\nx-long: ";
    let long = format!("{begin}{}", "a".repeat(MAX_HEAD - begin.len()));
    for head in [format!("GET /peer HTTP/1.1\r\n{many}\r\n"), long] {
        let mut client = server.connect().await;
        send(&mut client, &head).await;
        let answer = rest(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut_off() {
    let soon = Bounds {
        write: SOON,
        ..bounds()
    };
    let mut server = start(bounded(soon)).await;
    let mut client = server.connect().await;
    send(&mut client, "GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(ends(server.gone.recv()).await, Some(()));
    drop(client);
}

#[tokio::test]
async fn an_answer_that_runs_is_finished_after_the_stop() {
    let mut server = start(bounded(bounds())).await;
    let mut client = server.connect().await;
    send(&mut client, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    ends(server.begun.notified()).await;
    // A connection that has asked nothing does not keep the server.
    let _silent = server.connect().await;
    server.stop();
    // Nobody is let in while the answer runs.
    ends(async { while TcpStream::connect(server.address).await.is_ok() {} }).await;
    server.go.notify_one();
    let answer = rest(&mut client).await;
    assert!(answer.ends_with("whole"), "{answer}");
    ends(server.task).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_cut_off_after_the_stop() {
    let soon = Bounds {
        drain: SOON,
        ..bounds()
    };
    let mut server = start(bounded(soon)).await;
    let mut client = server.connect().await;
    send(&mut client, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    ends(server.begun.notified()).await;
    server.stop();
    ends(server.task).await.unwrap();
    assert_eq!(rest(&mut client).await, "");
}

/// Replaces a file in one step, as who renews certificates does.
fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// The certificate and key of a folder, looked at anew for each handshake.
fn secured(dir: &Path, pair: (&str, &str), bounds: Bounds) -> Listening {
    let (certificate, key) = (dir.join("own.pem"), dir.join("own.key"));
    put(&certificate, pair.0);
    put(&key, pair.1);
    Listening {
        tls: Some(Tls::believing(certificate, key, Duration::ZERO).unwrap()),
        ..bounded(bounds)
    }
}

/// A client that trusts one certificate.
async fn handshake(
    server: &Running,
    trusted: (&str, &str),
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(trusted.0.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    ends(connector.connect(name, server.connect().await)).await
}

#[tokio::test]
async fn answers_go_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(secured(dir.path(), FIRST, bounds())).await;
    let mut client = handshake(&server, FIRST).await.unwrap();
    let (_, session) = client.get_ref();
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    let answer = ask(&mut client, "/peer").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    assert!(handshake(&server, SECOND).await.is_err());
    let mut plain = server.connect().await;
    let answer = ask(&mut plain, "/peer").await;
    assert!(!answer.contains("200"), "{answer}");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let soon = Bounds {
        headers: SOON,
        ..bounds()
    };
    let server = start(secured(dir.path(), FIRST, soon)).await;
    let mut silent = server.connect().await;
    assert_eq!(rest(&mut silent).await, "");
}

#[tokio::test]
async fn a_handshake_that_runs_does_not_keep_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = start(secured(dir.path(), FIRST, bounds())).await;
    let _silent = server.connect().await;
    server.stop();
    ends(server.task).await.unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(secured(dir.path(), FIRST, bounds())).await;
    let (certificate, key) = (dir.path().join("own.pem"), dir.path().join("own.key"));
    assert!(handshake(&server, FIRST).await.is_ok());

    put(&certificate, "half a certificate");
    assert!(handshake(&server, FIRST).await.is_ok());
    // The certificate of the next key, before that is there.
    put(&certificate, SECOND.0);
    assert!(handshake(&server, FIRST).await.is_ok());
    std::fs::remove_file(&key).unwrap();
    assert!(handshake(&server, FIRST).await.is_ok());

    put(&key, SECOND.1);
    assert!(handshake(&server, SECOND).await.is_ok());
    assert!(handshake(&server, FIRST).await.is_err());
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_is_served_until_the_server_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("praxis.sock");
    let socket = Socket::bind(&path).await.unwrap();
    let mut server = start(Listening {
        socket: Some(socket),
        ..bounded(bounds())
    })
    .await;
    let mut client = tokio::net::UnixStream::connect(&path).await.unwrap();
    let answer = ask(&mut client, "/peer").await;
    assert!(answer.ends_with("Socket"), "{answer}");
    server.stop();
    ends(server.task).await.unwrap();
    assert!(!path.exists());
}
