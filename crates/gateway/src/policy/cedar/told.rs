//! What policies are told of a question: all of it that can change an answer,
//! and nothing else. Cedar's terms are made of this alone, and so is the name
//! under which an answer is kept, so two questions of one name have one answer.

use std::net::IpAddr;

use symbolon_protocol::Timestamp;
use symbolon_token::Digest;

use super::Policies;
use super::entity::Actions;
use super::wanted::Wanted;
use crate::policy::question::{Asker, Circumstances, Question};

const DAY_SECONDS: i64 = 24 * 60 * 60;
const WEEKDAYS: [&str; 7] = [
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
];

/// The value of an attribute.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plain<'q> {
    Text(&'q str),
    Texts(&'q [String]),
    Number(i64),
    Time(Timestamp),
    Address(IpAddr),
}

/// Attributes by their names, of those that a policy names.
#[derive(Debug)]
pub(super) struct Attributes<'q> {
    wanted: &'q Wanted,
    pub(super) pairs: Vec<(&'static str, Plain<'q>)>,
}

impl<'q> Attributes<'q> {
    fn of(wanted: &'q Wanted) -> Self {
        Self {
            wanted,
            pairs: Vec::new(),
        }
    }

    fn add(&mut self, name: &'static str, value: Plain<'q>) {
        if self.wanted.has(name) {
            self.pairs.push((name, value));
        }
    }

    fn add_text(&mut self, name: &'static str, text: &'q str) {
        self.add(name, Plain::Text(text));
    }
}

/// A question as far as policies are told of it.
#[derive(Debug)]
pub(super) struct Told<'q> {
    pub(super) asker: &'q Asker,
    /// The name of whoever asks.
    pub(super) name: String,
    /// The organization that it is in: of our own issuer, as a subject is.
    pub(super) organization: Option<&'q str>,
    /// The number of the method.
    pub(super) action: usize,
    pub(super) route: &'q str,
    pub(super) audience: &'q str,
    /// What stands for the names of a path.
    pub(super) parameters: Vec<(&'q str, &'q str)>,
    pub(super) of_principal: Attributes<'q>,
    pub(super) of_route: Attributes<'q>,
    pub(super) context: Attributes<'q>,
}

impl Policies {
    /// What of a question policies are told.
    pub(super) fn tell<'q>(&'q self, question: &'q Question) -> Told<'q> {
        let (asker, asked) = (&question.principal, &question.resource);
        let mut of_principal = Attributes::of(&self.wanted);
        of_principal.add_text("subject", &asker.id);
        of_principal.add_text("issuer", &asker.issuer);
        of_principal.add_text("client", &asker.client);
        of_principal.add("roles", Plain::Texts(&asker.roles));
        of_principal.add("scopes", Plain::Texts(&asker.scopes));
        if let Some(organization) = &asker.organization {
            of_principal.add_text("organization", organization);
        }
        let mut of_route = Attributes::of(&self.wanted);
        of_route.add_text("template", &asked.template);
        of_route.add_text("path", &asked.path);
        of_route.add_text("audience", &asked.audience);
        of_route.add_text("upstream", &asked.upstream);
        let organization = asker.organization.as_deref();
        let parameters = asked.parameters.iter();
        Told {
            asker,
            name: asker.name(),
            organization: organization.filter(|_| asker.issuer.is_empty()),
            action: Actions::number(&question.method),
            route: &asked.route,
            audience: &asked.audience,
            parameters: parameters
                .map(|(name, own)| (name.as_str(), own.as_str()))
                .collect(),
            of_principal,
            of_route,
            context: self.context(question),
        }
    }

    fn context<'q>(&'q self, question: &'q Question) -> Attributes<'q> {
        let own: &Circumstances = &question.context;
        let now = own.now.clamp(0, Timestamp::FAR.seconds());
        let day = usize::try_from(now / DAY_SECONDS % 7).unwrap_or_default();
        let mut told = Attributes::of(&self.wanted);
        told.add_text("method", &question.method);
        told.add_text("path", &question.resource.path);
        told.add("now", Plain::Time(Timestamp::from_seconds(now)));
        told.add("hour", Plain::Number(now % DAY_SECONDS / 3_600));
        told.add_text("weekday", WEEKDAYS[day]);
        told.add_text("device", &own.user_agent);
        told.add("amr", Plain::Texts(&own.amr));
        told.add("actors", Plain::Texts(&own.actors));
        told.add_text("binding", own.binding.word());
        told.add("risk", Plain::Number(own.risk.into()));
        told.add("signals", Plain::Texts(&own.signals));
        if let Some(address) = own.address {
            told.add("network", Plain::Address(address.to_canonical()));
        }
        if let Some(time) = own.auth_time {
            told.add("auth_time", Plain::Number(time));
        }
        if let Some(age) = own.auth_age() {
            told.add("auth_age", Plain::Number(age));
        }
        if let Some(acr) = &own.acr {
            told.add_text("acr", acr);
        }
        if let Some(actor) = own.actors.first() {
            told.add_text("actor", actor);
        }
        told
    }
}

impl Told<'_> {
    /// A name that no other question has: every part with its length before it.
    pub(super) fn digest(&self) -> Digest {
        let mut bytes = Vec::with_capacity(512);
        let out = &mut bytes;
        number(out, self.asker.kind as i64);
        text(out, &self.name);
        text(out, self.organization.unwrap_or_default());
        number(out, i64::from(self.organization.is_some()));
        number(out, count(self.action));
        text(out, self.route);
        text(out, self.audience);
        number(out, count(self.parameters.len()));
        for (name, own) in &self.parameters {
            text(out, name);
            text(out, own);
        }
        for told in [&self.of_principal, &self.of_route, &self.context] {
            number(out, count(told.pairs.len()));
            for (name, own) in &told.pairs {
                text(out, name);
                value(out, *own);
            }
        }
        Digest::of(&bytes)
    }
}

fn count(own: usize) -> i64 {
    i64::try_from(own).unwrap_or(i64::MAX)
}

fn number(out: &mut Vec<u8>, own: i64) {
    out.extend_from_slice(&own.to_be_bytes());
}

fn text(out: &mut Vec<u8>, own: &str) {
    number(out, count(own.len()));
    out.extend_from_slice(own.as_bytes());
}

fn value(out: &mut Vec<u8>, own: Plain<'_>) {
    match own {
        Plain::Text(own) => {
            out.push(1);
            text(out, own);
        }
        Plain::Texts(all) => {
            out.push(2);
            number(out, count(all.len()));
            all.iter().for_each(|own| text(out, own));
        }
        Plain::Number(own) => {
            out.push(3);
            number(out, own);
        }
        Plain::Time(own) => {
            out.push(4);
            number(out, own.seconds());
        }
        Plain::Address(IpAddr::V4(own)) => {
            out.push(5);
            out.extend_from_slice(&own.octets());
        }
        Plain::Address(IpAddr::V6(own)) => {
            out.push(6);
            out.extend_from_slice(&own.octets());
        }
    }
}
