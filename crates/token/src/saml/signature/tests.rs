//! What a signature covers, where the assertion stands in a larger document.
//!
//! The cases of a measurement of canonical forms, and the wrappings of
//! "On Breaking SAML" (Somorovsky and others, 2012): the element that would be
//! consumed, the first assertion directly below the response, is never one that
//! nobody signed.

use symbolon_protocol::SigningAlgorithm;

use super::*;
use crate::jose::SigningKey;
use crate::saml::xml::Xml;
use crate::secret::Digest;

const SAMLP: &str = r#"xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol""#;

struct Signer {
    key: SigningKey,
    public: VerifyingKey,
}

impl Signer {
    fn new() -> Self {
        let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
        let key = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap();
        let public = VerifyingKey::from_jwk(key.public_jwk().as_object().unwrap()).unwrap();
        Self { key, public }
    }

    /// An assertion signed where it stands in `around`, at `{}`.
    fn signed(&self, around: &str, prefixes: &str) -> String {
        let list = match prefixes {
            "" => String::new(),
            own => {
                format!(r#"<ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="{own}"/>"#)
            }
        };
        let document = |digest: &str, value: &str| {
            let signature = format!(
                r##"<ds:Signature xmlns:ds="{DSIG}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/><ds:SignatureMethod Algorithm="{ECDSA_SHA256}"/><ds:Reference URI="#a1"><ds:Transforms><ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{EXCLUSIVE}">{list}</ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="{SHA256}"/><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo><ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>"##
            );
            around.replace("{}", &assertion("a1", &signature, "ali<!-- x -->ce"))
        };
        let prefixes: Vec<_> = prefixes.split_ascii_whitespace().collect();
        let bare = Xml::parse(&document("", "")).unwrap();
        let own = below(bare.root().unwrap(), "Assertion");
        let signature = below(own, "Signature");
        let covered = own.canonical(Some(signature), &prefixes).unwrap();
        let digest = BASE64_STANDARD.encode(Digest::of(&covered).as_bytes());
        let unsigned = Xml::parse(&document(&digest, "")).unwrap();
        let info = below(unsigned.root().unwrap(), "SignedInfo");
        let value = self.key.sign_bytes(&info.canonical(None, &[]).unwrap());
        document(&digest, &BASE64_STANDARD.encode(value))
    }

    /// Verifies the assertion that a reader of a response would consume.
    fn verify(&self, document: &str) -> Result<(), Refused> {
        let parsed = Xml::parse(document)?;
        let root = parsed.root()?;
        let consumed = root
            .children()?
            .into_iter()
            .find(|child| child.is(crate::saml::names::SAML, "Assertion"));
        verify(consumed.unwrap(), &[&self.public]).map(drop)
    }
}

fn below<'a>(root: Element<'a>, local: &str) -> Element<'a> {
    root.descendants()
        .find(|own| own.is(DSIG, local) || own.is(crate::saml::names::SAML, local))
        .unwrap()
}

/// An assertion with an attribute that has what canonical forms differ in.
fn assertion(id: &str, signature: &str, name: &str) -> String {
    format!(
        r#"<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" Version="2.0" ID="{id}" IssueInstant="2026-01-01T00:00:00Z"><saml:Issuer>https://idp.test</saml:Issuer>{signature}<saml:Subject><saml:NameID SPNameQualifier="a&#13;b&amp;&quot;c">{name}</saml:NameID></saml:Subject></saml:Assertion>"#
    )
}

fn response(inside: &str) -> String {
    format!(
        r#"<samlp:Response {SAMLP} xmlns:xs="http://www.w3.org/2001/XMLSchema" ID="r1">{inside}</samlp:Response>"#
    )
}

#[test]
fn a_signature_holds_where_it_was_made_and_not_over_changed_text_or_attributes() {
    let signer = Signer::new();
    for prefixes in ["", "xs"] {
        let good = signer.signed(&response("{}"), prefixes);

        assert_eq!(signer.verify(&good), Ok(()));
        assert_eq!(
            signer.verify(&good.replace("ce</saml:NameID>", "cf</saml:NameID>")),
            Err(Refused::Signature)
        );
        assert_eq!(
            signer.verify(&good.replace("2026-01-01", "2026-01-02")),
            Err(Refused::Signature)
        );
        assert_eq!(
            signer.verify(&good.replace("a&#13;b", "a b")),
            Err(Refused::Signature)
        );
    }
}

