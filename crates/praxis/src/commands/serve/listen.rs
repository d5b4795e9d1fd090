//! Where the server listens: at a port, with or without TLS, at a socket of this machine, or at both.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use praxis_api::{Listening, Tls};
use praxis_core::Problem;
use tokio::net::TcpListener;

use super::problem;
use crate::app::{App, Project};
use crate::cli::Serve;
use crate::ui::{self, Failure};

/// The port where nothing else is said; where it is taken, the next free one.
const DEFAULT_PORT: u16 = 8787;

/// Ports tried from the default on.
const PORTS: u16 = 20;

/// What is listened at, and what clients call it.
pub(super) struct Places {
    pub(super) listening: Listening,
    pub(super) url: Option<String>,
    pub(super) socket: Option<PathBuf>,
}

/// Listens where the command line and `praxis.toml` say. What the command line says counts; its paths are relative to
/// the current folder, those of `praxis.toml` to the application's.
///
/// # Errors
/// A port or a socket that is taken, a certificate that cannot be used, or a port that other machines reach where there
/// is no key.
pub(super) async fn open(app: &App, args: &Serve, has_keys: bool) -> Result<Places, Failure> {
    let config = &app.project.config.server;
    let mut places = Places {
        listening: Listening {
            bounds: config.bounds(),
            ..Listening::default()
        },
        url: None,
        socket: None,
    };
    places.listening.tls = tls(app, args)?;
    let configured = config.socket.as_ref();
    let configured = configured.map(|path| app.project.root.join(path));
    let socket = args.socket.clone().or(configured);
    let host = args.host.or(config.host);
    let port = args.port.or(config.port);
    let has_port = host.is_some() || port.is_some() || places.listening.tls.is_some();
    if socket.is_none() || has_port {
        let host = host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        if !host.is_loopback() && !has_keys {
            return Err(open_to_all(host).into());
        }
        let listener = at_port(host, port).await?;
        let address = listener
            .local_addr()
            .map_err(|e| Failure::message(e.to_string()))?;
        let scheme = match places.listening.tls {
            Some(_) => "https",
            None => "http",
        };
        places.url = Some(format!("{scheme}://{address}"));
        places.listening.network = Some(listener);
    }
    if let Some(path) = socket {
        at_socket(&mut places, path).await?;
    }
    Ok(places)
}

pub(super) fn open_to_all(host: IpAddr) -> Problem {
    problem(
        "server.host",
        format!("{host} is reachable from other machines, and no key is set"),
        "make one with `praxis keys create NAME`, or set `api_key = \"env:PRAXIS_API_KEY\"` under [server] in \
         praxis.toml",
    )
}

/// TLS, where a certificate is named.
fn tls(app: &App, args: &Serve) -> Result<Option<Tls>, Failure> {
    let given = args.tls_cert.clone().zip(args.tls_key.clone());
    let Some(files) = given.or_else(|| configured_tls(&app.project)) else {
        return Ok(None);
    };
    let tls = with_files(files)?;
    if let Some(doubt) = tls.doubt() {
        ui::warn(doubt);
    }
    Ok(Some(tls))
}

/// The files of certificate and key that `praxis.toml` names.
pub(super) fn configured_tls(project: &Project) -> Option<(PathBuf, PathBuf)> {
    let (root, tls) = (&project.root, project.config.server.tls.as_ref()?);
    Some((root.join(&tls.certificate), root.join(&tls.key)))
}

/// TLS with a certificate and its key.
pub(super) fn with_files((certificate, key): (PathBuf, PathBuf)) -> Result<Tls, Problem> {
    Tls::open(certificate, key).map_err(|e| problem("server.tls", e.to_string(), e.help()))
}

async fn at_port(host: IpAddr, port: Option<u16>) -> Result<TcpListener, Failure> {
    if let Some(port) = port {
        return TcpListener::bind((host, port)).await.map_err(|e| {
            Failure::message(format!("cannot listen on {host}:{port}: {e}"))
                .with_help("choose another with --port, or leave it out to take the next free one")
        });
    }
    for port in DEFAULT_PORT..DEFAULT_PORT + PORTS {
        match TcpListener::bind((host, port)).await {
            Ok(listener) => return Ok(listener),
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(e) => {
                return Err(Failure::message(format!(
                    "cannot listen on {host}:{port}: {e}"
                )));
            }
        }
    }
    Err(Failure::message(format!(
        "the ports {DEFAULT_PORT} to {} are taken",
        DEFAULT_PORT + PORTS - 1
    ))
    .with_help("name a free one with --port"))
}

#[cfg(unix)]
async fn at_socket(places: &mut Places, path: PathBuf) -> Result<(), Failure> {
    use praxis_api::{Socket, SocketError};
    let bound = Socket::bind(&path).await;
    let socket = bound.map_err(|error| {
        let help = match error {
            SocketError::Served(_) => "stop that server, or choose another path with --socket",
            SocketError::NoSocket(_) => "choose another path with --socket, or move the file away",
            SocketError::Io { .. } => {
                "choose a path of less than 100 characters in a folder that this user may write to"
            }
        };
        Failure::message(error.to_string()).with_help(help)
    })?;
    places.listening.socket = Some(socket);
    places.socket = Some(path);
    Ok(())
}

#[cfg(not(unix))]
async fn at_socket(_: &mut Places, _: PathBuf) -> Result<(), Failure> {
    Err(Failure::message("this system has no Unix sockets")
        .with_help("leave out --socket and `socket` under [server], and take a port"))
}
