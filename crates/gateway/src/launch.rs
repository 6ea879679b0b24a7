//! From settings to a running gateway, and to an end in which no request fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin::Numbers;
use crate::browser;
use crate::gateway::{Edge, Gateway, PlanError};
use crate::listen::{self, Asks, Certificate, Listening, Role, ServeError};
use crate::outlook;
use crate::settings::Settings;

/// How long a load balancer has to see that the end is near. On loopback
/// nobody balances.
const NOTICE: Duration = Duration::from_secs(2);

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// A listener.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The settings.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl LaunchError {
    /// A stable word for scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Serve(error) => error.code(),
            Self::Plan(error) => error.code(),
        }
    }
}

/// What a gateway starts with.
pub struct Launch {
    /// For everybody.
    pub public: TcpListener,
    /// For operators, where there is one.
    pub admin: Option<TcpListener>,
    /// For proxies that ask, where they have one of their own.
    pub forward_auth: Option<TcpListener>,
    /// Which of the three another process holds open too: those are not closed
    /// to callers when this one ends.
    pub lasts: [bool; 3],
    /// The certificate, where nothing before it ends TLS.
    pub certificate: Option<Arc<Certificate>>,
    /// Whether callers are asked for theirs, which tokens may be bound to.
    pub asks: Asks,
    /// What gives the numbers of this process.
    pub numbers: Option<Arc<dyn Fn() -> String + Send + Sync>>,
}

impl Launch {
    /// Binds the addresses.
    pub async fn bind(public: SocketAddr, admin: Option<SocketAddr>) -> Result<Self, ServeError> {
        let mut launch = Self::on(listen::bind(public).await?);
        if let Some(address) = admin {
            launch.admin = Some(listen::bind(address).await?);
        }
        Ok(launch)
    }

    /// Takes a listener that is there, and nothing else.
    pub fn on(public: TcpListener) -> Self {
        Self {
            public,
            admin: None,
            forward_auth: None,
            lasts: [false; 3],
            certificate: None,
            asks: Asks::Nothing,
            numbers: None,
        }
    }

    /// Starts.
    pub fn start(self, settings: Settings, edge: Edge) -> Result<Running, LaunchError> {
        let gateway = Gateway::new(settings, edge)?;
        let notice = match self.public.local_addr() {
            Ok(address) if address.ip().is_loopback() => Duration::ZERO,
            _ => NOTICE,
        };
        let (stop, stopped) = watch::channel(false);
        let tls = match &self.certificate {
            Some(certificate) => Some(certificate.acceptor(self.asks)?),
            None => None,
        };
        let stopping = stopped.clone();
        let [public_lasts, admin_lasts, asked_lasts] = self.lasts;
        let listening = |listener, lasts| Listening { listener, lasts };
        let mut tasks = vec![tokio::spawn(listen::serve(
            listening(self.public, public_lasts),
            tls,
            Role::Public(gateway.clone()),
            stopped.clone(),
        ))];
        if let Some(asked) = self.forward_auth {
            let role = Role::ForwardAuth(gateway.clone());
            tasks.push(tokio::spawn(listen::serve(
                listening(asked, asked_lasts),
                None,
                role,
                stopped.clone(),
            )));
        }
        if let Some(admin) = self.admin {
            let numbers: Option<Numbers> = self.numbers;
            let role = Role::Admin(gateway.clone(), numbers);
            let admin = listening(admin, admin_lasts);
            tasks.push(tokio::spawn(listen::serve(admin, None, role, stopped)));
        }
        gateway.begin_checks();
        let warming = gateway.clone();
        // The issuer may not be there yet; whoever comes first waits for nothing.
        tokio::spawn(async move { warming.warm().await });
        tokio::spawn(outlook::watch(gateway.clone(), stopping.clone()));
        tokio::spawn(browser::purge(gateway.clone(), stopping));
        Ok(Running {
            gateway,
            stop,
            tasks,
            notice,
        })
    }
}

/// A gateway that runs.
pub struct Running {
    /// The gateway.
    pub gateway: Gateway,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    notice: Duration,
}

impl Running {
    /// Refuses readiness, takes no more connections, and waits for what runs.
    pub async fn stop(self) {
        self.gateway.begin_to_end();
        tokio::time::sleep(self.notice).await;
        // Listeners that have ended by themselves need not be told.
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}
