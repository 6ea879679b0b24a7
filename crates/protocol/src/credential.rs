//! What looks like a credential, by its name or by itself. None of it belongs
//! into a token that others read.
//!
//! Names and shapes of what others issue cannot all be known, so this is the
//! second line: the first is that nothing enters a token without a mapping.
//!
//! Spec: OWASP Secrets Management Cheat Sheet
//! Spec: RFC 7519 §7
//! Spec: RFC 7468 §2

use serde_json::Value;

/// Parts of names that speak of credentials, wherever they stand in a word.
const INSIDE: [&str; 24] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "passwort",
    "secret",
    "token",
    "credential",
    "apikey",
    "privatekey",
    "accesskey",
    "signingkey",
    "encryptionkey",
    "authkey",
    "accountkey",
    "sessionid",
    "mnemonic",
    "hmackey",
    "privkey",
    "masterkey",
    "recoverycode",
    "backupcode",
    "securityanswer",
    "seedphrase",
];
/// Names that do so as a whole.
const WHOLE: [&str; 3] = ["authorization", "proxyauthorization", "httpauthorization"];
/// Words of names that do so where they stand alone.
const WORDS: [&str; 13] = [
    "hmac", "pwd", "pass", "pin", "otp", "totp", "hotp", "mfa", "jwt", "cookie", "bearer", "seed",
    "cvv",
];
/// How what others issue begins, and how long it is at least.
const BEGINNINGS: [(&str, usize); 31] = [
    ("xkeysib-", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("gldt-", 16),
    ("glrt-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("xoxa-", 16),
    ("xoxr-", 16),
    ("xapp-", 16),
    ("sk-", 20),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("whsec_", 16),
    ("AIza", 30),
    ("ya29.", 16),
    ("GOCSPX-", 16),
    ("npm_", 30),
    ("pypi-", 30),
    ("hf_", 30),
    ("hvs.", 20),
    ("SG.", 30),
    ("dop_v1_", 30),
    ("AGE-SECRET-KEY-1", 20),
    ("lin_api_", 20),
];
/// How AWS names the keys of its accounts.
const AWS: [&str; 4] = ["AKIA", "ASIA", "ABIA", "ACCA"];
/// The words between mark and body of this server's own credentials.
const OWN: [&str; 10] = [
    "at", "rt", "ac", "dc", "cs", "key", "tx", "ss", "adm", "rat",
];
/// How long text of mixed characters is that nobody wrote by hand.
const RANDOM_CHARACTERS: usize = 40;
/// The lengths of keys that are drawn and written in hexadecimal: 256, 384 and
/// 512 bits. Shorter ones are names of commits and devices, and UUIDs.
const HEX_KEYS: [usize; 3] = [64, 96, 128];
/// How deep a value may be.
const MAX_DEPTH: usize = 8;

/// Whether a name speaks of a credential, however its words are put together.
pub fn is_named_like_one(name: &str) -> bool {
    let compact: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|own| own.to_ascii_lowercase())
        .collect();
    INSIDE.iter().any(|part| compact.contains(part))
        || WHOLE.contains(&compact.as_str())
        || words(name).any(|word| WORDS.contains(&word.as_str()))
}

/// The words of a name, split where neither letter nor digit stands and where
/// a capital begins.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut before_is_small = false;
    for own in name.chars() {
        let begins = own.is_ascii_uppercase() && before_is_small;
        if (begins || !own.is_ascii_alphanumeric())
            && let Some(last) = words.last()
            && !last.is_empty()
        {
            words.push(String::new());
        }
        if own.is_ascii_alphanumeric()
            && let Some(last) = words.last_mut()
        {
            last.push(own.to_ascii_lowercase());
        }
        before_is_small = own.is_ascii_lowercase() || own.is_ascii_digit();
    }
    words.into_iter()
}

