//! Paying a Lightning address: from a name to an invoice that may be paid (LUD-06, LUD-12, LUD-16).
//!
//! The server behind an address is as hostile as a mint. It is asked for an invoice only within what it says it takes, and its invoice
//! is paid only if it is over the very amount that was asked for and, where it commits to a description by its hash, to the description
//! that was shown.

use hazel_protocol::{PayAddress, PayInvoice, PayParameters, PayRefusal, from_json, neutralise};
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::invoice::{self, Msat};
use crate::ports::Web;

/// The longest comment that is sent, whatever the server allows. Characters.
const MAX_COMMENT_CHARS: u64 = 1000;

/// Somebody who can be paid, as the server behind the address says.
///
/// ```no_run
/// # async fn example(wallet: hazel_wallet::Wallet, web: &dyn hazel_wallet::ports::Web) -> Result<(), Box<dyn std::error::Error>> {
/// use hazel_wallet::Payee;
///
/// let payee = Payee::resolve(web, &"alice@example.com".parse()?).await?;
/// println!("{} takes {:?} msat", payee.description(), payee.limits());
/// let invoice = payee.invoice(web, 21_000, Some("thanks")).await?;
/// let prepared = wallet.prepare_melt(&invoice, None).await?;
/// println!("at most {} with fees", prepared.most());
/// prepared.confirm().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payee {
    parameters: PayParameters,
    description: String,
}

impl Payee {
    /// Asks the server behind an address what it takes.
    ///
    /// # Errors
    /// [`Error::Remote`] when it does not answer, [`Error::PayeeSaid`] when it says no, [`Error::Payee`] when its answer makes no sense.
    pub async fn resolve(web: &dyn Web, address: &PayAddress) -> Result<Self, Error> {
        let parameters: PayParameters = read(&web.fetch(address.url(), &[]).await?)?;
        parameters.check().map_err(|error| Error::Payee(error.to_string()))?;
        let description = neutralise(&parameters.description().unwrap_or_default());
        Ok(Self { parameters, description })
    }

    /// What the payee says about itself, made safe to show.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The least and the most that is taken, in millisatoshi.
    pub const fn limits(&self) -> (Msat, Msat) {
        (self.parameters.min_msat, self.parameters.max_msat)
    }

    /// How long a comment may be, in characters; zero if none is taken.
    pub fn comment_limit(&self) -> u64 {
        self.parameters.comment_chars.unwrap_or(0).min(MAX_COMMENT_CHARS)
    }

    /// Asks for an invoice over this many millisatoshi, and checks it.
    ///
    /// # Errors
    /// [`Error::Payee`] for an amount or comment beyond the limits, and when the invoice is over another amount or for another
    /// description; [`Error::Remote`], [`Error::PayeeSaid`].
    pub async fn invoice(&self, web: &dyn Web, msat: Msat, comment: Option<&str>) -> Result<String, Error> {
        let (min, max) = self.limits();
        if !(min..=max).contains(&msat) {
            return Err(Error::Payee(format!("it takes from {min} to {max} msat")));
        }
        let comment = comment.filter(|text| !text.is_empty());
        let chars = u64::try_from(comment.map_or(0, |text| text.chars().count())).unwrap_or(u64::MAX);
        if chars > self.comment_limit() {
            return Err(Error::Payee(format!("it takes a comment of at most {} characters", self.comment_limit())));
        }
        let amount = msat.to_string();
        let mut query = vec![("amount", amount.as_str())];
        query.extend(comment.map(|text| ("comment", text)));
        let answer: PayInvoice = read(&web.fetch(&self.parameters.callback, &query).await?)?;
        let text = invoice::trim(&answer.invoice);
        self.check(text, msat)?;
        Ok(text.to_owned())
    }

    fn check(&self, text: &str, msat: Msat) -> Result<(), Error> {
        let wrong = |what: &str| Error::Payee(what.to_owned());
        match invoice::amount_msat(text) {
            Ok(Some(named)) if named == msat => {}
            Ok(_) => return Err(wrong("its invoice is over another amount")),
            Err(_) => return Err(wrong("it gave no lightning invoice")),
        }
        match invoice::description_hash(text) {
            Ok(None) => Ok(()),
            Ok(Some(hash)) if hash == self.parameters.hash() => Ok(()),
            Ok(Some(_)) => Err(wrong("its invoice is for another description")),
            Err(_) => Err(wrong("it gave no lightning invoice")),
        }
    }
}

fn read<A: DeserializeOwned>(body: &[u8]) -> Result<A, Error> {
    if let Ok(refusal) = from_json::<PayRefusal>(body)
        && refusal.status.eq_ignore_ascii_case("error")
    {
        return Err(Error::PayeeSaid(neutralise(&refusal.reason.unwrap_or_default())));
    }
    from_json(body).map_err(|error| Error::Payee(format!("its answer cannot be read: {error}")))
}
