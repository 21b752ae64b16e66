//! BOLT11: what the fake reads from an invoice, and how it makes one.

use std::time::Duration;

use bitcoin::Network;
use bitcoin::hashes::{Hash, sha256};
use hazel_mint::ports::Refusal;
use hazel_protocol::MAX_REQUEST_BYTES;
use lightning_invoice::{
    Bolt11Invoice, Currency, Description, ExpiryTime, InvoiceBuilder, PaymentSecret, RawBolt11Invoice,
    SignedRawBolt11Invoice, TaggedField,
};
use secp256k1::{Secp256k1, SecretKey};

use super::error::FakeError;

/// The longest text a BOLT11 description field carries, in bytes. A longer one goes in as its hash.
pub const MAX_DESCRIPTION_BYTES: usize = 639;

/// The most an invoice can ask for, in msat: in BOLT11's pico-bitcoin it still fits 64 bits. Below all the bitcoin there can be.
pub const MAX_MSAT: u64 = u64::MAX / 10;

/// Blocks the last hop has to claim; the value most nodes use.
const MIN_FINAL_CLTV_BLOCKS: u64 = 18;

/// BOLT11's default where an invoice names no expiry, in seconds.
const DEFAULT_EXPIRY_SECS: u64 = 3_600;

/// What the fake needs to know of an invoice it is asked to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) payment_hash: [u8; 32],
    /// `None` where the payer chooses.
    pub(super) amount_msat: Option<u64>,
    pub(super) description: Option<String>,
    /// Seconds since the Unix epoch.
    pub(super) expires_at: u64,
}

/// Reads an invoice of any network, expired or not.
///
/// Asked for are a valid checksum and signature, exactly one payment hash, and an amount in whole msat. A payment secret is not: the
/// fake routes nothing, and invoices from before it was mandatory are still about.
pub(super) fn parse(request: &str) -> Result<Parsed, FakeError> {
    if request.len() > MAX_REQUEST_BYTES {
        return Err(refuse("it is too long"));
    }
    let signed: SignedRawBolt11Invoice = request.parse().map_err(|_| refuse("it cannot be decoded"))?;
    if !signed.check_signature() {
        return Err(refuse("its signature is wrong"));
    }
    let raw = signed.raw_invoice();
    if let Some(features) = raw.features()
        && features.requires_unknown_bits()
    {
        return Err(refuse("it asks for a feature nobody here knows"));
    }
    let expiry = raw.expiry_time().map_or(DEFAULT_EXPIRY_SECS, ExpiryTime::as_seconds);
    Ok(Parsed {
        payment_hash: payment_hash(raw)?,
        amount_msat: amount_msat(raw)?,
        description: raw.description().map(|text| text.as_inner().0.clone()),
        expires_at: raw.data.timestamp.as_unix_timestamp().saturating_add(expiry),
    })
}

fn refuse(why: &str) -> FakeError {
    FakeError::Refused(Refusal::NotAnInvoice, format!("not a valid BOLT11 invoice: {why}"))
}

/// Two hashes would let two readers disagree about what was paid.
fn payment_hash(raw: &RawBolt11Invoice) -> Result<[u8; 32], FakeError> {
    let mut hashes = raw.known_tagged_fields().filter_map(|field| match field {
        TaggedField::PaymentHash(hash) => Some(hash.0.to_byte_array()),
        _ => None,
    });
    match (hashes.next(), hashes.next()) {
        (Some(hash), None) => Ok(hash),
        (None, _) => Err(refuse("it has no payment hash")),
        (Some(_), Some(_)) => Err(refuse("it has two payment hashes")),
    }
}

fn amount_msat(raw: &RawBolt11Invoice) -> Result<Option<u64>, FakeError> {
    // The library answers `None` both for no amount and for one that overflows.
    if raw.hrp.raw_amount.is_none() {
        return Ok(None);
    }
    let pico = raw.amount_pico_btc().ok_or_else(|| refuse("its amount is too large"))?;
    if pico % 10 != 0 {
        return Err(refuse("its amount is not in whole msat"));
    }
    match pico / 10 {
        0 => Err(refuse("its amount is zero")),
        msat if msat > MAX_MSAT => Err(refuse("its amount is too large")),
        msat => Ok(Some(msat)),
    }
}

