//! What an access token says to whoever may use it, however it was written down.

use std::sync::Arc;

use serde_json::Value;
use symbolon_protocol::{Scopes, Timestamp};
use symbolon_store::StoredClient;
use symbolon_token::jwt::{AccessToken, rev_claim};
use symbolon_token::opaque::OpaqueToken;
use symbolon_token::{Binding, Id, Person, act};

use crate::cx::Cx;
use crate::grant::subject;

/// An access token of this server that is good right now, audience and scope
/// aside. Only `presented` and `api_key` make one.
pub(crate) struct Live {
    pub(crate) jti: String,
    pub(crate) client: Arc<StoredClient>,
    pub(crate) subject: String,
    pub(crate) person: Option<Id<Person>>,
    pub(crate) audience: String,
    pub(crate) scopes: Scopes,
    /// Claims that userinfo may tell besides those of the scopes.
    pub(crate) claims: Vec<String>,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) organization: Option<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) auth_time: Option<i64>,
    pub(crate) acr: Option<String>,
    /// Which keys its holder has to hold. Whoever takes the token asks.
    pub(crate) binding: Binding,
    /// Who acts for the subject, as an `act` claim says it.
    pub(crate) act: Option<Value>,
    /// Who alone may act for them later, as a `may_act` claim says it.
    pub(crate) may_act: Option<Value>,
    /// What a record of the feed could hit it by, as a `rev` claim says it.
    pub(crate) rev: Option<Value>,
    /// Which API key it is, where it is one.
    pub(crate) api_key: Option<Value>,
}

/// One that holds an authority.
pub(super) fn opaque(cx: &Cx, client: Arc<StoredClient>, token: &OpaqueToken) -> Live {
    let authority = &token.authority;
    let blinding = cx.keys.blinding();
    let sector = subject::sector(&client.client).map(|own| blinding.of_sector(&own));
    let rev = rev_claim(authority, token.key, blinding, sector.as_ref());
    Live {
        jti: token.token.to_string(),
        subject: subject::of(&cx.keys, &client.client, authority.subject()),
        person: authority.person(),
        audience: authority
            .audiences()
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
        scopes: authority.scopes().clone(),
        claims: authority.userinfo_claims().map(str::to_owned).collect(),
        issued: token.issued,
        expires: authority.expires(),
        organization: authority.organization().map(ToString::to_string),
        roles: authority.roles().to_vec(),
        auth_time: authority
            .authentication()
            .map(|own| own.time_by(token.issued).seconds()),
        acr: authority.authentication().map(|own| own.acr.to_string()),
        binding: *authority.binding(),
        act: act::claim(authority.actors()),
        may_act: act::may_act_claim(authority.may_act()),
        rev: Some(rev),
        api_key: None,
        client,
    }
}

/// One that says claims.
pub(super) fn jwt(cx: &Cx, client: Arc<StoredClient>, token: &AccessToken) -> Live {
    let text = |name: &str| {
        token
            .claims
            .get(name)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    let texts = |name: &str| {
        let all = token.claims.get(name).and_then(|all| all.as_array());
        let texts = all.into_iter().flatten();
        texts
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let own = token.subject == client.client.id.as_str();
    Live {
        person: if own {
            None
        } else {
            subject::person(&cx.keys, &client.client, &token.subject)
        },
        audience: text("aud").unwrap_or_default(),
        organization: text("organization"),
        acr: text("acr"),
        act: token.claims.get("act").cloned(),
        may_act: token.claims.get("may_act").cloned(),
        rev: token.claims.get("rev").cloned(),
        api_key: None,
        auth_time: token
            .claims
            .get("auth_time")
            .and_then(serde_json::Value::as_i64),
        roles: texts("roles"),
        claims: texts("userinfo"),
        binding: token.binding,
        jti: token.jti.clone(),
        subject: token.subject.clone(),
        scopes: token.scopes.clone(),
        issued: token.issued,
        expires: token.expires,
        client,
    }
}
