//! `hazel decode`: what a token, a payment request or an invoice says. Asks no mint unless it is told to, and moves nothing.

use std::collections::BTreeMap;

use hazel_protocol::conditions::{Condition, ConditionKind, Unlock};
use hazel_protocol::{
    Amount, BoundedVec, CheckStateRequest, CurrencyUnit, KeysetId, LockKind, MAX_REQUEST_BYTES, MintUrl,
    PaymentRequest, PointBytes, Proof, ProofState, Token, TokenProof, TransportTarget, crypto,
};
use hazel_wallet::keysets::Keysets;
use hazel_wallet::ports::{MintConnector, Timestamp};
use hazel_wallet::{Error, RequireDleq, invoice, verify};
use lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescriptionRef};
use serde_json::{Value, json};

use super::receive;
use crate::calendar::utc;
use crate::cli::Global;
use crate::environment::now;
use crate::failure::{Failure, Kind};
use crate::output::{Output, Report};
use crate::session::{Memory, connector};

/// Most points in one question about states. A count.
const POINTS_PER_REQUEST: usize = 500;

/// What to decode.
#[derive(Debug, clap::Args)]
pub(crate) struct DecodeArgs {
    /// A token, a payment request or a Lightning invoice; `-` reads it from standard input
    #[arg(value_name = "TEXT", default_value = "-")]
    pub(crate) text: String,
    /// Ask the mint of a token whether it was spent
    #[arg(long)]
    pub(crate) check: bool,
}

pub(super) async fn run(global: &Global, output: &Output, args: DecodeArgs) -> Result<Report, Failure> {
    let mut texts = receive::texts(vec![args.text])?;
    let (Some(text), true) = (texts.pop(), texts.is_empty()) else {
        return Err(Failure::new(Kind::Usage, "one text at a time can be decoded"));
    };
    if let Ok(token) = text.parse::<Token>() {
        return token_report(global, output, &token, args.check).await;
    }
    if let Ok(request) = text.parse::<PaymentRequest>() {
        return Ok(request_report(&request));
    }
    if let Some(invoice) = read_invoice(&text) {
        return Ok(invoice_report(&invoice));
    }
    // Why it is no token is worth more than that it is nothing.
    if ["cashuA", "cashuB"].iter().any(|prefix| text.contains(prefix)) {
        return Err(receive::parse(&text).err().unwrap_or_else(|| Failure::new(Kind::Bug, "a token is none")));
    }
    Err(Failure::new(Kind::Refused, "this is no token, no payment request and no Lightning invoice")
        .hint("check that it is complete"))
}

async fn token_report(global: &Global, output: &Output, token: &Token, check: bool) -> Result<Report, Failure> {
    let unit = token.unit().cloned().unwrap_or(CurrencyUnit::Sat);
    let version = if matches!(token, Token::V3(_)) { 3 } else { 4 };
    let value = token.value().map_err(Error::from)?;
    let memory = Memory::open_existing(global).await?;
    let mut lines = vec![format!("Token of version {version}: {value} {unit}")];
    if let Some(memo) = token.memo().filter(|memo| !memo.is_empty()) {
        lines.push(format!("memo     {memo}"));
    }
    let mut mints = Vec::new();
    for mint in receive::distinct(token) {
        let keysets = match &memory {
            Some(memory) => Keysets::of_unit(memory.store.keysets(&mint).await?, &unit),
            None => Keysets::default(),
        };
        let proofs: Vec<&TokenProof> =
            token.token_proofs().into_iter().filter(|(url, _)| **url == mint).map(|(_, proof)| proof).collect();
        let mut part = Part::of(&mint, token, &proofs, &keysets)?;
        if check {
            let states = output.while_waiting("Asking the mint", states(global, &mint, &proofs)).await?;
            part.spent(&proofs, &states)?;
        }
        lines.extend(part.lines(&unit));
        mints.push(part.json);
    }
    let json = json!({
        "type": "token",
        "version": version,
        "unit": unit,
        "value": value,
        "memo": token.memo(),
        "mints": mints,
    });
    Ok(Report::new(json, lines))
}

/// What a token holds of one mint.
struct Part {
    json: Value,
    locks: Vec<String>,
}

impl Part {
    fn of(mint: &MintUrl, token: &Token, proofs: &[&TokenProof], keysets: &Keysets) -> Result<Self, Failure> {
        let value = sum(proofs.iter().map(|proof| proof.amount))?;
        let mut coins: BTreeMap<u64, u64> = BTreeMap::new();
        for proof in proofs {
            *coins.entry(proof.amount.to_u64()).or_default() += 1;
        }
        let mut ids: Vec<String> = proofs.iter().map(|proof| proof.id.to_string()).collect();
        ids.sort();
        ids.dedup();
        let (documents, locks) = locks(proofs);
        let coins: Vec<Value> =
            coins.iter().map(|(amount, count)| json!({ "amount": amount, "count": count })).collect();
        let json = json!({
            "url": mint,
            "value": value,
            "proofs": proofs.len(),
            "coins": coins,
            "keysets": ids,
            "dleq": dleq(mint, token, keysets),
            "locks": documents,
        });
        Ok(Self { json, locks })
    }

