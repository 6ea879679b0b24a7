//! An assertion as its schema has it. What is not understood is refused.
//!
//! Spec: SAML 2.0 Core §2.3.3, §2.4, §2.5, §2.7

use symbolon_protocol::Timestamp;

use super::names::{DSIG, ENTITY, SAML};
use super::refused::Refused;
use super::time;
use super::xml::Element;

/// How long a name, an identifier or a value may be, in bytes.
pub const MAX_VALUE_BYTES: usize = 8 * 1024;
/// How many attributes an assertion may have.
pub const MAX_ATTRIBUTES: usize = 256;

/// Whom an assertion is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameId {
    /// The name, whole: comments in it are joined over, never cut at.
    pub value: String,
    /// The URI of its format, where it says one.
    pub format: Option<String>,
    /// In whose eyes it is unique, where it says so.
    pub qualifier: Option<String>,
    /// For whom it was made, where it says so.
    pub sp_qualifier: Option<String>,
}

/// One thing said about the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// The URI of the format of its name, where it says one.
    pub format: Option<String>,
    /// Its values, in order.
    pub values: Vec<String>,
}

/// How and when the subject was authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// When (`AuthnInstant`).
    pub time: Timestamp,
    /// In which session (`SessionIndex`).
    pub session: Option<String>,
    /// Until when that session lasts at most.
    pub session_ends: Option<Timestamp>,
    /// How (`AuthnContextClassRef`).
    pub context: Option<String>,
}

/// An assertion that was signed by a key of its issuer and passed every check.
/// Only [`open`](super::open) makes one. Whether it was used before is the
/// caller's question: issuer and id name it until it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    pub(super) read: Read,
    pub(super) kid: Option<String>,
    pub(super) expires: Timestamp,
}

impl Assertion {
    /// Its id, unique for its issuer.
    pub fn id(&self) -> &str {
        &self.read.id
    }
    /// Who made it.
    pub fn issuer(&self) -> &str {
        &self.read.issuer
    }
    /// When it was made.
    pub const fn issued(&self) -> Timestamp {
        self.read.issued
    }
    /// Whom it is about.
    pub const fn subject(&self) -> &NameId {
        &self.read.subject
    }
    /// Whom it is meant for.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.read.audiences.iter().flatten().map(String::as_str)
    }
    /// When it ends: the earliest end that it states.
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }
    /// How the subject was authenticated.
    pub const fn authentication(&self) -> Option<&Statement> {
        self.read.authentication.as_ref()
    }
    /// What is said about the subject.
    pub fn attributes(&self) -> &[Attribute] {
        &self.read.attributes
    }
    /// Whether its issuer lets it be used only once, and at once
    /// (`OneTimeUse`).
    pub const fn is_for_one_use(&self) -> bool {
        self.read.one_use
    }
    /// The name of the key that signed it, by which a key is distrusted.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}

/// A bearer confirmation: who may hand the assertion over, where, until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Confirmation {
    pub(super) recipient: Option<String>,
    pub(super) expires: Option<Timestamp>,
    pub(super) begins: Option<Timestamp>,
    pub(super) in_response_to: Option<String>,
}

/// What an assertion says. Nothing of it is trusted by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) id: String,
    pub(super) issuer: String,
    pub(super) issued: Timestamp,
    pub(super) subject: NameId,
    pub(super) bearers: Vec<Confirmation>,
    pub(super) begins: Option<Timestamp>,
    pub(super) expires: Option<Timestamp>,
    /// Each restriction by itself has to name who accepts.
    pub(super) audiences: Vec<Vec<String>>,
    pub(super) one_use: bool,
    pub(super) authentication: Option<Statement>,
    pub(super) attributes: Vec<Attribute>,
}

/// The issuer that an assertion claims.
pub(super) fn claimed_issuer(assertion: Element<'_>) -> Result<String, Refused> {
    let children = assertion.children()?;
    let issuer = children
        .first()
        .filter(|first| first.is(SAML, "Issuer"))
        .ok_or(Refused::Schema("Issuer"))?;
    issuer.only_attributes(&["Format"])?;
    if issuer.attribute("Format").is_some_and(|own| own != ENTITY) {
        return Err(Refused::Schema("Issuer"));
    }
    value(*issuer, "Issuer")
}

