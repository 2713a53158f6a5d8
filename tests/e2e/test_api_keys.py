"""API keys, by a bot that signs with python3-cryptography, and by the one in docs/api-keys.md with OpenSSL."""

import hashlib
import json
import re
import time

import pytest
import requests

from bots import PERMISSIONS, Bot, now_ms, run_documented
from platform_under_test import refused, wait_until
from sockets import Closed, CommandFailed, Socket

KINDS = ("HMAC_SHA256", "ED25519")
ORDER = {"symbol": "BTC-USDT", "side": "BUY", "type": "LIMIT", "quantity": "0.5", "price": "100"}


def changed(text):
    """Another text of the same length and kind: its first digit or letter is another one."""
    return ("1" if text[0] != "1" else "2") + text[1:]


def problem(response):
    return response.status_code, response.json()["code"]


# ---- what works ----

@pytest.mark.parametrize("kind", KINDS)
def test_a_bot_trades(platform, ann, kind):
    bot = Bot(ann, kind)
    order = bot.post("/orders", ORDER)
    assert order["status"] == "OPEN"
    assert [o["orderId"] for o in bot.get("/orders/open", symbol="BTC-USDT", limit=5)["items"]] == [order["orderId"]]
    assert bot.balance("USDT").held == 50
    assert bot.delete(f"/orders/{order['orderId']}")["status"] == "CANCELLED"
    assert bot.get("/users/me")["userId"] == ann.id


def test_paths_and_queries_are_signed_as_they_are_sent(platform, ann):
    bot = Bot(ann)
    for path, query in (("/api/v1/orders/open", "symbol=BTC%2DUSDT&limit=5"), ("/api/v1/orders/%6Fpen", ""),
                        ("/api/v1/orders/open", "limit=5&symbol=BTC-USDT"), ("/api/v1/orders/open", "&limit=5&")):
        assert bot.send("GET", path, query, headers=bot.headers("GET", path, query)).status_code == 200, (path, query)
    assert bot.send("HEAD", "/api/v1/users/me", headers=bot.headers("HEAD", "/api/v1/users/me")).status_code == 200
    assert bot.send("HEAD", "/api/v1/users/me", headers=bot.headers("GET", "/api/v1/users/me")).status_code == 401


def test_what_is_listed_has_no_secret(platform, ann):
    bots = [Bot(ann, kind, ["READ"], networks=["203.0.113.0/24", "2001:db8::/32"], expiresAt="2099-01-01T00:00:00Z")
            for kind in KINDS]
    text = ann.call("GET", "/api-keys").text
    assert [k["keyId"] for k in json.loads(text)["items"]] == [b.key_id for b in bots]
    assert bots[0].secret and bots[0].secret not in text and not bots[1].secret
    for bot in bots:
        assert ann.get(f"/api-keys/{bot.key_id}") == bot.key
        assert bot.key["networks"] == ["203.0.113.0/24", "2001:db8::/32"]
        assert bot.key["expiresAt"] == "2099-01-01T00:00:00.000Z"


def test_a_repeated_creation_makes_no_second_key_and_tells_no_secret(platform, ann):
    body = {"name": "once", "kind": "HMAC_SHA256", "permissions": ["READ"]}
    first, second = (ann.call("POST", "/api-keys", body, headers={"Idempotency-Key": "make-it"}) for _ in range(2))
    assert second.headers["Idempotent-Replayed"] == "true"
    assert first.json()["secret"] and second.json() == first.json() | {"secret": ""}
    assert len(ann.get("/api-keys")["items"]) == 1


# ---- what is refused ----

