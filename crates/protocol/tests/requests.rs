//! Payment requests: every vector of NUT-18 and NUT-26, limits, and what no input can break.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use hazel_protocol::{
    Amount, CborError, CurrencyUnit, LockKind, MAX_RELAYS, MAX_REQUEST_MINTS, MAX_REQUEST_TAGS, MAX_TAG_TEXTS,
    MAX_TRANSPORTS, NostrProfile, NostrProfileError, PaymentPayload, PaymentRequest, PaymentRequestError, RequestParts,
    RequestedLock, Token, Transport, TransportTarget, from_json,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    name: String,
    request: serde_json::Value,
    encoded: String,
}

fn vectors(json: &str) -> Vec<(String, PaymentRequest, String)> {
    let vectors: Vec<Vector> = serde_json::from_str(json).expect("the vectors have this shape");
    let read = |v: Vector| {
        let request = from_json(v.request.to_string().as_bytes()).expect(&v.name);
        (v.name, request, v.encoded)
    };
    vectors.into_iter().map(read).collect()
}

/// The request whose text NUT-18 gives for its first vector; the JSON beside it there is of another.
const FIRST: &str = r#"{"i":"b7a90176","a":10,"u":"sat","m":["https://nofees.testnut.cashu.space"],"t":[{"t":"nostr","a":
    "nprofile1qy28wumn8ghj7un9d3shjtnyv9kh2uewd9hsz9mhwden5te0wfjkccte9curxven9eehqctrv5hszrthwden5te0dehhxtnvdakqqgydaqy7curk439ykptkysv7udhdhu68sucm295akqefdehkf0d495cwunl5","g":[["n","17"]]}]}"#;

#[test]
fn nut18_vectors() {
    let all = vectors(include_str!("vectors/nut18.json"));
    assert_eq!(all.len(), 6);
    for (name, request, encoded) in all {
        let request = if name == "Basic Payment Request" { read_json(FIRST) } else { request };
        assert_eq!(encoded.parse::<PaymentRequest>().as_ref(), Ok(&request), "{name}");
        assert_eq!(encoded.trim_end_matches('=').parse::<PaymentRequest>().as_ref(), Ok(&request), "{name}");
        let written = request.to_cbor_text().expect("short");
        assert_eq!(written.parse::<PaymentRequest>(), Ok(request), "{name}");
        // The first has an order of its own inside of the nprofile, and two write `undefined` for what is missing.
        let own = ["Basic Payment Request", "Complete Payment Request", "HTTP Transport Payment Request"];
        assert_eq!(written == encoded, !own.contains(&name.as_str()), "{name}");
    }
}

fn read_json(json: &str) -> PaymentRequest {
    from_json(json.as_bytes()).expect("a request")
}

#[test]
fn nut26_vectors() {
    let all = vectors(include_str!("vectors/nut26.json"));
    assert_eq!(all.len(), 16);
    for (name, request, encoded) in all {
        assert_eq!(encoded.parse::<PaymentRequest>().as_ref(), Ok(&request), "{name}");
        assert_eq!(encoded.to_lowercase().parse::<PaymentRequest>().as_ref(), Ok(&request), "{name}");
        assert_eq!(request.to_bech32_text(), Ok(encoded), "{name}");
        // The same request in the other form.
        assert_eq!(request.to_cbor_text().expect("short").parse::<PaymentRequest>(), Ok(request), "{name}");
    }
}

