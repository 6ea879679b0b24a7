//! The line to the database: a bounded pool, a circuit, and the probe that
//! closes it again.
//!
//! 1. A call takes a connection. Where none can be had, or the last answer
//!    never came, the database is suspected and a probe is sent.
//! 2. The probe asks on a connection of its own. Two refusals, or one silence,
//!    open the circuit: calls are refused at once, those that wait for a
//!    connection included.
//! 3. Once a probe is answered, the circuit closes, and what was connected
//!    before is thrown away: it may lead to a server that is no more.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
};
use tokio::runtime::Handle;
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::Address;
use super::circuit::{Circuit, State};
use crate::fault::Fault;
use crate::store::{DEADLINE, Options};

/// How long a probe waits for its answer.
const PROBE: Duration = Duration::from_secs(1);
/// How long after a refusal the next probe is sent.
const PAUSE: Duration = Duration::from_millis(200);
/// How many refusals open the circuit: a restart of a moment opens nothing.
const REFUSALS: u32 = 2;
/// How long a connection has to become idle whose call was given up.
const REST: Duration = Duration::from_secs(1);

/// How many milliseconds a server waits for what. It outlasts no call of ours,
/// so a server never waits longer for a node than a caller would. A connection
/// is told before its first use; behind a pooler, each transaction is.
pub(super) const LIMITS: [(&str, u32); 3] = [
    ("statement_timeout", 3000),
    ("lock_timeout", 3000),
    ("idle_in_transaction_session_timeout", 4000),
];
/// What lets a server notice that a node is gone whose packets just stop. Not
/// every engine knows these words.
const KEEPALIVES: &str = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2;
    SET tcp_keepalives_count = 3; SET client_connection_check_interval = 2000";

/// The line to one database.
pub(crate) struct Line {
    pool: Pool,
    circuit: Circuit,
    config: Config,
    tls: MakeRustlsConnect,
}

impl Line {
    pub(crate) fn new(address: Address, options: &Options) -> Result<Arc<Self>, Fault> {
        let Address { config, tls } = address;
        let recycling_method = RecyclingMethod::Fast;
        let settings = ManagerConfig { recycling_method };
        let manager = Manager::from_config(config.clone(), tls.clone(), settings);
        let mut builder = Pool::builder(manager)
            .max_size(options.pool_size.max(1))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(DEADLINE))
            .create_timeout(Some(DEADLINE))
            .recycle_timeout(Some(DEADLINE));
        // Behind a pooler a setting would stay with somebody else's connection.
        if options.named_statements {
            builder = builder.post_create(Hook::async_fn(|client, _| {
                Box::pin(async move {
                    let limits = LIMITS.map(|(name, value)| format!("SET {name} = {value};"));
                    let told = client.batch_execute(&limits.concat()).await;
                    told.map_err(HookError::Backend)?;
                    match client.batch_execute(KEEPALIVES).await {
                        Err(error) if error.as_db_error().is_none() => {
                            Err(HookError::Backend(error))
                        }
                        _ => Ok(()),
                    }
                })
            }));
        }
        let pool = builder
            .build()
            .map_err(|_| Fault::broken("postgresql: the pool could not be made"))?;
        let circuit = Circuit::new();
        Ok(Arc::new(Self {
            pool,
            circuit,
            config,
            tls,
        }))
    }

    /// A connection, or at once the news that there is none to be had.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Held, Fault> {
        if self.circuit.state() == State::Open {
            return Err(away());
        }
        let got = tokio::select! {
            biased;
            got = self.pool.get() => got,
            () = self.circuit.opened() => return Err(away()),
        };
        match got {
            Ok(client) => Ok(Held {
                client: Some(client),
                line: Arc::clone(self),
                is_busy: true,
            }),
            Err(error) => {
                let fault = Fault::from(error);
                if fault.is_lost() {
                    self.suspect();
                }
                Err(fault)
            }
        }
    }

    /// Notes a failure that may be the database's own.
    pub(crate) fn suspect(self: &Arc<Self>) {
        // Where no runtime is left, nobody asks for anything any more.
        if let Ok(runtime) = Handle::try_current()
            && self.circuit.suspect()
        {
            runtime.spawn(probe(Arc::downgrade(self)));
        }
    }

    /// Throws away what was connected before a connection that was lost, and
    /// lies idle: it led to the same server.
    fn forget_until(&self, born: Instant) {
        self.pool.retain(|_, metrics| metrics.created > born);
    }

    /// Asks on a connection of its own: the pool's may all be in use.
    async fn ask(&self) -> Result<(), Silence> {
        let asking = async {
            let (client, connection) = self.config.connect(self.tls.clone()).await?;
            // Polled here, so that it ends here, whatever the server does.
            let answer = client.simple_query("SELECT 1");
            tokio::select! {
                biased;
                answer = answer => answer.map(|_| ()),
                ended = connection => ended,
            }
        };
        match tokio::time::timeout(PROBE, asking).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let fault = Fault::of_connecting(&error);
                // One that has no room is there all the same.
                match fault.is_turned_away() {
                    true => Err(Silence::Refused(fault)),
                    false => Ok(()),
                }
            }
            Err(_) => Err(Silence::Nothing),
        }
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }

    /// How many connections there are, and how many of them are idle.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.available)
    }
}