/// Reads an assertion whose signature was checked on this very element.
pub(super) fn read(assertion: Element<'_>) -> Result<Read, Refused> {
    assertion.only_attributes(&["Version", "ID", "IssueInstant"])?;
    if assertion.attribute("Version") != Some("2.0") {
        return Err(Refused::Schema("Version"));
    }
    let issued = instant(assertion, "IssueInstant")?.ok_or(Refused::Schema("IssueInstant"))?;
    let children = assertion.children()?;
    // Issuer, Signature, Subject, Conditions, in this order, then statements.
    let [_, signature, subject, conditions, statements @ ..] = children.as_slice() else {
        return Err(Refused::Schema("Assertion"));
    };
    if !signature.is(DSIG, "Signature") {
        return Err(Refused::Schema("Signature"));
    }
    let (subject, bearers) = read_subject(*subject)?;
    let mut read = Read {
        id: assertion
            .attribute("ID")
            .filter(|id| (1..=MAX_VALUE_BYTES).contains(&id.len()))
            .ok_or(Refused::Schema("ID"))?
            .to_owned(),
        issuer: claimed_issuer(assertion)?,
        issued,
        subject,
        bearers,
        begins: None,
        expires: None,
        audiences: Vec::new(),
        one_use: false,
        authentication: None,
        attributes: Vec::new(),
    };
    read_conditions(*conditions, &mut read)?;
    for statement in statements {
        if statement.is(SAML, "AuthnStatement") && read.authentication.is_none() {
            read.authentication = Some(read_statement(*statement)?);
        } else if statement.is(SAML, "AttributeStatement") {
            read_attributes(*statement, &mut read.attributes)?;
        } else {
            return Err(Refused::Schema("statement"));
        }
    }
    Ok(read)
}

fn read_subject(subject: Element<'_>) -> Result<(NameId, Vec<Confirmation>), Refused> {
    let children = subject.children()?;
    let [name, confirmations @ ..] = children.as_slice() else {
        return Err(Refused::Schema("Subject"));
    };
    if !subject.is(SAML, "Subject") || !name.is(SAML, "NameID") {
        return Err(Refused::Schema("Subject"));
    }
    name.only_attributes(&["Format", "NameQualifier", "SPNameQualifier", "SPProvidedID"])?;
    let of_name = |attribute| name.attribute(attribute).map(str::to_owned);
    let id = NameId {
        value: value(*name, "NameID")?,
        format: of_name("Format"),
        qualifier: of_name("NameQualifier"),
        sp_qualifier: of_name("SPNameQualifier"),
    };
    let mut bearers = Vec::new();
    for confirmation in confirmations {
        if !confirmation.is(SAML, "SubjectConfirmation") {
            return Err(Refused::Schema("Subject"));
        }
        // Somebody else's way to confirm is not ours to judge: it is passed
        // over, and counts for nothing.
        if confirmation.attribute("Method") == Some(super::names::BEARER) {
            bearers.push(read_confirmation(*confirmation)?);
        }
    }
    Ok((id, bearers))
}

fn read_confirmation(confirmation: Element<'_>) -> Result<Confirmation, Refused> {
    let children = confirmation.children()?;
    let [data] = children.as_slice() else {
        return Err(Refused::Schema("SubjectConfirmation"));
    };
    let known = [
        "NotBefore",
        "NotOnOrAfter",
        "Recipient",
        "InResponseTo",
        "Address",
    ];
    data.only_attributes(&known)?;
    if !data.is(SAML, "SubjectConfirmationData") || !data.children()?.is_empty() {
        return Err(Refused::Schema("SubjectConfirmationData"));
    }
    Ok(Confirmation {
        recipient: data.attribute("Recipient").map(str::to_owned),
        expires: instant(*data, "NotOnOrAfter")?,
        begins: instant(*data, "NotBefore")?,
        in_response_to: data.attribute("InResponseTo").map(str::to_owned),
    })
}

