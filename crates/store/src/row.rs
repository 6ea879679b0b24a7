//! A row that came back, read by column number.

use serde::de::DeserializeOwned;
use symbolon_protocol::Timestamp;
use symbolon_token::id::Kind;
use symbolon_token::{Digest, Id};

use crate::fault::Fault;
use crate::feed::Position;

/// One row.
pub(crate) enum Row {
    Sqlite(Vec<rusqlite::types::Value>),
    #[cfg(feature = "postgres")]
    Postgres(tokio_postgres::Row),
}

impl Row {
    /// A whole number, or nothing.
    pub(crate) fn number_or_none(&self, at: usize) -> Result<Option<i64>, Fault> {
        use rusqlite::types::Value;
        match self {
            Self::Sqlite(row) => match row.get(at) {
                Some(Value::Integer(number)) => Ok(Some(*number)),
                Some(Value::Null) => Ok(None),
                _ => Err(Fault::unreadable(at)),
            },
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => row.try_get(at).map_err(|_| Fault::unreadable(at)),
        }
    }

    /// Bytes, or nothing.
    pub(crate) fn bytes_or_none(&self, at: usize) -> Result<Option<&[u8]>, Fault> {
        use rusqlite::types::Value;
        match self {
            Self::Sqlite(row) => match row.get(at) {
                Some(Value::Blob(bytes)) => Ok(Some(bytes)),
                Some(Value::Null) => Ok(None),
                _ => Err(Fault::unreadable(at)),
            },
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => row.try_get(at).map_err(|_| Fault::unreadable(at)),
        }
    }

    /// Text, or nothing.
    pub(crate) fn text_or_none(&self, at: usize) -> Result<Option<&str>, Fault> {
        use rusqlite::types::Value;
        match self {
            Self::Sqlite(row) => match row.get(at) {
                Some(Value::Text(text)) => Ok(Some(text)),
                Some(Value::Null) => Ok(None),
                _ => Err(Fault::unreadable(at)),
            },
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => row.try_get(at).map_err(|_| Fault::unreadable(at)),
        }
    }

    pub(crate) fn number(&self, at: usize) -> Result<i64, Fault> {
        self.number_or_none(at)?.ok_or(Fault::unreadable(at))
    }

    /// A count that fits 32 bits: a generation, a key's number.
    pub(crate) fn count(&self, at: usize) -> Result<u32, Fault> {
        u32::try_from(self.number(at)?).map_err(|_| Fault::unreadable(at))
    }

    pub(crate) fn flag(&self, at: usize) -> Result<bool, Fault> {
        Ok(self.number(at)? != 0)
    }

    pub(crate) fn time(&self, at: usize) -> Result<Timestamp, Fault> {
        self.number(at).map(Timestamp::from_millis)
    }

    pub(crate) fn time_or_none(&self, at: usize) -> Result<Option<Timestamp>, Fault> {
        Ok(self.number_or_none(at)?.map(Timestamp::from_millis))
    }

    pub(crate) fn bytes(&self, at: usize) -> Result<&[u8], Fault> {
        self.bytes_or_none(at)?.ok_or(Fault::unreadable(at))
    }

    pub(crate) fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], Fault> {
        self.bytes(at)?
            .try_into()
            .map_err(|_| Fault::unreadable(at))
    }

    pub(crate) fn array_or_none<const N: usize>(
        &self,
        at: usize,
    ) -> Result<Option<[u8; N]>, Fault> {
        self.bytes_or_none(at)?
            .map(|bytes| bytes.try_into().map_err(|_| Fault::unreadable(at)))
            .transpose()
    }

    pub(crate) fn text(&self, at: usize) -> Result<&str, Fault> {
        self.text_or_none(at)?.ok_or(Fault::unreadable(at))
    }

    pub(crate) fn string(&self, at: usize) -> Result<String, Fault> {
        self.text(at).map(str::to_owned)
    }

    pub(crate) fn string_or_none(&self, at: usize) -> Result<Option<String>, Fault> {
        Ok(self.text_or_none(at)?.map(str::to_owned))
    }

    /// A word that parses: an identifier, a set of scopes.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, at: usize) -> Result<T, Fault> {
        self.text(at)?.parse().map_err(|_| Fault::unreadable(at))
    }

    /// The same, where the empty text stands for nothing.
    pub(crate) fn parsed_or_none<T: std::str::FromStr>(
        &self,
        at: usize,
    ) -> Result<Option<T>, Fault> {
        let text = self.text(at)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| Fault::unreadable(at))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, at: usize) -> Result<T, Fault> {
        serde_json::from_str(self.text(at)?).map_err(|_| Fault::unreadable(at))
    }

    pub(crate) fn id<K: Kind>(&self, at: usize) -> Result<Id<K>, Fault> {
        Id::from_bytes(self.array(at)?).ok_or(Fault::unreadable(at))
    }

    pub(crate) fn id_or_none<K: Kind>(&self, at: usize) -> Result<Option<Id<K>>, Fault> {
        self.array_or_none(at)?
            .map(|bytes| Id::from_bytes(bytes).ok_or(Fault::unreadable(at)))
            .transpose()
    }

    pub(crate) fn digest(&self, at: usize) -> Result<Digest, Fault> {
        self.array(at).map(Digest::from_bytes)
    }

    /// Epoch and sequence, which stand side by side.
    pub(crate) fn position(&self, at: usize) -> Result<Position, Fault> {
        Ok(Position {
            epoch: self.number(at)?,
            sequence: self.number(at + 1)?,
        })
    }
}

/// Writes a document as the text that is stored.
pub(crate) fn document<T: serde::Serialize>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|_| Fault::broken("a document cannot be written as JSON"))
}
