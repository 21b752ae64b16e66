//! What a run says about the mint.
#![expect(clippy::float_arithmetic, clippy::as_conversions, clippy::cast_precision_loss, reason = "figures for people")]

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::connection::Answer;
use crate::cpu::Used;
use crate::drive::Outcome;
use crate::jobs::Load;

/// The figures of one run. Times are in microseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    load: Load,
    clients: u64,
    seconds: f64,
    pub(crate) succeeded: u64,
    /// Refused, by HTTP status and NUT code; `broken` where there was no answer.
    failed: BTreeMap<String, u64>,
    /// Operations that succeeded in a second.
    rate: f64,
    /// Of operations that succeeded.
    latency_us: Latency,
    /// CPU time for each operation that succeeded.
    cpu_us: PerOperation,
}

#[derive(Debug, Default, Serialize)]
struct Latency {
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

#[derive(Debug, Serialize)]
struct PerOperation {
    client: f64,
    mint: Option<f64>,
    database: Option<f64>,
}

impl Report {
    pub(crate) fn new(load: Load, clients: u64, outcome: &Outcome, used: Used) -> Self {
        let mut latencies = Vec::new();
        let mut failed = BTreeMap::new();
        for done in &outcome.done {
            match &done.answer {
                Some(answer) if answer.is_success() => latencies.push(done.latency),
                other => *failed.entry(name_of(other.as_ref())).or_default() += 1,
            }
        }
        latencies.sort_unstable();
        let succeeded = latencies.len() as u64;
        let seconds = outcome.took.as_secs_f64();
        let each = |micros: u64| micros as f64 / (succeeded.max(1)) as f64;
        Self {
            load,
            clients,
            seconds,
            succeeded,
            failed,
            rate: succeeded as f64 / seconds,
            latency_us: Latency::of(&latencies),
            cpu_us: PerOperation {
                client: each(used.client),
                mint: used.mint.map(each),
                database: used.database.map(each),
            },
        }
    }

    /// How many operations such a mint does in so many seconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive and small")]
    pub(crate) fn operations_in(&self, seconds: u64) -> u64 {
        (self.rate * seconds as f64) as u64
    }
}

impl Latency {
    /// Of latencies in ascending order.
    fn of(sorted: &[Duration]) -> Self {
        let at = |thousandths: usize| {
            // The nearest rank: the smallest that so many are not above.
            let rank = (sorted.len() * thousandths).div_ceil(1_000).max(1);
            sorted.get(rank - 1).map_or(0, |latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX))
        };
        Self { p50: at(500), p90: at(900), p99: at(990), p999: at(999), max: at(1_000) }
    }
}

fn name_of(answer: Option<&Answer>) -> String {
    let Some(answer) = answer else { return "broken".to_owned() };
    match answer.code() {
        Some(code) => format!("{} {code}", answer.status),
        None => answer.status.to_string(),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {} clients, {:.1} s", self.load, self.clients, self.seconds)?;
        writeln!(f, "  rate     {:.0}/s ({} operations)", self.rate, self.succeeded)?;
        let Latency { p50, p90, p99, p999, max } = self.latency_us;
        writeln!(f, "  latency  p50 {p50} us, p90 {p90}, p99 {p99}, p99.9 {p999}, max {max}")?;
        write!(f, "  cpu      ")?;
        if let Some(mint) = self.cpu_us.mint {
            write!(f, "mint {mint:.0} us, ")?;
        }
        if let Some(database) = self.cpu_us.database {
            write!(f, "database {database:.0} us, ")?;
        }
        write!(f, "client {:.0} us an operation", self.cpu_us.client)?;
        for (name, count) in &self.failed {
            write!(f, "\n  FAILED   {count} x {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let sorted: Vec<Duration> = (1..=100).map(Duration::from_micros).collect();
        let latency = Latency::of(&sorted);
        assert_eq!((latency.p50, latency.p90, latency.p99, latency.p999, latency.max), (50, 90, 99, 100, 100));
        let one = Latency::of(&sorted[..1]);
        assert_eq!((one.p50, one.max), (1, 1));
        assert_eq!(Latency::of(&[]).max, 0);
    }
}
