//! Third-party caveats of this server: they are made, asked for, and decided.
//!
//! 1. A client asks for a caveat about its macaroon ([`caveat`]) and adds it.
//! 2. Whoever holds the macaroon asks for the discharge ([`ask`]): membership
//!    is known at once, the rest waits for a person.
//! 3. The person decides in a browser ([`approve`]).
//! 4. Whoever waits takes the discharge, once, and binds it to the macaroon.
//!
//! Spec: Macaroons NDSS 2014 §2.2, §3.1

pub(crate) mod approve;
pub(crate) mod ask;
pub(crate) mod caveat;

use crate::cx::Cx;

/// Where discharges are asked for: the location of each caveat of ours.
fn location(cx: &Cx) -> String {
    cx.settings.issuer.endpoint("/discharge")
}
