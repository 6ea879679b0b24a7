//! Whom a subject identifier means here.
//!
//! Spec: RFC 9493 §3.2

use symbolon_protocol::{Client, SubjectIdentifier};
use symbolon_store::{FindPerson, FindPersonByName, Person};
use symbolon_token::Id;

use crate::admin::canonical;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::grant::subject;

/// The person whom a client means: by the `sub` that the client sees, by an
/// e-mail address that was verified, or by user name.
pub(crate) async fn find(
    cx: &Cx,
    client: &Client,
    identifier: &SubjectIdentifier,
) -> Result<Option<Person>, Failure> {
    find_by(cx, identifier, |sub| subject::person(&cx.keys, client, sub)).await
}

/// The same as nobody's client sees people: by the public `sub`.
pub(crate) async fn find_public(
    cx: &Cx,
    identifier: &SubjectIdentifier,
) -> Result<Option<Person>, Failure> {
    find_by(cx, identifier, |sub| sub.parse().ok()).await
}

async fn find_by(
    cx: &Cx,
    identifier: &SubjectIdentifier,
    subject: impl Fn(&str) -> Option<Id<symbolon_token::Person>>,
) -> Result<Option<Person>, Failure> {
    use SubjectIdentifier as S;
    // Whoever is inside is simple.
    let mut simple = identifier;
    while let S::Complex { user, .. } = simple {
        simple = user;
    }
    match simple {
        S::IssSub { iss, sub } if *iss == cx.settings.issuer.as_str() => {
            by_id(cx, subject(sub)).await
        }
        S::IssSub { .. } | S::Complex { .. } => Ok(None),
        S::Opaque(sub) => by_id(cx, subject(sub)).await,
        S::Email(address) => by_email(cx, address).await,
        S::Account(uri) => match account(cx, uri) {
            Some(name) => by_name(cx, name).await,
            None => Ok(None),
        },
    }
}

async fn by_id(cx: &Cx, id: Option<Id<symbolon_token::Person>>) -> Result<Option<Person>, Failure> {
    match id {
        Some(id) => Ok(cx.store.read(FindPerson { id }).await?),
        None => Ok(None),
    }
}

/// An address that nobody has verified may be anybody's.
pub(crate) async fn by_email(cx: &Cx, address: &str) -> Result<Option<Person>, Failure> {
    if !address.contains('@') {
        return Ok(None);
    }
    let found = by_name(cx, address).await?;
    Ok(found.filter(|person| {
        let text = |name: &str| person.document.get(name).and_then(|value| value.as_str());
        let is_own = text("email").is_some_and(|own| canonical(own) == canonical(address));
        is_own && person.document.get("email_verified") == Some(&true.into())
    }))
}

/// The person who signs in under a name.
pub(crate) async fn by_name(cx: &Cx, name: &str) -> Result<Option<Person>, Failure> {
    let find = FindPersonByName {
        name: canonical(name),
    };
    Ok(cx.store.read(find).await?)
}

/// The user name in `acct:name@host`, where the host is this server's.
fn account<'a>(cx: &Cx, uri: &'a str) -> Option<&'a str> {
    let (name, host) = uri.strip_prefix("acct:")?.rsplit_once('@')?;
    let own = cx.settings.issuer.authority();
    let own = own.rsplit_once(':').map_or(own, |(own, _)| own);
    (host.eq_ignore_ascii_case(own) && !name.contains('@')).then_some(name)
}
