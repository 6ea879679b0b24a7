//! An authorization code: the code itself is sealed; only its use is stored. A
//! device code that was allowed is used up in the same way.
//!
//! Spec: RFC 6749 §4.1.2
//! Spec: RFC 6749 §10.5
//! Spec: RFC 8628 §3.5

use symbolon_protocol::{ClientId, OrganizationId, Timestamp, planted};
use symbolon_token::{Family, Grant, Id, Person, Session};

use crate::act::{Act, Settled, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::{Bind, binds};
use crate::fault::Fault;
use crate::feed::Position;
use crate::refresh_family::{self, NewFamily};
use crate::revocation::{self, Target};
use crate::session_client;
use crate::spent::{AUTHORIZATION_CODE, DEVICE_CODE, SPEND, SpentProof, day};
use crate::statement::statements;

/// Redeems a code that was shown with all its bindings.
#[derive(Clone, Debug)]
pub struct RedeemCode {
    /// Which sort of code it is.
    pub kind: CodeKind,
    /// The code's own number.
    pub code: [u8; 16],
    /// When it expires.
    pub expires: Timestamp,
    /// The grant it was issued on: it must live.
    pub grant: Id<Grant>,
    /// The sign-in it came from: it must not have been ended.
    pub session: Option<Id<Session>>,
    /// The family of everything that comes of it.
    pub family: Id<Family>,
    /// The refresh family, where a refresh token is issued.
    pub new_family: Option<NewFamily>,
    /// The client, where it wants to hear that the session has ended.
    pub listener: Option<ClientId>,
    /// The DPoP proof that came with it.
    pub proof: Option<SpentProof>,
    /// What else it hangs on, of which nothing may have been taken back since it
    /// was issued where a family is opened.
    pub hangs_on: HangsOn,
    /// Until when the client hears that the session has ended.
    pub listens_until: Timestamp,
    /// When the last token that comes of it has expired.
    pub horizon: Timestamp,
    /// What to write down where the code is shown again.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// What a code hangs on besides grant, session and person.
#[derive(Clone, Debug)]
pub struct HangsOn {
    /// The client.
    pub client: ClientId,
    /// The organization for which the person acts, and the person.
    pub membership: Option<(OrganizationId, Id<Person>)>,
    /// The place in the feed when the code was issued.
    pub since: Position,
}

/// The sorts of code that become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeKind {
    /// One of the authorization endpoint.
    Authorization,
    /// One that a device polls with.
    Device,
}

/// What redeeming found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// First use. The family, if any, is opened.
    First {
        /// The place in the feed when grant and session were seen to live.
        position: Position,
    },
    /// Two parties hold the code, so both lose: its family has ended.
    Again,
    /// The DPoP proof was used before. The code is as it was.
    ProofReplayed,
    /// Grant, session or person is no more, or what else it hangs on was taken back.
    /// The code stays spent.
    Withdrawn,
}

statements! {
    CHECK = "SELECT h.epoch, h.sequence
        FROM grants g JOIN person p ON p.id = g.person JOIN feed_head h ON h.one = 1
        WHERE g.slot = ?1 AND g.id = ?2 AND g.withdrawn IS NULL AND p.enabled = 1
        {for_share_pg}";
    // The locks make whoever withdraws wait until the family can be seen.
    CHECK_SESSION = "SELECT h.epoch, h.sequence
        FROM grants g JOIN person p ON p.id = g.person
            JOIN session s ON s.slot = g.slot AND s.id = ?3 JOIN feed_head h ON h.one = 1
        WHERE g.slot = ?1 AND g.id = ?2 AND g.withdrawn IS NULL AND p.enabled = 1
            AND s.ended IS NULL
        {for_share_pgs}";
    // Whoever takes back all of a client ends the families that it sees. This one
    // is not there yet, and would outlive the record.
    TAKEN_BACK = "SELECT 1 FROM revocation
        WHERE (kind = 6 AND target = ?1 OR kind = 8 AND target = ?2 OR kind = 9 AND target = ?3)
            AND (epoch > ?4 OR epoch = ?4 AND sequence > ?5) LIMIT 1";
    // Of many that come again, one ends the family.
    AGAIN = "UPDATE spent SET again = 1
        WHERE day = ?1 AND slot = ?2 AND kind = ?3 AND key = ?4 AND again = 0";
}

impl Act for RedeemCode {
    type Out = Redeemed;

