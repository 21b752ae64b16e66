//! Tokens outside the vectors: several mints, short ids, fields in any order, and everything a sender may get wrong.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hazel_protocol::{
    Amount, BlindingFactor, CborError, CurrencyUnit, KeysetError, KeysetId, MAX_MEMO_BYTES, MAX_TOKEN_BYTES,
    MAX_TOKEN_PROOFS, MintUrl, PointBytes, Proof, ProofDleq, Scalar32, Secret, Token, TokenError, TokenV3,
    TokenV3Entry, TokenV4, Witness,
};
use minicbor::Encoder;
use minicbor::encode::Write;

const G: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const V1: &str = "009a1f293253e41e";
const V2: &str = "015ba18a8adcd02e715a58358eb618da4a4b3791151a4bee5e968bb88406ccf76a";

type Cbor = Encoder<Vec<u8>>;
type Written = Result<(), minicbor::encode::Error<<Vec<u8> as Write>::Error>>;
/// Writes one more field.
type Extra = fn(&mut Cbor);

fn point() -> PointBytes {
    G.parse().expect("a point")
}

fn mint(name: &str) -> MintUrl {
    format!("https://{name}.example").parse().expect("a url")
}

fn proof(amount: u64, id: &str, secret: &str) -> Proof {
    Proof {
        amount: Amount::from_u64(amount),
        id: id.parse().expect("an id"),
        secret: Secret::new(secret).expect("a secret"),
        c: point(),
        witness: None,
        dleq: None,
        p2pk_e: None,
    }
}

fn full_proof() -> Proof {
    let dleq = ProofDleq {
        e: Scalar32::from_bytes([1; 32]),
        s: Scalar32::from_bytes([2; 32]),
        r: BlindingFactor::from_bytes(&[3; 32]).expect("in range"),
    };
    Proof {
        witness: Some(Witness::new("{}").expect("short")),
        dleq: Some(dleq),
        p2pk_e: Some(point()),
        ..proof(1, V2, "full")
    }
}

fn v4(proofs: &[Proof]) -> Result<TokenV4, TokenError> {
    TokenV4::new(mint("a"), CurrencyUnit::Sat, None, proofs)
}

/// Reads CBOR that `write` makes, in both forms of a token, which must agree.
fn read(write: impl FnOnce(&mut Cbor) -> Written) -> Result<Token, TokenError> {
    let mut encoder = Encoder::new(Vec::new());
    write(&mut encoder).expect("writing to memory");
    let cbor = encoder.into_writer();
    let raw = Token::from_raw(&[b"crawB", cbor.as_slice()].concat());
    assert_eq!(format!("cashuB{}", URL_SAFE_NO_PAD.encode(&cbor)).parse(), raw);
    raw
}

/// Fields of a proof, without its map.
fn proof_fields(e: &mut Cbor, secret: &str) -> Written {
    e.str("s")?.str(secret)?.str("c")?.bytes(point().as_bytes())?.str("a")?.u64(5)?.ok()
}

#[test]
fn what_a_proof_carries_beside_itself_survives_both_versions() {
    let proofs = [full_proof(), proof(2, V1, "plain")];
    let v3 = TokenV3::new(mint("a"), None, None, &proofs).expect("valid");
    for token in [Token::from(v3), Token::from(v4(&proofs).expect("valid"))] {
        let again: Token = token.to_string().parse().expect("valid");
        assert_eq!(again, token);
        assert_eq!(again.proofs(&[]).expect("full ids"), proofs);
        assert_eq!(again.value(), Ok(Amount::from_u64(3)));
    }
    let token = Token::from(v4(&proofs).expect("valid"));
    assert_eq!(Token::from_raw(&token.to_raw().expect("version 4")), Ok(token));
}

