//! Keysets that were brought from another mint: their private keys, and what the other mint had written of them.
//!
//! The keys stay in a file of their own; the database holds the public ones. [`run`] puts a keyset into the database of a mint that does not
//! run, in this order, so that whatever breaks off leaves it stopped: the keyset, stopped; its history, a thousand rows at a time; what is still out;
//! then it is allowed. Run again, the command goes on where it broke off.

mod keys;
mod rows;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hazel_mint::keyring::Keyring;
use hazel_mint::ports::{
    Act, AddKeyset, Administer, ApplyError, AuditEntry, Change, Conflict, ImportRows, KeysetOrigin, KeysetRecord,
    LatchKeyset, MAX_IMPORT_ROWS, MeterKeyset, OperationId, Store, Timestamp,
};
use hazel_mint::store::rules::same_keyset;
use hazel_protocol::crypto::hash_to_curve;
use hazel_protocol::{Amount, KeysetId};

use crate::cli::ImportArgs;
use crate::config;
use crate::failure::Failure;
use crate::ledger::Ledger;

pub(crate) use keys::{KeysFile, read_keys};
use rows::Rows;

/// Who the audit log says acted.
const ACTOR: &str = "keyset import";

/// A keys file without its keyset in the database is a mistake: it would be served nowhere.
pub(crate) fn demand_known(ring: &Keyring, imported: &[KeysetId]) -> Result<(), Failure> {
    match imported.iter().find(|id| ring.known(id).is_err()) {
        None => Ok(()),
        Some(id) => Err(Failure::Usage(format!(
            "the keyset {id} of an [[imported_keyset]] file is not in the database: run `hazeld keyset import` first"
        ))),
    }
}

/// `hazeld keyset import`.
pub(crate) fn run(args: &ImportArgs) -> Result<(), Failure> {
    let config = config::load(&args.config, std::env::vars_os())?;
    demand_configured(&config.imported_keysets, &args.keys)?;
    let file = read_keys(std::slice::from_ref(&args.keys))?.remove(0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Internal(format!("cannot start the runtime: {error}")))?;
    let said = runtime.block_on(async {
        let ledger = Ledger::open(&config.database).await?;
        let said = match ledger.demand_idle().await {
            Ok(()) => take_over(&*ledger.store(), &file, args).await,
            Err(failure) => Err(failure),
        };
        ledger.close().await;
        said
    })?;
    // Whoever closed standard output does not want to know.
    let _ = std::io::stdout().lock().write_all(said.as_bytes());
    Ok(())
}

/// The next start must find the keys, too.
fn demand_configured(files: &[std::path::PathBuf], keys: &Path) -> Result<(), Failure> {
    let canonical = |path: &Path| std::fs::canonicalize(path).ok();
    let wanted = canonical(keys);
    if wanted.is_some() && files.iter().any(|file| canonical(file) == wanted) {
        return Ok(());
    }
    let shown = keys.display();
    Err(Failure::Usage(format!(
        "the configuration does not name {shown}: add [[imported_keyset]] with file = \"{shown}\", or the mint would not start"
    )))
}

async fn take_over(store: &dyn Store, file: &KeysFile, args: &ImportArgs) -> Result<String, Failure> {
    let importer = Importer { store, file, keyset: file.record(args.active, now()) };
    importer.add().await?;
    let signer = file.signer()?;
    let (mut redeemed, mut issued) = (0, 0);
    if let Some(path) = &args.spent {
        redeemed = importer.import(Rows::spent(path, &signer)?).await?;
    }
    if let Some(path) = &args.signed {
        issued = importer.import(Rows::signed(path, &signer)?).await?;
    }
    let metered = match args.outstanding {
        Some(outstanding) => importer.meter(Amount::from_u64(outstanding)).await.map(|()| "metered"),
        None => Ok("unmetered: nothing bounds what a leaked key of it could redeem"),
    }?;
    let allow = Act::LatchKeyset(LatchKeyset { keyset: file.id, latched: false });
    importer.act(random_id()?, allow, "its history is in").await?;
    let id = file.id;
    Ok(format!("keyset {id} is imported, with {redeemed} spent proofs and {issued} signatures; it is {metered}\n"))
}

/// A keyset on its way in.
struct Importer<'a> {
    store: &'a dyn Store,
    file: &'a KeysFile,
    keyset: KeysetRecord,
}

