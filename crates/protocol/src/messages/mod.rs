//! The bodies of requests and answers, with field names as in the NUTs.
//!
//! Reading enforces structure: types, canonical spellings and the limits of [`limits`](crate::limits). Fields that a
//! message does not know are ignored; a known field given twice is refused. What the values mean together (sums, units,
//! keysets) is checked elsewhere.

pub mod check;
pub mod info;
pub mod keys;
pub mod melt;
pub mod mint;
pub mod restore;
pub mod swap;
pub mod ws;

pub use check::{CheckStateRequest, CheckStateResponse, ProofState, ProofStateEntry};
pub use info::{
    BatchSettings, CachedEndpoint, CachedResponses, ContactInfo, MethodSettings, MintInfo, MultipathMethod,
    MultipathSettings, Nuts, PaymentSettings, Supported,
};
pub use keys::{KeysResponse, KeysetInfo, KeysetWithKeys, KeysetsResponse};
pub use melt::{
    AmountlessOption, MeltOptions, MeltQuoteBolt11Request, MeltQuoteBolt11Response, MeltQuoteState, MeltRequest,
    MppOption,
};
pub use mint::{
    MintBatchRequest, MintQuoteBolt11Request, MintQuoteBolt11Response, MintQuoteState, MintQuotesCheckRequest,
    MintRequest, MintResponse, QuoteSignature,
};
pub use restore::{RestoreRequest, RestoreResponse};
pub use swap::{SwapRequest, SwapResponse};

/// Refuses a text that is none of the states of an enum, without repeating it.
macro_rules! state_text {
    ($type:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        impl $type {
            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = UnknownState;
            fn from_str(text: &str) -> Result<Self, UnknownState> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(UnknownState),
                }
            }
        }

        crate::text::serde_as_text!($type, "the name of a state");
    };
}
pub(crate) use state_text;

/// A text is none of the states that a quote or proof can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown state")]
pub struct UnknownState;

/// Reads a value that may be `null` and then is its default.
pub(crate) fn null_as_default<'de, D, T>(d: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de> + Default,
{
    use serde::Deserialize;
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}
