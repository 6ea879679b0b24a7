//! What a route says of limits and plans: somebody has to be able to pass.

use crate::config::document::{Table, Value};
use crate::config::gateway::{GatewayRoute, RouteNeeds};
use crate::config::quota::{GatewayQuotas, LimitRule, RouteQuota};
use crate::config::read::{Loading, invalid};
use crate::config::schema::ROUTE;

impl Loading<'_> {
    /// What a route says of limits, each for itself.
    pub(in crate::config::read) fn quota_of_route(&mut self, table: &Table) -> RouteQuota {
        let cost: Option<u64> = self.value(table, &ROUTE, "cost");
        RouteQuota {
            limits: self.values(table, &ROUTE, "limits"),
            cost: cost.unwrap_or(1),
            feature: self.value(table, &ROUTE, "feature"),
        }
    }

    /// What routes say of limits and plans that are there.
    pub(in crate::config::read) fn check_routes(
        &mut self,
        table: &Table,
        quotas: &GatewayQuotas,
        routes: &[GatewayRoute],
    ) {
        let blocks = match table.find("route").map(|node| &node.value) {
            Some(Value::Array(blocks)) => &blocks[..],
            _ => &[],
        };
        for route in routes {
            let of = blocks.iter().find_map(|block| match &block.value {
                Value::Table(own) if *own.place("path") == route.at => Some(own),
                _ => None,
            });
            if let Some(own) = of {
                self.check_route(own, quotas, route);
            }
        }
    }

    fn check_route(&mut self, table: &Table, quotas: &GatewayQuotas, route: &GatewayRoute) {
        let is_public = matches!(route.needs, RouteNeeds::Public);
        for name in &route.quota.limits {
            let at = table.place_of("limits", name);
            let known = quotas.limits.iter().find(|own| own.name == *name);
            let why = match known {
                None => format!("there is no limit `{name}`"),
                Some(own) if is_public && own.per != "address" => {
                    format!(
                        "on a public route nobody is known but by address, and `{name}` is per {}",
                        own.per
                    )
                }
                Some(own)
                    if own.rule.most() < route.quota.cost
                        && !matches!(own.rule, LimitRule::Concurrent { .. }) =>
                {
                    format!("`{name}` never has as much as one request costs")
                }
                Some(_) => continue,
            };
            self.add(invalid(&ROUTE, "limits", at, &why));
        }
        let Some(feature) = &route.quota.feature else {
            return;
        };
        let is_had = quotas
            .plans
            .iter()
            .any(|own| own.features.contains(feature));
        let why = match (is_public, is_had) {
            (true, _) => "on a public route nobody has a plan".to_owned(),
            (_, false) => format!("no `[[plan]]` has the feature `{feature}`: nobody could pass"),
            _ => return,
        };
        let finding = invalid(&ROUTE, "feature", table.place("feature"), &why);
        self.add(finding.repair(match is_public {
            true => "take `feature` out, or `public = true`".to_owned(),
            false => format!(
                "write `features = [\"{feature}\"]` into a `[[plan]]`, or take the line out"
            ),
        }));
    }
}
