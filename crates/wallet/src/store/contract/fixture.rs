//! Small worlds for the suite.

use std::collections::BTreeMap;

use hazel_protocol::{
    Amount, CurrencyUnit, Dleq, KeysetKeys, KeysetWithKeys, MintUrl, PaymentRequest, PointBytes, Proof, QuoteId,
    RequestParts, Scalar32, Secret, Witness, crypto,
};

use crate::errand::{Errand, RequestErrand};
use crate::ports::{
    AddMint, Change, ErrandId, ErrandRecord, HistoryEntry, Moves, OperationId, OperationKind, OperationRecord, Origin,
    ProofRecord, ProofStatus, RecordKeysets, SeedFingerprint, SessionId, Step, Store, Timestamp,
};
use crate::state::{MintExpired, MintQuoted, SendCompleted, SendPrepared, State};

/// The mint of this number.
pub(super) fn mint(number: u8) -> MintUrl {
    format!("https://mint{number}.example").parse().expect("a sound url")
}

/// The keyset of this number; odd ones are of version 2.
pub(super) fn keyset(number: u8) -> KeysetWithKeys {
    let amounts = (0..4u32).map(|power| Amount::from_u64(1 << power));
    let key = |amount: Amount| crypto::hash_to_curve(format!("key {number} {amount}").as_bytes());
    let keys: BTreeMap<_, _> = amounts.map(|amount| (amount, key(amount))).collect();
    let keys = KeysetKeys::new(keys).expect("sound keys");
    let input_fee_ppk = u64::from(number) * 100;
    let id = if number % 2 == 1 { keys.id_v2(&CurrencyUnit::Sat, input_fee_ppk, None) } else { keys.id_v1() };
    KeysetWithKeys { id, unit: CurrencyUnit::Sat, active: true, input_fee_ppk, final_expiry: None, keys }
}

/// The seed of this number.
pub(super) fn seed(number: u8) -> SeedFingerprint {
    SeedFingerprint::from_bytes([number; 16])
}

/// The operation id of this number.
pub(super) fn id(number: u8) -> OperationId {
    OperationId::from_bytes([number; 16])
}

/// The free proof of this number, of mint 0.
pub(super) fn proof(number: u8) -> ProofRecord {
    let secret = Secret::new(format!("secret {number}")).expect("a sound secret");
    let y = PointBytes::from(&secret.y());
    let scalar = Scalar32::from_bytes([number.saturating_add(1); 32]);
    let r = [number.saturating_add(1); 32];
    let r = hazel_protocol::BlindingFactor::from_bytes(&r).expect("a sound scalar");
    let has_extras = number.is_multiple_of(2);
    ProofRecord {
        y,
        mint: mint(0),
        unit: CurrencyUnit::Sat,
        proof: Proof {
            amount: Amount::from_u64(1 << (number % 4)),
            id: keyset(number % 2).id,
            secret,
            c: PointBytes::from(&crypto::hash_to_curve(&[number])),
            witness: has_extras.then(|| Witness::new("{}").expect("short")),
            dleq: has_extras.then(|| Dleq { e: scalar, s: scalar }.with_blinding_factor(r)),
            p2pk_e: has_extras.then(|| PointBytes::from(crypto::hash_to_curve(&[number, 1]))),
        },
        status: ProofStatus::Available,
        held_by: None,
        sent_by: None,
        origin: has_extras.then(|| Origin { seed: seed(1), counter: u64::from(number) }),
    }
}

/// An unfinished state.
pub(super) fn prepared(amount: u64) -> State {
    let amount = Amount::from_u64(amount);
    let memo = Some("memo \u{1b} \u{0} ü".to_owned());
    SendPrepared { amount, token_value: amount, fee: Amount::ZERO, swap: true, memo, lock: None }.into()
}

/// A finished state.
pub(super) fn completed() -> State {
    SendCompleted { token_value: Amount::from_u64(7), memo: None }.into()
}

/// A finished state that is watched.
pub(super) fn expired() -> State {
    let quoted = MintQuoted {
        quote: QuoteId::new("quote").expect("a sound id"),
        request: "lnbc1".to_owned(),
        amount: Amount::from_u64(5),
        expiry: Some(u64::MAX),
        paid: false,
        lock: None,
    };
    MintExpired { quoted }.into()
}

/// A row of mint 0.
pub(super) fn row(number: u8, version: u64, session: SessionId, state: State) -> OperationRecord {
    OperationRecord {
        id: id(number),
        mint: mint(0),
        unit: CurrencyUnit::Sat,
        seed: seed(1),
        version,
        session,
        created_at: Timestamp::from_unix(1000),
        updated_at: Timestamp::from_unix(1000 + version),
        state,
    }
}

/// A line of the history for a row.
pub(super) fn history(number: u8) -> HistoryEntry {
    HistoryEntry {
        operation: id(number),
        mint: mint(0),
        unit: CurrencyUnit::Sat,
        kind: OperationKind::Send,
        amount: Amount::from_u64(u64::from(number)),
        fee: Amount::from_u64(1),
        at: Timestamp::from_unix(5),
        memo: Some("memo".to_owned()),
        invoice: None,
        preimage: Some("preimage".to_owned()),
    }
}

/// A request that waits to be paid, or was.
pub(super) fn errand(number: u8, version: u64, closed: bool) -> ErrandRecord {
    let request = PaymentRequest::new(RequestParts { description: Some("tea".to_owned()), ..RequestParts::default() });
    let request = request.expect("a request");
    let (received, payments) = (Amount::from_u64(3), 1);
    ErrandRecord {
        id: ErrandId::from_bytes([number; 16]),
        version,
        created_at: Timestamp::from_unix(1),
        updated_at: Timestamp::from_unix(version),
        errand: Errand::Request(RequestErrand { request, incoming: Vec::new(), received, payments, closed }),
    }
}

/// A step without effects on proofs and counters.
pub(super) fn step(operation: OperationRecord) -> Step {
    Step { operation, moves: Moves::default(), counters: Vec::new(), history: None }
}

/// The Ys of some proofs.
pub(super) fn ys(numbers: &[u8]) -> Vec<PointBytes> {
    numbers.iter().map(|number| proof(*number).y).collect()
}

/// Adds mint 0 with its keysets, and proofs 0 to 7.
pub(super) async fn furnish(store: &dyn Store) {
    let at = Timestamp::from_unix(1);
    store.apply(Change::AddMint(AddMint { url: mint(0), at })).await.expect("a new mint");
    let change = RecordKeysets { mint: mint(0), keysets: vec![keyset(0), keyset(1)] };
    store.apply(Change::RecordKeysets(change)).await.expect("new keysets");
    let mut begin = step(row(200, 1, store.session(), prepared(1)));
    begin.moves.add = (0..8).map(proof).collect();
    store.apply(Change::Begin(Box::new(begin))).await.expect("new proofs");
    let settle = step(row(200, 2, store.session(), completed()));
    store.apply(Change::Settle(Box::new(settle))).await.expect("an end");
}
