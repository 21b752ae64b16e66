//! Spending conditions (NUT-10, NUT-11, NUT-14), one proof for each way to lock and to try to open it, by swap and by melt.

use hazel_protocol::conditions::{input_digest, sign_digest};
use hazel_protocol::{Curve, Proof, ProofState, Secret, SecretKey};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Answer, Hazeld, Launch, Wallet, audit, invoice};

/// The code of every lock that is not opened.
const NOT_OPENED: u64 = 10_001;
/// SHA-256 of 32 bytes of 9, the preimage of every hash lock here.
const HASH: &str = "8c0cc17a04942cc4f8e0fe0b302606d3108860c126428ba2ceeb5f9ed41c2b05";
/// Seconds since 1970 that are over.
const PAST: &str = "1000000000";
/// Seconds since 1970 that are not over soon.
const FUTURE: &str = "4000000000";

/// Keys by number.
pub(crate) struct Ring(Curve);

impl Ring {
    pub(crate) fn new() -> Self {
        Self(Curve::new(&[3; 32]))
    }

    /// The key with this number, in hex.
    pub(crate) fn key(&self, number: u8) -> String {
        secret_key(number).public_key(&self.0).to_string()
    }

    /// A signature in hex. `entropy` makes signatures over one message differ.
    pub(crate) fn sign(&self, number: u8, digest: &[u8; 32], entropy: u8) -> String {
        let bytes = sign_digest(&self.0, &secret_key(number), digest, &[entropy; 32]);
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

fn secret_key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).expect("in range")
}

