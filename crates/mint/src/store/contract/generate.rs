//! The generator of random changes.

use hazel_protocol::{Amount, CurrencyUnit, KeysetId, PaymentMethod};

use crate::ports::{
    Act, AddKeyset, Administer, AuditEntry, BindSeed, Change, CreditMintQuote, InputRow, Issue, KeysetOrigin,
    KeysetRecord, LatchKeyset, MeltOutcome, MeltQuote, MintQuote, OpenMeltQuote, OpenMintQuote, OperationId, OutputRow,
    OwnerId, PaidEvidence, PaymentProof, Prune, SettleMelt, TakeOver, Timestamp,
};

use super::fixture::{
    ALICE, BOB, CAROL, IntoChange, Melt, Minting, NOW, Swap, input, keyset, melt_quote, operation, output,
    payment_hash, quote_id, sign_all, sign_as,
};

/// A small generator of numbers (splitmix64): one seed, one sequence, on every machine.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).expect("below a u32")
    }

    pub(super) fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        let length = u32::try_from(of.len()).expect("a short list");
        let index = usize::try_from(self.below(length)).expect("a short list");
        of[index].clone()
    }
}

/// How many numbers are in use at a time.
const WINDOW: u32 = 14;

/// After how many steps the window moves by one.
const STEPS_PER_NUMBER: u32 = 12;

/// How many attempts of a kind are remembered.
const REMEMBERED: usize = 12;

/// Attempts to hold something: all of the last ones, and those that are believed to hold it still.
struct Attempts<T> {
    last: Vec<T>,
    held: Vec<T>,
}

impl<T> Default for Attempts<T> {
    fn default() -> Self {
        Self { last: Vec::new(), held: Vec::new() }
    }
}

impl<T: Clone> Attempts<T> {
    /// Mostly one that holds something.
    fn pick(&self, rng: &mut Rng) -> Option<T> {
        let from = if self.held.is_empty() || rng.percent(25) { &self.last } else { &self.held };
        if from.is_empty() { None } else { Some(rng.pick(from)) }
    }
}

/// Draws changes.
pub(super) struct Generator {
    rng: Rng,
    step: u32,
    now: Timestamp,
    keysets: Vec<KeysetRecord>,
    /// The next operation that nobody has tried.
    next_operation: u32,
    mintings: Vec<Minting>,
    swaps: Attempts<Swap>,
    melts: Attempts<Melt>,
    /// Changes that come before anything random.
    first: Vec<Change>,
}

/// One way to draw a change, and how often it is taken compared with the others.
type Draw = (u32, fn(&mut Generator) -> Change);

