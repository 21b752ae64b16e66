//! Bytes as lower-case hex.

use bitcoin::hex::DisplayHex;

/// `bytes` in lower-case hex.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.to_lower_hex_string()
}