    /// Notes what the mint said of each proof.
    fn spent(&mut self, proofs: &[&TokenProof], states: &[ProofState]) -> Result<(), Failure> {
        for (name, wanted) in
            [("unspent", ProofState::Unspent), ("pending", ProofState::Pending), ("spent", ProofState::Spent)]
        {
            let of = proofs.iter().zip(states).filter(|(_, state)| **state == wanted);
            self.json[name] = json!(sum(of.map(|(proof, _)| proof.amount))?);
        }
        Ok(())
    }

    fn lines(&self, unit: &CurrencyUnit) -> Vec<String> {
        let json = &self.json;
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let mut lines = vec![
            format!("mint     {}: {} {unit} in {} coins", text("url"), json["value"], json["proofs"]),
            format!("         {}", signed(&text("dleq"))),
        ];
        lines.extend(self.locks.iter().map(|lock| format!("lock     {lock}")));
        if !json["spent"].is_null() {
            let (unspent, pending, spent) = (&json["unspent"], &json["pending"], &json["spent"]);
            lines.push(format!("state    {unspent} unspent, {pending} pending, {spent} spent"));
        }
        lines
    }
}

fn sum(amounts: impl Iterator<Item = Amount>) -> Result<Amount, Failure> {
    Ok(Amount::checked_sum(amounts).map_err(Error::from)?)
}

/// Whether the mint signed it, as far as its keys are known here (NUT-12).
fn dleq(mint: &MintUrl, token: &Token, keysets: &Keysets) -> &'static str {
    let ids: Vec<KeysetId> = keysets.ids();
    let Ok(proofs) = token.proofs_of(mint, &ids) else { return "keys-unknown" };
    if proofs.iter().any(|proof: &Proof| keysets.get(&proof.id).is_none()) {
        return "keys-unknown";
    }
    match verify::token(keysets, &proofs, RequireDleq::Yes) {
        Ok(()) => "valid",
        Err(Error::TokenWithoutDleq) => "missing",
        Err(_) => "forged",
    }
}

fn signed(dleq: &str) -> &'static str {
    match dleq {
        "valid" => "the mint signed it: every DLEQ proof holds",
        "missing" => "it comes without DLEQ proofs, so that only the mint can tell whether it is real",
        "forged" => "it is forged: the mint did not sign it",
        _ => "the keys of this mint are not known here, so that only the mint can tell whether it is real",
    }
}

/// Every lock of the proofs once, as documents and in words.
fn locks(proofs: &[&TokenProof]) -> (Vec<Value>, Vec<String>) {
    let (mut documents, mut lines) = (Vec::new(), Vec::new());
    for proof in proofs {
        let (document, line) = match Condition::of(&proof.secret) {
            Ok(None) => continue,
            Err(why) => (json!({ "kind": "malformed" }), format!("malformed, so that nobody can open it: {why}")),
            Ok(Some(condition)) => describe(&condition, proof),
        };
        if !documents.contains(&document) {
            documents.push(document);
            lines.push(line);
        }
    }
    (documents, lines)
}

fn describe(condition: &Condition, proof: &TokenProof) -> (Value, String) {
    let (keys, needed) = condition.signers().unwrap_or_default();
    let (refunders, refund_needed) = condition.refunders().unwrap_or_default();
    let unlock = Unlock::read(proof.witness.as_ref()).unwrap_or_default();
    let is_hash = condition.kind() == ConditionKind::Htlc;
    let json = json!({
        "kind": if is_hash { "hash" } else { "keys" },
        "keys": keys.len(),
        "needed": needed,
        "signatures": unlock.signatures.len(),
        "preimage": unlock.preimage.is_some(),
        "locktime": condition.locktime(),
        "refund_keys": refunders.len(),
        "refund_needed": refund_needed,
        "sig_all": condition.flag() == hazel_protocol::conditions::SigFlag::All,
    });
    let hash = if is_hash { "a hash and " } else { "" };
    let until = condition.locktime().map(|time| {
        let after = if refunders.is_empty() {
            "anyone".to_owned()
        } else {
            format!("{refund_needed} of {} refund keys", refunders.len())
        };
        format!("; after {} UTC by {after}", utc(Timestamp::from_unix(time)))
    });
    let has = unlock.signatures.len();
    let line = format!("to {hash}{needed} of {} keys ({has} signed){}", keys.len(), until.unwrap_or_default());
    (json, line)
}

