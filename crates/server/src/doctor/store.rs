//! The database: its schema, its clock, and how far chores are behind.

use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_store::{Examined, examine};
use symbolon_token::Digest;

use super::Symptom;
use crate::app::Edge;
use crate::config::Config;
use crate::keys::Masters;
use crate::keys::policy::KeyPurpose;
use crate::launch::store_options;

/// How long a row of the audit trail may be without a link.
const LINKED_WITHIN: Duration = Duration::from_secs(3 * 60);
/// How long after its end a row may stay: a purge runs once a minute.
const PURGED_WITHIN: Duration = Duration::from_secs(60 * 60);
/// How much longer than its time a key may be active.
const ROTATED_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn look(config: &Config, edge: &Edge) -> Vec<Symptom> {
    let options = store_options(config, &*edge.entropy);
    match examine(&options).await {
        Ok(found) => {
            let mut told = judge(&found, config, edge.clock.now());
            told.extend(master(&found, config, edge));
            told
        }
        Err(fault) if fault.is_damaged() => vec![Symptom::error(
            "doctor.damage",
            fault.to_string(),
            "stop the server, move the files of the database away and restore the last backup",
        )],
        Err(fault) => vec![Symptom::error(
            "doctor.store",
            format!("the database cannot be looked at: {fault}"),
            "start it, and see that the URL in [store] leads there",
        )],
    }
}

fn judge(found: &Examined, config: &Config, now: Timestamp) -> Vec<Symptom> {
    let mut told = vec![Symptom::good(
        "doctor.store",
        format!("the database ({}) answers", found.engine),
    )];
    told.extend(schema(found));
    if let Some(clock) = found.clock {
        told.push(clocks(clock, now, config.clock_skew.duration()));
    }
    told.push(behind(
        (
            "doctor.audit_backlog",
            "the audit trail is linked",
            "a record waits to be linked",
        ),
        found.unlinked_since,
        (now, LINKED_WITHIN),
    ));
    told.push(behind(
        (
            "doctor.purge_backlog",
            "what expired is removed",
            "a row waits to be removed",
        ),
        found.expired_since,
        (now, PURGED_WITHIN),
    ));
    told.extend(keys(found, config, now));
    told
}

/// Whether the master key that the configuration names opens the keys.
fn master(found: &Examined, config: &Config, edge: &Edge) -> Option<Symptom> {
    let code = "doctor.master_key";
    let repair = "put the key that belongs to this database where [store] says, from where you keep its copy; without it the keys are lost";
    let stored: [u8; 32] = found.master.as_deref()?.try_into().ok()?;
    let stored = Digest::from_bytes(stored);
    let known = match Masters::existing(&config.store, &*edge.entropy) {
        Ok(masters) => masters,
        Err(error) => return Some(Symptom::error(code, error.to_string(), repair)),
    };
    let mut known = [Some(known.current), known.previous].into_iter().flatten();
    Some(match known.any(|key| key.fingerprint().matches(&stored)) {
        true => Symptom::good(
            code,
            "the master key is the one that the keys are sealed under",
        ),
        false => Symptom::error(
            code,
            "the master key is not the one that the keys are sealed under",
            repair,
        ),
    })
}

fn schema(found: &Examined) -> Vec<Symptom> {
    let code = "doctor.schema";
    let mut told = Vec::new();
    if let Some(level) = found.too_high_level {
        told.push(Symptom::error(
            "doctor.level",
            format!("a newer version has taken away what this one needs (level {level})"),
            "bring every node to the newer version",
        ));
    }
    if !found.newer.is_empty() {
        told.push(Symptom::warning(
            "doctor.newer",
            format!(
                "a newer version has been here: migrations {:?}",
                found.newer
            ),
            "bring every node to the newer version",
        ));
    }
    if !found.pending.is_empty() {
        told.push(Symptom::warning(
            "doctor.pending",
            format!("migrations have not run: {:?}", found.pending),
            "symbolon migrate --plan, then symbolon migrate or the next start",
        ));
    }
    if found.lacks.is_empty() {
        told.push(Symptom::good(code, "every table and column is there"));
    } else {
        let lacks = found.lacks.join(", ");
        told.push(Symptom::error(
            code,
            format!("the schema lacks {lacks}"),
            "restore a backup: somebody has changed the schema by hand",
        ));
    }
    told
}

fn clocks(database: Timestamp, now: Timestamp, allowed: Duration) -> Symptom {
    let apart = database.since(now).max(now.since(database));
    let code = "doctor.clock_database";
    let message = format!(
        "the clocks of this machine and of the database are {} ms apart",
        apart.as_millis()
    );
    let repair = "let both follow one time server";
    if apart > allowed.max(Duration::from_secs(1)) {
        Symptom::error(code, message, repair)
    } else if apart > Duration::from_secs(1) {
        Symptom::warning(code, message, repair)
    } else {
        Symptom::good(code, message)
    }
}

fn behind(
    (code, good, bad): (&'static str, &str, &str),
    since: Option<Timestamp>,
    (now, allowed): (Timestamp, Duration),
) -> Symptom {
    let Some(since) = since.filter(|since| now.since(*since) > allowed) else {
        return Symptom::good(code, good);
    };
    Symptom::warning(
        code,
        format!("{bad} since {since}"),
        "start a server: its chores do it; where one runs, its log says what is in the way",
    )
}

fn keys(found: &Examined, config: &Config, now: Timestamp) -> Vec<Symptom> {
    let code = "doctor.key_age";
    let every = config.keys.rotation.duration();
    let mut told = Vec::new();
    for (name, since) in &found.keys {
        let changes = KeyPurpose::named(name).is_some_and(KeyPurpose::is_scheduled);
        if every.is_zero() || !changes {
            continue;
        }
        let age = now.since(*since);
        if age > every + ROTATED_WITHIN {
            let days = age.as_secs() / 86_400;
            told.push(Symptom::warning(
                code,
                format!("the key for `{name}` is in use for {days} days"),
                "start a server: it rotates what is due; its log says what is in the way",
            ));
        }
        if found.without_next.contains(name) {
            told.push(Symptom::warning(
                "doctor.key_next",
                format!("there is no next key for `{name}`"),
                "start a server: it makes one",
            ));
        }
    }
    if told.is_empty() {
        told.push(Symptom::good(code, "no key is older than it should be"));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn clocks_that_differ_more_than_the_skew_are_an_error() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let skew = Duration::from_secs(10);
        let judged = |ms: i64| {
            let database = Timestamp::from_millis(now.millis() + ms);
            clocks(database, now, skew).health
        };
        assert_eq!(judged(400), Health::Good);
        assert_eq!(judged(-4_000), Health::Warning);
        assert_eq!(judged(11_000), Health::Error);
        assert_eq!(judged(-11_000), Health::Error);
    }

    #[test]
    fn a_chore_that_is_behind_is_told_once_it_is_late() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let judged = |since: Option<Timestamp>| {
            behind(("c", "good", "bad"), since, (now, LINKED_WITHIN)).health
        };
        assert_eq!(judged(None), Health::Good);
        assert_eq!(judged(Some(now - LINKED_WITHIN)), Health::Good);
        assert_eq!(judged(Some(now - LINKED_WITHIN * 2)), Health::Warning);
    }
}
