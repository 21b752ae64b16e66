//! BOLT11 in and out.

use bitcoin::hashes::{Hash, sha256};
use hazel_mint::ports::{PaymentsError, Portion, Refusal};
use lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescriptionRef, Currency};

use super::super::invoice::parse;
use super::*;

/// BOLT11's first example, from before the payment secret was mandatory: any amount, 2017, mainnet.
const DONATION: &str = "lnbc1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq8rkx3yf5tcsyz3d73gafnh3cax9rn449d9p5uxz9ezhhypd0elx87sjle52x86fux2ypatgddc6k63n7erqz25le42c4u4ecky03ylcqca784w";

/// BOLT11's testnet example with a description hash: 20 mBTC.
const TESTNET: &str = "lntb20m1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygshp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqfpp3x9et2e20v6pu37c5d9vax37wxq72un989qrsgqdj545axuxtnfemtpwkc45hx9d2ft7x04mt8q7y6t0k2dge9e7h8kpy9p34ytyslj3yu569aalz2xdk8xkd7ltxqld94u8h2esmsmacgpghe9k8";

/// BOLT11's examples of what must be refused.
const UNKNOWN_FEATURE: &str = "lnbc25m1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5vdhkven9v5sxyetpdeessp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9q4psqqqqqqqqqqqqqqqqsgqtqyx5vggfcsll4wu246hz02kp85x4katwsk9639we5n5yngc3yhqkm35jnjw4len8vrnqnf5ejh0mzj9n3vz2px97evektfm2l6wqccp3y7372";
const IMPRECISE: &str = "lnbc2500000001p1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpusp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9qrsgq0lzc236j96a95uv0m3umg28gclm5lqxtqqwk32uuk4k6673k6n5kfvx3d2h8s295fad45fdhmusm8sjudfhlf6dcsxmfvkeywmjdkxcp99202x";

#[tokio::test]
async fn makes_invoices_that_a_strict_reader_accepts() {
    let bench = Bench::instant();
    let made = bench.invoice(10_500).await;
    let read: Bolt11Invoice = made.request.parse().unwrap();
    assert_eq!(read.amount_milli_satoshis(), Some(10_500));
    assert_eq!(read.payment_hash().to_byte_array(), made.payment_hash);
    assert_eq!(read.currency(), Currency::Regtest);
    assert_eq!(read.expires_at().unwrap().as_secs(), made.expires_at.to_unix());
    assert_eq!(made.expires_at.to_unix(), START_MS / 1_000 + 3_600);
    assert!(matches!(read.description(), Bolt11InvoiceDescriptionRef::Direct(text) if text.as_inner().0 == "a test"));
}

#[tokio::test]
async fn every_process_on_a_ledger_is_the_same_payee() {
    let bench = Bench::instant();
    let config = FakeConfig { network: Network::Bitcoin, ..FakeConfig::instant() };
    let other = FakeNode::open(&bench.path, config, bench.world.clone()).unwrap();
    let ours: Bolt11Invoice = bench.invoice(1).await.request.parse().unwrap();
    let theirs = other.create_invoice(new_invoice(1)).await.unwrap();
    assert!(theirs.request.starts_with("lnbc"));
    let theirs: Bolt11Invoice = theirs.request.parse().unwrap();
    assert_eq!(ours.recover_payee_pub_key(), theirs.recover_payee_pub_key());
    assert_ne!(ours.payment_hash(), theirs.payment_hash());
}

#[tokio::test]
async fn a_long_description_goes_in_as_its_hash() {
    let bench = Bench::instant();
    let long = "é".repeat(320);
    let new = NewInvoice { description: Some(long.clone()), ..new_invoice(1_000) };
    let read: Bolt11Invoice = bench.node.create_invoice(new).await.unwrap().request.parse().unwrap();
    let expected = sha256::Hash::hash(long.as_bytes());
    assert!(matches!(read.description(), Bolt11InvoiceDescriptionRef::Hash(hash) if hash.0 == expected));
}

#[tokio::test]
async fn an_amount_that_cannot_be_is_refused() {
    let bench = Bench::instant();
    for amount in [0, MAX_MSAT + 1, u64::MAX] {
        let refused = bench.node.create_invoice(new_invoice(amount)).await;
        assert!(matches!(refused, Err(PaymentsError::Refused(..))), "{amount}: {refused:?}");
    }
    assert!(bench.ledger.invoices().unwrap().is_empty());
    bench.node.create_invoice(new_invoice(MAX_MSAT)).await.unwrap();
}

