//! Which answers to a client, and which tokens for a resource, are encrypted
//! after they were signed.
//!
//! Spec: OpenID Connect Dynamic Client Registration 1.0 §2
//! Spec: RFC 9701 §6
//! Spec: RFC 7519 §5.2

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Client, Problem};
use crate::vocabulary::{ContentEncryption, KeyManagement};

/// How content is encrypted where nobody says.
///
/// Differs from OpenID Connect registration §2: there it is `A128CBC-HS256`,
/// which is not among those of this server.
pub const DEFAULT_ENC: ContentEncryption = ContentEncryption::A256Gcm;

/// How one thing is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// How the key reaches the reader.
    pub alg: KeyManagement,
    /// How the content is encrypted.
    pub enc: ContentEncryption,
}

impl Encryption {
    /// What a pair of members says; nothing where nothing is to be encrypted.
    pub fn of(alg: Option<KeyManagement>, enc: Option<ContentEncryption>) -> Option<Self> {
        alg.map(|alg| Self {
            alg,
            enc: enc.unwrap_or(DEFAULT_ENC),
        })
    }
}

/// What a client can have encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncryptedAnswer {
    /// The ID token.
    IdToken,
    /// The answer of userinfo.
    Userinfo,
    /// The answer of introspection.
    Introspection,
}

/// The part of a client's metadata that is about encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseEncryption {
    /// How the key of its ID tokens reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_alg: Option<KeyManagement>,
    /// How its ID tokens are encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_enc: Option<ContentEncryption>,
    /// How the key of userinfo answers reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_alg: Option<KeyManagement>,
    /// How userinfo answers are encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_enc: Option<ContentEncryption>,
    /// How the key of introspection answers reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_encrypted_response_alg: Option<KeyManagement>,
    /// How introspection answers are encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection_encrypted_response_enc: Option<ContentEncryption>,
}

/// The names of the members, `alg` and `enc` of each answer.
pub const MEMBERS: [(&str, &str); 3] = [
    (
        "id_token_encrypted_response_alg",
        "id_token_encrypted_response_enc",
    ),
    (
        "userinfo_encrypted_response_alg",
        "userinfo_encrypted_response_enc",
    ),
    (
        "introspection_encrypted_response_alg",
        "introspection_encrypted_response_enc",
    ),
];

impl ResponseEncryption {
    /// How an answer is encrypted, if it is.
    pub fn of(&self, answer: EncryptedAnswer) -> Option<Encryption> {
        let (alg, enc) = self.pair(answer);
        Encryption::of(alg, enc)
    }

    /// The algorithms for which the client needs a key, with the member that
    /// says so.
    pub fn wanted(&self) -> impl Iterator<Item = (&'static str, KeyManagement)> {
        let all = ANSWERS.map(|answer| self.pair(answer).0);
        let named = MEMBERS.into_iter().zip(all);
        named.filter_map(|((name, _), alg)| Some((name, alg?)))
    }

    fn pair(&self, answer: EncryptedAnswer) -> (Option<KeyManagement>, Option<ContentEncryption>) {
        match answer {
            EncryptedAnswer::IdToken => (
                self.id_token_encrypted_response_alg,
                self.id_token_encrypted_response_enc,
            ),
            EncryptedAnswer::Userinfo => (
                self.userinfo_encrypted_response_alg,
                self.userinfo_encrypted_response_enc,
            ),
            EncryptedAnswer::Introspection => (
                self.introspection_encrypted_response_alg,
                self.introspection_encrypted_response_enc,
            ),
        }
    }

    /// What does not fit together for a client with these keys.
    pub(crate) fn problems(&self, keys: RegisteredKeys<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (answer, names) in ANSWERS.into_iter().zip(MEMBERS) {
            let (alg, enc) = self.pair(answer);
            problems.extend(problem(names, (alg.is_some(), enc.is_some()), keys));
        }
        problems
    }
}

const ANSWERS: [EncryptedAnswer; 3] = [
    EncryptedAnswer::IdToken,
    EncryptedAnswer::Userinfo,
    EncryptedAnswer::Introspection,
];

/// Where somebody's public keys are.
#[derive(Clone, Copy, Debug)]
pub struct RegisteredKeys<'a> {
    /// Here.
    pub jwks: Option<&'a Value>,
    /// At an address.
    pub jwks_uri: Option<&'a str>,
}

impl Client {
    /// Where its public keys are.
    pub fn registered_keys(&self) -> RegisteredKeys<'_> {
        RegisteredKeys {
            jwks: self.jwks.as_ref(),
            jwks_uri: self.jwks_uri.as_deref(),
        }
    }
}

/// What is wrong with a pair of members, one of which may be given.
pub(crate) fn problem(
    (alg, enc): (&str, &str),
    given: (bool, bool),
    keys: RegisteredKeys<'_>,
) -> Option<Problem> {
    match given {
        (false, true) => Some(Problem::new(enc, format!("needs `{alg}` beside it"))),
        (true, _) if keys.jwks.is_some() == keys.jwks_uri.is_some() => Some(Problem::new(
            alg,
            "needs either `jwks` or `jwks_uri`, with a key to encrypt to".to_owned(),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEYS: &str = "https://shop.example/jwks";

    fn problems(document: Value, jwks_uri: Option<&str>) -> Vec<String> {
        let read: ResponseEncryption = serde_json::from_value(document).unwrap();
        let keys = RegisteredKeys {
            jwks: None,
            jwks_uri,
        };
        let all = read.problems(keys).into_iter();
        all.map(|problem| problem.field).collect()
    }

    #[test]
    fn each_answer_needs_an_algorithm_and_a_key() {
        for (alg, enc) in MEMBERS {
            let both = json!({ alg: "ECDH-ES", enc: "A128GCM" });
            assert_eq!(problems(both.clone(), Some(KEYS)), [""; 0], "{alg}");
            assert_eq!(problems(both, None), [alg]);
            assert_eq!(problems(json!({ enc: "A128GCM" }), Some(KEYS)), [enc]);
            assert_eq!(
                problems(json!({ alg: "RSA-OAEP-256" }), Some(KEYS)),
                [""; 0]
            );
        }
    }

    /// Attack: E155
    #[test]
    fn what_is_not_on_the_list_is_refused_with_the_list() {
        for (alg, enc) in MEMBERS {
            for bad in ["RSA1_5", "RSA-OAEP", "dir", "A128KW", "ecdh-es", "none"] {
                let read = serde_json::from_value::<ResponseEncryption>(json!({ alg: bad }));
                let told = read.unwrap_err().to_string();
                for own in KeyManagement::ALL {
                    assert!(told.contains(own.as_str()), "{told}");
                }
            }
            for bad in ["A128CBC-HS256", "A192GCM", "none"] {
                let read = serde_json::from_value::<ResponseEncryption>(json!({ enc: bad }));
                assert!(read.unwrap_err().to_string().contains("A256CBC-HS512"));
            }
        }
    }

    #[test]
    fn where_nobody_says_content_is_encrypted_with_a256gcm() {
        let alone = json!({ "id_token_encrypted_response_alg": "ECDH-ES" });
        let read: ResponseEncryption = serde_json::from_value(alone).unwrap();
        let found = read.of(EncryptedAnswer::IdToken).unwrap();
        assert_eq!(found.enc, ContentEncryption::A256Gcm);
        assert_eq!(read.of(EncryptedAnswer::Userinfo), None);
    }
}
