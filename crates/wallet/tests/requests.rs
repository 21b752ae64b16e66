//! Payment requests between wallets: asked for, paid, delivered, received, and everything that can go wrong on the way.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hazel_protocol::{PaymentPayload, PaymentRequest, RequestParts, RequestedLock, Transport, TransportTarget};
use hazel_wallet::errand::{DeliveryState, Errand};
use hazel_wallet::ports::{Courier, RemoteError, Store};
use hazel_wallet::{Error, LockTerms, Payment, PaymentTerms, RequestTerms, StoredRequest, Wallets};
use support::{Bank, Fault, KeysetKind, Link, Peer, run_until_crash, sat};

/// What becomes of one delivery.
enum Way {
    NotSent,
    /// Arrives; the answer does not.
    LoseAnswer,
    Refuse,
}

/// Brings payments straight to a receiver, which may be none.
struct Messenger {
    to: Option<Wallets>,
    ways: Mutex<VecDeque<Way>>,
    carried: Mutex<Vec<PaymentPayload>>,
}

impl Messenger {
    fn to(wallets: &Wallets) -> Self {
        Self { to: Some(wallets.clone()), ways: Mutex::default(), carried: Mutex::default() }
    }

    fn nowhere() -> Self {
        Self { to: None, ways: Mutex::default(), carried: Mutex::default() }
    }

    fn then(self, ways: impl IntoIterator<Item = Way>) -> Self {
        self.ways.lock().unwrap().extend(ways);
        self
    }

    fn trips(&self) -> usize {
        self.carried.lock().unwrap().len()
    }
}

#[async_trait]
impl Courier for Messenger {
    fn reaches(&self, transport: &Transport) -> bool {
        matches!(transport.target, TransportTarget::Post(_))
    }

    async fn deliver(&self, _: &Transport, payload: &PaymentPayload) -> Result<(), RemoteError> {
        let way = self.ways.lock().unwrap().pop_front();
        if let Some(Way::NotSent) = way {
            return Err(RemoteError::NotSent("no route".to_owned()));
        }
        self.carried.lock().unwrap().push(payload.clone());
        // As it is on the wire.
        let json = serde_json::to_string(payload).unwrap();
        let payload: PaymentPayload = serde_json::from_str(&json).unwrap();
        let answer = match (&way, &self.to) {
            (Some(Way::Refuse), _) | (_, None) => return Err(RemoteError::Refused("400".to_owned())),
            (_, Some(to)) => to.receive_payment(&payload).await,
        };
        match (way, answer) {
            (Some(Way::LoseAnswer), _) => Err(RemoteError::Ambiguous("cut".to_owned())),
            (_, Ok(_)) => Ok(()),
            (_, Err(error)) => Err(RemoteError::Refused(error.to_string())),
        }
    }
}

fn bank(fee_ppk: u64) -> Arc<Bank> {
    Arc::new(Bank::new(KeysetKind::V2, fee_ppk))
}

fn post() -> Vec<Transport> {
    vec![Transport::post("https://shop.example/paid".parse().unwrap())]
}

fn terms(amount: u64) -> RequestTerms {
    RequestTerms { amount: Some(sat(amount)), single_use: true, transports: post(), ..RequestTerms::default() }
}

/// As the payer reads it.
fn read(stored: &StoredRequest) -> PaymentRequest {
    stored.request.to_bech32_text().unwrap().parse().unwrap()
}

async fn pay(payer: &Wallets, request: &PaymentRequest, courier: &dyn Courier) -> Result<Payment, Error> {
    payer.prepare_payment(request, &PaymentTerms::default(), courier).await?.confirm(courier).await
}

