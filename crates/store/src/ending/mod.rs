//! What ends together: families with their grant, their session, their person,
//! their client, their organization, and API keys with whoever they act for.
//! Each is part of a larger act; where there is a great many, `many` ends them
//! part by part.

pub(crate) mod many;

use symbolon_protocol::{ClientId, OrganizationId, Timestamp};
use symbolon_token::{Grant, Id, Person, Session};

use crate::act::Tx;
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::statements;

pub use many::{EndPart, HasLeft, HasMany, MANY, Whole};

statements! {
    FAMILIES_OF_GRANT = "UPDATE family SET ended = ?3 WHERE slot = ?1 AND ended IS NULL AND id IN
        (SELECT id FROM family_authority WHERE slot = ?1 AND grant_id = ?2)";
    FAMILIES_OF_SESSION = "UPDATE family SET ended = ?3 WHERE slot = ?1 AND ended IS NULL AND id IN
        (SELECT id FROM family_authority WHERE slot = ?1 AND session_id = ?2)";
    FAMILIES_OF_PERSON = "UPDATE family SET ended = ?3 WHERE slot = ?1 AND ended IS NULL AND id IN
        (SELECT a.id FROM grants g {by_grantor}
            JOIN family_authority a {by_grant} ON a.slot = g.slot AND a.grant_id = g.id
            WHERE g.slot = ?1 AND g.person = ?2 AND g.withdrawn IS NULL)";
    SESSIONS_OF_PERSON = "UPDATE session {by_person} SET ended = ?3
        WHERE slot = ?1 AND person = ?2 AND ended IS NULL";
    GRANTS_OF_PERSON = "UPDATE grants {by_grantor} SET withdrawn = ?3
        WHERE slot = ?1 AND person = ?2 AND withdrawn IS NULL";
    GRANTS_OF_CLIENT = "UPDATE grants SET withdrawn = ?2 WHERE client = ?1 AND withdrawn IS NULL";
    FAMILIES_OF_CLIENT = "UPDATE family SET ended = ?2 WHERE ended IS NULL AND (slot, id) IN
        (SELECT a.slot, a.id FROM grants g
            JOIN family_authority a ON a.slot = g.slot AND a.grant_id = g.id
            WHERE g.client = ?1)";
    GRANTS_OF_ORGANIZATION = "UPDATE grants SET withdrawn = ?2
        WHERE organization = ?1 AND organization <> '' AND withdrawn IS NULL";
    FAMILIES_OF_ORGANIZATION = "UPDATE family SET ended = ?2 WHERE ended IS NULL AND (slot, id) IN
        (SELECT a.slot, a.id FROM grants g
            JOIN family_authority a ON a.slot = g.slot AND a.grant_id = g.id
            WHERE g.organization = ?1 AND g.organization <> '')";
    KEYS_OF_PERSON = "UPDATE api_key {by_key_person} SET revoked = ?3
        WHERE slot = ?1 AND person = ?2 AND revoked IS NULL";
    KEYS_OF_CLIENT = "UPDATE api_key SET revoked = ?2 WHERE client = ?1 AND revoked IS NULL";
    KEYS_OF_ORGANIZATION = "UPDATE api_key SET revoked = ?2
        WHERE organization = ?1 AND organization <> '' AND revoked IS NULL";
    KEYS_OF_MEMBER = "UPDATE api_key {by_key_person} SET revoked = ?4
        WHERE slot = ?1 AND person = ?2 AND organization = ?3 AND revoked IS NULL";
    FAMILIES_OF_MEMBER = "UPDATE family SET ended = ?4 WHERE slot = ?1 AND ended IS NULL AND id IN
        (SELECT a.id FROM grants g {by_grantor}
            JOIN family_authority a {by_grant} ON a.slot = g.slot AND a.grant_id = g.id
            WHERE g.slot = ?1 AND g.person = ?2 AND g.organization = ?3
                AND g.withdrawn IS NULL)";
}

pub(crate) async fn families_of_grant(
    tx: &mut Tx<'_>,
    grant: &Id<Grant>,
    now: Timestamp,
) -> Result<(), Fault> {
    tx.run(&FAMILIES_OF_GRANT, binds![grant.slot(), grant, now])
        .await?;
    Ok(())
}

