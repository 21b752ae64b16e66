//! Why a locked proof may not be spent. None of it repeats what a secret or a witness holds.

use std::fmt;

/// A tag whose meaning NUT-11 fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tag {
    /// What signatures cover.
    SigFlag,
    /// More keys of the main pathway.
    Pubkeys,
    /// How many keys of the main pathway must sign.
    NSigs,
    /// When the other pathways open.
    Locktime,
    /// The keys of the refund pathway.
    Refund,
    /// How many keys of the refund pathway must sign.
    NSigsRefund,
}

impl Tag {
    /// Every tag.
    pub const ALL: [Self; 6] =
        [Self::SigFlag, Self::Pubkeys, Self::NSigs, Self::Locktime, Self::Refund, Self::NSigsRefund];

    /// The name in a secret.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SigFlag => "sigflag",
            Self::Pubkeys => "pubkeys",
            Self::NSigs => "n_sigs",
            Self::Locktime => "locktime",
            Self::Refund => "refund",
            Self::NSigsRefund => "n_sigs_refund",
        }
    }

    /// The tag of this name; any other name means nothing to a mint.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| tag.as_str() == name)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a secret in the form of NUT-10 is malformed. Such a proof cannot be spent at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not `[kind, {nonce, data, tags}]` with strings in it.
    #[error("it begins like a spending condition and is not of the form [kind, {{nonce, data, tags}}] (NUT-10)")]
    Shape,
    /// A kind that this code does not know.
    #[error("its kind is neither P2PK nor HTLC")]
    Kind,
    /// A tag without a name, or with an empty string in it.
    #[error("a tag is empty or holds an empty string")]
    EmptyTag,
    /// A tag that may stand once stands twice.
    #[error("its tag {0} appears more than once")]
    Repeated(Tag),
    /// A tag that takes one value has several, or none where one is needed.
    #[error("its tag {0} does not have one value")]
    NotOneValue(Tag),
    /// `sigflag` is neither `SIG_INPUTS` nor `SIG_ALL`.
    #[error("its sigflag is unknown")]
    SigFlag,
    /// A number of signatures that is not positive, or above the number of keys.
    #[error("its tag {0} is not a number from 1 to the number of keys")]
    Count(Tag),
    /// A key that is not a compressed point in hex.
    #[error("a key in it is not a compressed point in hex")]
    Key,
    /// A key twice in one pathway, whatever its parity and hex case.
    #[error("a key in it appears twice")]
    RepeatedKey,
    /// The data of an `HTLC` is not 32 bytes of hex.
    #[error("its hash is not 64 hex digits")]
    Hash,
    /// More keys than [`MAX_KEYS_PER_SECRET`](super::MAX_KEYS_PER_SECRET).
    #[error("it has more keys than this mint checks")]
    TooManyKeys,
}

/// Why a request does not meet the spending conditions of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// A secret is malformed: the proof cannot be spent.
    #[error("the secret of an input is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// One input says `SIG_ALL` and another has another kind, flag, data or tags (NUT-11).
    #[error("an input is locked with SIG_ALL: all inputs must have the same kind, data and tags")]
    Mixed,
    /// The witness is not a JSON object of the form of NUT-11 and NUT-14.
    #[error("a witness is not an object with signatures, and a preimage for an HTLC")]
    Witness,
    /// A signature is not 64 bytes of hex.
    #[error("a signature in a witness is not 128 hex digits")]
    Signature,
    /// More signatures than [`MAX_SIGNATURES_PER_WITNESS`](super::MAX_SIGNATURES_PER_WITNESS).
    #[error("a witness has more signatures than this mint checks")]
    TooManySignatures,
    /// More work than [`MAX_VERIFICATIONS`](super::MAX_VERIFICATIONS).
    #[error("the inputs need more signatures checked than this mint does for one request, spend fewer at a time")]
    TooMuchWork,
    /// No preimage in the witness of an `HTLC`.
    #[error("the preimage of a hash lock is missing")]
    PreimageMissing,
    /// The preimage is not 32 bytes of hex, or hashes to something else.
    #[error("the preimage of a hash lock is wrong")]
    PreimageWrong,
    /// No witness, or one without signatures.
    #[error("an input is locked and its witness has no signatures")]
    Unsigned,
    /// Too few keys have signed this message.
    #[error("too few keys of an input's lock have signed this request")]
    TooFewSignatures,
}
