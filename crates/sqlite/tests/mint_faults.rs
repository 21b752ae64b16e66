//! Full disks, failing disks and power cuts: whoever was told yes is in the ledger, whoever was told no is not.
#![cfg(all(feature = "mint", target_os = "linux"))]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed test panics")]

mod shim;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use hazel_mint::ports::Store;
use hazel_mint::store::contract::Snapshot;
use hazel_sqlite::{MintStore, OpenError, OpenOptions};
use shim::{DiskFile, EIO, ENOSPC, Event, Fault, SimulatedDisk};
use support::workload::{Plan, Step, Told, setup};
use support::{file, options};

/// Where a child finds its database, writes what its clients are told, and marks its trace.
const DATABASE: &str = "HAZEL_TEST_DATABASE";
const REPORT: &str = "HAZEL_TEST_REPORT";
const TRACE: &str = "HAZEL_TEST_TRACE";

/// How a child ends that could not open its database.
const NOT_OPENED: i32 = 3;
/// How a child ends whose store has said that the process must stop.
const STOPPED: i32 = 4;

/// What the clients of a child do.
fn plan() -> Plan {
    Plan::new(3, 1)
}

/// A log this short is emptied a few times in each run, so that checkpoints fail and are cut off too.
fn short_log() -> OpenOptions {
    OpenOptions { max_wal_pages: 48, ..options() }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// The content of a ledger that has been set up and closed.
fn template() -> Vec<u8> {
    let disk = support::Disk::new();
    runtime().block_on(async {
        for change in setup() {
            disk.store.apply(change).await.expect("set up");
        }
    });
    disk.store.close();
    fs::read(disk.path()).expect("the ledger")
}

/// Opens a ledger that was just closed. A child that another test of this process starts at that moment holds every open file until it
/// has begun its own program, and with them the lock.
fn reopen(path: &Path) -> MintStore {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        match MintStore::open(path, &options()) {
            Err(OpenError::InUse { .. }) if Instant::now() < patience => std::thread::sleep(Duration::from_millis(20)),
            opened => return opened.expect("the ledger opens"),
        }
    }
}

/// What the ledger at `path` holds.
fn look(path: &Path) -> Snapshot {
    let store = reopen(path);
    runtime().block_on(Snapshot::take(&store, &plan().known()))
}

/// Not a test by itself: what a child process does. It ends without closing anything.
#[test]
#[ignore = "started by the tests of this file"]
fn child() {
    let Some(path) = std::env::var_os(DATABASE) else { return };
    let (report, trace) = (std::env::var_os(REPORT), std::env::var_os(TRACE));
    let Ok(store) = MintStore::open(Path::new(&path), &short_log()) else { std::process::exit(NOT_OPENED) };
    let tell = move |(client, place): Step, told: Told| {
        let line = format!("{client} {place} {told:?}");
        if let Some(trace) = &trace {
            shim::mark(Path::new(trace), &line);
        }
        if let Some(report) = &report {
            let mut file = fs::OpenOptions::new().append(true).create(true).open(report).expect("the report");
            std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()).expect("written");
        }
    };
    let store = Arc::new(store);
    runtime().block_on(plan().run(Arc::<MintStore>::clone(&store), tell));
    std::process::exit(if store.closed().now_or_never().is_some() { STOPPED } else { 0 });
}

fn start_child(database: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "child", "--ignored", "--nocapture"]).env(DATABASE, database);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command
}

fn parse(line: &str) -> (Step, Told) {
    let mut words = line.split(' ');
    let mut number = || words.next().and_then(|word| word.parse::<u32>().ok()).expect("a number");
    let step = (number(), usize::try_from(number()).expect("small"));
    let told = match words.next() {
        Some("Yes") => Told::Yes,
        Some("No") => Told::No,
        Some("Maybe") => Told::Maybe,
        other => panic!("not a report: {other:?}"),
    };
    (step, told)
}

/// How a run with a fault went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// The ledger did not open.
    NotOpened,
    /// Somebody noticed.
    Harmed,
    /// All clients came through.
    Unharmed,
}

/// Runs a child with a fault and checks what it leaves.
fn run_with(template: &[u8], fault: Fault) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let (database, report) = (file(folder.path()), folder.path().join("report"));
    fs::write(&database, template).expect("copied");
    let mut command = start_child(&database);
    command.env(REPORT, &report);
    shim::under_shim(&mut command, "/mint.sqlite", None, Some(fault));
    let code = command.status().expect("it runs").code();
    assert!(matches!(code, Some(0 | NOT_OPENED | STOPPED)), "{fault:?}: the child ended with {code:?}");
    let text = fs::read_to_string(&report).unwrap_or_default();
    let told: BTreeMap<Step, Told> = text.lines().map(parse).collect();
    if let Err(why) = plan().check(&look(&database), &told) {
        panic!("{fault:?}: {why}");
    }
    let all_said_yes = told.values().filter(|told| **told == Told::Yes).count() == plan().steps().count();
    let was_harmed = code != Some(0) || !all_said_yes;
    let must_stop = fault.sync && was_harmed && code != Some(NOT_OPENED);
    assert_eq!(
        code == Some(STOPPED),
        must_stop,
        "{fault:?}: a failed sync stops the store at once, and nothing else does"
    );
    match code {
        Some(NOT_OPENED) => Run::NotOpened,
        _ if was_harmed => Run::Harmed,
        _ => Run::Unharmed,
    }
}

/// Every run makes more calls of each kind than this.
const EVERY_RUN: usize = 8;

