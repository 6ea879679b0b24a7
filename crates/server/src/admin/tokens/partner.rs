//! A JWT of a trusted issuer, judged as a token exchange would take it.
//!
//! Spec: RFC 7523 §3
//! Spec: RFC 8693 §2.1

use serde_json::json;
use symbolon_token::jose::Unverified;

use crate::cx::Cx;
use crate::grant::trusted_issuer::{claimed_issuer, judge};

use super::{Question, Reason, Told};

/// What is wrong with it; nothing where no trusted issuer is named in it.
pub(super) async fn told(cx: &Cx, question: &Question) -> Option<Told> {
    let claimed = Unverified::parse(&question.token).ok();
    let claimed = claimed.as_ref().and_then(claimed_issuer)?;
    let found = cx.directory.find_trusted_issuer(&claimed)?;
    let judged = match found.trusted {
        true => judge(cx, &found.issuer, &question.token).await,
        false => Err("nobody trusts the issuer"),
    };
    Some(Told {
        known: json!({ "issuer": found.issuer.issuer }),
        ..Told::of(judged.err().map(Reason::Partner))
    })
}
