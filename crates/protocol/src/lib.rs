//! What travels and what is hashed in Cashu: amounts, keysets, tokens, messages, blind signatures.
//!
//! Cashu is electronic cash. A mint signs messages that it cannot read, because the wallet blinded them; unblinded, the
//! signatures are money that the mint recognises but cannot trace. This crate knows the data of that protocol and its
//! arithmetic, and nothing else: no network, storage, clock, randomness or threads. What it needs of these is an argument.
//!
//! # One coin from beginning to end
//!
//! ```
//! use hazel_protocol::crypto::{blind, sign_with_dleq, unblind, verify_dleq, verify_proof_dleq, verify_unblinded};
//! use hazel_protocol::{Amount, BlindingFactor, Curve, KeysetId, Proof, Secret, SecretKey};
//!
//! // In earnest, these three come from the random source of the system.
//! let (entropy, k, r) = ([1; 32], [2; 32], [3; 32]);
//! let curve = Curve::new(&entropy);
//!
//! // The mint has a key for 8 sat and publishes K.
//! let k = SecretKey::from_bytes(&k)?;
//! let public = k.public_key(&curve);
//!
//! // The wallet picks a secret and blinds its point.
//! let secret = Secret::new("407915bc212be61a77e3e6d2aeb4c727980bda51cd06a6afc29e2861768a7837")?;
//! let r = BlindingFactor::from_bytes(&r)?;
//! let b_ = blind(&curve, &secret.y(), &r)?;
//!
//! // The mint signs what it cannot read, and proves that it used its published key.
//! let (c_, dleq) = sign_with_dleq(&curve, &k, &public, &b_);
//!
//! // The wallet checks the proof and takes the blinding off.
//! verify_dleq(&public, &b_, &c_, &dleq)?;
//! let c = unblind(&c_, &r, &public)?;
//! let id: KeysetId = "009a1f293253e41e".parse()?;
//! let dleq = Some(dleq.with_blinding_factor(r));
//! let coin = Proof { amount: Amount::from_u64(8), id, secret, c: c.into(), witness: None, dleq, p2pk_e: None };
//!
//! // Another user checks the coin without asking the mint.
//! let dleq = coin.dleq.as_ref().ok_or("sent without a proof")?;
//! verify_proof_dleq(&public, &coin.secret, &coin.c.parse()?, dleq)?;
//!
//! // The mint recognises its signature.
//! assert!(verify_unblinded(&k, &coin.y(), &coin.c));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a value of these types promises
//!
//! *Structure*: a [`PublicKey`] is on the curve, an [`Amount`] fits 64 bits and cannot wrap, a list has no more items than
//! its limit, a text has one spelling. Constructors and `Deserialize` see to that, and nobody checks it again. What values
//! mean *together* (sums, units, active keysets) is decided by the engine that handles the request, and whether a proof is
//! spent by the store.
//!
//! # Where things are
//!
//! | module | holds | NUT |
//! |---|---|---|
//! | [`amount`], [`unit`](mod@unit) | money | 00, 01 |
//! | [`method`] | how a mint is paid and pays | 04, 05 |
//! | [`point`], [`scalar`], [`secret`] | what the arithmetic works on | 00 |
//! | [`crypto`], [`dleq`] | blind signatures and their proofs | 00, 12 |
//! | [`keyset`] | public keys and the ids that commit to them | 01, 02 |
//! | [`conditions`] | what a locked proof needs before it may be spent | 10, 11, 14 |
//! | [`p2bk`] | keys of locks that the mint cannot link | 28 |
//! | [`proof`] | proofs, blinded messages, blind signatures | 00 |
//! | [`messages`] | the bodies of requests and answers | 01 to 09, 23 |
//! | [`token`] | tokens of versions 3 and 4 | 00 |
//! | [`request`], [`nip19`] | payment requests, and users of Nostr that they name | 18, 26 |
//! | [`lnurl`] | Lightning addresses, and what the servers behind them say | |
//! | [`nut08`], [`nut13`], [`nut20`] | blank outputs, secrets from a seed, what is signed for a quote | 08, 13, 20 |
//! | [`error`](mod@error) | all error codes | all |
//! | [`limits`], [`bounded`], [`json`] | how much a peer may send, and how it is read | |

pub mod amount;
mod bech32;
pub mod bounded;
mod cbor;
pub mod conditions;
pub mod crypto;
pub mod dleq;
pub mod error;
mod hex;
pub mod json;
pub mod keyset;
pub mod limits;
pub mod lnurl;
pub mod messages;
pub mod method;
pub mod nip19;
pub mod nut08;
pub mod nut13;
pub mod nut20;
pub mod nut27;
pub mod p2bk;
pub mod point;
pub mod proof;
pub mod quote;
pub mod request;
pub mod scalar;
#[cfg(feature = "schema")]
mod schema;
pub mod secret;
mod text;
pub mod token;
pub mod unit;
pub mod url;

pub use amount::{Amount, AmountError, input_fee};
pub use bech32::Bech32Error;
pub use bounded::{BoundedVec, TooManyItems};
pub use cbor::CborError;
pub use crypto::{Curve, DleqError, InfinityError};
pub use dleq::{Dleq, ProofDleq};
pub use error::{ErrorCode, ErrorResponse};
pub use hex::HexError;
pub use json::{JsonError, from_json};
pub use keyset::{
    KeysetError, KeysetId, KeysetKeys, KeysetVersion, ShortKeysetId, TokenKeysetId, resolve_short_id, verify_keyset_id,
};
pub use limits::*;
pub use lnurl::{PayAddress, PayAddressError, PayInvoice, PayParameters, PayParametersError, PayRefusal};
pub use messages::*;
pub use method::{PaymentMethod, PaymentMethodError};
pub use nip19::{NostrProfile, NostrProfileError};
pub use point::{PointBytes, PointError, PublicKey};
pub use proof::{BlindSignature, BlindedMessage, Inputs, Outputs, Proof, Witness, WitnessTooLong};
pub use quote::{QuoteId, QuoteIdError};
pub use request::{
    LockKind, PaymentPayload, PaymentRequest, PaymentRequestError, RequestParts, RequestedLock, Transport,
    TransportTarget,
};
pub use scalar::{BlindingFactor, Scalar32, ScalarError, SecretKey};
pub use secret::{Secret, SecretError};
pub use text::neutralise;
pub use token::{Token, TokenError, TokenProof, TokenV3, TokenV3Entry, TokenV4};
pub use unit::{CurrencyUnit, CustomUnit, UnitError};
pub use url::{EndpointUrl, MintUrl, MintUrlError};

/// Runs the example of the readme.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
