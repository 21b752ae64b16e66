//! Rows and changes to test with. Everything is a function of small numbers, so that a failure names what it is about.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use hazel_protocol::{
    Amount, CurrencyUnit, Curve, Dleq, KeysetId, KeysetKeys, PointBytes, PublicKey, QuoteId, Scalar32, SecretKey,
    Witness, crypto::hash_to_curve,
};

use crate::Rate;
use crate::ports::{
    AddKeyset, Administer, BindSeed, Change, CreditMintQuote, DispatchMelt, InputRow, Issue, KeysetOrigin,
    KeysetRecord, LatchKeyset, MeltOutcome, MeltQuote, MeltQuoteStatus, MintQuote, OpenMeltQuote, OpenMintQuote,
    OperationId, OutputRow, OwnerId, PaidEvidence, PaymentProof, Prune, RecordMelt, ReleaseMelt, ReleaseSwap,
    ReserveMelt, ReserveSwap, ResolveSwap, SettleInternally, SettleMelt, SettleSwap, SignedRow, TakeOver, Timestamp,
};

/// The time at which everything happens unless a case says otherwise.
pub(super) const NOW: Timestamp = Timestamp::from_unix(1_700_000_000);

/// Two process starts.
pub(super) const ALICE: OwnerId = OwnerId::from_bytes([0xa1; 16]);
pub(super) const BOB: OwnerId = OwnerId::from_bytes([0xb0; 16]);
pub(super) const CAROL: OwnerId = OwnerId::from_bytes([0xca; 16]);

/// A change, whole or as the struct of its event.
pub trait IntoChange {
    /// The change.
    fn into_change(self) -> Change;
}

impl IntoChange for Change {
    fn into_change(self) -> Change {
        self
    }
}

macro_rules! into_change {
    ($($event:ident),* $(,)?) => {
        $(impl IntoChange for $event {
            fn into_change(self) -> Change {
                Change::$event(self)
            }
        })*
    };
}

into_change!(
    BindSeed,
    AddKeyset,
    LatchKeyset,
    Administer,
    OpenMintQuote,
    CreditMintQuote,
    Issue,
    ReserveSwap,
    SettleSwap,
    ReleaseSwap,
    ResolveSwap,
    OpenMeltQuote,
    ReserveMelt,
    DispatchMelt,
    RecordMelt,
    SettleMelt,
    SettleInternally,
    ReleaseMelt,
    TakeOver,
    Prune,
);

/// The Y of proof `n`.
pub(super) fn y(n: u32) -> PointBytes {
    point('y', n)
}

/// The `B_` of output `n`.
pub(super) fn b(n: u32) -> PointBytes {
    point('b', n)
}

fn point(kind: char, n: u32) -> PointBytes {
    static CACHE: LazyLock<Mutex<BTreeMap<(char, u32), PointBytes>>> = LazyLock::new(Mutex::default);
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    *cache.entry((kind, n)).or_insert_with(|| hash_to_curve(format!("{kind}{n}").as_bytes()).into())
}

