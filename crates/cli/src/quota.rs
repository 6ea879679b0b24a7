//! What the file says of limits and plans, in the words of the gateway.

use symbolon_gateway as guard;
use symbolon_gateway::{Counting, Limit, OnError, Per, Period, Rule, ServicePlan, Spent};
use symbolon_server::config::{
    GatewayLimit, GatewayPlan, GatewayQuotas, LimitMode, LimitRule, RouteQuota,
};

pub(crate) fn settings(own: GatewayQuotas, issuer: Option<String>) -> guard::Quotas {
    guard::Quotas {
        issuer,
        limits: own.limits.into_iter().map(limit).collect(),
        plans: own.plans.into_iter().map(plan).collect(),
        redis: own.redis.map(|own| guard::Redis {
            addresses: own.addresses,
            user: own.user,
            password: own.password,
            authority: own.authority,
            deadline: guard::Redis::DEADLINE,
        }),
        notices: own.webhook.map(|own| guard::Notices {
            upstream: own.upstream,
            path: own.path,
        }),
    }
}

pub(crate) fn of_route(own: RouteQuota) -> guard::RouteQuota {
    guard::RouteQuota {
        limits: own.limits,
        cost: own.cost,
        feature: own.feature,
    }
}

fn limit(own: GatewayLimit) -> Limit {
    Limit {
        name: own.name,
        // The file was read, so it is one of the words.
        per: Per::named(&own.per).unwrap_or(Per::Client),
        rule: rule(own.rule),
        counting: match own.mode {
            LimitMode::Process => Counting::Process,
            LimitMode::Strict => Counting::Strict,
            LimitMode::Leased(batch) => Counting::Leased { batch },
        },
        on_error: match own.local_on_error {
            true => OnError::Local,
            false => OnError::Refuse,
        },
        upstream_failed: match own.give_back {
            true => Spent::GivenBack,
            false => Spent::Stays,
        },
    }
}

fn rule(own: LimitRule) -> Rule {
    match own {
        LimitRule::Rate {
            limit,
            period,
            burst,
        } => Rule::Rate {
            limit,
            period,
            burst,
        },
        LimitRule::Quota { limit, period } => Rule::Quota {
            limit,
            // The same: the narrowest would be the most that is let through.
            period: Period::named(&period).unwrap_or(Period::Year),
        },
        LimitRule::Rolling { limit, window } => Rule::Rolling { limit, window },
        LimitRule::Credits {
            capacity,
            refill,
            every,
        } => Rule::Credits {
            capacity,
            refill,
            every,
        },
        LimitRule::Concurrent { limit } => Rule::Concurrent { limit },
    }
}

fn plan(own: GatewayPlan) -> ServicePlan {
    ServicePlan {
        name: own.name,
        features: own.features,
        limits: own.limits,
        clients: own.clients,
        organizations: own.organizations,
        is_default: own.is_default,
    }
}
