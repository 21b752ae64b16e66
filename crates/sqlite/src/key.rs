//! The key of an encrypted database file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// The longest key text accepted, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;

/// How much of a key file is read, in bytes: the longest key with room for the white space around it.
const MAX_FILE_BYTES: u16 = 4_096;

/// The key of an encrypted database file: wiped from memory when dropped, never shown.
///
/// Text of exactly 64 hex digits is the 32-byte page key itself. Any other text is a passphrase, from which SQLCipher derives
/// the page key slowly, once for each connection that is opened; a random key given in hex makes start-up quicker.
#[derive(Clone)]
pub struct DatabaseKey(Zeroizing<String>);

/// Why a text cannot be a database key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is nothing in it but white space.
    #[error("the database key is empty")]
    Empty,
    /// It is longer than [`MAX_KEY_BYTES`].
    #[error("the database key is longer than {MAX_KEY_BYTES} bytes")]
    TooLong,
    /// It holds a line break, a NUL or another control character, which is almost always a mistake.
    #[error("the database key holds a control character")]
    ControlCharacter,
    /// The key file cannot be read as text.
    #[error("the database key file cannot be read: {0}")]
    Unreadable(io::ErrorKind),
    /// Users other than the owner can use the key file.
    #[error("the database key file can be read by others: run chmod 600 on it")]
    Exposed,
}

impl DatabaseKey {
    /// Takes the text of a key, as it stands in an environment variable. White space at either end is not part of the key.
    ///
    /// # Errors
    /// [`KeyError`] when the text is empty, too long or holds control characters.
    pub fn from_text(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = Zeroizing::new(text.into());
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(KeyError::Empty);
        }
        if trimmed.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLong);
        }
        if trimmed.chars().any(char::is_control) {
            return Err(KeyError::ControlCharacter);
        }
        Ok(Self(Zeroizing::new(trimmed.to_owned())))
    }

    /// Reads the key from a file that holds nothing else and that its owner alone can use (on Unix: mode 0600 or less).
    ///
    /// # Errors
    /// [`KeyError`] when the file cannot be read, is exposed to others, or its text is no key.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |error: io::Error| KeyError::Unreadable(error.kind());
        let file = File::open(path).map_err(unreadable)?;
        refuse_exposed(&file)?;
        // Room for everything that is read, up front: growing would leave copies of the key behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::from(MAX_FILE_BYTES) + 1));
        file.take(u64::from(MAX_FILE_BYTES) + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() > usize::from(MAX_FILE_BYTES) {
            return Err(KeyError::TooLong);
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| KeyError::Unreadable(io::ErrorKind::InvalidData))?;
        Self::from_text(text)
    }

    /// The statement that hands the key to SQLCipher; it must be the first on every connection.
    #[cfg_attr(
        not(any(test, feature = "sqlcipher")),
        expect(dead_code, reason = "only an encrypting build hands keys on")
    )]
    pub(crate) fn pragma(&self) -> Zeroizing<String> {
        let is_raw = self.0.len() == 64 && self.0.bytes().all(|byte| byte.is_ascii_hexdigit());
        // Room for everything up front: growing would leave copies of the key behind.
        let mut sql = Zeroizing::new(String::with_capacity(2 * self.0.len() + 32));
        sql.push_str(if is_raw { "PRAGMA key = \"x'" } else { "PRAGMA key = '" });
        for character in self.0.chars() {
            sql.push(character);
            if character == '\'' {
                sql.push(character);
            }
        }
        sql.push_str(if is_raw { "'\";" } else { "';" });
        sql
    }
}

/// Refuses a file that anybody but its owner may read, change or run.
fn refuse_exposed(file: &File) -> Result<(), KeyError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = file.metadata().map_err(|error| KeyError::Unreadable(error.kind()))?;
        // A folder cannot be read as a file, whoever may use it; that is what is said of it then.
        if !metadata.is_dir() && metadata.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Exposed);
        }
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

impl fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn text_is_checked_and_never_shown() {
        assert_eq!(DatabaseKey::from_text(" \n").err(), Some(KeyError::Empty));
        assert_eq!(DatabaseKey::from_text("a\nb").err(), Some(KeyError::ControlCharacter));
        assert_eq!(DatabaseKey::from_text("k".repeat(MAX_KEY_BYTES + 1)).err(), Some(KeyError::TooLong));
        let key = DatabaseKey::from_text("correct horse\n").expect("a key");
        assert_eq!(format!("{key:?}"), "DatabaseKey(redacted)");
    }

    #[test]
    fn the_statement_quotes_passphrases_and_passes_hex_raw() {
        let quoted = DatabaseKey::from_text("it's").expect("a key").pragma();
        assert_eq!(quoted.as_str(), "PRAGMA key = 'it''s';");
        let raw = DatabaseKey::from_text("0f".repeat(32)).expect("a key").pragma();
        assert_eq!(raw.as_str(), format!("PRAGMA key = \"x'{}'\";", "0f".repeat(32)));
    }

    /// A file with this text that its owner alone can read.
    fn private_file(path: &Path, text: &str) {
        let mut options = std::fs::OpenOptions::new();
        crate::lock::private(options.write(true).create(true).truncate(true));
        options.open(path).and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
    }

    #[test]
    fn a_file_gives_the_key_without_its_line_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        private_file(&path, "secret\n");
        assert_eq!(DatabaseKey::from_file(&path).expect("a key").pragma().as_str(), "PRAGMA key = 'secret';");
        assert!(matches!(DatabaseKey::from_file(folder.path()), Err(KeyError::Unreadable(_))));
    }

    #[test]
    fn no_more_is_read_than_a_key_can_be_long() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        let longest = usize::from(MAX_FILE_BYTES);
        private_file(&path, &format!("{:<longest$}", "secret"));
        DatabaseKey::from_file(&path).expect("white space is no part of the key");
        private_file(&path, &format!("{:<1$}", "secret", longest + 1));
        assert_eq!(DatabaseKey::from_file(&path).err(), Some(KeyError::TooLong));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_use_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        private_file(&path, "secret\n");
        for mode in [0o640, 0o604, 0o620, 0o601] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
            let error = DatabaseKey::from_file(&path).expect_err("exposed");
            assert_eq!(error, KeyError::Exposed);
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).expect("set");
        DatabaseKey::from_file(&path).expect("its owner alone can read it");
    }
}
