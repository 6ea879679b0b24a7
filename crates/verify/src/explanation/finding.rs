//! From a refusal to its one cause: a stable word, a sentence, and the repair.

use serde_json::{Map, Value};
use symbolon_protocol::Timestamp;
use symbolon_token::explain::{Refused, Shown};
use symbolon_token::jose::Unverified;
use symbolon_token::macaroon::Flaw;
use symbolon_token::recognize::{Recognized, What};

use super::clock::ClockShown;
use super::difference::near_miss;
use super::key::Found;
use super::{claim, encrypted, proof, signature};
use crate::refusal::{CannotKnow, Refusal};

/// The one cause of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// A stable word, finer than the refusal's code.
    pub(super) root: &'static str,
    /// One plain sentence.
    pub(super) cause: String,
    /// What would repair it, in one plain sentence.
    pub(super) repair: String,
}

impl Finding {
    pub(super) fn new(root: &'static str, cause: String, repair: impl Into<String>) -> Self {
        Self {
            root,
            cause,
            repair: repair.into(),
        }
    }
}

/// All that is known of a token that was refused. Its claims are what the text
/// says; nobody vouches for them.
pub(super) struct Seen<'a> {
    pub(super) refusal: &'a Refusal,
    pub(super) recognized: &'a Recognized,
    pub(super) text: &'a str,
    pub(super) token: Option<&'a Unverified<'a>>,
    pub(super) claims: &'a Map<String, Value>,
    /// The key that verifies it, or would have.
    pub(super) found: Option<&'a Found>,
    pub(super) clock: Option<&'a ClockShown>,
    pub(super) issuer: &'a str,
}

/// The one cause.
pub(super) fn of(seen: &Seen<'_>) -> Finding {
    let plain = |root| Finding::new(root, seen.refusal.cause(), seen.refusal.repair());
    match seen.refusal {
        Refusal::Missing => plain("no_token"),
        Refusal::Malformed(_) => by_form(seen).unwrap_or_else(|| plain(seen.refusal.code())),
        Refusal::CannotKnow(CannotKnow::Keys) => plain("keys_unavailable"),
        Refusal::CannotKnow(_) => plain(seen.refusal.code()),
        Refusal::Refused(refused) => of_refused(seen, refused),
        other => proof::finding(other).unwrap_or_else(|| plain(other.code())),
    }
}

fn of_refused(seen: &Seen<'_>, refused: &Refused) -> Finding {
    let plain = |root| Finding::new(root, refused.cause(), refused.repair());
    let is_of_key = matches!(
        refused,
        Refused::Signature(_) | Refused::NotAnAccessToken(_)
    );
    if is_of_key && let Some(finding) = signature::edited(seen) {
        return finding;
    }
    match refused {
        Refused::NotAnAccessToken(Shown::Other(_)) if seen.recognized.what.is_access_token() => {
            plain("not_taken_here")
        }
        Refused::NotAnAccessToken(_) => by_form(seen).unwrap_or_else(|| by_kind(seen)),
        Refused::Seal => by_form(seen).unwrap_or_else(|| plain("seal_mismatch")),
        Refused::Macaroon(Flaw::Form(_)) => {
            by_form(seen).unwrap_or_else(|| plain("macaroon_malformed"))
        }
        Refused::Signature(invalid) => by_form(seen)
            .or_else(|| by_other_kind(seen))
            .unwrap_or_else(|| signature::finding(seen, *invalid)),
        Refused::Claim(name) => claim::finding(name, seen.claims),
        Refused::Expired { .. } => of_end(seen, refused),
        Refused::NotYet { .. } => of_beginning(seen, refused),
        Refused::Issuer { expected, found } => spelled(
            "issuer_spelling",
            "other_issuer",
            refused,
            (expected, found),
        ),
        Refused::Audience { expected, found } => of_audience(seen, refused, (expected, found)),
        Refused::Scope { needed, found } => of_scope(seen, refused, (needed, found)),
        Refused::Inactive => of_inactive(seen, refused),
        Refused::Encryption(why) => by_form(seen)
            .or_else(|| encrypted::unopened(seen.text, *why))
            .unwrap_or_else(|| plain(refused.root())),
        other => plain(other.root()),
    }
}

