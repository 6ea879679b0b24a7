//! What is written is what is read.

use symbolon_protocol::SigningAlgorithm::{EdDsa, Es256, Rs256};
use symbolon_testkit::{START, at};
use symbolon_token::jose::Unverified;
use symbolon_token::jwt;
use symbolon_token::saml::{Certificate, NameFormat, Unwritable};
use symbolon_token::{Binding, Thumbprint};

use crate::fixture::{
    AUDIENCE, ISSUER, Making, SUBJECT, attribute, expected, good, key, read, token, xml,
};

#[test]
fn an_assertion_says_all_that_the_authority_says() {
    for algorithm in [Rs256, Es256] {
        let assertion = read(&good(algorithm), algorithm).unwrap();

        assert_eq!(assertion.issuer(), ISSUER);
        assert_eq!(assertion.subject().value, SUBJECT);
        assert_eq!(
            assertion.subject().format.as_deref(),
            Some(NameFormat::Persistent.uri())
        );
        assert_eq!(assertion.audiences().collect::<Vec<_>>(), [AUDIENCE]);
        assert_eq!((assertion.issued(), assertion.expires()), (START, at(300)));
        assert_eq!(assertion.id(), format!("_{}", token()));
        assert_eq!(assertion.kid(), Some(key(algorithm).kid()));
        let statement = assertion.authentication().unwrap();
        assert_eq!(statement.time, at(-60));
        assert!(
            statement
                .context
                .as_ref()
                .unwrap()
                .ends_with("PasswordProtectedTransport")
        );
    }
}

#[test]
fn its_claims_are_those_of_the_jwt_for_the_same_authority() {
    let making = Making::new(Es256);
    let assertion = read(&good(Es256), Es256).unwrap();

    let token = making.with(|written, authority| jwt::mint(&making.key, written, authority));

    let claims = Unverified::parse(&token)
        .unwrap()
        .dangerous_claims_without_key()
        .unwrap();
    assert_eq!(assertion.claims(), claims);
    let judged = jwt::check_claims(
        assertion.claims(),
        assertion.kid(),
        jwt::Expected {
            issuer: ISSUER,
            audiences: &[AUDIENCE.to_owned()],
            skew: expected().skew,
            now: at(1),
        },
    );
    let (marks, position) = judged.unwrap().rev.unwrap();
    assert!(marks.family.is_some() && marks.token.is_some());
    assert_eq!(position.sequence, 77);
}

#[test]
fn request_session_and_attributes_are_written_and_read() {
    let attributes = [
        attribute("mail", &["alice@example.com"]),
        attribute("groups", &["a", "b\r\n\t\"<&>'"]),
        attribute("none", &[]),
    ];
    let mut making = Making::new(Es256);
    making.rendering.in_response_to = Some("_request");
    making.rendering.session_index = Some("s1");
    making.rendering.attributes = &attributes;
    let text = xml(&making.mint().unwrap());

    let refused = read(&text, Es256).unwrap_err();
    let assertion = symbolon_token::saml::open(
        &crate::fixture::base64url(&text),
        &[],
        &[crate::fixture::trusted(&making.key)],
        &symbolon_token::saml::Expected {
            in_response_to: Some("_request"),
            ..expected()
        },
    );

    assert_eq!(refused.code(), "wrong_in_response_to");
    let assertion = assertion.unwrap();
    assert_eq!(
        assertion.authentication().unwrap().session.as_deref(),
        Some("s1")
    );
    assert!(
        attributes
            .iter()
            .all(|own| assertion.attributes().contains(own))
    );
}

/// Attack: J285
#[test]
fn a_name_is_written_as_a_name_whatever_it_looks_like() {
    for name in [
        "</saml:NameID><x>",
        "<!-- -->",
        "]]>",
        "&admin;",
        "&#97;",
        "ünïcode\u{1f600}",
        " padded ",
    ] {
        let making = Making {
            subject: name,
            ..Making::new(Es256)
        };

        let assertion = read(&xml(&making.mint().unwrap()), Es256).unwrap();

        assert_eq!(assertion.subject().value, name);
    }
}

#[test]
fn what_xml_cannot_carry_is_not_written() {
    for name in [
        "",
        "a\0b",
        "a\u{7}b",
        "a\nb",
        "a\u{ffff}b",
        &"x".repeat(9_000),
    ] {
        let making = Making {
            subject: name,
            ..Making::new(Es256)
        };

        assert_eq!(making.mint().unwrap_err(), Unwritable::Text, "{name:?}");
    }
}

