//! What a configuration demands of a token at a route, and on which line: for
//! explaining a refusal.
//!
//! Only issuer, clock skew, resources and the gateway's routes are read, so a
//! file that holds nothing else will do; whether the rest is right, `check`
//! says. Routes are read as the gateway's blocks are written, and chosen as the
//! gateway chooses them.

use std::path::Path;

use symbolon_protocol::Lifetime;
use symbolon_token::macaroon::PathPattern;

use super::document::{self, Node, Table, Value};
use super::finding::{Finding, Location};
use super::schema::ROUTE;
use super::{read_text, unreadable};

/// A setting and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// What it says.
    pub value: T,
    /// Where.
    pub at: Location,
}

/// `[[resource]]`, as far as it demands something of a token.
#[derive(Clone, Debug)]
pub struct ResourceDemand {
    /// The audience.
    pub identifier: Placed<String>,
    /// Other names of it.
    pub aliases: Vec<Placed<String>>,
    /// The one algorithm of its JWTs.
    pub signing_alg: Option<Placed<String>>,
    /// Whether tokens have to be bound to a key.
    pub require_key_binding: Option<Placed<bool>>,
    /// Who may ask about tokens.
    pub introspection_client: Option<Placed<String>>,
}

/// `[[gateway.route]]`.
#[derive(Clone, Debug)]
pub struct RouteDemand {
    /// Which paths.
    pub path: Placed<String>,
    pattern: PathPattern,
    /// Which methods; all where none is named.
    pub methods: Vec<Placed<String>>,
    /// The audience.
    pub audience: Option<Placed<String>>,
    /// The scopes.
    pub scopes: ScopesDemand,
    /// Where the block stands.
    pub at: Location,
}

/// The scopes of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopesDemand {
    /// All of them.
    All(Placed<Vec<String>>),
    /// One of them.
    Any(Placed<Vec<String>>),
    /// A token, whatever its scopes.
    Token,
    /// Nothing, not even a token.
    Public(Location),
}

/// Why no route takes a request: the place says where one would have to stand.
#[derive(Clone, Debug)]
pub enum NoRoute<'d> {
    /// No path is like it.
    Path(Location),
    /// This one is, and takes other methods.
    Method(&'d RouteDemand),
    /// A service could take it for one of this route, which is narrower than the
    /// one that has it.
    Nearly(&'d RouteDemand),
}

/// All that a file demands.
#[derive(Clone, Debug)]
pub struct Demands {
    /// The issuer.
    pub issuer: Option<Placed<String>>,
    /// How far clocks may differ.
    pub clock_skew: Option<Placed<Lifetime>>,
    /// The APIs.
    pub resources: Vec<ResourceDemand>,
    /// The routes of the gateway.
    pub routes: Vec<RouteDemand>,
    /// The file.
    pub file: Location,
}

impl Demands {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Vec<Finding>> {
        let file = path.display().to_string();
        let text = read_text(path).map_err(|message| vec![unreadable(&file, &message)])?;
        Self::parse(&text, &file)
    }

    fn parse(text: &str, file: &str) -> Result<Self, Vec<Finding>> {
        let root = document::parse(text, file)?;
        let mut reading = Reading::default();
        let gateway = reading.table(&root, "gateway");
        let own = gateway.and_then(|own| reading.text(own, "issuer"));
        let issuer = reading.text(&root, "issuer");
        let demands = Self {
            issuer: own.or(issuer),
            clock_skew: reading.lifetime(&root, "clock_skew"),
            resources: blocks(&root, "resource")
                .filter_map(|block| reading.resource(block))
                .collect(),
            routes: gateway
                .into_iter()
                .flat_map(|own| blocks(own, "route"))
                .filter_map(|block| reading.route(block))
                .collect(),
            file: Location::whole(file),
        };
        if reading.findings.is_empty() {
            Ok(demands)
        } else {
            Err(reading.findings)
        }
    }

    /// The API with an identifier or another name.
    pub fn resource(&self, named: &str) -> Option<&ResourceDemand> {
        self.resources.iter().find(|own| {
            let mut names = own.aliases.iter().map(|alias| &alias.value);
            own.identifier.value == named || names.any(|alias| alias == named)
        })
    }

    /// The route that takes a request: of those that do, the narrowest, as the
    /// gateway chooses it.
    pub fn route(&self, method: &str, path: &str) -> Result<&RouteDemand, NoRoute<'_>> {
        let mut like: Vec<&RouteDemand> = self
            .routes
            .iter()
            .filter(|own| own.pattern.matches(path))
            .collect();
        like.sort_by_key(|own| own.pattern.rank());
        let takes = |own: &RouteDemand| {
            own.methods.is_empty() || own.methods.iter().any(|one| one.value == method)
        };
        let nearly = |found: &RouteDemand| {
            let mut others = self.routes.iter().filter(|own| takes(own));
            others.find(|own| {
                let (wide, own) = (&found.pattern, &own.pattern);
                wide.covers(own) && own.resembles(path) && !own.matches(path)
            })
        };
        match (like.iter().find(|own| takes(own)), like.first()) {
            (Some(route), _) => nearly(route).map_or(Ok(*route), |own| Err(NoRoute::Nearly(own))),
            (None, Some(first)) => Err(NoRoute::Method(first)),
            (None, None) => Err(NoRoute::Path(self.file.clone())),
        }
    }
}

#[derive(Default)]
struct Reading {
    findings: Vec<Finding>,
}

