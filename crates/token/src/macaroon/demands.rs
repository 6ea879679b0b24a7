//! What all caveats of a presentation demand together, those of every
//! discharge included.

use serde_json::{Map, Value};
use symbolon_protocol::{ResourceIdentifier, Scopes, Timestamp};

use super::binary::{Binary, Field};
use super::caveat::Caveat;
use super::context::Context;
use super::flaw::Flaw;
use super::form::Bundle;
use crate::authority::{Authority, Binding, Narrowing};
use crate::jwt;
use crate::secret::Digest;

/// What is left to ask after the chain of MACs was proved.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Demands {
    scopes: Option<Scopes>,
    audience: Option<ResourceIdentifier>,
    expires: Option<Timestamp>,
    binding: Binding,
    conditions: Vec<Caveat>,
    counts: Vec<Count>,
}

/// Uses to be counted: at most `limit` under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Names what is counted: the macaroon as it was when the caveat was
    /// added, or its root and the nonce.
    pub name: Digest,
    /// How many uses are allowed.
    pub limit: u32,
    /// Until when the count has to be kept: the end of the root, since what is
    /// narrower may end sooner and share the count.
    pub until: Timestamp,
    /// The caveat.
    pub caveat: String,
}

impl Demands {
    /// Reads every caveat of a bundle whose chain was proved. One that is not
    /// understood makes all of it worthless.
    pub(super) fn gather(bundle: &Bundle) -> Result<Self, Flaw> {
        let mut all = Self::default();
        let root = bundle.root.identifier();
        for macaroon in bundle.each() {
            for (at, caveat) in macaroon.caveats().enumerate() {
                let Field::First(text) = caveat else {
                    continue;
                };
                let text = std::str::from_utf8(text);
                let text = text.map_err(|_| Flaw::Unknown("(not text)".into()))?;
                let caveat = text.parse().map_err(|_| Flaw::Unknown(shown(text)))?;
                match caveat {
                    Caveat::Budget(limit) => all.counts.push(Count {
                        name: name_of_prefix(root, macaroon, at),
                        limit,
                        until: Timestamp::FAR,
                        caveat: text.to_owned(),
                    }),
                    Caveat::SingleUse(_) => all.counts.push(Count {
                        name: Digest::of(&[b"use\0", root, b"\0", text.as_bytes()].concat()),
                        limit: 1,
                        until: Timestamp::FAR,
                        caveat: text.to_owned(),
                    }),
                    other => all.add(other)?,
                }
            }
        }
        Ok(all)
    }

    fn add(&mut self, caveat: Caveat) -> Result<(), Flaw> {
        match caveat {
            Caveat::Before(end) => {
                self.expires = Some(self.expires.map_or(end, |own| own.min(end)));
            }
            Caveat::Scope(scopes) => {
                let left = self.scopes.as_ref().map(|own| own.intersection(&scopes));
                self.scopes = Some(left.unwrap_or(scopes));
            }
            Caveat::Audience(audience) => match &self.audience {
                Some(own) if *own != audience => return Err(Flaw::Nothing("audience")),
                _ => self.audience = Some(audience),
            },
            Caveat::Jkt(key) => {
                let joined = self.binding.with(Binding::to_key(key));
                self.binding = joined.ok_or(Flaw::Nothing("key"))?;
            }
            condition => self.conditions.push(condition),
        }
        Ok(())
    }

    /// Whether an authority says all of it, wherever it goes: nothing is asked
    /// at each use, and nothing says that it is to stay where it is. Of that an
    /// authority knows no more than where it is.
    pub(super) fn is_unconditional(&self) -> bool {
        self.conditions.is_empty() && self.counts.is_empty() && self.audience.is_none()
    }

    /// Whether uses are counted.
    pub(super) fn is_counted(&self) -> bool {
        !self.counts.is_empty()
    }

    /// Judges the conditions, and answers with what has to be counted until
    /// the root ends. Counting is the last thing to do: what is refused for
    /// another reason is no use.
    pub(super) fn judge(self, context: &Context<'_>, ends: Timestamp) -> Result<Vec<Count>, Flaw> {
        for condition in &self.conditions {
            condition.judge(context)?;
        }
        let until = |count| Count {
            until: ends,
            ..count
        };
        Ok(self.counts.into_iter().map(until).collect())
    }

    /// The authority that is left.
    pub(super) fn narrow(&self, authority: &Authority) -> Result<Authority, Flaw> {
        let scopes = self.scopes.as_ref();
        let audience = self.audience.clone();
        if audience
            .as_ref()
            .is_some_and(|own| !authority.audiences().contains(own))
        {
            return Err(Flaw::Nothing("audience"));
        }
        let binding = authority.binding().with(self.binding);
        let narrowed = authority.narrow(Narrowing {
            scopes: scopes.map(|own| own.intersection(authority.scopes())),
            audience,
            expires: self.expires.map(|own| own.min(authority.expires())),
            binding: Some(binding.ok_or(Flaw::Nothing("key"))?),
            ..Narrowing::default()
        });
        narrowed.map_err(|_| Flaw::Nothing("authority"))
    }

    /// The same over the claims of a token: scope, audience, end and key.
    pub(super) fn narrow_claims(&self, claims: &mut Map<String, Value>) -> Result<(), Flaw> {
        if let Some(scopes) = &self.scopes {
            let own = claims
                .get("scope")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let own: Scopes = own.parse().map_err(|_| Flaw::Identifier)?;
            let left = own.intersection(scopes);
            match left.is_empty() {
                true => claims.remove("scope"),
                false => claims.insert("scope".to_owned(), left.to_string().into()),
            };
        }
        if let Some(audience) = &self.audience
            && claims.get("aud").and_then(Value::as_str) != Some(audience.as_str())
        {
            return Err(Flaw::Nothing("audience"));
        }
        if let Some(end) = self.expires {
            let own = claims
                .get("exp")
                .and_then(Value::as_i64)
                .ok_or(Flaw::Identifier)?;
            // Rounded down: an end is never later than it was written.
            claims.insert("exp".to_owned(), own.min(end.seconds()).into());
        }
        let own = jwt::binding(claims).map_err(|_| Flaw::Identifier)?;
        let joined = own.with(self.binding).ok_or(Flaw::Nothing("key"))?;
        if joined.is_bound() {
            let value = serde_json::to_value(joined).unwrap_or_default();
            claims.insert("cnf".to_owned(), value);
        }
        Ok(())
    }
}

/// Names a macaroon up to and with one of its caveats: what is added behind
/// shares the name, what is added elsewhere has another.
fn name_of_prefix(root: &[u8], macaroon: &Binary, last: usize) -> Digest {
    let mut bytes = b"budget\0".to_vec();
    let mut add = |part: &[u8]| {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    };
    add(root);
    add(macaroon.identifier());
    for caveat in macaroon.caveats().take(last + 1) {
        match caveat {
            Field::First(text) => add(text),
            Field::Third { id, verifier, .. } => {
                add(b"");
                add(id);
                add(verifier);
            }
        }
    }
    Digest::of(&bytes)
}

/// A caveat as a refusal shows it.
fn shown(text: &str) -> String {
    text.chars()
        .take(100)
        .filter(|own| !own.is_control())
        .collect()
}
