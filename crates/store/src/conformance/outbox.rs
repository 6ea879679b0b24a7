//! How messages to others must behave: written with the act that they tell of,
//! delivered in order, lost by nobody.

use std::collections::HashSet;
use std::time::Duration;

use symbolon_token::Id;

use super::world::{DAY, MINUTE, RACERS, Scene, World};
use super::{Broken, Checked, check, same};
use crate::authorization_code::RedeemCode;
use crate::outbox::{
    Delivered, DropDeadLetter, DueReceivers, FetchMessages, KEPT_DEAD, KEPT_WAITING, LeaseReceiver,
    Leased, ListDeadLetters, Noted, OutboxState, OutboxTotals, Pause, PurgeOutbox, Retried,
    RetryDeadLetter, SettleMessages,
};
use crate::person::{RevokePerson, SetPersonEnabled};
use crate::session::EndSession;
use crate::signal::{CLIENT, Event, Initiator, STREAM};
use crate::signal_stream::{
    CreateStream, MAX_STREAMS, SetSubject, SignalStream, StreamStatus, StreamWritten, UpdateStream,
    VerifyStream,
};

/// A person with a session in which a client took part that wants to hear of it.
async fn heard(world: &World) -> Result<Scene, Broken> {
    let scene = world.scene().await?;
    listen(world, &scene).await?;
    Ok(scene)
}

async fn listen(world: &World, scene: &Scene) -> Checked {
    let redeem = RedeemCode {
        listener: Some(scene.client.clone()),
        ..world.redeem(scene, None)
    };
    world.store.act(redeem).await?;
    Ok(())
}

fn of_client(scene: &Scene) -> String {
    format!("{CLIENT}{}", scene.client)
}

fn end(world: &World, session: Id<symbolon_token::Session>) -> EndSession {
    EndSession {
        id: session,
        now: world.now,
        horizon: world.horizon(),
        audit: world.audit("session.end"),
    }
}

fn lease(world: &World, receiver: &str) -> LeaseReceiver {
    LeaseReceiver {
        receiver: receiver.to_owned(),
        now: world.now,
        span: MINUTE,
        limit: 100,
    }
}

async fn leased(world: &World, receiver: &str) -> Result<Leased, Broken> {
    let held = world.store.act(lease(world, receiver)).await?;
    held.ok_or_else(|| Broken::from("the receiver was not free"))
}

fn settle(world: &World, receiver: &str, leased: &Leased, all: &Delivered) -> SettleMessages {
    let outcomes = leased.messages.iter();
    SettleMessages {
        receiver: receiver.to_owned(),
        fence: leased.fence,
        outcomes: outcomes.map(|own| (own.number, all.clone())).collect(),
        pause: Pause {
            failures: 0,
            next_try: world.now,
        },
        now: world.now,
    }
}

/// Two sessions of one person, ended one after the other.
async fn ended_twice(world: &World) -> Result<Scene, Broken> {
    let mut scene = heard(world).await?;
    let open = world.session(scene.person);
    let first = std::mem::replace(&mut scene.session, open.id);
    world.store.act(open).await?;
    listen(world, &scene).await?;
    world.store.act(end(world, first)).await?;
    world.store.act(end(world, scene.session)).await?;
    Ok(scene)
}

/// The end of a session and the message about it are committed together, once.
pub(crate) async fn an_end_and_its_message_are_one_act(world: &World) -> Checked {
    let scene = heard(world).await?;
    let commits = world.store.commits();

    world.store.act(end(world, scene.session)).await?;
    world.store.act(end(world, scene.session)).await?;

    same(&world.store.commits(), &(commits + 1))?;
    let leased = leased(world, &of_client(&scene)).await?;
    same(&leased.messages.len(), &1)?;
    let message = &leased.messages[0].message;
    same(&message.event, &Event::Logout)?;
    same(&message.person, &Some(scene.person))?;
    same(&message.session, &Some(scene.session))
}

