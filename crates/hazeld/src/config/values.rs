//! Values that the command line and the configuration file spell the same way.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

/// Where the ledger is: `sqlite:PATH`, `sqlite://PATH` or a plain path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct DatabaseUrl {
    /// The SQLite file.
    pub(crate) path: PathBuf,
}

/// A text that names no database this program can open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DatabaseUrlError {
    /// The path is missing.
    #[error("a database is sqlite:PATH or a path, and the path is missing")]
    NoPath,
    /// Another kind of database.
    #[error("'{0}' databases are not supported: use sqlite:PATH or a path")]
    OtherKind(String),
    /// `?...` at the end; SQLite would understand it, this program does not.
    #[error("a sqlite: URL takes no '?' parameters")]
    Parameters,
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        let path = match text.split_once(':') {
            Some(("sqlite", rest)) if rest.contains('?') => return Err(DatabaseUrlError::Parameters),
            Some(("sqlite", rest)) => rest.strip_prefix("//").unwrap_or(rest),
            // One letter is a Windows drive; anything longer that looks like a scheme is one.
            Some((scheme, _)) if is_scheme(scheme) => return Err(DatabaseUrlError::OtherKind(scheme.to_owned())),
            _ => text,
        };
        if path.is_empty() {
            return Err(DatabaseUrlError::NoPath);
        }
        Ok(Self { path: PathBuf::from(path) })
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

    #[test]
    fn every_spelling_of_a_database_names_its_file() {
        for text in ["sqlite:/a/b", "sqlite:///a/b", "/a/b"] {
            assert_eq!(text.parse::<DatabaseUrl>().expect("a database").path, PathBuf::from("/a/b"), "{text}");
        }
        assert_eq!("sqlite:m.db".parse::<DatabaseUrl>().expect("relative").path, PathBuf::from("m.db"));
        assert_eq!("sqlite://m.db".parse::<DatabaseUrl>().expect("relative").path, PathBuf::from("m.db"));
        assert_eq!(r"C:\m.db".parse::<DatabaseUrl>().expect("a drive").path, PathBuf::from(r"C:\m.db"));
    }

    #[test]
    fn other_databases_are_refused() {
        let refused = |text: &str| text.parse::<DatabaseUrl>().expect_err("refused");
        assert_eq!(refused("postgres://h/d"), DatabaseUrlError::OtherKind("postgres".to_owned()));
        assert_eq!(refused("sqlite:"), DatabaseUrlError::NoPath);
        assert_eq!(refused(""), DatabaseUrlError::NoPath);
        assert_eq!(refused("sqlite:m.db?mode=ro"), DatabaseUrlError::Parameters);
    }
}
