//! A wallet that trusts nothing: secrets from a seed (NUT-13), every DLEQ checked, every amount compared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hazel_lightning::fake::InvoiceSpec;
use hazel_protocol::crypto::{blind, unblind, verify_dleq, verify_proof_dleq};
use hazel_protocol::{
    Amount, BlindSignature, BlindedMessage, BlindingFactor, CheckStateRequest, CheckStateResponse, CurrencyUnit, Curve,
    Inputs, KeysResponse, KeysetId, KeysetKeys, MeltQuoteBolt11Request, MeltQuoteBolt11Response, MeltRequest,
    MintQuoteBolt11Request, MintQuoteBolt11Response, MintQuoteState, MintRequest, MintResponse, Outputs, PointBytes,
    Proof, ProofDleq, ProofState, QuoteId, RestoreRequest, RestoreResponse, Secret, SwapRequest, SwapResponse,
    input_fee, nut13,
};

use super::api::{Answer, Api};

/// A wallet at one mint.
#[derive(Clone)]
pub(crate) struct Wallet {
    pub(crate) api: Api,
    pub(crate) keyset: KeysetId,
    pub(crate) fee_ppk: u64,
    unit: CurrencyUnit,
    method: String,
    keys: KeysetKeys,
    seed: [u8; 64],
    counter: Arc<AtomicU64>,
    curve: Arc<Curve>,
}

/// Blinded messages and what it takes to unblind their signatures.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) messages: Vec<BlindedMessage>,
    hidden: Vec<(Secret, BlindingFactor)>,
}

impl Draft {
    pub(crate) fn outputs(&self) -> Outputs {
        Outputs::try_from(self.messages.clone()).expect("within the limits")
    }
}

impl Wallet {
    /// Opens a wallet whose secrets follow from `seed`.
    pub(crate) async fn open(url: &str, seed: u8) -> Self {
        Self::open_in(url, seed, CurrencyUnit::Sat).await
    }

    /// As [`open`](Self::open), with money of another unit.
    pub(crate) async fn open_in(url: &str, seed: u8, unit: CurrencyUnit) -> Self {
        let api = Api::new(url);
        let keys: KeysResponse = api.get("/v1/keys").await.ok();
        let keyset = keys.keysets.iter().find(|keyset| keyset.unit == unit && keyset.active);
        let keyset = keyset.expect("a keyset of the unit").clone();
        keyset.verify_id().expect("the id follows from the keys");
        Self {
            api,
            keyset: keyset.id,
            fee_ppk: keyset.input_fee_ppk,
            unit,
            method: "bolt11".to_owned(),
            keys: keyset.keys,
            seed: [seed; 64],
            counter: Arc::default(),
            curve: Arc::new(Curve::new(&[seed; 32])),
        }
    }

    /// The same wallet with the keyset that signs now. It goes on counting, so that no secret comes twice.
    pub(crate) async fn refreshed(&self) -> Self {
        let keys: KeysResponse = self.api.get("/v1/keys").await.ok();
        let keyset = keys.keysets.into_iter().find(|keyset| keyset.unit == self.unit && keyset.active);
        let keyset = keyset.expect("a keyset of the unit");
        keyset.verify_id().expect("the id follows from the keys");
        Self { keyset: keyset.id, fee_ppk: keyset.input_fee_ppk, keys: keyset.keys, ..self.clone() }
    }

    /// The same wallet, paying and paid by another method.
    pub(crate) fn by(&self, method: &str) -> Self {
        Self { method: method.to_owned(), ..self.clone() }
    }

    /// The same wallet, talking to the mint at another address.
    pub(crate) fn moved_to(&self, url: &str) -> Self {
        Self { api: Api::new(url), ..self.clone() }
    }

    /// Another wallet at the same mint.
    pub(crate) fn another(&self, seed: u8) -> Self {
        Self { seed: [seed; 64], counter: Arc::default(), ..self.clone() }
    }

    /// New blinded messages of these values.
    pub(crate) fn draft(&self, amounts: &[u64]) -> Draft {
        let mut draft = Draft { messages: Vec::new(), hidden: Vec::new() };
        for amount in amounts {
            let (secret, r) = self.derive();
            self.blind_into(&mut draft, *amount, secret, r);
        }
        draft
    }

    /// New blinded messages of one value for secrets of the caller's own.
    pub(crate) fn draft_secrets(&self, amount: u64, secrets: &[Secret]) -> Draft {
        let mut draft = Draft { messages: Vec::new(), hidden: Vec::new() };
        for secret in secrets {
            self.blind_into(&mut draft, amount, secret.clone(), self.derive().1);
        }
        draft
    }

    fn derive(&self) -> (Secret, BlindingFactor) {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        nut13::derive(&self.seed, &self.keyset, counter).expect("derives")
    }

