//! The command line: what can be asked for, and what the help says.

mod requests;

use std::path::PathBuf;

use crate::commands::{
    BackupArgs, CompletionsArgs, DecodeArgs, DoctorArgs, HistoryArgs, KeysArgs, LockCommandArgs, ManArgs, ReceiveArgs,
    RestoreArgs, SeedCommand, SendArgs, TakeBackArgs, UnlockArgs,
};
use crate::passphrase::Source;
use clap::{Args, Parser, Subcommand};
use hazel_protocol::{Amount, CurrencyUnit, MintUrl};

pub(crate) use requests::{PayRequestArgs, RequestArgs, RequestCommand, RequestTermsArgs};

/// The table of exit codes, as `--help` shows it; [`Kind`](crate::failure::Kind) gives them.
const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  refused, by the mint, by the wallet or by you: nothing moved
    2  the command line is wrong
    3  the mint cannot be reached: nothing moved
    4  not enough money
    5  not decided yet: nothing is lost, and the next start goes on with it
    6  the mint broke the rules: nothing of its answer was used
    7  the wallet's own files: in use, damaged, or not where they should be
    8  the passphrase is wrong, or nobody is there to give it
   70  a bug in this program
  130  interrupted (143 when terminated): the next start goes on with it

Every start finishes what an earlier one had to leave open.";

/// A Cashu wallet for the command line.
#[derive(Debug, Parser)]
#[command(name = "hazel", version, about, after_help = EXIT_CODES, args_override_self = true)]
pub(crate) struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Global {
    /// The folder of the wallet [default: hazel/wallet in your data folder]
    #[arg(long, global = true, value_name = "DIR", env = "HAZEL_WALLET")]
    pub(crate) wallet: Option<PathBuf>,
    /// The mint to deal with; naming one is trusting it [default: the wallet's default mint]
    #[arg(long, global = true, value_name = "URL", env = "HAZEL_MINT")]
    pub(crate) mint: Option<MintUrl>,
    /// The unit of amounts [default: sat]
    #[arg(long, global = true, value_name = "UNIT", env = "HAZEL_UNIT")]
    pub(crate) unit: Option<CurrencyUnit>,
    /// Write one JSON document to standard output, for errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Do not ask before money moves or words are shown
    #[arg(long, short = 'y', global = true)]
    pub(crate) yes: bool,
    /// Say on standard error what goes on
    #[arg(long, short = 'v', global = true)]
    pub(crate) verbose: bool,
    /// Talk to mints elsewhere without encryption, too
    #[arg(long, global = true)]
    pub(crate) allow_http: bool,
    /// Read the passphrase of the seed from the first line of this file; else it is asked for on the terminal
    #[arg(long, global = true, value_name = "FILE", env = "HAZEL_PASSPHRASE_FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the passphrase from this open file
    #[arg(long, global = true, value_name = "FD")]
    pub(crate) passphrase_fd: Option<u32>,
    /// Read the passphrase from this variable of the environment
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) passphrase_env: Option<String>,
    /// The file with the key of an encrypted wallet; needs a build with encryption
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "HAZEL_DATABASE_KEY_FILE",
        hide = cfg!(not(feature = "sqlcipher"))
    )]
    pub(crate) database_key_file: Option<PathBuf>,
}

impl Global {
    /// Where the passphrase of the seed is.
    pub(crate) fn passphrase(&self) -> Source {
        Source { file: self.passphrase_file.clone(), fd: self.passphrase_fd, env: self.passphrase_env.clone() }
    }

    /// The unit asked for, or the usual one.
    pub(crate) fn unit_or_sat(&self) -> CurrencyUnit {
        self.unit.clone().unwrap_or(CurrencyUnit::Sat)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new wallet, or one from the words of an old one
    Init(InitArgs),
    /// Get ecash for a Lightning payment: shows an invoice and waits until it is paid
    Mint(MintArgs),
    /// Show what the wallet holds
    Balance,
    /// Make a token for somebody else
    Send(SendArgs),
    /// Take the money of tokens
    Receive(ReceiveArgs),
    /// Take back tokens that nobody claimed; without an argument, list them
    TakeBack(TakeBackArgs),
    /// Pay a Lightning invoice or a Lightning address
    Pay(PayArgs),
    /// Ask to be paid: make a payment request, or see what came of one
    Request(RequestArgs),
    /// Pay what a payment request asks for
    PayRequest(PayRequestArgs),
    /// Exchange many small coins, or coins of old keysets, for few new ones
    Consolidate,
    /// Show the wallet's public keys, for others to lock money to
    Keys(KeysArgs),
    /// Describe a lock, for others to make tokens with
    Lock(LockCommandArgs),
    /// Add this wallet's signature, or a preimage, to a token that needs several
    #[command(visible_alias = "cosign")]
    Unlock(UnlockArgs),
    /// Keep the list of mints where the seed finds it again
    Backup(BackupArgs),
    /// Find money again by the seed
    Restore(RestoreArgs),
    /// Show what came in and went out
    History(HistoryArgs),
    /// Show what is not finished: unpaid invoices, payments under way, tokens nobody claimed
    Pending(PendingArgs),
    /// Show, add and remove mints
    Mints {
        /// What to do with them.
        #[command(subcommand)]
        command: Option<MintsCommand>,
    },
    /// Look into a token, a payment request or an invoice; asks no mint unless told to
    Decode(DecodeArgs),
    /// Find whatever is unfinished, finish what can be, and say what cannot and why
    Doctor(DoctorArgs),
    /// Show the seed words, or change their passphrase
    Seed {
        /// What to do with it.
        #[command(subcommand)]
        command: SeedCommand,
    },
    /// Write the completions for a shell
    Completions(CompletionsArgs),
    /// Write a page of the manual
    Man(ManArgs),
}

/// How to make a wallet.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Read the 12 to 24 words of an existing seed from this file, or from standard input for `-`
    #[arg(long, value_name = "FILE|-")]
    pub(crate) from_words: Option<PathBuf>,
    /// Keep the words under a passphrase: asked for on the terminal, or read where `--passphrase-file` and the like say
    #[arg(long)]
    pub(crate) passphrase: bool,
}

