//! The JSON of requests and answers: exact fields, what is ignored, what is refused, and what errors say.

use std::fmt::Debug;

use hazel_protocol::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const G: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const ID: &str = "009a1f293253e41e";

fn read<T: DeserializeOwned>(json: &Value) -> T {
    from_json(json.to_string().as_bytes()).expect("valid")
}

fn refuse<T: DeserializeOwned + Debug>(json: &Value) -> JsonError {
    from_json::<T>(json.to_string().as_bytes()).expect_err("must be refused")
}

/// Reads `json` and writes it again: nothing may be lost, added or changed.
fn both_ways<T: Serialize + DeserializeOwned>(json: &Value) {
    let value: T = read(json);
    assert_eq!(serde_json::to_value(&value).expect("json"), *json);
}

/// Reads `json` and compares what it is written as.
fn becomes<T: Serialize + DeserializeOwned>(json: &Value, expected: &Value) {
    let value: T = read(json);
    assert_eq!(serde_json::to_value(&value).expect("json"), *expected);
}

fn proof() -> Value {
    json!({"amount": 2, "id": ID, "secret": "top secret", "C": G})
}

fn output() -> Value {
    json!({"amount": 2, "id": ID, "B_": G})
}

fn with(mut object: Value, field: &str, value: Value) -> Value {
    object[field] = value;
    object
}

fn without(mut object: Value, field: &str) -> Value {
    object.as_object_mut().expect("an object").remove(field).expect("the field is there");
    object
}

#[test]
fn proofs_and_signatures() {
    let scalar = "11".repeat(32);
    both_ways::<Proof>(&proof());
    both_ways::<Proof>(&with(proof(), "dleq", json!({"e": scalar, "s": scalar, "r": scalar})));
    both_ways::<Proof>(&with(proof(), "witness", json!("{\"signatures\":[]}")));
    both_ways::<BlindedMessage>(&output());
    let signature = json!({"amount": 2, "id": ID, "C_": G});
    both_ways::<BlindSignature>(&signature);
    both_ways::<BlindSignature>(&with(signature, "dleq", json!({"e": scalar, "s": scalar})));
    for field in ["amount", "id", "secret", "C"] {
        refuse::<Proof>(&without(proof(), field));
        refuse::<Proof>(&with(proof(), field, Value::Null));
    }
    refuse::<Proof>(&with(proof(), "C", json!(G.to_uppercase())));
    refuse::<Proof>(&with(proof(), "id", json!(ID.to_uppercase())));
    refuse::<Proof>(&with(proof(), "id", json!("01ababababababab")));
}

#[test]
fn an_output_off_the_curve_has_the_shape_of_an_output() {
    let off_curve = format!("02{}05", "00".repeat(31));
    let message: BlindedMessage = read(&with(output(), "B_", json!(off_curve)));
    assert_eq!(message.b.parse(), Err(PointError::NotOnCurve));
    refuse::<BlindSignature>(&json!({"amount": 1, "id": ID, "C_": off_curve}));
}

#[test]
fn unknown_fields_are_ignored_and_repeated_fields_refused() {
    becomes::<Proof>(&with(proof(), "future", json!({"deep": [1, 2, {"x": null}]})), &proof());
    becomes::<BlindedMessage>(&with(output(), "witness", json!("w")), &output());
    let twice = proof().to_string().replacen('{', "{\"amount\":1,", 1);
    let error = from_json::<Proof>(twice.as_bytes()).expect_err("two amounts");
    assert!(error.to_string().contains("duplicate field `amount`"), "{error}");
}

