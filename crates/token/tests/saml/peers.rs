//! Programs that others wrote: xmlsec1 and pysaml2 accept what is written here,
//! and what they write is accepted here; changed, neither.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm::{self, Es256, Rs256};
use symbolon_protocol::Timestamp;
use symbolon_testkit::{START, SeededEntropy, at};
use symbolon_token::Secret;
use symbolon_token::jose::SigningKey;
use symbolon_token::saml::{
    Certificate, DecryptionKey, KeyTransport, Recipient, Refused, Trusted, open,
};

use crate::fixture::{
    AUDIENCE, ISSUER, Making, RECIPIENT, SUBJECT, attribute, base64url, document, expected, good,
    key, read, xml,
};

const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion:Assertion";

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("symbolon-saml-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn xmlsec(arguments: &[&str]) -> Output {
    let program = std::env::var("SYMBOLON_TEST_XMLSEC").unwrap_or_else(|_| "xmlsec1".to_owned());
    Command::new(program).args(arguments).output().unwrap()
}

fn python(verb: &str, given: &Value) -> Value {
    let python = std::env::var("SYMBOLON_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/peers/saml_peer.py"
    );
    let mut child = Command::new(python)
        .args([path, verb])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, given.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn pem(document: &Secret) -> String {
    let body = BASE64_STANDARD.encode(document.expose());
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    )
}

fn certificate(key: &SigningKey) -> Certificate {
    Certificate::self_signed(
        key,
        "test",
        at(-86_400),
        Timestamp::from_seconds(4_000_000_000),
    )
    .unwrap()
}

fn decryption() -> &'static Secret {
    static DOCUMENT: OnceLock<Secret> = OnceLock::new();
    DOCUMENT.get_or_init(|| DecryptionKey::generate().unwrap())
}

fn decryption_certificate() -> Certificate {
    certificate(&SigningKey::from_pkcs8(Rs256, decryption()).unwrap())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the peers have clocks of their own"
)]
fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_seconds(i64::try_from(now.as_secs()).unwrap())
}

fn verified_by_xmlsec(text: &str, key: &SigningKey) -> bool {
    let folder = Folder::new();
    let certificate = folder.file("certificate.pem", &certificate(key).to_pem());
    let file = folder.file("assertion.xml", text);
    xmlsec(&[
        "--verify",
        "--pubkey-cert-pem",
        &certificate,
        "--id-attr:ID",
        ASSERTION,
        &file,
    ])
    .status
    .success()
}

