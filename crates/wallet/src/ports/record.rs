//! What the store keeps, as plain data.

use std::fmt;

use hazel_protocol::{Amount, CurrencyUnit, KeysetId, KeysetWithKeys, MintInfo, MintUrl, PointBytes, Proof};
use serde::{Deserialize, Serialize};

use super::Timestamp;
use crate::errand::Errand;
use crate::state::State;

macro_rules! id16 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// Wraps the 16 bytes of an id.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Uuid::from_bytes(bytes))
            }

            /// The id as it is stored.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.parse().map(Self).map_err(|_| InvalidId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// A text is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an operation id")]
pub struct InvalidId;

id16! {
    /// One operation of a wallet: a UUID v7, so that later ids sort later. Never reused.
    OperationId
}

id16! {
    /// One errand of a wallet: a UUID v7. Never reused.
    ErrandId
}

id16! {
    /// One opening of a store. An operation belongs to the session that drives it.
    SessionId
}

id16! {
    /// Names a seed without telling anything about it. Counters belong to a seed and a keyset.
    SeedFingerprint
}

/// A mint that the user added. The wallet deals with no other.
#[derive(Debug, Clone, PartialEq)]
pub struct MintRecord {
    /// Where it is reached.
    pub url: MintUrl,
    /// What it last said about itself.
    pub info: Option<MintInfo>,
    /// When the user added it.
    pub added_at: Timestamp,
    /// When info and keysets were last fetched.
    pub refreshed_at: Option<Timestamp>,
}

/// A keyset of a mint. Everything but `keyset.active` stays as first seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysetRecord {
    /// The mint it belongs to.
    pub mint: MintUrl,
    /// The keyset; the id was checked against the keys.
    pub keyset: KeysetWithKeys,
}

/// What a proof can be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProofStatus {
    /// Free to spend.
    Available,
    /// Held by an unfinished operation.
    Held,
    /// Handed out in a token that nobody has been seen to claim.
    Sent,
    /// Spent, by evidence from the mint. Final.
    Spent,
}

impl ProofStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Available, Self::Held, Self::Sent, Self::Spent];

    /// The stored spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::Held => "Held",
            Self::Sent => "Sent",
            Self::Spent => "Spent",
        }
    }

    /// Reads the stored spelling; `None` for any other text.
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A proof that the wallet has or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofRecord {
    /// `hash_to_curve(secret)`, the key of the row.
    pub y: PointBytes,
    /// The mint that owes for it.
    pub mint: MintUrl,
    /// The unit of its keyset.
    pub unit: CurrencyUnit,
    /// The money itself, with the DLEQ proof for whoever gets it.
    pub proof: Proof,
    /// What it can be used for.
    pub status: ProofStatus,
    /// The unfinished operation that holds it; set exactly while [`ProofStatus::Held`].
    pub held_by: Option<OperationId>,
    /// The operation whose token it was handed out in.
    pub sent_by: Option<OperationId>,
    /// The seed and counter it was derived from.
    pub origin: Option<Origin>,
}

/// Where the secret of a proof came from (NUT-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The seed.
    pub seed: SeedFingerprint,
    /// The counter under the keyset of the proof.
    pub counter: u64,
}

/// An operation: what is asked of the mint and how far it got.
///
/// The row stays when the operation has finished; its [`state`](Self::state) then says how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRecord {
    /// Its id.
    pub id: OperationId,
    /// The mint.
    pub mint: MintUrl,
    /// The unit.
    pub unit: CurrencyUnit,
    /// The seed its outputs derive from.
    pub seed: SeedFingerprint,
    /// 1 when it begins, one more with each step.
    pub version: u64,
    /// Who drives it.
    pub session: SessionId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// How far it got.
    pub state: State,
}

/// An errand, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrandRecord {
    /// Its id.
    pub id: ErrandId,
    /// 1 when it is first kept, one more with each change.
    pub version: u64,
    /// When it was first kept.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// What it is.
    pub errand: Errand,
}

/// What an operation was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OperationKind {
    /// Ecash for a paid invoice (NUT-04).
    Mint,
    /// A token for somebody else.
    Send,
    /// A token from somebody else (NUT-03).
    Receive,
    /// Proofs exchanged for own new ones (NUT-03).
    Swap,
    /// An invoice paid with ecash (NUT-05).
    Melt,
    /// Proofs found again by the seed (NUT-13).
    Restore,
}

impl OperationKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Mint, Self::Send, Self::Receive, Self::Swap, Self::Melt, Self::Restore];

    /// The stored spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mint => "Mint",
            Self::Send => "Send",
            Self::Receive => "Receive",
            Self::Swap => "Swap",
            Self::Melt => "Melt",
            Self::Restore => "Restore",
        }
    }

    /// Reads the stored spelling; `None` for any other text.
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Which way money moves.
    pub const fn direction(self) -> Direction {
        match self {
            Self::Mint | Self::Receive | Self::Restore => Direction::In,
            Self::Send | Self::Melt => Direction::Out,
            Self::Swap => Direction::Within,
        }
    }
}

/// Which way money moves, seen from the wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// Into the wallet.
    In,
    /// Out of the wallet.
    Out,
    /// From the wallet to itself.
    Within,
}

/// One line of the history: an operation that was completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The operation.
    pub operation: OperationId,
    /// The mint.
    pub mint: MintUrl,
    /// The unit.
    pub unit: CurrencyUnit,
    /// What it was for; also says the [`direction`](OperationKind::direction).
    pub kind: OperationKind,
    /// What came in, went out to the other side, or was exchanged, in the minor unit; without `fee`.
    pub amount: Amount,
    /// What mint and network took, in the minor unit.
    pub fee: Amount,
    /// When it was completed.
    pub at: Timestamp,
    /// The memo of the token, as its sender wrote it: show it through [`hazel_protocol::neutralise`].
    pub memo: Option<String>,
    /// The invoice that was paid, for mint and melt.
    pub invoice: Option<String>,
    /// The proof of payment, for melt.
    pub preimage: Option<String>,
}

/// What the store holds of one mint and unit, in the minor unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceRecord {
    /// The mint.
    pub mint: MintUrl,
    /// The unit.
    pub unit: CurrencyUnit,
    /// Free to spend.
    pub available: Amount,
    /// Held by unfinished operations.
    pub held: Amount,
    /// In tokens that were handed out and not seen claimed.
    pub sent: Amount,
}

/// How far a seed has counted under a keyset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CounterRecord {
    /// The keyset.
    pub keyset: KeysetId,
    /// The first counter that was never used.
    pub next: u64,
}
