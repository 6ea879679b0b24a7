//! `[gateway.route.mcp]`: rules for an MCP server.

use super::gateway::{HEAD, ROUTE, load, marks};
use super::*;

/// A route to an MCP server, with a tool, a prompt and a resource.
const MCP: &str = "[gateway.route.mcp]
origins = ['https://app.test']
[[gateway.route.mcp.tool]]
name = 'pay'
scopes = ['pay']
arguments = { currency = ['EUR', 'USD'], amount = { max = 100 }, note = 'x' }
cost = 5
[[gateway.route.mcp.prompt]]
name = 'greet*'
[[gateway.route.mcp.resource]]
uri = 'file:///public/*'
";

#[test]
fn rules_for_an_mcp_server_are_read_with_their_route() {
    let folder = Folder::new();

    let (config, _) = load(&folder, &format!("{HEAD}{ROUTE}{MCP}")).unwrap();

    let mcp = config.routes[0].mcp.as_ref().unwrap();
    assert_eq!(mcp.origins, ["https://app.test"]);
    assert!(!mcp.allows_unlisted);
    let tool = &mcp.tools[0];
    assert_eq!((&*tool.name, tool.cost, tool.scopes.len()), ("pay", 5, 1));
    let bound = McpArgument::Within {
        min: None,
        max: Some(100.0),
    };
    assert!(tool.arguments.contains(&("amount".to_owned(), bound)));
    assert_eq!(tool.arguments.len(), 3);
    assert_eq!((mcp.prompts.len(), mcp.resources.len()), (1, 1));
}

#[test]
fn a_mistake_in_the_rules_for_an_mcp_server_is_told_with_its_line() {
    let folder = Folder::new();
    for (from, to, mark) in [
        (
            "name = 'pay'",
            "named = 'pay'",
            "gateway.route.mcp.tool.name.invalid:16",
        ),
        (
            "max = 100",
            "most = 100",
            "gateway.route.mcp.tool.arguments.invalid:19",
        ),
        (
            "'EUR'",
            "['EUR']",
            "gateway.route.mcp.tool.arguments.invalid:19",
        ),
        (
            "https://app.test",
            "https://app.test/",
            "gateway.route.mcp.origins.invalid:15",
        ),
        (
            "origins",
            "unlisted = 'maybe'\norigins",
            "gateway.route.mcp.unlisted.invalid:15",
        ),
        (
            "[gateway.route.mcp]",
            "pass_token = true\n[gateway.route.mcp]",
            "gateway.route.pass_token.invalid:14",
        ),
    ] {
        let text = format!("{HEAD}{ROUTE}{MCP}").replace(from, to);
        let found = marks(&load(&folder, &text));
        assert!(found.iter().any(|own| own == mark), "{mark}: {found:?}");
    }
}
