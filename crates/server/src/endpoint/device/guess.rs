//! How many codes may be tried: by session, person, network and all together.
//!
//! Only whoever is signed in can try one. A try is counted before the code is
//! looked up and taken back where it was right, so what counts is what was wrong.
//! Of 20¹⁰ codes at most 500 are tried in ten minutes: with 20,000 devices waiting,
//! one is hit with a chance below one in a million.
//!
//! Spec: RFC 8628 §5.1

use std::time::Duration;

use symbolon_store::{CountUses, ForgiveAttempt, Use, Uses};

use crate::authn::session::LiveSession;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::limit::network;

/// How long a wrong code counts.
pub(super) const WINDOW: Duration = Duration::from_secs(10 * 60);
/// Wrong codes of one session, and of one person in all their sessions.
const PER_SESSION: u32 = 5;
const PER_PERSON: u32 = 15;
/// Wrong codes from one network.
const PER_NETWORK: u32 = 50;
/// Wrong codes of everybody.
const ALL: u32 = 500;

/// A try that was counted.
pub(super) struct Try(Vec<Use>);

/// Counts a try; nothing where there were too many.
pub(super) async fn count(cx: &Cx, session: &LiveSession) -> Result<Option<Try>, Failure> {
    let until = cx.now + WINDOW;
    let one = |label: &str, part: &[u8], limit| Use {
        name: cx.keys.name_mac(label, &[part]),
        limit,
        until,
    };
    let network = network(cx.address).to_string();
    let uses = vec![
        one(
            "user-code-session",
            session.session.id.as_bytes(),
            PER_SESSION,
        ),
        one("user-code-person", session.person.id.as_bytes(), PER_PERSON),
        one("user-code-network", network.as_bytes(), PER_NETWORK),
        one("user-code-all", b"", ALL),
    ];
    let act = CountUses {
        uses: uses.clone(),
        now: cx.now,
    };
    Ok(match cx.store.act(act).await? {
        Uses::Counted => Some(Try(uses)),
        Uses::Spent { .. } => None,
    })
}

impl Try {
    /// Takes the try back: the code was right.
    pub(super) async fn forgive(&self, cx: &Cx) -> Result<(), Failure> {
        for own in &self.0 {
            cx.store.act(ForgiveAttempt { name: own.name }).await?;
        }
        Ok(())
    }
}
