//! How what waits for others goes, and is moved, in parts, and is fetched one event
//! of a person at a time; and that no clock which was ahead keeps anybody from being
//! told.

use std::time::Duration;

use symbolon_protocol::Timestamp;

use super::outbox::revoke;
use super::world::{DAY, MINUTE, Scene, World};
use super::{Broken, Checked, check, same};
use crate::authorization_code::RedeemCode;
use crate::grant::{Consented, WithdrawGrant};
use crate::outbox::{
    DueReceivers, FetchMessages, ForgetGone, LeaseReceiver, Leased, ListDeadLetters, OutboxState,
    Pause, Refusal, Retried, RetryDeadLetter, SettleMessages, SettleStream, UnsettledStreams,
    WaitingMessage,
};
use crate::person::SetPersonEnabled;
use crate::session::EndSession;
use crate::signal::{CLIENT, Event, STREAM};
use crate::signal_stream::{
    CreateStream, DeleteStream, SignalStream, StreamStatus, StreamWritten, UpdateStream,
};

/// More than an act deals with itself.
const MANY: u32 = 210;

fn lease(receiver: &str, now: Timestamp) -> LeaseReceiver {
    LeaseReceiver {
        receiver: receiver.to_owned(),
        now,
        span: MINUTE,
        limit: 1000,
    }
}

async fn leased(world: &World, receiver: &str, now: Timestamp) -> Result<Leased, Broken> {
    let held = world.store.act(lease(receiver, now)).await?;
    held.ok_or_else(|| Broken::from("the receiver was not free"))
}

/// A clock that was a day ahead for a moment, in which somebody was not reached.
pub(crate) async fn whom_a_clock_that_was_ahead_put_off_is_told_at_once(world: &World) -> Checked {
    let scene = world.scene().await?;
    let redeem = RedeemCode {
        listener: Some(scene.client.clone()),
        ..world.redeem(&scene, None)
    };
    world.store.act(redeem).await?;
    let ahead = world.now + DAY;
    let end = EndSession {
        id: scene.session,
        now: ahead,
        horizon: world.horizon() + DAY,
        audit: world.audit("session.end"),
    };
    world.store.act(end).await?;
    let receiver = format!("{CLIENT}{}", scene.client);
    let due = DueReceivers {
        now: world.now,
        limit: 1000,
    };
    let is_due = async || {
        let all = world.store.read(due.clone()).await?;
        Ok::<_, Broken>(all.contains(&receiver))
    };

    let failed = leased(world, &receiver, ahead).await?;
    let put_off = SettleMessages {
        receiver: receiver.clone(),
        fence: failed.fence,
        outcomes: Vec::new(),
        pause: Pause {
            failures: 1,
            next_try: ahead + MINUTE,
        },
        now: ahead,
    };
    world.store.act(put_off).await?;

    check(is_due().await?, "a receiver is left alone for a day")?;
    let again = leased(world, &receiver, world.now).await?;
    same(&again.messages.len(), &1)?;
    check(!is_due().await?, "a lease of now does not hold")
}

fn stream(world: &World, scene: &Scene) -> SignalStream {
    SignalStream {
        id: world.word(),
        client: scene.client.clone(),
        status: StreamStatus::Enabled,
        fetches: false,
        events: Event::SessionRevoked.bit(),
        document: "{}".to_owned(),
        secret: None,
        created: world.now,
        updated: world.now,
    }
}

async fn with_many(world: &World) -> Result<(Scene, SignalStream), Broken> {
    let scene = world.scene().await?;
    let stream = stream(world, &scene);
    let create = CreateStream {
        stream: stream.clone(),
        audit: world.audit("stream.create"),
        now: world.now,
    };
    world.store.act(create).await?;
    for _ in 0..MANY {
        world.store.act(revoke(world, &scene)).await?;
    }
    Ok((scene, stream))
}

/// A stream of a scene's client that is fetched; its receiver.
async fn fetched(world: &World, scene: &Scene) -> Result<String, Broken> {
    let of_access = Event::AccountEnabled.bit() | Event::AccountDisabled.bit();
    let own = SignalStream {
        fetches: true,
        events: Event::SessionRevoked.bit() | of_access,
        ..stream(world, scene)
    };
    let receiver = format!("{STREAM}{}", own.id);
    let create = CreateStream {
        stream: own,
        audit: world.audit("stream.create"),
        now: world.now,
    };
    same(&world.store.act(create).await?, &StreamWritten::Written)?;
    Ok(receiver)
}

