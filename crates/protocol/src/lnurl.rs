//! Lightning addresses and what is behind them: who can be paid, and how to ask for an invoice (LUD-06, LUD-12, LUD-16, LUD-17).
//!
//! An address leads to a server that says how much it takes and, asked again, gives an invoice. Neither is trusted: see
//! [`PayParameters::check`], and what a wallet does with the invoice.
//!
//! ```
//! use hazel_protocol::PayAddress;
//!
//! let address: PayAddress = "alice@example.com".parse()?;
//! assert_eq!(address.url().as_str(), "https://example.com/.well-known/lnurlp/alice");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::str::FromStr;

use bitcoin::hashes::{Hash, sha256};
use serde::Deserialize;

use crate::bech32::{self, Bech32, Bech32Error};
use crate::limits::{MAX_METADATA_BYTES, MAX_REQUEST_BYTES, MAX_URL_BYTES};
use crate::text::{bounded, bounded_option};
use crate::url::{EndpointUrl, MintUrlError};

/// Who is to be paid: `user@host`, `lnurl1...`, or `lnurlp://...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayAddress {
    url: EndpointUrl,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayAddressError {
    /// None of the three forms.
    #[error("not a lightning address")]
    Form,
    /// The name before the `@` is empty or holds what has no place there.
    #[error("the name in the address is not one")]
    Name,
    /// A mistyped `lnurl1...`.
    #[error(transparent)]
    Bech32(#[from] Bech32Error),
    /// What stands behind it is no URL.
    #[error("the address leads nowhere: {0}")]
    Url(#[from] MintUrlError),
}

impl PayAddress {
    /// The server to ask.
    pub const fn url(&self) -> &EndpointUrl {
        &self.url
    }
}

impl FromStr for PayAddress {
    type Err = PayAddressError;

    /// Reads any of the forms, with blanks around it and perhaps `lightning:` before it.
    fn from_str(text: &str) -> Result<Self, PayAddressError> {
        let text = text.trim();
        let text = strip_prefix(text, "lightning:").unwrap_or(text);
        if text.len() > 2 * MAX_URL_BYTES {
            return Err(PayAddressError::Form);
        }
        let url = if let Some(place) = strip_prefix(text, "lnurlp://") {
            format!("{}://{place}", scheme(place))
        } else if strip_prefix(text, "lnurl1").is_some() {
            let bytes = bech32::decode::<Bech32>(text, "lnurl")?;
            String::from_utf8(bytes).map_err(|_| PayAddressError::Form)?
        } else {
            let (name, host) = text.split_once('@').ok_or(PayAddressError::Form)?;
            let name = name.to_ascii_lowercase();
            let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.+".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_name) {
                return Err(PayAddressError::Name);
            }
            if host.contains(['/', '?']) {
                return Err(PayAddressError::Form);
            }
            format!("{}://{host}/.well-known/lnurlp/{name}", scheme(host))
        };
        Ok(Self { url: url.parse()? })
    }
}

/// Onion services encrypt below HTTP, and this machine is for tests: whoever fetches decides whether it goes there.
fn scheme(place: &str) -> &'static str {
    let host = place.split(['/', '?']).next().unwrap_or_default().split(':').next().unwrap_or_default();
    let is_onion = host.to_ascii_lowercase().ends_with(".onion");
    if is_onion || host == "localhost" || host == "127.0.0.1" { "http" } else { "https" }
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// What the server behind an address says about paying it. Nothing but structure is checked by reading it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PayParameters {
    /// Where to ask for an invoice.
    pub callback: EndpointUrl,
    /// The least that is taken, in millisatoshi.
    #[serde(rename = "minSendable")]
    pub min_msat: u64,
    /// The most that is taken, in millisatoshi.
    #[serde(rename = "maxSendable")]
    pub max_msat: u64,
    /// JSON in a string: pairs of a kind and a text. Its bytes are hashed into the invoice.
    #[serde(deserialize_with = "bounded::<_, MAX_METADATA_BYTES>")]
    pub metadata: String,
    /// `payRequest`.
    pub tag: String,
    /// How long a comment may be, in characters (LUD-12).
    #[serde(default, rename = "commentAllowed")]
    pub comment_chars: Option<u64>,
}

/// Why nobody can be paid by what a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayParametersError {
    /// It is for something else than paying.
    #[error("it is not for paying")]
    Tag,
    /// No amount is at once large and small enough.
    #[error("it takes no amount at all")]
    Range,
    /// The description is not a list of pairs, or says nothing for people.
    #[error("its description is malformed")]
    Metadata,
}

impl PayParameters {
    /// Whether they make sense.
    ///
    /// # Errors
    /// [`PayParametersError`].
    pub fn check(&self) -> Result<(), PayParametersError> {
        if self.tag != "payRequest" {
            return Err(PayParametersError::Tag);
        }
        if self.min_msat == 0 || self.min_msat > self.max_msat {
            return Err(PayParametersError::Range);
        }
        self.description().map(drop).ok_or(PayParametersError::Metadata)
    }

