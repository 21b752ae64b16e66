//! What the values of a configuration must be together.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hazel_http::server::RateConfig;
use hazel_lightning::fake::Settle;
use hazel_mint::{Doors, InfoConfig, Limits, MintConfig};
use hazel_protocol::{Amount, MAX_BATCH, MAX_INPUTS, MAX_OUTPUTS};
use ipnet::IpNet;

use super::file::{
    AdminSection, DatabaseSection, File, HttpSection, ImportedKeysetSection, LightningSection, LimitsSection,
    LogSection, MethodSection, MintSection, RateSection, SeedSection, UnitSection,
};
use super::methods;
use super::{AdminListener, Config, Database, Fake, Http, Level, Log, LogFormat, SecretSource};

/// Where the API listens when nothing is said.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 3338);

/// Keysets of other mints: each holds its keys in memory from the start.
const MAX_IMPORTED_KEYSETS: usize = 1_000;

/// The longest that a quote or a payment may take, in seconds: thirty days.
const MAX_SECS: u32 = 30 * 24 * 3_600;

/// Makes a [`Config`] of a file's values, or says in one sentence why not. Paths are relative to `folder`.
pub(super) fn judge(file: File, folder: &Path) -> Result<Config, String> {
    let rates = methods::rates(&file.unit)?;
    let mint = mint(file.mint, file.unit, &file.method, &file.limits)?;
    let lightning = lightning(file.lightning, folder)?;
    Ok(Config {
        mint,
        rates,
        other_methods: methods::other_fakes(file.method, &lightning, folder)?,
        http: http(&file.http, &file.rate)?,
        admin: admin(file.admin, folder)?,
        database: database(file.database, folder)?,
        seed: seed(file.seed, folder)?,
        imported_keysets: imported_keysets(file.imported_keyset, folder)?,
        lightning,
        log: log(&file.log),
    })
}

fn mint(
    section: MintSection,
    units: Vec<UnitSection>,
    methods: &[MethodSection],
    limits: &LimitsSection,
) -> Result<MintConfig, String> {
    let default = MintConfig::default();
    let limits = self::limits(limits)?;
    let units = if units.is_empty() { default.units.clone() } else { methods::units(units, limits.quotes())? };
    let seconds = |key: &str, value: Option<u32>, default: u32| match value {
        Some(secs) if secs == 0 || secs > MAX_SECS => Err(format!("mint.{key} must be from 1 to {MAX_SECS}")),
        value => Ok(value.unwrap_or(default)),
    };
    Ok(MintConfig {
        mint_quote_ttl_secs: seconds("mint_quote_secs", section.mint_quote_secs, default.mint_quote_ttl_secs)?,
        melt_quote_ttl_secs: seconds("melt_quote_secs", section.melt_quote_secs, default.melt_quote_ttl_secs)?,
        payment_timeout_secs: seconds(
            "payment_timeout_secs",
            section.payment_timeout_secs,
            default.payment_timeout_secs,
        )?,
        methods: methods::methods(methods, &units, limits.quotes())?,
        units,
        limits,
        doors: doors(&section),
        info: info(section),
        ..default
    })
}

fn doors(section: &MintSection) -> Doors {
    let default = Doors::default();
    Doors {
        minting: section.minting.unwrap_or(default.minting),
        melting: section.melting.unwrap_or(default.melting),
        pubkey_required: section.require_pubkey.unwrap_or(default.pubkey_required),
    }
}

fn info(section: MintSection) -> InfoConfig {
    InfoConfig {
        name: section.name,
        description: section.description,
        description_long: section.description_long,
        contact: section.contact.into_iter().map(|contact| (contact.method, contact.info)).collect(),
        motd: section.motd,
        icon_url: section.icon_url,
        urls: section.urls,
        tos_url: section.tos_url,
    }
}

fn limits(section: &LimitsSection) -> Result<Limits, String> {
    let default = Limits::default();
    let amount = |value: Option<u64>, default: Amount| value.map_or(default, Amount::from_u64);
    let limits = Limits {
        max_inputs: count("max_inputs", section.max_inputs, default.max_inputs, MAX_INPUTS)?,
        max_outputs: count("max_outputs", section.max_outputs, default.max_outputs, MAX_OUTPUTS)?,
        max_batch: count("max_batch", section.max_batch, default.max_batch, MAX_BATCH)?,
        mint_min: amount(section.mint_min, default.mint_min),
        mint_max: amount(section.mint_max, default.mint_max),
        melt_min: amount(section.melt_min, default.melt_min),
        melt_max: amount(section.melt_max, default.melt_max),
    };
    methods::in_order(limits.quotes(), "limits.").map(|()| limits)
}