fn fetch(world: &World, receiver: &str) -> FetchMessages {
    FetchMessages {
        receiver: receiver.to_owned(),
        taken: Vec::new(),
        refused: Vec::new(),
        limit: MANY + 1,
        now: world.now,
    }
}

/// Refuses what was fetched, and fetches again.
fn refuse(world: &World, receiver: &str, all: &[WaitingMessage]) -> FetchMessages {
    let refusal = |own: &WaitingMessage| Refusal {
        id: own.id,
        reason: "invalid_key",
    };
    FetchMessages {
        refused: all.iter().map(refusal).collect(),
        ..fetch(world, receiver)
    }
}

/// A stream that was called is fetched by now. Until all that waits is held,
/// nothing is sent or fetched that others came before.
pub(crate) async fn a_stream_that_is_told_otherwise_is_told_in_order(world: &World) -> Checked {
    let (_, mut own) = with_many(world).await?;
    let (id, receiver) = (own.id.clone(), format!("{STREAM}{}", own.id));
    own.fetches = true;
    let change = UpdateStream {
        stream: own,
        was: world.now,
        audit: world.audit("stream.update"),
        now: world.now,
    };
    same(&world.store.act(change).await?, &StreamWritten::Written)?;
    let unsettled = async || {
        let all = world.store.read(UnsettledStreams { limit: 1000 }).await?;
        Ok::<_, Broken>(all.contains(&id))
    };

    check(unsettled().await?, "an act moved more than its part")?;
    let sent = leased(world, &receiver, world.now).await?;
    same(&sent.messages.len(), &0)?;
    let early = world.store.read(fetch(world, &receiver)).await?;
    same(&early.len(), &0)?;
    let settle = SettleStream {
        id: id.clone(),
        limit: MANY,
    };
    same(&world.store.act(settle).await?, &10)?;

    check(!unsettled().await?, "a settled stream is found again")?;
    let (mut numbers, mut taken) = (Vec::new(), Vec::new());
    loop {
        let next = FetchMessages {
            taken,
            ..fetch(world, &receiver)
        };
        let heads = world.store.act(next).await?;
        let Some(head) = heads.first() else {
            break;
        };
        check(heads.len() == 1, "two about one person are read at once")?;
        numbers.push(head.number);
        taken = vec![head.id];
    }
    same(&numbers.len(), &(MANY as usize))?;
    check(numbers.is_sorted(), "what waits is not read in order")
}

/// Of a receiver with much that waits nothing is left, and nothing is sent of it
/// meanwhile.
pub(crate) async fn what_waits_for_somebody_who_is_gone_goes_in_parts(world: &World) -> Checked {
    let (scene, own) = with_many(world).await?;
    let receiver = format!("{STREAM}{}", own.id);
    let delete = DeleteStream {
        id: own.id,
        client: scene.client,
        audit: world.audit("stream.delete"),
        now: world.now,
    };

    same(&world.store.act(delete).await?, &StreamWritten::Written)?;

    let due = DueReceivers {
        now: world.now + Duration::from_secs(1),
        limit: 1000,
    };
    let due = world.store.read(due).await?;
    check(!due.contains(&receiver), "somebody who is gone is told")?;
    let held = world.store.act(lease(&receiver, world.now)).await?;
    check(held.is_none(), "somebody who is gone is leased")?;
    let state = OutboxState {
        after: None,
        limit: 1_000_000,
    };
    let lines = world.store.read(state).await?;
    let is_shown = lines.iter().any(|line| line.receiver == receiver);
    check(!is_shown, "somebody who is gone is shown")?;
    let mut gone = 0;
    while let Some(rows) = world.store.act(ForgetGone { limit: 4 }).await? {
        check(rows <= 4, "a part is larger than it may be")?;
        gone += rows;
    }
    same(&gone, &10)
}

