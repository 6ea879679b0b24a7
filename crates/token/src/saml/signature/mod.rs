//! The one form of signature that is written and accepted.
//!
//! The question is never "does this document have a good signature", but "is
//! this element, which is about to be read, signed". So the check begins at the
//! element and looks for the signature among its own children.
//!
//! Spec: XML Signature §3.2, §4, §6
//! Spec: SAML 2.0 Core §5.4

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::names::{
    DSIG, ECDSA_SHA256, ECDSA_SHA384, ENVELOPED, EXCLUSIVE, RSA_SHA256, SHA256, SHA384, SHA512,
};
use super::refused::Refused;
use super::write::Signed;
use super::xml::Element;
use crate::jose::{Algorithm, VerifyingKey, is_lower};

/// How many prefixes a canonical form may be told to keep.
const MAX_PREFIXES: usize = 32;

/// Checks that one of the keys signed exactly this element, and says which.
///
/// 1. One signature is among the children; none is anywhere else.
/// 2. Its one reference names the element by its ID, and the transforms are
///    the enveloped and the exclusive canonical one, in this order.
/// 3. Digest and signature match. What stands in `KeyInfo` is not looked at.
pub(super) fn verify<'k>(
    signed: Element<'_>,
    keys: &[&'k VerifyingKey],
) -> Result<&'k VerifyingKey, Refused> {
    let signature = find(signed)?;
    let parts = Parts::read(signature)?;
    let id = signed.attribute("ID").ok_or(Refused::Schema("ID"))?;
    if parts.reference.strip_prefix('#') != Some(id) {
        return Err(Refused::Scope);
    }

    // The digest is compared first: it is public, so no time is hidden, and a
    // key is never used for what cannot be good.
    let covered = signed.canonical(Some(signature), &parts.prefixes)?;
    let digest = digest::digest(parts.digest, &covered);
    if digest.as_ref() != parts.digest_value {
        return Err(Refused::Signature);
    }
    let info = parts.info.canonical(None, &parts.info_prefixes)?;
    let mut fitting = keys
        .iter()
        .filter(|key| key.algorithm() == parts.algorithm)
        .peekable();
    if fitting.peek().is_none() {
        return Err(Refused::Algorithm);
    }
    fitting
        .find(|key| key.verifies(&info, &parts.value))
        .copied()
        .ok_or(Refused::Signature)
}

/// The signature on an element, as it is written here; nothing where it is one
/// that this software never writes. Whether it is good, [`verify`] says.
pub(super) fn as_written(signed: Element<'_>) -> Result<Option<Signed>, Refused> {
    let parts = Parts::read(find(signed)?)?;
    let algorithm = match parts.algorithm {
        Algorithm::Rs256 => RSA_SHA256,
        Algorithm::Es256 => ECDSA_SHA256,
        _ => return Ok(None),
    };
    // Of the two signatures that ECDSA has for each, one is written.
    let is_own = is_lower(parts.algorithm, &parts.value);
    Ok(is_own.then(|| Signed {
        algorithm,
        digest: BASE64_STANDARD.encode(&parts.digest_value),
        value: BASE64_STANDARD.encode(&parts.value),
        certificate: None,
    }))
}

