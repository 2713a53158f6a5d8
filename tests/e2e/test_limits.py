"""How many requests: who counts as whom, what an answer says, and what waiting does.

The platforms of these tests do not limit 127.0.0.1; whoever is to be limited says an address by X-Forwarded-For,
which the gateway believes from here.
"""

import itertools
import json
import signal
import time

import pytest
import requests

from platform_under_test import PASSWORD, SHAPES, SYMBOL, Platform, free_port, let_pass, spawn, wait_until
from sockets import CommandFailed, Socket
from test_reload import Reloaded

SHORT_S = 3  # a window that can be waited for
EXACT = {"gateway.rate_default": "30/20h", "gateway.rate_orders": "20/20h", "gateway.rate_withdrawals": f"5/{SHORT_S}s",
         "gateway.rate_idempotency_keys": "3/20h", "users.wrong_passwords_max": 3}
ORDER = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.001", "price": "10000"}
_numbers = itertools.count(1)


def address():
    """One that nobody has used."""
    number = next(_numbers)
    return f"198.18.{number // 250}.{number % 250 + 1}"


def guest(platform, where=None):
    user = platform.guest()
    user.session.headers["X-Forwarded-For"] = where or address()
    return user


def moved(user, where=None):
    """The user, from now on at an address that is limited."""
    user.session.headers["X-Forwarded-For"] = where or address()
    return user


def told(response):
    return tuple(int(response.headers["RateLimit-" + name]) for name in ("Limit", "Remaining"))


def is_counted(response):
    return "RateLimit-Limit" in response.headers


def assert_limited(response):
    assert response.status_code == 429, response.text
    assert response.json()["code"] == "rate_limited"
    assert response.headers["Content-Type"].startswith("application/problem+json")
    assert int(response.headers["Retry-After"]) >= 1
    assert int(response.headers["RateLimit-Reset"]) == int(response.headers["Retry-After"])
    return response


def count_allowed(limit, window_s, ask):
    """Asks until refused. What fades meanwhile, and at the edge of a window, may be more than the limit."""
    begin, allowed = time.monotonic(), 0
    while (response := ask()).status_code != 429:
        allowed += 1
        assert is_counted(response) and told(response)[0] == limit, response.headers
        assert allowed <= limit * 2 + 1, "it is not limited"
    assert_limited(response)
    assert limit <= allowed <= limit + 1 + limit * (time.monotonic() - begin) / window_s
    return response


@pytest.fixture(scope="module", params=SHAPES)
def exact(request, tmp_path_factory):
    """A platform whose windows do not end while a test counts, or end soon enough to wait for."""
    p = Platform(tmp_path_factory.mktemp("exact-" + request.param), request.param, EXACT)
    try:
        yield p.start()
        p.stop()
    finally:
        p.close()


# ---- the defaults ----

def test_a_guest_has_a_hundred_calls_a_minute_by_address(platform):
    one, other = guest(platform), guest(platform)
    count_allowed(100, 60, lambda: one.call("GET", "/markets"))
    assert one.call("GET", f"/markets/{SYMBOL}/ticker").status_code == 429, "everything else shares them"
    assert told(other.call("GET", "/markets")) == (100, 99)


def test_a_user_has_a_hundred_calls_a_minute_wherever_he_is(platform, people):
    user = moved(people())
    count_allowed(100, 60, lambda: user.call("GET", "/users/me", headers={"X-Forwarded-For": address()}))
    assert people().call("GET", "/users/me").status_code == 200


