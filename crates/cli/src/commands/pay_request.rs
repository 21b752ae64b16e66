//! `hazel pay-request`: what somebody else asks for, paid and delivered.

use std::sync::Arc;

use hazel_http::client::{ClientConfig, HttpWeb};
use hazel_protocol::{PaymentRequest, TransportTarget};
use hazel_wallet::ports::Courier;
use hazel_wallet::{Payment, PaymentTerms, PreparedPayment};
use serde_json::{Value, json};

use crate::cli::PayRequestArgs;
use crate::consent::confirm;
use crate::failure::{Failure, Kind};
use crate::output::Report;
use crate::session::Session;

pub(super) async fn run(session: &mut Session, args: PayRequestArgs) -> Result<Report, Failure> {
    let couriers = couriers(session);
    match (&args.request, args.take_back) {
        (Some(request), _) => pay(session, &request.clone(), args, &couriers).await,
        (None, Some(id)) => {
            let back = session.wallets()?.prepare_take_back(id).await?.confirm().await?;
            let json = json!({ "amount": back.amount, "fee": back.fee, "operation": back.operation.to_string() });
            Ok(Report::line(json, format!("{} came back.", back.amount)))
        }
        (None, None) => deliver(session, &couriers).await,
    }
}

/// Every way that this command can bring a payment.
pub(crate) fn couriers(session: &Session) -> Vec<Arc<dyn Courier>> {
    let config = ClientConfig { allow_http: session.global.allow_http, ..ClientConfig::default() };
    vec![Arc::new(HttpWeb::new(config))]
}

async fn pay(
    session: &mut Session,
    request: &str,
    args: PayRequestArgs,
    courier: &dyn Courier,
) -> Result<Report, Failure> {
    let request: PaymentRequest = request.parse().map_err(|error: hazel_protocol::PaymentRequestError| {
        Failure::new(Kind::Refused, error.to_string()).hint("check that it is complete: it begins with creqA or CREQB1")
    })?;
    let terms = PaymentTerms {
        amount: args.amount,
        unit: session.global.unit.clone(),
        mint: session.global.mint.clone(),
        memo: args.memo,
    };
    let wallets = session.wallets()?;
    let prepared =
        session.output.while_waiting("Preparing", Box::pin(wallets.prepare_payment(&request, &terms, courier))).await?;
    session.output.when_interrupted(
        "What is paid and not delivered is shown by `hazel pay-request --deliver`, which tries again.",
    );
    if let Err(failure) = confirm(&session.output, session.global.yes, &question(&request, &prepared)).await {
        prepared.cancel().await?;
        return Err(failure);
    }
    let payment = session.output.while_waiting("Paying", Box::pin(prepared.confirm(courier))).await?;
    report(&payment)
}

fn question(request: &PaymentRequest, prepared: &PreparedPayment) -> String {
    let fee = if prepared.fee().is_zero() { "no fee".to_owned() } else { format!("a fee of {}", prepared.fee()) };
    let what = request.description.as_ref().map(|text| format!(" for “{text}”")).unwrap_or_default();
    let way = match prepared.transport().map(|transport| &transport.target) {
        Some(TransportTarget::Post(url)) => format!(" to {}", url.host()),
        Some(TransportTarget::Nostr(_)) => " by a message of Nostr".to_owned(),
        _ => ", to be handed over".to_owned(),
    };
    format!("Pay {} {}{what} from {}, plus {fee}{way}?", prepared.amount(), prepared.unit(), prepared.mint_url())
}

fn document(payment: &Payment) -> Result<Value, Failure> {
    Ok(match payment {
        Payment::Delivered { operation, .. } => json!({ "state": "delivered", "operation": operation.to_string() }),
        Payment::Undelivered { errand, operation, reason } => json!({
            "state": "undelivered",
            "delivery": errand.to_string(),
            "operation": operation.to_string(),
            "reason": reason.to_string(),
        }),
        Payment::ByHand { sent, payload } => json!({
            "state": "by-hand",
            "operation": sent.operation.to_string(),
            "token": sent.token.to_string(),
            "payload": serde_json::to_value(payload).map_err(|error| Failure::new(Kind::Bug, error.to_string()))?,
        }),
    })
}

fn line(payment: &Payment, json: &Value) -> String {
    match payment {
        Payment::Delivered { .. } => "Paid and delivered.".to_owned(),
        Payment::Undelivered { errand, reason, .. } => format!(
            "Paid, but not delivered: {reason}. `hazel pay-request --deliver` tries again, \
             `hazel pay-request --take-back {errand}` takes the money back."
        ),
        Payment::ByHand { .. } => json["payload"].to_string(),
    }
}

fn report(payment: &Payment) -> Result<Report, Failure> {
    let json = document(payment)?;
    if let Payment::Undelivered { operation, .. } = payment {
        return Err(Failure::new(Kind::Pending, line(payment, &json)).about(*operation));
    }
    let line = line(payment, &json);
    Ok(Report::line(json, line))
}

async fn deliver(session: &Session, courier: &dyn Courier) -> Result<Report, Failure> {
    let wallets = session.wallets()?;
    let payments = session.output.while_waiting("Delivering", Box::pin(wallets.deliver_open(courier))).await?;
    let mut lines = Vec::new();
    let mut documents = Vec::new();
    for payment in &payments {
        let json = document(payment)?;
        lines.push(line(payment, &json));
        documents.push(json);
    }
    if lines.is_empty() {
        lines.push("Nothing is left to be delivered.".to_owned());
    }
    Ok(Report::new(json!({ "deliveries": documents }), lines))
}
