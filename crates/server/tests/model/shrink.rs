//! A sequence that fails, made shorter for as long as it fails in the same way.

use super::op::Step;
use super::world::{Broken, Engine};
use crate::run;

/// How often a shorter one is tried.
const TRIES: usize = 40;

/// Drops halves, then quarters, and so on to single operations.
pub(super) async fn shortest(
    engine: Engine,
    mut steps: Vec<Step>,
    mut broken: Broken,
) -> (Vec<Step>, Broken) {
    let (mut size, mut tries) = (steps.len() / 2, 0);
    while size > 0 && tries < TRIES {
        let mut at = 0;
        while at < steps.len() && tries < TRIES {
            let end = (at + size).min(steps.len());
            let less = [&steps[..at], &steps[end..]].concat();
            tries += 1;
            match run(engine, less.clone()).await {
                Err(again) if again.invariant == broken.invariant => {
                    (steps, broken) = (less, again);
                }
                _ => at = end,
            }
        }
        size /= 2;
    }
    (steps, broken)
}
