//! How refresh families must behave.
//!
//! Spec: RFC 9700 §4.14.2

use std::time::Duration;

use super::world::{DAY, MINUTE, RACERS, World};
use super::{Broken, Checked, check, same};
use crate::feed::read_feed;
use crate::refresh_family::{EndFamily, Live, NewFamily, Renew, RevokeFamily, Rotate, Rotated};
use crate::revocation::Target;
use crate::session::{EndSession, Ended, MAX_UNENDED, OpenSession, SessionsOf};
use crate::{AuditFilter, FindFamily, FindWhoSignsIn, ListAudit, SetPassword, WithdrawGrant};

async fn family(world: &World) -> Result<NewFamily, Broken> {
    world.family(&world.scene().await?).await
}

fn to(rotated: Rotated) -> Result<Live, Broken> {
    match rotated {
        Rotated::To(live) => Ok(live),
        other => Err(Broken(format!("a rotation was {other:?}"))),
    }
}

/// Many who show one token at once are answered with one successor.
pub(crate) async fn parallel_refreshes_of_one_token_get_one_successor(world: &World) -> Checked {
    let family = family(world).await?;
    let rotate = world.rotate(&family);

    let outs = world.race(vec![rotate; RACERS]).await?;

    let rotations = outs.iter().filter(|out| matches!(out, Rotated::To(_)));
    same(&rotations.count(), &1)?;
    for out in outs {
        let (Rotated::To(live) | Rotated::Same(live)) = out else {
            return Err(Broken(format!("one of many was {out:?}")));
        };
        same(&(live.generation, live.key), &(2, 2))?;
        same(&live.authority.document, &family.document)?;
    }
    Ok(())
}

/// A client that lost the answer asks again and gets the same one.
pub(crate) async fn a_retry_within_grace_gets_the_same_successor(world: &World) -> Checked {
    let family = family(world).await?;
    let rotate = world.rotate(&family);
    let first = to(world.store.act(rotate.clone()).await?)?;

    let retry = Rotate {
        // Another node would derive under another key; the row's key wins.
        key: 3,
        next: world.bytes(),
        now: rotate.now + MINUTE,
        ..rotate
    };
    let again = world.store.act(retry).await?;

    same(&again, &Rotated::Same(first))
}

/// After grace the old token proves that two hold it.
pub(crate) async fn a_replay_after_grace_is_theft(world: &World) -> Checked {
    let family = family(world).await?;
    let rotate = world.rotate(&family);
    to(world.store.act(rotate.clone()).await?)?;

    let replay = Rotate {
        now: rotate.now + MINUTE * 2,
        ..rotate
    };
    let theft = world.store.act(replay.clone()).await?;

    same(&theft, &Rotated::Theft { family: family.id })?;
    check(
        !world.is_family_live(family.id).await?,
        "the family outlived its theft",
    )?;
    let records = world.records(&Target::Family(family.id)).await?;
    same(&records.len(), &1)?;
    let audit = world.store.read(ListAudit {
        after: None,
        limit: 100_000,
        filter: AuditFilter {
            action: Some("refresh.theft".to_owned()),
            ..AuditFilter::default()
        },
    });
    let told = audit
        .await?
        .into_iter()
        .any(|entry| entry.place.at == replay.now && entry.detail["since_rotation_ms"] == 120_000);
    check(told, "a theft left no audit row")?;
    same(&world.store.act(replay).await?, &Rotated::Ended)
}

/// Once the successor was shown, its predecessor has no grace left.
pub(crate) async fn a_predecessor_of_a_used_successor_is_theft(world: &World) -> Checked {
    let family = family(world).await?;
    let first = world.rotate(&family);
    to(world.store.act(first.clone()).await?)?;
    let second = Rotate {
        generation: 2,
        presented: first.next,
        next: world.bytes(),
        ..first.clone()
    };
    same(&to(world.store.act(second).await?)?.generation, &3)?;

    let theft = world.store.act(first).await?;

    same(&theft, &Rotated::Theft { family: family.id })
}

/// A token in the wrong hands harms neither its owner nor the family.
pub(crate) async fn another_client_changes_nothing(world: &World) -> Checked {
    let family = family(world).await?;
    let rotate = world.rotate(&family);
    let other = Rotate {
        client: world.client()?.client.id,
        ..rotate.clone()
    };
    let commits = world.store.commits();

    same(&world.store.act(other).await?, &Rotated::OtherClient)?;

    same(&world.store.commits(), &commits)?;
    same(&to(world.store.act(rotate).await?)?.generation, &2)
}