@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_was_signed_can_be_changed(platform, ann, kind):
    bot = Bot(ann, kind)
    body = json.dumps(ORDER).encode()
    path, query = "/api/v1/orders", "symbol=BTC-USDT"

    def signed(**more):
        return bot.headers("POST", path, "", body, **more)

    other, elsewhere = Bot(ann, kind), path + "/" + "0" * 32
    cases = {
        "the body": bot.send("POST", path, "", body.replace(b"0.5", b"0.6"), signed()),
        "no body": bot.send("POST", path, "", b"", signed()),
        "the path": bot.send("POST", path + "/batch", "", body, signed()),
        "the method": bot.send("PUT", elsewhere, "", body, bot.headers("POST", elsewhere, "", body)),
        "the query": bot.send("GET", path, query + "&limit=5", b"", bot.headers("GET", path, query)),
        "the timestamp": bot.send("POST", path, "", body, signed() | {"X-API-TIMESTAMP": bot.stamp()}),
        "the window": bot.send("POST", path, "", body, signed() | {"X-API-RECV-WINDOW": "59999"}),
        "the key": bot.send("POST", path, "", body, signed() | {"X-API-KEY": other.key_id}),
    }
    headers = signed()
    cases["the signature"] = bot.send("POST", path, "", body,
                                      headers | {"X-API-SIGNATURE": changed(headers["X-API-SIGNATURE"])})
    assert {what: problem(r) for what, r in cases.items()} == dict.fromkeys(cases, (401, "bad_signature"))
    assert not ann.get("/orders/open")["items"]


def test_a_stranger_and_a_forger_are_refused_alike(platform, ann):
    bot = Bot(ann)
    gone = Bot(ann)
    ann.delete(f"/api-keys/{gone.key_id}")
    path, answers = "/api/v1/users/me", []
    stranger = bot.headers("GET", path) | {"X-API-KEY": changed(bot.key_id)}
    forger = bot.headers("GET", path)
    forger["X-API-SIGNATURE"] = changed(forger["X-API-SIGNATURE"])
    for headers in (stranger, forger, gone.headers("GET", path)):
        answer = bot.send("GET", path, headers=headers).json()
        del answer["requestId"]
        answers.append(answer)
    assert answers[0]["code"] == "bad_signature"
    assert answers[0] == answers[1] == answers[2]


def test_what_is_missing_or_malformed_is_named(platform, ann):
    bot = Bot(ann)
    path = "/api/v1/users/me"
    good = bot.headers("GET", path)
    for header, value in (("X-API-KEY", "nonsense"), ("X-API-TIMESTAMP", None), ("X-API-TIMESTAMP", "soon"),
                          ("X-API-RECV-WINDOW", "60001"), ("X-API-RECV-WINDOW", "0"), ("X-API-SIGNATURE", None),
                          ("X-API-SIGNATURE", good["X-API-SIGNATURE"].upper().replace("0", "A"))):
        response = bot.send("GET", path, headers=good | {header: value})
        assert problem(response) == (400, "invalid_argument"), header
        assert [e["field"] for e in response.json()["errors"]] == [header]
    both = bot.send("GET", path, headers=good | {"Authorization": "Bearer " + ann.token})
    assert problem(both) == (400, "invalid_argument") and "not both" in both.json()["detail"]


def test_a_request_is_good_for_its_window(platform, ann):
    bot = Bot(ann)
    path = "/api/v1/users/me"

    def at(offset_ms, window=""):
        return bot.send("GET", path, headers=bot.headers("GET", path, stamp=str(now_ms() + offset_ms), window=window))

    assert at(-30_000, "60000").status_code == 200
    for response in (at(-30_000), at(-70_000, "60000"), at(+30_000), at(+30_000, "60000")):
        assert problem(response) == (401, "timestamp_out_of_window")
        assert abs(int(response.headers["X-API-TIME"]) - now_ms()) < 20_000
        assert response.headers["X-API-TIME"][:8] in response.json()["detail"]


def test_a_request_counts_once(platform, ann):
    bot = Bot(ann)
    body = json.dumps(ORDER).encode()
    headers = bot.headers("POST", "/api/v1/orders", "", body)
    assert bot.send("POST", "/api/v1/orders", "", body, headers).status_code == 201
    for again in (headers, headers | {"Idempotency-Key": "other"}):
        assert problem(bot.send("POST", "/api/v1/orders", "", body, again)) == (401, "replayed")
    assert len(ann.get("/orders/open")["items"]) == 1
    headers = bot.headers("GET", "/api/v1/orders/open")
    assert [bot.send("GET", "/api/v1/orders/open", headers=headers).status_code for _ in range(2)] == [200, 200]


