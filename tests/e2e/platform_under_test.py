"""A whole platform to test: its processes, its users, and how to wait for it.

Two shapes. "one" is what a newcomer starts: one process, SQLite files, the cache in process. "split" is what an
operator starts: a process per part, RPC and events over tcp, documents in a MongoDB-compatible server, the cache
in Redis. A test cannot tell which one it runs against.
"""

import contextlib
import itertools
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from decimal import Decimal
from typing import NamedTuple

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.dont_write_bytecode = True

BINARY = os.environ.get("TRADEPOST_BINARY", str(ROOT / "build/release/services/tradepost"))
CONFIG = str(ROOT / "config/tradepost.yml")
SERVICES = ("users", "wallet", "trading")
PARTS = (*SERVICES, "gateway")
SHAPES = ("one", "split")
PASSWORD = "correct horse battery"
SYMBOL = "BTC-USDT"
STOP_S = 10  # from SIGTERM to exit 0, promised


# ---- waiting, the only place that sleeps ----

def wait_until(condition, seconds=20, what="it to happen"):
    """The first true value of condition(); fails when it does not come in time."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.01)
    return value


def let_pass(seconds):
    """For what is measured over a time, and for moments that are to be random."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, seconds + 10)


_taken = set()


def free_port():
    """A port that nobody listens on, from below the range that outgoing connections get theirs from."""
    while True:
        port = random.randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", port))
            if port not in _taken:
                _taken.add(port)
                return port


