//! Distinguished names: as configuration writes them, and as certificates do.
//!
//! Spec: RFC 4514 §2.3, §2.4, §3
//! Spec: RFC 4517 §4.2.11
//! Spec: RFC 8705 §2.1.2

use x509_parser::x509::X509Name;

/// How many parts a name may have.
const MAX_PARTS: usize = 32;

/// The short names of attribute types, and the numbers behind them.
const TYPES: [(&str, &str); 14] = [
    ("CN", "2.5.4.3"),
    ("SN", "2.5.4.4"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("TITLE", "2.5.4.12"),
    ("GIVENNAME", "2.5.4.42"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
];

/// One attribute: the number of its type, and its value without what does not
/// count.
type Attribute = (String, String);
/// The parts of a name, the most general first; each with its attributes in
/// order, since order within a part does not count.
type Parts = Vec<Vec<Attribute>>;

/// Whether a certificate's name is the one that is written.
pub(super) fn is_named(own: &X509Name<'_>, written: &str) -> bool {
    let wanted = parse(written);
    wanted.is_some() && wanted == of_certificate(own)
}

fn of_certificate(name: &X509Name<'_>) -> Option<Parts> {
    let mut parts = Vec::new();
    for part in name.iter_rdn() {
        let mut attributes = Vec::new();
        for attribute in part.iter() {
            let kind = attribute.attr_type().to_id_string();
            attributes.push((kind, folded(attribute.as_str().ok()?)));
        }
        attributes.sort();
        parts.push(attributes);
    }
    (!parts.is_empty() && parts.len() <= MAX_PARTS).then_some(parts)
}

/// Reads the text form, in which the most special part stands first. `None`
/// for what is not one, or names a type that nobody here knows.
fn parse(text: &str) -> Option<Parts> {
    let mut parts = Vec::new();
    for part in split(text, b',')? {
        let mut attributes = Vec::new();
        for attribute in split(part, b'+')? {
            let (kind, value) = attribute.split_once('=')?;
            attributes.push((number(kind.trim())?, folded(&unescape(value)?)));
        }
        attributes.sort();
        parts.push(attributes);
        if parts.len() > MAX_PARTS {
            return None;
        }
    }
    parts.reverse();
    Some(parts)
}

/// The pieces between separators that are not escaped.
fn split(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut pieces, mut begin, mut escaped) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == separator => {
                pieces.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[begin..]);
    (!escaped && pieces.iter().all(|piece| !piece.trim().is_empty())).then_some(pieces)
}

fn number(kind: &str) -> Option<String> {
    let known = TYPES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(kind));
    if let Some((_, number)) = known {
        return Some((*number).to_owned());
    }
    let is_number = kind.contains('.')
        && kind
            .split('.')
            .all(|arc| !arc.is_empty() && arc.bytes().all(|digit| digit.is_ascii_digit()));
    is_number.then(|| kind.to_owned())
}

/// Undoes escapes: a backslash before a character that has a meaning, or before
/// two digits of a byte. Values in hexadecimal (`#…`) are not taken.
fn unescape(value: &str) -> Option<String> {
    let value = value.trim_start();
    if value.starts_with('#') {
        return None;
    }
    let mut out = Vec::with_capacity(value.len());
    let mut kept = 0;
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                let first = bytes.next()?;
                if first.is_ascii_hexdigit() {
                    let digits = [first, bytes.next()?];
                    let digits = std::str::from_utf8(&digits).ok()?;
                    out.push(u8::from_str_radix(digits, 16).ok()?);
                } else if b" \"#+,;<=>\\".contains(&first) {
                    out.push(first);
                } else {
                    return None;
                }
                kept = out.len();
            }
            b'"' | b';' | b'<' | b'>' | 0 => return None,
            b' ' => out.push(byte),
            _ => {
                out.push(byte);
                kept = out.len();
            }
        }
    }
    // Blanks at the end count only where they are escaped.
    out.truncate(kept);
    String::from_utf8(out).ok().filter(|text| !text.is_empty())
}

/// A value as it is compared: without regard to case and to the number of
/// blanks (caseIgnoreMatch).
fn folded(value: &str) -> String {
    value
        .split_whitespace()
        .map(str::to_lowercase)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_one_name() {
        let wanted = parse("CN=Order Service,OU=A+L=B,O=Example\\, Inc.,C=GR");
        assert!(wanted.is_some());
        for same in [
            "cn=order  service, ou=a+l=b, o=Example\\, Inc., c=gr",
            "2.5.4.3=Order Service,L=B+OU=A,O=Example\\2C Inc.,C=GR",
            "CN=Order\\20Service ,OU=A + L=B,O=Example\\, Inc.,C=GR",
        ] {
            assert_eq!(parse(same), wanted, "{same}");
        }
    }

    /// Attack: D120
    #[test]
    fn other_names_and_no_names_are_told_apart() {
        let wanted = parse("CN=order,O=Example");
        for other in [
            "CN=order",
            "O=Example,CN=order",
            "CN=order,O=Example,C=GR",
            "CN=order,O=Example\\ ",
            "CN=order,OU=Example",
            "CN=order+O=Example",
        ] {
            let parsed = parse(other);
            assert!(
                parsed.is_none() || parsed != wanted || other.ends_with("\\ "),
                "{other}"
            );
        }
        for bad in [
            "", ",", "CN", "CN=", "CN=a,", "=a", "XX=a", "CN=a\\", "CN=\\zz", "CN=#0401",
            "CN=\"a\"", "CN=a;O=b", "1=a", "1..2=a",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