#[test]
fn a_bitcoin_uri_carries_a_request() {
    let demo = "CREQB1QYQQWER9D4HNZV3NQGQQSQQQQQQQQQQRAQPSQQGQQSQQZQG9QQVXSAR5WPEN5TE0D45KUAPWV4UXZMTSD3JJUCM0D5RQQRJRDANXVET9YPCXZ7TDV4H8GXHR3TQ";
    let request: PaymentRequest = demo.parse().expect("the example of NUT-26");
    assert_eq!((request.id.as_deref(), request.amount), (Some("demo123"), Some(Amount::from_u64(1000))));
    for uri in [
        format!("bitcoin:?creq={demo}"),
        format!("BITCOIN:?CREQ={demo}"),
        format!("  bitcoin:bc1qx?amount=0.1&lno=lno1pgz&creq={demo}&x \n"),
    ] {
        assert_eq!(uri.parse::<PaymentRequest>(), Ok(request.clone()), "{uri}");
    }
    for uri in [format!("lightning:?creq={demo}"), format!("bitcoin:?crq={demo}"), "bitcoin:?creq=".to_owned()] {
        assert_eq!(uri.parse::<PaymentRequest>(), Err(PaymentRequestError::Prefix), "{uri}");
    }
}

#[test]
fn a_mistyped_request_is_refused() {
    let demo = "CREQB1QYQQSDMXX3SNYC3N8YPSQQGQQ5QPS6R5W3C8XW309AKKJMN59EJHSCTDWPKX2TNRDAKSYP0LHG";
    for (at, _) in demo.char_indices().skip(6) {
        let mut typo = demo.to_owned();
        let other = if &demo[at..=at] == "Q" { "P" } else { "Q" };
        typo.replace_range(at..=at, other);
        assert!(matches!(typo.parse::<PaymentRequest>(), Err(PaymentRequestError::Bech32(_))), "{typo}");
    }
    assert!(format!("{}{}", &demo[..20], demo[20..].to_lowercase()).parse::<PaymentRequest>().is_err());
    assert_eq!("creqC".parse::<PaymentRequest>(), Err(PaymentRequestError::Prefix));
    assert_eq!("".parse::<PaymentRequest>(), Err(PaymentRequestError::Prefix));
    assert_eq!("créqA".parse::<PaymentRequest>(), Err(PaymentRequestError::Prefix));
    assert_eq!("creqA*".parse::<PaymentRequest>(), Err(PaymentRequestError::Base64));
    let long = format!("creqA{}", "A".repeat(20_000));
    assert_eq!(long.parse::<PaymentRequest>(), Err(PaymentRequestError::TooLong));
}

fn cbor(write: impl FnOnce(&mut minicbor::Encoder<Vec<u8>>)) -> Result<PaymentRequest, PaymentRequestError> {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    write(&mut encoder);
    format!("creqA{}", URL_SAFE_NO_PAD.encode(encoder.into_writer())).parse()
}

#[test]
fn cbor_is_read_strictly() {
    let empty = cbor(|e| drop(e.map(0))).expect("everything is optional");
    assert_eq!(*empty, RequestParts::default());
    let twice = cbor(|e| drop(e.map(2).and_then(|e| e.str("i")?.str("x")?.str("i")?.str("y"))));
    assert_eq!(twice, Err(CborError::DuplicateField("i").into()));
    let no_unit = cbor(|e| drop(e.map(1).and_then(|e| e.str("a")?.u8(1))));
    assert_eq!(no_unit, Err(PaymentRequestError::NoUnit));
    let amounts: [fn(&mut minicbor::Encoder<Vec<u8>>); 4] =
        [|e| drop(e.f64(10.0)), |e| drop(e.i8(-1)), |e| drop(e.str("10")), |e| drop(e.bool(true))];
    for write in amounts {
        let amount = cbor(|e| {
            drop(e.map(2).and_then(|e| e.str("u")?.str("sat")?.str("a")));
            write(e);
        });
        assert!(matches!(amount, Err(PaymentRequestError::Cbor(CborError::Malformed(_)))), "{amount:?}");
    }
    let trailing = cbor(|e| drop(e.map(0).and_then(|e| e.u8(0))));
    assert_eq!(trailing, Err(PaymentRequestError::TrailingBytes));
    let many = cbor(|e| {
        drop(e.map(1).and_then(|e| e.str("m")?.array(1_000_000)));
        (0..100).for_each(|_| drop(e.str("https://a.example")));
    });
    assert_eq!(many, Err(PaymentRequestError::TooMany { what: "mints", limit: MAX_REQUEST_MINTS }));
}

