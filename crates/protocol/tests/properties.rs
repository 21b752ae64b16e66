//! Properties over random values: what holds for every amount, key and token, and what no input can break.

use std::collections::BTreeSet;

use hazel_protocol::crypto::{blind, sign_with_dleq, unblind, verify_dleq, verify_proof_dleq, verify_unblinded};
use hazel_protocol::nut13::derive;
use hazel_protocol::{
    Amount, BlindingFactor, CurrencyUnit, Curve, ErrorResponse, KeysetId, KeysetKeys, MeltRequest, MintInfo, MintUrl,
    PointBytes, Proof, ProofDleq, PublicKey, QuoteId, Scalar32, Secret, SecretKey, SwapRequest, Token, TokenKeysetId,
    TokenV3, TokenV4, Witness, from_json, input_fee,
};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

fn scalars() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>().prop_filter("a valid scalar", |bytes| SecretKey::from_bytes(bytes).is_ok())
}

fn ids() -> impl Strategy<Value = KeysetId> {
    let v1 = any::<[u8; 8]>().prop_map(|mut bytes| {
        bytes[0] = 0;
        KeysetId::from_bytes(&bytes).expect("version 1")
    });
    let v2 = vec(any::<u8>(), 33).prop_map(|mut bytes| {
        bytes[0] = 1;
        KeysetId::from_bytes(&bytes).expect("version 2")
    });
    prop_oneof![v1, v2]
}

prop_compose! {
    fn proofs()(
        amount in any::<u64>(),
        id in ids(),
        secret in "\\PC{1,80}",
        c in any::<([bool; 1], [u8; 32])>(),
        witness in proptest::option::of("\\PC{0,80}"),
        dleq in proptest::option::of((any::<[u8; 32]>(), any::<[u8; 32]>(), scalars())),
        ephemeral in proptest::option::of(any::<[u8; 32]>()),
    ) -> Proof {
        let point = |parity: bool, x: &[u8; 32]| {
            PointBytes::from_bytes(&[&[2 + u8::from(parity)], &x[..]].concat()).expect("the shape of a point")
        };
        Proof {
            amount: Amount::from_u64(amount),
            id,
            secret: Secret::new(secret).expect("short"),
            c: point(c.0[0], &c.1),
            witness: witness.map(|text| Witness::new(text).expect("short")),
            dleq: dleq.map(|(e, s, r)| ProofDleq {
                e: Scalar32::from_bytes(e),
                s: Scalar32::from_bytes(s),
                r: BlindingFactor::from_bytes(&r).expect("in range"),
            }),
            p2pk_e: ephemeral.map(|x| point(false, &x)),
        }
    }
}

/// Proofs with different secrets.
fn sets_of_proofs() -> impl Strategy<Value = Vec<Proof>> {
    vec(proofs(), 1..12).prop_map(|mut proofs| {
        let mut seen = BTreeSet::new();
        proofs.retain(|proof| seen.insert(proof.secret.clone()));
        proofs
    })
}