/// The second message of a subject is not read before the first was taken.
pub(crate) async fn a_subject_is_told_in_order_and_nobody_waits_for_another(
    world: &World,
) -> Checked {
    let scene = ended_twice(world).await?;
    let other = heard(world).await?;
    world.store.act(end(world, other.session)).await?;
    let receiver = of_client(&scene);
    let due = DueReceivers {
        now: world.now,
        limit: 1000,
    };
    let first = leased(world, &receiver).await?;

    let all = world.store.read(due).await?;
    let later = Delivered::Later {
        attempts: 1,
        next_try: world.now + MINUTE,
        reason: "unreachable",
    };
    let settled = world
        .store
        .act(settle(world, &receiver, &first, &later))
        .await?;
    let between = leased(world, &receiver).await?;

    check(all.contains(&of_client(&other)), "another receiver waits")?;
    check(!all.contains(&receiver), "a leased receiver is due")?;
    same(&settled, &Noted::InTime)?;
    same(&between.messages.len(), &0)?;
    world
        .store
        .act(settle(world, &receiver, &between, &Delivered::Taken))
        .await?;
    let later = LeaseReceiver {
        now: world.now + MINUTE,
        ..lease(world, &receiver)
    };
    let again = world.store.act(later).await?;
    let again = again.ok_or_else(|| Broken::from("the receiver was not free"))?;
    same(&again.messages.len(), &1)?;
    same(&again.messages[0].id, &first.messages[0].id)?;
    same(&again.messages[0].attempts, &1)?;
    same(&again.messages[0].reason.as_str(), &"unreachable")?;
    world
        .store
        .act(settle(world, &receiver, &again, &Delivered::Taken))
        .await?;
    let second = leased(world, &receiver).await?;
    same(&second.messages.len(), &1)?;
    same(&second.messages[0].message.session, &Some(scene.session))
}

/// What a message is counted by, and why it was not taken the last time, is read
/// back as whoever tried it has written it.
pub(crate) async fn a_try_is_counted_by_whoever_made_it(world: &World) -> Checked {
    let scene = heard(world).await?;
    world.store.act(end(world, scene.session)).await?;
    let receiver = of_client(&scene);
    let mut seen = Vec::new();

    for (attempts, reason) in [(7, "away"), (1, "refused"), (2, "refused")] {
        let held = leased(world, &receiver).await?;
        let waiting = held.messages.first();
        let waiting = waiting.ok_or_else(|| Broken::from("nothing is read"))?;
        seen.push((waiting.attempts, waiting.reason.clone()));
        let later = Delivered::Later {
            attempts,
            next_try: world.now,
            reason,
        };
        let settled = settle(world, &receiver, &held, &later);
        same(&world.store.act(settled).await?, &Noted::InTime)?;
    }

    let wanted = [(0, ""), (7, "away"), (1, "refused")];
    let wanted = wanted.map(|(attempts, reason)| (attempts, reason.to_owned()));
    same(&seen, &wanted.to_vec())
}

/// However many nodes look, one sends.
pub(crate) async fn of_parallel_leases_one_holds(world: &World) -> Checked {
    let scene = heard(world).await?;
    world.store.act(end(world, scene.session)).await?;
    let receiver = of_client(&scene);

    let racers = (0..RACERS).map(|_| lease(world, &receiver));
    let held = world.race(racers).await?;

    same(&held.iter().flatten().count(), &1)
}

/// A lease is measured by one clock, whatever those of the nodes say.
pub(crate) async fn a_node_whose_clock_is_ahead_takes_no_lease_away(world: &World) -> Checked {
    let scene = heard(world).await?;
    world.store.act(end(world, scene.session)).await?;
    let receiver = of_client(&scene);
    leased(world, &receiver).await?;
    let now = world.now + MINUTE * 2;

    let due = DueReceivers { now, limit: 1000 };
    let due = world.store.read(due).await?;
    let ahead = LeaseReceiver {
        now,
        ..lease(world, &receiver)
    };
    let taken = world.store.act(ahead).await?;

    check(!due.contains(&receiver), "a leased receiver is due")?;
    check(taken.is_none(), "two nodes send at once")
}

