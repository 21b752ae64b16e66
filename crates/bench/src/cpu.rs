//! What processes have used of the CPU, as Linux counts it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

/// The unit of times in `/proc/<pid>/stat`: Linux shows hundredths of a second to programs, whatever it counts itself.
const TICK_MICROS: u64 = 10_000;

/// The processes that are watched.
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) mint: Vec<u32>,
    pub(crate) database: Vec<u32>,
}

/// CPU time in microseconds; none of what is not watched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    pub(crate) client: u64,
    pub(crate) mint: Option<u64>,
    pub(crate) database: Option<u64>,
}

impl Processes {
    /// What they have used since they began.
    ///
    /// # Errors
    /// A watched process is gone: a mint that died has no speed.
    pub(crate) fn measure(&self) -> Result<Used> {
        let all = table()?;
        let own = std::process::id();
        let client = all.get(&own).context("this process has a row in /proc")?.micros;
        let of = |roots: &[u32]| (!roots.is_empty()).then(|| family_micros(&all, roots)).transpose();
        Ok(Used { client, mint: of(&self.mint)?, database: of(&self.database)? })
    }
}

impl Used {
    /// What was used between `earlier` and this.
    pub(crate) fn since(self, earlier: &Self) -> Self {
        let difference = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Self {
            client: self.client.saturating_sub(earlier.client),
            mint: difference(self.mint, earlier.mint),
            database: difference(self.database, earlier.database),
        }
    }
}

/// A row of `/proc/<pid>/stat`.
#[derive(Debug)]
struct Row {
    parent: u32,
    /// Its own time and that of its children that have ended.
    micros: u64,
}

fn table() -> Result<BTreeMap<u32, Row>> {
    let mut rows = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").context("only Linux tells the CPU time of other processes")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has ended since the folder was read is not there.
        let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        rows.insert(pid, parse(&text).with_context(|| format!("/proc/{pid}/stat: {text}"))?);
    }
    Ok(rows)
}

/// The name of the program stands in brackets and may hold anything, so the fields are counted from its end.
fn parse(stat: &str) -> Option<Row> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    // The fields 14 to 17 of proc(5), of which the first two are cut off: own time, then that of ended children.
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    Some(Row { parent: fields.get(1)?.parse().ok()?, micros: ticks * TICK_MICROS })
}

/// The sum over `roots` and everything they started.
fn family_micros(all: &BTreeMap<u32, Row>, roots: &[u32]) -> Result<u64> {
    for root in roots {
        all.get(root).with_context(|| format!("process {root} is not there"))?;
    }
    let mut family: BTreeSet<u32> = roots.iter().copied().collect();
    loop {
        let children = all.iter().filter(|(pid, row)| family.contains(&row.parent) && !family.contains(pid));
        let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
        if children.is_empty() {
            break;
        }
        family.extend(children);
    }
    Ok(family.iter().filter_map(|pid| all.get(pid)).map(|row| row.micros).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_odd_name_is_read() {
        let row = parse("7 (a) b (c) S 3 7 7 0 -1 4194560 1 2 3 4 100 20 5 6 20 0 1 0").expect("a row");
        assert_eq!((row.parent, row.micros), (3, 131 * TICK_MICROS));
    }

    #[test]
    fn a_family_is_counted_whole_and_nobody_else() {
        let row = |parent, micros| Row { parent, micros };
        let all = BTreeMap::from([(1, row(0, 1)), (2, row(1, 10)), (3, row(2, 100)), (4, row(1, 1000))]);
        assert_eq!(family_micros(&all, &[2]).expect("there"), 110);
        assert_eq!(family_micros(&all, &[3, 4]).expect("there"), 1_100);
        assert!(family_micros(&all, &[9]).is_err());
    }
}