def clean_environment(**more):
    """Without our own TRADEPOST_ variables: the platform takes each for a setting.

    libmongoc keeps counters in /dev/shm/mongoc-PID, which a killed process leaves behind and the next one with its
    pid complains about on stderr: none here.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TRADEPOST_")}
    return kept | {"MONGOC_DISABLE_SHM": "1"} | more


def spawn(command, log, **options):
    """A process that dies with this one. Called from the main thread only: the kernel looks at the thread."""
    assert threading.current_thread() is threading.main_thread()
    with open(log, "ab") as file:
        options = {"stdin": subprocess.DEVNULL, "stdout": file} | options
        return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stderr=file, cwd=ROOT,
                                env=clean_environment(), **options)


# ---- the servers of the split shape ----

def answers_ping(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as s:
        s.sendall(b"PING\r\n")
        return s.recv(16) == b"+PONG\r\n"
    return False


def start_redis(directory):
    port = free_port()
    process = spawn(["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir",
                     str(directory)], directory / "redis.log")
    wait_until(lambda: answers_ping(port), what="redis-server")
    return process, f"redis://127.0.0.1:{port}/0"


def start_mongo(directory):
    process = spawn([str(ROOT / "scripts/mongo"), "--port", "0", "--dir", str(directory / "mongo"), "--with-parent"],
                    directory / "mongo.log", stdout=subprocess.PIPE, text=True)
    url = process.stdout.readline().strip()
    assert url.startswith("mongodb://"), (directory / "mongo.log").read_text()[-2000:]
    return process, url


# ---- the platform ----

class Platform:
    """Processes of tradepost over a directory. Not started yet; close() when done."""

    _names = itertools.count(1)

    def __init__(self, directory, shape="one", settings=None):
        assert shape in SHAPES
        self.directory, self.shape = pathlib.Path(directory), shape
        self.directory.mkdir(parents=True, exist_ok=True)
        self.processes, self.servers = {}, []
        self.ports = {}
        self.config = CONFIG
        self._admin = None
        self.settings = {"users.bcrypt_cost": 4, "gateway.cookie_secure": "false",
                         "gateway.rate_exempt": "127.0.0.1/32", **self.no_ports(),
                         **(self.split_settings() if shape == "split" else self.one_settings()), **(settings or {})}

    @staticmethod
    def no_ports():
        return {f"gateway.{name}port": 0 for name in ("", "main_", "login_", "guest_", "internal_")}

    @staticmethod
    def one_settings():
        return {f"{part}.listen": f"inproc://{part},tcp://127.0.0.1:{free_port()}" for part in PARTS}

    def split_settings(self):
        redis, cache = start_redis(self.directory)
        self.servers.append(redis)
        mongo, store = start_mongo(self.directory)
        self.servers.append(mongo)
        key = self.directory / "principal.hex"
        key.write_text(random.randbytes(32).hex())
        settings = {"cache.url": cache, "store.url": store.rstrip("/") + "/{part}",
                    "rpc.principal_key": key.read_text()}
        for part in PARTS:
            rpc, events = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
            settings |= {f"{part}.rpc": rpc, f"{part}.listen": rpc,
                         f"{part}.events": events, f"{part}.events_listen": events}
        return settings

    # -- processes --

    @property
    def targets(self):
        return ("all",) if self.shape == "one" else PARTS

    def data(self, target):
        return self.directory / ("data" if self.shape == "one" else f"data-{target}")

    def options(self, target="all"):
        if self.shape == "one":
            target = "all"
        flags = [f"--config={self.config}", "--set", f"data_dir={self.data(target)}"]
        for key, value in self.settings.items():
            flags += ["--set", f"{key}={value}"]
        return flags

    def command(self, target, *arguments):
        return [BINARY, *self.options(target), *arguments]

    def run(self, *arguments, target="all", **options):
        """A subcommand, with the platform's settings."""
        return subprocess.run(self.command(target if self.shape == "one" else "users", *arguments), cwd=ROOT,
                              env=clean_environment(), capture_output=True, text=True, timeout=30, **options)

    def log_file(self, target):
        return self.directory / f"{target}.log"

    def log(self, target=None):
        return "".join(self.log_file(t).read_text(errors="replace") for t in ([target] if target else self.targets)
                       if self.log_file(t).exists())

    def launch(self, *targets):
        """Starts processes and does not wait for anything."""
        for target in targets or self.targets:
            if target in ("all", "gateway"):
                (self.data(target) / "gateway.ports").unlink(missing_ok=True)
            self.processes[target] = spawn(self.command(target, f"--target={target}"), self.log_file(target))

    def start(self, *targets):
        self.launch(*targets)
        self.wait_ready()
        return self

    def check_alive(self):
        for target, process in self.processes.items():
            assert process.poll() is None, (f"{target} ended with {process.returncode}:\n"
                                            + self.log(target)[-3000:])

    def read_ports(self):
        with contextlib.suppress(FileNotFoundError, ValueError):
            self.ports = json.loads((self.data(self.targets[-1]) / "gateway.ports").read_text())
            return True
        return False

    def is_ready(self):
        self.check_alive()
        if not self.read_ports():
            return False
        with contextlib.suppress(requests.RequestException):
            return requests.get(self.internal + "/readyz", timeout=2).status_code == 200
        return False

    def wait_ready(self, seconds=20):
        wait_until(self.is_ready, seconds, "/readyz to say yes")

    def pid(self, target=None):
        return self.processes[target or self.targets[0]].pid

    def stop(self, *targets):
        """SIGTERM: every process must exit 0 in time."""
        chosen = [(t, self.processes.pop(t)) for t in targets or self.targets]
        for _, process in reversed(chosen):
            process.send_signal(signal.SIGTERM)
        end = time.monotonic() + STOP_S
        for target, process in chosen:
            try:
                status = process.wait(max(end - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"{target} did not stop in {STOP_S} s:\n" + self.log(target)[-3000:]) from None
            assert status == 0, f"{target} exited with {status} after SIGTERM:\n" + self.log(target)[-3000:]

    def kill(self, *targets):
        for target in targets or self.targets:
            process = self.processes.pop(target)
            process.kill()
            process.wait()

    def close(self):
        """Whatever still runs ends. Not a test of stopping."""
        for process in [*self.processes.values(), *self.servers]:
            process.kill()
            process.wait()
        self.processes, self.servers = {}, []

    # -- addresses --

    def address(self, listener):
        return f"127.0.0.1:{self.ports[listener]}"

    @property
    def url(self):
        return f"http://{self.address('rest')}/api/v1"

    @property
    def origin(self):
        return f"http://{self.address('rest')}"

    @property
    def internal(self):
        return f"http://{self.address('internal')}"

    def ws(self, listener="main"):
        return f"ws://{self.address(listener)}/ws"

    # -- people --

    def admin(self):
        if not self._admin:
            made = self.run("admin", "create", "--email=admin@example.com", "--username=admin",
                            input=PASSWORD + "\n")
            assert made.returncode == 0, made.stderr
            self._admin = User(self, "admin@example.com").log_in()
        return self._admin

    def user(self, name=None, **funds):
        """A new user who owns funds: user(USDT="100", BTC="1")."""
        name = f"{name or 'user'}-{next(Platform._names)}"
        user = User(self, f"{name}@example.com", name)
        user.register()
        user.log_in()
        for asset, amount in funds.items():
            self.credit(user, asset, amount)
        return user

    def guest(self):
        return User(self, None)

    def credit(self, user, asset, amount, transfer_id=None):
        return self.admin().post("/admin/credits", {
            "transferId": transfer_id or f"credit-{next(Platform._names)}", "userId": user.id, "asset": asset,
            "amount": str(amount)})

    def audit(self):
        return self.admin().get("/admin/audit")


# ---- its users ----

class Refused(Exception):
    """An answer of 400 and above."""

    def __init__(self, response):
        try:
            self.problem = response.json()
        except ValueError:
            self.problem = {}
        self.response, self.status, self.code = response, response.status_code, self.problem.get("code")
        super().__init__(f"{response.request.method} {response.request.url}: {self.status} {response.text[:500]}")

    @property
    def fields(self):
        return [error["field"] for error in self.problem["errors"]]


@contextlib.contextmanager
def refused(status, code=None, field=None):
    """The block must be refused just so, with a whole problem document (RFC 9457)."""
    caught = []
    try:
        yield caught
    except Refused as error:
        caught.append(error)
    assert caught, f"it was not refused with {status} {code or ''}"
    error = caught[0]
    assert error.status == status, error
    assert code is None or error.code == code, error
    assert error.response.headers["Content-Type"].startswith("application/problem+json")
    assert {"type", "title", "status", "code", "detail", "instance", "requestId", "errors"} <= error.problem.keys()
    assert error.problem["status"] == status and error.problem["code"] and error.problem["detail"]
    assert field is None or field in error.fields, error


class Balance(NamedTuple):
    total: Decimal
    available: Decimal
    held: Decimal


class User:
    """Somebody with a browser: a session with cookies, and an access token once logged in."""

    def __init__(self, platform, email, name=None):
        self.platform, self.email, self.name = platform, email, name
        self.session = requests.Session()
        self.session.trust_env = False
        self.id = self.token = None

    def register(self):
        user = self.post("/auth/register", {"email": self.email, "username": self.name, "password": PASSWORD})
        self.id = user["userId"]
        return user

    def log_in(self):
        tokens = self.post("/auth/login", {"email": self.email, "password": PASSWORD})
        self.token, self.id = tokens["accessToken"], tokens["user"]["userId"]
        return self

    def call(self, verb, path, body=None, headers=None, base=None, **query):
        """The bare response. Paths are below /api/v1."""
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", "Bearer " + self.token)
        return self.session.request(verb, (base or self.platform.url) + path, json=body, headers=headers,
                                    params=query, timeout=30)

    def ask(self, verb, path, body=None, **more):
        response = self.call(verb, path, body, **more)
        if response.status_code >= 400:
            raise Refused(response)
        return response.json() if response.content else None

    def get(self, path, **query):
        return self.ask("GET", path, **query)

    def post(self, path, body=None, **more):
        return self.ask("POST", path, body if body is not None else {}, **more)

    def put(self, path, body, **more):
        return self.ask("PUT", path, body, **more)

    def delete(self, path, **query):
        return self.ask("DELETE", path, **query)

    def pages(self, path, limit=200, patience=0, **query):
        """Every item of a paged list. A store that is slow under load may be asked again for so many seconds."""
        cursor, end = {}, time.monotonic() + patience
        while True:
            try:
                page = self.get(path, limit=limit, **query, **cursor)
            except Refused as error:
                if error.status not in (503, 504) or time.monotonic() > end:
                    raise
                continue
            assert len(page["items"]) <= limit
            yield from page["items"]
            if not page["nextCursor"]:
                return
            assert page["items"], "an empty page with a next one"
            cursor = {"cursor": page["nextCursor"]}

    def limit(self, side, quantity, price, symbol=SYMBOL, **more):
        return self.post("/orders", {"symbol": symbol, "side": side, "type": "LIMIT", "quantity": str(quantity),
                                     "price": str(price), **more})

    def market(self, side, quantity, spend=None, symbol=SYMBOL, **more):
        price = {"price": str(spend)} if spend is not None else {}
        return self.post("/orders", {"symbol": symbol, "side": side, "type": "MARKET", "quantity": str(quantity),
                                     **price, **more})

    def cancel(self, order):
        return self.delete(f"/orders/{order['orderId']}")

    def balances(self):
        return {b["asset"]: Balance(*(Decimal(b[k]) for k in Balance._fields))
                for b in self.get("/wallet/balances")["items"]}

    def balance(self, asset):
        return self.balances().get(asset, Balance(Decimal(0), Decimal(0), Decimal(0)))

    def transfer(self, to, asset, amount, transfer_id):
        return self.post("/wallet/transfers", {"transferId": transfer_id, "toUserId": to.id, "asset": asset,
                                               "amount": str(amount)})