#[test]
fn a_bound_authority_does_not_become_a_bearer_assertion() {
    let mut making = Making::new(Es256);
    making.granted.binding = Binding::to_key(Thumbprint::of(b"key"));

    assert_eq!(making.mint().unwrap_err(), Unwritable::Bound);
}

#[test]
fn one_audience_one_allowed_algorithm_and_no_name_twice() {
    let mut several = Making::new(Es256);
    several
        .granted
        .audiences
        .push("https://other.test".parse().unwrap());
    let mut taken = Making::new(Es256);
    let attributes = [attribute("scope", &["admin"])];
    taken.rendering.attributes = &attributes;
    let mut twice = Making::new(Es256);
    let both = [attribute("x", &["1"]), attribute("x", &["2"])];
    twice.rendering.attributes = &both;
    let document = symbolon_token::jose::SigningKey::generate(EdDsa).unwrap();
    let edwards = symbolon_token::jose::SigningKey::from_pkcs8(EdDsa, &document).unwrap();

    assert_eq!(several.mint().unwrap_err().code(), "not_one_audience");
    assert_eq!(taken.mint().unwrap_err().code(), "attribute_name_taken");
    assert_eq!(twice.mint().unwrap_err().code(), "attribute_name_taken");
    let foreign = Making {
        key: edwards,
        ..Making::new(Es256)
    };
    assert_eq!(foreign.mint().unwrap_err().code(), "algorithm_not_allowed");
}

#[test]
fn a_certificate_for_a_key_of_ours_holds_that_key_and_its_dates() {
    for algorithm in [Rs256, Es256] {
        let key = key(algorithm);
        let made = Certificate::self_signed(&key, "as.test", START, at(86_400)).unwrap();

        let read = Certificate::parse(&made.to_pem()).unwrap();

        assert_eq!((read.begins(), read.ends()), (START, at(86_400)));
        assert_eq!(read.der(), made.der());
        let checks = symbolon_token::saml::Trusted::by_certificates(ISSUER, &[read]).unwrap();
        let token = Making::new(algorithm).mint().unwrap();
        assert!(symbolon_token::saml::open(&token, &[], &[checks], &expected()).is_ok());
    }
    let again = || Certificate::self_signed(&key(Rs256), "as.test", START, at(86_400)).unwrap();
    assert_eq!(
        again().der(),
        again().der(),
        "an RSA certificate can be made again"
    );
}

#[test]
fn a_file_holds_one_certificate_or_several_and_nothing_else() {
    let own = |algorithm| {
        Certificate::self_signed(&key(algorithm), "x", START, at(60))
            .unwrap()
            .to_pem()
    };
    let (rsa, elliptic) = (own(Rs256), own(Es256));
    let count = |text: &str| Certificate::parse_all(text).map(|all| all.len()).ok();

    assert_eq!(count(&rsa), Some(1));
    assert_eq!(count(&format!("{rsa}\n{elliptic}\n")), Some(2));
    for bad in [
        "",
        "x",
        &rsa[..rsa.len() - 30],
        &format!("x{rsa}"),
        &format!("{rsa}x"),
        &rsa.repeat(9),
    ] {
        assert_eq!(count(bad), None, "{bad:.20}");
    }
    let private = rsa.replace("CERTIFICATE", "PRIVATE KEY");
    assert_eq!(count(&private), None);
}

#[test]
fn a_certificate_in_the_signature_is_carried_and_not_believed() {
    let own = Certificate::self_signed(&key(Es256), "as.test", START, at(86_400)).unwrap();
    let mut making = Making::new(Es256);
    making.rendering.certificate = Some(&own);
    let text = xml(&making.mint().unwrap());

    assert!(text.contains("<ds:X509Certificate>"));
    assert!(read(&text, Es256).is_ok());
    // Another issuer of the same name signs, and brings its certificate along.
    let document = symbolon_token::jose::SigningKey::generate(Es256).unwrap();
    let stranger = symbolon_token::jose::SigningKey::from_pkcs8(Es256, &document).unwrap();
    let theirs = Certificate::self_signed(&stranger, "as.test", START, at(86_400)).unwrap();
    let mut forged = Making {
        key: stranger,
        ..Making::new(Es256)
    };
    forged.rendering.certificate = Some(&theirs);
    assert_eq!(
        read(&xml(&forged.mint().unwrap()), Es256)
            .unwrap_err()
            .code(),
        "signature_mismatch"
    );
}