impl Importer<'_> {
    /// Adds the keyset, stopped; or finds it as an earlier run of this command has left it.
    async fn add(&self) -> Result<(), Failure> {
        let known = self.store.keysets().await.map_err(|error| Failure::Mismatch(error.to_string()))?;
        match known.iter().find(|known| known.id == self.file.id) {
            None => {
                let act = Act::AddKeyset(AddKeyset { keyset: self.keyset.clone() });
                self.act(random_id()?, act, "an import begins").await
            }
            Some(known) if same_keyset(known, &self.keyset) && known.latched && known.carried().is_none() => Ok(()),
            Some(_) => Err(Failure::Usage(format!("the keyset {} is in the database already", self.file.id))),
        }
    }

    /// Imports the rows of a file; how many there are.
    async fn import(&self, mut rows: Rows<'_>) -> Result<usize, Failure> {
        let mut count = 0;
        loop {
            let act = rows.next_chunk(self.file.id, MAX_IMPORT_ROWS)?;
            let size = act.spent.len() + act.signed.len();
            if size == 0 {
                return Ok(count);
            }
            count += size;
            let id = id_of(&act);
            self.act(id, Act::ImportRows(act), &format!("{size} rows")).await?;
        }
    }

    /// Notes what is still out: with it, what was issued and carried is what was redeemed and is out.
    async fn meter(&self, outstanding: Amount) -> Result<(), Failure> {
        let totals = self.store.totals().await.map_err(|error| Failure::Mismatch(error.to_string()))?;
        let totals: BTreeMap<_, _> = totals.into_iter().collect();
        let totals = totals.get(&self.file.id).copied().unwrap_or_default();
        let carried = outstanding.checked_add(totals.redeemed).and_then(|sum| sum.checked_sub(totals.issued));
        let carried = carried.map_err(|_| {
            let (issued, redeemed) = (totals.issued, totals.redeemed);
            Failure::Usage(format!(
                "the books do not add up: {issued} was signed, {redeemed} was spent, so {outstanding} cannot be all that is out"
            ))
        })?;
        let act = Act::MeterKeyset(MeterKeyset { keyset: self.file.id, carried });
        self.act(random_id()?, act, &format!("{outstanding} is out, {carried} was signed elsewhere")).await
    }

    /// Does one act. One of the same id has the same content, and was done by an earlier run.
    async fn act(&self, id: OperationId, act: Act, detail: &str) -> Result<(), Failure> {
        let entry = AuditEntry { id, at: now(), actor: ACTOR.to_owned(), detail: detail.to_owned() };
        match self.store.apply(Change::Administer(Administer { entry, act })).await {
            Ok(_) | Err(ApplyError::Conflict(Conflict::OperationEnded)) => Ok(()),
            Err(ApplyError::Conflict(conflict)) => {
                Err(Failure::Usage(format!("the import stopped, and the keyset stays stopped: {conflict}")))
            }
            Err(error) => Err(Failure::Internal(format!("the import broke off, run the command again: {error}"))),
        }
    }
}

/// An id that follows from the rows, so that the same rows are the same act. The hash is the one that is at hand.
fn id_of(rows: &ImportRows) -> OperationId {
    let mut bytes = b"Hazel_import_v1".to_vec();
    bytes.extend(rows.keyset.as_bytes());
    for row in &rows.spent {
        bytes.extend(row.y.as_bytes());
        bytes.extend(row.amount.to_u64().to_be_bytes());
    }
    for row in &rows.signed {
        bytes.extend(row.output.b.as_bytes());
        bytes.extend(row.output.amount.to_u64().to_be_bytes());
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hash_to_curve(&bytes).to_bytes()[1..17]);
    OperationId::from_bytes(id)
}

fn random_id() -> Result<OperationId, Failure> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)
        .map_err(|error| Failure::Internal(format!("the operating system gives no randomness: {error}")))?;
    Ok(OperationId::from_bytes(id))
}

fn now() -> Timestamp {
    // A clock before 1970 is set to it.
    Timestamp::from_unix(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

impl KeysFile {
    /// The keyset as it is added: stopped, until its history is in.
    fn record(&self, active: bool, now: Timestamp) -> KeysetRecord {
        KeysetRecord {
            id: self.id,
            unit: self.unit.clone(),
            origin: KeysetOrigin::Import { carried: None },
            active,
            input_fee_ppk: self.input_fee_ppk,
            final_expiry: self.final_expiry.map(Timestamp::from_unix),
            keys: self.public.clone(),
            created_at: now,
            latched: true,
        }
    }
}