/// The idle end moves with each refresh, and never past the absolute end.
pub(crate) async fn a_family_ends_at_its_idle_and_absolute_end(world: &World) -> Checked {
    let family = family(world).await?;
    let rotate = world.rotate(&family);
    let late = Rotate {
        now: family.idle_ends,
        ..rotate.clone()
    };
    same(&world.store.act(late).await?, &Rotated::Ended)?;

    let far = Rotate {
        idle_ends: family.absolute_ends + DAY,
        ..rotate.clone()
    };
    let live = to(world.store.act(far).await?)?;

    same(&live.idle_ends, &family.absolute_ends)?;
    let over = Rotate {
        generation: 2,
        presented: rotate.next,
        now: family.absolute_ends,
        ..rotate
    };
    same(&world.store.act(over).await?, &Rotated::Ended)
}

/// Ending twice is one record; another client cannot end it.
pub(crate) async fn a_family_is_ended_once(world: &World) -> Checked {
    let family = family(world).await?;
    let end = EndFamily {
        id: family.id,
        client: Some(family.client.clone()),
        now: world.now,
        horizon: world.horizon(),
        audit: world.audit("family.end"),
    };
    let strange = EndFamily {
        client: Some(world.client()?.client.id),
        ..end.clone()
    };
    same(&world.store.act(strange).await?, &Ended::Missing)?;

    let outs = world.race(vec![end; RACERS]).await?;

    let ended = outs.iter().filter(|out| **out == Ended::Ended).count();
    same(&ended, &1)?;
    same(&world.records(&Target::Family(family.id)).await?.len(), &1)?;
    let rotate = world.rotate(&family);
    same(&world.store.act(rotate).await?, &Rotated::Ended)
}

/// A family without a refresh token has no row, and tokens that name it.
pub(crate) async fn a_family_without_a_row_is_recorded_once(world: &World) -> Checked {
    let held = family(world).await?;
    let revoke = RevokeFamily {
        id: world.id(world.slot()),
        now: world.now,
        horizon: world.horizon(),
        audit: world.audit("family.end"),
    };
    let of_held = RevokeFamily {
        id: held.id,
        ..revoke.clone()
    };

    for act in [revoke, of_held] {
        let target = Target::Family(act.id);
        same(&world.store.act(act.clone()).await?, &Ended::Ended)?;
        same(&world.store.act(act).await?, &Ended::Missing)?;
        same(&world.records(&target).await?.len(), &1)?;
    }
    let rotate = world.rotate(&held);
    same(&world.store.act(rotate).await?, &Rotated::Ended)
}

/// A token that does not rotate costs a write at most once a minute.
pub(crate) async fn renewing_writes_at_most_once_a_minute(world: &World) -> Checked {
    let family = family(world).await?;
    let renew = Renew {
        family: family.id,
        generation: crate::FIRST_GENERATION,
        presented: family.current,
        client: family.client.clone(),
        idle_ends: family.idle_ends + MINUTE,
        grace_ms: 90_000,
        proof: None,
        horizon: world.horizon(),
        audit: world.audit("refresh.theft"),
        now: world.now + MINUTE,
    };
    let commits = world.store.commits();

    for seconds in [0, 10, 59] {
        let more = std::time::Duration::from_secs(seconds);
        let renew = Renew {
            idle_ends: renew.idle_ends + more,
            now: renew.now + more,
            ..renew.clone()
        };
        let out = world.store.act(renew).await?;
        check(matches!(out, Rotated::Same(_)), "a renewal was refused")?;
    }

    same(&world.store.commits(), &(commits + 1))?;
    let found = world.store.read(FindFamily { id: family.id }).await?;
    let idle_ends = found.map(|family| family.idle_ends);
    same(&idle_ends, &Some(family.idle_ends + MINUTE))
}

/// What the person takes back is gone at the next refresh.
pub(crate) async fn a_withdrawn_grant_ends_its_families(world: &World) -> Checked {
    let scene = world.scene().await?;
    let family = world.family(&scene).await?;
    let withdraw = WithdrawGrant {
        id: scene.grant.id,
        now: world.now,
        horizon: world.horizon(),
        audit: world.audit("grant.withdraw"),
    };

    same(&world.store.act(withdraw.clone()).await?, &Ended::Ended)?;

    same(&world.store.act(withdraw).await?, &Ended::Missing)?;
    let rotate = world.rotate(&family);
    same(&world.store.act(rotate).await?, &Rotated::Ended)?;
    let records = world.records(&Target::Grant(scene.grant.id)).await?;
    same(&records.len(), &1)
}