    fn blind_into(&self, draft: &mut Draft, amount: u64, secret: Secret, r: BlindingFactor) {
        let b = blind(&self.curve, &secret.y(), &r).expect("no infinity");
        let amount = Amount::from_u64(amount);
        draft.messages.push(BlindedMessage { amount, id: self.keyset, b: PointBytes::from(&b) });
        draft.hidden.push((secret, r));
    }

    /// Messages that add up to `total` in powers of two.
    pub(crate) fn draft_for(&self, total: u64) -> Draft {
        let amounts: Vec<u64> = (0..63).map(|power| 1 << power).filter(|value| total & value != 0).collect();
        self.draft(&amounts)
    }

    /// Messages that add up to `total` in the denominations of the keyset.
    pub(crate) fn draft_parts(&self, total: u64) -> Draft {
        let parts = Amount::from_u64(total).split(&self.keys.amounts()).expect("every keyset has a key for 1");
        self.draft(&parts.into_iter().map(Amount::to_u64).collect::<Vec<_>>())
    }

    /// Checks and unblinds the signatures on a draft. Amounts are the signatures' own: blanks have none before.
    pub(crate) fn finish(&self, draft: &Draft, signatures: &[BlindSignature]) -> Vec<Proof> {
        let signed = draft.messages.iter().zip(&draft.hidden).zip(signatures);
        signed.map(|((message, (secret, r)), signature)| self.finish_one(message, secret, r, signature)).collect()
    }

    fn finish_one(
        &self,
        message: &BlindedMessage,
        secret: &Secret,
        r: &BlindingFactor,
        signature: &BlindSignature,
    ) -> Proof {
        assert_eq!(signature.id, message.id, "signed with the keyset asked for");
        let is_blank = message.amount.is_zero();
        assert!(is_blank || signature.amount == message.amount, "signed for the amount asked for");
        let key = self.keys.get(signature.amount).expect("a key of the keyset");
        let dleq = signature.dleq.as_ref().expect("every signature has its proof");
        let b = message.b.parse().expect("our own point");
        verify_dleq(key, &b, &signature.c, dleq).expect("signed with the published key");
        let c = unblind(&signature.c, r, key).expect("no infinity");
        let carried = ProofDleq { e: dleq.e, s: dleq.s, r: r.clone() };
        verify_proof_dleq(key, secret, &c, &carried).expect("the next holder can check it too");
        Proof {
            amount: signature.amount,
            id: signature.id,
            secret: secret.clone(),
            c: PointBytes::from(&c),
            witness: None,
            dleq: None,
            p2pk_e: None,
        }
    }

    /// What it costs to spend so many proofs (NUT-02).
    pub(crate) fn fee(&self, proofs: usize) -> u64 {
        input_fee(std::iter::repeat_n(self.fee_ppk, proofs)).expect("small").to_u64()
    }

    pub(crate) async fn mint_quote(&self, amount: u64) -> MintQuoteBolt11Response {
        let request = MintQuoteBolt11Request {
            amount: Amount::from_u64(amount),
            unit: self.unit.clone(),
            description: None,
            pubkey: None,
        };
        self.api.post(&format!("/v1/mint/quote/{}", self.method), &request).await.ok()
    }

