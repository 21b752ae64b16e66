//! Every vector of the test folder of the NUTs for NUT-00, 01, 02, 11 (with 14), 12 and 13.
//!
//! The JSON files hold the values of the NUT repository, one file for each NUT.

use bip39::Mnemonic;
use hazel_protocol::conditions::{Spend, melt_digest, swap_digest};
use hazel_protocol::crypto::{
    blind, hash_e, hash_to_curve, sign, sign_with_dleq, unblind, verify_dleq, verify_proof_dleq, verify_unblinded,
};
use hazel_protocol::nut13::{derive, keyset_id_int};
use hazel_protocol::{
    BlindSignature, BlindedMessage, BlindingFactor, CurrencyUnit, Curve, Dleq, KeysetId, KeysetKeys, MintUrl,
    PointBytes, Proof, PublicKey, QuoteId, Scalar32, Secret, SecretKey, ShortKeysetId, Token, TokenError, TokenV3,
    TokenV4, verify_keyset_id,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn curve() -> Curve {
    Curve::new(&[7; 32])
}

fn secret_key(bytes: Scalar32) -> SecretKey {
    SecretKey::from_bytes(bytes.as_bytes()).expect("a valid key")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn parse<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("the vectors have this shape")
}

#[derive(Deserialize)]
struct Nut00 {
    hash_to_curve: Vec<HashToCurve>,
    blinded_messages: Vec<Blinding>,
    blind_signatures: Vec<Signing>,
    token_v3: V3Vectors,
    token_v4: Vec<V4Vector>,
    token_v4_raw: Vec<V4Vector>,
}

#[derive(Deserialize)]
struct HashToCurve {
    message: Scalar32,
    point: PublicKey,
}

#[derive(Deserialize)]
struct Blinding {
    x: Scalar32,
    r: BlindingFactor,
    #[serde(rename = "B_")]
    b: PublicKey,
}

#[derive(Deserialize)]
struct Signing {
    k: Scalar32,
    #[serde(rename = "B_")]
    b: PublicKey,
    #[serde(rename = "C_")]
    c: PublicKey,
}

#[derive(Deserialize)]
struct V3Vectors {
    json: Value,
    serialized: String,
    invalid: Vec<String>,
    valid: Vec<String>,
}

#[derive(Deserialize)]
struct V4Vector {
    json: Value,
    serialized: String,
}

fn nut00() -> Nut00 {
    parse(include_str!("vectors/nut00.json"))
}

#[test]
fn nut00_hash_to_curve() {
    let vectors = nut00().hash_to_curve;
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        assert_eq!(hash_to_curve(vector.message.as_bytes()), vector.point);
    }
}

#[test]
fn nut00_blinded_messages() {
    let vectors = nut00().blinded_messages;
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let y = hash_to_curve(vector.x.as_bytes());
        assert_eq!(blind(&curve(), &y, &vector.r), Ok(vector.b));
    }
}

#[test]
fn nut00_blind_signatures() {
    let vectors = nut00().blind_signatures;
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        assert_eq!(sign(&secret_key(vector.k), &vector.b), vector.c);
    }
}

#[test]
fn nut00_the_vectors_unblind_and_verify() {
    let k = secret_key(nut00().blind_signatures[1].k);
    for vector in nut00().blinded_messages {
        let y = hash_to_curve(vector.x.as_bytes());
        let c = unblind(&sign(&k, &vector.b), &vector.r, &k.public_key(&curve())).expect("an honest signature");
        assert!(verify_unblinded(&k, &y, &PointBytes::from(c)));
        assert_eq!(c, sign(&k, &y));
    }
}

#[test]
fn nut00_token_v3_serialises_to_the_vector() {
    let vector = nut00().token_v3;
    let token: Token = vector.serialized.parse().expect("a valid token");
    let Token::V3(v3) = &token else { panic!("version 3") };
    assert_eq!(serde_json::to_value(v3.entries()).expect("json"), vector.json["token"]);
    assert_eq!(token.unit().map(CurrencyUnit::as_str), vector.json["unit"].as_str());
    assert_eq!(token.memo(), vector.json["memo"].as_str());
    assert_eq!(token.to_string(), vector.serialized);

    let proofs = token.proofs(&[]).expect("version 1 ids are never short");
    let mint = token.mints()[0].clone();
    let rebuilt = TokenV3::new(mint, Some(CurrencyUnit::Sat), Some("Thank you.".to_owned()), &proofs);
    assert_eq!(rebuilt.expect("valid").to_string(), vector.serialized);
}