/// What a text looks like, in words, where it looks like a credential.
pub fn looks_like(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let is_own = |text: &str| {
        let mut parts = text.splitn(3, '_');
        let (mark, word, body) = (parts.next(), parts.next(), parts.next());
        mark.is_some_and(|own| own.len() >= 2 && own.bytes().all(|b| b.is_ascii_lowercase()))
            && word.is_some_and(|own| OWN.contains(&own))
            && body.is_some_and(|own| own.len() >= 20 && own.bytes().all(is_base64url))
    };
    if is_own(text) {
        return Some("a credential of this server");
    }
    if is_jose(text) {
        return Some("a signed or encrypted token");
    }
    let connects = ["SharedAccessSignature", "SharedAccessKey=", "AccountKey="];
    if connects.iter().any(|part| text.contains(part)) {
        return Some("a connection string with a key");
    }
    if text.contains("-----BEGIN ") {
        return Some("a key or certificate in PEM form");
    }
    let begins = |(beginning, least): &(&str, usize)| {
        text.starts_with(beginning) && text.len() >= *least && !text.contains(char::is_whitespace)
    };
    if BEGINNINGS.iter().any(begins) || is_of_aws(text) {
        return Some("an API key or access token");
    }
    if ["Bearer ", "Basic ", "DPoP ", "ApiKey ", "Token "]
        .iter()
        .any(|scheme| {
            let head = text.get(..scheme.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(scheme))
        })
    {
        return Some("the value of an Authorization header");
    }
    if is_hash(text) {
        return Some("the hash of a password");
    }
    if has_password(text) {
        return Some("an address with a password in it");
    }
    is_random(text).then_some("a random secret")
}

/// The same for every text in a value, and for the names in it.
pub fn looks_like_in(value: &Value) -> Option<&'static str> {
    look(value, MAX_DEPTH)
}

fn look(value: &Value, depth: usize) -> Option<&'static str> {
    match value {
        Value::String(text) => looks_like(text),
        Value::Array(_) | Value::Object(_) if depth == 0 => Some("a value that is too deep"),
        Value::Array(all) => all.iter().find_map(|own| look(own, depth - 1)),
        Value::Object(members) => members.iter().find_map(|(name, own)| {
            let named = is_named_like_one(name).then_some("a member named like a credential");
            named.or_else(|| look(own, depth - 1))
        }),
        _ => None,
    }
}

const fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Three or five parts of base64url, the first of which begins an object.
fn is_jose(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, '.').collect();
    matches!(parts.len(), 3 | 5)
        && parts[0].starts_with("ey")
        && parts[0].len() >= 12
        && parts.iter().all(|part| part.bytes().all(is_base64url))
}

fn is_of_aws(text: &str) -> bool {
    let rest = AWS.iter().find_map(|mark| text.strip_prefix(mark));
    rest.is_some_and(|rest| {
        rest.len() == 16
            && rest
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    })
}

/// PHC strings, and what `crypt` writes.
fn is_hash(text: &str) -> bool {
    let kinds = [
        "$argon2", "$2a$", "$2b$", "$2y$", "$pbkdf2", "$scrypt$", "$5$", "$6$", "$y$", "{SSHA",
    ];
    kinds.iter().any(|kind| text.starts_with(kind))
}

fn has_password(text: &str) -> bool {
    let after = text.split_once("://").map(|(_, after)| after);
    after.is_some_and(|after| {
        let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
        let person = authority.rsplit_once('@').map(|(person, _)| person);
        person.is_some_and(|person| person.contains(':'))
    })
}

