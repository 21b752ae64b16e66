//! Limits on how fast one client may ask, on a real socket.

use super::super::rate::RateConfig;
use super::world::Served;
use super::*;

const QUOTE: &str = r#"{"amount": 1, "unit": "sat"}"#;

/// Two quotes at once, and then one in 20 seconds: a test that is slower than that has other troubles.
fn slow(trusted_proxies: &[&str]) -> RateConfig {
    let trusted_proxies = trusted_proxies.iter().map(|text| text.parse().expect("a network")).collect();
    RateConfig { per_second: 1, burst: 42, trusted_proxies }
}

async fn quote_from(served: &Served, client: &str) -> u16 {
    let headers = format!("content-type: application/json\r\nx-forwarded-for: {client}\r\n");
    request(served.address, "POST", "/v1/mint/quote/bolt11", &headers, QUOTE.as_bytes()).await.status
}

#[tokio::test]
async fn a_client_that_asks_too_fast_is_told_when_to_come_back() {
    let served = Served::with_rate(slow(&[])).await;
    for _ in 0..2 {
        assert_eq!(post(served.address, "/v1/mint/quote/bolt11", QUOTE).await.status, 200);
    }
    let reply = post(served.address, "/v1/mint/quote/bolt11", QUOTE).await;
    assert_eq!(reply.refused(429), 10_000);
    let wait: u32 = reply.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=21).contains(&wait), "{wait}");
    // What is cheap is still to be had.
    assert_eq!(get(served.address, "/v1/keysets").await.status, 200);
}

#[tokio::test]
async fn a_client_behind_a_trusted_proxy_has_points_of_its_own() {
    let served = Served::with_rate(slow(&["127.0.0.0/8"])).await;
    for client in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "203.0.113.9, 192.0.2.2"] {
        assert_eq!(quote_from(&served, client).await, 200, "{client}");
    }
    for client in ["192.0.2.1", "198.51.100.1, 192.0.2.2"] {
        assert_eq!(quote_from(&served, client).await, 429, "{client}");
    }
}

#[tokio::test]
async fn a_stranger_cannot_name_himself_anew() {
    let served = Served::with_rate(slow(&["10.0.0.0/8"])).await;
    let mut statuses = Vec::new();
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        statuses.push(quote_from(&served, client).await);
    }
    assert_eq!(statuses, [200, 200, 429]);
}
