//! The configuration file as it is written: every key optional, every unknown key an error.
//!
//! What the values mean together is judged in [`check`](super::check).

use std::net::SocketAddr;
use std::path::PathBuf;

use hazel_protocol::{CurrencyUnit, PaymentMethod};
use serde::Deserialize;

use super::values::{Backend, DatabaseUrl, Durability, Level, LogFormat};

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) mint: MintSection,
    pub(super) unit: Vec<UnitSection>,
    pub(super) method: Vec<MethodSection>,
    pub(super) imported_keyset: Vec<ImportedKeysetSection>,
    pub(super) limits: LimitsSection,
    pub(super) http: HttpSection,
    pub(super) rate: RateSection,
    pub(super) admin: AdminSection,
    pub(super) database: DatabaseSection,
    pub(super) seed: SeedSection,
    pub(super) lightning: LightningSection,
    pub(super) log: LogSection,
}

/// `[mint]`: what NUT-06 shows, and how long quotes stand.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MintSection {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) description_long: Option<String>,
    pub(super) contact: Vec<ContactSection>,
    pub(super) motd: Option<String>,
    pub(super) icon_url: Option<String>,
    pub(super) urls: Vec<String>,
    pub(super) tos_url: Option<String>,
    pub(super) mint_quote_secs: Option<u32>,
    pub(super) melt_quote_secs: Option<u32>,
    pub(super) payment_timeout_secs: Option<u32>,
    pub(super) minting: Option<bool>,
    pub(super) melting: Option<bool>,
    pub(super) require_pubkey: Option<bool>,
}

/// One way to reach the operator.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactSection {
    pub(super) method: String,
    pub(super) info: String,
}

/// `[[unit]]`: one unit and its keyset.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnitSection {
    pub(super) unit: CurrencyUnit,
    pub(super) rate: Option<String>,
    pub(super) denominations: Option<Vec<u64>>,
    #[serde(default)]
    pub(super) input_fee_ppk: u64,
    pub(super) final_expiry: Option<u64>,
    pub(super) mint_min: Option<u64>,
    pub(super) mint_max: Option<u64>,
    pub(super) melt_min: Option<u64>,
    pub(super) melt_max: Option<u64>,
}

/// `[[method]]`: one payment method.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MethodSection {
    pub(super) method: PaymentMethod,
    pub(super) name: Option<String>,
    pub(super) units: Option<Vec<CurrencyUnit>>,
    pub(super) ledger: Option<PathBuf>,
    #[serde(default)]
    pub(super) limits: Vec<PairSection>,
}

/// `[[method.limits]]`: what quotes of one method in one unit may ask for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PairSection {
    pub(super) unit: CurrencyUnit,
    pub(super) mint_min: Option<u64>,
    pub(super) mint_max: Option<u64>,
    pub(super) melt_min: Option<u64>,
    pub(super) melt_max: Option<u64>,
}

/// `[[imported_keyset]]`: a keyset that was brought from another mint.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportedKeysetSection {
    pub(super) file: PathBuf,
}

/// `[limits]`: what one request may ask for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsSection {
    pub(super) max_inputs: Option<usize>,
    pub(super) max_outputs: Option<usize>,
    pub(super) max_batch: Option<usize>,
    pub(super) mint_min: Option<u64>,
    pub(super) mint_max: Option<u64>,
    pub(super) melt_min: Option<u64>,
    pub(super) melt_max: Option<u64>,
}

/// `[http]`: the API's listener.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpSection {
    pub(super) listen: Option<SocketAddr>,
    pub(super) max_connections: Option<usize>,
    pub(super) max_in_flight: Option<usize>,
    pub(super) max_payments_in_flight: Option<usize>,
    pub(super) max_body_bytes: Option<usize>,
    pub(super) request_timeout_secs: Option<u64>,
    pub(super) body_timeout_secs: Option<u64>,
    pub(super) max_sockets: Option<usize>,
    pub(super) max_subscriptions: Option<usize>,
    pub(super) socket_ping_secs: Option<u64>,
    pub(super) header_timeout_secs: Option<u64>,
}

/// `[rate]`: how fast one client may ask.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateSection {
    pub(super) per_second: Option<u32>,
    pub(super) burst: Option<u32>,
    pub(super) trusted_proxies: Vec<String>,
}

/// `[admin]`: the operator's surface.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AdminSection {
    pub(super) listen: Option<SocketAddr>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) beyond_loopback: bool,
}

/// `[database]`: the ledger.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DatabaseSection {
    pub(super) url: Option<DatabaseUrl>,
    pub(super) connections: Option<usize>,
    pub(super) durability: Option<Durability>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) key_env: Option<String>,
}

/// `[seed]`: where the BIP-39 words are.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SeedSection {
    pub(super) file: Option<PathBuf>,
    pub(super) env: Option<String>,
}

/// `[lightning]`: who moves the bitcoin.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LightningSection {
    pub(super) backend: Option<Backend>,
    pub(super) i_know_this_is_not_real_money: bool,
    pub(super) ledger: Option<PathBuf>,
    pub(super) settle_after_ms: Option<u64>,
    pub(super) pay_after_ms: Option<u64>,
    pub(super) reserve_min_msat: Option<u64>,
    pub(super) reserve_ppm: Option<u32>,
    pub(super) fee_used_percent: Option<u32>,
    pub(super) idempotent: Option<bool>,
    pub(super) amountless: Option<bool>,
    pub(super) mpp: Option<bool>,
}

/// `[log]`: the log on standard error.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogSection {
    pub(super) format: Option<LogFormat>,
    pub(super) level: Option<Level>,
}
