//! What is demanded of a token, from the command line or from a configuration.

use std::time::Duration;

use anyhow::{Context, bail};
use symbolon_server::config::{
    Demands, Location, NoRoute, Placed, ResourceDemand, RouteDemand, ScopesDemand,
};
use symbolon_token::jose::Unverified;
use symbolon_verify::{Explanation, Outcome, Requirement, Revocation, Verdict};
use url::Url;

use super::{ExplainArguments, demanded, needed, refuse, set_policy};

/// A request, taken apart.
pub(super) struct Route {
    pub(super) method: String,
    pub(super) origin: String,
    pub(super) path: String,
}

impl Route {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let (method, url) = text
            .split_once(' ')
            .context("--route is written as \"GET https://api.example.com/orders\"")?;
        let url = Url::parse(url.trim()).with_context(|| format!("`{url}` is no URL"))?;
        if !matches!(url.scheme(), "https" | "http") || method.is_empty() {
            bail!("--route is a method and an http or https URL");
        }
        Ok(Self {
            method: method.to_ascii_uppercase(),
            origin: url.origin().ascii_serialization(),
            path: url.path().to_owned(),
        })
    }
}

/// All that is demanded.
pub(super) struct Demand {
    issuer: String,
    audience: String,
    scopes: Vec<String>,
    route: Option<Route>,
    demands: Option<Demands>,
}

impl Demand {
    pub(super) fn gather(arguments: &ExplainArguments, token: &str) -> anyhow::Result<Self> {
        let check = &arguments.check;
        let route = arguments.route.as_deref().map(Route::parse).transpose()?;
        let demands = match &arguments.config {
            None => None,
            Some(path) => Some(Demands::read(path).map_err(|findings| {
                let all: Vec<String> = findings.iter().map(ToString::to_string).collect();
                anyhow::anyhow!("{}", all.join("\n"))
            })?),
        };
        let of_file = demands.as_ref().and_then(|own| own.issuer.as_ref());
        let issuer = check
            .issuer
            .clone()
            .or(of_file.map(|own| own.value.clone()));
        let audience = check.audience.clone();
        let of_file = || audience_of(demands.as_ref()?, route.as_ref(), token);
        let audience = audience.or_else(of_file);
        Ok(Self {
            issuer: needed(issuer, "--issuer")?,
            audience: needed(audience, "--audience")?,
            scopes: check.scope.clone(),
            route,
            demands,
        })
    }

    pub(super) fn issuer(&self) -> String {
        self.issuer.clone()
    }

    /// The identifier, where another name of the API was given.
    pub(super) fn audience(&self) -> String {
        let resource = self.resource();
        resource.map_or_else(|| self.audience.clone(), |own| own.identifier.value.clone())
    }