fn count(key: &str, value: Option<usize>, default: usize, most: usize) -> Result<usize, String> {
    match value.unwrap_or(default) {
        value if (1..=most).contains(&value) => Ok(value),
        _ => Err(format!("limits.{key} must be from 1 to {most}")),
    }
}

fn http(section: &HttpSection, rate: &RateSection) -> Result<Http, String> {
    let mut http = Http::at(section.listen.unwrap_or_else(|| LISTEN.into()));
    http.server.rate = self::rate(rate)?;
    let (server, connections) = (&mut http.server, &mut http.connections);
    for (key, given, range, setting) in [
        ("max_body_bytes", section.max_body_bytes, 1 << 10..=64 << 20, &mut server.max_body_bytes),
        ("max_in_flight", section.max_in_flight, 1..=100_000, &mut server.max_in_flight),
        ("max_payments_in_flight", section.max_payments_in_flight, 1..=100_000, &mut server.max_payments_in_flight),
        ("max_sockets", section.max_sockets, 1..=1_000_000, &mut server.sockets.max_sockets),
        ("max_subscriptions", section.max_subscriptions, 1..=10_000, &mut server.sockets.max_subscriptions),
        ("max_connections", section.max_connections, 1..=1_000_000, &mut connections.max_connections),
    ] {
        *setting = within(key, given.unwrap_or(*setting), &range)?;
    }
    for (key, given, setting) in [
        ("request_timeout_secs", section.request_timeout_secs, &mut server.request_timeout),
        ("body_timeout_secs", section.body_timeout_secs, &mut server.body_timeout),
        ("socket_ping_secs", section.socket_ping_secs, &mut server.sockets.ping),
        ("header_timeout_secs", section.header_timeout_secs, &mut connections.header_timeout),
    ] {
        if let Some(secs) = given {
            *setting = Duration::from_secs(within(key, secs, &(1..=3_600))?);
        }
    }
    // All bodies together always have room for one.
    server.max_buffered_bytes = server.max_buffered_bytes.max(server.max_body_bytes);
    Ok(http)
}

/// Points for this many seconds are what a client has at once, when nothing is said.
const BURST_SECS: u32 = 10;

fn rate(section: &RateSection) -> Result<Option<RateConfig>, String> {
    let Some(per_second) = section.per_second else {
        if section.burst.is_some() || !section.trusted_proxies.is_empty() {
            return Err("rate.per_second is missing: without it no rate is limited".to_owned());
        }
        return Ok(None);
    };
    let burst = section.burst.unwrap_or(per_second.saturating_mul(BURST_SECS).max(RateConfig::MOST_FOR_ONE));
    let most = 1_000_000;
    if per_second == 0 || per_second > most {
        return Err(format!("rate.per_second must be from 1 to {most}"));
    }
    if burst < RateConfig::MOST_FOR_ONE || burst > 10 * most {
        return Err(format!("rate.burst must be from {} to {}", RateConfig::MOST_FOR_ONE, 10 * most));
    }
    Ok(Some(RateConfig { per_second, burst, trusted_proxies: networks(&section.trusted_proxies)? }))
}

/// Networks as `10.0.0.0/8`, or single addresses.
fn networks(texts: &[String]) -> Result<Vec<IpNet>, String> {
    let read = |text: &String| {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map_err(|_| format!("rate.trusted_proxies: '{text}' is no network, such as 10.0.0.0/8, and no address"))
    };
    texts.iter().map(read).collect()
}

fn within<T: PartialOrd + Display>(key: &str, value: T, range: &RangeInclusive<T>) -> Result<T, String> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(format!("http.{key} must be from {} to {}", range.start(), range.end()))
}

/// The operator's surface speaks plain HTTP, so that it stays on this machine unless the operator says otherwise.
fn admin(section: AdminSection, folder: &Path) -> Result<Option<AdminListener>, String> {
    match (section.listen, section.token_file) {
        (None, None) => Ok(None),
        (Some(listen), Some(_)) if !listen.ip().to_canonical().is_loopback() && !section.beyond_loopback => {
            Err(format!(
                "admin.listen is {listen}, which others can reach, and its token would travel unencrypted: \
             use a loopback address, or set admin.beyond_loopback = true behind something that encrypts"
            ))
        }
        (Some(listen), Some(file)) => Ok(Some(AdminListener { listen, token_file: folder.join(file), url_file: None })),
        _ => Err("give both admin.listen and admin.token_file, or neither".to_owned()),
    }
}

/// Connections that read: each costs the server a process.
const CONNECTIONS: RangeInclusive<usize> = 1..=1_000;

