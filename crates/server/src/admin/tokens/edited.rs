//! Which claims somebody changed, where what was signed is still remembered.
//!
//! A JWT whose signature does not match says whose it claims to be (`jti`). Where
//! this process issued that one lately, it knows what it wrote, and tells each
//! claim that differs. Nothing is believed of the token: it is refused anyway,
//! and whoever asks here may read what was issued.
//!
//! Spec: RFC 7515 §5.2
//! Spec: RFC 9068 §2.2

use serde_json::{Map, Value};
use symbolon_protocol::Timestamp;
use symbolon_token::explain::Refused as Why;
use symbolon_token::jose::{Invalid, Unverified};
use symbolon_token::{Id, Token};

use crate::admin::failed::Failed;
use crate::cx::Cx;
use crate::grant::subject;
use crate::recent::IssuedToken;

/// How much of a claim is shown, in characters.
const MAX_SHOWN: usize = 100;

/// The claims that are others than what was signed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edited(Vec<Change>);

#[derive(Debug, PartialEq, Eq)]
struct Change {
    claim: &'static str,
    was: String,
    is: String,
}

/// What was changed in a text whose signature does not match.
pub(super) async fn find(cx: &Cx, text: &str, why: &Why) -> Result<Option<Edited>, Failed> {
    if *why != Why::Signature(Invalid::Signature) {
        return Ok(None);
    }
    let Some((claims, issued)) = signed(cx, text) else {
        return Ok(None);
    };
    let own = &issued.authority;
    let client = cx.directory.find_client(own.client()).await?;
    let subject = client.map(|own_client| subject::of(&cx.keys, &own_client.client, own.subject()));
    let changes = changes(cx, &claims, &issued, subject);
    Ok((!changes.is_empty()).then_some(Edited(changes)))
}

/// What a text claims, and what was signed under the id that it claims.
fn signed(cx: &Cx, text: &str) -> Option<(Map<String, Value>, IssuedToken)> {
    let claims = Unverified::parse(text).ok()?;
    let claims = claims.dangerous_claims_without_key().ok()?;
    let token = claims.get("jti")?.as_str()?.parse::<Id<Token>>().ok()?;
    Some((claims, cx.recent.find(token)?))
}

fn changes(
    cx: &Cx,
    claims: &Map<String, Value>,
    issued: &IssuedToken,
    subject: Option<String>,
) -> Vec<Change> {
    let own = &issued.authority;
    let client = own.client().as_str();
    let audience = own.audiences().first();
    let mut written = vec![
        ("scope", own.scopes().to_string()),
        ("exp", own.expires().seconds().to_string()),
        ("aud", audience.map(ToString::to_string).unwrap_or_default()),
        ("client_id", client.to_owned()),
        ("iss", cx.settings.issuer.as_str().to_owned()),
        ("iat", issued.issued.seconds().to_string()),
        (
            "organization",
            own.organization()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
    ];
    written.extend(subject.map(|subject| ("sub", subject)));
    let differ = written.into_iter().filter_map(|(claim, was)| {
        let is = claims.get(claim).map(said).unwrap_or_default();
        (is != was).then(|| Change {
            claim,
            was: shown(claim, &was),
            is: shown(claim, &is),
        })
    });
    differ.collect()
}

fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn shown(claim: &str, text: &str) -> String {
    let time = text.parse().ok().map(Timestamp::from_seconds);
    match time.filter(|_| matches!(claim, "exp" | "iat")) {
        Some(time) => time.to_string(),
        None => text
            .chars()
            .filter(|own| !own.is_control())
            .take(MAX_SHOWN)
            .collect(),
    }
}

impl Edited {
    /// The two that everyone tries have words of their own.
    pub(super) fn root(&self) -> &'static str {
        match self.0.as_slice() {
            [only] if only.claim == "scope" => "scope_changed",
            [only] if only.claim == "exp" => "expiry_changed",
            _ => "claims_changed",
        }
    }

    pub(super) fn cause(&self) -> String {
        let each = self
            .0
            .iter()
            .map(|own| format!("`{}` was `{}`, now it is `{}`", own.claim, own.was, own.is));
        let each = each.collect::<Vec<_>>().join("; ");
        format!("signature: claims were changed after they were signed: {each}")
    }

    pub(super) fn repair(&self) -> String {
        "send the token exactly as it was issued; for what it does not permit, ask the issuer for another: whoever writes it into the token makes it worthless".to_owned()
    }
}
