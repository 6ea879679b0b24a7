//! A verifier from environment variables.

use symbolon_token::Secret;
use symbolon_token::jose::Algorithm;

use crate::misconfigured::Misconfigured;
use crate::verifier::Verifier;

const ISSUER: &str = "SYMBOLON_ISSUER";
const AUDIENCE: &str = "SYMBOLON_AUDIENCE";
const ALGORITHMS: &str = "SYMBOLON_ALGORITHMS";
const CLIENT_ID: &str = "SYMBOLON_CLIENT_ID";
const CLIENT_SECRET: &str = "SYMBOLON_CLIENT_SECRET";
const CLIENT_SECRET_FILE: &str = "SYMBOLON_CLIENT_SECRET_FILE";
const EXTRA_CA: &str = "SYMBOLON_TRUST_EXTRA_CA";
const DECRYPTION_KEY: &str = "SYMBOLON_DECRYPTION_KEY";
const DECRYPTION_KEY_FILE: &str = "SYMBOLON_DECRYPTION_KEY_FILE";

impl Verifier {
    /// A verifier from `SYMBOLON_ISSUER`, `SYMBOLON_AUDIENCE`,
    /// `SYMBOLON_ALGORITHMS` (separated by commas; ES256 where unset) and, for
    /// introspection, `SYMBOLON_CLIENT_ID` with `SYMBOLON_CLIENT_SECRET` or
    /// `SYMBOLON_CLIENT_SECRET_FILE`. Where tokens are encrypted to the API,
    /// `SYMBOLON_DECRYPTION_KEY` or `SYMBOLON_DECRYPTION_KEY_FILE` has its
    /// private JWK. `SYMBOLON_TRUST_EXTRA_CA` is a PEM file of authorities that
    /// the issuer may be under besides the machine's. The error names everything
    /// that is missing.
    pub fn from_env() -> Result<Self, Misconfigured> {
        from(|name| std::env::var(name).ok())
    }
}

fn from(variable: impl Fn(&str) -> Option<String>) -> Result<Verifier, Misconfigured> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let mut missing = Vec::new();
    let mut needed = |name: &str| {
        set(name).unwrap_or_else(|| {
            missing.push(name.to_owned());
            String::new()
        })
    };
    let (issuer, audience) = (needed(ISSUER), needed(AUDIENCE));
    let id = set(CLIENT_ID);
    let mut secret = |inline: &str, file: &str| match (set(inline), set(file)) {
        (Some(secret), _) => Some(Secret::from(secret)),
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(secret) => Some(Secret::from(secret.trim_end_matches(['\r', '\n']))),
            Err(_) => {
                missing.push(format!("{file} (`{path}`)"));
                None
            }
        },
        (None, None) => None,
    };
    let key = secret(DECRYPTION_KEY, DECRYPTION_KEY_FILE);
    let secret = secret(CLIENT_SECRET, CLIENT_SECRET_FILE);
    let authorities = set(EXTRA_CA).and_then(|path| match std::fs::read(&path) {
        Ok(pem) => Some(pem),
        Err(_) => {
            missing.push(format!("{EXTRA_CA} (`{path}`)"));
            None
        }
    });
    let is_given = set(CLIENT_SECRET).is_some() || set(CLIENT_SECRET_FILE).is_some();
    if id.is_some() && !is_given {
        missing.push(format!("{CLIENT_SECRET} or {CLIENT_SECRET_FILE}"));
    }
    if secret.is_some() && id.is_none() {
        missing.push(CLIENT_ID.to_owned());
    }
    if !missing.is_empty() {
        return Err(Misconfigured::Environment(missing));
    }
    let mut verifier = Verifier::new(&issuer, &audience, algorithms(set(ALGORITHMS))?)?;
    if let Some(key) = key {
        verifier = verifier.decrypt_with(key)?;
    }
    if let Some(pem) = authorities {
        verifier = verifier.trust_authorities(&pem)?;
    }
    match (id, secret) {
        (Some(id), Some(secret)) => verifier.introspect_as(&id, secret),
        _ => Ok(verifier),
    }
}

