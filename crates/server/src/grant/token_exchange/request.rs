//! What a client sends to exchange a token.
//!
//! Spec: RFC 8693 §2.1

use symbolon_protocol::{Parameters, Scopes};
use symbolon_token::Secret;

use symbolon_protocol::TokenKind;

use crate::failure::Refusal;

/// How long a presented token may be, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A token and what it is said to be. Nothing about it is checked.
pub(super) struct ShownToken {
    pub(super) text: Secret,
    pub(super) kind: TokenKind,
}

/// The parameters, read.
pub(crate) struct ExchangeRequest {
    pub(super) subject: ShownToken,
    pub(super) actor: Option<ShownToken>,
    pub(super) requested: TokenKind,
    /// `resource` and `audience`: both name APIs here.
    pub(super) targets: Vec<String>,
    pub(super) scopes: Option<Scopes>,
}

impl ExchangeRequest {
    /// Reads the parameters.
    pub(crate) fn parse(form: &Parameters) -> Result<Self, Refusal> {
        let subject = shown(form, "subject_token", "subject_token_type")?;
        let subject = subject.ok_or(Refusal::invalid_request("subject_token is missing"))?;
        let requested = match form.one("requested_token_type") {
            None => TokenKind::AccessToken,
            Some(urn) => TokenKind::from_urn(urn).ok_or(Refusal::invalid_request(
                "requested_token_type is not one that is issued here",
            ))?,
        };
        let scopes = form.one("scope").map(str::parse).transpose();
        let targets = form.all("resource").chain(form.all("audience"));
        Ok(Self {
            subject,
            actor: shown(form, "actor_token", "actor_token_type")?,
            requested,
            targets: targets.map(str::to_owned).collect(),
            scopes: scopes.map_err(|_| Refusal::invalid_scope("scope is malformed or too long"))?,
        })
    }
}

/// A token and its type: both, or neither.
fn shown(form: &Parameters, token: &str, kind: &str) -> Result<Option<ShownToken>, Refusal> {
    let (text, urn) = match (form.one(token), form.one(kind)) {
        (None, None) => return Ok(None),
        (Some(text), Some(urn)) => (text, urn),
        _ => {
            return Err(Refusal::invalid_request(
                "a token and its type belong together",
            ));
        }
    };
    if text.len() > MAX_TOKEN_BYTES {
        return Err(Refusal::invalid_request("a presented token is too long"));
    }
    let kind = TokenKind::from_urn(urn).ok_or(Refusal::invalid_request(
        "a token type is not one that is taken here",
    ))?;
    Ok(Some(ShownToken {
        text: Secret::from(text),
        kind,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_protocol::ErrorCode;

    const AT: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";

    fn parse(form: &str) -> Result<ExchangeRequest, ErrorCode> {
        let form = Parameters::parse(form.as_bytes()).unwrap();
        ExchangeRequest::parse(&form).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_request_asks_for_an_access_token_unless_it_says_otherwise() {
        let request = parse(&format!(
            "subject_token=x&subject_token_type={AT}&resource=a&audience=b"
        ))
        .unwrap();

        assert_eq!(request.requested, TokenKind::AccessToken);
        assert_eq!(request.targets, ["a", "b"]);
        assert!(request.actor.is_none() && request.scopes.is_none());
    }

    #[test]
    fn tokens_and_types_come_in_pairs() {
        let good = format!("subject_token=x&subject_token_type={AT}");
        assert!(parse(&format!("{good}&actor_token=y&actor_token_type={AT}")).is_ok());
        let long = "x".repeat(MAX_TOKEN_BYTES + 1);
        for bad in [
            "".to_owned(),
            format!("subject_token_type={AT}"),
            "subject_token=x".to_owned(),
            "subject_token=x&subject_token_type=access_token".to_owned(),
            format!("{good}&actor_token=y"),
            format!("{good}&actor_token_type={AT}"),
            format!("{good}&requested_token_type=urn:ietf:params:oauth:token-type:saml1"),
            format!("subject_token={long}&subject_token_type={AT}"),
        ] {
            assert_eq!(parse(&bad).err(), Some(ErrorCode::InvalidRequest), "{bad}");
        }
    }
}
