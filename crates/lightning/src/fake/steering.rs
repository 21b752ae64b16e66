//! How the node behaves, and how a test bends it while it runs.
//!
//! Three layers, each over the one before: the [`Behaviour`] a process was configured with, the [`Steer`]s in the ledger file (seen by
//! every process on it at its next call), and the [`Script`] an invoice carries in its description, which is about that one payment.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::error::FakeError;

/// When an invoice of the ledger is paid, by nobody in particular.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settle {
    /// In full, this many ms after it was made; 0 is at once. Not if it expires first.
    AfterMs(u64),
    /// Only when a test says so, or another node of the ledger pays it.
    WhenTold,
}

/// How long `pay` stays silent after the payment has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hang {
    /// It answers.
    No,
    /// It answers after this many ms, so a poller sees the outcome first.
    ForMs(u64),
    /// It never answers.
    Forever,
}

/// What the node shows for a payment that it made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shows {
    /// The preimage of an invoice of the ledger; its word for any other.
    Truth,
    /// 32 bytes that do not hash to the payment hash.
    WrongPreimage,
    /// 32 zero bytes.
    ZeroPreimage,
}

/// How `route` fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteFault {
    /// There is no way to the payee.
    Refused,
    /// The node does not answer.
    Unavailable,
}

/// What the node says about a payment, in the words of NUT-05 and of other mints' test suites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Says {
    /// Paid, if it was.
    Paid,
    /// Finally failed.
    Unpaid,
    /// On its way.
    Pending,
    /// The node cannot say.
    Unknown,
    /// Finally failed.
    Failed,
}

impl Says {
    const fn is_failure(self) -> bool {
        matches!(self, Self::Unpaid | Self::Failed)
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "PAID",
            Self::Unpaid => "UNPAID",
            Self::Pending => "PENDING",
            Self::Unknown => "UNKNOWN",
            Self::Failed => "FAILED",
        }
    }

    pub(super) fn from_stored(text: &str) -> Option<Self> {
        [Self::Paid, Self::Unpaid, Self::Pending, Self::Unknown, Self::Failed]
            .into_iter()
            .find(|says| says.as_str() == text)
    }
}

/// What really becomes of a payment, whatever the node says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The payee gets it.
    Paid,
    /// It comes back.
    Failed,
    /// Nothing, until a test decides.
    Stuck,
}

impl Fate {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Failed => "failed",
            Self::Stuck => "stuck",
        }
    }

    pub(super) fn from_stored(text: &str) -> Option<Self> {
        [Self::Paid, Self::Failed, Self::Stuck].into_iter().find(|fate| fate.as_str() == text)
    }
}

/// The small JSON object in an invoice's description with which public test suites ask for an outcome. A missing field is PAID or false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Script {
    /// What `pay` says.
    pub pay_invoice_state: Says,
    /// What `status` says afterwards.
    pub check_payment_state: Says,
    /// `pay` fails instead of answering. The node has the payment all the same.
    pub pay_err: bool,
    /// `status` fails instead of answering.
    pub check_err: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self { pay_invoice_state: Says::Paid, check_payment_state: Says::Paid, pay_err: false, check_err: false }
    }
}

impl Script {
    /// Reads a description; `None` when it is any other text.
    pub fn from_description(text: &str) -> Option<Self> {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
        let known = ["pay_invoice_state", "check_payment_state", "pay_err", "check_err"];
        if !known.iter().any(|key| object.contains_key(*key)) {
            return None;
        }
        serde_json::from_value(object.into()).ok()
    }

    /// The outcome that fits the words: paid if either says so, else what the later word says.
    pub const fn fate(self) -> Fate {
        if matches!((self.pay_invoice_state, self.check_payment_state), (Says::Paid, _) | (_, Says::Paid)) {
            Fate::Paid
        } else if self.check_payment_state.is_failure() {
            Fate::Failed
        } else {
            Fate::Stuck
        }
    }
}

/// Everything about the node that can be bent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent faults, each switched by itself")]
pub struct Behaviour {
    /// When invoices are paid.
    pub settle: Settle,
    /// How long a payment is on its way, in ms.
    pub pay_delay_ms: u64,
    /// How long `pay` waits for the payment to end before it answers `Pending`, in ms.
    pub pay_wait_ms: u64,
    /// How long `pay` stays silent after that.
    pub hang: Hang,
    /// How long every call takes before anything happens, in ms.
    pub latency_ms: u64,
    /// Every call fails.
    pub down: bool,
    /// The smallest fee reserve, in msat.
    pub reserve_min_msat: u64,
    /// The fee reserve in millionths of the amount, where that is more than the smallest.
    pub reserve_ppm: u32,
    /// How much of the reserve routing really costs, in per cent.
    pub fee_used_percent: u32,
    /// Pays more than the cap instead of failing when routing costs more.
    pub ignore_fee_cap: bool,
    /// A second `pay` with a known id joins the first, even one that failed; otherwise it pays again.
    pub idempotent: bool,
    /// Knows no payment any more: `status` says `NeverHeard`, and a second `pay` starts afresh.
    pub forget: bool,
    /// `status` of a payment on its way says `Failed` if an earlier one for the same payment hash has failed.
    pub stale_failed: bool,
    /// What is shown for a payment made.
    pub shows: Shows,
    /// Applied to every payment whose invoice carries no script.
    pub script: Option<Script>,
    /// So many more payments fail.
    pub fail_next_pays: u32,
    /// `pay` fails before the node hears of the payment.
    pub pay_unreachable: bool,
    /// `route` fails.
    pub route_fault: Option<RouteFault>,
    /// `cancel_invoice` really makes an invoice unpayable.
    pub cancels: bool,
    /// How long a part of an invoice waits for the others, in ms.
    pub mpp_timeout_ms: u64,
}

