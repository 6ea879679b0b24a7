"""The document by which client.py describes itself, over https on this machine.

A client that is used by others has it on a host of its own; the authorization
server shows that host to whoever is asked.
"""

import http.server
import json
import pathlib
import ssl
import subprocess
import sys


def certificate(folder: pathlib.Path) -> None:
    """Makes a certificate for localhost, where there is none yet."""
    if (folder / "document.pem").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "30", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost",
         # It signs nothing but itself, or it would not be taken as a server's own.
         "-addext", "basicConstraints=critical,CA:FALSE",
         "-keyout", folder / "document.key", "-out", folder / "document.pem"],
        check=True, capture_output=True,
    )


class Document(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        identifier = f"https://localhost:{self.server.server_port}{self.path}"
        document = {
            "client_id": identifier,
            "client_name": "Notes on the command line",
            "redirect_uris": ["http://127.0.0.1/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "max-age=300")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "data")
    certificate(folder)
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9400
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Document)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "document.pem", folder / "document.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
