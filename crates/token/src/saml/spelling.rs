//! Whether an assertion is spelled as it is written here.
//!
//! A signature covers the canonical form, and many texts have the same one. Of
//! what this server wrote itself it knows the one text: what was read is
//! written again, and has to come out the same. Of what others wrote nobody
//! knows it, so there any spelling will do.
//!
//! Spec: SAML 2.0 Core §5.4
//! Spec: XML Signature §8.1

use std::borrow::Cow;

use super::assertion::Read;
use super::refused::Refused;
use super::signature;
use super::write::{self, Said};
use super::xml::Element;

/// Whether the text is the one that is written for what was read of it, and of
/// the signature on the element.
pub(super) fn is_as_written(signed: Element<'_>, read: &Read, xml: &str) -> Result<bool, Refused> {
    let signature = signature::as_written(signed)?;
    let is_same = |(said, signed)| write::assertion(&said, Some(&signed)) == xml;
    Ok(said(read).zip(signature).is_some_and(is_same))
}

/// What was read, as it would be said; nothing where that is never said here.
fn said(read: &Read) -> Option<Said> {
    let ([bearer], [audiences]) = (read.bearers.as_slice(), read.audiences.as_slice()) else {
        return None;
    };
    let [audience] = audiences.as_slice() else {
        return None;
    };
    let authentication = match &read.authentication {
        Some(own) => Some((own.time, Cow::Owned(own.context.clone()?))),
        None => None,
    };
    let session = read.authentication.as_ref();
    let subject = &read.subject;
    Some(Said {
        id: read.id.clone(),
        issuer: read.issuer.clone(),
        issued: read.issued,
        subject: subject.value.clone(),
        format: subject.format.clone()?.into(),
        qualifiers: [subject.qualifier.clone(), subject.sp_qualifier.clone()],
        recipient: bearer.recipient.clone()?,
        in_response_to: bearer.in_response_to.clone(),
        audience: audience.clone(),
        expires: read.expires?,
        authentication,
        session_index: session.and_then(|own| own.session.clone()),
        attributes: read.attributes.clone(),
    })
}
