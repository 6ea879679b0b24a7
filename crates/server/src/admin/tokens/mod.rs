//! `POST /admin/v1/tokens:explain`: what a token is, which check it fails, what
//! is known of it, and what took it back. The token is read and forgotten.
//!
//! Unlike introspection this says why. It counts no use of a macaroon, and
//! judges its conditions for the request that the question describes.
//!
//! Spec: RFC 7662 §2.2
//! Spec: RFC 7522 §3

#[cfg(feature = "saml")]
mod assertion;
mod claimed_key;
mod edited;
mod key;
mod known;
mod named;
mod partner;

use std::net::IpAddr;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use symbolon_token::explain::{Check, Refused as Why};
use symbolon_token::jose::Invalid;
use symbolon_token::macaroon::Request;
use symbolon_token::recognize::{Defect, Recognized, What};
use symbolon_token::revocation::{Hit, Target};

use crate::cx::Cx;
use crate::endpoint::live::Live;
use crate::endpoint::macaroon::Use;
use crate::endpoint::presented;
use crate::recent::repair_of_assertion;
use crate::respond;

use self::edited::Edited;
pub(super) use self::named::Named;
use super::call::Call;
use super::failed::{Failed, Outcome, Refused};

/// How long a token may be, in bytes.
const MAX_TOKEN_BYTES: usize = 128 * 1024;

/// What is said of whatever a distrusted key made.
const OF_KEY: Why = Why::Revoked(Some(Hit::Record(Target::Key)));

/// A token, and what a request would demand of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    token: String,
    audience: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    method: Option<String>,
    path: Option<String>,
    client_ip: Option<IpAddr>,
}

pub(super) async fn explain(cx: Cx, call: Call) -> Outcome {
    let question: Question = call.document()?;
    if question.token.is_empty() || question.token.len() > MAX_TOKEN_BYTES {
        let why = format!("has 1 to {MAX_TOKEN_BYTES} bytes");
        return Err(Refused::member("token", why).into());
    }
    let recognized = Recognized::of(&question.token);
    let told = match recognized.defects.first() {
        Some(defect) => Told::of_defect(*defect),
        None => told(&cx, &question, recognized.what).await?,
    };
    let body = json!({
        "kind": "shown",
        "verdict": if told.why.is_none() { "valid" } else { "refused" },
        "shown": recognized.what,
        "shown_words": recognized.what.words(),
        "defects": recognized.defects.iter().map(|own| own.code()).collect::<Vec<_>>(),
        "code": told.code(),
        "root": told.root(),
        "cause": told.cause(),
        "repair": told.repair(),
        "checks": steps(&told),
        "known": told.known,
        "taken_back": told.taken_back,
    });
    Ok(respond::json(StatusCode::OK, &body))
}

/// Why a token is refused.
enum Reason {
    Check(Why),
    Kind(What),
    Form(Defect),
    /// What a trusted issuer signed is not good.
    Partner(&'static str),
    /// Claims are others than those that this server signed.
    Edited(Edited),
    /// The key that it names was distrusted.
    Key(String),
}

/// All that is said about it.
struct Told {
    why: Option<Reason>,
    is_bound: bool,
    known: Value,
    taken_back: Value,
}

impl Told {
    fn of(why: Option<Reason>) -> Self {
        Self {
            why,
            is_bound: false,
            known: Value::Null,
            taken_back: json!([]),
        }
    }

    fn of_defect(defect: Defect) -> Self {
        Self::of(Some(Reason::Form(defect)))
    }

    fn code(&self) -> &'static str {
        match &self.why {
            None => "valid",
            Some(Reason::Check(why)) => why.code(),
            Some(Reason::Kind(_)) => "not_an_access_token",
            Some(Reason::Form(_)) => "malformed",
            Some(Reason::Partner(_)) => "partner_token_refused",
            Some(Reason::Edited(_)) => Invalid::Signature.code(),
            Some(Reason::Key(_)) => OF_KEY.code(),
        }
    }

    fn root(&self) -> &'static str {
        match &self.why {
            None => "valid",
            Some(Reason::Check(why)) => why.root(),
            Some(Reason::Kind(what)) => what.code(),
            Some(Reason::Form(defect)) => defect.code(),
            Some(Reason::Partner("it has expired")) => "partner_token_expired",
            Some(Reason::Partner(_)) => "partner_token_refused",
            Some(Reason::Edited(edited)) => edited.root(),
            Some(Reason::Key(_)) => OF_KEY.root(),
        }
    }

    fn cause(&self) -> String {
        match &self.why {
            None => "valid: every check passed".to_owned(),
            Some(Reason::Check(why)) => why.cause(),
            Some(Reason::Kind(what)) => {
                format!("signature: this is {}, not an access token", what.words())
            }
            Some(Reason::Form(defect)) => format!("signature: {}", defect.words()),
            Some(Reason::Partner(cause)) => {
                let check = self.failed().map_or("", Check::name);
                format!("{check}: of this JWT of a trusted issuer: {cause}")
            }
            Some(Reason::Edited(edited)) => edited.cause(),
            Some(Reason::Key(key)) => format!(
                "revocation: the key that it names, `{key}`, was distrusted; whether that key made it cannot be proved any more"
            ),
        }
    }

    fn repair(&self) -> String {
        match &self.why {
            None => String::new(),
            Some(Reason::Check(why)) => why.repair(),
            Some(Reason::Kind(what)) => what.instead().to_owned(),
            Some(Reason::Form(defect)) => defect.repair().to_owned(),
            Some(Reason::Partner(cause)) => repair_of_assertion(cause).to_owned(),
            Some(Reason::Edited(edited)) => edited.repair(),
            Some(Reason::Key(_)) => OF_KEY.repair(),
        }
    }

    fn failed(&self) -> Option<Check> {
        match self.why.as_ref()? {
            Reason::Check(why) => Some(why.check()),
            Reason::Key(_) => Some(OF_KEY.check()),
            Reason::Partner("it has expired" | "iat or nbf is in the future") => {
                Some(Check::Expiry)
            }
            Reason::Partner("aud is not this server") => Some(Check::Audience),
            Reason::Partner("nobody trusts the issuer") => Some(Check::Issuer),
            Reason::Kind(_) | Reason::Form(_) | Reason::Partner(_) | Reason::Edited(_) => {
                Some(Check::Signature)
            }
        }
    }
}

