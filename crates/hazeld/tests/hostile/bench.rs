//! A real mint with its Lightning node at hand, so that a test can bend the node, end the mint and start it again.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hazel_lightning::fake::{FakeLedger, InvoiceSpec, OutgoingPayment, open_ledger};
use hazel_protocol::{MeltQuoteBolt11Response, Proof, ProofState};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Answer, Hazeld, Launch, Wallet, audit};

/// How long anything may take that should be quick, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_mins(1);

/// A mint, a wallet, and a hand on the node.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) mint: Hazeld,
    pub(crate) wallet: Wallet,
    pub(crate) node: FakeLedger,
    launch: fn(Launch) -> Launch,
}

impl Bench {
    /// `hazeld dev`, bent by `launch` at every start.
    pub(crate) async fn new(launch: fn(Launch) -> Launch) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mint = launch(Launch::dev(folder.path())).start();
        let wallet = Wallet::open(mint.url(), 1).await;
        let node = open_ledger(folder.path().join("lightning.sqlite")).expect("the node's file opens");
        Self { folder, mint, wallet, node, launch }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("mint.sqlite")
    }

    /// Ends the mint in good order, does something to its file, and starts it again. There is no such file on PostgreSQL.
    pub(crate) fn restart_after(self, between: impl FnOnce(&Connection)) -> Self {
        let Self { folder, mint, wallet, node, launch } = self;
        mint.stop();
        between(&Connection::open(folder.path().join("mint.sqlite")).expect("the ledger opens"));
        let mint = launch(Launch::dev(folder.path())).start();
        let wallet = wallet.moved_to(mint.url());
        Self { folder, mint, wallet, node, launch }
    }

    /// Kills the mint and starts it again.
    pub(crate) fn killed(self) -> Self {
        let Self { folder, mint, wallet, node, launch } = self;
        mint.kill();
        let mint = launch(Launch::dev(folder.path())).start();
        let wallet = wallet.moved_to(mint.url());
        Self { folder, mint, wallet, node, launch }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.wallet.api.post(path, body).await
    }

    /// A melt that does not wait for its payment.
    pub(crate) async fn begin_melt(&self, quote: &MeltQuoteBolt11Response, coins: &[Proof], blanks: &Value) -> Answer {
        let body = json!({ "quote": quote.quote, "inputs": coins, "outputs": blanks, "prefer_async": true });
        self.post("/v1/melt/bolt11", &body).await
    }

    /// A melt that waits for its payment.
    pub(crate) async fn melt(&self, quote: &MeltQuoteBolt11Response, coins: &[Proof], blanks: &Value) -> Answer {
        self.post("/v1/melt/bolt11", &json!({ "quote": quote.quote, "inputs": coins, "outputs": blanks })).await
    }

    /// What the wallet is told of a melt quote.
    pub(crate) async fn melt_state(&self, quote: &MeltQuoteBolt11Response) -> String {
        self.wallet.melt_quote_now(&quote.quote).await.state.as_str().to_owned()
    }

    /// All of these proofs are in this state.
    pub(crate) async fn assert_all(&self, proofs: &[Proof], state: ProofState) {
        let states = self.wallet.states(proofs).await;
        assert!(states.iter().all(|found| *found == state), "all {state:?}: {states:?}\n{}", self.mint.log());
    }

    /// Waits until the melt quote is in this state.
    pub(crate) async fn until_melt(&self, quote: &MeltQuoteBolt11Response, state: &str) {
        eventually(state, async || self.melt_state(quote).await == state).await;
    }

    /// What the node has of the payments for one invoice.
    pub(crate) fn payments_for(&self, spec: &InvoiceSpec) -> Vec<OutgoingPayment> {
        let mut payments = self.node.payments().expect("the node's books open");
        payments.retain(|payment| payment.payment_hash == spec.payment_hash());
        payments
    }

    /// Whether the log says this, or will in a moment.
    pub(crate) fn says(&self, text: &str) -> bool {
        tokio::task::block_in_place(|| self.mint.logs(text, PATIENCE))
    }

    /// How often the log says this by now.
    pub(crate) fn logged(&self, text: &str) -> usize {
        self.mint.log().matches(text).count()
    }

    /// Ends the mint: nothing is pending, and wallets hold so much.
    pub(crate) fn close(self, held: u64) {
        self.mint.stop();
        audit(&self.folder.path().join("mint.sqlite")).assert_settled(held);
    }
}

/// Asks until it holds. It has to, within a minute.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = std::time::Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An invoice of some other node, each `number` another.
pub(crate) fn foreign(number: u8, msat: u64, description: &str) -> InvoiceSpec {
    InvoiceSpec::foreign([number; 32], Some(msat), description, now())
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}
