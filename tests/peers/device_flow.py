"""A device: requests-oauthlib asks for codes and polls, Authlib uses what it got.

Called with the issuer. Says, one JSON object a line: the codes; what was got;
the codes of a second try; how that was refused; the secrets that it saw.
"""

import json
import sys
import time

import requests
from authlib.integrations.requests_client import OAuth2Session
from oauthlib.oauth2 import DeviceClient
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error, OAuth2Error
from requests_oauthlib import OAuth2Session as DeviceSession

import os

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

ISSUER = sys.argv[1]
SCOPE = "openid email offline_access read:orders delete:orders"
META = requests.get(f"{ISSUER}/.well-known/oauth-authorization-server", timeout=10).json()
SECRETS = []


def say(**what):
    print(json.dumps(what), flush=True)


def begin():
    answer = requests.post(
        META["device_authorization_endpoint"],
        data={"client_id": "tv", "scope": SCOPE},
        timeout=10,
    )
    answer.raise_for_status()
    codes = answer.json()
    SECRETS.extend([codes["device_code"], codes["user_code"]])
    say(**{name: codes[name] for name in ("user_code", "verification_uri", "verification_uri_complete")})
    return codes


def fetch(codes):
    """One poll, parsed by oauthlib."""
    session = DeviceSession(client=DeviceClient("tv"))
    return session.fetch_token(
        META["token_endpoint"],
        device_code=codes["device_code"],
        include_client_id=True,
    )


def wait(codes):
    interval, waited = codes["interval"], []
    while True:
        try:
            return fetch(codes), waited
        except (CustomOAuth2Error, OAuth2Error) as error:
            if error.error not in ("authorization_pending", "slow_down"):
                raise
            waited.append(error.error)
            if error.error == "slow_down":
                interval += 5
        time.sleep(interval)


codes = begin()
tokens, waited = wait(codes)
SECRETS.extend([tokens["access_token"], tokens["refresh_token"]])
session = OAuth2Session("tv", token=dict(tokens), token_endpoint_auth_method="none")
userinfo = session.get(META["userinfo_endpoint"]).json()
renewed = session.refresh_token(META["token_endpoint"], refresh_token=tokens["refresh_token"])
SECRETS.extend([renewed["access_token"], renewed["refresh_token"]])
try:
    fetch(codes)
    again = "tokens"
except OAuth2Error as error:
    again = error.error
scope = tokens["scope"]
say(
    token_type=tokens["token_type"],
    scope=scope if isinstance(scope, str) else " ".join(scope),
    userinfo=userinfo,
    renewed=renewed["refresh_token"] != tokens["refresh_token"],
    again=again,
    waited=waited,
)

codes = begin()
try:
    wait(codes)
    say(refused="nothing")
except OAuth2Error as error:
    say(refused=error.error)
say(secrets=SECRETS)
