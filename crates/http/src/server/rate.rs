//! How fast one client may ask.
//!
//! Every request costs points, by what it costs the mint: opening a quote asks the Lightning node, looking at a state does not. A client has so
//! many points at once and gets so many back each second; one who has none left is told 429 and when to come back. Off unless configured.
//!
//! A client is an IPv4 address or a network of IPv6 addresses: that of the connection, unless it comes from a proxy that the operator
//! trusts. Then it is the last address in `X-Forwarded-For` that is not itself such a proxy. Nobody else's word on addresses is read, nor is
//! any other header: proxies add to the one that they know and pass the others on as they came.
//!
//! The table of clients is bounded. Who has all points back is forgotten, which changes nothing. When nobody can be forgotten, clients who are
//! not in the table share one budget: a crowd of addresses gains nothing by pushing others out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;

use super::answer::Refusal;
use super::body;

/// The header of proxies, by which each appends the address it was asked from.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Bits of an IPv6 address that a client cannot choose: providers hand out at least a /64.
const IPV6_CLIENT_BITS: u8 = 64;

/// Clients that are remembered at a time.
const MAX_CLIENTS: usize = 100_000;

/// How fast one client may ask.
#[derive(Debug, Clone)]
pub struct RateConfig {
    /// Points that a client gets back each second; at least 1.
    pub per_second: u32,
    /// Points that a client has at once; at least [`RateConfig::MOST_FOR_ONE`].
    pub burst: u32,
    /// Proxies whose word on the client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
}

impl RateConfig {
    /// Points that the dearest request costs.
    pub const MOST_FOR_ONE: u32 = 20;
}

/// Bytes of a request that names many things for which it costs a point more: some sixty outputs, or twice as many Ys.
const BYTES_PER_POINT: u64 = 8 * 1024;

/// What a request costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// Answered from memory, or by one read of a row.
    Look,
    /// A read of as many rows as the request names.
    Search,
    /// Curve arithmetic and a commit.
    Money,
    /// A question to the Lightning node and a row that stays.
    Quote,
}

impl Cost {
    /// The points of a request whose body has so many bytes.
    fn points(self, body_bytes: u64) -> u32 {
        match self {
            Self::Look => 1,
            Self::Search => {
                let more = u32::try_from(body_bytes / BYTES_PER_POINT).unwrap_or(u32::MAX);
                more.saturating_add(2).min(RateConfig::MOST_FOR_ONE)
            }
            Self::Money => 5,
            Self::Quote => RateConfig::MOST_FOR_ONE,
        }
    }
}

/// How long the body says that it is. One that does not say so may be as long as any.
fn body_bytes(headers: &HeaderMap) -> u64 {
    let Some(length) = headers.get(CONTENT_LENGTH) else { return u64::MAX };
    length.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

/// The address at the other end of the connection, as the listener knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Who has asked how much.
#[derive(Debug)]
pub(super) struct Limiter {
    config: RateConfig,
    max_clients: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// When each client will have all points back. A client who has is as one who never came.
    clients: HashMap<IpAddr, Instant>,
    /// The same for those who have no place of their own.
    crowd: Option<Instant>,
    swept: Option<Instant>,
}

impl Limiter {
    pub(super) fn new(config: RateConfig) -> Self {
        Self { config, max_clients: MAX_CLIENTS, table: Mutex::default() }
    }

    /// Takes the points of a request, or says how long the client has to wait for them.
    fn take(&self, client: IpAddr, points: u32, now: Instant) -> Result<(), Duration> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let has_place = table.clients.contains_key(&client) || table.has_room(self.max_clients, now);
        let full_at = if has_place { table.clients.get(&client).copied() } else { table.crowd };
        let full_at = full_at.map_or(now, |at| at.max(now)) + self.time_for(points);
        // With the points of this request gone, at most the whole burst may be missing.
        let wait = full_at.saturating_duration_since(now).saturating_sub(self.time_for(self.config.burst));
        if !wait.is_zero() {
            return Err(wait);
        }
        if has_place {
            table.clients.insert(client, full_at);
        } else {
            table.crowd = Some(full_at);
        }
        Ok(())
    }

    /// In what time so many points come back.
    fn time_for(&self, points: u32) -> Duration {
        Duration::from_secs(1) * points / self.config.per_second.max(1)
    }
}

