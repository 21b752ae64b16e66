//! From a plan to a running mint, and back down in order.
//!
//! Up: the store (its lock first: whoever has it is alone), the seed, the Lightning node, the engine, the listener, and only then
//! recovery, which never delays the listener. Down: the listener, the engine's running operations, the store.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hazel_http::server;
use hazel_lightning::fake::{FakeConfig, FakeNode, SystemWorld};
use hazel_mint::ports::{ApplyError, Environment, ReadError, Store};
use hazel_mint::signer::LocalSigner;
use hazel_mint::{Backends, Mint, OpenError, Ports};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::admin;
use crate::config::{Config, Database, Fake, SecretSource};
use crate::environment::SystemEnvironment;
use crate::failure::Failure;
use crate::import;
use crate::ledger::Ledger;
use crate::logging;
use crate::seed::{self, Seed, SeedError};
use crate::shutdown::Signals;

/// How long running operations may take to end once the process is told to stop. Melts in flight are left to recovery.
const DRAIN: Duration = Duration::from_secs(20);

/// How long the node may take at the start to say what it has paid.
const COMPARISON: Duration = Duration::from_secs(10);

/// How long tasks that hold on to the runtime may delay the end of the process.
const RUNTIME_END: Duration = Duration::from_secs(1);

/// What is to run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Everything that can be set.
    pub(crate) config: Config,
    /// Where the seed comes from.
    pub(crate) seed: SeedPolicy,
    /// Said on standard error before anything else.
    pub(crate) banner: Option<String>,
}

/// Where the seed comes from.
#[derive(Debug)]
pub(crate) enum SeedPolicy {
    /// It must be there.
    Given(SecretSource),
    /// It is made in this file, but only while the database is empty.
    MakeWhenEmpty(PathBuf),
}

