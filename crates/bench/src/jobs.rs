//! What is asked of the mint: requests written beforehand, and answers read afterwards.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use hazel_protocol::crypto::hash_to_curve;
use hazel_protocol::{
    BlindedMessage, CheckStateRequest, CheckStateResponse, MeltQuoteBolt11Response, MeltQuoteState, MeltRequest,
    MintResponse, PointBytes, ProofState, RestoreRequest, RestoreResponse, Secret, SwapRequest, SwapResponse,
    input_fee, nut08,
};
use serde::Serialize;

use crate::Arguments;
use crate::connection::{Answer, Connection};
use crate::drive::{Job, Outcome};
use crate::purse::{Draft, Purse, in_parallel, random};
use crate::quotes;
use crate::shape::{Shape, compose};

/// What each payment is over, in sat.
const PAYMENT_SAT: u64 = 16;

/// More parts than a sum of powers of two ever needs.
const MOST_PARTS: usize = 64;

/// The kinds of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Load {
    /// Exchange proofs (NUT-03).
    Swap,
    /// Ecash for quotes that are paid already (NUT-04).
    Mint,
    /// Pay invoices (NUT-05), quotes opened before.
    Melt,
    /// The states of proofs (NUT-07), half of them spent.
    Checkstate,
    /// Signatures given earlier (NUT-09).
    Restore,
    /// Of 20 operations 14 swaps, 3 checkstates, 2 mints and a melt.
    Mix,
}

/// The mix, interleaved.
const MIX: [Load; 20] = {
    use Load::{Checkstate as C, Melt as P, Mint as M, Swap as S};
    [S, S, C, S, S, M, S, S, S, C, S, S, P, S, S, M, S, C, S, S]
};

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("?", |value| value.get_name()))
    }
}

/// What an answer has to be.
enum Expected {
    /// Signatures on this draft; these secrets are spent then.
    Signatures(Draft, Vec<Secret>),
    /// A payment made.
    Paid,
    /// So many states, so many of them spent.
    States { all: usize, spent: usize },
    /// So many signatures.
    Restored(usize),
}

/// Writes requests and reads answers.
pub(crate) struct Workshop {
    host: String,
    connection: Connection,
    purse: Purse,
    load: Load,
    shape: Shape,
    keys: usize,
    /// For the jobs handed out last, in their order.
    expected: Vec<Expected>,
}

impl Workshop {
    /// Looks at the mint.
    ///
    /// # Errors
    /// It cannot be reached, or signs no sat.
    pub(crate) async fn open(arguments: &Arguments) -> Result<Self> {
        let host = arguments.url.strip_prefix("http://").context("the address begins with http://")?;
        let host = host.trim_end_matches('/').to_owned();
        let mut connection = Connection::open(&host).await?;
        let purse = Purse::new(connection.get("/v1/keys").await?)?;
        let fee = fee(&purse, usize::try_from(arguments.inputs)?)?;
        let shape = Shape::new(arguments.inputs, arguments.outputs, fee)?;
        let keys = usize::try_from(arguments.keys)?;
        Ok(Self { host, connection, purse, load: arguments.load, shape, keys, expected: Vec::new() })
    }