/// What was done to the text on its way comes before all that follows of it.
fn by_form(seen: &Seen<'_>) -> Option<Finding> {
    let defect = seen.recognized.defects.first()?;
    let what = seen.recognized.what.words();
    let cause = match seen.recognized.what {
        What::Nothing | What::PartOfJwt => format!("signature: {}", defect.words()),
        _ => format!("signature: {} ({what})", defect.words()),
    };
    Some(Finding::new(defect.code(), cause, defect.repair()))
}

fn by_kind(seen: &Seen<'_>) -> Finding {
    let what = seen.recognized.what;
    let cause = format!("signature: this is {}, not an access token", what.words());
    Finding::new(what.code(), cause, what.instead())
}

/// What is no JWT at all, and what is encrypted.
fn by_other_kind(seen: &Seen<'_>) -> Option<Finding> {
    match seen.recognized.what {
        What::Encrypted => Some(encrypted::finding(seen.text)),
        What::Nothing if seen.text.contains('.') => None,
        What::AccessToken | What::OpaqueToken | What::Macaroon => None,
        _ => Some(by_kind(seen)),
    }
}

fn of_end(seen: &Seen<'_>, refused: &Refused) -> Finding {
    let Refused::Expired { expires, now } = refused else {
        return Finding::new("expired", refused.cause(), refused.repair());
    };
    if let Some(caveat) = caveats(seen).find(|own| ends_at(own, *expires)) {
        return Finding::new(
            "caveat_before",
            format!("expiry: caveat `{caveat}` ended it (it is {now})"),
            "ask for a new macaroon, or for one without that caveat",
        );
    }
    let ahead = seen
        .clock
        .and_then(ClockShown::ahead)
        .filter(|own| *own > 0);
    let allowed = seen.clock.map_or(0, |own| own.allowed_seconds);
    let allowed = i64::try_from(allowed).unwrap_or(i64::MAX);
    let is_alive = |ahead: &i64| now.seconds() - ahead < expires.seconds() + allowed;
    if let Some(ahead) = ahead.filter(is_alive) {
        return Finding::new(
            "clock_ahead",
            format!(
                "{}; by the issuer's clock it is still good: this machine is {ahead} s ahead",
                refused.cause()
            ),
            "set the clock of this machine; the token needs no change",
        );
    }
    Finding::new("expired", refused.cause(), refused.repair())
}

/// What a macaroon lists.
fn caveats<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a str> {
    let all = seen.claims.get("caveats").and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str)
}

fn ends_at(caveat: &str, expires: Timestamp) -> bool {
    let end = caveat.strip_prefix("before = ");
    end.is_some_and(|end| end.parse() == Ok(expires))
}

fn of_beginning(seen: &Seen<'_>, refused: &Refused) -> Finding {
    let Refused::NotYet { begins, now } = refused else {
        return Finding::new("not_yet_valid", refused.cause(), refused.repair());
    };
    let behind = seen
        .clock
        .and_then(ClockShown::ahead)
        .filter(|own| *own < 0);
    if let Some(behind) = behind.filter(|own| now.seconds() - own >= begins.seconds()) {
        return Finding::new(
            "clock_behind",
            format!(
                "{}; by the issuer's clock it is good: this machine is {} s behind",
                refused.cause(),
                behind.abs()
            ),
            "set the clock of this machine; the token needs no change",
        );
    }
    let issued = seen.claims.get("iat").and_then(Value::as_f64);
    let is_issued = issued.is_some_and(|own| own as i64 == begins.seconds());
    if is_issued {
        return Finding::new("issued_in_future", refused.cause(), refused.repair());
    }
    Finding::new(
        "not_yet_valid",
        refused.cause(),
        "wait until it begins, or ask for a token that is good at once",
    )
}

