//! Which proofs to spend.
//!
//! Two questions, both pure: [`exact`] finds proofs that are worth an amount to the unit, [`cover`] finds proofs that are worth
//! at least an amount after the mint's fee. Proofs of inactive keysets go first, because the mint wants them back, and of
//! those the ones that expire soonest; then as few proofs as possible.

use std::collections::BTreeMap;

use hazel_protocol::MAX_INPUTS;

/// A proof as far as selection cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coin {
    /// Its value, in the minor unit.
    pub amount: u64,
    /// What spending it costs, in thousandths of the minor unit (NUT-02).
    pub fee_ppk: u64,
    /// Whether its keyset is active.
    pub active: bool,
    /// When its keyset expires for good (NUT-02), in seconds since 1970; none if never.
    pub expiry: Option<u64>,
}

/// Whether the mint's fee for the proofs is added to an exact amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fees {
    /// The proofs are worth the amount.
    Excluded,
    /// The proofs are worth the amount and the fee for spending them.
    Included,
}

/// Why no proofs cover an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// All of them together are not worth enough.
    TooLittle,
    /// More than [`MAX_INPUTS`] would be needed.
    TooMany,
}

/// Steps that the search for an exact match may take. Enough to be exhaustive for small wallets, and to find a match
/// at once for denominations of powers of two.
const MAX_STEPS: u32 = 50_000;

/// Proofs worth exactly `target`, as indices into `coins` in ascending order.
///
/// Among all matches it prefers the one that spends the least value of active keysets, then the one with the fewest proofs,
/// as far as the search gets.
pub fn exact(coins: &[Coin], target: u64, fees: Fees) -> Option<Vec<usize>> {
    let groups = group(coins);
    let mut search = Search::new(&groups, target, fees);
    search.descend(0, Tally::default());
    let counts = search.best?.counts;
    let mut chosen: Vec<usize> =
        groups.iter().zip(counts).flat_map(|(group, count)| group.members.iter().take(count).copied()).collect();
    chosen.sort_unstable();
    Some(chosen)
}

/// Coins that are alike.
#[derive(Debug)]
struct Group {
    coin: Coin,
    members: Vec<usize>,
}

impl Coin {
    /// Sorts those that have to go soonest to the front: inactive ones, and of them those of the nearest expiry.
    fn urgency(&self) -> (bool, u64) {
        (self.active, if self.active { u64::MAX } else { self.expiry.unwrap_or(u64::MAX) })
    }
}

/// The most urgent coins first, large ones first, cheap ones first.
fn group(coins: &[Coin]) -> Vec<Group> {
    let mut groups: BTreeMap<_, Group> = BTreeMap::new();
    for (index, coin) in coins.iter().enumerate() {
        let order = (coin.urgency(), std::cmp::Reverse(coin.amount), coin.fee_ppk);
        groups.entry(order).or_insert_with(|| Group { coin: *coin, members: Vec::new() }).members.push(index);
    }
    groups.into_values().collect()
}

/// What some coins add up to. Wide enough for any number of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    amount: u128,
    ppk: u128,
    active: u128,
    count: usize,
}

impl Tally {
    fn plus(self, coin: Coin, count: usize) -> Self {
        let times = |value: u64| u128::from(value) * u128::try_from(count).unwrap_or(u128::MAX);
        Self {
            amount: self.amount + times(coin.amount),
            ppk: self.ppk + times(coin.fee_ppk),
            active: self.active + if coin.active { times(coin.amount) } else { 0 },
            count: self.count + count,
        }
    }

    fn fee(&self) -> u128 {
        self.ppk.div_ceil(1000)
    }
}

struct Found {
    cost: (u128, usize),
    counts: Vec<usize>,
}

struct Search<'a> {
    groups: &'a [Group],
    /// What the groups from each index on add up to.
    rest: Vec<Tally>,
    target: u128,
    fees: Fees,
    counts: Vec<usize>,
    best: Option<Found>,
    steps: u32,
}

impl<'a> Search<'a> {
    fn new(groups: &'a [Group], target: u64, fees: Fees) -> Self {
        let mut rest = vec![Tally::default(); groups.len() + 1];
        for (index, group) in groups.iter().enumerate().rev() {
            rest[index] = rest[index + 1].plus(group.coin, group.members.len());
        }
        let counts = vec![0; groups.len()];
        Self { groups, rest, target: u128::from(target), fees, counts, best: None, steps: 0 }
    }

