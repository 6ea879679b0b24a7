//! Headers in which services are told who calls, where from, or what is meant
//! instead of the request: only a gateway may say that.

use http::HeaderName;

/// Whether a name, in small letters and with `-` alone, belongs to the class: it
/// is known, or one of its words names somebody or what they may.
pub(super) fn says_who(name: &str) -> bool {
    // What nearly every request has need not be looked up.
    if OF_ANYBODY.contains(&name) {
        return false;
    }
    // What a program says of itself, and what a browser says of a click.
    let is_other = name.ends_with("user-agent") || name == "sec-fetch-user";
    let mut words = name.split('-').filter(|_| !is_other);
    match name.strip_prefix("x-") {
        Some(rest) => is_of(rest, X_WHOLE, X_BEGINNINGS) || words.any(x_names_somebody),
        None => is_of(name, WHOLE, BEGINNINGS) || words.any(names_somebody),
    }
}

/// What says nothing of the kind, and comes with nearly every request.
const OF_ANYBODY: [&str; 6] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "content-length",
    "content-type",
    "user-agent",
];

/// A word that names somebody, whoever made the name up.
fn names_somebody(word: &str) -> bool {
    matches!(
        word,
        "user" | "userid" | "username" | "userinfo" | "tenant" | "tenantid" | "principal" | "roles"
    )
}

/// The same in names that anybody may make up.
#[rustfmt::skip]
fn x_names_somebody(word: &str) -> bool {
    names_somebody(word) || matches!(
        word,
        "uid" | "login" | "account" | "accountid" | "member" | "person" | "customer" | "subject"
        | "sub" | "identity" | "actor" | "role" | "group" | "groups" | "org" | "orgid"
        | "organization" | "organisation" | "email" | "scope" | "scopes" | "permission"
        | "permissions" | "entitlements" | "claims" | "impersonate" | "behalf" | "sudo"
        | "proxiedentitieschain" | "admin" | "superuser" | "internal" | "trusted"
    )
}

/// The name that is behind another: gateways to gRPC take this beginning off,
/// and pass on what is left.
pub(super) fn behind(name: &HeaderName) -> Option<HeaderName> {
    name.as_str().strip_prefix("grpc-metadata-")?.parse().ok()
}

fn is_of(name: &str, whole: &[&str], beginnings: &[&str]) -> bool {
    whole.contains(&name) || beginnings.iter().any(|own| name.starts_with(own))
}

/// Names that are whole.
#[rustfmt::skip]
const WHOLE: &[&str] = &[
    "forwarded", "forwarded-for", "remote-addr", "remote-user", "remote-email", "remote-groups",
    "remote-name", "client-ip", "client-cert", "client-cert-chain", "true-client-ip",
    "cf-connecting-ip", "do-connecting-ip", "fastly-client-ip", "fly-client-ip",
    "proxy-client-ip", "wl-proxy-client-ip",
    // What programs behind CGI take for their own way out (CVE-2016-5385).
    "proxy",
    "request-uri", "base-url",
];

/// What other names begin with.
#[rustfmt::skip]
const BEGINNINGS: &[&str] = &[
    "symbolon-", "auth-", "authenticated-", "remote-", "cf-access-", "ssl-", "tls-client-",
    "oidc-", "shib-", "mellon-", "tailscale-", "kubeflow-", "impersonate-",
];

/// Names that are whole, behind `x-`.
#[rustfmt::skip]
const X_WHOLE: &[&str] = &[
    "client-ip", "cluster-client-ip", "real-ip", "originating-ip", "azure-clientip",
    "azure-socketip", "appengine-user-ip", "forward-for", "forwarded", "host", "auth", "authuser",
    "email", "groups", "roles", "role", "scope", "scopes", "subject", "sub", "principal",
    "permissions", "org-id", "organization-id", "account-id", "access-token", "id-token",
    "method-override", "http-method", "http-method-override", "http-path-override",
    "http-host-override", "override-url", "waws-unencoded-url", "arr-clientcert",
];

/// What other names begin with, behind `x-`.
#[rustfmt::skip]
const X_BEGINNINGS: &[&str] = &[
    "symbolon-", "auth-", "authenticated-", "authentik-", "authelia-", "authz-", "authorization-",
    "forwarded-", "original-", "rewrite-", "envoy-", "remote-", "user", "username", "identity",
    "client-cert", "client-dn", "client-verify", "client-id", "tls-client-", "consumer-",
    "credential-", "tenant", "jwt-", "token-", "claim", "oidc-", "oauth", "webauth-", "vouch-",
    "pomerium-", "shib-", "saml-", "sso-", "amzn-oidc-", "amzn-mtls-", "goog-authenticated-",
    "goog-iap-", "ms-client-principal", "ms-token-", "ssl-",
    // What makes a framework leave out its own checks (CVE-2025-29927).
    "middleware-",
    // What makes a service hand out files of its proxy's (CVE-2025-61780).
    "accel-", "sendfile-",
];

#[cfg(test)]
mod tests {
    use super::*;

    const NGINX: &str = include_str!("../../../../examples/nginx/headers.conf");
    const CADDY: &str = include_str!("../../../../examples/caddy/headers");

    /// Attack: L321
    #[test]
    fn proxies_that_ask_are_shown_how_to_take_out_the_same_names() {
        let lines = NGINX.lines().filter_map(|own| {
            let name = own.strip_prefix("proxy_set_header ")?;
            Some(name.strip_suffix(" \"\";")?.to_ascii_lowercase())
        });
        let nginx: Vec<String> = lines.collect();
        let lines = CADDY.lines();
        let lines = lines.filter_map(|own| own.strip_prefix("request_header -"));
        let caddy: Vec<String> = lines.map(str::to_ascii_lowercase).collect();

        for name in WHOLE {
            assert!(nginx.iter().any(|own| own == name), "nginx: {name}");
            assert!(caddy.iter().any(|own| own == name), "Caddy: {name}");
        }
        for begin in BEGINNINGS {
            assert!(caddy.contains(&format!("{begin}*")), "Caddy: {begin}");
            // The assertion itself is set, in any case.
            let has = nginx.iter().any(|own| own.starts_with(begin));
            assert!(has || *begin == "symbolon-", "nginx: {begin}");
        }
        assert!(nginx.iter().all(|own| says_who(own)));
        assert!(caddy.iter().any(|own| own == "*_*"));
    }
}
