//! R17: one machine is restarted again and again under load, and because its
//! supervisor holds the listening sockets, no request fails.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use symbolon_server::testing::http;
use symbolon_testkit::Row;
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::gateway::{Guard, token};
use crate::program::{Engine, PATIENCE, Plan, Program, Site, command, ended};
use crate::wire::{Failure, Pool, text};

/// How many requests a second.
fn rate() -> u32 {
    Row::R17.size(60, 300)
}

fn rounds() -> u32 {
    Row::R17.size(5, 50)
}

/// How many callers may wait in a socket's queue while nobody accepts.
const BACKLOG: u32 = 1024;

/// What a supervisor does before it becomes the server: the sockets, which
/// came as standard input and output, go where servers look for them.
const HAND_OVER: &str = r#"exec 3<&0 4<&1 </dev/null >&2
LISTEN_FDS="$4" LISTEN_FDNAMES="$1" LISTEN_PID=$$
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
            .arg(names.split(':').count().to_string())
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

/// Three kinds of requests of an authorization server.
pub(crate) fn kinds(site: &Site) -> Vec<Vec<u8>> {
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    let keys = site.request(Method::GET, "/.well-known/jwks.json");
    let asked = site
        .request(Method::POST, "/introspect")
        .basic_auth("orders-api", Some(&site.words.api))
        .form(&[("token", "no token")]);
    let token = site
        .request(Method::POST, "/token")
        .basic_auth("job", Some(&site.words.job))
        .form(&form);
    [keys, asked, token].map(text).to_vec()
}

async fn answered(pool: &Pool, request: &[u8]) -> Outcome {
    let began = Instant::now();
    let answer = pool.ask(request).await.map_err(Failure::why)?;
    match answer.status {
        200 => Ok(began.elapsed()),
        status => Err(format!("{status} {}", answer.body)),
    }
}

/// Asks each in turn at a steady rate, whether or not anything is answered, until
/// nobody wants to hear of it; half of them on connections of their own.
async fn load(address: SocketAddr, requests: Vec<Vec<u8>>, told: UnboundedSender<Outcome>) {
    let pools = [Pool::fresh(address), Pool::keeping(address)].map(Arc::new);
    let requests = Arc::new(requests);
    let mut ticks = interval(Duration::from_secs(1) / rate());
    // What a busy machine missed is not asked all at once: nobody does.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0_usize.. {
        ticks.tick().await;
        if told.is_closed() {
            return;
        }
        let pool = Arc::clone(&pools[number % pools.len()]);
        let (requests, told) = (Arc::clone(&requests), told.clone());
        tokio::spawn(async move {
            let outcome = answered(&pool, &requests[number % requests.len()]).await;
            // The last ones are not waited for.
            let _ = told.send(outcome);
        });
    }
}

/// Everything that was answered so far: how many, and the slowest.
async fn heard(outcomes: &mut UnboundedReceiver<Outcome>, at_least: u32) -> (u32, Duration) {
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

/// What restarts took at most.
#[derive(Default)]
struct Took {
    ending: Duration,
    starting: Duration,
    slowest: Duration,
}

impl Took {
    /// Nobody waits for longer than the end and the start take. The short form
    /// runs beside other tests, which make both of them slow.
    fn check(&self, answered: u32) {
        let (ending, starting, slowest) = (self.ending, self.starting, self.slowest);
        eprintln!(
            "R17: {answered} requests over {} restarts, the slowest took {slowest:?}; \
             an end took at most {ending:?}, a start {starting:?}",
            rounds()
        );
        let short = ending + starting + Duration::from_secs(3);
        let at_most = Row::R17.size(short, Duration::from_secs(1));
        assert!(slowest < at_most, "{slowest:?}");
    }
}

/// Row R17 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_on_sockets_that_are_handed_over_fails_no_request() {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let sockets = Sockets::open(&site);
    let mut program = sockets.start(&site).await;
    let (told, mut outcomes) = unbounded_channel();
    let loaded = tokio::spawn(load(site.listen, kinds(&site), told));
    heard(&mut outcomes, 100).await;

    let (mut answered, mut took) = (0, Took::default());
    for _ in 0..rounds() {
        let began = Instant::now();
        assert!(program.end().await.success());
        took.ending = took.ending.max(began.elapsed());
        program = sockets.start(&site).await;
        took.starting = took.starting.max(program.took);
        let (count, pause) = heard(&mut outcomes, rate()).await;
        answered += count;
        took.slowest = took.slowest.max(pause);
    }
    outcomes.close();

    while let Some(outcome) = outcomes.recv().await {
        outcome.expect("a request failed");
    }
    loaded.await.unwrap();
    took.check(answered);
    assert!(program.end().await.success());
}

/// A supervisor may start the next one before the last has ended: it waits for
/// the database, and callers for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_handed_its_sockets_waits_for_the_one_before_it() {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let sockets = Sockets::open(&site);
    let mut program = sockets.start(&site).await;
    let (told, mut outcomes) = unbounded_channel();
    let loaded = tokio::spawn(load(site.listen, kinds(&site), told));

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

/// One of them alone is handed over, and the others are bound: it is open to
/// callers of the next process, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_is_handed_over_alone_outlives_each_process() {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let admin: SocketAddr = site.admin.trim_start_matches("http://").parse().unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let sockets = Sockets([admin, any].map(listening));

    for _ in 0..3 {
        let command = sockets.command(&site, "admin");
        let program = site.started(command, 200).await;
        let asked = http().get(format!("{}/metrics", site.admin)).send();
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        assert!(matches!(answer, Ok(Ok(_))), "{answer:?}");
        assert!(program.end().await.success());
    }
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
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let server = site.start().await;
    let guard = Guard::with(&site, "").await;
    let token = token(&site).await;
    let (file, log) = (guard.file.clone(), guard.log.clone());
    let (address, sockets) = (guard.address, [guard.address, guard.admin]);
    let asked = http().get(format!("http://{}/orders/7", guard.address));
    let asked = text(asked.bearer_auth(&token));
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
    let loaded = tokio::spawn(load(address, vec![asked], told));
    heard(&mut outcomes, 100).await;

    let (mut answered, mut took) = (0, Took::default());
    for _ in 0..rounds() {
        let began = Instant::now();
        ended(running).await;
        took.ending = took.ending.max(began.elapsed());
        let began = Instant::now();
        running = start().await;
        took.starting = took.starting.max(began.elapsed());
        let (count, pause) = heard(&mut outcomes, rate()).await;
        answered += count;
        took.slowest = took.slowest.max(pause);
    }
    outcomes.close();

    while let Some(outcome) = outcomes.recv().await {
        outcome.expect("a request failed");
    }
    loaded.await.unwrap();
    took.check(answered);
    ended(running).await;
    assert!(server.end().await.success());
}
