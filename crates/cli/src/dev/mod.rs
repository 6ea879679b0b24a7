//! `symbolon dev`: everything on this machine, all of it the real code.
//!
//! 1. Three ports: authorization server, gateway, administration; and one for
//!    the demo API behind the gateway.
//! 2. A configuration file and secrets in the data folder, made once.
//! 3. The server, the gateway, and the demo API, which believes it alone.
//! 4. A token by client credentials, over HTTP like anybody's.
//! 5. Two `curl` lines: one that reads, one that is refused.

mod demo;
pub(crate) mod home;
mod words;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde::Serialize;
use serde_json::Value;
use symbolon_gateway::Launch;
use symbolon_server::launch::{Listeners, launch};
use symbolon_server::serve::{self as listener, Capacity, Listening};
use tokio::sync::watch;

use self::home::{Addresses, Home};
use crate::gateway::{graphs, guard_edge, settings};
use crate::serve::{Asked, Signals, edge, load};

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon dev\n  symbolon dev --json --port 0 --data /tmp/try | head -1 | jq -r .access_token"
)]
pub(crate) struct DevArguments {
    /// Print what a script needs as one line of JSON first
    #[arg(long)]
    json: bool,
    /// Where the database, the keys and the configuration are kept
    #[arg(long, value_name = "DIR", default_value = "data/dev")]
    data: PathBuf,
    /// The port of the authorization server; the gateway takes the next one,
    /// administration the one after. 0 picks free ones
    #[arg(long, value_name = "N", default_value_t = 8080,
        value_parser = clap::value_parser!(u16).range(..=i64::from(LAST_PORT)))]
    port: u16,
}

/// What a newcomer, or their script, needs.
#[derive(Serialize)]
struct Ready {
    issuer: String,
    gateway: String,
    client_id: String,
    client_secret: String,
    username: String,
    password: String,
    admin_url: String,
    access_token: String,
    good: Try,
    bad: Try,
}

/// A command to try, and the status that it ends with.
#[derive(Serialize)]
struct Try {
    command: String,
    expect: u16,
}

pub(crate) async fn run(arguments: DevArguments) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let (listeners, guard) = bind(arguments.port).await?;
    let demo = listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let home = Home::prepare(
        &arguments.data,
        &Addresses {
            issuer: listeners.public.local_addr()?,
            gateway: guard.public.local_addr()?,
            admin: listeners.admin.local_addr()?,
            demo: demo.local_addr()?,
        },
    )?;
    let mut config = load(&home.config)?;
    let guarding = config.gateway.take().context("`dev` writes a gateway")?;
    let running = launch(&config, listeners, edge()).await?;
    let tell = |finding: &_| eprintln!("{finding}");
    let graphs = graphs(&guarding, tell)?;
    let guarding = guard.start(settings(guarding, (graphs, None), tell)?, guard_edge())?;
    let (stop, stopped) = watch::channel(false);
    let router = demo::router(&guarding.gateway, edge().clock);
    let capacity = Capacity::of_administration();
    let demo = Listening::new(demo, false);
    let serving = tokio::spawn(listener::serve(demo, None, router, capacity, stopped));
    let ready = ready(&home, running.app.status_link()).await?;
    if arguments.json {
        say!("{}", serde_json::to_string(&ready)?);
    } else {
        print!("{}", words::greeting(&ready, &home, &words::Places::find()));
    }
    while !matches!(signals.next().await, Asked::End) {}
    guarding.stop().await;
    // The demo API may have ended by itself; then there is nothing to stop.
    let _ = stop.send(true);
    running.stop().await;
    serving.await?;
    Ok(ExitCode::SUCCESS)
}

/// The highest port from which three stand in a row.
const LAST_PORT: u16 = u16::MAX - 2;

/// Three loopback ports: in a row, or whichever are free.
async fn bind(port: u16) -> anyhow::Result<(Listeners, Launch)> {
    let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let next = |by: u16| if port == 0 { 0 } else { port + by };
    let taken = || {
        format!(
            "the ports {port} to {} are needed; `--port 0` picks free ones",
            next(2)
        )
    };
    let listeners = Listeners::bind(at(port), at(next(2)))
        .await
        .with_context(taken)?;
    let guard = Launch::bind(at(next(1)), None).await.with_context(taken)?;
    Ok((listeners, guard))
}

async fn ready(home: &Home, admin_url: String) -> anyhow::Result<Ready> {
    let access_token = home.token("read:invoices").await?;
    let command = |method: &str| {
        format!(
            "curl -s -w '\\n%{{http_code}}\\n' {method}-H 'Authorization: Bearer {access_token}' {}/invoices/17",
            home.demo
        )
    };
    Ok(Ready {
        issuer: home.issuer.clone(),
        gateway: home.demo.clone(),
        client_id: home::CLIENT.to_owned(),
        client_secret: home.secrets.client.clone(),
        username: home::USER.to_owned(),
        password: home.secrets.password.clone(),
        admin_url,
        good: Try {
            command: command(""),
            expect: 200,
        },
        bad: Try {
            command: command("-X DELETE "),
            expect: 403,
        },
        access_token,
    })
}

impl Home {
    /// A token for the demo client, got over HTTP like anybody's.
    async fn token(&self, scope: &str) -> anyhow::Result<String> {
        #[expect(clippy::disallowed_methods, reason = "a call to this very process")]
        let client = reqwest::Client::builder().no_proxy().build()?;
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", scope),
            ("resource", &self.demo),
        ];
        let request = client
            .post(format!("{}/token", self.issuer))
            .basic_auth(home::CLIENT, Some(&self.secrets.client));
        let answer: Value = request.form(&form).send().await?.json().await?;
        match answer.get("access_token").and_then(Value::as_str) {
            Some(token) => Ok(token.to_owned()),
            None => bail!(
                "the server gave no token: {}",
                answer.get("error_description").unwrap_or(&Value::Null)
            ),
        }
    }
}
