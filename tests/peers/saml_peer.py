"""pysaml2 as relying party and as identity provider beside Symbolon.

`saml_peer.py accept` takes an assertion of Symbolon inside a response, as a
service provider does, and prints what it read.
`saml_peer.py issue` makes an assertion, signed and perhaps encrypted, and
prints its XML. Both read what they need as JSON from standard input.
"""

import base64
import json
import os
import sys
import tempfile
from xml.sax.saxutils import quoteattr

from saml2 import BINDING_HTTP_POST, class_name, saml, time_util
from saml2.client import Saml2Client
from saml2.config import SPConfig
from saml2.saml import NAMEID_FORMAT_PERSISTENT, SCM_BEARER
from saml2.sigver import CryptoBackendXmlSec1, SecurityContext, pre_encryption_part, pre_signature_part
from saml2.xmldsig import DIGEST_SHA256

XMLSEC = os.environ.get("SYMBOLON_TEST_XMLSEC", "/usr/bin/xmlsec1")
GCM = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
OAEP = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
NOW = time_util.instant()


def body(pem):
    """The base64 of a certificate, without its frame."""
    return "".join(line for line in pem.splitlines() if not line.startswith("-----"))


def metadata(given):
    return (
        f'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID={quoteattr(given["issuer"])}>'
        '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        '<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>'
        f'<ds:X509Certificate>{body(given["certificate"])}</ds:X509Certificate>'
        "</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" '
        f'Location={quoteattr(given["issuer"] + "/sso")}/></md:IDPSSODescriptor></md:EntityDescriptor>'
    )


def response(given):
    return (
        f'<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_response" Version="2.0" '
        f'IssueInstant="{NOW}" Destination={quoteattr(given["recipient"])} InResponseTo="_request">'
        f'<saml:Issuer xmlns:saml="{SAML}">{given["issuer"]}</saml:Issuer><samlp:Status>'
        '<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>'
        f'{given["xml"]}</samlp:Response>'
    )


def written(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def accept(given, folder):
    key = written(folder, "key.pem", given["key"])
    certificate = written(folder, "certificate.pem", given["key_certificate"])
    config = SPConfig().load({
        "entityid": given["audience"],
        "xmlsec_binary": XMLSEC,
        "service": {"sp": {
            "endpoints": {"assertion_consumer_service": [(given["recipient"], BINDING_HTTP_POST)]},
            "want_assertions_signed": True,
            "want_response_signed": False,
        }},
        "metadata": {"inline": [metadata(given)]},
        "key_file": key,
        "cert_file": certificate,
        "encryption_keypairs": [{"key_file": key, "cert_file": certificate}],
        "allow_unknown_attributes": True,
        "accepted_time_diff": 60,
    })
    encoded = base64.b64encode(response(given).encode()).decode()
    try:
        read = Saml2Client(config).parse_authn_request_response(encoded, BINDING_HTTP_POST, {"_request": "/"})
    except Exception as error:  # whatever it is, it is a refusal
        return {"refused": type(error).__name__}
    return {
        "subject": read.name_id.text,
        "issuer": read.issuer(),
        "attributes": read.ava,
        "session": read.assertion.authn_statement[0].session_index,
    }


def issue(given, folder):
    key = written(folder, "key.pem", given["key"])
    ident = "_made-by-pysaml2"
    end = time_util.instant(time_stamp=int(given["now"]) + 120)
    assertion = saml.Assertion(
        version="2.0", id=ident, issue_instant=time_util.instant(time_stamp=int(given["now"])),
        issuer=saml.Issuer(text=given["issuer"]),
        subject=saml.Subject(
            name_id=saml.NameID(text=given["subject"], format=NAMEID_FORMAT_PERSISTENT),
            subject_confirmation=[saml.SubjectConfirmation(
                method=SCM_BEARER,
                subject_confirmation_data=saml.SubjectConfirmationData(
                    recipient=given["recipient"], not_on_or_after=end),
            )],
        ),
        conditions=saml.Conditions(
            not_on_or_after=end,
            audience_restriction=[saml.AudienceRestriction(audience=[saml.Audience(text=given["audience"])])],
        ),
        attribute_statement=[saml.AttributeStatement(attribute=[saml.Attribute(
            name="mail", attribute_value=[saml.AttributeValue(text="alice@example.com")])])],
    )
    assertion.signature = pre_signature_part(
        ident, body(given["certificate"]), identifier=1, sign_alg=given["algorithm"], digest_alg=DIGEST_SHA256)
    security = SecurityContext(CryptoBackendXmlSec1(XMLSEC), key_file=key)
    xml = security.sign_statement(str(assertion), class_name(assertion), key_file=key, node_id=ident)
    xml = xml[xml.index("?>") + 2:].strip() if xml.startswith("<?xml") else xml
    if "encrypt_to" in given:
        around = f'<saml:EncryptedAssertion xmlns:saml="{SAML}">{xml}</saml:EncryptedAssertion>'
        xml = security.encrypt_assertion(
            around, written(folder, "to.pem", given["encrypt_to"]),
            pre_encryption_part(msg_enc=GCM, key_enc=OAEP, encrypt_cert=body(given["encrypt_to"])),
            key_type="aes-256",
            node_xpath="/*[local-name()='EncryptedAssertion']/*[local-name()='Assertion']",
        )
    return {"xml": xml}


if __name__ == "__main__":
    verb = {"accept": accept, "issue": issue}[sys.argv[1]]
    with tempfile.TemporaryDirectory() as own:
        print(json.dumps(verb(json.load(sys.stdin), own)))
