//! The command line of payment requests.

use clap::{Args, Subcommand};
use hazel_protocol::{Amount, EndpointUrl};
use hazel_wallet::ports::ErrandId;

use super::amount;
use crate::commands::request_id;

/// How to ask to be paid.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RequestArgs {
    /// What else to do with requests.
    #[command(subcommand)]
    pub(crate) command: Option<RequestCommand>,
    /// What to ask for.
    #[command(flatten)]
    pub(crate) terms: RequestTermsArgs,
}

/// What to ask for.
#[derive(Debug, Args)]
pub(crate) struct RequestTermsArgs {
    /// How much; as the payer likes if nothing is said
    #[arg(value_parser = amount)]
    pub(crate) amount: Option<Amount>,
    /// A text for the payer
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// Take any number of payments, not just one
    #[arg(long)]
    pub(crate) reusable: bool,
    /// Take money of every mint of this wallet, not just of the selected one
    #[arg(long)]
    pub(crate) any_mint: bool,
    /// Ask for money that is locked to this wallet's key of this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) lock: Option<u32>,
    /// Where the payer shall POST the payment to; may be given several times, the best one first
    #[arg(long, value_name = "URL")]
    pub(crate) post: Vec<EndpointUrl>,
}

/// What else can be done with requests.
#[derive(Debug, Subcommand)]
pub(crate) enum RequestCommand {
    /// List the requests that wait to be paid
    List,
    /// Show a request and what came of it
    Show {
        /// Its id
        #[arg(value_parser = request_id)]
        id: ErrandId,
    },
    /// Take no further payment of a request
    Close {
        /// Its id
        #[arg(value_parser = request_id)]
        id: ErrandId,
    },
    /// Receive a payment that came by hand
    Receive {
        /// The payment, or `-` to read it from standard input
        payload: String,
    },
}

/// What to pay.
#[derive(Debug, Args)]
pub(crate) struct PayRequestArgs {
    /// The request: creqA…, CREQB1…, or a bitcoin: link with one in it
    #[arg(required_unless_present_any = ["deliver", "take_back"])]
    pub(crate) request: Option<String>,
    /// How much, for a request that leaves it open
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    pub(crate) amount: Option<Amount>,
    /// A text for the receiver
    #[arg(long, value_name = "TEXT")]
    pub(crate) memo: Option<String>,
    /// Try again to deliver what was paid and not delivered
    #[arg(long, conflicts_with_all = ["request", "amount", "memo"])]
    pub(crate) deliver: bool,
    /// Take back what was paid and not delivered
    #[arg(long, value_name = "DELIVERY", value_parser = request_id, conflicts_with_all = ["request", "amount", "memo", "deliver"])]
    pub(crate) take_back: Option<ErrandId>,
}
