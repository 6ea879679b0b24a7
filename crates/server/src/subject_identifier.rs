//! Whom a subject identifier means here.
//!
//! Spec: RFC 9493 §3.2

use symbolon_protocol::{Client, SubjectIdentifier};
use symbolon_store::{FindPerson, FindPersonByName, Person};

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
    use SubjectIdentifier as S;
    match identifier {
        S::IssSub { iss, sub } if *iss == cx.settings.issuer.as_str() => {
            by_subject(cx, client, sub).await
        }
        S::IssSub { .. } => Ok(None),
        S::Opaque(sub) => by_subject(cx, client, sub).await,
        S::Email(address) => by_email(cx, address).await,
        S::Account(uri) => match account(cx, uri) {
            Some(name) => by_name(cx, name).await,
            None => Ok(None),
        },
        // Whoever is inside is simple, so this ends.
        S::Complex { user, .. } => Box::pin(find(cx, client, user)).await,
    }
}

async fn by_subject(cx: &Cx, client: &Client, sub: &str) -> Result<Option<Person>, Failure> {
    let Some(id) = subject::person(&cx.keys, client, sub) else {
        return Ok(None);
    };
    Ok(cx.store.read(FindPerson { id }).await?)
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
