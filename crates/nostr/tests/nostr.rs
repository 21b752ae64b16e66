//! Payments and backups through real sockets and a small relay, honest or not.
#![allow(clippy::panic, missing_docs, reason = "tests")]

mod relay;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hazel_nostr::backup::MintBackup;
use hazel_nostr::courier::{NostrCourier, PaymentBox};
use hazel_nostr::event::{Draft, Event, KIND_GIFT_WRAP, KIND_SEAL};
use hazel_nostr::gift::{self, GiftError};
use hazel_nostr::identity::Identity;
use hazel_nostr::nip44::{ConversationKey, Nip44Error};
use hazel_nostr::relay::{RelayConfig, Relays};
use hazel_protocol::{Curve, MintUrl, NostrProfile, PaymentPayload, SecretKey, Transport, from_json};
use hazel_wallet::Seed;
use hazel_wallet::ports::{Courier, Environment, RemoteError, Timestamp};
use relay::{Manner, Relay};
use serde_json::json;

const NOW: u64 = 1_700_000_000;

/// A clock that is set, and randomness that counts.
struct World {
    now: AtomicU64,
    drawn: AtomicU64,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self { now: AtomicU64::new(NOW), drawn: AtomicU64::new(1) })
    }
}

impl Environment for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.now.load(Ordering::SeqCst))
    }
    fn fill_random(&self, bytes: &mut [u8]) {
        let number = self.drawn.fetch_add(1, Ordering::SeqCst).to_le_bytes();
        bytes.iter_mut().zip(number.iter().cycle()).for_each(|(place, byte)| *place = *byte);
    }
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(delay))
    }
}

fn curve() -> Arc<Curve> {
    Arc::new(Curve::new(&[7; 32]))
}

fn identity(byte: u8) -> Identity {
    Identity::new(curve(), SecretKey::from_bytes(&[byte; 32]).expect("a key"))
}

/// Ways without encryption, for the loopback, and with short patience for those that never answer.
fn relays() -> Relays {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls = tls.expect("versions").with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let config = RelayConfig { allow_plain: true, answer_timeout: Duration::from_secs(8), ..RelayConfig::default() };
    Relays::new(Arc::new(tls), config)
}

fn courier() -> NostrCourier {
    NostrCourier::new(relays(), curve(), World::new())
}