#[test]
fn nut00_token_v3_wrong_prefixes_are_refused() {
    let vectors = nut00().token_v3.invalid;
    assert_eq!(vectors.len(), 2);
    for text in vectors {
        assert_eq!(text.parse::<Token>(), Err(TokenError::Prefix));
    }
}

#[test]
fn nut00_token_v3_with_and_without_padding() {
    let vectors = nut00().token_v3.valid;
    assert_eq!(vectors.len(), 3);
    for text in &vectors {
        let token: Token = text.parse().expect("a valid token");
        assert_eq!(token.value().expect("small").to_u64(), 10);
        assert_eq!(token.to_string(), text.trim_end_matches('='));
    }
    assert_eq!(vectors[1].parse::<Token>(), vectors[2].parse::<Token>());
    assert_eq!(vectors[1].parse::<Token>().expect("valid").memo(), Some("Thank you very much."));
}

/// The proofs of the JSON form of a version 4 token.
fn proofs_of(json: &Value) -> Vec<Proof> {
    let groups = json["t"].as_array().expect("a list");
    let proof = |id: &Value, proof: &Value| {
        let json = serde_json::json!({ "amount": proof["a"], "id": id, "secret": proof["s"], "C": proof["c"] });
        serde_json::from_value(json).expect("a proof")
    };
    let list = |group: &Value| group["p"].as_array().expect("a list").clone();
    groups
        .iter()
        .flat_map(|group| list(group).into_iter().map(|p| proof(&group["i"], &p)).collect::<Vec<_>>())
        .collect()
}

fn check_v4(token: &Token, json: &Value) {
    assert_eq!(token.proofs(&[]).expect("version 1 ids are never short"), proofs_of(json));
    assert_eq!(token.mints().into_iter().map(MintUrl::as_str).collect::<Vec<_>>(), [json["m"].as_str().expect("m")]);
    assert_eq!(token.unit().map(CurrencyUnit::as_str), json["u"].as_str());
    assert_eq!(token.memo(), json["d"].as_str());
}

fn build_v4(json: &Value) -> Token {
    let field = |name: &str| json[name].as_str().map(str::to_owned);
    let mint = field("m").expect("a mint").parse().expect("a url");
    let unit = field("u").expect("a unit").parse().expect("a unit");
    TokenV4::new(mint, unit, field("d"), &proofs_of(json)).expect("a valid token").into()
}

#[test]
fn nut00_token_v4_both_ways() {
    let vectors = nut00().token_v4;
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        check_v4(&vector.serialized.parse().expect("a valid token"), &vector.json);
        // The vectors disagree on padding, which is optional.
        assert_eq!(build_v4(&vector.json).to_string(), vector.serialized.trim_end_matches('='));
    }
}

#[test]
fn nut00_token_v4_raw_both_ways() {
    let vectors = nut00().token_v4_raw;
    assert_eq!(vectors.len(), 1);
    for vector in vectors {
        let bytes = build_v4(&vector.json).to_raw().expect("version 4");
        assert_eq!(hex(&bytes), vector.serialized);
        check_v4(&Token::from_raw(&bytes).expect("a valid token"), &vector.json);
    }
}

#[derive(Deserialize)]
struct Nut01 {
    invalid: Vec<Value>,
    valid: Vec<Value>,
}

#[test]
fn nut01_malformed_keysets_are_refused() {
    let vectors: Nut01 = parse(include_str!("vectors/nut01.json"));
    assert_eq!(vectors.invalid.len(), 2);
    for keys in vectors.invalid {
        let error = KeysetKeys::deserialize(keys).expect_err("a key is malformed");
        assert!(error.to_string().starts_with("invalid point: expected 66 hex digits"), "{error}");
    }
}

#[test]
fn nut01_sound_keysets_are_read() {
    let vectors: Nut01 = parse(include_str!("vectors/nut01.json"));
    let sizes: Vec<usize> =
        vectors.valid.iter().map(|keys| KeysetKeys::deserialize(keys).expect("valid").len()).collect();
    assert_eq!(sizes, [4, 64]);
    let big = KeysetKeys::deserialize(&vectors.valid[1]).expect("valid");
    assert_eq!(big.iter().next_back().map(|(amount, _)| amount.to_u64()), Some(1 << 63));
    assert_eq!(serde_json::to_value(&big).expect("json"), vectors.valid[1]);
}

