//! Status lists: one bit for each token, which says whether it was taken back,
//! in a signed and compressed list that anyone may read.
//!
//! Spec: draft-ietf-oauth-status-list-21 §4.1, §5.1, §6.2

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;
use serde_json::{Value, json};
use symbolon_protocol::{Timestamp, planted};

use crate::jose::SigningKey;

/// What a status list says that it is, in its `typ` header.
pub const STATUS_LIST_TYPE: &str = "statuslist+jwt";
/// How many places a list has.
pub const STATUS_LIST_PLACES: u32 = 1 << 16;

/// A list of as many bits as there are places: all good at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusBits(Vec<u8>);

impl Default for StatusBits {
    fn default() -> Self {
        Self(vec![0; STATUS_LIST_PLACES as usize / 8])
    }
}

impl StatusBits {
    /// Says that the token at a place was taken back. A place behind the end
    /// is no token's.
    pub fn take_back(&mut self, place: u32) {
        // The lowest bit of a byte comes first.
        if let Some(byte) = self.0.get_mut(place as usize / 8) {
            let bit = if planted(40) {
                7 - place % 8
            } else {
                place % 8
            };
            *byte |= 1 << bit;
        }
    }

    /// The list as the claim `lst` has it: compressed, then base64url.
    fn compressed(&self) -> String {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        // What is written to memory is always written.
        let written = encoder.write_all(&self.0).and_then(|()| encoder.finish());
        BASE64_URL_SAFE_NO_PAD.encode(written.unwrap_or_default())
    }
}

/// What a list says besides its bits.
#[derive(Clone, Copy, Debug)]
pub struct StatusList<'a> {
    /// Where it is, exactly as tokens name it.
    pub uri: &'a str,
    /// When it was made.
    pub issued: Timestamp,
    /// When it must not be believed any more.
    pub expires: Timestamp,
    /// After how many seconds it should be asked for again.
    pub ttl: u64,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iat: i64,
    exp: i64,
    ttl: u64,
    status_list: Value,
}

impl StatusList<'_> {
    /// Signs the list.
    pub fn sign(&self, key: &SigningKey, bits: &StatusBits) -> String {
        let claims = Claims {
            sub: self.uri,
            iat: self.issued.seconds(),
            exp: self.expires.seconds(),
            ttl: self.ttl,
            status_list: json!({ "bits": 1, "lst": bits.compressed() }),
        };
        // A struct of strings and numbers always serialises.
        let payload = serde_json::to_vec(&claims).unwrap_or_default();
        key.sign(STATUS_LIST_TYPE, &payload)
    }
}

/// The claim `status` of a token that has a place in a list.
pub fn status_claim(uri: &str, place: u32) -> Value {
    json!({ "status_list": { "idx": place, "uri": uri } })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bits of the first example of the draft (§4.1), which come to the
    /// bytes B9 A3.
    #[test]
    fn bits_stand_in_bytes_as_the_draft_has_them() {
        let mut bits = StatusBits::default();
        let statuses = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1];
        for (place, status) in (0..).zip(statuses) {
            if status == 1 {
                bits.take_back(place);
            }
        }
        assert_eq!(bits.0[..3], [0xb9, 0xa3, 0]);
        let before = bits.clone();
        bits.take_back(STATUS_LIST_PLACES);
        assert_eq!(bits, before);
    }

    #[test]
    fn a_list_without_anything_taken_back_is_small() {
        assert!(StatusBits::default().compressed().len() < 200);
    }
}