/// Operation `n`; later numbers sort later.
pub(super) fn operation(n: u32) -> OperationId {
    let mut bytes = [0x01; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    OperationId::from_bytes(bytes)
}

/// The keysets of the suite: `sat` index 0 and 1, `usd` index 0.
pub(super) struct Keysets {
    pub(super) sat: KeysetRecord,
    pub(super) sat_next: KeysetRecord,
    pub(super) usd: KeysetRecord,
}

pub(super) static KEYSETS: LazyLock<Keysets> = LazyLock::new(|| Keysets {
    sat: keyset(CurrencyUnit::Sat, 0, 100),
    sat_next: keyset(CurrencyUnit::Sat, 1, 200),
    usd: keyset(CurrencyUnit::Usd, 0, 0),
});

pub(super) fn sat() -> KeysetId {
    KEYSETS.sat.id
}

pub(super) fn sat_next() -> KeysetId {
    KEYSETS.sat_next.id
}

pub(super) fn usd() -> KeysetId {
    KEYSETS.usd.id
}

/// An active keyset with real keys for 1, 2, 4, .. 128.
pub(super) fn keyset(unit: CurrencyUnit, index: u32, input_fee_ppk: u64) -> KeysetRecord {
    let first = u8::try_from(index % 8).expect("below 8") * 16 + 1;
    let keys = (0..8u8).map(|power| (Amount::from_u64(1 << power), public_key(first + power))).collect();
    let keys = KeysetKeys::new(keys).expect("eight keys");
    KeysetRecord {
        id: keys.id_v2(&unit, input_fee_ppk, None),
        unit,
        origin: KeysetOrigin::Seed { index },
        active: true,
        input_fee_ppk,
        final_expiry: None,
        keys,
        created_at: NOW,
        latched: false,
    }
}

/// The public key of the secret key `k`.
fn public_key(k: u8) -> PublicKey {
    static CURVE: LazyLock<Curve> = LazyLock::new(|| Curve::new(&[7; 32]));
    let mut bytes = [0; 32];
    bytes[31] = k;
    SecretKey::from_bytes(&bytes).expect("a small scalar").public_key(&CURVE)
}

/// Proof `n`.
pub(super) fn input(n: u32, keyset: KeysetId, amount: u64) -> InputRow {
    let witness = (n.is_multiple_of(2)).then(|| Witness::new(format!("{{\"signatures\":[\"{n}\"]}}")).expect("short"));
    InputRow { y: y(n), keyset, amount: Amount::from_u64(amount), c: point('c', n), witness }
}

/// Output `n`.
pub(super) fn output(n: u32, keyset: KeysetId, amount: u64) -> OutputRow {
    OutputRow { b: b(n), keyset, amount: Amount::from_u64(amount) }
}

/// An output with a signature that belongs to its `B_`.
pub(super) fn sign(output: &OutputRow) -> SignedRow {
    sign_as(output, output.amount)
}

/// A blank with the amount imprinted on it.
pub(super) fn sign_as(output: &OutputRow, amount: Amount) -> SignedRow {
    let mut e = [0; 32];
    e.copy_from_slice(&output.b.as_bytes()[1..]);
    let c = hash_to_curve(output.b.as_bytes()).into();
    let dleq = Dleq { e: Scalar32::from_bytes(e), s: Scalar32::from_bytes([0x5a; 32]) };
    SignedRow { output: OutputRow { amount, ..output.clone() }, c, dleq }
}

pub(super) fn sign_all(outputs: &[OutputRow]) -> Vec<SignedRow> {
    outputs.iter().map(sign).collect()
}

/// A hash that only invoice `n` has.
pub(super) fn payment_hash(n: u32) -> [u8; 32] {
    let mut hash = [0xee; 32];
    hash[..4].copy_from_slice(&n.to_be_bytes());
    hash
}

/// The id of a quote.
pub(super) fn quote_id(kind: &str, n: u32) -> QuoteId {
    QuoteId::new(format!("{kind}-{n:08}")).expect("a valid id")
}

/// A mint quote and what is done with it: 16 sat, opened at `NOW + n`, issued as two outputs by operation `1000 + n`.
#[derive(Clone)]
pub(super) struct Minting {
    pub(super) quote: MintQuote,
    pub(super) operation: OperationId,
    pub(super) outputs: Vec<OutputRow>,
}

impl Minting {
    pub(super) fn new(n: u32) -> Self {
        Self::of(n, sat(), CurrencyUnit::Sat, &[8, 8])
    }

    pub(super) fn of(n: u32, keyset: KeysetId, unit: CurrencyUnit, amounts: &[u64]) -> Self {
        let outputs = (1000 + n * 10..).zip(amounts).map(|(b, amount)| output(b, keyset, *amount)).collect();
        let created_at = NOW.plus(n.into());
        let quote = MintQuote {
            id: quote_id("mint", n),
            method: "bolt11".to_owned(),
            unit,
            rate: Rate::SAT,
            amount: Some(Amount::from_u64(amounts.iter().sum())),
            request: format!("lnbc1mint{n}"),
            payment_hash: payment_hash(n),
            pubkey: (n.is_multiple_of(2)).then(|| public_key(99)),
            expiry: created_at.plus(600),
            created_at,
            updated_at: created_at,
            amount_paid: Amount::ZERO,
            amount_issued: Amount::ZERO,
        };
        Self { quote, operation: operation(1000 + n), outputs }
    }

    pub(super) fn amount(&self) -> Amount {
        self.quote.amount.expect("every fixture has one")
    }

    pub(super) fn open(&self) -> OpenMintQuote {
        OpenMintQuote { quote: self.quote.clone() }
    }

    /// All of it arrives, under a credit id of its own.
    pub(super) fn credit(&self) -> CreditMintQuote {
        CreditMintQuote {
            quote: self.quote.id.clone(),
            credit: format!("credit-{}", self.quote.id),
            amount: self.amount(),
            cursor: None,
            now: NOW,
        }
    }

    pub(super) fn issue(&self) -> Issue {
        Issue {
            operation: self.operation,
            draws: vec![(self.quote.id.clone(), self.amount())],
            outputs: sign_all(&self.outputs),
            now: NOW,
        }
    }
}

/// A swap by Alice: operation `n`, proofs of 8 and 2 sat against outputs of 8 and 1, and a fee of 1.
#[derive(Clone)]
pub(super) struct Swap {
    pub(super) operation: OperationId,
    pub(super) owner: OwnerId,
    pub(super) inputs: Vec<InputRow>,
    pub(super) outputs: Vec<OutputRow>,
    pub(super) fees: Vec<(KeysetId, Amount)>,
}

impl Swap {
    pub(super) fn new(n: u32) -> Self {
        Self {
            operation: operation(n),
            owner: ALICE,
            inputs: vec![input(10 * n, sat(), 8), input(10 * n + 1, sat(), 2)],
            outputs: vec![output(10 * n + 1, sat(), 8), output(10 * n, sat(), 1)],
            fees: vec![(sat(), Amount::from_u64(1))],
        }
    }

    pub(super) fn reserve(&self) -> ReserveSwap {
        ReserveSwap {
            operation: self.operation,
            owner: self.owner,
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            now: NOW,
        }
    }

    pub(super) fn signed(&self) -> Vec<SignedRow> {
        sign_all(&self.outputs)
    }

    pub(super) fn settle(&self) -> SettleSwap {
        SettleSwap {
            operation: self.operation,
            owner: self.owner,
            outputs: self.signed(),
            fees: self.fees.clone(),
            now: NOW,
        }
    }

    pub(super) fn release(&self) -> ReleaseSwap {
        ReleaseSwap { operation: self.operation, owner: self.owner, now: NOW }
    }

    pub(super) fn resolve(&self) -> ResolveSwap {
        ResolveSwap { operation: self.operation, owner: self.owner, now: NOW }
    }

    pub(super) fn take_over(&self, to: OwnerId) -> TakeOver {
        TakeOver { operation: self.operation, from: self.owner, to, now: NOW }
    }
}

/// A melt by Alice: operation `n`, quote of 8 sat with a reserve of 2, proofs of 8 and 4 sat, two blanks; 1 sat of change
/// on the first blank, 2 kept.
#[derive(Clone)]
pub(super) struct Melt {
    pub(super) quote: MeltQuote,
    pub(super) operation: OperationId,
    pub(super) owner: OwnerId,
    pub(super) inputs: Vec<InputRow>,
    pub(super) blanks: Vec<OutputRow>,
    pub(super) change: Vec<SignedRow>,
    pub(super) fees: Vec<(KeysetId, Amount)>,
}

impl Melt {
    pub(super) fn new(n: u32) -> Self {
        let blanks = vec![output(10 * n + 1, sat(), 0), output(10 * n, sat(), 0)];
        Self {
            quote: melt_quote(n),
            operation: operation(n),
            owner: ALICE,
            inputs: vec![input(10 * n, sat(), 8), input(10 * n + 1, sat(), 4)],
            change: vec![sign_as(&blanks[0], Amount::from_u64(1))],
            blanks,
            fees: vec![(sat(), Amount::from_u64(2))],
        }
    }

    pub(super) fn open(&self) -> OpenMeltQuote {
        OpenMeltQuote { quote: self.quote.clone() }
    }

    pub(super) fn reserve(&self) -> ReserveMelt {
        ReserveMelt {
            operation: self.operation,
            owner: self.owner,
            quote: self.quote.id.clone(),
            inputs: self.inputs.clone(),
            blanks: self.blanks.clone(),
            now: NOW,
        }
    }

    pub(super) fn dispatch(&self) -> DispatchMelt {
        DispatchMelt { operation: self.operation, owner: self.owner, not_after: NOW.plus(60), now: NOW }
    }

    pub(super) fn record(&self, outcome: MeltOutcome) -> RecordMelt {
        RecordMelt { operation: self.operation, owner: self.owner, outcome, now: NOW }
    }

    pub(super) fn settle(&self) -> SettleMelt {
        SettleMelt { operation: self.operation, change: self.change.clone(), fees: self.fees.clone(), now: NOW.plus(5) }
    }

    /// Settles with the mint quote of the same invoice: 8 of the 12 are credited.
    pub(super) fn settle_internally(&self, mint_quote: &MintQuote) -> SettleInternally {
        SettleInternally {
            operation: self.operation,
            owner: self.owner,
            mint_quote: mint_quote.id.clone(),
            amount: Amount::from_u64(8),
            change: self.change.clone(),
            fees: vec![(sat(), Amount::from_u64(3))],
            preimage: Some([0x11; 32]),
            now: NOW.plus(5),
        }
    }

    pub(super) fn release(&self) -> ReleaseMelt {
        ReleaseMelt { operation: self.operation, owner: self.owner, quote: self.quote.id.clone(), now: NOW.plus(9) }
    }

    pub(super) fn take_over(&self, to: OwnerId) -> TakeOver {
        TakeOver { operation: self.operation, from: self.owner, to, now: NOW }
    }
}

/// Melt quote `n`, for an invoice of its own.
pub(super) fn melt_quote(n: u32) -> MeltQuote {
    MeltQuote {
        id: quote_id("melt", n),
        method: "bolt11".to_owned(),
        unit: CurrencyUnit::Sat,
        rate: Rate::SAT,
        request: format!("lnbc1melt{n}"),
        payment_hash: payment_hash(50_000 + n),
        amount_msat: 7_500,
        amount: Amount::from_u64(8),
        fee_reserve: Amount::from_u64(2),
        expiry: NOW.plus(900),
        created_at: NOW,
        updated_at: NOW,
        status: MeltQuoteStatus::Unpaid,
        operation: None,
        preimage: None,
    }
}

/// Evidence with a preimage.
pub(super) fn evidence() -> PaidEvidence {
    PaidEvidence { proof: PaymentProof::Preimage([0x42; 32]), total_msat: 8_900 }
}

/// What is issued of the keysets `sat` and `usd` by [`Bench::fund`](super::Bench::fund).
pub(super) const FUNDS: u64 = 255;

impl super::Bench {
    /// Adds the keysets `sat` and `usd` and issues [`FUNDS`] of each.
    pub(super) async fn fund(&self) {
        self.accept(AddKeyset { keyset: KEYSETS.sat.clone() }).await;
        self.accept(AddKeyset { keyset: KEYSETS.usd.clone() }).await;
        let denominations = [1, 2, 4, 8, 16, 32, 64, 128];
        self.mint(&Minting::of(900_000, sat(), CurrencyUnit::Sat, &denominations)).await;
        self.mint(&Minting::of(900_001, usd(), CurrencyUnit::Usd, &denominations)).await;
    }

    /// Opens, credits and issues.
    pub(super) async fn mint(&self, minting: &Minting) {
        self.accept(minting.open()).await;
        self.accept(minting.credit()).await;
        self.accept(minting.issue()).await;
    }

    /// Swap `n`, reserved.
    pub(super) async fn reserved_swap(&self, n: u32) -> Swap {
        let swap = Swap::new(n);
        self.accept(swap.reserve()).await;
        swap
    }

    /// Melt `n`, its quote opened and its inputs reserved.
    pub(super) async fn reserved_melt(&self, n: u32) -> Melt {
        let melt = Melt::new(n);
        self.accept(melt.open()).await;
        self.accept(melt.reserve()).await;
        melt
    }
}
