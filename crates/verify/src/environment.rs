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

impl Verifier {
    /// A verifier from `SYMBOLON_ISSUER`, `SYMBOLON_AUDIENCE`,
    /// `SYMBOLON_ALGORITHMS` (separated by commas; ES256 where unset) and, for
    /// introspection, `SYMBOLON_CLIENT_ID` with `SYMBOLON_CLIENT_SECRET` or
    /// `SYMBOLON_CLIENT_SECRET_FILE`. The error names everything that is missing.
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
    let secret = match (set(CLIENT_SECRET), set(CLIENT_SECRET_FILE)) {
        (Some(secret), _) => Some(Secret::from(secret)),
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(secret) => Some(Secret::from(secret.trim_end_matches(['\r', '\n']))),
            Err(_) => {
                missing.push(format!("{CLIENT_SECRET_FILE} (`{path}`)"));
                None
            }
        },
        (None, None) => {
            if id.is_some() {
                missing.push(format!("{CLIENT_SECRET} or {CLIENT_SECRET_FILE}"));
            }
            None
        }
    };
    if secret.is_some() && id.is_none() {
        missing.push(CLIENT_ID.to_owned());
    }
    if !missing.is_empty() {
        return Err(Misconfigured::Environment(missing));
    }
    let verifier = Verifier::new(&issuer, &audience, algorithms(set(ALGORITHMS))?)?;
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
