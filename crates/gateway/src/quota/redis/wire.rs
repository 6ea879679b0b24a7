//! What the script of limits takes and gives, as numbers and texts.

use std::time::Duration;

use crate::quota::charge::Known;
use crate::quota::count::{Standing, interval, width};
use crate::quota::settings::Rule;

/// What is wanted of one count.
pub(crate) struct Want<'a> {
    pub(crate) known: &'a Known,
    pub(crate) need: u64,
    pub(crate) want: u64,
    pub(crate) place: Option<&'a str>,
    pub(crate) tick: i64,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply {
    pub(crate) taken: u64,
    pub(crate) standing: Standing,
    pub(crate) wait: Option<Duration>,
}

/// Kind and numbers of a rule, as the script takes them.
pub(super) fn rule(rule: &Rule) -> [String; 4] {
    let none = String::new;
    match rule {
        Rule::Rate { burst, .. } => [
            "rate".into(),
            interval(rule).to_string(),
            burst.to_string(),
            none(),
        ],
        Rule::Quota { limit, period } => [
            "quota".into(),
            limit.to_string(),
            period.as_str().into(),
            none(),
        ],
        Rule::Rolling { limit, window } => [
            "rolling".into(),
            limit.to_string(),
            width(*window).to_string(),
            none(),
        ],
        Rule::Credits {
            capacity,
            refill,
            every,
        } => {
            let every = every.as_millis().max(1).to_string();
            [
                "credits".into(),
                capacity.to_string(),
                refill.to_string(),
                every,
            ]
        }
        Rule::Concurrent { limit } => ["open".into(), limit.to_string(), none(), none()],
    }
}

/// What came of one count, out of its five numbers.
pub(super) fn reply(numbers: &[i64]) -> Option<Reply> {
    let [taken, left, reset, wait, tick] = *numbers else {
        return None;
    };
    let span = |own: i64| u64::try_from(own).ok().map(Duration::from_millis);
    Some(Reply {
        taken: whole(taken),
        standing: Standing {
            left: whole(left),
            reset: span(reset),
            tick,
        },
        wait: span(wait),
    })
}

/// A number that is none below zero.
pub(super) fn whole(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Bytes in letters that stand in any key.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a string never fails.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
