//! What a request shows of its client: a name, and one proof or none.
//!
//! Spec: RFC 6749 §2.3, §2.3.1
//! Spec: RFC 7521 §4.2

use symbolon_protocol::{ClientAuthentication, ClientId, Parameters, basic};
use symbolon_token::Secret;
use symbolon_token::jose::Unverified;

use super::failed;
use crate::failure::Refusal;
use crate::received::{Authorization, Received};

/// The one kind of assertion that clients prove themselves with.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A claimed client and what it shows.
#[derive(Debug)]
pub(super) struct Presented<'a> {
    pub(super) client: ClientId,
    pub(super) proof: Proof<'a>,
}

#[derive(Debug)]
pub(super) enum Proof<'a> {
    Nothing,
    Secret {
        method: ClientAuthentication,
        secret: Secret,
    },
    Assertion(Unverified<'a>),
}

impl Proof<'_> {
    /// The method that it says it is; an assertion may be of either kind.
    pub(super) fn method(&self) -> Option<ClientAuthentication> {
        match self {
            Self::Nothing => None,
            Self::Secret { method, .. } => Some(*method),
            Self::Assertion(unverified) if unverified.claimed_algorithm().starts_with("HS") => {
                Some(ClientAuthentication::ClientSecretJwt)
            }
            Self::Assertion(_) => Some(ClientAuthentication::PrivateKeyJwt),
        }
    }
}

/// Reads it. Two methods at once are refused, whatever they prove.
pub(super) fn read<'a>(
    received: &'a Received,
    form: &'a Parameters,
) -> Result<Presented<'a>, Refusal> {
    let authorization = received.authorization("Basic");
    let in_header = !matches!(authorization, Authorization::Absent);
    let in_form = form.one("client_secret").is_some();
    let assertion = (
        form.one("client_assertion_type"),
        form.one("client_assertion"),
    );
    let asserted = assertion != (None, None);
    if u8::from(in_header) + u8::from(in_form) + u8::from(asserted) > 1 {
        return Err(Refusal::invalid_request(
            "a client proves itself by one method at a time",
        ));
    }
    match (authorization, assertion) {
        (Authorization::Other, _) => Err(failed()),
        (Authorization::Given(credentials), _) => header(credentials, form),
        (Authorization::Absent, (None, None)) => body(form),
        (Authorization::Absent, (Some(kind), Some(text))) => assert(kind, text, form),
        (Authorization::Absent, _) => Err(Refusal::invalid_request(
            "client_assertion and client_assertion_type come together",
        )),
    }
}

fn header<'a>(credentials: &str, form: &Parameters) -> Result<Presented<'a>, Refusal> {
    let (client, secret) = basic::decode(credentials).ok_or_else(failed)?;
    let secret = Secret::from(secret);
    if form
        .one("client_id")
        .is_some_and(|named| named != client.as_str())
    {
        return Err(Refusal::invalid_request(
            "client_id differs from the one in the header",
        ));
    }
    Ok(Presented {
        client,
        proof: Proof::Secret {
            method: ClientAuthentication::ClientSecretBasic,
            secret,
        },
    })
}

fn body<'a>(form: &Parameters) -> Result<Presented<'a>, Refusal> {
    let client = named(form)?
        .ok_or_else(|| Refusal::invalid_client("the client does not say which one it is"))?;
    let proof = match form.one("client_secret") {
        None => Proof::Nothing,
        Some(secret) => Proof::Secret {
            method: ClientAuthentication::ClientSecretPost,
            secret: Secret::from(secret),
        },
    };
    Ok(Presented { client, proof })
}

fn assert<'a>(kind: &str, text: &'a str, form: &Parameters) -> Result<Presented<'a>, Refusal> {
    if kind != JWT_BEARER {
        return Err(Refusal::invalid_client(
            "client_assertion_type is not one that is taken here",
        ));
    }
    let unverified = Unverified::parse(text).map_err(|invalid| {
        tracing::debug!(cause = invalid.code(), "client assertion");
        failed()
    })?;
    let client = match named(form)? {
        Some(client) => client,
        None => subject(&unverified).ok_or_else(failed)?,
    };
    Ok(Presented {
        client,
        proof: Proof::Assertion(unverified),
    })
}

/// Whose keys to try. Nothing is decided by it: with the signature the claims
/// are read again, and have to name this client.
fn subject(unverified: &Unverified<'_>) -> Option<ClientId> {
    let claimed = unverified.dangerous_claims_without_key().ok()?;
    claimed.get("sub")?.as_str()?.parse().ok()
}

