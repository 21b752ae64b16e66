//! What an operator decides about a mint.

use std::collections::BTreeMap;
use std::time::Duration;

use hazel_protocol::{Amount, CurrencyUnit, PaymentMethod};

use crate::ports::Timestamp;

/// Everything the engine can be told. The default is a mint for `sat` with limits that suit a small one.
#[derive(Debug, Clone)]
pub struct MintConfig {
    /// What NUT-06 shows.
    pub info: InfoConfig,
    /// The units it keeps keysets for; at least one.
    pub units: Vec<UnitConfig>,
    /// How it is paid and pays; at least one.
    pub methods: Vec<MethodConfig>,
    /// What a request may ask for.
    pub limits: Limits,
    /// What is open to everybody.
    pub doors: Doors,
    /// How long an invoice of a mint quote can be paid, in seconds.
    pub mint_quote_ttl_secs: u32,
    /// How long a melt quote stands, in seconds; never longer than its invoice.
    pub melt_quote_ttl_secs: u32,
    /// How long one payment attempt may take, in seconds; never longer than the quote stands.
    pub payment_timeout_secs: u32,
    /// How long a request waits for the same request that is still running.
    pub request_deadline: Duration,
    /// How long a synchronous melt waits for the payment before it answers PENDING.
    pub melt_wait: Duration,
    /// The pause between two sweeps for interrupted operations.
    pub sweep_interval: Duration,
}

impl Default for MintConfig {
    fn default() -> Self {
        Self {
            info: InfoConfig::default(),
            units: vec![UnitConfig::new(CurrencyUnit::Sat)],
            methods: vec![MethodConfig::new(PaymentMethod::bolt11())],
            limits: Limits::default(),
            doors: Doors::default(),
            mint_quote_ttl_secs: 3_600,
            melt_quote_ttl_secs: 600,
            payment_timeout_secs: 60,
            request_deadline: Duration::from_secs(20),
            melt_wait: Duration::from_secs(90),
            sweep_interval: Duration::from_secs(2),
        }
    }
}

impl MintConfig {
    /// What a quote of `method` in `unit` may ask for, the nearest that was set: the one place that NUT-06 and both kinds of quotes read.
    pub fn quote_limits(&self, method: &str, unit: &CurrencyUnit) -> QuoteLimits {
        let of_pair = self.method(method).and_then(|config| config.quotes.get(unit).copied());
        let of_unit = || self.units.iter().find(|config| config.unit == *unit).and_then(|config| config.quotes);
        of_pair.or_else(of_unit).unwrap_or(self.limits.quotes())
    }

    /// What was set about `method`; `None` for one that is not served.
    pub fn method(&self, method: &str) -> Option<&MethodConfig> {
        self.methods.iter().find(|config| config.method.as_str() == method)
    }
}

/// What NUT-06 shows of the operator.
#[derive(Debug, Clone, Default)]
pub struct InfoConfig {
    /// The mint's name.
    pub name: Option<String>,
    /// A line about it.
    pub description: Option<String>,
    /// More than a line about it.
    pub description_long: Option<String>,
    /// How to reach the operator: method and address.
    pub contact: Vec<(String, String)>,
    /// Shown to every user.
    pub motd: Option<String>,
    /// An icon.
    pub icon_url: Option<String>,
    /// Where the mint can be reached.
    pub urls: Vec<String>,
    /// Terms of service.
    pub tos_url: Option<String>,
}

/// One unit and the keyset that signs it.
#[derive(Debug, Clone)]
pub struct UnitConfig {
    /// The unit.
    pub unit: CurrencyUnit,
    /// The values its keys stand for, in the unit.
    pub denominations: Vec<Amount>,
    /// Fee per input, in thousandths of the unit (NUT-02).
    pub input_fee_ppk: u64,
    /// When its keyset expires for good (NUT-02).
    pub final_expiry: Option<Timestamp>,
    /// What its quotes may ask for; the mint's limits when `None`.
    pub quotes: Option<QuoteLimits>,
}

