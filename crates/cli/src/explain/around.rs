//! What stands around the routes of a configuration: as whom the gateway asks
//! its issuer, and which policies it asks.

use std::path::Path;

use symbolon_server::config::{GatewayConfig, GatewayRoute, Location};
use symbolon_verify::{Explanation, Verdict};

use super::set_policy;

/// A gateway's configuration, read whole; a file that demands something and is no
/// more than that has none.
pub(super) struct Around(Option<GatewayConfig>);

impl Around {
    pub(super) fn of(path: Option<&Path>) -> Self {
        let read = |path| GatewayConfig::load(path, std::env::vars());
        Self(path.and_then(|path| read(path).ok()).map(|(own, _)| own))
    }

    /// As whom an issuer is asked, with the secret.
    pub(super) fn client(&self, issuer: &str) -> Option<(&str, &[u8])> {
        let own = self.0.as_ref()?.introspection.as_ref()?;
        (own.issuer == issuer).then(|| (&*own.id, own.secret.expose()))
    }

    /// The route whose block stands there, where policies are asked about it.
    pub(super) fn asks_at(&self, at: &Location) -> Option<Asks<'_>> {
        use symbolon_server::config::{RouteNeeds, RoutePolicy};

        let config = self.0.as_ref()?;
        let policy = config.policy.as_ref()?;
        let route = config.routes.iter().find(|own| own.at == *at)?;
        let is_public = matches!(route.needs, RouteNeeds::Public);
        let is_shadow = match route.policy {
            RoutePolicy::Off => return None,
            RoutePolicy::AsUsual if is_public => return None,
            RoutePolicy::AsUsual => policy.is_shadow,
            RoutePolicy::Enforce => false,
            RoutePolicy::Shadow => true,
        };
        (!is_shadow).then_some(Asks { config, route })
    }
}

/// A route at which policies act.
pub(super) struct Asks<'a> {
    pub(super) config: &'a GatewayConfig,
    pub(super) route: &'a GatewayRoute,
}

/// Says that policies were not asked, which may refuse it still.
pub(super) fn not_asked(explanation: &mut Explanation, why: &str) {
    set_policy(explanation, symbolon_verify::Outcome::NotAsked);
    if explanation.verdict == Verdict::Valid {
        let but = format!("every check passed but policy, which was not asked ({why})");
        explanation.cause = explanation.cause.replacen("every check passed", &but, 1);
    }
}
