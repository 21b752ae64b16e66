//! Reading rows without trusting them: a value of the wrong type, length or spelling is a fault that names its table and column, never a
//! default.

use std::str::FromStr;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params, Row};

use crate::fault::StoreFault;

/// The columns of one row, read by name.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    row: &'a Row<'a>,
    table: &'static str,
}

impl<'a> Columns<'a> {
    /// Reads `row`, a row of `table`.
    pub(crate) fn of(row: &'a Row<'a>, table: &'static str) -> Self {
        Self { row, table }
    }

    /// The fault of a column whose value cannot be right.
    pub(crate) fn malformed(&self, column: &str) -> StoreFault {
        StoreFault::Corrupt(format!("{}.{column} is malformed", self.table))
    }

    fn value(&self, column: &str) -> Result<ValueRef<'a>, StoreFault> {
        Ok(self.row.get_ref(column)?)
    }

    /// Reads a column that may be NULL.
    pub(crate) fn optional<T>(
        self,
        column: &str,
        read: impl FnOnce(Self, &str) -> Result<T, StoreFault>,
    ) -> Result<Option<T>, StoreFault> {
        match self.value(column)? {
            ValueRef::Null => Ok(None),
            _ => read(self, column).map(Some),
        }
    }

    /// Reads `column` of the row in `table` that the column `reference` of this row points to. It is NULL when there is no such row.
    #[cfg(feature = "mint")]
    pub(crate) fn partner<T>(
        self,
        reference: &str,
        (table, column): (&'static str, &str),
        read: impl FnOnce(Self, &str) -> Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        let partner = Self { table, ..self };
        partner.optional(column, read)?.ok_or_else(|| self.malformed(reference))
    }

    /// An integer that is not negative.
    pub(crate) fn unsigned(self, column: &str) -> Result<u64, StoreFault> {
        match self.value(column)? {
            ValueRef::Integer(value) => u64::try_from(value).map_err(|_| self.malformed(column)),
            _ => Err(self.malformed(column)),
        }
    }

    /// Zero or one.
    pub(crate) fn flag(self, column: &str) -> Result<bool, StoreFault> {
        match self.unsigned(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.malformed(column)),
        }
    }

    /// Bytes of any length.
    pub(crate) fn bytes(self, column: &str) -> Result<&'a [u8], StoreFault> {
        match self.value(column)? {
            ValueRef::Blob(bytes) => Ok(bytes),
            _ => Err(self.malformed(column)),
        }
    }

    /// Exactly `N` bytes.
    pub(crate) fn array<const N: usize>(self, column: &str) -> Result<[u8; N], StoreFault> {
        self.bytes(column)?.try_into().map_err(|_| self.malformed(column))
    }

    /// Text of any length.
    pub(crate) fn text(self, column: &str) -> Result<&'a str, StoreFault> {
        match self.value(column)? {
            ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_err(|_| self.malformed(column)),
            _ => Err(self.malformed(column)),
        }
    }

    /// Text that spells a `T`.
    pub(crate) fn parsed<T: FromStr>(self, column: &str) -> Result<T, StoreFault> {
        self.text(column)?.parse().map_err(|_| self.malformed(column))
    }
}

/// The first row of a query that has at most one.
pub(crate) fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    decode: impl FnOnce(&Row<'_>) -> Result<T, StoreFault>,
) -> Result<Option<T>, StoreFault> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(decode).transpose()
}

/// Every row of a query.
pub(crate) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    mut decode: impl FnMut(&Row<'_>) -> Result<T, StoreFault>,
) -> Result<Vec<T>, StoreFault> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut decoded = Vec::new();
    while let Some(row) = rows.next()? {
        decoded.push(decode(row)?);
    }
    Ok(decoded)
}

/// Runs a statement that returns no rows; says how many rows it changed.
pub(crate) fn run(connection: &Connection, sql: &str, params: impl Params) -> Result<usize, StoreFault> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}

/// Runs a statement that must change exactly one row.
pub(crate) fn run_one(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    otherwise: &str,
) -> Result<(), StoreFault> {
    match run(connection, sql, params)? {
        1 => Ok(()),
        _ => Err(StoreFault::corrupt(otherwise)),
    }
}

/// An integer as SQLite stores it: signed, 64 bits.
pub(crate) fn stored(value: u64, what: &str) -> Result<i64, StoreFault> {
    i64::try_from(value)
        .map_err(|_| StoreFault::Corrupt(format!("{what} is larger than 2^63 - 1 and cannot be stored")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(sql: &str, read: impl FnOnce(Columns<'_>) -> Result<T, StoreFault>) -> Result<T, String> {
        let connection = Connection::open_in_memory().expect("memory");
        let found = one(&connection, sql, [], |row| read(Columns::of(row, "t")));
        match found {
            Ok(value) => Ok(value.expect("a row")),
            Err(StoreFault::Corrupt(what)) => Err(what),
            Err(StoreFault::Sqlite(error)) => Err(error.to_string()),
        }
    }

    #[test]
    fn wrong_values_name_their_column() {
        let malformed = Err(String::from("t.a is malformed"));
        assert_eq!(read("SELECT -1 AS a", |row| row.unsigned("a")).map(|_| ()), malformed);
        assert_eq!(read("SELECT '1' AS a", |row| row.unsigned("a")).map(|_| ()), malformed);
        assert_eq!(read("SELECT 2 AS a", |row| row.flag("a")).map(|_| ()), malformed);
        assert_eq!(read("SELECT 'x' AS a", |row| row.array::<1>("a")).map(|_| ()), malformed);
        assert_eq!(read("SELECT x'0102' AS a", |row| row.array::<1>("a")).map(|_| ()), malformed);
        assert_eq!(read("SELECT CAST(x'ff' AS TEXT) AS a", |row| row.text("a").map(str::len)).map(|_| ()), malformed);
        assert_eq!(read("SELECT 'x' AS a", |row| row.parsed::<u8>("a")).map(|_| ()), malformed);
        assert_eq!(read("SELECT NULL AS a", |row| row.unsigned("a")).map(|_| ()), malformed);
        assert_eq!(read("SELECT NULL AS a", |row| row.optional("a", Columns::unsigned)), Ok(None));
        assert_eq!(read("SELECT 7 AS a", |row| row.optional("a", Columns::unsigned)), Ok(Some(7)));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(stored(u64::MAX, "an amount").is_err());
        assert!(matches!(stored(5, "an amount"), Ok(5)));
    }
}