def test_an_expired_key_is_told_so_by_its_own_signature(platform, ann):
    at = now_ms() + 3000
    expires = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000)) + f".{at % 1000:03}Z"
    bot = Bot(ann, expiresAt=expires)
    wait_until(lambda: bot.call("GET", "/users/me").status_code == 401)
    with refused(401, "invalid_api_key"):
        bot.get("/users/me")


def test_a_key_is_good_in_its_networks_only(platform, ann):
    bot = Bot(ann, networks=["203.0.113.0/24", "2001:db8::7"])
    for address, allowed in (("203.0.113.9", True), ("203.0.114.9", False), ("2001:db8::7", True),
                             ("2001:db8::8", False), ("::ffff:203.0.113.9", True), ("198.51.100.1, 203.0.113.9", True),
                             ("203.0.113.9, 198.51.100.1", False), ("127.0.0.1", False)):
        response = bot.call("GET", "/users/me", headers={"X-Forwarded-For": address})
        if allowed:
            assert response.status_code == 200, address
        else:
            assert problem(response) == (403, "ip_not_allowed"), address
    ann.put(f"/api-keys/{bot.key_id}", {"name": "bot", "permissions": ["READ"], "networks": ["127.0.0.1"]})
    assert bot.get("/users/me")["userId"] == ann.id


def test_a_body_that_is_too_large_is_not_read_for_a_signature(platform, ann):
    bot = Bot(ann)
    body = b'{"symbol":"' + b"x" * 70_000 + b'"}'
    response = bot.send("POST", "/api/v1/orders", "", body, bot.headers("POST", "/api/v1/orders", "", body))
    assert problem(response) == (413, "body_too_large")


def test_what_guests_may_do_is_done_under_any_key(platform, ann):
    bot = Bot(ann, permissions=["TRADE"])
    ann.delete(f"/api-keys/{bot.key_id}")
    assert bot.get("/markets")["items"]


# ---- what a key may ----

def callable_methods(platform):
    """Every endpoint above guests: (verb, path with parameters filled in, permission, caller)."""
    methods = requests.get(platform.url + "/help", timeout=10).json()["operations"]
    for m in methods:
        if m["verb"] and m["caller"] != "GUEST":
            yield m["verb"], re.sub(r"\{[^}]*\}", "0" * 32, m["path"]), m["permission"], m["caller"]


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_key_may_what_the_contract_says_of_its_permission_and_nothing_else(platform, ann, permission):
    bot = Bot(ann, permissions=[permission])
    methods = list(callable_methods(platform))
    assert {p for _, _, p, _ in methods} >= {"NONE", "READ", "TRADE"}
    for verb, path, needed, caller in methods:
        body = {} if verb in ("POST", "PUT", "PATCH") else None
        response = bot.call(verb, path.removeprefix("/api/v1"), body)
        if caller == "USER" and needed == permission:
            assert response.status_code not in (401, 403), (verb, path, response.text)
        else:
            assert problem(response) == (403, "permission_denied"), (verb, path)
    assert ann.get(f"/api-keys/{bot.key_id}")["permissions"] == [permission]


def test_an_admins_key_is_no_admin(platform):
    admin = platform.admin()
    bot = Bot(admin)
    with refused(403, "permission_denied"):
        bot.get("/admin/audit")
    assert bot.get("/users/me")["role"] == "ROLE_ADMIN"
    admin.delete(f"/api-keys/{bot.key_id}")


def test_only_an_admin_gives_a_tier(platform, ann):
    bot = Bot(ann)
    with refused(403, "permission_denied"):
        ann.put(f"/admin/api-keys/{bot.key_id}/tier", {"tier": "maker"})
    with refused(400, field="tier"):
        platform.admin().put(f"/admin/api-keys/{bot.key_id}/tier", {"tier": "Not this"})
    assert platform.admin().put(f"/admin/api-keys/{bot.key_id}/tier", {"tier": "maker"})["tier"] == "maker"
    assert ann.get(f"/api-keys/{bot.key_id}")["tier"] == "maker" and bot.get("/users/me")


