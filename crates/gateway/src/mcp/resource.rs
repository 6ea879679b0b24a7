//! What is said of a resource: rules compare addresses as they are written, and
//! hold for every other spelling of what they name.
//!
//! Spec: RFC 3986 §6.2
//! Spec: MCP 2026-07-28 Resources

use std::borrow::Cow;

use symbolon_verify::Principal;

use super::address::Readings;
use super::rules::{Mcp, Ruled, Unlisted, holds};

impl Mcp {
    /// What is said of a resource. The first rule that names its address as it is
    /// written decides; what rules before that ask of it under another spelling is
    /// asked as well, since the server may read it so.
    pub(crate) fn resource(&self, uri: &str) -> Ruled<'_> {
        let mut scopes: Vec<String> = Vec::new();
        let mut cost = 1;
        let mut readings = None;
        for rule in &self.resources {
            let is_named = rule.names(uri);
            if is_named && scopes.is_empty() && readings.is_none() {
                return Ruled::Needs(Cow::Borrowed(&rule.scopes), rule.cost);
            }
            if !is_named {
                let readings = readings.get_or_insert_with(|| Readings::of(uri));
                // What is too long to be read may be anything.
                let Some(readings) = readings else {
                    return Ruled::NotListed;
                };
                if !readings.is_about(&rule.name) {
                    continue;
                }
            }
            let more = rule.scopes.iter().filter(|own| !scopes.contains(own));
            scopes.extend(more.cloned().collect::<Vec<_>>());
            cost = rule.cost.max(cost);
            if is_named {
                return Ruled::Needs(Cow::Owned(scopes), cost);
            }
        }
        let is_open = self.unlisted == Unlisted::Allow;
        match is_open && (is_plain(uri) || self.resources.is_empty()) {
            true => Ruled::Needs(Cow::Owned(scopes), cost),
            false => Ruled::NotListed,
        }
    }

    /// Whether a caller may read a resource: then it is listed.
    pub(crate) fn shows_resource(&self, uri: &str, principal: Option<&Principal>) -> bool {
        match self.resource(uri) {
            Ruled::Needs(scopes, _) => holds(principal, &scopes),
            Ruled::NotListed | Ruled::Arguments => false,
        }
    }
}

/// Whether a name means what it begins with: steps upwards lead elsewhere,
/// however they are written, and so do tabs and line ends, which readers of
/// addresses drop.
pub(super) fn is_plain(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let encoded = ["\\", "%2e", "%2f", "%5c", "%25"];
    let is_step = |part: &str| {
        // What stands behind `;` is no part of a step to some, and blanks at the
        // end are not to others.
        let own = part.split(';').next().unwrap_or_default();
        matches!(own.trim(), "." | "..")
    };
    !encoded.iter().any(|own| lower.contains(own))
        && !lower.contains(char::is_control)
        && !lower.split(['/', ':', '?', '#']).any(is_step)
}

#[cfg(test)]
mod tests {
    use super::super::rules::tests::rule;
    use super::*;

    /// Attack: L324
    #[test]
    fn a_rule_holds_for_every_spelling_of_what_it_names() {
        let mut mcp = Mcp {
            resources: vec![rule("file:///secret/*", "admin"), rule("file:///*", "read")],
            ..Mcp::default()
        };
        let needs = |mcp: &Mcp, uri: &str| match mcp.resource(uri) {
            Ruled::Needs(scopes, _) => scopes.join(" "),
            _ => "refused".into(),
        };

        assert_eq!(needs(&mcp, "file:///secret/a"), "admin");
        assert_eq!(needs(&mcp, "file:///public/a"), "read");
        assert_eq!(needs(&mcp, "file:///secrets/a"), "read");
        for uri in [
            "file:///%73ecret/a",
            "file:////secret/a",
            "file:///Secret/a",
            "file:///secret;x/a",
        ] {
            assert_eq!(needs(&mcp, uri), "admin read", "{uri}");
        }
        for uri in ["file:///public/../secret/a", "FILE:///secret/a", "note://a"] {
            assert_eq!(needs(&mcp, uri), "refused", "{uri}");
        }

        mcp.resources.pop();
        mcp.unlisted = Unlisted::Allow;
        assert_eq!(needs(&mcp, "note://a"), "");
        for uri in ["FILE:///secret/a", "file:/secret/a", "file:////secret/a"] {
            assert_eq!(needs(&mcp, uri), "admin", "{uri}");
        }
        for uri in ["file:///secret/../a", "file:///public/..%2fsecret/a"] {
            assert_eq!(needs(&mcp, uri), "refused", "{uri}");
        }
        assert_eq!(needs(&mcp, &"a".repeat(10_000)), "refused");
    }

    #[test]
    fn a_uri_that_leads_out_of_a_folder_is_not_in_it() {
        let mcp = Mcp {
            resources: vec![rule("file:///public/*", "read")],
            ..Mcp::default()
        };
        let may = |uri: &str| mcp.resource(uri) != Ruled::NotListed;

        for good in ["a.txt", "a..b", "...", "a;b/c", "a?x=..", "a b"] {
            assert!(may(&format!("file:///public/{good}")), "{good}");
        }
        for bad in [
            "file:///public/../secret",
            "file:///public/..",
            "file:///public/%2e%2e/secret",
            "file:///public/a%2f..%2f..%2fsecret",
            "file:///public/..\\secret",
            "file:///public/..?x",
            "file:///public/..#x",
            "file:///public/.. ",
            "file:///public/.\t./secret",
            "file:///public/.\n./secret",
            "file:///public/..;x/secret",
            "file:///public/%252e%252e/secret",
            "file:///Public/a",
            "file:///secret",
        ] {
            assert!(!may(bad), "{bad}");
        }
    }
}
