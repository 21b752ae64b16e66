//! Bech32 and bech32m of any length (BIP-173, BIP-350).
//!
//! Both were made for addresses, and the checksum finds every error of few characters only up to 1023 of them. NIP-19 and NUT-26 go
//! beyond that: the checksum then still finds all but one in a billion of errors, and what it carries has a structure of its own.

use bitcoin::bech32::primitives::decode::CheckedHrpstring;
use bitcoin::bech32::{self, Checksum, Hrp};

use crate::limits::MAX_PAYMENT_REQUEST_BYTES;

/// A text is no bech32 of the expected kind. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not valid bech32: a character, the prefix or the checksum is wrong")]
pub struct Bech32Error;

/// The checksum of BIP-173.
pub(crate) enum Bech32 {}

/// The checksum of BIP-350.
pub(crate) enum Bech32m {}

impl Checksum for Bech32 {
    type MidstateRepr = <bech32::Bech32 as Checksum>::MidstateRepr;
    const CODE_LENGTH: usize = MAX_PAYMENT_REQUEST_BYTES;
    const CHECKSUM_LENGTH: usize = bech32::Bech32::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = bech32::Bech32::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = bech32::Bech32::TARGET_RESIDUE;
}

impl Checksum for Bech32m {
    type MidstateRepr = <bech32::Bech32m as Checksum>::MidstateRepr;
    const CODE_LENGTH: usize = MAX_PAYMENT_REQUEST_BYTES;
    const CHECKSUM_LENGTH: usize = bech32::Bech32m::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = bech32::Bech32m::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = bech32::Bech32m::TARGET_RESIDUE;
}

/// The bytes behind the prefix `hrp`, which may stand in either case, but all of the text in the same.
///
/// # Errors
/// [`Bech32Error`].
pub(crate) fn decode<C: Checksum>(text: &str, hrp: &str) -> Result<Vec<u8>, Bech32Error> {
    let parsed = CheckedHrpstring::new::<C>(text).map_err(|_| Bech32Error)?;
    if !parsed.hrp().as_str().eq_ignore_ascii_case(hrp) {
        return Err(Bech32Error);
    }
    // Bits that fill up the last character must be zero, so that a value has one spelling.
    parsed.validate_segwit_padding().map_err(|_| Bech32Error)?;
    Ok(parsed.byte_iter().collect())
}

/// The text in lower case.
///
/// # Errors
/// [`Bech32Error`] when it would be longer than [`MAX_PAYMENT_REQUEST_BYTES`].
pub(crate) fn encode<C: Checksum>(bytes: &[u8], hrp: &str) -> Result<String, Bech32Error> {
    let hrp = Hrp::parse(hrp).map_err(|_| Bech32Error)?;
    bech32::encode_lower::<C>(hrp, bytes).map_err(|_| Bech32Error)
}
