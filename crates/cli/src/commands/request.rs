//! `hazel request`: asking to be paid, and what came of it.

use hazel_protocol::{MAX_TOKEN_BYTES, PaymentPayload, Transport, from_json};
use hazel_wallet::ports::ErrandId;
use hazel_wallet::{LockTerms, PaymentReceived, RequestTerms, StoredRequest, Wallets};
use serde_json::{Value, json};

use crate::cli::{RequestArgs, RequestCommand, RequestTermsArgs};
use crate::failure::{Failure, Kind};
use crate::output::Report;
use crate::session::Session;

pub(super) async fn run(session: &mut Session, args: RequestArgs) -> Result<Report, Failure> {
    let Some(command) = args.command else { return new(session, args.terms).await };
    match command {
        RequestCommand::List => list(&session.wallets()?).await,
        RequestCommand::Show { id } => show(&session.wallets()?.request(id).await?),
        RequestCommand::Close { id } => show(&session.wallets()?.close_request(id).await?),
        RequestCommand::Receive { payload } => receive(session, &payload).await,
    }
}

async fn new(session: &mut Session, args: RequestTermsArgs) -> Result<Report, Failure> {
    // A wallet that knows no mint yet gets to know the one that is named.
    let selected = session.selected_wallet().await?;
    let mints = if args.any_mint { Vec::new() } else { vec![selected.mint_url().clone()] };
    let lock = args.lock.map(|number| selected.lock_key(number)).transpose()?.map(LockTerms::to_key);
    let terms = RequestTerms {
        amount: args.amount,
        unit: Some(selected.unit().clone()),
        mints,
        description: args.description,
        single_use: !args.reusable,
        lock,
        transports: args.post.into_iter().map(Transport::post).collect(),
    };
    show(&session.wallets()?.create_request(terms).await?)
}

fn document(stored: &StoredRequest) -> Result<Value, Failure> {
    let failed = |error: hazel_protocol::PaymentRequestError| Failure::new(Kind::Bug, error.to_string());
    Ok(json!({
        "id": stored.id.to_string(),
        "request": stored.request.to_cbor_text().map_err(failed)?,
        "bech32": stored.request.to_bech32_text().ok(),
        "amount": stored.request.amount,
        "unit": stored.request.unit,
        "mints": stored.request.mints,
        "description": stored.request.description,
        "single_use": stored.request.single_use,
        "received": stored.received,
        "payments": stored.payments,
        "state": if stored.closed { "closed" } else { "open" },
        "created_at": stored.created_at,
    }))
}

fn show(stored: &StoredRequest) -> Result<Report, Failure> {
    let json = document(stored)?;
    let text = json["bech32"].as_str().or(json["request"].as_str()).unwrap_or_default().to_owned();
    let lines = vec![text, summary(stored), format!("Its id here is {}.", stored.id)];
    Ok(Report::new(json, lines))
}

fn summary(stored: &StoredRequest) -> String {
    let unit = stored.request.unit.as_ref().map(ToString::to_string).unwrap_or_default();
    let asked = stored.request.amount.map_or_else(|| "any amount of".to_owned(), |amount| amount.to_string());
    let state = if stored.closed { "closed" } else { "open" };
    format!("Asks for {asked} {unit}; {} came in {} payments; {state}.", stored.received, stored.payments)
}

async fn list(wallets: &Wallets) -> Result<Report, Failure> {
    let open = wallets.open_requests().await?;
    let documents = open.iter().map(document).collect::<Result<Vec<_>, _>>()?;
    let mut lines: Vec<String> = open.iter().map(|stored| format!("{}  {}", stored.id, summary(stored))).collect();
    if lines.is_empty() {
        lines.push("No request waits to be paid.".to_owned());
    }
    Ok(Report::new(json!({ "requests": documents }), lines))
}

async fn receive(session: &mut Session, payload: &str) -> Result<Report, Failure> {
    let text = match payload {
        "-" => super::receive::from_stdin()?,
        text => zeroize::Zeroizing::new(text.to_owned()),
    };
    if text.len() > MAX_TOKEN_BYTES {
        return Err(Failure::new(Kind::Refused, "the payment is too long"));
    }
    let payload: PaymentPayload = from_json(text.trim().as_bytes()).map_err(|error| {
        Failure::new(Kind::Refused, format!("this is not a payment: {error}")).hint("it is JSON with proofs in it")
    })?;
    let wallets = session.wallets()?;
    let received = session.output.while_waiting("Receiving", Box::pin(wallets.receive_payment(&payload))).await?;
    report(&payload, &received)
}

fn report(payload: &PaymentPayload, received: &PaymentReceived) -> Result<Report, Failure> {
    let json = json!({
        "amount": received.amount,
        "fee": received.fee,
        "mint": received.mint,
        "unit": payload.unit,
        "memo": payload.memo,
        "operation": received.operation.to_string(),
        "request": document(&received.request)?,
    });
    let fee = if received.fee.is_zero() { String::new() } else { format!(" (after a fee of {})", received.fee) };
    let mut lines = vec![format!("{} {} came in{fee}.", received.amount, payload.unit)];
    lines.extend(payload.memo.as_ref().map(|memo| format!("The payer says: {memo}")));
    Ok(Report::new(json, lines))
}

/// Reads the id of a request, with hyphens or without.
pub(crate) fn id(text: &str) -> Result<ErrandId, String> {
    text.parse().map_err(|_| "not the id of a request".to_owned())
}