/// Fails call 1, 2, 3 .. until a run makes fewer calls than that.
fn fail_each_call(fault: impl Fn(usize) -> Fault, stride: usize) {
    let template = template();
    let mut at = 1;
    let mut unharmed = 0;
    // A run is a race of three clients, so that the number of calls differs: a few unharmed runs in a row are the end.
    while unharmed < 3 {
        assert!(at < 2000, "the calls never end");
        unharmed = if run_with(&template, fault(at)) == Run::Unharmed { unharmed + 1 } else { 0 };
        assert!(unharmed == 0 || at > EVERY_RUN, "nobody noticed that call {at} failed");
        at += stride;
    }
}

#[test]
fn a_failing_sync() {
    fail_each_call(|at| Fault { sync: true, at, errno: EIO, sticky: false, short: false }, 1);
}

#[test]
fn a_full_disk() {
    fail_each_call(|at| Fault { sync: false, at, errno: ENOSPC, sticky: true, short: at % 2 == 0 }, 3);
}

#[test]
fn a_dying_disk() {
    fail_each_call(|at| Fault { sync: false, at, errno: EIO, sticky: true, short: at % 2 == 0 }, 3);
}

/// The group is applied once more on a new connection, so that its clients see nothing of it.
#[test]
fn one_failing_write() {
    let template = template();
    for at in (1..200).step_by(4) {
        let run = run_with(&template, Fault { sync: false, at, errno: EIO, sticky: false, short: at % 2 == 0 });
        assert_ne!(run, Run::Harmed, "write {at}");
    }
}

/// A bound on the pages of the file is a disk that is full for statements, long before the commit.
#[test]
fn a_full_database() {
    let template = template();
    let pages = u32::try_from(template.len() / 4096).expect("small");
    for more in 0..12 {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(file(folder.path()), &template).expect("copied");
        let bounded = OpenOptions { max_pages: Some(pages + more), ..options() };
        let store: Arc<dyn Store> = Arc::new(MintStore::open(&file(folder.path()), &bounded).expect("it opens"));
        let told: Arc<std::sync::Mutex<BTreeMap<Step, Told>>> = Arc::default();
        let tell = {
            let told = Arc::clone(&told);
            move |step, answer| {
                told.lock().expect("whole").insert(step, answer);
            }
        };
        runtime().block_on(plan().run(Arc::clone(&store), tell));
        drop(store);
        let told = told.lock().expect("whole");
        assert!(!told.values().any(|told| *told == Told::Maybe), "a statement's failure is definite");
        if let Err(why) = plan().check(&look(&file(folder.path())), &told) {
            panic!("{more} pages more: {why}");
        }
    }
}

#[test]
fn a_power_cut() {
    let template = template();
    let folder = tempfile::tempdir().expect("a folder");
    let (database, trace) = (file(folder.path()), folder.path().join("trace"));
    fs::write(&database, &template).expect("copied");
    let mut command = start_child(&database);
    command.env(TRACE, &trace);
    shim::under_shim(&mut command, "/mint.sqlite", Some(&trace), None);
    assert!(command.status().expect("it runs").success());

    let mut cuts = Cuts::new(&database, &template);
    for event in shim::read_trace(&trace) {
        cuts.before(&event);
        cuts.disk.step(&event);
    }
    cuts.now();
    assert_eq!(cuts.disk.marks.len(), plan().steps().count(), "every client came through");
    assert!(cuts.tried.len() > 100, "only {} different disks", cuts.tried.len());
}

/// Cuts the power at every moment of a trace and looks at what is left.
struct Cuts {
    disk: SimulatedDisk,
    database: PathBuf,
    log: PathBuf,
    /// The disks that have been looked at, by a hash of their content and of the marks that had to be honoured.
    tried: BTreeSet<u64>,
}

impl Cuts {
    fn new(database: &Path, content: &[u8]) -> Self {
        let mut disk = SimulatedDisk::default();
        disk.files.insert(database.to_owned(), DiskFile::confirmed(content.to_vec()));
        let log = PathBuf::from(format!("{}-wal", database.display()));
        Self { disk, database: database.to_owned(), log, tried: BTreeSet::new() }
    }

    /// A cut just before a sync stands for every moment since the sync before it.
    fn before(&mut self, event: &Event) {
        if matches!(event, Event::Sync { .. }) {
            self.now();
        }
    }

    /// Every disk that a power cut now may leave: the log cut after any write since its sync, or with any one of them lost.
    fn now(&mut self) {
        let told: BTreeMap<Step, Told> = self.disk.marks.iter().map(|mark| parse(mark)).collect();
        let database = self.disk.files[&self.database].clone();
        let log = self.disk.files.get(&self.log).cloned().unwrap_or_default();
        let mut bases = BTreeSet::from([database.confirmed.clone()]);
        bases.extend((1..=database.pending.len()).map(|count| database.with_first(count)));
        for base in bases {
            let mut held = BTreeSet::new();
            for count in 0..=log.pending.len() {
                if let Some(more) = self.look(&base, &log.with_first(count), &told) {
                    assert!(held.is_subset(&more), "a longer log holds less");
                    held = more;
                }
            }
            for lost in 0..log.pending.len() {
                self.look(&base, &log.without(lost), &told);
            }
        }
    }

    /// Opens the ledger on such a disk; gives what it holds, or nothing when the same disk has been seen before.
    fn look(&mut self, database: &[u8], log: &[u8], told: &BTreeMap<Step, Told>) -> Option<BTreeSet<Step>> {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let content = BuildHasherDefault::<DefaultHasher>::default().hash_one((database, log, told.len()));
        if !self.tried.insert(content) {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = file(folder.path());
        fs::write(&path, database).expect("copied");
        fs::write(format!("{}-wal", path.display()), log).expect("copied");
        let ledger = look(&path);
        if let Err(why) = plan().check(&ledger, told) {
            panic!("after {} of the marks: {why}", told.len());
        }
        Some(plan().held(&ledger))
    }
}