/// One long word of capitals, small letters and digits together, as base64 and
/// base62 write random bytes, or a key's length of hexadecimal, in which form
/// this server's own master key is written. A digest of that length cannot be
/// told from a key, and is refused with it. Names, addresses and UUIDs are none.
fn is_random(text: &str) -> bool {
    if HEX_KEYS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return true;
    }
    let bytes = text.as_bytes();
    // The secrets of AWS have 40 characters, few of which may be digits.
    let is_of_aws = bytes.len() == 40;
    let is_one = |byte: &u8| is_base64url(*byte) || matches!(*byte, b'+' | b'/' | b'=');
    let count = |of: fn(&u8) -> bool| bytes.iter().filter(|byte| of(byte)).count();
    bytes.len() >= RANDOM_CHARACTERS
        && bytes.iter().all(is_one)
        && count(u8::is_ascii_digit) >= if is_of_aws { 1 } else { 3 }
        && count(u8::is_ascii_uppercase) >= 3
        && count(u8::is_ascii_lowercase) >= 3
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_credentials_are_known_however_they_are_written() {
        for bad in [
            "password",
            "userPassword",
            "user_passwd",
            "PASSWORD",
            "p.a.s.s.w.o.r.d",
            "client-secret",
            "refresh_token",
            "accessToken",
            "api_key",
            "apiKey",
            "X-API-Key",
            "privateKey",
            "https://example.com/api-key",
            "aws_credentials",
            "pin",
            "user_pin",
            "totp_seed",
            "sessionCookie",
            "jwt",
            "pwd",
            "session_id",
            "auth_key",
            "hmac",
            "mnemonic",
            "privkey",
            "ssh_priv_key",
            "Authorization",
            "recovery_code",
            "recoveryCodes",
            "backup_codes",
            "security_answer",
            "master_key",
        ] {
            assert!(is_named_like_one(bad), "{bad}");
        }
        for good in [
            "email",
            "department",
            "cost_center",
            "shipping",
            "passport_country",
            "https://example.com/department",
            "opinion",
            "keyboard_layout",
            "employee_number",
            "authorized_regions",
            "authorization_level",
            "security_clearance",
            "recovery_email",
        ] {
            assert!(!is_named_like_one(good), "{good}");
        }
    }

    #[test]
    fn values_of_credentials_are_known_by_their_shape() {
        let long = "x".repeat(36);
        for bad in [
            "sym_at_AbCdEfGhIjKlMnOpQrStUvWx",
            "acme_key_0123456789abcdefghijKLMN",
            "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
            "eyJhbGciOiJFUzI1NiJ9.e30.",
            "eyJhbGciOiJkaXIiLCJlbmMiOiJBIn0..iv.ct.tag",
            "-----BEGIN PRIVATE KEY-----\nMII",
            &format!("ghp_{long}"),
            "AKIAIOSFODNN7EXAMPLE",
            "AIzaSyA-0123456789abcdefghijklmnopqrs",
            "Bearer abc",
            "ApiKey abc",
            "sym_dc_AbCdEfGhIjKlMnOpQrStUvWx",
            "SharedAccessSignature sr=x&sig=y&se=1",
            "DefaultEndpointsProtocol=https;AccountKey=abc==",
            "basic YTpi",
            "$argon2id$v=19$m=19456,t=2,p=1$x$y",
            "$2b$12$abcdefghijklmnopqrstuv",
            "postgres://app:hunter2@db.internal/app",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1234",
            "  sk-proj-0123456789abcdefghij ",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08",
        ] {
            assert!(looks_like(bad).is_some(), "{bad}");
        }
        for good in [
            "alice@example.com",
            "Sales & Marketing",
            "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "a187498f3c2b1d0e9f8a7b6c5d4e3f2a1b0c9d8e",
            "https://example.com/alice.png?size=AB12cd",
            "https://alice@example.com/",
            "+30 21 0123 4567",
            "usr_0123456789abcdefghijkl",
            "Example.Person.Senior",
            "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch",
        ] {
            assert_eq!(looks_like(good), None, "{good}");
        }
    }

    #[test]
    fn a_value_is_looked_through() {
        assert_eq!(looks_like_in(&json!(["a", {"b": [1, true, "c"]}])), None);
        assert!(looks_like_in(&json!(["a", {"b": ["Bearer x"]}])).is_some());
        assert!(looks_like_in(&json!({"kty": "EC", "password": "x"})).is_some());
        let mut deep = json!("x");
        for _ in 0..20 {
            deep = json!([deep]);
        }
        assert!(looks_like_in(&deep).is_some());
    }
}
