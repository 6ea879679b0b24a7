//! The one `DPoP` header of a request.
//!
//! Spec: RFC 9449 §4.1, §4.3

use http::HeaderName;
use symbolon_protocol::TargetUri;
use symbolon_token::dpop::{self, Expected, InvalidProof, Proof};
use symbolon_token::jose::Invalid;

use crate::cx::Cx;
use crate::received::Received;

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Reads and checks the proof of a request; `None` where it carries none.
pub(super) fn read(
    cx: &Cx,
    received: &Received,
    access_token: Option<&str>,
) -> Result<Option<Proof>, InvalidProof> {
    let mut all = received.headers.get_all(DPOP).iter();
    let text = match (all.next(), all.next()) {
        (None, _) => return Ok(None),
        (Some(_), Some(_)) => return Err(InvalidProof::Repeated),
        (Some(one), None) => one.to_str().map_err(|_| Invalid::Form)?,
    };
    // The address as the outside knows it: the configured one, never what a
    // caller says, but for which of our own names it used.
    let origin = cx.settings.origin_under(received.host());
    let target: TargetUri = format!("{origin}{}", received.uri.path())
        .parse()
        .map_err(|_| InvalidProof::Target)?;
    let expected = Expected {
        method: received.method.as_str(),
        target: &target,
        access_token,
        now: cx.now,
        skew: cx.settings.clock_skew,
    };
    dpop::check(text, &expected).map(Some)
}
