//! The mark of a device that has signed a person in before.
//!
//! It opens nothing: it only keeps the guesses of strangers from being this
//! device's. It ends after 180 days, and with the password that made it.
//!
//! Layout: when it was made (8), random bytes (16), a MAC over both, the
//! account and its password (16); 40 bytes, and a checksum.
//!
//! Spec: RFC 6819 §5.1.4.2.3

use http::HeaderValue;
use symbolon_protocol::Timestamp;
use symbolon_store::Person;
use symbolon_token::mark::{Kind, read_fixed, write_fixed};
use symbolon_token::{Digest, random};

use super::session::{DEVICE_SECONDS, lasting_cookie};
use crate::cx::Cx;
use crate::failure::Failure;
use crate::received::Received;

/// A mark of an account, as its device showed it.
pub(crate) struct Mark {
    made: Timestamp,
    /// Tells the device from others of the account.
    pub(crate) salt: [u8; 16],
}

/// The mark that a browser shows, if it is one of this person and counts.
pub(crate) fn presented(cx: &Cx, received: &Received, person: &Person) -> Option<Mark> {
    let text = received.cookie(&cookie_name(cx))?;
    let bytes: [u8; 44] = read_fixed(Kind::Transaction, text)?;
    let (mut made, mut salt) = ([0; 8], [0; 16]);
    made.copy_from_slice(&bytes[..8]);
    salt.copy_from_slice(&bytes[8..24]);
    let password = password_of(person);
    let parts = parts(&made, &salt, person, &password);
    let is_ours = cx.keys.is_form_mac("device", &parts, &bytes[24..40]);
    let made = Timestamp::from_millis(i64::from_be_bytes(made));
    let age = cx.now.millis().saturating_sub(made.millis());
    let counts = age < i64::from(DEVICE_SECONDS) * 1000;
    (counts && is_ours).then_some(Mark { made, salt })
}

/// The cookie to set after a sign-in, where the browser has no mark of this
/// person yet or an old one: signing in again makes no further device.
pub(crate) fn cookie(
    cx: &Cx,
    received: &Received,
    person: &Person,
) -> Result<Option<HeaderValue>, Failure> {
    let half = i64::from(DEVICE_SECONDS) * 1000 / 2;
    let is_young = |mark: &Mark| cx.now.millis().saturating_sub(mark.made.millis()) < half;
    let known = presented(cx, received, person);
    if known.as_ref().is_some_and(is_young) {
        return Ok(None);
    }
    // The same device keeps what it is counted by.
    let salt = known.map_or_else(|| random(cx.entropy()), |mark| mark.salt);
    let made = cx.now.millis().to_be_bytes();
    let mac = mac(cx, made, salt, person);
    let value = write_fixed(Kind::Transaction, &[&made[..], &salt, &mac].concat());
    lasting_cookie(cx, &cookie_name(cx), &value).map(Some)
}

/// Stands for the password that a person has now.
pub(crate) fn password_of(person: &Person) -> [u8; 32] {
    let phc = person.password.as_deref().unwrap_or_default();
    *Digest::of(phc.as_bytes()).as_bytes()
}

fn mac(cx: &Cx, made: [u8; 8], salt: [u8; 16], person: &Person) -> [u8; 16] {
    let password = password_of(person);
    let parts = parts(&made, &salt, person, &password);
    let mut out = [0; 16];
    out.copy_from_slice(&cx.keys.form_mac("device", &parts)[..16]);
    out
}

/// What a mark is a MAC over.
fn parts<'a>(
    made: &'a [u8; 8],
    salt: &'a [u8; 16],
    person: &'a Person,
    password: &'a [u8; 32],
) -> [&'a [u8]; 4] {
    [made, salt, person.id.as_bytes(), password]
}

fn cookie_name(cx: &Cx) -> String {
    format!("{}device", cx.settings.cookie_prefix)
}
