//! `[[limit]]`: numbers that mean something.

use std::time::Duration;

use symbolon_protocol::Lifetime;

use crate::config::document::Table;
use crate::config::quota::{GatewayLimit, LimitMode, LimitRule, PER, PERIODS};
use crate::config::read::{Loading, invalid};
use crate::config::schema::LIMIT;

/// How large a number of a limit may be: sums of it are still told exactly.
const MAX_NUMBER: u64 = 1_000_000_000_000;
/// What the four kinds are called, one of which a limit names.
const KINDS: [&str; 4] = ["rate", "quota", "credits", "concurrency"];
/// How short a rolling window may be: it moves on in sixty pieces.
const MIN_WINDOW: Duration = Duration::from_secs(60);

impl Loading<'_> {
    pub(super) fn limit(&mut self, table: &Table, has_redis: bool) -> Option<GatewayLimit> {
        self.check_keys(table, &LIMIT);
        let name = self.quota_name(table, &LIMIT);
        let per: Option<String> = self.value(table, &LIMIT, "per");
        let per = per.unwrap_or_else(|| "client".into());
        if !PER.contains(&&*per) {
            let why = format!("it is one of {}", PER.join(", "));
            self.add(invalid(&LIMIT, "per", table.place("per"), &why));
        }
        let rule = self.rule(table)?;
        let mode = self.mode(table, &rule, has_redis);
        let on_error: Option<String> = self.value(table, &LIMIT, "on_error");
        if on_error
            .as_ref()
            .is_some_and(|own| own != "refuse" && own != "local")
        {
            let why = "it is `refuse` or `local`";
            self.add(invalid(&LIMIT, "on_error", table.place("on_error"), why));
        }
        let give_back: Option<bool> = self.value(table, &LIMIT, "give_back");
        Some(GatewayLimit {
            name: name?,
            per,
            rule,
            mode: mode?,
            local_on_error: on_error.as_deref() == Some("local"),
            give_back: give_back.unwrap_or(false),
        })
    }

    fn rule(&mut self, table: &Table) -> Option<LimitRule> {
        let named: Vec<&str> = KINDS.into_iter().filter(|own| table.has(own)).collect();
        let [kind] = named[..] else {
            let why = "a limit has one of `rate`, `quota`, `credits` and `concurrency`";
            let at = named.get(1).map_or(&table.at, |own| table.place(own));
            self.add(invalid(&LIMIT, named.get(1).unwrap_or(&"rate"), at, why));
            return None;
        };
        let mine: &[&str] = match kind {
            "rate" => &["period", "burst"],
            "quota" => &["period", "window"],
            "credits" => &["refill", "every"],
            _ => &[],
        };
        for other in ["burst", "period", "window", "refill", "every"] {
            if table.has(other) && !mine.contains(&other) {
                let why = format!("`{kind}` has none");
                self.add(invalid(&LIMIT, other, table.place(other), &why));
            }
        }
        let limit = self.number(table, kind, 1)?;
        match kind {
            "rate" => self.rate(table, limit),
            "quota" => self.quota(table, limit),
            "credits" => self.credits(table, limit),
            _ => Some(LimitRule::Concurrent { limit }),
        }
    }

    fn rate(&mut self, table: &Table, limit: u64) -> Option<LimitRule> {
        let period = self.span_of(table, "period", Duration::from_secs(1))?;
        let burst = match table.has("burst") {
            true => self.number(table, "burst", 1)?,
            false => limit,
        };
        let why = match (u128::from(limit) > period.as_micros(), burst > limit) {
            (true, _) => "it is at most one each microsecond",
            (_, true) => "`burst` is larger than `rate`",
            _ => {
                return Some(LimitRule::Rate {
                    limit,
                    period,
                    burst,
                });
            }
        };
        self.add(invalid(&LIMIT, "rate", table.place("rate"), why));
        None
    }

    fn quota(&mut self, table: &Table, limit: u64) -> Option<LimitRule> {
        if table.has("window") == table.has("period") {
            let why = "it has either a `period` of the calendar or a `window`";
            self.add(invalid(&LIMIT, "quota", table.place("quota"), why));
            return None;
        }
        if table.has("window") {
            let window = self.span_of(table, "window", MIN_WINDOW)?;
            return Some(LimitRule::Rolling { limit, window });
        }
        let period: String = self.value(table, &LIMIT, "period")?;
        if !PERIODS.contains(&&*period) {
            let why = format!("of a quota it is one of {}", PERIODS.join(", "));
            self.add(invalid(&LIMIT, "period", table.place("period"), &why));
            return None;
        }
        Some(LimitRule::Quota { limit, period })
    }

    fn credits(&mut self, table: &Table, capacity: u64) -> Option<LimitRule> {
        let refill = match table.has("refill") {
            true => self.number(table, "refill", 0)?,
            false => 0,
        };
        let every = match table.has("every") {
            true => self.span_of(table, "every", Duration::from_secs(1))?,
            false if refill == 0 => Duration::from_secs(86_400),
            false => {
                let why = "`every` is missing: how often does it come back?";
                self.add(invalid(&LIMIT, "refill", table.place("refill"), why));
                return None;
            }
        };
        Some(LimitRule::Credits {
            capacity,
            refill,
            every,
        })
    }

    fn number(&mut self, table: &Table, name: &str, least: u64) -> Option<u64> {
        let number: u64 = self.value(table, &LIMIT, name)?;
        let fits = (least..=MAX_NUMBER).contains(&number);
        if !fits {
            let why = format!("it is {least} to {MAX_NUMBER}");
            self.add(invalid(&LIMIT, name, table.place(name), &why));
        }
        fits.then_some(number)
    }

    fn span_of(&mut self, table: &Table, name: &str, least: Duration) -> Option<Duration> {
        if !table.has(name) {
            self.add(invalid(&LIMIT, name, &table.at, "it is missing"));
        }
        let is_span = |own: &str| own.parse::<Lifetime>().is_ok();
        let text = table.find(name).and_then(|node| node.text());
        if let Some(text) = text.filter(|own| !is_span(own)) {
            let why = format!("`{text}` is no span");
            let finding = invalid(&LIMIT, name, table.place(name), &why);
            self.add(finding.repair(format!("write for example `{name} = \"1m\"`")));
            return None;
        }
        let span: Lifetime = self.value(table, &LIMIT, name)?;
        let longest = Duration::from_secs(366 * 86_400);
        let fits = (least..=longest).contains(&span.duration());
        if !fits {
            let why = format!("it is {} seconds to 366 days", least.as_secs());
            self.add(invalid(&LIMIT, name, table.place(name), &why));
        }
        fits.then_some(span.duration())
    }

    fn mode(&mut self, table: &Table, rule: &LimitRule, has_redis: bool) -> Option<LimitMode> {
        let mode: Option<String> = self.value(table, &LIMIT, "mode");
        let at = table.place("mode");
        let mode = match mode.as_deref() {
            None if has_redis => LimitMode::Strict,
            None | Some("process") => LimitMode::Process,
            Some("strict" | "leased") if !has_redis => {
                let why = "gateways count together in Redis: it needs `redis_url`";
                self.add(invalid(&LIMIT, "mode", at, why));
                return None;
            }
            Some("strict") => LimitMode::Strict,
            Some("leased") if matches!(rule, LimitRule::Concurrent { .. }) => {
                let why = "places are asked for one by one: it is `strict` or `process`";
                self.add(invalid(&LIMIT, "mode", at, why));
                return None;
            }
            Some("leased") => LimitMode::Leased(self.lease(table, rule)?),
            Some(_) => {
                let why = "it is `strict`, `leased` or `process`";
                self.add(invalid(&LIMIT, "mode", at, why));
                return None;
            }
        };
        if table.has("lease") && !matches!(mode, LimitMode::Leased(_)) {
            let why = "it needs `mode = \"leased\"`";
            self.add(invalid(&LIMIT, "lease", table.place("lease"), why));
        }
        Some(mode)
    }

    /// How large a batch is: by default a hundredth, so that a hundred gateways
    /// could pass the limit by as much again.
    fn lease(&mut self, table: &Table, rule: &LimitRule) -> Option<u64> {
        if !table.has("lease") {
            return Some((rule.most() / 100).max(1));
        }
        let lease = self.number(table, "lease", 1)?;
        if lease > rule.most() {
            let why = "it is more than the limit has";
            self.add(invalid(&LIMIT, "lease", table.place("lease"), why));
        }
        Some(lease)
    }
}
