//! The refresh family: who gets one, and what is written beside its row.
//!
//! Spec: RFC 9700 §4.14
//! Spec: OpenID Connect Core 1.0 §11
//! Spec: RFC 9449 §5
//! Spec: RFC 8705 §4

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use symbolon_protocol::claims::ClaimsRequest;
use symbolon_protocol::{Client, ClientKind, GrantType, RefreshRotation, Scopes, Timestamp};
use symbolon_store::{FindFamily, NewFamily};
use symbolon_token::refresh::RefreshToken;
use symbolon_token::{Authority, Binding, Family, Id, Narrowing, Session};

use crate::cx::Cx;
use crate::failure::{Broken, Failure};

/// What a family keeps beside its row, written once.
#[derive(Clone, Debug)]
pub(crate) struct FamilyDocument {
    pub(crate) authority: Authority,
    /// The session of the sign-in, for the `sid` of ID tokens.
    pub(crate) session: Id<Session>,
    pub(crate) claims: ClaimsRequest,
    /// What its first access token was bound to. A client that proves itself
    /// may change its keys, but later tokens are bound in the same ways.
    pub(crate) first: Binding,
}

#[derive(Serialize, Deserialize)]
struct Rest {
    s: Id<Session>,
    #[serde(default, skip_serializing_if = "ClaimsRequest::is_empty")]
    q: ClaimsRequest,
    #[serde(default, skip_serializing_if = "Binding::is_nothing")]
    b: Binding,
}

impl FamilyDocument {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let authority = self.authority.encode();
        let mut out = u32::try_from(authority.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes()
            .to_vec();
        out.extend_from_slice(&authority);
        // Strings always serialise.
        let rest = Rest {
            s: self.session,
            q: self.claims.clone(),
            b: self.first,
        };
        out.extend_from_slice(&serde_json::to_vec(&rest).unwrap_or_default());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_at_checked(4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        let (authority, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        let rest: Rest = serde_json::from_slice(rest).ok()?;
        Some(Self {
            authority: Authority::decode(authority)?,
            session: rest.s,
            claims: rest.q,
            first: rest.b,
        })
    }
}

/// The document of a family, ended or not; `None` where there is none any
/// more. It is written once, so what is kept here is never stale.
pub(crate) async fn document(
    cx: &Cx,
    family: Id<Family>,
) -> Result<Option<Arc<FamilyDocument>>, Failure> {
    if let Some(document) = cx.families.get(&family) {
        return Ok(Some(document));
    }
    let Some(found) = cx.store.read(FindFamily { id: family }).await? else {
        return Ok(None);
    };
    let document = FamilyDocument::decode(&found.authority.document);
    let document = Arc::new(document.ok_or(Broken::Impossible(UNREADABLE))?);
    cx.families.insert(family, Arc::clone(&document));
    Ok(Some(document))
}

const UNREADABLE: &str = "a family's document does not decode";

/// What a family begins with.
pub(crate) struct Opening<'a> {
    pub(crate) authority: &'a Authority,
    /// The session in which it was granted.
    pub(crate) session: Id<Session>,
    pub(crate) claims: &'a ClaimsRequest,
}

/// The first refresh token and the family that keeps its digest, where due.
pub(crate) fn first(
    cx: &Cx,
    client: &Client,
    opening: &Opening<'_>,
    first: Binding,
) -> Result<Option<(RefreshToken, NewFamily)>, Failure> {
    let own = opening.authority;
    if !is_due(client, own.scopes()) {
        return Ok(None);
    }
    let (Some(id), Some(grant), Some(person)) = (own.family(), own.grant(), own.person()) else {
        return Err(Broken::Impossible("a code without family, grant or person").into());
    };
    let absolute_ends = absolute_end(cx, client);
    let by = Narrowing {
        expires: Some(absolute_ends.min(own.expires())),
        binding: Some(binding(client, &first)),
        // The place in the feed stays that of the code: what was deleted before it
        // is redeemed is gone from the family too.
        ..Narrowing::default()
    };
    let authority = own
        .narrow(by)
        .map_err(|_| Broken::Impossible("an earlier end and a key widen nothing"))?;
    let token = RefreshToken::first(&cx.keys, id, cx.entropy());
    let document = FamilyDocument {
        authority,
        session: opening.session,
        claims: opening.claims.clone(),
        first,
    };
    let family = NewFamily {
        id,
        current: token.digest(),
        key: token.key,
        idle_ends: idle_end(cx, client),
        absolute_ends,
        grant,
        session: own.session(),
        client: client.id.clone(),
        person,
        document: document.encode(),
    };
    Ok(Some((token, family)))
}

/// Whether a person's grant comes with a refresh token: to a client that has
/// the grant, and then if `offline_access` was granted, the request had no
/// `openid`, or the client is native or an agent.
pub(crate) fn is_due(client: &Client, scopes: &Scopes) -> bool {
    client.may_use(GrantType::RefreshToken)
        && (scopes.contains("offline_access")
            || !scopes.contains("openid")
            || matches!(client.kind, ClientKind::Native | ClientKind::Agent))
}

/// Whether a client may still use what it was given for as long as nobody is
/// there: what was taken from it since is given out on no path.
pub(crate) fn may_go_on(client: &Client, granted: &Scopes) -> bool {
    let offline = "offline_access";
    client.may_use(GrantType::RefreshToken)
        && (!granted.contains(offline) || client.scopes.contains(offline))
}

/// Whether the refresh tokens of a family rotate: `auto` does unless it is
/// bound to a key, without which a stolen token is worth nothing.
pub(crate) fn rotates(client: &Client, document: &FamilyDocument) -> bool {
    match client.refresh_rotation {
        RefreshRotation::Always => true,
        RefreshRotation::Never => false,
        RefreshRotation::Auto => !document.authority.binding().is_bound(),
    }
}

/// What the refresh token of a client is bound to beside its access token: a
/// public client's to the same keys (RFC 9449 §5, RFC 8705 §4); the others
/// prove themselves at each refresh.
pub(crate) fn binding(client: &Client, first: &Binding) -> Binding {
    if client.is_confidential() {
        Binding::NONE
    } else {
        *first
    }
}

/// When a family that is used now would end for want of use.
pub(crate) fn idle_end(cx: &Cx, client: &Client) -> Timestamp {
    let own = cx.settings.lifetimes.refresh_token_idle;
    cx.now + client.refresh_token_idle.unwrap_or(own).duration()
}

/// When a family that begins now ends at the latest.
pub(crate) fn absolute_end(cx: &Cx, client: &Client) -> Timestamp {
    let own = cx.settings.lifetimes.refresh_token_absolute;
    cx.now + client.refresh_token_absolute.unwrap_or(own).duration()
}

/// How long a direct predecessor gets the same successor, in milliseconds.
pub(crate) fn grace_millis(cx: &Cx, client: &Client) -> i64 {
    let own = cx.settings.lifetimes.refresh_grace;
    i64::from(client.refresh_grace.unwrap_or(own).as_seconds()) * 1000
}
