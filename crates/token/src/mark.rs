//! Prefixes and checksums: what makes a credential of ours recognisable, and a
//! typo or a random string refusable, without asking anyone.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::base62;

/// Begins every credential.
pub const MARK: &str = "sym";

/// How long an opaque credential may be, in characters.
pub const MAX_OPAQUE_CHARACTERS: usize = 2048;
/// How long a sealed code or transaction may be, in characters.
pub const MAX_SEALED_CHARACTERS: usize = 16 * 1024;

/// What a credential says it is, before anything is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// An opaque access token.
    AccessToken,
    /// A refresh token.
    RefreshToken,
    /// An authorization code.
    AuthorizationCode,
    /// What a device polls with.
    DeviceCode,
    /// A client secret.
    ClientSecret,
    /// An API key.
    ApiKey,
    /// A sign-in that is under way, in a form of ours.
    Transaction,
    /// A browser's session cookie.
    SessionCookie,
    /// The token by which a client changes its own registration.
    Registration,
    /// The administrator's bearer, or a one-time link of theirs.
    Administration,
}

const KINDS: [(Kind, &str); 10] = [
    (Kind::AccessToken, "at"),
    (Kind::RefreshToken, "rt"),
    (Kind::AuthorizationCode, "ac"),
    (Kind::DeviceCode, "dc"),
    (Kind::ClientSecret, "cs"),
    (Kind::ApiKey, "key"),
    (Kind::Transaction, "tx"),
    (Kind::SessionCookie, "ss"),
    (Kind::Registration, "reg"),
    (Kind::Administration, "adm"),
];

impl Kind {
    /// The word between mark and body: `at` in `sym_at_…`.
    pub fn word(self) -> &'static str {
        KINDS
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, word)| word)
    }

    /// What a person calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "access token",
            Self::RefreshToken => "refresh token",
            Self::AuthorizationCode => "authorization code",
            Self::DeviceCode => "device code",
            Self::ClientSecret => "client secret",
            Self::ApiKey => "API key",
            Self::Transaction => "sign-in transaction",
            Self::SessionCookie => "session cookie",
            Self::Registration => "registration token",
            Self::Administration => "administration token",
        }
    }

    /// What `text` says it is.
    pub fn claimed_by(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(MARK)?.strip_prefix('_')?;
        let (word, _) = rest.split_once('_')?;
        KINDS
            .iter()
            .find(|(_, own)| *own == word)
            .map(|(kind, _)| *kind)
    }

    fn body(self, text: &str) -> Option<&str> {
        text.strip_prefix(MARK)?
            .strip_prefix('_')?
            .strip_prefix(self.word())?
            .strip_prefix('_')
    }
}

fn checksum(kind: Kind, body: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(MARK.as_bytes());
    crc.update(kind.word().as_bytes());
    crc.update(body);
    crc.finalize().to_be_bytes()
}

/// Writes a credential whose body has a fixed size of whole groups of eight bytes.
pub fn write_fixed(kind: Kind, body: &[u8]) -> String {
    let mut bytes = body.to_vec();
    bytes.extend_from_slice(&checksum(kind, body));
    let mut text = String::with_capacity(12 + base62::encoded_len(bytes.len()));
    text.push_str(MARK);
    text.push('_');
    text.push_str(kind.word());
    text.push('_');
    base62::encode_into(&bytes, &mut text);
    crate::secret::wipe(&mut bytes);
    text
}

/// Reads what [`write_fixed`] wrote: `T` is the body and four more bytes.
pub fn read_fixed<const T: usize>(kind: Kind, text: &str) -> Option<[u8; T]> {
    let bytes: [u8; T] = base62::decode(kind.body(text)?)?;
    let (body, sum) = bytes.split_at(T - 4);
    (checksum(kind, body) == sum).then_some(bytes)
}

