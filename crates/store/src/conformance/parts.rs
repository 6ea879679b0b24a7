//! How what waits for others goes, and is moved, in parts; and that no clock which
//! was ahead keeps anybody from being told.

use std::time::Duration;

use symbolon_protocol::Timestamp;

use super::world::{DAY, MINUTE, Scene, World};
use super::{Broken, Checked, check, same};
use crate::authorization_code::RedeemCode;
use crate::outbox::{
    DueReceivers, FetchMessages, ForgetGone, LeaseReceiver, Leased, OutboxState, Pause,
    SettleMessages, SettleStream, UnsettledStreams,
};
use crate::person::RevokePerson;
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
        let revoke = RevokePerson {
            id: scene.person,
            audit: world.audit("user.revoke"),
            now: world.now,
            horizon: world.horizon(),
        };
        world.store.act(revoke).await?;
    }
    Ok((scene, stream))
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
    let all = world.store.read(fetch(world, &receiver)).await?;
    same(&all.len(), &(MANY as usize))?;
    let is_in_order = all.is_sorted_by_key(|own| own.number);
    check(is_in_order, "what waits is not read in order")
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
