//! What an operator may do to a running mint, and see of it. Every act leaves a line in the audit log, in the commit of the act.

use std::collections::BTreeMap;

use hazel_protocol::{Amount, CurrencyUnit, ErrorCode, KeysetId, MAX_KEYS_PER_KEYSET, MAX_KEYSETS};

use crate::config::{MAX_INPUT_FEE_PPK, UnitConfig};
use crate::error::{Group, MintError};
use crate::keyring::Keyring;
use crate::mint::Mint;
use crate::open::{OpenError, load_keys};
use crate::ports::{
    Act, AddKeyset, Administer, ApplyError, AuditEntry, AuditRecord, Change, Conflict, KeysetOrigin, KeysetPath,
    KeysetRecord, KeysetTotals, LatchKeyset, MAX_AUDIT_DETAIL_BYTES, MeterKeyset, OperationId, OperationRecord,
    Timestamp,
};
use crate::store::rules::is_overdrawn;

/// Who acts when nobody asked for it.
pub(crate) const BY_THE_MINT: &str = "hazeld";

/// How often a new keyset is tried while other processes add theirs.
const ADD_ATTEMPTS: u32 = 5;

/// Amounts above this are no denominations: their sums would not fit the ledger.
const MAX_DENOMINATION: u64 = 1 << 62;

/// What a new keyset is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotateKeyset {
    /// The unit whose active keyset is replaced.
    pub unit: CurrencyUnit,
    /// The values its keys stand for, 1 among them.
    pub denominations: Vec<Amount>,
    /// Fee per input, in thousandths of the unit; at most [`MAX_INPUT_FEE_PPK`].
    pub input_fee_ppk: u64,
    /// When it expires for good.
    pub final_expiry: Option<Timestamp>,
}

impl From<UnitConfig> for RotateKeyset {
    fn from(unit: UnitConfig) -> Self {
        Self {
            unit: unit.unit,
            denominations: unit.denominations,
            input_fee_ppk: unit.input_fee_ppk,
            final_expiry: unit.final_expiry,
        }
    }
}

impl RotateKeyset {
    /// The denominations in order.
    ///
    /// # Errors
    /// They make no keyset, or one whose amounts could not all be paid out; a fee or an expiry that makes no sense.
    fn check(&self, now: Timestamp) -> Result<Vec<Amount>, OpenError> {
        let demand = |holds: bool, otherwise: &str| {
            if holds { Ok(()) } else { Err(OpenError::Config(otherwise.to_owned())) }
        };
        let mut amounts = self.denominations.clone();
        amounts.sort_unstable();
        amounts.dedup();
        demand(amounts.len() == self.denominations.len(), "a denomination is given twice")?;
        demand(amounts.len() <= MAX_KEYS_PER_KEYSET, "there are too many denominations")?;
        let has_one = amounts.first() == Some(&Amount::from_u64(1));
        demand(has_one, "the smallest denomination must be 1, or most amounts could not be paid out")?;
        let fits = amounts.last().is_some_and(|largest| largest.to_u64() <= MAX_DENOMINATION);
        demand(fits, "a denomination is too large")?;
        demand(self.input_fee_ppk <= MAX_INPUT_FEE_PPK, "the fee is above one unit an input")?;
        let lives = self.final_expiry.is_none_or(|expiry| expiry > now);
        demand(lives, "the final expiry has passed")?;
        Ok(amounts)
    }

    fn detail(&self) -> String {
        let expiry = self.final_expiry.map_or_else(|| "never".to_owned(), |expiry| expiry.to_unix().to_string());
        format!(
            "unit {}, fee {} ppk, {} denominations, expires {expiry}",
            self.unit,
            self.input_fee_ppk,
            self.denominations.len()
        )
    }
}

/// A keyset with its books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysetState {
    /// The keyset.
    pub record: KeysetRecord,
    /// What it has signed, redeemed, holds and kept, in its unit.
    pub totals: KeysetTotals,
    /// Whether it signs outputs now.
    pub signs: bool,
}

fn refused(error: OpenError) -> MintError {
    match error {
        OpenError::Apply(error) => error.into(),
        OpenError::Read(error) => error.into(),
        OpenError::Signer(error) => error.into(),
        OpenError::Config(text) => MintError::invalid(Group::Keyset, text),
        other => MintError::Bug(other.to_string()),
    }
}

