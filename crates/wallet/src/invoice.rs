//! The amount of a BOLT11 invoice and the hash of its description: all that a wallet has to read of it.

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

/// The hash of the description that an invoice commits to; none if it carries the description itself.
///
/// Reads the tagged fields (BOLT11): a type, a length, so many characters of five bits. Whoever pays checks the rest.
///
/// # Errors
/// [`NotAnInvoice`] when the text is none, or has two such hashes.
pub fn description_hash(invoice: &str) -> Result<Option<[u8; 32]>, NotAnInvoice> {
    let (_, data) = invoice.rsplit_once('1').ok_or(NotAnInvoice)?;
    let fives: Vec<u8> = data.chars().map(five_bits).collect::<Option<_>>().ok_or(NotAnInvoice)?;
    // Before the fields a timestamp of 7 characters, behind them a signature of 104 and a checksum of 6.
    let end = fives.len().checked_sub(110).ok_or(NotAnInvoice)?;
    let mut fields = fives.get(7..end).ok_or(NotAnInvoice)?;
    let mut found = None;
    while let [kind, high, low, rest @ ..] = fields {
        let length = usize::from(*high) * 32 + usize::from(*low);
        let (value, next) = rest.split_at_checked(length).ok_or(NotAnInvoice)?;
        // A hash of another length is to be passed over.
        if *kind == DESCRIPTION_HASH && length == 52 && found.replace(bytes_of(value)?).is_some() {
            return Err(NotAnInvoice);
        }
        fields = next;
    }
    if fields.is_empty() { Ok(found) } else { Err(NotAnInvoice) }
}

/// The type of the field, `h`.
const DESCRIPTION_HASH: u8 = 23;

fn five_bits(character: char) -> Option<u8> {
    const ALPHABET: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    ALPHABET.find(character.to_ascii_lowercase()).and_then(|place| u8::try_from(place).ok())
}

/// 52 characters are 260 bits; the last four say nothing.
fn bytes_of(fives: &[u8]) -> Result<[u8; 32], NotAnInvoice> {
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        let first = place * 8;
        for bit in first..first + 8 {
            let five = fives.get(bit / 5).ok_or(NotAnInvoice)?;
            *byte = *byte << 1 | (five >> (4 - bit % 5) & 1);
        }
    }
    Ok(bytes)
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

    /// The examples of BOLT11: coffee with a description, and one with a hash of it.
    #[test]
    fn the_hash_of_a_description_is_read() {
        let plain = "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh";
        assert_eq!(description_hash(plain), Ok(None));
        let hashed = "lnbc20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqhp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqs9qrsgq7ea976txfraylvgzuxs8kgcw23ezlrszfnh8r6qtfpr6cxga50aj6txm9rxrydzd06dfeawfk6swupvz4erwnyutnjq7x39ymw6j38gp7ynn44";
        let hash = description_hash(hashed).expect("an invoice").expect("a hash");
        let hex = hazel_protocol::Scalar32::from_bytes(hash).to_string();
        assert_eq!(hex, "3925b6f67e2c340036ed12093dd44e0368df1b6ea26c53dbe4811f58fd5db8c1");
        assert_eq!(description_hash(&hashed.to_ascii_uppercase()), Ok(Some(hash)));
        // Twice is once too often; cut fields are none.
        let field = &hashed[hashed.find("hp58").expect("there")..][..55];
        assert_eq!(description_hash(&hashed.replace(field, &field.repeat(2))), Err(NotAnInvoice));
        assert_eq!(description_hash(&hashed.replace(field, &field[..40])), Err(NotAnInvoice));
        for text in ["", "lnbc1", "lnbc1qqq", "lnbc1b", &format!("lnbc1{}", "q".repeat(112))] {
            assert_eq!(description_hash(text), Err(NotAnInvoice), "{text}");
        }
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
