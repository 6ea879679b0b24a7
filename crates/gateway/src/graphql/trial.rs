//! What would become of a request, without HTTP around it: for tests, benches,
//! and whoever wants to know before it matters.

use serde_json::Map;
use symbolon_protocol::Scopes;

use super::graph::Graph;
use super::json::Json;
use super::request;
use super::rule::Held;

/// How deep a request may be nested.
const MAX_DEPTH: usize = 64;

/// What would be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The body as the service would get it.
    pub sent: String,
    /// What it would cost.
    pub cost: u64,
    /// Places of the schema that would not be asked for.
    pub hidden: Vec<String>,
}

/// Why nothing would be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {cause}")]
pub struct Untried {
    /// A stable word.
    pub code: &'static str,
    /// What is wrong, in words.
    pub cause: String,
}

impl Graph {
    /// Tries the body of a POST for whoever has these scopes.
    pub fn try_body(&self, body: &[u8], scopes: &Scopes) -> Result<Trial, Untried> {
        let untried = |code, cause: &str| Untried {
            code,
            cause: cause.to_owned(),
        };
        let whole = Json::parse(body, MAX_DEPTH).map_err(|cause| untried("graphql-json", cause))?;
        let asked =
            request::of_json(whole).map_err(|problem| untried(problem.code(), problem.detail()))?;
        let claims = Map::new();
        let approved = self
            .judge(&asked, Held::with(scopes, &claims))
            .map_err(|declined| untried(declined.code, &declined.cause()))?;
        let max = self.settings.limits.max_cost;
        if approved.cost > max {
            let cause = format!("it costs {}, and {max} is allowed", approved.cost);
            return Err(untried("graphql-cost", &cause));
        }
        let mut sent = String::new();
        approved.write(&mut sent);
        let hidden = approved.mask.as_ref().map(|mask| mask.places());
        let hidden = hidden.unwrap_or_default().into_iter().map(str::to_owned);
        Ok(Trial {
            sent,
            cost: approved.cost,
            hidden: hidden.collect(),
        })
    }
}
