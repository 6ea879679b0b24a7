//! Counts that gateways share, in Redis: one script for each act, run by the
//! server and by its clock, on the counts of one subject, which lie in one slot
//! of a cluster. Strict limits ask for each request, leased ones take batches.
//!
//! What a server loses that is replaced before it passed a count on, is lost
//! here as well.

mod link;
mod place;
mod uses;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::oneshot;

use self::link::{Act, Link, Script};
use self::place::{keep, place};
use self::wire::{hex, reply, rule, whole};
use super::bank::{self, Bank};
use super::charge::{Charge, Counted, Denied, Known, Receipt, Violated};
use super::held::Held;
use super::lease::Leases;
use super::local::DAYS;
use super::period;
use super::settings::{self, Counting, OnError};
use super::subject::Subject;
use super::usage::Used;
use crate::gateway::{Edge, PlanError};

pub(crate) use self::link::Unavailable;
pub(crate) use self::uses::Uses;
pub(crate) use self::wire::{Reply, Want};

/// The counts that gateways share.
pub(crate) struct Together {
    link: Link,
    script: Script,
    /// For what may be used so many times.
    uses: Script,
    leases: Leases,
    edge: Edge,
}

/// What the charges of one subject came to.
struct Group {
    receipts: Vec<Receipt>,
    places: Vec<(Charge, String)>,
}

