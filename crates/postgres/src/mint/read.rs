//! The reads of the port.

use std::collections::BTreeMap;

use hazel_mint::ports::{Contents, ReadError};
use tokio_postgres::Row;

use super::{rows, sql};
use crate::fault::RowFault;
use crate::readers::{ReadFault, Readers};
use crate::session::Values;

/// Keys that one read may ask for, as the port allows.
const MAX_KEYS: usize = 10_000;

impl From<ReadFault> for ReadError {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Unavailable(reason) => Self::Unavailable(reason),
            ReadFault::Corrupt(what) => Self::Corrupt(what),
        }
    }
}

/// Every row of a query, decoded.
pub(super) async fn all<T>(
    readers: &Readers,
    sql: &'static str,
    values: Values<'_>,
    decode: impl Fn(&Row) -> Result<T, RowFault>,
) -> Result<Vec<T>, ReadError> {
    let rows = readers.rows((sql, values)).await?;
    Ok(decoded(&rows, decode)?)
}

fn decoded<T>(rows: &[Row], decode: impl Fn(&Row) -> Result<T, RowFault>) -> Result<Vec<T>, ReadFault> {
    Ok(rows.iter().map(decode).collect::<Result<Vec<_>, _>>()?)
}

/// What is known of a list of keys, in their order, by one query for all of them.
pub(super) async fn by_key<K: Ord + Clone, T: Clone>(
    readers: &Readers,
    sql: &'static str,
    keys: &[K],
    asked: Values<'_>,
    decode: impl Fn(&Row) -> Result<T, RowFault>,
    key_of: impl Fn(&T) -> K,
) -> Result<Vec<Option<T>>, ReadError> {
    if keys.len() > MAX_KEYS {
        return Err(ReadError::Corrupt(format!("a read of more than {MAX_KEYS} keys")));
    }
    let found: BTreeMap<K, T> =
        all(readers, sql, asked, decode).await?.into_iter().map(|row| (key_of(&row), row)).collect();
    Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
}

/// Everything that one operation brought in, as of one moment.
pub(super) async fn contents(readers: &Readers, operation: &[u8]) -> Result<Contents, ReadError> {
    let values: Values<'_> = &[&operation];
    let queries = [sql::PROOFS_OF, sql::BLIND_SIGNATURES_OF, sql::DRAWN_QUOTES, sql::MELT_QUOTE_BY_OPERATION]
        .map(|sql| (sql, values));
    let found = readers.snapshot(&queries).await?;
    let [inputs, outputs, drawn, paid] = found.as_slice() else {
        return Err(ReadError::Corrupt("four queries did not give four answers".to_owned()));
    };
    let mut quotes = decoded(drawn, |row| rows::named_quote(row, "draws"))?;
    quotes.extend(decoded(paid, rows::melt_quote)?.into_iter().map(|quote| quote.id));
    Ok(Contents { inputs: decoded(inputs, rows::input)?, outputs: decoded(outputs, rows::output)?, quotes })
}
