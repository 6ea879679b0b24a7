//! A token that was shown and is good. One file opens each kind of it.
//!
//! Spec: RFC 8693 §2.1, §3

use std::sync::Arc;

use symbolon_protocol::{Client, ClientId, ResourceIdentifier, Scopes, TokenKind, TrustedIssuer};
use symbolon_token::jose::Unverified;
use symbolon_token::jose::jwe::is_encrypted;
use symbolon_token::revocation::Target;
use symbolon_token::{Actor, Ancestor, Authority, Binding, Position};

use super::request::ShownToken;
use super::{access_token, api_key, id_token, partner, refresh_token};
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::grant::trusted_issuer::claimed_issuer;

/// Who asks for what is opened.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) cx: &'a Cx,
    pub(super) client: &'a Client,
}

/// What a token was sent as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Subject,
    Actor,
}

/// For whom a token was made.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Holder {
    /// A client of this server.
    Client(ClientId),
    /// Nobody here: a trusted issuer vouches.
    Partner(Arc<TrustedIssuer>),
}

/// A token that is good, as far as that does not depend on what is wanted of
/// it. Only [`open`] makes one.
pub(super) struct Opened {
    /// What it permits.
    pub(super) authority: Authority,
    /// How old what is known of its issuer may be.
    pub(super) known: Position,
    /// By which names it could be taken back.
    pub(super) ancestors: Vec<Ancestor>,
    /// For whom it was made.
    pub(super) holder: Holder,
    /// The sector whose name for the person stands in it; without one, the name
    /// is the same for everybody.
    pub(super) sector: Option<String>,
    /// Its subject, as an `act` claim names it.
    pub(super) name: Actor,
    /// In which ways the result has to be bound, whichever keys they are.
    pub(super) bound_like: Binding,
    /// Where the result may be.
    pub(super) reach: Reach,
    /// Whether it says what whoever holds it may do. What says only who that
    /// is leaves it to the client's own scopes.
    pub(super) says_scopes: bool,
}

/// Which APIs the result may be for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// Those that the policies of both sides let it be moved to.
    Moving,
    /// Those that it names itself, whatever a policy says.
    OwnApis,
}

impl Opened {
    /// The scopes that may come with a result at an API: those that it has
    /// there, or all of them where a policy lets it be moved there.
    pub(super) fn scopes_at(&self, audience: &ResourceIdentifier) -> Scopes {
        match self.authority.audiences().contains(audience) {
            true => self.authority.scopes_at(audience),
            false => self.authority.scopes().clone(),
        }
    }

    /// Whether it was issued to a client by what a person let that client do,
    /// and did not come of another token on the way.
    pub(super) fn is_own_of(&self, client: &ClientId) -> bool {
        // Pairs stand for single tokens and memberships, a key alone for the
        // refresh token that was renewed; all else is a parent.
        let is_pair = |own: &Ancestor| {
            let aside = [Target::ClientSubject, Target::Membership, Target::Key];
            aside.contains(&own.target)
        };
        self.holder == Holder::Client(client.clone())
            && self.authority.lineage().iter().all(is_pair)
    }
}

/// Opens a token by its kind. What is wrong with it is told to the log alone.
pub(super) async fn open(
    asking: Asking<'_>,
    shown: &ShownToken,
    role: Role,
) -> Result<Opened, Failure> {
    let (cx, text) = (asking.cx, shown.text.expose_str());
    cx.check_fresh()?;
    let outcome = match shown.kind {
        TokenKind::AccessToken => access_token::open(asking, text).await?,
        // What is encrypted to others cannot be opened, so it can only be ours.
        TokenKind::Jwt if is_encrypted(text) => access_token::open(asking, text).await?,
        TokenKind::Jwt if is_of_this_server(cx, text) => access_token::open(asking, text).await?,
        TokenKind::Jwt => Box::pin(partner::open(asking, text)).await?,
        TokenKind::IdToken => id_token::open(asking, text).await?,
        TokenKind::RefreshToken if role == Role::Subject => {
            refresh_token::open(asking, text).await?
        }
        TokenKind::RefreshToken => Err("a refresh token names no actor"),
        TokenKind::ApiKey if role == Role::Subject => Box::pin(api_key::open(asking, text)).await?,
        TokenKind::ApiKey => Err("an API key names no actor"),
        #[cfg(feature = "saml")]
        TokenKind::Saml2 => super::saml2::open(asking, text).await?,
        #[cfg(not(feature = "saml"))]
        TokenKind::Saml2 => Err("this program was built without SAML"),
    };
    outcome.map_err(|cause| {
        tracing::debug!(request = %cx.request, kind = %shown.kind, cause, "a token to be exchanged");
        match is_of_a_partner(cx, shown) {
            true => cx.recent.unvouched(cx, cause),
            false => cx.recent.because(cx, cause),
        }
        refused(role).into()
    })
}

/// One text for unknown, expired, revoked, malformed and foreign (RFC 8693
/// §2.2.2).
fn refused(role: Role) -> Refusal {
    Refusal::invalid_request(match role {
        Role::Subject => "subject_token is not good",
        Role::Actor => "actor_token is not good",
    })
}

/// Whether a token says that somebody else signed it.
fn is_of_a_partner(cx: &Cx, shown: &ShownToken) -> bool {
    let text = shown.text.expose_str();
    shown.kind == TokenKind::Jwt && !is_encrypted(text) && !is_of_this_server(cx, text)
}

/// Whether a JWT says that it is ours; its signature is checked by whoever
/// opens it.
fn is_of_this_server(cx: &Cx, text: &str) -> bool {
    let claimed = Unverified::parse(text)
        .ok()
        .as_ref()
        .and_then(claimed_issuer);
    claimed.as_deref() == Some(cx.settings.issuer.as_str())
}
