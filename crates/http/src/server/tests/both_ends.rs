//! The wallet's connector against the mint's router.

use std::sync::atomic::Ordering;

use hazel_protocol::{
    Amount, BoundedVec, CheckStateRequest, CurrencyUnit, MeltQuoteBolt11Request, MeltQuoteState, MeltRequest,
    MintQuoteBolt11Request, MintQuoteState, MintRequest, PointBytes, Proof, ProofState, QuoteId, RestoreRequest,
    SwapRequest,
};
use hazel_wallet::ports::{ConnectorError, MintConnector};

use super::world::{Prepared, Served};
use super::*;
use crate::client::{ClientConfig, HttpConnector};

fn connect(served: &Served) -> HttpConnector {
    let url = format!("http://{}/", served.address).parse().expect("a url");
    HttpConnector::new(&url, ClientConfig::default()).expect("loopback")
}

fn messages(outputs: &[Prepared]) -> hazel_protocol::Outputs {
    let messages: Vec<_> = outputs.iter().map(|output| output.message.clone()).collect();
    messages.try_into().expect("few")
}

async fn fund(served: &Served, wallet: &HttpConnector, amounts: &[u64]) -> Vec<Proof> {
    let amount = Amount::from_u64(amounts.iter().sum());
    let ask = MintQuoteBolt11Request { amount, unit: CurrencyUnit::Sat, description: None, pubkey: None };
    let quote = wallet.mint_quote_bolt11(&ask).await.expect("a quote").quote;
    while wallet.mint_quote_status(&quote).await.expect("known").state != MintQuoteState::Paid {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let outputs = served.outputs(amounts);
    let request = MintRequest { quote, outputs: messages(&outputs), signature: None };
    let signatures = wallet.mint(&request).await.expect("paid").signatures;
    served.proofs(&outputs, &signatures)
}

#[tokio::test]
async fn every_call_has_its_route() {
    let served = Served::new().await;
    let wallet = connect(&served);
    assert!(wallet.info().await.expect("info").pubkey.is_some());
    assert_eq!(wallet.keysets().await.expect("keysets").keysets.len(), 1);
    let keys = wallet.keys().await.expect("keys");
    assert_eq!(wallet.keys_of(&served.keyset()).await.expect("keys"), keys);

    let coins = fund(&served, &wallet, &[8, 32]).await;
    let outputs = served.outputs(&[8, 32]);
    let inputs: BoundedVec<_, { hazel_protocol::MAX_INPUTS }> = coins.clone().try_into().expect("few");
    let swap = SwapRequest { inputs, outputs: messages(&outputs) };
    let signatures = wallet.swap(&swap).await.expect("unspent").signatures;
    assert_eq!(wallet.swap(&swap).await.expect("a replay").signatures, signatures);
    let restored = wallet.restore(&RestoreRequest { outputs: messages(&outputs) }).await.expect("signed");
    assert_eq!(restored.signatures, signatures);
    let fresh = served.proofs(&outputs, &signatures);

    let quote = MeltQuoteBolt11Request { request: "inv:210:38000".into(), unit: CurrencyUnit::Sat, options: None };
    let quote = wallet.melt_quote_bolt11(&quote).await.expect("a quote").quote;
    let inputs = fresh.clone().try_into().expect("few");
    let melt = MeltRequest { quote: quote.clone(), inputs, outputs: None, prefer_async: false };
    assert_eq!(wallet.melt(&melt).await.expect("paid").state, MeltQuoteState::Paid);
    assert_eq!(wallet.melt_quote_status(&quote).await.expect("known").state, MeltQuoteState::Paid);
    let ys: Vec<PointBytes> = fresh.iter().map(|proof| PointBytes::from(&proof.y())).collect();
    let check = CheckStateRequest { ys: ys.try_into().expect("few") };
    let states = wallet.check_state(&check).await.expect("states").states;
    assert!(states.iter().all(|entry| entry.state == ProofState::Spent));
}

#[tokio::test]
async fn a_refusal_keeps_its_code_and_an_outage_is_no_refusal() {
    let served = Served::new().await;
    let wallet = connect(&served);
    let quote: QuoteId = "nothing".parse().expect("an id");
    match wallet.mint_quote_status(&quote).await {
        Err(ConnectorError::Refused(error)) => assert_eq!(error.code, 20_000),
        other => panic!("{other:?}"),
    }
    served.node.down.store(true, Ordering::SeqCst);
    let amount = Amount::from_u64(8);
    let ask = MintQuoteBolt11Request { amount, unit: CurrencyUnit::Sat, description: None, pubkey: None };
    assert!(matches!(wallet.mint_quote_bolt11(&ask).await, Err(ConnectorError::Ambiguous(_))));
}
