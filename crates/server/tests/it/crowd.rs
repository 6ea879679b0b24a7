//! Many who ask for the same at once, on a machine that may be too slow for them.

use std::time::Duration;

use futures_util::future::join_all;
use symbolon_testkit::Row;

use crate::harness::Answer;

/// Asks again where the store was too busy to answer in time, as its answer
/// says. What came of it, and how often that was.
pub(crate) async fn insist(ask: &impl AsyncFn() -> Answer) -> (Answer, usize) {
    for turned_away in 0..50 {
        let answer = ask().await;
        if answer.status != 503 {
            return (answer, turned_away);
        }
        assert!(answer.header("retry-after").is_some(), "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the store never answered")
}

/// What all of them were told in the end, and how often the store was too busy
/// for one: whoever hears nothing may have been the first, and the full size
/// of a row leaves nobody in the dark.
pub(crate) async fn at_once<A: AsyncFn() -> Answer>(
    row: Row,
    asks: impl Iterator<Item = A>,
) -> (Vec<Answer>, usize) {
    let asks: Vec<A> = asks.collect();
    let told = join_all(asks.iter().map(insist)).await;
    let turned_away: usize = told.iter().map(|(_, times)| times).sum();
    assert!(turned_away == 0 || !row.is_long(), "{turned_away} times");
    let answers = told.into_iter().map(|(answer, _)| answer);
    (answers.collect(), turned_away)
}

/// Whether one of them won, or its answer was one that nobody heard.
pub(crate) fn has_one_winner(won: usize, turned_away: usize) -> bool {
    won == 1 || won == 0 && turned_away > 0
}
