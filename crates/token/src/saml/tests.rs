//! What an issuer signed is still read by the schema and judged: each case is
//! the good assertion with one thing changed, as if it had been signed so.

use std::time::Duration;

use symbolon_protocol::Timestamp;

use super::names::{DSIG, SAML};
use super::xml::Xml;
use super::{Expected, Refused, assertion, judge, time};

const NOW: &str = "2026-01-01T00:01:00Z";
const BEARER: &str = r#"<s:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><s:SubjectConfirmationData Recipient="https://as.test/token" NotOnOrAfter="2026-01-01T00:05:00Z"/></s:SubjectConfirmation>"#;
const AUDIENCE: &str =
    r#"<s:AudienceRestriction><s:Audience>https://as.test</s:Audience></s:AudienceRestriction>"#;

fn good() -> String {
    format!(
        r#"<s:Assertion xmlns:s="{SAML}" Version="2.0" ID="_a" IssueInstant="2026-01-01T00:00:00Z"><s:Issuer>https://idp.test</s:Issuer><d:Signature xmlns:d="{DSIG}"/><s:Subject><s:NameID>alice</s:NameID>{BEARER}</s:Subject><s:Conditions NotOnOrAfter="2026-01-01T00:06:00Z">{AUDIENCE}</s:Conditions><s:AuthnStatement AuthnInstant="2026-01-01T00:00:00Z" SessionIndex="s1"><s:AuthnContext><s:AuthnContextClassRef>urn:x</s:AuthnContextClassRef></s:AuthnContext></s:AuthnStatement><s:AttributeStatement><s:Attribute Name="mail"><s:AttributeValue>a@b</s:AttributeValue></s:Attribute></s:AttributeStatement></s:Assertion>"#
    )
}

fn judged(text: &str) -> Result<Timestamp, Refused> {
    let document = Xml::parse(text)?;
    let read = assertion::read(document.root()?)?;
    let expected = Expected {
        audiences: &["https://as.test"],
        recipients: &["https://as.test/token"],
        in_response_to: None,
        longest: Duration::from_secs(600),
        skew: Duration::from_secs(10),
        now: time::parse(NOW).unwrap(),
    };
    judge::judge(&read, &expected)
}

fn code(text: &str) -> &'static str {
    judged(text).map_or_else(|refused| refused.code(), |_| "accepted")
}

/// The good one with a part replaced that has to be there.
fn changed(from: &str, to: &str) -> String {
    assert!(good().contains(from), "{from} is not there");
    good().replace(from, to)
}

#[test]
fn the_earliest_end_counts() {
    let ends = |text: &str| time::write(judged(text).unwrap());

    assert_eq!(ends(&good()), "2026-01-01T00:05:00Z");
    assert_eq!(
        ends(&changed("00:06:00Z", "00:04:00Z")),
        "2026-01-01T00:04:00Z"
    );
    assert_eq!(
        ends(&changed(" NotOnOrAfter=\"2026-01-01T00:06:00Z\"", "")),
        "2026-01-01T00:05:00Z"
    );
    let session = changed(
        " SessionIndex",
        " SessionNotOnOrAfter=\"2026-01-01T00:03:00Z\" SessionIndex",
    );
    assert_eq!(ends(&session), "2026-01-01T00:03:00Z");
}

/// Whoever remembers an assertion does so until it can be handed over nowhere.
#[test]
fn of_several_confirmations_the_latest_end_counts() {
    let soon = BEARER.replace("00:05:00Z", "00:02:00Z");
    for both in [format!("{soon}{BEARER}"), format!("{BEARER}{soon}")] {
        let end = judged(&changed(BEARER, &both)).unwrap();
        assert_eq!(time::write(end), "2026-01-01T00:05:00Z", "{both}");
    }
}

