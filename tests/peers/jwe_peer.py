"""Encrypts and decrypts compact JWEs with joserfc, one JSON request a line.

`{"do": "decrypt", "token": …, "key": PEM, "alg": …, "enc": …}` answers with the
plain text; `{"do": "encrypt", "plain": …, "key": JWK, …}` with a token;
`{"do": "generate", "alg": …}` with a private key in PKCS #8 and its public and
private JWK; `{"do": "open", "token": …, "private": JWK, "keys": set, …}` with
the claims of the signed token inside.
"""

import base64
import json
import sys

from cryptography.hazmat.primitives import serialization
from joserfc import jwe, jws
from joserfc.jwk import ECKey, KeySet, RSAKey


def kind(alg):
    return RSAKey if alg.startswith("RSA") else ECKey


def generate(alg):
    key = RSAKey.generate_key(2048) if alg.startswith("RSA") else ECKey.generate_key("P-256")
    der = key.private_key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    private = dict(key.as_dict(private=True), alg=alg)
    return {
        "pkcs8": base64.b64encode(der).decode(),
        "jwk": key.as_dict(private=False),
        "private": private,
    }


def open_nested(request):
    """Decrypts with a private JWK, then checks the signature inside with a key set."""
    algorithms = [request["alg"], request["enc"]]
    own = kind(request["alg"]).import_key(request["private"])
    read = jwe.decrypt_compact(request["token"], own, algorithms=algorithms)
    keys = KeySet.import_key_set(request["keys"])
    inner = jws.deserialize_compact(read.plaintext, keys, algorithms=request["signed"])
    header = read.headers()
    return {
        "claims": json.loads(inner.payload),
        "typ": inner.headers().get("typ"),
        "cty": header.get("cty"),
        "inner": read.plaintext.decode(),
    }


def answer(request):
    alg, enc = request.get("alg"), request.get("enc")
    if request["do"] == "generate":
        return generate(alg)
    if request["do"] == "open":
        return open_nested(request)
    if request["do"] == "encrypt":
        key = kind(alg).import_key(request["key"])
        header = {"alg": alg, "enc": enc, "cty": "JWT"}
        token = jwe.encrypt_compact(header, request["plain"], key, algorithms=[alg, enc])
        return {"token": token}
    der = base64.b64decode(request["key"])
    pem = serialization.load_der_private_key(der, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    read = jwe.decrypt_compact(request["token"], kind(alg).import_key(pem), algorithms=[alg, enc])
    return {"plain": read.plaintext.decode(), "cty": read.headers().get("cty")}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
