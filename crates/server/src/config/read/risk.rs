//! `[risk]`.

use serde_json::Value as Json;
use symbolon_protocol::{Lifetime, Scope};

use super::super::document::{Node, Table};
use super::super::policy::{RISK_SIGNALS, RiskConfig};
use super::super::schema::RISK;
use super::{Loading, invalid};

const FAMILIAR_AFTER: Lifetime = Lifetime::seconds(60 * 60);
const FAILURES_WITHIN: Lifetime = Lifetime::seconds(5 * 60);
const STEP_UP_MAX_AGE: Lifetime = Lifetime::seconds(5 * 60);
/// How many refusals can be told from each other.
const MAX_FAILURES: u8 = 16;

impl Loading<'_> {
    pub(super) fn risk(&mut self, root: &Table) -> Option<RiskConfig> {
        let table = self.section(root, "risk", &RISK)?;
        let step_up = self.score(table, "step_up");
        let (refuse, revoke) = (self.score(table, "refuse"), self.score(table, "revoke"));
        let revoke_at = self.revoke_at(table, revoke.is_some());
        let acr: Vec<Scope> = self.values(table, &RISK, "step_up_acr");
        let acr: Vec<String> = acr.iter().map(|own| own.as_str().to_owned()).collect();
        let max_age: Option<Lifetime> = self.value(table, &RISK, "step_up_max_age");
        let failures: Option<u8> = self.value(table, &RISK, "failures");
        if failures.is_some_and(|own| !(1..=MAX_FAILURES).contains(&own)) {
            let why = "it is a number from 1 to 16";
            self.add(invalid(&RISK, "failures", table.place("failures"), why));
        }
        let speed: Option<u32> = self.value(table, &RISK, "max_speed_kmh");
        if speed == Some(0) {
            let why = "it is a kilometre an hour or more";
            let at = table.place("max_speed_kmh");
            self.add(invalid(&RISK, "max_speed_kmh", at, why));
        }
        let span = |own: &mut Self, name: &str, usual: Lifetime| {
            let given: Option<Lifetime> = own.value(table, &RISK, name);
            given.unwrap_or(usual)
        };
        Some(RiskConfig {
            is_shadow: self.is_shadow(table, &RISK),
            weights: self.weights(table),
            step_up,
            // Without a demand every sign-in would do, also the one there was.
            step_up_max_age: max_age.or_else(|| acr.is_empty().then_some(STEP_UP_MAX_AGE)),
            step_up_acr: acr,
            refuse,
            revoke,
            revoke_at,
            places: self.path(table, &RISK, "places"),
            familiar_after: span(self, "familiar_after", FAMILIAR_AFTER),
            failures: failures.unwrap_or(5),
            failures_within: span(self, "failures_within", FAILURES_WITHIN),
            max_speed_kmh: speed.unwrap_or(1_000),
            at: table.place("places").clone(),
        })
    }

    /// A score, 1 to 100: with 0 every request would reach it.
    fn score(&mut self, table: &Table, name: &str) -> Option<u8> {
        let given: Option<u8> = self.value(table, &RISK, name);
        if given.is_some_and(|own| !(1..=100).contains(&own)) {
            let why = "a score is a number from 1 to 100";
            self.add(invalid(&RISK, name, table.place(name), why));
        }
        given
    }

    fn revoke_at(
        &mut self,
        table: &Table,
        is_wanted: bool,
    ) -> Option<(url::Url, symbolon_token::Secret)> {
        let url = self.service(table, &RISK, "revoke_url");
        if url
            .as_ref()
            .is_some_and(|url| url.path() != "/" || url.query().is_some())
        {
            let why = "it is a host and a port, and nothing behind";
            self.add(invalid(&RISK, "revoke_url", table.place("revoke_url"), why));
        }
        let token = self.secret(table, "revoke_token");
        match (&url, &token) {
            (Some(_), None) => {
                let why = "`revoke_url` needs the bearer that is shown there";
                self.add(invalid(
                    &RISK,
                    "revoke_token",
                    table.place("revoke_url"),
                    why,
                ));
            }
            (None, Some(_)) if !table.has("revoke_url") => {
                let why = "it is missing: `revoke_token` is shown there";
                self.add(invalid(
                    &RISK,
                    "revoke_url",
                    table.place("revoke_token"),
                    why,
                ));
            }
            (None, None) if is_wanted && !table.has("revoke_url") => {
                let why = "it is missing: `revoke` takes tokens back there";
                self.add(invalid(&RISK, "revoke_url", table.place("revoke"), why));
            }
            _ => {}
        }
        Some((url?, token?.secret))
    }

    fn weights(&mut self, table: &Table) -> Vec<(String, u8)> {
        let Some(node) = table.find("weights") else {
            return Vec::new();
        };
        let read = weights(node);
        if read.is_none() {
            let why = format!(
                "it names signals with a number from 0 (off) to 100 each: {}",
                RISK_SIGNALS.join(", ")
            );
            self.add(invalid(&RISK, "weights", &node.at, &why));
        }
        read.unwrap_or_default()
    }
}

fn weights(node: &Node) -> Option<Vec<(String, u8)>> {
    let Json::Object(object) = node.json() else {
        return None;
    };
    let pair = |(name, value): (String, Json)| {
        let weight = u8::try_from(value.as_u64()?).ok()?;
        (weight <= 100 && RISK_SIGNALS.contains(&&*name)).then_some((name, weight))
    };
    object.into_iter().map(pair).collect()
}
