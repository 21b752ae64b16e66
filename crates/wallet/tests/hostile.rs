//! A mint that lies: nothing of what it says is used, and once it tells the truth the money is there.
#![allow(clippy::panic, clippy::unwrap_used, clippy::type_complexity, missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;

use hazel_protocol::{ErrorCode, KeysetId, Token};
use hazel_wallet::ports::Store;
use hazel_wallet::{Error, ErrorClass, MeltOutcome, Policy, RequireDleq, SendOptions, Violation};
use serde_json::{Value, json};
use support::mint::{Lightning, invoice};
use support::{Bank, Fault, KeysetKind, Peer, sat};

fn bank() -> Arc<Bank> {
    Arc::new(Bank::new(KeysetKind::V2, 0))
}

fn pay(sat: u64) -> String {
    invoice(sat, &hazel_protocol::QuoteId::new("outside").unwrap())
}

async fn send(peer: &Peer, amount: u64) -> Result<Token, Error> {
    let prepared = peer.wallet.prepare_send(sat(amount), SendOptions::default()).await?;
    Ok(prepared.confirm().await?.token)
}

fn violation(error: Error) -> Violation {
    assert_eq!(error.class(), ErrorClass::HostileMint, "{error:?}");
    assert!(error.to_string().contains("do not trust this mint"), "{error}");
    match error {
        Error::HostileMint { violation, .. } => violation,
        other => panic!("{other}"),
    }
}

/// The mint tells the truth again: the wallet finds everything.
async fn assert_recovers(peer: &Peer, at: &str) {
    peer.link.stop_forging();
    peer.wallet.resume().await.unwrap();
    peer.assert_sound(at).await;
    assert_eq!(peer.total().await, peer.link.bank.outstanding(), "{at}");
}

type ForgeSignatures = fn(&mut Vec<Value>);

/// Ways to forge a list of signatures, and what the wallet makes of it.
const FORGERIES: [(&str, ForgeSignatures, fn(&Violation) -> bool); 9] = [
    ("fewer", |list| drop(list.pop()), |v| matches!(v, Violation::SignatureCount { .. })),
    ("none", Vec::clear, |v| matches!(v, Violation::SignatureCount { .. })),
    ("more", |list| list.push(list[0].clone()), |v| matches!(v, Violation::SignatureCount { .. })),
    ("another amount", |list| last(list)["amount"] = json!(1 << 15), |v| *v == Violation::SignatureTerms),
    ("no such amount", |list| last(list)["amount"] = json!(3), |v| *v == Violation::SignatureTerms),
    ("another keyset", |list| last(list)["id"] = json!("00ffffffffffffff"), |v| *v == Violation::SignatureTerms),
    ("no dleq", |list| drop(last(list).as_object_mut().unwrap().remove("dleq")), |v| *v == Violation::DleqMissing),
    ("a foreign dleq", |list| last(list)["dleq"] = list_first(list)["dleq"].clone(), |v| *v == Violation::DleqInvalid),
    ("a foreign signature", |list| last(list)["C_"] = list_first(list)["C_"].clone(), |v| *v == Violation::DleqInvalid),
];

fn last(list: &mut [Value]) -> &mut Value {
    list.last_mut().unwrap()
}

fn list_first(list: &[Value]) -> Value {
    list[0].clone()
}

fn forge_signatures(peer: &Peer, route: &'static str, forge: ForgeSignatures) {
    peer.link.forge(route, move |answer| forge(answer["signatures"].as_array_mut().unwrap()));
}

#[tokio::test]
async fn forged_signatures_of_a_swap() {
    for (name, forge, expected) in FORGERIES {
        let bank = bank();
        let alice = Peer::with(&bank, 1, 64).await;
        forge_signatures(&alice, "swap", forge);
        let violation = violation(send(&alice, 21).await.unwrap_err());
        assert!(expected(&violation), "{name}: {violation}");
        assert_eq!(alice.available().await, 0, "{name}: nothing was believed");
        assert_recovers(&alice, name).await;
    }
}

