//! Bugs on purpose: what tests of this workspace have to find.
//!
//! A place says `planted(n)` where the bug of that number is. Without the
//! feature `planted`, which nothing that ships has, that is `false` for the
//! compiler already, and the place is as if it were not there. With it, the
//! variable `SYMBOLON_PLANTED` says which one is there. `docs/planted.md` lists
//! them.

/// Whether the bug of a number is there.
#[cfg(not(feature = "planted"))]
#[inline]
pub const fn planted(_number: u32) -> bool {
    false
}

/// Whether the bug of a number is there.
#[cfg(feature = "planted")]
pub fn planted(number: u32) -> bool {
    static WHICH: std::sync::LazyLock<Option<u32>> =
        std::sync::LazyLock::new(|| std::env::var("SYMBOLON_PLANTED").ok()?.parse().ok());
    *WHICH == Some(number)
}
