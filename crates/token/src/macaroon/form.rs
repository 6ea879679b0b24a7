//! The text of macaroons: root first, discharges behind.
//!
//! Written as base64url of v2 binaries one after the other; read in that form,
//! in v1, and in JSON (one object, or a list).
//!
//! Spec: libmacaroons formats 1 and 2 and JSON

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use libmacaroon::{Format, Macaroon};
use serde_json::value::RawValue;

use super::binary::{Binary, Field};
use super::{
    Flaw, MAX_CAVEAT_BYTES, MAX_CAVEATS, MAX_IDENTIFIER_BYTES, MAX_MACAROONS, MAX_TEXT_BYTES,
};
use crate::jose::json;

/// What was presented: a root macaroon and its discharges. Nothing is proved.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) root: Binary,
    pub(super) discharges: Vec<Binary>,
}

const NOT_BASE64: Flaw = Flaw::Form("neither base64url nor JSON");
pub(super) const NOT_WHOLE: Flaw = Flaw::Form("a field is missing, cut off or misplaced");

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
    let counted = |own: Field<'_>| match own {
        Field::First(text) => text.starts_with(b"budget") || text.starts_with(b"single-use"),
        Field::Third { .. } => false,
    };
    Bundle::parse(text).is_ok_and(|bundle| {
        let mut all = bundle.each().flat_map(Binary::caveats);
        all.any(counted)
    })
}

impl Bundle {
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Flaw::Limit("more than 16 KiB"));
        }
        let bundle = match text.as_bytes().first() {
            Some(b'{') => Self {
                root: read_json(text)?,
                discharges: Vec::new(),
            },
            Some(b'[') => {
                let list: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| NOT_WHOLE)?;
                check_number(list.len())?;
                let mut each = list.iter().map(|one| read_json(one.get()));
                let root = each.next().ok_or(NOT_WHOLE)??;
                let discharges = each.collect::<Result<_, _>>()?;
                Self { root, discharges }
            }
            _ => {
                let (root, mut rest) = read_binary(decode(text)?)?;
                let mut discharges = Vec::new();
                while !rest.is_empty() {
                    check_number(2 + discharges.len())?;
                    let (one, behind) = read_binary(rest)?;
                    discharges.push(one);
                    rest = behind;
                }
                Self { root, discharges }
            }
        };
        bundle.check_limits()?;
        Ok(bundle)
    }

    /// What the library made, alone.
    pub(super) fn of(made: &Macaroon) -> Result<Self, Flaw> {
        Ok(Self {
            root: Binary::of(made)?,
            discharges: Vec::new(),
        })
    }

    pub(super) fn write(&self) -> Result<String, Flaw> {
        self.check_limits()?;
        let bytes: Vec<&[u8]> = self.each().map(Binary::bytes).collect();
        let text = BASE64_URL_SAFE_NO_PAD.encode(bytes.concat());
        if text.len() > MAX_TEXT_BYTES {
            return Err(Flaw::Limit("more than 16 KiB"));
        }
        Ok(text)
    }

    /// The macaroons, root first.
    pub(super) fn each(&self) -> impl Iterator<Item = &Binary> {
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
                let long = match caveat {
                    Field::First(text) => text.len() > MAX_CAVEAT_BYTES,
                    Field::Third { location, id, .. } => {
                        id.len() > MAX_IDENTIFIER_BYTES || location.len() > MAX_CAVEAT_BYTES
                    }
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
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Flaw> {
    let padded = text.len().is_multiple_of(4);
    let bare = match text.trim_end_matches('=') {
        bare if bare.len() == text.len() => bare,
        bare if padded && text.len() - bare.len() <= 2 => bare,
        _ => return Err(NOT_BASE64),
    };
    BASE64_URL_SAFE_NO_PAD.decode(bare).map_err(|_| NOT_BASE64)
}

/// Writers leave out the version, or the list where there are no caveats.
fn read_json(text: &str) -> Result<Binary, Flaw> {
    let mut object = json::object(text.as_bytes()).map_err(|_| NOT_WHOLE)?;
    object.entry("v").or_insert_with(|| 2.into());
    object
        .entry("c")
        .or_insert_with(|| serde_json::Value::Array(Vec::new()));
    let text = serde_json::Value::Object(object).to_string();
    Binary::of(&Macaroon::deserialize(text).map_err(|_| NOT_WHOLE)?)
}

/// The macaroon that some bytes begin with, and what stands behind it.
fn read_binary(bytes: Vec<u8>) -> Result<(Binary, Vec<u8>), Flaw> {
    if bytes.first() == Some(&2) {
        return Binary::read(bytes);
    }
    let end = end_of_v1(&bytes).ok_or(NOT_WHOLE)?;
    let (one, behind) = bytes.split_at(end);
    Ok((read_v1(one)?, behind.to_vec()))
}

fn read_v1(bytes: &[u8]) -> Result<Binary, Flaw> {
    let read = Macaroon::deserialize_binary(bytes).map_err(|_| NOT_WHOLE)?;
    // The library reads lengths of either case and any separator; one spelling
    // is good.
    let again = read.serialize(Format::V1).map_err(|_| NOT_WHOLE)?;
    match decode(&again)? == bytes {
        true => Binary::of(&read),
        false => Err(NOT_WHOLE),
    }
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
