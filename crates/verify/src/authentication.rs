//! How, and how recently, a person has to have signed in for a route.
//!
//! It is asked last, of a token that is good here in every other way: signing
//! in again repairs nothing else.
//!
//! Spec: RFC 9470 §3, §4, §6

use std::time::Duration;

use serde_json::{Map, Value};
use symbolon_protocol::{Scope, Timestamp};

/// What a route demands of the sign-in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SignIn {
    /// One of these classes; nothing where any will do.
    pub(crate) acr_values: Option<Vec<String>>,
    pub(crate) max_age: Option<Duration>,
}

/// What of the sign-in behind a token is not enough for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Insufficient {
    /// Nobody signed in, or the token does not say how or when.
    Unknown,
    /// It was not of a class that the route takes (`acr`).
    Class,
    /// It was too long ago (`auth_time`).
    Age,
}

impl SignIn {
    /// Whether anything is demanded of it.
    pub(crate) const fn is_demanded(&self) -> bool {
        self.acr_values.is_some() || self.max_age.is_some()
    }

    /// Checks what a token says of the sign-in behind it.
    pub(crate) fn check(
        &self,
        claims: &Map<String, Value>,
        now: Timestamp,
        skew: Duration,
    ) -> Result<(), Insufficient> {
        self.check_class(claims)?;
        if let Some(max_age) = self.max_age {
            let seconds = claims.get("auth_time").and_then(Value::as_i64);
            let sane = seconds.filter(|own| (0..=Timestamp::FAR.seconds()).contains(own));
            let time = sane.map(Timestamp::from_seconds);
            let time = time.ok_or(Insufficient::Unknown)?;
            // A sign-in that is yet to come says nothing of the past.
            if time > now + skew {
                return Err(Insufficient::Unknown);
            }
            if now > time + max_age + skew {
                return Err(Insufficient::Age);
            }
        }
        Ok(())
    }

    /// Checks how the person signed in, whenever that was.
    pub(crate) fn check_class(&self, claims: &Map<String, Value>) -> Result<(), Insufficient> {
        let Some(values) = &self.acr_values else {
            return Ok(());
        };
        let found = claims.get("acr").and_then(Value::as_str);
        let found = found.ok_or(Insufficient::Unknown)?;
        match values.iter().any(|own| own == found) {
            true => Ok(()),
            false => Err(Insufficient::Class),
        }
    }

    /// The parameters of the challenge. Values that no header could carry are
    /// left out; no token is ever good by them alone.
    pub(crate) fn parameters(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if let Some(values) = &self.acr_values {
            let plain = values.iter().filter(|own| own.parse::<Scope>().is_ok());
            let plain: Vec<_> = plain.map(String::as_str).collect();
            if !plain.is_empty() {
                parts.push(format!("acr_values=\"{}\"", plain.join(" ")));
            }
        }
        if let Some(span) = self.max_age {
            parts.push(format!("max_age=\"{}\"", span.as_secs()));
        }
        parts
    }

    /// The same for people.
    pub(crate) fn in_words(&self) -> String {
        let classes = self.acr_values.iter().map(|own| own.join(" or "));
        let age = self.max_age.iter();
        let age = age.map(|own| format!("at most {} s ago", own.as_secs()));
        classes.chain(age).collect::<Vec<_>>().join(", ")
    }
}

impl Insufficient {
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::Unknown => "this needs a sign-in, of which the access token says nothing",
            Self::Class => "this needs a stronger sign-in",
            Self::Age => "this needs a more recent sign-in",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use symbolon_testkit::START;

    use super::*;

    const SKEW: Duration = Duration::from_secs(10);

    fn check(demand: &SignIn, claims: Value) -> Result<(), Insufficient> {
        let claims = claims.as_object().cloned().unwrap();
        demand.check(&claims, START, SKEW)
    }

    #[test]
    fn a_class_is_one_of_those_that_are_named_and_nothing_like_it() {
        let demand = SignIn {
            acr_values: Some(vec!["urn:example:mfa".to_owned(), "phr".to_owned()]),
            max_age: None,
        };

        assert_eq!(check(&demand, json!({"acr": "phr"})), Ok(()));
        for (acr, why) in [
            (json!("PHR"), Insufficient::Class),
            (json!("urn:example:mfa phr"), Insufficient::Class),
            (json!("phr "), Insufficient::Class),
            (json!(""), Insufficient::Class),
            (json!(["phr"]), Insufficient::Unknown),
            (json!(2), Insufficient::Unknown),
            (Value::Null, Insufficient::Unknown),
        ] {
            assert_eq!(check(&demand, json!({ "acr": acr })), Err(why), "{acr}");
        }
        assert_eq!(check(&demand, json!({})), Err(Insufficient::Unknown));
    }

    #[test]
    fn no_class_that_is_named_means_that_none_will_do() {
        let demand = SignIn {
            acr_values: Some(Vec::new()),
            max_age: None,
        };

        let found = check(&demand, json!({"acr": "pwd"}));

        assert_eq!(found, Err(Insufficient::Class));
        assert!(demand.parameters().is_empty());
    }

    #[test]
    fn a_sign_in_is_recent_up_to_the_second_and_its_time_has_to_be_one() {
        let demand = SignIn {
            acr_values: None,
            max_age: Some(Duration::from_secs(300)),
        };
        let ago = |seconds: i64| json!({ "auth_time": START.seconds() - seconds });

        assert_eq!(check(&demand, ago(0)), Ok(()));
        assert_eq!(check(&demand, ago(310)), Ok(()));
        assert_eq!(check(&demand, ago(-10)), Ok(()));
        assert_eq!(check(&demand, ago(311)), Err(Insufficient::Age));
        assert_eq!(check(&demand, ago(-11)), Err(Insufficient::Unknown));
        for odd in [
            json!("1767225600"),
            json!(-1),
            json!(1e300),
            json!(i64::MAX),
            json!([START.seconds()]),
            Value::Null,
        ] {
            let found = check(&demand, json!({ "auth_time": odd }));
            assert_eq!(found, Err(Insufficient::Unknown), "{odd}");
        }
    }

    #[test]
    fn what_could_end_the_value_of_a_header_is_not_sent() {
        let demand = SignIn {
            acr_values: Some(vec!["a\", error=\"x".to_owned(), "phr".to_owned()]),
            max_age: Some(Duration::from_secs(60)),
        };

        let sent = demand.parameters();

        assert_eq!(sent, ["acr_values=\"phr\"", "max_age=\"60\""]);
    }
}