impl Table {
    /// Whether a client can be added. A full table is swept at most once a second.
    fn has_room(&mut self, max_clients: usize, now: Instant) -> bool {
        let is_due = self.swept.is_none_or(|at| now.saturating_duration_since(at) >= Duration::from_secs(1));
        if self.clients.len() >= max_clients && is_due {
            self.clients.retain(|_, full_at| *full_at > now);
            self.swept = Some(now);
        }
        self.clients.len() < max_clients
    }
}

/// What one client has left, for whatever it asks on a connection that stays.
#[derive(Debug, Clone)]
pub(super) struct Purse {
    limiter: Arc<Limiter>,
    client: IpAddr,
}

impl Purse {
    /// Takes the points of a message of so many bytes; whether there were enough.
    pub(super) fn take(&self, cost: Cost, bytes: usize) -> bool {
        let points = cost.points(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.limiter.take(self.client, points, Instant::now()).is_ok()
    }
}

/// Lets a request through that its client has the points for.
pub(super) async fn limit(
    State((limiter, cost, max_body_bytes)): State<(Arc<Limiter>, Cost, usize)>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() else {
        // Not from our listener: whoever embeds the router limits what it lets in.
        return next.run(request).await;
    };
    let client = network_of(client(peer, request.headers(), &limiter.config.trusted_proxies));
    match limiter.take(client, cost.points(body_bytes(request.headers())), Instant::now()) {
        Ok(()) => {
            request.extensions_mut().insert(Purse { limiter, client });
            next.run(request).await
        }
        Err(wait) => {
            let (parts, body) = request.into_parts();
            body::linger(&parts.headers, body, max_body_bytes).await;
            let secs = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            let refusal = Refusal::malformed(StatusCode::TOO_MANY_REQUESTS, "too many requests, come back later");
            refusal.after(secs).into_response()
        }
    }
}

/// The client's address: the first one from the right, beginning with the connection's, that is no trusted proxy's.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut client = peer.to_canonical();
    // As bytes: a value that is no text holds the proxy's word after the client's, and must not be passed over whole.
    let named: Vec<&[u8]> = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes).collect();
    let mut hops = named.iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b','));
    while is_trusted(client) {
        // What is no address tells nothing of what stands before it.
        let hop = hops.next().and_then(|hop| std::str::from_utf8(hop).ok());
        let Some(hop) = hop.and_then(|hop| hop.trim().parse::<IpAddr>().ok()) else { break };
        client = hop.to_canonical();
    }
    client
}

