"""The TLS edge in front of the gateway: what goes through it, how, and what it refuses itself."""

import asyncio
import contextlib
import json
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest
import requests
import websocket
import websockets

from bots import Bot, run_documented
from edge_under_test import LISTENERS, STRANGER, Answers, exchange
from platform_under_test import PASSWORD, ROOT, free_port, wait_until
from sockets import Socket, Stream

PROBLEM = {"type", "title", "status", "code", "detail", "instance", "requestId", "errors"}
# requests at once, connections
LIMITS = {"login": (60, 50), "main": (300, 200), "rest": (300, 200), "guest": (150, 100)}
OURS = "from your address"  # the edge's 429, not the gateway's


@pytest.fixture
def trusted(edge, monkeypatch):
    """What clients of other people read to trust the CA."""
    for name in ("CURL_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, edge.ca)


def curl(*arguments, **options):
    return subprocess.run(["curl", "-sS", "--max-time", "60", *arguments], capture_output=True, text=True, timeout=90,
                          check=False, **options)


def assert_problem(status, headers, body, code):
    problem = json.loads(body)
    assert headers["content-type"].startswith("application/problem+json") and headers["cache-control"] == "no-store"
    assert PROBLEM <= problem.keys() and problem["status"] == status and problem["code"] == code, problem
    assert problem["requestId"] == headers["x-request-id"] and headers["x-content-type-options"] == "nosniff"
    return problem


# ---- TLS ----

@pytest.mark.parametrize("listener", LISTENERS)
def test_a_listener_speaks_tls_1_3_and_nothing_older(edge, listener):
    with edge.connect(listener) as connection:
        assert connection.version() == "TLSv1.3"
    old = edge.context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="version"):
        edge.connect(listener, context=old)


@pytest.mark.parametrize("listener, chosen", [("rest", "h2"), ("guest", "h2"), ("main", "http/1.1"),
                                              ("login", "http/1.1")])
def test_http_2_is_offered_where_there_is_more_than_websocket(edge, listener, chosen):
    with edge.connect(listener, context=edge.context("h2", "http/1.1")) as connection:
        assert connection.selected_alpn_protocol() == chosen
    with edge.connect(listener, context=edge.context("http/1.1")) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", socket.gethostname()])
def test_the_certificate_is_good_for_this_machine(edge, name):
    with edge.connect(name=name) as connection:
        names = [value for _, value in connection.getpeercert()["subjectAltName"]]
    assert "localhost" in names


def test_the_certificate_is_refused_by_who_does_not_know_the_ca_and_for_another_name(edge):
    with pytest.raises(ssl.SSLCertVerificationError, match="local issuer"):
        edge.connect(context=ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        edge.connect(name="example.com")


def test_a_session_is_resumed(edge):
    context = edge.context()
    with edge.connect(context=context) as first:
        first.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert Answers(first).next()[0] == 200  # the tickets came before it
        session = first.session
    with socket.create_connection(("127.0.0.1", edge.ports["rest"]), 30) as plain:
        with context.wrap_socket(plain, server_hostname="localhost", session=session) as second:
            assert second.session_reused


# ---- what goes through ----

def test_curl_speaks_http_2(edge, trusted):
    done = curl("--http2", "-w", "\n%{http_version} %{response_code}", edge.url + "/markets")
    assert done.stdout.splitlines()[-1] == "2 200", done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[0])["items"]


def test_a_crowd_on_http_2_is_answered(edge):
    done = subprocess.run(["h2load", "-n", "400", "-c", "4", "-m", "8", edge.url + "/markets"], capture_output=True,
                          text=True, timeout=120, check=True)
    assert "status codes: 400 2xx, 0 3xx, 0 4xx, 0 5xx" in done.stdout, done.stdout
    assert "Application protocol: h2" in done.stdout and "TLSv1.3" in done.stdout


