//! R17: one machine is restarted again and again under load, and because its
//! supervisor holds the listening sockets, no request fails.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use symbolon_server::testing::http;
use symbolon_testkit::Row;
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::gateway::{Guard, token};
use crate::program::{Engine, PATIENCE, Plan, Program, Site, command, ended};

/// How many requests a second.
const RATE: u32 = 300;
/// How many callers may wait in a socket's queue while nobody accepts.
const BACKLOG: u32 = 1024;

/// What a supervisor does before it becomes the server: the sockets, which
/// came as standard input and output, go where servers look for them.
const HAND_OVER: &str = r#"exec 3<&0 4<&1 </dev/null >&2
LISTEN_FDS=2 LISTEN_FDNAMES="$1" LISTEN_PID=$$
export LISTEN_FDS LISTEN_FDNAMES LISTEN_PID
exec "$0" "$2" --config "$3""#;

/// A supervisor's sockets: open as long as it is, whoever accepts on them.
struct Sockets([std::net::TcpListener; 2]);

impl Sockets {
    /// Those that this installation's file speaks of.
    fn open(site: &Site) -> Self {
        let admin = site.admin.trim_start_matches("http://").parse().unwrap();
        Self([site.listen, admin].map(listening))
    }

    /// Starts the server on them, under these names.
    fn command(&self, site: &Site, names: &str) -> Command {
        self.under(names, "serve", (&site.configuration(), &site.output()))
    }

    /// Starts a program on them that reads one file and writes another.
    fn under(&self, names: &str, verb: &str, (file, log): (&Path, &Path)) -> Command {
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(log)
            .unwrap();
        let given = |number: usize| OwnedFd::from(self.0[number].try_clone().unwrap());
        let program = command();
        let mut command = Command::new("sh");
        for (name, value) in program.as_std().get_envs() {
            assert!(value.is_none(), "only takes away");
            command.env_remove(name);
        }
        command
            .args(["-c", HAND_OVER])
            .arg(program.as_std().get_program())
            .args([names, verb])
            .arg(file)
            .stdin(given(0))
            .stdout(given(1))
            .stderr(log)
            .kill_on_drop(true);
        command
    }

    async fn start(&self, site: &Site) -> Program {
        let command = self.command(site, "main:admin");
        site.started(command, 200).await
    }
}

fn listening(address: SocketAddr) -> std::net::TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(BACKLOG).unwrap().into_std().unwrap()
}

/// How long a request took, or why it failed.
type Outcome = Result<Duration, String>;

/// One request, of three kinds in turn; half of them on connections of their own.
async fn ask(site: Arc<Site>, clients: [reqwest::Client; 2], number: u32) -> Outcome {
    let client = &clients[usize::from(number.is_multiple_of(2))];
    let at = |path: &str| format!("{}{path}", site.issuer);
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    let request = match number % 3 {
        0 => client.get(at("/.well-known/jwks.json")),
        1 => client
            .post(at("/introspect"))
            .basic_auth("orders-api", Some(&site.words.api))
            .form(&[("token", "no token")]),
        _ => client
            .post(at("/token"))
            .basic_auth("job", Some(&site.words.job))
            .form(&form),
    };
    answered(request).await
}

async fn answered(request: reqwest::RequestBuilder) -> Outcome {
    let began = Instant::now();
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status();
    let body = answer.text().await.map_err(|error| format!("{error:?}"))?;
    match status.as_u16() {
        200 => Ok(began.elapsed()),
        _ => Err(format!("{status} {body}")),
    }
}

/// A client that keeps so many idle connections, and none for so long that the
/// server might close it in the moment in which it is used (RFC 9112 §9.5).
fn client(idle: usize) -> reqwest::Client {
    #[expect(clippy::disallowed_methods, reason = "tests call their own server")]
    let builder = reqwest::Client::builder();
    builder
        .no_proxy()
        .pool_max_idle_per_host(idle)
        .pool_idle_timeout(Duration::from_millis(200))
        .build()
        .unwrap()
}

/// Whoever asks, request by request.
type Asking = Box<dyn Fn([reqwest::Client; 2], u32) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// Those of an authorization server.
fn of(site: &Arc<Site>) -> Asking {
    let site = Arc::clone(site);
    Box::new(move |clients, number| Box::pin(ask(Arc::clone(&site), clients, number)))
}

/// Asks at a steady rate, whether or not anything is answered, until nobody
/// wants to hear of it.
async fn load(asking: Asking, told: UnboundedSender<Outcome>) {
    let clients = [client(0), client(usize::MAX)];
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0.. {
        ticks.tick().await;
        if told.is_closed() {
            return;
        }
        let (asked, told) = (asking(clients.clone(), number), told.clone());
        tokio::spawn(async move {
            // The last ones are not waited for.
            let _ = told.send(asked.await);
        });
    }
}

/// Everything that was answered so far: how many, and the slowest.
async fn heard(outcomes: &mut UnboundedReceiver<Outcome>, at_least: usize) -> (usize, Duration) {
    let (mut count, mut slowest) = (0, Duration::ZERO);
    loop {
        let next = match count < at_least {
            true => outcomes.recv().await,
            false => outcomes.try_recv().ok(),
        };
        let Some(outcome) = next else {
            return (count, slowest);
        };
        slowest = slowest.max(outcome.expect("a request failed"));
        count += 1;
    }
}

