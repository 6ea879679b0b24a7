//! `[policy]` and `[risk]` in the words of the gateway, with the files that they
//! name.

use std::sync::Arc;

use symbolon_gateway::policy::{DecisionPoint, Mode, PolicySettings, SignIn, Watched};
use symbolon_gateway::risk::{Limits, Places, RevokeAt, RiskSettings, Thresholds, Weights};
use symbolon_server::config::{Finding, GatewayConfig, PolicyConfig, RiskConfig, RoutePolicy};

/// What policy and risk are made of.
pub(crate) struct Both {
    pub(crate) policy: Option<PolicySettings>,
    pub(crate) risk: Option<RiskSettings>,
}

/// Takes both out of a configuration and reads their files, with what is unwise
/// in them; where one is wrong, says all that is.
pub(crate) fn take(config: &mut GatewayConfig) -> Result<(Both, Vec<Finding>), Vec<Finding>> {
    let (mut wrong, mut unwise) = (Vec::new(), Vec::new());
    let policy = config.policy.take();
    let policy = policy.map(|own| self::policy(own, config, &mut unwise));
    let policy = policy.transpose().unwrap_or_else(|found| {
        wrong.extend(found);
        None
    });
    let risk = config.risk.take().map(risk).transpose();
    let risk = risk.unwrap_or_else(|found| {
        wrong.extend(found);
        None
    });
    match wrong.is_empty() {
        true => Ok((Both { policy, risk }, unwise)),
        false => {
            wrong.extend(unwise);
            Err(wrong)
        }
    }
}

/// The same for looking alone: all that is wrong or unwise in the files. `clients`
/// are those of the file, where it is the issuer's.
pub(crate) fn findings(mut config: GatewayConfig, clients: Option<Vec<String>>) -> Vec<Finding> {
    let mut all = unknown_clients(&config, clients);
    match take(&mut config) {
        Ok((_, found)) | Err(found) => all.extend(found),
    }
    all
}

/// Clients that policies name and the issuer's file does not.
#[cfg(feature = "cedar")]
fn unknown_clients(config: &GatewayConfig, clients: Option<Vec<String>>) -> Vec<Finding> {
    let policies = config.policy.as_ref().map(crate::policy::policies);
    let (Some(Ok((Some(policies), _))), Some(clients)) = (policies, clients) else {
        return Vec::new();
    };
    let mut names = crate::policy::names(config);
    names.clients = Some(clients);
    let mut found = crate::policy::strangers(&policies, &names);
    found.retain(|own| !own.is_error());
    found
}

#[cfg(not(feature = "cedar"))]
fn unknown_clients(_: &GatewayConfig, _: Option<Vec<String>>) -> Vec<Finding> {
    Vec::new()
}

/// What a route says of policies.
pub(crate) const fn of_route(own: RoutePolicy) -> Watched {
    match own {
        RoutePolicy::AsUsual => Watched::AsUsual,
        RoutePolicy::Enforce => Watched::In(Mode::Enforce),
        RoutePolicy::Shadow => Watched::In(Mode::Shadow),
        RoutePolicy::Off => Watched::Off,
    }
}

const fn mode(is_shadow: bool) -> Mode {
    match is_shadow {
        true => Mode::Shadow,
        false => Mode::Enforce,
    }
}

fn policy(
    config: PolicyConfig,
    around: &GatewayConfig,
    unwise: &mut Vec<Finding>,
) -> Result<PolicySettings, Vec<Finding>> {
    #[cfg(feature = "cedar")]
    let policies = {
        let (policies, found) = crate::policy::policies(&config)?;
        let names = crate::policy::names(around);
        let strangers = policies.as_ref();
        let strangers = strangers.map(|own| crate::policy::strangers(own, &names));
        let strangers = strangers.unwrap_or_default();
        if !strangers.is_empty() {
            return Err(strangers);
        }
        unwise.extend(found);
        policies
    };
    // A configuration that names files was refused.
    #[cfg(not(feature = "cedar"))]
    let (policies, _, _) = (None, around, unwise);
    Ok(PolicySettings {
        policies,
        decision_point: config.authzen_url.map(|url| DecisionPoint {
            url,
            token: config.authzen_token,
            timeout: config.authzen_timeout.duration(),
        }),
        mode: mode(config.is_shadow),
        evaluation_token: config.evaluation_token,
        evaluation_url: config.evaluation_url,
    })
}

fn risk(config: RiskConfig) -> Result<RiskSettings, Vec<Finding>> {
    let mut weights = Weights::default();
    for (name, weight) in &config.weights {
        // A word that is no signal was refused.
        if let Ok(signal) = name.parse() {
            weights.set(signal, *weight);
        }
    }
    Ok(RiskSettings {
        mode: mode(config.is_shadow),
        weights,
        thresholds: Thresholds {
            step_up: config.step_up,
            sign_in: SignIn {
                acr_values: config.step_up_acr.clone(),
                max_age: config.step_up_max_age.map(|own| own.duration()),
            },
            refuse: config.refuse,
            revoke: config.revoke,
        },
        limits: Limits {
            familiar_after: config.familiar_after.duration(),
            failures: usize::from(config.failures),
            failures_within: config.failures_within.duration(),
            max_speed_kmh: config.max_speed_kmh,
        },
        places: places(&config)?,
        revoke_at: config.revoke_at.map(|(url, token)| RevokeAt { url, token }),
    })
}

fn places(config: &RiskConfig) -> Result<Option<Arc<Places>>, Vec<Finding>> {
    let Some(path) = &config.places else {
        return Ok(None);
    };
    let table = Places::load(path).map_err(|mistake| {
        let (file, column) = (path.display().to_string(), u32::from(mistake.line > 0));
        let at = (&*file, mistake.line, column);
        vec![Finding::in_file("risk.places.file", at, mistake.message)]
    })?;
    Ok(Some(Arc::new(table)))
}

#[cfg(test)]
mod tests {
    use symbolon_gateway::risk::Signal;
    use symbolon_server::config::RISK_SIGNALS;

    #[test]
    fn the_configuration_and_the_gateway_know_the_same_signals() {
        let words: Vec<&str> = Signal::ALL.iter().map(|own| own.word()).collect();
        assert_eq!(words, RISK_SIGNALS);
    }
}
