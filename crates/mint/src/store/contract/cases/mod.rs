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

mod swap;

/// Every case, in the order of the port.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    [swap::CASES].into_iter().flatten()
}