# ---- at once ----

def test_a_change_and_the_end_are_true_at_once(platform, ann):
    bot, kept = Bot(ann), Bot(ann)
    assert bot.get("/users/me") and kept.get("/users/me")
    ann.put(f"/api-keys/{bot.key_id}", {"name": "renamed", "permissions": ["TRADE"]})
    with refused(403, "permission_denied"):
        bot.get("/users/me")
    ann.put(f"/api-keys/{bot.key_id}", {"name": "renamed", "permissions": ["READ"]})
    assert bot.get("/users/me")
    ann.delete(f"/api-keys/{bot.key_id}")
    with refused(401, "bad_signature"):
        bot.get("/users/me")
    assert kept.get("/users/me")
    with refused(404):
        ann.delete(f"/api-keys/{bot.key_id}")


def test_nobody_touches_somebody_elses_key(platform, ann, bob):
    bot = Bot(ann)
    for verb, body in (("GET", None), ("PUT", {"name": "mine", "permissions": ["READ"]}), ("DELETE", None)):
        with refused(404):
            bob.ask(verb, f"/api-keys/{bot.key_id}", body)
    assert bot.get("/users/me") and not bob.get("/api-keys")["items"]


def test_the_log_tells_what_was_done_and_no_secret(platform, ann):
    bot = Bot(ann)
    headers = bot.headers("GET", "/api/v1/users/me")
    assert bot.send("GET", "/api/v1/users/me", headers=headers).status_code == 200
    ann.delete(f"/api-keys/{bot.key_id}")
    log = platform.log()
    lines = [json.loads(line) for line in log.splitlines() if bot.key_id in line and line.startswith("{")]
    assert [(x["msg"], x["owner"]) for x in lines if x["part"] == "users"] == [
        ("api key created", ann.id), ("api key revoked", ann.id)]
    assert [(x["path"], x["user"], x["key"]) for x in lines if x["part"] == "gateway" and "key" in x] == [
        ("/api/v1/users/me", ann.id, bot.key_id)]
    assert bot.secret not in log and headers["X-API-SIGNATURE"] not in log


def test_keys_survive_a_restart_and_their_end_too(alone):
    ann = alone.user("ann")
    bots, gone = [Bot(ann, kind) for kind in KINDS], Bot(ann)
    assert gone.get("/users/me")
    ann.delete(f"/api-keys/{gone.key_id}")
    alone.stop()
    alone.start()
    for bot in bots:
        assert bot.get("/users/me")["userId"] == ann.id
    with refused(401, "bad_signature"):
        gone.get("/users/me")


# ---- WebSocket and streams ----

@pytest.mark.parametrize("kind", KINDS)
def test_a_bot_authenticates_on_the_websocket(platform, ann, kind):
    bot = Bot(ann, kind, ["READ"])
    with Socket(platform.ws()) as ws:
        assert ws.command("authenticate", **bot.credentials())["userId"] == ann.id
        assert ws.command("users.me")["userId"] == ann.id
        ws.subscribe("user.orders")
        for command in ("orders.cancelAll", "keys.list", "auth.logout"):
            with pytest.raises(CommandFailed) as failed:
                ws.command(command)
            assert failed.value.code == "permission_denied"
        order = ann.limit("BUY", "1", "100")
        assert ws.event()["data"]["order"]["orderId"] == order["orderId"]


def test_a_bot_without_read_follows_nothing_of_its_owner(platform, ann):
    bot = Bot(ann, permissions=["TRADE"])
    with Socket(platform.ws()) as ws:
        ws.command("authenticate", **bot.credentials())
        with pytest.raises(CommandFailed) as failed:
            ws.subscribe("user.orders")
        assert failed.value.code == "permission_denied"
        ws.subscribe("prices:BTC-USDT")


