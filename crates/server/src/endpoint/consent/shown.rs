//! What the consent page shows of a request: who gets what, where, for how long.
//!
//! Spec: RFC 6749 §4.1.1
//! Spec: OpenID Connect Core 1.0 §3.1.2.4

use std::collections::BTreeSet;

use axum::response::Response;
use symbolon_protocol::{Agreement, Client as Registered, Resource, ResourceIdentifier, Scope};
use url::Url;

use super::{Asked, PURPOSE, phrase};
use crate::authn::transaction::{Browser, Transaction};
use crate::cx::Cx;
use crate::endpoint::authorize::answer::Destination;
use crate::endpoint::authorize::asked;
use crate::failure::Failure;
use crate::grant::{family, issue, target};
use crate::pages::{
    Account, Client, ConsentPage, ConsentResource, ConsentScope, FormAction, Lasting, Link, Page,
    Paper, Vouched,
};
use crate::registration::Kind;

/// The page that asks.
pub(super) fn page(
    cx: &Cx,
    destination: &Destination,
    browser: &Browser,
    asked: &Asked<'_>,
) -> Result<Response, Failure> {
    let (transaction, session) = (asked.transaction, asked.session);
    let client = &destination.client.client;
    let url = destination.url()?;
    let whole = asked::asked(cx, asked::Ask::of(client, transaction));
    let sealed = transaction
        .shown(session.person.id, &whole)
        .seal(cx, browser)?;
    let name = session
        .person
        .document
        .get("name")
        .and_then(|name| name.as_str());
    let page = ConsentPage {
        site: cx.settings.site.clone(),
        ties: Transaction::ties(&sealed, cx, browser, PURPOSE),
        form_action: FormAction::own().reaching(&url),
        client: Client::new(&client.name, &url),
        vouched: vouched(cx, client),
        account: Account::new(
            name.unwrap_or(&session.person.username),
            &session.person.username,
        ),
        another_account: another_account(cx, browser, transaction)?,
        papers: papers(client),
        organization: asked
            .membership
            .as_ref()
            .map(|own| own.organization.name.clone()),
        resources: resources(cx, client, &whole),
        claims: claims(&whole),
        lasting: lasting(cx, client, &whole),
        unticked: unticked(cx, client, &whole),
    };
    Ok(page.response())
}

/// Who vouches for a client that nobody here configured.
fn vouched(cx: &Cx, client: &Registered) -> Option<Vouched> {
    match cx.kind_of_client(&client.id) {
        Kind::Chosen | Kind::NoAddress => None,
        Kind::Row | Kind::Whole(_) => Some(Vouched::ByItself),
        Kind::Document(at) => Some(Vouched::ByHost {
            host: at.host().to_owned(),
            is_local: client
                .redirect_uris
                .iter()
                .all(|own| !own.is_claimed_https()),
        }),
    }
}

/// Where somebody else can sign in, unless the client asked for this person:
/// it must not get anybody else's tokens (OpenID Connect Core §3.1.2.2).
fn another_account(
    cx: &Cx,
    browser: &Browser,
    transaction: &Transaction,
) -> Result<Option<String>, Failure> {
    if !transaction.people.is_empty() {
        return Ok(None);
    }
    let elsewhere = Transaction {
        ask_sign_in: true,
        ..transaction.clone()
    };
    let sealed = elsewhere.seal(cx, browser)?;
    let path = cx.settings.issuer.path();
    Ok(Some(format!("{path}/login?transaction={sealed}")))
}

/// The client's own pages about its terms and what it does with data.
pub(in super::super) fn papers(client: &Registered) -> Vec<Paper> {
    let described = &client.described;
    let paper = |title, address: &Option<String>| {
        let url = Url::parse(address.as_deref()?).ok()?;
        let link = Link::new(&client.name, &url)?;
        Some(Paper { title, link })
    };
    let all = [
        paper("Privacy policy", &described.policy_uri),
        paper("Terms of service", &described.tos_uri),
    ];
    all.into_iter().flatten().collect()
}