    fn descend(&mut self, index: usize, so_far: Tally) {
        self.steps += 1;
        if self.steps > MAX_STEPS || so_far.count > MAX_INPUTS || self.hopeless(index, so_far) {
            return;
        }
        if so_far.amount == self.wanted(so_far.ppk) {
            self.best = Some(Found { cost: (so_far.active, so_far.count), counts: self.counts.clone() });
            return;
        }
        let Some(group) = self.groups.get(index) else { return };
        for count in (0..=group.members.len()).rev() {
            self.counts[index] = count;
            self.descend(index + 1, so_far.plus(group.coin, count));
        }
        self.counts[index] = 0;
    }

    fn wanted(&self, ppk: u128) -> u128 {
        match self.fees {
            Fees::Excluded => self.target,
            Fees::Included => self.target + ppk.div_ceil(1000),
        }
    }

    /// Whether nothing from here on can be a match, or a better one.
    fn hopeless(&self, index: usize, so_far: Tally) -> bool {
        let rest = self.rest[index];
        let too_much = so_far.amount > self.wanted(so_far.ppk + rest.ppk);
        let too_little = so_far.amount + rest.amount < self.wanted(so_far.ppk);
        let worse = self.best.as_ref().is_some_and(|best| (so_far.active, so_far.count) >= best.cost);
        too_much || too_little || worse
    }
}

/// Proofs worth at least `target` after the fee for spending them, as indices into `coins` in ascending order. None of them
/// could be left out. When an exact match is found, it is taken.
///
/// Proofs that cost more than they are worth are never chosen.
///
/// # Errors
/// [`Shortage`].
pub fn cover(coins: &[Coin], target: u64) -> Result<Vec<usize>, Shortage> {
    let useful: Vec<usize> = (0..coins.len()).filter(|index| worth_its_fee(coins[*index])).collect();
    let of_useful: Vec<Coin> = useful.iter().map(|index| coins[*index]).collect();
    let chosen = match exact(&of_useful, target, Fees::Included) {
        Some(chosen) => chosen,
        None => gather(&of_useful, target)?,
    };
    Ok(chosen.into_iter().map(|index| useful[index]).collect())
}

fn worth_its_fee(coin: Coin) -> bool {
    u128::from(coin.amount) * 1000 > u128::from(coin.fee_ppk)
}

fn gather(coins: &[Coin], target: u64) -> Result<Vec<usize>, Shortage> {
    let mut all: Vec<usize> = (0..coins.len()).collect();
    all.sort_by_key(|index| (coins[*index].urgency(), coins[*index].amount));
    let alike = |a: &usize, b: &usize| coins[*a].urgency() == coins[*b].urgency();
    let pools: Vec<Vec<usize>> = all.chunk_by(alike).map(<[_]>::to_vec).collect();
    let preferred = pick(coins, target, &pools)?;
    if preferred.len() <= MAX_INPUTS {
        return Ok(preferred);
    }
    // Too much small change of inactive keysets: take the fewest of all.
    all.sort_by_key(|index| coins[*index].amount);
    let fewest = pick(coins, target, &[all])?;
    if fewest.len() <= MAX_INPUTS { Ok(fewest) } else { Err(Shortage::TooMany) }
}

/// Takes from each pool in turn, which are in ascending order of amount, until the target is covered.
fn pick(coins: &[Coin], target: u64, pools: &[Vec<usize>]) -> Result<Vec<usize>, Shortage> {
    let enough = |tally: Tally| tally.amount >= u128::from(target) + tally.fee();
    let mut chosen = Vec::new();
    let mut tally = Tally::default();
    for pool in pools {
        let mut pool = pool.clone();
        while !enough(tally) && !pool.is_empty() {
            // The smallest that is enough by itself, else the largest.
            let last = pool.iter().position(|index| enough(tally.plus(coins[*index], 1)));
            let index = pool.remove(last.unwrap_or(pool.len() - 1));
            tally = tally.plus(coins[index], 1);
            chosen.push(index);
        }
    }
    if !enough(tally) {
        return Err(Shortage::TooLittle);
    }
    chosen.sort_by_key(|index| (std::cmp::Reverse(coins[*index].urgency()), coins[*index].amount));
    let mut index = 0;
    while index < chosen.len() {
        let others = chosen.iter().enumerate().filter(|(at, _)| *at != index);
        let without = others.fold(Tally::default(), |sum, (_, coin)| sum.plus(coins[*coin], 1));
        if enough(without) {
            chosen.remove(index);
        } else {
            index += 1;
        }
    }
    chosen.sort_unstable();
    Ok(chosen)
}

#[cfg(test)]
mod tests;