impl Mint {
    /// Adds a keyset for a unit and makes it the one that signs; the former stays spendable and listed for ever.
    ///
    /// # Errors
    /// No such unit, denominations, fee or expiry that make no keyset, as many keysets as a wallet reads; or a port's.
    pub async fn rotate_keyset(&self, rotate: RotateKeyset, by: &str) -> Result<KeysetId, MintError> {
        if !self.keyring().iter().any(|keyset| keyset.unit == rotate.unit) {
            return Err(MintError::refused(ErrorCode::UnitUnsupported));
        }
        self.add_keyset(rotate, by).await.map_err(refused)
    }

    /// What a new keyset of `unit` is like when nothing else is said: as it is configured, else as the newest one is; never with an expiry.
    /// `None` when the mint has none of this unit.
    pub fn rotation_of(&self, unit: &CurrencyUnit) -> Option<RotateKeyset> {
        let ring = self.keyring();
        let newest = ring.iter().filter(|keyset| keyset.unit == *unit).last()?;
        let configured = self.config.units.iter().find(|configured| configured.unit == *unit).cloned();
        let wanted = configured.map_or_else(
            || RotateKeyset {
                unit: unit.clone(),
                denominations: newest.keys.amounts().into_iter().collect(),
                input_fee_ppk: newest.input_fee_ppk,
                final_expiry: None,
            },
            RotateKeyset::from,
        );
        Some(RotateKeyset { final_expiry: None, ..wanted })
    }

    /// Stops a keyset (nothing of it is signed or redeemed), or allows it again.
    ///
    /// # Errors
    /// 12001; a keyset that is in that state already; the ledger's.
    pub async fn latch_keyset(&self, id: KeysetId, latched: bool, by: &str, why: &str) -> Result<(), MintError> {
        let _alone = self.adding_keyset.lock().await;
        self.refresh_keyring().await.map_err(refused)?;
        if self.keyring().known(&id)?.latched == latched {
            let already = if latched { "the keyset is stopped already" } else { "the keyset is not stopped" };
            return Err(MintError::invalid(Group::Keyset, already));
        }
        self.apply(self.administer(Act::LatchKeyset(LatchKeyset { keyset: id, latched }), by, why)).await?;
        if !latched {
            self.forget_stop(id);
        }
        self.change_keyring(|ring| ring.with_latched(id, latched));
        Ok(())
    }

    /// Says what was signed of an unmetered import elsewhere, and is not among its rows here: from now on no more of it is redeemed than
    /// that and what was issued. In its unit; said once.
    ///
    /// # Errors
    /// 12001; a keyset that is metered; a sum below what has been redeemed already; the ledger's.
    pub async fn meter_keyset(&self, id: KeysetId, carried: Amount, by: &str) -> Result<(), MintError> {
        let _alone = self.adding_keyset.lock().await;
        self.refresh_keyring().await.map_err(refused)?;
        if self.keyring().known(&id)?.carried().is_some() {
            return Err(MintError::invalid(Group::Keyset, "the keyset is metered already"));
        }
        let totals = self.ports.store.totals().await?.into_iter().find(|(keyset, _)| *keyset == id);
        if totals.is_none_or(|(_, totals)| is_overdrawn(&totals, Some(carried), 0)) {
            return Err(MintError::invalid(
                Group::Keyset,
                "more of the keyset has been redeemed than by this sum exists",
            ));
        }
        let detail = format!("{carried} was signed elsewhere");
        self.apply(self.administer(Act::MeterKeyset(MeterKeyset { keyset: id, carried }), by, &detail)).await?;
        self.change_keyring(|ring| ring.with_carried(id, carried));
        Ok(())
    }

