"""WebSocket commands and events, server-sent events: everything once, in order, and after a reconnect what was missed."""

import asyncio
import concurrent.futures
import json
import subprocess
from decimal import Decimal

import pytest
import requests
import websockets

from platform_under_test import PASSWORD, ROOT, SYMBOL, wait_until
from sockets import Closed, CommandFailed, Socket, Stream

ORDER = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "60000"}
TRADES, PRICES, DEPTH = f"trades:{SYMBOL}", f"prices:{SYMBOL}", f"depth:{SYMBOL}"


# ---- commands ----

def test_a_command_does_what_the_rest_api_does(platform, ann):
    with Socket(platform.ws(), ann) as socket:
        order = socket.command("orders.place", **ORDER)
        assert ann.get(f"/orders/{order['orderId']}") == socket.command("orders.get", orderId=order["orderId"])
        assert socket.command("orders.open")["items"][0]["orderId"] == order["orderId"]
        assert socket.command("wallet.balances") == ann.get("/wallet/balances")
        assert socket.command("orders.cancel", orderId=order["orderId"])["status"] == "CANCELLED"
        assert socket.command("users.me") == ann.get("/users/me")
        assert Decimal(socket.command("prices.quotes", symbols=SYMBOL)["items"][0]["bid"] or 0) == 0
        assert socket.command("ping")["time"].endswith("Z")


def test_a_refusal_has_the_word_of_the_rest_api(platform, ann):
    with Socket(platform.ws(), ann) as socket:
        for name, parameters, code in (("orders.place", ORDER | {"quantity": "100"}, "insufficient_funds"),
                                       ("orders.place", ORDER | {"price": "0.001"}, "tick_size"),
                                       ("orders.cancel", {"orderId": "1"}, "unknown_order"),
                                       ("admin.audit", {}, "permission_denied")):
            with pytest.raises(CommandFailed) as failed:
                socket.command(name, **parameters)
            assert failed.value.code == code and failed.value.error["temporary"] is False


@pytest.mark.parametrize("message", [{"command": "no.such", "msgId": "1"}, {"command": "orders.place", "msgId": "1"},
                                     {"command": "ping", "msgId": "1", "surprise": 1}, {"msgId": "1"},
                                     {"command": "", "msgId": "1"}, {"command": 5, "msgId": "1"}])
def test_a_bad_command_is_answered_and_the_connection_lives(platform, ann, message):
    with Socket(platform.ws(), ann) as socket:
        socket.send(message)
        assert socket.answer("1")["ok"] is False
        assert socket.command("ping")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"command":"ping"}', "x" * 1000])
def test_what_is_no_command_is_answered_or_closes_but_never_hangs(platform, ann, text):
    with Socket(platform.ws(), ann) as socket:
        socket.ws.send(text)
        try:
            assert socket.receive()["ok"] is False
        except Closed as closed:
            assert 1000 <= closed.code < 5000


def test_answers_come_by_msg_id_whatever_their_order(platform, ann):
    with Socket(platform.ws(), ann) as socket:
        for n in range(30):
            socket.send({"command": "orders.place", "msgId": f"m-{n}", **ORDER, "clientOrderId": f"ws-{n}"})
        answers = [socket.receive() for _ in range(30)]
        assert {a["msgId"]: a["result"]["clientOrderId"] for a in answers} == {f"m-{n}": f"ws-{n}" for n in range(30)}


def test_help_is_the_same_everywhere_even_in_parts(platform):
    with Socket(platform.ws("guest")) as socket:
        assert socket.command("help") == platform.guest().get("/help")


# ---- who speaks ----

def test_a_token_authenticates_in_both_spellings(platform, ann):
    for message in ({"command": "authenticate", "msgId": "1", "token": ann.token},
                    {"type": "authenticate", "msgId": "1", "data": {"token": ann.token}}):
        with Socket(platform.ws()) as socket:
            socket.send(message)
            answer = socket.answer("1")
            assert answer["ok"] and answer["result"]["userId"] == ann.id
            assert socket.command("users.me")["userId"] == ann.id


