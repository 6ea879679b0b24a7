//! What a client says of itself when nobody else vouches for it: by
//! registration, or in the document behind its identifier.
//!
//! An allow-list: whatever else a document holds is left out, so a client never
//! gives itself what only an operator may give.
//!
//! 1. Members that may be said are taken, and every address among them is one
//!    that a browser may be sent to.
//! 2. What an installation grants to such clients ([`Terms`]) is all that one
//!    can have, whatever it asks for.
//! 3. The whole is a [`Client`] without problems, or none.
//!
//! Spec: RFC 7591 §2, §2.3, §3.2.1, §3.2.2
//! Spec: draft-ietf-oauth-client-id-metadata-document-02 §4.1

mod anew;

use serde_json::{Map, Value};

use crate::client::Client;
use crate::identifier::ClientId;
use crate::registration::{self, LOCALIZED};
use crate::scope::Scopes;
use crate::uri::{RedirectUri, ResourceIdentifier, is_loopback};
use crate::vocabulary::{AssertionAudience, ClientAuthentication};

/// What an installation grants to every client that describes itself.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The scopes at most.
    pub scopes: Scopes,
    /// The resources.
    pub resources: Vec<ResourceIdentifier>,
    /// Whether clients that prove themselves need PKCE too.
    pub require_pkce_confidential: bool,
    /// What the audience of their assertions may be.
    pub assertion_audience: AssertionAudience,
}

/// How a client came to describe itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It registered.
    Registration,
    /// By the document at its identifier: no secret can have been agreed on.
    Document,
}