#[derive(Deserialize)]
struct Nut02 {
    version_1: Vec<KeysetV1>,
    version_2: Vec<KeysetV2>,
}

#[derive(Deserialize)]
struct KeysetV1 {
    id: KeysetId,
    keys: KeysetKeys,
}

#[derive(Deserialize)]
struct KeysetV2 {
    id: KeysetId,
    unit: CurrencyUnit,
    input_fee_ppk: u64,
    final_expiry: Option<u64>,
    keys: KeysetKeys,
}

#[test]
fn nut02_ids_of_version_1() {
    let vectors: Nut02 = parse(include_str!("vectors/nut02.json"));
    assert_eq!(vectors.version_1.len(), 2);
    for vector in vectors.version_1 {
        assert_eq!(vector.keys.id_v1(), vector.id);
        assert_eq!(verify_keyset_id(&vector.id, &vector.keys, &CurrencyUnit::Usd, 5, Some(9)), Ok(()));
    }
}

#[test]
fn nut02_ids_of_version_2() {
    let vectors: Nut02 = parse(include_str!("vectors/nut02.json"));
    assert_eq!(vectors.version_2.len(), 3);
    for v in vectors.version_2 {
        assert_eq!(v.keys.id_v2(&v.unit, v.input_fee_ppk, v.final_expiry), v.id);
        assert_eq!(verify_keyset_id(&v.id, &v.keys, &v.unit, v.input_fee_ppk, v.final_expiry), Ok(()));
        assert!(verify_keyset_id(&v.id, &v.keys, &v.unit, v.input_fee_ppk + 1, v.final_expiry).is_err());
        assert!(verify_keyset_id(&v.id, &v.keys, &CurrencyUnit::Usd, v.input_fee_ppk, v.final_expiry).is_err());
        assert!(verify_keyset_id(&v.id, &v.keys, &v.unit, v.input_fee_ppk, Some(1)).is_err());
        assert_eq!(v.id.short(), ShortKeysetId::from_bytes(v.id.as_bytes()[..8].try_into().expect("8 bytes")));
    }
}

#[derive(Deserialize)]
struct Nut12 {
    hash_e: HashE,
    deterministic_nonce: Nonce,
    blind_signature: AliceVector,
    proof: CarolVector,
}

#[derive(Deserialize)]
struct HashE {
    #[serde(rename = "R1")]
    r1: PublicKey,
    #[serde(rename = "R2")]
    r2: PublicKey,
    #[serde(rename = "K")]
    k: PublicKey,
    #[serde(rename = "C_")]
    c: PublicKey,
    hash: Scalar32,
}

#[derive(Deserialize)]
struct Nonce {
    a: Scalar32,
    #[serde(rename = "A")]
    public: PublicKey,
    #[serde(rename = "B_")]
    b: PublicKey,
    #[serde(rename = "C_")]
    c: PublicKey,
    e: Scalar32,
    s: Scalar32,
}

#[derive(Deserialize)]
struct AliceVector {
    #[serde(rename = "A")]
    public: PublicKey,
    #[serde(rename = "B_")]
    b: PublicKey,
    signature: BlindSignature,
}

#[derive(Deserialize)]
struct CarolVector {
    #[serde(rename = "A")]
    public: PublicKey,
    proof: Proof,
}

fn nut12() -> Nut12 {
    parse(include_str!("vectors/nut12.json"))
}

#[test]
fn nut12_hash_e() {
    let v = nut12().hash_e;
    assert_eq!(&hash_e(&[v.r1, v.r2, v.k, v.c]), v.hash.as_bytes());
}

#[test]
fn nut12_deterministic_nonce() {
    let v = nut12().deterministic_nonce;
    let key = secret_key(v.a);
    assert_eq!(key.public_key(&curve()), v.public);
    let (c, dleq) = sign_with_dleq(&curve(), &key, &v.public, &v.b);
    assert_eq!((c, dleq), (v.c, Dleq { e: v.e, s: v.s }));
    assert_eq!(verify_dleq(&v.public, &v.b, &c, &dleq), Ok(()));
}

