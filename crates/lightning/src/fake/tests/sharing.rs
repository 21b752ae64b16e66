//! Several nodes, threads and processes on one file.

use std::process::{Child, Command};

use super::*;

/// Names the ledger for a child process of these tests.
const CHILD_LEDGER: &str = "HAZEL_FAKE_TEST_LEDGER";

const CHILDREN: u64 = 3;
const INVOICES_PER_CHILD: u64 = 20;

fn node(path: &std::path::Path, behaviour: Behaviour) -> FakeNode {
    let config = FakeConfig { poll_ms: 5, stream_wait_ms: 500, behaviour, ..FakeConfig::default() };
    FakeNode::open(path, config, Arc::new(SystemWorld)).unwrap()
}

fn real_payment(id: OperationId, request: &str, amount_msat: u64) -> Payment {
    let not_after = Timestamp::from_unix(SystemWorld.now_ms() / 1_000 + 60);
    Payment { id, request: request.into(), amount_msat, max_fee_msat: 0, not_after, fence: Fence::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_lookers_book_each_settlement_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lightning.db");
    let nodes: Vec<_> = (0..4)
        .map(|_| Arc::new(node(&path, Behaviour { settle: Settle::AfterMs(30), ..Behaviour::instant() })))
        .collect();
    for _ in 0..40 {
        nodes[0].create_invoice(new_invoice(1_000)).await.unwrap();
    }
    let lookers = nodes.iter().cloned().map(|node| {
        tokio::spawn(async move {
            let mut seen = Vec::new();
            while seen.len() < 40 {
                let cursor = seen.last().map_or(0, |s: &hazel_mint::ports::Settlement| s.cursor);
                seen.extend(node.settlements(cursor).await.unwrap());
            }
            seen
        })
    });
    let mut streams = Vec::new();
    for looker in lookers.collect::<Vec<_>>() {
        streams.push(looker.await.unwrap());
    }
    assert!(streams.windows(2).all(|pair| pair[0] == pair[1]), "every process reads the same stream");
    assert_eq!(open_ledger(&path).unwrap().settled_total_msat().unwrap(), 40_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_payers_of_one_invoice_settle_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lightning.db");
    let behaviour = Behaviour { settle: Settle::WhenTold, ..Behaviour::instant() };
    let nodes: Vec<_> = (0..4).map(|_| Arc::new(node(&path, behaviour.clone()))).collect();
    let invoice = nodes[0].create_invoice(new_invoice(1_000)).await.unwrap();
    let payers: Vec<_> = nodes
        .iter()
        .cloned()
        .map(|node| {
            let payment = real_payment(fresh_id(), &invoice.request, 1_000);
            tokio::spawn(async move { node.pay(payment).await.unwrap() })
        })
        .collect();
    let mut winners = 0;
    for payer in payers {
        winners += i32::from(matches!(payer.await.unwrap(), PaymentStatus::Paid(_)));
    }
    let ledger = open_ledger(&path).unwrap();
    assert_eq!((winners, ledger.settled_total_msat().unwrap()), (1, 1_000));
    assert_eq!(ledger.paid_total_msat().unwrap(), 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_calls_with_one_id_begin_one_payment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lightning.db");
    let nodes: Vec<_> =
        (0..4).map(|_| Arc::new(node(&path, Behaviour { pay_delay_ms: 20, ..Behaviour::instant() }))).collect();
    let (id, request) = (fresh_id(), foreign(1_000, ""));
    let calls: Vec<_> = nodes
        .iter()
        .cloned()
        .map(|node| {
            let payment = real_payment(id, &request, 1_000);
            tokio::spawn(async move { node.pay(payment).await.unwrap() })
        })
        .collect();
    for call in calls {
        assert_eq!(paid(&call.await.unwrap()).0, PaymentProof::Vouched);
    }
    let ledger = open_ledger(&path).unwrap();
    assert_eq!((ledger.payments().unwrap().len(), ledger.pay_calls().unwrap().len()), (1, 4));
}

#[test]
fn racing_openers_make_one_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lightning.db");
    let openers: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn({
                let path = path.clone();
                move || open_ledger(path).map(|_| ())
            })
        })
        .collect();
    for opener in openers {
        opener.join().unwrap().unwrap();
    }
}

#[tokio::test]
async fn waiting_for_another_process_counts_against_the_deadline() {
    let bench = Bench::instant();
    let payment = bench.payment(&foreign(1_000, ""), 1_000);
    let slow = rusqlite::Connection::open(&bench.path).unwrap();
    slow.execute_batch("BEGIN IMMEDIATE").unwrap();
    let release = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        bench.world.pass(600_000);
        slow.execute_batch("ROLLBACK").unwrap();
    };
    let (refused, ()) = tokio::join!(bench.node.pay(payment), release);
    assert!(refused.is_err());
    assert_eq!(bench.outcomes(), [CallOutcome::Late]);
}

/// Not a test of its own: what the processes of the next one run.
#[tokio::test]
async fn child_process() {
    let Some(path) = std::env::var_os(CHILD_LEDGER) else { return };
    let node = node(std::path::Path::new(&path), Behaviour { settle: Settle::WhenTold, ..Behaviour::instant() });
    for _ in 0..INVOICES_PER_CHILD {
        let invoice = node.create_invoice(new_invoice(1_000)).await.unwrap();
        let mut id = [0; 16];
        SystemWorld.fill_random(&mut id);
        let payment = real_payment(OperationId::from_bytes(id), &invoice.request, 1_000);
        paid(&node.pay(payment).await.unwrap());
    }
}

fn spawn_child(path: &std::path::Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fake::tests::sharing::child_process", "--test-threads", "1"])
        .env(CHILD_LEDGER, path)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn processes_share_one_node() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lightning.db");
    let children: Vec<_> = (0..CHILDREN).map(|_| spawn_child(&path)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let ledger = open_ledger(&path).unwrap();
    let total = CHILDREN * INVOICES_PER_CHILD * 1_000;
    assert_eq!((ledger.settled_total_msat().unwrap(), ledger.paid_total_msat().unwrap()), (total, total));
    let instances: std::collections::BTreeSet<_> =
        ledger.pay_calls().unwrap().into_iter().map(|call| call.instance).collect();
    assert_eq!(u64::try_from(instances.len()).unwrap(), CHILDREN);
    assert!(ledger.paid_twice().unwrap().is_empty());
}

#[test]
fn a_killed_process_leaves_whole_payments() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lightning.db");
    let ledger = open_ledger(&path).unwrap();
    let mut child = spawn_child(&path);
    while ledger.settlements(0).unwrap().len() < 3 {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let payments = ledger.payments().unwrap();
    assert!(payments.iter().all(|payment| payment.state == PaymentState::Paid));
    assert_eq!(ledger.settled_total_msat().unwrap(), ledger.paid_total_msat().unwrap());
    assert_eq!(ledger.pay_calls().unwrap().len(), payments.len());
}
