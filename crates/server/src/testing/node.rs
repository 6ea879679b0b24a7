//! A whole server in this process, on free ports, with a clock of the test's.

use std::path::Path;

use crate::app::Edge;
use crate::config::Config;
use crate::launch::{Listeners, Running, launch};

/// A server that runs in this process.
#[derive(Debug)]
pub struct Node {
    /// Where it listens.
    pub address: String,
    /// Where administration listens.
    pub admin: String,
    /// Where certificates of clients are asked for, if anywhere.
    pub mutual_tls: Option<String>,
    /// The bearer of the admin API.
    pub admin_token: String,
    /// What runs.
    pub running: Running,
}

impl Node {
    /// Starts a server in a folder, with the file that `text` writes for an
    /// issuer. Nodes that share a folder share its issuer, whatever port each
    /// listens on; where the file says 0, any port is meant.
    pub async fn start(folder: &Path, edge: Edge, text: impl FnOnce(&str) -> String) -> Self {
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = Listeners::bind(any, any).await.expect("two free ports");
        let public = listeners.public.local_addr().expect("a port");
        let admin = listeners.admin.local_addr().expect("a port");
        let issuer = Self::issuer(folder).unwrap_or_else(|| format!("http://{public}"));
        std::fs::write(folder.join("issuer"), &issuer).expect("a folder to write to");
        let path = folder.join(format!("symbolon-{}.toml", public.port()));
        std::fs::write(&path, text(&issuer)).expect("a folder to write to");
        let (mut config, _) = Config::load(&path, Vec::new()).unwrap_or_else(|findings| {
            let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
            panic!("{}", lines.join("\n"))
        });
        let listeners = listeners.and_mutual_tls(config.mtls_listen).await;
        let listeners = listeners.expect("a free port");
        let mutual_tls = listeners.mutual_tls.as_ref();
        let mutual_tls = mutual_tls.map(|own| own.local_addr().expect("a port"));
        config.mtls_listen = mutual_tls;
        let running = launch(&config, listeners, edge)
            .await
            .expect("a server that starts");
        let token = std::fs::read_to_string(folder.join("admin.token")).expect("a token");
        Self {
            address: format!("http://{public}"),
            admin: format!("http://{admin}"),
            mutual_tls: mutual_tls.map(|own| format!("https://{own}")),
            admin_token: token.trim().to_owned(),
            running,
        }
    }

    /// The issuer of the servers in a folder.
    pub fn issuer(folder: &Path) -> Option<String> {
        std::fs::read_to_string(folder.join("issuer")).ok()
    }
}
