//! `hazel receive`: the money of tokens, swapped for proofs that only this wallet knows.

use std::io::{self, Read};

use hazel_protocol::{CurrencyUnit, MAX_TOKEN_BYTES, MintUrl, Token, TokenError};
use hazel_wallet::{PreparedReceive, ReceiveOptions, Wallet};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::swap_to;
use crate::failure::{Failure, Kind};
use crate::locking::PreimageArgs;
use crate::output::Report;
use crate::session::Session;

/// Most tokens in one call. A count.
const MAX_TOKENS: usize = 1_000;

/// The longest text that is read from standard input, in bytes.
const MAX_INPUT_BYTES: usize = 4 * MAX_TOKEN_BYTES;

/// What to receive.
#[derive(Debug, clap::Args)]
pub(crate) struct ReceiveArgs {
    /// The tokens; `-`, or none, reads them from standard input
    #[arg(value_name = "TOKEN")]
    pub(crate) tokens: Vec<String>,
    /// What opens a hash lock.
    #[command(flatten)]
    pub(crate) preimage: PreimageArgs,
    /// Take the tokens without asking their mint; they must be locked to this wallet alone. A later command swaps them
    #[arg(long)]
    pub(crate) offline: bool,
    /// Add the mint of a token when it is not in the wallet yet
    #[arg(long)]
    pub(crate) trust: bool,
    /// Move the money of a mint that is not in the wallet to this one, over Lightning
    #[arg(long, value_name = "URL", conflicts_with_all = ["trust", "offline"])]
    pub(crate) swap_to: Option<MintUrl>,
}

pub(super) async fn run(session: &mut Session, mut args: ReceiveArgs) -> Result<Report, Failure> {
    let mut texts = texts(std::mem::take(&mut args.tokens))?;
    session
        .output
        .when_interrupted("If a token was being received, any `hazel` command goes on with it; else it is still good.");
    let mut received = Received::default();
    if texts.len() == 1 {
        receive(session, &args, &texts.remove(0), &mut received)
            .await
            .map_err(|failure| received.after_others(failure))?;
        return Ok(received.report());
    }
    for (place, text) in texts.iter().enumerate() {
        if let Err(failure) = receive(session, &args, text, &mut received).await {
            received.failed(session, place + 1, failure);
        }
    }
    Ok(received.report())
}

/// The tokens of the command line, and those on standard input where it says so.
pub(super) fn texts(arguments: Vec<String>) -> Result<Vec<Zeroizing<String>>, Failure> {
    let mut texts = Vec::new();
    let asks_stdin = arguments.is_empty() || arguments.iter().any(|text| text == "-");
    texts.extend(arguments.into_iter().filter(|text| text != "-").map(Zeroizing::new));
    if asks_stdin {
        let text = from_stdin()?;
        texts.extend(text.split_whitespace().map(|text| Zeroizing::new(text.to_owned())));
    }
    if texts.is_empty() {
        return Err(Failure::new(Kind::Usage, "there is no token").hint("`hazel receive TOKEN`"));
    }
    if texts.len() > MAX_TOKENS {
        return Err(Failure::new(Kind::Usage, format!("these are more than {MAX_TOKENS} tokens at once")));
    }
    Ok(texts)
}

