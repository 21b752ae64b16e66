//! Rows as the records of the port, and the look-ups that reads and changes share.

use std::collections::BTreeMap;

use hazel_mint::ports::{
    AuditEntry, AuditRecord, Contents, InputRow, InputState, KeysetOrigin, KeysetRecord, KeysetTotals, KnownInput,
    KnownOutput, MeltProgress, MeltQuote, MeltQuoteStatus, MintQuote, OperationId, OperationKind, OperationRecord,
    OperationState, OutputRow, OwnerId, PaidEvidence, PaymentProof, Timestamp,
};
use hazel_protocol::{Amount, Dleq, KeysetId, KeysetKeys, PointBytes, PublicKey, QuoteId, Scalar32, Witness};
use rusqlite::{Connection, Row};

use super::sql;
use crate::columns::{Columns, all, one};
use crate::fault::StoreFault;

/// Bytes of one key in `keysets.public_keys`: the amount, big endian, and the compressed point.
const KEY_BYTES: usize = 8 + 33;

impl Columns<'_> {
    fn amount(self, column: &str) -> Result<Amount, StoreFault> {
        self.unsigned(column).map(Amount::from_u64)
    }

    fn time(self, column: &str) -> Result<Timestamp, StoreFault> {
        self.unsigned(column).map(Timestamp::from_unix)
    }

    fn point(self, column: &str) -> Result<PointBytes, StoreFault> {
        PointBytes::from_bytes(self.bytes(column)?).map_err(|_| self.malformed(column))
    }

    fn public_key(self, column: &str) -> Result<PublicKey, StoreFault> {
        PublicKey::from_bytes(self.bytes(column)?).map_err(|_| self.malformed(column))
    }

    fn keyset_id(self, column: &str) -> Result<KeysetId, StoreFault> {
        KeysetId::from_bytes(self.bytes(column)?).map_err(|_| self.malformed(column))
    }

    /// The id of the keyset that a row names by number.
    fn keyset_of_row(self) -> Result<KeysetId, StoreFault> {
        self.partner("keyset", ("keysets", "keyset_id"), Columns::keyset_id)
    }

    /// The id of the quote that a row names by number.
    pub(super) fn quote_of_row(self, table: &'static str) -> Result<QuoteId, StoreFault> {
        self.partner("quote", (table, "quote_id"), Columns::parsed)
    }

    fn operation_id(self, column: &str) -> Result<OperationId, StoreFault> {
        self.array(column).map(OperationId::from_bytes)
    }

    fn owner(self, column: &str) -> Result<OwnerId, StoreFault> {
        self.array(column).map(OwnerId::from_bytes)
    }

    fn kind(self, column: &str) -> Result<OperationKind, StoreFault> {
        OperationKind::from_stored(self.text(column)?).ok_or_else(|| self.malformed(column))
    }

    fn witness(self, column: &str) -> Result<Witness, StoreFault> {
        Witness::new(self.text(column)?).map_err(|_| self.malformed(column))
    }

    fn keys(self, column: &str) -> Result<KeysetKeys, StoreFault> {
        let malformed = || self.malformed(column);
        let mut keys = BTreeMap::new();
        let chunks = self.bytes(column)?.chunks(KEY_BYTES);
        for chunk in chunks {
            let (amount, key) = chunk.split_first_chunk::<8>().ok_or_else(malformed)?;
            let key = PublicKey::from_bytes(key).map_err(|_| malformed())?;
            let is_ascending = keys.insert(Amount::from_u64(u64::from_be_bytes(*amount)), key).is_none();
            if !is_ascending {
                return Err(malformed());
            }
        }
        KeysetKeys::new(keys).map_err(|_| malformed())
    }
}

/// Public keys as they are stored.
pub(super) fn encode_keys(keys: &KeysetKeys) -> Vec<u8> {
    keys.iter().flat_map(|(amount, key)| amount.to_u64().to_be_bytes().into_iter().chain(key.to_bytes())).collect()
}

