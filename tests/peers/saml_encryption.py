"""xmlsec (1.3, which knows RSA-OAEP with SHA-256 throughout) beside Symbolon.

`saml_encryption.py open` decrypts an assertion with a private key, checks its
signature with a certificate, and prints its subject.
`saml_encryption.py close` encrypts an assertion to a certificate. Both read
what they need as JSON from standard input.
"""

import json
import sys

import xmlsec
from lxml import etree

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
XENC = "http://www.w3.org/2001/04/xmlenc#"
TEMPLATE = f"""<xenc:EncryptedData xmlns:xenc="{XENC}" Type="{XENC}Element">
<xenc:EncryptionMethod Algorithm="%(cipher)s"/>
<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><xenc:EncryptedKey>
<xenc:EncryptionMethod Algorithm="%(transport)s">%(inside)s</xenc:EncryptionMethod>
<xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>
<xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData>"""
SHA256 = (
    f'<ds:DigestMethod Algorithm="{XENC}sha256"/><xenc11:MGF '
    'xmlns:xenc11="http://www.w3.org/2009/xmlenc11#" Algorithm="http://www.w3.org/2009/xmlenc11#mgf1sha256"/>'
)


def keys(text, form):
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(text.encode(), form))
    return manager


def open_(given):
    root = etree.fromstring(given["xml"].encode())
    data = root.find(f"{{{XENC}}}EncryptedData")
    inside = xmlsec.EncryptionContext(keys(given["key"], xmlsec.KeyFormat.PEM)).decrypt(data)
    # A text of its own, as whoever reads it will have it.
    inside = etree.fromstring(etree.tostring(inside))
    xmlsec.tree.add_ids(inside, ["ID"])
    check = xmlsec.SignatureContext()
    check.key = xmlsec.Key.from_memory(given["certificate"].encode(), xmlsec.KeyFormat.CERT_PEM)
    check.verify(xmlsec.tree.find_node(inside, xmlsec.Node.SIGNATURE))
    return {"subject": inside.findtext(f".//{{{SAML}}}NameID"), "xml": etree.tostring(inside).decode()}


def close(given):
    inside = SHA256 if given["transport"].endswith("xmlenc11#rsa-oaep") else ""
    template = etree.fromstring(TEMPLATE % {**given, "inside": inside})
    around = etree.fromstring(f'<saml:EncryptedAssertion xmlns:saml="{SAML}">{given["xml"]}</saml:EncryptedAssertion>')
    context = xmlsec.EncryptionContext(keys(given["certificate"], xmlsec.KeyFormat.CERT_PEM))
    context.key = xmlsec.Key.generate(xmlsec.KeyData.AES, int(given["bits"]), xmlsec.KeyDataType.SESSION)
    context.encrypt_xml(template, around[0])
    return {"xml": etree.tostring(around).decode()}


if __name__ == "__main__":
    verb = {"open": open_, "close": close}[sys.argv[1]]
    print(json.dumps(verb(json.load(sys.stdin))))
