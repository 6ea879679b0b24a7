//! What the pages of a device show.
//!
//! Spec: RFC 8628 §3.3, §3.3.1, §5.4, §5.5

use std::net::IpAddr;

use axum::response::Response;
use symbolon_protocol::claims::ClaimsRequest;
use symbolon_protocol::{Client, UserCode};
use url::Url;

use super::visit::{Question, Step, Visit};
use super::{PURPOSE, Visitor, Waiting, guess, sign_in_address};
use crate::authn::session::LiveSession;
use crate::authn::transaction::{Transaction, what};
use crate::cx::Cx;
use crate::endpoint::authorize::asked::asked;
use crate::endpoint::authorize::next;
use crate::endpoint::consent::shown::{lasting, papers, resources, unticked};
use crate::failure::Failure;
use crate::limit::network;
use crate::pages::{Account, AskingDevice, CodeFailure, DevicePage, DeviceStep, Page, Proof};

/// The page on which a code is typed.
pub(super) fn enter(
    cx: &Cx,
    visitor: &Visitor<'_>,
    typed: Option<&str>,
    failure: Option<CodeFailure>,
) -> Response {
    // Only what can be a code is filled in: a link writes nothing else here.
    let code = typed.and_then(|typed| typed.parse::<UserCode>().ok());
    let step = Step::Enter {
        person: visitor.session.person.id,
    };
    let typed = code.map(|code| code.to_string());
    let shown = DeviceStep::Enter {
        user_code: typed.clone().unwrap_or_default(),
        failure,
        wait: guess::WINDOW,
    };
    page(cx, visitor, (step, shown), typed.as_deref()).response()
}

/// The page that says what was decided.
pub(super) fn over(cx: &Cx, visitor: &Visitor<'_>, allowed: bool, client: String) -> Response {
    let shown = if allowed {
        DeviceStep::Allowed {
            client: client.clone(),
        }
    } else {
        DeviceStep::Denied {
            client: client.clone(),
        }
    };
    let step = Step::Over { allowed, client };
    page(cx, visitor, (step, shown), None).response()
}

/// The page that shows what waits, and asks.
pub(super) async fn question(
    cx: &Cx,
    visitor: &Visitor<'_>,
    waiting: &Waiting,
    question: Question,
) -> Result<Response, Failure> {
    let none = ClaimsRequest::default();
    let ask = waiting.ask(&none);
    let whole = asked(cx, ask);
    let membership = next::membership(cx, ask.organization, visitor.session).await?;
    let request = &waiting.request;
    let device = AskingDevice {
        client: ask.client.name.clone(),
        host: host(ask.client),
        proof: if ask.client.is_confidential() {
            Proof::Given
        } else {
            Proof::None
        },
        user_code: question.typed.clone(),
        place: place_words(request.network),
        is_near: request.network == network(cx.address),
        ago: cx.now.since(request.began),
        organization: membership.map(|own| own.organization.name),
        resources: resources(cx, ask.client, &whole),
        lasting: lasting(cx, ask.client, &whole),
        unticked: unticked(cx, ask.client, &whole),
        papers: papers(ask.client),
    };
    let typed = question.typed.clone();
    let step = Step::Question(Question {
        shown: Some(what(&whole)),
        ..question
    });
    let shown = DeviceStep::Confirm(Box::new(device));
    Ok(page(cx, visitor, (step, shown), Some(&typed)).response())
}

fn page(
    cx: &Cx,
    visitor: &Visitor<'_>,
    (step, shown): (Step, DeviceStep),
    typed: Option<&str>,
) -> DevicePage {
    let sealed = Visit::seal(cx, visitor.browser, step);
    DevicePage {
        site: cx.settings.site.clone(),
        ties: Transaction::ties(&sealed, cx, visitor.browser, PURPOSE),
        account: account(visitor.session),
        another_account: sign_in_address(cx, visitor.browser, typed),
        step: shown,
    }
}

pub(in super::super) fn account(session: &LiveSession) -> Account {
    let name = session.person.document.get("name");
    let name = name.and_then(|name| name.as_str());
    let login = &session.person.username;
    Account::new(name.unwrap_or(login), login)
}

/// The host that whoever registered the client gave for it, where they gave one.
/// Nothing of a device's own request is believed about that.
pub(in super::super) fn host(client: &Client) -> Option<String> {
    let home = client.described.client_uri.as_deref();
    let returns = client.redirect_uris.iter().map(|uri| uri.as_str());
    let urls = home.into_iter().chain(returns);
    let mut hosts = urls.filter_map(|text| {
        let url = Url::parse(text)
            .ok()
            .filter(|url| url.scheme() == "https")?;
        url.host_str().map(str::to_owned)
    });
    hosts.next()
}

/// A network as a person reads it: the part that it shares is written out.
pub(in super::super) fn place_words(network: IpAddr) -> String {
    match network {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.x")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}:…")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_told_as_coarsely_as_it_is_kept() {
        let words = |text: &str| place_words(network(text.parse().unwrap()));

        assert_eq!(words("203.0.113.9"), "203.0.113.x");
        assert_eq!(words("::ffff:203.0.113.9"), "203.0.113.x");
        assert_eq!(words("2001:db8:7:1::9"), "2001:db8:7:1:…");
    }

    #[test]
    fn the_host_is_the_registered_one_and_has_to_be_https() {
        let id = "tv".parse().unwrap();
        let mut client = Client::new(id, symbolon_protocol::ClientKind::Device);
        assert_eq!(host(&client), None);

        client.described.client_uri = Some("http://tv.example".to_owned());
        assert_eq!(host(&client), None);

        client.described.client_uri = Some("https://tv.example/about".to_owned());
        assert_eq!(host(&client).as_deref(), Some("tv.example"));
    }
}
