//! The error codes of the NUTs and the answer that carries them.

use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::limits::MAX_ERROR_DETAIL_BYTES;
use crate::text::{neutralise, prefix};

macro_rules! error_codes {
    ($($code:literal $name:ident $nuts:expr, $description:literal;)*) => {
        /// An error code of the NUTs, one variant for each row of their table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum ErrorCode {
            $(#[doc = concat!(stringify!($code), ": ", $description, ".")] $name = $code,)*
        }

        impl ErrorCode {
            /// All codes, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number, as on the wire.
            pub const fn code(self) -> u16 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The code with this number, if the NUTs have one.
            pub const fn from_code(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The numbers of the NUTs to which the code is relevant.
            pub const fn nuts(self) -> &'static [u8] {
                match self {
                    $(Self::$name => &$nuts,)*
                }
            }

            /// The sentence of the table, fit for the public.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$name => $description,)*
                }
            }
        }
    };
}

error_codes! {
    10001 ProofVerificationFailed [3, 5], "Proof verification failed";
    11001 ProofsAlreadySpent [3, 5], "Proofs already spent";
    11002 ProofsPending [3, 5], "Proofs are pending";
    11003 OutputsAlreadySigned [3, 4, 5], "Outputs already signed";
    11004 OutputsPending [3, 4, 5], "Outputs are pending";
    11005 TransactionNotBalanced [2, 3, 5], "Transaction is not balanced (inputs != outputs)";
    11006 AmountOutsideLimit [4, 5], "Amount outside of limit range";
    11007 DuplicateInputs [3, 4, 5], "Duplicate inputs provided";
    11008 DuplicateOutputs [3, 4, 5], "Duplicate outputs provided";
    11009 MultipleUnits [3, 4, 5], "Inputs/Outputs of multiple units";
    11010 UnitMismatch [3, 4, 5], "Inputs and outputs not of same unit";
    11011 AmountlessInvoiceUnsupported [5], "Amountless invoice is not supported";
    11012 AmountMismatch [5], "Amount in request does not equal invoice";
    11013 UnitUnsupported [4, 5], "Unit in request is not supported";
    11014 MaxInputsExceeded [3, 5], "Max inputs exceeded";
    11015 MaxOutputsExceeded [3, 4, 5], "Max outputs exceeded";
    11016 DuplicateQuoteIds [29], "Duplicate quote IDs provided";
    11017 MaxBatchSizeExceeded [29], "Max batch size exceeded";
    12001 KeysetUnknown [2, 4], "Keyset is not known";
    12002 KeysetInactive [2, 3, 4], "Keyset is inactive, cannot sign messages";
    12003 KeysetExpired [2, 3, 4, 5], "Keyset has expired";
    20001 QuoteNotPaid [4], "Quote request is not paid";
    20002 QuoteAlreadyIssued [4], "Quote has already been issued";
    20003 MintingDisabled [4], "Minting is disabled";
    20004 LightningPaymentFailed [5], "Lightning payment failed";
    20005 QuotePending [4, 5, 29], "Quote is pending";
    20006 InvoiceAlreadyPaid [5], "Invoice already paid";
    20007 QuoteExpired [4, 5], "Quote is expired";
    20008 MintSignatureInvalid [20], "Signature for mint request invalid";
    20009 MintPubkeyRequired [20], "Pubkey required for mint quote";
    30001 ClearAuthRequired [21], "Endpoint requires clear auth";
    30002 ClearAuthFailed [21], "Clear authentication failed";
    31001 BlindAuthRequired [22], "Endpoint requires blind auth";
    31002 BlindAuthFailed [22], "Blind authentication failed";
    31003 BatMintAmountExceeded [22], "Maximum BAT mint amount exceeded";
    31004 BatMintRateExceeded [22], "BAT mint rate limit exceeded";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.description(), self.code())
    }
}

/// What a mint answers when it refuses (NUT-00).
///
/// Reading one is lenient, because the detail only serves people: it is cut to [`MAX_ERROR_DETAIL_BYTES`], made harmless to
/// show, and may be missing; a missing or odd code reads as 0, which no NUT uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorResponse {
    /// What is wrong, for people.
    #[serde(default, deserialize_with = "read_detail")]
    pub detail: String,
    /// What is wrong, for programs: see [`ErrorCode`].
    #[serde(default, deserialize_with = "read_code")]
    pub code: u16,
}

impl ErrorResponse {
    /// The answer for `code`, with the sentence of the NUTs as its detail.
    pub fn new(code: ErrorCode) -> Self {
        Self { detail: code.description().to_owned(), code: code.code() }
    }

    /// The code, if it is one of the NUTs.
    pub const fn error_code(&self) -> Option<ErrorCode> {
        ErrorCode::from_code(self.code)
    }
}

impl From<ErrorCode> for ErrorResponse {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

fn read_detail<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    d.deserialize_any(Lenient).map(|value| value.0)
}

fn read_code<'de, D: Deserializer<'de>>(d: D) -> Result<u16, D::Error> {
    d.deserialize_any(Lenient).map(|value| value.1)
}

/// Takes any JSON value for a text and for a code, empty and 0 where it is neither.
struct Lenient;

impl<'de> Visitor<'de> for Lenient {
    type Value = (String, u16);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok((neutralise(prefix(text, MAX_ERROR_DETAIL_BYTES)), 0))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok((String::new(), u16::try_from(number).unwrap_or(0)))
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Self::Value::default())
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Self::Value::default())
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Self::Value::default())
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Self::Value::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::Value::default())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::Value::default())
    }
}
