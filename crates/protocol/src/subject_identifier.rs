//! Subject identifiers: how one party names a person to another.
//!
//! Spec: RFC 9493 §3
//! Spec: OpenID Shared Signals Framework 1.0 §3

use serde_json::{Map, Value};

/// How long a part of an identifier may be, in bytes.
const MAX_PART_BYTES: usize = 1024;

/// A subject identifier of a format that is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectIdentifier {
    /// Whoever the issuer calls so (§3.2.3).
    IssSub {
        /// The issuer.
        iss: String,
        /// Its name for the subject.
        sub: String,
    },
    /// Whoever has the address (§3.2.2).
    Email(String),
    /// Whoever both parties call so (§3.2.4).
    Opaque(String),
    /// The account that an `acct:` URI names (§3.2.1).
    Account(String),
    /// A person's session, or the person alone where no session is named
    /// (Shared Signals §3.2).
    Complex {
        /// The person.
        user: Box<Self>,
        /// The session.
        session: Option<String>,
    },
}

/// Why an object is no subject identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubjectIdentifier {
    /// It has no format, or lacks what its format demands.
    #[error("it has no format, or lacks what its format demands")]
    Malformed,
    /// Its format means nothing here.
    #[error("its format means nothing here")]
    UnknownFormat,
}

use InvalidSubjectIdentifier::{Malformed, UnknownFormat};

impl SubjectIdentifier {
    /// Reads an identifier.
    pub fn read(value: &Value) -> Result<Self, InvalidSubjectIdentifier> {
        let object = value.as_object().ok_or(Malformed)?;
        match object.get("format").and_then(Value::as_str) {
            Some("complex") => Self::complex(object),
            _ => Self::simple(object),
        }
    }

    fn simple(object: &Map<String, Value>) -> Result<Self, InvalidSubjectIdentifier> {
        match object.get("format").and_then(Value::as_str) {
            Some("iss_sub") => Ok(Self::IssSub {
                iss: part(object, "iss")?,
                sub: part(object, "sub")?,
            }),
            Some("email") => Ok(Self::Email(part(object, "email")?)),
            Some("opaque") => Ok(Self::Opaque(part(object, "id")?)),
            Some("account") => Ok(Self::Account(part(object, "uri")?)),
            Some(_) => Err(UnknownFormat),
            None => Err(Malformed),
        }
    }

    /// Members besides person and session only narrow what is meant, so an
    /// identifier with others is not understood: it would say too much.
    fn complex(object: &Map<String, Value>) -> Result<Self, InvalidSubjectIdentifier> {
        let known = ["format", "user", "session"];
        if object.keys().any(|name| !known.contains(&name.as_str())) {
            return Err(UnknownFormat);
        }
        let user = object.get("user").and_then(Value::as_object);
        let user = Self::simple(user.ok_or(Malformed)?)?;
        let session = object.get("session").map(|session| {
            let session = session.as_object().ok_or(Malformed)?;
            match Self::simple(session)? {
                Self::Opaque(id) => Ok(id),
                Self::IssSub { sub, .. } => Ok(sub),
                _ => Err(UnknownFormat),
            }
        });
        Ok(Self::Complex {
            user: Box::new(user),
            session: session.transpose()?,
        })
    }
}

fn part(object: &Map<String, Value>, name: &str) -> Result<String, InvalidSubjectIdentifier> {
    let text = object.get(name).and_then(Value::as_str);
    let fits = |text: &&str| {
        !text.is_empty() && text.len() <= MAX_PART_BYTES && !text.contains(char::is_control)
    };
    text.filter(fits).map(str::to_owned).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_known_format_is_read() {
        let user = SubjectIdentifier::IssSub {
            iss: "https://login.example.com".to_owned(),
            sub: "usr_1".to_owned(),
        };
        let iss_sub =
            json!({"format": "iss_sub", "iss": "https://login.example.com", "sub": "usr_1"});
        let email = json!({"format": "email", "email": "a@example.com"});
        let session = json!({"format": "opaque", "id": "ses_1"});

        assert_eq!(SubjectIdentifier::read(&iss_sub), Ok(user.clone()));
        assert_eq!(
            SubjectIdentifier::read(&email),
            Ok(SubjectIdentifier::Email("a@example.com".to_owned()))
        );
        assert_eq!(
            SubjectIdentifier::read(&json!({"format": "account", "uri": "acct:a@example.com"})),
            Ok(SubjectIdentifier::Account("acct:a@example.com".to_owned()))
        );
        assert_eq!(
            SubjectIdentifier::read(
                &json!({"format": "complex", "user": iss_sub, "session": session})
            ),
            Ok(SubjectIdentifier::Complex {
                user: Box::new(user),
                session: Some("ses_1".to_owned()),
            })
        );
    }

    #[test]
    fn what_is_not_understood_whole_is_refused() {
        let user = json!({"format": "opaque", "id": "x"});
        for (wrong, why) in [
            (json!("usr_1"), Malformed),
            (json!({}), Malformed),
            (json!({"format": 7}), Malformed),
            (json!({"format": "email"}), Malformed),
            (json!({"format": "email", "email": ""}), Malformed),
            (json!({"format": "email", "email": "a\nb"}), Malformed),
            (
                json!({"format": "opaque", "id": "x".repeat(1025)}),
                Malformed,
            ),
            (json!({"format": "iss_sub", "iss": "https://a"}), Malformed),
            (
                json!({"format": "phone_number", "phone_number": "+1"}),
                UnknownFormat,
            ),
            (json!({"format": "complex", "session": user}), Malformed),
            (
                json!({"format": "complex", "user": user, "device": user}),
                UnknownFormat,
            ),
            (
                json!({"format": "complex", "user": {"format": "complex", "user": user}}),
                UnknownFormat,
            ),
        ] {
            assert_eq!(SubjectIdentifier::read(&wrong), Err(why), "{wrong}");
        }
    }
}
