//! Certificates: when they end.

use std::path::Path;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use symbolon_protocol::Timestamp;

use super::Symptom;
use crate::config::Config;

/// How long before its end a certificate is told.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

pub(super) fn look(config: &Config, now: Timestamp) -> Vec<Symptom> {
    let own = config.tls.iter().map(|tls| tls.certificate.as_path());
    let others = config.client_ca.iter().chain(&config.trust_extra_ca);
    let all = own.chain(others.map(|path| path.as_path()));
    all.map(|path| judge(path, ends(path), now)).collect()
}

/// The earliest end of those in a file.
fn ends(path: &Path) -> Option<Timestamp> {
    let all = CertificateDer::pem_file_iter(path).ok()?;
    let end = |own: Result<CertificateDer<'static>, _>| {
        let own = own.ok()?;
        let (_, read) = x509_parser::parse_x509_certificate(&own).ok()?;
        Some(Timestamp::from_seconds(
            read.validity().not_after.timestamp(),
        ))
    };
    all.map(end).collect::<Option<Vec<_>>>()?.into_iter().min()
}

fn judge(path: &Path, ends: Option<Timestamp>, now: Timestamp) -> Symptom {
    let (code, name) = ("doctor.certificate", path.display());
    let Some(ends) = ends else {
        let message = format!("no certificate can be read from `{name}`");
        return Symptom::error(code, message, "give a file in PEM that holds one");
    };
    let message = format!("`{name}` ends at {ends}");
    if ends <= now {
        Symptom::error(code, message, "renew it, and send SIGHUP")
    } else if ends <= now + SOON {
        Symptom::warning(code, message, "renew it, and send SIGHUP")
    } else {
        Symptom::good(code, message)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn a_certificate_is_told_two_weeks_before_its_end() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let day = |days: i64| Timestamp::from_seconds(now.seconds() + days * 86_400);
        let judged = |ends| judge(Path::new("a.pem"), ends, now).health;
        assert_eq!(judged(Some(day(30))), Health::Good);
        assert_eq!(judged(Some(day(13))), Health::Warning);
        assert_eq!(judged(Some(day(-1))), Health::Error);
        assert_eq!(judged(None), Health::Error);
    }

    #[test]
    fn the_end_is_read_from_the_file() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let path = std::env::temp_dir().join(format!("symbolon-ends-{}.pem", std::process::id()));
        std::fs::write(&path, made.cert.pem()).unwrap();
        assert!(ends(&path).is_some());
        std::fs::write(&path, "nothing").unwrap();
        assert_eq!(ends(&path), None);
        std::fs::remove_file(path).unwrap();
    }
}
