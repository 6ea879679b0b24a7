//! Trusted issuers: a document under the issuer's own identifier.
//!
//! Spec: RFC 7521 §7

use symbolon_protocol::{ForeignIssuer, Timestamp, TrustedIssuer};

use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::client::{Created, Updated};
use crate::fault::Fault;
use crate::feed;
use crate::naming;
use crate::revocation::{self, Target};
use crate::row::{Row, document};
use crate::statement::statements;

/// A trusted issuer as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTrustedIssuer {
    /// What was registered.
    pub issuer: TrustedIssuer,
    /// Whether it is trusted now.
    pub trusted: bool,
    /// When it was created.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
}

/// Creates a trusted issuer.
#[derive(Clone, Debug)]
pub struct CreateTrustedIssuer {
    /// The issuer.
    pub issuer: TrustedIssuer,
    /// Whether it is trusted from the start.
    pub trusted: bool,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Replaces an issuer's document.
#[derive(Clone, Debug)]
pub struct UpdateTrustedIssuer {
    /// The issuer.
    pub issuer: TrustedIssuer,
    /// What the document was made from, where it was: if somebody else has
    /// changed the issuer since, nothing is written.
    pub was: Option<TrustedIssuer>,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Trusts an issuer again, or no more: then all that came of its JWTs dies.
#[derive(Clone, Debug)]
pub struct SetIssuerTrusted {
    /// The issuer.
    pub issuer: ForeignIssuer,
    /// Whether it is trusted.
    pub trusted: bool,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token that came of it has expired.
    pub horizon: Timestamp,
}

/// Takes back all that came of an issuer's JWTs so far. Whether it is trusted
/// stays as it is.
#[derive(Clone, Debug)]
pub struct RevokeTrustedIssuer {
    /// The issuer.
    pub issuer: ForeignIssuer,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token that came of it has expired.
    pub horizon: Timestamp,
}

/// Deletes an issuer; all that came of its JWTs dies.
#[derive(Clone, Debug)]
pub struct DeleteTrustedIssuer {
    /// The issuer.
    pub issuer: ForeignIssuer,
    /// What to write down.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
    /// When the last token that came of it has expired.
    pub horizon: Timestamp,
}

/// Finds an issuer, trusted or not.
#[derive(Clone, Debug)]
pub struct FindTrustedIssuer {
    /// The issuer.
    pub issuer: ForeignIssuer,
}

/// Lists issuers by identifier.
#[derive(Clone, Debug)]
pub struct ListTrustedIssuers {
    /// The last one that was read.
    pub after: Option<ForeignIssuer>,
    /// At most how many.
    pub limit: u32,
}

/// Reads every issuer: they are few.
#[derive(Clone, Copy, Debug)]
pub struct AllTrustedIssuers;

statements! {
    CREATE = "INSERT INTO trusted_issuer (issuer, document, trusted, created, updated)
        VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT DO NOTHING";
    UPDATE = "UPDATE trusted_issuer SET document = ?2, updated = ?3 WHERE issuer = ?1";
    CURRENT = "SELECT document FROM trusted_issuer WHERE issuer = ?1 {for_update}";
    TOUCH = "UPDATE trusted_issuer SET updated = ?2 WHERE issuer = ?1";
    SET_TRUSTED = "UPDATE trusted_issuer SET trusted = ?2, updated = ?3 WHERE issuer = ?1";
    DELETE = "DELETE FROM trusted_issuer WHERE issuer = ?1";
    FIND = "SELECT document, trusted, created, updated FROM trusted_issuer WHERE issuer = ?1";
    LIST = "SELECT document, trusted, created, updated FROM trusted_issuer
        WHERE issuer > ?1 ORDER BY issuer LIMIT ?2";
    ALL = "SELECT document, trusted, created, updated FROM trusted_issuer ORDER BY issuer";
}

fn read(row: &Row) -> Result<StoredTrustedIssuer, Fault> {
    Ok(StoredTrustedIssuer {
        issuer: row.json(0)?,
        trusted: row.flag(1)?,
        created: row.time(2)?,
        updated: row.time(3)?,
    })
}

impl Act for CreateTrustedIssuer {
    type Out = Created;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Created, Fault> {
        let (name, document) = (self.issuer.issuer.as_str(), document(&self.issuer)?);
        if !naming::has_organization(tx, self.issuer.organization.as_ref()).await? {
            return Ok(Created::Changed);
        }
        let binds = binds![name, &document, self.trusted, self.now];
        if tx.run(&CREATE, binds).await? == 0 {
            return Ok(Created::Exists);
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        Ok(Created::Created)
    }
}

impl Act for UpdateTrustedIssuer {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let (name, document) = (self.issuer.issuer.as_str(), document(&self.issuer)?);
        let Some(row) = tx.one(&CURRENT, binds![name]).await? else {
            return Ok(Updated::Missing);
        };
        let current: TrustedIssuer = row.json(0)?;
        if self.was.as_ref().is_some_and(|was| *was != current) {
            return Ok(Updated::Changed);
        }
        let organization = self.issuer.organization.as_ref();
        if current.organization.as_ref() != organization
            && !naming::has_organization(tx, organization).await?
        {
            return Ok(Updated::Changed);
        }
        let binds = binds![name, &document, self.now];
        if tx.run(&UPDATE, binds).await? == 0 {
            return Ok(Updated::Missing);
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        Ok(Updated::Updated)
    }
}

impl Act for SetIssuerTrusted {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let binds = binds![self.issuer.as_str(), self.trusted, self.now];
        if tx.run(&SET_TRUSTED, binds).await? == 0 {
            return Ok(Updated::Missing);
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        if !self.trusted {
            record(tx, &self.issuer, (self.now, self.horizon)).await?;
        }
        Ok(Updated::Updated)
    }
}

impl Act for RevokeTrustedIssuer {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        let binds = binds![self.issuer.as_str(), self.now];
        if tx.run(&TOUCH, binds).await? == 0 {
            return Ok(Updated::Missing);
        }
        audit::write(tx, &self.audit, self.now).await?;
        record(tx, &self.issuer, (self.now, self.horizon)).await?;
        Ok(Updated::Updated)
    }
}

impl Act for DeleteTrustedIssuer {
    type Out = Updated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Updated, Fault> {
        if tx.run(&DELETE, binds![self.issuer.as_str()]).await? == 0 {
            return Ok(Updated::Missing);
        }
        audit::write(tx, &self.audit, self.now).await?;
        feed::bump_configuration(tx).await?;
        record(tx, &self.issuer, (self.now, self.horizon)).await?;
        Ok(Updated::Updated)
    }
}

async fn record(
    tx: &mut Tx<'_>,
    issuer: &ForeignIssuer,
    (now, horizon): (Timestamp, Timestamp),
) -> Result<(), Fault> {
    let target = Target::Issuer(issuer.as_str().to_owned());
    revocation::record(tx, &[(target, horizon)], now).await?;
    Ok(())
}

impl Act for FindTrustedIssuer {
    type Out = Option<StoredTrustedIssuer>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<StoredTrustedIssuer>, Fault> {
        let row = tx.one(&FIND, binds![self.issuer.as_str()]).await?;
        row.as_ref().map(read).transpose()
    }
}

impl Act for ListTrustedIssuers {
    type Out = Vec<StoredTrustedIssuer>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<StoredTrustedIssuer>, Fault> {
        let after = self.after.as_ref().map_or("", ForeignIssuer::as_str);
        tx.all(&LIST, binds![after, self.limit], read).await
    }
}

impl Act for AllTrustedIssuers {
    type Out = Vec<StoredTrustedIssuer>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<StoredTrustedIssuer>, Fault> {
        tx.all(&ALL, &[], read).await
    }
}
