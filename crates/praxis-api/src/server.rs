//! Connections: accepted up to a bound, over the network with or without TLS and at a socket of this machine; cut off
//! where headers do not come or answers are not taken; drained at the end.
//!
//! `axum::serve` sets no limits, so the loop is our own over hyper's connections. Left out: HTTP/2, which a proxy in
//! front may speak.

mod addresses;
mod patient;
#[cfg(unix)]
mod socket;
mod tls;

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use self::addresses::Addresses;
use self::patient::Patient;
#[cfg(unix)]
pub use self::socket::{Socket, SocketError};
pub use self::tls::{Tls, TlsError};

/// The most bytes of a request's line and headers together; above them, and above 100 headers, the answer is 431.
const MAX_HEAD: usize = 64 << 10;

/// How long to wait where no connection can be accepted (no file descriptors left).
const EXHAUSTED: Duration = Duration::from_millis(200);

/// How long connections that are cut off may take to end their calls.
const LAST: Duration = Duration::from_secs(2);

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at a time; more wait in the listener's backlog.
    pub connections: usize,
    /// Connections of one address at a time, where it is not this machine's; more are closed.
    pub per_address: usize,
    /// How long the handshake of TLS may take, and then the headers of the first request.
    pub headers: Duration,
    /// How long a connection may wait for its next request, the headers of that included.
    pub keep_alive: Duration,
    /// How long a client may take nothing of its answer.
    pub write: Duration,
    /// How long running answers may go on after the server was asked to stop.
    pub drain: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 1024,
            per_address: 256,
            headers: Duration::from_secs(30),
            // Longer than the minute after which load balancers give up a connection that idles: who closes it first
            // must not be the one who is just sent a request.
            keep_alive: Duration::from_secs(75),
            write: Duration::from_secs(60),
            drain: Duration::from_secs(20),
        }
    }
}

/// Where a server listens, and its bounds.
#[derive(Default)]
pub struct Listening {
    /// The port, if there is one.
    pub network: Option<TcpListener>,
    /// TLS, which is spoken at the port alone.
    pub tls: Option<Tls>,
    /// The socket, if there is one.
    #[cfg(unix)]
    pub socket: Option<Socket>,
    /// What connections may take.
    pub bounds: Bounds,
}

impl From<TcpListener> for Listening {
    fn from(listener: TcpListener) -> Self {
        Self {
            network: Some(listener),
            ..Self::default()
        }
    }
}

/// Where a request comes from; each has it among its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// An address of the network.
    Network(SocketAddr),
    /// The socket, where no browser can ask.
    Socket,
}

/// Serves HTTP/1.1 until `stop` resolves, then lets running answers end, for a while.
///
/// # Errors
/// None so far: a listener that fails for the moment is tried again.
pub async fn serve(
    listening: impl Into<Listening>,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let listening: Listening = listening.into();
    let server = Server::new(router, listening.bounds);
    #[cfg(unix)]
    let local = server.local(listening.socket);
    #[cfg(not(unix))]
    let local = pending::<()>();
    tokio::select! {
        () = stop => {}
        () = server.network(listening.network, listening.tls) => {}
        () = local => {}
    }
    // From here on, nobody listens any more.
    server.drain().await;
    Ok(())
}

struct Server {
    router: Router,
    http: http1::Builder,
    bounds: Bounds,
    places: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    running: GracefulShutdown,
    /// No connection begins any more.
    closing: CancellationToken,
    /// No connection goes on any more.
    cut: CancellationToken,
}

