//! First-party caveats: `name = value`, one space on each side of the sign.
//!
//! What is not understood fails: an unknown name, a value out of its form, a
//! control character. Spelling is exact, so a caveat has one reading.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use symbolon_protocol::{ResourceIdentifier, Scopes, Timestamp};

use super::MAX_CAVEAT_BYTES;
use super::calendar::{Days, Hours};
use super::path::PathPattern;
use crate::authority::Thumbprint;

/// How many networks or methods one caveat may name.
const MAX_LISTED: usize = 16;
/// How long a nonce may be, in bytes.
const MAX_NONCE_BYTES: usize = 64;
/// How many calls a budget may allow.
const MAX_BUDGET: u32 = 1_000_000_000;

/// A first-party caveat that is understood.
#[derive(Clone, PartialEq, Debug)]
pub enum Caveat {
    /// Good before an instant.
    Before(Timestamp),
    /// Good from an instant on.
    After(Timestamp),
    /// Good at certain hours of the day.
    Hours(Hours),
    /// Good on certain days of the week.
    Days(Days),
    /// Good from these networks.
    Network(Vec<IpNet>),
    /// Good with these methods.
    Method(Vec<String>),
    /// Good at these paths.
    Path(PathPattern),
    /// Only these scopes.
    Scope(Scopes),
    /// Only this resource.
    Audience(ResourceIdentifier),
    /// So many calls in all.
    Budget(u32),
    /// One call under this nonce.
    SingleUse(String),
    /// Only with a proof by this key.
    Jkt(Thumbprint),
}

/// Text that is no caveat of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCaveat {
    /// Not `name = value`, or longer than [`MAX_CAVEAT_BYTES`].
    #[error("a caveat is written `name = value`, in at most {MAX_CAVEAT_BYTES} bytes")]
    Form,
    /// A name that is not known.
    #[error("no caveat is called `{0}`")]
    Unknown(String),
    /// A value that the name does not take.
    #[error("`{name}` takes {takes}")]
    Value {
        /// The name.
        name: &'static str,
        /// What it takes.
        takes: &'static str,
    },
}

impl FromStr for Caveat {
    type Err = InvalidCaveat;

    fn from_str(text: &str) -> Result<Self, InvalidCaveat> {
        let plain = text.len() <= MAX_CAVEAT_BYTES && !has_control(text);
        // No name has a space.
        let at = text.bytes().position(|own| own == b' ');
        let parts = at.map(|at| text.split_at(at));
        let parts = parts.and_then(|(name, rest)| Some((name, rest.strip_prefix(" = ")?)));
        let parts = parts.filter(|(name, value)| {
            let whole = !name.is_empty() && !value.is_empty();
            whole && !value.starts_with(' ') && !value.ends_with(' ')
        });
        let (name, value) = parts.filter(|_| plain).ok_or(InvalidCaveat::Form)?;
        let kind = NAMES.iter().find(|kind| kind.name == name);
        let Some(kind) = kind else {
            let shown = name.chars().take(64).collect();
            return Err(InvalidCaveat::Unknown(shown));
        };
        (kind.read)(value).ok_or(InvalidCaveat::Value {
            name: kind.name,
            takes: kind.takes,
        })
    }
}

struct Named {
    name: &'static str,
    takes: &'static str,
    read: fn(&str) -> Option<Caveat>,
}

const NAMES: [Named; 12] = [
    Named {
        name: "before",
        takes: "an instant as in `2026-12-01T18:00:00Z`",
        read: |value| value.parse().ok().map(Caveat::Before),
    },
    Named {
        name: "after",
        takes: "an instant as in `2026-12-01T18:00:00Z`",
        read: |value| value.parse().ok().map(Caveat::After),
    },
    Named {
        name: "hours",
        takes: "hours and a time zone, as in `09:00-18:00 Europe/Berlin`",
        read: |value| value.parse().ok().map(Caveat::Hours),
    },
    Named {
        name: "days",
        takes: "days and a time zone, as in `mon,tue Europe/Berlin`",
        read: |value| value.parse().ok().map(Caveat::Days),
    },
    Named {
        name: "network",
        takes: "networks with their prefix, as in `10.0.0.0/8,2001:db8::/32`",
        read: |value| listed(value, network).map(Caveat::Network),
    },
    Named {
        name: "method",
        takes: "methods in capitals, as in `GET,HEAD`",
        read: |value| listed(value, method).map(Caveat::Method),
    },
    Named {
        name: "path",
        takes: "a path with segments, `{one}` and at the end `{*rest}`",
        read: |value| value.parse().ok().map(Caveat::Path),
    },
    Named {
        name: "scope",
        takes: "scopes with one space between them",
        read: scopes,
    },
    Named {
        name: "audience",
        takes: "the identifier of a resource",
        read: |value| value.parse().ok().map(Caveat::Audience),
    },
    Named {
        name: "budget",
        takes: "a number of calls from 1 to a thousand million",
        read: |value| number(value).map(Caveat::Budget),
    },
    Named {
        name: "single-use",
        takes: "a nonce of 1 to 64 letters, digits, `-` and `_`",
        read: |value| is_nonce(value).then(|| Caveat::SingleUse(value.to_owned())),
    },
    Named {
        name: "jkt",
        takes: "the thumbprint of a key (RFC 7638)",
        read: |value| value.parse().ok().map(Caveat::Jkt),
    },
];

