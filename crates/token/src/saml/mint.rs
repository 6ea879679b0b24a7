//! Writing an authority as an assertion.
//!
//! Spec: RFC 7522 §3
//! Spec: RFC 8693 §3
//! Spec: SAML 2.0 Core §2.3.3, §5.4

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use symbolon_protocol::{SigningAlgorithm, Timestamp};

use super::assertion::{Attribute, MAX_ATTRIBUTES, MAX_VALUE_BYTES};
use super::certificate::Certificate;
use super::claims;
use super::encryption::Recipient;
use super::names::{ECDSA_SHA256, PASSWORD, RSA_SHA256, UNSPECIFIED};
use super::write::{self, Said, Signed};
use super::xml::Xml;
use crate::authority::Authority;
use crate::clock::Entropy;
use crate::jose::SigningKey;
use crate::jwt::{self, Written};
use crate::secret::Digest;

/// What kind of name the subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameFormat {
    /// The same at every sign-in, and this issuer's own.
    #[default]
    Persistent,
    /// Made for one session.
    Transient,
    /// An address of electronic mail.
    EmailAddress,
    /// Nothing is said about it.
    Unspecified,
}

impl NameFormat {
    /// Its URI (SAML 2.0 Core §8.3).
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Persistent => "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
            Self::Transient => "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
            Self::EmailAddress => "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
            Self::Unspecified => "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
        }
    }
}

/// What an assertion says besides what every token says.
#[derive(Debug, Clone, Copy)]
pub struct Rendering<'a> {
    /// What kind of name the subject is.
    pub format: NameFormat,
    /// In whose eyes the name is unique, and for whom it was made, where that
    /// is said (`NameQualifier`, `SPNameQualifier`).
    pub qualifiers: [Option<&'a str>; 2],
    /// Where it is to be handed over.
    pub recipient: &'a str,
    /// Which request it answers.
    pub in_response_to: Option<&'a str>,
    /// In which session, as the relying party may name it at logout.
    pub session_index: Option<&'a str>,
    /// What else is said about the subject.
    pub attributes: &'a [Attribute],
    /// The certificate of the signing key, for readers that want to see it.
    pub certificate: Option<&'a Certificate>,
    /// To whom it is encrypted, with randomness for that.
    pub encrypt_to: Option<(&'a Recipient, &'a dyn Entropy)>,
}

/// Why an authority cannot be written as an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unwritable {
    /// It is bound to a key, and a bearer assertion would set it free.
    #[error("a token that is bound to a key cannot become a bearer assertion")]
    Bound,
    /// It has no audience, or several.
    #[error("an assertion has one audience")]
    Audience,
    /// The key signs under an algorithm that assertions do not have here.
    #[error("assertions are signed under RS256 or ES256")]
    Algorithm,
    /// It says what XML cannot carry, or too much.
    #[error("the assertion would hold characters that XML has not, or too many")]
    Text,
    /// An attribute has the name of a claim, or one name is there twice.
    #[error("an attribute has the name of a claim or of another attribute")]
    Name,
    /// The recipient's key could not encrypt it.
    #[error("the assertion could not be encrypted")]
    Encryption,
}

impl Unwritable {
    /// A stable word for logs and scripts.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Bound => "bound_to_key",
            Self::Audience => "not_one_audience",
            Self::Algorithm => "algorithm_not_allowed",
            Self::Text => "not_text_of_xml",
            Self::Name => "attribute_name_taken",
            Self::Encryption => "cannot_encrypt",
        }
    }
}

/// Writes an authority of one audience as a signed assertion, encrypted where
/// that is asked for, in the form that token requests and answers carry:
/// base64url without padding.
pub fn mint(
    key: &SigningKey,
    written: &Written<'_>,
    rendering: &Rendering<'_>,
    authority: &Authority,
) -> Result<String, Unwritable> {
    if authority.binding().is_bound() {
        return Err(Unwritable::Bound);
    }
    let algorithm = match key.algorithm() {
        SigningAlgorithm::Rs256 => RSA_SHA256,
        SigningAlgorithm::Es256 => ECDSA_SHA256,
        _ => return Err(Unwritable::Algorithm),
    };
    let said = said(written, rendering, authority)?;
    check_text(&said)?;
    let mut xml = sign(key, algorithm, &said, rendering.certificate)?;
    if xml.len() > super::MAX_ASSERTION_BYTES {
        return Err(Unwritable::Text);
    }
    if let Some((recipient, entropy)) = rendering.encrypt_to {
        let encrypted = recipient.encrypt(&xml, entropy);
        let encrypted = encrypted.map_err(|_| Unwritable::Encryption)?;
        xml = write::encrypted(&encrypted);
    }
    Ok(BASE64_URL_SAFE_NO_PAD.encode(xml))
}

