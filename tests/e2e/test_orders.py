"""Orders: rest, fill, settle, and give back what they did not need."""

import concurrent.futures
from decimal import Decimal

import pytest

from platform_under_test import SYMBOL, refused, wait_until

PRICE = 60000  # nobody else trades while a test runs, and every test leaves the books empty


@pytest.fixture(scope="session")
def rules(platform):
    return next(m for m in platform.guest().get("/markets")["items"] if m["symbol"] == SYMBOL)


def fee(amount, rate, scale=8):
    """In the house's favour: up."""
    exact = amount * Decimal(rate)
    return exact.quantize(Decimal(1).scaleb(-scale), "ROUND_CEILING")


# ---- the life of an order ----

def test_an_order_rests_holds_its_worst_cost_and_is_in_the_book(platform, ann):
    order = ann.limit("BUY", "0.5", PRICE)
    assert (order["status"], order["fills"], Decimal(order["filled"])) == ("OPEN", [], 0)
    assert (order["symbol"], order["side"], order["type"], order["timeInForce"]) == (SYMBOL, "BUY", "LIMIT", "GTC")
    assert order["createdAt"] == order["updatedAt"] and order["createdAt"].endswith("Z")
    assert ann.balance("USDT").held == Decimal("0.5") * PRICE
    assert ann.get("/orders/open")["items"][0]["orderId"] == order["orderId"]
    level = platform.guest().get(f"/markets/{SYMBOL}/depth")["bids"][0]
    assert (Decimal(level["price"]), Decimal(level["quantity"]), level["orders"]) == (PRICE, Decimal("0.5"), 1)


def test_a_trade_settles_both_sides_to_the_last_unit(platform, rules, ann, bob):
    quantity = Decimal("0.33333")
    ann.limit("SELL", "1", PRICE)
    order = bob.limit("BUY", quantity, PRICE)
    worth = quantity * PRICE
    taker, maker = fee(quantity, rules["takerFee"]), fee(worth, rules["makerFee"])
    assert order["status"] == "FILLED" and Decimal(order["filledQuote"]) == worth
    assert Decimal(order["fee"]) == taker and order["feeAsset"] == "BTC"
    assert bob.balance("BTC") == (100 + quantity - taker, 100 + quantity - taker, 0)
    assert bob.balance("USDT") == (1000000 - worth, 1000000 - worth, 0)
    assert ann.balance("USDT").total == 1000000 + worth - maker
    assert ann.balance("BTC") == (100 - quantity, 99, 1 - quantity)
    mine = ann.get("/trades")["items"][0]
    assert mine["maker"] is True and Decimal(mine["fee"]) == maker and mine["feeAsset"] == "USDT"
    assert mine["tradeId"] == order["fills"][0]["tradeId"]
    assert platform.audit()["balanced"]


def test_the_very_next_read_sees_the_fill(people, rules):
    """Read your writes: over and over, for taker and maker alike."""
    ann, bob = people(BTC="10"), people(USDT="1000000")
    left = Decimal(0)
    for n in range(1, 201):
        quantity = Decimal(n) / 1000
        ann.limit("SELL", quantity, 10000)
        assert bob.limit("BUY", quantity, 10000)["status"] == "FILLED"
        left += quantity - fee(quantity, rules["takerFee"])
        assert bob.balance("BTC").total == left
        assert ann.balance("BTC") == (10 - Decimal(n * (n + 1)) / 2000,) * 2 + (0,)
        assert bob.balance("USDT").held == 0
        if n * (n + 1) / 2000 + (n + 1) / 1000 > 10:
            break


def test_a_better_price_is_given_back(ann, bob):
    ann.limit("SELL", "1", 50000)
    order = bob.limit("BUY", "1", 60000)
    assert order["status"] == "FILLED" and Decimal(order["fills"][0]["price"]) == 50000
    assert bob.balance("USDT") == (950000, 950000, 0)


def test_a_better_price_of_a_part_is_given_back_with_the_rest(ann, bob):
    ann.limit("SELL", "1", 50000)
    order = bob.limit("BUY", "2", 60000)
    assert order["status"] == "PARTIALLY_FILLED"
    assert bob.balance("USDT") == (950000, 880000, 70000)
    bob.cancel(order)
    assert bob.balance("USDT") == (950000, 950000, 0)


