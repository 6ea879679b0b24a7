//! The text of macaroons: root first, discharges behind.
//!
//! Written as base64url of v2 binaries one after the other; read in that form,
//! in v1, and in JSON (one object, or a list).
//!
//! Spec: libmacaroons formats 1 and 2 and JSON

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use libmacaroon::{Format, Macaroon};

use super::{
    Flaw, MAX_CAVEAT_BYTES, MAX_CAVEATS, MAX_IDENTIFIER_BYTES, MAX_MACAROONS, MAX_TEXT_BYTES,
};
use crate::jose::json;
use crate::wire::Reader;

/// What was presented: a root macaroon and its discharges. Nothing is proved.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) root: Macaroon,
    pub(super) discharges: Vec<Macaroon>,
}

const NOT_BASE64: Flaw = Flaw::Form("neither base64url nor JSON");
const NOT_WHOLE: Flaw = Flaw::Form("a field is missing, cut off or misplaced");

/// Whether a text has the form of a macaroon. No JWT and no credential with a
/// mark of ours has it.
pub fn is_macaroon(text: &str) -> bool {
    // A version byte and a first field; or the length of a v1 packet, which
    // begins with a zero.
    let begins = ["AgE", "AgI", "MD", "{", "["];
    begins.iter().any(|begin| text.starts_with(begin))
        && (text.starts_with(['{', '[']) || !text.contains('.'))
}

/// Whether uses of a macaroon have to be counted, as far as its text says: an
/// answer about one use must not be kept for another.
pub fn is_counted(text: &str) -> bool {
    let counted = |own: &libmacaroon::Caveat| {
        let predicate = own.as_first_party().map(|own| own.predicate());
        predicate.is_some_and(|own| own.starts_with(b"budget") || own.starts_with(b"single-use"))
    };
    Bundle::parse(text).is_ok_and(|bundle| {
        let mut all = bundle.each().flat_map(|own| own.caveats());
        all.any(counted)
    })
}

impl Bundle {
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Flaw::Limit("more than 16 KiB"));
        }
        let mut all = match text.as_bytes().first() {
            Some(b'{') => vec![read_json(text)?],
            Some(b'[') => {
                let list: Vec<serde_json::Value> =
                    serde_json::from_str(text).map_err(|_| NOT_WHOLE)?;
                check_number(list.len())?;
                let each = list.iter().map(|one| read_json(&one.to_string()));
                each.collect::<Result<Vec<_>, _>>()?
            }
            _ => read_binaries(&decode(text)?)?,
        };
        check_number(all.len())?;
        let discharges = all.split_off(1.min(all.len()));
        let bundle = Self {
            root: all.pop().ok_or(NOT_WHOLE)?,
            discharges,
        };
        bundle.check_limits()?;
        Ok(bundle)
    }

    pub(super) fn write(&self) -> Result<String, Flaw> {
        self.check_limits()?;
        let mut bytes = Vec::with_capacity(512);
        for macaroon in std::iter::once(&self.root).chain(&self.discharges) {
            bytes.extend_from_slice(&binary(macaroon, Format::V2)?);
        }
        let text = BASE64_URL_SAFE_NO_PAD.encode(&bytes);
        if text.len() > MAX_TEXT_BYTES {
            return Err(Flaw::Limit("more than 16 KiB"));
        }
        Ok(text)
    }

    /// The macaroons, root first.
    pub(super) fn each(&self) -> impl Iterator<Item = &Macaroon> {
        std::iter::once(&self.root).chain(&self.discharges)
    }

    fn check_limits(&self) -> Result<(), Flaw> {
        check_number(1 + self.discharges.len())?;
        let caveats: usize = self.each().map(|own| own.caveats().len()).sum();
        if caveats > MAX_CAVEATS {
            return Err(Flaw::Limit("more than 64 caveats"));
        }
        for macaroon in self.each() {
            if macaroon.identifier().len() > MAX_IDENTIFIER_BYTES {
                return Err(Flaw::Limit("an identifier of more than 4,096 bytes"));
            }
            for caveat in macaroon.caveats() {
                let long = match (caveat.as_first_party(), caveat.as_third_party()) {
                    (Some(own), _) => own.predicate().len() > MAX_CAVEAT_BYTES,
                    (_, Some(own)) => {
                        own.id().len() > MAX_IDENTIFIER_BYTES
                            || own.location().len() > MAX_CAVEAT_BYTES
                    }
                    _ => true,
                };
                if long {
                    return Err(Flaw::Limit("a caveat of more than 1,024 bytes"));
                }
            }
        }
        Ok(())
    }
}