/// A keyset as it is stored.
pub(super) fn keyset_record(row: &Row<'_>) -> Result<KeysetRecord, StoreFault> {
    let columns = Columns::of(row, "keysets");
    let origin = keyset_origin(columns)?;
    Ok(KeysetRecord {
        id: columns.keyset_id("keyset_id")?,
        unit: columns.parsed("unit")?,
        origin,
        active: columns.flag("active")?,
        input_fee_ppk: columns.unsigned("input_fee_ppk")?,
        final_expiry: columns.optional("final_expiry", Columns::time)?,
        keys: columns.keys("public_keys")?,
        created_at: columns.time("created_at")?,
        latched: columns.flag("latched")?,
    })
}

fn keyset_origin(columns: Columns<'_>) -> Result<KeysetOrigin, StoreFault> {
    let carried = columns.optional("carried", Columns::amount)?;
    match columns.optional("derivation_index", Columns::unsigned)? {
        None => Ok(KeysetOrigin::Import { carried }),
        Some(_) if carried != Some(Amount::ZERO) => Err(columns.malformed("carried")),
        Some(index) => {
            let index = u32::try_from(index).map_err(|_| columns.malformed("derivation_index"))?;
            Ok(KeysetOrigin::Seed { index })
        }
    }
}

/// A line of the audit log.
pub(super) fn audit_record(row: &Row<'_>) -> Result<AuditRecord, StoreFault> {
    let columns = Columns::of(row, "audit");
    Ok(AuditRecord {
        sequence: columns.unsigned("sequence")?,
        entry: AuditEntry {
            id: columns.operation_id("entry_id")?,
            at: columns.time("at")?,
            actor: columns.text("actor")?.to_owned(),
            detail: columns.text("detail")?.to_owned(),
        },
        action: columns.text("action")?.to_owned(),
        keyset: columns.keyset_id("keyset_id")?,
    })
}

/// The books of a keyset.
pub(super) fn keyset_totals(row: &Row<'_>) -> Result<KeysetTotals, StoreFault> {
    let columns = Columns::of(row, "keysets");
    Ok(KeysetTotals {
        issued: columns.amount("issued")?,
        redeemed: columns.amount("redeemed")?,
        reserved: columns.amount("reserved")?,
        fees: columns.amount("fees")?,
    })
}

/// A keyset's id with its books.
pub(super) fn identified_totals(row: &Row<'_>) -> Result<(KeysetId, KeysetTotals), StoreFault> {
    Ok((Columns::of(row, "keysets").keyset_id("keyset_id")?, keyset_totals(row)?))
}

/// What a change needs to know of a keyset: its row number, whether it is latched, where it is from, its books.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    pub(super) row: i64,
    pub(super) latched: bool,
    pub(super) origin: KeysetOrigin,
    pub(super) totals: KeysetTotals,
}

pub(super) fn account(connection: &Connection, keyset: &KeysetId) -> Result<Option<Account>, StoreFault> {
    one(connection, sql::ACCOUNT, [keyset.as_bytes()], |row| {
        let columns = Columns::of(row, "keysets");
        let (latched, origin) = (columns.flag("latched")?, keyset_origin(columns)?);
        Ok(Account { row: row.get("id")?, latched, origin, totals: keyset_totals(row)? })
    })
}

/// A mint quote as it is stored.
pub(super) fn mint_quote_record(row: &Row<'_>) -> Result<MintQuote, StoreFault> {
    let columns = Columns::of(row, "mint_quotes");
    Ok(MintQuote {
        id: columns.parsed("quote_id")?,
        method: columns.text("method")?.to_owned(),
        unit: columns.parsed("unit")?,
        rate: columns.parsed("rate")?,
        amount: columns.optional("amount", Columns::amount)?,
        request: columns.text("request")?.to_owned(),
        payment_hash: columns.array("payment_hash")?,
        pubkey: columns.optional("pubkey", Columns::public_key)?,
        expiry: columns.time("expiry")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
        amount_paid: columns.amount("amount_paid")?,
        amount_issued: columns.amount("amount_issued")?,
    })
}

pub(super) fn mint_quote(connection: &Connection, id: &QuoteId) -> Result<Option<MintQuote>, StoreFault> {
    one(connection, sql::MINT_QUOTE, [id.as_str()], mint_quote_record)
}

pub(super) fn mint_quote_by_hash(connection: &Connection, hash: &[u8; 32]) -> Result<Option<MintQuote>, StoreFault> {
    one(connection, sql::MINT_QUOTE_BY_HASH, [hash], mint_quote_record)
}

