"""Authlib, a client that others wrote, against a running Symbolon.

`authlib_flow.py keys` prints a new key pair: {"public": …, "private": …}.
`authlib_flow.py flow` reads what it needs as JSON from standard input, goes
through everything, and prints one JSON object that says what came of it.
"""

import html.parser
import json
import os
import sys
import time
from urllib.parse import parse_qs, urljoin, urlsplit

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet


class Forms(html.parser.HTMLParser):
    """The first form of a page: where it goes and what it would send."""

    def __init__(self, page):
        super().__init__()
        self.action, self.fields, self.ids = None, [], set()
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        self.ids.add(a.get("id"))
        if tag == "form":
            self.action = a["action"]
        elif tag == "input" and "name" in a:
            unticked = a.get("type") in ("checkbox", "radio") and "checked" not in a
            if not unticked:
                self.fields.append((a["name"], a.get("value", "")))


class Person:
    """Somebody with a browser who signs in and agrees to everything."""

    def __init__(self, given):
        self.given = given
        self.browser = requests.Session()
        self.browser.trust_env = False
        self.saw, self.cookies = [], set()
        self.browser.hooks["response"] = self.keep

    def keep(self, answer, **_):
        self.cookies.update(answer.cookies.values())

    def visit(self, url):
        """Follows the server until it sends the browser to the client."""
        answer = self.browser.get(url, allow_redirects=False)
        for _ in range(10):
            if answer.is_redirect:
                target = urljoin(answer.url, answer.headers["Location"])
                if not target.startswith(self.given["issuer"] + "/"):
                    return target
                answer = self.browser.get(target, allow_redirects=False)
                continue
            assert answer.status_code == 200, (answer.status_code, answer.text)
            form = Forms(answer.text)
            fields = dict(form.fields)
            if "login-submit" in form.ids:
                self.saw.append("sign-in")
                fields |= {"username": self.given["username"], "password": self.given["password"]}
                body = list(fields.items())
            elif "consent-allow" in form.ids:
                self.saw.append("consent")
                body = [*form.fields, ("decision", "allow")]
            elif "logout-confirm" in form.ids:
                self.saw.append("logout")
                body = form.fields
            else:
                self.saw.append("page")
                return answer.text
            answer = self.browser.post(urljoin(answer.url, form.action), data=body, allow_redirects=False)
        raise AssertionError("more than ten redirects")


def client(given, name, secret, method, **more):
    session = OAuth2Session(name, secret, token_endpoint_auth_method=method, **more)
    session.trust_env = False
    return session


def machine(given, metadata, session):
    """Client credentials with an assertion."""
    token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials", scope="read:orders")
    return {"token_type": token["token_type"], "scope": token["scope"], "has_refresh": "refresh_token" in token}


def refused(call):
    try:
        call()
    except OAuthError as error:
        return error.error
    return None


def flow(given):
    issuer = given["issuer"]
    web = requests.Session()
    web.trust_env = False
    metadata = web.get(issuer + "/.well-known/openid-configuration").json()
    assert metadata["issuer"] == issuer
    keys = KeySet.import_key_set(web.get(metadata["jwks_uri"]).json())
    scope = "openid profile email offline_access read:orders"
    session = client(
        given, "web", given["secret"], "client_secret_basic",
        scope=scope, redirect_uri=given["callback"], code_challenge_method="S256",
    )
    verifier, nonce = generate_token(48), generate_token(16)
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce)

    person = Person(given)
    response = person.visit(url)
    query = parse_qs(urlsplit(response).query)
    assert query["iss"] == [issuer] and query["state"] == [state], query
    token = session.fetch_token(
        metadata["token_endpoint"], authorization_response=response, state=state, code_verifier=verifier)
    first = dict(token)

    decoded = jwt.decode(token["id_token"], keys, algorithms=metadata["id_token_signing_alg_values_supported"])
    claims = CodeIDToken(
        decoded.claims, decoded.header,
        {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": "web"},
         "nonce": {"essential": True, "value": nonce}},
        {"nonce": nonce, "client_id": "web", "access_token": token["access_token"]},
    )
    claims.validate()

    userinfo = session.get(metadata["userinfo_endpoint"]).json()
    refreshed = dict(session.refresh_token(metadata["token_endpoint"], refresh_token=first["refresh_token"]))
    api = client(given, "orders-api", given["api_secret"], "client_secret_basic")

    def introspect(text):
        return api.introspect_token(metadata["introspection_endpoint"], token=text).json()

    before = introspect(refreshed["access_token"])
    revocation = session.revoke_token(
        metadata["revocation_endpoint"], token=refreshed["refresh_token"], token_type_hint="refresh_token")
    after = introspect(refreshed["access_token"])
    dead = refused(lambda: session.refresh_token(
        metadata["token_endpoint"], refresh_token=refreshed["refresh_token"]))

    logout = metadata["end_session_endpoint"] + "?" + requests.compat.urlencode({
        "id_token_hint": refreshed.get("id_token", first["id_token"]),
        "post_logout_redirect_uri": given["bye"], "state": "farewell"})
    signed_out = person.visit(logout)
    silent, _ = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, prompt="none")
    nobody = parse_qs(urlsplit(person.visit(silent)).query)

    hasher = client(given, "hasher", given["hasher_secret"], "client_secret_jwt")
    # Left alone, Authlib's assertions live an hour; Symbolon takes five minutes at most.
    soon = int(time.time()) + 60
    hasher.register_client_auth_method(ClientSecretJWT(metadata["token_endpoint"], claims={"exp": soon}))
    signer = client(given, "signer", ECKey.import_key(given["private_key"]), "private_key_jwt")
    signer.register_client_auth_method(
        PrivateKeyJWT(metadata["token_endpoint"], claims={"exp": soon}, alg="ES256", headers={"kid": given["private_key"]["kid"]}))
    return {
        "saw": person.saw,
        "id_token": {name: claims.get(name) for name in ("sub", "nonce", "at_hash", "email", "name", "acr")},
        "id_token_alg": decoded.header["alg"],
        "userinfo": userinfo,
        "scope": first["scope"],
        "rotated": refreshed["refresh_token"] != first["refresh_token"],
        "renewed": refreshed["access_token"] != first["access_token"],
        "active_before": before.get("active"),
        "introspected": {name: before.get(name) for name in ("sub", "client_id", "scope", "iss")},
        "revocation_status": revocation.status_code,
        "active_after": after,
        "refresh_after": dead,
        "signed_out": signed_out,
        "silent_after": nobody["error"][0],
        "client_secret_jwt": machine(given, metadata, hasher),
        "private_key_jwt": machine(given, metadata, signer),
        "secrets": [
            query["code"][0], verifier,
            *(answer[name] for answer in (first, refreshed) for name in ("access_token", "refresh_token")),
            first["id_token"], *person.cookies,
            hasher.token["access_token"], signer.token["access_token"],
        ],
    }


def keys():
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    return {"public": key.as_dict(private=False), "private": key.as_dict(private=True)}


if __name__ == "__main__":
    print(json.dumps(keys() if sys.argv[1:] == ["keys"] else flow(json.load(sys.stdin))))