def test_bad_credentials_close_the_connection_with_4003(platform):
    with Socket(platform.ws()) as socket:
        socket.send({"command": "authenticate", "msgId": "1", "token": "forged"})
        assert socket.close_code() == 4003


def test_who_does_not_say_who_he_is_is_closed_with_4001(new_platform):
    platform = new_platform().start()
    with Socket(platform.ws()) as socket, Socket(platform.ws("guest")) as guest:
        socket.ws.settimeout(15)
        with pytest.raises(CommandFailed) as failed:
            socket.command("wallet.balances")
        assert failed.value.code == "unauthenticated"
        assert socket.close_code() == 4001
        assert guest.command("ping"), "a guest needs no name"


def test_a_session_that_was_ended_is_closed_at_its_next_command(platform, people):
    user = people()
    with Socket(platform.ws(), user) as socket:
        user.post("/auth/logout")
        socket.send({"command": "users.me", "msgId": "late"})
        assert socket.close_code() == 4003


# ---- events ----

def test_orders_and_balances_are_told_as_they_change(platform, ann, bob):
    with Socket(platform.ws(), ann) as socket:
        socket.subscribe("user.orders", "user.balances")
        order = ann.limit("BUY", "1", 60000)
        bob.limit("SELL", "0.4", 60000)
        ann.cancel(order)
        seen = socket.until(lambda e: e["type"] == "order.cancelled")
        orders = [e for e in seen if e["channel"] == "user.orders"]
        assert [e["type"] for e in orders] == ["order.accepted", "order.filled", "order.cancelled"]
        assert {e["data"]["order"]["orderId"] for e in orders} == {order["orderId"]}
        assert Decimal(orders[1]["data"]["order"]["filled"]) == Decimal("0.4")
        assert all(e["timestamp"].endswith("Z") and e["epoch"] and int(e["seq"]) > 0 for e in seen)
        now = ann.balances()
        final = {}
        while {a: Decimal(b["available"]) for a, b in final.items()} != {a: now[a].available for a in ("BTC", "USDT")}:
            for event in seen:
                if event["type"] == "balance.updated":
                    final[event["data"]["balance"]["asset"]] = event["data"]["balance"]
            seen = [socket.event()] if {a: Decimal(b["available"]) for a, b in final.items()} != {
                a: now[a].available for a in ("BTC", "USDT")} else []


def test_nobody_hears_of_anothers_orders(platform, ann, bob):
    with Socket(platform.ws(), bob) as socket:
        socket.subscribe("user.orders", "user.balances")
        ann.cancel(ann.limit("BUY", "1", 60000))
        mine = bob.limit("BUY", "0.5", 59000)
        assert socket.until(lambda e: e["type"] == "order.accepted")[-1]["data"]["order"]["orderId"] == mine["orderId"]
        assert all(e["data"]["order"]["orderId"] == mine["orderId"] for e in socket.events if e["channel"] == "user.orders")


@pytest.mark.parametrize("channel", ["user.orders", "user.balances"])
def test_a_guest_has_no_channels_of_his_own(platform, channel):
    with Socket(platform.ws("guest")) as socket:
        with pytest.raises(CommandFailed):
            socket.subscribe(channel)


@pytest.mark.parametrize("channel", ["", "no.such", "prices:", "prices", "user.orders:x", "x" * 300])
def test_a_channel_that_is_none_is_refused(platform, ann, channel):
    with Socket(platform.ws(), ann) as socket:
        with pytest.raises(CommandFailed):
            socket.subscribe(channel)


def test_trades_are_told_to_everybody_in_order(platform, ann, bob):
    with Socket(platform.ws("guest")) as guest:
        guest.subscribe(TRADES)
        ann.limit("SELL", "1", 60000)
        made = [bob.limit("BUY", "0.05", 60000)["fills"][0]["tradeId"] for _ in range(20)]
        seen = guest.until(lambda e: e["data"]["trade"]["tradeId"] == made[-1])
        assert [e["data"]["trade"]["tradeId"] for e in seen] == made
        seqs = [int(e["seq"]) for e in seen]
        assert seqs == sorted(set(seqs)) and len({e["epoch"] for e in seen}) == 1