impl Reading {
    fn wrong(&mut self, at: &Location, message: String, repair: &'static str) {
        let finding = Finding::error("demand.invalid", at, message);
        let finding = finding.because("what is demanded cannot be read from it");
        self.findings.push(finding.repair(repair));
    }

    fn table<'t>(&mut self, from: &'t Table, name: &str) -> Option<&'t Table> {
        let node = from.find(name)?;
        if let Value::Table(table) = &node.value {
            return Some(table);
        }
        self.wrong(
            &node.at,
            format!("`{name}` is no section"),
            "write `[section]`",
        );
        None
    }

    fn text(&mut self, from: &Table, name: &str) -> Option<Placed<String>> {
        let node = from.find(name)?;
        let Some(text) = node.text() else {
            self.wrong(
                &node.at,
                format!("`{name}` is no text"),
                "write it in quotes",
            );
            return None;
        };
        Some(placed(text.to_owned(), node))
    }

    fn truth(&mut self, from: &Table, name: &str) -> Option<Placed<bool>> {
        let node = from.find(name)?;
        if let Value::Truth(truth) = node.value {
            return Some(placed(truth, node));
        }
        let message = format!("`{name}` is neither `true` nor `false`");
        self.wrong(&node.at, message, "write `true` or `false`, without quotes");
        None
    }

    fn texts(&mut self, from: &Table, name: &str) -> Option<(Vec<Placed<String>>, Location)> {
        let node = from.find(name)?;
        let all = match &node.value {
            Value::Array(all) => all
                .iter()
                .map(|own| Some(placed(own.text()?.to_owned(), own)))
                .collect(),
            _ => None,
        };
        if all.is_none() {
            let message = format!("`{name}` is no list of texts");
            self.wrong(&node.at, message, "write `[\"one\", \"two\"]`");
        }
        Some((all?, node.at.clone()))
    }

    fn lifetime(&mut self, from: &Table, name: &str) -> Option<Placed<Lifetime>> {
        let given = self.text(from, name)?;
        if let Ok(value) = given.value.parse() {
            return Some(Placed {
                value,
                at: given.at,
            });
        }
        let message = format!("`{}` is no span", given.value);
        self.wrong(&given.at, message, "write a number and a unit: `10s`, `5m`");
        None
    }

    fn resource(&mut self, block: &Table) -> Option<ResourceDemand> {
        let Some(identifier) = self.text(block, "identifier") else {
            let message = "a resource without `identifier`".to_owned();
            self.wrong(&block.at, message, "name the audience of the API");
            return None;
        };
        let aliases = self.texts(block, "aliases").map(|(all, _)| all);
        Some(ResourceDemand {
            identifier,
            aliases: aliases.unwrap_or_default(),
            signing_alg: self.text(block, "signing_alg"),
            require_key_binding: self.truth(block, "require_key_binding"),
            introspection_client: self.text(block, "introspection_client"),
        })
    }

    fn route(&mut self, block: &Table) -> Option<RouteDemand> {
        for entry in &block.entries {
            if ROUTE.find(&entry.name).is_none() {
                let message = format!("a route has no `{}`", entry.name);
                let repair = "write `path`, `methods`, `upstream`, `audience`, and `scopes`, `any_scopes` or `public = true`";
                self.wrong(&entry.named_at, message, repair);
            }
        }
        let Some(path) = self.text(block, "path") else {
            let message = "a route without `path`".to_owned();
            self.wrong(&block.at, message, "name the paths that it takes");
            return None;
        };
        let Ok(pattern) = path.value.parse() else {
            let message = format!("`{}` is no path of a route", path.value);
            let repair = "write segments, `{one}`, and at the end `{*rest}`";
            self.wrong(&path.at, message, repair);
            return None;
        };
        let methods = self.texts(block, "methods").map(|(all, _)| all);
        Some(RouteDemand {
            scopes: self.scopes(block),
            audience: self.text(block, "audience"),
            methods: methods.unwrap_or_default(),
            at: path.at.clone(),
            path,
            pattern,
        })
    }

    fn scopes(&mut self, block: &Table) -> ScopesDemand {
        let list = |(all, at): (Vec<Placed<String>>, Location)| Placed {
            value: all.into_iter().map(|own| own.value).collect(),
            at,
        };
        let public = self.truth(block, "public").filter(|own| own.value);
        let all = self.texts(block, "scopes").map(list);
        let any = self.texts(block, "any_scopes").map(list);
        match (public, all, any) {
            (None, None, None) => ScopesDemand::Token,
            (Some(public), None, None) => ScopesDemand::Public(public.at),
            (None, Some(all), None) => ScopesDemand::All(all),
            (None, None, Some(any)) => ScopesDemand::Any(any),
            _ => {
                let message = "a route with two of `scopes`, `any_scopes` and `public`".to_owned();
                self.wrong(&block.at, message, "keep one of them");
                ScopesDemand::Token
            }
        }
    }
}

fn placed<T>(value: T, node: &Node) -> Placed<T> {
    Placed {
        value,
        at: node.at.clone(),
    }
}

fn blocks<'t>(from: &'t Table, name: &str) -> impl Iterator<Item = &'t Table> {
    let all = match from.find(name).map(|node| &node.value) {
        Some(Value::Array(all)) => &all[..],
        _ => &[],
    };
    all.iter().filter_map(|node| match &node.value {
        Value::Table(table) => Some(table),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
