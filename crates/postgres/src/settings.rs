//! What a URL asks for, and what opening a database can end with.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::tls::{Tls, TlsError};

/// Why a database cannot be used. One variant for each thing an operator can put right; no text holds the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is not one of PostgreSQL.
    #[error("the database URL is not valid: {0}")]
    Url(String),
    /// The URL leaves open whether the connection is encrypted.
    #[error(
        "the database URL must say how the connection is protected, because {0}: give sslmode=verify-full with \
         sslrootcert=FILE, or verify-ca, require or disable"
    )]
    Unprotected(&'static str),
    /// TLS cannot be set up as asked.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No connection, or none that may write.
    #[error("cannot connect to the database: {0}")]
    Connect(String),
    /// The server is set up so that what it confirms can be lost.
    #[error("the database does not keep what it confirms: {0} is off; turn it on and restart the server")]
    NotDurable(&'static str),
    /// What the server confirms is lost with it, because no standby has to have it.
    #[error(
        "the URL names several hosts, or durability is replicated, but the server waits for no standby: \
         set synchronous_standby_names there, or durability = \"local\" to lose what a failed primary had confirmed"
    )]
    NotReplicated,
    /// The tables there are not those of this program.
    #[error("the database holds tables of another program, and none of {expected}")]
    OtherProgram {
        /// Whose tables were looked for.
        expected: &'static str,
    },
    /// A newer program has upgraded the tables.
    #[error("the database has version {found}, and this program knows {known}: use the newer program")]
    TooNew {
        /// The version of the tables.
        found: i32,
        /// The newest version that this program knows.
        known: i32,
    },
    /// A statement failed on the way.
    #[error("cannot {doing} the database: {reason}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// What PostgreSQL said, without values of rows.
        reason: String,
    },
}

impl OpenError {
    pub(crate) fn failed(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |error| Self::Failed { doing, reason: crate::fault::describe(&error) }
    }
}

/// What it takes for a change to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The disk of the server has it.
    Local,
    /// A synchronous standby has it, too; a server that waits for none is refused.
    Replicated,
}

/// Checks a URL, and says which database it names: hosts and name, without user and password.
///
/// # Errors
/// [`OpenError`] as opening it would give; it connects to nothing.
pub fn place_of(url: &str) -> Result<String, OpenError> {
    let settings = Settings::from_url(url, None)?;
    let hosts = settings.config.get_hosts().iter().map(|host| match host {
        #[cfg(unix)]
        Host::Unix(folder) => folder.display().to_string(),
        Host::Tcp(name) => name.clone(),
    });
    let hosts: Vec<String> = hosts.collect();
    let name = settings.config.get_dbname().or_else(|| settings.config.get_user()).unwrap_or("");
    Ok(format!("postgres://{}/{name}", hosts.join(",")))
}

/// Where the database is, and how a connection to it is made.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
    pub(crate) durability: Durability,
}

/// The parts of a URL that are this crate's to understand.
#[derive(Debug, Default)]
struct Protection {
    mode: Option<String>,
    roots: Option<PathBuf>,
}

impl Settings {
    /// Reads a URL as libpq does (`postgres://user:password@host:port/database?option=value`), and takes `sslmode` at its word.
    ///
    /// `allow` and `prefer` take whatever the other end offers, so they are refused; without `sslmode` a connection is made only where it does
    /// not leave the machine.
    ///
    /// With several hosts a change has to be on a standby, unless `durability` says otherwise: else it could be lost by going over to another.
    pub(crate) fn from_url(url: &str, durability: Option<Durability>) -> Result<Self, OpenError> {
        let (rest, protection) = split(url)?;
        // The parser's own text may quote the URL.
        let mut config = Config::from_str(&rest).map_err(|_| OpenError::Url("it cannot be read".to_owned()))?;
        if config.get_hosts().is_empty() {
            return Err(OpenError::Url("it names no host".to_owned()));
        }
        let tls = protect(&config, &protection)?;
        config.ssl_mode(if tls.is_off() { SslMode::Disable } else { SslMode::Require });
        if config.get_application_name().is_none() {
            config.application_name("hazel");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(std::time::Duration::from_secs(5));
        }
        // With several hosts the one that takes writes is looked for; with one, a standby is no use either.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        let by_hosts = if config.get_hosts().len() > 1 { Durability::Replicated } else { Durability::Local };
        Ok(Self { config, tls, durability: durability.unwrap_or(by_hosts) })
    }
}

/// Whether all of the connection stays on this machine.
fn is_local(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        #[cfg(unix)]
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    })
}

fn protect(config: &Config, protection: &Protection) -> Result<Tls, OpenError> {
    match protection.mode.as_deref() {
        None if is_local(config) => Ok(Tls::off()),
        None => Err(OpenError::Unprotected("a host is not this machine")),
        Some("disable") => Ok(Tls::off()),
        Some("allow" | "prefer") => {
            Err(OpenError::Unprotected("sslmode allow and prefer take what the other end offers"))
        }
        Some("require") => Ok(match &protection.roots {
            // As libpq does: a root certificate that is named is used.
            Some(roots) => Tls::verify_ca(roots)?,
            None => Tls::unverified()?,
        }),
        Some("verify-ca") => Ok(Tls::verify_ca(roots(protection)?)?),
        Some("verify-full") => Ok(Tls::verify_full(roots(protection)?)?),
        Some(_) => Err(OpenError::Url("sslmode is none of disable, require, verify-ca, verify-full".to_owned())),
    }
}

