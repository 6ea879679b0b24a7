//! Guess limits of sign-in: by network, by name, by account and by device.
//!
//! A guess is counted before the password is looked at, and taken back once it
//! was right. A device that has signed the person in before is counted apart,
//! so that strangers lock nobody out; all such devices of one account together
//! have a limit too, since whoever knew a password once could make many.
//!
//! Spec: RFC 6819 §4.4.3.6, §5.1.4.2.3

use std::net::IpAddr;
use std::time::Duration;

use symbolon_store::{Attempt, CountAttempt, ForgiveAttempt, Person};
use symbolon_token::Id;

use super::device;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::limit::{network, site};
use crate::received::Received;

/// How long guesses count, in seconds.
const WINDOW_SECONDS: u32 = 60 * 60;
/// Guesses for one name, for one account, and for one from a device that knows it.
const PER_ACCOUNT: u32 = 10;
/// Guesses from all the devices that know an account.
const PER_KNOWN_DEVICES: u32 = 30;
/// Guesses from one network.
const PER_NETWORK: u32 = 100;
/// Guesses from one site of IP version 6, which has many networks.
const PER_SITE: u32 = 400;
/// Sign-ins of one account from one network, and how long each counts, in
/// seconds: who has the password makes no number of sessions.
const SIGN_INS: u32 = 60;
const SIGN_INS_SECONDS: u32 = 10 * 60;

/// One guess, under every name that it counts.
pub(crate) struct Guess(Vec<Counter>);

/// One of the counters that a guess is counted under.
struct Counter {
    name: [u8; 32],
    limit: u32,
    told: Told,
}

/// Whether whoever is limited learns of it. That two names are one account
/// must not show, so the account's own limit looks like a wrong password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Openly,
    Silently,
}

/// Whether a guess may be made.
pub(crate) enum Counted {
    Allowed,
    Limited { wait: Duration, told: Told },
}

impl Guess {
    /// The guess of whoever typed this name. The network comes first: who has
    /// used that up uses up nobody's account.
    ///
    /// The names of counters are MACs: people type passwords into the field
    /// for names.
    pub(crate) fn new(cx: &Cx, received: &Received, typed: &str, found: Option<&Person>) -> Self {
        let counter = |label: &str, parts: &[&[u8]], limit, told| Counter {
            name: cx.keys.name_mac(label, parts),
            limit,
            told,
        };
        let openly = Told::Openly;
        if let Some(person) = found
            && let Some(mark) = device::presented(cx, received, person)
        {
            let (account, password) = (person.id, device::password_of(person));
            let account = account.as_bytes();
            let (all, one) = ([&account[..], &password], [&account[..], &mark.salt]);
            return Self(vec![
                counter("guess-devices", &all, PER_KNOWN_DEVICES, openly),
                counter("guess-device", &one, PER_ACCOUNT, openly),
            ]);
        }
        let account = found.map_or_else(|| typed.to_owned(), |person| person.id.to_string());
        let account = [account.as_bytes()];
        let within = network(cx.address).to_string();
        let mut all = vec![counter(
            "guess-network",
            &[within.as_bytes()],
            PER_NETWORK,
            openly,
        )];
        if let Some(site) = site(cx.address).as_ref().map(IpAddr::to_string) {
            all.push(counter("guess-site", &[site.as_bytes()], PER_SITE, openly));
        }
        all.extend([
            counter("guess-name", &[typed.as_bytes()], PER_ACCOUNT, openly),
            counter("guess-account", &account, PER_ACCOUNT, Told::Silently),
        ]);
        Self(all)
    }

    /// How long to wait, where this node lately heard that the guess would be
    /// one too many: then nothing has to be asked or written to know it. Where
    /// the limit must not show, the guess goes on as any other.
    pub(crate) fn is_known_to_be_limited(&self, cx: &Cx) -> Option<Duration> {
        let open = self.0.iter().filter(|own| own.told == Told::Openly);
        open.filter_map(|own| cx.limited.find(&own.name, cx.now))
            .max()
    }

    /// Counts the guess under each name, up to the first that is used up. Where
    /// that is told, it counts nowhere, because nobody looks at the password.
    ///
    /// Where it must not show, it goes on as one that is wrong, and so it counts
    /// under the names before: otherwise another name of an account that is used
    /// up would have no limit where a name that nobody has does, and the network
    /// none at all.
    pub(crate) async fn count(&mut self, cx: &Cx) -> Result<Counted, Failure> {
        for (number, counter) in self.0.iter().enumerate() {
            let Some(wait) = count(cx, counter.name, counter.limit).await? else {
                continue;
            };
            let told = counter.told;
            cx.limited.note(counter.name, cx.now, wait);
            if told == Told::Openly {
                forgive(cx, &self.0[..number]).await?;
            }
            // What was not counted is not taken back.
            self.0.truncate(number);
            return Ok(Counted::Limited { wait, told });
        }
        Ok(Counted::Allowed)
    }

    /// Takes the guess back: it was right, or nobody looked at it.
    pub(crate) async fn forgive(&self, cx: &Cx) -> Result<(), Failure> {
        forgive(cx, &self.0).await
    }
}

/// Counts a sign-in that succeeded; how long to wait, where there were too
/// many: each one leaves a session behind.
pub(crate) async fn count_sign_in(
    cx: &Cx,
    person: Id<symbolon_token::Person>,
) -> Result<Option<Duration>, Failure> {
    let within = network(cx.address).to_string();
    let parts = [&person.as_bytes()[..], within.as_bytes()];
    let name = cx.keys.name_mac("sign-ins", &parts);
    count_within(cx, name, (SIGN_INS, SIGN_INS_SECONDS)).await
}

async fn count(cx: &Cx, name: [u8; 32], limit: u32) -> Result<Option<Duration>, Failure> {
    count_within(cx, name, (limit, WINDOW_SECONDS)).await
}

async fn count_within(
    cx: &Cx,
    name: [u8; 32],
    (limit, window_seconds): (u32, u32),
) -> Result<Option<Duration>, Failure> {
    let act = CountAttempt {
        name,
        window_seconds,
        limit,
        now: cx.now,
    };
    Ok(match cx.store.act(act).await? {
        Attempt::Allowed => None,
        Attempt::Limited { until } => Some(until.since(cx.now)),
    })
}

async fn forgive(cx: &Cx, counters: &[Counter]) -> Result<(), Failure> {
    for counter in counters {
        let name = counter.name;
        cx.store.act(ForgiveAttempt { name }).await?;
        cx.limited.forget(&name);
    }
    Ok(())
}
