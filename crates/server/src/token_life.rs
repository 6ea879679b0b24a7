//! How long access tokens may live that have been issued so far: under the
//! lifetimes that hold now, and under longer ones that held until lately.
//!
//! Keys are believed, and what was taken back is remembered, for as long as any
//! token lives that they could be asked about.

use std::time::Duration;

use arc_swap::ArcSwap;
use symbolon_protocol::{Lifetime, Timestamp};
use symbolon_store::{Fault, NOTED_AHEAD, NoteTokenLife, Store, TokenLife, TokenLives};

use crate::app::App;
use crate::config::Lifetimes;
use crate::keys::policy::Ages;

/// How much longer what was taken back is remembered: a clock may have been ahead
/// by a day and an hour when a token was issued.
const MARGIN: Duration = Duration::from_secs(25 * 60 * 60);

/// What the store has noted, as it was read last: with every version of the
/// directory, once a minute, and before keys are changed.
#[derive(Debug, Default)]
pub(crate) struct NotedLives(ArcSwap<Vec<TokenLife>>);

impl NotedLives {
    /// Reads what is noted.
    pub(crate) async fn read(&self, store: &Store) -> Result<(), Fault> {
        self.0.store(store.read(TokenLives).await?.into());
        Ok(())
    }

    /// Whether a life that tokens are issued with is noted for a while to come.
    fn is_noted(&self, life: Lifetime, now: Timestamp) -> bool {
        let enough = now + life.duration() + NOTED_AHEAD / 2;
        let lives = self.0.load();
        lives
            .iter()
            .any(|own| own.life >= life && own.ends >= enough)
    }

    /// The longest life of which a token may be left.
    pub(crate) fn longest(&self, now: Timestamp) -> Lifetime {
        let lives = self.0.load();
        let left = lives.iter().filter(|own| own.ends > now);
        left.map(|own| own.life)
            .max()
            .unwrap_or(Lifetime::seconds(0))
    }

    /// How long from now on any token lives, where those that are issued now
    /// have a life. One of a longer life may be left.
    fn left(&self, issued: Lifetime, now: Timestamp) -> Duration {
        let lives = self.0.load();
        let longer = lives.iter().filter(|own| own.life > issued);
        let left = longer.map(|own| own.ends.since(now)).max();
        left.unwrap_or_default().max(issued.duration())
    }
}

impl App {
    /// The longest life that anything signed or sealed is issued with now.
    fn longest_issued(&self) -> Lifetime {
        self.longest_issued_under(&self.settings().lifetimes)
    }

    fn longest_issued_under(&self, lifetimes: &Lifetimes) -> Lifetime {
        let of_resources = self.directory.longest_access_token();
        let own = lifetimes.access_token.max(lifetimes.id_token);
        own.max(of_resources)
    }

    /// What the lives of keys are measured by, now.
    pub(crate) fn ages(&self) -> Ages {
        let left = self.noted_lives.left(self.longest_issued(), self.sure());
        Ages::new(&self.settings(), left)
    }

    /// When the last of all tokens has ended that are issued by now. What is taken
    /// back together with its rows (a family, a session, a grant, all of a person)
    /// need not be remembered longer: those rows say it for ever.
    pub(crate) fn token_horizon(&self, now: Timestamp) -> Timestamp {
        now + self.noted_lives.left(self.longest_issued(), now) + MARGIN
    }

    /// The longest that anything lives whose revocation must be remembered: of a
    /// client or an organization the rows may be too many to end at once.
    pub(crate) fn horizon(&self, now: Timestamp) -> Timestamp {
        let longest = self.settings().longest.duration();
        let left = self.noted_lives.left(self.longest_issued(), now);
        now + longest.max(left) + Duration::from_secs(24 * 60 * 60)
    }

    /// Notes the longest life that this node issues with, where it is not noted
    /// for a while to come, and reads what others have noted. What fails is done
    /// a minute later: what is noted already lasts longer than that.
    pub(crate) async fn note_token_life(&self) {
        if let Err(fault) = self.note(self.longest_issued()).await {
            tracing::warn!(cause = %fault, "could not note how long tokens live");
        }
    }

    /// The same under lifetimes that are about to hold. Nothing is issued with a
    /// life that is not noted: another node, which may know nothing of it yet, asks
    /// there how long to remember what it takes back. A full disk under SQLite takes
    /// no note, and keeps nobody from starting: there is no other node.
    pub(crate) async fn note_lifetimes(&self, lifetimes: &Lifetimes) -> Result<(), Fault> {
        match self.note(self.longest_issued_under(lifetimes)).await {
            Err(fault) if fault.is_full() => {
                tracing::warn!(cause = %fault, "could not note how long tokens live");
                Ok(())
            }
            noted => noted,
        }
    }

    async fn note(&self, life: Lifetime) -> Result<(), Fault> {
        let now = self.edge.clock.now();
        self.noted_lives.read(&self.store).await?;
        if self.noted_lives.is_noted(life, now) {
            return Ok(());
        }
        let sure = self.sure();
        self.store.act(NoteTokenLife { life, now, sure }).await?;
        self.noted_lives.read(&self.store).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u32 = 60 * 60;

    fn at(hours: u32) -> Timestamp {
        Timestamp::EPOCH + Lifetime::seconds(hours * HOUR).duration()
    }

    fn noted(lives: &[(u32, u32)]) -> NotedLives {
        let lives = lives.iter().map(|(life, ends)| TokenLife {
            life: Lifetime::seconds(life * HOUR),
            ends: at(*ends),
        });
        NotedLives(ArcSwap::from_pointee(lives.collect()))
    }

    fn left(lives: &[(u32, u32)], issued: u32, now: u32) -> u64 {
        let left = noted(lives).left(Lifetime::seconds(issued * HOUR), at(now));
        left.as_secs() / u64::from(HOUR)
    }

    #[test]
    fn a_longer_life_counts_until_its_last_token_has_ended() {
        let lowered = [(24, 30), (1, 12)];

        assert_eq!(left(&lowered, 1, 10), 20);
        assert_eq!(left(&lowered, 1, 29), 1);
        assert_eq!(left(&lowered, 1, 99), 1);
        assert_eq!(
            noted(&lowered).longest(at(29)),
            Lifetime::seconds(24 * HOUR)
        );
        assert_eq!(noted(&lowered).longest(at(30)), Lifetime::seconds(0));
    }

    #[test]
    fn a_life_that_is_issued_still_counts_for_no_more_than_itself() {
        assert_eq!(left(&[(24, 99)], 24, 10), 24);
        assert_eq!(left(&[], 24, 10), 24);
    }

    #[test]
    fn of_two_that_were_lowered_the_later_end_counts() {
        // Lowered from 24 hours, raised to 12 within that day, lowered again.
        let twice = [(24, 25), (12, 33)];

        assert_eq!(left(&twice, 1, 20), 13);
        assert_eq!(left(&[(24, 45), (12, 33)], 1, 20), 25);
    }

    #[test]
    fn a_life_is_noted_again_before_what_is_noted_runs_out() {
        let noted = noted(&[(24, 25)]);
        let half = Duration::from_secs(30 * 60);
        let day = Lifetime::seconds(24 * HOUR);

        assert!(noted.is_noted(day, at(0) + half));
        assert!(!noted.is_noted(day, at(1)));
        assert!(!noted.is_noted(Lifetime::seconds(25 * HOUR), at(0)));
        assert!(noted.is_noted(Lifetime::seconds(HOUR), at(1)));
    }
}
