//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use hazel_lightning::fake::{Behaviour, Settle};
use hazel_mint::Rate;
use hazel_protocol::{CurrencyUnit, PaymentMethod, UnitError};

use crate::config::{DatabaseUrl, Level, LogFormat, rate_of};

/// The address of `hazeld dev` when none is given.
const DEV_LISTEN: &str = "127.0.0.1:3338";

/// The address of the operator's surface of `hazeld dev` when none is given.
const DEV_ADMIN_LISTEN: &str = "127.0.0.1:0";

/// The Hazel mint daemon.
#[derive(Debug, Parser)]
#[command(name = "hazeld", version, about, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  done, or stopped as asked
   2  wrong usage or configuration
   3  the database is in use by other processes
   4  the seed or the database is not the right one, or is damaged
   5  the address cannot be listened on
   6  the store had to stop (the disk did not keep what was written, or other processes took over)
  70  anything else
 130, 143  told twice to stop";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a mint for trying things out: no configuration, no real money.
    Dev(DevArgs),
    /// Runs a mint from a configuration file.
    Start(ConfigArgs),
    /// Checks a configuration, or shows an example of one.
    Config {
        /// What to do with it.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Shows and changes the keysets of a running mint.
    Keyset {
        /// What to do with them.
        #[command(subcommand)]
        command: KeysetCommand,
    },
    /// Shows what operators did, newest first.
    Audit {
        /// Which mint.
        #[command(flatten)]
        at: AdminArgs,
        /// Only lines before this one.
        #[arg(long, value_name = "SEQUENCE")]
        before: Option<u64>,
        /// How many lines, at most 1000.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
    /// Makes a seed for a new mint.
    Seed {
        /// What to do with it.
        #[command(subcommand)]
        command: SeedCommand,
    },
}

/// Which configuration file.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "hazeld.toml")]
    pub(crate) config: PathBuf,
}

/// What can be done with a configuration besides running it.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Reads the file and the environment and says what is wrong with them. Opens nothing else.
    Check(ConfigArgs),
    /// Prints a commented example.
    Example,
}

/// What can be done with seeds.
#[derive(Debug, Subcommand)]
pub(crate) enum SeedCommand {
    /// Writes 24 new words to a file that does not exist yet, readable by its owner only.
    New {
        /// The file to make.
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

/// How to reach the operator's surface of a running mint.
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    /// The configuration file of the running mint.
    #[arg(long, value_name = "FILE", default_value = "hazeld.toml", conflicts_with = "data_dir")]
    pub(crate) config: PathBuf,
    /// The data folder of a running `hazeld dev`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What can be done with the keysets of a running mint.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysetCommand {
    /// Lists all keysets with their books.
    List(AdminArgs),
    /// Adds a keyset that signs from now on; the former one stays spendable.
    Rotate {
        /// Which mint.
        #[command(flatten)]
        at: AdminArgs,
        /// The unit.
        #[arg(long)]
        unit: String,
        /// The fee per input, in thousandths of the unit; without it, as configured.
        #[arg(long, value_name = "N")]
        input_fee_ppk: Option<u64>,
        /// The values of its keys, with commas between them; without it, as configured.
        #[arg(long, value_name = "LIST", value_delimiter = ',')]
        denominations: Option<Vec<u64>>,
        /// When it ends for good, in seconds since 1970; without it, never.
        #[arg(long, value_name = "TIME")]
        final_expiry: Option<u64>,
    },
    /// Takes over a keyset of another mint, while this one is stopped: its keys, what was spent of it, what it has signed.
    Import(ImportArgs),
    /// Says what was signed of an unmetered import elsewhere; said once.
    Meter {
        /// Which mint.
        #[command(flatten)]
        at: AdminArgs,
        /// The id of the keyset.
        id: String,
        /// What the other mint has signed of it in all, less what was imported as signed, in its unit.
        #[arg(long, value_name = "AMOUNT")]
        carried: u64,
    },
    /// Stops a keyset: nothing of it is signed or redeemed.
    Stop(LatchArgs),
    /// Allows a keyset that was stopped.
    Allow(LatchArgs),
}

/// What is taken over of another mint.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The configuration file of this mint.
    #[arg(long, value_name = "FILE", default_value = "hazeld.toml")]
    pub(crate) config: PathBuf,
    /// The file with the private keys, which the configuration names as an imported keyset.
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: PathBuf,
    /// Every proof that the other mint has redeemed: lines of JSON with amount, C, and Y or secret.
    #[arg(long, value_name = "FILE", required_unless_present = "nothing_spent", conflicts_with = "nothing_spent")]
    pub(crate) spent: Option<PathBuf>,
    /// Says that no proof of the keyset has ever been redeemed.
    #[arg(long)]
    pub(crate) nothing_spent: bool,
    /// Every output that the other mint has signed, so that wallets can restore: lines of JSON with amount, B_ and C_.
    #[arg(long, value_name = "FILE")]
    pub(crate) signed: Option<PathBuf>,
    /// What wallets hold of the keyset by the other mint's books, in its unit. Without it the keyset is unmetered.
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) outstanding: Option<u64>,
    /// Lets it sign, in place of this mint's keyset of the unit.
    #[arg(long)]
    pub(crate) active: bool,
}

/// Which keyset is stopped or allowed.
#[derive(Debug, Args)]
pub(crate) struct LatchArgs {
    /// Which mint.
    #[command(flatten)]
    pub(crate) at: AdminArgs,
    /// The id of the keyset.
    pub(crate) id: String,
    /// Why, for the audit log.
    #[arg(long)]
    pub(crate) reason: String,
}

