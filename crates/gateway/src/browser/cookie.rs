//! Cookies of the gateway's own: one that a session hangs on, and one for each
//! sign-in under way.
//!
//! Spec: RFC 10017 §6.1.3.2
//! Spec: RFC 6265 §4.1, §5.4

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use symbolon_token::{Browser, Digest, Entropy, Id, Secret, random};

const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;
/// How much of a state names its cookie.
const NAMED_BY: usize = 12;

/// How cookies are called, and whether they need TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    prefix: String,
    is_secure: bool,
}

/// What a browser holds of its session.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    pub(super) id: Id<Browser>,
    pub(super) secret: Arc<Secret>,
}

impl Names {
    /// The names under an origin. Plain http is for this machine alone, where
    /// several programs share one host.
    pub(super) fn of(origin: &url::Url) -> Self {
        let is_secure = origin.scheme() == "https";
        let prefix = match is_secure {
            true => "__Host-sym-".to_owned(),
            false => {
                let port = origin.port_or_known_default().unwrap_or(80);
                format!("sym-dev-{port}-")
            }
        };
        Self { prefix, is_secure }
    }

    fn session(&self) -> String {
        format!("{}browser", self.prefix)
    }

    fn sign_in(&self, state: &str) -> String {
        let named: String = state.chars().take(NAMED_BY).collect();
        format!("{}sign-in-{named}", self.prefix)
    }

    /// The session that a browser shows: one, whole and well-formed. Anything
    /// else is none.
    pub(super) fn ticket(&self, headers: &HeaderMap) -> Option<Ticket> {
        Ticket::read(one(headers, &self.session())?)
    }

    /// Whether anything is shown under the name of a session.
    pub(super) fn are_shown(&self, headers: &HeaderMap) -> bool {
        let session = self.session();
        pairs(headers).any(|(name, _)| name == session)
    }

    /// What was kept of the sign-in with this state.
    pub(super) fn kept<'h>(&self, headers: &'h HeaderMap, state: &str) -> Option<&'h str> {
        one(headers, &self.sign_in(state))
    }

    /// The names of every sign-in that a browser shows.
    pub(super) fn sign_ins(&self, headers: &HeaderMap) -> Vec<String> {
        let begin = format!("{}sign-in-", self.prefix);
        let own = pairs(headers).filter(|(name, _)| name.starts_with(&begin));
        own.map(|(name, _)| name.to_owned()).collect()
    }

    /// Sets the session.
    pub(super) fn set_session(&self, ticket: &Ticket, life: Duration) -> HeaderValue {
        self.write(&self.session(), &ticket.write(), life)
    }

    /// Takes the session away.
    pub(super) fn clear_session(&self) -> HeaderValue {
        self.write(&self.session(), "", Duration::ZERO)
    }

    /// Keeps a sign-in.
    pub(super) fn keep(&self, state: &str, value: &str, life: Duration) -> HeaderValue {
        self.write(&self.sign_in(state), value, life)
    }

    /// Forgets it.
    pub(super) fn forget(&self, state: &str) -> HeaderValue {
        self.clear(&self.sign_in(state))
    }

    /// Takes a cookie away by its whole name.
    pub(super) fn clear(&self, name: &str) -> HeaderValue {
        self.write(name, "", Duration::ZERO)
    }

    fn write(&self, name: &str, value: &str, life: Duration) -> HeaderValue {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let text = format!(
            "{name}={value}; Path=/; HttpOnly{secure}; SameSite=Lax; Max-Age={}",
            life.as_secs()
        );
        // Names and values are letters, digits, `-` and `_`.
        let mut header =
            HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }
}

impl Ticket {
    /// Draws one for a new session.
    pub(super) fn new(slot: symbolon_token::Slot, entropy: &dyn Entropy) -> Self {
        Self {
            id: Id::new(slot, entropy),
            secret: Arc::new(Secret::new(random::<SECRET_BYTES>(entropy).to_vec())),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, secret) = bytes.split_at_checked(ID_BYTES)?;
        if secret.len() != SECRET_BYTES {
            return None;
        }
        Some(Self {
            id: Id::from_bytes(id.try_into().ok()?)?,
            secret: Arc::new(Secret::new(secret.to_vec())),
        })
    }

    fn write(&self) -> String {
        let mut bytes = self.id.as_bytes().to_vec();
        bytes.extend_from_slice(self.secret.expose());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What the store keeps of the secret.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(self.secret.expose())
    }
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let values = headers.get_all(COOKIE).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

/// The one cookie with a name: of two, nobody knows which was meant.
fn one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut all = pairs(headers).filter(|(own, _)| *own == name);
    match (all.next(), all.next()) {
        (Some((_, value)), None) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use symbolon_testkit::SeededEntropy;
    use symbolon_token::Slot;

    use super::*;

    fn names() -> Names {
        Names::of(&url::Url::parse("https://shop.example.com").unwrap())
    }

    fn shown(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, text.parse().unwrap());
        headers
    }

    /// Attack: L327
    #[test]
    fn a_session_is_one_whole_cookie_or_none() {
        let entropy = SeededEntropy::new(7);
        let ticket = Ticket::new(Slot::random(&entropy), &entropy);
        let text = ticket.write();
        let name = "__Host-sym-browser";
        let read = |text: &str| names().ticket(&shown(text)).map(|own| own.id);
        assert_eq!(read(&format!("a=b; {name}={text}; c=d")), Some(ticket.id));
        for bad in [
            String::new(),
            format!("{name}="),
            format!("{name}=%00"),
            format!("{name}={}", &text[1..]),
            format!("{name}={text}A"),
            format!("{name}=\"{text}\""),
            format!("{name}={text}; {name}={text}"),
            format!("{name}={text}; {name}=x"),
            format!("{}={text}", name.to_ascii_lowercase()),
            format!("sym-dev-443-browser={text}"),
            format!("{name}={}", "A".repeat(60_000)),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }

    #[test]
    fn cookies_say_all_that_keeps_them_safe() {
        let entropy = SeededEntropy::new(8);
        let ticket = Ticket::new(Slot::random(&entropy), &entropy);
        let set = names().set_session(&ticket, Duration::from_secs(60));
        let text = set.to_str().unwrap();
        assert!(text.starts_with("__Host-sym-browser="), "{text}");
        for part in [
            "; Path=/",
            "; HttpOnly",
            "; Secure",
            "; SameSite=Lax",
            "; Max-Age=60",
        ] {
            assert!(text.contains(part), "{part}");
        }
        assert!(!text.contains("Domain"));
        let local = Names::of(&url::Url::parse("http://127.0.0.1:8081").unwrap());
        let text = local.clear_session();
        assert!(text.to_str().unwrap().starts_with("sym-dev-8081-browser=;"));
        assert!(!text.to_str().unwrap().contains("Secure"));
    }
}
