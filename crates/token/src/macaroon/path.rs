//! A path as routes write it: segments, `{one}`, and `{*rest}` at the end.
//!
//! What two programs could read differently matches nothing: an empty segment,
//! `.` and `..` however they are encoded, an encoded slash, a broken escape.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::caveat::has_control;

/// How many segments a pattern or a path may have.
const MAX_SEGMENTS: usize = 64;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Segment {
    Text(String),
    One,
    Rest,
}

/// A pattern for paths.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathPattern {
    text: String,
    segments: Vec<Segment>,
}

/// Text that is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a path begins with `/` and has segments, `{{one}}` and at the end `{{*rest}}`")]
pub struct InvalidPath;

impl FromStr for PathPattern {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let inner = text.strip_prefix('/').ok_or(InvalidPath)?;
        let parts: Vec<&str> = match inner {
            "" => Vec::new(),
            inner => inner.split('/').collect(),
        };
        if parts.len() > MAX_SEGMENTS {
            return Err(InvalidPath);
        }
        let last = parts.len().saturating_sub(1);
        let segments: Result<Vec<_>, _> = parts
            .iter()
            .enumerate()
            .map(|(at, part)| segment(part, at == last))
            .collect();
        Ok(Self {
            text: text.to_owned(),
            segments: segments?,
        })
    }
}

fn segment(part: &str, is_last: bool) -> Result<Segment, InvalidPath> {
    let named = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|own| own.is_ascii_alphanumeric() || own == b'_')
    };
    if let Some(name) = part
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    {
        return match name.strip_prefix('*') {
            Some(name) if is_last && named(name) => Ok(Segment::Rest),
            None if named(name) => Ok(Segment::One),
            _ => Err(InvalidPath),
        };
    }
    let plain = |own: u8| {
        own.is_ascii_graphic() && !matches!(own, b'{' | b'}' | b'%' | b'?' | b'#' | b'\\')
    };
    let is_text = !part.is_empty() && !matches!(part, "." | "..") && part.bytes().all(plain);
    is_text
        .then(|| Segment::Text(part.to_owned()))
        .ok_or(InvalidPath)
}

impl PathPattern {
    /// Whether a path as it came in the request, without its query, is one of
    /// those meant.
    pub fn matches(&self, path: &str) -> bool {
        self.takes(path, |text, part| text == part)
    }

    /// Whether a careless service could take a path for one of these: where names
    /// differ in capitals or in the width of their letters, or by dots and blanks
    /// at their ends, which Windows leaves off.
    pub fn resembles(&self, path: &str) -> bool {
        self.takes(path, is_nearly)
    }

    fn takes(&self, path: &str, is_same: impl Fn(&str, &str) -> bool) -> bool {
        let Some(parts) = parts(path) else {
            return false;
        };
        let mut parts = parts.iter();
        for segment in &self.segments {
            let met = match (segment, parts.next()) {
                (Segment::Rest, part) => return part.is_some(),
                (Segment::One, Some(_)) => true,
                (Segment::Text(text), Some(part)) => is_same(text, part),
                (_, None) => false,
            };
            if !met {
                return false;
            }
        }
        parts.next().is_none()
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether some path is one of both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut own, mut others) = (self.segments.iter(), other.segments.iter());
        loop {
            match (own.next(), others.next()) {
                (None, None) => return true,
                (None, Some(_)) | (Some(_), None) => return false,
                // What is left on the other side is at least one segment.
                (Some(Segment::Rest), Some(_)) | (Some(_), Some(Segment::Rest)) => return true,
                (Some(Segment::Text(one)), Some(Segment::Text(two))) if one != two => return false,
                _ => {}
            }
        }
    }

    /// Whether every path of the other is one of these.
    pub fn covers(&self, other: &Self) -> bool {
        let (mut own, mut others) = (self.segments.iter(), other.segments.iter());
        loop {
            match (own.next(), others.next()) {
                (None, None) => return true,
                (Some(Segment::Rest), Some(_)) => return true,
                (Some(Segment::One), Some(Segment::One | Segment::Text(_))) => {}
                (Some(Segment::Text(one)), Some(Segment::Text(two))) if one == two => {}
                _ => return false,
            }
        }
    }

    /// Whether some path is one of both and neither pattern is the narrower one.
    pub fn is_ambiguous_with(&self, other: &Self) -> bool {
        self.overlaps(other) && self.covers(other) == other.covers(self)
    }

    /// Sorts patterns so that one whose paths are all another's as well comes
    /// before that other.
    pub fn rank(&self) -> impl Ord + use<> {
        let is_text = |own: &&Segment| matches!(own, Segment::Text(_));
        let literal = self.segments.iter().filter(is_text).count();
        let is_open = self.segments.last() == Some(&Segment::Rest);
        (
            std::cmp::Reverse(literal),
            is_open,
            std::cmp::Reverse(self.segments.len()),
        )
    }
}

