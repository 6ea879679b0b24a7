//! Consent: who gets what, where, for how long; and the person's answer.
//!
//! The form says yes or no and which optional scopes are ticked. What was
//! asked for stands in the sealed transaction, so a form can only take away.
//!
//! Spec: RFC 6749 §4.1.1
//! Spec: OpenID Connect Core 1.0 §3.1.2.4

use std::collections::BTreeSet;

use axum::response::Response;
use symbolon_protocol::{Client as Registered, Resource, ResourceIdentifier, Scopes};
use symbolon_store::{FindGrant, Membership};
use url::Url;

use super::authorize::answer::Destination;
use super::authorize::consented::{self, Agreed, claim_names};
use super::authorize::next;
use crate::authn::session::{self, LiveSession};
use crate::authn::transaction::{Browser, Transaction};
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::grant::{family, issue, target};
use crate::pages::{
    Account, Client, ConsentPage, ConsentResource, ConsentScope, FormAction, Lasting, Link, Page,
    Paper, ScopeChoice,
};
use crate::received::Received;

/// What the CSRF token of this form is about.
const PURPOSE: &str = "csrf-consent";

/// Answers `GET /consent`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let query = received.query()?;
    let browser = Browser::of(&cx, &received);
    let sealed = query.one("transaction");
    let transaction = Transaction::open(&cx, &browser, sealed)?;
    let session = session::current(&cx, &received).await?;
    let Some(session) = session.filter(|session| next::is_enough(&transaction, session)) else {
        return next::proceed(&cx, &browser, &transaction, None, false).await;
    };
    let destination = Destination::of(&cx, &transaction).await?;
    match next::membership(&cx, transaction.organization.as_ref(), &session).await {
        Ok(membership) => {
            let asked = Asked {
                transaction: &transaction,
                session: &session,
                membership,
            };
            page(&cx, &destination, &browser, &asked)
        }
        Err(Failure::Refused(refusal)) => destination.refuse(&cx, &refusal),
        Err(broken) => Err(broken),
    }
}

/// What a person is asked, and who they are.
struct Asked<'a> {
    transaction: &'a Transaction,
    session: &'a LiveSession,
    membership: Option<Membership>,
}

/// Answers `POST /consent`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let ticked = ticked(&received);
    let form = decision(&received)?;
    let browser = Browser::of(&cx, &received);
    let sealed = form.transaction.as_deref().unwrap_or_default();
    browser.check_csrf(&cx, PURPOSE, sealed, form.csrf.as_deref())?;
    let transaction = Transaction::open(&cx, &browser, form.transaction.as_deref())?;
    let session = session::current(&cx, &received).await?;
    let Some(session) = session.filter(|session| next::is_enough(&transaction, session)) else {
        return next::proceed(&cx, &browser, &transaction, None, false).await;
    };
    let destination = Destination::of(&cx, &transaction).await?;
    // Somebody else may have signed in since, in another tab: they are asked
    // themselves, whatever the one before them said.
    if transaction.shown_to != Some(session.person.id) {
        let organization = transaction.organization.as_ref();
        let asked = Asked {
            transaction: &transaction,
            session: &session,
            membership: next::membership(&cx, organization, &session).await?,
        };
        return page(&cx, &destination, &browser, &asked);
    }
    let answered = if form.allow {
        allow(&cx, &destination, &transaction, &session, &ticked).await
    } else {
        Err(Refusal::access_denied("the person said no").into())
    };
    match answered {
        Err(Failure::Refused(refusal)) => destination.refuse(&cx, &refusal),
        answered => answered,
    }
}

struct Decision {
    transaction: Option<String>,
    csrf: Option<String>,
    allow: bool,
}

/// The form without its ticked boxes, which are the one name that repeats.
fn decision(received: &Received) -> Result<Decision, Refusal> {
    if !received.is_form() {
        return Err(
            Refusal::invalid_request("the body must be application/x-www-form-urlencoded")
                .with_status(415),
        );
    }
    let one = |name: &str| {
        let mut all = form_urlencoded::parse(&received.body).filter(|(own, _)| own == name);
        let first = all.next().map(|(_, value)| value.into_owned());
        if all.next().is_some() { None } else { first }
    };
    Ok(Decision {
        transaction: one("transaction"),
        csrf: one("csrf"),
        allow: one("decision").as_deref() == Some("allow"),
    })
}

fn ticked(received: &Received) -> BTreeSet<String> {
    let pairs =
        form_urlencoded::parse(&received.body).take(symbolon_protocol::scope::MAX_SCOPES + 8);
    pairs
        .filter(|(name, _)| name == "scope")
        .map(|(_, value)| value.into_owned())
        .collect()
}

async fn allow(
    cx: &Cx,
    destination: &Destination,
    transaction: &Transaction,
    session: &LiveSession,
    ticked: &BTreeSet<String>,
) -> Result<Response, Failure> {
    let client = &destination.client.client;
    let membership = next::membership(cx, transaction.organization.as_ref(), session).await?;
    let resources = cx.directory.resources();
    let scopes = transaction.scopes.filtered(|scope| {
        choice(client, resources.iter().map(AsRef::as_ref), scope) == ScopeChoice::Needed
            || ticked.contains(scope)
    });
    let person = session.person.id;
    let organization = transaction.organization.clone();
    let grant = cx
        .store
        .read(FindGrant {
            person,
            client: client.id.clone(),
            organization,
        })
        .await?;
    consented::send_code(
        cx,
        destination,
        transaction,
        session,
        Agreed {
            scopes,
            membership,
            grant,
        },
    )
    .await
}

