//! The honest mint. It keeps everything in maps and does what the NUTs say, nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use hazel_protocol::conditions::Spend;
use hazel_protocol::{
    Amount, BlindSignature, BlindedMessage, BoundedVec, CheckStateRequest, CheckStateResponse, CurrencyUnit, Curve,
    Dleq, ErrorCode, ErrorResponse, KeysResponse, KeysetId, KeysetInfo, KeysetKeys, KeysetWithKeys, KeysetsResponse,
    MeltQuoteBolt11Request, MeltQuoteBolt11Response, MeltQuoteState, MeltRequest, MintInfo, MintQuoteBolt11Request,
    MintQuoteBolt11Response, MintQuoteState, MintRequest, MintResponse, MultipathMethod, MultipathSettings, Nuts,
    PointBytes, Proof, ProofState, ProofStateEntry, QuoteId, RestoreRequest, RestoreResponse, SecretKey, Supported,
    SwapRequest, SwapResponse, crypto, input_fee,
};

pub type Answer<T> = Result<T, ErrorResponse>;

fn refuse<T>(code: ErrorCode) -> Answer<T> {
    Err(ErrorResponse::new(code))
}

/// Which kind of keyset id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysetKind {
    V1,
    V2,
}

struct Keyset {
    shown: KeysetWithKeys,
    secret: BTreeMap<Amount, SecretKey>,
}

#[derive(Clone)]
struct MintQuote {
    answer: MintQuoteBolt11Response,
}

struct MeltQuote {
    answer: MeltQuoteBolt11Response,
    blanks: Vec<BlindedMessage>,
    inputs: Vec<Proof>,
}

/// What the Lightning network does with the next payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lightning {
    /// Pays, and costs this much.
    Pays(u64),
    Fails,
    /// Says nothing until told otherwise.
    Hangs,
}

#[derive(Default)]
struct Books {
    keysets: Vec<Keyset>,
    spent: BTreeSet<PointBytes>,
    pending: BTreeSet<PointBytes>,
    signed: BTreeMap<PointBytes, (BlindedMessage, BlindSignature)>,
    mint_quotes: BTreeMap<String, MintQuote>,
    melt_quotes: BTreeMap<String, MeltQuote>,
    issued: u64,
    redeemed: u64,
    next: u64,
}

/// The mint.
pub struct Bank {
    curve: Curve,
    books: Mutex<Books>,
    lightning: Mutex<Lightning>,
    fee_reserve: u64,
    pays_itself: Mutex<bool>,
    gives_change: Mutex<bool>,
    enforces_locks: Mutex<bool>,
    pays_parts: Mutex<bool>,
    now: Mutex<u64>,
}

