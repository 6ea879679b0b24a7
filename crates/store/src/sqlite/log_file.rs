//! The write-ahead log as a file, looked at before SQLite reads it.
//!
//! SQLite takes the first frame that is not whole for the end of the log, and
//! forgets what comes after it without a word. That is right after a power cut,
//! where one transaction may lie there that nobody was told of. Two cannot: the
//! second is written only after the first was synced. Where more lie there, the
//! log was damaged, and what was acknowledged would be forgotten.
//!
//! Spec: SQLite WAL-mode File Format §1, §2

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use super::file::beside;

const HEADER: usize = 32;
const FRAME: usize = 24;
/// The first word of a log; the last bit says in which order words are summed.
const MAGIC: u32 = 0x377f_0682;
/// What a page may be, in bytes.
const PAGE: std::ops::RangeInclusive<usize> = 512..=65_536;

/// Two sums that run over everything in the log.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sum(u32, u32);

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Sum {
    fn over(self, order: Order, bytes: &[u8]) -> Self {
        let word = |bytes: &[u8]| {
            let bytes = bytes.try_into().unwrap_or_default();
            match order {
                Order::Little => u32::from_le_bytes(bytes),
                Order::Big => u32::from_be_bytes(bytes),
            }
        };
        bytes.chunks_exact(8).fold(self, |Self(one, two), pair| {
            let one = one.wrapping_add(word(&pair[..4])).wrapping_add(two);
            Self(one, two.wrapping_add(word(&pair[4..])).wrapping_add(one))
        })
    }
}

/// The number at a place.
fn number(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    u32::from_be_bytes(word.unwrap_or_default())
}

fn sum(bytes: &[u8], at: usize) -> Sum {
    Sum(number(bytes, at), number(bytes, at + 4))
}

/// What is wrong with the log of a database that nobody has open.
pub(super) fn flaw(database: &Path) -> std::io::Result<Option<String>> {
    let file = match File::open(beside(database, "-wal")) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut log = BufReader::with_capacity(1 << 20, file);
    let mut header = [0; HEADER];
    let mut first = [0; 1];
    // Without a frame there is nothing to lose.
    if !filled(&mut log, &mut header)? || !filled(&mut log, &mut first)? {
        return Ok(None);
    }
    let order = match number(&header, 0) ^ MAGIC {
        0 => Order::Little,
        1 => Order::Big,
        _ => return Ok(Some("its log has no head".to_owned())),
    };
    let page = usize::try_from(number(&header, 8)).unwrap_or(0);
    let own = Sum(0, 0).over(order, &header[..24]);
    if own != sum(&header, 24) || !PAGE.contains(&page) {
        return Ok(Some("the head of its log is damaged".to_owned()));
    }
    let goes_on = goes_on(&mut first.chain(log), &header, (order, page))?;
    Ok(goes_on.then(|| "its log goes on behind a frame that is damaged".to_owned()))
}

/// Whether more than one transaction ends at or behind the first frame that is
/// not whole.
fn goes_on(
    log: &mut impl Read,
    header: &[u8; HEADER],
    (order, page): (Order, usize),
) -> std::io::Result<bool> {
    let (mut before, mut is_whole, mut commits) = (sum(header, 24), true, 0);
    let mut frame = vec![0; FRAME + page];
    while filled(log, &mut frame)? {
        let is_of_this_log = frame[8..16] == header[16..24];
        if is_whole {
            let own = before.over(order, &frame[..8]).over(order, &frame[FRAME..]);
            let adds_up = own == sum(&frame, 16);
            if adds_up && !is_of_this_log {
                // The sums fit by no accident, so the salt was changed.
                return Ok(true);
            }
            is_whole = adds_up;
            before = own;
        }
        // The size of the database stands in the last frame of a transaction.
        commits += u32::from(!is_whole && is_of_this_log && number(&frame, 4) != 0);
    }
    Ok(commits > 1)
}

/// Whether there were enough bytes.
fn filled(from: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<bool> {
    match from.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
