//! From a configuration to a running server, and to a clean end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use symbolon_store::Store;
pub use symbolon_store::{Contract, Finished, Migration, PlannedStatement, PlannedStep};
use symbolon_store::{Fault, Options};
use symbolon_token::mark::{Kind, write_fixed};
use symbolon_token::{Entropy, Secret, random};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin::{self, Bearer};
use crate::apart;
use crate::app::{App, Edge, StartError};
use crate::applicable;
use crate::apply::{self, ApplyError};
use crate::certificate::Certificate;
use crate::config::{Config, SecretSource, Statements, StorePlace, StoreUrl};
use crate::job;
use crate::keys::master::write_private;
use crate::keys::{KeysError, Masters};
use crate::outbox;
use crate::reload::{ReloadError, Reloaded, Reloading};
use crate::routes::Public;
use crate::serve::{self, Asks, Capacity, Listening, ServeError};
use crate::signals;

/// How long an administration token is at least, in bytes.
pub(crate) const MIN_TOKEN_BYTES: usize = 32;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The master key.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The store.
    #[error("could not open the store: {0}")]
    Store(#[from] Fault),
    /// The application.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The blocks of the configuration.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A listener.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The administrator's token.
    #[error("could not read or make the administration token `{path}`: {cause}")]
    AdminToken {
        /// Where it should be.
        path: String,
        /// What the operating system said.
        cause: std::io::Error,
    },
}

impl LaunchError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(fault) | Self::Start(StartError::Store(fault)) => code_of(fault),
            Self::Apply(ApplyError::Store(fault)) => code_of(fault),
            Self::Keys(KeysError::Store(fault))
            | Self::Start(StartError::Keys(KeysError::Store(fault))) => code_of(fault),
            Self::Keys(_) | Self::Start(StartError::Keys(_)) => "keys",
            Self::Start(StartError::Feed(_)) => "store",
            Self::Start(StartError::TooOld(_)) => "store.level",
            Self::Start(StartError::Fetcher(_)) => "outbound",
            Self::Start(StartError::Authorities(_)) => "tls.client_ca",
            Self::Apply(_) => "configuration.conflict",
            Self::Serve(error) => error.code(),
            Self::AdminToken { .. } => "admin.token",
        }
    }
}

/// The word for a store that cannot be opened or used.
fn code_of(fault: &Fault) -> &'static str {
    if fault.is_held() {
        "store.locked"
    } else if fault.is_damaged() {
        "store.damaged"
    } else {
        "store"
    }
}

/// The listeners of a server, bound before anything else so that a taken
/// port is told first.
#[derive(Debug)]
pub struct Listeners {
    /// For everybody.
    pub public: TcpListener,
    /// For administrators and metrics.
    pub admin: TcpListener,
    /// For everybody who has a certificate to show, where there is one.
    pub mutual_tls: Option<TcpListener>,
    /// How long another process may go on holding the database: not at all,
    /// unless it is the one whose sockets were handed over.
    pub patience: Duration,
    /// Which of the three another process holds open too: those are not closed
    /// to callers when this one ends.
    pub lasts: [bool; 3],
}

impl Listeners {
    /// Binds both.
    pub async fn bind(public: SocketAddr, admin: SocketAddr) -> Result<Self, ServeError> {
        Ok(Self {
            public: serve::bind(public).await?,
            admin: serve::bind(admin).await?,
            mutual_tls: None,
            patience: Duration::ZERO,
            lasts: [false; 3],
        })
    }

