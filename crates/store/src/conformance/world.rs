//! A person, a client and what lies between them, for a behaviour to start from.

use std::sync::Arc;
use std::time::Duration;

use symbolon_protocol::{Agreement, Client, ClientId, ClientKind, Scopes, Timestamp};
use symbolon_token::clock::random;
use symbolon_token::id::Kind;
use symbolon_token::{Digest, Entropy, Family, Id, Slot};
use tokio::task::JoinSet;

use super::Broken;
use crate::act::Act;
use crate::audit::AuditEvent;
use crate::authorization_code::{CodeKind, HangsOn, RedeemCode, Redeemed};
use crate::client::{CreateClient, NewSecret};
use crate::feed::{Feed, Position, read_feed};
use crate::grant::{ClientRow, Consent, Consented, Grant};
use crate::person::{Claims, CreatePerson, Person};
use crate::refresh_family::{NewFamily, Rotate};
use crate::revocation::{Revocation, Target};
use crate::session::OpenSession;
use crate::store::Store;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How many callers race.
pub(crate) const RACERS: usize = 64;

pub(crate) struct World {
    pub(crate) store: Store,
    entropy: Arc<dyn Entropy>,
    pub(crate) now: Timestamp,
}

/// A person who granted something to a client, signed in.
pub(crate) struct Scene {
    pub(crate) person: Id<symbolon_token::Person>,
    pub(crate) client: ClientId,
    pub(crate) session: Id<symbolon_token::Session>,
    pub(crate) grant: Grant,
}

