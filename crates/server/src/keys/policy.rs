//! Which purposes there are, and how the keys of each live.

use std::fmt;
use std::time::Duration;

use symbolon_protocol::SigningAlgorithm;
use symbolon_store::WorkingKey;
use symbolon_token::Purpose;
use symbolon_token::rotation::{Policy, Standing};

use crate::authn::session::DEVICE_SECONDS;
use crate::feed::MAX_STALENESS;
use crate::settings::{KeySettings, Settings};

/// The purpose under which signing keys are stored, before their algorithm.
const SIGNING: &str = "signing";
/// The purpose under which the keys of the revocation feed are stored.
const FEED: &str = "feed";
/// The purpose under which the keys are stored to which partners encrypt.
const SAML_DECRYPTION: &str = "saml-decryption";
/// How long a partner has to take the next key that it encrypts to.
const TAKEN_BY_PARTNERS: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// What the heads of the revocation feed are signed under.
const FEED_ALGORITHM: SigningAlgorithm = SigningAlgorithm::Es256;
/// How much longer than what they made keys are believed: verifiers whose
/// clocks or caches differ.
const MARGIN: Duration = Duration::from_secs(60);
/// How far the clocks of two nodes may be apart: each half a minute from the
/// right time. What is farther is not ready.
const APART: Duration = Duration::from_secs(60);

/// How long a resource may keep the root keys of its macaroons before it asks
/// again.
const MACAROON_KEYS_KEPT: Duration = Duration::from_secs(5 * 60);

/// What a key is for: one use, one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyPurpose {
    /// Seals or authenticates what only this server reads.
    Working(Purpose),
    /// Signs under one algorithm.
    Signing(SigningAlgorithm),
    /// Signs heads of the revocation feed, and nothing else.
    Feed,
    /// Opens the assertions that partners encrypt to this server.
    SamlDecryption,
}

impl fmt::Display for KeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Working(purpose) => f.write_str(purpose.name()),
            Self::Signing(algorithm) => write!(f, "{SIGNING}:{algorithm}"),
            Self::Feed => f.write_str(FEED),
            Self::SamlDecryption => f.write_str(SAML_DECRYPTION),
        }
    }
}

impl KeyPurpose {
    /// Every purpose that an installation needs keys for.
    pub(crate) fn all(settings: &KeySettings) -> Vec<Self> {
        let experiments = SigningAlgorithm::ALL
            .iter()
            .copied()
            .filter(|own| own.is_experimental() && settings.experimental_ml_dsa);
        let signing = SigningAlgorithm::stable().chain(experiments);
        let working = Purpose::ALL.into_iter().map(Self::Working);
        let signing = signing.map(Self::Signing);
        let opening = settings.saml_decryption.then_some(Self::SamlDecryption);
        let all = working.chain(signing).chain([Self::Feed]);
        all.chain(opening).collect()
    }

    /// The purpose that is stored under a name.
    pub fn named(name: &str) -> Option<Self> {
        match name.split_once(':') {
            Some((SIGNING, algorithm)) => algorithm.parse().ok().map(Self::Signing),
            Some(_) => None,
            None if name == FEED => Some(Self::Feed),
            None if name == SAML_DECRYPTION => Some(Self::SamlDecryption),
            None => Purpose::named(name).map(Self::Working),
        }
    }

    /// The word for people: all signing keys share one.
    pub fn word(self) -> &'static str {
        match self {
            Self::Working(purpose) => purpose.name(),
            Self::Signing(_) => SIGNING,
            Self::Feed => FEED,
            Self::SamlDecryption => SAML_DECRYPTION,
        }
    }

    /// The algorithm, of a key that signs tokens.
    pub fn algorithm(self) -> Option<SigningAlgorithm> {
        match self {
            // Whoever looks for the keys of an algorithm looks for tokens'.
            Self::Working(_) | Self::Feed | Self::SamlDecryption => None,
            Self::Signing(algorithm) => Some(algorithm),
        }
    }

    /// What it signs under, where it signs anything.
    pub(crate) fn signs_under(self) -> Option<SigningAlgorithm> {
        match self {
            Self::Feed => Some(FEED_ALGORITHM),
            other => other.algorithm(),
        }
    }

    /// Whether its keys change by themselves, as the schedule says. Those that
    /// do make only what ends by itself, and what a new epoch voids.
    pub(crate) fn is_scheduled(self) -> bool {
        match self {
            Self::Signing(_) | Self::Feed => true,
            // Partners may have been handed the certificate by hand.
            Self::SamlDecryption => false,
            Self::Working(purpose) => !matches!(
                purpose,
                Purpose::SecretDigest
                    | Purpose::ClientSecret
                    | Purpose::Pairwise
                    | Purpose::Blinding
                    | Purpose::Audit
            ),
        }
    }

    /// Whether its keys ever change. A pairwise subject never does, and a
    /// blinded name stands in tokens that other nodes and verifiers compare.
    pub(crate) fn changes(self) -> bool {
        !matches!(self, Self::Working(Purpose::Pairwise | Purpose::Blinding))
    }
}