/// Everything an invoice is made of. Made with a key of its own it is an invoice of some other node, which the fake pays and cannot
/// know the preimage of: the way tests get one.
///
/// ```
/// use hazel_lightning::fake::InvoiceSpec;
///
/// let spec = InvoiceSpec::foreign([7; 32], Some(10_500), r#"{"pay_invoice_state":"PENDING"}"#, 1_700_000_000);
/// assert!(spec.build()?.starts_with("lnbcrt105n1"));
/// # Ok::<(), hazel_lightning::fake::FakeError>(())
/// ```
#[derive(Clone)]
pub struct InvoiceSpec {
    /// Which bitcoin.
    pub network: Network,
    /// `None` where the payer chooses.
    pub amount_msat: Option<u64>,
    /// Shown to the payer; over [`MAX_DESCRIPTION_BYTES`] only its hash goes in.
    pub description: String,
    /// 32 bytes whose SHA-256 is the payment hash.
    pub preimage: [u8; 32],
    /// The payee's secret key; must be a valid scalar.
    pub node_secret: [u8; 32],
    /// BOLT11's `s` field.
    pub payment_secret: [u8; 32],
    /// When it was made, in seconds since the Unix epoch.
    pub created_at: u64,
    /// How long it can be paid, in seconds.
    pub expiry_secs: u64,
}

impl std::fmt::Debug for InvoiceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InvoiceSpec")
            .field("network", &self.network)
            .field("amount_msat", &self.amount_msat)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

impl InvoiceSpec {
    /// An invoice of a regtest node that is not on the ledger, good for an hour. Distinct preimages make distinct invoices.
    pub fn foreign(
        preimage: [u8; 32],
        amount_msat: Option<u64>,
        description: impl Into<String>,
        created_at: u64,
    ) -> Self {
        Self {
            network: Network::Regtest,
            amount_msat,
            description: description.into(),
            preimage,
            node_secret: [0x11; 32],
            payment_secret: [0x22; 32],
            created_at,
            expiry_secs: DEFAULT_EXPIRY_SECS,
        }
    }

    /// SHA-256 of the preimage.
    pub fn payment_hash(&self) -> [u8; 32] {
        sha256::Hash::hash(&self.preimage).to_byte_array()
    }

    /// The signed BOLT11 text.
    ///
    /// # Errors
    /// [`FakeError::Refused`] when the amount is zero or more than there is, the key is not one, or the time does not fit BOLT11.
    pub fn build(&self) -> Result<String, FakeError> {
        if self.amount_msat.is_some_and(|msat| msat == 0 || msat > MAX_MSAT) {
            return Err(FakeError::Refused(Refusal::AmountImpossible, "the amount is zero or too large".into()));
        }
        let key = SecretKey::from_slice(&self.node_secret)
            .map_err(|_| FakeError::Refused(Refusal::Other, "the node's secret is not a key".into()))?;
        self.sign(&key)
            .map(|invoice| invoice.to_string())
            .map_err(|e| FakeError::Refused(Refusal::Other, e.to_string()))
    }

    fn sign(&self, key: &SecretKey) -> Result<Bolt11Invoice, lightning_invoice::CreationError> {
        let mut builder = InvoiceBuilder::new(Currency::from(self.network))
            .payment_hash(sha256::Hash::hash(&self.preimage))
            .duration_since_epoch(Duration::from_secs(self.created_at))
            .expiry_time(Duration::from_secs(self.expiry_secs))
            .min_final_cltv_expiry_delta(MIN_FINAL_CLTV_BLOCKS)
            .payment_secret(PaymentSecret(self.payment_secret))
            .basic_mpp();
        if let Some(msat) = self.amount_msat {
            builder = builder.amount_milli_satoshis(msat);
        }
        let secp = Secp256k1::signing_only();
        let sign = |hash: &_| secp.sign_ecdsa_recoverable(hash, key);
        if self.description.len() > MAX_DESCRIPTION_BYTES {
            builder.description_hash(sha256::Hash::hash(self.description.as_bytes())).build_signed(sign)
        } else {
            let text = Description::new(self.description.clone())?.into_inner().0;
            builder.description(text).build_signed(sign)
        }
    }
}