/// The six checks, then key binding and policy. What a token is bound to is
/// judged where it is used, so here it is only said whether it is.
fn steps(told: &Told) -> Value {
    let failed = told.failed();
    let is_proved = !matches!(told.why, Some(Reason::Key(_)));
    let outcome = |check: Check| match failed {
        Some(failed) if check == failed => "failed",
        Some(failed) if check > failed => "not_reached",
        Some(_) if !is_proved => "unknown",
        _ => "passed",
    };
    let step = |check: Check| json!({ "check": check.name(), "outcome": outcome(check) });
    let mut all: Vec<Value> = Check::ALL.into_iter().map(step).collect();
    let binding = match (failed, told.is_bound) {
        (None, true) => "unknown",
        (None, false) => "not_asked",
        _ => "not_reached",
    };
    all.push(json!({ "check": "binding", "outcome": binding }));
    let policy = if failed.is_none() {
        "not_asked"
    } else {
        "not_reached"
    };
    all.push(json!({ "check": "policy", "outcome": policy }));
    all.into()
}

async fn told(cx: &Cx, question: &Question, what: What) -> Result<Told, Failed> {
    if matches!(what, What::Assertion) {
        #[cfg(feature = "saml")]
        return assertion::told(cx, question).await;
    }
    if crate::api_key::is_shown(cx, &question.token) {
        return key::told(cx, question).await;
    }
    if let Some(told) = partner::told(cx, question).await {
        return Ok(told);
    }
    // What was encrypted here to a resource, this server can read again.
    let inner = match what {
        What::Encrypted => cx.keys.decrypt(&question.token),
        _ => None,
    };
    // A refresh token has a row of its own, which `symbolon revoke` names.
    if !what.is_access_token() && inner.is_none() {
        return Ok(Told::of(Some(Reason::Kind(what))));
    }
    let inner = inner.and_then(|own| String::from_utf8(own).ok());
    let signed = inner.as_deref().unwrap_or(&question.token);
    let request = Request {
        method: question.method.as_deref(),
        path: question.path.as_deref(),
        address: question.client_ip,
    };
    let opened = presented::open_for(cx, &question.token, &Use::AtResource(request)).await?;
    let judged = match &opened {
        Ok(pending) => match demand(cx, question, pending.before_counting()) {
            Ok(()) => pending.find_left(cx).await?.map(|_| ()),
            refused => refused,
        },
        Err(why) => Err(why.clone()),
    };
    let is_bound = opened.is_ok_and(|own| own.before_counting().binding.is_bound());
    let why = match judged {
        Ok(()) => None,
        Err(why) => match edited::find(cx, signed, &why).await? {
            Some(edited) => Some(Reason::Edited(edited)),
            None => match claimed_key::find_distrusted(cx, signed, &why).await? {
                Some(key) => Some(Reason::Key(key)),
                None => Some(Reason::Check(why)),
            },
        },
    };
    let (known, taken_back) = known::of(cx, (&question.token, signed)).await?;
    Ok(Told {
        why,
        is_bound,
        known,
        taken_back,
    })
}

/// Audience and scope, as far as the question names them.
fn demand(cx: &Cx, question: &Question, live: &Live) -> Result<(), Why> {
    check_audience(cx, question, &live.audience)?;
    let needed = &question.scopes;
    if needed.iter().all(|scope| live.scopes.contains(scope)) {
        return Ok(());
    }
    Err(Why::Scope {
        needed: needed.clone(),
        found: live
            .scopes
            .iter()
            .map(|own| own.as_str().to_owned())
            .collect(),
    })
}

/// The API under any of its names.
fn check_audience(cx: &Cx, question: &Question, audience: &str) -> Result<(), Why> {
    let Some(expected) = &question.audience else {
        return Ok(());
    };
    let named = cx.directory.find_resource(expected);
    let is_meant =
        expected == audience || named.is_some_and(|own| own.identifier.as_str() == audience);
    if is_meant {
        return Ok(());
    }
    Err(Why::Audience {
        expected: expected.clone(),
        found: vec![audience.to_owned()],
    })
}