/// How to run the mint for trying things out.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Where the seed, the database and the fake Lightning node live.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The loopback address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = DEV_LISTEN)]
    pub(crate) listen: SocketAddr,
    /// The loopback address of the operator's surface; port 0 takes a free one, which is written to admin-url in the data folder.
    #[arg(long, value_name = "ADDR", default_value = DEV_ADMIN_LISTEN)]
    pub(crate) admin_listen: SocketAddr,
    /// The database: sqlite:PATH, a path or postgres://... Without it, mint.sqlite in the data folder.
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<DatabaseUrl>,
    /// The seed phrase. Without it, `seed` in the data folder; made when the database is empty.
    #[arg(long, value_name = "FILE")]
    pub(crate) seed_file: Option<PathBuf>,
    /// The fake Lightning node's ledger. Without it, lightning.sqlite in the data folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) fake_ledger: Option<PathBuf>,
    /// A unit of the mint, and the msat that one of it is worth (usd in cents): `sat`, `usd=10526.31`, `points=5001/2`. Again for each unit;
    /// without it, sat alone.
    #[arg(long = "unit", value_name = "NAME[=RATE]")]
    pub(crate) units: Vec<UnitArg>,
    /// A payment method beside bolt11, served by a fake node of its own. Again for each method.
    #[arg(long = "method", value_name = "NAME")]
    pub(crate) methods: Vec<PaymentMethod>,
    /// The fee per input, in thousandths of the unit (NUT-02).
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) input_fee_ppk: u64,
    /// How log lines look; without it, text.
    #[arg(long, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// How much is logged.
    #[arg(long, value_name = "LEVEL", default_value_t = Level::Info)]
    pub(crate) log_level: Level,
    /// How long one payment attempt may take; for tests.
    #[arg(long, value_name = "SECS", hide = true)]
    pub(crate) payment_timeout_secs: Option<u32>,
    /// How the fake Lightning node behaves.
    #[command(flatten)]
    pub(crate) fake: FakeArgs,
}

/// A unit and its rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitArg {
    /// The unit.
    pub(crate) unit: CurrencyUnit,
    /// Its rate; `None` for bitcoin's own units.
    pub(crate) rate: Option<Rate>,
}

impl FromStr for UnitArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rate) = text.split_once('=').map_or((text, None), |(name, rate)| (name, Some(rate)));
        let unit = name.parse().map_err(|error: UnitError| error.to_string())?;
        let rate = rate_of(&unit, rate)?;
        Ok(Self { unit, rate })
    }
}

/// How the fake Lightning node behaves; for tests, and not shown. What is not given is the node's default.
#[derive(Debug, Args)]
pub(crate) struct FakeArgs {
    /// After how long its invoices pay themselves.
    #[arg(long = "fake-settle-after-ms", value_name = "MS", hide = true)]
    pub(crate) settle_after_ms: Option<u64>,
    /// How long its own payments take.
    #[arg(long = "fake-pay-after-ms", value_name = "MS", hide = true)]
    pub(crate) pay_after_ms: Option<u64>,
    /// The smallest fee reserve.
    #[arg(long = "fake-reserve-min-msat", value_name = "MSAT", hide = true)]
    pub(crate) reserve_min_msat: Option<u64>,
    /// The fee reserve in millionths of the amount.
    #[arg(long = "fake-reserve-ppm", value_name = "PPM", hide = true)]
    pub(crate) reserve_ppm: Option<u32>,
    /// How much of the reserve a payment uses up.
    #[arg(long = "fake-fee-used-percent", value_name = "PERCENT", hide = true)]
    pub(crate) fee_used_percent: Option<u32>,
    /// Whether a second call with the same payment id never pays twice.
    #[arg(long = "fake-idempotent", value_name = "BOOL", hide = true)]
    pub(crate) idempotent: Option<bool>,
}

impl FakeArgs {
    /// Bends the defaults as asked.
    pub(crate) fn bend(&self, behaviour: &mut Behaviour) {
        behaviour.settle = self.settle_after_ms.map_or(behaviour.settle, Settle::AfterMs);
        behaviour.pay_delay_ms = self.pay_after_ms.unwrap_or(behaviour.pay_delay_ms);
        behaviour.reserve_min_msat = self.reserve_min_msat.unwrap_or(behaviour.reserve_min_msat);
        behaviour.reserve_ppm = self.reserve_ppm.unwrap_or(behaviour.reserve_ppm);
        behaviour.fee_used_percent = self.fee_used_percent.unwrap_or(behaviour.fee_used_percent);
        behaviour.idempotent = self.idempotent.unwrap_or(behaviour.idempotent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn dev_needs_nothing() {
        let cli = Cli::try_parse_from(["hazeld", "dev"]).expect("parses");
        let Command::Dev(args) = cli.command else { panic!("not dev") };
        assert_eq!(args.listen.to_string(), DEV_LISTEN);
        assert!(args.data_dir.is_none() && args.database.is_none() && args.seed_file.is_none());
    }

    #[test]
    fn a_database_of_another_kind_is_refused() {
        let error = Cli::try_parse_from(["hazeld", "dev", "--database", "mysql://x"]).expect_err("refused");
        assert!(error.to_string().contains("sqlite"), "{error}");
    }
}