fn database(section: DatabaseSection, folder: &Path) -> Result<Database, String> {
    let url = section.url.ok_or("database.url is missing: for example url = \"sqlite:mint.sqlite\"")?;
    let key = source("database", "key_file", section.key_file, "key_env", section.key_env, folder)?;
    match Database::at(url) {
        Database::Sqlite { path, .. } => {
            if section.connections.is_some() || section.durability.is_some() {
                return Err("database.connections and database.durability are for postgres:// only".to_owned());
            }
            if key.is_some() && !cfg!(feature = "sqlcipher") {
                let why = "a database key is given, but this program was built without the feature 'sqlcipher'";
                return Err(why.to_owned());
            }
            Ok(Database::Sqlite { path: folder.join(path), key })
        }
        Database::Postgres { .. } if key.is_some() => Err("a database key is for a SQLite file only".to_owned()),
        Database::Postgres { url, readers, .. } => {
            let readers = section.connections.unwrap_or(readers);
            if !CONNECTIONS.contains(&readers) {
                let (least, most) = (CONNECTIONS.start(), CONNECTIONS.end());
                return Err(format!("database.connections must be from {least} to {most}"));
            }
            Ok(Database::Postgres { url, readers, durability: section.durability })
        }
    }
}

fn seed(section: SeedSection, folder: &Path) -> Result<SecretSource, String> {
    source("seed", "file", section.file, "env", section.env, folder)?
        .ok_or_else(|| "seed.file or seed.env is missing; `hazeld seed new --file FILE` makes a seed".to_owned())
}

/// A secret is in a file or in a variable, not in both.
fn source(
    section: &str,
    file_key: &str,
    file: Option<PathBuf>,
    variable_key: &str,
    variable: Option<String>,
    folder: &Path,
) -> Result<Option<SecretSource>, String> {
    match (file, variable) {
        (Some(_), Some(_)) => Err(format!("give {section}.{file_key} or {section}.{variable_key}, not both")),
        (Some(path), None) => Ok(Some(SecretSource::File(folder.join(path)))),
        (None, Some(name)) if name.is_empty() || name.contains(['=', '\0']) => {
            Err(format!("{section}.{variable_key} is not the name of an environment variable"))
        }
        (None, Some(name)) => Ok(Some(SecretSource::Variable(name))),
        (None, None) => Ok(None),
    }
}

fn imported_keysets(sections: Vec<ImportedKeysetSection>, folder: &Path) -> Result<Vec<PathBuf>, String> {
    let files: Vec<PathBuf> = sections.into_iter().map(|section| folder.join(section.file)).collect();
    if files.iter().collect::<BTreeSet<_>>().len() != files.len() {
        return Err("two [[imported_keyset]] sections name one file".to_owned());
    }
    if files.len() > MAX_IMPORTED_KEYSETS {
        return Err(format!("there are more than {MAX_IMPORTED_KEYSETS} [[imported_keyset]] sections"));
    }
    Ok(files)
}

fn lightning(section: LightningSection, folder: &Path) -> Result<Fake, String> {
    section
        .backend
        .ok_or("lightning.backend is missing; the only backend so far is \"fake\", which moves no real money")?;
    if !section.i_know_this_is_not_real_money {
        return Err("the fake Lightning backend hands out ecash for nothing: \
                    set lightning.i_know_this_is_not_real_money = true to run it"
            .to_owned());
    }
    let ledger = folder.join(section.ledger.unwrap_or_else(|| PathBuf::from("lightning.sqlite")));
    let mut fake = Fake::in_file(ledger);
    let behaviour = &mut fake.behaviour;
    behaviour.settle = section.settle_after_ms.map_or(behaviour.settle, Settle::AfterMs);
    behaviour.pay_delay_ms = section.pay_after_ms.unwrap_or(behaviour.pay_delay_ms);
    behaviour.reserve_min_msat = section.reserve_min_msat.unwrap_or(behaviour.reserve_min_msat);
    behaviour.reserve_ppm = section.reserve_ppm.unwrap_or(behaviour.reserve_ppm);
    behaviour.fee_used_percent = section.fee_used_percent.unwrap_or(behaviour.fee_used_percent);
    behaviour.idempotent = section.idempotent.unwrap_or(behaviour.idempotent);
    fake.amountless = section.amountless.unwrap_or(fake.amountless);
    fake.mpp = section.mpp.unwrap_or(fake.mpp);
    Ok(fake)
}

fn log(section: &LogSection) -> Log {
    Log { format: section.format.unwrap_or(LogFormat::Text), level: section.level.unwrap_or(Level::Info) }
}
