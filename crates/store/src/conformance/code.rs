//! How codes and consents must behave.
//!
//! Spec: RFC 6749 §4.1.2

use symbolon_protocol::{ClientId, OrganizationId};

use super::world::{RACERS, World};
use super::{Broken, Checked, check, same};
use crate::authorization_code::{BurnCode, HangsOn, RedeemCode, Redeemed};
use crate::client::{DeleteClient, RevokeClient, SetClientEnabled};
use crate::feed::read_feed;
use crate::grant::{ClientRow, Consent, Consented, FindGrant, FindGrantById};
use crate::naming::Deleted;
use crate::organization::{CreateOrganization, Organization, SetMember};
use crate::revocation::Target;
use crate::session::EndSession;
use crate::{GrantsOf, GrantsOfClient, SetPersonEnabled, TakeAllBack, WithdrawGrant};

/// One code makes one family, and many who hold it lose it.
pub(crate) async fn of_parallel_redemptions_one_succeeds(world: &World) -> Checked {
    let scene = world.scene().await?;
    let family = world.new_family(&scene);
    let redeem = world.redeem(&scene, Some(family.clone()));

    let outs = world.race(vec![redeem; RACERS]).await?;

    let is_first = |out: &&Redeemed| matches!(out, Redeemed::First { .. });
    same(&outs.iter().filter(is_first).count(), &1)?;
    let again = outs.iter().filter(|out| **out == Redeemed::Again).count();
    same(&again, &(RACERS - 1))?;
    check(
        !world.is_family_live(family.id).await?,
        "the winner's family lives",
    )?;
    let records = world.records(&Target::Family(family.id)).await?;
    same(&records.len(), &1)
}

/// Access tokens name the family even where no refresh token was issued.
pub(crate) async fn a_second_use_is_recorded_even_without_a_refresh_family(
    world: &World,
) -> Checked {
    let scene = world.scene().await?;
    let redeem = world.redeem(&scene, None);
    let commits = world.store.commits();
    world.store.act(redeem.clone()).await?;

    for _ in 0..3 {
        same(&world.store.act(redeem.clone()).await?, &Redeemed::Again)?;
    }

    let records = world.records(&Target::Family(redeem.family)).await?;
    same(&records.len(), &1)?;
    same(&world.store.commits(), &(commits + 2))
}

/// A refusal commits: the code was shown, so it is spent.
pub(crate) async fn a_code_of_a_withdrawn_grant_stays_spent(world: &World) -> Checked {
    let scene = world.scene().await?;
    let redeem = world.redeem(&scene, Some(world.new_family(&scene)));
    let withdraw = WithdrawGrant {
        id: scene.grant.id,
        now: world.now,
        horizon: world.horizon(),
        audit: world.audit("grant.withdraw"),
    };
    world.store.act(withdraw).await?;

    same(
        &world.store.act(redeem.clone()).await?,
        &Redeemed::Withdrawn,
    )?;

    same(&world.store.act(redeem).await?, &Redeemed::Again)
}

/// A burnt code makes nothing; burning one that was used ends what it made.
pub(crate) async fn a_burnt_code_is_spent_and_a_spent_one_ends_its_family(
    world: &World,
) -> Checked {
    let (scene, other) = (world.scene().await?, world.scene().await?);
    let unused = world.redeem(&scene, Some(world.new_family(&scene)));
    let family = world.new_family(&other);
    let used = world.redeem(&other, Some(family.clone()));
    world.store.act(used.clone()).await?;

    world.store.act(BurnCode(unused.clone())).await?;
    world.store.act(BurnCode(used)).await?;

    same(&world.store.act(unused).await?, &Redeemed::Again)?;
    check(
        !world.is_family_live(family.id).await?,
        "the family of a code that was shown again lives",
    )
}

/// A code does not outlive the sign-in that it came from.
pub(crate) async fn a_code_of_an_ended_session_is_worth_nothing(world: &World) -> Checked {
    let scene = world.scene().await?;
    let redeem = world.redeem(&scene, Some(world.new_family(&scene)));
    let end = EndSession {
        id: scene.session,
        now: world.now,
        horizon: world.horizon(),
        audit: world.audit("session.end"),
    };
    world.store.act(end).await?;
    let without = RedeemCode {
        code: world.bytes(),
        session: None,
        ..redeem.clone()
    };

    same(&world.store.act(redeem).await?, &Redeemed::Withdrawn)?;
    check(
        matches!(world.store.act(without).await?, Redeemed::First { .. }),
        "a code without a session was refused",
    )
}