def test_logins_are_five_in_a_quarter_of_an_hour_right_or_wrong_whoever_it_is(platform, people):
    ann, bob, where = people(), people(), address()
    right = {"email": ann.email, "password": PASSWORD}
    bodies = [right, {**right, "password": "wrong password"}, {"email": bob.email, "password": PASSWORD},
              {"email": "nobody@example.com", "password": PASSWORD}, {"email": 5}]
    answers = [guest(platform, where).call("POST", "/auth/login", body) for body in bodies]
    assert [a.status_code for a in answers] == [200, 401, 200, 401, 400]
    assert [told(a) for a in answers] == [(5, left) for left in (4, 3, 2, 1, 0)]
    for caller in (guest(platform, where), moved(ann, where)):  # who is logged in already counts as his address, too
        assert_limited(caller.call("POST", "/auth/login", right))
    unread = guest(platform, where).session.post(platform.url + "/auth/login", data=b"{ no json", timeout=30)
    assert unread.status_code == 429, "counted before it is read"
    assert guest(platform).call("POST", "/auth/login", right).status_code == 200, "the owner is elsewhere"
    assert guest(platform, where).call("GET", "/markets").status_code == 200


def test_registrations_are_three_an_hour_by_address(platform):
    where = address()

    def register():
        name = f"crowd-{next(_numbers)}"
        return guest(platform, where).call("POST", "/auth/register", {"email": f"{name}@example.com", "username": name,
                                                                      "password": PASSWORD})
    count_allowed(3, 3600, register)


def test_orders_are_twenty_a_minute_and_taking_them_back_is_not_held_up(platform, people):
    user = moved(people(USDT="1000"))
    placed = []
    count_allowed(20, 60, lambda: placed.append(user.call("POST", "/orders", ORDER)) or placed[-1])
    assert user.call("GET", "/users/me").status_code == 200
    assert user.call("DELETE", "/orders/" + placed[0].json()["orderId"]).status_code == 200
    assert user.call("DELETE", "/orders").status_code == 200


def test_transfers_are_five_an_hour(platform, people):
    ann, bob = moved(people(USDT="100")), people()
    count_allowed(5, 3600, lambda: ann.call("POST", "/wallet/transfers", {
        "transferId": f"often-{next(_numbers)}", "toUserId": bob.id, "asset": "USDT", "amount": "1"}))
    assert bob.balance("USDT").total >= 5


def test_an_exempt_network_and_what_is_free_are_not_counted(platform, people):
    user = people()
    assert not any(is_counted(user.call("GET", "/users/me")) for _ in range(120))
    where = {"X-Forwarded-For": address()}
    for path in ("/health", "/.well-known/jwks.json"):
        assert not is_counted(requests.get(platform.origin + path, headers=where, timeout=30))


def test_an_ipv6_client_is_its_64_bit_prefix(platform):
    lefts = [told(guest(platform, a).call("GET", "/markets"))[1] for a in
             ("2001:db8:7:1::1", "2001:db8:7:1:ffff:ffff:ffff:ffff", "2001:db8:7:2::1", "2001:db8:7:1::2")]
    assert lefts[0] == lefts[2] == 99 and lefts[1] in (98, 99) and lefts[3] in (97, 98, 99)


# ---- exactly ----

def test_headers_count_down_to_zero_and_then_it_is_refused(exact):
    one = guest(exact)
    for left in range(29, -1, -1):
        response = one.call("GET", "/markets")
        assert response.status_code == 200 and told(response) == (30, left)
        assert 1 <= int(response.headers["RateLimit-Reset"]) <= 2 * 20 * 3600
    for _ in range(3):
        assert told(assert_limited(one.call("GET", "/markets"))) == (30, 0)
    assert one.call("HEAD", "/markets").status_code == 429


def test_a_refused_caller_is_counted_too(exact):
    one = guest(exact)
    one.token = "forged"
    answers = [one.call("GET", "/users/me") for _ in range(31)]
    assert [a.status_code for a in answers] == [401] * 30 + [429]
    assert [told(a)[1] for a in answers] == [*range(29, -1, -1), 0]


def test_who_shows_what_is_no_key_is_counted_too(exact):
    one = guest(exact)
    answers = [one.call("GET", "/markets", headers={"X-API-KEY": "x"}) for _ in range(31)]
    assert [a.status_code for a in answers] == [400] * 30 + [429]


