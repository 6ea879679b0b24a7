//! What is allowed and unwise, and what contradicts itself across blocks.

mod client;
mod duplicate;
mod encryption;
mod lifetime;
mod redirect;
mod resource;
mod server;
mod trusted_issuer;

use symbolon_protocol::Client;

pub(super) use server::{is_everybody, is_host, is_wide, on_trust};

use super::document::Table;
use super::finding::Finding;
use super::read::Draft;

/// The scopes of OpenID Connect and of this server's own endpoints, which no
/// resource needs to know.
pub(super) const OPENID_SCOPES: [&str; 9] = [
    "ssf.manage",
    "ssf.read",
    "global-token-revocation",
    "openid",
    "profile",
    "email",
    "address",
    "phone",
    "offline_access",
];

const HOUR: u32 = 60 * 60;
const DAY: u32 = 24 * HOUR;

/// What everything is compared with.
struct Advice<'d, 't> {
    draft: &'d Draft<'t>,
    root: &'t Table,
    is_on_loopback: Option<bool>,
    findings: Vec<Finding>,
}

/// Looks over everything that was read.
pub(super) fn on<'t>(
    draft: &Draft<'t>,
    root: &'t Table,
    is_on_loopback: Option<bool>,
) -> Vec<Finding> {
    let mut advice = Advice {
        draft,
        root,
        is_on_loopback,
        findings: Vec::new(),
    };
    advice.on_server();
    advice.on_lifetimes();
    advice.on_duplicates();
    for read in &draft.resources {
        advice.on_resource(read);
        advice.on_encryption_at(&read.value, read.table);
    }
    for read in &draft.clients {
        let client = &read.value.client;
        advice.on_client(client, read.table);
        advice.on_refresh(client, read.table);
        advice.on_keys(client, read.table);
        advice.on_encryption_of(client, read.table);
        advice.on_redirects(client, read.table);
        advice.on_resources_of(client, read.table);
    }
    for read in &draft.trusted_issuers {
        advice.on_trusted_issuer(read);
    }
    advice.on_members();
    advice.findings
}

impl Advice<'_, '_> {
    fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn is_off_loopback(&self) -> bool {
        self.is_on_loopback == Some(false)
    }

    fn issuer_host(&self) -> Option<String> {
        let issuer = self.draft.issuer.as_ref()?;
        host_of(issuer.as_str())
    }

    fn find_resource(&self, identifier: &str) -> Option<&symbolon_protocol::Resource> {
        let mut resources = self.draft.resources.iter().map(|read| &read.value);
        resources.find(|resource| resource.is_named(identifier))
    }

    fn clients(&self) -> impl Iterator<Item = &Client> {
        self.draft.clients.iter().map(|read| &read.value.client)
    }
}

fn host_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    url.host_str().map(str::to_owned)
}
