//! `[[limit]]` and `[[plan]]`: numbers that mean something, names that lead
//! somewhere, and routes that somebody can pass.

mod limit;
mod plan;
mod redis;
mod route;

use super::super::document::Table;
use super::super::finding::Finding;
use super::super::quota::{GatewayLimit, GatewayPlan, GatewayQuotas, LimitWebhook};
use super::super::schema::GATEWAY;
use super::gateway::{pairs, twice};
use super::{Loading, invalid};

/// How long a name may be, in bytes.
const MAX_NAME_BYTES: usize = 64;

impl Loading<'_> {
    /// Limits and plans of a file that has no gateway would be read by nobody.
    pub(super) fn check_no_quotas(&mut self, root: &Table) {
        for name in ["limit", "plan"] {
            if root.has(name) {
                let message = format!("`[[{name}]]` is the gateway's, and there is no `[gateway]`");
                self.add(
                    Finding::error("limit.unused", root.place(name), message)
                        .because("nobody would count by it")
                        .repair("write `[gateway]`, or take it out"),
                );
            }
        }
    }

    pub(super) fn quotas(
        &mut self,
        root: &Table,
        table: &Table,
        upstreams: &[String],
    ) -> GatewayQuotas {
        let redis = self.redis(table);
        let mut limits: Vec<GatewayLimit> = Vec::new();
        for block in self.blocks(root, "limit") {
            let Some(own) = self.limit(block, redis.is_some()) else {
                continue;
            };
            if limits.iter().any(|other| other.name == own.name) {
                let message = format!("`{}` is a limit already", own.name);
                self.add(twice(block.place("name"), message));
            }
            limits.push(own);
        }
        let mut plans: Vec<GatewayPlan> = Vec::new();
        for block in self.blocks(root, "plan") {
            let Some(own) = self.plan(block, &limits) else {
                continue;
            };
            self.check_plan(block, &own, &plans);
            plans.push(own);
        }
        GatewayQuotas {
            limits,
            plans,
            redis,
            webhook: self.limit_webhook(table, upstreams),
        }
    }

    fn quota_name(&mut self, table: &Table, section: &'static super::Section) -> Option<String> {
        if !table.has("name") {
            self.add(invalid(section, "name", &table.at, "it is missing"));
        }
        let name: String = self.value(table, section, "name")?;
        let plain = |own: u8| own.is_ascii_alphanumeric() || b"-_.".contains(&own);
        let fits = (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(plain);
        if !fits {
            let why = "a name has letters, digits, `-`, `_` and `.`, and at most 64 of them";
            self.add(invalid(section, "name", table.place("name"), why));
        }
        fits.then_some(name)
    }

    fn limit_webhook(&mut self, table: &Table, upstreams: &[String]) -> Option<LimitWebhook> {
        let node = table.find("limit_webhook")?;
        let find = |all: &[(String, String)], name: &str| {
            let own = all.iter().find(|(key, _)| key == name);
            own.map(|(_, value)| value.clone())
        };
        let read = pairs(node).filter(|all| all.len() == 2).and_then(|all| {
            Some(LimitWebhook {
                upstream: find(&all, "upstream")?,
                path: find(&all, "path").filter(|own| own.starts_with('/'))?,
            })
        });
        let read = read.filter(|own| upstreams.contains(&own.upstream));
        if read.is_none() {
            let why = "it has the name of an `upstream`, and a `path` there";
            self.add(invalid(&GATEWAY, "limit_webhook", &node.at, why));
        }
        read
    }
}