fn said(
    written: &Written<'_>,
    rendering: &Rendering<'_>,
    authority: &Authority,
) -> Result<Said, Unwritable> {
    let [audience] = authority.audiences() else {
        return Err(Unwritable::Audience);
    };
    let mut attributes = claims::to_attributes(&jwt::claims(written, authority));
    for own in rendering.attributes {
        let taken = claims::is_reserved(&own.name)
            || attributes
                .iter()
                .any(|there| there.name == own.name && there.format == own.format);
        if taken || attributes.len() == MAX_ATTRIBUTES {
            return Err(Unwritable::Name);
        }
        attributes.push(own.clone());
    }
    let authentication = authority.authentication().map(|own| {
        let password = own.amr.iter().any(|method| &**method == "pwd");
        let context = if password { PASSWORD } else { UNSPECIFIED };
        (own.time_by(written.issued), context.into())
    });
    Ok(Said {
        id: format!("{}{}", claims::ID_PREFIX, written.token),
        issuer: written.issuer.as_str().to_owned(),
        issued: Timestamp::from_seconds(written.issued.seconds()),
        subject: written.subject.to_owned(),
        format: rendering.format.uri().into(),
        qualifiers: rendering.qualifiers.map(|own| own.map(str::to_owned)),
        recipient: rendering.recipient.to_owned(),
        in_response_to: rendering.in_response_to.map(str::to_owned),
        audience: audience.as_str().to_owned(),
        expires: authority.expires(),
        authentication,
        session_index: rendering.session_index.map(str::to_owned),
        attributes,
    })
}

/// What cannot be written is refused, so that what is read is what was said:
/// an escape would come back as itself, but there is none for most controls.
fn check_text(said: &Said) -> Result<(), Unwritable> {
    let plain = |text: &str| {
        (1..=MAX_VALUE_BYTES).contains(&text.len())
            && !text
                .chars()
                .any(|one| one.is_control() || is_no_character(one))
    };
    let free = |text: &str| {
        let control = |one: char| one.is_control() && !matches!(one, '\t' | '\n' | '\r');
        text.len() <= MAX_VALUE_BYTES
            && !text.chars().any(|one| control(one) || is_no_character(one))
    };
    let names = [
        Some(&said.issuer),
        Some(&said.subject),
        Some(&said.recipient),
        Some(&said.audience),
        said.in_response_to.as_ref(),
        said.session_index.as_ref(),
    ];
    let named = names.into_iter().flatten().all(|text| plain(text));
    let attributes = said.attributes.iter().all(|own| {
        plain(&own.name)
            && own.format.as_deref().is_none_or(plain)
            && own.values.iter().all(|value| free(value))
    });
    if named && attributes {
        Ok(())
    } else {
        Err(Unwritable::Text)
    }
}

/// The two code points of the basic plane that XML 1.0 leaves out.
const fn is_no_character(one: char) -> bool {
    matches!(one, '\u{fffe}' | '\u{ffff}')
}

/// Signs what will be read: digest and signature are made over the canonical
/// form of the parsed text, by the code that verifies.
fn sign(
    key: &SigningKey,
    algorithm: &'static str,
    said: &Said,
    certificate: Option<&Certificate>,
) -> Result<String, Unwritable> {
    let refused = |_| Unwritable::Text;
    let bare = Xml::parse(&write::assertion(said, None)).map_err(refused)?;
    let root = bare.root().map_err(refused)?;
    let covered = root.canonical(None, &[]).map_err(refused)?;
    let mut signed = Signed {
        algorithm,
        digest: BASE64_STANDARD.encode(Digest::of(&covered).as_bytes()),
        value: String::new(),
        certificate: certificate.map(Certificate::to_base64),
    };
    let unsigned = Xml::parse(&write::assertion(said, Some(&signed))).map_err(refused)?;
    let info = unsigned
        .root()
        .map_err(refused)?
        .descendants()
        .find(|element| element.is(super::names::DSIG, "SignedInfo"))
        .ok_or(Unwritable::Text)?;
    let info = info.canonical(None, &[]).map_err(refused)?;
    signed.value = BASE64_STANDARD.encode(key.sign_bytes(&info));
    Ok(write::assertion(said, Some(&signed)))
}
