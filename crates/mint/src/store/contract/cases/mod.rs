//! The named cases. Each says one sentence of the port's docs, starts on an empty store and must leave a sound ledger.

use futures_util::future::BoxFuture;

use super::Bench;

/// A case and its name.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) run: for<'a> fn(&'a Bench) -> BoxFuture<'a, ()>,
}

/// Lists the cases of a module under the module's name.
macro_rules! cases {
    ($module:literal: $($case:ident),* $(,)?) => {
        pub(super) const CASES: &[$crate::store::contract::cases::Case] = &[$(
            $crate::store::contract::cases::Case {
                name: concat!($module, ": ", stringify!($case)),
                run: |bench| Box::pin($case(bench)),
            }
        ),*];
    };
}

mod administer;
mod dispatch;
mod issue;
mod keysets;
mod melt;
mod melt_quotes;
mod mint_quotes;
mod reads;
mod resolve;
mod settle_melt;
mod swap;
mod swap_end;
mod upkeep;

/// Every case, in the order of the port.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    let modules = [
        keysets::CASES,
        administer::CASES,
        mint_quotes::CASES,
        issue::CASES,
        swap::CASES,
        swap_end::CASES,
        resolve::CASES,
        melt_quotes::CASES,
        melt::CASES,
        dispatch::CASES,
        settle_melt::CASES,
        upkeep::CASES,
        reads::CASES,
    ];
    modules.into_iter().flatten()
}