const fn check_number(macaroons: usize) -> Result<(), Flaw> {
    if macaroons > MAX_MACAROONS {
        return Err(Flaw::Limit("more than eight discharges"));
    }
    Ok(())
}

/// With padding or without; one alphabet, and no bits left over.
fn decode(text: &str) -> Result<Vec<u8>, Flaw> {
    let padded = text.len().is_multiple_of(4);
    let bare = match text.trim_end_matches('=') {
        bare if bare.len() == text.len() => bare,
        bare if padded && text.len() - bare.len() <= 2 => bare,
        _ => return Err(NOT_BASE64),
    };
    BASE64_URL_SAFE_NO_PAD.decode(bare).map_err(|_| NOT_BASE64)
}

/// Writers leave out the version, or the list where there are no caveats.
fn read_json(text: &str) -> Result<Macaroon, Flaw> {
    let mut object = json::object(text.as_bytes()).map_err(|_| NOT_WHOLE)?;
    object.entry("v").or_insert_with(|| 2.into());
    object
        .entry("c")
        .or_insert_with(|| serde_json::Value::Array(Vec::new()));
    let text = serde_json::Value::Object(object).to_string();
    Macaroon::deserialize(text).map_err(|_| NOT_WHOLE)
}

fn read_binaries(bytes: &[u8]) -> Result<Vec<Macaroon>, Flaw> {
    let mut all = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        check_number(all.len() + 1)?;
        let (end, format) = match rest[0] {
            2 => (end_of_v2(rest), Format::V2),
            _ => (end_of_v1(rest), Format::V1),
        };
        let (one, behind) = rest.split_at(end.ok_or(NOT_WHOLE)?);
        let macaroon = Macaroon::deserialize_binary(one).map_err(|_| NOT_WHOLE)?;
        // The library reads lengths of either case and any separator in v1;
        // one spelling is good.
        if matches!(format, Format::V1) && binary(&macaroon, Format::V1)? != one {
            return Err(NOT_WHOLE);
        }
        all.push(macaroon);
        rest = behind;
    }
    Ok(all)
}

fn binary(macaroon: &Macaroon, format: Format) -> Result<Vec<u8>, Flaw> {
    let text = macaroon.serialize(format).map_err(|_| NOT_WHOLE)?;
    decode(&text)
}

/// Where the first v2 binary ends: a section of fields for the macaroon, one
/// for each caveat, an empty one, and the signature.
fn end_of_v2(bytes: &[u8]) -> Option<usize> {
    let mut rest = Reader(bytes.get(1..)?);
    loop {
        let mut fields = 0;
        while tag(&mut rest)? != 0 {
            rest.bytes()?;
            fields += 1;
        }
        if fields == 0 {
            break;
        }
    }
    tag(&mut rest)?;
    rest.bytes()?;
    Some(bytes.len() - rest.0.len())
}

fn tag(rest: &mut Reader<'_>) -> Option<u8> {
    let (tag, behind) = rest.0.split_first()?;
    rest.0 = behind;
    Some(*tag)
}

/// Where the first v1 binary ends: behind the packet with its signature.
fn end_of_v1(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let length = std::str::from_utf8(bytes.get(at..at + 4)?).ok()?;
        let length = usize::from_str_radix(length, 16)
            .ok()
            .filter(|length| *length > 4)?;
        let packet = bytes.get(at + 4..at + length)?;
        at += length;
        if packet.starts_with(b"signature ") {
            return Some(at);
        }
    }
}