impl Together {
    pub(crate) fn new(settings: &settings::Redis, edge: &Edge) -> Result<Self, PlanError> {
        let failed = |error: link::NoLink| PlanError::Redis(error.to_string());
        let script = |text: &'static str| Script {
            text,
            digest: redis::Script::new(text).get_hash().to_owned(),
        };
        metrics::gauge!("symbolon_gateway_limit_store_up").set(1.0);
        Ok(Self {
            link: Link::new(settings).map_err(failed)?,
            script: script(include_str!("limit.lua")),
            uses: script(include_str!("uses.lua")),
            leases: Leases::default(),
            edge: edge.clone(),
        })
    }

    /// Spends all charges, or none.
    pub(crate) async fn take(
        &self,
        bank: &Arc<Bank>,
        charges: Vec<Charge>,
        edge: &Edge,
        held: &mut Held,
    ) -> Result<Vec<Receipt>, Denied> {
        let mut strict = HashMap::<Subject, Vec<Charge>>::new();
        let mut receipts = Vec::new();
        for charge in charges {
            let counting = charge.limit.limit.counting;
            let Counting::Leased { batch } = counting else {
                strict.entry(charge.subject).or_default().push(charge);
                continue;
            };
            match self.leases.take(bank, self, &charge, batch).await {
                Ok(receipt) => receipts.push(receipt),
                Err(denied) => {
                    Bank::give_back(bank, receipts);
                    return Err(denied);
                }
            }
        }
        // All at the same time: one round trip, however many subjects.
        let groups = strict
            .into_values()
            .map(|own| self.take_group(bank, own, edge));
        let (mut places, mut refused) = (Vec::new(), None);
        for outcome in join_all(groups).await {
            match outcome {
                Ok(group) => {
                    receipts.extend(group.receipts);
                    places.extend(group.places);
                }
                Err(denied) => refused = Some(denied),
            }
        }
        // A place is left when nobody holds it any more: at once, where refused.
        for (charge, place) in places {
            let (here, gone) = oneshot::channel();
            tokio::spawn(keep(Arc::clone(bank), charge, place, gone));
            held.hold_elsewhere(here);
        }
        held.hold(&receipts);
        match refused {
            None => Ok(receipts),
            Some(denied) => {
                receipts.retain(|own| !own.charge.limit.limit.rule.is_held());
                Bank::give_back(bank, receipts);
                Err(denied)
            }
        }
    }

    async fn take_group(
        &self,
        bank: &Arc<Bank>,
        charges: Vec<Charge>,
        edge: &Edge,
    ) -> Result<Group, Denied> {
        let name = |own: &Charge| {
            own.limit
                .limit
                .rule
                .is_held()
                .then(|| place(&*edge.entropy))
        };
        let places: Vec<Option<String>> = charges.iter().map(name).collect();
        let wants = charges.iter().zip(&places).map(|(charge, place)| Want {
            known: &charge.limit,
            need: charge.amount,
            want: charge.amount,
            place: place.as_deref(),
            tick: 0,
        });
        let subject = charges.first().map(|own| own.subject);
        let Some(subject) = subject else {
            return Ok(Group {
                receipts: Vec::new(),
                places: Vec::new(),
            });
        };
        let Ok(replies) = self.act("take", subject, wants).await else {
            return self.alone(bank, charges, edge);
        };
        if replies.iter().any(|own| own.taken == 0) {
            let both = charges.into_iter().zip(replies);
            let short = both.filter(|(charge, reply)| reply.standing.left < charge.amount);
            let violated = short.map(|(charge, reply)| Violated {
                charge,
                standing: reply.standing,
                wait: reply.wait,
            });
            return Err(Denied::Exceeded(violated.collect()));
        }
        let kept = charges.iter().cloned().zip(places);
        let places = kept.filter_map(|(charge, place)| Some((charge, place?)));
        let places = places.collect();
        let both = charges.into_iter().zip(replies);
        let receipts = both.map(|(charge, reply)| Receipt {
            charge,
            standing: reply.standing,
            counted: Counted::Together,
        });
        Ok(Group {
            receipts: receipts.collect(),
            places,
        })
    }

    /// Nobody can count together: this process does for the while, where every
    /// limit says so.
    fn alone(&self, bank: &Bank, charges: Vec<Charge>, edge: &Edge) -> Result<Group, Denied> {
        let refuses = |own: &&Charge| own.limit.limit.on_error == OnError::Refuse;
        if let Some(charge) = charges.iter().find(refuses) {
            return Err(Denied::Unavailable(charge.clone()));
        }
        for charge in &charges {
            uncounted(&charge.limit);
        }
        Ok(Group {
            receipts: bank.take_here(charges, bank::now(edge))?,
            places: Vec::new(),
        })
    }

    /// Gives back what others counted.
    pub(crate) async fn give_back(&self, receipts: Vec<Receipt>) {
        for receipt in receipts {
            let charge = &receipt.charge;
            if receipt.counted == Counted::Leased {
                self.leases.give_back(charge, receipt.standing.tick);
                continue;
            }
            self.back(
                charge.subject,
                &charge.limit,
                charge.amount,
                receipt.standing.tick,
            )
            .await;
        }
    }

    /// Gives back so much of one count. Where that fails it stays spent.
    pub(crate) async fn back(&self, subject: Subject, known: &Known, amount: u64, tick: i64) {
        let want = Want {
            known,
            need: 0,
            want: amount,
            place: None,
            tick,
        };
        // It was spent, and stays so: nobody is let through by it.
        let _ = self.act("back", subject, [want].into_iter()).await;
    }

    /// What was used under a limit, and how it stands.
    pub(crate) async fn used(&self, charge: &Charge) -> Option<Used> {
        let want = Want {
            known: &charge.limit,
            need: 0,
            want: 0,
            place: None,
            tick: 0,
        };
        let numbers = self
            .run("look", charge.subject, [want].into_iter())
            .await
            .ok()?;
        let standing = reply(numbers.get(..5)?)?.standing;
        let mut days: Vec<(i64, u64)> = numbers[5..]
            .chunks_exact(2)
            .map(|own| (own[0], whole(own[1])))
            .collect();
        days.sort_unstable();
        // The script clears up now and then: until it does, there are older ones.
        let today = period::day(bank::now(&self.edge).wall);
        let most = i64::try_from(DAYS).unwrap_or(i64::MAX);
        days.retain(|(day, _)| *day > today - most);
        Some((standing, days))
    }

    pub(crate) async fn act<'w>(
        &self,
        name: &str,
        subject: Subject,
        wants: impl Iterator<Item = Want<'w>>,
    ) -> Result<Vec<Reply>, Unavailable> {
        let numbers = self.run(name, subject, wants).await?;
        let replies: Option<Vec<Reply>> = numbers.chunks_exact(5).map(reply).collect();
        replies.ok_or(Unavailable)
    }

    async fn run<'w>(
        &self,
        name: &str,
        subject: Subject,
        wants: impl Iterator<Item = Want<'w>>,
    ) -> Result<Vec<i64>, Unavailable> {
        let mut act = Act {
            keys: Vec::new(),
            arguments: vec![name.to_owned()],
        };
        let tag = hex(subject.as_bytes());
        for want in wants {
            let key = format!("symbolon:limit:{{{tag}}}:{}", want.known.id);
            act.keys.push(format!("{key}:days"));
            act.keys.insert(act.keys.len() - 1, key);
            act.arguments.extend(rule(&want.known.limit.rule));
            let place = want.place.unwrap_or_default().to_owned();
            let (need, most) = (want.need.to_string(), want.want.to_string());
            act.arguments
                .extend([need, most, place, want.tick.to_string()]);
        }
        let now = bank::now(&self.edge).steady;
        self.link.run(&self.script, &act, now).await
    }

    pub(crate) const fn edge(&self) -> &Edge {
        &self.edge
    }

    pub(crate) fn steady(&self) -> u64 {
        bank::now(&self.edge).steady
    }
}

/// A limit is counted by this process for the while, and it is said so.
pub(crate) fn uncounted(known: &Known) {
    let limit = known.limit.name.clone();
    metrics::counter!("symbolon_gateway_limits_total", "limit" => limit, "outcome" => "counted_alone")
        .increment(1);
}
