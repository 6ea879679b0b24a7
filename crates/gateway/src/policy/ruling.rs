//! What a policy answers.
//!
//! Spec: RFC 9470 §3

use std::fmt;
use std::time::Duration;

use symbolon_protocol::Scope;

/// What becomes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is allowed: a policy permits it and none forbids it.
    Allow,
    /// It is refused: a policy forbids it, or none permits it.
    Deny,
    /// It is refused until the person has signed in like this.
    StepUp(SignIn),
    /// It is refused, and the token is taken back.
    Revoke,
    /// Nobody can say: a policy could not be evaluated, or whoever was asked
    /// did not answer. It is refused as well, and said differently.
    Unknown,
}

impl Answer {
    /// The word in logs and in the cases of `policy test`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::StepUp(_) => "step_up",
            Self::Revoke => "revoke",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// An answer, and the policies that determined it, by their ids, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The answer.
    pub answer: Answer,
    /// The policies.
    pub policies: Vec<String>,
}

impl Ruling {
    /// An answer that no policy determined.
    pub const fn bare(answer: Answer) -> Self {
        Self {
            answer,
            policies: Vec::new(),
        }
    }
}

/// How a person has to have signed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignIn {
    /// One of these classes; any will do where none is named.
    pub acr_values: Vec<String>,
    /// How long ago at most.
    pub max_age: Option<Duration>,
}

/// Text that is no demand of a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a step-up is written as `acr=CLASS,CLASS max_age=SECONDS`, with one of them or both, for example `acr=phr max_age=300`"
)]
pub struct NotASignIn;

impl SignIn {
    /// Reads `acr=phr,phrh max_age=300`.
    pub fn read(text: &str) -> Result<Self, NotASignIn> {
        let mut own = Self::default();
        for part in text.split_ascii_whitespace() {
            match part.split_once('=').ok_or(NotASignIn)? {
                ("acr", classes) if own.acr_values.is_empty() => {
                    for class in classes.split(',') {
                        class.parse::<Scope>().map_err(|_| NotASignIn)?;
                        own.acr_values.push(class.to_owned());
                    }
                }
                ("max_age", seconds) if own.max_age.is_none() => {
                    let seconds = seconds.parse::<u32>().map_err(|_| NotASignIn)?;
                    own.max_age = Some(Duration::from_secs(seconds.into()));
                }
                _ => return Err(NotASignIn),
            }
        }
        match own == Self::default() {
            true => Err(NotASignIn),
            false => Ok(own),
        }
    }

    /// What satisfies both: the classes that both take, and the shorter span.
    /// Where no class is left, nothing satisfies both.
    pub fn and(self, other: Self) -> Option<Self> {
        let acr_values = match (self.acr_values.is_empty(), other.acr_values.is_empty()) {
            (true, _) => other.acr_values,
            (_, true) => self.acr_values,
            _ => {
                let both = |own: &String| other.acr_values.contains(own);
                let left: Vec<String> = self.acr_values.into_iter().filter(both).collect();
                if left.is_empty() {
                    return None;
                }
                left
            }
        };
        let spans = [self.max_age, other.max_age];
        Some(Self {
            acr_values,
            max_age: spans.into_iter().flatten().min(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_up_is_read_or_refused() {
        let read = SignIn::read("acr=phr,phrh max_age=300").unwrap();
        assert_eq!(read.acr_values, ["phr", "phrh"]);
        assert_eq!(read.max_age, Some(Duration::from_secs(300)));
        assert!(SignIn::read("max_age=0").is_ok());
        for bad in [
            "",
            "acr",
            "acr=",
            "acr=a,,b",
            "acr=\"",
            "max_age=-1",
            "max_age=5m",
            "acr=a acr=b",
            "amr=otp",
        ] {
            assert_eq!(SignIn::read(bad), Err(NotASignIn), "{bad}");
        }
    }

    #[test]
    fn two_demands_are_met_by_what_meets_both() {
        let read = |text| SignIn::read(text).unwrap();
        let both = read("acr=a,b max_age=300").and(read("acr=b,c max_age=60"));
        assert_eq!(both, Some(read("acr=b max_age=60")));
        assert_eq!(
            read("acr=a").and(read("max_age=5")),
            Some(read("acr=a max_age=5"))
        );
        assert_eq!(read("acr=a").and(read("acr=b")), None);
    }
}