#[test]
fn every_end_and_beginning_is_looked_at() {
    #[rustfmt::skip]
    let cases = [
        (changed("00:06:00Z", "00:00:50Z"), "expired"),
        (changed("00:05:00Z", "00:00:50Z"), "expired"),
        (changed(" SessionIndex", " SessionNotOnOrAfter=\"2026-01-01T00:00:50Z\" SessionIndex"), "expired"),
        (changed("<s:Conditions ", "<s:Conditions NotBefore=\"2026-01-01T00:01:11Z\" "), "not_yet_valid"),
        (changed("<s:Conditions ", "<s:Conditions NotBefore=\"2026-01-01T00:01:10Z\" "), "accepted"),
        (changed("IssueInstant=\"2026-01-01T00:00:00Z\"", "IssueInstant=\"2026-01-01T00:01:11Z\""), "not_yet_valid"),
        (changed("<s:SubjectConfirmationData ", "<s:SubjectConfirmationData NotBefore=\"2026-01-01T00:00:00Z\" "), "schema_violation"),
        (changed(" NotOnOrAfter=\"2026-01-01T00:05:00Z\"", ""), "schema_violation"),
        (changed("00:06:00Z", "99:00:00Z"), "schema_violation"),
        (changed("00:06:00Z", "00:06:00+00:00"), "schema_violation"),
        (changed("00:06:00Z", "00:06:00"), "schema_violation"),
        (changed("2026-01-01T00:05:00Z", "2026-01-01T09:00:00Z").replace("00:06:00Z", "09:00:00Z"), "lives_too_long"),
    ];
    for (text, expected) in cases {
        assert_eq!(code(&text), expected, "{text}");
    }
}

/// Attack: J273
#[test]
fn every_restriction_names_this_party_and_one_is_there() {
    let other = AUDIENCE.replace("as.test", "other.test");
    let both =
        "<s:Audience>https://other.test</s:Audience><s:Audience>https://as.test</s:Audience>";
    let one = "<s:Audience>https://as.test</s:Audience>";

    assert_eq!(code(&changed(AUDIENCE, "")), "wrong_audience");
    assert_eq!(code(&changed(AUDIENCE, &other)), "wrong_audience");
    assert_eq!(
        code(&changed(AUDIENCE, &format!("{AUDIENCE}{other}"))),
        "wrong_audience"
    );
    assert_eq!(code(&changed(one, "")), "wrong_audience");
    assert_eq!(code(&changed(one, both)), "accepted");
    assert_eq!(
        code(&changed(
            "https://as.test</s:Audience>",
            "https://as.test </s:Audience>"
        )),
        "wrong_audience"
    );
    assert_eq!(
        code(&changed(
            "https://as.test</s:Audience>",
            "https://as.test<!-- x -->.evil.test</s:Audience>"
        )),
        "wrong_audience"
    );
}

