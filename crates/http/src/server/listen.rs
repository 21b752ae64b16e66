//! A router on a TCP listener, with the bounds that HTTP itself needs.
//!
//! HTTP/1.1 only: what speaks to wallets directly in production is a reverse proxy, and those speak HTTP/1.1 to what is behind
//! them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::rate::Peer;
use super::stall::StallGuard;

/// The pause after a failed accept, such as one for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a client for which there is no room may take to read so.
const TURN_AWAY: Duration = Duration::from_secs(1);
/// How many such clients are told at a time. The rest find the connection closed.
const MAX_TURN_AWAY: usize = 256;

/// What a connection may cost. The defaults suit a mint on a small machine.
#[derive(Debug, Clone)]
pub struct ListenConfig {
    /// Open connections at a time. One more is told 503 and closed.
    pub max_connections: usize,
    /// How long the headers of a request may take, from when the connection is open or the last answer is sent. So this is
    /// also how long an idle connection is kept.
    pub header_timeout: Duration,
    /// Size of a request's line and headers, in bytes.
    pub max_header_bytes: usize,
    /// Headers in a request.
    pub max_headers: usize,
    /// How long an answer may wait for the client to read on.
    pub write_stall: Duration,
    /// How long requests in flight may take to finish at shutdown.
    pub drain: Duration,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            header_timeout: Duration::from_secs(30),
            max_header_bytes: 16 * 1024,
            max_headers: 64,
            write_stall: Duration::from_secs(30),
            drain: Duration::from_secs(20),
        }
    }
}

/// Serves `router` on `listener` until `shutdown` completes; then takes no more connections and lets requests in flight
/// finish within [`ListenConfig::drain`]. True when all did.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: ListenConfig,
    shutdown: impl Future<Output = ()>,
) -> bool {
    let slots = Arc::new(Semaphore::new(config.max_connections));
    let porters = Arc::new(Semaphore::new(MAX_TURN_AWAY));
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
                        let (router, peer) = (TowerToHyperService::new(router.clone()), Peer(peer.ip()));
                        connections.spawn(connection(stream, peer, router, config.clone(), stopped.clone(), slot));
                    } else if let Ok(slot) = Arc::clone(&porters).try_acquire_owned() {
                        connections.spawn(turn_away(stream, slot));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    // Nobody listens any more when there is no connection.
    let _ = stop.send(());
    let all = async { while connections.join_next().await.is_some() {} };
    tokio::time::timeout(config.drain, all).await.is_ok()
}

/// Serves one connection to its end.
async fn connection(
    stream: TcpStream,
    peer: Peer,
    router: TowerToHyperService<Router>,
    config: ListenConfig,
    mut stopped: watch::Receiver<()>,
    _slot: OwnedSemaphorePermit,
) {
    // Only speed is lost when this fails.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(StallGuard::new(stream, config.write_stall));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_header_size(config.max_header_bytes)
        .max_headers(config.max_headers);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let mut connection = pin!(builder.serve_connection(io, service).with_upgrades());
    let served = tokio::select! {
        served = connection.as_mut() => served,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = served {
        // Clients vanish and strangers send garbage: no matter for the operator.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Tells a client that there is no room for it. What it sends is read for a moment, since a connection closed on unread data
/// takes the answer with it.
async fn turn_away(mut stream: TcpStream, _slot: OwnedSemaphorePermit) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
        content-type: application/json\r\ncontent-length: 61\r\nretry-after: 1\r\n\
        access-control-allow-origin: *\r\nconnection: close\r\n\r\n\
        {\"detail\":\"the mint is busy, try again shortly\",\"code\":50000}";
    let tell = async {
        stream.write_all(ANSWER).await?;
        stream.shutdown().await?;
        let mut sink = [0; 1024];
        while stream.read(&mut sink).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whether it got the answer is its own matter.
    let _ = tokio::time::timeout(TURN_AWAY, tell).await;
}
