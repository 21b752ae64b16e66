//! Where a mint is reached.

use std::fmt;
use std::str::FromStr;

use crate::limits::MAX_URL_BYTES;
use crate::text::serde_as_text;

/// The base URL of a mint: `http` or `https`, a host, perhaps a port and a path, no trailing slash (NUT-00).
///
/// Scheme and host are lower case. There is no user name, query or fragment, and nothing but printable ASCII, so that
/// it can be shown, compared and extended with `/v1/...` safely.
///
/// ```
/// use hazel_protocol::MintUrl;
/// let url: MintUrl = "https://Mint.example/cashu/".parse()?;
/// assert_eq!(url.as_str(), "https://mint.example/cashu");
/// # Ok::<(), hazel_protocol::MintUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MintUrl(String);

/// Why a text is not the URL of a mint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintUrlError {
    /// Longer than [`MAX_URL_BYTES`].
    #[error("the url is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// The scheme is neither `http` nor `https`.
    #[error("the url must start with http:// or https://")]
    Scheme,
    /// The host is missing or malformed.
    #[error("the url has no valid host")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the url has an invalid port")]
    Port,
    /// A character that has no place in a mint URL.
    #[error("the url holds a character that is not allowed")]
    Character,
}

impl MintUrl {
    /// The text, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// The host without the port; an IPv6 address keeps its brackets.
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        split_port(authority).0
    }
}

/// The URL of one resource: `http` or `https`, a host, perhaps a port, a path and a query (NUT-18, LUD-16).
///
/// Unlike a [`MintUrl`] it is used as it stands, so its path keeps a trailing slash and it may have a query. There is no user name
/// and no fragment, and nothing but printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointUrl(String);

impl EndpointUrl {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// The host without the port; an IPv6 address keeps its brackets.
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        split_port(split_path(rest).0).0
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EndpointUrl {
    type Err = MintUrlError;

    fn from_str(text: &str) -> Result<Self, MintUrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(MintUrlError::TooLong);
        }
        let (scheme, rest) = split_scheme(text)?;
        if !rest.bytes().all(|byte| byte == b'?' || is_url_byte(byte)) {
            return Err(MintUrlError::Character);
        }
        let (authority, path) = split_path(rest);
        check_authority(authority)?;
        Ok(Self(format!("{scheme}://{}{path}", authority.to_ascii_lowercase())))
    }
}

serde_as_text!(EndpointUrl, "the url of a resource");

impl fmt::Display for MintUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MintUrl {
    type Err = MintUrlError;

    fn from_str(text: &str) -> Result<Self, MintUrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(MintUrlError::TooLong);
        }
        let (scheme, rest) = split_scheme(text)?;
        if !rest.bytes().all(is_url_byte) {
            return Err(MintUrlError::Character);
        }
        let rest = rest.trim_end_matches('/');
        let (authority, path) = split_path(rest);
        check_authority(authority)?;
        Ok(Self(format!("{scheme}://{}{path}", authority.to_ascii_lowercase())))
    }
}

/// The scheme in lower case and what follows its slashes.
fn split_scheme(text: &str) -> Result<(String, &str), MintUrlError> {
    let (scheme, rest) = text.split_once("://").ok_or(MintUrlError::Scheme)?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return Err(MintUrlError::Scheme);
    }
    Ok((scheme, rest))
}

/// Authority and what follows it.
fn split_path(rest: &str) -> (&str, &str) {
    rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at))
}

const fn is_url_byte(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'?' | b'#' | b'@' | b'\\' | b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^')
}

fn check_authority(authority: &str) -> Result<(), MintUrlError> {
    let (host, port) = split_port(authority);
    let allowed = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    if !allowed {
        return Err(MintUrlError::Host);
    }
    match port {
        None => Ok(()),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse::<u16>() {
            Ok(1..) => Ok(()),
            _ => Err(MintUrlError::Port),
        },
        Some(_) => Err(MintUrlError::Port),
    }
}

/// Host and port of an authority; a colon inside the brackets of an IPv6 address is no port.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

serde_as_text!(MintUrl, "the url of a mint");
