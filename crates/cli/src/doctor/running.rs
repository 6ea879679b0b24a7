//! Asks the server that a configuration describes, where it runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_server::config::Config;
use symbolon_server::doctor::{Symptom, counted};
use symbolon_token::Clock;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How far the clocks may be apart: `Date` says whole seconds.
const APART: Duration = Duration::from_secs(3);

pub(super) async fn look(config: &Config, clock: &dyn Clock) -> Vec<Symptom> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this command calls the server of its own user, on this machine"
    )]
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build();
    let Ok(client) = client else {
        return Vec::new();
    };
    let at = |path: &str| format!("http://{}{path}", reached(config.admin.listen));
    let Ok(answer) = client.get(at("/readyz")).send().await else {
        return vec![Symptom::warning(
            "doctor.unreachable",
            format!("nobody answers at {}", config.admin.listen),
            "start the server, and run this on its machine",
        )];
    };
    let mut found = Vec::new();
    let status = answer.status();
    found.push(if status.is_success() {
        Symptom::good("doctor.ready", "the server is ready")
    } else {
        Symptom::error(
            "doctor.ready",
            format!("the server answers {status}: it is not ready"),
            "its log says what it waits for",
        )
    });
    let date = answer.headers().get("date");
    let date = date.and_then(|date| date.to_str().ok()).and_then(read_date);
    if let Some(date) = date {
        found.push(judged_date(date, clock.now()));
    }
    if let Ok(answer) = client.get(at("/metrics")).send().await {
        found.extend(counted(&answer.text().await.unwrap_or_default()));
    }
    found
}

/// The address to call where a listener takes every address.
fn reached(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7), as an instant.
fn read_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split_whitespace().skip(1);
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|own| *own == month)? + 1;
    format!("{year}-{month:02}-{day}T{time}Z").parse().ok()
}

fn judged_date(date: Timestamp, now: Timestamp) -> Symptom {
    let apart = date.since(now).max(now.since(date));
    let message = format!(
        "the server's clock and this one are {} s apart",
        apart.as_secs()
    );
    if apart > APART {
        let repair = "let both follow one time server";
        Symptom::error("doctor.clock_http", message, repair)
    } else {
        Symptom::good("doctor.clock_http", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read() {
        let read = read_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(read.to_string(), "1994-11-06T08:49:37Z");
        for bad in [
            "",
            "yesterday",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov",
        ] {
            assert!(read_date(bad).is_none(), "{bad}");
        }
    }
}