    /// Binds the one that asks for certificates too.
    pub async fn and_mutual_tls(mut self, address: Option<SocketAddr>) -> Result<Self, ServeError> {
        if let Some(address) = address {
            self.mutual_tls = Some(serve::bind(address).await?);
        }
        Ok(self)
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    /// The application.
    pub app: Arc<App>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    follower: JoinHandle<()>,
    chores: Vec<JoinHandle<()>>,
    sender: JoinHandle<()>,
    asker: JoinHandle<()>,
    reloading: Reloading,
    /// How long readiness is refused before the listeners close.
    notice: Duration,
}

/// How long a load balancer has to see that the end is near. On loopback
/// nobody balances.
const NOTICE: Duration = Duration::from_secs(2);

fn notice(public: &TcpListener) -> Duration {
    match public.local_addr() {
        Ok(address) if address.ip().is_loopback() => Duration::ZERO,
        _ => NOTICE,
    }
}

/// The migrations that a configuration's database lacks. Nothing is made and
/// nothing changed by the question.
pub async fn pending_migrations(
    config: &Config,
    entropy: &dyn Entropy,
) -> Result<Vec<Migration>, LaunchError> {
    Ok(Store::pending_migrations(&store_options(config, entropy)).await?)
}

/// The numbers of migrations that a newer version has run on a configuration's
/// database. Nothing is made and nothing changed by the question.
pub async fn newer_migrations(
    config: &Config,
    entropy: &dyn Entropy,
) -> Result<Vec<i64>, LaunchError> {
    Ok(Store::newer_migrations(&store_options(config, entropy)).await?)
}

/// What would be done to a configuration's database to bring it up to date,
/// statement by statement. Nothing is made and nothing changed by the question.
pub async fn migration_plan(
    config: &Config,
    entropy: &dyn Entropy,
) -> Result<Vec<PlannedStep>, LaunchError> {
    Ok(Store::migration_plan(&store_options(config, entropy)).await?)
}

/// Brings the schema of a configuration's database up to date, writes the rows
/// that this leaves to be written, and where it is told so takes away what is
/// no longer needed; answers what was run.
pub async fn migrate(
    config: &Config,
    entropy: &dyn Entropy,
    contract: Contract,
) -> Result<(Vec<Migration>, Finished), LaunchError> {
    let store = Store::open(&store_options(config, entropy)).await?;
    let done = async {
        let migrated = store.migrate().await?;
        let finished = store.finish_migrations(contract).await?;
        Ok::<_, Fault>((migrated.run, finished))
    };
    let done = done.await;
    store.close().await;
    Ok(done?)
}

/// Opens the store that a configuration names.
pub async fn open_store(config: &Config, entropy: &dyn Entropy) -> Result<Store, Fault> {
    Store::open(&store_options(config, entropy)).await
}

/// Opens a store at a place, and brings its schema up to date.
pub async fn open_migrated(place: &StorePlace, entropy: &dyn Entropy) -> Result<Store, Fault> {
    if let StoreUrl::Sqlite(path) = &place.url
        && let Some(folder) = path.parent()
    {
        // What is wrong with it, opening tells.
        let _ = std::fs::create_dir_all(folder);
    }
    let store = Store::open(&options(&place.url, place.statements, entropy)).await?;
    store.migrate().await?;
    Ok(store)
}

/// How the store that a configuration names is opened.
pub(crate) fn store_options(config: &Config, entropy: &dyn Entropy) -> Options {
    options(&config.store.url, config.store.statements, entropy)
}

fn options(url: &StoreUrl, statements: Statements, entropy: &dyn Entropy) -> Options {
    let url = match url {
        StoreUrl::Sqlite(path) => format!("sqlite://{}", path.display()),
        StoreUrl::Postgres(url) => url.expose_str().to_owned(),
    };
    let node = i64::from_be_bytes(random(entropy));
    let mut options = Options::new(url, node);
    options.named_statements = statements == Statements::Named;
    options
}

/// The bearer of the admin API, made at first start.
pub fn admin_token(config: &Config, entropy: &dyn Entropy) -> Result<Secret, LaunchError> {
    let path = match &config.admin.token {
        SecretSource::Given(secret) => return Ok(Secret::from(secret.expose_str())),
        SecretSource::File(path) => path,
    };
    read_or_make(path, entropy).map_err(|cause| LaunchError::AdminToken {
        path: path.display().to_string(),
        cause,
    })
}

fn read_or_make(path: &Path, entropy: &dyn Entropy) -> std::io::Result<Secret> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let token = write_fixed(Kind::Administration, &random::<32>(entropy));
            match write_private(path, token.as_bytes(), entropy) {
                Ok(()) => token,
                // Another node that starts at once was first: its token counts.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    std::fs::read_to_string(path)?
                }
                Err(error) => return Err(error),
            }
        }
        read => read?,
    };
    // An empty token would let in whoever sends an empty one.
    if text.trim().len() < MIN_TOKEN_BYTES {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "the token has fewer than 32 characters",
        ));
    }
    Ok(Secret::from(text.trim()))
}