/// Attack: J273
#[test]
fn one_bearer_confirmation_for_here_is_enough_and_needed() {
    let other = BEARER.replace("as.test/token", "sp.test/acs");
    let keyed = BEARER.replace("cm:bearer", "cm:holder-of-key");
    let late = BEARER.replace("00:05:00Z", "00:00:01Z");
    #[rustfmt::skip]
    let cases = [
        (String::new(), "wrong_recipient"),
        (keyed.clone(), "wrong_recipient"),
        (other.clone(), "wrong_recipient"),
        (format!("{other}{BEARER}"), "accepted"),
        (format!("{keyed}{BEARER}"), "accepted"),
        (format!("{late}{BEARER}"), "accepted"),
        (format!("{late}{other}"), "expired"),
        (BEARER.replace(" Recipient=\"https://as.test/token\"", ""), "wrong_recipient"),
        (BEARER.replace(" Recipient=", " Address=\"192.0.2.1\" Recipient="), "accepted"),
        (BEARER.replace(" Recipient=", " InResponseTo=\"_x\" Recipient="), "wrong_in_response_to"),
        (BEARER.replace(" Recipient=", " Extra=\"x\" Recipient="), "schema_violation"),
        ("<s:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"/>".to_owned(), "schema_violation"),
    ];
    for (confirmation, expected) in cases {
        assert_eq!(
            code(&changed(BEARER, &confirmation)),
            expected,
            "{confirmation}"
        );
    }
}

/// Attack: J268
#[test]
fn what_is_not_understood_is_refused() {
    let name = "<s:NameID>alice</s:NameID>";
    #[rustfmt::skip]
    let cases = [
        changed("Version=\"2.0\"", "Version=\"1.1\""),
        changed(" Version=\"2.0\"", ""),
        changed(" Version=", " Extra=\"x\" Version="),
        changed(" Version=", " xmlns:p=\"urn:p\" p:Version=\"2.0\" Version="),
        changed(" IssueInstant=\"2026-01-01T00:00:00Z\"", ""),
        changed("ID=\"_a\"", "ID=\"\""),
        changed("<s:Issuer>https://idp.test</s:Issuer>", ""),
        changed("https://idp.test", ""),
        changed(name, "<s:EncryptedID/>"),
        changed(name, "<s:BaseID/>"),
        changed(name, "<s:NameID/>"),
        changed(name, "<s:NameID>a<b/>lice</s:NameID>"),
        changed(name, "<s:NameID>alice&#10;</s:NameID>"),
        changed(name, &format!("{name}{name}")),
        changed("<s:Subject>", "<s:Advice/><s:Subject>"),
        changed("<s:Subject>", "text<s:Subject>"),
        changed("</s:Conditions>", "<s:ProxyRestriction Count=\"0\"/></s:Conditions>"),
        changed("</s:Conditions>", "<s:Condition/></s:Conditions>"),
        changed("</s:Conditions>", "</s:Conditions><s:Advice/>"),
        changed("</s:Assertion>", "<s:AuthzDecisionStatement/></s:Assertion>"),
        changed("</s:Assertion>", "<s:AuthnStatement AuthnInstant=\"2026-01-01T00:00:00Z\"/></s:Assertion>"),
        changed("</s:Assertion>", "<x/></s:Assertion>"),
        changed("<s:AttributeValue>a@b", "<s:AttributeValue><x/>"),
        changed("<s:Attribute Name=\"mail\">", "<s:Attribute>"),
        changed("<s:AttributeValue>", "<s:EncryptedAttribute/><s:AttributeValue>"),
        changed("</s:AttributeStatement>", "<s:Attribute Name=\"mail\"/></s:AttributeStatement>"),
        changed("<s:AuthnContextClassRef>urn:x</s:AuthnContextClassRef>", "<s:AuthnContextDecl/>"),
    ];
    for text in cases {
        assert_eq!(code(&text), "schema_violation", "{text}");
    }
    assert_eq!(
        code(&changed(
            name,
            &format!("<s:NameID>{}</s:NameID>", "x".repeat(9_000))
        )),
        "too_large"
    );
}

#[test]
fn whether_it_is_for_one_use_is_told() {
    let one_use = |text: &str| {
        let document = Xml::parse(text).unwrap();
        assertion::read(document.root().unwrap()).unwrap().one_use
    };

    assert!(!one_use(&good()));
    assert!(one_use(&changed(
        "</s:Conditions>",
        "<s:OneTimeUse/></s:Conditions>"
    )));
}

#[test]
fn what_says_no_more_may_be_there() {
    #[rustfmt::skip]
    let cases = [
        good(),
        changed("</s:Conditions>", "<s:OneTimeUse/></s:Conditions>"),
        changed("<s:Subject>", "<!-- x -->\n  <s:Subject>"),
        changed("<s:Issuer>", "<s:Issuer Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:entity\">"),
        changed("<s:AttributeValue>", "<s:AttributeValue xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"xs:string\">"),
        changed("<s:AuthnContext>", "<s:SubjectLocality Address=\"192.0.2.1\"/><s:AuthnContext>"),
        changed("</s:AuthnContext>", "<s:AuthenticatingAuthority>https://x.test</s:AuthenticatingAuthority></s:AuthnContext>"),
        changed("2026-01-01T00:05:00Z", "2026-01-01T00:05:00.123456Z"),
    ];
    for text in cases {
        assert_eq!(code(&text), "accepted", "{text}");
    }
}