def test_price_then_time_decides_who_trades(people):
    makers = [people(BTC="1") for _ in range(4)]
    orders = [m.limit("SELL", "1", p) for m, p in zip(makers, (101, 100, 100, 99), strict=True)]
    taker = people(USDT="1000")
    fills = taker.limit("BUY", "3.5", 101)["fills"]
    assert [(Decimal(f["price"]), Decimal(f["quantity"])) for f in fills] == [
        (99, 1), (100, 1), (100, 1), (101, Decimal("0.5"))]
    trades = [m.get("/trades")["items"][0]["tradeId"] for m in (makers[3], makers[1], makers[2], makers[0])]
    assert trades == [f["tradeId"] for f in fills]
    assert makers[0].get(f"/orders/{orders[0]['orderId']}")["status"] == "PARTIALLY_FILLED"


def test_cancelling_gives_the_money_back(ann):
    order = ann.limit("BUY", "2", PRICE)
    cancelled = ann.cancel(order)
    assert (cancelled["status"], cancelled["reason"]) == ("CANCELLED", "user")
    assert ann.balance("USDT") == (1000000, 1000000, 0)
    assert ann.get("/orders/open")["items"] == []
    with refused(404, "unknown_order"):
        ann.cancel(order)


def test_cancelling_a_partly_filled_order_gives_back_the_rest(ann, bob):
    order = ann.limit("BUY", "2", PRICE)
    bob.limit("SELL", "0.5", PRICE)
    cancelled = ann.cancel(order)
    assert (cancelled["status"], Decimal(cancelled["filled"])) == ("CANCELLED", Decimal("0.5"))
    assert ann.balance("USDT") == (970000, 970000, 0)


def test_cancelling_everything_can_be_for_one_market(ann):
    for n in range(3):
        ann.limit("BUY", "0.1", PRICE - n)
    ann.limit("BUY", "1", 3000, symbol="ETH-USDT")
    assert ann.delete("/orders", symbol=SYMBOL)["cancelled"] == 3
    assert [o["symbol"] for o in ann.get("/orders/open")["items"]] == ["ETH-USDT"]
    assert ann.delete("/orders")["cancelled"] == 1
    assert ann.balance("USDT").held == 0


def test_replacing_is_cancelling_and_entering_again_behind_the_others(ann, bob):
    first = ann.limit("BUY", "1", PRICE)
    second = bob.limit("BUY", "1", PRICE)
    new = ann.put(f"/orders/{first['orderId']}", {"quantity": "1", "price": str(PRICE)})
    assert new["orderId"] != first["orderId"] and new["status"] == "OPEN"
    old = ann.get(f"/orders/{first['orderId']}")
    assert (old["status"], old["reason"]) == ("CANCELLED", "replaced")
    ann.limit("SELL", "1", PRICE)
    assert bob.get(f"/orders/{second['orderId']}")["status"] == "FILLED", "bob is first in the queue now"
    assert ann.get(f"/orders/{new['orderId']}")["status"] == "OPEN"


def test_a_replacement_that_cannot_be_paid_leaves_the_order_or_its_money(ann):
    """Whatever is decided: what is held is what open orders need."""
    order = ann.limit("BUY", "1", PRICE)
    with refused(422, "insufficient_funds"):
        ann.put(f"/orders/{order['orderId']}", {"quantity": "1000", "price": str(PRICE)})
    needed = sum(Decimal(o["price"]) * (Decimal(o["quantity"]) - Decimal(o["filled"]))
                 for o in ann.get("/orders/open")["items"])
    assert ann.balance("USDT").held == needed


def test_replacing_what_is_not_open_is_refused(ann, bob):
    order = ann.limit("BUY", "1", PRICE)
    with refused(404, "unknown_order"):
        bob.put(f"/orders/{order['orderId']}", {"quantity": "1", "price": "1000"})
    ann.cancel(order)
    with refused(404, "unknown_order"):
        ann.put(f"/orders/{order['orderId']}", {"quantity": "1", "price": "1000"})


# ---- kinds ----

def test_immediate_or_cancel_takes_what_is_there(ann, bob):
    ann.limit("SELL", "1", PRICE)
    order = bob.limit("BUY", "3", PRICE, timeInForce="IOC")
    assert (order["status"], order["reason"], Decimal(order["filled"])) == ("CANCELLED", "ioc", 1)
    assert bob.balance("USDT") == (940000, 940000, 0)