/// Starts a server on listeners that are already bound.
pub async fn launch(
    config: &Config,
    listeners: Listeners,
    edge: Edge,
) -> Result<Running, LaunchError> {
    // Before anything is counted.
    admin::install_metrics();
    let bearer = Arc::new(Bearer::new(&admin_token(config, &*edge.entropy)?));
    let certificate = config
        .tls
        .as_ref()
        .map(|tls| Certificate::read(&tls.certificate, &tls.key))
        .transpose()?;
    let accepting = |asks: Asks| {
        let own = certificate.as_ref();
        own.map(|own| serve::tls(own, asks)).transpose()
    };
    let tls = accepting(Asks::Nothing)?;
    let mutual_tls = accepting(Asks::ForCertificate)?;
    let mut options = store_options(config, &*edge.entropy);
    options.patience = listeners.patience;
    let store = Store::open(&options).await?;
    let masters = Masters::for_store(&config.store, &store, &*edge.entropy).await?;
    let app = App::start(config, masters, store, edge, &bearer).await?;
    applicable::check(&app, config).await?;
    apply::apply(&app, config).await?;
    app.catch_up().await?;
    apart::measure(Arc::clone(&app)).await;
    app.passwords.rest();
    let (stop, stopped) = watch::channel(false);
    let notice = notice(&listeners.public);
    let capacity = match listeners.mutual_tls {
        None => Capacity::of_everybody(),
        Some(_) => Capacity::of_everybody().halved(),
    };
    let public = serve::serve(
        Listening::new(listeners.public, listeners.lasts[0]),
        tls,
        Public::new(&app),
        capacity,
        stopped.clone(),
    );
    let sender = tokio::spawn(outbox::send_for_ever(Arc::clone(&app), stopped.clone()));
    let asker = tokio::spawn(signals::fetch::ask_for_ever(
        Arc::clone(&app),
        stopped.clone(),
    ));
    let private = serve::serve(
        Listening::new(listeners.admin, listeners.lasts[1]),
        None,
        admin::router(&app, &bearer, &config.admin.hosts),
        Capacity::of_administration(),
        stopped.clone(),
    );
    let mut tasks = vec![tokio::spawn(public), tokio::spawn(private)];
    // INVARIANT: the configuration demands a certificate of our own beside it;
    // without one nobody could show theirs.
    if let (Some(listener), Some(tls)) = (listeners.mutual_tls, mutual_tls) {
        let answer = Public::new(&app);
        let listening = Listening::new(listener, listeners.lasts[2]);
        let serving = serve::serve(listening, Some(tls), answer, capacity, stopped);
        tasks.push(tokio::spawn(serving));
    }
    let follower = tokio::spawn(Arc::clone(&app).follow_for_ever());
    let chores = vec![tokio::spawn(job::audit::link_for_ever(Arc::clone(&app)))];
    Ok(Running {
        app,
        stop,
        tasks,
        follower,
        chores,
        sender,
        asker,
        reloading: Reloading::new(config, certificate, bearer),
        notice,
    })
}

impl Running {
    /// Takes a changed configuration in, all of it that can be or nothing.
    pub async fn reload(&self, config: &Config) -> Result<Reloaded, ReloadError> {
        self.reloading.reload(&self.app, config).await
    }

    /// Reads nothing of other nodes any more, until a test does.
    #[cfg(feature = "testing")]
    pub fn stop_following(&self) {
        self.follower.abort();
    }

    /// Ends as one that is killed, as far as that goes within a process: no answer
    /// is waited for, nobody is told, and no trail is linked. The store
    /// closes so that another may open it in this process.
    #[cfg(feature = "testing")]
    pub async fn fall(self) {
        let all = self.tasks.iter().chain(&self.chores);
        let all = all.chain([&self.follower, &self.sender, &self.asker]);
        all.for_each(JoinHandle::abort);
        self.app.store.close().await;
    }

    /// Ends: first it is not ready any more, for as long as a load balancer
    /// needs to see that; then no new connections, what has begun is finished,
    /// what was acknowledged is on disk.
    pub async fn stop(self) {
        self.app.drain();
        tokio::time::sleep(self.notice).await;
        // Nobody listens any more where both listeners have ended by themselves.
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
        // What is under way is written down before the store closes.
        let _ = self.sender.await;
        let _ = self.asker.await;
        self.follower.abort();
        for chore in self.chores {
            chore.abort();
            // Cancelled, or ended before.
            let _ = chore.await;
        }
        self.app.note_uses().await;
        let mut seen = job::audit::Seen::default();
        // Where it fails, the next process links what is left.
        let _ = job::audit::link(&self.app, false, &mut seen).await;
        self.app.store.close().await;
    }
}
