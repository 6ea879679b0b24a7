//! What the address of a resource means to those who read it less strictly than
//! it is compared here: `file:///%73ecret`, `file:////secret` and `FILE:/secret`
//! all lead to `file:///secret`. A rule for one spelling holds for each of them.
//!
//! Spec: RFC 3986 §6.2
//! Spec: WHATWG URL §4.4

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::Url;

/// How long an address may be that is compared, in bytes.
const MAX_BYTES: usize = 8 * 1024;
/// How often an escape may be escaped.
const MAX_ESCAPES: usize = 3;

/// What an address can be read as; nothing where it is too long to be read.
#[derive(Debug)]
pub(super) struct Readings(Vec<String>);

impl Readings {
    /// As it is written, and as browsers and their like write it.
    pub(super) fn of(address: &str) -> Option<Self> {
        if address.len() > MAX_BYTES {
            return None;
        }
        let mut all = vec![plain(address)];
        if let Ok(mut url) = Url::parse(address) {
            // Who comes says nothing of where to.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            let own = plain(url.as_str());
            if !all.contains(&own) {
                all.push(own);
            }
        }
        Some(Self(all))
    }

    /// Whether one of them is what a name of a rule is about; a name with `*` at
    /// its end is about whatever begins so.
    pub(super) fn is_about(&self, name: &str) -> bool {
        let Some(beginning) = name.strip_suffix('*') else {
            let whole = plain(name);
            return self.0.contains(&whole);
        };
        let folder = plain(beginning);
        let is_whole = beginning.ends_with(['/', ':', '?', '#']);
        self.0.iter().any(|own| match own.strip_prefix(&*folder) {
            Some(rest) if is_whole => {
                rest.is_empty() || rest.starts_with('/') || folder.ends_with(':')
            }
            Some(_) => true,
            None => false,
        })
    }
}

/// An address with nothing in it that some readers look through: escapes,
/// capitals, backslashes, empty parts, steps, blanks, and what follows `;`.
fn plain(address: &str) -> String {
    let mut text = Cow::Borrowed(address);
    for _ in 0..MAX_ESCAPES {
        let decoded = percent_decode_str(&text).decode_utf8_lossy();
        if decoded == text {
            break;
        }
        text = decoded.into_owned().into();
    }
    let text: String = text
        .chars()
        .filter(|own| !own.is_control())
        .flat_map(char::to_lowercase)
        .collect();
    let (scheme, rest) = text.split_once(':').unwrap_or(("", &text));
    let mut parts: Vec<&str> = Vec::new();
    for part in rest.split(['/', '\\', '?', '#']) {
        let own = part.split(';').next().unwrap_or_default();
        match own.trim() {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(own.trim()),
        }
    }
    format!("{}:{}", scheme.trim(), parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_about(address: &str, name: &str) -> bool {
        Readings::of(address).unwrap().is_about(name)
    }

    #[test]
    fn every_spelling_of_a_folder_is_that_folder() {
        for address in [
            "file:///secret/a",
            "file:///secret/",
            "file:///secret",
            "file:///secret/./a",
            "file:///public/../secret/a",
            "file:///%73ecret/a",
            "file:///%2573ecret/a",
            "file:////secret/a",
            "file:///\\secret\\a",
            "FILE:///secret/a",
            "file:///Secret/a",
            "file:/secret/a",
            "file://localhost/secret/a",
            "file:///secret;v=1/a",
            "file:///sec\tret/a",
            " file:///secret/a",
            "file:///secret /a",
            "file:///secret?x",
        ] {
            assert!(is_about(address, "file:///secret/*"), "{address}");
        }
        for address in [
            "file:///secrets/a",
            "file:///public/secret/a",
            "file:///a",
            "note:///secret/a",
        ] {
            assert!(!is_about(address, "file:///secret/*"), "{address}");
        }
    }

    #[test]
    fn a_name_without_a_star_is_about_one_address_in_every_spelling() {
        for address in [
            "https://h.example/a/b",
            "https://H.example:443/a/b",
            "https://u:p@h.example/a//b",
        ] {
            assert!(is_about(address, "https://h.example/a/b"), "{address}");
        }
        for address in ["https://h.example/a/b/c", "https://h.example:8443/a/b"] {
            assert!(!is_about(address, "https://h.example/a/b"), "{address}");
        }
        assert!(is_about("note:one", "note:*") && is_about("note://one", "note://*"));
        assert!(is_about("note://one-two", "note://one*"));
        assert!(Readings::of(&"a".repeat(MAX_BYTES + 1)).is_none());
    }
}