/// The assertion of this key with the signature's values taken out, signed
/// again by xmlsec1 with whatever the template says.
fn signed_by_xmlsec(template: &str, algorithm: SigningAlgorithm) -> String {
    let folder = Folder::new();
    let private = folder.file("key.pem", &pem(document(algorithm)));
    let mut bare = template.to_owned();
    for name in ["ds:DigestValue", "ds:SignatureValue"] {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let (from, to) = (
            bare.find(&open).unwrap() + open.len(),
            bare.find(&close).unwrap(),
        );
        bare.replace_range(from..to, "");
    }
    let file = folder.file("template.xml", &bare);
    let output = xmlsec(&[
        "--sign",
        "--privkey-pem",
        &private,
        "--id-attr:ID",
        ASSERTION,
        &file,
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn xmlsec1_verifies_what_is_signed_here_and_nothing_else() {
    for algorithm in [Rs256, Es256] {
        let mut making = Making::new(algorithm);
        let attributes = [attribute("odd", &["a\r\nb\tc \"<&>' €"])];
        making.rendering.attributes = &attributes;
        let text = xml(&making.mint().unwrap());

        assert!(verified_by_xmlsec(&text, &making.key));
        assert!(!verified_by_xmlsec(
            &text.replace(SUBJECT, "usr_admin"),
            &making.key
        ));
        assert!(!verified_by_xmlsec(
            &text.replace("a&#xD;", "a"),
            &making.key
        ));
    }
}

#[test]
fn what_xmlsec1_signs_is_accepted_and_refused_once_changed() {
    for algorithm in [Rs256, Es256] {
        let listed = good(algorithm).replace(
            "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>",
            "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"><ec:InclusiveNamespaces xmlns:ec=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"xs saml\"/></ds:Transform>",
        );
        let listed = listed.replace(
            "xmlns:saml=",
            "xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:saml=",
        );
        for template in [good(algorithm), listed] {
            let signed = signed_by_xmlsec(&template, algorithm);

            assert_eq!(read(&signed, algorithm).unwrap().subject().value, SUBJECT);
            let changed = signed.replace(SUBJECT, "usr_admin");
            assert_eq!(read(&changed, algorithm).unwrap_err(), Refused::Signature);
        }
    }
}

/// Signatures that are good by the standard, under what is not allowed here.
#[test]
fn what_xmlsec1_signs_in_other_ways_is_refused() {
    let template = good(Rs256);
    let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
    #[rustfmt::skip]
    let cases = [
        (template.replace("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#rsa-sha1"), Refused::Algorithm),
        (template.replace("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1"), Refused::Algorithm),
        (template.replace(exclusive, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"), Refused::Transform),
        (template.replace(exclusive, "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"), Refused::Transform),
        (template.replace(" URI=\"#", " URI=\"\" Id=\"#"), Refused::Scope),
    ];
    for (number, (template, refused)) in cases.into_iter().enumerate() {
        let signed = signed_by_xmlsec(&template, Rs256);
        assert!(
            verified_by_xmlsec(&signed, &key(Rs256)),
            "case {number} is good elsewhere"
        );
        assert_eq!(read(&signed, Rs256).unwrap_err(), refused, "case {number}");
    }
}

#[test]
fn xmlsec1_decrypts_what_is_encrypted_here_and_verifies_what_is_inside() {
    let folder = Folder::new();
    let private = folder.file("key.pem", &pem(decryption()));
    let recipient = Recipient::new(&decryption_certificate(), KeyTransport::OaepSha1).unwrap();
    let entropy = SeededEntropy::new(11);
    let mut making = Making::new(Es256);
    making.rendering.encrypt_to = Some((&recipient, &entropy));
    let file = folder.file("encrypted.xml", &xml(&making.mint().unwrap()));

    let output = xmlsec(&["--decrypt", "--privkey-pem", &private, &file]);

    let plain = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && plain.contains(SUBJECT));
    assert!(verified_by_xmlsec(&plain, &making.key));
}

#[test]
fn what_xmlsec1_encrypts_is_opened_and_cbc_and_rsa_15_are_not() {
    let folder = Folder::new();
    let certificate = folder.file("certificate.pem", &decryption_certificate().to_pem());
    let plain = good(Es256);
    let data = folder.file("plain.xml", &format!("<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{plain}</saml:EncryptedAssertion>"));
    let encrypted = |content: &str, session: &str, transport: &str| {
        let template = format!(
            r#"<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Type="http://www.w3.org/2001/04/xmlenc#Element"><xenc:EncryptionMethod Algorithm="{content}"/><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#{transport}"/><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData>"#
        );
        let template = folder.file("template.xml", &template);
        let xpath = "/*[local-name()='EncryptedAssertion']/*[local-name()='Assertion']";
        let output = xmlsec(&[
            "--encrypt",
            "--pubkey-cert-pem",
            &certificate,
            "--session-key",
            session,
            "--xml-data",
            &data,
            "--node-xpath",
            xpath,
            &template,
        ]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let opened = |text: &str| {
        let keys = [DecryptionKey::from_pkcs8(decryption()).unwrap()];
        open(
            &base64url(text),
            &keys,
            &[crate::fixture::trusted(&key(Es256))],
            &expected(),
        )
    };
    let gcm = "http://www.w3.org/2009/xmlenc11#aes256-gcm";
    let short = "http://www.w3.org/2009/xmlenc11#aes128-gcm";
    let cbc = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";

    assert_eq!(
        opened(&encrypted(gcm, "aes-256", "rsa-oaep-mgf1p"))
            .unwrap()
            .subject()
            .value,
        SUBJECT
    );
    assert_eq!(
        opened(&encrypted(short, "aes-128", "rsa-oaep-mgf1p"))
            .unwrap()
            .subject()
            .value,
        SUBJECT
    );
    assert_eq!(
        opened(&encrypted(cbc, "aes-256", "rsa-oaep-mgf1p")).unwrap_err(),
        Refused::Encrypted
    );
    assert_eq!(
        opened(&encrypted(gcm, "aes-256", "rsa-1_5")).unwrap_err(),
        Refused::Encrypted
    );
}

/// A making whose times are those of the peer's clock.
fn of_today<'a>(algorithm: SigningAlgorithm) -> Making<'a> {
    let mut making = Making::new(algorithm);
    making.issued = now();
    making.granted.expires = now() + Duration::from_secs(120);
    if let Some(authentication) = &mut making.granted.authentication {
        authentication.time = now();
    }
    making.rendering.in_response_to = Some("_request");
    making.rendering.session_index = Some("s1");
    making
}

fn accepted_by_pysaml2(text: &str, key: &SigningKey) -> Value {
    python(
        "accept",
        &json!({
            "xml": text, "issuer": ISSUER, "audience": AUDIENCE, "recipient": RECIPIENT,
            "certificate": certificate(key).to_pem(),
            "key": pem(decryption()), "key_certificate": decryption_certificate().to_pem(),
        }),
    )
}

#[test]
fn pysaml2_accepts_what_is_written_here_encrypted_or_not() {
    let attributes = [attribute("mail", &["alice@example.com"])];
    let recipient = Recipient::new(&decryption_certificate(), KeyTransport::OaepSha1).unwrap();
    let entropy = SeededEntropy::new(12);
    for encrypt_to in [None, Some((&recipient, &entropy as _))] {
        let mut making = of_today(Rs256);
        making.rendering.attributes = &attributes;
        making.rendering.encrypt_to = encrypt_to;
        let text = xml(&making.mint().unwrap());

        let said = accepted_by_pysaml2(&text, &making.key);

        assert_eq!(said["subject"], SUBJECT, "{said}");
        assert_eq!(said["issuer"], ISSUER);
        assert_eq!(said["session"], "s1");
        assert_eq!(said["attributes"]["mail"], json!(["alice@example.com"]));
        assert_eq!(said["attributes"]["scope"], json!(["openid read:orders"]));
    }
    let making = of_today(Rs256);
    let changed = xml(&making.mint().unwrap()).replace(SUBJECT, "usr_admin");
    assert_eq!(
        accepted_by_pysaml2(&changed, &making.key)["refused"],
        "SignatureError"
    );
}

#[test]
fn what_pysaml2_writes_is_accepted_encrypted_or_not() {
    for (algorithm, name) in [(Rs256, "rsa-sha256"), (Es256, "ecdsa-sha256")] {
        let own = key(algorithm);
        let trusted = Trusted::by_certificates(ISSUER, &[certificate(&own)]).unwrap();
        let keys = [DecryptionKey::from_pkcs8(decryption()).unwrap()];
        let mut given = json!({
            "issuer": ISSUER, "audience": AUDIENCE, "recipient": RECIPIENT, "subject": "alice@corp",
            "key": pem(document(algorithm)), "certificate": certificate(&own).to_pem(),
            "algorithm": format!("http://www.w3.org/2001/04/xmldsig-more#{name}"), "now": START.seconds(),
        });
        let open = |given: &Value, from: &str, to: &str| {
            let made = python("issue", given);
            let text = made["xml"].as_str().unwrap().replace(from, to);
            open(
                &base64url(text),
                &keys,
                std::slice::from_ref(&trusted),
                &expected(),
            )
        };

        let assertion = open(&given, "", "").unwrap();
        assert_eq!(assertion.subject().value, "alice@corp");
        assert_eq!(assertion.attributes()[0].values, ["alice@example.com"]);
        assert_eq!(assertion.expires(), at(120));
        assert_eq!(
            open(&given, "alice@corp", "admin@corp").unwrap_err(),
            Refused::Signature
        );
        given["encrypt_to"] = decryption_certificate().to_pem().into();
        assert_eq!(open(&given, "", "").unwrap(), assertion);
    }
}