#[tokio::test]
async fn forged_signatures_of_a_mint() {
    for (name, forge, expected) in FORGERIES {
        let alice = Peer::new(&bank(), 1).await;
        forge_signatures(&alice, "mint", forge);
        let pending = alice.wallet.prepare_mint(sat(21), None).await.unwrap();
        let violation = violation(pending.confirm().await.unwrap_err());
        assert!(expected(&violation), "{name}: {violation}");
        assert_recovers(&alice, name).await;
        assert_eq!(alice.available().await, 21);
    }
}

#[tokio::test]
async fn forged_change_of_a_payment() {
    let too_much = |list: &mut Vec<Value>| last(list)["amount"] = json!(1 << 14);
    let forgeries: [(&str, ForgeSignatures, fn(&Violation) -> bool); 3] = [
        ("another amount", too_much, |v| *v == Violation::DleqInvalid),
        ("no dleq", FORGERIES[6].1, FORGERIES[6].2),
        ("another keyset", FORGERIES[5].1, FORGERIES[5].2),
    ];
    for (name, forge, expected) in forgeries {
        let alice = Peer::with(&bank(), 1, 64).await;
        for route in ["melt", "melt_quote_status"] {
            alice.link.forge(route, move |answer| {
                if let Some(change) = answer["change"].as_array_mut() {
                    forge(change);
                }
            });
        }
        let prepared = alice.wallet.prepare_melt(&pay(30), None).await.unwrap();
        let violation = violation(prepared.confirm().await.unwrap_err());
        assert!(expected(&violation), "{name}: {violation}");
        assert_recovers(&alice, name).await;
    }
}

#[tokio::test]
async fn change_that_is_left_out_is_asked_for() {
    let alice = Peer::with(&bank(), 1, 64).await;
    for route in ["melt", "melt_quote_status"] {
        alice.link.forge(route, |answer| drop(answer.as_object_mut().unwrap().remove("change")));
    }
    let outcome = alice.wallet.prepare_melt(&pay(30), None).await.unwrap().confirm().await.unwrap();
    assert!(matches!(outcome, MeltOutcome::Paid(paid) if paid.change == sat(33)));
    assert_recovers(&alice, "left out").await;
}

