//! RSA key pairs that the servers of one process share.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use symbolon_token::Secret;

/// How many pairs there are for each key of a server. Nodes that start at once
/// over one database each get another one, as they would have drawn it.
const PAIRS: usize = 4;

type Pool = HashMap<(String, i64), (Vec<Secret>, usize)>;

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);

/// The pair for the first keys of a purpose: drawn for the first servers of
/// this process, then handed out in turn. To find primes takes the processor
/// longer than most tests. Keys that a rotation makes later are their own.
pub(crate) fn shared(
    purpose: &str,
    number: i64,
    draw: impl FnOnce() -> Option<Secret>,
) -> Option<Secret> {
    // No number yet: it takes the place of another in the same database.
    if !(1..=2).contains(&number) {
        return draw();
    }
    let name = (purpose.to_owned(), number);
    let copy = |pair: &Secret| Secret::new(pair.expose().to_vec());
    if let Some((pairs, turn)) = POOL.lock().expect("no panic").get_mut(&name)
        && pairs.len() == PAIRS
    {
        *turn += 1;
        return Some(copy(&pairs[*turn % PAIRS]));
    }
    let drawn = draw()?;
    let mut pool = POOL.lock().expect("no panic");
    let (pairs, _) = pool.entry(name).or_default();
    if pairs.len() < PAIRS {
        pairs.push(copy(&drawn));
    }
    Some(drawn)
}