/// The segments of a path without their escapes, all of them read; `None` where
/// one could be read in two ways, or there are too many.
pub(super) fn parts(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let inner = path.strip_prefix('/')?;
    let parts = inner.split('/').filter(|_| !inner.is_empty());
    let parts: Option<Vec<_>> = parts.take(MAX_SEGMENTS + 1).map(decode).collect();
    parts.filter(|own| own.len() <= MAX_SEGMENTS)
}

/// A segment without its escapes; `None` where it could be read in two ways.
fn decode(part: &str) -> Option<Cow<'_, str>> {
    let text = match part.contains('%') {
        true => Cow::Owned(unescaped(part)?),
        false => Cow::Borrowed(part),
    };
    let is_doubtful = |own: u8| matches!(own, b'/' | b'\\' | b'%' | b'?' | b'#' | b';');
    let is_plain = !text.is_empty() && !matches!(&*text, "." | "..");
    let is_plain = is_plain && !has_control(&text) && !text.bytes().any(is_doubtful);
    is_plain.then_some(text)
}

/// Whether two names are one to a service that is careless.
fn is_nearly(text: &str, part: &str) -> bool {
    match part.is_ascii() {
        true => bare(text).eq_ignore_ascii_case(bare(part)),
        false => folded(bare(text)).eq(folded(bare(part))),
    }
}

/// A name as a careless service compares it.
pub(super) fn names(text: &str) -> String {
    match text.is_ascii() {
        true => bare(text).to_ascii_lowercase(),
        false => folded(bare(text)).collect(),
    }
}

/// A name without what Windows leaves off.
fn bare(text: &str) -> &str {
    text.trim_end_matches(['.', ' '])
}

/// Letters without their width and their size, as far as either is known.
fn folded(text: &str) -> impl Iterator<Item = char> {
    let narrow = |own: char| match own {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(own) - 0xfee0).unwrap_or(own),
        own => own,
    };
    // First to capitals: some letters share theirs with another.
    let capitals = text.chars().map(narrow).flat_map(char::to_uppercase);
    capitals.flat_map(char::to_lowercase)
}

