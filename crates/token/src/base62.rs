//! Base62 for what has a fixed size: eight bytes become eleven characters, so
//! that a double click selects all of it. One canonical form: a group over
//! 2⁶⁴ − 1, a stray character or a wrong length is refused.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters per eight bytes.
const GROUP: usize = 11;
/// Characters for four bytes (the checksum).
const SHORT: usize = 6;

/// Writes `bytes`, whose length is a multiple of eight, or that and four more.
pub(crate) fn encode_into(bytes: &[u8], out: &mut String) {
    let mut groups = bytes.chunks_exact(8);
    for group in &mut groups {
        let mut wide = [0; 8];
        wide.copy_from_slice(group);
        push(u64::from_be_bytes(wide), GROUP, out);
    }
    let rest = groups.remainder();
    if !rest.is_empty() {
        let number = rest.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        push(number, SHORT, out);
    }
}

fn push(mut number: u64, width: usize, out: &mut String) {
    let mut digits = [b'0'; GROUP];
    for place in (0..width).rev() {
        // The remainder is below 62, so the index is in range.
        digits[place] = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    out.extend(digits[..width].iter().map(|digit| char::from(*digit)));
}

/// Reads exactly `N` bytes; `None` for anything that `encode_into` never wrote.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != encoded_len(N) {
        return None;
    }
    let mut out = [0; N];
    let (mut at, mut from) = (0, 0);
    while N - at >= 8 {
        out[at..at + 8].copy_from_slice(&number(&text[from..from + GROUP])?.to_be_bytes());
        at += 8;
        from += GROUP;
    }
    if at < N {
        let wide = number(&text[from..])?.to_be_bytes();
        let (high, low) = wide.split_at(8 - (N - at));
        if high.iter().any(|byte| *byte != 0) {
            return None;
        }
        out[at..].copy_from_slice(low);
    }
    Some(out)
}

/// How many characters `bytes` bytes take.
pub(crate) const fn encoded_len(bytes: usize) -> usize {
    bytes / 8 * GROUP + if bytes.is_multiple_of(8) { 0 } else { SHORT }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            b'a'..=b'z' => digit - b'a' + 36,
            _ => return None,
        };
        sum.checked_mul(62)?.checked_add(u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read_back(bytes: [u8; 20]) {
            let mut text = String::new();
            encode_into(&bytes, &mut text);
            prop_assert_eq!(text.len(), encoded_len(20));
            prop_assert_eq!(decode::<20>(&text), Some(bytes));
        }

        #[test]
        fn only_the_canonical_form_is_read(text in "[0-9A-Za-z]{28}") {
            if let Some(bytes) = decode::<20>(&text) {
                let mut again = String::new();
                encode_into(&bytes, &mut again);
                prop_assert_eq!(again, text);
            }
        }
    }

    #[test]
    fn a_group_over_the_largest_number_is_refused() {
        assert_eq!(decode::<8>("zzzzzzzzzzz"), None);
        assert_eq!(decode::<4>("zzzzzz"), None);
    }
}