def test_depth_events_on_a_snapshot_make_the_book(platform, ann, bob):
    with Socket(platform.ws("guest")) as guest:
        guest.subscribe(DEPTH)
        ann.limit("BUY", "0.1", 59000)
        snapshot = platform.guest().get(f"/markets/{SYMBOL}/depth", limit=500)
        book = {(side, level["price"]): level["quantity"] for side in ("bids", "asks") for level in snapshot[side]}
        for n in range(20):
            ann.limit("BUY", "0.1", 59000 - n)
            bob.limit("SELL", "0.1", 61000 + n)
        bob.limit("SELL", "0.35", 58998)
        final = platform.guest().get(f"/markets/{SYMBOL}/depth", limit=500)
        at = int(snapshot["lastUpdateId"])
        while at < int(final["lastUpdateId"]):
            event = guest.event()["data"]
            if int(event["lastUpdateId"]) <= at:
                continue
            assert int(event["firstUpdateId"]) <= at + 1, "a gap in the depth events"
            at = int(event["lastUpdateId"])
            for side in ("bids", "asks"):
                for level in event[side]:
                    book[side, level["price"]] = level["quantity"]
        assert {k: v for k, v in book.items() if Decimal(v)} == {
            (side, level["price"]): level["quantity"] for side in ("bids", "asks") for level in final[side]}


def test_after_unsubscribing_nothing_comes_any_more(platform, ann):
    with Socket(platform.ws(), ann) as socket:
        socket.subscribe("user.orders")
        ann.limit("BUY", "0.01", 60000)
        socket.until(lambda e: e["type"] == "order.accepted")
        socket.command("unsubscribe", channels=["user.orders"])
        ann.limit("BUY", "0.01", 60000)
        for _ in range(3):
            socket.command("ping")
        assert socket.events == []


# ---- coming back ----

async def listen(url, channel, count, reconnect_at=()):
    """The first events of a channel; at some of them the connection is dropped and resumed (python3-websockets)."""
    seen, since, drops = [], None, set(reconnect_at)
    while True:
        async with websockets.connect(url, max_queue=None) as socket:  # else its close waits for us to read
            message = {"command": "subscribe", "msgId": "s", "channels": [channel]} | ({"since": since} if since else {})
            await socket.send(json.dumps(message))
            while len(seen) < count:
                event = json.loads(await asyncio.wait_for(socket.recv(), 20))
                if event.get("msgId") == "s":
                    assert event["ok"] and (not since or event["result"]["items"][0]["recovered"]), event
                    if not since:
                        place = event["result"]["items"][0]
                        since = {"epoch": place["epoch"], "seq": place["seq"]}
                    continue
                assert event["type"] != "resync", event
                seen.append(event)
                since = {"epoch": event["epoch"], "seq": event["seq"]}
                if len(seen) in drops:
                    drops.discard(len(seen))
                    break
            else:
                return seen


def test_a_client_that_reconnects_misses_nothing_and_sees_nothing_twice(platform, people):
    ann, bob = people(BTC="10"), people(USDT="1000000")
    ann.limit("SELL", "10", 60000)

    async def run():
        steady = asyncio.create_task(listen(platform.ws("guest"), TRADES, 200))
        flaky = asyncio.create_task(listen(platform.ws("guest"), TRADES, 200, range(7, 200, 13)))
        trades = asyncio.to_thread(lambda: [bob.limit("BUY", "0.001", 60000)["fills"][0]["tradeId"] for _ in range(230)])
        return await asyncio.gather(steady, flaky, trades)

    steady, flaky, made = asyncio.run(run())
    ours = [e["data"]["trade"]["tradeId"] for e in flaky]
    assert ours == made[made.index(ours[0]):][:200], "no gap, no repeat"
    overlap = {e["seq"]: e for e in steady}
    assert all(overlap[e["seq"]] == e for e in flaky if e["seq"] in overlap), "the very same events"


