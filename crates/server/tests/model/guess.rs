//! Strangers who guess the password of somebody whom nothing else is asked of.

use symbolon_server::testing::Browser;

use super::ask::wish;
use super::setting::{GUESSED, PASSWORD, WANTS};
use super::world::{Held, World, hold};

/// By way of what they try: of a client that is always on.
const AT: usize = 5;
/// How many guesses at one name count together, and for how long.
const MOST: u32 = 10;
const WINDOW: i64 = 60 * 60_000;

impl World {
    /// Some wrong guesses, and the right one where it is known: each by a browser
    /// that was never seen before.
    pub(super) async fn guess(&mut self, node: usize, tries: u8, right: bool) -> Held {
        for _ in 0..tries {
            let status = self.try_password(node, "not the password").await;
            self.i23_a_guess_is_counted(false, status)?;
        }
        if right {
            let status = self.try_password(node, PASSWORD).await;
            self.i23_a_guess_is_counted(true, status)?;
        }
        Ok(())
    }

    async fn try_password(&self, node: usize, password: &str) -> u16 {
        let mut own = Browser::new(&self.peers[node]);
        let page = own.authorize(&wish(&WANTS[AT])).await;
        own.sign_in(&page, GUESSED, password).await.status
    }

    /// I23: a guess counts until its time is over. A right one takes itself back,
    /// and none before it.
    fn i23_a_guess_is_counted(&mut self, right: bool, status: u16) -> Held {
        let now = self.book.now;
        let mut own = self.book.guesses;
        if own.ends <= now {
            own.count = 0;
            own.ends = now + WINDOW;
        }
        let is_looked_at = own.count < MOST;
        let expected = match (is_looked_at, right) {
            (false, _) => 429,
            (true, true) => 200,
            (true, false) => 422,
        };
        hold!(
            "I23",
            status == expected,
            "a guess after {own:?} at {now}, right: {right}: {status}, not {expected}"
        );
        if is_looked_at && !right {
            own.count += 1;
            self.book.guesses = own;
        }
        if is_looked_at && right {
            self.tells("session.open");
            // A counter that stands at nothing is none.
            if own.count > 0 {
                self.book.guesses = own;
            }
        }
        Ok(())
    }
}