/// Who of many that are due gets a free place is drawn anew at each look.
pub(crate) async fn nobody_who_is_due_comes_last_each_time(world: &World) -> Checked {
    let mut receivers = Vec::new();
    for _ in 0..4 {
        let scene = heard(world).await?;
        world.store.act(end(world, scene.session)).await?;
        receivers.push(of_client(&scene));
    }
    let due = DueReceivers {
        now: world.now,
        limit: 1000,
    };

    let mut first = HashSet::new();
    // One of four is passed over 200 times in 10^25 runs once.
    for _ in 0..200 {
        let all = world.store.read(due.clone()).await?;
        first.extend(all.into_iter().find(|own| receivers.contains(own)));
    }

    same(&first.len(), &receivers.len())
}

/// The lease of a node that stood still goes to another one; what the first
/// writes afterwards is refused.
pub(crate) async fn a_sender_that_was_paused_beyond_its_lease_changes_nothing(
    world: &World,
) -> Checked {
    let scene = heard(world).await?;
    world.store.act(end(world, scene.session)).await?;
    let receiver = of_client(&scene);
    let over_at_once = LeaseReceiver {
        span: Duration::ZERO,
        ..lease(world, &receiver)
    };
    let paused = world.store.act(over_at_once).await?;
    let paused = paused.ok_or_else(|| Broken::from("the receiver was not free"))?;
    let takeover = lease(world, &receiver);
    let next = world.store.act(takeover.clone()).await?;
    let next = next.ok_or_else(|| Broken::from("an ended lease still holds"))?;

    let never = Delivered::Never { reason: "gone" };
    let late = settle(world, &receiver, &paused, &never);
    same(&world.store.act(late).await?, &Noted::Late)?;

    same(&next.messages, &paused.messages)?;
    check(next.fence > paused.fence, "the number did not grow")?;
    check(
        world.store.act(takeover).await?.is_none(),
        "a late word gave the receiver back",
    )?;
    let taken = settle(world, &receiver, &next, &Delivered::Taken);
    same(&world.store.act(taken).await?, &Noted::InTime)
}

/// After a day a message is dead; offered again, it bears its old name.
pub(crate) async fn what_nobody_took_is_a_dead_letter_that_comes_back(world: &World) -> Checked {
    let scene = heard(world).await?;
    world.store.act(end(world, scene.session)).await?;
    let receiver = of_client(&scene);
    let waiting = leased(world, &receiver).await?;
    world
        .store
        .act(SettleMessages {
            outcomes: Vec::new(),
            ..settle(world, &receiver, &waiting, &Delivered::Taken)
        })
        .await?;
    let list = ListDeadLetters {
        after: None,
        receiver: Some(receiver.clone()),
        limit: 10,
    };
    let sweep = |now| PurgeOutbox {
        now,
        limit: 100_000,
    };
    let died = world.now + KEPT_WAITING;

    world
        .store
        .act(sweep(died - Duration::from_secs(1)))
        .await?;
    same(&world.store.read(list.clone()).await?.len(), &0)?;
    world.store.act(sweep(died)).await?;
    let dead = world.store.read(list.clone()).await?;

    same(&dead.len(), &1)?;
    same(&dead[0].id, &waiting.messages[0].id)?;
    same(&dead[0].reason.as_str(), &"waited too long")?;
    let retry = RetryDeadLetter {
        number: dead[0].number,
        audit: world.audit("dead_letter.retry"),
        now: world.now,
    };
    same(&world.store.act(retry.clone()).await?, &Retried::Waits)?;
    same(&world.store.act(retry).await?, &Retried::Missing)?;
    let again = leased(world, &receiver).await?;
    same(&again.messages.len(), &1)?;
    same(&again.messages[0].id, &waiting.messages[0].id)?;
    let never = Delivered::Never { reason: "refused" };
    world
        .store
        .act(settle(world, &receiver, &again, &never))
        .await?;
    let dead = world.store.read(list.clone()).await?;
    same(&dead[0].reason.as_str(), &"refused")?;
    let forget = DropDeadLetter {
        number: dead[0].number,
        audit: world.audit("dead_letter.delete"),
        now: world.now,
    };
    same(&world.store.act(forget.clone()).await?, &true)?;
    same(&world.store.act(forget).await?, &false)?;
    check(
        KEPT_DEAD > DAY,
        "dead letters are kept for longer than a day",
    )
}