    pub(super) fn scopes(&self) -> Vec<String> {
        if !self.scopes.is_empty() {
            return self.scopes.clone();
        }
        match self.taken().map(|own| &own.scopes) {
            Some(ScopesDemand::All(own) | ScopesDemand::Any(own)) => own.value.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn aliases(&self) -> Vec<String> {
        let own = self.resource().into_iter().flat_map(|own| &own.aliases);
        own.map(|alias| alias.value.clone()).collect()
    }

    pub(super) fn clock_skew(&self) -> Option<Duration> {
        let own = self.demands.as_ref()?.clock_skew.as_ref()?;
        Some(own.value.duration())
    }

    pub(super) fn route(&self) -> Option<&Route> {
        self.route.as_ref()
    }

    /// Where the block stands that takes the request.
    pub(super) fn block(&self) -> Option<&Location> {
        self.taken().map(|own| &own.at)
    }

    pub(super) fn requirement(&self, is_asked: bool) -> Requirement {
        let any = matches!(
            self.taken().map(|own| &own.scopes),
            Some(ScopesDemand::Any(_))
        );
        let requirement = match any && self.scopes.is_empty() {
            true => Requirement::any(self.scopes()),
            false => Requirement::all(self.scopes()),
        };
        match is_asked {
            true => requirement,
            false => requirement.revocation(Revocation::AtExpiry),
        }
    }

    fn resource(&self) -> Option<&ResourceDemand> {
        self.demands.as_ref()?.resource(&self.audience)
    }

    fn taken(&self) -> Option<&RouteDemand> {
        taken(self.demands.as_ref(), self.route.as_ref())
    }

    /// Names the place of what was demanded, and asks what no check asks:
    /// whether a route takes the request, and whether the API wants tokens that
    /// are bound.
    pub(super) fn apply(&self, explanation: &mut Explanation) {
        if let Some(own) = &mut explanation.demanded {
            own.place = Some(self.place(own.setting));
        }
        if explanation.verdict == Verdict::Refused {
            return;
        }
        if let (Some(demands), Some(route)) = (&self.demands, &self.route)
            && !demands.routes.is_empty()
        {
            match demands.route(&route.method, &route.path) {
                Ok(_) => set_policy(explanation, Outcome::Passed),
                Err(none) => return no_route(explanation, route, &none),
            }
        }
        let binding = self
            .resource()
            .and_then(|own| own.require_key_binding.as_ref());
        if let Some(wanted) = binding.filter(|own| own.value)
            && !explanation.claims.contains_key("cnf")
        {
            let cause =
                "policy: the API takes only tokens that are bound to a key, this one is not";
            let repair = "ask for the token with a DPoP proof or over mutual TLS";
            refuse(explanation, "binding_demanded", cause.to_owned(), repair);
            let setting = "resource.require_key_binding";
            let own = demanded(setting, "true".to_owned(), wanted.at.to_string());
            explanation.demanded = Some(own);
        }
    }

    /// The line of a setting, or the option that stands for it.
    fn place(&self, setting: &str) -> String {
        let at = |placed: Option<String>, option: &str| placed.unwrap_or_else(|| option.to_owned());
        let demands = self.demands.as_ref();
        let resource = self.resource();
        match setting {
            "issuer" => at(
                line(demands.and_then(|own| own.issuer.as_ref())),
                "--issuer",
            ),
            "clock_skew" => at(
                line(demands.and_then(|own| own.clock_skew.as_ref())),
                "the default",
            ),
            "resource.identifier" => at(line(resource.map(|own| &own.identifier)), "--audience"),
            "resource.signing_alg" => at(
                line(resource.and_then(|own| own.signing_alg.as_ref())),
                "--algorithm",
            ),
            "resource.require_key_binding" => at(
                line(resource.and_then(|own| own.require_key_binding.as_ref())),
                "the token",
            ),
            "resource.introspection_client" => at(
                line(resource.and_then(|own| own.introspection_client.as_ref())),
                "--client-id",
            ),
            "gateway.route.scopes" if self.scopes.is_empty() => {
                match self.taken().map(|own| &own.scopes) {
                    Some(ScopesDemand::All(own) | ScopesDemand::Any(own)) => own.at.to_string(),
                    _ => "--scope".to_owned(),
                }
            }
            _ => "--scope".to_owned(),
        }
    }
}

fn line<T>(placed: Option<&Placed<T>>) -> Option<String> {
    placed.map(|own| own.at.to_string())
}

fn taken<'d>(demands: Option<&'d Demands>, route: Option<&Route>) -> Option<&'d RouteDemand> {
    let route = route?;
    demands?.route(&route.method, &route.path).ok()
}

/// The audience of the route, or of the one that takes other methods; else the
/// only API of the file, or the one that the token says it is for: which of the
/// file's it is held against decides nothing where no route takes the request.
fn audience_of(demands: &Demands, route: Option<&Route>, token: &str) -> Option<String> {
    let like = match route.map(|own| demands.route(&own.method, &own.path)) {
        Some(Ok(own) | Err(NoRoute::Method(own) | NoRoute::Nearly(own))) => own.audience.as_ref(),
        _ => None,
    };
    let only = match &*demands.resources {
        [only] => Some(&only.identifier),
        _ => None,
    };
    let claimed = || {
        let claims = Unverified::parse(token).ok()?;
        let claims = claims.dangerous_claims_without_key().ok()?;
        let named = demands.resource(claims.get("aud")?.as_str()?)?;
        Some(&named.identifier).filter(|_| route.is_some())
    };
    let found = like.or(only).or_else(claimed);
    found.map(|own| own.value.clone())
}

fn no_route(explanation: &mut Explanation, route: &Route, none: &NoRoute<'_>) {
    let (cause, repair, value, place) = match none {
        NoRoute::Method(own) => (
            format!(
                "policy: route `{}` does not take `{}`",
                own.path.value, route.method
            ),
            "add the method to the route, or send another",
            own.path.value.clone(),
            own.path.at.to_string(),
        ),
        NoRoute::Nearly(own) => (
            format!(
                "policy: a service could take `{}` for a path of route `{}`, which is narrower than the one that has it",
                route.path, own.path.value
            ),
            "write the path as the route does: the same capitals, and nothing at the end of a name",
            own.path.value.clone(),
            own.path.at.to_string(),
        ),
        NoRoute::Path(file) => (
            format!(
                "policy: no route takes `{} {}`, and what no route takes is refused",
                route.method, route.path
            ),
            "add a `[[gateway.route]]`, or send the request to a path that has one",
            route.path.clone(),
            file.to_string(),
        ),
    };
    refuse(explanation, "no_route", cause, repair);
    let own = demanded("gateway.route", value, place);
    explanation.demanded = Some(own);
}
