//! What tests of more than one crate need: a server in this process, a browser
//! without a screen, and a call of every route. Behind the feature `testing`.
//!
//! Everything here stops the test where something is missing.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "only tests are built with this, and they stop where something is missing"
)]

mod answer;
mod browser;
mod configuration;
mod crowd;
mod family;
mod guesses;
mod halves;
mod interrupted;
mod lost;
mod node;
mod pairs;
mod patience;
mod probe;
mod purge;
mod undone;

pub use answer::{Answer, http, http_from, read};
pub use browser::{Asking, Browser, Request, Site, VERIFIER, challenge, hidden, redemption};
pub use browser::{encode, response, send_form};
pub use configuration::{Head, ORDERS, VAULT, head, resources};
pub use crowd::crowd;
pub use family::family_of;
pub use guesses::{counted, wrong_user_codes};
pub use halves::{follow_directory, follow_feed};
pub use interrupted::{disable_in_part, withdraw_all};
pub use lost::lose_store;
pub use node::Node;
pub(crate) use pairs::shared;
pub use patience::be_patient;
pub use probe::{Known, Probe, is_of_route, probes, without_a_probe};
pub use purge::{believe, forget, forget_audit, link_audit, purge, sweep_outbox, time_of};
pub use undone::undone_by;
