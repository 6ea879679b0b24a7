//! Whose count it is: a digest of who somebody is, each part with its length,
//! so that no two run into each other.

use std::net::IpAddr;

use serde_json::Value;
use symbolon_token::Digest;
use symbolon_verify::Principal;

use super::settings::Per;

/// Who is asked about.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// Nobody where the route is public.
    pub(crate) principal: Option<&'a Principal>,
    /// The plan that the caller has.
    pub(crate) plan: Option<&'a str>,
    /// Where the request came from.
    pub(crate) address: IpAddr,
}

/// Whoever has a count of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Subject([u8; 16]);

impl Subject {
    /// The subject that a kind and a name stand for, at an issuer.
    pub(crate) fn named(per: Per, issuer: &str, name: &str) -> Self {
        let mut text = Vec::with_capacity(96);
        for part in [per.as_str(), issuer, name] {
            text.extend(part.len().to_be_bytes());
            text.extend(part.as_bytes());
        }
        let mut own = [0; 16];
        own.copy_from_slice(&Digest::of(&text).as_bytes()[..16]);
        Self(own)
    }

    /// Whose count a limit asks for, and under which name.
    pub(crate) fn of<'a>(per: Per, caller: &Caller<'a>) -> (Self, Named<'a>) {
        let named = Named::of(per, caller);
        let name = match &named.name {
            Name::Text(text) => Self::named(named.per, named.issuer, text),
            Name::Address(address) => {
                Self::named(named.per, named.issuer, &network(*address).to_string())
            }
        };
        (name, named)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A subject in words.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) per: Per,
    pub(crate) issuer: &'a str,
    pub(crate) name: Name<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum Name<'a> {
    Text(&'a str),
    Address(IpAddr),
}

impl Name<'_> {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => (*text).to_owned(),
            Self::Address(address) => network(*address).to_string(),
        }
    }
}

impl<'a> Named<'a> {
    fn of(per: Per, caller: &Caller<'a>) -> Self {
        let whole = |per, issuer, name| Self {
            per,
            issuer,
            name: Name::Text(name),
        };
        let Some(principal) = caller.principal.filter(|_| per != Per::Address) else {
            return Self {
                per: Per::Address,
                issuer: "",
                name: Name::Address(caller.address),
            };
        };
        let issuer = principal.issuer();
        let as_client = || whole(Per::Client, issuer, principal.client());
        let own = match per {
            Per::Key => key_of(principal),
            Per::Person if principal.is_client_alone() => None,
            Per::Person => Some(principal.subject()),
            Per::Organization => principal.organization(),
            // A plan is the gateway's own, whoever made the token.
            Per::Plan => return whole(Per::Plan, "", caller.plan.unwrap_or_default()),
            Per::Client | Per::Address => None,
        };
        own.map_or_else(as_client, |name| whole(per, issuer, name))
    }
}

/// The API key that was shown, where one was.
pub(crate) fn key_of(principal: &Principal) -> Option<&str> {
    of_key(principal, "id")
}

/// What the issuer says of the API key that was shown.
pub(crate) fn of_key<'a>(principal: &'a Principal, member: &str) -> Option<&'a str> {
    principal
        .claim("api_key")?
        .get(member)
        .and_then(Value::as_str)
}

/// Whoever has one address of IPv6 has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(own) => match own.to_ipv4_mapped() {
            Some(mapped) => IpAddr::V4(mapped),
            None => {
                let kept = u128::from(own) & !u128::from(u64::MAX);
                IpAddr::V6(kept.into())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: L339
    #[test]
    fn no_two_callers_share_a_count_by_running_into_each_other() {
        let all = [
            Subject::named(Per::Client, "https://a.test", "b"),
            Subject::named(Per::Client, "https://a.test/", "b"),
            Subject::named(Per::Client, "https://a.testb", ""),
            Subject::named(Per::Client, "https://a.test|b", ""),
            Subject::named(Per::Client, "", "https://a.testb"),
            Subject::named(Per::Key, "https://a.test", "b"),
            Subject::named(Per::Person, "https://a.test", "b"),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
        }
        assert_eq!(Subject::named(Per::Client, "https://a.test", "b"), all[0]);
    }

    #[test]
    fn many_addresses_of_one_network_have_one_count() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:3::1"), network("2001:db8:1:2::1"));
        assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.7"));
        assert_ne!(network("192.0.2.8"), network("192.0.2.7"));
    }
}