/// An answer has no order, so it holds one event of a person. What follows is known
/// to wait, and comes once that was taken or refused.
pub(crate) async fn of_a_person_one_event_is_fetched_at_a_time(world: &World) -> Checked {
    let (scene, other) = (world.scene().await?, world.scene().await?);
    let consent = world.consent(other.person, &scene.client, "openid");
    let agreed = world.store.act(consent).await?;
    check(
        matches!(agreed, Consented::Granted(_)),
        "nothing is granted",
    )?;
    let receiver = fetched(world, &scene).await?;
    let (one, two) = (scene.person, other.person);
    for (person, enabled) in [(one, true), (one, false), (two, true)] {
        let set = SetPersonEnabled {
            id: person,
            enabled,
            audit: world.audit("user.update"),
            now: world.now,
            horizon: world.horizon(),
        };
        world.store.act(set).await?;
    }
    let are = |all: &[WaitingMessage]| -> Vec<_> {
        let said = all.iter().map(|own| &own.message);
        said.map(|own| (own.event, own.person)).collect()
    };
    let more = |than| {
        let act = FetchMessages::more_than(than, receiver.clone());
        world.store.read(act)
    };

    let first = world.store.read(fetch(world, &receiver)).await?;

    let of_other = (Event::AccountEnabled, Some(two));
    let enabled = (Event::AccountEnabled, Some(one));
    same(&are(&first), &vec![enabled, of_other])?;
    check(more(2).await?, "what follows is not known to wait")?;
    let again = world.store.read(fetch(world, &receiver)).await?;
    same(&again, &first)?;
    let taken = FetchMessages {
        taken: vec![first[0].id],
        ..fetch(world, &receiver)
    };
    let second = world.store.act(taken).await?;
    let disabled = (Event::AccountDisabled, Some(one));
    same(&are(&second), &vec![disabled, of_other])?;
    let refused = refuse(world, &receiver, &second);
    let last = world.store.act(refused).await?;
    same(&are(&last), &vec![(Event::SessionRevoked, Some(one))])?;
    check(more(0).await?, "what is read does not wait")?;
    check(!more(1).await?, "something else is said to wait")
}

/// What waited too long by a clock that is ahead keeps its place: by another one it
/// is told still, and what follows would have overtaken it.
pub(crate) async fn by_a_clock_that_is_ahead_nothing_is_fetched_before_its_turn(
    world: &World,
) -> Checked {
    let scene = world.scene().await?;
    let receiver = fetched(world, &scene).await?;
    for _ in 0..2 {
        world.store.act(revoke(world, &scene)).await?;
    }

    let ahead = FetchMessages {
        now: world.now + DAY * 2,
        ..fetch(world, &receiver)
    };
    let ahead = world.store.read(ahead).await?;

    let now = world.store.read(fetch(world, &receiver)).await?;
    same(&ahead, &now)?;
    same(&ahead.len(), &1)
}

/// After a restore, and once a person is gone, nothing that was granted is left: a
/// letter that is offered again would be let go as if it had been taken.
pub(crate) async fn a_letter_of_whom_a_stream_tells_no_more_stays_dead(world: &World) -> Checked {
    let scene = world.scene().await?;
    let receiver = fetched(world, &scene).await?;
    world.store.act(revoke(world, &scene)).await?;
    let waiting = world.store.read(fetch(world, &receiver)).await?;
    let refused = refuse(world, &receiver, &waiting);
    world.store.act(refused).await?;
    let list = ListDeadLetters {
        after: None,
        receiver: Some(receiver.clone()),
        limit: 10,
    };
    let dead = world.store.read(list.clone()).await?;
    same(&dead.len(), &1)?;
    let withdraw = WithdrawGrant {
        id: scene.grant.id,
        now: world.now + MINUTE,
        horizon: world.horizon(),
        audit: world.audit("grant.withdraw"),
    };
    world.store.act(withdraw).await?;
    let retry = RetryDeadLetter {
        number: dead[0].number,
        audit: world.audit("dead_letter.retry"),
        now: world.now + MINUTE,
    };

    let untold = world.store.act(retry.clone()).await?;

    same(&untold, &Retried::Untold)?;
    same(&world.store.read(list).await?, &dead)?;
    let consent = world.consent(scene.person, &scene.client, "openid");
    world.store.act(consent).await?;
    same(&world.store.act(retry).await?, &Retried::Waits)?;
    let back = world.store.read(fetch(world, &receiver)).await?;
    same(&back.len(), &1)?;
    same(&back[0].id, &dead[0].id)
}