/// Receivers are listed page by page, each once, and counted all together.
pub(crate) async fn what_waits_is_listed_in_pages_and_counted_whole(world: &World) -> Checked {
    let (one, other) = (heard(world).await?, heard(world).await?);
    for scene in [&one, &other] {
        world.store.act(end(world, scene.session)).await?;
    }
    let mut state = OutboxState {
        after: None,
        limit: 1,
    };
    let mut found = Vec::new();

    loop {
        let page = world.store.read(state.clone()).await?;
        check(page.len() <= 1, "a page is longer than it may be")?;
        let Some(line) = page.into_iter().next() else {
            break;
        };
        state.after = Some(line.receiver.clone());
        found.push(line);
    }
    let totals = world.store.read(OutboxTotals).await?;

    for scene in [&one, &other] {
        let receiver = of_client(scene);
        let own = found.iter().filter(|line| line.receiver == receiver);
        let waiting: Vec<u64> = own.map(|line| line.waiting).collect();
        same(&waiting, &vec![1])?;
    }
    check(totals.waiting >= 2, "what waits is not counted")?;
    check(
        totals.oldest.is_some_and(|oldest| oldest <= world.now),
        "what waits has no age",
    )
}

fn stream(world: &World, scene: &Scene) -> CreateStream {
    CreateStream {
        stream: SignalStream {
            id: world.word(),
            client: scene.client.clone(),
            status: StreamStatus::Enabled,
            fetches: false,
            events: Event::SessionRevoked.bit() | Event::AccountDisabled.bit(),
            document: "{}".to_owned(),
            secret: None,
            created: world.now,
            updated: world.now,
        },
        audit: world.audit("stream.create"),
        now: world.now,
    }
}

pub(super) fn revoke(world: &World, scene: &Scene) -> RevokePerson {
    RevokePerson {
        id: scene.person,
        audit: world.audit("user.revoke"),
        now: world.now,
        horizon: world.horizon(),
    }
}

/// A stream hears of people who let its client do something, of the events it
/// asked for, and of nobody whom it wants left out.
pub(crate) async fn a_stream_tells_of_people_whom_its_client_knows(world: &World) -> Checked {
    let (scene, stranger) = (world.scene().await?, world.scene().await?);
    let create = stream(world, &scene);
    let receiver = format!("{STREAM}{}", create.stream.id);
    let id = create.stream.id.clone();
    same(&world.store.act(create).await?, &StreamWritten::Written)?;
    world.store.act(revoke(world, &stranger)).await?;
    let subject = |told| SetSubject {
        stream: id.clone(),
        person: scene.person,
        told,
    };
    world.store.act(subject(false)).await?;
    world.store.act(revoke(world, &scene)).await?;
    world.store.act(subject(true)).await?;

    let disable = SetPersonEnabled {
        id: scene.person,
        enabled: false,
        audit: crate::AuditEvent::new("user.disable", "administrator"),
        now: world.now,
        horizon: world.horizon(),
    };
    world.store.act(disable).await?;

    let mut told = Vec::new();
    for _ in 0..3 {
        let leased = leased(world, &receiver).await?;
        let messages = leased.messages.iter();
        told.extend(messages.map(|own| (own.message.event, own.message.by, own.message.person)));
        let taken = settle(world, &receiver, &leased, &Delivered::Taken);
        world.store.act(taken).await?;
    }
    let person = Some(scene.person);
    let by = Initiator::Admin;
    let wanted = vec![
        (Event::AccountDisabled, by, person),
        (Event::SessionRevoked, by, person),
    ];
    same(&told, &wanted)
}

