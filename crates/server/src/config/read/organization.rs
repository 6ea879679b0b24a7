//! `[[organization]]`.

use symbolon_protocol::OrganizationId;

use super::super::document::{Node, Table, Value};
use super::super::schema::{MEMBER, ORGANIZATION};
use super::super::{ConfiguredMember, ConfiguredOrganization};
use super::{Loading, invalid};
use crate::person::organization_name_problem;

impl Loading<'_> {
    pub(super) fn organization(&mut self, table: &Table) -> Option<ConfiguredOrganization> {
        self.check_keys(table, &ORGANIZATION);
        if !table.has("id") {
            self.add(invalid(&ORGANIZATION, "id", &table.at, "it is missing"));
        }
        let id: Option<OrganizationId> = self.value(table, &ORGANIZATION, "id");
        let name: Option<String> = self.value(table, &ORGANIZATION, "name");
        if let Some(why) = name.as_deref().and_then(organization_name_problem) {
            let at = table.place("name");
            self.add(invalid(&ORGANIZATION, "name", at, &format!("it {why}")));
        }
        let members = self.members(table);
        let id = id?;
        Some(ConfiguredOrganization {
            name: name.unwrap_or_else(|| id.to_string()),
            id,
            members,
            at: table.at.clone(),
        })
    }

    fn members(&mut self, table: &Table) -> Vec<ConfiguredMember> {
        let nodes = match table.find("members").map(|node| (&node.value, &node.at)) {
            None => return Vec::new(),
            Some((Value::Array(nodes), _)) => nodes,
            Some((_, at)) => {
                self.add(invalid(&ORGANIZATION, "members", at, "not a list"));
                return Vec::new();
            }
        };
        nodes.iter().filter_map(|node| self.member(node)).collect()
    }

    fn member(&mut self, node: &Node) -> Option<ConfiguredMember> {
        let Value::Table(table) = &node.value else {
            self.add(invalid(&ORGANIZATION, "members", &node.at, "not a table"));
            return None;
        };
        self.check_keys(table, &MEMBER);
        if !table.has("user") {
            self.add(invalid(&MEMBER, "user", &node.at, "it is missing"));
        }
        let roles = self.values(table, &MEMBER, "roles");
        Some(ConfiguredMember {
            user: self.value(table, &MEMBER, "user")?,
            roles,
            at: node.at.clone(),
        })
    }
}
