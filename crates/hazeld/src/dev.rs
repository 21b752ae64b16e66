//! `hazeld dev`: a mint for trying things out, whole from one command. No real money, and only for this machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hazel_mint::{MethodConfig, MintConfig, UnitConfig};
use hazel_protocol::PaymentMethod;
use tracing::debug;

use crate::admin;
use crate::cli::{DevArgs, UnitArg};
use crate::config::{AdminListener, Config, Database, DatabaseUrl, Fake, Http, Log, SecretSource, distinct, ledger_of};
use crate::failure::Failure;
use crate::seed::private_folder;
use crate::wiring::{Plan, SeedPolicy};

/// The plan that the arguments make. Makes the data folder.
pub(crate) fn plan(args: DevArgs) -> Result<Plan, Failure> {
    if !args.listen.ip().to_canonical().is_loopback() {
        return Err(Failure::Usage(format!(
            "hazeld dev listens on loopback addresses only, not on {}: its money is not real; \
             hazeld start serves others",
            args.listen
        )));
    }
    if !args.admin_listen.ip().to_canonical().is_loopback() {
        return Err(Failure::Usage("--admin-listen takes a loopback address".to_owned()));
    }
    let folder = args.data_dir.clone().unwrap_or_else(default_folder);
    private_folder(&folder)
        .map_err(|error| Failure::Usage(format!("cannot make the data folder {}: {error}", folder.display())))?;
    let seed = args.seed_file.clone().unwrap_or_else(|| folder.join("seed"));
    let config = config(args, &folder, &seed).map_err(Failure::Usage)?;
    debug!(folder = %folder.display(), "planned");
    Ok(Plan { banner: Some(banner(&folder, &config, &seed)), config, seed: SeedPolicy::MakeWhenEmpty(seed) })
}

fn config(args: DevArgs, folder: &Path, seed: &Path) -> Result<Config, String> {
    let mut mint = MintConfig::default();
    mint.info.name = Some("Hazel dev mint".to_owned());
    mint.info.description = Some("For trying things out. Its money is not real.".to_owned());
    mint.payment_timeout_secs = args.payment_timeout_secs.unwrap_or(mint.payment_timeout_secs);
    if !args.units.is_empty() {
        mint.units = units(&args.units)?;
    }
    for unit in &mut mint.units {
        unit.input_fee_ppk = args.input_fee_ppk;
    }
    mint.methods.extend(args.methods.iter().cloned().map(MethodConfig::new));
    distinct(&mint.methods)?;
    let mut lightning = Fake::in_file(args.fake_ledger.unwrap_or_else(|| folder.join("lightning.sqlite")));
    args.fake.bend(&mut lightning.behaviour);
    let of_method = |method: PaymentMethod| {
        let fake = Fake { ledger: folder.join(ledger_of(&method)), ..lightning.clone() };
        (method, fake)
    };
    Ok(Config {
        mint,
        rates: args.units.into_iter().filter_map(|unit| Some((unit.unit, unit.rate?))).collect(),
        other_methods: args.methods.into_iter().map(of_method).collect(),
        http: Http::at(args.listen),
        admin: Some(AdminListener {
            listen: args.admin_listen,
            token_file: folder.join(admin::DEV_TOKEN_FILE),
            url_file: Some(folder.join(admin::DEV_URL_FILE)),
        }),
        database: Database::at(args.database.unwrap_or_else(|| DatabaseUrl::Sqlite(folder.join("mint.sqlite")))),
        seed: SecretSource::File(seed.to_owned()),
        imported_keysets: Vec::new(),
        lightning,
        log: Log { format: args.log_format, level: args.log_level },
    })
}

fn units(args: &[UnitArg]) -> Result<Vec<UnitConfig>, String> {
    let distinct: BTreeSet<_> = args.iter().map(|arg| &arg.unit).collect();
    if distinct.len() != args.len() {
        return Err("--unit is there twice for the same unit".to_owned());
    }
    Ok(args.iter().map(|arg| UnitConfig::new(arg.unit.clone())).collect())
}

/// The user's data folder as the platform has it, or one in the working folder when there is none.
fn default_folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // A relative XDG_DATA_HOME is invalid by its specification and ignored.
    let data = set("XDG_DATA_HOME").filter(|path| path.is_absolute()).or_else(|| {
        let home = set("HOME")?;
        Some(home.join(if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" }))
    });
    data.map_or_else(|| PathBuf::from("hazel-dev"), |data| data.join("hazel").join("dev"))
}

fn banner(folder: &Path, config: &Config, seed: &Path) -> String {
    format!(
        "\
  ------------------------------------------------------------------
   hazeld dev: THIS IS NOT REAL MONEY.
   Its Lightning node is a fake that pays every invoice by itself.
   Only programs on this machine can reach it.
  ------------------------------------------------------------------
   data folder  {}
   database     {}
   seed         {}
   lightning    {}
   operator     hazeld keyset list --data-dir {}
",
        folder.display(),
        config.database,
        seed.display(),
        config.lightning.ledger.display(),
        folder.display()
    )
}
