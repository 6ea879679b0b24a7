//! A TCP proxy between a program and what it depends on, which can slow down,
//! stall, cut and heal: a network that fails on command.
//!
//! It stands on threads of its own, so it works beside any runtime and none.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What becomes of bytes and of new connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Weather {
    /// Everything passes.
    Fair,
    /// Every answer is held back for as long as this.
    Slow(Duration),
    /// Connections stand, and nothing passes: what is sent waits.
    Stalled,
    /// Connections are closed, and new ones too.
    Cut,
    /// The proxy is gone.
    Over,
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Question,
    Answer,
}

/// The state that all threads of a proxy share.
#[derive(Debug)]
struct Shared {
    target: Mutex<SocketAddr>,
    weather: Mutex<Weather>,
    changed: Condvar,
    /// Both ends of every connection, to be closed at once.
    open: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn weather(&self) -> MutexGuard<'_, Weather> {
        lock(&self.weather)
    }

    fn change(&self, to: Weather) {
        *self.weather() = to;
        if matches!(to, Weather::Cut | Weather::Over) {
            for stream in lock(&self.open).drain(..) {
                // It may have ended by itself.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.changed.notify_all();
    }

    /// Waits while nothing passes this way; whether something does after that.
    fn passes(&self, way: Way) -> bool {
        let mut weather = self.weather();
        if let (Weather::Slow(span), Way::Answer) = (*weather, way) {
            let waited = self
                .changed
                .wait_timeout_while(weather, span, |own| *own == Weather::Slow(span));
            (weather, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let waited = self
            .changed
            .wait_while(weather, |own| *own == Weather::Stalled);
        let weather = *waited.unwrap_or_else(PoisonError::into_inner);
        matches!(weather, Weather::Fair | Weather::Slow(_))
    }
}

/// A proxy on a free port of this machine.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Stands between whoever connects to [`Proxy::address`] and `target`, a
    /// host and a port.
    pub fn start(target: impl ToSocketAddrs) -> io::Result<Self> {
        let target = resolved(target)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            weather: Mutex::new(Weather::Fair),
            changed: Condvar::new(),
            open: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &own));
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds every answer back for a while.
    pub fn slow(&self, by: Duration) {
        self.shared.change(Weather::Slow(by));
    }

    /// Lets nothing pass and closes nothing, as a network does that drops
    /// packets.
    pub fn stall(&self) {
        self.shared.change(Weather::Stalled);
    }

    /// Closes every connection, and new ones as they come.
    pub fn cut(&self) {
        self.shared.change(Weather::Cut);
    }

    /// Lets everything pass again, from what was held back on.
    pub fn heal(&self) {
        self.shared.change(Weather::Fair);
    }

    /// Leads new connections elsewhere, as after a failover. Those that stand
    /// are left alone.
    pub fn retarget(&self, target: impl ToSocketAddrs) -> io::Result<()> {
        *lock(&self.shared.target) = resolved(target)?;
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.change(Weather::Over);
        // Wakes whoever waits for the next connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn resolved(target: impl ToSocketAddrs) -> io::Result<SocketAddr> {
    let found = target.to_socket_addrs()?.next();
    found.ok_or_else(|| io::Error::new(ErrorKind::NotFound, "the target has no address"))
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for caller in listener.incoming() {
        match *shared.weather() {
            Weather::Over => return,
            Weather::Cut => continue,
            Weather::Fair | Weather::Slow(_) | Weather::Stalled => {}
        }
        if let Ok(caller) = caller {
            let shared = Arc::clone(shared);
            thread::spawn(move || join(caller, &shared));
        }
    }
}

/// Connects a caller to the target, both ways, until either ends.
fn join(caller: TcpStream, shared: &Arc<Shared>) {
    let target = *lock(&shared.target);
    if !shared.passes(Way::Question) {
        return;
    }
    let Ok(other) = TcpStream::connect_timeout(&target, CONNECT) else {
        return;
    };
    let ways = [
        (&caller, &other, Way::Question),
        (&other, &caller, Way::Answer),
    ];
    let mut pairs = Vec::new();
    for (from, to, way) in ways {
        // A small answer must not wait for more.
        let _ = from.set_nodelay(true);
        let (Ok(from), Ok(to), Ok(own)) = (from.try_clone(), to.try_clone(), from.try_clone())
        else {
            return;
        };
        lock(&shared.open).push(own);
        pairs.push((from, to, way));
    }
    let pumps = pairs.into_iter().map(|(from, to, way)| {
        let shared = Arc::clone(shared);
        thread::spawn(move || pump(from, to, way, &shared))
    });
    for pump in pumps.collect::<Vec<_>>() {
        // A pump that panicked has ended too.
        let _ = pump.join();
    }
    let ended = [caller.peer_addr().ok(), other.peer_addr().ok()];
    lock(&shared.open).retain(|own| {
        let peer = own.peer_addr().ok();
        peer.is_some() && !ended.contains(&peer)
    });
}

/// Carries bytes one way until that side ends, then tells the other.
fn pump(mut from: TcpStream, mut to: TcpStream, way: Way, shared: &Shared) {
    let mut bytes = [0; 16 * 1024];
    loop {
        let read = match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        if !shared.passes(way) || to.write_all(&bytes[..read]).is_err() {
            // Half a message is none.
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
            return;
        }
    }
    if shared.passes(way) {
        let _ = to.shutdown(Shutdown::Write);
    } else {
        let _ = to.shutdown(Shutdown::Both);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the target may take to be reached.
const CONNECT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers every byte with the next one.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).is_ok() {
                        if stream.write_all(&[byte[0].wrapping_add(1)]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    /// How long an answer that is to come may take.
    const PATIENCE: Duration = Duration::from_secs(10);

    fn connect(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Asks, and waits for no longer than shows that nothing comes.
    fn ask_in_vain(stream: &mut TcpStream, byte: u8) -> Option<u8> {
        let short = Some(Duration::from_millis(300));
        stream.set_read_timeout(short).unwrap();
        let answer = ask(stream, byte);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        answer
    }

    fn ask(stream: &mut TcpStream, byte: u8) -> Option<u8> {
        stream.write_all(&[byte]).ok()?;
        let mut answer = [0];
        stream.read_exact(&mut answer).ok()?;
        Some(answer[0])
    }

    #[test]
    fn what_is_sent_arrives_and_comes_back() {
        let proxy = Proxy::start(echo()).unwrap();

        let mut stream = connect(&proxy);

        assert_eq!(ask(&mut stream, 1), Some(2));
        assert_eq!(ask(&mut stream, 7), Some(8));
    }

    #[test]
    fn what_is_stalled_waits_and_arrives_once_healed() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream, 1), Some(2));

        proxy.stall();
        assert_eq!(ask_in_vain(&mut stream, 5), None, "nothing passes");
        proxy.heal();

        let mut late = [0];
        stream.read_exact(&mut late).unwrap();
        assert_eq!(late, [6], "and nothing is lost");
    }

    #[test]
    fn what_is_slow_arrives_late_and_at_once_when_healed() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut stream = connect(&proxy);

        proxy.slow(Duration::from_secs(60));
        let held_back = ask_in_vain(&mut stream, 5);
        assert_eq!(held_back, None, "the answer is held back");
        proxy.slow(Duration::from_millis(20));

        let mut late = [0];
        stream.read_exact(&mut late).unwrap();
        assert_eq!(late, [6]);
        assert_eq!(ask(&mut stream, 8), Some(9));
    }

    #[test]
    fn a_cut_ends_what_stands_and_what_comes_until_it_is_healed() {
        let proxy = Proxy::start(echo()).unwrap();
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream, 1), Some(2));

        proxy.cut();
        assert_eq!(ask(&mut stream, 1), None);
        assert_eq!(ask(&mut connect(&proxy), 1), None);
        proxy.heal();

        assert_eq!(ask(&mut connect(&proxy), 1), Some(2));
    }

    #[test]
    fn a_new_target_is_for_new_connections() {
        let nobody = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap()
        };
        let proxy = Proxy::start(nobody).unwrap();
        assert_eq!(ask(&mut connect(&proxy), 1), None);

        proxy.retarget(echo()).unwrap();

        assert_eq!(ask(&mut connect(&proxy), 1), Some(2));
    }
}
