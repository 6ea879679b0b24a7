"""Checks logout tokens and security events as their receivers have to: joserfc
opens the signature, Authlib the claims. One JSON question a line, one answer."""

import json
import sys
import time

from authlib.jose import JsonWebKey, JsonWebToken
from joserfc import jws
from joserfc.jwk import KeySet

ALGORITHMS = ["ES256", "EdDSA", "RS256", "PS256"]
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"


def opened(question):
    """The header and the claims, if both libraries find the signature good."""
    keys = KeySet.import_key_set(question["keys"])
    found = jws.deserialize_compact(question["token"], keys, algorithms=ALGORITHMS)
    again = JsonWebToken(ALGORITHMS).decode(
        question["token"], JsonWebKey.import_key_set(question["keys"])
    )
    claims = json.loads(found.payload)
    if claims != dict(again):
        raise ValueError("the two libraries read different claims")
    return found.headers(), claims


def alike(question, header, claims, kind):
    if header.get("typ") != kind:
        yield "typ"
    if claims.get("iss") != question["iss"]:
        yield "iss"
    if claims.get("aud") not in (question["aud"], [question["aud"]]):
        yield "aud"
    if not isinstance(claims.get("iat"), int):
        yield "iat"
    if not isinstance(claims.get("jti"), str) or not claims["jti"]:
        yield "jti"
    if not isinstance(claims.get("events"), dict) or len(claims["events"]) != 1:
        yield "events"


def logout(question):
    """The steps of Back-Channel Logout 1.0, section 2.6."""
    header, claims = opened(question)
    problems = list(alike(question, header, claims, "logout+jwt"))
    unsigned = question["id_token"].split(".")[1]
    from base64 import urlsafe_b64decode

    id_token = json.loads(urlsafe_b64decode(unsigned + "=" * (-len(unsigned) % 4)))
    for name in ("sub", "sid", "iss"):
        if claims.get(name) != id_token.get(name):
            problems.append(name)
    if "nonce" in claims:
        problems.append("nonce")
    if claims.get("events") != {LOGOUT: {}}:
        problems.append("the event")
    if not claims["iat"] < claims.get("exp", 0) <= claims["iat"] + 120:
        problems.append("exp")
    return problems


def event(question):
    """RFC 8417, section 2, and Shared Signals 1.0, section 4."""
    header, claims = opened(question)
    problems = list(alike(question, header, claims, "secevent+jwt"))
    problems += [name for name in ("sub", "exp") if name in claims]
    if "format" not in claims.get("sub_id", {}):
        problems.append("sub_id")
    if header.get("alg") != "RS256":
        problems.append("alg")
    return problems


for line in sys.stdin:
    asked = json.loads(line)
    try:
        found = {"logout": logout, "event": event}[asked["do"]](asked)
    except Exception as error:  # whatever a library objects to
        found = [f"{type(error).__name__}: {error}"]
    print(json.dumps({"problems": found, "at": time.time()}), flush=True)
