//! Clients that move money through a ledger, and what must be found of it afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hazel_mint::Rate;
use hazel_mint::ports::{
    AddKeyset, Applied, ApplyError, BindSeed, Change, CreditMintQuote, DispatchMelt, InputRow, InputState, Issue,
    KeysetOrigin, KeysetRecord, MeltOutcome, MeltQuote, MeltQuoteStatus, MintQuote, OpenMeltQuote, OpenMintQuote,
    OperationId, OperationState, OutputRow, OwnerId, PaidEvidence, PaymentProof, RecordMelt, ReleaseSwap, ReserveMelt,
    ReserveSwap, SettleMelt, SettleSwap, SignedRow, Store, Timestamp,
};
use hazel_mint::store::contract::{Known, Snapshot};
use hazel_protocol::crypto::hash_to_curve;
use hazel_protocol::{Amount, CurrencyUnit, Dleq, KeysetId, KeysetKeys, PointBytes, QuoteId, Scalar32, Witness};

/// When everything happens.
pub const NOW: Timestamp = Timestamp::from_unix(1_700_000_000);
/// A text that a wallet shows the mint and that the ledger stores.
pub const PLANTED_REQUEST: &str = "lnbc1plantedrequest";
const OWNER: OwnerId = OwnerId::from_bytes([7; 16]);

fn amount(value: u64) -> Amount {
    Amount::from_u64(value)
}

/// A keyset of the unit sat with real keys.
pub fn keyset() -> KeysetRecord {
    let keys: BTreeMap<_, _> =
        (0..8_u32).map(|power| (amount(1 << power), hash_to_curve(&power.to_be_bytes()))).collect();
    let keys = KeysetKeys::new(keys).expect("eight keys");
    KeysetRecord {
        id: keys.id_v2(&CurrencyUnit::Sat, 0, None),
        unit: CurrencyUnit::Sat,
        origin: KeysetOrigin::Seed { index: 0 },
        active: true,
        input_fee_ppk: 0,
        final_expiry: None,
        keys,
        created_at: NOW,
        latched: false,
    }
}

/// Bytes like those of a point: the ledger never does arithmetic with them.
fn point(kind: u8, client: u32, number: u32) -> PointBytes {
    let mut bytes = [kind; 33];
    bytes[0] = 2;
    bytes[1..5].copy_from_slice(&client.to_be_bytes());
    bytes[5..9].copy_from_slice(&number.to_be_bytes());
    PointBytes::from_bytes(&bytes).expect("the shape of a point")
}