#[test]
fn schemes_and_blanks_are_optional() {
    let text = v4(&[proof(1, V1, "x")]).expect("valid").to_string();
    let token: Token = text.parse().expect("valid");
    for variant in [format!("cashu:{text}"), format!("cashu://{text}"), format!(" \n{text}\r\n")] {
        assert_eq!(variant.parse(), Ok(token.clone()));
    }
    for (text, expected) in [
        ("", TokenError::Prefix),
        ("cash", TokenError::Prefix),
        ("Cashu", TokenError::Prefix),
        ("cashu", TokenError::Version),
        ("cashuC", TokenError::Version),
        ("cashu\u{e9}", TokenError::Version),
        ("cashuB!", TokenError::Base64),
        ("cashuA\u{e9}", TokenError::Base64),
        ("cashu:cashu:cashuA", TokenError::Version),
    ] {
        assert_eq!(text.parse::<Token>(), Err(expected), "{text}");
    }
    assert_eq!(format!("cashuA{}", "A".repeat(MAX_TOKEN_BYTES)).parse::<Token>(), Err(TokenError::TooLong));
    assert_eq!(Token::from_raw(&vec![0; MAX_TOKEN_BYTES + 1]), Err(TokenError::TooLong));
    assert_eq!(Token::from_raw(b"crawA{}"), Err(TokenError::NoRawForm));
    assert_eq!(Token::from_raw(b"craw"), Err(TokenError::Prefix));
    assert_eq!(Token::from_raw(b"crawZ"), Err(TokenError::Version));
}

#[test]
fn version_3_may_hold_several_mints() {
    let entry = |name: &str, secret: &str| TokenV3Entry {
        mint: mint(name),
        proofs: vec![(&proof(4, V1, secret)).into()].try_into().expect("one"),
    };
    let entries = vec![entry("a", "1"), entry("b", "2"), entry("a", "3")];
    let token = Token::from(TokenV3::from_entries(entries, None, None).expect("valid"));
    assert_eq!(token.mints(), [&mint("a"), &mint("b")]);
    assert_eq!(token.proofs(&[]).map(|proofs| proofs.len()), Ok(3));
    assert_eq!(token.proofs_of(&mint("a"), &[]).map(|proofs| proofs.len()), Ok(2));
    assert_eq!(token.proofs_of(&mint("c"), &[]), Err(TokenError::OtherMint));
    assert_eq!(token.to_raw(), Err(TokenError::NoRawForm));
    assert_eq!(token.unit(), None);
    let twice = vec![entry("a", "1"), entry("b", "1")];
    assert_eq!(TokenV3::from_entries(twice, None, None), Err(TokenError::DuplicateProof));
}

#[test]
fn short_ids_are_resolved_against_known_keysets() {
    let full: KeysetId = V2.parse().expect("an id");
    let mut twin = full.as_bytes().to_vec();
    twin[32] ^= 1;
    let twin = KeysetId::from_bytes(&twin).expect("an id");
    let proofs = [proof(1, V2, "x"), proof(2, V1, "y")];
    let token = v4(&proofs).expect("valid");
    let short = token.clone().with_short_ids();
    assert!(short.to_string().len() + 30 < token.to_string().len());
    let json = serde_json::json!({"token": [{"mint": "https://a.example", "proofs": [
        {"amount": 1, "id": &V2[..16], "secret": "x", "C": G}, {"amount": 2, "id": V1, "secret": "y", "C": G}]}]});
    let v3 = format!("cashuA{}", URL_SAFE_NO_PAD.encode(json.to_string()));
    for text in [short.to_string(), v3] {
        let token: Token = text.parse().expect("valid");
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert_eq!(token.proofs(&[full]), Ok(proofs.to_vec()));
        assert_eq!(token.proofs(&[]), Err(TokenError::Keyset(KeysetError::Unknown)));
        assert_eq!(token.proofs(&[full, twin]), Err(TokenError::Keyset(KeysetError::Ambiguous)));
    }
    let two = v4(&[proof(1, V2, "x"), proof(1, &twin.to_string(), "y")]).expect("valid").with_short_ids();
    assert_eq!(Token::from(two).proofs(&[full, twin]), Err(TokenError::Keyset(KeysetError::Ambiguous)));
}

