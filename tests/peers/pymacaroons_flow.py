"""pymacaroons, which others wrote, against macaroons of Symbolon.

Reads one JSON object from standard input and prints one. `verify` proves what
Symbolon minted; `narrow` adds caveats and discharges to it, as a holder would;
`time` measures how long a macaroon takes to prove.
"""

import base64
import hashlib
import hmac
import json
import struct
import sys
import time

from pymacaroons import MACAROON_V1, MACAROON_V2, Macaroon, Verifier
from pymacaroons.serializers import JsonSerializer


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def chain_key(secret, identifier):
    """The key of a chain, from the key that a resource was given."""
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    for part in (b"macaroon root", identifier):
        mac.update(struct.pack(">I", len(part)) + part)
    return mac.digest()


def proves(root, key, discharges=()):
    verifier = Verifier()
    verifier.satisfy_general(lambda predicate: True)
    try:
        return verifier.verify(root, key, list(discharges))
    except Exception as error:
        return type(error).__name__


def verify(given):
    root = Macaroon.deserialize(given["root"])
    key = chain_key(unbase64(given["secret"]), root.identifier_bytes)
    discharges = [Macaroon.deserialize(text) for text in given["discharges"]]
    bound = [root.prepare_for_request(own) for own in discharges]
    return {
        "proved": proves(root, key, bound),
        "unbound": proves(root, key, discharges),
        "missing": proves(root, key),
        "other_key": proves(root, b"x" * 32, bound),
        "caveats": [own.caveat_id_bytes.decode() for own in root.caveats if own.first_party()],
    }


def narrow(given):
    root = Macaroon.deserialize(given["root"])
    for caveat in given["caveats"]:
        root.add_first_party_caveat(caveat)
    narrower = root.serialize()
    root.add_third_party_caveat("https://other.example.com", "a key of two", "the name")
    discharge = Macaroon("https://other.example.com", "the name", "a key of two", version=MACAROON_V2)
    discharge.add_first_party_caveat(given["discharge_caveat"])
    made = {}
    for name, version in (("v1", MACAROON_V1), ("v2", MACAROON_V2)):
        own = Macaroon("http://example.org/", "keyid", "this is the key", version=version)
        own.add_first_party_caveat("method = GET")
        made[name] = own.serialize()
    # Its JSON of v1 is its own, which no other library reads.
    made["json"] = own.serialize(JsonSerializer())
    return {
        "narrower": narrower,
        "root": root.serialize(),
        "bound": root.prepare_for_request(discharge).serialize(),
        "unbound": discharge.serialize(),
        "made": made,
    }


def measure(given):
    times, own = given["times"], Macaroon("https://as.example.com", "i" * 220, "key", version=MACAROON_V2)
    for caveat in given["caveats"]:
        own.add_first_party_caveat(caveat)
    text = own.serialize()
    began = time.perf_counter()
    for _ in range(times):
        assert proves(Macaroon.deserialize(text), "key") is True
    return {"microseconds": (time.perf_counter() - began) / times * 1e6}


if __name__ == "__main__":
    verbs = {"verify": verify, "narrow": narrow, "time": measure}
    json.dump(verbs[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