    /// The text for people, as the server wrote it: show it through [`neutralise`](crate::neutralise). None if there is none.
    pub fn description(&self) -> Option<String> {
        let entries: Vec<Vec<serde_json::Value>> = crate::json::from_json(self.metadata.as_bytes()).ok()?;
        let mut texts = entries.iter().filter(|entry| entry.first().is_some_and(|kind| kind == "text/plain"));
        texts.next()?.get(1)?.as_str().map(str::to_owned)
    }

    /// What an invoice has to commit to: the SHA-256 of the metadata.
    pub fn hash(&self) -> [u8; 32] {
        sha256::Hash::hash(self.metadata.as_bytes()).to_byte_array()
    }
}

/// What the callback answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PayInvoice {
    /// The BOLT11 invoice.
    #[serde(rename = "pr", deserialize_with = "bounded::<_, MAX_REQUEST_BYTES>")]
    pub invoice: String,
}

/// What a server says instead of an answer (LUD-06).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PayRefusal {
    /// `ERROR`.
    pub status: String,
    /// Why, as the server wrote it: show it through [`neutralise`](crate::neutralise).
    #[serde(default, deserialize_with = "reason")]
    pub reason: Option<String>,
}

fn reason<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    bounded_option::<D, { crate::limits::MAX_ERROR_DETAIL_BYTES }>(d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<String, PayAddressError> {
        text.parse::<PayAddress>().map(|address| address.url().to_string())
    }

    /// The example of LUD-01.
    const LNURL: &str = "LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKXEFCV5MKVV34X5EKZD3EV56NYD3HXQURZEPEXEJXXEPNXSCRVWFNV9NXZCN9XQ6XYEFHVGCXXCMYXYMNSERXFQ5FNS";

    #[test]
    fn every_form_leads_to_its_server() {
        for (text, expected) in [
            ("alice@example.com", "https://example.com/.well-known/lnurlp/alice"),
            (" lightning:Al.i-c_e+tip@Example.com:8443 ", "https://example.com:8443/.well-known/lnurlp/al.i-c_e+tip"),
            ("a@abc.onion", "http://abc.onion/.well-known/lnurlp/a"),
            ("a@127.0.0.1:3000", "http://127.0.0.1:3000/.well-known/lnurlp/a"),
            ("lnurlp://example.com/pay?id=1", "https://example.com/pay?id=1"),
            (LNURL, "https://service.com/api?q=3fc3645b439ce8e7f2553a69e5267081d96dcd340693afabe04be7b0ccd178df"),
        ] {
            assert_eq!(url(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(url(&LNURL.to_ascii_lowercase()), url(LNURL));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let mistyped = LNURL.replace("DP68", "DP69");
        let long = format!("{}@example.com", "a".repeat(2000));
        for text in [
            "",
            "@",
            "alice",
            "@example.com",
            "alice@",
            "al ice@example.com",
            "alice@exa mple.com",
            "a@b@c",
            "alice@example.com/path",
            "alice@example.com?x",
            "al/ice@example.com",
            "a%2f..@example.com",
            "lnurlp://",
            "lnurl1",
            "lnbc1",
            "file://x@y",
            &mistyped,
            &long,
        ] {
            assert!(url(text).is_err(), "{text}: {:?}", url(text));
        }
    }

    fn parameters(change: impl Fn(&mut serde_json::Value)) -> Result<PayParameters, String> {
        let mut json = serde_json::json!({
            "callback": "https://example.com/pay",
            "minSendable": 1000,
            "maxSendable": 2000,
            "metadata": "[[\"text/plain\",\"tea\"]]",
            "tag": "payRequest",
            "more": true,
        });
        change(&mut json);
        crate::json::from_json(json.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_are_checked() {
        let good = parameters(|_| {}).expect("parameters");
        assert_eq!((good.check(), good.description().as_deref()), (Ok(()), Some("tea")));
        let hash = good.hash();
        assert_eq!(hash[..4], sha256::Hash::hash(br#"[["text/plain","tea"]]"#).to_byte_array()[..4]);
        let bad = |field: &str, value: serde_json::Value| {
            parameters(|json| json[field] = value.clone()).expect("structure").check()
        };
        assert_eq!(bad("tag", "withdrawRequest".into()), Err(PayParametersError::Tag));
        for (field, value) in [("minSendable", 0), ("minSendable", 2001), ("maxSendable", 999)] {
            assert_eq!(bad(field, value.into()), Err(PayParametersError::Range), "{field} {value}");
        }
        for metadata in
            ["", "{}", "[]", "[[]]", "[[\"text/plain\"]]", "[[\"text/plain\",1]]", "[[\"image/png\",\"x\"]]", "[1]"]
        {
            assert_eq!(bad("metadata", metadata.into()), Err(PayParametersError::Metadata), "{metadata}");
        }
        for (field, value) in [
            ("callback", serde_json::json!("ftp://x")),
            ("minSendable", serde_json::json!(-1)),
            ("maxSendable", serde_json::json!("1000")),
            ("metadata", serde_json::json!("x".repeat(MAX_METADATA_BYTES + 1))),
            ("metadata", serde_json::json!([])),
        ] {
            assert!(parameters(|json| json[field] = value.clone()).is_err(), "{field}");
        }
    }
}