/// How a probe failed.
enum Silence {
    Refused(Fault),
    Nothing,
}

fn away() -> Fault {
    Fault::unavailable("postgresql: it did not answer lately, and is asked again every moment")
}

/// Asks until it is answered, or nobody is there any more who would care.
async fn probe(line: Weak<Line>) {
    let mut refusals = 0;
    loop {
        let Some(line) = line.upgrade().filter(|line| !line.pool.is_closed()) else {
            return;
        };
        match line.ask().await {
            Ok(()) => {
                if line.circuit.state() == State::Open {
                    line.pool.retain(|_, _| false);
                    tracing::info!("postgresql answers again");
                }
                line.circuit.close();
                return;
            }
            Err(silence) => {
                refusals += 1;
                let is_enough = match &silence {
                    Silence::Refused(_) => refusals >= REFUSALS,
                    Silence::Nothing => true,
                };
                if is_enough && line.circuit.state() != State::Open {
                    let cause = match silence {
                        Silence::Refused(fault) => fault.to_string(),
                        Silence::Nothing => "no answer".to_owned(),
                    };
                    tracing::error!(%cause, "postgresql cannot be reached: calls are refused until it can");
                    line.circuit.open();
                    line.pool.retain(|_, _| false);
                }
            }
        }
        drop(line);
        tokio::time::sleep(PAUSE).await;
    }
}

/// A connection while a call has it.
pub(crate) struct Held {
    client: Option<Client>,
    line: Arc<Line>,
    is_busy: bool,
}

impl Held {
    /// The connection.
    pub(crate) fn client(&mut self) -> Result<&mut Client, Fault> {
        let gone = || Fault::broken("postgresql: a connection was used after its end");
        self.client.as_mut().ok_or_else(gone)
    }

    /// Gives the connection back: every answer was read.
    pub(crate) fn give_back(mut self) {
        self.is_busy = false;
    }

    /// Throws the connection away, and those that led to where it led.
    pub(crate) fn throw_away(mut self) {
        if let Some(client) = self.client.take() {
            let born = Object::metrics(&client).created;
            drop(Client::take(client));
            self.line.forget_until(born);
        }
    }

    /// Throws the connection away: whatever it waits for, nobody else shall.
    pub(crate) fn cut(mut self) {
        if let Some(client) = self.client.take() {
            drop(Client::take(client));
        }
    }
}

/// A call that was given up leaves answers behind that nobody has read, and
/// maybe a statement that still runs. The connection goes back once it is
/// idle, or not at all, so that no other call waits for what this one began.
impl Drop for Held {
    fn drop(&mut self) {
        let Some(client) = self.client.take().filter(|_| self.is_busy) else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            drop(Client::take(client));
            return;
        };
        runtime.spawn(async move {
            let idle = tokio::time::timeout(REST, client.simple_query("")).await;
            if !matches!(idle, Ok(Ok(_))) {
                drop(Client::take(client));
            }
        });
    }
}
