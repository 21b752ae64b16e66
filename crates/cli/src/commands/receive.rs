//! `hazel receive`: the money of a token, swapped for proofs that only this wallet knows.

use std::io::{self, Read};

use hazel_protocol::{MAX_TOKEN_BYTES, MintUrl, Token, TokenError};
use hazel_wallet::{PreparedReceive, Wallet};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cli::ReceiveArgs;
use crate::failure::{Failure, Kind};
use crate::output::Report;
use crate::session::Session;

pub(super) async fn run(session: &mut Session, args: ReceiveArgs) -> Result<Report, Failure> {
    let text = Zeroizing::new(args.token);
    let token = if text.as_str() == "-" { parse(&from_stdin()?)? } else { parse(&text)? };
    let mut prepared = Vec::new();
    for mint in distinct(&token) {
        let wallet = wallet_for(session, &token, &mint).await?;
        let checking = wallet.prepare_receive(&token);
        let part = session.output.while_waiting("Checking the token", checking).await?;
        prepared.push((wallet, part));
    }
    session.output.when_interrupted(
        "If the token was being received, any `hazel` command goes on with it; else it is still good.",
    );
    let mut received = Received::default();
    for (wallet, part) in prepared {
        received.add(session, &wallet, part).await?;
    }
    Ok(received.report())
}

fn parse(text: &str) -> Result<Token, Failure> {
    text.parse().map_err(|error: TokenError| {
        Failure::new(Kind::Refused, format!("this is not a token: {error}"))
            .hint("check that it is complete: it begins with cashuA or cashuB")
    })
}

fn from_stdin() -> Result<Zeroizing<String>, Failure> {
    let failed =
        |error: io::Error| Failure::new(Kind::Usage, format!("the token cannot be read from standard input: {error}"));
    let limit = u64::try_from(MAX_TOKEN_BYTES).map_err(|error| failed(io::Error::other(error)))?;
    let mut text = Zeroizing::new(String::new());
    // One byte more than a token may have, so that a longer one is refused and not cut; and the end of the line.
    io::stdin().take(limit + 3).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn distinct(token: &Token) -> Vec<MintUrl> {
    let mut mints: Vec<MintUrl> = token.mints().into_iter().cloned().collect();
    mints.sort();
    mints.dedup();
    mints
}

async fn wallet_for(session: &mut Session, token: &Token, mint: &MintUrl) -> Result<Wallet, Failure> {
    // Old tokens need not name a unit.
    let unit = token.unit().cloned().unwrap_or_else(|| session.global.unit_or_sat());
    if session.global.unit.as_ref().is_some_and(|asked| *asked != unit) {
        return Err(Failure::new(Kind::Refused, format!("the token is in {unit}"))
            .hint(format!("receive it as what it is: `--unit {unit}`")));
    }
    session.wallet_of_token(mint, &unit).await
}

/// What came in of each mint of the token.
#[derive(Default)]
struct Received {
    parts: Vec<Value>,
    lines: Vec<String>,
}

impl Received {
    async fn add(&mut self, session: &Session, wallet: &Wallet, part: PreparedReceive) -> Result<(), Failure> {
        let memo = part.memo().map(str::to_owned);
        let has_dleq = part.has_dleq();
        let done = session.output.while_waiting("Receiving", part.confirm()).await;
        let done = done.map_err(|error| self.after_others(error.into()))?;
        let fee = if done.fee.is_zero() { String::new() } else { format!(" (after a fee of {})", done.fee) };
        self.lines.push(format!("{} {} came in{fee}.", done.amount, wallet.unit()));
        if let Some(memo) = memo.as_deref().filter(|memo| !memo.is_empty() && self.parts.is_empty()) {
            self.lines.push(format!("The sender says: {memo}"));
        }
        self.parts.push(json!({
            "mint": wallet.mint_url(),
            "unit": wallet.unit(),
            "amount": done.amount,
            "fee": done.fee,
            "memo": memo,
            "dleq": has_dleq,
            "operation": done.operation.to_string(),
        }));
        Ok(())
    }

    /// Says of a failure what came in before it.
    fn after_others(&self, failure: Failure) -> Failure {
        if self.lines.is_empty() {
            return failure;
        }
        let message = format!("{} But then: {}", self.lines.join(" "), failure.message);
        Failure { message, ..failure }
    }

    fn report(self) -> Report {
        Report { json: json!({ "received": self.parts }), lines: self.lines }
    }
}
