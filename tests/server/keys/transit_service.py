"""A key service in a process of its own: it signs digests with P-256 keys that it never hands out.

``python transit_service.py TOKEN``: speaks as much of the transit engine of Vault and OpenBao as signing needs, at an
address that it prints with its public keys (PEM, by version). Its own rules: without the token 403, without a digest of
32 bytes that is said to be one 400, another version than it has 404.
"""

from __future__ import annotations

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

KEYS = {version: ec.generate_private_key(ec.SECP256R1()) for version in (1, 2)}
SIGN = "/v1/transit/sign/counterfoil/sha2-256"


class Service(BaseHTTPRequestHandler):
    """One request."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status, answer = self._answer(asked)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def _answer(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.headers["x-vault-token"] != sys.argv[1]:
            return 403, {"errors": ["permission denied"]}
        digest, version = base64.b64decode(asked["input"]), asked["key_version"]
        if not asked.get("prehashed") or len(digest) != 32:
            return 400, {"errors": ["no digest"]}
        if self.path != SIGN or version not in KEYS:
            return 404, {"errors": []}
        signature = KEYS[version].sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        return 200, {"data": {"signature": f"vault:v{version}:{base64.b64encode(signature).decode()}"}}

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    public = {
        version: key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
        for version, key in KEYS.items()
    }  # fmt: skip
    print(json.dumps({"address": f"http://127.0.0.1:{server.server_address[1]}", "public": public}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
