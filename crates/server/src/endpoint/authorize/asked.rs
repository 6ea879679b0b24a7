//! What a request asks for, place by place.
//!
//! The consent page shows this, the code carries what was said yes to of it,
//! and whether somebody has to be asked at all is decided on it: one value, so
//! that nothing is given that was not shown.
//!
//! Spec: RFC 8707 §2
//! Spec: OpenID Connect Core 1.0 §3.1.2.4

use symbolon_protocol::claims::ClaimsRequest;
use symbolon_protocol::{
    Agreement, Client, ConsentPolicy, OrganizationId, ResourceIdentifier, Scopes, agreement,
};
use symbolon_token::authority::MAX_AUDIENCES;

use crate::authn::transaction::Transaction;
use crate::cx::Cx;
use crate::grant::target;
use crate::pages::ScopeChoice;

/// What a client asks a person for, whichever way it came here.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) client: &'a Client,
    pub(crate) scopes: &'a Scopes,
    /// What was named; nothing, where that is left to the server.
    pub(crate) resources: &'a [ResourceIdentifier],
    pub(crate) claims: &'a ClaimsRequest,
    pub(crate) organization: Option<&'a OrganizationId>,
}

impl<'a> Ask<'a> {
    /// What an authorization request asks for.
    pub(crate) fn of(client: &'a Client, transaction: &'a Transaction) -> Self {
        Self {
            client,
            scopes: &transaction.scopes,
            resources: &transaction.resources,
            claims: &transaction.claims,
            organization: transaction.organization.as_ref(),
        }
    }
}

/// Everything that a request asks for.
pub(crate) fn asked(cx: &Cx, ask: Ask<'_>) -> Agreement {
    let everywhere = ask.scopes.filtered(target::is_of_the_issuer);
    let issuer = ResourceIdentifier::from(&cx.settings.issuer);
    let mut left = ask.scopes.without(&everywhere);
    let scopes = left.clone();
    let mut asked = Agreement {
        everywhere,
        claims: agreement::claim_names(ask.claims),
        ..Agreement::default()
    };
    for place in places(cx, ask, &scopes) {
        let own = target::resource(cx, &place).map(|resource| resource.scopes.clone());
        let own = scopes.intersection(&own.unwrap_or_default());
        left = left.without(&own);
        asked.places.insert(place, own);
    }
    // What no resource knows is good at the issuer itself, and nowhere else.
    if let Some(own) = asked.places.get_mut(&issuer) {
        *own = own.united_with(&left);
    }
    asked
}

/// Where tokens may be for: what was asked for, or else every resource of the
/// client whose scopes were asked for, and its default; and the issuer.
fn places(cx: &Cx, ask: Ask<'_>, scopes: &Scopes) -> Vec<ResourceIdentifier> {
    let issuer = ResourceIdentifier::from(&cx.settings.issuer);
    let client = ask.client;
    let mut places = ask.resources.to_vec();
    if places.is_empty() {
        let is_meant = |place: &&ResourceIdentifier| {
            target::resource(cx, place).is_some_and(|resource| {
                let is_default = client.default_resource.as_ref() == Some(*place);
                target::is_of_organization(&resource, ask.organization)
                    && (is_default || !resource.scopes.intersection(scopes).is_empty())
            })
        };
        let own = client.resources.iter().chain(&client.default_resource);
        places = own.filter(is_meant).cloned().collect();
    }
    places.truncate(MAX_AUDIENCES - 1);
    // Userinfo is at the issuer, and so is what names no resource.
    let is_needed = ask.resources.is_empty() || ask.scopes.contains("openid");
    if is_needed && !places.contains(&issuer) {
        places.push(issuer);
    }
    places
}

/// What a person may decide about a scope at a place.
pub(crate) fn choice(
    cx: &Cx,
    client: &Client,
    place: Option<&ResourceIdentifier>,
    scope: &str,
) -> ScopeChoice {
    if is_sensitive(cx, place, scope) {
        ScopeChoice::Sensitive
    } else if client.optional_scopes.contains(scope) || scope == "offline_access" {
        ScopeChoice::Ticked
    } else {
        ScopeChoice::Needed
    }
}

/// Whether a scope is never given without being named to the person. One that
/// no resource of the request owns is, where any resource calls it so.
fn is_sensitive(cx: &Cx, place: Option<&ResourceIdentifier>, scope: &str) -> bool {
    match place.and_then(|place| target::resource(cx, place)) {
        Some(resource) => resource.sensitive_scopes.contains(scope),
        None => {
            let all = cx.directory.resources();
            all.iter().any(|own| own.sensitive_scopes.contains(scope))
        }
    }
}

/// What the box of a scope is called in the form: the scope, and the place
/// where it alone would not say which.
pub(crate) fn box_name(
    asked: &Agreement,
    place: Option<&ResourceIdentifier>,
    scope: &str,
) -> String {
    let places = asked.places.values();
    let is_plain = places.filter(|own| own.contains(scope)).count() < 2;
    match place.filter(|_| !is_plain) {
        Some(place) => format!("{scope} {place}"),
        None => scope.to_owned(),
    }
}

/// Whether nobody needs to be asked. A client that does not prove itself could
/// be anybody, so its answer is never given silently (RFC 8252 §8.6), unless it
/// is our own and the answer goes to a host that only we hold.
pub(crate) fn is_agreed(
    cx: &Cx,
    client: &Client,
    transaction: &Transaction,
    granted: Option<&Agreement>,
) -> bool {
    if transaction.ask_consent {
        return false;
    }
    let asked = asked(cx, Ask::of(client, transaction));
    let nothing = Agreement::default();
    let granted = granted.unwrap_or(&nothing);
    let is_known = client.is_confidential() || transaction.redirect_uri.is_claimed_https();
    if client.consent == ConsentPolicy::FirstParty && is_known {
        let mut sensitive = asked.filtered(|place, scope| is_sensitive(cx, place, scope));
        sensitive.places.retain(|_, scopes| !scopes.is_empty());
        sensitive.claims.clear();
        return sensitive.is_within(granted);
    }
    client.is_confidential() && asked.is_within(granted)
}