def test_every_way_in_counts_together(exact):
    """REST, commands that are good, unknown and malformed, subscriptions and streams: 30 of an address."""
    where = address()
    one = guest(exact, where)
    with Socket(exact.ws("guest"), headers={"X-Forwarded-For": where}) as socket:
        assert told(one.call("GET", "/markets")) == (30, 29)
        socket.command("markets.list")
        socket.subscribe(f"prices:{SYMBOL}")
        for text in ('{"command":"no.such","msgId":"a"}', '{"command":"admin.audit","msgId":"b"}', "no json"):
            socket.ws.send(text)
            assert socket.receive()["ok"] is False
        assert told(one.call("GET", "/markets")) == (30, 23)
        stream = one.session.get(f"{exact.url}/stream?channels=prices:{SYMBOL}", stream=True, timeout=30)
        assert told(stream) == (30, 22)
        stream.close()
        for _ in range(22):
            socket.command("markets.list")
        for name in ("markets.list", "subscribe", "no.such"):
            with pytest.raises(CommandFailed) as failed:
                socket.command(name, **({"channels": [f"prices:{SYMBOL}"]} if name == "subscribe" else {}))
            assert failed.value.code == "rate_limited" and failed.value.error["temporary"] is True
            assert 0 < failed.value.error["retryAfterMs"] <= 2 * 20 * 3600 * 1000
        assert socket.command("ping"), "a sign of life is free"
    assert_limited(one.call("GET", f"/stream?channels=prices:{SYMBOL}"))


def test_orders_by_rest_and_by_command_count_together(exact):
    user = moved(exact.user("both", USDT="1000"))
    with Socket(exact.ws(), user, {"X-Forwarded-For": address()}) as socket:
        for left in range(19, 0, -2):
            assert told(user.call("POST", "/orders", ORDER)) == (20, left)
            socket.command("orders.place", **ORDER)
        assert_limited(user.call("POST", "/orders", ORDER))
        with pytest.raises(CommandFailed) as failed:
            socket.command("orders.place", **ORDER)
        assert failed.value.code == "rate_limited"
        assert len(socket.command("orders.open")["items"]) == 20


def test_a_batch_counts_its_orders_and_goes_whole_or_not_at_all(exact):
    user = moved(exact.user("batches", USDT="1000"))

    def batch(count):
        return user.call("POST", "/orders/batch", {"orders": [ORDER] * count})
    assert told(batch(12)) == (20, 8)
    assert user.call("POST", "/orders/batch", {"orders": "none"}).status_code == 400
    assert told(assert_limited(batch(8))) == (20, 7), "what cannot be read is one call"
    assert batch(21).json()["code"] == "out_of_range"
    assert told(batch(7)) == (20, 0)
    assert_limited(batch(1))
    with Socket(exact.ws(), user, {"X-Forwarded-For": address()}) as socket, pytest.raises(CommandFailed) as failed:
        socket.command("orders.batch", orders=[ORDER])
    assert failed.value.code == "rate_limited"
    assert len(user.get("/orders/open")["items"]) == 19


def test_waiting_as_long_as_told_is_enough(exact):
    ann, bob = moved(exact.user("patient", USDT="1000")), exact.user("rich")
    for _ in range(2):
        while (response := transfer(ann, bob)).status_code != 429:
            assert response.status_code == 201
        wait_s = int(assert_limited(response).headers["Retry-After"])
        assert wait_s <= 2 * SHORT_S
        let_pass(wait_s)
        assert transfer(ann, bob).status_code == 201


def transfer(sender, to):
    return sender.call("POST", "/wallet/transfers", {"transferId": f"wait-{next(_numbers)}", "toUserId": to.id,
                                                     "asset": "USDT", "amount": "0.01"})


