//! Identifiers that this server gives to clients which register themselves.
//!
//! Such an identifier says itself what has to be known of its client, or names
//! a row, and ends in a MAC, so that nothing has to be looked up to know that
//! it was given out here. It is public: whoever sees it may use it.
//!
//! Layout, in base64url behind [`PREFIX`]: version (1), form (1), body, MAC (16).
//!
//! Spec: RFC 7591 §5

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use symbolon_protocol::identifier::MAX_IDENTIFIER_BYTES;

use crate::keyring::Keyring;

/// Begins every such identifier. No person, URL or credential begins so.
pub const PREFIX: &str = "symclient_";

const VERSION: u8 = 1;
const WHOLE: u8 = 1;
const ROW: u8 = 2;
const HEAD: usize = 2;
const MAC: usize = 16;
const LABEL: &str = "client-identifier";

/// What an identifier stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientIdentifier {
    /// A client that stands in it as a whole.
    Whole(Vec<u8>),
    /// A client that has a row.
    Row([u8; 16]),
}

impl Keyring {
    /// Writes an identifier, the same for the same client every time; `None`
    /// where it would be longer than identifiers may be.
    pub fn write_client_identifier(&self, issuer: &str, of: &ClientIdentifier) -> Option<String> {
        let (form, body) = match of {
            ClientIdentifier::Whole(body) => (WHOLE, body.as_slice()),
            ClientIdentifier::Row(number) => (ROW, number.as_slice()),
        };
        let mut bytes = vec![VERSION, form];
        bytes.extend_from_slice(body);
        // INVARIANT: the key of this MAC never changes, as its clients never end.
        let mac = self.name_mac(LABEL, &[issuer.as_bytes(), &bytes]);
        bytes.extend_from_slice(&mac[..MAC]);
        let mut text = String::from(PREFIX);
        BASE64_URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
        (text.len() <= MAX_IDENTIFIER_BYTES).then_some(text)
    }

    /// Opens an identifier; `None` where this installation did not write it.
    pub fn open_client_identifier(&self, issuer: &str, text: &str) -> Option<ClientIdentifier> {
        if text.len() > MAX_IDENTIFIER_BYTES {
            return None;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(text.strip_prefix(PREFIX)?)
            .ok()?;
        let (signed, presented) = bytes.split_at_checked(bytes.len().checked_sub(MAC)?)?;
        let mac = self.name_mac(LABEL, &[issuer.as_bytes(), signed]);
        verify_slices_are_equal(&mac[..MAC], presented).ok()?;
        let (head, body) = signed.split_at_checked(HEAD)?;
        match head {
            [VERSION, WHOLE] => Some(ClientIdentifier::Whole(body.to_vec())),
            [VERSION, ROW] => Some(ClientIdentifier::Row(body.try_into().ok()?)),
            _ => None,
        }
    }
}
