//! One macaroon in the v2 binary form: read where it lies, without a copy of
//! any field.
//!
//! Layout: version (2), the fields of the macaroon, those of each caveat, each
//! section behind its fields closed by a zero, one zero more, the signature. A
//! field is a tag, a length of seven bits a byte, and so many bytes.
//!
//! Spec: libmacaroons format 2

use std::fmt;
use std::ops::Range;

use libmacaroon::{Format, Macaroon};

use super::flaw::Flaw;
use super::form::{NOT_WHOLE, decode};

const VERSION: u8 = 2;
const LOCATION: u8 = 1;
const IDENTIFIER: u8 = 2;
const VERIFIER: u8 = 4;
const SIGNATURE: u8 = 6;
/// Closes a section.
const END: u8 = 0;

/// A MAC, and the key of the next.
pub(super) type Key = [u8; 32];

/// A macaroon as it was written. Nothing of it is proved.
#[derive(Clone)]
pub(super) struct Binary {
    bytes: Vec<u8>,
    location: Option<Range<usize>>,
    identifier: Range<usize>,
    caveats: Vec<Place>,
    signature: Range<usize>,
}

/// Where the fields of a caveat are.
#[derive(Clone)]
struct Place {
    identifier: Range<usize>,
    /// Location and encrypted key, of one that somebody else discharges.
    third: Option<(Range<usize>, Range<usize>)>,
}

/// A caveat as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// A condition in words.
    First(&'a [u8]),
    /// Somebody else has to agree.
    Third {
        /// Where they are asked.
        location: &'a [u8],
        /// What they know it by.
        id: &'a [u8],
        /// The key of the discharge, encrypted under the MAC before it.
        verifier: &'a [u8],
    },
}

impl Binary {
    /// Reads the macaroon that some bytes begin with, and keeps no byte behind
    /// it: those are the second answer.
    pub(super) fn read(mut bytes: Vec<u8>) -> Result<(Self, Vec<u8>), Flaw> {
        let mut from = Cursor {
            bytes: &bytes,
            at: 0,
        };
        let places = from.macaroon().ok_or(NOT_WHOLE)?;
        let rest = match from.at {
            end if end == bytes.len() => Vec::new(),
            end => bytes.split_off(end),
        };
        let (location, identifier, caveats, signature) = places;
        let read = Self {
            bytes,
            location,
            identifier,
            caveats,
            signature,
        };
        Ok((read, rest))
    }

    /// The same of what the library made.
    pub(super) fn of(made: &Macaroon) -> Result<Self, Flaw> {
        let text = made.serialize(Format::V2).map_err(|_| NOT_WHOLE)?;
        match Self::read(decode(&text)?)? {
            (own, rest) if rest.is_empty() => Ok(own),
            _ => Err(NOT_WHOLE),
        }
    }

    /// What the library makes more of.
    pub(super) fn to_library(&self) -> Result<Macaroon, Flaw> {
        Macaroon::deserialize_binary(&self.bytes).map_err(|_| NOT_WHOLE)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where it says that it is good.
    pub(super) fn location(&self) -> Option<&str> {
        std::str::from_utf8(self.at(self.location.as_ref()?)).ok()
    }

    pub(super) fn identifier(&self) -> &[u8] {
        self.at(&self.identifier)
    }

    pub(super) fn caveats(&self) -> impl ExactSizeIterator<Item = Field<'_>> {
        self.caveats.iter().map(|place| {
            let id = self.at(&place.identifier);
            match &place.third {
                None => Field::First(id),
                Some((location, verifier)) => Field::Third {
                    location: self.at(location),
                    id,
                    verifier: self.at(verifier),
                },
            }
        })
    }

    pub(super) fn signature(&self) -> &[u8] {
        self.at(&self.signature)
    }

    fn at(&self, place: &Range<usize>) -> &[u8] {
        self.bytes.get(place.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binary")
            .field("location", &self.location())
            .field("caveats", &self.caveats.len())
            .finish_non_exhaustive()
    }
}

type Places = (Option<Range<usize>>, Range<usize>, Vec<Place>, Range<usize>);

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn macaroon(&mut self) -> Option<Places> {
        (self.byte()? == VERSION).then_some(())?;
        let tag = self.byte()?;
        let (location, tag) = self.location(tag)?;
        (tag == IDENTIFIER).then_some(())?;
        let identifier = self.field()?;
        if identifier.is_empty() || self.byte()? != END {
            return None;
        }
        let mut caveats = Vec::with_capacity(8);
        loop {
            match self.byte()? {
                END => break,
                tag => caveats.push(self.caveat(tag)?),
            }
        }
        (self.byte()? == SIGNATURE).then_some(())?;
        let signature = self.field()?;
        let whole = signature.len() == size_of::<Key>();
        whole.then_some((location, identifier, caveats, signature))
    }

    /// Either all three fields or the identifier alone.
    fn caveat(&mut self, tag: u8) -> Option<Place> {
        let (location, tag) = self.location(tag)?;
        (tag == IDENTIFIER).then_some(())?;
        let identifier = self.field()?;
        let third = match (location, self.byte()?) {
            (None, END) => None,
            (Some(location), VERIFIER) => {
                let verifier = self.field()?;
                (self.byte()? == END).then_some(())?;
                Some((location, verifier))
            }
            _ => return None,
        };
        Some(Place { identifier, third })
    }

    /// The location, where the section begins with one, and the tag behind.
    fn location(&mut self, tag: u8) -> Option<(Option<Range<usize>>, u8)> {
        if tag != LOCATION {
            return Some((None, tag));
        }
        let place = self.field()?;
        std::str::from_utf8(self.bytes.get(place.clone())?).ok()?;
        Some((Some(place), self.byte()?))
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn field(&mut self) -> Option<Range<usize>> {
        let length = self.length()?;
        let end = self.at.checked_add(length)?;
        let place = self.at..end;
        self.bytes.get(place.clone())?;
        self.at = end;
        Some(place)
    }

    /// A length has one spelling, and no field here has more than 2²¹ bytes.
    fn length(&mut self) -> Option<usize> {
        let mut length = 0;
        for shift in [0, 7, 14] {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return (byte != 0 || shift == 0).then_some(length);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
