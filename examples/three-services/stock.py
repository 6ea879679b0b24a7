"""Inventory and billing, in Python: one program, told by NAME which it is. Each
believes the gateway's word about who calls, if it was said to it."""

import os
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, Request

NAME = os.environ["NAME"]
KEYS = jwt.PyJWKClient("http://127.0.0.1:18081/.well-known/symbolon-gateway/jwks.json")


def asserted(request: Request) -> dict:
    assertion = request.headers.get("symbolon-assertion", "")
    try:
        if jwt.get_unverified_header(assertion).get("typ") != "gateway-assertion+jwt":
            raise jwt.InvalidTokenError("another kind")
        key = KEYS.get_signing_key_from_jwt(assertion)
        return jwt.decode(assertion, key, ["ES256"], audience=NAME, issuer="symbolon-gateway")
    except jwt.PyJWTError as error:
        raise HTTPException(401, "reach this service through the gateway") from error


app = FastAPI()


@app.get("/health")
def health() -> str:
    return "ok"


@app.get("/" + NAME + "/{number}")
def answer(number: str, caller: Annotated[dict, Depends(asserted)]) -> dict:
    return {NAME: number, "person": caller["sub"], "caller": caller["act"]["sub"]}
