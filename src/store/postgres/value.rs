//! What statements are given and what rows hold, with their types.

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql, Type};

use super::fault::Fault;

/// A value with its type. Statements name the types of what they are given, so that none needs a round trip to be prepared, and
/// none stays behind on the server: a pooler in transaction mode gives the next statement to another one.
pub(super) type Value<'v> = (&'v (dyn ToSql + Sync), Type);

/// What has one type in the database.
pub(super) trait Typed: ToSql + Sync {
    const TYPE: Type;
}

macro_rules! types {
    ($($rust:ty => $name:ident),* $(,)?) => { $(impl Typed for $rust { const TYPE: Type = Type::$name; })* };
}

types! {
    &str => TEXT,
    Option<&str> => TEXT,
    &[&str] => TEXT_ARRAY,
    Vec<&str> => TEXT_ARRAY,
    Vec<Option<&str>> => TEXT_ARRAY,
    i64 => INT8,
    Option<i64> => INT8,
    Vec<i64> => INT8_ARRAY,
    Vec<Option<i64>> => INT8_ARRAY,
    &[u8] => BYTEA,
    Vec<&[u8]> => BYTEA_ARRAY,
    bool => BOOL,
    Vec<bool> => BOOL_ARRAY,
}

pub(super) fn typed<T: Typed>(value: &T) -> Value<'_> {
    (value, T::TYPE)
}

/// What a statement is given, in order.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::store::postgres::value::typed(&$value)),*] };
}
pub(super) use values;

/// What stands in a column.
pub(super) fn get<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> Result<T, Fault> {
    row.try_get(column).map_err(|error| Fault::Bad(error.to_string()))
}

/// A number that is never negative.
pub(super) fn number(row: &Row, column: usize) -> Result<u64, Fault> {
    u64::try_from(get::<i64>(row, column)?).map_err(|_| Fault::Bad("it has a number below zero".to_owned()))
}
