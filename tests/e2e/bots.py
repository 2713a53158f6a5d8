"""Bots that sign with an API key: one by python3-cryptography, and the one in docs/api-keys.md by OpenSSL."""

import base64
import hashlib
import json
import re
import subprocess
import time

import requests
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from platform_under_test import ROOT, User, clean_environment

PERMISSIONS = ("READ", "TRADE", "WITHDRAW")
DOCS = ROOT / "docs/api-keys.md"


def now_ms():
    return time.time_ns() // 1_000_000


class Bot(User):
    """Calls as a user does, but signs every request; good for a minute, so that a slow machine has time."""

    WINDOW = "60000"

    def __init__(self, owner, kind="HMAC_SHA256", permissions=PERMISSIONS, **more):
        super().__init__(owner.platform, None)
        self.owner, self.id = owner, owner.id
        self.private = Ed25519PrivateKey.generate() if kind == "ED25519" else None
        if self.private:
            raw = self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            more["publicKey"] = base64.b64encode(raw).decode()
        made = owner.post("/api-keys", {"name": "bot", "kind": kind, "permissions": list(permissions), **more})
        self.key, self.secret = made["apiKey"], made["secret"]
        self.key_id = self.key["keyId"]
        self.last_ms = 0

    def stamp(self):
        """Now; never the same twice, so that no two requests are one."""
        self.last_ms = max(now_ms(), self.last_ms + 1)
        return str(self.last_ms)

    def sign(self, *lines):
        text = "\n".join(lines).encode()
        if self.private:
            return base64.b64encode(self.private.sign(text)).decode()
        mac = hmac.HMAC(self.secret.encode(), hashes.SHA256())
        mac.update(text)
        return mac.finalize().hex()

    def headers(self, verb, path, query="", body=b"", stamp=None, window=WINDOW):
        """window "": none is sent."""
        stamp = stamp or self.stamp()
        signature = self.sign(verb, path, query, self.key_id, stamp, window or "5000", hashlib.sha256(body).hexdigest())
        headers = {"X-API-KEY": self.key_id, "X-API-TIMESTAMP": stamp, "X-API-SIGNATURE": signature}
        return headers | ({"X-API-RECV-WINDOW": window} if window else {})

    def send(self, verb, path, query="", body=b"", headers=None):
        """Just this, with these headers."""
        headers = ({"Content-Type": "application/json"} if body else {}) | (headers or {})
        request = self.session.prepare_request(requests.Request(verb, self.platform.origin, headers, data=body))
        request.url = self.platform.origin + path + (f"?{query}" if query else "")  # requests would rewrite escapes
        return self.session.send(request, timeout=30)

    def call(self, verb, path, body=None, headers=None, base=None, **query):
        text = requests.models.PreparedRequest()
        text.prepare_url("http://host/", query)
        asked = text.url.partition("?")[2]
        data = json.dumps(body).encode() if body is not None else b""
        signed = self.headers(verb, "/api/v1" + path, asked, data)
        return self.send(verb, "/api/v1" + path, asked, data, signed | (headers or {}))

    def credentials(self, **changes):
        """What `authenticate` takes on the WebSocket."""
        stamp = self.stamp()
        nothing = hashlib.sha256(b"").hexdigest()
        return {"apiKey": self.key_id, "timestamp": stamp, "recvWindow": int(self.WINDOW),
                "signature": self.sign("AUTHENTICATE", "/ws", "", self.key_id, stamp, self.WINDOW, nothing)} | changes


# ---- the documentation ----

def blocks(kind):
    found = re.findall(rf"^```sh {kind}\n(.*?)^```$", DOCS.read_text(), re.M | re.S)
    assert found, f"no {kind} in {DOCS}"
    text = "".join(found)
    return text, re.findall(r"^#=> (.*)$", text, re.M)


def run_documented(kind, directory, **variables):
    """The blocks of a kind, in order in one bash; what they print must be what stands behind #=>."""
    text, expected = blocks(kind)
    done = subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", text], cwd=directory, capture_output=True, text=True,
                          env=clean_environment(**variables), timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == expected
