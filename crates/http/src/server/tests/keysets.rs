//! Keysets that expire, and keysets of odd denominations, as wallets meet them (NUT-02, NUT-08).

use std::sync::atomic::Ordering;

use hazel_mint::RotateKeyset;
use hazel_mint::ports::Timestamp;
use hazel_protocol::{Amount, CurrencyUnit, KeysetId, Proof};
use serde_json::json;

use super::api::{call, done, fund, messages, paid_quote, proofs, until};
use super::world::Served;
use super::*;

/// Seconds until a keyset of these tests ends.
const LIFE: u64 = 10_000;

async fn rotate(served: &Served, amounts: &[u64], final_expiry: Option<u64>) -> KeysetId {
    let denominations = amounts.iter().copied().map(Amount::from_u64).collect();
    let final_expiry = final_expiry.map(Timestamp::from_unix);
    let wanted = RotateKeyset { unit: CurrencyUnit::Sat, denominations, input_fee_ppk: 0, final_expiry };
    served.mint.rotate_keyset(wanted, "operator").await.expect("rotates")
}

fn sum(proofs: &[Proof]) -> u64 {
    proofs.iter().map(|proof| proof.amount.to_u64()).sum()
}

async fn states(served: &Served, proofs: &[Proof]) -> Vec<String> {
    let ys: Vec<_> = proofs.iter().map(Proof::y).collect();
    let answer = done(served, "/v1/checkstate", &json!({"Ys": ys})).await;
    let state = |entry: &Value| entry["state"].as_str().expect("a state").to_owned();
    answer["states"].as_array().expect("a list").iter().map(state).collect()
}

#[tokio::test]
async fn a_unit_all_of_whose_keysets_have_expired_has_no_quotes() {
    let served = Served::with_expiry(LIFE).await;
    served.wait(LIFE);
    for (path, body) in [
        ("/v1/mint/quote/bolt11", json!({"amount": 8, "unit": "sat"})),
        ("/v1/melt/quote/bolt11", json!({"request": "inv:211:38000", "unit": "sat"})),
    ] {
        assert_eq!(call(&served, path, &body).await.refused(400), 12_003, "{path}");
    }
    // With a keyset that lives there are quotes again.
    rotate(&served, &[1, 2, 4, 8], None).await;
    paid_quote(&served, 8).await;
    done(&served, "/v1/melt/quote/bolt11", &json!({"request": "inv:211:38000", "unit": "sat"})).await;
}

#[tokio::test]
async fn an_expired_keyset_is_refused_on_every_path_and_what_was_is_still_told() {
    let served = Served::new().await;
    let powers = [1, 2, 4, 8, 16, 32];
    let end = served.now() + LIFE;
    let keyset = rotate(&served, &powers, Some(end)).await;
    let shown = get(served.address, "/v1/keysets").await.json();
    assert_eq!((&shown["keysets"][1]["final_expiry"], &shown["keysets"][1]["active"]), (&json!(end), &json!(true)));
    let unspent = fund(&served, &[8, 32]).await;
    let spent = fund(&served, &[4]).await;
    let outputs = served.outputs(&[4]);
    let swap = json!({"inputs": spent, "outputs": messages(&outputs)});
    let swapped = done(&served, "/v1/swap", &swap).await;
    let late = paid_quote(&served, 8).await;
    let issue = json!({"quote": late, "outputs": messages(&served.outputs(&[8]))});
    let blanks = messages(&served.outputs(&[0]));
    served.wait(LIFE);

    let shown = get(served.address, "/v1/keysets").await.json();
    assert_eq!((&shown["keysets"][1]["id"], &shown["keysets"][1]["active"]), (&json!(keyset), &json!(false)));
    assert_eq!(get(served.address, "/v1/keys").await.json()["keysets"], json!([]), "nothing of this unit signs");
    assert_eq!(get(served.address, &format!("/v1/keys/{keyset}")).await.status, 200);
    for (path, body, code) in [
        ("/v1/swap", json!({"inputs": unspent, "outputs": blanks}), 12_003),
        ("/v1/mint/bolt11", issue.clone(), 12_003),
        ("/v1/mint/quote/bolt11", json!({"amount": 8, "unit": "sat"}), 12_003),
    ] {
        assert_eq!(call(&served, path, &body).await.refused(400), code, "{path}");
    }
    // A keyset that lives, so that the refusals are about the expired one.
    let next = rotate(&served, &powers, None).await;
    let quote =
        done(&served, "/v1/melt/quote/bolt11", &json!({"request": "inv:212:1000", "unit": "sat"})).await["quote"]
            .clone();
    let fresh = fund(&served, &[8]).await;
    assert_eq!(fresh[0].id, next);
    let on_next = messages(&served.outputs(&[8]));
    for (path, body) in [
        ("/v1/swap", json!({"inputs": unspent[..1], "outputs": on_next})),
        ("/v1/swap", json!({"inputs": fresh, "outputs": messages(&served.outputs_on(keyset, &[8]))})),
        ("/v1/mint/bolt11", issue),
        ("/v1/melt/bolt11", json!({"quote": quote, "inputs": unspent})),
        ("/v1/melt/bolt11", json!({"quote": quote, "inputs": fresh, "outputs": blanks})),
    ] {
        assert_eq!(call(&served, path, &body).await.refused(400), 12_003, "{path}");
    }
    assert_eq!(states(&served, &unspent).await, ["UNSPENT"; 2]);
    assert_eq!(states(&served, &spent).await, ["SPENT"]);
    assert_eq!(done(&served, "/v1/swap", &swap).await, swapped, "a repetition is answered for ever");
    let restored = done(&served, "/v1/restore", &json!({"outputs": messages(&outputs)})).await;
    assert_eq!(restored["signatures"], swapped["signatures"]);
    // What was paid is not lost: the quote is issued on the keyset that lives.
    done(&served, "/v1/mint/bolt11", &json!({"quote": late, "outputs": messages(&served.outputs(&[8]))})).await;
}

