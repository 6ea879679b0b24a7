//! The revocation feed as it goes over the wire: events, packed records, and
//! heads that are signed.
//!
//! A head vouches for the records before it: it tells where they begin and end,
//! how many there are and what they digest to, for which reader they were
//! chosen, and how old the knowledge is. Records count once their head came.
//!
//! Spec: RFC 7515 §3.1

mod events;
mod head;
mod record;

pub use events::{Event, EventReader, Unreadable};
pub use head::{HEAD_TYPE, Head, InvalidHead, MAX_NONCE};
pub use record::{RECORD_BYTES, Tally, Unpacked, pack, unpack};