def test_a_day_of_rest_goes_through(edge):
    ann = edge.user("ann", USDT="1000")
    order = ann.limit("BUY", "0.01", "50000")
    assert order["status"] == "OPEN" and ann.balance("USDT").held > 0
    assert ann.cancel(order)["status"] == "CANCELLED"
    keyed = {"Idempotency-Key": "once"}
    body = {"symbol": "BTC-USDT", "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "1000"}
    first = ann.call("POST", "/orders", body, headers=keyed)
    again = ann.call("POST", "/orders", body, headers=keyed)
    assert again.json() == first.json() and again.headers["Idempotent-Replayed"] == "true"
    assert ann.delete("/orders")["cancelled"] == 1


def test_what_a_bot_signed_arrives_as_it_was_signed(edge, trusted, tmp_path):
    bot = Bot(edge.user("bot-owner", USDT="1000"))
    bot.session.verify = edge.ca
    run_documented("bot", tmp_path, API=edge.url, KEY=bot.key_id, SECRET=bot.secret)
    for path, query in (("/api/v1/orders/%6Fpen", "symbol=BTC%2DUSDT&&limit=5"), ("/api/v1/orders/open", "&limit=5&")):
        assert bot.send("GET", path, query, headers=bot.headers("GET", path, query)).status_code == 200, (path, query)
    with Socket(edge.ws()) as ws:
        assert ws.command("authenticate", **bot.credentials())["userId"] == bot.id


def test_a_cookie_is_for_tls_only_and_hsts_not_for_localhost(edge):
    ann = edge.user()
    login = ann.call("POST", "/auth/login", {"email": ann.email, "password": PASSWORD})
    assert login.headers["Set-Cookie"].startswith("tp_refresh=") and "; Secure" in login.headers["Set-Cookie"]
    assert "Strict-Transport-Security" not in edge.get("/api/v1/markets").headers
    answer = edge.get("/api/v1/markets", headers={"Host": "trade.example.com"})
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


async def talk(edge, user, symbol):
    async with websockets.connect(edge.ws(), ssl=edge.context()) as ws:
        await ws.send(json.dumps({"command": "authenticate", "msgId": "1", "token": user.token}))
        assert json.loads(await ws.recv())["ok"]
        await ws.send(json.dumps({"command": "subscribe", "msgId": "2", "channels": [f"prices:{symbol}"]}))
        assert json.loads(await ws.recv())["ok"]
        pong = await ws.ping()
        await asyncio.wait_for(pong, 30)
        await asyncio.get_running_loop().run_in_executor(None, user.limit, "BUY", "0.01", "43210", symbol)
        return json.loads(await asyncio.wait_for(ws.recv(), 30))


def test_websocket_goes_through_on_tls(edge):
    ann = edge.user("ann", USDT="1000")
    event = asyncio.run(talk(edge, ann, "ETH-USDT"))
    assert event["channel"] == "prices:ETH-USDT" and event["data"]["bid"].startswith("43210")
    ann.delete("/orders")


@pytest.mark.parametrize("listener", ["login", "main", "guest"])
def test_every_websocket_listener_answers_commands(edge, trusted, listener):
    with Socket(edge.ws(listener)) as ws:
        assert ws.command("ping") is not None


def test_server_sent_events_come_at_once(edge, trusted):
    ann = edge.user("ann", USDT="1000")
    with Stream(edge.url, "prices:BTC-USDT") as stream:
        assert stream.status == 200 and "content-encoding" not in stream.headers
        stream.open()
        ann.limit("BUY", "0.01", "41234")
        while not stream.event()[2]["data"]["bid"].startswith("41234"):
            pass
    ann.delete("/orders")


# ---- who asks ----

def test_the_gateway_sees_the_real_client_whatever_it_claims(edge):
    claims = "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\nForwarded: for=8.8.8.8\r\nX-Real-IP: 9.9.9.9\r\n"
    request = f"GET /health HTTP/1.1\r\nHost: localhost\r\n{claims}Connection: close\r\n\r\n"
    [(status, headers, _)] = exchange(edge, request.encode(), source=STRANGER)
    assert status == 200
    log = edge.platform.log
    wait_until(lambda: headers["x-request-id"] in log(), what="the gateway's line")
    line = next(line for line in log().splitlines() if headers["x-request-id"] in line)
    assert json.loads(line)["peer"] == STRANGER


def test_a_trace_goes_through_and_both_logs_know_the_request_id(edge):
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = edge.get("/api/v1/markets", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    request_id = answer.headers["X-Request-Id"]
    record = wait_until(lambda: next((r for r in edge.records() if r["request_id"] == request_id), None))
    assert record["status"] == 200 and record["path"] == "/api/v1/markets" and record["listener"] == "rest"
    wait_until(lambda: any(request_id in line and trace in line for line in edge.platform.log().splitlines()))


# ---- compression ----

@pytest.mark.parametrize("path, headers, compressed", [
    ("/api/v1/help", {}, True), ("/openapi.json", {}, True), ("/api/v1/help", {"Accept-Encoding": "identity"}, False),
    ("/api/v1/help", {"Authorization": "Bearer x"}, False), ("/api/v1/help", {"Cookie": "tp_access=x"}, False),
    ("/api/v1/help", {"X-API-KEY": "x"}, False), ("/health", {}, False)])
def test_large_answers_are_compressed_where_no_secret_can_be(edge, path, headers, compressed):
    answer = edge.get(path, headers=headers)
    assert (answer.headers.get("Content-Encoding") == "gzip") == compressed
    assert answer.json() is not None


def test_a_compressed_answer_can_be_asked_for_again_by_its_etag(edge):
    answer = edge.get("/openapi.json")
    assert answer.headers["ETag"].startswith("W/") and "Accept-Encoding" in answer.headers["Vary"]
    assert edge.get("/openapi.json", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


# ---- what it refuses itself ----

HEAD = b"Host: localhost\r\nConnection: close\r\n"
REFUSED = [
    (b"NONSENSE\r\n\r\n", 400, "bad_request"),
    (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_request"),
    (b"GET /../x HTTP/1.1\r\n" + HEAD + b"\r\n", 400, "bad_request"),
    (b"GET /\0 HTTP/1.1\r\n" + HEAD + b"\r\n", 400, "bad_request"),
    (b"GET / HTTP/1.1\r\n" + HEAD + b"A b: c\r\n\r\n", 400, "bad_request"),
    (b"GET /" + 16384 * b"a" + b" HTTP/1.1\r\n" + HEAD + b"\r\n", 414, "uri_too_long"),
    (b"GET / HTTP/1.1\r\n" + HEAD + b"A: " + 16384 * b"a" + b"\r\n\r\n", 431, "headers_too_large"),
    (b"TRACE / HTTP/1.1\r\n" + HEAD + b"\r\n", 405, "method_not_allowed"),
    (b"CONNECT a:1 HTTP/1.1\r\n" + HEAD + b"\r\n", 400, "bad_request"),
    (b"GET / HTTP/3.0\r\n" + HEAD + b"\r\n", 505, "http_version_not_supported"),
    (b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501, "unimplemented"),
    (b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 10485760\r\n\r\n", 413, "body_too_large"),
    (b"GET /.edge/problem HTTP/1.1\r\n" + HEAD + b"\r\n", 404, "not_found"),
]


@pytest.mark.parametrize("request_bytes, status, code", REFUSED, ids=[f"{s} {b[:24]}" for b, s, _ in REFUSED])
def test_nginx_refuses_with_problems_of_our_kind(edge, request_bytes, status, code):
    answers = exchange(edge, request_bytes)
    assert [a[0] for a in answers] == [status], answers
    assert_problem(*answers[0], code)
    assert "nginx" not in answers[0][2]


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_body_of_ten_megabytes_is_refused_and_one_of_the_limit_reaches_the_gateway(edge, trusted, tmp_path, version):
    for size, detail in ((10 << 20, "at most 1 MiB"), ((1 << 20) + 1, "at most 1 MiB"), (1 << 20, "")):
        body = tmp_path / "body"
        body.write_bytes(b"a" * size)
        done = curl(version, "-w", "\n%{http_code}", "-H", "Content-Type: application/json", "--data-binary",
                    f"@{body}", edge.url + "/auth/login")
        problem, status = done.stdout.rsplit("\n", 1)
        assert status == "413" and json.loads(problem)["code"] == "body_too_large", done.stdout + done.stderr
        assert (detail or "1 MiB") in problem if detail else "1 MiB" not in problem


def test_headers_that_are_too_large_are_refused_on_http_2(edge, trusted):
    for headers in (["-H", "A: " + 15000 * "~"], 2 * ["-H", "A: " + 9000 * "~"]):
        done = curl("--http2", "-w", "\n%{http_code}", *headers, edge.url + "/markets")
        answer, status = done.stdout.rsplit("\n", 1)
        code = json.loads(answer).get("code")
        assert (status, code) == (("200", None) if len(headers) == 2 else ("431", "headers_too_large")), done.stderr


def test_plain_http_on_a_tls_port_is_told_what_is_right(edge):
    for listener in LISTENERS:
        answer = requests.get(f"http://127.0.0.1:{edge.ports[listener]}/health?x=1", timeout=30)
        problem = assert_problem(answer.status_code, answer.headers, answer.text, "tls_required")
        assert problem["status"] == 400 and "https://" in problem["detail"] and problem["instance"] == "/health"


def test_a_path_that_json_would_have_to_escape_is_not_repeated(edge):
    [(_, _, body)] = exchange(edge, b'TRACE /a"b HTTP/1.1\r\n' + HEAD + b"\r\n")
    assert json.loads(body)["instance"] == "/"


# ---- limits ----

@pytest.mark.parametrize("number, listener", enumerate(LISTENERS, 10))
def test_a_client_above_the_rate_of_a_listener_is_refused_and_others_are_not(edge, number, listener):
    burst, source = LIMITS[listener][0], f"127.0.0.{number}"
    request = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with edge.connect(listener, source) as connection:
        connection.sendall(request * (burst + 200))
        answers = Answers(connection)
        got = [answers.next() for _ in range(burst + 200)]
    ours = [OURS in body for _, _, body in got]
    assert not any(ours[:burst + 1]) and any(ours)
    status, headers, body = got[ours.index(True)]
    assert_problem(status, headers, body, "rate_limited")
    assert status == 429 and headers["retry-after"] == "1"
    [(status, _, _)] = exchange(edge, request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), listener)
    assert status != 429


def first_answer(connections):
    """(connection, what it said) of one that said something; does not wait."""
    for connection in connections:
        connection.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            return connection, connection.recv(65536)
    return None


def assert_limited(edge, listener, limit):
    """One connection above the limit is refused, at once; the others, whose body is not there yet, are not."""
    waits = b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{"
    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(limit + 1):
            held.append(stack.enter_context(edge.connect(listener, "127.0.0.20")))
            held[-1].sendall(waits)
        refused, answer = wait_until(lambda: first_answer(held), 30, "the connection above the limit to be refused")
        assert b" 429 " in answer and OURS.encode() in answer and b"Retry-After: 1" in answer
        held.remove(refused)
        for connection in held:
            connection.setblocking(True)
            connection.sendall(b"}")
        assert not any(OURS in Answers(connection).next()[2] for connection in held)


def test_a_client_with_too_many_connections_is_refused(edge):
    assert_limited(edge, "login", LIMITS["login"][1])


def test_the_connections_of_every_listener_are_limited(new_edge):
    edge = new_edge()
    conf = (ROOT / "config/nginx/nginx.conf").read_text()
    for listener, (burst, connections) in LIMITS.items():
        assert f"zone={listener}_requests burst={burst} " in conf and f"{listener}_connections {connections};" in conf
    edge.reload((r"(limit_conn \w+) \d+;", r"\1 3;"))
    for listener in LISTENERS:
        assert_limited(edge, listener, 3)


# ---- when something changes ----

def test_its_configuration_is_clean(edge):
    done = subprocess.run(["nginx", "-t", "-p", f"{edge.directory}/edge/", "-c", "nginx.conf", "-e", "error.log"],
                          env={"PATH": "/usr/sbin:/usr/bin"}, capture_output=True, text=True, timeout=30, check=True)
    assert len(done.stderr.splitlines()) == 2 and "warn" not in done.stderr, done.stderr


class Load(threading.Thread):
    """A client with a new connection for each request, until stop(); remembers what was not 200."""

    def __init__(self, edge):
        super().__init__(daemon=True)
        self.edge, self.done, self.others, self.stopping = edge, 0, [], threading.Event()
        self.start()

    def run(self):
        while not self.stopping.is_set():
            try:
                answer = self.edge.get("/api/v1/markets")
                if answer.status_code != 200:
                    self.others.append(answer)
            except requests.RequestException as error:
                self.others.append(error)
            self.done += 1

    def stop(self):
        self.stopping.set()
        self.join(60)
        assert not self.is_alive(), "a request hangs"


def test_a_reload_and_a_new_certificate_drop_nothing(edge, trusted):
    def serial():
        with edge.connect() as connection:
            return connection.getpeercert()["serialNumber"]

    before, load = serial(), [Load(edge) for _ in range(3)]
    with Socket(edge.ws("guest")) as ws, Stream(edge.url, "prices:ETH-USDT") as stream:
        stream.open()
        for _ in range(3):
            done = load[0].done
            edge.reload()
            wait_until(lambda done=done: load[0].done > done + 3, 60, "requests after the reload")
        edge.script("certs", "--renew")
        wait_until(lambda: serial() != before, 30, "the new certificate")
        assert ws.command("ping") is not None
        assert stream.curl.poll() is None
    for client in load:
        client.stop()
    assert sum(client.done for client in load) > 12 and not any(client.others for client in load)


def test_while_the_gateway_starts_anew_clients_are_told_to_come_back(new_edge):
    settings = {f"gateway.{name}port": free_port() for name in ("", "main_", "login_", "guest_", "internal_")}
    edge = new_edge(**settings)
    load = [Load(edge) for _ in range(2)]
    wait_until(lambda: load[0].done > 3, 60)
    secure = {"ca_certs": edge.ca}
    with contextlib.closing(websocket.create_connection(edge.ws("guest"), timeout=30, sslopt=secure)) as ws:
        edge.platform.stop()
        opcode, data = ws.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE and int.from_bytes(data[:2], "big") == 1001
    wait_until(lambda: len(load[0].others) > 3, 60, "requests while it is away")
    for listener in LISTENERS:
        answer = edge.get("/ws", listener)
        assert_problem(answer.status_code, answer.headers, answer.text, "unavailable")
        assert answer.status_code == 502 and int(answer.headers["Retry-After"]) > 0
    with pytest.raises(requests.ConnectionError):  # an EventSource comes back only if there is no answer
        edge.get("/api/v1/stream?channels=trades:BTC-USDT")
    edge.platform.start()
    assert edge.get("/api/v1/markets").status_code == 200
    for client in load:
        client.stop()
        for answer in client.others:
            assert_problem(answer.status_code, answer.headers, answer.text, "unavailable")
            assert answer.status_code in (502, 503) and answer.headers["Retry-After"]


def test_who_is_slow_is_cut_and_a_gateway_that_hangs_is_told(new_edge):
    edge = new_edge()
    edge.reload((r"(client_header_timeout|client_body_timeout) \w+;", r"\1 2s;"),
                (r"proxy_read_timeout \w+;", "proxy_read_timeout 1s;"))
    for slow in (b"", b"GET / HTTP/1.1\r\nHost: local", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{"):
        with edge.connect() as connection:
            connection.sendall(slow)
            assert Answers(connection).next() is None  # closed
    edge.platform.processes["all"].send_signal(signal.SIGSTOP)
    try:
        answer = edge.get("/api/v1/markets")
    finally:
        edge.platform.processes["all"].send_signal(signal.SIGCONT)
    assert_problem(answer.status_code, answer.headers, answer.text, "deadline_exceeded")
    assert answer.status_code == 504 and "may have been done" in answer.text


def test_its_time_limits_fit_the_gateways(edge):
    """The edge waits longer than the gateway may take, and closes cached connections before it."""
    conf = (ROOT / "config/nginx/nginx.conf").read_text()
    dumped = edge.platform.run("--dump-config").stdout
    request_max_ms = int(re.search(r"milliseconds a request may take \(\d+ to (\d+), default", dumped).group(1))
    assert int(re.search(r"proxy_read_timeout (\d+)s", conf).group(1)) * 1000 > request_max_ms
    body_max = int(re.search(r"bytes of a request's body \(\d+ to (\d+),", dumped).group(1))
    assert body_max == 1 << 20 and "client_max_body_size 1m;" in conf