def test_what_was_missed_while_away_comes_at_once(platform, ann, bob):
    with Socket(platform.ws(), ann) as socket:
        place = socket.subscribe("user.orders")[0]
    made = [ann.limit("BUY", "0.01", 60000 - n)["orderId"] for n in range(10)]
    bob.cancel(bob.limit("BUY", "0.01", 59000))
    with Socket(platform.ws(), ann) as socket:
        wait_until(lambda: int(ann_position(socket)["seq"]) >= int(place["seq"]) + 10, what="the events to be there")
        back = socket.subscribe("user.orders", since={"epoch": place["epoch"], "seq": place["seq"]})[0]
        assert back["recovered"] is True
        assert [socket.event()["data"]["order"]["orderId"] for _ in range(10)] == made


def ann_position(socket):
    """Where the topic of the orders stands."""
    socket.command("unsubscribe", channels=["user.orders"])
    return socket.subscribe("user.orders")[0]


@pytest.mark.parametrize("since", [{"epoch": "1", "seq": "1"}, {"epoch": "18446744073709551615", "seq": "5"}])
def test_where_the_past_is_gone_a_resync_says_so(platform, since):
    with Socket(platform.ws("guest")) as socket:
        place = socket.subscribe(TRADES, since=since)[0]
        assert place["recovered"] is False
        resync = socket.event()
        assert (resync["type"], resync["channel"], resync["epoch"]) == ("resync", TRADES, place["epoch"])


def test_when_the_platform_stops_clients_are_told_to_come_back(alone):
    ann = alone.user("ann", USDT="1000")
    with Socket(alone.ws(), ann) as socket, Stream(alone.url, TRADES) as stream:
        socket.subscribe("user.orders")
        assert stream.status == 200
        alone.stop()
        assert socket.close_code() == 1001
        assert stream.curl.wait(10) is not None


def test_what_an_event_tells_is_in_the_next_answer(new_platform):
    platform = new_platform("one", {"gateway.recent_ms": 1000}).start()
    ann, bob = platform.user(BTC="10"), platform.user(USDT="1000000")
    ann.limit("SELL", "10", 60000)

    def newest():
        return platform.guest().get(f"/markets/{SYMBOL}/trades", limit=1)["items"]

    with Socket(platform.ws("guest")) as socket, concurrent.futures.ThreadPoolExecutor() as pool:
        socket.subscribe(TRADES)
        for _ in range(100):
            newest()
            buying = pool.submit(bob.limit, "BUY", "0.001", 60000)
            told = socket.event()["data"]["trade"]
            assert newest() == [told], "an answer from before the event"
            buying.result()


# ---- server-sent events ----

def test_a_stream_tells_trades_and_resumes_behind_the_last_one_seen(platform, ann, bob):
    ann.limit("SELL", "1", 60000)
    with Stream(platform.url, TRADES) as stream:
        assert stream.status == 200 and stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["x-accel-buffering"] == "no"
        stream.open()
        made = [bob.limit("BUY", "0.01", 60000)["fills"][0]["tradeId"] for _ in range(10)]
        first = [stream.event() for _ in range(4)]
        last = stream.last_id
    made += [bob.limit("BUY", "0.01", 60000)["fills"][0]["tradeId"] for _ in range(10)]
    with Stream(platform.url, TRADES, last_event_id=last) as stream:
        second = [stream.event() for _ in range(16)]
    assert [data["data"]["trade"]["tradeId"] for _, _, data in first + second] == made
    assert all(event_id == f"{data['epoch']}-{data['seq']}" for event_id, _, data in first + second)


def test_prices_stream_to_the_newest(platform, ann, bob):
    with Stream(platform.url, PRICES, "prices:ETH-USDT") as stream:
        stream.open()
        ann.limit("SELL", "1", 61000)
        bob.limit("BUY", "0.1", 61000)
        bob.limit("BUY", "1", 3000, symbol="ETH-USDT")
        seen = {}
        while (Decimal(seen.get(PRICES, {}).get("last") or 0) != 61000
               or Decimal(seen.get("prices:ETH-USDT", {}).get("bid") or 0) != 3000):
            _, _, data = stream.event()
            seen[data["channel"]] = data["data"]