/// What to mint.
#[derive(Debug, Args)]
pub(crate) struct MintArgs {
    /// How much
    #[arg(value_parser = amount, required_unless_present = "resume")]
    pub(crate) amount: Option<Amount>,
    /// A text for the invoice
    #[arg(long, value_name = "TEXT", conflicts_with = "resume")]
    pub(crate) description: Option<String>,
    /// Show the invoice as a QR code, too
    #[arg(long)]
    pub(crate) qr: bool,
    /// Show the invoice and do not wait
    #[arg(long, conflicts_with = "resume")]
    pub(crate) no_wait: bool,
    /// Wait for the invoices that earlier calls have shown
    #[arg(long, conflicts_with = "amount")]
    pub(crate) resume: bool,
}

/// What to pay.
#[derive(Debug, Args)]
pub(crate) struct PayArgs {
    /// The BOLT11 invoice, or an address: user@host or lnurl1...
    pub(crate) invoice: String,
    /// How much, for an address or an invoice that leaves it open
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    pub(crate) amount: Option<Amount>,
    /// A text for the payee at an address
    #[arg(long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,
}

/// How much to show of what is pending.
#[derive(Debug, Args)]
pub(crate) struct PendingArgs {
    /// Show the tokens themselves; whoever sees one can take its money
    #[arg(long)]
    pub(crate) tokens: bool,
}

/// What can be done with mints.
#[derive(Debug, Subcommand)]
pub(crate) enum MintsCommand {
    /// List the mints of this wallet
    List,
    /// Trust a mint from now on
    #[command(visible_alias = "trust")]
    Add {
        /// Where it is reached
        url: MintUrl,
    },
    /// Ask a mint what it says about itself
    Info {
        /// Where it is reached
        url: MintUrl,
    },
    /// Use this mint when none is named
    Default {
        /// Where it is reached
        url: MintUrl,
    },
    /// Stop trusting a mint; refused while money of it is here
    Remove {
        /// Where it is reached
        url: MintUrl,
    },
}

/// Reads an amount in the minor unit of its currency.
pub(crate) fn amount(text: &str) -> Result<Amount, String> {
    match text.parse::<u64>() {
        Ok(0) => Err("the amount must be greater than zero".to_owned()),
        Ok(amount) => Ok(Amount::from_u64(amount)),
        Err(_) => Err("not a whole number below 2^64".to_owned()),
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
    fn global_flags_stand_anywhere() {
        for line in [
            ["hazel", "--json", "--mint", "http://127.0.0.1:1", "send", "21"],
            ["hazel", "send", "21", "--mint", "http://127.0.0.1:1", "--json"],
        ] {
            let cli = Cli::try_parse_from(line).expect("parses");
            assert!(cli.global.json && cli.global.mint.is_some());
        }
    }

    #[test]
    fn the_last_of_a_repeated_flag_counts_so_that_aliases_can_be_overruled() {
        let line = ["hazel", "--mint", "http://a", "balance", "--mint", "http://b"];
        let cli = Cli::try_parse_from(line).expect("parses");
        assert_eq!(cli.global.mint.expect("a mint").as_str(), "http://b");
        let line = ["hazel", "--mint", "http://a", "--mint", "http://b", "balance"];
        let cli = Cli::try_parse_from(line).expect("parses");
        assert_eq!(cli.global.mint.expect("a mint").as_str(), "http://b");
    }

    #[test]
    fn amounts_are_whole_and_positive() {
        for text in ["0", "-1", "1.5", "18446744073709551616", "", "21sat"] {
            assert!(amount(text).is_err(), "{text}");
        }
        assert_eq!(amount("21"), Ok(Amount::from_u64(21)));
    }

    #[test]
    fn a_request_is_made_or_looked_at() {
        for line in ["", "21", "list", "21 --reusable --post https://a/b", "show 01020304050607080102030405060708"] {
            assert!(
                Cli::try_parse_from(["hazel", "request"].into_iter().chain(line.split_whitespace())).is_ok(),
                "{line}"
            );
        }
        for line in [
            "request 21 list",
            "request show",
            "request show tea",
            "request --post ftp://a",
            "pay-request",
            "pay-request x --deliver",
        ] {
            assert!(Cli::try_parse_from(["hazel"].into_iter().chain(line.split_whitespace())).is_err(), "{line}");
        }
    }

    #[test]
    fn minting_wants_an_amount_or_an_earlier_invoice() {
        assert!(Cli::try_parse_from(["hazel", "mint"]).is_err());
        assert!(Cli::try_parse_from(["hazel", "mint", "--resume"]).is_ok());
        assert!(Cli::try_parse_from(["hazel", "mint", "1", "--resume"]).is_err());
    }
}
