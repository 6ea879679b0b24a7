//! From the files that a configuration or a command names to policies, with file
//! and line for whatever is wrong in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use symbolon_gateway::policy::{Mistake, Names, Policies, PolicyFiles};
use symbolon_server::config::{
    Config, Finding, GatewayConfig, GatewayRoute, PolicyConfig, RouteNeeds,
};

use super::Sources;
use crate::serve::{Misconfigured, told};

/// Policies with what is unwise in them, or all that is wrong.
pub(crate) type Loaded = Result<(Option<Arc<Policies>>, Vec<Finding>), Vec<Finding>>;

/// The policies that a configuration names.
pub(crate) fn policies(config: &PolicyConfig) -> Loaded {
    if config.files.is_empty() {
        return Ok((None, Vec::new()));
    }
    let files = PolicyFiles {
        policies: config.files.clone(),
        schemas: config.schemas.clone(),
        entities: config.entities.clone(),
    };
    let (policies, unwise) = Policies::load(&files).map_err(|all| findings(&all))?;
    Ok((Some(Arc::new(policies)), findings(&unwise)))
}

/// What a configuration has that policies may name.
pub(crate) fn names(config: &GatewayConfig) -> Names {
    let audience = |own: &GatewayRoute| match &own.needs {
        RouteNeeds::Token { audience, .. } => Some(audience.clone()),
        RouteNeeds::Public => None,
    };
    let (mut routes, mut audiences) = (Vec::new(), Vec::new());
    for route in &config.routes {
        if !routes.contains(&route.name) {
            routes.push(route.name.clone());
        }
        let own = audience(route).filter(|own| !audiences.contains(own));
        audiences.extend(own);
    }
    Names {
        routes,
        audiences,
        clients: None,
    }
}

/// What policies name and the configuration around them has not.
pub(crate) fn strangers(policies: &Policies, names: &Names) -> Vec<Finding> {
    let one = |own: Mistake| {
        let at = (&*own.file, own.line, own.column);
        let (code, repair) = match own.message.split("::").next() {
            Some("`Route") => (
                "policy.route.unknown",
                "write the `name` of a `[[gateway.route]]`, which is its path where it has none",
            ),
            Some("`Api") => (
                "policy.api.unknown",
                "write the `audience` of a `[[gateway.route]]`",
            ),
            _ => ("policy.client.unknown", "write the `id` of a `[[client]]`"),
        };
        let finding = Finding {
            reason: "a policy about what is not there decides nothing, a `forbid` too".into(),
            repair: repair.into(),
            ..Finding::in_file(code, at, own.message)
        };
        match own.is_error {
            true => finding,
            false => finding.as_warning(),
        }
    };
    policies.strangers(names).into_iter().map(one).collect()
}

fn findings(mistakes: &[Mistake]) -> Vec<Finding> {
    let one = |own: &Mistake| {
        let at = (&*own.file, own.line, own.column);
        let finding = Finding::in_file("policy.file", at, own.message.clone());
        match own.is_error {
            true => finding,
            false => finding.as_warning(),
        }
    };
    mistakes.iter().map(one).collect()
}

impl Sources {
    /// Loads what was named: by a configuration, by options, or as `more`. What a
    /// configuration has that policies may name comes with them.
    pub(super) fn load(&self, more: Vec<PathBuf>) -> anyhow::Result<(Policies, Option<Names>)> {
        let (mut files, names) = match &self.config {
            Some(path) => of_config(path)?,
            None => {
                let files = PolicyFiles {
                    policies: self.policies.clone(),
                    schemas: self.schemas.clone(),
                    entities: self.entities.clone(),
                };
                (files, None)
            }
        };
        files.policies.extend(more);
        if files.policies.is_empty() {
            anyhow::bail!("no policies: name a file, or `--config` with `[policy] files`");
        }
        let loaded = Policies::load(&files).map_err(|mistakes| findings(&mistakes));
        let (policies, found) = match loaded {
            Ok((policies, unwise)) => {
                let strangers = names.as_ref().map(|own| strangers(&policies, own));
                let mut found = findings(&unwise);
                found.extend(strangers.into_iter().flatten());
                (Some(policies), found)
            }
            Err(found) => (None, found),
        };
        found.iter().for_each(|finding| eprintln!("{finding}"));
        match policies.filter(|_| !found.iter().any(Finding::is_error)) {
            Some(policies) => Ok((policies, names)),
            None => Err(Misconfigured::of(&found).into()),
        }
    }
}

fn of_config(path: &Path) -> anyhow::Result<(PolicyFiles, Option<Names>)> {
    let tell = |finding: &Finding| eprintln!("{finding}");
    let gateway = match GatewayConfig::is_own_file(path) {
        true => Some(told(GatewayConfig::load(path, std::env::vars()), tell)?),
        false => told(Config::load(path, std::env::vars()), tell)?.gateway,
    };
    let names = gateway.as_ref().map(names);
    let policy = gateway.and_then(|own| own.policy);
    let files = policy.map_or_else(PolicyFiles::default, |own| PolicyFiles {
        policies: own.files,
        schemas: own.schemas,
        entities: own.entities,
    });
    Ok((files, names))
}
