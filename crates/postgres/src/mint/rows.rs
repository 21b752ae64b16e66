//! Rows as the records of the port.

use std::collections::BTreeMap;

use hazel_mint::ports::{
    AuditEntry, AuditRecord, InputRow, InputState, KeysetOrigin, KeysetRecord, KeysetTotals, KnownInput, KnownOutput,
    MeltProgress, MeltQuote, MeltQuoteStatus, MintQuote, OperationId, OperationKind, OperationRecord, OperationState,
    OutputRow, OwnerId, PaidEvidence, PaymentProof, Timestamp,
};
use hazel_protocol::{Amount, Dleq, KeysetId, KeysetKeys, PointBytes, PublicKey, QuoteId, Scalar32, Witness};
use tokio_postgres::Row;

use crate::columns::Columns;
use crate::fault::RowFault;

/// Bytes of one key in `keysets.public_keys`: the amount, big endian, and the compressed point.
const KEY_BYTES: usize = 8 + 33;

impl Columns<'_> {
    pub(super) fn amount(self, column: &str) -> Result<Amount, RowFault> {
        self.unsigned(column).map(Amount::from_u64)
    }

    fn time(self, column: &str) -> Result<Timestamp, RowFault> {
        self.unsigned(column).map(Timestamp::from_unix)
    }

    fn point_in(self, column: &str) -> Result<PointBytes, RowFault> {
        self.made(column, PointBytes::from_bytes)
    }

    fn keyset_in(self, column: &str) -> Result<KeysetId, RowFault> {
        self.made(column, KeysetId::from_bytes)
    }

    /// The id of the keyset that a row names by number: NULL when there is no such keyset.
    fn keyset_of_row(self) -> Result<KeysetId, RowFault> {
        let id = self.joined("keysets").optional("keyset_id", Columns::keyset_in)?;
        id.ok_or_else(|| self.malformed("keyset"))
    }

    fn operation_id(self, column: &str) -> Result<OperationId, RowFault> {
        self.array(column).map(OperationId::from_bytes)
    }

    fn owner(self, column: &str) -> Result<OwnerId, RowFault> {
        self.array(column).map(OwnerId::from_bytes)
    }

    fn operation_kind(self, column: &str) -> Result<OperationKind, RowFault> {
        OperationKind::from_stored(self.text(column)?).ok_or_else(|| self.malformed(column))
    }

    fn witness(self, column: &str) -> Result<Witness, RowFault> {
        Witness::new(self.foreign_text(column)?).map_err(|_| self.malformed(column))
    }

    fn state_of_input(self) -> Result<InputState, RowFault> {
        match self.text("state")? {
            "pending" => Ok(InputState::Pending),
            "spent" => Ok(InputState::Spent),
            _ => Err(self.malformed("state")),
        }
    }

    /// Public keys in the order of their amounts, each once.
    fn keys(self) -> Result<KeysetKeys, RowFault> {
        let wrong = || self.malformed("public_keys");
        let mut keys = BTreeMap::new();
        for chunk in self.bytes("public_keys")?.chunks(KEY_BYTES) {
            let Some((amount, key)) = chunk.split_first_chunk::<8>() else { return Err(wrong()) };
            let amount = Amount::from_u64(u64::from_be_bytes(*amount));
            if keys.insert(amount, PublicKey::from_bytes(key).map_err(|_| wrong())?).is_some() {
                return Err(wrong());
            }
        }
        KeysetKeys::new(keys).map_err(|_| wrong())
    }

    /// The index of a keyset of the seed, or what an import carries.
    fn origin(self) -> Result<KeysetOrigin, RowFault> {
        let carried = self.optional("carried", Columns::amount)?;
        let Some(index) = self.optional("derivation_index", Columns::unsigned)? else {
            return Ok(KeysetOrigin::Import { carried });
        };
        if carried != Some(Amount::ZERO) {
            return Err(self.malformed("carried"));
        }
        let index = u32::try_from(index).map_err(|_| self.malformed("derivation_index"))?;
        Ok(KeysetOrigin::Seed { index })
    }

    fn totals(self) -> Result<KeysetTotals, RowFault> {
        Ok(KeysetTotals {
            issued: self.amount("issued")?,
            redeemed: self.amount("redeemed")?,
            reserved: self.amount("reserved")?,
            fees: self.amount("fees")?,
        })
    }

    fn signature(self) -> Result<Option<(PointBytes, Dleq)>, RowFault> {
        let e = self.optional("dleq_e", Columns::array)?.map(Scalar32::from_bytes);
        let s = self.optional("dleq_s", Columns::array)?.map(Scalar32::from_bytes);
        match (self.optional("c", Columns::point_in)?, e, s) {
            (None, None, None) => Ok(None),
            (Some(c), Some(e), Some(s)) => Ok(Some((c, Dleq { e, s }))),
            (None, ..) => Err(self.malformed("c")),
            (_, None, _) => Err(self.malformed("dleq_e")),
            (.., None) => Err(self.malformed("dleq_s")),
        }
    }

    fn evidence(self) -> Result<Option<PaidEvidence>, RowFault> {
        let preimage = self.optional("paid_preimage", Columns::array)?;
        let proof = match (self.optional("paid_proof", Columns::text)?, preimage) {
            (None, None) => return Ok(None),
            (Some("preimage"), Some(bytes)) => PaymentProof::Preimage(bytes),
            (Some("vouched"), None) => PaymentProof::Vouched,
            _ => return Err(self.malformed("paid_proof")),
        };
        Ok(Some(PaidEvidence { proof, total_msat: u64::from_be_bytes(self.array("paid_total_msat")?) }))
    }
}

