//! The gateway before a small service, against the same gateway on a route that
//! asks nothing, and against a bare proxy.
//!
//! A request is asked for a good JWT, whether that was taken back, whether
//! policies allow it and whether a limit has room. Once it is the same request
//! each time, once no two are for the same target.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::figure::{Bound, Figure};
use crate::floor::Floor;
use crate::load::{CONNECTIONS, Caller};
use crate::process::{Process, free_address};
use crate::server::{Home, ORDERS, SECRET, client_credentials};
use crate::wire::Request;

/// How large an answer of the service is, in bytes.
const ANSWER_BYTES: usize = 256;
/// What the route asks besides the six checks.
const GUARDED: &str = "limits = [\"enough\"]";
/// What it names. Nobody gets to the end of the limit, and each request is
/// charged to it.
const BLOCKS: &str = r#"
[[limit]]
name = "enough"
per = "client"
rate = 60000000
period = "1m"
burst = 60000000

[policy]
files = ["orders.cedar"]
"#;
/// One policy that permits and nine that could forbid.
const POLICIES: usize = 10;

pub(crate) fn gateway(bench: &Bench) -> Result<Vec<Figure>> {
    let home = Home::on_sqlite(bench, "gateway")?;
    let issuer = home.start(bench)?;
    let service = Floor::Answers(ANSWER_BYTES).start(bench)?;
    let bare = Floor::Passes(service.address).start(bench)?;
    let ours = start(bench, &home, (issuer.address, service.address))?;
    let tokens = (0..CONNECTIONS)
        .map(|_| {
            let issued = client_credentials(ORDERS).ask(issuer.address)?;
            issued.text("access_token")
        })
        .collect::<Result<Vec<_>>>()?;
    let guarded = |n: usize| {
        let bearer = format!("Bearer {}", tokens[n % tokens.len()]);
        Request::get("/orders/7").header("authorization", &bearer)
    };
    let open = |_| Request::get("/open/7");
    let anew = |n: usize| Anew::of(&guarded(n), ours.address);
    let refused = Request::get("/orders/7").send(ours.address)?;
    ensure!(refused.status == 401, "without a token: {}", refused.status);

    let beside_open = bench.between((&ours, &open), (&ours, &guarded))?;
    let beside_bare = bench.between((&bare, &guarded), (&ours, &guarded))?;
    let anew_beside_open = bench.interleave(
        || bench.ask((&ours, &open)),
        || {
            Ok(bench
                .load(&ours)
                .run((0..CONNECTIONS).map(anew).collect())?
                .0)
        },
    )?;
    let open_beside_bare = bench.between((&bare, &open), (&ours, &open))?;

    Ok(vec![
        beside_open.rate(
            "gateway, seen JWT, beside a route that asks nothing",
            Bound::AtLeast(0.70),
        ),
        anew_beside_open.rate("the same, no two requests for the same target", Bound::None),
        beside_bare.rate("gateway, seen JWT, beside a bare proxy", Bound::None),
        open_beside_bare.rate("gateway, open route, beside a bare proxy", Bound::None),
    ])
}

fn start(bench: &Bench, home: &Home, (issuer, service): Between) -> Result<Process> {
    let (listen, admin) = (free_address()?, free_address()?);
    let path: PathBuf = home.folder.join("gateway.toml");
    std::fs::write(
        &path,
        format!(
            r#"[gateway]
listen = "{listen}"
admin_listen = "{admin}"
issuer = "http://{issuer}"
introspection_client = "guard"
introspection_secret = "{SECRET}"

[[gateway.upstream]]
name = "orders"
url = "http://{service}"

[[gateway.route]]
path = "/orders/{{id}}"
upstream = "orders"
audience = "{ORDERS}"
scopes = ["read:orders"]
{GUARDED}

[[gateway.route]]
path = "/open/{{id}}"
upstream = "orders"
public = true

[[gateway.route]]
path = "/readyz"
upstream = "orders"
public = true
{BLOCKS}
"#
        ),
    )?;
    std::fs::write(home.folder.join("orders.cedar"), policies())?;
    let mut command = Command::new(bench.server()?);
    command.arg("gateway").arg("--config").arg(&path);
    Process::start(command, listen, &home.folder.join("gateway.log"))
}

/// The issuer and the service.
type Between = (SocketAddr, SocketAddr);

fn policies() -> String {
    let permit = "permit(principal, action in Action::\"read\", resource) when { principal.scopes.contains(\"read:orders\") };\n";
    let forbids = (1..POLICIES).map(|at| {
        format!("forbid(principal, action, resource) when {{ principal.roles.contains(\"role{at}\") && context.hour > 22 }};\n")
    });
    std::iter::once(permit.to_owned()).chain(forbids).collect()
}

/// Asks for another target each time: a number in the query counts up.
struct Anew {
    bytes: Vec<u8>,
    /// Where the number stands.
    at: std::ops::Range<usize>,
    count: u32,
}

impl Anew {
    const NUMBER: &str = "0000000000";

    fn of(request: &Request, address: SocketAddr) -> Self {
        let mut bytes = request.bytes(address);
        let target = b"/orders/7";
        let found = bytes.windows(target.len()).position(|own| own == target);
        let at = found.map_or(0, |at| at + target.len());
        let query = format!("?n={}", Self::NUMBER);
        bytes.splice(at..at, query.bytes());
        let number = at + query.len() - Self::NUMBER.len();
        Self {
            bytes,
            at: number..at + query.len(),
            count: 0,
        }
    }
}

impl Caller for Anew {
    fn request(&self) -> &[u8] {
        &self.bytes
    }

    fn answered(&mut self, _body: &[u8]) -> Result<()> {
        self.count += 1;
        let number = format!("{:010}", self.count);
        self.bytes[self.at.clone()].copy_from_slice(number.as_bytes());
        Ok(())
    }
}