async fn states(global: &Global, mint: &MintUrl, proofs: &[&TokenProof]) -> Result<Vec<ProofState>, Failure> {
    let connector = connector(global, mint)?;
    let points: Vec<PointBytes> =
        proofs.iter().map(|proof| PointBytes::from(&crypto::hash_to_curve(proof.secret.as_bytes()))).collect();
    let mut states = Vec::new();
    for asked in points.chunks(POINTS_PER_REQUEST) {
        let ys = BoundedVec::try_from(asked.to_vec()).map_err(|_| Failure::new(Kind::Bug, "a question is too long"))?;
        let answer = connector.check_state(&CheckStateRequest { ys }).await.map_err(Error::from)?;
        states.extend(verify::states(asked, &answer).map_err(Error::from)?);
    }
    Ok(states)
}

fn request_report(request: &PaymentRequest) -> Report {
    let transports: Vec<Value> = request
        .transports
        .iter()
        .map(|transport| match &transport.target {
            TransportTarget::Nostr(profile) => json!({ "type": "nostr", "target": profile.to_string() }),
            TransportTarget::Post(url) => json!({ "type": "post", "target": url.to_string() }),
            TransportTarget::Other { kind, target } => json!({ "type": kind, "target": target }),
        })
        .collect();
    let lock = request.lock.as_ref().map(|lock| {
        let kind = match &lock.kind {
            LockKind::P2pk => "P2PK".to_owned(),
            LockKind::Htlc => "HTLC".to_owned(),
            LockKind::Named(name) => name.clone(),
            LockKind::Numbered(number) => number.to_string(),
        };
        json!({ "k": kind, "d": lock.data, "t": lock.tags })
    });
    let json = json!({
        "type": "request",
        "id": request.id,
        "amount": request.amount,
        "unit": request.unit,
        "single_use": request.single_use,
        "mints": request.mints,
        "description": request.description,
        "transports": transports,
        "lock": lock,
    });
    Report::new(json.clone(), request_lines(&json))
}

fn request_lines(json: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let amount = if json["amount"].is_null() { "any amount".to_owned() } else { json["amount"].to_string() };
    let unit = if json["unit"].is_null() { String::new() } else { format!(" {}", text(&json["unit"])) };
    let once = if json["single_use"] == true { ", to be paid once" } else { "" };
    let mut lines = vec![format!("Payment request: {amount}{unit}{once}")];
    for (name, field) in [("id", "id"), ("for", "description")] {
        if !json[field].is_null() {
            lines.push(format!("{name:8} {}", text(&json[field])));
        }
    }
    let list = |field: &str| json[field].as_array().cloned().unwrap_or_default();
    lines.extend(list("mints").iter().map(|mint| format!("{:8} {}", "mint", text(mint))));
    let ways = list("transports");
    lines.extend(ways.iter().map(|way| format!("{:8} {} {}", "send by", text(&way["type"]), text(&way["target"]))));
    if ways.is_empty() {
        lines.push(format!("{:8} handing the token over", "send by"));
    }
    if !json["lock"].is_null() {
        lines.push(format!("{:8} {}", "lock", json["lock"]));
    }
    lines
}

fn read_invoice(text: &str) -> Option<Bolt11Invoice> {
    let text = invoice::trim(text);
    (text.len() <= MAX_REQUEST_BYTES).then(|| text.parse().ok()).flatten()
}

fn invoice_report(invoice: &Bolt11Invoice) -> Report {
    let description = match invoice.description() {
        Bolt11InvoiceDescriptionRef::Direct(text) => Some(text.to_string()),
        Bolt11InvoiceDescriptionRef::Hash(_) => None,
    };
    let made = invoice.duration_since_epoch().as_secs();
    let expires = made.saturating_add(invoice.expiry_time().as_secs());
    let is_expired = expires <= now().to_unix();
    let network = invoice.network().to_string();
    let amount = invoice.amount_milli_satoshis();
    let json = json!({
        "type": "invoice",
        "amount_msat": amount,
        "network": network,
        "description": description,
        "payment_hash": invoice.payment_hash().to_string(),
        "payee": invoice.get_payee_pub_key().to_string(),
        "made_at": made,
        "expires_at": expires,
        "expired": is_expired,
    });
    let amount = match amount {
        None => "any amount".to_owned(),
        Some(msat) if msat % 1000 == 0 => format!("{} sat", msat / 1000),
        Some(msat) => format!("{msat} msat"),
    };
    let until = utc(Timestamp::from_unix(expires));
    let mut lines = vec![format!("Lightning invoice: {amount}, {network}")];
    if let Some(text) = description.filter(|text| !text.is_empty()) {
        lines.push(format!("for      {text}"));
    }
    lines.push(if is_expired { format!("expired  {until} UTC") } else { format!("until    {until} UTC") });
    lines.push(format!("hash     {}", invoice.payment_hash()));
    lines.push(format!("payee    {}", invoice.get_payee_pub_key()));
    Report::new(json, lines)
}