/// Why a description makes no client. The words are fixed, and may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// A redirect URI (`invalid_redirect_uri`).
    RedirectUri(&'static str),
    /// Something else (`invalid_client_metadata`).
    Metadata(&'static str),
    /// A software statement (`unapproved_software_statement`): nobody is trusted to make any.
    Statement,
}

/// Members that are taken as they are.
const TAKEN: [&str; 15] = [
    "client_name",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "contacts",
    "software_id",
    "software_version",
    "application_type",
    "jwks",
    "jwks_uri",
    "id_token_signed_response_alg",
    "token_endpoint_auth_signing_alg",
    "dpop_bound_access_tokens",
    "post_logout_redirect_uris",
];

/// Members that are addresses a browser or this server may be sent to.
const ADDRESSES: [&str; 4] = ["client_uri", "logo_uri", "policy_uri", "tos_uri"];
/// How long a text may be, in bytes.
const MAX_TEXT_BYTES: usize = 2048;
/// How many contacts.
const MAX_CONTACTS: usize = 10;
/// How many redirect URIs.
const MAX_REDIRECT_URIS: usize = 20;

/// Makes the client that describes itself.
pub fn client(
    said: &Map<String, Value>,
    id: ClientId,
    (told, terms): (Told, &Terms),
) -> Result<Client, Unfit> {
    if said
        .get("software_statement")
        .is_some_and(|own| !own.is_null())
    {
        return Err(Unfit::Statement);
    }
    let redirect_uris = redirect_uris(said)?;
    check_texts(said)?;
    check_response_types(said)?;
    check_privacy(said)?;
    let mut object = taken(said);
    let method = method(said, told)?;
    object.insert("token_endpoint_auth_method".into(), method.as_str().into());
    object.insert("redirect_uris".into(), said["redirect_uris"].clone());
    object.insert("grant_types".into(), grants(said)?);
    object.insert("kind".into(), kind(said, method, &redirect_uris).into());
    object.insert("client_id".into(), id.as_str().into());
    if !object.contains_key("client_name") {
        let name = redirect_uris.first().map(RedirectUri::host);
        object.insert("client_name".into(), name.unwrap_or_default().into());
    }
    let unreadable = Unfit::Metadata("a member of the metadata has another form than it should");
    registration::normalize(&mut object).map_err(|_| unreadable)?;
    let mut client: Client =
        serde_json::from_value(Value::Object(object)).map_err(|_| unreadable)?;
    client.scopes = scopes(said, terms)?;
    client.resources = terms.resources.clone();
    client.require_pkce = terms.require_pkce_confidential || !client.is_confidential();
    client.assertion_audience = terms.assertion_audience;
    match client.problems().first() {
        None => Ok(client),
        Some(problem) if problem.field.contains("redirect_uri") => {
            Err(Unfit::RedirectUri("the redirect URIs do not fit the rest"))
        }
        Some(_) => Err(Unfit::Metadata("the members do not fit together")),
    }
}

/// Refuses who asks for more privacy than such a client is given: left out without
/// a word, it would be missed by nobody until it matters.
fn check_privacy(said: &Map<String, Value>) -> Result<(), Unfit> {
    let asked = |name: &str| said.get(name).is_some_and(|own| !own.is_null());
    let is_encrypted = |name: &String| name.ends_with("_encrypted_response_alg") && asked(name);
    let subject = said.get("subject_type").unwrap_or(&Value::Null);
    let is_other_subject = !subject.is_null() && subject != "public";
    if is_other_subject || said.keys().any(is_encrypted) {
        return Err(Unfit::Metadata(
            "pairwise subjects and encrypted answers are for an administrator to set up",
        ));
    }
    Ok(())
}

fn redirect_uris(said: &Map<String, Value>) -> Result<Vec<RedirectUri>, Unfit> {
    let bad = Unfit::RedirectUri(
        "a redirect URI is https, http on this machine, or of a scheme like com.example.app",
    );
    let list = said.get("redirect_uris").and_then(Value::as_array);
    let list = list.filter(|list| (1..=MAX_REDIRECT_URIS).contains(&list.len()));
    let list = list.ok_or(Unfit::RedirectUri("redirect_uris has 1 to 20 entries"))?;
    let read = |own: &Value| own.as_str().and_then(|text| text.parse().ok());
    let plain = |own: &Value| read(own).filter(RedirectUri::is_plain).ok_or(bad);
    list.iter().map(plain).collect()
}

/// Refuses addresses that are none, and texts without end.
fn check_texts(said: &Map<String, Value>) -> Result<(), Unfit> {
    for (name, value) in said {
        let (base, _) = name.split_once('#').unwrap_or((name, ""));
        let is_address = ADDRESSES.contains(&base);
        if is_address
            && !value
                .as_str()
                .is_some_and(|text| text.is_empty() || is_page(text))
        {
            return Err(Unfit::Metadata(
                "client_uri, logo_uri, policy_uri and tos_uri are https URLs",
            ));
        }
        let is_long = value
            .as_str()
            .is_some_and(|text| text.len() > MAX_TEXT_BYTES);
        if TAKEN.contains(&base) && is_long {
            return Err(Unfit::Metadata("a text of the metadata is too long"));
        }
    }
    let contacts = said.get("contacts").and_then(Value::as_array);
    if contacts.is_some_and(|all| all.len() > MAX_CONTACTS) {
        return Err(Unfit::Metadata("there are too many contacts"));
    }
    let is_private = |key: &Value| {
        ["d", "k", "p", "q"]
            .iter()
            .any(|name| key.get(name).is_some())
    };
    match said
        .get("jwks")
        .map(|own| own.get("keys").and_then(Value::as_array))
    {
        Some(Some(keys)) if !keys.iter().any(is_private) => Ok(()),
        None => Ok(()),
        Some(_) => Err(Unfit::Metadata("jwks is a set of public keys")),
    }
}

/// Whether a browser may be sent there: never what a browser would run.
fn is_page(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_loopback(&url),
        _ => false,
    })
}

fn check_response_types(said: &Map<String, Value>) -> Result<(), Unfit> {
    let is_code = |list: &Vec<Value>| list.iter().any(|own| own == "code");
    match said.get("response_types") {
        None => Ok(()),
        Some(Value::Array(list)) if list.is_empty() || is_code(list) => Ok(()),
        Some(_) => Err(Unfit::Metadata("only the response type code exists")),
    }
}

