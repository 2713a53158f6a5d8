"""What every answer of the REST port is like: errors, caching, CORS, content negotiation, verbs."""

import http.client
import json

import pytest
import requests

from conftest import ORIGIN
from platform_under_test import PASSWORD, SYMBOL, refused, wait_until
from sockets import Socket
from raw import SECURITY, Connection, exchange

TICKER = f"/api/v1/markets/{SYMBOL}/ticker"


def request(platform, verb, path, headers=None, body=None, listener="rest"):
    """By http.client, which reads strictly what it reads."""
    c = http.client.HTTPConnection(platform.address(listener), timeout=20)
    try:
        c.request(verb, path, body, {"Connection": "close", **(headers or {})})
        response = c.getresponse()
        response.text = response.read().decode()
        return response
    finally:
        c.close()


# ---- verbs ----

def test_HEAD_is_GET_without_the_body(platform):
    with Connection(platform) as c:
        get = c.send("GET /api/v1/markets HTTP/1.1\r\nHost: x\r\n\r\n").answer()
        head = c.send("HEAD /api/v1/markets HTTP/1.1\r\nHost: x\r\n\r\n").answer(head=True)
        volatile = {"x-request-id", "age"}
        assert {k: v for k, v in head.headers.items() if k not in volatile} == {
            k: v for k, v in get.headers.items() if k not in volatile}
        refused_head = c.send("HEAD /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").answer(head=True)
        assert refused_head.status == 404 and int(refused_head.headers["content-length"]) > 0
        assert c.send("GET /api/v1/markets HTTP/1.1\r\nHost: x\r\n\r\n").answer().status == 200


@pytest.mark.parametrize("path, allow", [
    ("/api/v1/markets", {"GET", "HEAD", "OPTIONS"}),
    ("/api/v1/orders", {"GET", "HEAD", "POST", "DELETE", "OPTIONS"}),
    ("/api/v1/orders/1", {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}),
    ("/api/v1/auth/login", {"POST", "OPTIONS"}),
])
def test_a_verb_that_is_not_offered_is_told_which_are(platform, path, allow):
    response = request(platform, "PATCH", path)
    assert response.status == 405
    assert set(response.headers["Allow"].split(", ")) == allow
    assert json.loads(response.text)["code"] == "method_not_allowed"
    response = request(platform, "OPTIONS", path)
    assert (response.status, response.text) == (204, "")
    assert set(response.headers["Allow"].split(", ")) == allow


@pytest.mark.parametrize("verb", ["TRACE", "PROPFIND", "PATCH", "REPORT"])
def test_verbs_of_others_do_nothing(platform, verb):
    assert request(platform, verb, "/api/v1/markets").status in (400, 405)


# ---- errors ----

