//! `[gateway.route.mcp]`: what may be reached behind the one path of an MCP
//! server.

use serde_json::Value;

/// What an MCP route lets through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct McpConfig {
    /// Origins of pages that may call it.
    pub origins: Vec<String>,
    /// Whether what no rule names may be used with the scopes of the route.
    pub allows_unlisted: bool,
    /// Rules for tools.
    pub tools: Vec<McpRule>,
    /// Rules for prompts.
    pub prompts: Vec<McpRule>,
    /// Rules for resources.
    pub resources: Vec<McpRule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct McpRule {
    /// The name, or the URI; with `*` at its end, whatever begins so.
    pub name: String,
    /// The scopes besides those of the route.
    pub scopes: Vec<String>,
    /// What arguments have to be.
    pub arguments: Vec<(String, McpArgument)>,
    /// What a use costs.
    pub cost: u64,
}

/// What an argument has to be.
#[derive(Clone, Debug, PartialEq)]
pub enum McpArgument {
    /// One of these values.
    OneOf(Vec<Value>),
    /// A number, not below and not above.
    Within {
        /// The least.
        min: Option<f64>,
        /// The most.
        max: Option<f64>,
    },
}
