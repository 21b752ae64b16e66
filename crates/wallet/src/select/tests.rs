//! Selection against brute force over all subsets.

use proptest::prelude::*;

use super::*;

fn coin(amount: u64) -> Coin {
    Coin { amount, fee_ppk: 0, active: true, expiry: None }
}

fn tally(coins: &[Coin], chosen: &[usize]) -> Tally {
    chosen.iter().fold(Tally::default(), |sum, index| sum.plus(coins[*index], 1))
}

fn subsets(coins: &[Coin]) -> impl Iterator<Item = Vec<usize>> + '_ {
    (0u32..1 << coins.len()).map(|mask| (0..coins.len()).filter(|index| mask & (1 << index) != 0).collect())
}

fn is_exact(coins: &[Coin], chosen: &[usize], target: u64, fees: Fees) -> bool {
    let tally = tally(coins, chosen);
    let fee = if fees == Fees::Included { tally.fee() } else { 0 };
    tally.amount == u128::from(target) + fee
}

fn covers(coins: &[Coin], chosen: &[usize], target: u64) -> bool {
    let tally = tally(coins, chosen);
    tally.amount >= u128::from(target) + tally.fee()
}

fn any_coin() -> impl Strategy<Value = Coin> {
    let amount = prop_oneof![(0u32..7).prop_map(|power| 1u64 << power), 1u64..70];
    let fee_ppk = prop_oneof![Just(0u64), Just(100), Just(1000), Just(2500)];
    let expiry = prop_oneof![Just(None), Just(Some(5)), Just(Some(9))];
    let parts = (amount, fee_ppk, any::<bool>(), expiry);
    parts.prop_map(|(amount, fee_ppk, active, expiry)| Coin { amount, fee_ppk, active, expiry })
}

proptest! {
    #[test]
    fn an_exact_match_is_found_if_there_is_one_and_it_is_the_best(
        coins in prop::collection::vec(any_coin(), 0..10),
        target in 1u64..200,
        with_fees in any::<bool>(),
    ) {
        let fees = if with_fees { Fees::Included } else { Fees::Excluded };
        let cost = |chosen: &[usize]| { let tally = tally(&coins, chosen); (tally.active, tally.count) };
        let best = subsets(&coins).filter(|s| is_exact(&coins, s, target, fees)).map(|s| cost(&s)).min();
        let found = exact(&coins, target, fees);
        prop_assert_eq!(found.as_deref().map(cost), best);
        if let Some(found) = found {
            prop_assert!(is_exact(&coins, &found, target, fees));
        }
    }

    #[test]
    fn a_cover_is_found_if_there_is_one_and_nothing_in_it_is_superfluous(
        coins in prop::collection::vec(any_coin(), 0..10),
        target in 1u64..200,
    ) {
        let useful: Vec<Coin> = coins.iter().copied().filter(|coin| worth_its_fee(*coin)).collect();
        let possible = subsets(&useful).any(|s| covers(&useful, &s, target));
        match cover(&coins, target) {
            Err(_) => prop_assert!(!possible),
            Ok(chosen) => {
                prop_assert!(possible && covers(&coins, &chosen, target));
                for left_out in &chosen {
                    let fewer: Vec<usize> = chosen.iter().copied().filter(|index| index != left_out).collect();
                    prop_assert!(!covers(&coins, &fewer, target));
                }
                if subsets(&useful).any(|s| is_exact(&useful, &s, target, Fees::Included)) {
                    prop_assert!(is_exact(&coins, &chosen, target, Fees::Included));
                }
            }
        }
    }
}

#[test]
fn inactive_keysets_go_first() {
    let mut coins = vec![coin(8), coin(4), coin(4)];
    coins[1].active = false;
    coins[2].active = false;
    assert_eq!(exact(&coins, 8, Fees::Excluded), Some(vec![1, 2]));
    assert_eq!(cover(&coins, 7), Ok(vec![1, 2]));
}

#[test]
fn of_inactive_keysets_the_nearest_expiry_goes_first() {
    let inactive = |amount, expiry| Coin { active: false, expiry, ..coin(amount) };
    let coins = vec![inactive(4, None), inactive(4, Some(9)), inactive(4, Some(5)), inactive(4, None)];
    assert_eq!(exact(&coins, 4, Fees::Excluded), Some(vec![2]));
    assert_eq!(exact(&coins, 8, Fees::Excluded), Some(vec![1, 2]));
    assert_eq!(cover(&coins, 3), Ok(vec![2]));
    assert_eq!(cover(&coins, 7), Ok(vec![1, 2]));
}

#[test]
fn few_proofs_are_taken() {
    let coins: Vec<Coin> = [1, 1, 1, 1, 4, 8, 64].map(coin).to_vec();
    assert_eq!(exact(&coins, 4, Fees::Excluded), Some(vec![4]));
    assert_eq!(cover(&coins, 20), Ok(vec![6]));
}

#[test]
fn amounts_near_the_limit_do_not_wrap() {
    let coins = vec![coin(u64::MAX), coin(u64::MAX), Coin { fee_ppk: u64::MAX, ..coin(1) }];
    assert_eq!(exact(&coins, u64::MAX, Fees::Included), Some(vec![0]));
    assert_eq!(cover(&coins, u64::MAX), Ok(vec![0]));
    assert_eq!(cover(&[Coin { fee_ppk: 1, ..coin(u64::MAX) }], u64::MAX), Err(Shortage::TooLittle));
}

#[test]
fn a_large_wallet_of_powers_of_two_is_matched_at_once() {
    let coins: Vec<Coin> = (0..5000u32).map(|index| coin(1 << (index % 20))).collect();
    let chosen = exact(&coins, 777_777, Fees::Excluded).expect("a match exists");
    assert!(is_exact(&coins, &chosen, 777_777, Fees::Excluded));
}

#[test]
fn more_proofs_than_fit_into_a_request() {
    let coins = vec![coin(1); 3000];
    assert_eq!(cover(&coins, 2000), Err(Shortage::TooMany));
    assert_eq!(cover(&coins, 900).map(|chosen| chosen.len()), Ok(900));
    let mut mixed = coins;
    for coin in &mut mixed {
        coin.active = false;
    }
    mixed.push(coin(4096));
    assert_eq!(cover(&mixed, 2000), Ok(vec![3000]));
}