/// Nor its person.
pub(crate) async fn a_code_of_a_disabled_person_is_worth_nothing(world: &World) -> Checked {
    let scene = world.scene().await?;
    let redeem = RedeemCode {
        session: None,
        ..world.redeem(&scene, None)
    };
    let disable = SetPersonEnabled {
        id: scene.person,
        enabled: false,
        audit: world.audit("user.disable"),
        now: world.now,
        horizon: world.horizon(),
    };
    world.store.act(disable).await?;

    same(&world.store.act(redeem).await?, &Redeemed::Withdrawn)
}

/// A family that is opened behind what took all of a client or of a member back
/// would outlive the record: none is.
pub(crate) async fn a_code_of_before_its_client_or_member_was_taken_back_opens_nothing(
    world: &World,
) -> Checked {
    let scene = world.scene().await?;
    let organization: OrganizationId = format!("org-{}", world.word())
        .parse()
        .map_err(|_| Broken::from("an id"))?;
    let before = world.redeem(&scene, Some(world.new_family(&scene)));
    let as_member = RedeemCode {
        code: world.bytes(),
        new_family: Some(world.new_family(&scene)),
        hangs_on: HangsOn {
            membership: Some((organization.clone(), scene.person)),
            ..before.hangs_on.clone()
        },
        ..before.clone()
    };
    let create = CreateOrganization {
        organization: Organization {
            id: organization.clone(),
            name: "Acme".to_owned(),
            enabled: true,
        },
        audit: world.audit("organization.create"),
        now: world.now,
    };
    world.store.act(create).await?;
    let set = |roles: &[&str]| SetMember {
        organization: organization.clone(),
        person: scene.person,
        roles: roles.iter().map(|own| (*own).to_owned()).collect(),
        audit: world.audit("organization.member"),
        now: world.now,
        horizon: world.horizon(),
    };
    world.store.act(set(&["buyer"])).await?;
    world.store.act(set(&[])).await?;

    same(&world.store.act(as_member).await?, &Redeemed::Withdrawn)?;
    let revoke = RevokeClient {
        id: scene.client.clone(),
        audit: world.audit("client.revoke"),
        now: world.now,
        horizon: world.horizon(),
    };
    world.store.act(revoke).await?;

    same(
        &world.store.act(before.clone()).await?,
        &Redeemed::Withdrawn,
    )?;
    let after = RedeemCode {
        code: world.bytes(),
        hangs_on: HangsOn {
            since: world.feed(None).await?.head,
            ..before.hangs_on.clone()
        },
        ..before
    };
    check(
        matches!(world.store.act(after).await?, Redeemed::First { .. }),
        "a code of afterwards opens nothing",
    )
}

/// A merge of what somebody else has changed meanwhile is not written.
pub(crate) async fn consent_widens_the_live_grant_only_as_it_was_read(world: &World) -> Checked {
    let scene = world.scene().await?;
    let stale = world.consent(scene.person, &scene.client, "openid");
    same(&world.store.act(stale).await?, &Consented::Changed)?;
    let wider = Consent {
        former: Some(scene.grant.clone()),
        ..world.consent(
            scene.person,
            &scene.client,
            "openid read:orders write:orders",
        )
    };

    let Consented::Granted(grant) = world.store.act(wider.clone()).await? else {
        return Err(Broken::from("a merge as read was refused"));
    };

    same(&grant.id, &scene.grant.id)?;
    check(
        grant.updated > scene.grant.updated,
        "the version stood still",
    )?;
    same(&world.store.act(wider).await?, &Consented::Changed)?;
    let find = FindGrant {
        person: scene.person,
        client: scene.client.clone(),
        organization: None,
    };
    same(&world.store.read(find).await?, &Some(grant))
}

/// Whoever takes everything back has taken back what is agreed to in a session
/// that has ended by it, however late that is written.
pub(crate) async fn nothing_is_agreed_to_in_a_session_that_has_ended(world: &World) -> Checked {
    let scene = world.scene().await?;
    let other = world.client()?;
    let id = other.client.id.clone();
    world.store.act(other).await?;
    let consent = |session| Consent {
        session: Some(session),
        ..world.consent(scene.person, &id, "openid")
    };
    let end = TakeAllBack {
        id: scene.person,
        audit: world.audit("user.take_all_back"),
        now: world.now,
        horizon: world.horizon(),
    };
    world.store.act(end).await?;

    let late = world.store.act(consent(scene.session)).await?;

    same(&late, &Consented::SignedOut)?;
    let grants = GrantsOf {
        person: scene.person,
    };
    same(&world.store.read(grants).await?.len(), &0)?;
    let open = world.session(scene.person);
    let anew = consent(open.id);
    world.store.act(open).await?;
    let granted = world.store.act(anew).await?;
    check(
        matches!(granted, Consented::Granted(_)),
        "nothing is agreed to in a session that lives",
    )
}