def test_fill_or_kill_takes_all_or_nothing(ann, bob):
    ann.limit("SELL", "1", PRICE)
    order = bob.limit("BUY", "1.00001", PRICE, timeInForce="FOK")
    assert (order["status"], order["reason"], order["fills"]) == ("CANCELLED", "fok", [])
    assert bob.balance("USDT") == (1000000, 1000000, 0)
    assert bob.limit("BUY", "1", PRICE, timeInForce="FOK")["status"] == "FILLED"


def test_a_market_buy_spends_at_most_what_it_says(ann, bob):
    ann.limit("SELL", "1", 50000)
    ann.limit("SELL", "1", 60000)
    order = bob.market("BUY", "2", spend="80000")
    assert Decimal(order["filledQuote"]) <= 80000
    assert Decimal(order["filled"]) == Decimal("1.5")
    assert order["status"] == "CANCELLED" and bob.balance("USDT").held == 0
    assert bob.balance("USDT").total == 1000000 - Decimal(order["filledQuote"])


def test_a_market_sell_takes_the_best_bids(ann, bob):
    ann.limit("BUY", "1", 50000)
    ann.limit("BUY", "1", 49000)
    order = bob.market("SELL", "1.5")
    assert order["status"] == "FILLED" and Decimal(order["filledQuote"]) == 50000 + 24500
    assert bob.balance("BTC") == (Decimal("98.5"), Decimal("98.5"), 0)


def test_a_market_order_in_an_empty_book_trades_nothing(ann):
    order = ann.market("SELL", "1")
    assert (order["status"], order["fills"]) == ("CANCELLED", [])
    assert ann.balance("BTC") == (100, 100, 0)


# ---- what is refused ----

def test_what_cannot_be_paid_is_refused_with_a_reason(ann):
    with refused(422, "insufficient_funds") as error:
        ann.limit("BUY", "17", PRICE)
    problem = error[0].problem
    assert problem["instance"] == "/api/v1/orders" and problem["requestId"]
    assert error[0].response.headers["X-Request-Id"] == problem["requestId"]
    assert ann.balance("USDT") == (1000000, 1000000, 0) and ann.get("/orders")["items"] == []


GOOD = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.1", "price": "60000"}


@pytest.mark.parametrize("change, status, field", [
    ({"symbol": ""}, 400, "symbol"), ({"symbol": "btc-usdt"}, 400, "symbol"), ({"symbol": None}, 400, "symbol"),
    ({"symbol": "DOGE-USDT"}, 404, None),
    ({"side": "HOLD"}, 400, "side"), ({"side": None}, 400, "side"), ({"side": "SIDE_UNSPECIFIED"}, 400, "side"),
    ({"type": "STOP"}, 400, "type"), ({"type": None}, 400, "type"),
    ({"timeInForce": "GTD"}, 400, "timeInForce"), ({"type": "MARKET", "timeInForce": "GTC"}, 400, "timeInForce"),
    ({"quantity": "0"}, 400, "quantity"), ({"quantity": "-1"}, 400, "quantity"), ({"quantity": None}, 400, "quantity"),
    ({"quantity": "0.000001"}, 400, "quantity"), ({"quantity": "0.123456789"}, 400, "quantity"),
    ({"quantity": "1e3"}, 400, "quantity"), ({"quantity": "9" * 30}, 400, "quantity"), ({"quantity": 1}, 400, "quantity"),
    ({"price": "0"}, 400, "price"), ({"price": "-5"}, 400, "price"), ({"price": "60000.001"}, 400, "price"),
    ({"price": None}, 400, "price"), ({"price": "NaN"}, 400, "price"),
    ({"price": "1", "quantity": "1"}, 400, None), ({"price": "50000000000", "quantity": "50000000000"}, 400, None),
    ({"type": "MARKET", "side": "SELL", "price": "1"}, 400, "price"),
    ({"type": "MARKET", "side": "BUY", "price": None}, 400, "price"),
    ({"clientOrderId": "with space"}, 400, "clientOrderId"), ({"clientOrderId": "c" * 37}, 400, "clientOrderId"),
    ({"surprise": "1"}, 400, "surprise"),
])
def test_a_wrong_field_is_named(ann, change, status, field):
    body = {k: v for k, v in (GOOD | change).items() if v is not None}
    with refused(status, field=field):
        ann.post("/orders", body)
    assert ann.get("/orders")["items"] == []
    assert ann.balance("USDT").held == 0


@pytest.mark.parametrize("body", ["", "{", "[]", "null", "7", '{"symbol":"BTC-USDT","symbol":"BTC-USDT"}', "{}x",
                                  '{"a":' * 100 + "1" + "}" * 100, '\ufeff{}', '{"symbol":"\\ud800"}'])
