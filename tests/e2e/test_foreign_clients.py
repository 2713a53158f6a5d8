"""Clients that nobody here wrote, as people use them: curl, npm's ws, wscat, eventsource and autocannon, h2load, wrk,
and Chromium's own WebSocket and EventSource. What goes through the edge in other ways is in test_edge.py."""

import itertools
import json
import os
import re
import subprocess
import threading

import pytest
import requests

from edge_under_test import Edge
from platform_under_test import PASSWORD, ROOT, SYMBOL, Platform, free_port, spawn, wait_until
from test_js_client import fixed_ports, key_pin

NODE = ROOT / "tests/node"
PATIENCE_S = 120
ORDER = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "30000"}
TICKER = "/markets/ETH-USDT/ticker"


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                          **options)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


class Client:
    """A program that runs beside the test: what it says, line by line. Ends with the block, however that ends."""

    _numbers = itertools.count(1)

    def __init__(self, directory, *command):
        self.errors = directory / f"{next(Client._numbers)}.log"
        self.process = spawn([str(c) for c in command], self.errors, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True)
        self.watchdog = threading.Timer(PATIENCE_S, self.process.kill)
        self.watchdog.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.watchdog.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def line(self):
        text = self.process.stdout.readline()
        assert text, self.errors.read_text()[-3000:]
        return text.rstrip("\n")

    def says(self, text):
        assert self.line() == text, self.errors.read_text()[-3000:]

    def tell(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()


# ---- curl ----

class Curl:
    """The program, with a cookie jar of its own; each call is a process."""

    def __init__(self, jar, *options):
        self.jar, self.options = jar, options

    def __call__(self, url, *options, body=None):
        """Body of the answer, and what -w tells of it."""
        if body is not None:
            options = (*options, "-H", "Content-Type: application/json", "--data-binary", json.dumps(body))
        said = run("curl", "-sS", "--max-time", PATIENCE_S, *self.options, "-b", self.jar, "-c", self.jar, "-w",
                   "\n%{json}", *options, url).stdout
        text, _, told = said.rpartition("\n")
        return text, json.loads(told)

    def cookies(self):
        """name -> value, of the jar."""
        fields = (line.split("\t") for line in self.jar.read_text().splitlines())
        return {f[5]: f[6] for f in fields if len(f) == 7}

    def log_in(self, url, user):
        """As a page does: the refresh cookie comes with the answer, the others it sets itself (docs/rest.md)."""
        text, told = self(url + "/auth/login", body={"email": user.email, "password": PASSWORD})
        assert (told["http_code"], told["http_version"]) == (200, "2")
        assert not json.loads(text)["refreshToken"] and self.cookies().keys() == {"tp_refresh"}
        self.keep(tp_access=json.loads(text)["accessToken"], tp_csrf="secret")

    def keep(self, **cookies):
        lines = [line for line in self.jar.read_text().splitlines() if not set(line.split("\t")) & cookies.keys()]
        lines += [f"localhost\tFALSE\t/\tTRUE\t0\t{name}\t{value}" for name, value in cookies.items()]
        self.jar.write_text("\n".join(lines) + "\n")


@pytest.fixture
def curl(tmp_path, edge):
    return Curl(tmp_path / "jar", "--cacert", edge.ca)


def test_curl_lives_on_its_cookies_over_http_2(edge, curl):
    user = edge.user("curl", USDT="100000")
    curl.log_in(edge.url, user)
    assert curl(edge.url + "/orders", body=ORDER)[1]["http_code"] == 403, "any page could have sent it"
    token = ("-H", "X-CSRF-Token: secret")
    assert curl(edge.url + "/orders", *token, body=ORDER)[1]["http_code"] == 201
    [order] = json.loads(curl(edge.url + "/orders/open")[0])["items"]
    assert float(order["price"]) == float(ORDER["price"])

    before = curl.cookies()["tp_refresh"]
    text, told = curl(edge.url + "/auth/refresh", *token, body={})
    assert told["http_code"] == 200 and curl.cookies()["tp_refresh"] != before
    curl.keep(tp_access=json.loads(text)["accessToken"])
    assert curl(edge.url + "/orders", "-X", "DELETE", *token)[1]["http_code"] == 200
    assert curl(edge.url + "/auth/logout", *token, body={})[1]["http_code"] in (200, 204)
    assert "tp_refresh" not in curl.cookies() and curl(edge.url + "/orders/open")[1]["http_code"] == 401


def test_curl_follows_its_owners_orders_by_the_cookie(edge, curl, tmp_path):
    user = edge.user("curl", USDT="100000")
    curl.log_in(edge.url, user)
    with Client(tmp_path, "curl", "-sSN", "--http2", "--cacert", edge.ca, "-b", curl.jar,
                edge.url + "/stream?channels=user.orders") as stream:
        stream.says("retry: 3000")
        assert re.fullmatch(r"id: \d+-\d+", stream.line())
        order = user.post("/orders", ORDER)
        while not (line := stream.line()).startswith("data: "):
            pass
        event = json.loads(line[6:])
        assert event["type"] == "order.accepted" and event["data"]["order"]["orderId"] == order["orderId"]
    user.delete("/orders")


@pytest.mark.parametrize("encoding", [[], ["--compressed"]], ids=["plain", "gzip"])
def test_curl_keeps_an_etag_and_what_has_not_changed_is_not_sent_again(edge, curl, tmp_path, encoding):
    """The openapi document: long enough to be compressed."""
    kept, body = tmp_path / "etag", tmp_path / "body"
    again = ["--etag-save", kept, "--etag-compare", kept, "-o", body, *encoding]
    _, told = curl(edge.origin + "/openapi.json", *again)
    assert told["http_code"] == 200 and json.loads(body.read_text())["openapi"]
    assert kept.read_text().startswith("W/" if encoding else '"')
    _, told = curl(edge.origin + "/openapi.json", *again)
    assert told["http_code"] == 304 and told["size_download"] == 0
    kept.write_text('"other"\n')
    assert curl(edge.origin + "/openapi.json", *again)[1]["http_code"] == 200


@pytest.mark.parametrize("way", ["gateway", "edge"])
def test_curl_asks_before_it_sends_a_large_body_and_is_refused_in_time(edge, curl, tmp_path, way):
    url = {"gateway": edge.platform.url, "edge": edge.url}[way] + "/auth/login"
    waits = ["--http1.1", "-v", "--expect100-timeout", PATIENCE_S, "-H", "Content-Type: application/json"]
    large = tmp_path / "large"
    large.write_bytes(b"1" * ((1 << 20) + 1))
    text, told = curl(url, *waits, "--data-binary", f"@{large}")
    assert told["http_code"] == 413 and json.loads(text)["code"] == "body_too_large" and told["size_upload"] == 0

    small = json.dumps({"email": "nobody@example.com", "password": "not the password"})
    done = run("curl", "-sS", *waits, "--cacert", edge.ca, "-H", "Expect: 100-continue", "--data-binary", small, url)
    assert "< HTTP/1.1 100 Continue" in done.stderr and json.loads(done.stdout)["status"] == 401


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl_asks_for_heads_and_for_options(edge, curl, version):
    def fields(text):
        pairs = (line.partition(": ") for line in text.splitlines()[1:] if line)
        return {n.lower(): v for n, _, v in pairs if n.lower() not in ("date", "x-request-id", "age")}

    url = edge.url + "/markets"
    got, _ = curl(url, version, "-D", "-", "-o", os.devnull)
    head, told = curl(url, version, "--head")
    assert told["http_code"] == 200 and fields(head) == fields(got) and int(fields(got)["content-length"]) > 0
    answer, told = curl(url, version, "-i", "-X", "OPTIONS")
    assert told["http_code"] == 204 and told["size_download"] == 0
    assert set(re.split(", *", fields(answer)["allow"])) == {"GET", "HEAD", "OPTIONS"}


# ---- wscat ----

def test_wscat_authenticates_subscribes_and_shows_what_happens(edge, tmp_path):
    user = edge.user("wscat", USDT="100000")
    commands = [{"command": "authenticate", "msgId": "1", "token": user.token},
                {"command": "subscribe", "msgId": "2", "channels": ["user.orders"]}]
    execute = [argument for command in commands for argument in ("-x", json.dumps(command))]
    with Client(tmp_path, "node", NODE / "node_modules/wscat/bin/wscat", "--ca", edge.ca, "-c", edge.ws(), *execute,
                "-w", -1) as wscat:
        assert json.loads(wscat.line())["result"]["userId"] == user.id
        assert json.loads(wscat.line())["result"]["items"][0]["channel"] == "user.orders"
        order = user.post("/orders", ORDER)
        event = json.loads(wscat.line())
        assert event["type"] == "order.accepted" and event["data"]["order"]["orderId"] == order["orderId"]
        wscat.process.stdin.close()
        assert wscat.process.wait(PATIENCE_S) == 0
    user.delete("/orders")


# ---- many requests ----

@pytest.fixture(params=["gateway", "edge"])
def ticker(request, edge):
    """A market that nobody trades on: every answer is the same."""
    return {"gateway": edge.platform.url, "edge": edge.url}[request.param] + TICKER


def test_autocannon_pipelines_and_each_answer_is_the_right_one(edge, ticker):
    body = requests.get(ticker, timeout=30, verify=edge.ca).text
    done = run("node", NODE / "node_modules/autocannon/autocannon.js", "-j", "-n", "-c", 4, "-p", 8, "-a", 2000, "-t",
               60, "--ca", edge.ca, "-E", body, ticker)
    told = json.loads(done.stdout)
    in_flight = 4 * 8  # it counts what it has sent, and leaves when that is all
    assert told["2xx"] == told["requests"]["total"] >= 2000 - in_flight, told
    assert not any(told[what] for what in ("errors", "timeouts", "mismatches", "non2xx", "resets")), told


def test_wrk_keeps_its_connections_and_meets_no_error(ticker):
    done = run("wrk", "-t", 1, "-c", 4, "-d", "1s", "--timeout", "60s", ticker)
    assert int(re.search(r"(\d+) requests in", done.stdout).group(1)) > 0
    assert "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout


def test_h2load_places_orders_on_many_streams_of_few_connections(edge, tmp_path):
    user, body = edge.user("h2load", USDT="100000"), tmp_path / "order.json"
    body.write_text(json.dumps(ORDER))
    done = run("h2load", "-n", 60, "-c", 2, "-m", 10, "-d", body, "-H", "content-type: application/json", "-H",
               "authorization: Bearer " + user.token, edge.url + "/orders")
    assert "60 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
    assert "status codes: 60 2xx" in done.stdout and "Application protocol: h2" in done.stdout, done.stdout
    assert user.delete("/orders")["cancelled"] == 60


# ---- when the gateway starts anew ----

@pytest.fixture(scope="module")
def mortal(tmp_path_factory):
    """An edge in front of a gateway that can end and come back without the other parts, who keep the past."""
    directory = tmp_path_factory.mktemp("mortal")
    port, front = free_port(), None
    origin = {"gateway.origins": f"https://localhost:{port}"}  # of the page; its WebSocket has another port
    behind = Platform(directory / "platform", "split", fixed_ports() | origin)
    try:
        front = Edge(directory, behind.start())
        front.ports = {"rest": port}
        yield front.start()
    finally:
        if front:
            front.close()
        behind.close()


def restart(platform, end):
    """Until it knows the past again."""
    end("gateway")
    platform.start("gateway")
    url = f"{platform.url}/stream?channels=trades:{SYMBOL}&lastEventId=5-7"

    def knows():
        with requests.get(url, timeout=30, stream=True) as answer:
            return answer.status_code == 200

    wait_until(knows, 60, "the gateway to know the past")


def test_npms_ws_offers_compression_sends_fragments_and_is_told_when_to_come_back(mortal, tmp_path):
    platform, user = mortal.platform, mortal.platform.user("ws", USDT="100000")
    told = {"url": mortal.ws(), "ca": mortal.ca, "token": user.token, "order": ORDER}
    with Client(tmp_path, "node", NODE / "foreign_ws.mjs", json.dumps(told)) as client:
        client.says("ready")
        restart(platform, platform.stop)
        seen = json.loads(client.line())
        assert client.process.wait(PATIENCE_S) == 0
    assert (seen["accepted"], seen["extensions"]) == (None, ""), "offered, and declined"
    assert seen["pongs"] == ["between fragments", "after all"]
    [event] = seen["events"]
    assert event["channel"] == "user.orders" and event["data"]["order"]["orderId"] == seen["orderId"]
    assert seen["code"] == 1001 and re.fullmatch(r"going away; retry in \d+ ms", seen["reason"])
    user.delete("/orders")


class Trader:
    """Buys one at a time from somebody who always sells; remembers the orders."""

    def __init__(self, platform):
        self.user, self.orders = platform.user("trader", USDT="1000000"), []
        self.seller = platform.user("seller", BTC="1")
        self.seller.limit("SELL", "1", 60000)

    def trade(self, count=3):
        self.orders += [self.user.limit("BUY", "0.001", 60000)["orderId"] for _ in range(count)]

    def trades(self):
        """The ids, the first one first."""
        items = self.user.platform.guest().pages(f"/markets/{SYMBOL}/trades")
        return [t["tradeId"] for t in items][:len(self.orders)][::-1]


def outlive(platform, clients, trader):
    """Trades before, while the clients are away, and after, for a gateway that is killed and one that is stopped: what
    each client saw. They come back by themselves; their next request is held until the gateway is there, so that they
    are away for as long as it takes, and connect once."""
    def tell(text):
        for client in clients:
            client.tell(text)

    def hear():
        return [client.line() for client in clients]

    opened = ["open"] * len(clients)
    assert hear() == opened
    trader.trade()
    for end in (platform.kill, platform.stop):
        restart(platform, end)
        trader.trade()
        tell("go")
        assert hear() == opened
        trader.trade()
    tell(trader.trades()[-1])
    seen = [json.loads(text) for text in hear()]
    assert [client.process.wait(PATIENCE_S) for client in clients] == [0] * len(clients)
    return seen


def assert_exact(seen, trader):
    """Nothing is missing, nothing came twice."""
    assert seen["trades"] == trader.trades() and seen["resyncs"] == 0
    for kind in ("accepted", "filled"):
        assert [o.split()[1] for o in seen["orders"] if o.startswith(f"order.{kind} ")] == trader.orders


def test_npms_and_chromiums_eventsource_come_back_by_themselves_and_have_every_event_once(mortal, tmp_path):
    trader = Trader(mortal.platform)
    told = {"origin": mortal.origin, "ws": mortal.ws(), "spki": key_pin(mortal), "symbol": SYMBOL,
            "token": trader.user.token, "email": trader.user.email, "password": PASSWORD}
    npms = ("env", "NODE_EXTRA_CA_CERTS=" + mortal.ca, "node", NODE / "foreign_eventsource.mjs", json.dumps(told))
    chromiums = ("node", NODE / "foreign_browser.mjs", json.dumps(told))
    with Client(tmp_path, *npms) as node, Client(tmp_path, *chromiums) as browser:
        npm, chromium = outlive(mortal.platform, (node, browser), trader)
    assert_exact(npm, trader)
    assert_exact(chromium, trader)  # Last-Event-ID is not shown here; without it trades would be missing
    first, *others = npm["lastIds"]
    assert first is None and len(others) == 2 and all(others)
    socket = chromium["socket"]
    assert socket["trades"] == trader.trades() and socket["recovered"] == [False, True, True]
    assert socket["extensions"] == ["", "", ""], "permessage-deflate is offered, and declined"
    (killed, _), (stopped, reason) = socket["closes"]
    assert (killed, stopped) == (1006, 1001) and reason.startswith("going away; retry in ")