/// What no client can be called names an unknown one.
fn named(form: &Parameters) -> Result<Option<ClientId>, Refusal> {
    form.one("client_id")
        .map(|text| text.parse().map_err(|_| failed()))
        .transpose()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
    use http::header::AUTHORIZATION;
    use http::{HeaderMap, Method};
    use symbolon_protocol::ErrorCode;

    use super::*;

    fn received(authorization: Option<&str>) -> Received {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
        }
        Received {
            method: Method::POST,
            uri: "/token".parse().unwrap(),
            headers,
            body: Default::default(),
            certificate: None,
        }
    }

    /// What was read, as `client method secret`.
    fn shown(authorization: Option<&str>, form: &str) -> Result<String, ErrorCode> {
        let received = received(authorization);
        let form = Parameters::parse(form.as_bytes()).unwrap();
        let presented = read(&received, &form).map_err(|refusal| refusal.code)?;
        Ok(match presented.proof {
            Proof::Nothing => format!("{} none", presented.client),
            Proof::Secret { method, secret } => {
                format!("{} {method} {}", presented.client, secret.expose_str())
            }
            Proof::Assertion(unverified) => {
                format!("{} {}", presented.client, unverified.claimed_algorithm())
            }
        })
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(text))
    }

    fn jwt(claims: &str) -> String {
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!(
            "{}.{}.{}",
            part(r#"{"alg":"ES256"}"#),
            part(claims),
            part("x")
        )
    }

    fn asserted(text: &str) -> String {
        format!(
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={text}"
        )
    }

    #[test]
    fn each_method_is_read_as_what_it_is() {
        assert_eq!(shown(None, "client_id=a").unwrap(), "a none");
        assert_eq!(
            shown(None, "client_id=a&client_secret=s%20s").unwrap(),
            "a client_secret_post s s"
        );
        assert_eq!(
            shown(Some(&basic("a%3Ab:s%25")), "").unwrap(),
            "a:b client_secret_basic s%"
        );
        assert_eq!(
            shown(Some(&basic("a:s")), "client_id=a&client_secret=").unwrap(),
            "a client_secret_basic s"
        );
        assert_eq!(
            shown(None, &asserted(&jwt(r#"{"sub":"a"}"#))).unwrap(),
            "a ES256"
        );
        assert_eq!(
            shown(None, &format!("client_id=b&{}", asserted(&jwt("{}")))).unwrap(),
            "b ES256"
        );
    }

    /// Attack: D109
    #[test]
    fn two_methods_at_once_are_refused() {
        let assertion = asserted(&jwt(r#"{"sub":"a"}"#));
        let header = basic("a:s");

        for (authorization, form) in [
            (Some(header.as_str()), "client_secret=s"),
            (Some(&header), "client_secret=other"),
            (Some(&header), assertion.as_str()),
            (Some("Bearer x"), "client_id=a&client_secret=s"),
            (None, &format!("client_id=a&client_secret=s&{assertion}")),
            (Some(&header), "client_assertion=x"),
        ] {
            assert_eq!(
                shown(authorization, form).unwrap_err(),
                ErrorCode::InvalidRequest,
                "{form}"
            );
        }
    }

    #[test]
    fn a_client_id_beside_the_header_has_to_agree() {
        let header = basic("a:s");

        assert!(shown(Some(&header), "client_id=a").is_ok());
        assert_eq!(
            shown(Some(&header), "client_id=b").unwrap_err(),
            ErrorCode::InvalidRequest
        );
    }

    #[test]
    fn what_cannot_be_read_is_a_failed_proof() {
        let unknown_kind = "client_id=a&client_assertion_type=saml&client_assertion=x";
        let reserved = asserted(&jwt(r#"{"sub":"usr_1"}"#));

        for (authorization, form) in [
            (Some("Basic %%%"), ""),
            (Some("Basic"), ""),
            (Some("Basic bm9jb2xvbg=="), ""),
            (Some("Bearer x"), "client_id=a"),
            (None, ""),
            (None, "client_secret=s"),
            (None, "client_id=%C3%A4"),
            (None, unknown_kind),
            (None, &asserted("a.b")),
            (None, &asserted(&jwt("{}"))),
            (None, &asserted(&jwt(r#"{"sub":""}"#))),
            (None, &reserved),
        ] {
            assert_eq!(
                shown(authorization, form).unwrap_err(),
                ErrorCode::InvalidClient,
                "{form}"
            );
        }
    }

    #[test]
    fn half_an_assertion_is_no_request() {
        for form in [
            "client_id=a&client_assertion=x",
            "client_id=a&client_assertion_type=x",
        ] {
            assert_eq!(shown(None, form).unwrap_err(), ErrorCode::InvalidRequest);
        }
    }
}
