"""Reads Token Status Lists with joserfc and zlib, one JSON request a line.

`{"list": text, "keys": set, "idx": [places]}` answers with the claims of the
list, its header, how many places it has, and the bits at those places.
"""

import base64
import json
import sys
import zlib

from joserfc import jws
from joserfc.jwk import KeySet


def answer(request):
    keys = KeySet.import_key_set(request["keys"])
    read = jws.deserialize_compact(request["list"], keys, algorithms=["ES256"])
    claims = json.loads(read.payload)
    said = claims["status_list"]
    text = said["lst"]
    packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    bits = zlib.decompress(packed)
    assert said["bits"] == 1
    return {
        "header": read.headers(),
        "claims": claims,
        "places": len(bits) * 8,
        "statuses": [bits[idx // 8] >> (idx % 8) & 1 for idx in request["idx"]],
    }


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
