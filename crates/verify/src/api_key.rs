//! API keys: taken as bearer tokens, in a header of their own where the API
//! says so, and always by the issuer's word.
//!
//! Spec: RFC 6750 §2.1
//! Spec: RFC 7662 §2.1, §2.2

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, HOST};
use symbolon_token::api_key::is_foreign;
use symbolon_token::explain::{Refused, Shown};
use symbolon_token::macaroon::Request;

use crate::bearer::{Presented, Purpose, Scheme, Sent};
use crate::check::Presentation;
use crate::config::ForeignKeys;
use crate::introspection::{Counting, Question};
use crate::misconfigured::Misconfigured;
use crate::principal::{Facts, KeyAsked};
use crate::refusal::{Malformed, Refusal};
use crate::rendering::Rendering;
use crate::verifier::Verifier;

impl Verifier {
    /// Takes API keys in a header of their own too, as in `X-API-Key: sym_key_…`,
    /// keys from elsewhere in their old text among them. Nothing but an API key
    /// is taken there, and a request that shows a token beside it is refused.
    ///
    /// ```
    /// # fn main() -> Result<(), symbolon_verify::Misconfigured> {
    /// use symbolon_verify::{Algorithm, Verifier};
    /// let verifier = Verifier::new("https://as.example.com", "https://api.example.com", [Algorithm::Es256])?
    ///     .introspect_as("orders-api", "its secret")?
    ///     .api_key_header("X-API-Key")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn api_key_header(self, name: &str) -> Result<Self, Misconfigured> {
        let name = name
            .parse::<HeaderName>()
            .map_err(|_| Misconfigured::Header)?;
        if [AUTHORIZATION, COOKIE, HOST].contains(&name) || name == "dpop" {
            return Err(Misconfigured::Header);
        }
        Ok(self.but(|config| config.key_header = Some(name)))
    }

    /// Takes API keys from elsewhere as bearer tokens too: whatever has no form
    /// of its own is then asked about, where it is refused unseen otherwise.
    #[must_use]
    pub fn take_imported_api_keys(self) -> Self {
        self.but(|config| config.foreign_keys = ForeignKeys::Taken)
    }

    /// What was sent: the token of the usual header, or the key in its own.
    pub(crate) fn sent<'a>(&self, presented: Presented<'a>) -> Result<Sent<'a>, Refusal> {
        let (headers, parts) = match presented {
            Presented::Token(_) => return presented.sent(),
            Presented::Headers(headers) => (headers, None),
            Presented::Request(parts) => (&parts.headers, Some(parts)),
        };
        let Some(name) = &self.inner.config.key_header else {
            return presented.sent();
        };
        let mut lines = headers.get_all(name).iter();
        let (first, second) = (lines.next(), lines.next());
        let Some(line) = first else {
            return presented.sent();
        };
        if second.is_some() {
            return Err(Refusal::Malformed(Malformed::Repeated));
        }
        if headers.contains_key(AUTHORIZATION) {
            return Err(Refusal::Malformed(Malformed::TwoWays));
        }
        let token = line
            .to_str()
            .map_err(|_| Refusal::Malformed(Malformed::Form))?;
        Ok(Sent {
            scheme: Scheme::ApiKey,
            token,
            parts,
            purpose: Purpose::Decide,
        })
    }

    /// Which rendering was sent, as far as its form and the header say.
    pub(crate) fn rendering(&self, sent: Sent<'_>) -> Result<Rendering, Refusal> {
        let is_in_own_header = sent.scheme == Scheme::ApiKey;
        let takes_foreign =
            is_in_own_header || self.inner.config.foreign_keys == ForeignKeys::Taken;
        if takes_foreign && is_foreign(sent.token) {
            return Ok(Rendering::ApiKey);
        }
        let rendering = Rendering::of(sent.token)?;
        if is_in_own_header && rendering != Rendering::ApiKey {
            return Err(Refusal::Malformed(Malformed::Form));
        }
        Ok(rendering)
    }

    /// An API key: the issuer says whether it is good for this API, from where
    /// the request comes from.
    pub(crate) async fn read_api_key(&self, one: &Presentation<'_>) -> Result<Facts, Refusal> {
        let config = &self.inner.config;
        let Some(credentials) = &config.credentials else {
            return Err(Refused::NotAnAccessToken(Shown::Other(NOT_TAKEN)).into());
        };
        let question = Question {
            token: one.token,
            request: Request {
                address: one.request.address,
                ..Request::default()
            },
            resource: self.expected(one).audiences.first().map(String::as_str),
            counting: Counting::Use,
            is_for_once: self.is_feed_stale(),
        };
        let claims = self.ask_active(credentials, &question).await?;
        let facts = Facts::new(self.vouched(&claims)?, &self.inner.config.issuer);
        let facts = facts.of_key(KeyAsked {
            address: one.request.address,
        });
        self.check_standing(one, &facts)?;
        self.check_records(&facts)?;
        Ok(facts)
    }
}

const NOT_TAKEN: &str = "an API key where only JWTs are taken (no introspection is set up)";
