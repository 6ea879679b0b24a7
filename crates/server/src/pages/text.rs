//! Text that strangers wrote, made safe to look at; and times in plain words.
//!
//! Escaping is the template's work. What is done here is what escaping cannot
//! do: characters that reverse, hide or stack others never reach a page.

use std::time::Duration;

use symbolon_protocol::Timestamp;

/// The longest name that a page shows, in characters.
pub(crate) const NAME_LIMIT: usize = 80;

/// Makes a name that a stranger chose fit to be shown.
///
/// Removes control, bidirectional, zero-width and blank filler characters,
/// folds white space, thins out stacked marks and cuts at [`NAME_LIMIT`].
/// What has nothing left to show becomes `unnamed`.
pub(crate) fn display_name(name: &str) -> String {
    let shown = display_text(name, NAME_LIMIT);
    if shown.is_empty() {
        return "unnamed".to_owned();
    }
    shown
}

/// As [`display_name`], with another limit; may be empty.
pub(crate) fn display_text(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    let mut length = 0;
    let mut marks = 0;
    let mut space = false;
    for character in text.chars() {
        if character.is_whitespace() {
            space = length > 0;
            continue;
        }
        if character.is_control() || is_unseen(character) {
            continue;
        }
        marks = if is_stacking(character) { marks + 1 } else { 0 };
        if marks > 2 {
            continue;
        }
        if length + usize::from(space) >= limit {
            shown.push('…');
            return shown;
        }
        if space {
            shown.push(' ');
            length += 1;
            space = false;
        }
        shown.push(character);
        length += 1;
    }
    shown
}

/// A length of time in words, with the two largest units that matter.
pub(crate) fn duration_words(duration: Duration) -> String {
    let mut left = duration.as_secs();
    let mut words = Vec::new();
    for (unit, seconds) in UNITS {
        let count = left / seconds;
        left %= seconds;
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            words.push(format!("{count} {unit}{plural}"));
        }
        if words.len() == 2 || (words.len() == 1 && count == 0) {
            break;
        }
    }
    if words.is_empty() {
        return "less than a second".to_owned();
    }
    words.join(" ")
}

/// A moment in the past, as people say it: how long ago on the day itself, the
/// date from then on. Dates are those of UTC.
pub(crate) fn moment_words(at: Timestamp, now: Timestamp) -> String {
    let ago = now.since(at);
    match ago.as_secs() {
        0..60 => "just now".to_owned(),
        60..86_400 => {
            // Minutes beside hours say more than anybody wants to know.
            let coarse = if ago.as_secs() < 3600 { 60 } else { 3600 };
            let whole = Duration::from_secs(ago.as_secs() / coarse * coarse);
            format!("{} ago", duration_words(whole))
        }
        _ => date_words(at),
    }
}

/// The date in words: "12 September 2026".
fn date_words(at: Timestamp) -> String {
    let text = at.to_string();
    let date = text.get(..10).unwrap_or_default();
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let month = month.and_then(|month| MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?));
    match (year, month, day) {
        (Some(year), Some(month), Some(day)) => {
            format!("{} {month} {year}", day.trim_start_matches('0'))
        }
        _ => text,
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Whether a character changes how others look without being seen itself.
fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffc}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}'
    )
}

/// Whether a character is drawn over the one before it.
fn is_stacking(character: char) -> bool {
    matches!(
        character,
        '\u{300}'..='\u{36f}'
            | '\u{483}'..='\u{489}'
            | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}'
            | '\u{fe20}'..='\u{fe2f}'
    )
}

const UNITS: [(&str, u64); 4] = [
    ("day", 86_400),
    ("hour", 3_600),
    ("minute", 60),
    ("second", 1),
];
