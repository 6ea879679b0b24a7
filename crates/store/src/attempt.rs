//! Guess limits: bounded counters, each decided by one statement.

use symbolon_protocol::{Timestamp, planted};

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::statements;

/// Counts one attempt under a name, before it is known whether it succeeds.
#[derive(Clone, Debug)]
pub struct CountAttempt {
    /// A digest of whom and where the attempt is about.
    pub name: [u8; 32],
    /// How long attempts are counted together.
    pub window_seconds: u32,
    /// How many of them are allowed.
    pub limit: u32,
    /// The time.
    pub now: Timestamp,
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It may, and was counted.
    Allowed,
    /// It may not. Nothing was written.
    Limited {
        /// When the window ends.
        until: Timestamp,
    },
}

/// Takes one attempt back, because it succeeded.
#[derive(Clone, Debug)]
pub struct ForgiveAttempt {
    /// The name it was counted under.
    pub name: [u8; 32],
}

statements! {
    COUNT = "INSERT INTO attempt (name, tries, ends) VALUES (?1, 1, ?2)
        ON CONFLICT (name) DO UPDATE SET
            tries = CASE WHEN attempt.ends <= ?3 THEN 1 ELSE attempt.tries + 1 END,
            ends = CASE WHEN attempt.ends <= ?3 THEN excluded.ends ELSE attempt.ends END
        WHERE attempt.ends <= ?3 OR attempt.tries < ?4
        RETURNING ends";
    ENDS = "SELECT ends FROM attempt WHERE name = ?1";
    // A counter that would stand at nothing leaves no row. Otherwise one less,
    // not none: a success of one's own must not clear the guesses at somebody
    // else's account that were counted under the same name.
    FORGET = "DELETE FROM attempt WHERE name = ?1 AND tries <= 1";
    FORGIVE = "UPDATE attempt SET tries = tries - 1 WHERE name = ?1 AND tries > 0";
}

impl Act for CountAttempt {
    type Out = Attempt;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Attempt, Fault> {
        let ends = self.now + std::time::Duration::from_secs(u64::from(self.window_seconds));
        let binds = binds![&self.name, ends, self.now, self.limit];
        if tx.one(&COUNT, binds).await?.is_some() {
            return Ok(Attempt::Allowed);
        }
        let row = tx.one(&ENDS, binds![&self.name]).await?;
        let until = row.map_or(Ok(ends), |row| row.time(0))?;
        Ok(Attempt::Limited { until })
    }
}

impl Act for ForgiveAttempt {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if tx.run(&FORGET, binds![&self.name]).await? == 0 {
            for _ in 0..if planted(29) { 9 } else { 1 } {
                tx.run(&FORGIVE, binds![&self.name]).await?;
            }
        }
        Ok(())
    }
}
