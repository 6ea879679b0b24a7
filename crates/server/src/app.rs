//! The application as a value: everything that requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use moka::sync::Cache;
use symbolon_protocol::{Timestamp, planted};
use symbolon_store::{APART, Store, Version};
use symbolon_token::dpop::ProofMemory;
use symbolon_token::revocation::Target;
use symbolon_token::{Clock, Entropy, Family, Id, random};

use crate::admin::{Bearer, StatusLinks};
use crate::apart::{self, Apart};
use crate::api_key::ApiKeys;
use crate::authn::password::Passwords;
use crate::client_certificate::Authorities;
use crate::config::Config;
use crate::cx::{Cx, RequestId};
use crate::directory::Directory;
use crate::endpoint::status_list::StatusLists;
use crate::failure::Broken;
use crate::feed::{Feed, POLL};
use crate::fetch::Fetcher;
use crate::grant::family::FamilyDocument;
use crate::growth;
use crate::keys::{self, KeysError, LoadedKeys, Masters};
use crate::limit::{GuessLimit, Limited};
use crate::metadata::Published;
use crate::news::News;
use crate::outage::{Outage, Over, Told};
use crate::pace::PollPace;
use crate::recent::Recent;
use crate::registration::document::Documents;
use crate::registration::pace::RegistrationPace;
use crate::seen::Seen;
use crate::settings::{KeySettings, Rest, Settings};
use crate::signals::SignalPace;
use crate::status_places::StatusPlaces;
use crate::steady::Steady;
use crate::subscription::Readers;
use crate::token_life::NotedLives;

/// How many documents of refresh families are kept.
const MAX_FAMILIES: u64 = 20_000;
/// How many receivers wait for events at once.
const MAX_LONG_POLLS: usize = 64;
/// How far clocks may differ at most, however the configuration changes.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(120);
/// The same in turns of following.
const KEYS_TURNS: u32 = 25;
/// How often the database's clock is looked at, in turns of following: every
/// five seconds.
const CLOCK_TURNS: u32 = 25;
/// How long keys are left alone after something about them failed.
const KEYS_PAUSE: Duration = Duration::from_secs(5);

/// Where time and randomness come from.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// The running authorization server.
pub struct App {
    settings: ArcSwap<Settings>,
    pub(crate) store: Store,
    pub(crate) edge: Edge,
    /// The clock of `edge`, which does not run backwards.
    pub(crate) steady: Arc<Steady>,
    pub(crate) keys: ArcSwap<LoadedKeys>,
    masters: Masters,
    /// The version of everything that was read here.
    version: AtomicI64,
    /// Held while that is read.
    reading: tokio::sync::Mutex<()>,
    /// The version at which keys were read.
    keys_version: AtomicI64,
    /// How many turns the keys are not read for, after that has failed.
    keys_wait: AtomicU32,
    /// Held while keys are read, so that what was read later is held later.
    reading_keys: tokio::sync::Mutex<()>,
    /// Whether somebody is looking after the keys already.
    keeping: AtomicBool,
    pub(crate) feed: Arc<Feed>,
    pub(crate) news: News,
    /// How far the clocks are apart.
    pub(crate) apart: Apart,
    pub(crate) directory: Directory,
    /// How long tokens live that were issued lately.
    pub(crate) noted_lives: NotedLives,
    pub(crate) guesses: GuessLimit,
    /// Counters of sign-in that are used up.
    pub(crate) limited: Limited,
    /// How often devices ask.
    pub(crate) polls: PollPace,
    /// Documents of refresh families that were used lately.
    pub(crate) families: Cache<Id<Family>, Arc<FamilyDocument>>,
    pub(crate) passwords: Passwords,
    /// API keys that were used lately.
    pub(crate) api_keys: ApiKeys,
    pub(crate) seen: Seen,
    /// What was refused and issued lately.
    pub(crate) recent: Recent,
    /// Places in status lists that this node may give out.
    pub(crate) status_places: StatusPlaces,
    /// Status lists that were made lately.
    pub(crate) status_lists: StatusLists,
    pub(crate) fetcher: Fetcher,
    /// Documents by which clients describe themselves.
    pub(crate) documents: Documents,
    /// How often networks register clients.
    pub(crate) registrations: RegistrationPace,
    /// Which registrations were looked at last.
    pub(crate) looked_at: growth::LookedAt,
    pub(crate) published: ArcSwap<Published>,
    pub(crate) started: Timestamp,
    pub(crate) status_links: StatusLinks,
    /// The DPoP proofs that this process remembers.
    pub(crate) proofs: ProofMemory,
    /// Who vouches for certificates of clients.
    pub(crate) authorities: Option<Authorities>,
    /// How many events of each source are looked at.
    pub(crate) signal_pace: SignalPace,
    /// Places for receivers that wait for events.
    pub(crate) long_polls: tokio::sync::Semaphore,
    /// Who reads the revocation feed here.
    pub(crate) readers: Readers,
    draining: AtomicBool,
    requests: AtomicU64,
}

