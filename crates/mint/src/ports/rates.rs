//! The port to what units are worth.

use std::collections::BTreeMap;

use async_trait::async_trait;
use hazel_protocol::CurrencyUnit;

use crate::rate::Rate;

/// Why there is no rate now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RatesError {
    /// This unit has none.
    #[error("the unit '{0}' has no rate")]
    NoRate(CurrencyUnit),
    /// The source is away, or what it knows is too old. The text is for the log.
    #[error("the source of rates is unavailable: {0}")]
    Unavailable(String),
}

/// Says what units are worth that are not bitcoin's own.
///
/// It is asked once for each quote, when that is opened; the answer is kept in the quote.
#[async_trait]
pub trait Rates: Send + Sync + 'static {
    /// Whether quotes can be made in `unit`. Shown in NUT-06, so it is a matter of settings and not of the moment.
    fn serves(&self, unit: &CurrencyUnit) -> bool;

    /// What one `unit` is worth now.
    async fn rate(&self, unit: &CurrencyUnit) -> Result<Rate, RatesError>;
}

/// Rates that an operator has set.
///
/// ```
/// use hazel_mint::ports::{FixedRates, Rates};
/// use hazel_protocol::CurrencyUnit;
///
/// let rates = FixedRates::from_iter([(CurrencyUnit::Usd, "10526.315".parse()?)]);
/// assert!(rates.serves(&CurrencyUnit::Usd) && !rates.serves(&CurrencyUnit::Eur));
/// # Ok::<(), hazel_mint::RateError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FixedRates(BTreeMap<CurrencyUnit, Rate>);

impl FromIterator<(CurrencyUnit, Rate)> for FixedRates {
    fn from_iter<I: IntoIterator<Item = (CurrencyUnit, Rate)>>(rates: I) -> Self {
        Self(rates.into_iter().collect())
    }
}

#[async_trait]
impl Rates for FixedRates {
    fn serves(&self, unit: &CurrencyUnit) -> bool {
        self.0.contains_key(unit)
    }

    async fn rate(&self, unit: &CurrencyUnit) -> Result<Rate, RatesError> {
        self.0.get(unit).copied().ok_or_else(|| RatesError::NoRate(unit.clone()))
    }
}