#[test]
fn a_signature_survives_another_root_as_long_as_the_named_prefixes_are_there() {
    let signer = Signer::new();
    let rooted = |own: &str, there: &str| {
        let document = signer.signed(&response("{}"), own);
        let (start, end) = (
            document.find("<saml:Assertion").unwrap(),
            document.find("</samlp:Response>").unwrap(),
        );
        format!(
            r#"<samlp:Response {SAMLP} xmlns:unused="urn:x" {there} ID="r9">{}</samlp:Response>"#,
            &document[start..end]
        )
    };
    let xs = r#"xmlns:xs="http://www.w3.org/2001/XMLSchema""#;

    assert_eq!(signer.verify(&rooted("", "")), Ok(()));
    assert_eq!(signer.verify(&rooted("xs", xs)), Ok(()));
    assert_eq!(signer.verify(&rooted("xs", "")), Err(Refused::Signature));
}

#[test]
fn a_comment_may_go_or_come_in_a_name_and_the_whole_name_is_read() {
    let signer = Signer::new();
    let good = signer.signed(&response("{}"), "");
    for name in ["alice", "a<!-- y -->lice", "alice<!-- .evil.test -->"] {
        let changed = good.replace("ali<!-- x -->ce", name);

        assert_eq!(signer.verify(&changed), Ok(()));
        let parsed = Xml::parse(&changed).unwrap();
        assert_eq!(
            below(parsed.root().unwrap(), "NameID").text().unwrap(),
            "alice"
        );
    }
}

/// A response with a signed assertion, taken apart for wrapping it anew.
struct Pieces {
    signed: String,
    signature: String,
    bare: String,
}

impl Pieces {
    fn new(signer: &Signer) -> Self {
        let document = signer.signed(&response("{}"), "");
        let start = document.find("<saml:Assertion").unwrap();
        let signed = document[start..document.find("</samlp:Response>").unwrap()].to_owned();
        let (from, to) = (signed.find("<ds:Signature"), signed.find("</ds:Signature>"));
        let signature = signed[from.unwrap()..to.unwrap() + "</ds:Signature>".len()].to_owned();
        let bare = signed.replace(&signature, "");
        Self {
            signed,
            signature,
            bare,
        }
    }

    /// The signature with something more inside it.
    fn holding(&self, what: &str) -> String {
        self.signature
            .replace("</ds:Signature>", &format!("{what}</ds:Signature>"))
    }
}

fn forged(signature: &str) -> String {
    assertion("evil", signature, "admin")
}

fn extensions(inside: &str) -> String {
    format!("<samlp:Extensions>{inside}</samlp:Extensions>")
}

fn with_last(own: &str, element: &str, last: &str) -> String {
    own.replace(&format!("</{element}>"), &format!("{last}</{element}>"))
}

/// Attack: J249, J250, J252
#[test]
fn a_signed_assertion_elsewhere_does_not_vouch_for_the_one_in_place() {
    let signer = Signer::new();
    let pieces = Pieces::new(&signer);
    let Pieces {
        signed,
        signature,
        bare,
    } = &pieces;
    let none = || forged("");
    #[rustfmt::skip]
    let cases = [
        // 1 and 2: the response is cloned around, or beside, what was signed.
        ("1", format!("{}{}", none(), extensions(&response(signed).replace("r1", "r2"))), Refused::Unsigned),
        ("2", format!("{}{signature}{bare}", none()), Refused::Unsigned),
        // 3 to 8: a forged assertion before, around or inside the signed one.
        ("3", format!("{}{signed}", none()), Refused::Unsigned),
        ("4", with_last(&none(), "saml:Assertion", signed), Refused::Unsigned),
        ("5", format!("{}{bare}", forged(signature)), Refused::Scope),
        ("6", forged(&pieces.holding(bare)), Refused::Schema("Signature")),
        ("7", format!("{}{}", none(), extensions(signed)), Refused::Unsigned),
        ("8", forged(&pieces.holding(&format!("<ds:Object>{bare}</ds:Object>"))), Refused::Schema("Signature")),
        // The signed one under `Extensions`, the forged one with its signature.
        ("extensions", format!("{}{}", extensions(signed), forged(signature)), Refused::Scope),
        ("same id", format!("{}{}", extensions(signed), assertion("a1", signature, "admin")), Refused::DuplicateId),
        ("same id, other spelling", format!(r#"<samlp:Extensions xml:id="a1"/>{signed}"#), Refused::DuplicateId),
        ("inside", with_last(&forged(signature), "saml:Subject", bare), Refused::Scope),
        ("two signatures", forged(&signature.repeat(2)), Refused::Unsigned),
        ("a second one deeper", with_last(signed, "saml:Subject", signature), Refused::Scope),
    ];
    for (name, inside, refused) in cases {
        assert_eq!(
            signer.verify(&response(&inside)),
            Err(refused),
            "{name}: {inside}"
        );
    }
    assert_eq!(signer.verify(&response(signed)), Ok(()), "the twin");
}
