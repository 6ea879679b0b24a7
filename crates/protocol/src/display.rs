//! Names and words that people are shown.
//!
//! Spec: Unicode Technical Report 36
//! Spec: Unicode Standard Annex 9 §2

/// How long a name is at most, in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// Why people cannot be shown a text: something in it is not seen, or changes
/// the order in which the rest is read, so that it looks like another.
///
/// ```
/// use symbolon_protocol::display;
///
/// assert_eq!(display::problem("Αλίκη Ltd"), None);
/// assert!(display::problem("knab\u{202e}bank").is_some());
/// ```
pub fn problem(text: &str) -> Option<&'static str> {
    let is_unfit = text.chars().any(is_unfit);
    is_unfit.then_some("has control characters, or ones that are not seen or turn others round")
}

/// Whether a character is not seen, or changes how others are seen.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_or_turns_others_round_is_no_name() {
        for bad in [
            "a\u{0}",
            "a\nb",
            "a\u{7f}",
            "\u{202e}a",
            "a\u{2066}b\u{2069}",
            "a\u{200b}b",
            "a\u{200d}b",
            "\u{feff}a",
            "a\u{ad}b",
            "a\u{e0041}",
            "\u{3164}",
            "a\u{2028}b",
        ] {
            assert!(problem(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn every_script_is_a_name() {
        for good in [
            "Alice O\u{2019}Neil",
            "Αλίκη",
            "أليس",
            "עליזה",
            "爱丽丝",
            "José 🙂",
            "",
        ] {
            assert_eq!(problem(good), None, "{good}");
        }
    }
}