    /// Waits until the fake node has paid the quote's invoice.
    pub(crate) async fn paid_quote(&self, amount: u64) -> QuoteId {
        let quote = self.mint_quote(amount).await.quote;
        for _ in 0..1_200 {
            if self.mint_quote_state(&quote).await == MintQuoteState::Paid {
                return quote;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the fake node does not pay");
    }

    pub(crate) async fn mint_quote_state(&self, quote: &QuoteId) -> MintQuoteState {
        let quote: MintQuoteBolt11Response =
            self.api.get(&format!("/v1/mint/quote/{}/{}", self.method, quote.as_str())).await.ok();
        quote.state
    }

    /// Mints `amount` in powers of two.
    pub(crate) async fn mint(&self, amount: u64) -> Vec<Proof> {
        let draft = self.draft_for(amount);
        self.mint_into(amount, &draft).await
    }

    /// Mints `amount` in single sats, at most a thousand.
    pub(crate) async fn mint_ones(&self, amount: usize) -> Vec<Proof> {
        let draft = self.draft(&vec![1; amount]);
        self.mint_into(u64::try_from(amount).expect("small"), &draft).await
    }

    /// Mints one proof of `amount` for each secret of the caller's own.
    pub(crate) async fn mint_secrets(&self, amount: u64, secrets: &[Secret]) -> Vec<Proof> {
        let total = amount * u64::try_from(secrets.len()).expect("small");
        self.mint_into(total, &self.draft_secrets(amount, secrets)).await
    }

    async fn mint_into(&self, amount: u64, draft: &Draft) -> Vec<Proof> {
        let quote = self.paid_quote(amount).await;
        let answer: MintResponse =
            self.api.post(&format!("/v1/mint/{}", self.method), &issue_request(&quote, draft)).await.ok();
        self.finish_all(draft, &answer.signatures)
    }

    /// As [`finish`](Self::finish), where every message must have been signed.
    pub(crate) fn finish_all(&self, draft: &Draft, signatures: &[BlindSignature]) -> Vec<Proof> {
        assert_eq!(signatures.len(), draft.messages.len(), "one signature for each message");
        self.finish(draft, signatures)
    }

    pub(crate) async fn try_issue(&self, quote: &QuoteId, draft: &Draft) -> Option<Answer> {
        self.api.try_post(&format!("/v1/mint/{}", self.method), &issue_request(quote, draft)).await
    }

    pub(crate) async fn try_swap(&self, inputs: &[Proof], draft: &Draft) -> Option<Answer> {
        self.api.try_post("/v1/swap", &swap_request(inputs, draft)).await
    }

    /// Swaps for outputs of the same value, less the fee.
    pub(crate) async fn swap(&self, inputs: &[Proof]) -> Vec<Proof> {
        let draft = self.draft_for(sum(inputs) - self.fee(inputs.len()));
        let answer: SwapResponse = self.try_swap(inputs, &draft).await.expect("an answer").ok();
        self.finish_all(&draft, &answer.signatures)
    }

    pub(crate) async fn melt_quote(&self, request: &str) -> MeltQuoteBolt11Response {
        let request = MeltQuoteBolt11Request { request: request.to_owned(), unit: self.unit.clone(), options: None };
        self.api.post(&format!("/v1/melt/quote/{}", self.method), &request).await.ok()
    }

    pub(crate) async fn melt_quote_now(&self, quote: &QuoteId) -> MeltQuoteBolt11Response {
        self.api.get(&format!("/v1/melt/quote/{}/{}", self.method, quote.as_str())).await.ok()
    }

    pub(crate) async fn try_melt(&self, quote: &QuoteId, inputs: &[Proof], blanks: &Draft) -> Option<Answer> {
        let request = MeltRequest {
            quote: quote.clone(),
            inputs: Inputs::try_from(inputs.to_vec()).expect("within the limits"),
            outputs: Some(blanks.outputs()),
            prefer_async: false,
        };
        self.api.try_post(&format!("/v1/melt/{}", self.method), &request).await
    }

    /// NUT-07, one state for each proof.
    pub(crate) async fn states(&self, proofs: &[Proof]) -> Vec<ProofState> {
        let ys: Vec<PointBytes> = proofs.iter().map(|proof| PointBytes::from(&proof.y())).collect();
        let request = CheckStateRequest { ys: ys.clone().try_into().expect("within the limits") };
        let answer: CheckStateResponse = self.api.post("/v1/checkstate", &request).await.ok();
        assert!(answer.states.iter().map(|entry| entry.y).eq(ys), "in the order of the request");
        answer.states.iter().map(|entry| entry.state).collect()
    }

    /// NUT-09: the signatures that the mint has for these messages, `None` where it has none.
    pub(crate) async fn restore(&self, messages: &[BlindedMessage]) -> Vec<Option<BlindSignature>> {
        let request = RestoreRequest { outputs: messages.to_vec().try_into().expect("within the limits") };
        let answer: RestoreResponse = self.api.post("/v1/restore", &request).await.ok();
        assert_eq!(answer.outputs.len(), answer.signatures.len());
        let found = |message: &BlindedMessage| {
            let place = answer.outputs.iter().position(|output| output.b == message.b)?;
            Some(answer.signatures[place].clone())
        };
        messages.iter().map(found).collect()
    }
}

fn issue_request(quote: &QuoteId, draft: &Draft) -> MintRequest {
    MintRequest { quote: quote.clone(), outputs: draft.outputs(), signature: None }
}

fn swap_request(inputs: &[Proof], draft: &Draft) -> SwapRequest {
    SwapRequest { inputs: Inputs::try_from(inputs.to_vec()).expect("within the limits"), outputs: draft.outputs() }
}

/// The value of these proofs.
pub(crate) fn sum(proofs: &[Proof]) -> u64 {
    proofs.iter().map(|proof| proof.amount.to_u64()).sum()
}

/// An invoice of a node somewhere else. Each `number` is another invoice.
pub(crate) fn invoice(number: u64, sat: u64) -> String {
    let mut preimage = [0x5a; 32];
    preimage[..8].copy_from_slice(&number.to_be_bytes());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    InvoiceSpec::foreign(preimage, Some(sat * 1_000), "a test", now).build().expect("an invoice")
}