#[tokio::test]
async fn change_is_signed_though_its_keyset_was_rotated_and_has_expired_since() {
    let served = Served::new().await;
    let keyset = rotate(&served, &[1, 2, 4, 8, 16, 32], Some(served.now() + LIFE)).await;
    let coins = fund(&served, &[8, 32]).await;
    let quote = done(&served, "/v1/melt/quote/bolt11", &json!({"request": "inv:220:35000", "unit": "sat"})).await;
    let id = quote["quote"].as_str().expect("an id");
    served.node.slow.store(true, Ordering::SeqCst);
    let blanks = served.outputs(&[0, 0, 0]);
    let melt = json!({"quote": id, "inputs": coins, "outputs": messages(&blanks)});
    assert_eq!(done(&served, "/v1/melt/bolt11", &melt).await["state"], "PENDING");
    rotate(&served, &[1, 2, 4], None).await;
    served.wait(LIFE);
    served.node.slow.store(false, Ordering::SeqCst);
    let paid = until(&served, &format!("/v1/melt/quote/bolt11/{id}"), "PAID").await;
    let change = proofs(&served, &blanks, &paid["change"]);
    assert_eq!(sum(&change), 40 - 35 - 1);
    assert!(change.iter().all(|proof| proof.id == keyset));
    assert_eq!(done(&served, "/v1/melt/bolt11", &melt).await["change"], paid["change"], "and told again");
}

#[tokio::test]
async fn any_denominations_will_do() {
    let served = Served::new().await;
    let former = fund(&served, &[32]).await;
    let keyset = rotate(&served, &[1, 5, 10, 25], None).await;
    let keys = get(served.address, "/v1/keys").await.json();
    let amounts: Vec<_> = keys["keysets"][0]["keys"].as_object().expect("keys").keys().cloned().collect();
    assert_eq!((json!(amounts), &keys["keysets"][0]["id"]), (json!(["1", "10", "25", "5"]), &json!(keyset)));
    let coins = fund(&served, &[25, 10, 5, 1]).await;
    assert_eq!(sum(&coins), 41);
    let outputs = served.outputs(&[10, 10, 5]);
    let swap = json!({"inputs": coins[..1], "outputs": messages(&outputs)});
    let answer = done(&served, "/v1/swap", &swap).await;
    assert_eq!(sum(&proofs(&served, &outputs, &answer["signatures"])), 25);
    // A power of two that has no key.
    let wrong = json!({"inputs": coins[1..2], "outputs": messages(&served.outputs(&[8, 1, 1]))});
    let reply = call(&served, "/v1/swap", &wrong).await;
    assert_eq!(reply.refused(400), 11_006);
    assert!(reply.body.contains("has no key for amount 8"), "{reply:?}");
    // Proofs of the former keyset are changed for the new denominations.
    let outputs = served.outputs(&[1, 1, 5, 25]);
    done(&served, "/v1/swap", &json!({"inputs": former, "outputs": messages(&outputs)})).await;
}

#[tokio::test]
async fn what_the_blanks_cannot_carry_stays_as_fee() {
    let served = Served::new().await;
    let keyset = rotate(&served, &[1, 5, 10, 25], None).await;
    let coins = fund(&served, &[25, 25]).await;
    // 50 for 20 and a reserve of 2, of which 1 is used: 29 are left, which are 25 + 1 + 1 + 1 + 1.
    let quote = done(&served, "/v1/melt/quote/bolt11", &json!({"request": "inv:230:20000", "unit": "sat"})).await;
    let blanks = served.outputs(&[0, 0, 0]);
    let melt = json!({"quote": quote["quote"], "inputs": coins, "outputs": messages(&blanks)});
    let paid = done(&served, "/v1/melt/bolt11", &melt).await;
    let change = proofs(&served, &blanks, &paid["change"]);
    assert_eq!(change.iter().map(|proof| proof.amount.to_u64()).collect::<Vec<_>>(), [1, 1, 25]);
    let states = served.mint.keyset_states().await.expect("readable");
    let books = states.iter().find(|state| state.record.id == keyset).expect("known").totals;
    assert_eq!((books.issued.to_u64(), books.redeemed.to_u64(), books.fees.to_u64()), (77, 50, 2));
}

#[tokio::test]
async fn no_quote_is_sold_that_could_not_be_issued() {
    let served = Served::new().await;
    rotate(&served, &[1, 1_000], None).await;
    let ask = |amount: u64| json!({"amount": amount, "unit": "sat"});
    done(&served, "/v1/mint/quote/bolt11", &ask(1_999)).await;
    let reply = call(&served, "/v1/mint/quote/bolt11", &ask(2_999)).await;
    assert_eq!(reply.refused(400), 11_006);
    assert!(reply.body.contains("cannot be made of"), "{reply:?}");
}