fn sorted(mut proofs: Vec<Proof>) -> Vec<Proof> {
    proofs.sort_by(|a, b| a.secret.cmp(&b.secret));
    proofs
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_split_adds_up(value in any::<u64>(), extra in btree_set(any::<u64>(), 0..8)) {
        let powers = (0..64).map(|bit| 1 << bit);
        let denominations: BTreeSet<Amount> = powers.map(Amount::from_u64).collect();
        let pieces = Amount::from_u64(value).split(&denominations).expect("powers of two make everything");
        prop_assert_eq!(Amount::checked_sum(pieces.iter().copied()), Ok(Amount::from_u64(value)));
        prop_assert!(pieces.is_sorted());
        prop_assert_eq!(pieces.len(), usize::try_from(value.count_ones()).expect("small"));
        let odd: BTreeSet<Amount> = extra.into_iter().map(Amount::from_u64).collect();
        if let Ok(pieces) = Amount::from_u64(value).split(&odd) {
            prop_assert_eq!(Amount::checked_sum(pieces.iter().copied()), Ok(Amount::from_u64(value)));
            prop_assert!(pieces.iter().all(|piece| odd.contains(piece)));
        }
    }

    #[test]
    fn sums_are_exact_or_refused(values in vec(any::<u64>(), 0..6)) {
        let exact: u128 = values.iter().map(|value| u128::from(*value)).sum();
        let sum = Amount::checked_sum(values.iter().copied().map(Amount::from_u64));
        prop_assert_eq!(sum.ok().map(Amount::to_u64), u64::try_from(exact).ok());
        let fee = input_fee(values).ok().map(|fee| u128::from(fee.to_u64()));
        prop_assert_eq!(fee, sum.is_ok().then(|| exact.div_ceil(1000)));
    }

    #[test]
    fn hexadecimal_is_canonical(bytes in any::<[u8; 32]>(), text in "[0-9a-fA-F]{64}") {
        let scalar = Scalar32::from_bytes(bytes);
        prop_assert_eq!(scalar.to_string().parse(), Ok(scalar));
        if let Ok(read) = text.parse::<Scalar32>() {
            prop_assert_eq!(read.to_string(), text);
        } else {
            prop_assert_ne!(text.to_lowercase(), text);
        }
    }

    #[test]
    fn points_are_canonical(bytes in vec(any::<u8>(), 33)) {
        if let Ok(point) = PublicKey::from_bytes(&bytes) {
            prop_assert_eq!(&point.to_bytes()[..], &bytes[..]);
            prop_assert_eq!(point.to_string().parse(), Ok(point));
        }
    }

    #[test]
    fn keyset_ids_are_canonical(id in ids()) {
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(KeysetId::from_bytes(id.as_bytes()), Ok(id));
        let short = TokenKeysetId::from_bytes(id.short().as_bytes()).expect("8 bytes of a known version");
        prop_assert_eq!(short.resolve(&[id]), Ok(id));
    }

    #[test]
    fn tokens_survive_a_round_trip(proofs in sets_of_proofs(), memo in proptest::option::of("\\PC{0,60}")) {
        let mint: MintUrl = "https://mint.example/path".parse().expect("a url");
        let v3 = TokenV3::new(mint.clone(), Some(CurrencyUnit::Usd), memo.clone(), &proofs).expect("valid");
        let v4 = TokenV4::new(mint.clone(), CurrencyUnit::Usd, memo.clone(), &proofs).expect("valid");
        let raw = Token::from_raw(&v4.to_raw());
        prop_assert_eq!(raw, Ok(Token::from(v4.clone())));
        for token in [Token::from(v3), Token::from(v4)] {
            let read: Token = token.to_string().parse().expect("valid");
            prop_assert_eq!(&read, &token);
            prop_assert_eq!(read.memo(), memo.as_deref());
            prop_assert_eq!(read.mints(), vec![&mint]);
            prop_assert_eq!(sorted(read.proofs(&[]).expect("full ids")), sorted(proofs.clone()));
        }
    }

    #[test]
    fn proofs_survive_json(proof in proofs()) {
        let json = serde_json::to_vec(&proof).expect("json");
        prop_assert_eq!(from_json(&json), Ok(proof));
    }

    #[test]
    fn a_coin_goes_all_the_way(k in scalars(), other in scalars(), r in scalars(), secret in "\\PC{1,80}") {
        prop_assume!(k != other);
        let curve = Curve::new(&other);
        let secret = Secret::new(secret).expect("short");
        let (k, other) = (SecretKey::from_bytes(&k).expect("in range"), SecretKey::from_bytes(&other).expect("in range"));
        let (public, other_public) = (k.public_key(&curve), other.public_key(&curve));
        let r = BlindingFactor::from_bytes(&r).expect("in range");

        let b = blind(&curve, &secret.y(), &r).expect("honest");
        let (c_, dleq) = sign_with_dleq(&curve, &k, &public, &b);
        prop_assert_eq!(verify_dleq(&public, &b, &c_, &dleq), Ok(()));
        prop_assert!(verify_dleq(&other_public, &b, &c_, &dleq).is_err());

        let c = unblind(&c_, &r, &public).expect("honest");
        let dleq = dleq.with_blinding_factor(r);
        prop_assert_eq!(verify_proof_dleq(&public, &secret, &c, &dleq), Ok(()));
        prop_assert!(verify_proof_dleq(&other_public, &secret, &c, &dleq).is_err());

        prop_assert!(verify_unblinded(&k, &secret.y(), &c.into()));
        prop_assert!(!verify_unblinded(&other, &secret.y(), &c.into()));
    }

    #[test]
    fn dleq_verification_never_panics(e in any::<[u8; 32]>(), s in any::<[u8; 32]>(), k in scalars()) {
        let point = SecretKey::from_bytes(&k).expect("in range").public_key(&Curve::new(&k));
        let dleq = hazel_protocol::Dleq { e: Scalar32::from_bytes(e), s: Scalar32::from_bytes(s) };
        prop_assert!(verify_dleq(&point, &point, &point, &dleq).is_err());
    }

    #[test]
    fn derivation_differs_by_seed_keyset_and_counter(seed in vec(any::<u8>(), 64), id in ids(), counter in 0_u64..1 << 31) {
        let mut seed: [u8; 64] = seed.try_into().expect("64 bytes");
        let first = derive(&seed, &id, counter).expect("derivable");
        prop_assert_eq!(first.0.as_str().len(), 64);
        prop_assert_eq!(&derive(&seed, &id, counter).expect("derivable"), &first);
        let next = derive(&seed, &id, counter.wrapping_sub(1) % (1 << 31)).expect("derivable");
        prop_assert!(next.0 != first.0 && next.1 != first.1);
        seed[0] ^= 1;
        let other = derive(&seed, &id, counter).expect("derivable");
        prop_assert!(other.0 != first.0 && other.1 != first.1);
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC{0,120}") {
        let _ = text.parse::<Token>();
        let _ = format!("cashuA{text}").parse::<Token>();
        let _ = format!("cashuB{text}").parse::<Token>();
        let _ = text.parse::<MintUrl>();
        let _ = format!("http://{text}").parse::<MintUrl>().map(|url| url.host().len());
        let _ = (text.parse::<PublicKey>(), text.parse::<PointBytes>(), text.parse::<Scalar32>());
        let _ = (text.parse::<KeysetId>(), text.parse::<TokenKeysetId>(), text.parse::<BlindingFactor>());
        let _ = (text.parse::<Amount>(), text.parse::<CurrencyUnit>(), text.parse::<QuoteId>());
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Token::from_raw(&[b"crawB", &bytes[..]].concat());
        let _ = (PublicKey::from_bytes(&bytes), PointBytes::from_bytes(&bytes), KeysetId::from_bytes(&bytes));
        let _ = (from_json::<SwapRequest>(&bytes), from_json::<MintInfo>(&bytes), from_json::<KeysetKeys>(&bytes));
        let _ = (from_json::<MeltRequest>(&bytes), from_json::<ErrorResponse>(&bytes));
    }

    #[test]
    fn no_damaged_token_makes_a_reader_panic(proofs in sets_of_proofs(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mint = "https://mint.example".parse().expect("a url");
        let mut raw = TokenV4::new(mint, CurrencyUnit::Sat, None, &proofs).expect("valid").to_raw();
        let at = at.index(raw.len());
        raw[at] = byte;
        if let Ok(token) = Token::from_raw(&raw) {
            prop_assert_eq!(token.to_string().parse(), Ok(token));
        }
    }
}
