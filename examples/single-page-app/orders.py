"""The shop: a page, and the orders of whoever the gateway says is calling.

It checks no token. It must be reached through the gateway alone, so it listens
on this machine only.
"""

import json
import pathlib
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

PAGE = pathlib.Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'"

orders = {}  # by user, then by idempotency key, in the order they came
lock = Lock()


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/api/orders":
            with lock:
                own = list(orders.get(self.headers["X-User"], {}).values())
            return self.answer(200, "application/json", json.dumps(own).encode())
        name = "index.html" if self.path == "/" else self.path.strip("/")
        file = PAGE / name
        if file.parent != PAGE or not file.is_file():
            return self.answer(404, "text/plain", b"not here")
        self.answer(200, TYPES[file.suffix], file.read_bytes())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key = self.headers.get("Idempotency-Key")
        try:
            order = json.loads(body)
            order = {"item": str(order["item"]), "number": int(order["number"])}
        except (ValueError, KeyError, TypeError):
            return self.answer(400, "text/plain", b"an order has an item and a number")
        if not key:
            return self.answer(400, "text/plain", b"no Idempotency-Key")
        with lock:
            # Sent again, it is the same order.
            own = orders.setdefault(self.headers["X-User"], {})
            order = own.setdefault(key, order)
        self.answer(201, "application/json", json.dumps(order).encode())

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *arguments):
        pass


port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
ThreadingHTTPServer(("127.0.0.1", port), Shop).serve_forever()
