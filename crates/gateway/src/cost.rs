//! What a request takes of its caller's quota.

/// A number of units; an ordinary request takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost(u64);

impl Cost {
    /// What a request takes of which nothing else is known.
    pub(crate) const ONE: Self = Self(1);
    /// The most that one request may cost.
    const MOST: u64 = 1 << 32;

    /// So many units: one at least, and cut off where no sum of costs could be
    /// told any more.
    pub(crate) const fn units(units: u64) -> Self {
        match units {
            0 => Self::ONE,
            units if units > Self::MOST => Self(Self::MOST),
            units => Self(units),
        }
    }

    /// How many units.
    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}
