//! Names that stand twice, and members that stand nowhere.

use std::collections::BTreeMap;

use super::super::Location;
use super::super::finding::Finding;
use super::Advice;

impl Advice<'_, '_> {
    pub(super) fn on_duplicates(&mut self) {
        let draft = self.draft;
        let clients = draft
            .clients
            .iter()
            .map(|read| (read.value.client.id.to_string(), read.table.place("id")));
        self.on_names("client.id.twice", "client", clients);
        let resources = draft.resources.iter().flat_map(|read| {
            let own = std::iter::once((
                read.value.identifier.to_string(),
                read.table.place("identifier"),
            ));
            let aliases = read.value.aliases.iter();
            own.chain(aliases.map(|alias| {
                (
                    alias.to_string(),
                    read.table.place_of("aliases", alias.as_str()),
                )
            }))
        });
        self.on_names("resource.identifier.twice", "resource", resources);
        let organizations = draft
            .organizations
            .iter()
            .map(|read| (read.value.id.to_string(), read.table.place("id")));
        self.on_names("organization.id.twice", "organization", organizations);
        let issuers = draft.trusted_issuers.iter().map(|read| {
            let name = read.value.issuer.issuer.to_string();
            (name, read.table.place("issuer"))
        });
        self.on_names("trusted_issuer.issuer.twice", "trusted issuer", issuers);
        let sources = draft
            .signal_sources
            .iter()
            .map(|read| (read.value.id.clone(), read.table.place("id")));
        self.on_names("signal_source.id.twice", "source of signals", sources);
        let people = draft.people.iter().map(|read| {
            (
                read.value.username.to_lowercase(),
                read.table.place("username"),
            )
        });
        self.on_names("user.username.twice", "user", people);
        let addresses = draft.people.iter().filter_map(|read| {
            let email = read.value.claims.get("email")?.as_str()?;
            Some((email.to_lowercase(), read.table.place("email")))
        });
        self.on_names("user.email.twice", "e-mail address", addresses);
    }

    fn on_names<'n>(
        &mut self,
        code: &'static str,
        noun: &str,
        names: impl Iterator<Item = (String, &'n Location)>,
    ) {
        let mut seen: BTreeMap<String, &Location> = BTreeMap::new();
        for (name, at) in names {
            if let Some(first) = seen.get(&name) {
                self.add(
                    Finding::error(
                        code,
                        at,
                        format!("{noun} `{name}` stands twice, first at {first}"),
                    )
                    .because("one would overwrite the other, in an order that nobody sees")
                    .repair("take one of them out, or give it another name"),
                );
                continue;
            }
            seen.insert(name, at);
        }
    }

    pub(super) fn on_members(&mut self) {
        let draft = self.draft;
        for read in &draft.organizations {
            let members = &read.value.members;
            let names = members
                .iter()
                .map(|member| (member.user.to_lowercase(), &member.at));
            self.on_names("organization.members.twice", "member", names);
            for member in members {
                let mut people = draft.people.iter();
                if people.any(|person| {
                    person.value.username.to_lowercase() == member.user.to_lowercase()
                }) {
                    continue;
                }
                self.add(
                    Finding::warning(
                        "organization.members.unknown",
                        &member.at,
                        format!("no block of this file is user `{}`", member.user),
                    )
                    .because("unless the person was created otherwise, start fails")
                    .repair("add the `[[user]]`, or correct the spelling"),
                );
            }
        }
    }
}