/// Runs the plan until a signal or a failure ends it.
pub(crate) fn run(plan: Plan) -> Result<(), Failure> {
    logging::start(plan.config.log);
    #[cfg(feature = "failpoints")]
    let _armed = crate::failpoints::arm().map_err(Failure::Usage)?;
    if let Some(banner) = &plan.banner {
        // The log has what matters, should standard error be closed.
        let _ = std::io::stderr().write_all(banner.as_bytes());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Internal(format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(live(plan));
    runtime.shutdown_timeout(RUNTIME_END);
    ended
}

async fn live(plan: Plan) -> Result<(), Failure> {
    let internal = |what: &'static str| move |error: std::io::Error| Failure::Internal(format!("{what}: {error}"));
    let signals = Signals::listen().map_err(internal("cannot listen for signals"))?;
    let environment = SystemEnvironment::new(tokio::runtime::Handle::current())
        .map_err(internal("this machine does not give what a mint needs"))?;
    let ledger = Ledger::open(&plan.config.database).await?;
    let mint = open_mint(&plan, ledger.store(), Arc::new(environment)).await?;
    let ended = serve(&plan.config, &mint, &ledger, signals).await;
    ledger.close().await;
    ended
}

/// The seed, made now if that is allowed and the ledger has no history.
async fn obtain_seed(policy: &SeedPolicy, store: &dyn Store, database: &Database) -> Result<Seed, Failure> {
    let path = match policy {
        SeedPolicy::Given(source) => return Ok(seed::read(source)?),
        SeedPolicy::MakeWhenEmpty(path) => path,
    };
    match seed::read(&SecretSource::File(path.clone())) {
        Err(SeedError::Missing(_)) => {}
        other => return Ok(other?),
    }
    let keysets = store.keysets().await.map_err(|error| Failure::Mismatch(error.to_string()))?;
    if !keysets.is_empty() {
        let missing = SeedError::MissingBesideLedger { database: database.to_string(), seed: path.clone() };
        return Err(missing.into());
    }
    match seed::create(path) {
        Ok(()) => tracing::info!(file = %path.display(), "made a new seed for an empty database: keep a copy of it"),
        // Another process has just made it.
        Err(SeedError::Exists(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(seed::read(&SecretSource::File(path.clone()))?)
}

async fn open_mint(
    plan: &Plan,
    store: Arc<dyn Store>,
    environment: Arc<dyn Environment>,
) -> Result<Arc<Mint>, Failure> {
    let seed = obtain_seed(&plan.seed, &*store, &plan.config.database).await?;
    let payments = open_backends(&plan.config)?;
    let mut entropy = [0; 32];
    environment.fill_random(&mut entropy);
    let signer = LocalSigner::new(seed, &entropy, Arc::clone(&environment))
        .map_err(|error| Failure::Mismatch(error.to_string()))?;
    let imports = import::read_keys(&plan.config.imported_keysets)?;
    let imported: Vec<_> = imports.iter().map(|import| import.id).collect();
    let signer = imports.into_iter().fold(signer, |signer, import| signer.with_import(import.id, import.keys));
    let rates = Arc::new(plan.config.rates.clone());
    let ports = Ports { store, signer: Arc::new(signer), payments, rates, environment };
    let mint = Mint::open(plan.config.mint.clone(), ports).await.map_err(|error| open_failure(&error))?;
    import::demand_known(&mint.keyring(), &imported)?;
    warn_of_other_fees(&plan.config, &mint);
    compare_with_node(&mint).await;
    Ok(mint)
}

/// Looks for signs of an old copy of the database before anybody is served. A node that is away holds up the start no longer than that.
async fn compare_with_node(mint: &Mint) {
    match tokio::time::timeout(COMPARISON, mint.compare_with_node()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the node does not say what it has paid, starting without"),
        Err(_) => tracing::warn!("the node does not say in time what it has paid, starting without"),
    }
}

/// Who serves each payment method.
fn open_backends(config: &Config) -> Result<Backends, Failure> {
    let mut backends = Backends::default();
    for method in config.mint.methods.iter().map(|config| &config.method) {
        let node = open_node(config.other_methods.get(method).unwrap_or(&config.lightning))?;
        backends = backends.with(method.clone(), Arc::new(node));
    }
    Ok(backends)
}

fn open_node(fake: &Fake) -> Result<FakeNode, Failure> {
    let config = FakeConfig {
        behaviour: fake.behaviour.clone(),
        amountless: fake.amountless,
        mpp: fake.mpp,
        ..FakeConfig::default()
    };
    FakeNode::open(&fake.ledger, config, Arc::new(SystemWorld))
        .map_err(|error| Failure::Internal(format!("the fake Lightning node at {}: {error}", fake.ledger.display())))
}

fn open_failure(error: &OpenError) -> Failure {
    let text = error.to_string();
    match error {
        OpenError::Config(_) => Failure::Usage(text),
        OpenError::OtherSeed
        | OpenError::OtherKeys(_)
        | OpenError::MissingKeys(_)
        | OpenError::Apply(ApplyError::Corrupt(_))
        | OpenError::Read(ReadError::Corrupt(_)) => Failure::Mismatch(text),
        _ => Failure::Internal(text),
    }
}

/// A keyset never changes; a new fee takes a new keyset, which start-up does not make by itself.
fn warn_of_other_fees(config: &Config, mint: &Mint) {
    for keyset in mint.keysets().keysets.iter().filter(|keyset| keyset.active) {
        let wanted = config.mint.units.iter().find(|unit| unit.unit == keyset.unit);
        if let Some(wanted) = wanted.filter(|unit| unit.input_fee_ppk != keyset.input_fee_ppk) {
            tracing::warn!(
                unit = %keyset.unit,
                keyset = %keyset.id,
                has = keyset.input_fee_ppk,
                configured = wanted.input_fee_ppk,
                "the active keyset keeps its fee until it is rotated"
            );
        }
    }
}

/// Why the mint ends.
enum End {
    Signal(i32),
    Store(String),
}

async fn serve(config: &Config, mint: &Arc<Mint>, ledger: &Ledger, mut signals: Signals) -> Result<(), Failure> {
    // First, so that whoever reads where the API listens can reach it, too.
    let admin = admin::Surface::open(config.admin.as_ref()).await?;
    let listener = listen(config).await?;
    let connections = server::ListenConfig { drain: DRAIN, ..config.http.connections.clone() };
    let router = server::router(Arc::clone(mint), config.http.server.clone());
    mint.start();
    let (stop, stopped) = oneshot::channel::<()>();
    let _admin = admin.map(|surface| surface.serve(Arc::clone(mint)));
    let api = tokio::spawn(server::serve(listener, router, connections, async {
        // Both a message and a dropped sender mean stop.
        let _ = stopped.await;
    }));
    let end = tokio::select! {
        number = signals.next() => End::Signal(number),
        reason = ledger.closed() => End::Store(reason),
    };
    signals.exit_at_next();
    if let End::Signal(number) = end {
        tracing::info!(signal = number, "told to stop: finishing what is under way");
    }
    drop(stop);
    let (drained, answered) = tokio::join!(mint.drain(DRAIN), api);
    match end {
        End::Store(reason) => Err(Failure::StoreStopped(reason)),
        End::Signal(_) => {
            if drained && answered.is_ok_and(|all| all) {
                tracing::info!("stopped");
            } else {
                tracing::warn!("stopped with operations under way: the next start resolves them");
            }
            Ok(())
        }
    }
}

/// Binds the address and says where that is: the one line on standard output, for people and for programs.
async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    let address = config.http.listen;
    let failed = |reason| Failure::Listen { address, reason };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let mut out = std::io::stdout().lock();
    // Whoever closed standard output does not want to know.
    let _ = writeln!(out, "listening on http://{bound}").and_then(|()| out.flush());
    tracing::info!(address = %bound, "listening");
    Ok(listener)
}