fn operation(client: u32, number: u32) -> OperationId {
    let mut bytes = [1; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes[4..8].copy_from_slice(&client.to_be_bytes());
    OperationId::from_bytes(bytes)
}

fn hash(kind: u8, client: u32, number: u32) -> [u8; 32] {
    let mut bytes = [kind; 32];
    bytes.copy_from_slice(&point(kind, client, number).as_bytes()[1..]);
    bytes
}

fn quote_id(kind: &str, client: u32, number: u32) -> QuoteId {
    QuoteId::new(format!("{kind}-{client}-{number}")).expect("a quote id")
}

fn input(client: u32, number: u32, keyset: KeysetId, value: u64) -> InputRow {
    let witness = Some(Witness::new("{\"signatures\":[]}").expect("short"));
    InputRow { y: point(0xa1, client, number), keyset, amount: amount(value), c: point(0xc1, client, number), witness }
}

fn output(client: u32, number: u32, keyset: KeysetId, value: u64) -> OutputRow {
    OutputRow { b: point(0xb1, client, number), keyset, amount: amount(value) }
}

fn sign(output: &OutputRow, value: u64) -> SignedRow {
    let mut c = *output.b.as_bytes();
    c[32] = 0xcc;
    SignedRow {
        output: OutputRow { amount: amount(value), ..output.clone() },
        c: PointBytes::from_bytes(&c).expect("the shape of a point"),
        dleq: Dleq { e: Scalar32::from_bytes([5; 32]), s: Scalar32::from_bytes([6; 32]) },
    }
}

/// A ledger bound to a seed, with a keyset.
pub fn setup() -> Vec<Change> {
    vec![Change::BindSeed(BindSeed { fingerprint: [9; 32] }), Change::AddKeyset(AddKeyset { keyset: keyset() })]
}

/// What one client does in one round: mints 16, swaps 4 of them, takes a swap back, pays 4 over Lightning with 1 of change.
pub fn round(client: u32, round: u32) -> Vec<Change> {
    let n = round * 10;
    let mut changes = minting(client, n);
    changes.extend(swapping(client, n));
    changes.extend(melting(client, n));
    changes
}

fn minting(client: u32, n: u32) -> Vec<Change> {
    let id = keyset().id;
    let quote = MintQuote {
        id: quote_id("mint", client, n),
        method: String::from("bolt11"),
        unit: CurrencyUnit::Sat,
        rate: Rate::SAT,
        amount: Some(amount(16)),
        request: format!("{PLANTED_REQUEST}{client}x{n}"),
        payment_hash: hash(0x31, client, n),
        pubkey: Some(hash_to_curve(b"nut20")),
        expiry: NOW.plus(3600),
        created_at: NOW,
        updated_at: NOW,
        amount_paid: Amount::ZERO,
        amount_issued: Amount::ZERO,
    };
    let outputs = [8, 8].into_iter().zip(n..).map(|(value, b)| sign(&output(client, b, id, value), value)).collect();
    vec![
        Change::OpenMintQuote(OpenMintQuote { quote: quote.clone() }),
        Change::CreditMintQuote(CreditMintQuote {
            quote: quote.id.clone(),
            credit: format!("credit-{client}-{n}"),
            amount: amount(16),
            cursor: Some(1),
            now: NOW,
        }),
        Change::Issue(Issue {
            operation: operation(client, n),
            draws: vec![(quote.id, amount(16))],
            outputs,
            now: NOW,
        }),
    ]
}

fn swapping(client: u32, n: u32) -> Vec<Change> {
    let id = keyset().id;
    let (swap, given_back) = (operation(client, n + 1), operation(client, n + 2));
    let inputs = vec![input(client, n, id, 2), input(client, n + 1, id, 2)];
    let outputs = vec![output(client, n + 2, id, 1), output(client, n + 3, id, 3)];
    let signed = outputs.iter().map(|row| sign(row, row.amount.to_u64())).collect();
    let reserve = |operation, inputs, outputs| {
        Change::ReserveSwap(ReserveSwap { operation, owner: OWNER, inputs, outputs, now: NOW })
    };
    let fees = vec![];
    vec![
        reserve(swap, inputs, outputs),
        Change::SettleSwap(SettleSwap { operation: swap, owner: OWNER, outputs: signed, fees, now: NOW }),
        reserve(given_back, vec![input(client, n + 2, id, 1)], vec![output(client, n + 4, id, 1)]),
        Change::ReleaseSwap(ReleaseSwap { operation: given_back, owner: OWNER, now: NOW }),
    ]
}

fn melting(client: u32, n: u32) -> Vec<Change> {
    let id = keyset().id;
    let melt = operation(client, n + 3);
    let quote = MeltQuote {
        id: quote_id("melt", client, n),
        method: String::from("bolt11"),
        unit: CurrencyUnit::Sat,
        rate: Rate::SAT,
        request: format!("{PLANTED_REQUEST}{client}y{n}"),
        payment_hash: hash(0x32, client, n),
        amount_msat: 3000,
        amount: amount(3),
        fee_reserve: amount(1),
        expiry: NOW.plus(3600),
        created_at: NOW,
        updated_at: NOW,
        status: MeltQuoteStatus::Unpaid,
        operation: None,
        preimage: None,
    };
    let blanks = vec![output(client, n + 5, id, 0), output(client, n + 6, id, 0)];
    let evidence = PaidEvidence { proof: PaymentProof::Preimage([3; 32]), total_msat: 3000 };
    vec![
        Change::OpenMeltQuote(OpenMeltQuote { quote: quote.clone() }),
        Change::ReserveMelt(ReserveMelt {
            operation: melt,
            owner: OWNER,
            quote: quote.id,
            inputs: vec![input(client, n + 3, id, 4)],
            blanks: blanks.clone(),
            now: NOW,
        }),
        Change::DispatchMelt(DispatchMelt { operation: melt, owner: OWNER, not_after: NOW.plus(60), now: NOW }),
        Change::RecordMelt(RecordMelt {
            operation: melt,
            owner: OWNER,
            outcome: MeltOutcome::Paid(evidence),
            now: NOW,
        }),
        Change::SettleMelt(SettleMelt { operation: melt, change: vec![sign(&blanks[0], 1)], fees: vec![], now: NOW }),
    ]
}

/// What a client was told of one change, all attempts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It is applied.
    Yes,
    /// It is not applied.
    No,
    /// Nobody knows.
    Maybe,
}

/// The name of a change in a report: client and place in its script.
pub type Step = (u32, usize);

/// Everything that clients do: each its rounds, one change after the other.
#[derive(Debug, Clone)]
pub struct Plan {
    scripts: Vec<Vec<Change>>,
}

impl Plan {
    pub fn new(clients: u32, rounds: u32) -> Self {
        let script = |client| (0..rounds).flat_map(|number| round(client, number)).collect();
        Self { scripts: (0..clients).map(script).collect() }
    }

    pub fn change(&self, (client, place): Step) -> &Change {
        &self.scripts[usize::try_from(client).expect("small")][place]
    }