@pytest.mark.parametrize("verb, path, status, code", [
    ("GET", "/", 404, "not_found"),
    ("GET", "/nowhere", 404, "not_found"),
    ("GET", "/api/v1/markets/", 404, "not_found"),
    ("GET", "//api/v1/markets", 404, "not_found"),
    ("OPTIONS", "/nowhere", 404, "not_found"),
    ("GET", "/api/v2/markets", 404, "unknown_version"),
    ("POST", "/api/v10/orders", 404, "unknown_version"),
    ("GET", "/api/v2", 404, "unknown_version"),
    ("GET", "/api/v1", 404, "not_found"),
    ("GET", "/api/v1x/markets", 404, "not_found"),
    ("GET", "/api/vv/markets", 404, "not_found"),
    ("GET", "/api/v1/users/me", 401, "unauthenticated"),
    ("GET", "/api/v1/markets/NO-SUCH/ticker", 404, None),
    ("GET", "/api/v1/orders", 401, "unauthenticated"),
    ("GET", "/api/v1/admin/audit", 401, "unauthenticated"),
    ("GET", "/api/v1/quotes?symbols=%zz", 400, "invalid_argument"),
    ("GET", "/api/v1/quotes?symbols=%00", 400, "invalid_argument"),
    ("GET", "/api/v1/quotes?symbols=%ff", 400, "invalid_argument"),
    ("GET", "/api/v1/quotes?symbols=A-B&symbols=C-D", 400, "invalid_argument"),
    ("GET", "/api/v1/quotes?=x", 400, "invalid_argument"),
    ("GET", "/api/v1/quotes?" + "a" * 200 + "=x", 400, "invalid_argument"),
    ("GET", "/api/v1/quotes?nothing=x", 400, "invalid_argument"),
    ("GET", "/api/v1/quotes", 400, "invalid_argument"),
    ("GET", f"/api/v1/markets/{SYMBOL}/depth?limit=many", 400, "invalid_argument"),
    ("GET", f"/api/v1/markets/{SYMBOL}/depth?limit=501", 400, "invalid_argument"),
])
def test_an_error_is_a_whole_problem_document(platform, verb, path, status, code):
    with Connection(platform) as c:
        answer = c.send(f"{verb} {path} HTTP/1.1\r\nHost: x\r\n\r\n").answer()
        assert answer.status == status, answer
        assert code is None or answer.problem["code"] == code
        assert answer.problem["instance"] == path.split("?")[0]
        assert not answer.closes
        assert (answer.headers.get("www-authenticate") == "Bearer") == (status == 401)
        assert answer.headers["cache-control"] == "no-store"


def test_a_wrong_field_is_named(platform, ann):
    with refused(400, "invalid_argument", field="side"):
        ann.limit("SIDEWAYS", "1", "1")
    with refused(400, "invalid_argument", field="colour"):
        ann.limit("BUY", "1", "1", colour="red")
    with refused(400, "invalid_argument"):
        ann.post("/orders", [])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"email":1}', b'{"email":"a\x00b"}', b"\xff", b"{}{}",
                                  b'{"email":"a","email":"b"}', b"[" * 4000])
def test_a_bad_body_is_an_error_of_the_client(platform, body):
    response = request(platform, "POST", "/api/v1/auth/login", {"Content-Type": "application/json"}, body)
    assert response.status == 400
    assert json.loads(response.text)["code"] == "invalid_argument"


def test_nothing_of_the_inside_leaks(platform):
    texts = [request(platform, "GET", p).text for p in ("/nowhere", "/api/v1/users/me", "/api/v1/quotes?a=%zz")]
    texts += [exchange(platform, "GET /a/../b HTTP/1.1\r\nHost: x\r\n\r\n").body.decode()]
    for text in texts:
        assert not any(word in text.lower() for word in ("civetweb", "sqlite", "nng", ".c:", "jansson"))


def test_a_request_id_is_in_the_answer_and_in_the_log(platform):
    response = request(platform, "GET", "/nowhere", {"traceparent": "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"})
    request_id = response.headers["X-Request-Id"]
    wait_until(lambda: request_id in platform.log(), 10, "the line")  # written after the answer
    line = next(json.loads(x) for x in platform.log().splitlines() if request_id in x)
    assert (line["status"], line["verb"], line["path"], line["trace_id"]) == (404, "GET", "/nowhere", "ab" * 16)


def test_secrets_are_not_in_the_log(platform):
    user = platform.user("secretive")
    user.call("GET", "/users/me?token=hidden-query")
    log = platform.log()
    assert PASSWORD not in log and user.token not in log and "hidden-query" not in log
    refresh = next(c.value for c in user.session.cookies if "refresh" in c.name)
    assert refresh not in log


# ---- caching ----

def test_an_unchanged_answer_is_not_sent_again(platform):
    first = requests.get(platform.origin + TICKER)
    etag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    for condition in (etag, f'"other", {etag}', "*", "W/" + etag):
        with Connection(platform) as c:
            answer = c.send(f"GET {TICKER} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {condition}\r\n\r\n").answer()
            assert (answer.status, answer.headers["etag"]) == (304, etag)
            assert c.send(f"GET {TICKER} HTTP/1.1\r\nHost: x\r\n\r\n").answer().status == 200
    for condition in ('"other"', "", etag[:-2] + '"'):
        answer = requests.get(platform.origin + TICKER, headers={"If-None-Match": condition})
        assert answer.status_code == 200


