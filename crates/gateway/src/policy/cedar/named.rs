//! Which routes, APIs and clients policies name, and where. A `forbid` that names
//! a route which is not there forbids nothing, and nobody would notice.

use std::collections::{HashMap, HashSet};

use cedar_policy::{EntityUid, PolicyId, PolicySet};

use super::Policies;
use super::file::Mistake;
use super::load::Placed;

/// What is looked for.
const KINDS: [&str; 3] = ["Route", "Api", "Client"];
/// How many names a message lists.
const MAX_LISTED: usize = 12;

/// What a configuration has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The names of its routes.
    pub routes: Vec<String>,
    /// The audiences of its routes.
    pub audiences: Vec<String>,
    /// Its clients, where it is the issuer's file; others may have been made
    /// otherwise, so a name that is missing here is unwise alone.
    pub clients: Option<Vec<String>>,
}

/// A name, and where a policy speaks of it.
pub(super) struct Named {
    uid: EntityUid,
    at: Mistake,
}

/// Every name of a route, an API or a client in policies, once for each file.
pub(super) fn named(set: &PolicySet, places: &HashMap<PolicyId, Placed<'_>>) -> Vec<Named> {
    let mut known = HashSet::<(EntityUid, &str)>::new();
    let mut written = HashMap::<&str, HashMap<&str, usize>>::new();
    let mut all: Vec<Named> = Vec::new();
    for policy in set.policies() {
        let Some(place) = places.get(policy.id()) else {
            continue;
        };
        let file = place.file;
        for uid in policy.entity_literals() {
            if !KINDS.contains(&&*uid.type_name().to_string())
                || !known.insert((uid.clone(), &*file.name))
            {
                continue;
            }
            let written = written
                .entry(&*file.name)
                .or_insert_with(|| literals(&file.text));
            let at = written.get(&*uid.to_string()).copied();
            let at = file.mistake(at.or(place.at), "");
            all.push(Named { uid, at });
        }
    }
    all.sort_by_key(|own| (own.at.file.clone(), own.at.line, own.at.column));
    all
}

/// Where in a file each of those names stands first: found in one pass, as there
/// may be thousands.
fn literals(text: &str) -> HashMap<&str, usize> {
    let mut found = HashMap::new();
    for kind in KINDS {
        let begin = format!("{kind}::\"");
        for (at, _) in text.match_indices(&begin) {
            let end = text[at + begin.len()..].find('"');
            let before = text[..at].chars().next_back();
            let is_whole = !before.is_some_and(|own| own.is_alphanumeric() || own == '_');
            if let Some(end) = end.filter(|_| is_whole) {
                let literal = &text[at..=at + begin.len() + end];
                found.entry(literal).or_insert(at);
            }
        }
    }
    found
}

impl Policies {
    /// What policies name and a configuration has not. What a file of entities puts
    /// into a group may be of another gateway that shares the files.
    pub fn strangers(&self, names: &Names) -> Vec<Mistake> {
        let mut strangers = Vec::new();
        for Named { uid, at } in &self.named {
            let id = uid.id().unescaped();
            let (word, known, is_error) = match &*uid.type_name().to_string() {
                "Route" => ("route", &names.routes, true),
                "Api" => ("audience of a route", &names.audiences, true),
                _ => match &names.clients {
                    Some(clients) => ("client", clients, false),
                    None => continue,
                },
            };
            if known.iter().any(|own| own == id) || self.is_in_a_file(uid) {
                continue;
            }
            strangers.push(Mistake {
                message: format!("`{uid}`: {}", missing(word, id, known)),
                is_error,
                ..at.clone()
            });
        }
        strangers
    }

    fn is_in_a_file(&self, uid: &EntityUid) -> bool {
        self.members.has(uid) || self.own.iter().any(|own| own.uid() == *uid)
    }
}

impl Names {
    /// Why a question about a route means nothing here, where it does.
    pub fn stranger(&self, route: &str) -> Option<String> {
        let is_known = self.routes.iter().any(|own| own == route);
        (!is_known).then(|| missing("route", route, &self.routes))
    }
}

fn missing(word: &str, id: &str, known: &[String]) -> String {
    let mut listed: Vec<&str> = known.iter().map(String::as_str).collect();
    listed.dedup();
    let more = match listed.len() > MAX_LISTED {
        true => " and others",
        false => "",
    };
    listed.truncate(MAX_LISTED);
    match listed.is_empty() {
        true => format!("no {word} of the configuration is `{id}`; it has none"),
        false => format!(
            "no {word} of the configuration is `{id}`; it has `{}`{more}",
            listed.join("`, `")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICIES: &str = "permit(principal, action, resource in Api::\"https://api.test\");
forbid(principal == Client::\"job\", action, resource == Route::\"orders\");
forbid(principal, action, resource) when { resource == Route::\"payments\" };
";

    fn strangers(names: &Names) -> Vec<Mistake> {
        let policies = Policies::read(POLICIES).unwrap_or_else(|all| panic!("{all:#?}"));
        policies.strangers(names)
    }

    #[test]
    fn what_policies_name_and_nobody_has_is_told_by_its_line() {
        let mut names = Names {
            routes: vec!["orders".into(), "payments".into()],
            audiences: vec!["https://api.test".into()],
            clients: None,
        };
        assert_eq!(strangers(&names), []);

        names.routes = vec!["/orders".into(), "payments".into()];
        let own = strangers(&names);
        assert_eq!(own.len(), 1, "{own:#?}");
        assert!(own[0].is_error && own[0].line == 2, "{own:#?}");
        assert!(own[0].message.contains("it has `/orders`, `payments`"));

        names.audiences.clear();
        names.clients = Some(vec!["other".into()]);
        let lines = strangers(&names)
            .iter()
            .map(|own| (own.line, own.is_error))
            .collect::<Vec<_>>();
        assert_eq!(lines, [(1, true), (2, false), (2, true)]);
        assert!(names.stranger("orders").is_some() && names.stranger("payments").is_none());
    }
}