#[tokio::test]
async fn a_quote_for_something_else_is_not_shown() {
    let forgeries: [(&str, fn(&mut Value)); 5] = [
        ("a larger invoice", |quote| quote["request"] = json!(pay(22))),
        ("a smaller amount", |quote| quote["amount"] = json!(20)),
        ("another unit", |quote| quote["unit"] = json!("usd")),
        ("no invoice", |quote| quote["request"] = json!("pay me")),
        ("an invoice without an amount", |quote| quote["request"] = json!(pay(0).replace("lnbcrt0n1", "lnbcrt1"))),
    ];
    for (name, forge) in forgeries {
        let alice = Peer::new(&bank(), 1).await;
        alice.link.forge("mint_quote", forge);
        let error = alice.wallet.prepare_mint(sat(21), None).await.unwrap_err();
        assert!(matches!(violation(error), Violation::Quote(_)), "{name}");
        assert!(alice.wallet.pending_mints().await.unwrap().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn states_of_a_quote_never_go_back() {
    let bank = bank();
    bank.pays_itself(false);
    let alice = Peer::new(&bank, 1).await;
    let mut pending = alice.wallet.prepare_mint(sat(21), None).await.unwrap();
    bank.pay_invoice(pending.quote());
    assert_eq!(pending.check().await, Ok(true));
    alice.link.forge("mint_quote_status", |quote| quote["state"] = json!("UNPAID"));
    assert_eq!(violation(pending.check().await.unwrap_err()), Violation::Backwards);
    alice.link.forge("mint_quote_status", |quote| quote["state"] = json!("ISSUED"));
    assert_eq!(violation(pending.check().await.unwrap_err()), Violation::IssuedElsewhere);
    alice.link.stop_forging();
    pending.confirm().await.unwrap();
    assert_recovers(&alice, "quote").await;
}

#[tokio::test]
async fn a_payment_that_costs_too_much_is_not_prepared() {
    let forgeries: [(&str, fn(&mut Value)); 5] = [
        ("more than the invoice", |quote| quote["amount"] = json!(31)),
        ("near 2^64", |quote| quote["amount"] = json!(u64::MAX)),
        ("another invoice", |quote| quote["request"] = json!(pay(31))),
        ("another unit", |quote| quote["unit"] = json!("usd")),
        ("all as fees", |quote| quote["fee_reserve"] = json!(101)),
    ];
    for (name, forge) in forgeries {
        let alice = Peer::with(&bank(), 1, 512).await;
        alice.link.forge("melt_quote", forge);
        let error = alice.wallet.prepare_melt(&pay(30), None).await.unwrap_err();
        assert!(matches!(violation(error), Violation::Quote(_) | Violation::FeeReserve(_)), "{name}");
        assert_eq!(alice.available().await, 512, "{name}");
    }
    let alice = Peer::with(&bank(), 1, 512).await;
    alice.link.forge("melt_quote", |quote| quote["fee_reserve"] = json!(100));
    alice.wallet.prepare_melt(&pay(30), None).await.unwrap().cancel().await.unwrap();
}

#[tokio::test]
async fn keysets_that_do_not_bear_checking_are_refused() {
    type Forge = fn(&mut Vec<Value>);
    let forgeries: [(&str, &'static str, Forge, fn(&Violation) -> bool); 5] = [
        (
            "a changed fee",
            "keysets",
            |l| l[0]["input_fee_ppk"] = json!(5),
            |v| matches!(v, Violation::KeysetChanged(_)),
        ),
        (
            "a changed expiry",
            "keysets",
            |l| l[0]["final_expiry"] = json!(5),
            |v| matches!(v, Violation::KeysetChanged(_)),
        ),
        ("a changed unit", "keysets", |l| l[0]["unit"] = json!("usd"), |v| matches!(v, Violation::KeysetChanged(_))),
        ("listed twice", "keysets", |l| l.push(l[0].clone()), |v| matches!(v, Violation::KeysetTwice(_))),
        ("too many", "keysets", many_keysets, |v| matches!(v, Violation::TooManyKeysets(_))),
    ];
    for (name, route, forge, expected) in forgeries {
        let alice = Peer::with(&bank(), 1, 64).await;
        alice.link.forge(route, move |answer| forge(answer["keysets"].as_array_mut().unwrap()));
        let violation = violation(send(&alice, 21).await.unwrap_err());
        assert!(expected(&violation), "{name}: {violation}");
        assert_eq!(alice.available().await, 64, "{name}");
    }
}

fn many_keysets(list: &mut Vec<Value>) {
    for number in 0..2000u32 {
        let mut keyset = list[0].clone();
        keyset["id"] = json!(format!("00aa00000000{number:04x}"));
        list.push(keyset);
    }
}

#[tokio::test]
async fn a_new_keyset_must_match_its_id() {
    for kind in [KeysetKind::V1, KeysetKind::V2] {
        let bank = Arc::new(Bank::new(kind, 0));
        let stranger = Peer::stranger(&bank, 1);
        stranger.link.forge("keys", |answer| {
            let keys = answer["keysets"][0]["keys"].as_object_mut().unwrap();
            keys["1"] = keys["2"].clone();
        });
        let error = stranger.wallet.add_mint().await.unwrap_err();
        assert!(matches!(violation(error), Violation::KeysetId(_)));
        assert!(stranger.disk.mints().await.unwrap().is_empty(), "a mint that lies is not added");
        stranger.link.forge("keys", |answer| answer["keysets"] = json!([]));
        stranger.link.forge("keys_of", |answer| answer["keysets"] = json!([]));
        let error = stranger.wallet.add_mint().await.unwrap_err();
        assert!(matches!(violation(error), Violation::KeysMissing(_)));
        stranger.link.stop_forging();
        stranger.wallet.add_mint().await.unwrap();
    }
    // Version 2 ids commit to the fee, too.
    let stranger = Peer::stranger(&bank(), 1);
    stranger.link.forge("keysets", |answer| answer["keysets"][0]["input_fee_ppk"] = json!(1));
    assert!(matches!(violation(stranger.wallet.add_mint().await.unwrap_err()), Violation::KeysetId(_)));
}

#[tokio::test]
async fn a_mint_that_copies_the_keys_of_another_stops_nobody_and_gets_nothing() {
    let bank = bank();
    let alice = Peer::new(&bank, 1).await;
    // The copy is there first, and answers with the signatures that the other mint gave.
    let copy = alice.wallet_with("https://copy.example", Policy::default());
    copy.add_mint().await.unwrap();
    let new = bank.add_keyset(KeysetKind::V2, 0);
    copy.refresh_keysets().await.unwrap();
    let alice = alice.restart();
    alice.wallet.refresh_keysets().await.unwrap();
    alice.mint(64).await;
    assert_eq!(alice.free_keysets().await[0], new);
    let copy = alice.wallet_with("https://copy.example", Policy::default());
    let restored = copy.restore(&mut |_| {}).await.unwrap();
    assert_eq!((restored.amount, restored.shared.len()), (sat(0), 2), "what the copy shows is not taken for its own");
    assert_eq!(alice.available().await, 64);
    assert_eq!(copy.balance().await.unwrap().available, sat(0));
}

#[tokio::test]
async fn one_bad_signature_does_not_keep_the_rest_from_being_found() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 63).await;
    drop(alice);
    let again = Peer::new(&bank, 1).await;
    again.link.forge("restore", |answer| {
        let signatures = answer["signatures"].as_array_mut().unwrap();
        if signatures.len() > 2 {
            signatures[0]["C_"] = signatures[2]["C_"].clone();
            signatures[1].as_object_mut().unwrap().remove("dleq");
        }
    });
    let restored = again.wallet.restore(&mut |_| {}).await.unwrap();
    assert_eq!((restored.bad, restored.amount), (2, sat(60)));
    again.link.stop_forging();
    assert_eq!(again.wallet.restore(&mut |_| {}).await.unwrap().amount, sat(3), "and what was bad can be good later");
}

#[tokio::test]
async fn more_keysets_than_any_list_may_have() {
    let stranger = Peer::stranger(&bank(), 1);
    stranger.link.forge("keysets", |answer| {
        let list = answer["keysets"].as_array_mut().unwrap();
        *list = vec![list[0].clone(); 100_000];
    });
    assert_eq!(stranger.wallet.add_mint().await.unwrap_err().class(), ErrorClass::Ambiguous);
}

#[tokio::test]
async fn more_amounts_than_any_keyset_may_have() {
    let stranger = Peer::stranger(&bank(), 1);
    stranger.link.forge("keys", |answer| {
        let keys = answer["keysets"][0]["keys"].as_object_mut().unwrap();
        let key = keys["1"].clone();
        for amount in 0..1_000_000_u32 {
            keys.insert(amount.to_string(), key.clone());
        }
    });
    assert_eq!(stranger.wallet.add_mint().await.unwrap_err().class(), ErrorClass::Ambiguous);
    assert!(stranger.disk.mints().await.unwrap().is_empty(), "a mint that cannot be read is not added");
}

#[tokio::test]
async fn lists_of_states_that_do_not_fit() {
    let forgeries: [(&str, fn(&mut Vec<Value>)); 3] =
        [("fewer", |list| drop(list.pop())), ("turned around", |list| list.reverse()), ("none", Vec::clear)];
    for (name, forge) in forgeries {
        let alice = Peer::with(&bank(), 1, 64).await;
        send(&alice, 21).await.unwrap();
        alice.link.forge("check_state", move |answer| forge(answer["states"].as_array_mut().unwrap()));
        assert_eq!(violation(alice.wallet.check_sent().await.unwrap_err()), Violation::States, "{name}");
    }
}

#[tokio::test]
async fn restored_signatures_that_do_not_fit() {
    let forgeries: [(&str, fn(&mut Value)); 3] = [
        ("fewer signatures", |answer| drop(answer["signatures"].as_array_mut().unwrap().pop())),
        ("an output twice", |answer| answer["outputs"][1] = answer["outputs"][0].clone()),
        ("an output of somebody else", |answer| answer["outputs"][0]["B_"] = json!(format!("02{}", "11".repeat(32)))),
    ];
    for (name, forge) in forgeries {
        let bank = bank();
        drop(Peer::with(&bank, 1, 21).await);
        let again = Peer::new(&bank, 1).await;
        again.link.forge("restore", move |answer| {
            if answer["outputs"][1].is_object() {
                forge(answer);
            }
        });
        let violation = violation(again.wallet.restore(&mut |_| {}).await.unwrap_err());
        assert_eq!(violation, Violation::Restored, "{name}");
        assert_eq!(again.total().await, 0, "{name}");
        again.link.stop_forging();
        again.wallet.restore(&mut |_| {}).await.unwrap();
        assert_eq!(again.available().await, 21, "{name}");
    }
}

#[tokio::test]
async fn pending_for_ever_keeps_the_money_and_says_so() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    alice.link.fail("swap", (0..3).map(|_| Fault::LoseRequest));
    send(&alice, 21).await.unwrap_err();
    // Now the mint claims to work on it, for ever.
    alice.link.forge("check_state", |answer| {
        for state in answer["states"].as_array_mut().unwrap() {
            state["state"] = json!("PENDING");
        }
    });
    bank.add_keyset(KeysetKind::V2, 0);
    for _ in 0..3 {
        alice.wallet.resume().await.unwrap();
        assert_eq!(alice.wallet.balance().await.unwrap().held, sat(64));
    }
    assert_recovers(&alice, "pending").await;
}

#[tokio::test]
async fn already_spent_to_a_replay_is_followed_by_a_restore() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    alice.link.fail("swap", [Fault::LoseAnswer]);
    let token = send(&alice, 21).await.unwrap();
    assert_eq!(token.value().unwrap(), sat(21));
    assert_recovers(&alice, "replay").await;
}