def test_what_everybody_may_read_is_kept_for_a_moment(platform):
    def twice():
        ages = [requests.get(platform.origin + TICKER).headers.get("Age") for _ in range(2)]
        return ages[1] == "0"
    wait_until(twice, 20, "two requests in one moment")
    response = requests.get(platform.url + "/markets/NO-SUCH/ticker")
    assert response.status_code == 404 and "Age" not in requests.get(response.url).headers


def offers(platform):
    return {f"{float(level['price']):.2f}" for level in requests.get(f"{platform.url}/markets/{SYMBOL}/depth").json()["bids"]}


def test_who_changed_something_sees_it_in_the_next_answer(platform):
    trader = platform.user("trader", USDT="100000")
    with Socket(platform.ws(), trader) as ws:
        for price in (f"{100 + i}.00" for i in range(10)):
            assert price not in offers(platform)
            order = trader.limit("BUY", "0.1", price)
            assert price in offers(platform)
            trader.cancel(order)
            assert price not in offers(platform)
            order = ws.command("orders.place", symbol=SYMBOL, side="BUY", type="LIMIT", quantity="0.1", price=price)
            assert price in offers(platform)
            ws.command("orders.cancel", orderId=order["orderId"])
            assert price not in offers(platform)


def test_what_is_for_one_user_is_kept_nowhere(platform, ann):
    own = request(platform, "GET", "/api/v1/wallet/balances", {"Authorization": "Bearer " + ann.token})
    assert (own.status, own.headers["Cache-Control"]) == (200, "no-store")
    again = request(platform, "GET", "/api/v1/wallet/balances",
                    {"Authorization": "Bearer " + ann.token, "If-None-Match": own.headers["ETag"]})
    assert (again.status, again.headers["Cache-Control"]) == (304, "no-store")


def test_what_is_not_a_success_has_no_etag(platform):
    assert "ETag" not in request(platform, "GET", "/nowhere").headers
    assert "ETag" not in request(platform, "POST", "/api/v1/auth/login", {"Content-Type": "application/json"},
                                 b"{}").headers


# ---- what it speaks ----

@pytest.mark.parametrize("accept, status", [
    (None, 200), ("*/*", 200), ("application/json", 200), ("application/*", 200), ("text/html, */*;q=0.1", 200),
    ("APPLICATION/JSON", 200), ("text/html", 406), ("application/xml", 406), ("application/json;q=0", 406),
    ("*/*, application/json;q=0.0", 406), ("application/jsonp", 406)])
def test_only_who_takes_json_is_answered(platform, accept, status):
    response = request(platform, "GET", TICKER, {"Accept": accept} if accept else {})
    assert response.status == status
    if status == 406:
        assert json.loads(response.text)["code"] == "not_acceptable"


@pytest.mark.parametrize("path, accept, status", [
    ("/openapi.json", "application/json", 200), ("/openapi.json", "text/html", 406), ("/health", "text/html", 406),
    ("/api/v1/help", "application/*", 200), ("/api/v1/help", "text/*, application/json;q=0", 406),
    ("/api/v1/stream?channels=prices:BTC-USDT", "application/json", 406)])
def test_documents_are_told_apart_too(platform, path, accept, status):
    assert request(platform, "GET", path, {"Accept": accept}).status == status


@pytest.mark.parametrize("headers, status", [
    ({"Content-Type": "application/json"}, 401), ({"Content-Type": "application/json; charset=utf-8"}, 401),
    ({"Content-Type": "Application/JSON ;charset=utf-8"}, 401), ({}, 415), ({"Content-Type": "text/plain"}, 415),
    ({"Content-Type": "application/x-www-form-urlencoded"}, 415), ({"Content-Type": "application/jsonx"}, 415),
    ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
    ({"Content-Type": "application/json", "Content-Encoding": "identity"}, 401)])
