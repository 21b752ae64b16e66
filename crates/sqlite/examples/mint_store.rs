//! Opens a ledger, mints and swaps a few coins, and prints the books.
//!
//! The signatures are made up: a ledger stores what a mint decides, and checks neither keys nor signatures.

use std::collections::BTreeMap;
use std::error::Error;

use hazel_mint::Rate;
use hazel_mint::ports::{
    AddKeyset, Applied, Change, CreditMintQuote, InputRow, Issue, KeysetOrigin, KeysetRecord, MintQuote, OpenMintQuote,
    OperationId, OutputRow, OwnerId, ReserveSwap, SettleSwap, SignedRow, Store, Timestamp,
};
use hazel_protocol::crypto::hash_to_curve;
use hazel_protocol::{Amount, CurrencyUnit, Dleq, KeysetId, KeysetKeys, PointBytes, QuoteId, Scalar32};
use hazel_sqlite::{MintStore, OpenOptions};

const NOW: Timestamp = Timestamp::from_unix(1_700_000_000);

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("mint.sqlite");
    let store = MintStore::open(&path, &OpenOptions::default())?;
    let keyset = add_keyset(&store).await?;
    mint(&store, keyset).await?;
    swap(&store, keyset).await?;

    // Another store cannot have the file while this one does.
    let error = MintStore::open(&path, &OpenOptions::default()).err();
    println!("{}", error.ok_or("the lock was given twice")?);

    // Closing leaves one file. What it holds is there again after a restart.
    store.close();
    let store = MintStore::open(&path, &OpenOptions::default())?;
    for (keyset, totals) in store.totals().await? {
        println!("{keyset}: issued {}, redeemed {}, fees {}", totals.issued, totals.redeemed, totals.fees);
    }
    let again = store.apply(Change::SettleSwap(settle(keyset))).await?;
    let Applied::Signatures(signatures) = again else { return Err("not an answer to a swap".into()) };
    println!("the same swap again gets the same {} signature", signatures.len());
    Ok(())
}

async fn add_keyset(store: &MintStore) -> Result<KeysetId, Box<dyn Error>> {
    let keys: BTreeMap<_, _> =
        [1, 2, 4, 8].map(|value| (Amount::from_u64(value), hash_to_curve(&value.to_be_bytes()))).into();
    let keys = KeysetKeys::new(keys)?;
    let id = keys.id_v2(&CurrencyUnit::Sat, 500, None);
    let keyset = KeysetRecord {
        id,
        unit: CurrencyUnit::Sat,
        origin: KeysetOrigin::Seed { index: 0 },
        active: true,
        input_fee_ppk: 500,
        final_expiry: None,
        keys,
        created_at: NOW,
        latched: false,
    };
    store.apply(Change::AddKeyset(AddKeyset { keyset })).await?;
    Ok(id)
}

/// A quote is opened, paid and issued on.
async fn mint(store: &MintStore, keyset: KeysetId) -> Result<(), Box<dyn Error>> {
    let amount = Amount::from_u64(8);
    let quote = MintQuote {
        id: QuoteId::new("first-quote")?,
        method: String::from("bolt11"),
        unit: CurrencyUnit::Sat,
        rate: Rate::SAT,
        amount: Some(amount),
        request: String::from("lnbc80n1..."),
        payment_hash: [1; 32],
        pubkey: None,
        expiry: NOW.plus(3600),
        created_at: NOW,
        updated_at: NOW,
        amount_paid: Amount::ZERO,
        amount_issued: Amount::ZERO,
    };
    let id = quote.id.clone();
    store.apply(Change::OpenMintQuote(OpenMintQuote { quote })).await?;
    let credit =
        CreditMintQuote { quote: id.clone(), credit: "payment-1".to_owned(), amount, cursor: Some(1), now: NOW };
    store.apply(Change::CreditMintQuote(credit)).await?;
    let operation = OperationId::from_bytes([1; 16]);
    let outputs = vec![signed("first output", keyset, 8)];
    store.apply(Change::Issue(Issue { operation, draws: vec![(id, amount)], outputs, now: NOW })).await?;
    Ok(())
}

/// Custody first, then signatures and the end of the inputs in one commit.
async fn swap(store: &MintStore, keyset: KeysetId) -> Result<(), Box<dyn Error>> {
    let settle = settle(keyset);
    let input = InputRow {
        y: hash_to_curve(b"secret").into(),
        keyset,
        amount: Amount::from_u64(8),
        c: hash_to_curve(b"unblinded signature").into(),
        witness: None,
    };
    let reserve = ReserveSwap {
        operation: settle.operation,
        owner: settle.owner,
        inputs: vec![input],
        outputs: settle.outputs.iter().map(|row| row.output.clone()).collect(),
        now: NOW,
    };
    store.apply(Change::ReserveSwap(reserve)).await?;
    store.apply(Change::SettleSwap(settle)).await?;
    Ok(())
}

fn settle(keyset: KeysetId) -> SettleSwap {
    SettleSwap {
        operation: OperationId::from_bytes([2; 16]),
        owner: OwnerId::from_bytes([7; 16]),
        outputs: vec![signed("second output", keyset, 7)],
        fees: vec![(keyset, Amount::from_u64(1))],
        now: NOW,
    }
}

fn signed(name: &str, keyset: KeysetId, value: u64) -> SignedRow {
    let b = PointBytes::from(hash_to_curve(name.as_bytes()));
    let dleq = Dleq { e: Scalar32::from_bytes([5; 32]), s: Scalar32::from_bytes([6; 32]) };
    let c = hash_to_curve(b.as_bytes()).into();
    SignedRow { output: OutputRow { b, keyset, amount: Amount::from_u64(value) }, c, dleq }
}
