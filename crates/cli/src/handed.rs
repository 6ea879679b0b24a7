//! Listening sockets that a supervisor holds open and hands over, so that
//! callers wait in its queue while the server or the gateway is restarted.
//!
//! 1. What was handed over is taken before anything else runs: no program
//!    that the configuration names may inherit it.
//! 2. Each is given its place by its name, or by its number where none of the
//!    names is one of ours.
//! 3. What was not handed over is bound as the configuration says.
//!
//! Spec: sd_listen_fds(3)

use std::net::{SocketAddr, TcpListener as Socket};
use std::time::Duration;

use listenfd::ListenFd;
use socket2::SockRef;
use symbolon_gateway::Launch;
use symbolon_server::config::{Config, GatewayConfig};
use symbolon_server::launch::Listeners;
use symbolon_server::serve::{self, ServeError};
use tokio::net::TcpListener;

/// The names of a program's places, in the order in which nameless sockets take
/// them.
pub(crate) type Names = [&'static str; 3];

/// Those of `symbolon serve`.
pub(crate) const OF_SERVER: Names = ["main", "admin", "mtls"];
/// Those of `symbolon gateway`.
pub(crate) const OF_GATEWAY: Names = ["main", "admin", "forward-auth"];

/// How long the process before this one may go on holding the database: as
/// long as its last requests may take, and what comes after them.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why sockets that were handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandedError {
    /// A name that is none of ours.
    #[error("a socket is handed over as `{0}`: the names are `{one}`, `{two}` and `{three}`", one = .1[0], two = .1[1], three = .1[2])]
    Unknown(String, Names),
    /// Two sockets for one place.
    #[error("two sockets are handed over as `{0}`")]
    Twice(&'static str),
    /// More than there are places.
    #[error("{0} sockets are handed over, and there are places for three")]
    TooMany(usize),
    /// Something that does not listen on TCP.
    #[error("what is handed over as `{0}` is no listening TCP socket: {1}")]
    Socket(&'static str, std::io::Error),
    /// One that the configuration does not speak of.
    #[error("a socket is handed over as `{name}`, and {key} is not set")]
    Unasked {
        /// The name of its place.
        name: &'static str,
        /// What would have to be set.
        key: &'static str,
    },
}

/// The sockets by their places.
#[derive(Debug, Default)]
pub(crate) struct Handed([Option<Socket>; 3]);

impl Handed {
    /// Takes what was handed over to this process. To be called first.
    pub(crate) fn take(own: Names) -> Result<Self, HandedError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut given = ListenFd::from_env();
        let mut handed = Self::default();
        for (number, place) in places(own, &names, given.len())?.into_iter().enumerate() {
            let name = own[place];
            let socket = given
                .take_tcp_listener(number)
                .and_then(|socket| socket.ok_or_else(|| std::io::ErrorKind::NotFound.into()))
                .and_then(prepared)
                .map_err(|cause| HandedError::Socket(name, cause))?;
            handed.0[place] = Some(socket);
        }
        Ok(handed)
    }

    /// The listeners of a configuration: those that were handed over, and the
    /// others bound.
    pub(crate) async fn listeners(self, config: &Config) -> anyhow::Result<Listeners> {
        let lasts = self.0.each_ref().map(Option::is_some);
        let [main, admin, mtls] = self.0;
        let mutual_tls = optional(mtls, config.mtls_listen, ("mtls", "`mtls_listen`")).await?;
        Ok(Listeners {
            public: listener(main, config.listen).await?,
            admin: listener(admin, config.admin.listen).await?,
            mutual_tls,
            patience: if lasts[0] { PATIENCE } else { Duration::ZERO },
            lasts,
        })
    }

    /// What a gateway starts with: its listeners, those that were handed over and
    /// the others bound.
    pub(crate) async fn launch(self, config: &GatewayConfig) -> anyhow::Result<Launch> {
        let lasts = self.0.each_ref().map(Option::is_some);
        let [main, admin, asked] = self.0;
        let asked_at = config.forward_auth.as_ref().and_then(|own| own.listen);
        let key = ("admin", "`admin_listen`");
        let admin = optional(admin, config.admin_listen, key).await?;
        let key = ("forward-auth", "`listen` of `[gateway.forward_auth]`");
        let asked = optional(asked, asked_at, key).await?;
        let mut launch = Launch::on(listener(main, config.listen).await?);
        (launch.admin, launch.forward_auth) = (admin, asked);
        launch.lasts = lasts;
        Ok(launch)
    }
}

/// The place of each socket.
fn places(own: Names, names: &str, sockets: usize) -> Result<Vec<usize>, HandedError> {
    if sockets > own.len() {
        return Err(HandedError::TooMany(sockets));
    }
    let place = |name: &str| own.iter().position(|own| *own == name);
    let names: Vec<&str> = names.split(':').take(sockets).collect();
    // A supervisor that was told no names gives those of its own units.
    if !names.iter().any(|name| place(name).is_some()) {
        return Ok((0..sockets).collect());
    }
    let mut taken = Vec::new();
    for number in 0..sockets {
        let name = names.get(number).copied().unwrap_or_default();
        let here = place(name).ok_or_else(|| HandedError::Unknown(name.to_owned(), own))?;
        if taken.contains(&here) {
            return Err(HandedError::Twice(own[here]));
        }
        taken.push(here);
    }
    Ok(taken)
}

/// A supervisor that accepts by itself would hand over a caller instead.
fn prepared(socket: Socket) -> std::io::Result<Socket> {
    if !SockRef::from(&socket).is_listener()? {
        return Err(std::io::ErrorKind::NotConnected.into());
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A listener that need not be there: where it is not configured, a socket for it
/// is a mistake.
async fn optional(
    socket: Option<Socket>,
    address: Option<SocketAddr>,
    (name, key): (&'static str, &'static str),
) -> anyhow::Result<Option<TcpListener>> {
    match (socket, address) {
        (Some(_), None) => Err(HandedError::Unasked { name, key }.into()),
        (socket, Some(address)) => Ok(Some(listener(socket, address).await?)),
        (None, None) => Ok(None),
    }
}

async fn listener(socket: Option<Socket>, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let Some(socket) = socket else {
        return serve::bind(address).await;
    };
    let refused = |cause| ServeError::Listen { address, cause };
    let own = socket.local_addr().map_err(refused)?;
    if own != address {
        tracing::warn!(configured = %address, handed_over = %own, "the socket that was handed over listens elsewhere than the configuration says; the socket is used");
    }
    TcpListener::from_std(socket).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_have_their_places_by_name() {
        assert_eq!(places(OF_SERVER, "admin:main", 2).unwrap(), [1, 0]);
        assert_eq!(places(OF_SERVER, "mtls:main:admin", 3).unwrap(), [2, 0, 1]);
    }

    #[test]
    fn sockets_without_names_of_ours_have_their_places_by_number() {
        assert_eq!(places(OF_SERVER, "", 2).unwrap(), [0, 1]);
        assert_eq!(
            places(OF_SERVER, "symbolon.socket:unknown", 2).unwrap(),
            [0, 1]
        );
        assert!(places(OF_SERVER, "", 0).unwrap().is_empty());
    }

    #[test]
    fn names_that_are_wrong_once_are_refused() {
        let refused = |names, sockets| places(OF_SERVER, names, sockets).unwrap_err();

        assert!(
            matches!(refused("main:adnim", 2), HandedError::Unknown(name, _) if name == "adnim")
        );
        assert!(matches!(refused("main", 2), HandedError::Unknown(..)));
        assert!(matches!(
            refused("main:main", 2),
            HandedError::Twice("main")
        ));
        assert!(matches!(refused("", 4), HandedError::TooMany(4)));
    }
}
