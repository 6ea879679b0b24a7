"""Signs alice in as a browser would (OAuth 2.1 §4.1), and prints her token; with
`narrowed` what the service orders makes of it."""

import base64
import hashlib
import html.parser
import secrets
import sys
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

ISSUER = "http://127.0.0.1:18080"
CALLBACK = "http://127.0.0.1:18083/callback"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class Form(html.parser.HTMLParser):
    """The first form of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.action, self.fields = None, {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        own = dict(attributes)
        if tag == "form" and self.action is None:
            self.action = own["action"]
        elif tag == "input" and "name" in own:
            self.fields[own["name"]] = own.get("value", "")


def token(client: str, form: dict) -> str:
    answer = requests.post(ISSUER + "/token", data=form, auth=(client, client + "-secret"), timeout=10)
    answer.raise_for_status()
    return answer.json()["access_token"]


def sign_in() -> str:
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    browser = requests.Session()
    asked = {
        "response_type": "code", "client_id": "shop", "redirect_uri": CALLBACK, "scope": "read:orders",
        "resource": "https://orders.example.com", "code_challenge": challenge,
        "code_challenge_method": "S256", "state": secrets.token_urlsafe(16),
    }
    answer = browser.get(ISSUER + "/authorize", params=asked, allow_redirects=False, timeout=10)
    while not answer.headers.get("Location", "").startswith(CALLBACK):
        if answer.is_redirect:
            answer = browser.get(urljoin(answer.url, answer.headers["Location"]), allow_redirects=False, timeout=10)
            continue
        answer.raise_for_status()
        form = Form(answer.text)
        fields = form.fields | {"username": "alice", "password": "correct horse battery"}
        answer = browser.post(urljoin(answer.url, form.action), data=fields, allow_redirects=False, timeout=30)
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    redeemed = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": verifier}
    return token("shop", redeemed)


def narrowed(presented: str) -> str:
    own = token("orders", {"grant_type": "client_credentials", "resource": "https://orders.example.com"})
    return token("orders", {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": presented, "subject_token_type": ACCESS_TOKEN,
        "actor_token": own, "actor_token_type": ACCESS_TOKEN,
        "resource": "https://inventory.example.com",
    })


print(narrowed(sys.argv[2]) if sys.argv[1] == "narrowed" else sign_in())