impl Default for Behaviour {
    /// A well-behaved node for development: pays and settles by itself within two seconds, reserves 1 % (at least 1 sat) and uses half.
    fn default() -> Self {
        Self {
            settle: Settle::AfterMs(1_500),
            pay_delay_ms: 500,
            pay_wait_ms: 30_000,
            hang: Hang::No,
            latency_ms: 0,
            down: false,
            reserve_min_msat: 1_000,
            reserve_ppm: 10_000,
            fee_used_percent: 50,
            ignore_fee_cap: false,
            idempotent: true,
            forget: false,
            stale_failed: false,
            shows: Shows::Truth,
            script: None,
            fail_next_pays: 0,
            pay_unreachable: false,
            route_fault: None,
            cancels: true,
            mpp_timeout_ms: 60_000,
        }
    }
}

impl Behaviour {
    /// A node without delays and fees, for tests that are about something else.
    pub fn instant() -> Self {
        Self { settle: Settle::AfterMs(0), pay_delay_ms: 0, reserve_min_msat: 0, reserve_ppm: 0, ..Self::default() }
    }

    /// The most that routing may cost, in msat: rounded up, and never less than the smallest reserve.
    pub fn fee_reserve_msat(&self, amount_msat: u64) -> u64 {
        let share = (u128::from(amount_msat) * u128::from(self.reserve_ppm)).div_ceil(1_000_000);
        u64::try_from(share).unwrap_or(u64::MAX).max(self.reserve_min_msat)
    }

    /// What routing really costs, in msat: rounded down.
    pub fn fee_msat(&self, amount_msat: u64) -> u64 {
        let used = u128::from(self.fee_reserve_msat(amount_msat)) * u128::from(self.fee_used_percent) / 100;
        u64::try_from(used).unwrap_or(u64::MAX)
    }
}

/// One change of the [`Behaviour`], kept in the ledger file. The fields of that struct say what each does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is the field of `Behaviour` with the same name")]
pub enum Steer {
    Settle(Settle),
    PayDelayMs(u64),
    PayWaitMs(u64),
    Hang(Hang),
    LatencyMs(u64),
    Down(bool),
    ReserveMinMsat(u64),
    ReservePpm(u32),
    FeeUsedPercent(u32),
    IgnoreFeeCap(bool),
    Idempotent(bool),
    Forget(bool),
    StaleFailed(bool),
    Shows(Shows),
    Script(Option<Script>),
    FailNextPays(u32),
    PayUnreachable(bool),
    RouteFault(Option<RouteFault>),
    Cancels(bool),
    MppTimeoutMs(u64),
}

impl Steer {
    fn apply(self, to: &mut Behaviour) {
        match self {
            Self::Settle(v) => to.settle = v,
            Self::PayDelayMs(v) => to.pay_delay_ms = v,
            Self::PayWaitMs(v) => to.pay_wait_ms = v,
            Self::Hang(v) => to.hang = v,
            Self::LatencyMs(v) => to.latency_ms = v,
            Self::Down(v) => to.down = v,
            Self::ReserveMinMsat(v) => to.reserve_min_msat = v,
            Self::ReservePpm(v) => to.reserve_ppm = v,
            Self::FeeUsedPercent(v) => to.fee_used_percent = v,
            Self::IgnoreFeeCap(v) => to.ignore_fee_cap = v,
            Self::Idempotent(v) => to.idempotent = v,
            Self::Forget(v) => to.forget = v,
            Self::StaleFailed(v) => to.stale_failed = v,
            Self::Shows(v) => to.shows = v,
            Self::Script(v) => to.script = v,
            Self::FailNextPays(v) => to.fail_next_pays = v,
            Self::PayUnreachable(v) => to.pay_unreachable = v,
            Self::RouteFault(v) => to.route_fault = v,
            Self::Cancels(v) => to.cancels = v,
            Self::MppTimeoutMs(v) => to.mpp_timeout_ms = v,
        }
    }

    /// The name of the variant as serde spells it: the key of its row.
    fn knob_and_json(&self) -> Result<(String, String), FakeError> {
        let corrupt = |e: serde_json::Error| FakeError::Corrupt(e.to_string());
        let value = serde_json::to_value(self).map_err(corrupt)?;
        let knob = value.as_object().and_then(|object| object.keys().next().cloned());
        let knob = knob.ok_or_else(|| FakeError::Corrupt("a steer without a name".into()))?;
        Ok((knob, value.to_string()))
    }
}

/// Writes one steer; a later one for the same knob replaces it.
pub(super) fn store(conn: &Connection, steer: &Steer) -> Result<(), FakeError> {
    let (knob, json) = steer.knob_and_json()?;
    let sql = "INSERT INTO steering (knob, json) VALUES (?1, ?2) ON CONFLICT (knob) DO UPDATE SET json = excluded.json";
    conn.prepare_cached(sql)?.execute(params![knob, json])?;
    Ok(())
}

/// Every steer in the file.
pub(super) fn load(conn: &Connection) -> Result<Vec<Steer>, FakeError> {
    let mut statement = conn.prepare_cached("SELECT json FROM steering ORDER BY knob")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|json| serde_json::from_str(&json?).map_err(|e| FakeError::Corrupt(e.to_string()))).collect()
}

/// `base` with the steers of the file over it.
pub(super) fn effective(conn: &Connection, base: &Behaviour) -> Result<Behaviour, FakeError> {
    let mut behaviour = base.clone();
    load(conn)?.into_iter().for_each(|steer| steer.apply(&mut behaviour));
    Ok(behaviour)
}