    /// Every step, client by client.
    pub fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        (0_u32..).zip(&self.scripts).flat_map(|(client, script)| (0..script.len()).map(move |place| (client, place)))
    }

    /// Every key that any change names.
    pub fn known(&self) -> Known {
        let mut known = Known::default();
        self.scripts.iter().flatten().for_each(|change| known.note(change));
        known
    }

    /// Runs all clients at once. A client tries a change three times, and stops at one that it does not get through.
    pub async fn run(&self, store: Arc<dyn Store>, tell: impl Fn(Step, Told) + Clone + Send + 'static) {
        let mut clients = tokio::task::JoinSet::new();
        for (client, script) in (0_u32..).zip(self.scripts.clone()) {
            let (store, tell) = (Arc::clone(&store), tell.clone());
            clients.spawn(async move {
                for (place, change) in script.into_iter().enumerate() {
                    let told = insist(&*store, &change).await;
                    tell((client, place), told);
                    if told != Told::Yes {
                        break;
                    }
                }
            });
        }
        while let Some(ended) = clients.join_next().await {
            ended.expect("no client panics");
        }
    }

    /// The steps whose effect is in the ledger. Reservations of swaps and their release come and go, and are left out.
    pub fn held(&self, ledger: &Snapshot) -> BTreeSet<Step> {
        self.steps().filter(|step| self.change(*step).durable() && holds(ledger, self.change(*step))).collect()
    }

    /// Whoever was told yes is in the ledger, whoever was told no is not. The ledger is sound, and of each client it holds a beginning.
    pub fn check(&self, ledger: &Snapshot, told: &BTreeMap<Step, Told>) -> Result<(), String> {
        let faults = ledger.faults();
        if !faults.is_empty() {
            return Err(format!("the ledger is not sound: {faults:?}"));
        }
        for (step, told) in told {
            let change = self.change(*step);
            if change.durable() && *told != Told::Maybe && holds(ledger, change) != (*told == Told::Yes) {
                return Err(format!("{step:?} was told {told:?}, which is not so: {change:?}"));
            }
        }
        let held = self.held(ledger);
        for (client, place) in &held {
            let earlier = (0..*place).map(|place| (*client, place)).filter(|step| self.change(*step).durable());
            for step in earlier {
                if !held.contains(&step) {
                    return Err(format!("{step:?} is missing, but ({client}, {place}) after it is there"));
                }
            }
        }
        Ok(())
    }
}

/// Sends a change until the answer is definite, three times at most.
async fn insist(store: &dyn Store, change: &Change) -> Told {
    let mut told = Told::No;
    for _ in 0..3 {
        match store.apply(change.clone()).await {
            Ok(applied) => {
                assert_ne!(applied, Applied::Pruned(0), "no client prunes");
                return Told::Yes;
            }
            Err(ApplyError::Unavailable(_)) => {}
            Err(ApplyError::Ambiguous(_)) => told = Told::Maybe,
            Err(error) => std::panic::panic_any(format!("{change:?}: {error}")),
        }
    }
    told
}

/// Whether the effect of a change is in the ledger.
fn holds(ledger: &Snapshot, change: &Change) -> bool {
    match change {
        Change::OpenMintQuote(change) => ledger.mint_quotes.contains_key(&change.quote.id),
        Change::CreditMintQuote(change) => {
            ledger.mint_quotes.get(&change.quote).is_some_and(|quote| quote.amount_paid == change.amount)
        }
        Change::Issue(change) => are_signed(ledger, &change.outputs),
        Change::SettleSwap(change) => {
            let contents = ledger.contents.get(&change.operation).cloned().unwrap_or_default();
            let is_spent = contents.inputs.iter().all(|input| input.state == InputState::Spent);
            !contents.inputs.is_empty() && is_spent && are_signed(ledger, &change.outputs)
        }
        Change::ReserveSwap(change) => ledger.contents.contains_key(&change.operation),
        Change::ReleaseSwap(change) => !ledger.contents.contains_key(&change.operation),
        Change::OpenMeltQuote(change) => ledger.melt_quotes.contains_key(&change.quote.id),
        Change::ReserveMelt(change) => melt_is_past(ledger, change.operation, OperationState::Reserved),
        Change::DispatchMelt(change) => melt_is_past(ledger, change.operation, OperationState::Dispatched),
        Change::RecordMelt(change) => melt_is_past(ledger, change.operation, OperationState::Paid),
        Change::SettleMelt(change) => is_paid(ledger, change.operation) && are_signed(ledger, &change.change),
        other => std::panic::panic_any(format!("no client sends {other:?}")),
    }
}

fn are_signed(ledger: &Snapshot, rows: &[SignedRow]) -> bool {
    rows.iter().all(|row| {
        let known = ledger.outputs.get(&row.output.b);
        known.is_some_and(|known| known.signature == Some((row.c, row.dleq)) && known.output == row.output)
    })
}

fn is_paid(ledger: &Snapshot, operation: OperationId) -> bool {
    ledger.melt_quotes.values().any(|quote| quote.operation == Some(operation) && quote.status == MeltQuoteStatus::Paid)
}

/// States come in the order in which these melts go through them.
fn melt_is_past(ledger: &Snapshot, operation: OperationId, state: OperationState) -> bool {
    is_paid(ledger, operation) || ledger.operations.get(&operation).is_some_and(|row| row.state >= state)
}