#[test]
fn proofs_of_one_keyset_stand_together() {
    let proofs = [proof(1, V1, "1"), proof(2, V2, "2"), proof(4, V1, "3"), proof(8, V2, "4")];
    let token = v4(&proofs).expect("valid");
    let amounts: Vec<u64> = token.token_proofs().iter().map(|proof| proof.amount.to_u64()).collect();
    assert_eq!(amounts, [1, 4, 2, 8]);
    assert_eq!(token.to_string().parse(), Ok(Token::from(token)));
}

#[test]
fn what_no_token_may_be() {
    let many: Vec<Proof> = (0..=MAX_TOKEN_PROOFS).map(|n| proof(1, V1, &n.to_string())).collect();
    let twice = [proof(1, V1, "x"), proof(2, V2, "x")];
    let heavy: Vec<Proof> = (0..400).map(|n| proof(1, V1, &format!("{n:04096}"))).collect();
    assert_eq!(v4(&[]), Err(TokenError::NoProofs));
    assert_eq!(v4(&many), Err(TokenError::TooManyProofs));
    assert_eq!(v4(&twice), Err(TokenError::DuplicateProof));
    assert_eq!(v4(&heavy), Err(TokenError::TooLong));
    assert!(v4(&many[1..]).is_ok_and(|token| token.to_string().parse::<Token>().is_ok()));
    let memo = |length| TokenV4::new(mint("a"), CurrencyUnit::Sat, Some("m".repeat(length)), &[proof(1, V1, "x")]);
    assert!(memo(MAX_MEMO_BYTES).is_ok());
    assert_eq!(memo(MAX_MEMO_BYTES + 1), Err(TokenError::MemoTooLong));
    let v3 = |proofs: &[Proof]| TokenV3::new(mint("a"), None, None, proofs);
    assert_eq!(v3(&[]), Err(TokenError::NoProofs));
    assert_eq!(v3(&many), Err(TokenError::TooManyProofs));
    assert_eq!(v3(&twice), Err(TokenError::DuplicateProof));
    let rich = [proof(u64::MAX, V1, "x"), proof(1, V1, "y")];
    assert!(matches!(Token::from(v4(&rich).expect("valid")).value(), Err(TokenError::Amount(_))));
}

