//! Carries out what the rules of `rotation` say is due, on whichever node
//! comes first.

use std::sync::Arc;

use serde_json::json;
use symbolon_protocol::Timestamp;
use symbolon_store::{
    AllKeys, AuditEvent, ChangeKeys, Changed, KeyChange, KeyState, LongestFamily, Store, WorkingKey,
};
use symbolon_token::rotation::{self, Change, Planned};
use symbolon_token::{Entropy, Purpose};

use super::fresh::Maker;
use super::policy::{Ages, KeyPurpose, kid, standings};
use super::{KeysError, LoadedKeys, Masters};
use crate::app::App;
use crate::settings::KeySettings;

/// How many keys may be published. A verifier takes 64; past this, rotations
/// wait until keys have gone, so that no set is ever too long for anybody.
const MAX_PUBLISHED: usize = 56;
/// How often what is due is looked at again after something was done.
const MAX_TURNS: usize = 8;

/// Who asked, as the audit trail names them.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) actor: &'static str,
    pub(crate) request: String,
}

impl Asker {
    /// The schedule.
    pub(crate) fn schedule() -> Self {
        Self {
            actor: "system",
            request: String::new(),
        }
    }

    pub(super) fn event(&self, action: &'static str, key: &WorkingKey) -> AuditEvent {
        let mut event = AuditEvent::new(action, self.actor);
        event.request.clone_from(&self.request);
        event.detail = json!({
            "key": key.id,
            "kid": kid(key),
            "purpose": key.purpose,
            "algorithm": key.algorithm,
            "number": key.number,
        });
        event
    }
}

/// Makes the keys of purposes that have none: at a first start, and after an
/// update that knows a new purpose.
pub(super) async fn make_missing(
    store: &Store,
    masters: &Masters,
    settings: &KeySettings,
    (now, entropy): (Timestamp, &Arc<dyn Entropy>),
) -> Result<(), KeysError> {
    let master = masters.in_use(store).await?;
    let stored = store.read(AllKeys).await?;
    let maker = Maker {
        entropy: Arc::clone(entropy),
        master: master.clone(),
        now,
    };
    let missing = KeyPurpose::all(settings).into_iter().filter(|purpose| {
        let own = standings(&stored, *purpose);
        !own.iter().any(|key| key.state == KeyState::Active)
            && !own.iter().any(|key| key.state == KeyState::Next)
    });
    let mut under_way = tokio::task::JoinSet::new();
    for purpose in missing {
        let (maker, store) = (maker.clone(), store.clone());
        let last = standings(&stored, purpose)
            .iter()
            .map(|key| key.number)
            .max();
        let first = last.unwrap_or(0) + 1;
        let fingerprint = master.fingerprint();
        under_way.spawn(async move {
            let mut active = maker.make(purpose, first).await?;
            (active.state, active.activated) = (KeyState::Active, Some(now));
            let mut keys = vec![active];
            if purpose.changes() {
                keys.push(maker.make(purpose, first + 1).await?);
            }
            let asker = Asker::schedule();
            let event = |key: &WorkingKey| asker.event("key.create", key);
            let changes = keys.into_iter().map(|key| {
                let event = event(&key);
                (KeyChange::Create(key), event)
            });
            let act = ChangeKeys {
                changes: changes.collect(),
                master: fingerprint,
                now,
            };
            // Whoever came before has made them; they are read in any case.
            store.act(act).await.map_err(KeysError::from)
        });
    }
    while let Some(made) = under_way.join_next().await {
        made.map_err(|_| KeysError::NotMade("a purpose".to_owned()))??;
    }
    Ok(())
}

/// When something has to be done next, by what this node knows.
pub(crate) fn next_due(loaded: &LoadedKeys, settings: &KeySettings, ages: &Ages) -> Timestamp {
    let of = |purpose: KeyPurpose| {
        let policy = ages.policy(purpose)?;
        rotation::next_due(&standings(&loaded.stored, purpose), &policy)
    };
    let all = KeyPurpose::all(settings).into_iter().filter_map(of);
    all.min().unwrap_or(Timestamp::FAR)
}

/// When the next key of a purpose takes over.
pub(super) fn takes_over(
    loaded: &LoadedKeys,
    purpose: KeyPurpose,
    ages: &Ages,
) -> Option<Timestamp> {
    let policy = ages.policy(purpose)?;
    let mut own = standings(&loaded.stored, purpose);
    own.retain(|key| matches!(key.state, KeyState::Active | KeyState::Next));
    rotation::next_due(&own, &policy)
}

/// What would happen if somebody asked now for another key of a purpose.
pub(crate) fn plan(
    loaded: &LoadedKeys,
    purpose: KeyPurpose,
    ages: &Ages,
    now: Timestamp,
) -> Vec<Planned> {
    let policy = ages.policy(purpose);
    policy.map_or_else(Vec::new, |policy| {
        rotation::plan(&standings(&loaded.stored, purpose), now, &policy)
    })
}

/// Does what is due, and again what has become due by it. A change that
/// another node made first is read, not made again.
pub(crate) async fn keep(app: &App) -> Result<(), KeysError> {
    for _ in 0..MAX_TURNS {
        // Not by a clock that may have jumped ahead: a key that signs before
        // everybody knows it, or is gone too early, stays so.
        let (loaded, now) = (app.keys.load_full(), app.sure());
        app.noted_lives.read(&app.store).await?;
        let ages = app.ages();
        let mut is_done = true;
        for purpose in KeyPurpose::all(&app.settings().keys) {
            let Some(policy) = ages.policy(purpose) else {
                continue;
            };
            for change in rotation::due(&standings(&loaded.stored, purpose), now, &policy) {
                if is_too_many(&loaded, purpose, change) {
                    tracing::warn!(%purpose, "rotation waits: too many keys are published");
                    continue;
                }
                is_done = false;
                one(app, &loaded, purpose, change).await?;
            }
        }
        if is_done {
            return Ok(());
        }
        app.reload_keys().await?;
    }
    Ok(())
}

