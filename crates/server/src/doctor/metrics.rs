//! What a running server counts, as its doctor reads it.

use super::Symptom;

/// How old a node's knowledge of revocations may be, in seconds.
const FEED_AGE: f64 = 10.0;

/// Judges the text of `/metrics`.
pub fn counted(text: &str) -> Vec<Symptom> {
    let value = |name: &str| {
        let mut own = text.lines().filter(|line| !line.starts_with('#'));
        let line = own.find(|line| line.split([' ', '{']).next() == Some(name))?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    let mut told = Vec::new();
    if let Some(age) = value("symbolon_feed_age_seconds") {
        let message = format!("what was taken back is known as it was {age:.1} s ago");
        told.push(if age > FEED_AGE {
            let repair = "the database does not answer this node: see its log";
            Symptom::error("doctor.feed_age", message, repair)
        } else {
            Symptom::good("doctor.feed_age", message)
        });
    }
    if value("symbolon_audit_broken_total").is_some_and(|count| count > 0.0) {
        told.push(Symptom::error(
            "doctor.audit_broken",
            "the audit chain is not the one that this node saw",
            "symbolon audit verify",
        ));
    }
    let ignored = value("symbolon_forwarded_ignored_total").unwrap_or(0.0);
    told.push(if ignored > 0.0 {
        Symptom::warning(
            "doctor.forwarded",
            format!("{ignored} requests came with forwarding headers from addresses that are not in trusted_proxies"),
            "if a proxy of yours stands there, list its network: all its callers count as one address",
        )
    } else {
        Symptom::good("doctor.forwarded", "no proxy is unlisted, as far as was seen")
    });
    told
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    fn judged(text: &str, code: &str) -> Option<Health> {
        let found = counted(text);
        let mut own = found.iter().filter(|own| own.code == code);
        own.next().map(|own| own.health)
    }

    #[test]
    fn what_is_counted_is_judged() {
        let good = "# TYPE x\nsymbolon_feed_age_seconds 0.2\n";
        assert_eq!(judged(good, "doctor.feed_age"), Some(Health::Good));
        assert_eq!(judged(good, "doctor.forwarded"), Some(Health::Good));
        assert_eq!(judged(good, "doctor.audit_broken"), None);
        let bad = "symbolon_feed_age_seconds 12\nsymbolon_audit_broken_total 1\nsymbolon_forwarded_ignored_total 3\n";
        assert_eq!(judged(bad, "doctor.feed_age"), Some(Health::Error));
        assert_eq!(judged(bad, "doctor.forwarded"), Some(Health::Warning));
        assert_eq!(judged(bad, "doctor.audit_broken"), Some(Health::Error));
    }
}