/// Row R17 of the reliability catalogue. The short form runs beside other
/// tests, so it is given more time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_on_sockets_that_are_handed_over_fails_no_request() {
    let (rounds, at_most) = Row::R17.size((5, 3_000), (50, 1_000));
    let site = Arc::new(Site::planned(Plan::new(Engine::Sqlite)).await);
    let sockets = Sockets::open(&site);
    let mut program = sockets.start(&site).await;
    let (told, mut outcomes) = unbounded_channel();
    let loaded = tokio::spawn(load(of(&site), told));
    heard(&mut outcomes, 100).await;

    let (mut answered, mut slowest) = (0, Duration::ZERO);
    let (mut ending, mut starting) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..rounds {
        let began = Instant::now();
        assert!(program.end().await.success());
        ending = ending.max(began.elapsed());
        program = sockets.start(&site).await;
        starting = starting.max(program.took);
        let (count, pause) = heard(&mut outcomes, 300).await;
        answered += count;
        slowest = slowest.max(pause);
    }
    outcomes.close();

    while let Some(outcome) = outcomes.recv().await {
        outcome.expect("a request failed");
    }
    loaded.await.unwrap();
    eprintln!(
        "R17: {answered} requests over {rounds} restarts, the slowest took {slowest:?}; \
         an end took at most {ending:?}, a start {starting:?}"
    );
    assert!(slowest < Duration::from_millis(at_most), "{slowest:?}");
    assert!(program.end().await.success());
}

/// A supervisor may start the next one before the last has ended: it waits for
/// the database, and callers for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_handed_its_sockets_waits_for_the_one_before_it() {
    let site = Arc::new(Site::planned(Plan::new(Engine::Sqlite)).await);
    let sockets = Sockets::open(&site);
    let mut program = sockets.start(&site).await;
    let (told, mut outcomes) = unbounded_channel();
    let loaded = tokio::spawn(load(of(&site), told));

    for _ in 0..2 {
        heard(&mut outcomes, 100).await;
        // Ready at once by the one before it, so its own begin is waited for.
        let next = sockets.start(&site).await;
        assert!(program.end().await.success());
        program = next;
    }
    heard(&mut outcomes, 100).await;
    outcomes.close();

    while let Some(outcome) = outcomes.recv().await {
        outcome.expect("a request failed");
    }
    loaded.await.unwrap();
    assert!(program.end().await.success());
}

/// Without sockets that were handed over a second process is a mistake, and is
/// told so at once; so is one whose sockets have wrong names, or a caller in
/// place of a socket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_handed_over_and_is_no_socket_of_ours_is_refused() {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let sockets = Sockets::open(&site);
    let told = async |sockets: &Sockets, names: &str| {
        let before = site.printed().len();
        let status = sockets.command(&site, names).status().await.unwrap();
        assert_eq!(status.code(), Some(1));
        site.printed().split_off(before)
    };
    std::fs::write(site.output(), "").unwrap();

    let misnamed = told(&sockets, "main:adnim").await;
    let unasked = told(&sockets, "main:mtls").await;
    let caller = TcpStream::connect(site.listen).await.unwrap();
    let caller = OwnedFd::from(caller.into_std().unwrap());
    let Sockets([main, _]) = sockets;
    let wrong = told(&Sockets([main, caller.into()]), "main:admin").await;

    assert!(
        misnamed.contains("error[listen]: a socket is handed over as `adnim`"),
        "{misnamed}"
    );
    assert!(unasked.contains("`mtls_listen` is not set"), "{unasked}");
    assert!(
        wrong.contains("`admin` is no listening TCP socket"),
        "{wrong}"
    );
}

/// The gateway is restarted the same way.
///
/// Row R17 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_on_sockets_that_are_handed_over_fails_no_request() {
    let (rounds, at_most) = Row::R17.size((5, 3_000), (50, 1_000));
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let server = site.start().await;
    let guard = Guard::with(&site, "").await;
    let token = token(&site).await;
    let (file, log) = (guard.file.clone(), guard.log.clone());
    let sockets = [guard.address, guard.admin];
    let path = format!("http://{}/orders/7", guard.address);
    let ready = format!("http://{}/readyz", guard.admin);
    ended(guard.child).await;
    let sockets = Sockets(sockets.map(listening));
    let start = async || {
        let mut command = sockets.under("main:admin", "gateway", (&file, &log));
        let child = command.spawn().unwrap();
        let begin = Instant::now();
        while !matches!(http().get(&ready).send().await, Ok(answer) if answer.status() == 200) {
            let printed = || std::fs::read_to_string(&log).unwrap();
            assert!(begin.elapsed() < PATIENCE, "not ready: {}", printed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        child
    };
    let mut running = start().await;
    let (told, mut outcomes) = unbounded_channel();
    let asking: Asking = Box::new(move |clients, number| {
        let client = &clients[usize::from(number.is_multiple_of(2))];
        let request = client.get(&path).bearer_auth(&token);
        Box::pin(answered(request))
    });
    let loaded = tokio::spawn(load(asking, told));
    heard(&mut outcomes, 100).await;

    let mut slowest = Duration::ZERO;
    for _ in 0..rounds {
        ended(running).await;
        running = start().await;
        slowest = slowest.max(heard(&mut outcomes, 300).await.1);
    }
    outcomes.close();

    while let Some(outcome) = outcomes.recv().await {
        outcome.expect("a request failed");
    }
    loaded.await.unwrap();
    assert!(slowest < Duration::from_millis(at_most), "{slowest:?}");
    ended(running).await;
    assert!(server.end().await.success());
}