    /// Where the mint is, as `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.host
    }

    /// So many requests, ready to be sent.
    pub(crate) async fn prepare(&mut self, count: u64) -> Result<Vec<Job>> {
        // A mint may have closed the connection during the last run.
        self.connection = Connection::open(&self.host).await?;
        self.expected.clear();
        let count = usize::try_from(count)?;
        if self.load != Load::Mix {
            return self.prepare_of(self.load, count).await;
        }
        let mut ready = BTreeMap::new();
        for load in [Load::Swap, Load::Mint, Load::Melt, Load::Checkstate] {
            let share = (0..count).filter(|place| MIX[place % MIX.len()] == load).count();
            let jobs = self.prepare_of(load, share).await?;
            ready.insert(load, jobs.into_iter().zip(mem::take(&mut self.expected)));
        }
        let mut next = |place: usize| ready.get_mut(&MIX[place % MIX.len()])?.next();
        let (jobs, expected) = (0..count).filter_map(&mut next).unzip();
        self.expected = expected;
        Ok(jobs)
    }

    async fn prepare_of(&mut self, load: Load, count: usize) -> Result<Vec<Job>> {
        match load {
            Load::Swap | Load::Mix => self.swaps(count).await,
            Load::Mint => self.mints(count).await,
            Load::Melt => self.melts(count).await,
            Load::Checkstate => self.checks(count).await,
            Load::Restore => self.restores(count).await,
        }
    }

    async fn swaps(&mut self, count: usize) -> Result<Vec<Job>> {
        let Shape { inputs, outputs } = self.shape.clone();
        self.fund(&inputs, count).await?;
        let drafts = self.purse.drafts(&outputs, count)?;
        let mut jobs = Vec::new();
        for draft in drafts {
            let inputs = self.purse.take(&inputs)?;
            let secrets = inputs.iter().map(|proof| proof.secret.clone()).collect();
            let outputs = draft.messages.clone().try_into()?;
            jobs.push(job("/v1/swap", &SwapRequest { inputs: inputs.try_into()?, outputs })?);
            self.expected.push(Expected::Signatures(draft, secrets));
        }
        Ok(jobs)
    }

    async fn mints(&mut self, count: usize) -> Result<Vec<Job>> {
        let outputs = self.shape.outputs.clone();
        let quotes = quotes::paid(&mut self.connection, outputs.iter().sum(), count).await?;
        let mut jobs = Vec::new();
        for (quote, draft) in quotes.into_iter().zip(self.purse.drafts(&outputs, count)?) {
            jobs.push(job("/v1/mint/bolt11", &quotes::issue(quote, &draft)?)?);
            self.expected.push(Expected::Signatures(draft, Vec::new()));
        }
        Ok(jobs)
    }

    async fn melts(&mut self, count: usize) -> Result<Vec<Job>> {
        let quotes = quotes::payments(&mut self.connection, PAYMENT_SAT, count).await?;
        let Some(first) = quotes.first() else { return Ok(Vec::new()) };
        let due = first.amount.checked_add(first.fee_reserve)?.to_u64();
        let inputs = self.inputs_paying(due)?;
        let blanks = vec![0; nut08::blank_outputs(first.fee_reserve)];
        self.fund(&inputs, count).await?;
        let mut jobs = Vec::new();
        for (quote, blanks) in quotes.into_iter().zip(self.purse.drafts(&blanks, count)?) {
            let request = MeltRequest {
                quote: quote.quote,
                inputs: self.purse.take(&inputs)?.try_into()?,
                outputs: Some(blanks.messages.try_into()?),
                prefer_async: false,
            };
            jobs.push(job("/v1/melt/bolt11", &request)?);
            self.expected.push(Expected::Paid);
        }
        Ok(jobs)
    }

    /// The fewest amounts that pay `due` and their own fee.
    fn inputs_paying(&self, due: u64) -> Result<Vec<u64>> {
        let paying = |count: usize| compose(due + fee(&self.purse, count).ok()?, u64::try_from(count).ok()?);
        (1..=MOST_PARTS).find_map(paying).context("no amounts fit the payment and its fee")
    }

    async fn checks(&mut self, count: usize) -> Result<Vec<Job>> {
        let half = self.keys / 2;
        self.spend_some(half).await?;
        let unknown: Vec<PointBytes> =
            in_parallel((0..self.keys).collect(), |_: usize| Ok(PointBytes::from(&hash_to_curve(&random()?))))?;
        let spent = self.purse.spent.around(0, self.purse.spent.len());
        let spent = in_parallel(spent, |secret: Secret| Ok(PointBytes::from(&secret.y())))?;
        (0..count)
            .map(|place| {
                let known = spent.iter().cycle().skip(place * half % spent.len().max(1)).take(half);
                let ys: Vec<PointBytes> = known.chain(&unknown[half..]).copied().collect();
                self.expected.push(Expected::States { all: ys.len(), spent: half });
                job("/v1/checkstate", &CheckStateRequest { ys: ys.try_into()? })
            })
            .collect()
    }

    async fn restores(&mut self, count: usize) -> Result<Vec<Job>> {
        let missing = self.keys.saturating_sub(self.purse.signed.len());
        self.fund(&[1], missing).await?;
        (0..count)
            .map(|place| {
                let outputs: Vec<BlindedMessage> = self.purse.signed.around(place * self.keys, self.keys);
                self.expected.push(Expected::Restored(outputs.len()));
                job("/v1/restore", &RestoreRequest { outputs: outputs.try_into()? })
            })
            .collect()
    }

    /// Sees to it that so many secrets are known to be spent.
    async fn spend_some(&mut self, count: usize) -> Result<()> {
        while self.purse.spent.len() < count {
            let before = mem::take(&mut self.expected);
            for job in self.swaps(100).await? {
                let answer = self.connection.post(job.path, job.body).await?;
                let expected = self.expected.remove(0);
                let mut signed = Vec::new();
                self.read(expected, &answer, &mut signed)?;
                self.purse.finish(signed)?;
            }
            self.expected = before;
        }
        Ok(())
    }

    /// Has proofs of these amounts, `count` times.
    async fn fund(&mut self, amounts: &[u64], count: usize) -> Result<()> {
        let mut wanted = BTreeMap::new();
        for amount in amounts {
            *wanted.entry(*amount).or_default() += count;
        }
        let wanted: Vec<(u64, usize)> = wanted.into_iter().collect();
        quotes::fund(&mut self.connection, &mut self.purse, &wanted).await
    }

    /// Reads every success and keeps the money it brought.
    ///
    /// # Errors
    /// One of them is not what was asked for.
    pub(crate) fn take_back(&mut self, outcome: &Outcome) -> Result<()> {
        let mut signed = Vec::new();
        for (expected, done) in mem::take(&mut self.expected).into_iter().zip(&outcome.done) {
            if let Some(answer) = done.answer.as_ref().filter(|answer| answer.is_success()) {
                self.read(expected, answer, &mut signed)?;
            }
        }
        self.purse.finish(signed)
    }

    fn read(&mut self, expected: Expected, answer: &Answer, signed: &mut Vec<(Draft, Signatures)>) -> Result<()> {
        match expected {
            Expected::Signatures(draft, spent) if spent.is_empty() => {
                signed.push((draft, answer.read::<MintResponse>()?.signatures.into_inner()));
            }
            Expected::Signatures(draft, spent) => {
                signed.push((draft, answer.read::<SwapResponse>()?.signatures.into_inner()));
                self.purse.note_spent(spent);
            }
            Expected::Paid => {
                let quote: MeltQuoteBolt11Response = answer.read()?;
                ensure!(quote.state == MeltQuoteState::Paid, "a payment that answers is {:?}", quote.state);
            }
            Expected::States { all, spent } => {
                let states = answer.read::<CheckStateResponse>()?.states;
                let found = states.iter().filter(|entry| entry.state == ProofState::Spent).count();
                ensure!((states.len(), found) == (all, spent), "{found} of {} states are spent", states.len());
            }
            Expected::Restored(count) => {
                let found = answer.read::<RestoreResponse>()?.signatures.len();
                ensure!(found == count, "{found} signatures restored, not {count}");
            }
        }
        Ok(())
    }
}

type Signatures = Vec<hazel_protocol::BlindSignature>;

/// What spending so many proofs costs (NUT-02).
fn fee(purse: &Purse, inputs: usize) -> Result<u64> {
    Ok(input_fee(std::iter::repeat_n(purse.fee_ppk(), inputs))?.to_u64())
}

fn job(path: &'static str, message: &impl Serialize) -> Result<Job> {
    Ok(Job { path, body: serde_json::to_vec(message)?.into() })
}
