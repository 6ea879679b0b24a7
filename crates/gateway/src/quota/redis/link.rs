//! The way to Redis: one connection that all share, a deadline for each act,
//! and a circuit that opens where acts fail, so that nobody waits for what is
//! away. One server, or a cluster.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError,
    ServerErrorKind, TlsCertificates,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::quota::settings;

/// How long setting up a connection may go on by itself, or as long as an act.
const CONNECT: Duration = Duration::from_secs(1);
/// How many acts in a row fail before the circuit opens.
const FAILURES: u32 = 3;
/// After every so many, a connection to a cluster is made anew.
const STALE: u32 = 4;
/// After which time one act tries again, in microseconds.
const PAUSE: u64 = 500_000;

/// Why no way to Redis can be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoLink {
    /// What was said of it makes no sense.
    #[error(transparent)]
    Settings(#[from] RedisError),
    /// Who signs its certificate cannot be read.
    #[error("`{path}` cannot be read: {cause}")]
    Authority {
        /// The file.
        path: String,
        /// Why.
        cause: String,
    },
}

/// Redis did not do what it was asked in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unavailable;

enum Client {
    One(Box<redis::Client>),
    Cluster(Box<ClusterClient>),
}

#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// The way to one Redis.
pub(super) struct Link {
    line: Arc<Line>,
    circuit: Circuit,
}

/// A connection that may have to be made.
struct Line {
    client: Client,
    deadline: Duration,
    connection: RwLock<Option<Connection>>,
    connecting: tokio::sync::Mutex<()>,
}

impl Link {
    /// It connects at the first act.
    pub(super) fn new(settings: &settings::Redis) -> Result<Self, NoLink> {
        let certificates = certificates(settings)?;
        let mut all = Vec::new();
        for address in &settings.addresses {
            let own: ConnectionInfo = address.as_str().into_connection_info()?;
            let mut with = own.redis_settings().clone();
            if let Some(user) = &settings.user {
                with = with.set_username(user);
            }
            if let Some(password) = &settings.password {
                with = with.set_password(password.expose_str());
            }
            all.push(own.set_redis_settings(with));
        }
        let client = match <[ConnectionInfo; 1]>::try_from(all) {
            Ok([one]) => Client::One(Box::new(match certificates {
                Some(own) => redis::Client::build_with_tls(one, own)?,
                None => redis::Client::open(one)?,
            })),
            Err(all) => Client::Cluster(Box::new(cluster(all, settings, certificates)?)),
        };
        let line = Line {
            client,
            deadline: settings.deadline,
            connection: RwLock::default(),
            connecting: tokio::sync::Mutex::default(),
        };
        Ok(Self {
            line: Arc::new(line),
            circuit: Circuit::default(),
        })
    }

    /// Does one act. Whether it was done is unknown where it took too long.
    pub(super) async fn run(
        &self,
        script: &Script,
        act: &Act,
        now: u64,
    ) -> Result<Vec<i64>, Unavailable> {
        self.circuit.enter(now)?;
        let had_connection = self.line.known().is_some();
        let outcome = tokio::time::timeout(self.line.deadline, self.ask(script, act)).await;
        let (is_gone, cause) = match outcome {
            Ok(Ok(numbers)) => {
                self.circuit.close();
                return Ok(numbers);
            }
            Ok(Err(error)) => (is_gone(&error), error.to_string()),
            Err(_) => (true, "it took too long".to_owned()),
        };
        let (failures, has_opened) = self.circuit.fail(now);
        // A cluster repairs itself, up to a point; and what was just connected
        // is not thrown away because the first act took its time.
        let is_one = matches!(self.line.client, Client::One(_));
        let is_stale = failures.is_multiple_of(STALE);
        if had_connection && (is_gone && is_one || is_stale) {
            self.line.set(None);
        }
        if has_opened {
            tracing::error!(cause, "Redis does not count");
        }
        Err(Unavailable)
    }

    async fn ask(&self, script: &Script, act: &Act) -> Result<Vec<i64>, RedisError> {
        let mut connection = match self.line.known() {
            Some(own) => own,
            None => self.connect().await?,
        };
        match connection.query(&act.by_digest(script)).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                connection.query(&act.by_text(script)).await
            }
            other => other,
        }
    }

    /// Connecting goes on where whoever asked for it waits no longer: a cluster
    /// that has lost a node takes its time.
    async fn connect(&self) -> Result<Connection, RedisError> {
        let line = Arc::clone(&self.line);
        let made = tokio::spawn(async move { line.connect().await }).await;
        made.unwrap_or_else(|_| Err((ErrorKind::Io, "connecting broke off").into()))
    }
}

impl Line {
    fn known(&self) -> Option<Connection> {
        let own = self.connection.read();
        own.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, connection: Option<Connection>) {
        let slot = self.connection.write();
        *slot.unwrap_or_else(PoisonError::into_inner) = connection;
    }