def test_a_body_that_is_no_order_is_refused(platform, ann, body):
    response = ann.session.post(platform.url + "/orders", data=body.encode(), timeout=10,
                                headers={"Authorization": "Bearer " + ann.token, "Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.headers["Content-Type"].startswith("application/problem+json")


def test_nobody_sees_or_touches_anothers_orders(ann, bob):
    order = ann.limit("BUY", "1", PRICE)
    with refused(404):
        bob.get(f"/orders/{order['orderId']}")
    with refused(404):
        bob.cancel(order)
    assert bob.delete("/orders")["cancelled"] == 0
    assert bob.get("/orders")["items"] == [] and bob.get("/orders/open")["items"] == []
    assert ann.get(f"/orders/{order['orderId']}")["status"] == "OPEN"


@pytest.mark.parametrize("order_id, status", [("1", 404), ("18446744073709551615", 404), ("18446744073709551616", 400),
                                              ("0", 400), ("-1", 400), ("abc", 400), ("1%2F2", 400), ("%00", 400)])
def test_an_order_that_is_not_there_is_not_found(ann, order_id, status):
    assert ann.call("GET", f"/orders/{order_id}").status_code in ({status} if status == 404 else {400, 404})
    assert ann.call("DELETE", f"/orders/{order_id}").status_code in ({status} if status == 404 else {400, 404})


# ---- once ----

def test_a_client_order_id_used_again_returns_the_first_order(ann):
    first = ann.limit("BUY", "1", PRICE, clientOrderId="mine-1")
    again = ann.limit("BUY", "1", PRICE, clientOrderId="mine-1")
    assert again["orderId"] == first["orderId"] and again["clientOrderId"] == "mine-1"
    assert len(ann.get("/orders")["items"]) == 1
    with refused(409, "client_order_id_reused"):
        ann.limit("BUY", "2", PRICE, clientOrderId="mine-1")
    ann.cancel(first)
    late = ann.limit("BUY", "1", PRICE, clientOrderId="mine-1")
    assert (late["orderId"], late["status"]) == (first["orderId"], "CANCELLED"), "also when it is over"


def test_a_client_order_id_is_its_owners_alone(ann, bob):
    assert (ann.limit("BUY", "1", PRICE, clientOrderId="shared")["orderId"]
            != bob.limit("BUY", "1", PRICE, clientOrderId="shared")["orderId"])


def test_the_same_client_order_id_from_many_threads_places_one_order(ann):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for n in range(10):
            made = list(pool.map(lambda _, n=n: ann.limit("BUY", "0.01", PRICE, clientOrderId=f"crowd-{n}")["orderId"],
                                 range(8)))
            assert len(set(made)) == 1
    assert ann.balance("USDT").held == 10 * Decimal("0.01") * PRICE
    assert len(list(ann.pages("/orders"))) == 10


# ---- many at once ----

def test_a_batch_is_judged_order_by_order(ann, bob):
    ann.limit("SELL", "1", PRICE)
    answers = bob.post("/orders/batch", {"orders": [
        GOOD,
        GOOD | {"quantity": "0"},
        GOOD | {"symbol": "DOGE-USDT"},
        GOOD | {"quantity": "17"},
        GOOD | {"side": "SELL", "price": "70000", "clientOrderId": "in-a-batch"},
    ]})["items"]
    assert [a["order"]["status"] if a["order"] else a["code"] for a in answers] == [
        "FILLED", answers[1]["code"], "unknown_market", "insufficient_funds", "OPEN"]
    assert answers[1]["order"] is None and answers[1]["code"] and answers[1]["message"]
    assert all(not a["code"] and not a["message"] for a in answers if a["order"])
    assert bob.get("/orders/open")["items"][0]["clientOrderId"] == "in-a-batch"


@pytest.mark.parametrize("count, status", [(0, 400), (1, 200), (200, 200), (201, 400)])
def test_a_batch_has_up_to_200_orders(ann, count, status):
    orders = [GOOD | {"quantity": "0.001", "price": str(1000 + n * 20)} | {"quantity": "0.01"} for n in range(count)]
    response = ann.call("POST", "/orders/batch", {"orders": orders})
    assert response.status_code == status
    assert ann.delete("/orders")["cancelled"] == (count if status == 200 else 0)


# ---- lists ----

@pytest.mark.parametrize("limit", [1, 4, 7, 200])
def test_orders_page_without_gaps(ann, limit):
    made = [ann.limit("BUY", "0.01", PRICE - n)["orderId"] for n in range(7)]
    for order_id in made[::2]:
        ann.delete(f"/orders/{order_id}")
    assert [o["orderId"] for o in ann.pages("/orders", limit)] == made[::-1]
    assert [o["orderId"] for o in ann.pages("/orders/open", limit)] == made[1::2][::-1]
    assert list(ann.pages("/orders", limit, symbol="ETH-USDT")) == []


@pytest.mark.parametrize("limit", [1, 3, 10, 200])
def test_trades_page_without_gaps(platform, people, limit):
    ann, bob = people(BTC="1"), people(USDT="10000")
    ann.limit("SELL", "1", 1000)
    fills = [bob.limit("BUY", "0.01", 1000)["fills"][0]["tradeId"] for _ in range(10)]
    for who in (ann, bob):
        assert [t["tradeId"] for t in who.pages("/trades", limit)] == fills[::-1]

    def public():
        page, items = platform.guest().get(f"/markets/{SYMBOL}/trades", limit=limit), []
        while len(items := items + page["items"]) < 10:
            page = platform.guest().get(f"/markets/{SYMBOL}/trades", limit=limit, cursor=page["nextCursor"])
        return [t["tradeId"] for t in items[:10]]

    wait_until(lambda: public() == fills[::-1], what="the public trades")


def test_orders_placed_between_two_pages_shift_none(ann):
    made = [ann.limit("BUY", "0.01", PRICE)["orderId"] for _ in range(4)]
    first = ann.get("/orders", limit=2)
    ann.limit("BUY", "0.01", PRICE)
    second = ann.get("/orders", limit=2, cursor=first["nextCursor"])
    assert [o["orderId"] for o in first["items"] + second["items"]] == made[::-1]


@pytest.mark.parametrize("path", ["/orders", "/orders/open", "/trades", f"/markets/{SYMBOL}/trades"])
@pytest.mark.parametrize("query, field", [({"limit": 201}, "limit"), ({"cursor": "garbage"}, "cursor"),
                                          ({"surprise": "1"}, "surprise")])
def test_a_bad_page_is_refused(ann, path, query, field):
    with refused(400, field=field):
        ann.get(path, **query)


# ---- the market ----

def test_markets_tell_their_rules(platform, rules):
    assert (rules["baseAsset"], rules["quoteAsset"], rules["status"]) == ("BTC", "USDT", "TRADING")
    for key in ("tickSize", "lotSize", "minNotional", "makerFee", "takerFee"):
        assert Decimal(rules[key]) > 0


def test_depth_and_ticker_follow_the_book(platform, ann, bob):
    guest = platform.guest()
    for n in range(5):
        ann.limit("BUY", "0.1", PRICE - 100 - n)
        bob.limit("SELL", "0.2", PRICE + 100 + n)
    bob.limit("BUY", "0.1", PRICE - 100)
    depth = guest.get(f"/markets/{SYMBOL}/depth", limit=3)
    assert [Decimal(b["price"]) for b in depth["bids"]] == [PRICE - 100, PRICE - 101, PRICE - 102]
    assert [Decimal(a["price"]) for a in depth["asks"]] == [PRICE + 100, PRICE + 101, PRICE + 102]
    assert (Decimal(depth["bids"][0]["quantity"]), depth["bids"][0]["orders"]) == (Decimal("0.2"), 2)
    ann.limit("BUY", "0.2", PRICE + 100)
    ticker = guest.get(f"/markets/{SYMBOL}/ticker")
    assert Decimal(ticker["last"]) == PRICE + 100 and Decimal(ticker["ask"]) == PRICE + 101
    assert Decimal(ticker["bid"]) == PRICE - 100 and Decimal(ticker["bidQuantity"]) == Decimal("0.2")
    quotes = guest.get("/quotes", symbols=f"{SYMBOL},ETH-USDT")["items"]
    assert [q["symbol"] for q in quotes] == [SYMBOL, "ETH-USDT"] and quotes[0]["last"] == ticker["last"]
    later = guest.get(f"/markets/{SYMBOL}/depth")
    assert int(later["lastUpdateId"]) > int(depth["lastUpdateId"])


def test_a_market_that_is_not_there_is_not_found(platform):
    for path in ("ticker", "depth", "trades"):
        with refused(404, "unknown_market"):
            platform.guest().get(f"/markets/DOGE-USDT/{path}")