/// Public keys as they are stored.
pub(super) fn keys_to_bytes(keys: &KeysetKeys) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (amount, key) in keys.iter() {
        bytes.extend(amount.to_u64().to_be_bytes());
        bytes.extend(key.to_bytes());
    }
    bytes
}

pub(super) fn keyset(row: &Row) -> Result<KeysetRecord, RowFault> {
    let row = Columns::of(row, "keysets");
    Ok(KeysetRecord {
        id: row.keyset_in("keyset_id")?,
        unit: row.parsed("unit")?,
        origin: row.origin()?,
        active: row.flag("active")?,
        input_fee_ppk: row.unsigned("input_fee_ppk")?,
        final_expiry: row.optional("final_expiry", Columns::time)?,
        keys: row.keys()?,
        created_at: row.time("created_at")?,
        latched: row.flag("latched")?,
    })
}

/// What a change needs to know of a keyset: its row number, whether it is latched, where it is from, its books.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    pub(super) row: i32,
    pub(super) latched: bool,
    pub(super) origin: KeysetOrigin,
    pub(super) totals: KeysetTotals,
}

pub(super) fn account(row: &Row) -> Result<(KeysetId, Account), RowFault> {
    let row = Columns::of(row, "keysets");
    let totals = row.joined("totals").totals()?;
    let account = Account { row: row.small("id")?, latched: row.flag("latched")?, origin: row.origin()?, totals };
    Ok((row.keyset_in("keyset_id")?, account))
}

pub(super) fn audit_line(row: &Row) -> Result<AuditRecord, RowFault> {
    let row = Columns::of(row, "audit");
    let (actor, detail) = (row.foreign_text("actor")?.to_owned(), row.foreign_text("detail")?.to_owned());
    Ok(AuditRecord {
        sequence: row.unsigned("sequence")?,
        entry: AuditEntry { id: row.operation_id("entry_id")?, at: row.time("at")?, actor, detail },
        action: row.text("action")?.to_owned(),
        keyset: row.keyset_in("keyset_id")?,
    })
}

pub(super) fn mint_quote(row: &Row) -> Result<MintQuote, RowFault> {
    let row = Columns::of(row, "mint_quotes");
    Ok(MintQuote {
        id: row.parsed("quote_id")?,
        method: row.text("method")?.to_owned(),
        unit: row.parsed("unit")?,
        rate: row.parsed("rate")?,
        amount: row.optional("amount", Columns::amount)?,
        request: row.foreign_text("request")?.to_owned(),
        payment_hash: row.array("payment_hash")?,
        pubkey: row.optional("pubkey", |row, column| row.made(column, PublicKey::from_bytes))?,
        expiry: row.time("expiry")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        amount_paid: row.amount("amount_paid")?,
        amount_issued: row.amount("amount_issued")?,
    })
}

/// The stored spelling of a melt quote's state.
pub(super) const fn spelling(status: MeltQuoteStatus) -> &'static str {
    match status {
        MeltQuoteStatus::Unpaid => "unpaid",
        MeltQuoteStatus::Pending => "pending",
        MeltQuoteStatus::Paid => "paid",
    }
}

