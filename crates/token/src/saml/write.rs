//! The text of assertions. Every name and value goes through the library's
//! writer, which escapes; nothing is put together by hand.
//!
//! Spec: SAML 2.0 Core §2
//! Spec: XML Signature §4
//! Spec: XML Encryption §3

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bergshamra_xml::uppsala::XmlWriter;
use symbolon_protocol::Timestamp;

use super::assertion::Attribute;
use super::encryption::{Encrypted, KeyTransport};
use super::names::{
    BEARER, DSIG, ELEMENT, ENVELOPED, EXCLUSIVE, MGF1_SHA256, RSA_OAEP, RSA_OAEP_MGF1P, SAML, SHA1,
    SHA256, XENC, XENC11,
};
use super::time;

/// What an assertion says.
pub(super) struct Said {
    pub(super) id: String,
    pub(super) issuer: String,
    pub(super) issued: Timestamp,
    pub(super) subject: String,
    pub(super) format: Cow<'static, str>,
    pub(super) qualifiers: [Option<String>; 2],
    pub(super) recipient: String,
    pub(super) in_response_to: Option<String>,
    pub(super) audience: String,
    pub(super) expires: Timestamp,
    pub(super) authentication: Option<(Timestamp, Cow<'static, str>)>,
    pub(super) session_index: Option<String>,
    pub(super) attributes: Vec<Attribute>,
}

/// What a signature says.
pub(super) struct Signed {
    pub(super) algorithm: &'static str,
    pub(super) digest: String,
    pub(super) value: String,
    pub(super) certificate: Option<String>,
}

/// Elements one inside the other.
struct Nested(XmlWriter);

impl Nested {
    fn around(&mut self, name: &str, attributes: &[(&str, &str)], inside: impl FnOnce(&mut Self)) {
        self.0.start_element(name, attributes);
        inside(self);
        self.0.end_element(name);
    }