/// Why the application cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The store.
    #[error("could not open the store: {0}")]
    Store(#[from] symbolon_store::Fault),
    /// A newer version has taken away what this one needs.
    #[error(
        "this database is of feature level {0}, which a newer version has set: this version cannot work on it any more; start the newer one"
    )]
    TooOld(i64),
    /// What was taken back could not be read.
    #[error("could not read what was taken back: {0}")]
    Feed(String),
    /// The authorities for certificates of clients.
    #[error("{0}")]
    Authorities(String),
    /// Outbound calls cannot be set up.
    #[error("outbound calls: {0}")]
    Fetcher(String),
}

/// Brings the schema up to date, and says where a newer version has been.
async fn bring_up_to_date(store: &Store) -> Result<(), StartError> {
    if let Some(level) = too_high(store).await? {
        return Err(StartError::TooOld(level));
    }
    store.migrate().await?;
    let newer = store.read(symbolon_store::NewerMigrations).await?;
    if !newer.is_empty() {
        tracing::warn!(migrations = ?newer, "a newer version has been at this database: it holds what this one does not know. That is meant for the time of an upgrade; bring every node to the newer version");
    }
    Ok(())
}

/// A clock that does not fall behind what this installation has believed.
async fn steady(store: &Store, edge: &Edge) -> Result<Arc<Steady>, symbolon_store::Fault> {
    let high_water = symbolon_store::FindHighWater {
        name: symbolon_store::PURGE,
    };
    let believed = store.read(high_water).await?;
    Ok(Arc::new(Steady::new(Arc::clone(&edge.clock), believed)))
}

impl App {
    /// Makes the application ready: schema, keys, revocations, directory.
    pub async fn start(
        config: &Config,
        masters: Masters,
        store: Store,
        edge: Edge,
        bearer: &Arc<Bearer>,
    ) -> Result<Arc<Self>, StartError> {
        bring_up_to_date(&store).await?;
        let steady = steady(&store, &edge).await?;
        let edge = Edge {
            clock: Arc::clone(&steady) as _,
            ..edge
        };
        let now = edge.clock.now();
        let key_settings = KeySettings::from(&config.keys);
        let at = (steady.sure(), &edge.entropy);
        let loaded = keys::load(&store, &masters, &key_settings, at).await?;
        let settings = Settings::new(config.issuer.clone(), Rest::of(config));
        let authorities = config.client_ca.as_deref().map(Authorities::read);
        let authorities = authorities
            .transpose()
            .map_err(|error| StartError::Authorities(error.to_string()))?;
        let feed = Arc::new(Feed::new(loaded.ring.blinding().clone()));
        let observer = Arc::clone(&feed);
        store.observe(move |records| observer.apply_own(records));
        let fetcher = Fetcher::new(config).map_err(StartError::Fetcher)?;
        let published = Published::new(&settings, &loaded);
        let app = Self {
            apart: Apart::default(),
            news: News::default(),
            directory: Directory::new(store.clone()),
            noted_lives: NotedLives::default(),
            passwords: Passwords::new(&*edge.entropy),
            api_keys: ApiKeys::new(),
            guesses: GuessLimit::new(&*edge.entropy),
            limited: Limited::new(),
            polls: PollPace::new(),
            seen: Seen::new(),
            recent: Recent::new(),
            status_places: StatusPlaces::default(),
            status_lists: StatusLists::default(),
            families: Cache::new(MAX_FAMILIES),
            documents: Documents::default(),
            registrations: RegistrationPace::new(),
            looked_at: growth::LookedAt::default(),
            keys: ArcSwap::from_pointee(loaded),
            masters,
            version: AtomicI64::new(-1),
            reading: tokio::sync::Mutex::default(),
            keys_version: AtomicI64::new(-1),
            keys_wait: AtomicU32::new(0),
            reading_keys: tokio::sync::Mutex::default(),
            keeping: AtomicBool::new(false),
            published: ArcSwap::from_pointee(published),
            status_links: StatusLinks::new(config.admin.listen, Arc::clone(bearer)),
            proofs: ProofMemory::new(&*edge.entropy, now, MAX_CLOCK_SKEW),
            authorities,
            signal_pace: SignalPace::default(),
            long_polls: tokio::sync::Semaphore::new(MAX_LONG_POLLS),
            readers: Readers::new(),
            draining: AtomicBool::new(false),
            // Begins elsewhere at every start, so ids do not come again.
            requests: AtomicU64::new(u64::from_be_bytes(random(&*edge.entropy))),
            started: now,
            settings: ArcSwap::from_pointee(settings),
            store,
            edge,
            steady,
            feed,
            fetcher,
        };
        app.catch_up().await?;
        // Before the file is applied: a life that it lowers was in force.
        app.note_lifetimes(&app.settings().lifetimes).await?;
        // What became due while nobody was there, before anything is signed.
        keys::rotate::keep(&app).await?;
        crate::metric::keys(&app.keys.load(), now);
        Ok(Arc::new(app))
    }