fn read_conditions(conditions: Element<'_>, read: &mut Read) -> Result<(), Refused> {
    if !conditions.is(SAML, "Conditions") {
        return Err(Refused::Schema("Conditions"));
    }
    conditions.only_attributes(&["NotBefore", "NotOnOrAfter"])?;
    read.begins = instant(conditions, "NotBefore")?;
    read.expires = instant(conditions, "NotOnOrAfter")?;
    for condition in conditions.children()? {
        if condition.is(SAML, "AudienceRestriction") {
            let mut audiences = Vec::new();
            for audience in condition.children()? {
                if !audience.is(SAML, "Audience") {
                    return Err(Refused::Schema("AudienceRestriction"));
                }
                audiences.push(value(audience, "Audience")?);
            }
            read.audiences.push(audiences);
        } else if condition.is(SAML, "OneTimeUse") {
            read.one_use = true;
        } else {
            // What is not understood makes the assertion indeterminate.
            return Err(Refused::Schema("Conditions"));
        }
    }
    Ok(())
}

fn read_statement(statement: Element<'_>) -> Result<Statement, Refused> {
    statement.only_attributes(&["AuthnInstant", "SessionIndex", "SessionNotOnOrAfter"])?;
    let mut context = None;
    for child in statement.children()? {
        if child.is(SAML, "AuthnContext") && context.is_none() {
            for part in child.children()? {
                if part.is(SAML, "AuthnContextClassRef") && context.is_none() {
                    context = Some(value(part, "AuthnContextClassRef")?);
                } else if !part.is(SAML, "AuthenticatingAuthority") {
                    return Err(Refused::Schema("AuthnContext"));
                }
            }
        } else if !child.is(SAML, "SubjectLocality") {
            return Err(Refused::Schema("AuthnStatement"));
        }
    }
    Ok(Statement {
        time: instant(statement, "AuthnInstant")?.ok_or(Refused::Schema("AuthnInstant"))?,
        session: statement.attribute("SessionIndex").map(str::to_owned),
        session_ends: instant(statement, "SessionNotOnOrAfter")?,
        context,
    })
}

fn read_attributes(statement: Element<'_>, into: &mut Vec<Attribute>) -> Result<(), Refused> {
    for attribute in statement.children()? {
        if !attribute.is(SAML, "Attribute") {
            return Err(Refused::Schema("AttributeStatement"));
        }
        attribute.only_attributes(&["Name", "NameFormat", "FriendlyName"])?;
        let name = attribute.attribute("Name").ok_or(Refused::Schema("Name"))?;
        let format = attribute.attribute("NameFormat");
        // Two of one name would leave it to the reader which one counts.
        let again = into
            .iter()
            .any(|own| own.name == name && own.format.as_deref() == format);
        if again || into.len() == MAX_ATTRIBUTES {
            return Err(Refused::Schema("Attribute"));
        }
        let mut values = Vec::new();
        for own in attribute.children()? {
            if !own.is(SAML, "AttributeValue") {
                return Err(Refused::Schema("Attribute"));
            }
            own.only_attributes(&[])?;
            values.push(bounded(own.text()?, "AttributeValue")?);
        }
        into.push(Attribute {
            name: name.to_owned(),
            format: format.map(str::to_owned),
            values,
        });
    }
    Ok(())
}

/// Text that names something: not empty, bounded, without control characters.
fn value(element: Element<'_>, name: &'static str) -> Result<String, Refused> {
    let text = bounded(element.text()?, name)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Refused::Schema(name));
    }
    Ok(text)
}

fn bounded(text: String, name: &'static str) -> Result<String, Refused> {
    if text.len() > MAX_VALUE_BYTES {
        return Err(Refused::TooLarge(name));
    }
    Ok(text)
}

fn instant(element: Element<'_>, name: &'static str) -> Result<Option<Timestamp>, Refused> {
    match element.attribute(name) {
        None => Ok(None),
        Some(text) => time::parse(text).map(Some).ok_or(Refused::Schema(name)),
    }
}