    /// Every keyset with its books, in the order they were added.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn keyset_states(&self) -> Result<Vec<KeysetState>, MintError> {
        let records = self.ports.store.keysets().await?;
        let totals: BTreeMap<KeysetId, KeysetTotals> = self.ports.store.totals().await?.into_iter().collect();
        let now = self.now();
        let with_totals = |record: KeysetRecord| {
            let totals = totals.get(&record.id).copied();
            let totals = totals.ok_or_else(|| MintError::Bug("a keyset without totals".to_owned()))?;
            Ok(KeysetState { signs: record.signs(now), record, totals })
        };
        records.into_iter().map(with_totals).collect()
    }

    /// Up to `limit` unfinished operations, oldest first, after the one with the id `after`.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn unfinished(&self, after: Option<OperationId>, limit: u32) -> Result<Vec<OperationRecord>, MintError> {
        Ok(self.ports.store.unfinished(after, limit).await?)
    }

    /// Up to `limit` lines of the audit log, newest first, before the one with the sequence `before`.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn audit_log(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditRecord>, MintError> {
        Ok(self.ports.store.audit(before, limit).await?)
    }

    /// An act with its line in the audit log. What does not fit a line is cut.
    pub(crate) fn administer(&self, act: Act, by: &str, detail: &str) -> Change {
        let end = detail.floor_char_boundary(MAX_AUDIT_DETAIL_BYTES);
        let entry = AuditEntry {
            id: self.new_operation(),
            at: self.now(),
            actor: by.to_owned(),
            detail: detail[..end].to_owned(),
        };
        Change::Administer(Administer { entry, act })
    }

    /// Adds a keyset under the next index. When another process has just taken that index, the one after it.
    pub(crate) async fn add_keyset(&self, wanted: RotateKeyset, by: &str) -> Result<KeysetId, OpenError> {
        let _alone = self.adding_keyset.lock().await;
        let amounts = wanted.check(self.now())?;
        // Another process may have added keysets: a repetition of its addition would look like one of ours.
        self.refresh_keyring().await?;
        for _ in 1..ADD_ATTEMPTS {
            match self.try_add_keyset(&wanted, amounts.clone(), by).await {
                Err(OpenError::Apply(ApplyError::Conflict(Conflict::KeysetExists))) => self.refresh_keyring().await?,
                answer => return answer,
            }
        }
        self.try_add_keyset(&wanted, amounts, by).await
    }

    async fn try_add_keyset(
        &self,
        wanted: &RotateKeyset,
        amounts: Vec<Amount>,
        by: &str,
    ) -> Result<KeysetId, OpenError> {
        if !self.keyring().has_room() {
            return Err(OpenError::Config(format!(
                "there are {MAX_KEYSETS} keysets already, which is all a mint may list"
            )));
        }
        let path = KeysetPath { unit: wanted.unit.clone(), index: self.keyring().next_index(&wanted.unit), amounts };
        let keys = self.ports.signer.derive(&path).await?;
        let expiry = wanted.final_expiry.map(Timestamp::to_unix);
        let keyset = KeysetRecord {
            id: keys.id_v2(&wanted.unit, wanted.input_fee_ppk, expiry),
            unit: wanted.unit.clone(),
            origin: KeysetOrigin::Seed { index: path.index },
            active: true,
            input_fee_ppk: wanted.input_fee_ppk,
            final_expiry: wanted.final_expiry,
            keys,
            created_at: self.now(),
            latched: false,
        };
        let id = keyset.id;
        // The key is loaded before anyone can learn of the keyset.
        self.ports.signer.load(id, &path).await?;
        let act = Act::AddKeyset(AddKeyset { keyset: keyset.clone() });
        self.apply(self.administer(act, by, &wanted.detail())).await?;
        self.change_keyring(|ring| ring.with(keyset));
        if let Err(error) = self.refresh_keyring().await {
            tracing::warn!(%error, "the keysets cannot be read again after one was added");
        }
        Ok(id)
    }

    /// Reads the keysets again, whoever changed them.
    ///
    /// # Errors
    /// As of [`refresh_keyring`](Self::refresh_keyring).
    pub(crate) async fn follow_keysets(&self) -> Result<(), OpenError> {
        let _alone = self.adding_keyset.lock().await;
        self.refresh_keyring().await
    }

    /// Reads the keysets again, with the keys of those that are new here.
    async fn refresh_keyring(&self) -> Result<(), OpenError> {
        let (known, written) = (self.keyring(), self.written_stops());
        let records = self.ports.store.keysets().await?;
        for record in records.iter().filter(|record| known.known(&record.id).is_err()) {
            load_keys(&*self.ports.signer, record).await?;
        }
        self.replace_keyring(Keyring::new(records), &written);
        Ok(())
    }
}