const DRAWS: [Draw; 20] = [
    (16, Generator::reserve_swap),
    (14, Generator::settle_swap),
    (6, Generator::release_swap),
    (3, Generator::resolve_swap),
    (6, Generator::open_mint_quote),
    (9, Generator::credit),
    (14, Generator::issue),
    (6, Generator::open_melt_quote),
    (12, Generator::reserve_melt),
    (9, Generator::dispatch_melt),
    (11, Generator::record_melt),
    (8, Generator::settle_melt),
    (4, Generator::settle_internally),
    (4, Generator::release_melt),
    (4, Generator::take_over),
    (2, Generator::prune),
    (3, Generator::latch),
    (2, Generator::add_keyset),
    (2, Generator::administer),
    (1, Generator::bind_seed),
];

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        let units = [CurrencyUnit::Sat, CurrencyUnit::Usd, CurrencyUnit::Sat, CurrencyUnit::Sat, CurrencyUnit::Usd];
        let keysets: Vec<KeysetRecord> =
            (0u32..).zip(units).map(|(index, unit)| keyset(unit, index, u64::from(index) * 100)).collect();
        let mut first = Vec::new();
        for (n, keyset) in (0u32..).zip(&keysets[..2]) {
            let minting = Minting::of(900_000 + n, keyset.id, keyset.unit.clone(), &[128, 64, 32, 16, 8]);
            first.push(AddKeyset { keyset: keyset.clone() }.into_change());
            first.push(minting.open().into_change());
            first.push(minting.credit().into_change());
            first.push(minting.issue().into_change());
        }
        first.reverse();
        Self {
            rng: Rng::new(seed),
            step: 0,
            now: NOW,
            keysets,
            next_operation: 0,
            mintings: Vec::new(),
            swaps: Attempts::default(),
            melts: Attempts::default(),
            first,
        }
    }

    pub(super) fn next_change(&mut self) -> Change {
        if let Some(change) = self.first.pop() {
            return change;
        }
        self.step += 1;
        self.now = self.now.plus(u64::from(self.rng.below(60)));
        if self.rng.percent(1) {
            self.now = self.now.plus(4_000);
        }
        let mut ticket = self.rng.below(DRAWS.iter().map(|(weight, _)| weight).sum());
        for (weight, draw) in DRAWS {
            match ticket.checked_sub(weight) {
                Some(rest) => ticket = rest,
                None => return draw(self),
            }
        }
        self.bind_seed()
    }

    /// A number in the window, seldom one that it has left behind.
    fn number(&mut self) -> u32 {
        let base = self.step / STEPS_PER_NUMBER;
        if self.rng.percent(4) { self.rng.below(base + WINDOW) } else { base + self.rng.below(WINDOW) }
    }

    /// Mostly an operation that nobody has tried.
    fn operation(&mut self) -> OperationId {
        if self.rng.percent(15) {
            return operation(self.number());
        }
        self.next_operation += 1;
        operation(100_000 + self.next_operation)
    }

    /// Tells the generator what became of its change, so that what it draws next fits better. It need not be told.
    pub(super) fn heard(&mut self, change: &Change, accepted: bool) {
        if !accepted {
            return;
        }
        match change {
            Change::ReserveSwap(change) => {
                let last = self.swaps.last.iter().rev().find(|swap| swap.operation == change.operation);
                self.swaps.held.extend(last.cloned());
            }
            Change::ReserveMelt(change) => {
                let last = self.melts.last.iter().rev().find(|melt| melt.operation == change.operation);
                self.melts.held.extend(last.cloned());
            }
            Change::SettleSwap(change) => self.ended(change.operation),
            Change::ReleaseSwap(change) => self.ended(change.operation),
            Change::ResolveSwap(change) => self.ended(change.operation),
            Change::SettleMelt(change) => self.ended(change.operation),
            Change::SettleInternally(change) => self.ended(change.operation),
            Change::ReleaseMelt(change) => self.ended(change.operation),
            Change::TakeOver(change) => self.taken(change),
            _ => {}
        }
    }

    fn ended(&mut self, operation: OperationId) {
        self.swaps.held.retain(|swap| swap.operation != operation);
        self.melts.held.retain(|melt| melt.operation != operation);
    }

    fn taken(&mut self, change: &TakeOver) {
        for swap in self.swaps.held.iter_mut().filter(|swap| swap.operation == change.operation) {
            swap.owner = change.to;
        }
        for melt in self.melts.held.iter_mut().filter(|melt| melt.operation == change.operation) {
            melt.owner = change.to;
        }
    }

    /// A clock that sometimes goes back.
    fn clock(&mut self) -> Timestamp {
        let back = if self.rng.percent(10) { self.rng.below(500) } else { 0 };
        self.now.minus(back.into())
    }

    fn owner(&mut self) -> OwnerId {
        self.rng.pick(&[ALICE, ALICE, BOB, CAROL])
    }

    /// Mostly the owner that has it.
    fn owner_or(&mut self, owner: OwnerId) -> OwnerId {
        if self.rng.percent(85) { owner } else { self.owner() }
    }

    /// Mostly one of the two that were there first.
    fn keyset(&mut self) -> KeysetId {
        let among = if self.rng.percent(80) { 2 } else { self.keysets.len() };
        let among = self.keysets[..among].to_vec();
        self.rng.pick(&among).id
    }

    fn small_amount(&mut self) -> u64 {
        if self.rng.percent(1) { 1 << 40 } else { self.rng.pick(&[1, 2, 4, 8]) }
    }

    fn inputs(&mut self) -> Vec<InputRow> {
        let mut rows: Vec<InputRow> = Vec::new();
        for _ in 0..=self.rng.below(3) {
            let (n, keyset, amount) = (self.number(), self.keyset(), self.small_amount());
            let row = input(n, keyset, amount);
            if self.rng.percent(2) || rows.iter().all(|other| other.y != row.y) {
                rows.push(row);
            }
        }
        rows
    }

    /// Outputs that come to `sum` in up to four parts, each B_ once.
    fn outputs(&mut self, mut sum: u64) -> Vec<OutputRow> {
        let mut rows: Vec<OutputRow> = Vec::new();
        while sum > 0 {
            let part = if rows.len() >= 3 { sum } else { u64::from(self.rng.below(8)).min(sum - 1) + 1 };
            let mut n = self.number();
            while !self.rng.percent(1) && rows.iter().any(|other| other.b == output(n, other.keyset, 0).b) {
                n += 1;
            }
            rows.push(output(n, self.keyset(), part));
            sum -= part;
        }
        rows
    }

    fn reserve_swap(&mut self) -> Change {
        if self.rng.percent(20) {
            return self.some_swap().reserve().into_change();
        }
        let inputs = self.inputs();
        let taken: u64 = inputs.iter().map(|row| row.amount.to_u64()).sum();
        let fee = u64::from(self.rng.below(2)).min(taken.saturating_sub(1));
        let swap = Swap {
            operation: self.operation(),
            owner: self.owner(),
            outputs: self.outputs(taken - fee),
            fees: inputs.first().map(|row| (row.keyset, Amount::from_u64(fee))).into_iter().collect(),
            inputs,
        };
        remember(&mut self.swaps.last, swap.clone());
        let mut change = swap.reserve();
        change.now = self.clock();
        change.into_change()
    }

    /// One of the attempts, seldom one that was never made.
    fn some_swap(&mut self) -> Swap {
        let swap = if self.rng.percent(95) { self.swaps.pick(&mut self.rng) } else { None };
        let swap = swap.unwrap_or_else(|| Swap::new(self.number()));
        Swap { owner: self.owner_or(swap.owner), ..swap }
    }

    fn settle_swap(&mut self) -> Change {
        let swap = self.some_swap();
        let mut change = swap.settle();
        change.now = self.clock();
        match self.rng.below(40) {
            0 => change.outputs.reverse(),
            1 => drop(change.outputs.pop()),
            2 => change.outputs = sign_all(&self.outputs(4)),
            3 => change.fees.clear(),
            _ => {}
        }
        change.into_change()
    }

    fn release_swap(&mut self) -> Change {
        let mut change = self.some_swap().release();
        if self.rng.percent(30) {
            change.operation = operation(self.number());
        }
        change.now = self.clock();
        change.into_change()
    }

    fn resolve_swap(&mut self) -> Change {
        self.some_swap().resolve().into_change()
    }

    fn open_mint_quote(&mut self) -> Change {
        let n = self.number();
        let mut minting = self.minting_of(n);
        if self.rng.percent(10) {
            minting.quote.payment_hash = payment_hash(self.number());
        }
        minting.quote.expiry = self.now.plus(u64::from(self.rng.below(2_000)));
        remember(&mut self.mintings, minting.clone());
        OpenMintQuote { quote: minting.quote }.into_change()
    }

    /// The unit is a function of the number: a quote is not issued in another unit, which is no matter of the store.
    fn minting_of(&mut self, n: u32) -> Minting {
        let index = usize::try_from(n).expect("a small number") % self.keysets.len();
        let keyset = self.keysets[index].clone();
        let amounts: &[u64] = if self.rng.percent(50) { &[16, 8] } else { &[8] };
        Minting::of(n, keyset.id, keyset.unit, amounts)
    }

    fn minting(&mut self) -> Minting {
        if self.mintings.is_empty() || self.rng.percent(5) {
            let n = self.number();
            return self.minting_of(n);
        }
        self.rng.pick(&self.mintings)
    }

    fn credit(&mut self) -> Change {
        let minting = self.minting();
        let mut change = CreditMintQuote { now: self.clock(), ..minting.credit() };
        match self.rng.below(10) {
            0 => change.credit = format!("other-{}", self.number()),
            1 => change.amount = Amount::from_u64(self.rng.below(20).into()),
            _ => {}
        }
        if self.rng.percent(40) {
            change.cursor = Some(u64::from(self.step + self.rng.below(50)));
        }
        change.into_change()
    }

    fn issue(&mut self) -> Change {
        let minting = self.minting();
        let mut change = Issue { now: self.clock(), ..minting.issue() };
        match self.rng.below(8) {
            0 | 1 => {
                let other = self.minting().issue();
                change.draws.extend(other.draws);
                change.outputs.extend(other.outputs);
            }
            2 | 3 => {
                let amount = u64::from(self.rng.below(8)) + 1;
                change.operation = operation(2_000_000 + self.number());
                change.draws[0].1 = Amount::from_u64(amount);
                let keyset = minting.outputs[0].keyset;
                let outputs =
                    self.outputs(amount).into_iter().map(|row| OutputRow { keyset, ..row }).collect::<Vec<_>>();
                change.outputs = sign_all(&outputs);
            }
            4 => change.operation = operation(self.number()),
            _ => {}
        }
        change.into_change()
    }

    fn open_melt_quote(&mut self) -> Change {
        let n = self.number();
        // Four quotes share an invoice, and some are of the mint's own invoices.
        let own = n % 8 < 3 && !self.mintings.is_empty();
        let hash = if own { self.rng.pick(&self.mintings).quote.payment_hash } else { payment_hash(50_000 + n / 4) };
        let mut melt = Melt::new(n);
        melt.quote = MeltQuote { payment_hash: hash, expiry: self.now.plus(900), ..melt_quote(n) };
        if self.rng.percent(20) {
            melt.quote.unit = CurrencyUnit::Usd;
        }
        remember(&mut self.melts.last, melt.clone());
        OpenMeltQuote { quote: melt.quote }.into_change()
    }

    fn some_melt(&mut self) -> Melt {
        let melt = if self.rng.percent(95) { self.melts.pick(&mut self.rng) } else { None };
        let melt = melt.unwrap_or_else(|| Melt::new(self.number()));
        Melt { owner: self.owner_or(melt.owner), ..melt }
    }

    fn reserve_melt(&mut self) -> Change {
        let mut melt = self.some_melt();
        if self.rng.percent(80) {
            if self.rng.percent(80) && !self.melts.last.is_empty() {
                melt.quote = self.rng.pick(&self.melts.last).quote;
            }
            melt.operation = self.operation();
            melt.owner = self.owner();
            melt.inputs = self.inputs();
            let blanks = self.rng.below(3).into();
            melt.blanks =
                self.outputs(blanks).into_iter().map(|row| OutputRow { amount: Amount::ZERO, ..row }).collect();
            let taken: u64 = melt.inputs.iter().map(|row| row.amount.to_u64()).sum();
            melt.change = melt.blanks.first().map(|blank| sign_as(blank, Amount::from_u64(1))).into_iter().collect();
            let fee = Amount::from_u64(taken.saturating_sub(1).min(1));
            melt.fees = melt.inputs.first().map(|row| (row.keyset, fee)).into_iter().collect();
            remember(&mut self.melts.last, melt.clone());
        }
        let mut change = melt.reserve();
        change.now = self.clock();
        change.into_change()
    }

    fn dispatch_melt(&mut self) -> Change {
        let mut change = self.some_melt().dispatch();
        if self.rng.percent(10) {
            change.not_after = self.now;
        }
        change.into_change()
    }

    fn record_melt(&mut self) -> Change {
        let proof = if self.rng.percent(70) { PaymentProof::Preimage([7; 32]) } else { PaymentProof::Vouched };
        let paid = PaidEvidence { proof, total_msat: u64::from(self.rng.below(3)) };
        let outcome = match self.rng.below(10) {
            0..=4 => MeltOutcome::Paid(paid),
            5..=7 => MeltOutcome::Failed,
            _ => MeltOutcome::Unknown,
        };
        self.some_melt().record(outcome).into_change()
    }

    fn settle_melt(&mut self) -> Change {
        let melt = self.some_melt();
        let mut change = SettleMelt { now: self.clock(), ..melt.settle() };
        match self.rng.below(30) {
            0 => change.change.clear(),
            1 => change.change = sign_all(&self.outputs(2)),
            2 => change.fees = vec![(self.keyset(), Amount::from_u64(100))],
            _ => {}
        }
        change.into_change()
    }

    fn settle_internally(&mut self) -> Change {
        let melt = self.some_melt();
        let same = self.mintings.iter().find(|minting| minting.quote.payment_hash == melt.quote.payment_hash).cloned();
        let quote: MintQuote = same.unwrap_or_else(|| self.minting()).quote;
        let mut change = melt.settle_internally(&quote);
        change.fees = melt.fees;
        change.amount = Amount::from_u64(1 + u64::from(self.rng.below(3)));
        change.now = self.clock();
        change.into_change()
    }

    fn release_melt(&mut self) -> Change {
        let mut change = self.some_melt().release();
        match self.rng.below(20) {
            0 => change.quote = quote_id("melt", self.number()),
            1 | 2 => change.operation = operation(self.number()),
            _ => {}
        }
        change.now = self.clock();
        change.into_change()
    }

    fn take_over(&mut self) -> Change {
        let (swap, melt) = (self.some_swap(), self.some_melt());
        let (operation, from) =
            if self.rng.percent(50) { (swap.operation, swap.owner) } else { (melt.operation, melt.owner) };
        TakeOver { operation, from, to: self.owner(), now: self.now }.into_change()
    }

    /// Every stale row goes: which of them a small limit takes first is left to the store.
    fn prune(&mut self) -> Change {
        let before = self.now.minus(self.rng.below(1_000).into());
        let limit = if self.rng.percent(10) { 0 } else { u32::MAX };
        Prune { method: PaymentMethod::bolt11(), before, limit, now: self.now }.into_change()
    }

    fn latch(&mut self) -> Change {
        LatchKeyset { keyset: self.keyset(), latched: self.rng.percent(15) }.into_change()
    }

    /// An act under an id of few, so that ids come again with the same act and with others.
    fn administer(&mut self) -> Change {
        let act = match self.add_or_latch() {
            Change::AddKeyset(act) => Act::AddKeyset(act),
            Change::LatchKeyset(act) => Act::LatchKeyset(act),
            other => return other,
        };
        let id = operation(800_000 + self.rng.below(40));
        let entry = AuditEntry { id, at: NOW, actor: "somebody".to_owned(), detail: String::new() };
        Administer { entry, act }.into_change()
    }

    fn add_or_latch(&mut self) -> Change {
        if self.rng.percent(30) { self.add_keyset() } else { self.latch() }
    }

    fn add_keyset(&mut self) -> Change {
        let mut keyset = self.rng.pick(&self.keysets);
        match self.rng.below(12) {
            0 => keyset.origin = KeysetOrigin::Seed { index: self.rng.below(5) },
            1 => keyset.input_fee_ppk += 1,
            2 => keyset.active = false,
            _ => {}
        }
        AddKeyset { keyset }.into_change()
    }

    fn bind_seed(&mut self) -> Change {
        let fingerprint = if self.rng.percent(70) { [1; 32] } else { [2; 32] };
        BindSeed { fingerprint }.into_change()
    }
}

fn remember<T>(attempts: &mut Vec<T>, attempt: T) {
    if attempts.len() == REMEMBERED {
        attempts.remove(0);
    }
    attempts.push(attempt);
}