/// The signature that is a child of the element, and the only one in it.
fn find(signed: Element<'_>) -> Result<Element<'_>, Refused> {
    let mut own = signed
        .children()?
        .into_iter()
        .filter(|child| child.is(DSIG, "Signature"));
    let (Some(signature), None) = (own.next(), own.next()) else {
        return Err(Refused::Unsigned);
    };
    let alone = signed
        .descendants()
        .filter(|element| element.is(DSIG, "Signature"))
        .all(|other| other.is_same(signature));
    if alone {
        Ok(signature)
    } else {
        Err(Refused::Scope)
    }
}

/// A signature taken apart. Only the one form of it can be.
struct Parts<'a> {
    info: Element<'a>,
    info_prefixes: Vec<&'a str>,
    algorithm: Algorithm,
    reference: &'a str,
    prefixes: Vec<&'a str>,
    digest: &'static digest::Algorithm,
    digest_value: Vec<u8>,
    value: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn read(signature: Element<'a>) -> Result<Self, Refused> {
        let (info, value) = match signature.children()?.as_slice() {
            [info, value] => (*info, *value),
            [info, value, key] if key.is(DSIG, "KeyInfo") => (*info, *value),
            _ => return Err(Refused::Schema("Signature")),
        };
        if !info.is(DSIG, "SignedInfo") || !value.is(DSIG, "SignatureValue") {
            return Err(Refused::Schema("Signature"));
        }
        signature.only_attributes(&["Id"])?;
        let info_children = info.children()?;
        let [canonicalization, method, reference] = info_children.as_slice() else {
            return Err(Refused::Schema("SignedInfo"));
        };
        let right = canonicalization.is(DSIG, "CanonicalizationMethod")
            && method.is(DSIG, "SignatureMethod")
            && reference.is(DSIG, "Reference");
        if !right {
            return Err(Refused::Schema("SignedInfo"));
        }
        reference.only_attributes(&["URI", "Id", "Type"])?;
        let reference_children = reference.children()?;
        let [transforms, method_of_digest, digest_value] = reference_children.as_slice() else {
            return Err(Refused::Schema("Reference"));
        };
        let right = transforms.is(DSIG, "Transforms")
            && method_of_digest.is(DSIG, "DigestMethod")
            && digest_value.is(DSIG, "DigestValue");
        if !right {
            return Err(Refused::Schema("Reference"));
        }
        Ok(Self {
            info,
            info_prefixes: exclusive(*canonicalization)?,
            algorithm: algorithm(*method)?,
            reference: reference.attribute("URI").ok_or(Refused::Scope)?,
            prefixes: transformed(*transforms)?,
            digest: digest_algorithm(*method_of_digest)?,
            digest_value: base64(*digest_value)?,
            value: base64(value)?,
        })
    }
}

/// The enveloped transform, then the exclusive canonical one.
fn transformed<'a>(transforms: Element<'a>) -> Result<Vec<&'a str>, Refused> {
    let children = transforms.children()?;
    let [enveloped, canonical] = children.as_slice() else {
        return Err(Refused::Transform);
    };
    let right = enveloped.is(DSIG, "Transform")
        && canonical.is(DSIG, "Transform")
        && enveloped.attribute("Algorithm") == Some(ENVELOPED)
        && enveloped.children()?.is_empty();
    if right {
        exclusive(*canonical)
    } else {
        Err(Refused::Transform)
    }
}

/// The prefixes that an exclusive canonical form is told to keep.
fn exclusive<'a>(method: Element<'a>) -> Result<Vec<&'a str>, Refused> {
    if method.attribute("Algorithm") != Some(EXCLUSIVE) {
        return Err(Refused::Transform);
    }
    match method.children()?.as_slice() {
        [] => Ok(Vec::new()),
        [list] if list.is(EXCLUSIVE, "InclusiveNamespaces") => {
            let list = list.attribute("PrefixList").ok_or(Refused::Transform)?;
            let prefixes: Vec<_> = list.split_ascii_whitespace().collect();
            if prefixes.len() > MAX_PREFIXES {
                return Err(Refused::TooLarge("prefixes"));
            }
            Ok(prefixes)
        }
        _ => Err(Refused::Transform),
    }
}

/// An algorithm of signatures, by its whole name.
fn algorithm(method: Element<'_>) -> Result<Algorithm, Refused> {
    let name = method.attribute("Algorithm");
    let named = match name {
        Some(RSA_SHA256) => Algorithm::Rs256,
        Some(ECDSA_SHA256) => Algorithm::Es256,
        Some(ECDSA_SHA384) => Algorithm::Es384,
        _ => return Err(Refused::Algorithm),
    };
    if method.children()?.is_empty() {
        Ok(named)
    } else {
        Err(Refused::Algorithm)
    }
}

fn digest_algorithm(method: Element<'_>) -> Result<&'static digest::Algorithm, Refused> {
    if !method.children()?.is_empty() {
        return Err(Refused::Algorithm);
    }
    match method.attribute("Algorithm") {
        Some(SHA256) => Ok(&digest::SHA256),
        Some(SHA384) => Ok(&digest::SHA384),
        Some(SHA512) => Ok(&digest::SHA512),
        _ => Err(Refused::Algorithm),
    }
}

/// Base64 of bytes, in lines or not. A comment in it is refused: signer and
/// verifier might take it for different values.
pub(super) fn base64(element: Element<'_>) -> Result<Vec<u8>, Refused> {
    let mut text = element.uninterrupted_text()?;
    text.retain(|letter| !letter.is_ascii_whitespace());
    BASE64_STANDARD
        .decode(text)
        .map_err(|_| Refused::Schema("base64"))
}

#[cfg(test)]
mod tests;
