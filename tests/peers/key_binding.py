"""A client by other hands: DPoP proofs by joserfc, certificates by Python's ssl.

Reads one JSON object from standard input, writes one to standard output.
`dpop` asks for a token with a proof and shows it at userinfo; `mutual_tls`
asks for one on a connection with a certificate.

Spec: RFC 9449, RFC 8705
"""

import base64
import hashlib
import http.client
import json
import secrets
import ssl
import sys
import urllib.parse

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey


def make_proof(key, algorithm, method, url, now, token=None, nonce=None):
    header = {"typ": "dpop+jwt", "alg": algorithm, "jwk": key.as_dict(private=False)}
    header["jwk"].pop("kid", None)
    claims = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url, "iat": now}
    if token:
        digest = hashlib.sha256(token.encode()).digest()
        claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if nonce:
        claims["nonce"] = nonce
    return jwt.encode(header, claims, key, algorithms=[algorithm])


def send(given, method, path, headers, form=None, context=None):
    address = urllib.parse.urlsplit(given["address"])
    if context is None:
        connection = http.client.HTTPConnection(address.netloc, timeout=30)
    else:
        connection = http.client.HTTPSConnection(address.netloc, timeout=30, context=context)
    body = urllib.parse.urlencode(form) if form else None
    if form:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, json.loads(answer.read())


def dpop(given):
    secret = f"{given['client']}:{given['secret']}".encode()
    basic = "Basic " + base64.b64encode(secret).decode()
    found = {}
    for key, algorithm in [
        (ECKey.generate_key("P-256"), "ES256"),
        (ECKey.generate_key("P-384"), "ES384"),
        (OKPKey.generate_key("Ed25519"), "Ed25519"),
    ]:
        url = given["issuer"] + "/token"
        nonce = None
        for _ in range(2):
            proof = make_proof(key, algorithm, "POST", url, given["now"], nonce=nonce)
            headers = {"Authorization": basic, "DPoP": proof}
            form = {"grant_type": "client_credentials"}
            status, told, answer = send(given, "POST", "/token", headers, form)
            nonce = told["DPoP-Nonce"]
            if answer.get("error") != "use_dpop_nonce":
                break
        assert status == 200, answer
        assert answer["token_type"] == "DPoP", answer
        payload = answer["access_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert claims["cnf"]["jkt"] == key.thumbprint(), claims
        found[algorithm] = claims["cnf"]["jkt"]

        # As a proof for userinfo: the scope is missing, the binding is right.
        token, url = answer["access_token"], given["issuer"] + "/userinfo"
        proof = make_proof(key, algorithm, "GET", url, given["now"], token, nonce)
        headers = {"Authorization": "DPoP " + token, "DPoP": proof}
        status, _, answer = send(given, "GET", "/userinfo", headers)
        assert (status, answer["error"]) == (403, "insufficient_scope"), answer
        status, _, answer = send(given, "GET", "/userinfo", headers)
        assert (status, answer["error"]) == (401, "invalid_dpop_proof"), answer
        headers = {"Authorization": "Bearer " + token}
        status, _, answer = send(given, "GET", "/userinfo", headers)
        assert (status, answer["error"]) == (401, "invalid_token"), answer
    return found


def mutual_tls(given):
    context = ssl.create_default_context(cafile=given["server"])
    form = {"grant_type": "client_credentials", "client_id": given["client"]}
    status, _, answer = send(given, "POST", "/token", {}, form, context)
    assert (status, answer["error"]) == (401, "invalid_client"), answer

    context = ssl.create_default_context(cafile=given["server"])
    context.load_cert_chain(given["certificate"])
    status, _, answer = send(given, "POST", "/token", {}, form, context)
    assert status == 200, answer
    payload = answer["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims.get("cnf", {})


VERBS = {"dpop": dpop, "mutual_tls": mutual_tls}

if __name__ == "__main__":
    print(json.dumps(VERBS[sys.argv[1]](json.load(sys.stdin))))