/// The part of an address that stands for the client.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - IPV6_CLIENT_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn limiter(max_clients: usize) -> Limiter {
        let config = RateConfig { per_second: 10, burst: 20, trusted_proxies: Vec::new() };
        Limiter { max_clients, ..Limiter::new(config) }
    }

    #[test]
    fn points_are_used_up_and_come_back() {
        let (limiter, start) = (limiter(10), Instant::now());
        let (one, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        assert_eq!(limiter.take(one, Cost::Quote.points(0), start), Ok(()));
        assert_eq!(limiter.take(one, Cost::Look.points(0), start), Err(Duration::from_millis(100)));
        assert_eq!(limiter.take(other, Cost::Quote.points(0), start), Ok(()), "another client has its own");
        let later = start + Duration::from_millis(100);
        assert_eq!(limiter.take(one, Cost::Look.points(0), later), Ok(()));
        assert_eq!(limiter.take(one, Cost::Money.points(0), later), Err(Duration::from_millis(500)));
        assert_eq!(
            limiter.take(one, Cost::Quote.points(0), start + Duration::from_mins(1)),
            Ok(()),
            "no more than the burst"
        );
        assert!(limiter.take(one, Cost::Look.points(0), start + Duration::from_mins(1)).is_err());
    }

    #[test]
    fn a_search_costs_by_its_size() {
        let of_length = |text: &str| {
            let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_str(text).expect("a value"))]);
            Cost::Search.points(body_bytes(&headers))
        };
        for (length, points) in [("0", 2), ("8191", 2), ("8192", 3), ("70000", 10), ("2097152", 20), ("x", 20)] {
            assert_eq!(of_length(length), points, "{length}");
        }
        assert_eq!(
            Cost::Search.points(body_bytes(&HeaderMap::new())),
            RateConfig::MOST_FOR_ONE,
            "it may be any length"
        );
        assert_eq!(Cost::Money.points(1 << 20), Cost::Money.points(0));
    }

    #[test]
    fn a_crowd_pushes_nobody_out() {
        let (limiter, start) = (limiter(2), Instant::now());
        for name in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            assert_eq!(limiter.take(ip(name), Cost::Quote.points(0), start), Ok(()), "{name}");
        }
        assert!(limiter.take(ip("192.0.2.4"), Cost::Look.points(0), start).is_err(), "it shares with the third");
        assert!(limiter.take(ip("192.0.2.1"), Cost::Look.points(0), start).is_err(), "it is still known");
        let later = start + Duration::from_secs(5);
        assert_eq!(
            limiter.take(ip("192.0.2.4"), Cost::Quote.points(0), later),
            Ok(()),
            "the others have all back and are forgotten"
        );
        assert_eq!(limiter.table.lock().expect("no panic").clients.len(), 1);
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().expect("a network"), "::1/128".parse().expect("a network")];
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, "198.51.100.7, 203.0.113.5".parse().expect("a value"));
        headers.append(FORWARDED_FOR, "10.1.1.1".parse().expect("a value"));
        let client = |peer| client(ip(peer), &headers, &trusted).to_string();
        assert_eq!(client("192.0.2.1"), "192.0.2.1", "a stranger's word");
        assert_eq!(client("10.0.0.1"), "203.0.113.5", "what the stranger behind the proxies claims is not read");
        assert_eq!(client("::1"), "203.0.113.5");
        assert_eq!(client("::ffff:10.0.0.1"), "203.0.113.5", "written as IPv6");
    }

    #[test]
    fn a_proxy_that_names_nobody_is_the_client() {
        let trusted = vec!["10.0.0.0/8".parse().expect("a network")];
        let mut headers = HeaderMap::new();
        assert_eq!(client(ip("10.0.0.1"), &headers, &trusted), ip("10.0.0.1"));
        headers.append(FORWARDED_FOR, "192.0.2.1, unknown".parse().expect("a value"));
        assert_eq!(client(ip("10.0.0.1"), &headers, &trusted), ip("10.0.0.1"));
    }

    #[test]
    fn bytes_that_are_no_text_hide_nobody() {
        let trusted = vec!["10.0.0.0/8".parse().expect("a network")];
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, "198.51.100.7".parse().expect("a value"));
        headers.append(FORWARDED_FOR, HeaderValue::from_bytes(b"\xff, 203.0.113.5").expect("a value"));
        assert_eq!(client(ip("10.0.0.1"), &headers, &trusted), ip("203.0.113.5"));
    }

    #[test]
    fn a_client_has_a_network_of_ipv6_addresses() {
        assert_eq!(network_of(ip("2001:db8:1:2:3:4:5:6")), network_of(ip("2001:db8:1:2:ffff::1")));
        assert_ne!(network_of(ip("2001:db8:1:2::1")), network_of(ip("2001:db8:1:3::1")));
    }
}