fn spelled(
    near: &'static str,
    far: &'static str,
    refused: &Refused,
    (wanted, found): (&str, &str),
) -> Finding {
    match near_miss(wanted, found) {
        Some((_, words)) => {
            let cause = format!("{}: {words}", refused.cause());
            Finding::new(near, cause, refused.repair())
        }
        None => Finding::new(far, refused.cause(), refused.repair()),
    }
}

fn of_audience(
    seen: &Seen<'_>,
    refused: &Refused,
    (expected, found): (&String, &Vec<String>),
) -> Finding {
    let client = seen.claims.get("client_id").and_then(Value::as_str);
    if let ([one], Some(client)) = (&**found, client)
        && one == client
    {
        let cause = format!("{}: that is the client itself", refused.cause());
        return Finding::new("audience_is_client", cause, refused.repair());
    }
    if found.iter().any(|own| own == seen.issuer) {
        let cause = format!(
            "{}: that is the issuer itself, for whom a token is made that was asked for without `resource`",
            refused.cause()
        );
        return Finding::new("audience_is_issuer", cause, refused.repair());
    }
    if let [one] = &**found
        && near_miss(expected, one).is_some()
    {
        let mut finding = spelled(
            "audience_spelling",
            "other_audience",
            refused,
            (expected, one),
        );
        finding.repair = format!(
            "{}, or let the API take `{one}` as another name of it (`aliases`)",
            finding.repair
        );
        return finding;
    }
    Finding::new("other_audience", refused.cause(), refused.repair())
}

fn of_scope(
    seen: &Seen<'_>,
    refused: &Refused,
    (needed, found): (&Vec<String>, &Vec<String>),
) -> Finding {
    let splits = |own: &String| {
        let mut words = own.split([',', ';', '+', '|']);
        words.clone().count() > 1 && words.any(|word| needed.iter().any(|one| one == word))
    };
    if found.iter().any(splits) {
        return Finding::new(
            "scope_separator",
            format!("{}: scopes are separated by one space", refused.cause()),
            "have the issuer write one space between scopes (RFC 6749 §3.3)",
        );
    }
    if found.is_empty() {
        let other = ["scp", "scopes", "permissions", "roles"]
            .into_iter()
            .find(|name| seen.claims.contains_key(*name));
        if let Some(name) = other {
            return Finding::new(
                "scope_in_other_claim",
                format!(
                    "{}: it has a claim `{name}`, scopes are read from `scope` alone",
                    refused.cause()
                ),
                "have the issuer write scopes into `scope` (RFC 9068 §2.2.3)",
            );
        }
        return Finding::new("scope_missing", refused.cause(), refused.repair());
    }
    let differs = |own: &&String| found.iter().any(|one| one.eq_ignore_ascii_case(own));
    if needed.iter().all(|own| differs(&own)) {
        let cause = format!("{}: they differ in capital letters alone", refused.cause());
        return Finding::new("scope_spelling", cause, refused.repair());
    }
    Finding::new("scope_lacking", refused.cause(), refused.repair())
}

/// Of a JWT everything else was checked here; of what the issuer alone can
/// read, it says no more than no.
fn of_inactive(seen: &Seen<'_>, refused: &Refused) -> Finding {
    if seen.recognized.what == What::AccessToken {
        return Finding::new(
            "revoked",
            "revocation: the token is whole and in time, and its issuer says that it is not active any more"
                .into(),
            refused.repair(),
        );
    }
    Finding::new(
        "inactive",
        format!("{}, and to a resource server no more", refused.cause()),
        "ask the issuer why: `symbolon token explain --admin URL` shows an administrator the check; or ask for a new token",
    )
}
