//! What is read of a configuration for an explanation, line by line.

use super::*;

const FILE: &str = r#"issuer = "https://as.example.com"
clock_skew = "5s"

[[resource]]
identifier = "https://api.example.com"
aliases = ["https://api.example.com/"]
require_key_binding = true

[gateway]
listen = "127.0.0.1:8081"

[[gateway.route]]
path = "/orders/{id}"
methods = ["GET"]
audience = "https://api.example.com"
scopes = ["read:orders"]

[[gateway.route]]
path = "/orders/new"
any_scopes = ["write:orders", "admin"]

[[gateway.route]]
path = "/health"
public = true
"#;

fn read() -> Demands {
    Demands::parse(FILE, "gateway.toml").unwrap()
}

#[test]
fn every_demand_knows_its_line() {
    let demands = read();

    assert_eq!(demands.issuer.as_ref().unwrap().at.line, 1);
    assert_eq!(demands.clock_skew.as_ref().unwrap().at.line, 2);
    let api = demands.resource("https://api.example.com/").unwrap();
    assert_eq!(api.identifier.at.line, 5);
    assert_eq!(api.require_key_binding.as_ref().unwrap().at.line, 7);
    let ScopesDemand::All(scopes) = &demands.routes[0].scopes else {
        panic!()
    };
    assert_eq!(
        (scopes.at.line, &*scopes.value),
        (16, &["read:orders".to_owned()][..])
    );
}

#[test]
fn the_most_literal_route_takes_a_request_and_what_none_takes_is_refused() {
    let demands = read();
    let path = |method: &str, path: &str| demands.route(method, path).map(|own| &*own.path.value);

    assert_eq!(path("GET", "/orders/7").ok(), Some("/orders/{id}"));
    assert_eq!(path("GET", "/orders/new").ok(), Some("/orders/new"));
    assert!(matches!(
        path("DELETE", "/orders/7"),
        Err(NoRoute::Method(_))
    ));
    assert!(matches!(path("GET", "/invoices"), Err(NoRoute::Path(_))));
    assert!(matches!(
        path("GET", "/orders/NEW"),
        Err(NoRoute::Nearly(own)) if own.path.value == "/orders/new"
    ));
    assert!(
        path("GET", "/orders//7").is_err(),
        "an empty segment is no segment"
    );
}

#[test]
fn a_route_that_cannot_be_read_is_told_with_its_line() {
    for (bad, line) in [
        ("[[gateway.route]]\npath = \"orders\"\n", 2),
        ("[[gateway.route]]\npath = \"/a\"\nscope = [\"a\"]\n", 3),
        ("[[gateway.route]]\npath = \"/a\"\nscopes = \"a\"\n", 3),
        ("clock_skew = \"soon\"\n", 1),
    ] {
        let findings = Demands::parse(bad, "x").unwrap_err();
        let at = findings[0].location.as_ref().unwrap();
        assert_eq!(at.line, line, "{bad}: {}", findings[0]);
    }
    let both = "[[gateway.route]]\npath = \"/a\"\nscopes = [\"a\"]\npublic = true\n";
    assert!(Demands::parse(both, "x").is_err());
}