fn unescaped(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        pattern.parse::<PathPattern>().unwrap().matches(path)
    }

    #[test]
    fn one_means_one_and_rest_means_at_least_one() {
        assert!(matches("/orders/{id}", "/orders/7"));
        assert!(matches("/orders/{id}", "/orders/a%20b"));
        assert!(matches("/orders/7", "/orders/%37"));
        assert!(!matches("/orders/{id}", "/orders"));
        assert!(!matches("/orders/{id}", "/orders/"));
        assert!(!matches("/orders/{id}", "/orders/7/lines"));
        assert!(matches("/files/{*rest}", "/files/a/b/c"));
        assert!(!matches("/files/{*rest}", "/files"));
        assert!(matches("/{*rest}", "/x"));
        assert!(matches("/", "/"));
        assert!(!matches("/", "/x"));
    }

    #[test]
    fn what_differs_in_capitals_width_or_at_its_end_resembles_it() {
        let resembles = |pattern: &str, path: &str| {
            let pattern: PathPattern = pattern.parse().unwrap();
            pattern.resembles(path)
        };
        for like in [
            "/admin/users",
            "/ADMIN/users",
            "/Admin/Users",
            "/admin./users",
            "/admin%20/users",
            "/admin/users.",
            "/%ef%bd%81dmin/users",
            "/adm%c4%b1n/users",
            "/admin/u%c5%bfers",
        ] {
            assert!(resembles("/admin/users", like), "{like}");
        }
        assert!(resembles("/admin/{id}", "/ADMIN/7"));
        assert!(resembles("/admin/{*rest}", "/Admin/7/8"));
        for other in [
            "/admins/users",
            "/admin",
            "/admin/users/7",
            "/admin/u",
            "/x/%",
        ] {
            assert!(!resembles("/admin/users", other), "{other}");
        }
    }

    #[test]
    fn a_narrower_pattern_is_covered_and_comes_first() {
        let of = |text: &str| text.parse::<PathPattern>().unwrap();
        for (wide, narrow) in [
            ("/{*rest}", "/a"),
            ("/{*rest}", "/{one}"),
            ("/{*rest}", "/{one}/{*rest}"),
            ("/{a}/{b}", "/a/{b}"),
            ("/a/{b}", "/a/b"),
            ("/a/{*rest}", "/a/{b}/c"),
        ] {
            let (wide, narrow) = (of(wide), of(narrow));
            assert!(
                wide.covers(&narrow) && wide.overlaps(&narrow),
                "{wide} {narrow}"
            );
            assert!(!narrow.covers(&wide), "{wide} {narrow}");
            assert!(narrow.rank() < wide.rank(), "{wide} {narrow}");
        }
    }

    #[test]
    fn patterns_that_share_paths_without_covering_overlap_and_others_do_not() {
        let of = |text: &str| text.parse::<PathPattern>().unwrap();
        for (one, two, overlap) in [
            ("/a/{b}", "/{a}/b", true),
            ("/a/{*rest}", "/{a}/b", true),
            ("/{x}", "/{y}", true),
            ("/", "/{*rest}", false),
            ("/a", "/b", false),
            ("/a", "/a/{*rest}", false),
            ("/{a}/c", "/a/b", false),
        ] {
            assert_eq!(of(one).overlaps(&of(two)), overlap, "{one} {two}");
            assert_eq!(of(two).overlaps(&of(one)), overlap, "{two} {one}");
        }
        assert!(of("/{x}").covers(&of("/{y}")) && of("/{y}").covers(&of("/{x}")));
        assert!(!of("/a/{b}").covers(&of("/{a}/b")));
        assert!(of("/a/{b}").is_ambiguous_with(&of("/{a}/b")));
        assert!(of("/{x}").is_ambiguous_with(&of("/{y}")));
        assert!(!of("/a/{b}").is_ambiguous_with(&of("/a/b")));
    }

    #[test]
    fn what_could_be_read_differently_matches_nothing() {
        for path in [
            "",
            "orders/7",
            "//orders/7",
            "/orders//7",
            "/orders/7/",
            "/orders/..",
            "/orders/%2e%2e",
            "/orders/.%2E",
            "/orders/a%2fb",
            "/orders/a%5cb",
            "/orders/a\\b",
            "/orders/%",
            "/orders/%zz",
            "/orders/%252e",
            "/orders/a%00",
            "/orders/%ff",
            "/orders/a;b",
            "/Orders/7",
            "https://api.example.com/orders/7",
        ] {
            assert!(!matches("/orders/{id}", path), "{path}");
            assert!(!matches("/orders/{*rest}", path), "{path}");
        }
        assert!(!matches("/{*rest}", &"/a".repeat(100)));
    }
}
