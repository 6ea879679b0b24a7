//! The ID token: tells the application who signed in, and nobody else anything.
//!
//! Spec: OpenID Connect Core 1.0 §2, §3.1.3.6, §5.4, §12.2

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use symbolon_protocol::claims::{ClaimsRequest, claims_of_scope, scope_of_claim};
use symbolon_protocol::{Client, EncryptedAnswer, Scopes, SigningAlgorithm};
use symbolon_store::FindPerson;
use symbolon_token::secret::{half_of_sha384, half_of_sha512};
use symbolon_token::{Authority, Digest, Id, Person, Session, jwt};

use super::mapped_claims::{self, Facts};
use super::subject;
use crate::cx::Cx;
use crate::encryption;
use crate::failure::{Broken, Failure, Refusal};

/// The `typ` of an ID token.
const ID_TOKEN_TYPE: &str = "JWT";

/// What an ID token is made from.
pub(crate) struct IdToken<'a> {
    pub(crate) client: &'a Client,
    pub(crate) authority: &'a Authority,
    /// The scopes that the client asked for, where it named some.
    pub(crate) asked: Option<&'a Scopes>,
    pub(crate) session: Id<Session>,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) claims: &'a ClaimsRequest,
    pub(crate) access_token: &'a str,
}

/// Makes an ID token where `openid` was granted, and neither narrowed away nor
/// taken from the client since.
pub(crate) async fn mint_if_due(cx: &Cx, wish: IdToken<'_>) -> Result<Option<String>, Failure> {
    let whole = &wish.authority.scopes().intersection(&wish.client.scopes);
    let Some(person) = wish
        .authority
        .person()
        .filter(|_| wish.asked.unwrap_or(whole).contains("openid") && whole.contains("openid"))
    else {
        return Ok(None);
    };
    let scopes = wish
        .asked
        .map_or_else(|| whole.clone(), |asked| asked.intersection(whole));
    let found = mapped_claims::person(cx, &wish.client.claims, Some(person)).await?;
    let facts = Facts::of(wish.authority, found.as_ref());
    let mut claims = mapped_claims::for_client(cx, wish.client, &scopes, facts)?;
    // Claims come with the whole, as in an access token.
    let is_whole = wish.asked.is_none_or(|asked| whole.is_within(asked));
    if is_whole && !wish.claims.id_token.is_empty() {
        add_asked(cx, &wish, person, &mut claims).await?;
    }
    let sub = subject::of_person(&cx.keys, wish.client, person);
    let expires = cx.now + cx.settings.lifetimes.id_token.duration();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("iss", cx.settings.issuer.as_str().into());
    set("sub", sub.into());
    set("aud", wish.client.id.as_str().into());
    set("iat", cx.now.seconds().into());
    set("exp", expires.seconds().into());
    let sid = subject::session(&cx.keys, wish.client, wish.session);
    set("sid", sid.into());
    let rev = jwt::rev_of_id_token(wish.authority, cx.keys.blinding());
    set("rev", rev);
    set(
        "at_hash",
        half_hash(wish.client.id_token_signed_response_alg, wish.access_token).into(),
    );
    if let Some(nonce) = wish.nonce {
        set("nonce", nonce.into());
    }
    if let Some(authentication) = wish.authority.authentication() {
        let time = authentication.time_by(cx.now);
        set("auth_time", time.seconds().into());
        set("acr", (*authentication.acr).into());
        set(
            "amr",
            authentication
                .amr
                .iter()
                .map(|method| Value::from(&**method))
                .collect(),
        );
    }
    write(cx, wish.client, &claims).await.map(Some)
}

/// Signs the claims of an ID token as the client says, and encrypts it where
/// it registered for that.
pub(crate) async fn write(
    cx: &Cx,
    client: &Client,
    claims: &Map<String, Value>,
) -> Result<String, Failure> {
    let key = cx
        .keys
        .signer(client.id_token_signed_response_alg)
        .ok_or(Broken::Impossible("no key for a signing algorithm"))?;
    // A map of strings and numbers always serialises.
    let payload = serde_json::to_vec(claims).unwrap_or_default();
    let signed = key.sign(ID_TOKEN_TYPE, &payload);
    encryption::to_client(cx, client, EncryptedAnswer::IdToken, signed).await
}

/// The left half of the digest that belongs to the signature's algorithm
/// (OpenID Connect Core §3.1.3.6); for Ed25519 that is SHA-512.
fn half_hash(algorithm: SigningAlgorithm, token: &str) -> String {
    let token = token.as_bytes();
    match algorithm {
        SigningAlgorithm::EdDsa | SigningAlgorithm::Ed25519 => {
            BASE64_URL_SAFE_NO_PAD.encode(half_of_sha512(token))
        }
        SigningAlgorithm::Es384 => BASE64_URL_SAFE_NO_PAD.encode(half_of_sha384(token)),
        _ => BASE64_URL_SAFE_NO_PAD.encode(&Digest::of(token).as_bytes()[..16]),
    }
}

/// Claims that the request asked to have in the ID token, as far as the
/// client's scopes cover them.
async fn add_asked(
    cx: &Cx,
    wish: &IdToken<'_>,
    person: Id<Person>,
    claims: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let Some(found) = cx.store.read(FindPerson { id: person }).await? else {
        return Err(Refusal::invalid_grant("the person is gone").into());
    };
    let all = of_person(&found);
    for name in wish.claims.id_token.keys() {
        let covered = scope_of_claim(name).is_some_and(|scope| wish.client.scopes.contains(scope));
        if let Some(value) = all.get(name).filter(|_| covered) {
            claims.insert(name.clone(), value.clone());
        }
    }
    Ok(())
}

/// Everything that may be told about a person.
pub(crate) fn of_person(person: &symbolon_store::Person) -> Map<String, Value> {
    let mut claims = person.document.clone();
    claims
        .entry("preferred_username")
        .or_insert_with(|| person.username.clone().into());
    claims
        .entry("updated_at")
        .or_insert_with(|| person.updated.seconds().into());
    claims
}

/// The claims that userinfo may tell: those of the token's scopes, and those
/// that were asked for by name and agreed to, as far as the client's scopes
/// cover them.
pub(crate) fn for_userinfo(
    person: &symbolon_store::Person,
    scopes: &Scopes,
    client: &Client,
    agreed: &[String],
) -> Map<String, Value> {
    let all = of_person(person);
    let told = told_names(scopes, client, agreed)
        .filter_map(|name| Some((name.to_owned(), all.get(name)?.clone())));
    told.collect()
}

/// The names of the claims that userinfo may tell.
pub(crate) fn told_names<'a>(
    scopes: &'a Scopes,
    client: &'a Client,
    agreed: &'a [String],
) -> impl Iterator<Item = &'a str> {
    let by_scope = scopes
        .iter()
        .flat_map(|scope| claims_of_scope(scope.as_str()))
        .copied();
    let covered =
        |name: &&str| scope_of_claim(name).is_some_and(|scope| client.scopes.contains(scope));
    by_scope.chain(agreed.iter().map(String::as_str).filter(covered))
}
