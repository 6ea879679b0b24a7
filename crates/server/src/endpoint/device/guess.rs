//! How many codes may be tried: by session, person and network.
//!
//! Only whoever is signed in can try one. A try is counted before the code is
//! looked up and taken back where it was right, so what counts is what was wrong.
//!
//! Nobody is kept from the page by what strangers do: where there were many
//! wrong codes, in one network or altogether, everyone there still has a few
//! tries of their own. In ten minutes N accounts try at most 500 + 2 N of 20¹⁰
//! codes, so with W devices waiting one is hit with a chance of at most
//! W · (500 + 2 N) / 10¹³: with 2,000 devices, one in ten million for a few
//! attackers, and one in a million for 2,250 accounts.
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
/// Wrong codes from one network, and of everybody, after which the limits are
/// those below.
const PER_NETWORK: u32 = 50;
const ALL: u32 = 500;
/// The same while many are wrong: a slip of the finger, and no more.
const PER_SESSION_THEN: u32 = 2;
const PER_PERSON_THEN: u32 = 2;

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
    let own = |of_session, of_person| {
        let (session, person) = (&session.session.id, &session.person.id);
        vec![
            one("user-code-session", session.as_bytes(), of_session),
            one("user-code-person", person.as_bytes(), of_person),
        ]
    };
    let mut uses = own(PER_SESSION, PER_PERSON);
    let of_others = uses.len();
    uses.push(one("user-code-network", network.as_bytes(), PER_NETWORK));
    uses.push(one("user-code-all", b"", ALL));
    Ok(match take(cx, &uses).await? {
        Uses::Counted => Some(Try(uses)),
        Uses::Spent { which } if which >= of_others => {
            let uses = own(PER_SESSION_THEN, PER_PERSON_THEN);
            let counted = take(cx, &uses).await? == Uses::Counted;
            counted.then_some(Try(uses))
        }
        Uses::Spent { .. } => None,
    })
}

async fn take(cx: &Cx, uses: &[Use]) -> Result<Uses, Failure> {
    let act = CountUses {
        uses: uses.to_vec(),
        now: cx.now,
    };
    Ok(cx.store.act(act).await?)
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
