//! Where codes are sent, and to whom that belongs.

use symbolon_protocol::{Client, ClientKind, ConsentPolicy, GrantType, RedirectUri};
use url::Url;

use super::super::document::Table;
use super::super::finding::Finding;
use super::{Advice, host_of};

impl Advice<'_, '_> {
    pub(super) fn on_redirects(&mut self, client: &Client, table: &Table) {
        for uri in &client.redirect_uris {
            self.on_redirect(client, table, uri);
        }
        if !client.redirect_uris.is_empty() && !client.may_use(GrantType::AuthorizationCode) {
            self.add(
                Finding::warning(
                    "client.redirect_uris.unused",
                    table.place("redirect_uris"),
                    format!(
                        "client `{}` has redirect URIs and no grant that redirects",
                        client.id
                    ),
                )
                .because("one of the two is not what was meant")
                .repair("add `authorization_code` to `grants`, or take the URIs out"),
            );
        }
        self.on_first_party(client, table);
    }

    fn on_redirect(&mut self, client: &Client, table: &Table, uri: &RedirectUri) {
        let at = table.place_of("redirect_uris", uri.as_str());
        let is_app = matches!(
            client.kind,
            ClientKind::Native | ClientKind::Device | ClientKind::Agent
        );
        let is_web = uri.as_str().starts_with("http");
        if uri.as_str().contains('*') {
            self.add(
                Finding::warning(
                    "client.redirect_uris.wildcard",
                    at,
                    format!("`{uri}` has a `*` that stands for itself alone"),
                )
                .because("redirect URIs are compared as text, so it matches nothing else")
                .repair("register every URI as it is"),
            );
        }
        if uri.is_loopback_http() && !is_app && self.is_off_loopback() {
            self.add(
                Finding::warning(
                    "client.redirect_uris.loopback",
                    at,
                    format!("`{uri}` sends codes to whatever runs on the person's machine"),
                )
                .because("a web application is not there; another program may be")
                .repair("take it out where people really sign in, or write `kind = \"native\"`"),
            );
        }
        if !is_web && !is_app {
            self.add(
                Finding::warning(
                    "client.redirect_uris.private_scheme",
                    at,
                    format!("`{uri}` is for applications on a device, and the client is not one"),
                )
                .because("any application on the device may claim the scheme and be given the code")
                .repair("write `kind = \"native\"`, or an https redirect URI"),
            );
        }
        let home = client.described.client_uri.as_deref().and_then(host_of);
        if let Some(home) = home.filter(|_| is_web && !uri.is_loopback_http())
            && !is_related(&home, &uri.host())
        {
            self.add(
                Finding::warning(
                    "client.redirect_uris.other_host",
                    at,
                    format!("`{uri}` is on another host than the client's home page `{home}`"),
                )
                .because("people are shown one host and their codes go to another")
                .repair("correct `client_uri`, or the redirect URI"),
            );
        }
    }

    fn on_first_party(&mut self, client: &Client, table: &Table) {
        if client.consent != ConsentPolicy::FirstParty {
            return;
        }
        let Some(issuer) = self.issuer_host() else {
            return;
        };
        let elsewhere = client.redirect_uris.iter().find(|uri| {
            let is_here =
                Url::parse(uri.as_str()).is_ok_and(|url| symbolon_protocol::uri::is_loopback(&url));
            !is_here && uri.as_str().starts_with("http") && !is_related(&issuer, &uri.host())
        });
        if let Some(uri) = elsewhere {
            self.add(
                Finding::warning(
                    "client.consent.elsewhere",
                    table.place("consent"),
                    format!("nobody is asked, and codes go to `{}`", uri.host()),
                )
                .because("the host does not look like one of whoever runs this server")
                .repair("write `consent = \"ask\"` for applications of others"),
            );
        }
        if !client.is_confidential() && client.kind != ClientKind::Browser {
            self.add(
                Finding::warning("client.consent.public", table.place("consent"), format!("nobody is asked, and anybody can say that they are `{}`", client.id))
                    .because("a public client on a device proves nothing, so any program there gets tokens silently")
                    .repair("write `consent = \"ask\"`"),
            );
        }
    }
}

/// Whether one host is below the other, or both are below one name of at least
/// two labels. Not a public suffix list: this is advice, nothing hangs on it.
fn is_related(one: &str, other: &str) -> bool {
    let tail = |host: &str| -> Vec<String> {
        let mut labels: Vec<_> = host.rsplit('.').take(2).map(str::to_owned).collect();
        labels.reverse();
        labels
    };
    one == other || tail(one) == tail(other)
}