fn roots(protection: &Protection) -> Result<&Path, OpenError> {
    let missing = || OpenError::Url("sslmode verify-ca and verify-full need sslrootcert=FILE".to_owned());
    protection.roots.as_deref().ok_or_else(missing)
}

/// Takes `sslmode` and `sslrootcert` out of the URL, whose parser knows neither all modes nor the file.
fn split(url: &str) -> Result<(String, Protection), OpenError> {
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(OpenError::Url("it does not begin with postgres://".to_owned()));
    }
    let mut protection = Protection::default();
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), protection)) };
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", mode)) => protection.mode = Some(mode.to_owned()),
            Some(("sslrootcert", path)) => protection.roots = Some(PathBuf::from(unescape(path)?)),
            // Found by other means there, so silence would be weaker than what was asked.
            Some(("sslcert" | "sslkey" | "sslcrl" | "channel_binding" | "gssencmode", _)) => {
                return Err(OpenError::Url("it has an option about TLS that is not supported".to_owned()));
            }
            _ => kept.push(pair),
        }
    }
    let rest = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    Ok((rest, protection))
}

/// Undoes `%2F` and the like.
fn unescape(text: &str) -> Result<String, OpenError> {
    let wrong = || OpenError::Url("sslrootcert is not escaped as in a URL".to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).map_err(|_| wrong())?;
                (u8::from_str_radix(digits, 16).map_err(|_| wrong())?, after)
            }
            (b'%', _) => return Err(wrong()),
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        match Settings::from_url(url, None) {
            Ok(_) => panic!("{url} was taken"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn without_sslmode_only_this_machine_is_reached() {
        for url in [
            "postgres://u@127.0.0.1:5432/mint",
            "postgres://u@localhost/mint",
            "postgres://u@[::1]/mint",
            "postgresql://u@%2Fvar%2Frun%2Fpostgresql/mint",
        ] {
            assert!(Settings::from_url(url, None).is_ok_and(|settings| settings.tls.is_off()), "{url}");
        }
        assert!(refused("postgres://u:hush@db.example/mint").contains("sslmode=verify-full"));
        assert!(refused("postgres://u@127.0.0.1,db.example/mint").contains("sslmode=verify-full"));
    }

    #[test]
    fn a_mode_that_takes_what_it_gets_is_refused() {
        for mode in ["allow", "prefer"] {
            assert!(refused(&format!("postgres://u@127.0.0.1/mint?sslmode={mode}")).contains("must say"), "{mode}");
        }
        assert!(refused("postgres://u@127.0.0.1/mint?sslmode=verify").contains("none of"));
    }

    #[test]
    fn the_mode_decides_what_goes_over_the_wire() {
        let mode = |url: &str| Settings::from_url(url, None).map(|settings| settings.config.get_ssl_mode());
        assert!(matches!(mode("postgres://u@db.example/mint?sslmode=disable"), Ok(SslMode::Disable)));
        assert!(matches!(mode("postgres://u@db.example/mint?sslmode=require"), Ok(SslMode::Require)));
    }

    #[test]
    fn verification_needs_roots_that_are_there() {
        assert!(refused("postgres://u@db.example/mint?sslmode=verify-full").contains("sslrootcert"));
        let missing = refused("postgres://u@db.example/mint?sslmode=verify-ca&sslrootcert=%2Fno%2Fsuch%2Ffile");
        assert!(missing.contains("/no/such/file"), "{missing}");
        assert!(refused("postgres://u@db.example/mint?sslmode=require&sslkey=k").contains("not supported"));
    }

    #[test]
    fn several_hosts_ask_for_a_standby_unless_told_otherwise() {
        let of = |url, given| Settings::from_url(url, given).map(|settings| settings.durability);
        let (one, two) = ("postgres://u@127.0.0.1/mint", "postgres://u@127.0.0.1:1,127.0.0.1:2/mint");
        assert!(matches!(of(one, None), Ok(Durability::Local)));
        assert!(matches!(of(one, Some(Durability::Replicated)), Ok(Durability::Replicated)));
        assert!(matches!(of(two, None), Ok(Durability::Replicated)));
        assert!(matches!(of(two, Some(Durability::Local)), Ok(Durability::Local)));
    }

    #[test]
    fn a_place_is_shown_without_who_may_enter() {
        let place = place_of("postgres://ann:hush@127.0.0.1:5433,localhost/mint?application_name=x");
        assert_eq!(place.expect("a place"), "postgres://127.0.0.1,localhost/mint");
    }

    #[test]
    fn a_refusal_does_not_repeat_the_password() {
        for url in
            ["postgres://u:hush@db.example/mint", "postgres://u:hush@h:port/x?sslmode=disable", "mysql://u:hush@h"]
        {
            assert!(!refused(url).contains("hush"), "{url}");
        }
    }
}
