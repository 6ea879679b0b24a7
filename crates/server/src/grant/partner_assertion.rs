//! SAML assertions of trusted issuers: checked with the certificates of their
//! registration, and worth what it says.
//!
//! Spec: RFC 7521 §5.2
//! Spec: RFC 7522 §3
//! Spec: SAML 2.0 Core §2.2.2, §8.3

use std::borrow::Cow;

use symbolon_protocol::{Client, TrustedIssuer};
use symbolon_token::act;
use symbolon_token::saml::{
    Assertion, Certificate, Expected, NameFormat, NameId, Presented, Refused, Trusted,
};

use super::saml2;
use super::trusted_issuer::{Checked, Claims, MAX_LIFETIME, Sent, Vouched, authority, registered};
use crate::cx::Cx;

/// How long the URI of a name's format may be, in bytes.
const MAX_FORMAT_BYTES: usize = 256;

/// Checks an assertion; the error says for the log what is wrong.
pub(crate) fn verify(
    cx: &Cx,
    client: &Client,
    text: &str,
    sent: Sent,
) -> Result<Vouched, &'static str> {
    let presented = saml2::presented(cx, text).map_err(|refused| refused.code())?;
    vouched(cx, client, &presented, sent)
}

/// The same for one that was taken apart already.
pub(crate) fn vouched(
    cx: &Cx,
    client: &Client,
    presented: &Presented,
    sent: Sent,
) -> Result<Vouched, &'static str> {
    let issuer = registered(cx, client, presented.claimed_issuer())?;
    if issuer.saml_certificate.is_none() {
        return Err("the issuer is trusted for JWTs alone");
    }
    let opened = open(cx, &issuer, presented, sent).map_err(|refused| refused.code())?;
    let checked = checked(&opened, &issuer, sent)?;
    if checked.expires <= cx.now {
        return Err("it has expired");
    }
    Ok(Vouched {
        // Its attributes are the issuer's own words: none of them gives anything.
        authority: authority(cx, client, &issuer, &Claims::new(), &checked)?,
        name: checked.name(),
        jti: checked.jti.map(str::to_owned),
        acceptable_until: checked.expires + cx.settings.clock_skew,
        issuer,
    })
}

/// Checks an assertion against the registration of its issuer, whoever sends it.
pub(crate) fn open(
    cx: &Cx,
    issuer: &TrustedIssuer,
    presented: &Presented,
    sent: Sent,
) -> Result<Assertion, Refused> {
    let text = issuer.saml_certificate.as_deref();
    let certificates = Certificate::parse_all(text.ok_or(Refused::NoKey)?);
    let certificates = certificates.map_err(|_| Refused::NoKey)?;
    let trusted = Trusted::by_certificates(issuer.issuer.as_str(), &certificates)
        .map_err(|_| Refused::NoKey)?;
    let endpoint = cx.settings.issuer.endpoint("/token");
    let mut audiences = vec![cx.settings.issuer.as_str(), endpoint.as_str()];
    if sent == Sent::AsToken {
        audiences.extend(issuer.audiences.iter().map(String::as_str));
    }
    let expected = Expected {
        audiences: &audiences,
        recipients: &[&endpoint],
        in_response_to: None,
        longest: MAX_LIFETIME + cx.settings.clock_skew,
        skew: cx.settings.clock_skew,
        now: cx.now,
    };
    let opened = presented.open(&trusted, &expected)?;
    check_name(opened.subject(), issuer, &audiences)?;
    among(opened.subject(), issuer)?;
    Ok(opened)
}

/// Whether the same letters mean the same person each time, at this server.
/// The subject is made of them and their format alone, so a name that is
/// qualified otherwise would be taken for somebody else's.
fn check_name(name: &NameId, issuer: &TrustedIssuer, here: &[&str]) -> Result<(), Refused> {
    let refused = |why| Err(Refused::Name(why));
    if name.format.as_deref() == Some(NameFormat::Transient.uri()) {
        return refused("NameID is transient: it names somebody for one session alone");
    }
    let qualifier = name.qualifier.as_deref();
    if qualifier.is_some_and(|own| own != issuer.issuer.as_str()) {
        return refused(
            "NameQualifier is not the issuer, so another NameID of the same letters may be somebody else",
        );
    }
    let made_for = name.sp_qualifier.as_deref();
    if made_for.is_some_and(|own| !here.contains(&own)) {
        return refused("SPNameQualifier is not this server: the name was made for another one");
    }
    Ok(())
}

/// Among which names a name is one: those of the issuer, or of one format of
/// them. `carol` as an address is not `carol` as a persistent name, so the
/// format stands behind the issuer, which has no fragment of its own. A name
/// without a format has the unspecified one (SAML 2.0 Core §2.2.2).
fn among<'a>(name: &NameId, issuer: &'a TrustedIssuer) -> Result<Cow<'a, str>, Refused> {
    let own = issuer.issuer.as_str();
    let format = name.format.as_deref();
    let said = |format: &str| Ok(format!("{own}#{format}").into());
    match format {
        None => Ok(own.into()),
        Some(format) if format == NameFormat::Unspecified.uri() => Ok(own.into()),
        Some(format) if format == NameFormat::Persistent.uri() => said("persistent"),
        Some(format) if format == NameFormat::EmailAddress.uri() => said("emailAddress"),
        // A URI has a colon, so it is none of the words; and with a bar in it
        // nobody could tell where the name begins.
        Some(format) if is_uri(format) => said(format),
        Some(_) => Err(Refused::Name("the format of NameID is not a URI")),
    }
}

fn is_uri(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'|' | b'"' | b'\\' | b'#');
    text.len() <= MAX_FORMAT_BYTES && text.contains(':') && text.bytes().all(plain)
}

fn checked<'a>(
    assertion: &'a Assertion,
    issuer: &'a TrustedIssuer,
    sent: Sent,
) -> Result<Checked<'a>, &'static str> {
    let subject = assertion.subject().value.as_str();
    if !act::is_name(subject) {
        return Err("NameID is not a name");
    }
    // What is exchanged is not remembered, so it could be shown again.
    if sent == Sent::AsToken && assertion.is_for_one_use() {
        return Err("the assertion is for one use: it is a grant, not a token");
    }
    let among = among(assertion.subject(), issuer).map_err(|refused| refused.code())?;
    Ok(Checked {
        subject,
        among,
        jti: Some(assertion.id()),
        expires: assertion.expires(),
    })
}