/// The stored spelling of a melt quote's state.
pub(super) const fn status_text(status: MeltQuoteStatus) -> &'static str {
    match status {
        MeltQuoteStatus::Unpaid => "unpaid",
        MeltQuoteStatus::Pending => "pending",
        MeltQuoteStatus::Paid => "paid",
    }
}

/// A melt quote as it is stored.
pub(super) fn melt_quote_record(row: &Row<'_>) -> Result<MeltQuote, StoreFault> {
    let columns = Columns::of(row, "melt_quotes");
    let all = [MeltQuoteStatus::Unpaid, MeltQuoteStatus::Pending, MeltQuoteStatus::Paid];
    let text = columns.text("status")?;
    let status = all.into_iter().find(|status| status_text(*status) == text);
    Ok(MeltQuote {
        id: columns.parsed("quote_id")?,
        method: columns.text("method")?.to_owned(),
        unit: columns.parsed("unit")?,
        rate: columns.parsed("rate")?,
        request: columns.text("request")?.to_owned(),
        payment_hash: columns.array("payment_hash")?,
        amount_msat: columns.unsigned("amount_msat")?,
        amount: columns.amount("amount")?,
        fee_reserve: columns.amount("fee_reserve")?,
        expiry: columns.time("expiry")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
        status: status.ok_or_else(|| columns.malformed("status"))?,
        operation: columns.optional("operation_id", Columns::operation_id)?,
        preimage: columns.optional("preimage", Columns::array)?,
    })
}

pub(super) fn melt_quote(connection: &Connection, id: &QuoteId) -> Result<Option<MeltQuote>, StoreFault> {
    one(connection, sql::MELT_QUOTE, [id.as_str()], melt_quote_record)
}

/// The quote that an operation holds or has paid.
pub(super) fn melt_quote_of(connection: &Connection, operation: OperationId) -> Result<Option<MeltQuote>, StoreFault> {
    one(connection, sql::MELT_QUOTE_BY_OPERATION, [operation.as_bytes()], melt_quote_record)
}

/// An unfinished operation as it is stored.
pub(super) fn operation_record(row: &Row<'_>) -> Result<OperationRecord, StoreFault> {
    let columns = Columns::of(row, "operations");
    let kind = columns.kind("kind")?;
    let state = OperationState::from_stored(columns.text("state")?).ok_or_else(|| columns.malformed("state"))?;
    Ok(OperationRecord {
        id: columns.operation_id("operation_id")?,
        kind,
        state,
        owner: columns.owner("owner")?,
        created_at: columns.time("created_at")?,
        melt: match kind {
            OperationKind::Swap if state == OperationState::SetupComplete => None,
            OperationKind::Melt => Some(melt_progress(columns, state)?),
            OperationKind::Swap | OperationKind::Issue => return Err(columns.malformed("kind")),
        },
    })
}

fn melt_progress(columns: Columns<'_>, state: OperationState) -> Result<MeltProgress, StoreFault> {
    let paid = paid_evidence(columns)?;
    if state == OperationState::SetupComplete || paid.is_some() != (state == OperationState::Paid) {
        return Err(columns.malformed("state"));
    }
    Ok(MeltProgress {
        quote: columns.quote_of_row("melt_quotes")?,
        not_after: columns.optional("not_after", Columns::time)?,
        dispatched_by: columns.optional("dispatched_by", Columns::owner)?,
        paid,
    })
}

fn paid_evidence(columns: Columns<'_>) -> Result<Option<PaidEvidence>, StoreFault> {
    let preimage = columns.optional("paid_preimage", Columns::array)?;
    let proof = match (columns.optional("paid_proof", Columns::text)?, preimage) {
        (None, None) => return Ok(None),
        (Some("preimage"), Some(preimage)) => PaymentProof::Preimage(preimage),
        (Some("vouched"), None) => PaymentProof::Vouched,
        _ => return Err(columns.malformed("paid_proof")),
    };
    let total_msat = u64::from_be_bytes(columns.array("paid_total_msat")?);
    Ok(Some(PaidEvidence { proof, total_msat }))
}

pub(super) fn operation(connection: &Connection, id: OperationId) -> Result<Option<OperationRecord>, StoreFault> {
    one(connection, sql::OPERATION, [id.as_bytes()], operation_record)
}

