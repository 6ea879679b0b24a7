//! Assertions as attackers have sent them, each beside the good one that it was
//! made from.

use symbolon_protocol::SigningAlgorithm::{Es256, Rs256};
use symbolon_testkit::{START, at};
use symbolon_token::saml::{Certificate, Refused, Trusted, open};

use crate::fixture::{
    ISSUER, Making, SUBJECT, base64url, expected, good, key, part, public, read, trusted, xml,
};

fn code(xml: &str) -> &'static str {
    read(xml, Es256).map_or_else(|refused| refused.code(), |_| "accepted")
}

/// The good assertion, with one thing replaced that has to be there.
fn changed(from: &str, to: &str) -> String {
    let good = good(Es256);
    assert!(good.contains(from), "{from} is not there");
    good.replace(from, to)
}

#[test]
fn the_good_one_is_accepted() {
    assert_eq!(code(&good(Es256)), "accepted");
    assert_eq!(
        code(&format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n",
            good(Es256)
        )),
        "accepted"
    );
}

/// Attack: J249, J250, J252, J253, J255, J267
#[test]
fn a_forged_assertion_around_beside_or_over_the_signed_one_is_refused() {
    let signed = good(Es256);
    let signature = part(&signed, "<ds:Signature", "</ds:Signature>");
    let bare = signed.replace(signature, "");
    let id = part(&signed, " ID=\"", "\" ");
    let evil = bare.replace(SUBJECT, "usr_admin");
    let renamed = evil.replace(id, " ID=\"_evil\" ");
    let end = "</saml:Issuer>";
    let after_issuer = |own: &str, more: &str| own.replacen(end, &format!("{end}{more}"), 1);
    let object = |inside: &str| {
        signature.replace(
            "</ds:Signature>",
            &format!("<ds:Object>{inside}</ds:Object></ds:Signature>"),
        )
    };
    let response = |inside: &str| {
        format!(
            "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" ID=\"r\">{inside}</samlp:Response>"
        )
    };
    let at_end = |own: &str, more: &str| {
        own.replacen("</saml:Assertion>", &format!("{more}</saml:Assertion>"), 1)
    };
    #[rustfmt::skip]
    let cases = [
        ("evil alone", evil.clone(), "signature_missing"),
        ("evil with the signature", after_issuer(&evil, signature), "signature_mismatch"),
        ("renamed with the signature", after_issuer(&renamed, signature), "signature_scope"),
        ("the signed one in an Object", after_issuer(&renamed, &object(&bare)), "schema_violation"),
        ("the signed one in its Signature", after_issuer(&renamed, &signature.replace("</ds:Signature>", &format!("{bare}</ds:Signature>"))), "schema_violation"),
        ("the signed one as last child", at_end(&renamed, &signed), "signature_missing"),
        ("the signed one in Advice", at_end(&renamed, &format!("<saml:Advice>{signed}</saml:Advice>")), "signature_missing"),
        ("both, one signature in place", at_end(&after_issuer(&renamed, signature), &bare), "signature_scope"),
        ("the signed one twice by id", at_end(&after_issuer(&evil, signature), &bare), "duplicate_id"),
        ("a response around", response(&signed), "not_an_assertion"),
        ("a response with both", response(&format!("{renamed}{signed}")), "not_an_assertion"),
        ("two roots", format!("{signed}{renamed}"), "malformed"),
        ("text after the root", format!("{signed}x"), "malformed"),
        ("a second signature", after_issuer(&signed, signature), "signature_missing"),
        ("empty SignedInfo", signed.replace(part(&signed, "<ds:SignedInfo>", "</ds:SignedInfo>"), "<ds:SignedInfo/>"), "schema_violation"),
        ("two SignedInfo", signed.replace("<ds:SignatureValue>", &format!("{}<ds:SignatureValue>", part(&signed, "<ds:SignedInfo>", "</ds:SignedInfo>"))), "schema_violation"),
        ("two references", signed.replace("</ds:Reference>", &format!("</ds:Reference>{}", part(&signed, "<ds:Reference", "</ds:Reference>"))), "schema_violation"),
        ("no reference", signed.replace(part(&signed, "<ds:Reference", "</ds:Reference>"), ""), "schema_violation"),
        ("a reference to the whole document", signed.replace(part(&signed, "URI=\"#", "\">"), "URI=\"\">"), "signature_scope"),
        ("a reference by XPointer", signed.replace("URI=\"#", "URI=\"#xpointer(id('"), "signature_scope"),
        ("an external reference", signed.replace("URI=\"#", "URI=\"https://evil.test/#"), "signature_scope"),
        ("a manifest", signed.replace("<ds:Reference ", "<ds:Reference Type=\"http://www.w3.org/2000/09/xmldsig#Manifest\" "), "signature_mismatch"),
        ("the signature last", at_end(&bare, signature), "schema_violation"),
    ];
    for (name, document, refused) in cases {
        assert_eq!(code(&document), refused, "{name}");
    }
}

