//! Identifiers of sessions and of events, tied to whoever they were given to:
//! another caller's is nobody's. Nothing is kept; the identifier that the client
//! holds says whose it is.
//!
//! Spec: MCP 2025-06-18 Transports
//! Spec: RFC 2104 §2

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use symbolon_token::Digest;
use symbolon_verify::Principal;

/// How long an identifier may be, in bytes.
const MAX_BYTES: usize = 1024;
/// How much of the MAC stands in one, in bytes.
const MAC: usize = 16;
const BLOCK: usize = 64;

/// The key that ties sessions to callers.
#[derive(Clone, Copy)]
pub(crate) struct SessionKey {
    own: [u8; 32],
    /// By which others tied them, before or after.
    other: Option<[u8; 32]>,
}

impl SessionKey {
    /// The key that follows from a secret, the same at every gateway that has it.
    pub(crate) fn from_secret(secret: &[u8]) -> Self {
        Self {
            own: derived(secret),
            other: None,
        }
    }

    /// The same, which also knows what was tied by a key from another secret.
    pub(crate) fn and_of(self, secret: &[u8]) -> Self {
        Self {
            other: Some(derived(secret)),
            ..self
        }
    }

    /// The key for identifiers of events, which are none of a session.
    pub(crate) fn of_events(&self) -> Self {
        let own = |key: &[u8; 32]| hmac(key, b"symbolon mcp event");
        Self {
            own: own(&self.own),
            other: self.other.as_ref().map(own),
        }
    }

    /// The identifier for a client in the place of the server's own.
    pub(super) fn tie(&self, session: &str, whose: &[u8]) -> Option<String> {
        let is_visible = session.bytes().all(|byte| byte.is_ascii_graphic());
        let fits = !session.is_empty() && session.len() <= MAX_BYTES && is_visible;
        fits.then(|| format!("{session}.{}", mac(&self.own, session, whose)))
    }

    /// The server's own identifier behind one that this caller was given.
    pub(super) fn untie<'s>(&self, presented: &'s str, whose: &[u8]) -> Option<&'s str> {
        if presented.len() > MAX_BYTES + 64 {
            return None;
        }
        let (session, shown) = presented.rsplit_once('.')?;
        let shown = Digest::of(shown.as_bytes());
        let mut keys = std::iter::once(&self.own).chain(&self.other);
        let is_ours = |key| Digest::of(mac(key, session, whose).as_bytes()).matches(&shown);
        keys.any(is_ours).then_some(session)
    }
}

fn derived(secret: &[u8]) -> [u8; 32] {
    let key = *Digest::of(secret).as_bytes();
    hmac(&key, b"symbolon mcp session")
}

fn mac(key: &[u8; 32], session: &str, whose: &[u8]) -> String {
    let mut message = session.as_bytes().to_vec();
    message.push(0);
    message.extend_from_slice(whose);
    BASE64_URL_SAFE_NO_PAD.encode(&hmac(key, &message)[..MAC])
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

/// Who a caller is, for as long as a session with a server lasts: the issuer, the
/// subject and the client, whatever token they come with. Another server cannot
/// make its caller somebody whom this one has met.
pub(super) fn whose(server: &str, principal: Option<&Principal>) -> Vec<u8> {
    let caller = principal.map(|own| [own.issuer(), own.subject(), own.client()]);
    let mut text = Vec::new();
    for part in std::iter::once(server).chain(caller.into_iter().flatten()) {
        text.extend(part.len().to_be_bytes());
        text.extend(part.as_bytes());
    }
    text
}

/// HMAC-SHA256 under a key of 32 bytes.
fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let padded = |with: u8| {
        let mut block = [with; BLOCK];
        for (byte, own) in block.iter_mut().zip(key) {
            *byte ^= own;
        }
        block.to_vec()
    };
    let inner = Digest::of(&[padded(0x36).as_slice(), message].concat());
    *Digest::of(&[padded(0x5c).as_slice(), inner.as_bytes()].concat()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: M353
    #[test]
    fn a_session_is_good_for_whom_it_was_given_to() {
        let key = SessionKey::from_secret(b"a secret");
        let own = format!("abc.{}", mac(&key.own, "abc", b"alice"));

        assert_eq!(key.untie(&own, b"alice"), Some("abc"));
        assert_eq!(key.untie(&own, b"bob"), None);
        let next = SessionKey::from_secret(b"b");
        assert_eq!(next.untie(&own, b"alice"), None);
        let next = next.and_of(b"a secret");
        assert_eq!(next.untie(&own, b"alice"), Some("abc"));
        assert_eq!(next.untie(&own, b"bob"), None);
        let of_events = key.of_events();
        assert_eq!(of_events.untie(&own, b"alice"), None, "it is of a session");
        let event = format!("abc.{}", mac(&of_events.own, "abc", b"alice"));
        assert_eq!(next.of_events().untie(&event, b"alice"), Some("abc"));
        for bad in ["abc", "abc.", "", ".", &own.replacen("abc", "abd", 1)] {
            assert_eq!(key.untie(bad, b"alice"), None, "{bad}");
        }
    }

    #[test]
    fn a_session_of_one_server_is_none_of_another() {
        let key = SessionKey::from_secret(b"a secret");
        let own = key.tie("abc", &whose("files", None)).unwrap();

        assert_eq!(key.untie(&own, &whose("files", None)), Some("abc"));
        assert_eq!(key.untie(&own, &whose("mail", None)), None);
    }

    /// RFC 4231 §4.2 with a key of its own length.
    #[test]
    fn the_mac_is_that_of_the_standard() {
        let hex: String = hmac(&[0x0b; 32], b"Hi There")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7"
        );
    }
}
