//! Why a command did not do what it was asked, what to do next, and the code the process exits with.

use hazel_http::client::ClientError;
use hazel_protocol::MintUrlError;
use hazel_wallet::ports::{ApplyError, OperationId, ReadError};
use hazel_wallet::{Error, ErrorClass};
use serde_json::{Value, json};

/// What sort of end it is. Each has a name for scripts and an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The mint or the wallet said no.
    Refused,
    /// The user said no, or nobody was there to say yes.
    Declined,
    /// The command line is wrong.
    Usage,
    /// Not one byte reached the mint.
    Unreachable,
    /// Too little money.
    NotEnoughMoney,
    /// The outcome is open.
    Pending,
    /// The mint broke the rules.
    HostileMint,
    /// The wallet's own files.
    Wallet,
    /// The passphrase is wrong, or nobody is there to give it.
    Passphrase,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// A bug.
    Bug,
}

impl Kind {
    /// The name in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Declined => "declined",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::NotEnoughMoney => "not-enough-money",
            Self::Pending => "pending",
            Self::HostileMint => "hostile-mint",
            Self::Wallet => "wallet",
            Self::Passphrase => "passphrase",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
            Self::Bug => "bug",
        }
    }

    /// The exit code; `--help` and the README have the same table.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Refused | Self::Declined => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::NotEnoughMoney => 4,
            Self::Pending => 5,
            Self::HostileMint => 6,
            Self::Wallet => 7,
            Self::Passphrase => 8,
            Self::Bug => 70,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// Why a command did not do what it was asked. Holds no secret; texts of others are made harmless where they are shown.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What sort of end it is.
    pub(crate) kind: Kind,
    /// What happened.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// The NUT error code, when the mint gave one.
    pub(crate) code: Option<u16>,
    /// The operation that stays open.
    pub(crate) operation: Option<OperationId>,
}

impl Failure {
    /// A failure with nothing but a message.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, code: None, operation: None }
    }

    /// Says what to do next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which operation stays open.
    #[must_use]
    pub(crate) fn about(mut self, operation: OperationId) -> Self {
        self.operation = Some(operation);
        self
    }

    /// The document for `--json`.
    pub(crate) fn to_json(&self) -> Value {
        let mut error = json!({
            "kind": self.kind.name(),
            "message": self.message,
            "hint": self.hint,
            "code": self.code,
        });
        if let Some(operation) = self.operation {
            error["operation"] = json!(operation.to_string());
        }
        json!({ "error": error })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut failure = Self::new(kind_of(&error), error.to_string());
        failure.hint = hint_for(&error);
        match error {
            Error::Refused { code, .. } => failure.code = Some(code),
            Error::Ambiguous { operation, .. } | Error::HostileMint { operation, .. } => failure.operation = operation,
            _ => {}
        }
        failure
    }
}

fn kind_of(error: &Error) -> Kind {
    match (error, error.class()) {
        (Error::InsufficientFunds { .. }, _) => Kind::NotEnoughMoney,
        (Error::ZeroAmount | Error::MemoTooLong | Error::InvoiceWithoutAmount | Error::InvoiceHasAmount, _) => {
            Kind::Usage
        }
        (_, ErrorClass::Request | ErrorClass::Refused) => Kind::Refused,
        (_, ErrorClass::Ambiguous) => Kind::Pending,
        (_, ErrorClass::Unreachable) => Kind::Unreachable,
        (_, ErrorClass::HostileMint) => Kind::HostileMint,
        (_, ErrorClass::Store) => Kind::Wallet,
        (_, ErrorClass::Bug) => Kind::Bug,
    }
}

/// The command that helps, where there is one. What the engine's text says already is not said again.
fn hint_for(error: &Error) -> Option<String> {
    Some(match error {
        Error::MintUnknown(url) | Error::TokenOfOtherMint(url) => add_mint_hint(url.as_str()),
        Error::InsufficientFunds { .. } => "get more with `hazel mint AMOUNT` or `hazel receive TOKEN`".to_owned(),
        Error::NotPaid => "wait for it with `hazel mint --resume`".to_owned(),
        Error::InvoiceExpired => "ask for a new one with `hazel mint AMOUNT`".to_owned(),
        Error::InvoiceWithoutAmount => "`hazel pay INVOICE --amount AMOUNT`".to_owned(),
        Error::TokenAlreadyOwned => "`hazel balance` shows what is there".to_owned(),
        Error::TokenOfOtherUnit(unit) => format!("`hazel --unit {unit} receive TOKEN`"),
        Error::Ambiguous { operation: Some(_), .. } => {
            "any `hazel` command goes on with it; `hazel pending` shows it".to_owned()
        }
        Error::Stale => "run the same command again".to_owned(),
        Error::OtherSeed => "put the words of that seed into a wallet folder of their own".to_owned(),
        _ => return None,
    })
}

/// What to do about a mint that is not in the wallet.
pub(crate) fn add_mint_hint(url: &str) -> String {
    format!("if you trust it: `hazel mints add {url}`")
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Error::from(error).into()
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        Error::from(error).into()
    }
}

impl From<MintUrlError> for Failure {
    fn from(error: MintUrlError) -> Self {
        Self::new(Kind::Usage, error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let failure = Self::new(Kind::Refused, error.to_string());
        match error {
            ClientError::Insecure(_) => failure.hint("`--allow-http` does, if nobody else can listen on the way"),
            ClientError::Setup(_) | ClientError::Certificates(_) => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hazel_protocol::{Amount, CurrencyUnit};

    #[test]
    fn every_kind_has_a_name_and_its_code_is_in_the_help() {
        use clap::CommandFactory;
        let help = crate::cli::Cli::command().render_help().to_string();
        for kind in [
            Kind::Refused,
            Kind::Declined,
            Kind::Usage,
            Kind::Unreachable,
            Kind::NotEnoughMoney,
            Kind::Pending,
            Kind::HostileMint,
            Kind::Wallet,
            Kind::Passphrase,
            Kind::Interrupted,
            Kind::Terminated,
            Kind::Bug,
        ] {
            assert!(help.contains(&kind.exit_code().to_string()), "{kind:?}");
            assert!(include_str!("../README.md").contains(&format!("`{}`", kind.name())), "{kind:?}");
        }
    }

    #[test]
    fn engine_errors_become_what_scripts_expect() {
        let poor = Error::InsufficientFunds {
            needed: Amount::from_u64(2),
            available: Amount::from_u64(1),
            unit: CurrencyUnit::Sat,
        };
        assert_eq!(Failure::from(poor).kind.exit_code(), 4);
        let spent = Failure::from(Error::Refused { code: 11_001, detail: "spent".to_owned() });
        assert_eq!((spent.kind.exit_code(), spent.code), (1, Some(11_001)));
        assert_eq!(Failure::from(Error::Unreachable("refused".to_owned())).kind.exit_code(), 3);
        let open = Failure::from(Error::Ambiguous { operation: None, reason: "cut".to_owned() });
        assert_eq!(open.kind.exit_code(), 5);
        assert_eq!(open.to_json()["error"]["kind"], "pending");
    }
}