fn algorithms(names: Option<String>) -> Result<Vec<Algorithm>, Misconfigured> {
    let Some(names) = names else {
        return Ok(vec![Algorithm::Es256]);
    };
    let named = |name: &str| {
        Algorithm::named(name).ok_or_else(|| Misconfigured::Algorithm(name.to_owned()))
    };
    names
        .split([',', ' '])
        .filter(|name| !name.is_empty())
        .map(named)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Verifier, Misconfigured> {
        from(|name| {
            let pair = pairs.iter().find(|(own, _)| *own == name);
            pair.map(|(_, value)| (*value).to_owned())
        })
    }

    const WHOLE: [(&str, &str); 2] = [
        (ISSUER, "https://as.example"),
        (AUDIENCE, "https://api.example"),
    ];

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let all = [ISSUER, AUDIENCE].map(str::to_owned).to_vec();
        assert_eq!(of(&[]).unwrap_err(), Misconfigured::Environment(all));

        let Err(Misconfigured::Environment(missing)) = of(&[(CLIENT_ID, "api"), (ISSUER, " ")])
        else {
            panic!("made")
        };
        assert_eq!(missing.len(), 3);

        let secret_alone = [WHOLE[0], WHOLE[1], (CLIENT_SECRET, "x")];
        let error = of(&secret_alone).unwrap_err().to_string();
        assert!(error.contains(CLIENT_ID), "{error}");

        let no_file = [
            WHOLE[0],
            WHOLE[1],
            (CLIENT_ID, "a"),
            (CLIENT_SECRET_FILE, "/nowhere/x"),
        ];
        assert!(of(&no_file).is_err());
    }

    #[test]
    fn a_decryption_key_is_read_or_said_to_be_wrong() {
        let with = |value: &str| of(&[WHOLE[0], WHOLE[1], (DECRYPTION_KEY, value)]);
        let good = r#"{"kty":"EC","crv":"P-256","alg":"ECDH-ES","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}"#;
        assert_eq!(with(good).unwrap().inner.config.decryption.len(), 1);
        for bad in [
            "x",
            "{}",
            &good.replace("ECDH-ES", "RSA1_5"),
            &good.replace(r#""alg":"ECDH-ES","#, ""),
            &good.replace("VEm", "VEn"),
        ] {
            assert_eq!(with(bad).unwrap_err().code(), "invalid_decryption_key");
        }
        let file = (DECRYPTION_KEY_FILE, "/nowhere/key.json");
        let error = of(&[WHOLE[0], WHOLE[1], file]).unwrap_err().to_string();
        assert!(error.contains(DECRYPTION_KEY_FILE), "{error}");
    }

    #[test]
    fn authorities_are_read_or_said_to_be_wrong() {
        let with = |value: &str| of(&[WHOLE[0], WHOLE[1], (EXTRA_CA, value)]).unwrap_err();
        assert!(with("/nowhere/ca.pem").to_string().contains(EXTRA_CA));
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert_eq!(with(own).code(), "invalid_authorities");
    }

    #[test]
    fn algorithms_default_to_one_and_unknown_ones_are_refused() {
        assert_eq!(
            of(&WHOLE).unwrap().inner.config.algorithms,
            [Algorithm::Es256]
        );
        let two = [WHOLE[0], WHOLE[1], (ALGORITHMS, "ES256, EdDSA")];
        assert_eq!(of(&two).unwrap().inner.config.algorithms.len(), 2);
        for bad in ["none", "HS256", "es256"] {
            let refused = of(&[WHOLE[0], WHOLE[1], (ALGORITHMS, bad)]).unwrap_err();
            assert_eq!(refused, Misconfigured::Algorithm(bad.into()));
        }
        let empty = of(&[WHOLE[0], WHOLE[1], (ALGORITHMS, ",")]).unwrap_err();
        assert_eq!(empty, Misconfigured::NoAlgorithm);
    }
}
