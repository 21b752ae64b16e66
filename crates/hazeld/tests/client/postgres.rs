//! The same tests on PostgreSQL: when `HAZEL_TEST_POSTGRES` names a server, every folder has a database of its own there.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::thread;

use tokio_postgres::{Client, NoTls};

use super::audit::Books;

/// The server, on which tests may make what they like.
fn server() -> Option<String> {
    std::env::var("HAZEL_TEST_POSTGRES").ok()
}

/// Whether the mints of these tests keep their ledgers on a server. What is about a file alone is then not asked.
pub(crate) fn is_on_postgres() -> bool {
    server().is_some()
}

/// Runs `job` with a connection to `url`, outside of any runtime that the test has.
fn with<T: Send>(url: &str, job: impl AsyncFnOnce(Client) -> T + Send) -> T {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let run = || {
        runtime().block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the server answers");
            drop(tokio::spawn(connection));
            job(client).await
        })
    };
    thread::scope(|scope| scope.spawn(run).join()).expect("the job does not panic")
}

/// The name of a folder's database: a folder of a test has a name that no other has.
fn name_of(folder: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    format!("mint_{:016x}", hasher.finish())
}

fn url_of(server: &str, folder: &Path) -> String {
    let (host, _) = server.rsplit_once('/').expect("the URL names a database");
    format!("{host}/{}", name_of(folder))
}

/// The URL of the database that goes with a folder, which is made at the first time; `None` on SQLite.
pub(crate) fn database_of(folder: &Path) -> Option<String> {
    let server = server()?;
    let name = name_of(folder);
    with(&server, async |client| {
        let known = client.query("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).await.expect("asked");
        if known.is_empty() {
            client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("made");
        }
    });
    Some(url_of(&server, folder))
}

/// Copies the database of one folder for another. Nobody uses the first meanwhile.
pub(super) fn copy(from: &Path, to: &Path) {
    let Some(server) = server() else { return };
    let (from, to) = (name_of(from), name_of(to));
    with(&server, async |client| {
        // A process that was killed leaves sessions that end when the server notices.
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        client.execute(end, &[&from]).await.expect("ended");
        client.batch_execute(&format!("CREATE DATABASE {to} TEMPLATE {from}")).await.expect("copied");
    });
}

/// Removes the database of a folder, whoever uses it.
pub(crate) fn remove(folder: &Path) {
    let Some(server) = server() else { return };
    let name = name_of(folder);
    with(&server, async |client| {
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.expect("removed");
    });
}

/// Adds the ledger of a folder up, as [`audit`](super::audit) does; `None` on SQLite.
pub(super) fn audit(folder: &Path) -> Option<Books> {
    let server = server()?;
    Some(with(&url_of(&server, folder), async |client| {
        // One snapshot: the daemon may be running.
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await.expect("a snapshot");
        let differing = sum(&client, DIFFERING).await;
        assert_eq!(differing, 0, "every total is the sum of its rows");
        add_up(&client).await
    }))
}

/// The state of the melt that is under way on a folder's database; `None` when there is none.
pub(crate) fn state_of_melt(folder: &Path) -> Option<String> {
    let server = server().expect("these tests are about PostgreSQL");
    with(&url_of(&server, folder), async |client| {
        let rows = client.query("SELECT state FROM operations WHERE kind = 'melt'", &[]).await.expect("asked");
        rows.first().map(|row| row.get(0))
    })
}

async fn sum(client: &Client, sql: &str) -> i64 {
    client.query_one(&format!("SELECT ({sql})::BIGINT"), &[]).await.expect("a sum").get(0)
}

/// How many keysets have totals that are not the sums of their rows, or are overdrawn or stopped.
const DIFFERING: &str = "SELECT count(*) FROM (SELECT k.id, k.latched, coalesce(sum(t.issued), 0) AS issued, \
    coalesce(sum(t.redeemed), 0) AS redeemed, coalesce(sum(t.reserved), 0) AS reserved \
    FROM keysets k LEFT JOIN totals t ON t.keyset = k.id GROUP BY k.id) k WHERE \
    issued <> (SELECT coalesce(sum(amount), 0) FROM blind_signatures WHERE keyset = k.id AND c IS NOT NULL) OR \
    redeemed <> (SELECT coalesce(sum(amount), 0) FROM proofs WHERE keyset = k.id AND state = 'spent') OR \
    reserved <> (SELECT coalesce(sum(amount), 0) FROM proofs WHERE keyset = k.id AND state = 'pending') OR \
    redeemed + reserved > issued OR latched";

async fn add_up(client: &Client) -> Books {
    let signed = async |kinds: &str| {
        let of = "SELECT coalesce(sum(amount), 0) FROM blind_signatures WHERE c IS NOT NULL AND operation_kind IN";
        sum(client, &format!("{of} ({kinds})")).await
    };
    let redeemed = sum(client, "SELECT coalesce(sum(amount), 0) FROM proofs WHERE state = 'spent'").await;
    let paid_out = sum(client, "SELECT coalesce(sum(amount), 0) FROM melt_quotes WHERE status = 'paid'").await;
    let fees = sum(client, "SELECT coalesce(sum(fees), 0) FROM totals").await;
    let unsigned = "SELECT count(*) FROM blind_signatures WHERE c IS NULL AND operation_id NOT IN \
                    (SELECT operation_id FROM melt_quotes WHERE status = 'paid')";
    Books {
        outstanding: signed("'issue', 'swap', 'melt'").await - redeemed,
        unfinished: sum(client, "SELECT count(*) FROM operations WHERE state <> 'given_up'").await,
        pending: sum(client, "SELECT count(*) FROM proofs WHERE state = 'pending'").await,
        reserved_outputs: sum(client, unsigned).await,
        credited: sum(client, "SELECT coalesce(sum(amount_paid), 0) FROM mint_quotes").await,
        drawn: sum(client, "SELECT coalesce(sum(amount_issued), 0) FROM mint_quotes").await,
        paid_out,
        fees,
        routing: redeemed - signed("'swap', 'melt'").await - fees - paid_out,
        issued: signed("'issue'").await,
        draws: sum(client, "SELECT coalesce(sum(amount), 0) FROM draws").await,
        credits: sum(client, "SELECT coalesce(sum(amount), 0) FROM credits").await,
    }
}
