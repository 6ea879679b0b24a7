//! Limits and plans of a configuration, ready to be looked up: which plan
//! somebody has, and what a route asks of whom.

use std::collections::HashMap;
use std::sync::Arc;

use symbolon_token::Digest;
use symbolon_verify::Principal;

use super::charge::Known;
use super::settings::{Limit, Notices, Quotas, RouteQuota, Rule, ServicePlan};
use super::subject::of_key;

/// The limits and plans of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Book {
    limits: HashMap<String, Arc<Known>>,
    plans: HashMap<String, Arc<PlanOf>>,
    of_client: HashMap<String, Arc<PlanOf>>,
    of_organization: HashMap<String, Arc<PlanOf>>,
    default: Option<Arc<PlanOf>>,
    issuer: Option<String>,
    pub(crate) notices: Option<Notices>,
}

/// A plan with its limits.
#[derive(Debug)]
pub(crate) struct PlanOf {
    pub(crate) name: String,
    features: Vec<String>,
    limits: Vec<Arc<Known>>,
}

impl PlanOf {
    pub(crate) fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|own| own == feature)
    }
}

/// A plan that somebody has, and that the configuration does not know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownPlan;

/// A name that leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoLimit(pub(crate) String);

impl Book {
    pub(crate) fn new(quotas: &Quotas) -> Result<Self, NoLimit> {
        let mut own = Self {
            notices: quotas.notices.clone(),
            issuer: quotas.issuer.clone(),
            ..Self::default()
        };
        for limit in &quotas.limits {
            own.limits
                .insert(limit.name.clone(), Arc::new(known(limit)));
        }
        for plan in &quotas.plans {
            own.add(plan)?;
        }
        Ok(own)
    }

    fn add(&mut self, plan: &ServicePlan) -> Result<(), NoLimit> {
        let of = Arc::new(PlanOf {
            name: plan.name.clone(),
            features: plan.features.clone(),
            limits: self.named(&plan.limits)?,
        });
        for client in &plan.clients {
            self.of_client.insert(client.clone(), Arc::clone(&of));
        }
        for organization in &plan.organizations {
            let of = Arc::clone(&of);
            self.of_organization.insert(organization.clone(), of);
        }
        if plan.is_default {
            self.default = Some(Arc::clone(&of));
        }
        self.plans.insert(plan.name.clone(), of);
        Ok(())
    }

    /// The limits of some names.
    pub(crate) fn named(&self, names: &[String]) -> Result<Vec<Arc<Known>>, NoLimit> {
        let find = |name: &String| {
            let found = self.limits.get(name).map(Arc::clone);
            found.ok_or_else(|| NoLimit(name.clone()))
        };
        names.iter().map(find).collect()
    }

    /// Every limit.
    pub(crate) fn limits(&self) -> impl Iterator<Item = &Arc<Known>> {
        self.limits.values()
    }

    /// The plan that somebody has: what the issuer says of their API key, else
    /// what the file says of their client or organization, else the default.
    pub(crate) fn plan_of(
        &self,
        principal: &Principal,
    ) -> Result<Option<&Arc<PlanOf>>, UnknownPlan> {
        if self.plans.is_empty() {
            return Ok(None);
        }
        // Another issuer could call its clients as it likes.
        if self.issuer.as_deref() != Some(principal.issuer()) {
            return Ok(self.default.as_ref());
        }
        if let Some(name) = of_key(principal, "plan") {
            return self.plans.get(name).map(Some).ok_or(UnknownPlan);
        }
        let of_client = self.of_client.get(principal.client());
        let of_organization = || self.of_organization.get(principal.organization()?);
        let own = of_client.or_else(of_organization);
        Ok(own.or(self.default.as_ref()))
    }

    /// The limits of a route and of a plan, each once.
    pub(crate) fn asked<'b>(
        &'b self,
        route: &'b RouteQuota,
        plan: Option<&'b PlanOf>,
    ) -> impl Iterator<Item = &'b Arc<Known>> {
        let of_route = route.limits.iter().filter_map(|name| self.limits.get(name));
        let of_plan = plan.into_iter().flat_map(|plan| &plan.limits);
        let more = of_plan.filter(|own| !route.limits.contains(&own.limit.name));
        of_route.chain(more)
    }
}

fn known(limit: &Limit) -> Known {
    let kind = match &limit.rule {
        Rule::Rate { .. } => "rate".to_owned(),
        Rule::Quota { period, .. } => period.as_str().to_owned(),
        Rule::Rolling { window, .. } => format!("rolling{}", window.as_secs()),
        Rule::Credits { every, .. } => format!("credits{}", every.as_secs()),
        Rule::Concurrent { .. } => "open".to_owned(),
    };
    let id = format!("{}:{}:{kind}", limit.name, limit.per.as_str());
    let mut number = [0; 8];
    number.copy_from_slice(&Digest::of(id.as_bytes()).as_bytes()[..8]);
    Known {
        limit: limit.clone(),
        id,
        number: u64::from_be_bytes(number),
    }
}
