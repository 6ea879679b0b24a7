//! Macaroons: tokens that whoever holds them can narrow without asking anyone.
//!
//! A macaroon is an identifier under a MAC, and caveats, each under a MAC whose
//! key is the one before: whoever has the last MAC can add, nobody can take
//! away. Ours carry their authority sealed in the identifier. The text is the
//! base64url of the v2 form of libmacaroons, root first, discharges bound to it
//! behind, so that other libraries read it; v1 and JSON are read too.
//!
//! A caveat either narrows what an [`Authority`](crate::Authority) expresses
//! (scope, audience, end, key), through [`narrow`](crate::Authority::narrow),
//! or is a condition that is asked at each use. Whoever opens a macaroon gets
//! both: no condition can be forgotten, because judging them is the way to
//! what a macaroon permits.
//!
//! What is presented is read and proved here. A library writes macaroons, adds to
//! them and reads the older forms, and this module is the one place that knows it.
//!
//! Spec: Macaroons NDSS 2014 §2, §3
//! Spec: libmacaroons formats 1 and 2 and JSON

mod agreement;
mod binary;
mod calendar;
mod caveat;
mod chain;
mod context;
mod demands;
mod discharge;
mod flaw;
mod form;
mod holder;
mod path;
mod path_index;
mod root;
mod server;
mod shared;

pub(crate) use caveat::network;

pub use agreement::{Agreement, Given};
pub use calendar::{Days, Hours};
pub use caveat::{Caveat, InvalidCaveat};
pub use context::{Context, Request};
pub use demands::Count;
pub use discharge::{
    Asked, MadeCaveat, OpenedCaveat, Permits, discharge, make_caveat, open_caveat,
};
pub use flaw::Flaw;
pub use form::{is_counted, is_macaroon};
pub use holder::{Contents, ShownCaveat, attenuate, inspect, present, require};
pub use path::PathPattern;
pub use path_index::PathIndex;
pub use server::{MacaroonToken, Minted, Root, claimed_key, mint, name, open};
pub use shared::{
    Period, SHARED_PERIOD_SECONDS, SharedKey, SharedPresented, SharedToken, mint_shared,
    shared_keys,
};

/// How long the text of a macaroon with its discharges may be, in bytes.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;
/// How many macaroons may be presented together: a root and its discharges.
/// No chain of discharges is deeper than there are discharges.
pub const MAX_MACAROONS: usize = 9;
/// How many caveats all of them may have together.
pub const MAX_CAVEATS: usize = 64;
/// How long one caveat may be, in bytes.
pub const MAX_CAVEAT_BYTES: usize = 1024;
/// How long an identifier may be, in bytes.
pub const MAX_IDENTIFIER_BYTES: usize = 4096;