impl Bank {
    pub fn new(kind: KeysetKind, fee_ppk: u64) -> Self {
        let bank = Self {
            curve: Curve::new(&[7; 32]),
            books: Mutex::default(),
            lightning: Mutex::new(Lightning::Pays(1)),
            fee_reserve: 4,
            pays_itself: Mutex::new(true),
            gives_change: Mutex::new(true),
            enforces_locks: Mutex::new(true),
            pays_parts: Mutex::new(false),
            now: Mutex::new(1_000_000),
        };
        bank.add_keyset(kind, fee_ppk);
        bank
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// Makes a new active keyset, and the others inactive.
    pub fn add_keyset(&self, kind: KeysetKind, fee_ppk: u64) -> KeysetId {
        self.add_expiring_keyset(kind, fee_ppk, None)
    }

    /// As [`add_keyset`](Self::add_keyset), with a final expiry in seconds since 1970.
    pub fn add_expiring_keyset(&self, kind: KeysetKind, fee_ppk: u64, final_expiry: Option<u64>) -> KeysetId {
        let mut books = self.books();
        let index = u8::try_from(books.keysets.len() + 1).unwrap();
        let secret: BTreeMap<Amount, SecretKey> = (0..16u8)
            .map(|power| {
                let mut key = [index; 32];
                key[0] = power + 1;
                (Amount::from_u64(1 << power), SecretKey::from_bytes(&key).unwrap())
            })
            .collect();
        let public = secret.iter().map(|(amount, key)| (*amount, key.public_key(&self.curve))).collect();
        let keys = KeysetKeys::new(public).unwrap();
        let unit = CurrencyUnit::Sat;
        let id = match kind {
            KeysetKind::V1 => keys.id_v1(),
            KeysetKind::V2 => keys.id_v2(&unit, fee_ppk, final_expiry),
        };
        for keyset in &mut books.keysets {
            keyset.shown.active = false;
        }
        let shown = KeysetWithKeys { id, unit, active: true, input_fee_ppk: fee_ppk, final_expiry, keys };
        books.keysets.push(Keyset { shown, secret });
        id
    }

    pub fn set_lightning(&self, lightning: Lightning) {
        *self.lightning.lock().unwrap() = lightning;
    }

    pub fn pays_itself(&self, pays: bool) {
        *self.pays_itself.lock().unwrap() = pays;
    }

    /// What the mint owes to whoever has its ecash.
    pub fn outstanding(&self) -> u64 {
        let books = self.books();
        books.issued - books.redeemed
    }

    pub fn signed_count(&self) -> usize {
        self.books().signed.len()
    }

    pub fn state_of(&self, y: &PointBytes) -> ProofState {
        state(&self.books(), y)
    }

    pub fn pay_invoice(&self, quote: &QuoteId) {
        let mut books = self.books();
        books.mint_quotes.get_mut(quote.as_str()).unwrap().answer.state = MintQuoteState::Paid;
    }

    /// Forgets every quote for a payment, as a mint does with old ones.
    pub fn forget_melt_quotes(&self) {
        self.books().melt_quotes.clear();
    }

    /// Has the invoices of all quotes paid with somebody else's money.
    pub fn pay_elsewhere(&self) {
        for quote in self.books().melt_quotes.values_mut() {
            quote.answer.state = MeltQuoteState::Paid;
        }
    }

    /// Ends a payment that hangs.
    pub fn resolve_melt(&self, quote: &QuoteId, fee: Option<u64>) {
        let mut books = self.books();
        let quote = books.melt_quotes.remove(quote.as_str()).unwrap();
        let quote = self.finish_melt(&mut books, quote, fee);
        books.melt_quotes.insert(quote.answer.quote.as_str().to_owned(), quote);
    }

    pub fn info(&self) -> MintInfo {
        let nut08 = Some(Supported { supported: *self.gives_change.lock().unwrap() });
        let locks = (*self.enforces_locks.lock().unwrap()).then_some(Supported::YES);
        let method = || MultipathMethod { method: "bolt11".to_owned(), unit: CurrencyUnit::Sat };
        let nut15 = self.pays_parts.lock().unwrap().then(|| MultipathSettings { methods: vec![method()] });
        let nuts = Nuts { nut08, nut11: locks, nut14: locks, nut15, ..Nuts::default() };
        MintInfo { name: Some("test mint".to_owned()), nuts, ..MintInfo::default() }
    }

    /// Makes the mint one that pays parts of invoices.
    pub fn pay_parts(&self) {
        *self.pays_parts.lock().unwrap() = true;
    }

    /// Makes the mint one from before spending conditions.
    pub fn ignore_locks(&self) {
        *self.enforces_locks.lock().unwrap() = false;
    }

    /// Sets the clock of the mint, in seconds since 1970.
    pub fn set_time(&self, now: u64) {
        *self.now.lock().unwrap() = now;
    }

    /// Makes the mint keep what was paid too much, and say so.
    pub fn keep_change(&self) {
        *self.gives_change.lock().unwrap() = false;
    }

    pub fn keys(&self) -> KeysResponse {
        let books = self.books();
        let active = books.keysets.iter().filter(|keyset| keyset.shown.active);
        KeysResponse { keysets: list(active.map(|keyset| keyset.shown.clone()).collect()) }
    }

    pub fn keys_of(&self, id: &KeysetId) -> Answer<KeysResponse> {
        let books = self.books();
        match books.keysets.iter().find(|keyset| keyset.shown.id == *id) {
            Some(keyset) => Ok(KeysResponse { keysets: list(vec![keyset.shown.clone()]) }),
            None => refuse(ErrorCode::KeysetUnknown),
        }
    }

    pub fn keysets(&self) -> KeysetsResponse {
        let infos: Vec<KeysetInfo> = self.books().keysets.iter().map(|keyset| keyset.shown.info()).collect();
        KeysetsResponse { keysets: list(infos) }
    }

    pub fn swap(&self, request: &SwapRequest) -> Answer<SwapResponse> {
        let mut books = self.books();
        let fee = check_inputs(&books, &request.inputs)?;
        check_outputs(&books, &request.outputs)?;
        let now = *self.now.lock().unwrap();
        let locks = Spend { inputs: &request.inputs, outputs: &request.outputs, quote: None, now };
        if locks.plan().and_then(|plan| plan.verify()).is_err() {
            return refuse(ErrorCode::ProofVerificationFailed);
        }
        let total_in: u64 = request.inputs.iter().map(|proof| proof.amount.to_u64()).sum();
        let total_out: u64 = request.outputs.iter().map(|output| output.amount.to_u64()).sum();
        if total_in != total_out + fee {
            return refuse(ErrorCode::TransactionNotBalanced);
        }
        spend(&mut books, &request.inputs);
        let outputs: Vec<_> = request.outputs.iter().map(|output| (output.clone(), output.amount)).collect();
        Ok(SwapResponse { signatures: list(self.sign(&mut books, &outputs)) })
    }

    fn sign(&self, books: &mut Books, outputs: &[(BlindedMessage, Amount)]) -> Vec<BlindSignature> {
        let mut signatures = Vec::new();
        for (output, amount) in outputs {
            let keyset = books.keysets.iter().find(|keyset| keyset.shown.id == output.id).unwrap();
            let (c, dleq) = self.sign_one(keyset, *amount, &output.b);
            let signature = BlindSignature { amount: *amount, id: output.id, c, dleq: Some(dleq) };
            books.issued += amount.to_u64();
            books.signed.insert(output.b, (output.clone(), signature.clone()));
            signatures.push(signature);
        }
        signatures
    }

    fn sign_one(&self, keyset: &Keyset, amount: Amount, b: &PointBytes) -> (hazel_protocol::PublicKey, Dleq) {
        let secret = &keyset.secret[&amount];
        let public = keyset.shown.keys.get(amount).unwrap();
        crypto::sign_with_dleq(&self.curve, secret, public, &b.parse().unwrap())
    }

    pub fn mint_quote(&self, request: &MintQuoteBolt11Request) -> MintQuoteBolt11Response {
        let mut books = self.books();
        let quote = next_quote(&mut books);
        let answer = MintQuoteBolt11Response {
            request: invoice(request.amount.to_u64(), &quote),
            quote: quote.clone(),
            amount: Some(request.amount),
            unit: request.unit.clone(),
            state: MintQuoteState::Unpaid,
            expiry: Some(10_000_000),
            pubkey: None,
            amount_paid: None,
            amount_issued: None,
            updated_at: None,
        };
        books.mint_quotes.insert(quote.as_str().to_owned(), MintQuote { answer: answer.clone() });
        if *self.pays_itself.lock().unwrap() {
            books.mint_quotes.get_mut(quote.as_str()).unwrap().answer.state = MintQuoteState::Paid;
        }
        answer
    }

    pub fn mint_quote_status(&self, quote: &QuoteId) -> Answer<MintQuoteBolt11Response> {
        match self.books().mint_quotes.get(quote.as_str()) {
            Some(quote) => Ok(quote.answer.clone()),
            None => refuse(ErrorCode::QuoteNotPaid),
        }
    }

    pub fn mint(&self, request: &MintRequest) -> Answer<MintResponse> {
        let mut books = self.books();
        let answer = books.mint_quotes[request.quote.as_str()].answer.clone();
        match answer.state {
            MintQuoteState::Unpaid => return refuse(ErrorCode::QuoteNotPaid),
            MintQuoteState::Issued => return refuse(ErrorCode::QuoteAlreadyIssued),
            MintQuoteState::Paid => {}
        }
        check_outputs(&books, &request.outputs)?;
        let total: u64 = request.outputs.iter().map(|output| output.amount.to_u64()).sum();
        if Some(Amount::from_u64(total)) != answer.amount {
            return refuse(ErrorCode::TransactionNotBalanced);
        }
        books.mint_quotes.get_mut(request.quote.as_str()).unwrap().answer.state = MintQuoteState::Issued;
        let outputs: Vec<_> = request.outputs.iter().map(|output| (output.clone(), output.amount)).collect();
        Ok(MintResponse { signatures: list(self.sign(&mut books, &outputs)) })
    }

    pub fn melt_quote(&self, request: &MeltQuoteBolt11Request) -> MeltQuoteBolt11Response {
        let mut books = self.books();
        let quote = next_quote(&mut books);
        let digits: String = request.request.chars().skip(6).take_while(char::is_ascii_digit).collect();
        let tenths: u64 = digits.parse().unwrap();
        let part = request.options.as_ref().and_then(|options| options.mpp);
        let sat = part.map_or(tenths / 10, |part| part.amount.to_u64().div_ceil(1000));
        let answer = MeltQuoteBolt11Response {
            quote: quote.clone(),
            request: request.request.clone(),
            amount: Amount::from_u64(sat),
            unit: request.unit.clone(),
            fee_reserve: Amount::from_u64(self.fee_reserve),
            state: MeltQuoteState::Unpaid,
            expiry: Some(10_000_000),
            updated_at: None,
            payment_preimage: None,
            change: None,
        };
        let record = MeltQuote { answer: answer.clone(), blanks: Vec::new(), inputs: Vec::new() };
        books.melt_quotes.insert(quote.as_str().to_owned(), record);
        answer
    }

    pub fn melt_quote_status(&self, quote: &QuoteId) -> Answer<MeltQuoteBolt11Response> {
        match self.books().melt_quotes.get(quote.as_str()) {
            Some(quote) => Ok(quote.answer.clone()),
            None => refuse(ErrorCode::QuoteNotPaid),
        }
    }

    pub fn melt(&self, request: &MeltRequest) -> Answer<MeltQuoteBolt11Response> {
        let mut books = self.books();
        let Some(quote) = books.melt_quotes.get(request.quote.as_str()) else {
            return refuse(ErrorCode::QuoteNotPaid);
        };
        match quote.answer.state {
            MeltQuoteState::Unpaid => {}
            MeltQuoteState::Pending => return refuse(ErrorCode::QuotePending),
            MeltQuoteState::Paid => return refuse(ErrorCode::InvoiceAlreadyPaid),
        }
        let fee = check_inputs(&books, &request.inputs)?;
        let blanks: Vec<BlindedMessage> = request.outputs.as_deref().map(<[_]>::to_vec).unwrap_or_default();
        check_outputs(&books, &blanks)?;
        let total: u64 = request.inputs.iter().map(|proof| proof.amount.to_u64()).sum();
        let mut quote = books.melt_quotes.remove(request.quote.as_str()).unwrap();
        let needed = quote.answer.amount.to_u64() + quote.answer.fee_reserve.to_u64() + fee;
        if total < needed {
            books.melt_quotes.insert(request.quote.as_str().to_owned(), quote);
            return refuse(ErrorCode::TransactionNotBalanced);
        }
        quote.blanks = blanks;
        quote.inputs = request.inputs.to_vec();
        quote.answer.state = MeltQuoteState::Pending;
        books.pending.extend(request.inputs.iter().map(|proof| PointBytes::from(&proof.y())));
        let lightning = *self.lightning.lock().unwrap();
        quote = match lightning {
            Lightning::Pays(fee) => self.finish_melt(&mut books, quote, Some(fee)),
            Lightning::Fails => self.finish_melt(&mut books, quote, None),
            Lightning::Hangs => quote,
        };
        let answer = quote.answer.clone();
        books.melt_quotes.insert(request.quote.as_str().to_owned(), quote);
        if lightning == Lightning::Fails { refuse(ErrorCode::LightningPaymentFailed) } else { Ok(answer) }
    }

    fn finish_melt(&self, books: &mut Books, mut quote: MeltQuote, paid_fee: Option<u64>) -> MeltQuote {
        for proof in &quote.inputs {
            books.pending.remove(&PointBytes::from(&proof.y()));
        }
        let Some(paid_fee) = paid_fee else {
            quote.answer.state = MeltQuoteState::Unpaid;
            return quote;
        };
        let fee = check_inputs(books, &quote.inputs).unwrap();
        let total: u64 = quote.inputs.iter().map(|proof| proof.amount.to_u64()).sum();
        let over = total - fee - quote.answer.amount.to_u64() - paid_fee;
        spend(books, &quote.inputs);
        let mut change = Vec::new();
        let gives_change = *self.gives_change.lock().unwrap();
        if let Some(blank) = quote.blanks.first().filter(|_| gives_change) {
            let keyset = books.keysets.iter().find(|keyset| keyset.shown.id == blank.id).unwrap();
            let parts = Amount::from_u64(over).split(&keyset.shown.keys.amounts()).unwrap();
            let outputs: Vec<_> = quote.blanks.iter().cloned().zip(parts).collect();
            change = self.sign(books, &outputs);
        }
        quote.answer.state = MeltQuoteState::Paid;
        quote.answer.payment_preimage = Some("00".repeat(32));
        quote.answer.change = (!change.is_empty()).then(|| list(change));
        quote
    }

    pub fn check_state(&self, request: &CheckStateRequest) -> CheckStateResponse {
        let books = self.books();
        let entry = |y: &PointBytes| ProofStateEntry { y: *y, state: state(&books, y), witness: None };
        CheckStateResponse { states: list(request.ys.iter().map(entry).collect()) }
    }

    pub fn restore(&self, request: &RestoreRequest) -> RestoreResponse {
        let books = self.books();
        let found: Vec<_> = request.outputs.iter().filter_map(|output| books.signed.get(&output.b)).cloned().collect();
        let (outputs, signatures): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        RestoreResponse { outputs: list(outputs), signatures: list(signatures) }
    }
}

pub fn list<T: std::fmt::Debug, const N: usize>(items: Vec<T>) -> BoundedVec<T, N> {
    BoundedVec::try_from(items).expect("within the limit")
}

/// An invoice over some satoshi that no node knows.
pub fn invoice(sat: u64, quote: &QuoteId) -> String {
    let name: String = quote.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
    format!("lnbcrt{}n1{}{}", sat * 10, "q".repeat(120), name.replace('1', "l"))
}

fn next_quote(books: &mut Books) -> QuoteId {
    books.next += 1;
    QuoteId::new(format!("quote-{}", books.next)).unwrap()
}

fn state(books: &Books, y: &PointBytes) -> ProofState {
    if books.spent.contains(y) {
        ProofState::Spent
    } else if books.pending.contains(y) {
        ProofState::Pending
    } else {
        ProofState::Unspent
    }
}

fn check_inputs(books: &Books, inputs: &[Proof]) -> Answer<u64> {
    let mut seen = BTreeSet::new();
    let mut fees = Vec::new();
    for proof in inputs {
        let y = proof.y();
        if !seen.insert(PointBytes::from(&y)) {
            return refuse(ErrorCode::DuplicateInputs);
        }
        let Some(keyset) = books.keysets.iter().find(|keyset| keyset.shown.id == proof.id) else {
            return refuse(ErrorCode::KeysetUnknown);
        };
        let good = keyset.secret.get(&proof.amount).is_some_and(|key| crypto::verify_unblinded(key, &y, &proof.c));
        if !good || proof.dleq.is_some() {
            return refuse(ErrorCode::ProofVerificationFailed);
        }
        fees.push(keyset.shown.input_fee_ppk);
    }
    match seen.iter().map(|y| state(books, y)).max() {
        Some(ProofState::Spent) => refuse(ErrorCode::ProofsAlreadySpent),
        Some(ProofState::Pending) => refuse(ErrorCode::ProofsPending),
        _ => Ok(input_fee(fees).unwrap().to_u64()),
    }
}

fn check_outputs(books: &Books, outputs: &[BlindedMessage]) -> Answer<()> {
    for output in outputs {
        let Some(keyset) = books.keysets.iter().find(|keyset| keyset.shown.id == output.id) else {
            return refuse(ErrorCode::KeysetUnknown);
        };
        if books.signed.contains_key(&output.b) {
            return refuse(ErrorCode::OutputsAlreadySigned);
        }
        if !keyset.shown.active {
            return refuse(ErrorCode::KeysetInactive);
        }
    }
    Ok(())
}

fn spend(books: &mut Books, inputs: &[Proof]) {
    for proof in inputs {
        books.spent.insert(PointBytes::from(&proof.y()));
        books.redeemed += proof.amount.to_u64();
    }
}
