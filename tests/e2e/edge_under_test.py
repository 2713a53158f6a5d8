"""The TLS edge to test: nginx, by scripts/edge, with certificates of its own, in front of a platform.

Clients from 127.0.0.1 are not limited, as with scripts/up; those from other addresses of loopback are.
"""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess

import requests

from platform_under_test import ROOT, clean_environment, wait_until

LISTENERS = ("login", "main", "rest", "guest")
STRANGER = "127.0.0.2"  # an address that is limited


class Edge:
    """Not started yet; close() when done. Where a User expects a platform, this will do."""

    def __init__(self, directory, platform):
        self.directory, self.platform = directory, platform
        self.process, self.ports = None, {}
        self.script("certs")

    def script(self, name, *arguments, **environment):
        """scripts/NAME on this edge's data."""
        return subprocess.run([ROOT / "scripts" / name, *arguments, "--data", self.directory], cwd=ROOT, check=True,
                              env=self.environment() | environment, capture_output=True, text=True, timeout=60)

    def environment(self):
        gateway = self.platform.ports
        return clean_environment(EDGE_PORTS=",".join(str(self.ports.get(name, 0)) for name in LISTENERS),
                                 EDGE_GATEWAY_PORTS=",".join(str(gateway[name]) for name in LISTENERS),
                                 EDGE_EXEMPT="127.0.0.1/32 ::1/128")

    def start(self):
        """In the foreground; it ends with this process, by SIGTERM, so that its workers do too."""
        with open(self.directory / "edge.log", "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", ROOT / "scripts/edge", "run", "--data", self.directory], cwd=ROOT,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment())
        wait_until(self.is_up, 60, "the edge to listen")
        return self

    def is_up(self):
        assert self.process.poll() is None, self.log()
        with contextlib.suppress(OSError, ValueError):
            self.ports = json.loads((self.directory / "edge.ports").read_text())
            return len(self.workers()) == os.cpu_count()
        return False

    def close(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process = None

    def reload(self, *changes):
        """Reads its configuration again, after changes (pattern, text) of it. After changes no client may be
        connected: the old workers are waited for."""
        file = self.directory / "edge/nginx.conf"
        text = file.read_text()
        for pattern, new in changes:
            text, count = re.subn(pattern, new, text)
            assert count, pattern
        file.write_text(text)
        before = self.workers()
        self.script("edge", "reload")
        wait_until(lambda: self.workers() - before, 30, "new workers")
        wait_until(lambda: not (changes and self.workers() & before), 30, "the old workers to end")

    def workers(self):
        done = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return set(done.stdout.split())

    def log(self):
        files = (self.directory / "edge.log", self.directory / "edge/error.log")
        return "".join(f.read_text(errors="replace") for f in files if f.exists())

    # -- addresses --

    @property
    def ca(self):
        return str(self.directory / "certs/ca.pem")

    @property
    def origin(self):
        return f"https://localhost:{self.ports['rest']}"

    @property
    def url(self):
        return self.origin + "/api/v1"

    def ws(self, listener="main"):
        return f"wss://localhost:{self.ports[listener]}/ws"

    # -- clients --

    def context(self, *alpn):
        """Verifies with the CA, and with nothing else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def connect(self, listener="rest", source="127.0.0.1", context=None, name="localhost"):
        """A TLS connection from that address."""
        plain = socket.create_connection(("127.0.0.1", self.ports[listener]), 30, (source, 0))
        try:
            return (context or self.context()).wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise

    def get(self, path, listener="rest", **options):
        with requests.Session() as session:
            session.trust_env, session.verify = False, self.ca
            return session.get(f"https://localhost:{self.ports[listener]}{path}", timeout=30, **options)

    def user(self, name=None, **funds):
        """A user of the platform who comes through the edge."""
        user = self.platform.user(name, **funds)
        user.platform, user.session.verify = self, self.ca
        return user

    def records(self):
        """Of the access log."""
        return [json.loads(line) for line in (self.directory / "edge/access.log").read_text().splitlines()]


# ---- bytes over TLS, for what no client would send ----

class Answers:
    """What comes back on a connection, answer by answer."""

    def __init__(self, connection):
        self.file = connection.makefile("rb")

    def next(self):
        """(status, headers, body), or None when the connection has ended."""
        try:
            start = self.file.readline()
        except OSError:
            return None
        if not start:
            return None
        headers = {}
        while (line := self.file.readline().strip()):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return int(start.split()[1]), headers, self.file.read(int(headers.get("content-length", 0))).decode()

    def all(self):
        """Every answer, until one says that it is the last."""
        answers = []
        while not (answers and answers[-1][1].get("connection") == "close") and (answer := self.next()):
            answers.append(answer)
        return answers


def exchange(edge, request, listener="rest", source="127.0.0.1"):
    """Sends bytes over TLS; every answer until the other side closes, or has nothing more to say."""
    with edge.connect(listener, source) as connection:
        connection.sendall(request)
        connection.settimeout(3)
        return Answers(connection).all()
