//! What a token endpoint answers.
//!
//! Spec: RFC 6749 §5.1, §5.2

use std::time::Duration;

use serde_json::{Map, Value};
use symbolon_protocol::Timestamp;
use symbolon_token::Secret;

use super::Failed;
use super::fetch::Answer;

/// How long an access token is taken to be good where the issuer does not say.
const UNSAID: Duration = Duration::from_secs(60);
/// How long it is at most taken to be good: a day.
const MOST_SECONDS: u64 = 24 * 60 * 60;
/// How long a token may be, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// How many characters of an error code are kept.
const CODE_CHARS: usize = 64;

/// Tokens of a person.
#[derive(Debug)]
pub struct Tokens {
    /// What is shown to the resource.
    pub access_token: Secret,
    /// Until when, by the clock that the answer came under.
    pub expires: Timestamp,
    /// What more of them are got with.
    pub refresh_token: Option<Secret>,
    /// Who it is, in the issuer's words.
    pub id_token: Option<Secret>,
    /// What they permit, where the issuer says so.
    pub scope: Option<String>,
}

impl Tokens {
    pub(super) fn read(answer: &Answer, now: Timestamp) -> Result<Self, Failed> {
        match answer.status.as_u16() {
            200 => {}
            // These say something about the request; whatever else stands
            // between says nothing.
            400 | 401 => return Err(refusal(answer)),
            status => return Err(Failed::Status(status)),
        }
        let object = answer.object()?;
        let kind = object.get("token_type").and_then(Value::as_str);
        if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(Failed::Malformed("an answer with `token_type` Bearer"));
        }
        let access_token = secret(&object, "access_token")?;
        let life = object.get("expires_in").and_then(Value::as_u64);
        let life = life.map_or(UNSAID, |own| Duration::from_secs(own.min(MOST_SECONDS)));
        Ok(Self {
            access_token: access_token.ok_or(Failed::Malformed("an answer with a token"))?,
            expires: now + life,
            refresh_token: secret(&object, "refresh_token")?,
            id_token: secret(&object, "id_token")?,
            scope: object
                .get("scope")
                .and_then(Value::as_str)
                .map(str::to_owned),
        })
    }
}

fn secret(object: &Map<String, Value>, name: &str) -> Result<Option<Secret>, Failed> {
    let Some(value) = object.get(name) else {
        return Ok(None);
    };
    let fits = |text: &&str| {
        (1..=MAX_TOKEN_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    };
    let text = value.as_str().filter(fits);
    text.map(|text| Some(Secret::from(text)))
        .ok_or(Failed::Malformed("an answer with tokens that are tokens"))
}

/// The issuer's word, where it said one.
fn refusal(answer: &Answer) -> Failed {
    let word = answer.object().ok().and_then(|object| {
        let word = object.get("error")?.as_str()?;
        let plain = |own: char| own.is_ascii_graphic();
        Some(
            word.chars()
                .filter(|own| plain(*own))
                .take(CODE_CHARS)
                .collect::<String>(),
        )
    });
    match word {
        Some(word) if !word.is_empty() => Failed::Refused(word),
        _ => Failed::Status(answer.status.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;

    fn read(status: StatusCode, body: &Value) -> Result<Tokens, Failed> {
        let body = body.to_string().into_bytes();
        Tokens::read(&Answer { status, body }, Timestamp::from_millis(0))
    }

    #[test]
    fn only_an_answer_of_the_token_endpoint_says_no() {
        let no = json!({ "error": "invalid_grant" });
        for (status, expected) in [
            (
                StatusCode::BAD_REQUEST,
                Failed::Refused("invalid_grant".into()),
            ),
            (
                StatusCode::UNAUTHORIZED,
                Failed::Refused("invalid_grant".into()),
            ),
            (StatusCode::SERVICE_UNAVAILABLE, Failed::Status(503)),
            (StatusCode::FORBIDDEN, Failed::Status(403)),
        ] {
            assert_eq!(read(status, &no).unwrap_err(), expected);
        }
        assert_eq!(
            read(StatusCode::BAD_REQUEST, &json!({})).unwrap_err(),
            Failed::Status(400)
        );
    }

    #[test]
    fn tokens_are_read_with_their_end() {
        let whole = json!({ "access_token": "a", "token_type": "bearer", "expires_in": 600,
            "refresh_token": "r", "scope": "openid" });
        let tokens = read(StatusCode::OK, &whole).unwrap();
        assert_eq!(tokens.expires.millis(), 600_000);
        assert_eq!(tokens.refresh_token.unwrap().expose(), b"r");
        for broken in [
            json!({ "access_token": "a" }),
            json!({ "access_token": "a", "token_type": "DPoP" }),
            json!({ "token_type": "Bearer" }),
            json!({ "access_token": "a b", "token_type": "Bearer" }),
            json!({ "access_token": "a", "token_type": "Bearer", "refresh_token": 7 }),
        ] {
            assert!(read(StatusCode::OK, &broken).is_err(), "{broken}");
        }
    }
}