    /// Spending the code waits for whoever is spending it. Only this attempt
    /// knows the digest of the secret that its family begins with; where the
    /// code opens no family, nothing tells.
    async fn settled(&self, tx: &mut Tx<'_>) -> Result<Settled<Redeemed>, Fault> {
        if tx.run(&SPEND, &self.key()).await? > 0 {
            return Ok(Settled::Undone);
        }
        let Some(new) = &self.new_family else {
            return Ok(Settled::Unknown);
        };
        let binds = binds![new.id.slot(), &new.id];
        let row = tx.one(&refresh_family::FIND, binds).await?;
        let family = row.as_ref().map(refresh_family::read).transpose()?;
        Ok(match family {
            Some(family) if family.current == new.current && family.is_live(self.now) => {
                let position = family.authority.position;
                Settled::Done(Redeemed::First { position })
            }
            // Somebody else's: the code has come a second time.
            _ => Settled::Undone,
        })
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Redeemed, Fault> {
        if let Some(refused) = self.spend(tx).await? {
            return Ok(refused);
        }

        let slot = self.grant.slot();
        let lives = match &self.session {
            None => tx.one(&CHECK, binds![slot, &self.grant]).await?,
            Some(session) => {
                let binds = binds![slot, &self.grant, session];
                tx.one(&CHECK_SESSION, binds).await?
            }
        };
        let Some(lives) = lives else {
            return Ok(Redeemed::Withdrawn);
        };
        if let Some(family) = &self.new_family {
            if self.hangs_on.is_taken_back(tx).await? {
                return Ok(Redeemed::Withdrawn);
            }
            refresh_family::open(tx, family, self.now).await?;
        }
        if let (Some(session), Some(client)) = (&self.session, &self.listener) {
            session_client::note(tx, session, client, self.listens_until).await?;
        }
        let position = lives.position(0)?;
        Ok(Redeemed::First { position })
    }
}

impl HangsOn {
    async fn is_taken_back(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let client = Target::Client(self.client.clone()).to_bytes();
        let membership = self.membership.as_ref().map(|(organization, person)| {
            let whole = Target::Organization(organization.clone());
            let own = Target::Membership(organization.clone(), *person);
            (whole.to_bytes(), own.to_bytes())
        });
        // Nothing has no bytes.
        let (organization, membership) = membership.unwrap_or_default();
        let Position { epoch, sequence } = self.since;
        let binds = binds![&client, &organization, &membership, epoch, sequence];
        Ok(tx.one(&TAKEN_BACK, binds).await?.is_some())
    }
}

impl RedeemCode {
    /// Names its use.
    fn key(&self) -> [Bind<'_>; 4] {
        let kind = match self.kind {
            CodeKind::Authorization => AUTHORIZATION_CODE,
            CodeKind::Device => DEVICE_CODE,
        };
        *binds![day(self.expires), self.grant.slot(), kind, &self.code]
    }

    /// Uses it up; what was found, where it cannot be.
    async fn spend(&self, tx: &mut Tx<'_>) -> Result<Option<Redeemed>, Fault> {
        let (key, slot) = (&self.key(), self.grant.slot());
        let is_replayed = match &self.proof {
            None => false,
            Some(proof) => !proof.spend(tx, slot).await?,
        };
        // A proof of before spends nothing, but a code of before ends its
        // family whatever comes with it.
        if is_replayed || tx.run(&SPEND, key).await? == 0 && !planted(19) {
            if tx.run(&AGAIN, key).await? > 0 {
                self.revoke(tx).await?;
            }
            return Ok(Some(match is_replayed {
                true => Redeemed::ProofReplayed,
                false => Redeemed::Again,
            }));
        }
        Ok(None)
    }

    /// Access tokens carry the family's id even where no refresh token was
    /// issued, so the record is written with or without a row.
    async fn revoke(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        refresh_family::end(tx, &self.family, self.now).await?;
        audit::write(tx, &self.audit, self.now).await?;
        let target = Target::Family(self.family);
        if !revocation::is_recorded(tx, &target, self.now).await? {
            revocation::record(tx, &[(target, self.horizon)], self.now).await?;
        }
        Ok(())
    }
}

/// Uses a code up of which nothing may come any more. Where it was used before,
/// its family ends, as with any other second use.
#[derive(Clone, Debug)]
pub struct BurnCode(pub RedeemCode);

impl Act for BurnCode {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        self.0.spend(tx).await.map(drop)
    }
}
