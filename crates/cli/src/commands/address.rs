//! A Lightning address on the way to its invoice.

use hazel_http::client::{ClientConfig, HttpWeb};
use hazel_protocol::PayAddress;
use hazel_wallet::Payee;

use crate::failure::{Failure, Kind};
use crate::session::Session;

/// The invoice of an address; none if the text is something else. `msat` is what the payee shall get.
pub(super) async fn invoice(
    session: &Session,
    text: &str,
    msat: Option<u64>,
    comment: Option<&str>,
) -> Result<Option<String>, Failure> {
    let Ok(address) = text.parse::<PayAddress>() else {
        return match comment {
            Some(_) => Err(Failure::new(Kind::Usage, "only a lightning address takes a comment")),
            None => Ok(None),
        };
    };
    let Some(msat) = msat else {
        return Err(Failure::new(Kind::Usage, "an address names no amount").hint("say how much: `--amount AMOUNT`"));
    };
    let web = HttpWeb::new(ClientConfig { allow_http: session.global.allow_http, ..ClientConfig::default() });
    let payee = session.output.while_waiting("Asking the payee", Payee::resolve(&web, &address)).await?;
    session.output.note(format!("The payee says: {}", payee.description()));
    let invoice = session.output.while_waiting("Asking for an invoice", payee.invoice(&web, msat, comment)).await?;
    Ok(Some(invoice))
}