    /// Reads what other nodes have taken back or changed, now.
    pub async fn catch_up(&self) -> Result<(), StartError> {
        self.follow()
            .await
            .map_err(|broken| StartError::Feed(broken.to_string()))
    }

    /// Reads what other nodes have taken back or changed.
    pub(crate) async fn follow(&self) -> Result<(), Broken> {
        let (number, began) = (self.news.begin(), self.edge.clock.monotonic());
        let asked = (began, self.apart.at_least(self.edge.clock.now()));
        let (version, head) = self.feed.follow(&self.store, asked).await?;
        if !planted(13) {
            self.read_anew(version).await?;
        }
        self.follow_keys(version.configuration).await;
        // What is kept is of that version or newer, so it was right there.
        self.directory.confirm(head);
        self.news.end(number);
        let age = self.feed.age(self.edge.clock.monotonic());
        crate::metric::full(self.store.is_full());
        crate::metric::feed(self.feed.position().sequence, self.feed.len(), age);
        Ok(())
    }

    /// Reads what is kept in memory and is another by now.
    pub(crate) async fn read_anew(&self, version: Version) -> Result<(), Broken> {
        if self.version.load(Ordering::Acquire) == version.all {
            return Ok(());
        }
        // One after the other: what was read earlier never takes the place of
        // what was read later, nor is it taken for that.
        let _reading = self.reading.lock().await;
        if self.version.load(Ordering::Acquire) == version.all {
            return Ok(());
        }
        self.directory.follow(version.configuration).await?;
        self.passwords.learn(&self.store).await?;
        self.api_keys.learn(&self.store, version.all).await?;
        self.noted_lives.read(&self.store).await?;
        self.version.store(version.all, Ordering::Release);
        Ok(())
    }