#[test]
fn reads_invoices_of_any_age_and_network() {
    let donation = parse(DONATION).unwrap();
    assert_eq!(donation.amount_msat, None);
    assert_eq!(donation.expires_at, 1_496_314_658 + 3_600);
    assert_eq!(donation.description.as_deref(), Some("Please consider supporting this project"));
    let testnet = parse(TESTNET).unwrap();
    assert_eq!((testnet.amount_msat, testnet.description), (Some(2_000_000_000), None));
    assert_eq!(parse(&TESTNET.to_uppercase()).unwrap().payment_hash, donation.payment_hash);
}

#[test]
fn refuses_what_is_no_invoice() {
    let good = InvoiceSpec::foreign([1; 32], Some(5), "", 1).build().unwrap();
    let flipped = good.replace("lnbcrt", "lnbc");
    let huge = "9".repeat(100_000);
    for bad in ["", "lnbc", "hello", &good[1..], &good[..good.len() - 1], &flipped, UNKNOWN_FEATURE, IMPRECISE, &huge] {
        let refused = parse(bad);
        assert!(matches!(&refused, Err(FakeError::Refused(_, why)) if why.starts_with("not a valid BOLT11")), "{bad}");
    }
    parse(&good).unwrap();
}

#[tokio::test]
async fn a_route_names_the_amount_and_a_reserve() {
    let bench = Bench::new(FakeConfig::default());
    let request = foreign(1_234_567, "");
    let route = bench.node.route(&request, Portion::Whole).await.unwrap();
    assert_eq!((route.amount_msat, route.fee_reserve_msat), (1_234_567, 12_346));
    assert_eq!(route.payment_hash, parse(&request).unwrap().payment_hash);
    assert_eq!(route.expires_at.to_unix(), START_MS / 1_000 + 3_600);
    assert_eq!(bench.node.route(&foreign(1, ""), Portion::Chosen(1)).await.unwrap().fee_reserve_msat, 1_000);
}

#[tokio::test]
async fn a_route_needs_the_right_amount() {
    let bench = Bench::instant();
    let (fixed, open) = (foreign(5_000, ""), DONATION);
    let cases = [
        (fixed.as_str(), Portion::Part(5_001), Refusal::AmountDiffers),
        (&fixed, Portion::Part(0), Refusal::AmountImpossible),
        (&fixed, Portion::Chosen(4_999), Refusal::AmountDiffers),
        (&fixed, Portion::Chosen(5_001), Refusal::AmountDiffers),
        (open, Portion::Whole, Refusal::AmountMissing),
        (open, Portion::Part(7), Refusal::AmountMissing),
        (open, Portion::Chosen(0), Refusal::AmountImpossible),
        ("lnbc", Portion::Whole, Refusal::NotAnInvoice),
    ];
    for (request, portion, why) in cases {
        let refused = bench.node.route(request, portion).await;
        assert!(matches!(refused, Err(PaymentsError::Refused(said, _)) if said == why), "{portion:?}: {refused:?}");
    }
    for (request, portion, msat) in [
        (open, Portion::Chosen(7), 7),
        (&fixed, Portion::Chosen(5_000), 5_000),
        (&fixed, Portion::Part(4_999), 4_999),
        (&fixed, Portion::Part(5_000), 5_000),
    ] {
        assert_eq!(bench.node.route(request, portion).await.unwrap().amount_msat, msat, "{portion:?}");
    }
}

#[tokio::test]
async fn a_node_that_cannot_says_so_and_does_not() {
    let bench = Bench::new(FakeConfig { amountless: false, mpp: false, ..FakeConfig::instant() });
    let capabilities = bench.node.capabilities();
    assert!(!capabilities.amountless && !capabilities.mpp && capabilities.vouches && capabilities.idempotent_by_id);
    assert!(bench.node.route(DONATION, Portion::Chosen(7)).await.is_err());
    assert!(bench.node.route(&foreign(5_000, ""), Portion::Part(4_999)).await.is_err());
}

#[test]
fn nothing_secret_is_printed() {
    let spec = InvoiceSpec::foreign([0xab; 32], None, "d", 1);
    assert!(!format!("{spec:?}").contains("171"));
}