def test_only_json_is_read(platform, headers, status):
    body = b'{"email":"nobody@example.com","password":"wrong horse battery"}'
    response = request(platform, "POST", "/api/v1/auth/login", headers, body)
    assert response.status == status
    if status == 415:
        assert json.loads(response.text)["code"] == "unsupported_media_type"


# ---- browsers of other origins ----

def test_an_origin_of_the_list_may_read(platform):
    response = request(platform, "GET", TICKER, {"Origin": ORIGIN})
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert response.headers["Vary"] == "Origin"
    assert "ETag" in response.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("path", ["/api/v1/orders", "/api/v1/auth/login"])
def test_a_preflight_is_answered(platform, path):
    response = request(platform, "OPTIONS", path, {
        "Origin": ORIGIN, "Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"})
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert {"GET", "POST", "PUT", "DELETE"} <= set(response.headers["Access-Control-Allow-Methods"].split(", "))
    allowed = response.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "content-type", "idempotency-key", "x-csrf-token", "x-api-key", "x-api-timestamp",
            "x-api-signature", "x-api-recv-window", "traceparent"} <= set(allowed)


@pytest.mark.parametrize("origin", [
    "https://evil.example.com", "https://app.example.com.evil.com", "https://app.example.co", "http://app.example.com",
    "https://app.example.com:8443", "HTTPS://APP.EXAMPLE.COM", "null", "*", "https://app.example.com,", ","])
@pytest.mark.parametrize("verb", ["GET", "OPTIONS"])
def test_another_origin_gets_no_permission(platform, verb, origin):
    response = request(platform, verb, TICKER, {"Origin": origin, "Access-Control-Request-Method": "GET"})
    assert not [h for h in response.headers if h.lower().startswith("access-control")]
    assert response.headers["Vary"] == "Origin"


# ---- the other ports ----

def test_the_guest_port_offers_what_guests_may(platform, ann):
    guest = f"http://{platform.address('guest')}"
    assert requests.get(guest + TICKER).status_code == 200
    own = requests.get(guest + "/api/v1/users/me", headers={"Authorization": "Bearer " + ann.token})
    assert own.status_code == 404 and own.json()["code"] == "not_found"


@pytest.mark.parametrize("listener", ["main", "login"])
def test_the_websocket_ports_have_no_rest(platform, listener):
    response = request(platform, "GET", TICKER, listener=listener)
    assert (response.status, response.headers["Upgrade"]) == (426, "websocket")


@pytest.mark.parametrize("path, status, word", [("/healthz", 200, "alive"), ("/readyz", 200, "ready"),
                                                ("/health", 200, "SERVING"), ("/metrics", 200, "tradepost_rpc"),
                                                ("/api/v1/markets", 404, "not_found")])
def test_the_internal_port_is_for_machines(platform, path, status, word):
    response = request(platform, "GET", path, listener="internal")
    assert response.status == status and word in response.text
    assert {k: response.headers[k] for k in SECURITY} == SECURITY


def test_health_tells_guests_no_details(platform):
    guest = requests.get(platform.origin + "/health").json()
    assert (guest["status"], guest["dependencies"], guest["connections"]) == ("SERVING", [], 0)
    admin = requests.get(
        platform.origin + "/health", headers={"Authorization": "Bearer " + platform.admin().token}).json()
    assert {d["name"] for d in admin["dependencies"]} == {"users", "wallet", "trading", "cache"}
    assert all(d["status"] == "SERVING" for d in admin["dependencies"])


def test_the_documents_are_served(platform):
    assert requests.get(platform.origin + "/openapi.json").json()["openapi"].startswith("3.1")
    assert requests.get(platform.url + "/help").json()
    keys = requests.get(platform.origin + "/.well-known/jwks.json").json()["keys"]
    assert keys and keys[0]["kty"] == "EC"