pub(super) fn melt_quote(row: &Row) -> Result<MeltQuote, RowFault> {
    let row = Columns::of(row, "melt_quotes");
    let status = match row.text("status")? {
        "unpaid" => MeltQuoteStatus::Unpaid,
        "pending" => MeltQuoteStatus::Pending,
        "paid" => MeltQuoteStatus::Paid,
        _ => return Err(row.malformed("status")),
    };
    Ok(MeltQuote {
        id: row.parsed("quote_id")?,
        method: row.text("method")?.to_owned(),
        unit: row.parsed("unit")?,
        rate: row.parsed("rate")?,
        request: row.foreign_text("request")?.to_owned(),
        payment_hash: row.array("payment_hash")?,
        amount_msat: row.unsigned("amount_msat")?,
        amount: row.amount("amount")?,
        fee_reserve: row.amount("fee_reserve")?,
        expiry: row.time("expiry")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        status,
        operation: row.optional("operation_id", Columns::operation_id)?,
        preimage: row.optional("preimage", Columns::array)?,
    })
}

/// A row of `operations`: an unfinished operation, or nothing where its id was given up.
pub(super) fn operation_or_tombstone(row: &Row) -> Result<Option<OperationRecord>, RowFault> {
    let is_tombstone = Columns::of(row, "operations").text("state")? == "given_up";
    if is_tombstone { Ok(None) } else { operation(row).map(Some) }
}

pub(super) fn operation(row: &Row) -> Result<OperationRecord, RowFault> {
    let row = Columns::of(row, "operations");
    let kind = row.operation_kind("kind")?;
    let state = OperationState::from_stored(row.text("state")?).ok_or_else(|| row.malformed("state"))?;
    let melt = match (kind, state) {
        (OperationKind::Swap, OperationState::SetupComplete) => None,
        (OperationKind::Melt, OperationState::SetupComplete) => return Err(row.malformed("state")),
        (OperationKind::Melt, state) => Some(progress(row, state)?),
        (OperationKind::Swap | OperationKind::Issue, _) => return Err(row.malformed("kind")),
    };
    let (id, owner, created_at) = (row.operation_id("operation_id")?, row.owner("owner")?, row.time("created_at")?);
    Ok(OperationRecord { id, kind, state, owner, created_at, melt })
}

fn progress(row: Columns<'_>, state: OperationState) -> Result<MeltProgress, RowFault> {
    let paid = row.evidence()?;
    if paid.is_some() != (state == OperationState::Paid) {
        return Err(row.malformed("state"));
    }
    let (not_after, dispatched_by) =
        (row.optional("not_after", Columns::time)?, row.optional("dispatched_by", Columns::owner)?);
    Ok(MeltProgress { quote: row.parsed("quote")?, not_after, dispatched_by, paid })
}

/// Only the state of a proof.
pub(super) fn input_state(row: &Row) -> Result<InputState, RowFault> {
    Columns::of(row, "proofs").state_of_input()
}

pub(super) fn input(row: &Row) -> Result<KnownInput, RowFault> {
    let row = Columns::of(row, "proofs");
    let proof = InputRow {
        y: row.point_in("y")?,
        keyset: row.keyset_of_row()?,
        amount: row.amount("amount")?,
        c: row.point_in("c")?,
        witness: row.optional("witness", Columns::witness)?,
    };
    let (operation, kind) = (row.operation_id("operation_id")?, row.operation_kind("operation_kind")?);
    Ok(KnownInput { row: proof, state: row.state_of_input()?, operation, kind })
}

/// Only whether an output is signed.
pub(super) fn is_signed(row: &Row) -> Result<bool, RowFault> {
    Columns::of(row, "blind_signatures").flag("is_signed")
}

pub(super) fn output(row: &Row) -> Result<KnownOutput, RowFault> {
    let row = Columns::of(row, "blind_signatures");
    let output = OutputRow { b: row.point_in("b")?, keyset: row.keyset_of_row()?, amount: row.amount("amount")? };
    let (operation, kind) = (row.operation_id("operation_id")?, row.operation_kind("operation_kind")?);
    Ok(KnownOutput { output, signature: row.signature()?, operation, kind })
}

/// The quote that a draw or a credit names.
pub(super) fn named_quote(row: &Row, table: &'static str) -> Result<QuoteId, RowFault> {
    Columns::of(row, table).parsed("quote")
}
