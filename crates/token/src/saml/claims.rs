//! The claims of an access token as attributes, and back: what a JWT says about
//! an authority, an assertion of this server says in the same words.
//!
//! Spec: RFC 9068 §2.2
//! Spec: SAML 2.0 Core §2.7.3

use serde_json::{Map, Value};

use super::assertion::{Assertion, Attribute};
use super::names::BASIC;

/// How a claim is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One value.
    Text,
    /// One value for each member.
    List,
    /// One value, which is JSON.
    Json,
}

/// The claims that become attributes. All others have a place of their own.
const CLAIMS: [(&str, Form); 10] = [
    ("client_id", Form::Text),
    ("scope", Form::Text),
    ("acr", Form::Text),
    ("amr", Form::List),
    ("organization", Form::Text),
    ("roles", Form::List),
    // How a session is named to the sector of the client, where it is in one.
    ("sid", Form::Text),
    ("act", Form::Json),
    ("may_act", Form::Json),
    ("rev", Form::Json),
];

/// Before the token's id: an ID of XML begins with no digit.
pub(super) const ID_PREFIX: &str = "_";

/// Whether a name is one of a claim.
pub(super) fn is_reserved(name: &str) -> bool {
    CLAIMS.iter().any(|(own, _)| *own == name)
}

/// Writes claims as attributes.
pub(super) fn to_attributes(claims: &Map<String, Value>) -> Vec<Attribute> {
    let attribute = |(name, form): &(&str, Form)| {
        let claim = claims.get(*name)?;
        let text = |claim: &Value| claim.as_str().map(str::to_owned);
        let values = match form {
            Form::Text => vec![text(claim)?],
            Form::List => claim.as_array()?.iter().filter_map(text).collect(),
            Form::Json => vec![claim.to_string()],
        };
        Some(Attribute {
            name: (*name).to_owned(),
            format: Some(BASIC.to_owned()),
            values,
        })
    };
    CLAIMS.iter().filter_map(attribute).collect()
}

impl Assertion {
    /// The claims of the access token that this is another writing of, for
    /// [`check_claims`](crate::jwt::check_claims). They mean something only
    /// where this server itself is the issuer: other issuers' attributes are
    /// their own.
    pub fn claims(&self) -> Map<String, Value> {
        let mut claims = Map::new();
        for (name, form) in CLAIMS {
            let own = self
                .attributes()
                .iter()
                .find(|own| own.name == name && own.format.as_deref() == Some(BASIC));
            let Some(own) = own else { continue };
            let value = match form {
                Form::List => Some(own.values.clone().into()),
                Form::Text => own.values.first().map(|text| text.as_str().into()),
                Form::Json => own
                    .values
                    .first()
                    .and_then(|text| serde_json::from_str(text).ok()),
            };
            claims.extend(value.map(|value| (name.to_owned(), value)));
        }
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set("iss", self.issuer().into());
        set("sub", self.subject().value.as_str().into());
        let id = self.id();
        set("jti", id.strip_prefix(ID_PREFIX).unwrap_or(id).into());
        set("iat", self.issued().seconds().into());
        set("exp", self.expires().seconds().into());
        if let Some(audience) = self.audiences().next() {
            set("aud", audience.into());
        }
        if let Some(statement) = self.authentication() {
            set("auth_time", statement.time.seconds().into());
        }
        claims
    }
}
