//! The small values: amounts, units, points, scalars, ids, URLs. One canonical spelling each, everything else refused.

use std::collections::BTreeSet;
use std::fmt::Debug;

use hazel_protocol::nut08::blank_outputs;
use hazel_protocol::{
    Amount, AmountError, BlindingFactor, CurrencyUnit, Curve, KeysetError, KeysetId, KeysetKeys, MintUrl, PointBytes,
    PointError, PublicKey, QuoteId, Scalar32, Secret, SecretKey, ShortKeysetId, TokenKeysetId, Witness, from_json,
    input_fee, neutralise, resolve_short_id,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

const G: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

fn amount(value: u64) -> Amount {
    Amount::from_u64(value)
}

fn refused<T: DeserializeOwned + Debug>(json: &str) -> String {
    from_json::<T>(json.as_bytes()).expect_err(json).to_string()
}

fn same_text<T: Serialize + DeserializeOwned + PartialEq + Debug>(text: &str) {
    let json = serde_json::to_string(text).expect("json");
    let value: T = from_json(json.as_bytes()).expect("valid");
    assert_eq!(serde_json::to_string(&value).expect("json"), json);
}

#[test]
fn amounts_in_json_are_whole_numbers_of_64_bits() {
    for value in [0, 1, (1 << 53) + 1, u64::MAX] {
        assert_eq!(from_json::<Amount>(value.to_string().as_bytes()), Ok(amount(value)));
        assert_eq!(serde_json::to_string(&amount(value)).expect("json"), value.to_string());
    }
    for json in ["1.5", "1.0", "1e3", "\"8\"", "null", "true", "-1", "-0", "18446744073709551616", "[1]", "{}", "1e400"]
    {
        let error = refused::<Amount>(json);
        assert!(error.contains("amount") || error.contains("number"), "{json}: {error}");
    }
}

#[test]
fn amount_arithmetic_says_when_it_does_not_fit() {
    assert_eq!(Amount::MAX.checked_add(amount(1)), Err(AmountError::Overflow));
    assert_eq!(amount(1).checked_sub(amount(2)), Err(AmountError::Underflow));
    assert_eq!(Amount::checked_sum([amount(1 << 63), amount(1 << 63)]), Err(AmountError::Overflow));
    assert_eq!(Amount::checked_sum([]), Ok(Amount::ZERO));
    assert_eq!(input_fee([u64::MAX, 1]), Err(AmountError::Overflow));
    assert_eq!(input_fee([u64::MAX]), Ok(amount(18_446_744_073_709_552)));
    assert_eq!(input_fee([]), Ok(Amount::ZERO));
    assert_eq!(input_fee([1]), Ok(amount(1)));
}

#[test]
fn amounts_as_text_have_one_spelling() {
    assert_eq!("18446744073709551615".parse(), Ok(Amount::MAX));
    assert_eq!("18446744073709551616".parse::<Amount>(), Err(AmountError::Overflow));
    for text in ["", "+1", "-1", "01", "00", " 1", "1 ", "1.0", "0x1", "\u{661}"] {
        assert_eq!(text.parse::<Amount>(), Err(AmountError::NotANumber), "{text}");
    }
}

#[test]
fn splits_are_ascending_exact_and_short() {
    let powers: BTreeSet<Amount> = (0..64).map(|bit| amount(1 << bit)).collect();
    assert_eq!(amount(0).split(&powers), Ok(vec![]));
    assert_eq!(amount(13).split(&powers), Ok(vec![amount(1), amount(4), amount(8)]));
    assert_eq!(Amount::MAX.split(&powers).map(|pieces| pieces.len()), Ok(64));
    let small = BTreeSet::from([Amount::ZERO, amount(2), amount(4)]);
    assert_eq!(amount(10).split(&small), Ok(vec![amount(2), amount(4), amount(4)]));
    assert_eq!(amount(3).split(&small), Err(AmountError::NotRepresentable));
    assert_eq!(Amount::MAX.split(&BTreeSet::from([amount(1)])), Err(AmountError::NotRepresentable));
    assert_eq!(amount(1000).split(&BTreeSet::from([amount(1)])).map(|pieces| pieces.len()), Ok(1000));
    assert_eq!(amount(1001).split(&BTreeSet::from([amount(1)])), Err(AmountError::NotRepresentable));
    assert_eq!(amount(1).split(&BTreeSet::new()), Err(AmountError::NotRepresentable));
}

#[test]
fn blank_outputs_follow_the_formula() {
    let expected = [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (1000, 10), (1024, 10), (1025, 11), (u64::MAX, 64)];
    for (reserve, count) in expected {
        assert_eq!(blank_outputs(amount(reserve)), count, "{reserve}");
    }
}

#[test]
fn units_are_lower_case_names() {
    for text in ["sat", "msat", "usd", "eur", "btc", "auth", "jpy", "usdt", "a-b_9"] {
        same_text::<CurrencyUnit>(text);
    }
    assert_eq!("sat".parse(), Ok(CurrencyUnit::Sat));
    assert!(matches!("gbp".parse(), Ok(CurrencyUnit::Custom(name)) if name.as_str() == "gbp"));
    for text in ["", "SAT", "sat ", "\u{20bf}", "a|b", "s\u{0}t", &"x".repeat(33)] {
        assert!(text.parse::<CurrencyUnit>().is_err(), "{text}");
    }
}

#[test]
fn points_have_one_spelling_and_are_on_the_curve() {
    same_text::<PublicKey>(G);
    same_text::<PointBytes>(G);
    let uncompressed = format!("04{}{}", &G[2..], "0".repeat(64));
    let hybrid = format!("06{}{}", &G[2..], "0".repeat(64));
    for text in
        ["", "02", &G.to_uppercase(), &format!("0x{}", &G[2..]), &format!(" {}", &G[1..]), &uncompressed, &hybrid]
    {
        assert!(matches!(text.parse::<PublicKey>(), Err(PointError::Hex(_))), "{text}");
    }
    for prefix in ["00", "01", "04", "05", "06", "ff"] {
        assert_eq!(format!("{prefix}{}", &G[2..]).parse::<PointBytes>(), Err(PointError::Prefix));
    }
    for prefix in ["02", "03"] {
        let infinity = format!("{prefix}{}", "00".repeat(32));
        let beyond_the_field = format!("{prefix}{}", "ff".repeat(32));
        let off_the_curve = format!("{prefix}{}05", "00".repeat(31));
        for text in [infinity, beyond_the_field, off_the_curve] {
            let bytes: PointBytes = text.parse().expect("the shape of a point");
            assert_eq!(bytes.parse(), Err(PointError::NotOnCurve), "{text}");
            assert_eq!(text.parse::<PublicKey>(), Err(PointError::NotOnCurve), "{text}");
        }
    }
}

#[test]
fn secret_scalars_are_in_range_and_never_shown() {
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    for text in ["00".repeat(32), order.to_owned(), "ff".repeat(32)] {
        let bytes: Scalar32 = text.parse().expect("the range is not checked");
        assert!(SecretKey::from_bytes(bytes.as_bytes()).is_err());
        assert!(text.parse::<BlindingFactor>().is_err());
    }
    let key = SecretKey::from_bytes(&[0x42; 32]).expect("in range");
    let r = BlindingFactor::from_bytes(&[0x42; 32]).expect("in range");
    let secret = Secret::new("4242").expect("short");
    let witness = Witness::new("4242").expect("short");
    let debug = format!("{key:?} {r:?} {secret:?} {witness:?} {:?}", Curve::new(&[0x42; 32]));
    assert_eq!(debug, "SecretKey(..) BlindingFactor(..) Secret(..) Witness(4 bytes) Curve(..)");
    assert_ne!(r, BlindingFactor::from_bytes(&[0x43; 32]).expect("in range"));
    same_text::<BlindingFactor>(&"42".repeat(32));
    same_text::<Scalar32>(&"00".repeat(32));
}

#[test]
fn the_context_is_shared_between_threads() {
    const fn shareable<T: Send + Sync>() {}
    shareable::<Curve>();
    shareable::<SecretKey>();
}

#[test]
fn secrets_are_counted_in_bytes_and_kept_as_they_are() {
    assert!(Secret::new("").is_err());
    assert!(Secret::new("\u{e9}".repeat(2048)).is_ok());
    assert!(Secret::new("\u{e9}".repeat(2048) + "x").is_err());
    let with_nul: Secret = from_json(br#""a\u0000b""#).expect("NUL is text");
    assert_eq!(with_nul.as_bytes(), b"a\0b");
    let two_spellings: [Secret; 2] = from_json(br#"["\u0061", "a"]"#).expect("text");
    assert_eq!(two_spellings[0].y(), two_spellings[1].y());
    assert!(from_json::<Secret>(br#""\ud800""#).is_err());
    assert!(from_json::<Secret>(b"[1,2]").is_err());
}

#[test]
fn keyset_ids_are_told_apart_by_length_and_version() {
    let v2 = format!("01{}", "ab".repeat(32));
    same_text::<KeysetId>("009a1f293253e41e");
    same_text::<KeysetId>(&v2);
    assert_eq!("01ababababababab".parse::<KeysetId>(), Err(KeysetError::Short));
    assert_eq!(KeysetId::from_bytes(&[1; 8]), Err(KeysetError::Short));
    assert_eq!("02ababababababab".parse::<KeysetId>(), Err(KeysetError::Version(2)));
    assert_eq!(format!("00{}", "ab".repeat(32)).parse::<KeysetId>(), Err(KeysetError::Version(0)));
    for text in ["", "00", "009A1F293253E41E", "009a1f293253e41", "I2yN+iRYfkzT", &v2.to_uppercase()] {
        assert!(text.parse::<KeysetId>().is_err(), "{text}");
    }
    let short: TokenKeysetId = "01ababababababab".parse().expect("a short id");
    assert_eq!(short, TokenKeysetId::Short(ShortKeysetId::from_bytes([1, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab])));
    assert_eq!(short.to_string(), "01ababababababab");
}

#[test]
fn short_ids_resolve_to_exactly_one_keyset() {
    let id = |tail: &str| format!("01{}{tail}", "ab".repeat(31)).parse::<KeysetId>().expect("an id");
    let (a, b) = (id("01"), id("02"));
    let other: KeysetId = "009a1f293253e41e".parse().expect("an id");
    assert_eq!(resolve_short_id(a.short(), &[]), Err(KeysetError::Unknown));
    assert_eq!(resolve_short_id(a.short(), &[other]), Err(KeysetError::Unknown));
    assert_eq!(resolve_short_id(a.short(), &[other, a, a]), Ok(a));
    assert_eq!(resolve_short_id(a.short(), &[a, b]), Err(KeysetError::Ambiguous));
    assert_eq!(TokenKeysetId::Full(a).resolve(&[]), Ok(a));
}

#[test]
fn keysets_have_no_zero_no_duplicates_and_a_limit() {
    let entry = |amount: &str| format!("\"{amount}\":\"{G}\"");
    assert!(from_json::<KeysetKeys>(format!("{{{}}}", entry("1")).as_bytes()).is_ok());
    let cases = [
        (String::new(), "no keys"),
        (entry("0"), "amount zero"),
        (format!("{},{}", entry("1"), entry("1")), "two keys for the amount 1"),
        (entry("01"), "whole decimal number"),
        (entry("-1"), "whole decimal number"),
        (entry("18446744073709551616"), "too large"),
        ((1..=257).map(|n| entry(&n.to_string())).collect::<Vec<_>>().join(","), "more than 256 keys"),
    ];
    for (entries, expected) in cases {
        let error = refused::<KeysetKeys>(&format!("{{{entries}}}"));
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn mint_urls_are_normalised() {
    let cases = [
        ("https://8333.space:3338", "https://8333.space:3338", "8333.space"),
        ("http://localhost:3338///", "http://localhost:3338", "localhost"),
        ("HTTPS://Mint.Example/Path/", "https://mint.example/Path", "mint.example"),
        ("http://[::1]:3338/x", "http://[::1]:3338/x", "[::1]"),
        ("http://127.0.0.1", "http://127.0.0.1", "127.0.0.1"),
    ];
    for (text, expected, host) in cases {
        let url: MintUrl = text.parse().expect(text);
        assert_eq!((url.as_str(), url.host()), (expected, host));
        assert_eq!(url.is_https(), expected.starts_with("https"));
        assert_eq!(url.as_str().parse(), Ok(url.clone()));
    }
    let long = format!("https://a/{}", "x".repeat(512));
    let bad = [
        "",
        "mint.example",
        "ftp://a",
        "https://",
        "https:///",
        "https://a b",
        "https://a?q",
        "https://a#f",
        "https://u@a",
        "https://a:0",
        "https://a:65536",
        "https://a:",
        "https://a:x",
        "https://\u{e9}",
        "https://a\u{1b}[2J",
        "https://[::g]",
        "https://a\\b",
        "file:///etc/passwd",
        &long,
    ];
    for text in bad {
        assert!(text.parse::<MintUrl>().is_err(), "{text}");
    }
}

#[test]
fn quote_ids_are_plain_and_hidden_in_debug() {
    let id: QuoteId = "019e6d5a-2347-7000-8449-370fefb42fed".parse().expect("a quote id");
    assert_eq!(format!("{id:?}"), "QuoteId(019e6d5a..)");
    assert_eq!(format!("{:?}", QuoteId::new("abc").expect("short")), "QuoteId(..)");
    same_text::<QuoteId>(id.as_str());
    for text in ["", "a b", "a/b", "../x", "a\u{0}", "\u{e9}", &"x".repeat(65)] {
        assert!(QuoteId::new(text).is_err(), "{text}");
    }
}

#[test]
fn shown_text_cannot_steer_a_terminal() {
    assert_eq!(neutralise("a\u{1b}]0;x\u{7}b\r\nc\u{202e}d\u{2066}e\u{feff}"), "a?]0;x?b??c?d?e?");
    assert_eq!(neutralise("caf\u{e9} \u{1f95c}"), "caf\u{e9} \u{1f95c}");
}
