//! The code that a device shows and a person types.
//!
//! Ten letters of an alphabet without vowels, so that they spell nothing and
//! none looks like a digit: 20¹⁰ codes, about 43 bits. It is shown in two groups
//! and read in either case, with whatever stands between the letters.
//!
//! Spec: RFC 8628 §6.1

use std::fmt;
use std::str::FromStr;

/// The letters of a code.
pub const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// How many letters a code has.
pub const LETTERS: usize = 10;
/// How long what somebody typed may be, in bytes.
pub const MAX_TYPED_BYTES: usize = 128;

/// Letters per group, as a code is shown.
const GROUP: usize = 5;
/// The largest multiple of the alphabet's size that a byte can be below: a byte
/// at or above it is drawn again, so that every letter is as likely.
const FAIR: u8 = 240;

/// A code by its letters, however it was typed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserCode([u8; LETTERS]);

/// Text that is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a code of ten letters")]
pub struct InvalidUserCode;

impl UserCode {
    /// Draws a code from random bytes.
    ///
    /// ```
    /// use symbolon_protocol::UserCode;
    ///
    /// let mut bytes = 0..=255_u8;
    /// let code = UserCode::draw(|| bytes.next().unwrap_or_default());
    /// assert_eq!(code.to_string(), "BCDFG-HJKLM");
    /// ```
    pub fn draw(mut next: impl FnMut() -> u8) -> Self {
        Self(std::array::from_fn(|_| {
            loop {
                let byte = next();
                if byte < FAIR {
                    break ALPHABET[usize::from(byte) % ALPHABET.len()];
                }
            }
        }))
    }

    /// The letters alone: what the code is found by.
    pub const fn letters(&self) -> &[u8; LETTERS] {
        &self.0
    }
}

impl FromStr for UserCode {
    type Err = InvalidUserCode;

    /// Ignores case, and everything that is neither a letter nor a digit.
    fn from_str(text: &str) -> Result<Self, InvalidUserCode> {
        if text.len() > MAX_TYPED_BYTES {
            return Err(InvalidUserCode);
        }
        let mut letters = [0; LETTERS];
        let mut count = 0;
        for typed in text.chars().filter(|typed| typed.is_alphanumeric()) {
            let letter = u8::try_from(typed.to_ascii_uppercase()).map_err(|_| InvalidUserCode)?;
            if !ALPHABET.contains(&letter) {
                return Err(InvalidUserCode);
            }
            *letters.get_mut(count).ok_or(InvalidUserCode)? = letter;
            count += 1;
        }
        (count == LETTERS)
            .then_some(Self(letters))
            .ok_or(InvalidUserCode)
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in self.0.iter().enumerate() {
            if at > 0 && at % GROUP == 0 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*letter))?;
        }
        Ok(())
    }
}

/// What opens something is not printed by accident.
impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_is_read_back_however_it_is_typed(
            bytes: [u8; LETTERS],
            between in "[-–_. \t\u{a0}]{0,3}",
        ) {
            let mut all = bytes.into_iter().map(|byte| byte % FAIR);
            let code = UserCode::draw(|| all.next().unwrap_or_default());
            let shown = code.to_string();

            let spread: Vec<_> = shown.to_lowercase().chars().map(String::from).collect();
            prop_assert_eq!(shown.parse(), Ok(code));
            prop_assert_eq!(spread.join(&between).parse(), Ok(code));
        }

        #[test]
        fn no_text_stops_the_reader(text in "\\PC{0,80}") {
            let _ = text.parse::<UserCode>();
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        assert!("BCDF GHJK LM".parse::<UserCode>().is_ok());
        let long = format!("BCDFG{}HJKLM", " ".repeat(MAX_TYPED_BYTES));
        for bad in [
            "",
            "BCDFG-HJKL",
            "BCDFG-HJKLMN",
            "ACDFG-HJKLM",
            "BCDFG-HJKL1",
            "ÉCDFG-HJKLM",
            &long,
        ] {
            assert_eq!(bad.parse::<UserCode>(), Err(InvalidUserCode), "{bad}");
        }
    }

    #[test]
    fn every_letter_is_as_likely_as_any_other() {
        let mut counts = [0; 256];
        for byte in 0..FAIR {
            let code = UserCode::draw(|| byte);
            counts[usize::from(code.letters()[0])] += 1;
        }
        for letter in ALPHABET {
            assert_eq!(counts[usize::from(*letter)], 12);
        }
    }

    #[test]
    fn a_code_is_not_printed_by_accident() {
        let code: UserCode = "BCDFG-HJKLM".parse().unwrap();
        assert_eq!(format!("{code:?}"), "UserCode(..)");
    }
}