impl Caveat {
    /// The name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Before(_) => "before",
            Self::After(_) => "after",
            Self::Hours(_) => "hours",
            Self::Days(_) => "days",
            Self::Network(_) => "network",
            Self::Method(_) => "method",
            Self::Path(_) => "path",
            Self::Scope(_) => "scope",
            Self::Audience(_) => "audience",
            Self::Budget(_) => "budget",
            Self::SingleUse(_) => "single-use",
            Self::Jkt(_) => "jkt",
        }
    }
}

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = ", self.name())?;
        match self {
            Self::Before(instant) | Self::After(instant) => instant.fmt(f),
            Self::Hours(hours) => hours.fmt(f),
            Self::Days(days) => days.fmt(f),
            Self::Network(networks) => {
                let all: Vec<_> = networks.iter().map(ToString::to_string).collect();
                f.write_str(&all.join(","))
            }
            Self::Method(methods) => f.write_str(&methods.join(",")),
            Self::Path(pattern) => pattern.fmt(f),
            Self::Scope(scopes) => scopes.fmt(f),
            Self::Audience(resource) => resource.fmt(f),
            Self::Budget(calls) => calls.fmt(f),
            Self::SingleUse(nonce) => f.write_str(nonce),
            Self::Jkt(thumbprint) => thumbprint.fmt(f),
        }
    }
}

/// Whether there is a control character, of those beyond ASCII too.
pub(super) fn has_control(text: &str) -> bool {
    let is_plain = text.bytes().all(|own| matches!(own, b' '..=b'~'));
    !is_plain && text.chars().any(char::is_control)
}

fn listed<T>(value: &str, one: fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let all: Option<Vec<T>> = value.split(',').map(one).collect();
    all.filter(|all| all.len() <= MAX_LISTED)
}

/// A network whose address has no bits beyond its prefix: one that has might
/// mean the host or the network.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    let network: IpNet = text.parse().ok()?;
    (network.trunc() == network).then_some(network)
}

fn method(text: &str) -> Option<String> {
    let whole = (1..=32).contains(&text.len()) && text.bytes().all(|own| own.is_ascii_uppercase());
    whole.then(|| text.to_owned())
}

fn scopes(value: &str) -> Option<Caveat> {
    // One space, so that there is one spelling.
    let spelled = value.split(' ').all(|scope| !scope.is_empty());
    spelled.then(|| value.parse().ok().map(Caveat::Scope))?
}

fn number(value: &str) -> Option<u32> {
    let plain = value.bytes().all(|own| own.is_ascii_digit()) && !value.starts_with('0');
    let number = plain.then(|| value.parse().ok()).flatten()?;
    (number <= MAX_BUDGET).then_some(number)
}

fn is_nonce(value: &str) -> bool {
    let allowed = |own: u8| own.is_ascii_alphanumeric() || matches!(own, b'-' | b'_');
    (1..=MAX_NONCE_BYTES).contains(&value.len()) && value.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_caveat_is_written_as_it_is_read() {
        for text in [
            "before = 2026-12-01T18:00:00Z",
            "after = 2026-12-01T18:00:00Z",
            "hours = 09:00-18:00 Europe/Berlin",
            "hours = 22:00-06:00",
            "days = mon,tue,wed,thu,fri Europe/Berlin",
            "days = sun",
            "network = 10.0.0.0/8,2001:db8::/32",
            "method = GET,HEAD",
            "path = /orders/{id}",
            "path = /files/{*rest}",
            "path = /",
            "scope = read:orders write:orders",
            "audience = https://api.example.com",
            "budget = 10",
            "single-use = n-0S6_WzA2Mj",
            "jkt = NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        ] {
            let caveat: Caveat = text.parse().unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(caveat.to_string(), text);
        }
    }

    #[test]
    fn what_is_not_understood_fails() {
        for text in [
            "",
            "before",
            "before=2026-12-01T18:00:00Z",
            "before =2026-12-01T18:00:00Z",
            "before  =  2026-12-01T18:00:00Z",
            " before = 2026-12-01T18:00:00Z",
            "before = 2026-12-01T18:00:00Z ",
            "Before = 2026-12-01T18:00:00Z",
            "before = 9999999999999",
            "before = 2025-13-40T00:00:00Z",
            "before = 2025-01-01T00:00:00",
            "before = tomorrow",
            "expires = 2026-12-01T18:00:00Z",
            "time < 2026-12-01T18:00:00Z",
            "network = 10.0.0.1",
            "network = 10.0.0.1/8",
            "network = 10.0.0.0/33",
            "network = ",
            "network = 10.0.0.0/8, 11.0.0.0/8",
            "method = get",
            "method = GET,",
            "method = *",
            "scope = ",
            "scope = a  b",
            "scope = a\"b",
            "audience = not a uri",
            "budget = 0",
            "budget = -1",
            "budget = 010",
            "budget = 1e3",
            "budget = 99999999999999999999",
            "single-use = a b",
            "single-use = é",
            "jkt = abc",
            "hours = 9-18",
            "hours = 09:00-18:00 Mars/Phobos",
            "hours = 09:00-09:00",
            "hours = 25:00-26:00",
            "days = monday",
            "days = mon,mon",
            "days = mon  UTC",
            "path = orders",
            "path = /a/{*rest}/b",
            "path = /a//b",
            "method = GET\npath = /",
        ] {
            assert!(text.parse::<Caveat>().is_err(), "{text}");
        }
        assert!(
            format!("scope = {}", "a".repeat(2000))
                .parse::<Caveat>()
                .is_err()
        );
    }
}