fn payload(proofs: usize) -> PaymentPayload {
    let proof = |number: usize| {
        json!({
            "amount": 1, "id": "009a1f293253e41e", "secret": format!("secret \u{1f95c} {number}"),
            "C": "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        })
    };
    let proofs: Vec<_> = (0..proofs).map(proof).collect();
    let text = json!({ "id": "b7a90176", "mint": "https://mint.example", "unit": "sat", "proofs": proofs });
    from_json(text.to_string().as_bytes()).expect("a payload")
}

async fn start<const N: usize>(manners: [Manner; N]) -> (Vec<Relay>, Vec<String>) {
    let mut all = Vec::new();
    for manner in manners {
        all.push(Relay::start(manner).await);
    }
    let urls = all.iter().map(|relay| relay.url.clone()).collect();
    (all, urls)
}

fn to(byte: u8, urls: &[String]) -> Transport {
    Transport::nostr(NostrProfile::new(*identity(byte).user().as_bytes(), urls.to_vec()).expect("few relays"))
}

/// Long enough for a loaded machine, for what is there.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough to be sure of what is not there.
const SHORT: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_payment_waits_for_its_receiver_and_is_shown_once() {
    let (kept, urls) = start([Manner::Honest, Manner::Honest]).await;
    let mut inbox = PaymentBox::new(relays(), identity(1), urls.clone()).expect("few relays");
    let transport = inbox.transport();
    assert!(courier().reaches(&transport));
    courier().deliver(&transport, &payload(3)).await.expect("kept");
    // Relays see neither sender nor content nor time.
    for relay in &kept {
        let events = relay.events();
        assert_eq!((events.len(), events[0]["kind"].as_u64()), (1, Some(u64::from(KIND_GIFT_WRAP))));
        assert!(!events[0].to_string().contains("secret"));
        assert!(events[0]["created_at"].as_u64().is_some_and(|at| at <= NOW && at > NOW - gift::MAX_BACKDATING_SECS));
    }
    assert_eq!(inbox.next(PATIENCE).await, Ok(Some(payload(3))));
    assert_eq!(inbox.next(SHORT).await, Ok(None), "two relays have it, and it is one payment");
    let mut other = PaymentBox::new(relays(), identity(2), urls).expect("few relays");
    assert_eq!(other.next(SHORT).await, Ok(None));
}

#[tokio::test]
async fn a_payment_that_comes_later_is_heard_of() {
    let (_kept, urls) = start([Manner::Silent, Manner::Honest]).await;
    let mut inbox = PaymentBox::new(relays(), identity(1), urls).expect("few relays");
    let transport = inbox.transport();
    let (received, delivered) = tokio::join!(inbox.next(PATIENCE), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        courier().deliver(&transport, &payload(1)).await
    });
    assert_eq!((received, delivered), (Ok(Some(payload(1))), Ok(())));
}

#[tokio::test]
async fn one_relay_that_keeps_a_payment_is_enough_and_without_one_the_answer_is_what_it_can_be() {
    let (_kept, mut urls) = start([Manner::Refuses, Manner::HangsUp, Manner::Honest]).await;
    let closed = "ws://127.0.0.1:1".to_owned();
    urls.push(closed.clone());
    let deliver = async |urls: &[String]| courier().deliver(&to(1, urls), &payload(1)).await;
    assert_eq!(deliver(&urls).await, Ok(()));
    let refused = deliver(&urls[..1]).await;
    let Err(RemoteError::Refused(reason)) = &refused else { panic!("{refused:?}") };
    assert!(reason.starts_with("blocked: ") && !reason.contains('\u{1b}'), "{reason:?}");
    assert!(matches!(deliver(&[closed.clone(), urls[0].clone()]).await, Err(RemoteError::Refused(_))));
    assert!(matches!(deliver(&urls[..2]).await, Err(RemoteError::Ambiguous(_))), "it may have kept it");
    assert!(matches!(deliver(&[closed]).await, Err(RemoteError::NotSent(_))));
    for bad in ["https://relay.example", "ws://user@127.0.0.1:1", "relay", "wss://"] {
        assert!(matches!(deliver(&[bad.to_owned()]).await, Err(RemoteError::NotSent(_))), "{bad}");
    }
    assert!(!courier().reaches(&to(1, &[])), "nowhere to send it");
    let nip04 = Transport { tags: vec![vec!["n".to_owned(), "4".to_owned()]], ..to(1, &urls) };
    assert!(!courier().reaches(&nip04));
}

#[tokio::test]
async fn plain_sockets_are_for_those_who_allow_them() {
    let (_kept, urls) = start([Manner::Honest]).await;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let tls = tls.expect("versions").with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let strict = Relays::new(Arc::new(tls), RelayConfig::default());
    let courier = NostrCourier::new(strict, curve(), World::new());
    assert!(matches!(courier.deliver(&to(1, &urls), &payload(1)).await, Err(RemoteError::NotSent(_))));
}

#[tokio::test]
async fn a_relay_that_lies_or_floods_costs_little_and_changes_nothing() {
    for manner in [Manner::Forges, Manner::Careless, Manner::Floods, Manner::Silent, Manner::HangsUp, Manner::Refuses] {
        let (kept, urls) = start([manner, Manner::Honest]).await;
        let wrapped = gift::wrap(&*World::new(), &identity(5), &identity(1).user(), "not a payment").expect("short");
        let foreign = gift::wrap(&*World::new(), &identity(5), &identity(2).user(), "not for you").expect("short");
        for relay in &kept {
            relay.plant(&wrapped.to_json());
            relay.plant(&foreign.to_json());
        }
        let mut inbox = PaymentBox::new(relays(), identity(1), urls.clone()).expect("few relays");
        assert_eq!(inbox.next(SHORT).await, Ok(None), "{manner:?}");
        courier().deliver(&to(1, &urls[1..]), &payload(2)).await.expect("kept");
        assert_eq!(inbox.next(PATIENCE).await, Ok(Some(payload(2))), "{manner:?}");
    }
}

#[test]
fn a_wrap_opens_for_its_receiver_alone_and_hides_no_other_author() {
    let world = World::new();
    let (alice, bob, eve) = (identity(1), identity(2), identity(3));
    let wrapped = gift::wrap(&*world, &alice, &bob.user(), "hello").expect("short");
    let message = gift::unwrap(&bob, &wrapped).expect("for bob");
    assert_eq!((message.sender, message.content.as_str()), (alice.user(), "hello"));
    assert_eq!(gift::unwrap(&eve, &wrapped), Err(GiftError::Encryption(Nip44Error::Mac)));

    // Eve seals what she says that Alice said.
    let close = |author: &Identity, kind: u16, text: &str| {
        let content = ConversationKey::new(author, &bob.user()).expect("a point").encrypt(text, &[9; 32]);
        let draft = Draft { created_at: NOW, kind, tags: Vec::new(), content: content.expect("short") };
        draft.sign(author, &[8; 32])
    };
    let rumor = |kind: u16| {
        json!({ "pubkey": alice.user(), "created_at": NOW, "kind": kind, "tags": [], "content": "pay eve" }).to_string()
    };
    let sealed = |author: &Identity, kind: u16| close(author, KIND_SEAL, &rumor(kind)).to_json();
    let unwrap = |seal: &str| gift::unwrap(&bob, &close(&eve, KIND_GIFT_WRAP, seal)).map(|message| message.sender);
    assert_eq!(unwrap(&sealed(&eve, 14)), Err(GiftError::Author));
    assert_eq!(unwrap(&sealed(&alice, 1)), Err(GiftError::Kind));
    assert_eq!(unwrap(&sealed(&alice, 14)), Ok(alice.user()), "an id may be left out");
    assert_eq!(unwrap(&close(&alice, 1, &rumor(14)).to_json()), Err(GiftError::Kind));
    assert!(matches!(unwrap(&sealed(&alice, 14).replace("\"kind\":13", "\"kind\":12")), Err(GiftError::Event(_))));
    let long = "x".repeat(60_000);
    let answer = gift::wrap(&*world, &alice, &bob.user(), &long);
    assert_eq!(answer, Err(GiftError::Encryption(Nip44Error::Length)));
}

#[test]
fn an_event_that_was_changed_is_none() {
    let draft =
        Draft { created_at: NOW, kind: 1, tags: vec![vec!["t".to_owned()]], content: "a \"b\"\n\u{7}".to_owned() };
    let text = draft.sign(&identity(1), &[3; 32]).to_json();
    let event = Event::from_json(text.as_bytes()).expect("untouched");
    assert_eq!(event.to_json(), text);
    let other = identity(2).user().to_string();
    for changed in [
        text.replace(&identity(1).user().to_string(), &other),
        text.replace("1700000000", "1700000001"),
        text.replace("\"kind\":1,", "\"kind\":2,"),
        text.replace("\"t\"", "\"u\""),
        text.replace("\\n", "\\t"),
        text[..text.len() - 10].to_owned() + "00000000\"}",
    ] {
        assert_ne!(changed, text);
        assert!(Event::from_json(changed.as_bytes()).is_err(), "{changed}");
    }
}

fn seed() -> Seed {
    // The mnemonic of NUT-27's vector.
    let words = "half depart obvious quality work element tank gorilla view sugar picture humble";
    Seed::from_mnemonic(&words.parse().expect("words"), "")
}

fn backup(seed: &Seed) -> MintBackup {
    MintBackup::new(relays(), curve(), seed).expect("a key")
}

fn mints(names: &[&str]) -> Vec<MintUrl> {
    names.iter().map(|name| format!("https://{name}.example").parse().expect("a url")).collect()
}

#[tokio::test]
async fn the_newest_list_of_mints_is_found_by_the_seed() {
    let (kept, urls) = start([Manner::Honest, Manner::Honest, Manner::Silent]).await;
    let world = World::new();
    assert_eq!(backup(&seed()).find(&urls).await, Ok(None));
    backup(&seed()).publish(&*world, &urls[..2], &mints(&["old"])).await.expect("short");
    world.now.store(NOW + 60, Ordering::SeqCst);
    // One relay misses the newer list, and another seed has a list of its own.
    let kept_by = backup(&seed()).publish(&*world, &urls[1..], &mints(&["a", "b"])).await.expect("short");
    assert!(kept_by[0].is_ok() && kept_by[1].is_err());
    let other = Seed::from_bytes(zeroize::Zeroizing::new([9; 64]));
    backup(&other).publish(&*world, &urls[..2], &mints(&["other"])).await.expect("short");
    let event = &kept[1].events()[0];
    // The public key of NUT-27's vector.
    assert_eq!(event["pubkey"], "0767277aaed200af7a8843491745272fc1ad2c7bfe340225e6f34f3a9a273aed");
    assert_eq!((&event["kind"], &event["tags"][0]), (&json!(30078), &json!(["d", "mint-list"])));
    assert!(!event.to_string().contains("example"));
    let list = backup(&seed()).find(&urls).await.expect("answers").expect("a list");
    assert_eq!((list.mints, list.unreadable, list.made_at), (mints(&["a", "b"]), 0, NOW + 60));
    let found = backup(&other).find(&urls[..1]).await.expect("an answer").expect("a list");
    assert_eq!(found.mints, mints(&["other"]));
}

#[tokio::test]
async fn relays_that_lie_restore_nothing() {
    let world = World::new();
    let event = backup(&seed()).event(&*world, &mints(&["a"])).expect("short").to_json();
    for manner in [Manner::Forges, Manner::Careless] {
        let (kept, urls) = start([manner]).await;
        kept[0].plant(&event);
        let other = Seed::from_bytes(zeroize::Zeroizing::new([9; 64]));
        assert_eq!(backup(&other).find(&urls).await, Ok(None), "{manner:?}");
        let found = backup(&seed()).find(&urls).await.expect("an answer");
        assert_eq!(found.is_some(), manner == Manner::Careless, "{manner:?}");
    }
    for manner in [Manner::Refuses, Manner::HangsUp, Manner::Floods, Manner::Silent] {
        let (_kept, urls) = start([manner]).await;
        assert!(backup(&seed()).find(&urls).await.is_err(), "{manner:?}");
    }
}

/// A wrap by the library that most clients of Nostr are made with (nostr-tools 2), from user 5 to user 1.
const FOREIGN_WRAP: &str = include_str!("vectors/nip17-nostr-tools.json");

#[test]
fn a_payment_of_another_implementation_is_read() {
    let event = Event::from_json(FOREIGN_WRAP.trim().as_bytes()).expect("signed");
    let message = gift::unwrap(&identity(1), &event).expect("for user 1");
    assert_eq!(message.sender, identity(5).user());
    assert_eq!(from_json::<PaymentPayload>(message.content.as_bytes()), Ok(payload(1)));
}

/// The clock of the system, for a relay that believes no others.
fn today() -> Arc<World> {
    let world = World::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    world.now.store(now.as_secs(), Ordering::SeqCst);
    // Nobody may have used the same keys there before.
    world.drawn.store(u64::try_from(now.as_nanos() & 0xffff_ffff_ffff).expect("48 bits"), Ordering::SeqCst);
    world
}

#[tokio::test]
#[ignore = "needs a relay, which HAZEL_TEST_RELAY names, such as `nostr-relay serve` of PyPI"]
async fn a_real_relay_carries_payments_and_backups() {
    let url = std::env::var("HAZEL_TEST_RELAY").expect("the address of a relay");
    let world = today();
    let entropy = gift_key(&world);
    let receiver = Identity::ephemeral(curve(), &entropy).expect("a key");
    let mut inbox = PaymentBox::new(relays(), receiver, vec![url.clone()]).expect("one relay");
    let transport = inbox.transport();
    let courier = NostrCourier::new(relays(), curve(), world.clone());
    courier.deliver(&transport, &payload(1)).await.expect("kept");
    assert_eq!(inbox.next(PATIENCE).await, Ok(Some(payload(1))));
    let (later, delivered) = tokio::join!(inbox.next(PATIENCE), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        courier.deliver(&transport, &payload(2)).await
    });
    assert_eq!((later, delivered), (Ok(Some(payload(2))), Ok(())));

    let mut seed = zeroize::Zeroizing::new([0; 64]);
    world.fill_random(&mut *seed);
    let backup = backup(&Seed::from_bytes(seed));
    let urls = [url];
    assert_eq!(backup.find(&urls).await, Ok(None));
    for list in [&["a"][..], &["a", "b"]] {
        world.now.fetch_add(1, Ordering::SeqCst);
        assert_eq!(backup.publish(&*world, &urls, &mints(list)).await, Ok(vec![Ok(())]));
        let found = backup.find(&urls).await.expect("an answer").expect("a list");
        assert_eq!(found.mints, mints(list));
    }
}

fn gift_key(world: &World) -> zeroize::Zeroizing<[u8; 32]> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    world.fill_random(&mut *bytes);
    bytes
}