/// Attack: J256
#[test]
fn a_comment_splits_no_name_and_no_digest() {
    let inside = changed(SUBJECT, "usr_<!-- x -->alice");
    assert_eq!(read(&inside, Es256).unwrap().subject().value, SUBJECT);

    let good = good(Es256);
    let digest = part(&good, "<ds:DigestValue>", "</ds:DigestValue>");
    let split = digest.replace("=</ds:DigestValue>", "=<!-- x --></ds:DigestValue>");
    assert_eq!(code(&good.replace(digest, &split)), "schema_violation");
    let value = part(&good, "<ds:SignatureValue>", "</ds:SignatureValue>");
    let split = value.replace("<ds:SignatureValue>", "<ds:SignatureValue><!-- x -->");
    assert_eq!(code(&good.replace(value, &split)), "schema_violation");
}

#[test]
fn a_name_that_a_comment_would_cut_is_read_whole() {
    let making = Making {
        subject: "admin@corp.test.evil.test",
        ..Making::new(Es256)
    };
    let text = xml(&making.mint().unwrap());

    let cut = text.replace("corp.test.evil", "corp.test<!-- -->.evil");

    assert_eq!(
        read(&cut, Es256).unwrap().subject().value,
        "admin@corp.test.evil.test"
    );
}

/// Attack: J258, J261
#[test]
fn a_document_type_is_refused_before_anything_is_parsed() {
    let good = good(Es256);
    #[rustfmt::skip]
    let cases = [
        "<!DOCTYPE a>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\">",
        "<!DOCTYPE a SYSTEM \"https://evil.test/x.dtd\">",
        "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>",
        "<!DOCTYPE a [<!ENTITY % p SYSTEM \"https://evil.test/p\"> %p;]>",
        "<!DOCTYPE a [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]>",
        "<!DOCTYPE saml:Assertion [<!ATTLIST saml:Assertion ID CDATA \"_evil\">]>",
        "<!doctype a>",
        "<!ENTITY x \"y\">",
    ];
    for own in cases {
        assert_eq!(code(&format!("{own}{good}")), "document_type", "{own}");
        assert_eq!(
            code(&good.replace(SUBJECT, &format!("{own}{SUBJECT}"))),
            "document_type",
            "{own}"
        );
        // Even where the text before it would not parse.
        assert_eq!(code(&format!("<a></b>{own}")), "document_type", "{own}");
    }
    assert_eq!(
        code(&changed(SUBJECT, "&x;")),
        "malformed",
        "an entity that nobody defined"
    );
}

/// Attack: J262
#[test]
fn sections_and_instructions_are_refused_and_character_references_have_one_reading() {
    assert_eq!(
        code(&changed(SUBJECT, &format!("<![CDATA[{SUBJECT}]]>"))),
        "unparsed_section"
    );
    assert_eq!(
        code(&changed(SUBJECT, &format!("{SUBJECT}<?x y?>"))),
        "unparsed_section"
    );
    assert_eq!(
        code(&changed("<saml:Issuer>", "<?x y?><saml:Issuer>")),
        "unparsed_section"
    );

    let referenced = changed(SUBJECT, "&#x75;sr_alice");
    assert_eq!(read(&referenced, Es256).unwrap().subject().value, SUBJECT);
    assert_eq!(code(&changed(SUBJECT, "&#x61;dmin")), "signature_mismatch");
    assert_eq!(code(&changed(SUBJECT, "&#0;")), "malformed");
}