/// Of many that are created at once, as many as a client may have.
pub(crate) async fn a_client_has_so_many_streams_and_no_more(world: &World) -> Checked {
    let scene = world.scene().await?;

    let racers = (0..RACERS).map(|_| stream(world, &scene));
    let outs = world.race(racers).await?;

    let written = outs.iter().filter(|own| **own == StreamWritten::Written);
    same(&u32::try_from(written.count()).unwrap_or(0), &MAX_STREAMS)
}

/// Paused: what happens waits. Disabled: what waits is gone.
pub(crate) async fn a_stream_that_stands_still_keeps_or_drops_what_happens(
    world: &World,
) -> Checked {
    let scene = world.scene().await?;
    let create = stream(world, &scene);
    let mut own = create.stream.clone();
    let receiver = format!("{STREAM}{}", own.id);
    world.store.act(create).await?;
    let change = |own: &SignalStream, was| UpdateStream {
        stream: own.clone(),
        was,
        audit: world.audit("stream.update"),
        now: world.now,
    };
    own.status = StreamStatus::Paused;
    let pause = change(&own, world.now);
    same(
        &world.store.act(pause.clone()).await?,
        &StreamWritten::Written,
    )?;
    same(&world.store.act(pause).await?, &StreamWritten::Changed)?;
    world.store.act(revoke(world, &scene)).await?;
    let lease = LeaseReceiver {
        span: Duration::ZERO,
        ..lease(world, &receiver)
    };
    let held = world.store.act(lease.clone()).await?;
    same(&held.map(|own| own.messages.len()), &Some(0))?;
    let second = Duration::from_millis(1);
    own.status = StreamStatus::Enabled;
    world.store.act(change(&own, world.now + second)).await?;
    let sent = world.store.act(lease.clone()).await?;
    same(&sent.map(|own| own.messages.len()), &Some(1))?;

    own.status = StreamStatus::Disabled;
    world
        .store
        .act(change(&own, world.now + second * 2))
        .await?;
    world.store.act(revoke(world, &scene)).await?;

    let sent = world.store.act(lease).await?;
    same(&sent.map(|own| own.messages.len()), &Some(0))
}

/// What a receiver fetches comes again until it says that it has it.
pub(crate) async fn what_is_fetched_stays_until_it_was_taken(world: &World) -> Checked {
    let scene = world.scene().await?;
    let mut create = stream(world, &scene);
    create.stream.fetches = true;
    let id = create.stream.id.clone();
    world.store.act(create).await?;
    let verify = VerifyStream {
        id: id.clone(),
        state: Some("mine".to_owned()),
        not_since: world.now - MINUTE,
        now: world.now,
    };
    same(&world.store.act(verify.clone()).await?, &true)?;
    same(&world.store.act(verify).await?, &false)?;
    let fetch = FetchMessages {
        receiver: format!("{STREAM}{id}"),
        taken: Vec::new(),
        refused: Vec::new(),
        limit: 10,
        now: world.now,
    };

    let first = world.store.act(fetch.clone()).await?;
    let again = world.store.act(fetch.clone()).await?;

    same(&first.len(), &1)?;
    same(&again, &first)?;
    same(&first[0].message.event, &Event::Verification)?;
    let taken = FetchMessages {
        taken: vec![first[0].id],
        ..fetch
    };
    same(&world.store.act(taken).await?.len(), &0)
}
