"""HTTP/1.1 by hand: bytes out, and answers read as strictly as RFC 9112 allows a client to."""

import json
import re
import socket
import time
from typing import NamedTuple

HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([\x20-\x7e\x80-\xff]*)\Z")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ([A-Z][A-Za-z \-]*)\Z")

SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class Answer(NamedTuple):
    status: int
    reason: str
    headers: dict
    body: bytes

    @property
    def problem(self):
        """A whole problem document (RFC 9457)."""
        assert self.headers["content-type"] == "application/problem+json", self
        problem = json.loads(self.body)
        assert {"type", "title", "status", "code", "detail", "instance", "requestId", "errors"} == problem.keys()
        assert problem["status"] == self.status and problem["title"] == self.reason, self
        assert problem["code"] and problem["detail"], self
        assert problem["requestId"] == self.headers["x-request-id"], self
        return problem

    @property
    def closes(self):
        return self.headers.get("connection") == "close"


class Connection:
    """One TCP connection to a listener."""

    def __init__(self, platform, listener="rest", timeout=20):
        host, port = platform.address(listener).split(":")
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
        return self

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def _more(self):
        data = self.socket.recv(65536)
        self.buffer += data
        return bool(data)

    def _take(self, size):
        while len(self.buffer) < size:
            assert self._more(), f"ended within an answer: {self.buffer!r}"
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def _line(self):
        while b"\r\n" not in self.buffer:
            assert self._more(), f"ended within a head: {self.buffer!r}"
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def answer(self, head=False):
        match = STATUS_LINE.match(line := self._line())
        assert match, line
        status, reason, headers = int(match[1]), match[2].decode(), {}
        while line := self._line():
            match = HEADER.match(line)
            assert match, line
            name = match[1].decode().lower()
            assert name not in headers or name == "set-cookie", f"{name} twice"
            headers[name] = match[2].decode("latin-1")
        bare = status < 200 or status in (204, 304)
        assert ("content-length" in headers) != bare, headers
        if status >= 200:
            for name, value in SECURITY.items():
                assert headers.get(name) == value, (name, headers)
            assert re.fullmatch(r"[0-9a-f]{32}", headers["x-request-id"])
            assert "cache-control" in headers
        body = b"" if bare or head else self._take(int(headers["content-length"]))
        return Answer(status, reason, headers, body)

    def ended(self):
        """The other side has closed, and said nothing more."""
        try:
            return not self.buffer and not self._more()
        except ConnectionResetError:
            return True


def exchange(platform, data, listener="rest"):
    """The one answer to these bytes, after which the connection must be closed."""
    with Connection(platform, listener) as c:
        answer = c.send(data).answer()
        assert answer.closes and c.ended(), answer
        return answer


def seconds(function):
    begin = time.monotonic()
    return function(), time.monotonic() - begin