def test_bad_credentials_close_the_websocket(platform, ann):
    bot = Bot(ann)
    elsewhere = Bot(ann, networks=["203.0.113.0/24"])
    used = bot.credentials()
    with Socket(platform.ws()) as ws:
        ws.command("authenticate", **used)
    good = bot.credentials()
    old = str(now_ms() - 70_000)
    rest = bot.sign("GET", "/ws", "", bot.key_id, good["timestamp"], bot.WINDOW, hashlib.sha256(b"").hexdigest())
    for code, credentials in (("replayed", used), ("bad_signature", good | {"signature": changed(good["signature"])}),
                              ("bad_signature", good | {"signature": rest}),
                              ("bad_signature", good | {"recvWindow": 59999}),
                              ("timestamp_out_of_window", good | {"timestamp": old}),
                              ("ip_not_allowed", elsewhere.credentials())):
        with Socket(platform.ws()) as ws:
            with pytest.raises(CommandFailed) as failed:
                ws.command("authenticate", **credentials)
            assert failed.value.code == code
            assert ws.close_code() == 4003
    with Socket(platform.ws()) as ws:
        for nothing in ({}, good | {"token": ann.token}):
            with pytest.raises(CommandFailed) as failed:
                ws.command("authenticate", **nothing)
            assert failed.value.code == "invalid_argument"


def test_the_end_of_a_key_ends_its_connections(platform, ann):
    bot = Bot(ann)
    with Socket(platform.ws()) as ws:
        ws.command("authenticate", **bot.credentials())
        assert ws.command("users.me")
        ann.delete(f"/api-keys/{bot.key_id}")
        with pytest.raises((CommandFailed, Closed)):
            ws.command("users.me")
        assert ws.close_code() == 4003


def test_a_bot_reads_a_stream_of_its_owner(platform, ann):
    bot = Bot(ann, permissions=["READ"])
    path, query = "/api/v1/stream", "channels=user.orders"
    headers = bot.headers("GET", path, query)
    with bot.session.get(f"{platform.origin}{path}?{query}", headers=headers, stream=True, timeout=30) as stream:
        assert stream.status_code == 200
        lines = stream.iter_lines(chunk_size=1)
        next(line for line in lines if line.startswith(b"id:"))
        order = ann.limit("BUY", "1", "100")
        event = next(line for line in lines if line.startswith(b"data:"))
        assert json.loads(event[5:])["data"]["order"]["orderId"] == order["orderId"]
    trader = Bot(ann, permissions=["TRADE"])
    refusal = trader.send("GET", path, query, headers=trader.headers("GET", path, query))
    assert problem(refusal) == (403, "permission_denied")


# ---- the documentation ----

def test_the_vectors_in_the_documentation_are_openssls(tmp_path):
    run_documented("vector", tmp_path)


def test_the_bot_in_the_documentation_trades(platform, ann, tmp_path):
    bot = Bot(ann)
    run_documented("bot", tmp_path, API=platform.url, KEY=bot.key_id, SECRET=bot.secret)


# ---- rate limits ----

def test_a_tier_raises_the_limit_of_its_key_at_once(new_platform):
    platform = new_platform(settings={"gateway.rate_exempt": "", "gateway.rate_orders": "2/1h"}).start()
    ann = platform.user("ann")
    bot, other = Bot(ann), Bot(ann)

    def ask(who):
        response = who.call("POST", "/orders", {})  # no order, and counted like one
        return response.status_code, int(response.headers["RateLimit-Limit"])

    assert [ask(bot) for _ in range(3)] == [(400, 2), (400, 2), (429, 2)]
    platform.admin().put(f"/admin/api-keys/{bot.key_id}/tier", {"tier": "pro"})
    assert [ask(bot) for _ in range(5)] == [(400, 200)] * 5
    assert ask(other) == (429, 2), "the tier is the key's, not its owner's"
    platform.admin().put(f"/admin/api-keys/{bot.key_id}/tier", {"tier": ""})
    assert ask(bot) == (429, 2)