fn is_too_many(loaded: &LoadedKeys, purpose: KeyPurpose, change: Change) -> bool {
    let adds = matches!(change, Change::Rotate { .. }) && purpose.algorithm().is_some();
    adds && loaded.own.len() >= MAX_PUBLISHED
}

/// One change, as one act.
async fn one(
    app: &App,
    loaded: &LoadedKeys,
    purpose: KeyPurpose,
    change: Change,
) -> Result<(), KeysError> {
    let now = app.sure();
    let stage = Stage {
        app,
        loaded,
        purpose,
        maker: Maker {
            master: loaded.master.clone(),
            entropy: Arc::clone(&app.edge.entropy),
            now,
        },
        asker: Asker::schedule(),
    };
    let act = ChangeKeys {
        changes: stage.steps(change).await?,
        master: loaded.fingerprint(),
        now,
    };
    match app.store.act(act).await? {
        Changed::Done => crate::metric::key_changed(purpose.word()),
        // It is there already, or will be made again under the new master key.
        Changed::Before | Changed::OtherMaster => {}
    }
    Ok(())
}

type Step = (KeyChange, AuditEvent);

/// What a change is worked out with.
struct Stage<'a> {
    app: &'a App,
    loaded: &'a LoadedKeys,
    purpose: KeyPurpose,
    maker: Maker,
    asker: Asker,
}

impl Stage<'_> {
    async fn steps(&self, change: Change) -> Result<Vec<Step>, KeysError> {
        Ok(match change {
            Change::Begin { number } => vec![self.create(number, KeyState::Active).await?],
            Change::Announce { number } => vec![self.create(number, KeyState::Next).await?],
            Change::Rotate {
                from,
                to,
                until,
                announce,
            } => {
                let to = self.find(to)?;
                let until = outlived(self.app, self.purpose, until).await?;
                let activated = KeyChange::Activate { id: to.id.clone() };
                let mut steps = vec![(activated, self.asker.event("key.activate", to))];
                if let Some(from) = from {
                    let from = self.find(from)?;
                    let id = from.id.clone();
                    let replaced = KeyChange::Replace { id, until };
                    steps.push((replaced, self.asker.event("key.replace", from)));
                }
                steps.push(self.create(announce, KeyState::Next).await?);
                steps
            }
            Change::Retire { number, until } => {
                let key = self.find(number)?;
                let until = hinted(self.app, until).await?;
                let id = key.id.clone();
                let retired = KeyChange::Retire { id, until };
                vec![(retired, self.asker.event("key.retire", key))]
            }
            Change::Forget { number } => {
                let key = self.find(number)?;
                let (id, state) = (key.id.clone(), key.state);
                let forgotten = KeyChange::Forget { id, state };
                vec![(forgotten, self.asker.event("key.delete", key))]
            }
        })
    }

    async fn create(&self, number: i64, state: KeyState) -> Result<Step, KeysError> {
        let mut key = self.maker.make(self.purpose, number).await?;
        key.activated = (state == KeyState::Active).then_some(self.maker.now);
        key.state = state;
        let event = self.asker.event("key.create", &key);
        Ok((KeyChange::Create(key), event))
    }

    fn find(&self, number: i64) -> Result<&WorkingKey, KeysError> {
        let name = self.purpose.to_string();
        let mut own = self.loaded.stored.iter().filter(|key| key.purpose == name);
        own.find(|key| key.number == number)
            .ok_or(KeysError::Unusable(name))
    }
}

/// Until when a key that is replaced now is believed. A refresh family may
/// have a longer life than the configuration sets now.
async fn outlived(
    app: &App,
    purpose: KeyPurpose,
    until: Option<Timestamp>,
) -> Result<Option<Timestamp>, KeysError> {
    if purpose != KeyPurpose::Working(Purpose::RefreshToken) {
        return Ok(until);
    }
    let longest = longest_family(app).await?;
    Ok(until.map(|until| longest.map_or(until, |longest| until.max(longest))))
}

/// Until when the public half of a key is kept that signs no more: a client may
/// show an ID token of it for as long as any family lives, when it signs its
/// person out.
async fn hinted(app: &App, until: Timestamp) -> Result<Timestamp, KeysError> {
    let longest = longest_family(app).await?;
    Ok(longest.map_or(until, |longest| until.max(longest)))
}

async fn longest_family(app: &App) -> Result<Option<Timestamp>, KeysError> {
    let longest = app.store.read(LongestFamily).await?;
    Ok(longest.map(|ends| ends + app.settings().clock_skew))
}

/// Asks that the next key of a purpose be used as soon as it may, and does
/// what is due. Whoever asks twice has asked once.
pub(crate) async fn ask(app: &App, purpose: KeyPurpose, asker: &Asker) -> Result<(), KeysError> {
    let (loaded, now) = (app.keys.load_full(), app.sure());
    let name = purpose.to_string();
    let next = loaded
        .stored
        .iter()
        .find(|key| key.purpose == name && key.state == KeyState::Next);
    let next = next.ok_or_else(|| KeysError::Unusable(name.clone()))?;
    let asked = KeyChange::Ask {
        id: next.id.clone(),
        at: now,
    };
    let act = ChangeKeys {
        changes: vec![(asked, asker.event("key.rotate", next))],
        master: loaded.fingerprint(),
        now,
    };
    app.store.act(act).await?;
    Ok(())
}
