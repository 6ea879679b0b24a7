//! The address of a PostgreSQL database: what the driver reads, and what it
//! cannot (`sslmode=verify-full`, `sslrootcert`), which is ours.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::fault::Fault;

pub(crate) struct Address {
    pub(crate) config: Config,
    pub(crate) tls: MakeRustlsConnect,
}

/// Reads `postgres://…`. Off loopback the server's certificate is verified
/// unless the address itself says `sslmode=disable`; on loopback and on a
/// socket the connection is plain unless it asks for more.
pub(crate) fn parse(url: &str) -> Result<Address, Fault> {
    let (url, mode, roots) = take_ours(url)?;
    let mut config: Config = url
        .parse()
        .map_err(|_| Fault::broken("postgresql: the URL cannot be read"))?;
    config.ssl_mode(match mode.as_deref() {
        Some("disable") => SslMode::Disable,
        Some("prefer") => SslMode::Prefer,
        Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
        Some(_) => return Err(Fault::broken("postgresql: `sslmode` is not a known word")),
        None if config.get_hosts().iter().all(is_near) => SslMode::Disable,
        None => SslMode::Require,
    });
    settle_limits(&mut config, url.contains("target_session_attrs="));
    if config.get_application_name().is_none() {
        config.application_name("symbolon");
    }
    let tls = connector(roots.as_deref())?;
    Ok(Address { config, tls })
}

/// How long a packet may go unanswered before the connection is given up, and
/// how soon one that says nothing is asked.
const SILENCE: Duration = Duration::from_secs(5);
const ASKED_EVERY: Duration = Duration::from_secs(2);
const ASKED: u32 = 3;

/// What the address does not say itself. Of several hosts the one that writes
/// is taken: it is found within the deadline, even where the first does not
/// answer.
fn settle_limits(config: &mut Config, says_which: bool) {
    let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(1).max(1);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(crate::store::DEADLINE * 2 / 3 / hosts);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_idle(SILENCE);
        config.keepalives_interval(ASKED_EVERY);
        config.keepalives_retries(ASKED);
    }
    if !says_which {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
}

type Taken = (String, Option<String>, Option<String>);

fn take_ours(url: &str) -> Result<Taken, Fault> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => roots = Some(percent_decode(value)?),
            _ => rest.push(pair),
        }
    }
    let url = if rest.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{}", rest.join("&"))
    };
    Ok((url, mode, roots))
}

fn percent_decode(text: &str) -> Result<String, Fault> {
    let unreadable = || Fault::broken("postgresql: `sslrootcert` cannot be read");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (code, after) = rest.split_at_checked(2).ok_or_else(unreadable)?;
        let code = std::str::from_utf8(code).map_err(|_| unreadable())?;
        bytes.push(u8::from_str_radix(code, 16).map_err(|_| unreadable())?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| unreadable())
}

fn is_near(host: &Host) -> bool {
    match host {
        #[cfg(unix)]
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .trim_matches(['[', ']'])
                    .parse::<IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
    }
}

fn connector(roots_file: Option<&str>) -> Result<MakeRustlsConnect, Fault> {
    let mut roots = rustls::RootCertStore::empty();
    match roots_file {
        Some(path) => {
            let unreadable = |_| Fault::broken(format!("`sslrootcert`: cannot read `{path}`"));
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                let unfit = |_| {
                    Fault::broken(format!(
                        "`sslrootcert`: `{path}` holds what is no certificate"
                    ))
                };
                let certificate = certificate.map_err(unreadable)?;
                roots.add(certificate).map_err(unfit)?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Fault::broken("TLS cannot be set up"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        parse(url).unwrap().config.get_ssl_mode()
    }

    /// Attack: N374
    #[test]
    fn far_databases_are_verified_and_near_ones_are_plain() {
        assert_eq!(mode("postgres://u@db.example.com/x"), SslMode::Require);
        assert_eq!(
            mode("postgres://u@10.0.0.1/x?sslmode=verify-full"),
            SslMode::Require
        );
        assert_eq!(
            mode("postgres://u@db.example.com/x?sslmode=disable"),
            SslMode::Disable
        );
        assert_eq!(mode("postgres://u@127.0.0.1:5433/x"), SslMode::Disable);
        assert_eq!(
            mode("postgres://u@localhost/x?sslmode=require"),
            SslMode::Require
        );
        assert_eq!(mode("postgres://u@%2Ftmp%2Fx/x"), SslMode::Disable);
    }

    #[test]
    fn of_several_hosts_the_one_that_writes_is_taken_in_time() {
        let config = parse("postgres://u@127.0.0.1:1,127.0.0.1:2,127.0.0.1:3/x");
        let config = config.unwrap().config;

        assert_eq!(config.get_hosts().len(), 3);
        let all = *config.get_connect_timeout().unwrap() * 3;
        assert!(all < crate::store::DEADLINE, "{all:?}");
        let attributes = config.get_target_session_attrs();
        assert_eq!(attributes, TargetSessionAttrs::ReadWrite);
    }

    #[test]
    fn what_the_address_says_of_time_and_hosts_stands() {
        let url = "postgres://u@127.0.0.1/x?connect_timeout=7&target_session_attrs=any";

        let config = parse(url).unwrap().config;

        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(7)));
        let attributes = config.get_target_session_attrs();
        assert_eq!(attributes, TargetSessionAttrs::Any);
    }

    #[test]
    fn options_reach_the_driver_and_unknown_modes_do_not() {
        let address =
            parse("postgres://u@localhost/x?sslmode=disable&options=-c%20search_path%3Da");

        assert_eq!(
            address.unwrap().config.get_options(),
            Some("-c search_path=a")
        );
        assert!(parse("postgres://u@localhost/x?sslmode=allow").is_err());
    }
}
