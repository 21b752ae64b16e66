//! The operator's credentials.

use std::fmt;
use std::hint::black_box;

use zeroize::Zeroizing;

/// The shortest secret, in bytes: 32 characters of hex are 128 bits.
const MIN_SECRET_BYTES: usize = 32;
/// The longest secret, in bytes.
const MAX_SECRET_BYTES: usize = 256;
/// The longest name, in bytes; it fits a line of the audit log.
const MAX_NAME_BYTES: usize = 32;

/// Why a text is no token. Holds none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// The name.
    Name,
    /// The secret.
    Secret,
}

impl fmt::Display for BadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a name is 1 to 32 of a-z, 0-9, '_' and '-'",
            Self::Secret => "a secret is 32 to 256 printable characters without spaces",
        })
    }
}

impl std::error::Error for BadToken {}

/// A secret that lets its holder in, and the name under which the holder acts. Wiped when dropped.
pub struct AdminToken {
    name: String,
    secret: Zeroizing<Vec<u8>>,
}

impl AdminToken {
    /// A token.
    ///
    /// # Errors
    /// [`BadToken`].
    pub fn new(name: &str, secret: &str) -> Result<Self, BadToken> {
        let in_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(in_name) {
            return Err(BadToken::Name);
        }
        let sized = (MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&secret.len());
        if !sized || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadToken::Secret);
        }
        Ok(Self { name: name.to_owned(), secret: Zeroizing::new(secret.as_bytes().to_vec()) })
    }

    /// Under which its holder acts.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `shown` is the secret, in a time that tells its length at most.
    pub(super) fn is(&self, shown: &[u8]) -> bool {
        if shown.len() != self.secret.len() {
            return false;
        }
        let differences = self.secret.iter().zip(shown).fold(0, |sum, (a, b)| black_box(sum | (a ^ b)));
        differences == 0
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminToken").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_all_of_its_secret() {
        let secret = "0123456789abcdef0123456789abcdef";
        let token = AdminToken::new("operator", secret).expect("a token");
        assert!(token.is(secret.as_bytes()));
        assert!(!token.is(&secret.as_bytes()[1..]));
        assert!(!token.is(b""));
        for place in 0..secret.len() {
            let mut other = secret.as_bytes().to_vec();
            other[place] ^= 1;
            assert!(!token.is(&other));
        }
        assert!(!format!("{token:?}").contains("0123"));
    }

    #[test]
    fn short_secrets_and_odd_names_are_refused() {
        let secret = "s".repeat(32);
        for name in ["", "Operator", "a b", &"n".repeat(33)] {
            assert_eq!(AdminToken::new(name, &secret).err(), Some(BadToken::Name), "{name:?}");
        }
        for secret in [&secret[1..], &"s".repeat(257), &format!("{secret} x")] {
            assert_eq!(AdminToken::new("operator", secret).err(), Some(BadToken::Secret));
        }
    }
}