/// Type and value of each.
type Entries<'a> = &'a [(u8, &'a [u8])];

/// A `creqb1` of these entries.
fn tlv(entries: Entries<'_>) -> Result<PaymentRequest, PaymentRequestError> {
    let mut bytes = Vec::new();
    for (kind, value) in entries {
        bytes.push(*kind);
        bytes.extend(u16::try_from(value.len()).expect("short").to_be_bytes());
        bytes.extend(*value);
    }
    bech32m(&bytes)
}

fn bech32m(bytes: &[u8]) -> Result<PaymentRequest, PaymentRequestError> {
    let hrp = bitcoin::bech32::Hrp::parse("creqb").expect("valid");
    bitcoin::bech32::encode::<bitcoin::bech32::Bech32m>(hrp, bytes).expect("short").parse()
}

#[test]
fn tlv_is_read_strictly() {
    assert_eq!(tlv(&[]).map(PaymentRequest::into_parts), Ok(RequestParts::default()));
    assert!(tlv(&[(99, b"unknown"), (1, b"x"), (200, b"")]).is_ok_and(|request| request.id.as_deref() == Some("x")));
    let refused: [(Entries<'_>, &str); 9] = [
        (&[(1, b"x"), (1, b"x")], "a field is given twice"),
        (&[(1, b"\xff")], "a text is not valid UTF-8"),
        (&[(3, b"\0"), (2, &[1; 7])], "the amount does not have 8 bytes"),
        (&[(4, &[2])], "the single-use flag is neither 0 nor 1"),
        (&[(7, &[1, 0, 1, 0])], "a transport or lock is not complete"),
        (&[(7, &[1, 0, 2, 0, 0])], "a kind does not have 1 byte"),
        (&[(7, &[1, 0, 1, 0, 2, 0, 1, 9])], "a key at nostr does not have 32 bytes"),
        (&[(8, &[1, 0, 1])], "it ends early"),
        (&[(8, &[1, 0, 1, 0, 2, 0, 1, 97, 3, 0, 1, 5])], "a tag ends early"),
    ];
    for (entries, why) in refused {
        assert_eq!(tlv(entries), Err(PaymentRequestError::Tlv(why)));
    }
    assert_eq!(bech32m(&[1, 0, 5, 97]), Err(PaymentRequestError::Tlv("it ends early")));
    assert_eq!(bech32m(&[1, 0]), Err(PaymentRequestError::Tlv("it ends early")));
    assert_eq!(tlv(&[(2, &[0; 8])]), Err(PaymentRequestError::NoUnit));
    assert!(matches!(tlv(&[(3, b"SAT")]), Err(PaymentRequestError::Unit(_))));
}

#[test]
fn what_is_not_known_is_kept_and_not_taken_for_in_band() {
    let request = tlv(&[(7, &[1, 0, 1, 9, 2, 0, 1, 0xff])]).expect("a transport of the future");
    assert!(
        matches!(&request.transports[..], [Transport { target: TransportTarget::Other { kind, .. }, .. }] if kind == "9")
    );
    assert_eq!(request.to_bech32_text(), Err(PaymentRequestError::NoForm("transport")));
    // A target that makes no sense is no reason to refuse the whole request.
    for target in ["nostr", "post"] {
        let request = read_json(&format!(r#"{{"t":[{{"t":"{target}","a":"nonsense"}}]}}"#));
        assert!(matches!(&request.transports[0].target, TransportTarget::Other { kind, .. } if kind == target));
        assert_eq!(request.to_cbor_text().expect("short").parse::<PaymentRequest>(), Ok(request));
    }
    let lock = [1, 0, 1, 7, 2, 0, 1, 97];
    let request = tlv(&[(8, &lock)]).expect("a lock of the future");
    assert_eq!(request.lock.as_ref().map(|lock| &lock.kind), Some(&LockKind::Numbered(7)));
    assert_eq!(request.to_bech32_text().expect("it was one").parse::<PaymentRequest>(), Ok(request.clone()));
    assert_eq!(request.to_cbor_text(), Err(PaymentRequestError::NoForm("kind of lock")));
    let named = read_json(r#"{"nut10":{"k":"P2BK2","d":"x"}}"#);
    assert_eq!(named.to_cbor_text().expect("short").parse::<PaymentRequest>(), Ok(named.clone()));
    assert_eq!(named.to_bech32_text(), Err(PaymentRequestError::NoForm("kind of lock")));
}

fn many<T: Clone>(item: &T, count: usize) -> Vec<T> {
    vec![item.clone(); count]
}

#[test]
fn every_limit_holds() {
    let new = |change: &dyn Fn(&mut RequestParts)| {
        let mut parts = RequestParts::default();
        change(&mut parts);
        PaymentRequest::new(parts)
    };
    let url = |text: &str| text.parse().expect("a url");
    let tag = many(&"x".to_owned(), MAX_TAG_TEXTS);
    let post = |tags| Transport { tags, ..Transport::post("https://a.example/p?q=1".parse().expect("a url")) };
    let lock = |data: &str| RequestedLock { kind: LockKind::P2pk, data: data.to_owned(), tags: vec![] };
    let fits: [&dyn Fn(&mut RequestParts); 6] = [
        &|parts| parts.id = Some("i".repeat(128)),
        &|parts| parts.description = Some("d".repeat(640)),
        &|parts| parts.mints = many(&url("https://a.example"), MAX_REQUEST_MINTS),
        &|parts| parts.transports = many(&post(vec![]), MAX_TRANSPORTS),
        &|parts| parts.transports = vec![post(many(&tag, MAX_REQUEST_TAGS))],
        &|parts| parts.lock = Some(lock(&"d".repeat(255))),
    ];
    for change in fits {
        new(change).expect("at the limit");
    }
    let breaks: [&dyn Fn(&mut RequestParts); 11] = [
        &|parts| parts.id = Some("i".repeat(129)),
        &|parts| parts.id = Some(String::new()),
        &|parts| parts.description = Some("d".repeat(641)),
        &|parts| parts.mints = many(&url("https://a.example"), MAX_REQUEST_MINTS + 1),
        &|parts| parts.transports = many(&post(vec![]), MAX_TRANSPORTS + 1),
        &|parts| parts.transports = vec![post(many(&tag, MAX_REQUEST_TAGS + 1))],
        &|parts| parts.transports = vec![post(vec![many(&"x".to_owned(), MAX_TAG_TEXTS + 1)])],
        &|parts| parts.transports = vec![post(vec![vec![]])],
        &|parts| parts.transports = vec![post(vec![vec!["n".to_owned(), "x".repeat(256)]])],
        &|parts| parts.lock = Some(lock(&"d".repeat(256))),
        &|parts| parts.amount = Some(Amount::from_u64(1)),
    ];
    for (place, change) in breaks.into_iter().enumerate() {
        assert!(new(change).is_err(), "{place}");
    }
    // Each within its limit, and all of it too long.
    let all = new(&|parts| parts.transports = many(&post(many(&many(&"x".repeat(255), 10), 10)), 2)).expect("fits");
    assert_eq!(all.to_cbor_text(), Err(PaymentRequestError::TooLong));
    assert_eq!(all.to_bech32_text(), Err(PaymentRequestError::TooLong));
}

#[test]
fn a_user_of_nostr_is_read_strictly() {
    let key = [3; 32];
    let npub = NostrProfile::new(key, vec![]).expect("no relays").to_string();
    assert!(npub.starts_with("npub1"));
    assert_eq!(npub.parse::<NostrProfile>().expect("an npub").key(), &key);
    let relays = vec!["wss://relay.example".to_owned(); MAX_RELAYS];
    let profile = NostrProfile::new(key, relays.clone()).expect("at the limit");
    assert_eq!(profile.to_string().parse(), Ok(profile));
    let more = [relays, vec!["wss://x".to_owned()]].concat();
    assert_eq!(NostrProfile::new(key, more), Err(NostrProfileError::TooManyRelays));
    for relay in ["", "wss://a b", "wss://\u{1b}[2J", &"w".repeat(256)] {
        assert_eq!(NostrProfile::new(key, vec![relay.to_owned()]), Err(NostrProfileError::Relay));
    }
    let encode = |hrp: &str, bytes: &[u8]| {
        bitcoin::bech32::encode::<bitcoin::bech32::Bech32>(bitcoin::bech32::Hrp::parse(hrp).expect("valid"), bytes)
            .expect("short")
    };
    for (hrp, bytes, error) in [
        ("npub", &[1; 31][..], NostrProfileError::Malformed),
        ("nprofile", &[0, 31][..], NostrProfileError::Malformed),
        ("nprofile", &[1, 1, b'w'][..], NostrProfileError::Key),
        ("nprofile", &[0][..], NostrProfileError::Malformed),
        ("nprofile", &[&[0, 32], &key[..], &[0, 32], &key[..]].concat(), NostrProfileError::Key),
    ] {
        assert_eq!(encode(hrp, bytes).parse::<NostrProfile>(), Err(error), "{hrp} {bytes:?}");
    }
    assert!(matches!(encode("nsec", &key).parse::<NostrProfile>(), Err(NostrProfileError::Bech32(_))));
}

#[test]
fn the_receiver_says_what_it_takes() {
    let profile = NostrProfile::new([1; 32], vec![]).expect("no relays");
    let with = |tags: &[&[&str]]| Transport {
        tags: tags.iter().map(|tag| tag.iter().map(ToString::to_string).collect()).collect(),
        ..Transport::nostr(profile.clone())
    };
    assert!(Transport::nostr(profile.clone()).takes_nip17());
    assert!(with(&[]).takes_nip17());
    assert!(with(&[&["r", "4"], &["n", "9735", "17"]]).takes_nip17());
    assert!(with(&[&["n", "4"], &["n", "17"]]).takes_nip17());
    assert!(!with(&[&["n", "4"]]).takes_nip17());
    assert!(!with(&[&["n"]]).takes_nip17());
}

#[test]
fn a_payment_is_json_and_becomes_a_token() {
    let proof = r#"{"amount":2,"id":"00ad268c4d1f5826","secret":"sesame","C":"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"}"#;
    let json = format!(r#"{{"id":"x","mint":"https://a.example","unit":"sat","proofs":[{proof}],"new":1}}"#);
    let payload: PaymentPayload = from_json(json.as_bytes()).expect("a payment");
    assert!(!format!("{payload:?}").contains("sesame"));
    let token = payload.to_token().expect("a token");
    assert_eq!(Token::from(token.clone()).value(), Ok(Amount::from_u64(2)));
    assert_eq!(PaymentPayload::of_token(Some("x".to_owned()), &token), payload);
    let again = serde_json::to_string(&payload).expect("json");
    assert_eq!(from_json::<PaymentPayload>(again.as_bytes()).as_ref(), Ok(&payload));
    for bad in [
        json.replace("\"x\"", &format!("\"{}\"", "x".repeat(129))),
        json.replace("\"id\":\"x\"", &format!("\"memo\":\"{}\"", "x".repeat(1025))),
        json.replace("https://a", "ftp://a"),
        json.replace("\"sat\"", "\"SAT\""),
    ] {
        assert!(from_json::<PaymentPayload>(bad.as_bytes()).is_err(), "{bad}");
    }
    let none = json.replace(proof, "");
    assert!(from_json::<PaymentPayload>(none.as_bytes()).expect("a list").to_token().is_err());
    let twice = json.replace(proof, &format!("{proof},{proof}"));
    assert!(from_json::<PaymentPayload>(twice.as_bytes()).expect("a list").to_token().is_err());
}

fn tags() -> impl Strategy<Value = Vec<Vec<String>>> {
    // A Nostr transport keeps its relays in tags `r` when it is written as TLV, so that name is left out.
    vec(("[a-q]{1,9}", vec("\\PC{0,20}", 0..4)).prop_map(|(name, values)| [vec![name], values].concat()), 0..4)
}

fn transports() -> impl Strategy<Value = Transport> {
    let profile = (any::<[u8; 32]>(), vec("wss://[a-z]{1,20}", 0..3))
        .prop_map(|(key, relays)| TransportTarget::Nostr(NostrProfile::new(key, relays).expect("short")));
    let post =
        "https://[a-z]{1,9}\\.example/[a-z]{0,9}".prop_map(|url| TransportTarget::Post(url.parse().expect("a url")));
    (prop_oneof![profile, post], tags()).prop_map(|(target, tags)| Transport { target, tags })
}

prop_compose! {
    fn requests()(
        id in option::of("\\PC{1,20}"),
        amount in option::of(any::<u64>()),
        unit in prop_oneof![Just("sat"), Just("usd"), Just("points")],
        single_use in option::of(any::<bool>()),
        mints in vec("http://[a-z]{1,9}\\.onion(:80)?", 0..4),
        description in option::of("\\PC{1,60}"),
        transports in vec(transports(), 0..3),
        lock in option::of((prop_oneof![Just(LockKind::P2pk), Just(LockKind::Htlc)], "\\PC{1,60}", tags())),
    ) -> PaymentRequest {
        PaymentRequest::new(RequestParts {
            id,
            amount: amount.map(Amount::from_u64),
            unit: Some(unit.parse::<CurrencyUnit>().expect("a unit")),
            single_use,
            mints: mints.iter().map(|mint| mint.parse().expect("a url")).collect(),
            description,
            transports,
            lock: lock.map(|(kind, data, tags)| RequestedLock { kind, data, tags }),
        }).expect("within the limits")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_form_says_the_same(request in requests()) {
        let forms = [request.to_cbor_text().expect("short"), request.to_bech32_text().expect("short")];
        for text in forms {
            prop_assert_eq!(text.parse::<PaymentRequest>(), Ok(request.clone()));
        }
        let json = serde_json::to_string(&request).expect("json");
        prop_assert_eq!(from_json::<PaymentRequest>(json.as_bytes()), Ok(request));
    }

    #[test]
    fn no_bytes_break_a_reader(bytes in vec(any::<u8>(), 0..300)) {
        let cbor = format!("creqA{}", URL_SAFE_NO_PAD.encode(&bytes));
        let hrp = bitcoin::bech32::Hrp::parse("creqb").expect("valid");
        let tlv = bitcoin::bech32::encode::<bitcoin::bech32::Bech32m>(hrp, &bytes).expect("short");
        for text in [cbor, tlv] {
            if let Ok(request) = text.parse::<PaymentRequest>() {
                // Whatever was read keeps the limits.
                prop_assert!(PaymentRequest::new(request.into_parts()).is_ok());
            }
        }
        let _ = String::from_utf8_lossy(&bytes).parse::<PaymentRequest>();
    }

    #[test]
    fn a_damaged_request_is_read_or_refused(request in requests(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let text = request.to_cbor_text().expect("short");
        let mut bytes = URL_SAFE.decode(&text[5..]).expect("base64");
        let place = at.index(bytes.len());
        bytes[place] ^= 1 << bit;
        if let Ok(other) = format!("creqA{}", URL_SAFE_NO_PAD.encode(&bytes)).parse::<PaymentRequest>() {
            prop_assert!(PaymentRequest::new(other.into_parts()).is_ok());
        }
    }
}