def test_a_stream_of_prices_that_resumes_begins_with_the_newest(platform, ann, bob):
    with Stream(platform.url, PRICES) as stream:
        stream.open()
        ann.limit("SELL", "1", 60500)
        stream.event()
        last = stream.last_id
    for _ in range(5):
        bob.limit("BUY", "0.1", 60500)
    newest = platform.guest().get(f"/markets/{SYMBOL}/ticker")
    with Stream(platform.url, PRICES, last_event_id=last) as stream:
        while (seen := stream.event()[2]["data"])["volume"] != newest["volume"]:
            assert Decimal(seen["volume"]) < Decimal(newest["volume"])
        assert (seen["last"], seen["askQuantity"]) == (newest["last"], newest["askQuantity"])


def test_a_stream_whose_past_is_gone_says_resync(platform):
    with Stream(platform.url, TRADES, last_event_id="1-1") as stream:
        _, name, data = stream.event()
        assert name == "resync" and data["type"] == "resync" and data["channel"] == TRADES


def test_ones_own_events_need_a_token(platform, ann):
    assert requests.get(platform.url + "/stream?channels=user.orders", timeout=5).status_code == 401
    with Stream(platform.url, "user.orders", token=ann.token) as stream:
        stream.open()
        order = ann.limit("BUY", "0.01", 60000)
        _, _, data = stream.event()
        assert data["type"] == "order.accepted" and data["data"]["order"]["orderId"] == order["orderId"]


@pytest.mark.parametrize("query", ["", "channels=", "channels=no.such", "channels=prices:", "surprise=1",
                                   "channels=prices:BTC-USDT&lastEventId=garbage"])
def test_a_bad_stream_is_refused(platform, query):
    response = requests.get(platform.url + "/stream?" + query, timeout=5, stream=True)
    assert response.status_code == 400
    assert response.headers["Content-Type"].startswith("application/problem+json")


# ---- a client in another language ----

def test_npms_ws_trades(platform, ann):
    done = subprocess.run(["node", ROOT / "tests/node/ws_client.mjs", platform.ws(), ann.token, json.dumps(ORDER)],
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["orderId"] == ann.get("/orders/open")["items"][0]["orderId"]


# ---- listeners ----

def test_the_login_listener_takes_logins_only(platform, people):
    user = people()
    with Socket(platform.ws("login")) as socket:
        tokens = socket.command("auth.login", email=user.email, password=PASSWORD)
        assert tokens["refreshToken"], "here there is no cookie"
        again = socket.command("auth.refresh", refreshToken=tokens["refreshToken"])
        assert again["accessToken"] and again["refreshToken"] != tokens["refreshToken"]
        for name, parameters in (("prices.quotes", {"symbols": SYMBOL}), ("orders.place", ORDER), ("users.me", {}),
                                 ("subscribe", {"channels": [PRICES]}), ("markets.list", {})):
            with pytest.raises(CommandFailed) as failed:
                socket.command(name, **parameters)
            assert failed.value.code in ("not_found", "not_offered"), name


def test_registering_works_on_the_login_listener(platform):
    with Socket(platform.ws("login")) as socket:
        user = socket.command("auth.register", email="by-socket@example.com", username="by-socket", password=PASSWORD)
        assert user["username"] == "by-socket" and user["role"] == "ROLE_USER"


def test_the_guest_listener_takes_guests_only(platform, ann):
    base = f"http://{platform.address('guest')}/api/v1"
    assert ann.call("GET", "/markets", base=base).status_code == 200
    for verb, path in (("GET", "/wallet/balances"), ("POST", "/orders"), ("GET", "/users/me"), ("GET", "/admin/audit")):
        assert ann.call(verb, path, {} if verb == "POST" else None, base=base).status_code == 404, path
    with Socket(platform.ws("guest")) as socket:
        assert socket.command("prices.quotes", symbols=SYMBOL)["items"]
        for name in ("wallet.balances", "orders.cancelAll", "admin.audit"):
            with pytest.raises(CommandFailed):
                socket.command(name)


def test_a_websocket_port_answers_plain_http_with_426(platform):
    for listener in ("main", "login"):
        response = requests.get(f"http://{platform.address(listener)}/api/v1/markets", timeout=5)
        assert response.status_code == 426 and response.headers["Upgrade"] == "websocket"