pub(super) fn from_stdin() -> Result<Zeroizing<String>, Failure> {
    let failed =
        |error: io::Error| Failure::new(Kind::Usage, format!("the token cannot be read from standard input: {error}"));
    let limit = u64::try_from(MAX_INPUT_BYTES).map_err(|error| failed(io::Error::other(error)))?;
    let mut text = Zeroizing::new(String::new());
    // One byte more than the limit, so that a longer text is refused and not cut.
    io::stdin().take(limit + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() > MAX_INPUT_BYTES {
        return Err(Failure::new(Kind::Usage, "what is on standard input is too long for tokens"));
    }
    Ok(text)
}

/// Reads a token.
pub(super) fn parse(text: &str) -> Result<Token, Failure> {
    text.parse().map_err(|error: TokenError| {
        Failure::new(Kind::Refused, format!("this is not a token: {error}"))
            .hint("check that it is complete: it begins with cashuA or cashuB")
    })
}

/// The mints of a token, each once.
pub(super) fn distinct(token: &Token) -> Vec<MintUrl> {
    let mut mints: Vec<MintUrl> = token.mints().into_iter().cloned().collect();
    mints.sort();
    mints.dedup();
    mints
}

/// The engine for one of the mints of a token.
pub(super) async fn wallet_for(
    session: &mut Session,
    token: &Token,
    mint: &MintUrl,
    trust: bool,
) -> Result<Wallet, Failure> {
    let unit = unit_of(session, token)?;
    session.wallet_of_token(mint, &unit, trust).await
}

/// The unit of a token; old ones need not name it.
fn unit_of(session: &Session, token: &Token) -> Result<CurrencyUnit, Failure> {
    let unit = token.unit().cloned().unwrap_or_else(|| session.global.unit_or_sat());
    if session.global.unit.as_ref().is_some_and(|asked| *asked != unit) {
        return Err(Failure::new(Kind::Refused, format!("the token is in {unit}"))
            .hint(format!("receive it as what it is: `--unit {unit}`")));
    }
    Ok(unit)
}

/// Takes one token: all of its mints are looked at before the first is swapped.
async fn receive(
    session: &mut Session,
    args: &ReceiveArgs,
    text: &str,
    received: &mut Received,
) -> Result<(), Failure> {
    let token = parse(text)?;
    let options = ReceiveOptions { preimage: args.preimage.read()? };
    let mut wallets = Vec::new();
    for mint in distinct(&token) {
        match &args.swap_to {
            Some(target) if !session.trusts(&mint).await? => {
                received.swap(session, &token, (&mint, target), &options).await?;
            }
            _ => wallets.push(wallet_for(session, &token, &mint, args.trust).await?),
        }
    }
    if args.offline {
        for wallet in &wallets {
            received.store(wallet, &token, &options).await?;
        }
        return Ok(());
    }
    let mut prepared = Vec::new();
    for wallet in wallets {
        let checking = wallet.prepare_receive_with(&token, &options);
        let part = session.output.while_waiting("Checking the token", checking).await?;
        prepared.push((wallet, part));
    }
    for (wallet, part) in prepared {
        received.take(session, &wallet, part).await?;
    }
    Ok(())
}

/// What came in.
#[derive(Default)]
struct Received {
    parts: Vec<Value>,
    lines: Vec<String>,
    failure: Option<Failure>,
}

impl Received {
    async fn take(&mut self, session: &Session, wallet: &Wallet, part: PreparedReceive) -> Result<(), Failure> {
        let memo = part.memo().map(str::to_owned);
        let has_dleq = part.has_dleq();
        let done = session.output.while_waiting("Receiving", part.confirm()).await?;
        let fee = if done.fee.is_zero() { String::new() } else { format!(" (after a fee of {})", done.fee) };
        self.lines.push(format!("{} {} came in{fee}.", done.amount, wallet.unit()));
        self.says(memo.as_deref());
        self.parts.push(json!({
            "mint": wallet.mint_url(),
            "unit": wallet.unit(),
            "amount": done.amount,
            "fee": done.fee,
            "memo": memo,
            "dleq": has_dleq,
            "state": "received",
            "operation": done.operation.to_string(),
        }));
        Ok(())
    }

    /// Takes what is of a mint that is not trusted to one that is.
    async fn swap(
        &mut self,
        session: &mut Session,
        token: &Token,
        (mint, target): (&MintUrl, &MintUrl),
        options: &ReceiveOptions,
    ) -> Result<(), Failure> {
        let unit = unit_of(session, token)?;
        let to = swap_to::target(session, target, &unit).await?;
        let from = session.wallet(mint, &unit)?;
        let (part, line) = swap_to::receive(session, token, &from, &to, options).await?;
        self.lines.push(line);
        self.says(token.memo());
        self.parts.push(part);
        Ok(())
    }

    async fn store(&mut self, wallet: &Wallet, token: &Token, options: &ReceiveOptions) -> Result<(), Failure> {
        let stored = wallet.receive_offline(token, options).await?;
        let amount = stored.value.checked_sub(stored.fee).unwrap_or_default();
        self.lines.push(format!(
            "{amount} {} are kept, to be swapped as soon as {} can be reached: any command does that.",
            wallet.unit(),
            wallet.mint_url()
        ));
        self.says(token.memo());
        self.parts.push(json!({
            "mint": wallet.mint_url(),
            "unit": wallet.unit(),
            "amount": amount,
            "fee": stored.fee,
            "memo": token.memo(),
            "dleq": true,
            "state": "stored",
            "operation": stored.operation.to_string(),
        }));
        Ok(())
    }

    /// The text of the sender; a token of several mints has it once.
    fn says(&mut self, memo: Option<&str>) {
        let line = memo.filter(|memo| !memo.is_empty()).map(|memo| format!("The sender says: {memo}"));
        if let Some(line) = line.filter(|line| self.lines.iter().rev().nth(1) != Some(line)) {
            self.lines.push(line);
        }
    }

    /// Says of a failure what came in before it.
    fn after_others(&self, failure: Failure) -> Failure {
        if self.lines.is_empty() {
            return failure;
        }
        let message = format!("{} But then: {}", self.lines.join(" "), failure.message);
        Failure { message, ..failure }
    }

    /// One of several tokens was not received.
    fn failed(&mut self, session: &Session, number: usize, failure: Failure) {
        session.output.note(format!("Token {number}: {}", failure.message));
        self.failure.get_or_insert(failure);
    }

    fn report(self) -> Report {
        Report::new(json!({ "received": self.parts }), self.lines).but(self.failure)
    }
}