/// Attack: J259
#[test]
fn a_second_id_of_any_spelling_is_refused() {
    for second in [
        " xml:id=\"_x\"",
        " Id=\"_x\"",
        " id=\"_x\"",
        " xmlns:p=\"urn:p\" p:ID=\"_x\"",
    ] {
        assert_eq!(
            code(&changed(" Version=", &format!("{second} Version="))),
            "duplicate_id",
            "{second}"
        );
    }
    assert_eq!(
        code(&changed(" Version=", " ID=\"_x\" Version=")),
        "malformed"
    );
    let good = good(Es256);
    let id = part(&good, " ID=\"", "\" ").replace("ID", "Id");
    assert_eq!(
        code(&good.replace("<ds:Signature ", &format!("<ds:Signature{id}"))),
        "duplicate_id"
    );
}

/// Attack: J264
#[test]
fn only_the_two_transforms_in_their_order_are_accepted() {
    let enveloped =
        r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>"#;
    let exclusive = r#"<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>"#;
    let other = |uri: &str| format!("<ds:Transform Algorithm=\"{uri}\"/>");
    #[rustfmt::skip]
    let cases = [
        changed(exclusive, &other("http://www.w3.org/TR/1999/REC-xslt-19991116")),
        changed(exclusive, &other("http://www.w3.org/TR/1999/REC-xpath-19991116")),
        changed(exclusive, &other("http://www.w3.org/2002/06/xmldsig-filter2")),
        changed(exclusive, &other("http://www.w3.org/2000/09/xmldsig#base64")),
        changed(exclusive, &other("http://www.w3.org/TR/2001/REC-xml-c14n-20010315")),
        changed(exclusive, &other("http://www.w3.org/2001/10/xml-exc-c14n#WithComments")),
        changed(exclusive, &format!("{exclusive}{}", other("http://www.w3.org/TR/1999/REC-xpath-19991116"))),
        changed(exclusive, &exclusive.repeat(100)),
        changed(exclusive, ""),
        changed(enveloped, ""),
        changed(enveloped, exclusive),
        changed(&format!("{enveloped}{exclusive}"), &format!("{exclusive}{enveloped}")),
        changed(enveloped, r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"><ds:XPath>1</ds:XPath></ds:Transform>"#),
        changed(r#"<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>"#, r#"<ds:CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>"#),
    ];
    for (number, document) in cases.into_iter().enumerate() {
        assert_eq!(code(&document), "transform_not_allowed", "case {number}");
    }
}

/// Attack: J265
#[test]
fn only_the_allowed_algorithms_are_accepted_and_only_with_a_key_for_them() {
    let method = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
    #[rustfmt::skip]
    let cases = [
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1",
        "HTTP://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
        "",
    ];
    for own in cases {
        assert_eq!(
            code(&changed(method, own)),
            "algorithm_not_allowed",
            "{own}"
        );
    }
    // Allowed, but not what this issuer's key does.
    let rsa = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    assert_eq!(code(&changed(method, rsa)), "algorithm_not_allowed");
    let digest = "http://www.w3.org/2001/04/xmlenc#sha256";
    assert_eq!(
        code(&changed(digest, "http://www.w3.org/2000/09/xmldsig#sha1")),
        "algorithm_not_allowed"
    );
    assert_eq!(
        code(&changed(
            digest,
            "http://www.w3.org/2001/04/xmldsig-more#md5"
        )),
        "algorithm_not_allowed"
    );
    let truncated = format!(
        "<ds:SignatureMethod Algorithm=\"{method}\"><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>"
    );
    assert_eq!(
        code(&changed(
            &format!("<ds:SignatureMethod Algorithm=\"{method}\"/>"),
            &truncated
        )),
        "algorithm_not_allowed"
    );
}

/// Attack: J265
#[test]
fn a_mac_by_the_public_key_is_no_signature() {
    let own = key(Rs256);
    let certificate = Certificate::self_signed(&own, "idp.test", START, at(86_400)).unwrap();
    let good = good(Rs256);
    let hmac = good.replace("xmldsig-more#rsa-sha256", "xmldsig-more#hmac-sha256");
    let value = part(&good, "<ds:SignatureValue>", "</ds:SignatureValue>");
    let key = aws_lc_rs::hmac::Key::new(
        aws_lc_rs::hmac::HMAC_SHA256,
        certificate.to_pem().as_bytes(),
    );
    let mac = aws_lc_rs::hmac::sign(
        &key,
        part(&hmac, "<ds:SignedInfo", "</ds:SignedInfo>").as_bytes(),
    );
    let mac = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, mac);
    let hmac = hmac.replace(
        value,
        &format!("<ds:SignatureValue>{mac}</ds:SignatureValue>"),
    );

    assert_eq!(read(&hmac, Rs256).unwrap_err(), Refused::Algorithm);
    assert!(read(&good, Rs256).is_ok(), "the twin");
}

/// Attack: J286
#[test]
fn an_unsigned_assertion_is_refused_whatever_is_trusted() {
    let good = good(Es256);
    let bare = good.replace(part(&good, "<ds:Signature", "</ds:Signature>"), "");

    assert_eq!(code(&bare), "signature_missing");
    assert!(
        Trusted::by_keys(ISSUER, []).is_err(),
        "nobody is trusted without a key"
    );
    assert!(Trusted::by_certificates(ISSUER, &[]).is_err());
    assert_eq!(
        open(&base64url(&good), &[], &[], &expected())
            .unwrap_err()
            .code(),
        "wrong_issuer"
    );
}

/// Attack: J286
#[test]
fn an_issuer_whose_certificates_have_all_ended_has_no_key() {
    let own = key(Es256);
    let certificate =
        |from, to| Certificate::self_signed(&own, "idp.test", at(from), at(to)).unwrap();
    let token = Making::new(Es256).mint().unwrap();
    let judged = |certificates: &[Certificate]| {
        let trusted = Trusted::by_certificates(ISSUER, certificates).unwrap();
        open(&token, &[], &[trusted], &expected())
            .map(drop)
            .map_err(|refused| refused.code())
    };

    assert_eq!(judged(&[certificate(-100, -1)]), Err("no_valid_key"));
    assert_eq!(judged(&[certificate(100, 200)]), Err("no_valid_key"));
    assert_eq!(
        judged(&[certificate(-100, -1), certificate(-1, 100)]),
        Ok(()),
        "a rollover"
    );
}

/// Attack: J276
#[test]
fn another_issuers_key_does_not_sign_for_this_one() {
    let theirs = Trusted::by_keys("https://other.test", [public(&key(Rs256))]).unwrap();
    let ours = trusted(&key(Es256));
    let forged = xml(&Making::new(Rs256).mint().unwrap());
    let named = Making {
        issuer: "https://other.test",
        ..Making::new(Rs256)
    };
    let judged = |text: &str| {
        open(
            &base64url(text),
            &[],
            &[ours.clone(), theirs.clone()],
            &expected(),
        )
    };

    assert_eq!(
        judged(&forged).unwrap_err(),
        Refused::Algorithm,
        "their key under our name"
    );
    let assertion = judged(&xml(&named.mint().unwrap())).unwrap();
    assert_eq!(
        assertion.issuer(),
        "https://other.test",
        "and under their own it is theirs"
    );
}

#[test]
fn what_is_read_before_the_signature_is_read_by_the_schema_too() {
    assert_eq!(
        code(&changed("<saml:Issuer>", "<saml:Issuer Format=\"urn:x\">")),
        "schema_violation"
    );
    assert_eq!(
        code(&changed("<saml:Issuer>", "x<saml:Issuer>")),
        "schema_violation"
    );
    assert_eq!(
        code(&changed(":SAML:2.0:assertion", ":SAML:1.0:assertion")),
        "not_an_assertion"
    );
    // What is read after it is never reached without one.
    assert_eq!(
        code(&changed("Version=\"2.0\"", "Version=\"1.1\"")),
        "signature_mismatch"
    );
}
