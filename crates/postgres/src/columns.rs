//! Reading rows without trusting them: a value of the wrong type, length or spelling is a fault that names its table and column, never a
//! default.

use std::str::FromStr;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::fault::RowFault;

/// The columns of one row, read by name.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    row: &'a Row,
    table: &'static str,
}

impl<'a> Columns<'a> {
    /// Reads `row`, a row of `table`.
    pub(crate) fn of(row: &'a Row, table: &'static str) -> Self {
        Self { row, table }
    }

    /// The fault of a column whose value cannot be right.
    pub(crate) fn malformed(&self, column: &str) -> RowFault {
        RowFault::Corrupt(format!("{}.{column} is malformed", self.table))
    }

    /// A column of exactly this type; NULL is no value of it.
    fn value<T: FromSql<'a>>(self, column: &str) -> Result<T, RowFault> {
        self.row.try_get(column).map_err(|_| self.malformed(column))
    }

    /// Reads a column that may be NULL.
    pub(crate) fn optional<T>(
        self,
        column: &str,
        read: impl FnOnce(Self, &str) -> Result<T, RowFault>,
    ) -> Result<Option<T>, RowFault> {
        match self.value::<Option<Any>>(column)? {
            None => Ok(None),
            Some(Any) => read(self, column).map(Some),
        }
    }

    /// The same row, of which `table` is to blame from here on: a join reads from two.
    pub(crate) fn joined(self, table: &'static str) -> Self {
        Self { table, ..self }
    }

    /// An integer that is not negative.
    pub(crate) fn unsigned(self, column: &str) -> Result<u64, RowFault> {
        u64::try_from(self.value::<i64>(column)?).map_err(|_| self.malformed(column))
    }

    /// The number of a keyset's row.
    pub(crate) fn small(self, column: &str) -> Result<i32, RowFault> {
        self.value(column)
    }

    /// True or false.
    pub(crate) fn flag(self, column: &str) -> Result<bool, RowFault> {
        self.value(column)
    }

    /// Bytes of any length.
    pub(crate) fn bytes(self, column: &str) -> Result<&'a [u8], RowFault> {
        self.value(column)
    }

    /// Bytes that are the stored form of a `T`.
    pub(crate) fn made<T, E>(
        self,
        column: &str,
        from_bytes: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<T, RowFault> {
        from_bytes(self.bytes(column)?).map_err(|_| self.malformed(column))
    }

    /// Exactly `N` bytes.
    pub(crate) fn array<const N: usize>(self, column: &str) -> Result<[u8; N], RowFault> {
        <[u8; N]>::try_from(self.bytes(column)?).map_err(|_| self.malformed(column))
    }

    /// Text of any length.
    pub(crate) fn text(self, column: &str) -> Result<&'a str, RowFault> {
        self.value(column)
    }

    /// Text that came from outside, which is stored as its bytes.
    pub(crate) fn foreign_text(self, column: &str) -> Result<&'a str, RowFault> {
        std::str::from_utf8(self.bytes(column)?).map_err(|_| self.malformed(column))
    }

    /// Text that spells a `T`.
    pub(crate) fn parsed<T: FromStr>(self, column: &str) -> Result<T, RowFault> {
        T::from_str(self.text(column)?).map_err(|_| self.malformed(column))
    }
}

/// A value of whatever type, to ask only whether there is one.
struct Any;

impl FromSql<'_> for Any {
    fn from_sql(_: &tokio_postgres::types::Type, _: &[u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self)
    }

    fn accepts(_: &tokio_postgres::types::Type) -> bool {
        true
    }
}

/// An integer as PostgreSQL stores it: signed, 64 bits.
pub(crate) fn stored(value: u64, what: &str) -> Result<i64, RowFault> {
    let too_large = |_| RowFault::Corrupt(format!("{what} is larger than 2^63 - 1 and cannot be stored"));
    i64::try_from(value).map_err(too_large)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bigint_cannot_hold_is_an_error() {
        assert!(stored(u64::MAX, "an amount").is_err());
        assert!(matches!(stored(5, "an amount"), Ok(5)));
    }
}