impl World {
    pub(crate) fn new(store: Store, entropy: Arc<dyn Entropy>, now: Timestamp) -> Self {
        Self {
            store,
            entropy,
            now,
        }
    }

    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        random(self.entropy.as_ref())
    }

    pub(crate) fn slot(&self) -> Slot {
        Slot::random(self.entropy.as_ref())
    }

    pub(crate) fn id<K: Kind>(&self, slot: Slot) -> Id<K> {
        Id::new(slot, self.entropy.as_ref())
    }

    /// A word that nobody used before.
    pub(crate) fn word(&self) -> String {
        let bytes: [u8; 8] = self.bytes();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn horizon(&self) -> Timestamp {
        self.now + DAY
    }

    pub(crate) fn audit(&self, action: &'static str) -> AuditEvent {
        AuditEvent::new(action, "conformance")
    }

    pub(crate) fn person_named(&self, name: &str) -> CreatePerson {
        let person = Person {
            id: self.id(self.slot()),
            username: name.to_owned(),
            document: Claims::new(),
            password: None,
            enabled: true,
            created: self.now,
            updated: self.now,
        };
        CreatePerson {
            person,
            login_names: vec![name.to_owned()],
            audit: self.audit("user.create"),
            now: self.now,
        }
    }

    pub(crate) fn client(&self) -> Result<CreateClient, Broken> {
        let id: ClientId = self.word().parse().map_err(|_| Broken::from("client id"))?;
        Ok(CreateClient {
            client: Client::new(id, ClientKind::Web),
            secret: Some(NewSecret {
                digest: Digest::from_bytes(self.bytes()),
                sealed: None,
            }),
            enabled: true,
            audit: self.audit("client.create"),
            now: self.now,
        })
    }

    pub(crate) fn consent(
        &self,
        person: Id<symbolon_token::Person>,
        client: &ClientId,
        scopes: &str,
    ) -> Consent {
        Consent {
            id: self.id(person.slot()),
            person,
            client: client.clone(),
            client_row: ClientRow::Optional,
            organization: None,
            session: None,
            agreement: Agreement {
                everywhere: scopes.parse().unwrap_or(Scopes::empty()),
                ..Agreement::default()
            },
            former: None,
            horizon: self.horizon(),
            audit: self.audit("grant.consent"),
            now: self.now,
        }
    }

    pub(crate) fn session(&self, person: Id<symbolon_token::Person>) -> OpenSession {
        OpenSession {
            id: self.id(person.slot()),
            person,
            secret: Digest::from_bytes(self.bytes()),
            authenticated: self.now,
            idle_ends: self.now + DAY,
            absolute_ends: self.now + DAY * 7,
            acr: "urn:symbolon:password".to_owned(),
            amr: vec!["pwd".to_owned()],
            most: 50,
            seen: Position {
                epoch: i64::MAX,
                sequence: i64::MAX,
            },
            device: "a browser".to_owned(),
            place: "203.0.113.0".to_owned(),
            replaces: None,
            horizon: self.horizon(),
            audit: self.audit("session.open"),
            now: self.now,
        }
    }

    pub(crate) async fn scene(&self) -> Result<Scene, Broken> {
        let create = self.person_named(&self.word());
        let person = create.person.id;
        self.store.act(create).await?;
        let create = self.client()?;
        let client = create.client.id.clone();
        self.store.act(create).await?;
        let open = self.session(person);
        let session = open.id;
        self.store.act(open).await?;
        let consent = self.consent(person, &client, "openid read:orders");
        let Consented::Granted(grant) = self.store.act(consent).await? else {
            return Err(Broken::from("a first consent did not grant"));
        };
        Ok(Scene {
            person,
            client,
            session,
            grant,
        })
    }

    pub(crate) fn new_family(&self, scene: &Scene) -> NewFamily {
        NewFamily {
            id: self.id(scene.person.slot()),
            current: self.bytes(),
            key: 1,
            idle_ends: self.now + DAY * 14,
            absolute_ends: self.now + DAY * 90,
            grant: scene.grant.id,
            session: None,
            client: scene.client.clone(),
            person: scene.person,
            document: b"authority".to_vec(),
        }
    }

    pub(crate) fn redeem(&self, scene: &Scene, family: Option<NewFamily>) -> RedeemCode {
        let id = |family: &NewFamily| family.id;
        RedeemCode {
            kind: CodeKind::Authorization,
            code: self.bytes(),
            expires: self.now + MINUTE,
            grant: scene.grant.id,
            session: Some(scene.session),
            family: family
                .as_ref()
                .map_or_else(|| self.id(scene.person.slot()), id),
            new_family: family,
            listener: None,
            proof: None,
            hangs_on: HangsOn {
                client: scene.client.clone(),
                membership: None,
                since: scene.grant.position,
            },
            listens_until: self.horizon(),
            horizon: self.horizon(),
            audit: self.audit("code.reuse"),
            now: self.now,
        }
    }

    /// Opens a family as a code's redemption does.
    pub(crate) async fn family(&self, scene: &Scene) -> Result<NewFamily, Broken> {
        let family = self.new_family(scene);
        let redeem = self.redeem(scene, Some(family.clone()));
        match self.store.act(redeem).await? {
            Redeemed::First { .. } => Ok(family),
            _ => Err(Broken::from("a first redemption was refused")),
        }
    }

    /// The rotation of a family's first refresh token.
    pub(crate) fn rotate(&self, family: &NewFamily) -> Rotate {
        Rotate {
            family: family.id,
            generation: crate::FIRST_GENERATION,
            presented: family.current,
            next: self.bytes(),
            key: 2,
            client: family.client.clone(),
            idle_ends: self.now + DAY * 14,
            grace_ms: 90_000,
            proof: None,
            horizon: self.horizon(),
            audit: self.audit("refresh.theft"),
            now: self.now + MINUTE,
        }
    }

    pub(crate) async fn feed(&self, after: Option<Position>) -> Result<Feed, Broken> {
        Ok(read_feed(&self.store, after).await?)
    }

    /// The records of one target that live.
    pub(crate) async fn records(&self, target: &Target) -> Result<Vec<Revocation>, Broken> {
        let mut records = self.feed(None).await?.revocations;
        records.retain(|record| record.target == *target);
        Ok(records)
    }

    pub(crate) async fn is_family_live(&self, family: Id<Family>) -> Result<bool, Broken> {
        let found = self.store.read(crate::FindFamily { id: family }).await?;
        Ok(found.is_some_and(|family| family.is_live(self.now + MINUTE)))
    }

    /// Carries out acts at the same time, each in a task of its own.
    pub(crate) async fn race<A: Act>(
        &self,
        acts: impl IntoIterator<Item = A>,
    ) -> Result<Vec<A::Out>, Broken> {
        let mut tasks = JoinSet::new();
        for act in acts {
            let store = self.store.clone();
            tasks.spawn(async move { store.act(act).await });
        }
        let mut outs = Vec::new();
        while let Some(task) = tasks.join_next().await {
            outs.push(task.map_err(|_| Broken::from("a racer panicked"))??);
        }
        Ok(outs)
    }
}