/// What a person may decide about a scope.
fn choice<'a>(
    client: &Registered,
    mut resources: impl Iterator<Item = &'a Resource>,
    scope: &str,
) -> ScopeChoice {
    if resources.any(|resource| resource.sensitive_scopes.contains(scope)) {
        ScopeChoice::Sensitive
    } else if client.optional_scopes.contains(scope) || scope == "offline_access" {
        ScopeChoice::Ticked
    } else {
        ScopeChoice::Needed
    }
}

fn page(
    cx: &Cx,
    destination: &Destination,
    browser: &Browser,
    asked: &Asked<'_>,
) -> Result<Response, Failure> {
    let (transaction, session) = (asked.transaction, asked.session);
    let client = &destination.client.client;
    let url = destination.url()?;
    let shown = Transaction {
        shown_to: Some(session.person.id),
        ..transaction.clone()
    };
    let sealed = shown.seal(cx, browser)?;
    let elsewhere = Transaction {
        ask_sign_in: true,
        person: None,
        ..transaction.clone()
    };
    let another = elsewhere.seal(cx, browser)?;
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
        account: Account::new(
            name.unwrap_or(&session.person.username),
            &session.person.username,
        ),
        another_account: format!("{}/login?transaction={another}", cx.settings.issuer.path()),
        papers: papers(client),
        organization: asked
            .membership
            .as_ref()
            .map(|own| own.organization.name.clone()),
        resources: resources(cx, client, transaction),
        claims: claims(transaction),
        lasting: lasting(cx, client, transaction),
    };
    Ok(page.response())
}

/// The client's own pages about its terms and what it does with data.
fn papers(client: &Registered) -> Vec<Paper> {
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

/// The scopes, resource by resource; those of the issuer first.
fn resources(cx: &Cx, client: &Registered, transaction: &Transaction) -> Vec<ConsentResource> {
    let all = cx.directory.resources();
    let mut left = transaction.scopes.clone();
    let of_issuer = left.filtered(target::is_of_the_issuer);
    left = left.without(&of_issuer);
    let entry = |resource: Option<&Resource>, scope: &str| ConsentScope {
        value: scope.to_owned(),
        description: words(resource, scope),
        choice: choice(client, all.iter().map(AsRef::as_ref), scope),
    };
    let mut shown = Vec::new();
    if !of_issuer.is_empty() {
        shown.push(ConsentResource {
            name: "Your account".to_owned(),
            host: cx.settings.site.host.clone(),
            shows_values: false,
            scopes: of_issuer
                .iter()
                .map(|scope| entry(None, scope.as_str()))
                .collect(),
        });
    }
    for resource in all
        .iter()
        .filter(|resource| client.resources.contains(&resource.identifier))
    {
        let asked = transaction.resources.is_empty()
            || transaction.resources.contains(&resource.identifier);
        let own = left.intersection(&resource.scopes);
        if !asked || own.is_empty() {
            continue;
        }
        let host = resource.identifier.host();
        shown.push(ConsentResource {
            name: if resource.name.is_empty() {
                host.clone()
            } else {
                resource.name.clone()
            },
            host,
            shows_values: true,
            scopes: own
                .iter()
                .map(|scope| entry(Some(resource), scope.as_str()))
                .collect(),
        });
        left = left.without(&own);
    }
    // What no resource knows is good at the issuer itself, and nowhere else.
    if !left.is_empty() {
        shown.push(ConsentResource {
            name: "This site".to_owned(),
            host: cx.settings.site.host.clone(),
            shows_values: true,
            scopes: left
                .iter()
                .map(|scope| entry(None, scope.as_str()))
                .collect(),
        });
    }
    shown
}

/// What a scope means, in plain words.
fn words(resource: Option<&Resource>, scope: &str) -> String {
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
        other => other,
    }
    .to_owned()
}

/// The claims in plain words, each once.
fn claims(transaction: &Transaction) -> Vec<String> {
    let names = claim_names(transaction);
    let bare = names.iter().filter_map(|name| name.split_once('.'));
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

fn lasting(cx: &Cx, client: &Registered, transaction: &Transaction) -> Lasting {
    let lifetimes = &cx.settings.lifetimes;
    let scopes = &transaction.scopes;
    if !family::is_due(client, scopes) {
        return Lasting::Once(longest(cx, client, transaction, scopes));
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
fn longest(
    cx: &Cx,
    client: &Registered,
    transaction: &Transaction,
    scopes: &Scopes,
) -> std::time::Duration {
    let places = consented::resources(cx, client, transaction, scopes);
    let of_place = |place: &ResourceIdentifier| {
        issue::lifetime(cx, client, target::resource(cx, place).as_deref())
    };
    places.iter().map(of_place).max().unwrap_or_default()
}
