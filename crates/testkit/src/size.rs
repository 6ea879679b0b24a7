//! How large a test that repeats itself is: quick beside all others, or in full under
//! `./test --long`.

/// A test of a row of the reliability catalogue (R…) or of the attacks that has
/// two sizes. `./test --long ROW…` takes these names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Row {
    /// The process is killed while clients renew their tokens.
    R01,
    /// The power is cut while acts are carried out.
    R03,
    /// The disk is full.
    R05,
    /// Bytes of the files are changed.
    R06,
    /// Many redeem one code at once.
    R07,
    /// Many renew with one token at once.
    R08,
    /// Many prove themselves with one assertion at once.
    R09,
    /// The database is away, or says nothing.
    R10,
    /// The database is slow.
    R11,
    /// A standby takes the place of its primary.
    R12,
    /// What was taken back dies on every node.
    R13,
    /// A node is cut off from the database.
    R14,
    /// Each node is restarted in turn.
    R16,
    /// One machine is restarted on sockets that are handed over.
    R17,
    /// A migration of many rows.
    R19,
    /// Many rows are backed up and restored.
    R20,
    /// Keys rotate again and again under load.
    R21,
    /// Many sign in at once.
    R23,
    /// What has expired goes, beside those who write.
    R26,
    /// The issuer is away from a verifier.
    R28,
    /// Clocks are apart.
    R30,
    /// Many tokens are drawn.
    R35,
    /// Strangers hold connections open.
    R36,
    /// Two nodes start at once.
    R37,
    /// A node is stopped for a while.
    R38,
    /// The process is killed while administrators change things.
    R39,
    /// The configuration is read again and again.
    R40,
    /// A receiver of messages is away for an hour.
    R41,
    /// Many callers share the gateway's connections.
    R44,
    /// Histories of many callers are explained by one order.
    R47,
    /// Each of several nodes is killed in turn.
    N01,
    /// Chains of tokens keep who they are of.
    I05,
    /// Chains of tokens permit no more.
    I06,
    /// Chains of tokens live no longer.
    I07,
    /// Chains of tokens stay bound.
    I14,
    /// Chains of tokens stay where they are good.
    I15,
    /// Chains of tokens end with each link of them.
    I16,
    /// Changed tokens are refused.
    I30,
    /// Tokens are read back as they were written.
    I31,
    /// Every request brings another locale.
    A038,
    /// Random sequences are compared with a plain model.
    M01,
    /// The time that a wrong secret takes is compared with an unknown client's.
    D123,
    /// The time that a wrong MAC takes is compared wherever it differs.
    E170,
    /// Every request starts a sign-in that nobody finishes.
    K319,
}

impl Row {
    /// The size to take: the full one where it was asked for, of everything or
    /// of this row.
    pub fn size<T>(self, short: T, long: T) -> T {
        if self.is_long() { long } else { short }
    }

    /// Whether the full size was asked for.
    pub fn is_long(self) -> bool {
        let read = |name: &str| std::env::var(name).unwrap_or_default();
        is_asked_for(self, &read("SYMBOLON_LONG"), &read("SYMBOLON_LONG_ROWS"))
    }
}

fn is_asked_for(row: Row, long: &str, rows: &str) -> bool {
    let name = format!("{row:?}");
    let mut named = rows.split(' ').filter(|row| !row.is_empty()).peekable();
    long == "1" && (named.peek().is_none() || named.any(|row| row == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_long_where_all_are_or_it_is_named() {
        assert!(is_asked_for(Row::R07, "1", ""));
        assert!(is_asked_for(Row::R07, "1", "R01 R07"));
        assert!(!is_asked_for(Row::R07, "1", "R01"));
        assert!(!is_asked_for(Row::R07, "", ""));
        assert!(!is_asked_for(Row::R07, "", "R07"));
    }
}
