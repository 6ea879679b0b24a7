"""A service in Python behind the gateway. It checks no token: it believes the
gateway's word about who calls, and nobody else's."""

import base64
import hashlib
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, Request

KEYS = jwt.PyJWKClient("http://127.0.0.1:18081/.well-known/symbolon-gateway/jwks.json")


def asserted(request: Request) -> dict:
    assertion = request.headers.get("symbolon-assertion", "")
    try:
        if jwt.get_unverified_header(assertion).get("typ") != "gateway-assertion+jwt":
            raise jwt.InvalidTokenError("another kind")
        key = KEYS.get_signing_key_from_jwt(assertion)
        claims = jwt.decode(assertion, key, ["ES256"], audience="orders", issuer="symbolon-gateway")
    except jwt.PyJWTError as error:
        raise HTTPException(401, "reach this service through the gateway") from error
    path, query = request.scope["raw_path"], request.scope["query_string"]
    target = path + b"?" + query if query else path
    digest = base64.urlsafe_b64encode(hashlib.sha256(target).digest()).rstrip(b"=").decode()
    if (claims["htm"], claims["target_sha256"]) != (request.method, digest):
        raise HTTPException(401, "the assertion is about another request")
    return claims


app = FastAPI()


@app.get("/health")
def health() -> str:
    return "ok"


@app.get("/orders/{number}")
def order(number: str, caller: Annotated[dict, Depends(asserted)]) -> dict:
    return {"order": number, "caller": caller["client_id"]}
