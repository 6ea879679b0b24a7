//! What a scope lets a client do, in words, where nobody wrote any: made from
//! its name. The name itself stands beside the words on the page.

/// Verbs that scopes are made of, and how a person is told.
const VERBS: [(&str, &str); 21] = [
    ("read", "Read"),
    ("view", "See"),
    ("list", "List"),
    ("get", "Read"),
    ("write", "Change"),
    ("update", "Change"),
    ("edit", "Change"),
    ("create", "Create"),
    ("add", "Add"),
    ("delete", "Delete"),
    ("remove", "Remove"),
    ("send", "Send"),
    ("share", "Share"),
    ("upload", "Upload"),
    ("download", "Download"),
    ("cancel", "Cancel"),
    ("approve", "Approve"),
    ("sign", "Sign"),
    ("pay", "Pay"),
    ("manage", "Manage"),
    ("admin", "Administer"),
];

/// The words for a scope: `read:orders` is to read orders. Where the name says
/// no verb it is quoted, with the place where it holds.
pub(super) fn of(scope: &str, place: &str) -> String {
    let parts = scope.split_once([':', '.', '/']);
    let spoken = parts.and_then(|(one, other)| said(one, other).or_else(|| said(other, one)));
    spoken.unwrap_or_else(|| format!("Use \u{201c}{scope}\u{201d} at {place}"))
}

fn said(verb: &str, noun: &str) -> Option<String> {
    let noun = noun.replace(['_', '-', '.', ':', '/'], " ");
    let noun = noun.trim();
    let is_spoken = |c: char| c.is_ascii_alphanumeric() || c == ' ';
    if noun.is_empty() || !noun.chars().all(is_spoken) {
        return None;
    }
    let verb = verb.to_ascii_lowercase();
    let (_, words) = VERBS.iter().find(|(own, _)| *own == verb)?;
    Some(format!("{words} {noun}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_and_a_noun_become_words() {
        for (scope, words) in [
            ("read:orders", "Read orders"),
            ("write:bank_accounts", "Change bank accounts"),
            ("orders.read", "Read orders"),
            ("users:admin", "Administer users"),
            ("files/delete", "Delete files"),
        ] {
            assert_eq!(of(scope, "Orders"), words);
        }
    }

    #[test]
    fn what_says_no_verb_is_quoted_with_its_place() {
        for scope in [
            "orders",
            "api:v1",
            "read:",
            ":orders",
            "read:<b>",
            "delete:!!",
        ] {
            let words = of(scope, "Orders");
            assert_eq!(words, format!("Use \u{201c}{scope}\u{201d} at Orders"));
        }
    }
}
