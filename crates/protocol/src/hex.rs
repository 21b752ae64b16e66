//! Hexadecimal with one canonical spelling: lower case, two digits a byte, no prefix.
//!
//! One spelling only, so that equal values are equal texts: a proof whose point is written in two ways must not
//! look like two proofs anywhere.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Why a text is not canonical hexadecimal. Holds nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// The number of digits differs from what the type needs.
    #[error("expected {expected} hex digits, got {got}")]
    Length {
        /// Digits needed.
        expected: usize,
        /// Digits seen, in bytes of text.
        got: usize,
    },
    /// A character other than `0-9` and `a-f`.
    #[error("not lower-case hexadecimal at position {position}")]
    Digit {
        /// Index of the first bad byte.
        position: usize,
    },
}

/// Lower-case hexadecimal of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0x0f)]));
    }
    text
}

/// Reads exactly `N` bytes.
pub(crate) fn decode<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let mut bytes = [0u8; N];
    decode_into(text, &mut bytes)?;
    Ok(bytes)
}

/// Fills `target` from `text`, which must have exactly two digits for each byte of it.
pub(crate) fn decode_into(text: &str, target: &mut [u8]) -> Result<(), HexError> {
    let digits = text.as_bytes();
    if digits.len() != target.len() * 2 {
        return Err(HexError::Length { expected: target.len() * 2, got: digits.len() });
    }
    for (index, (pair, byte)) in digits.chunks_exact(2).zip(target.iter_mut()).enumerate() {
        let high = nibble(pair[0]).ok_or(HexError::Digit { position: index * 2 })?;
        let low = nibble(pair[1]).ok_or(HexError::Digit { position: index * 2 + 1 })?;
        *byte = (high << 4) | low;
    }
    Ok(())
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
