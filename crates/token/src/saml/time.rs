//! Instants as SAML writes them.
//!
//! Spec: SAML 2.0 Core §1.3.3

use symbolon_protocol::Timestamp;

/// Reads an `xs:dateTime` in UTC: `2026-01-01T00:00:00Z`, with at most nine
/// digits of a fraction, of which milliseconds are kept.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let (head, tail) = bytes.split_at_checked(shape.len())?;
    let shaped = head.iter().zip(shape).all(|(byte, want)| match want {
        b'd' => byte.is_ascii_digit(),
        want => byte == want,
    });
    let fraction = match tail.strip_suffix(b"Z")? {
        [] => &[],
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => digits,
        _ => return None,
    };
    if !shaped || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let instant: jiff::Timestamp = text.parse().ok()?;
    let parsed = Timestamp::from_millis(instant.as_millisecond());
    (Timestamp::EPOCH..=Timestamp::FAR)
        .contains(&parsed)
        .then_some(parsed)
}

/// Writes an instant, to the second.
pub(super) fn write(instant: Timestamp) -> String {
    Timestamp::from_seconds(instant.seconds()).to_string()
}
