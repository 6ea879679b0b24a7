//! What a device asks for, as it is kept until a person has decided.
//!
//! The device code is an id and 24 random bytes whose digest is stored. The user
//! code is too short for that: a MAC of it is stored, whose key is not in the
//! database.
//!
//! Spec: RFC 8628 §3.1, §3.2, §5.2, §6.1

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use symbolon_protocol::{
    ClientId, OrganizationId, ResourceIdentifier, Scopes, Timestamp, UserCode,
};
use symbolon_token::mark::{Kind, read_fixed, write_fixed};
use symbolon_token::{DeviceAuthorization, Digest, Id, Slot, Thumbprint, random};

use crate::cx::Cx;
use crate::failure::Broken;

/// What a device asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DeviceRequest {
    /// Who asks.
    pub(crate) client: ClientId,
    /// For which scopes.
    pub(crate) scopes: Scopes,
    /// Where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) resources: Vec<ResourceIdentifier>,
    /// For which organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) organization: Option<OrganizationId>,
    /// The key of the proof that has to come with the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Thumbprint>,
    /// The challenge, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) challenge: Option<String>,
    /// The network that asked.
    pub(crate) network: IpAddr,
    /// When.
    pub(crate) began: Timestamp,
}

impl DeviceRequest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Strings and numbers always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Broken> {
        let unreadable = Broken::Impossible("what a device asked for does not decode");
        serde_json::from_slice(bytes).map_err(|_| unreadable)
    }
}

/// A device code: shown once, at birth.
pub(crate) struct DeviceCode {
    pub(crate) id: Id<DeviceAuthorization>,
    secret: [u8; 24],
}

impl DeviceCode {
    /// Draws a code in the slot of its user code.
    pub(crate) fn draw(cx: &Cx, slot: Slot) -> Self {
        Self {
            id: Id::new(slot, cx.entropy()),
            secret: random(cx.entropy()),
        }
    }

    /// Reads a presented code. Whether anybody knows it, only the store tells.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let bytes: [u8; 44] = read_fixed(Kind::DeviceCode, text)?;
        let (mut id, mut secret) = ([0; 16], [0; 24]);
        id.copy_from_slice(&bytes[..16]);
        secret.copy_from_slice(&bytes[16..40]);
        Some(Self {
            id: Id::from_bytes(id)?,
            secret,
        })
    }

    /// What the store keeps.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.secret)
    }

    /// The text.
    pub(crate) fn write(&self) -> String {
        let body = [&self.id.as_bytes()[..], &self.secret].concat();
        write_fixed(Kind::DeviceCode, &body)
    }
}

/// What a user code is found by, and the slot in which it is.
pub(crate) fn place_of(cx: &Cx, code: &UserCode) -> (Slot, [u8; 32]) {
    let mac = cx.keys.name_mac("user-code", &[code.letters()]);
    (Slot::of_bytes(&mac), mac)
}
