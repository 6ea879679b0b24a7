//! Whether the time that a comparison takes says where two MACs differ.
#![expect(
    clippy::disallowed_methods,
    reason = "what is measured here is the machine's own time"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests stop where something is missing"
)]

use std::hint::black_box;
use std::time::Instant;

use symbolon_testkit::{Row, SeededEntropy};
use symbolon_token::{Digest, Entropy, Secret};

/// How many comparisons are measured as one: one alone is shorter than a tick.
const TOGETHER: usize = 20;

/// How many runs there are at most.
const RUNS: usize = 12;

/// Welch's t of two samples, without the tenth that took longest: what was
/// interrupted says nothing of the comparison.
fn welch(samples: &mut [Vec<f64>; 2]) -> f64 {
    let [one, two] = samples.each_mut().map(|own| {
        own.sort_by(f64::total_cmp);
        own.truncate(own.len() * 9 / 10);
        let count = f64::from(u32::try_from(own.len()).unwrap());
        let mean = own.iter().sum::<f64>() / count;
        let square = own.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, square / count)
    });
    (one.0 - two.0) / (one.1 + two.1).sqrt()
}

/// Compares in the order of random bits, so that nothing else has a rhythm.
fn measured(number: usize, compare: impl Fn(bool) -> bool) -> f64 {
    let mut bits = vec![0; number];
    SeededEntropy::new(7).fill(&mut bits);
    let mut samples = [Vec::new(), Vec::new()];
    for bit in bits {
        let late = bit & 1 == 1;
        let begin = Instant::now();
        for _ in 0..TOGETHER {
            black_box(compare(black_box(late)));
        }
        samples[usize::from(late)].push(begin.elapsed().as_secs_f64());
    }
    welch(&mut samples)
}

/// One of many runs has to show nothing: on a machine that does other work, a
/// difference in one is chance, and a difference that is there is in all.
fn assert_shows_nothing(name: &str, compare: impl Fn(bool) -> bool) {
    let number = Row::E170.size(2_000, 1_000_000);
    let mut found = Vec::new();
    for _ in 0..RUNS {
        let t = measured(number, &compare).abs();
        if t < 4.5 {
            return;
        }
        found.push(t);
    }
    panic!("{name}: |t| is {found:?}");
}

/// What begins a line of the cache: two values that lie in one and in two lines
/// take differently long, whatever they say.
#[repr(align(64))]
struct Aligned<T>(T);

/// Attack: E170
#[test]
fn a_wrong_byte_takes_as_long_wherever_it_stands() {
    let right = [0x5a; 64];
    let [early, late] = [0, 63].map(|at: usize| {
        let mut wrong = right;
        wrong[at] ^= 1;
        Aligned(wrong)
    });
    let choose = |is_late: bool| if is_late { &late.0 } else { &early.0 };
    let secret = Secret::new(right.to_vec());
    assert!(secret.matches(&right) && !secret.matches(&early.0) && !secret.matches(&late.0));
    assert_shows_nothing("secret", |is_late| secret.matches(choose(is_late)));

    let half = |own: &[u8; 64]| Digest::from_bytes(own[32..].try_into().unwrap());
    let mut first = right;
    first[32] ^= 1;
    let digest = half(&right);
    let (early, late) = (Aligned(half(&first)), Aligned(half(&late.0)));
    assert_shows_nothing("digest", |is_late| {
        digest.matches(if is_late { &late.0 } else { &early.0 })
    });
}

/// What would be found if a comparison stopped at the first difference.
#[test]
fn a_comparison_that_stops_early_would_be_noticed() {
    let right = vec![0x5a; 4096];
    let [early, late] = [0, 4095].map(|at: usize| {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        wrong
    });

    let compare = |is_late| {
        let wrong = if is_late { &late } else { &early };
        right
            .iter()
            .zip(wrong)
            .all(|(one, two)| black_box(one) == black_box(two))
    };
    // A machine that does other work may drown it once.
    let found: Vec<f64> = (0..3).map(|_| measured(1_000, compare)).collect();

    assert!(found.iter().any(|t| t.abs() > 4.5), "{found:?}");
}
