"""Our JavaScript client (clients/js): its own tests, and what it promises, against whole platforms."""

import base64
import hashlib
import json
import re
import subprocess
import threading
import time

import jwt
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from edge_under_test import Edge
from platform_under_test import PASSWORD, ROOT, SYMBOL, clean_environment, free_port, spawn, wait_until
from sockets import CommandFailed, Socket

CLIENT = ROOT / "clients/js"
PATIENCE_S = 120
SIZE_MAX = 20 * 1024  # bytes, gzipped


@pytest.fixture(scope="session", autouse=True)
def built():
    """scripts/test installs its compiler; the types are those of the build that is tested."""
    assert (CLIENT / "node_modules/typescript").is_dir(), "npm ci --prefix clients/js"
    subprocess.run(["node", CLIENT / "build.mjs", ROOT / "build/release"], check=True, timeout=120)


def run_node(*arguments, environment=None, cwd=CLIENT):
    done = subprocess.run(["node", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S,
                          env=clean_environment() | (environment or {}), check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


def addresses(platform):
    return {"url": platform.origin, "ws": platform.ws(), "guestWs": platform.ws("guest"), "symbol": SYMBOL}


def test_its_rooms_keep_their_promises_without_a_platform():
    run_node("--test", "--test-timeout=60000", "test/unit/")


def mint(platform, token, **claims):
    """A token like that one, with other claims, signed by the platform's own key."""
    target = "all" if platform.shape == "one" else "users"
    key = sorted(platform.data(target).rglob("*.pem"))[-1]
    old = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(old | claims, key.read_text(), "ES256", {"kid": jwt.get_unverified_header(token)["kid"]})


def test_a_tour_of_all_it_can(platform, people):
    user = people(USDT="100000")
    claims = jwt.decode(user.token, options={"verify_signature": False})
    short = mint(platform, user.token, exp=int(time.time()) + 6)
    forged = mint(platform, user.token, exp=claims["exp"] + 1)[:-8] + "AAAAAAAA"
    told = json.dumps(addresses(platform) | {"email": user.email, "password": PASSWORD, "short": short, "forged": forged})
    run_node("--test", "--test-timeout=60000", "test/e2e/tour.test.mjs", environment={"TRADEPOST_TEST": told})


def test_the_readmes_examples_run(platform, people):
    ann, bob = people(USDT="100000"), people(BTC="1")
    code = "\n".join(re.findall(r"^```js\n(.*?)^```", (CLIENT / "README.md").read_text(), re.S | re.M))
    here = addresses(platform)
    for public, tested in (("https://localhost:3333", here["url"]), ("ann@example.com", ann.email)):
        assert public in code
        code = code.replace(public, tested)
    code = code.replace("WebSocket }", f"WebSocket, ws: {json.dumps(here['ws'])}, guestWs: {json.dumps(here['guestWs'])} }}")
    bob.limit("SELL", "0.01", 60000)
    said = run_node("--input-type=module", "--eval", code)  # a package may import itself by its name
    assert "order.filled" in said and said.endswith("OPEN\n1\n")


def test_the_package_has_what_it_needs_and_nothing_else(tmp_path):
    packed = subprocess.run(["npm", "pack", "--json", f"--pack-destination={tmp_path}"], cwd=CLIENT, check=True,
                            capture_output=True, text=True, timeout=60)
    files = {file["path"] for file in json.loads(packed.stdout)[0]["files"]}
    sources = {str(p.relative_to(CLIENT / "src"))[:-3] for p in (CLIENT / "src").rglob("*.ts")}
    assert files == {"package.json", "README.md"} | {f"dist/{s}{e}" for s in sources for e in (".js", ".d.ts")}
    assert not json.loads((CLIENT / "package.json").read_text()).get("dependencies")
    code = b"".join(p.read_bytes() for p in (CLIENT / "dist").rglob("*.js"))
    size = len(subprocess.run(["gzip", "-9"], input=code, capture_output=True, check=True).stdout)
    assert size <= SIZE_MAX


def test_its_types_are_strict_for_who_uses_them():
    tsc = CLIENT / "node_modules/typescript/bin/tsc"
    run_node(tsc, "--noEmit", "--strict", "--skipLibCheck", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "nodenext",
             "--lib", "es2022,dom", "test/types.ts")


# ---- restarts ----

def fixed_ports():
    """A gateway that comes back where it was, and gives who was away long all that he missed."""
    return {"gateway.queue_bytes": 8 << 20} | {f"gateway.{name}port": free_port() for name in ("", "main_", "login_", "guest_", "internal_")}


class Market:
    """Somebody buys, at most 100 times a second, until told to stop; the gateway may come and go."""

    def __init__(self, platform):
        self.seller, self.buyer = platform.user(BTC="1000"), platform.user(USDT="100000000")
        self.seller.limit("SELL", "1000", 60000)
        self.stopped, self.made = threading.Event(), 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopped.wait(0.01):
            try:
                self.made += self.buyer.call("POST", "/orders", {
                    "symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.0001", "price": "60000"}).status_code == 201
            except requests.RequestException:
                continue

    def more(self, count):
        wanted = self.made + count
        wait_until(lambda: self.made >= wanted, PATIENCE_S, f"{count} more trades")

    def stop(self):
        self.stopped.set()
        self.thread.join()


@pytest.mark.parametrize("shape", ["one", "split"])
def test_a_gateway_is_restarted_under_load_and_every_client_ends_with_the_exact_trades(new_platform, shape):
    """Killed and stopped, in turn. In a process of its own it finds the past where it was published, so that no
    client needs to read a snapshot; in one process the past ends with it, and clients are told to."""
    platform = new_platform(shape, fixed_ports()).start()
    gateway = "gateway" if shape == "split" else "all"
    emails = [platform.user().email for _ in range(4)]  # a user has 20 connections at most
    told = addresses(platform) | {"emails": emails, "password": PASSWORD, "members": 60, "guests": 20, "streams": 14}
    crowd = spawn(["node", str(CLIENT / "test/e2e/crowd.mjs"), json.dumps(told)], platform.directory / "crowd.log",
                  stdout=subprocess.PIPE, text=True, stdin=subprocess.PIPE)
    assert crowd.stdout.readline() == "back\n", (platform.directory / "crowd.log").read_text()
    market = Market(platform)
    try:
        for end in (platform.kill, platform.stop, platform.kill)[:3 if shape == "split" else 2]:
            market.more(30)
            end(gateway)
            crowd.stdin.write("back\n")
            crowd.stdin.flush()
            platform.start(gateway)
            assert crowd.stdout.readline() == "back\n"
        market.more(30)
    finally:
        market.stop()
    trades = [t["tradeId"] for t in platform.guest().pages(f"/markets/{SYMBOL}/trades")][::-1]
    clients = json.loads(crowd.communicate(trades[-1] + "\n", timeout=PATIENCE_S)[0])
    assert crowd.returncode == 0
    assert len(clients) == 94 and len(trades) >= market.made >= 90
    for client in clients:
        assert client["log"] == trades, f"a {client['kind']} has other trades"
        if shape == "split":
            assert client["events"] == trades and client["reloads"] == ["begin"]
        else:
            assert len(set(client["events"])) == len(client["events"]) and "resync" in client["reloads"]


def test_what_was_shown_before_it_was_confirmed_is_true_in_the_end_though_the_platform_is_killed(new_platform):
    platform = new_platform("one", fixed_ports()).start()
    user = platform.user(USDT="10000000")
    told = addresses(platform) | {"email": user.email, "password": PASSWORD, "orders": 200}
    optimist = spawn(["node", str(CLIENT / "test/e2e/optimist.mjs"), json.dumps(told)], platform.directory / "optimist.log",
                     stdout=subprocess.PIPE, text=True)
    for _ in range(2):  # of its four lanes, the first two to be under way
        assert optimist.stdout.readline() == "under way\n", (platform.directory / "optimist.log").read_text()
        platform.kill()
        platform.start()
    seen = json.loads(optimist.communicate(timeout=PATIENCE_S)[0].splitlines()[-1])
    assert seen["tries"] == {"apply": 200, "commit": 180, "rollback": 20}
    assert sorted(o for o in seen["shown"] if o != "insufficient_funds") == sorted(
        o["orderId"] for o in user.pages("/orders")), "each is there, and once"


@pytest.fixture
def split_edge(new_platform, tmp_path):
    """Over TLS, in front of a gateway that can be restarted without the others; pages come from the REST port."""
    port = free_port()
    settings = {"gateway.cookie_secure": "true", "gateway.origins": f"https://localhost:{port}"}
    front = Edge(tmp_path, new_platform("split", fixed_ports() | settings).start())
    front.ports = {"rest": port}
    yield front.start()
    front.close()


def key_pin(edge):
    """For Chromium: this certificate's key may be believed."""
    key = x509.load_pem_x509_certificate((edge.directory / "certs/server.pem").read_bytes()).public_key()
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


def test_in_chromium_through_the_edge_it_logs_in_trades_and_outlives_its_gateway(split_edge):
    platform, user = split_edge.platform, split_edge.platform.user(USDT="100000")
    told = {"origin": split_edge.origin, "ws": split_edge.ws(), "guestWs": split_edge.ws("guest"), "spki": key_pin(split_edge),
            "dist": str(CLIENT / "dist"), "symbol": SYMBOL, "email": user.email, "password": PASSWORD}
    market = Market(platform)
    page = spawn(["node", str(ROOT / "tests/node/browser_client.mjs"), json.dumps(told)], platform.directory / "page.log",
                 stdout=subprocess.PIPE, text=True, stdin=subprocess.PIPE)
    try:
        assert page.stdout.readline() == "back\n", (platform.directory / "page.log").read_text()
        for end in (platform.kill, platform.stop):
            market.more(30)
            end("gateway")
            page.stdin.write("back\n")
            page.stdin.flush()
            platform.start("gateway")
            assert page.stdout.readline() == "back\n", (platform.directory / "page.log").read_text()
        market.more(30)
    finally:
        market.stop()
    user.limit("BUY", "0.0001", 60000)
    trades = [t["tradeId"] for t in platform.guest().pages(f"/markets/{SYMBOL}/trades")][::-1]
    said = page.communicate(trades[-1] + "\n", timeout=PATIENCE_S)[0]
    assert page.returncode == 0, (platform.directory / "page.log").read_text()
    seen = json.loads(said)
    assert seen["reloads"] == ["begin"] * 3, "nobody's past was gone"
    for name, tape in seen["tapes"].items():
        assert len(tape) > 90 and tape == trades[-len(tape):], f"{name} has other trades"
    assert {c.split("=")[0] for c in seen["cookies"].split("; ")} == {"tp_access", "tp_csrf"}, "the refresh token is hidden"
    assert seen["forged"] == 403
    assert len([o for o in seen["orders"] if o.startswith("order.filled")]) == len(set(seen["orders"])) / 2 == 4
    assert seen["answers"][0]["ok"] and {a["channel"] for a in seen["answers"][1:]} == {f"trades:{SYMBOL}"}
    assert seen["closes"] in ([1006], [1001])
    assert seen["resumed"] == {"users": [user.email] * 3, "named": [user.email] * 3, "after": None}


def test_before_the_past_is_known_nobody_is_told_that_it_is_gone(new_platform):
    platform = new_platform("split")
    platform.launch("gateway")
    wait_until(platform.read_ports)
    with Socket(platform.ws("guest")) as socket:
        with pytest.raises(CommandFailed) as failed:
            socket.subscribe(f"trades:{SYMBOL}", since={"epoch": "5", "seq": "7"})
        assert failed.value.code == "unavailable" and failed.value.error["temporary"]
        assert socket.events == []
    stream = requests.get(f"{platform.url}/stream?channels=trades:{SYMBOL}&lastEventId=5-7", timeout=5)
    assert stream.status_code == 503 and stream.headers["Retry-After"]