#[tokio::test]
async fn a_mint_from_before_dleq_can_be_allowed() {
    let bank = bank();
    let alice = Peer::new(&bank, 1).await;
    alice.link.forge("mint", |answer| {
        for signature in answer["signatures"].as_array_mut().unwrap() {
            signature.as_object_mut().unwrap().remove("dleq");
        }
    });
    let policy = Policy { mint_dleq: RequireDleq::IfPresent, ..Policy::default() };
    let lenient = alice.wallet_with("https://mint.example", policy);
    lenient.prepare_mint(sat(21), None).await.unwrap().confirm().await.unwrap();
    assert_eq!(lenient.balance().await.unwrap().available, sat(21));
}

#[tokio::test]
async fn what_a_mint_writes_is_made_harmless() {
    let bank = bank();
    let alice = Peer::with(&bank, 1, 64).await;
    bank.set_lightning(Lightning::Fails);
    let error = alice.wallet.prepare_melt(&pay(30), None).await.unwrap().confirm().await.unwrap_err();
    assert!(matches!(error, Error::Refused { code, .. } if code == ErrorCode::LightningPaymentFailed.code()));
    assert!(!format!("{:?}", alice.wallet).contains("seed"), "no secrets in Debug");
    let _: KeysetId = alice.free_keysets().await[0];
}