/// Logging out ends what hangs on the session and leaves the rest.
pub(crate) async fn a_session_ends_only_families_that_hang_on_it(world: &World) -> Checked {
    let scene = world.scene().await?;
    let lasting = world.family(&scene).await?;
    let mut hanging = world.new_family(&scene);
    hanging.session = Some(scene.session);
    let redeem = world.redeem(&scene, Some(hanging.clone()));
    world.store.act(redeem).await?;

    let end = EndSession {
        id: scene.session,
        now: world.now,
        horizon: world.horizon(),
        audit: world.audit("session.end"),
    };
    same(&world.store.act(end.clone()).await?, &Ended::Ended)?;

    same(&world.store.act(end).await?, &Ended::Missing)?;
    let rotate = world.rotate(&hanging);
    same(&world.store.act(rotate).await?, &Rotated::Ended)?;
    to(world.store.act(world.rotate(&lasting)).await?)?;
    Ok(())
}

/// Whoever has a password opens no number of sessions: the new one stays.
pub(crate) async fn sessions_beyond_the_most_end_with_the_oldest(world: &World) -> Checked {
    let create = world.person_named(&world.word());
    let person = create.person.id;
    world.store.act(create).await?;
    let mut opened = Vec::new();
    for minute in 0..4 {
        let open = OpenSession {
            most: 3,
            now: world.now + MINUTE * minute,
            ..world.session(person)
        };
        opened.push(open.id);
        world.store.act(open).await?;
    }

    let live = world.store.read(SessionsOf { person }).await?;

    let live: Vec<_> = live.into_iter().map(|session| session.id).collect();
    same(&live, &opened[1..].to_vec())?;
    let feed = read_feed(&world.store, None).await?;
    let gone = Target::Session(opened[0]);
    check(
        feed.revocations.iter().any(|own| own.target == gone),
        "no record names the session that ended",
    )
}

/// Whoever signs in anew each time a session went idle has no number of them either.
pub(crate) async fn sessions_that_went_idle_are_bounded_too(world: &World) -> Checked {
    let create = world.person_named(&world.word());
    let person = create.person.id;
    world.store.act(create).await?;
    let mut opened = Vec::new();
    for second in 0..=MAX_UNENDED {
        let now = world.now + Duration::from_secs(1) * second;
        let open = OpenSession {
            now,
            idle_ends: now + Duration::from_millis(1),
            most: 3,
            ..world.session(person)
        };
        opened.push(open.id);
        world.store.act(open).await?;
    }

    let left = world.store.read(SessionsOf { person }).await?;

    let left: Vec<_> = left.into_iter().map(|session| session.id).collect();
    same(&left, &opened[1..].to_vec())
}

/// Whoever was shown to have the old password while it was changed has shown
/// nothing, however late their session is written.
pub(crate) async fn a_session_is_not_opened_on_what_was_taken_back_since(world: &World) -> Checked {
    let name = world.word();
    let create = world.person_named(&name);
    let person = create.person.id;
    world.store.act(create).await?;
    let seen = async || {
        let find = FindWhoSignsIn { name: name.clone() };
        let found = world.store.read(find).await?;
        let found = found.ok_or(Broken::from("nobody signs in under the name"))?;
        Ok::<_, Broken>(found.1)
    };
    let early = seen().await?;
    let act = SetPassword {
        id: person,
        phc: Some("$argon2id$another".to_owned()),
        audit: world.audit("user.set_password"),
        now: world.now,
        horizon: world.horizon(),
    };
    world.store.act(act).await?;

    let overtaken = OpenSession {
        seen: early,
        ..world.session(person)
    };
    let in_time = OpenSession {
        seen: seen().await?,
        ..world.session(person)
    };
    let opened = in_time.id;

    same(&world.store.act(overtaken).await?, &None)?;
    check(
        world.store.act(in_time).await?.is_some(),
        "a session was not opened on what is so now",
    )?;
    let live = world.store.read(SessionsOf { person }).await?;
    let live: Vec<_> = live.into_iter().map(|session| session.id).collect();
    same(&live, &vec![opened])
}