    async fn connect(&self) -> Result<Connection, RedisError> {
        let _alone = self.connecting.lock().await;
        if let Some(own) = self.known() {
            return Ok(own);
        }
        let making = async {
            Ok::<_, RedisError>(match &self.client {
                Client::One(client) => {
                    let config = AsyncConnectionConfig::new()
                        .set_connection_timeout(Some(to_connect(self.deadline)))
                        .set_response_timeout(Some(self.deadline));
                    let made = client.get_multiplexed_async_connection_with_config(&config);
                    Connection::One(made.await?)
                }
                Client::Cluster(client) => {
                    Connection::Cluster(client.get_async_connection().await?)
                }
            })
        };
        let late = |_| RedisError::from((ErrorKind::Io, "connecting took too long"));
        let made = tokio::time::timeout(to_connect(self.deadline) * 5, making);
        let own = made.await.map_err(late)??;
        self.set(Some(own.clone()));
        Ok(own)
    }
}

impl Connection {
    async fn query(&mut self, command: &Cmd) -> Result<Vec<i64>, RedisError> {
        match self {
            Self::One(own) => command.query_async(own).await,
            Self::Cluster(own) => command.query_async(own).await,
        }
    }
}

/// Who signs the certificate of Redis, where that was said.
fn certificates(settings: &settings::Redis) -> Result<Option<TlsCertificates>, NoLink> {
    let Some(path) = &settings.authority else {
        return Ok(None);
    };
    let failed = |cause: String| NoLink::Authority {
        path: path.display().to_string(),
        cause,
    };
    let text = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    if !CertificateDer::pem_slice_iter(&text).any(|own| own.is_ok()) {
        return Err(failed("there is no certificate in it".into()));
    }
    Ok(Some(TlsCertificates {
        client_tls: None,
        root_cert: Some(text),
    }))
}

fn to_connect(deadline: Duration) -> Duration {
    deadline.max(CONNECT)
}

fn cluster(
    all: Vec<ConnectionInfo>,
    settings: &settings::Redis,
    certificates: Option<TlsCertificates>,
) -> Result<ClusterClient, RedisError> {
    let mut builder = ClusterClientBuilder::new(all)
        .connection_timeout(to_connect(settings.deadline))
        .response_timeout(settings.deadline)
        // An act that may have been done is not done again.
        .retries(1);
    if let Some(user) = &settings.user {
        builder = builder.username(user.clone());
    }
    if let Some(password) = &settings.password {
        builder = builder.password(password.expose_str());
    }
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    builder.build()
}

/// Whether the connection is of no more use.
fn is_gone(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error() || error.is_timeout()
}

/// The text of all acts, and its name at the server.
pub(super) struct Script {
    pub(super) text: &'static str,
    pub(super) digest: String,
}

/// One act on the counts of one subject.
pub(super) struct Act {
    pub(super) keys: Vec<String>,
    pub(super) arguments: Vec<String>,
}

impl Act {
    fn by_digest(&self, script: &Script) -> Cmd {
        self.command("EVALSHA", &script.digest)
    }

    fn by_text(&self, script: &Script) -> Cmd {
        self.command("EVAL", script.text)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len());
        command.arg(&self.keys).arg(&self.arguments);
        command
    }
}

/// Open where acts fail: then one act at a time may try, after a pause.
#[derive(Default)]
struct Circuit {
    failures: AtomicU32,
    /// Until when nobody may try; zero where it is closed.
    shut: AtomicU64,
}

impl Circuit {
    fn enter(&self, now: u64) -> Result<(), Unavailable> {
        let shut = self.shut.load(Ordering::Acquire);
        if shut == 0 {
            return Ok(());
        }
        if now < shut {
            return Err(Unavailable);
        }
        // Whoever moves it on tries; the others go on waiting.
        let moved =
            self.shut
                .compare_exchange(shut, now + PAUSE, Ordering::AcqRel, Ordering::Acquire);
        moved.map(|_| ()).map_err(|_| Unavailable)
    }

    fn close(&self) {
        self.failures.store(0, Ordering::Release);
        if self.shut.swap(0, Ordering::AcqRel) != 0 {
            tracing::info!("Redis counts again");
            metrics::gauge!("symbolon_gateway_limit_store_up").set(1.0);
        }
    }

    /// Notes a failure: how many there were in a row, and whether the circuit
    /// opened with it.
    fn fail(&self, now: u64) -> (u32, bool) {
        let failures = self.failures.fetch_add(1, Ordering::AcqRel) + 1;
        if failures < FAILURES {
            return (failures, false);
        }
        metrics::gauge!("symbolon_gateway_limit_store_up").set(0.0);
        let was = self.shut.swap(now + PAUSE, Ordering::AcqRel);
        (failures, was == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_opens_after_failures_and_lets_one_try_after_a_pause() {
        let circuit = Circuit::default();
        assert_eq!(circuit.fail(10), (1, false));
        assert_eq!(circuit.fail(11), (2, false));
        assert!(circuit.enter(12).is_ok());
        assert_eq!(circuit.fail(12), (3, true));

        assert_eq!(circuit.enter(13), Err(Unavailable));
        let later = 12 + PAUSE;
        assert!(circuit.enter(later).is_ok());
        assert_eq!(circuit.enter(later), Err(Unavailable));
        circuit.close();

        assert!(circuit.enter(later).is_ok());
        assert!(circuit.enter(later).is_ok());
    }
}