impl Server {
    fn new(router: Router, bounds: Bounds) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(bounds.keep_alive)
            .max_header_size(MAX_HEAD);
        Self {
            router,
            http,
            bounds,
            places: Arc::new(Semaphore::new(bounds.connections)),
            addresses: Arc::new(Addresses::new(bounds.per_address)),
            running: GracefulShutdown::new(),
            closing: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Accepts connections of the network, for ever.
    async fn network(&self, listener: Option<TcpListener>, tls: Option<Tls>) {
        let Some(listener) = listener else {
            return pending().await;
        };
        loop {
            let place = self.place().await;
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    exhausted(&error).await;
                    continue;
                }
            };
            let Some(counted) = self.addresses.enter(address.ip()) else {
                continue;
            };
            // Answers are streamed in small pieces, which must not wait for each other.
            let _ = stream.set_nodelay(true);
            let stream = Patient::new(stream, self.bounds.write);
            let connection = self.connection(Peer::Network(address));
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    Some(tls) => connection.answer_secured(stream, &tls).await,
                    None => connection.answer(stream).await,
                }
                drop((place, counted));
            });
        }
    }

    /// Accepts connections of the socket, for ever.
    #[cfg(unix)]
    async fn local(&self, socket: Option<Socket>) {
        let Some(socket) = socket else {
            return pending().await;
        };
        loop {
            let place = self.place().await;
            let stream = match socket.accept().await {
                Ok(accepted) => Patient::new(accepted, self.bounds.write),
                Err(error) => {
                    exhausted(&error).await;
                    continue;
                }
            };
            let connection = self.connection(Peer::Socket);
            tokio::spawn(async move {
                connection.answer(stream).await;
                drop(place);
            });
        }
    }

    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    fn connection(&self, peer: Peer) -> Connection {
        Connection {
            service: TowerToHyperService::new(self.router.clone()),
            http: self.http.clone(),
            watcher: self.running.watcher(),
            peer,
            headers: self.bounds.headers,
            closing: self.closing.clone(),
            cut: self.cut.clone(),
        }
    }

    /// Lets running answers end, for a while, and cuts off those that do not.
    async fn drain(self) {
        let Self {
            running,
            closing,
            cut,
            bounds,
            ..
        } = self;
        closing.cancel();
        let mut ended = std::pin::pin!(running.shutdown());
        if tokio::time::timeout(bounds.drain, ended.as_mut())
            .await
            .is_err()
        {
            tracing::warn!("answers that still run are cut off");
            cut.cancel();
            let _ = tokio::time::timeout(LAST, ended).await;
        }
    }
}

async fn exhausted(error: &std::io::Error) {
    tracing::warn!(%error, "a connection was not accepted");
    tokio::time::sleep(EXHAUSTED).await;
}

/// What one connection needs of the server.
struct Connection {
    service: TowerToHyperService<Router>,
    http: http1::Builder,
    /// The server does not end before this has gone.
    watcher: Watcher,
    peer: Peer,
    headers: Duration,
    closing: CancellationToken,
    cut: CancellationToken,
}

impl Connection {
    /// Answers what is asked after a handshake.
    async fn answer_secured<S>(self, stream: S, tls: &Tls)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let handshake = tokio::time::timeout(self.headers, tls.accept(stream));
        let accepted = tokio::select! {
            accepted = handshake => accepted,
            () = self.closing.cancelled() => return,
        };
        match accepted {
            Ok(Ok(stream)) => self.answer(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
            Err(_) => tracing::debug!("a handshake took too long"),
        }
    }

    /// Answers what is asked.
    async fn answer<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Self {
            service,
            http,
            watcher,
            peer,
            headers,
            cut,
            ..
        } = self;
        let asked = Arc::new(AtomicBool::new(false));
        let asks = Arc::clone(&asked);
        let service = service_fn(move |mut request: Request<Incoming>| {
            asks.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(peer);
            service.call(request)
        });
        let connection = watcher.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            // A connection that breaks off is the client's affair.
            _ = connection => {}
            () = silence(&asked, headers) => {}
            () = cut.cancelled() => {}
        }
    }
}

/// Resolves where nothing was asked in this time.
async fn silence(asked: &AtomicBool, most: Duration) {
    tokio::time::sleep(most).await;
    if asked.load(Ordering::Relaxed) {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
