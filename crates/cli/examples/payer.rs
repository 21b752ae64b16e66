//! A bot that pays requests, up to a limit for each: `payer FOLDER MINT LIMIT`, then one request per line on standard input. What could not
//! be delivered is tried again at the next start. A request that names no way is answered with its token.
#![expect(clippy::print_stdout, reason = "it says what it did")]

mod world;

use std::io::BufRead;

use hazel_http::client::{ClientConfig, HttpWeb};
use hazel_protocol::{Amount, PaymentRequest};
use hazel_wallet::{Payment, PaymentTerms, Wallets};
use world::{Failure, argument};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (wallets, wallet) = world::open(argument(1, "a folder")?.as_ref(), &argument(2, "a mint")?).await?;
    let limit = Amount::from_u64(argument(3, "a limit")?.parse()?);
    // Shops on this machine will do, for it is an example.
    let web = HttpWeb::new(ClientConfig { allow_http: true, ..ClientConfig::default() });
    for payment in wallets.deliver_open(&web).await? {
        println!("{}", told(&payment));
    }
    if wallet.balance().await?.available.is_zero() {
        let mut pending = wallet.prepare_mint(Amount::from_u64(limit.to_u64().saturating_mul(10)), None).await?;
        println!("{}", pending.invoice());
        pending.wait_paid(&mut |_| {}).await?;
        pending.confirm().await?;
    }
    for line in std::io::stdin().lock().lines() {
        match pay(&wallets, &line?, limit, &web).await {
            Ok(payment) => println!("{}", told(&payment)),
            Err(error) => println!("not paid: {}", hazel_protocol::neutralise(&error.to_string())),
        }
    }
    Ok(())
}

async fn pay(wallets: &Wallets, text: &str, limit: Amount, web: &HttpWeb) -> Result<Payment, Failure> {
    let request: PaymentRequest = text.parse()?;
    let prepared = wallets.prepare_payment(&request, &PaymentTerms::default(), web).await?;
    if prepared.total() > limit {
        let total = prepared.total();
        prepared.cancel().await?;
        return Err(format!("it costs {total}, more than {limit}").into());
    }
    Ok(prepared.confirm(web).await?)
}

fn told(payment: &Payment) -> String {
    match payment {
        Payment::Delivered { .. } => "paid".to_owned(),
        Payment::Undelivered { reason, .. } => format!("paid, not delivered: {reason}"),
        Payment::ByHand { sent, .. } => sent.token.to_string(),
    }
}