#[test]
fn version_3_is_strict_about_its_json() {
    let read = |json: &str| format!("cashuA{}", URL_SAFE_NO_PAD.encode(json)).parse::<Token>();
    let proof = format!(r#"{{"amount":1,"id":"{V1}","secret":"x","C":"{G}"}}"#);
    let good =
        format!(r#"{{"token":[{{"mint":"https://a.example","proofs":[{proof}],"new":1}}],"new":{{}},"memo":null}}"#);
    assert!(read(&good).is_ok());
    let bad = [
        String::new(),
        "[]".to_owned(),
        good.clone() + "x",
        good.replace("\"token\"", "\"tokens\""),
        good.replace("\"amount\":1", "\"amount\":\"1\""),
        good.replace("\"amount\":1", "\"amount\":1,\"amount\":2"),
        good.replace("https://a.example", "a.example"),
        good.replace(V1, "I2yN+iRYfkzT"),
        good.replace("\"memo\":null", "\"memo\":1"),
    ];
    for json in bad {
        assert!(matches!(read(&json), Err(TokenError::Json(_))), "{json}");
    }
    assert_eq!(read(r#"{"token":[]}"#), Err(TokenError::NoProofs));
    assert_eq!(read(&good.replace("null", &format!("\"{}\"", "m".repeat(1025)))), Err(TokenError::MemoTooLong));
}

#[test]
fn version_4_takes_fields_in_any_order_and_open_lengths() {
    let token = read(|e| {
        e.begin_map()?.str("u")?.str("sat")?.str("d")?.null()?.str("m")?.str("https://a.example/")?;
        e.str("t")?.begin_array()?.map(2)?.str("p")?.begin_array()?.begin_map()?;
        proof_fields(e, "x")?;
        e.str("d")?.undefined()?.str("w")?.null()?.end()?.end()?;
        e.str("i")?.bytes(&[0, 1, 2, 3, 4, 5, 6, 7])?.end()?.end()?.ok()
    });
    let token = token.expect("valid");
    assert_eq!(token.mints(), [&mint("a")]);
    assert_eq!(token.proofs(&[]), Ok(vec![proof(5, "0001020304050607", "x")]));
}

/// A token with one proof and further fields: in the token, in the group, in the proof.
fn extended(extra: impl Fn(&mut Cbor)) -> Result<Token, TokenError> {
    read(|e| {
        e.begin_map()?.str("m")?.str("https://a.example")?.str("u")?.str("sat")?;
        extra(e);
        e.str("t")?.array(1)?.begin_map()?.str("i")?.bytes(&[0; 8])?;
        extra(e);
        e.str("p")?.array(1)?.begin_map()?;
        extra(e);
        proof_fields(e, "x")?;
        e.end()?.end()?.end()?.ok()
    })
}

#[test]
fn version_4_skips_what_it_does_not_know() {
    let plain = extended(|_| ()).expect("valid");
    let skipped: [Extra; 7] = [
        |e| drop(e.str("x").and_then(|e| e.u8(1))),
        |e| drop(e.str("").and_then(|e| e.array(2)?.begin_map()?.end()?.f64(1.5))),
        |e| drop(e.u64(7).and_then(|e| e.tag(minicbor::data::Tag::new(1))?.bool(true))),
        |e| drop(e.array(1).and_then(|e| e.null()?.map(1)?.bytes(&[1])?.str("y"))),
        |e| drop(e.str("x").and_then(|e| e.begin_str()?.str("a")?.str("b")?.end())),
        |e| drop(e.bytes(b"t").and_then(|e| e.begin_bytes()?.end())),
        |e| drop(e.str("tt").and_then(|e| e.i64(-5))),
    ];
    for extra in skipped {
        assert_eq!(extended(extra), Ok(plain.clone()));
    }
}

#[test]
fn version_4_bounds_the_depth_of_what_it_skips() {
    let nested = |depth: usize| {
        extended(move |e| {
            e.str("x").expect("memory");
            (0..depth).for_each(|_| drop(e.array(1)));
            e.null().expect("memory");
        })
    };
    assert!(nested(31).is_ok());
    assert_eq!(nested(32), Err(CborError::TooDeep.into()));
    assert_eq!(nested(100_000), Err(CborError::TooDeep.into()));
    let tags = extended(|e| {
        e.str("x").expect("memory");
        (0..100_000).for_each(|_| drop(e.tag(minicbor::data::Tag::new(1))));
        e.null().expect("memory");
    });
    assert_eq!(tags, Err(CborError::TooDeep.into()));
}

#[test]
fn version_4_refuses_repeated_missing_and_malformed_fields() {
    let cases: [(Extra, TokenError); 6] = [
        (|e| drop(e.str("m").and_then(|e| e.str("https://b.example"))), CborError::DuplicateField("m").into()),
        (|e| drop(e.str("u").and_then(|e| e.str("usd"))), CborError::DuplicateField("u").into()),
        (|e| drop(e.str("d").and_then(|e| e.null()?.str("d")?.str("x"))), CborError::DuplicateField("d").into()),
        (|e| drop(e.str("t").and_then(|e| e.array(0))), CborError::DuplicateField("t").into()),
        (|e| drop(e.str("d").and_then(|e| e.str(&"m".repeat(1025)))), TokenError::MemoTooLong),
        (|e| drop(e.str("u").and_then(|e| e.str("SAT"))), TokenError::Unit(hazel_protocol::UnitError)),
    ];
    for (extra, expected) in cases {
        let token = read(|e| {
            e.begin_map()?;
            if !matches!(expected, TokenError::Unit(_)) {
                e.str("u")?.str("sat")?;
            }
            e.str("m")?.str("https://a.example")?.str("t")?.array(1)?;
            e.map(2)?.str("i")?.bytes(&[0; 8])?.str("p")?.array(1)?.map(3)?;
            proof_fields(e, "x")?;
            extra(e);
            e.end()?.ok()
        });
        assert_eq!(token, Err(expected));
    }
    assert_eq!(read(|e| e.map(0)?.ok()), Err(CborError::MissingField("m").into()));
    assert_eq!(read(|e| e.map(1)?.str("m")?.str("https://a.example")?.ok()), Err(CborError::MissingField("u").into()));
    for bytes in [
        &b""[..],
        b"\x00",
        b"\x80",
        b"\xa1",
        b"\xbf",
        b"\xff",
        b"\xbf\xff\xff",
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        assert!(Token::from_raw(&[b"crawB", bytes].concat()).is_err(), "{bytes:?}");
    }
}

/// A token whose single proof has the given fields.
fn with_proof(fields: u64, write: impl Fn(&mut Cbor)) -> Result<Token, TokenError> {
    read(|e| {
        e.map(3)?.str("m")?.str("https://a.example")?.str("u")?.str("sat")?.str("t")?.array(1)?;
        e.map(2)?.str("i")?.bytes(&[0; 8])?.str("p")?.array(1)?.map(fields)?;
        write(e);
        Ok(())
    })
}

#[test]
fn version_4_refuses_malformed_proofs() {
    let more = |write: Extra| {
        with_proof(4, move |e| {
            proof_fields(e, "x").expect("memory");
            write(e);
        })
    };
    assert_eq!(with_proof(0, |_| ()), Err(CborError::MissingField("a").into()));
    assert_eq!(more(|e| drop(e.str("a").and_then(|e| e.u8(1)))), Err(CborError::DuplicateField("a").into()));
    assert!(matches!(with_proof(1, |e| drop(e.str("a").and_then(|e| e.i8(-1)))), Err(TokenError::Cbor(_))));
    assert!(matches!(with_proof(1, |e| drop(e.str("a").and_then(|e| e.f64(1.0)))), Err(TokenError::Cbor(_))));
    assert!(matches!(with_proof(1, |e| drop(e.str("s").and_then(|e| e.str("")))), Err(TokenError::Secret(_))));
    assert!(matches!(with_proof(1, |e| drop(e.str("s").and_then(|e| e.bytes(b"x")))), Err(TokenError::Cbor(_))));
    assert!(matches!(with_proof(1, |e| drop(e.str("c").and_then(|e| e.bytes(&[4; 65])))), Err(TokenError::Point(_))));
    assert!(matches!(with_proof(1, |e| drop(e.str("c").and_then(|e| e.str(G)))), Err(TokenError::Cbor(_))));
    assert!(matches!(more(|e| drop(e.str("w").and_then(|e| e.str(&"w".repeat(8193))))), Err(TokenError::Witness(_))));
    assert_eq!(more(|e| drop(e.str("d").and_then(|e| e.map(0)))), Err(CborError::MissingField("e").into()));
    let scalar = more(|e| drop(e.str("d").and_then(|e| e.map(1)?.str("e")?.bytes(&[1; 31]))));
    assert!(matches!(scalar, Err(TokenError::Scalar(_))));
    let zero = more(|e| drop(e.str("d").and_then(|e| e.map(1)?.str("r")?.bytes(&[0; 32]))));
    assert!(matches!(zero, Err(TokenError::Scalar(_))));
}

#[test]
fn trailing_and_missing_bytes_are_refused() {
    let raw = v4(&[full_proof()]).expect("valid").to_raw();
    assert!(Token::from_raw(&raw).is_ok());
    assert_eq!(Token::from_raw(&[&raw, &[0][..]].concat()), Err(TokenError::TrailingBytes));
    for length in 0..raw.len() {
        assert!(Token::from_raw(&raw[..length]).is_err(), "{length}");
    }
}

#[test]
fn errors_and_debug_never_show_secrets() {
    let token = Token::from(v4(&[proof(1, V1, "sesame")]).expect("valid"));
    assert!(!format!("{token:?}").contains("sesame"));
    let json = format!(r#"{{"token":[{{"mint":"https://a.example","proofs":["sesame"]}}],"unit":"{}"}}"#, "sesame");
    let error = format!("cashuA{}", URL_SAFE_NO_PAD.encode(json)).parse::<Token>().expect_err("malformed");
    assert!(!format!("{error} {error:?}").contains("sesame"), "{error}");
}