/// What a key's life is measured by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages {
    keys: KeySettings,
    skew: Duration,
    /// The longest that anything signed or sealed lives by itself.
    token: Duration,
    request: Duration,
    refresh: Duration,
    hint: Duration,
}

impl Ages {
    /// The ages that the configuration sets; `token` is the longest that anything
    /// signed or sealed lives by itself.
    pub(crate) fn new(settings: &Settings, token: Duration) -> Self {
        let lifetimes = &settings.lifetimes;
        let session = lifetimes.session_absolute.duration();
        let refresh = lifetimes.refresh_token_absolute.duration();
        Self {
            keys: settings.keys,
            skew: settings.clock_skew,
            token,
            request: lifetimes
                .authorization_code
                .max(lifetimes.pushed_request)
                .max(lifetimes.device_code)
                .duration(),
            refresh,
            // An application may hold an ID token for as long as it stays
            // signed in, and show it when it signs the person out.
            hint: refresh.max(session),
        }
    }

    /// How the keys of a purpose live; `None` where they never change.
    pub(crate) fn policy(&self, purpose: KeyPurpose) -> Option<Policy> {
        if !purpose.changes() {
            return None;
        }
        // What another node does not know it has read within this time, or it
        // decides nothing. Either clock may be ahead: another node's by as
        // much as nodes may be apart, and a caller's by the skew.
        let known = MAX_STALENESS + APART.max(self.skew * 2);
        let margin = MARGIN + known;
        let every = (!self.keys.rotation.is_zero()).then_some(self.keys.rotation);
        let working = |outlives: Duration| Policy {
            every,
            announced: known,
            outlives: Some(outlives + margin),
            remembered: Duration::ZERO,
        };
        Some(match purpose {
            KeyPurpose::Signing(_) => Policy {
                every,
                announced: self.keys.key_set_cache + known,
                outlives: Some(self.token + margin),
                remembered: self.hint,
            },
            // A reader fetches the keys whenever it connects, and a head is
            // worth nothing once it is old.
            KeyPurpose::Feed => Policy {
                announced: self.keys.key_set_cache + known,
                ..working(Duration::ZERO)
            },
            KeyPurpose::SamlDecryption => Policy {
                every: None,
                ..working(TAKEN_BY_PARTNERS)
            },
            KeyPurpose::Working(Purpose::AccessToken) => working(self.token),
            // Resources that check macaroons by themselves fetch the keys.
            KeyPurpose::Working(Purpose::Macaroon) => Policy {
                announced: MACAROON_KEYS_KEPT + known,
                ..working(self.token)
            },
            KeyPurpose::Working(Purpose::Discharge) => working(self.token),
            KeyPurpose::Working(Purpose::AuthorizationCode) => working(self.request),
            KeyPurpose::Working(Purpose::RefreshToken) => working(self.refresh),
            KeyPurpose::Working(Purpose::Transaction) => {
                working(Duration::from_secs(DEVICE_SECONDS.into()))
            }
            // What they made lives as long as a client keeps its secret, or
            // somebody an audit trail.
            KeyPurpose::Working(_) => Policy {
                every: None,
                announced: known,
                outlives: None,
                remembered: Duration::ZERO,
            },
        })
    }
}

/// The key's name, as tokens and the revocation feed have it.
pub(crate) fn kid(key: &WorkingKey) -> &str {
    let name = key.id.strip_prefix(SIGNING);
    name.and_then(|name| name.strip_prefix(':'))
        .unwrap_or(&key.id)
}

/// The id of a key that signs, of a purpose and a name.
pub(crate) fn signing_id(purpose: KeyPurpose, kid: &str) -> String {
    format!("{}:{kid}", purpose.word())
}

/// What the pure rules see of the keys of a purpose.
pub(crate) fn standings(stored: &[WorkingKey], purpose: KeyPurpose) -> Vec<Standing> {
    let name = purpose.to_string();
    let own = stored.iter().filter(|key| key.purpose == name);
    own.map(|key| Standing {
        number: key.number,
        state: key.state,
        created: key.created,
        activated: key.activated,
        ends: key.retires,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_is_found_by_the_name_it_is_stored_under() {
        let settings = KeySettings {
            experimental_ml_dsa: true,
            saml_decryption: true,
            ..KeySettings::default()
        };
        for purpose in KeyPurpose::all(&settings) {
            assert_eq!(KeyPurpose::named(&purpose.to_string()), Some(purpose));
        }
        for bad in [
            "",
            "signing",
            "signing:none",
            "other:ES256",
            "access-token:1",
        ] {
            assert_eq!(KeyPurpose::named(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_experiment_has_no_key_unless_it_is_switched_on() {
        let all = KeyPurpose::all(&KeySettings::default());
        assert!(!all.contains(&KeyPurpose::Signing(SigningAlgorithm::MlDsa65)));
        assert!(all.contains(&KeyPurpose::Signing(SigningAlgorithm::Ed25519)));
        assert!(!all.contains(&KeyPurpose::SamlDecryption));
    }
}