/// What a person no longer agrees to dies with the grant that held it.
pub(crate) async fn a_consent_to_less_ends_what_came_of_more(world: &World) -> Checked {
    let scene = world.scene().await?;
    let family = world.family(&scene).await?;
    let less = Consent {
        former: Some(scene.grant.clone()),
        ..world.consent(scene.person, &scene.client, "openid")
    };

    let Consented::Granted(grant) = world.store.act(less.clone()).await? else {
        return Err(Broken::from("a merge as read was refused"));
    };

    check(grant.id != scene.grant.id, "the grant kept its id")?;
    check(
        !world.is_family_live(family.id).await?,
        "a family of the wider grant lives",
    )?;
    let old = FindGrantById { id: scene.grant.id };
    let withdrawn = world.store.read(old).await?.and_then(|old| old.withdrawn);
    same(&withdrawn, &Some(world.now))?;
    let feed = read_feed(&world.store, None).await?;
    let gone = Target::Grant(scene.grant.id);
    check(
        feed.revocations.iter().any(|own| own.target == gone),
        "no record names the wider grant",
    )?;
    same(&world.store.act(less).await?, &Consented::Changed)
}

/// At most one grant lives between a person and a client.
pub(crate) async fn of_parallel_consents_one_makes_the_grant(world: &World) -> Checked {
    let scene = world.scene().await?;
    let create = world.client()?;
    let client = create.client.id.clone();
    world.store.act(create).await?;
    let consents = (0..RACERS).map(|_| world.consent(scene.person, &client, "openid"));

    let outs = world.race(consents.collect::<Vec<_>>()).await?;

    let changed = outs.iter().filter(|out| **out == Consented::Changed);
    same(&changed.count(), &(RACERS - 1))
}

fn deletion(world: &World, id: &ClientId) -> DeleteClient {
    DeleteClient {
        id: id.clone(),
        audit: world.audit("client.delete"),
        now: world.now,
        horizon: world.horizon(),
    }
}

/// Whoever is asked while a client is stopped or deleted agrees to nothing.
pub(crate) async fn nothing_is_agreed_to_with_a_client_that_is_gone(world: &World) -> Checked {
    let scene = world.scene().await?;
    let create = world.client()?;
    let id = create.client.id.clone();
    let consent = Consent {
        client_row: ClientRow::Required,
        ..world.consent(scene.person, &id, "openid")
    };
    world.store.act(create).await?;
    let disable = SetClientEnabled {
        id: id.clone(),
        enabled: false,
        audit: world.audit("client.disable"),
        now: world.now,
        horizon: world.horizon(),
    };
    world.store.act(disable).await?;

    let stopped = world.store.act(consent.clone()).await?;
    world.store.act(deletion(world, &id)).await?;
    let deleted = world.store.act(consent.clone()).await?;

    same(
        &(stopped, deleted),
        &(Consented::NoClient, Consented::NoClient),
    )?;
    let described = Consent {
        client_row: ClientRow::Optional,
        ..consent
    };
    let granted = world.store.act(described).await?;
    check(
        matches!(granted, Consented::Granted(_)),
        "a client without a row that describes itself is refused",
    )
}

/// A consent and the end of its client at once: whichever is first.
pub(crate) async fn no_grant_outlives_a_client_that_is_deleted_meanwhile(world: &World) -> Checked {
    let scene = world.scene().await?;
    for _ in 0..10 {
        let create = world.client()?;
        let id = create.client.id.clone();
        world.store.act(create).await?;
        let consent = Consent {
            client_row: ClientRow::Required,
            ..world.consent(scene.person, &id, "openid")
        };

        let (agreed, deleted) = tokio::join!(
            world.store.act(consent),
            world.store.act(deletion(world, &id)),
        );

        same(&deleted?, &Deleted::Deleted)?;
        agreed?;
        let grants = GrantsOfClient {
            client: id,
            after: None,
            limit: 10,
        };
        same(&world.store.read(grants).await?.len(), &0)?;
    }
    Ok(())
}
