//! Limits over the bytes of a document, checked in one pass before it is
//! parsed; and no document type, in any spelling.
//!
//! A `<` begins markup wherever it stands in well-formed XML, so that looking
//! for `<!` and `<?` overlooks nothing, whatever a parser would make of it.

use super::refused::Refused;

/// How long an assertion may be, in bytes, before and after decryption.
pub const MAX_ASSERTION_BYTES: usize = 256 * 1024;
/// How deep elements may nest.
pub const MAX_DEPTH: usize = 32;
/// How many tags and comments a document may have.
pub const MAX_TAGS: usize = 8_192;
/// How many attributes one tag may have, declarations of namespaces included.
pub const MAX_ATTRIBUTES_PER_TAG: usize = 64;
/// How many namespaces one tag may declare.
pub const MAX_NAMESPACES_PER_TAG: usize = 32;

/// Refuses what is too large, too deep or too wide, and whatever has a document
/// type, a section of unparsed characters, or a processing instruction.
pub(super) fn check(text: &str) -> Result<(), Refused> {
    if text.len() > MAX_ASSERTION_BYTES {
        return Err(Refused::TooLarge("bytes"));
    }
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut tags) = (declaration(bytes)?, 0_usize, 0_usize);
    while let Some(step) = find(&bytes[at..], b"<") {
        at += step + 1;
        tags += 1;
        if tags > MAX_TAGS {
            return Err(Refused::TooLarge("tags"));
        }
        match bytes.get(at) {
            Some(b'!') => {
                let rest = &bytes[at..];
                if !rest.starts_with(b"!--") {
                    return Err(if rest.starts_with(b"![CDATA[") {
                        Refused::Section
                    } else {
                        Refused::DocumentType
                    });
                }
                at += 3 + find(&rest[3..], b"-->").ok_or(Refused::Malformed)? + 3;
            }
            Some(b'?') => return Err(Refused::Section),
            Some(b'/') => {
                depth = depth.saturating_sub(1);
                at += find(&bytes[at..], b">").ok_or(Refused::Malformed)? + 1;
            }
            Some(_) => {
                let tag = opening(&bytes[at..])?;
                depth += usize::from(!tag.empty);
                if depth > MAX_DEPTH {
                    return Err(Refused::TooLarge("depth"));
                }
                at += tag.length;
            }
            None => return Err(Refused::Malformed),
        }
    }
    Ok(())
}

/// Where the document begins, after a declaration, which has to say XML 1.0
/// in UTF-8 where it says anything: what is read is never decoded otherwise.
fn declaration(bytes: &[u8]) -> Result<usize, Refused> {
    if !bytes.starts_with(b"<?xml") {
        return Ok(0);
    }
    let end = find(bytes, b"?>").ok_or(Refused::Malformed)?;
    let said = bytes[..end].to_ascii_lowercase();
    let right = find(&said, b"version").is_none_or(|at| find(&said[at..], b"1.0").is_some())
        && find(&said, b"encoding").is_none_or(|at| find(&said[at..], b"utf-8").is_some());
    if right {
        Ok(end + 2)
    } else {
        Err(Refused::Malformed)
    }
}

struct Opening {
    length: usize,
    empty: bool,
}

/// Measures an opening tag: a `>` inside quotes does not end it.
fn opening(bytes: &[u8]) -> Result<Opening, Refused> {
    let (mut quote, mut attributes, mut namespaces, mut word) = (None, 0, 0, 0);
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (Some(open), byte) if *byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b' ' | b'\t' | b'\r' | b'\n') => word = at + 1,
            (None, b'=') => {
                attributes += 1;
                namespaces += usize::from(bytes[word..at].starts_with(b"xmlns"));
                if attributes > MAX_ATTRIBUTES_PER_TAG || namespaces > MAX_NAMESPACES_PER_TAG {
                    return Err(Refused::TooLarge("attributes"));
                }
            }
            (None, b'>') => {
                return Ok(Opening {
                    length: at + 1,
                    empty: bytes[..at].ends_with(b"/"),
                });
            }
            (None, b'<') => return Err(Refused::Malformed),
            (None, _) => {}
        }
    }
    Err(Refused::Malformed)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    match what {
        [one] => bytes.iter().position(|byte| byte == one),
        _ => bytes.windows(what.len()).position(|own| own == what),
    }
}
