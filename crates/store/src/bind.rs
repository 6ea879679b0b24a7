//! Values that a statement is given.

use rusqlite::types::{ToSqlOutput, ValueRef};
use symbolon_protocol::Timestamp;
use symbolon_token::{Digest, Id, Slot};

/// One parameter, borrowed from the act.
#[derive(Clone, Copy)]
pub(crate) enum Bind<'a> {
    /// A whole number, or nothing.
    Number(Option<i64>),
    /// Bytes, or nothing.
    Bytes(Option<&'a [u8]>),
    /// Text, or nothing.
    Text(Option<&'a str>),
}

/// The parameters of a statement, in the order of their numbers.
macro_rules! binds {
    ($($value:expr),* $(,)?) => {
        &[$($crate::bind::Bind::from($value)),*]
    };
}
pub(crate) use binds;

macro_rules! from {
    ($($type:ty, $value:ident => $bind:expr;)*) => {$(
        impl<'a> From<$type> for Bind<'a> {
            fn from($value: $type) -> Self {
                $bind
            }
        }
    )*};
}

from! {
    i64, value => Self::Number(Some(value));
    u32, value => Self::Number(Some(i64::from(value)));
    u8, value => Self::Number(Some(i64::from(value)));
    bool, value => Self::Number(Some(i64::from(value)));
    Slot, value => Self::Number(Some(i64::from(value.number())));
    Timestamp, value => Self::Number(Some(value.millis()));
    Option<Timestamp>, value => Self::Number(value.map(Timestamp::millis));
    &'a [u8], value => Self::Bytes(Some(value));
    &'a Vec<u8>, value => Self::Bytes(Some(value));
    &'a [u8; 16], value => Self::Bytes(Some(value));
    &'a [u8; 32], value => Self::Bytes(Some(value));
    &'a Digest, value => Self::Bytes(Some(value.as_bytes()));
    Option<&'a [u8]>, value => Self::Bytes(value);
    &'a str, value => Self::Text(Some(value));
    &'a String, value => Self::Text(Some(value));
    Option<&'a str>, value => Self::Text(value);
}

impl<'a, K: symbolon_token::id::Kind> From<&'a Id<K>> for Bind<'a> {
    fn from(id: &'a Id<K>) -> Self {
        Self::Bytes(Some(id.as_bytes()))
    }
}

impl<'a, K: symbolon_token::id::Kind> From<Option<&'a Id<K>>> for Bind<'a> {
    fn from(id: Option<&'a Id<K>>) -> Self {
        Self::Bytes(id.map(|id| id.as_bytes().as_slice()))
    }
}

impl rusqlite::ToSql for Bind<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Number(Some(number)) => ValueRef::Integer(number),
            Self::Bytes(Some(bytes)) => ValueRef::Blob(bytes),
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Number(None) | Self::Bytes(None) | Self::Text(None) => ValueRef::Null,
        }))
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::error::Error;

    use tokio_postgres::types::private::BytesMut;
    use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

    use super::Bind;

    impl Bind<'_> {
        /// The type is always said, never inferred: `$1 > 5` would make it 32 bits.
        pub(crate) fn postgres_type(&self) -> Type {
            match self {
                Self::Number(_) => Type::INT8,
                Self::Bytes(_) => Type::BYTEA,
                Self::Text(_) => Type::TEXT,
            }
        }
    }

    impl std::fmt::Debug for Bind<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Bind(..)")
        }
    }

    impl ToSql for Bind<'_> {
        fn to_sql(
            &self,
            kind: &Type,
            out: &mut BytesMut,
        ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
            match *self {
                Self::Number(number) => number.to_sql(kind, out),
                Self::Bytes(bytes) => bytes.to_sql(kind, out),
                // PostgreSQL's text cannot hold NUL. What a stranger typed must
                // then be unknown, and never a fault.
                Self::Text(Some(text)) if text.contains('\0') => {
                    text.replace('\0', "\u{fffd}").to_sql(kind, out)
                }
                Self::Text(text) => text.to_sql(kind, out),
            }
        }

        fn accepts(kind: &Type) -> bool {
            matches!(*kind, Type::INT8 | Type::BYTEA | Type::TEXT)
        }

        to_sql_checked!();
    }
}