/// What comes with a locked proof.
enum With<'a> {
    Nothing,
    /// Signatures of these keys.
    Signed(&'a [u8]),
    /// A preimage, or what stands in its place, and signatures of these keys.
    Preimage(Value, &'a [u8]),
    /// A witness of just this text.
    Text(&'a str),
}

/// A lock, what is sent to open it, and whether it opens.
struct Case {
    what: String,
    secret: Secret,
    witness: Option<String>,
    opens: bool,
}

/// Cases, and the keys they use.
struct Table {
    ring: Ring,
    cases: Vec<Case>,
}

impl Table {
    fn new() -> Self {
        Self { ring: Ring::new(), cases: Vec::new() }
    }

    /// A nonce that no other case has.
    fn nonce(&self) -> String {
        format!("{:064x}", self.cases.len())
    }

    fn lock(&self, kind: &str, data: &str, tags: &Value) -> String {
        json!([kind, { "nonce": self.nonce(), "data": data, "tags": tags }]).to_string()
    }

    /// A lock to key 1.
    #[expect(clippy::needless_pass_by_value, reason = "a table of literals reads better without references")]
    fn p2pk(&mut self, opens: bool, what: &str, tags: Value, with: With<'_>) {
        let text = self.lock("P2PK", &self.ring.key(1), &tags);
        self.add(opens, what, &text, with);
    }

    /// A lock to [`HASH`].
    #[expect(clippy::needless_pass_by_value, reason = "a table of literals reads better without references")]
    fn htlc(&mut self, opens: bool, what: &str, tags: Value, with: With<'_>) {
        let text = self.lock("HTLC", HASH, &tags);
        self.add(opens, what, &text, with);
    }

    fn add(&mut self, opens: bool, what: &str, secret: &str, with: With<'_>) {
        let secret = Secret::new(secret).expect("a secret");
        let sign = |keys: &[u8]| keys.iter().map(|key| self.signature(*key, &secret, *key)).collect::<Vec<_>>();
        let witness = match with {
            With::Nothing => None,
            With::Signed(keys) => Some(json!({ "signatures": sign(keys) }).to_string()),
            With::Preimage(preimage, keys) => {
                Some(json!({ "preimage": preimage, "signatures": sign(keys) }).to_string())
            }
            With::Text(text) => Some(text.to_owned()),
        };
        self.cases.push(Case { what: what.to_owned(), secret, witness, opens });
    }

    fn signature(&self, key: u8, secret: &Secret, entropy: u8) -> String {
        self.ring.sign(key, &input_digest(secret), entropy)
    }

    /// Replaces the signatures of the case added last, which may be any texts.
    fn resign(&mut self, signatures: impl Fn(&Self, &Secret) -> Vec<String>) {
        let secret = self.cases.last().expect("a case").secret.clone();
        let witness = json!({ "signatures": signatures(self, &secret) }).to_string();
        self.cases.last_mut().expect("a case").witness = Some(witness);
    }
}

/// The preimage of [`HASH`].
fn preimage() -> String {
    "09".repeat(32)
}

/// A mint and a wallet that has the proofs of a table.
struct Locked {
    folder: TempDir,
    mint: Hazeld,
    wallet: Wallet,
    cases: Vec<(Case, Proof)>,
}

impl Locked {
    async fn start(table: Table) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mint = Launch::dev(folder.path()).start();
        let wallet = Wallet::open(mint.url(), 1).await;
        let secrets: Vec<_> = table.cases.iter().map(|case| case.secret.clone()).collect();
        let proofs = wallet.mint_secrets(1, &secrets).await;
        Self { folder, mint, wallet, cases: table.cases.into_iter().zip(proofs).collect() }
    }

    async fn swap(&self, input: &Value) -> Answer {
        let body = json!({ "inputs": [input], "outputs": self.wallet.draft(&[1]).messages });
        self.wallet.api.post("/v1/swap", &body).await
    }

    /// Tries every case: those that do not open change nothing, and then those that open do.
    async fn try_all(self) {
        let quote = self.wallet.melt_quote(&invoice(1, 1)).await.quote;
        let database = self.folder.path().join("mint.sqlite");
        let before = audit(&database);
        let (open, shut): (Vec<_>, Vec<_>) = self.cases.iter().partition(|(case, _)| case.opens);
        for (case, proof) in &shut {
            let input = presented(case, proof);
            let swap = self.swap(&input).await;
            assert_eq!(swap.code(), Some(NOT_OPENED), "{}: {swap:?}", case.what);
            let melt = json!({ "quote": quote, "inputs": [input] });
            let melt = self.wallet.api.post("/v1/melt/bolt11", &melt).await;
            assert_eq!(melt.code(), Some(NOT_OPENED), "{}, melted: {melt:?}", case.what);
        }
        assert_eq!(before, audit(&database), "a refusal changes nothing");
        let kept: Vec<Proof> = shut.iter().map(|(_, proof)| proof.clone()).collect();
        assert!(self.wallet.states(&kept).await.iter().all(|state| *state == ProofState::Unspent));
        for (case, proof) in &open {
            let answer = self.swap(&presented(case, proof)).await;
            assert!(answer.is_ok(), "{}: {answer:?}", case.what);
        }
        self.mint.stop();
        audit(&database).assert_settled(u64::try_from(self.cases.len()).expect("small"));
    }
}

/// A proof with the witness of its case.
fn presented(case: &Case, proof: &Proof) -> Value {
    let mut input = json!(proof);
    if let Some(witness) = &case.witness {
        input["witness"] = json!(witness);
    }
    input
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_count_once_and_only_of_the_keys_named() {
    let mut table = Table::new();
    let (two, three) = (table.ring.key(2), table.ring.key(3));
    let two_of_three = json!([["pubkeys", two, three], ["n_sigs", "2"]]);
    table.p2pk(false, "no witness", json!([]), With::Nothing);
    table.p2pk(false, "another key", json!([]), With::Signed(&[2]));
    table.p2pk(true, "its key", json!([]), With::Signed(&[1]));
    table.p2pk(true, "its key among others", json!([]), With::Signed(&[5, 1, 4]));
    table.p2pk(false, "one of two", two_of_three.clone(), With::Signed(&[1]));
    table.p2pk(false, "one of two, twice the same", two_of_three.clone(), With::Signed(&[2, 2]));
    table.p2pk(false, "one of two and a stranger", two_of_three.clone(), With::Signed(&[3, 4]));
    table.p2pk(true, "two of three", two_of_three.clone(), With::Signed(&[3, 1]));
    table.p2pk(false, "one key, two signatures of it", two_of_three.clone(), With::Nothing);
    table.resign(|table, secret| vec![table.signature(2, secret, 1), table.signature(2, secret, 2)]);
    table.p2pk(false, "one signature in two hex cases", two_of_three.clone(), With::Nothing);
    table.resign(|table, secret| {
        let one = table.signature(2, secret, 1);
        vec![one.to_uppercase(), one]
    });
    table.p2pk(true, "hex of either case", two_of_three, With::Nothing);
    table.resign(|table, secret| vec![table.signature(2, secret, 1).to_uppercase(), table.signature(3, secret, 1)]);
    table.p2pk(false, "the signature of another secret", json!([]), With::Nothing);
    table.resign(|table, _| vec![table.ring.sign(1, &input_digest(&table.cases[0].secret), 1)]);
    table.p2pk(false, "more signatures than are checked", json!([]), With::Signed(&[1; 33]));
    table.p2pk(true, "tags that mean nothing", json!([["note", "x"], ["note", "y"]]), With::Signed(&[1]));
    Locked::start(table).await.try_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn witnesses_of_every_shape() {
    let mut table = Table::new();
    for text in [
        "",
        " ",
        "{",
        "[]",
        "null",
        "7",
        "{}",
        r#"{"signatures":null}"#,
        r#"{"signatures":[]}"#,
        r#"{"signatures":"x"}"#,
        r#"{"signatures":[7]}"#,
        r#"{"signatures":[""]}"#,
        r#"{"signatures":[],"signatures":[]}"#,
        r#"{"preimage":"00"}"#,
    ] {
        table.p2pk(false, text, json!([]), With::Text(text));
    }
    let deep = format!("{}{}", "[".repeat(4_000), "]".repeat(4_000));
    table.p2pk(false, "a deep witness", json!([]), With::Text(&deep));
    for cut in [1, 2, 64] {
        table.p2pk(false, &format!("a signature without its last {cut} digits"), json!([]), With::Nothing);
        table.resign(|table, secret| vec![table.signature(1, secret, 1)[..128 - cut].to_owned()]);
    }
    table.p2pk(false, "a signature that is no hex", json!([]), With::Nothing);
    table.resign(|table, secret| vec![table.signature(1, secret, 1).replace(char::is_alphabetic, "x")]);
    // A witness says nothing about a plain secret, nor a preimage about a key.
    table.add(true, "a witness of a plain secret", "plain", With::Text(r#"{"signatures":[]}"#));
    table.p2pk(true, "a preimage nobody asked for", json!([]), With::Preimage(json!("00"), &[1]));
    let locked = Locked::start(table).await;
    // An object in place of its text is read as the text (see `Witness`), no more and no less.
    let (case, proof) = &locked.cases[0];
    let mut input = presented(case, proof);
    for unsigned in [json!({}), json!({ "signatures": [] }), json!({ "signatures": { "0": "x" } })] {
        input["witness"] = unsigned;
        assert_eq!(locked.swap(&input).await.code(), Some(NOT_OPENED), "{input}");
    }
    locked.try_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locktimes_and_refunds() {
    let mut table = Table::new();
    let (two, three) = (table.ring.key(2), table.ring.key(3));
    let after = |time: &str, refund: &Value| json!([["locktime", time], refund]);
    let (to_two, to_both) = (json!(["refund", two]), json!(["refund", two, three]));
    for never in [FUTURE, "abc", "-1", "1e30", "1.5", " 1000000000", "0x10", "99999999999999999999"] {
        table.p2pk(false, &format!("locktime {never}, by anyone"), json!([["locktime", never]]), With::Nothing);
        table.p2pk(false, &format!("locktime {never}, refund"), after(never, &to_two), With::Signed(&[2]));
        table.p2pk(true, &format!("locktime {never}, its key"), after(never, &to_two), With::Signed(&[1]));
    }
    for over in [PAST, "0"] {
        table.p2pk(true, &format!("locktime {over}, by anyone"), json!([["locktime", over]]), With::Nothing);
    }
    table.p2pk(true, "by anyone, with some text", json!([["locktime", PAST]]), With::Text("{"));
    table.p2pk(false, "refund, unsigned", after(PAST, &to_two), With::Nothing);
    table.p2pk(false, "refund, a stranger", after(PAST, &to_two), With::Signed(&[3]));
    table.p2pk(true, "refund", after(PAST, &to_two), With::Signed(&[2]));
    table.p2pk(true, "its key after the locktime", after(PAST, &to_two), With::Signed(&[1]));
    let mut both = after(PAST, &to_both);
    both.as_array_mut().expect("a list").push(json!(["n_sigs_refund", "2"]));
    table.p2pk(false, "one of two refund keys", both.clone(), With::Signed(&[2]));
    table.p2pk(false, "one of two refund keys, twice", both.clone(), With::Signed(&[3, 3]));
    table.p2pk(false, "one of two refund keys and a stranger", both.clone(), With::Signed(&[3, 4]));
    table.p2pk(true, "both refund keys", both, With::Signed(&[3, 2]));
    table.p2pk(true, "one of two refund keys will do", after(PAST, &to_both), With::Signed(&[3]));
    table.p2pk(false, "a refund key twice", after(PAST, &json!(["refund", two, two])), With::Signed(&[1, 2]));
    let twice = json!([["locktime", PAST], ["locktime", FUTURE]]);
    table.p2pk(false, "two locktimes", twice, With::Signed(&[1]));
    Locked::start(table).await.try_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hash_locks() {
    let mut table = Table::new();
    let (one, two) = (table.ring.key(1), table.ring.key(2));
    let keyed = json!([["pubkeys", one]]);
    let wrong = [
        json!(null),
        json!(""),
        json!("00".repeat(32)),
        json!("09".repeat(31)),
        json!("09".repeat(33)),
        json!("09".repeat(2_000)),
        json!("0x".to_owned() + &preimage()),
        json!("\u{9}".repeat(32)),
        json!("xy".repeat(32)),
        json!(9),
    ];
    for (tags, keys) in [(json!([]), &[][..]), (keyed.clone(), &[1])] {
        table.htlc(false, "no witness", tags.clone(), With::Nothing);
        table.htlc(false, "no preimage", tags.clone(), With::Signed(keys));
        for preimage in &wrong {
            table.htlc(false, &format!("{preimage:.40}"), tags.clone(), With::Preimage(preimage.clone(), keys));
        }
        table.htlc(true, "the preimage", tags.clone(), With::Preimage(json!(preimage()), keys));
    }
    table.htlc(false, "unsigned", keyed.clone(), With::Preimage(json!(preimage()), &[]));
    table.htlc(false, "signed by a stranger", keyed, With::Preimage(json!(preimage()), &[2]));
    let both = json!([["pubkeys", one, two], ["n_sigs", "2"]]);
    table.htlc(false, "one of two", both.clone(), With::Preimage(json!(preimage()), &[2]));
    table.htlc(true, "two of two", both, With::Preimage(json!(preimage()), &[2, 1]));
    for (time, opens) in [(FUTURE, false), (PAST, true)] {
        let refund = json!([["pubkeys", one], ["locktime", time], ["refund", two]]);
        table.htlc(opens, "refund without a preimage", refund.clone(), With::Signed(&[2]));
        for preimage in [json!(null), json!(""), json!("00"), json!("00".repeat(32))] {
            let what = format!("refund with preimage {preimage}");
            table.htlc(opens, &what, refund.clone(), With::Preimage(preimage, &[2]));
        }
        table.htlc(false, "refund, unsigned", refund.clone(), With::Preimage(json!(""), &[]));
        table.htlc(false, "refund, with the preimage alone", refund, With::Preimage(json!(preimage()), &[]));
    }
    Locked::start(table).await.try_all().await;
}

/// A malformed lock is refused whoever signs.
const EVERYBODY: With<'static> = With::Preimage(Value::Null, &[1, 2, 3]);

#[tokio::test(flavor = "multi_thread")]
async fn malformed_tags() {
    let mut table = Table::new();
    let (one, two, three) = (table.ring.key(1), table.ring.key(2), table.ring.key(3));
    let (parity, x) = one.split_at(2);
    let mirrored = format!("{}{x}", if parity == "02" { "03" } else { "02" });
    let counts =
        ["0", "-1", "2147483648", "4294967297", "18446744073709551617", "two", "4", "1.0", "+1", " 1", "1e0", ""];
    for count in counts {
        let tags = json!([["pubkeys", two, three], ["n_sigs", count]]);
        table.p2pk(false, &format!("n_sigs {count:?}"), tags, EVERYBODY);
        let tags = json!([["locktime", PAST], ["refund", one, two, three], ["n_sigs_refund", count]]);
        table.p2pk(false, &format!("n_sigs_refund {count:?}"), tags, EVERYBODY);
    }
    let many: Vec<String> = (2..=34).map(|number| table.ring.key(number)).collect();
    let off_curve = format!("02{}5", "0".repeat(63));
    for (what, tags) in [
        ("a number that is one", json!([["pubkeys", two], ["n_sigs", 2]])),
        ("a count with two values", json!([["pubkeys", two], ["n_sigs", "1", "2"]])),
        ("a count without a value", json!([["n_sigs"]])),
        ("a count of refund keys that are not there", json!([["n_sigs_refund", "1"]])),
        ("a count twice", json!([["pubkeys", two], ["n_sigs", "1"], ["n_sigs", "2"]])),
        ("keys in two tags", json!([["pubkeys", two], ["pubkeys", three]])),
        ("a key twice", json!([["pubkeys", two, two]])),
        ("a key in two hex cases", json!([["pubkeys", two, two.to_uppercase()]])),
        ("a key that differs in parity alone", json!([["pubkeys", mirrored], ["n_sigs", "2"]])),
        ("a key off the curve", json!([["pubkeys", off_curve]])),
        ("a key without parity", json!([["pubkeys", &two[2..]]])),
        ("an uncompressed key", json!([["pubkeys", format!("04{}{}", &two[2..], &two[2..])]])),
        ("a refund key that is none", json!([["locktime", FUTURE], ["refund", "02"]])),
        ("33 more keys", json!([["pubkeys", many[0], many[1]], ["locktime", PAST], many_of("refund", &many[2..])])),
        ("a sigflag of nobody", json!([["sigflag", "SIG_SOME"]])),
        ("a sigflag in lower case", json!([["sigflag", "sig_inputs"]])),
        ("a sigflag twice", json!([["sigflag", "SIG_INPUTS"], ["sigflag", "SIG_INPUTS"]])),
        ("a sigflag of two values", json!([["sigflag", "SIG_INPUTS", "SIG_ALL"]])),
        ("an empty tag", json!([[]])),
        ("a tag without a name", json!([["", "x"]])),
        ("a tag that is a text", json!(["pubkeys"])),
        ("a tag in a tag", json!([["pubkeys", [two]]])),
        ("tags that are an object", json!({ "pubkeys": two })),
        ("tags that are a text", json!("pubkeys")),
    ] {
        table.p2pk(false, what, tags, EVERYBODY);
    }
    Locked::start(table).await.try_all().await;
}

fn many_of(tag: &str, keys: &[String]) -> Value {
    std::iter::once(tag.to_owned()).chain(keys.iter().cloned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_secrets() {
    let mut table = Table::new();
    let one = table.ring.key(1);
    let shapes = [
        "[",
        "[]",
        "[7]",
        r#"["P2PK"]"#,
        r#"["P2PK","DATA"]"#,
        r#"["P2PK",["NONCE","DATA",[]]]"#,
        r#"["P2PK",{"nonce":"NONCE","data":"DATA"},7]"#,
        r#"["P2PK",{"nonce":"NONCE","data":"DATA"}] x"#,
        r#" ["NEW",{"nonce":"NONCE","data":"DATA"}]"#,
        r#"["p2pk",{"nonce":"NONCE","data":"DATA"}]"#,
        r#"[["P2PK"],{"nonce":"NONCE","data":"DATA"}]"#,
        r#"["P2PK",{"data":"DATA"}]"#,
        r#"["P2PK",{"nonce":7,"data":"DATA"}]"#,
        r#"["P2PK",{"nonce":"NONCE"}]"#,
        r#"["P2PK",{"nonce":"NONCE","data":7}]"#,
        r#"["P2PK",{"nonce":"NONCE","data":null}]"#,
        r#"["P2PK",{"nonce":"NONCE","data":"","tags":[]}]"#,
        r#"["P2PK",{"nonce":"NONCE","data":"020000000000000000000000000000000000000000000000000000000000000005"}]"#,
        r#"["P2PK",{"nonce":"NONCE","data":"DATA00"}]"#,
        r#"["P2PK",{"nonce":"NONCE","data":"DATA","data":"DATA"}]"#,
        r#"["P2PK",{"nonce":"NONCE","data":"DATA","tags":[],"tags":[]}]"#,
        r#"["P2PK",{"nonce":"NONCE","data":"DATA","more":1}]"#,
        r#"["P2PK",{"nonce":"NONCE","data":"DATA","tags":[["a","\ud800"]]}]"#,
        r#"["HTLC",{"nonce":"NONCE","data":"DATA"}]"#,
        r#"["HTLC",{"nonce":"NONCE","data":"00"}]"#,
        r#"["HTLC",{"nonce":"NONCE","data":""}]"#,
    ];
    for shape in shapes {
        let text = shape.replace("NONCE", &table.nonce()).replace("DATA", &one);
        table.add(false, shape, &text, EVERYBODY);
    }
    let deep = format!("[\"P2PK\",{{\"nonce\":\"\",\"data\":\"{one}\",\"tags\":{}", "[".repeat(3_000));
    table.add(false, "deep", &deep, EVERYBODY);
    let many = json!(vec![["a", "b"]; 350]);
    table.p2pk(true, "as many tags as fit", many, With::Signed(&[1]));
    Locked::start(table).await.try_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_bounded_before_any_is_done() {
    let mut table = Table::new();
    let keys: Vec<String> = (2..=32).map(|number| table.ring.key(number)).collect();
    let numbers: Vec<u8> = (101..=132).collect();
    for _ in 0..10 {
        table.p2pk(false, "32 keys and 32 strangers", json!([many_of("pubkeys", &keys)]), With::Signed(&numbers));
    }
    let locked = Locked::start(table).await;
    let inputs: Vec<Value> = locked.cases.iter().map(|(case, proof)| presented(case, proof)).collect();
    let body = json!({ "inputs": inputs, "outputs": locked.wallet.draft(&[2, 8]).messages });
    let answer = locked.wallet.api.post("/v1/swap", &body).await;
    assert_eq!(answer.code(), Some(NOT_OPENED));
    assert!(answer.body["detail"].as_str().expect("a sentence").contains("fewer at a time"), "{answer:?}");
    // A proof of a locked secret that is longer than any may be is refused as it is read.
    let mut input = inputs[0].clone();
    input["secret"] = json!(format!("[\"P2PK\",{{\"tags\":{}}}]", json!(vec![["a", "b"]; 10_000])));
    assert_eq!(locked.swap(&input).await.code(), Some(10_000));
    let mut input = inputs[0].clone();
    input["witness"] = json!(json!({ "preimage": "0".repeat(1 << 20) }).to_string());
    assert_eq!(locked.swap(&input).await.code(), Some(10_000));
    locked.try_all().await;
}
