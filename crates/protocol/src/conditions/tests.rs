//! The rules of NUT-11 and NUT-14 one by one, each with the error that breaking it gives.

use super::*;
use crate::crypto::Curve;
use crate::point::PublicKey;
use crate::proof::{BlindedMessage, Proof, Witness};
use crate::quote::QuoteId;
use crate::scalar::SecretKey;
use crate::secret::Secret;

const NOW: u64 = 1_700_000_000;
const PREIMAGE: &str = "0000000000000000000000000000000000000000000000000000000000000001";
const HASH: &str = "ec4916dd28fc4c10d78e287ca5d9cc51ee1ae73cbfde08c6b37324cbfaac8bc5";

fn curve() -> Curve {
    Curve::new(&[1; 32])
}

fn secret_key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32]).expect("in range")
}

fn key(n: u8) -> PublicKey {
    secret_key(n).public_key(&curve())
}

fn condition(text: &str) -> Result<Option<Condition>, Malformed> {
    Condition::of(&Secret::new(text).expect("short"))
}

/// A secret with these tags, locked to key 1.
fn tagged(tags: &str) -> String {
    format!(r#"["P2PK",{{"nonce":"a","data":"{}","tags":{tags}}}]"#, key(1))
}

fn proof(secret: &Secret) -> Proof {
    Proof {
        amount: crate::Amount::from_u64(1),
        id: "009a1f293253e41e".parse().expect("an id"),
        secret: secret.clone(),
        c: key(9).into(),
        witness: None,
        dleq: None,
        p2pk_e: None,
    }
}

fn signed(secret: &Secret, keys: &[u8], preimage: Option<&str>) -> Proof {
    let digest = input_digest(secret);
    Proof { witness: Some(witness(&digest, keys, preimage)), ..proof(secret) }
}

fn witness(digest: &[u8; 32], keys: &[u8], preimage: Option<&str>) -> Witness {
    let sign = |n: &u8| sign_digest(&curve(), &secret_key(*n), digest, &[*n; 32]);
    let unlock = Unlock { signatures: keys.iter().map(sign).collect(), preimage: preimage.map(str::to_owned) };
    unlock.to_witness().expect("short")
}

fn spend(inputs: &[Proof], outputs: &[BlindedMessage], now: u64) -> Result<(), ConditionError> {
    Spend { inputs, outputs, quote: None, now }.plan()?.verify()
}

fn alone(proof: Proof, now: u64) -> Result<(), ConditionError> {
    spend(&[proof], &[], now)
}

fn outputs(count: u8) -> Vec<BlindedMessage> {
    let output = |n| BlindedMessage {
        amount: crate::Amount::from_u64(1),
        id: "009a1f293253e41e".parse().expect("an id"),
        b: key(100 + n).into(),
    };
    (0..count).map(output).collect()
}

fn lock(lock: &Lock) -> Secret {
    lock.to_secret(&[5; 32]).expect("short")
}

#[test]
fn plain_secrets_are_plain_and_everything_else_that_begins_with_a_bracket_is_a_lock_or_refused() {
    for plain in ["407915bc212be61a77e3e6d2aeb4c727", "{}", "\"[\"", "P2PK", "(x"] {
        assert_eq!(condition(plain), Ok(None), "{plain}");
    }
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let data = key(1);
    let shapes = [
        "[".to_owned(),
        "[]".to_owned(),
        " [ \"P2PK\" ]".to_owned(),
        "\n[\"P2PK\"]".to_owned(),
        "[\"P2PK\",null]".to_owned(),
        "[\"P2PK\",{}]".to_owned(),
        format!("[\"P2PK\",[\"a\",\"{data}\",[]]]"),
        format!("[\"P2PK\",{{\"nonce\":\"a\",\"data\":\"{data}\"}},1]"),
        format!("[\"P2PK\",{{\"nonce\":\"a\",\"data\":\"{data}\"}}] x"),
        format!("[\"P2PK\",{{\"data\":\"{data}\"}}]"),
        format!("[\"P2PK\",{{\"nonce\":1,\"data\":\"{data}\"}}]"),
        format!("[\"P2PK\",{{\"nonce\":\"a\",\"data\":\"{data}\",\"data\":\"{data}\"}}]"),
        format!("[\"P2PK\",{{\"nonce\":\"a\",\"data\":\"{data}\",\"more\":1}}]"),
        tagged("{}"),
        tagged("[1]"),
        tagged("[[\"locktime\",1]]"),
        tagged("[[[\"locktime\"]]]"),
        deep,
    ];
    for shape in shapes {
        assert_eq!(condition(&shape), Err(Malformed::Shape), "{shape}");
    }
    assert_eq!(condition(&format!("[\"P2SH\",{{\"nonce\":\"a\",\"data\":\"{data}\"}}]")), Err(Malformed::Kind));
    assert_eq!(condition(&format!("[\"p2pk\",{{\"nonce\":\"a\",\"data\":\"{data}\"}}]")), Err(Malformed::Kind));
    for well in [format!("[\"P2PK\",{{\"nonce\":\"a\",\"data\":\"{data}\",\"tags\":null}}]"), tagged("[[\"pubkeys\"]]")]
    {
        assert!(condition(&well).expect("well formed").is_some(), "{well}");
    }
}

#[test]
fn every_rule_about_tags_has_its_error() {
    let (k1, k2, k3) = (key(1), key(2), key(3));
    let upper = k2.to_string().to_uppercase();
    let other_parity = flip(&k1);
    let count = Malformed::Count;
    let cases = [
        ("[[]]".to_owned(), Malformed::EmptyTag),
        (r#"[[""]]"#.to_owned(), Malformed::EmptyTag),
        (r#"[["locktime",""]]"#.to_owned(), Malformed::EmptyTag),
        (r#"[["locktime","1"],["locktime","1"]]"#.to_owned(), Malformed::Repeated(Tag::Locktime)),
        (r#"[["sigflag","SIG_ALL"],["sigflag","SIG_INPUTS"]]"#.to_owned(), Malformed::Repeated(Tag::SigFlag)),
        (format!(r#"[["refund","{k2}"],["refund","{k3}"]]"#), Malformed::Repeated(Tag::Refund)),
        (r#"[["locktime","1","2"]]"#.to_owned(), Malformed::NotOneValue(Tag::Locktime)),
        (r#"[["sigflag"]]"#.to_owned(), Malformed::NotOneValue(Tag::SigFlag)),
        (r#"[["n_sigs","1","1"]]"#.to_owned(), Malformed::NotOneValue(Tag::NSigs)),
        (r#"[["sigflag","SIG_NONE"]]"#.to_owned(), Malformed::SigFlag),
        (r#"[["sigflag","sig_all"]]"#.to_owned(), Malformed::SigFlag),
        (r#"[["n_sigs","0"]]"#.to_owned(), count(Tag::NSigs)),
        (r#"[["n_sigs","-1"]]"#.to_owned(), count(Tag::NSigs)),
        (r#"[["n_sigs","two"]]"#.to_owned(), count(Tag::NSigs)),
        (r#"[["n_sigs","2147483648"]]"#.to_owned(), count(Tag::NSigs)),
        (r#"[["n_sigs","99999999999999999999"]]"#.to_owned(), count(Tag::NSigs)),
        (r#"[["n_sigs","2"]]"#.to_owned(), count(Tag::NSigs)),
        (r#"[["n_sigs_refund","1"]]"#.to_owned(), count(Tag::NSigsRefund)),
        (format!(r#"[["refund","{k2}"],["n_sigs_refund","2"]]"#), count(Tag::NSigsRefund)),
        (format!(r#"[["refund","{k2}"],["n_sigs_refund","0"]]"#), count(Tag::NSigsRefund)),
        (r#"[["pubkeys","02aa"]]"#.to_owned(), Malformed::Key),
        (format!(r#"[["pubkeys","0x{}"]]"#, &k2.to_string()[2..]), Malformed::Key),
        (format!(r#"[["pubkeys","04{}"]]"#, &k2.to_string()[2..]), Malformed::Key),
        (format!(r#"[["pubkeys","{k1}"]]"#), Malformed::RepeatedKey),
        (format!(r#"[["pubkeys","{other_parity}"]]"#), Malformed::RepeatedKey),
        (format!(r#"[["pubkeys","{k2}","{upper}"]]"#), Malformed::RepeatedKey),
        (format!(r#"[["refund","{k2}","{}"]]"#, flip(&k2)), Malformed::RepeatedKey),
    ];
    for (tags, error) in cases {
        assert_eq!(condition(&tagged(&tags)), Err(error), "{tags}");
    }
    let many: Vec<String> = (10..42).map(|n| format!("\"{}\"", key(n))).collect();
    assert_eq!(condition(&tagged(&format!("[[\"pubkeys\",{}]]", many.join(",")))), Err(Malformed::TooManyKeys));
    for fine in [
        format!(r#"[["refund","{other_parity}"]]"#),
        format!(r#"[["pubkeys","{k2}"],["n_sigs","2"]]"#),
        r#"[["n_sigs","1"]]"#.to_owned(),
        r#"[["memo","one","two"],["memo"]]"#.to_owned(),
    ] {
        assert!(condition(&tagged(&fine)).is_ok(), "{fine}");
    }
}

/// The same x coordinate with the other parity.
fn flip(key: &PublicKey) -> String {
    let text = key.to_string();
    format!("{}{}", if text.starts_with("02") { "03" } else { "02" }, &text[2..])
}

#[test]
fn a_locktime_that_is_no_time_locks_for_ever() {
    let time = |tags: &str| condition(&tagged(tags)).expect("well formed").expect("a lock").locktime();
    for never in [
        r#"["locktime"]"#,
        r#"["locktime","abc"]"#,
        r#"["locktime","-1"]"#,
        r#"["locktime","1e30"]"#,
        r#"["locktime","1.5"]"#,
    ] {
        assert_eq!(time(&format!("[{never}]")), None, "{never}");
    }
    assert_eq!(time(r#"[["locktime","99999999999999999999999"]]"#), None);
    assert_eq!(time(r#"[["locktime","21"]]"#), Some(21));
    let lock = condition(&tagged(&format!(r#"[["locktime","{NOW}"]]"#))).expect("well formed").expect("a lock");
    assert!(!lock.expired(NOW - 1) && !lock.expired(NOW) && lock.expired(NOW + 1));
}

#[test]
fn keys_sign_and_each_counts_once() {
    let secret = lock(&Lock::to_key(key(1)).pubkeys(&[key(2), key(3)]).n_sigs(2));
    assert_eq!(alone(proof(&secret), NOW), Err(ConditionError::Unsigned));
    assert_eq!(alone(signed(&secret, &[], None), NOW), Err(ConditionError::Unsigned));
    for enough in [&[1, 2][..], &[2, 3], &[3, 1], &[1, 2, 3], &[7, 3, 1]] {
        assert_eq!(alone(signed(&secret, enough, None), NOW), Ok(()), "{enough:?}");
    }
    for too_few in [&[1][..], &[1, 1], &[2, 2, 2], &[7, 8], &[1, 7]] {
        assert_eq!(alone(signed(&secret, too_few, None), NOW), Err(ConditionError::TooFewSignatures), "{too_few:?}");
    }
    let digest = input_digest(&secret);
    let twice = witness(&digest, &[1], None).as_str().replace("\"signatures\":[", "\"signatures\":[SIG,");
    let hex = twice.split('"').max_by_key(|part| part.len()).expect("the signature").to_uppercase();
    let witness = Witness::new(twice.replace("SIG", &format!("\"{hex}\""))).expect("short");
    let doubled = Proof { witness: Some(witness), ..proof(&secret) };
    assert_eq!(alone(doubled, NOW), Err(ConditionError::TooFewSignatures), "the same signature in another hex case");
}

#[test]
fn a_signature_is_for_one_secret_only() {
    let mine = lock(&Lock::to_key(key(1)));
    let other = Lock::to_key(key(1)).to_secret(&[6; 32]).expect("short");
    let moved = Proof { witness: signed(&other, &[1], None).witness, ..proof(&mine) };
    assert_eq!(alone(moved, NOW), Err(ConditionError::TooFewSignatures));
}

#[test]
fn after_the_locktime_the_refund_keys_may_or_anyone() {
    let base = Lock::to_key(key(1)).locktime(NOW);
    let open = lock(&base);
    assert_eq!(alone(proof(&open), NOW), Err(ConditionError::Unsigned));
    assert_eq!(alone(proof(&open), NOW + 1), Ok(()), "without a refund tag anyone may");
    let odd = Proof { witness: Some(Witness::new("not json").expect("short")), ..proof(&open) };
    assert_eq!(alone(odd, NOW + 1), Ok(()), "where anyone may, no witness is read");
    let secret = lock(&base.refund(&[key(2), key(3)]).n_sigs_refund(2));
    for (keys, before, after) in [
        (&[1][..], Ok(()), Ok(())),
        (&[2, 3], Err(ConditionError::TooFewSignatures), Ok(())),
        (&[2], Err(ConditionError::TooFewSignatures), Err(ConditionError::TooFewSignatures)),
        (&[2, 2], Err(ConditionError::TooFewSignatures), Err(ConditionError::TooFewSignatures)),
    ] {
        assert_eq!(alone(signed(&secret, keys, None), NOW), before, "{keys:?}");
        assert_eq!(alone(signed(&secret, keys, None), NOW + 1), after, "{keys:?}");
    }
    assert_eq!(alone(proof(&secret), NOW + 1), Err(ConditionError::Unsigned));
}

#[test]
fn pathways_do_not_mix() {
    let secret =
        lock(&Lock::to_key(key(1)).pubkeys(&[key(2)]).n_sigs(2).locktime(1).refund(&[key(3), key(4)]).n_sigs_refund(2));
    assert_eq!(alone(signed(&secret, &[1, 3], None), NOW), Err(ConditionError::TooFewSignatures));
    assert_eq!(alone(signed(&secret, &[1, 2], None), NOW), Ok(()));
    assert_eq!(alone(signed(&secret, &[3, 4], None), NOW), Ok(()));
}

fn hash() -> [u8; 32] {
    secret::hex_any_case(HASH).expect("hex")
}

#[test]
fn a_hash_lock_wants_its_preimage_and_the_signatures_of_its_keys() {
    let bare = lock(&Lock::to_hash(&hash()));
    assert_eq!(alone(signed(&bare, &[], Some(PREIMAGE)), NOW), Ok(()), "without keys the preimage is enough");
    let secret = lock(&Lock::to_hash(&hash()).pubkeys(&[key(1)]).locktime(NOW).refund(&[key(2)]));
    let wrong = PREIMAGE.replace('1', "2");
    let (short, long) = (&PREIMAGE[2..], format!("{PREIMAGE}00"));
    let cases = [
        (&[1][..], Some(PREIMAGE), Ok(())),
        (&[], Some(PREIMAGE), Err(ConditionError::Unsigned)),
        (&[2], Some(PREIMAGE), Err(ConditionError::TooFewSignatures)),
        (&[1], None, Err(ConditionError::PreimageMissing)),
        (&[1], Some(""), Err(ConditionError::PreimageMissing)),
        (&[1], Some(&wrong), Err(ConditionError::PreimageWrong)),
        (&[1], Some(short), Err(ConditionError::PreimageWrong)),
        (&[1], Some(&long), Err(ConditionError::PreimageWrong)),
    ];
    for (keys, preimage, expected) in cases {
        assert_eq!(alone(signed(&secret, keys, preimage), NOW), expected, "{keys:?} {preimage:?}");
    }
    let not_hex = "zz".repeat(32);
    assert_eq!(alone(signed(&secret, &[1], Some(&not_hex)), NOW), Err(ConditionError::PreimageWrong));
}

#[test]
fn the_refund_of_a_hash_lock_takes_every_shape_of_witness() {
    let secret = lock(&Lock::to_hash(&hash()).pubkeys(&[key(1)]).locktime(NOW).refund(&[key(2)]));
    let full = signed(&secret, &[2], None);
    let text = full.witness.as_ref().expect("signed").as_str().to_owned();
    let signatures = text.strip_prefix('{').expect("an object");
    for shape in
        [text.clone(), format!("{{\"preimage\":null,{signatures}"), format!("{{\"preimage\":\"\",{signatures}")]
    {
        let refund = Proof { witness: Some(Witness::new(shape.clone()).expect("short")), ..proof(&secret) };
        assert_eq!(alone(refund.clone(), NOW + 1), Ok(()), "{shape}");
        assert_eq!(alone(refund, NOW), Err(ConditionError::PreimageMissing), "{shape}");
    }
    assert_eq!(alone(signed(&secret, &[1], Some(PREIMAGE)), NOW + 1), Ok(()), "the receiver still may");
    assert_eq!(alone(signed(&secret, &[1], None), NOW + 1), Err(ConditionError::TooFewSignatures));
    let open = lock(&Lock::to_hash(&hash()).pubkeys(&[key(1)]).locktime(NOW));
    assert_eq!(alone(proof(&open), NOW + 1), Ok(()), "without a refund tag anyone may");
}

#[test]
fn a_malformed_witness_is_refused() {
    let secret = lock(&Lock::to_key(key(1)));
    let with = |text: &str| alone(Proof { witness: Some(Witness::new(text).expect("short")), ..proof(&secret) }, NOW);
    for malformed in ["null", "[]", "1", "\"x\"", "{", "{\"signatures\":\"x\"}", "{\"signatures\":[1]}", "[null,[]]"] {
        assert_eq!(with(malformed), Err(ConditionError::Witness), "{malformed}");
    }
    for unsigned in ["", " ", "{}", "{\"signatures\":null}", "{\"signatures\":[]}"] {
        assert_eq!(with(unsigned), Err(ConditionError::Unsigned), "{unsigned}");
    }
    let digits = "ab".repeat(64);
    for bad in ["", "ab", &digits[1..], &format!("{digits}00"), &"zz".repeat(64)] {
        assert_eq!(with(&format!("{{\"signatures\":[\"{bad}\"]}}")), Err(ConditionError::Signature), "{bad}");
    }
    let many = vec![format!("\"{digits}\""); MAX_SIGNATURES_PER_WITNESS + 1].join(",");
    assert_eq!(with(&format!("{{\"signatures\":[{many}]}}")), Err(ConditionError::TooManySignatures));
}

#[test]
fn a_key_that_is_no_point_makes_the_secret_malformed_whoever_signs() {
    let off_curve = format!("02{}", "ff".repeat(32));
    let secret = |tags: String| Secret::new(tagged(&tags)).expect("short");
    for tags in [format!(r#"[["pubkeys","{off_curve}"]]"#), format!(r#"[["refund","{off_curve}"]]"#)] {
        let secret = secret(tags);
        assert_eq!(alone(signed(&secret, &[1], None), NOW), Err(ConditionError::Malformed(Malformed::Key)));
    }
}

#[test]
fn sig_all_signs_the_whole_request_once() {
    let lock = Lock::to_key(key(1)).sig_all();
    let secrets = [[5; 32], [6; 32]].map(|nonce| lock.to_secret(&nonce).expect("short"));
    let mut inputs: Vec<Proof> = secrets.iter().map(proof).collect();
    let wanted = outputs(2);
    inputs[0].witness = Some(witness(&swap_digest(&inputs, &wanted), &[1], None));
    assert_eq!(spend(&inputs, &wanted, NOW), Ok(()));
    let mut reordered = wanted.clone();
    reordered.reverse();
    let more = outputs(3);
    for (name, other) in [("reordered", &reordered[..]), ("added", &more), ("removed", &wanted[..1]), ("none", &[])] {
        assert_eq!(spend(&inputs, other, NOW), Err(ConditionError::TooFewSignatures), "{name}");
    }
    let mut second = inputs.clone();
    second[1].witness = second[0].witness.take();
    assert_eq!(spend(&second, &wanted, NOW), Err(ConditionError::Unsigned), "on the second input");
    let quote = QuoteId::new("q1").expect("well formed");
    let melt = Spend { inputs: &inputs, outputs: &wanted, quote: Some(&quote), now: NOW };
    assert_eq!(melt.plan().and_then(|plan| plan.verify()), Err(ConditionError::TooFewSignatures), "a swap is no melt");
}

#[test]
fn sig_all_of_a_melt_names_its_quote() {
    let secret = lock(&Lock::to_key(key(1)).sig_all());
    let (quote, other) = (QuoteId::new("q1").expect("well formed"), QuoteId::new("q2").expect("well formed"));
    let mut inputs = vec![proof(&secret)];
    inputs[0].witness = Some(witness(&melt_digest(&inputs, &[], &quote), &[1], None));
    let melt = |quote| Spend { inputs: &inputs, outputs: &[], quote: Some(quote), now: NOW }.plan()?.verify();
    assert_eq!(melt(&quote), Ok(()), "a melt without outputs");
    assert_eq!(melt(&other), Err(ConditionError::TooFewSignatures));
}

#[test]
fn sig_all_stands_with_its_like_only() {
    let all = Lock::to_key(key(1)).sig_all();
    let first = proof(&lock(&all));
    let others = [
        proof(&Secret::new("plain").expect("short")),
        proof(&lock(&Lock::to_key(key(1)))),
        proof(&lock(&Lock::to_key(key(2)).sig_all())),
        proof(&lock(&Lock::to_key(key(1)).sig_all().locktime(1))),
        proof(&lock(&Lock::to_hash(&hash()).sig_all())),
    ];
    for other in others {
        assert_eq!(spend(&[first.clone(), other.clone()], &[], NOW), Err(ConditionError::Mixed));
        assert_eq!(spend(&[other, first.clone()], &[], NOW), Err(ConditionError::Mixed));
    }
}

#[test]
fn the_work_of_a_request_is_bounded_before_it_begins() {
    let keys: Vec<PublicKey> = (10..41).map(key).collect();
    let secret = lock(&Lock::to_key(key(1)).pubkeys(&keys));
    let heavy = signed(&secret, &[2; 32], None);
    let one = MAX_KEYS_PER_SECRET * MAX_SIGNATURES_PER_WITNESS;
    let fits = MAX_VERIFICATIONS / one;
    let plan = |count| Spend { inputs: &vec![heavy.clone(); count], outputs: &[], quote: None, now: NOW }.plan();
    assert!(plan(fits).is_ok());
    assert_eq!(plan(fits + 1), Err(ConditionError::TooMuchWork));
}

#[test]
fn what_a_witness_holds_is_not_shown() {
    let unlock = Unlock { signatures: Vec::new(), preimage: Some("hidden".to_owned()) };
    assert_eq!(format!("{unlock:?}"), "Unlock(0 signatures, preimage: true)");
}
