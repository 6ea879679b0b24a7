//! Why an assertion is not accepted, with a stable word for each reason.

use symbolon_protocol::Timestamp;

use crate::explain::Check;

/// One failed check of an assertion. The variants stand in the order in which
/// the checks are made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is not base64url, not UTF-8, or not well-formed XML.
    #[error("assertion is not base64url of well-formed XML in UTF-8")]
    Malformed,
    /// It passes a limit; the word says which.
    #[error("assertion has too many or too long {0}")]
    TooLarge(&'static str),
    /// It has a document type, and with it a way to define entities.
    #[error("assertion has a document type")]
    DocumentType,
    /// It has a CDATA section or a processing instruction.
    #[error("assertion has a CDATA section or a processing instruction")]
    Section,
    /// Two of its elements have the same ID, or one has two.
    #[error("an ID is there twice")]
    DuplicateId,
    /// The document is something else than one assertion.
    #[error("the document is not one assertion")]
    NotAnAssertion,
    /// It was not encrypted for a key of ours, or in a way that is not allowed,
    /// or it was changed. No more is said, so that nobody can learn from it.
    #[error("the assertion could not be decrypted")]
    Encrypted,
    /// It breaks the schema at the named element, or has there what is not
    /// understood.
    #[error("`{0}` is not as the schema has it, or says what is not understood")]
    Schema(&'static str),
    /// Its issuer is not trusted here.
    #[error("issuer: `{found}` is not trusted here")]
    Issuer {
        /// Whom it names.
        found: String,
    },
    /// The issuer has no key that is good now.
    #[error("signature: the issuer has no certificate that is valid now")]
    NoKey,
    /// There is no signature on the assertion itself.
    #[error("signature: the assertion itself carries none")]
    Unsigned,
    /// The signature covers something else than the assertion that is read.
    #[error("signature: it covers something else than this assertion")]
    Scope,
    /// It was made under an algorithm that is not allowed here.
    #[error("signature: its algorithm is not allowed here")]
    Algorithm,
    /// What was signed was transformed in a way that is not allowed here.
    #[error("signature: its transforms are not allowed here")]
    Transform,
    /// No key of the issuer made this signature over these bytes.
    #[error("signature: it does not match")]
    Signature,
    /// It is one of this server's own, in another spelling than it was written.
    #[error("signature: the assertion is not spelled as this server wrote it")]
    Spelling,
    /// It has ended.
    #[error("expiry: the assertion ended at {expires} (it is {now})")]
    Expired {
        /// When.
        expires: Timestamp,
        /// What time it is.
        now: Timestamp,
    },
    /// It has not begun.
    #[error("expiry: the assertion begins at {begins} (it is {now})")]
    NotYet {
        /// When it begins.
        begins: Timestamp,
        /// What time it is.
        now: Timestamp,
    },
    /// It lives longer than is accepted here.
    #[error("expiry: the assertion lives until {expires}, longer than is accepted here")]
    TooLong {
        /// Until when.
        expires: Timestamp,
    },
    /// It is meant for somebody else, or for nobody in particular.
    #[error("audience: the assertion is meant for `{}`", found.join("`, `"))]
    Audience {
        /// Whom it names.
        found: Vec<String>,
    },
    /// Its name is somebody else's here: made for another service, unique in
    /// another's eyes, or for one session alone.
    #[error("audience: {0}")]
    Name(&'static str),
    /// No bearer may hand it over here: the recipient differs.
    #[error("audience: the assertion is to be handed over at `{}`", found.join("`, `"))]
    Recipient {
        /// Where it says.
        found: Vec<String>,
    },
    /// It answers another request, or none.
    #[error("audience: the assertion answers another request, or none")]
    InResponseTo,
}

impl Refused {
    /// Which check failed.
    pub const fn check(&self) -> Check {
        match self {
            Self::Expired { .. } | Self::NotYet { .. } | Self::TooLong { .. } => Check::Expiry,
            Self::Issuer { .. } => Check::Issuer,
            Self::Audience { .. } | Self::Name(_) | Self::Recipient { .. } | Self::InResponseTo => {
                Check::Audience
            }
            _ => Check::Signature,
        }
    }

    /// A stable word for logs and scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge(_) => "too_large",
            Self::DocumentType => "document_type",
            Self::Section => "unparsed_section",
            Self::DuplicateId => "duplicate_id",
            Self::NotAnAssertion => "not_an_assertion",
            Self::Encrypted => "cannot_decrypt",
            Self::Schema(_) => "schema_violation",
            Self::Issuer { .. } => "wrong_issuer",
            Self::NoKey => "no_valid_key",
            Self::Unsigned => "signature_missing",
            Self::Scope => "signature_scope",
            Self::Algorithm => "algorithm_not_allowed",
            Self::Transform => "transform_not_allowed",
            Self::Signature => "signature_mismatch",
            Self::Spelling => "not_as_written",
            Self::Expired { .. } => "expired",
            Self::NotYet { .. } => "not_yet_valid",
            Self::TooLong { .. } => "lives_too_long",
            Self::Audience { .. } => "wrong_audience",
            Self::Name(_) => "name_not_for_here",
            Self::Recipient { .. } => "wrong_recipient",
            Self::InResponseTo => "wrong_in_response_to",
        }
    }

    /// What would repair it, in one plain sentence.
    pub const fn repair(&self) -> &'static str {
        match self {
            Self::Malformed | Self::NotAnAssertion => {
                "send one `Assertion` or `EncryptedAssertion` element, in base64url, and nothing around it"
            }
            Self::TooLarge(_) => "have the issuer put fewer attributes into it",
            Self::DocumentType | Self::Section => "have the issuer write plain elements and text",
            Self::DuplicateId | Self::Scope | Self::Unsigned => {
                "have the issuer sign the assertion itself, and send it exactly as it was signed"
            }
            Self::Encrypted => {
                "encrypt it with AES-GCM and RSA-OAEP to the certificate at `/saml/encryption-certificates`, which is there where `[keys]` says `saml_decryption = true`"
            }
            Self::Schema(_) => "have the issuer leave out what the message names",
            Self::Issuer { .. } => "send an assertion of an issuer that is configured here",
            Self::NoKey => "configure the certificate that the issuer signs with now",
            Self::Algorithm => {
                "have the issuer sign with RSA or ECDSA and SHA-256 or longer, by the key that is configured here"
            }
            Self::Transform => {
                "have the issuer sign with the enveloped and the exclusive canonical transform alone"
            }
            Self::Signature => {
                "send it exactly as it was signed, and compare the configured certificate with the issuer's"
            }
            Self::Spelling => {
                "send it byte for byte as this server wrote it, not read and written anew on the way"
            }
            Self::Expired { .. } => "ask the issuer for a new assertion",
            Self::NotYet { .. } => "set the clocks of issuer and server",
            Self::TooLong { .. } => "have the issuer give it a shorter life",
            Self::Audience { .. } => "have the issuer name this server as the audience",
            Self::Name(_) => {
                "have the issuer name people persistently, in its own name, and for this server where it says for whom"
            }
            Self::Recipient { .. } => {
                "have the issuer name this endpoint as the recipient of a bearer confirmation"
            }
            Self::InResponseTo => "begin again from the request",
        }
    }
}
