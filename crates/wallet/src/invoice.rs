//! The amount of a BOLT11 invoice: all that a wallet has to read of it.

use hazel_protocol::{Amount, CurrencyUnit};

/// Millisatoshi of one bitcoin.
const BTC_MSAT: u128 = 100_000_000_000;

/// The text is not a BOLT11 invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a lightning invoice")]
pub struct NotAnInvoice;

/// An amount in millisatoshi.
pub type Msat = u64;

/// The text without what people paste around an invoice: spaces and a `lightning:` prefix.
pub fn trim(text: &str) -> &str {
    let text = text.trim();
    match text.get(..10) {
        Some(prefix) if prefix.eq_ignore_ascii_case("lightning:") => text.get(10..).unwrap_or_default(),
        _ => text,
    }
}

/// The amount that an invoice names, in millisatoshi; none if it leaves the amount open.
///
/// Reads the human-readable part only: `ln`, the network, digits, a multiplier (BOLT11). Whoever pays checks the rest.
///
/// # Errors
/// [`NotAnInvoice`] when the text is none, or its amount is no whole number of millisatoshi below 2^64.
pub fn amount_msat(invoice: &str) -> Result<Option<Msat>, NotAnInvoice> {
    if !invoice.is_ascii() {
        return Err(NotAnInvoice);
    }
    let (prefix, data) = invoice.rsplit_once('1').ok_or(NotAnInvoice)?;
    let prefix = prefix.to_ascii_lowercase();
    let rest = prefix.strip_prefix("ln").ok_or(NotAnInvoice)?;
    let digits_at = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (network, amount) = rest.split_at(digits_at);
    // The data holds at least a timestamp, a signature and a checksum: 7 + 104 + 6 characters.
    let known = matches!(network, "bc" | "tb" | "tbs" | "bcrt" | "sb");
    if !known || data.len() < 117 || !data.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(NotAnInvoice);
    }
    if amount.is_empty() { Ok(None) } else { parse_amount(amount).map(Some) }
}

fn parse_amount(text: &str) -> Result<Msat, NotAnInvoice> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| NotAnInvoice)?;
    // In units of a tenth of a millisatoshi, the finest that BOLT11 can write.
    let tenths = match text.get(digits.len()..).unwrap_or_default() {
        "" => BTC_MSAT * 10,
        "m" => BTC_MSAT / 100,
        "u" => BTC_MSAT / 100_000,
        "n" => BTC_MSAT / 100_000_000,
        "p" => 1,
        _ => return Err(NotAnInvoice),
    };
    let tenths = u128::from(number) * tenths;
    if number == 0 || !tenths.is_multiple_of(10) {
        return Err(NotAnInvoice);
    }
    u64::try_from(tenths / 10).map_err(|_| NotAnInvoice)
}

/// What an amount in millisatoshi is in the unit of a quote, rounded up; none for units that are no bitcoin.
pub fn in_unit(msat: Msat, unit: &CurrencyUnit) -> Option<Amount> {
    match unit {
        CurrencyUnit::Msat => Some(Amount::from_u64(msat)),
        CurrencyUnit::Sat => Some(Amount::from_u64(msat.div_ceil(1000))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invoice(prefix: &str) -> String {
        format!("{prefix}1{}", "q".repeat(120))
    }

    #[test]
    fn amounts_of_every_multiplier() {
        let cases = [
            ("lnbc", None),
            ("lnbc1", Some(100_000_000_000)),
            ("lnbc20m", Some(2_000_000_000)),
            ("lnbc2500u", Some(250_000_000)),
            ("lnbcrt210n", Some(21_000)),
            ("lntb9678785340p", Some(967_878_534)),
            ("lntbs10n", Some(1_000)),
            ("LNBC10N", Some(1_000)),
        ];
        for (prefix, expected) in cases {
            assert_eq!(amount_msat(&invoice(prefix)), Ok(expected), "{prefix}");
        }
    }

    #[test]
    fn refuses_what_is_no_invoice() {
        for prefix in
            ["", "ln", "bc10n", "lnxx10n", "lnbc0n", "lnbc5p", "lnbc10x", "lnbc99999999999999999999", "lnbc1u0n"]
        {
            assert_eq!(amount_msat(&invoice(prefix)), Err(NotAnInvoice), "{prefix}");
        }
        for text in ["", "1", "lnbc10n1qqq", "lnbc10n1é", &"1".repeat(5000)] {
            assert_eq!(amount_msat(text), Err(NotAnInvoice), "{text}");
        }
        assert_eq!(amount_msat(&invoice("lnbc18446744073709551615")), Err(NotAnInvoice));
    }

    #[test]
    fn a_pasted_invoice_is_found() {
        assert_eq!(trim("  LIGHTNING:lnbc1 "), "lnbc1");
        assert_eq!(trim("lnbc1"), "lnbc1");
    }

    #[test]
    fn units_round_up() {
        assert_eq!(in_unit(10_500, &CurrencyUnit::Sat), Some(Amount::from_u64(11)));
        assert_eq!(in_unit(10_500, &CurrencyUnit::Msat), Some(Amount::from_u64(10_500)));
        assert_eq!(in_unit(10_500, &CurrencyUnit::Usd), None);
    }
}