pub(crate) async fn families_of_session(
    tx: &mut Tx<'_>,
    session: &Id<Session>,
    now: Timestamp,
) -> Result<(), Fault> {
    tx.run(&FAMILIES_OF_SESSION, binds![session.slot(), session, now])
        .await?;
    Ok(())
}

/// Ends every session, family and API key of a person. Grants stay: they say what the
/// person allowed, not that the person is there.
pub(crate) async fn presence_of_person(
    tx: &mut Tx<'_>,
    person: &Id<Person>,
    now: Timestamp,
) -> Result<(), Fault> {
    let binds = binds![person.slot(), person, now];
    tx.run(&SESSIONS_OF_PERSON, binds).await?;
    tx.run(&FAMILIES_OF_PERSON, binds).await?;
    tx.run(&KEYS_OF_PERSON, binds).await?;
    Ok(())
}

/// Withdraws every grant of a person whose families have ended.
pub(crate) async fn grants_of_person(
    tx: &mut Tx<'_>,
    person: &Id<Person>,
    now: Timestamp,
) -> Result<(), Fault> {
    tx.run(&GRANTS_OF_PERSON, binds![person.slot(), person, now])
        .await?;
    Ok(())
}

/// Ends every family and API key of a client, unless it has a great many.
pub(crate) async fn families_of_client(
    tx: &mut Tx<'_>,
    client: &ClientId,
    now: Timestamp,
) -> Result<(), Fault> {
    if many::has_many(tx, &Whole::Client(client.clone())).await? {
        return Ok(());
    }
    all_families_of_client(tx, client, now).await
}

async fn all_families_of_client(
    tx: &mut Tx<'_>,
    client: &ClientId,
    now: Timestamp,
) -> Result<(), Fault> {
    let binds = binds![client.as_str(), now];
    tx.run(&FAMILIES_OF_CLIENT, binds).await?;
    tx.run(&KEYS_OF_CLIENT, binds).await?;
    Ok(())
}

/// Withdraws every grant of a client and ends its families, unless it has a
/// great many.
pub(crate) async fn grants_of_client(
    tx: &mut Tx<'_>,
    client: &ClientId,
    now: Timestamp,
) -> Result<(), Fault> {
    if many::has_many(tx, &Whole::Client(client.clone())).await? {
        return Ok(());
    }
    tx.run(&GRANTS_OF_CLIENT, binds![client.as_str(), now])
        .await?;
    all_families_of_client(tx, client, now).await
}

/// Ends every family and API key that acts for an organization, unless there is
/// a great many.
pub(crate) async fn families_of_organization(
    tx: &mut Tx<'_>,
    organization: &OrganizationId,
    now: Timestamp,
) -> Result<(), Fault> {
    if many::has_many(tx, &Whole::Organization(organization.clone())).await? {
        return Ok(());
    }
    all_families_of_organization(tx, organization, now).await
}

async fn all_families_of_organization(
    tx: &mut Tx<'_>,
    organization: &OrganizationId,
    now: Timestamp,
) -> Result<(), Fault> {
    let binds = binds![organization.as_str(), now];
    tx.run(&FAMILIES_OF_ORGANIZATION, binds).await?;
    tx.run(&KEYS_OF_ORGANIZATION, binds).await?;
    Ok(())
}

/// Withdraws every grant for an organization and ends its families, unless there
/// is a great many.
pub(crate) async fn grants_of_organization(
    tx: &mut Tx<'_>,
    organization: &OrganizationId,
    now: Timestamp,
) -> Result<(), Fault> {
    if many::has_many(tx, &Whole::Organization(organization.clone())).await? {
        return Ok(());
    }
    tx.run(&GRANTS_OF_ORGANIZATION, binds![organization.as_str(), now])
        .await?;
    all_families_of_organization(tx, organization, now).await
}

/// Ends the families and API keys that act for an organization on behalf of one
/// member.
pub(crate) async fn families_of_member(
    tx: &mut Tx<'_>,
    organization: &OrganizationId,
    person: &Id<Person>,
    now: Timestamp,
) -> Result<(), Fault> {
    let binds = binds![person.slot(), person, organization.as_str(), now];
    tx.run(&FAMILIES_OF_MEMBER, binds).await?;
    tx.run(&KEYS_OF_MEMBER, binds).await?;
    Ok(())
}