#[tokio::test]
async fn a_request_is_paid_once_and_what_is_asked_for_arrives() {
    for fee in [0, 100, 1000] {
        let bank = bank(fee);
        let (alice, bob) = (Peer::with(&bank, 1, 200).await, Peer::new(&bank, 2).await);
        let (payer, shop) = (alice.wallets(&[]), bob.wallets(&[]));
        let asked = shop.create_request(terms(21)).await.unwrap();
        assert_eq!(shop.open_requests().await, Ok(vec![asked.clone()]));
        let messenger = Messenger::to(&shop);
        let prepared = payer.prepare_payment(&read(&asked), &PaymentTerms::default(), &messenger).await.unwrap();
        let (total, shown) = (prepared.total().to_u64(), prepared.fee().to_u64());
        assert_eq!((prepared.amount(), total), (sat(21), 21 + shown));
        let paid = prepared.confirm(&messenger).await.unwrap();
        assert!(matches!(paid, Payment::Delivered { .. }), "{paid:?}");
        let stands = shop.request(asked.id).await.unwrap();
        assert!(stands.received >= sat(21) && stands.payments == 1 && stands.closed, "{stands:?}");
        assert_eq!(bob.available().await, stands.received.to_u64());
        assert_eq!(alice.available().await, 200 - total);
        assert_eq!(payer.open_deliveries().await, Ok(Vec::new()));

        // A second payment is refused, and the payer has it back.
        let Payment::Undelivered { errand, reason, .. } = pay(&payer, &read(&asked), &messenger).await.unwrap() else {
            panic!("taken twice")
        };
        assert!(reason.to_string().contains("is paid"), "{reason}");
        let returned = payer.prepare_take_back(errand).await.unwrap().confirm().await.unwrap();
        assert_eq!(payer.open_deliveries().await, Ok(Vec::new()), "it is not delivered any more");
        assert!(returned.amount >= sat(20));
        assert_eq!(bob.available().await, stands.received.to_u64());
        assert_eq!(alice.wallet.check_sent().await, Ok(sat(0)));
        alice.assert_sound("alice").await;
        bob.assert_sound("bob").await;
    }
}