    fn text(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.around(name, attributes, |own| own.0.text(text));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.empty_element(name, attributes);
    }
}

/// The text of an assertion, with its signature where there is one already.
pub(super) fn assertion(said: &Said, signed: Option<&Signed>) -> String {
    let mut out = Nested(XmlWriter::new());
    let issued = time::write(said.issued);
    let own = [
        ("xmlns:saml", SAML),
        ("Version", "2.0"),
        ("ID", &said.id),
        ("IssueInstant", &issued),
    ];
    out.around("saml:Assertion", &own, |out| {
        out.text("saml:Issuer", &[], &said.issuer);
        if let Some(signed) = signed {
            signature(out, said, signed);
        }
        subject(out, said);
        conditions(out, said, &issued);
        statements(out, said);
    });
    out.0.into_string()
}

fn signature(out: &mut Nested, said: &Said, signed: &Signed) {
    let reference = format!("#{}", said.id);
    out.around("ds:Signature", &[("xmlns:ds", DSIG)], |out| {
        out.around("ds:SignedInfo", &[], |out| {
            out.empty("ds:CanonicalizationMethod", &[("Algorithm", EXCLUSIVE)]);
            out.empty("ds:SignatureMethod", &[("Algorithm", signed.algorithm)]);
            out.around("ds:Reference", &[("URI", &reference)], |out| {
                out.around("ds:Transforms", &[], |out| {
                    out.empty("ds:Transform", &[("Algorithm", ENVELOPED)]);
                    out.empty("ds:Transform", &[("Algorithm", EXCLUSIVE)]);
                });
                out.empty("ds:DigestMethod", &[("Algorithm", SHA256)]);
                out.text("ds:DigestValue", &[], &signed.digest);
            });
        });
        out.text("ds:SignatureValue", &[], &signed.value);
        if let Some(certificate) = &signed.certificate {
            out.around("ds:KeyInfo", &[], |out| {
                out.around("ds:X509Data", &[], |out| {
                    out.text("ds:X509Certificate", &[], certificate);
                });
            });
        }
    });
}

fn subject(out: &mut Nested, said: &Said) {
    let expires = time::write(said.expires);
    let mut data = vec![
        ("NotOnOrAfter", expires.as_str()),
        ("Recipient", said.recipient.as_str()),
    ];
    data.extend(
        said.in_response_to
            .as_deref()
            .map(|own| ("InResponseTo", own)),
    );
    let mut name = vec![("Format", &*said.format)];
    let qualified = ["NameQualifier", "SPNameQualifier"].into_iter();
    name.extend(
        qualified
            .zip(&said.qualifiers)
            .filter_map(|(name, own)| Some((name, own.as_deref()?))),
    );
    out.around("saml:Subject", &[], |out| {
        out.text("saml:NameID", &name, &said.subject);
        out.around("saml:SubjectConfirmation", &[("Method", BEARER)], |out| {
            out.empty("saml:SubjectConfirmationData", &data);
        });
    });
}

fn conditions(out: &mut Nested, said: &Said, issued: &str) {
    let expires = time::write(said.expires);
    let span = [("NotBefore", issued), ("NotOnOrAfter", &expires)];
    out.around("saml:Conditions", &span, |out| {
        out.around("saml:AudienceRestriction", &[], |out| {
            out.text("saml:Audience", &[], &said.audience);
        });
    });
}

fn statements(out: &mut Nested, said: &Said) {
    if let Some((when, context)) = &said.authentication {
        let when = time::write(*when);
        let mut own = vec![("AuthnInstant", when.as_str())];
        own.extend(
            said.session_index
                .as_deref()
                .map(|own| ("SessionIndex", own)),
        );
        out.around("saml:AuthnStatement", &own, |out| {
            out.around("saml:AuthnContext", &[], |out| {
                out.text("saml:AuthnContextClassRef", &[], context);
            });
        });
    }
    if said.attributes.is_empty() {
        return;
    }
    out.around("saml:AttributeStatement", &[], |out| {
        for attribute in &said.attributes {
            let mut own = vec![("Name", attribute.name.as_str())];
            own.extend(attribute.format.as_deref().map(|own| ("NameFormat", own)));
            out.around("saml:Attribute", &own, |out| {
                for value in &attribute.values {
                    out.text("saml:AttributeValue", &[], value);
                }
            });
        }
    });
}

/// The text of an encrypted assertion.
pub(super) fn encrypted(encrypted: &Encrypted) -> String {
    let mut out = Nested(XmlWriter::new());
    let cipher = |out: &mut Nested, bytes: &[u8]| {
        let text = BASE64_STANDARD.encode(bytes);
        out.around("xenc:CipherData", &[], |out| {
            out.text("xenc:CipherValue", &[], &text);
        });
    };
    out.around("saml:EncryptedAssertion", &[("xmlns:saml", SAML)], |out| {
        let own = [("xmlns:xenc", XENC), ("Type", ELEMENT)];
        out.around("xenc:EncryptedData", &own, |out| {
            let method = [("Algorithm", encrypted.cipher.uri())];
            out.empty("xenc:EncryptionMethod", &method);
            out.around("ds:KeyInfo", &[("xmlns:ds", DSIG)], |out| {
                let named = encrypted.key_id.as_deref().map(|own| ("Id", own));
                let named: Vec<_> = named.into_iter().collect();
                out.around("xenc:EncryptedKey", &named, |out| {
                    method_of_key(out, encrypted.transport);
                    cipher(out, &encrypted.key);
                });
            });
            cipher(out, &encrypted.data);
        });
    });
    out.0.into_string()
}

fn method_of_key(out: &mut Nested, transport: KeyTransport) {
    let (algorithm, digest) = match transport {
        KeyTransport::OaepSha256 => (RSA_OAEP, SHA256),
        KeyTransport::OaepSha1 => (RSA_OAEP_MGF1P, SHA1),
    };
    out.around(
        "xenc:EncryptionMethod",
        &[("Algorithm", algorithm)],
        |out| {
            out.empty("ds:DigestMethod", &[("Algorithm", digest)]);
            if transport == KeyTransport::OaepSha256 {
                let own = [("xmlns:xenc11", XENC11), ("Algorithm", MGF1_SHA256)];
                out.empty("xenc11:MGF", &own);
            }
        },
    );
}