/// A proof as it is stored.
pub(super) fn known_input(row: &Row<'_>) -> Result<KnownInput, StoreFault> {
    let columns = Columns::of(row, "proofs");
    Ok(KnownInput {
        row: InputRow {
            y: columns.point("y")?,
            keyset: columns.keyset_of_row()?,
            amount: columns.amount("amount")?,
            c: columns.point("c")?,
            witness: columns.optional("witness", Columns::witness)?,
        },
        state: input_state(columns)?,
        operation: columns.operation_id("operation_id")?,
        kind: columns.kind("operation_kind")?,
    })
}

fn input_state(columns: Columns<'_>) -> Result<InputState, StoreFault> {
    match columns.text("state")? {
        "pending" => Ok(InputState::Pending),
        "spent" => Ok(InputState::Spent),
        _ => Err(columns.malformed("state")),
    }
}

/// Only the state of a proof.
pub(super) fn proof_state(connection: &Connection, y: &PointBytes) -> Result<Option<InputState>, StoreFault> {
    one(connection, sql::PROOF_STATE, [y.as_bytes()], |row| input_state(Columns::of(row, "proofs")))
}

pub(super) fn input(connection: &Connection, y: &PointBytes) -> Result<Option<KnownInput>, StoreFault> {
    one(connection, sql::PROOF, [y.as_bytes()], known_input)
}

/// An output as it is stored.
pub(super) fn known_output(row: &Row<'_>) -> Result<KnownOutput, StoreFault> {
    let columns = Columns::of(row, "blind_signatures");
    Ok(KnownOutput {
        output: OutputRow {
            b: columns.point("b")?,
            keyset: columns.keyset_of_row()?,
            amount: columns.amount("amount")?,
        },
        signature: signature(columns)?,
        operation: columns.operation_id("operation_id")?,
        kind: columns.kind("operation_kind")?,
    })
}

fn signature(columns: Columns<'_>) -> Result<Option<(PointBytes, Dleq)>, StoreFault> {
    let c = columns.optional("c", Columns::point)?;
    let e = columns.optional("dleq_e", Columns::array)?;
    let s = columns.optional("dleq_s", Columns::array)?;
    match (c, e, s) {
        (None, None, None) => Ok(None),
        (Some(c), Some(e), Some(s)) => Ok(Some((c, Dleq { e: Scalar32::from_bytes(e), s: Scalar32::from_bytes(s) }))),
        (None, ..) => Err(columns.malformed("c")),
        (_, None, _) => Err(columns.malformed("dleq_e")),
        (_, _, None) => Err(columns.malformed("dleq_s")),
    }
}

/// Only whether an output is signed.
pub(super) fn is_signed(connection: &Connection, b: &PointBytes) -> Result<Option<bool>, StoreFault> {
    one(connection, sql::OUTPUT_STATE, [b.as_bytes()], |row| Columns::of(row, "blind_signatures").flag("is_signed"))
}

pub(super) fn output(connection: &Connection, b: &PointBytes) -> Result<Option<KnownOutput>, StoreFault> {
    one(connection, sql::BLIND_SIGNATURE, [b.as_bytes()], known_output)
}

pub(super) fn inputs_of(connection: &Connection, operation: OperationId) -> Result<Vec<KnownInput>, StoreFault> {
    all(connection, sql::PROOFS_OF, [operation.as_bytes()], known_input)
}

pub(super) fn outputs_of(connection: &Connection, operation: OperationId) -> Result<Vec<KnownOutput>, StoreFault> {
    all(connection, sql::BLIND_SIGNATURES_OF, [operation.as_bytes()], known_output)
}

/// Everything an operation brought in that is still there, in the order of its request.
pub(super) fn contents(connection: &Connection, operation: OperationId) -> Result<Contents, StoreFault> {
    let mut quotes = all(connection, sql::DRAWN_QUOTES, [operation.as_bytes()], |row| {
        Columns::of(row, "draws").quote_of_row("mint_quotes")
    })?;
    quotes.extend(melt_quote_of(connection, operation)?.map(|quote| quote.id));
    let inputs = inputs_of(connection, operation)?;
    let outputs = outputs_of(connection, operation)?;
    Ok(Contents { inputs, outputs, quotes })
}