/// What is asked for, resource by resource; what is about the person first.
pub(in super::super) fn resources(
    cx: &Cx,
    client: &Registered,
    whole: &Agreement,
) -> Vec<ConsentResource> {
    let entry = |place: Option<&ResourceIdentifier>, scope: &Scope| {
        let resource = place.and_then(|place| target::resource(cx, place));
        ConsentScope {
            value: scope.as_str().to_owned(),
            box_name: asked::box_name(whole, place, scope.as_str()),
            description: words(cx, place, resource.as_deref(), scope.as_str()),
            choice: asked::choice(cx, client, place, scope.as_str()),
        }
    };
    let mut shown = Vec::new();
    if !whole.everywhere.is_empty() {
        shown.push(ConsentResource {
            name: "Your account".to_owned(),
            host: cx.settings.site.host.clone(),
            shows_values: false,
            scopes: whole
                .everywhere
                .iter()
                .map(|scope| entry(None, scope))
                .collect(),
        });
    }
    for (place, scopes) in &whole.places {
        let resource = target::resource(cx, place);
        // A token for this site itself, without a scope of its own, is for
        // what stands under the account.
        if resource.is_none() && scopes.is_empty() {
            continue;
        }
        let (name, host) = called(cx, Some(place), resource.as_deref());
        shown.push(ConsentResource {
            name,
            host,
            shows_values: true,
            scopes: scopes
                .iter()
                .map(|scope| entry(Some(place), scope))
                .collect(),
        });
    }
    shown
}

/// What a scope means, in plain words.
fn words(
    cx: &Cx,
    place: Option<&ResourceIdentifier>,
    resource: Option<&Resource>,
    scope: &str,
) -> String {
    if let Some(text) = resource.and_then(|resource| resource.scope_descriptions.get(scope)) {
        return text.clone();
    }
    match scope {
        "openid" => "Know that it is you who signed in",
        "profile" => "See your name and profile",
        "email" => "See your e-mail address",
        "address" => "See your postal address",
        "phone" => "See your phone number",
        "offline_access" => "Keep this access while you are away",
        other => return phrase::of(other, &called(cx, place, resource).0),
    }
    .to_owned()
}

/// The name and the host of the place that a scope is for.
fn called(
    cx: &Cx,
    place: Option<&ResourceIdentifier>,
    resource: Option<&Resource>,
) -> (String, String) {
    match (place, resource) {
        (Some(place), Some(own)) if own.name.is_empty() => (place.host(), place.host()),
        (Some(place), Some(own)) => (own.name.clone(), place.host()),
        _ => ("This site".to_owned(), cx.settings.site.host.clone()),
    }
}

/// The claims in plain words, each once.
fn claims(whole: &Agreement) -> Vec<String> {
    let bare = whole.claims.iter().filter_map(|name| name.split_once('.'));
    let words: BTreeSet<String> = bare.map(|(_, name)| claim_words(name)).collect();
    words.into_iter().collect()
}

fn claim_words(name: &str) -> String {
    let words = match name {
        "name" => "your name",
        "email" => "your e-mail address",
        "email_verified" => "whether your e-mail address is confirmed",
        "phone_number" => "your phone number",
        "address" => "your postal address",
        "birthdate" => "your date of birth",
        "picture" => "your picture",
        other => return format!("your {}", other.replace('_', " ")),
    };
    words.to_owned()
}

/// The same where the person takes the tick away that lets it last while they are
/// away: that one is always there to be taken away.
pub(in super::super) fn unticked(
    cx: &Cx,
    client: &Registered,
    whole: &Agreement,
) -> Option<Lasting> {
    let stays = |scope: &str| scope != "offline_access";
    let less = whole.filtered(|_, scope| stays(scope));
    let other = lasting(cx, client, &less);
    (whole.scopes().contains("offline_access") && other != lasting(cx, client, whole))
        .then_some(other)
}

pub(in super::super) fn lasting(cx: &Cx, client: &Registered, whole: &Agreement) -> Lasting {
    let lifetimes = &cx.settings.lifetimes;
    let scopes = whole.scopes();
    if !family::is_due(client, &scopes) {
        return Lasting::Once(longest(cx, client, whole));
    }
    let at_most = client
        .refresh_token_absolute
        .unwrap_or(lifetimes.refresh_token_absolute)
        .duration();
    if scopes.contains("openid") && !scopes.contains("offline_access") {
        return Lasting::Session {
            at_most: at_most.min(lifetimes.session_absolute.duration()),
        };
    }
    Lasting::Offline {
        at_most: Some(at_most),
    }
}

/// The longest life that an access token of this consent can have: that of any
/// place where one may be for.
fn longest(cx: &Cx, client: &Registered, whole: &Agreement) -> std::time::Duration {
    let of_place = |place: &ResourceIdentifier| {
        issue::lifetime(cx, client, target::resource(cx, place).as_deref())
    };
    whole.places.keys().map(of_place).max().unwrap_or_default()
}