def test_new_idempotency_keys_are_limited_and_repeats_are_not(exact):
    user = moved(exact.user("keys", USDT="1000"))

    def place(key=None):
        return user.call("POST", "/orders", ORDER, headers={"Idempotency-Key": key} if key else None)
    first = [place(f"key-{n}") for n in range(3)]
    assert [r.status_code for r in first] == [201] * 3
    refusal = place("key-3")
    assert refusal.status_code == 429 and refusal.json()["code"] == "rate_limited" and refusal.headers["Retry-After"]
    repeat = place("key-1")
    assert repeat.json() == first[1].json() and repeat.headers["Idempotent-Replayed"] == "true"
    assert place().status_code == 201, "without a key it goes on"
    assert place("key-3").status_code == 429, "and nothing was kept of what was refused"
    assert len(user.get("/orders/open")["items"]) == 4


def test_guessing_from_everywhere_ends_and_the_owner_still_comes_in(exact):
    owner = exact.user("guessed")
    wrong = {"email": owner.email, "password": "wrong password"}
    right = wrong | {"password": PASSWORD}
    answers = [guest(exact).call("POST", "/auth/login", body) for body in [wrong] * 4 + [right]]
    assert [a.status_code for a in answers] == [401] * 3 + [429] * 2
    assert answers[-1].json()["code"] == "too_many_guesses"
    assert owner.call("POST", "/auth/login", wrong).status_code == 401, "his browser knows the account"
    assert owner.call("POST", "/auth/login", right).status_code == 200
    assert owner.call("POST", "/auth/refresh", {}).status_code == 200, "and the wrong password did not log him out"


# ---- several gateways, a cache that is away, a reload ----

def test_two_gateways_count_together(new_platform, tmp_path):
    platform = new_platform("split", EXACT).start()
    own = {"data_dir": tmp_path / "again", **{f"gateway.{key}": f"tcp://127.0.0.1:{free_port()}"
                                              for key in ("listen", "events_listen")}}
    (tmp_path / "again").mkdir()
    process = spawn([*platform.command("gateway", "--target=gateway"),
                     *(word for key, value in own.items() for word in ("--set", f"{key}={value}"))],
                    tmp_path / "again.log")
    try:
        ports = tmp_path / "again/gateway.ports"
        wait_until(ports.exists, what="the second gateway")
        second = f"http://127.0.0.1:{json.loads(ports.read_text())['rest']}/api/v1"
        user = moved(platform.user("everywhere"))
        wait_until(lambda: platform.guest().call("GET", "/markets", base=second).status_code == 200, what="it to serve")
        for base, left in zip(itertools.cycle((platform.url, second)), range(29, -1, -1)):
            assert told(user.call("GET", "/users/me", base=base)) == (30, left)
        for base in (platform.url, second):
            assert_limited(user.call("GET", "/users/me", base=base))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_while_the_cache_is_away_guests_are_still_limited(new_platform):
    platform = new_platform("split", EXACT).start()
    where = address()
    assert told(guest(platform, where).call("GET", "/markets")) == (30, 29)
    platform.servers[0].kill()
    answers = [guest(platform, where).call("GET", "/markets") for _ in range(31)]
    assert [a.status_code for a in answers] == [200] * 30 + [429], "counted here, from zero"
    assert "tradepost_gateway_limits_local 1" in requests.get(platform.internal + "/metrics", timeout=30).text
    assert platform.log("gateway").count("rate limits are counted here only") == 1


def test_a_reload_changes_the_rates_or_is_refused_whole(new_platform, tmp_path):
    running = Reloaded(new_platform(), tmp_path)
    one = guest(running.platform)
    assert told(one.call("GET", "/markets")) == (100, 99)
    running.write("gateway: {rate_default: 50/1m, rate_login: often}")
    assert "gateway.rate_login" in str(running.reload())
    assert told(one.call("GET", "/markets"))[0] == 100
    running.write("gateway: {rate_default: 2/1h}")
    running.reload()
    other = guest(running.platform)
    assert [other.call("GET", "/markets").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("setting", ["gateway.rate_orders=20", "gateway.rate_exempt=here"])
def test_a_rate_that_is_none_stops_the_start_and_says_so(new_platform, setting):
    key, value = setting.split("=")
    platform = new_platform("one", {key: value})
    platform.launch()
    assert wait_until(lambda: platform.processes["all"].poll(), what="the end") != 0
    assert key in platform.log()