fn taken(said: &Map<String, Value>) -> Map<String, Value> {
    let is_taken = |name: &str| match name.split_once('#') {
        None => TAKEN.contains(&name),
        Some((base, _)) => LOCALIZED.contains(&base),
    };
    let own = said
        .iter()
        .filter(|(name, value)| is_taken(name) && !value.is_null());
    own.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// How it proves itself. A document is public, so nothing in it can be a
/// secret.
fn method(said: &Map<String, Value>, told: Told) -> Result<ClientAuthentication, Unfit> {
    use ClientAuthentication as By;
    let named = match said.get("token_endpoint_auth_method") {
        None | Some(Value::Null) => None,
        Some(own) => Some(
            own.as_str()
                .and_then(|text| text.parse::<By>().ok())
                .ok_or(Unfit::Metadata("token_endpoint_auth_method is unknown"))?,
        ),
    };
    let has_secret = ["client_secret", "client_secret_expires_at"]
        .iter()
        .any(|name| said.contains_key(*name));
    match (told, named) {
        (Told::Document, _) if has_secret => {
            Err(Unfit::Metadata("a metadata document holds no secret"))
        }
        (Told::Document, None) => Ok(By::None),
        (Told::Registration, None) => Ok(By::ClientSecretBasic),
        (_, Some(own @ (By::None | By::PrivateKeyJwt))) => Ok(own),
        (
            Told::Registration,
            Some(own @ (By::ClientSecretBasic | By::ClientSecretPost | By::ClientSecretJwt)),
        ) => Ok(own),
        (Told::Document, Some(_)) => Err(Unfit::Metadata(
            "token_endpoint_auth_method of a metadata document is none or private_key_jwt",
        )),
        (Told::Registration, Some(_)) => Err(Unfit::Metadata(
            "token_endpoint_auth_method is none, by secret, or private_key_jwt",
        )),
    }
}

/// What was asked for of what a person can grant; never what a client could do
/// for itself alone.
fn grants(said: &Map<String, Value>) -> Result<Value, Unfit> {
    const GRANTS: [&str; 2] = ["authorization_code", "refresh_token"];
    let asked = match said.get("grant_types") {
        None | Some(Value::Null) => return Ok(vec![GRANTS[0]].into()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Unfit::Metadata("grant_types is a list")),
    };
    let is_asked = |own: &&str| asked.iter().any(|asked| asked == *own);
    let own: Vec<&str> = GRANTS.into_iter().filter(|own| is_asked(own)).collect();
    match own.contains(&GRANTS[0]) {
        true => Ok(own.into()),
        false => Err(Unfit::Metadata(
            "grant_types names authorization_code, which alone brings refresh_token",
        )),
    }
}

/// The scopes of the terms, whatever was asked for: what a client names when it
/// registers is what it needs first, and a server that asks for more later has
/// to be answered. A person decides each time.
fn scopes(said: &Map<String, Value>, terms: &Terms) -> Result<Scopes, Unfit> {
    let is_scopes = |own: &Value| {
        own.as_str()
            .is_some_and(|text| text.parse::<Scopes>().is_ok())
    };
    match said.get("scope") {
        Some(own) if !own.is_null() && !is_scopes(own) => {
            Err(Unfit::Metadata("scope is a text of scopes"))
        }
        _ => Ok(terms.scopes.clone()),
    }
}

/// What kind of program it is. One that got a secret of its own keeps it,
/// wherever it runs; one on a person's machine is told by where answers go.
fn kind(
    said: &Map<String, Value>,
    method: ClientAuthentication,
    redirect_uris: &[RedirectUri],
) -> &'static str {
    let is_native = said
        .get("application_type")
        .is_some_and(|own| own == "native");
    let on_machine = redirect_uris.iter().all(|own| !own.is_claimed_https());
    match method {
        ClientAuthentication::None if is_native || on_machine => "native",
        ClientAuthentication::None => "browser",
        ClientAuthentication::PrivateKeyJwt if is_native || on_machine => "native",
        _ => "web",
    }
}

#[cfg(test)]
mod tests;