/// Writes a credential of a fixed size whose body a letter precedes, which says
/// to people which sort of it this is. The checksum covers the letter.
pub(crate) fn write_lettered(kind: Kind, letter: u8, body: &[u8]) -> String {
    let mut lettered = Vec::with_capacity(1 + body.len());
    lettered.push(letter);
    lettered.extend_from_slice(body);
    let sum = checksum(kind, &lettered);
    let mut bytes = Vec::with_capacity(body.len() + sum.len());
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&sum);
    let mut text = String::with_capacity(12 + base62::encoded_len(bytes.len()));
    for part in [MARK, "_", kind.word(), "_"] {
        text.push_str(part);
    }
    text.push(char::from(letter));
    base62::encode_into(&bytes, &mut text);
    crate::secret::wipe(&mut bytes);
    crate::secret::wipe(&mut lettered);
    text
}

/// Reads what [`write_lettered`] wrote: the letter, the body and four more bytes.
pub(crate) fn read_lettered<const T: usize>(kind: Kind, text: &str) -> Option<(u8, [u8; T])> {
    let (letter, rest) = kind.body(text)?.as_bytes().split_first()?;
    let bytes: [u8; T] = base62::decode(std::str::from_utf8(rest).ok()?)?;
    let (body, sum) = bytes.split_at(T - 4);
    let mut lettered = vec![*letter];
    lettered.extend_from_slice(body);
    let is_whole = checksum(kind, &lettered) == sum;
    crate::secret::wipe(&mut lettered);
    is_whole.then_some((*letter, bytes))
}

/// Writes a credential of any size.
pub(crate) fn write_sealed(kind: Kind, mut body: Vec<u8>) -> String {
    let sum = checksum(kind, &body);
    body.extend_from_slice(&sum);
    let mut text = String::with_capacity(12 + body.len().div_ceil(3) * 4);
    for part in [MARK, "_", kind.word(), "_"] {
        text.push_str(part);
    }
    BASE64_URL_SAFE_NO_PAD.encode_string(&body, &mut text);
    text
}

/// Reads what [`write_sealed`] wrote; one canonical encoding only.
pub(crate) fn read_sealed(kind: Kind, text: &str) -> Option<Vec<u8>> {
    let most = if kind == Kind::AccessToken {
        MAX_OPAQUE_CHARACTERS
    } else {
        MAX_SEALED_CHARACTERS
    };
    if text.len() > most {
        return None;
    }
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(kind.body(text)?).ok()?;
    let at = bytes.len().checked_sub(4)?;
    if checksum(kind, &bytes[..at]) != bytes[at..] {
        return None;
    }
    bytes.truncate(at);
    Some(bytes)
}

/// Whether `text` is an opaque access token by form and checksum: what is not
/// need not be asked about. Whether it opens, only its issuer knows.
pub fn is_whole_access_token(text: &str) -> bool {
    read_sealed(Kind::AccessToken, text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_noticed_without_asking_anyone() {
        let text = write_fixed(Kind::ClientSecret, &[7; 32]);
        assert!(text.starts_with("sym_cs_"));
        assert!(read_fixed::<36>(Kind::ClientSecret, &text).is_some());
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            let typo = String::from_utf8(bytes).unwrap();
            assert!(
                read_fixed::<36>(Kind::ClientSecret, &typo).is_none(),
                "{at}"
            );
        }
    }

    #[test]
    fn one_kind_is_never_read_as_another() {
        let text = write_sealed(Kind::AuthorizationCode, vec![1; 40]);
        let renamed = text.replacen("sym_ac_", "sym_at_", 1);
        assert_eq!(Kind::claimed_by(&renamed), Some(Kind::AccessToken));
        assert!(read_sealed(Kind::AccessToken, &renamed).is_none());
        assert!(read_sealed(Kind::AuthorizationCode, &text).is_some());
        assert!(read_sealed(Kind::AuthorizationCode, &(text + "=")).is_none());
    }
}