/// The largest fee of a keyset, in thousandths of its unit: one whole unit an input. More than that is a mistake.
pub const MAX_INPUT_FEE_PPK: u64 = 1_000;

/// Denominations of a new keyset: 1, 2, 4, ... up to this power of two.
pub const DEFAULT_DENOMINATIONS: u32 = 40;

impl UnitConfig {
    /// A unit with powers of two from 1 to 2^39, no fee and no expiry.
    pub fn new(unit: CurrencyUnit) -> Self {
        let denominations = (0..DEFAULT_DENOMINATIONS).map(|power| Amount::from_u64(1 << power)).collect();
        Self { unit, denominations, input_fee_ppk: 0, final_expiry: None, quotes: None }
    }
}

/// One payment method (NUT-04, NUT-05). Who serves it is in [`Backends`](crate::Backends).
#[derive(Debug, Clone)]
pub struct MethodConfig {
    /// The method.
    pub method: PaymentMethod,
    /// Its name for people, shown in NUT-06; wallets make one of `method` when `None`.
    pub name: Option<String>,
    /// The units of its quotes; every unit that has a rate when `None`.
    pub units: Option<Vec<CurrencyUnit>>,
    /// What its quotes in a unit may ask for, where that is not as for the other methods.
    pub quotes: BTreeMap<CurrencyUnit, QuoteLimits>,
}

impl MethodConfig {
    /// A method with every unit and no limits of its own.
    pub const fn new(method: PaymentMethod) -> Self {
        Self { method, name: None, units: None, quotes: BTreeMap::new() }
    }

    /// Whether its quotes may be in `unit`.
    pub fn serves(&self, unit: &CurrencyUnit) -> bool {
        self.units.as_ref().is_none_or(|units| units.contains(unit))
    }
}

/// What an operator opens and closes. What is paid for already can be issued all the same, and a payment under way is not touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doors {
    /// New mint quotes are given (NUT-04).
    pub minting: bool,
    /// New payments are made (NUT-05).
    pub melting: bool,
    /// A mint quote has to name the key that will sign for it (NUT-20).
    pub pubkey_required: bool,
}

impl Default for Doors {
    /// All open, and a key is welcome but not asked for.
    fn default() -> Self {
        Self { minting: true, melting: true, pubkey_required: false }
    }
}

/// What a request may ask for. NUT-06 shows the limits of quotes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Proofs per request.
    pub max_inputs: usize,
    /// Blinded messages per request.
    pub max_outputs: usize,
    /// Quotes per batch (NUT-29).
    pub max_batch: usize,
    /// Smallest mint quote, in its unit.
    pub mint_min: Amount,
    /// Largest mint quote, in its unit.
    pub mint_max: Amount,
    /// Smallest melt quote, in its unit.
    pub melt_min: Amount,
    /// Largest melt quote with its fee reserve, in its unit.
    pub melt_max: Amount,
}

/// What a quote of one unit may ask for, in that unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuoteLimits {
    /// Smallest mint quote.
    pub mint_min: Amount,
    /// Largest mint quote.
    pub mint_max: Amount,
    /// Smallest melt quote.
    pub melt_min: Amount,
    /// Largest melt quote with its fee reserve.
    pub melt_max: Amount,
}

impl Limits {
    /// The limits of quotes in units that have none of their own.
    pub fn quotes(&self) -> QuoteLimits {
        let Self { mint_min, mint_max, melt_min, melt_max, .. } = *self;
        QuoteLimits { mint_min, mint_max, melt_min, melt_max }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_inputs: 1_000,
            max_outputs: 1_000,
            max_batch: 100,
            mint_min: Amount::from_u64(1),
            mint_max: Amount::from_u64(100_000_000),
            melt_min: Amount::from_u64(1),
            melt_max: Amount::from_u64(100_000_000),
        }
    }
}