#[tokio::test]
async fn a_request_for_many_payments_counts_them() {
    let bank = bank(0);
    let (alice, bob) = (Peer::with(&bank, 1, 64).await, Peer::new(&bank, 2).await);
    let (payer, shop) = (alice.wallets(&[]), bob.wallets(&[]));
    let open = RequestTerms { transports: post(), description: Some("tips".to_owned()), ..RequestTerms::default() };
    let asked = shop.create_request(open).await.unwrap();
    let messenger = Messenger::to(&shop);
    for amount in [1, 2, 3] {
        let terms =
            PaymentTerms { amount: Some(sat(amount)), memo: Some("thanks".to_owned()), ..PaymentTerms::default() };
        let prepared = payer.prepare_payment(&read(&asked), &terms, &messenger).await.unwrap();
        assert!(matches!(prepared.confirm(&messenger).await, Ok(Payment::Delivered { .. })));
    }
    assert_eq!(messenger.carried.lock().unwrap()[0].memo.as_deref(), Some("thanks"));
    let stands = shop.request(asked.id).await.unwrap();
    assert_eq!((stands.received, stands.payments, stands.closed), (sat(6), 3, false));
    assert!(shop.close_request(asked.id).await.unwrap().closed);
    let terms = PaymentTerms { amount: Some(sat(1)), ..PaymentTerms::default() };
    let late = payer.prepare_payment(&read(&asked), &terms, &messenger).await.unwrap().confirm(&messenger).await;
    assert!(matches!(late, Ok(Payment::Undelivered { .. })), "{late:?}");
    let none = payer.prepare_payment(&read(&asked), &PaymentTerms::default(), &messenger).await.unwrap_err();
    assert!(none.to_string().contains("how much"), "{none}");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_nothing_of_it_taken() {
    let bank = bank(0);
    let (alice, bob) = (Peer::with(&bank, 1, 200).await, Peer::new(&bank, 2).await);
    let shop = bob.wallets(&[]);
    let asked = shop.create_request(terms(21)).await.unwrap();
    let by_hand = |amount: u64| {
        let parts =
            RequestParts { amount: Some(sat(amount)), transports: Vec::new(), ..asked.request.clone().into_parts() };
        PaymentRequest::new(parts).unwrap()
    };
    let payer = alice.wallets(&[]);
    let Payment::ByHand { payload, .. } = pay(&payer, &by_hand(21), &Messenger::nowhere()).await.unwrap() else {
        panic!("delivered")
    };
    let Payment::ByHand { payload: little, .. } = pay(&payer, &by_hand(20), &Messenger::nowhere()).await.unwrap()
    else {
        panic!("delivered")
    };
    let good = *payload;
    let mut short = good.proofs.to_vec();
    short.pop();
    let twice = [good.proofs.to_vec(), good.proofs.to_vec()].concat();
    let with =
        |proofs: Vec<hazel_protocol::TokenProof>| PaymentPayload { proofs: proofs.try_into().unwrap(), ..good.clone() };
    for (payload, why) in [
        (PaymentPayload { id: None, ..good.clone() }, "no id"),
        (PaymentPayload { id: Some("tea".to_owned()), ..good.clone() }, "an id that is none"),
        (PaymentPayload { id: Some("00".repeat(16)), ..good.clone() }, "another id"),
        (PaymentPayload { unit: hazel_protocol::CurrencyUnit::Usd, ..good.clone() }, "another unit"),
        (PaymentPayload { mint: "https://other.example".parse().unwrap(), ..good.clone() }, "another mint"),
        (*little, "too little"),
        (with(short), "a proof fewer"),
        (with(twice), "proofs twice"),
        (with(Vec::new()), "nothing"),
    ] {
        let refused = shop.receive_payment(&payload).await;
        assert!(refused.is_err(), "{why}: {refused:?}");
        assert_eq!((bob.total().await, shop.request(asked.id).await.unwrap().payments), (0, 0), "{why}");
    }
    let done = shop.receive_payment(&good).await.unwrap();
    assert_eq!((done.amount, done.request.closed), (sat(21), true));
    assert!(shop.receive_payment(&good).await.is_err(), "the same again");
    assert_eq!(bob.available().await, 21);
}

#[tokio::test]
async fn a_payment_is_locked_as_the_receiver_asks() {
    let bank = bank(0);
    let (alice, bob) = (Peer::with(&bank, 1, 200).await, Peer::new(&bank, 2).await);
    let (payer, shop) = (alice.wallets(&[]), bob.wallets(&[]));
    let lock = LockTerms { locktime: Some(9_000_000), ..LockTerms::to_key(bob.wallet.lock_key(3).unwrap()) };
    let asked = shop.create_request(RequestTerms { lock: Some(lock), ..terms(21) }).await.unwrap();
    let messenger = Messenger::to(&shop);

    // Somebody who ignores the lock, or makes another one, is refused.
    let parts = asked.request.clone().into_parts();
    let other: RequestedLock = {
        let key = alice.wallet.lock_key(0).unwrap().to_string();
        RequestedLock { data: key, ..parts.lock.clone().unwrap() }
    };
    for lock in [None, Some(other)] {
        let request = PaymentRequest::new(RequestParts { lock, ..parts.clone() }).unwrap();
        let refused = pay(&payer, &request, &messenger).await.unwrap();
        assert!(matches!(refused, Payment::Undelivered { .. }), "{refused:?}");
    }
    assert_eq!(bob.total().await, 0);
    assert!(matches!(pay(&payer, &read(&asked), &messenger).await, Ok(Payment::Delivered { .. })));
    assert_eq!(bob.available().await, 21);
}

#[tokio::test]
async fn a_payment_is_delivered_in_the_end_and_once() {
    let bank = bank(0);
    let (alice, bob) = (Peer::with(&bank, 1, 200).await, Peer::new(&bank, 2).await);
    let (payer, shop) = (alice.wallets(&[]), bob.wallets(&[]));
    let asked = shop.create_request(terms(21)).await.unwrap();
    let messenger = Messenger::to(&shop).then([Way::NotSent, Way::NotSent, Way::Refuse, Way::LoseAnswer]);
    assert!(matches!(pay(&payer, &read(&asked), &messenger).await, Ok(Payment::Undelivered { .. })));
    for still in [true, true, true, false] {
        let all = payer.deliver_open(&messenger).await.unwrap();
        assert_eq!(matches!(all[..], [Payment::Undelivered { .. }]), still, "{all:?}");
    }
    assert_eq!(payer.deliver_open(&messenger).await, Ok(Vec::new()));
    // Refused once, arrived once; that it was claimed is learnt from the mint.
    assert_eq!((messenger.trips(), bob.available().await), (2, 21));
}

#[tokio::test]
async fn what_cannot_be_paid_is_said_before_anything_is_held() {
    let bank = bank(0);
    let (alice, bob) = (Peer::with(&bank, 1, 20).await, Peer::new(&bank, 2).await);
    let (payer, shop) = (alice.wallets(&[]), bob.wallets(&[]));
    let asked = shop.create_request(terms(21)).await.unwrap().request.into_parts();
    let other = Transport {
        target: TransportTarget::Other { kind: "pigeon".to_owned(), target: "roof".to_owned() },
        tags: Vec::new(),
    };
    let cases = [
        (RequestParts { mints: vec!["https://other.example".parse().unwrap()], ..asked.clone() }, "none of the mints"),
        (RequestParts { unit: Some(hazel_protocol::CurrencyUnit::Usd), ..asked.clone() }, "none of the mints"),
        (RequestParts { transports: vec![other], ..asked.clone() }, "none of the ways"),
        (RequestParts { amount: None, ..asked.clone() }, "how much"),
        (asked, "not enough money"),
    ];
    for (parts, why) in cases {
        let request = PaymentRequest::new(parts).unwrap();
        let error = pay(&payer, &request, &Messenger::nowhere()).await.unwrap_err();
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert_eq!(alice.available().await, 20, "{why}");
    }
    let unknown = RequestTerms { mints: vec!["https://other.example".parse().unwrap()], ..terms(1) };
    assert!(matches!(shop.create_request(unknown).await, Err(Error::MintUnknown(_))));
    assert_eq!(shop.create_request(terms(0)).await, Err(Error::ZeroAmount));
}

#[tokio::test]
async fn the_mint_is_chosen_that_the_request_takes() {
    let (first, second) = (bank(0), bank(0));
    let alice = Peer::with(&first, 1, 100).await;
    let line = Arc::new(Link::new(Arc::clone(&second), Arc::clone(&alice.crash)));
    let payer = alice.wallets(&[("https://second.example", &line)]);
    let mint = "https://second.example".parse().unwrap();
    let other = payer.wallet(&mint, &hazel_protocol::CurrencyUnit::Sat).unwrap();
    other.add_mint().await.unwrap();
    let mut pending = other.prepare_mint(sat(30), None).await.unwrap();
    pending.wait_paid(&mut |_| {}).await.unwrap();
    pending.confirm().await.unwrap();
    let nowhere = Messenger::nowhere();
    for (amount, mints, expected) in [
        (21, vec![mint.clone()], Ok("https://second.example")),
        (21, vec![support::world::url()], Ok("https://mint.example")),
        (31, vec![mint.clone()], Err("not enough money")),
        (31, Vec::new(), Ok("https://mint.example")),
        (1, vec![mint.clone(), support::world::url()], Ok("https://mint.example")),
    ] {
        let unit = Some(hazel_protocol::CurrencyUnit::Sat);
        let request =
            PaymentRequest::new(RequestParts { amount: Some(sat(amount)), unit, mints, ..RequestParts::default() });
        match (payer.prepare_payment(&request.unwrap(), &PaymentTerms::default(), &nowhere).await, expected) {
            (Ok(prepared), Ok(url)) => {
                assert_eq!(prepared.mint_url().as_str(), url);
                prepared.cancel().await.unwrap();
            }
            (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{error}"),
            (other, _) => panic!("{amount}: {other:?}"),
        }
    }
}

/// The payer is cut off at each step in turn, starts again, and goes on by itself.
#[tokio::test]
async fn a_payer_that_is_cut_off_loses_nothing() {
    let mut steps = 0;
    loop {
        let bank = bank(0);
        let (alice, bob) = (Peer::with(&bank, 1, 64).await, Peer::new(&bank, 2).await);
        let shop = bob.wallets(&[]);
        let asked = shop.create_request(terms(21)).await.unwrap();
        let messenger = Messenger::to(&shop);
        let payer = alice.wallets(&[]);
        alice.crash.after(steps);
        let done = run_until_crash(&alice.crash, Box::pin(pay(&payer, &read(&asked), &messenger))).await.is_some();
        alice.crash.never();
        let payer = alice.wallets(&[]);
        payer.resume().await.unwrap();
        payer.deliver_open(&messenger).await.unwrap();
        payer.settle_errands().await.unwrap();
        assert_eq!(payer.open_deliveries().await, Ok(Vec::new()), "step {steps}");
        let got = bob.available().await;
        assert!(got == 0 || got == 21, "step {steps}: {got}");
        assert_eq!(alice.available().await + got, 64, "step {steps}");
        assert_eq!(alice.wallet.check_sent().await, Ok(sat(0)), "step {steps}");
        alice.assert_sound(&format!("step {steps}")).await;
        if done {
            break;
        }
        steps += 1;
    }
    assert!(steps > 10, "{steps}");
}

/// The receiver is cut off at each step in turn, starts again, and is given the same payment again.
#[tokio::test]
async fn a_receiver_that_is_cut_off_counts_each_payment_once() {
    let mut steps = 0;
    loop {
        let bank = bank(0);
        let (alice, bob) = (Peer::with(&bank, 1, 64).await, Peer::new(&bank, 2).await);
        let shop = bob.wallets(&[]);
        let asked = shop.create_request(terms(21)).await.unwrap();
        let carried = Messenger::nowhere();
        pay(&alice.wallets(&[]), &read(&asked), &carried).await.unwrap();
        let payload = carried.carried.lock().unwrap()[0].clone();
        bob.crash.after(steps);
        let done = run_until_crash(&bob.crash, Box::pin(shop.receive_payment(&payload))).await.is_some();
        bob.crash.never();
        let shop = bob.wallets(&[]);
        shop.resume().await.unwrap();
        // Taken before the crash, or now.
        let again = shop.receive_payment(&payload).await;
        let stands = shop.request(asked.id).await.unwrap();
        assert_eq!((stands.payments, stands.received, stands.closed), (1, sat(21), true), "step {steps}: {again:?}");
        assert_eq!(bob.available().await, 21, "step {steps}");
        bob.assert_sound(&format!("step {steps}")).await;
        if done {
            break;
        }
        steps += 1;
    }
    assert!(steps > 6, "{steps}");
}

#[tokio::test]
async fn two_payments_of_one_request_at_once_are_not_both_taken() {
    let bank = bank(0);
    let (alice, bob) = (Peer::with(&bank, 1, 64).await, Peer::new(&bank, 2).await);
    let shop = bob.wallets(&[]);
    let asked = shop.create_request(terms(5)).await.unwrap();
    let (first, second) = (Messenger::nowhere(), Messenger::nowhere());
    let payer = alice.wallets(&[]);
    pay(&payer, &read(&asked), &first).await.unwrap();
    pay(&payer, &read(&asked), &second).await.unwrap();
    let payloads: Vec<_> = [first, second].iter().map(|one| one.carried.lock().unwrap()[0].clone()).collect();
    let answers =
        futures_util::future::join(shop.receive_payment(&payloads[0]), shop.receive_payment(&payloads[1])).await;
    assert_eq!([answers.0.is_ok(), answers.1.is_ok()].iter().filter(|ok| **ok).count(), 1, "{answers:?}");
    assert_eq!(bob.available().await, 5);
}

/// The swap of a received payment is in doubt: it stays with its request until that is decided.
#[tokio::test]
async fn a_payment_in_doubt_blocks_its_request_until_it_is_decided() {
    let bank = bank(0);
    let (alice, bob) = (Peer::with(&bank, 1, 64).await, Peer::new(&bank, 2).await);
    let shop = bob.wallets(&[]);
    let asked = shop.create_request(terms(5)).await.unwrap();
    let (first, second) = (Messenger::nowhere(), Messenger::nowhere());
    let payer = alice.wallets(&[]);
    pay(&payer, &read(&asked), &first).await.unwrap();
    pay(&payer, &read(&asked), &second).await.unwrap();
    let payload = |of: &Messenger| of.carried.lock().unwrap()[0].clone();
    bob.link.fail("swap", (0..3).map(|_| Fault::LoseAnswer));
    let doubt = shop.receive_payment(&payload(&first)).await;
    assert!(matches!(doubt, Err(Error::Ambiguous { .. })), "{doubt:?}");
    let other = shop.receive_payment(&payload(&second)).await;
    assert!(matches!(other, Err(Error::PaymentRefused(_))), "{other:?}");
    shop.resume().await.unwrap();
    assert_eq!(shop.request(asked.id).await.unwrap().received, sat(5));
    assert_eq!(bob.available().await, 5);
}

#[tokio::test]
async fn a_payment_that_was_taken_back_is_delivered_no_more() {
    let bank = bank(0);
    let (alice, bob) = (Peer::with(&bank, 1, 64).await, Peer::new(&bank, 2).await);
    let (payer, shop) = (alice.wallets(&[]), bob.wallets(&[]));
    let asked = shop.create_request(terms(21)).await.unwrap();
    let messenger = Messenger::to(&shop).then([Way::NotSent]);
    let Payment::Undelivered { errand, .. } = pay(&payer, &read(&asked), &messenger).await.unwrap() else {
        panic!("delivered")
    };
    payer.prepare_take_back(errand).await.unwrap().confirm().await.unwrap();
    assert_eq!(payer.deliver_open(&messenger).await, Ok(Vec::new()));
    let record = alice.disk.errand(errand).await.unwrap().unwrap();
    assert!(matches!(record.errand, Errand::Delivery(delivery) if delivery.state == DeliveryState::TakenBack));
    assert_eq!((alice.available().await, bob.total().await, messenger.trips()), (64, 0, 0));
}
