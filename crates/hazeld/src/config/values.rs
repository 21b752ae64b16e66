//! Values that the command line and the configuration file spell the same way.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

/// Where the ledger is: `sqlite:PATH`, `sqlite://PATH` or a plain path, or a `postgres://` URL.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum DatabaseUrl {
    /// The SQLite file.
    Sqlite(PathBuf),
    /// A database that several processes may use.
    Postgres(PostgresUrl),
}

/// A `postgres://` URL that has been checked. It may hold a password, so it is shown without who may enter.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PostgresUrl {
    whole: String,
    place: String,
}

impl PostgresUrl {
    /// The URL as it was given; not for showing.
    pub(crate) fn reveal(&self) -> &str {
        &self.whole
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({})", self.place)
    }
}

/// A text that names no database this program can open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DatabaseUrlError {
    /// The path is missing.
    #[error("a database is sqlite:PATH, a path or postgres://..., and the path is missing")]
    NoPath,
    /// Another kind of database.
    #[error("'{0}' databases are not supported: use sqlite:PATH, a path or postgres://...")]
    OtherKind(String),
    /// `?...` at the end; SQLite would understand it, this program does not.
    #[error("a sqlite: URL takes no '?' parameters")]
    Parameters,
    /// A URL of PostgreSQL that cannot be used.
    #[error("{0}")]
    Postgres(String),
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        let path = match text.split_once(':') {
            Some(("postgres" | "postgresql", _)) => {
                let place = hazel_postgres::place_of(text);
                let place = place.map_err(|error| DatabaseUrlError::Postgres(error.to_string()))?;
                return Ok(Self::Postgres(PostgresUrl { whole: text.to_owned(), place }));
            }
            Some(("sqlite", rest)) if rest.contains('?') => return Err(DatabaseUrlError::Parameters),
            Some(("sqlite", rest)) => rest.strip_prefix("//").unwrap_or(rest),
            // One letter is a Windows drive; anything longer that looks like a scheme is one.
            Some((scheme, _)) if is_scheme(scheme) => return Err(DatabaseUrlError::OtherKind(scheme.to_owned())),
            _ => text,
        };
        if path.is_empty() {
            return Err(DatabaseUrlError::NoPath);
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

fn is_scheme(text: &str) -> bool {
    text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

impl TryFrom<String> for DatabaseUrl {
    type Error = DatabaseUrlError;

    fn try_from(text: String) -> Result<Self, DatabaseUrlError> {
        text.parse()
    }
}

/// Declares an enum of words, spelled alike everywhere.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        pub(crate) enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every word.
            const WORDS: &[&str] = &[$($word),*];

            /// The word.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(format!("one of {}", Self::WORDS.join(", "))),
                }
            }
        }
    };
}

words! {
    /// What it takes for a change to be durable on PostgreSQL.
    Durability {
        /// The server's disk has it.
        Local = "local",
        /// A synchronous standby has it, too.
        Replicated = "replicated",
    }
}

words! {
    /// How log lines look.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line, for machines.
        Json = "json",
    }
}

words! {
    /// How much is logged. It is about Hazel's own crates; libraries under it are never more talkative than `warn`.
    Level {
        /// What needs an operator.
        Error = "error",
        /// What may soon need one.
        Warn = "warn",
        /// What happens.
        Info = "info",
        /// Why it happens.
        Debug = "debug",
        /// Every step.
        Trace = "trace",
    }
}

words! {
    /// Who moves the bitcoin.
    Backend {
        /// A node that only pretends.
        Fake = "fake",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> PathBuf {
        match text.parse::<DatabaseUrl>().expect("a database") {
            DatabaseUrl::Sqlite(path) => path,
            DatabaseUrl::Postgres(url) => panic!("{text} is {url}"),
        }
    }

    #[test]
    fn every_spelling_of_a_database_names_its_file() {
        for text in ["sqlite:/a/b", "sqlite:///a/b", "/a/b"] {
            assert_eq!(file(text), PathBuf::from("/a/b"), "{text}");
        }
        assert_eq!(file("sqlite:m.db"), PathBuf::from("m.db"));
        assert_eq!(file("sqlite://m.db"), PathBuf::from("m.db"));
        assert_eq!(file(r"C:\m.db"), PathBuf::from(r"C:\m.db"));
    }

    #[test]
    fn a_postgres_url_is_shown_without_who_may_enter() {
        let url = "postgresql://ann:hush@db.example/mint?sslmode=require".parse::<DatabaseUrl>().expect("a database");
        let DatabaseUrl::Postgres(inner) = &url else { panic!("{url:?} is a file") };
        assert_eq!(inner.to_string(), "postgres://db.example/mint");
        assert!(!format!("{url:?}").contains("hush"));
        assert!(inner.reveal().contains("hush"));
    }

    #[test]
    fn other_databases_are_refused() {
        let refused = |text: &str| text.parse::<DatabaseUrl>().expect_err("refused");
        assert_eq!(refused("mysql://h/d"), DatabaseUrlError::OtherKind("mysql".to_owned()));
        assert!(refused("postgres://h/d").to_string().contains("sslmode"), "how it is protected is not said");
        assert_eq!(refused("sqlite:"), DatabaseUrlError::NoPath);
        assert_eq!(refused(""), DatabaseUrlError::NoPath);
        assert_eq!(refused("sqlite:m.db?mode=ro"), DatabaseUrlError::Parameters);
    }
}