#[test]
fn witnesses_are_text_or_objects() {
    let witness = |value: Value| read::<Proof>(&with(proof(), "witness", value)).witness;
    assert_eq!(witness(Value::Null), None);
    assert_eq!(witness(json!("x")).as_ref().map(Witness::as_str), Some("x"));
    let object = witness(json!({"signatures": ["ab"], "preimage": "00"}));
    assert_eq!(object.as_ref().map(Witness::as_str), Some(r#"{"preimage":"00","signatures":["ab"]}"#));
    for bad in [json!(1), json!(true), json!(["x"]), json!("x".repeat(MAX_WITNESS_BYTES + 1))] {
        refuse::<Proof>(&with(proof(), "witness", bad));
    }
    refuse::<Proof>(&with(proof(), "witness", json!({"signatures": ["x".repeat(MAX_WITNESS_BYTES)]})));
    assert!(witness(json!("\u{e9}".repeat(MAX_WITNESS_BYTES / 2))).is_some());
    refuse::<Proof>(&with(proof(), "witness", json!("\u{e9}".repeat(MAX_WITNESS_BYTES / 2) + "x")));
}

#[test]
fn lists_stop_at_their_limit_with_the_right_code() {
    let swap =
        |inputs: usize, outputs: usize| json!({"inputs": vec![proof(); inputs], "outputs": vec![output(); outputs]});
    let full: SwapRequest = read(&swap(MAX_INPUTS, MAX_OUTPUTS));
    assert_eq!((full.inputs.len(), full.outputs.len()), (MAX_INPUTS, MAX_OUTPUTS));
    let inputs = refuse::<SwapRequest>(&swap(MAX_INPUTS + 1, 1));
    assert_eq!(inputs.error_code(), Some(ErrorCode::MaxInputsExceeded));
    assert!(inputs.to_string().starts_with("too many inputs: at most 1000 are allowed"), "{inputs}");
    let outputs = refuse::<SwapRequest>(&swap(1, MAX_OUTPUTS + 1));
    assert_eq!(outputs.error_code(), Some(ErrorCode::MaxOutputsExceeded));
    let melt = json!({"quote": "q", "inputs": [proof()], "outputs": vec![output(); MAX_OUTPUTS + 1]});
    assert_eq!(refuse::<MeltRequest>(&melt).error_code(), Some(ErrorCode::MaxOutputsExceeded));
    let mint = json!({"quote": "q", "outputs": vec![output(); MAX_OUTPUTS + 1]});
    assert_eq!(refuse::<MintRequest>(&mint).error_code(), Some(ErrorCode::MaxOutputsExceeded));
    let restore = json!({"outputs": vec![output(); MAX_RESTORE_OUTPUTS + 1]});
    assert_eq!(refuse::<RestoreRequest>(&restore).error_code(), Some(ErrorCode::MaxOutputsExceeded));
    let check = refuse::<CheckStateRequest>(&json!({"Ys": vec![G; MAX_YS + 1]}));
    assert_eq!(check.error_code(), None);
    assert!(check.to_string().contains("at most 1000"), "{check}");
}

#[test]
fn keys_and_keysets() {
    let full = json!({
        "id": ID, "unit": "sat", "active": true, "input_fee_ppk": 100, "final_expiry": 1_896_187_313_u64, "keys": {"1": G}
    });
    both_ways::<KeysResponse>(&json!({"keysets": [full]}));
    let short = json!({"id": ID, "unit": "sat", "keys": {"1": G}, "input_fee_ppk": null});
    let filled = json!({
        "id": ID, "unit": "sat", "active": true, "input_fee_ppk": 0, "final_expiry": null, "keys": {"1": G}
    });
    becomes::<KeysetWithKeys>(&short, &filled);
    let keyset: KeysetWithKeys = read(&filled);
    assert_eq!(keyset.verify_id(), Err(KeysetError::Mismatch));
    let honest = KeysetWithKeys { id: keyset.keys.id_v1(), ..keyset };
    assert_eq!(honest.verify_id(), Ok(()));
    let info = json!({"id": ID, "unit": "sat", "active": false, "input_fee_ppk": 0, "final_expiry": null});
    both_ways::<KeysetsResponse>(&json!({"keysets": [info]}));
    refuse::<KeysetInfo>(&json!({"id": ID, "unit": "sat"}));
    assert_eq!(serde_json::to_value(honest.info()).expect("json")["id"], json!(honest.id));
}

#[test]
fn mint_quotes() {
    both_ways::<MintQuoteBolt11Request>(&json!({"amount": 10, "unit": "sat"}));
    both_ways::<MintQuoteBolt11Request>(&json!({"amount": 10, "unit": "sat", "description": "d", "pubkey": G}));
    becomes::<MintQuoteBolt11Request>(
        &json!({"amount": 10, "unit": "sat", "description": null, "pubkey": null}),
        &json!({"amount": 10, "unit": "sat"}),
    );
    refuse::<MintQuoteBolt11Request>(&json!({"amount": 1, "unit": "sat", "description": "x".repeat(641)}));
    let quote = json!({"quote": "q", "request": "lnbc1", "unit": "sat", "state": "UNPAID", "expiry": null});
    both_ways::<MintQuoteBolt11Response>(&quote);
    becomes::<MintQuoteBolt11Response>(&without(quote.clone(), "expiry"), &quote);
    let full = json!({
        "quote": "q", "request": "lnbc1", "amount": 10, "unit": "sat", "state": "ISSUED", "expiry": 5, "pubkey": G,
        "amount_paid": 10, "amount_issued": 10, "updated_at": 7
    });
    both_ways::<MintQuoteBolt11Response>(&full);
    let error = refuse::<MintQuoteBolt11Response>(&with(quote, "state", json!("paid")));
    assert!(error.to_string().starts_with("unknown state"), "{error}");
    both_ways::<MintRequest>(&json!({"quote": "q", "outputs": [output()]}));
    both_ways::<MintRequest>(&json!({"quote": "q", "outputs": [output()], "signature": "ab"}));
    refuse::<MintRequest>(&json!({"quote": "q", "outputs": [], "signature": "a".repeat(129)}));
    both_ways::<MintResponse>(&json!({"signatures": []}));
}

#[test]
fn melt_quotes() {
    both_ways::<MeltQuoteBolt11Request>(&json!({"request": "lnbc1", "unit": "sat"}));
    for options in [json!({"amountless": {"amount_msat": 1000}}), json!({"mpp": {"amount": 1000}}), json!({})] {
        both_ways::<MeltQuoteBolt11Request>(&json!({"request": "lnbc1", "unit": "sat", "options": options}));
    }
    refuse::<MeltQuoteBolt11Request>(&json!({"request": "x".repeat(MAX_REQUEST_BYTES + 1), "unit": "sat"}));
    let quote = json!({
        "quote": "q", "request": "lnbc1", "amount": 10, "unit": "sat", "fee_reserve": 2, "state": "PENDING", "expiry": 9,
        "payment_preimage": null
    });
    both_ways::<MeltQuoteBolt11Response>(&quote);
    becomes::<MeltQuoteBolt11Response>(&without(quote.clone(), "payment_preimage"), &quote);
    let paid = with(with(quote, "payment_preimage", json!("c0ffee")), "change", json!([]));
    both_ways::<MeltQuoteBolt11Response>(&paid);
    assert!(!format!("{:?}", read::<MeltQuoteBolt11Response>(&paid)).contains("c0ffee"));
    let request = json!({"quote": "q", "inputs": [proof()], "prefer_async": true});
    both_ways::<MeltRequest>(&request);
    both_ways::<MeltRequest>(&with(request.clone(), "outputs", json!([output()])));
    becomes::<MeltRequest>(
        &with(without(request.clone(), "prefer_async"), "outputs", Value::Null),
        &with(request, "prefer_async", json!(false)),
    );
}

#[test]
fn state_checks_and_restores() {
    both_ways::<CheckStateRequest>(&json!({"Ys": [G]}));
    refuse::<CheckStateRequest>(&json!({"Ys": [G.to_uppercase()]}));
    let states = json!({"states": [
        {"Y": G, "state": "SPENT", "witness": "w"},
        {"Y": G, "state": "PENDING", "witness": null},
        {"Y": G, "state": "UNSPENT", "witness": null},
    ]});
    both_ways::<CheckStateResponse>(&states);
    becomes::<ProofStateEntry>(&json!({"Y": G, "state": "SPENT"}), &json!({"Y": G, "state": "SPENT", "witness": null}));
    both_ways::<RestoreRequest>(&json!({"outputs": [output()]}));
    both_ways::<RestoreResponse>(&json!({"outputs": [output()], "signatures": [{"amount": 2, "id": ID, "C_": G}]}));
}

#[test]
fn states_are_read_from_their_names() {
    assert_eq!("PAID".parse(), Ok(MintQuoteState::Paid));
    assert_eq!("PAID".parse(), Ok(MeltQuoteState::Paid));
    assert_eq!(ProofState::Unspent.to_string(), "UNSPENT");
    assert!("Paid".parse::<MeltQuoteState>().is_err());
}

#[test]
fn mint_info() {
    let full = json!({
        "name": "Bob's Cashu mint", "pubkey": G, "version": "Hazel/0.1.0", "description": "short",
        "description_long": "long", "contact": [{"method": "email", "info": "contact@me.com"}], "motd": "hi",
        "icon_url": "https://mint.host/icon.jpg", "urls": ["https://mint.host"], "time": 1_725_304_480,
        "tos_url": "https://mint.host/tos",
        "nuts": {
            "4": {"methods": [{"method": "bolt11", "unit": "sat", "min_amount": 0, "max_amount": 10000,
                "options": {"description": true}}], "disabled": false},
            "5": {"methods": [{"method": "bolt11", "unit": "sat", "method_name": "Bolt11"}], "disabled": false},
            "7": {"supported": true}, "8": {"supported": true}, "9": {"supported": true}, "10": {"supported": true},
            "12": {"supported": true}, "15": {"methods": []},
            "19": {"ttl": null, "cached_endpoints": [{"method": "POST", "path": "/v1/swap"}]},
            "20": {"supported": false}, "29": {"max_batch_size": 100, "methods": ["bolt11"]}, "99": [1, 2],
        }
    });
    both_ways::<MintInfo>(&full);
    both_ways::<MintInfo>(&json!({"nuts": {}}));
    becomes::<MintInfo>(&json!({"contact": null, "urls": null, "nuts": null, "name": null}), &json!({"nuts": {}}));
    refuse::<MintInfo>(&json!({"name": "x".repeat(MAX_INFO_TEXT_BYTES + 1)}));
    refuse::<MintInfo>(&json!({"urls": vec!["x"; MAX_INFO_ITEMS + 1]}));
}

#[test]
fn errors_and_debug_never_show_secrets() {
    let secret = "sesame \"open\" {now}";
    let misplaced = [
        with(proof(), "amount", json!(secret)),
        with(proof(), "id", json!(secret)),
        with(proof(), "C", json!(secret)),
        with(proof(), "secret", json!([secret])),
        with(proof(), "secret", json!(secret.repeat(1000))),
        with(proof(), "dleq", json!(secret)),
        with(proof(), "dleq", json!({"e": secret, "s": secret, "r": secret})),
        json!(secret),
    ];
    for json in misplaced {
        for text in [refuse::<Proof>(&json).to_string(), refuse::<SwapRequest>(&json!({"inputs": [json]})).to_string()]
        {
            assert!(!text.contains("sesame") && !text.contains("open"), "{text}");
        }
    }
    for number in [json!(424_242), json!(-424_242), json!(4242.42)] {
        let text = refuse::<Proof>(&with(proof(), "secret", number)).to_string();
        assert!(text.contains("(not shown), expected") && !text.contains("42"), "{text}");
    }
    let shown: SwapRequest = read(&json!({"inputs": [with(proof(), "witness", json!("preimage"))], "outputs": []}));
    let debug = format!("{shown:?}");
    assert!(!debug.contains("top secret") && !debug.contains("preimage"), "{debug}");
}

#[test]
fn json_that_is_none_is_told_apart_from_json_of_another_shape() {
    for text in ["", "{", "{\"quote\":", "nonsense", "\u{1b}[2J"] {
        assert!(from_json::<MintRequest>(text.as_bytes()).expect_err(text).is_syntax(), "{text}");
    }
    assert!(!refuse::<MintRequest>(&json!({})).is_syntax());
    let deep = "[".repeat(100_000);
    assert!(from_json::<Value>(deep.as_bytes()).is_err());
    let deep_unknown = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(from_json::<MintRequest>(deep_unknown.as_bytes()).is_err());
}
