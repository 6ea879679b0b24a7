//! `[[plan]]`: names that lead somewhere, and nobody with two of them.

use crate::config::document::Table;
use crate::config::quota::{GatewayLimit, GatewayPlan};
use crate::config::read::gateway::twice;
use crate::config::read::{Loading, invalid};
use crate::config::schema::PLAN;

impl Loading<'_> {
    pub(super) fn plan(&mut self, table: &Table, limits: &[GatewayLimit]) -> Option<GatewayPlan> {
        self.check_keys(table, &PLAN);
        let name = self.quota_name(table, &PLAN);
        let own: Vec<String> = self.values(table, &PLAN, "limits");
        for limit in &own {
            if !limits.iter().any(|known| known.name == *limit) {
                let why = format!("there is no limit `{limit}`");
                let at = table.place_of("limits", limit);
                self.add(invalid(&PLAN, "limits", at, &why));
            }
        }
        let is_default: Option<bool> = self.value(table, &PLAN, "default");
        Some(GatewayPlan {
            features: self.values(table, &PLAN, "features"),
            clients: self.values(table, &PLAN, "clients"),
            organizations: self.values(table, &PLAN, "organizations"),
            is_default: is_default.unwrap_or(false),
            limits: own,
            name: name?,
        })
    }

    /// Nobody has two plans.
    pub(super) fn check_plan(&mut self, table: &Table, own: &GatewayPlan, before: &[GatewayPlan]) {
        for other in before {
            if other.name == own.name {
                let message = format!("`{}` is a plan already", own.name);
                self.add(twice(table.place("name"), message));
            }
            if own.is_default && other.is_default {
                let message = format!("`{}` is the default plan already", other.name);
                self.add(twice(table.place("default"), message));
            }
            for (key, mine, theirs) in [
                ("clients", &own.clients, &other.clients),
                ("organizations", &own.organizations, &other.organizations),
            ] {
                for one in mine.iter().filter(|one| theirs.contains(one)) {
                    let message = format!("`{one}` has the plan `{}` already", other.name);
                    self.add(twice(table.place_of(key, one), message));
                }
            }
        }
    }
}