#[test]
fn nut12_alice_verifies_a_blind_signature() {
    let v = nut12().blind_signature;
    let dleq = v.signature.dleq.expect("the vector has a proof");
    assert_eq!(verify_dleq(&v.public, &v.b, &v.signature.c, &dleq), Ok(()));
}

#[test]
fn nut12_carol_verifies_a_proof() {
    let v = nut12().proof;
    let dleq = v.proof.dleq.as_ref().expect("the vector has a proof");
    let c = v.proof.c.parse().expect("on the curve");
    assert_eq!(verify_proof_dleq(&v.public, &v.proof.secret, &c, dleq), Ok(()));
}

#[derive(Deserialize)]
struct Nut13 {
    mnemonic: String,
    version_1: Derivation,
    version_2: Derivation,
}

#[derive(Deserialize)]
struct Derivation {
    #[serde(rename = "keyset_id")]
    keyset: KeysetId,
    keyset_id_int: Option<u32>,
    secrets: Vec<Secret>,
    blinding_factors: Vec<BlindingFactor>,
    #[serde(default, rename = "derivation_paths")]
    paths: Vec<String>,
}

fn check_derivation(seed: &[u8; 64], vector: &Derivation) {
    assert_eq!((vector.secrets.len(), vector.blinding_factors.len()), (5, 5));
    let expected = vector.secrets.iter().zip(&vector.blinding_factors);
    for (counter, (secret, r)) in (0..).zip(expected) {
        let (derived_secret, derived_r) = derive(seed, &vector.keyset, counter).expect("derivable");
        assert_eq!((derived_secret.as_str(), &derived_r), (secret.as_str(), r), "counter {counter}");
    }
}

#[test]
fn nut13_both_derivations() {
    let vectors: Nut13 = parse(include_str!("vectors/nut13.json"));
    let seed = Mnemonic::parse(&vectors.mnemonic).expect("a mnemonic").to_seed("");
    check_derivation(&seed, &vectors.version_1);
    check_derivation(&seed, &vectors.version_2);
}

#[test]
fn nut13_keyset_id_as_a_number() {
    let v1 = parse::<Nut13>(include_str!("vectors/nut13.json")).version_1;
    assert_eq!(Some(keyset_id_int(&v1.keyset)), v1.keyset_id_int);
    let paths: Vec<String> =
        (0..5).map(|counter| format!("m/129372'/0'/{}'/{counter}'", keyset_id_int(&v1.keyset))).collect();
    assert_eq!(paths, v1.paths);
}

#[derive(Deserialize)]
struct Spending {
    name: String,
    valid: bool,
    inputs: Vec<Proof>,
    outputs: Vec<BlindedMessage>,
    quote: Option<QuoteId>,
}

fn nut11() -> Vec<Spending> {
    parse(include_str!("vectors/nut11.json"))
}

#[test]
fn nut11_and_nut14_spending_conditions() {
    let vectors = nut11();
    assert_eq!((vectors.len(), vectors.iter().filter(|vector| vector.valid).count()), (19, 14));
    for Spending { name, valid, inputs, outputs, quote } in &vectors {
        let spend = Spend { inputs, outputs, quote: quote.as_ref(), now: 1_700_000_000 };
        let verdict = spend.plan().and_then(|plan| plan.verify());
        assert_eq!(verdict.is_ok(), *valid, "{name}: {verdict:?}");
    }
}

#[test]
fn nut11_messages_of_sig_all() {
    let vectors = nut11();
    let swap = vectors.iter().find(|vector| vector.name.contains("Example `SwapRequest`")).expect("the example");
    let digest = swap_digest(&swap.inputs, &swap.outputs);
    assert_eq!(hex(&digest), "de7f9e3ca0fcc5ed3258fcf83dbf1be7fa78a5ed6da7bf2aa60d61e9dc6eb09a");
    let melt = vectors.iter().find(|vector| vector.name.contains("Example `MeltRequest`")).expect("the example");
    let digest = melt_digest(&melt.inputs, &melt.outputs, melt.quote.as_ref().expect("a quote"));
    assert_eq!(hex(&digest), "9efa1067cc7dc870f4074f695115829c3cd817a6866c3b84e9814adf3c3cf262");
}
