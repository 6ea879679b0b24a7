//! How the lives of tokens must be noted.

use std::time::Duration;

use symbolon_protocol::{Lifetime, Resource, Timestamp};

use super::administration::identifier;
use super::world::{DAY, World};
use super::{Broken, Checked, same};
use crate::resource::{CreateResource, UpdateResource};
use crate::token_life::{NOTED_AHEAD, NoteTokenLife, TokenLives};

/// When the last token of a life has ended, where it is noted.
async fn noted(world: &World, life: Lifetime) -> Result<Option<Timestamp>, Broken> {
    let lives = world.store.read(TokenLives).await?;
    let own = lives.into_iter().find(|own| own.life == life);
    Ok(own.map(|own| own.ends))
}

/// What a resource said before holds for what was issued before.
pub(crate) async fn a_lifetime_that_is_lowered_stays_noted(world: &World) -> Checked {
    let (long, short) = (Lifetime::seconds(86_401), Lifetime::seconds(301));
    let mut resource = Resource::new(identifier(world)?);
    resource.access_token_lifetime = Some(long);
    let create = CreateResource {
        resource: resource.clone(),
        audit: world.audit("resource.create"),
        now: world.now,
    };
    world.store.act(create).await?;
    let ends = world.now + long.duration() + NOTED_AHEAD;
    same(&noted(world, long).await?, &Some(ends))?;

    resource.access_token_lifetime = Some(short);
    let lower = UpdateResource {
        resource,
        was: None,
        audit: world.audit("resource.update"),
        now: world.now + DAY,
    };
    world.store.act(lower).await?;

    same(&noted(world, long).await?, &Some(ends + DAY))?;
    same(&noted(world, short).await?, &None)
}

/// A node whose clock is behind takes nothing back, and what has ended by a time
/// that has surely come is forgotten.
pub(crate) async fn a_life_is_noted_until_its_last_token_has_ended(world: &World) -> Checked {
    let life = Lifetime::seconds(86_402);
    let note = |now: Timestamp| NoteTokenLife {
        life,
        now,
        sure: world.now,
    };
    world.store.act(note(world.now)).await?;
    world.store.act(note(world.now - DAY)).await?;
    let ends = world.now + life.duration() + NOTED_AHEAD;
    same(&noted(world, life).await?, &Some(ends))?;

    let other = |sure| NoteTokenLife {
        life: Lifetime::seconds(1),
        now: ends,
        sure,
    };
    world.store.act(other(ends)).await?;
    same(&noted(world, life).await?, &Some(ends))?;
    let after = ends + Duration::from_millis(1);
    world.store.act(other(after)).await?;

    same(&noted(world, life).await?, &None)
}
