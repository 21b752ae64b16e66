//! Gives a token to whoever asks: `faucet FOLDER MINT AMOUNT`, then one line on standard input for each token. What nobody has claimed when the
//! input ends is taken back.
#![expect(clippy::print_stdout, reason = "a token on standard output is what this program is for")]

mod world;

use std::io::BufRead;

use hazel_protocol::Amount;
use hazel_wallet::{Error, SendOptions};
use world::{Failure, argument};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (_, wallet) = world::open(argument(1, "a folder")?.as_ref(), &argument(2, "a mint")?).await?;
    let amount: Amount = Amount::from_u64(argument(3, "an amount")?.parse()?);
    if wallet.balance().await?.available < amount {
        let mut pending =
            wallet.prepare_mint(Amount::from_u64(amount.to_u64().saturating_mul(10)), Some("a faucet")).await?;
        println!("{}", pending.invoice());
        pending.wait_paid(&mut |_| {}).await?;
        pending.confirm().await?;
    }
    let mut given = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let memo = Some(line?).filter(|line| !line.is_empty());
        match wallet.prepare_send(amount, SendOptions { memo, ..SendOptions::default() }).await {
            Ok(prepared) => {
                let sent = prepared.confirm().await?;
                println!("{}", sent.token);
                given.push(sent.operation);
            }
            Err(Error::InsufficientFunds { .. }) => println!("empty"),
            Err(error) => return Err(error.into()),
        }
    }
    for operation in given {
        match wallet.prepare_take_back(operation).await {
            Ok(prepared) => println!("took back {}", prepared.confirm().await?.amount),
            Err(Error::Claimed) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