    /// Reads the keys again where anything has changed. A node that cannot
    /// goes on with those it has: what was distrusted is dead by its record.
    async fn follow_keys(&self, version: i64) {
        let waits = |turns: u32| turns.checked_sub(1);
        let waited = self
            .keys_wait
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, waits);
        if waited.is_ok() || self.keys_version.load(Ordering::Acquire) == version {
            return;
        }
        match self.reload_keys().await {
            Ok(()) => self.keys_version.store(version, Ordering::Release),
            Err(error) => {
                tracing::error!(cause = %error, "could not read the keys");
                self.keys_wait.store(KEYS_TURNS, Ordering::Release);
            }
        }
    }

    /// Reads the keys as they are stored now.
    pub(crate) async fn reload_keys(&self) -> Result<(), KeysError> {
        let _reading = self.reading_keys.lock().await;
        let (held, settings) = (self.keys.load_full(), self.settings());
        let read = keys::read_changed(&self.store, &self.masters, &settings.keys, &held).await?;
        if let Some(read) = read {
            let published = Published::new(&settings, &read);
            self.published.store(Arc::new(published));
            crate::metric::keys(&read, self.edge.clock.now());
            self.keys.store(Arc::new(read));
        }
        Ok(())
    }

    /// Looks after the keys where it is time, beside everything else.
    fn keep_keys(self: &Arc<Self>) {
        let (loaded, now) = (self.keys.load(), self.sure());
        let due = keys::rotate::next_due(&loaded, &self.settings().keys, &self.ages());
        if due > now || self.keeping.swap(true, Ordering::AcqRel) {
            return;
        }
        let app = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = keys::rotate::keep(&app).await {
                tracing::error!(cause = %error, "could not change keys");
                tokio::time::sleep(KEYS_PAUSE).await;
            }
            app.keeping.store(false, Ordering::Release);
        });
    }

    /// Follows the feed until the process ends, and purges once a minute.
    pub async fn follow_for_ever(self: Arc<Self>) {
        let mut turns = 0_u32;
        let mut outage = Outage::default();
        loop {
            self.feed.wait(POLL).await;
            let followed = self.follow().await;
            self.tell(&mut outage, followed);
            self.keep_keys();
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(CLOCK_TURNS) {
                tokio::spawn(apart::measure(Arc::clone(&self)));
            }
            if turns.is_multiple_of(25) {
                crate::metric::keys(&self.keys.load(), self.edge.clock.now());
            }
            if turns.is_multiple_of(300) {
                // Not by a clock that may have jumped ahead: what is forgotten
                // would be missed when it returns.
                let believed = self.believed();
                self.forget_records(believed);
                tokio::spawn(growth::forget(Arc::clone(&self), believed));
                let app = Arc::clone(&self);
                tokio::spawn(async move {
                    app.note_uses().await;
                    app.note_token_life().await;
                });
            }
        }
    }

    /// Says that the store cannot be read, or can be again.
    fn tell(&self, outage: &mut Outage, followed: Result<(), Broken>) {
        let now = self.edge.clock.monotonic();
        match followed {
            Ok(()) => {
                if let Some(Over { times, lasted }) = outage.worked(now) {
                    let seconds = lasted.as_secs();
                    tracing::info!(times, seconds, "what was taken back can be read again");
                }
            }
            Err(broken) => {
                if let Told::Now { times } = outage.failed(now) {
                    tracing::warn!(cause = %broken, times, "could not read what was taken back");
                }
            }
        }
    }

    /// A request id that tells nobody how many there were: a keyed hash of the
    /// count, cheaper than drawing one.
    fn next_request(&self) -> RequestId {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        let blinding = self.feed.blinding();
        RequestId::new(blinding.name(Target::Token, &count.to_be_bytes()))
    }

    /// The context of one request from an address.
    pub(crate) fn cx(self: &Arc<Self>, address: std::net::IpAddr) -> Cx {
        Cx {
            keys: Arc::clone(&self.keys.load().ring),
            settings: self.settings(),
            now: self.edge.clock.now(),
            past_end: Duration::ZERO,
            position: self.feed.position(),
            settled: self.directory.settled(),
            resettled: Arc::default(),
            request: self.next_request(),
            app: Arc::clone(self),
            address,
            held: None,
            caller: Arc::default(),
        }
    }

    /// Refuses to decide on old knowledge of what was taken back.
    pub(crate) fn check_fresh(&self) -> Result<(), Broken> {
        self.feed.check_fresh(self.edge.clock.monotonic())
    }

    /// Writes down when API keys were used last, as far as that is noted in
    /// memory. Nothing is decided by it, so a fault loses it and no more.
    pub async fn note_uses(&self) {
        if let Err(fault) = self.api_keys.uses.write(&self.store).await {
            tracing::warn!(cause = %fault, "could not write when API keys were used");
        }
    }

    /// Tells load balancers to send no more: the end is near.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.feed.end();
    }

    /// Whether the end is near.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// How many acts that wrote were committed so far: what write budgets count.
    pub fn commits(&self) -> u64 {
        self.store.commits()
    }

    /// How long ago the server started.
    pub(crate) fn uptime(&self) -> Duration {
        self.edge.clock.now().since(self.started)
    }

    /// Forgets records of what has ended by all clocks that callers go by.
    pub(crate) fn forget_records(&self, now: Timestamp) {
        self.feed.purge(now - APART.max(self.settings().clock_skew));
    }

    /// What the configuration settles at the moment.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Takes over what a configuration says now. Requests that have begun end
    /// with what they began with.
    pub(crate) fn settle(&self, config: &Config) {
        self.settings
            .rcu(|settings| settings.renewed(Rest::of(config)));
        // What is offered is told at the same time.
        let published = Published::new(&self.settings(), &self.keys.load());
        self.published.store(Arc::new(published));
    }

    /// The randomness.
    pub(crate) fn entropy(&self) -> &dyn Entropy {
        &*self.edge.entropy
    }
}

/// The feature level, where it is too high. A database that has no schema yet
/// has no level.
async fn too_high(store: &Store) -> Result<Option<i64>, symbolon_store::Fault> {
    match store.read(symbolon_store::TooHighLevel).await {
        Err(fault) if fault.is_unavailable() => Err(fault),
        Err(_) => Ok(None),
        level => level,
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("settings", &self.settings())
            .finish_non_exhaustive()
    }
}
